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
import gzip
import io
import math
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import duckdb
import narwhals as nw

from workbench.data.engines import FILE, Frame, collect, keep, native_frame, quoted
from workbench.errors import DataError
from workbench.schema.base import TableSource
from workbench.schema.cohort import MISSING
from workbench.schema.indicators import IndicatorsSource

Source = TableSource | IndicatorsSource
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
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
        The column FILE holds the name of each row's file, without folder and ending.

    Raises:
        DataError: For files that are not there, or cannot be read as a whole.
    """
    files = find_files(source.source or "", folder)
    ending = next((each for each in PARQUET + TEXT if files[0].name.lower().endswith(each)), None)
    if ending is None:
        msg = f"{source.source}: its ending is not known; use one of {', '.join(PARQUET + TEXT)}"
        raise DataError(msg)
    if ending in PARQUET:
        native = _parquet(files, source, connection)
        return native_frame(native.project(f"* replace ({_stem()} as {quoted(FILE)})"))
    with tempfile.TemporaryDirectory(prefix="workbench-") as spare:
        parts = [
            _part(file, source, Path(spare) / f"{place}.csv") for place, file in enumerate(files)
        ]
        try:
            return keep(native_frame(connection.sql(" union all by name ".join(parts))))
        except duckdb.Error as error:
            raise DataError(_said(source.source or "", error)) from None


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
        raise DataError(_said(source.source or "", error)) from None


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class _Look:
    """What a text file is like: how it is encoded, and which line ends it holds."""

    encoding: str
    line_ends: frozenset[str]


def _part(file: Path, source: Source, spare: Path) -> str:
    """Write the query that reads one text file; `spare` takes what must be written anew."""
    look = _look_over(file, source)
    readable = file
    if look.encoding != "utf-8" or len(look.line_ends) > 1 or "\r" in look.line_ends:
        readable = spare
        with _opened(file) as binary, spare.open("w", encoding="utf-8", newline="") as written:
            reader = io.TextIOWrapper(binary, encoding=look.encoding, newline="")
            while text := reader.read(CHUNK):
                more = reader.read(1) if text.endswith("\r") else ""
                written.write((text + more).replace("\r\n", "\n").replace("\r", "\n"))
    header, delimiter = _header(readable, source)
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
    picked = f"select *, {_text(_stem_of(file))} as {quoted(FILE)}"
    return f"{picked} from read_csv({_text(str(readable))}, {said})"


def _stem_of(file: Path) -> str:
    return file.name.partition(".")[0] if not file.name.startswith(".") else file.name


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as binary:
        yield binary  # type: ignore[misc]


def _look_over(file: Path, source: Source) -> _Look:
    """Find a text file's line ends, and hold its bytes to be of its encoding."""
    said = f"{source.source}: {file.name}"
    try:
        with _opened(file) as binary:
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


def _header(file: Path, source: Source) -> tuple[list[str], str]:
    """Read the columns' names and the delimiter between them."""
    with _opened(file) as binary:
        reader = io.TextIOWrapper(binary, encoding="utf-8", newline="\n")
        line = "".join(_first_record(reader))
    if not line.strip():
        msg = f"{source.source} is empty; its first line must name its columns"
        raise DataError(msg)
    counts = {
        each: len(next(csv.reader([line], delimiter=each, strict=False))) for each in DELIMITERS
    }
    best = max(counts, key=lambda each: counts[each])
    delimiter = source.delimiter or best
    written = next(csv.reader([line], delimiter=delimiter))
    # Exports of data frames often begin with a column that has no name.
    names = [name or f"(column {place})" for place, name in enumerate(written, start=1)]
    if len(names) == 1 and counts[best] > 1 and delimiter != best:
        msg = (
            f"{source.source}: {delimiter!r} does not divide its first line {line.strip()[:60]!r}; "
            f"delimiter: {best!r} does"
        )
        raise DataError(msg)
    for name in names:
        if names.count(name) > 1:
            msg = f"{source.source}: two columns are called {name!r}; give each a name of its own"
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


def _said(source: str, error: duckdb.Error) -> str:
    """Say in one sentence why the engine cannot read a file."""
    lines = str(error).splitlines()
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


def filtered(frame: Frame, where: Mapping[str, str | int | bool]) -> Frame:
    """Keep the rows whose columns hold these values; values of another type are compared by name."""
    for column, value in where.items():
        kind = frame.collect_schema()[column]
        alike = (
            (kind == nw.Boolean and isinstance(value, bool))
            or (kind.is_numeric() and isinstance(value, int) and not isinstance(value, bool))
            or (kind == nw.String and isinstance(value, str))
        )
        if alike:
            frame = frame.filter(nw.col(column) == nw.lit(value))
        elif isinstance(value, bool):
            frame = frame.filter(nw.col(column).cast(nw.String).str.to_lowercase() == name(value))
        else:
            frame = frame.filter(nw.col(column).cast(nw.String) == str(value))
    return frame


def _only(frame: Frame) -> dict[str, Any]:
    return collect(frame)[0]
