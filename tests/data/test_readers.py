"""Files as people have them: cells stay as written, and what cannot be read whole is refused."""

from __future__ import annotations

import gzip

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from workbench.data.conditions import filtered
from workbench.data.engines import FILE, collect, lazy
from workbench.data.event_log import EventLog
from workbench.data.paths import trace
from workbench.data.readers import name, named, read_table
from workbench.errors import DataError
from workbench.schema.base import TableSource
from workbench.schema.flow import Flow
from workbench.schema.time import Iteration


def rows(folder, source="t.csv", **options):
    found = read_table(TableSource(source=source, **options), folder, duckdb.connect())
    return [{k: v for k, v in row.items() if k != FILE} for row in collect(found)]


def refused(folder, content, **options):
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        rows(folder, **options)
    return str(error.value)


def test_every_cell_is_text_as_it_is_written(tmp_path):
    cells = [
        "1.10",
        "1.1",
        "007",
        "7",
        "T",
        "F",
        "1e1",
        "2026.10",
        "9007199254740993",
        "NaN",
        " x ",
    ]
    (tmp_path / "t.csv").write_text("\n".join(["v", *cells]) + "\n")
    assert [row["v"] for row in rows(tmp_path)] == cells


def test_empty_cells_are_null_quoted_or_not(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n1,\n2,""\n')
    assert [row["b"] for row in rows(tmp_path)] == [None, None]


@pytest.mark.parametrize("name", ["filename", "file", "at", "customer", "(rows)"])
def test_a_column_may_be_called_anything(tmp_path, name):
    (tmp_path / "t.csv").write_text(f"{name},b\nx,y\n")
    assert rows(tmp_path) == [{name: "x", "b": "y"}]


def test_folders_named_like_columns_and_with_brackets_change_nothing(tmp_path):
    folder = tmp_path / "b=other" / "it's [v2] 100% & co"
    folder.mkdir(parents=True)
    (folder / "t.csv").write_text("a,b\n1,x\n")
    duckdb.sql("select '1' as a, 'x' as b").write_parquet(str(folder / "t.parquet"))
    for source in ("t.csv", "t.parquet", "*.csv", "*.parquet"):
        assert rows(folder, source) == [{"a": "1", "b": "x"}]
        within = f"b=other/it's [v2] 100% & co/{source}"
        assert rows(tmp_path, within) == [{"a": "1", "b": "x"}]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["\n", "\r\n", ""])
def test_line_ends_of_any_kind_and_of_two(tmp_path, ends, last):
    (tmp_path / "t.csv").write_bytes(f"a,b{ends}1,x{ends}2,y{last}".encode())
    assert rows(tmp_path) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


def test_a_cell_in_quotes_may_hold_line_ends_delimiters_and_quotes(tmp_path):
    (tmp_path / "t.csv").write_text('a,"b ""q"""\n1,"x, \n""y"""\n')
    assert rows(tmp_path) == [{"a": "1", 'b "q"': 'x, \n"y"'}]


def test_a_quote_that_is_never_closed_is_refused_with_its_line(tmp_path):
    said = refused(tmp_path, b'a,b\n1,x\n2,"y\n3,z\n')
    assert "the quote in line 3 is never closed" in said


def test_a_line_with_too_few_cells_is_refused_with_its_line(tmp_path):
    said = refused(tmp_path, b"a,b\n1,x\n2\n")
    assert "line 3 has 1 cells where the first line has 2" in said


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_first_line_tells_the_delimiter(tmp_path, delimiter):
    (tmp_path / "t.csv").write_text(f"a{delimiter}b\n1{delimiter}x\n")
    assert rows(tmp_path) == [{"a": "1", "b": "x"}]


def test_a_delimiter_that_does_not_divide_is_refused_with_one_that_does(tmp_path):
    assert "delimiter: ';' does" in refused(tmp_path, b"a;b\n1;x\n", delimiter=",")


def test_columns_without_a_name_are_numbered(tmp_path):
    (tmp_path / "t.csv").write_text(",a,\n0,x,1\n")
    assert rows(tmp_path) == [{"(column 1)": "0", "a": "x", "(column 3)": "1"}]


def test_two_columns_of_one_name_are_refused(tmp_path):
    assert "two columns are called 'a'" in refused(tmp_path, b"a,a\n1,2\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_other_unicode_is_named_and_read_when_it_is_said(tmp_path, encoding):
    text = "a,b\nü,😀\n"
    content = text.encode(encoding)
    if encoding == "utf-8-sig":
        (tmp_path / "t.csv").write_bytes(content)
        assert rows(tmp_path) == [{"a": "ü", "b": "😀"}]
        return
    assert "add encoding: utf-16" in refused(tmp_path, content)
    assert rows(tmp_path, encoding=encoding) == [{"a": "ü", "b": "😀"}]


@pytest.mark.parametrize("encoding", ["windows-1252", "latin-1"])
def test_what_spreadsheets_export_is_named_and_read_when_it_is_said(tmp_path, encoding):
    said = refused(tmp_path, "a,b\nMüller,x\n".encode(encoding))
    assert "add encoding: windows-1252" in said
    assert rows(tmp_path, encoding=encoding) == [{"a": "Müller", "b": "x"}]


def test_utf_16_needs_no_mark_once_it_is_said(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\n1,ü\n".encode("utf-16-le"))
    assert rows(tmp_path, encoding="utf-16") == [{"a": "1", "b": "ü"}]


def test_an_encoding_that_is_not_the_files_is_refused(tmp_path):
    said = refused(tmp_path, "a,b\nMüller,x\n".encode("latin-1"), encoding="utf-8")
    assert "t.csv is not written in utf-8" in said


def test_several_files_are_one_table_by_the_names_of_columns(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with gzip.open(tmp_path / "b.csv.gz", "wt") as packed:
        packed.write("y,x\n4,3\n")
    found = read_table(TableSource(source="*.csv*"), tmp_path, duckdb.connect())
    assert sorted((row["x"], row["y"], row[FILE]) for row in collect(found)) == [
        ("1", "2", "a"),
        ("3", "4", "b"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"\n\n", "is empty"), (b"a,b\n1,\0\n", "holds a zero byte")],
)
def test_files_that_hold_no_table(tmp_path, content, said):
    assert said in refused(tmp_path, content)


def test_a_packed_file_that_is_damaged_is_one_sentence(tmp_path):
    whole = gzip.compress("".join(f"a{n},b\n" for n in range(999)).encode())
    middle = len(whole) // 2
    for damaged in (whole[:-9], whole[:middle] + b"\xff" * 40 + whole[middle + 40 :], b"no gzip"):
        (tmp_path / "t.csv.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            rows(tmp_path, "t.csv.gz")


# Names
NAN = float("nan")
MAKES = [pd.DataFrame, pl.DataFrame, pa.table]


def read(make, values, **options):
    frame = named(lazy(make({"v": values})), ["v"], "t", **options)
    return [name(row["v"]) for row in collect(frame)]


@pytest.mark.parametrize("make", MAKES)
def test_whole_floats_are_whole_numbers_and_nan_is_missing(make):
    assert read(make, [1.0, 2.0, NAN]) == ["1", "2", "(missing)"]
    assert read(make, [1.1, 1.5, NAN]) == ["1.1", "1.5", "(missing)"]


@pytest.mark.parametrize("make", MAKES)
def test_text_stays_and_only_ids_lose_the_point_of_a_float(make):
    assert read(make, ["1.0", "1"]) == ["1.0", "1"]
    assert read(make, ["1.0", "2.0"], ids=True) == ["1", "2"]
    assert read(make, ["1.0", "1.10"], ids=True) == ["1.0", "1.10"]


@pytest.mark.parametrize("make", MAKES)
def test_floats_that_cannot_be_told_apart_are_refused(make):
    with pytest.raises(DataError, match="holds floats beyond 2\\^53"):
        read(make, [2.0**53 + 2, 1.0])


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize(
    ("values", "wanted", "kept"),
    [
        (["pro", "1", "free"], 1, 1),
        ([1, 2, 1], 1, 2),
        ([1, 2, 1], "1", 2),
        ([True, False, True], True, 2),
        (["True", "no", "true"], True, 2),
        (["a", "b", "a"], "a", 2),
    ],
)
def test_where_of_another_type_is_compared_by_name(make, values, wanted, kept):
    assert len(collect(filtered(lazy(make({"v": values})), {"v": wanted}, "t"))) == kept


@pytest.mark.parametrize("make", MAKES)
def test_huge_float_and_text_ids_are_followed_alike(make):
    flow = Flow(trigger="a", steps=["b"], window="1d")
    span = Iteration(name="1", start="2026-01-05", end="2026-01-12")
    times = ["2026-01-05 08:00", "2026-01-05 09:00", "2026-01-06 08:00"]
    for ids in ([2**60, 2**60, 2**60 + 1], [1.0, 1.0, 2.0], ["x", "x", "1.0"]):
        table = make({"customer": ids, "event": ["a", "b", "a"], "time": times})
        paths = trace(EventLog(table), flow, [span.span(__import__("datetime").UTC)])
        assert len(paths.entries.customer) == 2
        assert sorted(paths.metric("b").reached) == [False, True]


def test_ids_of_a_float_column_meet_those_of_a_text_file():
    log = EventLog(
        pl.DataFrame({"customer": [1.0, 2.0], "event": ["a", "a"], "time": ["2026-01-05"] * 2})
    )
    for theirs in (["1", "3"], ["1.0", "3.0"], [1, 3]):
        table = named(lazy(pl.DataFrame({"customer": theirs})), ["customer"], "t", ids=True)
        assert len(collect(log.numbering(("a",)).match(table))) == 1


def test_a_relation_of_duckdb_keeps_nan_out_of_cohorts():
    table = duckdb.sql(
        "select 'a' as event, 1 as customer, 'nan'::double as v, '2026-01-05' as time"
    )
    (row,) = collect(EventLog(table).rows("v"))
    assert row["by v"] is None
