"""Specifications: the frozen form that every part of a study file shares."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from workbench.errors import unknown_name

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Spec(BaseModel):
    """A part of a study file: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    said = unknown_name("key", key, cls.model_fields)
                    raise PydanticCustomError("unknown_key", "{said}", {"said": said, "key": key})
        return value


def duration(value: object) -> object:
    """Read a duration with its unit, such as `7d`, `36h`, `90m` or `2w`.

    >>> duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if value is None or isinstance(value, timedelta):
        read = value
    elif match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", str(value)):
        read = timedelta(**{UNITS[match[2]]: float(match[1])})
    else:
        msg = f"{value!r} is no duration; write a number and a unit, such as 7d, 36h, 90m or 2w"
        raise ValueError(msg)
    if read is not None and read <= timedelta(0):
        msg = f"{value} is no time at all; a duration must be longer than zero"
        raise ValueError(msg)
    return read


class Written(float):
    """A number that knows how it was written: 2026.10 is no 2026.1."""

    written: str

    def __new__(cls, written: str) -> Self:
        """Read a number."""
        plain = written.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
        number = super().__new__(cls, plain)
        number.written = written
        return number


def text(value: object) -> object:
    """Refuse what YAML reads as a number or a truth value where a name is meant.

    >>> text(Written("2026.10"))
    Traceback (most recent call last):
    ValueError: 2026.10 is read as a number; put it in quotes: "2026.10"
    """
    if isinstance(value, bool | int | float):
        kind = "truth value" if isinstance(value, bool) else "number"
        written = str(value).lower() if isinstance(value, bool) else value
        written = getattr(value, "written", written)
        msg = f'{written} is read as a {kind}; put it in quotes: "{written}"'
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns ValueError into its own error
    return value


def names(value: Any) -> Any:
    """Let one name stand for a list of one."""
    return (value,) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Name = Annotated[str, BeforeValidator(text), StringConstraints(strip_whitespace=True, min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(names)]
