"""Keys: customers and times in order, and the first row that may still serve."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.keys import NEVER, Scale, Share, Taken

SCALE = Scale(customers=3, lowest=10, start=1000, width=50)


@pytest.fixture
def share():
    """Rows of customers 10 and 11: of event 0 at 1000, 1005 twice and 1007, of event 1 at 1005."""
    customer = np.array([11, 10, 10, 10, 10])
    at = np.array([1007, 1005, 1000, 1005, 1005])
    code = np.array([0, 0, 0, 0, 1])
    ends = np.array([0, 4, 5])
    return Share(SCALE, SCALE.keys(customer, at), np.argsort(code, kind="stable"), ends)


def test_keys_are_in_order_of_the_customer_and_then_of_the_time():
    customer, at = np.array([10, 10, 11, 12]), np.array([1000, 1049, 1000, 1049])
    keys = SCALE.keys(customer, at)
    assert keys.tolist() == [0, 49, 50, 149]
    assert SCALE.places(keys).tolist() == [0, 0, 1, 2]
    assert SCALE.ends(customer).tolist() == [49, 49, 99, 149]
    assert SCALE.holds(np.array([9, 10, 12, 13])).tolist() == [False, True, True, False]


def test_rows_of_an_event_are_sorted_once(share):
    assert share.of(0).tolist() == [0, 5, 5, 57, NEVER]
    assert share.of(0) is share.of(0)
    assert share.of(1).tolist() == [5, NEVER]
    assert sorted(share.rows(1)[0].tolist()) == [0, 5, 5, 57]


def test_the_first_row_in_time_serves(share):
    entered, until = np.array([0, 1, 57, 58]), np.array([49, 4, 99, 99])
    found = share.first([0], entered, until)
    assert found.key.tolist() == [0, NEVER, 57, NEVER]
    assert found.serves(0).tolist() == [True, False, True, False]


def test_of_two_at_one_time_the_event_named_first_serves(share):
    since, until = np.array([1]), np.array([49])
    assert share.first([0, 1], since, until).code.tolist() == [0]
    assert share.first([1, 0], since, until).code.tolist() == [1]
    assert share.first([0, 1], since, until).key.tolist() == [5]


def test_used_rows_do_not_serve_again(share):
    since, until = np.array([5]), np.array([49])
    found = share.first([0], since, until, {0: np.array([2])})
    assert (found.key.tolist(), found.row.tolist()) == ([5], [2])
    assert share.first([0], since, until, {0: np.array([3])}).key.tolist() == [NEVER]


def test_who_never_came_stays_away(share):
    never = np.array([NEVER])
    assert share.first([0], never, np.array([49])).key.tolist() == [NEVER]
    assert not Taken.at(never).serves(0).any()
