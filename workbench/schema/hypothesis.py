"""Hypotheses: a claim about one metric, the cohorts that it compares, and the decision rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from workbench.schema.base import Duration, Name, Names, Spec
from workbench.schema.cohort import Cohort
from workbench.stats.power import customers_needed
from workbench.stats.proportions import Alternative, Comparison, Counts, compare

LOWEST, HIGHEST = 1.0, 10.0
RULE = "a rating is 1 to 10, or a range such as [4, 8]"
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
FROZEN_IF_GIVEN = (
    "stratify",
    "run_on",
    "versions",
    "pool_versions",
)  # absent otherwise, as in ledgers of before


class Rating(Spec):
    """A rating from 1 to 10, or a range of ratings where the team is unsure.

    >>> Rating.model_validate([4, 8]).middle
    6.0
    """

    low: float
    """The lower end."""
    high: float
    """The higher end; the same for a single rating."""

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

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        one = {"type": "number", "minimum": LOWEST, "maximum": HIGHEST}
        ends = {"type": "array", "items": one, "minItems": 2, "maxItems": 2}
        return {key: schema[key] for key in ("title", "description")} | {"anyOf": [one, ends]}

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
        """Return the rating in words, such as 6 or 4 to 8."""
        if self.low == self.high:
            return f"{self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def _rating(value: Any) -> Any:
    return value if value is None or isinstance(value, Rating) else Rating.model_validate(value)


Rated = Annotated[Rating, BeforeValidator(_rating)]


class IdeaFields(Spec):
    """What the team thinks of a hypothesis or an idea; none of it changes what is tested."""

    impact: Rated | None = None
    """What it would bring to the business, rated before the test from 1 to 10, or as a range such as
    [4, 8]."""
    ease: Rated | None = None
    """How easily it can be tried, from 1 (hard) to 10 (easy), or as a range."""
    confidence: Rated | None = None
    """How sure the team is of it, from 1 to 10, or as a range."""
    status: Status | None = None
    """How far it is: `idea`, `planned`, `running` or `tested`. If not given, the data tell."""
    evidence: Names = ()
    """The ids of the remarks in the feedback that speak for it."""
    problem: Name | None = None
    """The customer problem, one of `problems`, that it tries to solve."""


class Problem(Spec):
    """A problem that customers have, which several hypotheses and ideas may try to solve."""

    name: Name
    """The problem's name."""
    statement: str = ""
    """The problem in one sentence, as customers have it."""


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


def _between(high: float) -> WithJsonSchema:
    return WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": high})


Probability = Annotated[float, AfterValidator(_inside), _between(1)]
Alpha = Annotated[float, AfterValidator(_below_half), _between(0.5)]


class Verdict(StrEnum):
    """What an iteration says about a hypothesis.

    Attributes:
        SUPPORTED: The data show the claimed effect.
        REFUTED: The data rule out an effect worth having.
        HARMFUL: The data show an effect in the wrong direction.
        INCONCLUSIVE: The data show neither.
        INVALID: Something broke the comparison; the evaluation's checks say what.

    >>> Verdict("supported") is Verdict.SUPPORTED, str(Verdict.REFUTED)
    (True, 'refuted')
    """

    SUPPORTED = "supported"
    REFUTED = "refuted"
    HARMFUL = "harmful"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


@dataclass(frozen=True)
class Qualifier:
    """What restricts a verdict: guardrails at risk or pending, or a look before the planned end.

    Args:
        at_risk: The metrics of guardrails that may have lost more than their margin.
        pending: The metrics of guardrails for which no customer's window is over yet.
        early: Whether a fixed analysis was looked at before its planned end.

    >>> Qualifier(at_risk=("renewals",)).label("supported")
    'supported, but renewals is at risk'
    >>> Qualifier().label("refuted")
    'refuted'
    """

    at_risk: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    early: bool = False

    def label(self, verdict: str) -> str:
        """Return the verdict together with what restricts it."""
        if self.early:
            return f"{verdict}: too early to say"
        metrics, state = (self.at_risk, "at risk") if self.at_risk else (self.pending, "pending")
        if not metrics:
            return str(verdict)
        verb = "is" if len(metrics) == 1 else "are"
        return f"{verdict}, but {' and '.join(metrics)} {verb} {state}"


UNQUALIFIED = Qualifier()


class DecisionRule(Spec):
    """When a hypothesis is supported or refuted; stated before the data are seen.

    >>> rule = DecisionRule(alternative="greater", minimum_effect=0.05)
    >>> rule.decide(rule.compare(control=Counts(30, 100), treatment=Counts(48, 100)))
    <Verdict.SUPPORTED: 'supported'>
    >>> rule.decide(rule.compare(control=Counts(48, 100), treatment=Counts(40, 100)))
    <Verdict.REFUTED: 'refuted'>
    """

    alternative: Alternative = "two-sided"
    """The claimed effect: `greater` or `less` than zero, or `two-sided` for any."""
    minimum_effect: float = Field(default=0.0, ge=0, lt=1)
    """The smallest effect worth having, a fraction: 0.05 is 5 percentage points. If not given, any
    effect is."""
    alpha: Alpha = 0.05
    """How often a test may find an effect where there is none: below 0.5."""
    power: Probability = 0.8
    """How often a test should find the smallest effect worth having if it is there."""

    @property
    def confidence_level(self) -> float:
        """The level of the interval that agrees with the test at alpha: 1 - alpha if two-sided."""
        return 1 - self.alpha if self.alternative == "two-sided" else 1 - 2 * self.alpha

    def compare(self, *, control: Counts, treatment: Counts) -> Comparison:
        """Compare two cohorts' counts with the rule's alternative and level."""
        return compare(
            control=control,
            treatment=treatment,
            alternative=self.alternative,
            confidence_level=self.confidence_level,
        )

    def decide(
        self, comparison: Comparison, pvalue: float | None = None, compliance: float = 1.0
    ) -> Verdict:
        """Return the verdict: harmful, or else refuted, by the interval; or else what the test says.

        Harmful is a one-sided claim whose interval lies on the wrong side, refuted one whose interval
        rules out an effect worth having.

        Args:
            comparison: The two cohorts compared, at the rule's level.
            pvalue: The p-value adjusted for other tests; the comparison's own unless given.
            compliance: The share of an effect that is seen at the least, where customers changed
                sides; 0 leaves nothing to rule out.
        """
        worth, low, high = self.minimum_effect * compliance, comparison.low, comparison.high
        if {"greater": high < 0, "less": low > 0}.get(self.alternative, False):
            return Verdict.HARMFUL
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
        """Return the customers per cohort that show `effect` with the power wanted.

        None for no effect, for one beyond what the control's rate allows, and for one too small for
        any study to find.
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
        """Return the smallest effect worth having with its sign: that of the alternative or estimate."""
        down = self.alternative == "less" or (self.alternative == "two-sided" and estimate < 0)
        return -self.minimum_effect if down else self.minimum_effect


class Idea(DecisionRule, IdeaFields):
    """An idea that is not yet a hypothesis: no iteration and no cohorts, but a place in the backlog.

    With a `metric` and a `minimum_effect` the backlog says what a test of it would cost.
    """

    name: Name
    """The idea's name. No hypothesis has the same one."""
    statement: Name
    """The idea in one sentence."""
    metric: Name | None = None
    """The metric that a test of it would be about: a step, adoption or the outcome. Without it, the
    backlog does not say what a test would cost."""
    alternative: Alternative = "greater"
    """Where the effect is expected: `greater` or `less` than zero, or `two-sided` for either."""
    status: Literal["idea"] = "idea"
    """An idea stays `idea` until it becomes a hypothesis."""


class Guardrail(Spec):
    """Another metric that must not suffer."""

    metric: Name
    """The metric: a step, adoption or the outcome."""
    margin: Probability
    """The most that the treatment may lose, a fraction: 0.1 is 10 percentage points."""


class Hypothesis(DecisionRule, IdeaFields):
    """A claim about one metric in one iteration, for a control and one or more treatments.

    The fields of the decision rule are stated with it. Any change but of the statement, and of what
    the team thinks of it (impact, ease, confidence, status, evidence), is a new version.

    Attributes:
        name: The hypothesis's name, the same for all its versions.
        version: The version, counted from 1.
        statement: The claim in one sentence.
        metric: The step, adoption or outcome whose rate is compared.
        iteration: The iteration that tests it.
        control: The cohort to compare with.
        treatment: The cohort that had the change.
        other_treatments: Further treatments, each compared with control.
        window: A window for this hypothesis alone, in place of the flow's.
        analysis: "fixed" for one look, "sequential" for planned looks, "anytime" for any number.
        looks: How many looks a sequential analysis takes at most.
        spending: How a sequential analysis shares alpha out over its looks.
        planned_customers: The customers per cohort that the test waits for.
        baseline: The control's expected rate, from which `planned_customers` is worked out.
        guardrails: Metrics that must not suffer.
        stratify: Groupings within whose levels the cohorts are compared.
        run_on: Whether planned looks count as a discovery by the test at their full size.
        versions: How many versions are planned, as version 1 says.
        alternative: "greater", "less" or "two-sided".
        minimum_effect: The smallest effect worth having, a fraction.
        alpha: How often a test may reject though there is no effect.
        power: How often a test should find the smallest effect worth having.

    Raises:
        pydantic.ValidationError: A field is missing, or two contradict each other.

    >>> claim = Hypothesis(
    ...     name="preview-helps", statement="A preview helps.", metric="imported",
    ...     iteration="2026.1", control={"variant": "blank"}, treatment={"variant": "preview"},
    ...     alternative="greater", minimum_effect=0.05)
    >>> str(claim.treatment), claim.confidence_level
    ('variant = preview', 0.9)
    """

    name: Name
    """The hypothesis's name, the same for all its versions."""
    version: int = Field(default=1, ge=1)
    """The version, counted from 1. A change of the claim or of the rule is a new version."""
    statement: Name
    """The claim in one sentence."""
    metric: Name
    """What the claim is about: a step, adoption or the outcome. Its rate is compared."""
    iteration: Name = ""
    """The iteration that tests it. It need not be given if the treatment names one."""
    control: Cohort
    """The cohort to compare with, such as `{variant: blank}`."""
    treatment: Cohort
    """The cohort that had the change, such as `{variant: preview}`, or a list of several, each of
    which is compared with the control."""
    other_treatments: SkipJsonSchema[tuple[Cohort, ...]] = ()
    """The treatments after the first, where `treatment` is a list."""
    window: Duration | None = None
    """The time from the trigger for this hypothesis alone, such as 7d. If not given, the flow's."""
    analysis: Analysis = "fixed"
    """When the data may be looked at: `fixed` once, when the planned customers are through;
    `sequential` at a planned number of looks; `anytime` as often as wanted."""
    looks: int | None = Field(default=None, ge=2, le=50)
    """How many looks a sequential analysis takes at most, 2 to 50."""
    spending: Spending | None = None
    """How a sequential analysis shares alpha out over its looks: `obrien-fleming` little at first,
    `pocock` about evenly. If not given, obrien-fleming."""
    planned_customers: int | None = Field(default=None, ge=1)
    """The customers per cohort that the test waits for. If not given, they are worked out from
    `baseline`, `minimum_effect`, `alpha` and `power`, where there is a smallest effect."""
    baseline: Probability | None = None
    """The rate expected of the control, a fraction, from which the planned customers are worked out.
    If not given, the rate so far."""
    guardrails: tuple[Guardrail, ...] = ()
    """Other metrics that must not suffer, each with the most that it may lose."""
    stratify: Names = ()
    """Groupings, such as `[company_size]`, within whose levels customers are compared: what differs
    between levels then hides no effect. For `analysis: fixed`."""
    run_on: bool = False
    """Whether a test with planned looks goes on after an early verdict, and counts as a discovery by
    the one test at its full size. Otherwise the look at which it stopped counts."""
    versions: int | None = Field(default=None, ge=2)
    """How many versions are planned; what version 1 says holds. The answer over all versions then
    spends alpha evenly on them. If not given, there is always a next one."""
    pool_versions: bool = False
    """Whether the hypothesis counts as a discovery by all its versions together, instead of by its
    best one; what version 1 says holds."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        treatment = schema["properties"]["treatment"]
        one = {"$ref": treatment.pop("$ref")}
        treatment["anyOf"] = [one, {"type": "array", "items": one, "minItems": 1}]
        return schema

    @model_validator(mode="before")
    @classmethod
    def _several_treatments(cls, value: Any) -> Any:
        """Allow a list of treatments, each of which is compared with the control."""
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
        """Take the iteration from the treatment if only that names one."""
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
        if self.stratify and self.analysis != "fixed":
            msg = f"stratify is for analysis: fixed; this one is {self.analysis}, so leave it out"
            raise ValueError(msg)
        if self.run_on and self.analysis != "sequential":
            msg = (
                f"run_on is for analysis: sequential; this one is {self.analysis}, so leave it out"
            )
            raise ValueError(msg)
        if self.pool_versions and (self.guardrails or self.analysis == "sequential"):
            other = "guardrails" if self.guardrails else "planned looks"
            msg = f"pool_versions does not go with {other}; leave one of them out"
            raise ValueError(msg)
        if both := self.apart & {*self.stratify}:
            msg = f"stratify names {min(both)!r}, which tells the cohorts apart; name another grouping"
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
        """Return the iteration that a cohort's customers entered in."""
        return cohort.iteration or self.iteration

    @property
    def columns(self) -> tuple[str, ...]:
        """The grouping columns that tell the two cohorts apart."""
        return tuple(dict.fromkeys((*self.control.columns, *self.treatment.columns)))

    @property
    def apart(self) -> frozenset[str]:
        """The grouping columns in which control and treatment differ."""
        differ = {*self.control.values} ^ {*self.treatment.values}
        return frozenset(column for column, _ in differ)

    @property
    def before_after(self) -> bool:
        """Whether the two cohorts entered in different iterations."""
        return self.iteration_of(self.control) != self.iteration_of(self.treatment)

    def frozen(self) -> dict[str, Any]:
        """Return the fields that may not change without a new version, as plain values."""
        written = self.model_dump(mode="json", include={*FROZEN, *FROZEN_IF_GIVEN})
        written |= {name: written[name] or None for name in FROZEN_IF_GIVEN}
        treatments = sorted(map(str, (self.treatment, *self.other_treatments)))
        cohorts = {"control": str(self.control), "treatment": str(self.treatment)}
        return {**written, **cohorts, "treatments": treatments}
