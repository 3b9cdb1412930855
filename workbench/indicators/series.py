"""Correlation over lags of whole series, and the ARIMA models that prewhiten them.

A lag above 0 means that the leading one comes first: the leading value of a period is set beside the
lagging value `lag` periods later. The correlation is that of Box & Jenkins (1976, chapter 11): both
series keep one mean and one variance over all lags, and the products of a lag are divided by its
pairs and the lag, so that few pairs at a far lag weigh less. R's `ccf` gives the same numbers, also
with missing values.

Two series that carry their own past correlate by that alone. Box & Jenkins (1976, chapter 11) model
the leading one, take what the model does not foresee, and put the lagging one through the same
filter: what still correlates then is not each one's own past.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FEWEST = 3  # with fewer pairs a correlation says nothing: it is NaN
BATCH = 4_000_000  # so many numbers at a time
ORDERS = tuple((p, q) for p in range(4) for q in range(3) if p + q <= 3)
UNIT_ROOT_ALPHA = 0.05
INVERTIBLE = 0.999  # roots of the filter's polynomials lie inside this circle
WARM_UP = 50  # periods before a look-alike begins


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


@dataclass(frozen=True, slots=True)
class Filter:
    """An ARIMA model of a leading series: its orders, coefficients, and what it did not foresee.

    `differences` is 1 where the series was differenced, 0 where a straight line was taken off.
    `ar` and `ma` follow Box and Jenkins's sign for ar and statsmodels' for ma:
    w(t) = ar w(t-1) + ... + a(t) + ma a(t-1) + ... `residuals` has one value per period, NaN where
    there is none.
    """

    differences: int
    ar: tuple[float, ...]
    ma: tuple[float, ...]
    aicc: float
    residuals: tuple[float, ...]
    drift: float

    @property
    def order(self) -> tuple[int, int, int]:
        """The orders p, d, q."""
        return len(self.ar), self.differences, len(self.ma)

    @property
    def words(self) -> str:
        """The model in words.

        >>> Filter(1, (), (-0.474,), 49.0, (), 0.0).words
        'ARIMA(0,1,1)'
        >>> Filter(0, (0.5,), (), 49.0, (), 0.0).words
        'ARIMA(1,0,0) around a line'
        """
        p, d, q = self.order
        return f"ARIMA({p},{d},{q})" + ("" if d else " around a line")

    def apply(self, series: Array) -> Array:
        """Put series (the last axis is time) through the filter: NaN where nothing can be said."""
        steady = stationary(series, self.differences)
        there = np.isfinite(steady)
        found = np.where(there, _filtered(self.ar, self.ma, filled(steady)), np.nan)
        first = there.argmax(axis=-1)
        late = np.arange(found.shape[-1]) >= first[..., None] + len(self.ar)
        cut: Array = np.where(late, found, np.nan)
        return cut

    def alike(self, leading: Array, permutations: int, rng: np.random.Generator) -> Array:
        """Make series like the leading one that have nothing to do with any other.

        The residuals change places and go backwards through the filter (a sieve bootstrap by
        permutation; Bühlmann 1997): permutations x periods, as long, as autocorrelated and with
        the same gaps, drift or line as the leading series.
        """
        known = np.array(self.residuals)
        known = known[np.isfinite(known)]
        periods = len(leading)
        length = periods - self.differences
        body = rng.permuted(np.tile(known, (permutations, 1)), axis=1)
        more = rng.choice(known, size=(permutations, max(0, length - len(known)) + WARM_UP))
        noise = np.concatenate([more, body], axis=1)
        steady = _filtered_back(self.ar, self.ma, noise)[:, -length:]
        if self.differences:
            start = np.zeros((permutations, 1))
            found = np.concatenate([start, np.cumsum(steady + self.drift, axis=1)], axis=1)
        else:
            found = steady + self.drift * np.arange(periods)
        found[:, ~np.isfinite(leading)] = np.nan
        return found


def fit_filter(leading: Array, differences: int) -> Filter:
    """Fit the ARIMA model of a leading series: the orders by AICc, the coefficients by likelihood.

    Orders are p up to 3 and q up to 2, at most 3 together, compared by AICc (Hurvich & Tsai 1989)
    on the conditional sum of squares; the chosen model is fitted by exact maximum likelihood
    (statsmodels), across missing values.

    Raises ValueError where nothing varies.
    """
    steady = stationary(leading, differences)
    there = np.isfinite(steady)
    if there.sum() < 2 or not np.ptp(steady[there]) > 0.0:
        raise ValueError("leading does not vary; a series without variation has no model")
    scale = float(np.std(steady[there]))
    inside = slice(int(there.argmax()), len(there) - int(there[::-1].argmax()))
    whole = filled(steady[inside]) / scale
    (p, q), coefficients, aicc = _chosen(whole - whole.mean())
    if p + q:
        coefficients = _likeliest(steady[inside] / scale, p, q, coefficients)
    ar, ma = tuple(coefficients[:p].tolist()), tuple(coefficients[p:].tolist())
    found = Filter(differences, ar, ma, aicc, (), _drift(leading, differences))
    residuals = found.apply(leading)
    residuals = residuals - np.nanmean(residuals)
    return Filter(differences, ar, ma, aicc, tuple(residuals.tolist()), found.drift)


def differences_needed(leading: Array, lagging: Array) -> int:
    """Say whether a pair is to be differenced: 1, or 0 where a test finds both steady around a line.

    The test is the augmented Dickey-Fuller test with a line (statsmodels), at 5 %, for each: a
    series is taken to wander unless shown otherwise.
    """
    return int(any(not steady_around_a_line(each) for each in (leading, lagging)))


def steady_around_a_line(series: Array) -> bool:
    """Say whether the augmented Dickey-Fuller test rejects a unit root around a straight line."""
    from statsmodels.tsa.stattools import adfuller

    there = np.isfinite(series)
    inside = slice(int(there.argmax()), len(there) - int(there[::-1].argmax()))
    values = filled(series[inside])
    most = min(4, max(0, (len(values) - 12) // 6))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            pvalue = adfuller(values, maxlag=most, regression="ct", autolag="AIC")[1]
    except (ValueError, np.linalg.LinAlgError):  # nothing varies, or too few are left
        return False
    return bool(pvalue <= UNIT_ROOT_ALPHA)


def stationary(series: Array, differences: int) -> Array:
    """Take differences, or a straight line and the mean, off series (the last axis is time)."""
    series = np.asarray(series, dtype=float)
    if differences:
        steady = np.diff(series, prepend=np.nan, axis=-1)
        return steady - _mean(steady)
    time = np.where(np.isfinite(series), np.arange(series.shape[-1]), np.nan)
    centred, time = series - _mean(series), time - _mean(time)
    spread = np.nansum(time**2, axis=-1, keepdims=True)
    slope = np.nansum(time * centred, axis=-1, keepdims=True) / np.where(spread > 0, spread, 1.0)
    steady = centred - slope * time
    return np.where(np.abs(steady) <= 1e-12 * _size(series), 0.0, steady)


def filled(series: Array) -> Array:
    """Fill gaps on a straight line between their ends; before the first value and after the last, 0."""
    there = np.isfinite(series)
    if there.all():
        return series
    if series.ndim > 1:
        return np.apply_along_axis(filled, -1, series)
    place = np.arange(len(series))
    if not there.any():
        return np.zeros(len(series))
    found: Array = np.interp(place, place[there], series[there], left=0.0, right=0.0)
    return found


def _mean(values: Array) -> Array:
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis=-1, keepdims=True)
    found: Array = total / np.maximum(there.sum(axis=-1, keepdims=True), 1)
    return found


def _size(values: Array) -> Array:
    size: Array = np.where(np.isfinite(values), np.abs(values), 0.0).max(axis=-1, keepdims=True)
    return size


def _drift(leading: Array, differences: int) -> float:
    """Give what the series gains each period."""
    if differences:
        return float(np.nanmean(np.diff(leading)))
    there = np.isfinite(leading)
    return float(np.polyfit(np.flatnonzero(there), leading[there], 1)[0])


def _polynomials(ar: Any, ma: Any) -> tuple[Array, Array]:
    return np.r_[1.0, -np.asarray(ar, dtype=float)], np.r_[1.0, np.asarray(ma, dtype=float)]


def _filtered(ar: Any, ma: Any, steady: Array) -> Array:
    """Give what the model does not foresee, with nothing before the first period."""
    from scipy.signal import lfilter

    found: Array = lfilter(*_polynomials(ar, ma), steady, axis=-1)
    return found


def _filtered_back(ar: Any, ma: Any, noise: Array) -> Array:
    from scipy.signal import lfilter

    found: Array = lfilter(*_polynomials(ar, ma)[::-1], noise, axis=-1)
    return found


def _chosen(steady: Array) -> tuple[tuple[int, int], Array, float]:
    """Give the orders with the least AICc, with their coefficients."""
    n = len(steady)
    best: tuple[tuple[int, int], Array, float] = ((0, 0), np.zeros(0), math.inf)
    for p, q in ORDERS:
        parameters = p + q + 2  # with the mean and the variance
        if n - parameters - 1 <= 0:
            continue
        coefficients = _least_squares(steady, p, q)
        left = float(np.mean(_filtered(coefficients[:p], coefficients[p:], steady) ** 2))
        if not left > 0.0:
            continue
        penalty = 2.0 * parameters * n / (n - parameters - 1)
        aicc = n * (math.log(2.0 * math.pi * left) + 1.0) + penalty
        if aicc < best[2] - 1e-9:
            best = (p, q), coefficients, aicc
    return best


def _least_squares(steady: Array, p: int, q: int) -> Array:
    """Minimise the conditional sum of squares (Box & Jenkins 1976, chapter 7)."""
    from scipy.optimize import least_squares

    start = np.zeros(p + q)
    if p:
        past = np.column_stack([steady[p - lag : len(steady) - lag] for lag in range(1, p + 1)])
        start[:p] = np.linalg.lstsq(past, steady[p:], rcond=None)[0]
        if not _inside(start[:p], start[p:]):
            start[:p] = 0.0
    if not q:
        return start
    outside = np.full(len(steady), 10.0 * float(np.abs(steady).max()))

    def unforeseen(coefficients: Array) -> Array:
        if not _inside(coefficients[:p], coefficients[p:]):
            return outside
        return _filtered(coefficients[:p], coefficients[p:], steady)

    found: Array = least_squares(unforeseen, start, method="lm", max_nfev=100 * (p + q)).x
    return found if _inside(found[:p], found[p:]) else start


def _inside(ar: Array, ma: Array) -> bool:
    """Say whether the model is stationary and invertible."""
    for polynomial in _polynomials(ar, ma):
        if len(polynomial) == 2:
            if abs(polynomial[1]) >= INVERTIBLE:
                return False
        elif len(polynomial) > 2 and np.abs(np.roots(polynomial)).max() >= INVERTIBLE:
            return False
    return True


def _likeliest(steady: Array, p: int, q: int, start: Array) -> Array:
    """Fit by exact maximum likelihood; keep the start where that does not come to an end."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            model = SARIMAX(steady, order=(p, 0, q), concentrate_scale=True)
            found = np.asarray(
                model.fit(start_params=start, disp=0, cov_type="none", maxiter=50).params
            )
    except (ValueError, np.linalg.LinAlgError):
        return start
    return found if np.isfinite(found).all() and _inside(found[:p], found[p:]) else start
