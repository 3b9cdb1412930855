"""Adjusted p-values, intervals that agree with Holm's test, and online false discovery rates.

Published values, by the name used below:

- SAS: example 5 of PROC MULTTEST, SAS/STAT 9.3 user's guide ("Inputting Raw p-Values").
- Benjamini: Benjamini & Hochberg (1995) JRSS B 57:289-300, section 3.1 (15 endpoints of a trial).
- gMCP: the vignette and manual page of `simConfint` in the R package gMCP (three lower bounds).
- onlineFDR: the manual pages LORD, SAFFRON and ADDIS of the R package onlineFDR, 15 hypotheses.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.stats.multiplicity import (
    addis,
    benjamini_hochberg,
    holm,
    holm_bounds,
    lord_plus_plus,
    saffron,
)
from workbench.stats.proportions import Counts, compare

NAN = math.nan
ONLINE = (lord_plus_plus, saffron, addis)
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
    "LORD": (lord_plus_plus, IN_ORDER, {}, [1, 6, 10], [
        *(0.0002675839, 0.0024664457, 0.0005732818, 0.0004872805, 0.0004059066, 0.0003447286),
        *(0.0029745013, 0.0008450114, 0.0007305648, 0.0006243143, 0.0032185913, 0.0010617227),
        *(0.0009256825, 0.0008019657, 0.0007059610),
    ]),
    "LORD, more wealth": (lord_plus_plus, SHUFFLED, {"alpha": 0.1, "wealth": 0.05}, [1, 7, 9], [
        *(0.0026758385, 0.0032577488, 0.0010775352, 0.0009078052, 0.0007616238, 0.0006517385),
        *(0.0005682672, 0.0058549106, 0.0016151293, 0.0067518870, 0.0023619734, 0.0020342733),
        *(0.0017477495, 0.0015277362, 0.0013569121),
    ]),
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
    "ADDIS": (addis, IN_ORDER, {}, [1, 5, 6, 10, 13], [
        *(0.002734314, 0.005468627, 0.005468627, 0.005468627, 0.005468627, 0.010937254),
        *(0.016405881, 0.016405881, 0.005411923, 0.002828822, 0.008297449, 0.008297449),
        *(0.003589243, 0.009057870, 0.009057870),
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
    for online in ONLINE:
        decisions = list(online([*pvalues[:place], NAN, *pvalues[place:]]))
        nothing = decisions.pop(min(place, len(pvalues)))
        assert math.isnan(nothing.level)
        assert not nothing.rejected
        assert tuple(decisions) == online(pvalues)


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


def test_bounds_of_gmcp():
    estimates = [0.860382, 0.9161474, 0.9732953]
    errors = [deviation / math.sqrt(10) for deviation in (0.8759528, 1.291310, 0.8570892)]
    pvalues = [0.01260 / 2, 0.05154 / 2, 0.02124 / 2]
    bounds = holm_bounds(pvalues, alternatives=["greater"] * 3, alpha=0.025)
    lows = []
    for bound, estimate, error in zip(bounds, estimates, errors, strict=True):
        spread = NAN
        if not math.isnan(bound.confidence_level):
            spread = stats.t.ppf(0.5 + bound.confidence_level / 2, 9) * error
        lows.append(round(bound.region(estimate - spread, estimate + spread)[0], 4))
    assert lows == [0.0, -0.0076, 0.0]


@pytest.mark.parametrize(
    "treatments", [((31, 60), (30, 60)), ((31, 60), (22, 60)), ((21, 60),) * 2]
)
@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_bounds_leave_out_the_null_exactly_where_holm_rejects(treatments, alternative):
    control = Counts(20, 60)
    pvalues = [
        compare(control=control, treatment=Counts(*each), alternative=alternative).pvalue
        for each in treatments
    ]
    bounds = holm_bounds(pvalues, alternatives=[alternative] * 2, alpha=0.05)
    for bound, treatment in zip(bounds, treatments, strict=True):
        if math.isnan(bound.confidence_level):
            assert bound.rejected
            assert bound.note.startswith("Holm's test ")
            continue
        own = compare(
            control=control,
            treatment=Counts(*treatment),
            alternative=alternative,
            confidence_level=bound.confidence_level,
        )
        low, high = bound.region(own.low, own.high)
        assert bound.rejected == (not low <= 0.0 <= high or low == 0.0)


def test_bounds_for_a_claim_of_less_mirror_those_of_more():
    pvalues = [0.004, 0.2, NAN]
    more = holm_bounds(pvalues, alternatives=["greater"] * 3, alpha=0.05)
    less = holm_bounds(pvalues, alternatives=["less"] * 3, alpha=0.05)
    for up, down in zip(more, less, strict=True):
        low, high = up.region(-0.1, 0.3, null_effect=-0.02)
        assert down.region(-0.3, 0.1, null_effect=0.02) == pytest.approx((-high, -low), nan_ok=True)
    assert more[2].note == "no p-value, so no interval"
    assert [each.confidence_level for each in more[:2]] == pytest.approx([NAN, 0.9], nan_ok=True)
    unknown = holm_bounds([0.4, 0.01], alternatives=["greater", "two-sided"], alpha=0.05)[1]
    assert unknown.note == (
        "Holm's test has no interval for this hypothesis, only that the null is wrong"
    )
    assert all(math.isnan(end) for end in unknown.region(0.1, 0.3))
    both = holm_bounds([0.001, 0.01], alternatives=["greater", "two-sided"], alpha=0.05)
    assert [each.confidence_level for each in both] == pytest.approx([0.95, 0.975])
    assert both[0].region(-0.01, 0.2) == (0.0, 1.0)


@pytest.mark.parametrize(("effects", "most"), [((0.0, 0.0, 0.0), 0.965), ((0.0, 1.0, 3.0), 1.0)])
def test_bounds_hold_together(effects, most):
    """Three normal estimates with standard error 1; a rejected null of 0 claims more than 0."""
    held, runs = 0, 1500
    for drawn in np.random.default_rng(1).normal(effects, size=(runs, 3)):
        pvalues = [float(each) for each in stats.norm.sf(drawn)]
        bounds = holm_bounds(pvalues, alternatives=["greater"] * 3, alpha=0.05)
        held += all(
            bound.region(estimate - stats.norm.ppf(0.5 + bound.confidence_level / 2), 9.0)[0] < true
            for bound, estimate, true in zip(bounds, drawn, effects, strict=True)
        )
    assert 0.95 - 0.011 <= held / runs <= most  # two standard errors


@pytest.mark.parametrize("name", PUBLISHED)
def test_online_levels_as_onlinefdr_prints_them(name):
    online, pvalues, options, discoveries, levels = PUBLISHED[name]
    decisions = online(pvalues, **options)
    assert [each.level for each in decisions] == pytest.approx(levels, abs=6e-10)
    assert found(decisions) == discoveries
    assert [each.pvalue for each in decisions] == pvalues


@pytest.mark.parametrize("online", ONLINE)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(probabilities | st.just(1e-6), max_size=15),
    st.lists(probabilities | st.just(1e-6) | st.just(NAN), max_size=15),
)
def test_later_results_never_change_an_earlier_decision(online, before, after):
    assert online([*before, *after])[: len(before)] == online(before)


@pytest.mark.parametrize(
    ("online", "pvalue", "wealth"),
    [(lord_plus_plus, 0.4, 0.005), (saffron, 0.6, 0.0125), (addis, 0.4, 0.00625)],
)
def test_spending_without_a_discovery_stays_within_the_wealth(online, pvalue, wealth):
    levels = [each.level for each in online([pvalue] * 400)]
    assert levels == sorted(levels, reverse=True)
    assert 0.2 * wealth <= sum(levels) <= wealth


def test_tests_that_cost_nothing_keep_the_level():
    assert len({each.level for each in saffron([0.4] * 9)}) == 1
    assert len({each.level for each in addis([0.2, 0.9] * 9)}) == 1


def exact_pvalues(customers):
    """Give the one-sided unconditional p-value (z ordering) of every table of two such cohorts."""
    counts = np.arange(customers + 1)
    control, treatment = np.meshgrid(counts, counts, indexing="ij")
    pooled = (control + treatment) / (2 * customers)
    error = np.sqrt(2 * pooled * (1 - pooled) / customers)
    z = np.where(error > 0, (treatment - control) / customers / np.where(error > 0, error, 1), 0)
    ranks = np.unique(np.round(z.ravel(), 8), return_inverse=True)[1].ravel()
    largest = np.zeros(ranks.max() + 1)
    for rate in np.linspace(0.002, 0.5, 80):
        chances = stats.binom.pmf(counts, customers, rate)
        at = np.bincount(ranks, np.outer(chances, chances).ravel())
        largest = np.maximum(largest, at[::-1].cumsum()[::-1])
    return np.minimum(largest, 1.0)[ranks].reshape(control.shape)


def test_false_discoveries_of_small_cohorts_stay_below_the_level():
    """Streams of 50 exact tests, 80 percent of the nulls true, half of those far inside the null."""
    random = np.random.default_rng(20)
    sizes = ((10, 0.3), (30, 0.2), (60, 0.1), (60, 0.4))
    tables = {customers: exact_pvalues(customers) for customers in {size for size, _ in sizes}}
    share = dict.fromkeys(("naive", *ONLINE), 0.0)
    power = dict.fromkeys(share, 0.0)
    streams, tests = 120, 50
    for _ in range(streams):
        true = random.random(tests) < 0.8
        pvalues = []
        for null in true:
            customers, rate = sizes[random.integers(len(sizes))]
            shift = -0.3 * rate * random.integers(2) if null else 3.0 * math.sqrt(rate / customers)
            converted = random.binomial(customers, rate), random.binomial(customers, rate + shift)
            pvalues.append(float(tables[customers][converted]))
        for rule in share:
            if rule == "naive":
                rejected = np.array(pvalues) <= 0.05
            else:
                rejected = np.array([each.rejected for each in rule(pvalues)])
            share[rule] += (rejected & true).sum() / max(rejected.sum(), 1) / streams
            power[rule] += (rejected & ~true).sum() / max((~true).sum(), 1) / streams
    assert share["naive"] > 0.05
    assert all(share[online] <= 0.05 for online in ONLINE)
    assert power[addis] > power[saffron] > power[lord_plus_plus]


@pytest.mark.parametrize("value", [-0.1, 1.2, math.inf])
def test_pvalues_out_of_range_are_refused(value):
    for use in (holm, benjamini_hochberg, *ONLINE):
        with pytest.raises(ValueError, match=rf"^pvalues holds {value}; a p-value must lie betw"):
            use([0.2, value])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: addis([0.1], alpha=0.0), "alpha is 0.0; it must lie between 0 and 1"),
        (lambda: saffron([], wealth=0.1), "wealth is 0.1; it must lie between 0 and alpha, 0.05"),
        (lambda: saffron([], candidate=1.0), "candidate is 1.0; it must lie between 0 and 1"),
        (
            lambda: addis([], candidate=0.6),
            "candidate is 0.6; it must lie between 0 and discard, 0.5",
        ),
        (lambda: addis([], discard=1.5), "discard is 1.5; it must lie above 0 and be at most 1"),
        (
            lambda: holm_bounds([0.1], alternatives=[]),
            "alternatives has 0 entries for 1 p-values; give one for each",
        ),
        (
            lambda: holm_bounds([0.1], alternatives=["more"]),
            "unknown alternative 'more'; known: greater, less, two-sided",
        ),
    ],
)
def test_errors_say_the_way_out(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == words


def test_nothing_to_test():
    assert holm([]) == benjamini_hochberg([]) == addis([]) == holm_bounds([], alternatives=[]) == ()
