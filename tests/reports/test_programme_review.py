"""A programme review: complete in one page, for a study with and without strategic metrics."""

from __future__ import annotations

import json

import pytest

from workbench.errors import StudyError
from workbench.reports.programme_review import begin
from workbench.reports.publish import publish


def test_it_is_published_with_its_numbers(bundled, tmp_path):
    published = publish(bundled, template="programme_review", output=tmp_path)
    content = json.loads(published.result.read_text(encoding="utf-8"))
    assert [each["quarter"] for each in content["quarters"]] == ["2026-Q1", "2026-Q2"]
    assert {each["word"] for each in content["steps"]} == {"improved"}
    assert len(content["movable"]) == 3
    page = published.html.read_text(encoding="utf-8")
    assert page.count("<img ") >= 9
    assert "When the business could move at all" in page


def test_without_strategic_metrics_the_rest_is_there(bundled, tmp_path):
    text = bundled.read_text(encoding="utf-8").replace("data/", f"{bundled.parent}/data/")
    path = tmp_path / "study.yaml"
    path.write_text(text[: text.index("\nstrategy:")], encoding="utf-8")
    review = begin(study=path)
    assert "names no strategic metrics" in review.strategy.sentences[0]
    assert review.programme.movable == ()
    assert review.facts()[0] == "5 iterations, 2026.1 to 2026.5"
    assert review.finish().content["movable"] == []


def test_indicators_alone_are_no_programme(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: s\nindicators:\n  source: s.csv\n  period: number\n"
        "  definitions: {a: {kind: leading}, b: {kind: lagging}}\n"
    )
    with pytest.raises(StudyError, match="has indicators only"):
        begin(study=path)
