"""Pairs of indicators: what is asked once and kept, and what is seen at a lag."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from indicator_studies import study_of

from workbench.errors import StudyError
from workbench.pairs import Pairs, Setting
from workbench.simulate_panels import simulate_series


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    made = simulate_series(periods=60, lag=3, strength=0.8, seed=4)
    other = simulate_series(periods=60, lag=0, strength=0.0, seed=5)
    series = {"nps": made.leading, "visits": other.leading, "renewals": made.lagging}
    study = study_of(tmp_path_factory.mktemp("pairs"), series, lagging=["renewals"])
    return Pairs(study, permutations=99)


def test_the_surest_pair_comes_first(pairs):
    first, second = pairs.associations()
    assert (first.leading, first.found, first.best_lag) == ("nps", True, 3)
    assert (second.leading, second.found) == ("visits", False)
    assert pairs.best("nps", "renewals") == Setting("nps", "renewals", 3)


def test_a_view_sets_each_value_beside_the_one_of_so_many_periods_before(pairs):
    seen = pairs.view(Setting("nps", "renewals", 2, "levels"))
    found = pairs.indicators()
    nps, renewals = (found.series(name).values for name in ("nps", "renewals"))
    frame = seen.frame
    assert len(frame) == 62
    assert frame["period"].tolist()[:3] == ["1", "2", "3"]
    assert frame["leading_period"].tolist()[2] == "1"
    np.testing.assert_array_equal(frame["leading"][2:], nps)
    np.testing.assert_array_equal(frame["lagging"][:60], renewals)
    assert frame["lagging"][60:].isna().all()
    assert frame["leading"][:2].isna().all()
    assert frame["lagging_scaled"].mean() == pytest.approx(0)
    assert frame["lagging_scaled"].std(ddof=0) == pytest.approx(1)


@pytest.mark.parametrize("transform", ["levels", "differences", "prewhitened"])
def test_the_correlation_of_a_view_is_the_curve_of_the_association(pairs, transform):
    seen = pairs.view(Setting("nps", "renewals", 3, transform))
    curve = getattr(seen.association, transform)
    assert seen.correlation == curve.correlations[3]
    assert seen.band == curve.band[3]
    assert seen.outside == (abs(curve.correlations[3]) > curve.band[3])
    both = seen.frame.dropna(subset=["leading", "lagging"])
    assert len(both) == seen.periods


def test_levels_are_shown_and_never_decide(pairs):
    said = pairs.view(Setting("nps", "renewals", 0, "levels")).sentences
    assert said[0].startswith("The raw levels of nps and renewals correlate ")
    assert "Levels are shown, and never decide." in said[0]
    assert "nps moves before renewals, by 3 periods" in said[1]
    for transform in ("differences", "prewhitened"):
        said = pairs.view(Setting("nps", "renewals", 3, transform)).sentences
        assert "outside the band" in said[0]
        assert "of 100 unrelated pairs" in said[0]


def test_lags_reach_a_quarter_of_the_periods_and_no_farther_than_12(pairs):
    assert pairs.farthest == 12
    assert Pairs(pairs.study, max_lag=5).farthest == 5


def test_names_and_lags_that_there_are_not_are_refused(pairs):
    with pytest.raises(StudyError, match="unknown leading indicator 'npz'; did you mean 'nps'"):
        pairs.view(Setting("npz", "renewals"))
    with pytest.raises(StudyError, match="unknown lagging indicator 'nps'"):
        pairs.view(Setting("visits", "nps"))
    with pytest.raises(StudyError, match="lag is 13; the lags searched are 0 to 12"):
        pairs.view(Setting("nps", "renewals", 13))
    with pytest.raises(StudyError, match="unknown transform 'level'"):
        pairs.view(Setting("nps", "renewals", 1, "level"))


def test_a_pair_that_is_too_short_says_so_at_every_setting(tmp_path):
    made = simulate_series(periods=12, lag=1, strength=0.8, seed=4)
    study = study_of(tmp_path, {"nps": made.leading, "sales": made.lagging}, lagging=["sales"])
    pairs = Pairs(study, permutations=99).prepare()
    for transform in ("levels", "differences", "prewhitened"):
        seen = pairs.view(Setting("nps", "sales", 1, transform))
        assert math.isnan(seen.band)
        assert not seen.outside
        assert "too short" in " ".join(seen.sentences)
    assert pairs.best("nps", "sales").lag == 0
    assert pairs.forecast("nps", "sales") is None


def test_forecasts_are_for_pairs_that_were_found(pairs):
    assert pairs.forecast("nps", "renewals").lag == 3
    assert pairs.forecast("visits", "renewals") is None


def test_series_without_customers_have_no_panel_and_no_cohorts(pairs):
    assert pairs.of_customers("nps", "renewals") is None
    assert pairs.cohorts == ((),)


def test_a_study_needs_both_kinds_of_indicators(tmp_path):
    made = simulate_series(periods=40, seed=1)
    study = study_of(tmp_path, {"nps": made.leading}, lagging=[])
    with pytest.raises(StudyError, match="has no lagging indicator; define one or more"):
        Pairs(study)


def test_looking_at_another_lag_is_quick(pairs):
    pairs.prepare()
    start = time.perf_counter()
    for lag in range(13):
        pairs.view(Setting("nps", "renewals", lag))
    assert (time.perf_counter() - start) / 13 < 0.05
