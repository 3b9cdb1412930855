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
KEYS = ("customer", "span")


@dataclass(frozen=True)
class Paths:
    """One row for each customer and iteration entered.

    `frame` has the columns customer, span (the place in `spans`), the grouping columns
    (`by NAME`, text), crossover (whether the customer shows two values of an experiment grouping),
    `0` (the time of the entering trigger) and `1`, `2`, ... (the time of each step reached in
    time, else null).
    """

    frame: Frame
    flow: Flow
    spans: tuple[Span, ...]
    as_of: int

    @property
    def closed(self) -> nw.Expr:
        """Whether a customer's window is over by `as_of`."""
        if self.flow.window is None:
            return nw.lit(value=True)
        return nw.col("0") + self.flow.window // MICROSECOND <= self.as_of


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
    rows = rows.with_columns(
        nw.col(f"by {column}").cast(nw.String).fill_null(MISSING) for column in of_log
    )
    question = _Question(flow, tuple(spans), of_log)
    if flow.shares_events:
        frame = question.winding(rows, log.units(flow.events, until))
    else:
        first = question.straight(rows)
        unclear = first.filter(nw.col("unclear")).select("customer").unique()
        rest = keep(rows.join(unclear, on="customer", how="semi"))
        winding = question.winding(rest, rest)
        clear = first.join(unclear, on="customer", how="anti").drop("unclear")
        frame = nw.concat([clear, winding.select(clear.collect_schema().names())])
    if customers is not None:
        frame = keep(_with_customers(frame, customers, groupings))
    return Paths(frame, flow, tuple(spans), until)


@dataclass(frozen=True)
class _Question:
    """What is asked of a log's rows: a flow, iterations, and grouping columns with their kinds."""

    flow: Flow
    spans: tuple[Span, ...]
    groupings: Mapping[str, str]

    def straight(self, rows: Frame) -> Frame:
        """Solve in one pass all whose first events after the trigger stand in the flow's order.

        The others are marked `unclear`: somebody who did a later step before an earlier one (and
        may have repeated it), or whose rows differ in a grouping.
        """
        at, entered = nw.col("at"), nw.col("0")
        by = [f"by {column}" for column in self.groupings]
        entrants = keep(
            self._triggers(rows)
            .group_by(*KEYS)
            .agg(
                at.min().alias("0"),
                *(nw.col(column).min() for column in by),
                *(nw.col(column).max().alias(f"other {column}") for column in by),
            )
        )
        named = [f"by {column}" for column in self.experiments]
        differs = [
            (nw.col(column) != nw.col(f"entered {column}")) & (nw.col(column) != MISSING)
            for column in named
        ]
        last = self._end(entered)
        steps = {str(place): names for place, names in enumerate(self.places) if place}
        reached = (
            rows.filter(~_is(self.flow.trigger))
            .join(
                entrants.select(
                    *KEYS, "0", *(nw.col(column).alias(f"entered {column}") for column in named)
                ),
                on="customer",
            )
            .filter(at >= entered, _any(at < last, self._in_window(at)))
            .group_by(*KEYS)
            .agg(
                *(
                    _only(_is(names), "at").min().alias(f"first {place}")
                    for place, names in steps.items()
                ),
                *(((at < last) & _any(*differs)).any().alias("differs") for _ in named[:1]),
            )
        )
        frame = entrants.join(reached, on=list(KEYS), how="left").with_columns(
            _any(
                *(nw.col(column) != nw.col(f"other {column}") for column in by),
                *(nw.col("differs") for _ in named[:1]),
            ).alias("unclear"),
            nw.lit(value=False).alias("crossover"),
        )
        for place in steps:
            first, before = nw.col(f"first {place}"), nw.col(str(int(place) - 1))
            frame = frame.with_columns(
                nw.when(first >= before, self._in_window(first)).then(first).alias(place),
                _any(nw.col("unclear"), first < before).alias("unclear"),
            )
        return keep(frame.select(*KEYS, *by, "0", *steps, "crossover", "unclear"))

    def winding(self, rows: Frame, units: Frame) -> Frame:
        """Solve anybody, step by step: the specification as it reads.

        `units` has `customer`, `event`, `at`, and where places of the flow share events `spare`,
        the number of distinct rows alike in these.
        """
        state = self._taken(self._triggers(units), 0).with_columns(
            nw.col("taken").alias("0"), *(used.alias(name) for name, used in self._used(0))
        )
        state = keep(state.drop("taken", "name"))
        for place in range(1, len(self.places)):
            at, before = nw.col("at"), nw.col(str(place - 1))
            ahead = (
                units.filter(_is(self.places[place]))
                .join(state.filter(~before.is_null()), on="customer")
                .filter(
                    at >= before,
                    self._in_window(at),
                    *(
                        (nw.col("event") != name)
                        | (at > before)
                        | (nw.col("spare") > nw.col(f"used {name}"))
                        for name in self.shared
                    ),
                )
            )
            state = state.join(self._taken(ahead, place), on=list(KEYS), how="left").with_columns(
                nw.col("taken").alias(str(place)),
                *(used.alias(name) for name, used in self._used(place)),
            )
            state = keep(state.drop("taken", "name"))
        state = state.drop(*(f"used {name}" for name in self.shared))
        return self._with_cohorts(state, rows)

    def _taken(self, ahead: Frame, place: int) -> Frame:
        """Take the earliest row; of several at that time the one that the place names first."""
        names = self.places[place]
        rank = _either([(nw.col("event") == name, number) for number, name in enumerate(names)])
        key = nw.col("at") * len(names) + rank
        return (
            ahead.group_by(*KEYS)
            .agg(key.min().alias("key"))
            .select(
                *KEYS,
                (nw.col("key") // len(names)).alias("taken"),
                (nw.col("key") % len(names)).alias("name"),
            )
        )

    def _used(self, place: int) -> list[tuple[str, nw.Expr]]:
        """How many rows of each shared event the steps so far took at the newest step's time."""
        found = []
        for name in self.shared:
            before = nw.lit(0)
            if place:
                still = nw.col("taken") == nw.col(str(place - 1))
                before = nw.when(still).then(nw.col(f"used {name}")).otherwise(nw.lit(0))
            names = self.places[place]
            if name in names:
                now = nw.col("name") == names.index(name)
                before = before + nw.when(now).then(nw.lit(1)).otherwise(nw.lit(0))
            found.append((f"used {name}", before))
        return found

    def _with_cohorts(self, state: Frame, rows: Frame) -> Frame:
        """Add the grouping values of each entering trigger, and who is a crossover."""
        if not self.groupings:
            return state.with_columns(nw.lit(value=False).alias("crossover"))
        at = nw.col("at")
        entering = (at == nw.col("0")) & _is(self.flow.trigger)
        before_end = at < self._end(nw.col("0"))
        named = {
            column: _only(before_end & (nw.col(f"by {column}") != MISSING), f"by {column}")
            for column in self.experiments
        }
        differs = [nw.col(f"one {column}") != nw.col(f"two {column}") for column in named]
        values = (
            rows.join(state.select(*KEYS, "0"), on="customer")
            .filter(at >= nw.col("0"))
            .group_by(*KEYS)
            .agg(
                *(
                    _only(entering & (nw.col(f"by {column}") != MISSING), f"by {column}")
                    .min()
                    .alias(f"by {column}")
                    for column in self.groupings
                ),
                *(value.min().alias(f"one {column}") for column, value in named.items()),
                *(value.max().alias(f"two {column}") for column, value in named.items()),
            )
            .with_columns(
                _any(*differs).alias("crossover"),
                *(nw.col(f"by {column}").fill_null(MISSING) for column in self.groupings),
            )
            .drop(*(f"{which} {column}" for which in ("one", "two") for column in named))
        )
        return keep(state.join(values, on=list(KEYS)))

    def _triggers(self, rows: Frame) -> Frame:
        """Give the triggers inside the iterations, with the iteration's place."""
        at = nw.col("at")
        inside = [(at >= span.start) & (at < span.end) for span in self.spans]
        place = _either([(within, number) for number, within in enumerate(inside)])
        return rows.filter(_is(self.flow.trigger), _any(*inside)).with_columns(
            place.cast(nw.Int64).alias("span")
        )

    def _end(self, entered: nw.Expr) -> nw.Expr:
        """Give the end of the iteration that a trigger inside of one lies in."""
        return _either([(entered < span.end, span.end) for span in self._by_start])

    def _in_window(self, at: nw.Expr) -> nw.Expr:
        if self.flow.window is None:
            return nw.lit(value=True)
        return at <= nw.col("0") + self.flow.window // MICROSECOND

    @property
    def _by_start(self) -> list[Span]:
        return sorted(self.spans, key=lambda span: span.start)

    @property
    def places(self) -> list[tuple[str, ...]]:
        """The events of the trigger and of each step."""
        return [self.flow.trigger, *(step.events for step in self.flow.steps)]

    @property
    def shared(self) -> list[str]:
        """The events that count for more than one place of the flow."""
        return [
            name for name in self.flow.events if sum(name in place for place in self.places) > 1
        ]

    @property
    def experiments(self) -> list[str]:
        """The grouping columns of kind experiment."""
        return [column for column, kind in self.groupings.items() if kind == "experiment"]


def _with_customers(frame: Frame, customers: Frame, groupings: Mapping[str, str]) -> Frame:
    """Add the grouping values that the customers table holds, one row for each customer there."""
    known = customers.collect_schema().names()
    columns = [column for column in groupings if column in known]
    table = customers.group_by("customer").agg(
        *(nw.col(column).cast(nw.String).min().alias(f"by {column}") for column in columns),
        *(nw.col(column).cast(nw.String).max().alias(f"other {column}") for column in columns),
    )
    if frame.collect_schema()["customer"] != table.collect_schema()["customer"]:
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


def _is(events: Sequence[str]) -> nw.Expr:
    """Whether the row's event is one of these; spelled out, since engines push that further down."""
    return reduce(lambda one, other: one | other, [nw.col("event") == name for name in events])


def _only(condition: nw.Expr, column: str) -> nw.Expr:
    return nw.when(condition).then(nw.col(column))


def _any(*conditions: nw.Expr) -> nw.Expr:
    """Whether one of the conditions holds; an undefined one does not."""
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
