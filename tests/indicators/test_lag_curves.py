"""One view of a pair: the true lag, bands that hold, intervals that cover, gaps and dead ends."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.datasets.indicators import simulate_series
from workbench.indicators.lag_curves import (
    LagCurve,
    Search,
    as_series,
    block_weights,
    lag_curve,
    pair_filter,
    periods_short,
    reason_unusable,
)


def lagged(leading, lagging, *, transform="prewhitened", **options) -> LagCurve:
    """One view of a pair, as `associate` makes it."""
    search = Search(**options)
    x, y = as_series(leading, lagging)
    reason = reason_unusable(x, y, search.lags, ("leading", "lagging"))
    return lag_curve(x, y, transform, None if reason else pair_filter(x, y), search, reason)


@pytest.mark.parametrize("transform", ["differences", "prewhitened"])
@pytest.mark.parametrize(("phi", "missing"), [(1.0, 0.0), (0.6, 0.05)])
def test_the_true_lag_is_found(transform, phi, missing):
    pair = simulate_series(periods=120, lag=4, strength=-0.7, phi=phi, missing=missing, seed=7)
    found = lagged(pair.leading, pair.lagging, transform=transform)
    assert found.best_lag == 4
    assert found.lag_low <= 4 <= found.lag_high
    assert found.correlation < -0.5
    assert found.pvalue == 0.001
    assert abs(found.correlation) > found.band[4]


def test_a_negative_lag_means_that_the_other_one_comes_first():
    pair = simulate_series(periods=120, lag=4, strength=0.7, seed=7)
    found = lagged(pair.lagging, pair.leading, min_lag=-6, max_lag=6)
    assert found.best_lag == -4


@pytest.mark.parametrize("transform", ["levels", "differences", "prewhitened"])
def test_bands_hold_all_lags_at_once(transform):
    """Of 60 pairs of random walks, about three leave the band somewhere."""
    left = 0
    for seed in range(60):
        pair = simulate_series(periods=60, strength=0.0, seed=seed)
        found = lagged(pair.leading, pair.lagging, transform=transform, permutations=99, seed=seed)
        outside = np.abs(found.correlations) > np.array(found.band)
        assert outside.any() == (found.pvalue <= 0.05) or transform == "levels"
        left += outside.any()
    assert left <= 8


def test_intervals_cover_at_their_level():
    """A true correlation of 0.5 two periods later; over 400 seeds 93% of intervals hold it."""
    covered = lags = 0
    for seed in range(100):
        pair = simulate_series(periods=80, lag=2, strength=0.5, phi=0.8, seed=seed)
        found = lagged(pair.leading, pair.lagging, max_lag=6, permutations=99)
        lags += found.lag_low <= 2 <= found.lag_high
        covered += found.low <= 0.5 <= found.high
    assert lags >= 97
    assert covered >= 88


def test_levels_have_a_band_and_no_interval():
    pair = simulate_series(periods=60, strength=0.0, seed=3)
    found = lagged(pair.leading, pair.lagging, transform="levels")
    assert max(found.band) > 0.6  # random walks correlate whatever they do
    assert found.lag_low is None
    assert np.isnan(found.low)


def test_pairs_are_counted_at_each_lag():
    pair = simulate_series(periods=60, seed=3)
    pair.leading[10] = np.nan
    found = lagged(pair.leading, pair.lagging, max_lag=5, transform="levels")
    assert found.pairs == (59, 58, 57, 56, 55, 54)
    assert found.periods == found.pairs[found.lags.index(found.best_lag)]


@pytest.mark.parametrize(
    ("leading", "reason"),
    [
        (np.full(50, np.nan), "leading has no values"),
        (np.full(50, 3.0), "leading is constant"),
        (np.arange(50.0), "leading changes by the same amount in every period"),
    ],
)
def test_what_does_not_vary_is_said(leading, reason):
    found = lagged(leading, simulate_series(periods=50, seed=1).lagging)
    assert found.reason == reason
    assert found.best_lag is None
    assert np.isnan(found.pvalue)


def test_periods_short_counts_the_periods_that_are_missing():
    pair = simulate_series(periods=60, seed=1)
    lags = np.arange(13)
    assert periods_short(pair.leading[:29], pair.lagging[:29], lags) == 0
    for periods in (28, 20, 10, 5, 1):
        needed = periods_short(pair.leading[:periods], pair.lagging[:periods], lags)
        assert needed == 29 - periods


def test_same_seed_same_answer_and_nothing_global_is_touched():
    pair = simulate_series(periods=60, seed=1)
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, second = (lagged(pair.leading, pair.lagging, seed=9) for _ in range(2))
    assert first == second
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_blocks_are_drawn_whole():
    weights = block_weights(50, 20, np.random.default_rng(1))
    assert weights.shape == (20, 50)
    assert (weights.sum(axis=1) >= 50).all()


def test_bad_options_are_named():
    pair = simulate_series(periods=60, seed=1)
    with pytest.raises(ValueError, match="unknown transform 'diferences'; did you mean"):
        lagged(pair.leading, pair.lagging, transform="diferences")
    with pytest.raises(ValueError, match="permutations is 5; it must be 19 or more"):
        lagged(pair.leading, pair.lagging, permutations=5)
    with pytest.raises(ValueError, match="confidence_level is 2"):
        lagged(pair.leading, pair.lagging, confidence_level=2)
    with pytest.raises(ValueError, match="each must be one series, use correlate_all for many"):
        lagged(np.zeros((2, 9)), np.zeros((2, 9)))
