"""What engines do differently: keeping a stage, collecting counts, reading times and files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import numpy.typing as npt

from workbench.errors import DataError

Frame = nw.LazyFrame[Any]
FILE = "(file)"  # the column that holds the name of each row's file
_numbers = itertools.count(1)


def quoted(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def lazy(table: Any, beside: Frame | None = None) -> Frame:
    """Take any table as a lazy frame; pandas and PyArrow tables are read by DuckDB.

    `beside` is a frame with which the table will be joined, so on whose connection it must live.
    """
    if isinstance(table, nw.LazyFrame):
        return table
    frame = nw.from_native(table)
    if isinstance(frame, nw.LazyFrame):
        return frame
    own = None if beside is None else getattr(beside.to_native(), "_con", None)
    if frame.implementation.is_pandas():
        return native_frame((own or duckdb.connect()).from_df(table))
    if frame.implementation.is_pyarrow():
        return native_frame((own or duckdb.connect()).from_arrow(table))
    return native_frame(frame.lazy())


def native_frame(native: Any) -> Frame:
    """Take a lazy table of an engine as a frame."""
    frame: Frame = nw.from_native(native)
    return frame


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn an error of DuckDB, whose further lines show SQL, into one sentence."""
    try:
        yield
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise DataError(
            f"the data cannot be read: {said}; correct them, or export them anew"
        ) from error


def keep(frame: Frame) -> Frame:
    """Work a stage out once and keep it on its engine, so that later stages do not repeat it."""
    if frame.implementation.is_duckdb():
        native, name = frame.to_native(), f"workbench_stage_{next(_numbers)}"
        with _one_sentence():
            native.query("stage", f"create temp table {name} as from stage")
        # A relation cannot be asked for its connection; without it the kept stage still carries
        # the text of all that led to it, which is parsed again at each later stage.
        connection = getattr(native, "_con", None)
        if connection is None:
            return native_frame(native.query("stage", f"from temp.{name}"))
        return native_frame(connection.table(f"temp.{name}"))
    if frame.implementation.is_pyspark():
        return native_frame(frame.to_native().persist())
    return frame.collect().lazy()


def distinct(frame: Frame, column: str) -> Frame:
    """Keep the values of a column, each once.

    Grouping is faster than Narwhals' `unique`; kept, since later filters would slow it down.
    """
    return keep(frame.group_by(column).agg(nw.len().alias("(rows)")).select(column))


def aggregated(frame: Frame, keys: Sequence[str], *aggregates: nw.Expr) -> Frame:
    """Group by columns of any name and aggregate others.

    Names to group by reach DuckDB without quotes, so plan.name or (event) would be taken apart.
    """
    safe = {key: f"workbench_key_{place}" for place, key in enumerate(keys)}
    grouped = frame.rename(safe).group_by(*safe.values()).agg(*aggregates)
    return grouped.rename({new: key for key, new in safe.items()})


def quotient(frame: Frame, column: str, size: int, name: str) -> Frame:
    """Add `name`, how many times `size` goes into a column of whole numbers from 0 on.

    Narwhals' own division becomes a long expression on DuckDB, and one of floats on Spark.
    """
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        return native_frame(native.project(f"*, {quoted(column)} // {size} as {quoted(name)}"))
    if frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        return native_frame(
            frame.to_native().withColumn(name, spark.expr(f"`{column}` div {size}"))
        )
    return frame.with_columns((nw.col(column) // size).alias(name))


def collect(frame: Frame) -> list[dict[str, Any]]:
    """Bring a small result into memory, as one dict a row."""
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        with _one_sentence():
            return [dict(zip(native.columns, row, strict=True)) for row in native.fetchall()]
    if frame.implementation.is_pyspark():
        return [row.asDict() for row in frame.to_native().collect()]
    return list(frame.collect().iter_rows(named=True))


def ends(frame: Frame, column: str, by: str) -> tuple[int, int]:
    """Return the lowest and the highest of whole numbers, which are in the order of another column.

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
            with _one_sentence():
                found = native.fetchnumpy()
        finally:
            loading.join()
        return {name: np.asarray(column) for name, column in found.items()}
    if frame.implementation.is_pyspark():
        table = frame.to_native().toArrow()
        return {name: table[name].to_numpy() for name in table.column_names}
    collected = frame.collect()
    return {name: collected[name].to_numpy() for name in collected.columns}
