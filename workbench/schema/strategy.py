"""The parts of a study file about strategic metrics and about the scale of true innovation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from workbench.errors import unknown_name
from workbench.schema.base import Decimal, Name, Names, Spec, TableSource
from workbench.schema.hypothesis import Probability
from workbench.schema.time import Iteration, TimeFormat

AREAS = (
    "business agility",
    "customer engagement",
    "customer reach",
    "financial impact",
    "solution performance",
)


class Targets(Spec):
    """The scale at which the team calls it innovation: target rates, and customers to rest on."""

    need_rate: Probability | None = None
    """The target share of customers who meet their need, of those who entered the flow: a fraction
    such as 0.45. Without it, there is no target."""
    adoption_rate: Probability | None = None
    """The target share of customers who return, of those who met the trigger again: a fraction."""
    outcome_rate: Probability | None = None
    """The target share of customers with the business outcome, of those who entered the flow: a
    fraction."""
    customers: int = Field(default=1, ge=1)
    """How many customers each rate must rest on before a target can be reached."""


class StrategicMetric(Spec):
    """One strategic metric: its area, its baseline, and its target with a date."""

    area: Name
    """The area it belongs to: business agility, customer engagement, customer reach, financial
    impact or solution performance."""
    unit: str = ""
    """The unit of its values, such as EUR. Without one, values are plain numbers."""
    better: Literal["higher", "lower"] = "higher"
    """Which direction is good."""
    baseline: float = Field(allow_inf_nan=False)
    """The value it starts from."""
    target: float = Field(allow_inf_nan=False)
    """The value it should reach."""
    by: date
    """The day by which it should reach the target, such as 2026-12-31."""
    expect_from: Name | None = None
    """The iteration from which on it is expected to move. If not given, the first one."""
    fed_by: Names = ()
    """The metrics of the flow that are expected to move it: steps, adoption or the outcome."""

    @field_validator("area")
    @classmethod
    def _one_of_five(cls, area: str) -> str:
        if area not in AREAS:
            raise ValueError(unknown_name("area", area, AREAS))
        return area

    @model_validator(mode="after")
    def _moves(self) -> StrategicMetric:
        if self.gain(self.target) <= 0:
            way = "above" if self.better == "higher" else "below"
            raise ValueError(
                f"target is {self.target:g}; {self.better} is better, so it must lie {way} the "
                f"baseline of {self.baseline:g}"
            )
        return self

    def gain(self, value: float) -> float:
        """Return how much better than the baseline a value is, in the metric's unit."""
        return value - self.baseline if self.better == "higher" else self.baseline - value

    def expected(self, day: date, start: date) -> float:
        """Return the course's value on a day: a line from the baseline on `start` to the target."""
        share = (day - start) / (self.by - start)
        return self.baseline + min(max(share, 0.0), 1.0) * (self.target - self.baseline)


class StrategySource(TableSource):
    """A table of strategic metrics, one row a metric and period, and what is expected of them."""

    metric: Name = "metric"
    """The column with the metric's name."""
    period: Name = "period"
    """The column with the period: a day (2026-01-31), an ISO week (2026-W05), a month (2026-01) or a
    quarter (2026-Q1). Each metric has one kind of period, without a gap."""
    value: Name = "value"
    """The column with the value."""
    time_format: TimeFormat | None = None
    """How periods are written, where it is not as above: a format such as %d/%m/%Y."""
    decimal: Decimal = "."
    """What stands before the fraction of a number in text files: a point or a comma."""
    metrics: Mapping[str, StrategicMetric] = Field(min_length=1)
    """The strategic metrics by their names in the table."""

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that are read: metric, period and value."""
        return self.metric, self.period, self.value

    def contradictions(
        self, iterations: Sequence[Iteration], metrics: Sequence[str]
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield unknown iterations and flow metrics, and courses that start too late."""
        known = [each.name for each in iterations]
        for name, metric in self.metrics.items():
            here = ("strategy", "metrics", name)
            if metric.expect_from is not None and metric.expect_from not in known:
                said = unknown_name("iteration", metric.expect_from, known)
                yield (*here, "expect_from"), said
                continue
            for each in metric.fed_by:
                if each not in metrics:
                    yield (*here, "fed_by"), unknown_name("flow metric", each, metrics)
            start = course_start(metric, iterations)
            if start is not None and start >= metric.by:
                said = f"by is {metric.by}, but the course starts on {start}; give a later day"
                yield (*here, "by"), said


def course_start(metric: StrategicMetric, iterations: Sequence[Iteration]) -> date | None:
    """Return the day from which on a metric should move: its iteration's start, or the first one's."""
    starts = {each.name: first_day(each.start) for each in iterations if each.start is not None}
    if metric.expect_from is not None:
        return starts.get(metric.expect_from)
    return min(starts.values(), default=None)


def first_day(value: date) -> date:
    """Return the day of a moment."""
    return value.date() if isinstance(value, datetime) else value
