"""Many tests at once: Holm, Benjamini-Hochberg, and the discoveries of a study over the years.

Within one evaluation all p-values are known. `holm` keeps the probability of any false rejection at
alpha, whatever the dependence; `benjamini_hochberg` keeps the expected share of false rejections
among all rejections at alpha, for independent or positively dependent p-values. Across iterations
p-values arrive one after another: `discoveries` tells at any time which hypotheses stand among all
that a study will have. `saffron`, which decides each p-value when it comes, is the rule of ledgers
that were begun before.

Sources: Holm (1979) Scandinavian Journal of Statistics 6:65-70; Benjamini & Hochberg (1995) JRSS B
57:289-300; Ramdas et al. (2018) ICML 80:4286-4294, with the sequence and wealth of the R package
onlineFDR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.stats.arguments import check_between

FIRST = 0.7  # the share of alpha of a hypothesis's first version
POWER = 1.6  # of the sequence of SAFFRON
POWER_SCALE = 0.4374901657744737  # one over Riemann's zeta at 1.6: that sequence sums to 1


@dataclass(frozen=True, slots=True)
class Discovery:
    """Where a hypothesis stands: its p-value over all versions, its level, and whether it counts."""

    pvalue: float
    level: float
    found: bool


@dataclass(frozen=True, slots=True)
class StreamTest:
    """One test of a stream: its p-value, its level, and whether it is a discovery."""

    pvalue: float
    level: float
    rejected: bool


def holm(pvalues: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values by Holm's step-down method: reject those at or below alpha.

    Args:
        pvalues: One p-value per test. NaN stays NaN and does not count as a test.

    Returns:
        The adjusted p-values, in the same order.

    Raises:
        ValueError: A p-value lies outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    # Not statsmodels' multipletests: it collects garbage at each call (0.2 s in a notebook), takes a
    # second to import, and has no NaN.
    adjusted, order = _ranked(pvalues)
    least = 0.0
    for tested, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - tested) * adjusted[index]))
        adjusted[index] = least
    return tuple(adjusted)


def benjamini_hochberg(pvalues: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values by Benjamini and Hochberg's step-up method, for exploratory tables.

    Of the tests whose adjusted p-value is at most q, a share of at most q is false on average.

    Args:
        pvalues: One p-value per test. NaN stays NaN and does not count as a test.

    Returns:
        The adjusted p-values, in the same order.

    Raises:
        ValueError: A p-value lies outside [0, 1].

    Example:
        >>> [round(each, 4) for each in benjamini_hochberg([0.01, 0.04, 0.03, float("nan")])]
        [0.03, 0.04, 0.04, nan]
    """
    adjusted, order = _ranked(pvalues)
    most = 1.0
    for rank, index in reversed(list(enumerate(order, start=1))):
        most = min(most, adjusted[index] * len(order) / rank)
        adjusted[index] = most
    return tuple(adjusted)


def discoveries(
    pvalues: Sequence[Sequence[float] | float], *, hypotheses: int = 12, alpha: float = 0.05
) -> tuple[Discovery, ...]:
    """Tell which hypotheses are discoveries among all that a study has or will have.

    A hypothesis may be tried in several versions. Its p-value is the least of its versions' p_k /
    w_k, with w = .7, .15, .075, ..., which sum to 1: it is valid however often the hypothesis is tried,
    and if versions share data. Benjamini and Hochberg's method then takes the hypotheses, and counts
    those that are not tried yet as not rejected. So no later test withdraws a discovery, as long as
    there are no more than `hypotheses`.

    Args:
        pvalues: For each hypothesis the p-values of its versions, the first version's first; NaN for a
            version without one. A number is the p-value of all its versions together.
        hypotheses: How many hypotheses there are, or will be, at most; at least as many as given.
        alpha: Expected share of false discoveries.

    Returns:
        One result for each hypothesis, in the same order.

    Raises:
        ValueError: A p-value or alpha is out of range.

    Example:
        >>> first, second = discoveries([[0.3, 0.0002], [0.03]])
        >>> round(first.pvalue, 5), round(first.level, 5), first.found, second.found
        (0.00133, 0.00417, True, False)
    """
    check_between("alpha", alpha)
    combined = []
    for versions in pvalues:
        if isinstance(versions, float):
            _check_pvalues([versions])
            combined.append(versions)
            continue
        _check_pvalues(versions)
        weighed = [
            pvalue / version_share(place)
            for place, pvalue in enumerate(versions)
            if not math.isnan(pvalue)
        ]
        combined.append(min([1.0, *weighed]))
    step = alpha / max(hypotheses, len(combined), 1)
    found = []
    for place, pvalue in enumerate(combined):
        others = sorted([*combined[:place], 0.0, *combined[place + 1 :]])
        rank = max(number for number, each in enumerate(others, 1) if each <= number * step)
        found.append(Discovery(pvalue, rank * step, pvalue <= rank * step))
    return tuple(found)


def version_share(place: int) -> float:
    """Return the share of alpha that a hypothesis's version has, by its place from 0; all sum to 1.

    >>> [round(version_share(place), 4) for place in range(3)]
    [0.7, 0.15, 0.075]
    """
    return FIRST if place == 0 else (1.0 - FIRST) * 0.5**place


def saffron(
    pvalues: Sequence[float],
    *,
    alpha: float = 0.05,
    wealth: float | None = None,
    candidate: float = 0.5,
) -> tuple[StreamTest, ...]:
    """Test p-values in their order with SAFFRON, which adapts to the share of true nulls.

    Args:
        pvalues: The stream. A NaN is no test: its level is NaN and it changes nothing.
        alpha: Expected share of false discoveries.
        wealth: The level, from 0 to alpha, that can be spent before the first discovery; alpha / 2 by
            default, as in onlineFDR.
        candidate: p-values up to this one (lambda) cost nothing; those above are never rejected.

    Returns:
        One test per p-value.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> [round(each.level, 5) for each in saffron([0.0001, 0.5, 0.002])]
        [0.00547, 0.01094, 0.01094]
    """
    _check_pvalues(pvalues)
    check_between("alpha", alpha)
    wealth = alpha / 2.0 if wealth is None else wealth
    if not 0.0 <= wealth <= alpha:
        raise ValueError(f"wealth is {wealth}; it must lie between 0 and alpha, {alpha}")
    if not 0.0 < candidate < 1.0:
        raise ValueError(f"candidate is {candidate}; it must lie between 0 and 1")
    tests: list[StreamTest] = []
    ages = [1]  # since the start and since each discovery: tests that cost something, and this one
    for pvalue in pvalues:
        if math.isnan(pvalue):
            tests.append(StreamTest(math.nan, math.nan, rejected=False))
            continue
        pays = _pay(alpha, wealth, ages)
        spent = sum(pay * _share(age) for pay, age in zip(pays, ages, strict=True))
        level = min(candidate, (1.0 - candidate) * spent)
        tests.append(StreamTest(pvalue, level, pvalue <= level))
        if candidate < pvalue:
            ages = [age + 1 for age in ages]
        if tests[-1].rejected:
            ages.append(1)
    return tuple(tests)


def _pay(alpha: float, wealth: float, ages: list[int]) -> list[float]:
    """Return what may be spent for the start, for the first discovery, and for each later one."""
    return [wealth, alpha - wealth, *[alpha] * (len(ages) - 2)][: len(ages)]


def _share(age: int) -> float:
    return POWER_SCALE * math.pow(age, -POWER)


def _ranked(pvalues: Sequence[float]) -> tuple[list[float], list[int]]:
    """Return the p-values as a list, and the positions of those that are defined, smallest first."""
    _check_pvalues(pvalues)
    values = [float(pvalue) for pvalue in pvalues]
    defined = [index for index, value in enumerate(values) if not math.isnan(value)]
    return values, sorted(defined, key=values.__getitem__)


def _check_pvalues(pvalues: Sequence[float]) -> None:
    for pvalue in pvalues:
        if not (0.0 <= pvalue <= 1.0 or math.isnan(pvalue)):
            raise ValueError(f"pvalues holds {pvalue}; a p-value must lie between 0 and 1")
