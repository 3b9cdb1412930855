"""Cohorts: customers who share the value of a grouping column."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from workbench.schema.base import Spec, text

GroupingKind = Literal["experiment", "segment", "vertical", "demographic"]
MISSING = "(missing)"


class Cohort(Spec):
    """The customers whose grouping columns hold these values, of one iteration if one is named.

    >>> cohort = Cohort.model_validate({"variant": "preview", "iteration": "2026.2"})
    >>> cohort.values, cohort.iteration, str(cohort)
    ((('variant', 'preview'),), '2026.2', 'variant = preview, iteration = 2026.2')
    """

    values: tuple[tuple[str, str], ...] = ()
    iteration: str | None = None

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
        """What a sentence calls the cohort: its values, where they speak for themselves.

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
        """Write the cohort as a reader would."""
        parts = [f"{column} = {value}" for column, value in self.values]
        if self.iteration is not None:
            parts.append(f"iteration = {self.iteration}")
        return ", ".join(parts)


def _written(value: object) -> str:
    """Write a value as it reads in the data: truth values in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
