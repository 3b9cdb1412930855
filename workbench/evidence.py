"""Evidence against a null on two rates, block by block: e-values that may be looked at any time.

A block holds the next customers of both cohorts in order of entry. Before each block its rates are
predicted from the blocks before; the block's factor is the likelihood of what came under the
prediction, over that under the null nearest to the prediction. The product of the factors is an
e-value: whatever the true rates within the null, it is 1 on average or less, so that it ever reaches
1 / alpha with probability alpha at most (Ville's inequality).

Sources: Turner, Ly & Grünwald (2024) Journal of Statistical Planning and Inference 230:106116, whose
prior for the predictions is used, symmetric beta with 0.18; Turner & Grünwald (2023) Statistics &
Probability Letters 198:109835 for nulls of any difference, and for inverting them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.score import Array, restricted_rates

Sizes = tuple[int, int]

PRIOR = 0.18  # customers of either outcome that a prediction adds to those of control seen
STEPS = 200  # of the differences from -1 to 1 that are tried for an end of the interval
HALVINGS = 32  # of one such step
CLOSER = 3  # times that the smallest peak is looked at more closely where no effect is left
FIRST = 512  # blocks that are looked at before the rest, which most nulls do not need
SPECK = 1e-15  # keeps a rate of a null off 0 and 1


def converted_in_blocks(outcomes: npt.NDArray[np.bool_], size: int) -> Array:
    """Count the converted customers of each whole block along the last axis.

    >>> converted_in_blocks(np.array([True, True, False, True, True]), 2)
    array([2., 1.])
    """
    whole = outcomes.shape[-1] // size
    parts = outcomes[..., : whole * size].reshape(*outcomes.shape[:-1], whole, size)
    return np.asarray(parts.sum(axis=-1), dtype=np.float64)


def predictions(
    control: Array, treatment: Array, sizes: Sizes, before: tuple[Any, Any, int] = (0, 0, 0)
) -> tuple[Array, Array]:
    """Predict each block's rates from the blocks before it: the means of the beta posteriors.

    `control` and `treatment` hold the converted customers of each block, `before` those of the
    blocks that came earlier still, and their number. The treatment's prior weighs in proportion to
    its share of a block, as in the authors' R package safestats.

    >>> control, treatment = predictions(np.array([0.0, 1.0]), np.array([1.0, 1.0]), (1, 1))
    >>> control.round(3), treatment.round(3)
    (array([0.5  , 0.132]), array([0.5  , 0.868]))
    """
    blocks = before[2] + np.arange(control.shape[-1], dtype=np.float64)
    found = []
    for converted, earlier, size in zip((control, treatment), before[:2], sizes, strict=True):
        weight = PRIOR * size / sizes[0]
        seen = earlier + np.cumsum(converted, axis=-1) - converted
        found.append(np.asarray((seen + weight) / (blocks * size + 2.0 * weight)))
    return found[0], found[1]


def log_factors(
    control: Array,
    treatment: Array,
    predicted: tuple[Array, Array],
    sizes: Sizes,
    null: float,
    alternative: str,
) -> Array:
    """Give the logarithm of each block's factor against the null that `alternative` leaves.

    The nearest null in Kullback-Leibler distance maximizes the expected likelihood, so it is the
    restricted estimate at the predicted counts. A prediction within a one-sided null is its own
    nearest: the factor is 1. Why it is 1 on average or less for each of these nulls: the logarithm
    of its mean is concave in the true rates, 0 at the nearest null, and falls from there in every
    direction of the null, which is convex.
    """
    (n0, n1), (p0, p1) = sizes, predicted
    r0, r1 = restricted_rates(n0 * p0, n0, n1 * p1, n1, null)
    r0, r1 = (np.minimum(np.maximum(each, SPECK), 1.0 - SPECK) for each in (r0, r1))
    logs = (
        control * np.log(p0 / r0)
        + (n0 - control) * np.log((1.0 - p0) / (1.0 - r0))
        + treatment * np.log(p1 / r1)
        + (n1 - treatment) * np.log((1.0 - p1) / (1.0 - r1))
    )
    if alternative == "greater":
        logs = np.where(p1 - p0 > null, logs, 0.0)
    elif alternative == "less":
        logs = np.where(p1 - p0 < null, logs, 0.0)
    return np.asarray(logs)


def log_path(
    control: Array, treatment: Array, sizes: Sizes, null: float, alternative: str
) -> Array:
    """Give the logarithm of the e-value after each block, along the last axis."""
    predicted = predictions(control, treatment, sizes)
    factors = log_factors(control, treatment, predicted, sizes, null, alternative)
    return np.asarray(np.cumsum(factors, axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Two cohorts' blocks, and whether a null is rejected by their e-values so far.

    `level` is the logarithm from which an e-value rejects, -log(alpha).
    """

    control: Array
    treatment: Array
    predicted: tuple[Array, Array]
    sizes: Sizes
    level: float

    def peak(self, null: float, alternative: str, *, whole: bool = False) -> float:
        """Give the logarithm of the largest e-value; unless `whole`, of some that rejects."""
        start, now, peak = 0, 0.0, 0.0
        length = self.control.size if whole else FIRST
        while start < self.control.size and (whole or peak < self.level):
            part = slice(start, start + length)
            rates = self.predicted[0][part], self.predicted[1][part]
            blocks = self.control[part], self.treatment[part]
            path = now + np.cumsum(log_factors(*blocks, rates, self.sizes, null, alternative))
            now, peak = float(path[-1]), max(peak, float(path.max()))
            start, length = start + length, 2 * length
        return peak

    def end(self, alternative: str, bound: float) -> float:
        """Give the effect nearest to `bound`, -1 or 1, that is not rejected; NaN if all are."""
        nulls = np.linspace(bound, -bound, STEPS + 1)
        nulls[[0, -1]] = math.nextafter(bound, 0.0), math.nextafter(-bound, 0.0)
        inner = outer = math.nan
        for null in chain(nulls.tolist(), self._hidden(nulls, alternative)):
            if self.peak(null, alternative) < self.level:
                inner = null
                break
            outer = null
        if math.isnan(inner):
            return math.nan
        if math.isnan(outer):
            return bound
        for _ in range(HALVINGS):
            middle = 0.5 * (inner + outer)
            if self.peak(middle, alternative) < self.level:
                inner = middle
            else:
                outer = middle
        return inner

    def further(self, null: float, alternative: str, low: float, high: float) -> float:
        """Give the least peak of the nulls beyond this one, as far as the interval's end.

        Beyond is the side that a test with this alternative leads away from; two-sided, the side
        whose least peak is the larger. Infinity where the interval ends before.
        """
        found = []
        for side, ends in (("greater", (low, null)), ("less", (null, high))):
            if alternative in (side, "two-sided"):
                nulls = np.linspace(*ends, STEPS + 1).tolist() if ends[0] < ends[1] else []
                peaks = (self.peak(each, alternative) for each in nulls)
                found.append(min(peaks, default=math.inf))
        return max(found)

    def _hidden(self, nulls: Array, alternative: str) -> Iterator[float]:
        """Look for effects that are not rejected between two nulls that are."""
        for _ in range(CLOSER):
            peaks = [self.peak(null, alternative, whole=True) for null in nulls.tolist()]
            best = int(np.argmin(peaks))
            nulls = np.linspace(nulls[max(best - 1, 0)], nulls[min(best + 1, nulls.size - 1)], 21)
            yield from nulls.tolist()
