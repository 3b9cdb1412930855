"""Numbering: ids of any kind become numbers in their order, and names find their way back.

Event logs: zones, forms of time, engines."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from workbench.data.engines import collect, lazy
from workbench.data.event_log import EventLog
from workbench.data.times import zone_shifts
from workbench.errors import DataError
from workbench.schema.time import to_instant

HOUR = 3_600_000_000


def log(ids):
    rows = {"customer": ids, "event": "a", "time": "2026-01-05"}
    return EventLog(pl.DataFrame(rows))


def numbers(log, table):
    found = collect(log.numbering(("a",)).match(lazy(pl.DataFrame({"customer": table}))))
    return {row["customer"]: row["number"] for row in found}


def test_close_whole_numbers_are_their_own():
    ours = log([1007, 1005, 1005, 1010])
    numbering = ours.numbering(("a",))
    assert (numbering.lowest, numbering.count) == (1005, 6)
    assert numbers(ours, [1010, 1005]) == {1005: 0, 1010: 5}
    assert numbers(ours, [1004, 1011, 1007]) == {1007: 2}  # nobody of the log


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["b", "a", "b", "007"], {"007": 0, "a": 1, "b": 2}),
        ([9 * 10**18, -5, 3], {-5: 0, 3: 1, 9 * 10**18: 2}),
        ([0.5, -1.5], {-1.5: 0, 0.5: 1}),
    ],
)
def test_other_ids_are_numbered_in_their_order(ids, expected):
    ours = log(ids)
    numbering = ours.numbering(("a",))
    assert (numbering.lowest, numbering.count) == (None, len(set(ids)))
    assert numbers(ours, [*ids]) == expected


def test_ids_of_another_type_are_compared_as_text():
    assert numbers(log([5, 6, 7]), ["7", "seven"]) == {"7": 2}
    assert numbers(log(["7", "seven"]), [7, 8]) == {7: 0}


def test_customers_are_found_by_name():
    assert log([5, 6, 9]).numbering(("a",)).known(["9", "5", "ten"]) == {0: "5", 4: "9"}
    assert log(["x", "y"]).numbering(("a",)).known(["y"]) == {1: "y"}


def test_only_who_has_one_of_the_events_is_numbered():
    rows = {"customer": ["z", "x", "y"], "event": ["a", "b", "c"], "time": "2026-01-05"}
    ours = EventLog(pl.DataFrame(rows))
    assert ours.numbering(("a", "b")).known(["x", "y", "z"]) == {0: "x", 1: "z"}
    assert ours.numbering(("never",)).count == 1


def test_ids_at_the_ends_of_whole_numbers_are_no_trouble():
    ours = log([-1, 1, 2])
    assert numbers(ours, [2**63 - 1, 2]) == {2: 3}
    large = pl.DataFrame({"customer": pl.Series([2**63 + 5, 1], dtype=pl.UInt64)})
    found = collect(ours.numbering(("a",)).match(lazy(large)))
    assert found == [{"customer": 1, "number": 2}]
    far = pl.DataFrame({"customer": pl.Series([2**63 + 6, 2**63 + 5], dtype=pl.UInt64)})
    theirs = EventLog(far.with_columns(event=pl.lit("a"), time=pl.lit("2026-01-05")))
    assert theirs.numbering(("a",)).lowest is None
    assert sorted(row["number"] for row in collect(theirs.numbering(("a",)).ids)) == [0, 1]


def times(values, timezone="UTC", make=pd.DataFrame):
    frame = make({"who": list(range(len(values))), "what": ["a"] * len(values), "at": values})
    log = EventLog(frame, customer="who", event="what", time="at", timezone=timezone)
    return [row["at"] for row in sorted(collect(log.rows()), key=lambda row: row["customer"])]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_text_that_carries_a_zone_is_a_moment(make):
    found = times(["2026-03-01 10:00:00+02:00", "2026-03-01T08:00:00Z"], "Asia/Tokyo", make)
    assert found == [to_instant(datetime(2026, 3, 1, 8, tzinfo=UTC))] * 2


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_clocks_are_those_of_the_zone(make):
    found = times(["2026-01-05 00:00:00", "2026-07-05 00:00:00"], "Europe/Amsterdam", make)
    assert found == [
        to_instant(datetime(2026, 1, 4, 23, tzinfo=UTC)),
        to_instant(datetime(2026, 7, 4, 22, tzinfo=UTC)),
    ]


def test_an_hour_that_a_clock_passes_twice_is_the_first():
    # Amsterdam leaves summer time on 25 October 2026 at 03:00, back to 02:00.
    found = times(["2026-10-25 02:30:00", "2026-10-25 03:00:00"], "Europe/Amsterdam")
    assert found == [
        to_instant(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        to_instant(datetime(2026, 10, 25, 2, tzinfo=UTC)),
    ]


def test_every_hour_of_a_year_agrees_with_the_zone_database():
    hours = pd.date_range("2026-01-01", "2026-12-31 23:00", freq="h")
    zone = "America/New_York"
    moments = hours.tz_localize(zone, ambiguous=[True] * len(hours), nonexistent="NaT")
    real = [place for place, moment in enumerate(moments) if moment is not pd.NaT]
    found = times(list(hours), zone)
    assert len(real) == len(hours) - 1
    assert [found[place] for place in real] == [
        to_instant(moments[place].to_pydatetime()) for place in real
    ]


def test_a_zone_that_never_shifts():
    assert zone_shifts("Asia/Tokyo", 0, 10**15) == [(0, 9 * HOUR)]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_numbers_are_read_in_the_one_unit_that_fits(make, unit):
    begin = to_instant(datetime(2026, 1, 5, tzinfo=UTC)) // 10**6
    assert times([begin * unit, (begin + 60) * unit], make=make) == [
        begin * 10**6,
        (begin + 60) * 10**6,
    ]
    assert times([str(begin * unit)], make=make) == [begin * 10**6]


@pytest.mark.parametrize("values", [[1, 2], [20260131, 20260201], [1.767e9, 1.767e15]])
def test_numbers_of_no_unit_are_refused(values):
    with pytest.raises(DataError, match="no unit puts all of them between 1990 and 2100"):
        times(values)


def test_dates_are_their_midnight():
    frame = pl.DataFrame({"at": ["2026-01-05"]}).with_columns(pl.col("at").str.to_date())
    assert times(frame["at"].to_list(), "UTC", pl.DataFrame) == [
        to_instant(datetime(2026, 1, 5, tzinfo=UTC))
    ]


def test_a_column_that_holds_no_times():
    with pytest.raises(DataError, match="column 'at' holds Boolean, no times; name the column"):
        times([True])


def test_columns_may_be_called_as_ours_are():
    frame = pd.DataFrame(
        {"customer": ["x"], "event": ["real"], "at": ["2026-01-05"], "name": ["other"]}
    )
    log = EventLog(frame, customer="name", event="event", time="at")
    (row,) = collect(log.rows())
    assert (row["customer"], row["event"]) == ("other", "real")


def test_where_leaves_rows_out():
    frame = pd.DataFrame(
        {"who": [1, 1], "what": ["a", "b"], "at": ["2026-01-05"] * 2, "state": ["START", "DONE"]}
    )
    log = EventLog(frame, customer="who", event="what", time="at", where={"state": "DONE"})
    assert log.names == {"b": 1}


def test_what_the_engine_says_is_one_sentence():
    """As of a value that only fails when the rows are read."""
    table = duckdb.sql(
        "select 1 as customer, 'a' as event, timestamp '2026-01-05' as time, "
        "cast(concat('n', range) as int) as size from range(3)"
    )
    log = EventLog(table, where={"size": {"from": 1}})
    with pytest.raises(DataError) as error:
        _ = log.facts
    said = str(error.value)
    assert said.startswith(
        "the data cannot be read: Conversion Error: Could not convert string 'n0'"
    )
    assert "\n" not in said
