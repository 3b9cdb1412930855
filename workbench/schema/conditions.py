"""Conditions on the rows of a table: some values of a column, all but some, or a range."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from workbench.schema.base import Spec, one_or_more, text
from workbench.schema.time import moment


def _exact(value: object) -> object:
    """Refuse numbers with a point: as names, 1.1 and 1.10 would be one."""
    return text(value) if isinstance(value, float) else value


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " or ".join(repr(each) for each in value)
    return str(value)


Value = Annotated[str | int | bool, BeforeValidator(_exact)]
Bound = int | float | datetime | date
Values = Annotated[
    tuple[Value, ...],
    BeforeValidator(one_or_more, json_schema_input_type=Value | tuple[Value, ...]),
]


class Condition(Spec):
    """What a column must hold: one of some values, none of them, or what lies within a range.

    A study file writes `web`, `[web, ios]`, `{not: test}` or `{from: 2026-01-05, to: 2026-01-31}`.
    Rows without a value meet `not` alone. A day at the end of a range belongs to it as a whole.

    >>> Condition.model_validate(["web", "ios"]).values
    ('web', 'ios')
    """

    values: Values = ()
    """Values of which a row must hold one."""
    others: Values = Field(default=(), alias="not")
    """Values of which a row may hold none."""
    least: Bound | None = Field(default=None, alias="from")
    """The least number, day or time that a row may hold."""
    most: Bound | None = Field(default=None, alias="to")
    """The largest number, day or time that a row may hold."""

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | cls) else {"values": value}

    @field_validator("least", "most", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        if isinstance(value, bool):
            msg = "a truth value has no order; name it as the value"
            raise ValueError(msg)  # noqa: TRY004 - pydantic turns ValueError into its own error
        return moment(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.values or self.others or self.bounds):
            msg = "it names no value; give one, a list, not: [...], or from: and to:"
            raise ValueError(msg)
        kinds = {isinstance(each, date) for each in self.bounds}
        if len(kinds) > 1:
            msg = f"from and to are {self.least} and {self.most}; give two numbers or two times"
            raise ValueError(msg)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        given = {key: schema.pop(key) for key in ("title", "description")}
        return {**given, "anyOf": [schema["properties"]["values"], schema]}

    def __str__(self) -> str:
        """Return what a study file writes."""
        parts = {"not": self.others, "from": self.least, "to": self.most}
        given = [f"{key}: {_shown(each)}" for key, each in parts.items() if each not in ((), None)]
        shown = [_shown(self.values)] if self.values else []
        return "; ".join([*shown, *given])

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The ends of the range that are given."""
        return tuple(each for each in (self.least, self.most) if each is not None)
