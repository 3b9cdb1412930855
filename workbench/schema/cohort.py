"""Cohorts: customers with the same values of grouping columns."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from workbench.schema.base import Spec, text

GroupingKind = Literal["experiment", "focus group", "segment", "vertical", "demographic"]
PARTICIPATION = ("experiment", "focus group")  # kinds of groups into which customers were put
MISSING = "(missing)"
BIN = r"(<)?(-?\d+(?:\.\d+)?)(?: to <|\+$|$)"


class Grouping(Spec):
    """A column that tells cohorts apart.

    A study file writes its kind alone, or `{kind: segment, bins: [10, 50, 250]}`.

    >>> Grouping.model_validate({"kind": "segment", "bins": [10, 50]}).labels
    ('<10', '10 to <50', '50+')
    """

    kind: GroupingKind
    """`experiment` for groups drawn by lot, `focus group` for who took part, or `segment`,
    `vertical` or `demographic`."""
    bins: tuple[float, ...] = ()
    """The numbers at which a column of numbers is cut, such as `[10, 50, 250]` for the groups `<10`,
    `10 to <50`, `50 to <250` and `250+`."""

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("bins")
    @classmethod
    def _rising(cls, bins: tuple[float, ...]) -> tuple[float, ...]:
        if any(not low < high for low, high in pairwise(bins)):
            msg = f"{', '.join(f'{each:g}' for each in bins)} do not rise; write the cuts in order"
            raise ValueError(msg)
        return bins

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        given = {key: schema.pop(key) for key in ("title", "description")}
        return {**given, "anyOf": [schema["properties"]["kind"], schema]}

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the groups that the cuts make, the lowest first."""
        cuts = [f"{each:.15g}" for each in self.bins]
        between = [f"{low} to <{high}" for low, high in pairwise(cuts)]
        return (f"<{cuts[0]}", *between, f"{cuts[-1]}+") if cuts else ()


def in_order(values: Sequence[str]) -> list[tuple[float, str]]:
    """Return what sorts cohorts by their values: bins by their numbers, others by name.

    >>> sorted([["250+"], ["50 to <250"], ["<10"], ["10 to <50"]], key=in_order)
    [['<10'], ['10 to <50'], ['50 to <250'], ['250+']]
    """
    found = (re.match(BIN, value) for value in values)
    pairs = zip(found, values, strict=True)
    return [(float(each[2]) - bool(each[1]) if each else math.inf, value) for each, value in pairs]


class Cohort(Spec):
    """Customers with these values of grouping columns, of one iteration if one is named.

    A study file writes a cohort as columns and their values, with `iteration` among them.

    Attributes:
        values: Pairs of a grouping column and its value; values are text, truth values `true` or
            `false`.
        iteration: The iteration in which the customers entered the flow; None for the hypothesis's.

    Raises:
        pydantic.ValidationError: The cohort names neither a value nor an iteration.

    >>> cohort = Cohort.model_validate({"variant": "preview", "iteration": "2026.2"})
    >>> cohort.values, cohort.iteration, str(cohort)
    ((('variant', 'preview'),), '2026.2', 'variant = preview, iteration = 2026.2')
    """

    values: tuple[tuple[str, str], ...] = ()
    """Pairs of a grouping column and its value."""
    iteration: str | None = None
    """The iteration in which the customers entered the flow, in quotes, such as "2026.1"."""

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "values" in value:
            return value
        for column, wanted in value.items():
            if isinstance(wanted, list | dict | tuple) or wanted is None:
                msg = f"{column} is {wanted!r}; a cohort names one value for each column"
                raise ValueError(msg)
        iteration = value.get("iteration")
        values = tuple(
            (str(column), _written(wanted))
            for column, wanted in value.items()
            if column != "iteration"
        )
        return {"values": values, "iteration": iteration}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        return {
            "type": "object",
            "title": schema["title"],
            "description": schema["description"],
            "properties": {"iteration": schema["properties"]["iteration"]},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "minProperties": 1,
        }

    @field_validator("iteration", mode="before")
    @classmethod
    def _quoted(cls, iteration: object) -> object:
        return text(iteration)

    @model_validator(mode="after")
    def _says_who(self) -> Cohort:
        if not self.values and self.iteration is None:
            msg = "the cohort names nobody; give a grouping column and its value, or an iteration"
            raise ValueError(msg)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The grouping columns that the cohort names."""
        return tuple(column for column, _ in self.values)

    @property
    def label(self) -> str:
        """The cohort's name in a sentence: its values, with the column where one needs it.

        >>> Cohort.model_validate({"variant": "preview"}).label
        'preview'
        >>> Cohort.model_validate({"trained": True, "iteration": "2026.2"}).label
        'trained = true, 2026.2'
        """
        parts = [
            f"{column} = {value}" if value in ("true", "false") or value.isdigit() else value
            for column, value in self.values
        ]
        return ", ".join([*parts, *([self.iteration] if self.iteration else [])])

    def __str__(self) -> str:
        """Return the columns with their values, as in `variant = preview`."""
        parts = [f"{column} = {value}" for column, value in self.values]
        if self.iteration is not None:
            parts.append(f"iteration = {self.iteration}")
        return ", ".join(parts)


def _written(value: object) -> str:
    """Return a value as text, truth values in lower case as in data."""
    return str(value).lower() if isinstance(value, bool) else str(value)
