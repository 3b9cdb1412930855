"""What a study file says of its indicators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from workbench.errors import unknown_name
from workbench.schema.base import Duration, Name, Spec
from workbench.schema.time import PeriodKind

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
