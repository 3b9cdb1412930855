"""What nbval does not see: the rules for templates, and checks that never ran."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from workbench.reports.html import NOTEBOOK_ONLY
from workbench.reports.template import parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").glob("*.ipynb"))
NOTEBOOKS = [*TEMPLATES, *sorted((ROOT / "notebooks").glob("*.ipynb"))]
CHECKED = "nbval-check-output"
LOGIC = (
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.For,
    ast.FunctionDef,
    ast.GeneratorExp,
    ast.If,
    ast.Lambda,
    ast.ListComp,
    ast.Try,
    ast.While,
)
ABOUT = {
    "hypothesis_report": [
        "Verdict",
        "Since the previous iteration",
        "Data quality",
        "Customer flow",
        "Rates",
        "Effects within groupings (exploratory)",
        "A second opinion",
        "Where the deviated went",
        "Plan",
        "Method and versions",
    ],
    "iteration_plan": [
        "What the test takes",
        "How likely the test finds an effect",
        "Method and versions",
    ],
    "indicator_review": [
        "What was found",
        "Indicators on the journey",
        "Which moves before which",
        "The strongest pairs",
        "Customer by customer",
        "Health score",
        "What to collect next",
        "Method and versions",
    ],
    "programme_review": [
        "What was tested",
        "What shipped, and what it is worth",
        "Which steps improved, and which never",
        "When the business could move at all",
        "Novelty",
        "Method and versions",
    ],
    "release_review": [
        "Is it innovation yet?",
        "What to try next, and why",
        "The customer flow, from trigger to outcome",
        "Learning metrics over the iterations",
        "Who came back",
        "What changed since the iteration before",
        "What became of each hypothesis",
        "Problems and their solutions",
        "What the business got",
        "What customers said",
        "The backlog",
        "The one next thing",
        "Method and versions",
    ],
}
UNDATED = {"indicator_review", "programme_review"}  # of a study as a whole, not of one iteration


def name_of(path):
    return path.stem


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [each for each in read(path).cells if each.cell_type == "code"]


def checked(path):
    return [each for each in code(path) if CHECKED in each.metadata.get("tags", [])]


def images(cell):
    return [
        kind
        for output in cell.outputs
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]


def test_there_are_notebooks():
    assert {each.stem for each in NOTEBOOKS} >= {"hypothesis_report", "indicator_workshop", "tour"}


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_the_parameters_cell_is_a_signature(path):
    parameters = parse(read(path), path.stem)
    names = {each.name for each in parameters}
    assert {"study", "as_of"} <= names
    assert ("iteration" in names) == (path.stem not in UNDATED)


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_templates_hold_prose_and_calls(path):
    for cell in code(path):
        found = [each for each in ast.walk(ast.parse(cell.source)) if isinstance(each, LOGIC)]
        assert not found, f"this belongs into workbench/:\n{cell.source}"
        assert "widgets" not in cell.source
        assert "tqdm" not in cell.source


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_sections_come_in_their_order(path):
    prose = [each.source for each in read(path).cells if each.cell_type == "markdown"]
    headings = [line[3:] for text in prose for line in text.splitlines() if line[:3] == "## "]
    assert headings == ABOUT[path.stem]


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_the_last_cell_ends_the_report(path):
    endings = ("report.finish(", "review.finish(")
    assert code(path)[-1].source.startswith(endings)


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_only_the_cover_has_a_first_heading_in_the_page(path):
    first = read(path).cells[0]
    assert first.source.startswith("# ")
    assert NOTEBOOK_ONLY in first.metadata.tags


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_checked_cells_have_run(path):
    assert checked(path), f"no cell of {path.name} is tagged {CHECKED}"
    for cell in checked(path):
        assert cell.execution_count, cell.source
        assert cell.outputs, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_checked_outputs_are_short_texts(path):
    for cell in checked(path):
        for output in cell.outputs:
            text = output.get("data", {}).get("text/plain", output.get("text", ""))
            assert 0 < len(text.splitlines()) <= 60, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_stored_outputs_hold_no_images_and_no_errors(path):
    for cell in code(path):
        assert not images(cell), cell.source
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebooks_name_no_folder_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert str(Path.home()) + "/" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebooks_run_in_any_python(path):
    assert read(path).metadata.kernelspec.name == "python3"
