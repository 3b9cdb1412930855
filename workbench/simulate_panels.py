"""Simulated indicators with known lags and strengths: series, and panels of customers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WARM_UP = 100


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
