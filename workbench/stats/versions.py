"""The running answer of a hypothesis over its versions, valid whenever one decides to go on or stop.

Each version tests disjoint customers once. Its exact one-sided p-value becomes a z; the mean z of the
versions so far, equally weighted whatever their sizes (fixed before the first), is held against a bound that
spends alpha over the versions: evenly over a number that was planned, or else half of what is left each
time, so that there is always a next one. Versions that were looked at at any time have e-values instead,
whose product is held against 1 / alpha. Combining p-values with weights fixed beforehand: Lehmacher &
Wassmer (1999) Biometrics 55:1286-1290; the interval that is repeated at each stage: Jennison & Turnbull
(1989) JRSS B 51:305-361.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from operator import mul
from statistics import NormalDist
from typing import get_args

from workbench.stats.arguments import check_between, check_known
from workbench.stats.boundaries import critical_values
from workbench.stats.exact import Edge
from workbench.stats.proportions import SMALL, Alternative, Counts, compare
from workbench.stats.stratified import Interaction, interaction

Version = tuple[Counts, Counts]  # control, treatment
LOWEST = -3.0  # of a version's z: a p-value of 1 says no more than that
LEAST_ALPHA, MOST_ALPHA = 1e-12, 0.499  # of p-values over versions; above, 1
HALVINGS = 14  # of the interval's ends: to a hundredth of a point
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class RunningAnswer:
    """The answer over versions.

    Attributes:
        versions: How many versions it rests on.
        control: The customers of control in all of them.
        treatment: The customers of treatment.
        estimate: The effect, averaged over the versions.
        low: Lower end of the repeated interval; `high` is the upper end. Both are NaN for e-values.
        statistic: The mean z of the versions, in the direction claimed, times the root of their number;
            or the product of their e-values.
        bound: What it must reach at this version.
        enough: The first version at which it reached its bound; None so far.
        differ: The test of whether the versions' effects differ.
    """

    versions: int
    control: int
    treatment: int
    estimate: float
    low: float
    high: float
    statistic: float
    bound: float
    enough: int | None
    differ: Interaction


def running_answer(
    tried: Sequence[Version],
    *,
    alternative: Alternative = "greater",
    alpha: float = 0.05,
    planned: int | None = None,
) -> RunningAnswer:
    """Combine the versions of a hypothesis.

    Args:
        tried: The counts of each version, as pairs (control, treatment), in order; no customer is in
            two of them.
        alternative: Where the effect lies if there is one; a two-sided one spends half of alpha on
            each side.
        alpha: Probability of ever rejecting, however many versions follow.
        planned: How many versions were planned before the first; any number unless given.

    Returns:
        The answer as of the last version. It is enough for good once a version reached its bound.

    Raises:
        ValueError: There is no version, more than planned, or an argument is out of range.

    Example:
        >>> tried = [(Counts(9, 28), Counts(14, 29)), (Counts(11, 27), Counts(20, 29)),
        ...          (Counts(10, 30), Counts(17, 31)), (Counts(9, 27), Counts(16, 29))]
        >>> found = running_answer(tried)
        >>> found.versions, found.enough, round(found.estimate, 3)
        (4, 2, 0.219)
    """
    check_known("alternative", alternative, get_args(Alternative))
    check_between("alpha", alpha, 0, 0.5)
    if not tried or not all(counts.total for version in tried for counts in version):
        raise ValueError(
            "a version has no customers in a cohort; give those of both, and leave it out else"
        )
    if planned is not None and len(tried) > planned:
        raise ValueError(
            f"{len(tried)} versions were tried, but {planned} are planned; plan no fewer"
        )
    bounds = running_bounds(len(tried), _side(alternative, alpha), planned)
    ends = _end(tried, 1, bounds[-1]), -_end(tried, -1, bounds[-1])
    return _answer(tried, _stages(tried, alternative), bounds, ends)


def running_evidence(
    tried: Sequence[Version], evalues: Sequence[float], *, alpha: float = 0.05
) -> RunningAnswer:
    """Combine versions that were looked at at any time, by the product of their e-values.

    Args:
        tried: The counts of each version, as pairs (control, treatment), in order; no customer is in
            two of them.
        evalues: The e-value of each version at its end; not the largest on the way, since a maximum
            is no e-value.
        alpha: Probability of ever rejecting, however many versions follow (Ville's inequality).

    Returns:
        The answer as of the last version, without an interval.

    Example:
        >>> tried = [(Counts(9, 28), Counts(14, 28)), (Counts(11, 27), Counts(20, 27))]
        >>> found = running_evidence(tried, [4.0, 6.0])
        >>> found.statistic, found.bound, found.enough
        (24.0, 20.0, 2)
    """
    check_between("alpha", alpha, 0, 0.5)
    products = [*accumulate(evalues, mul)]
    return _answer(tried, products, [1 / alpha] * len(products), (math.nan, math.nan))


@lru_cache(maxsize=1_024)
def running_pvalue(
    tried: tuple[Version, ...], alternative: Alternative, planned: int | None
) -> float:
    """Return the smallest alpha at which the versions so far would have been enough.

    It is a p-value: a larger alpha has lower bounds, so each alpha keeps its own promise.

    >>> tried = ((Counts(9, 28), Counts(14, 29)), (Counts(11, 27), Counts(20, 29)))
    >>> round(running_pvalue(tried, "greater", None), 4)
    0.0342
    """
    stages = _stages(tried, alternative)

    def reached(alpha: float) -> bool:
        bounds = running_bounds(len(tried), _side(alternative, alpha), planned)
        return any(z >= bound for z, bound in zip(stages, bounds, strict=True))

    low, high = math.log(LEAST_ALPHA), math.log(MOST_ALPHA)
    if not reached(MOST_ALPHA):
        return 1.0
    for _ in range(2 * HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if reached(math.exp(middle)) else (middle, high)
    return math.exp(high)


def _answer(
    tried: Sequence[Version],
    stages: Sequence[float],
    bounds: Sequence[float],
    ends: tuple[float, float],
) -> RunningAnswer:
    reached = [found >= bound for found, bound in zip(stages, bounds, strict=True)]
    effects = [treatment.rate - control.rate for control, treatment in tried]
    return RunningAnswer(
        versions=len(tried),
        control=sum(control.total for control, _ in tried),
        treatment=sum(treatment.total for _, treatment in tried),
        estimate=math.fsum(effects) / len(effects),
        low=ends[0],
        high=ends[1],
        statistic=stages[-1],
        bound=bounds[-1],
        enough=reached.index(True) + 1 if any(reached) else None,
        differ=interaction(tried),
    )


def _side(alternative: Alternative, alpha: float) -> float:
    """Return the alpha of each side that a claim looks at."""
    return alpha / 2 if alternative == "two-sided" else alpha


def _stages(tried: Sequence[Version], alternative: Alternative) -> list[float]:
    """Return the statistic after each version, in the direction claimed."""
    ways = {"greater": (1,), "less": (-1,), "two-sided": (1, -1)}[alternative]
    totals = [_totals(tried, way) for way in ways]
    return [max(found[stage] for found in totals) for stage in range(len(tried))]


def running_bounds(versions: int, alpha: float, planned: int | None) -> tuple[float, ...]:
    """Return the bound at each version, from the one-sided alpha that is spent up to it.

    >>> [round(each, 3) for each in running_bounds(3, 0.05, None)]
    [1.96, 2.058, 2.186]
    """
    numbers = range(1, versions + 1)
    spent = [alpha * (each / planned if planned else 1 - 0.5**each) for each in numbers]
    return critical_values(tuple(map(float, numbers)), tuple(spent), two_sided=False)


def _totals(tried: Sequence[Version], way: int, null: float = 0.0) -> list[float]:
    """Return the sum of z after each version over the root of their number, towards one side."""
    found, total = [], 0.0
    for number, version in enumerate(tried, 1):
        total += version_z(version, way, null)
        found.append(total / math.sqrt(number))
    return found


def version_z(version: Version, way: int = 1, null: float = 0.0) -> float:
    """Return a version's z against the effect being at most `null`; at a way of -1 at least that.

    >>> round(version_z((Counts(9, 28), Counts(14, 29))), 3)
    1.153
    """
    control, treatment = version if way > 0 else version[::-1]
    if control.total + treatment.total <= SMALL:
        edge = Edge(control.converted, control.total, treatment.converted, treatment.total, False)  # noqa: FBT003
        pvalue = min(float(edge.bound(null, null)), 1.0)
    else:
        pvalue = compare(
            control=control,
            treatment=treatment,
            alternative="greater",
            test="score",
            null_effect=null,
        ).pvalue
    return max(LOWEST, -NORMAL.inv_cdf(max(pvalue, 1e-300)) if pvalue < 1 else LOWEST)


def _end(tried: Sequence[Version], way: int, bound: float) -> float:
    """Return the least effect towards a side that is not rejected against smaller ones."""

    def rejected(null: float) -> bool:
        return _totals(tried, way, null)[-1] >= bound

    return _halve(rejected, -1.0, 1.0)


def _halve(below: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if -1.0 < middle < 1.0 and below(middle):
            low = middle
        else:
            high = middle
    return low
