"""Pairs of indicators: what is asked once and kept, and what is seen at a lag.

Findings: rows that outlive a kernel, and drafts that a study file takes as they are."""

from __future__ import annotations

import csv
import math
import shutil
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from support.indicator_studies import study_of

from workbench.datasets.indicators import simulate_series
from workbench.errors import DataError, StudyError
from workbench.indicators.pairs import FINDING_COLUMNS, Findings, Pairs, Setting, draft
from workbench.schema.study import read_study
from workbench.study import Study

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    made = simulate_series(periods=60, lag=3, strength=0.8, seed=4)
    other = simulate_series(periods=60, lag=0, strength=0.0, seed=5)
    series = {"nps": made.leading, "visits": other.leading, "renewals": made.lagging}
    study = study_of(tmp_path_factory.mktemp("pairs"), series, lagging=["renewals"])
    return study.pairs(permutations=99)


def test_the_surest_pair_comes_first(pairs):
    first, second = pairs.associations()
    assert (first.leading, first.found, first.best_lag) == ("nps", True, 3)
    assert (second.leading, second.found) == ("visits", False)
    assert pairs.best("nps", "renewals") == Setting("nps", "renewals", 3)


def test_a_view_sets_each_value_beside_the_one_of_so_many_periods_before(pairs):
    seen = pairs.view(Setting("nps", "renewals", 2, "levels"))
    found = pairs.indicators()
    nps, renewals = (found.series(name).values for name in ("nps", "renewals"))
    frame = seen.frame
    assert len(frame) == 62
    assert frame["period"].tolist()[:3] == ["1", "2", "3"]
    assert frame["leading_period"].tolist()[2] == "1"
    np.testing.assert_array_equal(frame["leading"][2:], nps)
    np.testing.assert_array_equal(frame["lagging"][:60], renewals)
    assert frame["lagging"][60:].isna().all()
    assert frame["leading"][:2].isna().all()
    assert frame["lagging_scaled"].mean() == pytest.approx(0)
    assert frame["lagging_scaled"].std(ddof=0) == pytest.approx(1)


@pytest.mark.parametrize("transform", ["levels", "differences", "prewhitened"])
def test_the_correlation_of_a_view_is_the_curve_of_the_association(pairs, transform):
    seen = pairs.view(Setting("nps", "renewals", 3, transform))
    curve = getattr(seen.association, transform)
    assert seen.correlation == curve.correlations[3]
    assert seen.band == curve.band[3]
    assert seen.outside == (abs(curve.correlations[3]) > curve.band[3])
    both = seen.frame.dropna(subset=["leading", "lagging"])
    assert len(both) == seen.periods


def test_levels_are_shown_and_never_decide(pairs):
    said = pairs.view(Setting("nps", "renewals", 0, "levels")).sentences
    assert said[0].startswith("The raw levels of nps and renewals correlate ")
    assert "Levels are shown but never decide." in said[0]
    assert "nps moves before renewals, by 3 periods" in said[1]
    for transform in ("differences", "prewhitened"):
        said = pairs.view(Setting("nps", "renewals", 3, transform)).sentences
        assert "outside the band" in said[0]
        assert "of 100 unrelated pairs" in said[0]


def test_lags_reach_a_quarter_of_the_periods_and_no_farther_than_12(pairs):
    assert pairs.farthest == 12
    assert Pairs(pairs.source, max_lag=5).farthest == 5


def test_names_and_lags_that_there_are_not_are_refused(pairs):
    with pytest.raises(StudyError, match="unknown leading indicator 'npz'; did you mean 'nps'"):
        pairs.view(Setting("npz", "renewals"))
    with pytest.raises(StudyError, match="unknown lagging indicator 'nps'"):
        pairs.view(Setting("visits", "nps"))
    with pytest.raises(StudyError, match="lag is 13; the lags searched are 0 to 12"):
        pairs.view(Setting("nps", "renewals", 13))
    with pytest.raises(StudyError, match="unknown transform 'level'"):
        pairs.view(Setting("nps", "renewals", 1, "level"))


def test_a_pair_that_is_too_short_says_so_at_every_setting(tmp_path):
    made = simulate_series(periods=12, lag=1, strength=0.8, seed=4)
    study = study_of(tmp_path, {"nps": made.leading, "sales": made.lagging}, lagging=["sales"])
    pairs = study.pairs(permutations=99).prepare()
    for transform in ("levels", "differences", "prewhitened"):
        seen = pairs.view(Setting("nps", "sales", 1, transform))
        assert math.isnan(seen.band)
        assert not seen.outside
        assert "too short" in " ".join(seen.sentences)
    assert pairs.best("nps", "sales").lag == 0
    assert pairs.forecast("nps", "sales") is None


def test_forecasts_are_for_pairs_that_were_found(pairs):
    assert pairs.forecast("nps", "renewals").lag == 3
    assert pairs.forecast("visits", "renewals") is None


def test_series_without_customers_have_no_panel_and_no_cohorts(pairs):
    assert pairs.panel_association("nps", "renewals") is None
    assert pairs.cohorts == ((),)


def test_a_study_needs_both_kinds_of_indicators(tmp_path):
    made = simulate_series(periods=40, seed=1)
    study = study_of(tmp_path, {"nps": made.leading}, lagging=[])
    with pytest.raises(StudyError, match="has no lagging indicator; define one or more"):
        study.pairs()


def test_looking_at_another_lag_is_quick(pairs):
    pairs.prepare()
    start = time.perf_counter()
    for lag in range(13):
        pairs.view(Setting("nps", "renewals", lag))
    assert (time.perf_counter() - start) / 13 < 0.05


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    made = simulate_series(periods=48, lag=3, strength=0.9, seed=4)
    series = {"nps": made.leading, "renewal": made.lagging}
    study = study_of(tmp_path_factory.mktemp("findings"), series, lagging=["renewal"])
    return study.pairs(permutations=99).view(Setting("nps", "renewal", 3))


def test_a_finding_is_a_row_with_its_settings(seen, tmp_path):
    findings = Findings(tmp_path / "findings.csv")
    kept = findings.keep(seen, "series", NOON)
    assert (kept.leading, kept.lagging, kept.lag) == ("nps", "renewal", 3)
    assert (kept.transform, kept.cohort, kept.found) == ("prewhitened", "all customers", True)
    assert kept.sentence == " ".join(seen.sentences)
    with (tmp_path / "findings.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == FINDING_COLUMNS
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
    assert "# What moves first need not be the cause" in written


def test_a_study_without_iterations_has_nothing_to_test(seen, tmp_path):
    made = simulate_series(periods=20, seed=1)
    study = study_of(tmp_path, {"nps": made.leading, "renewal": made.lagging}, ["renewal"])
    assert isinstance(study, Study)
    assert draft(seen, study.spec).startswith("# This study follows no customers")
