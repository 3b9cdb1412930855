from __future__ import annotations

import pytest

from workbench import charts


def test_words_are_cut_before_they_leave_the_figure():
    figure, axes = charts.canvas(3)
    charts.write(axes, 0, 1, "a very long name that goes on and on and on")
    drawn = charts.Chart(figure, "Words.").svg()
    assert "a very long name that goes on and…" in drawn


@pytest.mark.parametrize("words", ["$x_1$", "<b>&amp;</b>", r"\frac{1}{2}", "a $ b"])
def test_words_are_written_as_they_are(words):
    figure, axes = charts.canvas(3)
    charts.write(axes, 0, 1, words)
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f">{escaped}<" in charts.Chart(figure, "Words.").svg()


@pytest.mark.parametrize(
    ("largest", "end"), [(0.003, 0.02), (0.05, 0.08), (0.21, 0.4), (0.97, 1.0), (1.0, 1.0)]
)
def test_an_axis_ends_at_a_round_number(largest, end):
    assert charts.axis_end(largest) == end


def test_every_cohort_has_a_look_of_its_own():
    assert len(set(charts.looks(6))) == 6
    assert len(charts.looks(40)) == 40


def test_an_undefined_number_is_not_drawn_and_does_no_harm():
    figure, axes = charts.canvas(3)
    nan = float("nan")
    charts.whisker(axes, (nan, nan, nan), (0.0, 1.0), 1.0, *charts.SERIES[0])
    assert charts.Chart(figure, "Nothing.").svg()


def test_charts_are_counted_and_gone_through():
    figure, _ = charts.canvas(1)
    together = charts.Charts((charts.Chart(figure, "One."), charts.Chart(figure, "Two.")))
    assert len(together) == 2
    assert [each.alt for each in together] == ["One.", "Two."]
    assert repr(together) == "One.\n\nTwo."


def test_series_differ_by_more_than_colour():
    colours, markers = zip(*charts.SERIES, strict=True)
    assert len(set(colours)) == len(set(markers)) == len(charts.SERIES)
