"""Studies: one innovation effort's file and data, and the questions that a notebook asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb

from workbench import comparisons, quality
from workbench.aggregates import CountsTable, OutcomesTable, customers_table
from workbench.cohorts import MISSING
from workbench.engines import read_table
from workbench.errors import StudyError, WorkbenchError, unknown_name
from workbench.events import EventLog
from workbench.hypothesis import Check, Evaluation, Hypothesis, judge
from workbench.iterations import Span, in_zone, moment, select, to_instant
from workbench.journeys import Journeys
from workbench.learning import learning_table, next_table
from workbench.quality import DataReport, Problem
from workbench.specification import StudySpec, read_study
from workbench.steps import StepCounts

if TYPE_CHECKING:
    import pandas as pd

AsOf = str | date | datetime | None


@dataclass(frozen=True)
class Study:
    """A study: its file, its data, and the verbs that ask them.

    `iteration` in a verb names an iteration; `as_of` is a date (its midnight, in the study's time
    zone), a time or ISO text, and the newest event unless given. Rates and effects are fractions,
    effect = treatment - control. Unknown names raise StudyError, unreadable data DataError.
    """

    spec: StudySpec
    folder: Path

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read a study file; raise StudyError, naming file and line, for what breaks a rule."""
        path = Path(path)
        return cls(read_study(path), path.parent)

    def check(self) -> DataReport:
        """Read the data and name what is wrong with them, each with its count and an example."""
        try:
            data = self._data
        except WorkbenchError as error:
            return DataReport((Problem("error", str(error), 1, {}),))
        problems = quality.log_problems(data) if isinstance(data, Journeys) else []
        for each in self.spec.iterations:
            problems += [
                Problem("warning", f"iteration {each.name}: {row['sentence']}", 1, {})
                for row in self.quality(each.name).to_dict("records")
                if row["level"] != "ok"
            ]
        for claim in self.spec.hypotheses:
            try:
                self._evaluate(claim, None)
            except WorkbenchError as error:
                problems.append(Problem("error", str(error), 1, {"version": claim.version}))
        return DataReport(tuple(problems))

    def learning_metrics(
        self,
        iteration: str | Sequence[str] | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Count how customers followed the flow: one row an iteration, cohort and step.

        entered = aligned + deviated + pending customers; rate = converted / closed, over the
        flow's entrants whose window is over, with its 95 % Wilson interval (low, high); step_rate
        over those who reached the step before; median_hours from the trigger.
        """
        names, columns = self._iterations(iteration), self._columns(by)
        counts = self._counts(columns, self._moment(as_of))
        here = [each for each in counts if each.iteration in names]
        return learning_table(here, columns, names, self.spec.steps)

    def deviations(
        self,
        iteration: str | Sequence[str] | None = None,
        step: str | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Count what customers who deviated did next, for one step or each: next_event, customers.

        share is of those who deviated there; "(nothing)" stands for no later event. Empty for
        studies without an event log, which cannot know.
        """
        names, columns = self._iterations(iteration), self._columns(by)
        steps = self.spec.steps if step is None else (self.spec.known_step(step),)
        data, at = self._data, self._moment(as_of)
        counted = {}
        if isinstance(data, Journeys):
            counted = {name: data.count_next(name, columns, at) for name in steps}
        return next_table(counted, columns, names)

    def evaluate(self, iteration: str | None = None, as_of: AsOf = None) -> list[Evaluation]:
        """Give each hypothesis of an iteration, or of all of them, its verdict."""
        names, at = self._iterations(iteration), self._moment(as_of)
        claims = [each for each in self.spec.hypotheses if each.iteration in names]
        return [self._evaluate(claim, at) for claim in claims]

    def changes(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Compare each step's rate with the iteration before, where nothing was randomized.

        Empty for the first iteration.
        """
        (name,) = self._iterations(iteration)
        every = self._iterations(None)
        before = [None, *every][every.index(name)]
        counts = self._counts((), self._moment(as_of))
        return comparisons.changes(counts, before, name, self.spec.steps)

    def effects(self, iteration: str, hypothesis: str, as_of: AsOf = None) -> pd.DataFrame:
        """Give the effect within each level of each other grouping; exploratory, not a verdict."""
        (name,) = self._iterations(iteration)
        claims = {each.name: each for each in self.spec.hypotheses if each.iteration == name}
        if hypothesis not in claims:
            raise StudyError(unknown_name(f"hypothesis of iteration {name}", hypothesis, claims))
        claim, at = claims[hypothesis], self._moment(as_of)
        levels = {}
        for column in self.spec.groupings:
            if column not in claim.columns:
                columns = (*claim.columns, column)
                counts = self._counts(columns, at, claim)
                levels[column] = comparisons.by_level(counts, columns, claim)
        return comparisons.effects(levels, self.spec.groupings, claim)

    def plan(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Say what each hypothesis's sample could detect, and how many customers it needs."""
        return comparisons.plan(self.evaluate(iteration, as_of))

    def quality(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Say how far an iteration's data can be trusted: check, value, level, sentence."""
        (name,) = self._iterations(iteration)
        at, data = self._moment(as_of), self._data
        facts = quality.log_facts(data) if isinstance(data, Journeys) else []
        counts = self._counts((), at)
        entered = sum(each.entered for each in self._first_step(counts, name))
        closed = min((each.closed for each in counts if each.iteration == name), default=0)
        facts.append(("customers", entered, "ok", f"Customers who entered the flow in {name}."))
        checks = [
            quality.pending_check(entered - closed, entered),
            *self._crossovers(name, entered, at),
        ]
        for column in self._experiments:
            cohorts = self._first_step(self._counts((column,), at), name)
            sizes = {each.cohort[0]: each.entered for each in cohorts if each.cohort[0] != MISSING}
            checks.append(quality.ratio_check(sizes))
        return quality.quality_table(facts, checks)

    def newest(self, as_of: AsOf = None) -> datetime | None:
        """Give the time up to which the data are read; None for data without times."""
        data = self._data
        return data.as_of(self._moment(as_of)) if isinstance(data, Journeys) else None

    def _evaluate(self, claim: Hypothesis, at: datetime | None) -> Evaluation:
        """Evaluate a hypothesis, once for each time that it is looked at."""
        if (claim, at) not in self._evaluations:
            self._evaluations[claim, at] = self._evaluate_anew(claim, at)
        return self._evaluations[claim, at]

    def _evaluate_anew(self, claim: Hypothesis, at: datetime | None) -> Evaluation:
        columns = claim.columns
        counts = self._counts(columns, at, claim)
        try:
            arms = {
                cohort: comparisons.of_cohort(counts, columns, cohort, claim.iteration_of(cohort))
                for cohort in (claim.control, claim.treatment)
            }
        except StudyError as error:
            raise StudyError(f"hypothesis {claim.name}: {error}") from None
        entered = {
            cohort.label: sum(each.entered for each in rows if each.step == self.spec.steps[0])
            for cohort, rows in arms.items()
        }
        control, treatment = (
            comparisons.total(each for each in rows if each.step == claim.metric)
            for rows in arms.values()
        )
        everybody = sum(entered.values())
        checks = [quality.pending_check(everybody - control.total - treatment.total, everybody)]
        if claim.before_after:
            endless = self.spec.flow is not None and not (claim.window or self.spec.flow.window)
            checks.append(quality.before_after_check(claim, endless=endless))
        elif any(column in self._experiments for column in columns):
            checks.append(quality.ratio_check(entered))
            checks += self._crossovers(claim.iteration, everybody, at)
        else:
            checks.append(quality.groups_check(claim))
        seen = self.newest(at)
        return judge(claim, control=control, treatment=treatment, checks=checks, as_of=seen)

    def _crossovers(self, iteration: str, entered: int, at: datetime | None) -> list[Check]:
        if not (isinstance(self._data, Journeys) and self._experiments):
            return []
        return [quality.crossover_check(self._data.crossovers(iteration, at), entered)]

    def _first_step(self, counts: Sequence[StepCounts], iteration: str) -> list[StepCounts]:
        here = (iteration, self.spec.steps[0])
        return sorted(
            (each for each in counts if (each.iteration, each.step) == here),
            key=lambda each: each.cohort,
        )

    def _counts(
        self, by: Sequence[str], at: datetime | None, claim: Hypothesis | None = None
    ) -> list[StepCounts]:
        data = self._data
        if isinstance(data, Journeys):
            return data.count_steps(by, at, claim.window if claim is not None else None)
        if claim is not None and claim.window is not None:
            msg = (
                f"hypothesis {claim.name!r} has a window, but only events have times; leave it out"
            )
            raise StudyError(msg)
        if isinstance(data, CountsTable):
            until = None if at is None else to_instant(at)
            return data.count_steps(self._spans, by, until)
        if at is not None:
            raise StudyError("outcomes have no times; leave as_of out")
        return data.count_steps(self._spans, by)

    def _iterations(self, wanted: str | Sequence[str] | None) -> list[str]:
        return [each.name for each in select(self.spec.iterations, wanted)]

    def _columns(self, by: str | Sequence[str]) -> list[str]:
        columns = [by] if isinstance(by, str) else list(dict.fromkeys(by))
        for column in columns:
            if column not in self.spec.groupings:
                raise StudyError(unknown_name("grouping", column, self.spec.groupings))
        return columns

    def _moment(self, as_of: AsOf) -> datetime | None:
        if as_of is None or as_of == "":
            return None
        try:
            read = moment(as_of) if isinstance(as_of, str) else as_of
        except ValueError as error:
            raise StudyError(f"as_of: {error}") from None
        return in_zone(read, ZoneInfo(self.spec.timezone))

    @property
    def _experiments(self) -> list[str]:
        return [column for column, kind in self.spec.groupings.items() if kind == "experiment"]

    @cached_property
    def _evaluations(self) -> dict[tuple[Hypothesis, datetime | None], Evaluation]:
        return {}

    @cached_property
    def _spans(self) -> tuple[Span, ...]:
        zone = ZoneInfo(self.spec.timezone)
        return tuple(
            each.span(zone) if each.start is not None else Span(each.name, 0, 0)
            for each in self.spec.iterations
        )

    @cached_property
    def _data(self) -> Journeys | CountsTable | OutcomesTable:
        """Open the data that the study names, and check them."""
        spec, connection = self.spec, duckdb.connect()
        customers = None
        if spec.customers is not None:
            role = spec.customers.customer
            table = read_table(spec.customers.source, self.folder, connection, as_text=[role])
            if spec.events is None:
                return OutcomesTable(table, spec.customers, spec.outcomes, spec.groupings)
            customers = customers_table(table, spec.customers)
        if spec.counts is not None:
            return CountsTable(
                read_table(spec.counts.source, self.folder, connection), spec.counts, spec.groupings
            )
        source = spec.events
        if source is None or spec.flow is None:
            raise StudyError("the study names no data; give events with a flow, counts or outcomes")
        as_text = [source.customer, source.event, source.time]
        log = EventLog(
            read_table(source.source, self.folder, connection, as_text),
            customer=source.customer,
            event=source.event,
            time=source.time,
            timezone=source.timezone,
            where=source.where,
            name=source.source,
        )
        return Journeys(log, spec.flow, self._spans, spec.groupings, customers)
