"""Within and between customers: fixed effects of statsmodels, coverage, the best of all lags.

Panels, in words: within and between customers, yes/no outcomes, customers who left."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from workbench.datasets.indicators import simulate_panel
from workbench.indicators.panels import (
    associate_panel,
    compare_leavers,
    panel_curves,
    remove_period_effects,
)

NAMES = {"names": ("nps", "renewal"), "period": "month"}


def test_within_is_the_correlation_around_customers_and_periods():
    made = simulate_panel(customers=60, periods=10, lag=2, within=0.5, seed=1)
    within, between = panel_curves(made.leading, made.lagging, max_lag=3)
    steady = []
    for values in (made.leading, made.lagging):
        shared = values.mean(axis=0, keepdims=True)
        steady.append(values - shared + shared.mean())
    x, y = steady[0][:, :8], steady[1][:, 2:]
    inner = [each - each.mean(axis=1, keepdims=True) for each in (x, y)]
    expected = (inner[0] * inner[1]).sum() / np.sqrt((inner[0] ** 2).sum() * (inner[1] ** 2).sum())
    assert within.correlations[2] == pytest.approx(expected, abs=1e-5)
    means = np.corrcoef(x.mean(axis=1), y.mean(axis=1))[0, 1]
    assert between.correlations[2] == pytest.approx(means, abs=1e-5)
    assert within.pairs == (600, 540, 480, 420)
    assert between.customers == (60,) * 4


def test_spearman_within_ranks_each_customers_periods_and_skips_gaps():
    made = simulate_panel(customers=40, periods=12, within=0.5, missing=0.1, seed=1)
    within, _ = panel_curves(made.leading, made.lagging, max_lag=0, method="spearman")
    ranks = []
    for values in (made.leading, made.lagging):
        steady = remove_period_effects(values.T).T
        ranks.append(np.array([rankdata(row, nan_policy="omit") for row in steady]))
    there = np.isfinite(ranks[0]) & np.isfinite(ranks[1])
    x, y = (np.where(there, each, np.nan) for each in ranks)
    inner = [(each - np.nanmean(each, axis=1, keepdims=True))[there] for each in (x, y)]
    assert within.correlations[0] == pytest.approx(np.corrcoef(*inner)[0, 1], abs=1e-5)


def test_spearman_between_is_that_of_scipy():
    made = simulate_panel(customers=60, periods=10, lag=2, between=0.5, seed=1)
    _, between = panel_curves(made.leading, made.lagging, max_lag=0, method="spearman")
    means = made.leading.mean(axis=1), made.lagging.mean(axis=1)
    assert between.correlations[0] == pytest.approx(spearmanr(*means).statistic, abs=1e-6)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_opposite_signs_are_kept_apart(method):
    made = simulate_panel(
        customers=300, periods=18, lag=3, within=0.4, between=-0.6, missing=0.1, seed=2
    )
    within, between = panel_curves(made.leading, made.lagging, max_lag=8, method=method)
    assert within.best_lag == 3
    assert within.correlation > 0.25
    assert between.at(3)[0] < -0.4
    assert within.pvalue < 0.001


def test_intervals_within_cover_at_their_level_and_false_alarms_are_rare():
    covered = lags = alarms = 0
    for seed in range(120):
        made = simulate_panel(
            customers=40, periods=16, lag=1, within=0.3, missing=0.1, leaving=0.03, seed=seed
        )
        within, _ = panel_curves(made.leading, made.lagging, max_lag=4, seed=seed)
        _, low, high = within.at(1)
        covered += low <= 0.3 <= high
        lags += within.lag_low <= 1 <= within.lag_high
        made = simulate_panel(customers=40, periods=16, within=0.0, missing=0.1, seed=seed)
        alarms += panel_curves(made.leading, made.lagging, max_lag=4)[0].pvalue <= 0.05
    assert covered >= 107
    assert lags >= 114
    assert alarms <= 12


def test_random_walks_of_customers_raise_no_alarm():
    alarms = 0
    for seed in range(60):
        walks = np.random.default_rng(seed).normal(size=(2, 60, 24)).cumsum(axis=2)
        alarms += panel_curves(*walks, max_lag=6, seed=seed)[0].pvalue <= 0.05
    assert alarms <= 7


def test_shared_course_does_not_move_when_low_customers_leave():
    own = np.repeat([[0.0], [10.0]], 20, axis=0) * np.ones((40, 12))
    course = np.sin(np.arange(12.0))
    panel = own + course
    panel[:20, 6:] = np.nan
    left = remove_period_effects(panel.T, rounds=200).T
    assert np.nanmax(np.abs(left - own - np.nanmean(left - own))) < 0.01


def test_dead_ends_have_a_reason():
    made = simulate_panel(customers=40, periods=10, seed=1)
    steady = np.repeat(made.leading[:, :1], 10, axis=1)
    within, between = panel_curves(steady, made.lagging, max_lag=2)
    assert within.reason == "nothing varies within customers"
    assert within.best_lag is None
    assert between.best_lag is not None
    within, _ = panel_curves(made.leading[:5], made.lagging[:5], max_lag=2)
    assert within.reason == "too few customers: 5 of the 10 needed have the values"


def test_the_sentence_holds_lag_strength_certainty_periods_and_customers():
    made = simulate_panel(customers=200, periods=18, lag=2, within=0.5, between=-0.5, seed=1)
    found = associate_panel(made.leading, made.lagging, max_lag=6, **NAMES)
    assert found.found
    assert found.sentence.startswith(
        "Within customers nps moves before renewal, by 2 months (95% interval 2 to 2), in the same"
    )
    assert "on 200 customers and 3,200 customer-months; p < 0.001 for the best of 7" in (
        found.sentence
    )
    assert "those with a higher average nps have lower renewal" in found.sentence


def test_nothing_is_said_to_be_nothing():
    made = simulate_panel(customers=100, periods=12, within=0.0, seed=5)
    found = associate_panel(made.leading, made.lagging, max_lag=4, **NAMES)
    assert not found.found
    assert "there is no sign that nps moves before renewal" in found.sentence
    assert "do not clearly differ in renewal" in found.sentence


@pytest.mark.parametrize("seed", range(5))
def test_the_true_lag_is_found_with_gaps_and_leavers(seed):
    made = simulate_panel(
        customers=150, periods=24, lag=4, within=0.4, missing=0.15, leaving=0.03, seed=seed
    )
    for method in ("pearson", "spearman"):
        found = associate_panel(made.leading, made.lagging, max_lag=8, method=method)
        assert (found.best_lag, found.found) == (4, True)


def test_yes_no_has_an_auc_and_an_odds_ratio():
    made = simulate_panel(
        customers=200, periods=16, lag=2, within=0.6, between=0.5, yes_share=0.2, seed=1
    )
    found = associate_panel(made.leading, made.lagging, max_lag=5, **NAMES)
    assert found.yes_no_lag == 2
    assert found.yes_no.auc.low > 0.6
    assert found.yes_no.odds_ratio.low > 1.0
    assert found.yes_no.pairs == 200 * 14
    assert "renewal is yes/no" in found.sentence
    assert "nps 2 months earlier tells them apart with an AUC of 0." in found.sentence
    plain = associate_panel(made.leading, made.leading, max_lag=1)
    assert plain.yes_no is None


def test_a_rare_renewal_is_answered_between_customers():
    """One renewal each, in the last period: nothing within customers, AUC all the same."""
    made = simulate_panel(customers=200, periods=12, seed=1)
    renewal = np.full((200, 12), np.nan)
    renewal[:, 11] = made.leading[:, 9] + np.random.default_rng(1).normal(size=200) > 0
    found = associate_panel(made.leading, renewal, max_lag=3, **NAMES)
    assert found.within.reason
    assert found.between.best_lag is not None
    assert found.yes_no.auc.low > 0.5
    assert found.sentence.startswith("Within customers nothing can be said of nps and renewal")


def test_customers_who_left_are_counted_and_warned_of():
    made = simulate_panel(
        customers=400, periods=20, lag=1, leaving=0.03, leaving_slope=-1.5, seed=1
    )
    found = associate_panel(made.leading, made.lagging, max_lag=3, **NAMES)
    assert found.leavers.left == made.left > 50
    assert found.leavers.difference < -0.5
    assert f"{made.left} of 400 customers left, and their nps was lower by" in found.warning
    assert found.warning in found.sentence
    made = simulate_panel(customers=400, periods=20, lag=1, leaving=0.03, seed=3)
    found = associate_panel(made.leading, made.lagging, max_lag=3, **NAMES)
    assert not found.warning
    assert f"{made.left} of 400 customers left; their periods before that count" in found.sentence


def test_nobody_there_and_nobody_left():
    gone = compare_leavers(np.full((3, 4), np.nan), np.full((3, 4), np.nan))
    assert (gone.left, gone.customers, gone.differ) == (0, 0, False)
    assert compare_leavers(np.ones((3, 4)), np.ones((3, 4))).left == 0


def test_bad_input_is_named():
    panel = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"leading has the shape \(4, 3\) and lagging \(4, 2\)"):
        associate_panel(panel, panel[:, :2])
    with pytest.raises(ValueError, match="unknown method 'spearmen'; did you mean 'spearman'"):
        associate_panel(panel, panel, method="spearmen")
    with pytest.raises(ValueError, match="alpha is 0; it must lie between 0 and 1"):
        associate_panel(panel, panel, alpha=0)
