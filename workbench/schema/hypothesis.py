"""Hypotheses: a claim about one metric, the cohorts it compares, and the rule that decides."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from workbench.schema.base import Duration, Name, Names, Spec
from workbench.schema.cohort import Cohort
from workbench.stats.power import customers_needed
from workbench.stats.proportions import Alternative, Comparison, Counts, compare

LOWEST, HIGHEST = 1.0, 10.0
RULE = "a score is 1 to 10, or a range such as [4, 8]"
Status = Literal["idea", "planned", "running", "tested"]
Analysis = Literal["fixed", "sequential", "anytime"]
Spending = Literal["obrien-fleming", "pocock"]
FROZEN = (
    "metric",
    "iteration",
    "alternative",
    "minimum_effect",
    "alpha",
    "power",
    "window",
    "analysis",
    "looks",
    "spending",
    "planned_customers",
    "baseline",
    "guardrails",
)


class Range(Spec):
    """A score from 1 to 10; a range where nobody is sure.

    >>> Range.model_validate([4, 8]).middle
    6.0
    """

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        ends = value if isinstance(value, list | tuple) else [value, value]
        if isinstance(value, dict):
            return value
        numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in ends)
        if len(ends) != 2 or not numbers:
            msg = f"is {value!r}; {RULE}"
            raise ValueError(msg)
        return {"low": ends[0], "high": ends[1]}

    @model_validator(mode="after")
    def _within(self) -> Self:
        for end in (self.low, self.high):
            if not LOWEST <= end <= HIGHEST:
                msg = f"is {end:g}; {RULE}"
                raise ValueError(msg)
        if self.low > self.high:
            msg = f"is [{self.low:g}, {self.high:g}]; write the lower end first"
            raise ValueError(msg)
        return self

    @property
    def middle(self) -> float:
        """The middle of the range."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        """Write the score as a study file does."""
        if self.low == self.high:
            return f"{self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def _range(value: Any) -> Any:
    return value if value is None or isinstance(value, Range) else Range.model_validate(value)


Score = Annotated[Range, BeforeValidator(_range)]


class Guesses(Spec):
    """What a hypothesis or an idea says of itself, and what it rests on.

    `impact` on the business, `ease` of trying and `confidence` are scores from 1 to 10, or ranges
    of them; `evidence` names remarks of the feedback. None of them changes what is tested.
    """

    impact: Score | None = None
    ease: Score | None = None
    confidence: Score | None = None
    status: Status | None = None
    evidence: Names = ()


class Idea(Guesses):
    """An idea that is not yet a hypothesis: no iteration and no cohorts, but a place in the backlog.

    With a `metric` and a `minimum_effect` the backlog says what a test of it would cost.
    """

    name: Name
    statement: Name
    metric: Name | None = None
    alternative: Literal["two-sided", "greater", "less"] = "greater"
    minimum_effect: float = Field(default=0.0, ge=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    power: float = Field(default=0.8, gt=0, lt=1)
    status: Literal["idea"] = "idea"


def _inside(value: float) -> float:
    if not 0 < value < 1:
        msg = f"is {value:g}; it must lie between 0 and 1"
        raise ValueError(msg)
    return value


def _below_half(value: float) -> float:
    if not 0 < value < 0.5:
        msg = f"is {value:g}; it must lie between 0 and 0.5"
        raise ValueError(msg)
    return value


Probability = Annotated[float, AfterValidator(_inside)]
Alpha = Annotated[float, AfterValidator(_below_half)]


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
    alpha: Alpha = 0.05
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

    def decide(self, comparison: Comparison, pvalue: float | None = None) -> Verdict:
        """Give the verdict: refuted if an effect worth having is ruled out, else by the test.

        `pvalue` takes the place of the comparison's own, where several are tested together.
        """
        worth, low, high = self.minimum_effect, comparison.low, comparison.high
        refuted = {
            "greater": high < worth,
            "less": low > -worth,
            "two-sided": low > -worth and high < worth,
        }[self.alternative]
        if refuted:
            return Verdict.REFUTED
        tested = comparison.pvalue if pvalue is None else pvalue
        return Verdict.SUPPORTED if tested <= self.alpha else Verdict.INCONCLUSIVE

    def customers_needed(
        self, control_rate: float, effect: float, *, null_effect: float = 0.0
    ) -> int | None:
        """Give the customers per cohort that show `effect` with the power wanted.

        None for no effect, one that the rate leaves no room for, and one that is so small that no
        study would find it.
        """
        if effect == null_effect or not 0 <= control_rate + effect <= 1:
            return None
        try:
            return customers_needed(
                control_rate=control_rate,
                effect=effect,
                null_effect=null_effect,
                alternative=self.alternative,
                alpha=self.alpha,
                power=self.power,
            )
        except ValueError:  # more customers than there are
            return None

    def towards(self, estimate: float = 0.0) -> float:
        """Give the smallest effect worth having with its sign."""
        down = self.alternative == "less" or (self.alternative == "two-sided" and estimate < 0)
        return -self.minimum_effect if down else self.minimum_effect


class Guardrail(Spec):
    """Another metric that must not suffer: the treatment may lose at most `margin`, a fraction."""

    metric: Name
    margin: Probability


class Hypothesis(DecisionRule, Guesses):
    """A claim about one metric of one iteration, for a control and one or more treatment cohorts.

    `analysis` says when it may be looked at: "fixed" once, when `planned_customers` of each cohort
    are through (worked out from `baseline`, the control's rate, if not given); "sequential" at up
    to `looks` times, which share alpha by `spending`; "anytime" whenever somebody likes to.
    `window` replaces the flow's for this hypothesis alone. Any change but of the statement, and of
    what the team guesses of it, is a new `version`.
    """

    name: Name
    version: int = Field(default=1, ge=1)
    statement: Name
    metric: Name
    iteration: Name = ""
    control: Cohort
    treatment: Cohort
    other_treatments: tuple[Cohort, ...] = ()
    window: Duration | None = None
    analysis: Analysis = "fixed"
    looks: int | None = Field(default=None, ge=2, le=50)
    spending: Spending | None = None
    planned_customers: int | None = Field(default=None, ge=1)
    baseline: Probability | None = None
    guardrails: tuple[Guardrail, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _several_treatments(cls, value: Any) -> Any:
        """Let `treatment` be a list: every one of them is held against the control."""
        treatment = value.get("treatment") if isinstance(value, dict) else None
        if not isinstance(treatment, list | tuple):
            return value
        if not treatment:
            msg = "treatment is an empty list; name the cohorts to hold against the control"
            raise ValueError(msg)
        return {**value, "treatment": treatment[0], "other_treatments": treatment[1:]}

    @model_validator(mode="before")
    @classmethod
    def _iteration_of_treatment(cls, value: Any) -> Any:
        """Let a before-after comparison name its iteration in the treatment only."""
        treatment = value.get("treatment") if isinstance(value, dict) else None
        if isinstance(treatment, dict) and "iteration" not in value and "iteration" in treatment:
            return {**value, "iteration": treatment["iteration"]}
        return value

    @model_validator(mode="after")
    def _different_cohorts(self) -> Self:
        if not self.iteration:
            msg = f"hypothesis {self.name!r} names no iteration; say which one tests it"
            raise ValueError(msg)
        cohorts = [self.control, self.treatment, *self.other_treatments]
        meant = [(each.values, self.iteration_of(each)) for each in cohorts]
        for place, cohort in enumerate(cohorts):
            if meant[place] in meant[:place]:
                two = "control and treatment" if meant[place] == meant[0] else "two treatments"
                msg = f"{two} are the same cohort ({cohort}); name two"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _fitting_analysis(self) -> Self:
        if self.analysis == "sequential" and self.looks is None:
            msg = (
                f"hypothesis {self.name!r} is sequential; say how many looks it may take: looks: 4"
            )
            raise ValueError(msg)
        for given in ("looks", "spending"):
            if self.analysis != "sequential" and getattr(self, given) is not None:
                msg = f"{given} is for analysis: sequential; this one is {self.analysis}, so leave it out"
                raise ValueError(msg)
        kept = [each.metric for each in self.guardrails]
        if twice := [each for each in kept if kept.count(each) > 1]:
            msg = f"guardrail {twice[0]!r} is there twice; keep one"
            raise ValueError(msg)
        if any(each.metric == self.metric for each in self.guardrails):
            msg = f"guardrail {self.metric!r} is the metric of the hypothesis; name another step"
            raise ValueError(msg)
        return self

    @property
    def arms(self) -> tuple[Hypothesis, ...]:
        """The hypothesis once for each of its treatments."""
        cohorts = (self.treatment, *self.other_treatments)
        return tuple(
            self.model_copy(
                update={
                    "treatment": each,
                    "other_treatments": tuple(other for other in cohorts if other != each),
                }
            )
            for each in cohorts
        )

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

    def frozen(self) -> dict[str, Any]:
        """Give the fields that may not change without a new version, as plain values."""
        written = self.model_dump(mode="json", include=set(FROZEN))
        treatments = sorted(map(str, (self.treatment, *self.other_treatments)))
        cohorts = {"control": str(self.control), "treatment": str(self.treatment)}
        return {**written, **cohorts, "treatments": treatments}
