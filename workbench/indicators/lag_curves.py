"""Correlation over lags of two series, in three views: levels, differences, prewhitened.

Each view comes with what chance makes of the best of all lags. Chance is played by look-alikes of
the leading series: its ARIMA model's residuals change places, so that they have its autocorrelation
and nothing to do with the lagging series, which stays as it is.

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
    correlate_all,
    differences_needed,
    fit_filter,
    lag_range,
    largest,
    pairs_all,
    pvalues_of,
    resampled,
    shuffled,
    two_dimensional,
)

Array = npt.NDArray[Any]
Transform = Literal["levels", "differences", "prewhitened"]
FEWEST_PAIRS = 16  # of differences at the farthest lag; with fewer the answer is "too short"


@dataclass(frozen=True, slots=True)
class Search:
    """Which lags are searched, and how: the same for every view and every pair of a study."""

    max_lag: int = 12
    min_lag: int = 0
    permutations: int = 999
    confidence_level: float = 0.95
    seed: int = 1

    def __post_init__(self) -> None:
        lag_range(self.max_lag, self.min_lag)
        if self.permutations < 19:
            raise ValueError(
                f"permutations is {self.permutations}; it must be 19 or more, or no p-value can be "
                "as small as 0.05"
            )
        if not 0.0 < self.confidence_level < 1.0:
            raise ValueError(
                f"confidence_level is {self.confidence_level}; it must lie between 0 and 1"
            )

    @property
    def lags(self) -> Array:
        """The lags, from `min_lag` to `max_lag`."""
        return lag_range(self.max_lag, self.min_lag)


@dataclass(frozen=True, slots=True)
class LagCurve:
    """Correlations of one view of a pair over all lags, and the best of them.

    `pairs` and `band` have one value per lag: the periods used, and the size that the correlation
    of the best of all lags exceeds in 5 of 100 pairs with nothing between them (`confidence_level`
    0.95). `pvalue` is that of the best lag, for having searched all of them. `lag_low` to
    `lag_high` and `low` to `high` are block bootstrap intervals of the best lag and of the
    correlation at it; the levels have none, since drifting series have no such sampling error.
    What is undefined is NaN (lags: None), and `reason` says why.
    """

    transform: str
    lags: tuple[int, ...]
    correlations: tuple[float, ...]
    pairs: tuple[int, ...]
    band: tuple[float, ...]
    best_lag: int | None
    correlation: float
    pvalue: float
    lag_low: int | None
    lag_high: int | None
    low: float
    high: float
    confidence_level: float
    model: str = ""
    reason: str = ""

    @property
    def periods(self) -> int:
        """The pairs at the best lag; the most at any lag where there is none."""
        if self.best_lag is None:
            return max(self.pairs, default=0)
        return self.pairs[self.lags.index(self.best_lag)]


def lagged(
    leading: Array,
    lagging: Array,
    *,
    max_lag: int = 12,
    transform: Transform = "prewhitened",
    min_lag: int = 0,
    permutations: int = 999,
    confidence_level: float = 0.95,
    seed: int = 1,
) -> LagCurve:
    """Correlate one view of two series at each lag, and say how sure the best lag is.

    Series of one value per period, NaN where one is missing; a lag above 0 means that the leading
    one comes first. `prewhitened`: an ARIMA model of the leading series turns both into what it
    does not foresee; where neither wanders, they are taken around a straight line, not differenced.

    Raises ValueError for arguments out of range.

    >>> from workbench.datasets.indicators import simulate_series
    >>> made = simulate_series(periods=120, lag=3, strength=0.7, seed=4)
    >>> curve = lagged(made.leading, made.lagging, max_lag=6, transform="differences")
    >>> curve.best_lag, curve.pvalue
    (3, 0.001)
    """
    search = Search(max_lag, min_lag, permutations, confidence_level, seed)
    x, y = series_of(leading, lagging)
    reason = unfit(x, y, search.lags, ("leading", "lagging"))
    return curve(x, y, transform, None if reason else filter_of(x, y), search, reason)


def transformed(leading: Array, lagging: Array, transform: Transform) -> tuple[Array, Array]:
    """Give two series as a view shows them: as long as they are, NaN where there is nothing.

    Raises ValueError for a series that does not vary, where prewhitening has no model.

    >>> import numpy as np
    >>> transformed(np.array([1.0, 3.0, 2.0]), np.array([5.0, 5.0, 6.0]), "differences")
    (array([nan,  2., -1.]), array([nan,  0.,  1.]))
    """
    x, y = series_of(leading, lagging)
    return view(x, y, transform, filter_of(x, y) if transform == "prewhitened" else None)


def curve(
    x: Array, y: Array, transform: str, model: Filter | None, search: Search, reason: str = ""
) -> LagCurve:
    """Work out one view; without a model, only what needs none, and `reason` says why."""
    lags = search.lags
    if model is None and transform == "prewhitened":
        seen = np.full(len(x), np.nan), np.full(len(x), np.nan)
    else:
        seen = view(x, y, transform, model)
    correlations = correlate_all(*seen, search.max_lag, min_lag=search.min_lag)[0, 0]
    pairs = pairs_all(*seen, search.max_lag, min_lag=search.min_lag)[0, 0]
    nothing = not np.isfinite(correlations).any()
    if nothing and not reason:
        reason = f"nothing varies in the {transform}"
    made: dict[str, Any] = {
        "transform": transform,
        "lags": tuple(lags.tolist()),
        "correlations": tuple(correlations.tolist()),
        "pairs": tuple(pairs.tolist()),
        "confidence_level": search.confidence_level,
        "model": model.words if model and transform == "prewhitened" else "",
        "reason": reason,
    }
    if reason or model is None:
        return LagCurve(
            **made,
            band=(math.nan,) * len(lags),
            best_lag=None,
            correlation=math.nan,
            pvalue=math.nan,
            lag_low=None,
            lag_high=None,
            low=math.nan,
            high=math.nan,
        )
    size = in_errors(correlations, pairs, lags)
    # Levels have no such standard error: their best lag is that of the largest correlation.
    place = int(np.nanargmax(np.abs(correlations) if transform == "levels" else size))
    maxima = _by_chance(x, seen, transform, model, search)
    limit = float(np.quantile(maxima, search.confidence_level, method="higher"))
    band = np.minimum(limit * np.sqrt(pairs) / np.maximum(pairs + np.abs(lags), 1), 1.0)
    ends = _ends(seen, transform, pairs, place, float(correlations[place]), search)
    return LagCurve(
        **made,
        **ends,
        band=tuple(band.tolist()),
        best_lag=int(lags[place]),
        correlation=float(correlations[place]),
        pvalue=float(pvalues_of(np.nanmax(size), maxima)),
    )


def in_errors(correlations: Array, pairs: Array, lags: Array) -> Array:
    """Give the size of correlations in standard errors, 1 / sqrt(pairs) without autocorrelation."""
    found: Array = np.abs(correlations) * (pairs + np.abs(lags)) / np.sqrt(np.maximum(pairs, 1))
    return found


def series_of(leading: Array, lagging: Array) -> tuple[Array, Array]:
    """Give both as floats over the same periods, what is not finite as NaN; else ValueError."""
    rows, columns = two_dimensional(leading, lagging)
    if len(rows) != 1 or len(columns) != 1:
        raise ValueError(
            f"leading has the shape {np.shape(leading)} and lagging {np.shape(lagging)}; each must "
            "be one series, use correlate_all for many"
        )
    return (
        np.where(np.isfinite(rows[0]), rows[0], np.nan),
        np.where(np.isfinite(columns[0]), columns[0], np.nan),
    )


def view(x: Array, y: Array, transform: str, model: Filter | None) -> tuple[Array, Array]:
    """Give both series as levels, differences, or through the leading one's model."""
    if transform not in get_args(Transform):
        raise ValueError(unknown_name("transform", transform, get_args(Transform)))
    if transform == "levels":
        return x, y
    if transform == "differences":
        return np.diff(x, prepend=np.nan), np.diff(y, prepend=np.nan)
    if model is None:
        raise ValueError("transform is prewhitened; it needs the leading series' model")
    return np.array(model.residuals), model.apply(y)


def filter_of(x: Array, y: Array, known: dict[int, Filter] | None = None) -> Filter:
    """Fit the leading series' model, or take the one that is known for so many differences."""
    known = {} if known is None else known
    differences = differences_needed(x, y)
    if differences not in known:
        known[differences] = fit_filter(x, differences)
    return known[differences]


def unfit(x: Array, y: Array, lags: Array, names: tuple[str, str]) -> str:
    """Say why nothing can be said about two series; empty where something can."""
    for name, series in zip(names, (x, y), strict=True):
        there = series[np.isfinite(series)]
        if not len(there):
            return f"{name} has no values"
        if np.ptp(there) <= 1e-12 * np.abs(there).max():
            return f"{name} is constant"
    if shortage(x, y, lags):
        return "too short"
    for name, series in zip(names, (x, y), strict=True):
        steps = np.diff(series)
        steps = steps[np.isfinite(steps)]
        if np.ptp(steps) <= 1e-9 * np.abs(steps).max():
            return f"{name} changes by the same amount in every period"
    return ""


def shortage(x: Array, y: Array, lags: Array) -> int:
    """Count how many periods more it takes to search these lags; 0 where there are enough."""
    steps = np.diff(x), np.diff(y)
    if not len(steps[0]):
        return FEWEST_PAIRS + int(np.abs(lags).max()) + 1 - len(x)
    ends = {int(lags.min()), int(lags.max())}
    fewest = min(_pairs_at(*steps, lag) for lag in ends)
    return max(0, FEWEST_PAIRS - fewest)


def _pairs_at(x: Array, y: Array, lag: int) -> int:
    """Count pairs at a lag; below 0 for a lag beyond the series' end."""
    beyond = len(x) - abs(lag)
    if beyond <= 0:
        return beyond
    return int(pairs_all(x, y, lag, min_lag=lag)[0, 0, 0])


def _by_chance(
    x: Array, seen: tuple[Array, Array], transform: str, model: Filter, search: Search
) -> Array:
    """Give what the best of all lags comes to where there is nothing between the two."""
    rng = np.random.default_rng([search.seed, 1])
    if transform == "prewhitened":
        periods = np.tile(np.arange(len(x)), (search.permutations, 1))
        rows = shuffled(seen[0], rng.permuted(periods, axis=1))
    else:
        rows = model.alike(x, search.permutations, rng)
        if transform == "differences":
            rows = np.diff(rows, axis=1, prepend=np.nan)
    return largest(rows, seen[1][None, :], search.lags)[:, 0]


def _ends(
    seen: tuple[Array, Array],
    transform: str,
    pairs: Array,
    place: int,
    correlation: float,
    search: Search,
) -> dict[str, Any]:
    """Give the block bootstrap intervals of the best lag and of the correlation at it."""
    if transform == "levels":
        return {"lag_low": None, "lag_high": None, "low": math.nan, "high": math.nan}
    rng = np.random.default_rng([search.seed, 2])
    lags = search.lags
    weights = block_weights(len(seen[0]), search.permutations, rng)
    drawn = resampled(weights, *seen, lags)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not len(drawn):
        return {"lag_low": None, "lag_high": None, "low": math.nan, "high": math.nan}
    outside = (1.0 - search.confidence_level) / 2.0
    both = [outside, 1.0 - outside]
    best = lags[np.argmax(in_errors(drawn, pairs, lags), axis=1)]
    lag_low, lag_high = np.quantile(best, both, method="nearest")
    low, high = _fisher_ends(correlation, drawn[:, place], int(pairs[place]), outside)
    return {
        "lag_low": min(int(lag_low), int(lags[place])),
        "lag_high": max(int(lag_high), int(lags[place])),
        "low": low,
        "high": high,
    }


def _fisher_ends(
    correlation: float, drawn: Array, pairs: int, outside: float
) -> tuple[float, float]:
    """Give an interval on Fisher's scale; few blocks vary too little, so not below 1/sqrt(n - 3)."""
    from scipy.special import ndtri

    inner = np.clip(np.append(drawn, correlation), -0.9999, 0.9999)
    scale = np.arctanh(inner)
    error = max(float(np.std(scale[:-1])), 1.0 / math.sqrt(max(pairs - 3, 1)))
    reach = -float(ndtri(outside)) * error
    return math.tanh(float(scale[-1]) - reach), math.tanh(float(scale[-1]) + reach)


def block_weights(periods: int, draws: int, rng: np.random.Generator) -> Array:
    """Draw blocks of periods anew, and count how often each period came: draws x periods."""
    length = max(2, round(1.5 * periods ** (1.0 / 3.0)))
    count = math.ceil(periods / length)
    starts = rng.integers(0, periods - length + 1, size=(draws, count))
    place = (starts[:, :, None] + np.arange(length)).reshape(draws, -1)
    place += periods * np.arange(draws)[:, None]
    counted = np.bincount(place.ravel(), minlength=draws * periods)
    found: Array = counted.reshape(draws, periods).astype(float)
    return found
