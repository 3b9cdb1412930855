"""Periods: days, weeks, months, quarters and years of a series with equal steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from workbench.errors import DataError


@dataclass(frozen=True)
class Period:
    """A day, week, month, quarter or year: its name, its first day, and the day after its last."""

    name: str
    kind: str
    start: date
    end: date

    @property
    def middle(self) -> date:
        """The day in the middle."""
        return self.start + (self.end - self.start) / 2


def in_sequence(name: str, series: Mapping[Period, float], source: str) -> dict[Period, float]:
    """Order a series by its periods; raise DataError for a gap, or for two kinds of periods."""
    ordered = dict(sorted(series.items(), key=lambda each: each[0].start))
    days = list(ordered)
    if {each.kind for each in days} == {"day"} and not _equal_steps(days):
        days = [_as_month(each, days) for each in days]
        ordered = dict(zip(days, ordered.values(), strict=True))
    examples = {each.kind: each.name for each in reversed(ordered)}
    if len(examples) > 1:
        shown = ", ".join(sorted(examples.values()))
        raise DataError(
            f"{source}: {name} mixes kinds of periods, such as {shown}; use one for each metric"
        )
    for before, after in pairwise(ordered):
        if before.end != after.start:
            raise DataError(
                f"{source}: {name} has no value between {before.name} and {after.name}; give one "
                "for every period, since a trend needs equal steps"
            )
    return ordered


def _equal_steps(periods: Sequence[Period]) -> bool:
    return all(before.end == after.start for before, after in pairwise(periods))


def _as_month(day: Period, days: Sequence[Period]) -> Period:
    """Take days for their months where there is one in each of several months."""
    months = {each.name[:7] for each in days}
    return read_period(day.name[:7], "") if len(months) == len(days) > 1 else day


def read_period(written: object, where: str) -> Period:
    """Read a period as it is written; `where` begins the DataError for what is none.

    >>> read_period("2026-Q4", "a table")
    Period(name='2026-Q4', kind='quarter', start=datetime.date(2026, 10, 1), end=datetime.date(2027, 1, 1))
    """
    text = written.isoformat()[:10] if isinstance(written, date) else str(written or "").strip()
    try:
        if match := re.fullmatch(r"(\d{4})-?Q([1-4])", text):
            kind = "quarter"
            first = 3 * int(match[2]) - 2
            start, end = _month(int(match[1]), first), _month(int(match[1]), first + 3)
        elif match := re.fullmatch(r"(\d{4})-?W(\d{2})", text):
            kind = "week"
            start = date.fromisocalendar(int(match[1]), int(match[2]), 1)
            end = start + timedelta(weeks=1)
        elif match := re.fullmatch(r"(\d{4})-(\d{2})", text):
            kind = "month"
            start = date(int(match[1]), int(match[2]), 1)
            end = _month(start.year, start.month + 1)
        elif re.fullmatch(r"\d{4}", text):
            kind = "year"
            start, end = date(int(text), 1, 1), date(int(text) + 1, 1, 1)
        else:
            kind = "day"
            start = date.fromisoformat(text[:10])
            end = start + timedelta(days=1)
    except ValueError:
        raise DataError(
            f"{where}: {text!r} is no period; write a month as 2026-01, a quarter as 2026-Q1, a "
            "week as 2026-W05, a day as 2026-01-31"
        ) from None
    return Period(text, kind, start, end)


def _month(year: int, month: int) -> date:
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
