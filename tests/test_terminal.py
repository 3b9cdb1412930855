"""Tables, JSON and CSV: what a pipe gets, and what a person sees."""

from __future__ import annotations

import csv
import io

from workbench.terminal import Format, as_csv, as_text, show, tell, working

ROWS = [
    {"step": "previewed", "closed": 1200, "rate": 0.123456789, "note": "a, b"},
    {"step": "a step with a name that is longer than a terminal is wide " * 2, "closed": 7},
]
COLUMNS = ["step", "closed", "rate", "note"]


def test_text_is_aligned_and_never_cut():
    lines = as_text(ROWS, COLUMNS).splitlines()
    assert len(lines) == 3
    assert ROWS[1]["step"].strip() in lines[2]
    assert lines[1].index("1200") + 4 == lines[2].index(" 7 ") + 2
    assert "0.1235" in lines[1]
    assert lines[2].endswith("n/a  n/a") or "n/a" in lines[2]


def test_text_of_no_rows_is_the_heading():
    assert as_text([], COLUMNS) == "step  closed  rate  note"


def test_csv_keeps_all_digits_and_quotes():
    read = list(csv.DictReader(io.StringIO(as_csv(ROWS, COLUMNS))))
    assert read[0] == {"step": "previewed", "closed": "1200", "rate": "0.123456789", "note": "a, b"}
    assert read[1]["rate"] == ""


def test_pipe_gets_no_colours_and_no_boxes(capsys):
    show(ROWS, COLUMNS, Format.TABLE)
    assert capsys.readouterr().out == as_text(ROWS, COLUMNS) + "\n"


def test_a_person_sees_a_table_with_every_word(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    show(ROWS, COLUMNS, Format.TABLE)
    shown = capsys.readouterr().out
    assert "─" in shown
    assert "…" not in shown
    assert shown.replace("\n", "").replace(" ", "").count("longerthan") >= 1


def test_markup_in_data_stays_text(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show([{"step": "[red]mapped[/red]"}], ["step"], Format.TABLE)
    assert "[red]mapped[/red]" in capsys.readouterr().out


def test_work_is_silent_when_nobody_watches(capsys):
    with working("Counting") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_work_shows_a_bar_on_stderr_to_a_person(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with working("Counting") as progress:
        progress(1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    assert "Counting" in said.err


def test_text_that_begins_a_formula_stays_text_for_a_spreadsheet():
    names = ("=1+1", "+1", "-1+2", "@a", "a=1", "-", "-1.5")
    rows = [{"name": each, "rate": -0.5} for each in names]
    read = list(csv.DictReader(io.StringIO(as_csv(rows, ["name", "rate"]))))
    assert [each["name"] for each in read] == ["'=1+1", "'+1", "'-1+2", "'@a", "a=1", "-", "-1.5"]
    assert {each["rate"] for each in read} == {"-0.5"}


def test_control_characters_of_data_command_no_terminal(capsys):
    name = "Zo\u00eb, 10\u00a0000 \U0001f469\u200d\U0001f680"
    assert as_text([{"name": name}], ["name"]).split("\n")[1].endswith(name[-3:])
    said = as_text([{"name": "\x1b]0;owned\x07a\u202eb"}], ["name"])
    assert said == "name\n\\x1b]0;owned\\x07a\\u202eb"
    tell("\x9b31mred\nnext")
    assert capsys.readouterr().err == "\\x9b31mred\nnext\n"
