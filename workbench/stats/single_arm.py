"""One cohort against a target rate, exactly: does it work at all?

The first n customers by entry are counted, a number fixed before. A claim that the rate is above the
target is shown once c of them have converted, whoever is still open: c is the smallest number that so many
customers reach with a probability of at most alpha at the target (curtailed: Jennison & Turnbull 2000,
Group Sequential Methods, chapter 12). The interval is Clopper & Pearson's (1934, Biometrika 26:404-413):
its low end counts the open customers as lost, its high end as won, so it holds at any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, stats

from workbench.stats.arguments import check_between

MOST = 10_000  # customers that a plan looks through


@dataclass(frozen=True, slots=True)
class SingleArm:
    """What the first customers say of a target.

    Attributes:
        customers: How many customers count, n.
        converted: How many of them converted so far.
        closed: How many of them are decided: they converted, or no longer can.
        target: The rate to exceed, a fraction.
        critical: How many must convert, c; None if no number of so few would show it.
        low: Lower end of the exact interval; one-sided, alpha lies below it.
        high: Upper end.
        pvalue: The probability of so many conversions or more at the target.
    """

    customers: int
    converted: int
    closed: int
    target: float
    critical: int | None
    low: float
    high: float
    pvalue: float

    @property
    def open(self) -> int:
        """How many of the customers are undecided, or still to come."""
        return self.customers - self.closed

    @property
    def rate(self) -> float:
        """The rate; NaN while anybody is open, since those who convert are decided before the others."""
        return self.converted / self.customers if self.customers and not self.open else math.nan

    @property
    def shown(self) -> bool:
        """Whether enough have converted."""
        return self.critical is not None and self.converted >= self.critical

    @property
    def ruled_out(self) -> bool:
        """Whether the rate is below the target, whatever becomes of those who are open."""
        return self.high < self.target

    @property
    def out_of_reach(self) -> bool:
        """Whether enough can no longer convert."""
        return self.critical is None or self.converted + self.open < self.critical


def compare_with_target(
    customers: int, converted: int, closed: int, *, target: float, alpha: float = 0.05
) -> SingleArm:
    """Compare one cohort's conversions with a target rate.

    Args:
        customers: How many customers count, fixed before; those still to come are among them.
        converted: How many of them converted so far.
        closed: How many converted or no longer can.
        target: The rate to exceed, a fraction.
        alpha: Probability of showing a rate above the target that is not; the same below it.

    Returns:
        The result, valid whenever one looks.

    Raises:
        ValueError: The counts do not fit each other, or a fraction lies outside 0 to 1.

    Example:
        >>> found = compare_with_target(10, 8, 8, target=0.4)
        >>> found.critical, found.shown, round(found.low, 3), found.high
        (8, True, 0.493, 1.0)
    """
    check_between("target", target)
    check_between("alpha", alpha, 0, 0.5)
    if not 0 <= converted <= closed <= customers:
        msg = f"{converted} converted, {closed} closed and {customers} customers do not fit; give 0 <= converted <= closed <= customers"
        raise ValueError(msg)
    most = converted + customers - closed
    low = stats.beta.ppf(alpha, converted, customers - converted + 1) if converted else 0.0
    high = stats.beta.ppf(1 - alpha, most + 1, customers - most) if most < customers else 1.0
    pvalue = float(stats.binom.sf(converted - 1, customers, target))
    critical = critical_number(customers, target, alpha)
    return SingleArm(
        customers, converted, closed, target, critical, float(low), float(high), pvalue
    )


def critical_number(customers: int, target: float, alpha: float = 0.05) -> int | None:
    """Return how many of the customers must convert to show a rate above the target; None if all are too few.

    >>> critical_number(10, 0.4), critical_number(8, 0.8)
    (8, None)
    """
    least = int(stats.binom.isf(alpha, customers, target)) + 1
    return least if least <= customers else None


def single_arm_power(customers: int, target: float, rate: float, alpha: float = 0.05) -> float:
    """Return the probability to show a rate above the target where it is `rate`.

    >>> [round(single_arm_power(n, 0.4, 0.65), 2) for n in (5, 10, 20, 30)]
    [0.12, 0.26, 0.6, 0.87]
    """
    least = critical_number(customers, target, alpha)
    return 0.0 if least is None else float(stats.binom.sf(least - 1, customers, rate))


def fewest_customers(target: float, alpha: float = 0.05) -> int:
    """Return the fewest customers that can show a rate above the target: all of them must convert.

    >>> fewest_customers(0.8)
    14
    """
    return math.ceil(math.log(alpha) / math.log(target) - 1e-12)


def customers_for_power(
    target: float, rate: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return the fewest customers with this power, which no larger number loses again.

    Exact power falls back a little wherever one more customer must convert.

    >>> customers_for_power(0.4, 0.65)
    28
    """
    if rate <= target:
        return None
    normal = _approximate(target, rate, alpha, power)
    if normal > MOST:
        return None
    numbers = range(1, 2 * normal + 30)
    lacking = [n for n in numbers if single_arm_power(n, target, rate, alpha) < power]
    return lacking[-1] + 1


def detectable_rate(
    customers: int, target: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest rate above the target that is shown with this power; NaN if none is.

    >>> round(detectable_rate(10, 0.4), 3)
    0.842
    """
    least = critical_number(customers, target, alpha)
    if least is None:
        return math.nan
    return float(
        optimize.brentq(
            lambda rate: stats.binom.sf(least - 1, customers, rate) - power, target, 1.0
        )
    )


def _approximate(target: float, rate: float, alpha: float, power: float) -> int:
    """Return the customers needed by the normal approximation."""
    spread = stats.norm.isf(alpha) * math.sqrt(target * (1 - target))
    spread += stats.norm.ppf(power) * math.sqrt(rate * (1 - rate))
    return math.ceil((max(spread, 0.1) / (rate - target)) ** 2)
