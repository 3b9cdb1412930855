"""Lagged association of two series: which one moves before the other, how long, and how sure.

The raw levels of two series that drift correlate whatever they have to do with each other, so they
are shown and never decide. What decides are two views of the same pair, the differences and the
prewhitened values, each with a p-value for the best of all lags: a pair counts as found only where
both views find it. Nothing here says that one thing causes another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.indicators.lag_curves import (
    LagCurve,
    Search,
    curve,
    filter_of,
    series_of,
    shortage,
    unfit,
)
from workbench.indicators.series import Filter
from workbench.stats.multiplicity import benjamini_hochberg

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Association:
    """What two series have to do with each other over a range of lags; lag > 0: leading first.

    `pvalue` is the larger of those of the differences and the prewhitened values; `adjusted` is
    Benjamini and Hochberg's over all pairs compared, and `pvalue` itself for a pair alone.
    `periods` counts those where both have a value; `needed` is how many more it takes at least,
    where that is too short.
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
        """Whether the two move together at some lag: both views say so."""
        return self.adjusted <= self.alpha

    @property
    def best_lag(self) -> int | None:
        """The best lag of the prewhitened values; None where nothing can be said."""
        return self.prewhitened.best_lag

    @property
    def correlation(self) -> float:
        """The strength: the correlation of the prewhitened values at the best lag."""
        return self.prewhitened.correlation

    @property
    def low(self) -> float:
        """The lower end of the strength's interval."""
        return self.prewhitened.low

    @property
    def high(self) -> float:
        """The upper end of the strength's interval."""
        return self.prewhitened.high

    @property
    def agreed(self) -> bool:
        """Whether the differences put the best lag where the prewhitened values do."""
        return self.best_lag is not None and self.differences.best_lag == self.best_lag

    @property
    def warning(self) -> str:
        """Why the raw levels mislead, in a sentence; empty where they do not."""
        return _warning(self)

    @property
    def sentence(self) -> str:
        """What a reader needs: the lag, the strength, how sure, on how many periods."""
        return _sentence(self)


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
    """Say whether one series moves before another: at which lag, how strongly, how sure.

    Of pairs that wander on their own, at least 95 in 100 are reported as nothing (with `alpha` 0.05).

    Args:
        leading: The leading series: one value per period, NaN where one is missing.
        lagging: The lagging series, over the same periods.
        max_lag: The longest lag that is searched, in periods.
        min_lag: The shortest lag that is searched; above 0 the leading series comes first.
        names: What sentences call the two series.
        period: What sentences call a period, such as "month".
        permutations: The number of random series that the pair is compared with.
        confidence_level: The level of the intervals.
        alpha: The p-value up to which a pair counts as found.
        seed: The seed of the random series.

    Returns:
        The association: the best lag, its strength with an interval, p-value and sentence.

    Raises:
        ValueError: An argument is out of range.

    >>> from workbench.datasets.indicators import simulate_series
    >>> made = simulate_series(periods=120, lag=3, strength=0.7, seed=4)
    >>> found = associate(made.leading, made.lagging, names=("nps", "renewals"), period="month")
    >>> found.found, found.best_lag, found.differences.best_lag
    (True, 3, 3)
    """
    search = _search(max_lag, min_lag, permutations, confidence_level, alpha, seed)
    return _associate(
        *series_of(leading, lagging), search, names=names, period=period, alpha=alpha, known={}
    )


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
    """Associate every leading series with every lagging one, and correct for so many pairs.

    Each leading series is modelled once. Of the pairs found at `alpha`, at most that share is
    expected to be nothing (Benjamini & Hochberg). A series is not set beside itself.
    """
    search = _search(max_lag, min_lag, permutations, confidence_level, alpha, seed)
    found = []
    for first, x in leading.items():
        known: dict[int, Filter] = {}
        found += [
            _associate(
                *series_of(x, y),
                search,
                names=(first, second),
                period=period,
                alpha=alpha,
                known=known,
            )
            for second, y in lagging.items()
            if second != first
        ]
    return adjusted_over(found)


def adjusted_over(found: Sequence[Association]) -> tuple[Association, ...]:
    """Give the same associations with p-values adjusted for all of them (Benjamini & Hochberg)."""
    adjusted = benjamini_hochberg([each.pvalue for each in found])
    known = sum(not math.isnan(each.pvalue) for each in found)
    return tuple(
        replace(each, adjusted=float(value), pairs_compared=known)
        for each, value in zip(found, adjusted, strict=True)
    )


def _search(
    max_lag: int,
    min_lag: int,
    permutations: int,
    confidence_level: float,
    alpha: float,
    seed: int,
) -> Search:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    return Search(max_lag, min_lag, permutations, confidence_level, seed)


def _associate(
    x: Array,
    y: Array,
    search: Search,
    *,
    names: tuple[str, str],
    period: str,
    alpha: float,
    known: dict[int, Filter],
) -> Association:
    reason, needed = unfit(x, y, search.lags, names), 0
    if reason == "too short":
        needed = shortage(x, y, search.lags)
        reason = (
            f"too short: searching up to {count_of(int(search.lags[-1]), period)} takes at least "
            f"{needed} more, or search fewer lags"
        )
    model = None if reason else filter_of(x, y, known)
    levels, differences, prewhitened = (
        curve(x, y, transform, model, search, reason)
        for transform in ("levels", "differences", "prewhitened")
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
        alpha=alpha,
        reason=reason,
    )


def count_of(number: int, period: str) -> str:
    """Write a number of periods.

    >>> count_of(3, "month"), count_of(1, "month"), count_of(0, "week")
    ('3 months', '1 month', '0 weeks')
    """
    return f"{number:,} {period}{'' if number == 1 else 's'}"


def signed(correlation: float) -> str:
    """Write a correlation.

    >>> signed(0.7204), signed(-0.03), signed(0.001)
    ('+0.72', '−0.03', '0.00')
    """
    if not math.isfinite(correlation):
        return display.UNDEFINED
    written = f"{abs(correlation):.2f}"
    if not float(written):
        return written
    return f"{'+' if correlation > 0 else display.MINUS}{written}"


def order_words(leading: str, lagging: str, lag: int, period: str) -> str:
    """Say which of two moves first.

    >>> order_words("nps", "churn", 3, "month"), order_words("nps", "churn", -1, "month")
    ('nps moves before churn, by 3 months', 'churn moves before nps, by 1 month')
    >>> order_words("nps", "churn", 0, "month")
    'nps and churn move in the same month, neither before the other'
    """
    if not lag:
        return f"{leading} and {lagging} move in the same {period}, neither before the other"
    first, second = (leading, lagging) if lag > 0 else (lagging, leading)
    return f"{first} moves before {second}, by {count_of(abs(lag), period)}"


def _sentence(found: Association) -> str:
    pair, period = f"{found.leading} and {found.lagging}", found.period
    seen, lag = found.prewhitened, found.best_lag
    if found.reason or lag is None:
        return f"{pair}: nothing can be said on {count_of(found.periods, period)}; {found.reason}."
    size = f"correlation {signed(seen.correlation)}"
    strength = f"{size} [{signed(seen.low)}, {signed(seen.high)}]"
    lags = f"{len(seen.lags)} lags" if len(seen.lags) > 1 else "one lag"
    sure = f"p {_equals(found.pvalue)} for the best of {lags}"
    if found.pairs_compared > 1:
        sure += f", {_equals(found.adjusted).removeprefix('= ')} for {found.pairs_compared} pairs together"
    on = f"on {count_of(seen.periods, period)}"
    if not found.found:
        return (
            f"No sign that {found.leading} moves before {found.lagging}: the best lag, "
            f"{count_of(lag, period)}, has a {size} after prewhitening {on}, which unrelated "
            f"series may reach by chance ({sure})."
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
        f"{seen.lag_low} to {seen.lag_high}), {way}: {strength} after prewhitening {on}; {sure}. "
        f"{also}"
    )


def _warning(found: Association) -> str:
    raw = found.levels
    if raw.best_lag is None or found.best_lag is None:
        return ""
    striking = abs(raw.correlation) > 2.0 / math.sqrt(max(raw.periods, 1))
    if not striking or (found.found and raw.best_lag == found.best_lag):
        return ""
    known = [each for each in raw.correlations if math.isfinite(each)]
    wander = "ARIMA" in found.prewhitened.model and "line" not in found.prewhitened.model
    why = "each series drifts on its own" if wander else "each series carries its own past along"
    return (
        f"The raw levels mislead: they correlate {signed(raw.correlation)} at a lag of "
        f"{count_of(raw.best_lag, found.period)} and {signed(min(known))} to {signed(max(known))} "
        f"over all lags, because {why}; unrelated series like these reach "
        f"{raw.band[raw.lags.index(raw.best_lag)]:.2f} in {100 * (1 - raw.confidence_level):.0f} of "
        "100 cases."
    )


def _equals(pvalue: float) -> str:
    """Write a permutation p-value: it has no more digits than there were permutations."""
    return f"= {pvalue:.3f}" if pvalue >= display.SMALLEST_PVALUE else display.pvalue(pvalue)
