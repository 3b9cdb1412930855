"""Comparisons within strata: published values, agreement of test and interval, and error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from workbench.stats.proportions import Counts
from workbench.stats.strata import EXACT, SCORE, compare_strata

SAS = [(Counts(5, 25), Counts(16, 27)), (Counts(7, 26), Counts(12, 28))]
cohorts = st.integers(1, 30).flatmap(
    lambda total: st.builds(Counts, st.integers(0, total), st.just(total))
)
tables = st.lists(st.tuples(cohorts, cohorts), min_size=1, max_size=4)


def test_the_score_test_is_that_of_sas():
    """Example 7 of PROC FREQ: CMH 8.3052, p = 0.0040."""
    found = compare_strata(SAS)
    assert found.test == SCORE
    assert found.statistic**2 == pytest.approx(8.3052, abs=5e-5)
    assert found.pvalue == pytest.approx(0.0040, abs=5e-5)
    one = compare_strata(SAS, alternative="greater", confidence_level=0.9)
    assert one.pvalue == pytest.approx(found.pvalue / 2)


def test_the_exact_test_of_one_stratum_is_fishers():
    control, treatment = Counts(1, 9), Counts(6, 8)
    for alternative in ("greater", "less"):
        found = compare_strata([(control, treatment)], alternative=alternative)
        table = [[6, 2], [1, 8]]
        assert found.test == EXACT
        assert found.pvalue == pytest.approx(stats.fisher_exact(table, alternative).pvalue)


def test_the_exact_test_of_two_strata_by_counting():
    """The sum of two hypergeometric counts, listed."""
    levels = [(Counts(1, 6), Counts(4, 7)), (Counts(0, 5), Counts(2, 4))]
    found = compare_strata(levels, alternative="greater")
    first, second = stats.hypergeom(13, 5, 7), stats.hypergeom(9, 2, 4)
    chance = sum(first.pmf(x) * second.pmf(y) for x in range(6) for y in range(3) if x + y >= 6)
    assert found.pvalue == pytest.approx(chance)


@given(tables, st.sampled_from(["greater", "less", "two-sided"]), st.sampled_from([0.05, 0.1]))
def test_the_interval_agrees_with_the_test(levels, alternative, alpha):
    level = 1 - (alpha if alternative == "two-sided" else 2 * alpha)
    found = compare_strata(levels, alternative=alternative, confidence_level=level)
    excluded = {
        "greater": found.low > 0,
        "less": found.high < 0,
        "two-sided": found.low > 0 or found.high < 0,
    }[alternative]
    if abs(found.pvalue - alpha) > 1e-9:
        assert excluded == (found.pvalue <= alpha)
    assert -1 <= found.low <= found.high <= 1
    turned = compare_strata(
        [(treatment, control) for control, treatment in levels],
        alternative={"greater": "less", "less": "greater"}.get(alternative, alternative),
        confidence_level=level,
    )
    assert turned.pvalue == pytest.approx(found.pvalue)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


def test_a_mix_that_differs_makes_no_effect():
    """Few of the large customers pay in either cohort; treatment has more of them."""
    levels = [(Counts(40, 80), Counts(10, 20)), (Counts(2, 20), Counts(8, 80))]
    found = compare_strata(levels)
    assert found.estimate == pytest.approx(0.0, abs=1e-12)
    assert found.pvalue == pytest.approx(1.0)
    assert found.control.rate - found.treatment.rate == pytest.approx(0.24)


@pytest.mark.parametrize("sizes", [(20, 20), (8, 6, 5), (60, 40)])
@pytest.mark.parametrize("rates", [(0.5, 0.1), (0.05, 0.6), (0.02, 0.05)])
def test_no_effect_is_rarely_found(sizes, rates):
    random = np.random.default_rng([*sizes, int(1000 * rates[0])])
    base = [rates[place % 2] for place in range(len(sizes))]
    rejected, runs = 0, 200
    for _ in range(runs):
        levels = [
            tuple(Counts(int(random.binomial(n, rate)), n) for _ in range(2))
            for n, rate in zip(sizes, base, strict=True)
        ]
        found = compare_strata(levels, alternative="greater", confidence_level=0.9)
        rejected += found.pvalue <= 0.05
    assert rejected / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_the_interval_of_the_odds_ratio_is_not_narrower_than_that_of_margins_without_room():
    levels = [(Counts(0, 30), Counts(0, 30)), (Counts(0, 10), Counts(1, 10))]
    found = compare_strata(levels, confidence_level=0.9)
    assert found.test == EXACT
    assert found.high - found.low > 0.1


def test_nothing_to_compare():
    found = compare_strata([(Counts(0, 0), Counts(3, 5))])
    assert math.isnan(found.pvalue)
    assert found.reason == "no level has customers in both cohorts"
    with pytest.raises(ValueError, match="unknown alternative 'grater'; did you mean 'greater'"):
        compare_strata(SAS, alternative="grater")


def test_statsmodels_agrees():
    levels = [(Counts(10, 40), Counts(22, 45)), (Counts(5, 30), Counts(9, 25))]
    table = StratifiedTable(
        [
            [
                [other.converted, other.total - other.converted],
                [one.converted, one.total - one.converted],
            ]
            for one, other in levels
        ]
    )
    assert compare_strata(levels).pvalue == pytest.approx(
        table.test_null_odds(correction=False).pvalue
    )
