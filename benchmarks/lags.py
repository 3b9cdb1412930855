"""Time lagged association against pandas and statsmodels, and say which targets are reached.

`python benchmarks/lags.py` runs all of it; `--quick` takes a tenth of the pairs and customers and
holds nothing against the targets.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.tsa.stattools import ccf

from workbench.datasets.indicators import simulate_panel, simulate_series
from workbench.indicators.lags import associate
from workbench.indicators.panels import associate_panel
from workbench.indicators.series import (
    correlate_all,
    lag_range,
    largest_over_lags,
    permutation_pvalues,
    shuffle_present,
)

PERIODS, MAX_LAG = 260, 52


def timed(work: Callable[[], Any], runs: int = 1) -> tuple[float, Any]:
    """Give the shortest time of some runs, and the answer."""
    best, answer = float("inf"), None
    for _ in range(runs):
        started = time.perf_counter()
        answer = work()
        best = min(best, time.perf_counter() - started)
    return best, answer


def target(name: str, seconds: float, limit: float) -> bool:
    good = seconds <= limit
    said = "reached" if good else "NOT REACHED"
    print(f"{name}: {seconds:.3f} s (at most {limit:g} s): {said}")
    return good


def by_pandas(leading: np.ndarray, lagging: np.ndarray) -> list[float]:
    """Correlate with pandas: a shift and a corr for each pair and lag."""
    first, second = pd.DataFrame(leading.T), pd.DataFrame(lagging.T)
    return [
        first[i].shift(lag).corr(second[j])
        for i in first
        for j in second
        for lag in range(MAX_LAG + 1)
    ]


def by_statsmodels(leading: np.ndarray, lagging: np.ndarray) -> np.ndarray:
    """Correlate with statsmodels: one ccf for each pair."""
    return np.array(
        [[ccf(y, x, adjusted=False, nlags=MAX_LAG + 1) for y in lagging] for x in leading]
    )


def series(count: int, *, whole: bool) -> bool:
    rng = np.random.default_rng(1)
    leading, lagging = rng.normal(size=(2, count, PERIODS))
    print(f"{count} x {count} indicators x {MAX_LAG + 1} lags over {PERIODS} periods")
    plain, found = timed(lambda: correlate_all(leading, lagging, MAX_LAG), runs=3)
    good = target("  correlations", plain, 1.0)
    gappy = leading.copy()
    gappy[rng.random(gappy.shape) < 0.02] = np.nan
    gaps, _ = timed(lambda: correlate_all(gappy, lagging, MAX_LAG))
    good &= target("  correlations, 2% of the leading values missing", gaps, 1.0)
    peer, expected = timed(lambda: by_statsmodels(leading, lagging))
    assert np.allclose(found, expected)
    print(f"  statsmodels ccf: {peer:.2f} s, {peer / plain:.0f} times as long; the same numbers")
    few = max(1, count // 10)
    peer, _ = timed(lambda: by_pandas(leading[:few], lagging[:few]))
    peer *= (count / few) ** 2
    print(f"  pandas shift and corr: {peer:.0f} s, {peer / plain:.0f} times as long", end="")
    print(f" (from {few} x {few} pairs)")
    observed = largest_over_lags(leading, lagging, lag_range(MAX_LAG))

    def permuted() -> np.ndarray:
        periods = np.tile(np.arange(PERIODS), (1000, 1))
        orders = np.random.default_rng(1).permuted(periods, axis=1)
        lags = lag_range(MAX_LAG)
        maxima = np.stack(
            [largest_over_lags(shuffle_present(row, orders), lagging, lags) for row in leading],
            axis=1,
        )
        return permutation_pvalues(observed, maxima)

    seconds, pvalues = timed(permuted)
    good &= target("  with 1,000 permutations", seconds, 30.0)
    print(f"  pairs with p <= 0.05, where there is nothing: {100 * (pvalues <= 0.05).mean():.1f}%")
    return good or not whole


def one_pair() -> bool:
    pair = simulate_series(periods=150, lag=3, strength=0.6, seed=1)
    associate(pair.leading, pair.lagging)  # loads the libraries
    seconds, _ = timed(lambda: associate(pair.leading, pair.lagging), runs=3)
    return target("one pair, three views with bands and intervals, 150 periods", seconds, 1.0)


def panel(customers: int, *, whole: bool) -> bool:
    pairs = [
        simulate_panel(
            customers=customers, periods=24, lag=2, missing=0.05, leaving=0.01, seed=seed
        )
        for seed in range(10)
    ]
    print(f"panel of {customers:,} customers x 24 periods x 10 pairs x 12 lags, with gaps")

    def all_pairs(method: str) -> list[int | None]:
        return [
            associate_panel(
                each.leading, each.lagging, min_lag=1, max_lag=12, method=method
            ).best_lag
            for each in pairs
        ]

    seconds, found = timed(lambda: all_pairs("pearson"))
    assert found == [2] * 10
    good = target("  within and between customers, with intervals", seconds, 10.0)
    seconds, found = timed(lambda: all_pairs("spearman"))
    assert found == [2] * 10
    print(f"  the same by ranks (no target): {seconds:.2f} s")
    each = pairs[0]

    def within_by_pandas() -> float:
        frame = pd.DataFrame({"customer": np.repeat(np.arange(customers), 24)})
        frame["x"], frame["y"] = each.leading.ravel(), each.lagging.ravel()
        frame["x"] = frame.groupby("customer")["x"].shift(2)
        frame = frame.dropna()
        inner = frame[["x", "y"]] - frame.groupby("customer")[["x", "y"]].transform("mean")
        return float(inner["x"].corr(inner["y"]))

    peer, _ = timed(within_by_pandas)
    print(f"  pandas groupby, shift and corr, without intervals: {peer * 120:.0f} s", end="")
    print(" (from one pair and lag)")
    return good or not whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pairs and customers")
    quick = parser.parse_args().quick
    good = series(15 if quick else 50, whole=not quick)
    good &= one_pair()
    good &= panel(10_000 if quick else 100_000, whole=not quick)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
