"""Correlations over lags hold against statsmodels, against loops, and against chance.

Models of a series: statsmodels' coefficients, white residuals, surrogates that look alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.stattools import ccf

from workbench.indicators.series import (
    Filter,
    correlate_all,
    count_pairs,
    detrend,
    differences_needed,
    fit_filter,
    interpolate_gaps,
    is_trend_stationary,
    lag_range,
    largest_over_lags,
    permutation_pvalues,
    resampled_correlations,
    shuffle_present,
    standardize,
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
    found, pairs = correlate_all(x, y, 6, min_lag=-4), count_pairs(x, y, 6, min_lag=-4)
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
    pairs = count_pairs(x, y, 10)
    expected = np.abs(correlate_all(x, y, 10)) * 60 / np.sqrt(pairs)
    assert largest_over_lags(x, y, lag_range(10)) == pytest.approx(expected.max(axis=2), rel=1e-5)
    x[1, 4] = np.nan
    pairs = count_pairs(x, y, 10)
    expected = np.abs(correlate_all(x, y, 10)) * (pairs + np.arange(11)) / np.sqrt(pairs)
    assert largest_over_lags(x, y, lag_range(10)) == pytest.approx(expected.max(axis=2), rel=1e-5)


def test_pvalues_of_the_best_of_all_lags_are_uniform_where_there_is_nothing():
    """White leading series beside random walks: 400 pairs, 13 lags."""
    x, y = series(20, 50), series(20, 50, seed=2).cumsum(axis=1)
    orders = np.random.default_rng(3).permuted(np.tile(np.arange(50), (199, 1)), axis=1)
    maxima = np.stack(
        [largest_over_lags(shuffle_present(row, orders), y, lag_range(12)) for row in x], axis=1
    )
    found = permutation_pvalues(largest_over_lags(x, y, lag_range(12)), maxima)
    assert found.shape == (20, 20)
    assert 0.02 <= (found <= 0.05).mean() <= 0.09
    assert found.mean() == pytest.approx(0.5, abs=0.06)


def test_permuted_values_keep_their_gaps():
    row = np.array([1.0, np.nan, 3.0, 4.0])
    (found,) = shuffle_present(row, np.array([[3, 1, 2, 0]]))
    assert found.tolist() == pytest.approx([4.0, np.nan, 3.0, 1.0], nan_ok=True)


def test_equal_weights_give_the_correlation_of_the_pairs():
    x, y = series(60), series(60, seed=2)
    x[7] = np.nan
    (found,) = resampled_correlations(np.ones((1, 60)), x, y, np.array([-2, 0, 3]))
    there = np.isfinite(x[:-3])
    expected = np.corrcoef(x[:-3][there], y[3:][there])[0, 1] * 56 / 59
    assert found[2] == pytest.approx(expected)


def test_standard_series_have_mean_zero_and_variance_one():
    found = standardize(5.0 + 3.0 * series(2, 40))
    assert found.mean(axis=1) == pytest.approx(0.0, abs=1e-12)
    assert found.std(axis=1) == pytest.approx(1.0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"leading has the shape \(4,\) and lagging \(5,\)"):
        correlate_all(np.zeros(4), np.zeros(5), 1)
    with pytest.raises(ValueError, match="max_lag is -1; it must be at least min_lag, which is 0"):
        correlate_all(np.zeros(4), np.zeros(4), -1)


def made(periods, *, ar=(), ma=(), seed=1):
    noise = np.random.default_rng(seed).normal(size=periods + 100)
    return lfilter(np.r_[1.0, ma], np.r_[1.0, -np.array(ar)], noise)[100:]


def test_coefficients_are_those_of_exact_likelihood():
    series = np.cumsum(made(160, ma=[0.5]))
    found = fit_filter(series, 1)
    p, d, q = found.order
    assert (d, p + q > 0) == (1, True)
    steps = np.diff(series)
    expected = ARIMA(steps - steps.mean(), order=(p, 0, q), trend="n").fit().params
    assert found.ar + found.ma == pytest.approx(expected[: p + q], abs=2e-3)


@pytest.mark.parametrize(("ar", "ma"), [((0.7,), ()), ((), (0.6,)), ((0.5, 0.3), ()), ((), ())])
def test_aicc_finds_a_model_that_leaves_nothing(ar, ma):
    found = fit_filter(made(300, ar=ar, ma=ma, seed=3), 0)
    left = np.array(found.residuals)
    left = left[np.isfinite(left)]
    shifted = [np.corrcoef(left[:-lag], left[lag:])[0, 1] for lag in (1, 2, 3)]
    assert np.abs(shifted).max() < 0.12
    assert sum(found.order) <= len(ar) + len(ma) + 1


def test_a_filter_passes_over_gaps():
    series = np.cumsum(made(120, ma=[0.5]))
    gappy = series.copy()
    gappy[[0, 1, 40, 41, 90]] = np.nan
    found = fit_filter(gappy, 1)
    left = np.array(found.residuals)
    assert np.isnan(left[[0, 1, 2, 40, 41, 42, 90, 91]]).all()
    assert np.isfinite(left).sum() == 120 - 8 - len(found.ar)
    whole = found.apply(series)
    there = np.isfinite(left)
    assert np.corrcoef(whole[there], left[there])[0, 1] > 0.95


def test_many_series_go_through_at_once():
    found = fit_filter(made(60, ar=[0.6]), 0)
    many = np.stack([made(60, seed=2), made(60, seed=3)])
    both = found.apply(many)
    for row, series in zip(both, many, strict=True):
        assert row == pytest.approx(found.apply(series), nan_ok=True)


def test_look_alikes_have_the_same_autocorrelation_and_gaps():
    series = np.cumsum(made(200, ar=[0.6]))
    series[17] = np.nan
    found = fit_filter(series, 1)
    surrogates = found.surrogates(series, 300, np.random.default_rng(1))
    assert surrogates.shape == (300, 200)
    assert np.isnan(surrogates[:, 17]).all()
    steps = np.diff(surrogates[:, 20:], axis=1)
    own = np.diff(series[20:])
    assert steps.std() == pytest.approx(own.std(), rel=0.1)
    steps -= steps.mean(axis=1, keepdims=True)
    first = (steps[:, 1:] * steps[:, :-1]).mean() / (steps**2).mean()
    assert first == pytest.approx(np.corrcoef(own[1:], own[:-1])[0, 1], abs=0.1)


def test_random_walks_wander_and_noise_does_not():
    walks = [np.cumsum(made(150, seed=seed)) for seed in range(40)]
    assert sum(is_trend_stationary(each) for each in walks) <= 5
    noise = [made(60, seed=seed) for seed in range(20)]
    assert sum(is_trend_stationary(each) for each in noise) >= 17
    assert differences_needed(noise[0], walks[0]) == 1
    assert differences_needed(noise[2], noise[3] + 0.5 * np.arange(60)) == 0


def test_a_line_or_the_mean_step_is_taken_off():
    line = 3.0 + 2.0 * np.arange(20.0)
    assert detrend(line, 0) == pytest.approx(0.0, abs=1e-9)
    assert detrend(line, 1)[1:] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(detrend(line, 1)[0])


def test_gaps_are_filled_on_a_line_and_the_ends_with_nothing():
    series = np.array([np.nan, 1.0, np.nan, 3.0, np.nan])
    assert interpolate_gaps(series).tolist() == [0.0, 1.0, 2.0, 3.0, 0.0]


def test_a_series_without_variation_has_no_model():
    with pytest.raises(ValueError, match="leading does not vary"):
        fit_filter(np.full(30, 2.0), 1)


def test_words_name_the_model():
    assert Filter(1, (0.5,), (0.2,), 0.0, (), 0.0).words == "ARIMA(1,1,1)"
