"""Problems: which solution is best so far, by what it is worth to customers, and what is untried."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support.results import hypothesis

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments.discoveries import Effect, shrunken
from workbench.experiments.verdict import Check, evaluate
from workbench.innovation.problems import review_problems
from workbench.reports import release_review
from workbench.schema.hypothesis import Idea, Problem
from workbench.stats.proportions import Counts
from workbench.views import release_tables


@dataclass
class Spec:
    problems: tuple
    hypotheses: tuple
    ideas: tuple = ()


def answer(name, control, treatment, version=1, checks=(), **more):
    claim = hypothesis(name=name, version=version, problem="leap", alternative="greater", **more)
    pair = {"control": Counts(control, 100), "treatment": Counts(treatment, 100)}
    return evaluate(claim, **pair, checks=checks)


def review(*found, ideas=()):
    spec = Spec((Problem(name="leap"),), tuple(each.hypothesis for each in found), ideas)
    (one,) = review_problems(spec, found)
    return one


def test_the_best_is_worth_most_once_shrunk_and_the_newest_version_speaks():
    old, new, other = (
        answer("a", 40, 70),
        answer("a", 40, 48, version=2, iteration="2026.2"),
        answer("b", 40, 58),
    )
    found = review(old, new, other)
    assert [(each.name, each.version) for each in found.solutions] == [("b", 1), ("a", 2)]
    effects = {
        each.key: Effect.of(each.comparison.control, each.comparison.treatment)
        for each in (old, new, other)
    }
    assert found.best.worth == shrunken(effects)[other.key]
    assert found.best.worth.estimate < other.comparison.estimate
    assert found.sentence.startswith("Best so far: b 1 (+")
    assert "It may be no better than a." in found.sentence


def test_what_is_broken_is_no_solution_and_what_is_untested_is_untried():
    idea = Idea(name="undo", statement="Undo.", problem="leap")
    broken = answer("a", 40, 60, checks=[Check("sample ratio", "invalid", "No.")])
    found = review(broken, ideas=(idea,))
    assert found.best is None
    assert found.sentence == "Nothing was tried yet. Untried: undo."
    worse = review(answer("a", 60, 40))
    assert worse.sentence.startswith(
        "Nothing that was tried is worth something to customers: a 1 (−"
    )
    assert worse.row()["best"] == ""


def test_a_reduction_that_is_claimed_is_worth_something():
    claim = hypothesis(name="fewer", problem="leap", alternative="less")
    found = review(evaluate(claim, control=Counts(60, 100), treatment=Counts(35, 100)))
    assert found.best.worth.estimate > 0
    assert found.best.worth.low < found.best.worth.estimate < found.best.worth.high


def test_reviews_say_it(bundled):
    begun = release_review.begin(study=bundled, iteration="2026.4")
    table = release_tables.problems(begun.problems)
    assert table.rows[0][2] == "preview-helps"
    assert "Untried: undo-import." in table.rows[0][3]
    assert release_tables.difference(begun.difference).rows
    first = release_review.begin(study=bundled, iteration="2026.1")
    assert "This is the first iteration" in first.difference.sentences[0]
    assert first.finish().content["problems"][0]["best"] == "preview-helps 1"


def test_names_of_problems_and_steps_are_known_ones(bundled, tmp_path):
    text = bundled.read_text(encoding="utf-8").replace("data/", f"{bundled.parent}/data/")
    for old, new, said in (
        (
            "problem: import-is-a-leap",
            "problem: import-is-leap",
            "unknown problem 'import-is-leap'; di",
        ),
        ("step: mapped, what", "step: maped, what", "unknown step 'maped'; did you mean 'mapped'?"),
        (
            "ideas:  ",
            "  - {name: import-is-a-leap}\nideas:  ",
            "problem 'import-is-a-leap' is there twice",
        ),
    ):
        path = tmp_path / "study.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(StudyError, match=said[:40].replace("?", r"\?")):
            Study.load(path)
