"""Chances of verdicts by listing every table, at one look or at several, for two equal cohorts.

Who goes on after a look is carried on to the next one: all pairs of counts with their probability,
convolved with those of the customers who enter in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from workbench.stats.boundaries import NORMAL, Spending, boundaries
from workbench.stats.exact import (
    Region,
    binomials,
    raw_rejected_from,
    rejected_from,
    rejection_region,
)
from workbench.stats.proportions import SMALL
from workbench.stats.score import Integers, below, finite_factor, score_threshold

Array = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
ALPHA = 0.05


def equally(looks: int, planned: int) -> tuple[int, ...]:
    """Give the sizes of equally spaced looks.

    >>> equally(4, 10)
    (2, 5, 8, 10)
    """
    return tuple(sorted({max(1, round(planned * (look + 1) / looks)) for look in range(looks)}))


@lru_cache(maxsize=512)
def rejected(size: int, alternative: str, null: float = 0.0, test: str = "exact") -> Region:
    """Give the tables that a fixed test rejects; "auto" is the test that a verdict takes."""
    if test == "exact" or 2 * size <= SMALL:
        return rejection_region(size, size, null, ALPHA, alternative=alternative)
    level = -NORMAL.inv_cdf(ALPHA / (2 if alternative == "two-sided" else 1))
    level *= finite_factor(size, size) ** 0.5
    up, down = np.full(size + 1, size + 1), np.full(size + 1, -1)
    if alternative != "less":
        up = score_threshold(size, size, null, level, from_above=False)
    if alternative != "greater":
        down = score_threshold(size, size, null, -level, from_above=True)
    return Region(up, down)


@lru_cache(maxsize=512)
def raw_rejected(size: int, alpha: float = ALPHA, null: float = 0.0) -> Region:
    """Give the tables whose own exact p-value, for an effect above the null, is at most alpha."""
    return Region(raw_rejected_from(size, size, null, alpha, two_sided=False), None)


def crossed(
    sizes: Sequence[int], spending: Spending, alternative: str, null: float = 0.0
) -> list[Region]:
    """Give for each look the tables that cross the boundary there; two-sided for a null of 0."""
    two_sided = alternative == "two-sided"
    found = []
    for size, value in zip(sizes, critical(sizes, spending, alternative), strict=True):
        up = rejected_from(size, size, null, below(-value), two_sided=False)
        down = np.searchsorted(up, np.arange(size + 1), side="right") - 1
        found.append(Region(up, down if two_sided else None))
    return found


def ruled_out(sizes: Sequence[int], spending: Spending, effect: float) -> list[Region]:
    """Give for each look the tables whose repeated interval ends below an effect worth having."""
    return [
        rejection_region(size, size, effect, below(-value), alternative="less")
        for size, value in zip(sizes, critical(sizes, spending, "greater"), strict=True)
    ]


def critical(sizes: Sequence[int], spending: Spending, alternative: str) -> tuple[float, ...]:
    """Give the critical value of each look."""
    fractions = [size / sizes[-1] for size in sizes]
    return boundaries(fractions, alpha=ALPHA, alternative=alternative, spending=spending)


def marks(region: Region) -> Marks:
    """Write a region as a table of yes and no, one row for each control count."""
    counts = np.arange(region.up.size)
    inside = counts >= region.up[:, None]
    return inside if region.down is None else inside | (counts <= region.down[:, None])


def greatest(region: Region) -> Integers:
    """Give for each control count the greatest treatment count of the lower part of a region."""
    return np.full(region.up.size, -1) if region.down is None else region.down


def endings(
    sizes: Sequence[int], regions: Sequence[Region], rates: tuple[float, float]
) -> Iterator[float]:
    """Give the chance to end at each look: to be in its region, and in none before."""
    chances, before = np.ones((1, 1)), 0
    for size, region in zip(sizes, regions, strict=True):
        control, treatment = (_entering(before, size - before, rate) for rate in rates)
        chances, inside = control @ chances @ treatment.T, marks(region)
        yield float(chances[inside].sum())
        chances, before = np.where(inside, 0.0, chances), size


def once(size: int, region: Region, rates: tuple[float, float]) -> float:
    """Give the chance of a region at one look."""
    return next(endings([size], [region], rates))


def customers(sizes: Sequence[int], ends: Sequence[float]) -> float:
    """Give the mean size of a cohort at which looks end, the last one for those who never do."""
    return float(sum(size * chance for size, chance in zip(sizes, ends, strict=True))) + sizes[
        -1
    ] * (1.0 - sum(ends))


def family(size: int, rate: float, effects: Sequence[float]) -> float:
    """Give the chance that Holm's method rejects a true null: treatments against one control.

    With one real effect at most, which must come last. Given the control's count, treatments are
    independent: a true null falls at alpha / m, or at alpha / (m - 1) once the real one has fallen.
    """
    nulls = sum(not effect for effect in effects)
    control = binomials(size, np.array([rate]))[0]
    strict, loose = (raw_rejected(size, ALPHA / count).up for count in (len(effects), nulls))
    tail = _tail(size, rate)
    none_strict, none_loose = (1.0 - tail[strict]) ** nulls, (1.0 - tail[loose]) ** nulls
    if nulls == len(effects):
        return float(control @ (1.0 - none_strict))
    real = _tail(size, rate + effects[-1])[strict]
    return float(control @ (1.0 - (1.0 - real) * none_strict - real * none_loose))


def _tail(size: int, rate: float) -> Array:
    """Give the chance of each count or more, and 0 for one too many."""
    return np.append(np.cumsum(binomials(size, np.array([rate]))[0][::-1])[::-1], 0.0)


def _entering(before: int, more: int, rate: float) -> Array:
    """Give the chance of each count, in rows, from each count before, in columns."""
    added = np.arange(before + more + 1)[:, None] - np.arange(before + 1)
    chances = binomials(more, np.array([rate]))[0]
    return np.where((added >= 0) & (added <= more), chances[np.clip(added, 0, more)], 0.0)
