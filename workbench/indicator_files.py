"""Files of indicators, long or wide, read into values per period and customer."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.engines import FILE, Frame, collect, keep
from workbench.errors import DataError, unknown_name
from workbench.grids import Grid, number
from workbench.indicators import IndicatorDefinition, Indicators, IndicatorsSource, presence

Array = npt.NDArray[Any]

YES, NO = ("yes", "true", "y"), ("no", "false", "n")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def read_indicators(table: Frame, spec: IndicatorsSource) -> Indicators:
    """Read a table of indicators: long if it has the columns indicator and value, else wide.

    Periods that no row names are NaN, and so is an empty value. yes and true are 1, no and false
    0. Several values of one customer in one period come to their mean, or sum, as `combine` says.
    Raises DataError for a missing column or indicator, and for values that are no numbers.
    """
    name = spec.source or "indicators"
    columns = table.collect_schema().names()
    has_customers = _role(spec, "customer", columns, name, needed=False)
    _role(spec, "period", columns, name)
    long = _is_long(spec, columns, name)
    table = _plain_rows(table, spec, has_customers=has_customers, long=long)
    numbers = _numbers(table, spec, name)
    periods = Grid.of(spec.period, numbers.values())
    customers = _customers(table) if has_customers else []
    shape = (len(customers), periods.length)
    places = pd.Index(list(numbers)), np.array(list(numbers.values()), dtype=np.int64)
    people = pd.Index(customers)
    values, n, repeated = {}, {}, {}
    for each in spec.of_file:
        rows = _frame(_rows_of(table, each, long=long))
        place = places[1][places[0].get_indexer(pd.Index(rows["(period)"]))] - periods.first
        definition = spec.definitions[each]
        value = _checked(rows, definition, f"{name}: {each}")
        known = ~np.isnan(value)
        who = (
            people.get_indexer(pd.Index(rows["(customer)"]))
            if has_customers
            else np.full(len(rows), -1)
        )
        if not (who >= 0).any():
            cells, length = place, periods.length
        elif (who[known] >= 0).all():
            known, cells, length = known & (who >= 0), who * shape[1] + place, shape[0] * shape[1]
        else:
            nobody = int((who[known] < 0).sum())
            msg = f"{name}: {nobody} values of {each} have no {spec.columns.customer}; fill it in, or leave those rows out"
            raise DataError(msg)
        count = np.bincount(cells[known], minlength=length)
        total = np.bincount(cells[known], weights=value[known], minlength=length)
        with np.errstate(invalid="ignore", divide="ignore"):
            divisor = count if definition.combine == "mean" else np.minimum(count, 1)
            filled = np.where(count > 0, total / divisor, np.nan)
        if length == periods.length and not (who >= 0).any():
            values[each], n[each] = filled, count
        else:
            values[each] = filled.reshape(shape)
        repeated[each] = int((count - 1).clip(0).sum())
    present = _presence(table, people, places, periods) if has_customers else np.zeros(shape, bool)
    definitions = {each: spec.definitions[each] for each in spec.of_file}
    return Indicators(definitions, periods, tuple(customers), present, values, n, repeated)


def others(table: Frame, spec: IndicatorsSource) -> list[str]:
    """List the indicators of a long file that no definition names."""
    columns = table.collect_schema().names()
    if not _is_long(spec, columns, spec.source or ""):
        return []
    named = nw.col(spec.columns.indicator).cast(nw.String)
    found = collect(table.select(named.alias("name")).unique().sort("name"))
    return [each["name"] for each in found if each["name"] not in (*spec.definitions, None)]


def _role(
    spec: IndicatorsSource, role: str, columns: list[str], name: str, *, needed: bool = True
) -> bool:
    column = getattr(spec.columns, role)
    if column in columns:
        return True
    if needed or role in spec.columns.model_fields_set:
        known = [each for each in columns if each != FILE]
        said = unknown_name("column", column, known)
        raise DataError(f"{name}: {said}; columns: {{{role}: NAME}} names the one of the {role}s")
    return False


def _is_long(spec: IndicatorsSource, columns: list[str], name: str) -> bool:
    """Tell a long file from a wide one, and refuse a wide one that lacks an indicator."""
    asked = {"indicator", "value"} & spec.columns.model_fields_set
    if asked or {spec.columns.indicator, spec.columns.value} <= set(columns):
        return _role(spec, "indicator", columns, name) and _role(spec, "value", columns, name)
    roles = {spec.columns.customer, spec.columns.period, FILE}
    for each in spec.of_file:
        if each not in columns:
            raise DataError(f"{name}: {unknown_name('indicator', each, set(columns) - roles)}")
    return False


def _plain_rows(table: Frame, spec: IndicatorsSource, *, has_customers: bool, long: bool) -> Frame:
    """Give the columns (customer), (period), and either (indicator) and (value) or wide values."""
    role = spec.columns
    period = nw.col(role.period)
    kind = table.collect_schema()[role.period]
    if isinstance(kind, nw.Datetime) and kind.time_zone is not None:
        msg = f"{spec.source}: column {role.period!r} carries a time zone; write periods as dates"
        raise DataError(msg)
    picked = [period.cast(nw.String).alias("(period)")]
    if has_customers:
        picked.append(nw.col(role.customer).cast(nw.String).alias("(customer)"))
    if long:
        picked += [
            nw.col(role.indicator).cast(nw.String).alias("(indicator)"),
            nw.col(role.value).alias("(value)"),
        ]
    else:
        picked += [nw.col(each) for each in spec.of_file]
    return keep(table.select(*picked))


def _numbers(table: Frame, spec: IndicatorsSource, name: str) -> dict[str, int]:
    """Read each period that the file writes."""
    numbers = {}
    for row in collect(table.select("(period)").unique()):
        try:
            numbers[row["(period)"]] = number(spec.period, row["(period)"])
        except DataError as error:
            said = "a row has no period; fill it in, or leave it out"
            said = said if row["(period)"] is None else str(error)
            raise DataError(f"{name}: column {spec.columns.period!r}: {said}") from None
    if not numbers:
        raise DataError(f"{name} has no rows; an empty table has no indicators")
    return numbers


def _customers(table: Frame) -> list[str]:
    rows = table.select("(customer)").filter(~nw.col("(customer)").is_null()).unique()
    return sorted(each["(customer)"] for each in collect(rows))


def _rows_of(table: Frame, name: str, *, long: bool) -> Frame:
    """Give one indicator's rows with numbers for values; a value that is none becomes (odd)."""
    columns = table.collect_schema()
    roles = [each for each in ("(customer)", "(period)") if each in columns.names()]
    if long:
        rows = table.filter(nw.col("(indicator)") == name).select(*roles, "(value)")
    else:
        rows = table.select(*roles, nw.col(name).alias("(value)"))
    value = nw.col("(value)")
    kind = columns["(value)" if long else name]
    if kind != nw.String:
        return rows.with_columns(
            value.cast(nw.Float64), nw.lit(None).cast(nw.String).alias("(odd)")
        )
    text = value.str.strip_chars().str.to_lowercase()
    is_number = text.str.contains(NUMBER)
    read = (
        nw.when(is_number)
        .then(text)
        .otherwise(
            nw.when(text.is_in(YES))
            .then(nw.lit("1"))
            .otherwise(nw.when(text.is_in(NO)).then(nw.lit("0")))
        )
    )
    known = is_number | text.is_in([*YES, *NO, ""])
    return rows.with_columns(
        read.cast(nw.Float64).alias("(value)"), nw.when(~known).then(value).alias("(odd)")
    )


def _frame(frame: Frame) -> pd.DataFrame:
    if frame.implementation.is_duckdb():
        found: pd.DataFrame = frame.to_native().df()
        return found
    return pd.DataFrame(collect(frame), columns=frame.collect_schema().names())


def _checked(rows: pd.DataFrame, definition: IndicatorDefinition, what: str) -> Array:
    """Give the values as numbers; raise DataError for those that are none."""
    if not len(rows):
        raise DataError(f"{what} does not occur; correct its name, or leave it out")
    if rows["(odd)"].notna().any():
        odd = rows["(odd)"].dropna()
        msg = f"{what} holds {odd.iloc[0]!r} ({len(odd)} values are no numbers); write numbers, yes or no, or leave them empty"
        raise DataError(msg)
    value = rows["(value)"].to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(value).any():
        raise DataError(f"{what} holds an infinite value; write numbers, or leave them empty")
    wrong = ~np.isin(value, (0, 1)) & ~np.isnan(value)
    if definition.yes_no and wrong.any():
        msg = f"{what} holds {value[wrong][0]:g}, but its unit is yes/no; write yes or no, 1 or 0"
        raise DataError(msg)
    return value


def _presence(
    table: Frame, people: pd.Index[str], places: tuple[pd.Index[str], Array], periods: Grid
) -> Array:
    """Say in which periods each customer was there: from the first of the rows to the last."""
    rows = _frame(table.select("(customer)", "(period)").unique())
    seen = np.zeros((len(people), periods.length), dtype=bool)
    who = people.get_indexer(pd.Index(rows["(customer)"]))
    place = places[1][places[0].get_indexer(pd.Index(rows["(period)"]))] - periods.first
    seen[who[who >= 0], place[who >= 0]] = True
    return presence(seen)
