"""Tables and figures of strategy, feedback and backlog: what they say, escaped, in words too."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from workbench.experiments.findings import Finding
from workbench.innovation.backlog import Backlog, Candidate, Cost, Tried, guessing, rank
from workbench.innovation.feedback import CustomerEntry, Remark, summarize
from workbench.innovation.learning import Learned
from workbench.innovation.strategy import Strategy, assess
from workbench.schema.hypothesis import Rating
from workbench.schema.learning import STATED, LearningMethod
from workbench.schema.strategy import StrategySource
from workbench.schema.study import FeedbackSource
from workbench.schema.time import Iteration, Period
from workbench.views import innovation

SCRIPT = "<script>alert(1)</script>"
ITERATIONS = [
    Iteration(name="1", start="2026-01-05", end="2026-02-02"),
    Iteration(name="2", start="2027-02-02", end="2027-03-02"),
]


@pytest.fixture(scope="module")
def strategy():
    common = {"area": "customer reach", "baseline": 100, "target": 160, "by": "2027-12-31"}
    metrics = {
        "reach": {**common, "fed_by": ["imported", SCRIPT]},
        "revenue": {**common, "unit": "EUR", "expect_from": "2", "fed_by": "imported"},
    }
    source = StrategySource.model_validate({"source": "s.csv", "metrics": metrics})
    months = [Period.read(f"{2025 + n // 12}-{n % 12 + 1:02}") for n in range(24)]
    values = 100 + np.random.default_rng(1).normal(size=24)
    series = {name: dict(zip(months, values, strict=True)) for name in metrics}
    return assess(series, source, ITERATIONS)


@pytest.fixture(scope="module")
def feedback():
    remarks = [
        Remark(f"F-{n}", date(2026, 1, 9), "user test", SCRIPT, said, who, step="imported")
        for n, (who, said) in enumerate([("a", "positive"), ("b", "negative"), ("c", "negative")])
    ]
    entries = {
        who: [CustomerEntry(who, "1", date(2026, 1, 6), {"imported": done})]
        for who, done in (("a", "deviated"), ("b", "deviated"), ("c", "aligned"))
    }
    source = FeedbackSource(source="f.csv")
    return summarize(
        remarks, entries, source, steps=["imported"], groupings=[], iterations=ITERATIONS
    )


@pytest.fixture(scope="module")
def backlog():
    scores = (Rating(low=4, high=8), Rating(low=5, high=5), None)
    cost = Cost(120, 2.5, 0.3, 0.2)
    candidates = [
        Candidate(SCRIPT, 1, "It helps.", "idea", *scores, ("F-1",), cost),
        Candidate("vague", 1, "Who knows.", "idea", None, None, None),
    ]
    tried = Tried("preview", 2, Rating(low=7, high=7), 0.12, 0.02, 0.2, "supported")
    return Backlog(rank(candidates), guessing([tried]))


def test_standings(strategy):
    table = innovation.standings(strategy)
    reach, revenue = table.rows
    assert [str(reach[2]), str(revenue[2])] == ["behind", "too early"]
    assert reach[5].startswith("1")
    assert "[" in reach[6]
    assert revenue[7] == "160 EUR by 2027-12-31"


def test_releases_say_that_nothing_was_randomized(strategy):
    table = innovation.releases(strategy)
    assert table.note.startswith("Nothing was randomized")
    assert {row[1] for row in table.rows} == {"1", "2"}
    late = next(row for row in table.rows if row[1] == "2")
    assert late[2:5] == ("cannot tell", "n/a", "n/a")


def test_the_figure_of_feeds_says_what_its_table_says(strategy):
    (chart,) = innovation.feeds_figure(strategy)
    table = innovation.feeds(strategy)
    assert len(table.rows) == 3
    for flow_metric, metric, *_ in table.rows:
        assert f"{flow_metric} is supposed to feed {metric} (" in chart.alt
    drawn = chart.svg()
    assert "revenue" in drawn
    assert "<script>" not in drawn
    assert not innovation.feeds_figure(Strategy((), ())).charts


def test_courses_are_drawn_with_their_sentence(strategy):
    charts = innovation.course_figures(strategy)
    assert [each.alt.split(".")[0] for each in charts] == ["Dashed is the course"] * 2
    assert "Too early: the study expects a move from 2 on" in charts.charts[1].alt
    assert all("<svg" in each.svg() for each in charts)
    assert repr(innovation.course_figures(Strategy((), ()))) == innovation.NO_STRATEGY


def test_themes_and_what_nobody_addresses(feedback):
    assert innovation.themes(feedback).rows == ((SCRIPT, "imported", "3", "1", "2", "3"),)
    assert innovation.said_and_done(feedback).rows == (("imported", "3", "0", "1", "1", "1"),)
    assert innovation.unaddressed(feedback).rows[0][:4] == (SCRIPT, "imported", "3", "2")


def test_the_backlog(backlog):
    first, last = innovation.backlog(backlog).rows
    assert first[1:] == ("1", "1 to 1", "4 to 8 x 5", "A/B test (it takes 2.5 weeks)", "120", "2.5")
    assert last[1:4] == ("n/a", "n/a to n/a", "n/a")


def test_the_backlog_says_what_findings_tell(backlog):
    stated = {name: LearningMethod(**each) for name, each in STATED.items()}
    name = backlog.ranked[0].candidate.name
    findings = [Finding(name, 1, "prototype", 4, 5), Finding("old", 1, "interview", 1, 5)]
    found = replace(backlog, learned=Learned(findings, {("old", 1): False}, stated))
    table = innovation.backlog(found)
    assert [each.heading for each in table.columns[-3:]] == list(innovation.LEARNED)
    assert table.rows[0][-3:-1] == ("57.1%", "4 of 5 in prototypes")  # odds of 1 to 3, times 4
    assert table.rows[0][-1].startswith(
        "interview (1 day): 25% to 84%; prototype (3 days): 8% to 57%; "
    )
    assert table.rows[1][-3:-1] == ("25.0%", "no finding")
    assert table.note.endswith(
        "Interviews on a tried idea: 1 of 5 said yes where the A/B test refuted the idea."
    )
    assert len(innovation.backlog(backlog).columns) == len(table.columns) - 3


def test_markup_in_the_data_stays_text(strategy, feedback, backlog):
    for table in (
        innovation.feeds(strategy),
        innovation.themes(feedback),
        innovation.unaddressed(feedback),
        innovation.backlog(backlog),
    ):
        assert "&lt;script&gt;" in table._repr_html_()
        assert "<script>" not in table._repr_html_()


def test_nothing_reads_as_nothing(feedback):
    assert "names no strategic metrics" in repr(innovation.standings(Strategy((), ())))
    assert "Nothing is left to try" in repr(innovation.backlog(Backlog((), guessing([]))))
    assert math.isnan(guessing([]).correlation)
