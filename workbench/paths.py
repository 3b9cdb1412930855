"""Paths: when each customer who entered the flow in an iteration reached each of its steps.

The only work that touches events. Everything after it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Any

import narwhals as nw

from workbench.cohorts import MISSING
from workbench.engines import Frame, keep
from workbench.errors import DataError, unknown_name
from workbench.events import EventLog
from workbench.flow import Flow

MICROSECOND = timedelta(microseconds=1)
KEYS = ("customer", "iteration")


@dataclass(frozen=True)
class Span:
    """An iteration's name, start and end, in microseconds since 1970; the end is not part of it."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Paths:
    """One row for each customer and iteration entered.

    `frame` has the columns customer, iteration, the grouping columns (`by NAME`, text), crossover
    (whether the customer shows two values of an experiment grouping), `0` (the time of the
    entering trigger) and `1`, `2`, ... (the time of each step reached in time, else null).
    """

    frame: Frame
    flow: Flow
    as_of: int

    @property
    def window(self) -> int | None:
        """The flow's window in microseconds."""
        return None if self.flow.window is None else self.flow.window // MICROSECOND

    @property
    def closed(self) -> nw.Expr:
        """Whether a customer's window is over by `as_of`."""
        if self.window is None:
            return nw.lit(value=True)
        return nw.col("0") + self.window <= self.as_of


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
    of_log = [column for column in groupings if column not in known]
    for column in of_log:
        if column not in log.columns:
            said = unknown_name("grouping", column, {*log.columns, *known} - {"customer"})
            raise DataError(f"{log.name}: {said}")
    until = log.facts.newest if as_of is None else as_of
    rows = log.rows(*of_log).filter(nw.col("event").is_in(flow.events))
    if as_of is not None and as_of < log.facts.newest:
        rows = rows.filter(nw.col("at") <= as_of)
    rows = rows.with_columns(
        nw.col(f"by {column}").cast(nw.String).fill_null(MISSING) for column in of_log
    )
    experiments = [column for column in of_log if groupings[column] == "experiment"]
    if flow.shares_events:
        frame = _winding(rows, log.units(flow.events, until), flow, spans, of_log, experiments)
    else:
        first = keep(_straight(rows, flow, spans, of_log))
        unclear = first.filter(nw.col("unclear")).select("customer")
        rest = keep(rows.join(unclear, on="customer", how="semi"))
        frame = _winding(rest, rest, flow, spans, of_log, experiments)
        clear = first.filter(~nw.col("unclear")).drop("unclear")
        frame = nw.concat([clear, frame.select(clear.collect_schema().names())])
    if customers is not None:
        frame = keep(_with_customers(frame, customers, groupings))
    return Paths(frame, flow, until)


def _straight(rows: Frame, flow: Flow, spans: Sequence[Span], columns: Sequence[str]) -> Frame:
    """Solve in one pass each customer whose first events stand in the flow's order already.

    It knows the first and the last row for each place of the flow. A customer is `unclear`, left
    to `_winding`, if that does not do: rows of a step lie on both sides of the step before,
    triggers lie in two iterations, or a grouping has two values.
    """
    in_order = {}
    for place, names in enumerate(_places(flow)):
        here = nw.col("event").is_in(names)
        in_order[place] = here & _inside(spans) if place == 0 else here
    frame = rows.group_by("customer").agg(
        *(_only(here).min().alias(f"first {place}") for place, here in in_order.items()),
        *(_only(here).max().alias(f"last {place}") for place, here in in_order.items()),
        *(nw.col(f"by {column}").min() for column in columns),
        *(nw.col(f"by {column}").max().alias(f"other {column}") for column in columns),
    )
    frame = frame.with_columns(
        nw.col("first 0").alias("0"),
        _in_iteration({span: span.name for span in spans}, "first 0").alias("iteration"),
        nw.lit(value=False).alias("crossover"),
        _any(
            nw.col("last 0") >= _in_iteration({span: span.end for span in spans}, "first 0"),
            *(nw.col(f"by {column}") != nw.col(f"other {column}") for column in columns),
        ).alias("unclear"),
    )
    for place in range(1, len(in_order)):
        first, last, before = nw.col(f"first {place}"), nw.col(f"last {place}"), str(place - 1)
        frame = frame.with_columns(
            nw.when(first >= nw.col(before), _in_window(flow, first)).then(first).alias(str(place)),
            _any(nw.col("unclear"), (first < nw.col(before)) & (last >= nw.col(before))).alias(
                "unclear"
            ),
        )
    return frame.filter(~nw.col("iteration").is_null()).select(
        *KEYS,
        *(f"by {column}" for column in columns),
        *(str(place) for place in in_order),
        "crossover",
        "unclear",
    )


def _winding(  # noqa: PLR0913 - each is a part of the one question
    rows: Frame,
    units: Frame,
    flow: Flow,
    spans: Sequence[Span],
    columns: Sequence[str],
    experiments: Sequence[str],
) -> Frame:
    """Solve any customer, step by step: the specification as it reads.

    `units` has `customer`, `event`, `at`, and where places of the flow share events `spare`, the
    number of distinct rows alike in these.
    """
    shared = _shared(flow)
    state = None
    for place, names in enumerate(_places(flow)):
        ahead = units.filter(nw.col("event").is_in(names))
        if state is None:
            ahead = ahead.filter(_inside(spans)).with_columns(
                _in_iteration({span: span.name for span in spans}, "at").alias("iteration")
            )
        else:
            before = nw.col(str(place - 1))
            ahead = ahead.join(state.filter(~before.is_null()), on="customer").filter(
                nw.col("at") >= before,
                _in_window(flow, nw.col("at")),
                *(
                    (nw.col("event") != name)
                    | (nw.col("at") > before)
                    | (nw.col("spare") > nw.col(f"used {name}"))
                    for name in shared
                ),
            )
        rank = reduce(
            lambda rest, order: (
                nw.when(nw.col("event") == order[1]).then(nw.lit(order[0])).otherwise(rest)
            ),
            enumerate(names),
            nw.lit(0),
        )
        taken = ahead.group_by(*KEYS).agg((nw.col("at") * len(names) + rank).min().alias("taken"))
        state = taken if state is None else state.join(taken, on=list(KEYS), how="left")
        state = state.with_columns((nw.col("taken") // len(names)).alias(str(place)))
        for name in shared:
            now = nw.col("taken") % len(names) == names.index(name) if name in names else None
            used = nw.lit(0)
            if place:
                still = nw.col(str(place)) == nw.col(str(place - 1))
                used = nw.when(still).then(nw.col(f"used {name}")).otherwise(nw.lit(0))
            if now is not None:
                used = used + nw.when(now).then(nw.lit(1)).otherwise(nw.lit(0))
            state = state.with_columns(used.alias(f"used {name}"))
        state = keep(state.drop("taken"))
    return _with_cohorts(state, rows, flow, spans, columns, experiments)


def _with_cohorts(  # noqa: PLR0913 - each is a part of the one question
    state: Frame,
    rows: Frame,
    flow: Flow,
    spans: Sequence[Span],
    columns: Sequence[str],
    experiments: Sequence[str],
) -> Frame:
    """Add the grouping values of each entering trigger, and who is a crossover."""
    if not columns:
        return state.with_columns(nw.lit(value=False).alias("crossover"))
    at = nw.col("at")
    entering = (at == nw.col("0")) & nw.col("event").is_in(flow.trigger)
    until = _in_iteration({span: span.end for span in spans}, "0")
    named = {column: (at < until) & (nw.col(f"by {column}") != MISSING) for column in experiments}
    values = (
        rows.join(state.select(*KEYS, "0"), on="customer")
        .filter(at >= nw.col("0"))
        .group_by(*KEYS)
        .agg(
            *(_only(entering, f"by {column}").min().alias(f"by {column}") for column in columns),
            *(
                _only(named[column], f"by {column}").min().alias(f"one {column}")
                for column in named
            ),
            *(
                _only(named[column], f"by {column}").max().alias(f"two {column}")
                for column in named
            ),
        )
        .with_columns(
            _any(*(nw.col(f"one {column}") != nw.col(f"two {column}") for column in named)).alias(
                "crossover"
            )
        )
    )
    return keep(
        state.join(values, on=list(KEYS)).select(
            *state.collect_schema().names(), *(f"by {column}" for column in columns), "crossover"
        )
    )


def _with_customers(frame: Frame, customers: Frame, groupings: Mapping[str, str]) -> Frame:
    """Add the grouping values that the customers table holds, one row for each customer there."""
    known = customers.collect_schema().names()
    columns = [column for column in groupings if column in known]
    table = customers.group_by("customer").agg(
        *(nw.col(column).cast(nw.String).min().alias(f"by {column}") for column in columns),
        *(nw.col(column).cast(nw.String).max().alias(f"other {column}") for column in columns),
    )
    mine, theirs = frame.collect_schema()["customer"], table.collect_schema()["customer"]
    if mine != theirs:
        frame = frame.with_columns(nw.col("customer").cast(nw.String))
        table = table.with_columns(nw.col("customer").cast(nw.String))
    twice = [
        nw.col(f"by {column}") != nw.col(f"other {column}")
        for column in columns
        if groupings[column] == "experiment"
    ]
    return (
        frame.join(table, on="customer", how="left")
        .with_columns(
            _any(nw.col("crossover"), *twice).alias("crossover"),
            *(nw.col(f"by {column}").fill_null(MISSING) for column in columns),
        )
        .drop(*(f"other {column}" for column in columns))
    )


def _places(flow: Flow) -> list[tuple[str, ...]]:
    return [flow.trigger, *(step.events for step in flow.steps)]


def _shared(flow: Flow) -> list[str]:
    """Give the events that count for more than one place of the flow."""
    return [name for name in flow.events if sum(name in place for place in _places(flow)) > 1]


def _only(condition: nw.Expr, column: str = "at") -> nw.Expr:
    return nw.when(condition).then(nw.col(column))


def _any(*conditions: nw.Expr) -> nw.Expr:
    """Whether one of the conditions holds; an undefined one does not."""
    each = [condition.fill_null(value=False) for condition in conditions]
    return reduce(lambda one, other: one | other, each, nw.lit(value=False))


def _inside(spans: Sequence[Span]) -> nw.Expr:
    return _any(*((nw.col("at") >= span.start) & (nw.col("at") < span.end) for span in spans))


def _in_iteration(values: Mapping[Span, object], column: str) -> nw.Expr:
    """Give, for the iteration that a time lies in, its value; null outside of all."""
    at = nw.col(column)
    chosen: nw.Expr = nw.lit(None)
    for span, value in values.items():
        inside = (at >= span.start) & (at < span.end)
        chosen = nw.when(inside).then(nw.lit(value)).otherwise(chosen)
    return chosen


def _in_window(flow: Flow, at: nw.Expr) -> nw.Expr:
    if flow.window is None:
        return nw.lit(value=True)
    return at <= nw.col("0") + flow.window // MICROSECOND
