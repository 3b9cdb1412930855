"""Lagged association of two series: which one moves before the other, by how much, and how sure.

The raw levels of two drifting series correlate even if the series are unrelated, so levels are shown
but never decide. Two other views of the pair decide: the differences and the prewhitened values. Each
has a p-value that is corrected for the search over all lags, and a pair counts as found only if both
are significant. An association does not show that one thing causes the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.display import signed, with_interval
from workbench.indicators.lag_curves import (
    TRANSFORMS,
    LagCurve,
    Search,
    as_series,
    lag_curve,
    pair_filter,
    periods_short,
    reason_unusable,
)
from workbench.indicators.series import Filter
from workbench.stats.multiplicity import benjamini_hochberg

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Association:
    """The association of two series over a range of lags; a lag above 0: the leading one comes first.

    `pvalue` is the larger p-value of the differences and the prewhitened values. `adjusted` is the
    Benjamini-Hochberg p-value over all pairs compared; for a single pair it equals `pvalue`.
    `periods` counts the periods in which both have a value. If these are too few, `needed` is the
    smallest number of additional periods.
    """

    leading: str
    lagging: str
    period: str
    periods: int
    needed: int
    levels: LagCurve
    differences: LagCurve
    prewhitened: LagCurve
    pvalue: float
    adjusted: float
    alpha: float
    pairs_compared: int = 1
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether both views find that the two move together at some lag."""
        return self.adjusted <= self.alpha

    @property
    def best_lag(self) -> int | None:
        """The best lag of the prewhitened values; None if it is unknown."""
        return self.prewhitened.best_lag

    @property
    def correlation(self) -> float:
        """The correlation of the prewhitened values at the best lag."""
        return self.prewhitened.correlation

    @property
    def low(self) -> float:
        """The lower end of the correlation's interval."""
        return self.prewhitened.low

    @property
    def high(self) -> float:
        """The upper end of the correlation's interval."""
        return self.prewhitened.high

    @property
    def agreed(self) -> bool:
        """Whether differences and prewhitened values have the same best lag."""
        return self.best_lag is not None and self.differences.best_lag == self.best_lag

    @property
    def warning(self) -> str:
        """A sentence on why the raw levels mislead; empty if they do not."""
        return _levels_warning(self)

    @property
    def sentence(self) -> str:
        """The lag, the correlation, the certainty and the number of periods in one sentence."""
        return _association_sentence(self)


def associate(
    leading: Array,
    lagging: Array,
    *,
    max_lag: int = 12,
    min_lag: int = 0,
    names: tuple[str, str] = ("leading", "lagging"),
    period: str = "period",
    permutations: int = 999,
    confidence_level: float = 0.95,
    alpha: float = 0.05,
    seed: int = 1,
) -> Association:
    """Test whether one series moves before another, and estimate the lag and the correlation.

    Of unrelated pairs that drift on their own, at least 95 in 100 are reported as not found (with
    `alpha` 0.05).

    Args:
        leading: One value per period, NaN where one is missing.
        lagging: One value for each of the same periods.
        max_lag: The largest lag searched, in periods; above 0 the leading series comes first.
        min_lag: The smallest lag searched; below 0 the lagging series comes first.
        names: What sentences call the two series.
        period: What sentences call a period, such as "week".
        permutations: Surrogates for the p-values, at least 19; p-values are multiples of
            1 / (permutations + 1).
        confidence_level: Of the bands and intervals.
        alpha: The pair counts as found up to this p-value.
        seed: Of surrogates and bootstrap; the same seed gives the same answer.

    Returns:
        The association, with its sentence. If the series are too short or do not vary, p-value and
        correlation are NaN and `reason` says why.

    Raises:
        ValueError: If an argument is out of range, or the two are not series of the same periods.

    Example:
        >>> from workbench.datasets.indicators import simulate_series
        >>> made = simulate_series(periods=120, lag=3, strength=0.7, seed=4)
        >>> found = associate(made.leading, made.lagging, names=("nps", "renewals"), period="month")
        >>> found.found, found.best_lag, found.differences.best_lag
        (True, 3, 3)
    """
    search = Search(max_lag, min_lag, permutations, confidence_level, seed, alpha)
    return _associate(*as_series(leading, lagging), search, names, period, {})


def associate_all(
    leading: Mapping[str, Array],
    lagging: Mapping[str, Array],
    *,
    max_lag: int = 12,
    min_lag: int = 0,
    period: str = "period",
    permutations: int = 999,
    confidence_level: float = 0.95,
    alpha: float = 0.05,
    seed: int = 1,
) -> tuple[Association, ...]:
    """Associate every leading series with every lagging series, corrected for the number of pairs.

    Args:
        leading: Leading series by name: one value per period, NaN where one is missing.
        lagging: Lagging series by name, over the same periods; a name that is in `leading` too is
            not paired with itself.
        max_lag: The largest lag searched, in periods; above 0 the leading series comes first.
        min_lag: The smallest lag searched.
        period: What sentences call a period, such as "week".
        permutations: Surrogates per pair, at least 19.
        confidence_level: Of the bands and intervals.
        alpha: The expected share of false pairs among those found (Benjamini & Hochberg 1995).
        seed: Of surrogates and bootstrap.

    Returns:
        One association per pair, by leading and then by lagging series.

    Raises:
        ValueError: If an argument is out of range, or series differ in their periods.

    Example:
        >>> from workbench.datasets.indicators import simulate_series
        >>> made = simulate_series(periods=120, lag=3, strength=0.7, seed=4)
        >>> other = simulate_series(periods=120, seed=5)
        >>> leading = {"nps": made.leading, "visits": other.leading}
        >>> found = associate_all(leading, {"renewals": made.lagging}, max_lag=6)
        >>> [(each.leading, each.found) for each in found]
        [('nps', True), ('visits', False)]
    """
    search = Search(max_lag, min_lag, permutations, confidence_level, seed, alpha)
    found = []
    for first, x in leading.items():
        known: dict[int, Filter] = {}
        found += [
            _associate(*as_series(x, y), search, (first, second), period, known)
            for second, y in lagging.items()
            if second != first
        ]
    return adjust_pvalues(found)


def adjust_pvalues(found: Sequence[Association]) -> tuple[Association, ...]:
    """Adjust p-values for the number of associations (Benjamini & Hochberg 1995)."""
    adjusted = benjamini_hochberg([each.pvalue for each in found])
    known = sum(not math.isnan(each.pvalue) for each in found)
    return tuple(
        replace(each, adjusted=float(value), pairs_compared=known)
        for each, value in zip(found, adjusted, strict=True)
    )


def _associate(
    x: Array,
    y: Array,
    search: Search,
    names: tuple[str, str],
    period: str,
    known: dict[int, Filter],
) -> Association:
    """Associate one pair; `known` keeps models of the leading series for its other pairs."""
    reason, needed = reason_unusable(x, y, search.lags, names), 0
    if reason == "too short":
        needed = periods_short(x, y, search.lags)
        reason = (
            f"too short: searching up to {count_of(int(search.lags[-1]), period)} takes at least "
            f"{needed} more, or search fewer lags"
        )
    model = None if reason else pair_filter(x, y, known)
    levels, differences, prewhitened = (
        lag_curve(x, y, transform, model, search, reason) for transform in TRANSFORMS
    )
    reason = reason or differences.reason or prewhitened.reason
    pvalue = math.nan if reason else max(differences.pvalue, prewhitened.pvalue)
    return Association(
        leading=names[0],
        lagging=names[1],
        period=period,
        periods=int((np.isfinite(x) & np.isfinite(y)).sum()),
        needed=needed,
        levels=levels,
        differences=differences,
        prewhitened=prewhitened,
        pvalue=pvalue,
        adjusted=pvalue,
        alpha=search.alpha,
        reason=reason,
    )


def count_of(number: int, period: str) -> str:
    """Write a number of periods.

    >>> count_of(3, "month"), count_of(1, "month"), count_of(0, "week")
    ('3 months', '1 month', '0 weeks')
    """
    return f"{number:,} {period}{'' if number == 1 else 's'}"


def pvalue_text(pvalue: float) -> str:
    """Write a permutation p-value: it has no more digits than there were permutations.

    >>> pvalue_text(0.0123), pvalue_text(0.0002), pvalue_text(float("nan"))
    ('0.012', '< 0.001', 'n/a')
    """
    if math.isnan(pvalue) or pvalue < display.SMALLEST_PVALUE:
        return display.pvalue(pvalue)
    return f"{pvalue:.3f}"


def pvalue_words(pvalue: float) -> str:
    """Write a p-value with its letter.

    >>> pvalue_words(0.0123), pvalue_words(0.0002)
    ('p = 0.012', 'p < 0.001')
    """
    text = pvalue_text(pvalue)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def order_words(leading: str, lagging: str, lag: int, period: str) -> str:
    """Say which of two series moves first.

    >>> order_words("nps", "churn", 3, "month"), order_words("nps", "churn", -1, "month")
    ('nps moves before churn, by 3 months', 'churn moves before nps, by 1 month')
    >>> order_words("nps", "churn", 0, "month")
    'nps and churn move in the same month, neither before the other'
    """
    if not lag:
        return f"{leading} and {lagging} move in the same {period}, neither before the other"
    first, second = (leading, lagging) if lag > 0 else (lagging, leading)
    return f"{first} moves before {second}, by {count_of(abs(lag), period)}"


def _association_sentence(found: Association) -> str:
    pair, period = f"{found.leading} and {found.lagging}", found.period
    seen, lag = found.prewhitened, found.best_lag
    if found.reason or lag is None:
        return f"{pair}: nothing can be said on {count_of(found.periods, period)}; {found.reason}."
    lags = f"{len(seen.lags)} lags" if len(seen.lags) > 1 else "one lag"
    sure = f"{pvalue_words(found.pvalue)} for the best of {lags}"
    if found.pairs_compared > 1:
        sure += f", {pvalue_text(found.adjusted)} for {found.pairs_compared} pairs together"
    on = f"on {count_of(seen.periods, period)}"
    if not found.found:
        return (
            f"No sign that {found.leading} moves before {found.lagging}: the best lag, "
            f"{count_of(lag, period)}, has a correlation of {signed(seen.correlation)} after "
            f"prewhitening {on}, which unrelated series may reach by chance ({sure})."
        )
    way = "in the same direction" if seen.correlation > 0 else "in the opposite direction"
    level = f"{100 * seen.confidence_level:g}%"
    other = found.differences
    if found.agreed:
        also = f"The differences say the same lag ({signed(other.correlation)})."
    else:
        also = (
            f"The lag is not settled: the differences say {count_of(other.best_lag or 0, period)} "
            f"({signed(other.correlation)})."
        )
    return (
        f"{order_words(found.leading, found.lagging, lag, period)} ({level} interval "
        f"{seen.lag_low} to {seen.lag_high}), {way}: correlation "
        f"{with_interval(seen.correlation, seen.low, seen.high)} after prewhitening {on}; {sure}. "
        f"{also}"
    )


def _levels_warning(found: Association) -> str:
    raw = found.levels
    if raw.best_lag is None or found.best_lag is None:
        return ""
    striking = abs(raw.correlation) > 2.0 / math.sqrt(max(raw.periods, 1))
    if not striking or (found.found and raw.best_lag == found.best_lag):
        return ""
    known = [each for each in raw.correlations if math.isfinite(each)]
    wander = "ARIMA" in found.prewhitened.model and "line" not in found.prewhitened.model
    why = "each series drifts on its own" if wander else "each series depends on its own past"
    return (
        f"The raw levels mislead: they correlate {signed(raw.correlation)} at a lag of "
        f"{count_of(raw.best_lag, found.period)} and {signed(min(known))} to {signed(max(known))} "
        f"over all lags, because {why}; unrelated series like these reach "
        f"{raw.band[raw.lags.index(raw.best_lag)]:.2f} in {100 * (1 - raw.confidence_level):.0f} of "
        "100 cases."
    )
