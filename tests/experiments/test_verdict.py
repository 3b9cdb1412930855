"""The judge: every sentence that it makes, on counts alone."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.results import hypothesis

from workbench.experiments.analysis import Expected, Family, Progress, Sample, analyse, guardrails
from workbench.experiments.discoveries import Standing
from workbench.experiments.verdict import Check, RecordedVerdict, evaluate
from workbench.schema.hypothesis import Verdict
from workbench.stats.proportions import Counts

CONTROL, TREATMENT = Counts(30, 100), Counts(48, 100)
DAY = datetime(2026, 3, 9, 12, tzinfo=UTC)


def judged(claim, sample, **more):
    return evaluate(
        claim,
        control=sample.control,
        treatment=sample.treatment,
        analysed=analyse(claim, sample),
        **more,
    )


def test_an_early_look_says_when_it_will_decide():
    claim = hypothesis(planned_customers=150)
    sample = Sample(CONTROL, TREATMENT, complete=False)
    found = judged(claim, sample)
    assert (
        "100 of 150 planned customers per cohort are through; wait until no more" in found.sentence
    )
    for customers, said in (
        (150, "at the present rate of entry all of them will be about 10 March 2026; decide then"),
        (120, "the iteration and its last window will be over on 10 March 2026, with about 120"),
    ):
        progress = Progress("fixed", 150, 100, early=True, expected=Expected(DAY, customers))
        found = evaluate(
            claim, control=CONTROL, treatment=TREATMENT, analysed=(found.comparison, progress)
        )
        assert said in found.sentence
        assert math.isnan(found.pvalue)


def test_an_early_look_without_a_planned_size():
    found = judged(hypothesis(minimum_effect=0), Sample(CONTROL, TREATMENT, complete=False))
    assert "100 customers of the smaller cohort are through; wait until no more" in found.sentence


def test_several_tests_at_once_are_said_with_the_interval():
    family = Family(2, 0.02)
    found = evaluate(hypothesis(), control=CONTROL, treatment=TREATMENT, family=family)
    assert "(90% interval of this comparison alone), too large for chance" in found.sentence
    assert "(p = 0.0200, adjusted for 2 tests at once)" in found.sentence
    assert found.pvalue == 0.02
    lost = evaluate(hypothesis(), control=CONTROL, treatment=TREATMENT, family=Family(9, 0.08))
    assert lost.verdict is Verdict.INCONCLUSIVE
    assert lost.comparison.low > 0
    own = f"{lost.comparison.pvalue:.5f}".rstrip("0")
    assert f"if it were the only test (p = {own}" in lost.sentence
    assert "but not among 9 tests at once (p = 0.0800)." in lost.sentence


def test_harm_is_said():
    found = evaluate(hypothesis(), control=Counts(60, 100), treatment=Counts(40, 100))
    assert (found.verdict, found.success, found.kind) == (Verdict.HARMFUL, False, "harmful")
    assert "which lies wholly on the wrong side: imported suffers." in found.sentence
    less = hypothesis(alternative="less")
    found = evaluate(less, control=Counts(40, 100), treatment=Counts(60, 100))
    assert found.verdict is Verdict.HARMFUL
    both = hypothesis(alternative="two-sided")
    found = evaluate(both, control=Counts(60, 100), treatment=Counts(40, 100))
    assert found.verdict is Verdict.SUPPORTED  # a two-sided claim has no wrong side


def test_where_a_success_stands_is_said_once_it_counts_or_not():
    found = evaluate(hypothesis(), control=CONTROL, treatment=TREATMENT)
    there = found.placed(Standing(0.001, 0.00417, found=True, hypotheses=12))
    assert (there.label, there.kind) == ("supported, a discovery", "supported")
    assert "It is a discovery among the study's 12 hypotheses (p = 0.00100 over" in there.sentence
    short = found.placed(Standing(0.01, 0.00417, found=False, hypotheses=12))
    assert (short.label, short.kind) == ("supported, not yet a discovery", "but")
    assert "It is not yet a discovery among the study's 12 hypotheses (p = 0.0100" in short.sentence
    assert short.row()["discovery"] == {
        "pvalue": 0.01,
        "level": 0.00417,
        "found": False,
        "hypotheses": 12,
    }


def test_what_is_decided_is_not_decided_again():
    decided = RecordedVerdict(Verdict.REFUTED, DAY, 90, pvalue=0.7)
    found = evaluate(hypothesis(), control=CONTROL, treatment=TREATMENT, recorded=decided)
    assert found.sentence.endswith(
        "(90% interval). The final verdict on preview-helps version 1 stands since 9 March "
        "2026, on 90 customers: refuted."
    )
    assert (found.label, found.pvalue, found.success, found.final) == ("refuted", 0.7, False, False)


def test_where_planned_looks_stand():
    claim = hypothesis(analysis="sequential", looks=2, planned_customers=200)
    found = judged(claim, Sample(CONTROL, Counts(38, 100), complete=False))
    assert found.sentence.endswith(
        "This is look 1 of 2, at 50% of the 200 planned customers per cohort; its boundary (z 2.54) "
        "is not crossed."
    )
    crossed = judged(claim, Sample(CONTROL, Counts(55, 100), complete=False))
    assert crossed.sentence.endswith("and its boundary is crossed.")
    early = judged(claim, Sample(Counts(1, 3), Counts(2, 3), complete=False))
    assert "no alpha may be spent this early" in early.sentence
    assert "inf" not in early.sentence
    last = judged(claim, Sample(Counts(60, 200), Counts(66, 200)))
    assert "and the last one" in last.sentence
    nobody = judged(claim, Sample(Counts(0, 0), Counts(0, 0), complete=False))
    assert "None of the 2 planned looks has taken place yet: nobody is through." in nobody.sentence
    assert (
        "Of those whose window is over, 0 of 0 customers of the preview cohort" in nobody.sentence
    )


def test_a_refuted_claim_at_an_early_planned_look_is_no_crossing():
    claim = hypothesis(analysis="sequential", looks=2, planned_customers=200, minimum_effect=0.5)
    found = judged(claim, Sample(Counts(70, 100), Counts(30, 100), complete=False))
    assert (found.verdict, found.final) == (Verdict.HARMFUL, True)
    assert found.sentence.endswith(
        "This is look 1 of 2, at 50% of the 200 planned customers per cohort."
    )


def test_guardrails_in_the_words_of_what_may_be_lost():
    claim = hypothesis(guardrails=[{"metric": "paid", "margin": 0.05}])
    for pair, state, said in (
        (
            (Counts(20, 100), Counts(30, 100)),
            "supported",
            "Guardrail paid holds: a loss of 5 points",
        ),
        ((Counts(20, 100), Counts(20, 100)), "supported, but paid is at risk", "would settle that"),
        (
            (Counts(60, 100), Counts(20, 100)),
            "supported, but paid is at risk",
            "5 is the most allowed.",
        ),
        ((Counts(0, 0), Counts(0, 0)), "supported, but paid is pending", "too early to say"),
    ):
        found = evaluate(
            claim,
            control=CONTROL,
            treatment=TREATMENT,
            guardrails=guardrails(claim, {"paid": pair}),
        )
        assert found.label == state
        assert said in found.sentence
        assert found.success == (state == "supported")
        assert found.final == ("pending" not in state)


def test_two_guardrails_at_risk():
    both = [{"metric": name, "margin": 0.05} for name in ("paid", "kept")]
    claim = hypothesis(guardrails=both)
    pair = (Counts(20, 100), Counts(18, 100))
    kept = guardrails(claim, {"paid": pair, "kept": pair})
    found = evaluate(claim, control=CONTROL, treatment=TREATMENT, guardrails=kept)
    assert found.label == "supported, but paid and kept are at risk"


def test_a_broken_comparison_has_no_numbers_and_names_what_is_on_record():
    check = Check("sample ratio", "invalid", "The cohorts' sizes do not fit.")
    decided = RecordedVerdict(Verdict.SUPPORTED, DAY, 90, success=True, pvalue=0.01)
    found = evaluate(
        hypothesis(), control=CONTROL, treatment=TREATMENT, checks=[check], recorded=decided
    )
    assert found.sentence == (
        "No verdict on imported. The cohorts' sizes do not fit. The ledger holds another verdict "
        "since 9 March 2026: supported; if this fault was there then, correct that verdict."
    )
    assert (found.label, found.success) == ("invalid", False)
    assert math.isnan(found.pvalue)


def test_an_effect_too_small_for_any_study_needs_no_number_of_customers():
    found = evaluate(
        hypothesis(minimum_effect=1e-5), control=Counts(40, 100), treatment=Counts(44, 100)
    )
    assert found.needed is None
    assert "a new iteration needs" not in found.sentence


def test_no_interval_is_left_says_why():
    claim = hypothesis(analysis="anytime")
    found = evaluate(hypothesis(), control=CONTROL, treatment=TREATMENT)
    odd = replace(found.comparison, low=math.nan, high=math.nan, reason="rates seem to change")
    progress = Progress("anytime", None, 100, final=False, evalue=40.0, blocks=100)
    found = evaluate(claim, control=CONTROL, treatment=TREATMENT, analysed=(odd, progress))
    assert "+18.0 percentage points (90% interval), too large for chance alone" in found.sentence
    assert "It has no interval: rates seem to change." in found.sentence
    assert (
        "The largest e-value is 40, in 100 blocks of customers (20 would settle it)"
        in found.sentence
    )


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_sentences_without_a_minimum_effect(alternative):
    found = evaluate(
        hypothesis(alternative=alternative, minimum_effect=0),
        control=Counts(40, 100),
        treatment=Counts(41, 100),
    )
    assert "which leaves open whether there is an effect" in found.sentence
