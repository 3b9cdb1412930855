"""Follow customers through the flow by sorting and searching whole numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeVar

import narwhals as nw
import numpy as np
import numpy.typing as npt

from workbench.data.engines import Frame, arrays, collect, distinct, keep, quotient
from workbench.schema.cohort import MISSING
from workbench.schema.flow import ADOPTION, Flow
from workbench.schema.time import Span

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Result = TypeVar("Result")
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
NEVER = int(np.iinfo(np.int64).max)  # a key after all others
MICROSECOND = timedelta(microseconds=1)
CHUNK = 1_000_000  # about so many rows are followed together
BATCH = 25_000_000  # about so many rows are in memory together
OPPORTUNITY, EXIT = "(opportunity)", "(exit)"


def at_once(function: Callable[[Any], Result], items: Iterable[Any]) -> list[Result]:
    """Apply a function to each item on all processors; NumPy releases Python's lock as it works."""
    work = list(items)
    if len(work) < 2:
        return [function(item) for item in work]
    with ThreadPoolExecutor(PROCESSORS) as pool:
        return list(pool.map(function, work))


@dataclass(frozen=True)
class KeyScale:
    """The scale of keys: whole numbers in order of customer, then time.

    Each of `customers`, from number `lowest` on, has `width` keys, one a microsecond from `start` on.
    """

    customers: int
    lowest: int
    start: int
    width: int

    def keys(self, customer: Ints, at: Array | int) -> Ints:
        """Return the keys of customers' times."""
        return (customer - self.lowest) * self.width + (at - self.start)

    def places(self, keys: Ints) -> Ints:
        """Return the customers of keys, counted from `lowest`."""
        return keys // self.width

    def ends(self, customer: Ints) -> Ints:
        """Return each customer's last key."""
        return self.keys(customer, self.start + self.width - 1)

    def holds(self, customer: Ints) -> Flags:
        """Return whether each customer has keys on this scale."""
        return (customer >= self.lowest) & (customer < self.lowest + self.customers)


@dataclass(frozen=True)
class Taken:
    """The row by which each entry took a place of the flow.

    `key` is NEVER for an entry without one; `code` is the row's event, `row` its place among the
    rows of that event.
    """

    key: Ints
    code: Array
    row: Ints

    @classmethod
    def at(cls, key: Ints) -> Taken:
        """Make one of keys alone, for when it does not matter which row it was."""
        return cls(key, np.zeros(len(key), dtype=np.int16), np.zeros_like(key))

    def of(self, those: Array) -> Taken:
        """Return some of them, by place."""
        return Taken(self.key.take(those), self.code.take(those), self.row.take(those))

    def serves(self, code: int) -> Flags:
        """Return whether each row is of this event."""
        served: Flags = (self.code == code) & (self.key != NEVER)
        return served


@dataclass(frozen=True)
class Chunk:
    """The rows of some customers, as keys on a scale, by event.

    The chunk's rows of the event with code c are `order[ends[c] : ends[c + 1]]` of `all_keys`.
    `all_values` has for each grouping column the place of a row's value among its levels.
    """

    scale: KeyScale
    all_keys: Ints = field(repr=False)
    order: Array = field(repr=False)
    ends: Ints = field(repr=False)
    all_values: Mapping[str, Array] = field(default_factory=dict, repr=False)
    _sorted: dict[int, Ints] = field(default_factory=dict, repr=False)

    @cached_property
    def _keys(self) -> Ints:
        return self.all_keys.take(self.order[self.ends[0] : self.ends[-1]])

    @cached_property
    def _values(self) -> dict[str, Array]:
        those = self.order[self.ends[0] : self.ends[-1]]
        return {name: each.take(those) for name, each in self.all_values.items()}

    def rows(self, codes: int) -> tuple[Ints, dict[str, Array]]:
        """Return keys and values of the rows of the first `codes` events, one event after the other."""
        some = slice(0, self.ends[codes] - self.ends[0])
        return self._keys[some], {name: each[some] for name, each in self._values.items()}

    def of(self, code: int) -> Ints:
        """Return the keys of an event's rows in order, with NEVER after the last."""
        if code not in self._sorted:
            begin, end = self.ends[code : code + 2] - self.ends[0]
            keys = np.append(self._keys[begin:end], NEVER)
            keys.sort()
            self._sorted[code] = keys
        return self._sorted[code]

    def first(
        self,
        codes: Sequence[int],
        since: Ints,
        until: Ints,
        used: Mapping[int, Ints] | None = None,
    ) -> Taken:
        """Return each entry's earliest row of these events, from `since` to `until` inclusive.

        Of several at one time, the row of the event that comes first in `codes`. `used` has for some
        events the number of rows, from the first on, that are taken already.
        """
        key, row = since, since
        code = np.full(len(since), codes[0], dtype=np.int16)
        for each in codes:
            place = np.searchsorted(self.of(each), since)
            if used and each in used:
                place = np.maximum(place, used[each])
            found = self.of(each).take(place)
            if each == codes[0]:
                key, row = found, place
            else:
                sooner = found < key
                key, row = np.where(sooner, found, key), np.where(sooner, place, row)
                code[sooner] = each
        return Taken(np.where(key > until, NEVER, key), code, row)


def divide(rows: Mapping[str, Array], scales: Sequence[KeyScale], codes: int) -> list[Chunk]:
    """Divide rows into chunks, one a scale; `bin` is s * codes + c for event c on scale s.

    `rows` has the columns key and bin, and for each grouping column `by NAME`. Chunks without rows
    are left out, except for one if there are no others.
    """
    bins, count = rows["bin"], len(scales) * codes
    order = np.argsort(bins, kind="stable")
    ends = np.zeros(count + 1, dtype=np.int64)
    # By parts, since counting makes a copy eight times as long.
    for part in np.array_split(bins, len(bins) // 100_000 + 1):
        ends[1:] += np.bincount(part, minlength=count)
    np.cumsum(ends, out=ends)
    values = {
        name.removeprefix("by "): each for name, each in rows.items() if name.startswith("by ")
    }
    divided = [
        Chunk(scale, rows["key"], order, ends[place * codes : (place + 1) * codes + 1], values)
        for place, scale in enumerate(scales)
    ]
    return [chunk for chunk in divided if chunk.ends[0] < chunk.ends[-1]] or divided[:1]


def codes_of(flow: Flow, names: Sequence[str]) -> list[int]:
    """Return the codes of events: their places among the flow's events."""
    return [flow.every_event.index(name) for name in names]


def within(since: Ints, limit: timedelta | None, last: Ints) -> Ints:
    """Return the last key within a limit, inclusive, and not after a customer's last key."""
    if limit is None:
        return last
    since = np.minimum(since, last)
    until: Ints = since + np.minimum(last - since, min(limit // MICROSECOND, NEVER))
    return until


def follow_return(met: Ints, chunk: Chunk, flow: Flow, last: Ints) -> tuple[Ints, Ints]:
    """Return the key of each customer's next trigger after their need was met, and of the return.

    If the trigger itself meets the need, everybody has an opportunity from then on, and the next
    trigger is the return.
    """
    triggers, later = codes_of(flow, flow.trigger), np.minimum(met, last) + 1
    if flow.trigger_meets_need:
        return met, chunk.first(triggers, later, within(met, flow.return_limit, last)).key
    again = chunk.first(triggers, later, last)
    used = {code: np.where(again.serves(code), again.row + 1, 0) for code in triggers}
    steps = codes_of(flow, flow.steps[0].events)
    until = within(again.key, flow.return_limit, last)
    return again.key, chunk.first(steps, again.key, until, used).key


def follow_outcome(
    entered: Ints, chunk: Chunk, served: Sequence[tuple[Ints, Taken]], flow: Flow, last: Ints
) -> Ints:
    """Return the key of each entry's outcome: the first row in time that is not among `served`.

    `served` are the rows by which the trigger and the steps were taken, in the flow's order, each
    with the places of their entries.
    """
    codes = codes_of(flow, flow.outcome.events if flow.outcome else ())
    used = {}
    for code in codes:
        row = np.searchsorted(chunk.of(code), entered)
        for those, taken in served:
            row[those] += taken.serves(code) & (taken.row == row[those])
        used[code] = row
    return chunk.first(codes, entered, within(entered, flow.outcome_window, last), used).key


def coded(frame: Frame, names: Sequence[str]) -> Frame:
    """Replace `event` by `code`, its place among these names; rows of other events drop out."""
    event, place = nw.col("event"), nw.lit(len(names))
    for number, name in enumerate(names):
        place = nw.when(event == name).then(nw.lit(number)).otherwise(place)
    known = distinct(frame, "event").filter(event.is_in(names))
    codes = keep(known.with_columns(place.cast(smallest(len(names))).alias("code")))
    return frame.join(codes, on="event").drop("event")


@dataclass(frozen=True)
class Coding:
    """The levels of grouping columns, in order and with MISSING last, and tables of their places.

    In frames the column NAME is called `by NAME`.
    """

    levels: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, Frame] = field(repr=False)

    @classmethod
    def of(cls, frame: Frame, columns: Sequence[str], absent: Sequence[str] = (MISSING,)) -> Coding:
        """Find the levels of a frame's columns; values among `absent` count as missing."""
        levels, tables = {}, {}
        for column in columns:
            value = nw.col(f"by {column}")
            known = distinct(frame.with_columns(value.cast(nw.String)), f"by {column}")
            known = known.filter(~value.is_null(), *(value != each for each in absent))
            table = keep(known.with_row_index("(place)", order_by=f"by {column}"))
            rows = sorted(collect(table), key=itemgetter("(place)"))
            levels[column] = (*(row[f"by {column}"] for row in rows), MISSING)
            tables[column] = table
        return cls(levels, tables)

    def code(self, frame: Frame) -> Frame:
        """Replace values by the places of their levels."""
        for column, table in self.tables.items():
            name, missing = f"by {column}", len(self.levels[column]) - 1
            place = nw.col("(place)").fill_null(missing).cast(smallest(missing))
            text = frame.with_columns(nw.col(name).cast(nw.String))
            coded = text.join(table, on=name, how="left").with_columns(place.alias(name))
            frame = coded.drop("(place)")
        return frame


def chunks(
    frame: Frame, *, customers: int, rows: int, codes: int, start: int, until: int
) -> Iterator[list[Chunk]]:
    """Bring rows into memory in chunks of customers, some chunks at a time.

    Args:
        frame: Rows with `number` and `code`, from 0 to below `customers` and `codes`, `at` from
            `start` to `until`, and a column `by NAME` for each grouping.
        customers: The number of customers.
        rows: The number of rows at most.
        codes: The number of events.
        start: The first time, in microseconds since 1970.
        until: The last time.
    """
    width = max(until - start, 0) + 1
    size = max(min(customers // max(rows // CHUNK, 1), NEVER // width), 1)
    scales = [KeyScale(size, lowest, start, width) for lowest in range(0, customers, size)]
    at_once = max(len(scales) * BATCH // max(rows, BATCH), 1)
    by = [name for name in frame.collect_schema().names() if name.startswith("by ")]
    chunk = nw.col("chunk")
    keyed = quotient(frame, "number", size, "chunk").select(
        ((nw.col("number") - chunk * size) * width + (nw.col("at") - start)).alias("key"),
        (chunk * codes + nw.col("code")).cast(smallest(len(scales) * codes)).alias("bin"),
        *by,
    )
    if at_once == len(scales):
        yield divide(arrays(keyed), scales, codes)
        return
    keyed = keep(keyed)
    for first in range(0, len(scales), at_once):
        some, begin = scales[first : first + at_once], first * codes
        inside = nw.col("bin") - begin
        part = keyed.filter(inside >= 0, inside < len(some) * codes)
        yield divide(arrays(part.with_columns(inside.alias("bin"))), some, codes)


def smallest(number: int) -> type[nw.Int8 | nw.Int16 | nw.Int32]:
    """Return the smallest integer type that holds a number and that all engines have."""
    return nw.Int8 if number < 2**7 else nw.Int16 if number < 2**15 else nw.Int32


@dataclass(frozen=True)
class FlowEntries:
    """The entries into the flow, one element a customer and iteration, by customer and time.

    `customer` is a number, `span` an iteration's place, `entered` the time of the entering trigger
    in microseconds since 1970. `values` has for each grouping the places of levels, `crossed` for
    each experiment among them the microseconds from the trigger until another group was seen, -1 for
    never. `after` has for each metric the microseconds from the trigger until it was reached, -1 for
    never; for OPPORTUNITY until the trigger was met again, for EXIT until the customer left without
    the need met.
    """

    customer: Ints
    span: Ints
    entered: Ints
    values: Mapping[str, Array] = field(default_factory=dict)
    crossed: Mapping[str, Ints] = field(default_factory=dict)
    after: Mapping[str, Ints] = field(default_factory=dict)

    def of(self, those: Array) -> FlowEntries:
        """Return some of the entries, by place."""
        return self._like([each.take(those) for each in self.arrays])

    def joined(self, others: Sequence[FlowEntries]) -> FlowEntries:
        """Append the entries of other chunks."""
        arrays = zip(*(each.arrays for each in (self, *others)), strict=True)
        return self._like(at_once(np.concatenate, arrays)) if others else self

    @property
    def arrays(self) -> list[Array]:
        """Every array, in one order."""
        return [
            self.customer,
            self.span,
            self.entered,
            *self.values.values(),
            *self.crossed.values(),
            *self.after.values(),
        ]

    def _like(self, arrays: Sequence[Array]) -> FlowEntries:
        customer, span, entered, *rest = arrays
        each = iter(rest)
        values, crossed, after = (
            {name: next(each) for name in names}
            for names in (self.values, self.crossed, self.after)
        )
        return FlowEntries(customer, span, entered, values, crossed, after)


def walk(
    chunk: Chunk, flow: Flow, spans: Sequence[Span], missing: Mapping[str, int]
) -> FlowEntries:
    """Follow a chunk's customers and return their entries.

    `missing` has for each experiment among the rows' groupings the value that stands for none.
    """
    entries = _enter(chunk, flow, spans)
    if flow.entrants == "new":  # the first of each customer's, who are in order
        entries = entries.of(np.flatnonzero(np.diff(entries.customer, prepend=-1)))
    for column, none in missing.items():
        entries = _assign(entries, chunk, spans, len(flow.events), column, none)
    return _follow(entries, chunk, flow)


def _enter(chunk: Chunk, flow: Flow, spans: Sequence[Span]) -> FlowEntries:
    """Return each customer's first trigger in each iteration, with the grouping values there.

    Of several rows at that time, each grouping takes the smallest value that is not missing.
    """
    keys, values = chunk.rows(len(flow.trigger))
    by_time, scale = np.argsort(keys), chunk.scale
    keys = keys.take(by_time)
    place = scale.places(keys)
    at = keys - place * scale.width + scale.start
    order = sorted(range(len(spans)), key=lambda each: spans[each].start)
    edges = [edge for each in order for edge in (spans[each].start, spans[each].end)]
    edge = np.searchsorted(edges, at, side="right")  # odd inside an iteration
    first = edge % 2 == 1
    first[1:] &= (place[1:] != place[:-1]) | (edge[1:] != edge[:-1])
    begin = np.flatnonzero(first)
    smallest = {column: each.take(by_time.take(begin)) for column, each in values.items()}
    tied = np.flatnonzero(keys[begin] == np.append(keys, NEVER)[begin + 1])
    after = np.searchsorted(keys, keys[begin[tied]], side="right")
    for column, each in smallest.items() if len(tied) else ():
        in_order = np.append(values[column].take(by_time), each[0])
        runs = np.column_stack([begin[tied], after]).ravel()
        each[tied] = np.minimum.reduceat(in_order, runs)[::2]
    span = np.array(order, dtype=np.int64).take(edge.take(begin) // 2)
    return FlowEntries(place.take(begin) + scale.lowest, span, at.take(begin), smallest)


def _assign(
    entries: FlowEntries,
    chunk: Chunk,
    spans: Sequence[Span],
    codes: int,
    column: str,
    missing: int,
) -> FlowEntries:
    """Put each entry into the experiment's group it saw first, and find when it saw another one.

    The group is that of the trigger, or else of the iteration's last row before it.
    """
    scale, (keys, columns) = chunk.scale, chunk.rows(codes)
    seen = columns[column]
    if not (there := seen != missing).all():
        keys, seen = keys[there], seen[there]
    start, end = (
        np.clip([getattr(span, name) for span in spans], scale.start, scale.start + scale.width)
        for name in ("start", "end")
    )
    entered = scale.keys(entries.customer, entries.entered)
    until = scale.keys(entries.customer, end[entries.span])
    value = entries.values[column].copy()
    unknown = np.flatnonzero(value == missing)
    if len(unknown) and len(keys):
        in_order = np.lexsort((seen, keys))
        ordered = keys.take(in_order)
        last = ordered.take(np.searchsorted(ordered, entered[unknown], side="right") - 1)
        known = last >= scale.keys(entries.customer[unknown], start[entries.span[unknown]])
        known &= last <= entered[unknown]
        place = np.searchsorted(ordered, last[known])
        value[unknown[known]] = seen.take(in_order.take(place))
    who = np.flatnonzero(_several(scale, keys, seen)[entries.customer - scale.lowest])
    first = np.full(len(who), NEVER)  # the first row of another group than the entry's own
    other = np.full(len(who), NEVER)  # without one of its own, the first of a second group
    for group in np.unique(seen) if len(who) else ():
        rows = np.append(np.sort(keys[seen == group]), NEVER)
        found = rows.take(np.searchsorted(rows, entered[who]))
        found = np.where((found < until[who]) & (value[who] != group), found, NEVER)
        other = np.minimum(np.maximum(first, found), other)
        first = np.minimum(first, found)
    crossed = np.full(len(value), -1)
    met = np.where(value[who] == missing, other, first)
    crossed[who] = np.where(met == NEVER, -1, met - entered[who])
    return replace(
        entries,
        values={**entries.values, column: value},
        crossed={**entries.crossed, column: crossed},
    )


def _several(scale: KeyScale, keys: Ints, seen: Array) -> Flags:
    """Return which customers have rows of two groups."""
    customer, several = scale.places(keys), np.zeros(scale.customers, dtype=bool)
    one = np.zeros(scale.customers, dtype=seen.dtype)
    one[customer] = seen
    several[customer[one[customer] != seen]] = True
    return several


def _follow(entries: FlowEntries, chunk: Chunk, flow: Flow) -> FlowEntries:
    """Follow entries step by step, then to adoption and the outcome."""
    entered = chunk.scale.keys(entries.customer, entries.entered)
    last = ends = chunk.scale.ends(entries.customer)
    until = within(entered, flow.window, last)
    left = np.full_like(entered, NEVER)
    if flow.exits:
        left = chunk.first(codes_of(flow, flow.exits), entered, until).key
        until = np.minimum(until, left)
    going, shared = np.arange(len(entered)), codes_of(flow, flow.shared_events)
    taken = Taken.at(entered)
    if shared:
        taken = chunk.first(codes_of(flow, flow.trigger), entered, entered)
    used = {code: np.where(taken.serves(code), taken.row + 1, 0) for code in shared}
    served, after = [(going, taken)], {flow.need_met: np.zeros_like(entered)}
    for step in () if flow.trigger_meets_need else flow.steps:
        taken = chunk.first(codes_of(flow, step.events), taken.key, until, used)
        went = np.flatnonzero(taken.key != NEVER)
        taken, going = taken.of(went), going.take(went)
        until, ends = until.take(went), ends.take(went)
        used = {
            code: np.where(taken.serves(code), taken.row + 1, rows.take(went))
            for code, rows in used.items()
        }
        served.append((going, taken))
        after[step.name] = _since(entered, going, taken.key)
    if flow.exits:
        left[going] = NEVER
        after[EXIT] = _since(entered, np.arange(len(entered)), left)
    if flow.follows_return:
        again, returned = follow_return(taken.key, chunk, flow, ends)
        after |= {OPPORTUNITY: _since(entered, going, again)}
        after |= {ADOPTION: _since(entered, going, returned)}
    if flow.outcome is not None:
        outcome = follow_outcome(entered, chunk, served, flow, last)
        after[flow.outcome.name] = _since(entered, np.arange(len(entered)), outcome)
    return replace(entries, after=after)


def _since(entered: Ints, those: Ints, key: Ints) -> Ints:
    """Return for all entries how long after the trigger some of them got to a key; -1 for others."""
    after = np.full(len(entered), -1)
    after[those] = np.where(key == NEVER, -1, key - entered.take(those))
    return after
