from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from support.notebooks_for_tests import notebook, write

from workbench.errors import ReportError
from workbench.reports.template import Parameter, find_template, parse, templates_folder


def template(tmp_path, signature):
    return find_template(write(tmp_path / "mine.ipynb", "1", parameters=signature))


def test_the_first_cell_is_the_signature():
    signature = 'study: str = ""  # the file\nsizes: list[int] = [1, 2]  # how many\n'
    assert parse(notebook(parameters=signature), "mine") == (
        Parameter("study", "str", "", "the file"),
        Parameter("sizes", "list[int]", [1, 2], "how many"),
    )


@pytest.mark.parametrize(
    "line",
    [
        'study = ""  # no type',
        "study: str  # no default",
        'study: str = ""',
        "study: str = 3  # wrong default",
        "study: str = str()  # computed",
        "study: Study = 1  # a type that no pipeline can hand over",
        "import os  # not a parameter",
    ],
)
def test_a_line_that_says_too_little_is_refused(line):
    with pytest.raises(ReportError, match="template mine: line 1 of its parameters cell breaks"):
        parse(notebook(parameters=line), "mine")


def test_a_cell_that_does_not_parse_is_refused():
    with pytest.raises(ReportError, match="its parameters cell does not parse"):
        parse(notebook(parameters="study: str = ("), "mine")


def test_there_is_one_parameters_cell():
    with pytest.raises(ReportError, match="has 0 cells tagged 'parameters'; it must have one"):
        parse(notebook("1", parameters=None), "mine")


@pytest.mark.parametrize(
    ("kind", "default", "given", "plain"),
    [
        ("str", "''", Path("a/b.yaml"), "a/b.yaml"),
        ("str", "''", date(2026, 1, 5), "2026-01-05"),
        ("str", "''", datetime(2026, 1, 5, 8, tzinfo=UTC), "2026-01-05T08:00:00+00:00"),
        ("str", "''", np.str_("x"), "x"),
        ("int", "1", np.int64(3), 3),
        ("float", "1.0", 3, 3.0),
        ("float", "1.0", np.float32(0.5), 0.5),
        ("bool", "True", np.bool_(False), False),
        ("list", "[]", (1, "a"), [1, "a"]),
        ("list[float]", "[]", [1, 0.5], [1.0, 0.5]),
    ],
)
def test_values_become_plain(tmp_path, kind, default, given, plain):
    values = template(tmp_path, f"x: {kind} = {default}  # it").values({"x": given})
    assert values == {"x": plain}
    assert type(values["x"]) is type(plain)


@pytest.mark.parametrize(
    ("kind", "default", "given"),
    [
        ("str", "''", 2026.1),
        ("str", "''", None),
        ("int", "1", True),
        ("int", "1", 1.5),
        ("int", "1", "3"),
        ("bool", "True", 1),
        ("float", "1.0", "0.5"),
        ("list[int]", "[]", ["a"]),
        ("list", "[]", "abc"),
        ("list", "[]", [None]),
    ],
)
def test_a_wrong_type_is_refused(tmp_path, kind, default, given):
    with pytest.raises(ReportError) as caught:
        template(tmp_path, f"x: {kind} = {default}  # it").values({"x": given})
    assert str(caught.value) == (
        f"template mine: parameter x is {given!r}, of type {type(given).__name__}; "
        f"it must be of type {kind}"
    )


def test_an_unknown_name_is_refused_with_the_closest(tmp_path):
    with pytest.raises(ReportError) as caught:
        template(tmp_path, "iteration: str = ''  # it").values({"iteratoin": "x"})
    assert str(caught.value) == (
        "template mine: unknown parameter 'iteratoin'; did you mean 'iteration'? known: iteration"
    )


def test_an_unknown_template_is_refused_with_the_closest():
    with pytest.raises(ReportError, match="did you mean 'hypothesis_report'"):
        find_template("hypothesis_reprot")


def test_a_template_of_your_own_must_be_there(tmp_path):
    with pytest.raises(ReportError, match=r"none\.ipynb cannot be read: No such file"):
        find_template(tmp_path / "none.ipynb")


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"cells": 1}'])
def test_a_template_must_be_a_notebook(tmp_path, content):
    path = tmp_path / "broken.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match="is not a notebook"):
        find_template(path)


def test_the_templates_come_with_the_workbench():
    names = [each.name for each in templates_folder().glob("*.ipynb")]
    assert "hypothesis_report.ipynb" in names
    found = find_template("hypothesis_report")
    assert [each.name for each in found.parameters] == ["study", "iteration", "as_of", "record"]
