"""Values of indicators per period, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.data.study_data import Problem
from workbench.errors import StudyError, unknown_name
from workbench.schema.indicators import IndicatorDefinition
from workbench.schema.time import PeriodKind, Periods
from workbench.stats.proportions import Counts, compare

Array = npt.NDArray[Any]
FEWEST_PERIODS = 12
FALL, SURE = 0.1, 0.01  # a response rate fell if by so much, with so small a p-value


@dataclass(frozen=True, eq=False)
class Series:
    """One value per period: the mean over customers where there are any; NaN where there is none.

    `n` counts the customers (or rows) behind each value, `asked` the customers who were there;
    `reason` says why no value is defined.
    """

    name: str
    definition: IndicatorDefinition
    periods: tuple[str, ...]
    values: Array
    n: Array
    asked: Array
    reason: str = ""

    @property
    def response_rate(self) -> Array:
        """The share n / asked of the customers there who have a value; NaN without customers."""
        nobody = np.full(len(self.n), np.nan)
        return np.asarray(np.divide(self.n, self.asked, out=nobody, where=self.asked > 0))

    @property
    def known(self) -> tuple[int, int]:
        """The places of the first period with a value and of the one after the last; (0, 0)."""
        places = np.flatnonzero(~np.isnan(self.values))
        return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


@dataclass(frozen=True, eq=False)
class Indicators:
    """The indicators' values on consecutive periods, per customer where these are known.

    `values` holds an array customers x periods, or one value a period for indicators that know no
    customers, with NaN where there is none. `present` says in which periods a customer was there:
    from the first to the last of the customer's rows, whether or not they hold a value.
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
        """Keep the arrays from being written to."""
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
    def of_customers(self) -> tuple[str, ...]:
        """The names of the indicators that are known for each customer."""
        return tuple(name for name in self.names if self.values[name].ndim == 2)

    @property
    def left(self) -> tuple[str, ...]:
        """The customers who were there, and are no more in the last period."""
        last = self.present[:, -1] if self.periods.length else np.empty(0, dtype=bool)
        return tuple(name for name, here in zip(self.customers, last, strict=True) if not here)

    def series(self, name: str) -> Series:
        """Give one value per period; raise StudyError for an unknown name.

        >>> nps = [[8.0, np.nan, 7.0], [6.0, 9.0, 8.0]]
        >>> series = Indicators.of_arrays("number", {"nps": nps}).series("nps")
        >>> series.values.tolist(), series.n.tolist(), series.response_rate.tolist()
        ([7.0, 9.0, 7.5], [2, 1, 2], [1.0, 0.5, 1.0])
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
        """Give the values of some indicators, each an array customers x periods with NaN.

        Raises StudyError for an unknown name, and for an indicator that knows no customers.
        """
        wanted = [names] if isinstance(names, str) else list(names)
        found = {name: self._known(name) for name in wanted}
        for name, values in found.items():
            if values.ndim != 2:
                known = ", ".join(self.of_customers) or "none"
                msg = f"indicator {name!r} has no values per customer; those that do: {known}"
                raise StudyError(msg)
        return found

    def of(self, customers: Iterable[str]) -> Indicators:
        """Keep these customers; indicators that know no customers stay as they are."""
        wanted = set(customers)
        kept = np.array([name in wanted for name in self.customers], dtype=bool)
        values = {
            name: each[kept] if each.ndim == 2 else each for name, each in self.values.items()
        }
        names = tuple(name for name in self.customers if name in wanted)
        return Indicators(
            self.definitions,
            self.periods,
            names,
            self.present[kept],
            values,
            self.n,
            self.repeated,
            self.reasons,
        )

    @classmethod
    def of_arrays(
        cls,
        kind: PeriodKind,
        values: Mapping[str, npt.ArrayLike],
        definitions: Mapping[str, IndicatorDefinition] | None = None,
        customers: Sequence[str] | None = None,
        first: int = 1,
    ) -> Indicators:
        """Take arrays, customers x periods or one value a period, all of one length.

        Without `definitions` all of them are leading; `first` is the number of the first period.
        """
        arrays = {name: np.array(each, dtype=float) for name, each in values.items()}
        lengths = {each.shape[-1] for each in arrays.values()}
        people = {len(each) for each in arrays.values() if each.ndim == 2}
        if len(lengths) != 1 or len(people) > 1:
            msg = f"the arrays have {sorted(lengths)} periods and {sorted(people)} customers; give all of them the same"
            raise ValueError(msg)
        (length,) = lengths
        total = max(people, default=0)
        names = tuple(customers or (str(place + 1) for place in range(total)))
        panels = [~np.isnan(each) for each in arrays.values() if each.ndim == 2]
        seen = np.any(panels, axis=0) if panels else np.zeros((0, length), dtype=bool)
        return cls(
            definitions or {name: IndicatorDefinition(kind="leading") for name in arrays},
            Periods(kind, first, length),
            names,
            presence(seen),
            arrays,
            {},
        )

    def _known(self, name: str) -> Array:
        if name not in self.values:
            raise StudyError(unknown_name("indicator", name, self.names))
        return self.values[name]


def presence(seen: Array) -> Array:
    """Fill from each customer's first period that was seen to the last one.

    >>> presence(np.array([[False, True, False, True, False]])).astype(int).tolist()
    [[0, 1, 1, 1, 0]]
    """
    since = np.logical_or.accumulate(seen, axis=1)
    until = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(since & until)


def indicator_problems(
    found: Indicators, unnamed: Sequence[str] = (), as_of: date | None = None
) -> list[Problem]:
    """Name what is wrong with each indicator; `as_of` is the last period's end unless given.

    `unnamed` lists indicators of the file that no definition names.
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
            f"{series.name} is {known[0]:g} in every period; what never changes moves with nothing"
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
    """Compare the response rate of the first third of the periods with that of the last third."""
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
    if change.estimate <= -FALL and change.pvalue < SURE:
        said = (
            f"the response rate of {series.name} fell from "
            f"{display.rate(before.rate, before.converted, before.total)} in "
            f"{series.periods[first]} to {series.periods[first + third - 1]} to "
            f"{display.rate(now.rate, now.converted, now.total)} in "
            f"{series.periods[end - third]} to {series.periods[end - 1]}; who still answers may differ"
        )
        yield Problem("warning", said, now.total - now.converted, {})


def _stale(found: Indicators, series: Series, as_of: date | None) -> Iterator[Problem]:
    """Hold the age of the newest value against the indicator's freshness."""
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
