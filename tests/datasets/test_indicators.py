"""Simulated indicators have the lag, the strength and the leavers that they say."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.datasets.indicators import simulate_panel, simulate_series


@pytest.mark.parametrize("lag", [0, 3, -2])
def test_series_have_their_lag_and_strength(lag):
    made = simulate_series(periods=20_000, lag=lag, strength=0.6, phi=0.0, seed=1)
    early, late = (made.leading, made.lagging) if lag >= 0 else (made.lagging, made.leading)
    n = len(early) - abs(lag)
    assert np.corrcoef(early[:n], late[-n:])[0, 1] == pytest.approx(0.6, abs=0.02)


def test_panels_have_their_strengths_within_and_between():
    made = simulate_panel(customers=3000, periods=40, lag=2, within=0.4, between=-0.5, seed=1)
    x, y = made.leading[:, :-2], made.lagging[:, 2:]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    means = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
    inner = np.corrcoef((x - means[0]).ravel(), (y - means[1]).ravel())[0, 1]
    assert inner == pytest.approx(0.4, abs=0.02)
    assert np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1] == pytest.approx(-0.5, abs=0.05)


def test_missing_values_yes_shares_and_leavers_are_as_said():
    made = simulate_panel(
        customers=2000, periods=20, missing=0.1, leaving=0.02, yes_share=0.25, seed=1
    )
    known = made.lagging[np.isfinite(made.lagging)]
    assert set(known.tolist()) == {0.0, 1.0}
    assert known.mean() == pytest.approx(0.25, abs=0.02)
    assert np.isnan(made.leading[:, 0]).mean() == pytest.approx(0.1, abs=0.03)
    assert made.left / 2000 == pytest.approx(1 - 0.98**20, abs=0.04)


def test_same_seed_same_data():
    first, second = (simulate_panel(customers=5, periods=6, seed=3) for _ in range(2))
    assert (first.leading == second.leading).all()
