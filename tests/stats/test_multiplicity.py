"""Adjusted p-values, discoveries over versions and years, and SAFFRON for ledgers of before.

Published values, by the name used below:

- SAS: example 5 of PROC MULTTEST, SAS/STAT 9.3 user's guide ("Inputting Raw p-Values").
- Benjamini: Benjamini & Hochberg (1995) JRSS B 57:289-300, section 3.1 (15 endpoints of a trial).
- onlineFDR: the manual page SAFFRON of the R package onlineFDR, 15 hypotheses.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.stats.multiplicity import (
    benjamini_hochberg,
    discoveries,
    holm,
    saffron,
    version_share,
)

NAN = math.nan
SAS = [
    *(0.28282, 0.30688, 0.71022, 0.77175, 0.78180, 0.88581, 0.54685, 0.84978, 0.24228, 0.58977),
    *(0.03498, 0.41607, 0.31631, 0.05254, 0.45061, 0.75758, 0.12496, 0.49485, 0.21572, 0.50505),
    *(0.94372, 0.81260, 0.77596, 0.36889),
]
BENJAMINI = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]
IN_ORDER = [
    *(2.90e-08, 0.06743, 0.01514, 0.08174, 0.00171, 3.60e-05, 0.79149, 0.27201, 0.28295),
    *(7.59e-08, 0.69274, 0.30443, 0.00136, 0.72342, 0.54757),
]
SHUFFLED = [  # within dates, as R orders them after set.seed(1)
    *(2.90e-08, 0.06743, 0.01514, 0.08174, 0.00171, 0.27201, 3.60e-05, 0.79149, 7.59e-08),
    *(0.28295, 0.69274, 0.72342, 0.30443, 0.54757, 0.00136),
]
PUBLISHED = {
    "SAFFRON": (saffron, IN_ORDER, {}, [1, 5, 6, 10, 13], [
        *(0.005468627, 0.010937254, 0.010937254, 0.010937254, 0.010937254, 0.021874508),
        *(0.032811762, 0.010823845, 0.010823845, 0.010823845, 0.021761099, 0.009265591),
        *(0.009265591, 0.020202846, 0.009064367),
    ]),
    "SAFFRON, wealth": (
        saffron, SHUFFLED, {"alpha": 0.1, "wealth": 0.025}, [1, 3, 5, 7, 9, 15], [
        *(0.005468627, 0.021874508, 0.021874508, 0.043749017, 0.043749017, 0.065623525),
        *(0.065623525, 0.087498033, 0.028863587, 0.050738095, 0.050738095, 0.022302945),
        *(0.013293195, 0.013293195, 0.009042997),
    ]),
}  # fmt: skip
probabilities = st.floats(0.0, 1.0)


def found(decisions):
    return [place for place, each in enumerate(decisions, start=1) if each.rejected]


def test_holm_and_benjamini_hochberg_as_sas_prints_them():
    stepdown, stepup = holm(SAS), benjamini_hochberg(SAS)
    assert round(stepdown[10], 4) == 0.8395
    assert [round(each, 4) for each in stepdown[:10]] == [1.0] * 10
    assert round(stepup[10], 4) == 0.6305
    assert [round(each, 4) for each in (*stepup[:10], *stepup[11:13])] == [0.9243] * 12


def test_discoveries_of_benjamini_and_hochberg():
    assert sum(pvalue <= 0.05 for pvalue in benjamini_hochberg(BENJAMINI)) == 4
    assert sum(pvalue <= 0.05 for pvalue in holm(BENJAMINI)) == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(probabilities, min_size=1, max_size=12))
def test_benjamini_hochberg_agrees_with_scipy(pvalues):
    expected = stats.false_discovery_control(pvalues)
    assert benjamini_hochberg(pvalues) == pytest.approx(list(expected))


@settings(max_examples=50, deadline=None)
@given(st.lists(probabilities, max_size=8), st.integers(0, 8))
def test_nan_does_not_count(pvalues, place):
    for adjust in (holm, benjamini_hochberg):
        adjusted = list(adjust([*pvalues[:place], NAN, *pvalues[place:]]))
        assert math.isnan(adjusted.pop(min(place, len(pvalues))))
        assert tuple(adjusted) == adjust(pvalues)
    decisions = list(saffron([*pvalues[:place], NAN, *pvalues[place:]]))
    nothing = decisions.pop(min(place, len(pvalues)))
    assert math.isnan(nothing.level)
    assert not nothing.rejected
    assert tuple(decisions) == saffron(pvalues)


@settings(max_examples=50, deadline=None)
@given(st.lists(probabilities, min_size=1, max_size=6))
def test_holm_is_the_closed_bonferroni_test(pvalues):
    """A hypothesis is rejected where every intersection that holds it is (Holm 1979)."""
    everyone = range(len(pvalues))
    for index, adjusted in enumerate(holm(pvalues)):
        worst = 0.0
        for chosen in range(1, 2 ** len(pvalues)):
            members = [other for other in everyone if chosen >> other & 1]
            if index in members:
                worst = max(worst, len(members) * min(pvalues[other] for other in members))
        assert adjusted == pytest.approx(min(worst, 1.0))


@pytest.mark.parametrize("name", PUBLISHED)
def test_online_levels_as_onlinefdr_prints_them(name):
    online, pvalues, options, rejected, levels = PUBLISHED[name]
    decisions = online(pvalues, **options)
    assert [each.level for each in decisions] == pytest.approx(levels, abs=6e-10)
    assert found(decisions) == rejected
    assert [each.pvalue for each in decisions] == pvalues


@settings(max_examples=60, deadline=None)
@given(
    st.lists(probabilities | st.just(1e-6), max_size=15),
    st.lists(probabilities | st.just(1e-6) | st.just(NAN), max_size=15),
)
def test_later_results_never_change_an_earlier_decision(before, after):
    assert saffron([*before, *after])[: len(before)] == saffron(before)


def test_spending_without_a_discovery_stays_within_the_wealth():
    levels = [each.level for each in saffron([0.6] * 400)]
    assert levels == sorted(levels, reverse=True)
    assert 0.2 * 0.0125 <= sum(levels) <= 0.0125
    assert len({each.level for each in saffron([0.4] * 9)}) == 1  # these cost nothing


def test_the_shares_of_versions_sum_to_one():
    assert version_share(0) == 0.7
    assert sum(version_share(place) for place in range(60)) == pytest.approx(1.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(probabilities, min_size=1, max_size=12))
def test_discoveries_of_single_versions_are_those_of_benjamini_and_hochberg(pvalues):
    """With 0.7 of alpha for a first version, and as many hypotheses as are tested."""
    listed = discoveries([[each] for each in pvalues], hypotheses=1)
    adjusted = benjamini_hochberg([min(1.0, each / 0.7) for each in pvalues])
    assert [each.found for each in listed] == [each <= 0.05 for each in adjusted]
    assert [each.found for each in listed] == [each.pvalue <= each.level for each in listed]


def test_discoveries_by_hand():
    """Twelve hypotheses: ranks ask for k times .05 / 12; a second version's share is .15."""
    first, second, third = discoveries([[0.002], [0.5, 0.001], [math.nan, 0.0001]])
    assert [each.pvalue for each in (first, second, third)] == pytest.approx(
        [0.002 / 0.7, 0.001 / 0.15, 0.0001 / 0.15]
    )
    assert [each.found for each in (first, second, third)] == [True, True, True]
    assert [each.level for each in (first, second, third)] == pytest.approx([3 * 0.05 / 12] * 3)
    (alone,) = discoveries([[0.5, 0.001]])
    assert (alone.level, alone.found) == (pytest.approx(0.05 / 12), False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(probabilities | st.just(1e-5), min_size=1, max_size=4), max_size=6),
    st.lists(st.lists(probabilities | st.just(1e-5), min_size=1, max_size=4), max_size=6),
)
def test_no_later_test_withdraws_a_discovery_within_the_horizon(before, after):
    then, now = discoveries(before), discoveries([*before, *after])
    assert all(later.found for earlier, later in zip(then, now, strict=False) if earlier.found)
    more = discoveries([[*each, 0.9] for each in before])
    assert all(later.found for earlier, later in zip(then, more, strict=True) if earlier.found)


@pytest.mark.parametrize("value", [-0.1, 1.2, math.inf])
def test_pvalues_out_of_range_are_refused(value):
    for use in (holm, benjamini_hochberg, saffron, lambda given: discoveries([given])):
        with pytest.raises(ValueError, match=rf"^pvalues holds {value}; a p-value must lie betw"):
            use([0.2, value])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: discoveries([], alpha=0.0), "alpha is 0.0; it must lie between 0 and 1"),
        (lambda: saffron([], wealth=0.1), "wealth is 0.1; it must lie between 0 and alpha, 0.05"),
        (lambda: saffron([], candidate=1.0), "candidate is 1.0; it must lie between 0 and 1"),
    ],
)
def test_errors_say_the_way_out(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == words


def test_nothing_to_test():
    assert holm([]) == benjamini_hochberg([]) == saffron([]) == discoveries([]) == ()
