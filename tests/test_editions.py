"""Every report of an iteration at once: which templates fit, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from notebooks_for_tests import FINISH, write
from typer.testing import CliRunner

from workbench import editions, parameters, reports
from workbench.cli import app
from workbench.editions import choose, publish_all
from workbench.errors import ReportError, StudyError
from workbench.parameters import templates_folder
from workbench.reports import Published, PublishedVerdict
from workbench.specification import read_study

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
ALL = ["hypothesis_report", "indicator_review", "iteration_plan", "release_review"]


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

    monkeypatch.setattr(reports, "publish", publish)
    return kept


def test_the_bundled_study_takes_every_template(bundled):
    fitting, left_out = choose(read_study(bundled), "2026.1")
    assert list(fitting) == ALL
    assert fitting["iteration_plan"] == {"hypothesis": "preview-helps"}
    assert left_out == {}


def test_without_a_minimum_effect_there_is_nothing_to_plan(bundled):
    fitting, left_out = choose(read_study(bundled), "2026.5")
    assert "iteration_plan" not in fitting
    assert left_out == {
        "iteration_plan": "no hypothesis of iteration 2026.5 has a minimum effect to plan for"
    }


def test_without_indicators_there_is_nothing_to_review(counts):
    fitting, left_out = choose(read_study(counts), "april")
    assert list(fitting) == ["hypothesis_report", "release_review"]
    assert "leading and lagging" in left_out["indicator_review"]


def test_indicators_alone_have_no_iteration(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(INDICATORS, encoding="utf-8")
    fitting, left_out = choose(read_study(path), "")
    assert list(fitting) == ["indicator_review"]
    assert "indicators only" in left_out["release_review"]


def test_every_template_of_the_workbench_is_thought_of():
    assert sorted(each.stem for each in templates_folder().glob("*.ipynb")) == ALL


def test_a_template_that_fails_leaves_the_others_alone(bundled, asked):
    begun = []
    made = publish_all(
        bundled, iteration="2026.1", record=False, begun=lambda *each: begun.append(each)
    )
    assert list(made.published) == ["hypothesis_report", "indicator_review", "release_review"]
    assert made.failed == {"iteration_plan": "template iteration_plan failed"}
    assert [each["iteration"] for each in asked] == ["2026.1", "", "2026.1", "2026.1"]
    assert {each["record"] for each in asked} == {False}
    assert begun == [(name, place, 4) for place, name in enumerate(ALL)]
    assert made.index == Path("out/index.html")
    assert [each.hypothesis for each in made.verdicts] == ["preview-helps"]


def test_a_plan_without_customers_is_left_out(bundled, asked, monkeypatch):
    whole = reports.publish

    def publish(study, **options):
        if options["template"] == "iteration_plan":
            raise StudyError("nobody has entered yet")
        return whole(study, **options)

    monkeypatch.setattr(reports, "publish", publish)
    made = publish_all(bundled, iteration="2026.1")
    assert (made.left_out, made.failed) == ({"iteration_plan": "nobody has entered yet"}, {})
    assert len(asked) == 3


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
    assert len(asked) == 3


@pytest.mark.usefixtures("asked")
def test_the_command_fails_if_a_report_did(bundled):
    options = ["--all", "--iteration", "2026.1", "--format", "json"]
    ran = CliRunner().invoke(app, ["report", str(bundled), *options])
    assert ran.exit_code == 2
    told = json.loads(ran.stdout)
    assert sorted(told["reports"]) == ["hypothesis_report", "indicator_review", "release_review"]
    assert told["reports"]["release_review"]["index"] == "out/index.html"
    assert told["failed"] == {"iteration_plan": "template iteration_plan failed"}
    assert "workbench: template iteration_plan failed" in ran.stderr


@pytest.mark.slow
def test_all_templates_are_published_and_listed(counts, tmp_path, monkeypatch):
    folder = tmp_path / "templates"
    folder.mkdir()
    for name in ("first", "second"):
        write(folder / f"{name}.ipynb", FINISH)
    for module in (editions, parameters):
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
        reports, "_run", lambda notebook, *_, **__: SimpleNamespace(notebook=notebook, failure=None)
    )
    monkeypatch.setattr(reports, "result_of", lambda _: content)
    given = {"iteration": "april", "template": template}
    assert reports.publish(counts, **given, output=tmp_path / "else").index is None
    beside = reports.publish(counts, **given).index
    assert beside == counts.parent / "reports" / "index.html"
    assert "april/mine.html" in beside.read_text("utf-8")


def test_no_template_may_overwrite_the_index(counts, tmp_path):
    template = write(tmp_path / "index.ipynb", FINISH)
    with pytest.raises(ReportError, match="would overwrite the index; rename it"):
        reports.publish(counts, iteration="april", template=template)
