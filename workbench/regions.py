"""Probabilities of sets of two-by-two tables, and their largest value over the nuisance rate.

A table is a control count and a treatment count. All sets here hold, for each control count, the
treatment counts from one threshold on, and perhaps those up to another. That is enough for every
test whose statistic rises with the treatment count, and it makes a set's probability one product of
a binomial with the tails of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


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
    `at_down` above it for the lower part. Stops early once `enough` is exceeded. The grid is finer
    than the binomial distributions' own width, and each promising maximum is then narrowed down.
    """
    last_down = at_up if region.down is None else at_down
    least, most = max(0.0, -at_up), min(1.0, 1.0 - last_down)

    def value(angles: Array) -> Array:
        control = least + (most - least) * 0.5 * (1.0 - np.cos(angles))
        up = np.minimum(np.maximum(control + at_up, 0.0), 1.0)
        down = up if last_down == at_up else np.minimum(np.maximum(control + last_down, 0.0), 1.0)
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
        rows, top = np.arange(centres.size), found.argmax(axis=1)
        best = max(best, float(found.max()))
        if best > enough:
            return best
        keep = found.max(axis=1) > best * (1.0 - 1e-3)
        centres, width = fine[rows, top][keep], width / 6.0
        rows, top = rows[keep], np.clip(top[keep], 1, 11)
    before, at, after = (found[rows, top + step] for step in (-1, 0, 1))
    bend = before - 2.0 * at + after
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = np.where(bend < 0.0, 0.5 * (before - after) / bend, 0.0)
    vertices = fine[rows, top] + width * np.clip(offset, -1.0, 1.0)
    return max(best, float(value(np.clip(vertices, 0.0, np.pi)).max()))
