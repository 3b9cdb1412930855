from __future__ import annotations

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from support import results
from support.results import NAN, SCRIPT

from workbench.data.partners import Partners
from workbench.data.study_data import Problem
from workbench.stats.proportions import Counts, compare
from workbench.views import tables


def lines(table):
    return [" ".join(line.split()) for line in repr(table).splitlines()]


def test_verdicts():
    table = tables.verdicts([results.evaluation()])
    assert lines(table) == [
        "Verdict of each hypothesis",
        "hypothesis verdict control treatment effect (percentage points) p-value",
        "preview-helps supported 60.0% (48/80) 80.0% (56/70) +20.0 [+4.7, +32.1] 0.00496",
    ]


def test_a_broken_comparison_gives_counts_but_no_effect():
    table = tables.verdicts([results.evaluation("invalid")])
    assert lines(table)[-1] == "preview-helps invalid 60.0% (48/80) 80.0% (56/70) n/a n/a"


def test_a_comparison_names_its_methods():
    found = compare(control=Counts(48, 80), treatment=Counts(56, 70), test="score")
    assert lines(tables.comparison(found))[1:] == [
        "control treatment effect (percentage points) p-value interval test",
        "60.0% (48/80) 80.0% (56/70) +20.0 [+5.3, +33.8] 0.00826 95% score score",
    ]
    nobody = compare(control=Counts(0, 0), treatment=Counts(1, 2))
    assert nobody.reason in tables.comparison(nobody)._repr_html_()


def test_changes_say_that_nothing_was_randomized():
    table = tables.changes(results.changes())
    assert lines(table)[1:] == [
        "step rate in 2025.4 rate in this iteration change (percentage points)",
        "imported 33.3% (40/120) 40.0% (60/150) +6.7 [−5.0, +18.0]",
    ]
    assert "Nothing was randomized" in table._repr_html_()


def test_the_first_iteration_has_no_changes():
    assert "first iteration" in repr(tables.changes(pd.DataFrame()))


def test_quality_shows_counts_and_pvalues():
    assert lines(tables.quality(results.quality()))[2:] == [
        "rows ok 1,234 1,234 rows.",
        "crossovers warn 3 3 customers saw both; they are left out.",
        "sample ratio invalid 0.00860 The cohorts are not as large as planned.",
    ]


def test_flow_adds_up_for_each_cohort():
    assert lines(tables.flow(results.metrics("blank")))[1:] == [
        "step variant entered aligned deviated pending median time from the trigger",
        "previewed blank 82 70 8 4 2.2 h",
        "mapped blank 70 58 10 2 2.2 h",
        "imported blank 58 48 9 1 2.2 h",
    ]


def test_a_study_without_times_has_no_median():
    frame = results.metrics("blank").assign(median_hours=results.NAN)
    assert lines(tables.flow(frame))[1] == "step variant entered aligned deviated pending"


def test_rates_stand_beside_each_other_step_by_step():
    rows = lines(tables.rates(results.metrics()))[2:]
    assert [row.split()[0:2] for row in rows[:3]] == [
        ["previewed", "blank"],
        ["previewed", "preview"],
        ["mapped", "blank"],
    ]
    assert rows[0] == "previewed blank 88.5% (69/78) [78.5%, 98.5%] 89.7%"


def test_an_empty_cohort_has_no_rate():
    assert lines(tables.rates(results.nobody()))[-1] == "imported n/a (0/0) n/a n/a"


def test_effects_are_labelled_exploratory():
    table = tables.effects(results.effects())
    assert lines(table)[0] == "Effect within each level (exploratory)"
    assert lines(table)[2] == (
        "small company_size (segment) preview-helps 10/20 12/19 +12.0 [−8.0, +32.0] 0.300"
    )
    assert "stand out by chance" in table._repr_html_()


def test_effects_of_one_hypothesis_need_no_name():
    table = tables.effects(results.effects().drop(columns=["hypothesis"]))
    assert "preview-helps" not in repr(table)


def test_deviations():
    assert lines(tables.deviations(results.deviations()))[2] == "mapped (nothing) 8 80.0%"


def test_rare_next_events_are_one_row():
    frame = pd.DataFrame(
        {
            "iteration": "2026.1",
            "step": ["mapped"] * 7 + ["imported"] * 6,
            "next_event": [f"event_{number}" for number in range(13)],
            "customers": [7, 6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1],
            "share": [0.25] * 13,
        }
    )
    rows = lines(tables.deviations(frame))[2:]
    assert rows[4:6] == ["mapped event_4 3 25.0%", "mapped (2 other events) 3 50.0%"]
    assert len(rows) == 12


def test_plan_names_the_power():
    table = tables.sample_sizes(results.sample_sizes())
    assert lines(table)[-1] == "preview-helps 60.0% 80 70 +18.0 +5 1,166"
    assert "power of 80%" in table._repr_html_()


def test_problems_show_an_example():
    table = tables.problems(results.problems())
    assert lines(table)[-1] == "exact duplicates warning 5 customer_id = c1, event = opened"


@pytest.mark.parametrize(
    "table",
    [
        tables.verdicts([]),
        *(
            make(pd.DataFrame())
            for make in (
                tables.changes,
                tables.quality,
                tables.flow,
                tables.rates,
                tables.effects,
                tables.deviations,
                tables.plan,
                tables.problems,
            )
        ),
    ],
)
def test_nothing_to_show_is_a_sentence(table):
    assert table.empty.endswith(".")
    assert "<table" not in table._repr_html_()


def test_names_from_data_stay_text():
    hostile = [
        tables.effects(results.effects()),
        tables.deviations(results.deviations()),
        tables.rates(results.metrics(SCRIPT, column=SCRIPT)),
        tables.flow(results.metrics(SCRIPT, column=SCRIPT)),
    ]
    for table in hostile:
        soup = BeautifulSoup(table._repr_html_(), "html.parser")
        assert not soup.find_all("script")
        assert SCRIPT in soup.get_text()


def test_partners_have_the_columns_that_are_known():
    row = {"grouping": "all", "level": "all", "customers": 40, "share": 1.0}
    row |= {"invited": 5, "invited_share": 1.0, "agreed": NAN, "agreed_share": NAN}
    row |= {"took_part": 0, "took_part_share": NAN}
    level = {"grouping": "size", "level": "large", "customers": 10, "share": 0.25}
    level |= {"invited": 4, "invited_share": 0.8, "agreed": NAN, "agreed_share": NAN}
    level |= {"took_part": 0, "took_part_share": NAN}
    odd = [Problem("note", "rows repeat", 1, {}), Problem("warning", "1 customer is odd", 1, {})]
    found = Partners(pd.DataFrame([row, level]), "Nobody took part.", tuple(odd))
    table = tables.partners(found)
    assert lines(table)[1:] == [
        "level grouping all customers invited took part",
        "large size 25.0% (10/40) 80.0% (4/5) n/a (0/0)",
        "all 40 5 0",
    ]
    assert table.note == "1 customer is odd."
    assert repr(tables.speaks_for(found)) == "Nobody took part."
