from __future__ import annotations

from bs4 import BeautifulSoup
from results import DOLLARS, SCRIPT, FakeCheck, FakeHypothesis, evaluation

from workbench import cards


def soup_of(*evaluations):
    return BeautifulSoup(cards.verdicts(evaluations)._repr_html_(), "html.parser")


def test_the_verdict_comes_before_the_claim_the_sentence_and_the_numbers():
    words = soup_of(evaluation()).get_text(" ", strip=True)
    order = ["supported", "New customers who", "Preview lifts", "60.0% (48/80)", "80.0% (56/70)"]
    places = [words.index(each) for each in order]
    assert places == sorted(places)
    assert "+20.0 [+" in words
    assert "90%, score" in words


def test_every_verdict_has_a_card_of_its_kind():
    for verdict in ("supported", "refuted", "inconclusive", "invalid"):
        assert soup_of(evaluation(verdict)).select_one(f"article.wb-{verdict} .wb-{verdict}")


def test_checks_that_are_not_ok_are_shown():
    checks = (FakeCheck("a", "ok", "Fine."), FakeCheck("b", "warn", f"3 saw {SCRIPT}."))
    items = soup_of(evaluation(checks=checks)).select("li")
    assert [each.get_text(" ", strip=True) for each in items] == [f"! warn 3 saw {SCRIPT}."]


def test_names_from_data_stay_text():
    hypothesis = FakeHypothesis(name=SCRIPT, statement=DOLLARS, metric=SCRIPT)
    soup = soup_of(evaluation(hypothesis=hypothesis, sentence=SCRIPT))
    assert not soup.find_all("script")
    assert DOLLARS in soup.get_text()


def test_a_verdict_without_comparison_is_a_sentence():
    soup = soup_of(evaluation("invalid", comparison=None, sentence="The cohorts cannot be told."))
    assert "The cohorts cannot be told." in soup.get_text()
    assert not soup.select("dl")


def test_plain_text_is_one_sentence_each():
    shown = cards.verdicts([evaluation(), evaluation("refuted", sentence="No.")])
    assert repr(shown).splitlines()[1] == "preview-helps: refuted. No."


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
