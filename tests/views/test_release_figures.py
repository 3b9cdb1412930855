"""Figures and tables of a release review: every number in words too, names from data as text."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from support import results
from support.results import DOLLARS, SCRIPT

from workbench.display import Sentences
from workbench.innovation.backlog import Advice
from workbench.innovation.true_innovation import Innovation, Tally, assess
from workbench.reports import release_review
from workbench.schema.strategy import Targets
from workbench.stats.proportions import Counts
from workbench.views import release_figures, release_tables

SVG = "{http://www.w3.org/2000/svg}"


def words(chart):
    root = ET.fromstring(chart.svg())  # noqa: S314 - drawn by ourselves
    return [each.text for each in root.iter(f"{SVG}text")]


def innovation(iterations=("2026.1", "2026.2"), outcome="renewed", **scale) -> Innovation:
    tallies = {
        name: {
            "need met": Tally(Counts(40 + place, 90)),
            "adoption": Tally(Counts(10 + place, 50)),
            outcome: Tally(Counts(20, 90) if place == 0 else Counts(0, 0), 90 * place),
            "both": Tally(Counts(8, 90) if place == 0 else Counts(0, 0)),
        }
        for place, name in enumerate(iterations)
    }
    wanted = {"need_rate": 0.3, "adoption_rate": 0.4, "outcome_rate": 0.25} | scale
    return assess(tallies, Targets(**wanted), outcome)


def metrics(iterations=("2026.1", "2026.2"), step="imported", cohorts=()) -> pd.DataFrame:
    frames = []
    for name in iterations:
        frame = results.metrics(*cohorts).assign(iteration=name)
        frames.append(frame.replace({"step": {"imported": step}}))
    return pd.concat(frames, ignore_index=True)


def everybody(**changes) -> pd.DataFrame:
    frame = metrics(cohorts=("blank",), **changes)
    return frame.drop(columns="variant")


def retention(iterations=("2026.1", "2026.2")) -> pd.DataFrame:
    points = [
        (0, 40, 0, 0.0, math.nan, math.nan),
        (3, 40, 10, 0.25, 0.14, 0.41),
        (9, 30, 12, 0.55, 0.41, 0.71),
        (30, 1, 0, 0.55, 0.41, 0.71),
    ]
    columns = ["iteration", "days", "at_risk", "adopted", "share", "low", "high"]
    return pd.DataFrame([(name, *each) for name in iterations for each in points], columns=columns)


def test_the_flow_goes_from_the_trigger_to_true_innovation():
    (chart,) = release_figures.flow_figure(everybody(), innovation(), "opened")
    shown = words(chart)
    for name in ("opened", "previewed", "mapped", "imported", "both", "2026.1", "2026.2"):
        assert name in shown
    assert shown.count("60.3%") == 2
    assert shown.count("47/78") == 2
    assert shown.count("the last step: need met") == 1
    assert "imported: 2026.1 60.3% (47/78) [50.3%, 70.3%], 2026.2 60.3% (47/78)" in chart.alt
    assert "both: 2026.1 8.9% (8/90) [4.6%, 16.6%], 2026.2 none yet." in chart.alt


def test_the_flow_keeps_to_the_iterations_that_have_room():
    many = [f"2026.{number}" for number in range(1, 13)]
    (chart,) = release_figures.flow_figure(everybody(iterations=many), innovation(many), "opened")
    shown = words(chart)
    assert "2026.12" in shown
    assert "2026.1" not in shown


def test_nobody_in_the_flow_is_said():
    empty = results.metrics().head(0)
    assert "No customer" in repr(release_figures.flow_figure(empty, innovation(), "opened"))
    assert "No customer" in repr(release_figures.learning_figures(empty))
    assert "No customer" in repr(release_tables.rates(empty))


def test_goals_are_drawn_with_their_targets_and_states():
    charts = list(release_figures.goals_figures(innovation()))
    assert [each.alt.split(" over")[0] for each in charts] == [
        "need met",
        "adoption",
        "renewed",
        "both",
    ]
    assert "target 30%: reached" in words(charts[0])
    assert "The target is 40%. 2026.1: 20.0% (10/50) [11.2%, 33.0%]." in charts[1].alt
    assert "none yet" in words(charts[2])


def test_each_metric_has_one_figure_with_all_cohorts():
    charts = list(release_figures.learning_figures(metrics()))
    assert len(charts) == 3
    for chart in charts:
        assert {"blank", "preview", "2026.1", "2026.2"} <= set(words(chart))
    assert "2026.2, preview: 60.3% (47/78) [50.3%, 70.3%]." in charts[2].alt


def test_a_metric_that_nobody_closed_has_no_figure():
    frame = metrics()
    frame.loc[frame["step"] == "imported", ["closed", "rate", "low", "high"]] = [0, *[math.nan] * 3]
    assert len(release_figures.learning_figures(frame)) == 2
    frame["closed"] = 0
    assert "Nobody's window is over yet" in repr(release_figures.learning_figures(frame))


def test_as_many_iterations_are_named_as_have_room():
    many = [f"release {number}" for number in range(20)]
    chart = next(iter(release_figures.learning_figures(metrics(iterations=many))))
    named = [each for each in words(chart) if each.startswith("release")]
    assert named[-1] == "release 19"
    assert len(named) <= 6


def test_retention_is_told_by_its_last_day():
    (chart,) = release_figures.retention_figure(retention())
    assert "2026.2: 55.0% [41.0%, 71.0%] by day 30, of 40 whose need was met." in chart.alt
    assert {"0", "7", "14", "21", "28"} <= set(words(chart))
    table = release_tables.retention(retention())
    assert table.rows[0] == ("2026.1", "40", "22", "55.0%", "[41.0%, 71.0%]", "30", "9")


def test_only_the_newest_retention_curves_are_drawn():
    (chart,) = release_figures.retention_figure(retention([f"r{number}" for number in range(7)]))
    assert "r6" in words(chart)
    assert "r2" not in words(chart)


def test_retention_of_nobody_is_said():
    assert "Nobody's need was met" in repr(release_figures.retention_figure(retention(())))
    assert "Nobody's need was met" in repr(release_tables.retention(retention(())))
    assert repr(release_figures.retention_figure(Sentences(("No log.",)))) == "No log."


@pytest.mark.parametrize(
    ("scale", "answer"),
    [({"adoption_rate": 0.1}, "We cannot tell yet."), ({}, "Not yet.")],
)
def test_the_answer_is_the_first_thing_said(scale, answer):
    shown = release_tables.goals(innovation(**scale))._repr_html_()
    assert f"<h3>{answer}</h3>" in shown
    assert "target 30%" in shown


def test_names_from_data_stay_text():
    shown = [
        release_tables.goals(innovation(outcome=SCRIPT))._repr_html_(),
        release_tables.advice(Advice("try", SCRIPT, f"Try {SCRIPT}."))._repr_html_(),
        release_tables.rates(everybody(step=SCRIPT))._repr_html_(),
    ]
    assert all("&lt;script&gt;" in each for each in shown)
    assert not any("<script" in each for each in shown)
    charts = [
        *release_figures.flow_figure(everybody(step=DOLLARS), innovation(outcome=SCRIPT), SCRIPT),
        *release_figures.learning_figures(metrics(cohorts=(SCRIPT, DOLLARS))),
        *release_figures.goals_figures(innovation(outcome=SCRIPT)),
    ]
    assert not any("<script" in each.svg() for each in charts)
    assert "<script>alert(1)</scrip…" in words(charts[0])
    assert SCRIPT in charts[0].alt
    assert SCRIPT[:19] + "…" in words(charts[1])


def test_what_is_odd_about_the_data_is_said():
    assert len(release_tables.quality(results.quality()).sentences) == 2
    assert "Nothing odd" in repr(release_tables.quality(results.quality().head(1)))


def test_what_changed_and_what_solutions_are_worth_are_drawn(bundled):
    review = release_review.begin(study=bundled, iteration="2026.3")
    (changed,) = release_figures.difference_figure(review.difference)
    assert changed.alt.startswith(
        "Change of each rate, 2026.3 minus 2026.2. previewed: 78.2% (290/3"
    )
    (worth,) = release_figures.problems_figure(review.problems)
    assert review.problems[0].sentence in worth.alt
    (forest,) = release_figures.evidence_figures(review.evidence)
    assert review.evidence[0].sentence in forest.alt
    first = release_review.begin(study=bundled, iteration="2026.1")
    assert not release_figures.difference_figure(first.difference).sentences
    assert not release_figures.evidence_figures(first.evidence).sentences
    assert not release_figures.problems_figure([]).sentences
