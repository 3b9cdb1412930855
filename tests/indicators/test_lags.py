"""A pair, decided: published figures, false alarms, sentences, many pairs at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from workbench.datasets.indicators import simulate_series
from workbench.indicators.lags import adjust_pvalues, associate, associate_all


@pytest.fixture(scope="module")
def sales(real_data):
    """Box & Jenkins's series M: sales with a leading indicator, 150 periods."""
    table = pd.read_csv(real_data / "sales_lead" / "series.csv")
    names = {"names": ("lead", "sales"), "period": "month"}
    return associate(table["lead"].to_numpy(), table["sales"].to_numpy(), **names)


def test_sales_follow_the_lead_by_three_periods(sales):
    """Published: raw 0.951 at lag 0, differences 0.720 and prewhitened 0.676 at lag 3."""
    assert sales.levels.correlations[0] == pytest.approx(0.951, abs=5e-4)
    assert (sales.levels.best_lag, sales.differences.best_lag, sales.best_lag) == (0, 3, 3)
    assert sales.differences.correlation == pytest.approx(0.720, abs=5e-4)
    assert sales.correlation == pytest.approx(0.676, abs=5e-4)
    assert sales.prewhitened.model == "ARIMA(0,1,1)"
    assert (sales.prewhitened.lag_low, sales.prewhitened.lag_high) == (3, 3)
    assert sales.found


def test_sales_say_why_raw_levels_mislead(sales):
    assert sales.sentence.startswith("lead moves before sales, by 3 months (95% interval 3 to 3)")
    assert "on 146 months" in sales.sentence
    assert "The differences say the same lag (+0.72)" in sales.sentence
    assert "raw levels mislead: they correlate +0.95 at a lag of 0 months" in sales.warning
    assert "because each series drifts on its own" in sales.warning
    assert "cause" not in sales.sentence.replace("because", "")


@pytest.mark.slow
@pytest.mark.parametrize(("periods", "phi"), [(150, 1.0), (40, 0.9)])
def test_series_with_nothing_between_them_are_reported_as_nothing(periods, phi):
    """Random walks, and autocorrelated series: at least 95% of 400 runs, searched over 12 lags."""
    nothing = 0
    for seed in range(400):
        pair = simulate_series(periods=periods, strength=0.0, phi=phi, seed=seed)
        found = associate(pair.leading, pair.lagging, max_lag=12, permutations=99)
        nothing += not found.found
    assert nothing >= 380


def test_a_delay_that_is_there_is_found_and_said():
    right = 0
    for seed in range(20):
        pair = simulate_series(periods=80, lag=5, strength=-0.6, phi=0.9, seed=seed)
        found = associate(pair.leading, pair.lagging, permutations=99)
        right += found.found and found.best_lag == 5 and found.agreed
        assert "in the opposite direction" in found.sentence or not found.found
    assert right >= 18


def test_too_short_says_how_many_more():
    pair = simulate_series(periods=24, seed=1)
    found = associate(pair.leading, pair.lagging, names=("nps", "churn"), period="month")
    assert (found.needed, found.found, found.best_lag) == (5, False, None)
    assert found.sentence == (
        "nps and churn: nothing can be said on 24 months; too short: searching up to 12 months "
        "takes at least 5 more, or search fewer lags."
    )
    assert associate(pair.leading, pair.lagging, max_lag=7).reason == ""


def test_constant_series_are_named():
    found = associate(np.ones(50), simulate_series(periods=50, seed=1).lagging, names=("a", "b"))
    assert np.isnan(found.pvalue)
    assert found.sentence == "a and b: nothing can be said on 50 periods; a is constant."


def test_gaps_are_left_out_and_counted():
    pair = simulate_series(periods=120, lag=2, strength=0.7, missing=0.1, seed=2)
    found = associate(pair.leading, pair.lagging)
    both = np.isfinite(pair.leading) & np.isfinite(pair.lagging)
    assert found.periods == both.sum()
    assert found.best_lag == 2
    assert found.prewhitened.pairs[2] < 118


def test_same_period_and_reversed_order_are_worded():
    pair = simulate_series(periods=100, lag=0, strength=0.8, seed=1)
    found = associate(pair.leading, pair.lagging, names=("a", "b"), period="week")
    assert found.sentence.startswith("a and b move in the same week, neither before the other")
    pair = simulate_series(periods=100, lag=3, strength=0.8, seed=1)
    names = {"names": ("b", "a"), "period": "week"}
    found = associate(pair.lagging, pair.leading, min_lag=-6, max_lag=6, **names)
    assert found.sentence.startswith("a moves before b, by 3 weeks")


def test_many_pairs_cost_what_they_should():
    true = simulate_series(periods=100, lag=2, strength=0.7, seed=1)
    noise = {f"noise {seed}": simulate_series(periods=100, seed=seed).lagging for seed in (5, 6, 7)}
    leading = {"nps": true.leading, **noise}
    found = associate_all(leading, {"churn": true.lagging, "noise 5": noise["noise 5"]})
    assert len(found) == 7  # noise 5 is not set beside itself
    assert [each.pairs_compared for each in found] == [7] * 7
    assert all(each.adjusted >= each.pvalue for each in found)
    (first, *_) = found
    assert (first.leading, first.lagging, first.found) == ("nps", "churn", True)
    assert "for 7 pairs together" in first.sentence


def test_adjusted_values_are_those_of_benjamini_and_hochberg():
    pair = simulate_series(periods=60, seed=1)
    one = associate(pair.leading, pair.lagging, permutations=19)
    many = [dataclasses.replace(one, pvalue=value) for value in (0.01, 0.04, 0.03, np.nan)]
    adjusted = [each.adjusted for each in adjust_pvalues(many)]
    assert adjusted == pytest.approx([0.03, 0.04, 0.04, np.nan], nan_ok=True)


def test_bad_alpha_is_named():
    with pytest.raises(ValueError, match="alpha is 5; it must lie between 0 and 1"):
        associate(np.zeros(9), np.zeros(9), alpha=5)
