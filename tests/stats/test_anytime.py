"""E-values of blocks: 1 on average or less under every null, whatever is enumerated or projected.

Held against numerical projections, against every possible outcome of a few blocks, and against the
step-by-step algorithm of Turner, Ly & Grünwald (2024), JSPI 230:106116, section 3.


The safe test and its interval: published values, error at every look, coverage, agreement.

Published values, by the name used below:

- vignette: Turner, Ly & Grünwald, "Safe Tests and Confidence Intervals for Tests of Two
  Proportions", vignette of the R package safestats (CRAN, January 2022): balanced example with
  set.seed(19012022), unbalanced example with its data printed.
- de Harder: "Is This the Solution to P-Hacking?", Towards Data Science, 16 November 2023, with
  safestats 0.8.7 and set.seed(10).

The seeds' data come from R's generator, which numpy has too.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from workbench.stats.anytime import (
    Evidence,
    Outcomes,
    bets,
    compare_anytime,
    converted_in_blocks,
    evalues,
    log_factors,
    log_path,
    predictions,
)
from workbench.stats.proportions import Comparison, Counts
from workbench.stats.score import restricted_rates

RATES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.97, 1.0)
NULLS = (-0.6, -0.2, -0.05, 0.0, 0.1, 0.5)
ALTERNATIVES = ("two-sided", "greater", "less")
UNBALANCED_CONTROL = (
    "0100011100000020101122010111011020012111001010000000001000101102000101100000000"
)
UNBALANCED_TREATMENT = (
    "1110110110101110010000101110001001001100001100001110010000000110100111110111000"
)


def every_outcome(sizes, blocks):
    """List all outcomes of some blocks: control's and treatment's, a row each."""
    n0, n1 = sizes[0] * blocks, sizes[1] * blocks
    found = np.array(list(itertools.product((False, True), repeat=n0 + n1)))
    return found[:, :n0], found[:, n0:]


def chances(outcomes, rate):
    return np.where(outcomes, rate, 1.0 - rate).prod(axis=1)


def within(null, alternative):
    """List true rates that the null allows, most of them on its edge."""
    for rate, other in itertools.product(RATES, RATES):
        if alternative == "greater" and other - rate <= null:
            yield rate, other
        if alternative == "less" and other - rate >= null:
            yield rate, other
    for rate in RATES:
        if 0.0 <= rate + null <= 1.0:
            yield rate, rate + null


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize(("sizes", "blocks"), [((1, 1), 5), ((2, 1), 3), ((1, 3), 2)])
def test_evalues_are_1_on_average_or_less_and_reach_any_bound_rarely(sizes, blocks, alternative):
    control, treatment = every_outcome(sizes, blocks)
    for null in NULLS:
        found = evalues(
            control, treatment, null_effect=null, alternative=alternative, allocation=sizes
        )
        highest = found.max(axis=1)
        for rate, other in within(null, alternative):
            weights = chances(control, rate) * chances(treatment, other)
            assert np.all(weights @ found <= 1.0 + 1e-12)
            for bound in (1.2, 1.5, 2.0, 3.0, 5.0):
                assert weights[highest >= bound].sum() <= 1.0 / bound + 1e-12


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("null", [-0.999, -0.7, -0.3, -0.01, 0.0, 0.02, 0.4, 0.95])
def test_the_nearest_null_is_the_one_that_a_search_finds(null, sizes):
    low, high = max(0.0, -null), min(1.0, 1.0 - null)

    def distance(rate, p0, p1):
        parts = ((sizes[0], p0, rate), (sizes[1], p1, rate + null))
        return -sum(n * (p * math.log(r) + (1 - p) * math.log(1 - r)) for n, p, r in parts)

    for p0, p1 in itertools.product((0.001, 0.18 / 1.36, 0.5, 0.9), repeat=2):
        best = optimize.minimize_scalar(
            distance, bounds=(low, high), args=(p0, p1), method="bounded", options={"xatol": 1e-12}
        )
        found, other = restricted_rates(sizes[0] * p0, sizes[0], sizes[1] * p1, sizes[1], null)
        assert 0.0 < found < 1.0
        assert 0.0 < other < 1.0
        assert distance(float(found), p0, p1) <= best.fun + 1e-9


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("null", [-0.9, -0.1, -1e-4, 0.0, 0.03, 0.5])
def test_long_runs_keep_each_factor_1_on_average_or_less(null, sizes):
    seen = np.array([0.0, 1.0, 7.0, 400.0, 19_990.0])
    totals = np.array([1.0, 30.0, 20_000.0])
    grid = [(s, t, n) for s in seen for t in seen for n in totals if max(s, t) <= n]
    first, second, total = (np.array(each) for each in zip(*grid, strict=True))
    p0, p1 = (first + 0.18) / (total + 0.36), (second + 0.18) / (total + 0.36)
    ones = [
        {
            (y0, y1): np.exp(
                log_factors(np.full(p0.size, y0), np.full(p0.size, y1), (p0, p1), sizes, null, side)
            )
            for y0 in range(sizes[0] + 1)
            for y1 in range(sizes[1] + 1)
        }
        for side in ("two-sided", "greater", "less")
    ]
    low, high = max(0.0, -null), min(1.0, 1.0 - null)
    for rate in (low, *(low + (high - low) * np.array([1e-6, 0.01, 0.3, 0.9, 1 - 1e-6])), high):
        for factors in ones:
            mean = sum(
                math.comb(sizes[0], y0)
                * rate**y0
                * (1.0 - rate) ** (sizes[0] - y0)
                * math.comb(sizes[1], y1)
                * (rate + null) ** y1
                * max(1.0 - rate - null, 0.0) ** (sizes[1] - y1)
                * factor
                for (y0, y1), factor in factors.items()
            )
            assert np.all(mean <= 1.0 + 1e-9)


def test_the_path_is_the_algorithm_of_the_paper_step_by_step():
    random = np.random.default_rng(5)
    control, treatment = random.random(60) < 0.2, random.random(60) < 0.5
    a = b = 0.0
    product, path = 1.0, []
    for k, (y0, y1) in enumerate(zip(control, treatment, strict=True)):
        p0, p1 = (a + 0.18) / (k + 0.36), (b + 0.18) / (k + 0.36)
        r = (p0 + p1) / 2
        product *= (p0 if y0 else 1 - p0) * (p1 if y1 else 1 - p1)
        product /= (r if y0 else 1 - r) * (r if y1 else 1 - r)
        a, b = a + y0, b + y1
        path.append(product)
    found = log_path(control * 1.0, treatment * 1.0, (1, 1), 0.0, "two-sided")
    assert np.exp(found) == pytest.approx(np.array(path), rel=1e-10)


def test_a_prediction_within_a_one_sided_null_bets_nothing():
    control, treatment = np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    predicted = predictions(control, treatment, (1, 1))
    assert predicted[0][1] > predicted[1][1]
    greater = log_factors(control, treatment, predicted, (1, 1), 0.0, "greater")
    assert not greater.any()
    less = log_factors(control, treatment, predicted, (1, 1), 0.0, "less")
    both = log_factors(control, treatment, predicted, (1, 1), 0.0, "two-sided")
    assert less == pytest.approx(both)


def test_predictions_go_on_from_the_blocks_before():
    random = np.random.default_rng(2)
    control, treatment = (
        converted_in_blocks(random.random(30 * size) < 0.4, size) for size in (2, 1)
    )
    whole = predictions(control, treatment, (2, 1))
    later = predictions(
        control[10:], treatment[10:], (2, 1), (control[:10].sum(), treatment[:10].sum(), 10)
    )
    for each, other in zip(whole, later, strict=True):
        assert each[10:] == pytest.approx(other)


def evidence_of(control, treatment, alpha=0.05):
    control, treatment = np.array(control, dtype=float), np.array(treatment, dtype=float)
    sides = ("greater", "less", "two-sided")
    predicted = {side: bets(control, treatment, (1, 1), side, None) for side in sides}
    return Evidence(control, treatment, predicted, (1, 1), -math.log(alpha))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_a_peak_that_rejects_is_known_early_and_another_is_exact(alternative):
    random = np.random.default_rng(8)
    found = evidence_of(random.random(3_000) < 0.3, random.random(3_000) < 0.34)
    for null in np.linspace(-0.9, 0.9, 37):
        early, whole = (found.peak(float(null), alternative, whole=way) for way in (False, True))
        assert early <= whole + 1e-9
        assert (early >= found.level) == (whole >= found.level)
        if whole < found.level:
            assert early == pytest.approx(whole)


def test_an_effect_between_two_rejected_ones_is_found():
    random = np.random.default_rng(8)
    found = evidence_of(random.random(900) < 0.1, random.random(900) < 0.15)
    narrow = min(
        found.peak(float(null), "two-sided", whole=True) for null in np.linspace(0.0, 0.1, 801)
    )
    sharp = Evidence(found.control, found.treatment, found.predicted, (1, 1), narrow + 1e-4)
    low, high = sharp.end("two-sided", -1.0), sharp.end("two-sided", 1.0)
    assert 0.0 < low <= high < low + 0.01
    none = Evidence(found.control, found.treatment, found.predicted, (1, 1), narrow - 0.01)
    assert math.isnan(none.end("two-sided", -1.0))


def test_nulls_beyond_count_on_the_side_that_the_test_leads_away_from():
    found = evidence_of([0] * 30, [1, 0] * 15)
    low, high = found.end("greater", -1.0), found.end("less", 1.0)
    assert math.isinf(found.further(low - 0.01, "greater", low, high))
    assert math.isinf(found.further(high + 0.01, "less", low, high))
    assert math.isinf(found.further(low - 0.01, "two-sided", low, high))
    assert found.further(low + 0.1, "greater", low, high) < found.level
    assert found.further(high - 0.1, "less", low, high) < found.level


def uniforms_of_r(seed, count):
    """Draw as R's set.seed(seed); runif(count) does: scrambled seed, Mersenne Twister, 32 bits."""
    words = []
    for _ in range(50 + 625):
        seed = (69069 * seed + 1) % 2**32
        words.append(seed)
    generator = np.random.MT19937()
    state = {"key": np.array(words[51:], dtype=np.uint32), "pos": 624}
    generator.state = {"bit_generator": "MT19937", "state": state}
    return generator.random_raw(count) * 2.3283064365386963e-10


def outcomes_of_r(seed, size, control_rate, treatment_rate):
    """Draw as R's rbinom(size, 1, rate) does, for control first; by inversion."""
    drawn = uniforms_of_r(seed, 2 * size)
    return Outcomes(drawn[:size] >= 1 - control_rate, drawn[size:] >= 1 - treatment_rate)


def unbalanced():
    pairs = {"0": (False, False), "1": (True, False), "2": (True, True)}
    control = [flag for count in UNBALANCED_CONTROL for flag in pairs[count]]
    return Outcomes(control, [count == "1" for count in UNBALANCED_TREATMENT])


def drawn(seed, sizes, rates):
    random = np.random.default_rng(seed)
    return Outcomes(*(random.random(size) < rate for size, rate in zip(sizes, rates, strict=True)))


def excludes(found, null):
    """Say whether the interval excludes the null on the side that the test is about."""
    low, high = found.low > null, found.high < null
    return {"two-sided": low or high, "greater": low, "less": high}[found.alternative]


def test_rs_generator_is_reproduced():
    assert uniforms_of_r(42, 3) == pytest.approx([0.9148060, 0.9370754, 0.2861395], abs=5e-8)


def test_the_vignettes_balanced_example():
    found = compare_anytime(outcomes_of_r(19012022, 95, 0.2, 0.5))
    assert round(found.evalue) == 48222
    assert found.blocks == 95
    assert found.comparison.low < 0.3 < found.comparison.high  # as in its figure: 0 is out, 0.3 in
    assert found.comparison.low > 0


def test_the_vignettes_unbalanced_example():
    found = compare_anytime(unbalanced(), allocation=(2, 1))
    assert f"{found.evalue:.4f}" == "1.8097"
    assert found.comparison.control == Counts(38, 158)
    assert found.comparison.treatment == Counts(37, 79)


def test_de_harders_example_of_4355_visitors_to_each_page():
    found = compare_anytime(outcomes_of_r(10, 4355, 0.05, 0.08))
    assert round(found.evalue) == 77658


@pytest.mark.parametrize("allocation", [(1, 1), (2, 1)])
def test_the_interval_is_that_of_safestats_algorithm_on_every_difference(allocation):
    """Go through differences as computeConfidenceBoundsForDifferenceTwoProportions does."""
    outcomes = outcomes_of_r(19012022, 95, 0.2, 0.5) if allocation == (1, 1) else unbalanced()
    found = compare_anytime(outcomes, allocation=allocation).comparison
    n0, n1 = allocation
    control = outcomes.control[: 60 * n0].reshape(-1, n0).sum(axis=1)
    treatment = outcomes.treatment[: 60 * n1].reshape(-1, n1).sum(axis=1)
    short = Outcomes(outcomes.control[: 60 * n0], outcomes.treatment[: 60 * n1])
    found = compare_anytime(short, allocation=allocation).comparison

    def rejected(difference):
        value, seen = 1.0, [0, 0]
        for k, (y0, y1) in enumerate(zip(control, treatment, strict=True)):
            p0 = (seen[0] + 0.18) / (k * n0 + 0.36)
            p1 = (seen[1] + 0.18 * n1 / n0) / (k * n1 + 0.36 * n1 / n0)

            def slope(r, p0=p0, p1=p1):
                return n0 * (p0 - r) * (r + difference) * (1 - r - difference) + n1 * (
                    p1 - r - difference
                ) * r * (1 - r)

            r = optimize.brentq(slope, max(0, -difference), min(1, 1 - difference), xtol=1e-14)
            value *= (p0 / r) ** y0 * ((1 - p0) / (1 - r)) ** (n0 - y0)
            q = r + difference
            value *= (p1 / q) ** y1 * ((1 - p1) / (1 - q)) ** (n1 - y1)
            if value >= 20:
                return True
            seen = [seen[0] + y0, seen[1] + y1]
        return False

    assert [rejected(found.low + shift) for shift in (-1e-6, 1e-6)] == [True, False]
    assert [rejected(found.high + shift) for shift in (-1e-6, 1e-6)] == [False, True]
    differences = np.linspace(-0.95, 0.95, 20)
    kept = [each for each in differences if not rejected(each)]
    assert kept == [each for each in differences if found.low <= each <= found.high]


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(("size", "rate"), list(itertools.product((10, 50, 300), (0.02, 0.1, 0.5))))
def test_no_effect_is_rarely_found_with_a_look_after_every_customer(alternative, size, rate):
    random = np.random.default_rng(size)
    control, treatment = random.random((2, 1500, size)) < rate
    found = evalues(control, treatment, alternative=alternative)
    assert np.mean(found.max(axis=1) >= 20) <= 0.05


@pytest.mark.parametrize("rates", [(0.02, 0.02), (0.05, 0.15), (0.5, 0.4), (0.1, 0.9)])
@pytest.mark.parametrize(("alternative", "level"), [("two-sided", 20), ("greater", 20)])
def test_intervals_hold_the_effect_at_all_times_at_once(rates, alternative, level):
    random = np.random.default_rng(11)
    control, treatment = (random.random((1500, 200)) < rate for rate in rates)
    effect = rates[1] - rates[0]
    sides = (alternative,) if alternative == "two-sided" else ("greater", "less")
    missed = np.zeros(1500, dtype=bool)
    for side in sides:
        found = evalues(control, treatment, alternative=side, null_effect=effect)
        missed |= found.max(axis=1) >= level
    assert np.mean(missed) <= 0.05 * len(sides)
    for run in range(6):  # and what is reported is just that
        comparison = compare_anytime(
            Outcomes(control[run], treatment[run]), alternative=alternative
        ).comparison
        assert missed[run] != (comparison.low <= effect <= comparison.high)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.booleans(), max_size=30),
    st.lists(st.booleans(), max_size=30),
    st.sampled_from(ALTERNATIVES),
    st.sampled_from([-0.3, -0.05, 0.0, 0.2]),
    st.sampled_from([(1, 1), (1, 2)]),
)
def test_rejection_and_interval_agree(control, treatment, alternative, null, allocation):
    found = compare_anytime(
        Outcomes(control, treatment),
        alternative=alternative,
        alpha=0.2,
        null_effect=null,
        allocation=allocation,
    ).comparison
    if found.reason.startswith("no block"):
        assert math.isnan(found.pvalue)
    elif not math.isnan(found.low):
        assert -1.0 <= found.low <= found.high <= 1.0
        assert (found.pvalue <= 0.2) == excludes(found, null)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_a_look_never_takes_back_what_an_earlier_one_has_found(alternative):
    outcomes = drawn(4, (90, 90), (0.2, 0.45))
    before = None
    for size in range(5, 91, 5):
        found = compare_anytime(
            Outcomes(outcomes.control[:size], outcomes.treatment[:size]), alternative=alternative
        ).comparison
        if before:
            assert found.pvalue <= before.pvalue
            assert before.low - 1e-9 <= found.low <= found.high <= before.high + 1e-9
        before = found


def test_a_verdict_stays_though_the_evidence_goes():
    found = compare_anytime(Outcomes([0] * 8 + [1] * 4, [1] * 8 + [0] * 4))
    assert max(found.path) == found.comparison.statistic > 20 > found.evalue == found.path[-1]
    assert found.comparison.pvalue == pytest.approx(1 / max(found.path))
    assert found.comparison.low > 0


def test_swapped_cohorts_mirror_everything():
    outcomes = drawn(6, (70, 70), (0.1, 0.3))
    swapped = Outcomes(outcomes.treatment, outcomes.control)
    for alternative, other in (("two-sided", "two-sided"), ("greater", "less")):
        one = compare_anytime(outcomes, alternative=alternative, null_effect=0.05).comparison
        two = compare_anytime(swapped, alternative=other, null_effect=-0.05).comparison
        assert one.pvalue == pytest.approx(two.pvalue)
        assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


def test_a_one_sided_test_finds_nothing_on_the_other_side():
    outcomes = drawn(7, (200, 200), (0.5, 0.2))
    greater, less = (
        compare_anytime(outcomes, alternative=side).comparison for side in ("greater", "less")
    )
    assert greater.pvalue > 0.2
    assert less.pvalue < 1e-4
    assert (greater.low, greater.high) == pytest.approx((less.low, less.high))
    assert greater.confidence_level == less.confidence_level == 0.9


def test_non_inferiority_rejects_a_loss_of_the_margin():
    outcomes = drawn(8, (400, 400), (0.3, 0.3))
    found = compare_anytime(outcomes, alternative="greater", null_effect=-0.2).comparison
    assert found.pvalue < 0.05
    assert -0.2 < found.low < 0.0


def test_many_runs_give_what_each_gives_alone():
    random = np.random.default_rng(9)
    control, treatment = random.random((20, 41)) < 0.3, random.random((20, 20)) < 0.4
    for alternative, null in (("two-sided", 0.0), ("greater", -0.1), ("less", 0.2)):
        options = {"alternative": alternative, "null_effect": null, "allocation": (2, 1)}
        found = evalues(control, treatment, **options)
        assert found.shape == (20, 20)
        for run in range(20):
            alone = compare_anytime(Outcomes(control[run], treatment[run]), **options)
            assert alone.path == pytest.approx(tuple(found[run]))


def test_customers_wait_for_their_block():
    outcomes = drawn(10, (25, 21), (0.2, 0.3))
    found = compare_anytime(outcomes, allocation=(2, 3))
    assert (found.blocks, found.unused, found.allocation) == (7, (11, 0), (2, 3))
    assert found.comparison.control.total == 14
    assert len(found.path) == 7
    same = compare_anytime(
        Outcomes(outcomes.control[:14], outcomes.treatment), allocation=(2, 3)
    ).comparison
    assert same == found.comparison


def test_without_a_whole_block_there_is_nothing_to_say():
    for control, treatment in (([], [True]), ([True], []), ([], [])):
        found = compare_anytime(Outcomes(control, treatment))
        comparison = found.comparison
        assert math.isnan(comparison.pvalue)
        assert math.isnan(comparison.low)
        assert math.isnan(comparison.high)
        assert comparison.reason == "no block of 1 control and 1 treatment is whole"
        assert (found.evalue, found.path, found.blocks) == (1.0, (), 0)
        assert found.unused == (len(control), len(treatment))


@pytest.mark.parametrize("value", [False, True])
def test_all_alike_is_no_evidence_and_narrows_the_interval(value):
    found = compare_anytime(Outcomes([value] * 200, [value] * 200))
    assert found.evalue == pytest.approx(1.0)
    assert found.comparison.pvalue == 1.0
    assert found.comparison.low == pytest.approx(-found.comparison.high)
    assert 0.0 < found.comparison.high < 0.1


def test_all_apart_keeps_the_largest_effect():
    found = compare_anytime(Outcomes([False] * 400, [True] * 400)).comparison
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low > 0.95
    found = compare_anytime(Outcomes([True] * 400, [False] * 400), alternative="less").comparison
    assert (found.estimate, found.low) == (-1.0, -1.0)
    assert found.pvalue < 1e-50


def test_rates_that_change_can_leave_no_effect():
    found = compare_anytime(Outcomes([0] * 60 + [1] * 400, [1] * 60 + [0] * 400)).comparison
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.pvalue < 1e-6
    assert found.reason.startswith("every effect is rejected")


def test_a_rejected_null_within_the_interval_has_the_p_value_of_one_further_off(monkeypatch):
    """No data seen so far do this; if some did, test and interval would still agree."""
    outcomes = drawn(7, (60, 60), (0.2, 0.6))
    assert compare_anytime(outcomes, alternative="greater").comparison.pvalue < 0.05
    monkeypatch.setattr(Evidence, "end", lambda _, __, bound: 0.9 * bound)
    monkeypatch.setattr(Evidence, "further", lambda *_: 1.0)
    found = compare_anytime(outcomes, alternative="greater").comparison
    assert found.pvalue == pytest.approx(math.exp(-1.0))
    assert found.low == -0.9


def test_huge_evidence_stays_finite():
    found = compare_anytime(Outcomes([False] * 3000, [True] * 3000))
    assert math.isfinite(found.evalue)
    assert found.comparison.pvalue == 0.0


def test_results_are_frozen():
    outcomes = Outcomes([True], [False])
    with pytest.raises(ValueError, match="read-only"):
        outcomes.control[0] = False
    found = compare_anytime(outcomes)
    assert isinstance(found.comparison, Comparison)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.evalue = 2.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alternative": "bigger"}, "unknown alternative 'bigger'; known: greater, less"),
        ({"alpha": 0.5}, "alpha is 0.5; it must lie between 0 and 0.5"),
        ({"null_effect": 1.0}, "null_effect is 1.0; it must lie between -1 and 1"),
        ({"planned_effect": 5.0}, "planned_effect is 5.0; it must lie between -1 and 1"),
        ({"planned_effect": math.nan}, "planned_effect is nan; it must lie between -1 and 1"),
        ({"planned_effect": 0.0}, "planned_effect is the null effect, 0.0; leave it out"),
        (
            {"planned_effect": -0.1, "alternative": "greater"},
            "planned_effect is -0.1; it must lie between 0.0 and 1",
        ),
        (
            {"planned_effect": 0.0, "alternative": "less", "null_effect": -0.1},
            "planned_effect is 0.0; it must lie between -1 and -0.1",
        ),
        ({"allocation": (1, 0)}, r"allocation is \(1, 0\); it must be two whole numbers"),
        ({"allocation": (1, 1.5)}, r"allocation is \(1, 1.5\); it must be two whole numbers"),
        ({"allocation": (1,)}, r"allocation is \(1,\); it must be two whole numbers"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        compare_anytime(Outcomes([True], [True]), **options)


def test_bad_outcomes_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"control holds 0\.5; an outcome must be true or false"):
        Outcomes([0.5], [1])
    with pytest.raises(ValueError, match="treatment holds nan; an outcome must be true or false"):
        Outcomes([0], [math.nan])
    with pytest.raises(ValueError, match="control has 2 dimensions; it must be one row of"):
        Outcomes([[1]], [1])
    with pytest.raises(ValueError, match="control has 1 dimensions; it must be a matrix"):
        evalues([1, 0], [[1, 0]])
    with pytest.raises(ValueError, match="control has 2 rows and treatment 1; each run needs"):
        evalues([[1], [0]], [[1]])


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("null", [0.0, -0.05])
def test_each_bet_on_a_planned_effect_is_fair_under_the_null(alternative, null):
    """The mean factor of a block, over its four outcomes, is at most 1 for every rate of the null."""
    random = np.random.default_rng(2)
    before = [random.random(7) < 0.4 for _ in range(2)]
    for rate in np.linspace(0.06, 0.94, 23):
        rates = rate, rate + null
        mean = 0.0
        for control, treatment in itertools.product((0.0, 1.0), repeat=2):
            path = log_path(
                np.array([*before[0], control], dtype=float),
                np.array([*before[1], treatment], dtype=float),
                (1, 1),
                null,
                alternative,
                0.1,
            )
            chance = abs(1 - control - rates[0]) * abs(1 - treatment - rates[1])
            mean += chance * math.exp(path[-1] - path[-2])
        assert mean <= 1.0 + 1e-9


def test_a_planned_effect_finds_more_and_is_kept_where_there_is_none():
    random = np.random.default_rng(5)

    def found(rates, planned):
        drawn = [random.random((1_500, 150)) < rate for rate in rates]
        path = evalues(*drawn, alternative="greater", planned_effect=planned)
        return float((path.max(axis=1) >= 20).mean())

    assert found((0.4, 0.4), 0.15) <= 0.05
    assert found((0.4, 0.55), 0.15) > found((0.4, 0.55), None) + 0.15


def test_the_interval_and_the_pvalue_of_a_planned_effect_agree():
    random = np.random.default_rng(6)
    for rates in ((0.3, 0.3), (0.3, 0.5), (0.5, 0.3)):
        outcomes = Outcomes(*(random.random(120) < rate for rate in rates))
        for alternative in ("greater", "less", "two-sided"):
            sign = -1 if alternative == "less" else 1
            found = compare_anytime(outcomes, alternative=alternative, planned_effect=sign * 0.1)
            result = found.comparison
            excluded = {"greater": result.low > 0, "less": result.high < 0}
            two = result.low > 0 or result.high < 0
            assert (result.pvalue <= 0.05) == excluded.get(alternative, two)
