"""Files of indicators: long and wide, on several engines, and what in them is no indicator.

A study's indicators: of its file, of its event log, of a cohort; and what check says of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from support.indicator_studies import indicators_of
from typer.testing import CliRunner

from workbench import Study
from workbench.cli import app
from workbench.data.engines import lazy
from workbench.data.readers import read_table
from workbench.errors import DataError, StudyError
from workbench.indicators.sources import read_indicators, unnamed_indicators
from workbench.indicators.values import indicator_problems
from workbench.schema.indicators import IndicatorDefinition, IndicatorsSource

NAN = np.nan
LONG = """\
customer,period,indicator,value
007,2026-01,nps,8
007,2026-03,nps,
007,2026-03-05,renewal,Yes
b,2026-01-05,nps,6
b,2026-01-20,nps,7
b,2026-01-21,tickets,1
b,2026-01-22,tickets,2
,2026-02,margin,.5
b,2026-04,other,1
"""
WIDE = """\
customer,period,nps,renewal,tickets
007,2026-01,8,,
007,2026-03,,true,
b,2026-01,6.5,,3
b,2026-04,,,
"""
DEFINITIONS = {
    "nps": {"kind": "leading"},
    "renewal": {"kind": "lagging", "unit": "yes/no"},
    "tickets": {"kind": "lagging", "combine": "sum"},
}
EVENTS = """\
events: {source: events.csv, customer: who, event: what, time: at}
customers: {source: customers.csv, customer: who}
groupings: {variant: experiment, size: segment}
flow:
  trigger: opened
  steps: [previewed, imported]
  window: 2d
iterations:
  - {name: "1", start: 2026-01-05, end: 2026-02-02}
"""
INDICATORS = """\
indicators:
  source: indicators.csv
  period: week
  definitions:
    nps: {kind: leading, step: previewed, freshness: 14d}
    time_to_value: {kind: leading, step: imported, from_flow: median_hours}
    previewing: {kind: lagging, step: previewed, from_flow: rate}
"""
ONLY = INDICATORS.split("    time", maxsplit=1)[0].replace("step: previewed, ", "")
ROWS = "customer,period,indicator,value\na,2025-12-29,nps,8\nb,2026-01-05,nps,4\n"


def source(definitions=DEFINITIONS, **more) -> IndicatorsSource:
    plain = {"source": "indicators.csv", "period": "month", "definitions": definitions}
    return IndicatorsSource.model_validate(plain | more)


def of_csv(text: str, spec: IndicatorsSource, folder: Path):
    (folder / "indicators.csv").write_text(text, encoding="utf-8")
    return read_table(spec, folder, duckdb.connect())


@pytest.mark.parametrize("text", [LONG, WIDE], ids=["long", "wide"])
def test_long_and_wide_files_say_the_same(tmp_path, text):
    found = read_indicators(of_csv(text, source(), tmp_path), source())
    assert found.customers == ("007", "b")
    assert found.periods.names == ("2026-01", "2026-02", "2026-03", "2026-04")
    expected = {
        "nps": [[8, NAN, NAN, NAN], [6.5, NAN, NAN, NAN]],
        "renewal": [[NAN, NAN, 1, NAN], [NAN] * 4],
        "tickets": [[NAN] * 4, [3, NAN, NAN, NAN]],
    }
    for name, values in found.panel(list(expected)).items():
        np.testing.assert_array_equal(values, expected[name])
    assert found.present.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_values_that_share_a_period_and_values_of_nobody(tmp_path):
    spec = source({**DEFINITIONS, "margin": {"kind": "lagging"}})
    table = of_csv(LONG, spec, tmp_path)
    found = read_indicators(table, spec)
    assert found.repeated == {"nps": 1, "renewal": 0, "tickets": 1, "margin": 0}
    assert found.by_customer == ("nps", "renewal", "tickets")
    assert found.series("margin").values.tolist() == pytest.approx(
        [NAN, 0.5, NAN, NAN], nan_ok=True
    )
    assert unnamed_indicators(table, spec) == ["other"]
    assert unnamed_indicators(of_csv(WIDE, source(), tmp_path), source()) == []


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, duckdb.from_df])
def test_other_tables(make):
    rows = {"week": ["2026-W01", "2026-W03"], "nps": [7.0, None], "tickets": [1, 2]}
    table = lazy(make(pd.DataFrame(rows)) if make is duckdb.from_df else make(rows))
    names = {"nps": {"kind": "leading"}, "tickets": {"kind": "lagging"}}
    found = read_indicators(table, source(names, period="week", columns={"period": "week"}))
    assert found.series("nps").values.tolist() == pytest.approx([7, NAN, NAN], nan_ok=True)
    assert found.series("tickets").values.tolist() == pytest.approx([1, NAN, 2], nan_ok=True)
    assert found.customers == ()


def test_dates_of_parquet(tmp_path):
    duckdb.sql("select date '2026-02-03' as period, 5 as nps").write_parquet(
        str(tmp_path / "i.parquet")
    )
    spec = source({"nps": {"kind": "leading"}}, source="i.parquet")
    found = read_indicators(read_table(spec, tmp_path, duckdb.connect()), spec)
    assert found.series("nps").periods == ("2026-02",)


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        (LONG.replace(",8", ",eight"), {}, r"nps holds 'eight' \(1 values are no numbers\)"),
        (LONG.replace("Yes", "0.5"), {}, "renewal holds 0.5, but its unit is yes/no"),
        (
            LONG.replace("renewal", "renewed"),
            {},
            "renewal does not occur in the file; correct its name",
        ),
        (LONG.replace("007,2026-01", ",2026-01"), {}, "1 values of nps have no customer"),
        (LONG.replace("2026-02,", "Feb,"), {}, "column 'period': 'Feb' is no month"),
        (LONG.replace("2026-02,", ","), {}, "column 'period': a row has no period"),
        (
            LONG,
            {"columns": {"customer": "custmer"}},
            "unknown column 'custmer'; did you mean 'customer'.* names the column of customers",
        ),
        (LONG, {"columns": {"value": "score"}}, "unknown column 'score'"),
        (WIDE.replace("nps", "nsp"), {}, "unknown indicator 'nps'; did you mean 'nsp'"),
        (WIDE.splitlines()[0], {}, "has no rows"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, more, sentence):
    spec = source(**more)
    with pytest.raises(DataError, match=sentence):
        read_indicators(of_csv(text, spec, tmp_path), spec)


def log() -> str:
    """Two customers a week enter; the first imports after 3 hours, the second never does."""
    lines = ["who,what,at,variant"]
    for week in range(4):
        monday = date(2026, 1, 5) + timedelta(weeks=week)
        for place, name in enumerate("ab"):
            who = f"{name}" if week == 0 else f"{name}{week}"
            lines += [
                f"{who},{what},{monday} {hour:02d}:00:00,{['blank', 'new'][place]}"
                for what, hour in [("opened", 8), ("previewed", 9), ("imported", 11)]
                if what != "imported" or not place
            ]
    return "\n".join([*lines, "a3,opened,2026-02-03 08:00:00,blank", ""])


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Path]:
    def written(data: str = EVENTS, indicators: str = INDICATORS, rows: str = ROWS) -> Path:
        customers = [
            f"{name}{week or ''},{size}"
            for name, size in zip("ab", ("small", "large"), strict=True)
            for week in range(4)
        ]
        (tmp_path / "events.csv").write_text(log(), encoding="utf-8")
        (tmp_path / "customers.csv").write_text("\n".join(["who,size", *customers, ""]), "utf-8")
        (tmp_path / "indicators.csv").write_text(rows, encoding="utf-8")
        (tmp_path / "study.yaml").write_text(f"name: small\n{data}{indicators}", encoding="utf-8")
        return tmp_path / "study.yaml"

    return written


def test_file_and_event_log_share_one_grid(study):
    found = Study.load(study()).indicators()
    assert found.periods.names == tuple(f"2026-W0{week}" for week in range(1, 7))
    assert found.series("nps").values.tolist() == pytest.approx([8, 4] + [NAN] * 4, nan_ok=True)
    hours = found.series("time_to_value")
    assert hours.values.tolist() == pytest.approx([NAN, 3, 3, 3, 3, NAN], nan_ok=True)
    assert hours.n.tolist() == [0, 1, 1, 1, 1, 0]  # the last week's window is open
    rate = found.series("previewing")
    assert rate.values.tolist() == pytest.approx([NAN, 1, 1, 1, 1, NAN], nan_ok=True)
    assert rate.n.tolist() == [0, 2, 2, 2, 2, 0]


def test_as_of_leaves_later_periods_out(study):
    found = Study.load(study()).indicators(as_of="2026-01-20")
    assert found.periods.names[-1] == "2026-W04"
    assert found.series("previewing").values.tolist() == pytest.approx(
        [NAN, 1, 1, NAN], nan_ok=True
    )
    with pytest.raises(StudyError, match="as_of is 2025-12-01, before the first period"):
        Study.load(study("", ONLY)).indicators(as_of="2025-12-01")


def test_a_cohort_by_the_customers_table(study):
    opened = Study.load(study())
    found = opened.indicators({"size": "large"})
    assert found.customers == ("b",)
    assert np.isnan(found.series("time_to_value").values).all()
    assert found.series("previewing").n.tolist() == [0, 1, 1, 1, 1, 0]
    with pytest.raises(StudyError, match="unknown grouping of customers 'variant'; known: size"):
        opened.indicators({"variant": "new"})
    with pytest.raises(StudyError, match=r"no customer of indicators\.csv has size = medium"):
        opened.indicators({"size": "medium"})


def test_adoption_needs_a_return_window(study):
    more = "    adopting: {kind: leading, from_flow: adoption}\n"
    opened = Study.load(study(indicators=INDICATORS + more))
    series = opened.indicators().series("adopting")
    assert np.isnan(series.values).all()
    assert series.reason == (
        "adopting is from_flow: adoption, but the flow has no return_window; add one, such as "
        "return_window: 30d"
    )
    assert series.reason in [each.message for each in opened.check().problems]


def test_adoption_per_period(study):
    more = "    adopting: {kind: leading, from_flow: adoption}\n"
    events = EVENTS.replace("  window: 2d\n", "  window: 2d\n  return_window: 2d\n")
    path = study(events, INDICATORS + more)
    back = "a,opened,2026-01-06 08:00:00,blank\na,previewed,2026-01-06 09:00:00,blank\n"
    back += "a1,opened,2026-01-13 08:00:00,blank\n"
    with path.with_name("events.csv").open("a", encoding="utf-8") as file:
        file.write(back)
    series = Study.load(path).indicators().series("adopting")
    assert series.values.tolist()[:3] == pytest.approx([NAN, 1, 0], nan_ok=True)
    assert series.n.tolist()[:3] == [0, 1, 1]


def test_a_study_of_indicators_only_says_what_it_cannot_do(study):
    path = study("", ONLY)
    opened = Study.load(path)
    assert opened.indicators().series("nps").n.tolist() == [1, 1]
    verbs = [
        opened.learning_metrics,
        opened.deviations,
        opened.evaluate,
        opened.newest,
        lambda: opened.changes("1"),
        lambda: opened.sample_sizes("1"),
        lambda: opened.quality("1"),
    ]
    for verb in verbs:
        with pytest.raises(StudyError, match="study 'small' has indicators only; add events"):
            verb()
    for command in ("metrics", "test", "report"):
        ran = CliRunner().invoke(app, [command, str(path)])
        assert ran.exit_code != 0
        assert "indicators only; add events" in ran.output + str(ran.exception)
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0


def test_studies_that_contradict_themselves(study):
    with pytest.raises(StudyError, match=r"line 15: unknown step 'previewd'; did you mean"):
        Study.load(study(indicators=INDICATORS.replace("previewed", "previewd")))
    with pytest.raises(StudyError, match="time_to_value is from_flow, but the study has no events"):
        Study.load(study(""))
    with pytest.raises(StudyError, match="there are no iterations; add at least one"):
        Study.load(study(EVENTS.split("iterations:", maxsplit=1)[0]))
    with pytest.raises(StudyError, match="study 'small' has no indicators; add an indicators part"):
        Study.load(study(indicators="")).indicators()


def test_check_says_what_keeps_a_file_from_being_read(study):
    problems = Study.load(study(rows=ROWS.replace("nps,8", "nps,good"))).check().errors
    (said,) = [each.message for each in problems]
    assert said == (
        "indicators.csv: nps holds 'good' (1 values are no numbers); write numbers, yes or no, or "
        "leave them empty"
    )
    opened = Study.load(study("", ONLY))
    (opened.folder / "indicators.csv").unlink()
    with pytest.raises(DataError, match=r"indicators\.csv does not exist"):
        opened.indicators()


# What is wrong with indicators
def problems(values, *, n=None, as_of=None, kind="day", first=20_000, **definition):
    definitions = {"nps": IndicatorDefinition.model_validate({"kind": "leading", **definition})}
    found = indicators_of({"nps": values}, definitions, kind=kind, first=first)
    return [each.message for each in indicator_problems(found, as_of=as_of)]


def test_nothing_is_wrong():
    assert problems(np.arange(12)) == []


def test_gaps_constant_values_and_too_few_periods():
    (gap,) = problems([1, 2, NAN, NAN, *range(10)], kind="number", first=1)
    assert gap == "nps has no value in 2 of 14 periods between its first and its last, such as 3"
    (same,) = problems([5.0] * 12)
    assert same == "nps is 5 in every period; it cannot be associated with anything"
    (few,) = problems(range(10))
    assert (
        few == "nps has values in 10 periods; collect 2 more before looking for lags (at least 12)"
    )


def test_a_response_rate_that_fell():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(60, 12))
    assert not any("response" in each for each in problems(values))
    values[:20, 8:11] = NAN  # the last period shows that all are still there
    (fell,) = problems(values)
    assert fell == (
        "the response rate of nps fell from 100.0% (240/240) in 2024-10-04 to 2024-10-07 to "
        "75.0% (180/240) in 2024-10-12 to 2024-10-15; those who still answer may differ from those who did"
    )


def test_values_that_grew_old():
    known = [*range(12), NAN, NAN, NAN]
    assert problems(known, freshness="3d") == []
    (old,) = problems(known, freshness="2d")
    assert old == (
        "nps is stale: its newest value is of 2024-10-15, 3 days before 2024-10-19, and it should "
        "be at most 2 days old"
    )
    assert len(problems(range(12), freshness="2d", as_of=date(2024, 10, 19))) == 1
