"""Effects pooled over levels, and tests of whether they differ between levels.

Published values, by the name used below:

- SAS: example 7 of PROC FREQ ("Migraine"), SAS/STAT 9.3 user's guide.
- Agresti: Agresti, Categorical Data Analysis, 2nd ed. (2002), table 6.9, eight centers.
- Rothman: Rothman, Greenland & Lash, Modern Epidemiology, 3rd ed. (2008), table 15-1 (tolbutamide),
  with the digits of the tests of Viechtbauer's R package metafor.
- Doll: Doll & Hill (1950), as in Fagerland, Lydersen & Laake (2017), chapter 10, and their R package
  contingencytables.
- Laud: examples 1 to 3 in the validation of Laud's SAS macro ratesci (Hartung & Knapp's cisapride
  trials; Lu 2008; Klingenberg 2014, adverse events), and the vignette "Stratified
  contrasts" of his R package ratesci (Roderick et al. 2005, compression stockings).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import StratifiedTable

from workbench.stats.proportions import Counts, compare
from workbench.stats.score import score_interval
from workbench.stats.stratified import (
    FEW_LEVELS,
    _heterogeneity,
    breslow_day,
    interaction,
    mantel_haenszel,
    pooled_score,
)

cohorts = st.integers(1, 12).flatmap(
    lambda total: st.builds(Counts, st.integers(0, total), st.just(total))
)
groupings = st.lists(st.tuples(cohorts, cohorts), min_size=1, max_size=4)


def levels_of(*rows):
    """Read rows of treatment's converted and total, then control's."""
    return [(Counts(x0, n0), Counts(x1, n1)) for x1, n1, x0, n0 in rows]


SAS = levels_of((16, 27, 5, 25), (12, 28, 7, 26))
AGRESTI = levels_of(
    *((11, 36, 10, 37), (16, 20, 22, 32), (14, 19, 7, 19), (2, 16, 1, 17)),
    *((6, 17, 0, 12), (1, 11, 0, 10), (1, 5, 1, 9), (4, 6, 6, 7)),
)
ROTHMAN = levels_of((8, 106, 5, 120), (22, 98, 16, 85))
DOLL = levels_of((647, 1269, 2, 29), (41, 69, 19, 51))
CISAPRIDE = levels_of(
    *((15, 16, 9, 16), (12, 16, 1, 16), (29, 34, 18, 34), (42, 56, 31, 56), (14, 22, 6, 22)),
    *((44, 54, 17, 55), (14, 17, 7, 15), (29, 58, 23, 58), (10, 14, 3, 15), (17, 26, 6, 27)),
    *((38, 44, 12, 45), (19, 29, 22, 30), (21, 38, 19, 38)),
)
LU = levels_of((3, 5, 1, 15), (4, 10, 3, 10), (18, 35, 2, 25))
ADVERSE = levels_of(
    *((0, 432, 0, 142), (1, 375, 0, 125), (0, 80, 0, 40), (0, 248, 1, 84), (0, 50, 0, 24)),
    *((2, 251, 0, 85), (5, 605, 1, 209), (1, 466, 2, 231), (4, 525, 0, 175), (1, 80, 0, 40)),
    *((1, 375, 0, 124), (0, 189, 0, 59), (0, 55, 0, 27), (0, 110, 0, 56), (0, 85, 0, 85)),
    *((0, 170, 0, 85), (4, 1030, 1, 350)),
)
STOCKINGS = levels_of(
    *((15, 97, 37, 103), (0, 8, 5, 10), (11, 50, 23, 48), (4, 110, 16, 110), (7, 65, 7, 32)),
    *((8, 25, 8, 25), (5, 126, 17, 126), (0, 104, 4, 92), (7, 80, 16, 81)),
)
SIMPSON = levels_of((81, 87, 234, 270), (192, 263, 55, 80))  # Charig et al. (1986) BMJ 292:879-882


def rounded(digits, *values):
    return tuple(round(value, digits) for value in values)


def test_migraine_as_sas_prints_it():
    found = mantel_haenszel(SAS)
    odds = found.odds_ratio
    assert rounded(4, found.statistic, found.pvalue) == (8.3052, 0.0040)
    assert rounded(4, odds.estimate, odds.low, odds.high) == (3.3132, 1.4456, 7.5934)


def test_eight_centers_of_agresti():
    found, odds = mantel_haenszel(AGRESTI), breslow_day(AGRESTI)
    assert rounded(2, found.statistic, found.pvalue) == (6.38, 0.01)
    ratio = found.odds_ratio
    assert rounded(2, ratio.estimate, ratio.low, ratio.high) == (2.13, 1.18, 3.87)
    assert (round(odds.statistic, 2), odds.df, round(odds.pvalue, 2)) == (7.99, 7, 0.33)


def test_tolbutamide_of_rothman():
    found = mantel_haenszel(ROTHMAN, confidence_level=0.9)
    ratio = found.odds_ratio
    assert rounded(4, found.estimate, found.crude) == (0.0349, 0.0446)
    assert rounded(4, ratio.estimate, ratio.low, ratio.high) == (1.4031, 0.8411, 2.3409)
    assert rounded(4, found.statistic, found.pvalue) == (1.1914, 0.2750)
    odds = breslow_day(ROTHMAN)
    assert rounded(4, odds.statistic, odds.pvalue) == (0.3489, 0.5547)


def test_smoking_of_doll_and_hill():
    found, odds = mantel_haenszel(DOLL), breslow_day(DOLL)
    assert rounded(4, found.estimate, found.odds_ratio.estimate) == (0.3294, 4.5239)
    assert round(found.statistic, 2) == 24.92
    assert (round(odds.statistic, 3), round(odds.pvalue, 5)) == (5.175, 0.02292)


@pytest.mark.parametrize(
    ("levels", "digits", "ends"),
    [
        (CISAPRIDE, 6, (0.245286, 0.369981)),
        (LU, 4, (0.1963, 0.5381)),
        (ADVERSE, 4, (-0.0027, 0.0038)),
    ],
)
def test_stratified_score_intervals_of_laud(levels, digits, ends):
    found = mantel_haenszel(levels)
    assert rounded(digits, found.low, found.high) == ends


def test_interval_agrees_with_the_test_where_that_of_sato_does_not():
    """Laud's example 1: p = 0.0485, while Sato's interval holds 0."""
    found = mantel_haenszel(
        levels_of((25, 33, 4, 17), (34, 50, 17, 25), (28, 50, 15, 25), (52, 67, 22, 33))
    )
    assert round(found.pvalue, 4) == 0.0485
    assert 0.0 < found.low < 0.001


def test_heterogeneity_of_stockings_at_the_estimate_of_ratesci():
    """ratesci's statistic is taken at Mantel and Haenszel's estimate, -0.1242; p = 0.0716."""
    estimate = mantel_haenszel(STOCKINGS).estimate
    assert round(estimate, 4) == -0.1242
    at_pooled = _heterogeneity(STOCKINGS, estimate)
    assert at_pooled == pytest.approx(14.4154, abs=0.005)
    assert stats.chi2.sf(at_pooled, 8) == pytest.approx(0.07156, abs=2e-4)
    assert interaction(STOCKINGS).statistic < at_pooled


@pytest.mark.parametrize("levels", [SAS, ROTHMAN, LU])
def test_interaction_is_the_score_test_at_the_most_likely_common_effect(levels):
    """The likelihood is maximized anew, by scipy over all rates; Pearson's form of the statistic."""

    def loss(rates):
        total = 0.0
        for (control, treatment), rate in zip(levels, rates[1:], strict=True):
            for counts, at in ((control, rate), (treatment, rate + rates[0])):
                total -= stats.binom.logpmf(counts.converted, counts.total, min(max(at, 0.0), 1.0))
        return min(total, 1e6)

    start = [mantel_haenszel(levels).estimate, *(0.1 + control.rate for control, _ in levels)]
    best = optimize.minimize(
        loss, start, method="Nelder-Mead", options={"maxiter": 40_000, "maxfev": 40_000}
    )
    best = optimize.minimize(
        loss, best.x, method="Nelder-Mead", options={"maxiter": 40_000, "maxfev": 40_000}
    )
    statistic = 0.0
    for (control, treatment), rate in zip(levels, best.x[1:], strict=True):
        customers = control.total + treatment.total
        for counts, at in ((control, rate), (treatment, rate + best.x[0])):
            pearson = (counts.converted - counts.total * at) ** 2 / (counts.total * at * (1 - at))
            statistic += pearson * (customers - 1) / customers
    found = interaction(levels)
    assert found.df == len(levels) - 1
    assert found.statistic == pytest.approx(statistic, rel=2e-3, abs=1e-4)
    assert found.pvalue == pytest.approx(stats.chi2.sf(found.statistic, found.df))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(1, 30)] * 4), min_size=2, max_size=4))
def test_statsmodels_agrees_on_odds_ratios(cells):
    tables = [np.array([[a, b], [c, d]], dtype=float) for a, b, c, d in cells]
    levels = levels_of(*((a, a + b, c, c + d) for a, b, c, d in cells))
    theirs, ours = StratifiedTable(tables), mantel_haenszel(levels)
    assume(abs(theirs.oddsratio_pooled - 1.0) > 1e-6)  # where theirs divides by zero
    assert ours.odds_ratio.estimate == pytest.approx(theirs.oddsratio_pooled)
    assert (ours.odds_ratio.low, ours.odds_ratio.high) == pytest.approx(
        theirs.oddsratio_pooled_confint()
    )
    assert ours.statistic == pytest.approx(theirs.test_null_odds().statistic, abs=1e-9)
    odds = breslow_day(levels)
    assert odds.statistic == pytest.approx(
        max(theirs.test_equal_odds(adjust=True).statistic, 0.0), rel=1e-6, abs=1e-6
    )


def test_one_level_is_the_score_method():
    control, treatment = Counts(48, 80), Counts(56, 70)
    found = mantel_haenszel([(control, treatment)])
    alone = compare(control=control, treatment=treatment, test="score")
    assert (found.estimate, found.pvalue) == pytest.approx((alone.estimate, alone.pvalue))
    assert (found.low, found.high) == pytest.approx(score_interval(48, 80, 56, 70, 0.95))


@settings(max_examples=60, deadline=None)
@given(groupings)
def test_interval_leaves_out_zero_exactly_when_the_test_rejects(levels):
    found = mantel_haenszel(levels, confidence_level=0.8)
    assert -1.0 <= found.low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.high <= 1.0
    if not math.isnan(found.pvalue) and abs(found.pvalue - 0.2) > 1e-9:
        assert (found.pvalue <= 0.2) == (not found.low <= 0.0 <= found.high)


@settings(max_examples=40, deadline=None)
@given(groupings)
def test_swapped_cohorts_turn_the_sign_and_nothing_else(levels):
    found = mantel_haenszel(levels)
    turned = mantel_haenszel([(treatment, control) for control, treatment in levels])
    assert (-turned.high, -turned.low) == pytest.approx((found.low, found.high), abs=1e-9)
    assert turned.reversed == found.reversed
    differs = interaction(levels)
    again = interaction([(treatment, control) for control, treatment in levels])
    assert again.statistic == pytest.approx(differs.statistic, rel=1e-6, abs=1e-6, nan_ok=True)


def test_crude_effect_that_points_the_other_way_is_named():
    found = mantel_haenszel(SIMPSON)
    assert rounded(4, found.estimate, found.crude) == (0.0538, -0.0457)  # weights 65.80 and 61.34
    assert found.reversed
    assert not mantel_haenszel(SAS).reversed


def test_error_of_the_interaction_test_in_small_levels():
    """No interaction, effects 0 and 0.2, 8 to 50 customers a level; chi-square holds its level."""
    random = np.random.default_rng(7)
    designs = [
        ([(5, 5)] * 3, (0.3, 0.5, 0.2)),
        ([(10, 10)] * 3, (0.5, 0.5, 0.4)),
        ([(25, 25)] * 2, (0.1, 0.3)),
        ([(20, 30), (4, 4)], (0.05, 0.5)),
    ]
    rejected = runs = 0
    for sizes, rates in designs:
        for _ in range(100):
            effect = 0.2 * random.integers(2)
            levels = [
                (
                    Counts(random.binomial(n0, rate), n0),
                    Counts(random.binomial(n1, rate + effect), n1),
                )
                for (n0, n1), rate in zip(sizes, rates, strict=True)
            ]
            rejected += interaction(levels).pvalue <= 0.05
            runs += 1
    assert 0.02 <= rejected / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_coverage_of_the_pooled_interval_in_small_levels():
    """A true effect is held exactly where its score lies within the two quantiles."""
    random = np.random.default_rng(8)
    for effect in (0.0, 0.2):
        held = 0
        for _ in range(800):
            levels = [
                (Counts(random.binomial(n, rate), n), Counts(random.binomial(n, rate + effect), n))
                for n, rate in ((5, 0.05), (8, 0.3), (12, 0.5))
            ]
            held += abs(pooled_score(levels, effect)) <= stats.norm.ppf(0.975)
        assert held / 800 >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / 800)


def test_levels_with_an_empty_cohort_are_left_out_with_the_reason():
    empty = (Counts(0, 0), Counts(3, 9))
    found = mantel_haenszel([empty, *SAS, (Counts(0, 0), Counts(0, 0))])
    assert found.used == (1, 2)
    assert found.left_out == (
        (0, "no customers in control"),
        (3, "no customers in control and treatment"),
    )
    alone = mantel_haenszel(SAS)
    assert (found.estimate, found.crude, found.pvalue) == (
        alone.estimate,
        alone.crude,
        alone.pvalue,
    )
    assert interaction([empty, *SAS]) == interaction(SAS)
    assert interaction([empty, SAS[0]]).reason == FEW_LEVELS


@pytest.mark.parametrize("levels", [[], [(Counts(0, 0), Counts(1, 2))]])
def test_nothing_to_compare(levels):
    found = mantel_haenszel(levels)
    assert found.reason == "no level has customers in both cohorts"
    assert all(
        math.isnan(value)
        for value in (found.estimate, found.low, found.high, found.pvalue, found.crude)
    )
    assert not found.reversed
    assert interaction(levels).reason == FEW_LEVELS
    assert math.isnan(breslow_day(levels).pvalue)


def test_levels_without_any_conversion():
    nobody = levels_of((0, 10, 0, 12), (0, 8, 0, 9))
    found = mantel_haenszel(nobody)
    assert found.estimate == 0.0
    assert found.low < 0.0 < found.high
    assert found.reason == "no test: every level is all converted or all not converted"
    assert math.isnan(found.pvalue)
    for differs in (interaction(nobody), breslow_day(nobody)):
        assert math.isnan(differs.statistic)
        assert math.isnan(differs.pvalue)
        assert differs.reason


def test_opposite_levels_at_the_edges():
    levels = levels_of((10, 10, 0, 10), (0, 10, 10, 10))
    assert interaction(levels).pvalue < 1e-6
    assert mantel_haenszel(levels).estimate == 0.0
    same = levels_of((10, 10, 0, 10), (8, 8, 0, 9))
    assert interaction(same).statistic == 0.0
    found = mantel_haenszel(same)
    assert (found.estimate, round(found.high, 9)) == (1.0, 1.0)
    assert math.isnan(found.odds_ratio.estimate)
    assert found.reason == "the odds ratio has no interval: some cell is 0 in every level"
    assert breslow_day(same).reason == "the pooled odds ratio has no value"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cohorts | st.just(Counts(0, 0)), cohorts), max_size=4))
def test_every_table_has_numbers_or_a_reason(levels):
    found = mantel_haenszel(levels)
    assert found.reason or not math.isnan(found.pvalue + found.odds_ratio.low)
    for differs in (interaction(levels), breslow_day(levels)):
        assert (differs.reason == "") == (0.0 <= differs.pvalue <= 1.0)


def test_errors_say_the_way_out():
    with pytest.raises(ValueError, match=r"^confidence_level is 95; it must lie between 0 and 1$"):
        mantel_haenszel(SAS, confidence_level=95)
