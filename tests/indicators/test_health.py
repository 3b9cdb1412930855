"""Levels come from the validated risk; ranks are held against changed weights.

The health score: what learned weights are worth out of time, on customers whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support.indicator_studies import indicators_of

from workbench.datasets.indicators import simulate_health
from workbench.errors import StudyError
from workbench.indicators.health import (
    customer_health,
    health_from_panels,
    stability,
    validated_levels,
)
from workbench.indicators.health_weights import equal_weights, weights_by_hand
from workbench.schema.indicators import IndicatorDefinition
from workbench.study import Study

SEEDS = range(30)
ALIKE = {"a": 0.8, "b": 0.8, "c": 0.8}
APART = {"a": 0.0, "b": 0.0, "c": 1.5}


def levels_of(seed, strength, cases=300, yes_no=True):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=cases)
    if yes_no:
        bad = (rng.random(cases) < 1 / (1 + np.exp(1.5 + strength * scores))).astype(float)
    else:
        bad = -strength * scores + rng.normal(size=cases)
    return scores, bad, validated_levels(scores, bad, np.arange(cases), yes_no=yes_no)


def test_bands_hold_their_cases_and_scores_find_their_band():
    scores, bad, found = levels_of(1, 1.5)
    assert [band.cases for band in found.bands] == [60] * 5
    for place, band in enumerate(found.bands):
        inside = [each for each in scores if np.searchsorted(found.cuts, each) == place]
        assert len(inside) == 60
        assert band.events == bad[np.isin(scores, inside)].sum()
    assert found.base.rate == bad.mean()
    assert found.levels[0] == found.level(-9) == "at risk"
    assert found.levels[-1] == found.level(9) == "healthy"
    assert "watch" in found.levels
    assert found.level(np.nan) == "unknown"
    order = ["at risk", "watch", "healthy"]
    places = [order.index(each) for each in found.levels]
    assert places == sorted(places)


def test_levels_of_numbers():
    _, _, found = levels_of(1, 1.0, yes_no=False)
    assert (found.levels[0], found.levels[-1]) == ("at risk", "healthy")


def test_a_worthless_score_has_no_levels_but_watch():
    """In at most 5 % of the runs any band is called at risk or healthy."""
    called = sum(set(levels_of(seed, 0.0)[2].levels) != {"watch"} for seed in range(400))
    assert called <= 0.05 * 400


def test_too_few_cases_have_no_levels():
    _, _, found = levels_of(1, 1.0, cases=39)
    assert found.reason == "too few cases to validate levels: 39 of 40"
    assert found.level(0.0) == "unknown"


def test_ranks_that_rest_on_one_weight_do_not_change():
    scaled = np.random.default_rng(2).normal(size=(50, 2))
    alone = stability(weights_by_hand({"a": 1}, ["a", "b"]), scaled)
    assert (alone.rank_correlation, alone.low) == pytest.approx((1, 1))
    assert (alone.kept, alone.worst) == (5, 5)
    both = stability(equal_weights(["a", "b"]), scaled)
    assert 0.9 < both.low < both.rank_correlation < 1
    assert 3 <= both.kept <= 5
    assert stability(equal_weights(["a", "b"]), scaled[:1]).worst == 0


def made(seed, strengths, **options):
    return simulate_health(
        seed=seed,
        strengths=strengths,
        **{"customers": 200, "periods": 28, "renewing": 2.0} | options,
    )


def of(found, **options):
    chosen = {"lagging": "renewal", "horizon": 4, "present": found.present[:, -1]} | options
    return health_from_panels(found.leading, found.renewal, **chosen)


def test_learned_weights_beat_equal_ones_when_they_should():
    found = [of(made(seed, APART)) for seed in SEEDS]
    learned = [each for each in found if each.weights.kind == "learned"]
    assert len(learned) >= 0.9 * len(SEEDS)  # the others have too few events
    assert all(each.weights.by_name["c"] > 0.6 for each in learned)
    assert sum(each.validation.better == "better" for each in found) >= 0.8 * len(SEEDS)
    assert np.mean([each.validation.lead.estimate for each in found]) > 0.08


def test_learned_weights_are_no_better_when_equal_ones_are_right():
    found = [of(made(seed, ALIKE)) for seed in SEEDS]
    assert sum(each.validation.better == "better" for each in found) <= 0.1 * len(SEEDS)
    assert abs(np.mean([each.validation.lead.estimate for each in found])) < 0.03


def test_nothing_predicts_chance():
    found = [of(made(seed, {"a": 0.0, "b": 0.0}, renewing=1.5)) for seed in SEEDS]
    inside = [
        each.validation.discrimination.low <= 0.5 <= each.validation.discrimination.high
        for each in found
    ]
    assert sum(inside) >= 0.85 * len(SEEDS)
    assert sum("at risk" in each.levels.levels for each in found) <= 0.1 * len(SEEDS)


def test_the_validation_is_what_scikit_learn_says_of_the_later_cases():
    simulated = made(1, APART)
    found = of(simulated)
    start = int(found.tested_from) - 1
    who, when = np.nonzero(~np.isnan(simulated.renewal[:, start + 4 :]))
    when += start
    values = np.stack([simulated.leading[name][who, when] for name in found.scaling.names], axis=1)
    lost = simulated.renewal[who, when + 4] == 0
    known = ~np.isnan(values).all(axis=1)
    score, _ = found.weights.score(found.scaling.apply(values[known]))
    assert found.validation.discrimination.estimate == pytest.approx(
        roc_auc_score(lost[known], -score)
    )
    assert (found.validation.cases, found.validation.events) == (known.sum(), lost[known].sum())
    assert found.scaling.reference == f"1 to {start}"
    overall = found.validation.lift.overall
    assert (overall.events, overall.cases) == (lost[known].sum(), known.sum())
    assert found.validation.lift.worst.cases == math.ceil(known.sum() / 10)
    assert found.validation.lift.ratio > 2
    bands = found.validation.calibration.bands
    assert sum(each.cases for each in bands) == known.sum()


def test_risks_are_calibrated_out_of_time():
    slopes = [of(made(seed, ALIKE)).validation.calibration.slope for seed in SEEDS]
    inside = sum(each.low <= 1 <= each.high for each in slopes)
    assert inside >= 0.75 * len(SEEDS)  # the risk was itself learned from few events


def test_too_few_renewals_to_learn_from():
    found = of(made(1, ALIKE, customers=60))
    assert found.weights.kind == "equal"
    assert found.weights.reason.startswith("not enough cases with renewal = no to learn weights: ")
    assert found.sentence.startswith("Not enough cases with renewal = no to learn weights: ")
    assert "; equal weights: AUC 0." in found.sentence
    assert len(found.validations) == 1


def test_nothing_to_validate_on():
    simulated = made(1, ALIKE, customers=40)
    always = np.where(np.isnan(simulated.renewal), np.nan, 1.0)
    found = health_from_panels(simulated.leading, always, lagging="renewal", horizon=4)
    assert found.validations == ()
    assert found.sentence.endswith("had renewal = no, so the score cannot be validated.")
    assert {each.level for each in found.customers} == {"unknown"}
    none = health_from_panels(simulated.leading, simulated.renewal * np.nan, horizon=4)
    assert none.sentence.startswith("There are 0 cases before the test, too few")


def test_the_sentence_says_what_the_weights_are_worth():
    simulated = made(2, APART)
    learned = of(simulated)
    assert learned.sentence.startswith("Learned weights are better than equal weights: AUC 0.")
    assert f"{learned.validation.events} of them with renewal = no)" in learned.sentence
    hand = of(simulated, weights={"a": 1})
    assert hand.sentence.startswith("These weights are worse than equal weights: AUC 0.")
    even = of(simulated, weights="equal")
    assert even.sentence.startswith("Equal weights: AUC 0.")


def test_customers_now():
    simulated = made(3, APART, missing=0.3)
    names = [f"c{place}" for place in range(200)]
    found = of(simulated, customers=names, carry=2)
    here = {name for name, now in zip(names, simulated.present[:, -1], strict=True) if now}
    assert {each.customer for each in found.customers} == here
    assert [each.rank for each in found.customers] == [*range(1, len(here) + 1)]
    scores = [each.score for each in found.customers if not math.isnan(each.score)]
    assert scores == sorted(scores)
    assert any(0 < each.confidence < 1 for each in found.customers)
    assert all(each.level == found.levels.level(each.score) for each in found.customers)
    assert found.customers[0].risk > found.levels.base.rate
    assert list(found.table.columns) == ["customer", "rank", "score", "confidence", "risk", "level"]
    assert 0 < found.stability.low <= found.stability.rank_correlation <= 1


def test_numbers_and_outcomes_of_which_less_is_better():
    simulated = made(4, APART)
    found = health_from_panels(
        simulated.leading,
        simulated.tickets,
        lagging="tickets",
        yes_no=False,
        better_higher={"tickets": False},
        horizon=2,
        scaling="rank",
    )
    assert found.validation.measure == "rank correlation"
    assert found.weights.by_name["c"] > 0.8
    assert found.validation.better == "better"
    assert found.levels.levels[0] == "at risk"
    assert "cases of" in found.sentence
    assert found.validation.lift.ratio > 1.2


def test_a_study_of_its_own():
    simulated = made(5, {"nps": 0.5, "wait": 1.0})
    waits = {"nps": simulated.leading["nps"], "wait": -simulated.leading["wait"]}
    define = IndicatorDefinition.model_validate
    definitions = {
        "nps": define({"kind": "leading"}),
        "wait": define({"kind": "leading", "better": "lower"}),
        "churn": define({"kind": "lagging", "unit": "yes/no", "better": "lower"}),
        "margin": define({"kind": "lagging"}),
    }
    values = {**waits, "churn": 1 - simulated.renewal, "margin": np.arange(28.0)}
    found = indicators_of(values, definitions)
    score = customer_health(found, "churn", horizon=4)
    assert score.bad == "churn = yes"
    assert all(weight > 0 for weight in score.weights.values)
    assert score.validation.discrimination.low > 0.5
    with pytest.raises(StudyError, match="'margin' has no values per customer"):
        customer_health(found, "margin")
    with pytest.raises(StudyError, match="unknown indicator 'chrn'"):
        customer_health(found, "chrn")
    with pytest.raises(
        ValueError, match="test_from is 40; it must lie between 0 and the 28 periods"
    ):
        customer_health(found, "churn", test_from=40)


def test_the_bundled_study(bundled):
    found = Study.load(bundled).indicators()
    score = customer_health(found, "renewal", horizon=4, carry=3)
    assert score.sentence.startswith("Learned weights are no better than equal weights: AUC 0.7")
    assert abs(score.weights.by_name["satisfaction"]) < 0.1
    assert score.validation.discrimination.low > 0.5
    assert score.levels.levels[0] == "at risk"
