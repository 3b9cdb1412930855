from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from workbench import charts

NAN = float("nan")


@charts.styled
def drawing(words):
    figure, axes = charts.canvas(3)
    charts.write(axes, 0, 1, words)
    return charts.Chart(figure, "Words.")


@charts.styled
def chart(names=("one", "two"), title="Title", beside=""):
    figure = charts.new_figure(3, title=title, beside=beside)
    axes = figure.subplots()
    lines = [axes.plot([0, place])[0] for place, _ in enumerate(names)]
    axes.set_xticks(range(len(names)), names)
    charts.add_key(axes, lines, names)
    return charts.Chart(figure, "Lines.")


def boxes(figure):
    """Return the boxes of all texts of a figure that was drawn, in pixels."""
    from matplotlib.text import Text

    texts = [each for each in figure.findobj(Text) if each.get_text() and each.get_visible()]
    return {each.get_text(): each.get_window_extent() for each in texts}


def test_words_are_cut_before_they_leave_the_figure():
    drawn = drawing("a very long name that goes on and on and on").svg()
    assert "a very long name that goes on and…" in drawn


@pytest.mark.parametrize("words", ["$x_1$", "<b>&amp;</b>", r"\frac{1}{2}", "a $ b", "_name"])
def test_words_are_written_as_they_are(words):
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f">{escaped}<" in drawing(words).svg()
    drawn = chart((words, "two"), title=words).svg()
    assert drawn.count(f">{escaped}<") == 3  # title, tick and key


def test_the_style_of_figures_is_nobody_elses():
    before = dict(mpl.rcParams)
    chart().svg()
    assert dict(mpl.rcParams) == before


def test_nothing_is_cut_off_and_title_and_key_do_not_meet():
    names = [f"a long name, number {number}" for number in range(4)]
    drawn = chart(names, "A title", "on course")
    drawn.svg()
    found = boxes(drawn.figure)
    width, height = drawn.figure.bbox.width, drawn.figure.bbox.height
    shown = [found[name] for name in ("A title", "on course", "a long name, number…")]
    assert all(each.x0 >= 0 and each.x1 <= width and each.y1 <= height for each in shown)
    assert shown[0].y0 >= shown[2].y1


@pytest.mark.parametrize(
    ("largest", "end"), [(0.003, 0.003), (0.05, 0.06), (0.21, 0.3), (0.97, 1.0), (1.0, 1.0)]
)
def test_a_scale_of_shares_ends_at_a_round_number(largest, end):
    figure = charts.new_figure(2)
    axes = figure.subplots()
    charts.scale_shares(axes, "y", largest)
    assert axes.get_ylim() == pytest.approx((0, end))
    assert axes.yaxis.get_major_formatter()(0.07) == "7%"


def test_every_cohort_has_a_look_of_its_own():
    assert len(set(charts.looks(6))) == 6
    assert len(charts.looks(40)) == 40


def test_an_undefined_number_is_not_drawn_and_does_no_harm():
    known = charts.Estimate("known", "50%", 0.5, 0.4, 0.7)
    unknown = charts.Estimate("unknown", "n/a", NAN, NAN, NAN)
    figure, axes = charts.draw_estimates([known, unknown])
    assert charts.Chart(figure, "One.").svg()
    ends = [each.get_segments() for each in axes.collections]
    assert np.array(ends[0]) == pytest.approx(np.array([[[0.4, 0.65], [0.7, 0.65]]]))


def test_an_interval_that_ends_at_its_estimate_is_drawn():
    figure, _ = charts.draw_estimates([charts.Estimate("none", "0%", 0.0, 1e-18, 0.1)])
    assert charts.Chart(figure, "None.").svg()


def test_periods_are_named_as_far_as_there_is_room():
    axes = charts.new_figure(2).subplots()
    charts.name_periods(axes, [f"W{number}" for number in range(30)], 4)
    assert [each.get_text() for each in axes.get_xticklabels()] == ["W3", "W11", "W19", "W27"]


def test_charts_are_counted_and_gone_through():
    figure = charts.new_figure(1)
    together = charts.Charts((charts.Chart(figure, "One."), charts.Chart(figure, "Two.")))
    assert len(together) == 2
    assert [each.alt for each in together] == ["One.", "Two."]
    assert repr(together) == "One.\n\nTwo."


def test_series_differ_by_more_than_colour():
    colours, markers = zip(*charts.SERIES, strict=True)
    assert len(set(colours)) == len(set(markers)) == len(charts.SERIES)
