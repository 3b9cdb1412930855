"""The command line, by its exit codes and by what it writes where."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from workbench import Study
from workbench.cli import main
from workbench.errors import ReportError

COMMANDS = (
    "backlog",
    "check",
    "diff",
    "init",
    "learn",
    "ledger",
    "metrics",
    "next",
    "plan",
    "report",
    "test",
)
VERDICTS = {"supported", "refuted", "inconclusive", "invalid"}


class Said(NamedTuple):
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def workbench(capsys):
    def run(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the study file of a new study."""
    folder = tmp_path_factory.mktemp("begun") / "new"
    with pytest.raises(SystemExit) as ended:
        main(["init", str(folder)])
    assert ended.value.code == 0
    return folder / "study.yaml"


@pytest.fixture
def study(begun: Path, tmp_path: Path) -> Path:
    """Give the study file of a copy that a test may change."""
    shutil.copytree(begun.parent, tmp_path / "copy")
    return tmp_path / "copy" / "study.yaml"


def files_under(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_one_sentence(said: Said, *words: str) -> None:
    assert said.code == 2
    assert said.out == ""
    assert re.fullmatch(r"workbench: [^\n]+\n", said.err), said.err
    for word in words:
        assert word in said.err


# Help
def test_help_lists_the_commands(workbench):
    said = workbench("--help")
    assert said.code == 0
    assert said.err == ""
    assert tuple(sorted(re.findall(r"^  (\w+)  ", said.out, flags=re.MULTILINE))) == COMMANDS
    assert "..." not in said.out.split("Commands:")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(workbench, command):
    said = workbench(command, "--help")
    assert said.code == 0
    assert f"Example: workbench {command} " in said.out


def test_no_command_is_no_success(workbench):
    said = workbench()
    assert (said.code, said.out) == (2, "")
    assert "Commands:" in said.err


def test_version(workbench):
    assert re.fullmatch(r"workbench \d+\.\d+\.\d+\n", workbench("--version").out)


def test_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "--version"], capture_output=True, check=True
    )
    assert done.stdout.startswith(b"workbench ")


# check
def test_check_of_a_sound_study(workbench, begun):
    said = workbench("check", begun, "--format", "csv")
    assert said.code == 0
    assert said.out.splitlines()[0] == "level,problem,count,example"
    assert said.err == ""


def test_check_ends_with_1_when_a_problem_is_an_error(workbench, study):
    (study.parent / "data" / "events.parquet").unlink()
    said = workbench("check", study, "--format", "json")
    assert said.code == 1
    (problem,) = json.loads(said.out)
    assert problem["level"] == "error"
    assert "events.parquet" in problem["problem"]
    assert re.fullmatch(r"workbench: [^\n]+ has an error; [^\n]+\n", said.err)
    assert_one_sentence(workbench("metrics", study), "events.parquet")


# diff
def test_diff_says_what_changed(workbench, bundled):
    said = workbench("diff", bundled, "2026.1", "2026.2", "--format", "json")
    rows = json.loads(said.out)
    assert [each["part"] for each in rows][:3] == ["hypothesis", "hypothesis", "solution"]
    assert said.err == "The solution and a hypothesis both moved.\n"
    shown = workbench("diff", bundled, "2026.1", "2026.2").out
    assert shown.startswith("part        what  ")
    assert_one_sentence(
        workbench("diff", bundled, "2026.2", "2026.1"), "name the earlier one first"
    )


# metrics
def test_metrics_as_csv_and_json_hold_the_same(workbench, begun):
    command = ("metrics", begun, "--by", "variant", "--format")
    from_csv = list(csv.DictReader(io.StringIO(workbench(*command, "csv").out)))
    from_json = json.loads(workbench(*command, "json").out)
    assert list(from_csv[0]) == list(from_json[0])
    for left, right in zip(from_csv, from_json, strict=True):
        written = {name: "" if value is None else str(value) for name, value in right.items()}
        assert left == written


def test_metrics_are_those_of_the_study(workbench, begun):
    rows = json.loads(workbench("metrics", begun, "--by", "variant", "--format", "json").out)
    frame = Study.load(begun).learning_metrics(by=["variant"])
    assert [row["entered"] for row in rows] == frame["entered"].tolist()
    assert [row["rate"] for row in rows] == pytest.approx(frame["rate"].tolist())
    for row in rows:
        assert row["entered"] == row["aligned"] + row["deviated"] + row["pending"]


def test_metrics_in_a_pipe_are_plain_and_whole(workbench, begun):
    said = workbench("metrics", begun, "--by", "variant", "--by", "company_size")
    assert (said.code, said.err) == (0, "")
    assert said.out.isascii()
    frame = Study.load(begun).learning_metrics(by=["variant", "company_size"])
    heading, *lines = said.out.splitlines()
    assert heading.split() == list(frame.columns)
    assert len(lines) == len(frame)


def test_metrics_of_one_iteration_as_of_a_day(workbench, bundled):
    spec = Study.load(bundled).spec
    first = spec.iterations[0]
    command = ("metrics", bundled, "--iteration", first.name, "--format", "json")
    early = json.loads(workbench(*command, "--as-of", str(first.start)[:8] + "15").out)
    late = json.loads(workbench(*command).out)
    assert {row["iteration"] for row in early} == {first.name}
    assert early[0]["entered"] < late[0]["entered"]


# test
def test_test_says_each_verdict_in_a_sentence(workbench, begun):
    said = workbench("test", begun)
    (evaluation,) = Study.load(begun).evaluate(iteration="2026.1")
    assert said.code == 0
    name = evaluation.hypothesis.name
    assert said.out.startswith(f"{name}: {evaluation.label}. {evaluation.sentence}\n\n")
    words = said.out.splitlines()[-1].split()
    assert words[:4] == [name, *str(evaluation.hypothesis.treatment).split()]
    assert str(evaluation.verdict) in words[4]


def test_test_gives_the_whole_row_as_json(workbench, begun):
    (row,) = json.loads(workbench("test", begun, "--format", "json").out)
    assert row["verdict"] in VERDICTS
    assert {"hypothesis", "sentence", "estimate", "low", "high", "pvalue", "test"} <= row.keys()


def test_test_takes_the_newest_iteration_with_a_hypothesis(workbench, bundled):
    spec = Study.load(bundled).spec
    tested = [each.iteration for each in spec.hypotheses]
    newest = [each.name for each in spec.iterations if each.name in tested][-1]
    named = workbench("test", bundled, "--iteration", newest, "--format", "json")
    assert workbench("test", bundled, "--format", "json") == named


# report
@pytest.mark.slow
def test_report_says_where_it_lies_and_each_verdict(workbench, begun, tmp_path):
    said = workbench("report", begun, "--output", tmp_path / "out")
    assert said.code == 0
    page, *verdicts = said.out.splitlines()
    assert Path(page).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (evaluation,) = Study.load(begun).evaluate(iteration="2026.1")
    name = evaluation.hypothesis.name
    assert verdicts == [f"{name}: {evaluation.label}. {evaluation.sentence}"]
    assert said.err == "Iteration 2026.1, the newest to report on; --iteration NAME takes another\n"


def test_report_that_fails_is_no_success(workbench, begun, monkeypatch):
    def publish(*_arguments, **_options):
        raise ReportError("template broken: code cell 2: ZeroDivisionError\n    1 / 0")

    monkeypatch.setattr("workbench.reports.publish.publish", publish)
    said = workbench("report", begun, "--iteration", "2026.1")
    assert said.code == 2
    assert said.out == ""
    assert said.err == "workbench: template broken: code cell 2: ZeroDivisionError\n    1 / 0\n"


# init
def test_init_writes_a_study_that_runs(workbench, tmp_path):
    said = workbench("init", tmp_path / "new")
    assert said.code == 0
    path = tmp_path / "new" / "study.yaml"
    assert said.out == f"{path}\n"
    assert "#" in path.read_text(encoding="utf-8")
    assert workbench("check", path).code == 0
    assert workbench("test", path).code == 0


def test_init_fills_an_empty_folder(workbench, tmp_path):
    (tmp_path / "empty").mkdir()
    assert workbench("init", tmp_path / "empty").code == 0
    assert (tmp_path / "empty" / "study.yaml").is_file()


def test_init_leaves_a_full_folder_alone(workbench, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    before = files_under(tmp_path)
    assert_one_sentence(workbench("init", tmp_path), str(tmp_path), "not empty")
    assert files_under(tmp_path) == before


def test_init_refuses_a_file(workbench, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_one_sentence(workbench("init", tmp_path / "file"), "file")
    assert_one_sentence(workbench("init", tmp_path / "file" / "new"), "cannot be written")


def test_init_writes_all_or_nothing(workbench, tmp_path, monkeypatch):
    def write_study(folder: Path) -> Path:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workbench.datasets.events.write_study", write_study)
    assert_one_sentence(workbench("init", tmp_path / "new"), "No space left", str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


VISITS = """who,event,at,variant
{rows}
"""


@pytest.fixture
def visits(tmp_path):
    """Give a log of 40 customers, in a folder whose name YAML and globs could take otherwise."""
    rows = [
        f"{number},{event},2026-01-{1 + number % 28:02d} 0{at}:00,{'new' if number % 2 else 'old'}"
        for number in range(40)
        for at, event in enumerate(["visited", "paid"][: 1 + number % 3])
    ]
    path = tmp_path / "my data: [1]" / "visits.csv"
    path.parent.mkdir()
    path.write_text(VISITS.format(rows="\n".join(rows)))
    return path


def test_init_on_events_writes_a_study_that_runs(workbench, visits, tmp_path):
    said = workbench("init", tmp_path / "a b" / "new", "--events", visits)
    path = tmp_path / "a b" / "new" / "study.yaml"
    assert (said.code, said.out) == (0, f"{path}\n")
    assert said.err.splitlines() == [
        "Guessed from visits.csv, an event log of 66 rows: who holds customers, event holds events, at holds times.",
        "From the trigger to the need met: visited -> paid.",
        "Iterations: 2, from first half to second half.",
        "Groupings: variant (experiment).",
        "Hypothesis: new against old in second half; correct it before the first report, which records it.",
        "check: nothing odd was found.",
        f"Next: workbench report {path}",
    ]
    assert [each.name for each in path.parent.iterdir()] == ["study.yaml"]
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert workbench("check", path).code == 0
    rows = list(csv.DictReader(io.StringIO(workbench("metrics", path, "--format", "csv").out)))
    assert sum(int(each["entered"]) for each in rows) == 40
    assert workbench("test", path).code == 0


def test_init_on_files_writes_all_or_nothing(workbench, visits, tmp_path):
    before = files_under(tmp_path)
    said = workbench("init", tmp_path / "new", "--counts", visits)
    assert_one_sentence(said, "no column of visits.csv holds the counts", "who, event, at, variant")
    said = workbench("init", tmp_path / "new", "--events", tmp_path / "none.csv")
    assert_one_sentence(said, "none.csv does not exist")
    said = workbench("init", tmp_path / "new", "--events", visits, "--outcomes", visits)
    assert_one_sentence(said, "--events and --outcomes are given", "one of them")
    # Found only by the study that is written: a row without a time.
    visits.write_text(visits.read_text() + "7,paid,,old\n")
    said = workbench("init", tmp_path / "new", "--events", visits)
    assert_one_sentence(said, "1 of 67 rows have no at; fill it in")
    visits.write_bytes(before[visits])
    assert files_under(tmp_path) == before


def test_init_says_what_the_check_finds(workbench, visits, tmp_path):
    visits.write_text(visits.read_text() + "0,visited,2026-01-01 00:00,old\n" * 2)
    said = workbench("init", tmp_path / "new", "--events", visits)
    assert "check: note: rows repeat another one exactly; they count once (2)" in said.err


# Bad input
@pytest.mark.parametrize("command", ["check", "metrics", "test", "report"])
def test_study_that_is_not_there(workbench, tmp_path, command):
    missing = tmp_path / "study.yaml"
    assert_one_sentence(workbench(command, missing), str(missing))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["check", "metrics", "test", "report"])
def test_study_given_as_a_folder(workbench, begun, command):
    assert_one_sentence(workbench(command, begun.parent), str(begun.parent), "study.yaml")


def test_unknown_key_gets_the_closest_match_and_its_place(workbench, study):
    text = study.read_text(encoding="utf-8").replace("window:", "widow:")
    study.write_text(text, encoding="utf-8")
    line = next(i for i, each in enumerate(text.splitlines(), 1) if "widow:" in each)
    said = workbench("check", study)
    assert_one_sentence(said, str(study), f"line {line}", "'widow'", "did you mean 'window'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("metrics", "{study}", "--iteration", "2026.9"), ("iteration", "'2026.9'", "2026.1")),
        (("metrics", "{study}", "--by", "varant"), ("'varant'", "did you mean 'variant'")),
        (("metrics", "{study}", "--as-of", "soon"), ("soon", "2026-01-31")),
        (("test", "{study}", "--iteration", "2026.9"), ("iteration", "'2026.9'", "2026.1")),
        (("test", "{study}", "--as-of", "soon"), ("soon", "2026-01-31")),
        (("test", "{study}", "--as-of", "1999-01-01"), ("1999-01-01", "--as-of")),
        (("report", "{study}", "--iteration", "2026.9"), ("iteration", "'2026.9'", "2026.1")),
        (("report", "{study}", "--template", "hypothesis_reprt"), ("template", "did you mean")),
        (("report", "{study}", "--output", "{study}/out"), ("{study}/out",)),
        (("report", "{study}", "--as-of", "soon"), ("soon", "2026-01-31")),
        (("test",), ("missing argument 'STUDY'", "workbench test --help")),
        (("test", "{study}", "--iterations", "1"), ("--iterations", "--iteration", "--help")),
        (("test", "{study}", "--format", "xml"), ("'xml'", "json", "--help")),
        (("tests", "{study}"), ("unknown command 'tests'", "did you mean 'test'")),
    ],
)
def test_bad_input_is_one_sentence(workbench, study, arguments, words):
    before = files_under(study.parent)
    given = [each.format(study=study) for each in arguments]
    said = workbench(*given)
    assert_one_sentence(said, *[each.format(study=study) for each in words])
    assert files_under(study.parent) == before


# What a shell sees
def shell(command: str, **options) -> subprocess.CompletedProcess[str]:
    python = f'"{sys.executable}" -m workbench'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("workbench", python, 1)],
        text=True,
        capture_output=True,
        check=False,
        **options,
    )


def test_a_reader_who_has_seen_enough_gets_no_traceback(begun):
    done = shell(f"workbench metrics {begun} --by country | head -n 1")
    assert done.stdout.startswith("iteration")
    assert done.stderr == ""


def test_a_person_sees_progress_and_the_pipe_gets_only_data(begun):
    watcher, terminal = pty.openpty()
    command = [sys.executable, "-m", "workbench", "metrics", str(begun), "--format", "csv"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, text=True, check=True)
    os.close(terminal)
    seen = os.read(watcher, 100_000).decode()
    os.close(watcher)
    assert "Counting" in seen
    assert done.stdout.startswith("iteration,")
    assert "\x1b" not in done.stdout
