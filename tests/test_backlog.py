"""The backlog: scores, ranks and how stable they are, what a test costs, how well teams guess."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from workbench.backlog import (
    FEWEST_TESTS,
    RULE,
    Candidate,
    Cost,
    Tried,
    cost,
    guessing,
    rank,
    rank_correlation,
)
from workbench.planning import customers_needed
from workbench.scores import Idea, Range

PLANNED = Cost(customers=200, weeks=4, baseline=0.4, effect=0.1)


def score(low, high=None):
    return Range(low=low, high=low if high is None else high)


def candidate(name="a", impact=5, ease=5, confidence=None, **changes):
    scores = [
        None if each is None else score(*each) if isinstance(each, tuple) else score(each)
        for each in (impact, ease, confidence)
    ]
    given = {"evidence": ("F-1",), "cost": PLANNED, **changes}
    return Candidate(name, 1, "It helps.", "idea", *scores, **given)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (11, "is 11; a score is 1 to 10, or a range such as [4, 8]"),
        (0, "is 0; a score is 1 to 10"),
        ([4, 11], "is 11; a score is 1 to 10"),
        ([8, 4], "is [8, 4]; write the lower end first"),
        ([1, 2, 3], "is [1, 2, 3]; a score is 1 to 10"),
        ("high", "is 'high'; a score is 1 to 10"),
        (True, "is True; a score is 1 to 10"),
        (math.nan, "is nan; a score is 1 to 10"),
    ],
)
def test_a_bad_score_gets_one_sentence(value, said):
    with pytest.raises(ValidationError) as error:
        Idea.model_validate({"name": "a", "statement": "b", "impact": value})
    (found,) = error.value.errors()
    assert found["loc"] == ("impact",)
    assert said in found["msg"]


def test_scores_are_numbers_or_ranges():
    idea = Idea.model_validate({"name": "a", "statement": "b", "impact": [4, 8], "ease": 7.5})
    assert (idea.impact.low, idea.impact.high, idea.impact.middle) == (4, 8, 6)
    assert (str(idea.impact), str(idea.ease), idea.confidence) == ("4 to 8", "7.5", None)
    assert idea == Idea.model_validate(idea.model_dump())


def test_an_idea_needs_no_iteration_and_has_one_status():
    assert Idea(name="a", statement="b").status == "idea"
    with pytest.raises(ValidationError, match="status"):
        Idea.model_validate({"name": "a", "statement": "b", "status": "tested"})


def test_candidates_are_ranked_by_impact_times_ease():
    found = rank([candidate("a", 3, 4), candidate("b", 9, 5), candidate("c", 6, 2)])
    assert [(each.candidate.name, each.rank, each.score) for each in found] == [
        ("b", 1, 45),
        ("a", 2, 12),
        ("c", 2, 12),
    ]
    assert all(each.low == each.high == each.rank for each in found)


def test_confidence_counts_where_somebody_gives_it():
    sure, unsure = candidate("sure", 5, 5, 9), candidate("unsure", 8, 5, 2)
    assert [each.candidate.name for each in rank([unsure, sure])] == ["sure", "unsure"]
    silent = candidate("silent", 6, 5)
    found = {each.candidate.name: each for each in rank([sure, unsure, silent])}
    assert found["silent"].score == pytest.approx(6 * 5 * 0.55)
    assert (found["silent"].low, found["silent"].high) == (1, 3)


def test_without_impact_or_ease_there_is_no_rank():
    *_, last = rank([candidate("a", None, 9), candidate("b", 1, 1)])
    assert last.candidate.name == "a"
    assert math.isnan(last.rank)
    assert last.row()["rank"] is None
    assert rank([]) == ()


def test_ranges_shake_the_ranks_as_often_as_they_should():
    """Two candidates, 5 against anything from 4 to 8: the wide one wins in three of four draws."""
    narrow, wide = rank([candidate("narrow", 5, 1), candidate("wide", (4, 8), 1)])[::-1]
    assert (narrow.candidate.name, wide.candidate.name) == ("narrow", "wide")
    assert wide.first == pytest.approx(0.75, abs=0.02)
    assert narrow.first == pytest.approx(0.25, abs=0.02)
    assert (wide.low, wide.high, narrow.low, narrow.high) == (1, 2, 1, 2)
    clear = rank([candidate("top", (8, 10), 5), candidate("low", (1, 3), 5)])
    assert [(each.low, each.high, each.first) for each in clear] == [(1, 1, 1), (2, 2, 0)]


def test_ranks_are_drawn_the_same_way_each_time():
    many = [candidate(str(each), (1, 1 + each % 8), (2, 9)) for each in range(12)]
    assert rank(many) == rank(many)


def test_a_test_costs_customers_and_weeks():
    found = cost(
        baseline=0.4,
        minimum_effect=0.2,
        alternative="greater",
        alpha=0.05,
        power=0.8,
        weekly=30,
    )
    each = customers_needed(
        control_rate=0.4, effect=0.2, alternative="greater", alpha=0.05, power=0.8
    )
    assert (found.customers, found.weeks) == (2 * each, 2 * each / 30)
    down = cost(
        baseline=0.4, minimum_effect=0.2, alternative="less", alpha=0.05, power=0.8, weekly=30
    )
    assert down.effect == -0.2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minimum_effect": 0.0}, "it names no minimum effect"),
        ({"baseline": math.nan}, "nobody's window is over for its metric"),
        ({"baseline": 0.95}, "from a rate of 95.0% there is no room for +20 points"),
        ({"weekly": math.nan}, "how many customers enter a week is not known"),
    ],
)
def test_what_a_test_costs_may_not_be_known(changes, said):
    given = {"baseline": 0.4, "minimum_effect": 0.2, "weekly": 30.0, **changes}
    found = cost(alternative="greater", alpha=0.05, power=0.8, **given)
    assert found.reason == said
    assert math.isnan(found.weeks)


@pytest.mark.parametrize(
    ("changes", "way", "why"),
    [
        ({"evidence": ()}, "interview", "no customer's remark is cited"),
        ({"confidence": 2}, "interview", "confidence is 2"),
        (
            {"cost": Cost(reason="it names no metric")},
            "prototype",
            "cannot be planned: it names no",
        ),
        ({"cost": Cost(400, 9.4, 0.4, 0.1)}, "prototype", "an A/B test would take 9 weeks"),
        ({"ease": (1, 4)}, "prototype", "ease is 1 to 4"),
        ({}, "A/B test", "it takes 4.0 weeks"),
        ({"cost": Cost(400, math.nan, 0.4, 0.1, "unknown")}, "A/B test", "unknown"),
    ],
)
def test_the_cheapest_way_to_learn(changes, way, why):
    (found,) = rank([candidate(**changes)])
    assert found.learn_by == way
    assert why in found.why
    assert way in RULE


def some_tests(guessed, realised):
    return [
        Tried(f"h{place}", 1, score(one), other, other - 0.1, other + 0.1, "supported")
        for place, (one, other) in enumerate(zip(guessed, realised, strict=True))
    ]


def test_published_rank_correlation():
    """Bonett's statpsych, ci.spear: its documented example."""
    one = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    other = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    found = rank_correlation(one, other)
    assert found == pytest.approx((0.8699639, 0.5840951, 0.9638297), abs=1e-7)


def test_a_perfect_order_of_five_is_not_yet_proof():
    correlation, low, high = rank_correlation([1, 2, 3, 4, 5], [2, 3, 5, 7, 11])
    assert (correlation, high) == pytest.approx((1, 1))
    assert low < 0
    assert rank_correlation(range(10), range(10))[1] > 0.5


def test_intervals_of_rank_correlations_cover():
    rng, covered, size = np.random.default_rng(4), 0, 10
    for _ in range(400):
        one, other = rng.normal(size=(2, size))
        _, low, high = rank_correlation(one, other)
        covered += low <= 0 <= high
    assert covered / 400 >= 0.93


def test_how_well_a_team_guesses():
    good = guessing(some_tests([2, 4, 5, 7, 8, 9, 10], [0.01, 0.02, 0.03, 0.05, 0.09, 0.1, 0.12]))
    assert good.low > 0
    assert "larger guesses went with larger effects: rank correlation +1.00" in good.sentence
    bad = guessing(some_tests([2, 4, 5, 7, 8, 9, 10], [0.12, 0.1, 0.09, 0.05, 0.03, 0.02, 0.01]))
    assert "larger guesses went with smaller effects" in bad.sentence
    open_ = guessing(some_tests([2, 4, 5, 7, 8], [0.05, 0.01, 0.03, 0.02, 0.04]))
    assert "is open" in open_.sentence


def test_few_tests_tell_nothing():
    found = guessing(some_tests([2, 9], [0.0, 0.2]))
    assert math.isnan(found.correlation)
    said = "Too few tests to tell how well impact is guessed: 2, and 5 needed."
    assert found.sentence == said
    assert FEWEST_TESTS == 5
    assert "is the same" in guessing(some_tests([5] * 6, range(6))).sentence
