"""The part of a study file about learning without an A/B test: what an answer of each method tells."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from workbench.errors import unknown_name
from workbench.schema.base import Duration, Spec
from workbench.schema.hypothesis import Probability

# docs/statistics.md says why. A team replaces them, wholly or in part, by `learning` in its study file.
STATED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "interview": {"yes_if_true": 0.7, "yes_if_false": 0.5, "cost": "1d"},
        "prototype": {"yes_if_true": 0.75, "yes_if_false": 0.4, "cost": "3d"},
        "user test": {"yes_if_true": 0.8, "yes_if_false": 0.35, "cost": "5d"},
    }
)
METHODS = tuple(STATED)


class LearningMethod(Spec):
    """How much an answer of a method tells, and what asking five people takes."""

    yes_if_true: Probability
    """The share of people who say yes where the idea is true: a fraction such as 0.7."""
    yes_if_false: Probability
    """The share of people who say yes where the idea is false: a fraction such as 0.5."""
    cost: Duration
    """What it takes to ask five people, such as 2d, until findings with a cost are on record."""

    @model_validator(mode="after")
    def _tells(self) -> LearningMethod:
        if self.yes_if_true <= self.yes_if_false:
            msg = (
                f"yes_if_true is {self.yes_if_true:g}; it must lie above yes_if_false "
                f"({self.yes_if_false:g}), or a yes would tell nothing for the idea"
            )
            raise ValueError(msg)
        return self


def with_stated(value: Any) -> Any:
    """Fill in what a study file does not say of a method, and refuse an unknown one.

    >>> with_stated({"interview": {"yes_if_false": 0.6}})["interview"]["yes_if_true"]
    0.7
    """
    if not isinstance(value, dict):
        return value
    for name in value:
        if name not in STATED:
            raise ValueError(unknown_name("method of learning", name, METHODS))
    return {name: _merged(each, value.get(name, {})) for name, each in STATED.items()}


def _merged(stated: Mapping[str, Any], given: Any) -> Any:
    return {**stated, **given} if isinstance(given, Mapping) else given


Learning = Annotated[
    Mapping[str, LearningMethod],
    BeforeValidator(with_stated, json_schema_input_type=dict[str, Any]),
]
