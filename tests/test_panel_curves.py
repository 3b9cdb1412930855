"""Within and between customers: fixed effects of statsmodels, coverage, the best of all lags."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from workbench.panel_curves import panel_curves, ranks_within, without_shared_course
from workbench.simulate_panels import simulate_panel


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


def test_ranks_share_ties_and_skip_gaps():
    values = np.array([[3.0, 1.0, 1.0, 2.0], [5.0, 5.0, 5.0, np.nan]])
    found = ranks_within(values.T).T
    assert found[0].tolist() == rankdata(values[0]).tolist()
    assert found[1] == pytest.approx([2.0, 2.0, 2.0, np.nan], nan_ok=True)


def test_shared_course_does_not_move_when_low_customers_leave():
    own = np.repeat([[0.0], [10.0]], 20, axis=0) * np.ones((40, 12))
    course = np.sin(np.arange(12.0))
    panel = own + course
    panel[:20, 6:] = np.nan
    left = without_shared_course(panel.T, rounds=200).T
    assert np.nanmax(np.abs(left - own - np.nanmean(left - own))) < 0.01


def test_dead_ends_have_a_reason():
    made = simulate_panel(customers=40, periods=10, seed=1)
    steady = np.repeat(made.leading[:, :1], 10, axis=1)
    within, between = panel_curves(steady, made.lagging, max_lag=2)
    assert within.reason == "nothing varies within customers"
    assert within.best_lag is None
    assert between.best_lag is not None
    within, _ = panel_curves(made.leading[:5], made.lagging[:5], max_lag=2)
    assert within.reason == "too few: 5 customers can be used within customers, 10 are needed"
