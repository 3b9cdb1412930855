"""Periods: what is read as which period, and periods without a hole."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from workbench.errors import DataError
from workbench.schema.time import Period, Periods, from_instant

KINDS = ("day", "week", "month", "quarter")


@pytest.mark.parametrize("kind", KINDS)
def test_a_period_reads_as_it_is_written_and_begins_where_it_should(kind):
    for days in range(0, 30_000, 13):
        day = date.fromordinal(date(1969, 12, 1).toordinal() + days)
        found = Period.containing(day, kind)
        assert Period.read(found.name, kind) == Period.read(day, kind) == found
        assert found.start <= found.middle < found.end
        assert found.start <= day < found.end


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        ("week", "2026-W01", "2026-W01"),
        ("week", "2025-12-28", "2025-W52"),
        ("month", "2026-02-28T23:59:59", "2026-02"),
        ("month", datetime(2026, 2, 1, tzinfo=UTC), "2026-02"),
        ("quarter", "2026Q3", "2026-Q3"),
        ("quarter", "2026-09-30", "2026-Q3"),
        ("number", "7.0", "7"),
        ("number", 7, "7"),
    ],
)
def test_several_ways_to_write_a_period(kind, written, read):
    assert Period.read(written, kind).name == read


@pytest.mark.parametrize(
    ("kind", "written", "sentence"),
    [
        ("month", "Jan", "'Jan' is no month; write it as 2026-01"),
        ("week", "2026-W60", "'2026-W60' is no week"),
        ("number", "2026-01", "'2026-01' is no number; write it as 1, 2, 3"),
        ("day", "", "'' is no day"),
    ],
)
def test_what_is_no_period(kind, written, sentence):
    with pytest.raises(DataError, match=sentence):
        Period.read(written, kind)


def test_no_period_is_missing():
    periods = Periods.spanning("quarter", ["2026-Q1", "2024-Q4"])
    assert periods.names == ("2024-Q4", "2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1")
    assert Periods.spanning("week", []).names == ()


def test_spans_follow_the_clocks_of_a_zone():
    zone = ZoneInfo("Europe/Amsterdam")
    march, april = Periods.spanning("month", ["2026-03", "2026-04"]).spans(zone)
    assert from_instant(march.start).astimezone(zone).isoformat() == "2026-03-01T00:00:00+01:00"
    assert march.end == april.start
    assert from_instant(april.start).astimezone(zone).isoformat() == "2026-04-01T00:00:00+02:00"


def test_periods_that_cannot_be():
    with pytest.raises(DataError, match="more than 100,000 days; check the first and the last"):
        Periods.spanning("day", ["0026-01-01", "2026-01-01"])
    with pytest.raises(DataError, match="periods that are numbers have no dates"):
        Periods("number", 1, 3).spans(UTC)
