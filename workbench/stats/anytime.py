"""Anytime-valid inference for two rates: e-values, the safe test and its interval.

A block holds the next customers of both cohorts in order of entry. Before each block its rates are
predicted from the earlier blocks. The block's factor is the likelihood of its outcomes under the
prediction, divided by that under the null nearest to the prediction. The product of the factors is an
e-value: under any rates within the null its mean is at most 1, so the probability that it ever
reaches 1 / alpha is at most alpha (Ville's inequality). One may look after every customer, and stop
for any reason, without more false verdicts than alpha.

Sources: Turner, Ly & Grünwald (2024) Journal of Statistical Planning and Inference 230:106116, with
their prior for the predictions, symmetric beta with 0.18; Turner & Grünwald (2023) Statistics &
Probability Letters 198:109835 for nulls of any difference, and for inverting them. The R package
`safestats` is the reference for the numbers.

>>> control = [False, False, True, False, False, False, True, False, False, False]
>>> treatment = [True, True, True, True, True, True, False, True, True, True]
>>> found = compare_anytime(Outcomes(control, treatment), alternative="greater")
>>> print(f"{found.evalue:.2f}, p = {found.comparison.pvalue:.4f}, {found.blocks} blocks")
7.64, p = 0.0474, 10 blocks
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from workbench.stats.arguments import check_between, check_known
from workbench.stats.proportions import Alternative, Comparison, Counts, Ratio
from workbench.stats.score import Array, restricted_rates

Sizes = tuple[int, int]
PRIOR = 0.18  # parameter of the symmetric beta prior of control's rate
STEPS = 200  # of the grid of differences on which an end of the interval is searched
HALVINGS = 32  # bisections of one step of the grid
CLOSER = 3  # refinements of the grid around the smallest peak where every null on it is rejected
FIRST = 512  # blocks evaluated first; most nulls are rejected by them
SPECK = 1e-15  # keeps a rate of a null off 0 and 1
Flags = npt.NDArray[np.bool_]
TEST = "safe test (Turner, Ly & Grünwald)"
INTERVAL = "anytime-valid (Turner & Grünwald)"
MOST_LOG = 700.0  # e-values are shown up to exp(700)
NEAR = 1e-9  # rounding of an end of the interval


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

    `control` and `treatment` hold the converted customers of each block; `before` holds those of the
    blocks before all these, and their number. The weight of treatment's prior is proportional to its
    share of a block, as in the authors' R package safestats.

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


def bets(
    control: Array,
    treatment: Array,
    sizes: Sizes,
    alternative: str,
    planned_effect: float | None,
    before: tuple[Any, Any, int] = (0, 0, 0),
) -> tuple[Array, Array]:
    """Return the rates that each block is predicted to have, one prediction a row.

    The first is that of `predictions`, as is `before`. With a planned effect half of the stake is on
    that effect, around the pooled rate of the blocks before: for a two-sided test in both directions.
    Each row depends on earlier blocks only, so the mean of the rows' e-values is an e-value.
    """
    own = predictions(control, treatment, sizes, before)
    if planned_effect is None:
        return own[0][None], own[1][None]
    effects = [planned_effect]
    if alternative == "two-sided":
        effects = [planned_effect, -planned_effect]
    total = sum(sizes) * (before[2] + np.arange(control.shape[-1], dtype=np.float64))
    both = control + treatment
    seen = before[0] + before[1] + np.cumsum(both, axis=-1) - both
    pooled = (seen + 1.0) / (total + 2.0)
    rows = [
        [np.clip(pooled + sign * effect / 2.0, SPECK, 1.0 - SPECK) for effect in effects]
        for sign in (-1.0, 1.0)
    ]
    return tuple(np.stack([each] * len(effects) + row) for each, row in zip(own, rows, strict=True))  # type: ignore[return-value]


def mixed(paths: Array) -> Array:
    """Return the logarithm of the mean of e-values, one row a bet."""
    return np.asarray(np.logaddexp.reduce(paths, axis=0) - math.log(paths.shape[0]))


def log_factors(
    control: Array,
    treatment: Array,
    predicted: tuple[Array, Array],
    sizes: Sizes,
    null: float,
    alternative: str,
) -> Array:
    """Return the logarithm of each block's factor against the null of this alternative.

    The nearest null in Kullback-Leibler distance maximizes the expected likelihood, so it is the
    restricted estimate at the predicted counts. A prediction within a one-sided null is its own
    nearest null, so the factor is 1. The factor's mean is at most 1 under every null: its logarithm
    is concave in the true rates, 0 at the nearest null, and falls from there in every direction
    within the null, which is convex.
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
    control: Array,
    treatment: Array,
    sizes: Sizes,
    null: float,
    alternative: str,
    planned_effect: float | None = None,
) -> Array:
    """Return the logarithm of the e-value after each block, along the last axis."""
    predicted = bets(control, treatment, sizes, alternative, planned_effect)
    factors = log_factors(control, treatment, predicted, sizes, null, alternative)
    return mixed(np.cumsum(factors, axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The blocks of two cohorts, for testing any null by their e-values.

    `predicted` has the bets of the tests of each alternative. `level` is the logarithm of the e-value
    that rejects, -log(alpha).
    """

    control: Array
    treatment: Array
    predicted: Mapping[str, tuple[Array, Array]]
    sizes: Sizes
    level: float

    def peak(self, null: float, alternative: str, *, whole: bool = False) -> float:
        """Return the logarithm of the largest e-value; unless `whole`, of any that rejects."""
        predicted, start, peak = self.predicted[alternative], 0, 0.0
        now = np.zeros((predicted[0].shape[0], 1))
        length = self.control.size if whole else FIRST
        while start < self.control.size and (whole or peak < self.level):
            part = slice(start, start + length)
            rates = predicted[0][:, part], predicted[1][:, part]
            blocks = self.control[part], self.treatment[part]
            factors = log_factors(*blocks, rates, self.sizes, null, alternative)
            paths = now + np.cumsum(factors, axis=-1)
            now, peak = paths[:, -1:], max(peak, float(mixed(paths).max()))
            start, length = start + length, 2 * length
        return peak

    def end(self, alternative: str, bound: float) -> float:
        """Return the effect nearest to `bound`, -1 or 1, that is not rejected; NaN if all are."""
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
        """Return the least peak of the nulls between this one and the interval's end.

        For "greater" these are the nulls below this one, for "less" those above; for a two-sided
        test it is the larger of both answers. Infinity where the interval ends before.
        """
        found = []
        for side, ends in (("greater", (low, null)), ("less", (null, high))):
            if alternative in (side, "two-sided"):
                nulls = np.linspace(*ends, STEPS + 1).tolist() if ends[0] < ends[1] else []
                peaks = (self.peak(each, alternative) for each in nulls)
                found.append(min(peaks, default=math.inf))
        return max(found)

    def _hidden(self, nulls: Array, alternative: str) -> Iterator[float]:
        """Yield nulls of finer grids around the one with the smallest peak."""
        for _ in range(CLOSER):
            peaks = [self.peak(null, alternative, whole=True) for null in nulls.tolist()]
            best = int(np.argmin(peaks))
            nulls = np.linspace(nulls[max(best - 1, 0)], nulls[min(best + 1, nulls.size - 1)], 21)
            yield from nulls.tolist()


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Whether each customer whose window is over converted, in order of entry.

    Args:
        control: Booleans, or zeros and ones, one per customer of control.
        treatment: The same for treatment.

    Raises:
        ValueError: An outcome is neither true nor false, or the values are not one row.

    Example:
        >>> Outcomes([True, False], [1, 1, 0]).treatment
        array([ True,  True, False])
        >>> Outcomes([0, 2], [1])
        Traceback (most recent call last):
        ValueError: control holds 2; an outcome must be true or false
    """

    control: Flags
    treatment: Flags

    def __init__(
        self, control: Sequence[bool] | npt.ArrayLike, treatment: Sequence[bool] | npt.ArrayLike
    ) -> None:
        for name, values in (("control", control), ("treatment", treatment)):
            object.__setattr__(self, name, _flags(name, values, dimensions=1))


@dataclass(frozen=True, slots=True)
class AnytimeComparison:
    """A comparison that is valid at any time, with the e-values that led to it.

    Attributes:
        comparison: Counts of the customers in whole blocks, and the result. `statistic` is the
            largest e-value so far, at least 1, and the p-value is 1 divided by it, so once it is at
            most alpha it stays there. The interval holds the effects that no look so far rejected.
        evalue: The e-value against the null now.
        blocks: Number of whole blocks.
        unused: Customers of control and of treatment whose block is not whole yet.
        allocation: Customers of control and of treatment per block.
        path: The e-value after each block.
    """

    comparison: Comparison
    evalue: float
    blocks: int
    unused: tuple[int, int]
    allocation: tuple[int, int]
    path: tuple[float, ...]


def compare_anytime(
    outcomes: Outcomes,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    allocation: Sizes = (1, 1),
    planned_effect: float | None = None,
) -> AnytimeComparison:
    """Compare two rates, however often the data were looked at.

    The interval has level 1 - alpha for a two-sided test and holds every effect that is not rejected.
    For a one-sided test it has level 1 - 2 alpha and holds the effects that neither one-sided test at
    alpha rejects. So pvalue <= alpha exactly when the interval excludes `null_effect`: where the null
    is rejected and effects beyond it are not, the p-value is the largest of theirs.

    Counts and estimate are those of the last look. The interval has only shrunk at earlier looks, so
    the estimate may lie outside it after a swing of the data.

    Args:
        outcomes: The customers of both cohorts, in order of entry.
        alternative: Where the effect lies if the null is wrong. The null is that the effect equals
            `null_effect`, for "greater" that it is at most that, for "less" at least.
        alpha: Probability of ever rejecting a true null, below 0.5.
        null_effect: The effect under the null, as a fraction.
        allocation: Customers of control and of treatment per block.
        planned_effect: The effect that half of the evidence bets on; its sign does not matter to a
            two-sided test. The end of the interval that refutes a one-sided claim bets half on no
            effect. Without it all evidence is on what was seen so far.

    Returns:
        The result. It is NaN with a reason where no block is whole. Both ends of the interval are
        NaN where every effect is rejected, as when rates change while customers enter.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> outcomes = Outcomes([False] * 40, [True, False] * 20)
        >>> found = compare_anytime(outcomes).comparison
        >>> print(f"{found.estimate:.2f} [{found.low:.3f}, {found.high:.3f}], p = {found.pvalue:.2g}")
        0.50 [0.256, 0.751], p = 4.5e-07
    """
    check_options(alternative, null_effect, allocation, planned_effect)
    check_between("alpha", alpha, 0, 0.5)
    control, treatment = (
        converted_in_blocks(flags, size)
        for flags, size in zip((outcomes.control, outcomes.treatment), allocation, strict=True)
    )
    blocks = min(control.size, treatment.size)
    control, treatment = control[:blocks], treatment[:blocks]
    counts = [
        Counts(int(converted.sum()), blocks * size)
        for converted, size in zip((control, treatment), allocation, strict=True)
    ]
    path = log_path(control, treatment, allocation, null_effect, alternative, planned_effect)
    result = Comparison(
        control=counts[0],
        treatment=counts[1],
        estimate=counts[1].rate - counts[0].rate,
        low=math.nan,
        high=math.nan,
        pvalue=math.nan,
        statistic=math.nan,
        test=TEST,
        interval=INTERVAL,
        alternative=alternative,
        null_effect=null_effect,
        confidence_level=1.0 - (alpha if alternative == "two-sided" else 2.0 * alpha),
        ratio=Ratio(math.nan, math.nan, math.nan, "none that is anytime-valid"),
        reason=f"no block of {allocation[0]} control and {allocation[1]} treatment is whole",
    )
    if blocks:
        none = None if planned_effect is None else 0.0
        predicted = {
            side: bets(
                control,
                treatment,
                allocation,
                side,
                planned_effect if alternative in (side, "two-sided") else none,
            )
            for side in ("greater", "less", "two-sided")
        }
        evidence = Evidence(control, treatment, predicted, allocation, -math.log(alpha))
        result = _concluded(result, evidence, path, alpha)
    shown = np.exp(np.minimum(path, MOST_LOG))
    return AnytimeComparison(
        comparison=result,
        evalue=float(shown[-1]) if blocks else 1.0,
        blocks=blocks,
        unused=(
            outcomes.control.size - blocks * allocation[0],
            outcomes.treatment.size - blocks * allocation[1],
        ),
        allocation=(int(allocation[0]), int(allocation[1])),
        path=tuple(shown.tolist()),
    )


def evalues(
    control: npt.ArrayLike,
    treatment: npt.ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    null_effect: float = 0.0,
    allocation: Sizes = (1, 1),
    planned_effect: float | None = None,
) -> Array:
    """Return the e-value after each block for many runs at once, as simulations need it.

    Args:
        control: Outcomes in order of entry, one row per run.
        treatment: The same for treatment.
        alternative: As in `compare_anytime`.
        null_effect: As in `compare_anytime`.
        allocation: As in `compare_anytime`.
        planned_effect: As in `compare_anytime`.

    Returns:
        One row per run. A run rejects at its first e-value of 1 / alpha or more.

    Raises:
        ValueError: An argument is out of range, or the numbers of rows differ.

    Example:
        >>> evalues([[0, 0, 0], [1, 0, 1]], [[1, 1, 1], [1, 1, 1]]).round(3)
        array([[ 1.   ,  3.011, 10.278],
               [ 1.   ,  1.   ,  0.911]])
    """
    check_options(alternative, null_effect, allocation, planned_effect)
    flags = [
        _flags(name, values, dimensions=2)
        for name, values in (("control", control), ("treatment", treatment))
    ]
    if flags[0].shape[0] != flags[1].shape[0]:
        raise ValueError(
            f"control has {flags[0].shape[0]} rows and treatment {flags[1].shape[0]};"
            " each run needs a row in both"
        )
    first, second = (
        converted_in_blocks(each, size) for each, size in zip(flags, allocation, strict=True)
    )
    blocks = min(first.shape[1], second.shape[1])
    first, second = first[:, :blocks], second[:, :blocks]
    path = log_path(first, second, allocation, null_effect, alternative, planned_effect)
    return np.asarray(np.exp(np.minimum(path, MOST_LOG)))


def _concluded(result: Comparison, evidence: Evidence, path: Array, alpha: float) -> Comparison:
    """Add p-value, interval, ratio and reason."""
    alternative, null = result.alternative, result.null_effect
    one_sided = alternative != "two-sided"
    low = evidence.end("greater" if one_sided else alternative, -1.0)
    high = evidence.end("less" if one_sided else alternative, 1.0)
    peak = max(0.0, float(path.max()))
    pvalue = math.exp(-peak)
    if pvalue <= alpha:
        further = evidence.further(null, alternative, low + NEAR, high - NEAR)
        if further < evidence.level:
            # An effect further off than the null is not rejected: the interval holds both of them.
            pvalue = math.exp(-further)
    low, high = _settled(low, high, null, alternative, rejected=pvalue <= alpha)
    reasons = ["no interval of the ratio is anytime-valid"]
    if not result.control.converted:
        reasons = ["no ratio: no control customer converted"]
    if not low <= high:
        low = high = math.nan
        reasons.insert(0, "every effect is rejected: the rates seem to change as customers enter")
    return replace(
        result,
        low=low,
        high=high,
        pvalue=pvalue,
        statistic=math.exp(min(peak, MOST_LOG)),
        ratio=replace(result.ratio, estimate=_ratio(result.control, result.treatment)),
        reason="; ".join(reasons),
    )


def _ratio(control: Counts, treatment: Counts) -> float:
    return treatment.rate / control.rate if control.converted else math.nan


def _settled(
    low: float, high: float, null: float, alternative: str, *, rejected: bool
) -> tuple[float, float]:
    """Move an end that lies within rounding of the null to the side that the p-value says."""
    if not rejected:
        low = min(low, null) if alternative != "less" else low
        high = max(high, null) if alternative != "greater" else high
    elif low <= null <= high:
        lower = alternative == "greater" or (
            alternative == "two-sided" and abs(low - null) <= abs(high - null)
        )
        if lower:
            low = math.nextafter(null, math.inf)
        else:
            high = math.nextafter(null, -math.inf)
    return low, high


def _flags(name: str, values: Any, dimensions: int) -> Flags:
    """Return outcomes as a read-only array of booleans."""
    found = np.array(values)
    if found.ndim != dimensions:
        shape = "one row of outcomes" if dimensions == 1 else "a matrix with one row a run"
        raise ValueError(f"{name} has {found.ndim} dimensions; it must be {shape}")
    if found.dtype != np.bool_:
        odd = found[~np.isin(found, (0, 1))]
        if odd.size:
            raise ValueError(f"{name} holds {odd[0]}; an outcome must be true or false")
        found = found.astype(np.bool_)
    found.setflags(write=False)
    return found


def check_options(
    alternative: str,
    null_effect: float,
    allocation: Sequence[int],
    planned_effect: float | None,
) -> None:
    """Raise ValueError for an option out of range, and a planned effect that is part of the null."""
    check_known("alternative", alternative, get_args(Alternative))
    check_between("null_effect", null_effect, -1)
    if planned_effect is not None:
        low = null_effect if alternative == "greater" else -1
        high = null_effect if alternative == "less" else 1
        check_between("planned_effect", planned_effect, low, high)
        if planned_effect == null_effect:
            raise ValueError(f"planned_effect is the null effect, {null_effect}; leave it out")
    if len(allocation) != 2 or not all(size >= 1 and size % 1 == 0 for size in allocation):
        raise ValueError(
            f"allocation is {allocation}; it must be two whole numbers of 1 or more, as (1, 1)"
        )
