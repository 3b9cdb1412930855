"""Verdicts: what one look says about a hypothesis, and the one place that puts it into words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from workbench import formats
from workbench.hypothesis import DecisionRule, Hypothesis, Verdict
from workbench.planning import detectable_effect
from workbench.proportions import Comparison, Counts

Level = Literal["ok", "warn", "invalid"]


@dataclass(frozen=True)
class Check:
    """One thing that could break a comparison: how it stands, in a sentence.

    `value` is what was found: a number of customers, or the p-value of a sample ratio.
    """

    name: str
    level: Level
    sentence: str
    value: float = float("nan")


@dataclass(frozen=True)
class Evaluation:
    """One look at a hypothesis: its verdict, the sentence that says it, and what it rests on.

    `needed` counts the customers per cohort still missing for the planned power, `detectable` is
    the smallest effect (a fraction, signed) that this sample could have found with that power.
    """

    hypothesis: Hypothesis
    as_of: datetime | None
    verdict: Verdict
    sentence: str
    comparison: Comparison
    checks: tuple[Check, ...]
    needed: int | None
    detectable: float

    @property
    def iteration(self) -> str:
        """The iteration that tests the hypothesis."""
        return self.hypothesis.iteration

    def row(self) -> dict[str, Any]:
        """Give the evaluation as one row of plain values."""
        found, claim = self.comparison, self.hypothesis
        return {
            "hypothesis": claim.name,
            "version": claim.version,
            "statement": claim.statement,
            "metric": claim.metric,
            "iteration": claim.iteration,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "verdict": str(self.verdict),
            "sentence": self.sentence,
            "control": str(claim.control),
            "control_converted": found.control.converted,
            "control_closed": found.control.total,
            "treatment": str(claim.treatment),
            "treatment_converted": found.treatment.converted,
            "treatment_closed": found.treatment.total,
            "alternative": claim.alternative,
            "minimum_effect": claim.minimum_effect,
            "alpha": claim.alpha,
            "power": claim.power,
            "estimate": found.estimate,
            "low": found.low,
            "high": found.high,
            "confidence_level": found.confidence_level,
            "pvalue": found.pvalue,
            "test": found.test,
            "interval": found.interval,
            "detectable": self.detectable,
            "needed": self.needed,
            "checks": [
                {"check": each.name, "level": each.level, "sentence": each.sentence}
                for each in self.checks
            ],
        }


def judge(
    hypothesis: Hypothesis,
    *,
    control: Counts,
    treatment: Counts,
    checks: Sequence[Check] = (),
    as_of: datetime | None = None,
) -> Evaluation:
    """Evaluate a hypothesis on counts: the one place that makes the verdict and its sentence."""
    comparison = hypothesis.compare(control=control, treatment=treatment)
    broken = any(check.level == "invalid" for check in checks)
    verdict = Verdict.INVALID if broken else hypothesis.decide(comparison)
    needed, detectable = _plan(hypothesis, comparison)
    evaluation = Evaluation(
        hypothesis, as_of, verdict, "", comparison, tuple(checks), needed, detectable
    )
    return Evaluation(**{**evaluation.__dict__, "sentence": _sentence(evaluation)})


def _plan(rule: DecisionRule, found: Comparison) -> tuple[int | None, float]:
    """Work out how many customers per cohort are still missing, and what could be found now."""
    if not (found.control.total and found.treatment.total):
        return None, math.nan
    rate = found.control.rate
    effect = rule.towards(found.estimate)
    detectable = detectable_effect(
        control_rate=rate,
        control_total=found.control.total,
        treatment_total=found.treatment.total,
        alternative=rule.alternative,
        alpha=rule.alpha,
        power=rule.power,
    )
    if not effect or not 0 <= rate + effect <= 1:
        return None, detectable
    wanted = rule.customers_needed(rate, effect)
    return max(0, wanted - min(found.control.total, found.treatment.total)), detectable


def _sentence(evaluation: Evaluation) -> str:
    claim, found = evaluation.hypothesis, evaluation.comparison
    if evaluation.verdict is Verdict.INVALID:
        reasons = " ".join(each.sentence for each in evaluation.checks if each.level == "invalid")
        return f"No verdict on {claim.metric}. {reasons}"
    rates = (
        f"{_share(found.treatment)} of the {claim.treatment.label} cohort reached {claim.metric}, "
        f"{_share(found.control)} of the {claim.control.label} cohort"
    )
    effect = (
        f"an effect of {formats.effect(found.estimate, found.low, found.high)} percentage points "
        f"({100 * found.confidence_level:.0f}% interval)"
    )
    middle = {
        Verdict.SUPPORTED: f"{effect}, too large for chance alone (p {_pvalue(found.pvalue)}).",
        Verdict.REFUTED: f"{effect}, which rules out {_worth(claim, found)}.",
        Verdict.INCONCLUSIVE: f"{effect}, which leaves open {_open(claim, found)}.",
    }[evaluation.verdict]
    parts = [f"{rates}: {middle}", _outlook(evaluation)]
    parts += [each.sentence for each in evaluation.checks if each.level == "warn"]
    return " ".join(part for part in parts if part)


def _worth(claim: Hypothesis, found: Comparison) -> str:
    least = f"{100 * claim.minimum_effect:g}"
    if not claim.minimum_effect:
        return "any effect in the hoped-for direction"
    if claim.alternative == "two-sided":
        return f"a change of {least} points either way, the least worth having"
    way = "gain" if claim.alternative == "greater" else "drop"
    small = found.low > 0 if claim.alternative == "greater" else found.high < 0
    but = "; there is one, but a smaller one" if small else ""
    return f"a {way} of {least} points, the least worth having{but}"


def _open(claim: Hypothesis, found: Comparison) -> str:
    if math.isnan(found.estimate):
        return f"everything ({found.reason})"
    if not claim.minimum_effect:
        return "whether there is an effect"
    return (
        f"both no effect and one of {formats.worth(claim.towards(found.estimate))} points, the least "
        "worth having"
    )


def _outlook(evaluation: Evaluation) -> str:
    """Say, for an inconclusive verdict, what could have been found and who is still needed."""
    claim = evaluation.hypothesis
    if evaluation.verdict is not Verdict.INCONCLUSIVE or math.isnan(evaluation.comparison.estimate):
        return ""
    power = f"a power of {100 * claim.power:g}%"
    parts = []
    if not math.isnan(evaluation.detectable):
        parts.append(
            f"With {power} these customers could have shown {formats.points(evaluation.detectable)} points"
        )
    if evaluation.needed:
        worth = formats.worth(claim.towards(evaluation.comparison.estimate))
        parts.append(
            f"{evaluation.needed:,} more customers per cohort are needed to show {worth} points"
        )
    elif evaluation.needed == 0:
        parts.append(
            "that is enough for the effect worth having, and chance or a smaller effect hid it"
        )
    return "; ".join(parts) + "." if parts else ""


def _share(counts: Counts) -> str:
    if not counts.total:
        return "nobody (0/0)"
    return formats.rate(counts.rate, counts.converted, counts.total)


def _pvalue(pvalue: float) -> str:
    written = formats.pvalue(pvalue)
    return written if written.startswith("<") else f"= {written}"
