"""Hypotheses that are compared within strata, planned looks that run on, and shares that move."""

from __future__ import annotations

import numpy as np
import pytest
from support.results import hypothesis
from support.written_study import study_of_text

from workbench.errors import StudyError
from workbench.experiments.analysis import Sample, analyse
from workbench.experiments.checks import steadiness_check
from workbench.experiments.verdict import evaluate
from workbench.stats.proportions import Counts
from workbench.stats.strata import compare_strata

STUDY = """
name: one
events: {source: log.csv, customer: who, event: what, time: at, through: 2026-03-01}
groupings: {arm: experiment, size: segment}
flow: {trigger: opened, steps: [done], window: 7d}
iterations: [{name: one, start: 2026-01-05, end: 2026-02-02}]
hypotheses:
  - {name: helps, statement: It helps., metric: done, iteration: one, alternative: greater,
     minimum_effect: 0.1, control: {arm: old}, treatment: {arm: new}, stratify: [size]}
"""


def rows(done: dict[tuple[str, str], int], each: int = 40) -> str:
    """Write customers of each arm and size, so many of whom are done."""
    written, who = ["who,what,at,arm,size"], 0
    for number in range(each):
        for (arm, size), count in done.items():
            who += 1
            written.append(f"{who},opened,2026-01-{6 + number // 4:02},{arm},{size}")
            if number < count:
                written.append(f"{who},done,2026-01-{7 + number // 4:02},{arm},{size}")
    return "\n".join(written)


DONE = {("old", "small"): 20, ("new", "small"): 28, ("old", "large"): 2, ("new", "large"): 6}


def test_customers_are_compared_within_their_stratum(tmp_path):
    study = study_of_text(tmp_path, STUDY, {"log.csv": rows(DONE)})
    (found,) = study.evaluate("one")
    strata = [(Counts(2, 40), Counts(6, 40)), (Counts(20, 40), Counts(28, 40))]
    wanted = compare_strata(strata, alternative="greater", confidence_level=0.9)
    assert found.comparison == wanted
    assert "(90% interval within size)" in found.sentence
    assert found.row()["test"] == "Cochran-Mantel-Haenszel"


def test_strata_are_frozen_and_old_registrations_stay_as_they_were(tmp_path):
    study = study_of_text(tmp_path, STUDY, {"log.csv": rows(DONE)})
    study.evaluate("one", record=True)
    changed = STUDY.replace(", stratify: [size]", "")
    with pytest.raises(StudyError, match="stratify from"):
        study_of_text(tmp_path, changed, {}).evaluate("one", record=True)
    assert hypothesis().frozen()["stratify"] is None
    assert hypothesis().frozen()["run_on"] is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("stratify: [size]", "stratify: [sise]", "unknown grouping 'sise'; did you mean 'size'"),
        ("stratify: [size]", "stratify: [arm]", "stratify names 'arm', which tells the cohorts"),
        ("stratify: [size]", "stratify: [size], analysis: anytime", "stratify is for analysis: f"),
        ("stratify: [size]", "run_on: true", "run_on is for analysis: sequential"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, old, new, said):
    with pytest.raises(StudyError, match=said):
        study_of_text(tmp_path, STUDY.replace(old, new), {"log.csv": rows(DONE)})


def looks(claim, *pairs, complete=False):
    sample = Sample(*pairs[-1], complete=complete, earlier=tuple(pairs[:-1]))
    return evaluate(
        claim, control=pairs[-1][0], treatment=pairs[-1][1], analysed=analyse(claim, sample)
    )


def test_a_test_that_runs_on_counts_by_its_full_size_alone():
    options = {"analysis": "sequential", "looks": 2, "planned_customers": 80}
    claim = hypothesis(**options, run_on=True)
    first, full = (Counts(8, 40), Counts(32, 40)), (Counts(30, 80), Counts(44, 80))
    stopped = looks(claim, first)
    assert (stopped.verdict, stopped.discovery_pvalue) == ("supported", 1.0)
    assert "the list of discoveries waits for the test at the full size" in stopped.sentence
    whole = looks(claim, first, full, complete=True)
    assert whole.discovery_pvalue == claim.compare(control=full[0], treatment=full[1]).pvalue
    plain = looks(hypothesis(**options), first)
    assert plain.discovery_pvalue == plain.pvalue < 0.05


def test_shares_that_move_leave_no_verdict(tmp_path):
    early, late = np.arange(0, 100), np.arange(100, 200)
    steady = steadiness_check(np.arange(0, 200, 2), np.arange(1, 200, 2))
    assert steady.level == "ok"
    moved = steadiness_check(
        np.concatenate([early[:90], late[:50]]), np.concatenate([early[90:], late[50:]])
    )
    assert moved.level == "invalid"
    assert "begin a new iteration where shares change" in moved.sentence
    assert steadiness_check(np.arange(5), np.arange(5)).level == "ok"
    written = ["who,what,at,arm,size"]
    for who in range(200):
        arm = "new" if who % 20 < (2 if who < 100 else 18) else "old"
        written.append(f"{who},opened,2026-01-{6 + who // 10:02},{arm},small")
    study = study_of_text(tmp_path, STUDY, {"log.csv": "\n".join(written)})
    (found,) = study.evaluate("one")
    assert found.verdict == "invalid"
    assert "The treatment's share moved while customers entered" in found.sentence
