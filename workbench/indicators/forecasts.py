"""Would it have predicted? A leading indicator against the lagging one's own history.

A correlation that is there in hindsight may be worth nothing in advance. So each period is
forecast from those before it alone, twice: from the lagging series' own history, and from that and
the leading series as it was `lag` periods earlier. What counts is which was nearer.

Sources: Diebold & Mariano (1995) Journal of Business & Economic Statistics 13:253-263; Harvey,
Leybourne & Newbold (1997) International Journal of Forecasting 13:281-291 (the correction for few
forecasts); Tashman (2000) International Journal of Forecasting 16:437-450 (rolling origin); Granger
(1969) Econometrica 37:424-438.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench.errors import unknown_name
from workbench.indicators.lag_curves import block_weights, series_of
from workbench.indicators.lags import count_of
from workbench.indicators.series import differences_needed

Array = npt.NDArray[Any]
Loss = Literal["rmse", "mae"]
FEWEST_FORECASTS = 12
FEWEST_BEFORE = 12  # rows to fit on before the first forecast, and three for each coefficient
DRAWS = 999


@dataclass(frozen=True, slots=True)
class Forecast:
    """Errors of forecasts with the leading indicator against those from the own history alone.

    `ratio` is the error with the leading indicator / the error without: below 1 it helps; `low` and
    `high` are the ends of its block bootstrap interval. `pvalue` is that of Diebold and Mariano's
    test, with Harvey, Leybourne and Newbold's correction, that it does not help. What is undefined
    is NaN, and `reason` says why.
    """

    leading: str
    lagging: str
    period: str
    lag: int
    loss: str
    forecasts: int
    error_alone: float
    error_with: float
    ratio: float
    low: float
    high: float
    statistic: float
    pvalue: float
    confidence_level: float
    history: int
    differences: int
    reason: str = ""

    @property
    def helps(self) -> bool:
        """Whether the whole interval of the ratio lies below 1."""
        return self.high < 1.0

    @property
    def sentence(self) -> str:
        """Whether it would have predicted, by how much, how sure, over how many periods."""
        pair = f"{self.leading}, {count_of(self.lag, self.period)} earlier"
        if self.reason:
            return (
                f"Whether {pair}, would have predicted {self.lagging} is not known: {self.reason}."
            )
        change = 100.0 * (1.0 - self.ratio)
        size = f"error ratio {self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}]"
        on = f"over {count_of(self.forecasts, self.period)} forecast from those before"
        if self.helps:
            return (
                f"{pair}, would have predicted {self.lagging}: errors were {change:.0f}% smaller "
                f"than from its own history alone ({size}, {on})."
            )
        if self.low > 1.0:
            return (
                f"{pair}, would have made forecasts of {self.lagging} worse than its own history "
                f"alone does ({size}, {on})."
            )
        return (
            f"It is not shown that {pair}, would have predicted {self.lagging} better than its own "
            f"history alone ({size}, {on})."
        )


@dataclass(frozen=True, slots=True)
class Granger:
    """Granger's F test in one direction: does the past of `first` improve on that of `second`?

    It is a test within the sample, reported since others report it; it is about prediction in that
    direction and nothing else.
    """

    first: str
    second: str
    statistic: float
    pvalue: float
    lags: int
    freedom: int
    differences: int
    reason: str = ""

    @property
    def sentence(self) -> str:
        """The test with its direction spelled out."""
        way = f"Granger's test, from the past of {self.first} to {self.second}"
        if self.reason:
            return f"{way}: {self.reason}."
        said = "improves" if self.pvalue <= 0.05 else "does not clearly improve"
        size = f"p = {self.pvalue:.3f}" if self.pvalue >= 0.001 else "p < 0.001"
        return (
            f"{way}: it {said} on the past of {self.second} alone "
            f"(F({self.lags}, {self.freedom}) = {self.statistic:.2f}, {size})."
        )


def would_have_predicted(
    leading: Array,
    lagging: Array,
    *,
    lag: int,
    names: tuple[str, str] = ("leading", "lagging"),
    period: str = "period",
    loss: Loss = "rmse",
    history: int = 2,
    confidence_level: float = 0.95,
    seed: int = 1,
) -> Forecast:
    """Forecast each period from those before it, with the leading indicator and without.

    Both forecasts, one period ahead, are least squares on the last `history` values of the lagging
    series; one adds the leading value of `lag` periods before the period that is forecast. Where a
    series wanders, its differences are forecast. The origin rolls: every forecast is fitted on what
    was known by then, from at least twelve rows on. Rows with a missing value are left out.

    Raises ValueError for arguments out of range.

    >>> from workbench.datasets.indicators import simulate_series
    >>> made = simulate_series(periods=120, lag=3, strength=0.7, seed=4)
    >>> found = would_have_predicted(made.leading, made.lagging, lag=3)
    >>> found.helps, found.ratio < 0.85
    (True, True)
    """
    x, y = series_of(leading, lagging)
    if lag < 1:
        raise ValueError(f"lag is {lag}; it must be 1 or more, or nothing was known in advance")
    if history < 0:
        raise ValueError(f"history is {history}; it must be 0 or more")
    if loss not in get_args(Loss):
        raise ValueError(unknown_name("loss", loss, get_args(Loss)))
    if not 0.0 < confidence_level < 1.0:
        raise ValueError(f"confidence_level is {confidence_level}; it must lie between 0 and 1")
    differences = differences_needed(x, y)
    if differences:
        x, y = np.diff(x), np.diff(y)
    target, own, other = _rows(x, y, history, range(lag, lag + 1))
    before = max(FEWEST_BEFORE, 3 * (history + 2))
    count = max(0, len(target) - before)
    made: dict[str, Any] = {
        "leading": names[0],
        "lagging": names[1],
        "period": period,
        "lag": lag,
        "loss": loss,
        "forecasts": count,
        "confidence_level": confidence_level,
        "history": history,
        "differences": differences,
    }
    unknown: dict[str, Any] = dict.fromkeys(
        ("error_alone", "error_with", "ratio", "low", "high", "statistic", "pvalue"), math.nan
    )
    if count < FEWEST_FORECASTS:
        more = FEWEST_FORECASTS + before - len(target)
        reason = f"too short: it takes at least {count_of(more, period)} more"
        return Forecast(**made, **unknown, reason=reason)
    alone = _rolling(target, own, before)
    both = _rolling(target, np.column_stack([own, other]), before)
    power = 2 if loss == "rmse" else 1
    losses = np.abs(alone) ** power, np.abs(both) ** power
    if not losses[0].sum() > 1e-12 * float(np.abs(target).max()) ** power:
        return Forecast(**made, **unknown, reason="its own history leaves nothing to predict")
    statistic, pvalue = diebold_mariano(*losses)
    low, high = _ratio_ends(*losses, power, confidence_level, seed)
    errors = [float(each.mean() ** (1.0 / power)) for each in losses]
    return Forecast(
        **made,
        error_alone=errors[0],
        error_with=errors[1],
        ratio=errors[1] / errors[0],
        low=low,
        high=high,
        statistic=statistic,
        pvalue=pvalue,
    )


def granger(
    first: Array,
    second: Array,
    *,
    lags: int,
    names: tuple[str, str] = ("first", "second"),
    differences: int | None = None,
) -> Granger:
    """Test whether the last `lags` values of `first` improve a regression of `second` on its own.

    The F test of two least squares regressions, with and without `first`; both series are
    differenced where one of them wanders, unless `differences` says otherwise.

    Raises ValueError for fewer than one lag.
    """
    from scipy.special import fdtrc

    x, y = series_of(first, second)
    if lags < 1:
        raise ValueError(f"lags is {lags}; it must be 1 or more")
    differences = differences_needed(x, y) if differences is None else differences
    if differences:
        x, y = np.diff(x), np.diff(y)
    target, own, other = _rows(x, y, lags, range(1, lags + 1))
    freedom = len(target) - 2 * lags - 1
    made: dict[str, Any] = {"first": names[0], "second": names[1], "lags": lags}
    made |= {"freedom": freedom, "differences": differences}
    if freedom < lags + 1:
        reason = f"too short: {len(target)} rows for {2 * lags + 1} coefficients"
        return Granger(**made, statistic=math.nan, pvalue=math.nan, reason=reason)
    alone, both = (_left(target, each) for each in (own, np.column_stack([own, other])))
    if not both > 1e-12 * float(target @ target):
        reason = "nothing is left to explain"
        return Granger(**made, statistic=math.nan, pvalue=math.nan, reason=reason)
    statistic = (alone - both) / lags / (both / freedom)
    return Granger(**made, statistic=statistic, pvalue=float(fdtrc(lags, freedom, statistic)))


def diebold_mariano(alone: Array, both: Array) -> tuple[float, float]:
    """Test that losses `both` are no smaller than `alone`: statistic and one-sided p-value.

    For forecasts one period ahead; Harvey, Leybourne and Newbold's factor and Student's t.
    """
    from scipy.special import stdtr

    gain = alone - both
    n = len(gain)
    variance = float(np.var(gain)) / n
    if not variance > 0.0:
        return math.nan, math.nan
    statistic = float(gain.mean()) / math.sqrt(variance) * math.sqrt((n - 1) / n)
    return statistic, float(stdtr(n - 1, -statistic))


def _rows(x: Array, y: Array, history: int, lags: range) -> tuple[Array, Array, Array]:
    """Give the target, its own past with a constant, and the leading one's past, row by row."""
    first = max(history, *lags)
    if len(y) <= first:
        return np.zeros(0), np.zeros((0, history + 1)), np.zeros((0, len(lags)))
    own = [np.ones(len(y) - first)]
    own += [y[first - back : len(y) - back] for back in range(1, history + 1)]
    other = np.column_stack([x[first - back : len(x) - back] for back in lags])
    past, target = np.column_stack(own), y[first:]
    whole = np.isfinite(target) & np.isfinite(past).all(axis=1) & np.isfinite(other).all(axis=1)
    return target[whole], past[whole], other[whole]


def _rolling(target: Array, design: Array, before: int) -> Array:
    """Give the errors of forecasts, each from a fit on all rows before it."""
    errors = []
    for now in range(before, len(target)):
        slopes = np.linalg.lstsq(design[:now], target[:now], rcond=None)[0]
        errors.append(target[now] - design[now] @ slopes)
    return np.array(errors)


def _left(target: Array, design: Array) -> float:
    """Give the sum of squares that a regression leaves."""
    left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(left @ left)


def _ratio_ends(
    alone: Array, both: Array, power: int, level: float, seed: int
) -> tuple[float, float]:
    """Give the block bootstrap interval of the ratio of errors."""
    weights = block_weights(len(alone), DRAWS, np.random.default_rng([seed, 3]))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = ((weights @ both) / (weights @ alone)) ** (1.0 / power)
    outside = (1.0 - level) / 2.0
    low, high = np.nanquantile(ratios, [outside, 1.0 - outside])
    return float(low), float(high)
