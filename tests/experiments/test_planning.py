"""Plans: customers, weeks and power for each way to look, side by side.

Published: R's `power.prop.test(p1 = .50, p2 = .75, power = .90)` needs 77 customers per cohort (manual
page, n = 76.7), by the formula of Fleiss, Tytun & Ury (1980) without continuity correction.
The safe test and planned looks are held against safestats and rpact in tests/stats/test_anytime_power.py and
tests/stats/test_sequential.py.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import date, datetime, timedelta

import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize
from support.small_study import claim, write_study

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments import planning
from workbench.stats import power

KINDS = ["fixed", "sequential, 4 looks", "anytime"]
SURE = {"minimum_effect": 0.25, "baseline": 0.5, "alternative": "two-sided", "power": 0.9}


@pytest.fixture(autouse=True)
def short_curve(monkeypatch):
    """Draw few points of each curve: simulating them is what takes time."""
    monkeypatch.setattr(planning, "CURVE_POINTS", 3)


def design(tmp_path, customers=None, as_of=None, events=None, **changes):
    path = write_study(tmp_path, [claim(**changes)], **(events or {}))
    return Study.load(path).plan("preview-helps", customers, as_of)


def test_three_ways_side_by_side(tmp_path):
    plan = design(tmp_path, 100, **SURE)
    table = plan.table.set_index("analysis")
    assert table.index.tolist() == KINDS
    assert table["customers_needed"].is_monotonic_increasing
    fixed = table.loc["fixed"]
    assert fixed["customers_needed"] == pytest.approx(
        77, abs=4
    )  # R; the exact test takes a few more
    assert fixed["expected_customers"] == fixed["customers_needed"]
    assert (table["expected_customers"] <= table["customers_needed"]).all()
    assert fixed["power"] == power.power(
        control_rate=0.5, effect=0.25, control_total=100, treatment_total=100
    )
    arcsine = NormalIndPower().power(proportion_effectsize(0.75, 0.5), 100, 0.05)
    assert fixed["power"] == pytest.approx(arcsine, abs=0.02)
    assert (table["power"].diff().dropna() < 0).all()
    assert (table["detectable_effect"].abs().diff().dropna() > 0).all()


def test_weeks_at_the_pace_of_the_newest_iteration(tmp_path):
    plan = design(tmp_path, **SURE)
    assert (plan.customers, plan.per_week) == (120, pytest.approx(30))
    fixed = plan.table.iloc[0]
    assert fixed["weeks"] == pytest.approx(fixed["customers_needed"] / 30 + 3 / 7)  # and its window
    assert plan.sentence == (
        "To show +25 percentage points on imported, from 50.0% (the hypothesis's baseline), with a "
        "power of 90%; 30.0 customers enter the smaller cohort a week, and each is followed for 0.4 weeks."
    )
    early = design(tmp_path, as_of="2026-01-19", **SURE)
    assert early.per_week == pytest.approx(30, abs=1)


def test_the_curve_starts_at_alpha_and_rises(tmp_path):
    plan = design(tmp_path, 60, **SURE)
    for _, curve in plan.curve.groupby("analysis"):
        assert curve["effect"].iloc[0] == 0
        assert curve["power"].iloc[0] <= 0.05
        assert curve["power"].is_monotonic_increasing


def test_the_rate_comes_from_the_iteration_before_or_from_the_control(tmp_path):
    of_control = design(tmp_path, minimum_effect=0.4)
    assert of_control.basis == "35/120 of its control so far"
    before = design(
        tmp_path,
        minimum_effect=0.4,
        iteration="2",
        control={"iteration": "1"},
        treatment={"iteration": "2"},
    )
    assert before.basis == "98/240 in iteration 1"
    assert before.customers == 240  # all of an iteration are one cohort


def test_a_fall_is_planned_downwards(tmp_path):
    plan = design(tmp_path, 100, alternative="less", minimum_effect=0.3, baseline=0.5)
    assert plan.effect == -0.3
    assert (plan.curve["effect"] <= 0).all()


def test_either_way_plans_for_the_harder_one(tmp_path):
    plan = design(tmp_path, 100, alternative="two-sided", minimum_effect=0.2, baseline=0.8)
    assert plan.effect == -0.2


def test_the_newest_version_is_planned(tmp_path):
    claims = [claim(minimum_effect=0.1), claim(version=2, minimum_effect=0.4, baseline=0.3)]
    plan = Study.load(write_study(tmp_path, claims)).plan("preview-helps")
    assert plan.hypothesis.version == 2


def test_more_customers_than_a_way_can_be_planned_for(tmp_path):
    plan = design(tmp_path, 100, minimum_effect=0.005, baseline=0.3)
    needed = plan.table.set_index("analysis")["customers_needed"]
    assert needed["fixed"] > 100_000
    assert needed.isna().tolist() == [False, False, True]
    large = design(tmp_path, 200_000, minimum_effect=0.1, baseline=0.3).table
    assert large["power"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("customers", "changes", "said"),
    [
        (1, {}, "customers is 1; a plan needs 2 or more per cohort"),
        (0, {}, "customers is 0; a plan needs 2 or more per cohort"),
        (
            None,
            {"minimum_effect": 0},
            "has no minimum_effect; a plan needs the smallest effect worth having",
        ),
        (
            None,
            {"baseline": 0.97},
            "an effect of +5 points leaves no room at a rate of 97.0%; correct",
        ),
        (
            None,
            {"minimum_effect": 1e-4},
            "takes more customers than a plan can hold; raise minimum",
        ),
        (None, {"iteration": "2", "treatment": {"variant": "x"}, "baseline": 0.3}, ""),
    ],
)
def test_what_cannot_be_planned(tmp_path, customers, changes, said):
    if not said:
        assert design(tmp_path, customers, **changes).customers == 120
        return
    with pytest.raises(StudyError) as caught:
        design(tmp_path, customers, **changes)
    assert said in str(caught.value)


def test_where_nothing_is_known_yet(tmp_path):
    with pytest.raises(StudyError, match="no rate of imported is known yet; give the hypothesis a"):
        design(tmp_path, as_of="2026-01-06")
    with pytest.raises(
        StudyError, match="nobody has entered yet, so the number of customers available"
    ):
        design(tmp_path, iteration="2", baseline=0.3, events={"customers": 1})
    with pytest.raises(
        StudyError, match="unknown hypothesis 'preview'; did you mean 'preview-helps'"
    ):
        Study.load(tmp_path / "study.yaml").plan("preview")


def test_counts_have_the_pace_of_their_iteration(tmp_path):
    (tmp_path / "counts.csv").write_text(
        "day,arm,came,bought\n2026-01-06,a,140,20\n2026-01-07,b,140,30\n"
    )
    (tmp_path / "study.yaml").write_text(
        "name: counted\n"
        "counts: {source: counts.csv, time: day, trigger: came, steps: {bought: bought}}\n"
        "groupings: {arm: experiment}\n"
        'iterations: [{name: "1", start: 2026-01-05, end: 2026-02-02}]\n'
        "hypotheses:\n  - {name: more, statement: More., metric: bought, iteration: '1', "
        "control: {arm: a}, treatment: {arm: b}, alternative: greater, minimum_effect: 0.4}\n"
    )
    assert Study.load(tmp_path / "study.yaml").plan("more").per_week == pytest.approx(35)


def test_a_plan_knows_the_arms_the_shares_and_the_tests_at_once(tmp_path):
    three = {"rates": {"blank": 0.3, "preview": 0.5, "hints": 0.5}, "customers": 240}
    alone = design(tmp_path, events=three, **SURE)
    assert (alone.customers, alone.per_week, alone.tests) == (80, pytest.approx(20), 1)
    both = design(
        tmp_path, events=three, **SURE, treatment=[{"variant": "preview"}, {"variant": "hints"}]
    )
    assert both.tests == 2
    assert both.table["customers_needed"].iloc[0] > alone.table["customers_needed"].iloc[0]
    assert "It is one of 2 tests at once, so alpha is divided by 2." in both.sentence


def test_adoption_is_planned_in_all_who_enter(bundled):
    study = Study.load(bundled)
    made = study.plan("memory-brings-back")
    rows = study.learning_metrics(by="variant")
    newest = rows[(rows["step"] == "previewed") & (rows["iteration"] == "2026.5")]
    assert made.customers == newest["entered"].min()
    assert made.window == 4  # weeks: adoption_window


def test_guardrails_are_planned_too(bundled):
    made = Study.load(bundled).plan("memory-brings-back")
    ((metric, margin, needed),) = made.guardrails
    assert (metric, margin) == ("imported", 0.1)
    rate = Study.load(bundled).learning_metrics("2026.3").set_index("step").loc["imported", "rate"]
    options = {"alternative": "greater", "alpha": 0.05, "null_effect": -0.1, "effect": 0.0}
    powers = [
        power.power(control_rate=rate, control_total=int(n), treatment_total=int(n), **options)
        for n in (needed, 0.9 * needed)
    ]
    assert powers[0] >= 0.8 > powers[1]
    assert f"imported loses 10 points takes {needed:,.0f} per cohort" in made.sentence


def test_dates_of_early_looks_come_true_week_by_week(bundled):
    """As of each week of each iteration: on the day that a sentence names for certain, it decides."""
    study, told = Study.load(bundled), 0
    for iteration in study.spec.iterations[:4]:
        day = date.fromisoformat(str(iteration.start)) + timedelta(days=7)
        while day < date.fromisoformat(str(iteration.end)) + timedelta(days=7):
            for found in study.evaluate(iteration.name, day):
                expected = found.progress.expected
                if found.progress.early and expected is not None and expected.certain:
                    named = re.search(r"will be over on (\d+ \w+ \d{4})", found.sentence)[1]
                    moment = datetime.strptime(named, "%d %B %Y").date()  # noqa: DTZ007 - a day
                    later = study.evaluate(iteration.name, moment)
                    assert not later[0].progress.early
                    told += 1
            day += timedelta(days=7)
    assert told >= 6


def test_durations_come_true_week_by_week(bundled, tmp_path):
    """As of each week: the time that 60 customers a cohort take, told by the plan's pace and window."""
    text = bundled.read_text(encoding="utf-8")
    for after in ("    alpha: 0.05\n", "    guardrails: "):
        text = text.replace(after, f"    planned_customers: 60\n{after}")
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "data").symlink_to(bundled.parent / "data")
    study, day, told = Study.load(path), timedelta(days=1), 0
    for name, place in (("preview-helps", 2), ("memory-brings-back", 3)):
        iteration = study.spec.iterations[place]
        begun = date.fromisoformat(str(iteration.start))
        decided = 8 + bisect_left(
            range(8, 60),
            True,
            key=lambda number, name=iteration.name, begun=begun: (
                study.evaluate(name, begun + number * day)[0].final
            ),
        )
        for week in (1, 2, 3):
            made = study.plan(name, as_of=begun + 7 * week * day)
            weeks = 60 / made.per_week + made.window
            assert weeks == pytest.approx(decided / 7, abs=1.0)
            told += 1
    assert told == 6
