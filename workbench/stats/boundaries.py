"""Boundaries of group sequential tests: alpha spending, and designs with equally spaced looks.

At looks with information I_1 < ... < I_K the statistics Z_k are normal with mean drift * sqrt(I_k),
variance 1 and covariance sqrt(I_j / I_k). The density of Z_k among those who have not crossed before
is an integral over that of Z_(k-1) (Armitage, McPherson & Rowe 1969); here by Simpson's rule on the
grid of Jennison & Turnbull (2000), Group Sequential Methods, chapter 19. Only ratios of information
matter for boundaries; with I_K = 1, drift is the mean of the last statistic.

Alpha spending: Lan & DeMets (1983) Biometrika 70:659-663. Order of outcomes, stage by stage: an
earlier crossing is further out (Fairbanks & Madsen 1982, Biometrika 69:69-74; Tsiatis, Rosner &
Mehta 1984, Biometrics 40:797-803).

>>> [round(each, 3) for each in boundaries((0.5, 1.0), alpha=0.05, alternative="two-sided")]
[2.963, 1.969]

Drift is the mean of the last look's statistic. That of the fixed test at the same size is the same,
so that a sequential test's size is that of a fixed test with another power (Jennison & Turnbull 2000,
Group Sequential Methods, chapters 2 and 7).

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
import numpy.typing as npt

from workbench.errors import unknown_name

Array = npt.NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock"]
Pairs = tuple[tuple[float, float], ...]
ALTERNATIVES = ("two-sided", "greater", "less")
FINE = 18  # the grid has 12 * FINE - 3 points
WIDEST = 1.4  # grid points lie at most so many standard deviations of an increment apart
FARTHEST = 40.0  # no boundary lies farther out
HALVINGS = 50
NEVER = 1e-40  # alpha so small that nothing crosses
NORMAL = NormalDist()
# A state holds, for those who go on after a look, points of the statistic with their weights, that
# look's information, and the next one's.
State = tuple[Array, Array, float, float]
MOST_LOOKS = 100


def spent(fraction: float, *, alpha: float, spending: Spending = "obrien-fleming") -> float:
    """Give the one-sided alpha that may be spent up to a fraction of the planned information.

    A two-sided test spends alpha / 2 in this way on each side. From 1 on it is all of alpha.

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
    """Give the critical value of the standard normal statistic at each look; inf where none is.

    Two-sided tests cross at the value or at its negative, with alpha / 2 on each side. Looks may be
    at any increasing fractions of the planned information; what is spent follows from those so far.

    Raises ValueError for fractions that do not rise from above 0 to at most 1.

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
    """Say on how many sides a test spends its alpha."""
    return 2 if alternative == "two-sided" else 1


def check_design(
    alpha: float, alternative: str = "greater", spending: str = "pocock", power: float = 0.5
) -> None:
    """Refuse what no design can have."""
    for kind, name, known in (
        ("alternative", alternative, ALTERNATIVES),
        ("spending", spending, get_args(Spending)),
    ):
        if name not in known:
            raise ValueError(unknown_name(kind, name, known))
    for kind, value in (("alpha", alpha), ("power", power)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{kind} is {value}; it must lie between 0 and 1")


def below(quantile: float) -> float:
    """Give the standard normal distribution's share below; as precise far out on the left."""
    return 0.5 * math.erfc(-quantile / math.sqrt(2.0))


@lru_cache(maxsize=256)
def critical_values(
    information: tuple[float, ...], levels: tuple[float, ...], *, two_sided: bool
) -> tuple[float, ...]:
    """Find each look's critical value from the alpha spent up to it, on one side.

    Kim & DeMets's (1987) power family, which this package does not offer, as one of the published
    examples:

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


def _edges(upper: tuple[float, ...], *, two_sided: bool) -> Pairs:
    """Pair each look's lower and upper critical value."""
    return tuple((-value if two_sided else -math.inf, value) for value in upper)


def exits(
    information: tuple[float, ...], upper: tuple[float, ...], drift: float, *, two_sided: bool
) -> tuple[Array, Array]:
    """Give the probabilities to cross first at each look: above, and below."""
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
    """Give the probability of outcomes as far up as `statistic` at the last of these looks, or more.

    Further up are: crossing above at an earlier look, and a larger statistic at this one. A
    statistic at or below the lower critical value ended the test there, so that all who go on count
    as further up.
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
    """Find the drift under which outcomes as far up as this one, or more, have probability `level`."""
    target = NORMAL.inv_cdf(level)

    def excess(drift: float) -> float:
        chance = tail(information, upper, statistic, drift, two_sided=two_sided)
        return NORMAL.inv_cdf(min(max(chance, 1e-15), 1.0 - 1e-15)) - target

    guess = (statistic + target) / math.sqrt(information[-1])
    return root(excess, guess)


def root(rising: Callable[[float], float], guess: float, step: float = 0.25) -> float:
    """Find where a rising function that is close to a line crosses zero.

    Steps out from `guess` until the root is enclosed, then the Illinois form of regula falsi.
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


def _states(information: tuple[float, ...], edges: Pairs, drift: float) -> Iterator[State]:
    """Give the state before each look, the first with all the weight at 0."""
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
    """Give the probability to go on and then to have a statistic of `value` or more."""
    from scipy.special import ndtr

    points, weights, before, now = state
    spread = math.sqrt(now - before)
    ahead = points * math.sqrt(before) + drift * (now - before)
    return float(weights @ ndtr((ahead - value * math.sqrt(now)) / spread))


def _short(state: State, value: float, drift: float) -> float:
    """Give the probability to go on and then to have a statistic of at most `value`."""
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
    """Give points and Simpson weights for an integral from `low` to `high`."""
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
    """A group sequential test with equally spaced looks."""

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
        """Give the probability that some look crosses."""
        above, under = exits(self.fractions, self.upper, drift, two_sided=self.two_sided)
        return min(float(above.sum() + under.sum()), 1.0)

    def expected_fraction(self, drift: float) -> float:
        """Give the mean size of a test that ends with a crossing, relative to the largest."""
        above, under = exits(self.fractions, self.upper, drift, two_sided=self.two_sided)
        saved = 1.0 - (above + under)[:-1].cumsum()
        return (1.0 + float(saved.sum())) / len(self.fractions)

    def fixed_power(self, drift: float) -> float:
        """Give the power of the test with one look."""
        other = below(-drift - self.fixed) if self.two_sided else 0.0
        return below(drift - self.fixed) + other

    def as_fixed(self, power: float) -> float:
        """Give the power that the fixed test has where the looks have this one."""
        return min(self.fixed_power(self.drift_of_power(power)), 1.0 - 1e-9)

    def drift_of_power(self, power: float) -> float:
        """Find the drift at which the looks have this power."""
        return self._drift(self.power, power)

    def drift_of_fixed(self, power: float) -> float:
        """Find the drift at which the test with one look has this power."""
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
