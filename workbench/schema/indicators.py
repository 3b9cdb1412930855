"""The part of a study file that is about indicators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from workbench.errors import unknown_name
from workbench.schema.base import Decimal, Duration, Name, Spec, TableFormat
from workbench.schema.time import PeriodKind, TimeFormat

Kind = Literal["leading", "lagging"]
FromFlow = Literal["median_hours", "rate", "adoption"]
YES_NO = "yes/no"


class IndicatorDefinition(Spec):
    """One indicator: its kind, its place on the customer journey, its unit and direction."""

    kind: Kind
    """`leading` if it shows the course towards a goal, `lagging` if it documents a result."""
    step: Name | None = None
    """The step of the flow that it belongs to. Without one it belongs to the whole journey."""
    unit: Name | None = None
    """The unit of its values, such as hours. Write `yes/no` for values that are 1 or 0."""
    better: Literal["higher", "lower"] | None = None
    """Which direction is good. If not given, lower for `median_hours` and higher for the others."""
    from_flow: FromFlow | None = None
    """Compute it from the event log, for the customers who enter in each period: the `median_hours`
    from the trigger to the step, the `rate` who reach the step, or the `adoption`. Without it, the
    values come from the file."""
    owner: Name | None = None
    """Who is responsible for it."""
    source: Name | None = None
    """Where its values come from, in words, such as survey."""
    freshness: Duration | None = None
    """How old its newest value may be before a check warns, such as 14d. Without it, any age."""
    combine: Literal["mean", "sum"] = "mean"
    """What becomes of several values of one customer in one period: their `mean` or their `sum`."""

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
        """Whether more of it is good: as `better` says, or else whether it is no time."""
        return self.better == "higher" if self.better else self.from_flow != "median_hours"

    @property
    def yes_no(self) -> bool:
        """Whether a single value is 1 (yes) or 0 (no)."""
        return self.unit == YES_NO


class IndicatorColumns(Spec):
    """The names of the columns of the indicators' file."""

    customer: Name = "customer"
    """The column with the customer's id. A file about the study as a whole has none."""
    period: Name = "period"
    """The column with the period."""
    indicator: Name = "indicator"
    """The column with the indicator's name, in a long file. A wide file has none."""
    value: Name = "value"
    """The column with the value, in a long file. A wide file has none."""


class IndicatorsSource(TableFormat):
    """The indicators of a study, from a file, from the event log or from both."""

    source: Name | None = None
    """The file, relative to the study file: CSV, JSON lines, Excel or Parquet, also packed, or a
    pattern such as data/*.csv. It is long (one row a value) or wide (one column an indicator). Leave
    it out if every indicator has `from_flow`."""
    period: PeriodKind
    """What a value is of: a `day`, `week`, `month` or `quarter`, or a `number` such as a sprint's."""
    time_format: TimeFormat | None = None
    """How periods are written, where it is not as above: a format such as %d/%m/%Y."""
    decimal: Decimal = "."
    """What stands before the fraction of a number in text files: a point or a comma."""
    columns: IndicatorColumns = IndicatorColumns()
    """The columns' names, where the file has others than customer, period, indicator and value."""
    definitions: Mapping[str, IndicatorDefinition] = Field(min_length=1)
    """The indicators by name; in a wide file the name is the column's."""

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
        """Yield what does not fit the study's steps or the rest of this part: place and sentence."""
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
