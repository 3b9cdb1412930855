"""Levels of a health score by validated risk, and how its ranks hold when weights change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.validation import Band, by_risk, spearman
from workbench.weights import Weights

Array = npt.NDArray[Any]
Level = Literal["healthy", "watch", "at risk", "unknown"]

MOST_BANDS, FEWEST_CASES = 5, 20
OUTSIDE = 0.05
CHANGE, DRAWS = 0.25, 200


@dataclass(frozen=True)
class Levels:
    """Bands of scores from the lowest on, what came of the cases in each, and its level.

    A band is "at risk" if the interval of its rate of bad outcomes lies above the rate of all cases,
    "healthy" if it lies below, else "watch". The intervals of all bands hold together at 95 %
    (Bonferroni). Levels do not skip: a band is at risk only if every lower one is, and healthy only
    if every higher one is. `cuts` are the highest scores of all bands but the last.
    """

    bands: tuple[Band, ...] = ()
    levels: tuple[Level, ...] = ()
    cuts: tuple[float, ...] = ()
    base: Band | None = None
    reason: str = ""

    def of(self, score: float) -> Level:
        """Give the level of a score; "unknown" for NaN, and where nothing was validated."""
        if math.isnan(score) or not self.levels:
            return "unknown"
        return self.levels[int(np.searchsorted(self.cuts, score, side="left"))]


@dataclass(frozen=True, slots=True)
class Stability:
    """How ranks hold when each weight is changed at random by about a quarter.

    `rank_correlation` with the ranks as they are, in the median; 95 of 100 changes keep more than
    `low`. `kept` of the `worst` tenth stay there, in the median.
    """

    rank_correlation: float
    low: float
    kept: int
    worst: int


def validated_levels(scores: Array, bad: Array, customers: Array, *, yes_no: bool) -> Levels:
    """Cut test cases into bands of equal numbers by score, and give each its level."""
    known = ~np.isnan(scores)
    scores, bad, customers = scores[known], bad[known], customers[known]
    bands = min(MOST_BANDS, len(scores) // FEWEST_CASES)
    if bands < 2:
        said = f"too few cases to validate levels: {len(scores)} of {2 * FEWEST_CASES}"
        return Levels(reason=said)
    (base,) = by_risk(-scores, bad, customers, 1, yes_no=yes_no)
    level = 1 - OUTSIDE / bands
    cut = by_risk(-scores, bad, customers, bands, yes_no=yes_no, confidence_level=level)
    ordered = np.sort(scores)
    worst_first = cut[::-1]  # the lowest scores are the highest risks
    ends = np.cumsum([each.cases for each in worst_first])[:-1]
    cuts = tuple(float(ordered[end - 1]) for end in ends)
    at_risk = np.logical_and.accumulate([each.low > base.rate for each in worst_first])
    healthy = np.logical_and.accumulate([each.high < base.rate for each in cut])[::-1]
    levels: list[Level] = [
        "at risk" if risky else "healthy" if well else "watch"
        for risky, well in zip(at_risk, healthy, strict=True)
    ]
    foretold = [
        Band(-each.foretold, each.events, each.cases, each.rate, each.low, each.high)
        for each in worst_first
    ]
    return Levels(tuple(foretold), tuple(levels), cuts, base)


def stability(weights: Weights, scaled: Array, *, seed: int = 0) -> Stability:
    """Change weights by factors with a standard deviation of about a quarter, and rank anew."""
    scores, _ = weights.score(scaled)
    known = scaled[~np.isnan(scores)]
    if len(known) < 2:
        return Stability(math.nan, math.nan, 0, 0)
    scores, _ = weights.score(known)
    count = math.ceil(len(known) / 10)
    worst = set(np.argsort(scores, kind="stable")[:count].tolist())
    rng = np.random.default_rng(seed)
    alike, kept = [], []
    for factors in np.exp(CHANGE * rng.normal(size=(DRAWS, len(weights.values)))):
        changed = np.array(weights.values) * factors
        other = Weights(weights.kind, weights.names, tuple(changed / np.abs(changed).sum()))
        again, _ = other.score(known)
        alike.append(spearman(scores, again))
        kept.append(len(worst & set(np.argsort(again, kind="stable")[:count].tolist())))
    low, middle = np.quantile(alike, [0.05, 0.5])
    return Stability(float(middle), float(low), int(np.median(kept)), count)
