"""Simulated indicators with known lags and strengths: series, and panels of customers.

`python -m workbench.datasets.indicators studies/guided-import` writes the bundled study's indicators.
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
GUIDED_IMPORT = {"nps": 0.9, "satisfaction": 0.1, "activity": 1.1}  # strengths for renewals
GUIDED_IMPORT_SEED = 2026
FIRST_WEEK = 2  # 2026-W02 begins on 5 January, as the first iteration does


@dataclass(frozen=True)
class SimulatedSeries:
    """Two series of one value per period, and what is true of them."""

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
    """Make a leading series and a lagging one that follows it `lag` periods later.

    `strength` is the true correlation of their innovations at that lag, 0 at every other one;
    each carries its own past with `phi`: 1 makes random walks. `missing` is the share of values
    taken out of each.

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
    """Panels of leading indicators, customers x periods, and what came of the customers.

    `renewal` is 1 or 0 where a subscription was due; whoever did not renew is there no more.
    `tickets` counts, and `present` says who was there.
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
    """Make standard normal leading indicators that foretell renewals `lag` periods later.

    The logit of a renewal is `renewing` plus the sum of `strengths` times the indicators, `lag`
    periods before; the log of the mean number of tickets falls by `ticket_strength` for each unit
    of the last indicator `ticket_lag` periods before. Indicators carry their past with `phi`; the
    share `common` of their variance is the same for all customers. Customers start within the
    first `every` periods, are asked to renew each `every` periods, and leave when they do not.

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

    NPS (0 to 10), satisfaction (1 to 5) and weekly activity (a count) are made of the indicators
    of `simulate_health`; 45 % of the customers leave a week's NPS question open, 30 % that on
    satisfaction.
    """
    made = simulate_health(
        seed=GUIDED_IMPORT_SEED, strengths=GUIDED_IMPORT, customers=160, periods=32, renewing=3.0
    )
    rng = np.random.default_rng(GUIDED_IMPORT_SEED + 1)
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


if __name__ == "__main__":
    write_indicators(Path(sys.argv[1]))


@dataclass(frozen=True)
class SimulatedPanel:
    """Two indicators, customers x periods, and what is true of them."""

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
    """Make a leading and a lagging indicator of each customer, the one `lag` periods later.

    Around a customer's own mean the correlation at the lag is `within` and 0 at every other one;
    customers' own means, as large as what varies within, correlate by `between`. Periods share a
    drift and a season. `yes_share` turns the lagging one into 0 and 1. `missing` is the share taken
    out; each period a customer leaves for good with the chance `leaving`, on the logit scale
    `leaving_slope` more for each unit of that customer's mean of the leading indicator.
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
