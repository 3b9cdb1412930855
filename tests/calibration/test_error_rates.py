"""Error rates and coverage: by counting every table, and once by drawing customers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from workbench.stats.exact import binomials, rejected_from
from workbench.stats.power import power
from workbench.stats.proportions import Counts, compare
from workbench.stats.score import score_interval

RATES = np.linspace(0.01, 0.99, 50)
SIZES = [(5, 5), (4, 9), (12, 12), (10, 25), (40, 30)]


def largest_error(n0, n1, alternative, alpha, null, test):
    """Give the largest probability of a rejection when the effect is the null."""
    rates = [rate for rate in RATES if 0 <= rate + null <= 1]
    return max(
        power(
            control_rate=rate,
            effect=null,
            control_total=n0,
            treatment_total=n1,
            alternative=alternative,
            alpha=alpha,
            null_effect=null,
            test=test,
        )
        for rate in rates
    )


@pytest.mark.parametrize(("n0", "n1"), SIZES)
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_exact_never_errs_more_often_than_alpha(n0, n1, alternative):
    for alpha, null in ((0.05, 0.0), (0.01, 0.0), (0.05, -0.1)):
        assert largest_error(n0, n1, alternative, alpha, null, "auto") <= alpha


def test_exact_is_valid_for_the_whole_null_hypothesis():
    """Non-inferiority: also where the treatment is worse than the margin."""
    for effect in (-0.1, -0.15, -0.3):
        found = [
            power(
                control_rate=rate,
                effect=effect,
                control_total=20,
                treatment_total=24,
                alternative="greater",
                null_effect=-0.1,
            )
            for rate in RATES
            if rate + effect >= 0
        ]
        assert max(found) <= 0.05


def test_score_errs_about_as_often_as_alpha():
    for (n0, n1), alternative in itertools.product(SIZES[2:], ("two-sided", "greater")):
        assert largest_error(n0, n1, alternative, 0.05, 0.0, "score") <= 0.075


def coverage(n0, n1, lows, highs, control, effect):
    """Give the probability that the interval holds the true effect."""
    holds = (lows <= effect) & (effect <= highs)
    before = binomials(n0, np.array([control]))[0]
    after = binomials(n1, np.array([control + effect]))[0]
    return float(before @ holds @ after)


def exact_intervals(n0, n1, alternative):
    lows, highs = np.empty((n0 + 1, n1 + 1)), np.empty((n0 + 1, n1 + 1))
    for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
        found = compare(
            control=Counts(x0, n0),
            treatment=Counts(x1, n1),
            alternative=alternative,
            test="score",
            interval="exact",
        )
        lows[x0, x1], highs[x0, x1] = found.low, found.high
    return lows, highs


@pytest.mark.parametrize(
    ("n0", "n1", "alternative"), [(4, 4, "two-sided"), (3, 6, "two-sided"), (5, 3, "greater")]
)
def test_exact_interval_covers_at_least_as_often_as_it_says(n0, n1, alternative):
    lows, highs = exact_intervals(n0, n1, alternative)
    grid = np.linspace(0.0, 1.0, 41)
    found = [
        coverage(n0, n1, lows, highs, control, treatment - control)
        for control, treatment in itertools.product(grid, grid)
    ]
    assert min(found) >= 0.95


def test_exact_interval_covers_larger_cohorts():
    """The interval leaves out a null exactly when it is rejected: 1 - coverage is the error."""
    for effect, (n0, n1) in itertools.product((-0.3, 0.05, 0.4), ((30, 30), (25, 60))):
        assert largest_error(n0, n1, "two-sided", 0.05, effect, "exact") <= 0.05


def test_score_interval_covers_about_as_often_as_it_says():
    n0, n1 = 16, 20
    lows, highs = np.empty((n0 + 1, n1 + 1)), np.empty((n0 + 1, n1 + 1))
    for x0, x1 in itertools.product(range(n0 + 1), range(n1 + 1)):
        lows[x0, x1], highs[x0, x1] = score_interval(x0, n0, x1, n1, 0.95)
    grid = np.linspace(0.02, 0.98, 33)
    found = [
        coverage(n0, n1, lows, highs, control, treatment - control)
        for control, treatment in itertools.product(grid, grid)
    ]
    assert min(found) > 0.91
    assert np.mean(found) == pytest.approx(0.955, abs=0.01)


def test_simulated_customers():
    """Draw 20,000 pairs of cohorts; the rejected share is the power that planning gives."""
    rng = np.random.default_rng(20260105)
    n0, n1, control, effect = 60, 75, 0.3, 0.2
    least = rejected_from(n0, n1, 0.0, 0.05, two_sided=False)
    before = rng.binomial(n0, control, 20_000)
    after = rng.binomial(n1, control + effect, 20_000)
    expected = power(
        control_rate=control,
        effect=effect,
        control_total=n0,
        treatment_total=n1,
        alternative="greater",
    )
    assert np.mean(after >= least[before]) == pytest.approx(expected, abs=0.01)
    drawn = rng.binomial(n1, control, 20_000)
    assert np.mean(drawn >= least[before]) <= 0.05
