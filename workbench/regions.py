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

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

COARSE_FALL = 0.5  # below cos(1): what a maximum between the points of the coarse grid keeps


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
