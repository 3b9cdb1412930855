"""The running answer over versions: its bounds, its interval, and how often it is wrong."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from workbench.stats.proportions import Counts, compare
from workbench.stats.versions import (
    running_answer,
    running_bounds,
    running_evidence,
    running_pvalue,
    version_z,
)

TRIED = [
    (Counts(9, 28), Counts(14, 29)),
    (Counts(11, 27), Counts(20, 29)),
    (Counts(10, 30), Counts(17, 31)),
    (Counts(9, 27), Counts(16, 29)),
]
LEVEL = 0.05


@cache
def z_of(control, treatment):
    return version_z((Counts(control, 30), Counts(treatment, 29)))


@pytest.mark.parametrize(("planned", "spent"), [(None, (0.025, 0.0375)), (4, (0.0125, 0.025))])
def test_the_first_two_bounds_spend_what_they_may(planned, spent):
    first, second, *_ = running_bounds(4, LEVEL, planned)
    assert stats.norm.sf(first) == pytest.approx(spent[0], abs=1e-6)
    both = stats.multivariate_normal([0, 0], [[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]])
    assert 1 - both.cdf([first, second]) == pytest.approx(spent[1], abs=1e-5)


def test_one_version_is_its_exact_test():
    found = running_answer(TRIED[:1], planned=2)
    pvalue = compare(
        control=TRIED[0][0], treatment=TRIED[0][1], alternative="greater", test="exact"
    ).pvalue
    assert found.statistic == pytest.approx(-NormalDist().inv_cdf(pvalue))
    assert found.estimate == TRIED[0][1].rate - TRIED[0][0].rate


def test_four_small_versions_are_enough_together():
    found = running_answer(TRIED)
    singles = [
        compare(control=one, treatment=other, alternative="greater").pvalue for one, other in TRIED
    ]
    assert min(singles) > 0.01
    assert (found.control, found.treatment, found.versions) == (112, 118, 4)
    assert found.enough == 2
    assert found.low > 0
    assert found.differ.pvalue > 0.5


def test_the_interval_agrees_with_the_bound_and_turns_round():
    for tried in (TRIED, TRIED[:1], [(Counts(9, 28), Counts(10, 29))] * 3):
        found = running_answer(tried)
        assert (found.low > 0) == (found.statistic >= found.bound)
        turned = running_answer([version[::-1] for version in tried], alternative="less")
        assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
        assert turned.statistic == pytest.approx(found.statistic)
    two = running_answer(TRIED, alternative="two-sided")
    assert two.bound > running_answer(TRIED).bound
    assert two.low < running_answer(TRIED).low


@pytest.mark.parametrize("planned", [None, 4])
@pytest.mark.parametrize("goes_on", ["always", "while promising"])
def test_no_effect_is_rarely_found_whenever_one_goes_on(planned, goes_on):
    """2,000 hypotheses with no effect at a rate of .4; stopped when found, or when not promising."""
    random, bounds, runs = np.random.default_rng(3), running_bounds(4, LEVEL, planned), 2000
    found = 0
    for _ in range(runs):
        total = 0.0
        for number in range(4):
            counts = random.binomial(30, 0.4), random.binomial(29, 0.4)
            total += z_of(*map(int, counts))
            if total / math.sqrt(number + 1) >= bounds[number]:
                found += 1
                break
            if goes_on == "while promising" and counts[1] / 29 <= counts[0] / 30:
                break
    assert found / runs <= LEVEL + 2 * math.sqrt(LEVEL * (1 - LEVEL) / runs)


def test_a_version_of_a_p_value_of_one_is_no_end_of_it():
    poor = (Counts(3, 10), Counts(0, 10))
    assert running_answer([poor]).statistic == -3.0
    assert running_answer([poor, *TRIED]).statistic > 1.0


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="a version has no customers in a cohort"):
        running_answer([(Counts(0, 0), Counts(1, 2))])
    with pytest.raises(ValueError, match="4 versions were tried, but 3 are planned"):
        running_answer(TRIED, planned=3)
    with pytest.raises(ValueError, match=r"alpha is 0\.7"):
        running_answer(TRIED, alpha=0.7)


@pytest.mark.parametrize("planned", [None, 4])
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("versions", [1, 2, 4])
def test_the_pvalue_is_the_least_alpha_that_is_enough(versions, alternative, planned):
    tried = tuple(TRIED[:versions])
    pvalue = running_pvalue(tried, alternative, planned)
    for alpha in (0.01, 0.05, 0.2, 0.9 * pvalue, 1.1 * pvalue):
        if alpha < 0.499:
            found = running_answer(tried, alternative=alternative, alpha=alpha, planned=planned)
            assert (found.enough is not None) == (pvalue <= alpha)


def test_evidence_at_any_time_is_enough_for_good():
    found = running_evidence(TRIED, [5.0, 8.0, 0.1, 2.0], alpha=0.05)
    assert (found.statistic, found.bound, found.enough) == (pytest.approx(8), 20, 2)
    assert found.estimate == pytest.approx(running_answer(TRIED).estimate)
