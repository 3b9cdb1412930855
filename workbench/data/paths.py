"""Paths: when each customer who entered the flow reached each of its metrics.

Only this reads events; everything after it counts paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

import narwhals as nw
import numpy as np

from workbench.data.engines import Frame, arrays, keep
from workbench.data.event_log import EventLog, Numbering
from workbench.data.walk import (
    EXIT,
    MICROSECOND,
    NEVER,
    OPPORTUNITY,
    Array,
    Chunk,
    Coding,
    Flags,
    FlowEntries,
    Ints,
    at_once,
    chunks,
    coded,
    walk,
)
from workbench.errors import DataError, unknown_name
from workbench.schema.cohort import PARTICIPATION, Cohort
from workbench.schema.flow import ADOPTION, Flow
from workbench.schema.time import Span
from workbench.stats.anytime import Outcomes
from workbench.stats.proportions import Counts


class Metric(NamedTuple):
    """One metric of all entries, one element an entry.

    `about` says whether the entry is in the rate's denominator, `since` when its window begins,
    `closed` whether the window is over, `left` whether the customer visibly left before, and `took`
    after how many microseconds the metric was reached; `took` is negative if it was not.
    """

    about: Flags
    since: Ints
    closed: Flags
    left: Flags
    took: Ints

    @property
    def reached(self) -> Flags:
        """Whether each entry reached the metric."""
        return self.took >= 0

    @property
    def missed(self) -> Flags:
        """Whether each entry did not reach the metric, and no longer can."""
        return ~self.reached & (self.closed | self.left)


@dataclass(frozen=True)
class Cohorts:
    """The cohort of each entry: its number, and each number's iteration and grouping values."""

    number: Ints
    labels: list[tuple[int, tuple[str, ...]]]

    def count(self, those: Flags) -> Ints:
        """Count those of the entries in each cohort."""
        return np.bincount(self.number[those], minlength=len(self.labels))


@dataclass(frozen=True)
class Paths:
    """The customers who entered the flow, and how far each got.

    Entries hold the places of grouping values in `levels`. `claimed` paths are counted as hypotheses
    count them: adoption over all entrants, within the flow's `adoption_window`.
    """

    entries: FlowEntries
    levels: Mapping[str, tuple[str, ...]]
    flow: Flow
    spans: tuple[Span, ...]
    as_of: int
    numbering: Numbering
    claimed: bool = False

    def metric(self, name: str) -> Metric:
        """Return a metric of all entries.

        The denominator is all entrants; for adoption that no hypothesis is about, those who met the
        trigger again.
        """
        flow, entries = self.flow, self.entries
        since, took = entries.entered, entries.after[name]
        about = np.ones(len(since), dtype=bool)
        limit = flow.decided_within(name) if self.claimed else flow.window_of(name)
        if self.claimed and name == ADOPTION and limit is not None:
            took = np.where(took <= limit // MICROSECOND, took, -1)
        elif name == ADOPTION and flow.follows_return:
            again = entries.after[OPPORTUNITY]
            about, since = again >= 0, since + again
            took = np.where(took < 0, -1, took - again)
        closed = np.ones(len(since), dtype=bool)
        if limit is not None:
            closed = since <= self.as_of - limit // MICROSECOND
        leaves = EXIT in entries.after and name in flow.names
        left = entries.after[EXIT] >= 0 if leaves else np.zeros(len(since), dtype=bool)
        return Metric(about, since, closed, left, took)

    def up_to(self, entered: int) -> Paths:
        """Return the paths of those who entered by a time, in microseconds since 1970."""
        kept = np.flatnonzero(self.entries.entered <= entered)
        return replace(self, entries=self.entries.of(kept))

    def by(self, columns: Sequence[str]) -> Cohorts:
        """Divide the entries into cohorts by iteration and the values of grouping columns."""
        number = self.entries.span
        labels: list[tuple[int, tuple[str, ...]]] = [(span, ()) for span in range(len(self.spans))]
        for column in columns:
            levels = self.levels[column]
            number = number * len(levels) + self.entries.values[column]
            found: Iterable[int] = range(len(labels) * len(levels))
            if len(labels) * len(levels) > len(number):  # then most of them have no entry
                occur, number = np.unique(number, return_inverse=True)
                found = occur.tolist()
            pairs = [divmod(each, len(levels)) for each in found]
            labels = [(labels[i][0], (*labels[i][1], levels[place])) for i, place in pairs]
        return Cohorts(number, labels)

    def among(self, values: Sequence[tuple[str, str]], iteration: str) -> Flags:
        """Return whether each entry is of an iteration and has these grouping values."""
        found: Flags = self.entries.span == [each.name for each in self.spans].index(iteration)
        for column, value in values:
            levels = self.levels[column]
            place = levels.index(value) if value in levels else -1
            found &= self.entries.values[column] == place
        return found

    def crossed(self, columns: Iterable[str], within: timedelta | None = None) -> Flags:
        """Return whether each entry saw another group of an experiment, within a time of its trigger."""
        limit, found = NEVER, np.zeros(len(self.entries.entered), dtype=bool)
        if within is not None:
            limit = within // MICROSECOND
        for column in columns:
            after = self.entries.crossed[column]
            found |= (after >= 0) & (after <= limit)
        return found

    def unassigned(self, columns: Iterable[str]) -> Flags:
        """Return whether each entry saw two groups, and it is not known which one first."""
        found = np.zeros(len(self.entries.entered), dtype=bool)
        for column in columns:
            none = self.entries.values[column] == len(self.levels[column]) - 1
            found |= self.crossed([column]) & none
        return found


def trace(
    log: EventLog,
    flow: Flow,
    spans: Sequence[Span],
    *,
    as_of: int | None = None,
    groupings: Mapping[str, str] | None = None,
    customers: Frame | None = None,
) -> Paths:
    """Follow every customer from the entering trigger through the flow.

    Args:
        log: The event log.
        flow: The customer flow.
        spans: The iterations, in microseconds since 1970.
        as_of: The time as of which the log is read, in microseconds; the newest event unless given.
        groupings: Columns of `customers`, or else of the log, with their kinds; of those of kind
            "experiment" or "focus group" customers have the value that they saw first.
        customers: A table with a column `customer`.

    Raises:
        DataError: A grouping is a column of neither table.
    """
    groupings = groupings or {}
    known = set() if customers is None else set(customers.collect_schema().names())
    of_log = [column for column in groupings if column not in known]
    for column in of_log:
        if column not in log.columns:
            said = unknown_name("grouping", column, {*log.columns, *known} - {"customer"})
            raise DataError(f"{log.name}: {said}")
    until = log.facts.newest if as_of is None else as_of
    start, last = min(span.start for span in spans), min(until, log.facts.newest)
    rows, marked = log.rows_for(flow, *of_log)
    numbering, coding = log.numbering(flow.trigger), Coding.of(rows, of_log)
    table = None if customers is None else _known(customers, numbering, groupings)
    rows = numbering.number(coding.code(coded(rows, marked.every_event)))
    missing = {
        column: len(coding.levels[column]) - 1
        for column in of_log
        if groupings[column] in PARTICIPATION
    }

    def follow(chunk: Chunk) -> FlowEntries:
        return walk(chunk, marked, spans, missing)

    walked: list[FlowEntries] = []
    for some in chunks(
        rows.filter(nw.col("at") >= start, nw.col("at") <= last),
        customers=numbering.count,
        rows=log.facts.rows,
        codes=len(marked.every_event),
        start=start,
        until=last,
    ):
        walked += at_once(follow, some)
    entries = walked[0].joined(walked[1:])
    values, crossed, levels = dict(entries.values), dict(entries.crossed), dict(coding.levels)
    if table is not None:
        values |= {column: each.take(entries.customer) for column, each in table.values.items()}
        crossed |= {column: each.take(entries.customer) - 1 for column, each in table.twice.items()}
        levels |= table.levels
    values = {column: values[column] for column in groupings}
    entries = replace(entries, values=values, crossed=crossed)
    return Paths(entries, levels, flow, tuple(spans), until, numbering)


class _Known(NamedTuple):
    """The grouping values of a customers table, by the customers' numbers.

    `twice` has for each experiment a 1 for customers who are listed with two groups, else a 0: which
    of them came first is not known, so they have no value.
    """

    values: dict[str, Array]
    levels: Mapping[str, tuple[str, ...]]
    twice: dict[str, Ints]


def _known(customers: Frame, numbering: Numbering, groupings: Mapping[str, str]) -> _Known:
    """Read the grouping values of a customers table, and the customers listed with two groups."""
    known = customers.collect_schema().names()
    columns = [column for column in groupings if column in known]
    table = customers.group_by("customer").agg(
        *(nw.col(column).cast(nw.String).min().alias(f"by {column}") for column in columns),
        *(nw.col(column).cast(nw.String).max().alias(f"other {column}") for column in columns),
    )
    differ = {
        column: (nw.col(f"by {column}") != nw.col(f"other {column}")).fill_null(value=False)
        for column in columns
        if groupings[column] in PARTICIPATION
    }
    marked = [each.cast(nw.Int8).alias(f"twice {column}") for column, each in differ.items()]
    table = keep(numbering.match(table.with_columns(*marked) if marked else table))
    coding, by = Coding.of(table, columns), [f"by {column}" for column in columns]
    twice = [f"twice {column}" for column in differ]
    found = arrays(coding.code(table.select("number", *twice, *by)))
    number, values, several = found["number"], {}, {}
    for column in columns:
        none = len(coding.levels[column]) - 1
        values[column] = np.full(numbering.count, none, dtype=np.int32)
        values[column][number] = found[f"by {column}"]
        if column in differ:
            several[column] = np.zeros(numbering.count, dtype=np.int64)
            several[column][number] = found[f"twice {column}"]
            values[column][several[column] == 1] = none
    return _Known(values, coding.levels, several)


def entered_before(paths: Paths, iteration: str) -> dict[str, int]:
    """Count the entrants of an iteration who entered each of those before it too."""
    names, entries = [span.name for span in paths.spans], paths.entries
    here = names.index(iteration)
    now = entries.customer[entries.span == here]
    return {
        name: int(np.isin(entries.customer[entries.span == place], now).sum())
        for place, name in enumerate(names[:here])
    }


def count_apart(
    paths: Paths,
    step: str,
    cohorts: Sequence[tuple[Cohort, str]],
    earlier: Sequence[tuple[Cohort, str]],
    until: int | None,
) -> tuple[list[Counts], int]:
    """Count who reached a metric, without customers who are in an earlier cohort too.

    Args:
        paths: All paths.
        step: The metric.
        cohorts: The cohorts to count, each with its iteration.
        earlier: The cohorts of before, each with its iteration.
        until: Count those who entered by this time, in microseconds since 1970; all for None.

    Returns:
        The counts of each cohort over customers whose window is over, and how many were left out.
    """
    entries, metric = paths.entries, paths.metric(step)
    there = metric.about & metric.closed
    if until is not None:
        there &= entries.entered <= until
    before = np.zeros(len(there), dtype=bool)
    for cohort, iteration in earlier:
        before |= paths.among(cohort.values, iteration)
    again = np.isin(entries.customer, entries.customer[before])
    found, left = [], 0
    for cohort, iteration in cohorts:
        those = there & paths.among(cohort.values, iteration)
        own = those & ~again
        found.append(Counts(int((own & metric.reached).sum()), int(own.sum())))
        left += int((those & again).sum())
    return found, left


def outcomes_in_order(
    paths: Paths, step: str, cohorts: Mapping[str, tuple[Cohort, str]]
) -> Outcomes:
    """Return whether customers whose window is over reached a metric, in their order of entry.

    `cohorts` gives control and treatment, each with its iteration. Entries at one time are ordered
    by customer.
    """
    metric, found = paths.metric(step), {}
    for role, (cohort, iteration) in cohorts.items():
        those = paths.among(cohort.values, iteration) & metric.about & metric.closed
        order = np.argsort(paths.entries.entered[those], kind="stable")
        found[role] = metric.reached[those][order].tolist()
    return Outcomes(found["control"], found["treatment"])
