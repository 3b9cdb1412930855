"""A release review, part by part: on the bundled study, and on studies that lack parts of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from workbench.display import Sentences
from workbench.errors import DataError, StudyError
from workbench.reports import release_review
from workbench.reports.release_review import ReleaseReview
from workbench.reports.report import RESULT
from workbench.views import innovation, release_figures, release_tables

COUNTS = """\
name: trial
counts:
  source: daily.csv
  trigger: clicks
  steps: {enrolled: enrolled, paid: paid}
groupings: {page: experiment}
iterations:
  - {name: april}
hypotheses:
  - name: question-keeps
    statement: Asking for their time keeps those who pay.
    metric: paid
    iteration: april
    control: {page: plain}
    treatment: {page: question}
    minimum_effect: 0.2
"""
ROWS = "page,clicks,enrolled,paid\nplain,120,31,14\nquestion,118,25,13\n"


@pytest.fixture(scope="module")
def review(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> ReleaseReview:
    """Review a copy of the bundled study, so that no ledger of another run is met."""
    folder = tmp_path_factory.mktemp("release") / "study"
    shutil.copytree(bundled.parent, folder, ignore=shutil.ignore_patterns("ledger*", "reports"))
    return release_review.begin(study=folder / "study.yaml", iteration="2026.5")


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> ReleaseReview:
    """Review a study of counts: no events, no strategy, no feedback, no ideas."""
    folder = tmp_path_factory.mktemp("counts")
    (folder / "daily.csv").write_text(ROWS, encoding="utf-8")
    (folder / "study.yaml").write_text(COUNTS, encoding="utf-8")
    return release_review.begin(study=folder / "study.yaml", iteration="april")


def test_the_cover_says_what_it_is(review):
    assert "Guided import" in repr(review)
    assert "Release review" in review._repr_html_()


def test_the_four_states_come_first(review):
    assert [each.name for each in review.innovation.goals] == [
        "need met",
        "adoption",
        "renewed",
        "both",
    ]
    shown = release_tables.goals(review.innovation)._repr_html_()
    assert shown.index("True innovation") < shown.index("Need validated")
    assert shown.count("<article") == 4


def test_metrics_are_those_of_this_iteration_and_of_all_before(review):
    assert list(dict.fromkeys(review.metrics["iteration"])) == review.iterations
    assert review.iterations[-1] == "2026.5"
    assert {"blank", "preview"} == set(review.cohorts["variant"])
    earlier = release_review.begin(iteration="2026.2")
    assert list(dict.fromkeys(earlier.metrics["iteration"])) == ["2026.1", "2026.2"]


def test_versions_that_are_not_on_record_have_the_verdict_of_the_data(review):
    frame = review.history
    told = frame.set_index(["hypothesis", "version"])["verdict"].to_dict()
    assert told[("hints-map-more", 1)] == "refuted"
    assert told[("preview-helps", 1)] == "supported"
    assert told[("preview-helps", 2)] == "inconclusive"
    assert not frame["looks"].any()
    assert "not on record" in release_tables.history(frame).note


def test_what_is_on_record_is_told_from_the_ledger(review):
    study = review.study.folder / "study.yaml"
    release_review.begin(study=study, iteration="2026.1", record=True).evaluations  # noqa: B018 - records
    frame = release_review.begin(study=study, iteration="2026.5").history.set_index(
        ["hypothesis", "version"]
    )
    assert frame.loc[("preview-helps", 1), ["looks", "label", "discovery"]].tolist() == [
        1,
        "supported, a discovery",
        "yes",
    ]
    assert frame.loc[("preview-helps", 2), "looks"] == 0


def test_the_next_thing_is_the_first_of_the_backlog(review):
    assert (review.next.kind, review.next.about) == ("try", review.backlog.ranked[0].candidate.name)


def test_the_result_holds_every_part_as_plain_values(review):
    content = review.finish()._repr_mimebundle_()[RESULT]
    assert json.loads(json.dumps(content)) == content
    assert {"study", "iteration", "as_of", "evaluations", "innovation", "trend"} <= set(content)
    assert {"strategy", "feedback", "backlog", "hypotheses", "retention", "next"} <= set(content)
    assert content["innovation"]["state"] == str(review.innovation.state)
    assert len(content["innovation"]["goals"]) == 4


def test_an_early_day_has_no_strategic_metric_yet(bundled):
    early = release_review.begin(study=bundled, iteration="2026.1", as_of="2024-11-05")
    said = early.strategy
    assert isinstance(said, Sentences)
    assert "is over by" in repr(said)


def test_broken_strategic_data_are_not_taken_for_early_ones(review, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(review.study.folder, folder)
    (folder / "data" / "strategy.csv").write_text("metric,period,value\n", encoding="utf-8")
    broken = release_review.begin(
        study=folder / "study.yaml", iteration="2026.1", as_of="2026-03-01"
    )
    with pytest.raises(DataError):
        _ = broken.strategy


def test_what_a_study_lacks_is_one_sentence(counted):
    assert "names no strategic metrics" in repr(release_tables.standings(counted.strategy))
    assert "names no feedback" in repr(release_tables.themes(counted.feedback))
    assert repr(release_figures.retention_figure(counted.retention)) == (
        "Only an event log tells who came back after the need was met."
    )
    silent = [
        release_tables.retention(counted.retention),
        release_tables.courses(counted.strategy),
        release_tables.feeds(counted.strategy),
        release_tables.said_and_done(counted.feedback),
        release_tables.unaddressed(counted.feedback),
    ]
    assert [each._repr_html_() for each in silent] == [""] * 5
    assert repr(innovation.backlog(counted.backlog)).endswith("add ideas to the study.")
    assert counted.next.kind == "listen"


def test_counts_alone_can_be_drawn_and_finished(counted):
    (flow,) = release_figures.flow_figure(counted.metrics, counted.innovation, counted.trigger)
    assert flow.alt.startswith("The customer flow from clicks on. april: 238 entered.")
    content = counted.finish().content
    assert (content["strategy"], content["feedback"], content["retention"]) == ([], {}, [])
    assert [each["verdict"] for each in content["evaluations"]] == ["refuted"]


def test_what_is_wrong_with_feedback_is_said_before_a_look_is_recorded(bundled, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(bundled.parent, folder, ignore=shutil.ignore_patterns("reports", "ledger.db*"))
    path = folder / "study.yaml"
    path.write_text(path.read_text("utf-8").replace("[F-01, ", "[F-99, ", 1), "utf-8")
    with pytest.raises(StudyError, match="unknown evidence 'F-99'"):
        _ = release_review.begin(study=path, iteration="2026.1", record=True).evaluations
    assert not (folder / "ledger.db").exists()
