"""Boundaries and designs: alpha spending and recursive integration against published values.

Sources: gsDesign 3.10.1 (sfLDOF, one-sided .025), its value of the largest size for three looks and
a power of .9; rpact's documentation (asOF, three looks) and unit tests (`getDesignInverseNormal` with
linear spending at .2, .4, 1; `getAnalysisResults` of one rate with the power family, exponent 2.8);
SeqBounds.jl's manual (one-sided .05); the Pocock-type values of ldbounds for five looks; GroupSeq's
vignette on intervals; Pocock's and O'Brien & Fleming's constants (Jennison & Turnbull 2000, tables
2.1 and 2.3).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from workbench.stats.boundaries import (
    NORMAL,
    Design,
    below,
    boundaries,
    critical_values,
    drift_at,
    exits,
    root,
    spent,
    tail,
)

OBRIEN_FLEMING = {
    2: (2.9626, 1.9686),
    3: (3.7103, 2.5114, 1.9930),
    4: (4.3326, 2.9631, 2.3590, 2.0141),
    5: (4.8769, 3.3570, 2.6803, 2.2898, 2.0310),
}
POCOCK = {2: (2.157, 2.201), 5: (2.438, 2.427, 2.410, 2.397, 2.386)}
CONSTANTS = {  # looks: Pocock's, O'Brien and Fleming's; two-sided .05
    2: (2.178, 1.977),
    3: (2.289, 2.004),
    4: (2.361, 2.024),
    5: (2.413, 2.040),
    8: (2.512, 2.072),
    10: (2.555, 2.087),
}
FAMILY_TIMES = (0.2, 0.4, 0.8, 1.0)


def equally(looks):
    return tuple((look + 1) / looks for look in range(looks))


def family(alpha, looks=4):
    """Give the boundaries of Kim and DeMets's power family, as rpact's asKD."""
    levels = tuple(alpha * time**2.8 for time in FAMILY_TIMES[:looks])
    return critical_values(FAMILY_TIMES[:looks], levels, two_sided=False)


@pytest.mark.parametrize("looks", OBRIEN_FLEMING)
def test_obrien_fleming_type(looks):
    for alpha, alternative in ((0.025, "greater"), (0.025, "less"), (0.05, "two-sided")):
        found = boundaries(equally(looks), alpha=alpha, alternative=alternative)
        assert found == pytest.approx(OBRIEN_FLEMING[looks], abs=1.1e-4)


@pytest.mark.parametrize("looks", POCOCK)
def test_pocock_type(looks):
    found = boundaries(equally(looks), alpha=0.05, alternative="two-sided", spending="pocock")
    assert found == pytest.approx(POCOCK[looks], abs=6e-4)


def test_other_alpha():
    found = boundaries(equally(4), alpha=0.05)
    assert found == pytest.approx((3.74955, 2.53993, 2.01604, 1.72014), abs=5e-5)
    levels = [spent(time, alpha=0.05) for time in equally(4)]
    assert levels == pytest.approx([8.85754e-5, 0.0055746, 0.0236251, 0.05], rel=1e-5)
    assert spent(0.4, alpha=0.13) == pytest.approx(0.016665509, rel=1e-7)
    assert spent(0.75, alpha=0.13) == pytest.approx(0.080406163, rel=1e-7)


def test_pocock_spending_is_its_formula():
    for time in (0.1, 0.5, 0.9):
        expected = 0.025 * math.log(1 + (math.e - 1) * time)
        assert spent(time, alpha=0.025, spending="pocock") == pytest.approx(expected)
    assert spent(1.3, alpha=0.025) == 0.025


@pytest.mark.parametrize("looks", CONSTANTS)
def test_classical_constants(looks):
    times = equally(looks)
    pocock, obrien_fleming = CONSTANTS[looks]
    for upper in ((pocock,) * looks, tuple(obrien_fleming / math.sqrt(time) for time in times)):
        assert sum(map(sum, exits(times, upper, 0.0, two_sided=True))) == pytest.approx(
            0.05, abs=1e-4
        )


def test_linear_spending_and_its_power():
    times = (0.2, 0.4, 1.0)
    upper = critical_values(times, (0.006, 0.012, 0.03), two_sided=False)
    assert upper == pytest.approx((2.5121443, 2.4228747, 2.0280392), abs=1e-7)
    above, under = exits(times, upper, math.sqrt(9.4594101), two_sided=False)
    assert np.cumsum(above) == pytest.approx([0.12783451, 0.34055165, 0.86], abs=2e-7)
    assert not under.any()
    mean = 0.2 + 0.2 * (1 - above[0]) + 0.6 * (1 - above[0] - above[1])
    assert 1.0788327 * mean == pytest.approx(0.83081135, abs=1e-7)


def test_stagewise_inference_after_stopping():
    """4 of 10 at the first look, 9 of 20 at the second, against a rate of .75; lower is better."""
    upper = family(0.025, 2)
    second = (0.75 - 9 / 20) / math.sqrt(0.75 * 0.25 / 20)
    assert second > upper[1]
    pvalue = tail(FAMILY_TIMES[:2], upper, second, 0.0, two_sided=False)
    assert pvalue == pytest.approx(0.0011783609, abs=2e-9)
    scale = math.sqrt(0.45 * 0.55 / 20) * math.sqrt(0.4)
    rates = [
        0.75 - scale * drift_at(FAMILY_TIMES[:2], upper, second, level, two_sided=False)
        for level in (0.025, 0.5, 0.975)
    ]
    assert rates == pytest.approx([0.62661997, 0.40681825, 0.18821106], abs=5e-7)


def test_repeated_pvalues():
    """As above: the least alpha whose boundary each look reaches."""
    first = (0.75 - 4 / 10) / math.sqrt(0.75 * 0.25 / 10)
    second = (0.75 - 9 / 20) / math.sqrt(0.75 * 0.25 / 20)
    for look, value, expected in ((1, first, 0.47958473), (2, second, 0.014066714)):

        def excess(quantile, look=look, value=value):
            return value - family(below(quantile), look)[-1]

        assert below(root(excess, -1.5)) == pytest.approx(expected, abs=1e-6)


def test_interval_at_an_interim_look():
    found = [
        drift_at((1 / 3, 2 / 3), (2.2894, 2.2894), 2.5, level, two_sided=True)
        for level in (0.025, 0.975)
    ]
    assert found == pytest.approx([0.30, 5.38], abs=5e-3)


def test_a_single_look_is_the_fixed_test():
    assert boundaries((1.0,), alpha=0.025) == pytest.approx((1.959964,), abs=1e-6)
    assert drift_at((1.0,), (1.96,), 2.5, 0.025, two_sided=True) == pytest.approx(2.5 - 1.959964)
    assert tail((1.0,), (1.96,), 1.0, 0.3, two_sided=False) == pytest.approx(stats.norm.sf(0.7))


@pytest.mark.parametrize("two_sided", [True, False])
def test_integration_against_the_multivariate_normal(two_sided):
    times, drift = (0.1, 0.15, 0.5, 0.7, 1.0), 1.3
    upper = (2.2, 2.5, 1.9, 2.0, 1.8)
    covariance = [[math.sqrt(min(a, b) / max(a, b)) for a in times] for b in times]
    inside = stats.multivariate_normal.cdf(
        upper,
        [drift * math.sqrt(time) for time in times],
        covariance,
        maxpts=400_000,
        abseps=1e-6,
        lower_limit=[-value if two_sided else -math.inf for value in upper],
        rng=np.random.default_rng(1),
    )
    assert sum(map(sum, exits(times, upper, drift, two_sided=two_sided))) == pytest.approx(
        1 - inside, abs=2e-5
    )


def test_looks_close_together_need_a_finer_grid():
    """A look right after another adds next to nothing."""
    apart = exits((0.5, 1.0), (2.2, 2.1), 0.0, two_sided=False)[0].sum()
    close = exits((0.499, 0.5, 1.0), (9.0, 2.2, 2.1), 0.0, two_sided=False)[0].sum()
    assert close == pytest.approx(apart, abs=1e-6)


def test_tail_orders_outcomes_by_stage():
    times, upper = (0.4, 0.7, 1.0), (2.6, 2.3, 2.1)
    for two_sided, drift in itertools.product((True, False), (-2.0, 0.0, 3.0)):
        first = tail(times[:1], upper[:1], 2.6, drift, two_sided=two_sided)
        second = tail(times[:2], upper[:2], 6.0, drift, two_sided=two_sided)
        last = tail(times, upper, 0.0, drift, two_sided=two_sided)
        assert first <= second <= last
        at_last = [
            tail(times, upper, each, drift, two_sided=two_sided) for each in (3.0, 1.0, -1.0)
        ]
        assert at_last == sorted(at_last)
    down = tail(times[:2], upper[:2], -2.5, 0.0, two_sided=True)
    up = tail(times[:2], upper[:2], 2.5, 0.0, two_sided=True)
    assert down == pytest.approx(1 - up, abs=1e-9)


def test_inflation_and_power_of_designs():
    design = Design(3, "greater", 0.025, "obrien-fleming")
    factor = (design.drift_of_power(0.9) / design.drift_of_fixed(0.9)) ** 2
    assert factor == pytest.approx(1.01185, abs=5e-6)
    assert design.drift_of_fixed(0.9) == pytest.approx(NORMAL.inv_cdf(0.975) + NORMAL.inv_cdf(0.9))
    for chance in (0.06, 0.3, 0.8, 0.999):
        two = Design(4, "two-sided", 0.05, "pocock")
        assert two.power(two.drift_of_power(chance)) == pytest.approx(chance, abs=1e-8)
        assert two.fixed_power(two.drift_of_fixed(chance)) == pytest.approx(chance, abs=1e-8)
        assert two.as_fixed(chance) >= chance
    assert design.expected_fraction(0.0) == pytest.approx(
        (
            3
            - 2 * spent(1 / 3, alpha=0.025)
            - (spent(2 / 3, alpha=0.025) - spent(1 / 3, alpha=0.025))
        )
        / 3
    )


def test_nothing_to_spend_is_no_boundary():
    found = boundaries((1e-4, 1.0), alpha=0.05)
    assert found[0] > 30
    assert found[1] == pytest.approx(1.644854, abs=1e-6)


@pytest.mark.parametrize(
    ("fractions", "options", "sentence"),
    [
        ((), {}, "fractions is empty; give one for each look"),
        ((0.5, 0.5), {}, "each must be above the one before"),
        ((0.0, 1.0), {}, "each must be above the one before"),
        ((0.5, 1.2), {}, "fractions end at 1.2; the planned information is 1"),
        ((1.0,), {"alpha": 2}, "alpha is 2; it must lie between 0 and 1"),
        ((1.0,), {"alternative": "more"}, "alternative 'more'"),
        ((1.0,), {"spending": "haybittle"}, "spending 'haybittle'"),
    ],
)
def test_bad_input(fractions, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        boundaries(fractions, **options)


def test_bad_fraction():
    with pytest.raises(ValueError, match="fraction is 0; it must be above 0"):
        spent(0, alpha=0.05)
