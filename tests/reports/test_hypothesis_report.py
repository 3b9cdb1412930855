from __future__ import annotations

import json

import pytest
from support import results
from support.study_without_data import StudyWithoutData

from workbench.reports.hypothesis_report import HypothesisReport, begin
from workbench.reports.publish import publish
from workbench.reports.report import RESULT
from workbench.views import tables


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


PARTNERS = """\
name: pilot
customers: {source: customers.csv, customer: id}
outcomes: {stayed: back}
groupings: {arm: experiment, size: segment}
iterations: [{name: one}]
"""


def pilot(folder, more="partners: {source: partners.csv}\n"):
    """Write 60 customers, of whom six are large; all of these and two more take part."""
    (folder / "study.yaml").write_text(PARTNERS + more)
    rows = [
        f"{who},{'ab'[who % 2]},{'large' if who < 6 else 'small'},{'yes' if who < 8 else ''}\n"
        for who in range(60)
    ]
    (folder / "customers.csv").write_text("id,arm,size,back\n" + "".join(rows))
    asked = [
        f"{who},{'yes' if who < 9 else 'no'},{'yes' if who < 8 else 'no'}\n" for who in range(10)
    ]
    (folder / "partners.csv").write_text("customer,agreed,took_part\n" + "".join(asked))
    return folder / "study.yaml"


def test_partners_stand_once_in_the_report_and_in_its_twin(tmp_path):
    sentence = (
        "9 of 10 invited customers agreed and 8 took part, of 60 in all; customers with size = large "
        "are 75.0% (6/8) of those who took part but 10.0% (6/60) of all: the result speaks for them "
        "first."
    )
    made = publish(pilot(tmp_path), iteration="one", template="hypothesis_report")
    page = made.html.read_text("utf-8")
    assert page.count(sentence) == page.count("Partners beside all customers") == 1
    assert "75.0% (6/8)</td>" in page
    told = json.loads(made.result.read_text("utf-8"))["partners"]
    assert told["sentence"] == sentence
    assert [each["took_part"] for each in told["table"]] == [8, 6, 2]
    assert told["table"][1]["took_part_share"] == 0.75


def test_without_partners_nothing_is_said_of_them(tmp_path):
    report = begin(study=pilot(tmp_path, ""), iteration="one")
    assert report.partners() is None
    assert tables.partners(None) is tables.speaks_for(None) is None
    assert "partners" not in finished().content
