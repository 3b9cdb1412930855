"""Tables around a verdict: versions, guardrails, a second opinion, plans."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import results
from results import NAN, SCRIPT, hypothesis

from workbench import look_tables, plots
from workbench.guardrails import guardrails
from workbench.judge import judge
from workbench.planner import Plan
from workbench.proportions import Counts


def lines(table):
    return [" ".join(line.split()) for line in repr(table).splitlines()]


def told(**changes):
    given = {
        "hypothesis": "preview-helps",
        "version": 1,
        "arm": "variant = preview",
        "iteration": "2026.1",
        "changed": "first version",
        "looks": 2,
        "estimate": 0.166,
        "low": 0.05,
        "high": 0.264,
        "verdict": "supported",
        "pvalue": 0.003,
        "level": 0.00547,
        "discovery": "yes",
    }
    return {**given, **changes}


def test_the_story_of_versions():
    undefined = dict.fromkeys(("estimate", "low", "high", "pvalue", "level"), NAN)
    rows = [
        told(),
        told(version=2, verdict="not recorded", looks=0, discovery="-", **undefined),
        told(version=3, verdict="supported, but paid is at risk", discovery="no"),
    ]
    shown = lines(look_tables.story(pd.DataFrame(rows)))
    assert shown[2:5] == [
        "preview-helps 1 2026.1 first version 2 +16.6 [+5.0, +26.4] supported 0.00300 0.00547 yes",
        "preview-helps 2 2026.1 first version 0 n/a not recorded n/a n/a -",
        (
            "preview-helps 3 2026.1 first version 2 +16.6 [+5.0, +26.4] supported, but paid is at "
            "risk 0.00300 0.00547 no"
        ),
    ]
    assert "Later verdicts never change earlier ones" in look_tables.story(pd.DataFrame(rows)).note


def test_the_story_names_treatments_where_there_are_several():
    rows = [told(), told(arm=f"variant = {SCRIPT}")]
    table = look_tables.story(pd.DataFrame(rows))
    assert "preview-helps 1: variant = preview" in lines(table)[2]
    assert SCRIPT not in table._repr_html_()


def test_a_story_of_nothing():
    assert "No hypothesis of the study is tested" in repr(look_tables.story(pd.DataFrame()))


def guarded(pair, **more):
    claim = hypothesis(guardrails=[{"metric": "paid", "margin": 0.05}])
    return judge(
        claim,
        control=Counts(48, 80),
        treatment=Counts(56, 70),
        guardrails=guardrails(claim, {"paid": pair}),
        **more,
    )


@pytest.mark.parametrize(
    ("pair", "state", "effect"),
    [
        ((Counts(20, 80), Counts(30, 70)), "holds", "+17.9"),
        ((Counts(20, 80), Counts(16, 70)), "at risk", "−2.1"),
        ((Counts(0, 0), Counts(0, 0)), "pending", "n/a"),
    ],
)
def test_guardrails(pair, state, effect):
    shown = lines(look_tables.guardrails([guarded(pair)]))[2]
    assert shown.startswith(f"preview-helps paid {state}")
    assert effect in shown
    assert "−5" in shown


def test_a_broken_comparison_has_no_guardrail_and_no_opinion():
    from workbench.verdicts import Check

    broken = Check("sample ratio", "invalid", "The cohorts do not fit.")
    found = guarded((Counts(20, 80), Counts(30, 70)), checks=[broken])
    assert lines(look_tables.guardrails([found]))[2] == (
        "preview-helps paid no verdict 25.0% (20/80) 42.9% (30/70) n/a −5 n/a"
    )
    assert lines(look_tables.beliefs([found]))[2] == "preview-helps n/a n/a n/a"


def test_no_guardrails():
    assert "No hypothesis here names a guardrail." in repr(look_tables.guardrails([]))


def test_a_second_opinion_states_its_prior():
    table = look_tables.beliefs([results.evaluation()])
    shown = lines(table)[2].split()
    assert shown[1] == "99.6%"
    assert float(shown[2]) < 0.1 < float(shown[3])
    assert "Beta(1, 1)" in table.note
    assert "which decides nothing" in table.note


def test_a_second_opinion_on_a_fall_and_on_what_is_sure():
    down = judge(hypothesis(alternative="less"), control=Counts(90, 100), treatment=Counts(10, 100))
    assert "more than 99.9%" in repr(look_tables.beliefs([down]))
    up = judge(hypothesis(), control=Counts(90, 100), treatment=Counts(10, 100))
    assert "less than 0.1%" in repr(look_tables.beliefs([up]))
    nobody = judge(hypothesis(), control=Counts(0, 0), treatment=Counts(0, 0))
    assert "nan" not in repr(look_tables.beliefs([nobody]))


@pytest.fixture
def plan():
    names = ["fixed", "sequential, 4 looks", "anytime"]
    table = pd.DataFrame(
        {
            "analysis": names,
            "customers_needed": [278, 286, NAN],
            "expected_customers": [278, 229, NAN],
            "weeks": [9.27, 9.53, NAN],
            "expected_weeks": [9.27, 7.61, NAN],
            "detectable_effect": [0.157, 0.159, NAN],
            "power": [0.475, 0.464, NAN],
        }
    )
    curve = pd.DataFrame(
        [
            (name, effect, NAN if name == "anytime" else effect * 4)
            for name in names
            for effect in (0, 0.25)
        ],
        columns=["analysis", "effect", "power"],
    )
    claim = hypothesis(minimum_effect=0.1)
    return Plan(claim, 0.292, "35/120 of its control so far", 0.1, 120, 30.0, table, curve)


def test_a_plan_side_by_side(plan):
    shown = lines(look_tables.design(plan))
    assert shown[0] == "Plan of preview-helps"
    assert shown[2:5] == [
        "fixed 278 278 9.3 9.3 +15.7 47.5%",
        "sequential, 4 looks 286 229 9.5 7.6 +15.9 46.4%",
        "anytime n/a n/a n/a n/a n/a n/a",
    ]
    assert "found with 120 (points)" in repr(look_tables.design(plan))
    assert plan.sentence in look_tables.design(plan).note


def test_a_plan_without_a_pace(plan):
    slow = replace(plan, per_week=math.nan)
    assert slow.sentence.endswith("; the rate of entry is not known.")


def test_the_power_figure_says_what_it_shows(plan):
    figure = plots.power_figure(plan)
    assert "Power, 120 customers per cohort, by the true effect." in figure.alt
    assert "fixed: 47.5% for +10 points." in figure.alt
    assert "anytime: n/a for +10 points." in figure.alt
    assert "worth having: +10" in figure.svg()
