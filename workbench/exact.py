"""Exact unconditional inference for two rates: Barnard's test with the score statistic, inverted.

For each null difference d, tables at least as extreme as the observed one by the score statistic
are summed, and the largest probability over the nuisance rate is the raw p-value of d. Raw p-values
need not fall steadily as d moves away from the estimate (Roehmel 2005), so test and interval could
contradict each other. Here the p-value of a null is the largest raw p-value at that null or beyond
it, and the interval ends where that p-value crosses alpha; so both always agree, and the p-value
is never below Barnard's.

Two facts carry the computation, and tests check both by enumeration. The statistic falls in d, and
it rises in the treatment count and falls in the control count (Barnard's convexity), so a region is
one threshold of treatment counts per control count. And for all d in [a, b] the region lies within
the tables that reach the observed statistic at b with their own at a: its largest probability bounds
every raw p-value in between, so whole stretches of nulls are settled by one evaluation.

"Up" is the side of larger effects. Everything is written for the lower end; the upper end swaps the
cohorts and the sign.

Sources: Chan & Zhang (1999) Biometrics 55:1202-1209 (one-sided); Agresti & Min (2001) Biometrics
57:963-971 (two-sided); Roehmel (2005) Biometrical Journal 47:37-47.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from workbench.score import Array, score_statistic

Whole = npt.NDArray[np.int64]

TIE = 1e-8  # statistics this close are equal; rounding reaches 1e-9
NARROW = 1e-9  # null differences closer than this are not told apart
CLOSE = 1e-7  # relative distance between p-values that is not told apart
SMOOTH = 0.003  # times 1 / sqrt(n): there the probability of fixed tables is a parabola


@dataclass(frozen=True, slots=True)
class Region:
    """Tables by control count: treatment counts from `up` on, and those up to `down`."""

    up: Whole
    down: Whole | None

    def same_as(self, other: Region) -> bool:
        """Say whether both hold the same tables."""
        if not np.array_equal(self.up, other.up) or (self.down is None) != (other.down is None):
            return False
        return self.down is None or other.down is None or np.array_equal(self.down, other.down)


@lru_cache(maxsize=64)
def _log_choices(n: int) -> Array:
    return np.asarray(
        gammaln(n + 1) - gammaln(np.arange(n + 1) + 1) - gammaln(n - np.arange(n + 1) + 1)
    )


def binomials(n: int, rates: Array) -> Array:
    """Give one row of binomial probabilities of 0..n for each rate."""
    rates = np.clip(rates, 1e-300, 1.0 - 1e-16)[:, None]
    odds = np.log(rates) - np.log1p(-rates)
    return np.asarray(np.exp(_log_choices(n) + odds * np.arange(n + 1) + n * np.log1p(-rates)))


def _threshold(n0: int, n1: int, difference: float, level: float, *, from_above: bool) -> Whole:
    """Give for each control count the least treatment count whose statistic reaches `level`.

    With `from_above`, the greatest count whose statistic is at most `level`; n1 + 1 (or -1) where
    there is none. The contour of the statistic has a closed form in the restricted control rate,
    which gives the first guess; the statistic itself then decides.
    """
    tolerance = TIE * max(1.0, abs(level)) if np.isfinite(level) else 0.0
    level = level + tolerance if from_above else level - tolerance
    counts = np.arange(n0 + 1)
    least, most = max(0.0, -difference), min(1.0, 1.0 - difference)
    angles = np.linspace(0.0, np.pi, 2 * (n0 + n1) // 3 + 8)
    control = least + (most - least) * 0.5 * (1.0 - np.cos(angles))
    treatment = np.clip(control + difference, 0.0, 1.0)
    part0, part1 = control * (1.0 - control) / n0, treatment * (1.0 - treatment) / n1
    with np.errstate(all="ignore"):
        scale = np.nan_to_num(level / np.sqrt(part0 + part1))
    along = n0 * (control - scale * part0)
    guess = np.interp(counts, np.maximum.accumulate(along), n1 * (treatment + scale * part1))
    # `first` is the least count with a statistic above: >= level, or (from_above) > level.
    first = np.clip(np.ceil(guess), 0, n1 + 1).astype(np.int64)

    def above(rows: Whole, columns: Whole) -> npt.NDArray[np.bool_]:
        inside = np.clip(columns, 0, n1)
        value = score_statistic(rows, n0, inside, n1, difference)
        reached = value > level if from_above else value >= level
        return np.where(columns < 0, False, np.where(columns > n1, True, reached))

    low, high = np.full(n0 + 1, -1), np.full(n0 + 1, n1 + 1)  # below, above: known
    stride = 1
    open_rows = counts
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
        if stride > 4:  # noqa: PLR2004 - far from the guess: halve what is left
            first[open_rows] = (low[open_rows] + high[open_rows] + 1) // 2
    return high - 1 if from_above else high


def probability(
    n0: int, n1: int, region: Region, control: Array, up_rates: Array, down_rates: Array
) -> Array:
    """Give the region's probability for each control rate with its treatment rates.

    `up_rates` serve the part from `region.up` on, `down_rates` the part up to `region.down`.
    """
    weights = binomials(n0, control)
    treated = binomials(n1, up_rates)
    tail = np.zeros((control.size, n1 + 2))
    tail[:, :-1] = np.cumsum(treated[:, ::-1], axis=1)[:, ::-1]
    reached = tail[:, region.up]
    if region.down is not None:
        if down_rates is not up_rates:
            treated = binomials(n1, down_rates)
        head = np.zeros((control.size, n1 + 2))
        head[:, 1:] = np.cumsum(treated, axis=1)
        reached = reached + head[:, region.down + 1]
    return np.asarray(np.einsum("ij,ij->i", weights, reached))


def largest_probability(
    n0: int, n1: int, region: Region, at_up: float, at_down: float, enough: float = np.inf
) -> float:
    """Give the region's largest probability over the control rate.

    The treatment rate is `at_up` above the control rate for the upper part of the region and
    `at_down` above it for the lower part. Stops early once `enough` is exceeded. The grid is finer
    than the binomial distributions' own width, and each promising maximum is then narrowed down.
    """
    last_down = at_up if region.down is None else at_down
    least, most = max(0.0, -at_up), min(1.0, 1.0 - last_down)

    def value(angles: Array) -> Array:
        control = least + (most - least) * 0.5 * (1.0 - np.cos(angles))
        up = np.clip(control + at_up, 0.0, 1.0)
        down = up if last_down == at_up else np.clip(control + last_down, 0.0, 1.0)
        return probability(n0, n1, region, control, up, down)

    steps = 16 + int(9.0 * (max(n0, n1) * (most - least)) ** 0.5)
    if enough < np.inf:
        coarse = float(value(np.linspace(0.0, np.pi, steps // 4 + 1)).max())
        if coarse > enough or coarse < 0.5 * enough:
            return coarse
    grid = np.linspace(0.0, np.pi, steps + 1)
    found = value(grid)
    best = float(found.max())
    if best > enough or best <= 0.0:
        return best
    padded = np.concatenate([[-1.0], found, [-1.0]])
    peaks = np.flatnonzero((found >= padded[:-2]) & (found >= padded[2:]) & (found > 0.5 * best))
    peaks = peaks[np.argsort(-found[peaks])][:6]
    if best < 0.7 * enough < np.inf:
        return best
    centres, width = grid[peaks], grid[1]
    for _ in range(3):
        fine = np.clip(centres[:, None] + width * np.linspace(-1.0, 1.0, 13), 0.0, np.pi)
        found = value(fine.ravel()).reshape(fine.shape)
        top = found.argmax(axis=1)
        best = max(best, float(found.max()))
        if best > enough:
            break
        keep = found.max(axis=1) > best * (1.0 - 1e-3)
        centres, width = fine[np.arange(top.size), top][keep], width / 6.0
    return best


@dataclass(frozen=True, slots=True)
class Observed:
    """One observed table and the kind of test: what lies as far up, or as far either way."""

    x0: int
    n0: int
    x1: int
    n1: int
    two_sided: bool

    @property
    def effect(self) -> float:
        return self.x1 / self.n1 - self.x0 / self.n0

    def statistic(self, difference: float) -> float:
        return float(score_statistic(self.x0, self.n0, self.x1, self.n1, difference))

    def region(self, low: float, high: float) -> Region | None:
        """Give the tables that some null difference from `low` to `high` counts; None for all."""
        level = self.statistic(high)
        if self.two_sided and level <= 0.0:
            return None
        up = _threshold(self.n0, self.n1, low, level, from_above=False)
        if not self.two_sided:
            return Region(up, None)
        return Region(up, _threshold(self.n0, self.n1, high, -level, from_above=True))

    def steady(self, low: float, high: float, limit: float) -> bool:
        """Say whether nulls from `low` to `high` all count the same tables, at most `limit`.

        The probability of fixed tables is smooth: three values and their bend bound it.
        """
        wide, narrow = self.region(low, high), self.region(high, high)
        if wide is None or narrow is None or not wide.same_as(narrow):
            return False
        first, middle, last = (
            largest_probability(self.n0, self.n1, narrow, at, at)
            for at in (low, 0.5 * (low + high), high)
        )
        monotone = first <= middle <= last or first >= middle >= last
        bend = 0.0 if monotone else abs(first - 2.0 * middle + last) / 8.0
        return max(first, middle, last) + bend <= limit

    def bound(self, low: float, high: float, enough: float = np.inf) -> float:
        """Bound the raw p-values of all null differences from `low` to `high`.

        With low equal to high it is the raw p-value itself. A two-sided test needs `high` at most
        equal to the effect.
        """
        region = self.region(low, high)
        if region is None:
            return 1.0
        return largest_probability(self.n0, self.n1, region, high, low, enough)


def _above(table: Observed, start: float, level: float) -> tuple[float, float] | None:
    """Find a null difference below `start` whose raw p-value exceeds `level`, if there is one.

    Returns it with the end of what was settled so far. Walks from `start` to -1 in stretches that
    one bound settles, longer the farther they are from `start`.
    """
    limit = level * (1.0 + CLOSE)
    if limit >= 1.0:
        return None
    smooth = SMOOTH / max(table.n0, table.n1) ** 0.5
    high, width, stride, failures, tried = start, smooth, 1.0, 0, 0
    while high > -1.0:
        tried += 1
        low = max(-1.0, high - width)
        narrow = width < NARROW * (1 + tried // 100) ** 4
        reached = 0.0 if narrow else table.bound(low, high, limit)
        settled = reached <= limit
        if not settled and table.two_sided and width <= smooth:
            settled = table.steady(low, high, limit)
        if settled:
            stride *= 1.5 if reached < 0.7 * limit else 1.0
            high, failures = low, 0
            width = max(stride * (start - high), 2.0 * width)
            continue
        failures += 1
        if failures > 1 and table.bound(low, low, limit) > limit:
            return low, high
        stride = max(0.6 * stride, 0.1)
        width *= 0.6 if failures == 1 and high < start else 0.25
    return None


def pvalue_from_below(table: Observed, null: float) -> float:
    """Give the largest raw p-value of all null differences up to `null`."""
    if table.two_sided and null >= table.effect - NARROW:
        return 1.0
    best, start = table.bound(null, null), null
    while (found := _above(table, start, best)) is not None:
        where, start = found
        best = table.bound(where, where)
    return min(best, 1.0)


def lower_end(table: Observed, alpha: float, guess: float) -> float:
    """Give the least null difference whose raw p-value exceeds `alpha`; `guess` is where to look."""
    effect = table.effect
    if effect <= -1.0:
        return -1.0

    def inside(difference: float) -> bool:
        return table.bound(difference, difference, alpha) > alpha

    step = 0.02 * (1.0 + effect)
    low, high = guess, guess
    while high < 1.0 and not inside(high):
        low, high, step = high, min(high + step, 1.0), 2.0 * step
    step = 0.02 * (1.0 + effect)
    while low > -1.0 and low == high or inside(low):
        high, low, step = low, max(low - step, -1.0), 2.0 * step
    while True:
        while high - low > NARROW:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if inside(middle) else (middle, high)
        found = _above(table, low, alpha)
        if found is None:
            return high
        low, high = -1.0, found[0]


def fisher_pvalue(x0: int, n0: int, x1: int, n1: int, alternative: str) -> tuple[float, float]:
    """Give Fisher's exact p-value and the probability of the observed table, given both margins.

    Two-sided: all tables that are at most as likely, as R and scipy do.

    >>> pvalue, _ = fisher_pvalue(2, 15, 7, 20, "two-sided")
    >>> round(pvalue, 6)
    0.244438
    """
    converted = x0 + x1
    counts = np.arange(max(0, converted - n0), min(n1, converted) + 1)
    logs = _log_choices(n1)[counts] + _log_choices(n0)[converted - counts]
    chances = np.exp(logs - logs.max())
    chances /= chances.sum()
    observed = float(chances[x1 - counts[0]])
    if alternative == "greater":
        taken = counts >= x1
    elif alternative == "less":
        taken = counts <= x1
    else:
        taken = chances <= observed * (1.0 + CLOSE)
    return min(float(chances[taken].sum()), 1.0), observed


def boschloo_pvalue(x0: int, n0: int, x1: int, n1: int) -> float:
    """Give Boschloo's exact p-value for a larger treatment rate: Fisher's p-value orders tables.

    >>> round(boschloo_pvalue(2, 15, 7, 20), 6)
    0.082255
    """
    counts = np.arange(n1 + 1)
    chances = np.empty((n0 + 1, n1 + 1))
    totals, everyone = _log_choices(n0), _log_choices(n0 + n1)
    previous = np.zeros(n1 + 2)
    for row in range(n0 + 1):
        logs = totals[row] + _log_choices(n1) - everyone[row + counts]
        chances[row] = np.exp(logs) + previous[1:]
        previous[:-1] = chances[row]
    reached = chances <= chances[x0, x1] * (1.0 + CLOSE)
    up = (n1 + 1 - reached.sum(axis=1)).astype(np.int64)
    return min(largest_probability(n0, n1, Region(up, None), 0.0, 0.0), 1.0)
