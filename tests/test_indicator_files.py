"""Files of indicators: long and wide, on several engines, and what in them is no indicator."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from workbench.engines import lazy, read_table
from workbench.errors import DataError
from workbench.indicator_files import others, read_indicators
from workbench.indicators import IndicatorsSource

NAN = np.nan
LONG = """\
customer,period,indicator,value
007,2026-01,nps,8
007,2026-03,nps,
007,2026-03-05,renewal,Yes
b,2026-01-05,nps,6
b,2026-01-20,nps,7
b,2026-01-21,tickets,1
b,2026-01-22,tickets,2
,2026-02,margin,.5
b,2026-04,other,1
"""
WIDE = """\
customer,period,nps,renewal,tickets
007,2026-01,8,,
007,2026-03,,true,
b,2026-01,6.5,,3
b,2026-04,,,
"""
DEFINITIONS = {
    "nps": {"kind": "leading"},
    "renewal": {"kind": "lagging", "unit": "yes/no"},
    "tickets": {"kind": "lagging", "combine": "sum"},
}


def source(definitions=DEFINITIONS, **more) -> IndicatorsSource:
    plain = {"source": "indicators.csv", "period": "month", "definitions": definitions}
    return IndicatorsSource.model_validate(plain | more)


def of_csv(text: str, spec: IndicatorsSource, folder: Path):
    (folder / "indicators.csv").write_text(text, encoding="utf-8")
    role = spec.columns
    as_text = [role.customer, role.period, role.value]
    return read_table("indicators.csv", folder, duckdb.connect(), as_text)


@pytest.mark.parametrize("text", [LONG, WIDE], ids=["long", "wide"])
def test_long_and_wide_files_say_the_same(tmp_path, text):
    found = read_indicators(of_csv(text, source(), tmp_path), source())
    assert found.customers == ("007", "b")
    assert found.periods.labels == ("2026-01", "2026-02", "2026-03", "2026-04")
    expected = {
        "nps": [[8, NAN, NAN, NAN], [6.5, NAN, NAN, NAN]],
        "renewal": [[NAN, NAN, 1, NAN], [NAN] * 4],
        "tickets": [[NAN] * 4, [3, NAN, NAN, NAN]],
    }
    for name, values in found.panel(list(expected)).items():
        np.testing.assert_array_equal(values, expected[name])
    assert found.present.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert found.left == ("007",)


def test_values_that_share_a_period_and_values_of_nobody(tmp_path):
    spec = source({**DEFINITIONS, "margin": {"kind": "lagging"}})
    table = of_csv(LONG, spec, tmp_path)
    found = read_indicators(table, spec)
    assert found.repeated == {"nps": 1, "renewal": 0, "tickets": 1, "margin": 0}
    assert found.of_customers == ("nps", "renewal", "tickets")
    assert found.series("margin").values.tolist() == pytest.approx(
        [NAN, 0.5, NAN, NAN], nan_ok=True
    )
    assert others(table, spec) == ["other"]
    assert others(of_csv(WIDE, source(), tmp_path), source()) == []


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, duckdb.from_df])
def test_other_tables(make):
    rows = {"week": ["2026-W01", "2026-W03"], "nps": [7.0, None], "tickets": [1, 2]}
    table = lazy(make(pd.DataFrame(rows)) if make is duckdb.from_df else make(rows))
    names = {"nps": {"kind": "leading"}, "tickets": {"kind": "lagging"}}
    found = read_indicators(table, source(names, period="week", columns={"period": "week"}))
    assert found.series("nps").values.tolist() == pytest.approx([7, NAN, NAN], nan_ok=True)
    assert found.series("tickets").values.tolist() == pytest.approx([1, NAN, 2], nan_ok=True)
    assert found.customers == ()


def test_dates_of_parquet(tmp_path):
    duckdb.sql("select date '2026-02-03' as period, 5 as nps").write_parquet(
        str(tmp_path / "i.parquet")
    )
    spec = source({"nps": {"kind": "leading"}}, source="i.parquet")
    found = read_indicators(read_table("i.parquet", tmp_path, duckdb.connect()), spec)
    assert found.series("nps").periods == ("2026-02",)


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        (LONG.replace(",8", ",eight"), {}, r"nps holds 'eight' \(1 values are no numbers\)"),
        (LONG.replace("Yes", "0.5"), {}, "renewal holds 0.5, but its unit is yes/no"),
        (LONG.replace("renewal", "renewed"), {}, "renewal does not occur; correct its name"),
        (LONG.replace("007,2026-01", ",2026-01"), {}, "1 values of nps have no customer"),
        (LONG.replace("2026-02,", "Feb,"), {}, "column 'period': 'Feb' is no month"),
        (LONG.replace("2026-02,", ","), {}, "column 'period': a row has no period"),
        (
            LONG,
            {"columns": {"customer": "custmer"}},
            "unknown column 'custmer'; did you mean 'customer'.* names the one of the customers",
        ),
        (LONG, {"columns": {"value": "score"}}, "unknown column 'score'"),
        (WIDE.replace("nps", "nsp"), {}, "unknown indicator 'nps'; did you mean 'nsp'"),
        (WIDE.splitlines()[0], {}, "has no rows"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, more, sentence):
    spec = source(**more)
    with pytest.raises(DataError, match=sentence):
        read_indicators(of_csv(text, spec, tmp_path), spec)
