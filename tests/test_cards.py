from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from results import DOLLARS, SCRIPT, evaluation, hypothesis

from workbench import cards
from workbench.judge import judge
from workbench.proportions import Counts
from workbench.verdicts import Check


def soup_of(*evaluations):
    return BeautifulSoup(cards.verdicts(evaluations)._repr_html_(), "html.parser")


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
    verdict = "refuted" if alternative == "less" else "supported"
    found = judge(hypothesis(**changes), control=Counts(48, 80), treatment=Counts(56, 70))
    assert found.verdict == verdict
    assert words in soup_of(found).get_text(" ", strip=True)


def test_every_verdict_has_a_card_of_its_kind():
    for verdict in ("supported", "refuted", "inconclusive", "invalid"):
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
    shown = cards.verdicts([evaluation(), evaluation("refuted")])
    assert repr(shown).splitlines()[1].startswith("preview-helps: refuted. 40.0% (28/70)")


def test_no_hypothesis_is_said():
    assert repr(cards.verdicts([])) == cards.NO_HYPOTHESIS
    assert cards.NO_HYPOTHESIS in cards.verdicts([])._repr_html_()


def test_the_cover_has_the_only_first_heading():
    cover = cards.Cover(SCRIPT, ("Iteration 2026.1",), "Simulated.")
    soup = BeautifulSoup(cover._repr_html_(), "html.parser")
    assert soup.h1.get_text() == SCRIPT
    assert not soup.find_all("script")
    assert repr(cover) == f"{SCRIPT}\nIteration 2026.1\nSimulated."


def test_the_style_asks_for_nothing():
    assert "url(" not in cards.stylesheet()
    assert "@import" not in cards.stylesheet()
