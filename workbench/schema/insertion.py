"""Put an entry into a study file by inserting text: every other byte stays as it is.

A round trip through a YAML library would write the whole file anew, with other line breaks and comments.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from workbench.errors import StudyError
from workbench.schema.base import Written, read_document
from workbench.schema.study import StudySpec, read_study

WIDTH = 100  # of a line of a draft


def entry(values: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """Write one entry of a list as YAML, a key a line, each with its comment if it has one.

    >>> print(entry({"name": "a", "target": 0.4}, {"target": "FILL IN"}))
    - name: a
      target: 0.4   # FILL IN
    """
    yaml, out = YAML(), io.StringIO()
    yaml.width = WIDTH
    yaml.dump([{key: _flow(_plain(value)) for key, value in values.items()}], out)
    lines = out.getvalue().rstrip("\n").split("\n")
    for key, comment in (comments or {}).items():
        place = next(number for number, line in enumerate(lines) if line[2:].startswith(f"{key}:"))
        lines[place] += f"   # {comment}"
    return "\n".join(lines)


def _flow(value: Any) -> Any:
    """Return a value that is written in brackets, if it is a list or a mapping."""
    if isinstance(value, dict):
        mapping = CommentedMap({key: _flow(each) for key, each in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(map(_flow, value))
        sequence.fa.set_flow_style()
        return sequence
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, Written) else value


def raw_entry(path: Path, part: str, place: int) -> dict[str, Any]:
    """Return an entry of a list of a study file as it is written, with plain values."""
    _, document = read_document(path, StudySpec)
    return {str(key): _plain(value) for key, value in document.content[part][place].items()}


def insert(path: Path, entries: Mapping[str, str]) -> None:
    """Insert entries at the end of lists of a study file.

    The file is replaced once the new one has been read without an error; nothing half-written stays.

    Args:
        path: The study file.
        entries: The entry of each list, such as "hypotheses", as `entry` writes it.

    Raises:
        StudyError: A list is written in brackets, or the file would break a rule.
    """
    path = path.resolve()
    written = path.read_bytes().decode("utf-8")
    end = "\r\n" if "\r\n" in written else "\n"
    text = written
    half = path.with_name(f".{path.name}.{os.getpid()}.yaml")
    try:
        for part, new in entries.items():
            half.write_bytes(text.encode("utf-8"))
            text = _inserted(half, text, part, new, end)
        half.write_bytes(text.encode("utf-8"))
        read_study(half)
        half.chmod(path.stat().st_mode)
        half.replace(path)
    except StudyError as error:
        said = str(error).replace(str(half), str(path))
        raise StudyError(f"{said}; nothing was written") from None
    except OSError as error:
        said = f"{path} cannot be written ({error.strerror})"
        raise StudyError(f"{said}; paste the draft into a file of your own") from None
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


def _inserted(path: Path, text: str, part: str, new: str, end: str) -> str:
    """Return the text of a file with an entry after the last one of a list."""
    _, document = read_document(path, StudySpec)
    lines, there = text.split(end), document.content.get(part)
    if not there:
        if part in document.content:
            raise StudyError(
                f"{path}: {part} is there and empty; paste the draft below it yourself"
            )
        while lines and not lines[-1].strip():
            lines.pop()
        return end.join([*lines, f"{part}:", *_indented(new, 2), ""])
    if not isinstance(there, CommentedSeq) or there.fa.flow_style():
        raise StudyError(f"{path}: {part} is written in brackets; paste the draft into it yourself")
    start = int(there.lc.item(len(there) - 1)[0])
    while not lines[start].lstrip().startswith("-"):
        start -= 1
    column = len(lines[start]) - len(lines[start].lstrip())
    last = start
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= column:
            break
        last = number if line.strip() else last
    return end.join([*lines[: last + 1], *_indented(new, column), *lines[last + 1 :]])


def _indented(text: str, column: int) -> list[str]:
    return [" " * column + line if line else line for line in text.split("\n")]
