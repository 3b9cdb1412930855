"""Single-arm claims: does it work at all, in a cohort of its own, against a target and without a control?"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from workbench.schema.base import Duration, Name
from workbench.schema.cohort import Cohort
from workbench.schema.hypothesis import Alpha, IdeaFields, Probability
from workbench.stats.single_arm import critical_number, fewest_customers

SINGLE_ARM: Literal["single-arm"] = "single-arm"
EVERYBODY = "all customers"


class SingleArmClaim(IdeaFields):
    """A claim that a metric's rate is above a target, in one cohort without a control.

    It stands among the hypotheses of a study file, and has a `target` in place of a control.
    """

    name: Name
    """The claim's name, the same for all its versions."""
    version: int = Field(default=1, ge=1)
    """The version, counted from 1."""
    statement: Name
    """The claim in one sentence."""
    metric: Name
    """The metric: a step, adoption or the outcome."""
    iteration: Name = ""
    """The iteration that tests it. It need not be given if the cohort names one."""
    target: Probability
    """The rate to exceed, a fraction: 0.4 says that more than 40 % of the customers reach the metric."""
    cohort: Cohort | None = None
    """The customers who count, such as `{variant: preview}`; all of the iteration without it."""
    planned_customers: int = Field(ge=1)
    """How many customers count: the first so many by entry."""
    minimum_effect: float = Field(default=0.0, ge=0, lt=1)
    """How far above the target it would be worth having, a fraction; a plan says whether so few
    customers would show that."""
    alpha: Alpha = 0.05
    """How often a rate at the target may pass for one above it."""
    power: Probability = 0.8
    """How often a rate worth having should be shown."""
    window: Duration | None = None
    """The time from the trigger for this claim alone. If not given, the flow's."""

    @model_validator(mode="after")
    def _can_decide(self) -> Self:
        if not self.iteration:
            if self.cohort is None or self.cohort.iteration is None:
                msg = f"hypothesis {self.name!r} names no iteration; say which one tests it"
                raise ValueError(msg)
            object.__setattr__(self, "iteration", self.cohort.iteration)
        if critical_number(self.planned_customers, self.target, self.alpha) is None:
            fewest = fewest_customers(self.target, self.alpha)
            msg = (
                f"hypothesis {self.name!r}: even if all of {self.planned_customers} customers converted, "
                f"that would not show more than {100 * self.target:g}%; plan {fewest} or more"
            )
            raise ValueError(msg)
        if self.target + self.minimum_effect > 1:
            msg = f"hypothesis {self.name!r}: {100 * self.minimum_effect:g} points leave no room above {100 * self.target:g}%"
            raise ValueError(msg)
        return self

    @property
    def treatment(self) -> str:
        """The cohort in words, which tells records of the ledger apart."""
        return EVERYBODY if self.cohort is None else str(self.cohort)

    @property
    def label(self) -> str:
        """The cohort's name in a sentence."""
        return EVERYBODY if self.cohort is None else self.cohort.label

    def frozen(self) -> dict[str, Any]:
        """Return the fields that may not change without a new version, as plain values."""
        kept = ("metric", "iteration", "target", "planned_customers", "minimum_effect", "alpha")
        written = self.model_dump(mode="json", include={*kept, "power", "window"})
        return {**written, "analysis": SINGLE_ARM, "treatment": self.treatment}
