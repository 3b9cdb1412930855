"""The history of a ledger: one row for each arm, version and iteration, and what versions changed.

Recording: what looks add to a ledger, by one process and by many, and what later looks learn from it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from support.ledger_writers import CLAIM, look, registration, verdict
from support.results import evaluation, hypothesis
from support.simultaneous_looks import MOMENTS
from support.small_study import claim, hypotheses, write_study

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments.analysis import GuardrailResult
from workbench.experiments.history import (
    UNRECORDED,
    HypothesisHistory,
    PastLooks,
    describe_change,
    fingerprint,
    history,
    record,
    summarize,
    trials,
    version_history,
)
from workbench.experiments.ledger import Ledger, Stored
from workbench.experiments.verdict import RecordedVerdict, evaluate
from workbench.reports import hypothesis_report
from workbench.schema.hypothesis import Qualifier, Verdict
from workbench.stats.proportions import Counts, compare

WHEN = datetime(2026, 2, 2, tzinfo=UTC)
FIRST = hypothesis()
EMPTY = pd.DataFrame(columns=["hypothesis", "version", "arm", "iteration"])
# Many at once
SPARSE = {"customers": 56, "rates": {"blank": 0.2, "preview": 0.8}}


def told(*entries: object) -> tuple[HypothesisHistory, ...]:
    """Return the history of records in this order; one beside an id corrects that one."""
    numbers = count(1)
    held = [
        Stored(next(numbers), WHEN, *(each if isinstance(each, tuple) else (each,)))
        for each in entries
    ]
    kinds: dict[str, list[Stored]] = {"registration": [], "look": [], "verdict": []}
    for each in held:
        kinds[each.record.KIND].append(each)
    return summarize(kinds["verdict"], kinds["look"], kinds["registration"])


def test_nothing_recorded_is_no_history():
    assert told() == ()


def test_two_versions_over_three_iterations():
    rows = told(
        registration(),
        look("a", "2026.1"),
        look("b", "2026.1", estimate=0.1, low=-0.05, high=0.25),
        verdict("b", "2026.1", verdict="inconclusive", success=False, pvalue=0.1),
        look("c", "2026.2"),
        verdict("c", "2026.2", pvalue=0.0006),
        registration(2),
        look("d", "2026.3", version=2, estimate=0.3),
        verdict("d", "2026.3", version=2, pvalue=0.01),
    )
    assert [
        (each.version, each.iteration, each.looks, each.estimate, each.verdict, each.discovery)
        for each in rows
    ] == [
        (1, "2026.1", 2, 0.1, "inconclusive", "-"),
        (1, "2026.2", 1, 0.2, "supported", "yes"),
        (2, "2026.3", 1, 0.3, "supported", "no"),
    ]
    assert {each.level for each in rows} == {0.05 / 12}  # one hypothesis, however many versions
    assert [each.pvalue for each in rows] == [0.1, 0.0006, 0.01]
    assert [each.label for each in rows[1:]] == [
        "supported, a discovery",
        "supported, not yet a discovery",
    ]


def test_what_has_no_final_verdict_is_open():
    (row,) = told(registration(), look("a", pvalue=0.001), look("b", estimate=0.25))
    assert (row.verdict, row.looks, row.estimate) == ("open", 2, 0.25)
    assert math.isnan(row.pvalue)
    assert math.isnan(row.level)
    assert row.discovery == "-"


def test_what_was_registered_and_never_looked_at_is_open_too():
    (row,) = told(registration())
    assert (row.iteration, row.looks, row.verdict) == ("", 0, "open")
    assert math.isnan(row.estimate)


def test_an_invalid_comparison_is_no_test():
    invalid = verdict("a", "2026.1", verdict="invalid", success=False, pvalue=None)
    again = verdict("b", "2026.2", pvalue=0.0006)
    rows = told(look("a", "2026.1"), invalid, look("b", "2026.2"), again)
    assert [each.discovery for each in rows] == ["-", "yes"]


def test_a_discovery_is_a_success_too():
    (row,) = told(look("a"), verdict("a", success=False, pvalue=0.0001))
    assert (row.discovery, row.since) == ("-", "")


def test_a_corrected_verdict_counts_as_its_correction_says():
    rows = told(
        look("a", "2026.1"),
        verdict("a", "2026.1", pvalue=0.03),
        look("z", "2026.1", estimate=0.4),
        (verdict("z", "2026.1", pvalue=0.001), 2, "other data"),
    )
    (row,) = rows
    assert (row.discovery, row.corrected, row.estimate, row.looks) == ("yes", True, 0.4, 2)
    assert row.since == "gained 2026-02-02"


def test_places_that_are_gained_and_lost_are_told():
    """The second hypothesis makes room for the first; its correction takes the room again."""
    one = [look("a", "2026.1"), verdict("a", "2026.1", pvalue=0.005)]
    two = {"hypothesis": "Another"}
    both = [*one, look("b", "2026.2", **two), verdict("b", "2026.2", pvalue=0.0001, **two)]
    assert [each.discovery for each in told(*one)] == ["no"]
    assert [each.discovery for each in told(*both)] == ["yes", "yes"]
    lost = told(
        *both,
        look("c", "2026.2", **two),
        (verdict("c", "2026.2", pvalue=0.5, success=False, **two), 4, "other data"),
    )
    assert [(each.discovery, each.since) for each in lost] == [
        ("no", "lost 2026-02-02"),
        ("-", "lost 2026-02-02"),
    ]


@pytest.mark.parametrize(
    ("analysis", "fields", "counted"),
    [
        ("anytime", {}, 0.0001),
        ("sequential", {"run_on": True}, 0.0001),
        ("sequential", {}, 0.02),
        ("fixed", {}, 0.02),
    ],
)
def test_only_what_goes_on_counts_after_its_verdict(analysis, fields, counted):
    """Whoever took the better of two p-values would find what is not there."""
    records = [
        Stored(number, datetime(2026, 2, number, tzinfo=UTC), record)
        for number, record in enumerate(
            [
                registration(**fields),
                look("a", analysis=analysis, discovery_pvalue=0.02),
                verdict("a", pvalue=0.02),
                look("b", analysis=analysis, discovery_pvalue=0.0001),
            ],
            1,
        )
    ]
    (found,) = trials([records[2]], [records[1], records[3]], [records[0]])
    assert found.pvalue == counted


def test_evidence_at_any_time_goes_on_after_the_verdict():
    early = look("a", analysis="anytime", discovery_pvalue=0.02)
    later = look("b", analysis="anytime", discovery_pvalue=0.0001)
    fixed = look("b", discovery_pvalue=0.0001)
    assert told(early, verdict("a", pvalue=0.02))[0].discovery == "no"
    (row,) = told(early, verdict("a", pvalue=0.02), later)
    assert (row.discovery, row.pvalue) == ("yes", 0.02)
    assert told(early, verdict("a", pvalue=0.02), fixed)[0].discovery == "no"


def test_ledgers_of_before_say_what_counted_when_it_was_decided():
    records = [registration(), look("a"), verdict("a", pvalue=0.004)]
    (row,) = told(*records)
    assert (row.discovery, row.counted_when_decided) == ("no", "yes")
    records[0] = replace(records[0], fields={**records[0].fields, "discovery_horizon": 12})
    (row,) = told(*records)
    assert (row.discovery, row.counted_when_decided) == ("no", "-")


def test_the_horizon_is_frozen_with_the_first_record(ledger):
    record(ledger, [evaluation()], [], 6)
    assert ledger.horizon == 6
    with pytest.raises(
        StudyError, match="discovery_horizon is 12, but 6 since the ledger was opened"
    ):
        record(ledger, [evaluation()], [], 12)


def test_the_estimate_is_of_the_look_that_the_verdict_rests_on():
    (row,) = told(look("a", estimate=0.1), look("b"), verdict("a"))
    assert row.estimate == 0.1
    (alone,) = told(verdict("a"))
    assert math.isnan(alone.estimate)


def test_arms_and_hypotheses_have_rows_of_their_own():
    arms = [look("a", arm=arm) for arm in ("group=guide", CLAIM[2])]
    rows = told(*arms, look("a", hypothesis="Another"))
    assert [(each.hypothesis, each.arm) for each in rows] == [
        (CLAIM[0], "group=guide"),
        (CLAIM[0], CLAIM[2]),
        ("Another", CLAIM[2]),
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 0.01}, "alpha from 0.05 to 0.01"),
        ({"metric": "mapped"}, "metric from imported to mapped"),
        (
            {"treatment": {"variant": "hints"}},
            "treatment from variant = preview to variant = hints",
        ),
        ({"window": "14d"}, "window from none to 14 days"),
        ({"planned_customers": 90}, "planned customers from none to 90"),
        (
            {"analysis": "sequential", "looks": 3},
            "analysis from fixed to sequential; looks from none to 3",
        ),
        (
            {"guardrails": [{"metric": "paid", "margin": 0.0075}]},
            "guardrails from none to paid by 0.0075",
        ),
        ({"statement": "It helps more."}, "what it does (its statement)"),
        ({"iteration": "2026.2"}, "tested again, unchanged"),
        ({}, "tested again, unchanged"),
    ],
)
def test_what_a_version_changed(changes, said):
    assert describe_change(hypothesis(version=2, **changes), FIRST) == said


def row(**changes) -> dict:
    given = {
        "hypothesis": "preview-helps",
        "version": 1,
        "arm": "variant = preview",
        "iteration": "2026.1",
        "looks": 2,
        "estimate": 0.2,
        "low": 0.05,
        "high": 0.3,
        "verdict": "supported",
        "label": "supported",
        "pvalue": 0.003,
        "level": 0.0055,
        "discovery": "yes",
    }
    return asdict(HypothesisHistory(**{**given, **changes}))


def test_versions_in_order_with_what_the_ledger_says():
    second = hypothesis(version=2, iteration="2026.2", alpha=0.01)
    table = version_history([second, FIRST], pd.DataFrame([row()]))
    assert table["version"].tolist() == [1, 2]
    assert table["verdict"].tolist() == ["supported", UNRECORDED]
    assert table["looks"].tolist() == [2, 0]
    assert math.isnan(table.loc[1, "pvalue"])
    assert table["changed"].tolist() == ["first version", "alpha from 0.05 to 0.01"]


def test_nothing_recorded():
    (row,) = version_history([FIRST], EMPTY).to_dict("records")
    assert (row["verdict"], row["discovery"], row["looks"]) == (UNRECORDED, "-", 0)


def test_another_treatment_is_a_change_and_no_first_version():
    second = hypothesis(version=2, treatment={"variant": "hints"})
    table = version_history([FIRST, second], EMPTY)
    assert table["changed"].tolist() == [
        "first version",
        "treatment from variant = preview to variant = hints",
    ]


def test_each_treatment_is_held_against_itself():
    both = [{"variant": "preview"}, {"variant": "hints"}]
    first, second = (
        hypothesis(version=version, treatment=both, alpha=alpha)
        for version, alpha in ((1, 0.05), (2, 0.01))
    )
    table = version_history([*first.arms, *second.arms], EMPTY)
    assert table["changed"].tolist() == ["first version"] * 2 + ["alpha from 0.05 to 0.01"] * 2


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger.at("ledger.db", tmp_path)


# The history of two versions over the bundled study's iterations
@pytest.fixture(scope="module")
def recorded(bundled: Path, tmp_path_factory) -> Path:
    """Copy the bundled study, and look at all of its hypotheses, iteration by iteration."""
    folder = tmp_path_factory.mktemp("history") / "study"
    left = shutil.ignore_patterns("reports", "ledger.db*")
    shutil.copytree(bundled.parent, folder, ignore=left)
    path = folder / "study.yaml"
    for name in ("2026.1", "2026.2", "2026.3"):
        Study.load(path).evaluate(name, record=True)
    return path


def test_the_ledger_tells_versions_and_iterations(recorded):
    table = Study.load(recorded).history()
    told = table[["hypothesis", "version", "iteration", "looks", "verdict", "discovery"]]
    assert told.values.tolist() == [
        ["preview-helps", 1, "2026.1", 1, "supported", "yes"],
        ["hints-map-more", 1, "2026.2", 1, "refuted", "-"],
        ["preview-helps", 2, "2026.3", 1, "inconclusive", "-"],
    ]
    assert (table["level"] > 0).all()
    assert table.loc[0, "label"] == "supported, a discovery"
    assert table.loc[0, "estimate"] == pytest.approx(78 / 140 - 54 / 140)


def test_the_report_says_what_a_version_changed(recorded):
    told = hypothesis_report.begin(study=recorded, iteration="2026.3").history()
    assert told["version"].tolist() == [1, 2]
    assert told["changed"].tolist() == ["first version", "what it does (its statement)"]
    assert told["verdict"].tolist() == ["supported", "inconclusive"]


def test_a_changed_field_without_a_new_version_is_refused(recorded, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(recorded.parent, copy)
    path = copy / "study.yaml"
    before = Study.load(path).ledger.export()
    for old, new, said in (
        ("minimum_effect: 0.05", "minimum_effect: 0.06", "minimum_effect from 0.05 to 0.06"),
        ("alpha: 0.05", "alpha: 0.1", "alpha from 0.05 to 0.1"),
        ("end: 2026-02-02}", "end: 2026-02-01}", "start and end from"),
    ):
        text = recorded.read_text()
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(StudyError) as caught:
            Study.load(path).evaluate("2026.1", record=True)
        assert said in str(caught.value)
        assert "raise its version to 2, or change that back" in str(caught.value)
    assert Study.load(path).ledger.export() == before
    path.write_text(recorded.read_text().replace("impact: 8 ", "impact: 9 ", 1))
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
    other = evaluate(hypothesis(), control=Counts(48, 80), treatment=Counts(55, 70))
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
    assert (verdict.verdict, verdict.qualifier) == ("supported", Qualifier(at_risk=("paid",)))
    assert history(ledger)["label"].tolist() == ["supported, but paid is at risk"]


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
    found = evaluate(hypothesis(), control=Counts(5_000, 10_000), treatment=Counts(5_200, 10_000))
    assert (found.verdict, found.pvalue <= 0.05) == (Verdict.REFUTED, True)
    (verdict,) = final(ledger, found)
    assert verdict.pvalue == 1.0


def test_the_history_of_nothing(ledger):
    assert history(ledger).empty
    assert "discovery" in history(ledger).columns


# What the ledger says before the next look
def test_earlier_looks_are_those_with_fewer_customers(ledger):
    for treated in (20, 60):
        found = evaluate(hypothesis(), control=Counts(10, treated), treatment=Counts(12, treated))
        record(ledger, [found], [])
    past = PastLooks(ledger)
    now = (Counts(20, 50), Counts(25, 50))
    assert past.earlier(hypothesis(), now) == ((Counts(10, 20), Counts(12, 20)),)
    assert past.earlier(hypothesis(version=2), now) == ()


def test_what_is_decided_is_decided_for_more_customers_only(ledger):
    found = evaluate(hypothesis(), control=Counts(10, 50), treatment=Counts(30, 50))
    record(ledger, [found], [])
    past = PastLooks(ledger)
    decided = past.verdict(hypothesis(), (Counts(10, 51), Counts(30, 50)))
    assert isinstance(decided, RecordedVerdict)
    assert (decided.verdict, decided.label, decided.customers) == ("supported", "supported", 100)
    assert decided.success
    assert decided.look_pvalue == found.comparison.pvalue
    assert past.verdict(hypothesis(), (Counts(10, 50), Counts(30, 50))) is None
    assert past.verdict(hypothesis(version=2), (Counts(10, 60), Counts(30, 60))) is None


def test_corrected_data_of_as_many_customers_correct_the_verdict(ledger):
    for converted in (30, 29):
        record(
            ledger,
            [evaluate(hypothesis(), control=Counts(10, 50), treatment=Counts(converted, 50))],
            [],
        )
    assert [each.corrects is None for each in ledger.verdicts()] == [True, False]
    assert history(ledger)["corrected"].tolist() == [True]


def check_twenty(path: Path) -> None:
    code = f"import support.simultaneous_looks as t, pathlib; t.looks_at_once(pathlib.Path({str(path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
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
