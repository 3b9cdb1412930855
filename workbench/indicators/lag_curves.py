"""Correlation of two series over lags, in three views: levels, differences and prewhitened values.

Each view comes with the distribution of its largest correlation over all lags under chance. That
distribution is simulated with surrogates of the leading series, which keep its autocorrelation but
are unrelated to the lagging series; the lagging series stays as it is.

Sources: Box & Jenkins (1976) Time Series Analysis, chapter 11; Haugh (1976) JASA 71:378-385; Westfall
& Young (1993) Resampling-Based Multiple Testing (the largest of all lags); Bühlmann (1997) Bernoulli
3:123-148 (the sieve); Künsch (1989) Annals of Statistics 17:1217-1241 (blocks of blocks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench.errors import unknown_name
from workbench.indicators.series import (
    Filter,
    as_rows,
    correlate_all,
    count_pairs,
    differences_needed,
    fit_filter,
    lag_range,
    largest_over_lags,
    permutation_pvalues,
    resampled_correlations,
    shuffle_present,
)

Array = npt.NDArray[Any]
Transform = Literal["levels", "differences", "prewhitened"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
FEWEST_PAIRS = 16  # of differences at the farthest lag; fewer are too short


@dataclass(frozen=True, slots=True)
class Search:
    """The lags that are searched, and how; the same for every view and every pair of a study.

    Args:
        max_lag: The largest lag, in periods.
        min_lag: The smallest lag; below 0 the lagging series comes first.
        permutations: Surrogates of the leading series, at least 19.
        confidence_level: Of bands and intervals, between 0 and 1.
        seed: Of surrogates and bootstrap.
        alpha: The largest p-value at which a pair counts as found, between 0 and 1.

    Raises:
        ValueError: If an argument is out of range.
    """

    max_lag: int = 12
    min_lag: int = 0
    permutations: int = 999
    confidence_level: float = 0.95
    seed: int = 1
    alpha: float = 0.05

    def __post_init__(self) -> None:
        lag_range(self.max_lag, self.min_lag)
        if self.permutations < 19:
            raise ValueError(
                f"permutations is {self.permutations}; it must be 19 or more, or no p-value can be "
                "as small as 0.05"
            )
        for name in ("confidence_level", "alpha"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")

    @property
    def lags(self) -> Array:
        """The lags, from `min_lag` to `max_lag`."""
        return lag_range(self.max_lag, self.min_lag)


@dataclass(frozen=True, slots=True)
class LagCurve:
    """Correlations of a pair in one view over all lags, and the best lag.

    `pairs` and `band` have one value per lag. `pairs` counts the periods used. With nothing between
    the two series, all correlations stay within `band` with probability `confidence_level`. `pvalue`
    is that of the best lag, corrected for the search over all lags. `lag_low` to `lag_high` and
    `low` to `high` are block bootstrap intervals of the best lag and of the correlation there; levels
    have none, because drifting series have no such sampling error. What is undefined is NaN (None for
    a lag), and `reason` says why.
    """

    transform: str
    lags: tuple[int, ...]
    correlations: tuple[float, ...]
    pairs: tuple[int, ...]
    band: tuple[float, ...]
    confidence_level: float
    best_lag: int | None = None
    correlation: float = math.nan
    pvalue: float = math.nan
    lag_low: int | None = None
    lag_high: int | None = None
    low: float = math.nan
    high: float = math.nan
    model: str = ""
    reason: str = ""

    @property
    def periods(self) -> int:
        """The number of pairs at the best lag; without one, the largest number at any lag."""
        if self.best_lag is None:
            return max(self.pairs, default=0)
        return self.pairs[self.lags.index(self.best_lag)]


def lag_curve(
    x: Array, y: Array, transform: str, model: Filter | None, search: Search, reason: str = ""
) -> LagCurve:
    """Correlate one view of two series at each lag, with the band and intervals of chance.

    Args:
        x: The leading series, one value per period, NaN where one is missing.
        y: The lagging series over the same periods.
        transform: "levels", "differences" or "prewhitened".
        model: The model of the pair (`pair_filter`); without one there is no band and no p-value.
        search: The lags, and how they are searched.
        reason: Why there is no model.
    """
    lags = search.lags
    if model is None and transform == "prewhitened":
        seen = np.full(len(x), np.nan), np.full(len(x), np.nan)
    else:
        seen = transform_pair(x, y, transform, model)
    correlations = correlate_all(*seen, search.max_lag, min_lag=search.min_lag)[0, 0]
    pairs = count_pairs(*seen, search.max_lag, min_lag=search.min_lag)[0, 0]
    if not reason and not np.isfinite(correlations).any():
        reason = f"nothing varies in the {transform}"
    known: dict[str, Any] = {
        "transform": transform,
        "lags": tuple(lags.tolist()),
        "correlations": tuple(correlations.tolist()),
        "pairs": tuple(pairs.tolist()),
        "confidence_level": search.confidence_level,
        "model": model.words if model and transform == "prewhitened" else "",
        "reason": reason,
    }
    if reason or model is None:
        return LagCurve(**known, band=(math.nan,) * len(lags))
    size = in_standard_errors(correlations, pairs, lags)
    # Levels have no such standard error: their best lag is that of the largest correlation.
    place = int(np.nanargmax(np.abs(correlations) if transform == "levels" else size))
    maxima = _surrogate_maxima(x, seen, transform, model, search)
    limit = float(np.quantile(maxima, search.confidence_level, method="higher"))
    band = np.minimum(limit * np.sqrt(pairs) / np.maximum(pairs + np.abs(lags), 1), 1.0)
    correlation = float(correlations[place])
    intervals = {}
    if transform != "levels":
        intervals = _bootstrap_intervals(seen, pairs, place, correlation, search)
    return LagCurve(
        **known,
        **intervals,
        band=tuple(band.tolist()),
        best_lag=int(lags[place]),
        correlation=correlation,
        pvalue=float(permutation_pvalues(np.nanmax(size), maxima)),
    )


def in_standard_errors(correlations: Array, pairs: Array, lags: Array) -> Array:
    """Return the size of correlations in standard errors: 1 / sqrt(pairs) without autocorrelation."""
    found: Array = np.abs(correlations) * (pairs + np.abs(lags)) / np.sqrt(np.maximum(pairs, 1))
    return found


def as_series(leading: Array, lagging: Array) -> tuple[Array, Array]:
    """Return both as floats with NaN for what is not finite; ValueError if they are not one series each."""
    rows, columns = as_rows(leading, lagging)
    if len(rows) != 1 or len(columns) != 1:
        raise ValueError(
            f"leading has the shape {np.shape(leading)} and lagging {np.shape(lagging)}; each must "
            "be one series, use correlate_all for many"
        )
    x, y = (np.where(np.isfinite(each[0]), each[0], np.nan) for each in (rows, columns))
    return x, y


def transform_pair(x: Array, y: Array, transform: str, model: Filter | None) -> tuple[Array, Array]:
    """Return both series as levels, differences, or filtered by the leading series' model.

    Both keep their length, with NaN where the view has no value.
    """
    if transform not in TRANSFORMS:
        raise ValueError(unknown_name("transform", transform, TRANSFORMS))
    if transform == "levels":
        return x, y
    if transform == "differences":
        return np.diff(x, prepend=np.nan), np.diff(y, prepend=np.nan)
    if model is None:
        raise ValueError("transform is prewhitened; it needs the leading series' model")
    return np.array(model.residuals), model.apply(y)


def pair_filter(x: Array, y: Array, known: dict[int, Filter] | None = None) -> Filter:
    """Fit the leading series' model with the differences that the pair needs.

    `known` keeps models of the leading series by their differences, for its other pairs.
    """
    known = {} if known is None else known
    differences = differences_needed(x, y)
    if differences not in known:
        known[differences] = fit_filter(x, differences)
    return known[differences]


def reason_unusable(x: Array, y: Array, lags: Array, names: tuple[str, str]) -> str:
    """Say why two series cannot be associated; empty if they can."""
    for name, series in zip(names, (x, y), strict=True):
        there = series[np.isfinite(series)]
        if not len(there):
            return f"{name} has no values"
        if np.ptp(there) <= 1e-12 * np.abs(there).max():
            return f"{name} is constant"
    if periods_short(x, y, lags):
        return "too short"
    for name, series in zip(names, (x, y), strict=True):
        steps = np.diff(series)
        steps = steps[np.isfinite(steps)]
        if np.ptp(steps) <= 1e-9 * np.abs(steps).max():
            return f"{name} changes by the same amount in every period"
    return ""


def periods_short(x: Array, y: Array, lags: Array) -> int:
    """Count the additional periods that a search of these lags needs; 0 if there are enough."""
    steps = np.diff(x), np.diff(y)
    if not len(steps[0]):
        return FEWEST_PAIRS + int(np.abs(lags).max()) + 1 - len(x)
    ends = {int(lags.min()), int(lags.max())}
    fewest = min(_pairs_at(*steps, lag) for lag in ends)
    return max(0, FEWEST_PAIRS - fewest)


def _pairs_at(x: Array, y: Array, lag: int) -> int:
    """Count pairs at a lag; negative for a lag beyond the end of the series."""
    beyond = len(x) - abs(lag)
    if beyond <= 0:
        return beyond
    return int(count_pairs(x, y, lag, min_lag=lag)[0, 0, 0])


def _surrogate_maxima(
    x: Array, seen: tuple[Array, Array], transform: str, model: Filter, search: Search
) -> Array:
    """Return the largest size over all lags for each surrogate of the leading series."""
    rng = np.random.default_rng([search.seed, 1])
    if transform == "prewhitened":
        periods = np.tile(np.arange(len(x)), (search.permutations, 1))
        rows = shuffle_present(seen[0], rng.permuted(periods, axis=1))
    else:
        rows = model.surrogates(x, search.permutations, rng)
        if transform == "differences":
            rows = np.diff(rows, axis=1, prepend=np.nan)
    return largest_over_lags(rows, seen[1][None, :], search.lags)[:, 0]


def _bootstrap_intervals(
    seen: tuple[Array, Array], pairs: Array, place: int, correlation: float, search: Search
) -> dict[str, Any]:
    """Return the block bootstrap intervals of the best lag and of the correlation there."""
    lags = search.lags
    rng = np.random.default_rng([search.seed, 2])
    drawn = resampled_correlations(
        block_weights(len(seen[0]), search.permutations, rng), *seen, lags
    )
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not len(drawn):
        return {}
    outside = (1.0 - search.confidence_level) / 2.0
    best = lags[np.argmax(in_standard_errors(drawn, pairs, lags), axis=1)]
    lag_low, lag_high = np.quantile(best, [outside, 1.0 - outside], method="nearest")
    low, high = _fisher_interval(correlation, drawn[:, place], int(pairs[place]), outside)
    return {
        "lag_low": min(int(lag_low), int(lags[place])),
        "lag_high": max(int(lag_high), int(lags[place])),
        "low": low,
        "high": high,
    }


def _fisher_interval(
    correlation: float, drawn: Array, pairs: int, outside: float
) -> tuple[float, float]:
    """Return an interval on Fisher's scale with the draws' standard error.

    The error is at least 1 / sqrt(n - 3), because a bootstrap of few blocks varies too little.
    """
    from scipy.special import ndtri

    inner = np.clip(np.append(drawn, correlation), -0.9999, 0.9999)
    scale = np.arctanh(inner)
    error = max(float(np.std(scale[:-1])), 1.0 / math.sqrt(max(pairs - 3, 1)))
    reach = -float(ndtri(outside)) * error
    return math.tanh(float(scale[-1]) - reach), math.tanh(float(scale[-1]) + reach)


def block_weights(periods: int, draws: int, rng: np.random.Generator) -> Array:
    """Resample blocks of periods, and count how often each draw contains each: draws x periods."""
    length = max(2, round(1.5 * periods ** (1.0 / 3.0)))
    count = math.ceil(periods / length)
    starts = rng.integers(0, periods - length + 1, size=(draws, count))
    place = (starts[:, :, None] + np.arange(length)).reshape(draws, -1)
    place += periods * np.arange(draws)[:, None]
    counted = np.bincount(place.ravel(), minlength=draws * periods)
    found: Array = counted.reshape(draws, periods).astype(float)
    return found
