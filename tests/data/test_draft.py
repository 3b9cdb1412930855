"""The study file that is drafted: what YAML reads back, and what is said."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from workbench import Study
from workbench.data.draft import duration, scalar, sentences, study_text
from workbench.data.inspect import inspect

NAMES = [
    *("plain", "yes", "No", "null", "~", "1.10", "007", "2026-01-31", "a: b", "a:b", "#x", "a #b"),
    *('say "hi"', "it's", "back\\slash", "- a", "[a]", "{a: b}", "&a", "*a", "!a", "%a", "@a", "|"),
    *(
        "été",
        "日本",
        "\N{ROCKET} go",
        "tab\there",
        "line\nbreak",
        "\x85\u2028",
        "\x7f",
        "../a b.csv",
    ),
    *(
        "trailing ",
        " leading",
        "",
        "a,b",
        "?",
        "on",
        "0x1F",
        "1e3",
        ".inf",
        "=",
        "<<",
        "visits*.csv",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_read_back_as_it_is(name):
    written = f"{scalar(name)}: [{scalar(name)}, {{{scalar(name)}: {scalar(name)}}}]\n"
    assert YAML(typ="safe").load(written) == {name: [name, {name: name}]}


def test_durations_are_rounded_up():
    assert [duration(each) for each in (0.001, 1.5, 2, 71.2, 72.5)] == [
        "1m",
        "90m",
        "2h",
        "72h",
        "4d",
    ]


def test_draft_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{number},{event},2026-01-{number + 1:02d} 0{at}:00,{'AB'[number % 2]}"
        for number in range(20)
        for at, event in enumerate(["open", "pay"][: 1 + (number < 8)])
    ]
    (tmp_path / "my log.csv").write_text("\n".join(["user,event,time,group", *rows]))
    found, _ = inspect("events", ["my log.csv"])
    text = study_text(found, "mine", "my log.csv")
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {
        'source: "my log.csv" # relative to this file',
        "customer: user # guessed: 20 different values, 1.4 rows each",
        "- pay # 8 customers",
        "# - open # 20",
        "group: experiment # guessed: one value a customer: A, B",
        "treatment: {group: B}",
        '- {name: "second half", start: 2026-01-11, end: 2026-01-21}',
    } <= lines
    assert any(each.startswith("# window: 60m #") for each in lines)
    assert sentences(found) == (
        "Guessed from my log.csv, an event log of 28 rows: user holds customers, event holds events, time holds times.",
        "From the trigger to the need met: open -> pay.",
        "Iterations: 2, from first half to second half.",
        "Groupings: group (experiment).",
        "Hypothesis: B against A in second half; correct it before the first report, which records it.",
    )


def test_what_is_commented_out_runs_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{number},{event},2026-0{1 + number % 3}-{1 + number % 28:02d} 0{at}:00,{number % 50}"
        for number in range(90)
        for at, event in enumerate(["open", "pay"][: 1 + number % 2])
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user,event,time,seats", *rows]))
    found, _ = inspect("events", ["log.csv"])
    text = study_text(found, "mine", "log.csv")
    kept, block = text.split("# An example, since no two groups of an experiment were found:\n")
    for line in ("# groupings:", "  # seats:", "  # window:"):
        assert f"\n{line}" in kept
        kept = kept.replace(line, line.replace("# ", ""))
    block = "".join(line.removeprefix("# ") for line in block.splitlines(keepends=True))
    (tmp_path / "study.yaml").write_text(kept + block)
    study = Study.load(tmp_path / "study.yaml")
    assert not study.check().errors
    (found,) = study.evaluate("2026-03")
    assert found.comparison.control.total == found.comparison.treatment.total == 30
    assert len({*study.learning_metrics(by="seats")["seats"]}) > 2
