"""Power of a test of two rates, the customers it needs, and the effect it can detect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np

from workbench.stats.arguments import check_between, check_known, check_rates
from workbench.stats.exact import Region, probability, rejection_region
from workbench.stats.proportions import Alternative
from workbench.stats.score import below, finite_factor, restricted_rates, score_threshold

PowerTest = Literal["auto", "exact", "score"]
BISECTIONS = 40
ENUMERATED = 600  # up to so many customers in both cohorts, power is counted table by table
STARTS = ((40, 0.0), (100, 0.75), (200, 0.9), (math.inf, 0.95))  # where the search begins, as a
# share of the approximate size, by that size
FEW_NEEDED = 40  # up to so many, every size from 1 on is tried
SAW = 0.06  # exact power deviates from its trend by less than this,
SAW_AT_ONE = 2.4  # and by less than this divided by the customers of a cohort
ROUNDING = 1e-12
MOST_CUSTOMERS = 10_000_000  # per cohort; a plan that needs more has no answer


def power(
    *,
    control_rate: float,
    effect: float,
    control_total: int,
    treatment_total: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    test: PowerTest = "auto",
) -> float:
    """Return the probability that the test rejects its null.

    Up to 600 customers in both cohorts together, power is exact: the probability of all tables that
    `compare` (or the score test) rejects. Above, it is the normal approximation of Farrington &
    Manning (1990), which at a null of 0 is that of R's power.prop.test.

    Args:
        control_rate: The true rate of control.
        effect: The true effect treatment - control, as a fraction.
        control_total: Customers of control.
        treatment_total: Customers of treatment.
        alternative: Where the effect lies if the null is wrong.
        alpha: Level of the test.
        null_effect: The effect under the null.
        test: "exact" or "score"; "auto" is exact where power is exact.

    Returns:
        The power; NaN for an empty cohort.

    Raises:
        ValueError: An argument is out of range, or the treatment rate would be.

    Example:
        >>> round(power(control_rate=0.5, effect=0.25, control_total=300, treatment_total=300), 6)
        0.999996
    """
    _check(alternative, alpha, null_effect, test)
    check_rates(control_rate, effect)
    if control_total < 0 or treatment_total < 0:
        raise ValueError(
            f"cohorts have {control_total} and {treatment_total} customers; it must be 0 or more"
        )
    if not control_total or not treatment_total:
        return math.nan
    planned = _FixedTest(alternative, alpha, null_effect, test)
    return planned.power(control_rate, effect, control_total, treatment_total)


def detectable_effect(
    *,
    control_rate: float,
    control_total: int,
    treatment_total: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    null_effect: float = 0.0,
    test: PowerTest = "auto",
) -> float:
    """Return the effect nearest to the null that the test finds with this power.

    Args:
        control_rate: The true rate of control.
        control_total: Customers of control.
        treatment_total: Customers of treatment.
        alternative: Where the effect lies; for "two-sided" the nearer of both directions is taken.
        alpha: Level of the test.
        power: Probability of rejecting the null at the answer.
        null_effect: The effect under the null.
        test: As in `power`.

    Returns:
        The effect treatment - control, with its sign. NaN where no treatment rate within [0, 1] has
        that power, and for an empty cohort.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> found = detectable_effect(
        ...     control_rate=0.3, control_total=150, treatment_total=150, alternative="greater"
        ... )
        >>> round(found, 3)
        0.142
    """
    _check(alternative, alpha, null_effect, test, power)
    check_rates(control_rate, 0.0)
    planned = _FixedTest(alternative, alpha, null_effect, test)
    found = []
    if not control_total or not treatment_total:
        return math.nan
    for direction, end in (("greater", 1.0 - control_rate), ("less", -control_rate)):
        if alternative not in ("two-sided", direction):
            continue
        farthest = end
        near = min(max(null_effect, -control_rate), 1.0 - control_rate)
        if planned.power(control_rate, farthest, control_total, treatment_total) < power:
            continue
        for _ in range(BISECTIONS):
            middle = 0.5 * (near + farthest)
            if planned.power(control_rate, middle, control_total, treatment_total) >= power:
                farthest = middle
            else:
                near = middle
        found.append(farthest)
    return min(found, key=lambda effect: abs(effect - null_effect), default=math.nan)


def customers_needed(
    *,
    control_rate: float,
    effect: float,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    allocation: float = 1.0,
    null_effect: float = 0.0,
    test: PowerTest = "auto",
) -> int:
    """Return the smallest control cohort with which the test finds `effect` with this power.

    Exact power does not rise steadily with the size: it may fall below `power` again at a larger
    one. The answer is the first size that reaches it. The search starts below the normal
    approximation (at 1 where that is below 40) and goes by steps of 1 % from 200 on.

    Args:
        control_rate: The true rate of control.
        effect: The true effect treatment - control, as a fraction.
        alternative: Where the effect lies if the null is wrong.
        alpha: Level of the test.
        power: Probability of rejecting the null.
        allocation: Treatment customers per control customer; treatment's size is rounded up.
        null_effect: The effect under the null.
        test: As in `power`.

    Returns:
        Customers of control.

    Raises:
        ValueError: `effect` equals `null_effect` or lies on its wrong side, more than ten million
            customers would be needed, or another argument is out of range.

    Example:
        >>> customers_needed(control_rate=0.5, effect=0.25, power=0.9, test="score")
        76
    """
    _check(alternative, alpha, null_effect, test, power)
    check_rates(control_rate, effect)
    if not 0.0 < allocation < math.inf:
        raise ValueError(f"allocation is {allocation}; it must be above 0")
    wanted = {"two-sided": effect != null_effect, "greater": effect > null_effect}
    if not wanted.get(alternative, effect < null_effect):
        raise ValueError(
            f"effect is {effect} and null_effect {null_effect}; no size can find it"
            f" with alternative '{alternative}'"
        )
    planned = _FixedTest(alternative, alpha, null_effect, test)

    def both(customers: int) -> tuple[int, int]:
        return customers, max(1, math.ceil(allocation * customers - 1e-9))

    def approximate(customers: int) -> float:
        return planned.approximate_power(control_rate, effect, *both(customers))

    low, rough = 0, 1
    while approximate(rough) < power:
        low, rough = rough, 2 * rough
        if rough > MOST_CUSTOMERS:
            raise ValueError(
                f"effect is {effect}; more than {MOST_CUSTOMERS:,} customers would be needed"
            )
    while rough - low > 1:
        middle = (low + rough) // 2
        low, rough = (low, middle) if approximate(middle) >= power else (middle, rough)
    start = next(share for most, share in STARTS if rough < most)
    customers = max(1, math.ceil(start * rough))
    rise = max(power - approximate(max(rough * 3 // 4, 1)), 0.01) / max(rough / 4, 1.0)
    while sum(both(customers)) <= ENUMERATED:
        reached = planned.power(control_rate, effect, *both(customers), least=power)
        if reached >= power:
            return customers
        saw = min(SAW, SAW_AT_ONE / customers)
        step = max(customers // 100, int((power - reached - saw) / rise), 1)
        customers += step if rough >= FEW_NEEDED else 1
    return max(rough, customers)


@dataclass(frozen=True, slots=True)
class _FixedTest:
    """A fixed test: what its power depends on besides rates and sizes."""

    alternative: str
    alpha: float
    null: float
    test: str

    def power(
        self, control_rate: float, effect: float, n0: int, n1: int, *, least: float = 0.0
    ) -> float:
        """Return the power, or any number below `least` if the power is below it."""
        if n0 + n1 > ENUMERATED:
            return self.approximate_power(control_rate, effect, n0, n1)
        control = np.array([control_rate])
        treatment = np.array([min(max(control_rate + effect, 0.0), 1.0)])

        def chance(region: Region) -> float:
            found = probability(n0, n1, region, control, treatment, treatment)
            return min(float(found[0]), 1.0)

        if self.test == "score":
            return chance(_score_region(self, n0, n1))
        if not least:
            return chance(_exact_region(self, n0, n1))
        return chance(
            rejection_region(
                n0,
                n1,
                self.null,
                self.alpha,
                alternative=self.alternative,
                worth=lambda region: chance(region) >= least,
            )
        )

    def approximate_power(self, control_rate: float, effect: float, n0: int, n1: int) -> float:
        """Return the normal approximation, with restricted errors under the null and true errors."""
        treatment_rate = control_rate + effect
        restricted = restricted_rates(control_rate * n0, n0, treatment_rate * n1, n1, self.null)
        under_null, true = (
            float(np.sqrt(p0 * (1.0 - p0) / n0 + p1 * (1.0 - p1) / n1))
            for p0, p1 in (restricted, (np.float64(control_rate), np.float64(treatment_rate)))
        )
        sides = 2.0 if self.alternative == "two-sided" else 1.0
        reach = -NormalDist().inv_cdf(self.alpha / sides) * under_null
        over, under = effect - self.null - reach, self.null - effect - reach
        chance = 0.0
        if self.alternative != "less":
            chance += below(over / true) if true > ROUNDING else float(over > ROUNDING)
        if self.alternative != "greater":
            chance += below(under / true) if true > ROUNDING else float(under > ROUNDING)
        return min(chance, 1.0)


@lru_cache(maxsize=64)
def _exact_region(planned: _FixedTest, n0: int, n1: int) -> Region:
    return rejection_region(n0, n1, planned.null, planned.alpha, alternative=planned.alternative)


def _score_region(planned: _FixedTest, n0: int, n1: int) -> Region:
    sides = 2.0 if planned.alternative == "two-sided" else 1.0
    level = -NormalDist().inv_cdf(planned.alpha / sides) * finite_factor(n0, n1) ** 0.5
    up, down = np.full(n0 + 1, n1 + 1), np.full(n0 + 1, -1)
    if planned.alternative != "less":
        up = score_threshold(n0, n1, planned.null, level, from_above=False)
    if planned.alternative != "greater":
        down = score_threshold(n0, n1, planned.null, -level, from_above=True)
    return Region(up, down)


def _check(
    alternative: str, alpha: float, null_effect: float, test: str, power: float = 0.5
) -> None:
    check_known("alternative", alternative, get_args(Alternative))
    check_known("test", test, get_args(PowerTest))
    check_between("alpha", alpha)
    check_between("power", power)
    check_between("null_effect", null_effect, -1)
