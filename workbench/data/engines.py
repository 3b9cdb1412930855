"""What engines do differently: keeping a stage, collecting counts, reading times and files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import narwhals as nw
import numpy as np
import numpy.typing as npt

from workbench.errors import DataError
from workbench.schema.time import EPOCH

Frame = nw.LazyFrame[Any]
AT = "(at)"
FILE = "filename"
ZONED = r"(?i)(Z|[+-]\d{2}(:?\d{2})?)\s*$"
PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_numbers = itertools.count(1)


def read_table(
    source: str, folder: Path, connection: duckdb.DuckDBPyConnection, as_text: Sequence[str] = ()
) -> Frame:
    """Read Parquet or CSV files, a name or a glob relative to `folder`, as one DuckDB table.

    Columns of `as_text` stay text in CSV files, so that the id 007 keeps its zeros. The column
    `filename` holds the name of each row's file, without folder and ending.
    """
    path = folder / source
    if "*" in source or "?" in source:
        within = Path(path.anchor) if path.is_absolute() else Path()
        files = sorted(within.glob(str(path.relative_to(within))))
    else:
        files = [path]
    if not files or not all(file.is_file() for file in files):
        msg = f"{source} does not exist in {folder}; name a file there, or a glob of files"
        raise DataError(msg)
    names = [str(file) for file in files]
    try:
        if names[0].endswith(PARQUET):
            native = connection.read_parquet(names, union_by_name=True, filename=True)
        elif names[0].endswith(CSV):
            columns = connection.read_csv(names[0], header=True, all_varchar=True).columns
            native = connection.read_csv(
                names,  # type: ignore[arg-type] # a list is documented, but not in the stubs
                header=True,
                sample_size=-1,
                union_by_name=True,
                filename=True,
                dtype={column: "VARCHAR" for column in as_text if column in columns},
            )
        else:
            msg = f"{names[0]}: its ending is not known; use one of {', '.join(PARQUET + CSV)}"
            raise DataError(msg)
    except duckdb.Error as error:
        msg = f"{source} cannot be read: {str(error).splitlines()[0]}"
        raise DataError(msg) from None
    stem = "regexp_extract(filename, '([^/\\\\]+?)(\\.[^/\\\\]*)?$', 1) as filename"
    kept = ", ".join(_quoted(name) for name in native.columns if name != "filename")
    frame = _frame(native.project(f"{kept}, {stem}"))
    return frame if names[0].endswith(PARQUET) else keep(frame)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def lazy(table: Any) -> Frame:
    """Take any table as a lazy frame; pandas and PyArrow tables are read by DuckDB."""
    if isinstance(table, nw.LazyFrame):
        return table
    frame = nw.from_native(table)
    if isinstance(frame, nw.LazyFrame):
        return frame
    if frame.implementation.is_pandas():
        return _frame(duckdb.connect().from_df(table))
    if frame.implementation.is_pyarrow():
        return _frame(duckdb.connect().from_arrow(table))
    return _frame(frame.lazy())


def _frame(native: Any) -> Frame:
    frame: Frame = nw.from_native(native)
    return frame


def keep(frame: Frame) -> Frame:
    """Work a stage out once and keep it on its engine, so that later stages do not repeat it."""
    if frame.implementation.is_duckdb():
        native, name = frame.to_native(), f"workbench_stage_{next(_numbers)}"
        native.query("stage", f"create temp table {name} as from stage")
        # A relation cannot be asked for its connection; without it the kept stage still carries
        # the text of all that led to it, which is parsed again at each later stage.
        connection = getattr(native, "_con", None)
        if connection is None:
            return _frame(native.query("stage", f"from temp.{name}"))
        return _frame(connection.table(f"temp.{name}"))
    if frame.implementation.is_pyspark():
        return _frame(frame.to_native().persist())
    return frame.collect().lazy()


def distinct(frame: Frame, column: str) -> Frame:
    """Keep the values of a column, each once.

    Grouping is faster than Narwhals' `unique`; kept, since later filters would slow it down.
    """
    return keep(frame.group_by(column).agg(nw.len().alias("(rows)")).select(column))


def quotient(frame: Frame, column: str, size: int, name: str) -> Frame:
    """Add `name`, how many times `size` goes into a column of whole numbers from 0 on.

    Narwhals' own division becomes a long expression on DuckDB, and one of floats on Spark.
    """
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        return _frame(native.project(f"*, {_quoted(column)} // {size} as {_quoted(name)}"))
    if frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        return _frame(frame.to_native().withColumn(name, spark.expr(f"`{column}` div {size}")))
    return frame.with_columns((nw.col(column) // size).alias(name))


def collect(frame: Frame) -> list[dict[str, Any]]:
    """Bring a small result into memory, as one dict a row."""
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        return [dict(zip(native.columns, row, strict=True)) for row in native.fetchall()]
    if frame.implementation.is_pyspark():
        return [row.asDict() for row in frame.to_native().collect()]
    return list(frame.collect().iter_rows(named=True))


def ends(frame: Frame, column: str, by: str) -> tuple[int, int]:
    """Give the lowest and the highest of whole numbers, which are in the order of another column.

    Files tell the ends of their parts, so that engines find the first of an order without reading
    all of it, as they would for a minimum.
    """
    first = [
        collect(frame.sort(by, descending=down, nulls_last=True).head(1).select(column))
        for down in (False, True)
    ]
    lowest, highest = (int(rows[0][column]) for rows in first)
    return lowest, highest


def arrays(frame: Frame) -> dict[str, npt.NDArray[Any]]:
    """Bring columns of numbers, none of them null, into memory."""
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        # Tables need pandas, which takes as long to load; Narwhals must not meet it half loaded.
        loading = Thread(target=import_module, args=["pandas"])
        loading.start()
        try:
            found = native.fetchnumpy()
        finally:
            loading.join()
        return {name: np.asarray(column) for name, column in found.items()}
    if frame.implementation.is_pyspark():
        table = frame.to_native().toArrow()
        return {name: table[name].to_numpy() for name in table.column_names}
    collected = frame.collect()
    return {name: collected[name].to_numpy() for name in collected.columns}


def instants(frame: Frame, column: str, zone: str, table: str) -> Frame:
    """Add the column AT, microseconds since 1970 in UTC, read from `column`.

    Whole numbers are taken as such microseconds. Times without a zone are `zone`'s: of the hour
    that a clock passes twice the first is meant, and a time that it skips counts on from before.

    Raises DataError for text that is no time, or that carries a zone in some rows only.
    """
    kind = frame.collect_schema()[column]
    if kind.is_integer():
        return frame.with_columns(nw.col(column).cast(nw.Int64).alias(AT))
    if kind == nw.String:
        zoned = _one_form(frame, column, table)
        frame = _parsed(frame, column, zoned=zoned)
        _all_read(frame, column, table)
    elif kind == nw.Date:
        zoned = False
        frame = _micros(frame.with_columns(nw.col(column).cast(nw.Datetime("us")).alias(AT)))
    elif isinstance(kind, nw.Datetime):
        zoned = kind.time_zone is not None
        frame = _micros(frame.with_columns(nw.col(column).alias(AT)))
    else:
        msg = f"{table}: column {column!r} holds {kind}, no times; name the column that does"
        raise DataError(msg)
    return frame if zoned or zone == "UTC" else _from_zone(frame, zone)


def in_order(kind: Any, zone: str) -> bool:
    """Whether times of this type have the order of the moments that they are read as."""
    local = isinstance(kind, nw.Datetime) and kind.time_zone is None and zone != "UTC"
    return kind != nw.String and not local


def _one_form(frame: Frame, column: str, table: str) -> bool:
    carries = nw.col(column).str.contains(ZONED) & nw.col(column).str.contains(":")
    forms = collect(
        frame.filter(~nw.col(column).is_null())
        .group_by(carries.alias("zoned"))
        .agg(nw.len().alias("rows"), nw.col(column).min().alias("example"))
    )
    if len(forms) > 1:
        some, rest = sorted(forms, key=lambda form: not form["zoned"])
        msg = (
            f"{table}: column {column!r} mixes zones: {some['rows']} times carry one "
            f"(such as {some['example']}), {rest['rows']} do not (such as {rest['example']}); "
            "write all of them one way"
        )
        raise DataError(msg)
    return bool(forms and forms[0]["zoned"])


def _parsed(frame: Frame, column: str, *, zoned: bool) -> Frame:
    if frame.implementation.is_duckdb():
        kind = "timestamptz" if zoned else "timestamp"
        return _frame(
            frame.to_native().project(
                f'*, epoch_us(try_cast({_quoted(column)} as {kind})) as "{AT}"'
            )
        )
    if frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        at = spark.unix_micros(spark.try_to_timestamp(spark.col(column)))
        return _frame(frame.to_native().withColumn(AT, at))
    import polars as pl

    text = pl.col(column).str.strip_chars()
    read = text.str.to_datetime(time_unit="us", time_zone="UTC" if zoned else None, strict=False)
    return _frame(frame.to_native().with_columns(read.dt.timestamp("us").alias(AT)).lazy())


def _all_read(frame: Frame, column: str, table: str) -> None:
    bad = collect(
        frame.filter(nw.col(AT).is_null() & ~nw.col(column).is_null()).select(
            nw.len().alias("rows"), nw.col(column).min().alias("example")
        )
    )[0]
    if bad["rows"]:
        msg = (
            f"{table}: {bad['rows']} values of column {column!r} are no times, such as "
            f"{bad['example']!r}; write them as 2026-01-31 08:00:00"
        )
        raise DataError(msg)


def _micros(frame: Frame) -> Frame:
    """Turn the moments of AT into microseconds since 1970."""
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        kept = ", ".join(_quoted(name) for name in native.columns if name != AT)
        return _frame(native.project(f'{kept}, epoch_us("{AT}") as "{AT}"'))
    if frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        moment = spark.col(AT).cast("timestamp")
        return _frame(frame.to_native().withColumn(AT, spark.unix_micros(moment)))
    return frame.with_columns(nw.col(AT).dt.timestamp("us"))


def _from_zone(frame: Frame, zone: str) -> Frame:
    """Shift AT, read as if it were UTC, by what the zone's clocks were ahead at that time."""
    ends = collect(frame.select(nw.col(AT).min().alias("low"), nw.col(AT).max().alias("high")))
    if ends[0]["low"] is None:
        return frame
    shifts = zone_shifts(zone, int(ends[0]["low"]), int(ends[0]["high"]))
    shift: Any = nw.lit(shifts[-1][1])
    for (_, ahead), (until, _) in reversed(list(itertools.pairwise(shifts))):
        shift = nw.when(nw.col(AT) < until).then(nw.lit(ahead)).otherwise(shift)
    return frame.with_columns((nw.col(AT) - shift).alias(AT))


def zone_shifts(zone: str, low: int, high: int) -> list[tuple[int, int]]:
    """Give how far a zone's clocks run ahead of UTC, and from which clock time on.

    Times and shifts are microseconds; `low` and `high` are clock times.

    >>> [ahead // 3_600_000_000 for _, ahead in zone_shifts("Europe/Amsterdam", 0, 10**13)]
    [1]
    """
    clock = ZoneInfo(zone)

    def ahead(at: int) -> int:
        moment = (EPOCH + timedelta(microseconds=at)).replace(tzinfo=clock)
        return (moment.utcoffset() or timedelta(0)) // timedelta(microseconds=1)

    day = 86_400_000_000
    shifts = [(low, ahead(low))]
    for start in range(low, high, day):
        if ahead(start) != ahead(start + day):
            before, after = start, start + day
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (
                    (middle, after) if ahead(middle) == ahead(start) else (before, middle)
                )
            shifts.append((after, ahead(after)))
    return shifts
