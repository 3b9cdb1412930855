"""Verdicts: the decision rule, and the sentence that says it."""

from __future__ import annotations

import math

import pytest

from workbench.experiments.verdict import Check, evaluate
from workbench.schema.hypothesis import DecisionRule, Hypothesis, Verdict
from workbench.stats.proportions import Counts


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
    found = evaluate(hypothesis(), control=Counts(30, 100), treatment=Counts(48, 100))
    assert found.sentence == (
        "48.0% (48/100) of the preview cohort reached imported, 30.0% (30/100) of the blank "
        "cohort: an effect of +18.0 [+4.7, +29.1] percentage points (90% interval), too large for "
        "chance alone (p = 0.00471)."
    )


def test_the_sentence_of_a_refuted_hypothesis_says_when_the_effect_is_there_but_small():
    found = evaluate(
        hypothesis(), control=Counts(50_000, 100_000), treatment=Counts(51_000, 100_000)
    )
    assert "rules out a gain of 5 points, the least worth having; there is a smaller one" in (
        found.sentence
    )


def test_the_sentence_of_an_inconclusive_hypothesis_names_the_customers_needed():
    found = evaluate(hypothesis(), control=Counts(40, 100), treatment=Counts(44, 100))
    assert found.needed is not None
    assert found.needed > 1_000
    assert f"a new iteration needs {found.needed:,} customers per cohort to show +5 points" in (
        found.sentence
    )


def test_a_broken_comparison_has_no_verdict_but_a_reason():
    check = Check("sample ratio", "invalid", "The cohorts' sizes do not fit.")
    found = evaluate(hypothesis(), control=Counts(1, 9), treatment=Counts(90, 100), checks=[check])
    assert found.verdict is Verdict.INVALID
    assert found.sentence == "No verdict on imported. The cohorts' sizes do not fit."


def test_a_warning_is_part_of_the_sentence():
    check = Check("randomization", "warn", "Nothing was randomized.")
    found = evaluate(
        hypothesis(), control=Counts(30, 100), treatment=Counts(48, 100), checks=[check]
    )
    assert found.verdict is Verdict.SUPPORTED
    assert found.sentence.endswith("Nothing was randomized.")


def test_an_empty_cohort_is_undefined_with_a_reason():
    found = evaluate(hypothesis(), control=Counts(0, 0), treatment=Counts(3, 10))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert math.isnan(found.comparison.estimate)
    assert found.comparison.reason
    assert "nan" not in found.sentence


def test_the_row_holds_plain_values():
    row = evaluate(hypothesis(), control=Counts(30, 100), treatment=Counts(48, 100)).row()
    assert row["verdict"] == "supported"
    assert type(row["verdict"]) is str
    assert (row["control_converted"], row["treatment_closed"]) == (30, 100)


def test_the_iteration_may_come_from_the_treatment():
    claim = hypothesis(control={"iteration": "1"}, treatment={"iteration": "2"}, iteration="2")
    assert claim.before_after
    given = {"control": {"iteration": "1"}, "treatment": {"iteration": "2"}}
    fields = {**claim.model_dump(exclude={"iteration"}), **given}
    assert Hypothesis.model_validate(fields).iteration == "2"


# How it is looked at, and what may not change
def test_several_treatments_are_one_claim_each():
    both = [{"variant": "preview"}, {"variant": "hints"}]
    claim = hypothesis(treatment=both)
    assert [str(each.treatment) for each in claim.arms] == ["variant = preview", "variant = hints"]
    assert [str(each.other_treatments[0]) for each in claim.arms] == [
        "variant = hints",
        "variant = preview",
    ]
    one, other = (each.frozen() for each in claim.arms)
    assert {**one, "treatment": ""} == {**other, "treatment": ""}


def test_one_treatment_may_be_a_list_of_one():
    claim = hypothesis(treatment=[{"variant": "preview"}])
    assert claim == hypothesis()
    assert claim.arms == (claim,)


def test_what_is_frozen_and_what_is_not():
    first = hypothesis()
    for changes in (
        {"metric": "mapped"},
        {"control": {"variant": "old"}},
        {"treatment": {"variant": "new"}},
        {"alternative": "less"},
        {"minimum_effect": 0.1},
        {"alpha": 0.01},
        {"power": 0.9},
        {"window": "7d"},
        {"planned_customers": 90},
        {"baseline": 0.3},
        {"guardrails": [{"metric": "paid", "margin": 0.1}]},
        {"analysis": "anytime"},
        {"analysis": "sequential", "looks": 3},
        {"iteration": "2"},
    ):
        assert hypothesis(**changes).frozen() != first.frozen(), changes
    for changes in ({"statement": "It helps a lot."}, {"impact": 9}, {"version": 2}):
        assert hypothesis(**changes).frozen() == first.frozen()


def test_frozen_fields_are_plain_values():
    import json

    claim = hypothesis(window="7d", guardrails=[{"metric": "paid", "margin": 0.0075}])
    written = json.loads(json.dumps(claim.frozen()))
    assert written == claim.frozen()
    assert written["guardrails"] == [{"metric": "paid", "margin": 0.0075}]
    assert (written["control"], written["treatments"]) == ("variant = blank", ["variant = preview"])


def test_nobody_plans_for_what_no_study_could_find():
    rule = DecisionRule(alternative="greater", minimum_effect=1e-5)
    assert rule.customers_needed(0.3, 1e-5) is None
    assert rule.customers_needed(0.97, 0.05) is None
    assert rule.customers_needed(0.3, 0.0) is None
    assert rule.customers_needed(0.3, 0.2) == 78


@pytest.mark.parametrize("alpha", [0, 0.5, 0.6, 1])
def test_alpha_leaves_room_for_an_interval(alpha):
    with pytest.raises(ValueError, match=r"it must lie between 0 and 0\.5"):
        DecisionRule(alpha=alpha)
