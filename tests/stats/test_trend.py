"""Trends and changes of series: published numbers, another implementation, and error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.stats.trend import FEWEST, change, newey_west, trend

# Packs of cigarettes a head in California, 1970 to 2000 (Abadie, Diamond & Hainmueller 2010).
CIGARETTES = [
    *(123, 121, 123.5, 124.4, 126.7, 127.1, 128, 126.4, 126.1, 121.9, 120.2, 118.6, 115.4),
    *(110.8, 104.8, 102.8, 99.7, 97.5, 90.1, 82.4, 77.8, 68.7, 67.5, 63.4, 58.6, 56.4),
    *(54.5, 53.8, 52.3, 47.2, 41.6),
]
TAX = 19  # 1989


def columns(size, after):
    time = np.arange(size)
    late = time >= after
    return np.column_stack([np.ones(size), time, late, late * (time - after)])


def test_published_segmented_regression():
    """Linden (2015), Stata Journal 15:480-500: itsa, single group, trperiod(1989), lag(1)."""
    found = change(CIGARETTES, TAX)
    for got, estimate, error in (
        (found.before, -1.779474, 0.3834188),
        (found.level, -20.0581, 4.724395),
        (found.slope, -1.494652, 0.43682),
    ):
        assert got.estimate == pytest.approx(estimate, rel=1e-5)
        assert got.error == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_errors_agree_with_statsmodels(lag):
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(3)
    values, design = rng.normal(size=24).cumsum(), columns(24, 11)
    estimates, errors, _ = newey_west(values[None], design, lag)
    options = {"maxlags": lag, "use_correction": True}
    other = OLS(values, design).fit(cov_type="HAC", cov_kwds=options)
    assert estimates[0] == pytest.approx(other.params, rel=1e-8)
    assert errors[0] == pytest.approx(other.bse, rel=1e-8)


def series(rng, count, size, autocorrelation):
    noise = rng.normal(size=(count, size))
    noise[:, 0] /= math.sqrt(1 - autocorrelation**2)
    for period in range(1, size):
        noise[:, period] += autocorrelation * noise[:, period - 1]
    return noise


@pytest.mark.parametrize("autocorrelation", [0.0, 0.4, 0.6])
@pytest.mark.parametrize(("size", "after"), [(18, 12), (24, 12)])
def test_false_changes_are_as_rare_as_promised(size, after, autocorrelation):
    rng = np.random.default_rng(11)
    drawn = series(rng, 1_200, size, autocorrelation)
    rejected = np.zeros(2)
    for values in drawn:
        found = change(values, after)
        rejected += [found.level.pvalue <= 0.05, found.slope.pvalue <= 0.05]
    noise = 3 * math.sqrt(0.05 * 0.95 / 1_200)
    assert (rejected / 1_200 <= 0.05 + noise).all()


def test_the_usual_errors_alone_would_cry_wolf():
    """Why the errors are calibrated: Newey and West's own reject two to six times too often."""
    from scipy.stats import t

    drawn = series(np.random.default_rng(11), 2_000, 18, 0.4)
    estimates, errors, _ = newey_west(drawn, columns(18, 12))
    usual = 2 * t.sf(np.abs(estimates / errors), 18 - 4)
    assert ((usual[:, 2:] <= 0.05).mean(axis=0) > 0.15).all()


def test_a_trend_covers_its_slope_and_its_level_now():
    drawn = series(np.random.default_rng(5), 800, 12, 0.4) + 2.0 * np.arange(12)
    covered = np.zeros(2)
    for values in drawn:
        found = trend(values)
        covered += [
            found.slope.low <= 2.0 <= found.slope.high,
            found.level.low <= 22.0 <= found.level.high,
        ]
    assert (covered / 800 >= 0.93).all()


def test_a_real_change_is_found():
    values = np.random.default_rng(2).normal(size=24)
    values[12:] += 8
    found = change(values, 12)
    assert found.level.low > 0
    assert found.level.low < 8 < found.level.high
    assert found.slope.low < 0 < found.slope.high


def test_interval_and_pvalue_agree():
    rng = np.random.default_rng(9)
    for _ in range(60):
        found = change(rng.normal(size=18).cumsum(), 9)
        for each in (found.level, found.slope):
            assert (each.pvalue <= 0.0498) == (not each.low <= 0 <= each.high) or (
                abs(each.pvalue - 0.05) < 0.002
            )


def test_too_few_periods_say_so():
    found = change([1.0, 2.0] * 6, 12 - FEWEST + 1)
    assert math.isnan(found.level.estimate)
    assert found.reason == "too few periods: 7 before and 5 after, and 6 needed on each"
    assert math.isnan(trend([1, 2, 3]).slope.low)
    assert trend([1, 2, 3]).reason == "too few periods: 3, and 6 needed"


def test_an_exact_line_leaves_nothing_to_chance():
    found = trend([2.0 * each for each in range(8)])
    assert (found.slope.low, found.slope.high) == pytest.approx((2, 2))
    assert math.isnan(found.slope.pvalue)
    assert "exactly" in found.reason
    assert trend([5.0] * 8).slope.estimate == pytest.approx(0)


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="no finite number"):
        trend([1, 2, math.nan, 3, 4, 5])
    with pytest.raises(ValueError, match=r"confidence_level is 1\.5; it must lie between 0 and 1"):
        trend([1, 2, 3, 4, 5, 6], confidence_level=1.5)
