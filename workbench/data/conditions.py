"""Tell which rows of a table meet the conditions of a study file, on any engine."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import narwhals as nw

from workbench.data.engines import Frame, collect
from workbench.data.readers import name
from workbench.data.times import AT, instants
from workbench.errors import DataError, unknown_name
from workbench.schema.conditions import Condition, Value
from workbench.schema.time import in_zone, to_instant

NUMBER = r"^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$"
MEETS, BOUND, KEPT = "(meets)", "(bound)", "(kept)"
DAY = timedelta(days=1)


def marked(frame: Frame, where: Mapping[str, Any], table: str, zone: str = "UTC") -> Frame:
    """Add the column MEETS: whether each row meets every condition.

    Args:
        frame: Any table on any engine.
        where: By column what its rows must hold: a `Condition`, or what a study file writes for one.
        table: What the table is called in errors.
        zone: The zone of times that carry none.

    Raises:
        DataError: For a column that is not there, and a range over values that have no order.
    """
    columns, frame = frame.collect_schema().names(), frame.with_columns(nw.lit(True).alias(MEETS))  # noqa: FBT003
    for column, written in where.items():
        if column not in columns:
            raise DataError(f"{table}: {unknown_name('column', column, columns)}")
        condition = Condition.model_validate(written)
        met = nw.col(MEETS)
        if condition.values:
            met = met & _any_of(frame, column, condition.values).fill_null(value=False)
        if condition.others:
            met = met & ~_any_of(frame, column, condition.others).fill_null(value=False)
        if condition.bounds:
            frame = _ordered(frame, column, condition, table, zone)
            bounds = _bounds(condition, zone)
            met = met & functools.reduce(operator.and_, bounds).fill_null(value=False)
        frame = frame.with_columns(met.alias(MEETS)).select(*columns, MEETS)
    return frame


def filtered(frame: Frame, where: Mapping[str, Any], table: str, zone: str = "UTC") -> Frame:
    """Keep the rows that meet every condition; see `marked`."""
    if not where:
        return frame
    return marked(frame, where, table, zone).filter(nw.col(MEETS)).drop(MEETS)


def _any_of(frame: Frame, column: str, values: tuple[Value, ...]) -> nw.Expr:
    """Say whether a column holds one of some values; those of another type are compared by name."""
    kind = frame.collect_schema()[column]
    return functools.reduce(operator.or_, (_equals(kind, column, value) for value in values))


def _equals(kind: Any, column: str, value: Value) -> nw.Expr:
    whole = isinstance(value, int) and not isinstance(value, bool)
    alike = (
        (kind == nw.Boolean and isinstance(value, bool))
        or (kind.is_numeric() and whole)
        or (kind == nw.String and isinstance(value, str))
    )
    if alike:
        return nw.col(column) == nw.lit(value)
    text = nw.col(column).cast(nw.String)
    return text.str.to_lowercase() == name(value) if isinstance(value, bool) else text == str(value)


def _ordered(frame: Frame, column: str, condition: Condition, table: str, zone: str) -> Frame:
    """Add the column BOUND, which can be compared with the condition's ends."""
    kind, value = frame.collect_schema()[column], nw.col(column)
    if isinstance(condition.bounds[0], date):
        own = {AT: KEPT} if AT in frame.collect_schema().names() else {}
        frame = instants(frame.rename(own), column, zone, table).rename({AT: BOUND})
        return frame.rename({KEPT: AT} if own else {})
    if kind == nw.String:
        odd = frame.filter(~value.is_null(), ~value.str.contains(NUMBER)).select(column).head(1)
        if rows := collect(odd):
            msg = (
                f"{table}: column {column!r} holds {rows[0][column]!r}; from and to are numbers, so "
                "it may hold numbers only"
            )
            raise DataError(msg)
        return frame.with_columns(value.str.strip_chars().cast(nw.Float64).alias(BOUND))
    if not kind.is_numeric():
        msg = f"{table}: column {column!r} holds {kind}; from and to are numbers, so it must too"
        raise DataError(msg)
    return frame.with_columns(value.alias(BOUND))


def _bounds(condition: Condition, zone: str) -> list[nw.Expr]:
    least, most = condition.least, condition.most
    found = []
    if least is not None:
        found.append(nw.col(BOUND) >= nw.lit(_comparable(least, zone)))
    if isinstance(most, date) and not isinstance(most, datetime):
        found.append(nw.col(BOUND) < nw.lit(_comparable(most + DAY, zone)))
    elif most is not None:
        found.append(nw.col(BOUND) <= nw.lit(_comparable(most, zone)))
    return found


def _comparable(bound: Any, zone: str) -> int | float:
    if isinstance(bound, date):
        return to_instant(in_zone(bound, ZoneInfo(zone)))
    return cast("int | float", bound)
