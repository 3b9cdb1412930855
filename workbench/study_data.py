"""The data of a study: opened once, and counted for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from workbench.aggregates import CountsTable, OutcomesTable, customers_table
from workbench.cohorts import MISSING
from workbench.engines import read_table
from workbench.errors import StudyError
from workbench.events import EventLog
from workbench.hypothesis import Hypothesis
from workbench.iterations import Span, to_instant
from workbench.journeys import Journeys
from workbench.specification import StudySpec
from workbench.steps import StepCounts


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
        """The grouping columns whose values customers were put into."""
        return [column for column, kind in self.spec.groupings.items() if kind == "experiment"]

    def newest(self, at: datetime | None) -> datetime | None:
        """Give the time up to which the data are read; None for data without times."""
        if self.journeys is not None:
            return self.journeys.as_of(at)
        return at if isinstance(self.opened, CountsTable) else None

    def counts(
        self, by: Sequence[str], at: datetime | None, claim: Hypothesis | None = None
    ) -> list[StepCounts]:
        """Count every iteration's steps for each cohort, by a hypothesis's window if it has one."""
        data = self.opened
        if isinstance(data, Journeys):
            if claim is None:
                return data.count_steps(by, at)
            return data.count_steps(by, at, claim.window, claim.metric)
        if claim is not None and claim.window is not None:
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
            return data.count_steps(self.spans, by, None if at is None else to_instant(at))
        return data.count_steps(self.spans, by)

    def entered(self, by: Sequence[str], at: datetime | None, iteration: str) -> dict[str, int]:
        """Give how many customers of an iteration entered the flow in each cohort of a grouping."""
        here = (iteration, self.spec.steps[0])
        rows = [each for each in self.counts(by, at) if (each.iteration, each.step) == here]
        rows.sort(key=lambda each: each.cohort)
        return {each.cohort[0]: each.entered for each in rows if each.cohort[0] != MISSING}

    def allocation(self, iteration: str) -> Mapping[str, float]:
        """Give the planned shares of an iteration's experiment cohorts; empty for equal ones."""
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
        return Journeys(log, spec.flow, self.spans, spec.groupings, customers)
