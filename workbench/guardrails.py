"""Guardrails: other metrics that must not suffer, tested in the way that their claim is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.analyses import Pair, Sample, planned_size
from workbench.hypothesis import Guardrail, Hypothesis
from workbench.proportions import Comparison, Counts, compare

if TYPE_CHECKING:
    from workbench.anytime import Outcomes

FURTHER = 1.001  # a look has at least so many times the customers of the one before


@dataclass(frozen=True)
class GuardrailResult:
    """Whether another metric held: `comparison` tests a loss of `margin` or more.

    `needed` counts the customers per cohort that would rule that loss out if nothing is lost. A
    guardrail is not `known` while nobody of a cohort is through.
    """

    metric: str
    margin: float
    comparison: Comparison
    held: bool
    needed: int | None = None

    @property
    def known(self) -> bool:
        """Whether there are customers to tell."""
        return not math.isnan(self.comparison.estimate)


def guardrails(
    claim: Hypothesis,
    counts: Mapping[str, Pair],
    sample: Sample | None = None,
    orders: Mapping[str, Outcomes] | None = None,
) -> tuple[GuardrailResult, ...]:
    """Test each guardrail of a hypothesis: one-sided, at its alpha, that no more than margin is lost.

    `counts` gives control's and treatment's for each metric, `orders` the same in order of entry. A
    guardrail is looked at whenever its claim is, so it has the claim's analysis: the fixed test,
    read when a claim at planned looks or at any time is first supported, says up to twice as often
    as alpha that a lost guardrail holds.
    """
    found = []
    for each in claim.guardrails:
        control, treatment = counts[each.metric]
        taken = sample or Sample(control, treatment)
        order = (orders or {}).get(each.metric)
        comparison = _guarded(claim, each, (control, treatment), taken, order)
        held = comparison.pvalue <= claim.alpha
        needed = None
        if not held and 0 < control.rate < 1:
            rule = claim.model_copy(update={"alternative": "greater"})
            needed = rule.customers_needed(control.rate, 0.0, null_effect=-each.margin)
        found.append(GuardrailResult(each.metric, each.margin, comparison, held, needed))
    return tuple(found)


def _guarded(
    claim: Hypothesis, guardrail: Guardrail, pair: Pair, sample: Sample, order: Outcomes | None
) -> Comparison:
    """Compare a guardrail's counts in the way that the claim's analysis allows.

    Its counts at earlier looks are not known. Their sizes alone matter to this look's boundary, so
    that earlier looks may stand for ones that did not cross.
    """
    null = -guardrail.margin
    if claim.analysis == "anytime" and order is not None:
        from workbench.anytime import compare_anytime

        return compare_anytime(
            order, alternative="greater", alpha=claim.alpha, null_effect=null
        ).comparison
    planned = planned_size(claim, sample)
    if claim.analysis == "sequential" and planned is not None:
        from workbench.sequential import compare_sequential

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
