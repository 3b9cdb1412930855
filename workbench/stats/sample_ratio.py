"""Whether cohort sizes fit the intended allocation: exact multinomial test, and chi-square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from workbench.stats.score import Array

SAME = 1e-7  # relative distance between probabilities that are equal
FEW = 1_000  # from so many customers on, the sample ratio is tested by chi-square
MOST_PREFIXES = 1_000_000  # ways to fill all but two cohorts that are still worth going through


def chi_square(sizes: Sequence[int], expected: Sequence[float]) -> float:
    """Return the p-value of Pearson's chi-square test of sizes; 1 for no customers.

    >>> round(chi_square([44_700, 45_489], [45_094.5, 45_094.5]), 4)
    0.0086
    """
    from scipy.special import chdtrc

    if not sum(sizes):
        return 1.0
    statistic = sum((size - mean) ** 2 / mean for size, mean in zip(sizes, expected, strict=True))
    return float(chdtrc(len(sizes) - 1, statistic))


def homogeneity(one: Sequence[int], other: Sequence[int]) -> float:
    """Return Pearson's chi-square p-value for two samples with the same distribution over levels.

    Levels with an expected count below five in either sample are pooled (Cochran 1954). NaN where
    fewer than two levels are left.

    >>> round(homogeneity([30, 60, 10], [50, 40, 10]), 4)
    0.0111
    """
    from scipy.special import chdtrc

    table = np.array([one, other], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    share = table.sum(axis=1) / table.sum()
    rare = table.sum(axis=0) * share.min() < 5
    if rare.any():
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    if table.shape[1] < 2:
        return float("nan")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(chdtrc(table.shape[1] - 1, statistic))


def exact_multinomial(sizes: Sequence[int], chances: Array) -> float:
    """Sum the probabilities of all outcomes that are at most as likely as the observed one.

    Every way to fill all cohorts but two is listed. How the rest falls on the last two is binomial,
    and a sorted cumulative sum for each rest gives the part that counts.
    """
    from scipy.special import gammaln

    customers = sum(sizes)
    logs = np.log(chances)
    observed = gammaln(customers + 1) + sum(
        size * log - gammaln(size + 1) for size, log in zip(sizes, logs, strict=True)
    )
    limit = float(observed) + SAME
    rests = np.array([customers])
    weights = np.array([float(gammaln(customers + 1))])
    for log in logs[:-2]:
        counts = np.concatenate([np.arange(rest + 1) for rest in rests])
        repeated = np.repeat(np.arange(rests.size), rests + 1)
        weights = weights[repeated] + counts * log - gammaln(counts + 1)
        rests = rests[repeated] - counts
    order = np.argsort(rests, kind="stable")
    rests, weights = rests[order], weights[order]
    starts = np.searchsorted(rests, np.arange(customers + 2))
    total = 0.0
    for rest in range(customers + 1):
        group = weights[starts[rest] : starts[rest + 1]]
        if not group.size:
            continue
        counts = np.arange(rest + 1)
        last = np.sort(
            counts * logs[-2]
            + (rest - counts) * logs[-1]
            - gammaln(counts + 1)
            - gammaln(rest - counts + 1)
        )
        sums = np.concatenate([[0.0], np.cumsum(np.exp(last - last[-1]))])
        taken = np.searchsorted(last, limit - group, side="right")
        total += float(np.sum(np.exp(group + last[-1]) * sums[taken]))
    return min(total, 1.0)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """A test of cohort sizes: a small `pvalue` says that they do not fit the allocation."""

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    pvalue: float
    method: str


def sample_ratio(observed: Sequence[int], allocation: Sequence[float] | None = None) -> SampleRatio:
    """Test cohort sizes against the intended allocation.

    Below 1,000 customers this is the exact multinomial test: the probability of all outcomes that
    are at most as likely as the observed one. From 1,000 on, and where many cohorts would make the
    exact test too slow, it is Pearson's chi-square.

    Args:
        observed: Customers of each cohort.
        allocation: Intended shares, in any unit; equal by default.

    Returns:
        Observed and expected sizes, the p-value, and the method.

    Raises:
        ValueError: There are fewer than two cohorts, a size is no whole number or negative, a share is
            not positive, or the lengths differ.

    Example:
        >>> sample_ratio([30, 15])
        SampleRatio(observed=(30, 15), expected=(22.5, 22.5), pvalue=0.03569..., method='exact multinomial')
    """
    given: Sequence[object] = observed
    odd = [each for each in given if isinstance(each, bool) or not isinstance(each, Integral)]
    if odd:
        raise ValueError(f"observed holds {odd[0]!r}; a cohort's size is a whole number")
    sizes = [int(size) for size in observed]
    shares = [1.0] * len(sizes) if allocation is None else [float(share) for share in allocation]
    if len(sizes) < 2:
        raise ValueError(f"observed has {len(sizes)} cohorts; a ratio needs two or more")
    if len(shares) != len(sizes):
        raise ValueError(
            f"allocation has {len(shares)} shares for {len(sizes)} cohorts; give one for each"
        )
    if min(sizes) < 0:
        raise ValueError(f"observed holds {min(sizes)}; a cohort's size must be 0 or more")
    if not all(0.0 < share < math.inf for share in shares):
        raise ValueError(f"allocation is {shares}; every share must be above 0")
    customers = sum(sizes)
    chances = np.array(shares) / sum(shares)
    expected = tuple(float(customers * chance) for chance in chances)
    if customers >= FEW:
        pvalue, method = chi_square(sizes, expected), "chi-square"
    elif math.comb(customers + len(sizes) - 2, len(sizes) - 2) > MOST_PREFIXES:
        pvalue, method = chi_square(sizes, expected), "chi-square (too many cohorts for exact)"
    else:
        pvalue, method = exact_multinomial(sizes, chances), "exact multinomial"
    return SampleRatio(tuple(sizes), expected, pvalue, method)
