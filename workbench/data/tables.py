"""The tables that a study names, opened on one connection and read as its file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import narwhals as nw

from workbench.data.counts import CountsTable, OutcomesTable, customers_table
from workbench.data.engines import FILE, Frame, collect, native_frame, quoted
from workbench.data.event_log import EventLog
from workbench.data.identities import Identities
from workbench.data.readers import Source, expression, named, read_table
from workbench.data.times import AT
from workbench.errors import DataError
from workbench.schema.cohort import Grouping
from workbench.schema.study import NO_IDS, EventsSource, StudySpec
from workbench.schema.time import in_zone, to_instant

EVENT = "(event)"


@dataclass(frozen=True)
class Tables:
    """A study's tables. Each is read when it is first asked for; DataError for what cannot be."""

    spec: StudySpec
    folder: Path

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection on which all tables live, so that they can be joined."""
        return duckdb.connect()

    @cached_property
    def identities(self) -> Identities | None:
        """Which ids stand for others, if the study says so."""
        source = self.spec.identities
        if source is None:
            return None
        table = read_table(source, self.folder, self.connection)
        return Identities(table, source.old, source.new, source.source)

    def read(self, source: Source, customer: str | None = None) -> Frame:
        """Read a table, cut its groupings into bins, and replace ids that stand for others."""
        frame = read_table(source, self.folder, self.connection)
        columns = frame.collect_schema().names()
        for column, grouping in self.spec.groupings.items():
            if column in columns and grouping.bins:
                frame = binned(frame, column, grouping, source.source or "")
        if customer in columns and self.identities is not None:
            frame = named(frame, [str(customer)], source.source or "", ids=True)
            frame = self.identities.resolve(frame, str(customer))
        return frame

    @cached_property
    def customers(self) -> Frame | None:
        """The customers table beside a log, with the ids in `customer`."""
        source = self.spec.customers
        if source is None:
            return None
        table = customers_table(self.read(source, source.customer), source)
        known = [each for each in self.spec.groupings if each in table.collect_schema().names()]
        return named(table, known, source.source)

    @cached_property
    def counts(self) -> CountsTable | None:
        """The counts, if the study has them."""
        source = self.spec.counts
        return None if source is None else CountsTable(self.read(source), source, self.spec.kinds)

    @cached_property
    def outcomes(self) -> OutcomesTable | None:
        """The outcomes, if the study has them and no events."""
        source, spec = self.spec.customers, self.spec
        if source is None or spec.events:
            return None
        customer = None if source.customer == NO_IDS else source.customer
        return OutcomesTable(self.read(source, customer), source, spec.outcomes, spec.kinds)

    @cached_property
    def logs(self) -> tuple[EventLog, ...]:
        """The event log's tables, each as a log of its own."""
        return tuple(self._log(source) for source in self.spec.events)

    @cached_property
    def log(self) -> EventLog | None:
        """The event log, if the study has one; several tables are put below each other."""
        if len(self.logs) < 2:
            return self.logs[0] if self.logs else None
        return joined(self.logs)

    @property
    def through(self) -> int | None:
        """The time through which the log is complete: the earliest that its tables state."""
        ends = [
            to_instant(in_zone(each.through, ZoneInfo(each.timezone)))
            for each in self.spec.events
            if each.through is not None
        ]
        return min(ends, default=None)

    def _log(self, source: EventsSource) -> EventLog:
        table, event = self.read(source), source.event
        if event is None:
            table, event = table.with_columns(nw.lit(source.event_name).alias(EVENT)), EVENT
        return EventLog(
            table,
            customer=source.customer,
            event=event,
            time=source.time,
            timezone=source.timezone,
            where=source.where,
            name=source.source,
            time_format=source.time_format,
            identities=self.identities,
        )


def joined(logs: Sequence[EventLog]) -> EventLog:
    """Put event logs of one DuckDB connection below each other, with text in all other columns.

    Raises:
        DataError: For a log without rows.
    """
    frames = []
    for log in logs:
        _ = log.facts
        roles = {log.customer, log.event, log.time, "customer", "event", "time", FILE}
        others = [column for column in log.columns if column not in roles]
        rows = log.rows(*others).rename({f"by {column}": column for column in others})
        text = [nw.col(column).cast(nw.String) for column in ("customer", "event", *others)]
        native = rows.select(*text, AT[1:-1]).to_native()
        time = f"make_timestamptz({quoted(AT[1:-1])}) as time"
        native = native.project(f"* exclude ({quoted(AT[1:-1])}), {time}")
        frames.append(native_frame(native))
    table = nw.concat(frames, how="diagonal")
    return EventLog(table, name=", ".join(dict.fromkeys(log.name for log in logs)))


def binned(frame: Frame, column: str, grouping: Grouping, table: str) -> Frame:
    """Replace a column's numbers by the names of the bins in which they lie.

    Raises:
        DataError: For values that are no numbers.
    """
    value, kind = nw.col(column), frame.collect_schema()[column]
    if not kind.is_numeric():
        text = value.cast(nw.String).str.strip_chars()
        whole = text.str.contains(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
        if odd := collect(frame.filter(~value.is_null(), ~whole).select(column).head(1)):
            msg = (
                f"{table}: column {column!r} holds {odd[0][column]!r}, which is no number; correct "
                f"it, or leave the bins of {column} out"
            )
            raise DataError(msg)
        value = text.cast(nw.Float64)
    else:
        read: Any = expression(frame, column, table)
        value = value if read is None else read
    label = nw.lit(grouping.labels[-1])
    for cut, name in reversed(list(zip(grouping.bins, grouping.labels, strict=False))):
        label = nw.when(value < cut).then(nw.lit(name)).otherwise(label)
    return frame.with_columns(nw.when(~value.is_null()).then(label).alias(column))
