"""Numbering: ids of any kind become numbers in their order, and names find their way back."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.engines import collect, lazy
from workbench.events import EventLog


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
