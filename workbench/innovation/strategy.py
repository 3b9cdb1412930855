"""Strategic metrics: each one's trend against its course, and changes at iterations' starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from workbench.data.engines import Frame, collect
from workbench.data.readers import name as name_of
from workbench.data.readers import named
from workbench.data.study_data import StudyData
from workbench.data.times import read_day
from workbench.errors import DataError, StudyError, unknown_name
from workbench.schema.cohort import MISSING
from workbench.schema.strategy import StrategicMetric, StrategySource, course_start, first_day
from workbench.schema.time import Iteration, Period
from workbench.stats.trend import FEWEST, UNKNOWN, Change, Coefficient, Trend, change, trend

RECENT = 12  # periods that a trend looks back on where the course has not begun
EACH = 0.975  # level of the interval of a step and of a bend, so that both hold at 95 %
State = Literal["too early", "target reached", "ahead", "on course", "behind", "cannot tell"]
NOT_RANDOMIZED = (
    "Nothing was randomized: a change at a release may come from anything else that happened then."
)


def read_strategy(
    table: Frame,
    source: StrategySource,
    groupings: Iterable[str] = (),
    cohort: Mapping[str, str] | None = None,
) -> dict[str, dict[Period, float]]:
    """Return each metric's values by period, in order.

    Args:
        table: The table.
        source: The study's strategic metrics.
        groupings: The study's grouping columns; those that the table has tell whom a row is of.
        cohort: The values of grouping columns that rows are kept for; those of everybody, in which
            they are empty, unless given.

    Raises:
        DataError: For a missing column, a metric without rows, an unreadable period or value, a
            period with two values, and a period without one.
    """
    columns = table.collect_schema().names()
    for column in source.columns:
        if column not in columns:
            raise DataError(f"{source.source}: {unknown_name('column', column, columns)}")
    table = named(table, [source.metric], source.source)
    every = collect(table)
    apart = _apart(every, groupings, columns)
    rows = [
        tuple(row[column] for column in source.columns)
        for row in every
        if _cohort(row, apart) == (cohort or {})
    ]
    series: dict[str, dict[Period, float]] = {name: {} for name in source.metrics}
    known = {str(name) for name, *_ in rows}
    for name in series:
        if name not in known:
            raise DataError(f"{source.source}: {unknown_name('metric', name, known)}")
    for name, written, value in rows:
        if str(name) in series:
            where = f"{source.source}: {name}"
            try:
                day = read_day(written, source.time_format)
                period = Period.read("" if day is None else day)
            except (DataError, ValueError) as error:
                raise DataError(f"{where}: {error}") from None
            if period in series[str(name)]:
                raise DataError(f"{where} has two rows for {period.name}; keep one")
            series[str(name)][period] = _value(value, where, period.name, source.decimal)
    return {name: _in_sequence(name, each, source.source) for name, each in series.items()}


def _apart(
    rows: Sequence[Mapping[str, Any]], groupings: Iterable[str], columns: Sequence[str]
) -> list[str]:
    """Return the grouping columns that tell cohorts' rows from those of everybody, where they are empty."""
    there = [column for column in groupings if column in columns]
    return [column for column in there if not all(_cohort(row, [column]) for row in rows)]


def _cohort(row: Mapping[str, Any], columns: Iterable[str]) -> dict[str, str]:
    """Return the grouping values of a row; none of everybody's."""
    named = {column: name_of(row[column]).strip() for column in columns}
    return {column: value for column, value in named.items() if value not in ("", MISSING)}


def _in_sequence(name: str, series: Mapping[Period, float], source: str) -> dict[Period, float]:
    """Return a series in order; raise DataError for a gap, or for two kinds of periods."""
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
    """Return a day's month, if there is one day in each of several months."""
    months = {Period.containing(each.start, "month") for each in days}
    return Period.containing(day.start, "month") if len(months) == len(days) > 1 else day


def _value(value: object, where: str, period: str, decimal: str) -> float:
    written = str(value).strip()
    try:
        number = float(
            written.replace(".", "?").replace(decimal, ".") if decimal == "," else written
        )
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where} is {value!r} in {period}; a value must be a finite number")
    return number


class CoursePoint(NamedTuple):
    """A metric in one period: its value, and the value that its course expects."""

    period: str
    value: float
    expected: float


@dataclass(frozen=True)
class Standing:
    """A strategic metric against its course: its values, its trend, its state, and a sentence.

    `trend.level` is the trend's value in the newest period, with its interval; `trend.slope` is its
    change per period. `since` names the first period of the trend. `state` compares the level with
    the course.
    """

    name: str
    metric: StrategicMetric
    points: tuple[CoursePoint, ...]
    trend: Trend
    since: str
    state: State
    sentence: str

    def row(self) -> dict[str, Any]:
        """Return the standing as one row of plain values."""
        metric, newest = self.metric, self.points[-1]
        found = {"level": self.trend.level, "slope": self.trend.slope}
        return {
            "metric": self.name,
            "area": metric.area,
            "unit": metric.unit,
            "better": metric.better,
            "baseline": metric.baseline,
            "now": newest.value,
            "period": newest.period,
            "expected": newest.expected,
            "target": metric.target,
            "by": metric.by.isoformat(),
            "expect_from": metric.expect_from,
            "state": self.state,
            **{
                name if end == "estimate" else f"{name}_{end}": getattr(each, end)
                for name, each in found.items()
                for end in ("estimate", "low", "high")
            },
            "since": self.since,
            "periods": self.trend.periods,
            "reason": self.trend.reason,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Marked:
    """Whether a strategic metric changed at the start of an iteration; nothing was randomized.

    `marks` says what changed: "level", "slope", "level and slope", "nothing" or "cannot tell".
    `near` names the other iterations that began within six periods, which may have caused it too.
    """

    name: str
    iteration: str
    change: Change
    near: tuple[str, ...]
    marks: str
    sentence: str


@dataclass(frozen=True)
class Strategy:
    """A study's strategic metrics against their courses, and changes at its iterations' starts."""

    standings: tuple[Standing, ...]
    changes: tuple[Marked, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each metric."""
        return [each.row() for each in self.standings]

    def feeds(self) -> list[dict[str, Any]]:
        """Return one row for each flow metric that is expected to move a strategic one."""
        return [
            {
                "flow_metric": source,
                "metric": each.name,
                "area": each.metric.area,
                "expect_from": each.metric.expect_from,
                "state": each.state,
            }
            for each in self.standings
            for source in each.metric.fed_by
        ]


def assess(
    series: Mapping[str, Mapping[Period, float]],
    source: StrategySource,
    iterations: Sequence[Iteration],
    until: date | None = None,
) -> Strategy:
    """Compare each metric with its course, and test for a change at the start of each iteration.

    Args:
        series: The values of each metric by period, as `read_strategy` returns them.
        source: The study's strategic metrics, with baselines, targets and dates.
        iterations: The study's iterations.
        until: Only periods that are over by this day count; all unless given.

    Raises:
        DataError: For a metric without a period that is over.
    """
    standings: list[Standing] = []
    changes: list[Marked] = []
    for name, metric in source.metrics.items():
        over = {
            each: value for each, value in series[name].items() if not until or each.end <= until
        }
        if not over:
            first = next(iter(series[name]))
            raise DataError(
                f"{source.source}: no period of {name} is over by {until}; the first, {first.name}, "
                f"ends on {first.end - timedelta(days=1)}; give a later as_of"
            )
        standings.append(_standing(name, metric, over, iterations))
        changes += _changes(name, metric, over, iterations)
    return Strategy(tuple(standings), tuple(changes))


def _standing(
    name: str,
    metric: StrategicMetric,
    over: Mapping[Period, float],
    iterations: Sequence[Iteration],
) -> Standing:
    periods, values = list(over), list(over.values())
    start = course_start(metric, iterations) or periods[0].start
    points = tuple(
        CoursePoint(each.name, value, metric.expected(each.middle, start))
        for each, value in over.items()
    )
    begun = sum(each.middle >= start for each in periods)
    looked = begun if begun >= FEWEST else min(len(periods), RECENT)
    found = trend(values[-looked:])
    state = _state(metric, found.level, points[-1].expected, begun=begun > 0)
    standing = Standing(name, metric, points, found, periods[-looked].name, state, "")
    return Standing(**{**standing.__dict__, "sentence": _sentence(standing)})


def _state(metric: StrategicMetric, level: Coefficient, expected: float, *, begun: bool) -> State:
    """Return the state: the interval of the level compared with the course.

    An interval that contains both the baseline and the course cannot tell no progress from all of
    the progress expected.
    """
    if not begun:
        return "too early"
    if math.isnan(level.low):
        return "cannot tell"
    worst, best = sorted((metric.gain(level.low), metric.gain(level.high)))
    wanted = metric.gain(expected)
    if worst >= metric.gain(metric.target):
        return "target reached"
    if worst > wanted:
        return "ahead"
    if best < wanted:
        return "behind"
    return "cannot tell" if worst <= 0 else "on course"


def _changes(
    name: str,
    metric: StrategicMetric,
    over: Mapping[Period, float],
    iterations: Sequence[Iteration],
) -> Iterator[Marked]:
    values = list(over.values())
    starts = {each.name: first_day(each.start) for each in iterations if each.start is not None}
    places = {
        iteration: sum(period.middle < start for period in over)
        for iteration, start in starts.items()
    }
    for iteration, place in places.items():
        near = tuple(
            other
            for other, at in places.items()
            if other != iteration and abs(at - place) < FEWEST and at < len(values)
        )
        found = change(values, place, confidence_level=EACH)
        step, bend = (
            not each.low <= 0 <= each.high if not math.isnan(each.low) else False
            for each in (found.level, found.slope)
        )
        marks = " and ".join(
            each for each, there in (("level", step), ("slope", bend)) if there
        ) or ("nothing" if found.level is not UNKNOWN else "cannot tell")
        said = _change_sentence(metric, iteration, found, marks, near)
        yield Marked(name, iteration, found, near, marks, f"{name}: {said}")


def _sentence(standing: Standing) -> str:
    metric, newest = standing.metric, standing.points[-1]
    now = f"{standing.name} is {amount(newest.value, metric.unit)} in {newest.period}"
    level, slope = standing.trend.level, standing.trend.slope
    if math.isnan(level.low):
        found = standing.trend.reason
    else:
        ends = f"{amount(level.low)} to {amount(level.high, metric.unit)}"
        move = f"{signed(slope.estimate)} [{signed(slope.low)}, {signed(slope.high)}] a period"
        found = f"its trend since {standing.since} puts it at {ends}, {move}"
    course = f"the course expects {amount(newest.expected, metric.unit)}"
    target = f"{amount(metric.target, metric.unit)} by {metric.by}"
    if standing.state == "too early":
        when = f"from {metric.expect_from} on" if metric.expect_from else "later"
        return f"{now}. Too early: the study expects a move {when}, to {target}; {found}."
    if standing.state == "cannot tell":
        return f"{now}; {course}, {target}. Cannot tell where it stands: {found}."
    return f"{now}; {course}, {target}. {standing.state.capitalize()}: {found}."


def _change_sentence(
    metric: StrategicMetric, iteration: str, found: Change, marks: str, near: Sequence[str]
) -> str:
    if marks == "cannot tell":
        return f"cannot tell whether {iteration} marks a change: {found.reason}."
    step, bend = (
        f"{signed(each.estimate)} [{signed(each.low)}, {signed(each.high)}]"
        for each in (found.level, found.slope)
    )
    unit = f" {metric.unit}" if metric.unit else ""
    lead = (
        f"no change stands out at {iteration}"
        if marks == "nothing"
        else f"its {marks} changed with {iteration}"
    )
    numbers = f"level {step}{unit}, slope {bend}{unit} a period"
    also = ""
    if near and marks != "nothing":
        also = f" {', '.join(near)} began within {FEWEST} periods and may have caused it as well."
    return f"{lead} ({numbers}).{also}"


def amount(value: float, unit: str = "") -> str:
    """Return an amount with its unit.

    >>> amount(120345.6, "EUR"), amount(4.236), amount(12.5, "%")
    ('120,346 EUR', '4.24', '12.5%')
    """
    written = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{written}{unit}" if unit == "%" else f"{written} {unit}".rstrip()


def signed(value: float) -> str:
    """Return a difference with its sign.

    >>> signed(-1234.5), signed(0.25)
    ('−1,234', '+0.25')
    """
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return f"{sign}{amount(abs(value))}"


def assess_strategy(
    data: StudyData, at: datetime | None, cohort: Mapping[str, str] | None = None
) -> Strategy:
    """Assess a study's strategic metrics as of a time, as `assess` does; of a cohort, if one is given.

    Raises:
        StudyError: For a study without strategic metrics.
        DataError: For values that `read_strategy` or `assess` cannot use.
    """
    source = data.spec.strategy
    if source is None:
        raise StudyError("the study names no strategic metrics; add strategy with its metrics")
    table = data.tables.read(source)
    columns = table.collect_schema().names()
    known = _apart(collect(table), data.spec.groupings, columns) if cohort else []
    for column in cohort or {}:
        if column not in known:
            raise StudyError(f"{source.source}: {unknown_name('grouping', column, known)}")
    series = read_strategy(table, source, data.spec.groupings, cohort)
    until = None if at is None else at.astimezone(ZoneInfo(data.spec.timezone)).date()
    return assess(series, source, data.spec.iterations, until)


class Level(NamedTuple):
    """A strategic metric of one level of a grouping: its first and newest value, and everybody's."""

    metric: str
    grouping: str
    level: str
    first: CoursePoint
    newest: CoursePoint
    whole: float

    def row(self) -> dict[str, Any]:
        """Return the level as one row of plain values."""
        return {
            "metric": self.metric,
            "grouping": self.grouping,
            "level": self.level,
            "since": self.first.period,
            "first": self.first.value,
            "period": self.newest.period,
            "newest": self.newest.value,
            "whole": self.whole,
        }


def strategy_levels(data: StudyData, at: datetime | None) -> list[Level]:
    """Return each strategic metric by each level of the groupings that its table has.

    The table has a column for a grouping, which is empty in the rows of everybody.
    """
    source = data.spec.strategy
    if source is None:
        return []
    table = data.tables.read(source)
    rows = collect(table)
    apart = _apart(rows, data.spec.groupings, table.collect_schema().names())
    cohorts = [_cohort(row, apart) for row in rows] if apart else []
    levels = sorted({(*each.items(),)[0] for each in cohorts if len(each) == 1})
    whole = {each.name: each.points[-1].value for each in assess_strategy(data, at).standings}
    found = []
    for column, level in levels:
        known = {str(row[source.metric]) for row in rows if _cohort(row, apart) == {column: level}}
        kept = {name: each for name, each in source.metrics.items() if name in known}
        own = source.model_copy(update={"metrics": kept})
        series = read_strategy(table, own, data.spec.groupings, {column: level})
        until = None if at is None else at.astimezone(ZoneInfo(data.spec.timezone)).date()
        for each in assess(series, own, (), until).standings:
            points = (each.points[0], each.points[-1])
            found.append(Level(each.name, column, level, *points, whole[each.name]))
    return found
