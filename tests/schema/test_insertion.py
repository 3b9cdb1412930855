"""Entries are inserted as text: every other byte of a study file stays as it is."""

from __future__ import annotations

import difflib

import pytest

from workbench.errors import StudyError
from workbench.schema.insertion import entry, insert, raw_entry
from workbench.schema.study import read_study

IDEA = entry(
    {"name": "new", "statement": "It helps: a lot.", "impact": [4, 8]}, {"name": "FILL IN"}
)
BASE = """# kept
name: s
counts: {source: c.csv, trigger: came, steps: {done: done}}   # odd   spacing
iterations: [{name: "1"}]
ideas:                        # a comment
  - name: old
    statement: >-
      Folded
      text.

  # a comment of the next entry
  - {name: other, statement: "x",
     impact: 3}
# a comment at the end
discovery_horizon: 3
"""


def lines_added(before, after):
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-?"]
    assert all(line.startswith("+ ") for line in changed), changed
    return [line[2:] for line in changed]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "discovery_horizon: 3\n"])
def test_only_the_entry_is_new(tmp_path, end, last):
    path = tmp_path / "study.yaml"
    text = BASE.replace("discovery_horizon: 3\n", last).replace("\n", end)
    path.write_bytes(text.encode())
    insert(path, {"ideas": IDEA})
    now = path.read_bytes().decode()
    added = lines_added(text.split(end), now.split(end))
    assert added == ["  " + line for line in IDEA.split("\n")]
    assert [each.name for each in read_study(path).ideas] == ["old", "other", "new"]
    assert not list(tmp_path.glob(".study*"))


def test_the_bundled_study_keeps_each_of_its_lines(bundled, tmp_path):
    path = tmp_path / "study.yaml"
    text = bundled.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    iteration = entry({"name": "2026.6", "start": "2026-05-25", "end": "2026-06-22"})
    insert(path, {"iterations": iteration, "ideas": IDEA})
    added = lines_added(text.split("\n"), path.read_text(encoding="utf-8").split("\n"))
    assert len(added) == 6
    spec = read_study(path)
    assert (spec.iterations[-1].name, spec.ideas[-1].name) == ("2026.6", "new")


def test_a_list_that_is_not_there_comes_to_the_end(tmp_path):
    path = tmp_path / "study.yaml"
    text = BASE[: BASE.index("ideas:")].rstrip("\n")
    path.write_text(text)
    insert(path, {"ideas": IDEA})
    assert path.read_text() == f"{text}\nideas:\n  " + IDEA.replace("\n", "\n  ") + "\n"


@pytest.mark.parametrize(
    ("part", "text", "said"),
    [
        ("iterations", BASE, "iterations is written in brackets; paste the draft into it yourself"),
        ("ideas", BASE.replace("name: old", "name: new"), "'new' is the name of another idea"),
        (
            "hypotheses",
            BASE.replace("discovery_horizon: 3", "hypotheses: []"),
            "hypotheses is there and empty; paste the draft below it yourself",
        ),
    ],
)
def test_what_cannot_be_inserted_changes_nothing(tmp_path, part, text, said):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=said) as caught:
        insert(path, {part: IDEA})
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith("nothing was written")
    assert [each.name for each in tmp_path.iterdir()] == ["study.yaml"]
    assert path.read_text() == text


def test_an_entry_is_read_as_it_is_written(bundled):
    raw = raw_entry(bundled, "hypotheses", 0)
    assert (raw["name"], raw["minimum_effect"], raw["treatment"]) == (
        "preview-helps",
        0.05,
        {"variant": "preview"},
    )
