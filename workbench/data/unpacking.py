"""Turn other files into text files: the one file of a zip, JSON lines, a sheet of a workbook.

Every value becomes text as it is written there: 1.10 stays 1.10, and an id 007 stays 007. A
spreadsheet keeps numbers as floats, so its whole ones are written as whole numbers.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

from workbench.errors import DataError
from workbench.schema.base import TableFormat

JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
WORKBOOK = (".xlsx",)
ZIP = (".zip",)
DIGITS = 10**15  # a spreadsheet keeps no more digits of a number
SYSTEM_FILES = ("__MACOSX/", ".DS_Store", "Thumbs.db")


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file for its bytes, a packed one for those inside."""
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as binary:
        yield binary  # type: ignore[misc]


def unzip(file: Path, folder: Path) -> Path:
    """Write the one file of a zip into a folder, and return its path.

    Raises:
        DataError: For a zip that is damaged, has a password, or holds several files or none.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            names = [
                each
                for each in packed.namelist()
                if not each.endswith("/") and not any(part in each for part in SYSTEM_FILES)
            ]
            if len(names) != 1:
                held = ", ".join(sorted(names)[:4]) or "none"
                msg = f"{file.name} holds {len(names)} files ({held}); pack one file, or unpack it"
                raise DataError(msg)
            inside = folder / Path(names[0]).name
            with packed.open(names[0]) as source, inside.open("wb") as target:
                shutil.copyfileobj(source, target)
    except (
        OSError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        msg = f"{file.name} cannot be unpacked ({error}); unpack it by hand, and name the file"
        raise DataError(msg) from None
    return inside


def json_lines_as_text(file: Path, source: TableFormat, text: Path) -> None:
    """Write JSON lines as a text file with commas; parts of an object become columns `part.name`.

    Raises:
        DataError: For a line that is no JSON object.
    """
    columns: dict[str, None] = {}
    for record in _records(file, source):
        columns.update(dict.fromkeys(record))
    if not columns:
        msg = f"{file.name} is empty; each of its lines must be a JSON object"
        raise DataError(msg)
    rows = ([record.get(name) for name in columns] for record in _records(file, source))
    _write(text, chain([list(columns)], rows), file.name)


def _records(file: Path, source: TableFormat) -> Iterator[dict[str, str | None]]:
    place = 0
    try:
        with opened(file) as binary:
            reader = io.TextIOWrapper(binary, encoding=source.encoding or "utf-8-sig")
            for place, written in enumerate(reader, start=1):  # noqa: B007 - errors name it
                if written.strip():
                    yield _flat(_object(written), "")
    except UnicodeError:
        way_out = "correct encoding" if source.encoding else "name its encoding"
        msg = f"{file.name} is not written in {source.encoding or 'UTF-8'}; {way_out}"
        raise DataError(msg) from None
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{file.name} cannot be read: {error}"
        raise DataError(msg) from None
    except ValueError as error:
        msg = f"{file.name}: line {place} {error}; write one JSON object a line"
        raise DataError(msg) from None


def _object(written: str) -> dict[str, Any]:
    try:
        read = json.loads(
            written,
            parse_float=str,
            parse_int=str,
            parse_constant=lambda _: None,
            object_pairs_hook=_once,
        )
    except json.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        msg = f"is no JSON object ({written.strip()[:60]!r})"
        raise ValueError(msg)  # noqa: TRY004 - the caller adds file and line
    return read


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Take an object's pairs, each name once."""
    read = dict(pairs)
    if len(read) < len(pairs):
        msg = f"has two values of one name ({', '.join(name for name, _ in pairs)})"
        raise ValueError(msg)
    return read


def _flat(record: Mapping[str, Any], prefix: str) -> dict[str, str | None]:
    """Write an object's values as text, those of objects inside it under `outer.inner`."""
    row: dict[str, str | None] = {}
    for key, value in record.items():
        name = prefix + key
        if isinstance(value, dict):
            found = _flat(value, f"{name}.")
        elif isinstance(value, bool):
            found = {name: str(value).lower()}
        elif isinstance(value, list):
            found = {name: json.dumps(value, ensure_ascii=False)}
        else:
            found = {name: value}
        if both := found.keys() & row.keys():
            msg = f"has two values of {min(both)!r}"
            raise ValueError(msg)
        row |= found
    return row


def workbook_as_text(file: Path, sheet: str | None, text: Path) -> None:
    """Write a sheet of a workbook as a text file with commas.

    Raises:
        DataError: For a file that is no workbook, an unknown sheet, several without a name for one,
            and numbers of more than 15 digits, which a spreadsheet has rounded.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        workbook = CalamineWorkbook.from_path(str(file))
        sheets = {
            name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names
        }
    except (CalamineError, OSError, ValueError) as error:
        msg = f"{file.name} cannot be read as a workbook ({error}); save it anew as .xlsx"
        raise DataError(msg) from None
    full = [name for name, rows in sheets.items() if rows]
    if sheet is None and len(full) > 1:
        msg = f"{file.name} has {len(full)} sheets ({', '.join(full)}); say which one with sheet:"
        raise DataError(msg)
    if sheet is not None and sheet not in sheets:
        msg = f"{file.name} has no sheet {sheet!r}; it has {', '.join(sheets)}"
        raise DataError(msg)
    rows = sheets[sheet or (full or list(sheets))[0]]
    table = [[_cell(value, file.name) for value in row] for row in rows]
    table = [row for row in table if any(row)]
    width = max((len(row) for row in table), default=0)
    _write(text, ([*row, *[""] * (width - len(row))] for row in table), file.name)


def _cell(value: Any, said: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and abs(value) >= DIGITS:
        msg = (
            f"{said} holds the number {value:.0f}, of which a spreadsheet keeps 15 digits; write ids "
            "as text there, or export the table anew as CSV"
        )
        raise DataError(msg)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _write(text: Path, rows: Iterable[Sequence[str | None]], said: str) -> None:
    """Write rows as a text file with commas; an empty cell stands for none."""
    try:
        with text.open("w", encoding="utf-8", newline="") as written:
            csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    except UnicodeEncodeError:
        msg = f"{said} holds half a character (a lone surrogate); export it anew"
        raise DataError(msg) from None
