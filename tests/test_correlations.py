"""Correlations over lags hold against statsmodels, against loops, and against chance."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.stattools import ccf

from workbench.correlations import (
    correlate_all,
    lag_range,
    largest,
    pairs_all,
    permuted_maxima,
    pvalues_of,
    resampled,
    shuffled,
    standard,
)


def series(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def by_loops(x, y, lag):
    """R's ccf with missing values: the sum of products by the pairs and the lag."""
    x = (x - np.nanmean(x)) / np.nanstd(x)
    y = (y - np.nanmean(y)) / np.nanstd(y)
    products = [
        x[t] * y[t + lag]
        for t in range(len(x))
        if 0 <= t + lag < len(y) and np.isfinite(x[t]) and np.isfinite(y[t + lag])
    ]
    return sum(products) / (len(products) + abs(lag)), len(products)


def test_complete_series_are_those_of_statsmodels():
    x, y = series(3, 80), series(2, 80, seed=2)
    found = correlate_all(x, y, 20)
    for i in range(3):
        for j in range(2):
            # statsmodels moves its first series forward
            expected = ccf(y[j], x[i], adjusted=False)[:21]
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


def test_missing_values_are_left_out_pair_by_pair():
    x, y = series(3, 40), series(2, 40, seed=2)
    x[0, 5:9] = y[1, 20] = x[2, 0] = np.nan
    found, pairs = correlate_all(x, y, 6, min_lag=-4), pairs_all(x, y, 6, min_lag=-4)
    for i in range(3):
        for j in range(2):
            for number, lag in enumerate(range(-4, 7)):
                expected, n = by_loops(x[i], y[j], lag)
                assert found[i, j, number] == pytest.approx(expected, abs=1e-12)
                assert pairs[i, j, number] == n


def test_a_positive_lag_means_that_the_leading_one_comes_first():
    x = series(200)
    found = correlate_all(x[4:], x[:-4], 8, min_lag=-8)[0, 0]
    assert range(-8, 9)[int(found.argmax())] == 4


def test_constant_series_and_too_few_pairs_have_no_correlation():
    x = np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 4.0, np.nan, 3.0]])
    found = correlate_all(x, x, 4)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1, 1, 0])
    assert np.isnan(found[1, 1, 3:]).all()


def test_large_values_lose_nothing():
    x, y = series(30), series(30, seed=2)
    assert correlate_all(1e9 + x, 3.0 * y - 1e7, 3) == pytest.approx(
        correlate_all(x, y, 3), abs=1e-5
    )


def test_largest_of_all_lags_counts_each_in_its_standard_errors():
    x, y = series(3, 60), series(4, 60, seed=2)
    pairs = pairs_all(x, y, 10)
    expected = np.abs(correlate_all(x, y, 10)) * 60 / np.sqrt(pairs)
    assert largest(x, y, lag_range(10)) == pytest.approx(expected.max(axis=2), rel=1e-5)
    x[1, 4] = np.nan
    pairs = pairs_all(x, y, 10)
    expected = np.abs(correlate_all(x, y, 10)) * (pairs + np.arange(11)) / np.sqrt(pairs)
    assert largest(x, y, lag_range(10)) == pytest.approx(expected.max(axis=2), rel=1e-5)


def test_pvalues_of_the_best_of_all_lags_are_uniform_where_there_is_nothing():
    """White leading series beside random walks: 400 pairs, 13 lags."""
    x, y = series(20, 50), series(20, 50, seed=2).cumsum(axis=1)
    maxima = permuted_maxima(x, y, 12, permutations=199, seed=3)
    found = pvalues_of(largest(x, y, lag_range(12)), maxima)
    assert found.shape == (20, 20)
    assert 0.02 <= (found <= 0.05).mean() <= 0.09
    assert found.mean() == pytest.approx(0.5, abs=0.06)


def test_permuted_values_keep_their_gaps():
    row = np.array([1.0, np.nan, 3.0, 4.0])
    (found,) = shuffled(row, np.array([[3, 1, 2, 0]]))
    assert found.tolist() == pytest.approx([4.0, np.nan, 3.0, 1.0], nan_ok=True)


def test_equal_weights_give_the_correlation_of_the_pairs():
    x, y = series(60), series(60, seed=2)
    x[7] = np.nan
    (found,) = resampled(np.ones((1, 60)), x, y, np.array([-2, 0, 3]))
    there = np.isfinite(x[:-3])
    expected = np.corrcoef(x[:-3][there], y[3:][there])[0, 1] * 56 / 59
    assert found[2] == pytest.approx(expected)


def test_standard_series_have_mean_zero_and_variance_one():
    found = standard(5.0 + 3.0 * series(2, 40))
    assert found.mean(axis=1) == pytest.approx(0.0, abs=1e-12)
    assert found.std(axis=1) == pytest.approx(1.0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"leading has the shape \(4,\) and lagging \(5,\)"):
        correlate_all(np.zeros(4), np.zeros(5), 1)
    with pytest.raises(ValueError, match="max_lag is -1; it must be at least min_lag, which is 0"):
        correlate_all(np.zeros(4), np.zeros(4), -1)
