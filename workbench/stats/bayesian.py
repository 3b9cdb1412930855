"""A second opinion beside a verdict: how likely treatment is better, and what a wrong choice costs.

Both rates have the same beta prior, so their posteriors are beta distributions too. They give the
probability that treatment is better, and the expected loss of either choice: the mean of the other
rate's lead, counted as 0 where it does not lead. No verdict rests on this, since no error rate is
controlled, least of all under repeated looks.

Sources: Thompson (1933) Biometrika 25:285-294; Miller (2014) Formulas for Bayesian A/B testing;
Stucchio (2015) Bayesian A/B testing at VWO, technical white paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from workbench.stats.arguments import check_known
from workbench.stats.proportions import Counts, empty_cohorts

Direction = Literal["greater", "less"]
LEAST_PRIOR = 0.01  # below it nearly all belief lies at rates of 0 and 1, and sums take long
WIDEST_STEP = 0.4  # of the sum over log odds; the error then is below 1e-15
STEPS_A_DEVIATION = 6
DEVIATIONS = 12.0  # beyond so many, and so far along an exponential tail, nothing is left
TAIL = 45.0
Beta = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """The probability that treatment is better, and the expected loss of either choice.

    Attributes:
        control: Counts of control.
        treatment: Counts of treatment.
        prior: Parameters of the beta prior of both rates.
        alternative: Whether a "greater" or a "less" rate is better.
        probability_better: Posterior probability that treatment is better.
        expected_loss_treatment: Expected loss of choosing treatment, as a fraction.
        expected_loss_control: Expected loss of choosing control, as a fraction.
        reason: Why the numbers are NaN; empty otherwise.
    """

    control: Counts
    treatment: Counts
    prior: tuple[float, float]
    alternative: str
    probability_better: float
    expected_loss_treatment: float
    expected_loss_control: float
    reason: str = ""


def beliefs(
    *,
    control: Counts,
    treatment: Counts,
    prior: tuple[float, float] = (1.0, 1.0),
    alternative: Direction = "greater",
) -> Beliefs:
    """Return the probability that treatment is better, and the expected loss of either choice.

    The numbers are computed by numerical integration to 12 digits, without random draws.

    Args:
        control: Counts of control.
        treatment: Counts of treatment.
        prior: Parameters of the beta prior of both rates; the default (1, 1) is flat.
        alternative: "greater" if a higher rate is better, else "less".

    Returns:
        Probability and losses; NaN with a reason where a cohort is empty, since all would come from
        the prior.

    Raises:
        ValueError: A parameter of the prior is below 0.01, or the alternative is unknown.

    Example:
        >>> found = beliefs(control=Counts(39, 98), treatment=Counts(69, 158))
        >>> round(found.probability_better, 6), round(found.expected_loss_treatment, 6)
        (0.726272, 0.010612)
    """
    check_known("alternative", alternative, get_args(Direction))
    if not all(LEAST_PRIOR <= each < math.inf for each in prior):
        raise ValueError(
            f"prior is {prior}; it must be two numbers, each {LEAST_PRIOR} or more: (1, 1) is flat"
        )
    prior = (float(prior[0]), float(prior[1]))
    if reason := empty_cohorts(control, treatment):
        nan = math.nan
        return Beliefs(control, treatment, prior, alternative, nan, nan, nan, reason)
    first, second = _posterior(control, prior), _posterior(treatment, prior)
    turned = alternative == "less"
    if first[0] + second[0] > first[1] + second[1]:  # rates near none keep digits, near one not
        first, second, turned = first[::-1], second[::-1], not turned
    above, below = _probability_above(second, first), _probability_above(first, second)
    lead, lag = _expected_lead(second, first), _expected_lead(first, second)
    if turned:
        above, lead, lag = below, lag, lead
    return Beliefs(control, treatment, prior, alternative, above, lag, lead)


def _posterior(counts: Counts, prior: Beta) -> Beta:
    return prior[0] + counts.converted, prior[1] + counts.total - counts.converted


def _probability_above(one: Beta, other: Beta) -> float:
    """Return the probability that a rate with the first distribution exceeds one with the second.

    The density of the first times the distribution function of the second is summed over equal steps
    of the log odds, where both are smooth and fall off exponentially, so the sum is nearly exact.
    """
    from scipy.special import betainc, betaln, expit, polygamma

    (up, down), (other_up, other_down) = one, other
    spread, other_spread = (
        math.sqrt(float(polygamma(1, each[0]) + polygamma(1, each[1]))) for each in (one, other)
    )
    mode = math.log(up / down)
    low, high = mode - DEVIATIONS * spread - TAIL / up, mode + DEVIATIONS * spread + TAIL / down
    step = min(spread / STEPS_A_DEVIATION, other_spread / STEPS_A_DEVIATION, WIDEST_STEP)
    odds = np.linspace(low, high, math.ceil((high - low) / step) + 1)
    logs = -up * np.logaddexp(0.0, -odds) - down * np.logaddexp(0.0, odds) - betaln(up, down)
    below = betainc(other_up, other_down, expit(odds))
    total = float(np.exp(logs) @ below) * (high - low) / (len(odds) - 1)
    return min(max(total, 0.0), 1.0)


def _expected_lead(one: Beta, other: Beta) -> float:
    """Return the mean of the first rate minus the second, counted as 0 below 0 (Stucchio 2015).

    A rate times its beta density is its mean times the density of a beta with one more converted.
    """
    mean, other_mean = one[0] / sum(one), other[0] / sum(other)
    above = mean * _probability_above((one[0] + 1.0, one[1]), other)
    return max(above - other_mean * _probability_above(one, (other[0] + 1.0, other[1])), 0.0)
