"""Exact unconditional inference for two rates: Barnard's test with the score statistic, inverted.

A table is a control count and a treatment count. A region of tables holds, for each control count,
the treatment counts from one threshold on, and perhaps those up to another. This covers every test
whose statistic rises with the treatment count, and the probability of a region is one product of a
binomial distribution with the tails of another.

The raw p-value of a null difference d is the probability of all tables at least as extreme as the
observed one by the score statistic, maximized over the nuisance rate. Raw p-values need not fall
steadily as d moves away from the estimate (Roehmel 2005), so test and interval could contradict each
other. The interval ends where the largest raw p-value at a null or beyond it crosses alpha. With that
p-value, which is never below Barnard's, test and interval always agree.

The computation rests on two facts, which tests check by enumeration. First, the statistic falls in d,
rises in the treatment count and falls in the control count (Barnard's convexity), so a region is one
threshold of treatment counts per control count. Second, for all d in [a, b] the region lies within
the tables whose statistic at a reaches the observed statistic at b. The largest probability of those
bounds every raw p-value in [a, b], so one evaluation settles a whole stretch of nulls.

"Up" is the side of larger effects. All functions compute the lower end; for the upper end callers
swap the cohorts and the sign.

Sources: Chan & Zhang (1999) Biometrics 55:1202-1209 (one-sided); Agresti & Min (2001) Biometrics
57:963-971 (two-sided); Roehmel (2005) Biometrical Journal 47:37-47.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from workbench.stats.score import Array, Integers, score_statistic, score_threshold

COARSE_FALL = 0.5  # below cos(1): share of a maximum that the nearest point of the coarse grid has
PATIENCE = 80  # stretches tried before precision is reduced
NARROW = 1e-8  # null differences closer than this count as equal
CLOSE = 1e-7  # p-values within this relative distance count as equal
MOST_CLOSE = 1e-5  # the same at reduced precision
LARGE, VAGUE = 0.2, 1e-4  # from such p-values on, this relative distance will do
NEAR = 1.005  # a bound farther above the limit than this is not that of the same tables
SMOOTH = 0.01  # times 1 / sqrt(n): there the probability of fixed tables is a parabola


@dataclass(frozen=True, slots=True)
class Region:
    """Tables by control count: treatment counts from `up` on, and those up to `down`."""

    up: Integers
    down: Integers | None

    def same_as(self, other: Region) -> bool:
        """Return whether both hold the same tables."""
        if not np.array_equal(self.up, other.up) or (self.down is None) != (other.down is None):
            return False
        return self.down is None or other.down is None or np.array_equal(self.down, other.down)


@lru_cache(maxsize=64)
def log_choices(n: int) -> Array:
    """Return the logarithms of the binomial coefficients of n over 0..n."""
    from scipy.special import gammaln

    return np.asarray(
        gammaln(n + 1) - gammaln(np.arange(n + 1) + 1) - gammaln(n - np.arange(n + 1) + 1)
    )


def binomials(n: int, rates: Array) -> Array:
    """Return the binomial probabilities of 0..n, one row per rate."""
    rates = np.minimum(np.maximum(rates, 1e-300), 1.0 - 1e-16)[:, None]
    odds = np.log(rates) - np.log1p(-rates)
    return np.asarray(np.exp(log_choices(n) + odds * np.arange(n + 1) + n * np.log1p(-rates)))


def probability(
    n0: int, n1: int, region: Region, control: Array, up_rates: Array, down_rates: Array
) -> Array:
    """Return the region's probability for each control rate with its treatment rates.

    `up_rates` are the treatment rates for the part from `region.up` on, `down_rates` those for the
    part up to `region.down`.
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
    """Return the region's largest probability over the control rate.

    The treatment rate is `at_up` above the control rate for the upper part of the region and
    `at_down` above it for the lower part. With `enough`, the search stops as soon as it is known
    whether the answer exceeds it, and the answer is only right in that respect.

    On the angle t with rate = (1 - cos t) / 2, the second derivative of every table's probability is
    at least -(n0 + n1) times itself, so a maximum falls off no faster than cos(t sqrt(n0 + n1)), and
    values on a grid bound those in between. The maxima that may be the largest are then refined.
    """
    last_down = at_up if region.down is None else at_down
    least, most = max(0.0, -at_up), min(1.0, 1.0 - last_down)

    def value(angles: Array) -> Array:
        control = least + (most - least) * 0.5 * (1.0 - np.cos(angles))
        up = np.minimum(np.maximum(control + at_up, 0.0), 1.0)
        down = up if last_down == at_up else np.minimum(np.maximum(control + last_down, 0.0), 1.0)
        return probability(n0, n1, region, control, up, down)

    steps = 2 * (8 + int(0.5 * np.pi * (n0 + n1) ** 0.5))
    grid = np.linspace(0.0, np.pi, steps + 1)
    fall = float(np.cos(0.5 * grid[1] * (n0 + n1) ** 0.5))
    found = np.empty(steps + 1)
    found[::2] = value(grid[::2])
    best = float(found[::2].max())
    if best > enough or best <= enough * COARSE_FALL < np.inf:
        return best
    found[1::2] = value(grid[1::2])
    best = float(found.max())
    if best > enough or best <= enough * fall < np.inf or best <= 0.0:
        return best
    padded = np.concatenate([[-1.0], found, [-1.0]])
    least_peak = fall * (best if enough == np.inf else enough)
    peaks = (found >= padded[:-2]) & (found >= padded[2:]) & (found >= least_peak)
    centres, width = grid[peaks], grid[1] / 3.0
    for reach, finer in ((3, 6.0), (2, 8.0), (1, 1.0)):
        around = np.arange(-reach, reach + 1.0)
        fine = np.minimum(np.maximum(centres[:, None] + width * around, 0.0), np.pi)
        found = value(fine.ravel()).reshape(fine.shape)
        best = max(best, float(found.max()))
        if best > enough:
            return best
        centres, width = _vertices(fine, found, width), width / finer
    return max(best, float(value(centres).max()))


def _vertices(angles: Array, found: Array, width: float) -> Array:
    """Return the vertex of the parabola through each row's largest value and its neighbours."""
    rows = np.arange(len(found))
    top = np.minimum(np.maximum(found.argmax(axis=1), 1), found.shape[1] - 2)
    before, at, after = (found[rows, top + step] for step in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + after, -1e-300)
    offset = np.minimum(np.maximum(0.5 * (before - after) / bend, -1.0), 1.0)
    return np.asarray(np.minimum(np.maximum(angles[rows, top] + width * offset, 0.0), np.pi))


@dataclass(frozen=True, slots=True)
class Edge:
    """The observed table, to which all others are compared, or several such tables at once.

    Of several, the least extreme at each null difference counts. A two-sided test counts tables that
    are as extreme in either direction.
    """

    x0: int | Integers
    n0: int
    x1: int | Integers
    n1: int
    two_sided: bool

    def statistics(self, difference: float) -> Array:
        """Return each table's statistic."""
        return score_statistic(self.x0, self.n0, self.x1, self.n1, difference)

    def region(self, low: float, high: float) -> Region | None:
        """Return the tables as extreme at some null difference in [low, high]; None for all tables."""
        level = float(self.statistics(high).min())
        if self.two_sided and level <= 0.0:
            return None
        up = score_threshold(self.n0, self.n1, low, level, from_above=False)
        if not self.two_sided:
            return Region(up, None)
        return Region(up, score_threshold(self.n0, self.n1, high, -level, from_above=True))

    def steady(self, low: float, high: float, limit: float) -> bool:
        """Return whether nulls in [low, high] have the same region, and p-values up to `limit`.

        The probability of a fixed region is smooth: three values and their curvature bound it.
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
        """Return an upper bound of the raw p-values of all null differences in [low, high].

        Where low equals high it is the raw p-value itself. In a two-sided test `high` must not
        exceed the observed effect.
        """
        region = self.region(low, high)
        if region is None:
            return 1.0
        return largest_probability(self.n0, self.n1, region, high, low, enough)


def _above(
    edge: Edge, start: float, level: float, close: float = CLOSE
) -> tuple[float, float] | float:
    """Find a null difference below `start` whose raw p-value exceeds `level`, if there is one.

    Returns it together with the end of the stretch settled so far. If there is none, returns the
    relative precision of that statement. The search goes from `start` to -1 in stretches that one
    bound settles. Where raw p-values are nearly flat or jump, that would take thousands of stretches,
    so the precision is reduced with the number of stretches tried.
    """
    smooth = SMOOTH / max(edge.n0, edge.n1) ** 0.5
    high, width, narrow, failures, tried = start, smooth, NARROW, 0, 0
    while high > -1.0:
        tried += 1
        if tried > PATIENCE:
            close, narrow = max(close, min(1.2 * close, MOST_CLOSE)), min(1.2 * narrow, MOST_CLOSE)
        limit = level * (1.0 + close)
        width = min(width, 1.0 + high)
        low = high - width
        reached = 0.0 if width < narrow or limit >= 1.0 else edge.bound(low, high, limit)
        settled = reached <= limit
        if not settled and edge.two_sided and width <= smooth and reached < NEAR * limit:
            settled = edge.steady(low, high, limit)
        if settled:
            high, failures = low, 0
            width *= 3.0 if reached < 0.7 * limit else 1.5
            continue
        failures += 1
        if failures % 3 == 2 and edge.bound(low, low, limit) > limit:
            return low, high
        width *= 0.5 if high < start else 0.25
    return close


def _summit(edge: Edge, where: float, high: float) -> float:
    """Return the largest raw p-value near `where`, whose p-value is higher than that of `high`."""
    values = {where: edge.bound(where, where)}

    def value(difference: float) -> float:
        if difference not in values:
            values[difference] = edge.bound(difference, difference)
        return values[difference]

    low, step = where, high - where
    while low > -1.0 and value(max(low - step, -1.0)) > value(low):
        where, low, step = low, max(low - step, -1.0), 2.0 * step
    low, high = max(low - step, -1.0), high if where == low else where
    part = 0.5 * (5.0**0.5 - 1.0)
    while high - low > 100 * NARROW:
        left, right = high - part * (high - low), low + part * (high - low)
        low, high = (left, high) if value(right) >= value(left) else (low, right)
    return max(values.values())


def _crossing(edge: Edge, low: float, high: float, level: float) -> tuple[float, float]:
    """Narrow [low, high] to where the raw p-value crosses `level`.

    The method is Chandrupatla's (1997): inverse quadratic interpolation where p-values are smooth,
    bisection where they jump.
    """

    def excess(difference: float) -> float:
        return edge.bound(difference, difference) - level

    at, across = high, low
    value, opposite = excess(at), excess(across)
    part = 0.5
    while abs(across - at) > NARROW:
        new = at + part * (across - at)
        found = excess(new)
        if (found > 0.0) == (value > 0.0):
            before, earlier = at, value
        else:
            before, earlier, across, opposite = across, opposite, at, value
        at, value = new, found
        part = 0.5
        if earlier not in (value, opposite) and value != opposite:
            along = (at - across) / (before - across)
            up = (value - opposite) / (earlier - opposite)
            if up * up < along and (1.0 - up) ** 2 < 1.0 - along:
                part = value / (opposite - value) * earlier / (opposite - earlier) + (
                    before - at
                ) / (across - at) * value / (earlier - value) * opposite / (earlier - opposite)
        least = min(0.5 * NARROW / max(abs(across - at), NARROW), 0.5)
        part = min(max(part, least), 1.0 - least)
    return min(at, across), max(at, across)


def pvalue_from_below(edge: Edge, null: float) -> float:
    """Return the largest raw p-value of all null differences up to `null`."""
    if edge.two_sided and null >= _effect(edge) - NARROW:
        return 1.0
    best, start = edge.bound(null, null), null
    close = CLOSE if best < LARGE else VAGUE
    while not isinstance(found := _above(edge, start, best, close), float):
        where, start = found
        best, close = max(best, _summit(edge, where, start)), max(close, MOST_CLOSE)
    return min(best if found <= CLOSE or found >= VAGUE else best * (1.0 + found), 1.0)


def lower_end(edge: Edge, alpha: float, guess: float) -> float:
    """Return the least null difference whose raw p-value exceeds `alpha`, searched from `guess`."""
    effect = _effect(edge)
    if effect <= -1.0:
        return -1.0
    low = high = guess
    step = 0.02 * (1.0 + effect)
    while high < 1.0 and edge.bound(high, high, alpha) <= alpha:
        low, high, step = high, min(high + step, 1.0), 2.0 * step
    while True:
        step = max(0.02 * (1.0 + effect), high - low)
        while low > -1.0 and edge.bound(low, low, alpha) > alpha:
            high, low, step = low, max(low - step, -1.0), 2.0 * step
        low, high = _crossing(edge, low, high, alpha)
        found = _above(edge, low, alpha)
        if isinstance(found, float):
            return high
        low = high = found[0]


def _effect(edge: Edge) -> float:
    return float(np.min(np.asarray(edge.x1) / edge.n1 - np.asarray(edge.x0) / edge.n0))


def raw_rejected_from(n0: int, n1: int, null: float, alpha: float, *, two_sided: bool) -> Integers:
    """Return for each control count the least treatment count whose raw p-value is at most `alpha`.

    Only tables above the null count; the answer is n1 + 1 where there is none.
    """
    every = score_statistic(np.arange(n0 + 1)[:, None], n0, np.arange(n1 + 1), n1, null)
    levels = np.unique(every[every > 0.0] if two_sided else every)
    first, last = 0, levels.size
    while first < last:
        middle = (first + last) // 2
        if _raw_at(n0, n1, null, levels[middle], alpha, two_sided=two_sided) <= alpha:
            last = middle
        else:
            first = middle + 1
    if first == levels.size:
        return np.full(n0 + 1, n1 + 1)
    return score_threshold(n0, n1, null, float(levels[first]), from_above=False)


def rejected_from(
    n0: int,
    n1: int,
    null: float,
    alpha: float,
    *,
    two_sided: bool,
    worth: Callable[[Integers], bool] | None = None,
) -> Integers:
    """Return for each control count the least treatment count above the null that is rejected.

    Rejected are tables whose `pvalue_from_below` is at most `alpha`; the answer is n1 + 1 where there
    is none. The search narrows down the region of the raw test and stops when `worth` is false.

    >>> rejected_from(3, 4, 0.0, 0.05, two_sided=False)
    array([3, 5, 5, 5])
    """
    up = raw_rejected_from(n0, n1, null, alpha, two_sided=two_sided)
    start = null
    while (up <= n1).any() and (worth is None or worth(up)):
        kept = np.flatnonzero(up <= n1)
        edge = Edge(kept, n0, up[kept], n1, two_sided)
        found = _above(edge, start, alpha)
        if isinstance(found, float):
            break
        where, start = found
        levels = edge.statistics(where)
        ranks = np.argsort(levels)
        first, last = 1, ranks.size  # the least extreme is known to go; how many go with it?
        while first < last:
            middle = (first + last) // 2
            at = float(levels[ranks[middle]])
            if _raw_at(n0, n1, where, at, alpha, two_sided=two_sided) <= alpha:
                last = middle
            else:
                first = middle + 1
        up[kept[ranks[:first]]] += 1
    return up


def rejection_region(
    n0: int,
    n1: int,
    null: float,
    alpha: float,
    *,
    alternative: str,
    worth: Callable[[Region], bool] | None = None,
) -> Region:
    """Return the tables that the exact test rejects, or a larger region if that is not `worth` it."""
    two_sided = alternative == "two-sided"
    up, down = np.full(n0 + 1, n1 + 1), np.full(n0 + 1, -1)

    def turned(least: Integers) -> Integers:  # least control counts as greatest treatment counts
        return np.searchsorted(least, np.arange(n0 + 1), side="right") - 1

    if two_sided and worth is not None:  # judge one side beside all that the other could be
        down = turned(raw_rejected_from(n1, n0, -null, alpha, two_sided=True))
    if alternative != "less":
        judged = None if worth is None else lambda found: worth(Region(found, down))
        up = rejected_from(n0, n1, null, alpha, two_sided=two_sided, worth=judged)
    if alternative != "greater":
        judged = None if worth is None else lambda found: worth(Region(up, turned(found)))
        down = turned(rejected_from(n1, n0, -null, alpha, two_sided=two_sided, worth=judged))
    return Region(up, down)


def _raw_at(
    n0: int, n1: int, null: float, level: float, enough: float, *, two_sided: bool
) -> float:
    """Return the raw p-value of a table whose statistic at `null` is `level`."""
    up = score_threshold(n0, n1, null, level, from_above=False)
    down = score_threshold(n0, n1, null, -level, from_above=True) if two_sided else None
    return largest_probability(n0, n1, Region(up, down), null, null, enough)


def fisher_pvalue(x0: int, n0: int, x1: int, n1: int, alternative: str) -> tuple[float, float]:
    """Return Fisher's exact p-value and the probability of the observed table, given both margins.

    The two-sided p-value counts all tables that are at most as likely, as in R and scipy.

    >>> pvalue, _ = fisher_pvalue(2, 15, 7, 20, "two-sided")
    >>> round(pvalue, 6)
    0.244438
    """
    converted = x0 + x1
    counts = np.arange(max(0, converted - n0), min(n1, converted) + 1)
    logs = log_choices(n1)[counts] + log_choices(n0)[converted - counts]
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
    """Return Boschloo's exact p-value for a larger treatment rate: Fisher's p-value orders tables.

    >>> round(boschloo_pvalue(2, 15, 7, 20), 6)
    0.082255
    """
    counts = np.arange(n1 + 1)
    chances = np.empty((n0 + 1, n1 + 1))
    totals, everyone = log_choices(n0), log_choices(n0 + n1)
    previous = np.zeros(n1 + 2)
    for row in range(n0 + 1):
        logs = totals[row] + log_choices(n1) - everyone[row + counts]
        chances[row] = np.exp(logs) + previous[1:]
        previous[:-1] = chances[row]
    reached = chances <= chances[x0, x1] * (1.0 + CLOSE)
    up = (n1 + 1 - reached.sum(axis=1)).astype(np.int64)
    return min(largest_probability(n0, n1, Region(up, None), 0.0, 0.0), 1.0)
