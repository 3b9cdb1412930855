"""Files of other kinds: JSON lines, workbooks, zips of one file; values stay as written."""

from __future__ import annotations

import gzip
import zipfile
from datetime import date, datetime

import duckdb
import openpyxl
import pytest

from workbench.data.engines import FILE, collect
from workbench.data.readers import read_table
from workbench.errors import DataError
from workbench.schema.base import TableSource


def rows(folder, source, **options):
    found = read_table(TableSource(source=source, **options), folder, duckdb.connect())
    return [{k: v for k, v in row.items() if k != FILE} for row in collect(found)]


def refused(folder, source, **options):
    with pytest.raises(DataError) as error:
        rows(folder, source, **options)
    return str(error.value)


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, table in sheets.items():
        sheet = book.create_sheet(name)
        for row in table:
            sheet.append(row)
    book.save(path)


LINES = """\
{"id": 7, "v": 1.10, "ok": true, "plan": {"name": "pro", "seats": 3}, "tags": ["a", 1.10]}

{"id": 12345678901234567890, "text": "two\\nlines", "v": null, "odd": NaN}
"""


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.jsonl.gz", "T.NDJSON.GZ"])
def test_json_lines_keep_numbers_as_they_are_written(tmp_path, name):
    opened = gzip.open if name.lower().endswith(".gz") else open
    with opened(tmp_path / name, "wt", encoding="utf-8") as file:
        file.write(LINES)
    first, second = rows(tmp_path, name)
    assert first == {
        "id": "7",
        "v": "1.10",
        "ok": "true",
        "plan.name": "pro",
        "plan.seats": "3",
        "tags": '["a", "1.10"]',
        "text": None,
        "odd": None,
    }
    assert [second[each] for each in ("id", "text", "v")] == [
        "12345678901234567890",
        "two\nlines",
        None,
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n[1]\n', "line 2 is no JSON object ('[1]'); write one JSON object a line"),
        (b'{"a": 01}\n', "line 1 is no JSON object"),
        (b'{"a": 1, "a": 2}\n', "line 1 has two values of one name (a, a)"),
        (b'{"a": {"b": 1}, "a.b": 2}\n', "line 1 has two values of 'a.b'"),
        (b'{"a": "\\ud800"}\n', "holds half a character"),
        (b'{"a": "\xff"}\n', "is not written in UTF-8; name its encoding"),
        (b"\n\n", "is empty; each of its lines must be a JSON object"),
        (b'{"Time": 1, "time": 2}\n', "two columns are called 'Time' and 'time'"),
    ],
)
def test_json_lines_that_are_none(tmp_path, content, said):
    (tmp_path / "t.jsonl").write_bytes(content)
    assert said in refused(tmp_path, "t.jsonl")


def test_json_lines_in_another_encoding(tmp_path):
    (tmp_path / "t.jsonl").write_bytes('{"a": "Zoë"}\n'.encode("latin-1"))
    assert rows(tmp_path, "t.jsonl", encoding="latin-1") == [{"a": "Zoë"}]


def test_workbooks_hold_whole_numbers_times_and_text(tmp_path):
    table = [
        ["id", "at", "share", "ok", "version", None],
        [1, datetime(2026, 1, 5, 8, 30), 0.25, True, "1.10", None],  # noqa: DTZ001 - as in a sheet
        [2.0, date(2026, 1, 6), None, False, "007", "x"],
        [None, None, None, None, None, None],
    ]
    workbook(tmp_path / "t.xlsx", data=table, notes=[])
    assert rows(tmp_path, "t.xlsx") == [
        {
            "id": "1",
            "at": "2026-01-05 08:30:00",
            "share": "0.25",
            "ok": "true",
            "version": "1.10",
            "(column 6)": None,
        },
        {
            "id": "2",
            "at": "2026-01-06",
            "share": None,
            "ok": "false",
            "version": "007",
            "(column 6)": "x",
        },
    ]


def test_one_of_several_sheets_is_named(tmp_path):
    workbook(tmp_path / "t.xlsx", one=[["a"], [1]], two=[["a"], [2]])
    assert "has 2 sheets (one, two); say which one with sheet:" in refused(tmp_path, "t.xlsx")
    assert rows(tmp_path, "t.xlsx", sheet="two") == [{"a": "2"}]
    assert "has no sheet 'tow'; it has one, two" in refused(tmp_path, "t.xlsx", sheet="tow")


def test_ids_that_a_spreadsheet_has_rounded_are_refused(tmp_path):
    workbook(tmp_path / "t.xlsx", data=[["id"], [1234567890123456]])
    assert "of which a spreadsheet keeps 15 digits; write ids as text" in refused(
        tmp_path, "t.xlsx"
    )
    workbook(tmp_path / "t.xlsx", data=[["id"], ["1234567890123456"], [123456789012345]])
    assert [row["id"] for row in rows(tmp_path, "t.xlsx")] == [
        "1234567890123456",
        "123456789012345",
    ]


def test_a_workbook_that_is_none(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"a,b\n1,2\n")
    assert "cannot be read as a workbook" in refused(tmp_path, "t.xlsx")


def zipped(path, **files):
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name.replace("_", "."), content)
        packed.writestr("__MACOSX/._t.csv", b"\0")


def test_a_zip_of_one_file_of_any_kind(tmp_path):
    zipped(tmp_path / "t.zip", t_csv="a;b\n1.10;x\n")
    assert rows(tmp_path, "t.zip", delimiter=";") == [{"a": "1.10", "b": "x"}]
    zipped(tmp_path / "t.zip", t_jsonl='{"a": 1.10}\n')
    assert rows(tmp_path, "t.zip") == [{"a": "1.10"}]
    duckdb.sql("select 1 as a").write_parquet(str(tmp_path / "p.parquet"))
    zipped(tmp_path / "t.zip", p_parquet=(tmp_path / "p.parquet").read_bytes())
    assert rows(tmp_path, "t.zip", file_column="arm") == [{"a": 1, "arm": "t"}]


def test_zips_that_do_not_say_what_to_read(tmp_path):
    zipped(tmp_path / "t.zip", b_csv="x", a_csv="y")
    assert "holds 2 files (a.csv, b.csv); pack one file, or unpack it" in refused(tmp_path, "t.zip")
    zipped(tmp_path / "t.zip", a_zip="x")
    assert "holds another zip; unpack it" in refused(tmp_path, "t.zip")
    zipped(tmp_path / "t.zip", a_docx="x")
    assert "the ending of a.docx is not known" in refused(tmp_path, "t.zip")
    (tmp_path / "t.zip").write_bytes(b"PK nothing")
    assert "cannot be unpacked" in refused(tmp_path, "t.zip")


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("t.jsonl", {"delimiter": ";"}, "delimiter is for .csv, .csv.gz"),
        ("t.jsonl", {"sheet": "one"}, "sheet is for .xlsx"),
        ("t.parquet", {"encoding": "latin-1"}, "encoding is for .csv"),
    ],
)
def test_keys_that_would_be_ignored_are_refused(tmp_path, source, options, said):
    (tmp_path / source).write_text("{}")
    assert said in refused(tmp_path, source, **options)


def test_files_of_several_kinds_are_one_table(tmp_path):
    (tmp_path / "a.csv").write_text("id,v\n1,1.10\n")
    (tmp_path / "b.jsonl").write_text('{"id": 2, "w": 1}\n')
    found = sorted(rows(tmp_path, "?.*", file_column="arm"), key=lambda row: row["id"])
    assert found == [
        {"id": "1", "v": "1.10", "w": None, "arm": "a"},
        {"id": "2", "v": None, "w": "1", "arm": "b"},
    ]


def test_a_file_column_is_no_column_of_the_table(tmp_path):
    (tmp_path / "t.csv").write_text("arm\n1\n")
    assert "file_column is 'arm', as a column is" in refused(tmp_path, "t.csv", file_column="arm")
