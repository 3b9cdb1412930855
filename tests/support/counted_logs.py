"""Random logs counted: by each engine, and by the reference."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
from hypothesis import HealthCheck, settings
from support import reference
from support.logs import Case
from support.reference import Row

from workbench.data.counts import customers_table
from workbench.data.event_log import EventLog
from workbench.data.identities import Identities
from workbench.data.metrics import count_steps, learning_table
from workbench.data.paths import Paths, trace
from workbench.schema.flow import Flow, Step
from workbench.schema.study import CustomersSource
from workbench.schema.time import Span

Table = Callable[[list[Row]], Any]
EXAMPLES = int(os.environ.get("WORKBENCH_EXAMPLES", "100"))


random_logs = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


few_random_logs = settings(random_logs, max_examples=max(3, EXAMPLES // 5))


COLUMNS = {
    "customer": "BIGINT",
    "event": "VARCHAR",
    "at": "BIGINT",
    "variant": "VARCHAR",
    "note": "BIGINT",
    "size": "VARCHAR",
    "old": "VARCHAR",
    "new": "VARCHAR",
}


def kind_of(column: str, rows: list[Row]) -> str:
    """Return the type of a column: that of its first value, or else its usual one."""
    value = next((row[column] for row in rows if row[column] is not None), None)
    kinds = {str: "VARCHAR", float: "DOUBLE", int: "BIGINT"}
    return COLUMNS[column] if value is None else kinds[type(value)]


def in_duckdb() -> Table:
    """Make tables of one DuckDB connection, with times as whole numbers."""
    connection = duckdb.connect()
    count = iter(range(1000))

    def table(rows: list[Row]) -> Any:
        name = f"table_{next(count)}"
        columns = ", ".join(f'"{column}" {kind_of(column, rows)}' for column in rows[0])
        connection.execute(f"CREATE TABLE {name} ({columns})")
        for row in rows:
            connection.table(name).insert(list(row.values()))
        return connection.table(name)

    return table


def in_polars() -> Table:
    """Make Polars tables, with times that carry no zone."""

    def table(rows: list[Row]) -> Any:
        known = {"BIGINT": pl.Int64, "DOUBLE": pl.Float64, "VARCHAR": pl.String}
        kinds = {name: known[kind_of(name, rows)] for name in rows[0]}
        frame = pl.DataFrame(rows, schema=kinds)
        return frame.with_columns(pl.col("at").cast(pl.Datetime("us"))) if "at" in kinds else frame

    return table


def in_pandas() -> Table:
    """Make pandas tables, with times in UTC."""

    def table(rows: list[Row]) -> Any:
        frame = pd.DataFrame(rows)
        if "at" in frame:
            frame["at"] = pd.to_datetime(frame["at"], unit="us", utc=True)
        return frame

    return table


def flow_of(case: Case) -> Flow:
    plan = case.plan
    window, return_window, outcome_window = (
        None if each is None else timedelta(microseconds=each)
        for each in (plan.window, plan.return_window, plan.outcome_window)
    )
    outcome = plan.outcome
    return Flow(
        trigger=plan.trigger,
        steps=tuple(_step(each) for each in plan.steps),
        window=window,
        return_window=(return_window or "unlimited") if plan.returns else None,
        outcome=None if outcome is None else _step(outcome),
        outcome_window=outcome_window,
        exits=plan.exits,
        entrants=plan.entrants,
    )


def _step(stage: reference.Stage) -> Step:
    return Step(name=stage.name, events=stage.events, where=dict(stage.where))


def identities_of(case: Case, table: Table) -> Identities | None:
    """Make the table of a case's identities."""
    if case.identities is None:
        return None
    return Identities(
        table([{"old": old, "new": new} for old, new in case.identities]), "old", "new"
    )


def traced(case: Case, make: Callable[[], Table] = in_duckdb) -> tuple[Paths, EventLog]:
    """Let the engine follow a case's customers."""
    table, flow = make(), flow_of(case)
    customers = None
    if case.customers is not None:
        source = CustomersSource(source="customers.parquet", customer="customer")
        customers = customers_table(nw.from_native(table(case.customers)).lazy(), source)
    log = EventLog(table(case.rows), time="at", identities=identities_of(case, table))
    paths = trace(
        log,
        flow,
        [Span(each.name, each.start, each.end) for each in case.periods],
        as_of=case.as_of,
        groupings=case.groupings,
        customers=customers,
    )
    return paths, log


def counted(case: Case, make: Callable[[], Table] = in_duckdb) -> list[Row]:
    """Let the engine count a case."""
    paths, _ = traced(case, make)
    flow = paths.flow
    names = [each.name for each in case.periods]
    found = learning_table(count_steps(paths, case.by), case.by, names, flow.metrics)
    return found.to_dict("records")


def counted_fast(case: Case) -> list[Row]:
    """Let the engine count a case in Polars, which starts faster on so few rows."""
    return counted(case, in_polars)


def followed(case: Case) -> list[reference.Entrant]:
    """Let the reference follow a case's customers."""
    rows = case.rows
    if case.identities is not None:
        rows = reference.resolved(rows, case.identities)
    return reference.entrants(
        rows,
        case.plan,
        case.periods,
        as_of=case.until,
        groupings=case.groupings,
        customers=case.customers,
    )


def expected(case: Case) -> list[Row]:
    """Let the reference count a case."""
    return reference.metrics(followed(case), case.plan, case.periods, case.by, case.until)


def equal(found: list[Row], wanted: list[Row]) -> bool:
    return len(found) == len(wanted) and all(map(reference.same, found, wanted))


def without_table(case: Case) -> Case:
    kinds = {column: kind for column, kind in case.groupings.items() if column != "size"}
    return replace(
        case, groupings=kinds, by=[each for each in case.by if each in kinds], customers=None
    )
