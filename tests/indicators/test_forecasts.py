"""Would it have predicted? On series that do and do not, and against a published correction."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.datasets.indicators import simulate_series
from workbench.indicators.forecasts import would_have_predicted

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
    assert f"over {found.forecasts} months, each forecast from earlier ones" in found.sentence


def test_a_useless_one_is_not_said_to_help():
    helped = 0
    for seed in range(40):
        pair = simulate_series(periods=80, strength=0.0, phi=0.8, seed=seed)
        found = would_have_predicted(pair.leading, pair.lagging, lag=2, **NAMES)
        helped += found.helps
        assert found.helps or "There is no clear evidence" in found.sentence or found.low > 1.0
    assert helped <= 3


def test_no_forecast_knows_what_came_later():
    """Changing the future changes no earlier forecast: errors up to then are the same."""
    pair = simulate_series(periods=60, lag=2, strength=0.6, seed=2)
    whole = would_have_predicted(pair.leading, pair.lagging, lag=2)
    cut = would_have_predicted(pair.leading[:50], pair.lagging[:50], lag=2)
    assert whole.forecasts == cut.forecasts + 10


def test_too_short_says_so():
    pair = simulate_series(periods=25, seed=1)
    found = would_have_predicted(pair.leading, pair.lagging, lag=3, **NAMES)
    assert np.isnan(found.ratio)
    assert "is not known: too short: it takes at least" in found.sentence


def test_what_is_foreseen_anyway_leaves_nothing_to_predict():
    pair = simulate_series(periods=60, seed=1)
    found = would_have_predicted(pair.leading, np.arange(60.0), lag=1)
    assert found.reason == "its own history leaves nothing to predict"


@pytest.mark.parametrize("turned", [lambda y: y, lambda y: 3.0 - 2.0 * y])
def test_a_leading_series_that_is_the_own_history_says_nothing(turned):
    lagging = simulate_series(periods=80, seed=3).lagging
    found = would_have_predicted(turned(lagging), lagging, lag=1)
    assert found.reason == "it says no more than the own history does"
    assert np.isnan(found.pvalue)


def test_bad_options_are_named():
    pair = simulate_series(periods=60, seed=1)
    with pytest.raises(ValueError, match="lag is 0; it must be 1 or more"):
        would_have_predicted(pair.leading, pair.lagging, lag=0)
    with pytest.raises(ValueError, match="unknown loss 'rsme'; did you mean 'rmse'"):
        would_have_predicted(pair.leading, pair.lagging, lag=1, loss="rsme")
