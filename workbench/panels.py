"""Lagged association in a panel of customers: within customers, between them, and who left.

A panel has one value per customer and period. Within a customer and between customers are two
questions with two answers, and they may have opposite signs, so they are never mixed. A customer
who left has no later periods: what came before counts, the customer is counted as having left, and
a warning says so where leavers differ in the leading indicator, since the association then is that
of those who stayed. Nothing here says that one thing causes another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench import formats
from workbench.errors import unknown_name
from workbench.lags import count_of, order_words, signed
from workbench.panel_curves import PanelCurve, panel_curves
from workbench.yes_no import YesNo, yes_or_no

Array = npt.NDArray[Any]
Method = Literal["pearson", "spearman"]


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
    yes_no: YesNo | None
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
            each for each in (_within(self), _between(self), _told_apart(self), _gone(self)) if each
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

    >>> from workbench.simulate_panels import simulate_panel
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
        answer = yes_or_no(early.ravel(), late.ravel(), who, confidence_level=confidence_level)
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
    customers = formats.count(curve.customers[place])
    return f"on {customers} customers and {count_of(curve.pairs[place], f'customer-{period}')}"


def _equals(pvalue: float) -> str:
    return f"p = {pvalue:.3f}" if pvalue >= formats.SMALLEST_PVALUE else "p < 0.001"


def _within(found: PanelAssociation) -> str:
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


def _between(found: PanelAssociation) -> str:
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
        f"{_ends(curve, lag)} on {formats.count(curve.customers[place])} customers."
    )


def _told_apart(found: PanelAssociation) -> str:
    told = found.yes_no
    if told is None:
        return ""
    share = f"{told.yes:,}/{told.pairs:,} yes"
    if math.isnan(told.auc):
        return f"{found.lagging} is yes/no ({share}): {told.reason}."
    return (
        f"{found.lagging} is yes/no ({share}): {found.leading} "
        f"{count_of(found.yes_no_lag or 0, found.period)} earlier tells them apart with an AUC of "
        f"{told.auc:.2f} [{told.auc_low:.2f}, {told.auc_high:.2f}]; one standard deviation more goes "
        f"with odds times {told.odds_ratio:.2f} [{told.odds_low:.2f}, {told.odds_high:.2f}]."
    )


def _gone(found: PanelAssociation) -> str:
    if found.warning or not found.leavers.left:
        return found.warning
    return (
        f"{found.leavers.left:,} of {found.leavers.customers:,} customers left; their periods until "
        "then count."
    )
