"""Indicators: what the study file says of them, series, panels and cohorts."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from pydantic import ValidationError
from support.indicator_studies import indicators_of

from workbench.errors import StudyError
from workbench.indicators.values import Indicators
from workbench.schema.indicators import IndicatorDefinition, IndicatorsSource

NAN = np.nan
NPS = [[8, NAN, 6, 7], [NAN, 4, NAN, NAN], [10, 10, NAN, 10]]
MARGIN = [0.1, NAN, 0.3, 0.4]


@pytest.fixture
def found() -> Indicators:
    return indicators_of({"nps": NPS, "margin": MARGIN}, customers=list("abc"))


def test_a_series_is_the_mean_over_customers(found):
    series = found.series("nps")
    assert series.values.tolist() == [9, 7, 6, 8.5]
    assert series.n.tolist() == [2, 2, 1, 2]
    assert series.asked.tolist() == [2, 3, 2, 2]  # b has one row, a and c were there throughout
    assert (series.periods, series.known) == (("1", "2", "3", "4"), (0, 4))


def test_a_series_without_customers_is_what_it_is(found):
    series = found.series("margin")
    assert series.values.tolist() == pytest.approx(MARGIN, nan_ok=True)
    assert series.n.tolist() == [1, 0, 1, 1]
    assert not series.asked.any()


def test_a_series_of_nothing_says_so():
    series = indicators_of({"nps": [NAN, NAN]}).series("nps")
    assert (series.reason, series.known) == ("nps has no values", (0, 0))


def test_a_panel_holds_customers_by_periods(found):
    assert found.panel(["nps"])["nps"].shape == (3, 4)
    with pytest.raises(StudyError, match="'margin' has no values per customer; those that do: nps"):
        found.panel(["nps", "margin"])
    with pytest.raises(StudyError, match="unknown indicator 'nsp'; did you mean 'nps'"):
        found.panel("nsp")
    with pytest.raises(ValueError, match="read-only"):
        found.panel("nps")["nps"][0, 0] = 1


def test_a_cohort(found):
    some = found.of(["b", "c", "nobody"])
    assert some.customers == ("b", "c")
    assert some.series("nps").values.tolist() == pytest.approx([10, 7, NAN, 10], nan_ok=True)
    assert some.series("margin").n.tolist() == [1, 0, 1, 1]


def test_a_definition_knows_its_direction_and_its_values():
    define = IndicatorDefinition.model_validate
    assert define({"kind": "leading"}).higher_is_better
    assert not define({"kind": "lagging", "better": "lower"}).higher_is_better
    assert not define(
        {"kind": "leading", "step": "a", "from_flow": "median_hours"}
    ).higher_is_better
    assert define({"kind": "lagging", "unit": "yes/no"}).yes_no
    assert define({"kind": "leading", "freshness": "30d"}).freshness == timedelta(days=30)


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ({"kind": "leading", "from_flow": "rate"}, "from_flow rate is of a step; name it"),
        (
            {"kind": "leading", "from_flow": "adoption", "step": "imported"},
            "from_flow adoption is of the whole flow; leave step: imported out",
        ),
        (
            {"kind": "leading", "from_flow": "adoption", "combine": "sum"},
            "from_flow has one value a period; leave combine out",
        ),
        ({"kind": "leading", "owners": "x"}, "unknown key 'owners'; did you mean 'owner'"),
        ({"kind": "early"}, "Input should be 'leading' or 'lagging'"),
    ],
)
def test_definitions_that_contradict_themselves(definition, sentence):
    with pytest.raises(ValidationError, match=sentence):
        IndicatorDefinition.model_validate(definition)


@pytest.mark.parametrize(
    ("part", "events", "sentence"),
    [
        (
            {"source": "a.csv", "definitions": {"nps": {"kind": "leading", "step": "imprted"}}},
            True,
            "unknown step 'imprted'; did you mean 'imported'",
        ),
        (
            {"definitions": {"v": {"kind": "leading", "step": "imported", "from_flow": "rate"}}},
            False,
            "v is from_flow, but the study has no events",
        ),
        (
            {"definitions": {"nps": {"kind": "leading"}}},
            True,
            "no source holds nps; name the file",
        ),
        (
            {
                "source": "a.csv",
                "definitions": {"v": {"kind": "leading", "step": "imported", "from_flow": "rate"}},
            },
            True,
            "every indicator is from_flow, so the file is not read",
        ),
        (
            {
                "source": "a.csv",
                "period": "number",
                "definitions": {"nps": {"kind": "leading", "freshness": "9d"}},
            },
            True,
            "nps has a freshness, but periods that are numbers have no age",
        ),
    ],
)
def test_parts_that_do_not_fit_the_study(part, events, sentence):
    spec = IndicatorsSource.model_validate({"period": "month", **part})
    said = [each for _, each in spec.contradictions(["previewed", "imported"], events=events)]
    assert len(said) == 1
    assert sentence in said[0]


def test_there_is_an_indicator():
    with pytest.raises(ValidationError, match="at least 1 item"):
        IndicatorsSource.model_validate({"source": "a.csv", "period": "month", "definitions": {}})
