"""Rows: a log's rows in memory, coded, divided by customer, on keys that fit."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from workbench import rows
from workbench.engines import collect, lazy
from workbench.keys import NEVER
from workbench.rows import Coding, coded, shares


def frame(**columns):
    return lazy(pl.DataFrame({name.replace("_", " "): each for name, each in columns.items()}))


def test_events_become_their_places_and_others_drop_out():
    table = frame(event=["b", "noise", "a", None, "b"], at=[1, 2, 3, 4, 5])
    found = sorted(collect(coded(table, ["a", "b", "c"])), key=lambda row: row["at"])
    assert found == [{"at": 1, "code": 1}, {"at": 3, "code": 0}, {"at": 5, "code": 1}]


def test_values_become_the_places_of_their_levels_and_the_last_is_missing():
    table = frame(by_size=["small", None, "large", "(missing)", "small"], at=[1, 2, 3, 4, 5])
    coding = Coding.of(table, ["size"])
    assert coding.levels == {"size": ("large", "small", "(missing)")}
    found = sorted(collect(coding.code(table)), key=lambda row: row["at"])
    assert [row["by size"] for row in found] == [1, 2, 0, 2, 1]


def divided(numbers, *, customers, rows=10, start=0, until=9, at=None):
    table = frame(
        number=numbers,
        at=[start] * len(numbers) if at is None else at,
        code=[place % 2 for place, _ in enumerate(numbers)],
        by_size=[0] * len(numbers),
    )
    return list(shares(table, customers=customers, rows=rows, codes=2, start=start, until=until))


@pytest.mark.parametrize(("size", "at_once", "batches"), [(1, 2, 4), (2, 2, 2), (100, 25, 1)])
def test_every_row_is_in_the_share_of_its_customer(size, at_once, batches):
    with patch.object(rows, "SHARE", size), patch.object(rows, "BATCH", size * at_once):
        found = divided([0, 6, 3, 3, 5], customers=7, rows=7)
    assert len(found) == batches
    customers = []
    for share in (each for batch in found for each in batch):
        keys, values = share.rows(2)
        assert values.keys() == {"size"}
        assert share.scale.holds(share.scale.places(keys) + share.scale.lowest).all()
        customers += (share.scale.places(keys) + share.scale.lowest).tolist()
    assert sorted(customers) == [0, 3, 3, 5, 6]


def test_keys_fit_however_long_the_log_and_far_the_customers():
    day, last = 86_400_000_000, 9_999
    until = 3_000_000 * day  # more than eight thousand years
    (found,) = divided([0, last], customers=last + 1, until=until, at=[0, until])
    ends = [share.scale.ends(np.array([share.scale.lowest])) for share in found]
    assert len(found) > 1
    assert all(0 < share.scale.customers * share.scale.width <= NEVER for share in found)
    assert all((end > 0).all() for end in ends)
    keys = [share.rows(2)[0].tolist() for share in found]
    assert keys[0] == [0]
    assert keys[-1] == [(last - found[-1].scale.lowest) * found[0].scale.width + until]
