"""E-values of blocks: 1 on average or less under every null, whatever is enumerated or projected.

Held against numerical projections, against every possible outcome of a few blocks, and against the
step-by-step algorithm of Turner, Ly & Grünwald (2024), JSPI 230:106116, section 3.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import optimize

from workbench.anytime import evalues
from workbench.evidence import (
    Evidence,
    converted_in_blocks,
    log_factors,
    log_path,
    predictions,
)
from workbench.score import restricted_rates

RATES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.97, 1.0)
NULLS = (-0.6, -0.2, -0.05, 0.0, 0.1, 0.5)


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
    predicted = predictions(control, treatment, (1, 1))
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
