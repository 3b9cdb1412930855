"""What people read: studies that load, commands and links that exist, words that the code uses."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
import typer.main
from ruamel.yaml import YAML

import workbench
from workbench.cli import app
from workbench.schema.hypothesis import Verdict
from workbench.schema.study import StudySpec
from workbench.study import Study

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COLUMNS = (
    *("iteration", "step", "entered", "aligned", "deviated", "pending", "converted", "closed"),
    *("rate", "low", "high", "step_rate", "median_hours"),
)
SYNONYMS = ("funnel", "uplift", "conversion rate", "drop-off", "test group", "control group")
COMMANDS = typer.main.get_command(app)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def glossary() -> str:
    return text_of(ROOT / "docs" / "glossary.md")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def studies_of(page: Path) -> list[dict[str, str]]:
    """Give each study of a page as its files; a part of a study changes the first that is whole."""
    yaml, found, tables = YAML(), [], {}
    for kind, body in re.findall(
        r"^```(csv \S+|yaml)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL
    ):
        if kind != "yaml":
            tables[kind.split()[1]] = body
            continue
        content = yaml.load(body)
        if "name" not in content:
            content = {**yaml.load(found[0]["study.yaml"]), **content}
        written = io.StringIO()
        yaml.dump(content, written)
        found.append({**tables, "study.yaml": written.getvalue()})
    return found


STUDIES = [(page, number) for page in PAGES for number in range(len(studies_of(page)))]


def commands_of(page: Path) -> list[list[str]]:
    """List the calls of `workbench` in a page: lines of code, and spans within a line."""
    lines = re.findall(r"^    (workbench .*)$|`(workbench [^`|]+)`", text_of(page), re.MULTILINE)
    return [shlex.split(line or span, comments=True)[1:] for line, span in lines]


def test_the_guide_has_a_study_for_each_kind_of_data():
    kinds = [set(YAML().load(each["study.yaml"])) for each in studies_of(ROOT / "docs/guide.md")]
    assert len(kinds) >= 4
    assert {"events", "counts", "outcomes"} <= set().union(*kinds)


@pytest.mark.parametrize(
    ("page", "number"), STUDIES, ids=[f"{page.stem}-{number}" for page, number in STUDIES]
)
def test_studies_on_a_page_load_and_have_no_errors(page, number, tmp_path):
    for name, content in studies_of(page)[number].items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    study = Study.load(tmp_path / "study.yaml")
    assert not study.check().errors
    assert len(study.evaluate()) == 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text_of(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist_with_their_options(page):
    for command, *rest in commands_of(page):
        if command == "--version":
            continue
        known = {option for each in COMMANDS.commands[command].params for option in each.opts}
        assert {each for each in rest if each.startswith("--")} <= known | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_one_thing_has_one_word(page):
    said = text_of(page).lower()
    assert not [each for each in SYNONYMS if each in said]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_are_run_by_pytest(page, request):
    paths = [ROOT / each for each in request.config.getini("testpaths")]
    run = any(page == each or each in page.parents for each in paths)
    assert run or ">>>" not in text_of(page)


def test_the_readme_begins_with_the_two_commands():
    lines = text_of(ROOT / "README.md").splitlines()
    assert [line.split("#")[0].strip() for line in lines[2:4]] == ["make report", "make test"]


@pytest.mark.parametrize("name", ["report.png", "workshop.png", "indicators.png", "release.png"])
def test_pictures_are_small(name):
    assert (ROOT / "docs" / name).stat().st_size <= 250_000


@pytest.mark.parametrize("name", [*COLUMNS, *map(str, Verdict)])
def test_the_glossary_has_the_words_of_results(name):
    assert re.search(rf"\b{name}\b", glossary())


def test_results_have_the_columns_that_the_glossary_is_held_to(bundled):
    assert tuple(Study.load(bundled).learning_metrics("2026.1").columns) == COLUMNS


@pytest.mark.parametrize("name", workbench.__all__)
def test_public_names_are_words_of_the_glossary(name):
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    said = glossary().lower()
    assert re.search(rf"\b{words.rstrip('s')}", said) or f"`{name}`".lower() in said, words


@pytest.mark.parametrize("key", [*StudySpec.model_fields])
def test_the_guide_or_the_glossary_names_every_key_of_a_study(key):
    assert re.search(rf"\b{key}\b", glossary() + text_of(ROOT / "docs" / "guide.md"))
