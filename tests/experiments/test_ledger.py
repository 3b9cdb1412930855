"""Records: plain, frozen, equal where they say the same.

Ledgers: one contract for SQLite and PostgreSQL, many writers, killed writers, and clear errors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pickle
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from support.ledger_writers import (
    CLAIM,
    OWN,
    WRITERS,
    connected,
    look,
    refused,
    registration,
    verdict,
)
from support.small_study import claim, looking_at, write_study

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments import ledger_storage
from workbench.experiments.findings import Finding
from workbench.experiments.ledger import (
    AGAIN,
    KINDS,
    FinalVerdict,
    Ledger,
    Look,
    Registration,
    Stored,
    chains,
    content,
    read_label,
    restored,
    standing,
)
from workbench.experiments.seals import Seal, SealedSeries
from workbench.schema.hypothesis import Qualifier, Verdict

WHEN = datetime(2026, 2, 2, tzinfo=UTC)
WRITER = Path(__file__).parents[1] / "support" / "ledger_writers.py"
STORES = ("sqlite", "postgresql")
SAME = "SELECT {}, kind, study, hypothesis, version, arm, iteration, {}, '{{}}', '', {}, ''"


def stored(number: int, corrects: int | None = None) -> Stored:
    return Stored(number, WHEN, look(f"data {number}"), corrects, "why" if corrects else "")


def test_a_digest_is_of_the_fields_in_one_way_of_writing():
    fields = {"metric": "imported", "alpha": 0.05, "looks": [1, 2]}
    backwards = {"looks": (1.0, 2.0), "alpha": np.float64(0.05), "metric": "imported", "end": None}
    one, other = (Registration("h", 1, "a=b", each) for each in (fields, backwards))
    assert one == other
    assert one.digest == other.digest
    text = b'{"alpha":0.05,"looks":[1,2],"metric":"imported"}'
    assert one.digest == hashlib.sha256(text).hexdigest()
    assert one.changes(other) == ()


def test_a_digest_changes_with_any_field():
    digests = {
        registration(**each).digest
        for each in ({}, {"alpha": 0.1}, {"power": 0.8}, {"alpha": None}, {"ends": "2026-02-02"})
    }
    assert len(digests) == 5


def test_fields_cannot_change():
    entry = registration(guardrails=[{"metric": "paid", "margin": 0.01}])
    with pytest.raises(TypeError):
        entry.fields["alpha"] = 0.1
    with pytest.raises(TypeError):
        entry.fields["guardrails"][0]["margin"] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.version = 2


def test_a_registration_travels_between_processes():
    entry = registration(guardrails=[{"metric": "paid"}])
    assert pickle.loads(pickle.dumps(entry)) == entry  # noqa: S301 -- our own


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            math.nan,
            "fields.alpha is nan; a ledger holds text, finite numbers, yes or no, and lists",
        ),
        (WHEN, "fields.alpha is datetime.datetime(2026"),
        ([1, {"x": {1}}], r"fields.alpha[1].x is {1}; a ledger holds"),
    ],
)
def test_only_plain_values_are_registered(value, said):
    with pytest.raises(ValueError) as caught:
        registration(alpha=value)
    assert said in str(caught.value)


def test_numbers_of_other_libraries_become_plain():
    made = look("a", control_closed=np.int64(80), estimate=np.float64(0.2), pvalue=None)
    assert made == look("a", pvalue=math.nan)
    assert type(made.control_closed) is int
    assert type(made.estimate) is float
    assert type(verdict("a", verdict=Verdict.SUPPORTED).verdict) is str
    with pytest.raises(TypeError):
        look("a", control_closed=80.5)


@pytest.mark.parametrize("pvalue", [-0.1, 1.1, math.inf])
def test_a_pvalue_is_one_or_there_is_none(pvalue):
    with pytest.raises(ValueError, match="it must lie between 0 and 1, or be NaN for none"):
        verdict("a", pvalue=pvalue)


@pytest.mark.parametrize(
    "record",
    [
        registration(looks=[0.5, 1]),
        look("a", low=-math.inf, evalue=math.nan),
        verdict("a", qualifier=Qualifier(at_risk=("paid", "kept"))),
        Seal("1", {"size": "small"}, None, None, "flow", [{"step": "paid", "median_hours": None}]),
        SealedSeries("nps", {"2026-01": 7.5, "2026-02": None}, 2),
        Finding("a", 2, "user test", 3, 5, "2026-02-03", "2d", "with Bo", 0.5),
    ],
    ids=KINDS,
)
def test_content_restores_its_record(record):
    assert restored(record.KIND, content(record)) == record


def test_corrections_stand_in_the_place_of_what_they_correct():
    records = [stored(1), stored(2), stored(3, corrects=1), stored(5), stored(6, corrects=3)]
    assert [each.id for each in standing(records)] == [6, 2, 5]
    assert [[each.id for each in chain] for chain in chains(records)] == [[1, 3, 6], [2], [5]]


@pytest.fixture(params=STORES)
def location(request) -> str:
    """Give where a ledger can be; every test of the contract runs on each store."""
    return "ledger.db" if request.param == "sqlite" else request.getfixturevalue("schema")


@pytest.fixture
def ledger(location, tmp_path) -> Ledger:
    return Ledger.at(location, tmp_path)


# What a ledger holds
def test_a_ledger_that_is_not_there_is_empty_and_reading_makes_none(ledger, tmp_path):
    assert ledger.export() == []
    assert ledger.looks(*CLAIM, "2026.1") == ledger.all_looks() == ledger.verdicts() == ()
    assert ledger.registration(*CLAIM) is None
    assert list(tmp_path.iterdir()) == []


def test_one_call_records_registration_look_and_verdict(ledger):
    done = ledger.record(registration(), look("a"), verdict("a"))
    assert (done.look_number, done.new, done.verdict_new) == (1, True, True)
    assert ledger.registration(*CLAIM) == registration()
    (held,) = ledger.looks(*CLAIM, "2026.1")
    assert held.record == look("a")
    assert [each.record for each in ledger.verdicts()] == [verdict("a")]
    assert done.verdict == ledger.verdicts()[0]
    assert [(row["id"], row["kind"]) for row in ledger.export()] == [
        (1, "registration"),
        (2, "look"),
        (3, "verdict"),
    ]


def test_a_ledger_opened_anew_holds_the_same(ledger, location, tmp_path):
    ledger.record(registration(), look("a"), verdict("a"))
    assert Ledger.at(location, tmp_path).export() == ledger.export()


def test_looks_are_numbered_within_version_arm_and_iteration(ledger):
    calls = [
        (registration(), look("a")),
        (registration(), look("b")),
        (registration(), look("a", iteration="2026.2")),
        (registration(2), look("a", version=2)),
        (registration(arm="group=guide"), look("a", arm="group=guide")),
        (registration(), look("c")),
    ]
    assert [ledger.record(*call).look_number for call in calls] == [1, 2, 1, 1, 1, 3]
    held = ledger.looks(*CLAIM, "2026.1")
    assert [each.record.fingerprint for each in held] == ["a", "b", "c"]
    assert len(ledger.all_looks()) == len(calls)
    assert len(ledger.registrations()) == 3


def test_the_same_version_on_the_same_data_is_one_look(ledger):
    first = ledger.record(registration(), look("a"), verdict("a"))
    ledger.record(registration(), look("b"))
    before = ledger.export()
    again = ledger.record(
        registration(), look("a", as_of="2026-03-01T00:00:00+00:00"), verdict("a")
    )
    assert (again.look_number, again.new, again.verdict_new) == (1, False, False)
    assert again.verdict == first.verdict
    assert ledger.export() == before


def test_a_look_may_get_its_final_verdict_later(ledger):
    ledger.record(registration(), look("a"))
    done = ledger.record(registration(), look("a"), verdict("a"))
    assert (done.new, done.verdict_new) == (False, True)


def test_a_final_verdict_on_other_data_corrects_the_one_before(ledger):
    first = ledger.record(registration(), look("a"), verdict("a")).verdict
    ledger.record(registration(), look("b"), verdict("b", verdict="inconclusive", success=False))
    third = ledger.record(registration(), look("c"), verdict("c")).verdict
    held = ledger.verdicts()
    assert [each.corrects for each in held] == [None, first.id, held[1].id]
    assert [each.reason for each in held] == ["", AGAIN, AGAIN]
    assert held[-1] == third


def test_a_verdict_on_data_seen_before_says_which_one_stands(ledger):
    ledger.record(registration(), look("a"), verdict("a"))
    ledger.record(registration(), look("b"), verdict("b"))
    done = ledger.record(registration(), look("a"), verdict("a"))
    assert not done.verdict_new
    assert done.verdict.record == verdict("b")
    assert len(ledger.verdicts()) == 2


def test_verdicts_of_other_iterations_correct_nothing(ledger):
    ledger.record(registration(), look("a"), verdict("a"))
    ledger.record(registration(), look("a", "2026.2"), verdict("a", "2026.2"))
    assert [each.corrects for each in ledger.verdicts()] == [None, None]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (registration(alpha=0.1), "changed alpha from 0.05 to 0.1; raise its version to 2"),
        (registration(looks=4), "changed looks from nothing to 4;"),
        (
            registration(metric="mapped", guardrails=[{"metric": "paid", "margin": 0.0075}]),
            'from imported to mapped and guardrails from nothing to [{"metric": "paid", "margin":',
        ),
        (registration(arm="group=guide", alpha=0.1), "changed alpha from 0.05 to 0.1;"),
    ],
    ids=["changed", "added", "several", "another-arm"],
)
def test_a_frozen_field_cannot_change_without_a_new_version(ledger, changed, said):
    ledger.record(registration(), look("a"))
    before = ledger.export()
    with pytest.raises(StudyError) as caught:
        ledger.record(changed, look("b", arm=changed.arm), verdict("b", arm=changed.arm))
    assert "hypothesis 'Preview helps' is registered as version 1" in str(caught.value)
    assert said in str(caught.value)
    assert ledger.export() == before


def test_a_new_version_may_change_everything(ledger):
    ledger.record(registration(), look("a"))
    ledger.record(registration(2, metric="mapped"), look("a", version=2))
    assert ledger.registration(CLAIM[0], 2, CLAIM[2]).fields["metric"] == "mapped"
    assert ledger.registration(*CLAIM) == registration()


def test_arms_of_a_version_agree_in_all_but_their_treatment(ledger):
    ledger.record(registration(treatment="preview", control="blank"), look("a"))
    second = registration(arm="group=guide", treatment="guide", control="blank")
    ledger.record(second, look("a", arm="group=guide"))
    assert len(ledger.registrations()) == 2


def test_a_correction_names_the_record_and_takes_its_place(ledger):
    ledger.record(registration(), look("a"), verdict("a"))
    ledger.record(registration(), look("b"))
    number = ledger.correct(2, look("a", control_converted=47), reason="a row was counted twice")
    held = ledger.looks(*CLAIM, "2026.1")
    assert [each.record.control_converted for each in held] == [47, 48]
    assert (held[0].id, held[0].corrects) == (number, 2)
    assert held[0].reason == "a row was counted twice"
    assert ledger.record(registration(), look("a")).look_number == 1
    assert ledger.export()[1]["control_converted"] == 48
    again = ledger.correct(number, look("z"), reason="once more")
    assert [ledger.record(registration(), look(name)).look_number for name in "abz"] == [1, 2, 1]
    assert ledger.looks(*CLAIM, "2026.1")[0].id == again


@pytest.mark.parametrize(
    ("number", "record", "reason", "said"),
    [
        (9, look("a"), "typo", "holds no record 9 of this study"),
        (1, look("a"), "typo", "record 1 is a registration, which nothing corrects; raise the"),
        (2, verdict("a"), "typo", "record 2 is the look of 'Preview helps', version 1"),
        (2, look("a", "2026.2"), "typo", "and this is the look of 'Preview helps', version 1, gro"),
        (2, look("b"), "  ", "gives no reason; say why it is made"),
        (3, verdict("b"), "typo", "record 3 is corrected by record 4; correct that one"),
    ],
)
def test_what_cannot_be_corrected(ledger, number, record, reason, said):
    ledger.record(registration(), look("a"), verdict("a"))
    ledger.correct(3, verdict("a", verdict="invalid", pvalue=None), reason="wrong allocation")
    with pytest.raises(StudyError) as caught:
        ledger.correct(number, record, reason=reason)
    assert said in str(caught.value)
    assert len(ledger.export()) == 4


def test_studies_that_share_a_database_keep_apart(location, tmp_path):
    one, other = (Ledger.at(location, tmp_path, study=name) for name in ("one", "other"))
    one.record(registration(), look("a"), verdict("a"))
    assert other.export() == []
    assert other.record(registration(alpha=0.01), look("a")).look_number == 1
    assert [row["id"] for row in one.export()] == [1, 2, 3]
    assert [row["id"] for row in other.export()] == [4, 5]


def test_numbers_come_back_as_they_were(ledger):
    odd = look("a", pvalue=math.nan, evalue=math.inf, low=-1 / 3, estimate=5e-324)
    ledger.record(registration(), odd, verdict("a", pvalue=None, verdict="invalid", success=False))
    (held,) = ledger.all_looks()
    assert held.record == odd
    assert math.isnan(ledger.verdicts()[0].record.pvalue)
    row = ledger.export()[1]
    assert (row["pvalue"], row["evalue"]) == (None, "inf")
    json.dumps(ledger.export(), allow_nan=False)


def test_words_of_any_script_come_back(ledger):
    claim = "„Größer“ 'quoted'; DROP TABLE workbench_ledger -- 試験 😀"
    known = {"hypothesis": claim, "arm": "a=%s:x"}
    entry = type(registration())(claim, 1, "a=%s:x", {"metric": claim})
    ledger.record(entry, look("a", **known), verdict("a", sentence=f"{claim}\n", **known))
    assert ledger.registration(claim, 1, "a=%s:x") == entry
    assert ledger.verdicts()[0].record.sentence == f"{claim}\n"


def test_records_that_do_not_belong_together_are_refused(ledger):
    with pytest.raises(ValueError, match="the look is at 'Preview helps', version 2"):
        ledger.record(registration(), look("a", version=2))
    with pytest.raises(ValueError, match="does not rest on the look"):
        ledger.record(registration(), look("a"), verdict("b"))
    assert ledger.export() == []


# Nothing is changed or taken out
@pytest.mark.parametrize("table", ["workbench_ledger", "workbench_ledger_format"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_database_refuses_to_change_or_delete(ledger, table, statement):
    ledger.record(registration(), look("a"), verdict("a"))
    before = ledger.export()
    column = "id" if table == "workbench_ledger" else "format"
    with connected(ledger) as connection, pytest.raises(DBAPIError, match=r"only grows|TRUNCATE"):
        connection.execute(text(statement.format(table, column, f"{column} + 100")))
    assert ledger.export() == before


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("look", ("id", "'new'", "corrects")),
        ("look", ("99", "fingerprint", "NULL")),
        ("registration", ("99", "fingerprint", "NULL")),
        ("verdict", ("99", "'new'", "NULL")),
        ("look", ("99", "'new'", "2")),
    ],
    ids=["id", "look", "registration", "verdict", "correction"],
)
def test_nothing_takes_the_place_of_a_record(ledger, location, kind, values):
    ledger.record(registration(), look("a"), verdict("a"))
    ledger.correct(2, look("a", low=0.06), reason="rounding")
    before = ledger.export()
    columns = f"{SAME.format(*values)} FROM workbench_ledger WHERE kind = '{kind}' AND id < 4"
    said = "only grows|duplicate key"
    forms = ("INSERT", "INSERT OR REPLACE", "REPLACE") if location == "ledger.db" else ("INSERT",)
    for form in forms:
        with connected(ledger) as connection, pytest.raises(DBAPIError, match=said):
            connection.execute(text(f"{form} INTO workbench_ledger {columns}"))
    assert ledger.export() == before


# Many processes
def written_by(*arguments: object) -> list[list]:
    command = [sys.executable, WRITER, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_twenty_processes_at_once_lose_nothing_and_duplicate_nothing(ledger, location, tmp_path):
    said = written_by("together", location, tmp_path)
    assert len(said) == WRITERS * (OWN + 2)
    held = ledger.looks(*CLAIM, "2026.1")
    names = [each.record.fingerprint for each in held]
    assert len(names) == len(set(names)) == 1 + WRITERS * OWN
    assert len(ledger.registrations()) == len(ledger.verdicts()) == 1
    assert [row["id"] for row in ledger.export()] == list(range(1, len(names) + 3))
    assert all(names[number - 1] == name for name, number, *_ in said)
    assert sorted(name for name, _, new, _ in said if new) == sorted(names)
    assert sum(concluded for *_, concluded in said) == 1


@pytest.mark.parametrize("seed", range(2))
def test_killed_writers_leave_every_finished_record(ledger, location, tmp_path, seed):
    said = written_by("killed", location, tmp_path, seed)
    held = [each.record.fingerprint for each in ledger.looks(*CLAIM, "2026.1")]
    assert len(held) == len(set(held)) >= len(said)
    assert all(held[number - 1] == name for name, number in said)
    ids = [row["id"] for row in ledger.export()]
    assert ids == list(range(1, len(ids) + 1))
    assert ledger.record(registration(), look("after")).look_number == len(held) + 1
    if location == "ledger.db":
        assert [each.name for each in tmp_path.iterdir()] == ["ledger.db"]
        with connected(ledger) as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_what_fails_half_way_leaves_nothing(ledger, monkeypatch):
    def fail(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.experiments.ledger._Session.conclude", fail)
    with pytest.raises(KeyboardInterrupt):
        ledger.record(registration(), look("a"), verdict("a"))
    monkeypatch.undo()
    assert ledger.export() == []
    assert ledger.record(registration(), look("a"), verdict("a")).look_number == 1


# A ledger that workbench 0.1.0 wrote: the bundled study, and a small one with a guardrail at risk
@pytest.fixture
def old(tmp_path):
    return shutil.copy(Path(__file__).with_name("ledger_of_0_1.db"), tmp_path / "ledger.db")


def old_study(bundled, folder) -> Path:
    """Copy the bundled study beside its old ledger."""
    shutil.copytree(
        bundled.parent,
        folder,
        ignore=shutil.ignore_patterns("reports", "ledger.db*"),
        dirs_exist_ok=True,
    )
    return folder / "study.yaml"


def test_an_old_ledger_tells_what_it_told(old, bundled, tmp_path):
    table = Study.load(old_study(bundled, tmp_path)).history()
    assert table[["hypothesis", "version", "iteration", "looks"]].values.tolist() == [
        ["preview-helps", 1, "2026.1", 1],
        ["hints-map-more", 1, "2026.2", 1],
        ["preview-helps", 2, "2026.3", 1],
        ["memory-brings-back", 1, "2026.4", 1],
    ]
    told = ["supported", "refuted", "inconclusive", "supported"]
    assert table["verdict"].tolist() == told
    short = "supported, not yet a discovery"
    assert table["label"].tolist() == [short, "refuted", "inconclusive", short]
    assert table["counted_when_decided"].tolist() == ["yes", "no", "no", "no"]
    assert table["discovery"].tolist() == ["no", "-", "-", "no"]
    assert table["pvalue"].tolist() == pytest.approx(
        [0.002998119694974, 1.0, 0.268153304259856, 0.015251948425217], rel=1e-12
    )
    assert table["level"].tolist() == pytest.approx([each * 0.05 / 12 for each in (1, 2, 1, 2)])


def test_old_records_are_read_as_verdict_and_qualifier_and_never_rewritten(old, tmp_path):
    ledger = Ledger.at("ledger.db", tmp_path, "small")
    (stored,) = ledger.verdicts()
    assert (stored.record.verdict, stored.record.label) == (
        "supported",
        "supported, but bought is at risk",
    )
    assert ledger.export()[2]["qualifier"] == {"at_risk": ["bought"], "pending": [], "early": False}
    with connected(ledger) as connection:
        rows = text("SELECT content FROM workbench_ledger WHERE id = :id")
        before = connection.execute(rows, {"id": stored.id}).scalar_one()
    assert json.loads(before)["verdict"] == "supported, but bought is at risk"
    ledger.record(registration(), look("a"), verdict("a", qualifier=Qualifier(("paid",))))
    with connected(ledger) as connection:
        assert connection.execute(rows, {"id": stored.id}).scalar_one() == before
    assert [each.record.qualifier.at_risk for each in ledger.verdicts()] == [("bought",), ("paid",)]


def test_later_looks_go_into_an_old_ledger(old, bundled, tmp_path):
    path = old_study(bundled, tmp_path)
    before = Study.load(path).history()
    (again,) = Study.load(path).evaluate("2026.1", record=True)
    assert (again.look, again.verdict) == (2, "supported")  # with the crossovers, another look
    (earlier,) = Study.load(path).evaluate("2026.3", "2026-03-16", record=True)
    assert (earlier.look, earlier.label) == (2, "inconclusive: too early to say")
    after = Study.load(path).history()
    assert after["looks"].tolist() == [2, 1, 2, 1]
    same = ["verdict", "label", "pvalue", "level", "discovery", "corrected"]
    pd.testing.assert_frame_equal(before[same], after[same])


def test_findings_go_into_an_old_ledger(old, bundled, tmp_path):
    study = Study.load(old_study(bundled, tmp_path))
    tried = study.learned().tried
    before = study.history()
    assert tried
    assert study.findings().empty
    assert study.learn("undo-import", "prototype", 4, 5)
    assert len(study.findings()) == 1
    assert study.learned().tried == tried
    pd.testing.assert_frame_equal(study.history(), before)


def test_a_guardrail_at_risk_in_an_old_ledger_still_counts(old, tmp_path):
    guarded = claim(planned_customers=40, guardrails=[{"metric": "bought", "margin": 0.01}])
    path = write_study(tmp_path, [guarded], rates={"blank": 0.3, "preview": 0.6})
    first = Study.load(path).history()
    assert first[["looks", "verdict", "label", "discovery"]].values.tolist() == [
        [2, "supported", "supported, but bought is at risk", "-"]
    ]
    found = looking_at(path)()
    assert (found.label, found.success, found.look) == (
        "supported, but bought is at risk",
        False,
        3,
    )
    assert "on 95 customers: supported, but bought is at risk." in found.sentence
    assert Study.load(path).history()["label"].tolist() == first["label"].tolist()


def test_an_old_ledger_is_marked_for_old_workbenches_once_it_holds_new_records(old, tmp_path):
    ledger = Ledger.at("ledger.db", tmp_path)
    newest = text("SELECT max(format) FROM workbench_ledger_format")
    for number, add in ((1, False), (2, True), (2, True)):
        if add:
            ledger.record(registration(), look("a"))
        with connected(ledger) as connection:
            assert connection.execute(newest).scalar_one() == number


# What goes wrong
@pytest.mark.parametrize("write", [True, False])
def test_a_ledger_of_a_newer_version_is_left_alone(ledger, write):
    ledger.record(registration(), look("a"))
    with connected(ledger) as connection:
        connection.execute(text("INSERT INTO workbench_ledger_format VALUES (3)"))
        connection.commit()
    said = "was written by a newer workbench (its format is 3, this one knows 2); update: pip inst"
    refused(ledger, said, write=write)


def test_a_ledger_that_another_process_keeps(ledger, monkeypatch):
    ledger.record(registration(), look("a"))
    with connected(ledger) as connection:
        ledger.place.lock(connection)
        monkeypatch.setattr(ledger_storage, "PATIENCE", 0.1)
        refused(ledger, "another process has kept the ledger")
    assert ledger.record(registration(), look("b")).new


# What it costs
def test_only_ledgers_load_their_libraries():
    code = "from workbench import *; import workbench.cli, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sqlalchemy" not in done.stdout.split()
    code = "import workbench.experiments.ledger, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"duckdb", "pandas", "psycopg", "scipy.stats"} & set(done.stdout.split())


def test_kinds_are_told_apart_by_their_type(ledger):
    ledger.record(registration(), look("a"), verdict("a"))
    assert isinstance(ledger.all_looks()[0].record, Look)
    assert isinstance(ledger.verdicts()[0].record, FinalVerdict)


def test_findings_are_kept_once_beside_other_records(ledger, location, tmp_path):
    ledger.record(registration(), look("a"), verdict("a"))
    one = Finding("a", 1, "interview", 3, 5)
    assert (ledger.learn([one, one]), ledger.learn([one])) == (1, 0)
    opened = Ledger.at(location, tmp_path)
    assert [each.record for each in opened.findings()] == [one]
    assert opened.export()[-1]["kind"] == "finding"
    assert len(opened.verdicts()) == 1


@pytest.mark.parametrize(
    ("verdict", "qualifier", "label"),
    [
        ("supported", Qualifier(), "supported"),
        ("supported", Qualifier(at_risk=("paid",)), "supported, but paid is at risk"),
        (
            "supported",
            Qualifier(at_risk=("paid and kept",)),
            "supported, but paid and kept is at risk",
        ),
        (
            "supported",
            Qualifier(at_risk=("paid", "kept")),
            "supported, but paid and kept are at risk",
        ),
        ("supported", Qualifier(pending=("a, b",)), "supported, but a, b is pending"),
    ],
)
def test_a_label_of_format_1_is_read_as_it_was_meant(verdict, qualifier, label):
    assert qualifier.label(verdict) == label
    assert read_label(label) == (verdict, qualifier)


def test_an_early_look_of_format_1():
    assert read_label("inconclusive: looked early") == ("inconclusive", Qualifier(early=True))


def test_what_is_at_risk_is_said_before_what_is_pending():
    both = Qualifier(at_risk=("paid",), pending=("kept",))
    assert both.label("supported") == "supported, but paid is at risk"


def test_a_label_in_other_words_is_left_as_it_is():
    assert read_label("supported, with luck") == ("supported, with luck", Qualifier())
