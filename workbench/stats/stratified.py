"""One effect over the levels of a grouping: pooled, and tested for differing between levels.

Customers are only compared within their level, so a grouping whose mix differs between cohorts can
neither create an effect nor hide one. `mantel_haenszel` pools the effects of the levels,
`interaction` tests whether they differ, and `breslow_day` tests whether the odds ratios differ.

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
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.stats.arguments import check_between
from workbench.stats.proportions import Counts, Ratio, empty_cohorts
from workbench.stats.score import ZERO, bisect, normal_quantile, restricted_rates

Stratum = tuple[Counts, Counts]  # control, treatment
SPECK = 1e-30  # keeps a quotient finite
FEW_LEVELS = "fewer than two levels have customers in both cohorts"


@dataclass(frozen=True, slots=True)
class Stratified:
    """The effect treatment - control pooled over levels, and the crude effect that ignores them.

    Attributes:
        estimate: The pooled difference of rates; `low` and `high` are the ends of its interval.
        pvalue: p-value of the Cochran-Mantel-Haenszel test, with its chi-square `statistic`.
        odds_ratio: The pooled odds ratio with its interval.
        crude: The difference of rates over all `used` levels together.
        reversed: Whether the pooled and the crude effect point in opposite directions.
        used: Positions of the levels that count.
        left_out: Positions of the other levels, each with the reason.
        confidence_level: Level of both intervals.
        test: Name of the test.
        interval: Name of the interval.
        reason: Why something is NaN; empty otherwise.
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
    """A test of whether the effect differs between levels: a small `pvalue` says that it does.

    A large p-value does not say that the effects are equal: with few customers per level the test
    finds only large differences.
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
    pvalue <= 1 - confidence_level exactly when the interval excludes zero. Sato's variance (1989)
    gives an interval that may contradict the test and covers too rarely in small levels. The odds
    ratio has the interval of Robins, Breslow and Greenland.

    Args:
        strata: The counts of each level, as pairs (control, treatment). A level in which a cohort is
            empty is left out.
        confidence_level: Level of both intervals.

    Returns:
        The pooled and the crude effect; NaN with a reason where no level can be used.

    Raises:
        ValueError: `confidence_level` does not lie between 0 and 1.

    Example:
        >>> levels = [(Counts(5, 120), Counts(8, 106)), (Counts(16, 85), Counts(22, 98))]
        >>> pooled = mantel_haenszel(levels)
        >>> round(pooled.estimate, 4), round(pooled.odds_ratio.estimate, 4), round(pooled.crude, 4)
        (0.0349, 1.4031, 0.0446)
    """
    check_between("confidence_level", confidence_level)
    used, left_out = _usable(strata)
    levels = [strata[place] for place in used]
    odds_ratio, odds_reason = _odds_ratio(levels, confidence_level)
    estimate = low = high = statistic = pvalue = crude = math.nan
    reason = "no level has customers in both cohorts"
    if levels:
        reason = odds_reason
        estimate, crude = _pooled(levels), _crude(levels)
        z = normal_quantile(confidence_level)
        low = bisect(lambda effect: pooled_score(levels, effect) - z, -1.0, estimate)
        high = bisect(lambda effect: pooled_score(levels, effect) + z, estimate, 1.0)
        if any(_informative(level) for level in levels):
            statistic = pooled_score(levels, 0.0) ** 2
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

    This is the score test (Gart & Nam 1990): the most likely effect that is common to all levels,
    each level's distance from it in restricted standard errors (with Miettinen and Nurminen's
    N / (N - 1)), squared and summed, compared with chi-square. With 10 to 100 customers per level
    its simulated error at alpha .05 is between 0 and .06, where weighted least squares and the
    likelihood ratio reach .10.

    Args:
        strata: The counts of each level, as pairs (control, treatment).

    Returns:
        The test; NaN with a reason for fewer than two levels with customers in both cohorts, and
        where every level is all converted or all not converted.

    Example:
        >>> found = interaction([(Counts(10, 20), Counts(15, 20)), (Counts(10, 20), Counts(5, 20))])
        >>> print(f"{found.statistic:.2f} with {found.df} degree of freedom, p = {found.pvalue:.4f}")
        5.20 with 1 degree of freedom, p = 0.0226
    """
    name = "score test of equal differences"
    levels = [strata[place] for place in _usable(strata)[0]]
    if len(levels) < 2:
        return Interaction(math.nan, 0, math.nan, name, FEW_LEVELS)
    df = len(levels) - 1
    if not any(_informative(level) for level in levels):
        reason = "every level is all converted or all not converted"
        return Interaction(math.nan, df, math.nan, name, reason)
    effects = [treatment.rate - control.rate for control, treatment in levels]
    common = bisect(
        lambda effect: sum(_excess(level, effect) / _variance(level, effect) for level in levels),
        min(effects),
        max(effects),
    )
    statistic = _heterogeneity(levels, common)
    return Interaction(statistic, df, _chi_square_tail(df, statistic), name)


def breslow_day(strata: Sequence[Stratum]) -> Interaction:
    """Test whether the odds ratio is the same in every level: Breslow and Day, corrected by Tarone.

    Args:
        strata: The counts of each level, as pairs (control, treatment). Levels in which all or no
            customers converted have no odds ratio and do not count.

    Returns:
        The test; NaN with a reason where fewer than two levels count, and where the pooled odds
        ratio is 0 or undefined.

    Example:
        >>> levels = [(Counts(5, 120), Counts(8, 106)), (Counts(16, 85), Counts(22, 98))]
        >>> round(breslow_day(levels).pvalue, 4)
        0.5547
    """
    # Not statsmodels' StratifiedTable.test_equal_odds: it divides by zero where the pooled odds
    # ratio is 1, loses digits near it, and takes the p-value as 1 - cdf.
    name = "Breslow-Day with Tarone's correction"
    levels = [strata[place] for place in _usable(strata)[0] if _informative(strata[place])]
    df = max(len(levels) - 1, 0)
    if len(levels) < 2:
        reason = (
            "fewer than two levels have converted customers and others in both cohorts together"
        )
        return Interaction(math.nan, df, math.nan, name, reason)
    numerator, denominator = _cross_products(levels)
    if not numerator or not denominator:
        return Interaction(math.nan, df, math.nan, name, "the pooled odds ratio has no value")
    parts = [_at_odds(level, numerator / denominator) for level in levels]
    plain = sum(excess**2 / variance for excess, variance in parts)
    correction = sum(excess for excess, _ in parts) ** 2 / sum(variance for _, variance in parts)
    statistic = max(plain - correction, 0.0)
    return Interaction(statistic, df, _chi_square_tail(df, statistic), name)


def _usable(
    strata: Sequence[Stratum],
) -> tuple[tuple[int, ...], tuple[tuple[int, str], ...]]:
    """Return the positions of the levels that can be used, and of the others with the reason."""
    reasons = [empty_cohorts(*level) for level in strata]
    used = tuple(place for place, reason in enumerate(reasons) if not reason)
    return used, tuple((place, reason) for place, reason in enumerate(reasons) if reason)


def _informative(level: Stratum) -> bool:
    control, treatment = level
    return 0 < control.converted + treatment.converted < control.total + treatment.total


def weight(level: Stratum) -> float:
    """Return Mantel and Haenszel's weight of a level, whose cohorts have customers.

    >>> weight((Counts(1, 10), Counts(2, 40)))
    8.0
    """
    control, treatment = level
    return control.total * treatment.total / (control.total + treatment.total)


def _pooled(levels: Sequence[Stratum]) -> float:
    whole = sum(weight(level) for level in levels)
    return sum(weight(level) * _excess(level, 0.0) for level in levels) / whole


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
    """Return the variance of a level's difference at the rates most likely with this effect."""
    control, treatment = level
    n0, n1 = control.total, treatment.total
    at_control, at_treatment = (
        float(rate)
        for rate in restricted_rates(control.converted, n0, treatment.converted, n1, effect)
    )
    variance = at_control * (1.0 - at_control) / n0 + at_treatment * (1.0 - at_treatment) / n1
    return max(variance * (n0 + n1) / (n0 + n1 - 1), SPECK)


def pooled_score(levels: Sequence[Stratum], effect: float) -> float:
    """Return the z of the pooled effect against one that is common to all levels.

    >>> levels = [(Counts(5, 25), Counts(16, 27)), (Counts(7, 26), Counts(12, 28))]
    >>> round(pooled_score(levels, 0.0), 4)
    2.8819
    """
    weights = [weight(level) for level in levels]
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


def _cross_products(levels: Sequence[Stratum]) -> tuple[float, float]:
    """Return numerator and denominator of the pooled odds ratio."""
    numerator = denominator = 0.0
    for control, treatment in levels:
        customers = control.total + treatment.total
        numerator += treatment.converted * (control.total - control.converted) / customers
        denominator += control.converted * (treatment.total - treatment.converted) / customers
    return numerator, denominator


def _odds_ratio(levels: Sequence[Stratum], confidence_level: float) -> tuple[Ratio, str]:
    from statsmodels.stats.contingency_tables import StratifiedTable

    name = "Robins-Breslow-Greenland"
    numerator, denominator = _cross_products(levels)
    if not numerator or not denominator:
        estimate = 0.0 if denominator else math.nan
        reason = "the odds ratio has no interval: some cell is 0 in every level"
        return Ratio(estimate, math.nan, math.nan, name), reason
    tables = StratifiedTable(
        [
            [[counts.converted, counts.total - counts.converted] for counts in reversed(level)]
            for level in levels
        ]
    )
    low, high = tables.oddsratio_pooled_confint(1.0 - confidence_level)
    return Ratio(numerator / denominator, float(low), float(high), name), ""


def _at_odds(level: Stratum, odds_ratio: float) -> tuple[float, float]:
    """Return treatment's converted minus their expectation at this odds ratio, and the variance."""
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


def _chi_square_tail(df: int, statistic: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic))
