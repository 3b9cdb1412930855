"""The workshop without a browser: they show what is tested elsewhere."""

from __future__ import annotations

import sys
import time

import pytest
from support.indicator_studies import study_of

from workbench.datasets.indicators import simulate_series
from workbench.errors import StudyError
from workbench.indicators.lag_curves import TRANSFORMS
from workbench.views import widgets

WITHIN = 0.2  # seconds, for a change of a slider


@pytest.fixture(scope="module")
def shop(bundled, tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "findings.csv"
    return widgets.open_workshop(bundled, findings=path)


@pytest.fixture
def explorer(shop):
    return widgets.Explorer(shop.pairs, shop.findings)


def timed(change):
    """Time a change without the tracer that measures coverage."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        start = time.process_time()
        change()
        return time.process_time() - start
    finally:
        sys.settrace(tracer)


def test_it_opens_on_the_levels_of_the_surest_pair(explorer):
    first = explorer.pairs.associations()[0]
    assert (explorer.leading.value, explorer.lagging.value) == (first.leading, first.lagging)
    assert explorer.lag.value == first.best_lag
    assert explorer.view.setting.transform == "levels"
    assert "Levels are shown but never decide." in explorer.words.value


def test_moving_the_lag_changes_figures_and_sentence(explorer):
    explorer.lag.value = 0
    before = [
        each.value for each in (explorer.words, explorer.series, explorer.scatter, explorer.curve)
    ]
    explorer.lag.value = 3
    after = [
        each.value for each in (explorer.words, explorer.series, explorer.scatter, explorer.curve)
    ]
    assert explorer.view.setting.lag == 3
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert "at a lag of 3 weeks" in explorer.words.value
    assert 'alt="' in explorer.series.value


def test_views_and_pairs_and_cohorts_are_switched(explorer):
    for transform in TRANSFORMS:
        explorer.transform.value = transform
        assert explorer.view.curve.transform == transform
    explorer.leading.value, explorer.lagging.value = "nps", "renewal"
    assert explorer.view.setting.leading == "nps"
    explorer.cohort.value = (("company_size", "1-9"),)
    assert explorer.view.setting.cohort_words == "company_size = 1-9"
    assert "treat it as an idea" in explorer.words.value
    assert explorer.pairs.indicators((("company_size", "1-9"),)).customers


def test_the_button_goes_to_the_best_lag(explorer):
    best = explorer.pairs.associations()[0].best_lag
    explorer.lag.value = 0 if best else 1
    explorer.best.click()
    assert explorer.lag.value == best


def test_a_finding_is_kept_with_its_settings(explorer, shop):
    explorer.lag.value, explorer.transform.value = 1, "differences"
    explorer.keep.click()
    row = shop.findings.rows[-1]
    assert (row["lag"], row["transform"], row["study"]) == ("1", "differences", "guided-import")
    assert "Findings" in explorer.kept.value


def test_a_draft_is_shown_and_goes_when_the_setting_changes(explorer, bundled):
    written = bundled.read_bytes()
    explorer.propose.click()
    assert "minimum_effect: 0.05" in explorer.draft.value
    assert bundled.read_bytes() == written
    explorer.lag.value = 4
    assert explorer.draft.value == ""


def test_a_pair_too_short_is_said_and_not_drawn_wrong(explorer):
    short = next(each for each in explorer.pairs.associations() if each.reason)
    explorer.leading.value, explorer.lagging.value = short.leading, short.lagging
    explorer.transform.value = "prewhitened"
    assert "too short" in explorer.words.value


def test_a_slider_redraws_within_200_ms(explorer, shop):
    """The least of several: what else the machine does only adds."""
    explorer.transform.value = "prewhitened"
    lags = [timed(lambda lag=lag: setattr(explorer.lag, "value", lag)) for lag in range(9)]
    assert min(lags) < WITHIN
    slider = shop.health.sliders["nps"]
    weights = [timed(lambda each=each: setattr(slider, "value", each)) for each in (0.1, 0.5, 0.9)]
    assert min(weights) < WITHIN


def test_indicators_are_placed_on_the_journey(shop):
    journey = shop.journey
    before = journey.map.value
    journey.indicator.value = "nps"
    assert journey.place.value == "imported"
    assert journey.map.value == before
    journey.place.value = "mapped"
    assert journey.moved == {"nps": "mapped"}
    assert journey.map.value != before
    assert "nps: step: mapped" in journey.written.value


def test_weights_change_ranks_and_validation(shop):
    board = shop.health
    board.learned.click()
    learned = board.result
    assert learned.weights.kind == "learned"
    board.sliders["nps"].value += 1e-9  # as a browser sends it back
    assert board.result is learned
    board.sliders["nps"].value = -1.0
    assert board.result.weights.kind == "by hand"
    assert board.result.sentence != learned.sentence
    assert [each.customer for each in board.result.customers] != [
        each.customer for each in learned.customers
    ]
    assert "with learned weights" in board.ranks.value
    board.equal.click()
    assert board.result.weights.kind == "equal"


def test_weights_of_nothing_are_said(shop):
    board = shop.health
    for each in board.sliders.values():
        each.value = 0.0
    assert board.result is None
    assert "all weights are 0" in board.words.value
    board.learned.click()


def test_every_widget_is_shown_as_its_box(shop):
    for widget in (shop.explorer, shop.journey, shop.health):
        assert "application/vnd.jupyter.widget-view+json" in widget._repr_mimebundle_()


def test_findings_lie_beside_the_study_unless_said_otherwise(bundled, monkeypatch):
    monkeypatch.setattr(widgets.Pairs, "prepare", lambda self: self)
    assert widgets.open_workshop(bundled).findings.path == bundled.parent / "findings.csv"
    assert widgets.open_workshop(bundled, findings=None).findings.path is None


def test_without_ipywidgets_one_sentence_says_what_to_install(bundled, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(StudyError, match=r"needs ipywidgets.*pip install 'workbench\[lab\]'"):
        widgets.open_workshop(bundled)


def test_a_study_without_customers_has_a_workshop_without_a_health_score(tmp_path):
    made = simulate_series(periods=48, lag=3, strength=0.9, seed=4)
    series = {"nps": made.leading, "sales": made.lagging}
    pairs = study_of(tmp_path, series, lagging=["sales"]).pairs(permutations=99)
    shop = widgets.Workshop(pairs)
    assert "no lagging indicator has values per customer" in shop.health.words.value
    assert shop.health.result is None
    assert [words for words, _ in shop.explorer.cohort.options] == ["all customers"]
    assert shop.journey.place.options == ("whole journey", "business outcome")
    shop.explorer.propose.click()
    assert "no hypothesis can be tested yet" in shop.explorer.draft.value
