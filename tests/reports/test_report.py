"""What every kind of report has, on a study that holds no data."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from support import results
from support.study_without_data import StudyWithoutData

from workbench.errors import StudyError
from workbench.reports import report
from workbench.reports.hypothesis_report import HypothesisReport, begin
from workbench.reports.report import chosen_iteration

NAMES = ["2026.1", "2026.10", "2026.2", "pilot"]


def report_on(iteration="2026.1", as_of=None, **changes):
    return HypothesisReport(study=StudyWithoutData(**changes), iteration=iteration, as_of=as_of)


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
        return StudyWithoutData()

    monkeypatch.setattr("workbench.study.Study", SimpleNamespace(load=load))
    assert begin(study="a.yaml", iteration=2026.1).at == {"iteration": "2026.1", "as_of": None}
    assert begin(iteration="2026.1", as_of="2026-02-01").as_of == "2026-02-01"
    assert opened == ["a.yaml", report.bundled_study()]


def test_the_cover_names_the_first_and_the_last_day():
    assert repr(report_on()) == (
        "Guided import\nIteration 2026.1 · 5 January 2026 to 1 February 2026"
    )
    assert repr(report_on("2026.2")) == "Guided import\nIteration 2026.2"
    assert repr(report_on("2026.3")).endswith("2 March 2026, 08:00 to 9 March 2026, 08:00")
    assert "<h1>Guided import</h1>" in report_on()._repr_html_()


def test_the_cover_says_the_note_of_the_study():
    shown = report_on(note="Simulated: <nobody> is real.")
    assert repr(shown).endswith("\nSimulated: <nobody> is real.")
    assert '<p class="wb-note">Simulated: &lt;nobody&gt; is real.</p>' in shown._repr_html_()
    assert "wb-note" not in report_on()._repr_html_().split("</style>")[1]


def test_the_cover_says_how_far_the_data_go():
    newest = datetime(2026, 2, 10, 11, tzinfo=UTC)
    assert repr(report_on(newest=newest)).endswith(" · Data to 10 February 2026, 11:00 UTC")
    early = report_on("2026.2", "2026-02-01", newest=newest)
    assert repr(early).endswith("Iteration 2026.2 · Data to 1 February 2026")


def test_cohorts_are_told_apart_by_what_the_hypotheses_compare():
    groupings = {"company_size": "segment", "arm": "experiment", "variant": "experiment"}
    tested = [results.hypothesis(), results.hypothesis(iteration="2026.2")]
    assert report_on(groupings=groupings, hypotheses=tested).by == ["variant"]
    assert report_on("2026.3", groupings=groupings, hypotheses=tested).by == ["arm"]
    assert report_on(groupings={"company_size": "segment"}).by == []
