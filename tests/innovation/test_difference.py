"""What changed between two iterations, in the study, the solution, the customers and the rates."""

from __future__ import annotations

import re
import shutil

import pytest

from workbench import Study
from workbench.errors import StudyError


@pytest.fixture(scope="module")
def study(bundled):
    return Study.load(bundled)


def part(found, name):
    return [each for each in found.changes if each.part == name]


def test_rates_are_those_of_the_learning_metrics(study):
    found = study.difference("2026.1", "2026.4")
    table = study.learning_metrics().set_index(["iteration", "step"])
    for each in part(found, "rate"):
        old, new = (table.loc[(name, each.what)] for name in ("2026.1", "2026.4"))
        assert f"({old['converted']:.0f}/{old['closed']:.0f})" in each.before
        assert f"({new['converted']:.0f}/{new['closed']:.0f})" in each.after
        assert each.estimate == pytest.approx(new["rate"] - old["rate"])
        assert each.low < each.estimate < each.high


def test_versions_are_followed_over_what_lies_between(study):
    found = study.difference("2026.1", "2026.4")
    told = {each.what: (each.before, each.after) for each in part(found, "hypothesis")}
    assert told == {
        "preview-helps": ("version 1", "version 2 in 2026.3"),
        "hints-map-more": ("", "version 1 in 2026.2"),
        "memory-brings-back": ("", "version 1"),
    }
    assert found.sentence == "The solution and a hypothesis both moved."


def test_a_change_of_the_solution_stands_beside_its_step_and_its_test(study):
    found = study.difference("2026.1", "2026.2")
    version, hints = part(found, "solution")
    assert (version.before, version.after) == ("import 3.0", "import 3.1")
    mapped = next(each for each in part(found, "rate") if each.what == "mapped")
    assert (hints.estimate, hints.low) == (mapped.estimate, mapped.low)
    assert "points, not randomized; tested by hints-map-more 1: refuted" in hints.change


def test_the_mix_names_the_level_that_moved_most(study):
    found = study.difference("2026.1", "2026.2")
    told = {each.what: each for each in part(found, "mix")}
    assert set(told) == {"company_size", "industry", "country"}
    entered = study.learning_metrics(("2026.1", "2026.2"), by="country").query(
        "step == 'previewed'"
    )
    shares = entered.pivot_table(
        index="country", columns="iteration", values="entered", aggfunc="sum"
    )
    shares = shares.drop(index="(missing)")
    shares /= shares.sum()
    most = (shares["2026.2"] - shares["2026.1"]).abs().idxmax()
    assert told["country"].before.startswith(f"{most} {100 * shares['2026.1'][most]:.1f}%")


@pytest.mark.parametrize(
    ("solution", "hypothesis", "said"),
    [
        (True, False, "The solution moved, and no new version of a hypothesis was tested"),
        (False, True, "The iterations do not say which solution customers had"),
        (False, False, "The iterations do not say which solution customers had"),
    ],
)
def test_what_moved_together(bundled, tmp_path, solution, hypothesis, said):
    shutil.copytree(bundled.parent, tmp_path / "study")
    path = tmp_path / "study" / "study.yaml"
    text = path.read_text(encoding="utf-8")
    if not solution:
        text = re.sub(r"solution: import 3\.\d, (changes: \[.*\],)?\s*", "", text)
    if not hypothesis:
        text = text.replace('    iteration: "2026.2"\n', '    iteration: "2026.1"\n')
    path.write_text(text, encoding="utf-8")
    found = Study.load(path).difference("2026.1", "2026.2")
    assert found.sentence.startswith(said)


def test_the_earlier_one_comes_first(study):
    with pytest.raises(
        StudyError, match=r"'2026\.3' is not before '2026\.2'; name the earlier one"
    ):
        study.difference("2026.3", "2026.2")
    with pytest.raises(StudyError, match=r"unknown iteration '2026\.9'"):
        study.difference("2026.9", "2026.2")
