"""What a study file says of strategic metrics, and of the scale that is true innovation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from workbench.errors import unknown_name
from workbench.schema.base import Name, Names, Spec
from workbench.schema.hypothesis import Probability
from workbench.schema.time import Iteration

AREAS = (
    "business agility",
    "customer engagement",
    "customer reach",
    "financial impact",
    "solution performance",
)


class Scale(Spec):
    """The scale at which a study calls it innovation: rates, over at least so many customers.

    `need_rate` and `outcome_rate` are of those who entered the flow, `adoption_rate` of those who
    met the trigger again. `customers` is the number of customers that each rate must be over.
    """

    need_rate: Probability | None = None
    adoption_rate: Probability | None = None
    outcome_rate: Probability | None = None
    customers: int = Field(default=1, ge=1)


class StrategicMetric(Spec):
    """One strategic metric: its area, where it starts from, and where it should be by when.

    `expect_from` names the iteration from which on it should move: until then it is too early.
    `fed_by` names the flow's metrics that are supposed to move it.
    """

    area: Name
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"
    baseline: float = Field(allow_inf_nan=False)
    target: float = Field(allow_inf_nan=False)
    by: date
    expect_from: Name | None = None
    fed_by: Names = ()

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
        """Give how much better than the baseline a value is."""
        return value - self.baseline if self.better == "higher" else self.baseline - value

    def expected(self, day: date, start: date) -> float:
        """Give the course on a day: the baseline until `start`, a line to the target until `by`."""
        share = (day - start) / (self.by - start)
        return self.baseline + min(max(share, 0.0), 1.0) * (self.target - self.baseline)


class StrategySource(Spec):
    """A table of strategic metrics: one row a metric and period.

    A period is a day (2026-01-31), an ISO week (2026-W05), a month (2026-01) or a quarter
    (2026-Q1); one kind for each metric, without a gap.
    """

    source: Name
    metric: Name = "metric"
    period: Name = "period"
    value: Name = "value"
    metrics: Mapping[str, StrategicMetric] = Field(min_length=1)

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that are read."""
        return self.metric, self.period, self.value

    def contradictions(
        self, iterations: Sequence[Iteration], metrics: Sequence[str]
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Name iterations and flow metrics that the study does not have, and courses without time."""
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
    """Give the day from which on a metric should move: its iteration's start, or the first one's."""
    starts = {each.name: first_day(each.start) for each in iterations if each.start is not None}
    if metric.expect_from is not None:
        return starts.get(metric.expect_from)
    return min(starts.values(), default=None)


def first_day(value: date) -> date:
    """Give the day on which a moment lies."""
    return value.date() if isinstance(value, datetime) else value
