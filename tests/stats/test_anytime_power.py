"""Plans for an anytime analysis, held against the plans that safestats publishes.

Published values: the vignette of safestats (CRAN, January 2022) plans 95 +- 5.04 blocks of 1 + 1, and
79 +- 4.04 of 2 + 1, to find a difference of 0.3 with power 0.8 at the least favourable rates; de
Harder (Towards Data Science, 16 November 2023) 4355 +- 180 blocks for 0.05. All at alpha 0.05, two
standard errors of their simulation of 1,000 runs beside them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.stats import power as fixed
from workbench.stats.anytime import evalues
from workbench.stats.anytime_power import (
    customers_needed,
    detectable_effect,
    expected_customers,
    power,
)


def test_the_vignettes_plan_for_equal_cohorts():
    needed = [customers_needed(control_rate=rate, effect=0.3) for rate in (0.1, 0.25, 0.35, 0.55)]
    assert abs(max(needed) - 95) <= 5.05 + 2  # and ours has an error too
    assert needed[2] == max(needed)


def test_the_vignettes_plan_for_twice_as_many_in_control():
    needed = [
        customers_needed(control_rate=rate, effect=0.3, allocation=(2, 1))
        for rate in (0.25, 0.35, 0.45)
    ]
    assert abs(max(needed) / 2 - 79) <= 4.05 + 2


def test_de_harders_plan_for_a_web_page():
    assert abs(customers_needed(control_rate=0.475, effect=0.05) - 4355) <= 181 + 90


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_power_is_the_share_of_runs_whose_evidence_ever_rejects(alternative):
    effect = -0.2 if alternative == "less" else 0.2
    random = np.random.default_rng(1)
    control = random.random((3_000, 120)) < 0.4
    treatment = random.random((3_000, 120)) < 0.4 + effect
    highest = evalues(control, treatment, alternative=alternative).max(axis=1)
    planned = power(control_rate=0.4, effect=effect, customers=120, alternative=alternative)
    assert planned == pytest.approx(np.mean(highest >= 20), abs=0.035)


def test_the_size_that_is_needed_has_the_power():
    options = {"control_rate": 0.2, "effect": 0.25, "alternative": "greater"}
    needed = customers_needed(**options, power=0.9)
    assert power(**options, customers=needed) == pytest.approx(0.9, abs=0.001)
    assert power(**options, customers=needed - 10) < 0.9
    assert needed > fixed.customers_needed(**options, power=0.9, test="score")


def test_an_effect_lets_the_study_end_sooner():
    options = {"control_rate": 0.2, "customers": 150}
    found, none = (expected_customers(effect=effect, **options) for effect in (0.3, 0.0))
    assert found < 70
    assert 140 < none <= 150
    assert power(effect=0.0, **options) <= 0.05


def test_the_detectable_effect_has_the_power():
    options = {"control_rate": 0.1, "customers": 200, "alternative": "greater"}
    found = detectable_effect(**options)
    assert power(effect=found, **options) == pytest.approx(0.8, abs=0.03)
    assert found > fixed.detectable_effect(
        control_rate=0.1,
        control_total=200,
        treatment_total=200,
        alternative="greater",
        test="score",
    )


def test_two_sided_the_nearer_direction_counts():
    assert detectable_effect(control_rate=0.9, customers=40) < 0.0
    assert detectable_effect(control_rate=0.05, customers=40) > 0.0


def test_non_inferiority_is_planned_from_its_margin():
    needed = customers_needed(
        control_rate=0.3, effect=0.0, alternative="greater", null_effect=-0.15
    )
    other = customers_needed(control_rate=0.3, effect=0.0, alternative="greater", null_effect=-0.3)
    assert other < needed < 500


def test_unequal_blocks_count_control_customers():
    options = {"control_rate": 0.2, "effect": 0.4, "alternative": "greater"}
    needed = customers_needed(**options, allocation=(3, 2))
    assert needed % 3 == 0
    assert power(**options, customers=needed, allocation=(3, 2)) >= 0.8
    assert power(**options, customers=needed + 2, allocation=(3, 2)) == power(
        **options, customers=needed, allocation=(3, 2)
    )


def test_answers_do_not_change_from_call_to_call():
    options = {"control_rate": 0.3, "effect": 0.2, "customers": 77}
    first = power(**options), expected_customers(**options)
    power(control_rate=0.5, effect=0.1, customers=50)
    assert (power(**options), expected_customers(**options)) == first


def test_nothing_to_plan_with_is_nan():
    assert math.isnan(power(control_rate=0.2, effect=0.3, customers=0))
    assert math.isnan(
        expected_customers(control_rate=0.2, effect=0.3, customers=1, allocation=(2, 1))
    )
    assert math.isnan(detectable_effect(control_rate=0.2, customers=3))
    assert math.isnan(detectable_effect(control_rate=0.2, customers=0))


@pytest.mark.parametrize(
    ("ask", "options", "words"),
    [
        (
            power,
            {"control_rate": 1.2, "effect": 0.0, "customers": 9},
            "control_rate is 1.2; it must",
        ),
        (power, {"control_rate": 0.9, "effect": 0.2, "customers": 9}, "their sum, the treatment"),
        (power, {"control_rate": 0.9, "effect": 0.0, "customers": -1}, "customers is -1; it must"),
        (
            power,
            {"control_rate": 0.9, "effect": 0.0, "customers": 200_000},
            "customers is 200000; it must lie between 0 and 100,000",
        ),
        (
            power,
            {"control_rate": 0.9, "effect": 0.0, "customers": 9, "alpha": 0},
            "alpha is 0; it must lie between 0 and 1",
        ),
        (
            customers_needed,
            {"control_rate": 0.5, "effect": 0.001},
            "effect is 0.001; more than 100,000 customers would be needed",
        ),
        (
            customers_needed,
            {"control_rate": 0.5, "effect": -0.1, "alternative": "greater"},
            "no size can find it with alternative 'greater'",
        ),
        (
            detectable_effect,
            {"control_rate": 0.5, "customers": 10, "allocation": (0, 1)},
            "it must be two whole numbers",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(ask, options, words):
    with pytest.raises(ValueError, match=words):
        ask(**options)
