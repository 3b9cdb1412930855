"""Correlations over lags on arrays: pairwise where values are missing, many pairs at once.

A lag above 0 means that the leading one comes first: the leading value of a period is set beside the
lagging value `lag` periods later. The correlation is that of Box & Jenkins (1976, chapter 11): both
series keep one mean and one variance over all lags, and the products of a lag are divided by its
pairs and the lag, so that few pairs at a far lag weigh less. R's `ccf` gives the same numbers, also
with missing values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEWEST = 3  # with fewer pairs a correlation says nothing: it is NaN
BATCH = 4_000_000  # so many numbers at a time


def correlate_all(leading: Array, lagging: Array, max_lag: int, *, min_lag: int = 0) -> Array:
    """Correlate every leading series with every lagging one at every lag.

    `leading` is k x T, `lagging` m x T, NaN where a value is missing; the answer is k x m x lags,
    for the lags `min_lag` to `max_lag`, NaN with fewer than three pairs and where one of the two is
    constant.

    Raises ValueError where the two do not have the same periods.

    >>> import numpy as np
    >>> leading = np.array([[1.0, 3.0, 2.0, 5.0, 4.0, 6.0]])
    >>> lagging = np.array([[0.0, 1.0, 3.0, 2.0, 5.0, 4.0]])
    >>> correlate_all(leading, lagging, max_lag=2).round(3).tolist()
    [[[0.6, 0.5, -0.143]]]
    """
    rows, columns = two_dimensional(leading, lagging)
    lags = lag_range(max_lag, min_lag)
    found = np.empty((len(rows), len(columns), len(lags)))
    exact = np.dtype(float)
    for number, (products, pairs) in enumerate(_products(rows, columns, lags, exact)):
        enough = np.where(pairs < FEWEST, np.nan, pairs)
        found[:, :, number] = products / (enough + abs(int(lags[number])))
    return np.clip(found, -1.0, 1.0)


def pairs_all(leading: Array, lagging: Array, max_lag: int, *, min_lag: int = 0) -> Array:
    """Count the pairs that each correlation of `correlate_all` rests on: k x m x lags."""
    rows, columns = two_dimensional(leading, lagging)
    there = np.isfinite(rows).astype(float), np.isfinite(columns).astype(float)
    found = [
        early @ late.T
        for early, late in (_overlap(*there, int(lag)) for lag in lag_range(max_lag, min_lag))
    ]
    return np.stack(found, axis=-1).round().astype(int)


def largest(rows: Array, columns: Array, lags: Array) -> Array:
    """Give the largest of all lags' correlations in standard errors, of each row with each column.

    `rows` is R x T, `columns` m x T. A correlation's standard error is 1 / sqrt(pairs) where one of
    the two has no autocorrelation. The answer is R x m, NaN where no lag has a correlation.
    """
    found = np.empty((len(rows), len(columns)))
    step = max(1, BATCH // max(1, len(columns) + rows.shape[1]))
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        best = np.full((len(rows[part]), len(columns)), -1.0, dtype="float32")
        for products, pairs in _products(rows[part], columns, lags, np.dtype("float32")):
            size = np.abs(products, out=products)
            size /= np.sqrt(np.where(pairs < FEWEST, np.nan, pairs))
            np.fmax(best, size, out=best)
        found[part] = np.where(best < 0.0, np.nan, best)
    return found


def permuted_maxima(
    leading: Array,
    lagging: Array,
    max_lag: int,
    *,
    permutations: int,
    seed: int,
    min_lag: int = 0,
) -> Array:
    """Give what `largest` comes to by chance: for each permutation of the leading series' periods.

    The answer, permutations x k x m, is the distribution of the best of all lags if the two had
    nothing to do with each other. That holds for leading series without autocorrelation, such as
    prewhitened ones, whatever that of the lagging ones. All leading series are permuted alike, so
    that what they share stays shared; missing values stay where they are.
    """
    rows, columns = two_dimensional(leading, lagging)
    lags = lag_range(max_lag, min_lag)
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(rows.shape[1]), (permutations, 1)), axis=1)
    found = np.empty((permutations, len(rows), len(columns)))
    for number, row in enumerate(rows):
        found[:, number] = largest(shuffled(row, orders), columns, lags)
    return found


def pvalues_of(observed: Array, maxima: Array) -> Array:
    """Give the share of permutations at least as large as what was observed, which counts itself.

    `maxima` has the permutations first, then the shape of `observed` (Phipson & Smyth 2010,
    Statistical Applications in Genetics and Molecular Biology 9:39).
    """
    beyond = (maxima >= observed - 1e-5).sum(axis=0)
    found: Array = np.where(np.isfinite(observed), (1.0 + beyond) / (1.0 + len(maxima)), np.nan)
    return found


def resampled(weights: Array, leading: Array, lagging: Array, lags: Array) -> Array:
    """Correlate two series at each lag, once for each row of weights of the leading one's periods.

    A period stands for its leading value and all the lagging values that go with it (Künsch's
    1989 blocks of blocks), so that drawing periods anew keeps what comes how long after what.
    """
    place = np.arange(len(leading))[:, None] + lags[None, :]
    inside = (place >= 0) & (place < len(leading))
    late = np.where(inside, standard(lagging)[np.clip(place, 0, len(leading) - 1)], np.nan)
    early = standard(leading)[:, None]
    both = (np.isfinite(early) & np.isfinite(late)).astype(float)
    x, y = np.where(both > 0, early, 0.0), np.where(both > 0, late, 0.0)
    n, sum_x, sum_y = weights @ both, weights @ x, weights @ y
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = weights @ (x * y) - sum_x * sum_y / n
        spread = (weights @ (x * x) - sum_x**2 / n) * (weights @ (y * y) - sum_y**2 / n)
        found: Array = shared / np.sqrt(spread) * n / (n + np.abs(lags))
        known = (n >= FEWEST) & (spread > 1e-10 * n**2)
    return np.where(known, found, np.nan)


def standard(series: Array) -> Array:
    """Give series (the last axis is time) with mean 0 and variance 1; NaN where one is constant."""
    there = np.isfinite(series)
    n = np.maximum(there.sum(axis=-1, keepdims=True), 1)
    values = np.where(there, series, 0.0)
    centred = np.where(there, values - values.sum(axis=-1, keepdims=True) / n, 0.0)
    spread = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / n)
    size = np.abs(values).max(axis=-1, keepdims=True, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.where(there & (spread > 1e-10 * size), centred / spread, np.nan)
    return found


def shuffled(row: Array, orders: Array) -> Array:
    """Put the values that are there in other orders; what is missing stays where it is."""
    there = np.isfinite(row)
    if there.all():
        return row[orders]
    found = np.tile(row, (len(orders), 1))
    found[:, there] = row[orders[there[orders]].reshape(len(orders), -1)]
    return found


def lag_range(max_lag: int, min_lag: int = 0) -> Array:
    """List the lags; ValueError where there are none."""
    if min_lag > max_lag:
        raise ValueError(f"max_lag is {max_lag}; it must be at least min_lag, which is {min_lag}")
    return np.arange(min_lag, max_lag + 1)


def two_dimensional(leading: Array, lagging: Array) -> tuple[Array, Array]:
    """Give both as series x periods of floats; ValueError where their periods differ."""
    rows = np.atleast_2d(np.asarray(leading, dtype=float))
    columns = np.atleast_2d(np.asarray(lagging, dtype=float))
    if rows.ndim != 2 or columns.ndim != 2 or rows.shape[1] != columns.shape[1]:
        raise ValueError(
            f"leading has the shape {np.shape(leading)} and lagging {np.shape(lagging)}; both need "
            "one value for each of the same periods, NaN where one is missing"
        )
    return rows, columns


def _overlap(rows: Array, columns: Array, lag: int) -> tuple[Array, Array]:
    """Cut both to the periods that have a partner at this lag."""
    n = max(0, rows.shape[-1] - abs(lag))
    early, late = (rows, columns) if lag >= 0 else (columns, rows)
    early, late = early[:, :n], late[:, late.shape[-1] - n :]
    return (early, late) if lag >= 0 else (late, early)


def _products(
    rows: Array, columns: Array, lags: Array, kind: np.dtype[Any]
) -> Iterator[tuple[Array, Array]]:
    """Give the sum of products, R x m, and what shows the pairs beside it, lag after lag."""
    x, y = standard(rows), standard(columns)
    there = np.isfinite(x), np.isfinite(y)
    x, y = np.where(there[0], x, 0.0).astype(kind), np.where(there[1], y, 0.0).astype(kind)
    complete = there[0].all() and there[1].all()
    same = (there[0] == there[0][:1]).all()
    marks = (there[0][:1] if same else there[0]).astype(kind), there[1].astype(kind)
    for lag in lags.tolist():
        early, late = _overlap(x, y, lag)
        if complete:
            pairs = np.full((1, 1), early.shape[1], dtype=kind)
        else:
            first, second = _overlap(*marks, lag)
            pairs = first @ second.T
        yield early @ late.T, pairs
