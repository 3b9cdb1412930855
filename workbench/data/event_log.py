"""Event logs: any table, checked, as a lazy frame on the engine that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import narwhals as nw

from workbench.data.conditions import MEETS, filtered, marked
from workbench.data.engines import (
    FILE,
    Frame,
    collect,
    distinct,
    ends,
    keep,
    lazy,
)
from workbench.data.identities import Identities
from workbench.data.readers import expression, named
from workbench.data.times import AT, in_order, instants
from workbench.errors import DataError, unknown_name
from workbench.schema.conditions import Condition
from workbench.schema.flow import MARK, Flow
from workbench.schema.time import from_instant

CLOSE = 8  # ids that leave out so many for each row are still their own numbers
FEW = 10_000
LARGEST = 2**63 - 1
MARKED = "(marked)"


@dataclass(frozen=True)
class Numbering:
    """Customers by number; `count` is one more than the largest one.

    Ids that are whole numbers and lie close together are their own numbers, less the `lowest`;
    others are numbered by the engine. `customers` is a frame with all of them.
    """

    customers: Frame = field(repr=False)
    count: int
    lowest: int | None

    @classmethod
    def of(cls, rows: Frame, names: Sequence[str], length: int) -> Numbering:
        """Number who has one of these events, at least, in a log of such a length."""
        customers = rows.select("customer")
        if customers.collect_schema()["customer"].is_integer():
            lowest, highest = ends(customers, "customer", "customer")
            count = highest - lowest + 1
            if count <= max(CLOSE * length, FEW) and highest <= LARGEST:
                return cls(customers, count, lowest)
        wanted = distinct(rows.filter(nw.col("event").is_in(names)), "customer")
        ids = keep(wanted.with_row_index("number", order_by="customer"))
        count = collect(ids.select(nw.len().alias("customers")))[0]["customers"]
        return cls(ids.with_columns(nw.col("number").cast(nw.Int64)), max(count, 1), None)

    @cached_property
    def ids(self) -> Frame:
        """Every customer once, with the number."""
        if self.lowest is None:
            return self.customers
        return self.number(distinct(self.customers, "customer"))

    def number(self, rows: Frame) -> Frame:
        """Add `number` to rows of the log; those of customers without one drop out."""
        if self.lowest is not None:
            number = nw.col("customer").cast(nw.Int64) - self.lowest
            return rows.with_columns(number.alias("number"))
        return rows.join(self.ids, on="customer")

    def match(self, table: Frame) -> Frame:
        """Add `number` to a table of customers; those without one drop out.

        Ids of another type than the log's are compared as text.
        """
        kind, own = (each.collect_schema()["customer"] for each in (table, self.customers))
        if self.lowest is not None and kind.is_integer():
            return table.with_columns(self._own).filter(~nw.col("number").is_null())
        if kind == own:
            return table.join(self.ids, on="customer")
        name = nw.col("customer").cast(nw.String).alias("(name)")
        ids = self.ids.select(name, "number")
        return table.with_columns(name).join(ids, on="(name)").drop("(name)")

    def known(self, names: Sequence[str]) -> dict[int, str]:
        """Return the numbers of those of these customers, named by their ids as text, who are known."""
        ids = self.ids.with_columns(nw.col("customer").cast(nw.String))
        found = collect(ids.filter(nw.col("customer").is_in(names)))
        return {int(row["number"]): row["customer"] for row in found}

    @property
    def _own(self) -> nw.Expr:
        """The number of an id that is a whole number; null for ids between which nobody of us lies."""
        customer, lowest = nw.col("customer"), self.lowest or 0
        ours = (customer >= lowest) & (customer <= lowest + self.count - 1)
        return (nw.when(ours).then(customer).cast(nw.Int64) - lowest).alias("number")


@dataclass(frozen=True)
class Facts:
    """How many rows a log has, and its oldest and newest time in microseconds since 1970."""

    rows: int
    oldest: int
    newest: int


@dataclass(frozen=True)
class EventLog:
    """An event log as a lazy frame: one row an event, with customer, event name and time.

    Attributes:
        table: A DuckDB relation, a pandas, Polars or PyArrow table, a Polars LazyFrame or a Spark
            DataFrame. The work stays with its engine; pandas and PyArrow tables are read by DuckDB.
        customer: The column with the customer's id.
        event: The column with the event's name.
        time: The column with the event's time: moments, dates, text, or numbers since 1970 of the
            one unit that puts all of them between 1990 and 2100 (see `workbench.data.times`).
        timezone: The zone of times that carry none.
        where: By column what rows must hold to be read: a value, a list, or a `Condition`.
        name: What errors call the log.
        time_format: How times are written: a format of `strptime`, epoch_s, epoch_ms, epoch_us or
            epoch_ns.
        identities: Which ids stand for others, on the table's engine; each is its own without any.

    Raises:
        DataError: A column is missing, a time cannot be read, or a customer or time is null; raised
            when the log is first read.

    >>> import pandas as pd
    >>> log = EventLog(
    ...     pd.DataFrame({"who": [1, 1], "what": ["a", "b"], "at": ["2026-01-05", "2026-01-06"]}),
    ...     customer="who", event="what", time="at",
    ... )
    >>> log.newest.isoformat(), dict(log.names)
    ('2026-01-06T00:00:00+00:00', {'a': 1, 'b': 1})
    """

    table: Any = field(repr=False)
    customer: str = "customer"
    event: str = "event"
    time: str = "time"
    timezone: str = "UTC"
    where: Mapping[str, Any] = field(default_factory=dict)
    name: str = "the log"
    time_format: str | None = None
    identities: Identities | None = None
    _names: dict[str, nw.Expr | None] = field(default_factory=dict, repr=False, compare=False)
    _numberings: dict[Any, Numbering] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def source(self) -> Frame:
        """Every column as it came, filtered by `where`, on its engine."""
        frame = lazy(self.table)
        columns = frame.collect_schema().names()
        for role in (self.customer, self.event, self.time):
            if role not in columns:
                raise DataError(f"{self.name}: {unknown_name('column', role, columns)}")
        frame = filtered(frame, self.where, self.name, self.timezone)
        frame = named(frame, [self.event], self.name)
        frame = named(frame, [self.customer], self.name, ids=True)
        if self.identities is None:
            return frame
        return self.identities.beside(frame).resolve(frame, self.customer)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The table's own column names."""
        return tuple(self.source.collect_schema().names())

    def rows(self, *columns: str) -> Frame:
        """Return `customer`, `event` and `at` (microseconds since 1970, UTC), with more `columns`."""
        return self._of(self._timed, columns)

    def rows_for(self, flow: Flow, *columns: str) -> tuple[Frame, Flow]:
        """Return what `rows` does as a flow needs it, and that flow over the names of these events.

        Of rows that are equal in every column only one is left where no row may serve twice. Rows of
        events on which steps have conditions are named by those that they meet; see `Flow.marked`.
        """
        frame, event = self._timed, nw.col(self.event)
        if flow.shared_events:
            every = [column for column in self.columns if column != FILE]
            frame = frame.unique([*every, AT])
        if not flow.conditional:
            return self._of(frame, columns), flow
        frame, so_far = frame.with_columns(event.alias(MARKED)), nw.col(MARKED)
        for step in flow.conditional:
            frame = marked(frame, step.where, self.name, self.timezone)
            more = nw.concat_str([so_far, nw.lit(MARK + step.name)])
            its = event.is_in(step.events) & nw.col(MEETS)
            frame = frame.with_columns(
                nw.when(its).then(more).otherwise(so_far).alias(MARKED)
            ).drop(MEETS)
        rows = keep(self._of(frame, columns, MARKED))
        here = rows.filter(~nw.col("event").is_null())
        names = {row["event"] for row in collect(distinct(here, "event"))}
        return rows, flow.marked(names)

    def _of(self, frame: Frame, columns: Sequence[str], event: str | None = None) -> Frame:
        return frame.select(
            nw.col(self.customer).alias("customer"),
            nw.col(event or self.event).alias("event"),
            nw.col(AT).alias("at"),
            *(self._named(column).alias(f"by {column}") for column in columns),
        )

    def _named(self, column: str) -> nw.Expr:
        if column not in self._names:
            self._names[column] = expression(self.source, column, self.name)
        found = self._names[column]
        return nw.col(column) if found is None else found

    @cached_property
    def _timed(self) -> Frame:
        return instants(self.source, self.time, self.timezone, self.name, self.time_format)

    @cached_property
    def facts(self) -> Facts:
        """Count rows and nulls, and find the ends; raise DataError for what nothing could use."""
        known = {self.customer: self.customer, AT: self.time}
        counts = [nw.col(column).count().alias(column) for column in known]
        found = collect(self._timed.select(nw.len().alias("rows"), *counts))[0]
        if not found["rows"]:
            said = [
                f"{column} is {Condition.model_validate(each)}"
                for column, each in self.where.items()
            ]
            where = f" where {' and '.join(said)}" if said else ""
            msg = f"{self.name} has no rows{where}; an empty log has nobody to learn from"
            raise DataError(msg)
        for column, name in known.items():
            if missing := int(found["rows"]) - int(found[column]):
                msg = (
                    f"{self.name}: {missing} of {found['rows']} rows have no {name}; "
                    "fill it in, or leave those rows out"
                )
                raise DataError(msg)
        kind = self.source.collect_schema()[self.time]
        by = self.time if in_order(kind, self.timezone) else AT
        return Facts(int(found["rows"]), *ends(self._timed, AT, by))

    def numbering(self, names: tuple[str, ...]) -> Numbering:
        """Number the customers who have one of these events, at least."""
        if names not in self._numberings:
            self._numberings[names] = Numbering.of(self.rows(), names, self.facts.rows)
        return self._numberings[names]

    @cached_property
    def names(self) -> Mapping[str, int]:
        """How many rows each event name has."""
        counted = collect(self.rows().group_by("event").agg(nw.len().alias("rows")))
        named = [(row["event"], row["rows"]) for row in counted if row["event"] is not None]
        return dict(sorted(named))

    @property
    def newest(self) -> datetime:
        """The newest event's time: what `as_of` defaults to."""
        return from_instant(self.facts.newest)

    def require(self, names: Sequence[str], place: str) -> None:
        """Raise DataError, with the nearest names that do occur, when none of `names` occurs."""
        if not any(name in self.names for name in names):
            said = unknown_name("event", " or ".join(names), self.names)
            msg = f"{self.name}: the {place} never occurs: {said}"
            raise DataError(msg)
