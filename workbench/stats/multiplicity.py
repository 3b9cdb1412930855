"""Many tests at once, and tests in a stream: Holm, Benjamini-Hochberg, online false discovery rate.

Within one evaluation all p-values are known. `holm` keeps the probability of any false rejection at
alpha, whatever the dependence; `benjamini_hochberg` keeps the expected share of false rejections
among all rejections at alpha, for independent or positively dependent p-values. Across iterations
p-values arrive one after another, and each is decided before the next is known: `lord_plus_plus`,
`saffron` and `addis` keep the share of false discoveries at alpha over the whole stream, for p-values
that are independent where the null is true. Later p-values never change an earlier decision.

Sources: Holm (1979) Scandinavian Journal of Statistics 6:65-70; Benjamini & Hochberg (1995) JRSS B
57:289-300; Guilbaud (2008) Biometrical Journal 50:678-692; Strassburger & Bretz (2008) Statistics in
Medicine 27:4914-4927; Javanmard & Montanari (2018) Annals of Statistics 46:526-554; Ramdas et al.
(2017) NIPS 30:5650-5659; Ramdas et al. (2018) ICML 80:4286-4294; Tian & Ramdas (2019) NeurIPS
32:9388-9396. Default sequences and wealth are those of the R package onlineFDR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from workbench.stats.arguments import check_between, check_known
from workbench.stats.proportions import Alternative

LORD_SCALE = 0.07720838  # Javanmard & Montanari's sequence (equation 31) then sums to 0.98
POWER = 1.6  # of the sequence of SAFFRON and ADDIS
POWER_SCALE = 0.4374901657744737  # one over Riemann's zeta at 1.6: that sequence sums to 1


@dataclass(frozen=True, slots=True)
class StreamTest:
    """One test of a stream: its p-value, its level, and whether it is a discovery."""

    pvalue: float
    level: float
    rejected: bool


@dataclass(frozen=True, slots=True)
class HolmBound:
    """Holm's test of one hypothesis, and how to compute the interval that agrees with it.

    Attributes:
        pvalue: The adjusted p-value.
        rejected: Whether it is at most alpha.
        alternative: The alternative of this hypothesis.
        confidence_level: Level at which to compute the two-ended interval of this comparison alone,
            whose ends go into `region`; NaN where no level serves.
        note: What the interval is, for a reader.
    """

    pvalue: float
    rejected: bool
    alternative: str
    confidence_level: float
    cut: bool
    note: str

    def region(self, low: float, high: float, null_effect: float = 0.0) -> tuple[float, float]:
        """Turn the interval at `confidence_level` into the part that holds for all hypotheses.

        A one-sided hypothesis has one bound; its other end is -1 or 1. The bound of a rejected
        hypothesis never lies beyond the null, and is the null itself where another hypothesis is
        not rejected: then any two numbers may be given. In that case a rejected two-sided
        hypothesis has two NaN, since only "not the null" is known of it.

        >>> bound = holm_bounds([0.001, 0.2], alternatives=["greater", "greater"], alpha=0.05)
        >>> bound[0].region(0.08, 0.24), bound[1].region(-0.04, 0.12)
        ((0.0, 1.0), (-0.04, 1.0))
        """
        if math.isnan(self.pvalue):
            return math.nan, math.nan
        unknown = math.isnan(self.confidence_level)
        if self.alternative == "greater":
            return (null_effect if unknown else max(low, null_effect) if self.cut else low), 1.0
        if self.alternative == "less":
            return -1.0, (null_effect if unknown else min(high, null_effect) if self.cut else high)
        return (math.nan, math.nan) if unknown else (low, high)


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


def holm_bounds(
    pvalues: Sequence[float], *, alternatives: Sequence[Alternative], alpha: float = 0.05
) -> tuple[HolmBound, ...]:
    """Return Holm's adjusted p-values with the intervals that agree with them.

    The intervals are those of Guilbaud (2008) and Strassburger & Bretz (2008). Together they hold
    with probability 1 - alpha or more, and they exclude the null exactly where Holm rejects. Where
    some hypotheses are rejected and others are not, the interval of a rejected one says no more than
    that. For a one-sided hypothesis only one end is covered.

    Args:
        pvalues: One p-value per hypothesis; NaN does not count as a test.
        alternatives: The alternative of each hypothesis.
        alpha: Probability of any false rejection.

    Returns:
        One bound per hypothesis, in the same order.

    Raises:
        ValueError: A p-value or alpha is out of range, an alternative is unknown, or the lengths
            differ.

    Example:
        >>> [bound] = holm_bounds([0.01], alternatives=["greater"], alpha=0.05)
        >>> bound.pvalue, bound.confidence_level, bound.note
        (0.01, 0.9, 'the interval belongs to one hypothesis alone')
    """
    check_between("alpha", alpha)
    if len(alternatives) != len(pvalues):
        raise ValueError(
            f"alternatives has {len(alternatives)} entries for {len(pvalues)} p-values;"
            " give one for each"
        )
    for alternative in alternatives:
        check_known("alternative", alternative, get_args(Alternative))
    adjusted = holm(pvalues)
    tested = sum(not math.isnan(pvalue) for pvalue in adjusted)
    standing = sum(pvalue > alpha for pvalue in adjusted)
    return tuple(
        _bound(pvalue, alternative, alpha, tested, standing)
        for pvalue, alternative in zip(adjusted, alternatives, strict=True)
    )


def _bound(pvalue: float, alternative: str, alpha: float, tested: int, standing: int) -> HolmBound:
    rejected = pvalue <= alpha
    level, note = math.nan, "no p-value, so no interval"
    if not math.isnan(pvalue):
        sides = 1.0 if alternative == "two-sided" else 2.0
        end = {"greater": "lower end", "less": "upper end"}.get(alternative, "interval")
        if rejected and standing:
            note = f"Holm's test says of the {end} only that it leaves out the null"
            if alternative == "two-sided":
                note = (
                    "Holm's test has no interval for this hypothesis, only that the null is wrong"
                )
        else:
            level = 1.0 - sides * alpha / (standing or tested)
            note = f"the {end} holds for all {tested} hypotheses together (Holm)"
        if tested == 1:
            note = "the interval belongs to one hypothesis alone"
    return HolmBound(pvalue, rejected, alternative, level, rejected, note)


def lord_plus_plus(
    pvalues: Sequence[float], *, alpha: float = 0.05, wealth: float | None = None
) -> tuple[StreamTest, ...]:
    """Test p-values in their order with LORD++: levels based on recent discovery.

    Args:
        pvalues: The stream. A NaN is no test: its level is NaN and it changes nothing.
        alpha: Expected share of false discoveries.
        wealth: The level w0, from 0 to alpha, that can be spent before the first discovery; alpha /
            10 by default, as in onlineFDR.

    Returns:
        One test per p-value.

    Raises:
        ValueError: A p-value, alpha or wealth is out of range.

    Example:
        >>> [round(each.level, 5) for each in lord_plus_plus([0.0001, 0.5, 0.002])]
        [0.00027, 0.00247, 0.00057]
    """
    wealth = _check_stream(pvalues, alpha, wealth, alpha / 10.0)
    tests: list[StreamTest] = []
    time = 0
    discoveries: list[int] = []
    for pvalue in pvalues:
        if math.isnan(pvalue):
            tests.append(StreamTest(math.nan, math.nan, rejected=False))
            continue
        time += 1
        ages = [time, *(time - found for found in discoveries)]
        level = sum(
            pay * _lord_share(age) for pay, age in zip(_pay(alpha, wealth, ages), ages, strict=True)
        )
        tests.append(StreamTest(pvalue, level, pvalue <= level))
        if tests[-1].rejected:
            discoveries.append(time)
    return tuple(tests)


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
        wealth: As in `lord_plus_plus`; alpha / 2 by default.
        candidate: p-values up to this one (lambda) cost nothing; those above are never rejected.

    Returns:
        One test per p-value.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> [round(each.level, 5) for each in saffron([0.0001, 0.5, 0.002])]
        [0.00547, 0.01094, 0.01094]
    """
    return _adaptive(pvalues, alpha, wealth, candidate, 1.0)


def addis(
    pvalues: Sequence[float],
    *,
    alpha: float = 0.05,
    wealth: float | None = None,
    candidate: float = 0.25,
    discard: float = 0.5,
) -> tuple[StreamTest, ...]:
    """Test p-values in their order with ADDIS, which also discards conservative nulls.

    It suits exact tests of small cohorts, whose p-values under the null are far more often near 1
    than near 0.

    Args:
        pvalues: The stream. A NaN is no test: its level is NaN and it changes nothing.
        alpha: Expected share of false discoveries.
        wealth: As in `lord_plus_plus`; alpha / 2 by default.
        candidate: As in `saffron`.
        discard: p-values above this one (tau) cost nothing.

    Returns:
        One test per p-value.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> [round(each.level, 5) for each in addis([0.0001, 0.9, 0.002])]
        [0.00273, 0.00547, 0.00547]
    """
    return _adaptive(pvalues, alpha, wealth, candidate, discard)


def _adaptive(
    pvalues: Sequence[float], alpha: float, wealth: float | None, candidate: float, discard: float
) -> tuple[StreamTest, ...]:
    """Run ADDIS; with `discard` 1 it is SAFFRON (equation 7 of Ramdas et al. 2018)."""
    wealth = _check_stream(pvalues, alpha, wealth, alpha / 2.0)
    if not 0.0 < discard <= 1.0:
        raise ValueError(f"discard is {discard}; it must lie above 0 and be at most 1")
    if not 0.0 < candidate < discard:
        raise ValueError(
            f"candidate is {candidate}; it must lie between 0 and"
            f" {'1' if discard == 1.0 else f'discard, {discard}'}"
        )
    tests: list[StreamTest] = []
    ages = [1]  # since the start and since each discovery: tests that cost something, and this one
    for pvalue in pvalues:
        if math.isnan(pvalue):
            tests.append(StreamTest(math.nan, math.nan, rejected=False))
            continue
        spent = sum(
            pay * _share(age) for pay, age in zip(_pay(alpha, wealth, ages), ages, strict=True)
        )
        level = min(candidate, (discard - candidate) * spent)
        tests.append(StreamTest(pvalue, level, pvalue <= level))
        if candidate < pvalue <= discard:
            ages = [age + 1 for age in ages]
        if tests[-1].rejected:
            ages.append(1)
    return tuple(tests)


def _pay(alpha: float, wealth: float, ages: list[int]) -> list[float]:
    """Return what may be spent for the start, for the first discovery, and for each later one."""
    return [wealth, alpha - wealth, *[alpha] * (len(ages) - 2)][: len(ages)]


def _lord_share(age: int) -> float:
    return LORD_SCALE * math.log(max(age, 2)) / (age * math.exp(math.sqrt(math.log(age))))


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


def _check_stream(
    pvalues: Sequence[float], alpha: float, wealth: float | None, default: float
) -> float:
    _check_pvalues(pvalues)
    check_between("alpha", alpha)
    wealth = default if wealth is None else wealth
    if not 0.0 <= wealth <= alpha:
        raise ValueError(f"wealth is {wealth}; it must lie between 0 and alpha, {alpha}")
    return wealth
