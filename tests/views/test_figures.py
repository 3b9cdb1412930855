from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from support import results
from support.results import DOLLARS, SCRIPT

from workbench import charts
from workbench.views import figures
from workbench.views.figures import effects_figures, flow_figures, rates_figure

SVG = "{http://www.w3.org/2000/svg}"


def words(chart):
    root = ET.fromstring(chart.svg())  # noqa: S314 - drawn by ourselves
    return [each.text for each in root.iter(f"{SVG}text")]


def every_chart():
    return [
        *figures.flow_figures(results.metrics("blank", SCRIPT, DOLLARS)),
        *figures.rates_figure(results.metrics("blank", SCRIPT, DOLLARS)),
        *figures.effects_figures(results.effects()),
    ]


def test_there_is_one_flow_figure_for_each_cohort():
    figures = flow_figures(results.metrics())
    assert len(figures) == 2
    for chart, cohort in zip(figures, ("variant = blank", "variant = preview"), strict=True):
        assert cohort in words(chart)


def test_the_flow_figure_labels_every_number():
    shown = words(next(iter(figures.flow_figures(results.metrics()))))
    for label in ("previewed", "82 entered", "70 aligned", "8 deviated", "4 pending"):
        assert label in shown


def test_alternative_text_says_what_the_figure_shows():
    flow = next(iter(figures.flow_figures(results.metrics())))
    assert flow.alt.startswith(
        "Customer flow of variant = blank. At previewed: 82 entered, 70 aligned, 8 deviated, "
        "4 pending. At mapped:"
    )
    rates = next(iter(figures.rates_figure(results.metrics())))
    assert "At imported, variant = preview: 60.3% (47/78), interval [50.3%, 70.3%]." in rates.alt
    effects = next(iter(figures.effects_figures(results.effects())))
    assert "company_size = small: +12.0 [−8.0, +32.0]." in effects.alt
    assert effects.alt.startswith("Exploratory")


def test_a_notebook_gets_the_figure_with_its_alternative_text():
    chart = next(iter(figures.flow_figures(results.metrics())))
    data, metadata = chart._repr_mimebundle_()
    assert data["image/svg+xml"].startswith("<svg")
    assert data["text/plain"] == repr(chart) == chart.alt
    assert metadata == {"image/svg+xml": {"alt": chart.alt}}


def test_names_are_neither_markup_nor_mathematics():
    shown = [text for chart in every_chart() for text in words(chart)]
    assert any(SCRIPT in text for text in shown)
    assert any(DOLLARS in text for text in shown)


def test_words_stay_words_in_the_font_of_the_reader():
    for chart in every_chart():
        drawn = chart.svg()
        assert charts.READER_FONT in drawn
        assert "DejaVu" not in drawn


def test_the_same_numbers_give_the_same_figure():
    first, second = ([each.svg() for each in every_chart()] for _ in range(2))
    assert first == second


def test_a_figure_is_small_and_asks_for_nothing():
    for chart in every_chart():
        drawn = chart.svg()
        assert len(drawn) < 60_000
        assert not re.findall(r'href="(?!#)', drawn)


def test_the_parts_of_the_flow_differ_in_more_than_colour():
    assert "hatch" in figures.PARTS["deviated"]
    shades = [figures.PARTS[part]["facecolor"] for part in ("aligned", "pending")]
    assert shades == ["#0072b2", "white"]


def test_the_least_effect_worth_having_is_marked():
    shown = words(next(iter(figures.effects_figures(results.effects()))))
    assert "worth having: +5" in shown
    assert "no effect" in shown


def test_an_effect_in_the_other_direction_is_marked_too():
    frame = results.effects().assign(minimum_effect=-0.05)
    assert "worth having: −5" in words(next(iter(figures.effects_figures(frame))))


def test_a_two_sided_hypothesis_has_two():
    frame = results.effects().assign(alternative="two-sided")
    shown = words(next(iter(figures.effects_figures(frame))))
    assert {"worth having: +5", "worth having: −5"} <= set(shown)


def test_a_cohort_that_nobody_entered_is_drawn():
    for chart in (*figures.flow_figures(results.nobody()), *figures.rates_figure(results.nobody())):
        assert chart.svg()


@pytest.mark.parametrize(
    "figures",
    [
        flow_figures(results.metrics().head(0)),
        rates_figure(results.metrics().head(0)),
        effects_figures(pd.DataFrame()),
    ],
)
def test_nothing_to_draw_is_a_sentence(figures, capsys):
    assert len(figures) == 0
    assert repr(figures).endswith(".")
    figures._ipython_display_()
    assert capsys.readouterr().out.strip() == repr(figures)


def test_figures_need_no_pyplot(root):
    code = (
        "import sys; sys.path.insert(0, 'tests'); from support import results\n"
        "from workbench.views import figures\n"
        "[each.svg() for each in figures.flow_figures(results.metrics())]\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
