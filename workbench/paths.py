"""Paths: when each customer who entered the flow in an iteration reached each of its steps.

The only work that touches events. Everything after it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

import narwhals as nw

from workbench.cohorts import MISSING
from workbench.engines import Frame, keep
from workbench.errors import DataError, unknown_name
from workbench.events import EventLog
from workbench.flow import Flow
from workbench.iterations import Span

MICROSECOND = timedelta(microseconds=1)
ENTRANT = ("customer", "entered", "cohort")


@dataclass(frozen=True)
class Paths:
    """Who got how far: a frame of the entrants, then one for each step of those who reached it.

    Each frame in `stages` has the columns customer, entered (the entering trigger's time), cohort,
    and at (when the trigger or the step was reached). `cohorts` gives each cohort's grouping values
    (`by NAME`, text). `crossovers` (customer, span: the place in `spans`) are in none of the stages.
    """

    stages: tuple[Frame, ...]
    cohorts: Frame
    crossovers: Frame
    flow: Flow
    spans: tuple[Span, ...]
    as_of: int

    def stage(self, place: int, by: Sequence[str] = ()) -> Frame:
        """Give a stage with span, closed (whether the window is over) and grouping values."""
        frame = self.stages[place]
        if by:
            values = self.cohorts.select("cohort", *(f"by {column}" for column in by))
            frame = frame.join(values, on="cohort")
        return frame.with_columns(
            span_of(self.spans, nw.col("entered")).alias("span"), self._closed.alias("closed")
        )

    @property
    def _closed(self) -> nw.Expr:
        if self.flow.window is None:
            return nw.lit(value=True)
        return nw.col("entered") + self.flow.window // MICROSECOND <= self.as_of


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
    rows = log.rows(*of_log).filter(_is(flow.events))
    if until < log.facts.newest:
        rows = rows.filter(nw.col("at") <= until)
    values = [
        nw.col(f"by {column}").cast(nw.String).fill_null(MISSING).alias(f"by {column}")
        for column in of_log
    ]
    rows = keep(_coded(rows, flow).select("customer", "at", "code", *values))
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
    units = rows
    if flow.shares_events:
        units = keep(_coded(log.units(flow.events, until), flow).drop("event"))
    stages = _stages(keep(start.select(*ENTRANT, "at")), units, flow)
    return Paths(stages, cohorts, crossovers, flow, tuple(spans), until)


def span_of(spans: Sequence[Span], at: nw.Expr) -> nw.Expr:
    """Give the place in `spans` of the iteration that a time inside of one lies in."""
    inside = [(at >= span.start) & (at < span.end) for span in spans]
    places = [(within, place) for place, within in enumerate(inside)]
    return _either(places).cast(nw.Int64)


def _entrants(rows: Frame, flow: Flow, spans: Sequence[Span], columns: Sequence[str]) -> Frame:
    """Give each customer's first trigger in each iteration, with the grouping values there."""
    at, entered = nw.col("at"), nw.col("entered")
    by = [f"by {column}" for column in columns]
    inside = _any(*((at >= span.start) & (at < span.end) for span in spans))
    triggers = rows.filter(_among(flow, flow.trigger), inside).with_columns(
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
    end = _either([(entered < span.end, span.end) for span in ends]).alias("end")
    if not by:
        return keep(first.with_columns(end))
    mixed = _any(*(nw.col(column) != nw.col(f"other {column}") for column in by))
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
            _any(*twice, nw.lit(value=False)).alias("twice"),
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


def _stages(start: Frame, units: Frame, flow: Flow) -> tuple[Frame, ...]:
    """Take step after step: the specification as it reads.

    `units` has `customer`, `at`, `code`, and where places of the flow share events `spare`, the
    number of distinct rows alike in these.
    """
    at, before = nw.col("at"), nw.col("before")
    shared = _shared(flow)
    state = start
    if shared:
        state = keep(_take(_triggers_at(start, units, flow), flow, flow.trigger, shared))
    stages = [start]
    for step in flow.steps:
        ahead = (
            units.filter(_among(flow, step.events))
            .join(state.rename({"at": "before"}), on="customer")
            .filter(
                at >= before,
                _in_window(flow, at),
                *(
                    (nw.col("code") != code) | (at > before) | (nw.col("spare") > nw.col(used))
                    for code, used in shared.items()
                ),
            )
        )
        state = keep(_take(ahead, flow, step.events, shared))
        stages.append(state.select(*ENTRANT, "at") if shared else state)
    return tuple(stages)


def _triggers_at(start: Frame, units: Frame, flow: Flow) -> Frame:
    """Give the rows of the entering triggers, before any row was used."""
    unused = [nw.lit(0).alias(used) for used in _shared(flow).values()]
    entering = start.rename({"at": "before"}).with_columns(*unused)
    triggers = units.filter(_among(flow, flow.trigger)).join(entering, on="customer")
    return triggers.filter(nw.col("at") == nw.col("before"))


def _take(ahead: Frame, flow: Flow, names: Sequence[str], shared: Mapping[int, str]) -> Frame:
    """Take the earliest row; of several at that time the one that the place names first.

    Where events are shared, count also how many rows of each were used at that time.
    """
    at = nw.col("at")
    codes = [flow.events.index(name) for name in names]
    if not shared:
        return ahead.group_by(*ENTRANT).agg(at.min())
    rank = _either([(nw.col("code") == code, rank) for rank, code in enumerate(codes)])
    taken = ahead.group_by(*ENTRANT).agg(
        (at * len(codes) + rank).min().alias("key"),
        nw.col("before").max(),
        *(nw.col(used).max() for used in shared.values()),
    )
    taken = taken.with_columns(
        (nw.col("key") // len(codes)).alias("at"), (nw.col("key") % len(codes)).alias("rank")
    )
    still = at == nw.col("before")
    counts = []
    for code, used in shared.items():
        count = nw.when(still).then(nw.col(used)).otherwise(nw.lit(0))
        if code in codes:
            now = nw.col("rank") == codes.index(code)
            count = count + nw.when(now).then(nw.lit(1)).otherwise(nw.lit(0))
        counts.append(count.alias(used))
    return taken.with_columns(*counts).select(*ENTRANT, "at", *shared.values())


def _coded(rows: Frame, flow: Flow) -> Frame:
    """Number the events by their place among the flow's events."""
    code = _either([(nw.col("event") == name, code) for code, name in enumerate(flow.events)])
    return rows.with_columns(code.cast(nw.Int64).alias("code"))


def _among(flow: Flow, names: Sequence[str]) -> nw.Expr:
    return _any(*(nw.col("code") == flow.events.index(name) for name in names))


def _is(events: Sequence[str]) -> nw.Expr:
    """Whether the row's event is one of these; spelled out, since engines push that further down."""
    return reduce(lambda one, other: one | other, [nw.col("event") == name for name in events])


def _shared(flow: Flow) -> dict[int, str]:
    """Give the events that count for more than one place of the flow, by code."""
    places = [flow.trigger, *(step.events for step in flow.steps)]
    return {
        code: f"used {code}"
        for code, name in enumerate(flow.events)
        if sum(name in place for place in places) > 1
    }


def _in_window(flow: Flow, at: nw.Expr) -> nw.Expr:
    if flow.window is None:
        return nw.lit(value=True)
    return at <= nw.col("entered") + flow.window // MICROSECOND


def _experiments(groupings: Mapping[str, str]) -> list[str]:
    return [column for column, kind in groupings.items() if kind == "experiment"]


def _only(condition: nw.Expr, column: str) -> nw.Expr:
    return nw.when(condition).then(nw.col(column))


def _any(*conditions: nw.Expr) -> nw.Expr:
    """Whether one of the conditions holds; an undefined one does not."""
    if len(conditions) == 1:
        return conditions[0]
    known = [condition.fill_null(value=False) for condition in conditions]
    return reduce(lambda one, other: one | other, known) if known else nw.lit(value=False)


def _either(values: Sequence[tuple[nw.Expr, int]]) -> nw.Expr:
    """Give the value of the first condition that holds; the last one's value if none does."""
    *others, last = values
    return reduce(
        lambda rest, each: nw.when(each[0]).then(nw.lit(each[1])).otherwise(rest),
        reversed(others),
        nw.lit(last[1]),
    )
