"""Customers who saw two groups: counted in the first, and nothing ruled out that they could hide."""

from __future__ import annotations

import pytest
from support.results import hypothesis
from support.written_study import study_of_text

from workbench.experiments.analysis import guardrails
from workbench.experiments.crossovers import Crossovers
from workbench.experiments.verdict import evaluate
from workbench.stats.proportions import Counts

WITHOUT = (Counts(30, 90), Counts(50, 95))


def test_what_is_seen_of_an_effect():
    found = Crossovers((100, 100), WITHOUT, 0, 200)
    assert found.crossed == (10, 5)
    assert found.compliance == pytest.approx(0.85)
    assert found.check.level == "warn"
    assert found.check.sentence == (
        "15 customers (7.5%) saw two groups and count in the first. Without them the effect is "
        "+19.3 points, which describes but tests nothing."
    )


def test_beyond_a_fifth_of_an_arm_nothing_is_seen_for_sure():
    assert Crossovers((100, 100), (Counts(30, 80), Counts(50, 100))).compliance == 0.8
    assert Crossovers((100, 100), (Counts(30, 79), Counts(50, 100))).compliance == 0.0


def test_a_refutation_makes_up_for_them_and_support_need_not():
    claim = hypothesis(alternative="greater", minimum_effect=0.1)
    pair = {"control": Counts(200, 400), "treatment": Counts(210, 400)}
    assert evaluate(claim, **pair).verdict == "refuted"
    assert evaluate(claim, **pair, compliance=0.8).verdict == "inconclusive"
    better = {"control": Counts(200, 400), "treatment": Counts(260, 400)}
    for compliance in (1.0, 0.5, 0.0):
        found = evaluate(claim, **better, compliance=compliance)
        assert (found.verdict, found.pvalue) == ("supported", evaluate(claim, **better).pvalue)


def test_a_guardrail_makes_up_for_them():
    claim = hypothesis(guardrails=[{"metric": "paid", "margin": 0.1}])
    counts = {"paid": (Counts(200, 400), Counts(198, 400))}
    (plain,) = guardrails(claim, counts)
    (seen,) = guardrails(claim, counts, compliance={"paid": 0.6})
    (nothing,) = guardrails(claim, counts, compliance={"paid": 0.0})
    assert (plain.held, seen.held, nothing.held) == (True, False, False)
    found = evaluate(
        claim,
        control=Counts(80, 400),
        treatment=Counts(140, 400),
        guardrails=[seen],
        compliance=0.6,
    )
    assert "it may lose 10.5" in found.sentence
    assert "of which customers who saw both groups hide a part" in found.sentence
    found = evaluate(
        claim, control=Counts(80, 400), treatment=Counts(140, 400), guardrails=[nothing]
    )
    assert "too many customers saw both groups to rule a loss out" in found.sentence


def rows(crossed: int) -> list[str]:
    """Write 60 customers of two arms, some of control who see the other group before they are done."""
    written = ["who,what,at,arm"]
    for who in range(60):
        arm = "old" if who % 2 else "new"
        written.append(f"{who},opened,2026-01-06,{arm}")
        if who % 2 and who < 2 * crossed:
            written.append(f"{who},opened,2026-01-07,new")
        if who % 3:
            written.append(f"{who},done,2026-01-08,{arm}")
    return written


STUDY = """
name: one
events: {source: log.csv, customer: who, event: what, time: at, through: 2026-03-01}
groupings: {arm: experiment}
flow: {trigger: opened, steps: [done], window: 7d}
iterations: [{name: one, start: 2026-01-05, end: 2026-02-02}]
hypotheses:
  - {name: helps, statement: It helps., metric: done, iteration: one, alternative: greater,
     minimum_effect: 0.1, control: {arm: old}, treatment: {arm: new}}
"""


def test_a_study_counts_them_where_they_were_first(tmp_path):
    study = study_of_text(tmp_path, STUDY, {"log.csv": "\n".join(rows(3))})
    (found,) = study.evaluate("one")
    assert (found.comparison.control.total, found.comparison.treatment.total) == (30, 30)
    assert found.compliance == pytest.approx(0.9)
    assert found.row()["compliance"] == pytest.approx(0.9)
    assert "3 customers (5.0%) saw two groups" in found.sentence
    assert study.quality("one").set_index("check").loc["crossovers", "value"] == 3


def test_whoever_is_listed_with_two_groups_is_not_assigned(tmp_path):
    listed = ["who,arm", *(f"{who},{'old' if who % 2 else 'new'}" for who in range(60)), "5,new"]
    text = STUDY.replace("groupings:", "customers: {source: who.csv, customer: who}\ngroupings:")
    log = "\n".join(line.rpartition(",")[0] for line in rows(0))
    study = study_of_text(tmp_path, text, {"log.csv": log, "who.csv": "\n".join(listed)})
    (found,) = study.evaluate("one")
    assert found.verdict == "invalid"
    assert "record each customer's first group" in found.sentence
