"""Models of a series: statsmodels' coefficients, white residuals, look-alikes that look alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from statsmodels.tsa.arima.model import ARIMA

from workbench.prewhitening import (
    Filter,
    differences_needed,
    filled,
    fit_filter,
    stationary,
    steady_around_a_line,
)


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
    alike = found.alike(series, 300, np.random.default_rng(1))
    assert alike.shape == (300, 200)
    assert np.isnan(alike[:, 17]).all()
    steps = np.diff(alike[:, 20:], axis=1)
    own = np.diff(series[20:])
    assert steps.std() == pytest.approx(own.std(), rel=0.1)
    steps -= steps.mean(axis=1, keepdims=True)
    first = (steps[:, 1:] * steps[:, :-1]).mean() / (steps**2).mean()
    assert first == pytest.approx(np.corrcoef(own[1:], own[:-1])[0, 1], abs=0.1)


def test_random_walks_wander_and_noise_does_not():
    walks = [np.cumsum(made(150, seed=seed)) for seed in range(40)]
    assert sum(steady_around_a_line(each) for each in walks) <= 5
    noise = [made(60, seed=seed) for seed in range(20)]
    assert sum(steady_around_a_line(each) for each in noise) >= 17
    assert differences_needed(noise[0], walks[0]) == 1
    assert differences_needed(noise[2], noise[3] + 0.5 * np.arange(60)) == 0


def test_a_line_or_the_mean_step_is_taken_off():
    line = 3.0 + 2.0 * np.arange(20.0)
    assert stationary(line, 0) == pytest.approx(0.0, abs=1e-9)
    assert stationary(line, 1)[1:] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(stationary(line, 1)[0])


def test_gaps_are_filled_on_a_line_and_the_ends_with_nothing():
    series = np.array([np.nan, 1.0, np.nan, 3.0, np.nan])
    assert filled(series).tolist() == [0.0, 1.0, 2.0, 3.0, 0.0]


def test_a_series_without_variation_has_no_model():
    with pytest.raises(ValueError, match="leading does not vary"):
        fit_filter(np.full(30, 2.0), 1)


def test_words_name_the_model():
    assert Filter(1, (0.5,), (0.2,), 0.0, (), 0.0).words == "ARIMA(1,1,1)"
