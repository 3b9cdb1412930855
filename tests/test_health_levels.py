"""Levels come from the validated risk; ranks are held against changed weights."""

from __future__ import annotations

import numpy as np

from workbench import weights
from workbench.health_levels import stability, validated_levels


def levels_of(seed, strength, cases=300, yes_no=True):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=cases)
    if yes_no:
        bad = (rng.random(cases) < 1 / (1 + np.exp(1.5 + strength * scores))).astype(float)
    else:
        bad = -strength * scores + rng.normal(size=cases)
    return scores, bad, validated_levels(scores, bad, np.arange(cases), yes_no=yes_no)


def test_bands_hold_their_cases_and_scores_find_their_band():
    scores, bad, found = levels_of(1, 1.5)
    assert [band.cases for band in found.bands] == [60] * 5
    for place, band in enumerate(found.bands):
        inside = [each for each in scores if np.searchsorted(found.cuts, each) == place]
        assert len(inside) == 60
        assert band.events == bad[np.isin(scores, inside)].sum()
    assert found.base.rate == bad.mean()
    assert found.levels[0] == found.of(-9) == "at risk"
    assert found.levels[-1] == found.of(9) == "healthy"
    assert "watch" in found.levels
    assert found.of(np.nan) == "unknown"
    order = ["at risk", "watch", "healthy"]
    places = [order.index(each) for each in found.levels]
    assert places == sorted(places)


def test_levels_of_numbers():
    _, _, found = levels_of(1, 1.0, yes_no=False)
    assert (found.levels[0], found.levels[-1]) == ("at risk", "healthy")


def test_a_worthless_score_has_no_levels_but_watch():
    """In at most 5 % of the runs any band is called at risk or healthy."""
    called = sum(set(levels_of(seed, 0.0)[2].levels) != {"watch"} for seed in range(400))
    assert called <= 0.05 * 400


def test_too_few_cases_have_no_levels():
    _, _, found = levels_of(1, 1.0, cases=39)
    assert found.reason == "too few cases to validate levels: 39 of 40"
    assert found.of(0.0) == "unknown"


def test_ranks_that_rest_on_one_weight_do_not_change():
    scaled = np.random.default_rng(2).normal(size=(50, 2))
    alone = stability(weights.by_hand({"a": 1}, ["a", "b"]), scaled)
    assert (alone.rank_correlation, alone.low, alone.kept, alone.worst) == (1, 1, 5, 5)
    both = stability(weights.equal(["a", "b"]), scaled)
    assert 0.9 < both.low < both.rank_correlation < 1
    assert 3 <= both.kept <= 5
    assert stability(weights.equal(["a", "b"]), scaled[:1]).worst == 0
