"""Tables and figures of a programme review say the same numbers, and say so where there are none."""

from __future__ import annotations

import pytest

from workbench import Study
from workbench.innovation.programme import Quarter
from workbench.views import programme


@pytest.fixture(scope="module")
def found(bundled):
    return Study.load(bundled).programme()


def test_verdicts_that_nobody_has_take_no_column(found):
    table = programme.quarters(found.quarters)
    heads = [each.heading for each in table.columns]
    assert heads[:5] == ["quarter", "iterations", "claims", "supported", "discoveries"]
    assert "harmful" not in heads
    (figure,) = programme.quarters_figure(found.quarters).charts
    assert "2026-Q1: 2 supported, 1 refuted, 1 inconclusive." in figure.alt
    harmful = [Quarter("2026-Q1", 1, 1, 0, 0, 0, 1, 0, 0, 0)]
    assert "harmful" in [each.heading for each in programme.quarters(harmful).columns]


def test_each_table_has_the_sentences_of_its_figure(found):
    assert [row[0] for row in programme.impact(found.impacts).rows] == ["imported", "adoption"]
    (figure,) = programme.impact_figure(found.impacts).charts
    assert found.impacts[0].sentence in figure.alt
    assert len(programme.novelty(found.novelties).rows) == 4
    (figure,) = programme.novelty_figure(found.novelties).charts
    assert figure.alt.count("first half: ") == 4
    assert [row[-1] for row in programme.steps(found.steps).rows] == ["improved"] * 5
    assert len(programme.movable(found.movable).rows) == 3
    assert "4 of the 5 needed" in programme.guesses(found.guessing).note


def test_what_is_not_there_is_said():
    assert programme.quarters_figure([]).empty == "No claim was tested yet."
    assert programme.impact_figure([]).empty == programme.impact([]).empty == "Nothing shipped yet."
    assert "only an event log" in programme.novelty([]).empty
    assert not programme.levels([]).sentences
