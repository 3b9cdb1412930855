"""A second opinion beside a verdict: how likely treatment is better, and what a wrong choice costs.

Both rates have the same beta prior; the counts make it a beta posterior each. From these two follow
the probability that treatment is better and, for either choice, the loss to be expected: the other
rate's lead, where it leads, averaged over the posterior. It decides nothing: no error rate is kept,
least of all when one looks again and again.

Sources: Thompson (1933) Biometrika 25:285-294; Miller (2014) Formulas for Bayesian A/B testing;
Stucchio (2015) Bayesian A/B testing at VWO, technical white paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from workbench.errors import unknown_name
from workbench.stats.proportions import Counts

Direction = Literal["greater", "less"]
LEAST_PRIOR = 0.01  # below it nearly all belief lies at rates of 0 and 1, and sums take long
WIDEST_STEP = 0.4  # of the sum over log odds; the error then is below 1e-15
STEPS_A_DEVIATION = 6
DEVIATIONS = 12.0  # beyond so many, and so far along an exponential tail, nothing is left
TAIL = 45.0
Beta = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """How likely treatment is better, and the loss in rate to be expected from either choice.

    `alternative` says what better is: "greater", a higher rate, or "less". The losses are fractions.
    `reason` says why the numbers are NaN.
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
    """Give the probability that treatment is better, and the expected loss of either choice.

    `prior` holds the two parameters of the beta prior of both rates: (1, 1) takes every rate for
    equally likely beforehand. Computed by a sum that is right to 12 digits, without random numbers.
    NaN with a reason where a cohort is empty: all would come from the prior.

    Raises ValueError for a prior with a parameter below 0.01 and an unknown alternative.

    >>> found = beliefs(control=Counts(39, 98), treatment=Counts(69, 158))
    >>> round(found.probability_better, 6), round(found.expected_loss_treatment, 6)
    (0.726272, 0.010612)
    """
    if alternative not in get_args(Direction):
        raise ValueError(unknown_name("alternative", alternative, get_args(Direction)))
    if not all(LEAST_PRIOR <= each < math.inf for each in prior):
        raise ValueError(
            f"prior is {prior}; it must be two numbers, each {LEAST_PRIOR} or more: (1, 1) is flat"
        )
    prior = (float(prior[0]), float(prior[1]))
    cohorts = (("control", control), ("treatment", treatment))
    empty = [name for name, counts in cohorts if not counts.total]
    if empty:
        reason = f"no customers in {' and '.join(empty)}"
        nan = math.nan
        return Beliefs(control, treatment, prior, alternative, nan, nan, nan, reason)
    first, second = _posterior(control, prior), _posterior(treatment, prior)
    above, below = _probability_above(second, first), _probability_above(first, second)
    lead, lag = _expected_lead(second, first), _expected_lead(first, second)
    if alternative == "less":
        above, lead, lag = below, lag, lead
    return Beliefs(control, treatment, prior, alternative, above, lag, lead)


def _posterior(counts: Counts, prior: Beta) -> Beta:
    return prior[0] + counts.converted, prior[1] + counts.total - counts.converted


def _probability_above(one: Beta, other: Beta) -> float:
    """Give the probability that a rate with the first distribution lies above one with the second.

    The density of the first times the share of the second below, summed over equal steps in log
    odds: there both are smooth and fall off exponentially, so that such a sum is all but exact.
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
    """Give the mean of the first rate less the second where that is positive (Stucchio 2015).

    A rate times its beta density is its mean times the density of a beta with one more converted.
    """
    mean, other_mean = one[0] / sum(one), other[0] / sum(other)
    above = mean * _probability_above((one[0] + 1.0, one[1]), other)
    return max(above - other_mean * _probability_above(one, (other[0] + 1.0, other[1])), 0.0)
