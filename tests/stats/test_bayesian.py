"""Beta-binomial beliefs: probability that treatment is better, and expected losses.

Published values, by the name used below:

- cprior: the tests of Navas-Palencia's package cprior (P[B > A] of pairs of beta distributions, and
  the expected losses of beta(40, 60) against beta(70, 90)).
- Miller: the closed form of Miller (2014), "Formulas for Bayesian A/B testing", evaluated here as it
  stands; Stucchio (2014), "Easy evaluation of decision rules in Bayesian A/B testing", builds the
  expected loss from it.
- Thompson: the symmetries of Thompson (1933) and Cook (2003).
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta

from workbench.stats.bayesian import _expected_lead, _probability_above, beliefs
from workbench.stats.proportions import Counts

CPRIOR = [  # first, second, probability that the second is above
    ((10, 50), (60, 250), 0.7088919200),
    ((600, 550), (52, 60), 0.1223144258),
    ((1000, 900), (1200, 1000), 0.8898254504),
    ((1000, 900), (1200, 800), 0.9999982656),
    ((100.1, 90.1), (100.1, 90.1), 0.5),
    ((40, 60), (70, 90), 0.7262717462),
]
parameters = st.integers(1, 80)
pairs = st.tuples(parameters, parameters)


def miller(first, second):
    """Give the probability that the second rate is above, by Miller's sum over whole numbers."""
    (a, b), (c, d) = first, second
    return sum(
        math.exp(
            betaln(a + i, b + d) - math.log(d + i) - betaln(1 + i, d) - betaln(a, b),
        )
        for i in range(c)
    )


@pytest.mark.parametrize(("first", "second", "published"), CPRIOR)
def test_probabilities_of_cprior(first, second, published):
    assert _probability_above(second, first) == pytest.approx(published, abs=1e-10)
    assert _probability_above(first, second) == pytest.approx(1.0 - published, abs=1e-10)


def test_losses_of_cprior():
    found = beliefs(control=Counts(39, 98), treatment=Counts(69, 158))
    assert found.expected_loss_control == pytest.approx(0.0481119843, abs=1e-10)
    assert found.expected_loss_treatment == pytest.approx(0.0106119843, abs=1e-10)
    assert found.probability_better == pytest.approx(0.7262717462, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(pairs, pairs)
def test_sum_is_the_closed_form_of_miller(first, second):
    assert _probability_above(second, first) == pytest.approx(miller(first, second), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(pairs, pairs)
def test_symmetries_of_thompson_and_cook(first, second):
    (a, b), (c, d) = first, second
    above = _probability_above(first, second)
    assert _probability_above(second, first) == pytest.approx(1.0 - above, abs=1e-11)
    assert _probability_above((d, c), (b, a)) == pytest.approx(above, abs=1e-11)
    assert _probability_above((d, b), (c, a)) == pytest.approx(above, abs=1e-11)


@pytest.mark.parametrize("prior", [(1, 1), (0.5, 0.5), (0.01, 0.02), (4, 36)])
@pytest.mark.parametrize("counts", [((0, 10), (3, 12)), ((48, 80), (56, 70)), ((0, 5), (5, 5))])
def test_losses_by_direct_integration(prior, counts):
    control, treatment = (Counts(*each) for each in counts)
    found = beliefs(control=control, treatment=treatment, prior=prior)
    first, second = (
        (prior[0] + each.converted, prior[1] + each.total - each.converted)
        for each in (control, treatment)
    )

    def lead(one, other):
        """The mean of a positive part is the integral of both sides of each rate."""
        return quad(
            lambda rate: beta.sf(rate, *one) * beta.cdf(rate, *other),
            0.0,
            1.0,
            points=[1e-6, 1e-3, 1 - 1e-3, 1 - 1e-6],
            limit=400,
        )[0]

    assert found.expected_loss_control == pytest.approx(lead(second, first), abs=1e-8)
    assert found.expected_loss_treatment == pytest.approx(lead(first, second), abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(pairs, pairs)
def test_losses_differ_by_the_means(first, second):
    gain = second[0] / sum(second) - first[0] / sum(first)
    leads = _expected_lead(second, first), _expected_lead(first, second)
    assert leads[0] - leads[1] == pytest.approx(gain, abs=1e-11)
    assert min(leads) >= 0.0


def test_less_is_better_turns_everything_round():
    more = beliefs(control=Counts(20, 60), treatment=Counts(33, 60))
    less = beliefs(control=Counts(20, 60), treatment=Counts(33, 60), alternative="less")
    assert less.probability_better == pytest.approx(1.0 - more.probability_better)
    assert less.expected_loss_treatment == more.expected_loss_control
    assert less.expected_loss_control == more.expected_loss_treatment


def test_large_and_unequal_cohorts():
    """Control beta(1, 11) lies above 0.4, where treatment all but is, with probability 0.6^11."""
    found = beliefs(control=Counts(0, 10), treatment=Counts(4_000_000, 10_000_000))
    assert found.probability_better == pytest.approx(1.0 - 0.6**11, abs=1e-6)
    huge = beliefs(control=Counts(400_000, 1_000_000), treatment=Counts(410_000, 1_000_000))
    assert huge.probability_better == pytest.approx(1.0)
    assert huge.expected_loss_treatment == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        ((0, 0), (3, 9), "no customers in control"),
        ((0, 0), (0, 0), "no customers in control and treatment"),
    ],
)
def test_no_data_no_opinion(control, treatment, reason):
    found = beliefs(control=Counts(*control), treatment=Counts(*treatment))
    assert found.reason == reason
    for value in (
        found.probability_better,
        found.expected_loss_control,
        found.expected_loss_treatment,
    ):
        assert math.isnan(value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"prior": (0, 1)},
            "prior is (0, 1); it must be two numbers, each 0.01 or more: (1, 1) is flat",
        ),
        ({"alternative": "two-sided"}, "unknown alternative 'two-sided'; known: greater, less"),
    ],
)
def test_errors_say_the_way_out(options, words):
    with pytest.raises(ValueError) as caught:
        beliefs(control=Counts(1, 2), treatment=Counts(1, 2), **options)
    assert str(caught.value) == words


@pytest.mark.parametrize("n", [1_000, 10**9])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_rates_near_one_are_those_near_none_turned(n, alternative):
    failed = beliefs(control=Counts(2, n), treatment=Counts(5, n), alternative=alternative)
    done = beliefs(
        control=Counts(n - 2, n),
        treatment=Counts(n - 5, n),
        alternative="less" if alternative == "greater" else "greater",
    )
    for name in ("probability_better", "expected_loss_treatment", "expected_loss_control"):
        assert getattr(done, name) == pytest.approx(getattr(failed, name), rel=1e-12)
