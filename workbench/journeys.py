"""Journeys: a study's events and customers as one thing to count, each question worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import narwhals as nw

from workbench.cohorts import GroupingKind
from workbench.deviations import count_next
from workbench.engines import FILE, Frame, collect
from workbench.errors import DataError, unknown_name
from workbench.events import EventLog
from workbench.flow import Flow
from workbench.iterations import Span, from_instant, to_instant
from workbench.learning import count_steps
from workbench.paths import Paths, trace
from workbench.steps import StepCounts

Odd = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True)
class Journeys:
    """The customers' journeys through a flow, over all of a study's iterations.

    Paths are kept for each window and `as_of` asked for, and counts for each grouping.
    """

    log: EventLog
    flow: Flow
    spans: tuple[Span, ...]
    groupings: Mapping[str, GroupingKind]
    customers: Frame | None = None
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

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that can group customers."""
        known = () if self.customers is None else self.customers.collect_schema().names()
        roles = {self.log.customer, self.log.event, self.log.time, "customer", "filename"}
        return tuple(sorted({*self.log.columns, *known} - roles))

    def as_of(self, moment: datetime | None) -> datetime:
        """Give the moment up to which the log is read."""
        return from_instant(self._until(moment))

    def paths(
        self, moment: datetime | None = None, window: timedelta | None = None, metric: str = ""
    ) -> Paths:
        """Follow everybody, by the flow's windows or another one for a metric."""
        until = self._until(moment)
        flow = self.flow.within(window, metric) if window else self.flow
        key = (until, flow)
        if key not in self._paths:
            self._paths[key] = trace(
                self.log,
                flow,
                self.spans,
                as_of=until,
                groupings=self.groupings,
                customers=self.customers,
            )
        return self._paths[key]

    def count_steps(
        self,
        by: Sequence[str] = (),
        moment: datetime | None = None,
        window: timedelta | None = None,
        metric: str = "",
    ) -> list[StepCounts]:
        """Count every iteration's steps, adoption and outcome for each cohort."""
        paths = self.paths(moment, window, metric)
        key = (tuple(by), paths.as_of, paths.flow)
        if key not in self._counts:
            self._counts[key] = count_steps(paths, by)
        return self._counts[key]

    def count_next(
        self, steps: Sequence[str], by: Sequence[str] = (), moment: datetime | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Count by step what those who deviated there did next."""
        return count_next(self.paths(moment), self.log, steps, by)

    def crossovers(self, iteration: str, moment: datetime | None = None) -> int:
        """Count the customers left out of an iteration for two values of an experiment."""
        place = [span.name for span in self.spans].index(iteration)
        return int((self.paths(moment).crossovers.span == place).sum())

    @cached_property
    def duplicates(self) -> Odd:
        """Count the rows beyond the first of those equal in every column."""
        columns = [column for column in self.log.columns if column != FILE]
        alike = self.log.source.group_by(*columns).agg(nw.len().alias("(rows)"))
        return _odd(alike.filter(nw.col("(rows)") > 1), columns, nw.col("(rows)") - 1)

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
    def nameless(self) -> Odd:
        """Count the rows without an event name."""
        rows = self.log.source.filter(nw.col(self.log.event).is_null())
        return _odd(rows, list(self.log.columns), nw.lit(1))

    def _until(self, moment: datetime | None) -> int:
        """Bound a moment by the newest event: the log cannot know more than it holds."""
        newest = self.log.facts.newest
        if moment is None:
            return newest
        if to_instant(moment) < self.log.facts.oldest:
            msg = (
                f"as_of is {moment:%Y-%m-%d %H:%M}, before the first event of {self.log.name} "
                f"({from_instant(self.log.facts.oldest):%Y-%m-%d %H:%M}); give a later one"
            )
            raise DataError(msg)
        return min(newest, to_instant(moment))

    def _one_value(self) -> None:
        """Refuse a customers table that gives a customer two values of what is no experiment."""
        if self.customers is None:
            return
        known = self.customers.collect_schema().names()
        for column, kind in self.groupings.items():
            if column not in known or kind == "experiment":
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


def _odd(frame: Frame, columns: Sequence[str], count: nw.Expr) -> Odd:
    counted = frame.with_columns(count.alias("(count)")).select(nw.col("(count)").sum())
    total = collect(counted)[0]["(count)"]
    if not total:
        return 0, {}
    shown = [nw.col(name).cast(nw.String) for name in columns]
    example = collect(frame.select(*shown).sort(*columns).head(1))[0]
    return int(total), {name: value for name, value in example.items() if name != FILE}
