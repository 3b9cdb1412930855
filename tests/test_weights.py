"""Weights: scaling, what a missing indicator does, learning, and whether there is enough to learn.

Ten events per variable: Peduzzi et al. (1996), Journal of Clinical Epidemiology 49:1373-1379.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from workbench import weights
from workbench.weights import Scaling

NAN = np.nan


def test_robust_z_is_that_of_scipy():
    values = np.random.default_rng(1).normal(7, 2, (50, 1))
    found = Scaling.of(["nps"], values, better_higher={}).apply(values)[:, 0]
    spread = stats.median_abs_deviation(values[:, 0]) * 1.4826
    expected = np.clip((values[:, 0] - np.median(values)) / spread, -3, 3)
    np.testing.assert_allclose(found, expected)


def test_direction_ranks_and_missing_values():
    values = np.array([[1, 10], [2, 20], [2, 30], [4, NAN]], dtype=float)
    scaling = Scaling.of(
        ["nps", "wait"], values, better_higher={"wait": False}, method="rank", reference="2026"
    )
    found = scaling.apply(np.array([[2.0, 10.0], [0.0, 30.0], [9.0, NAN]]))
    expected = [[0, 2 / 3], [-1, -2 / 3], [1, NAN]]
    np.testing.assert_allclose(found, expected)
    assert scaling.reference == "2026"


def test_more_than_half_the_same_value_leaves_the_standard_deviation():
    values = np.array([[1.0], [1], [1], [5]])
    assert Scaling.of(["nps"], values, better_higher={}).spread == (values.std(),)


@pytest.mark.parametrize(("value", "said"), [(1.0, "is always 1"), (NAN, "has no values")])
def test_what_never_changes_is_no_part_of_a_score(value, said):
    with pytest.raises(ValueError, match=f"nps {said} in May; leave it out of the score"):
        Scaling.of(["nps"], np.full((3, 1), value), better_higher={}, reference="May")


def test_a_missing_indicator_lowers_the_confidence_and_not_the_score():
    chosen = weights.by_hand({"a": 2, "b": 1, "c": -1}, ["a", "b", "c"])
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
        weights.by_hand(given, ["nps", "use"])


def test_ten_events_for_each_weight():
    outcomes = np.repeat([1, 0], [26, 14])
    who = np.arange(40)
    found = weights.enough(outcomes, who, 4, yes_no=True, what="renewals")
    assert found == (14, 40, "not enough renewals to learn weights: 14 of 40")
    assert weights.enough(np.repeat([1, 0], [160, 40]), np.arange(200), 4, yes_no=True)[2] == ""
    assert weights.enough(np.arange(99.0), np.repeat(np.arange(33), 3), 4, yes_no=False)[:2] == (
        33,
        40,
    )
    short = weights.learn(list("abcd"), np.zeros((40, 4)), outcomes, who, yes_no=True)
    assert (short.kind, short.values) == ("equal", (0.25,) * 4)
    assert short.reason == "not enough events to learn weights: 14 of 40"


def test_learned_weights_are_those_of_scikit_learn():
    rng = np.random.default_rng(5)
    scaled = rng.normal(size=(400, 3))
    good = rng.random(400) < 1 / (1 + np.exp(-scaled @ [1.5, 0.5, 0]))
    found = weights.learn(list("abc"), scaled, good, np.arange(400), yes_no=True)
    model = LogisticRegression(C=1 / found.penalty).fit(scaled, good)
    np.testing.assert_allclose(found.values, model.coef_[0] / np.abs(model.coef_).sum())
    assert found.values[0] > 2 * found.values[1] > 0
    assert found.kind == "learned"
    assert (found.events, found.needed) == (min(good.sum(), (~good).sum()), 30)


def test_weights_for_numbers_and_outcomes_that_nothing_foretells():
    rng = np.random.default_rng(6)
    scaled = rng.normal(size=(300, 2))
    scaled[rng.random(scaled.shape) < 0.3] = NAN
    value = np.nan_to_num(scaled) @ [0, -2] + rng.normal(size=300)
    found = weights.learn(["a", "b"], scaled, value, np.arange(300), yes_no=False)
    assert found.values[1] < -0.9
    none = weights.learn(["a", "b"], scaled * 0, value, np.arange(300), yes_no=False)
    assert none.reason == "no indicator foretells the outcome, so no weights were learned"
