"""Reading indicators: from files, long or wide, and from the event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.data.counts import StepCounts
from workbench.data.engines import FILE, Frame, collect, keep
from workbench.data.readers import named
from workbench.data.study_data import Journeys
from workbench.data.tables import Tables
from workbench.data.times import read_day
from workbench.errors import DataError, StudyError, unknown_name
from workbench.indicators.values import Indicators, presence
from workbench.schema.cohort import MISSING
from workbench.schema.flow import ADOPTION
from workbench.schema.indicators import IndicatorDefinition, IndicatorsSource
from workbench.schema.study import StudySpec
from workbench.schema.time import Period, Periods, from_instant

Array = npt.NDArray[Any]
YES, NO = ("yes", "true", "y"), ("no", "false", "n")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def read_indicators(table: Frame, spec: IndicatorsSource) -> Indicators:
    """Read a table of indicators, long (columns `indicator` and `value`) or wide.

    Periods without rows, and empty values, are NaN. Yes and true are read as 1, no and false as 0.
    Several values of one customer in one period are combined to their mean or sum, as `combine` says.

    Raises:
        DataError: For a missing column or indicator, and for values that are no numbers.
    """
    name = spec.source or "indicators"
    columns = table.collect_schema().names()
    has_customers = _has_column(spec, "customer", columns, name, needed=False)
    _has_column(spec, "period", columns, name)
    long = _is_long(spec, columns, name)
    table = _plain_rows(table, spec, has_customers=has_customers, long=long)
    numbers = _period_numbers(table, spec, name)
    periods = Periods.of(spec.period, numbers.values())
    position = {period: number - periods.first for period, number in numbers.items()}
    customers = _customers(table) if has_customers else []
    people, shape = pd.Index(customers), (len(customers), periods.length)
    values, n, repeated = {}, {}, {}
    for each in spec.of_file:
        definition = spec.definitions[each]
        rows = _frame(_rows_of(table, each, spec.decimal, long=long))
        value = _checked_values(rows, definition, f"{name}: {each}")
        known = ~np.isnan(value)
        cells, size = rows["(period)"].map(position).to_numpy(), periods.length
        who = people.get_indexer(pd.Index(rows["(customer)"])) if has_customers else np.array([-1])
        by_customer = bool((who >= 0).any())
        if by_customer:
            if nobody := int((who[known] < 0).sum()):
                msg = f"{name}: {nobody} values of {each} have no {spec.columns.customer}; fill it in, or leave those rows out"
                raise DataError(msg)
            cells, size = who * shape[1] + cells, shape[0] * shape[1]
        count = np.bincount(cells[known], minlength=size)
        total = np.bincount(cells[known], weights=value[known], minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            divisor = count if definition.combine == "mean" else np.minimum(count, 1)
            filled = np.where(count > 0, total / divisor, np.nan)
        values[each] = filled.reshape(shape) if by_customer else filled
        if not by_customer:
            n[each] = count
        repeated[each] = int((count - 1).clip(0).sum())
    present = np.zeros(shape, dtype=bool)
    if has_customers:
        rows = _frame(table.select("(customer)", "(period)").unique())
        who = people.get_indexer(pd.Index(rows["(customer)"]))
        present[who[who >= 0], rows["(period)"].map(position).to_numpy()[who >= 0]] = True
    definitions = {each: spec.definitions[each] for each in spec.of_file}
    return Indicators(
        definitions, periods, tuple(customers), presence(present), values, n, repeated
    )


def unnamed_indicators(table: Frame, spec: IndicatorsSource) -> list[str]:
    """Return the indicators of a long file that have no definition."""
    columns = table.collect_schema().names()
    if not _is_long(spec, columns, spec.source or ""):
        return []
    named = nw.col(spec.columns.indicator).cast(nw.String)
    found = collect(table.select(named.alias("name")).unique().sort("name"))
    return [each["name"] for each in found if each["name"] not in (*spec.definitions, None)]


def _has_column(
    spec: IndicatorsSource, role: str, columns: list[str], name: str, *, needed: bool = True
) -> bool:
    """Say whether the column of a role exists; raise DataError if a needed or named one does not."""
    column = getattr(spec.columns, role)
    if column in columns:
        return True
    if needed or role in spec.columns.model_fields_set:
        known = [each for each in columns if each != FILE]
        said = unknown_name("column", column, known)
        raise DataError(f"{name}: {said}; columns: {{{role}: NAME}} names the column of {role}s")
    return False


def _is_long(spec: IndicatorsSource, columns: list[str], name: str) -> bool:
    """Say whether a file is long; raise DataError if a wide one lacks an indicator."""
    asked = {"indicator", "value"} & spec.columns.model_fields_set
    if asked or {spec.columns.indicator, spec.columns.value} <= set(columns):
        return _has_column(spec, "indicator", columns, name) and _has_column(
            spec, "value", columns, name
        )
    roles = {spec.columns.customer, spec.columns.period, FILE}
    for each in spec.of_file:
        if each not in columns:
            raise DataError(f"{name}: {unknown_name('indicator', each, set(columns) - roles)}")
    return False


def _plain_rows(table: Frame, spec: IndicatorsSource, *, has_customers: bool, long: bool) -> Frame:
    """Select the columns (customer), (period), and either (indicator) and (value) or wide values."""
    role = spec.columns
    names = [role.period, *([role.indicator] if long else [])]
    table = named(table, names, spec.source or "indicators")
    if has_customers:
        table = named(table, [role.customer], spec.source or "indicators", ids=True)
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


def _period_numbers(table: Frame, spec: IndicatorsSource, name: str) -> dict[str, int]:
    """Return the number of each period by its text in the file."""
    numbers = {}
    for row in collect(table.select("(period)").unique()):
        try:
            written = read_day(row["(period)"], spec.time_format)
            numbers[row["(period)"]] = Period.read(written, spec.period).number
        except (DataError, ValueError) as error:
            said = "a row has no period; fill it in, or leave it out"
            said = said if row["(period)"] is None else str(error)
            raise DataError(f"{name}: column {spec.columns.period!r}: {said}") from None
    if not numbers:
        raise DataError(f"{name} has no rows; an empty table has no indicators")
    return numbers


def _customers(table: Frame) -> list[str]:
    rows = table.select("(customer)").filter(~nw.col("(customer)").is_null()).unique()
    return sorted(each["(customer)"] for each in collect(rows))


def _rows_of(table: Frame, name: str, decimal: str, *, long: bool) -> Frame:
    """Select one indicator's rows with values as numbers; what is no number goes to (odd)."""
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
    if decimal == ",":
        text = text.str.replace_all(".", "?", literal=True).str.replace_all(",", ".", literal=True)
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


def _checked_values(rows: pd.DataFrame, definition: IndicatorDefinition, what: str) -> Array:
    """Return the values as numbers; raise DataError for those that are not valid."""
    if not len(rows):
        raise DataError(f"{what} does not occur in the file; correct its name, or leave it out")
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


@dataclass(frozen=True, eq=False)
class FlowIndicators:
    """Values per period, the number of customers behind each, and why an indicator has none."""

    periods: Periods
    values: Mapping[str, Array] = field(repr=False)
    n: Mapping[str, Array] = field(repr=False)
    reasons: Mapping[str, str] = field(default_factory=dict)


def count_indicators(
    data: Journeys,
    spec: IndicatorsSource,
    cohort: Mapping[str, str] | None = None,
    moment: datetime | None = None,
) -> FlowIndicators:
    """Count the indicators that are `from_flow`, for the customers who entered in each period.

    A customer enters with the first trigger in a period, as in an iteration. A period has a value
    once everybody's window is over: the median hours from the trigger to the step, or the rate
    converted / closed.

    Args:
        data: The customers' journeys through the flow.
        spec: The study file's part on indicators.
        cohort: Values of grouping columns; only customers with these count.
        moment: Events later than this are left out.
    """
    zone, until = ZoneInfo(data.log.timezone), data.as_of(moment)
    ends = (from_instant(data.log.facts.oldest), until)
    numbers = [Period.containing(each.astimezone(zone).date(), spec.period).number for each in ends]
    periods = Periods.of(spec.period, numbers)
    spans = periods.spans(zone)
    wanted = cohort or {}
    counted = Journeys(data.log, data.flow, spans, data.groupings, data.customers)
    rows = {
        (each.iteration, each.step): each
        for each in counted.count_steps(list(wanted), moment)
        if each.cohort == tuple(wanted.values())
    }
    begun = [place for place, span in enumerate(spans) if (span.name, data.flow.names[0]) in rows]
    first = begun[0] if begun else 0
    spans = spans[first:]
    periods = Periods(periods.kind, periods.first + first, periods.length - first)
    values, n, reasons = {}, {}, {}
    for name in spec.of_flow:
        definition = spec.definitions[name]
        found = []
        for span in spans:
            entered = rows.get((span.name, data.flow.names[0]))
            step = rows.get((span.name, definition.step or ADOPTION))
            over = (
                from_instant(span.end) <= until
                and _all_windows_over(entered)
                and _all_returns_over(step)
            )
            found.append(_flow_value(definition, step) if over and step else (np.nan, 0))
        values[name] = np.array([value for value, _ in found], dtype=float)
        n[name] = np.array([count for _, count in found], dtype=np.int64)
        if definition.from_flow == "adoption" and data.flow.return_window is None:
            reasons[name] = (
                f"{name} is from_flow: adoption, but the flow has no return_window; add one, such "
                "as return_window: 30d"
            )
    return FlowIndicators(periods, values, n, reasons)


def _all_windows_over(entered: StepCounts | None) -> bool:
    """Say whether the window of everybody who entered is over."""
    return entered is not None and entered.closed == entered.entered


def _all_returns_over(step: StepCounts | None) -> bool:
    """Say whether nobody has time left to return, if the step is adoption."""
    return step is not None and (step.step != ADOPTION or not step.pending)


def _flow_value(definition: IndicatorDefinition, step: StepCounts) -> tuple[float, int]:
    if definition.from_flow == "median_hours":
        return step.median_hours, step.aligned
    return step.of_entrants.rate, step.closed


@dataclass(frozen=True)
class StudyIndicators:
    """The indicators that a study file defines; files are read on first use.

    Methods raise DataError for a file that cannot be read, StudyError for an unknown cohort.
    """

    spec: StudySpec
    folder: Path
    journeys: Journeys | None = None
    _read: dict[object, Indicators] = field(default_factory=dict, repr=False)

    def read(
        self, cohort: Mapping[str, str] | None = None, moment: datetime | None = None
    ) -> Indicators:
        """Return the indicators of all customers, or of a cohort; answers are cached.

        Args:
            cohort: Values of grouping columns of the customers table.
            moment: Periods that begin later are left out.
        """
        key = (tuple(sorted((cohort or {}).items())), moment)
        if key not in self._read:
            self._read[key] = self._read_anew(cohort, moment)
        return self._read[key]

    def _read_anew(self, cohort: Mapping[str, str] | None, moment: datetime | None) -> Indicators:
        source, found = self.source, self._of_file
        if cohort:
            kept = self._customers_of(cohort)
            found = None if found is None else found.of(kept)
            if found is not None and found.by_customer and not found.customers:
                said = ", ".join(f"{column} = {value}" for column, value in cohort.items())
                raise StudyError(f"no customer of {source.source} has {said}; name another cohort")
        counted = None
        if source.of_flow and self.journeys is not None:
            counted = count_indicators(self.journeys, source, cohort, moment)
        return _until(join_indicators(source, found, counted), moment)

    @property
    def source(self) -> IndicatorsSource:
        """The study file's part on indicators; raises StudyError without one."""
        if self.spec.indicators is None:
            msg = f"study {self.spec.name!r} has no indicators; add an indicators part to its file"
            raise StudyError(msg)
        return self.spec.indicators

    @cached_property
    def unnamed(self) -> list[str]:
        """The indicators of a long file that have no definition."""
        return [] if self.source.source is None else unnamed_indicators(self._table, self.source)

    @cached_property
    def _table(self) -> Frame:
        return self.tables.read(self.source, self.source.columns.customer)

    @cached_property
    def tables(self) -> Tables:
        """The tables that the study names."""
        return Tables(self.spec, self.folder)

    @cached_property
    def _of_file(self) -> Indicators | None:
        return None if self.source.source is None else read_indicators(self._table, self.source)

    def _customers_of(self, cohort: Mapping[str, str]) -> set[str]:
        """Return the customers with these values in the customers table."""
        table = self.tables.customers
        if table is None:
            msg = "indicators of a cohort need a customers table with its groupings; add customers"
            raise StudyError(msg)
        known = [each for each in self.spec.groupings if each in table.collect_schema().names()]
        for column in cohort:
            if column not in known:
                said = unknown_name("grouping of customers", column, known)
                raise StudyError(f"{said}; indicators go by columns of the customers table")
        alike = [
            nw.col(column).cast(nw.String).fill_null(MISSING) == value
            for column, value in cohort.items()
        ]
        rows = table.filter(*alike).select(nw.col("customer").cast(nw.String))
        return {each["customer"] for each in collect(rows)}


def join_indicators(
    source: IndicatorsSource, of_file: Indicators | None, of_flow: FlowIndicators | None
) -> Indicators:
    """Put the indicators of a file and of the event log on the same periods."""
    parts = [each for each in (of_file and of_file.periods, of_flow and of_flow.periods) if each]
    ends = [end for each in parts for end in (each.first, each.first + each.length - 1)]
    periods = Periods.of(source.period, ends)
    values, n, reasons = {}, {}, {}
    customers: tuple[str, ...] = ()
    present = np.zeros((0, periods.length), dtype=bool)
    if of_file is not None:
        more = _padding(of_file.periods, periods)
        customers, present = of_file.customers, np.pad(of_file.present, ((0, 0), more))
        for name, each in of_file.values.items():
            width = ((0, 0), more) if each.ndim == 2 else more
            values[name] = np.pad(each, width, constant_values=np.nan)
        n = {name: np.pad(each, more) for name, each in of_file.n.items()}
    if of_flow is not None:
        more = _padding(of_flow.periods, periods)
        for name, each in of_flow.values.items():
            values[name] = np.pad(each, more, constant_values=np.nan)
            n[name] = np.pad(of_flow.n[name], more)
        reasons = {name: said for name, said in of_flow.reasons.items() if said}
    return Indicators(
        source.definitions,
        periods,
        customers,
        present,
        {name: values[name] for name in source.definitions},
        n,
        {} if of_file is None else of_file.repeated,
        reasons,
    )


def _padding(part: Periods, whole: Periods) -> tuple[int, int]:
    before = part.first - whole.first
    return before, whole.length - before - part.length


def _until(found: Indicators, moment: datetime | None) -> Indicators:
    """Drop the periods that begin after a moment."""
    periods = found.periods
    if moment is None or periods.kind == "number":
        if moment is not None:
            raise StudyError("periods that are numbers have no dates; leave as_of out")
        return found
    kept = sum(periods.at(place).start <= moment.date() for place in range(periods.length))
    if not kept:
        msg = f"as_of is {moment:%Y-%m-%d}, before the first period ({periods.names[0]}); give a later one"
        raise StudyError(msg)
    return replace(
        found,
        periods=Periods(periods.kind, periods.first, kept),
        present=found.present[:, :kept].copy(),
        values={name: each[..., :kept].copy() for name, each in found.values.items()},
        n={name: each[:kept].copy() for name, each in found.n.items()},
    )
