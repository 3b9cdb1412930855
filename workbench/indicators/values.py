"""Values of indicators per period, and problems in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.data.study_data import Problem
from workbench.errors import StudyError, unknown_name
from workbench.schema.indicators import IndicatorDefinition
from workbench.schema.time import Periods
from workbench.stats.proportions import Counts, compare

Array = npt.NDArray[Any]
FEWEST_PERIODS = 12
FALL, FALL_PVALUE = (
    0.1,
    0.01,
)  # a response rate fell: at least by this, and at most with this p-value


@dataclass(frozen=True, eq=False)
class Series:
    """One value per period, NaN where there is none; the mean over customers if these are known.

    `n` counts the customers (or rows) behind each value, `asked` the customers who were there.
    `reason` says why the indicator has no values.
    """

    name: str
    definition: IndicatorDefinition
    periods: tuple[str, ...]
    values: Array
    n: Array
    asked: Array
    reason: str = ""

    @property
    def known(self) -> tuple[int, int]:
        """The positions of the first period with a value and of the one after the last; else (0, 0)."""
        places = np.flatnonzero(~np.isnan(self.values))
        return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


@dataclass(frozen=True, eq=False)
class Indicators:
    """The values of a study's indicators over the same periods.

    `values` has an array customers x periods for each indicator known by customer, else one value per
    period, with NaN where there is none. `n` counts what is behind the values without customers.
    `present` (customers x periods) says when a customer was there: from the customer's first row to
    the last, with or without values. `repeated` counts values that shared a period, and `reasons`
    says why an indicator has none.
    """

    definitions: Mapping[str, IndicatorDefinition]
    periods: Periods
    customers: tuple[str, ...]
    present: Array = field(repr=False)
    values: Mapping[str, Array] = field(repr=False)
    n: Mapping[str, Array] = field(repr=False)
    repeated: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for each in (self.present, *self.values.values(), *self.n.values()):
            each.setflags(write=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the indicators, in the study file's order."""
        return tuple(self.definitions)

    @property
    def leading(self) -> tuple[str, ...]:
        """The names of the leading indicators."""
        return tuple(name for name, each in self.definitions.items() if each.kind == "leading")

    @property
    def lagging(self) -> tuple[str, ...]:
        """The names of the lagging indicators."""
        return tuple(name for name, each in self.definitions.items() if each.kind == "lagging")

    @property
    def by_customer(self) -> tuple[str, ...]:
        """The names of the indicators with values per customer."""
        return tuple(name for name in self.names if self.values[name].ndim == 2)

    @property
    def leading_by_customer(self) -> tuple[str, ...]:
        """The names of the leading indicators with values per customer."""
        return tuple(name for name in self.leading if name in self.by_customer)

    def series(self, name: str) -> Series:
        """Return an indicator's value per period, averaged over customers if these are known.

        Raises:
            StudyError: For an unknown name.

        Example:
            >>> from workbench.study import Study
            >>> found = Study.load("studies/guided-import/study.yaml").indicators()
            >>> nps = found.series("nps")
            >>> nps.values[:3].round(2).tolist(), nps.n[:3].tolist(), nps.asked[:3].tolist()
            ([6.68, 7.21, 7.05], [19, 42, 64], [33, 81, 122])
        """
        values, n = self._known(name), self.n.get(name)
        asked = np.zeros(self.periods.length, dtype=np.int64)
        if values.ndim == 2:
            asked = self.present.sum(axis=0)
            n = (~np.isnan(values)).sum(axis=0)
            mean = np.full(self.periods.length, np.nan)
            values = np.divide(np.nansum(values, axis=0), n, out=mean, where=n > 0)
        elif n is None:
            n = (~np.isnan(values)).astype(np.int64)
        reason = self.reasons.get(name, "")
        if not reason and not np.any(n):
            reason = f"{name} has no values"
        labels = self.periods.names
        return Series(name, self.definitions[name], labels, values, n, asked, reason)

    def panel(self, names: str | Sequence[str]) -> dict[str, Array]:
        """Return indicators by name, each customers x periods with NaN where a value is missing.

        Raises:
            StudyError: For an indicator that is unknown, or has no values per customer.
        """
        wanted = [names] if isinstance(names, str) else list(names)
        found = {name: self._known(name) for name in wanted}
        for name, values in found.items():
            if values.ndim != 2:
                known = ", ".join(self.by_customer) or "none"
                msg = f"indicator {name!r} has no values per customer; those that do: {known}"
                raise StudyError(msg)
        return found

    def of(self, customers: Iterable[str]) -> Indicators:
        """Return the values of some customers; indicators without customers stay as they are."""
        wanted = set(customers)
        kept = np.array([name in wanted for name in self.customers], dtype=bool)
        values = {
            name: each[kept] if each.ndim == 2 else each for name, each in self.values.items()
        }
        names = tuple(name for name in self.customers if name in wanted)
        return replace(self, customers=names, present=self.present[kept], values=values)

    def _known(self, name: str) -> Array:
        if name not in self.values:
            raise StudyError(unknown_name("indicator", name, self.names))
        return self.values[name]


def presence(seen: Array) -> Array:
    """Fill each customer's row from the first period seen to the last.

    >>> presence(np.array([[False, True, False, True, False]])).astype(int).tolist()
    [[0, 1, 1, 1, 0]]
    """
    since = np.logical_or.accumulate(seen, axis=1)
    until = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(since & until)


def indicator_problems(
    found: Indicators, unnamed: Sequence[str] = (), as_of: date | None = None
) -> list[Problem]:
    """List the problems of each indicator.

    Args:
        found: The indicators.
        unnamed: Indicators of the file that no definition names.
        as_of: The day against which `freshness` is checked; the end of the last period unless given.
    """
    problems = [
        Problem("note", f"the file holds {name}, which no definition names; it is not read", 1, {})
        for name in unnamed
    ]
    for name in found.names:
        series = found.series(name)
        if series.reason:
            problems.append(Problem("warning", series.reason, 0, {}))
            continue
        for each in (_gaps, _constant, _short, _answers):
            problems += each(series)
        problems += _stale(found, series, as_of)
        if repeats := found.repeated.get(name):
            combine = series.definition.combine
            said = f"values of {name} share a period with another; their {combine} counts"
            problems.append(Problem("note", said, repeats, {}))
    return problems


def _gaps(series: Series) -> Iterator[Problem]:
    first, end = series.known
    missing = [series.periods[each] for each in range(first, end) if np.isnan(series.values[each])]
    if missing:
        said = (
            f"{series.name} has no value in {len(missing)} of {end - first} periods between its "
            f"first and its last, such as {missing[0]}"
        )
        yield Problem("warning", said, len(missing), {"period": missing[0]})


def _constant(series: Series) -> Iterator[Problem]:
    known = series.values[~np.isnan(series.values)]
    if len(known) > 1 and np.ptp(known) == 0:
        said = (
            f"{series.name} is {known[0]:g} in every period; it cannot be associated with anything"
        )
        yield Problem("warning", said, len(known), {})


def _short(series: Series) -> Iterator[Problem]:
    known = int((~np.isnan(series.values)).sum())
    if known < FEWEST_PERIODS:
        said = (
            f"{series.name} has values in {known} periods; collect {FEWEST_PERIODS - known} more "
            f"before looking for lags (at least {FEWEST_PERIODS})"
        )
        yield Problem("warning", said, known, {})


def _answers(series: Series) -> Iterator[Problem]:
    """Compare the response rate in the last third of the periods with that in the first third."""
    first, end = series.known
    third = (end - first) // 3
    if not third or not series.asked.any():
        return
    early, late = slice(first, first + third), slice(end - third, end)
    before, now = (
        Counts(int(series.n[each].sum()), int(series.asked[each].sum())) for each in (early, late)
    )
    if not (before.total and now.total):
        return
    change = compare(control=before, treatment=now, test="score", interval="score")
    if change.estimate <= -FALL and change.pvalue < FALL_PVALUE:
        said = (
            f"the response rate of {series.name} fell from "
            f"{display.rate(before.rate, before.converted, before.total)} in "
            f"{series.periods[first]} to {series.periods[first + third - 1]} to "
            f"{display.rate(now.rate, now.converted, now.total)} in "
            f"{series.periods[end - third]} to {series.periods[end - 1]}; those who still answer may "
            "differ from those who did"
        )
        yield Problem("warning", said, now.total - now.converted, {})


def _stale(found: Indicators, series: Series, as_of: date | None) -> Iterator[Problem]:
    """Compare the age of the newest value with the indicator's freshness."""
    periods, freshness = found.periods, series.definition.freshness
    if freshness is None or periods.kind == "number":
        return
    last = series.known[1]
    ended = periods.at(last).start
    until = as_of or periods.at(periods.length).start
    if until - ended > freshness:
        newest = periods.at(last - 1).name
        said = (
            f"{series.name} is stale: its newest value is of {newest}, {(until - ended).days} days "
            f"before {until}, and it should be at most {freshness.days} days old"
        )
        yield Problem("warning", said, 1, {"period": newest})
