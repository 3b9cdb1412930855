"""The odds that an idea is true, after people said yes or no to it; they never make a verdict.

An answer counts by how much more often people say yes where an idea is true than where it is false
(Bayes' rule). The rates are stated, and estimated again once enough ideas were tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from workbench.stats.arguments import check_between

CAP = math.log(4)  # the most that all answers of one method may tell, as log-odds
FEWEST_TRIED = 10  # ideas with a verdict, from which on rates are estimated again
STATED_ANSWERS = 10  # how many answers a stated rate stands for in an estimate
TENTH, PARTS = 0.1, (2, 3, 4, 5, 10)


class Answers(NamedTuple):
    """How many of those asked said yes, and how much each answer counts, at most 1."""

    supports: int
    of: int
    weight: float = 1.0


class YesRates(NamedTuple):
    """How often people say yes where an idea is true, and where it is false."""

    if_true: float
    if_false: float


def prior_chance(supported: int, tried: int) -> float:
    """Return how likely the next idea is true: (supported + 1) / (tried + 3).

    So it is one in three before any idea was tried.

    >>> prior_chance(0, 0), prior_chance(3, 12)
    (0.3333333333333333, 0.26666666666666666)
    """
    return (supported + 1) / (tried + 3)


def log_evidence(answers: Iterable[Answers], rates: YesRates) -> float:
    """Return by how much the answers of one method change the log-odds of an idea.

    It is the sum of w (s log(q1 / q0) + (n - s) log((1 - q1) / (1 - q0))), at most log 4 either way.
    Rates of which q1 is not above q0 tell nothing.

    Args:
        answers: s of n said yes, each with its weight w.
        rates: q1 where the idea is true, q0 where it is false; between 0 and 1.

    >>> round(log_evidence([Answers(4, 5)], YesRates(0.7, 0.5)), 4)  # 4 log 1.4 + log 0.6
    0.8351
    >>> log_evidence([Answers(20, 20)], YesRates(0.7, 0.5)) == math.log(4)
    True
    """
    for name, rate in zip(("q1", "q0"), rates, strict=True):
        check_between(name, rate)
    true, false = rates
    if true <= false:
        return 0.0
    yes, no = math.log(true / false), math.log((1 - true) / (1 - false))
    told = sum(
        each.weight * (each.supports * yes + (each.of - each.supports) * no) for each in answers
    )
    return min(max(told, -CAP), CAP)


def chance_after(prior: float, evidence: float) -> float:
    """Return how likely an idea is true after evidence, as a change of its log-odds.

    >>> round(chance_after(1 / 3, math.log(4)), 4)
    0.6667
    """
    check_between("prior", prior)
    odds = prior / (1 - prior) * math.exp(evidence)
    return odds / (1 + odds)


def estimated_rate(stated: float, yes: int, of: int) -> float:
    """Return a rate of yes from answers, with the stated one as ten answers more.

    >>> estimated_rate(0.5, 9, 10)
    0.7
    """
    return (yes + STATED_ANSWERS * stated) / (of + STATED_ANSWERS)


def in_words(chance: float) -> str:
    """Return a chance as "2 in 5": the nearest number of halves, thirds, quarters, fifths or tenths.

    Below a tenth it is 1 in so many, and above nine tenths all but one.

    >>> in_words(1 / 3), in_words(0.41), in_words(0.02), in_words(0.98)
    ('1 in 3', '2 in 5', '1 in 50', '49 in 50')
    """
    from fractions import Fraction

    rare = min(chance, 1 - chance)
    if rare < TENTH:
        many = round(1 / max(rare, 1e-9))
        return f"{1 if chance < TENTH else many - 1:,} in {many:,}"
    parts = [Fraction(round(chance * parts), parts) for parts in PARTS]
    near = min(parts, key=lambda each: abs(each - chance))
    return f"{near.numerator} in {near.denominator}"
