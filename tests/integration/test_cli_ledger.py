"""The commands that plan a test and tell the ledger's history."""

from __future__ import annotations

import csv
import io
import json

import pytest
from support.small_study import claim, write_study

from workbench import Study
from workbench.cli import main


@pytest.fixture
def workbench(capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def study(tmp_path):
    path = write_study(tmp_path, [claim(baseline=0.3), claim(version=2, iteration="2", alpha=0.01)])
    Study.load(path).evaluate("1", "2026-01-19", record=True)
    Study.load(path).evaluate("1", record=True)
    return path


def words(line: str) -> list[str]:
    return line.split()


def test_the_ledger_tells_its_history(workbench, study):
    code, out, err = workbench("ledger", study)
    assert (code, err) == (0, "")
    header, row = out.splitlines()
    assert words(header) == [
        "hypothesis", "version", "iteration", "looks", "estimate", "low", "high", "verdict",
        "pvalue", "level", "since",
    ]  # fmt: skip
    assert words(row)[:4] == ["preview-helps", "1", "1", "2"]
    assert "supported, a discovery" in row
    assert words(row)[-2] == "gained"


def test_all_of_the_ledger_for_a_machine(workbench, study):
    _, out, _ = workbench("ledger", study, "--format", "json")
    every = json.loads(out)
    assert [each["id"] for each in every] == [*range(1, len(every) + 1)]
    assert {each["kind"] for each in every} == {"registration", "look", "verdict", "seal"}
    records = [each for each in every if each["kind"] != "seal"]
    assert [each["kind"] for each in records] == ["registration", "look", "look", "verdict"]
    assert records[0]["fields"]["minimum_effect"] == 0.05
    assert records[1]["as_of"].startswith("2026-01-19")
    _, out, _ = workbench("ledger", study, "--format", "csv")
    rows = [each for each in csv.DictReader(io.StringIO(out)) if each["kind"] != "seal"]
    assert [each["kind"] for each in rows] == ["registration", "look", "look", "verdict"]
    assert rows[3]["verdict"] == "supported"


def test_a_ledger_with_nothing(workbench, tmp_path):
    path = write_study(tmp_path, [claim()])
    code, out, err = workbench("ledger", path)
    assert code == 0
    assert len(out.splitlines()) == 1
    assert "Nothing is on record yet; workbench report records a look" in err
    assert not (tmp_path / "ledger.db").exists()


def test_treatments_are_told_apart(workbench, tmp_path):
    claims = [claim(treatment=[{"variant": "preview"}, {"variant": "hints"}])]
    rates = {"blank": 0.3, "preview": 0.6, "hints": 0.3}
    path = write_study(tmp_path, claims, rates=rates, customers=150)
    Study.load(path).evaluate("1", record=True)
    _, out, _ = workbench("ledger", path)
    assert "arm" in words(out.splitlines()[0])
    assert "variant = hints" in out


def test_a_file_that_is_no_ledger(workbench, study):
    (study.parent / "ledger.db").write_text("not a ledger")
    code, out, err = workbench("ledger", study)
    assert (code, out) == (2, "")
    assert "ledger.db is no ledger" in err
    assert err.count("\n") == 1


def test_a_plan(workbench, study):
    code, out, err = workbench("plan", study, "--hypothesis", "preview-helps", "--customers", 150)
    assert code == 0
    assert [words(line)[0] for line in out.splitlines()] == [
        "analysis",
        "fixed",
        "sequential,",
        "anytime",
    ]
    assert "To show +5 percentage points on imported, from 40.8% (98/240 in iteration 1)" in err
    _, out, _ = workbench(
        "plan", study, "--hypothesis", "preview-helps", "--format", "json", "--as-of", "2026-01-26"
    )
    assert [each["analysis"] for each in json.loads(out)] == [
        "fixed",
        "sequential, 4 looks",
        "anytime",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--hypothesis", "preview"],
            "unknown hypothesis 'preview'; did you mean 'preview-helps'?",
        ),
        (
            ["--hypothesis", "preview-helps", "--customers", "1"],
            "a plan needs 2 or more per cohort",
        ),
        (
            ["--hypothesis", "preview-helps", "--customers", "many"],
            "invalid value for '--customers'",
        ),
        ([], "missing option '--hypothesis'"),
    ],
)
def test_a_plan_of_what_is_wrong(workbench, study, arguments, said):
    code, out, err = workbench("plan", study, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_learning_without_a_test(workbench, tmp_path):
    path = write_study(tmp_path, [claim()])
    idea = "ideas:\n  - {name: undo, statement: Undo gives courage., impact: 9, ease: 6}\n"
    path.write_text(path.read_text() + idea)
    given = ["--hypothesis", "undo", "--method", "user test", "--supports", 4, "--of", 5]
    given += ["--cost", "2d", "--date", "2026-02-03", "--weight", "0.5"]
    code, out, err = workbench("learn", path, *given)
    assert (code, err) == (0, "")
    assert out.startswith(
        "undo, version 1: 4 of 5 in user tests said yes, by which its chance goes "
    )
    code, again, err = workbench("learn", path, *given)
    assert (code, again) == (0, out)
    assert err.startswith("The same finding is on record already")
    table = tmp_path / "f.csv"
    table.write_text("hypothesis,method,supports,of\nundo,interview,2,9\n")
    code, out, err = workbench("learn", path, "--table", table)
    assert (code, out, err) == (0, "", "Recorded 1 new finding.\n")
    code, out, err = workbench("backlog", path)
    assert words(out.splitlines()[0])[-2:] == ["chance", "findings"]
    assert "4 of 5 in user tests and 2 of 9 in interviews" in out
    assert "Ways to learn about undo, with its chance after 5 no or 5 yes: interview (1 day)" in err
    code, out, err = workbench("ledger", path)
    assert code == 0
    assert "undo, version 1: 4 of 5 in user tests and 2 of 9 in interviews said yes" in err
    _, out, _ = workbench("ledger", path, "--format", "json")
    assert [each["kind"] for each in json.loads(out)] == ["finding", "finding"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hypothesis", "preview-helps"], "--method is missing; give it, or a file as --table"),
        (["--table", "f.csv", "--of", 3], "--of and --table are given; a row of the table says it"),
        (["--table", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_learning_what_is_wrong(workbench, study, arguments, said):
    code, out, err = workbench("learn", study, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
