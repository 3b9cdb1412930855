"""Rows of a flow: which row may serve which of its places, said once for every engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from typing import Any

import narwhals as nw

from workbench.flow import Flow

Frame = nw.LazyFrame[Any]

MICROSECOND = timedelta(microseconds=1)
ENTRANT = ("customer", "entered", "cohort")


def triggers_at(start: Frame, units: Frame, flow: Flow) -> Frame:
    """Give the rows of the entering triggers, before any row was used."""
    triggers = units.filter(among(flow, flow.trigger)).join(unused(start, flow), on="customer")
    return triggers.filter(nw.col("at") == nw.col("before"))


def unused(state: Frame, flow: Flow) -> Frame:
    """Begin anew from a stage: name its time `before`, and no row of that time used."""
    none_used = [nw.lit(0).alias(used) for used in shared(flow).values()]
    return state.select(*ENTRANT, nw.col("at").alias("before"), *none_used)


def ahead(units: Frame, state: Frame, flow: Flow, names: Sequence[str]) -> Frame:
    """Give the rows of these names that may serve the next place: at or after the last, unused.

    `state` has `before`, the last place's time, and for each shared event how many rows of that
    time are used; `units` has `customer`, `at`, `code`, and where places share events `spare`, the
    number of distinct rows alike in these.
    """
    return (
        units.filter(among(flow, names))
        .join(state, on="customer")
        .filter(
            nw.col("at") >= nw.col("before"),
            *(
                (nw.col("code") != code)
                | (nw.col("at") > nw.col("before"))
                | (nw.col("spare") > nw.col(used))
                for code, used in shared(flow).items()
            ),
        )
    )


def take(rows: Frame, flow: Flow, names: Sequence[str]) -> Frame:
    """Take the earliest row; of several at that time the one that the place names first.

    Where events are shared, tell also its `code`, and how many rows of each were used then.
    """
    at, alike = nw.col("at"), shared(flow)
    codes = [flow.every_event.index(name) for name in names]
    if not alike:
        return rows.group_by(*ENTRANT).agg(at.min())
    rank = either([(nw.col("code") == code, rank) for rank, code in enumerate(codes)])
    taken = rows.group_by(*ENTRANT).agg(
        (at * len(codes) + rank).min().alias("key"),
        nw.col("before").max(),
        *(nw.col(used).max() for used in alike.values()),
    )
    rank = nw.col("rank")
    taken = taken.with_columns(
        (nw.col("key") // len(codes)).alias("at"), (nw.col("key") % len(codes)).alias("rank")
    ).with_columns(
        either([(rank == place, code) for place, code in enumerate(codes)]).alias("code")
    )
    still = at == nw.col("before")
    counts = []
    for code, used in alike.items():
        count = nw.when(still).then(nw.col(used)).otherwise(nw.lit(0))
        if code in codes:
            now = rank == codes.index(code)
            count = count + nw.when(now).then(nw.lit(1)).otherwise(nw.lit(0))
        counts.append(count.alias(used))
    return taken.with_columns(*counts).select(*ENTRANT, "at", "code", *alike.values())


def coded(rows: Frame, flow: Flow) -> Frame:
    """Number the events by their place among the flow's events."""
    code = either([(nw.col("event") == name, code) for code, name in enumerate(flow.every_event)])
    return rows.with_columns(code.cast(nw.Int64).alias("code"))


def among(flow: Flow, names: Sequence[str]) -> nw.Expr:
    """Whether the row's event is one of these, by its number."""
    return any_of(*(nw.col("code") == flow.every_event.index(name) for name in names))


def named(events: Sequence[str]) -> nw.Expr:
    """Whether the row's event is one of these; spelled out, since engines push that further down."""
    return reduce(lambda one, other: one | other, [nw.col("event") == name for name in events])


def shared(flow: Flow) -> dict[int, str]:
    """Give the events that count for more than one place of the flow, by code."""
    codes = map(flow.every_event.index, flow.shared_events)
    return {code: f"used {code}" for code in codes}


def no_later(at: nw.Expr, since: str, limit: timedelta | None) -> nw.Expr:
    """Whether a time lies within a limit since an earlier one, inclusive; None is no limit."""
    return at >= nw.col(since) if limit is None else at <= nw.col(since) + limit // MICROSECOND


def over(since: str, limit: timedelta | None, as_of: int) -> nw.Expr:
    """Whether a window is over by `as_of`; without a limit it always is."""
    if limit is None:
        return nw.lit(value=True)
    return nw.col(since) + limit // MICROSECOND <= as_of


def any_of(*conditions: nw.Expr) -> nw.Expr:
    """Whether one of the conditions holds; an undefined one does not."""
    if len(conditions) == 1:
        return conditions[0]
    known = [condition.fill_null(value=False) for condition in conditions]
    return reduce(lambda one, other: one | other, known) if known else nw.lit(value=False)


def either(values: Sequence[tuple[nw.Expr, int]]) -> nw.Expr:
    """Give the value of the first condition that holds; the last one's value if none does."""
    *others, last = values
    return reduce(
        lambda rest, each: nw.when(each[0]).then(nw.lit(each[1])).otherwise(rest),
        reversed(others),
        nw.lit(last[1]),
    )
