"""One effect over the levels of a grouping: pooled, and tested for differing between levels.

A level's customers are compared only with each other, so a grouping that tells cohorts apart cannot
feign an effect, or hide one. `mantel_haenszel` pools the levels' effects, `interaction` asks whether
they differ (before any sentence of the kind "works for"), `breslow_day` asks it of the odds ratios.

>>> levels = [(Counts(5, 25), Counts(16, 27)), (Counts(7, 26), Counts(12, 28))]
>>> pooled = mantel_haenszel(levels)
>>> print(f"{pooled.estimate:+.3f} [{pooled.low:+.3f}, {pooled.high:+.3f}] p = {pooled.pvalue:.4f}")
+0.274 [+0.089, +0.440] p = 0.0040
>>> round(interaction(levels).pvalue, 4)
0.1992

Sources: Mantel & Haenszel (1959) JNCI 22:719-748; Cochran (1954) Biometrics 10:417-451; Miettinen &
Nurminen (1985) Statistics in Medicine 4:213-226; Gart & Nam (1990) Biometrics 46:637-643; Laud (2017)
Pharmaceutical Statistics 16:334-348; Robins, Breslow & Greenland (1986) Biometrics 42:311-323;
Breslow & Day (1980) Statistical Methods in Cancer Research I; Tarone (1985) Biometrika 72:91-95.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.stats.proportions import Counts, Ratio
from workbench.stats.score import ZERO, normal_quantile, restricted_rates

Stratum = tuple[Counts, Counts]  # control, treatment
HALVINGS = 45  # bisection steps: from a width of 2 to 1e-13
SPECK = 1e-30  # keeps a quotient finite
FEW_LEVELS = "fewer than two levels have customers in both cohorts"


@dataclass(frozen=True, slots=True)
class Stratified:
    """The effect treatment - control pooled over levels, beside the crude one that ignores them.

    `pvalue` is that of the Cochran-Mantel-Haenszel test. `reversed` says that the pooled and the
    crude effect point in opposite directions. `left_out` names levels by their place in the input,
    each with the reason; `crude` is over the `used` levels too. `reason` says why something is NaN.
    """

    estimate: float
    low: float
    high: float
    pvalue: float
    statistic: float
    odds_ratio: Ratio
    crude: float
    reversed: bool
    used: tuple[int, ...]
    left_out: tuple[tuple[int, str], ...]
    confidence_level: float
    test: str
    interval: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Whether the effect differs between levels: a small `pvalue` says that it does.

    A large one does not say that it is the same: with few customers a level such a test finds large
    differences only.
    """

    statistic: float
    df: int
    pvalue: float
    test: str
    reason: str = ""


def mantel_haenszel(strata: Sequence[Stratum], confidence_level: float = 0.95) -> Stratified:
    """Pool the effect over levels by Mantel and Haenszel's weights.

    The interval inverts the stratified score test of Miettinen and Nurminen with these weights,
    which at an effect of zero is the Cochran-Mantel-Haenszel test (without continuity correction):
    pvalue <= 1 - confidence_level exactly when the interval leaves out zero. Sato's variance (1989)
    gives an interval that may contradict the test, and covers too rarely in small levels. The odds
    ratio has the interval of Robins, Breslow and Greenland.

    A level in which a cohort is empty is left out. Raises ValueError for a confidence level out of
    range.

    >>> pooled = mantel_haenszel([(Counts(5, 120), Counts(8, 106)), (Counts(16, 85), Counts(22, 98))])
    >>> round(pooled.estimate, 4), round(pooled.odds_ratio.estimate, 4), round(pooled.crude, 4)
    (0.0349, 1.4031, 0.0446)
    """
    if not 0.0 < confidence_level < 1.0:
        raise ValueError(f"confidence_level is {confidence_level}; it must lie between 0 and 1")
    used, left_out = _sorted_out(strata)
    levels = [strata[place] for place in used]
    odds_ratio, odds_reason = _odds_ratio(levels, confidence_level)
    estimate = low = high = statistic = pvalue = crude = math.nan
    reason = "no level has customers in both cohorts"
    if levels:
        reason = odds_reason
        estimate, crude = _pooled(levels), _crude(levels)
        z = normal_quantile(confidence_level)
        low = _root(lambda effect: _pooled_score(levels, effect) - z, -1.0, estimate)
        high = _root(lambda effect: _pooled_score(levels, effect) + z, estimate, 1.0)
        if any(_informative(level) for level in levels):
            statistic = _pooled_score(levels, 0.0) ** 2
            pvalue = _chi_square_tail(1, statistic)
        else:
            reason = "no test: every level is all converted or all not converted"
    return Stratified(
        estimate=estimate,
        low=low,
        high=high,
        pvalue=pvalue,
        statistic=statistic,
        odds_ratio=odds_ratio,
        crude=crude,
        reversed=estimate * crude < 0.0 and min(abs(estimate), abs(crude)) > ZERO,
        used=used,
        left_out=left_out,
        confidence_level=confidence_level,
        test="Cochran-Mantel-Haenszel",
        interval="stratified score",
        reason=reason,
    )


def interaction(strata: Sequence[Stratum]) -> Interaction:
    """Test whether the difference treatment - control is the same in every level.

    The score test: the effect that is most likely if it is common to all levels, each level's
    distance from it in its restricted standard error (with Miettinen and Nurminen's N / (N - 1)),
    squared and summed, against chi-square. At 10 to 100 customers a level its simulated error at
    alpha .05 is between 0 and .06; rates near 0 or 1 make it cautious, never bold. Weighted least
    squares and the likelihood ratio reach .10 there.

    NaN with a reason for fewer than two levels and where no level has both converted customers and
    others.

    >>> found = interaction([(Counts(10, 20), Counts(15, 20)), (Counts(10, 20), Counts(5, 20))])
    >>> print(f"{found.statistic:.2f} with {found.df} degree of freedom, p = {found.pvalue:.4f}")
    5.20 with 1 degree of freedom, p = 0.0226
    """
    name = "score test of equal differences"
    levels = [strata[place] for place in _sorted_out(strata)[0]]
    if len(levels) < 2:
        return Interaction(math.nan, 0, math.nan, name, FEW_LEVELS)
    df = len(levels) - 1
    if not any(_informative(level) for level in levels):
        reason = "every level is all converted or all not converted"
        return Interaction(math.nan, df, math.nan, name, reason)
    effects = [treatment.rate - control.rate for control, treatment in levels]
    common = _root(
        lambda effect: sum(_excess(level, effect) / _variance(level, effect) for level in levels),
        min(effects),
        max(effects),
    )
    statistic = _heterogeneity(levels, common)
    return Interaction(statistic, df, _chi_square_tail(df, statistic), name)


def breslow_day(strata: Sequence[Stratum]) -> Interaction:
    """Test whether the odds ratio is the same in every level: Breslow and Day, corrected by Tarone.

    Levels in which all customers converted, or none, say nothing of an odds ratio and do not count.
    NaN with a reason where fewer than two are left, and where the pooled odds ratio is 0 or has no
    value.

    >>> levels = [(Counts(5, 120), Counts(8, 106)), (Counts(16, 85), Counts(22, 98))]
    >>> round(breslow_day(levels).pvalue, 4)
    0.5547
    """
    name = "Breslow-Day with Tarone's correction"
    levels = [strata[place] for place in _sorted_out(strata)[0] if _informative(strata[place])]
    df = max(len(levels) - 1, 0)
    if len(levels) < 2:
        reason = (
            "fewer than two levels have converted customers and others in both cohorts together"
        )
        return Interaction(math.nan, df, math.nan, name, reason)
    numerator, denominator = (sum(parts) for parts in zip(*map(_cross, levels), strict=True))
    if not numerator or not denominator:
        return Interaction(math.nan, df, math.nan, name, "the pooled odds ratio has no value")
    parts = [_at_odds(level, numerator / denominator) for level in levels]
    plain = sum(excess**2 / variance for excess, variance in parts)
    correction = sum(excess for excess, _ in parts) ** 2 / sum(variance for _, variance in parts)
    statistic = max(plain - correction, 0.0)
    return Interaction(statistic, df, _chi_square_tail(df, statistic), name)


def _sorted_out(
    strata: Sequence[Stratum],
) -> tuple[tuple[int, ...], tuple[tuple[int, str], ...]]:
    """Give the places of the levels that can be used, and of the others with the reason."""
    left_out = {}
    for place, (control, treatment) in enumerate(strata):
        cohorts = (("control", control), ("treatment", treatment))
        empty = [name for name, counts in cohorts if not counts.total]
        if empty:
            left_out[place] = f"no customers in {' and '.join(empty)}"
    used = tuple(place for place in range(len(strata)) if place not in left_out)
    return used, tuple(left_out.items())


def _informative(level: Stratum) -> bool:
    control, treatment = level
    return 0 < control.converted + treatment.converted < control.total + treatment.total


def _weight(level: Stratum) -> float:
    control, treatment = level
    return control.total * treatment.total / (control.total + treatment.total)


def _pooled(levels: Sequence[Stratum]) -> float:
    whole = sum(_weight(level) for level in levels)
    return sum(_weight(level) * _excess(level, 0.0) for level in levels) / whole


def _crude(levels: Sequence[Stratum]) -> float:
    control, treatment = (
        Counts(sum(counts.converted for counts in cohort), sum(counts.total for counts in cohort))
        for cohort in zip(*levels, strict=True)
    )
    return treatment.rate - control.rate


def _excess(level: Stratum, effect: float) -> float:
    control, treatment = level
    return treatment.rate - control.rate - effect


def _variance(level: Stratum, effect: float) -> float:
    """Give the variance of a level's difference, at the rates most likely with this effect."""
    control, treatment = level
    n0, n1 = control.total, treatment.total
    at_control, at_treatment = (
        float(rate)
        for rate in restricted_rates(control.converted, n0, treatment.converted, n1, effect)
    )
    variance = at_control * (1.0 - at_control) / n0 + at_treatment * (1.0 - at_treatment) / n1
    return max(variance * (n0 + n1) / (n0 + n1 - 1), SPECK)


def _pooled_score(levels: Sequence[Stratum], effect: float) -> float:
    """Give the z of the pooled effect against one that is common to all levels."""
    weights = [_weight(level) for level in levels]
    excess = sum(
        weight * _excess(level, effect) for weight, level in zip(weights, levels, strict=True)
    )
    variance = sum(
        weight**2 * _variance(level, effect) for weight, level in zip(weights, levels, strict=True)
    )
    return 0.0 if abs(excess) < ZERO * sum(weights) else excess / math.sqrt(variance)


def _heterogeneity(levels: Sequence[Stratum], effect: float) -> float:
    """Sum the squared distances of the levels from a common effect, in standard errors."""
    return sum(
        excess**2 / _variance(level, effect)
        for level in levels
        if abs(excess := _excess(level, effect)) > ZERO
    )


def _cross(level: Stratum) -> tuple[float, float]:
    """Give a level's share of the two sums whose quotient is the pooled odds ratio."""
    control, treatment = level
    customers = control.total + treatment.total
    return (
        treatment.converted * (control.total - control.converted) / customers,
        control.converted * (treatment.total - treatment.converted) / customers,
    )


def _odds_ratio(levels: Sequence[Stratum], confidence_level: float) -> tuple[Ratio, str]:
    name = "Robins-Breslow-Greenland"
    crossed = [_cross(level) for level in levels]
    numerator, denominator = (sum(parts[side] for parts in crossed) for side in (0, 1))
    if not numerator or not denominator:
        estimate = 0.0 if denominator else math.nan
        reason = "the odds ratio has no interval: some cell is 0 in every level"
        return Ratio(estimate, math.nan, math.nan, name), reason
    variance = 0.0
    for (control, treatment), (up, down) in zip(levels, crossed, strict=True):
        customers = control.total + treatment.total
        along = (treatment.converted + control.total - control.converted) / customers
        variance += along * up / (2.0 * numerator**2)
        variance += (along * down + (1.0 - along) * up) / (2.0 * numerator * denominator)
        variance += (1.0 - along) * down / (2.0 * denominator**2)
    estimate = numerator / denominator
    factor = math.exp(normal_quantile(confidence_level) * math.sqrt(variance))
    return Ratio(estimate, estimate / factor, estimate * factor, name), ""


def _at_odds(level: Stratum, odds_ratio: float) -> tuple[float, float]:
    """Give treatment's converted less what the odds ratio expects of them, and the variance."""
    control, treatment = level
    n0, n1 = control.total, treatment.total
    converted = control.converted + treatment.converted
    square = 1.0 - odds_ratio
    linear = n0 - converted + odds_ratio * (n1 + converted)
    constant = -odds_ratio * n1 * converted
    root = math.sqrt(max(linear * linear - 4.0 * square * constant, 0.0))
    expected = -2.0 * constant / (linear + root)  # this form of the root keeps its digits
    cells = (expected, n1 - expected, converted - expected, n0 - converted + expected)
    variance = 1.0 / sum(1.0 / max(cell, SPECK) for cell in cells)
    return treatment.converted - expected, max(variance, SPECK)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Bisect for where a falling function crosses zero."""
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if function(middle) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _chi_square_tail(df: int, statistic: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic))
