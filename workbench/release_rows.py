"""Rows of a release review: rates of steps and of goals alike, and how a reader is told them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench import formats

if TYPE_CHECKING:
    import pandas as pd

    from workbench.innovation import Goal

Row = Mapping[str, Any]


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give each row of a table by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def row_of_goal(goal: Goal) -> dict[str, Any]:
    """Give a goal as a row of the learning metrics is given."""
    return {
        "iteration": goal.iteration,
        "rate": goal.counts.rate,
        "low": goal.low,
        "high": goal.high,
        "converted": goal.counts.converted,
        "closed": goal.counts.total,
        "pending": 0,
        "nobody": "none yet",
    }


def rate_words(row: Row | None) -> str:
    """Write a rate with its counts and its interval, or say who is waited for.

    >>> rate_words({"rate": 0.8, "low": 0.69, "high": 0.88, "converted": 56, "closed": 70})
    '80.0% (56/70) [69.0%, 88.0%]'
    >>> rate_words({"closed": 0, "pending": 12}), rate_words({"closed": 0, "pending": 0})
    ('12 pending', 'nobody')
    """
    if row is None or not row["closed"]:
        return nobody_words(row)
    of = formats.rate(row["rate"], row["converted"], row["closed"])
    return f"{of} {formats.interval(row['low'], row['high'])}"


def nobody_words(row: Row | None) -> str:
    """Say why there is no rate: its customers are pending, or there are none."""
    if row is None:
        return "nobody"
    return f"{row['pending']:,} pending" if row["pending"] else str(row.get("nobody", "nobody"))


def is_known(number: float) -> bool:
    """Say whether a number is one: NaN is not."""
    return bool(number == number)  # noqa: PLR0124 - NaN is not equal to itself
