from __future__ import annotations

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from support import results

from workbench.errors import StudyError
from workbench.reports import hypothesis_report
from workbench.reports.hypothesis_report import RESULT, Reading, begin, chosen_iteration, plain
from workbench.schema.time import Iteration

NAMES = ["2026.1", "2026.10", "2026.2", "pilot"]


class FakeStudy:
    def __init__(self, *, hypotheses=(), groupings=None, newest=None, note=""):
        self.latest = newest
        self.spec = SimpleNamespace(
            name="guided-import",
            title="Guided import",
            note=note,
            iterations=[
                Iteration(name="2026.1", start=date(2026, 1, 5), end=date(2026, 2, 2)),
                Iteration(name="2026.2"),
                Iteration(name="2026.3", start="2026-03-02T08:00", end="2026-03-09T08:00"),
            ],
            hypotheses=hypotheses,
            groupings=groupings or {},
        )

    def newest(self, as_of):
        return self.latest if as_of is None else datetime.fromisoformat(as_of)

    def effects(self, *, iteration, hypothesis, as_of):
        assert (iteration, as_of) == ("2026.1", None)
        frame = results.effects().drop(columns=["hypothesis", "minimum_effect", "alternative"])
        return frame if hypothesis != "empty" else frame.head(0)


def reading(iteration="2026.1", **changes):
    return Reading(FakeStudy(**changes), iteration)


def test_an_iteration_is_chosen_by_name():
    assert chosen_iteration("2026.10", NAMES) == "2026.10"


def test_a_name_that_papermill_made_a_number_is_a_name_again():
    assert chosen_iteration(2026.2, NAMES) == "2026.2"
    assert chosen_iteration(7, ["7"]) == "7"


def test_a_number_that_may_mean_two_iterations_is_refused():
    with pytest.raises(StudyError, match=r"may mean '2026\.1' or '2026\.10'; hand it over as text"):
        chosen_iteration(2026.1, NAMES)


@pytest.mark.parametrize("wrong", ["pilto", 3.5, "", None])
def test_an_unknown_iteration_is_refused(wrong):
    with pytest.raises(StudyError, match="unknown iteration"):
        chosen_iteration(wrong, NAMES)


def test_begin_opens_the_study(monkeypatch):
    opened = []

    def load(path):
        opened.append(path)
        return FakeStudy()

    monkeypatch.setattr("workbench.study.Study", SimpleNamespace(load=load))
    assert begin(study="a.yaml", iteration=2026.1).at == {"iteration": "2026.1", "as_of": None}
    assert begin(iteration="2026.1", as_of="2026-02-01").as_of == "2026-02-01"
    assert opened == ["a.yaml", hypothesis_report.bundled_study()]


def test_the_cover_names_the_first_and_the_last_day():
    assert repr(reading()) == (
        "Guided import\nIteration 2026.1 · 5 January 2026 to 1 February 2026"
    )
    assert repr(reading("2026.2")) == "Guided import\nIteration 2026.2"
    assert repr(reading("2026.3")).endswith("2 March 2026, 08:00 to 9 March 2026, 08:00")
    assert "<h1>Guided import</h1>" in reading()._repr_html_()


def test_the_cover_says_the_note_of_the_study():
    shown = reading(note="Simulated: <nobody> is real.")
    assert repr(shown).endswith("\nSimulated: <nobody> is real.")
    assert '<p class="wb-note">Simulated: &lt;nobody&gt; is real.</p>' in shown._repr_html_()
    assert "wb-note" not in reading()._repr_html_().split("</style>")[1]


def test_the_cover_says_how_far_the_data_go():
    newest = datetime(2026, 2, 10, 11, tzinfo=UTC)
    assert repr(reading(newest=newest)).endswith(" · Data to 10 February 2026, 11:00 UTC")
    early = Reading(FakeStudy(newest=newest), "2026.2", "2026-02-01")
    assert repr(early).endswith("Iteration 2026.2 · Data to 1 February 2026")


def test_cohorts_are_told_apart_by_what_the_hypotheses_compare():
    groupings = {"company_size": "segment", "arm": "experiment", "variant": "experiment"}
    tested = [results.hypothesis(), results.hypothesis(iteration="2026.2")]
    assert reading(groupings=groupings, hypotheses=tested).by == ["variant"]
    assert reading("2026.3", groupings=groupings, hypotheses=tested).by == ["arm"]
    assert reading(groupings={"company_size": "segment"}).by == []


def test_effects_of_all_hypotheses_are_one_table():
    tested = [results.hypothesis(name=name) for name in ("one", "two", "empty")]
    frame = reading(hypotheses=tested).effects()
    assert list(frame["hypothesis"].unique()) == ["one", "two"]
    assert set(frame["minimum_effect"]) == {0.05}
    assert set(frame["alternative"]) == {"greater"}
    assert reading().effects().empty


def finished(*evaluations):
    return reading().finish(
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("inf"), None),
        (pd.NaT, None),
        (pd.Timestamp("2026-01-05", tz="UTC"), "2026-01-05T00:00:00+00:00"),
        (datetime(2026, 1, 5, tzinfo=UTC), "2026-01-05T00:00:00+00:00"),
        (pd.Timedelta(days=1), 86400.0),
        (("a", None), ["a", None]),
        ({1: {"b": results.NAN}}, {"1": {"b": None}}),
    ],
)
def test_every_value_becomes_plain(value, expected):
    assert plain(value) == expected


# Versions, plans and records, on the bundled study
@pytest.fixture(scope="module")
def opened(bundled):
    return begin(study=bundled, iteration="2026.3")


def test_the_story_holds_versions_up_to_this_iteration(opened, bundled):
    assert opened.story()["version"].tolist() == [1, 2]
    assert begin(study=bundled, iteration="2026.1").story()["version"].tolist() == [1]
    assert begin(study=bundled, iteration="2026.5").story().empty


def test_a_plan_is_of_the_first_hypothesis_unless_one_is_named(opened):
    assert opened.design(customers=100).hypothesis.name == "preview-helps"
    assert opened.design("hints-map-more", 100).hypothesis.name == "hints-map-more"
    nothing = Reading(opened.study, "2026.5")
    with pytest.raises(
        StudyError, match=r"iteration 2026\.5 tests no hypothesis; name the one to plan"
    ):
        nothing.design()


def test_a_plan_ends_with_its_numbers(opened):
    made = opened.planned(opened.design(customers=100))
    content = made.content
    assert content["hypothesis"] == "preview-helps"
    assert [each["analysis"] for each in content["plan"]] == [
        "fixed",
        "sequential, 4 looks",
        "anytime",
    ]
    assert len(content["power"]) == 33
    assert json.loads(json.dumps(content)) == content
    assert "Made with" in repr(made)


def test_looks_are_recorded_only_if_that_is_wanted(opened):
    assert not opened.record
    assert [each.look for each in opened.evaluate()] == [None]
