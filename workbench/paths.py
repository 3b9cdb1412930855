"""Paths: when each customer who entered the flow in an iteration reached each of its steps.

The only work that touches events. Everything after it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import narwhals as nw

from workbench.cohorts import MISSING
from workbench.endpoints import Adoption, follow_outcome, follow_return
from workbench.engines import Frame, keep
from workbench.errors import DataError, unknown_name
from workbench.events import EventLog
from workbench.flow import ADOPTION, Flow
from workbench.iterations import Span
from workbench.rows import (
    ENTRANT,
    ahead,
    among,
    any_of,
    coded,
    either,
    named,
    no_later,
    over,
    take,
    triggers_at,
)


@dataclass(frozen=True)
class Paths:
    """Who got how far: a frame of the entrants, then one for each step of those who reached it.

    Each frame in `stages` has the columns customer, entered (the entering trigger's time), cohort,
    and at (when the trigger or the step was reached). `cohorts` gives each cohort's grouping values
    (`by NAME`, text). `crossovers` (customer, span: the place in `spans`) are in none of the stages.
    `adoption` and `outcome` (customer, entered, cohort, at) are there where the flow follows them.
    """

    stages: tuple[Frame, ...]
    cohorts: Frame
    crossovers: Frame
    flow: Flow
    spans: tuple[Span, ...]
    as_of: int
    adoption: Adoption | None = None
    outcome: Frame | None = None

    def stage(self, place: int, by: Sequence[str] = ()) -> Frame:
        """Give a stage with span, closed (whether the window is over) and grouping values."""
        return self.grouped(self.stages[place], by, "entered", self.flow.window)

    def of_metric(self, name: str, by: Sequence[str] = ()) -> tuple[Frame, Frame]:
        """Give whom a metric's rate is about, as `stage` does, and those of them who got there.

        A rate is about the entrants; adoption about those who met the trigger again.
        """
        flow = self.flow
        if name == ADOPTION and self.adoption is not None:
            again = self.adoption.opportunities
            return self.grouped(again, by, "before", flow.return_limit), self.adoption.returns
        if self.outcome is not None and flow.outcome is not None and name == flow.outcome.name:
            return self.grouped(self.stages[0], by, "entered", flow.outcome_window), self.outcome
        return self.stage(0, by), self.stages[flow.names.index(name) + 1]

    def grouped(
        self, frame: Frame, by: Sequence[str], since: str, limit: timedelta | None
    ) -> Frame:
        """Add span, grouping values, and closed: whether the limit since that time is over."""
        if by:
            values = self.cohorts.select("cohort", *(f"by {column}" for column in by))
            frame = frame.join(values, on="cohort")
        return frame.with_columns(
            span_of(self.spans, nw.col("entered")).alias("span"),
            over(since, limit, self.as_of).alias("closed"),
        )


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

    `groupings` maps columns, of `customers` (with a column `customer`) or else of the log, to
    their kinds; values of kind "experiment" tell crossovers. `as_of` is in microseconds.
    Raises DataError for a grouping that is a column of neither table.
    """
    groupings = groupings or {}
    known = set() if customers is None else set(customers.collect_schema().names())
    of_log = {column: kind for column, kind in groupings.items() if column not in known}
    for column in of_log:
        if column not in log.columns:
            said = unknown_name("grouping", column, {*log.columns, *known} - {"customer"})
            raise DataError(f"{log.name}: {said}")
    until = log.facts.newest if as_of is None else as_of
    rows = log.rows(*of_log).filter(named(flow.events))
    if until < log.facts.newest:
        rows = rows.filter(nw.col("at") <= until)
    values = [
        nw.col(f"by {column}").cast(nw.String).fill_null(MISSING).alias(f"by {column}")
        for column in of_log
    ]
    rows = keep(coded(rows, flow).select("customer", "at", "code", *values))
    entrants = _entrants(rows, flow, spans, list(of_log))
    crossovers = _crossovers(rows, entrants, _experiments(of_log))
    if customers is not None:
        entrants, twice = _with_customers(entrants, customers, groupings)
        crossovers = nw.concat([crossovers, twice])
    crossovers = keep(crossovers.unique())
    entrants, cohorts = _cohorts(entrants, [f"by {column}" for column in groupings])
    start = entrants.join(crossovers, on=["customer", "span"], how="anti").with_columns(
        nw.col("entered").alias("at")
    )
    start, units = keep(start.select(*ENTRANT, "at")), rows
    if flow.shared_events:
        units = keep(coded(log.units(flow.every_event, until), flow).drop("event"))
    stages, taken = _stages(start, units, flow)
    adoption = follow_return(stages[-1], units, flow) if flow.follows_return else None
    outcome = None
    if flow.outcome is not None:
        shares = not {*flow.outcome.events}.isdisjoint(flow.events)
        if not flow.shared_events:
            units = log.rows().filter(named(flow.outcome.events), nw.col("at") <= until)
            units = coded(units, flow).drop("event")
        outcome = follow_outcome(start, units, taken if shares else [], flow, flow.outcome)
    return Paths(
        stages, cohorts, crossovers, flow, tuple(spans), until, adoption=adoption, outcome=outcome
    )


def span_of(spans: Sequence[Span], at: nw.Expr) -> nw.Expr:
    """Give the place in `spans` of the iteration that a time inside of one lies in."""
    inside = [(at >= span.start) & (at < span.end) for span in spans]
    places = [(within, place) for place, within in enumerate(inside)]
    return either(places).cast(nw.Int64)


def _entrants(rows: Frame, flow: Flow, spans: Sequence[Span], columns: Sequence[str]) -> Frame:
    """Give each customer's first trigger in each iteration, with the grouping values there."""
    at, entered = nw.col("at"), nw.col("entered")
    by = [f"by {column}" for column in columns]
    inside = any_of(*((at >= span.start) & (at < span.end) for span in spans))
    triggers = rows.filter(among(flow, flow.trigger), inside).with_columns(
        span_of(spans, at).alias("span")
    )
    first = keep(
        triggers.group_by("customer", "span").agg(
            at.min().alias("entered"),
            *(nw.col(column).min() for column in by),
            *(nw.col(column).max().alias(f"other {column}") for column in by),
        )
    )
    ends = sorted(spans, key=lambda span: span.start)
    end = either([(entered < span.end, span.end) for span in ends]).alias("end")
    if not by:
        return keep(first.with_columns(end))
    mixed = any_of(*(nw.col(column) != nw.col(f"other {column}") for column in by))
    own = (
        triggers.join(
            first.filter(mixed).select("customer", "span", "entered"), on=["customer", "span"]
        )
        .filter(at == entered)
        .group_by("customer", "span", "entered")
        .agg(*(_only(nw.col(column) != MISSING, column).min().alias(column) for column in by))
        .with_columns(*(nw.col(column).fill_null(MISSING) for column in by))
    )
    names = ["customer", "span", "entered", *by]
    entrants = nw.concat([first.filter(~mixed).select(names), own.select(names)])
    return keep(entrants.with_columns(end))


def _crossovers(rows: Frame, entrants: Frame, experiments: Sequence[str]) -> Frame:
    """Find who shows two values of an experiment from the trigger to the iteration's end."""
    found = [entrants.filter(nw.col("entered") < nw.col("entered")).select("customer", "span")]
    for column in experiments:
        value, own = nw.col(f"by {column}"), nw.col("own")
        others = (
            rows.join(
                entrants.select("customer", "span", "entered", "end", value.alias("own")),
                on="customer",
            )
            .filter(
                value != own,
                value != MISSING,
                nw.col("at") >= nw.col("entered"),
                nw.col("at") < nw.col("end"),
            )
            .group_by("customer", "span", "own")
            .agg(value.min().alias("one"), value.max().alias("two"))
        )
        several = others.filter((own != MISSING) | (nw.col("one") != nw.col("two")))
        found.append(several.select("customer", "span"))
    return nw.concat(found)


def _with_customers(
    entrants: Frame, customers: Frame, groupings: Mapping[str, str]
) -> tuple[Frame, Frame]:
    """Add the values that the customers table holds; give also whom it lists with two groups."""
    known = customers.collect_schema().names()
    columns = [column for column in groupings if column in known]
    table = customers.group_by("customer").agg(
        *(nw.col(column).cast(nw.String).min().alias(f"by {column}") for column in columns),
        *(nw.col(column).cast(nw.String).max().alias(f"other {column}") for column in columns),
    )
    if entrants.collect_schema()["customer"] != table.collect_schema()["customer"]:
        named = nw.col("customer").cast(nw.String)
        table = table.with_columns(named)
        keys = entrants.with_columns(named.alias("(name)"))
        joined = keys.join(table, left_on="(name)", right_on="customer", how="left").drop("(name)")
    else:
        joined = entrants.join(table, on="customer", how="left")
    twice = [
        nw.col(f"by {column}") != nw.col(f"other {column}")
        for column in columns
        if groupings[column] == "experiment"
    ]
    joined = keep(
        joined.with_columns(
            any_of(*twice, nw.lit(value=False)).alias("twice"),
            *(nw.col(f"by {column}").fill_null(MISSING) for column in columns),
        ).drop(*(f"other {column}" for column in columns))
    )
    return joined.drop("twice"), joined.filter(nw.col("twice")).select("customer", "span")


def _cohorts(entrants: Frame, by: Sequence[str]) -> tuple[Frame, Frame]:
    """Number the cohorts, so that stages carry a number in place of the grouping values."""
    if not by:
        numbered = entrants.with_columns(nw.lit(0).alias("cohort"))
        return numbered, numbered.select("cohort").head(1)
    cohorts = keep(entrants.select(*by).unique().with_row_index("cohort", order_by=list(by)))
    return entrants.join(cohorts, on=list(by)), cohorts


def _stages(start: Frame, units: Frame, flow: Flow) -> tuple[tuple[Frame, ...], list[Frame]]:
    """Take step after step: the specification as it reads.

    Give also, where events are shared, the rows that served: customer, entered, at, code.
    """
    shares = bool(flow.shared_events)
    state = keep(take(triggers_at(start, units, flow), flow, flow.trigger)) if shares else start
    stages, taken = [start], [state]
    if flow.trigger_meets_need:
        return (start, start), taken
    for step in flow.steps:
        before = (state.drop("code") if shares else state).rename({"at": "before"})
        rows = ahead(units, before, flow, step.events)
        within = rows.filter(no_later(nw.col("at"), "entered", flow.window))
        state = keep(take(within, flow, step.events))
        stages.append(state.select(*ENTRANT, "at") if shares else state)
        taken.append(state)
    return tuple(stages), taken


def _experiments(groupings: Mapping[str, str]) -> list[str]:
    return [column for column, kind in groupings.items() if kind == "experiment"]


def _only(condition: nw.Expr, column: str) -> nw.Expr:
    return nw.when(condition).then(nw.col(column))
