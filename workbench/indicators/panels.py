"""Lagged association in a panel of customers: within customers, between them, and who left.

A panel has one value per customer and period. It answers two questions, which can have answers of
opposite sign and so are never mixed. Within customers: do changes of a customer's leading indicator
precede changes of the same customer's lagging indicator? The customer's own mean and the effects that
all customers share in a period are removed. Between customers: do customers with a higher average of
one have a higher average of the other? Standard errors are clustered by customer.

A customer who left has no later periods. The periods before count, and a warning is given if leavers
differ in the leading indicator, because the association then describes those who stayed. An
association does not show that one thing causes the other.

Sources: Cameron & Miller (2015) Journal of Human Resources 50:317-372 (errors by cluster); Hampel
(1974) JASA 69:383-393 (influence of one customer on a correlation); Hothorn, Bretz & Westfall (2008)
Biometrical Journal 50:346-363 (the largest of all lags, from their joint distribution).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.display import signed, with_interval
from workbench.errors import unknown_name
from workbench.indicators.lags import count_of, order_words, pvalue_words
from workbench.indicators.series import lag_range
from workbench.stats.discrimination import BinaryAssociation, binary_association

Array = npt.NDArray[Any]
FEWEST_CUSTOMERS = 10  # with fewer clusters, clustered errors are too small
ROUNDING = 1e-5  # share of the total variation that counts as no variation within customers
DRAWS = 9_999
Method = Literal["pearson", "spearman"]


@dataclass(frozen=True, slots=True)
class PanelCurve:
    """Correlations within or between customers over all lags, and the best lag.

    `low` and `high` are the ends of each lag's own interval; `pairs` and `customers` count what is
    used at each lag. `pvalue` is that of the best lag, corrected for the search over all lags;
    `lag_low` to `lag_high` is the interval of the best lag. What is undefined is NaN (None for a
    lag), and `reason` says why.
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
        """Return the correlation at a lag and the ends of its interval."""
        place = self.lags.index(lag)
        return self.correlations[place], self.low[place], self.high[place]

    @property
    def correlation(self) -> float:
        """The correlation at the best lag; NaN without one."""
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
    """Return the curves within and between customers; arguments as for `associate_panel`.

    Each lag uses the pairs in which both values are known. "spearman" ranks each customer's periods
    within that customer, and the means of customers among customers.
    """
    lags = lag_range(max_lag, min_lag)
    ranked = method == "spearman"
    steady = remove_period_effects(leading.T), remove_period_effects(lagging.T)
    inside, across = [], []
    for sums in _lagged_sums(*steady, lags, squares=not ranked):
        across.append(_between(*sums[:3], ranked=ranked))
        if not ranked:
            inside.append(_within(*sums))
    if ranked:
        import pandas as pd

        own = [pd.DataFrame(each).rank().to_numpy() for each in steady]
        inside = [_within(*sums) for sums in _lagged_sums(own[0], own[1], lags)]
    return (
        _curve("within", lags, inside, confidence_level, seed),
        _curve("between", lags, across, confidence_level, seed),
    )


def remove_period_effects(values: Array, rounds: int = 5) -> Array:
    """Remove what all customers share in a period: periods x customers.

    The shared effects are estimated from deviations from the customers' own means (two-way fixed
    effects), so that they do not move when customers of another kind come or go. With gaps, the
    estimate takes `rounds` iterations.
    """
    there = np.isfinite(values)
    marks = there.astype(np.float32)
    filled = np.where(there, values, 0.0)
    sums, totals = filled.sum(axis=0), filled.sum(axis=1)
    each, here = np.maximum(marks.sum(axis=0), 1.0), np.maximum(marks.sum(axis=1), 1.0)
    effects = np.zeros(len(values))
    for _ in range(1 if there.all() else rounds):
        means = (sums - effects.astype(np.float32) @ marks) / each
        effects = (totals - marks @ means.astype(np.float32)) / here
    found: Array = values - (effects - effects.mean())[:, None]
    return found


def _lagged_sums(
    x: Array, y: Array, lags: Array, *, squares: bool = True
) -> Iterator[tuple[Array, ...]]:
    """Yield each customer's pairs, sums, squares and products (n, x, y, xx, yy, xy), lag by lag."""
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
    """Return the root mean square; 1 if it is 0."""
    there = np.isfinite(values)
    size = float(np.sqrt(np.square(np.where(there, values, 0.0)).sum() / max(there.sum(), 1)))
    return size if size > 0.0 else 1.0


def _within(
    n: Array, x: Array, y: Array, xx: Array, yy: Array, xy: Array
) -> tuple[float, Array, int, int]:
    """Return the correlation around customers' means, each customer's influence, pairs, customers."""
    each = np.maximum(n, 1.0)
    shared, own_x, own_y = xy - x * y / each, xx - x * x / each, yy - y * y / each
    used = n > 1
    rounding = ROUNDING * float(xx.sum()), ROUNDING * float(yy.sum())
    correlation, adds = _influence(shared, own_x, own_y, rounding)
    return correlation, adds, int(n[used].sum()), int(used.sum())


def _between(n: Array, x: Array, y: Array, *, ranked: bool) -> tuple[float, Array, int, int]:
    """Return the correlation of customers' means, each customer's influence, pairs, customers."""
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
    """Return a correlation and each customer's influence, from customers' shares of its three sums."""
    sum_x, sum_y = float(own_x.sum()), float(own_y.sum())
    if not (sum_x > rounding[0] + 1e-9 and sum_y > rounding[1] + 1e-9):
        return math.nan, np.zeros(len(shared))
    spread = math.sqrt(sum_x * sum_y)
    correlation = float(shared.sum()) / spread
    share = 0.5 * (own_x / sum_x + own_y / sum_y)
    # The divisor makes it a jackknife; without it, few clusters vary too little.
    return correlation, (shared / spread - correlation * share) / np.maximum(1.0 - share, 0.1)


def _curve(
    kind: str,
    lags: Array,
    found: list[tuple[float, Array, int, int]],
    confidence_level: float,
    seed: int,
) -> PanelCurve:
    """Join what was found at each lag, with intervals, the best lag and its p-value."""
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
            f"too few customers: {customers.max(initial=0)} of the {FEWEST_CUSTOMERS} needed have "
            "the values"
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
    """Return the place of the best lag, its places in draws, and the p-value of the best of all."""
    rng = np.random.default_rng(seed)
    errors = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    freedom = int(customers.min()) - 1
    drawn = rng.normal(size=(DRAWS, len(errors))) @ root.T
    drawn /= np.sqrt(rng.chisquare(freedom, size=(DRAWS, 1)) / freedom)
    size = np.abs(correlations) / errors
    # The lag is chosen by correlation, in data and draws; standard errors differ little between lags.
    place = int(np.argmax(np.abs(correlations)))
    beyond = int((np.abs(drawn / errors).max(axis=1) >= size.max()).sum())
    some = np.argmax(np.abs(correlations + drawn), axis=1)
    return place, some, (1.0 + beyond) / (1.0 + DRAWS)


@dataclass(frozen=True, slots=True)
class Leavers:
    """Customers whose values end before the panel does, and how their leading values differed.

    `difference` is the mean of the leavers minus that of the others, in standard deviations between
    customers, with the ends of its 95% interval; NaN if either group has fewer than two customers.
    """

    left: int
    customers: int
    difference: float
    low: float
    high: float

    @property
    def differ(self) -> bool:
        """Whether the interval of the difference excludes zero."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class PanelAssociation:
    """The association of two indicators of the same customers; a lag above 0: leading first.

    If the lagging indicator has only the values 0 and 1, `yes_no` says how well the leading value
    tells them apart at the best lag within customers (between customers, if there is none within).
    """

    leading: str
    lagging: str
    period: str
    method: str
    within: PanelCurve
    between: PanelCurve
    leavers: Leavers
    yes_no: BinaryAssociation | None
    yes_no_lag: int | None
    alpha: float

    @property
    def found(self) -> bool:
        """Whether the two move together within customers."""
        return self.within.pvalue <= self.alpha

    @property
    def best_lag(self) -> int | None:
        """The best lag within customers; None if it is unknown."""
        return self.within.best_lag

    @property
    def warning(self) -> str:
        """A sentence on how customers who left bias the association; empty if they do not."""
        gone = self.leavers
        if not gone.differ:
            return ""
        way = "higher" if gone.difference > 0 else "lower"
        return (
            f"{gone.left:,} of {gone.customers:,} customers left, and their {self.leading} was "
            f"{way} by {abs(gone.difference):.2f} standard deviations [{signed(gone.low)}, "
            f"{signed(gone.high)}]: this association describes customers while they stay; define "
            "leaving as a lagging indicator of its own."
        )

    @property
    def sentence(self) -> str:
        """The lag, the correlations, the certainty and the numbers of customers, in sentences."""
        parts = (_within_sentence, _between_sentence, _yes_no_sentence, _leavers_sentence)
        return " ".join(filter(None, (part(self) for part in parts)))


def associate_panel(
    leading: Array,
    lagging: Array,
    *,
    max_lag: int = 12,
    min_lag: int = 0,
    method: Method = "pearson",
    names: tuple[str, str] = ("leading", "lagging"),
    period: str = "period",
    confidence_level: float = 0.95,
    alpha: float = 0.05,
    seed: int = 1,
) -> PanelAssociation:
    """Associate two indicators of the same customers at each lag, within and between customers.

    Effects that all customers share in a period are removed. Standard errors are clustered by
    customer, and p-values are corrected for the search over all lags.

    Args:
        leading: Customers x periods; NaN where a value is missing or the customer is not there.
        lagging: The same customers x the same periods.
        max_lag: The largest lag searched, in periods; above 0 the leading indicator comes first.
        min_lag: The smallest lag searched.
        method: "pearson", or "spearman" for ranks of a customer's periods and of customers' means.
        names: What sentences call the two indicators.
        period: What sentences call a period, such as "week".
        confidence_level: Of the intervals.
        alpha: The pair counts as found up to this p-value within customers.
        seed: Of the draws from the joint distribution over lags.

    Returns:
        Both curves, with sentences. Where there are too few customers, or nothing varies,
        correlations are NaN and `reason` says why.

    Raises:
        ValueError: If an argument is out of range, or the shapes differ.

    Example:
        >>> from workbench.datasets.indicators import simulate_panel
        >>> made = simulate_panel(
        ...     customers=200, periods=24, lag=2, within=0.4, between=-0.3, seed=1
        ... )
        >>> found = associate_panel(made.leading, made.lagging, max_lag=6)
        >>> found.found, found.best_lag, found.between.correlation < 0
        (True, 2, True)
    """
    x, y = (np.asarray(each, dtype=float) for each in (leading, lagging))
    if x.ndim != 2 or x.shape != y.shape:
        raise ValueError(
            f"leading has the shape {x.shape} and lagging {y.shape}; both must be customers x "
            "periods, of the same customers and periods"
        )
    if method not in get_args(Method):
        raise ValueError(unknown_name("method", method, get_args(Method)))
    for name, value in (("confidence_level", confidence_level), ("alpha", alpha)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} is {value}; it must lie between 0 and 1")
    within, between = panel_curves(
        x,
        y,
        max_lag=max_lag,
        min_lag=min_lag,
        method=method,
        confidence_level=confidence_level,
        seed=seed,
    )
    lag = within.best_lag if within.best_lag is not None else between.best_lag
    answer = None
    if lag is not None and _is_yes_no(y):
        early, late = _aligned(x, y, lag)
        who = np.repeat(np.arange(len(x)), early.shape[1])
        answer = binary_association(
            early.ravel(), late.ravel(), who, confidence_level=confidence_level
        )
    return PanelAssociation(
        leading=names[0],
        lagging=names[1],
        period=period,
        method=method,
        within=within,
        between=between,
        leavers=compare_leavers(x, y),
        yes_no=answer,
        yes_no_lag=lag if answer else None,
        alpha=alpha,
    )


def compare_leavers(leading: Array, lagging: Array) -> Leavers:
    """Count customers whose values end before the panel does, and compare their leading values."""
    # Periods' means are subtracted first: leavers have more early periods than others.
    from scipy.stats import ttest_ind

    there: Array = np.isfinite(leading) | np.isfinite(lagging)
    seen = np.asarray(there.any(axis=1))
    if not there.any():
        return Leavers(0, 0, math.nan, math.nan, math.nan)
    end = int(np.flatnonzero(there.any(axis=0))[-1])
    left = seen & ~there[:, end]
    marks = np.isfinite(leading)
    count = marks.sum(axis=1)
    shared = np.where(marks, leading, 0.0).sum(axis=0) / np.maximum(marks.sum(axis=0), 1)
    own = np.where(marks, leading - shared, 0.0).sum(axis=1) / np.maximum(count, 1)
    gone, others = own[left & (count > 0)], own[seen & ~left & (count > 0)]
    counts = int(left.sum()), int(seen.sum())
    if min(len(gone), len(others)) < 2 or not np.ptp(np.concatenate([gone, others])) > 0.0:
        return Leavers(*counts, math.nan, math.nan, math.nan)
    spread = float(np.std(np.concatenate([gone, others])))
    if not (np.ptp(gone) > 0.0 or np.ptp(others) > 0.0):
        return Leavers(*counts, float(gone.mean() - others.mean()) / spread, math.nan, math.nan)
    ends = ttest_ind(gone, others, equal_var=False).confidence_interval(0.95)
    difference = float(gone.mean() - others.mean()) / spread
    return Leavers(*counts, difference, float(ends.low) / spread, float(ends.high) / spread)


def _is_yes_no(values: Array) -> bool:
    known = values[np.isfinite(values)]
    return bool(((known == 0.0) | (known == 1.0)).all() and np.ptp(known) > 0.0)


def _aligned(x: Array, y: Array, lag: int) -> tuple[Array, Array]:
    """Cut both so that each leading value is paired with the lagging one `lag` periods later."""
    n = x.shape[1] - abs(lag)
    return (x[:, :n], y[:, -n:]) if lag >= 0 else (x[:, -n:], y[:, :n])


def _within_sentence(found: PanelAssociation) -> str:
    curve, lag = found.within, found.best_lag
    pair = f"{found.leading} and {found.lagging}"
    if lag is None:
        return f"Within customers nothing can be said of {pair}: {curve.reason}."
    sure = f"{pvalue_words(curve.pvalue)} for the best of {len(curve.lags)} lags"
    place = curve.lags.index(lag)
    on = (
        f"correlation {with_interval(*curve.at(lag))} on "
        f"{display.count(curve.customers[place])} customers and "
        f"{count_of(curve.pairs[place], f'customer-{found.period}')}"
    )
    if not found.found:
        return (
            f"Within customers there is no sign that {found.leading} moves before "
            f"{found.lagging}: the best lag, {count_of(lag, found.period)}, has a {on}, which may be "
            f"chance ({sure})."
        )
    way = "same" if curve.correlation > 0 else "opposite"
    return (
        f"Within customers {order_words(found.leading, found.lagging, lag, found.period)} "
        f"({100 * curve.confidence_level:g}% interval {curve.lag_low} to {curve.lag_high}), in the "
        f"{way} direction: {on}; {sure}."
    )


def _between_sentence(found: PanelAssociation) -> str:
    curve = found.between
    lag = curve.best_lag if found.best_lag is None else found.best_lag
    if lag is None or not math.isfinite(curve.at(lag)[0]):
        return f"Between customers nothing can be said: {curve.reason or 'too few pairs'}."
    correlation, low, high = curve.at(lag)
    if low <= 0.0 <= high:
        word = f"do not clearly differ in {found.lagging}"
    else:
        word = f"have {'higher' if correlation > 0 else 'lower'} {found.lagging}"
    place = curve.lags.index(lag)
    return (
        f"Between customers, those with a higher average {found.leading} {word}: correlation "
        f"{with_interval(*curve.at(lag))} on {display.count(curve.customers[place])} customers."
    )


def _yes_no_sentence(found: PanelAssociation) -> str:
    told = found.yes_no
    if told is None:
        return ""
    share = f"{told.yes:,}/{told.pairs:,} yes"
    area, odds = told.auc, told.odds_ratio
    if math.isnan(area.estimate):
        return f"{found.lagging} is yes/no ({share}): {area.reason}."
    return (
        f"{found.lagging} is yes/no ({share}): {found.leading} "
        f"{count_of(found.yes_no_lag or 0, found.period)} earlier tells them apart with an AUC of "
        f"{area.estimate:.2f} [{area.low:.2f}, {area.high:.2f}]; one standard deviation more "
        f"multiplies the odds by {odds.estimate:.2f} [{odds.low:.2f}, {odds.high:.2f}]."
    )


def _leavers_sentence(found: PanelAssociation) -> str:
    if found.warning or not found.leavers.left:
        return found.warning
    return (
        f"{found.leavers.left:,} of {found.leavers.customers:,} customers left; their periods before "
        "that count."
    )
