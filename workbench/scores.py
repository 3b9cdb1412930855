"""Scores: what a team guesses of a hypothesis or an idea, from 1 to 10, and how sure it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workbench.specs import Name, Names, Spec

LOWEST, HIGHEST = 1.0, 10.0
RULE = "a score is 1 to 10, or a range such as [4, 8]"
Status = Literal["idea", "planned", "running", "tested"]


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
