"""The engine against tests/support/reference.py, over random logs, and what must hold for any log.

WORKBENCH_EXAMPLES=2000 draws that many logs for each test.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from shutil import which
from typing import Any
from unittest.mock import patch

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.counted_logs import (
    EXAMPLES,
    Table,
    counted,
    counted_fast,
    equal,
    expected,
    few_random_logs,
    flow_of,
    followed,
    identities_of,
    in_duckdb,
    in_pandas,
    in_polars,
    kind_of,
    random_logs,
    traced,
    without_table,
)
from support.logs import BASE, IDS, NOISE, Case, cases, with_ids
from support.reference import HOUR, Period, Plan, Row, Stage

from workbench.data import event_log, walk
from workbench.data.counts import OutcomesTable
from workbench.data.event_log import EventLog
from workbench.data.metrics import count_both, count_next
from workbench.data.study_data import Journeys
from workbench.errors import DataError
from workbench.schema.study import CustomersSource
from workbench.schema.time import Span

SIZES = {"small": "1.0", "large": "2.5", "(missing)": "(missing)"}


def kinds(found: dict[str, list[Row]]) -> list[str]:
    """Put what deviated customers did into an order of its own."""
    return sorted(str(each) for rows in found.values() for each in rows)


@few_random_logs
@given(cases())
def test_duckdb_counts_as_the_reference_does(case):
    assert equal(counted(case), expected(case))


@random_logs
@given(cases())
def test_polars_counts_as_the_reference_does(case):
    assert equal(counted(case, in_polars), expected(case))


@few_random_logs
@given(cases(), st.sampled_from(sorted(IDS)))
def test_ids_of_every_kind_are_counted_alike(case, kind):
    """Text, whole numbers, floats and numbers that no float holds; NaN is no group."""
    wanted = [
        {**row, **({"size": SIZES[row["size"]]} if "size" in row else {})} for row in expected(case)
    ]
    wanted.sort(key=lambda row: [str(row[each]) for each in ("iteration", *case.by)])
    for make in (in_duckdb, in_polars):
        found = counted(with_ids(case, kind), make)
        found.sort(key=lambda row: [str(row[each]) for each in ("iteration", *case.by)])
        assert equal(found, wanted)


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
@given(cases().filter(lambda case: case.plan.returns), st.integers(1, 40))
def test_hypotheses_count_adoption_over_all_who_entered(case, hours):
    """Opportunity and return both no later than trigger + adoption_window, or not adopted [11]."""
    paths, _ = traced(case, in_polars)
    limited = paths.flow.model_copy(update={"adoption_window": timedelta(hours=hours)})
    metric = replace(paths, flow=limited, claimed=True).metric("adoption")
    everyone = followed(case)
    closed = [each for each in everyone if each.start + hours * HOUR <= case.until]
    adopted = [
        each
        for each in everyone
        if each.returned is not None and each.returned <= each.start + hours * HOUR
    ]
    assert metric.about.sum() == len(everyone)
    assert metric.closed.sum() == len(closed)
    assert metric.reached.sum() == len(adopted)
    assert (metric.reached & metric.closed).sum() == sum(each in closed for each in adopted)


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
    entries, found = traced(case, in_polars)[0].entries, {}
    for column, after in entries.crossed.items():
        for place, period in enumerate(case.periods):
            if crossed := sorted(after[(entries.span == place) & (after >= 0)].tolist()):
                found[period.name, column] = crossed
    assert found == reference.crossovers(followed(case))
    ids = identities_of(case, in_polars())
    log, flow = EventLog(in_polars()(case.rows), time="at", identities=ids), flow_of(case)
    spans = tuple(Span(each.name, each.start, each.end) for each in case.periods)
    journeys = Journeys(log, flow, spans, {})
    rows = reference.resolved(case.rows, case.identities or [])
    assert journeys.duplicates[0] == reference.duplicates(rows)
    assert journeys.ties[0] == reference.ties(rows, case.plan)


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
    """Nobody who is aligned, deviated or closed ceases to be so."""
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
        patch.object(walk, "CHUNK", size),
        patch.object(walk, "BATCH", size * at_once),
        patch.object(event_log, "FEW", 0),
        patch.object(event_log, "CLOSE", 0),
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

    assert equal(
        counted(replace(case, identities=None), from_files), counted(replace(case, identities=None))
    )


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
@given(case=cases(), kind=st.sampled_from(sorted(IDS)))
def test_spark_counts_as_the_reference_does(spark, case, kind):
    def in_spark() -> Table:
        def table(rows: list[Row]) -> Any:
            columns = ", ".join(f"{column} {kind_of(column, rows)}" for column in rows[0])
            schema = columns.replace("VARCHAR", "STRING")
            return spark.createDataFrame([tuple(row.values()) for row in rows], schema)

        return table

    assert equal(counted(case, in_spark), expected(case))
    plain = without_table(case)
    assert equal(counted(with_ids(plain, kind), in_spark), expected(plain))


@st.composite
def tables_of_outcomes(draw: st.DrawFn) -> list[Row]:
    return draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "customer": st.integers(1, 5),
                    "arm": st.sampled_from(("a", "b", "b", "b")),
                    "size": st.sampled_from(("small", "large")),
                    "done": st.sampled_from((True, False, None)),
                }
            ),
            min_size=1,
            max_size=8,
        )
    )


@random_logs
@given(
    tables_of_outcomes(),
    st.sampled_from(["customer", "visit", "none"]),
    st.sampled_from(["arm", "size"]),
)
def test_outcomes_are_counted_as_the_reference_does(rows, per, by):
    groupings = {"arm": "experiment", "size": "segment"}
    source = CustomersSource(
        source="t.csv",
        customer="none" if per == "none" else "customer",
        per="visit" if per == "visit" else "customer",
    )
    frame = nw.from_native(pl.DataFrame(rows, schema_overrides={"done": pl.Boolean}).lazy())
    wanted = reference.outcomes(rows, by, "arm", per)
    if wanted is None:
        with pytest.raises(DataError, match="say different things"):
            OutcomesTable(frame, source, {"done": "done"}, groupings)
        return
    table = OutcomesTable(frame, source, {"done": "done"}, groupings)
    found = {
        each.cohort[0]: (each.entered, each.aligned, each.deviated, each.pending)
        for each in table.count_steps([Span("one", 0, 0)], [by])
    }
    assert found == wanted
