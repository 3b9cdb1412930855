"""What every part of a study file shares: frozen models, and errors that name file and line."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode

from workbench.errors import StudyError, unknown_name

TAGS = ("with a control", "with a target")  # of a part that is of one of several kinds
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DURATION = r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*"


class Spec(BaseModel):
    """A part of a study file: frozen, and closed to keys that it does not know.

    The docstring below a field is its description, for whoever writes a study file.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in value:
                if key not in known and key not in cls.model_fields:
                    said = unknown_name("key", key, known)
                    raise PydanticCustomError("unknown_key", "{said}", {"said": said, "key": key})
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the part by the first line of its docstring."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        return {**schema, "description": str(cls.__doc__).splitlines()[0]}


def duration(value: object) -> object:
    """Read a duration with its unit, such as `7d`, `36h`, `90m`, `90s` or `2w`.

    >>> duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if value is None or isinstance(value, timedelta):
        read = value
    elif match := re.fullmatch(DURATION, str(value)):
        read = timedelta(**{UNITS[match[2]]: float(match[1])})
    else:
        msg = (
            f"{value!r} is no duration; write a number and a unit, such as 7d, 36h, 90m, 90s or 2w"
        )
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
    """Turn a single name into a list of one."""
    return (value,) if isinstance(value, str) else value


def one_or_more(value: Any) -> Any:
    """Turn a single part into a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


WrittenDuration = WithJsonSchema({"type": "string", "pattern": f"^{DURATION}$"})
Duration = Annotated[timedelta, BeforeValidator(duration), WrittenDuration]
Name = Annotated[str, BeforeValidator(text), StringConstraints(strip_whitespace=True, min_length=1)]
Names = Annotated[
    tuple[Name, ...], BeforeValidator(names, json_schema_input_type=Name | tuple[Name, ...])
]
Kind = TypeVar("Kind", bound=Spec)


def read_document(path: Path, kind: type[Kind]) -> tuple[Kind, Document]:
    """Read a YAML file as a model, and keep the document for the lines of later errors.

    Raises StudyError, in one sentence with file and line, for what is wrong.
    """
    document = Document(path, _parse(path))
    try:
        return kind.model_validate(_plain(document.content)), document
    except ValidationError as error:
        raise StudyError(document.said(error)) from None


class Document:
    """A parsed YAML file that knows the line of each of its parts."""

    def __init__(self, path: Path, content: Any) -> None:
        """Keep the path and the parsed content."""
        self.path = path
        self.content = content

    def line(self, *place: str | int) -> int | None:
        """Return the line, counted from 1, of the innermost part of `place` that is there."""
        part, line = self.content, None
        for key in place:
            if isinstance(part, CommentedMap) and key in part:
                line = part.lc.key(key)[0]
            elif isinstance(part, CommentedSeq) and isinstance(key, int) and key < len(part):
                line = part.lc.item(key)[0]
            elif isinstance(part, CommentedMap) and isinstance(key, int):
                continue  # one part where a list of them may stand
            else:
                break
            part = part[key]
        return None if line is None else line + 1

    def at(self, *place: str | int) -> str:
        """Return the file's name, and the line of `place`."""
        line = self.line(*place)
        return f"{self.path}" if line is None else f"{self.path}, line {line}"

    def said(self, error: ValidationError) -> str:
        """Return the first of pydantic's errors as one sentence, with file and line."""
        first = error.errors()[0]
        place = tuple(each for each in first["loc"] if each not in TAGS)
        name = ".".join(str(key) for key in place if isinstance(key, str))
        value = first.get("input")
        context = first.get("ctx", {})
        if first["type"] == "missing":
            return f"{self.at(*place[:-1])}: {name} is missing; add it"
        if first["type"] == "unknown_key":
            return f"{self.at(*place, str(context['key']))}: {first['msg']}"
        if first["type"] == "value_error":
            said = str(context["error"])
            joined = " " if said.startswith("is ") else ": "
            return f"{self.at(*place)}: {name}{joined if name else ''}{said}"
        told = first["msg"].removeprefix("Input should be ").removeprefix("a valid ")
        return f"{self.at(*place)}: {name} is {value!r}; it must be {told}"


def _parse(path: Path) -> Any:
    if path.is_dir():
        msg = f"{path} is a folder; name the study file in it, such as {path / 'study.yaml'}"
        raise StudyError(msg)
    try:
        content = _loader().load(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        msg = f"{path} does not exist; name a study file, or write one with: workbench init FOLDER"
        raise StudyError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error}); it must be a text file in UTF-8"
        raise StudyError(msg) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = str(error.problem or error.context).splitlines()[0]
        msg = f"{where}: this is no YAML ({problem}); check the indent, colons and brackets there"
        raise StudyError(msg) from None
    except ValueError as error:
        msg = f"{_no_day(path) or f'{path}: a value cannot be read ({error})'}; correct it"
        raise StudyError(msg) from None
    if not isinstance(content, CommentedMap):
        msg = f"{path} holds no keys; a study file starts with: name, title, events, flow"
        raise StudyError(msg)
    return content


def _no_day(path: Path) -> str:
    """Name the line of a study file, and the date in it, that no calendar has; empty without one."""
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        for written in re.findall(r"\b\d{4}-\d\d?-\d\d?\b", line.partition("#")[0]):
            try:
                date(*map(int, written.split("-")))
            except ValueError:
                return f"{path}, line {number}: {written} is no day"
    return ""


class _AsWritten(RoundTripConstructor):
    """Reads numbers with a point as numbers that still know how they were written."""

    def construct_written(self, node: ScalarNode) -> Written:
        """Read one number."""
        return Written(node.value)


_AsWritten.add_constructor("tag:yaml.org,2002:float", _AsWritten.construct_written)


def _loader() -> YAML:
    loader = YAML()
    loader.Constructor = _AsWritten
    return loader


def _plain(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _plain(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_plain(value) for value in part]
    return part


def _known_encoding(value: str) -> str:
    try:
        "".encode(value)
    except LookupError:
        msg = f"unknown encoding {value!r}; write it as utf-16, windows-1252 or latin-1"
        raise ValueError(msg) from None
    return value


Decimal = Literal[".", ","]
Encoding = Annotated[str, AfterValidator(_known_encoding)]


class TableFormat(Spec):
    """How the files of a table are written."""

    encoding: Encoding | None = None
    """How text files are encoded, such as windows-1252 or utf-16; UTF-8 without it."""
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    """What stands between the cells of text files; without it the first line tells."""
    sheet: Name | None = None
    """The sheet of a workbook, which one of several sheets needs."""
    file_column: Name | None = None
    """A name for a column made of the files' names, where each cohort or day has a file."""


class TableSource(TableFormat):
    """A table: a file, or several with the same columns."""

    source: Name
    """The file, relative to the study file: CSV, JSON lines, Excel or Parquet, also packed, or a
    pattern such as data/*.csv."""
