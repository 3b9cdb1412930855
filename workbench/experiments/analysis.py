"""How a hypothesis and its guardrails are analysed: once, at planned looks, or at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from workbench.errors import StudyError
from workbench.schema.hypothesis import Analysis, Hypothesis
from workbench.stats.multiplicity import holm
from workbench.stats.proportions import Comparison, Counts, compare

if TYPE_CHECKING:
    from workbench.stats.anytime import Outcomes

Pair = tuple[Counts, Counts]
FURTHER = 1.001  # a look has at least so many times the customers of the one before


@dataclass(frozen=True)
class Sample:
    """The data of one look: counts of control and treatment, and what is known about the iteration.

    Args:
        control: Customers of control whose window is over.
        treatment: Customers of treatment whose window is over.
        complete: Whether no customer is pending and none will enter any more.
        earlier: The cumulative counts of earlier looks.
        in_order: The customers' outcomes in order of entry, for an analysis at any time.
        usual_rate: The metric's rate in the iteration before; NaN if it is not known.
        entered: Customers who entered the smaller cohort, of those still growing.
        per_day: Customers who enter that cohort a day; NaN if it is not known.
        most: The size of a cohort that no longer grows, as the earlier one of a before-after
            comparison.
        seen: The time as of which the data were read.
        ends: The end of the iteration.
        window: The time that a customer has to reach the metric.
        cut: When the last customer entered who will be tested; None while it is not known.
        strata: The counts of each stratum, where they are compared within strata.
    """

    control: Counts
    treatment: Counts
    complete: bool = True
    earlier: tuple[Pair, ...] = ()
    in_order: Outcomes | None = None
    usual_rate: float = math.nan
    entered: int = 0
    per_day: float = math.nan
    most: int | None = None
    seen: datetime | None = None
    ends: datetime | None = None
    window: timedelta | None = None
    cut: datetime | None = None
    strata: tuple[Pair, ...] = ()

    @property
    def smaller(self) -> int:
        """The size of the smaller cohort."""
        return min(self.control.total, self.treatment.total)


@dataclass(frozen=True)
class Expected:
    """When an analysis will decide, on how many customers per cohort, and whether that is certain."""

    at: datetime
    customers: int
    certain: bool = False


@dataclass(frozen=True)
class Progress:
    """How far an analysis is, and whether it may decide.

    `planned` counts customers per cohort, `through` those of the smaller cohort whose window is
    over. `early` means that it may not decide yet, `final` that this look is the last. `expected`
    says when it will decide at the present rate of entry. Planned looks have `look`, `looks`, the
    `fraction` of the planned customers, the `boundary` (a z value), whether it is `crossed`, and
    the alpha `spent`; an analysis at any time has its largest `evalue`, the one at its end, and its `blocks` of
    customers.
    `full_pvalue` is that of the one test at the full size of planned looks, once it is reached.
    """

    analysis: Analysis
    planned: int | None
    through: int
    early: bool = False
    final: bool = True
    look: int = 1
    looks: int | None = None
    expected: Expected | None = None
    fraction: float = math.nan
    boundary: float = math.nan
    spent: float = math.nan
    crossed: bool = False
    evalue: float = math.nan
    last_evalue: float = math.nan
    blocks: int = 0
    full_pvalue: float = math.nan


@dataclass(frozen=True)
class Family:
    """The adjustment of a hypothesis for the `size` tests of its family: its p-value."""

    size: int
    pvalue: float


def analyse(claim: Hypothesis, sample: Sample, *, together: int = 1) -> tuple[Comparison, Progress]:
    """Compare the cohorts by the hypothesis's analysis, and return how far it is.

    Args:
        claim: The hypothesis.
        sample: The data of this look.
        together: The number of hypotheses tested together. Planned looks spend alpha / `together`
            (Bonferroni): a look that crosses the boundary for alpha itself would end the test before
            it could reach what Holm's method asks for.

    Raises:
        StudyError: For planned looks without a planned size, and for an analysis at any time
            without the customers' order of entry.
    """
    if claim.analysis == "sequential":
        return _sequential(claim, sample, together)
    if claim.analysis == "anytime":
        return _anytime(claim, sample)
    planned, reached = frozen_size(claim), sample.complete
    progress = Progress(
        "fixed",
        planned,
        sample.smaller,
        early=not reached,
        final=reached,
        expected=None if reached else _expected(planned, sample),
    )
    return _compare(claim, sample), progress


def _compare(claim: Hypothesis, sample: Sample) -> Comparison:
    """Compare the cohorts once, within strata where there are any."""
    if not sample.strata:
        return claim.compare(control=sample.control, treatment=sample.treatment)
    from workbench.stats.strata import compare_strata

    return compare_strata(
        sample.strata, alternative=claim.alternative, confidence_level=claim.confidence_level
    )


def frozen_size(claim: Hypothesis) -> int | None:
    """Return the customers per cohort that a fixed test waits for: those that no data can move."""
    if claim.planned_customers is None and claim.baseline is None:
        return None
    return planned_size(claim, Sample(Counts(0, 0), Counts(0, 0)))


def planned_size(claim: Hypothesis, sample: Sample) -> int | None:
    """Return the customers per cohort that the hypothesis plans for.

    They are those it names, or those that show its minimum effect with its power. That takes
    control's rate: the hypothesis's baseline, or else the rate before the iteration, or else
    control's own. None without a minimum effect, and where the rate leaves no room for it.
    """
    if claim.planned_customers is not None:
        return claim.planned_customers
    rates = (claim.baseline, sample.usual_rate, sample.control.rate)
    rate = next((each for each in rates if each is not None and not math.isnan(each)), None)
    if rate is None or not claim.minimum_effect:
        return None
    effects = {claim.towards(way) for way in (1.0, -1.0)}
    needed = (claim.customers_needed(rate, effect) for effect in effects)
    return max((each for each in needed if each is not None), default=None)


def families(looked: Sequence[tuple[Comparison, Progress]]) -> list[Family | None]:
    """Adjust hypotheses that are tested together, so that alpha holds for all of them (Holm 1979).

    A hypothesis without a p-value yet, and an early look at one, counts as not rejected. Planned
    looks spend their share of alpha already, so their p-value takes Bonferroni's factor. Intervals
    stay those of each comparison alone: those that go with Holm's method (Guilbaud 2008) say of a
    rejected hypothesis no more than that, where another one is not rejected.

    Args:
        looked: Comparison and progress of each hypothesis tested together, as `analyse` returns them.

    Returns:
        The adjustment of each; None for a single hypothesis, and for one without a p-value.
    """
    waiting = [progress.early or math.isnan(found.pvalue) for found, progress in looked]
    tested = len(looked)
    if tested < 2:
        return [None] * tested
    adjusted = holm(
        [1.0 if waits else found.pvalue for waits, (found, _) in zip(waiting, looked, strict=True)]
    )
    return [
        None
        if waits
        else Family(
            tested,
            min(1.0, tested * found.pvalue) if progress.analysis == "sequential" else pvalue,
        )
        for waits, pvalue, (found, progress) in zip(waiting, adjusted, looked, strict=True)
    ]


def _is_settled(claim: Hypothesis, sample: Sample) -> bool:
    """Whether the planned size depends on nothing in the data that it is for."""
    elsewhere = claim.planned_customers or claim.baseline
    return elsewhere is not None or not math.isnan(sample.usual_rate)


def _sequential(claim: Hypothesis, sample: Sample, together: int) -> tuple[Comparison, Progress]:
    from workbench.stats.sequential import compare_sequential

    planned = planned_size(claim, sample) if _is_settled(claim, sample) else None
    if planned is None:
        msg = (
            f"hypothesis {claim.name!r} is sequential but has no planned size that its own data leave "
            "alone; give planned_customers, or a minimum_effect and a baseline"
        )
        raise StudyError(msg)
    found = compare_sequential(
        control=sample.control,
        treatment=sample.treatment,
        earlier=sample.earlier,
        planned=planned,
        alternative=claim.alternative,
        alpha=claim.alpha / together,
        spending=claim.spending or "obrien-fleming",
        looks=claim.looks,
        final=sample.complete,
    )
    progress = Progress(
        "sequential",
        planned,
        sample.smaller,
        final=found.final,
        look=found.look,
        looks=claim.looks,
        expected=None if found.final else _expected(planned, sample),
        fraction=found.fraction,
        boundary=found.boundary,
        spent=found.spent,
        crossed=found.crossed,
        full_pvalue=_compare(claim, sample).pvalue if sample.complete else math.nan,
    )
    return found.comparison, progress


def _anytime(claim: Hypothesis, sample: Sample) -> tuple[Comparison, Progress]:
    from workbench.stats.anytime import compare_anytime

    if sample.in_order is None:
        msg = (
            f"hypothesis {claim.name!r} is analysed at any time, which needs customers in their "
            "order of entry, and only events tell it; use analysis: fixed or sequential"
        )
        raise StudyError(msg)
    found = compare_anytime(
        sample.in_order,
        alternative=claim.alternative,
        alpha=claim.alpha,
        planned_effect=claim.towards() or None,
    )
    progress = Progress(
        "anytime",
        claim.planned_customers,
        sample.smaller,
        final=sample.complete,
        evalue=found.comparison.statistic,
        last_evalue=found.evalue,
        blocks=found.blocks,
    )
    return found.comparison, progress


def _expected(planned: int | None, sample: Sample) -> Expected | None:
    """Return when the planned customers are through, at the present rate of entry."""
    seen, ends, window = sample.seen, sample.ends, sample.window or timedelta(0)
    if sample.cut is not None:
        return Expected(sample.cut + window, planned or sample.entered, certain=True)
    if seen is None or ends is None or not sample.per_day > 0:
        return None
    left = max(0.0, (ends - seen) / timedelta(days=1))
    by_end = sample.entered + round(left * sample.per_day)
    by_end = by_end if sample.most is None else min(by_end, sample.most)
    if planned is None or planned > by_end:
        return Expected(ends + window, by_end, certain=True)
    missing = max(0, planned - sample.entered) / sample.per_day
    return Expected(seen + timedelta(days=missing) + window, planned)


@dataclass(frozen=True)
class GuardrailResult:
    """Whether a guardrail holds: `comparison` tests a loss of `margin` or more.

    `needed` counts the customers per cohort that would rule this loss out if nothing is lost;
    `compliance` is the share of a loss that is seen at the least, where customers changed sides.
    """

    metric: str
    margin: float
    comparison: Comparison
    held: bool
    needed: int | None = None
    compliance: float = 1.0

    @property
    def known(self) -> bool:
        """Whether both cohorts have customers whose window is over."""
        return not math.isnan(self.comparison.estimate)


def guardrails(
    claim: Hypothesis,
    counts: Mapping[str, Pair],
    sample: Sample | None = None,
    orders: Mapping[str, Outcomes] | None = None,
    compliance: Mapping[str, float] | None = None,
) -> tuple[GuardrailResult, ...]:
    """Test for each guardrail of a hypothesis that less than its margin is lost (one-sided).

    A guardrail has the analysis of its hypothesis, because it is looked at whenever the hypothesis
    is. A fixed test, read when a hypothesis at planned looks or at any time is first supported,
    would say up to twice as often as alpha that a lost guardrail holds.

    Args:
        claim: The hypothesis, whose alpha the tests have.
        counts: Control's and treatment's counts for each metric.
        sample: The data of the look; the guardrail's own counts are all of it unless given.
        orders: Outcomes in order of entry for each metric, for an analysis at any time.
        compliance: For each metric the share of a loss that is seen at the least.
    """
    found = []
    for each in claim.guardrails:
        seen = (compliance or {}).get(each.metric, 1.0)
        control, treatment = counts[each.metric]
        taken = sample or Sample(control, treatment)
        order = (orders or {}).get(each.metric)
        lost = each.margin * seen
        comparison = _guarded(claim, lost, (control, treatment), taken, order)
        held = comparison.pvalue <= claim.alpha
        needed = None
        if not held and 0 < control.rate < 1:
            rule = claim.model_copy(update={"alternative": "greater"})
            needed = rule.customers_needed(control.rate, 0.0, null_effect=-lost)
        found.append(GuardrailResult(each.metric, each.margin, comparison, held, needed, seen))
    return tuple(found)


def _guarded(
    claim: Hypothesis, lost: float, pair: Pair, sample: Sample, order: Outcomes | None
) -> Comparison:
    """Compare a guardrail's counts by the hypothesis's analysis, against a loss.

    Its counts at earlier looks are not known. Only their sizes matter for this look's boundary, so
    made-up counts that did not cross take their place.
    """
    null = -lost
    if claim.analysis == "anytime" and order is not None:
        from workbench.stats.anytime import compare_anytime

        return compare_anytime(
            order, alternative="greater", alpha=claim.alpha, null_effect=null, planned_effect=0.0
        ).comparison
    planned = planned_size(claim, sample)
    if claim.analysis == "sequential" and planned is not None:
        from workbench.stats.sequential import compare_sequential

        earlier = [
            (Counts(one.total, one.total), Counts(0, other.total))
            for one, other in sample.earlier
            if one.total * FURTHER < pair[0].total and other.total * FURTHER < pair[1].total
        ]
        return compare_sequential(
            control=pair[0],
            treatment=pair[1],
            earlier=earlier,
            planned=planned,
            alternative="greater",
            alpha=claim.alpha,
            spending=claim.spending or "obrien-fleming",
            null_effect=null,
            looks=claim.looks,
            final=sample.complete,
        ).comparison
    return compare(
        control=pair[0],
        treatment=pair[1],
        alternative="greater",
        null_effect=null,
        confidence_level=1 - 2 * claim.alpha,
    )
