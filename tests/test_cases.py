"""Cases: indicators now, the outcome later, and nothing from after the split before it."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.cases import find_cases, stacked, start_of_test

NAN = np.nan
NPS = np.array([[8, NAN, NAN, 7, 6], [5, 4, 3, 2, 1]], dtype=float)
USE = np.array([[NAN, NAN, NAN, 1, 1], [1, NAN, 1, NAN, 1]], dtype=float)
RENEWAL = np.array([[NAN, NAN, 1, 1, NAN], [NAN, NAN, 0, NAN, 1]], dtype=float)


def test_each_outcome_makes_at_most_one_case():
    found = find_cases({"nps": NPS, "use": USE}, RENEWAL, yes_no=True, horizon=2)
    assert found.customers.tolist() == [0, 1, 1]
    assert found.periods.tolist() == [0, 0, 2]
    assert found.values.tolist() == pytest.approx(np.array([[8, NAN], [5, 1], [3, 1]]), nan_ok=True)
    assert found.outcomes.tolist() == [1, 0, 1]
    assert found.bad.tolist() == [0, 1, 0]


def test_values_are_carried_on_for_so_many_periods():
    assert stacked({"nps": NPS}, 1)[0, :, 0].tolist() == pytest.approx(
        [8, 8, NAN, 7, 6], nan_ok=True
    )
    assert stacked({"nps": NPS}, 2)[0, :, 0].tolist() == [8, 8, 8, 7, 6]
    assert len(find_cases({"nps": NPS}, RENEWAL, yes_no=True, horizon=2, carry=1)) == 4


def test_outcomes_of_which_less_is_better_are_turned_around():
    found = find_cases({"nps": NPS}, RENEWAL, yes_no=True, good_high=False, horizon=2)
    assert found.outcomes.tolist() == [0, 1, 0]
    tickets = find_cases({"nps": NPS}, NPS, yes_no=False, good_high=False)
    assert (tickets.outcomes <= 0).all()
    assert (tickets.bad == -tickets.outcomes).all()


def test_what_is_learned_from_was_known_before_the_test():
    values = np.ones((20, 30))
    found = find_cases({"nps": values}, values, yes_no=True, horizon=4)
    start = start_of_test(found)
    train, test = found.before(start), found.since(start)
    assert (train.periods + 4).max() < start <= test.periods.min()
    assert len(found) / 3 <= len(test) < len(found) / 3 + 20
    assert start_of_test(find_cases({"nps": values}, values * NAN, yes_no=True)) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"horizon": 5}, "horizon is 5; it must lie between 0 and the 5 periods"),
        ({"carry": -1}, "carry is -1"),
        ({"outcome": NPS}, "the outcome is no yes/no value everywhere"),
        ({"outcome": RENEWAL[:1]}, r"nps is \(2, 5\) and the outcome \(1, 5\)"),
    ],
)
def test_bad_arguments(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        find_cases({"nps": NPS}, **{"outcome": RENEWAL, "yes_no": True} | options)
