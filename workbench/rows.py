"""Rows of a flow, in memory: an engine filters, numbers and hands over, as whole numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import narwhals as nw

from workbench.cohorts import MISSING
from workbench.engines import Frame, arrays, collect, distinct, keep, quotient
from workbench.keys import NEVER, Scale, Share, divide

SHARE = 1_000_000  # rows that are followed at once, about
BATCH = 25_000_000  # rows that are in memory at once, about


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
    scales = [Scale(size, lowest, start, width) for lowest in range(0, customers, size)]
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
