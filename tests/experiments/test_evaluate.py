"""Evaluations: what a study's data and its ledger make of a hypothesis, look after look."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.small_study import claim, looking_at, write_events, write_study

from workbench import Study
from workbench.errors import StudyError
from workbench.schema.hypothesis import Verdict

SEQUENTIAL = {"analysis": "sequential", "looks": 3, "planned_customers": 110}
OUTCOME = [("window: 3d}", "window: 3d, outcome: {renewed: renew}, outcome_window: 12w}")]


def evaluate(path: Path, iteration: str = "1", as_of: str | None = None):
    (found,) = Study.load(path).evaluate(iteration, as_of)
    return found


def levels(found) -> dict[str, str]:
    return {each.name: each.level for each in found.checks}


# A fixed analysis decides once
def test_a_fixed_analysis_that_is_looked_at_early_decides_nothing(tmp_path):
    path = write_study(tmp_path, [claim(baseline=0.3)], rates={"blank": 0.1, "preview": 0.9})
    found = evaluate(path, as_of="2026-01-19")
    assert found.comparison.low > 0.5
    assert found.label == "inconclusive: too early to say"
    assert math.isnan(found.pvalue)
    assert not found.final
    assert "Too early to say, whatever it shows: 47 of 1,084 planned" in found.sentence
    assert "last window will be over on 5 February 2026, with about 120" in found.sentence
    assert evaluate(path).verdict == "supported"


def test_a_size_that_follows_from_its_own_data_is_none_to_stop_at(tmp_path):
    claims = [claim(minimum_effect=0.45)]  # 16 per cohort from the control's rate
    found = evaluate(write_study(tmp_path, claims), as_of="2026-01-22")
    assert found.progress.planned is None
    assert "planned" not in found.sentence
    assert found.label == "inconclusive: too early to say"
    claims = [claim(minimum_effect=0.45, baseline=0.3)]
    found = evaluate(write_study(tmp_path, claims), as_of="2026-01-22")
    assert found.final


def test_a_fixed_analysis_tests_everybody_up_to_its_cut(tmp_path):
    path = write_study(tmp_path, [claim(planned_customers=40)])
    look = looking_at(path)
    early = look("2026-01-15")
    assert early.progress.early
    first = look("2026-01-19")
    assert (first.verdict, first.final, first.look) == ("supported", True, 2)
    # Customers enter each cohort in turn, so the cut lies at the 40th of the second one.
    assert [each.total for each in (first.comparison.control, first.comparison.treatment)] == [
        40
    ] * 2
    later = look()
    assert replace(later, as_of=first.as_of) == first
    verdicts = Study.load(path).ledger.verdicts()
    assert [each.record.verdict for each in verdicts] == ["supported"]


def test_the_day_that_an_early_look_names_is_the_first_that_decides(tmp_path):
    path = write_study(tmp_path, [claim(planned_customers=40)])
    said = evaluate(path, as_of="2026-01-16").sentence
    assert "the last of their windows will be over on 18 January 2026; decide then" in said
    assert evaluate(path, as_of="2026-01-17").progress.early
    assert evaluate(path, as_of="2026-01-18").final


def test_a_verdict_that_rests_on_fewer_customers_stands(tmp_path):
    """As when the planned size is corrected by an entry that came late."""
    path = write_study(tmp_path, [claim(planned_customers=40)])
    look = looking_at(path)
    first = look("2026-01-19")
    late = "0105-0b,opened,2026-01-05 01:00:00+00:00,blank,small"
    events = tmp_path / "events.csv"
    text = events.read_text().splitlines()
    preview = [each for each in text if each.startswith("0105-1,")]
    kept = [each for each in text if each not in preview]
    events.write_text("\n".join([*kept, late, late.replace("0b", "0c")]) + "\n")
    later = look()
    assert later.comparison.control.total > first.comparison.control.total
    assert (later.verdict, later.final) == ("supported", False)
    assert later.pvalue == first.pvalue
    assert "preview-helps version 1 stands since" in later.sentence
    assert "on 80 customers: supported." in later.sentence


def test_looking_back_shows_what_was_known_then_and_corrects_nothing(tmp_path):
    path = write_study(tmp_path, [claim(planned_customers=40)])
    look = looking_at(path)
    assert look("2026-01-26").look == 1
    back = look("2026-01-19")
    assert (back.verdict, back.look, back.recorded) == ("supported", 1, None)
    assert len(Study.load(path).ledger.verdicts()) == 1


@pytest.mark.parametrize(
    "changes", [{}, {"planned_customers": 40}, SEQUENTIAL, {"analysis": "anytime"}], ids=str
)
def test_looks_change_nothing_whether_they_are_recorded_or_not(tmp_path, changes):
    days = ["2026-01-15", "2026-01-22", "2026-01-29", None]
    path = write_study(tmp_path, [claim(**changes)], customers=239)
    unseen = [evaluate(path, as_of=each) for each in days]
    look = looking_at(path)
    for day, before in zip(days, unseen, strict=True):
        found = look(day)
        assert found.verdict == before.verdict
        for each in (found, look(day)):
            assert each.comparison.control == before.comparison.control
            assert each.comparison.treatment == before.comparison.treatment
            assert each.sentence == before.sentence


def test_an_unrecorded_look_knows_all_planned_looks_before_it(tmp_path):
    path = write_study(tmp_path, [claim(**SEQUENTIAL)], rates={"blank": 0.3, "preview": 0.35})
    looks = [
        evaluate(path, as_of=at).progress.look
        for at in ("2026-01-15", "2026-01-22", "2026-01-29", "2026-02-03")
    ]
    assert looks == [0, 1, 2, 3]


def test_early_for_want_of_everybody_in_a_study_of_counts(tmp_path):
    (tmp_path / "counts.csv").write_text(
        "day,arm,came,bought\n"
        + "".join(
            f"2026-01-{day:02},{arm},50,{bought}\n"
            for day in range(5, 25)
            for arm, bought in (("a", 10), ("b", 20))
        )
    )
    (tmp_path / "study.yaml").write_text(
        "name: counted\n"
        "counts: {source: counts.csv, time: day, trigger: came, steps: {bought: bought}}\n"
        "groupings: {arm: experiment}\n"
        'iterations: [{name: "1", start: 2026-01-05, end: 2026-01-25}]\n'
        "hypotheses:\n  - {name: more, statement: More., metric: bought, iteration: '1', "
        "control: {arm: a}, treatment: {arm: b}, alternative: greater}\n"
    )
    study = Study.load(tmp_path / "study.yaml")
    (early,) = study.evaluate("1", "2026-01-15")
    assert early.label == "inconclusive: too early to say"
    (whole,) = study.evaluate("1", "2026-01-25")
    assert (whole.verdict, whole.comparison.control.total) == ("supported", 1_000)
    assert study.evaluate("1")[0].verdict == "supported"


# Planned looks, through the ledger
def test_planned_looks_lie_at_their_cuts(tmp_path):
    path = write_study(tmp_path, [claim(**SEQUENTIAL)], rates={"blank": 0.3, "preview": 0.35})
    look = looking_at(path)
    found = [look(at) for at in ("2026-01-22", "2026-01-29", "2026-02-03", None)]
    assert [each.progress.look for each in found] == [1, 2, 3, 3]
    assert [each.comparison.control.total for each in found] == [37, 74, 110, 110]
    assert [each.final for each in found] == [False, False, True, True]
    assert "This is look 2 of 3, at 67% of the 110 planned customers" in found[1].sentence
    assert "and the last one" in found[2].sentence


def test_a_look_that_nobody_recorded_spends_nothing(tmp_path):
    path = write_study(tmp_path, [claim(**SEQUENTIAL)])
    evaluate(path, as_of="2026-01-15")
    found = looking_at(path)("2026-01-22")
    assert (found.progress.look, found.look) == (1, 1)
    assert not (tmp_path / "ledger.db.lock").exists()


def test_a_crossing_ends_planned_looks(tmp_path):
    path = write_study(tmp_path, [claim(**SEQUENTIAL)], rates={"blank": 0.2, "preview": 0.7})
    look = looking_at(path)
    first = look("2026-01-19")
    assert first.progress.crossed
    assert "and its boundary is crossed" in first.sentence
    assert look().comparison == first.comparison


def test_planned_looks_of_several_claims_share_alpha(tmp_path):
    both = [claim(**SEQUENTIAL), claim(**SEQUENTIAL, name="other")]
    path = write_study(tmp_path, both)
    alone = evaluate(write_study(tmp_path / "..", both[:1]), as_of="2026-01-22")
    first, second = Study.load(path).evaluate("1", "2026-01-22")
    assert first.progress.boundary > alone.progress.boundary
    assert first.comparison.confidence_level == pytest.approx(0.95)
    assert "95% interval, which holds for all 2 comparisons together" in second.sentence


# At any time
def test_an_analysis_at_any_time_that_crossed_stays_so_after_drifting_back(tmp_path):
    path = write_study(
        tmp_path, [claim(analysis="anytime")], rates={"blank": 0.1, "preview": 0.9}, customers=80
    )
    text = (tmp_path / "events.csv").read_text().splitlines(keepends=True)
    dates = [line for line in text if ",import," in line and line.split(",")[2] > "2026-01-26"]
    assert dates  # the last quarter of those who imported did not, after all
    (tmp_path / "events.csv").write_text("".join(line for line in text if line not in dates))
    look = looking_at(path)
    crossed, later = look("2026-01-22"), look()
    assert crossed.verdict == "supported"
    assert crossed.final
    assert later.comparison.estimate < crossed.comparison.estimate
    assert (later.verdict, later.final) == ("supported", False)
    fresh = write_study(
        tmp_path,
        [claim(analysis="anytime", version=2)],
        rates={"blank": 0.1, "preview": 0.9},
        customers=80,
    )
    assert evaluate(fresh).verdict == "supported"


def test_an_analysis_at_any_time_before_anybody_is_through(tmp_path):
    found = evaluate(write_study(tmp_path, [claim(iteration="2", analysis="anytime")]), "2")
    assert "no effect can be estimated yet" in found.sentence
    assert "No block of customers is through yet" in found.sentence


# Nobody there
@pytest.mark.parametrize("changes", [{}, SEQUENTIAL, {"analysis": "anytime"}])
def test_an_iteration_that_nobody_entered(tmp_path, changes):
    found = evaluate(write_study(tmp_path, [claim(iteration="2", **changes)]), "2")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "0 of 0 customers of the preview cohort" in found.sentence
    assert "nan" not in found.sentence
    assert "n/a" not in found.sentence


def test_nobody_is_through_yet(tmp_path):
    found = evaluate(write_study(tmp_path, [claim()]), as_of="2026-01-07")
    assert found.label == "invalid"
    assert found.sentence == (
        "No verdict on imported. Every customer is still pending; look again later."
    )


def test_a_cohort_that_is_not_there(tmp_path):
    path = write_study(tmp_path, [claim(treatment={"variant": "previw"})])
    with pytest.raises(StudyError, match=r"hypothesis preview-helps: unknown cohort .* 'preview'"):
        evaluate(path)


# Several treatments, shares
def test_each_treatment_against_the_control(tmp_path):
    claims = [claim(treatment=[{"variant": "preview"}, {"variant": "hints"}])]
    rates = {"blank": 0.3, "preview": 0.6, "hints": 0.3}
    path = write_study(tmp_path, claims, rates=rates, customers=300)
    preview, hints = Study.load(path).evaluate("1", record=True)
    assert (preview.name, hints.name) == ("preview-helps: preview", "preview-helps: hints")
    assert preview.family.size == 2
    assert preview.pvalue == pytest.approx(2 * preview.comparison.pvalue, rel=1e-9)
    assert "adjusted for 2 tests at once" in preview.sentence
    (ratio,) = [each for each in preview.checks if each.name == "sample ratio"]
    assert "100 : 100 : 100" in ratio.sentence
    assert Study.load(path).history()["arm"].tolist() == ["variant = preview", "variant = hints"]


def shared(tmp_path: Path, allocation: str, changes: dict | None = None):
    first = "start: 2026-01-05, end: 2026-02-02"
    replaced = [(first, f"{first}, allocation: {allocation}")]
    rates = {"blank": 0.3, "preview": 0.5, "blank ": 0.3}
    path = write_study(tmp_path, [claim(**(changes or {}))], rates=rates, replaced=replaced)
    events = tmp_path / "events.csv"
    events.write_text(events.read_text().replace("blank ", "blank"))  # two blank for one preview
    return evaluate(path)


def test_an_allocation_that_is_not_equal(tmp_path):
    assert shared(tmp_path, "{blank: 2, preview: 1}").verdict == "supported"
    found = shared(tmp_path, "{blank: 1, preview: 1}")
    assert found.label == "invalid"
    assert "160 : 80 (blank : preview), do not fit shares of blank 1 : preview 1" in found.sentence


def test_an_allocation_that_names_nobody_or_leaves_somebody_out(tmp_path):
    found = shared(tmp_path, "{blank: 2, previw: 1}")
    assert "80 customers are in preview, for which the allocation plans nobody" in found.sentence
    assert "(blank 2 : previw 1); correct the allocation, or find out why." in found.sentence
    found = shared(tmp_path, "{blank: 2, preview: 1, hints: 1}")
    assert "160 : 80 : 0 (blank : preview : hints)" in found.sentence


def test_part_of_an_experiment_has_its_shares(tmp_path):
    part = {
        "control": {"variant": "blank", "size": "small"},
        "treatment": {"variant": "preview", "size": "small"},
    }
    found = shared(tmp_path, "{blank: 2, preview: 1}", part)
    assert levels(found)["sample ratio"] == "ok"
    found = shared(tmp_path, "{other: 2, another: 1}", part)
    assert levels(found)["sample ratio"] == "invalid"  # then shares are equal


def test_an_allocation_is_of_the_experiment_whose_cohorts_it_names(tmp_path):
    path = write_study(
        tmp_path,
        [claim()],
        replaced=[
            ("size: segment", "size: experiment"),
            ("end: 2026-02-02}", "end: 2026-02-02, allocation: {blank: 1, preview: 1}}"),
        ],
        sizes=("small", "large"),
    )
    table = Study.load(path).quality("1")
    ratios = table[table["check"] == "sample ratio"]
    assert len(ratios) == 2
    assert not ratios["sentence"].str.contains("plans nobody").any()


def test_groups_within_one_arm_are_not_randomized(tmp_path):
    within = {
        "control": {"variant": "preview", "size": "small"},
        "treatment": {"variant": "preview", "size": "large"},
    }
    found = evaluate(write_study(tmp_path, [claim(**within)]))
    assert "Nothing was randomized" in found.sentence
    assert "sample ratio" not in levels(found)


# Guardrails
def test_a_guardrail_that_holds_and_one_that_does_not(tmp_path):
    found = evaluate(
        write_study(tmp_path, [claim(guardrails=[{"metric": "bought", "margin": 0.05}])])
    )
    assert (found.verdict, found.success) == ("supported", True)
    assert "Guardrail bought holds: a loss of 5 points or more is ruled out" in found.sentence
    path = write_study(tmp_path, [claim(guardrails=[{"metric": "bought", "margin": 0.05}])])
    events = tmp_path / "events.csv"
    kept = [
        each for each in events.read_text().splitlines() if ",paid," not in each or "blank" in each
    ]
    events.write_text("\n".join(kept))
    found = evaluate(path)
    assert found.label == "supported, but bought is at risk"
    assert (found.kind, found.success) == ("but", False)
    assert "But guardrail bought does not hold: it may lose" in found.sentence


def test_a_verdict_waits_for_a_guardrail_that_nobody_is_through(tmp_path):
    guarded = claim(guardrails=[{"metric": "renewed", "margin": 0.1}])
    path = write_study(tmp_path, [guarded], replaced=OUTCOME)
    look = looking_at(path)
    found = look("2026-02-10")
    assert found.label == "supported, but renewed is pending"
    assert not found.final
    assert "Guardrail renewed: too early to say" in found.sentence
    assert not Study.load(path).ledger.verdicts()
    settled = look()
    assert (settled.verdict, settled.final) == ("supported", True)
    assert len(Study.load(path).ledger.verdicts()) == 1


def test_what_is_decided_with_a_guardrail_at_risk_stays_so(tmp_path):
    guarded = claim(planned_customers=40, guardrails=[{"metric": "bought", "margin": 0.01}])
    rates = {"blank": 0.3, "preview": 0.6}
    path = write_study(tmp_path, [guarded], rates=rates)
    events = tmp_path / "events.csv"
    early = [
        each
        for each in events.read_text().splitlines()
        if not (
            ",paid,preview" in each.replace(each.split(",")[2] + ",", "")
            and each.split(",")[2] < "2026-01-2"
        )
    ]
    events.write_text("\n".join(early))
    look = looking_at(path)
    assert look("2026-01-19").label == "supported, but bought is at risk"
    later = look()
    assert (later.label, later.success) == ("supported, but bought is at risk", False)


# What a hypothesis is compared over
def test_a_window_of_the_hypothesis_alone(tmp_path):
    path = write_study(tmp_path, [claim(window="1h")])
    found = evaluate(path)
    assert found.comparison.treatment.converted == 0  # imports come after three hours
    assert evaluate(write_study(tmp_path, [claim(window="4h")])).comparison.treatment.converted > 0


def test_before_and_after_names_customers_of_both_and_their_other_mix(tmp_path):
    both = claim(iteration="2", control={"iteration": "1"}, treatment={"iteration": "2"})
    path = write_study(tmp_path, [both], rates={"preview": 0.3}, customers=100)
    events = tmp_path / "events.csv"
    write_events(
        events,
        {"preview": 0.6},
        customers=60,
        start=datetime(2026, 2, 2, tzinfo=UTC),
        more=True,
        sizes=("large", "huge"),
    )
    text = events.read_text()
    for number in range(30):
        text = text.replace(f"0202-{number},", f"0105-{number},")
    events.write_text(text)
    found = evaluate(path, "2")
    assert "Nothing was randomized" in found.sentence
    assert "30 of 60 customers (50.0%) entered iteration 1 too" in found.sentence
    assert "The mix of size changed since the iteration before" in found.sentence


def test_before_and_after_expects_no_more_of_what_is_over(tmp_path):
    both = claim(
        iteration="2",
        control={"iteration": "1"},
        treatment={"iteration": "2"},
        planned_customers=90,
    )
    path = write_study(tmp_path, [both], rates={"preview": 0.3}, customers=50)
    write_events(
        tmp_path / "events.csv",
        {"preview": 0.6},
        customers=200,
        start=datetime(2026, 2, 2, tzinfo=UTC),
        more=True,
    )
    found = evaluate(path, "2", "2026-02-16")
    assert found.label == "inconclusive: too early to say"
    assert "last window will be over on 5 March 2026, with about 50" in found.sentence


# The ledger
def test_a_broken_comparison_decides_nothing_once_mended(tmp_path):
    first = "end: 2026-02-02"
    path = write_study(
        tmp_path, [claim()], replaced=[(first, f"{first}, allocation: {{blank: 9, preview: 1}}")]
    )
    look = looking_at(path)
    assert look().label == "invalid"
    path.write_text(path.read_text().replace("blank: 9", "blank: 1"))
    found = look()
    assert (found.verdict, found.final) == ("supported", True)
    assert [each.record.verdict for each in Study.load(path).ledger.verdicts()] == ["invalid"]


def test_a_comparison_that_breaks_after_its_verdict_says_what_is_on_record(tmp_path):
    path = write_study(tmp_path, [claim(planned_customers=40)])
    look = looking_at(path)
    look("2026-01-19")
    path.write_text(
        path.read_text().replace(
            "end: 2026-02-02}", "end: 2026-02-02, allocation: {blank: 9, preview: 1}}"
        )
    )
    found = look()
    assert found.label == "invalid"
    assert ": supported; if this fault was there then, correct that verdict." in found.sentence
    assert not found.final


def test_a_ledger_that_cannot_be_reached_is_one_sentence(tmp_path):
    url = "postgresql://nobody@127.0.0.1:1/none"
    path = write_study(
        tmp_path, [claim()], replaced=[("name: small", f"name: small\nledger: {url}")]
    )
    with pytest.raises(StudyError) as caught:
        evaluate(path)
    assert "the ledger none at 127.0.0.1 cannot be reached" in str(caught.value)
    assert "\n" not in str(caught.value)
