"""Verdicts: the decision rule, and the sentence that says it."""

from __future__ import annotations

import math

import pytest

from workbench.hypothesis import DecisionRule, Hypothesis, Verdict
from workbench.judge import judge
from workbench.proportions import Counts
from workbench.verdicts import Check


def hypothesis(**changed):
    given = {
        "name": "preview-helps",
        "statement": "It helps.",
        "metric": "imported",
        "iteration": "1",
        "control": {"variant": "blank"},
        "treatment": {"variant": "preview"},
        "alternative": "greater",
        "minimum_effect": 0.05,
    }
    return Hypothesis.model_validate({**given, **changed})


@pytest.mark.parametrize(
    ("alternative", "control", "treatment", "verdict"),
    [
        ("greater", Counts(30, 100), Counts(48, 100), Verdict.SUPPORTED),
        ("greater", Counts(48, 100), Counts(40, 100), Verdict.REFUTED),
        ("greater", Counts(40, 100), Counts(44, 100), Verdict.INCONCLUSIVE),
        # An effect, but surely a smaller one than is worth having: refuted, though the test rejects.
        ("greater", Counts(50_000, 100_000), Counts(51_000, 100_000), Verdict.REFUTED),
        ("less", Counts(48, 100), Counts(30, 100), Verdict.SUPPORTED),
        ("less", Counts(40, 100), Counts(48, 100), Verdict.REFUTED),
        ("less", Counts(44, 100), Counts(40, 100), Verdict.INCONCLUSIVE),
        ("two-sided", Counts(30, 100), Counts(48, 100), Verdict.SUPPORTED),
        ("two-sided", Counts(48, 100), Counts(30, 100), Verdict.SUPPORTED),
        ("two-sided", Counts(5_000, 10_000), Counts(5_010, 10_000), Verdict.REFUTED),
        ("greater", Counts(0, 0), Counts(3, 10), Verdict.INCONCLUSIVE),
    ],
)
def test_the_rule(alternative, control, treatment, verdict):
    rule = DecisionRule(alternative=alternative, minimum_effect=0.05)
    assert rule.decide(rule.compare(control=control, treatment=treatment)) is verdict


def test_test_and_interval_never_disagree():
    rule = DecisionRule(alternative="greater")
    for converted in range(13):
        found = rule.compare(control=Counts(4, 12), treatment=Counts(converted, 12))
        assert (found.pvalue <= rule.alpha) == (found.low > 0)


def test_the_sentence_of_a_supported_hypothesis():
    found = judge(hypothesis(), control=Counts(30, 100), treatment=Counts(48, 100))
    assert found.sentence == (
        "48.0% (48/100) of the preview cohort reached imported, 30.0% (30/100) of the blank "
        "cohort: an effect of +18.0 [+4.7, +29.1] percentage points (90% interval), too large for "
        "chance alone (p = 0.00471)."
    )


def test_the_sentence_of_a_refuted_hypothesis_says_when_the_effect_is_there_but_small():
    found = judge(hypothesis(), control=Counts(50_000, 100_000), treatment=Counts(51_000, 100_000))
    assert "rules out a gain of 5 points, the least worth having; there is one, but a smaller" in (
        found.sentence
    )


def test_the_sentence_of_an_inconclusive_hypothesis_names_the_customers_needed():
    found = judge(hypothesis(), control=Counts(40, 100), treatment=Counts(44, 100))
    assert found.needed is not None
    assert found.needed > 1_000
    assert f"{found.needed:,} more customers per cohort are needed to show +5 points" in (
        found.sentence
    )


def test_a_broken_comparison_has_no_verdict_but_a_reason():
    check = Check("sample ratio", "invalid", "The cohorts' sizes do not fit.")
    found = judge(hypothesis(), control=Counts(1, 9), treatment=Counts(90, 100), checks=[check])
    assert found.verdict is Verdict.INVALID
    assert found.sentence == "No verdict on imported. The cohorts' sizes do not fit."


def test_a_warning_is_part_of_the_sentence():
    check = Check("randomization", "warn", "Nothing was randomized.")
    found = judge(hypothesis(), control=Counts(30, 100), treatment=Counts(48, 100), checks=[check])
    assert found.verdict is Verdict.SUPPORTED
    assert found.sentence.endswith("Nothing was randomized.")


def test_an_empty_cohort_is_undefined_with_a_reason():
    found = judge(hypothesis(), control=Counts(0, 0), treatment=Counts(3, 10))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert math.isnan(found.comparison.estimate)
    assert found.comparison.reason
    assert "nan" not in found.sentence


def test_the_row_holds_plain_values():
    row = judge(hypothesis(), control=Counts(30, 100), treatment=Counts(48, 100)).row()
    assert row["verdict"] == "supported"
    assert type(row["verdict"]) is str
    assert (row["control_converted"], row["treatment_closed"]) == (30, 100)


def test_the_iteration_may_come_from_the_treatment():
    claim = hypothesis(control={"iteration": "1"}, treatment={"iteration": "2"}, iteration="2")
    assert claim.before_after
    given = {"control": {"iteration": "1"}, "treatment": {"iteration": "2"}}
    fields = {**claim.model_dump(exclude={"iteration"}), **given}
    assert Hypothesis.model_validate(fields).iteration == "2"
