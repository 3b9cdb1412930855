"""Comparing two rates: published values, edge cases, and agreement of tests with intervals.

Published values, by the name used below:

- Newcombe: Newcombe (1998) Statistics in Medicine 17:873-890, table II, contrasts (a) to (h).
- Fagerland: Fagerland, Lydersen & Laake, Statistical Analysis of Contingency Tables (2017), chapter
  4, as checked in their R package contingencytables (7/34 against 1/34; 0/16 against 15/72).
- SAS: PROC FREQ 9.4, and StatXact: version 11, both as recorded in the tests of Fay's R package
  exact2x2 (inst/slowTests), whose difference is second minus first.
- Koopman: Koopman (1984) Biometrics 40:513-517, 36/40 against 16/80.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from decimal import Decimal, localcontext
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.stats.exact import (
    Edge,
    Region,
    binomials,
    largest_probability,
    probability,
    pvalue_from_below,
    rejected_from,
)
from workbench.stats.proportions import Counts, compare, wilson
from workbench.stats.sample_ratio import sample_ratio
from workbench.stats.score import (
    ratio_interval,
    restricted_rates,
    score_interval,
    score_statistic,
    score_threshold,
    wilson_interval,
)

ALTERNATIVES = ("two-sided", "greater", "less")
TESTS = ("auto", "exact", "score", "pooled-z", "unpooled-z", "fisher", "boschloo")
INTERVALS = ("auto", "exact", "score", "newcombe", "agresti-caffo", "wald")
NEWCOMBE = {  # treatment, control: Miettinen-Nurminen (6), hybrid score (10)
    "a": ((56, 70), (48, 80), (0.0528, 0.3382), (0.0524, 0.3339)),
    "b": ((9, 10), (3, 10), (0.1700, 0.8406), (0.1705, 0.8090)),
    "c": ((6, 7), (2, 7), (0.0342, 0.8534), (0.0582, 0.8062)),
    "d": ((5, 56), (0, 29), (-0.0326, 0.1933), (-0.0381, 0.1926)),
    "e": ((0, 10), (0, 20), (-0.1658, 0.2844), (-0.1611, 0.2775)),
    "f": ((0, 10), (0, 10), (-0.2879, 0.2879), (-0.2775, 0.2775)),
    "g": ((10, 10), (0, 20), (0.7156, 1.0000), (0.6791, 1.0000)),
    "h": ((10, 10), (0, 10), (0.6636, 1.0000), (0.6075, 1.0000)),
}
# Edges
TABLES = (
    ((0, 1), (0, 1)),
    ((1, 1), (0, 1)),
    ((0, 6), (0, 4)),
    ((6, 6), (4, 4)),
    ((0, 6), (4, 4)),
    ((2, 6), (0, 4)),
    ((0, 0), (1, 2)),
    ((1, 2), (0, 0)),
    ((0, 0), (0, 0)),
)


def run(control, treatment, **options):
    return compare(control=Counts(*control), treatment=Counts(*treatment), **options)


def ends(control, treatment, interval, **options):
    found = run(control, treatment, interval=interval, **options)
    return found.low, found.high


# Published intervals
@pytest.mark.parametrize("name", NEWCOMBE)
def test_newcombe_table(name):
    treatment, control, score, hybrid = NEWCOMBE[name]
    assert ends(control, treatment, "score") == pytest.approx(score, abs=5.1e-5)
    assert ends(control, treatment, "newcombe", test="score") == pytest.approx(hybrid, abs=5.1e-5)


def test_newcombe_wald():
    for (control, treatment), published in {
        ((48, 80), (56, 70)): (0.0575, 0.3425),
        ((3, 10), (9, 10)): (0.2605, 0.9395),
    }.items():
        assert ends(control, treatment, "wald", test="score") == pytest.approx(
            published, abs=5.1e-5
        )


@pytest.mark.parametrize(
    ("interval", "published"),
    [
        ("wald", (0.0292, 0.3238)),
        ("agresti-caffo", (0.0116, 0.3217)),
        ("newcombe", (0.0189, 0.3404)),
    ],
)
def test_fagerland_difference(interval, published):
    found = ends((1, 34), (7, 34), interval, test="score")
    assert found == pytest.approx(published, abs=5.1e-5)


def test_fagerland_score_and_unpooled():
    assert ends((15, 72), (0, 16), "score") == pytest.approx((-0.3164, -0.0056), abs=5.1e-5)
    unpooled = run((15, 72), (0, 16), test="unpooled-z", interval="score")
    assert unpooled.statistic == pytest.approx(-4.353, abs=5.1e-4)
    assert unpooled.pvalue == pytest.approx(0.00001, abs=5e-6)
    fisher = run((15, 72), (0, 16), test="fisher", interval="score")
    assert fisher.pvalue == pytest.approx(0.06287, abs=5.1e-6)


def test_fagerland_ratio():
    found = run((1, 34), (7, 34), test="score").ratio
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (7.0, 1.2086, 43.0330), abs=6e-5
    )
    koopman = ratio_interval(1, 34, 7, 34, 0.95, factor=False)
    assert koopman == pytest.approx((1.2209, 42.5757), abs=6e-5)


def test_koopman_ratio():
    found = ratio_interval(16, 80, 36, 40, 0.95, factor=False)
    assert found == pytest.approx((2.94, 7.15), abs=5.1e-3)


@pytest.mark.parametrize(
    ("control", "treatment", "published"),
    [
        ((10, 35), (24, 61), (-0.0992, 0.2949)),  # SAS, StatXact
        ((4, 12), (9, 11), (0.0616, 0.7968)),  # SAS
        ((2, 7), (6, 13), (-0.3108, 0.5787)),  # StatXact
        ((0, 7), (13, 13), (0.5904, 1.0000)),  # SAS, StatXact
    ],
)
def test_chan_zhang_interval(control, treatment, published):
    """One-sided alternatives invert two one-sided tests, each at half of what is outside."""
    for alternative in ("greater", "less"):
        found = ends(control, treatment, "exact", alternative=alternative)
        assert found == pytest.approx(published, abs=5.1e-5)


def test_agresti_min_interval():
    found = ends((2, 7), (6, 13), "exact")  # StatXact, inverting one two-sided test
    assert found == pytest.approx((-0.3079, 0.5542), abs=5.1e-5)
    # exact2x2 notes that StatXact's upper end for 0/7 and 13/13, 0.6101, is wrong; the lower agrees
    assert ends((0, 7), (13, 13), "exact") == pytest.approx((0.6088, 1.0), abs=5.1e-5)


# Published p-values
@pytest.mark.parametrize(
    ("control", "treatment", "two_sided", "published"),
    [
        ((10, 35), (24, 61), False, 0.2142),  # SAS
        ((10, 35), (24, 61), True, 0.4063),  # SAS
        ((4, 12), (9, 11), False, 0.0120),  # SAS
        ((4, 12), (9, 11), True, 0.0215),  # SAS
        ((2, 7), (6, 13), True, 0.5374),  # StatXact
        ((0, 7), (13, 13), True, 0.00000244),  # StatXact
    ],
)
def test_barnard_published(control, treatment, two_sided, published):
    """The raw p-value is Barnard's; the coherent one is never below it."""
    edge = Edge(control[0], control[1], treatment[0], treatment[1], two_sided)
    raw = edge.bound(0.0, 0.0)
    assert raw == pytest.approx(published, abs=5.1e-5 if published > 1e-3 else 5.1e-9)
    alternative = "two-sided" if two_sided else "greater"
    assert run(control, treatment, alternative=alternative).pvalue >= raw * (1 - 1e-9)


def test_boschloo_published():
    found = run((10, 35), (24, 61), alternative="greater", test="boschloo", interval="score")
    assert found.pvalue == pytest.approx(0.1513, abs=5.1e-5)  # StatXact


@pytest.mark.parametrize(("n0", "n1"), [(5, 5), (4, 7)])
def test_barnard_by_brute_force_and_scipy(n0, n1):
    """scipy's search may end at a lower maximum, or lose ties: it is never above ours."""
    rates = np.linspace(0, 1, 4001)
    joint = binomials(n0, rates)[:, :, None] * binomials(n1, rates)[:, None, :]
    every = score_statistic(np.arange(n0 + 1)[:, None], n0, np.arange(n1 + 1), n1, 0.0)
    for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
        if x1 / n1 <= x0 / n0:
            continue
        for two_sided in (False, True):
            edge = Edge(x0, n0, x1, n1, two_sided)
            raw = edge.bound(0.0, 0.0)
            far = np.abs(every) if two_sided else every
            brute = (joint * (far >= every[x0, x1] - 1e-9)).sum(axis=(1, 2)).max()
            assert raw == pytest.approx(brute, rel=2e-6)
            assert raw >= brute * (1 - 1e-9)
            alternative = "two-sided" if two_sided else "greater"
            other = stats.barnard_exact([[x1, x0], [n1 - x1, n0 - x0]], alternative, n=32).pvalue
            assert raw >= other * (1 - 1e-9)
            assert pvalue_from_below(edge, 0.0) >= raw * (1 - 1e-9)


def test_fisher_and_boschloo_scipy():
    for n0, n1 in ((6, 4), (9, 9)):
        for x0, x1 in itertools.product(range(0, n0 + 1, 2), range(n1 + 1)):
            table = [[x1, x0], [n1 - x1, n0 - x0]]
            for alternative in ALTERNATIVES:
                found = run(
                    (x0, n0), (x1, n1), alternative=alternative, test="fisher", interval="score"
                )
                other = stats.fisher_exact(table, alternative=alternative).pvalue
                assert found.pvalue == pytest.approx(other, rel=1e-9)
    for (x0, n0), (x1, n1) in (((2, 15), (7, 20)), ((0, 9), (3, 8)), ((5, 6), (1, 7))):
        for alternative in ALTERNATIVES:
            found = run(
                (x0, n0), (x1, n1), alternative=alternative, test="boschloo", interval="score"
            )
            other = stats.boschloo_exact([[x1, x0], [n1 - x1, n0 - x0]], alternative, n=64)
            assert found.pvalue == pytest.approx(other.pvalue, rel=1e-5)


def test_gate_test():
    """Cookie Cats: retention after 7 and 1 days, gate at level 30 (control) or 40."""
    day7 = run((8502, 44_700), (8279, 45_489), test="pooled-z", interval="wald")
    assert day7.statistic == pytest.approx(-3.16436, abs=5.1e-6)
    assert day7.pvalue == pytest.approx(0.001554250, abs=5.1e-10)
    assert (day7.low, day7.high) == pytest.approx((-0.013282, -0.003121), abs=5.1e-7)
    day1 = run((20_034, 44_700), (20_119, 45_489), test="pooled-z")
    assert day1.statistic == pytest.approx(-1.7840862248, abs=5.1e-11)
    assert day1.pvalue == pytest.approx(0.0744096553, abs=5.1e-11)
    assert day1.interval == "score"


def test_free_trial():
    """Gross conversion; the published interval is a Wald interval with the pooled error."""
    found = run((3785, 17_293), (3423, 17_260), test="pooled-z", interval="score")
    assert found.estimate == pytest.approx(-0.0205548746, abs=5.1e-11)
    spread = 1.96 * abs(found.estimate / found.statistic)
    published = (-0.0291233584, -0.0119863908)
    assert (found.estimate - spread, found.estimate + spread) == pytest.approx(published, abs=6e-7)


# The closed forms
def test_restricted_rates_maximize_the_likelihood():
    """Against a search over a fine grid, also in the corners of the table."""
    for n0, n1, difference in ((5, 9, 0.2), (8, 8, -0.35), (3, 20, 0.01)):
        for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
            control, treatment = (float(r) for r in restricted_rates(x0, n0, x1, n1, difference))
            assert treatment - control == pytest.approx(difference, abs=1e-12)
            grid = np.linspace(max(0, -difference), min(1, 1 - difference), 2001)

            def fit(rate, x0=x0, x1=x1, n0=n0, n1=n1, difference=difference):
                return stats.binom.pmf(x0, n0, rate) * stats.binom.pmf(x1, n1, rate + difference)

            assert fit(control) >= fit(grid).max() * (1 - 1e-9)


@pytest.mark.parametrize(("n0", "n1"), [(6, 6), (4, 11)])
@pytest.mark.parametrize("difference", [-0.95, -0.3, -1e-6, 0.0, 1e-9, 0.02, 0.4, 0.9])
def test_statistic_is_monotone(n0, n1, difference):
    """What the exact machinery rests on: up in treatment, down in control, down in the null."""
    rows, columns = np.arange(n0 + 1)[:, None], np.arange(n1 + 1)
    here = score_statistic(rows, n0, columns, n1, difference)
    assert (np.diff(here, axis=1) >= -1e-9).all()
    assert (np.diff(here, axis=0) <= 1e-9).all()
    beyond = score_statistic(rows, n0, columns, n1, difference + 0.01)
    assert (beyond <= here + 1e-9).all()
    mirrored = score_statistic(n1 - columns, n1, n0 - rows, n0, difference)
    assert mirrored == pytest.approx(here, abs=1e-8)
    level = float(here[n0 // 2, n1 // 2])
    up = score_threshold(n0, n1, difference, level, from_above=False)
    assert up.tolist() == (here < level - 1e-8 * max(1, abs(level))).sum(axis=1).tolist()
    down = score_threshold(n0, n1, difference, level, from_above=True)
    assert down.tolist() == ((here <= level + 1e-8 * max(1, abs(level))).sum(axis=1) - 1).tolist()


def test_largest_probability_is_the_supremum():
    """Bounded from above interval by interval: the upper part rises with one rate and falls with
    the other, so each stretch of control rates has a sure bound."""
    for n0, n1, difference, level in ((40, 55, 0.0, 1.9), (30, 30, -0.12, 1.5), (9, 60, 0.3, 0.7)):
        up = score_threshold(n0, n1, difference, level, from_above=False)
        region = Region(up, None)
        found = largest_probability(n0, n1, region, difference, difference)
        edges = np.linspace(max(0, -difference), min(1, 1 - difference), 4001)
        inside = probability(n0, n1, region, edges, edges + difference, edges + difference)
        above = np.clip(edges[1:] + difference, 0, 1)
        bound = probability(n0, n1, region, edges[:-1], above, above).max()
        assert inside.max() - 1e-12 <= found <= bound
        assert found == pytest.approx(inside.max(), rel=1e-5)


def test_binomials_add_up():
    rates = np.array([0.0, 1e-12, 0.3, 1.0])
    rows = binomials(250, rates)
    assert rows.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-11)
    assert rows[2] == pytest.approx(stats.binom.pmf(np.arange(251), 250, 0.3), rel=1e-9)


# Test and interval agree
def excludes(found):
    null = found.null_effect
    if found.alternative == "greater":
        return found.low > null
    if found.alternative == "less":
        return found.high < null
    return found.low > null or found.high < null


@pytest.mark.parametrize(
    ("n0", "n1", "null_effect", "confidence_level"),
    [(3, 3, 0.0, 0.8), (3, 3, -0.1, 0.9), (5, 2, 0.0, 0.9), (2, 4, 0.15, 0.8)],
)
def test_exact_pvalue_and_interval_agree(n0, n1, null_effect, confidence_level):
    """For every table: pvalue <= alpha exactly when the interval excludes the null."""
    options = {"null_effect": null_effect, "confidence_level": confidence_level, "test": "exact"}
    for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
        for alternative in ALTERNATIVES:
            found = run((x0, n0), (x1, n1), alternative=alternative, **options)
            alpha = (1 - confidence_level) / (1 if alternative == "two-sided" else 2)
            assert (found.pvalue <= alpha + 1e-12) == excludes(found), found
            assert found.low <= found.estimate <= found.high


@pytest.mark.parametrize(("control", "treatment"), [((69, 129), (86, 154)), ((54, 138), (78, 140))])
def test_the_exact_pvalue_is_barnards(control, treatment):
    (x0, n0), (x1, n1) = control, treatment
    found = compare(control=Counts(x0, n0), treatment=Counts(x1, n1), alternative="greater")
    table = [[x1, x0], [n1 - x1, n0 - x0]]
    other = stats.barnard_exact(table, alternative="greater", n=256).pvalue
    assert found.pvalue == pytest.approx(other, rel=1e-6)


def test_a_pvalue_that_would_contradict_the_interval_is_the_largest_beyond_the_null():
    found = compare(control=Counts(2, 7), treatment=Counts(6, 13), confidence_level=0.45)
    assert Edge(2, 7, 6, 13, two_sided=True).bound(0.0, 0.0) == pytest.approx(0.5374, abs=1e-4)
    assert found.pvalue == pytest.approx(0.5662, abs=1e-4)
    assert found.low <= 0.0 <= found.high


@pytest.mark.parametrize("family", [("score", "score"), ("unpooled-z", "wald")])
def test_approximate_pvalue_and_interval_agree(family):
    test, interval = family
    for (n0, n1), null_effect in itertools.product(((7, 7), (5, 12)), (0.0, -0.1)):
        for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
            for alternative, level in (("two-sided", 0.9), ("greater", 0.8), ("less", 0.8)):
                found = run(
                    (x0, n0),
                    (x1, n1),
                    alternative=alternative,
                    null_effect=null_effect,
                    confidence_level=level,
                    test=test,
                    interval=interval,
                )
                if math.isnan(found.pvalue):
                    assert math.isnan(found.low)
                    assert found.reason
                else:
                    assert (found.pvalue <= 0.1) == excludes(found), found


@pytest.mark.parametrize(("n0", "n1"), [(6, 6), (5, 8), (9, 4)])
@pytest.mark.parametrize("two_sided", [False, True])
def test_rejected_tables_are_those_of_the_pvalue(n0, n1, two_sided):
    least = rejected_from(n0, n1, 0.0, 0.05, two_sided=two_sided)
    for x0 in range(n0 + 1):
        for x1 in (int(least[x0]) - 1, int(least[x0])):
            if 0 <= x1 <= n1:
                pvalue = pvalue_from_below(Edge(x0, n0, x1, n1, two_sided), 0.0)
                assert (pvalue <= 0.05) == (x1 >= least[x0])


def test_pvalue_is_the_largest_beyond_the_null():
    """Against a fine grid of nulls, where raw p-values do not fall steadily."""
    for table in ((2, 7, 6, 13), (0, 9, 2, 4), (0, 2, 1, 3)):
        edge = Edge(*table, two_sided=True)
        raw = [edge.bound(null, null) for null in np.linspace(-0.999, 0.0, 800)]
        found = pvalue_from_below(edge, 0.0)
        assert max(raw) <= found * (1 + 1e-9)
        assert found == pytest.approx(max(raw), rel=2e-2)


def test_interval_widens_with_the_level():
    found = [run((3, 12), (8, 15), confidence_level=level) for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert all(a.low > b.low and a.high < b.high for a, b in itertools.pairwise(found))


# Signs and symmetry
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_swapping_cohorts_turns_the_comparison_round(data):
    n0, n1 = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    x0, x1 = data.draw(st.integers(0, n0)), data.draw(st.integers(0, n1))
    test = data.draw(st.sampled_from(TESTS[2:]))
    interval = data.draw(st.sampled_from(INTERVALS[2:]))
    alternative, turned = data.draw(
        st.sampled_from([("two-sided", "two-sided"), ("greater", "less"), ("less", "greater")])
    )
    one = run((x0, n0), (x1, n1), alternative=alternative, test=test, interval=interval)
    other = run((x1, n1), (x0, n0), alternative=turned, test=test, interval=interval)
    assert other.estimate == pytest.approx(-one.estimate, abs=1e-12)
    assert other.pvalue == pytest.approx(one.pvalue, rel=1e-6, nan_ok=True)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-7, nan_ok=True)


def test_effect_is_treatment_minus_control():
    found = run((2, 30), (14, 30), alternative="greater")
    assert found.estimate == pytest.approx(0.4)
    assert found.pvalue < 0.001
    assert found.low > 0
    assert found.statistic > 0
    assert run((2, 30), (14, 30), alternative="less").pvalue > 0.99


def test_non_inferiority():
    """At a margin of 0.1 the null moves down, so the same data reject it more easily."""
    plain = run((30, 60), (31, 60), alternative="greater", null_effect=0.0)
    margin = run((30, 60), (31, 60), alternative="greater", null_effect=-0.1)
    assert margin.pvalue < plain.pvalue
    assert (margin.low, margin.high) == pytest.approx((plain.low, plain.high), abs=1e-7)


# The choice of methods
@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, ("exact", "exact")),
        ({"test": "score"}, ("score", "score")),
        ({"interval": "score"}, ("score", "score")),
        ({"interval": "newcombe"}, ("exact", "newcombe")),
        ({"test": "fisher"}, ("fisher", "exact")),
    ],
)
def test_autos_are_one_family(options, chosen):
    found = run((3, 12), (8, 15), **options)
    assert (found.test, found.interval) == chosen


def test_autos_change_at_600_customers():
    large = run((120, 300), (132, 301))
    assert (large.test, large.interval) == ("score", "score")
    small = compare(control=Counts(0, 300), treatment=Counts(0, 300), alternative="greater")
    assert (small.test, small.interval) == ("exact", "exact")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_every_combination_is_defined_or_says_why(alternative):
    """Warnings are errors here, so none of them warns."""
    for control, treatment in TABLES:
        known = {}
        for test, interval in itertools.product(TESTS, INTERVALS):
            if control[1] and "auto" in (test, interval):
                continue  # another name for exact here
            found = run(control, treatment, alternative=alternative, test=test, interval=interval)
            known[test, interval] = found
            undefined = [
                math.isnan(value)
                for value in (
                    found.estimate,
                    found.low,
                    found.high,
                    found.pvalue,
                    found.ratio.estimate,
                    found.ratio.low,
                    found.ratio.high,
                )
            ]
            assert any(undefined) == bool(found.reason), found
            if control[1] and treatment[1]:
                assert -1 <= found.estimate <= 1
                if not math.isnan(found.low):
                    assert -1 <= found.low <= found.high <= 1
                if not math.isnan(found.pvalue):
                    assert 0 <= found.pvalue <= 1
            else:
                assert all(undefined)
        assert not math.isnan(known["exact", "exact"].low) or not (control[1] and treatment[1])


@pytest.mark.parametrize("test", ["exact", "score", "unpooled-z"])
@pytest.mark.parametrize("null_effect", [-0.9, -0.05, 0.3])
def test_nulls_beside_zero(test, null_effect):
    for control, treatment in TABLES:
        found = run(control, treatment, null_effect=null_effect, test=test, interval="score")
        assert math.isnan(found.pvalue) or 0 <= found.pvalue <= 1


def test_empty_cohort_names_itself():
    assert run((0, 0), (1, 4)).reason == "no customers in control"
    assert run((0, 0), (0, 0)).reason == "no customers in control and treatment"


def test_undefined_ratio_keeps_its_lower_end():
    found = run((0, 20), (9, 20), test="score")
    assert math.isnan(found.ratio.estimate)
    assert found.ratio.low > 1
    assert found.reason == "no ratio: no control customer converted"


def test_wilson_published():
    """Newcombe (1998) Statistics in Medicine 17:857-872, table I."""
    for counts, published in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0000, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson(Counts(*counts)) == pytest.approx(published, abs=5.1e-5)
    assert all(math.isnan(end) for end in wilson(Counts(0, 0)))
    low, high = wilson_interval(np.array([0, 1, 3]), np.array([0, 1, 3]), 0.95)
    assert np.isnan([low[0], high[0]]).all()
    assert high[1:].tolist() == [1.0, 1.0]


# Bad input
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((5, 4), "converted is 5; it must lie between 0 and the total, 4"),
        ((-1, 4), "converted is -1; it must lie between 0 and the total, 4"),
        ((0, -1), "total is -1; it must be 0 or more"),
        ((1.5, 4), "converted is 1.5; it must be a whole number"),
        ((True, 4), "converted is True; it must be a whole number"),
    ],
)
def test_impossible_counts(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Counts(*arguments)


def test_counts_take_numpy_integers():
    counts = Counts(np.int64(3), np.int32(4))
    assert type(counts.converted) is int
    assert counts.rate == 0.75
    assert math.isnan(Counts(0, 0).rate)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alternative": "bigger"}, "unknown alternative 'bigger'"),
        ({"test": "barnard"}, "unknown test 'barnard'"),
        ({"interval": "wilson"}, "unknown interval 'wilson'"),
        ({"null_effect": 1.0}, "null_effect is 1.0; it must lie between -1 and 1"),
        ({"null_effect": math.nan}, "null_effect is nan"),
        ({"confidence_level": 95}, "confidence_level is 95; it must lie between 0 and 1"),
        ({"null_effect": 0.1, "test": "fisher"}, "test 'fisher' is for 0 only, use 'exact'"),
        ({"null_effect": 0.1, "test": "boschloo"}, "test 'boschloo' is for 0 only"),
        ({"null_effect": 0.1, "test": "pooled-z"}, "test 'pooled-z' is for 0 only"),
    ],
)
def test_options_out_of_range(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        run((3, 12), (8, 15), **options)


@pytest.mark.parametrize(
    "options", [{"test": "exact"}, {"interval": "exact"}, {"test": "boschloo"}]
)
def test_exact_has_a_limit(options):
    with pytest.raises(ValueError, match="it serves up to 2,000, use 'score'"):
        run((3, 1200), (8, 1200), **options)


def test_import_is_light():
    code = "import sys, workbench.stats.proportions; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


def test_score_interval_ends_at_the_corners():
    assert score_interval(0, 10, 10, 10, 0.95)[1] == 1.0
    assert score_interval(10, 10, 0, 10, 0.95)[0] == -1.0


TINY = 100_000_000


def exactly(x0: int, n0: int, x1: int, n1: int) -> float:
    """Return the low end of the 95 % score interval in 50 decimal digits, by bisection throughout."""
    effect = Decimal(x1) / n1 - Decimal(x0) / n0
    quantile = Decimal(NormalDist().inv_cdf(0.975)) ** 2 * (n0 + n1) / (n0 + n1 - 1)

    def slope(rate, difference):
        """Return the slope of the likelihood; a count of 0 has no part in it."""
        counts = ((x0, n0, rate), (x1, n1, rate + difference))
        gains = sum(x / at for x, _, at in counts if x)
        return gains - sum((n - x) / (1 - at) for x, n, at in counts if n != x)

    def excluded(difference):
        rate = halve(
            lambda at: slope(at, difference) > 0,
            max(Decimal(0), -difference),
            min(Decimal(1), 1 - difference),
        )
        other = rate + difference
        variance = rate * (1 - rate) / n0 + other * (1 - other) / n1
        return (effect - difference) ** 2 > quantile * variance

    return float(halve(excluded, Decimal(-1), effect))


def halve(below, low, high):
    for _ in range(160):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


@pytest.mark.parametrize(
    "sizes", [(10, 10), (100, 73), (10**6, 3 * 10**6), (10**9, 10**9), (10**14, 10**13)]
)
@pytest.mark.parametrize("counts", [(0, 5), (1, 60), (0, 0), (1, 1)])
def test_the_score_interval_keeps_its_digits_at_every_size(sizes, counts):
    (n0, n1), (x0, x1) = sizes, (min(each, 9) for each in counts)
    for table in ((x0, n0, x1, n1), (n0 - x0, n0, n1 - x1, n1)):
        with localcontext() as context:
            context.prec = 50
            turned = (*table[2:], *table[:2])
            wanted = exactly(*table), -exactly(*turned)
        assert score_interval(*table, 0.95) == pytest.approx(wanted, rel=1e-12)


@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)).flatmap(
        lambda sizes: st.tuples(*(st.tuples(st.integers(0, n), st.just(n)) for n in sizes))
    )
)
def test_the_score_interval_of_swapped_arms_is_the_same_turned_round(arms):
    one, other = arms
    low, high = score_interval(*one, *other, 0.9)
    assert score_interval(*other, *one, 0.9) == (-high, -low)
    assert low <= other[0] / other[1] - one[0] / one[1] <= high


def test_rates_below_a_trillionth_are_told_apart():
    found = compare(
        control=Counts(1, 10**14), treatment=Counts(60, 10**14), test="score", interval="score"
    )
    assert found.pvalue < 1e-10
    same = compare(control=Counts(1, 3), treatment=Counts(2, 6), test="score", interval="score")
    assert same.pvalue == 1.0


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_wilson_checks_its_level(level):
    with pytest.raises(ValueError, match="confidence_level is"):
        wilson(Counts(3, 10), level)


@pytest.mark.parametrize("odd", [1.5, "10", True])
def test_sizes_of_cohorts_are_whole_numbers(odd):
    with pytest.raises(ValueError, match="a cohort's size is a whole number"):
        sample_ratio([odd, 10])
