"""Plan an anytime analysis: when does it stop, and what can it find with the customers at hand?

By simulation with a fixed seed, so that a call always gives the same answer: 400 to 4,000 runs, fewer
the longer they are. A power near 0.8 is then right within 0.02 for up to a thousand customers (two
standard errors), within 0.04 for the longest runs. Customers are per cohort; with an `allocation`
other than (1, 1) they are control's, and treatment has its share to them.

>>> customers_needed(control_rate=0.2, effect=0.3)
84
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from workbench.stats import power as power_module
from workbench.stats.anytime import (
    Sizes,
    check_options,
    converted_in_blocks,
    log_factors,
    predictions,
)
from workbench.stats.proportions import Alternative
from workbench.stats.score import Array

SEED = 20_240_106
CHUNK = 128  # blocks that are simulated at a time
MOST_RUNS, LEAST_RUNS = 4_000, 400
BUDGET = 6_000_000  # blocks in all runs of a simulation together
MOST_CUSTOMERS = 100_000  # a plan that needs more has no answer
BISECTIONS = 10


def power(
    *,
    control_rate: float,
    effect: float,
    customers: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    allocation: Sizes = (1, 1),
) -> float:
    """Give the probability that the test rejects by the time the last customer has entered.

    With a look after every block. NaN where not even one block is whole.

    Raises ValueError for rates outside [0, 1] and for other arguments out of range.

    >>> power(control_rate=0.2, effect=0.3, customers=100)
    0.8845
    """
    plan = _planned(alternative, alpha, null_effect, allocation)
    _check(control_rate, effect)
    blocks = _blocks(customers, allocation)
    stopped = _stopping_times(plan, (control_rate, control_rate + effect), blocks)
    return float(np.mean(stopped <= blocks)) if blocks else math.nan


def expected_customers(
    *,
    control_rate: float,
    effect: float,
    customers: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    allocation: Sizes = (1, 1),
) -> float:
    """Give the mean number of customers at which the study ends: as soon as the test rejects.

    Or with the last one of `customers` where it does not. NaN where not even one block is whole.

    >>> round(expected_customers(control_rate=0.2, effect=0.3, customers=100), 1)
    51.8
    """
    plan = _planned(alternative, alpha, null_effect, allocation)
    _check(control_rate, effect)
    blocks = _blocks(customers, allocation)
    if not blocks:
        return math.nan
    stopped = _stopping_times(plan, (control_rate, control_rate + effect), blocks)
    ended = np.where(stopped <= blocks, stopped * allocation[0], customers)
    return float(ended.mean())


def customers_needed(
    *,
    control_rate: float,
    effect: float,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    null_effect: float = 0.0,
    allocation: Sizes = (1, 1),
) -> int:
    """Give the smallest cohort with which the test rejects with this power.

    It is the most that the study takes; `expected_customers` says what it takes on average.

    Raises ValueError when `effect` equals or lies on the wrong side of `null_effect`, and when more
    than 100,000 customers would be needed.

    >>> customers_needed(control_rate=0.1, effect=0.1, alternative="greater")
    387
    """
    plan = _planned(alternative, alpha, null_effect, allocation)
    _check(control_rate, effect, power)
    rough = power_module.customers_needed(
        control_rate=control_rate,
        effect=effect,
        alternative=alternative,
        alpha=alpha,
        power=power,
        allocation=allocation[1] / allocation[0],
        null_effect=null_effect,
        test="score",
    )
    guess = math.ceil(2.0 * rough / allocation[0])
    stopped = np.full(1, math.inf)
    most = MOST_CUSTOMERS // allocation[0] if rough <= MOST_CUSTOMERS else 0
    for blocks in (guess, 2 * guess, 4 * guess, most):
        rates = control_rate, control_rate + effect
        stopped = _stopping_times(plan, rates, min(blocks, most), share=power)
        if np.mean(stopped <= most) >= power:
            break
    else:
        raise ValueError(
            f"effect is {effect}; more than {MOST_CUSTOMERS:,} customers would be needed"
        )
    rank = math.ceil(power * stopped.size - 1e-9)
    return int(np.sort(stopped)[rank - 1]) * allocation[0]


def detectable_effect(
    *,
    control_rate: float,
    customers: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    null_effect: float = 0.0,
    allocation: Sizes = (1, 1),
) -> float:
    """Give the effect nearest to the null that the test finds with this power.

    Signed: treatment - control. For a two-sided test the nearer of the two directions. NaN when no
    treatment rate within [0, 1] can be found with that power.

    >>> round(detectable_effect(control_rate=0.2, customers=300, alternative="greater"), 2)
    0.14
    """
    plan = _planned(alternative, alpha, null_effect, allocation)
    _check(control_rate, 0.0, power)
    blocks = _blocks(customers, allocation)

    def reached(effect: float) -> bool:
        rates = control_rate, control_rate + effect
        stopped = _stopping_times(plan, rates, blocks, share=power, budget=BUDGET // 4)
        return bool(np.mean(stopped <= blocks) >= power)

    found = []
    for direction, end in (("greater", 1.0 - control_rate), ("less", -control_rate)):
        if alternative not in ("two-sided", direction) or not blocks or not reached(end):
            continue
        near, farthest = min(max(null_effect, -control_rate), 1.0 - control_rate), end
        for _ in range(BISECTIONS):
            middle = 0.5 * (near + farthest)
            near, farthest = (near, middle) if reached(middle) else (middle, farthest)
        found.append(farthest)
    return min(found, key=lambda effect: abs(effect - null_effect), default=math.nan)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the stopping times depend on besides rates and sizes."""

    alternative: str
    alpha: float
    null: float
    sizes: Sizes


@lru_cache(maxsize=64)
def _stopping_times(
    plan: _Plan,
    rates: tuple[float, float],
    blocks: int,
    *,
    share: float = 1.0,
    budget: int = BUDGET,
) -> Array:
    """Simulate after how many blocks each run rejects; infinity for those that do not in time.

    Runs that have rejected are not followed, and none is once this `share` of them has.
    """
    runs = min(max(budget // max(blocks, 1), LEAST_RUNS), MOST_RUNS)
    stopped = np.full(runs, math.inf)
    open_runs = np.arange(runs)
    seen = [np.zeros((runs, 1)), np.zeros((runs, 1))]
    logs = np.zeros(runs)
    for start, draws in _draws(runs, blocks, plan.sizes):
        control, treatment = (
            converted_in_blocks(each[open_runs] < rate, size)
            for each, rate, size in zip(draws, rates, plan.sizes, strict=True)
        )
        predicted = predictions(control, treatment, plan.sizes, (seen[0], seen[1], start))
        factors = log_factors(
            control, treatment, predicted, plan.sizes, plan.null, plan.alternative
        )
        path = logs[:, None] + np.cumsum(factors, axis=1)
        over = path >= -math.log(plan.alpha)
        ended = over.any(axis=1)
        stopped[open_runs[ended]] = start + 1 + over[ended].argmax(axis=1)
        left = ~ended
        open_runs, logs = open_runs[left], path[left, -1]
        seen = [
            before[left] + each[left].sum(axis=1, keepdims=True)
            for before, each in zip(seen, (control, treatment), strict=True)
        ]
        if open_runs.size <= (1.0 - share) * runs:
            break
    stopped.setflags(write=False)
    return stopped


def _planned(alternative: str, alpha: float, null_effect: float, allocation: Sizes) -> _Plan:
    check_options(alternative, null_effect, allocation)
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    return _Plan(alternative, alpha, null_effect, (int(allocation[0]), int(allocation[1])))


def _draws(runs: int, blocks: int, allocation: Sizes) -> Iterator[tuple[int, tuple[Array, Array]]]:
    """Give the same random numbers for the same runs, whatever the rates, some blocks at a time."""
    random = np.random.default_rng(SEED)
    for start in range(0, blocks, CHUNK):
        length = min(CHUNK, blocks - start)
        drawn = [random.random((runs, CHUNK * size))[:, : length * size] for size in allocation]
        yield start, (drawn[0], drawn[1])


def _blocks(customers: int, allocation: Sizes) -> int:
    if not 0 <= customers <= MOST_CUSTOMERS:
        raise ValueError(f"customers is {customers}; it must lie between 0 and {MOST_CUSTOMERS:,}")
    return int(customers // allocation[0])


def _check(control_rate: float, effect: float, power: float = 0.5) -> None:
    if not 0.0 < power < 1.0:
        raise ValueError(f"power is {power}; it must lie between 0 and 1")
    if not 0.0 <= control_rate <= 1.0:
        raise ValueError(f"control_rate is {control_rate}; it must lie between 0 and 1")
    if not -1e-12 <= control_rate + effect <= 1.0 + 1e-12:
        raise ValueError(
            f"control_rate is {control_rate} and effect {effect};"
            " their sum, the treatment rate, must lie between 0 and 1"
        )
