"""Studies: the verbs a notebook calls, on the bundled study and on small ones."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench import Study

FACTS = ["entered", "aligned", "deviated", "pending"]
SMALL = """\
name: small
events: {source: events.csv, customer: who, event: what, time: at}
flow: {trigger: opened, steps: [done]}
iterations:
  - {name: "1", start: 2026-01-05, end: 2026-02-02}
  - {name: "2", start: 2026-02-02, end: 2026-03-02}
hypotheses:
  - name: faster
    statement: More get there.
    metric: done
    control: {iteration: "1"}
    treatment: {iteration: "2"}
"""
EVENTS = "who,what,at\n1,opened,2026-01-06\n1,done,2026-01-07\n2,opened,2026-02-06\n"


@pytest.fixture(scope="module")
def study(bundled):
    return Study.load(bundled)


def test_learning_metrics_add_up(study):
    table = study.learning_metrics(by=["variant", "country"])
    assert (table["entered"] == table["aligned"] + table["deviated"] + table["pending"]).all()
    whole = study.learning_metrics()
    parts = table.groupby(["iteration", "step"])[[*FACTS, "converted", "closed"]].sum()
    wanted = whole.set_index(["iteration", "step"])[parts.columns].sort_index()
    pd.testing.assert_frame_equal(parts, wanted)


def test_each_step_is_entered_by_those_who_reached_the_one_before(study):
    table = study.learning_metrics("2026.2").head(3)
    assert table["entered"].tolist()[1:] == table["aligned"].tolist()[:-1]


def test_only_the_last_iteration_has_pending_customers(study):
    table = study.learning_metrics()
    pending = table[table["step"].isin(study.spec.steps)].groupby("iteration")["pending"].sum()
    assert pending[:-1].tolist() == [0, 0, 0, 0]
    assert pending["2026.5"] > 0


def test_outcomes_mature_after_the_steps(study):
    table = study.learning_metrics()
    renewed = table[table["step"] == "renewed"].set_index("iteration")
    assert renewed["pending"].tolist()[:3] == [0, 0, 0]
    assert 0 < renewed.loc["2026.4", "closed"] < renewed.loc["2026.4", "entered"] / 2
    assert renewed.loc["2026.5", "closed"] == 0
    assert renewed.loc["2026.5", "rate"] != renewed.loc["2026.5", "rate"]


def test_an_earlier_look_knows_less(study):
    then, now = (study.learning_metrics("2026.1", as_of=at) for at in ("2026-01-20", None))
    assert (then["entered"] <= now["entered"]).all()
    assert then["pending"].sum() > 0


def test_the_day_of_as_of_begins_at_midnight(study):
    by_day, by_time = (
        study.learning_metrics("2026.1", as_of=at) for at in ("2026-01-20", "2026-01-20T00:00Z")
    )
    pd.testing.assert_frame_equal(by_day, by_time)


def test_the_bundled_verdicts_differ(study):
    verdicts = [str(each.verdict) for each in study.evaluate()]
    assert verdicts == ["supported", "refuted", "inconclusive", "supported"]


def test_a_verdict_counts_what_the_metrics_count(study):
    (found,) = study.evaluate("2026.1")
    table = study.learning_metrics("2026.1", by="variant").query("step == 'imported'")
    rows = table.set_index("variant")
    for cohort, counts in (
        ("blank", found.comparison.control),
        ("preview", found.comparison.treatment),
    ):
        assert (counts.converted, counts.total) == (
            rows.loc[cohort, "converted"],
            rows.loc[cohort, "closed"],
        )


def test_deviations_add_up_to_the_deviated(study):
    for step in ("previewed", "mapped", "imported"):
        went = study.deviations("2026.2", step)["customers"].sum()
        table = study.learning_metrics("2026.2").set_index("step")
        assert went == table.loc[step, "deviated"]


def test_changes_start_with_the_second_iteration(study):
    assert study.changes("2026.1").empty
    changes = study.changes("2026.2")
    assert changes["previous_iteration"].tolist() == ["2026.1"] * 3
    assert (changes["estimate"] - (changes["rate"] - changes["previous_rate"])).abs().max() < 1e-12


def test_effects_leave_out_the_grouping_that_is_tested(study):
    effects = study.effects("2026.1", "preview-helps")
    assert set(effects["grouping"]) == {"company_size", "industry", "country"}
    sizes = effects.query("grouping == 'company_size'")
    (found,) = study.evaluate("2026.1")
    assert sizes["control_closed"].sum() == found.comparison.control.total
    assert sizes["treatment_converted"].sum() == found.comparison.treatment.converted


def test_the_plan_says_what_this_sample_could_detect(study):
    (row,) = study.sample_sizes("2026.3").to_dict("records")
    assert 0.05 < row["detectable_effect"] < 0.3
    assert row["customers_needed"] > row["customers_control"]


def test_the_name_that_templates_of_0_1_use_gives_the_same_sample_sizes(study):
    with pytest.warns(DeprecationWarning, match=r"use: study.sample_sizes\(iteration\)"):
        old = study.plan(iteration="2026.3", as_of=None)
    pd.testing.assert_frame_equal(old, study.sample_sizes("2026.3"))


def test_checking_names_duplicates_and_ties_with_an_example(study):
    report = study.check()
    assert not report.errors
    counts = {each.message.split(";")[0]: each for each in report.problems}
    duplicates = counts["rows repeat another one exactly"]
    assert duplicates.count > 0
    assert "customer_id" in duplicates.example


@pytest.fixture
def small(tmp_path):
    def write(text: str) -> Study:
        (tmp_path / "study.yaml").write_text(text)
        (tmp_path / "events.csv").write_text(EVENTS + "3,other,2026-03-20\n")
        return Study.load(tmp_path / "study.yaml")

    return write


def test_two_iterations_without_a_window_had_unequal_time(small):
    (found,) = small(SMALL).evaluate("2")
    assert str(found.verdict) == "invalid"
    assert "had unequal time to get there; give the hypothesis a window" in found.sentence


def test_a_window_of_the_hypothesis_makes_time_equal(small):
    (found,) = small(SMALL.replace("metric: done", "metric: done\n    window: 7d")).evaluate("2")
    assert str(found.verdict) == "inconclusive"
    assert "Nothing was randomized" in found.sentence
    assert (found.comparison.control.total, found.comparison.treatment.total) == (1, 1)


def test_a_log_of_purchases_alone(tmp_path):
    text = SMALL.replace("steps: [done]", "steps: [{again: opened}]").replace("done", "again")
    (tmp_path / "study.yaml").write_text(text.partition("hypotheses")[0])
    (tmp_path / "events.csv").write_text(
        "who,what,at\n1,opened,2026-01-06\n1,opened,2026-01-06\n1,opened,2026-01-09\n"
        "2,opened,2026-01-06\n2,opened,2026-01-06\n"
    )
    table = Study.load(tmp_path / "study.yaml").learning_metrics("1")
    assert table[FACTS].values.tolist() == [[2, 1, 1, 0]]


def test_columns_may_be_called_anything(tmp_path):
    (tmp_path / "e v.csv").write_text(
        'my ""id"",ev,at,seg\'s\n'.replace('my ""id""', '"my ""id"""')
        + "1,a,2026-01-05,x\n1,b,2026-01-06,x\n2,a,2026-01-05,y\n"
    )
    (tmp_path / "study.yaml").write_text(
        "name: odd\n"
        "events: {source: e v.csv, customer: 'my \"id\"', event: ev, time: at}\n"
        'groupings: {"seg\'s": segment}\n'
        "flow: {trigger: a, steps: [b]}\n"
        'iterations: [{name: "1", start: 2026-01-05, end: 2026-01-07}]\n'
    )
    table = Study.load(tmp_path / "study.yaml").learning_metrics(by="seg's")
    assert table[["seg's", "entered", "aligned"]].values.tolist() == [["x", 1, 1], ["y", 1, 0]]
