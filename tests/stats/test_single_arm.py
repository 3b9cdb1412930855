"""One arm against a target: published power, exact levels, and intervals that hold at any time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from workbench.stats.single_arm import (
    compare_with_target,
    critical_number,
    customers_for_power,
    detectable_rate,
    fewest_customers,
    single_arm_power,
)


@pytest.mark.parametrize(("n", "power"), [(5, 0.12), (10, 0.26), (20, 0.60), (30, 0.87)])
def test_power_of_25_points_above_a_target_of_40(n, power):
    assert single_arm_power(n, 0.4, 0.65) == pytest.approx(power, abs=0.005)


def test_a_number_that_cannot_reject():
    assert critical_number(8, 0.8) is None
    assert fewest_customers(0.8) == 14
    assert [critical_number(n, 0.8) for n in (13, 14)] == [None, 14]
    assert compare_with_target(8, 8, 8, target=0.8).out_of_reach
    assert detectable_rate(8, 0.8) != detectable_rate(8, 0.8)


@pytest.mark.parametrize("target", [0.05, 0.4, 0.77])
@pytest.mark.parametrize("n", [7, 20, 61])
def test_the_critical_number_is_that_of_the_exact_test(n, target):
    for x in range(n + 1):
        found = compare_with_target(n, x, n, target=target)
        pvalue = stats.binomtest(x, n, target, alternative="greater").pvalue
        assert found.pvalue == pytest.approx(pvalue)
        assert found.shown == (pvalue <= 0.05)
        assert found.shown == (found.low > target)
        below = stats.binomtest(x, n, target, alternative="less").pvalue
        assert found.ruled_out == (below < 0.05)
        exact = stats.binomtest(x, n).proportion_ci(0.9, method="exact")
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_whoever_looks_after_every_customer_is_wrong_no_more_often():
    random, n, target = np.random.default_rng(7), 12, 0.4
    shown = out = missed = 0
    for _ in range(2_000):
        done = random.random(n) < target
        looks = [
            compare_with_target(n, int(done[:k].sum()), k, target=target) for k in range(n + 1)
        ]
        shown += any(each.shown for each in looks)
        out += any(each.ruled_out for each in looks)
        missed += any(not each.low <= target <= each.high for each in looks)
        assert all(
            one.low <= other.low and one.high >= other.high for one, other in pairwise(looks)
        )
    least = critical_number(n, target)
    assert shown / 2_000 == pytest.approx(stats.binom.sf(least - 1, n, target), abs=0.015)
    assert max(shown, out) / 2_000 <= 0.05 + 0.015
    assert missed / 2_000 <= 0.1 + 0.02


def test_success_may_be_said_while_others_are_open_and_failure_may_not():
    found = compare_with_target(10, 8, 8, target=0.4)
    assert (found.critical, found.shown, found.open) == (8, True, 2)
    failing = compare_with_target(10, 0, 2, target=0.4)
    assert not failing.ruled_out
    assert not failing.out_of_reach
    assert compare_with_target(10, 0, 3, target=0.4).out_of_reach


@pytest.mark.parametrize(("target", "rate"), [(0.4, 0.65), (0.1, 0.2), (0.9, 0.97)])
def test_the_customers_for_a_power_keep_it(target, rate):
    needed = customers_for_power(target, rate)
    assert single_arm_power(needed - 1, target, rate) < 0.8
    assert all(single_arm_power(n, target, rate) >= 0.8 for n in range(needed, 3 * needed))
    assert customers_for_power(target, target) is None
    assert customers_for_power(0.5, 0.5001) is None


def test_the_detectable_rate_has_the_power():
    assert single_arm_power(20, 0.4, detectable_rate(20, 0.4)) == pytest.approx(0.8)


@pytest.mark.parametrize("counts", [(5, 3, 2), (5, 2, 6), (5, -1, 2)])
def test_counts_that_do_not_fit(counts):
    with pytest.raises(ValueError, match="do not fit"):
        compare_with_target(*counts, target=0.4)
