"""Cases: a customer's indicators in one period, and what the lagging indicator says later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TEST_SHARE = 1 / 3


@dataclass(frozen=True, eq=False)
class Cases:
    """Cases by row: customer and period (places), indicators (NaN where missing), outcome.

    `outcomes` are oriented so that higher is good (1 is good for yes/no); `periods` are those of
    the indicators, and the outcomes are `horizon` periods later.
    """

    names: tuple[str, ...]
    customers: Array
    periods: Array
    values: Array = field(repr=False)
    outcomes: Array = field(repr=False)
    yes_no: bool
    horizon: int

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def bad(self) -> Array:
        """The outcomes turned around: 1 is bad for yes/no, higher is worse for numbers."""
        return 1 - self.outcomes if self.yes_no else -self.outcomes

    def before(self, period: int) -> Cases:
        """Keep the cases whose outcome was known before a period."""
        return self.where(self.periods + self.horizon < period)

    def since(self, period: int) -> Cases:
        """Keep the cases whose indicators are of a period, or later."""
        return self.where(self.periods >= period)

    def where(self, kept: Array) -> Cases:
        """Keep some cases."""
        return Cases(
            self.names,
            self.customers[kept],
            self.periods[kept],
            self.values[kept],
            self.outcomes[kept],
            yes_no=self.yes_no,
            horizon=self.horizon,
        )


def find_cases(
    panels: Mapping[str, Array],
    outcome: Array,
    *,
    yes_no: bool,
    good_high: bool = True,
    horizon: int = 1,
    carry: int = 0,
) -> Cases:
    """List each customer and period with a known indicator, and a known outcome `horizon` later.

    `panels` and `outcome` are customers x periods; each outcome makes at most one case. A missing
    indicator stands `carry` periods. Raises ValueError for shapes that differ, and for a yes/no
    outcome that is neither 1 nor 0.

    >>> nps = np.array([[8.0, np.nan, 6.0, 7.0]])
    >>> found = find_cases({"nps": nps}, np.array([[1, 1, 0, 1.0]]), yes_no=True, carry=1)
    >>> found.values[:, 0].tolist(), found.outcomes.tolist()
    ([8.0, 8.0, 6.0], [1.0, 0.0, 1.0])
    """
    outcome = np.asarray(outcome, dtype=float)
    if not 0 < horizon < outcome.shape[1]:
        msg = f"horizon is {horizon}; it must lie between 0 and the {outcome.shape[1]} periods"
        raise ValueError(msg)
    if carry < 0:
        raise ValueError(f"carry is {carry}; it must be 0 or more periods")
    for name, each in panels.items():
        if each.shape != outcome.shape:
            msg = f"{name} is {each.shape} and the outcome {outcome.shape}; give both for the same customers and periods"
            raise ValueError(msg)
    if yes_no and not np.isin(outcome[~np.isnan(outcome)], (0, 1)).all():
        raise ValueError("the outcome is no yes/no value everywhere; give 1, 0 or NaN")
    values = stacked(panels, carry)[:, : outcome.shape[1] - horizon]
    later = outcome[:, horizon:]
    who, when = np.nonzero(~np.isnan(later) & ~np.isnan(values).all(axis=2))
    outcomes = later[who, when]
    if not good_high:
        outcomes = 1 - outcomes if yes_no else -outcomes
    return Cases(
        tuple(panels), who, when, values[who, when], outcomes, yes_no=yes_no, horizon=horizon
    )


def stacked(panels: Mapping[str, Array], carry: int) -> Array:
    """Give panels as one array customers x periods x indicators, missing values carried on."""
    return np.stack([_carried(np.asarray(each, float), carry) for each in panels.values()], axis=2)


def start_of_test(cases: Cases) -> int:
    """Give the last period that leaves a third of the cases from it on; 0 without cases."""
    if not len(cases):
        return 0
    since = np.cumsum(np.bincount(cases.periods)[::-1])[::-1]
    return int(np.flatnonzero(since >= TEST_SHARE * len(cases))[-1])


def _carried(values: Array, carry: int) -> Array:
    filled = values.copy()
    for back in range(1, carry + 1):
        open_cells = np.isnan(filled[:, back:])
        filled[:, back:] = np.where(open_cells, values[:, :-back], filled[:, back:])
    return filled
