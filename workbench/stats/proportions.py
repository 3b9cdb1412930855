"""Compare two cohorts' rates: test, interval, and ratio from four counts.

>>> result = compare(control=Counts(48, 80), treatment=Counts(56, 70), test="score")
>>> print(f"{result.estimate:.3f} [{result.low:.4f}, {result.high:.4f}], p = {result.pvalue:.4f}")
0.200 [0.0528, 0.3382], p = 0.0083
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

from workbench.stats.arguments import check_between, check_known
from workbench.stats.exact import Edge, boschloo_pvalue, fisher_pvalue, lower_end, pvalue_from_below
from workbench.stats.score import (
    agresti_caffo_interval,
    below,
    finite_factor,
    newcombe_interval,
    ratio_interval,
    score_interval,
    score_statistic,
    unpooled_error,
    wald_interval,
    wilson_interval,
)

Alternative = Literal["two-sided", "greater", "less"]
Test = Literal["auto", "exact", "score", "pooled-z", "unpooled-z", "fisher", "boschloo"]
Interval = Literal["auto", "exact", "score", "newcombe", "agresti-caffo", "wald"]
SMALL = 600  # up to so many customers in both cohorts together, auto is exact
MOST_EXACT = 2_000  # beyond so many the exact methods would take minutes
COHERENT = {("exact", "exact"), ("score", "score"), ("unpooled-z", "wald")}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many customers of a cohort converted, out of all whose window is over.

    Args:
        converted: Customers who converted.
        total: Customers whose window is over; pending customers do not count.

    Raises:
        ValueError: A count is no whole number, is negative, or `converted` exceeds `total`.

    Example:
        >>> Counts(48, 80).rate
        0.6
        >>> Counts(5, 4)
        Traceback (most recent call last):
        ValueError: converted is 5; it must lie between 0 and the total, 4
    """

    converted: int
    total: int

    def __post_init__(self) -> None:
        for name in ("converted", "total"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise ValueError(  # noqa: TRY004 - one kind of error for all bad counts
                    f"{name} is {value!r}; it must be a whole number"
                )
            object.__setattr__(self, name, int(value))
        if self.total < 0:
            raise ValueError(f"total is {self.total}; it must be 0 or more")
        if not 0 <= self.converted <= self.total:
            raise ValueError(
                f"converted is {self.converted}; it must lie between 0 and the total, {self.total}"
            )

    @property
    def rate(self) -> float:
        """The share that converted; NaN for an empty cohort."""
        return self.converted / self.total if self.total else math.nan


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio treatment / control with the ends of its interval, and the interval's name."""

    estimate: float
    low: float
    high: float
    interval: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The effect treatment - control with its interval, p-value, counts and methods.

    Attributes:
        control: Counts of control.
        treatment: Counts of treatment.
        estimate: The difference of rates, treatment - control.
        low: Lower end of its interval.
        high: Upper end of its interval.
        pvalue: p-value against `null_effect`.
        statistic: A z for exact, score, pooled-z and unpooled-z; for fisher the probability of the
            table given both margins; for boschloo Fisher's p-value.
        test: Name of the test.
        interval: Name of the interval.
        alternative: Where the effect lies if the null is wrong.
        null_effect: The effect under the null.
        confidence_level: Level of the interval.
        ratio: The relative rate treatment / control.
        reason: Why something is NaN; empty otherwise.

    Example:
        >>> found = compare(control=Counts(48, 80), treatment=Counts(56, 70))
        >>> print(f"{found.estimate:.2f} [{found.low:.3f}, {found.high:.3f}]")
        0.20 [0.045, 0.340]
    """

    control: Counts
    treatment: Counts
    estimate: float
    low: float
    high: float
    pvalue: float
    statistic: float
    test: str
    interval: str
    alternative: str
    null_effect: float
    confidence_level: float
    ratio: Ratio
    reason: str = ""


def compare(
    *,
    control: Counts,
    treatment: Counts,
    alternative: Alternative = "two-sided",
    null_effect: float = 0.0,
    confidence_level: float = 0.95,
    test: Test = "auto",
    interval: Interval = "auto",
) -> Comparison:
    """Test and estimate the effect treatment - control.

    Test and interval agree for exact with exact, score with score, and unpooled-z with wald: pvalue
    <= alpha exactly when the interval excludes `null_effect`. A two-sided p-value goes with the
    interval at level 1 - alpha, a one-sided p-value with the interval at level 1 - 2 alpha. The exact
    p-value is Barnard's. Only where that would reject a null inside the interval is it the largest
    p-value of all nulls beyond this one (Roehmel 2005).

    Args:
        control: Counts of control.
        treatment: Counts of treatment.
        alternative: Where the effect lies if the null is wrong.
        null_effect: The effect under the null, as a fraction: -0.05 with "greater" tests for
            non-inferiority by five points.
        confidence_level: Level of the interval, which always has two ends.
        test: "exact" (Barnard: unconditional, score statistic), "score" (Miettinen & Nurminen),
            "pooled-z", "unpooled-z", "fisher" or "boschloo". "auto" is the method of `interval`
            if that is exact or score; otherwise exact up to 600 customers in both cohorts together
            and score above.
        interval: "exact" (inverts the exact test: Agresti & Min two-sided, Chan & Zhang one-sided),
            "score", "newcombe", "agresti-caffo" or "wald"; "auto" as for `test`.

    Returns:
        Effect, interval, p-value and ratio. What is undefined is NaN, with a reason.

    Raises:
        ValueError: An argument is out of range, the test has no `null_effect` other than 0, or an
            exact method is asked for more than 2,000 customers.

    Example:
        >>> result = compare(control=Counts(7, 34), treatment=Counts(1, 34), alternative="less")
        >>> result.test, result.interval, round(result.estimate, 4), round(result.pvalue, 4)
        ('exact', 'exact', -0.1765, 0.0141)
    """
    _check(alternative, null_effect, confidence_level, test, interval)
    chosen, ends = _named(test, interval, control, treatment)
    _check_methods(chosen, ends, null_effect, control.total + treatment.total)
    estimate = treatment.rate - control.rate
    reason = empty_cohorts(control, treatment)
    if reason:
        statistic = pvalue = low = high = math.nan
        ratio = Ratio(math.nan, math.nan, math.nan, "score")
    else:
        statistic, pvalue = _test(chosen, control, treatment, alternative, null_effect)
        low, high = _interval(ends, control, treatment, alternative, confidence_level)
        if (chosen, ends) in COHERENT:
            alpha = _alpha(alternative, confidence_level)
            if chosen == "exact" and pvalue <= alpha and low <= null_effect <= high:
                # A null beyond this one fits the data better: the interval holds both of them.
                pvalue = pvalue_from_below(
                    *_exact_edge(control, treatment, alternative, null_effect)
                )
            side = (low, high)
            low, high = _settled(side, estimate, pvalue, alternative, null_effect, alpha)
        ratio, reason = _ratio(control, treatment, confidence_level)
        if math.isnan(pvalue):
            reason = f"the standard error of {chosen} is 0, use test='score'; {reason}"
        if math.isnan(low):
            reason = f"the standard error of wald is 0, use interval='score'; {reason}"
    return Comparison(
        control=control,
        treatment=treatment,
        estimate=estimate,
        low=low,
        high=high,
        pvalue=pvalue,
        statistic=statistic,
        test=chosen,
        interval=ends,
        alternative=alternative,
        null_effect=null_effect,
        confidence_level=confidence_level,
        ratio=ratio,
        reason=reason.removesuffix("; "),
    )


def wilson(counts: Counts, confidence_level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of one rate; two NaN for an empty cohort.

    For arrays of counts see `workbench.stats.score.wilson_interval`. Raises ValueError for a level
    outside 0 to 1.

    >>> [round(end, 4) for end in wilson(Counts(81, 263))]
    [0.2553, 0.3662]
    """
    check_between("confidence_level", confidence_level)
    low, high = wilson_interval(counts.converted, counts.total, confidence_level)
    return float(low), float(high)


def _check(
    alternative: str, null_effect: float, confidence_level: float, test: str, interval: str
) -> None:
    for kind, value, known in (
        ("alternative", alternative, get_args(Alternative)),
        ("test", test, get_args(Test)),
        ("interval", interval, get_args(Interval)),
    ):
        check_known(kind, value, known)
    check_between("null_effect", null_effect, -1)
    check_between("confidence_level", confidence_level)


def _named(test: str, interval: str, control: Counts, treatment: Counts) -> tuple[str, str]:
    """Replace "auto" by the name of a method."""
    by_size = "exact" if control.total + treatment.total <= SMALL else "score"
    both = ("exact", "score")
    if test == "auto":
        test = interval if interval in both else by_size
    if interval == "auto":
        interval = test if test in both else by_size
    return test, interval


def _check_methods(test: str, interval: str, null_effect: float, customers: int) -> None:
    if null_effect and test in ("pooled-z", "fisher", "boschloo"):
        raise ValueError(
            f"null_effect is {null_effect}; test '{test}' is for 0 only,"
            " use 'exact', 'score' or 'unpooled-z'"
        )
    for kind, name in (("test", test), ("interval", interval)):
        if name in ("exact", "boschloo") and customers > MOST_EXACT:
            raise ValueError(
                f"{kind} is '{name}' for {customers:,} customers;"
                f" it serves up to {MOST_EXACT:,}, use 'score'"
            )


def empty_cohorts(control: Counts, treatment: Counts) -> str:
    """Name the cohorts without customers in a sentence; empty if both have some."""
    cohorts = (("control", control), ("treatment", treatment))
    names = [name for name, counts in cohorts if not counts.total]
    return f"no customers in {' and '.join(names)}" if names else ""


def _test(
    test: str, control: Counts, treatment: Counts, alternative: str, null_effect: float
) -> tuple[float, float]:
    """Return the statistic and the p-value."""
    counts = (control.converted, control.total, treatment.converted, treatment.total)
    x0, n0, x1, n1 = counts
    if test == "fisher":
        pvalue, chance = fisher_pvalue(*counts, alternative)
        return chance, pvalue
    if test == "boschloo":
        up = boschloo_pvalue(x0, n0, x1, n1) if alternative != "less" else math.inf
        down = boschloo_pvalue(x1, n1, x0, n0) if alternative != "greater" else math.inf
        fisher, _ = fisher_pvalue(*counts, "greater" if up <= down else "less")
        return fisher, min(up, down) if alternative != "two-sided" else min(1.0, 2 * min(up, down))
    if test == "unpooled-z":
        error = unpooled_error(*counts)
        statistic = (treatment.rate - control.rate - null_effect) / error if error else math.nan
        return statistic, _normal_pvalue(statistic, alternative)
    statistic = float(score_statistic(*counts, null_effect))
    if test == "exact":
        edge, null = _exact_edge(control, treatment, alternative, null_effect)
        return statistic, min(edge.bound(null, null), 1.0)
    if test == "pooled-z" and x0 + x1 in (0, n0 + n1):
        return math.nan, math.nan
    if test == "score":
        statistic /= finite_factor(n0, n1) ** 0.5
    return statistic, _normal_pvalue(statistic, alternative)


def _normal_pvalue(statistic: float, alternative: str) -> float:
    if alternative == "two-sided":
        return 2.0 * below(-abs(statistic))
    return below(-statistic if alternative == "greater" else statistic)


def _exact_edge(
    control: Counts, treatment: Counts, alternative: str, null_effect: float
) -> tuple[Edge, float]:
    """Return the observed table as seen from the null, turned so that larger effects lie up."""
    x0, n0, x1, n1 = control.converted, control.total, treatment.converted, treatment.total
    two_sided = alternative == "two-sided"
    if alternative == "greater" or (two_sided and treatment.rate - control.rate >= null_effect):
        return Edge(x0, n0, x1, n1, two_sided), null_effect
    return Edge(x1, n1, x0, n0, two_sided), -null_effect


def _interval(
    interval: str, control: Counts, treatment: Counts, alternative: str, confidence_level: float
) -> tuple[float, float]:
    counts = (control.converted, control.total, treatment.converted, treatment.total)
    if interval == "wald":
        if not unpooled_error(*counts):
            return math.nan, math.nan
        return wald_interval(*counts, confidence_level)
    if interval == "newcombe":
        return newcombe_interval(*counts, confidence_level)
    if interval == "agresti-caffo":
        return agresti_caffo_interval(*counts, confidence_level)
    low, high = score_interval(*counts, confidence_level)
    if interval == "score":
        return low, high
    x0, n0, x1, n1 = counts
    two_sided = alternative == "two-sided"
    alpha = _alpha(alternative, confidence_level)
    return (
        lower_end(Edge(x0, n0, x1, n1, two_sided), alpha, low),
        -lower_end(Edge(x1, n1, x0, n0, two_sided), alpha, -high),
    )


def _alpha(alternative: str, confidence_level: float) -> float:
    """Return the alpha that agrees with the interval; rounding removes what 1 - 0.95 leaves."""
    outside = 1.0 - confidence_level
    return round(outside if alternative == "two-sided" else outside / 2.0, 15)


def _settled(
    ends: tuple[float, float],
    estimate: float,
    pvalue: float,
    alternative: str,
    null_effect: float,
    alpha: float,
) -> tuple[float, float]:
    """Move an end that lies within rounding of the null to the side that the p-value says."""
    low, high = ends
    if math.isnan(pvalue):
        return low, high
    rejected = pvalue <= alpha
    if alternative == "greater" or (alternative == "two-sided" and estimate > null_effect):
        if rejected and low <= null_effect:
            low = math.nextafter(null_effect, math.inf)
        elif not rejected and low > null_effect:
            low = null_effect
    if alternative == "less" or (alternative == "two-sided" and estimate < null_effect):
        if rejected and high >= null_effect:
            high = math.nextafter(null_effect, -math.inf)
        elif not rejected and high < null_effect:
            high = null_effect
    return low, high


def _ratio(control: Counts, treatment: Counts, confidence_level: float) -> tuple[Ratio, str]:
    if not control.converted:
        low = math.nan
        if treatment.converted:
            low, _ = ratio_interval(
                0, control.total, treatment.converted, treatment.total, confidence_level
            )
        return Ratio(math.nan, low, math.nan, "score"), "no ratio: no control customer converted"
    low, high = ratio_interval(
        control.converted, control.total, treatment.converted, treatment.total, confidence_level
    )
    return Ratio(treatment.rate / control.rate, low, high, "score"), ""
