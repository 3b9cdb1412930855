"""Boundaries of group sequential tests: alpha spending, and designs with equally spaced looks.

At looks with information I_1 < ... < I_K the statistics Z_k are normal with mean drift * sqrt(I_k),
variance 1 and covariance sqrt(I_j / I_k). The density of Z_k among tests that have not crossed before
is an integral over that of Z_(k-1) (Armitage, McPherson & Rowe 1969), computed by Simpson's rule on
the grid of Jennison & Turnbull (2000), Group Sequential Methods, chapter 19. Boundaries depend only
on ratios of information; with I_K = 1, drift is the mean of the last statistic.

Alpha spending: Lan & DeMets (1983) Biometrika 70:659-663. Stage-wise order of outcomes, in which an
earlier crossing is more extreme: Fairbanks & Madsen (1982) Biometrika 69:69-74; Tsiatis, Rosner &
Mehta (1984) Biometrics 40:797-803.

>>> [round(each, 3) for each in boundaries((0.5, 1.0), alpha=0.05, alternative="two-sided")]
[2.963, 1.969]

A fixed test of the same size has the same drift, so the size of a sequential test is that of a fixed
test with another power (Jennison & Turnbull 2000, chapters 2 and 7).

>>> design = Design(5, "two-sided", 0.05, "obrien-fleming")
>>> round(design.power(3.242), 3)
0.893
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np

from workbench.stats.arguments import check_between, check_known
from workbench.stats.proportions import Alternative
from workbench.stats.score import Array, below

Spending = Literal["obrien-fleming", "pocock"]
Edges = tuple[tuple[float, float], ...]  # lower and upper critical value of each look
FINE = 18  # the grid has 12 * FINE - 3 points
WIDEST = 1.4  # grid points lie at most so many standard deviations of an increment apart
FARTHEST = 40.0  # largest critical value
HALVINGS = 50
NEVER = 1e-40  # an alpha too small to cross at
NORMAL = NormalDist()
# The tests that go on after a look: points of the statistic, their weights, the information of that
# look, and the information of the next one.
State = tuple[Array, Array, float, float]
MOST_LOOKS = 100


def spent(fraction: float, *, alpha: float, spending: Spending = "obrien-fleming") -> float:
    """Return the one-sided alpha that may be spent up to a fraction of the planned information.

    A two-sided test spends alpha / 2 in this way on each side.

    Args:
        fraction: Information so far as a fraction of the planned one; from 1 on all alpha is spent.
        alpha: One-sided alpha of the whole test.
        spending: "obrien-fleming" spends little early, "pocock" about evenly.

    Returns:
        The alpha spent, between 0 and `alpha`.

    Raises:
        ValueError: `fraction` is not above 0, or another argument is out of range.

    Example:
        >>> round(spent(0.5, alpha=0.025), 6), round(spent(0.5, alpha=0.025, spending="pocock"), 6)
        (0.001525, 0.015503)
    """
    check_design(alpha, spending=spending)
    if not fraction > 0.0:
        raise ValueError(f"fraction is {fraction}; it must be above 0")
    if fraction >= 1.0:
        return alpha
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1.0) * fraction)
    return 2.0 * below(NORMAL.inv_cdf(alpha / 2.0) / math.sqrt(fraction))


def boundaries(
    fractions: Sequence[float],
    *,
    alpha: float = 0.05,
    alternative: str = "greater",
    spending: Spending = "obrien-fleming",
) -> tuple[float, ...]:
    """Return the critical value of the standard normal statistic at each look.

    Args:
        fractions: Information at each look as a fraction of the planned one, increasing, at most 1.
        alpha: Alpha of the whole test.
        alternative: Two-sided tests cross at the value or at its negative, with alpha / 2 on each
            side.
        spending: As in `spent`.

    Returns:
        One value per look; inf where no alpha may be spent.

    Raises:
        ValueError: Fractions do not rise from above 0 to at most 1, or another argument is out of
            range.

    Example:
        >>> [round(each, 3) for each in boundaries((0.3, 0.6, 1.0), alpha=0.025)]
        [3.929, 2.67, 1.981]
    """
    check_design(alpha, alternative, spending)
    given = tuple(float(each) for each in fractions)
    if not given:
        raise ValueError("fractions is empty; give one for each look")
    if any(later <= sooner for sooner, later in zip((0.0, *given), given, strict=False)):
        raise ValueError(
            f"fractions are {given}; each must be above the one before, the first above 0"
        )
    if given[-1] > 1.0:
        raise ValueError(f"fractions end at {given[-1]}; the planned information is 1")
    side = alpha / sides(alternative)
    levels = tuple(spent(each, alpha=side, spending=spending) for each in given)
    return critical_values(given, levels, two_sided=alternative == "two-sided")


def sides(alternative: str) -> int:
    """Return the number of sides on which a test spends its alpha."""
    return 2 if alternative == "two-sided" else 1


def check_design(
    alpha: float, alternative: str = "greater", spending: str = "pocock", power: float = 0.5
) -> None:
    """Refuse options that are unknown or out of range."""
    check_known("alternative", alternative, get_args(Alternative))
    check_known("spending", spending, get_args(Spending))
    check_between("alpha", alpha)
    check_between("power", power)


@lru_cache(maxsize=256)
def critical_values(
    information: tuple[float, ...], levels: tuple[float, ...], *, two_sided: bool
) -> tuple[float, ...]:
    """Return each look's critical value from the one-sided alpha spent up to it.

    The example is the power family of Kim & DeMets (1987), which this package does not offer:

    >>> times = (0.2, 0.4, 0.8, 1.0)
    >>> family = tuple(0.025 * time**2.8 for time in times)
    >>> [round(each, 3) for each in critical_values(times, family, two_sided=False)]
    [3.454, 2.922, 2.245, 2.047]
    """
    found: list[float] = []
    before = 0.0
    for look, level in enumerate(levels):
        so_far = _edges(tuple(found), two_sided=two_sided)
        *_, state = _states(information[: look + 1], so_far, 0.0)
        least, most = -FARTHEST, FARTHEST
        if level - before <= NEVER:
            found.append(math.inf)
            continue
        for _ in range(HALVINGS):
            middle = 0.5 * (least + most)
            if _beyond(state, middle, 0.0) > level - before:
                least = middle
            else:
                most = middle
        found.append(0.5 * (least + most))
        before = level
    return tuple(found)


def _edges(upper: tuple[float, ...], *, two_sided: bool) -> Edges:
    """Pair each look's lower and upper critical value."""
    return tuple((-value if two_sided else -math.inf, value) for value in upper)


def exits(
    information: tuple[float, ...], upper: tuple[float, ...], drift: float, *, two_sided: bool
) -> tuple[Array, Array]:
    """Return the probability of a first crossing at each look, above and below."""
    edges = _edges(upper, two_sided=two_sided)
    states = list(_states(information, edges[:-1], drift))
    above = [_beyond(state, high, drift) for state, (_, high) in zip(states, edges, strict=True)]
    under = [_short(state, low, drift) for state, (low, _) in zip(states, edges, strict=True)]
    return np.array(above), np.array(under)


def tail(
    information: tuple[float, ...],
    upper: tuple[float, ...],
    statistic: float,
    drift: float,
    *,
    two_sided: bool,
) -> float:
    """Return the probability of outcomes at or above `statistic` at the last of these looks.

    Above it are crossings of the upper boundary at an earlier look, and larger statistics at this
    one. If the statistic crossed the lower boundary, all tests that go on are above it.
    """
    edges = _edges(upper, two_sided=two_sided)
    above, under = 0.0, 0.0
    *earlier, last = _states(information, edges[:-1], drift)
    for state, (low, high) in zip(earlier, edges, strict=False):
        above += _beyond(state, high, drift)
        under += _short(state, low, drift)
    if statistic <= edges[-1][0]:
        return 1.0 - under - _short(last, statistic, drift)
    return above + _beyond(last, statistic, drift)


def drift_at(
    information: tuple[float, ...],
    upper: tuple[float, ...],
    statistic: float,
    level: float,
    *,
    two_sided: bool,
) -> float:
    """Return the drift at which `tail` equals `level`."""
    target = NORMAL.inv_cdf(level)

    def excess(drift: float) -> float:
        chance = tail(information, upper, statistic, drift, two_sided=two_sided)
        return NORMAL.inv_cdf(min(max(chance, 1e-15), 1.0 - 1e-15)) - target

    guess = (statistic + target) / math.sqrt(information[-1])
    return root(excess, guess)


def root(rising: Callable[[float], float], guess: float, step: float = 0.25) -> float:
    """Find where a nearly linear, rising function crosses zero.

    The root is bracketed by growing steps from `guess`, then found by the Illinois algorithm.
    """
    low = high = guess
    at_low = at_high = rising(guess)
    while at_low > 0.0 and step < 1e3:
        high, at_high = low, at_low
        low -= step
        at_low, step = rising(low), 2.0 * step
    while at_high < 0.0 and step < 1e3:
        low, at_low = high, at_high
        high += step
        at_high, step = rising(high), 2.0 * step
    last = 0
    for _ in range(HALVINGS):
        if high - low < 1e-10 or at_low == at_high:
            break
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        value = rising(middle)
        if abs(value) < 1e-11:
            return middle
        if value > 0.0:
            high, at_high = middle, value
            at_low *= 0.5 if last > 0 else 1.0
            last = 1
        else:
            low, at_low = middle, value
            at_high *= 0.5 if last < 0 else 1.0
            last = -1
    return 0.5 * (low + high)


def _states(information: tuple[float, ...], edges: Edges, drift: float) -> Iterator[State]:
    """Yield the state before each look; the first has all its weight at 0."""
    points, weights, before = np.zeros(1), np.ones(1), 0.0
    for look, now in enumerate(information):
        yield points, weights, before, now
        if look == len(edges):
            return
        low, high = edges[look]
        steps = [1.0 - sooner / later for sooner, later in pairwise(information)]
        fine = max(FINE, math.ceil(1.5 / WIDEST / math.sqrt(min(steps, default=1.0))))
        nodes, widths = _grid(drift * math.sqrt(now), low, high, fine)
        spread = math.sqrt(now - before)
        ahead = (points * math.sqrt(before) + drift * (now - before)) / spread
        apart = nodes[:, None] * (math.sqrt(now) / spread) - ahead
        density = np.exp(-0.5 * apart * apart) @ weights
        density *= math.sqrt(now) / spread / math.sqrt(2.0 * math.pi)
        points, weights, before = nodes, widths * density, now


def _beyond(state: State, value: float, drift: float) -> float:
    """Return the probability of going on and then having a statistic of `value` or more."""
    from scipy.special import ndtr

    points, weights, before, now = state
    spread = math.sqrt(now - before)
    ahead = points * math.sqrt(before) + drift * (now - before)
    return float(weights @ ndtr((ahead - value * math.sqrt(now)) / spread))


def _short(state: State, value: float, drift: float) -> float:
    """Return the probability of going on and then having a statistic of at most `value`."""
    points, weights, before, now = state
    return _beyond((-points, weights, before, now), -value, -drift)


@lru_cache(maxsize=8)
def _standard_grid(fine: int) -> Array:
    count = np.arange(1, 6 * fine)
    outside = 3.0 + 4.0 * np.log(fine / np.minimum(count, 6 * fine - count).clip(max=fine))
    inside = -3.0 + 3.0 * (count - fine) / (2.0 * fine)
    left, right = count < fine, count > 5 * fine
    return np.where(left, -outside, np.where(right, outside, inside))


def _grid(mean: float, low: float, high: float, fine: int) -> tuple[Array, Array]:
    """Return points and Simpson weights for an integral from `low` to `high`."""
    every = mean + _standard_grid(fine)
    low, high = max(low, float(every[0])), min(high, float(every[-1]))
    if low >= high:
        return np.zeros(1), np.zeros(1)
    ends = np.concatenate([[low], every[(every > low) & (every < high)], [high]])
    widths = np.diff(ends)
    points, weights = np.empty(2 * ends.size - 1), np.zeros(2 * ends.size - 1)
    points[::2], points[1::2] = ends, 0.5 * (ends[1:] + ends[:-1])
    weights[1::2] = 4.0 * widths
    weights[:-1:2] += widths
    weights[2::2] += widths
    return points, weights / 6.0


class Design:
    """A group sequential test with equally spaced looks, at most 100."""

    def __init__(
        self,
        looks: int,
        alternative: str,
        alpha: float,
        spending: Spending,
        power: float = 0.5,
    ) -> None:
        check_design(alpha, alternative, spending, power)
        if isinstance(looks, bool) or not 1 <= looks <= MOST_LOOKS:
            raise ValueError(f"looks is {looks}; it must be 1 or more, and at most {MOST_LOOKS}")
        self.fractions = tuple((look + 1) / looks for look in range(looks))
        self.two_sided = alternative == "two-sided"
        self.upper = boundaries(
            self.fractions, alpha=alpha, alternative=alternative, spending=spending
        )
        self.fixed = -NORMAL.inv_cdf(alpha / sides(alternative))

    def power(self, drift: float) -> float:
        """Return the probability that some look crosses."""
        above, under = exits(self.fractions, self.upper, drift, two_sided=self.two_sided)
        return min(float(above.sum() + under.sum()), 1.0)

    def expected_fraction(self, drift: float) -> float:
        """Return the mean size of a test that stops at a crossing, relative to the largest size."""
        above, under = exits(self.fractions, self.upper, drift, two_sided=self.two_sided)
        saved = 1.0 - (above + under)[:-1].cumsum()
        return (1.0 + float(saved.sum())) / len(self.fractions)

    def fixed_power(self, drift: float) -> float:
        """Return the power of the fixed test, with one look."""
        other = below(-drift - self.fixed) if self.two_sided else 0.0
        return below(drift - self.fixed) + other

    def as_fixed(self, power: float) -> float:
        """Return the power of the fixed test at the drift where the looks have `power`."""
        return min(self.fixed_power(self.drift_of_power(power)), 1.0 - 1e-9)

    def drift_of_power(self, power: float) -> float:
        """Return the drift at which the looks have this power."""
        return self._drift(self.power, power)

    def drift_of_fixed(self, power: float) -> float:
        """Return the drift at which the fixed test has this power."""
        return self._drift(self.fixed_power, power)

    def _drift(self, power_at: Callable[[float], float], power: float) -> float:
        if math.isnan(power):
            return math.nan
        if self.two_sided and power <= power_at(0.0):
            return 0.0
        wanted = NORMAL.inv_cdf(min(max(power, 1e-12), 1.0 - 1e-12))

        def excess(drift: float) -> float:
            at = abs(drift) if self.two_sided else drift
            return NORMAL.inv_cdf(min(max(power_at(at), 1e-14), 1.0 - 1e-14)) - wanted

        found = root(excess, self.fixed + wanted)
        return abs(found) if self.two_sided else found
