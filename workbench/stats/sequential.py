"""Planned looks at two rates: group sequential tests by alpha spending, on counts.

A look's information is the harmonic mean size of its cohorts, as a fraction of the planned size. The
alpha that may be spent by then depends on that fraction alone, so looks may come at any time that
does not depend on the results so far (Lan & DeMets 1983, Biometrika 70:659-663).

Normal boundaries reject too often in small cohorts. So the statistic of a look is the normal quantile
of its exact one-sided p-value (of the score test's above 600 customers). By enumeration of all
tables, with no effect, rates of 2 to 50 %, 2, 4 and 8 looks, 10 to 300 customers per cohort and a
one-sided alpha of .05, this crosses with probability .049 at most (600 per cohort, with the score
test at the later looks: .051). The score test at every look would cross with up to .067 (10 per
cohort) and .054 (80 per cohort).

Until the boundary is crossed or no more customers come, interval and p-value are the repeated ones,
which hold at all looks together (Jennison & Turnbull 1989, JRSS B 51:305-361): the effects that this
look's boundary would not reject, and the least alpha whose boundary this look would reach. Then they
are those of the stage-wise order (Fairbanks & Madsen 1982, Biometrika 69:69-74; Tsiatis, Rosner &
Mehta 1984, Biometrics 40:797-803): drifts from that order, which the same exact test converts to
effects, so a single look gives the exact test and interval themselves. A crossing ends the test:
later customers do not count.

Tables are (converted, total) of control, then of treatment. They are turned so that a one-sided
alternative is "greater".

For planning, the power of a sequential test is that of the fixed test at the same size, converted by
the drift that both have. Expected sizes come from the same recursion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.stats.arguments import check_between
from workbench.stats.boundaries import (
    NORMAL,
    Design,
    Spending,
    check_design,
    critical_values,
    drift_at,
    root,
    sides,
    spent,
    tail,
)
from workbench.stats.exact import Edge, lower_end, pvalue_from_below
from workbench.stats.power import PowerTest
from workbench.stats.power import customers_needed as fixed_customers_needed
from workbench.stats.power import detectable_effect as fixed_detectable_effect
from workbench.stats.power import power as fixed_power
from workbench.stats.proportions import Alternative, Comparison, Counts, compare
from workbench.stats.score import below, bisect, finite_factor, score_interval, score_statistic

Cells = tuple[int, int, int, int]  # converted and total of control, then of treatment
EXACT = 600  # up to so many customers in both cohorts together, looks are exact
SMALLEST = 1e-12  # an interval at a smaller level ends at -1 or 1
TINY, MOST = 1e-300, 1.0 - 1e-15  # p-values that have a normal quantile
FAR = 50.0
MOST_EXTREME = 37.0  # largest normal quantile with a p-value above 0
NEW = 1e-3  # relative gain in information from which on a look counts
NAMES = {"obrien-fleming": "O'Brien-Fleming", "pocock": "Pocock"}


@dataclass(frozen=True, slots=True)
class Reached:
    """The state of a test at its first crossing, or at the last of its looks.

    `over` says that the test has ended. Then p-value and interval are those of the stage-wise order,
    otherwise the repeated ones. On a side that was not crossed, the end is the repeated one if that
    is further out, since earlier looks could have refuted the claim by it.
    """

    look: int
    statistic: float
    boundary: float
    spent: float
    crossed: bool
    over: bool
    pvalue: float
    low: float
    high: float
    unbiased: float


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """A planned test: alpha, how it is spent, the null effect, and whether it is two-sided."""

    alpha: float
    spending: Spending
    null: float
    two_sided: bool

    @property
    def side(self) -> float:
        """The alpha of one side."""
        return self.alpha / 2.0 if self.two_sided else self.alpha

    def critical(
        self, information: tuple[float, ...], side: float, *, closing: bool
    ) -> tuple[float, ...]:
        """Return the critical value of each look; with `closing` the last spends all that remains."""
        levels = [spent(each, alpha=side, spending=self.spending) for each in information]
        if closing:
            levels[-1] = side
        return critical_values(information, tuple(levels), two_sided=self.two_sided)

    def evaluate(
        self, tables: Sequence[Cells], information: tuple[float, ...], *, closing: bool
    ) -> Reached:
        """Evaluate the looks up to the first crossing; with `closing` the last one ends the test."""
        upper = self.critical(information, self.side, closing=closing)
        crossed = look = 0
        up = down = math.nan
        for table, value in zip(tables, upper, strict=True):
            look += 1
            up = statistic(table, self.null, value)
            down = -statistic(mirrored(table), -self.null, value) if self.two_sided else -math.inf
            crossed = 1 if up >= value else -1 if self.two_sided and down <= -value else 0
            if crossed:
                break
        ended = closing and look == len(tables)
        path, so_far, table = information[:look], upper[:look], tables[look - 1]
        level = self.side if ended else spent(path[-1], alpha=self.side, spending=self.spending)
        score = score_quantile(table, self.null)
        at = up if score >= 0.0 else down if self.two_sided else score
        nominal = below(-so_far[-1])
        low, high = ends(table, nominal, nominal)
        if crossed or ended:
            pvalue = self._stagewise_pvalue(path, so_far, up, down)
            stagewise = self._stagewise_ends(table, path, so_far, at)
            low = stagewise[0] if crossed > 0 or not self.two_sided else min(low, stagewise[0])
            high = stagewise[1] if crossed < 0 else max(high, stagewise[1])
            reach = max(score, at) if crossed > 0 else min(score, at) if crossed < 0 else score
            middle = drift_at(path, so_far, reach, 0.5, two_sided=self.two_sided)
            unbiased = effect_at(table, reach - middle * math.sqrt(path[-1]))
        else:
            pvalue = self._repeated_pvalue(path, max(up, -down) if self.two_sided else up)
            unbiased = math.nan
        low, high = self._settled(low, high, crossed)
        pvalue = min(pvalue, self.alpha) if crossed else max(pvalue, math.nextafter(self.alpha, 1))
        return Reached(
            look=look,
            statistic=at,
            boundary=so_far[-1],
            spent=level * (2.0 if self.two_sided else 1.0),
            crossed=bool(crossed),
            over=bool(crossed) or ended,
            pvalue=pvalue,
            low=low,
            high=high,
            unbiased=unbiased,
        )

    def _stagewise_pvalue(
        self, path: tuple[float, ...], upper: tuple[float, ...], up: float, down: float
    ) -> float:
        """Return the probability under the null of outcomes as extreme in the stage-wise order."""
        above = tail(path, upper, up, 0.0, two_sided=self.two_sided)
        if not self.two_sided:
            return min(above, 1.0)
        return min(2.0 * min(above, 1.0 - tail(path, upper, down, 0.0, two_sided=True)), 1.0)

    def _stagewise_ends(
        self, table: Cells, path: tuple[float, ...], upper: tuple[float, ...], at: float
    ) -> tuple[float, float]:
        """Return the effects whose drifts leave the side's alpha above and below this outcome."""
        lowest, highest = (
            drift_at(path, upper, at, level, two_sided=self.two_sided) * math.sqrt(path[-1])
            for level in (self.side, 1.0 - self.side)
        )
        return ends(table, below(lowest - at), below(at - highest))

    def _repeated_pvalue(self, path: tuple[float, ...], reached: float) -> float:
        """Return the least alpha at which this look would have crossed its boundary."""
        most = NORMAL.inv_cdf(0.4999) if self.two_sided else 3.5

        def excess(quantile: float) -> float:
            side = below(max(min(quantile, most), -8.0))
            return max(reached - self.critical(path, side, closing=False)[-1], -FAR)

        if excess(most) <= 0.0:
            return 1.0
        side = below(root(excess, NORMAL.inv_cdf(self.side)))
        return min(side * (2.0 if self.two_sided else 1.0), 1.0)

    def _settled(self, low: float, high: float, crossed: int) -> tuple[float, float]:
        """Move an end that lies within rounding of the null to the side that the crossing says."""
        if crossed > 0:
            low = max(low, math.nextafter(self.null, math.inf))
        elif low > self.null:
            low = self.null
        if crossed < 0:
            high = min(high, math.nextafter(self.null, -math.inf))
        elif self.two_sided and high < self.null:
            high = self.null
        return low, max(low, high)


def mirrored(table: Cells) -> Cells:
    """Swap the cohorts."""
    x0, n0, x1, n1 = table
    return x1, n1, x0, n0


def statistic(table: Cells, null: float, critical: float) -> float:
    """Return the normal quantile of a table's one-sided p-value at a null difference.

    Where the raw exact p-value reaches the critical value, the largest p-value at this null or below
    it is used instead, to agree with the interval.
    """
    if table[1] + table[3] > EXACT:
        return score_quantile(table, null)
    edge = Edge(*table, two_sided=False)
    pvalue = edge.bound(null, null)
    if pvalue <= below(-critical):
        pvalue = pvalue_from_below(edge, null)
    return -NORMAL.inv_cdf(min(max(pvalue, TINY), MOST))


def score_quantile(table: Cells, null: float) -> float:
    """Return the score statistic with Miettinen and Nurminen's factor, within [-37, 37]."""
    value = float(score_statistic(*table, null)) / math.sqrt(finite_factor(table[1], table[3]))
    return max(-MOST_EXTREME, min(value, MOST_EXTREME))


def ends(table: Cells, low_level: float, high_level: float) -> tuple[float, float]:
    """Return the effects at which the one-sided tests of this table have these p-values."""
    return _low_end(table, low_level), -_low_end(mirrored(table), high_level)


def _low_end(table: Cells, level: float) -> float:
    if level < SMALLEST:
        return -1.0
    level = min(level, 1.0 - SMALLEST)
    if table[1] + table[3] > EXACT:
        return effect_at(table, -NORMAL.inv_cdf(level))
    inside = min(level, 0.4)
    guess, _ = score_interval(*table, 1.0 - 2.0 * inside)
    return float(lower_end(Edge(*table, two_sided=False), level, guess))


def effect_at(table: Cells, quantile: float) -> float:
    """Return the null difference at which the score statistic is this large."""
    return bisect(lambda null: score_quantile(table, null) - quantile, -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class SequentialComparison:
    """The result of a look of a group sequential test.

    Attributes:
        comparison: The counts that the test rests on, the plain estimate (not adjusted for stopping),
            the adjusted interval and p-value, and a ratio with its repeated interval. pvalue <= alpha
            exactly if the boundary is crossed, and then the interval excludes the null effect.
        look: Number of looks that added information.
        fraction: Information at the last of them, as a fraction of the planned one.
        fractions: Information at each of them.
        boundary: Critical value of this look; inf while no alpha may be spent.
        spent: Alpha spent so far, on all sides together.
        crossed: Whether the boundary was crossed.
        final: Whether the planned information is reached or no more will come.
        unbiased: Median-unbiased estimate of a test that has ended; NaN before.
        reason: Why later counts do not matter; empty if they do.
    """

    comparison: Comparison
    look: int
    fraction: float
    fractions: tuple[float, ...]
    boundary: float
    spent: float
    crossed: bool
    final: bool
    unbiased: float = math.nan
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExpectedCustomers:
    """Mean number of customers of both cohorts at the end of a sequential test."""

    with_effect: float
    without_effect: float


def compare_sequential(
    *,
    control: Counts,
    treatment: Counts,
    earlier: Sequence[tuple[Counts, Counts]] = (),
    planned: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    spending: Spending = "obrien-fleming",
    null_effect: float = 0.0,
    looks: int | None = None,
    final: bool = False,
) -> SequentialComparison:
    """Test and estimate the effect treatment - control at a planned look.

    A look with no more information than the one before adds nothing, and the earlier result stands.
    All remaining alpha is spent by the look that reaches or passes the planned size, by the last of
    the planned `looks`, and by a `final` one, with the correlation that the real sizes give (Wassmer
    & Brannath 2016, Group Sequential and Confirmatory Adaptive Designs in Clinical Trials, on over-
    and under-running). Counts after that look, or after a crossing, change nothing.

    Args:
        control: Cumulative counts of control at this look.
        treatment: Cumulative counts of treatment at this look.
        earlier: Cumulative counts (control, treatment) of each earlier look, in order.
        planned: Customers per cohort at full information.
        alternative: Where the effect lies if the null is wrong.
        alpha: Alpha of the whole test.
        spending: "obrien-fleming" spends little alpha early, "pocock" about evenly.
        null_effect: The effect under the null, as a fraction.
        looks: Planned number of looks, if it is fixed.
        final: Whether no more customers will come, for reasons other than the results.

    Returns:
        The result of this look, or of the earlier one that stands.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> result = compare_sequential(
        ...     control=Counts(24, 80),
        ...     treatment=Counts(43, 80),
        ...     earlier=[(Counts(13, 40), Counts(19, 40))],
        ...     planned=100,
        ...     alternative="greater",
        ... )
        >>> result.look, result.crossed, f"{result.boundary:.3f} {result.comparison.pvalue:.4f}"
        (2, True, '1.914 0.0029')
    """
    check_design(alpha, alternative, spending)
    if isinstance(planned, bool) or planned < 1:
        raise ValueError(f"planned is {planned}; it must be 1 customer per cohort or more")
    check_between("null_effect", null_effect, -1)
    if looks is not None and looks < 1:
        raise ValueError(f"looks is {looks}; it must be 1 or more")
    kept = _informative([*earlier, (control, treatment)], planned)[:looks]
    closing = final or len(kept) == looks or _size(control, treatment) >= planned
    closing = closing or any(_size(*pair) >= planned for pair in kept)
    turned = -1 if alternative == "less" else 1
    reached = None
    if kept:
        test = SequentialTest(alpha, spending, turned * null_effect, alternative == "two-sided")
        tables = [
            (one.converted, one.total, other.converted, other.total)
            for one, other in (pair[::turned] for pair in kept)
        ]
        sizes = tuple(_size(*pair) / planned for pair in kept)
        reached = test.evaluate(tables, sizes, closing=closing)
    at = kept[reached.look - 1] if reached else (control, treatment)
    fractions = tuple(min(each, 1.0) for each in sizes[: reached.look]) if reached else ()
    return SequentialComparison(
        comparison=_comparison(at, reached, alternative, null_effect, alpha, spending),
        look=len(fractions),
        fraction=fractions[-1] if fractions else 0.0,
        fractions=fractions,
        boundary=reached.boundary if reached else math.inf,
        spent=reached.spent if reached else 0.0,
        crossed=reached is not None and reached.crossed,
        final=closing,
        unbiased=turned * reached.unbiased if reached else math.nan,
        reason=_later(reached, at, (control, treatment), planned, looks),
    )


def _size(control: Counts, treatment: Counts) -> float:
    """Return the harmonic mean of the cohort sizes, which is proportional to the information."""
    customers = control.total + treatment.total
    return 2.0 * control.total * treatment.total / customers if customers else 0.0


def _informative(
    looks: Sequence[tuple[Counts, Counts]], planned: int
) -> list[tuple[Counts, Counts]]:
    """Return the looks that have more information than those before, up to the planned size."""
    kept: list[tuple[Counts, Counts]] = []
    most = 0.0
    for pair in looks:
        if most < planned and _size(*pair) > most * (1.0 + NEW):
            kept.append(pair)
            most = _size(*pair)
    return kept


def _comparison(
    at: tuple[Counts, Counts],
    reached: Reached | None,
    alternative: Alternative,
    null_effect: float,
    alpha: float,
    spending: Spending,
) -> Comparison:
    """Return a comparison with the adjusted numbers and the counts that they rest on."""
    outside = 2.0 * below(-reached.boundary) if reached else alpha
    plain = compare(
        control=at[0],
        treatment=at[1],
        confidence_level=min(max(1.0 - outside, 1e-9), 1.0 - 1e-14),
        test="score",
    )
    low = high = pvalue = statistic = math.nan
    if reached:
        low, high = reached.low, reached.high
        pvalue, statistic = reached.pvalue, reached.statistic
        if alternative == "less":
            low, high, statistic = -high, -low, -statistic
    return Comparison(
        control=at[0],
        treatment=at[1],
        estimate=plain.estimate,
        low=low,
        high=high,
        pvalue=pvalue,
        statistic=statistic,
        test=f"alpha spending ({NAMES[spending]})",
        interval="stage-wise" if reached and reached.over else "repeated",
        alternative=alternative,
        null_effect=null_effect,
        confidence_level=1.0 - alpha * (3 - sides(alternative)),
        ratio=plain.ratio,
        reason=plain.reason,
    )


def _later(
    reached: Reached | None,
    at: tuple[Counts, Counts],
    now: tuple[Counts, Counts],
    planned: int,
    looks: int | None,
) -> str:
    """Say why the result does not rest on the counts of this look."""
    if reached is None or at == now:
        return ""
    if reached.crossed:
        return f"the boundary was crossed at look {reached.look}; later customers do not count"
    if _size(*at) >= planned:
        return f"the planned size was reached at look {reached.look}; later customers do not count"
    if reached.look == looks:
        return f"look {looks} was the last one planned; later customers do not count"
    return f"this look adds no information to look {reached.look}, whose result stands"


def power(
    *,
    control_rate: float,
    effect: float,
    control_total: int,
    treatment_total: int,
    looks: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    spending: Spending = "obrien-fleming",
    test: PowerTest = "auto",
) -> float:
    """Return the probability that one of several equally spaced looks crosses its boundary.

    Args:
        control_rate: The true rate of control.
        effect: The true effect treatment - control, as a fraction.
        control_total: Customers of control at the last look.
        treatment_total: Customers of treatment at the last look.
        looks: Number of looks.
        alternative: Where the effect lies if the null is wrong.
        alpha: Alpha of the whole test.
        null_effect: The effect under the null.
        spending: As in `compare_sequential`.
        test: As in `workbench.stats.power.power`.

    Returns:
        The power; NaN for an empty cohort.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> sizes = {"control_total": 100, "treatment_total": 100}
        >>> round(power(control_rate=0.2, effect=0.2, looks=4, alternative="greater", **sizes), 3)
        0.919
    """
    plan = Design(looks, alternative, alpha, spending)
    drift = plan.drift_of_fixed(
        fixed_power(
            control_rate=control_rate,
            effect=effect,
            control_total=control_total,
            treatment_total=treatment_total,
            alternative=alternative,
            alpha=alpha,
            null_effect=null_effect,
            test=test,
        )
    )
    return plan.power(drift)


def customers_needed(
    *,
    control_rate: float,
    effect: float,
    looks: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    allocation: float = 1.0,
    null_effect: float = 0.0,
    spending: Spending = "obrien-fleming",
    test: PowerTest = "auto",
) -> int:
    """Return the smallest control cohort at the last look with which the looks find `effect`.

    Args:
        control_rate: The true rate of control.
        effect: The true effect treatment - control, as a fraction.
        looks: Number of looks.
        alternative: Where the effect lies if the null is wrong.
        alpha: Alpha of the whole test.
        power: Probability that a look crosses.
        allocation: Treatment customers per control customer.
        null_effect: The effect under the null.
        spending: As in `compare_sequential`.
        test: As in `workbench.stats.power.power`.

    Returns:
        Customers of control at the last look.

    Raises:
        ValueError: As in `workbench.stats.power.customers_needed`.

    Example:
        >>> customers_needed(control_rate=0.5, effect=0.25, power=0.9, looks=4, test="score")
        78
    """
    return fixed_customers_needed(
        control_rate=control_rate,
        effect=effect,
        alternative=alternative,
        alpha=alpha,
        power=Design(looks, alternative, alpha, spending, power).as_fixed(power),
        allocation=allocation,
        null_effect=null_effect,
        test=test,
    )


def detectable_effect(
    *,
    control_rate: float,
    control_total: int,
    treatment_total: int,
    looks: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    null_effect: float = 0.0,
    spending: Spending = "obrien-fleming",
    test: PowerTest = "auto",
) -> float:
    """Return the effect nearest to the null that the looks find with this power.

    Arguments and answer are those of `workbench.stats.power.detectable_effect`, with the sizes at the
    last of so many `looks`, and `spending` as in `compare_sequential`.
    """
    return fixed_detectable_effect(
        control_rate=control_rate,
        control_total=control_total,
        treatment_total=treatment_total,
        alternative=alternative,
        alpha=alpha,
        power=Design(looks, alternative, alpha, spending, power).as_fixed(power),
        null_effect=null_effect,
        test=test,
    )


def expected_customers(
    *,
    control_rate: float,
    effect: float,
    control_total: int,
    treatment_total: int,
    looks: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    null_effect: float = 0.0,
    spending: Spending = "obrien-fleming",
    test: PowerTest = "auto",
) -> ExpectedCustomers:
    """Return the mean number of customers of both cohorts if the test stops at a crossing.

    Arguments are those of `power`: `control_total` and `treatment_total` are the sizes at the last
    look.
    """
    plan = Design(looks, alternative, alpha, spending)
    fixed = fixed_power(
        control_rate=control_rate,
        effect=effect,
        control_total=control_total,
        treatment_total=treatment_total,
        alternative=alternative,
        alpha=alpha,
        null_effect=null_effect,
        test=test,
    )
    everyone = control_total + treatment_total
    return ExpectedCustomers(
        everyone * plan.expected_fraction(plan.drift_of_fixed(fixed)),
        everyone * plan.expected_fraction(0.0),
    )


def inflation(
    *,
    looks: int,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    power: float = 0.8,
    spending: Spending = "obrien-fleming",
) -> float:
    """Return the size at the last look relative to that of the fixed test with the same power.

    >>> round(inflation(looks=3, alternative="greater", alpha=0.025, power=0.9), 4)
    1.0119
    """
    plan = Design(looks, alternative, alpha, spending, power)
    return (plan.drift_of_power(power) / plan.drift_of_fixed(power)) ** 2
