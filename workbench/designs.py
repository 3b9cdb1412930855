"""Designs with equally spaced looks: the drift that a power takes, and the customers that it saves.

Drift is the mean of the last look's statistic. That of the fixed test at the same size is the same,
so that a sequential test's size is that of a fixed test with another power (Jennison & Turnbull 2000,
Group Sequential Methods, chapters 2 and 7).

>>> design = Design(5, "two-sided", 0.05, "obrien-fleming")
>>> round(design.power(3.242), 3)
0.893
"""

from __future__ import annotations

import math
from collections.abc import Callable

from workbench.boundaries import (
    NORMAL,
    Spending,
    below,
    boundaries,
    check_design,
    exits,
    root,
    sides,
)

MOST_LOOKS = 100


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
