"""Two cohorts compared within strata: customers are held only against those of their own stratum.

The score statistic of Cochran, Mantel and Haenszel decides, with the interval that inverts it; where the
counts are too few for it (Mantel & Fleiss 1980, American Journal of Epidemiology 112:129-134), the exact
conditional test, with the interval that goes with that (Gart 1970, Biometrika 57:471-475).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from workbench.stats.arguments import check_between, check_known
from workbench.stats.proportions import Alternative, Comparison, Counts, Ratio
from workbench.stats.score import below
from workbench.stats.stratified import Stratum, mantel_haenszel, pooled_score, weight

ENOUGH = 5.0  # the least distance of the expected count from its extremes, for the score test
FARTHEST = 40.0  # exp(40) is an odds ratio without end
Array = npt.NDArray[Any]
SCORE, EXACT = "Cochran-Mantel-Haenszel", "conditional exact"


def compare_strata(
    strata: Sequence[Stratum],
    *,
    alternative: Alternative = "two-sided",
    confidence_level: float = 0.95,
) -> Comparison:
    """Compare the rates of control and treatment within strata.

    Args:
        strata: The counts of each stratum, as pairs (control, treatment). One in which a cohort is
            empty is left out.
        alternative: Where the effect lies if there is one.
        confidence_level: Level of the interval: 1 - alpha for a two-sided test at alpha, 1 - 2 alpha
            for a one-sided one, so that the interval excludes 0 exactly when the test rejects.

    Returns:
        The effect, pooled over the strata by Mantel and Haenszel's weights; counts are those of the
        strata that are used. NaN with a reason where there is none.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> levels = [(Counts(10, 50), Counts(20, 50)), (Counts(5, 50), Counts(9, 50))]
        >>> found = compare_strata(levels, alternative="greater", confidence_level=0.9)
        >>> print(f"{found.estimate:.2f} [{found.low:.3f}, {found.high:.3f}], p = {found.pvalue:.4f}")
        0.14 [0.046, 0.235], p = 0.0077
    """
    check_known("alternative", alternative, get_args(Alternative))
    check_between("confidence_level", confidence_level)
    pooled = mantel_haenszel(strata, confidence_level)
    levels = [strata[place] for place in pooled.used]
    low, high, pvalue = pooled.low, pooled.high, math.nan
    test, interval, reason = SCORE, pooled.interval, ""
    z = pooled_score(levels, 0.0) if levels else math.nan
    if not levels:
        reason = pooled.reason
    elif _enough(levels):
        pvalue = 2.0 * below(-abs(z)) if alternative == "two-sided" else below(-z)
        pvalue = below(z) if alternative == "less" else pvalue
    else:
        test = interval = EXACT
        conditional = _Conditional(levels)
        pvalue = conditional.pvalue(alternative)
        ends = conditional.ends((1.0 - confidence_level) / 2.0)
        # Margins that hold few events leave little room; an end that rules nothing out at 0 is no
        # closer to the estimate than the score interval's.
        low = ends[0] if ends[0] > 0.0 else min(ends[0], low)
        high = ends[1] if ends[1] < 0.0 else max(ends[1], high)
    control, treatment = (
        Counts(sum(each.converted for each in cohort), sum(each.total for each in cohort))
        for cohort in (zip(*levels, strict=True) if levels else ((), ()))
    )
    return Comparison(
        control=control,
        treatment=treatment,
        estimate=pooled.estimate,
        low=low,
        high=high,
        pvalue=pvalue,
        statistic=z,
        test=test,
        interval=interval,
        alternative=alternative,
        null_effect=0.0,
        confidence_level=confidence_level,
        ratio=Ratio(math.nan, math.nan, math.nan, "none within strata"),
        reason=reason,
    )


def _margins(level: Stratum) -> tuple[int, int, int]:
    """Return control's total, treatment's total, and how many converted in both."""
    control, treatment = level
    return control.total, treatment.total, control.converted + treatment.converted


def _enough(levels: Sequence[Stratum]) -> bool:
    """Whether treatment's expected converted are far enough from the least and the most possible."""
    expected = least = most = 0.0
    for n0, n1, converted in map(_margins, levels):
        expected += converted * n1 / (n0 + n1)
        least += max(0, converted - n0)
        most += min(converted, n1)
    return min(expected - least, most - expected) >= ENOUGH


class _Conditional:
    """The distribution of treatment's converted customers, given how many converted in each stratum.

    It depends on the strata's common odds ratio alone, whose exact ends are brought back to a
    difference of rates: the expected one, given what converted.
    """

    def __init__(self, levels: Sequence[Stratum]) -> None:
        from scipy.stats import hypergeom

        self.weights = np.array([weight(level) for level in levels])
        self.sizes = [_margins(level)[:2] for level in levels]
        self.supports, self.chances = [], []
        whole: Array = np.ones(1)
        for n0, n1, converted in map(_margins, levels):
            support = np.arange(max(0, converted - n0), min(converted, n1) + 1)
            chances = hypergeom.pmf(support, n0 + n1, converted, n1)
            self.supports.append(support)
            self.chances.append(chances)
            whole = np.convolve(whole, chances)
        self.converted = [_margins(level)[2] for level in levels]
        self.whole, self.place = whole, sum(level[1].converted for level in levels)
        self.place -= int(sum(support[0] for support in self.supports))

    def _tail(self, log_odds: float, *, upper: bool) -> float:
        """Return the chance of as many converted as observed, or more (or fewer), at an odds ratio."""
        tilted = _tilted(self.whole, log_odds)
        return float(tilted[self.place :].sum() if upper else tilted[: self.place + 1].sum())

    def pvalue(self, alternative: str) -> float:
        """Return the p-value against no effect; two-sided it is twice the smaller one."""
        up, down = self._tail(0.0, upper=True), self._tail(0.0, upper=False)
        return min(1.0, {"greater": up, "less": down}.get(alternative, 2.0 * min(up, down)))

    def ends(self, tail: float) -> tuple[float, float]:
        """Return the differences of rates that the ends of the odds ratio's interval stand for."""
        from scipy.optimize import brentq

        low, high = -math.inf, math.inf
        if self.place > 0:
            low = brentq(lambda at: self._tail(at, upper=True) - tail, -FARTHEST, FARTHEST)
        if self.place < len(self.whole) - 1:
            high = brentq(lambda at: tail - self._tail(at, upper=False), -FARTHEST, FARTHEST)
        return self._difference(low), self._difference(high)

    def _difference(self, log_odds: float) -> float:
        """Return the expected difference of rates at an odds ratio, over the strata."""
        found = []
        for support, chances, (n0, n1), converted in zip(
            self.supports, self.chances, self.sizes, self.converted, strict=True
        ):
            expected = float(_tilted(chances, log_odds) @ support)
            found.append(expected / n1 - (converted - expected) / n0)
        return float(self.weights @ np.array(found) / self.weights.sum())


def _tilted(chances: Array, log_odds: float) -> Array:
    """Return the chances of neighbouring counts at another odds ratio than 1."""
    if math.isinf(log_odds):
        found = np.zeros(len(chances))
        found[-1 if log_odds > 0 else 0] = 1.0
        return found
    with np.errstate(divide="ignore"):
        logs = np.log(chances) + log_odds * np.arange(len(chances))
    found = np.exp(logs - logs.max())
    return np.asarray(found / found.sum())
