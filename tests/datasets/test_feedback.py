"""Simulated feedback and strategic metrics: written again alike, true to what customers did."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from workbench import Study
from workbench.datasets.feedback import (
    DATES,
    METRICS,
    REMARKS,
    SEED,
    simulate_feedback,
    simulate_strategy,
    write_feedback,
)
from workbench.errors import StudyError
from workbench.innovation.feedback import CustomerEntry


@pytest.fixture(scope="module")
def study(bundled):
    return Study.load(bundled)


def test_the_bundled_tables_are_what_the_seed_gives(bundled, tmp_path):
    shutil.copytree(bundled.parent, tmp_path / "study")
    for name in ("strategy.csv", "feedback.csv"):
        (tmp_path / "study" / "data" / name).unlink()
    write_feedback(tmp_path / "study" / "study.yaml")
    for name in ("strategy.csv", "feedback.csv"):
        written = (tmp_path / "study" / "data" / name).read_bytes()
        assert written == (bundled.parent / "data" / name).read_bytes(), name


def test_said_and_done_are_as_they_were_meant(study):
    found = study.feedback()
    assert found.remarks == sum(len(each.quotes) for each in REMARKS) + 2
    rows = {each.step: each for each in found.agreements}
    wanted = sum(
        len(each.quotes)
        for each in REMARKS
        if (each.step, each.done, each.sentiment) == ("imported", "deviated", "positive")
    )
    assert rows["imported"].success_not_aligned == wanted
    assert len(found.contradictions) == wanted + 3  # and three who took the step with trouble


def test_one_strong_theme_waits_for_a_hypothesis(study):
    (theme,) = [each for each in study.feedback().unaddressed if each.theme == DATES]
    assert theme.customers < len(theme.remarks)


def test_what_is_true_of_the_strategic_metrics_is_found(study):
    found = study.strategy()
    states = {each.name: each.state for each in found.standings}
    assert states["renewal_revenue"] == "too early"
    assert states["active_teams"] == "on course"
    teams = next(each for each in METRICS if each.name == "active_teams")
    marked = next(
        each for each in found.changes if (each.name, each.iteration) == ("active_teams", "2026.1")
    )
    assert marked.marks == "level and slope"
    assert marked.change.level.low <= teams.step <= marked.change.level.high
    assert marked.change.slope.low <= teams.slope <= marked.change.slope.high
    hours = [each.marks for each in found.changes if each.name == "hours_to_first_import"]
    assert set(hours) == {"cannot tell"}


def test_the_bundled_backlog_needs_each_way_to_learn(study):
    ways = {each["learn_by"] for each in study.backlog().rows()}
    assert {"interview", "prototype", "A/B test"} <= ways


def test_the_same_seed_gives_the_same_rows():
    assert list(simulate_strategy(1)) == list(simulate_strategy(1)) != list(simulate_strategy(2))


def test_a_remark_that_fits_nobody_is_refused():
    lonely = {"c1": [CustomerEntry("c1", "2026.1", date(2026, 1, 6), {}, {})]}
    with pytest.raises(
        StudyError, match=r"no customer of 2026\.1 deviated at mapped; use another seed"
    ):
        simulate_feedback(SEED, lonely)
