"""Box & Jenkins, Series M: the review says lag 3, and why the raw levels say something else.

The published figures: raw levels correlate 0.951 at lag 0; the differences 0.720 at lag 3, after
next to nothing at lags 0 and 1 (WORKBENCH_DATA holds the series).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.reports import indicator_review

STUDY = Path(__file__).parent / "real" / "sales_lead.yaml"
DEFAULT = "../../../shared/data"


@pytest.fixture(scope="module")
def study_file(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sales_lead")
    text = STUDY.read_text(encoding="utf-8")
    assert DEFAULT in text
    (folder / "sales_lead.yaml").write_text(
        text.replace(DEFAULT, os.path.relpath(real_data, folder)), encoding="utf-8"
    )
    return folder / "sales_lead.yaml"


@pytest.fixture(scope="module")
def review(study_file):
    return indicator_review.begin(study=study_file)


def test_the_review_says_lag_3_on_differences_and_prewhitened(review):
    (found,) = review.pairs.associations()
    assert found.found
    assert found.prewhitened.best_lag == found.differences.best_lag == 3
    assert found.differences.correlation == pytest.approx(0.720, abs=2e-3)
    assert review.findings.sentences[0].startswith(
        "Found in 1 of 1 pair: lead moves before sales, by 3 periods"
    )
    (row,) = review.table.rows
    assert (str(row[2]), row[3], row[5]) == ("found", "3 [3, 3]", "+0.72")


def test_the_review_says_why_the_raw_levels_mislead(review):
    (found,) = review.pairs.associations()
    assert found.levels.best_lag == 0
    assert found.levels.correlation == pytest.approx(0.951, abs=2e-3)
    (said,) = review.illusions.sentences
    assert "The raw levels mislead: they correlate +0.95 at a lag of 0 periods" in said
    assert "because each series drifts on its own" in said


def test_lead_would_have_predicted_sales(review):
    (said,) = review.forecasts.sentences
    assert said.startswith("lead, 3 periods earlier, would have predicted sales")


@pytest.mark.slow
def test_the_review_is_published(study_file, tmp_path):
    options = ["--template", "indicator_review", "--output", str(tmp_path), "--format", "json"]
    ran = CliRunner().invoke(app, ["report", str(study_file), *options])
    assert ran.exit_code == 0, ran.output
    files = json.loads(ran.stdout)
    content = json.loads(Path(files["result"]).read_text(encoding="utf-8"))
    (pair,) = content["pairs"]
    assert (pair["lag"], pair["lag_of_differences"], pair["lag_of_levels"]) == (3, 3, 0)
    page = Path(files["html"]).read_text(encoding="utf-8")
    assert "lead moves before sales, by 3 periods" in page
    assert "The raw levels mislead" in page
    assert "There is no health score" in page
