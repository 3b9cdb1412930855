"""Figures of pairs and maps: their words, and that names from data stay text."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from support.indicator_studies import study_of
from support.results import DOLLARS, SCRIPT

from workbench import charts, display
from workbench.datasets.indicators import simulate_series
from workbench.errors import StudyError
from workbench.indicators.pairs import Setting
from workbench.schema.indicators import IndicatorDefinition
from workbench.study import Study
from workbench.views import indicator_figures

SVG = "{http://www.w3.org/2000/svg}"


def words(chart):
    root = ET.fromstring(chart.svg())  # noqa: S314 - drawn by ourselves
    return [each.text for each in root.iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    made = simulate_series(periods=48, lag=3, strength=0.9, seed=4)
    series = {"nps": made.leading, "tickets": -made.lagging}
    study = study_of(tmp_path_factory.mktemp("figures"), series, lagging=["tickets"])
    return study.pairs(permutations=99)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    made = simulate_series(periods=40, lag=2, strength=0.9, seed=4)
    folder = tmp_path_factory.mktemp("hostile")
    study = study_of(folder, {"one": made.leading, "two": made.lagging}, lagging=["two"])
    for name in ("study.yaml", "series.csv"):
        text = (folder / name).read_text(encoding="utf-8")
        text = text.replace("one", f"'{SCRIPT}'" if name == "study.yaml" else SCRIPT)
        text = text.replace("two", f"'{DOLLARS}'" if name == "study.yaml" else DOLLARS)
        (folder / name).write_text(text, encoding="utf-8")
    return Study.load(study.folder / "study.yaml").pairs(permutations=99)


def test_the_leading_series_is_drawn_later_by_the_lag(pairs):
    seen = pairs.view(Setting("nps", "tickets", 3, "differences"))
    chart = indicator_figures.series_figure(seen)
    assert seen.upside_down
    assert "nps, upside down, drawn 3 periods later" in words(chart)
    assert "in standard deviations" in words(chart)
    assert chart.alt.startswith(
        "Differences of nps, upside down, drawn 3 periods later, over tickets"
    )
    assert seen.sentence in chart.alt


def test_the_axis_stays_while_the_lag_changes(pairs):
    ends = []
    for lag in (0, 5):
        seen = pairs.view(Setting("nps", "tickets", lag))
        figure = indicator_figures.series_figure(seen, farthest=12).figure
        ends.append(figure.axes[0].get_xlim())
    assert ends[0] == ends[1]


def test_the_scatter_says_how_many_periods_it_shows(pairs):
    seen = pairs.view(Setting("nps", "tickets", 3, "levels"))
    shown = words(indicator_figures.scatter_figure(seen))
    assert {"At a lag of 3 periods", "tickets", "nps, 3 periods before"} <= {*shown}
    assert any(each.endswith(" on 45 periods") for each in shown)


def test_the_curve_marks_the_lag_that_is_looked_at(pairs):
    seen = pairs.view(Setting("nps", "tickets", 3))
    chart = indicator_figures.curve_figure(seen)
    assert "lag, periods (nps first)" in words(chart)
    assert display.MINUS + f"{abs(seen.correlation):.2f}" in words(chart)
    assert "best at lag 3" in chart.alt


def test_all_views_are_drawn_under_one_another(pairs):
    (association,) = pairs.associations()
    chart = indicator_figures.views_figure(association)
    assert {"raw levels", "differences", "prewhitened values"} <= {*words(chart)}
    figures = indicator_figures.strongest_figures([pairs.view(pairs.best("nps", "tickets"))])
    assert len(figures) == 2
    assert repr(indicator_figures.strongest_figures([])) == "No pair was found."


def test_names_from_data_stay_text(hostile):
    seen = hostile.view(Setting(SCRIPT, DOLLARS, 2))
    (association,) = hostile.associations()
    definitions = hostile.indicators().definitions
    places = indicator_figures.places_of(hostile.source.spec, definitions)
    for chart in (
        indicator_figures.pair_figure(seen),
        indicator_figures.curve_figure(seen),
        indicator_figures.views_figure(association),
        indicator_figures.journey_figure(places, definitions, [association]),
        indicator_figures.heat_figure([association]),
    ):
        assert "<script" not in chart.svg()


def test_the_heat_map_says_what_each_field_says(pairs):
    shown = words(indicator_figures.heat_figure(pairs.associations()))
    assert {"nps", "tickets", "3 periods"} <= {*shown}


def test_names_of_arrows_do_not_meet(pairs):
    (pair,) = pairs.associations()
    others = [
        dataclasses.replace(pair, leading=leading, lagging=lagging)
        for leading in ("a", "b")
        for lagging in ("c", "d")
    ]
    kinds = {"a": "leading", "b": "leading", "c": "lagging", "d": "lagging"}
    definitions = {name: IndicatorDefinition(kind=kind) for name, kind in kinds.items()}
    places = [indicator_figures.Place("step", "", tuple(kinds))]
    figure = indicator_figures.journey_figure(places, definitions, others).figure
    heights = sorted(
        each.get_position()[1]
        for each in figure.axes[0].texts
        if each.get_text().startswith("3 periods")
    )
    assert len(heights) == 4
    assert min(np.diff(heights)) >= 1.0


def test_a_pair_that_is_too_short_is_a_field_of_its_own(tmp_path):
    made = simulate_series(periods=12, seed=1)
    study = study_of(tmp_path, {"nps": made.leading, "sales": made.lagging}, lagging=["sales"])
    pairs = study.pairs(permutations=99)
    chart = indicator_figures.heat_figure(pairs.associations())
    assert "too short" in words(chart)
    for transform in ("levels", "prewhitened"):
        seen = pairs.view(Setting("nps", "sales", 1, transform))
        assert indicator_figures.pair_figure(seen).svg()
        assert indicator_figures.curve_figure(seen).svg()


def test_indicators_lie_where_the_study_file_says(bundled):
    study = Study.load(bundled)
    definitions = {
        "nps": IndicatorDefinition(kind="leading", step="imported"),
        "visits": IndicatorDefinition(kind="leading"),
        "adoption_rate": IndicatorDefinition(kind="leading", from_flow="adoption"),
        "churn": IndicatorDefinition(kind="lagging"),
    }
    places = indicator_figures.places_of(study.spec, definitions)
    lies = {name: each.name for each in places for name in each.indicators}
    assert lies == {
        "nps": "imported",
        "visits": "whole journey",
        "adoption_rate": "adoption",
        "churn": "business outcome",
    }
    assert [each.name for each in places] == list(indicator_figures.journey_names(study.spec))
    moved = indicator_figures.places_of(study.spec, definitions, {"churn": "mapped"})
    assert next(each for each in moved if each.name == "mapped").indicators == ("churn",)
    chart = indicator_figures.journey_figure(places, definitions)
    assert "step 3, need met" in words(chart)
    assert "No pair was found to move together." in chart.alt


def test_places_and_indicators_that_there_are_not_are_refused(bundled):
    spec, definitions = Study.load(bundled).spec, {"nps": IndicatorDefinition(kind="leading")}
    with pytest.raises(StudyError, match="unknown indicator 'npz'; did you mean 'nps'"):
        indicator_figures.places_of(spec, definitions, {"npz": "mapped"})
    with pytest.raises(StudyError, match="unknown place 'maped'; did you mean 'mapped'"):
        indicator_figures.places_of(spec, definitions, {"nps": "maped"})


@pytest.mark.parametrize("size", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_dark_words_stand_out_from_every_colour_of_the_heat_map(size):
    """WCAG 2.1, 1.4.3: at least 4.5 to 1."""

    def light(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [
            each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ratio = (light(indicator_figures._colour(size)) + 0.05) / (light(charts.INK) + 0.05)
    assert ratio >= 4.5
