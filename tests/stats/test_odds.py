"""The odds of an idea after findings: by hand, by the formula's limits, and over simulated interviews."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.schema.learning import STATED
from workbench.stats.odds import (
    CAP,
    Answers,
    YesRates,
    chance_after,
    estimated_rate,
    in_words,
    log_evidence,
    prior_chance,
)

INTERVIEW = YesRates(0.7, 0.5)


def test_four_of_five_by_hand():
    """Odds of 1 to 2, times (.7 / .5)^4 (.3 / .5) = 2.30496, are 2.30496 to 2."""
    told = log_evidence([Answers(4, 5)], INTERVIEW)
    assert math.exp(told) == pytest.approx(1.4**4 * 0.6)
    assert chance_after(1 / 3, told) == pytest.approx(2.30496 / 4.30496)


def test_a_no_counts_against_and_half_a_weight_half_as_much():
    whole = log_evidence([Answers(1, 4)], INTERVIEW)
    assert whole == pytest.approx(math.log(1.4) + 3 * math.log(0.6))
    assert log_evidence([Answers(1, 4, 0.5)], INTERVIEW) == pytest.approx(whole / 2)
    both = log_evidence([Answers(1, 4, 0.5), Answers(1, 4, 0.5)], INTERVIEW)
    assert both == pytest.approx(whole)


@pytest.mark.parametrize(("supports", "told"), [(30, CAP), (0, -CAP)])
def test_a_method_tells_no_more_than_odds_of_four(supports, told):
    assert log_evidence([Answers(supports, 30)], INTERVIEW) == told


def test_rates_that_turned_around_tell_nothing():
    assert log_evidence([Answers(9, 9)], YesRates(0.4, 0.5)) == 0


@pytest.mark.parametrize("rates", [(1.0, 0.5), (0.7, 0.0)])
def test_a_rate_of_none_or_all_is_refused(rates):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        log_evidence([Answers(1, 2)], YesRates(*rates))


def test_the_prior_moves_with_what_was_tried():
    assert prior_chance(0, 0) == pytest.approx(1 / 3)
    assert prior_chance(4, 12) == pytest.approx(5 / 15)
    assert prior_chance(0, 12) == pytest.approx(1 / 15)


def test_an_estimate_starts_from_ten_answers_at_the_stated_rate():
    assert estimated_rate(0.7, 0, 0) == 0.7
    assert estimated_rate(0.7, 3, 30) == pytest.approx(10 / 40)


def test_chances_in_words():
    words = [in_words(each) for each in (1 / 3, 0.4, 0.535, 0.1, 0.05, 0.96, 1e-4)]
    assert words == ["1 in 3", "2 in 5", "1 in 2", "1 in 10", "1 in 20", "24 in 25", "1 in 10,000"]


def test_twenty_interviews_lower_a_false_idea_and_raise_a_true_one():
    """From .30: to about .20, and to about .53, at the stated rates of interviews."""
    rates = YesRates(STATED["interview"]["yes_if_true"], STATED["interview"]["yes_if_false"])
    random = np.random.default_rng(1905)
    for rate, expected in ((rates.if_false, 0.20), (rates.if_true, 0.53)):
        said = random.binomial(20, rate, 4_000)
        after = [chance_after(0.3, log_evidence([Answers(int(s), 20)], rates)) for s in said]
        assert np.mean(after) == pytest.approx(expected, abs=0.025)
