"""Sequential comparisons: one look is the exact test, errors and coverage by listing every table.

The boundaries, the stage-wise order and the repeated p-value have their published values in
test_boundaries; what stands between them and counts is held here against the exact test, and by
enumeration: the probability of each pair of counts at each look, carried on for those who go on.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from workbench.stats import power, sequential
from workbench.stats.boundaries import boundaries
from workbench.stats.exact import rejected_from
from workbench.stats.proportions import Counts, compare
from workbench.stats.score import finite_factor, score_threshold
from workbench.stats.sequential import compare_sequential

RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
# Several looks
FIRST = (Counts(13, 40), Counts(19, 40))


def equally(looks, planned):
    return sorted({max(1, round(planned * (look + 1) / looks)) for look in range(looks)})


def carry_on(chances, more, rates):
    """Let more customers of both cohorts enter."""
    for axis, rate in enumerate(rates):
        added = stats.binom.pmf(np.arange(more + 1), more, rate)
        chances = np.apply_along_axis(np.convolve, axis, chances, added)
    return chances


def rejected(sizes, alpha, spending, *, exact=True):
    """Give for each look the least treatment counts that cross."""
    fractions = tuple(size / sizes[-1] for size in sizes)
    found = []
    for size, value in zip(
        sizes, boundaries(fractions, alpha=alpha, spending=spending), strict=True
    ):
        if exact:
            found.append(rejected_from(size, size, 0.0, stats.norm.sf(value), two_sided=False))
        else:
            level = value * finite_factor(size, size) ** 0.5
            found.append(score_threshold(size, size, 0.0, level, from_above=False))
    return found


def crossings(sizes, thresholds, rates):
    """Give the chances of each table at each look, of those who cross and then of those who end."""
    chances, before = np.ones((1, 1)), 0
    for size, least in zip(sizes, thresholds, strict=True):
        chances = carry_on(chances, size - before, rates)
        crossed = np.arange(size + 1) >= least[:, None]
        yield np.where(crossed, chances, 0.0)
        chances, before = np.where(crossed, 0.0, chances), size
    yield chances


@pytest.mark.parametrize("looks", [2, 4, 8])
@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
@pytest.mark.parametrize("planned", [10, 20, 40, 80])
def test_error_is_at_most_alpha(planned, spending, looks):
    sizes = equally(looks, planned)
    thresholds = rejected(sizes, 0.05, spending)
    for rate in RATES:
        *each, _ = crossings(sizes, thresholds, (rate, rate))
        assert sum(found.sum() for found in each) <= 0.05


def test_error_in_large_cohorts_and_at_other_alphas():
    for alpha, planned, spending in ((0.025, 30, "pocock"), (0.025, 60, "obrien-fleming")):
        sizes = equally(4, planned)
        thresholds = rejected(sizes, alpha, spending)
        for rate in RATES:
            *each, _ = crossings(sizes, thresholds, (rate, rate))
            assert sum(found.sum() for found in each) <= alpha


def test_the_score_test_would_err_too_often():
    sizes = equally(4, 10)
    *each, _ = crossings(sizes, rejected(sizes, 0.05, "obrien-fleming", exact=False), (0.5, 0.5))
    assert sum(found.sum() for found in each) == pytest.approx(0.0672, abs=1e-4)


@lru_cache(maxsize=1_000)
def looked(x0, x1, look, alternative="greater"):
    """Evaluate a table at a look of the design of 6 and 12 per cohort, having gone on before."""
    return compare_sequential(
        control=Counts(x0, 6 * look),
        treatment=Counts(x1, 6 * look),
        earlier=[(Counts(2, 6), Counts(2, 6))] * (look - 1),
        planned=12,
        alternative=alternative,
        spending="pocock",
    )


def test_crossing_is_that_of_the_enumerated_tables():
    thresholds = rejected([6, 12], 0.05, "pocock")
    for look, least in enumerate(thresholds, start=1):
        for x0 in range(0, 6 * look + 1, 2):
            for x1 in range(6 * look + 1):
                if abs(x1 - least[x0]) <= 1:
                    found = looked(x0, x1, look)
                    assert found.crossed == (x1 >= least[x0])
                    assert found.crossed == (found.comparison.pvalue <= 0.05)


@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.2, 0.6), (0.5, 0.3), (0.3, 0.95)])
def test_intervals_cover_and_the_median_is_in_the_middle(rates):
    """By listing every way to end of a test with two looks."""
    first, second, rest = crossings([6, 12], rejected([6, 12], 0.05, "pocock"), rates)
    ways = [(1, first), (2, second + rest)]
    effect = rates[1] - rates[0]
    missed_low = missed_high = above = 0.0
    for look, chances in ways:
        for x0, x1 in np.argwhere(chances > 1e-5):
            found = looked(int(x0), int(x1), look)
            missed_low += chances[x0, x1] * (found.comparison.low > effect + 1e-9)
            missed_high += chances[x0, x1] * (found.comparison.high < effect - 1e-9)
            above += chances[x0, x1] * (found.unbiased > effect)
    assert missed_low <= 0.05
    assert missed_high <= 0.05
    assert 0.3 < above < 0.7


def test_an_effect_worth_having_is_ruled_out_no_more_often_than_alpha():
    """At any look, or at the end; with stage-wise ends alone it would be with probability 0.057."""
    sizes, ruled_out, effect = [6, 12], [], 0.6
    for look, size in enumerate(sizes, start=1):
        most = -1
        out = np.zeros((size + 1, size + 1), dtype=bool)
        for x0 in range(size + 1):
            while most < size and looked(x0, most + 1, look).comparison.high < effect - 1e-9:
                most += 1
            out[x0, : most + 1] = True
        ruled_out.append(out)
    for rate in (0.1, 0.2, 0.3, 0.35, 0.4):
        chances, before, found = np.ones((1, 1)), 0, 0.0
        for size, least, out in zip(sizes, rejected(sizes, 0.05, "pocock"), ruled_out, strict=True):
            chances = carry_on(chances, size - before, (rate, rate + effect))
            found += chances[out].sum()
            crossed = np.arange(size + 1) >= least[:, None]
            chances, before = np.where(out | crossed, 0.0, chances), size
        assert found <= 0.05


def test_power_is_that_of_the_enumerated_tables():
    sizes = equally(4, 80)
    *each, _ = crossings(sizes, rejected(sizes, 0.05, "obrien-fleming"), (0.2, 0.4))
    used = sum(found.sum() * 2 * (size - 80) for found, size in zip(each, sizes, strict=True)) + 160
    plan = {"control_rate": 0.2, "effect": 0.2, "control_total": 80, "treatment_total": 80}
    found = sequential.power(looks=4, alternative="greater", **plan)
    assert found == pytest.approx(sum(at.sum() for at in each), abs=0.01)
    expected = sequential.expected_customers(looks=4, alternative="greater", **plan)
    assert expected.with_effect == pytest.approx(used, rel=0.03)
    assert expected.with_effect < expected.without_effect < 160


# One look
@pytest.mark.parametrize("alternative", ["greater", "less"])
@pytest.mark.parametrize(("x0", "x1"), [(7, 1), (3, 9), (5, 5), (0, 12)])
def test_one_look_is_the_exact_test(x0, x1, alternative):
    control, treatment = Counts(x0, 34), Counts(x1, 30)
    found = compare_sequential(
        control=control, treatment=treatment, planned=30, alternative=alternative
    )
    other = compare(
        control=control, treatment=treatment, alternative=alternative, confidence_level=0.9
    )
    assert found.final
    assert found.comparison.interval == "stage-wise"
    assert found.comparison.pvalue == pytest.approx(other.pvalue, abs=1e-9)
    assert found.comparison.low == pytest.approx(other.low, abs=1e-6)
    assert found.comparison.high == pytest.approx(other.high, abs=1e-6)
    assert found.comparison.confidence_level == pytest.approx(0.9)
    assert found.comparison.estimate == other.estimate
    assert found.unbiased == pytest.approx(other.estimate, abs=1e-6)


def test_one_two_sided_look_is_twice_the_one_sided_test():
    """And its interval that of Chan and Zhang, which has alpha / 2 at each end."""
    control, treatment = Counts(20, 60), Counts(31, 60)
    found = compare_sequential(control=control, treatment=treatment, planned=60).comparison
    other = compare(control=control, treatment=treatment, alternative="greater")
    assert found.pvalue == pytest.approx(2 * other.pvalue)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-6)
    assert found.confidence_level == 0.95


def test_one_large_look_is_the_score_test():
    control, treatment = Counts(300, 1_000), Counts(345, 1_000)
    found = compare_sequential(
        control=control, treatment=treatment, planned=1_000, alternative="greater"
    ).comparison
    other = compare(
        control=control, treatment=treatment, alternative="greater", confidence_level=0.9
    )
    assert (found.pvalue, found.low, found.high) == pytest.approx(
        (other.pvalue, other.low, other.high), abs=1e-8
    )


def test_between_looks_the_interval_is_a_repeated_one():
    found = compare_sequential(
        control=Counts(24, 80),
        treatment=Counts(33, 80),
        earlier=[FIRST],
        planned=100,
        alternative="greater",
    )
    assert (found.look, found.fractions, found.crossed, found.final) == (
        2,
        (0.4, 0.8),
        False,
        False,
    )
    assert found.comparison.interval == "repeated"
    assert found.comparison.test == "alpha spending (O'Brien-Fleming)"
    assert found.boundary == boundaries((0.4, 0.8), alpha=0.05)[-1]
    nominal = stats.norm.sf(found.boundary)
    other = compare(
        control=Counts(24, 80),
        treatment=Counts(33, 80),
        alternative="greater",
        confidence_level=1 - 2 * nominal,
    )
    assert (found.comparison.low, found.comparison.high) == pytest.approx(
        (other.low, other.high), abs=1e-6
    )
    at_pvalue = boundaries((0.4, 0.8), alpha=found.comparison.pvalue)[-1]
    assert at_pvalue == pytest.approx(found.comparison.statistic, abs=1e-6)
    assert math.isnan(found.unbiased)


def test_a_crossing_ends_the_test():
    """Stopped early: the estimate that is in the middle lies nearer to no effect."""
    second = (Counts(24, 80), Counts(43, 80))
    found = compare_sequential(
        control=second[0], treatment=second[1], earlier=[FIRST], planned=100, alternative="greater"
    )
    assert found.crossed
    assert found.comparison.pvalue <= 0.05
    assert found.comparison.low > 0
    assert found.comparison.low < found.unbiased < found.comparison.estimate < found.comparison.high
    later = compare_sequential(
        control=Counts(40, 100),
        treatment=Counts(43, 100),
        earlier=[FIRST, second],
        planned=100,
        alternative="greater",
    )
    assert later.comparison == found.comparison
    assert later.reason == "the boundary was crossed at look 2; later customers do not count"


def test_cohorts_swapped():
    for alternative, opposite in (("greater", "less"), ("two-sided", "two-sided")):
        one = compare_sequential(
            control=Counts(24, 80),
            treatment=Counts(43, 80),
            earlier=[FIRST],
            planned=100,
            alternative=alternative,
            null_effect=0.05,
        )
        other = compare_sequential(
            control=Counts(43, 80),
            treatment=Counts(24, 80),
            earlier=[FIRST[::-1]],
            planned=100,
            alternative=opposite,
            null_effect=-0.05,
        )
        assert one.comparison.pvalue == pytest.approx(other.comparison.pvalue)
        assert one.comparison.low == pytest.approx(-other.comparison.high, abs=1e-6)
        assert one.comparison.high == pytest.approx(-other.comparison.low, abs=1e-6)
        assert one.comparison.statistic == pytest.approx(-other.comparison.statistic)
        assert one.unbiased == pytest.approx(-other.unbiased, abs=1e-6)


def test_a_look_without_new_information_adds_nothing():
    second = {"control": Counts(24, 80), "treatment": Counts(33, 80)}
    plan = {"planned": 100, "alternative": "greater"}
    once = compare_sequential(earlier=[FIRST], **second, **plan)
    twice = compare_sequential(earlier=[FIRST, FIRST, tuple(second.values())], **second, **plan)
    assert (twice.comparison, twice.look, twice.boundary) == (once.comparison, 2, once.boundary)
    fewer = compare_sequential(
        control=Counts(24, 79),
        treatment=Counts(50, 80),
        earlier=[FIRST, tuple(second.values())],
        **plan,
    )
    assert fewer.comparison == once.comparison
    assert fewer.reason == "this look adds no information to look 2, whose result stands"


def test_the_last_look_spends_what_is_left():
    plan = {"planned": 100, "alternative": "greater", "earlier": [FIRST]}
    at_plan = compare_sequential(control=Counts(30, 100), treatment=Counts(38, 100), **plan)
    assert at_plan.final
    assert at_plan.spent == 0.05
    assert at_plan.boundary == pytest.approx(boundaries((0.4, 1.0), alpha=0.05)[-1])
    over = compare_sequential(control=Counts(45, 150), treatment=Counts(57, 150), **plan)
    assert over.fraction == 1.0
    assert over.final
    first = boundaries((0.4, 1.0), alpha=0.05)[0]
    assert over.boundary > at_plan.boundary
    short = compare_sequential(control=Counts(24, 80), treatment=Counts(33, 80), final=True, **plan)
    assert (short.fraction, short.spent, short.final) == (0.8, 0.05, True)
    assert short.comparison.interval == "stage-wise"
    covariance = math.sqrt(0.4 / 0.8)
    joint = stats.multivariate_normal([0, 0], [[1, covariance], [covariance, 1]])
    assert joint.cdf([first, short.boundary]) == pytest.approx(0.95, abs=1e-5)
    after = compare_sequential(
        control=Counts(24, 80),
        treatment=Counts(50, 80),
        final=True,
        planned=100,
        earlier=[FIRST, (Counts(24, 80), Counts(33, 80))],
        alternative="greater",
    )
    assert after.comparison.pvalue == short.comparison.pvalue


def test_after_the_planned_size_nothing_counts():
    full = (Counts(30, 100), Counts(38, 100))
    found = compare_sequential(
        control=Counts(40, 130), treatment=Counts(70, 130), earlier=[FIRST, full], planned=100
    )
    assert not found.crossed
    assert found.final
    assert (found.comparison.control, found.comparison.treatment) == full
    assert found.reason == "the planned size was reached at look 2; later customers do not count"


def test_no_more_looks_than_planned():
    """However often one looks, alpha is spent once."""
    second, third = (Counts(24, 80), Counts(33, 80)), (Counts(28, 95), Counts(50, 95))
    plan = {"planned": 100, "alternative": "greater", "looks": 2}
    last = compare_sequential(control=second[0], treatment=second[1], earlier=[FIRST], **plan)
    assert (last.final, last.spent, last.crossed) == (True, 0.05, False)
    after = compare_sequential(
        control=third[0], treatment=third[1], earlier=[FIRST, FIRST, second], **plan
    )
    assert after.comparison == last.comparison
    assert after.reason == "look 2 was the last one planned; later customers do not count"


def test_unequal_cohorts_count_by_their_harmonic_mean():
    found = compare_sequential(control=Counts(9, 30), treatment=Counts(20, 60), planned=80)
    assert found.fraction == pytest.approx(0.5)


@pytest.mark.parametrize(("control", "treatment"), [((0, 0), (3, 9)), ((0, 0), (0, 0))])
def test_an_empty_cohort_is_undefined(control, treatment):
    found = compare_sequential(control=Counts(*control), treatment=Counts(*treatment), planned=9)
    assert math.isnan(found.comparison.pvalue)
    assert "no customers in control" in found.comparison.reason
    assert (found.look, found.fraction, found.crossed) == (0, 0.0, False)


def test_early_looks_at_few_customers():
    found = compare_sequential(control=Counts(0, 3), treatment=Counts(3, 3), planned=300)
    assert not found.crossed
    assert (found.comparison.low, found.comparison.high) == (-1.0, 1.0)
    assert 0.05 < found.comparison.pvalue <= 1.0


# Planning
def test_planning_agrees_with_itself_and_with_one_look():
    plan = {"control_rate": 0.5, "effect": 0.25, "power": 0.9, "test": "score"}
    assert sequential.customers_needed(looks=1, **plan) == power.customers_needed(**plan) == 76
    needed = sequential.customers_needed(looks=5, spending="pocock", **plan)
    assert needed == pytest.approx(
        76.6 * sequential.inflation(looks=5, spending="pocock", power=0.9), rel=0.02
    )
    reached = sequential.power(
        control_rate=0.5,
        effect=0.25,
        control_total=needed,
        treatment_total=needed,
        looks=5,
        spending="pocock",
        test="score",
    )
    assert reached >= 0.9
    sizes = {"control_total": needed, "treatment_total": needed}
    found = sequential.detectable_effect(
        control_rate=0.5, looks=5, spending="pocock", power=0.9, test="score", **sizes
    )
    assert found == pytest.approx(0.25, abs=0.01)


def test_inflation():
    """gsDesign 3.10.1: sfLDOF, three looks, one-sided .025, power .9."""
    found = sequential.inflation(looks=3, alternative="greater", alpha=0.025, power=0.9)
    assert found == pytest.approx(1.01185, abs=5e-6)
    assert sequential.inflation(looks=1) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"planned": 0}, "planned is 0; it must be 1 customer per cohort or more"),
        ({"alpha": 1.5}, "alpha is 1.5; it must lie between 0 and 1"),
        ({"looks": 0}, "looks is 0; it must be 1 or more"),
        ({"null_effect": 1}, "null_effect is 1; it must lie between -1 and 1"),
        ({"alternative": "up"}, "alternative 'up'"),
        ({"spending": "pocok"}, "did you mean 'pocock'"),
    ],
)
def test_bad_input(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        compare_sequential(
            **{"control": Counts(1, 9), "treatment": Counts(2, 9), "planned": 9, **options}
        )


@pytest.mark.parametrize("looks", [0, 101])
def test_bad_looks(looks):
    with pytest.raises(ValueError, match=f"looks is {looks}; it must be 1 or more"):
        sequential.inflation(looks=looks)
