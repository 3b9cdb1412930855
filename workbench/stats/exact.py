"""Exact unconditional inference for two rates: Barnard's test with the score statistic, inverted.

A table is a control count and a treatment count. All sets here hold, for each control count, the
treatment counts from one threshold on, and perhaps those up to another. That is enough for every
test whose statistic rises with the treatment count, and it makes a set's probability one product of
a binomial with the tails of another.

For each null difference d, tables at least as extreme as the observed one by the score statistic
are summed, and the largest probability over the nuisance rate is the raw p-value of d. Raw p-values
need not fall steadily as d moves away from the estimate (Roehmel 2005), so test and interval could
contradict each other. The interval ends where the largest raw p-value at a null or beyond it
crosses alpha; with that p-value, never below Barnard's, test and interval always agree.

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

from workbench.stats.score import score_statistic, score_threshold

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
COARSE_FALL = 0.5  # below cos(1): what a maximum between the points of the coarse grid keeps
PATIENCE = 80  # stretches tried before precision is given up
NARROW = 1e-8  # null differences closer than this are not told apart
CLOSE = 1e-7  # relative distance between p-values that is not told apart
MOST_CLOSE = 1e-5  # what precision is given up to at most
LARGE, VAGUE = 0.2, 1e-4  # from such p-values on, this relative distance will do
NEAR = 1.005  # a bound farther above the limit than this is not that of the same tables
SMOOTH = 0.01  # times 1 / sqrt(n): there the probability of fixed tables is a parabola


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
def log_choices(n: int) -> Array:
    """Give the logarithms of n over 0..n."""
    from scipy.special import gammaln

    return np.asarray(
        gammaln(n + 1) - gammaln(np.arange(n + 1) + 1) - gammaln(n - np.arange(n + 1) + 1)
    )


def binomials(n: int, rates: Array) -> Array:
    """Give one row of binomial probabilities of 0..n for each rate."""
    rates = np.minimum(np.maximum(rates, 1e-300), 1.0 - 1e-16)[:, None]
    odds = np.log(rates) - np.log1p(-rates)
    return np.asarray(np.exp(log_choices(n) + odds * np.arange(n + 1) + n * np.log1p(-rates)))


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
    `at_down` above it for the lower part. With `enough`, only the answer to "is it more than that?"
    is sure, and the search stops as soon as it is.

    On the angle t with rate = (1 - cos t) / 2 every table's probability bends down by at most
    n0 + n1 times itself, so a maximum falls off no faster than cos(t sqrt(n0 + n1)): values on a
    grid bound what lies in between. The maxima that may be the largest are then narrowed down.
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
    """Give the top of the parabola through the largest of each row's values and its neighbours."""
    rows = np.arange(len(found))
    top = np.minimum(np.maximum(found.argmax(axis=1), 1), found.shape[1] - 2)
    before, at, after = (found[rows, top + step] for step in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + after, -1e-300)
    offset = np.minimum(np.maximum(0.5 * (before - after) / bend, -1.0), 1.0)
    return np.asarray(np.minimum(np.maximum(angles[rows, top] + width * offset, 0.0), np.pi))


@dataclass(frozen=True, slots=True)
class Edge:
    """The tables that the others are measured against: one observed table, or several at once.

    Of several the least extreme counts, at each null difference anew. A two-sided test takes all
    tables as far either way.
    """

    x0: int | Whole
    n0: int
    x1: int | Whole
    n1: int
    two_sided: bool

    def statistics(self, difference: float) -> Array:
        """Give each table's statistic."""
        return score_statistic(self.x0, self.n0, self.x1, self.n1, difference)

    def region(self, low: float, high: float) -> Region | None:
        """Give the tables that some null difference from `low` to `high` counts; None for all."""
        level = float(self.statistics(high).min())
        if self.two_sided and level <= 0.0:
            return None
        up = score_threshold(self.n0, self.n1, low, level, from_above=False)
        if not self.two_sided:
            return Region(up, None)
        return Region(up, score_threshold(self.n0, self.n1, high, -level, from_above=True))

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
        equal to the effects.
        """
        region = self.region(low, high)
        if region is None:
            return 1.0
        return largest_probability(self.n0, self.n1, region, high, low, enough)


def _above(
    edge: Edge, start: float, level: float, close: float = CLOSE
) -> tuple[float, float] | float:
    """Find a null difference below `start` whose raw p-value exceeds `level`, if there is one.

    Returns it with the end of what was settled so far; or, if there is none, the relative distance
    to `level` that was not told apart. Walks from `start` to -1 in stretches that one bound
    settles. Where raw p-values are all but flat, or leap, that would take thousands of stretches,
    so what is not told apart grows a little with the number tried.
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
    """Climb from `where`, which lies higher than `high`, to the largest raw p-value nearby."""
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
    """Narrow [low, high] to where the raw p-value passes `level`: not at one end, at the other.

    Chandrupatla (1997): by inverse quadratic interpolation where the p-values bend smoothly, by
    halves where they leap.
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
    """Give the largest raw p-value of all null differences up to `null`."""
    if edge.two_sided and null >= _effect(edge) - NARROW:
        return 1.0
    best, start = edge.bound(null, null), null
    close = CLOSE if best < LARGE else VAGUE
    while not isinstance(found := _above(edge, start, best, close), float):
        where, start = found
        best, close = max(best, _summit(edge, where, start)), max(close, MOST_CLOSE)
    return min(best if found <= CLOSE or found >= VAGUE else best * (1.0 + found), 1.0)


def lower_end(edge: Edge, alpha: float, guess: float) -> float:
    """Give the least null difference whose raw p-value exceeds `alpha`; `guess` is where to look."""
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


def raw_rejected_from(n0: int, n1: int, null: float, alpha: float, *, two_sided: bool) -> Whole:
    """Give for each control count the least treatment count whose raw p-value is at most `alpha`.

    For tables above the null only; n1 + 1 where there is none.
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
    worth: Callable[[Whole], bool] | None = None,
) -> Whole:
    """Give for each control count the least treatment count above the null that is rejected.

    These are the tables whose `pvalue_from_below` is at most `alpha`; n1 + 1 where there is none.
    The raw test's tables are narrowed down; `worth` is asked at each step whether to go on.

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
    """Give the tables that the exact test rejects, or more if those are not `worth` the search."""
    two_sided = alternative == "two-sided"
    up, down = np.full(n0 + 1, n1 + 1), np.full(n0 + 1, -1)

    def turned(least: Whole) -> Whole:  # least control counts as greatest treatment counts
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
    """Give the raw p-value of a table whose statistic at `null` is `level`."""
    up = score_threshold(n0, n1, null, level, from_above=False)
    down = score_threshold(n0, n1, null, -level, from_above=True) if two_sided else None
    return largest_probability(n0, n1, Region(up, down), null, null, enough)


def fisher_pvalue(x0: int, n0: int, x1: int, n1: int, alternative: str) -> tuple[float, float]:
    """Give Fisher's exact p-value and the probability of the observed table, given both margins.

    Two-sided: all tables that are at most as likely, as R and scipy do.

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
    """Give Boschloo's exact p-value for a larger treatment rate: Fisher's p-value orders tables.

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
