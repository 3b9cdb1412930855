from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from support.results import SCRIPT

from workbench import display
from workbench.display import Badge, Column, Sentences, Table
from workbench.terminal import Format

NAN = float("nan")
COLUMNS = (Column("step"), Column("entered", numeric=True))


def test_a_rate_never_stands_alone():
    assert display.rate(0.21888, 3785, 17293) == "21.9% (3,785/17,293)"


def test_undefined_is_never_zero():
    assert display.rate(NAN, 0, 0) == "n/a (0/0)"
    assert display.effect(NAN, NAN, NAN) == "n/a"
    assert display.interval(NAN, NAN) == "n/a"
    assert display.pvalue(NAN) == "n/a"
    assert display.hours(NAN) == "n/a"
    assert display.points(NAN) == "n/a"
    assert display.count(NAN) == "n/a"


def test_an_effect_without_interval_is_still_shown():
    assert display.effect(0.2, NAN, NAN) == "+20.0"


@pytest.mark.parametrize(
    ("probability", "written"),
    [
        (1.0, "1.00"),
        (0.5014, "0.501"),
        (0.0412, "0.0412"),
        (0.00155425, "0.00155"),
        (0.001, "0.00100"),
        (0.0009999, "< 0.001"),
        (0.0, "< 0.001"),
    ],
)
def test_pvalue_has_three_significant_digits(probability, written):
    assert display.pvalue(probability) == written


@pytest.mark.parametrize(
    ("effect", "written"), [(0.0004, "0.0"), (-0.0004, "0.0"), (0.0005001, "+0.1"), (-0.2, "−20.0")]
)
def test_points_have_a_sign_unless_they_round_to_zero(effect, written):
    assert display.points(effect) == written


def test_text_is_aligned_and_has_no_trailing_blanks():
    table = Table("Sizes", COLUMNS, (("mapped", "56"), ("imported to the end", "1,056")))
    lines = repr(table).splitlines()
    assert lines[0] == "Sizes"
    assert len(set(map(len, lines[1:]))) == 1
    assert all(line == line.rstrip() for line in lines)


def test_a_long_cell_is_cut_in_text_and_whole_in_html():
    table = Table("Sizes", COLUMNS, (("x" * 200, "1"),))
    assert max(map(len, repr(table).splitlines())) < 80
    assert "x" * 200 in table._repr_html_()


def test_cells_headings_captions_and_notes_are_escaped():
    table = Table(SCRIPT, (Column(SCRIPT), Column(SCRIPT)), ((SCRIPT, SCRIPT),), SCRIPT)
    html = table._repr_html_()
    assert "<script" not in html
    assert BeautifulSoup(html, "html.parser").get_text().count(SCRIPT) == 6


def test_headings_have_a_scope():
    soup = BeautifulSoup(Table("Sizes", COLUMNS, (("a", "1"),))._repr_html_(), "html.parser")
    assert [each["scope"] for each in soup.find_all("th")] == ["col", "col", "row"]
    assert soup.caption.get_text() == "Sizes"


def test_an_empty_table_is_a_sentence():
    table = Table("Sizes", COLUMNS, (), empty="Nobody <came>.")
    assert repr(table) == "Sizes\nNobody <came>."
    assert table._repr_html_() == '<p class="wb-empty">Nobody &lt;came&gt;.</p>'


def test_a_badge_says_its_word_beside_the_colour():
    soup = BeautifulSoup(Badge("refuted").__html__(), "html.parser")
    assert "refuted" in soup.get_text()
    assert soup.select_one("[aria-hidden=true]").get_text() == "✕"


def test_a_badge_of_any_word_is_escaped():
    assert "<script" not in Badge(SCRIPT).__html__()


def test_sentences_are_paragraphs():
    sentences = Sentences(("One.", "Two & three."))
    assert repr(sentences) == "One.\nTwo & three."
    assert sentences._repr_html_() == "<p>One.</p><p>Two &amp; three.</p>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("inf"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (Format.JSON, "json"),
        (pd.Timestamp("2026-01-05", tz="UTC"), "2026-01-05T00:00:00+00:00"),
        (datetime(2026, 1, 5, tzinfo=UTC), "2026-01-05T00:00:00+00:00"),
        (pd.Timedelta(days=1), 86400.0),
        (("a", None), ["a", None]),
        ({1: {"b": NAN}}, {"1": {"b": None}}),
    ],
)
def test_every_value_becomes_plain(value, expected):
    found = display.plain(value)
    assert found == expected
    json.dumps(found, allow_nan=False)
