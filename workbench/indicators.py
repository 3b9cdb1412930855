"""Leading and lagging indicators: what a study file says of them, and their values per period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from workbench.errors import StudyError, unknown_name
from workbench.grids import Grid, PeriodKind
from workbench.specs import Duration, Name, Spec

Array = npt.NDArray[Any]
Kind = Literal["leading", "lagging"]
FromFlow = Literal["median_hours", "rate", "adoption"]
YES_NO = "yes/no"


class IndicatorDefinition(Spec):
    """One indicator: its kind, its place on the customer journey, its unit and direction.

    `from_flow` has it computed from the event log, for those who enter the flow in each period.
    `freshness` is how old its newest value may grow; `combine` says what several values of one
    customer (or of the study) in one period come to.
    """

    kind: Kind
    step: Name | None = None
    unit: Name | None = None
    better: Literal["higher", "lower"] | None = None
    from_flow: FromFlow | None = None
    owner: Name | None = None
    source: Name | None = None
    freshness: Duration | None = None
    combine: Literal["mean", "sum"] = "mean"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.from_flow in ("median_hours", "rate") and self.step is None:
            msg = f"from_flow {self.from_flow} is of a step; name it, as in step: imported"
            raise ValueError(msg)
        if self.from_flow == "adoption" and self.step is not None:
            msg = f"from_flow adoption is of the whole flow; leave step: {self.step} out"
            raise ValueError(msg)
        if self.from_flow is not None and "combine" in self.model_fields_set:
            msg = "from_flow has one value a period; leave combine out"
            raise ValueError(msg)
        return self

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is good: as `better` says, else unless it is a time."""
        return self.better == "higher" if self.better else self.from_flow != "median_hours"

    @property
    def yes_no(self) -> bool:
        """Whether a single value is 1 (yes) or 0 (no)."""
        return self.unit == YES_NO


class IndicatorColumns(Spec):
    """Which column of the file is what; `customer` may be missing, a wide file has no other two."""

    customer: Name = "customer"
    period: Name = "period"
    indicator: Name = "indicator"
    value: Name = "value"


class IndicatorsSource(Spec):
    """The indicators of a study: a long file (a row a value), a wide one (a column an indicator).

    No `source` is needed where the event log gives all of them.
    """

    source: Name | None = None
    period: PeriodKind
    columns: IndicatorColumns = IndicatorColumns()
    definitions: Mapping[str, IndicatorDefinition] = Field(min_length=1)

    @property
    def of_file(self) -> tuple[str, ...]:
        """The indicators that the file holds."""
        return tuple(name for name, each in self.definitions.items() if each.from_flow is None)

    @property
    def of_flow(self) -> tuple[str, ...]:
        """The indicators that the event log gives."""
        return tuple(name for name, each in self.definitions.items() if each.from_flow is not None)

    def contradictions(
        self, steps: Sequence[str], *, events: bool
    ) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Name what does not fit the study's steps, or the rest of this part."""
        here = ("indicators", "definitions")
        for name, each in self.definitions.items():
            if each.step is not None and steps and each.step not in steps:
                yield (*here, name, "step"), unknown_name("step", each.step, steps)
            if each.from_flow is not None and not events:
                said = f"{name} is from_flow, but the study has no events; add them with a flow"
                yield (*here, name, "from_flow"), said
            if each.from_flow is not None and self.period == "number":
                said = f"{name} is from_flow, whose periods have dates; say period: week or month"
                yield (*here, name, "from_flow"), said
            if each.freshness is not None and self.period == "number":
                said = f"{name} has a freshness, but periods that are numbers have no age; leave it out"
                yield (*here, name, "freshness"), said
        if self.of_file and self.source is None:
            said = f"no source holds {', '.join(self.of_file)}; name the file"
            yield ("indicators", "definitions", self.of_file[0]), said
        if self.source is not None and not self.of_file:
            said = "every indicator is from_flow, so the file is not read; leave source out"
            yield ("indicators", "source"), said


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
    """The indicators' values on a grid of periods without holes, per customer where these are known.

    `values` holds an array customers x periods, or one value a period for indicators that know no
    customers, with NaN where there is none. `present` says in which periods a customer was there:
    from the first to the last of the customer's rows, whether or not they hold a value.
    """

    definitions: Mapping[str, IndicatorDefinition]
    periods: Grid
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
        labels = self.periods.labels
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
            Grid(kind, first, length),
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
