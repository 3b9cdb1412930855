"""The one next thing: what comes first, and that its sentence says all that it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import results

from workbench.advice import advise
from workbench.analyses import Expected
from workbench.backlog import Backlog, Candidate, Cost, guessing, rank
from workbench.guardrails import GuardrailResult
from workbench.proportions import Counts, compare
from workbench.scores import Range
from workbench.verdicts import Check, Evaluation

FIVE = Range(low=5, high=5)


def backlog(*candidates: Candidate) -> Backlog:
    return Backlog(rank(candidates), guessing(()))


SHORT = Cost(260, 7.9, 0.3, 0.15)


def candidate(cost=SHORT, ease=FIVE, evidence=("F-1",)) -> Candidate:
    said = "A reminder brings customers back."
    return Candidate("reminder", 1, said, "idea", FIVE, ease, None, evidence, cost)


def early() -> Evaluation:
    found = results.evaluation("inconclusive")
    expected = Expected(datetime(2026, 3, 9, tzinfo=UTC), 120)
    progress = replace(found.progress, early=True, planned=120, through=10, expected=expected)
    return replace(found, progress=progress)


def at_risk() -> Evaluation:
    lost = compare(control=Counts(40, 80), treatment=Counts(30, 70), alternative="greater")
    guard = GuardrailResult("adoption", 0.05, lost, held=False, needed=400)
    return replace(results.evaluation("supported"), guardrails=(guard,))


def test_a_broken_comparison_is_mended_first():
    found = advise([at_risk(), early(), results.evaluation("invalid")], backlog(candidate()))
    assert (found.kind, found.about) == ("mend", "preview-helps")
    assert found.sentence == (
        "First mend preview-helps, version 1 (2026.1), which is invalid: "
        "the cohorts are not as planned."
    )


def test_a_test_that_was_looked_at_early_runs_on():
    found = advise([at_risk(), early()], backlog(candidate()))
    assert found.kind == "wait"
    assert "run on, until about 9 March 2026, and decide nothing" in found.sentence
    assert found.sentence.endswith("10 of 120 planned customers per cohort are through.")


def test_time_alone_mends_a_test_in_which_everybody_is_pending():
    broken = results.evaluation("invalid")
    pending = Check("pending", "invalid", "Every customer is still pending; look again later.", 9)
    found = advise([replace(broken, checks=(pending,))], backlog(candidate()))
    assert found.kind == "wait"
    assert found.sentence.endswith("run on: every customer is still pending.")
    both = replace(broken, checks=(*broken.checks, pending))
    assert advise([both], backlog()).kind == "mend"


def test_a_guardrail_at_risk_is_decided_on():
    found = advise([results.evaluation("refuted"), at_risk()], backlog(candidate()))
    assert found.kind == "decide"
    assert (
        "worth what adoption may lose, or test on with 400 customers per cohort" in found.sentence
    )
    assert found.sentence.endswith("and a loss of 5 is the most allowed.")


def test_settled_tests_leave_the_first_of_the_backlog():
    settled = [results.evaluation(name) for name in ("supported", "refuted", "inconclusive")]
    found = advise(settled, backlog(candidate()))
    assert found.row() == {
        "kind": "try",
        "about": "reminder",
        "sentence": 'Try reminder next ("A reminder brings customers back"), by an A/B test with '
        "260 customers and 7.9 weeks.",
    }


def test_the_cheapest_way_to_learn_is_said_with_its_reason():
    def said(**changes):
        return advise([], backlog(candidate(**changes))).sentence.partition("), ")[2]

    long = Cost(934, 10.4, 0.5, 0.08)
    assert said(cost=long) == "by a prototype: an A/B test would take 934 customers and 10.4 weeks."
    assert said(cost=Cost(reason="it names no metric")) == (
        "by a prototype: an A/B test cannot be planned: it names no metric."
    )
    assert said(evidence=()) == (
        "by interviews with customers, since no customer's remark is cited: an A/B test would take "
        "260 customers and 7.9 weeks."
    )


def test_nothing_left_to_try_is_a_reason_to_listen():
    found = advise([results.evaluation("refuted")], backlog())
    assert (found.kind, found.about) == ("listen", "")
    assert found.sentence.startswith("Talk to customers")
