"""Hypotheses: a claim about one metric, the rule that decides on it, and the verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from workbench import formats
from workbench.cohorts import Cohort
from workbench.planning import customers_needed, detectable_effect
from workbench.proportions import Alternative, Comparison, Counts, compare
from workbench.specs import Duration, Name, Spec


def _inside(value: float) -> float:
    if not 0 < value < 1:
        msg = f"is {value:g}; it must lie between 0 and 1"
        raise ValueError(msg)
    return value


Probability = Annotated[float, AfterValidator(_inside)]
Level = Literal["ok", "warn", "invalid"]


class Verdict(StrEnum):
    """What an iteration says about a hypothesis."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


class DecisionRule(Spec):
    """When a hypothesis counts as supported or refuted; stated before the data are seen.

    `minimum_effect` is the size of the smallest effect worth having, a fraction, in the direction
    of the alternative.

    >>> rule = DecisionRule(alternative="greater", minimum_effect=0.05)
    >>> rule.decide(rule.compare(control=Counts(30, 100), treatment=Counts(48, 100)))
    <Verdict.SUPPORTED: 'supported'>
    >>> rule.decide(rule.compare(control=Counts(48, 100), treatment=Counts(40, 100)))
    <Verdict.REFUTED: 'refuted'>
    """

    alternative: Alternative = "two-sided"
    minimum_effect: float = Field(default=0.0, ge=0, lt=1)
    alpha: Probability = 0.05
    power: Probability = 0.8

    @property
    def confidence_level(self) -> float:
        """The level at which the interval agrees with the test at alpha."""
        return 1 - self.alpha if self.alternative == "two-sided" else 1 - 2 * self.alpha

    def compare(self, *, control: Counts, treatment: Counts) -> Comparison:
        """Compare two cohorts' counts in the way the rule decides on."""
        return compare(
            control=control,
            treatment=treatment,
            alternative=self.alternative,
            confidence_level=self.confidence_level,
        )

    def decide(self, comparison: Comparison) -> Verdict:
        """Give the verdict: refuted if an effect worth having is ruled out, else by the test."""
        worth, low, high = self.minimum_effect, comparison.low, comparison.high
        refuted = {
            "greater": high < worth,
            "less": low > -worth,
            "two-sided": low > -worth and high < worth,
        }[self.alternative]
        if refuted:
            return Verdict.REFUTED
        return Verdict.SUPPORTED if comparison.pvalue <= self.alpha else Verdict.INCONCLUSIVE

    def customers_needed(self, control_rate: float, effect: float) -> int:
        """Give the customers per cohort that show `effect` with the power wanted."""
        return customers_needed(
            control_rate=control_rate,
            effect=effect,
            alternative=self.alternative,
            alpha=self.alpha,
            power=self.power,
        )

    def towards(self, estimate: float = 0.0) -> float:
        """Give the smallest effect worth having with its sign."""
        down = self.alternative == "less" or (self.alternative == "two-sided" and estimate < 0)
        return -self.minimum_effect if down else self.minimum_effect


class Hypothesis(DecisionRule):
    """A claim about one metric of one iteration, for a control and a treatment cohort.

    Any change of it is a new `version`. `window` replaces the flow's for this hypothesis alone.
    """

    name: Name
    version: int = Field(default=1, ge=1)
    statement: Name
    metric: Name
    iteration: Name = ""
    control: Cohort
    treatment: Cohort
    window: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _iteration_of_treatment(cls, value: Any) -> Any:
        """Let a before-after comparison name its iteration in the treatment only."""
        treatment = value.get("treatment") if isinstance(value, dict) else None
        if isinstance(treatment, dict) and "iteration" not in value and "iteration" in treatment:
            return {**value, "iteration": treatment["iteration"]}
        return value

    @model_validator(mode="after")
    def _two_cohorts(self) -> Self:
        if not self.iteration:
            msg = f"hypothesis {self.name!r} names no iteration; say which one tests it"
            raise ValueError(msg)
        if (self.control.values, self.iteration_of(self.control)) == (
            self.treatment.values,
            self.iteration_of(self.treatment),
        ):
            msg = f"control and treatment are the same cohort ({self.control}); name two"
            raise ValueError(msg)
        return self

    def iteration_of(self, cohort: Cohort) -> str:
        """Give the iteration that a cohort's customers entered in."""
        return cohort.iteration or self.iteration

    @property
    def columns(self) -> tuple[str, ...]:
        """The grouping columns that tell the two cohorts apart."""
        return tuple(dict.fromkeys((*self.control.columns, *self.treatment.columns)))

    @property
    def before_after(self) -> bool:
        """Whether the two cohorts entered in different iterations."""
        return self.iteration_of(self.control) != self.iteration_of(self.treatment)


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
