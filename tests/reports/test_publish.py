"""Every report of an iteration at once: which templates fit, and what is said of the others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from support.notebooks_for_tests import FINISH, write
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import DataError, ReportError, StudyError
from workbench.reports import kernel
from workbench.reports import publish as publish_module
from workbench.reports import template as template_module
from workbench.reports.publish import (
    Published,
    PublishedVerdict,
    choose,
    publish,
    publish_all,
    safe_name,
)
from workbench.reports.report import RESULT
from workbench.reports.template import templates_folder
from workbench.schema.study import read_study as read_whole_study

COUNTS = """\
name: trial
counts:
  source: daily.csv
  trigger: clicks
  steps: {paid: paid}
groupings: {page: experiment}
iterations:
  - {name: april}
"""
INDICATORS = """\
name: sales
indicators:
  source: series.csv
  period: number
  columns: {period: t}
  definitions: {lead: {kind: leading}, sales: {kind: lagging}}
"""
ALL = [
    "hypothesis_report",
    "indicator_review",
    "iteration_plan",
    "programme_review",
    "release_review",
]


def read_study(path):
    """Read enough of a study for a template that does not open one."""
    if not path.exists():
        raise StudyError(f"{path} is not there")
    names = ["2026.1", "Q1/2026"]
    return SimpleNamespace(iterations=[SimpleNamespace(name=name) for name in names])


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(publish_module, "read_study", read_study)
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

    monkeypatch.setattr(publish_module, "run", refuse)


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

    monkeypatch.setattr("workbench.reports.html.page", fail)
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
        return kernel.Run(ran)

    monkeypatch.setattr(publish_module, "run", at_once)
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


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(COUNTS, encoding="utf-8")
    (tmp_path / "daily.csv").write_text("page,clicks,paid\na,9,3\nb,9,2\n", encoding="utf-8")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Publish nothing, and keep what was asked for; a plan fails."""
    kept: list[dict[str, object]] = []

    def publish(_study, **options):
        kept.append(options)
        if options["template"] == "iteration_plan":
            raise ReportError("template iteration_plan failed")
        place = Path("out") / str(options["template"])
        verdict = PublishedVerdict("preview-helps", "supported", "It does.")
        index = Path("out/index.html")
        return Published(place.with_suffix(".html"), place, place, (verdict,), index)

    monkeypatch.setattr(publish_module, "publish", publish)
    return kept


def test_the_bundled_study_takes_every_template(bundled):
    fitting, left_out = choose(read_whole_study(bundled), "2026.1")
    assert list(fitting) == ALL
    assert fitting["iteration_plan"] == {"hypothesis": "preview-helps"}
    assert left_out == {}


def test_without_a_minimum_effect_there_is_nothing_to_plan(bundled):
    fitting, left_out = choose(read_whole_study(bundled), "2026.5")
    assert "iteration_plan" not in fitting
    assert left_out == {
        "iteration_plan": "no hypothesis of iteration 2026.5 has a minimum effect to plan for"
    }


def test_without_indicators_there_is_nothing_to_review(counts):
    fitting, left_out = choose(read_whole_study(counts), "april")
    assert list(fitting) == ["hypothesis_report", "release_review"]
    assert "leading and lagging" in left_out["indicator_review"]
    assert "several iterations" in left_out["programme_review"]


def test_indicators_alone_have_no_iteration(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(INDICATORS, encoding="utf-8")
    fitting, left_out = choose(read_whole_study(path), "")
    assert list(fitting) == ["indicator_review"]
    assert "indicators only" in left_out["release_review"]


def test_every_template_of_the_workbench_is_thought_of():
    assert sorted(each.stem for each in templates_folder().glob("*.ipynb")) == ALL


def test_a_template_that_fails_leaves_the_others_alone(bundled, asked):
    begun = []
    made = publish_all(
        bundled, iteration="2026.1", record=False, begun=lambda *each: begun.append(each)
    )
    assert list(made.published) == [each for each in ALL if each != "iteration_plan"]
    assert made.failed == {"iteration_plan": "template iteration_plan failed"}
    assert [each["iteration"] for each in asked] == ["2026.1", "", "2026.1", "", "2026.1"]
    assert {each["record"] for each in asked} == {False}
    assert begun == [(name, place, 5) for place, name in enumerate(ALL)]
    assert made.index == Path("out/index.html")
    assert [each.hypothesis for each in made.verdicts] == ["preview-helps"]


def test_a_plan_without_customers_is_left_out(bundled, asked, monkeypatch):
    whole = publish_module.publish

    def publish(study, **options):
        if options["template"] == "iteration_plan":
            raise StudyError("nobody has entered yet")
        return whole(study, **options)

    monkeypatch.setattr(publish_module, "publish", publish)
    made = publish_all(bundled, iteration="2026.1")
    assert (made.left_out, made.failed) == ({"iteration_plan": "nobody has entered yet"}, {})
    assert len(asked) == 4


def test_a_wrong_iteration_is_said_before_anything_runs(bundled, asked):
    with pytest.raises(StudyError, match=r"unknown iteration '2026\.9'"):
        publish_all(bundled, iteration="2026.9")
    assert asked == []


def test_the_command_says_all_of_it(bundled, asked):
    ran = CliRunner().invoke(app, ["report", str(bundled), "--all", "--iteration", "2026.5"])
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        *(f"out/{name}.html" for name in ALL if name != "iteration_plan"),
        "preview-helps: supported. It does.",
    ]
    assert "Left out iteration_plan: no hypothesis of iteration 2026.5" in ran.stderr
    assert ran.stderr.endswith("All reports of the study: out/index.html\n")
    assert len(asked) == 4


@pytest.mark.usefixtures("asked")
def test_the_command_fails_if_a_report_did(bundled):
    options = ["--all", "--iteration", "2026.1", "--format", "json"]
    ran = CliRunner().invoke(app, ["report", str(bundled), *options])
    assert ran.exit_code == 2
    told = json.loads(ran.stdout)
    assert sorted(told["reports"]) == [each for each in ALL if each != "iteration_plan"]
    assert told["reports"]["release_review"]["index"] == "out/index.html"
    assert told["failed"] == {"iteration_plan": "template iteration_plan failed"}
    assert "workbench: template iteration_plan failed" in ran.stderr


@pytest.mark.slow
def test_all_templates_are_published_and_listed(counts, tmp_path, monkeypatch):
    folder = tmp_path / "templates"
    folder.mkdir()
    for name in ("first", "second"):
        write(folder / f"{name}.ipynb", FINISH)
    for module in (publish_module, template_module):
        monkeypatch.setattr(module, "templates_folder", lambda: folder)
    ran = CliRunner().invoke(app, ["report", str(counts), "--all"])
    assert ran.exit_code == 0, ran.stderr
    assert [Path(each).name for each in ran.stdout.splitlines()[:2]] == [
        "first.html",
        "second.html",
    ]
    listed = (counts.parent / "reports" / "index.html").read_text("utf-8")
    assert 'href="april/first.html"' in listed
    assert 'href="april/second.html"' in listed


def test_one_report_elsewhere_is_in_no_index(counts, tmp_path, monkeypatch):
    template = write(tmp_path / "mine.ipynb", FINISH)
    content = {"study": {"title": "T"}, "iteration": "april", "evaluations": []}
    monkeypatch.setattr(
        publish_module,
        "run",
        lambda notebook, *_, **__: SimpleNamespace(notebook=notebook, failure=None),
    )
    monkeypatch.setattr(publish_module, "result_of", lambda _: content)
    given = {"iteration": "april", "template": template}
    assert publish(counts, **given, output=tmp_path / "else").index is None
    beside = publish(counts, **given).index
    assert beside == counts.parent / "reports" / "index.html"
    assert "april/mine.html" in beside.read_text("utf-8")


def test_no_template_may_overwrite_the_index(counts, tmp_path):
    template = write(tmp_path / "index.ipynb", FINISH)
    with pytest.raises(ReportError, match="would overwrite the index; rename it"):
        publish(counts, iteration="april", template=template)
