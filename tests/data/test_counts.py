"""Counts tables and outcome columns: studies without an event log."""

from __future__ import annotations

import pytest

from workbench import Study
from workbench.errors import WorkbenchError

COUNTS = """\
name: trial
counts:
  source: "*.csv"
  file_column: arm
  trigger: Clicks
  steps: {enrolled: Enrollments, paid: Payments}
groupings: {arm: experiment}
iterations: [{name: "1"}]
hypotheses:
  - name: fewer
    statement: Fewer enrol.
    metric: enrolled
    iteration: "1"
    control: {arm: control}
    treatment: {arm: screener}
"""
CONTROL = "\ufeffDate,Clicks,Enrollments,Payments\nmon,100,40,20\ntue,50,20,\nwed,30,,\n"
SCREENER = "Date,Clicks,Enrollments,Payments\nmon,110,30,20\ntue,55,15,\nwed,30,,\n"
OUTCOMES = """\
name: gates
customers: {source: players.csv, customer: id}
outcomes: {stayed_1: day_1, stayed_7: day_7}
groupings: {gate: experiment}
iterations: [{name: launch}]
"""


@pytest.fixture
def trial(tmp_path):
    def write(control: str = CONTROL, study: str = COUNTS):
        (tmp_path / "study.yaml").write_text(study)
        (tmp_path / "control.csv").write_text(control)
        (tmp_path / "screener.csv").write_text(SCREENER)
        return Study.load(tmp_path / "study.yaml")

    return write


def test_an_empty_cell_is_pending_and_never_zero(trial):
    table = trial().learning_metrics(by="arm")
    rows = {(row["arm"], row["step"]): row for row in table.to_dict("records")}
    enrolled, paid = rows["control", "enrolled"], rows["control", "paid"]
    facts = ("entered", "aligned", "deviated", "pending", "converted", "closed")
    assert [enrolled[name] for name in facts] == [180, 60, 90, 30, 60, 150]
    assert [paid[name] for name in facts] == [60, 20, 20, 20, 20, 100]
    assert paid["step_rate"] == 20 / 40


def test_the_quality_counts_whoever_is_pending_at_any_step(trial):
    rows = trial().quality("1").set_index("check")
    assert rows.loc["customers", "value"] == 375
    assert rows.loc["pending", "value"] == 375 - 210


def test_a_verdict_on_counts(trial):
    (found,) = trial().evaluate()
    assert (found.comparison.control.total, found.comparison.treatment.total) == (150, 165)
    assert [check.name for check in found.checks] == ["pending", "sample ratio"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("100,40,20", "100,40,50", "Payments is 50, more than Enrollments before it (40)"),
        ("100,40,20", "100,,20", "Payments is 20 but Enrollments before it is empty; fill it in"),
        ("100,40,20", "100,-4,", "Enrollments is -4; a count is a whole number, 0 or more"),
        ("100,40,20", "100,4.5,", "Enrollments is 4.5; a count is a whole number"),
        ("50,20,", '50,"2,0",', "Enrollments is '2,0'; a count is a whole number"),
        ("100,40,20", ",40,20", "Clicks is None; a count is a whole number"),
    ],
)
def test_counts_that_cannot_be(trial, old, new, said):
    with pytest.raises(WorkbenchError) as caught:
        trial(CONTROL.replace(old, new)).evaluate()
    assert said in str(caught.value)
    assert "control.csv" in str(caught.value) or "*.csv" in str(caught.value)


def test_counts_without_days_cannot_be_read_as_of_one(trial):
    with pytest.raises(
        WorkbenchError, match="counts have no times; leave as_of out, or name their"
    ):
        trial(CONTROL).learning_metrics(as_of="2026-01-05")


def test_days_fall_into_iterations(trial):
    study = COUNTS.replace("counts:", "counts:\n  time: Date").replace(
        '[{name: "1"}]',
        '[{name: "1", start: 2026-01-05, end: 2026-01-07},'
        ' {name: "2", start: 2026-01-07, end: 2026-01-09}]',
    )
    control = CONTROL
    for day, date in (("mon", "2026-01-05"), ("tue", "2026-01-06"), ("wed", "2026-01-07")):
        control = control.replace(day, date)
    opened = trial(
        control,
        study.replace('"*.csv"', "control.csv").replace(
            "groupings: {arm: experiment}", "groupings: {arm: segment}"
        ),
    )
    first = opened.learning_metrics().query("step == 'enrolled'")
    assert first["entered"].tolist() == [150, 30]
    early = opened.learning_metrics(as_of="2026-01-05").query("step == 'enrolled'")
    assert early["entered"].tolist() == [100]


def test_outcomes_are_metrics_of_their_own(tmp_path):
    (tmp_path / "study.yaml").write_text(OUTCOMES)
    players = "id,gate,day_1,day_7\n1,a,true,false\n2,a,false,true\n3,b,true,\n4,,false,false\n"
    (tmp_path / "players.csv").write_text(players)
    opened = Study.load(tmp_path / "study.yaml")
    table = opened.learning_metrics(by="gate").query("step == 'stayed_7'")
    facts = table[["gate", "entered", "aligned", "deviated", "pending"]].values.tolist()
    assert facts == [["(missing)", 1, 0, 1, 0], ["a", 2, 1, 1, 0], ["b", 1, 0, 0, 1]]
    with pytest.raises(WorkbenchError, match="outcomes have no times; leave as_of out"):
        opened.learning_metrics(as_of="2026-01-01")


def test_an_outcome_must_be_yes_or_no(tmp_path):
    (tmp_path / "study.yaml").write_text(OUTCOMES)
    (tmp_path / "players.csv").write_text("id,gate,day_1,day_7\n1,a,3,false\n")
    with pytest.raises(
        WorkbenchError, match="column 'day_1' holds '3'; an outcome is true or false, yes or no"
    ):
        Study.load(tmp_path / "study.yaml").learning_metrics()


def test_an_outcome_may_be_one_or_zero(tmp_path):
    (tmp_path / "study.yaml").write_text(OUTCOMES)
    (tmp_path / "players.csv").write_text("id,gate,day_1,day_7\n1,a,1,0\n2,a,0,\n3,a,1,0\n")
    table = Study.load(tmp_path / "study.yaml").learning_metrics()
    assert table[["step", "aligned", "pending"]].values.tolist() == [
        ["stayed_1", 2, 0],
        ["stayed_7", 0, 1],
    ]
