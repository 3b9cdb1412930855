"""Simulated indicators with known lags and strengths: series, and panels of customers.

`python -m workbench.datasets.indicators studies/guided-import` regenerates the bundled indicators.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
WARM_UP = 100
RENEWAL_STRENGTHS = {
    "nps": 0.9,
    "satisfaction": 0.1,
    "activity": 1.1,
}  # of the bundled study's indicators
SEED = 2026
FIRST_WEEK = 2  # 2026-W02 begins on 5 January, as the first iteration does


@dataclass(frozen=True)
class SimulatedSeries:
    """A leading and a lagging series, one value per period, with their true lag and strength."""

    leading: Array
    lagging: Array
    lag: int
    strength: float


def simulate_series(
    *,
    periods: int,
    lag: int = 3,
    strength: float = 0.6,
    phi: float = 1.0,
    missing: float = 0.0,
    seed: int,
) -> SimulatedSeries:
    """Simulate a leading series and a lagging one that follows it `lag` periods later.

    Args:
        periods: Length of both series.
        lag: Periods by which the leading series comes first; below 0 the lagging one does.
        strength: True correlation of the innovations at that lag; it is 0 at every other lag.
        phi: Autoregressive coefficient of both series; 1 makes random walks.
        missing: Share of values of each series that become NaN.
        seed: The same seed gives the same series.

    Example:
        >>> made = simulate_series(periods=100, lag=2, strength=0.5, seed=1)
        >>> made.leading.shape, made.lag
        ((100,), 2)
    """
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, periods + WARM_UP + abs(lag)))
    follows = strength * np.roll(noise[0], lag) + math.sqrt(1.0 - strength**2) * noise[1]
    made = lfilter([1.0], [1.0, -phi], np.stack([noise[0], follows]), axis=1)[:, -periods:]
    made[rng.random(made.shape) < missing] = np.nan
    return SimulatedSeries(made[0], made[1], lag, strength)


@dataclass(frozen=True)
class SimulatedHealth:
    """Leading indicators, renewals and support tickets of customers, each customers x periods.

    `renewal` is 1 or 0 in periods in which a subscription was due, else NaN; customers who did not
    renew leave. `tickets` is a count. `present` says who was there.
    """

    leading: Mapping[str, Array]
    renewal: Array
    tickets: Array
    present: Array


def simulate_health(
    *,
    seed: int,
    strengths: Mapping[str, float],
    customers: int = 150,
    periods: int = 24,
    lag: int = 4,
    every: int = 4,
    renewing: float = 2.5,
    ticket_strength: float = 0.5,
    ticket_lag: int = 2,
    phi: float = 0.8,
    common: float = 0.3,
    missing: float = 0.0,
) -> SimulatedHealth:
    """Simulate standard normal leading indicators that predict renewals and tickets.

    Customers start within the first `every` periods, are due to renew every `every` periods, and
    leave if they do not.

    Args:
        seed: The same seed gives the same panels.
        strengths: Log odds of a renewal per unit of each indicator, `lag` periods before.
        customers: Number of customers.
        periods: Number of periods.
        lag: Periods between indicators and renewal.
        every: Periods between renewals.
        renewing: Log odds of a renewal if all indicators are 0.
        ticket_strength: By how much the log of the mean number of tickets falls per unit of the last
            indicator, `ticket_lag` periods before.
        ticket_lag: Periods between that indicator and the tickets.
        phi: Autoregressive coefficient of the indicators.
        common: Share of the indicators' variance that all customers have in common.
        missing: Share of the indicators' values that become NaN.

    Example:
        >>> made = simulate_health(seed=1, strengths={"nps": 1.0, "activity": 0.5}, customers=40)
        >>> made.leading["nps"].shape, bool(np.nanmean(made.renewal) > 0.5)
        ((40, 24), True)
    """
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    warm, count = WARM_UP + max(lag, ticket_lag), len(strengths)
    own = rng.normal(size=(count, customers, warm + periods))
    shared = rng.normal(size=(count, 1, warm + periods))
    noise = math.sqrt(1 - common) * own + math.sqrt(common) * shared
    past = lfilter([math.sqrt(1 - phi**2)], [1.0, -phi], noise, axis=2)
    now = past[:, :, warm:]
    before = past[:, :, warm - lag : warm - lag + periods]
    good = renewing + np.tensordot(np.array([*strengths.values()]), before, axes=1)
    start = rng.integers(0, every, customers)[:, None]
    age = np.arange(periods)[None, :] - start
    due = (age > 0) & (age % every == 0)
    stays = rng.random(good.shape) < 1 / (1 + np.exp(-good))
    lost = np.cumsum(due & ~stays, axis=1)
    present = (age >= 0) & ((lost == 0) | ((lost == 1) & due & ~stays))
    renewal = np.where(due & present, stays, np.nan).astype(float)
    behind = past[-1, :, warm - ticket_lag : warm - ticket_lag + periods]
    tickets = rng.poisson(np.exp(-0.3 - ticket_strength * behind)).astype(float)
    tickets[~present] = np.nan
    leading = {}
    for name, values in zip(strengths, now, strict=True):
        answered = present & (rng.random(values.shape) >= missing)
        leading[name] = np.where(answered, values, np.nan)
    return SimulatedHealth(leading, renewal, tickets, present)


def write_indicators(folder: Path) -> Path:
    """Write the bundled study's `data/indicators.csv`, the same bytes each time.

    NPS (0 to 10), satisfaction (1 to 5) and weekly activity (a count) are derived from
    `simulate_health`. Each week 45% of the customers do not answer the NPS question, and 30% not
    that on satisfaction.

    Args:
        folder: The folder of the study.

    Returns:
        The path of the file.
    """
    made = simulate_health(
        seed=SEED, strengths=RENEWAL_STRENGTHS, customers=160, periods=32, renewing=3.0
    )
    rng = np.random.default_rng(SEED + 1)
    nps, satisfaction, activity = made.leading.values()
    shown = {
        "nps": np.clip(np.round(7 + 2 * nps), 0, 10),
        "satisfaction": np.clip(np.round(3.7 + 0.9 * satisfaction), 1, 5),
        "activity": rng.poisson(np.exp(1.5 + 0.5 * np.nan_to_num(activity))).astype(float),
        "renewal": made.renewal,
        "tickets": made.tickets,
    }
    for name, share in (("nps", 0.45), ("satisfaction", 0.3)):
        shown[name][rng.random(nps.shape) < share] = np.nan
    lines = [",".join(["customer", "period", *shown])]
    for customer, period in np.argwhere(made.present):
        values = [each[customer, period] for each in shown.values()]
        written = ["" if np.isnan(each) else f"{each:.0f}" for each in values]
        week = f"2026-W{FIRST_WEEK + period:02d}"
        lines.append(",".join([f"c{1001 + customer}", week, *written]))
    target = folder / "data" / "indicators.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(("\n".join(lines) + "\n").encode())
    return target


@dataclass(frozen=True)
class SimulatedPanel:
    """Two indicators, each customers x periods, with their true lag, correlations and leavers."""

    leading: Array
    lagging: Array
    lag: int
    within: float
    between: float
    left: int


def simulate_panel(
    *,
    customers: int,
    periods: int,
    lag: int = 2,
    within: float = 0.4,
    between: float = 0.0,
    yes_share: float | None = None,
    missing: float = 0.0,
    leaving: float = 0.0,
    leaving_slope: float = 0.0,
    seed: int,
) -> SimulatedPanel:
    """Simulate a leading and a lagging indicator of customers, with a shared trend and season.

    Args:
        customers: Number of customers.
        periods: Number of periods.
        lag: Periods by which the leading indicator comes first.
        within: True correlation at the lag around customers' own means; it is 0 at every other lag.
        between: True correlation of customers' own means, which vary as much as values within.
        yes_share: Share of ones, if the lagging indicator is yes/no; None for numbers.
        missing: Share of values that become NaN.
        leaving: Probability per period that a customer leaves for good.
        leaving_slope: Log odds of leaving per unit of the customer's own mean of the leading
            indicator.
        seed: The same seed gives the same panel.

    Example:
        >>> made = simulate_panel(customers=50, periods=12, leaving=0.02, seed=1)
        >>> made.leading.shape, bool(np.isnan(made.leading[:, -1]).sum() == made.left)
        ((50, 12), True)
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, customers, periods + abs(lag)))
    moved = within * np.roll(noise[0], lag, axis=1) + math.sqrt(1.0 - within**2) * noise[1]
    leading, lagging = noise[0][:, -periods:], moved[:, -periods:]
    if lag < 0:
        leading, lagging = noise[0][:, :periods], moved[:, :periods]
    own = rng.normal(size=(2, customers, 1))
    own[1] = between * own[0] + math.sqrt(1.0 - between**2) * own[1]
    time = np.arange(periods)
    leading = leading + own[0] + 0.1 * time + np.sin(2.0 * math.pi * time / 12.0)
    if yes_share is None:
        lagging = lagging + own[1] - 0.1 * time + np.sin(2.0 * math.pi * time / 12.0)
    else:
        lagging = lagging + own[1]
        lagging = (lagging > np.quantile(lagging, 1.0 - yes_share)).astype(float)
    for each in (leading, lagging):
        each[rng.random(each.shape) < missing] = np.nan
    odds = math.log(leaving / (1.0 - leaving)) if leaving > 0.0 else -math.inf
    chance = 1.0 / (1.0 + np.exp(-np.clip(odds + leaving_slope * own[0], -700.0, 700.0)))
    gone = np.cumsum(rng.random((customers, periods)) < chance, axis=1) > 0
    gone[:, 0] = False
    leading[gone], lagging[gone] = np.nan, np.nan
    return SimulatedPanel(leading, lagging, lag, within, between, int(gone[:, -1].sum()))


if __name__ == "__main__":
    write_indicators(Path(sys.argv[1]))
