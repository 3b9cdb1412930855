"""Stages of a group sequential test of two rates: has it crossed, with which p-value and interval.

Tables are counts in the order converted and total of control, converted and total of treatment, and
turned so that the alternative lies up, or to both sides. See `workbench.sequential` for what is
computed and why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.boundaries import (
    NORMAL,
    Spending,
    below,
    critical_values,
    drift_at,
    root,
    spent,
    tail,
)
from workbench.exact import Edge, lower_end, pvalue_from_below
from workbench.score import finite_factor, score_interval, score_statistic

Table = tuple[int, int, int, int]

EXACT = 600  # up to so many customers in both cohorts together, looks are exact
SMALLEST = 1e-12  # an end of an interval at a smaller level is that of all effects
TINY, MOST = 1e-300, 1.0 - 1e-15  # p-values that have a normal quantile
FAR = 50.0
MOST_EXTREME = 37.0  # normal quantiles that still have a p-value
HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a test stands at its first crossing, or at the last of its looks.

    `over` says that the test has ended, so that p-value and interval are those of the stage-wise
    order, and not the repeated ones. An end on a side that was not crossed is the repeated one if
    that is further out: earlier looks could have refuted by it.
    """

    look: int
    statistic: float
    boundary: float
    spent: float
    crossed: bool
    over: bool
    pvalue: float
    low: float
    high: float
    unbiased: float


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """What was planned: alpha, how it is spent, the null, and to which sides the test looks."""

    alpha: float
    spending: Spending
    null: float
    two_sided: bool

    @property
    def side(self) -> float:
        """The alpha of one side."""
        return self.alpha / 2.0 if self.two_sided else self.alpha

    def critical(
        self, information: tuple[float, ...], side: float, *, closing: bool
    ) -> tuple[float, ...]:
        """Give the critical value of each look for a one-sided alpha; the last spends the rest."""
        levels = [spent(each, alpha=side, spending=self.spending) for each in information]
        if closing:
            levels[-1] = side
        return critical_values(information, tuple(levels), two_sided=self.two_sided)

    def evaluate(
        self, tables: Sequence[Table], information: tuple[float, ...], *, closing: bool
    ) -> Reached:
        """Go through the looks up to the first crossing; `closing` says that the last ends the test."""
        upper = self.critical(information, self.side, closing=closing)
        crossed = look = 0
        up = down = math.nan
        for table, value in zip(tables, upper, strict=True):
            look += 1
            up = statistic(table, self.null, value)
            down = -statistic(mirrored(table), -self.null, value) if self.two_sided else -math.inf
            crossed = 1 if up >= value else -1 if self.two_sided and down <= -value else 0
            if crossed:
                break
        ended = closing and look == len(tables)
        path, so_far, table = information[:look], upper[:look], tables[look - 1]
        level = self.side if ended else spent(path[-1], alpha=self.side, spending=self.spending)
        score = score_quantile(table, self.null)
        at = up if score >= 0.0 else down if self.two_sided else score
        nominal = below(-so_far[-1])
        low, high = ends(table, nominal, nominal)
        if crossed or ended:
            pvalue = self._stagewise_pvalue(path, so_far, up, down)
            stagewise = self._stagewise_ends(table, path, so_far, at)
            low = stagewise[0] if crossed > 0 or not self.two_sided else min(low, stagewise[0])
            high = stagewise[1] if crossed < 0 else max(high, stagewise[1])
            reach = max(score, at) if crossed > 0 else min(score, at) if crossed < 0 else score
            middle = drift_at(path, so_far, reach, 0.5, two_sided=self.two_sided)
            unbiased = effect_at(table, reach - middle * math.sqrt(path[-1]))
        else:
            pvalue = self._repeated_pvalue(path, max(up, -down) if self.two_sided else up)
            unbiased = math.nan
        low, high = self._settled(low, high, crossed)
        pvalue = min(pvalue, self.alpha) if crossed else max(pvalue, math.nextafter(self.alpha, 1))
        return Reached(
            look=look,
            statistic=at,
            boundary=so_far[-1],
            spent=level * (2.0 if self.two_sided else 1.0),
            crossed=bool(crossed),
            over=bool(crossed) or ended,
            pvalue=pvalue,
            low=low,
            high=high,
            unbiased=unbiased,
        )

    def _stagewise_pvalue(
        self, path: tuple[float, ...], upper: tuple[float, ...], up: float, down: float
    ) -> float:
        """Give the null's probability of outcomes as far up, or as far to either side."""
        above = tail(path, upper, up, 0.0, two_sided=self.two_sided)
        if not self.two_sided:
            return min(above, 1.0)
        return min(2.0 * min(above, 1.0 - tail(path, upper, down, 0.0, two_sided=True)), 1.0)

    def _stagewise_ends(
        self, table: Table, path: tuple[float, ...], upper: tuple[float, ...], at: float
    ) -> tuple[float, float]:
        """Give the effects whose drifts leave the side's alpha beyond this outcome, up and down."""
        lowest, highest = (
            drift_at(path, upper, at, level, two_sided=self.two_sided) * math.sqrt(path[-1])
            for level in (self.side, 1.0 - self.side)
        )
        return ends(table, below(lowest - at), below(at - highest))

    def _repeated_pvalue(self, path: tuple[float, ...], reached: float) -> float:
        """Give the least alpha at which this look would have crossed its boundary."""
        most = NORMAL.inv_cdf(0.4999) if self.two_sided else 3.5

        def excess(quantile: float) -> float:
            side = below(max(min(quantile, most), -8.0))
            return max(reached - self.critical(path, side, closing=False)[-1], -FAR)

        if excess(most) <= 0.0:
            return 1.0
        side = below(root(excess, NORMAL.inv_cdf(self.side)))
        return min(side * (2.0 if self.two_sided else 1.0), 1.0)

    def _settled(self, low: float, high: float, crossed: int) -> tuple[float, float]:
        """Move an end that lies within rounding of the null to the side that the crossing says."""
        if crossed > 0:
            low = max(low, math.nextafter(self.null, math.inf))
        elif low > self.null:
            low = self.null
        if crossed < 0:
            high = min(high, math.nextafter(self.null, -math.inf))
        elif self.two_sided and high < self.null:
            high = self.null
        return low, max(low, high)


def mirrored(table: Table) -> Table:
    """Swap the cohorts."""
    x0, n0, x1, n1 = table
    return x1, n1, x0, n0


def statistic(table: Table, null: float, critical: float) -> float:
    """Give the normal quantile of a table's one-sided p-value at a null difference.

    Where the raw exact p-value reaches the critical value, it is the largest one at this null or
    below it, since the interval goes by that.
    """
    if table[1] + table[3] > EXACT:
        return score_quantile(table, null)
    edge = Edge(*table, two_sided=False)
    pvalue = edge.bound(null, null)
    if pvalue <= below(-critical):
        pvalue = pvalue_from_below(edge, null)
    return -NORMAL.inv_cdf(min(max(pvalue, TINY), MOST))


def score_quantile(table: Table, null: float) -> float:
    """Give the score statistic with Miettinen and Nurminen's factor; at most 37 either way."""
    value = float(score_statistic(*table, null)) / math.sqrt(finite_factor(table[1], table[3]))
    return max(-MOST_EXTREME, min(value, MOST_EXTREME))


def ends(table: Table, low_level: float, high_level: float) -> tuple[float, float]:
    """Give the effects at which the one-sided tests of this table have these p-values."""
    return _low_end(table, low_level), -_low_end(mirrored(table), high_level)


def _low_end(table: Table, level: float) -> float:
    if level < SMALLEST:
        return -1.0
    level = min(level, 1.0 - SMALLEST)
    if table[1] + table[3] > EXACT:
        return effect_at(table, -NORMAL.inv_cdf(level))
    inside = min(level, 0.4)
    guess, _ = score_interval(*table, 1.0 - 2.0 * inside)
    return float(lower_end(Edge(*table, two_sided=False), level, guess))


def effect_at(table: Table, quantile: float) -> float:
    """Give the null difference at which the score statistic is this large, by bisection."""
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if score_quantile(table, middle) > quantile:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
