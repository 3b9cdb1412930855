"""Shrink effects towards none: what a winner is worth once it is known how small most effects are.

Whoever looks at the effects that were found sees those that chance made large. All effects of a study
together tell how large its effects are; each is then a compromise between its own data and that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from workbench.stats.arguments import check_between

# The grid over the effects' spread, in even steps of its logarithm: standard errors may be of any size.
SPREADS = np.exp(np.linspace(-25.0, 2.2, 1089))  # times the prior's scale
FEW = 3
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shrunken:
    """A shrunken effect with its interval; `reason` says what it rests on, where effects are few."""

    estimate: float
    low: float
    high: float
    reason: str = ""


def shrink(
    estimates: Sequence[float],
    errors: Sequence[float],
    *,
    scale: float = 0.10,
    confidence_level: float = 0.90,
) -> tuple[Shrunken, ...]:
    """Shrink effects towards none by what all of them say of their spread.

    Effects are normal around none with a spread tau, which is half-normal with a scale and is
    integrated out (Gelman 2006, Bayesian Analysis 1:515-534). So the interval also holds what is not
    known of tau, where plugging an estimate in would leave it out.

    Args:
        estimates: All effects of a study, not only the significant ones; fractions.
        errors: Their standard errors, above 0.
        scale: The scale of tau before any effect is known; 0.10 is 10 percentage points.
        confidence_level: The level of the intervals.

    Returns:
        The shrunken effects, in the same order.

    Raises:
        ValueError: The lengths differ, a number is not finite, an error or the scale is not above 0,
            or the level lies outside 0 to 1.

    Example:
        >>> (found,) = shrink([0.143], [0.06])
        >>> f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"
        '0.090 [-0.001, 0.193]'
    """
    check_between("confidence_level", confidence_level)
    weights, middles, widths = _posterior(estimates, errors, scale)
    return tuple(
        _shrunken(weights, middle, width, confidence_level, len(estimates))
        for middle, width in zip(middles.T, widths.T, strict=True)
    )


def shrunken_sum(
    estimates: Sequence[float],
    errors: Sequence[float],
    those: Sequence[int],
    *,
    scale: float = 0.10,
    confidence_level: float = 0.90,
) -> Shrunken:
    """Shrink the sum of some effects by what all of them say of their spread.

    Given the spread tau the effects are independent, so that their sum is normal; tau is integrated out
    as for each of them, which widens the interval by what all of them share.

    Args:
        estimates: All effects of a study; fractions.
        errors: Their standard errors, above 0.
        those: The places of the effects to sum, from 0.
        scale: As for `shrink`.
        confidence_level: The level of the interval.

    Example:
        >>> found = shrunken_sum([0.143, 0.08, 0.01], [0.06, 0.05, 0.06], [0, 1])
        >>> f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"
        '0.125 [0.000, 0.265]'
    """
    check_between("confidence_level", confidence_level)
    weights, middles, widths = _posterior(estimates, errors, scale)
    chosen = list(those)
    middle = middles[:, chosen].sum(axis=1)
    width = np.sqrt((widths[:, chosen] ** 2).sum(axis=1))
    return _shrunken(weights, middle, width, confidence_level, len(estimates))


def _posterior(
    estimates: Sequence[float], errors: Sequence[float], scale: float
) -> tuple[Array, Array, Array]:
    """Return the weight of each spread, and the effects' means and standard deviations given it."""
    if len(estimates) != len(errors):
        raise ValueError(
            f"there are {len(errors)} errors for {len(estimates)} estimates; give one each"
        )
    for name, values, least in (
        ("estimates", estimates, -math.inf),
        ("errors", errors, 0.0),
        ("scale", [scale], 0.0),
    ):
        if odd := [each for each in values if not least < each < math.inf]:
            raise ValueError(
                f"{name} holds {odd[0]}; give finite numbers{' above 0' * (not least)}"
            )
    found, error = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    spread = scale * SPREADS[:, None]
    variance = spread**2 + error**2
    logs = np.log(SPREADS) - 0.5 * (
        SPREADS**2 + (np.log(variance) + found**2 / variance).sum(axis=1)
    )
    weights = np.exp(logs - logs.max(initial=-math.inf))
    weights /= weights.sum()
    middles = found * spread**2 / variance
    widths = np.sqrt(spread**2 * error**2 / variance)
    return weights, middles, widths


def _shrunken(
    weights: Array, middle: Array, width: Array, confidence_level: float, known: int
) -> Shrunken:
    few = known < FEW
    reason = f"rests on the prior: fewer than {FEW} effects are known" if few else ""
    tail = (1.0 - confidence_level) / 2.0
    return Shrunken(
        float(weights @ middle),
        _quantile(tail, weights, middle, width),
        _quantile(1.0 - tail, weights, middle, width),
        reason,
    )


def _quantile(share: float, weights: Array, middles: Array, widths: Array) -> float:
    """Return a quantile of a mixture of normal distributions."""
    low, high = float((middles - 9.0 * widths).min()), float((middles + 9.0 * widths).max())
    return float(
        optimize.brentq(
            lambda at: float(weights @ special.ndtr((at - middles) / widths)) - share, low, high
        )
    )
