"""Out-of-sample forecasts: does a leading indicator improve on the lagging one's own history?

A correlation in hindsight may be worth nothing in advance. So each period is forecast twice, only
from earlier periods: from the lagging series' own history, and from that plus the leading series
`lag` periods before. The two forecasts' errors are compared.

Sources: Diebold & Mariano (1995) Journal of Business & Economic Statistics 13:253-263; Harvey,
Leybourne & Newbold (1997) International Journal of Forecasting 13:281-291 (the correction for few
forecasts); Tashman (2000) International Journal of Forecasting 16:437-450 (rolling origin).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench.display import with_interval
from workbench.errors import unknown_name
from workbench.indicators.lag_curves import as_series, block_weights
from workbench.indicators.lags import count_of
from workbench.indicators.series import differences_needed

Array = npt.NDArray[Any]
Loss = Literal["rmse", "mae"]
FEWEST_FORECASTS = 12
FEWEST_ROWS = 12  # to fit the first forecast on, and at least three per coefficient
DRAWS = 999


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast errors with the leading indicator, compared with those from the own history alone.

    `ratio` is `error_with` / `error_alone`: below 1 the leading indicator helps. `low` and `high` are
    the ends of its block bootstrap interval. `pvalue` is that of Diebold and Mariano's one-sided test
    with the correction of Harvey, Leybourne and Newbold; its null hypothesis is that the leading
    indicator does not help. What is undefined is NaN, and `reason` says why.
    """

    leading: str
    lagging: str
    period: str
    lag: int
    loss: str
    forecasts: int
    confidence_level: float
    history: int
    differences: int
    error_alone: float = math.nan
    error_with: float = math.nan
    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    statistic: float = math.nan
    pvalue: float = math.nan
    reason: str = ""

    @property
    def helps(self) -> bool:
        """Whether the whole interval of the ratio lies below 1."""
        return self.high < 1.0

    @property
    def sentence(self) -> str:
        """Whether the indicator would have predicted the other, by how much and how sure."""
        pair = f"{self.leading}, {count_of(self.lag, self.period)} earlier"
        if self.reason:
            return (
                f"Whether {pair}, would have predicted {self.lagging} is not known: {self.reason}."
            )
        size = f"error ratio {with_interval(self.ratio, self.low, self.high, sign=False)}"
        on = f"over {count_of(self.forecasts, self.period)}, each forecast from earlier ones"
        if self.helps:
            return (
                f"{pair}, would have predicted {self.lagging}: errors were "
                f"{100.0 * (1.0 - self.ratio):.0f}% smaller than from its own history alone "
                f"({size}, {on})."
            )
        if self.low > 1.0:
            return (
                f"{pair}, would have made forecasts of {self.lagging} worse than its own history "
                f"alone does ({size}, {on})."
            )
        return (
            f"There is no clear evidence that {pair}, would have predicted {self.lagging} better "
            f"than its own history alone ({size}, {on})."
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
    """Compare one-period-ahead forecasts with and without the leading indicator.

    Both forecasts are least squares regressions on the last `history` values of the lagging series;
    one adds the leading value of `lag` periods before. Each is fitted on all earlier periods (rolling
    origin), and on at least twelve. If one of the series has a unit root, differences are forecast.

    Args:
        leading: One value per period, NaN where one is missing; rows with NaN are left out.
        lagging: One value for each of the same periods.
        lag: Periods between the leading value and the forecast period, 1 or more.
        names: What the sentence calls the two series.
        period: What the sentence calls a period, such as "week".
        loss: "rmse" compares root mean squared errors, "mae" mean absolute errors.
        history: Past values of the lagging series in both forecasts.
        confidence_level: Of the ratio's interval.
        seed: Of the block bootstrap.

    Returns:
        The comparison, with its sentence.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from workbench.datasets.indicators import simulate_series
        >>> made = simulate_series(periods=120, lag=3, strength=0.7, seed=4)
        >>> found = would_have_predicted(made.leading, made.lagging, lag=3)
        >>> found.helps, found.ratio < 0.85
        (True, True)
    """
    x, y = as_series(leading, lagging)
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
    target, own, other = _regression_rows(x, y, history, lag)
    before = max(FEWEST_ROWS, 3 * (history + 2))
    count = max(0, len(target) - before)
    known: dict[str, Any] = {
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
    if count < FEWEST_FORECASTS:
        more = FEWEST_FORECASTS + before - len(target)
        return Forecast(
            **known, reason=f"too short: it takes at least {count_of(more, period)} more"
        )
    power = 2 if loss == "rmse" else 1
    alone, both = (
        np.abs(_rolling_errors(target, design, before)) ** power
        for design in (own, np.column_stack([own, other]))
    )
    if not alone.sum() > 1e-12 * float(np.abs(target).max()) ** power:
        return Forecast(**known, reason="its own history leaves nothing to predict")
    if np.abs(alone - both).max() <= 1e-9 * alone.max():  # they differ by rounding alone
        return Forecast(**known, reason="it says no more than the own history does")
    statistic, pvalue = _diebold_mariano(alone, both)
    low, high = _ratio_interval(alone, both, power, confidence_level, seed)
    errors = [float(each.mean() ** (1.0 / power)) for each in (alone, both)]
    return Forecast(
        **known,
        error_alone=errors[0],
        error_with=errors[1],
        ratio=errors[1] / errors[0],
        low=low,
        high=high,
        statistic=statistic,
        pvalue=pvalue,
    )


def _diebold_mariano(alone: Array, both: Array) -> tuple[float, float]:
    """Test whether `both` has smaller losses than `alone`: statistic and one-sided p-value.

    One period ahead, with the factor of Harvey, Leybourne and Newbold, this is Student's t test.
    """
    from scipy.stats import ttest_1samp

    found = ttest_1samp(alone - both, 0.0, alternative="greater")
    return float(found.statistic), float(found.pvalue)


def _regression_rows(x: Array, y: Array, history: int, lag: int) -> tuple[Array, Array, Array]:
    """Return the target, its own past with a constant, and the lagged leading values, row by row."""
    first = max(history, lag)
    if len(y) <= first:
        return np.zeros(0), np.zeros((0, history + 1)), np.zeros(0)
    own = [y[first - back : len(y) - back] for back in range(1, history + 1)]
    past = np.column_stack([np.ones(len(y) - first), *own])
    target, other = y[first:], x[first - lag : len(x) - lag]
    whole = np.isfinite(target) & np.isfinite(past).all(axis=1) & np.isfinite(other)
    return target[whole], past[whole], other[whole]


def _rolling_errors(target: Array, design: Array, before: int) -> Array:
    """Return the errors of forecasts that are each fitted on all rows before."""
    errors = []
    for now in range(before, len(target)):
        slopes = np.linalg.lstsq(design[:now], target[:now], rcond=None)[0]
        errors.append(target[now] - design[now] @ slopes)
    return np.array(errors)


def _ratio_interval(
    alone: Array, both: Array, power: int, level: float, seed: int
) -> tuple[float, float]:
    """Return the block bootstrap interval of the ratio of errors."""
    weights = block_weights(len(alone), DRAWS, np.random.default_rng([seed, 3]))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = ((weights @ both) / (weights @ alone)) ** (1.0 / power)
    outside = (1.0 - level) / 2.0
    low, high = np.nanquantile(ratios, [outside, 1.0 - outside])
    return float(low), float(high)
