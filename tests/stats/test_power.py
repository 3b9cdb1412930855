"""Planning: sample ratio, power, detectable effect, customers needed.

Published values: R's manual page of power.prop.test (n = 50, p1 = .50, p2 = .75: power 0.740; power
.90: n = 76.7; n = 50, p1 = .5, power = .90: p2 = 0.8026), which approximates the score test without
its factor; and the sample ratio of the Cookie Cats gate test, 44,700 : 45,489.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import power_proportions_2indep

from workbench.stats.power import customers_needed, detectable_effect, power
from workbench.stats.proportions import Counts, compare
from workbench.stats.sample_ratio import sample_ratio


# Sample ratio
def test_gate_test_ratio():
    found = sample_ratio([44_700, 45_489])
    assert found.pvalue == pytest.approx(0.0086, abs=5e-5)
    assert found.method == "chi-square"
    assert found.expected == (45_094.5, 45_094.5)
    other = stats.chisquare([44_700, 45_489]).pvalue
    assert found.pvalue == pytest.approx(other, rel=1e-9)


def test_free_trial_ratio():
    """28,378 of 56,703 clicks fell to the control."""
    found = sample_ratio([28_378, 56_703 - 28_378])
    assert found.pvalue == pytest.approx(stats.chisquare([28_378, 28_325]).pvalue, rel=1e-9)


@pytest.mark.parametrize("sizes", [(0, 7), (3, 9), (120, 151), (499, 500), (1, 998)])
@pytest.mark.parametrize("share", [0.5, 0.3])
def test_two_cohorts_are_a_binomial_test(sizes, share):
    found = sample_ratio(sizes, [share, 1 - share])
    assert found.method == "exact multinomial"
    other = stats.binomtest(sizes[0], sum(sizes), share).pvalue
    assert found.pvalue == pytest.approx(other, rel=1e-7, abs=1e-300)


@pytest.mark.parametrize("sizes", [(3, 5, 1), (2, 2, 7, 1), (1, 0, 4, 2, 2)])
def test_several_cohorts_by_listing_every_outcome(sizes):
    shares = np.arange(1, len(sizes) + 1) / sum(range(1, len(sizes) + 1))
    everyone = stats.multinomial(sum(sizes), shares)
    limit = everyone.pmf(sizes) * (1 + 1e-7)
    chances = [
        everyone.pmf(outcome)
        for outcome in itertools.product(range(sum(sizes) + 1), repeat=len(sizes))
        if sum(outcome) == sum(sizes)
    ]
    expected = sum(chance for chance in chances if chance <= limit)
    found = sample_ratio(sizes, list(range(1, len(sizes) + 1)))
    assert found.pvalue == pytest.approx(expected, rel=1e-9)


def test_methods_by_size():
    assert sample_ratio([230, 240, 270, 255]).method == "exact multinomial"
    assert sample_ratio([500, 500]).method == "chi-square"
    many = sample_ratio([120, 125, 130, 115, 109, 100])
    assert many.method == "chi-square (too many cohorts for exact)"
    four = sample_ratio([230, 240, 270, 255]).pvalue
    assert four == pytest.approx(stats.chisquare([230, 240, 270, 255]).pvalue, abs=0.01)


def test_nobody_is_no_evidence():
    assert sample_ratio([0, 0]).pvalue == pytest.approx(1.0)
    assert sample_ratio([5, 5]).pvalue == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sizes", "allocation", "sentence"),
    [
        ([5], None, "observed has 1 cohorts; a ratio needs two or more"),
        ([5, -1], None, "observed holds -1"),
        ([5, 5], [1.0], "allocation has 1 shares for 2 cohorts"),
        ([5, 5], [1.0, 0.0], "every share must be above 0"),
    ],
)
def test_bad_ratio(sizes, allocation, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample_ratio(sizes, allocation)


# Power
def enumerated(control_rate, effect, n0, n1, alpha, **options):
    """Add up every table that `compare` rejects."""
    total = 0.0
    for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
        found = compare(
            control=Counts(x0, n0), treatment=Counts(x1, n1), interval="score", **options
        )
        if found.pvalue <= alpha:
            total += stats.binom.pmf(x0, n0, control_rate) * stats.binom.pmf(
                x1, n1, control_rate + effect
            )
    return total


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("test", ["exact", "score"])
def test_power_is_the_share_of_rejected_tables(alternative, test):
    for n0, n1, null in ((4, 5, 0.0), (5, 3, -0.2)):
        effect = -0.3 if alternative == "less" else 0.4
        expected = enumerated(
            0.4, effect, n0, n1, 0.1, alternative=alternative, null_effect=null, test=test
        )
        found = power(
            control_rate=0.4,
            effect=effect,
            control_total=n0,
            treatment_total=n1,
            alternative=alternative,
            alpha=0.1,
            null_effect=null,
            test=test,
        )
        assert found == pytest.approx(expected, abs=1e-9)


def test_normal_approximation_published():
    """Scaled up so that the approximation serves: same z at n = 5,000 and an effect near 0.025."""
    for n, rate, effect in ((310, 0.5, 0.1), (5000, 0.5, 0.025), (2000, 0.1, 0.03)):
        found = power(control_rate=rate, effect=effect, control_total=n, treatment_total=n)
        other = power_proportions_2indep(effect, rate, n, return_results=False)
        assert found == pytest.approx(other, abs=2e-4)


def test_r_manual_page():
    """The score test table by table lies near the approximation that R prints."""
    options = {"control_rate": 0.5, "test": "score"}
    found = power(effect=0.25, control_total=50, treatment_total=50, **options)
    assert found == pytest.approx(0.740, abs=0.01)
    assert abs(customers_needed(effect=0.25, power=0.9, **options) - 76.7) < 2
    effect = detectable_effect(control_total=50, treatment_total=50, power=0.9, **options)
    assert abs(effect) == pytest.approx(0.3026, abs=0.01)


def test_exact_power_grows_like_a_saw_about_the_approximation():
    sizes = (40, 80, 120)
    found = [
        power(control_rate=0.3, effect=0.25, control_total=n, treatment_total=n, test=test)
        for n in sizes
        for test in ("exact", "score")
    ]
    assert found[0] < found[2] < found[4]
    assert (
        all(abs(a - b) < 0.06 for a, b in itertools.batched(found, 2))
        if hasattr(itertools, "batched")
        else True
    )


def test_power_without_effect_is_at_most_alpha():
    for alternative in ("two-sided", "greater", "less"):
        found = power(
            control_rate=0.37,
            effect=0.0,
            control_total=23,
            treatment_total=31,
            alternative=alternative,
        )
        assert 0 < found <= 0.05


def test_certain_rates():
    sizes = {"control_total": 20, "treatment_total": 20}
    assert power(control_rate=0.0, effect=1.0, **sizes) == pytest.approx(1.0)
    assert power(control_rate=0.0, effect=0.0, **sizes) == pytest.approx(0.0, abs=1e-12)
    assert power(control_rate=1.0, effect=0.0, **sizes) == pytest.approx(0.0, abs=1e-12)
    large = {"control_total": 900, "treatment_total": 900}
    assert power(control_rate=0.0, effect=1.0, **large) == 1.0
    assert power(control_rate=0.0, effect=0.0, **large) == 0.0
    assert math.isnan(power(control_rate=0.5, effect=0.1, control_total=0, treatment_total=5))


# Detectable effect and customers needed
@pytest.mark.parametrize(
    ("alternative", "null_effect", "sign"),
    [("greater", 0.0, 1), ("less", 0.0, -1), ("greater", -0.1, 1)],
)
def test_detectable_effect_has_the_power(alternative, null_effect, sign):
    options = {
        "control_rate": 0.4,
        "control_total": 60,
        "treatment_total": 55,
        "alternative": alternative,
        "null_effect": null_effect,
    }
    found = detectable_effect(power=0.8, **options)
    assert (found - null_effect) * sign > 0
    assert power(effect=found, **options) == pytest.approx(0.8, abs=1e-6)
    assert power(effect=found - sign * 0.01, **options) < 0.8


def test_two_sided_detectable_effect_is_the_nearer_one():
    options = {"control_total": 50, "treatment_total": 50, "power": 0.8}
    assert detectable_effect(control_rate=0.1, **options) > 0
    assert detectable_effect(control_rate=0.9, **options) < 0


def test_nothing_detectable():
    assert math.isnan(
        detectable_effect(
            control_rate=0.95, control_total=8, treatment_total=8, alternative="greater"
        )
    )
    assert math.isnan(detectable_effect(control_rate=0.5, control_total=0, treatment_total=8))


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_customers_needed_is_the_first_size(alternative):
    options = {"control_rate": 0.2, "effect": 0.5, "alternative": alternative}
    found = customers_needed(power=0.8, **options)
    reached = [
        power(control_total=n, treatment_total=n, **options) >= 0.8 for n in range(1, found + 1)
    ]
    assert reached.index(True) == found - 1


def test_customers_needed_by_the_approximation():
    found = customers_needed(control_rate=0.1, effect=0.02, power=0.9)
    sizes = {"control_rate": 0.1, "effect": 0.02}
    assert power(control_total=found, treatment_total=found, **sizes) >= 0.9
    assert power(control_total=found - 1, treatment_total=found - 1, **sizes) < 0.9


def test_allocation_counts_treatment_customers_per_control_customer():
    equal = customers_needed(control_rate=0.2, effect=0.05)
    double = customers_needed(control_rate=0.2, effect=0.05, allocation=2.0)
    assert equal * 0.5 < double < equal
    sizes = {"control_rate": 0.2, "effect": 0.05}
    assert power(control_total=double, treatment_total=2 * double, **sizes) >= 0.8


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"effect": 0.0}, "effect is 0.0 and null_effect 0.0; no size can find it"),
        ({"effect": -0.1, "alternative": "greater"}, "no size can find it"),
        ({"effect": 0.9}, "the treatment rate, must lie between 0 and 1"),
        ({"alpha": 0}, "alpha is 0; it must lie between 0 and 1"),
        ({"power": 1.0}, "power is 1.0; it must lie between 0 and 1"),
        ({"allocation": 0.0}, "allocation is 0.0; it must be above 0"),
        ({"control_rate": 1.5}, "control_rate is 1.5"),
        ({"test": "fisher"}, "unknown test 'fisher'"),
        ({"alternative": "up"}, "unknown alternative 'up'"),
        ({"null_effect": -1.0}, "null_effect is -1.0"),
        ({"effect": 1e-5}, "more than 10,000,000 customers would be needed"),
    ],
)
def test_bad_plans(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        customers_needed(**{"control_rate": 0.3, "effect": 0.1, **options})


def test_negative_sizes():
    with pytest.raises(ValueError, match="cohorts have -1 and 5 customers"):
        power(control_rate=0.3, effect=0.1, control_total=-1, treatment_total=5)
