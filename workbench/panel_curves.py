"""Correlation over lags in a panel of customers: within customers and between them, by clusters.

Within: does a customer's own better period come before that customer's own better period? What a
customer is like on the whole, and what all customers share in a period, is taken off. Between: do
customers who are higher on the whole have more of the other? All errors are clustered by customer:
each counts once, however many periods there are.

Sources: Cameron & Miller (2015) Journal of Human Resources 50:317-372 (errors by cluster); Hampel
(1974) JASA 69:383-393 (what one customer adds to a correlation); Hothorn, Bretz & Westfall (2008)
Biometrical Journal 50:346-363 (the largest of all lags, from their joint distribution).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.correlations import lag_range

Array = npt.NDArray[Any]

FEWEST_CUSTOMERS = 10  # with fewer clusters, errors by cluster are too small
FLAT = 1e-5  # of what varies in all, within customers: less than that is rounding
DRAWS = 9_999
CHUNK = 20_000  # customers ranked at a time


@dataclass(frozen=True, slots=True)
class PanelCurve:
    """Correlations within or between customers over all lags, and the best of them.

    `low` and `high` are each lag's own ends; `pairs` and `customers` are those used at each lag.
    `pvalue` is that of the best lag, for having searched all of them; `lag_low` to `lag_high` is
    the interval of the best lag. What is undefined is NaN (lags: None), and `reason` says why.
    """

    kind: str
    lags: tuple[int, ...]
    correlations: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    pairs: tuple[int, ...]
    customers: tuple[int, ...]
    best_lag: int | None
    pvalue: float
    lag_low: int | None
    lag_high: int | None
    confidence_level: float
    reason: str = ""

    def at(self, lag: int) -> tuple[float, float, float]:
        """Give the correlation at a lag with its ends."""
        place = self.lags.index(lag)
        return self.correlations[place], self.low[place], self.high[place]

    @property
    def correlation(self) -> float:
        """The correlation at the best lag."""
        return math.nan if self.best_lag is None else self.at(self.best_lag)[0]


def panel_curves(
    leading: Array,
    lagging: Array,
    *,
    max_lag: int = 12,
    min_lag: int = 0,
    method: str = "pearson",
    confidence_level: float = 0.95,
    seed: int = 1,
) -> tuple[PanelCurve, PanelCurve]:
    """Give the curves within and between customers, of two customers x periods arrays.

    NaN where a value is missing: each lag uses the pairs that are there. "spearman" ranks a
    customer's periods within that customer, and the customers' means among customers.
    """
    lags = lag_range(max_lag, min_lag)
    ranked = method == "spearman"
    x, y = leading.T, lagging.T
    steady = without_shared_course(x), without_shared_course(y)
    inside, across = [], []
    for sums in _sums(*steady, lags, squares=not ranked):
        across.append(_between(*sums[:3], ranked=ranked))
        if not ranked:
            inside.append(_within(*sums))
    if ranked:
        own = ranks_within(steady[0]), ranks_within(steady[1])
        inside = [_within(*sums) for sums in _sums(*own, lags)]
    return (
        _curve("within", lags, inside, confidence_level, seed),
        _curve("between", lags, across, confidence_level, seed),
    )


def without_shared_course(values: Array, rounds: int = 5) -> Array:
    """Take off what all customers share in a period: periods x customers.

    The shared course comes from how customers differ from their own means (two-way fixed effects),
    so that it does not move when customers of another kind come or go.
    """
    there = np.isfinite(values)
    marks = there.astype(np.float32)
    filled = np.where(there, values, 0.0)
    sums, totals = filled.sum(axis=0), filled.sum(axis=1)
    each, here = np.maximum(marks.sum(axis=0), 1.0), np.maximum(marks.sum(axis=1), 1.0)
    course = np.zeros(len(values))
    for _ in range(1 if there.all() else rounds):
        means = (sums - course.astype(np.float32) @ marks) / each
        course = (totals - marks @ means.astype(np.float32)) / here
    found: Array = values - (course - course.mean())[:, None]
    return found


def ranks_within(values: Array) -> Array:
    """Rank each customer's periods, ties sharing their mean rank: periods x customers."""
    found = np.empty(values.shape)
    for first in range(0, values.shape[1], CHUNK):
        part = np.ascontiguousarray(values[:, first : first + CHUNK])
        ranks = np.full(part.shape, 0.5)
        for other in part:
            ranks += other < part
            ranks += 0.5 * (other == part)
        found[:, first : first + CHUNK] = np.where(np.isfinite(part), ranks, np.nan)
    return found


def _sums(x: Array, y: Array, lags: Array, *, squares: bool = True) -> Iterator[tuple[Array, ...]]:
    """Give each customer's pairs, sums, squares and products (n, x, y, xx, yy, xy), lag by lag."""
    marks = [np.isfinite(each) for each in (x, y)]
    # Single precision is enough for a customer's few periods, once values are about 1 in size.
    x, y = (
        np.ascontiguousarray(np.where(there, each, 0.0) / _size(each), dtype=np.float32)
        for there, each in zip(marks, (x, y), strict=True)
    )
    here, there = (np.ascontiguousarray(each, dtype=np.float32) for each in marks)
    factors = [(here, there), (x, there), (here, y)]
    if squares:
        factors += [(x * x, there), (here, y * y), (x, y)]
    periods = len(x)
    for lag in lags.tolist():
        n = max(0, periods - abs(lag))
        early, late = (slice(0, n), slice(periods - n, periods))
        if lag < 0:
            early, late = late, early
        yield tuple(np.einsum("tc,tc->c", first[early], second[late]) for first, second in factors)


def _size(values: Array) -> float:
    """Give the standard deviation around 0; 1 where it is none."""
    there = np.isfinite(values)
    size = float(np.sqrt(np.square(np.where(there, values, 0.0)).sum() / max(there.sum(), 1)))
    return size if size > 0.0 else 1.0


def _within(
    n: Array, x: Array, y: Array, xx: Array, yy: Array, xy: Array
) -> tuple[float, Array, int, int]:
    """Give the correlation around customers' means, what each customer adds, pairs, customers."""
    each = np.maximum(n, 1.0)
    shared, own_x, own_y = xy - x * y / each, xx - x * x / each, yy - y * y / each
    used = n > 1
    rounding = FLAT * float(xx.sum()), FLAT * float(yy.sum())
    correlation, adds = _influence(shared, own_x, own_y, rounding)
    return correlation, adds, int(n[used].sum()), int(used.sum())


def _between(n: Array, x: Array, y: Array, *, ranked: bool) -> tuple[float, Array, int, int]:
    """Give the correlation of customers' means, what each customer adds, pairs, customers."""
    used = n > 0
    means = [each[used] / n[used] for each in (x, y)]
    if ranked:
        from scipy.stats import rankdata

        means = [rankdata(each) for each in means]
    first, second = (each - each.mean() if len(each) else each for each in means)
    correlation, some = _influence(first * second, first**2, second**2)
    adds = np.zeros(len(n))
    adds[used] = some
    return correlation, adds, int(n.sum()), int(used.sum())


def _influence(
    shared: Array, own_x: Array, own_y: Array, rounding: tuple[float, float] = (0.0, 0.0)
) -> tuple[float, Array]:
    """Give a correlation from what each customer adds to its three sums, and each one's influence."""
    sum_x, sum_y = float(own_x.sum()), float(own_y.sum())
    if not (sum_x > rounding[0] + 1e-9 and sum_y > rounding[1] + 1e-9):
        return math.nan, np.zeros(len(shared))
    spread = math.sqrt(sum_x * sum_y)
    correlation = float(shared.sum()) / spread
    share = 0.5 * (own_x / sum_x + own_y / sum_y)
    # As if each customer were left out in turn (a jackknife): few clusters vary too little else.
    return correlation, (shared / spread - correlation * share) / np.maximum(1.0 - share, 0.1)


def _curve(
    kind: str,
    lags: Array,
    found: list[tuple[float, Array, int, int]],
    confidence_level: float,
    seed: int,
) -> PanelCurve:
    from scipy.special import stdtrit

    correlations = np.array([each[0] for each in found])
    customers = np.array([each[3] for each in found])
    adds = np.stack([each[1] for each in found])
    known = np.isfinite(correlations) & (customers >= FEWEST_CUSTOMERS)
    count = np.maximum(customers, 2)
    covariance = (adds @ adds.T) * np.sqrt(np.outer(count / (count - 1), count / (count - 1)))
    errors = np.sqrt(np.diag(covariance))
    known &= errors > 1e-9
    low, high = np.full(len(lags), math.nan), np.full(len(lags), math.nan)
    inner = np.clip(correlations[known], -0.9999, 0.9999)
    reach = -stdtrit(count[known] - 1, (1.0 - confidence_level) / 2.0)
    reach = reach * errors[known] / (1.0 - inner**2)
    low[known], high[known] = np.tanh(np.arctanh(inner) - reach), np.tanh(np.arctanh(inner) + reach)
    best: int | None = None
    ends: tuple[int, int] | tuple[None, None] = None, None
    pvalue, reason = math.nan, ""
    if known.any():
        chosen = _best(correlations[known], covariance[np.ix_(known, known)], count[known], seed)
        place, some, pvalue = chosen
        best = int(lags[known][place])
        outside = (1.0 - confidence_level) / 2.0
        low_lag, high_lag = np.quantile(lags[known][some], [outside, 1 - outside], method="nearest")
        ends = min(int(low_lag), best), max(int(high_lag), best)
    elif customers.max(initial=0) < FEWEST_CUSTOMERS:
        reason = (
            f"too few: {customers.max(initial=0)} customers can be used {kind} customers, "
            f"{FEWEST_CUSTOMERS} are needed"
        )
    else:
        reason = f"nothing varies {kind} customers"
    return PanelCurve(
        kind=kind,
        lags=tuple(lags.tolist()),
        correlations=tuple(np.where(known, correlations, math.nan).tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        pairs=tuple(each[2] for each in found),
        customers=tuple(customers.tolist()),
        best_lag=best,
        pvalue=pvalue,
        lag_low=ends[0],
        lag_high=ends[1],
        confidence_level=confidence_level,
        reason=reason,
    )


def _best(
    correlations: Array, covariance: Array, customers: Array, seed: int
) -> tuple[int, Array, float]:
    """Give the place of the best lag, its places in draws, and the p-value for the best of all."""
    rng = np.random.default_rng(seed)
    errors = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    freedom = int(customers.min()) - 1
    drawn = rng.normal(size=(DRAWS, len(errors))) @ root.T
    drawn /= np.sqrt(rng.chisquare(freedom, size=(DRAWS, 1)) / freedom)
    size = np.abs(correlations) / errors
    # The interval of the lag compares correlations; standard errors differ little between lags.
    place = int(np.argmax(np.abs(correlations)))
    beyond = int((np.abs(drawn / errors).max(axis=1) >= size.max()).sum())
    some = np.argmax(np.abs(correlations + drawn), axis=1)
    return place, some, (1.0 + beyond) / (1.0 + DRAWS)
