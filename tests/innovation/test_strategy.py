"""Strategic metrics: what the table may hold, where metrics stand, what releases changed."""

from __future__ import annotations

import math
from datetime import date

import duckdb
import numpy as np
import pytest
from pydantic import ValidationError

from workbench.data.readers import read_table
from workbench.errors import DataError
from workbench.innovation.strategy import assess, read_strategy
from workbench.schema.strategy import AREAS, StrategicMetric, StrategySource
from workbench.schema.time import Iteration, Period

METRIC = {
    "area": "financial impact",
    "unit": "EUR",
    "baseline": 100,
    "target": 160,
    "by": "2027-01-01",
    "expect_from": "2",
    "fed_by": "imported",
}
ITERATIONS = [
    Iteration(name="1", start="2026-01-05", end="2026-02-02"),
    Iteration(name="2", start="2026-02-02", end="2026-03-02"),
]
MONTHS = [f"{2025 + month // 12}-{month % 12 + 1:02}" for month in range(24)]


def source(**changes):
    metric = {**METRIC, **changes}
    return StrategySource.model_validate({"source": "s.csv", "metrics": {"revenue": metric}})


def read(tmp_path, text, spec=None):
    (tmp_path / "s.csv").write_text(text)
    spec = spec or source()
    table = read_table(spec, tmp_path, duckdb.connect())
    return read_strategy(table, spec)


def rows(values, periods=MONTHS, name="revenue"):
    pairs = zip(periods, values, strict=False)
    return "\n".join(["metric,period,value", *(f"{name},{each},{value}" for each, value in pairs)])


def wobble(size, seed=4, scale=1.0):
    return np.random.default_rng(seed).normal(size=size) * scale


def standing(tmp_path, values, until=None, **changes):
    spec = source(**changes)
    found = assess(read(tmp_path, rows(values), spec), spec, ITERATIONS, until)
    return found.standings[0]


def test_values_come_in_the_order_of_their_periods(tmp_path):
    series = read(tmp_path, "metric,period,value\nrevenue,2026-02,2\nother,x,y\nrevenue,2026-01,1")
    assert [(each.name, value) for each, value in series["revenue"].items()] == [
        ("2026-01", 1.0),
        ("2026-02", 2.0),
    ]


@pytest.mark.parametrize(
    ("written", "first", "after"),
    [
        (["2026-01", "2026-02"], date(2026, 1, 1), date(2026, 3, 1)),
        (["2026-Q4", "2027-Q1"], date(2026, 10, 1), date(2027, 4, 1)),
        (["2026-W53", "2027-W01"], date(2026, 12, 28), date(2027, 1, 11)),
        (["2026-01-31", "2026-02-28"], date(2026, 1, 1), date(2026, 3, 1)),
        (["2026-01-31", "2026-02-01"], date(2026, 1, 31), date(2026, 2, 2)),
    ],
)
def test_kinds_of_periods(tmp_path, written, first, after):
    periods = list(read(tmp_path, rows([1, 2], written))["revenue"])
    assert (periods[0].start, periods[-1].end) == (first, after)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metric,period,valeu\nrevenue,2026-01,1", "unknown column 'value'; did you mean 'valeu'"),
        (
            "metric,period,value\nrevenu,2026-01,1",
            "unknown metric 'revenue'; did you mean 'revenu'",
        ),
        ("metric,period,value\nrevenue,soon,1", "revenue: 'soon' is no period; write a month as"),
        ("metric,period,value\nrevenue,2026-13,1", "'2026-13' is no period"),
        ("metric,period,value\nrevenue,2026-01,\n", "revenue is None in 2026-01; a value must be"),
        (
            "metric,period,value\nrevenue,2026-01,lots",
            "is 'lots' in 2026-01; a value must be a fin",
        ),
        ("metric,period,value\nrevenue,2026-01,inf", "is 'inf' in 2026-01"),
        (rows([1, 2], ["2026-01", "2026-01"]), "revenue has two rows for 2026-01; keep one"),
        (rows([1, 2], ["2026-01", "2026-03"]), "no value between 2026-01 and 2026-03; give one"),
        (rows([1, 2], ["2026-01", "2026-Q2"]), "mixes kinds of periods, such as 2026-01, 2026-Q2"),
    ],
)
def test_a_bad_table_gets_one_sentence(tmp_path, text, said):
    with pytest.raises(DataError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith("s.csv")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"area": "finance impact"}, "unknown area 'finance impact'; did you mean 'financial imp"),
        (
            {"target": 90},
            "target is 90; higher is better, so it must lie above the baseline of 100",
        ),
        ({"better": "lower"}, "lower is better, so it must lie below the baseline of 100"),
        ({"target": math.nan}, "finite"),
    ],
)
def test_a_bad_metric_gets_one_sentence(changes, said):
    with pytest.raises(ValidationError, match=said):
        StrategicMetric.model_validate({**METRIC, **changes})


def test_the_five_areas():
    assert len(AREAS) == 5
    for area in AREAS:
        assert StrategicMetric.model_validate({**METRIC, "area": area}).area == area


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"expect_from": "22"}, "expect_from", "unknown iteration '22'; did you mean '2'"),
        ({"fed_by": "importd"}, "fed_by", "unknown flow metric 'importd'; did you mean 'imported'"),
        ({"by": "2026-02-01"}, "by", "by is 2026-02-01, but the course starts on 2026-02-02"),
    ],
)
def test_a_metric_must_fit_its_study(changes, place, said):
    ((where, found),) = source(**changes).contradictions(ITERATIONS, ["previewed", "imported"])
    assert where == ("strategy", "metrics", "revenue", place)
    assert said in found
    assert not [*source().contradictions(ITERATIONS, ["imported"])]


def test_the_course_is_a_line_from_its_start_to_the_target():
    metric = StrategicMetric.model_validate({**METRIC, "by": "2026-02-22"})
    start = date(2026, 2, 2)
    days = [date(2026, 1, 1), start, date(2026, 2, 12), date(2026, 2, 22), date(2026, 9, 1)]
    assert [metric.expected(day, start) for day in days] == [100, 100, 130, 160, 160]


def test_too_early_by_the_studys_own_word(tmp_path):
    found = standing(tmp_path, 100 + wobble(13))
    assert found.state == "too early"
    assert (
        "Too early: the study expects a move from 2 on, to 160 EUR by 2027-01-01" in found.sentence
    )
    assert found.points[-1].expected == 100


@pytest.mark.parametrize(
    ("slope", "state"),
    [(0, "behind"), (5.5, "on course"), (6.8, "ahead"), (-3, "behind"), (30, "target reached")],
)
def test_where_a_metric_stands(tmp_path, slope, state):
    values = 100 + wobble(24)
    values[13:] += slope * (np.arange(11) + 0.5)
    found = standing(tmp_path, values, until=date(2026, 11, 1))
    assert found.state == state
    assert found.since == "2026-02"
    assert found.trend.slope.low <= slope <= found.trend.slope.high
    row = found.row()
    assert row["state"] == state
    assert row["level_low"] <= row["level"] <= row["level_high"]
    assert row["expected"] == pytest.approx(100 + 60 * (256 / 333), abs=0.5)


def test_lower_may_be_better(tmp_path):
    values = 100 + wobble(24)
    values[13:] -= 2.8 * np.arange(11)
    assert standing(tmp_path, values, better="lower", target=70).state == "on course"
    assert standing(tmp_path, 200 - values, better="lower", target=70).state == "behind"


def test_what_cannot_be_told_is_not_told(tmp_path):
    found = standing(tmp_path, 100 + wobble(24, scale=60), target=105)
    assert found.state == "cannot tell"
    few = standing(tmp_path, 100 + wobble(16), until=date(2025, 4, 1))
    assert few.trend.reason == "too few periods: 3, and 6 needed"
    assert math.isnan(few.row()["level"])


def test_only_periods_that_are_over_count(tmp_path):
    found = standing(tmp_path, 100 + wobble(24), until=date(2026, 4, 30))
    assert found.points[-1].period == "2026-03"
    with pytest.raises(DataError, match="no period of revenue is over by 2025-01-20; the first"):
        standing(tmp_path, 100 + wobble(24), until=date(2025, 1, 20))


def changes(tmp_path, values, iterations=ITERATIONS):
    spec = source(expect_from=iterations[0].name)
    return {
        each.iteration: each
        for each in assess(read(tmp_path, rows(values), spec), spec, iterations).changes
    }


def test_a_release_that_marks_a_change(tmp_path):
    values = 100 + wobble(24)
    values[12:] += 15
    found = changes(tmp_path, values)["1"]
    assert found.marks == "level"
    assert "revenue: its level changed with 1 (level +" in found.sentence
    assert found.near == ("2",)
    assert "2 began within 6 periods and may have caused it as well" in found.sentence
    assert (found.change.periods_before, found.change.periods_after) == (12, 12)
    assert found.change.level.low > 0


def test_a_release_that_marks_nothing(tmp_path):
    found = changes(tmp_path, 100 + wobble(24))["1"]
    assert found.marks == "nothing"
    assert "no change stands out at 1" in found.sentence


def test_releases_at_the_end_have_too_few_periods(tmp_path):
    late = [Iteration(name="late", start="2026-09-07", end="2026-10-05")]
    found = changes(tmp_path, 100 + wobble(24), late)["late"]
    assert found.marks == "cannot tell"
    assert "too few periods: 20 before and 4 after, and 6 needed on each" in found.sentence


def test_no_release_marks_a_change_in_most_series_without_one(tmp_path):
    spec = source(expect_from="1")
    periods = [Period.read(each) for each in MONTHS]
    marked = 0
    for seed in range(200):
        series = {"revenue": dict(zip(periods, 100 + wobble(24, seed), strict=True))}
        marked += assess(series, spec, ITERATIONS).changes[0].marks != "nothing"
    assert marked <= 200 * 0.05 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_which_flow_metric_feeds_which(tmp_path):
    spec = source()
    found = assess(read(tmp_path, rows(100 + wobble(24)), spec), spec, ITERATIONS)
    (feed,) = found.feeds()
    assert (feed["flow_metric"], feed["metric"], feed["state"]) == ("imported", "revenue", "behind")
    assert [each["metric"] for each in found.rows()] == ["revenue"]
    assert len(found.changes) == 2
