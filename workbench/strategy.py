"""Strategic metrics: what the business wants to move, from where, to where, by when."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator, model_validator

from workbench.engines import Frame, collect
from workbench.errors import DataError, unknown_name
from workbench.grids import PeriodKind, number, starting
from workbench.iterations import Iteration
from workbench.specs import Name, Names, Spec

AREAS = (
    "business agility",
    "customer engagement",
    "customer reach",
    "financial impact",
    "solution performance",
)
FORMS: dict[PeriodKind, str] = {
    "quarter": r"\d{4}-?Q[1-4]",
    "week": r"\d{4}-?W\d{2}",
    "month": r"\d{4}-\d{2}",
}  # whatever has none of them is a day


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


@dataclass(frozen=True)
class Period:
    """A day, week, month or quarter: its name, its first day, and the day after its last."""

    name: str
    kind: PeriodKind
    start: date
    end: date

    @property
    def middle(self) -> date:
        """The day in the middle."""
        return self.start + (self.end - self.start) / 2


def read_strategy(table: Frame, source: StrategySource) -> dict[str, dict[Period, float]]:
    """Read each metric's values in the order of their periods.

    Raises DataError for a missing column, a metric without rows, a period or value that is none,
    a period twice, and a gap.
    """
    columns = table.collect_schema().names()
    for column in source.columns:
        if column not in columns:
            raise DataError(f"{source.source}: {unknown_name('column', column, columns)}")
    rows = [tuple(row[column] for column in source.columns) for row in collect(table)]
    series: dict[str, dict[Period, float]] = {name: {} for name in source.metrics}
    known = {str(name) for name, *_ in rows}
    for name in series:
        if name not in known:
            raise DataError(f"{source.source}: {unknown_name('metric', name, known)}")
    for name, written, value in rows:
        if str(name) in series:
            where = f"{source.source}: {name}"
            period = read_period(written, where)
            if period in series[str(name)]:
                raise DataError(f"{where} has two rows for {period.name}; keep one")
            series[str(name)][period] = _value(value, where, period.name)
    return {name: _in_sequence(name, each, source.source) for name, each in series.items()}


def read_period(written: object, where: str) -> Period:
    """Read a period as it is written; `where` begins the DataError for what is none.

    >>> read_period("2026-Q4", "a table")
    Period(name='2026-Q4', kind='quarter', start=datetime.date(2026, 10, 1), end=datetime.date(2027, 1, 1))
    """
    text = written.isoformat()[:10] if isinstance(written, date) else str(written or "").strip()
    forms: Iterator[PeriodKind] = (each for each in FORMS if re.fullmatch(FORMS[each], text))
    kind: PeriodKind = next(forms, "day")
    try:
        place = number(kind, text)
    except DataError:
        raise DataError(
            f"{where}: {text!r} is no period; write a month as 2026-01, a quarter as 2026-Q1, a "
            "week as 2026-W05, a day as 2026-01-31"
        ) from None
    return Period(text, kind, starting(kind, place), starting(kind, place + 1))


def _in_sequence(name: str, series: Mapping[Period, float], source: str) -> dict[Period, float]:
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


def course_start(metric: StrategicMetric, iterations: Sequence[Iteration]) -> date | None:
    """Give the day from which on a metric should move: its iteration's start, or the first one's."""
    starts = {each.name: first_day(each.start) for each in iterations if each.start is not None}
    if metric.expect_from is not None:
        return starts.get(metric.expect_from)
    return min(starts.values(), default=None)


def _value(value: object, where: str, period: str) -> float:
    try:
        number = float(str(value).strip())
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where} is {value!r} in {period}; a value must be a finite number")
    return number


def first_day(value: date) -> date:
    """Give the day on which a moment lies."""
    return value.date() if isinstance(value, datetime) else value
