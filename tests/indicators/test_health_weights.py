"""Cases: indicators now, the outcome later, and nothing from after the split before it.

Weights: scaling, what a missing indicator does, learning, and whether there is enough to learn.

Ten events per variable: Peduzzi et al. (1996), Journal of Clinical Epidemiology 49:1373-1379.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from workbench.indicators.health_weights import (
    Scaling,
    events_for_learning,
    find_cases,
    first_test_period,
    learn_weights,
    stack_panels,
    weights_by_hand,
)

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
    assert stack_panels({"nps": NPS}, 1)[0, :, 0].tolist() == pytest.approx(
        [8, 8, NAN, 7, 6], nan_ok=True
    )
    assert stack_panels({"nps": NPS}, 2)[0, :, 0].tolist() == [8, 8, 8, 7, 6]
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
    start = first_test_period(found)
    train, test = found.before(start), found.since(start)
    assert (train.periods + 4).max() < start <= test.periods.min()
    assert len(found) / 3 <= len(test) < len(found) / 3 + 20
    assert first_test_period(find_cases({"nps": values}, values * NAN, yes_no=True)) == 0


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


def test_robust_z_is_that_of_scipy():
    values = np.random.default_rng(1).normal(7, 2, (50, 1))
    found = Scaling.fit(["nps"], values, better_higher={}).apply(values)[:, 0]
    spread = stats.median_abs_deviation(values[:, 0]) * 1.4826
    expected = np.clip((values[:, 0] - np.median(values)) / spread, -3, 3)
    np.testing.assert_allclose(found, expected)


def test_direction_ranks_and_missing_values():
    values = np.array([[1, 10], [2, 20], [2, 30], [4, NAN]], dtype=float)
    scaling = Scaling.fit(
        ["nps", "wait"], values, better_higher={"wait": False}, method="rank", reference="2026"
    )
    found = scaling.apply(np.array([[2.0, 10.0], [0.0, 30.0], [9.0, NAN]]))
    expected = [[0, 2 / 3], [-1, -2 / 3], [1, NAN]]
    np.testing.assert_allclose(found, expected)
    assert scaling.reference == "2026"


def test_more_than_half_the_same_value_leaves_the_standard_deviation():
    values = np.array([[1.0], [1], [1], [5]])
    assert Scaling.fit(["nps"], values, better_higher={}).spread == (values.std(),)


@pytest.mark.parametrize(("value", "said"), [(1.0, "is always 1"), (NAN, "has no values")])
def test_what_never_changes_is_no_part_of_a_score(value, said):
    with pytest.raises(ValueError, match=f"nps {said} in May; leave it out of the score"):
        Scaling.fit(["nps"], np.full((3, 1), value), better_higher={}, reference="May")


def test_a_missing_indicator_lowers_the_confidence_and_not_the_score():
    chosen = weights_by_hand({"a": 2, "b": 1, "c": -1}, ["a", "b", "c"])
    assert chosen.by_name == {"a": 0.5, "b": 0.25, "c": -0.25}
    same = np.array([[1, 1, -1], [1, NAN, -1], [NAN, NAN, -1], [NAN] * 3], dtype=float)
    score, confidence = chosen.score(same)
    assert score.tolist() == pytest.approx([1, 1, 1, NAN], nan_ok=True)
    assert confidence.tolist() == [1, 0.75, 0.25, 0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"nsp": 1}, "unknown indicator 'nsp'; did you mean 'nps'"),
        ({"nps": 0}, "all weights are 0"),
        ({"nps": NAN}, "the weight of nps is nan"),
    ],
)
def test_weights_by_hand_that_are_none(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        weights_by_hand(given, ["nps", "use"])


def test_ten_events_for_each_weight():
    outcomes = np.repeat([1, 0], [26, 14])
    who = np.arange(40)
    found = events_for_learning(outcomes, who, 4, yes_no=True, what="renewals")
    assert found == (14, 40, "not enough renewals to learn weights: 14 of 40")
    assert (
        events_for_learning(np.repeat([1, 0], [160, 40]), np.arange(200), 4, yes_no=True)[2] == ""
    )
    assert events_for_learning(np.arange(99.0), np.repeat(np.arange(33), 3), 4, yes_no=False)[
        :2
    ] == (
        33,
        40,
    )
    short = learn_weights(list("abcd"), np.zeros((40, 4)), outcomes, who, yes_no=True)
    assert (short.kind, short.values) == ("equal", (0.25,) * 4)
    assert short.reason == "not enough events to learn weights: 14 of 40"


def test_learned_weights_are_those_of_scikit_learn():
    rng = np.random.default_rng(5)
    scaled = rng.normal(size=(400, 3))
    good = rng.random(400) < 1 / (1 + np.exp(-scaled @ [1.5, 0.5, 0]))
    found = learn_weights(list("abc"), scaled, good, np.arange(400), yes_no=True)
    model = LogisticRegression(C=1 / found.penalty).fit(scaled, good)
    np.testing.assert_allclose(found.values, model.coef_[0] / np.abs(model.coef_).sum())
    assert found.values[0] > 2 * found.values[1] > 0
    assert found.kind == "learned"
    assert (found.events, found.needed) == (min(good.sum(), (~good).sum()), 30)


def test_weights_for_numbers_and_outcomes_that_nothing_predicts():
    rng = np.random.default_rng(6)
    scaled = rng.normal(size=(300, 2))
    scaled[rng.random(scaled.shape) < 0.3] = NAN
    value = np.nan_to_num(scaled) @ [0, -2] + rng.normal(size=300)
    found = learn_weights(["a", "b"], scaled, value, np.arange(300), yes_no=False)
    assert found.values[1] < -0.9
    none = learn_weights(["a", "b"], scaled * 0, value, np.arange(300), yes_no=False)
    assert none.reason == "no indicator predicts the outcome, so no weights were learned"
