"""Read a file of any kind of data, profile its columns, and find the one that holds times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw

from workbench.data.counts import NO, YES
from workbench.data.engines import FILE, Frame, quoted
from workbench.data.readers import find_files, read_table
from workbench.data.times import instants, read_time
from workbench.errors import DataError
from workbench.schema.base import TableSource

MOST_LEVELS = 20  # values that a grouping may have
UNNAMED = "(column "
WHOLE, NUMBER = r"[+-]?\d+(\.0+)?", r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?"
TIME = (
    *("time", "timestamp", "event time", "time timestamp", "ts", "occurred at", "created at"),
    *("createdat", "at", "when", "datetime", "date", "day", "week", "month", "quarter", "year"),
    *("period", "t", "hour", "sprint"),
)
DAYS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y"),
    *("%d %B %Y", "%B %d, %Y"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")


@dataclass(frozen=True)
class Column:
    """What a column holds: known values, different ones, and the values if they are few."""

    name: str
    known: int
    distinct: int
    whole: bool
    number: bool
    yes_no: bool
    levels: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether it has a few values, as a grouping has."""
        return 2 <= self.distinct <= MOST_LEVELS


@dataclass(frozen=True)
class Look:
    """A table on a scratch connection, with a profile of its columns.

    `file_column` is the column that was made of the names of several files.
    """

    name: str
    frame: Frame = field(repr=False)
    rows: int
    columns: tuple[Column, ...]
    file_column: str | None = None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the table, which is called `log` in it."""
        return ask(self.frame, sql)

    def missing(self, what: str, way_out: str) -> DataError:
        """Return the error for a column that cannot be found."""
        names = ", ".join(each.name for each in self.columns)
        return DataError(f"no column of {self.name} {what}; its columns are {names}; {way_out}")


def ask(frame: Frame, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a frame of DuckDB, which is called `log` in it."""
    found: list[tuple[Any, ...]] = frame.to_native().query("log", sql).fetchall()
    return found


def one_source(written: Sequence[str]) -> tuple[Path, bool]:
    """Return the file or the pattern for files, and whether these are several.

    Args:
        written: Files and globs, relative to the working directory.

    Raises:
        DataError: There is no such file, or no pattern stands for just these files.

    >>> one_source(["studies/guided-import/study.yaml"])[0].name
    'study.yaml'
    """
    files = sorted({file for each in written for file in find_files(each, Path.cwd())})
    if len(files) == 1:
        return files[0], False
    names, parent = [file.name for file in files], files[0].parent
    begun, ended = _shared(names), _shared([name[::-1] for name in names])[::-1]
    ending = files[0].name.partition(".")[2]
    for pattern in (Path(written[0]).name, f"{begun}*{ended}", f"*.{ending}"):
        if "*" in pattern and {*parent.glob(pattern)} == {*files}:
            return parent / pattern, True
    msg = (
        f"no pattern stands for {', '.join(names[:3])} and nothing else; put these files into a "
        "folder of their own, and name all of them"
    )
    raise DataError(msg)


def _shared(names: Sequence[str]) -> str:
    """Return the signs with which all names begin."""
    signs = zip(*names, strict=False)
    return "".join(sign[0] for sign in takewhile(lambda each: len({*each}) == 1, signs))


def look(path: Path, *, several: bool = False) -> Look:
    """Read a file, or the files of a pattern, and profile the columns.

    Args:
        path: The file or pattern.
        several: Whether to make a column of the files' names, one per arm.

    Raises:
        DataError: What cannot be read, and a table without rows.
    """
    source = TableSource(source=path.name)
    frame = read_table(source, path.parent, duckdb.connect())
    names = [name for name in frame.collect_schema().names() if name != FILE]
    arm = None
    if several:
        arm = next(name for name in ("arm", "file", "(file name)") if name not in names)
        frame = frame.with_columns(nw.col(FILE).alias(arm))
        names.append(arm)
    usable = [name for name in names if name == name.strip()]
    frame = frame.select(*usable)
    rows = int(ask(frame, "select count(*) from log")[0][0])
    if not rows:
        raise DataError(f"{path.name} has no rows; an empty table has nobody to learn from")
    return Look(path.name, frame, rows, tuple(_profile(frame, name) for name in usable), arm)


def _profile(frame: Frame, name: str) -> Column:
    value, kind = quoted(name), frame.collect_schema()[name]
    written = f"cast({value} as varchar)"
    if kind.is_float():
        written = f"nullif(regexp_replace({written}, '\\.0$', ''), 'nan')"
    cell = f"trim({written})"
    count, distinct, whole, number, yes_no = ask(
        frame,
        f"select count(nullif({cell}, '')), count(distinct {written}), "
        f"bool_and(regexp_full_match({cell}, '{WHOLE}')), "
        f"bool_and(regexp_full_match({cell}, '{NUMBER}')), "
        f"bool_and(lower({cell}) in {in_list((*YES, *NO))}) from log where {cell} != ''",
    )[0]
    few = f"select distinct {written} from log where {cell} != '' order by 1"
    levels = [row[0] for row in ask(frame, few)] if distinct <= MOST_LEVELS else []
    return Column(name, count, distinct, bool(whole), bool(number), bool(yes_no), tuple(levels))


def words(name: str) -> str:
    """Return a column's name as lower-case words.

    >>> words("caseID"), words("time:timestamp"), words("AMOUNT_REQ")
    ('case id', 'time timestamp', 'amount req')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", apart.lower()))


def _rank(name: str, known: Sequence[str]) -> int | None:
    """Return how early a name stands among known ones, whole names first; None for no such name."""
    said = words(name)
    if said in known:
        return known.index(said)
    held = [place for place, each in enumerate(known) if each in said.split() and each != "id"]
    return len(known) + held[0] if held else None


def by_name(columns: Iterable[Column], known: Sequence[str]) -> list[Column]:
    """Return the columns that have one of these names, the best first."""
    ranked = [(_rank(each.name, known), each) for each in columns]
    found = [(rank, each) for rank, each in ranked if rank is not None]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def time_column(table: Look) -> tuple[Column, str | None] | None:
    """Return the column of times and its format, if it needs one; None where no column holds any."""
    named = by_name(table.columns, TIME)
    others = [each for each in table.columns if each not in named and not each.number]
    for each in (*named, *others):
        if each.known and understood(table, each.name):
            return each, None
    for each in (*named, *others):
        fitting = time_formats(table, each.name) if each.known else []
        if len(fitting) > 1:
            sample = table.ask(f"select min({quoted(each.name)}) from log")[0][0]
            msg = (
                f"times of column {each.name!r} of {table.name}, such as {sample!r}, can be read as "
                f"{' or '.join(fitting)}; write them year first, as 2026-01-31"
            )
            raise DataError(msg)
        if fitting:
            return each, fitting[0]
    return None


def no_time(table: Look) -> str:
    """Say what to do about a log in which no column holds times."""
    if not (named := [each for each in by_name(table.columns, TIME) if each.known]):
        return "write them as 2026-01-31 08:00, or use --outcomes for a row a customer"
    odd = [each for each in sample(table, named[0].name) if not _is_time(each)]
    said = f"{named[0].name} holds {odd[0]!r}; " if odd else f"{named[0].name} mixes zones; "
    return f"{said}write all of them as 2026-01-31 08:00"


def _is_time(value: object) -> bool:
    try:
        read_time(value, "UTC")
    except ValueError:
        return False
    return True


def sample(table: Look, name: str) -> list[str]:
    """Return up to 200 different values of a column, as text."""
    column = quoted(name)
    some = f"select distinct cast({column} as varchar) from log where {column} is not null"
    rows = table.ask(f"{some} order by 1 limit 200")
    return [row[0] for row in rows]


def understood(table: Look, name: str) -> bool:
    """Say whether the reader of times understands a whole column."""
    if not all(map(_is_time, sample(table, name))):
        return False
    try:
        instants(table.frame, name, "UTC", table.name)
    except DataError:
        return False
    return True


def time_formats(table: Look, name: str) -> list[str]:
    """Return the formats by which every value of a column is a time from 1990 to 2100."""
    if table.frame.collect_schema()[name] != nw.String:
        return []
    column = quoted(name)
    found: dict[str, str] = {}
    for form in (f"{day}{clock}" for day in DAYS for clock in CLOCKS):
        read = f"year(try_strptime(trim(v), '{form}')) between 1990 and 2100"
        every = f"select bool_and(coalesce({read}, false)) from"
        some = f"(select distinct {column} v from log where {column} is not null limit 200)"
        whole = f"(select {column} v from log where {column} is not null)"
        if all(table.ask(f"{every} {rows}")[0][0] for rows in (some, whole)):
            found.setdefault(form.replace("%B", "%b"), form)
    return list(found.values())


def text(value: str) -> str:
    """Return text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def in_list(values: Iterable[str]) -> str:
    """Return several texts as SQL writes a list of them."""
    return f"({', '.join(map(text, values))})"
