"""The guide's table of what is read: each of its rows, on every table that a study may name."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from workbench import Study
from workbench.errors import WorkbenchError

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
WITH_EVENTS = """\
name: small
events: {source: events.csv, customer: who, event: what, time: at}
customers: {source: customers.csv, customer: id}
identities: {source: ids.csv, from: old, to: new}
groupings: {version: segment}
flow: {trigger: opened, steps: [done], window: 7d}
indicators:
  source: indicators.csv
  period: month
  definitions: {nps: {kind: leading}, renewal: {kind: lagging, unit: yes/no}}
iterations: [{name: "1.10", start: 2026-01-05, end: 2026-02-02}]
feedback: {source: feedback.csv}
strategy:
  source: strategy.csv
  metrics: {orders: {area: financial impact, unit: orders, baseline: 41, target: 50, by: 2026-12-31}}
"""
WITH_COUNTS = """\
name: small
counts: {source: counts.csv, time: at, trigger: opened, steps: {done: done}}
groupings: {version: segment}
iterations: [{name: "1.10", start: 2026-01-05, end: 2026-02-02}]
"""
WITH_OUTCOMES = """\
name: small
customers: {source: outcomes.csv, customer: id}
outcomes: {done: done}
groupings: {version: segment}
iterations: [{name: "1.10"}]
"""
TABLES = {
    "events": "who,what,at\n"
    "007,opened,2026-01-06 08:00\n007,done,2026-01-07 08:00\n"
    "7,opened,2026-01-06 09:30\nNaN,opened,2026-01-20 10:00\nold,done,2026-01-21 11:00\n",
    "customers": "id,version\n007,1.10\n7,1.1\nNaN,Zoë\n",
    "ids": "old,new\nold,NaN\n",
    "indicators": "customer,period,indicator,value\n"
    "007,2026-01,nps,8\n7,2026-01,nps,6.5\n007,2026-02,nps,\n007,2026-01,renewal,yes\n"
    "7,2026-02,renewal,no\n",
    "feedback": "id,date,source,theme,sentiment,customer\n"
    "1,2026-01-08,session replay,Zoë: price,negative,7\n",
    "strategy": "metric,period,value\norders,2026-01-01,41.5\norders,2026-02-01,43\n",
    "counts": "version,at,opened,done\n1.10,2026-01-06,12,3\n1.1,2026-01-06,10,2\nZoë,2026-01-20,9,\n",
    "outcomes": "id,version,done\n007,1.10,yes\n7,1.1,no\n9007199254740993,Zoë,\n",
}
STUDIES = {
    **dict.fromkeys(
        ("events", "customers", "ids", "indicators", "feedback", "strategy"), WITH_EVENTS
    ),
    "counts": WITH_COUNTS,
    "outcomes": WITH_OUTCOMES,
}
TIMES = {
    "events": "at",
    "counts": "at",
    "indicators": "period",
    "feedback": "date",
    "strategy": "period",
}
Way = Callable[[Path, list[list[str]]], tuple[str, str]]


def answers(text: str, folder: Path) -> dict[str, Any]:
    """Ask a study everything that its tables tell."""
    (folder / "study.yaml").write_text(text)
    study = Study.load(folder / "study.yaml")
    found: dict[str, Any] = {
        "metrics": study.learning_metrics(by="version").to_csv(),
        "problems": [each.message for each in study.check().problems],
    }
    if "indicators" in text:
        indicators = study.indicators()
        for name in ("nps", "renewal"):
            series = indicators.series(name)
            found[name] = (series.periods, series.values.tolist(), series.n.tolist())
        said = study.feedback()
        found["themes"] = [tuple(each) for each in said.themes]
        found["strategy"] = study.strategy().rows()
    return found


def rows_of(table: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(TABLES[table])))


def written(rows: list[list[str]], delimiter: str = ",", ends: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=ends).writerows(rows)
    return text.getvalue()


def as_text(name: str, option: str = "", **form: Any) -> Way:
    """Write a text file in some encoding and form."""
    encoding = form.pop("encoding", "utf-8")

    def write(path: Path, rows: list[list[str]]) -> tuple[str, str]:
        content = written(rows, **form).encode(encoding)
        opened = gzip.open if name.endswith(".gz") else open
        with opened(path / name, "wb") as file:
            file.write(content)
        return name, option

    return write


def as_zip(path: Path, rows: list[list[str]]) -> tuple[str, str]:
    with zipfile.ZipFile(path / "t.zip", "w") as packed:
        packed.writestr("table.csv", written(rows))
    return "t.zip", ""


def as_json_lines(path: Path, rows: list[list[str]]) -> tuple[str, str]:
    """Write numbers without quotes where JSON has such numbers, as exports do."""
    number = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
    lines = []
    for row in rows[1:]:
        pairs = (
            f"{json.dumps(name)}: {cell if number.fullmatch(cell) else json.dumps(cell or None)}"
            for name, cell in zip(rows[0], row, strict=True)
        )
        lines.append(f"{{{', '.join(pairs)}}}\n")
    (path / "t.jsonl").write_text("".join(lines))
    return "t.jsonl", ""


def as_workbook(path: Path, rows: list[list[str]]) -> tuple[str, str]:
    """Write days and times as a spreadsheet's own, and the rest as text."""
    book = openpyxl.Workbook()
    book.active.title = "notes"
    book.active.append(["not here"])
    sheet = book.create_sheet("table")
    for row in rows:
        sheet.append([_typed(cell) for cell in row])
    book.save(path / "t.xlsx")
    return "t.xlsx", "sheet: table"


def _typed(cell: str) -> object:
    day = re.fullmatch(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2})?", cell)
    return datetime.fromisoformat(cell) if day else cell or None


def as_parquet(path: Path, rows: list[list[str]]) -> tuple[str, str]:
    cells = ([cell or None for cell in row] for row in rows[1:])
    columns = dict(zip(rows[0], zip(*cells, strict=True), strict=True))
    parquet.write_table(
        pa.table({name: list(each) for name, each in columns.items()}), path / "t.parquet"
    )
    return "t.parquet", ""


def as_parts(path: Path, rows: list[list[str]]) -> tuple[str, str]:
    """Write the rows into two files of one pattern, in a folder with brackets and an equals sign."""
    folder = path / "part=[1]"
    folder.mkdir()
    (folder / "a.csv").write_text(written([rows[0], *rows[1::2]]))
    (folder / "b.csv").write_text(written([rows[0], *rows[2::2]]))
    return '"part=[1]/*.csv"', "file_column: file"


# By the guide's row: ways to write a table that give the answers of plain CSV.
WAYS: dict[str, list[Way]] = {
    "text files": [as_text("t.tsv", delimiter="\t"), as_text("t.txt"), as_text("t.csv.gz")],
    "JSON lines": [as_json_lines],
    "Excel": [as_workbook],
    "Parquet": [as_parquet],
    "packed": [as_zip, as_text("t.csv.gz")],
    "several files": [as_parts],
    "encoding": [
        as_text("t.csv", encoding="utf-8-sig"),
        as_text("t.csv", "encoding: utf-16", encoding="utf-16"),
        as_text("t.csv", "encoding: windows-1252", encoding="windows-1252"),
    ],
    "delimiter": [
        as_text("t.csv", delimiter=";"),
        as_text("t.csv", 'delimiter: "|"', delimiter="|"),
    ],
    "line ends": [as_text("t.csv", ends="\r\n"), as_text("t.csv", ends="\r")],
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Give a function that answers for the plain CSV of a study."""
    known: dict[str, Any] = {}

    def of(text: str) -> dict[str, Any]:
        if text not in known:
            folder = tmp_path_factory.mktemp("plain")
            write_all(folder)
            known[text] = answers(text, folder)
        return known[text]

    return of


def write_all(folder: Path) -> None:
    for name, content in TABLES.items():
        (folder / f"{name}.csv").write_text(content)


def test_the_plain_tables_are_read_as_written(plain):
    assert "1.1,done,1,0,1,0" in plain(WITH_EVENTS)["metrics"]
    assert "1.10,done,1,1,0,0" in plain(WITH_EVENTS)["metrics"]
    assert "Zoë,done,1,1,0,0" in plain(WITH_EVENTS)["metrics"]
    periods, values, n = plain(WITH_EVENTS)["nps"]
    assert (periods, values[0], n) == (("2026-01", "2026-02"), 7.25, [2, 0])
    assert {(each[0], each[4]) for each in plain(WITH_EVENTS)["themes"]} == {("Zoë: price", 1)}
    assert "1.10,done,12,3,9,0" in plain(WITH_COUNTS)["metrics"]
    assert "Zoë,done,1,0,0,1" in plain(WITH_OUTCOMES)["metrics"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(each, id=f"{name} {place}")
        for name, ways in WAYS.items()
        for place, each in enumerate(ways)
    ],
)
def test_every_table_is_read_in_every_way(way, table, plain, tmp_path):
    write_all(tmp_path)
    (tmp_path / f"{table}.csv").unlink()
    source, option = way(tmp_path, rows_of(table))
    found = answers(with_option(table, source, option), tmp_path)
    assert str(found).replace(source.strip('"'), f"{table}.csv") == str(plain(STUDIES[table]))


FORMS: dict[str, tuple[str, Callable[[datetime], str]]] = {
    "times": ("", lambda at: f"{at:%Y/%m/%dT%H:%M:%S.0}"),
    "zones of times": ("", lambda at: f"{at + timedelta(hours=2):%Y-%m-%d %H:%M}+02:00"),
    "times in another form": (
        'time_format: "%d/%m/%Y %I:%M %p"',
        lambda at: f"{at:%d/%m/%Y %I:%M %p}",
    ),
    "numbers as times": (
        "time_format: epoch_ms",
        lambda at: f"{at.replace(tzinfo=UTC).timestamp() * 1000:.0f}",
    ),
}


def with_times(table: str, form: Callable[[datetime], str]) -> list[list[str]]:
    """Write the times of a table in another form."""
    head, *rows = rows_of(table)
    place = head.index(TIMES[table])
    for row in rows:
        day = row[place] if len(row[place]) > len("2026-01") else f"{row[place]}-01"
        row[place] = form(datetime.fromisoformat(day))
    return [head, *rows]


def with_option(table: str, source: str, option: str) -> str:
    """Return the study of a table with another file, and one more key beside it."""
    between = "\n  " if table in ("indicators", "strategy") else ", "
    said = f"{between}{option}" if option else ""
    return STUDIES[table].replace(f"{table}.csv", f"{source}{said}", 1)


@pytest.mark.parametrize("table", TIMES)
@pytest.mark.parametrize("name", FORMS)
def test_times_are_read_whole_in_every_table(name, table, plain, tmp_path):
    option, form = FORMS[name]
    write_all(tmp_path)
    (tmp_path / f"{table}.csv").write_text(written(with_times(table, form)))
    found = answers(with_option(table, f"{table}.csv", option), tmp_path)
    assert str(found) == str(plain(STUDIES[table]))


@pytest.mark.parametrize("table", TIMES)
@pytest.mark.parametrize(
    "odd", ["06/04/2026", "2026-01-06 02:00:00 PM", "2026-01-06 08:00 IST", "soon"]
)
def test_times_that_are_not_understood_are_refused_in_every_table(odd, table, tmp_path):
    write_all(tmp_path)
    (tmp_path / f"{table}.csv").write_text(written(with_times(table, lambda _: odd)))
    with pytest.raises(WorkbenchError) as error:
        answers(STUDIES[table], tmp_path)
    assert odd in str(error.value)


BROKEN = {
    "an encoding that is not UTF-8": ("Zoë\n".encode("latin-1"), "encoding: windows-1252"),
    "a quote that is never closed": (b'"never,closed\n', "is never closed"),
    "a row with too many cells": (b"1,2,3,4,5,6,7,8,9\n", "cells where the first line has"),
    "a zero byte": (b"\0\n", "zero byte"),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_whole_is_refused_in_every_table(kind, table, tmp_path):
    more, said = BROKEN[kind]
    write_all(tmp_path)
    with (tmp_path / f"{table}.csv").open("ab") as file:
        file.write(more)
    with pytest.raises(WorkbenchError) as error:
        answers(STUDIES[table], tmp_path)
    assert f"{table}.csv" in str(error.value)
    assert said in str(error.value)


# By the guide's row: the test that shows it, in this file or another one.
ELSEWHERE = {
    "names and ids": "test_the_plain_tables_are_read_as_written",
    "yes or no": "test_visits_become_customers",
    "numbers": "test_a_comma_before_the_fraction_is_read_where_it_is_said",
    "conditions": "test_conditions_on_rows",
    "several tables of events": "test_a_log_of_several_tables_each_with_its_own_columns",
    "one event a table": "test_a_log_of_several_tables_each_with_its_own_columns",
    "a file per arm": "test_an_arm_per_file_of_events",
    "an event that counts for a step in some rows": "test_a_step_may_take_some_rows_of_its_event",
    "one row a visit": "test_visits_become_customers",
    "rows without ids": "test_rows_without_ids_are_customers",
    "two ids for one person": "test_one_person_before_and_after_they_log_in",
    "numbers as groups": "test_numbers_are_cut_into_bins",
}


def test_each_row_of_the_guide_has_its_test():
    part = GUIDE.read_text("utf-8").partition("## How tables are read")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("|")]
    rows = [row for row in rows if row != "what" and set(row) != {"-"}]
    assert sorted(rows) == sorted({*WAYS, *FORMS, *ELSEWHERE})
    tests = "".join(
        path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py")
    )
    assert not [name for name in ELSEWHERE.values() if f"def {name}(" not in tests]


@pytest.mark.parametrize("table", ["indicators", "strategy"])
def test_a_comma_before_the_fraction_is_read_where_it_is_said(table, plain, tmp_path):
    write_all(tmp_path)
    rows = [
        [cell.replace("6.5", "6,5").replace("41.5", "41,5") for cell in row]
        for row in rows_of(table)
    ]
    (tmp_path / f"{table}.csv").write_text(written(rows, delimiter=";"))
    found = answers(with_option(table, f"{table}.csv", 'decimal: ","'), tmp_path)
    assert str(found) == str(plain(STUDIES[table]))
