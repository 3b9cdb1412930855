"""A study's data: opened once, and counted for each question."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.data.conditions import NUMBER
from workbench.data.counts import CountsTable, OutcomesTable, StepCounts
from workbench.data.engines import FILE, Frame, aggregated, collect, distinct, keep
from workbench.data.event_log import EventLog
from workbench.data.metrics import count_next, count_steps
from workbench.data.paths import Paths, trace
from workbench.data.tables import Tables
from workbench.data.times import odd_clocks, unit_of
from workbench.data.walk import OPPORTUNITY
from workbench.errors import DataError, StudyError, unknown_name
from workbench.schema.cohort import MISSING, PARTICIPATION, Cohort, GroupingKind
from workbench.schema.flow import ADOPTION, Flow
from workbench.schema.hypothesis import Hypothesis, Idea
from workbench.schema.single_arm import SingleArmClaim
from workbench.schema.study import StudySpec
from workbench.schema.time import Span, from_instant, to_instant

CLOCKS = {
    "skips": "skip; they count on from before",
    "passes twice": "pass twice; the first is meant",
}
UNIT_NAMES = {
    "epoch_s": "seconds",
    "epoch_ms": "milliseconds",
    "epoch_us": "microseconds",
    "epoch_ns": "nanoseconds",
}
Odd = tuple[int, Mapping[str, Any]]
ProblemLevel = Literal["error", "warning", "note"]
COLUMNS = ("level", "problem", "count", "example")


MOST_NUMBERS = 20
FOUR_IN_FIVE = 0.8
STRAYS = 5  # rows that may be strays, at the most
DAY = 86_400_000_000
LONG = 90 * DAY  # a gap before rows whose clocks may be wrong


class Strangers(NamedTuple):
    """How the customers of a log meet a customers table.

    `all` counts those of the log, `known` those of them who are in the table; `ours` is one who is
    not, `theirs` an id of the table.
    """

    all: int
    known: int
    ours: str
    theirs: str


@dataclass(frozen=True)
class Journeys:
    """The customers' journeys through a flow, over all of a study's iterations.

    The log is complete through `through` (microseconds since 1970), or else its newest event. Paths
    are kept for each window and `as_of` asked for, and counts for each grouping.
    """

    log: EventLog
    flow: Flow
    spans: tuple[Span, ...]
    groupings: Mapping[str, GroupingKind]
    customers: Frame | None = None
    through: int | None = None
    parts: Sequence[EventLog] = ()
    _paths: dict[Any, Paths] = field(default_factory=dict, repr=False)
    _counts: dict[Any, list[StepCounts]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty log, a trigger that never occurs, and groupings that are no columns."""
        _ = self.log.facts
        self.log.require(self.flow.trigger, "trigger")
        for column in self.groupings:
            if column not in self.columns:
                msg = f"{self.log.name}: {unknown_name('grouping', column, self.columns)}"
                raise DataError(msg)
        self._one_value()
        if self.customers is not None and self.strangers.known == 0:
            found = self.strangers
            msg = (
                f"none of the {found.all:,} customers of {self.log.name} is in the customers table: "
                f"there it says {found.theirs!r}, here {found.ours!r}; write ids one way"
            )
            raise DataError(msg)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that can group customers."""
        known = () if self.customers is None else self.customers.collect_schema().names()
        roles = {self.log.customer, self.log.event, self.log.time, "customer", FILE}
        return tuple(sorted({*self.log.columns, *known} - roles))

    def as_of(self, moment: datetime | None) -> datetime:
        """Return the moment up to which the log is read."""
        return from_instant(self._until(moment))

    def paths(self, moment: datetime | None = None, flow: Flow | None = None) -> Paths:
        """Follow everybody through the flow, or one with a hypothesis's windows."""
        until, claimed, flow = self._until(moment), flow is not None, flow or self.flow
        walked = flow.model_copy(update={"adoption_window": None})  # it changes no step of the walk
        key = (until, walked)
        if key not in self._paths:
            self._paths[key] = trace(
                self.log,
                walked,
                self.spans,
                as_of=until,
                groupings=self.groupings,
                customers=self.customers,
            )
        return replace(self._paths[key], flow=flow, claimed=claimed)

    def count_steps(
        self,
        by: Sequence[str] = (),
        moment: datetime | None = None,
        flow: Flow | None = None,
        cut: int | None = None,
    ) -> list[StepCounts]:
        """Count every iteration's steps, adoption and outcome for each cohort.

        With a `cut`, in microseconds since 1970, only those who entered by then are counted.
        """
        paths = self.paths(moment, flow)
        adopted_within = paths.flow.adoption_window if paths.claimed else None
        key = (tuple(by), paths.as_of, paths.flow, adopted_within, cut)
        if key not in self._counts:
            self._counts[key] = count_steps(paths if cut is None else paths.up_to(cut), by)
        return self._counts[key]

    def count_next(
        self, steps: Sequence[str], by: Sequence[str] = (), moment: datetime | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Count by step what those who deviated there did next."""
        return count_next(self.paths(moment), self.log, steps, by)

    def crossovers(self, iteration: str, moment: datetime | None = None) -> tuple[int, int]:
        """Count an iteration's customers who saw two groups of an experiment.

        The second number is of those for whom it is not known which they saw first.
        """
        paths = self.paths(moment)
        columns = [name for name, kind in self.groupings.items() if kind in PARTICIPATION]
        here = paths.among((), iteration)
        crossed = here & paths.crossed(columns)
        return int(crossed.sum()), int((here & paths.unassigned(columns)).sum())

    @cached_property
    def duplicates(self) -> Odd:
        """Count the rows beyond the first of those equal in every column."""
        columns = [column for column in self.log.columns if column != FILE]
        alike = aggregated(self.log.source.select(*columns), columns, nw.len().alias("(rows)"))
        alike = alike.filter(nw.col("(rows)") > 1)
        return _odd(alike, columns, nw.col("(rows)") - 1)

    @cached_property
    def ties(self) -> Odd:
        """Count the moments at which one customer has several different events of the flow."""
        rows = self.log.rows().filter(nw.col("event").is_in(self.flow.events))
        moments = rows.group_by("customer", "at").agg(
            nw.col("event").min(), nw.col("event").max().alias("other")
        )
        several = moments.filter(nw.col("event") != nw.col("other"))
        return _odd(several, ["customer", "event", "other"], nw.lit(1))

    @cached_property
    def strangers(self) -> Strangers:
        """Count the customers who met the trigger and are in the customers table."""
        if self.customers is None:
            return Strangers(0, 0, "", "")
        numbering = self.log.numbering(self.flow.trigger)
        here = nw.col("event").is_in(self.flow.trigger)
        ours = distinct(self.log.rows().filter(here), "customer")
        theirs = distinct(self.customers.select("customer"), "customer")
        matched = keep(distinct(numbering.match(theirs).select("number"), "number"))
        numbered = numbering.number(ours)
        alone = numbered.join(matched, on="number", how="anti")
        name = nw.col("customer").cast(nw.String)
        missing = collect(alone.select(nw.len().alias("rows"), name.min().alias("example")))[0]
        example = collect(theirs.select(name.min().alias("example")))[0]["example"]
        every = int(collect(ours.select(nw.len().alias("rows")))[0]["rows"])
        return Strangers(
            every, every - int(missing["rows"]), missing["example"] or "", example or ""
        )

    @cached_property
    def stray(self) -> tuple[int, int, int]:
        """Find a few rows far behind all others: how many, the first of their times, the last before.

        At most five rows, and one in ten, after a gap of more than 90 days and half the time before it.
        """
        most = min(STRAYS, self.log.facts.rows // 10)
        at = nw.col("at")
        newest = collect(self.log.rows().sort("at", descending=True).head(most + 1).select(at))
        end = self.log.facts.newest if self.through is None else self.through
        times = [int(row["at"]) for row in newest if row["at"] <= end]
        for count in range(1, len(times)):
            first, before = times[count - 1], times[count]
            if first - before > max((before - self.log.facts.oldest) // 2, LONG):
                return count, first, before
        return 0, 0, 0

    @cached_property
    def spellings(self) -> list[tuple[str, str, int]]:
        """List names of events that differ from one of the flow by case or spaces alone, with rows."""
        known = {_spelled(each): each for each in self.flow.every_event}
        return [
            (name, known[_spelled(name)], rows)
            for name, rows in self.log.names.items()
            if name not in self.flow.every_event and _spelled(name) in known
        ]

    @cached_property
    def nameless(self) -> Odd:
        """Count the rows without an event name."""
        rows = self.log.source.filter(nw.col(self.log.event).is_null())
        return _odd(rows, list(self.log.columns), nw.lit(1))

    def _until(self, moment: datetime | None) -> int:
        """Turn a moment into microseconds: the end of the log by default, never beyond `through`."""
        end = self.log.facts.newest if self.through is None else self.through
        if moment is None:
            return end
        if self.through is not None and to_instant(moment) > end:
            msg = (
                f"as_of is {moment:%Y-%m-%d %H:%M}, but {self.log.name} is complete through "
                f"{from_instant(end):%Y-%m-%d %H:%M} UTC only; give an earlier one, or move through"
            )
            raise DataError(msg)
        if to_instant(moment) < self.log.facts.oldest:
            msg = (
                f"as_of is {moment:%Y-%m-%d %H:%M}, before the first event of {self.log.name} "
                f"({from_instant(self.log.facts.oldest):%Y-%m-%d %H:%M}); give a later one"
            )
            raise DataError(msg)
        return to_instant(moment)

    def _one_value(self) -> None:
        """Refuse a customers table that gives a customer two values of what is no experiment."""
        if self.customers is None:
            return
        known = self.customers.collect_schema().names()
        for column, kind in self.groupings.items():
            if column not in known or kind in PARTICIPATION:
                continue
            value = nw.col(column).cast(nw.String)
            twice = (
                self.customers.group_by("customer")
                .agg(value.min().alias("one"), value.max().alias("other"))
                .filter(nw.col("one") != nw.col("other"))
            )
            if rows := collect(twice.sort("customer").head(1)):
                msg = (
                    f"customer {rows[0]['customer']} has two values of {column} in the customers "
                    f"table ({rows[0]['one']}, {rows[0]['other']}); keep one row per customer"
                )
                raise DataError(msg)


def _spelled(name: str) -> str:
    return " ".join(name.casefold().split())


def _odd(frame: Frame, columns: Sequence[str], count: nw.Expr) -> Odd:
    counted = frame.with_columns(count.alias("(count)")).select(nw.col("(count)").sum())
    total = collect(counted)[0]["(count)"]
    if not total:
        return 0, {}
    shown = [nw.col(name).cast(nw.String) for name in columns]
    example = collect(frame.select(*shown).sort(*columns).head(1))[0]
    return int(total), {name: value for name, value in example.items() if name != FILE}


@dataclass(frozen=True)
class StudyData:
    """What a study's file names, opened when it is first asked for.

    Raises DataError for data that cannot be read, StudyError for a question they cannot answer.
    """

    spec: StudySpec
    folder: Path

    @property
    def journeys(self) -> Journeys | None:
        """The journeys of single customers, if the study has an event log."""
        return self.opened if isinstance(self.opened, Journeys) else None

    @property
    def experiments(self) -> list[str]:
        """The grouping columns whose values customers were put into by lot."""
        return [column for column, kind in self.spec.kinds.items() if kind == "experiment"]

    @property
    def participation(self) -> list[str]:
        """The grouping columns whose values customers were put into, by lot or not."""
        return [column for column, kind in self.spec.kinds.items() if kind in PARTICIPATION]

    def newest(self, at: datetime | None) -> datetime | None:
        """Return the time up to which the data are read; None for data without times."""
        if self.journeys is not None:
            return self.journeys.as_of(at)
        return at if isinstance(self.opened, CountsTable) else None

    def counts(
        self,
        by: Sequence[str],
        at: datetime | None,
        claim: Hypothesis | Idea | None = None,
        cut: int | None = None,
    ) -> list[StepCounts]:
        """Count every iteration's steps for each cohort, or as a hypothesis counts them.

        With a `cut`, in microseconds since 1970, only customers who entered by then are counted.
        """
        data = self.opened
        if isinstance(data, Journeys):
            return data.count_steps(by, at, None if claim is None else self.flow_of(claim), cut)
        if isinstance(claim, Hypothesis) and claim.window is not None:
            msg = (
                f"hypothesis {claim.name!r} has a window, but only events have times; leave it out"
            )
            raise StudyError(msg)
        timed = isinstance(data, CountsTable) and data.source.time is not None
        if at is not None and not timed:
            what = "counts" if isinstance(data, CountsTable) else "outcomes"
            way_out = ", or name their column of days as time" if what == "counts" else ""
            raise StudyError(f"{what} have no times; leave as_of out{way_out}")
        if isinstance(data, CountsTable):
            ends = [
                each for each in (cut, None if at is None else to_instant(at)) if each is not None
            ]
            return data.count_steps(self.spans, by, min(ends, default=None))
        return data.count_steps(self.spans, by)

    def flow_of(self, claim: Hypothesis | SingleArmClaim | Idea) -> Flow | None:
        """Return the flow as a hypothesis counts it: with its own window, and adoption over all who entered."""
        journeys, metrics = self.journeys, {claim.metric}
        if journeys is None:
            return None
        flow, iteration, window = journeys.flow, self.spans[-1].name, None
        if not isinstance(claim, Idea):
            iteration, window = claim.iteration, claim.window
        if isinstance(claim, Hypothesis):
            metrics |= {each.metric for each in claim.guardrails}
        if window is not None:
            flow = flow.within(window, claim.metric or "")
        if ADOPTION not in metrics or not flow.follows_return or flow.adoption_window is not None:
            return flow
        limit = self._adopted_within(iteration)
        if limit is None:
            msg = (
                f"hypothesis {claim.name!r} is about adoption, and earlier iterations do not tell within "
                "which time customers adopt; give the flow an adoption_window, such as 60d"
            )
            raise StudyError(msg)
        return flow.model_copy(update={"adoption_window": limit})

    def _adopted_within(self, iteration: str) -> timedelta | None:
        """Return the time for adoption: as the study says, or as earlier iterations had shown by its start.

        That is the windows for the need and the return, with the days between them in which four in
        five opportunities came.
        """
        journeys, flow = self.journeys, self.spec.flow
        if journeys is None or flow is None or flow.adoption_window is not None:
            return None if flow is None else flow.adoption_window
        if flow.trigger_meets_need or flow.return_limit is None or flow.window is None:
            return flow.return_limit if flow.trigger_meets_need else None
        entries, start = journeys.paths().entries, self.span(iteration).start
        again = entries.after[OPPORTUNITY]
        earlier = [place for place, span in enumerate(self.spans) if span.end <= start]
        known = (again >= 0) & np.isin(entries.span, earlier) & (entries.entered + again < start)
        waited = np.sort((again - entries.after[flow.need_met])[known])
        if not len(waited):
            return None
        days = -(-int(waited[math.ceil(FOUR_IN_FIVE * len(waited)) - 1]) // DAY)
        return flow.window + timedelta(days=days) + flow.return_limit

    def span(self, iteration: str) -> Span:
        """Return an iteration in time."""
        return next(each for each in self.spans if each.name == iteration)

    def entered(
        self, by: Sequence[str], at: datetime | None, iteration: str, cut: int | None = None
    ) -> dict[str, int]:
        """Return how many customers of an iteration entered the flow in each cohort of a grouping."""
        here = (iteration, self.spec.steps[0])
        rows = [
            each for each in self.counts(by, at, cut=cut) if (each.iteration, each.step) == here
        ]
        rows.sort(key=lambda each: each.cohort)
        return {each.cohort[0]: each.entered for each in rows if each.cohort[0] != MISSING}

    def entry_times(
        self, cohort: Cohort, iteration: str, at: datetime | None
    ) -> npt.NDArray[np.int64] | None:
        """Return when each customer of a cohort entered, in microseconds since 1970.

        None for data without times. Those of counts enter at their row's time.
        """
        data = self.opened
        if isinstance(data, Journeys):
            paths = data.paths(at)
            return paths.entries.entered[paths.among(cohort.values, iteration)]
        if isinstance(data, CountsTable) and data.source.time is not None:
            return data.entry_times(self.spans, cohort.values, iteration)
        return None

    def allocation(self, iteration: str) -> Mapping[str, float]:
        """Return the planned shares of an iteration's experiment cohorts; empty for equal ones."""
        return next(each.allocation for each in self.spec.iterations if each.name == iteration)

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """The study's iterations in time."""
        zone = ZoneInfo(self.spec.timezone)
        return tuple(
            each.span(zone) if each.start is not None else Span(each.name, 0, 0)
            for each in self.spec.iterations
        )

    @cached_property
    def opened(self) -> Journeys | CountsTable | OutcomesTable:
        """Open the data that the study names, and check them."""
        tables, flow = self.tables, self.spec.flow
        counted = tables.counts or tables.outcomes
        if counted is not None:
            return counted
        if tables.log is None or flow is None:
            raise StudyError("the study names no data; give events with a flow, counts or outcomes")
        kinds, customers = self.spec.kinds, tables.customers
        return Journeys(tables.log, flow, self.spans, kinds, customers, tables.through, tables.logs)

    @cached_property
    def tables(self) -> Tables:
        """The tables that the study names."""
        return Tables(self.spec, self.folder)


@dataclass(frozen=True)
class Problem:
    """One problem of the data: how bad, what, how often, and a row that shows it."""

    level: ProblemLevel
    message: str
    count: int
    example: Mapping[str, Any]


@dataclass(frozen=True)
class DataReport:
    """All problems found in a study's data."""

    problems: tuple[Problem, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row a problem."""
        rows = [
            (each.level, each.message, each.count, dict(each.example)) for each in self.problems
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that leave nothing to conclude."""
        return tuple(each for each in self.problems if each.level == "error")


def outcome_problems(data: Journeys | CountsTable | OutcomesTable) -> list[Problem]:
    """Name what is odd about the rows of a table of outcomes."""
    if not isinstance(data, OutcomesTable):
        return []
    odd: tuple[tuple[int, ProblemLevel, str], ...] = (
        (data.repeated, "note", "rows repeat another one exactly; they count once"),
        (
            data.crossed,
            "warning",
            "customers are in two groups of an experiment; they are left out",
        ),
    )
    return [Problem(level, said, count, {}) for count, level, said in odd if count]


def log_problems(data: Journeys) -> list[Problem]:
    """Name what is odd about a log's rows."""
    known, flow = data.log.names, data.flow
    found = []
    places = [(f"step {step.name!r}", step.events) for step in flow.steps]
    if flow.outcome is not None:
        places.append((f"outcome {flow.outcome.name!r}", flow.outcome.events))
    for place, events in places:
        for name in events:
            if name not in known:
                near = ", ".join(each for each in known if each not in flow.every_event) or "none"
                message = (
                    f"event {name!r} of {place} does not occur: nobody got there yet, or "
                    f"it is called otherwise; names outside the flow: {near}"
                )
                found.append(Problem("warning", message, 0, {}))
    odd: tuple[tuple[Odd, ProblemLevel, str], ...] = (
        (data.duplicates, "note", "rows repeat another one exactly; they count once"),
        (data.ties, "note", "moments hold several events of the flow; its order decides"),
        (data.nameless, "warning", "rows have no event name; they change nothing"),
    )
    for (count, example), level, message in odd:
        if count:
            found.append(Problem(level, message, count, example))
    return [*found, *(each for find in ODD_LOGS.values() for each in find(data)), *_in_time(data)]


def spelling_problems(data: Journeys) -> list[Problem]:
    """Name the events that differ from those of the flow by case or spaces alone."""
    return [
        Problem(
            "warning",
            f"event {name!r} differs from {ours!r} of the flow by case or spaces alone, and is not "
            "counted; write both one way, or name both",
            rows,
            {"event": name},
        )
        for name, ours, rows in data.spellings
    ]


def customer_problems(data: Journeys) -> list[Problem]:
    """Name the customers who are not in the customers table."""
    meet = data.strangers
    if meet.known == meet.all:
        return []
    message = (
        f"{meet.all - meet.known:,} of {meet.all:,} customers who met the trigger are not in the "
        f"customers table, such as {meet.ours!r} (the table has ids such as {meet.theirs!r}); their "
        "groups are missing"
    )
    return [Problem("warning", message, meet.all - meet.known, {"customer": meet.ours})]


def identity_problems(data: Journeys) -> list[Problem]:
    """Name the ids that stand for two customers."""
    if data.log.identities is None:
        return []
    count, old, one, other = data.log.identities.unclear
    if not count:
        return []
    message = (
        f"{count:,} ids stand for two customers, such as {old!r} for {one!r} and {other!r}; they are "
        "left as customers of their own"
    )
    return [Problem("warning", message, count, {"customer": old})]


def grouping_problems(data: Journeys) -> list[Problem]:
    """Name the groupings that have a group for each of many numbers."""
    found = []
    for column, levels in data.paths().levels.items():
        numbers = [each for each in levels if re.fullmatch(NUMBER, each)]
        if len(numbers) > MOST_NUMBERS:
            message = (
                f"grouping {column} has {len(numbers)} numbers as its groups; cut it into a few, as "
                f"in {column}: {{kind: {data.groupings[column]}, bins: [10, 50]}}"
            )
            found.append(Problem("warning", message, len(numbers), {}))
    return found


def stray_problems(data: Journeys) -> list[Problem]:
    """Name the rows that lie far behind all others."""
    count, first, before = data.stray
    if not count:
        return []
    rows = "1 row lies" if count == 1 else f"{count} rows lie"
    message = (
        f"{rows} far behind all others ({from_instant(first):%Y-%m-%d} after "
        f"{from_instant(before):%Y-%m-%d}), which closes the windows of everybody before; correct the "
        f"time, or say through: {from_instant(before + DAY):%Y-%m-%d}"
    )
    return [Problem("warning", message, count, {})]


# What is odd about a log as a whole, by the name that a table of checks has for it.
ODD_LOGS: Mapping[str, Callable[[Journeys], list[Problem]]] = {
    "customers table": customer_problems,
    "identities": identity_problems,
    "groupings": grouping_problems,
    "event names": spelling_problems,
    "stray times": stray_problems,
}


def _in_time(data: Journeys) -> list[Problem]:
    """Name what is odd about the times of a log, and iterations that nobody enters."""
    log, found = data.log, []
    for part in data.parts or (log,):
        unit = None if part.time_format else unit_of(part.source, part.time, part.name)
        if unit is not None:
            message = f"column {part.time!r} holds numbers; they are read as {UNIT_NAMES[unit]} since 1970"
            found.append(Problem("note", message, part.facts.rows, {}))
        clocks = odd_clocks(part.source, part.time, part.timezone, part.time_format)
        for kind, rows in clocks.items():
            message = f"times lie in an hour that the clocks of {part.timezone} {CLOCKS[kind]}"
            found.append(Problem("note", message, rows, {}))
    entered = {each.iteration for each in data.count_steps()}
    empty = [span.name for span in data.spans if span.name not in entered]
    oldest, newest = (
        f"{from_instant(each):%Y-%m-%d}" for each in (log.facts.oldest, log.facts.newest)
    )
    if empty:
        alone = len(empty) == len(data.spans)
        names = "any iteration" if alone else f"iteration {', '.join(empty)}"
        message = (
            f"no customer enters {names}: the log runs from {oldest} to {newest}; correct start and "
            "end, or the log"
        )
        found.append(Problem("error" if alone else "warning", message, len(empty), {}))
    return found
