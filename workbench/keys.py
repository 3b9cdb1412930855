"""Keys: a customer and a time as one whole number, so that a path is found by sorting and searching."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Result = TypeVar("Result")
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
NEVER = int(np.iinfo(np.int64).max)  # a key after all others


def at_once(function: Callable[[Any], Result], items: Iterable[Any]) -> list[Result]:
    """Do the same with each item, on all processors: NumPy lets go of Python's lock as it works."""
    work = list(items)
    if len(work) < 2:
        return [function(item) for item in work]
    with ThreadPoolExecutor(PROCESSORS) as pool:
        return list(pool.map(function, work))


@dataclass(frozen=True)
class Scale:
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

    scale: Scale
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


def divide(rows: Mapping[str, Array], scales: Sequence[Scale], codes: int) -> list[Share]:
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
