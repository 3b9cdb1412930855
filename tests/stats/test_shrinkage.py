"""Shrunken effects: against the conjugate answer for a known spread, and what must hold for any."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from workbench.stats.shrinkage import shrink


def test_one_effect_by_numerical_integration():
    """The mean of N(m, v) over the posterior of tau, integrated by scipy."""
    estimate, error, scale = 0.143, 0.06, 0.1

    def weight(tau):
        spread = np.hypot(tau, error)
        return stats.halfnorm.pdf(tau, scale=scale) * stats.norm.pdf(estimate, 0, spread)

    def weighted(tau):
        return weight(tau) * estimate * tau**2 / (tau**2 + error**2)

    whole = integrate.quad(weight, 0, 1)[0]
    (found,) = shrink([estimate], [error])
    assert found.estimate == pytest.approx(integrate.quad(weighted, 0, 1)[0] / whole, abs=5e-4)
    assert "rests on the prior" in found.reason


@pytest.mark.parametrize(
    ("estimates", "errors"),
    [
        ([0.0004, 0.0, 0.0, 0.0, 0.0], [0.0002] * 5),
        ([4e-5, 1e-5], [1e-5, 1e-5]),
        ([0.1, 0.2, 0.05, -0.1], [0.01, 0.3, 0.0001, 1.0]),
        ([1e-5], [1e-5]),
        ([3e-8, 1e-8], [1e-8, 2e-8]),
    ],
)
def test_standard_errors_may_be_of_any_size(estimates, errors):
    """Against the same integral over a grid ten times as fine, and the mixture's own distribution."""
    logs = np.linspace(-35, 2.5, 20_001)
    spread, scale = 0.1 * np.exp(logs)[:, None], np.exp(logs)
    variance = spread**2 + np.array(errors) ** 2
    density = (np.log(variance) + np.array(estimates) ** 2 / variance).sum(axis=1)
    weights = np.exp(logs - scale**2 / 2 - density / 2 - (logs - scale**2 / 2 - density / 2).max())
    weights /= weights.sum()
    found, *_ = shrink(estimates, errors)
    middles = estimates[0] * spread[:, 0] ** 2 / variance[:, 0]
    widths = spread[:, 0] * errors[0] / np.sqrt(variance[:, 0])
    width = found.high - found.low
    assert found.estimate == pytest.approx(weights @ middles, abs=1e-3 * width)
    assert weights @ stats.norm.cdf((found.low - middles) / widths) == pytest.approx(0.05, abs=1e-4)
    assert weights @ stats.norm.cdf((found.high - middles) / widths) == pytest.approx(
        0.95, abs=1e-4
    )


def test_many_effects_tell_their_spread():
    """With hundreds of effects of a spread of 5 points, each is shrunk as if that were known."""
    random = np.random.default_rng(5)
    true = random.normal(0.0, 0.05, 400)
    estimates = random.normal(true, 0.05)
    found = shrink(estimates.tolist(), [0.05] * 400)
    assert [each.estimate for each in found] == pytest.approx((estimates / 2).tolist(), abs=0.02)
    assert np.mean(
        [each.low <= one <= each.high for each, one in zip(found, true, strict=True)]
    ) == (pytest.approx(0.9, abs=0.04))
    assert not found[0].reason


def test_small_effects_around_a_winner_make_it_smaller():
    alone, *_ = shrink([0.143], [0.06])
    among, *_ = shrink([0.143, 0.01, -0.02, 0.0, 0.015], [0.06] * 5)
    assert 0 < among.estimate < alone.estimate < 0.143


def test_signs_mirror():
    one, other = shrink([0.1, -0.03], [0.04, 0.05]), shrink([-0.1, 0.03], [0.04, 0.05])
    for each, mirrored in zip(one, other, strict=True):
        assert (each.estimate, each.low) == pytest.approx((-mirrored.estimate, -mirrored.high))


def test_nothing_and_nonsense():
    assert shrink([], []) == ()
    with pytest.raises(ValueError, match="2 errors for 1 estimates; give one each"):
        shrink([0.1], [0.1, 0.2])
    for estimates, errors, scale, said in (
        ([0.1], [0.0], 0.1, "errors holds 0.0; give finite numbers above 0"),
        ([0.1], [np.inf], 0.1, "errors holds inf"),
        ([0.1], [np.nan], 0.1, "errors holds nan"),
        ([np.nan], [0.1], 0.1, "estimates holds nan; give finite numbers$"),
        ([np.inf], [0.1], 0.1, "estimates holds inf"),
        ([0.1], [0.1], 0.0, "scale holds 0.0; give finite numbers above 0"),
        ([0.1], [0.1], np.inf, "scale holds inf"),
    ):
        with pytest.raises(ValueError, match=said):
            shrink(estimates, errors, scale=scale)
    with pytest.raises(ValueError, match="confidence_level is 1"):
        shrink([0.1], [0.1], confidence_level=1)
