from __future__ import annotations

import json

import pytest

from workbench.errors import StudyError
from workbench.reports.iteration_plan import IterationPlan, begin


@pytest.fixture(scope="module")
def opened(bundled):
    return begin(study=bundled, iteration="2026.3")


def test_a_plan_is_of_the_first_hypothesis_unless_one_is_named(opened):
    assert opened.plan(customers=100).hypothesis.name == "preview-helps"
    assert opened.plan("hints-map-more", 100).hypothesis.name == "hints-map-more"
    nothing = IterationPlan(study=opened.study, iteration="2026.5")
    with pytest.raises(
        StudyError, match=r"iteration 2026\.5 tests no hypothesis; name the one to plan"
    ):
        nothing.plan()


def test_a_plan_ends_with_its_numbers(opened):
    made = opened.finish(opened.plan(customers=100))
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
