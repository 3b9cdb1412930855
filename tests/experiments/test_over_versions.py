"""What the versions of a hypothesis say together."""

from __future__ import annotations

from dataclasses import replace

from support.results import hypothesis

from workbench import Study
from workbench.experiments.over_versions import over_versions
from workbench.experiments.verdict import Check, evaluate
from workbench.reports import hypothesis_report
from workbench.stats.proportions import Counts
from workbench.views import verdicts

PAIRS = [((9, 28), (14, 29)), ((11, 27), (20, 29)), ((10, 30), (17, 31)), ((9, 27), (16, 29))]


def versions(pairs=PAIRS, **fields):
    return [
        evaluate(
            hypothesis(version=number, iteration=f"2026.{number}", alternative="greater", **fields),
            control=Counts(*control),
            treatment=Counts(*treatment),
        )
        for number, (control, treatment) in enumerate(pairs, 1)
    ]


def test_four_versions_that_are_none_alone_are_enough_together():
    (found,) = over_versions(versions())
    assert found.versions == (1, 2, 3, 4)
    assert "averaged over its four versions, 118 against 112 customers: +21.9 [" in found.sentence
    assert "together they are enough, as they were after version 2" in found.sentence
    assert "The newest alone: +21.8 [" in found.sentence
    assert "its versions do not clearly differ" in found.sentence
    assert found.row()["enough"] is True


def test_what_is_not_enough_says_so_and_versions_that_differ_too():
    (found,) = over_versions(versions([((9, 28), (10, 29)), ((9, 28), (11, 29))]))
    assert "together they are not enough yet" in found.sentence
    (found,) = over_versions(
        versions([((5, 40), (30, 40)), ((20, 40), (8, 40)), ((20, 40), (2, 40))])
    )
    assert "its versions differ, so the average stands for none of them" in found.sentence
    assert "they were enough after version 1, and later ones weaken that" in found.sentence


def test_versions_that_do_not_count_are_named():
    one, two, three, four = versions()
    other = replace(four, hypothesis=four.hypothesis.model_copy(update={"metric": "mapped"}))
    twin = replace(three, hypothesis=three.hypothesis.model_copy(update={"iteration": "2026.2"}))
    broken = evaluate(
        hypothesis(version=5, iteration="2026.5", alternative="greater"),
        control=Counts(9, 28),
        treatment=Counts(14, 29),
        checks=[Check("sample ratio", "invalid", "It does not fit.")],
    )
    (found,) = over_versions([one, two, twin, other, broken])
    assert found.versions == (1, 2)
    assert found.left_out == (
        "version 3, whose customers count already",
        "version 4, which is about something else than version 1",
        "version 5, which has no valid comparison",
    )
    assert over_versions([one, broken]) == []


def test_the_plan_of_the_first_version_holds():
    first, *others = versions(PAIRS[:3], versions=2)
    (found,) = over_versions([first, *others])
    assert found.versions == (1, 2)
    assert found.left_out == ("version 3, beyond the 2 planned",)


def test_reports_say_it_below_the_versions(bundled):
    told = hypothesis_report.begin(study=bundled, iteration="2026.3").history()
    (sentence,) = [each.sentence for each in Study.load(bundled).evidence("2026.3")]
    assert verdicts.history(told).note.startswith(sentence)
    assert Study.load(bundled).evidence("2026.1") == []
