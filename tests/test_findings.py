"""Findings: rows that outlive a kernel, and drafts that a study file takes as they are."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime

import pytest
from indicator_studies import study_of

from workbench.errors import DataError
from workbench.findings import COLUMNS, Findings, draft
from workbench.pairs import Pairs, Setting
from workbench.simulate_panels import simulate_series
from workbench.specification import read_study
from workbench.study import Study

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    made = simulate_series(periods=48, lag=3, strength=0.9, seed=4)
    series = {"nps": made.leading, "renewal": made.lagging}
    study = study_of(tmp_path_factory.mktemp("findings"), series, lagging=["renewal"])
    return Pairs(study, permutations=99).view(Setting("nps", "renewal", 3))


def test_a_finding_is_a_row_with_its_settings(seen, tmp_path):
    findings = Findings(tmp_path / "findings.csv")
    kept = findings.keep(seen, "series", NOON)
    assert (kept.leading, kept.lagging, kept.lag) == ("nps", "renewal", 3)
    assert (kept.transform, kept.cohort, kept.found) == ("prewhitened", "all customers", True)
    assert kept.sentence == " ".join(seen.sentences)
    with (tmp_path / "findings.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == COLUMNS
    assert row["kept"] == "2026-06-01T12:00:00+00:00"
    assert float(row["correlation"]) == pytest.approx(seen.correlation, abs=1e-6)


def test_the_file_only_grows_and_is_shared(seen, tmp_path):
    path = tmp_path / "findings.csv"
    assert repr(Findings(path).table).endswith("Nothing is kept yet.")
    assert not path.exists()
    for number in range(3):
        Findings(path).keep(seen, f"study {number}", NOON)
    assert [row["study"] for row in Findings(path).rows] == ["study 0", "study 1", "study 2"]
    assert "nps before renewal  3 periods  prewhitened" in repr(Findings(path).table)


def test_findings_without_a_file_are_kept_in_memory(seen):
    findings = Findings()
    findings.keep(seen, "series", NOON)
    assert len(findings.rows) == 1
    assert "memory" in findings.table.note


def test_a_file_that_cannot_be_written_is_said_in_one_sentence(seen, tmp_path):
    with pytest.raises(DataError, match=r"cannot be written .*; keep findings elsewhere"):
        Findings(tmp_path / "nowhere" / "findings.csv").keep(seen, "series", NOON)


def test_a_draft_goes_into_the_study_file_as_it_is(seen, bundled, tmp_path):
    shutil.copy(bundled, tmp_path / "study.yaml")
    spec = read_study(bundled)
    written = draft(seen, spec)
    lines = "".join(f"  {line}\n" for line in written.splitlines())
    text = (tmp_path / "study.yaml").read_text(encoding="utf-8")
    assert text.count("\nhypotheses:\n") == 1
    text = text.replace("\nhypotheses:\n", f"\nhypotheses:\n{lines}")
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    drafted = read_study(tmp_path / "study.yaml").hypotheses[0]
    assert drafted.name == "nps-before-renewal"
    assert drafted.metric == "imported"
    assert drafted.iteration == spec.iterations[-1].name
    assert "3 periods later" in drafted.statement
    assert "# What moves before need not be what moves it" in written


def test_a_study_without_iterations_has_nothing_to_test(seen, tmp_path):
    made = simulate_series(periods=20, seed=1)
    study = study_of(tmp_path, {"nps": made.leading, "renewal": made.lagging}, ["renewal"])
    assert isinstance(study, Study)
    assert draft(seen, study.spec).startswith("# This study follows no customers")
