"""Many tests at once, and tests in a stream: Holm, Benjamini-Hochberg, online false discovery rate.

Within one evaluation the p-values are all there: `holm` keeps the chance of any false rejection at
alpha, whatever the dependence; `benjamini_hochberg` keeps the expected share of false ones among
the rejections there, for independent or positively dependent p-values. Across iterations they come
one after another and each is decided before the next is known: `lord_plus_plus`, `saffron` and
`addis` keep that share at alpha over the whole stream, for p-values independent of each other where
the null is true. What comes later never changes an earlier decision.

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
from typing import Literal, get_args

from workbench.errors import unknown_name

Alternative = Literal["two-sided", "greater", "less"]
LORD_SCALE = 0.07720838  # Javanmard & Montanari's sequence (equation 31) then sums to 0.98
POWER = 1.6  # of the sequence of SAFFRON and ADDIS
POWER_SCALE = 0.4374901657744737  # one over Riemann's zeta at 1.6: that sequence sums to 1


@dataclass(frozen=True, slots=True)
class Decision:
    """One test of a stream: its p-value, its level at that time, and whether it is a discovery."""

    pvalue: float
    level: float
    rejected: bool


@dataclass(frozen=True, slots=True)
class HolmBound:
    """What Holm's test says of one hypothesis, and how to make the interval that goes with it.

    `pvalue` is adjusted: `rejected` is pvalue <= alpha. `confidence_level` is the level at which
    the two-ended interval of this comparison alone is to be computed; `region` then turns its ends
    into those that hold for all hypotheses together. It is NaN where no level serves, and `note`
    says for a reader what the interval is.
    """

    pvalue: float
    rejected: bool
    alternative: str
    confidence_level: float
    cut: bool
    note: str

    def region(self, low: float, high: float, null_effect: float = 0.0) -> tuple[float, float]:
        """Turn the interval at `confidence_level` into the part that holds for all hypotheses.

        A one-sided hypothesis has one bound; its other end is -1 or 1, which says nothing. A
        rejected one's bound is never beyond the null, and is the null itself where another
        hypothesis is not rejected: any two numbers may then be given. Two NaN for a rejected
        two-sided hypothesis in that case, of which only "not the null" is known.

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

    NaN stays NaN and does not count as a test.

    Raises ValueError for a p-value outside [0, 1].

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted, order = _ranked(pvalues)
    least = 0.0
    for tested, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - tested) * adjusted[index]))
        adjusted[index] = least
    return tuple(adjusted)


def benjamini_hochberg(pvalues: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values by Benjamini and Hochberg's step-up method: for exploratory tables.

    Those at or below q, taken as discoveries, are false in at most a share of q on average. NaN
    stays NaN and does not count as a test.

    Raises ValueError for a p-value outside [0, 1].

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
    """Give for each hypothesis its adjusted p-value and the interval that agrees with Holm's test.

    The intervals of Guilbaud (2008), for one-sided bounds also of Strassburger & Bretz (2008). They
    hold together with probability 1 - alpha or more, and leave out the null exactly where Holm
    rejects. The price is known: where some hypotheses are rejected and others not, a rejected one's
    interval says no more than the rejection. Of a one-sided hypothesis only one end is covered.

    Raises ValueError for p-values or alpha out of range, unknown alternatives, and two lengths.

    >>> [bound] = holm_bounds([0.01], alternatives=["greater"], alpha=0.05)
    >>> bound.pvalue, bound.confidence_level, bound.note
    (0.01, 0.9, 'the interval belongs to one hypothesis alone')
    """
    _check_alpha(alpha)
    if len(alternatives) != len(pvalues):
        raise ValueError(
            f"alternatives has {len(alternatives)} entries for {len(pvalues)} p-values;"
            " give one for each"
        )
    for alternative in alternatives:
        if alternative not in get_args(Alternative):
            raise ValueError(unknown_name("alternative", alternative, get_args(Alternative)))
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
) -> tuple[Decision, ...]:
    """Decide on p-values in their order with LORD++: levels based on recent discovery.

    `wealth` is w0, from 0 to alpha: what is there to spend before the first discovery, alpha / 10
    by default. A NaN is no test: its level is NaN and it changes nothing.

    Raises ValueError for p-values, alpha or wealth out of range.

    >>> [round(each.level, 5) for each in lord_plus_plus([0.0001, 0.5, 0.002])]
    [0.00027, 0.00247, 0.00057]
    """
    wealth = _check_stream(pvalues, alpha, wealth, alpha / 10.0)
    decisions: list[Decision] = []
    time = 0
    discoveries: list[int] = []
    for pvalue in pvalues:
        if math.isnan(pvalue):
            decisions.append(Decision(math.nan, math.nan, rejected=False))
            continue
        time += 1
        ages = [time, *(time - found for found in discoveries)]
        level = sum(
            pay * _lord_share(age) for pay, age in zip(_pay(alpha, wealth, ages), ages, strict=True)
        )
        decisions.append(Decision(pvalue, level, pvalue <= level))
        if decisions[-1].rejected:
            discoveries.append(time)
    return tuple(decisions)


def saffron(
    pvalues: Sequence[float],
    *,
    alpha: float = 0.05,
    wealth: float | None = None,
    candidate: float = 0.5,
) -> tuple[Decision, ...]:
    """Decide on p-values in their order with SAFFRON: adaptive to how many nulls are true.

    `wealth` is w0, alpha / 2 by default. p-values up to `candidate` (lambda) cost nothing; none
    above it is ever rejected. A NaN is no test: its level is NaN and it changes nothing.

    Raises ValueError for arguments out of range.

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
) -> tuple[Decision, ...]:
    """Decide on p-values in their order with ADDIS: adaptive, and discards conservative nulls.

    As SAFFRON, but p-values above `discard` (tau) take no part: they cost nothing. That is what
    exact tests of small cohorts need, whose p-values under the null are far more often near 1
    than near 0. For nulls whose p-values are uniform or conservative in Tian and Ramdas's sense.
    `wealth` is w0, alpha / 2 by default.

    Raises ValueError for arguments out of range.

    >>> [round(each.level, 5) for each in addis([0.0001, 0.9, 0.002])]
    [0.00273, 0.00547, 0.00547]
    """
    return _adaptive(pvalues, alpha, wealth, candidate, discard)


def _adaptive(
    pvalues: Sequence[float], alpha: float, wealth: float | None, candidate: float, discard: float
) -> tuple[Decision, ...]:
    """Run ADDIS; with `discard` 1 it is SAFFRON (equation 7 of Ramdas et al. 2018)."""
    wealth = _check_stream(pvalues, alpha, wealth, alpha / 2.0)
    if not 0.0 < discard <= 1.0:
        raise ValueError(f"discard is {discard}; it must lie above 0 and be at most 1")
    if not 0.0 < candidate < discard:
        raise ValueError(
            f"candidate is {candidate}; it must lie between 0 and"
            f" {'1' if discard == 1.0 else f'discard, {discard}'}"
        )
    decisions: list[Decision] = []
    ages = [1]  # since the start and since each discovery: tests that cost something, and this one
    for pvalue in pvalues:
        if math.isnan(pvalue):
            decisions.append(Decision(math.nan, math.nan, rejected=False))
            continue
        spent = sum(
            pay * _share(age) for pay, age in zip(_pay(alpha, wealth, ages), ages, strict=True)
        )
        level = min(candidate, (discard - candidate) * spent)
        decisions.append(Decision(pvalue, level, pvalue <= level))
        if candidate < pvalue <= discard:
            ages = [age + 1 for age in ages]
        if decisions[-1].rejected:
            ages.append(1)
    return tuple(decisions)


def _pay(alpha: float, wealth: float, ages: list[int]) -> list[float]:
    """Give what is spent on behalf of the start, of the first discovery, and of each later one."""
    return [wealth, alpha - wealth, *[alpha] * (len(ages) - 2)][: len(ages)]


def _lord_share(age: int) -> float:
    return LORD_SCALE * math.log(max(age, 2)) / (age * math.exp(math.sqrt(math.log(age))))


def _share(age: int) -> float:
    return POWER_SCALE * math.pow(age, -POWER)


def _ranked(pvalues: Sequence[float]) -> tuple[list[float], list[int]]:
    """Give the p-values as a list, and the places of those that are defined, smallest first."""
    _check_pvalues(pvalues)
    values = [float(pvalue) for pvalue in pvalues]
    defined = [index for index, value in enumerate(values) if not math.isnan(value)]
    return values, sorted(defined, key=values.__getitem__)


def _check_pvalues(pvalues: Sequence[float]) -> None:
    for pvalue in pvalues:
        if not (0.0 <= pvalue <= 1.0 or math.isnan(pvalue)):
            raise ValueError(f"pvalues holds {pvalue}; a p-value must lie between 0 and 1")


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")


def _check_stream(
    pvalues: Sequence[float], alpha: float, wealth: float | None, default: float
) -> float:
    _check_pvalues(pvalues)
    _check_alpha(alpha)
    wealth = default if wealth is None else wealth
    if not 0.0 <= wealth <= alpha:
        raise ValueError(f"wealth is {wealth}; it must lie between 0 and alpha, {alpha}")
    return wealth
