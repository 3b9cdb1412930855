"""Read the files of a table: every cell of a text file is text, exactly as it is written.

What a column means is its reader's to say: a name stays text, a time is read by `data.times`, a
number or a yes/no where a count, an outcome or an indicator is asked for. So 1.10 is no 1.1, 007 no
7, and T no "true". Files are looked over before the engine reads them: an encoding that is not
UTF-8, line ends of two kinds and a quote that is never closed are read right or refused, never
guessed at.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import duckdb
import narwhals as nw

from workbench.data.engines import FILE, Frame, collect, keep, native_frame, quoted
from workbench.data.unpacking import (
    JSON_LINES,
    WORKBOOK,
    ZIP,
    json_lines_as_text,
    opened,
    unzip,
    workbook_as_text,
)
from workbench.errors import DataError
from workbench.schema.base import TableSource
from workbench.schema.cohort import MISSING
from workbench.schema.indicators import IndicatorsSource

Source = TableSource | IndicatorsSource
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
ENDINGS = (*TEXT, *JSON_LINES, *WORKBOOK, *PARQUET, *ZIP)
DELIMITERS = {",": ",", ";": ";", "\t": "tab", "|": "|"}
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
EXACT = 2**53  # a float holds every whole number up to here
EXPORTED = r"^-?\d+\.0$"  # an id that went through a column of floats
CHUNK = 1 << 24  # bytes looked over at a time


def read_table(source: Source, folder: Path, connection: duckdb.DuckDBPyConnection) -> Frame:
    """Read the files of a source as one table of a DuckDB connection.

    Args:
        source: The files, a name or a glob relative to `folder`, and how they are written.
        folder: The folder that holds the study file.
        connection: The connection on which the table lives.

    Returns:
        A lazy frame. Columns of text files are all text, empty cells null; Parquet keeps its types.
        The column FILE holds the name of each row's file, without folder and ending, and the
        source's `file_column` the same under its name.

    Raises:
        DataError: For files that are not there, or cannot be read as a whole.
    """
    files = find_files(source.source or "", folder)
    kinds = {_kind(file.name, source.source) for file in files}
    _fits(source, kinds)
    if kinds <= {*PARQUET}:
        native = _parquet(files, source, connection)
        frame = native_frame(native.project(f"* replace ({_stem()} as {quoted(FILE)})"))
    else:
        with tempfile.TemporaryDirectory(prefix="workbench-") as spare:
            parts = [_part(file, source, Path(tempfile.mkdtemp(dir=spare))) for file in files]
            try:
                frame = keep(native_frame(connection.sql(" union all by name ".join(parts))))
            except (duckdb.Error, DataError) as error:
                said = error if isinstance(error, duckdb.Error) else error.__cause__
                raise DataError(_said(source.source or "", str(said))) from None
    if source.file_column is None:
        return frame
    if source.file_column in frame.collect_schema().names():
        msg = f"{source.source}: file_column is {source.file_column!r}, as a column is; rename it"
        raise DataError(msg)
    return frame.with_columns(nw.col(FILE).alias(source.file_column))


def _kind(name: str, source: str | None) -> str:
    """Return the ending of a file's name, one of those that are read."""
    found = next((each for each in ENDINGS if name.lower().endswith(each)), None)
    if found is None:
        msg = f"{source}: the ending of {name} is not known; use one of {', '.join(ENDINGS)}"
        raise DataError(msg)
    return found


def _fits(source: Source, kinds: set[str]) -> None:
    """Refuse keys that the files' kinds would ignore."""
    kinds = kinds - {*ZIP}  # what is inside may be anything
    for key, takes in (
        ("sheet", WORKBOOK),
        ("delimiter", TEXT),
        ("encoding", TEXT + JSON_LINES),
    ):
        if getattr(source, key) is not None and kinds and not kinds & {*takes}:
            msg = f"{source.source}: {key} is for {', '.join(takes)}; leave it out"
            raise DataError(msg)


def find_files(source: str, folder: Path) -> list[Path]:
    """List the files that a name or a glob stands for, in order; brackets in folders are text.

    Raises:
        DataError: If there is none.
    """
    path = folder / source
    if "*" in source or "?" in source:
        fixed = list(Path(source).parts)
        first = next(place for place, part in enumerate(fixed) if "*" in part or "?" in part)
        within = folder.joinpath(*fixed[:first])
        files = sorted(within.glob(str(Path(*fixed[first:]))))
    else:
        files = [path]
    if not files or not all(file.is_file() for file in files):
        msg = f"{source} does not exist in {folder}; name a file there, or a glob of files"
        raise DataError(msg)
    return files


def _stem() -> str:
    return f"regexp_extract({quoted(FILE)}, '([^/\\\\]+?)(\\.[^/\\\\]*)?$', 1)"


def _parquet(
    files: Sequence[Path], source: Source, connection: duckdb.DuckDBPyConnection
) -> duckdb.DuckDBPyRelation:
    names = ", ".join(_text(str(file)) for file in files)
    options = f"union_by_name = true, hive_partitioning = false, filename = {_text(FILE)}"
    try:
        return connection.sql(f"from read_parquet([{names}], {options})")
    except duckdb.Error as error:
        raise DataError(_said(source.source or "", str(error))) from None


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class _Look:
    """What a text file is like: how it is encoded, and which line ends it holds."""

    encoding: str
    line_ends: frozenset[str]


def _part(file: Path, source: Source, spare: Path) -> str:
    """Write the query that reads one file; the folder `spare` takes what must be written anew."""
    inside = unzip(file, spare) if _kind(file.name, source.source) in ZIP else file
    kind, text = _kind(inside.name, source.source), spare / "(table).csv"
    picked = f"select *, {_text(_stem_of(file))} as {quoted(FILE)}"
    if kind in ZIP:
        msg = f"{file.name} holds another zip; unpack it, and name the file"
        raise DataError(msg)
    if kind in PARQUET:
        return f"{picked} from read_parquet({_text(str(inside))}, hive_partitioning = false)"
    wanted: str | None = source.delimiter
    if kind in TEXT:
        text = _in_utf_8(inside, source, text)
    elif kind in WORKBOOK:
        workbook_as_text(inside, source.sheet, text)
        wanted = ","
    else:
        json_lines_as_text(inside, source, text)
        wanted = ","
    header, delimiter = _header(text, source.source or "", wanted)
    columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in header)
    options = {
        "auto_detect": "false",
        "header": "true",
        "delim": _text(delimiter),
        "quote": "'\"'",
        "escape": "'\"'",
        "nullstr": "''",
        "strict_mode": "true",
        "hive_partitioning": "false",
        "columns": f"{{{columns}}}",
    }
    said = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"{picked} from read_csv({_text(str(text))}, {said})"


def _in_utf_8(file: Path, source: Source, text: Path) -> Path:
    """Return a text file in UTF-8 with line ends of one kind: this one, or `text` written from it."""
    look = _look_over(file, source)
    if look.encoding == "utf-8" and len(look.line_ends) < 2 and "\r" not in look.line_ends:
        return file
    with opened(file) as binary, text.open("w", encoding="utf-8", newline="") as written:
        reader = io.TextIOWrapper(binary, encoding=look.encoding, newline="")
        while part := reader.read(CHUNK):
            more = reader.read(1) if part.endswith("\r") else ""
            written.write((part + more).replace("\r\n", "\n").replace("\r", "\n"))
    return text


def _stem_of(file: Path) -> str:
    return file.name.partition(".")[0] if not file.name.startswith(".") else file.name


def _look_over(file: Path, source: Source) -> _Look:
    """Find a text file's line ends, and hold its bytes to be of its encoding."""
    said = f"{source.source}: {file.name}"
    try:
        with opened(file) as binary:
            first = binary.read(CHUNK)
            encoding = _encoding(first, source, said)
            decoder = codecs.getincrementaldecoder(encoding)()
            ends: set[str] = set()
            rest, chunk = "", first
            while chunk:
                text = rest + decoder.decode(chunk)
                rest = "\r" if text.endswith("\r") else ""
                text = text[: len(text) - len(rest)]
                if "\0" in text:
                    msg = f"{said} holds a zero byte, so it is no text file; export it anew"
                    raise DataError(msg)
                crlf, cr, lf = text.count("\r\n"), text.count("\r"), text.count("\n")
                ends |= {"\r\n"} if crlf else set()
                ends |= {"\r"} if cr > crlf else set()
                ends |= {"\n"} if lf > crlf else set()
                chunk = binary.read(CHUNK)
            decoder.decode(b"", final=True)
            ends |= {"\r"} if rest else set()
    except UnicodeDecodeError as error:
        if source.encoding is not None:
            msg = f"{said} is not written in {source.encoding}: byte {error.start} is {error.object[error.start]:#04x}; correct encoding"
        else:
            msg = (
                f"{said} is not UTF-8 but probably Windows-1252 (Latin-1), as spreadsheets export; add "
                "encoding: windows-1252 to its source, or save it as UTF-8"
            )
        raise DataError(msg) from None
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        msg = f"{said} cannot be read: {error}"
        raise DataError(msg) from None
    return _Look(encoding, frozenset(ends))


def _encoding(first: bytes, source: Source, said: str) -> str:
    """Name the encoding of a file that begins like this, as codecs know it."""
    mark = next((name for begin, name in MARKS.items() if first.startswith(begin)), None)
    sample, order = first[:4000], mark
    if mark is None:
        little = sample[1::2].count(b"\0") >= sample[::2].count(b"\0")
        order = "utf-16-le" if little else "utf-16-be"
        mark = order if sample.count(b"\0") > len(sample) // 4 else None
    if source.encoding is not None:
        named = codecs.lookup(source.encoding).name
        same = {"utf-8": "utf-8-sig", "utf-16": order}.get(named, named)
        return str(same) if mark == "utf-8-sig" or named == "utf-16" else named
    if mark == "utf-8-sig":
        return mark
    if mark is not None:
        name = mark.upper()
        msg = (
            f"{said} is written in {name}; add encoding: {mark} to its source, or save it as UTF-8"
        )
        raise DataError(msg)
    return "utf-8"


def _header(file: Path, source: str, wanted: str | None) -> tuple[list[str], str]:
    """Read the columns' names and the delimiter between them."""
    with opened(file) as binary:
        reader = io.TextIOWrapper(binary, encoding="utf-8", newline="\n")
        line = "".join(_first_record(reader))
    if not line.strip():
        msg = f"{source} is empty; its first line must name its columns"
        raise DataError(msg)
    counts = {
        each: len(next(csv.reader([line], delimiter=each, strict=False))) for each in DELIMITERS
    }
    best = max(counts, key=lambda each: counts[each])
    delimiter = wanted or best
    written = next(csv.reader([line], delimiter=delimiter))
    # Exports of data frames often begin with a column that has no name.
    names = [name or f"(column {place})" for place, name in enumerate(written, start=1)]
    if len(names) == 1 and counts[best] > 1 and delimiter != best:
        msg = (
            f"{source}: {delimiter!r} does not divide its first line {line.strip()[:60]!r}; "
            f"delimiter: {best!r} does"
        )
        raise DataError(msg)
    alike = Counter(name.casefold() for name in names)
    if twice := [name for name in names if alike[name.casefold()] > 1]:
        names_said = " and ".join(map(repr, dict.fromkeys(twice[:2])))
        msg = f"{source}: two columns are called {names_said}; give each a name of its own"
        raise DataError(msg)
    return names, delimiter


def _first_record(reader: IO[str]) -> Iterator[str]:
    """Yield the lines of a file up to one at whose end no quote is open."""
    quotes = 0
    while line := reader.readline():
        yield line
        quotes += line.count('"')
        if quotes % 2 == 0:
            return


def _said(source: str, error: str) -> str:
    """Say in one sentence why the engine cannot read a file."""
    lines = error.splitlines()
    line = lines[0].partition("CSV Error on Line: ")[2]
    if not line:
        return f"{source} cannot be read: {lines[0]}"
    text = " ".join(lines)
    original = lines[1].removeprefix("Original Line: ")[:80] if len(lines) > 1 else ""
    if "unterminated quote" in text or "quote" in text.partition("Possible fixes")[0].lower():
        return f"{source}: the quote in line {line} is never closed, or stands in the middle of a cell ({original!r}); correct it"
    if "Expected Number of Columns" in text:
        counts = text.partition("Expected Number of Columns: ")[2].split(" Possible")[0]
        wanted, _, found = counts.partition(" Found: ")
        return f"{source}: line {line} has {found} cells where the first line has {wanted} ({original!r}); correct it, or put cells that hold the delimiter in quotes"
    return f"{source}: line {line} cannot be read ({original!r}); correct it"


def name(value: object) -> str:
    """Return a single value as a name: 2.0 is "2", true "true", NaN and null are missing.

    >>> name(2.0), name("2.0"), name(True), name(float("nan"))
    ('2', '2.0', 'true', '(missing)')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def named(frame: Frame, columns: Sequence[str], table: str, *, ids: bool = False) -> Frame:
    """Make columns fit to be compared by name: NaN is null, whole floats are whole numbers.

    Args:
        frame: Any table on any engine.
        columns: Its columns of names or ids; those of other types than floats stay as they are.
        table: What the table is called in errors.
        ids: Whether the columns hold ids of customers. Where every id ends in .0, as in an export
            of a column of floats, they are whole numbers.

    Raises:
        DataError: For floats too large to be told apart.
    """
    changed = {column: expression(frame, column, table, ids=ids) for column in columns}
    every = [each.alias(column) for column, each in changed.items() if each is not None]
    return frame.with_columns(*every) if every else frame


def expression(frame: Frame, column: str, table: str, *, ids: bool = False) -> nw.Expr | None:
    """Say how to read a column of names, as `named` does; None where it is read as it is."""
    value, kind = nw.col(column), frame.collect_schema()[column]
    if ids and kind == nw.String:
        exported = value.str.contains(EXPORTED)
        rows = nw.len().alias("rows")
        found = _only(frame.filter(~value.is_null()).select(rows, exported.all().alias("all")))
        return value.str.replace_all(r"\.0$", "") if found["rows"] and found["all"] else None
    if not kind.is_float():
        return None
    known = nw.when(~value.is_nan()).then(value)
    found = _only(
        frame.select(known.alias("known")).select(
            nw.col("known").abs().max().alias("largest"),
            (nw.col("known") == nw.col("known").round()).all().alias("whole"),
        )
    )
    if found["largest"] is not None and found["largest"] >= EXACT:
        msg = (
            f"{table}: column {column!r} holds floats beyond 2^53, which cannot be told apart; "
            "export it as text or as whole numbers"
        )
        raise DataError(msg)
    return known.cast(nw.Int64) if found["whole"] else known


def _only(frame: Frame) -> dict[str, Any]:
    return collect(frame)[0]
