"""Would it have predicted? Against statsmodels' Granger test, and on series that do and do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.tsa.stattools import grangercausalitytests

from workbench.datasets.indicators import simulate_series
from workbench.indicators.forecasts import diebold_mariano, granger, would_have_predicted

NAMES = {"names": ("nps", "churn"), "period": "month"}


@pytest.mark.parametrize("loss", ["rmse", "mae"])
def test_a_leading_indicator_helps_out_of_sample(loss):
    pair = simulate_series(periods=120, lag=3, strength=0.7, seed=2)
    found = would_have_predicted(pair.leading, pair.lagging, lag=3, loss=loss, **NAMES)
    assert found.helps
    assert found.ratio == pytest.approx(np.sqrt(1 - 0.7**2), abs=0.12)
    assert found.low < found.ratio < found.high
    assert found.pvalue < 0.01
    assert found.sentence.startswith("nps, 3 months earlier, would have predicted churn: errors")
    assert f"over {found.forecasts} months forecast from those before" in found.sentence


def test_a_useless_one_is_not_said_to_help():
    helped = 0
    for seed in range(40):
        pair = simulate_series(periods=80, strength=0.0, phi=0.8, seed=seed)
        found = would_have_predicted(pair.leading, pair.lagging, lag=2, **NAMES)
        helped += found.helps
        assert found.helps or "It is not shown" in found.sentence or found.low > 1.0
    assert helped <= 3


def test_no_forecast_knows_what_came_later():
    """Changing the future changes no earlier forecast: errors up to then are the same."""
    pair = simulate_series(periods=60, lag=2, strength=0.6, seed=2)
    whole = would_have_predicted(pair.leading, pair.lagging, lag=2)
    cut = would_have_predicted(pair.leading[:50], pair.lagging[:50], lag=2)
    assert whole.forecasts == cut.forecasts + 10


def test_losses_are_compared_as_by_harvey_leybourne_and_newbold():
    """One period ahead, their statistic is Student's t of the differences, exactly."""
    first, second = np.random.default_rng(1).random((2, 25))
    statistic, pvalue = diebold_mariano(first, second)
    expected = ttest_1samp(first - second, 0.0, alternative="greater")
    assert statistic == pytest.approx(expected.statistic)
    assert pvalue == pytest.approx(expected.pvalue)


def test_granger_is_that_of_statsmodels():
    pair = simulate_series(periods=90, lag=2, strength=0.5, phi=0.5, seed=1)
    found = granger(pair.leading, pair.lagging, lags=3, differences=0, names=NAMES["names"])
    both = np.column_stack([pair.lagging, pair.leading])
    statistic, pvalue, freedom, _ = grangercausalitytests(both, [3])[3][0]["ssr_ftest"]
    assert (found.statistic, found.pvalue) == pytest.approx((statistic, pvalue))
    assert found.freedom == freedom
    assert found.sentence.startswith(
        "Granger's test, from the past of nps to churn: it improves on the past of churn alone (F(3"
    )


def test_granger_in_the_other_direction_finds_nothing():
    pair = simulate_series(periods=150, lag=2, strength=0.6, phi=0.5, seed=3)
    found = granger(pair.lagging, pair.leading, lags=3, names=("churn", "nps"))
    assert found.pvalue > 0.05
    assert "from the past of churn to nps: it does not clearly improve" in found.sentence


def test_too_short_says_so():
    pair = simulate_series(periods=25, seed=1)
    found = would_have_predicted(pair.leading, pair.lagging, lag=3, **NAMES)
    assert np.isnan(found.ratio)
    assert "is not known: too short: it takes at least" in found.sentence
    short = granger(pair.leading[:9], pair.lagging[:9], lags=3)
    assert short.reason.startswith("too short: ")
    assert np.isnan(short.pvalue)


def test_what_is_foreseen_anyway_leaves_nothing_to_predict():
    pair = simulate_series(periods=60, seed=1)
    found = would_have_predicted(pair.leading, np.arange(60.0), lag=1)
    assert found.reason == "its own history leaves nothing to predict"


def test_bad_options_are_named():
    pair = simulate_series(periods=60, seed=1)
    with pytest.raises(ValueError, match="lag is 0; it must be 1 or more"):
        would_have_predicted(pair.leading, pair.lagging, lag=0)
    with pytest.raises(ValueError, match="unknown loss 'rsme'; did you mean 'rmse'"):
        would_have_predicted(pair.leading, pair.lagging, lag=1, loss="rsme")
    with pytest.raises(ValueError, match="lags is 0"):
        granger(pair.leading, pair.lagging, lags=0)
