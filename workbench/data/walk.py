"""The walk: customers followed through the flow by sorting and searching whole numbers."""

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
SHARE = 1_000_000  # rows that are followed at once, about
BATCH = 25_000_000  # rows that are in memory at once, about
OPPORTUNITY = "(opportunity)"


def at_once(function: Callable[[Any], Result], items: Iterable[Any]) -> list[Result]:
    """Do the same with each item, on all processors: NumPy lets go of Python's lock as it works."""
    work = list(items)
    if len(work) < 2:
        return [function(item) for item in work]
    with ThreadPoolExecutor(PROCESSORS) as pool:
        return list(pool.map(function, work))


@dataclass(frozen=True)
class KeyScale:
    """How keys are made: for so many customers from number `lowest` on, times from `start` on.

    Each customer has `width` keys, one a microsecond, so keys are in order of customer, then time.
    """

    customers: int
    lowest: int
    start: int
    width: int

    def keys(self, customer: Ints, at: Array | int) -> Ints:
        """Give the keys of customers' times."""
        return (customer - self.lowest) * self.width + (at - self.start)

    def places(self, keys: Ints) -> Ints:
        """Give the customers of keys, counted from `lowest`."""
        return keys // self.width

    def ends(self, customer: Ints) -> Ints:
        """Give each customer's last key."""
        return self.keys(customer, self.start + self.width - 1)

    def holds(self, customer: Ints) -> Flags:
        """Whether customers are among those that have keys."""
        return (customer >= self.lowest) & (customer < self.lowest + self.customers)


@dataclass(frozen=True)
class Taken:
    """The rows that serve a place of the flow, one an entry.

    `key` is NEVER where there is none; `code` tells the row's event, `row` its place among the
    rows of that event.
    """

    key: Ints
    code: Array
    row: Ints

    @classmethod
    def at(cls, key: Ints) -> Taken:
        """Say when a place was served, where it does not matter by which row."""
        return cls(key, np.zeros(len(key), dtype=np.int16), np.zeros_like(key))

    def of(self, those: Array) -> Taken:
        """Give some of them, by place."""
        return Taken(self.key.take(those), self.code.take(those), self.row.take(those))

    def serves(self, code: int) -> Flags:
        """Whether it is a row of this event that serves."""
        served: Flags = (self.code == code) & (self.key != NEVER)
        return served


@dataclass(frozen=True)
class Share:
    """The rows of some customers, as keys on a scale, by event.

    `order` and `ends` tell by event which of all rows are the share's: those of the event with
    code c are `order[ends[c] : ends[c + 1]]`. `all_values` gives for each grouping column the
    place of a row's value among its levels.
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
        """Give keys and values of the rows of the first so many events, one event after the other."""
        some = slice(0, self.ends[codes] - self.ends[0])
        return self._keys[some], {name: each[some] for name, each in self._values.items()}

    def of(self, code: int) -> Ints:
        """Give the keys of an event's rows in order, with NEVER behind the last."""
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
        """Take each entry's earliest row of these events, from `since` to `until`, both inclusive.

        Of several at one time, the one of the event that is named first. `used` tells for some
        events how many rows, from the first on, may no longer serve.
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


def divide(rows: Mapping[str, Array], scales: Sequence[KeyScale], codes: int) -> list[Share]:
    """Divide rows by their bin: that of the event with code c, on scale s, is s * codes + c.

    Shares without rows are left out, but for one if there are no others.
    `rows` has the columns key and bin, and for each grouping column `by NAME`.
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
        Share(scale, rows["key"], order, ends[place * codes : (place + 1) * codes + 1], values)
        for place, scale in enumerate(scales)
    ]
    return [share for share in divided if share.ends[0] < share.ends[-1]] or divided[:1]


def codes_of(flow: Flow, names: Sequence[str]) -> list[int]:
    """Give the codes of events: their places among the flow's events."""
    return [flow.every_event.index(name) for name in names]


def within(since: Ints, limit: timedelta | None, last: Ints) -> Ints:
    """Give the last key within a limit, inclusive, and never after a customer's last one."""
    if limit is None:
        return last
    since = np.minimum(since, last)
    until: Ints = since + np.minimum(last - since, min(limit // MICROSECOND, NEVER))
    return until


def follow_return(met: Ints, share: Share, flow: Flow, last: Ints) -> tuple[Ints, Ints]:
    """Give when those whose need was met met the trigger again, and when they then took the first step.

    Where the trigger itself meets the need, an opportunity cannot be told from its being taken:
    everybody has one from then on, and the next trigger takes it.
    """
    triggers, later = codes_of(flow, flow.trigger), np.minimum(met, last) + 1
    if flow.trigger_meets_need:
        return met, share.first(triggers, later, within(met, flow.return_limit, last)).key
    again = share.first(triggers, later, last)
    used = {code: np.where(again.serves(code), again.row + 1, 0) for code in triggers}
    steps = codes_of(flow, flow.steps[0].events)
    until = within(again.key, flow.return_limit, last)
    return again.key, share.first(steps, again.key, until, used).key


def follow_outcome(
    entered: Ints, share: Share, served: Sequence[tuple[Ints, Taken]], flow: Flow, last: Ints
) -> Ints:
    """Give the key of each entry's outcome, the first in time that is not among `served`.

    `served` are the rows of the trigger and the steps, in the flow's order, each with the places of
    the entries that they served.
    """
    codes = codes_of(flow, flow.outcome.events if flow.outcome else ())
    used = {}
    for code in codes:
        row = np.searchsorted(share.of(code), entered)
        for those, taken in served:
            row[those] += taken.serves(code) & (taken.row == row[those])
        used[code] = row
    return share.first(codes, entered, within(entered, flow.outcome_window, last), used).key


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
        """Find the levels of a frame's columns; values that are `absent` are as good as missing."""
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


def shares(
    frame: Frame, *, customers: int, rows: int, codes: int, start: int, until: int
) -> Iterator[list[Share]]:
    """Bring rows into memory, divided by customer, a number of shares after the other.

    `frame` has `number` and `code`, from 0 to below `customers` and `codes`, `at` from `start` to
    `until`, and for grouping columns `by NAME`; `rows` is how many there are, at the most. Shares
    are so small that keys fit, and that one is a good morsel.
    """
    width = max(until - start, 0) + 1
    size = max(min(customers // max(rows // SHARE, 1), NEVER // width), 1)
    scales = [KeyScale(size, lowest, start, width) for lowest in range(0, customers, size)]
    at_once = max(len(scales) * BATCH // max(rows, BATCH), 1)
    by = [name for name in frame.collect_schema().names() if name.startswith("by ")]
    share = nw.col("share")
    keyed = quotient(frame, "number", size, "share").select(
        ((nw.col("number") - share * size) * width + (nw.col("at") - start)).alias("key"),
        (share * codes + nw.col("code")).cast(smallest(len(scales) * codes)).alias("bin"),
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
    """Give the smallest type of whole numbers, of those that all engines have, that holds this one."""
    return nw.Int8 if number < 2**7 else nw.Int16 if number < 2**15 else nw.Int32


@dataclass(frozen=True)
class FlowEntries:
    """Who entered the flow and how far they got: one element a customer and iteration.

    `customer` is a number, `span` an iteration's place, `entered` the time of the entering trigger
    in microseconds since 1970. `values` has for each grouping the places of levels. `after` says
    for each metric so many microseconds after the trigger it was reached, -1 for never; for
    OPPORTUNITY when the trigger was met again. Entries are in order of customer and time.
    """

    customer: Ints
    span: Ints
    entered: Ints
    values: Mapping[str, Array] = field(default_factory=dict)
    after: Mapping[str, Ints] = field(default_factory=dict)

    def of(self, those: Array) -> FlowEntries:
        """Give some of the entries, by place."""
        return self._like([each.take(those) for each in self.arrays])

    def joined(self, others: Sequence[FlowEntries]) -> FlowEntries:
        """Put the entries of other shares behind these."""
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
            *self.after.values(),
        ]

    def _like(self, arrays: Sequence[Array]) -> FlowEntries:
        customer, span, entered, *rest = arrays
        values = dict(zip(self.values, rest, strict=False))
        after = dict(zip(self.after, rest[len(values) :], strict=True))
        return FlowEntries(customer, span, entered, values, after)


def walk(
    share: Share,
    flow: Flow,
    spans: Sequence[Span],
    missing: Mapping[str, int],
    twice: Flags | None = None,
) -> tuple[FlowEntries, FlowEntries]:
    """Follow a share's customers; give also the entries of crossovers, who are not followed.

    `missing` gives for each experiment among the rows' groupings the value that stands for none;
    `twice` tells by number which customers are crossovers already.
    """
    entries = _enter(share, flow, spans)
    crossed = np.zeros(len(entries.customer), dtype=bool)
    end = np.array([min(span.end, share.scale.start + share.scale.width) for span in spans])
    for column, none in missing.items():
        crossed |= _crossed(entries, end[entries.span], share, len(flow.events), column, none)
    if twice is not None:
        crossed |= twice[entries.customer]
    if not crossed.any():
        return _follow(entries, share, flow), entries.of(np.flatnonzero(crossed))
    followed = entries.of(np.flatnonzero(~crossed))
    return _follow(followed, share, flow), entries.of(np.flatnonzero(crossed))


def _enter(share: Share, flow: Flow, spans: Sequence[Span]) -> FlowEntries:
    """Give each customer's first trigger in each iteration, with the values there.

    Of several rows at that time, each grouping takes the smallest value that is none missing.
    """
    keys, values = share.rows(len(flow.trigger))
    by_time, scale = np.argsort(keys), share.scale
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


def _crossed(
    entries: FlowEntries, ends: Ints, share: Share, codes: int, column: str, missing: int
) -> Flags:
    """Find whose rows show two values from the trigger to the iteration's end."""
    found, scale = np.zeros(len(entries.customer), dtype=bool), share.scale
    keys, columns = share.rows(codes)
    values, customer = columns[column], scale.places(keys)
    one = np.full(scale.customers, missing, dtype=values.dtype)
    one[customer] = values
    several = np.zeros(scale.customers, dtype=bool)
    several[customer[one[customer] != values]] = True
    who = np.flatnonzero(several[entries.customer - scale.lowest])
    if not len(who):
        return found
    those = several[customer] & (values != missing)
    keys, values = keys[those], values[those]
    begin = scale.keys(entries.customer[who], entries.entered[who])
    end = scale.keys(entries.customer[who], ends[who])
    kinds = np.zeros(len(who), dtype=np.int64)
    for value in np.unique(values):
        of_value = np.sort(keys[values == value])
        kinds += np.searchsorted(of_value, begin) < np.searchsorted(of_value, end)
    found[who] = kinds > 1
    return found


def _follow(entries: FlowEntries, share: Share, flow: Flow) -> FlowEntries:
    """Take step after step, then adoption and the outcome: the specification as it reads."""
    entered = share.scale.keys(entries.customer, entries.entered)
    last = ends = share.scale.ends(entries.customer)
    until = within(entered, flow.window, last)
    going, shared = np.arange(len(entered)), codes_of(flow, flow.shared_events)
    taken = Taken.at(entered)
    if shared:
        taken = share.first(codes_of(flow, flow.trigger), entered, entered)
    used = {code: np.where(taken.serves(code), taken.row + 1, 0) for code in shared}
    served, after = [(going, taken)], {flow.need_met: np.zeros_like(entered)}
    for step in () if flow.trigger_meets_need else flow.steps:
        taken = share.first(codes_of(flow, step.events), taken.key, until, used)
        went = np.flatnonzero(taken.key != NEVER)
        taken, going = taken.of(went), going.take(went)
        until, ends = until.take(went), ends.take(went)
        used = {
            code: np.where(taken.serves(code), taken.row + 1, rows.take(went))
            for code, rows in used.items()
        }
        served.append((going, taken))
        after[step.name] = _since(entered, going, taken.key)
    if flow.follows_return:
        again, returned = follow_return(taken.key, share, flow, ends)
        after |= {OPPORTUNITY: _since(entered, going, again)}
        after |= {ADOPTION: _since(entered, going, returned)}
    if flow.outcome is not None:
        outcome = follow_outcome(entered, share, served, flow, last)
        after[flow.outcome.name] = _since(entered, np.arange(len(entered)), outcome)
    return replace(entries, after=after)


def _since(entered: Ints, those: Ints, key: Ints) -> Ints:
    """Give for all entries how long after the trigger some of them got to a key."""
    after = np.full(len(entered), -1)
    after[those] = np.where(key == NEVER, -1, key - entered.take(those))
    return after
