"""Counts per cohort and step, and studies that have counts or outcomes instead of an event log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw

from workbench.data.engines import AT, FILE, Frame, collect, instants
from workbench.errors import DataError, unknown_name
from workbench.schema.cohort import MISSING
from workbench.schema.study import CountsSource, CustomersSource
from workbench.schema.time import Span
from workbench.stats.proportions import Counts


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
        if self.source.file_column is not None:
            renamed = {FILE: self.source.file_column}
            object.__setattr__(self, "table", self.table.rename(renamed))
        columns = self.table.collect_schema().names()
        _known(self.groupings, columns, self.source.source)
        roles = [self.source.trigger, *self.source.steps.values()]
        for role in (*roles, self.source.time, self.source.iteration):
            if role is not None and role not in columns:
                msg = f"{self.source.source}: {unknown_name('column', role, columns)}"
                raise DataError(msg)
        frame = self.table
        if self.source.time is not None:
            frame = instants(frame, self.source.time, self.source.timezone, self.source.source)
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
            cohort = tuple(_text(row[column]) for column in by)
            found.setdefault((iteration, cohort), []).append(row)
        return [
            each
            for (iteration, cohort), rows in found.items()
            for each in self._steps(iteration, cohort, rows)
        ]

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
            name = _text(row[self.source.iteration])
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
    """One row a customer, with a yes/no column for each outcome; null means pending.

    The outcomes follow no order: each is its own metric over all customers.
    Raises DataError for a missing column, or one that is not yes/no.
    """

    table: Frame = field(repr=False)
    source: CustomersSource
    outcomes: Mapping[str, str]
    groupings: Sequence[str] | Mapping[str, str] = ()

    def __post_init__(self) -> None:
        """Check the columns."""
        schema = self.table.collect_schema()
        _known(self.groupings, schema.names(), self.source.source)
        for column in (self.source.customer, *self.outcomes.values()):
            if column not in schema.names():
                msg = f"{self.source.source}: {unknown_name('column', column, schema.names())}"
                raise DataError(msg)
        for column in self.outcomes.values():
            if schema[column].is_integer():
                value = nw.col(column)
                other = collect(self.table.filter((value < 0) | (value > 1)).head(1))
                if not other:
                    continue
                msg = (
                    f"{self.source.source}: column {column!r} holds {other[0][column]}; an outcome "
                    "is true or 1, false or 0, or empty while it is pending"
                )
                raise DataError(msg)
            if schema[column] != nw.Boolean:
                msg = (
                    f"{self.source.source}: column {column!r} holds {schema[column]}; an outcome "
                    "is true or 1, false or 0, or empty while it is pending"
                )
                raise DataError(msg)

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's own column names."""
        return tuple(self.table.collect_schema().names())

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
        table = collect(frame.group_by(*by).agg(*aggregates) if by else frame.select(*aggregates))
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


def customers_table(table: Frame, source: CustomersSource) -> Frame:
    """Name the customer column of a customers table `customer`, and check that nobody is null."""
    columns = table.collect_schema().names()
    if source.customer not in columns:
        msg = f"{source.source}: {unknown_name('column', source.customer, columns)}"
        raise DataError(msg)
    if source.customer != "customer" and "customer" in columns:
        table = table.drop("customer")
    table = table.rename({source.customer: "customer"}).drop(FILE)
    nobody = collect(table.filter(nw.col("customer").is_null()).select(nw.len().alias("rows")))
    if nobody[0]["rows"]:
        msg = (
            f"{source.source}: {nobody[0]['rows']} rows have no {source.customer}; fill it in, or "
            "leave those rows out"
        )
        raise DataError(msg)
    return table


def _known(groupings: Iterable[str], columns: Sequence[str], table: str) -> None:
    for column in groupings:
        if column not in columns:
            msg = f"{table}: {unknown_name('grouping', column, columns)}"
            raise DataError(msg)


def _whole(value: Any) -> Any:
    """Read a whole number that a file holds as text; whatever else it holds stays as it is."""
    written = value.strip() if isinstance(value, str) else ""
    return int(written) if written.isdecimal() else value


def _text(value: object) -> str:
    if value is None:
        return MISSING
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return ", ".join(f"{column}={row[column]}" for column in columns if column != "filename")
