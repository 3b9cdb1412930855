from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from notebooks_for_tests import FINISH, write

from workbench import kernels, reports, specification
from workbench.errors import DataError, ReportError, StudyError
from workbench.readings import RESULT
from workbench.reports import publish, safe_name


def read_study(path):
    """Read enough of a study for a template that does not open one."""
    if not path.exists():
        raise StudyError(f"{path} is not there")
    names = ["2026.1", "Q1/2026"]
    return SimpleNamespace(iterations=[SimpleNamespace(name=name) for name in names])


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(specification, "read_study", read_study)
    path = tmp_path / "study.yaml"
    path.touch()
    return path


@pytest.fixture
def template(tmp_path):
    return write(tmp_path / "mine.ipynb", "## Section", "print('<b>' + study)", FINISH)


@pytest.fixture
def no_kernel(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a kernel started")

    monkeypatch.setattr(reports, "run", refuse)


def files(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_report_is_a_page_a_notebook_and_their_twin(study, template):
    published = publish(study, iteration="2026.1", template=template)
    folder = study.parent / "reports" / "2026.1"
    assert files(folder) == ["mine.html", "mine.ipynb", "mine.json"]
    assert published.html == folder / "mine.html"
    assert [asdict(each) for each in published.verdicts] == [
        {"hypothesis": "h", "verdict": "refuted", "sentence": "No <b>."}
    ]
    page = published.html.read_text("utf-8")
    assert "<title>A &amp; B: iteration 2026.1</title>" in page
    assert "&lt;b&gt;" in page
    result = json.loads(published.result.read_text("utf-8"))
    assert result["iteration"] == "2026.1"
    notebook = nbformat.read(published.notebook, as_version=4)
    assert not {"input_path", "output_path"} & set(notebook.metadata.papermill)


def test_the_same_input_gives_the_same_page_and_twin(study, template):
    first, second = [publish(study, iteration="2026.1", template=template) for _ in range(2)]
    assert first.html.read_bytes() == second.html.read_bytes()


def test_further_parameters_reach_the_template(study, template, tmp_path):
    given = {"iteration": "2026.1", "template": template, "output": tmp_path / "out"}
    published = publish(study, **given, parameters={"top": 7}, as_of="2026-02-10")
    result = json.loads(published.result.read_text("utf-8"))
    assert (result["top"], result["as_of"]) == (7, "2026-02-10")
    assert published.html.parent == tmp_path / "out"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": {"topp": 1}}, "mine: unknown parameter 'topp'; did you mean 'top'?"),
        ({"parameters": {"top": "7"}}, "parameter top is '7', of type str; it must be of type int"),
        ({"parameters": {"study": "b.yaml"}}, "parameter study has an argument of its own"),
        ({"iteration": 2026.1}, "parameter iteration is 2026.1, of type float"),
        ({"iteration": "2026.2"}, "unknown iteration '2026.2'; did you mean '2026.1'?"),
        ({"as_of": "soon"}, "'soon' is no date"),
        ({"template": "none"}, "unknown template 'none'"),
        ({"study_path": "none.yaml"}, "none.yaml is not there"),
    ],
)
@pytest.mark.usefixtures("no_kernel")
def test_bad_input_is_said_before_a_kernel_starts(study, template, changes, words):
    given = {"study_path": study, "iteration": "2026.1", "template": template}
    with pytest.raises((ReportError, StudyError)) as caught:
        publish(**{**given, **changes})
    assert words in str(caught.value)
    assert not (study.parent / "reports").exists()


@pytest.mark.usefixtures("no_kernel")
def test_a_folder_that_cannot_be_written_is_said_before_a_kernel_starts(study, template):
    with pytest.raises(ReportError, match=r"cannot write into .*study\.yaml.*name another folder"):
        publish(study, iteration="2026.1", template=template, output=study / "below")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1 / 0", "failed in code cell 3: ZeroDivisionError: division by zero; no report was"),
        ("import sys; sys.exit(0)", "failed in code cell 3: SystemExit: 0"),
        ("import os; os._exit(0)", "failed in code cell 3: the kernel died"),
    ],
)
def test_a_template_that_fails_leaves_the_report_of_before(study, tmp_path, cell, words):
    path = tmp_path / "mine.ipynb"
    publish(study, iteration="2026.1", template=write(path, "1", FINISH))
    folder = study.parent / "reports" / "2026.1"
    before = {each: each.read_bytes() for each in folder.iterdir()}
    with pytest.raises(ReportError) as caught:
        publish(study, iteration="2026.1", template=write(path, cell, FINISH))
    assert words in str(caught.value)
    assert str(caught.value).endswith(f"\n    {cell}")
    aside = folder / "mine.failed.ipynb"
    assert str(aside) in str(caught.value)
    assert nbformat.read(aside, as_version=4).cells
    assert {each: each.read_bytes() for each in before} == before
    assert len(files(folder)) == 4
    publish(study, iteration="2026.1", template=write(path, "1", FINISH))
    assert not aside.exists()


@pytest.mark.parametrize("kind", ["StudyError", "DataError"])
def test_bad_input_that_only_the_data_show_is_one_sentence(study, tmp_path, kind):
    cell = f"from workbench.errors import {kind}\nraise {kind}('unknown cohort')"
    template = write(tmp_path / "mine.ipynb", cell, FINISH)
    with pytest.raises((StudyError, DataError)) as caught:
        publish(study, iteration="2026.1", template=template)
    assert (type(caught.value).__name__, str(caught.value)) == (kind, "unknown cohort")
    assert not (study.parent / "reports").exists()


def test_a_template_must_end_with_its_result(study, tmp_path):
    template = write(tmp_path / "mine.ipynb", FINISH, "1 + 1")
    with pytest.raises(ReportError, match="its last cell: it left no result"):
        publish(study, iteration="2026.1", template=template)


def test_nothing_appears_before_everything_can(study, template, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("workbench.pages.page", fail)
    with pytest.raises(MemoryError):
        publish(study, iteration="2026.1", template=template)
    assert files(study.parent / "reports" / "2026.1") == []


def test_reports_published_at_once_are_never_mixed(study, template, tmp_path, monkeypatch):
    def at_once(notebook, values, **_):
        ran = nbformat.from_dict(notebook)
        content = {
            "study": {"title": values["as_of"]},
            "iteration": "2026.1",
            "evaluations": [],
            "as_of": values["as_of"],
        }
        data = {RESULT: content, "text/plain": values["as_of"]}
        ran.cells[-1].outputs = [nbformat.v4.new_output("display_data", data=data)]
        return kernels.Run(ran)

    monkeypatch.setattr(reports, "run", at_once)
    monkeypatch.setattr(reports, "spare_kernel", nullcontext)
    days = [f"2026-02-{day:02d}" for day in range(1, 17)]

    def one(day):
        return publish(study, iteration="2026.1", template=template, as_of=day)

    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(one, days))[-1]
    result = json.loads(published.result.read_text("utf-8"))
    assert result["as_of"] in days
    assert f"<title>{result['as_of']}:" in published.html.read_text("utf-8")
    assert result["as_of"] in published.notebook.read_text("utf-8")
    assert files(published.html.parent) == ["mine.html", "mine.ipynb", "mine.json"]


def test_the_folder_of_an_iteration_is_inside_reports(study, template):
    published = publish(study, iteration="Q1/2026", template=template)
    assert published.html.parent.parent == study.parent / "reports"
    assert published.html.parent.name.startswith("Q1-2026-")


@pytest.mark.parametrize("name", ["..", ".", "/", "../../etc", "a b", "x" * 300, "<b>"])
def test_a_safe_name_is_one_part_of_a_path(name):
    safe = safe_name(name)
    assert Path(safe).name == safe
    assert safe not in {"", ".", ".."}
    assert len(safe) < 100


def test_names_that_look_alike_get_folders_of_their_own():
    assert len({safe_name(each) for each in ("Q1/2026", "Q1-2026", "Q1:2026")}) == 3
