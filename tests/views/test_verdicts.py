"""Tables around a verdict: versions, guardrails, a second opinion, plans."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from support import results
from support.results import DOLLARS, NAN, SCRIPT, evaluation, hypothesis

from workbench.experiments.analysis import guardrails
from workbench.experiments.planning import Plan
from workbench.experiments.verdict import Check, evaluate
from workbench.stats.proportions import Counts
from workbench.views import figures, verdicts


def soup_of(*evaluations):
    return BeautifulSoup(verdicts.verdicts(evaluations)._repr_html_(), "html.parser")


def test_the_verdict_comes_before_the_claim_the_sentence_and_the_numbers():
    found = evaluation()
    words = soup_of(found).get_text(" ", strip=True)
    order = ["supported", "New customers who", found.sentence, "Control variant = blank 60.0%"]
    places = [words.index(each) for each in order]
    assert places == sorted(places)
    assert "Effect in percentage points +20.0 [+" in words
    assert "Interval 90%, exact" in words
    assert "Effect worth having +5 percentage points" in words


@pytest.mark.parametrize(
    ("alternative", "minimum_effect", "words"),
    [
        ("less", 0.05, "Effect worth having −5 percentage points"),
        ("two-sided", 0.05, "Effect worth having ±5 percentage points"),
        ("two-sided", 0.0, "Effect worth having any"),
    ],
)
def test_the_effect_worth_having_has_a_direction(alternative, minimum_effect, words):
    changes = {"alternative": alternative, "minimum_effect": minimum_effect}
    verdict = "harmful" if alternative == "less" else "supported"
    found = evaluate(hypothesis(**changes), control=Counts(48, 80), treatment=Counts(56, 70))
    assert found.verdict == verdict
    assert words in soup_of(found).get_text(" ", strip=True)


def test_every_verdict_has_a_card_of_its_kind():
    for verdict in ("supported", "refuted", "harmful", "inconclusive", "invalid"):
        assert soup_of(evaluation(verdict)).select_one(f"article.wb-{verdict} .wb-{verdict}")


def test_what_the_sentence_does_not_say_of_the_checks_is_listed():
    checks = (Check("a", "ok", "Fine."), Check("b", "warn", f"3 saw {SCRIPT}."))
    told = soup_of(evaluation(checks=checks))
    assert told.get_text().count("3 saw") == 1
    items = soup_of(evaluation("invalid", checks=checks)).select("li")
    assert [each.get_text(" ", strip=True) for each in items] == [f"! warn 3 saw {SCRIPT}."]


def test_names_from_data_stay_text():
    treatment = {"variant": SCRIPT}
    found = evaluation(name=SCRIPT, statement=DOLLARS, metric=SCRIPT, treatment=treatment)
    soup = soup_of(found)
    assert not soup.find_all("script")
    assert DOLLARS in soup.get_text()
    assert soup.get_text().count(SCRIPT) == 5


def test_a_broken_comparison_gives_counts_but_no_effect():
    words = soup_of(evaluation("invalid")).get_text(" ", strip=True)
    assert "The cohorts are not as planned." in words
    assert "80.0% (56/70)" in words
    assert "+20.0" not in words
    assert "p-value" not in words


def test_plain_text_is_one_sentence_each():
    shown = verdicts.verdicts([evaluation(), evaluation("refuted")])
    assert repr(shown).splitlines()[1].startswith("preview-helps: refuted. 50.0% (35/70)")


def test_no_hypothesis_is_said():
    assert repr(verdicts.verdicts([])) == verdicts.NO_HYPOTHESIS
    assert verdicts.NO_HYPOTHESIS in verdicts.verdicts([])._repr_html_()


def test_the_cover_has_the_only_first_heading():
    cover = verdicts.Cover(SCRIPT, ("Iteration 2026.1",), "Simulated.")
    soup = BeautifulSoup(cover._repr_html_(), "html.parser")
    assert soup.h1.get_text() == SCRIPT
    assert not soup.find_all("script")
    assert repr(cover) == f"{SCRIPT}\nIteration 2026.1\nSimulated."


def test_the_style_asks_for_nothing():
    assert "url(" not in verdicts.stylesheet()
    assert "@import" not in verdicts.stylesheet()


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
        "label": "supported",
        "pvalue": 0.003,
        "level": 0.00547,
        "discovery": "yes",
        "since": "",
        "counted_when_decided": "-",
    }
    return {**given, **changes}


def test_the_story_of_versions():
    undefined = dict.fromkeys(("estimate", "low", "high", "pvalue", "level"), NAN)
    rows = [
        told(),
        told(
            version=2,
            verdict="not recorded",
            label="not recorded",
            looks=0,
            discovery="-",
            **undefined,
        ),
        told(version=3, label="supported, but paid is at risk", discovery="no"),
    ]
    shown = lines(verdicts.history(pd.DataFrame(rows)))
    assert shown[2:5] == [
        "preview-helps 1 2026.1 first version 2 +16.6 [+5.0, +26.4] supported 0.00300 0.00547",
        "preview-helps 2 2026.1 first version 0 n/a not recorded n/a n/a",
        (
            "preview-helps 3 2026.1 first version 2 +16.6 [+5.0, +26.4] supported, but paid is at "
            "risk 0.00300 0.00547"
        ),
    ]
    assert "at most 5% of the discoveries are false" in verdicts.history(pd.DataFrame(rows)).note


def test_the_story_names_treatments_where_there_are_several():
    rows = [told(), told(arm=f"variant = {SCRIPT}")]
    table = verdicts.history(pd.DataFrame(rows))
    assert "preview-helps 1: variant = preview" in lines(table)[2]
    assert SCRIPT not in table._repr_html_()


def test_a_story_of_nothing():
    assert "No hypothesis of the study is tested" in repr(verdicts.history(pd.DataFrame()))


def guarded(pair, **more):
    claim = hypothesis(guardrails=[{"metric": "paid", "margin": 0.05}])
    return evaluate(
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
    shown = lines(verdicts.guardrails([guarded(pair)]))[2]
    assert shown.startswith(f"preview-helps paid {state}")
    assert effect in shown
    assert "−5" in shown


def test_a_broken_comparison_has_no_guardrail_and_no_opinion():
    from workbench.experiments.verdict import Check

    broken = Check("sample ratio", "invalid", "The cohorts do not fit.")
    found = guarded((Counts(20, 80), Counts(30, 70)), checks=[broken])
    assert lines(verdicts.guardrails([found]))[2] == (
        "preview-helps paid no verdict 25.0% (20/80) 42.9% (30/70) n/a −5 n/a"
    )
    assert lines(verdicts.beliefs([found]))[2] == "preview-helps n/a n/a n/a"


def test_no_guardrails():
    assert "No hypothesis here names a guardrail." in repr(verdicts.guardrails([]))


def test_a_second_opinion_states_its_prior():
    table = verdicts.beliefs([results.evaluation()])
    shown = lines(table)[2].split()
    assert shown[1] == "99.6%"
    assert float(shown[2]) < 0.1 < float(shown[3])
    assert "Beta(1, 1)" in table.note
    assert "decides nothing" in table.note


def test_a_second_opinion_on_a_fall_and_on_what_is_sure():
    down = evaluate(
        hypothesis(alternative="less"), control=Counts(90, 100), treatment=Counts(10, 100)
    )
    assert "more than 99.9%" in repr(verdicts.beliefs([down]))
    up = evaluate(hypothesis(), control=Counts(90, 100), treatment=Counts(10, 100))
    assert "less than 0.1%" in repr(verdicts.beliefs([up]))
    nobody = evaluate(hypothesis(), control=Counts(0, 0), treatment=Counts(0, 0))
    assert "nan" not in repr(verdicts.beliefs([nobody]))


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
    return Plan(claim, 0.292, "35/120 of its control so far", 0.1, 120, 30.0, 0.4, 1, table, curve)


def test_a_plan_side_by_side(plan):
    shown = lines(verdicts.plan(plan))
    assert shown[0] == "Plan of preview-helps"
    assert shown[2:5] == [
        "fixed 278 278 9.3 9.3 +15.7 47.5%",
        "sequential, 4 looks 286 229 9.5 7.6 +15.9 46.4%",
        "anytime n/a n/a n/a n/a n/a n/a",
    ]
    assert "found with 120 (points)" in repr(verdicts.plan(plan))
    assert plan.sentence in verdicts.plan(plan).note


def test_a_plan_without_a_pace(plan):
    slow = replace(plan, per_week=math.nan)
    assert slow.sentence.endswith("; the rate of entry is not known.")


def test_the_power_figure_says_what_it_shows(plan):
    figure = figures.power_figure(plan)
    assert "Power, 120 customers per cohort, by the true effect." in figure.alt
    assert "fixed: 47.5% for +10 points." in figure.alt
    assert "anytime: n/a for +10 points." in figure.alt
    assert "worth having: +10" in figure.svg()
