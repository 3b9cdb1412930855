"""Event logs: any table in, checked, as a lazy frame on the engine that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
from pydantic import field_validator

from workbench.engines import AT, FILE, Frame, collect, ends, in_order, instants, lazy
from workbench.errors import DataError, unknown_name
from workbench.iterations import from_instant
from workbench.numbering import Numbering
from workbench.specs import Name, Spec


class EventsSource(Spec):
    """Where a study's events are, and which column is what."""

    source: Name
    customer: Name
    event: Name
    time: Name
    timezone: Name = "UTC"
    where: Mapping[str, str | int | bool] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            msg = f"unknown time zone {name!r}; write it as UTC or Europe/Amsterdam"
            raise ValueError(msg) from None
        return name


@dataclass(frozen=True)
class Facts:
    """How many rows a log has, and its oldest and newest time in microseconds since 1970."""

    rows: int
    oldest: int
    newest: int


@dataclass(frozen=True)
class EventLog:
    """An event log as a lazy frame: one row an event, with customer, event name and time.

    `table` is a DuckDB relation, a pandas, Polars or PyArrow table, a Polars LazyFrame or a Spark
    DataFrame; the work stays with its engine (pandas and PyArrow tables are read by DuckDB).
    `time` holds moments, or times without a zone, which are `timezone`'s; whole numbers are
    microseconds since 1970 in UTC. Rows that differ from `where` are left out.

    Raises DataError for a missing column, a time that cannot be read, a null customer or time.

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
    where: Mapping[str, str | int | bool] = field(default_factory=dict)
    name: str = "the log"
    _numberings: dict[Any, Numbering] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def source(self) -> Frame:
        """Every column as it came, filtered by `where`, on its engine."""
        frame = lazy(self.table)
        columns = frame.collect_schema().names()
        for role in (self.customer, self.event, self.time, *self.where):
            if role not in columns:
                raise DataError(f"{self.name}: {unknown_name('column', role, columns)}")
        for column, value in self.where.items():
            frame = frame.filter(nw.col(column) == nw.lit(value))
        return frame

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The table's own column names."""
        return tuple(self.source.collect_schema().names())

    def rows(self, *columns: str) -> Frame:
        """Give `customer`, `event` and `at` (microseconds since 1970, UTC), with more `columns`."""
        return self._of(self._timed, columns)

    def distinct_rows(self, *columns: str) -> Frame:
        """Give what `rows` does, of rows that are equal in every column only one."""
        every = [column for column in self.columns if column != FILE]
        return self._of(self._timed.unique([*every, AT]), columns)

    def _of(self, frame: Frame, columns: Sequence[str]) -> Frame:
        return frame.select(
            nw.col(self.customer).alias("customer"),
            nw.col(self.event).alias("event"),
            nw.col(AT).alias("at"),
            *(nw.col(column).alias(f"by {column}") for column in columns),
        )

    @cached_property
    def _timed(self) -> Frame:
        return instants(self.source, self.time, self.timezone, self.name)

    @cached_property
    def facts(self) -> Facts:
        """Count rows and nulls, and find the ends; raise DataError for what nothing could use."""
        known = {self.customer: self.customer, AT: self.time}
        counts = [nw.col(column).count().alias(column) for column in known]
        found = collect(self._timed.select(nw.len().alias("rows"), *counts))[0]
        if not found["rows"]:
            where = f" where {dict(self.where)}" if self.where else ""
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
