from __future__ import annotations

import json

import pytest
from support import results
from support.study_without_data import StudyWithoutData

from workbench.reports.hypothesis_report import HypothesisReport, begin
from workbench.reports.report import RESULT


def report_on(iteration="2026.1", **changes):
    return HypothesisReport(study=StudyWithoutData(**changes), iteration=iteration)


def test_effects_of_all_hypotheses_are_one_table():
    tested = [results.hypothesis(name=name) for name in ("one", "two", "empty")]
    frame = report_on(hypotheses=tested).effects()
    assert list(frame["hypothesis"].unique()) == ["one", "two"]
    assert set(frame["minimum_effect"]) == {0.05}
    assert set(frame["alternative"]) == {"greater"}
    assert report_on().effects().empty


def finished(*evaluations):
    return report_on().finish(
        evaluations=evaluations, metrics=results.metrics(), quality=results.quality()
    )


def test_the_result_holds_the_numbers_for_a_machine():
    data = finished(results.evaluation())._repr_mimebundle_()
    content = data[RESULT]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["study"] == {"name": "guided-import", "title": "Guided import"}
    assert content["as_of"] is None
    assert content["evaluations"][0]["verdict"] == "supported"
    assert len(content["learning_metrics"]) == 6
    assert len(content["quality"]) == 3
    assert {"workbench", "python", "scipy"} <= set(content["versions"])
    assert "exact" in data["text/html"]


def test_a_report_without_hypotheses_still_ends():
    result = finished()
    assert result.content["as_of"] is None
    assert "No hypothesis was tested" in repr(result)


@pytest.fixture(scope="module")
def opened(bundled):
    return begin(study=bundled, iteration="2026.3")


def test_the_story_holds_versions_up_to_this_iteration(opened, bundled):
    assert opened.history()["version"].tolist() == [1, 2]
    assert begin(study=bundled, iteration="2026.1").history()["version"].tolist() == [1]
    assert begin(study=bundled, iteration="2026.5").history().empty


def test_looks_are_recorded_only_if_that_is_wanted(opened):
    assert not opened.record
    assert [each.look for each in opened.evaluate()] == [None]
