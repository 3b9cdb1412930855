"""Single-arm claims: the first customers by entry, open ones among them, on record and in reports."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from workbench import Study
from workbench.errors import StudyError
from workbench.reports import hypothesis_report, release_review
from workbench.views import figures, tables, verdicts

STUDY = """
name: pilot
events: {source: events.csv, customer: customer, event: event, time: time}
flow: {trigger: open, steps: [done], window: 1d}
groupings: {variant: experiment}
iterations: [{name: "1", start: 2026-01-05, end: 2026-01-19}]
hypotheses:
  - {name: works, statement: It works., metric: done, iteration: "1", target: 0.4, FIELDS}
"""
START = datetime(2026, 1, 5, tzinfo=UTC)


def write(folder, done, fields="planned_customers: 10", hours=12):
    """Write a study in which customer k enters after k times some hours, and converts an hour later."""
    rows = ["customer,event,time,variant"]
    for number, converts in enumerate(done):
        at = START + timedelta(hours=hours * number)
        variant = "ab"[number % 2]
        rows.append(f"c{number},open,{at.isoformat()},{variant}")
        if converts:
            rows.append(f"c{number},done,{(at + timedelta(hours=1)).isoformat()},{variant}")
    rows.append(f"other,seen,{(START + timedelta(days=13)).isoformat()},a")
    (folder / "events.csv").write_text("\n".join(rows))
    (folder / "study.yaml").write_text(STUDY.replace("FIELDS", fields))
    return Study.load(folder / "study.yaml")


def test_only_the_first_customers_count(tmp_path):
    (found,) = write(tmp_path, [0] * 10 + [1] * 8).single_arm()
    assert (found.found.customers, found.found.converted) == (10, 0)
    assert (str(found.verdict), found.final) == ("refuted", True)
    assert found.sentence.startswith(
        "0 of the first 10 customers reached done: fewer than 40% do, [0.0%, 25.9%] (90% interval, ex"
    )


def test_success_is_told_at_once_and_stays(tmp_path):
    study = write(tmp_path, [1] * 8 + [0] * 6)
    (early,) = study.single_arm(as_of="2026-01-08T12:00:00")
    assert (early.label, early.found.open) == ("inconclusive: too early to say", 3)
    assert "8 are needed to show more than 40%. 3 are undecided or to come." in early.sentence
    (at,) = study.single_arm(as_of="2026-01-08T15:00:00")
    assert (str(at.verdict), at.final, at.found.open) == ("supported", True, 2)
    assert math.isnan(at.found.rate)  # those who convert are decided first
    (later,) = study.single_arm()
    assert (str(later.verdict), later.found.low) == ("supported", at.found.low)


def test_failure_waits_for_windows_that_are_open(tmp_path):
    study = write(tmp_path, [0] * 10, hours=1)
    (open_ones,) = study.single_arm(as_of="2026-01-05T12:00:00")
    assert open_ones.label == "inconclusive: too early to say"
    (closed,) = study.single_arm(as_of="2026-01-06T11:00:00")
    assert str(closed.verdict) == "refuted"


def test_too_few_by_the_end_are_all_that_count(tmp_path):
    (found,) = write(tmp_path, [1, 1, 1, 0, 1]).single_arm(as_of="2026-01-20")
    assert (found.found.customers, found.planned, found.label) == (5, 10, "inconclusive")
    assert "10 were planned; fewer entered by the end of the iteration." in found.sentence


def test_a_cohort_of_its_own(tmp_path):
    done = [1, 0] * 10
    fields = "planned_customers: 10, cohort: {variant: a}"
    (found,) = write(tmp_path, done, fields).single_arm()
    assert (found.found.converted, str(found.verdict)) == (10, "supported")
    assert found.sentence.startswith("10 of the first 10 of a reached done, and 8 were needed")
    with pytest.raises(StudyError, match="hypothesis works: unknown cohort variant = 'c'"):
        write(tmp_path, done, fields.replace(": a}", ": c}")).single_arm()


def test_the_ledger_keeps_it_apart_from_discoveries(tmp_path):
    study = write(tmp_path, [1] * 12)
    (found,) = study.single_arm(record=True)
    assert found.look == 1
    (again,) = study.single_arm(record=True)
    assert again.look == 1
    (row,) = study.history().to_dict("records")
    assert (row["label"], row["discovery"], row["estimate"]) == (
        "supported",
        "-",
        pytest.approx(0.6),
    )
    changed = write(tmp_path, [1] * 12, "planned_customers: 11")
    with pytest.raises(StudyError, match="has changed planned_customers from 10 to 11; raise its"):
        changed.single_arm(record=True)


def test_reports_show_it_and_its_versions(tmp_path):
    path = write(tmp_path, [1] * 12).folder / "study.yaml"
    report = hypothesis_report.begin(study=path, iteration="1", record=True)
    table = verdicts.single_arm(report.single_arm)
    assert table.rows[0][0] == "works 1"
    assert report.history()["verdict"].tolist() == ["supported"]
    content = report.finish(
        evaluations=report.evaluate(),
        metrics=report.study.learning_metrics(),
        quality=report.study.quality("1"),
        single_arm=report.single_arm,
    ).content
    assert [each["label"] for each in content["evaluations"]] == ["supported"]
    review = release_review.begin(study=path, iteration="1")
    assert review.history["label"].tolist() == ["supported"]
    assert not verdicts.single_arm([]).sentences


def test_plans_say_what_so_few_show(tmp_path):
    study = write(tmp_path, [1], "planned_customers: 20, minimum_effect: 0.25")
    plan = study.plan_single_arm("works")
    assert plan.table.set_index("customers")["power"].round(2).to_dict() == {
        5: 0.12,
        10: 0.26,
        20: 0.60,
        28: 0.86,
        30: 0.87,
    }
    assert "if the rate is 65%, that happens in 60.1%. For 80%: 28 customers." in plan.sentence
    assert "rate of 70.9% is shown" in (
        write(tmp_path, [1], "planned_customers: 20").plan_single_arm("works").sentence
    )
    with pytest.raises(StudyError, match="unknown hypothesis 'work'"):
        study.plan_single_arm("work")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            "planned_customers: 3",
            "line 8: hypotheses: hypothesis 'works': even if all of 3 customers",
        ),
        ("planned_customers: 10, minimum_effect: 0.7", "70 points leave no room above 40%"),
        ("planned_customers: 10, control: {variant: a}", "unknown key 'control'"),
        ("planned_customers: 10, cohort: {size: a}", "line 8: unknown grouping 'size'"),
        ("looks: 2", "unknown key 'looks'"),
    ],
)
def test_what_cannot_decide_is_refused(tmp_path, fields, said):
    with pytest.raises(StudyError, match=said):
        write(tmp_path, [1], fields)


def test_only_events_tell_who_came_first(tmp_path):
    (tmp_path / "counts.csv").write_text("came,done\n12,9\n")
    text = """
name: pilot
counts: {source: counts.csv, trigger: came, steps: {done: done}}
iterations: [{name: "1"}]
hypotheses:
  - {name: works, statement: It works., metric: done, iteration: "1", target: 0.4, planned_customers: 12}
"""
    (tmp_path / "study.yaml").write_text(text)
    (found,) = Study.load(tmp_path / "study.yaml").single_arm()
    assert (found.found.converted, str(found.verdict)) == (9, "supported")
    (tmp_path / "study.yaml").write_text(text.replace("customers: 12", "customers: 10"))
    with pytest.raises(
        StudyError, match="only events tell which of the 12 they are; plan 12, or add"
    ):
        Study.load(tmp_path / "study.yaml").single_arm()


def test_the_rate_is_drawn_beside_its_target(tmp_path):
    found = write(tmp_path, [1, 0] * 6).single_arm()
    (chart,) = figures.single_arm_figure(found)
    assert chart.alt == "works 1: 5 of 10 [22.2%, 77.8%]; the target is 40%."
    assert not figures.single_arm_figure([]).sentences


def test_a_report_of_nothing_else_begins_with_it(tmp_path):
    found = write(tmp_path, [1] * 12).single_arm()
    assert repr(verdicts.verdicts([], found)).startswith("works: supported. 10 of the first 10 c")
    assert "No hypothesis" not in verdicts.verdicts([], found)._repr_html_()
    assert not tables.verdicts([], found).sentences
    assert "No hypothesis" in tables.verdicts([]).empty
