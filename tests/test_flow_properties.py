"""The engine against tests/reference.py, over random logs, and what must hold for any log.

WORKBENCH_EXAMPLES=2000 draws that many logs for each test.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from shutil import which
from typing import Any
from unittest.mock import patch

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logs import BASE, NOISE, Case, cases
from reference import HOUR, Period, Plan, Row, Stage

from workbench import numbering, rows
from workbench.deviations import count_next
from workbench.events import EventLog
from workbench.flow import Flow, Step
from workbench.iterations import Span
from workbench.journeys import Journeys
from workbench.learning import count_both, count_steps, learning_table
from workbench.paths import Paths, trace

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
}
Table = Callable[[list[Row]], Any]


def in_duckdb() -> Table:
    """Make tables of one DuckDB connection, with times as whole numbers."""
    connection = duckdb.connect()
    count = iter(range(1000))

    def table(rows: list[Row]) -> Any:
        name = f"table_{next(count)}"
        columns = ", ".join(f'"{column}" {COLUMNS[column]}' for column in rows[0])
        connection.execute(f"CREATE TABLE {name} ({columns})")
        for row in rows:
            connection.table(name).insert(list(row.values()))
        return connection.table(name)

    return table


def in_polars() -> Table:
    """Make Polars tables, with times that carry no zone."""

    def table(rows: list[Row]) -> Any:
        kinds = {name: pl.Int64 if COLUMNS[name] == "BIGINT" else pl.String for name in rows[0]}
        frame = pl.DataFrame(rows, schema=kinds)
        return frame.with_columns(pl.col("at").cast(pl.Datetime("us"))) if "at" in kinds else frame

    return table


def in_pandas() -> Table:
    """Make pandas tables, with times in UTC."""

    def table(rows: list[Row]) -> Any:
        frame = pd.DataFrame(rows)
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
        steps=tuple(Step(name=each.name, events=each.events) for each in plan.steps),
        window=window,
        return_window=(return_window or "unlimited") if plan.returns else None,
        outcome=None if outcome is None else Step(name=outcome.name, events=outcome.events),
        outcome_window=outcome_window,
    )


def traced(case: Case, make: Callable[[], Table] = in_duckdb) -> tuple[Paths, EventLog]:
    """Let the engine follow a case's customers."""
    table, flow = make(), flow_of(case)
    customers = None if case.customers is None else nw.from_native(table(case.customers)).lazy()
    log = EventLog(table(case.rows), time="at")
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
    return reference.entrants(
        case.rows,
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


def kinds(found: dict[str, list[Row]]) -> list[str]:
    """Put what deviated customers did into an order of its own."""
    return sorted(str(each) for rows in found.values() for each in rows)


def without_table(case: Case) -> Case:
    kinds = {column: kind for column, kind in case.groupings.items() if column != "size"}
    return replace(
        case, groupings=kinds, by=[each for each in case.by if each in kinds], customers=None
    )


@few_random_logs
@given(cases())
def test_duckdb_counts_as_the_reference_does(case):
    assert equal(counted(case), expected(case))


@random_logs
@given(cases())
def test_polars_counts_as_the_reference_does(case):
    assert equal(counted(case, in_polars), expected(case))


@few_random_logs
@given(cases().map(without_table))
def test_pandas_counts_as_the_reference_does(case):
    assert equal(counted(case, in_pandas), expected(case))


@few_random_logs
@given(cases().filter(lambda case: case.plan.returns and case.plan.outcome is not None))
def test_both_are_counted_as_in_the_reference(case):
    counts = count_both(traced(case, in_polars)[0])
    found = {name: (each.converted, each.total) for name, each in counts.items()}
    assert found == reference.both(followed(case), case.plan, case.periods, case.until)


@random_logs
@given(cases(), st.data())
def test_deviated_customers_went_where_the_reference_says(case, data):
    step = data.draw(st.sampled_from(case.plan.steps)).name
    paths, log = traced(case, in_polars)
    found = {
        (row["iteration"], row["event"] or reference.NOTHING): row["customers"]
        for row in count_next(paths, log, [step])[step]
    }
    wanted = reference.deviations(followed(case), case.plan, case.periods, step, case.until)
    assert found == wanted


@random_logs
@given(cases())
def test_crossovers_duplicates_and_ties_are_counted(case):
    crossovers = Counter(traced(case, in_polars)[0].crossovers.span.tolist())
    found = {case.periods[span].name: customers for span, customers in crossovers.items()}
    assert found == reference.crossovers(followed(case))
    log, flow = EventLog(in_polars()(case.rows), time="at"), flow_of(case)
    spans = tuple(Span(each.name, each.start, each.end) for each in case.periods)
    journeys = Journeys(log, flow, spans, {})
    assert journeys.duplicates[0] == reference.duplicates(case.rows)
    assert journeys.ties[0] == reference.ties(case.rows, case.plan)


def test_a_trigger_without_a_value_gives_way_to_one_with_a_value():
    alike = {"customer": 1, "event": "a", "at": BASE, "note": 0}
    case = Case(
        rows=[{**alike, "variant": None}, {**alike, "variant": "blank"}],
        plan=Plan(trigger=("a",), steps=(Stage("step 1", ("b",)),), window=None),
        periods=[Period("2026.1", BASE, BASE + HOUR)],
        groupings={"variant": "experiment"},
        by=["variant"],
    )
    for make in (in_duckdb, in_polars, in_pandas):
        assert [row["variant"] for row in counted(case, make)] == ["blank"]


@random_logs
@given(cases())
def test_entered_is_aligned_and_deviated_and_pending(case):
    for row in counted_fast(case):
        assert row["entered"] == row["aligned"] + row["deviated"] + row["pending"]
        assert 0 <= row["converted"] <= min(row["aligned"], row["closed"])
        assert row["pending"] == 0 or flow_of(case).window_of(row["step"]) is not None


@few_random_logs
@given(cases().filter(lambda case: not case.plan.trigger_meets_need))
def test_adoption_and_outcome_leave_the_steps_as_they_are(case):
    plan = replace(case.plan, returns=False, outcome=None, return_window=None, outcome_window=None)
    assert equal(
        [row for row in counted_fast(case) if row["step"] in flow_of(case).names],
        counted_fast(replace(case, plan=plan)),
    )


@random_logs
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(case, random):
    shuffled = list(case.rows)
    random.shuffle(shuffled)
    assert equal(counted_fast(replace(case, rows=shuffled)), counted_fast(case))


@random_logs
@given(cases(), st.data())
def test_noise_changes_nothing(case, data):
    end = max(row["at"] for row in case.rows)
    noise = [
        {**row, "event": data.draw(st.sampled_from(NOISE)), "note": 2, "variant": "other"}
        for row in data.draw(st.lists(st.sampled_from(case.rows), max_size=5))
    ]
    early = [
        {**row, "at": BASE - HOUR, "variant": "other"}
        for row in data.draw(st.lists(st.sampled_from(case.rows), max_size=5))
    ]
    assert max(row["at"] for row in [*case.rows, *noise, *early]) == end
    assert equal(counted_fast(replace(case, rows=[*case.rows, *noise, *early])), counted_fast(case))


@random_logs
@given(cases(), st.data())
def test_exact_duplicates_change_nothing(case, data):
    copies = [dict(row) for row in data.draw(st.lists(st.sampled_from(case.rows), max_size=8))]
    assert equal(counted_fast(replace(case, rows=[*case.rows, *copies])), counted_fast(case))


@random_logs
@given(cases())
def test_rows_after_as_of_are_not_there(case):
    kept = [row for row in case.rows if row["at"] <= case.until]
    if kept:
        assert equal(counted_fast(replace(case, rows=kept, as_of=case.until)), counted_fast(case))


@random_logs
@given(cases().map(lambda case: replace(case, groupings={}, by=[])), st.integers(1, 10))
def test_facts_only_grow_with_as_of(case, hours):
    """Without crossovers, nobody who is aligned, deviated or closed ceases to be so."""
    now = {(row["iteration"], row["step"]): row for row in counted_fast(case)}
    later = {
        (row["iteration"], row["step"]): row
        for row in counted_fast(replace(case, as_of=case.until + hours * HOUR))
    }
    for key, row in now.items():
        limited = flow_of(case).window_of(row["step"]) is not None
        for name in ["entered", "aligned", "converted", "closed", *["deviated"] * limited]:
            assert later[key][name] >= row[name]


@random_logs
@given(cases(), st.integers(1, 4), st.integers(1, 3), st.data())
def test_dividing_customers_never_matters(case, size, at_once, data):
    """As if memory held a handful of rows, and ids were too far apart to be numbers themselves."""
    step = data.draw(st.sampled_from(case.plan.steps)).name
    paths, log = traced(case, in_polars)
    with (
        patch.object(rows, "SHARE", size),
        patch.object(rows, "BATCH", size * at_once),
        patch.object(numbering, "FEW", 0),
        patch.object(numbering, "CLOSE", 0),
    ):
        assert equal(counted_fast(case), expected(case))
        again, same_log = traced(case, in_polars)
        assert again.numbering.lowest is None
        assert kinds(count_next(again, same_log, [step])) == kinds(count_next(paths, log, [step]))


@few_random_logs
@given(cases().map(without_table), st.integers(0, 30))
def test_splitting_files_never_matters(tmp_path_factory, case, place):
    folder = tmp_path_factory.mktemp("split")
    parts = [part for part in (case.rows[:place], case.rows[place:]) if part]
    for number, part in enumerate(parts):
        in_duckdb()(part).write_parquet(str(folder / f"part-{number}.parquet"))

    def from_files() -> Table:
        return lambda _: duckdb.connect().read_parquet(str(folder / "*.parquet"))

    assert equal(counted(case, from_files), counted(case))


@pytest.fixture(scope="session")
def spark():
    if find_spec("pyspark") is None:
        pytest.skip("Spark is not installed; `pip install pyspark` adds it")
    if which("java") is None:
        pytest.skip("Spark needs Java; install a Java runtime of version 17 or newer")
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.spark
@settings(random_logs, max_examples=max(3, EXAMPLES // 25))
@given(case=cases())
def test_spark_counts_as_the_reference_does(spark, case):
    def in_spark() -> Table:
        def table(rows: list[Row]) -> Any:
            columns = ", ".join(f"{column} {COLUMNS[column]}" for column in rows[0])
            schema = columns.replace("VARCHAR", "STRING")
            return spark.createDataFrame([tuple(row.values()) for row in rows], schema)

        return table

    assert equal(counted(case, in_spark), expected(case))
