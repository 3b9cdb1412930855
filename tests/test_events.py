"""Event logs: zones, forms of time, engines."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from workbench.engines import collect, zone_shifts
from workbench.errors import DataError
from workbench.events import EventLog
from workbench.iterations import to_instant

HOUR = 3_600_000_000


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


def test_whole_numbers_are_microseconds():
    assert times([1, 2]) == [1, 2]


def test_dates_are_their_midnight():
    frame = pl.DataFrame({"at": ["2026-01-05"]}).with_columns(pl.col("at").str.to_date())
    assert times(frame["at"].to_list(), "UTC", pl.DataFrame) == [
        to_instant(datetime(2026, 1, 5, tzinfo=UTC))
    ]


def test_a_column_that_holds_no_times():
    with pytest.raises(DataError, match="column 'at' holds Float64, no times; name the column"):
        times([1.5])


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
