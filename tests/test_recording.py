"""Recording: what looks leave in the ledger, by one process and by many, and what it tells later."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from ledger_writers import fork
from results import evaluation, hypothesis
from small_study import claim, hypotheses, write_study

from workbench import Study, readings
from workbench.errors import StudyError
from workbench.guardrails import GuardrailResult
from workbench.hypothesis import Verdict
from workbench.judge import judge
from workbench.ledger import Ledger
from workbench.proportions import Counts, compare
from workbench.recording import Past, fingerprint, history, record
from workbench.verdicts import Decided

WRITERS = 20


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger.at("ledger.db", tmp_path)


# The story of two versions over the bundled study's iterations


@pytest.fixture(scope="module")
def story(bundled: Path, tmp_path_factory) -> Path:
    """Copy the bundled study, and look at all of its hypotheses, iteration by iteration."""
    folder = tmp_path_factory.mktemp("story") / "study"
    left = shutil.ignore_patterns("reports", "ledger.db*")
    shutil.copytree(bundled.parent, folder, ignore=left)
    path = folder / "study.yaml"
    for name in ("2026.1", "2026.2", "2026.3"):
        Study.load(path).evaluate(name, record=True)
    return path


def test_the_ledger_tells_versions_and_iterations(story):
    table = Study.load(story).history()
    told = table[["hypothesis", "version", "iteration", "looks", "verdict", "discovery"]]
    assert told.values.tolist() == [
        ["preview-helps", 1, "2026.1", 1, "supported", "yes"],
        ["hints-map-more", 1, "2026.2", 1, "refuted", "no"],
        ["preview-helps", 2, "2026.3", 1, "inconclusive", "no"],
    ]
    assert (table["level"] > 0).all()
    assert table.loc[0, "pvalue"] <= table.loc[0, "level"]
    assert table.loc[0, "estimate"] == pytest.approx(78 / 140 - 54 / 138)


def test_the_report_says_what_a_version_changed(story):
    told = readings.begin(study=story, iteration="2026.3").story()
    assert told["version"].tolist() == [1, 2]
    assert told["changed"].tolist() == ["first version", "what it does (its statement)"]
    assert told["verdict"].tolist() == ["supported", "inconclusive"]


def test_a_changed_field_without_a_new_version_is_refused(story, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(story.parent, copy)
    path = copy / "study.yaml"
    before = Study.load(path).ledger.export()
    for old, new, said in (
        ("minimum_effect: 0.05", "minimum_effect: 0.06", "minimum_effect from 0.05 to 0.06"),
        ("alpha: 0.05", "alpha: 0.1", "alpha from 0.05 to 0.1"),
        ("end: 2026-02-02}", "end: 2026-02-01}", "start and end from"),
    ):
        text = story.read_text()
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(StudyError) as caught:
            Study.load(path).evaluate("2026.1", record=True)
        assert said in str(caught.value)
        assert "raise its version to 2, or change that back" in str(caught.value)
    assert Study.load(path).ledger.export() == before
    path.write_text(story.read_text().replace("impact: 8 ", "impact: 9 ", 1))
    assert Study.load(path).evaluate("2026.1", record=True)[0].look == 1  # a guess is not frozen


def test_exploring_leaves_nothing(bundled, tmp_path):
    shutil.copytree(
        bundled.parent, tmp_path / "s", ignore=shutil.ignore_patterns("reports", "ledger.db*")
    )
    study = Study.load(tmp_path / "s" / "study.yaml")
    (found,) = study.evaluate("2026.1")
    assert found.look is None
    assert study.history().empty
    assert not (tmp_path / "s" / "ledger.db").exists()


# One look


def test_the_same_data_are_one_look(ledger):
    found = evaluation()
    assert [record(ledger, [found], [])[0].look for _ in range(3)] == [1, 1, 1]
    assert [each["kind"] for each in ledger.export()] == ["registration", "look", "verdict"]


def test_a_fingerprint_tells_data_apart():
    one = evaluation()
    assert fingerprint(one) == fingerprint(replace(one, as_of=None))
    other = judge(hypothesis(), control=Counts(48, 80), treatment=Counts(55, 70))
    assert fingerprint(one) != fingerprint(other)
    guarded = replace(one, guardrails=(guardrail(0.01),))
    assert fingerprint(one) != fingerprint(guarded)


def guardrail(pvalue: float) -> GuardrailResult:
    found = compare(control=Counts(40, 80), treatment=Counts(40, 70), null_effect=-0.05)
    found = replace(found, pvalue=pvalue, estimate=math.nan if math.isnan(pvalue) else 0.1)
    return GuardrailResult("paid", 0.05, found, held=pvalue <= 0.05)


def final(ledger: Ledger, found):
    record(ledger, [found], [])
    return [each.record for each in ledger.verdicts()]


def test_the_stream_takes_the_largest_of_claim_and_guardrails(ledger):
    """Berger (1982): every one of them must reject, so no adjustment is needed."""
    found = replace(evaluation(), guardrails=(guardrail(0.03), guardrail(0.2)))
    (verdict,) = final(ledger, found)
    assert (verdict.pvalue, verdict.success) == (0.2, False)
    assert verdict.verdict == "supported, but paid is at risk"


def test_an_unknown_guardrail_is_no_success_and_no_rejection(ledger):
    found = replace(evaluation("inconclusive"), guardrails=(guardrail(math.nan),))
    (verdict,) = final(ledger, found)
    assert (verdict.pvalue, verdict.success) == (1.0, False)
    waits = replace(evaluation(), guardrails=(guardrail(math.nan),))
    assert not waits.final


def test_a_broken_comparison_is_no_test_of_the_stream(ledger):
    (verdict,) = final(ledger, evaluation("invalid"))
    assert verdict.verdict == "invalid"
    assert math.isnan(verdict.pvalue)
    assert history(ledger)["discovery"].tolist() == ["-"]


def test_a_refutation_never_pays_for_later_discoveries(ledger):
    found = judge(hypothesis(), control=Counts(5_000, 10_000), treatment=Counts(5_200, 10_000))
    assert (found.verdict, found.pvalue <= 0.05) == (Verdict.REFUTED, True)
    (verdict,) = final(ledger, found)
    assert verdict.pvalue == 1.0


def test_the_history_of_nothing(ledger):
    assert history(ledger).empty
    assert "discovery" in history(ledger).columns


# What the ledger says before the next look


def test_earlier_looks_are_those_with_fewer_customers(ledger):
    for treated in (20, 60):
        found = judge(hypothesis(), control=Counts(10, treated), treatment=Counts(12, treated))
        record(ledger, [found], [])
    past = Past(ledger)
    now = (Counts(20, 50), Counts(25, 50))
    assert past.earlier(hypothesis(), now) == ((Counts(10, 20), Counts(12, 20)),)
    assert past.earlier(hypothesis(version=2), now) == ()


def test_what_is_decided_is_decided_for_more_customers_only(ledger):
    found = judge(hypothesis(), control=Counts(10, 50), treatment=Counts(30, 50))
    record(ledger, [found], [])
    past = Past(ledger)
    decided = past.decided(hypothesis(), (Counts(10, 51), Counts(30, 50)))
    assert isinstance(decided, Decided)
    assert (decided.verdict, decided.label, decided.customers) == ("supported", "supported", 100)
    assert decided.success
    assert decided.looked == found.comparison.pvalue
    assert past.decided(hypothesis(), (Counts(10, 50), Counts(30, 50))) is None
    assert past.decided(hypothesis(version=2), (Counts(10, 60), Counts(30, 60))) is None


def test_corrected_data_of_as_many_customers_correct_the_verdict(ledger):
    for converted in (30, 29):
        record(
            ledger,
            [judge(hypothesis(), control=Counts(10, 50), treatment=Counts(converted, 50))],
            [],
        )
    assert [each.corrects is None for each in ledger.verdicts()] == [True, False]
    assert history(ledger)["corrected"].tolist() == [True]


# Many at once


MOMENTS = ("2026-01-14", "2026-01-21", "2026-01-28", None)


def looks_at_once(path: Path) -> None:
    """Let every writer look at the same iteration as of one of a few moments."""
    for heavy in ("duckdb", "pandas", "psycopg", "scipy.optimize", "scipy.special", "sqlalchemy"):
        import_module(heavy)  # once for all of them, and nothing that has threads is open yet
    started = Study.load(path)

    def work(writer: int) -> None:
        started.evaluate("1", MOMENTS[writer % len(MOMENTS)], record=True)

    children = [fork(lambda writer=writer: work(writer)) for writer in range(WRITERS)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * WRITERS


def check_twenty(path: Path) -> None:
    code = f"import test_recording as t, pathlib; t.looks_at_once(pathlib.Path({str(path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = Study.load(path).ledger.export()
    kinds = [each["kind"] for each in rows]
    assert kinds.count("registration") == 1
    assert kinds.count("verdict") == 1
    looks = [each["fingerprint"] for each in rows if each["kind"] == "look"]
    assert len(looks) == len(set(looks))
    assert [each["id"] for each in rows] == list(range(1, len(rows) + 1))
    alone = Study.load(path)
    wanted = {fingerprint(alone.evaluate("1", at)[0]) for at in MOMENTS}
    assert set(looks) == wanted


SPARSE = {"customers": 56, "rates": {"blank": 0.2, "preview": 0.8}}


def test_twenty_processes_record_exactly_what_they_saw(tmp_path):
    check_twenty(write_study(tmp_path, [claim()], **SPARSE))


def test_a_study_on_a_postgresql_ledger(tmp_path, schema):
    path = write_study(
        tmp_path,
        [claim()],
        replaced=[("name: small", f"name: small\nledger: {json.dumps(schema)}")],
        **SPARSE,
    )
    study = Study.load(path)
    assert study.evaluate("1", record=True)[0].look == 1
    assert Study.load(path).evaluate("1", record=True)[0].look == 1
    changed = path.read_text().partition("hypotheses:")[0] + "hypotheses:\n"
    path.write_text(changed + hypotheses([claim(minimum_effect=0.1)]))
    with pytest.raises(
        StudyError, match=r"minimum_effect from 0.05 to 0.1; raise its version to 2"
    ):
        Study.load(path).evaluate("1", record=True)
    assert Study.load(path).history()["verdict"].tolist() == ["supported"]
    assert not (tmp_path / "ledger.db").exists()
