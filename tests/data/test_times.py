"""Times are read whole or not at all, alike on every engine and for a single value."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from workbench.data.engines import collect, lazy
from workbench.data.times import AT, changes, instants, odd_clocks, read_time
from workbench.errors import DataError
from workbench.schema.time import TimeFormat, from_instant, to_instant

READ = [  # as written, the zone of times without one, the format, the moment in UTC
    ("2026-01-31", "UTC", None, "2026-01-31T00:00"),
    ("2026-1-5 8:00", "UTC", None, "2026-01-05T08:00"),
    ("2026/01/05 08:00:30", "UTC", None, "2026-01-05T08:00:30"),
    (" 2026-01-31 23:30 UTC ", "Europe/Oslo", None, "2026-01-31T23:30"),
    ("2026-01-31T08:00:00,25", "Europe/Oslo", None, "2026-01-31T07:00:00.250000"),
    ("2026-01-31T08:00:00.123456789Z", "UTC", None, "2026-01-31T08:00:00.123456"),
    ("2026-01-31 02:00 +1", "UTC", None, "2026-01-31T01:00"),
    ("2026-01-31 02:00-0330", "UTC", None, "2026-01-31T05:30"),
    ("2026-01-31 02:00 GMT+02:00", "UTC", None, "2026-01-31T00:00"),
    ("2026-07-31 02:00 CEST", "UTC", None, "2026-07-31T00:00"),
    ("2026-07-31 02:00 Europe/Oslo", "UTC", None, "2026-07-31T00:00"),
    ("2026-01-31 02:00 EST", "UTC", None, "2026-01-31T07:00"),
    ("31/01/2026 02:00:00 PM", "UTC", "%d/%m/%Y %I:%M:%S %p", "2026-01-31T14:00"),
    ("03/04/26", "Europe/Oslo", "%d/%m/%y", "2026-04-02T22:00"),
    ("20260131", "UTC", "%Y%m%d", "2026-01-31T00:00"),
    ("5 Jan 2026 08:00", "UTC", "%d %b %Y %H:%M", "2026-01-05T08:00"),
    ("2026-01-31 10:00 +0200", "UTC", "%Y-%m-%d %H:%M %z", "2026-01-31T08:00"),
    ("1767571200", "Europe/Oslo", None, "2026-01-05T00:00"),
    ("1767571200.5", "UTC", None, "2026-01-05T00:00:00.500000"),
    ("1767571200000", "UTC", None, "2026-01-05T00:00"),
    ("1767571200000000", "UTC", None, "2026-01-05T00:00"),
    ("1767571200000000000", "UTC", None, "2026-01-05T00:00"),
    ("60", "UTC", "epoch_s", "1970-01-01T00:01"),
    ("60000", "UTC", "epoch_ms", "1970-01-01T00:01"),
]
REFUSED = [
    ("2026-01-31 02:00:00 PM", None, "'PM' behind a time is no zone"),
    ("2026-01-31 02:00 nonsense", None, "'nonsense' behind a time is no zone"),
    ("2026-01-31 02:00 IST", None, "IST is the time of India, Israel and Ireland"),
    ("2026-01-31 02:00 CST", None, "CST is the time of China, Cuba"),
    ("2026-01-31 02:00 BST", None, "BST is the time of Britain and Bangladesh"),
    ("2026-01-31 02:00 Europe/Olso", None, "'Europe/Olso' behind a time is no zone"),
    ("2026-01-31 +01:00", None, "behind a date without a time"),
    ("06/04/2026", None, "time_format"),
    ("03/04/26", None, "time_format"),
    ("2026-02-30", None, "time_format"),
    ("2026-01-31 25:00", None, "time_format"),
    ("20260131", None, "time_format"),
    ("yesterday", None, "time_format"),
    ("31/13/2026", "%d/%m/%Y", "time_format"),
    ("31/01/2026 x", "%d/%m/%Y", "time_format"),
    ("1.5 s", "epoch_s", "epoch_s"),
]
MAKES = {"duckdb": pd.DataFrame, "polars": pl.DataFrame}


def column(values, zone="UTC", form=None, make=pd.DataFrame):
    frame = instants(lazy(make({"t": values})), "t", zone, "log", form)
    return [from_instant(row[AT]) for row in collect(frame)]


@pytest.mark.parametrize("engine", MAKES)
@pytest.mark.parametrize(("written", "zone", "form", "moment"), READ)
def test_times_are_read_whole(engine, written, zone, form, moment):
    wanted = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert column([written], zone, form, MAKES[engine]) == [wanted]
    assert read_time(written, zone, form) == wanted


@pytest.mark.parametrize("engine", MAKES)
@pytest.mark.parametrize(("written", "form", "said"), REFUSED)
def test_what_is_not_understood_whole_is_refused(engine, written, form, said):
    with pytest.raises(DataError) as error:
        column([written], form=form, make=MAKES[engine])
    assert said in str(error.value)
    with pytest.raises(ValueError, match=r"no|time of|without"):
        read_time(written, "UTC", form)


def test_several_zones_in_one_column_are_each_their_own():
    found = column(["2026-01-31 12:00Z", "2026-01-31 12:00+02:00", "2026-01-31 12:00 Asia/Tokyo"])
    assert [each.hour for each in found] == [12, 10, 3]


def test_hours_that_clocks_skip_or_pass_twice_are_counted():
    times = ["2026-03-29 02:30", "2026-10-25 02:30", "2026-10-25 02:59", "2026-10-25 03:00"]
    frame = lazy(pd.DataFrame({"t": times}))
    assert odd_clocks(frame, "t", "Europe/Amsterdam") == {"skips": 1, "passes twice": 2}
    assert odd_clocks(frame, "t", "UTC") == {}
    aware = lazy(pd.DataFrame({"t": [f"{each}+01:00" for each in times]}))
    assert odd_clocks(aware, "t", "Europe/Amsterdam") == {}


def test_changes_of_a_zone_are_those_of_the_calendar():
    year = [to_instant(datetime(each, 1, 1, tzinfo=UTC)) for each in (2026, 2027)]
    found = [
        (
            each.kind,
            from_instant(each.start),
            (each.end - each.start) // 60_000_000,
        )
        for each in changes("America/New_York", *year)
    ]
    assert found == [
        ("skips", datetime(2026, 3, 8, 2, tzinfo=UTC), 60),
        ("passes twice", datetime(2026, 11, 1, 1, tzinfo=UTC), 60),
    ]


@pytest.mark.parametrize("form", ["%H:%M", "%Y-%m", "%d/%m/%Y %Z", "%d/%m/%Y %I:%M", "epoch", ""])
def test_a_format_must_say_which_day_it_is(form):
    with pytest.raises(ValidationError, match="time_format"):
        TypeAdapter(TimeFormat).validate_python(form)


def test_a_column_of_moments_takes_no_format():
    with pytest.raises(DataError, match="needs no time_format; leave it out"):
        column([datetime(2026, 1, 5, tzinfo=UTC)], form="%Y-%m-%d")
