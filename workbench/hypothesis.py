"""Hypotheses: a claim about one metric, the cohorts it compares, and the rule that decides on it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from workbench.cohorts import Cohort
from workbench.planning import customers_needed
from workbench.proportions import Alternative, Comparison, Counts, compare
from workbench.specs import Duration, Name, Spec


def _inside(value: float) -> float:
    if not 0 < value < 1:
        msg = f"is {value:g}; it must lie between 0 and 1"
        raise ValueError(msg)
    return value


Probability = Annotated[float, AfterValidator(_inside)]


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
