"""Counts per cohort and step, and studies that have counts or outcomes instead of an event log."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from workbench.data.engines import FILE, Frame, aggregated, collect, keep
from workbench.data.readers import name as name_of
from workbench.data.readers import named
from workbench.data.times import AT, instants
from workbench.errors import DataError, unknown_name
from workbench.schema.cohort import MISSING, PARTICIPATION
from workbench.schema.study import NO_IDS, CountsSource, CustomersSource, PartnersSource
from workbench.schema.time import Span
from workbench.stats.proportions import Counts

SEVERAL = "(several)"
YES, NO = ("yes", "true", "y", "t", "1", "1.0"), ("no", "false", "n", "f", "0", "0.0")
YES_NO = "an outcome is true or false, yes or no, 1 or 0, or empty while it is pending"


@dataclass(frozen=True)
class StepCounts:
    """How the customers of one iteration and cohort followed one step.

    `closed` counts entrants of the flow whose window is over, `converted` those of them who
    reached this step, and `before` those of them who reached the step before.
    """

    iteration: str
    cohort: tuple[str, ...]
    step: str
    entered: int
    aligned: int
    pending: int
    converted: int
    closed: int
    before: int
    median_hours: float = float("nan")

    @property
    def deviated(self) -> int:
        """How many customers did not take the step in time."""
        return self.entered - self.aligned - self.pending

    @property
    def of_entrants(self) -> Counts:
        """Those who reached the step, of the flow's entrants whose window is over."""
        return Counts(self.converted, self.closed)


@dataclass(frozen=True)
class CountsTable:
    """Counts per cohort and step, checked: whole numbers, no step larger than the one before.

    `table` is any table that the engines read. Raises DataError for a missing column, a count
    that is none, a step that exceeds the one before, or a step filled in after an empty one.
    """

    table: Frame = field(repr=False)
    source: CountsSource
    groupings: Sequence[str] | Mapping[str, str] = ()
    rows: tuple[Mapping[str, Any], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read and check the rows."""
        columns = self.table.collect_schema().names()
        _known(self.groupings, columns, self.source.source)
        roles = [self.source.trigger, *self.source.steps.values()]
        for role in (*roles, self.source.time, self.source.iteration):
            if role is not None and role not in columns:
                msg = f"{self.source.source}: {unknown_name('column', role, columns)}"
                raise DataError(msg)
        frame = self.table
        if self.source.time is not None:
            source = self.source
            frame = instants(
                frame, source.time or "", source.timezone, source.source, source.time_format
            )
        rows = [
            {name: _whole(value) if name in roles else value for name, value in row.items()}
            for row in collect(frame)
        ]
        if not rows:
            msg = f"{self.source.source} has no rows; an empty table has nobody to learn from"
            raise DataError(msg)
        for row in rows:
            self._check(row, roles)
        object.__setattr__(self, "rows", tuple(rows))

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's own column names."""
        return tuple(self.table.collect_schema().names())

    def count_steps(
        self, spans: Sequence[Span], by: Sequence[str], until: int | None = None
    ) -> list[StepCounts]:
        """Add up the rows of each iteration and cohort."""
        found: dict[tuple[str, tuple[str, ...]], list[Mapping[str, Any]]] = {}
        for row in self.rows:
            iteration = self._iteration(row, spans)
            late = until is not None and row[AT] > until
            if iteration is None or late:
                continue
            cohort = tuple(name_of(row[column]) for column in by)
            found.setdefault((iteration, cohort), []).append(row)
        return [
            each
            for (iteration, cohort), rows in found.items()
            for each in self._steps(iteration, cohort, rows)
        ]

    def entry_times(
        self, spans: Sequence[Span], values: Sequence[tuple[str, str]], iteration: str
    ) -> npt.NDArray[np.int64]:
        """Return the time of each entrant of a cohort: that of the row which counts them."""
        rows = [
            row
            for row in self.rows
            if self._iteration(row, spans) == iteration
            and all(name_of(row[column]) == value for column, value in values)
        ]
        times = np.array([row[AT] for row in rows], dtype=np.int64)
        return np.repeat(times, [row[self.source.trigger] for row in rows])

    def _steps(
        self, iteration: str, cohort: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
    ) -> list[StepCounts]:
        steps, before = [], self.source.trigger
        for name, column in self.source.steps.items():
            followed = [row for row in rows if row[column] is not None]
            entered = sum(row[before] or 0 for row in rows)
            entered_followed = sum(row[before] for row in followed)
            converted = sum(row[column] for row in followed)
            steps.append(
                StepCounts(
                    iteration=iteration,
                    cohort=cohort,
                    step=name,
                    entered=entered,
                    aligned=converted,
                    pending=entered - entered_followed,
                    converted=converted,
                    closed=sum(row[self.source.trigger] for row in followed),
                    before=entered_followed,
                )
            )
            before = column
        return steps

    def _iteration(self, row: Mapping[str, Any], spans: Sequence[Span]) -> str | None:
        if self.source.iteration is not None:
            name = name_of(row[self.source.iteration])
            return next((span.name for span in spans if span.name == name), None)
        if self.source.time is not None:
            return next((span.name for span in spans if span.start <= row[AT] < span.end), None)
        return spans[0].name

    def _check(self, row: Mapping[str, Any], roles: Sequence[str]) -> None:
        where = f"{self.source.source}: in the row {_shown(row, self.columns)}"
        before, largest = self.source.trigger, row[self.source.trigger]
        for column in roles:
            value = row[column]
            if value is None and column != self.source.trigger:
                before, largest = column, None
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                msg = f"{where}, {column} is {value!r}; a count is a whole number, 0 or more"
                raise DataError(msg)
            if largest is None:
                msg = f"{where}, {column} is {value} but {before} before it is empty; fill it in"
                raise DataError(msg)
            if value > largest:
                msg = (
                    f"{where}, {column} is {value}, more than {before} before it ({largest}); "
                    "a later step cannot hold more customers"
                )
                raise DataError(msg)
            before, largest = column, value


@dataclass(frozen=True)
class OutcomesTable:
    """One row a customer or visit, with a yes/no column for each outcome; null means pending.

    The outcomes follow no order: each is its own metric over all customers. Rows that repeat
    another exactly count once; a customer in two groups of an experiment is a crossover, left out
    and counted. Raises DataError for a missing column, one that is not yes/no, and a customer whose
    rows say different things.
    """

    table: Frame = field(repr=False)
    source: CustomersSource
    outcomes: Mapping[str, str]
    groupings: Sequence[str] | Mapping[str, str] = ()
    repeated: int = field(init=False, default=0)
    crossed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Check the columns, and keep one row a customer."""
        source, columns = self.source, self.table.collect_schema().names()
        _known(self.groupings, columns, source.source)
        ids = [] if source.customer == NO_IDS else [source.customer]
        for column in (*ids, *self.outcomes.values()):
            if column not in columns:
                msg = f"{source.source}: {unknown_name('column', column, columns)}"
                raise DataError(msg)
        frame = named(self.table, list(self.groupings), source.source)
        frame = named(frame, ids, source.source, ids=True)
        for column in dict.fromkeys(self.outcomes.values()):
            frame = yes_or_no(frame, column, source.source)
        rows = [*ids, *self.groupings, *self.outcomes.values()]
        frame = frame.select(*dict.fromkeys(rows))
        everybody_has_an_id(
            frame, ids, source.source, "; or say customer: none where rows are customers"
        )
        if not ids:
            object.__setattr__(self, "table", keep(frame))
            return
        if source.per == "visit":
            object.__setattr__(self, "table", self._one_row(self._visits(frame)))
            return
        once = keep(frame.unique())
        object.__setattr__(self, "repeated", _length(frame) - _length(once))
        object.__setattr__(self, "table", self._one_row(once))

    def _visits(self, rows: Frame) -> Frame:
        """Turn visits into customers: an outcome is yes if any visit has it, else no if all say so."""
        one: list[nw.Expr] = []
        several: list[nw.Expr] = []
        kinds = self.groupings if isinstance(self.groupings, Mapping) else {}
        parted = [each for each in self.groupings if kinds.get(each) in PARTICIPATION]
        for column in dict.fromkeys(self.outcomes.values()):
            known = nw.col(column).cast(nw.Int8)
            one += [known.max().alias(column), known.count().alias(f"(n {column})")]
            sure = (nw.col(column) == 1) | (nw.col(f"(n {column})") == nw.col("(visits)"))
            several.append(nw.when(sure).then(nw.col(column) == 1).alias(column))
        for column in self.groupings:
            if column not in parted:
                value = nw.col(column).cast(nw.String)
                one += [value.min().alias(column), value.max().alias(f"(other {column})")]
                same = nw.col(column) == nw.col(f"(other {column})")
                several.append(nw.when(~same).then(nw.lit(SEVERAL)).otherwise(column).alias(column))
        by = [self.source.customer, *parted]
        counted = aggregated(rows, by, nw.len().alias("(visits)"), *one)
        return keep(counted.select(*by, *several))

    def _one_row(self, rows: Frame) -> Frame:
        """Leave crossovers out; raise DataError where a customer's rows differ otherwise."""
        customer, own = "workbench_customer", self.source.customer
        rows = rows.rename({own: customer})
        kinds = self.groupings if isinstance(self.groupings, Mapping) else {}
        experiments = [column for column, kind in kinds.items() if kind in PARTICIPATION]
        counts = [nw.col(each).n_unique().alias(f"(n {each})") for each in experiments]
        known = rows.filter(~nw.col(customer).is_null())
        several = known.group_by(customer).agg(nw.len().alias("(rows)"), *counts)
        several = keep(several.filter(nw.col("(rows)") > 1))
        crossed: Any = nw.lit(value=False)
        for each in experiments:
            crossed = crossed | (nw.col(f"(n {each})") > 1)
        several = several.with_columns(crossed.alias("(crossed)"))
        if odd := collect(several.filter(~nw.col("(crossed)")).sort(customer).head(1)):
            msg = (
                f"{self.source.source}: customer {odd[0][customer]} has {odd[0]['(rows)']} rows that "
                "say different things; keep one row a customer"
            )
            raise DataError(msg)
        object.__setattr__(self, "crossed", _length(several))
        kept = rows.join(several.select(customer), on=customer, how="anti")
        return keep(kept.rename({customer: own}))

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's own column names."""
        return tuple(self.table.collect_schema().names())

    @property
    def customers(self) -> int:
        """The number of customers, crossovers among them."""
        return _length(self.table) + self.crossed

    def count_steps(self, spans: Sequence[Span], by: Sequence[str]) -> list[StepCounts]:
        """Count each outcome over the customers of each cohort."""
        groups = [nw.col(column).cast(nw.String).fill_null(MISSING).alias(column) for column in by]
        aggregates = [nw.len().alias("entered")]
        for name, column in self.outcomes.items():
            outcome = nw.col(column)
            aggregates += [
                outcome.cast(nw.Int64).sum().alias(f"yes {name}"),
                (~outcome.is_null()).cast(nw.Int64).sum().alias(f"known {name}"),
            ]
        frame = self.table.with_columns(*groups) if groups else self.table
        table = collect(aggregated(frame, by, *aggregates) if by else frame.select(*aggregates))
        return [
            StepCounts(
                iteration=spans[0].name,
                cohort=tuple(row[column] for column in by),
                step=name,
                entered=row["entered"],
                aligned=int(row[f"yes {name}"] or 0),
                pending=row["entered"] - int(row[f"known {name}"] or 0),
                converted=int(row[f"yes {name}"] or 0),
                closed=int(row[f"known {name}"] or 0),
                before=int(row[f"known {name}"] or 0),
            )
            for row in table
            for name in self.outcomes
        ]


def yes_or_no(frame: Frame, column: str, table: str, rule: str = YES_NO) -> Frame:
    """Read a column of yes/no: true or false, yes or no, 1 or 0, in any case; empty is null.

    Raises:
        DataError: For any other value; the sentence ends with the `rule`.
    """
    value, kind = nw.col(column), frame.collect_schema()[column]
    if kind == nw.Boolean:
        return frame
    if kind == nw.String:
        text = value.str.strip_chars().str.to_lowercase()
        yes, no, none = text.is_in(YES), text.is_in(NO), text == ""
    elif kind.is_numeric():
        yes, no, none = (
            value == 1,
            value == 0,
            value.is_nan() if kind.is_float() else value.is_null(),
        )
    else:
        msg = f"{table}: column {column!r} holds {kind}; {rule}"
        raise DataError(msg)
    if odd := collect(frame.filter(~value.is_null(), ~(yes | no | none)).select(column).head(1)):
        msg = f"{table}: column {column!r} holds {odd[0][column]!r}; {rule}"
        raise DataError(msg)
    read = (
        nw.when(yes)
        .then(nw.lit(value=True))
        .otherwise(nw.when(no).then(nw.lit(value=False)).otherwise(nw.lit(None).cast(nw.Boolean)))
    )
    return frame.with_columns(read.alias(column))


def _length(frame: Frame) -> int:
    return int(collect(frame.select(nw.len().alias("rows")))[0]["rows"])


def customers_table(table: Frame, source: CustomersSource | PartnersSource) -> Frame:
    """Name the customer column of a customers table `customer`, and check that nobody is null."""
    columns = table.collect_schema().names()
    if source.customer not in columns:
        msg = f"{source.source}: {unknown_name('column', source.customer, columns)}"
        raise DataError(msg)
    table = named(table, [source.customer], source.source, ids=True)
    everybody_has_an_id(table, [source.customer], source.source, "")
    if source.customer != "customer" and "customer" in columns:
        table = table.drop("customer")
    return table.rename({source.customer: "customer"}).drop(FILE, strict=False)


def everybody_has_an_id(table: Frame, ids: Sequence[str], name: str, more: str) -> None:
    """Raise DataError where a row of a table has no id of a customer."""
    for column in ids:
        if rows := _length(table.filter(nw.col(column).is_null())):
            msg = f"{name}: {rows} rows have no {column}; fill it in, or leave those rows out{more}"
            raise DataError(msg)


def _known(groupings: Iterable[str], columns: Sequence[str], table: str) -> None:
    for column in groupings:
        if column not in columns:
            msg = f"{table}: {unknown_name('grouping', column, columns)}"
            raise DataError(msg)


def _whole(value: Any) -> Any:
    """Read a whole number, also as text or as a float; whatever else it is stays as it is."""
    if isinstance(value, str):
        written = value.strip()
        if not re.fullmatch(r"[+-]?\d+(\.\d+)?", written):
            return value
        whole, _, rest = written.partition(".")
        return float(written) if rest.strip("0") else int(whole)
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def _shown(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return ", ".join(f"{column}={row[column]}" for column in columns if column != FILE)
