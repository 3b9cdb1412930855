"""Closed forms for two rates: restricted estimates, score statistics, and approximate intervals.

Every function takes converted and total of control (x0, n0), then of treatment (x1, n1); the effect
is treatment - control. Counts may be arrays; the null difference is one number. Arguments are not
checked: callers hold valid counts.

Sources: Miettinen & Nurminen (1985) Statistics in Medicine 4:213-226; Farrington & Manning (1990)
Statistics in Medicine 9:1447-1454; Newcombe (1998) Statistics in Medicine 17:873-890; Agresti &
Caffo (2000) The American Statistician 54:280-288; Wilson (1927) JASA 22:209-212.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Counted = npt.NDArray[Any] | float | int
ROUNDING = 8 * float(np.finfo(np.float64).eps)
ZERO = 1e-12  # a distance between rates that only rounding can make
TIE = 1e-8  # statistics this close are equal; rounding reaches 1e-9
FLAT = 1e-9  # a slope so small beside its parts, or a step beside what it changes, is none
RARE = 0.01  # rates below it are nearly those of counts without an upper end
SPECK = 1e-30  # keeps a quotient finite
UNSURE = 0.15  # a contour this close to a whole count is looked at again
HALVINGS = 200  # bisection steps at most; it ends sooner, at neighbouring floats
POLISHES = 60  # Newton steps at most; one or two but for the rarest rates


def normal_quantile(confidence_level: float) -> float:
    """Return z such that `confidence_level` of the standard normal lies between -z and z.

    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    return -NormalDist().inv_cdf((1.0 - confidence_level) / 2.0)


def below(quantile: float) -> float:
    """Return the standard normal distribution function, with full precision in the left tail."""
    return 0.5 * math.erfc(-quantile / math.sqrt(2.0))


def _between(values: Array, low: float, high: float) -> Array:
    return np.minimum(np.maximum(values, low), high)  # much faster than clip on small arrays


def restricted_rates(
    x0: Counted, n0: int, x1: Counted, n1: int, difference: float
) -> tuple[Array, Array]:
    """Return the most likely control and treatment rates among those with this `difference`.

    They are a root of the likelihood's cubic, in closed form with Newton steps after it: near a corner
    of the table the closed form alone keeps half of its digits or fewer, so there they begin at the
    rates of counts without an upper end.

    >>> control, treatment = restricted_rates(7, 34, 1, 34, 0.0)
    >>> round(float(control), 6), round(float(treatment), 6)
    (0.117647, 0.117647)
    """
    x0, x1 = np.asarray(x0, dtype=np.float64), np.asarray(x1, dtype=np.float64)
    everyone, converted = n0 + n1, x0 + x1
    if difference == 0.0:
        pooled = np.asarray(converted / everyone)
        return pooled, pooled
    if difference > 0.0:  # the larger rate is solved for: near no rate at all it keeps its digits
        treatment, control = restricted_rates(x1, n1, x0, n0, -difference)
        return control, treatment
    least, most = max(0.0, -difference), min(1.0, 1.0 - difference)
    square = (n1 + 2 * n0) * difference - everyone - converted
    linear = (n0 * difference - everyone - 2 * x0) * difference + converted
    constant = x0 * difference * (1.0 - difference)
    centre = square / (3 * everyone)
    skew = centre**3 - linear * square / (6 * everyone**2) + constant / (2 * everyone)
    spread = np.copysign(np.sqrt(np.maximum(centre * centre - linear / (3 * everyone), 0.0)), skew)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(spread == 0.0, 0.0, skew / spread**3)
    angle = (np.pi + np.arccos(_between(cosine, -1.0, 1.0))) / 3.0
    control = 2.0 * spread * np.cos(angle) - centre
    rare = _poisson_rate(x0, x1, everyone, -difference)
    control = _between(np.where(rare < RARE, rare, control), least, most)
    for _ in range(POLISHES):
        value = ((everyone * control + square) * control + linear) * control + constant
        parts = 3 * everyone * control * control, 2 * square * control, linear
        slope = parts[0] + parts[1] + parts[2]
        size = parts[0] + np.abs(parts[1]) + np.abs(parts[2])
        steep = np.abs(slope) > FLAT * size  # a double root is left as it is
        before = control
        control = _between(
            control - np.where(steep, value / np.where(steep, slope, 1.0), 0.0), least, most
        )
        if np.all(np.abs(control - before) <= FLAT * control):
            break
    control = np.where(converted == 0, least, np.where(converted == everyone, most, control))
    return control, _between(control + difference, 0.0, 1.0)


def _poisson_rate(larger: Array, smaller: Array, everyone: int, apart: float) -> Array:
    """Return the most likely larger one of two Poisson rates that lie so far apart, by their counts."""
    middle = everyone * apart + larger + smaller
    spread = np.sqrt((everyone * apart + smaller - larger) ** 2 + 4.0 * larger * smaller)
    return np.asarray((middle + spread) / (2 * everyone))


def score_statistic(x0: Counted, n0: int, x1: Counted, n1: int, difference: float) -> Array:
    """Divide the observed effect minus `difference` by its restricted standard error.

    Miettinen and Nurminen's factor N / (N - 1) is left out; it changes no order. At a difference of
    zero this is the pooled z. An effect equal to `difference` gives 0, also where the error is 0.

    >>> round(float(score_statistic(48, 80, 56, 70, 0.0)), 4)
    2.6502
    """
    x0, x1 = np.asarray(x0), np.asarray(x1)
    if np.all(2 * (x0 + x1) > n0 + n1):  # rates near one lose the digits that those near none keep
        return -score_statistic(n0 - x0, n0, n1 - x1, n1, -difference) + 0.0
    control, treatment = restricted_rates(x0, n0, x1, n1, difference)
    variance = control * (1.0 - control) / n0 + treatment * (1.0 - treatment) / n1
    excess = x1 / n1 - x0 / n0 - difference
    rounding = ROUNDING * (x1 / n1 + x0 / n0 + abs(difference))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(excess) <= rounding, 0.0, excess / np.sqrt(variance))


def score_threshold(
    n0: int, n1: int, difference: float, level: float, *, from_above: bool
) -> Integers:
    """Return for each control count the least treatment count whose statistic reaches `level`.

    With `from_above`, return the greatest count whose statistic is at most `level`. Where there is
    none the answer is n1 + 1 (or -1). The contour of the statistic has a closed form in the
    restricted control rate, which gives a first guess; the statistic itself then decides.
    """
    tolerance = TIE * max(1.0, abs(level)) if np.isfinite(level) else 0.0
    level = level + tolerance if from_above else level - tolerance
    counts = np.arange(n0 + 1)
    least, most = max(0.0, -difference), min(1.0, 1.0 - difference)
    angles = np.linspace(0.0, np.pi, (n0 + n1) // 3 + 16)
    control = least + (most - least) * 0.5 * (1.0 - np.cos(angles))
    treatment = _between(control + difference, 0.0, 1.0)
    part0, part1 = control * (1.0 - control) / n0, treatment * (1.0 - treatment) / n1
    scale = level / np.sqrt(np.maximum(part0 + part1, SPECK)) if np.isfinite(level) else part0
    along = n0 * (control - scale * part0)
    guess = np.interp(counts, np.maximum.accumulate(along), n1 * (treatment + scale * part1))
    # `first` is the least count with a statistic above: >= level, or (from_above) > level.
    first = np.clip(np.ceil(guess), 0, n1 + 1).astype(np.int64)

    def above(rows: Integers, columns: Integers) -> npt.NDArray[np.bool_]:
        inside = np.clip(columns, 0, n1)
        value = score_statistic(rows, n0, inside, n1, difference)
        reached = value > level if from_above else value >= level
        return (columns >= 0) & ((columns > n1) | reached)

    low, high = np.full(n0 + 1, -1), np.full(n0 + 1, n1 + 1)  # below, above: known
    stride = 1
    sure = (np.abs(guess - np.rint(guess)) > UNSURE) & (counts > 2) & (counts < n0 - 2)
    high[sure], low[sure] = first[sure], first[sure] - 1
    open_rows = counts[~sure]
    while open_rows.size:
        at = np.clip(first[open_rows], low[open_rows] + 1, high[open_rows])
        both_rows = np.concatenate([open_rows, open_rows])
        marks = above(both_rows, np.concatenate([at, at - 1]))
        here, before = marks[: at.size], marks[at.size :]
        high[open_rows] = np.where(before, at - 1, np.where(here, at, high[open_rows]))
        low[open_rows] = np.where(before, low[open_rows], np.where(here, at - 1, at))
        first[open_rows] = np.where(before, at - 1 - stride, at + 1 + stride)
        open_rows = open_rows[high[open_rows] - low[open_rows] > 1]
        stride *= 2
        if stride > 4:  # far from the guess: halve what is left
            first[open_rows] = (low[open_rows] + high[open_rows] + 1) // 2
    return high - 1 if from_above else high


def finite_factor(n0: int, n1: int) -> float:
    """Return Miettinen and Nurminen's N / (N - 1), which enlarges the variance."""
    return (n0 + n1) / (n0 + n1 - 1.0)


def bisect(falling: Callable[[float], float], low: float, high: float) -> float:
    """Find where a falling function crosses zero between `low` and `high`, by bisection."""
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if falling(middle) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def score_interval(
    x0: int, n0: int, x1: int, n1: int, confidence_level: float
) -> tuple[float, float]:
    """Invert the score test of a difference (Miettinen & Nurminen 1985).

    >>> [round(end, 4) for end in score_interval(48, 80, 56, 70, 0.95)]
    [0.0528, 0.3382]
    """
    quantile = normal_quantile(confidence_level) * finite_factor(n0, n1) ** 0.5

    def lower(x0: int, n0: int, x1: int, n1: int) -> float:
        effect = x1 / n1 - x0 / n0
        if effect <= -1.0:
            return -1.0
        return bisect(lambda d: float(score_statistic(x0, n0, x1, n1, d)) - quantile, -1.0, effect)

    return lower(x0, n0, x1, n1), -lower(x1, n1, x0, n0)  # swapped arms give the same, turned round


def ratio_interval(
    x0: int, n0: int, x1: int, n1: int, confidence_level: float, *, factor: bool = True
) -> tuple[float, float]:
    """Invert the score test of the ratio treatment / control (Miettinen & Nurminen 1985).

    Without `factor`, N / (N - 1), it is Koopman's (1984). The upper end is infinite where no control
    customer converted.

    >>> [round(end, 2) for end in ratio_interval(16, 80, 36, 40, 0.95, factor=False)]
    [2.94, 7.15]
    """
    scale = normal_quantile(confidence_level)
    scale *= finite_factor(n0, n1) ** 0.5 if factor else 1.0

    def statistic(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        linear = n1 * ratio + x0 * ratio + x1 + n0
        square = (n0 + n1) * ratio
        inner = max(linear * linear - 4.0 * square * (x0 + x1), 0.0)
        control = 2.0 * (x0 + x1) / (linear + inner**0.5)
        treatment = min(ratio * control, 1.0)
        control = min(control, 1.0)
        variance = treatment * (1.0 - treatment) / n1 + ratio**2 * control * (1.0 - control) / n0
        excess = x1 / n1 - ratio * x0 / n0
        if abs(excess) < ZERO * max(ratio, 1.0):
            return 0.0
        return float(excess / max(variance, 1e-300) ** 0.5)

    farthest = 40.0  # exp(40) customers per customer
    centre = float(np.log(x1 / n1 / (x0 / n0))) if x0 and x1 else (farthest if x1 else -farthest)
    low = float(np.exp(bisect(lambda r: statistic(r) - scale, -farthest, centre))) if x1 else 0.0
    high = float(np.exp(bisect(lambda r: statistic(r) + scale, centre, farthest))) if x0 else np.inf
    return low, high


def wilson_interval(
    converted: Counted, total: Counted, confidence_level: float
) -> tuple[Array, Array]:
    """Return Wilson's score interval of single rates; NaN where the total is 0.

    >>> low, high = wilson_interval(np.array([0, 10]), np.array([10, 10]), 0.95)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.7225], [0.2775, 1.0])
    """
    squared = normal_quantile(confidence_level) ** 2
    converted = np.asarray(converted, dtype=np.float64)
    total = np.asarray(total, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = converted / total
        centre = (converted + squared / 2.0) / (total + squared)
        spread = np.sqrt(squared * (converted * (1.0 - rate) + squared / 4.0)) / (total + squared)
    low = np.where(converted == 0, 0.0, centre - spread)
    high = np.where(converted == total, 1.0, centre + spread)
    empty = total == 0
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def newcombe_interval(
    x0: int, n0: int, x1: int, n1: int, confidence_level: float
) -> tuple[float, float]:
    """Combine two Wilson intervals (Newcombe 1998, method 10, no continuity correction).

    >>> [round(end, 4) for end in newcombe_interval(48, 80, 56, 70, 0.95)]
    [0.0524, 0.3339]
    """
    lows, highs = wilson_interval(np.array([x0, x1]), np.array([n0, n1]), confidence_level)
    rate0, rate1 = x0 / n0, x1 / n1
    effect = rate1 - rate0
    low = effect - float(np.hypot(rate1 - lows[1], highs[0] - rate0))
    high = effect + float(np.hypot(highs[1] - rate1, rate0 - lows[0]))
    return max(low, -1.0), min(high, 1.0)


def wald_interval(
    x0: float, n0: float, x1: float, n1: float, confidence_level: float
) -> tuple[float, float]:
    """Return the effect plus and minus a multiple of its unpooled standard error, within [-1, 1].

    >>> [round(end, 4) for end in wald_interval(48, 80, 56, 70, 0.95)]
    [0.0575, 0.3425]
    """
    spread = normal_quantile(confidence_level) * unpooled_error(x0, n0, x1, n1)
    effect = x1 / n1 - x0 / n0
    return max(effect - spread, -1.0), min(effect + spread, 1.0)


def agresti_caffo_interval(
    x0: int, n0: int, x1: int, n1: int, confidence_level: float
) -> tuple[float, float]:
    """Return the Wald interval after adding one success and one failure to each cohort.

    >>> [round(end, 4) for end in agresti_caffo_interval(48, 80, 56, 70, 0.95)]
    [0.0525, 0.3358]
    """
    return wald_interval(x0 + 1, n0 + 2, x1 + 1, n1 + 2, confidence_level)


def unpooled_error(x0: float, n0: float, x1: float, n1: float) -> float:
    """Return the standard error of the effect from each cohort's own rate."""
    rate0, rate1 = x0 / n0, x1 / n1
    return float((rate0 * (1.0 - rate0) / n0 + rate1 * (1.0 - rate1) / n1) ** 0.5)
