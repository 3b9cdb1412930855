"""Lagged association in a panel of customers: within customers, between them, and who left.

Within: does a customer's own better period come before that customer's own better period? What a
customer is like on the whole, and what all customers share in a period, is taken off. Between: do
customers who are higher on the whole have more of the other? All errors are clustered by customer:
each counts once, however many periods there are.

Sources: Cameron & Miller (2015) Journal of Human Resources 50:317-372 (errors by cluster); Hampel
(1974) JASA 69:383-393 (what one customer adds to a correlation); Hothorn, Bretz & Westfall (2008)
Biometrical Journal 50:346-363 (the largest of all lags, from their joint distribution).

A panel has one value per customer and period. Within a customer and between customers are two
questions with two answers, and they may have opposite signs, so they are never mixed. A customer
who left has no later periods: what came before counts, the customer is counted as having left, and
a warning says so where leavers differ in the leading indicator, since the association then is that
of those who stayed. Nothing here says that one thing causes another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.errors import unknown_name
from workbench.indicators.lags import count_of, order_words, signed
from workbench.indicators.series import lag_range
from workbench.stats.discrimination import BinaryAssociation, binary_association

Array = npt.NDArray[Any]
FEWEST_CUSTOMERS = 10  # with fewer clusters, errors by cluster are too small
FLAT = 1e-5  # of what varies in all, within customers: less than that is rounding
DRAWS = 9_999
CHUNK = 20_000  # customers ranked at a time
Method = Literal["pearson", "spearman"]


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


@dataclass(frozen=True, slots=True)
class Leavers:
    """Customers whose values end before the panel does, and how their leading values differed.

    `difference` is the mean of leavers - that of the others, in standard deviations between
    customers, with the ends of its 95% interval; NaN where either has fewer than two.
    """

    left: int
    customers: int
    difference: float
    low: float
    high: float

    @property
    def differ(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class PanelAssociation:
    """What two indicators of the same customers have to do with each other; lag > 0: leading first.

    `yes_no` is there where the lagging indicator has only 0 and 1: how well the leading value tells
    them apart at the best lag within customers, or between them where there is none within.
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
        """Whether one moves with the other within customers."""
        return self.within.pvalue <= self.alpha

    @property
    def best_lag(self) -> int | None:
        """The best lag within customers; None where nothing can be said."""
        return self.within.best_lag

    @property
    def warning(self) -> str:
        """What customers who left do to this, in a sentence; empty where they do nothing."""
        gone = self.leavers
        if not gone.differ:
            return ""
        way = "higher" if gone.difference > 0 else "lower"
        return (
            f"{gone.left:,} of {gone.customers:,} customers left, and their {self.leading} was "
            f"{way} by {abs(gone.difference):.2f} standard deviations [{signed(gone.low)}, "
            f"{signed(gone.high)}]: what is said here holds of customers while they stay; look at "
            "leaving as a lagging indicator of its own."
        )

    @property
    def sentence(self) -> str:
        """What a reader needs: the lag, the strength, how sure, on how many periods and customers."""
        return " ".join(
            each
            for each in (
                _within_sentence(self),
                _between_sentence(self),
                _told_apart(self),
                _gone(self),
            )
            if each
        )


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

    Both are customers x periods, NaN where a value is missing or the customer is not there (`wide`
    makes such arrays of rows). What all customers share in a period is taken off; errors are
    clustered by customer, and the p-values are for having searched all lags.

    Raises ValueError for arguments out of range.

    >>> from workbench.datasets.indicators import simulate_panel
    >>> made = simulate_panel(customers=200, periods=24, lag=2, within=0.4, between=-0.3, seed=1)
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
        early, late = _beside(x, y, lag)
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
        leavers=leavers_of(x, y),
        yes_no=answer,
        yes_no_lag=lag if answer else None,
        alpha=alpha,
    )


def wide(
    customers: Sequence[Any] | Array, periods: Sequence[int] | Array, values: Array
) -> tuple[Array, Array]:
    """Turn rows of customer, number of the period (from 0) and value into customers x periods.

    Gives the customers in their order and the array, NaN where there is no row.

    Raises ValueError where a customer has two values for one period.

    >>> wide(["b", "a", "b"], [0, 1, 1], [1.0, 2.0, 3.0])
    (array(['a', 'b'], dtype='<U1'), array([[nan,  2.], [ 1.,  3.]]))
    """
    names, rows = np.unique(np.asarray(customers), return_inverse=True)
    columns = np.asarray(periods, dtype=int)
    found = np.full((len(names), int(columns.max(initial=-1)) + 1), np.nan)
    cells = rows * found.shape[1] + columns
    if len(np.unique(cells)) < len(cells):
        ordered = np.sort(cells)
        again = int(ordered[1:][ordered[1:] == ordered[:-1]][0])
        name, period = names[again // found.shape[1]], again % found.shape[1]
        raise ValueError(f"customer {name} has two values for period {period}; give one")
    found[rows, columns] = values
    return names, found


def leaving(panel: Array) -> Array:
    """Make leaving an indicator of its own: 0 while a customer is there, 1 in the period after.

    >>> import numpy as np
    >>> leaving(np.array([[1.0, 2.0, np.nan, np.nan], [1.0, np.nan, 1.0, 1.0]]))
    array([[ 0.,  0.,  1., nan], [ 0.,  0.,  0.,  0.]])
    """
    there = np.isfinite(panel)
    seen = np.asarray(there.any(axis=1))
    last = panel.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    time = np.arange(panel.shape[1])[None, :]
    inside = (time >= there.argmax(axis=1)[:, None]) & (time <= last[:, None]) & seen[:, None]
    after = (time == last[:, None] + 1) & seen[:, None]
    found: Array = np.where(inside, 0.0, np.where(after, 1.0, np.nan))
    return found


def leavers_of(leading: Array, lagging: Array) -> Leavers:
    """Count customers whose values end before the panel does, and compare their leading values."""
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


def _beside(x: Array, y: Array, lag: int) -> tuple[Array, Array]:
    """Cut both so that each leading value stands beside the lagging one `lag` periods later."""
    n = x.shape[1] - abs(lag)
    return (x[:, :n], y[:, -n:]) if lag >= 0 else (x[:, -n:], y[:, :n])


def _ends(curve: PanelCurve, lag: int) -> str:
    correlation, low, high = curve.at(lag)
    return f"correlation {signed(correlation)} [{signed(low)}, {signed(high)}]"


def _on(curve: PanelCurve, lag: int, period: str) -> str:
    place = curve.lags.index(lag)
    customers = display.count(curve.customers[place])
    return f"on {customers} customers and {count_of(curve.pairs[place], f'customer-{period}')}"


def _equals(pvalue: float) -> str:
    return f"p = {pvalue:.3f}" if pvalue >= display.SMALLEST_PVALUE else "p < 0.001"


def _within_sentence(found: PanelAssociation) -> str:
    curve, lag = found.within, found.best_lag
    pair = f"{found.leading} and {found.lagging}"
    if lag is None:
        return f"Within customers nothing can be said of {pair}: {curve.reason}."
    sure = f"{_equals(curve.pvalue)} for the best of {len(curve.lags)} lags"
    on = _on(curve, lag, found.period)
    if not found.found:
        return (
            f"Within customers there is no sign that {found.leading} moves before "
            f"{found.lagging}: the best lag, {count_of(lag, found.period)}, has a {_ends(curve, lag)} "
            f"{on}, which may be chance ({sure})."
        )
    way = "same" if curve.correlation > 0 else "opposite"
    return (
        f"Within customers {order_words(found.leading, found.lagging, lag, found.period)} "
        f"({100 * curve.confidence_level:g}% interval {curve.lag_low} to {curve.lag_high}), in the "
        f"{way} direction: {_ends(curve, lag)} {on}; {sure}."
    )


def _between_sentence(found: PanelAssociation) -> str:
    curve = found.between
    lag = curve.best_lag if found.best_lag is None else found.best_lag
    if lag is None or not math.isfinite(curve.at(lag)[0]):
        return f"Between customers nothing can be said: {curve.reason or 'too few pairs'}."
    correlation, low, high = curve.at(lag)
    if low <= 0.0 <= high:
        word = f"are not clearly different in {found.lagging}"
    else:
        word = f"have {'higher' if correlation > 0 else 'lower'} {found.lagging}"
    place = curve.lags.index(lag)
    return (
        f"Between customers, those with higher {found.leading} on the whole {word}: "
        f"{_ends(curve, lag)} on {display.count(curve.customers[place])} customers."
    )


def _told_apart(found: PanelAssociation) -> str:
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
        f"{area.estimate:.2f} [{area.low:.2f}, {area.high:.2f}]; one standard deviation more goes "
        f"with odds times {odds.estimate:.2f} [{odds.low:.2f}, {odds.high:.2f}]."
    )


def _gone(found: PanelAssociation) -> str:
    if found.warning or not found.leavers.left:
        return found.warning
    return (
        f"{found.leavers.left:,} of {found.leavers.customers:,} customers left; their periods until "
        "then count."
    )
