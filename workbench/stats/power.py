"""Power of a test of two rates: the customers that it needs, and the effect that it can detect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np

from workbench.errors import unknown_name
from workbench.stats.exact import Region, probability, rejection_region
from workbench.stats.score import finite_factor, restricted_rates, score_threshold

Alternative = Literal["two-sided", "greater", "less"]
Test = Literal["auto", "exact", "score"]
BISECTIONS = 40
ENUMERATED = 600  # up to so many customers in both cohorts, power is counted table by table
STARTS = ((40, 0.0), (100, 0.75), (200, 0.9), (math.inf, 0.95))  # of the approximation, by its size
FEW_NEEDED = 40  # up to so many, every size from 1 on is tried
SAW = 0.06  # exact power strays from its trend by less,
SAW_AT_ONE = 2.4  # and by less than this over the customers of a cohort
ROUNDING = 1e-12
MOST_CUSTOMERS = 10_000_000  # per cohort; a plan that needs more has no answer


def power_method(control_total: int, treatment_total: int, test: Test = "auto") -> str:
    """Name how `power` works at these sizes.

    >>> power_method(150, 150), power_method(400, 400)
    ('exact test, table by table', 'normal approximation to the score test')
    """
    if control_total + treatment_total > ENUMERATED:
        return "normal approximation to the score test"
    return f"{'exact' if test == 'auto' else test} test, table by table"


def power(
    *,
    control_rate: float,
    effect: float,
    control_total: int,
    treatment_total: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    test: Test = "auto",
) -> float:
    """Give the probability that the test rejects when treatment - control is `effect`.

    Up to 600 customers in both cohorts together every table is counted: for "exact" (which "auto"
    means there) those that `compare` rejects, for "score" those that the score test rejects. Above,
    the normal approximation of Farrington & Manning (1990), which at a null of 0 is that of
    R's power.prop.test. NaN for an empty cohort.

    Raises ValueError for rates outside [0, 1] and for other arguments out of range.

    >>> round(power(control_rate=0.5, effect=0.25, control_total=300, treatment_total=300), 6)
    0.999996
    """
    _check(alternative, alpha, null_effect, test)
    _check_rates(control_rate, effect)
    if control_total < 0 or treatment_total < 0:
        raise ValueError(
            f"cohorts have {control_total} and {treatment_total} customers; it must be 0 or more"
        )
    if not control_total or not treatment_total:
        return math.nan
    plan = _Plan(alternative, alpha, null_effect, test)
    return plan.power(control_rate, effect, control_total, treatment_total)


def detectable_effect(
    *,
    control_rate: float,
    control_total: int,
    treatment_total: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    null_effect: float = 0.0,
    test: Test = "auto",
) -> float:
    """Give the effect nearest to the null that the test finds with this power.

    Signed: treatment - control. For a two-sided test the nearer of the two directions. NaN when
    no treatment rate within [0, 1] can be found with that power, or when a cohort is empty.

    >>> found = detectable_effect(
    ...     control_rate=0.3, control_total=150, treatment_total=150, alternative="greater"
    ... )
    >>> round(found, 3)
    0.142
    """
    _check(alternative, alpha, null_effect, test, power)
    _check_rates(control_rate, 0.0)
    plan = _Plan(alternative, alpha, null_effect, test)
    found = []
    if not control_total or not treatment_total:
        return math.nan
    for direction, end in (("greater", 1.0 - control_rate), ("less", -control_rate)):
        if alternative not in ("two-sided", direction):
            continue
        farthest = end
        near = min(max(null_effect, -control_rate), 1.0 - control_rate)
        if plan.power(control_rate, farthest, control_total, treatment_total) < power:
            continue
        for _ in range(BISECTIONS):
            middle = 0.5 * (near + farthest)
            if plan.power(control_rate, middle, control_total, treatment_total) >= power:
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
    test: Test = "auto",
) -> int:
    """Give the smallest control cohort with which the test finds `effect` with this power.

    `allocation` is the number of treatment customers per control customer (rounded up). Exact power
    rises with the size like a saw: it may dip below `power` again at some larger size. The answer
    is the first size that reaches it, searched from below the normal approximation (from 1 where
    that is below 40), by 1 % from 200 on; the study that then runs with this size has the power.

    Raises ValueError when `effect` equals or lies on the wrong side of `null_effect`.

    >>> customers_needed(control_rate=0.5, effect=0.25, power=0.9, test="score")
    76
    """
    _check(alternative, alpha, null_effect, test, power)
    _check_rates(control_rate, effect)
    if not 0.0 < allocation < math.inf:
        raise ValueError(f"allocation is {allocation}; it must be above 0")
    wanted = {"two-sided": effect != null_effect, "greater": effect > null_effect}
    if not wanted.get(alternative, effect < null_effect):
        raise ValueError(
            f"effect is {effect} and null_effect {null_effect}; no size can find it"
            f" with alternative '{alternative}'"
        )
    plan = _Plan(alternative, alpha, null_effect, test)

    def both(customers: int) -> tuple[int, int]:
        return customers, max(1, math.ceil(allocation * customers - 1e-9))

    def approximate(customers: int) -> float:
        return plan.approximate_power(control_rate, effect, *both(customers))

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
        reached = plan.power(control_rate, effect, *both(customers), least=power)
        if reached >= power:
            return customers
        saw = min(SAW, SAW_AT_ONE / customers)
        step = max(customers // 100, int((power - reached - saw) / rise), 1)
        customers += step if rough >= FEW_NEEDED else 1
    return max(rough, customers)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What power depends on besides rates and sizes."""

    alternative: str
    alpha: float
    null: float
    test: str

    def power(
        self, control_rate: float, effect: float, n0: int, n1: int, *, least: float = 0.0
    ) -> float:
        """Give the power, or some smaller number than `least` if it is smaller than that."""
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
        """Give the normal approximation: restricted errors under the null, true ones beside it."""
        treatment_rate = control_rate + effect
        restricted = restricted_rates(control_rate * n0, n0, treatment_rate * n1, n1, self.null)
        under_null, true = (
            float(np.sqrt(p0 * (1.0 - p0) / n0 + p1 * (1.0 - p1) / n1))
            for p0, p1 in (restricted, (np.float64(control_rate), np.float64(treatment_rate)))
        )
        sides = 2.0 if self.alternative == "two-sided" else 1.0
        reach = -NormalDist().inv_cdf(self.alpha / sides) * under_null
        above, below = effect - self.null - reach, self.null - effect - reach
        chance = 0.0
        if self.alternative != "less":
            chance += _below(above / true) if true > ROUNDING else float(above > ROUNDING)
        if self.alternative != "greater":
            chance += _below(below / true) if true > ROUNDING else float(below > ROUNDING)
        return min(chance, 1.0)


def _below(quantile: float) -> float:
    """Give the standard normal distribution's share below; as precise far out on the left."""
    return 0.5 * math.erfc(-quantile / math.sqrt(2.0))


@lru_cache(maxsize=64)
def _exact_region(plan: _Plan, n0: int, n1: int) -> Region:
    return rejection_region(n0, n1, plan.null, plan.alpha, alternative=plan.alternative)


def _score_region(plan: _Plan, n0: int, n1: int) -> Region:
    sides = 2.0 if plan.alternative == "two-sided" else 1.0
    level = -NormalDist().inv_cdf(plan.alpha / sides) * finite_factor(n0, n1) ** 0.5
    up, down = np.full(n0 + 1, n1 + 1), np.full(n0 + 1, -1)
    if plan.alternative != "less":
        up = score_threshold(n0, n1, plan.null, level, from_above=False)
    if plan.alternative != "greater":
        down = score_threshold(n0, n1, plan.null, -level, from_above=True)
    return Region(up, down)


def _check(
    alternative: str, alpha: float, null_effect: float, test: str, power: float = 0.5
) -> None:
    for kind, name, known in (
        ("alternative", alternative, get_args(Alternative)),
        ("test", test, get_args(Test)),
    ):
        if name not in known:
            raise ValueError(unknown_name(kind, name, known))
    for kind, value in (("alpha", alpha), ("power", power)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{kind} is {value}; it must lie between 0 and 1")
    if not -1.0 < null_effect < 1.0:
        raise ValueError(f"null_effect is {null_effect}; it must lie between -1 and 1")


def _check_rates(control_rate: float, effect: float) -> None:
    if not 0.0 <= control_rate <= 1.0:
        raise ValueError(f"control_rate is {control_rate}; it must lie between 0 and 1")
    if not -1e-12 <= control_rate + effect <= 1.0 + 1e-12:
        raise ValueError(
            f"control_rate is {control_rate} and effect {effect};"
            " their sum, the treatment rate, must lie between 0 and 1"
        )
