"""Plan an anytime analysis: its power, the customers it needs, and the effect it can detect.

Answers come from simulations with a fixed seed, so a call always gives the same one: 4,000 runs, and
down to 400 where they are long. A power near 0.8 has two standard errors of 0.02 for up to a thousand
customers, and of 0.04 for the longest runs. Customers are per cohort; with an `allocation` other than
(1, 1) they are those of control, and treatment has its share.

>>> customers_needed(control_rate=0.2, effect=0.3)
84
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from workbench.stats.anytime import (
    Sizes,
    bets,
    check_options,
    converted_in_blocks,
    log_factors,
    mixed,
)
from workbench.stats.arguments import check_between, check_rates
from workbench.stats.power import customers_needed as fixed_customers_needed
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
    planned_effect: float | None = None,
) -> float:
    """Return the probability that the test rejects by the last customer, with a look after each block.

    Args:
        control_rate: The true rate of control.
        effect: The true effect treatment - control, as a fraction.
        customers: Customers of control.
        alternative: Where the effect lies if the null is wrong.
        alpha: Level of the test.
        null_effect: The effect under the null.
        allocation: Customers of control and of treatment per block.
        planned_effect: The effect that half of the evidence bets on, as in `compare_anytime`.

    Returns:
        The power; NaN where not even one block is whole.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> power(control_rate=0.2, effect=0.3, customers=100)
        0.8845
    """
    test = _checked(alternative, alpha, null_effect, allocation, planned_effect)
    _check(control_rate, effect)
    blocks = _blocks(customers, allocation)
    stopped = _stopping_times(test, (control_rate, control_rate + effect), blocks)
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
    planned_effect: float | None = None,
) -> float:
    """Return the mean number of customers of control if the study stops as soon as the test rejects.

    Runs that never reject count with all `customers`. Arguments are those of `power`. NaN where not
    even one block is whole.

    >>> round(expected_customers(control_rate=0.2, effect=0.3, customers=100), 1)
    51.8
    """
    test = _checked(alternative, alpha, null_effect, allocation, planned_effect)
    _check(control_rate, effect)
    blocks = _blocks(customers, allocation)
    if not blocks:
        return math.nan
    stopped = _stopping_times(test, (control_rate, control_rate + effect), blocks)
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
    planned_effect: float | None = None,
) -> int:
    """Return the smallest control cohort with which the test rejects with this power.

    This is the size at which the study ends at the latest; `expected_customers` gives its mean size.

    Args:
        control_rate: The true rate of control.
        effect: The true effect treatment - control, as a fraction.
        alternative: Where the effect lies if the null is wrong.
        alpha: Level of the test.
        power: Probability of rejecting the null.
        null_effect: The effect under the null.
        allocation: Customers of control and of treatment per block.
        planned_effect: The effect that half of the evidence bets on, as in `compare_anytime`.

    Returns:
        Customers of control.

    Raises:
        ValueError: `effect` equals `null_effect` or lies on its wrong side, more than 100,000
            customers would be needed, or another argument is out of range.

    Example:
        >>> customers_needed(control_rate=0.1, effect=0.1, alternative="greater")
        387
    """
    test = _checked(alternative, alpha, null_effect, allocation, planned_effect)
    _check(control_rate, effect, power)
    rough = fixed_customers_needed(
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
        stopped = _stopping_times(test, rates, min(blocks, most), share=power)
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
    planned_effect: float | None = None,
) -> float:
    """Return the effect nearest to the null that the test finds with this power.

    Args:
        control_rate: The true rate of control.
        customers: Customers of control.
        alternative: Where the effect lies; for "two-sided" the nearer of both directions is taken.
        alpha: Level of the test.
        power: Probability of rejecting the null at the answer.
        null_effect: The effect under the null.
        allocation: Customers of control and of treatment per block.
        planned_effect: The effect that half of the evidence bets on, as in `compare_anytime`.

    Returns:
        The effect treatment - control, with its sign; NaN where no treatment rate within [0, 1] has
        that power.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> round(detectable_effect(control_rate=0.2, customers=300, alternative="greater"), 2)
        0.14
    """
    test = _checked(alternative, alpha, null_effect, allocation, planned_effect)
    _check(control_rate, 0.0, power)
    blocks = _blocks(customers, allocation)

    def reached(effect: float) -> bool:
        rates = control_rate, control_rate + effect
        stopped = _stopping_times(test, rates, blocks, share=power, budget=BUDGET // 4)
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
class _AnytimeTest:
    """A safe test: what its stopping times depend on besides rates and sizes."""

    alternative: str
    alpha: float
    null: float
    sizes: Sizes
    planned: float | None = None


@lru_cache(maxsize=64)
def _stopping_times(
    test: _AnytimeTest,
    rates: tuple[float, float],
    blocks: int,
    *,
    share: float = 1.0,
    budget: int = BUDGET,
) -> Array:
    """Simulate the number of blocks after which each run rejects; infinity where it does not.

    Runs that have rejected are not followed further; all end once this `share` of them has.
    """
    runs = min(max(budget // max(blocks, 1), LEAST_RUNS), MOST_RUNS)
    stopped = np.full(runs, math.inf)
    open_runs = np.arange(runs)
    seen = [np.zeros((runs, 1)), np.zeros((runs, 1))]
    logs = np.zeros((1, runs))
    for start, draws in _draws(runs, blocks, test.sizes):
        control, treatment = (
            converted_in_blocks(each[open_runs] < rate, size)
            for each, rate, size in zip(draws, rates, test.sizes, strict=True)
        )
        before = seen[0], seen[1], start
        predicted = bets(control, treatment, test.sizes, test.alternative, test.planned, before)
        factors = log_factors(
            control, treatment, predicted, test.sizes, test.null, test.alternative
        )
        paths = logs[:, :, None] + np.cumsum(factors, axis=-1)
        over = mixed(paths) >= -math.log(test.alpha)
        ended = over.any(axis=1)
        stopped[open_runs[ended]] = start + 1 + over[ended].argmax(axis=1)
        left = ~ended
        open_runs, logs = open_runs[left], paths[:, left, -1]
        seen = [
            earlier[left] + each[left].sum(axis=1, keepdims=True)
            for earlier, each in zip(seen, (control, treatment), strict=True)
        ]
        if open_runs.size <= (1.0 - share) * runs:
            break
    stopped.setflags(write=False)
    return stopped


def _checked(
    alternative: str,
    alpha: float,
    null_effect: float,
    allocation: Sizes,
    planned_effect: float | None,
) -> _AnytimeTest:
    check_options(alternative, null_effect, allocation, planned_effect)
    check_between("alpha", alpha)
    sizes = int(allocation[0]), int(allocation[1])
    return _AnytimeTest(alternative, alpha, null_effect, sizes, planned_effect)


def _draws(runs: int, blocks: int, allocation: Sizes) -> Iterator[tuple[int, tuple[Array, Array]]]:
    """Yield random numbers some blocks at a time; each run has the same at any rates."""
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
    check_between("power", power)
    check_rates(control_rate, effect)
