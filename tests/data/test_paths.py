"""Paths: who entered, in which cohort, and what a metric is about.

Entries: the order in which customers came, and who came before."""

from __future__ import annotations

from unittest.mock import patch

import pandas as pd
import polars as pl
import pytest

from workbench.data import metrics
from workbench.data.event_log import EventLog
from workbench.data.metrics import count_steps
from workbench.data.paths import count_apart, entered_before, outcomes_in_order, trace
from workbench.errors import DataError
from workbench.schema.cohort import Cohort
from workbench.schema.flow import Flow
from workbench.schema.time import Iteration, Span
from workbench.stats.proportions import Counts

HOUR = 3_600_000_000
FLOW = Flow(trigger="open", steps=["import"], window="10h")
KINDS = {"variant": "experiment", "country": "demographic"}
MOVES = (("open", 1), ("import", 2), ("open", 3), ("import", 4))
TIED = (("b", None), ("a", "NL"), (None, "PL"), ("c", None))
TWO = (Span("1", 0, 24 * HOUR), Span("2", 24 * HOUR, 48 * HOUR))
BLANK, PREVIEW = (Cohort.model_validate({"variant": each}) for each in ("blank", "preview"))


def log(*rows):
    """Rows are customer, event, hour, variant, country."""
    columns = ["customer", "event", "time", "variant", "country"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    return EventLog(table.with_columns(pl.col("time") * HOUR), time_format="epoch_us")


@pytest.fixture
def paths():
    rows = [
        (1, "open", 1, "blank", "NL"),
        (1, "import", 3, "blank", "NL"),
        (2, "open", 2, "preview", "DE"),
        (2, "import", 11, "preview", "DE"),
        (3, "open", 30, "preview", None),
        (4, "open", 5, "blank", "NL"),
        (4, "import", 6, "blank", "NL"),
    ]
    return trace(log(*rows), FLOW, TWO, groupings=KINDS)


def test_entries_are_in_order_of_customer_and_time(paths):
    entries = paths.entries
    assert entries.customer.tolist() == [0, 1, 2, 3]
    assert entries.span.tolist() == [0, 0, 1, 0]
    assert (entries.entered // HOUR).tolist() == [1, 2, 30, 5]
    assert (entries.after["import"] // HOUR).tolist() == [2, 9, -1, 1]


def test_whoever_saw_two_groups_is_of_the_first():
    """Customer 1 changes sides, 2 only after the window, 3 was put before the trigger; 4 is unknown."""
    rows = [
        (1, "open", 1, "blank", "NL"),
        (1, "import", 3, "preview", "NL"),
        (2, "open", 2, "preview", "NL"),
        (2, "import", 18, "blank", "NL"),
        (3, "import", 1, "preview", "NL"),
        (3, "open", 2, None, "NL"),
        (4, "open", 2, None, "NL"),
        (4, "import", 3, "preview", "NL"),
        (4, "import", 4, "blank", "NL"),
    ]
    found = trace(log(*rows), FLOW, TWO, groupings=KINDS)
    assert found.crossed(["variant"]).tolist() == [True, True, False, True]
    in_time = found.crossed(["variant"], FLOW.window)
    assert in_time.tolist() == [True, False, False, True]
    assert found.unassigned(["variant"]).tolist() == [False, False, False, True]
    assert found.among((("variant", "blank"),), "1").tolist() == [True, False, False, False]
    assert found.among((("variant", "preview"),), "1").tolist() == [False, True, True, False]


def test_a_metric_is_closed_once_its_window_is_over(paths):
    metric = paths.metric("import")
    assert metric.about.all()
    assert metric.closed.tolist() == [True, True, False, True]  # the log ends in hour 31
    assert metric.reached.tolist() == [True, True, False, True]


@pytest.mark.parametrize("by", [[], ["variant"], ["variant", "country"], ["country", "variant"]])
def test_cohorts_tell_iteration_and_values(paths, by):
    cohorts = paths.by(by)
    expected = {
        0: (0, {"variant": "blank", "country": "NL"}),
        1: (0, {"variant": "preview", "country": "DE"}),
        2: (1, {"variant": "preview", "country": "(missing)"}),
        3: (0, {"variant": "blank", "country": "NL"}),
    }
    for place, number in enumerate(cohorts.number):
        span, values = expected[place]
        assert cohorts.labels[number] == (span, tuple(values[column] for column in by))
    assert cohorts.count(paths.metric("import").reached).sum() == 3


def test_entries_are_found_by_their_cohort(paths):
    assert paths.among((("variant", "blank"),), "1").tolist() == [True, False, False, True]
    assert paths.among((("variant", "preview"), ("country", "DE")), "1").sum() == 1
    assert not paths.among((("variant", "nobody's"),), "1").any()


def test_medians_do_not_depend_on_the_way_of_sorting(paths):
    fast = count_steps(paths, ["variant"])
    assert [each.median_hours for each in fast if each.aligned] == [1.5, 9.0]
    with patch.object(metrics, "NEVER", 0):
        assert [each.median_hours for each in count_steps(paths, ["variant"])][:2] == [1.5, 9.0]


def test_an_end_before_the_beginning_has_no_entries():
    early = (1, "open", 1, "blank", "NL")
    found = trace(log(early, (1, "import", 2, "blank", "NL")), FLOW, TWO[1:], groupings=KINDS)
    assert len(found.entries.customer) == 0
    assert count_steps(found, ["variant", "country"]) == []


def test_a_grouping_that_no_table_has_is_named():
    with pytest.raises(DataError, match="unknown grouping 'varient'; did you mean 'variant'"):
        trace(log((1, "open", 1, "blank", "NL")), FLOW, TWO, groupings={"varient": "segment"})


def test_combinations_of_many_levels_stay_apart():
    """Ten columns of a hundred levels are more combinations than whole numbers reach."""
    columns = [f"level {place}" for place in range(10)]
    rows = [
        {"customer": each, "event": "open", "time": HOUR, **dict.fromkeys(columns, f"{each:03}")}
        for each in range(100)
    ]
    kinds = dict.fromkeys(columns, "segment")
    found = trace(EventLog(pl.DataFrame(rows), time_format="epoch_us"), FLOW, TWO, groupings=kinds)
    cohorts = found.by(columns)
    labels = [cohorts.labels[number] for number in cohorts.number]
    assert labels == [(0, (f"{each:03}",) * 10) for each in range(100)]


def test_the_last_customers_of_a_share_have_their_windows():
    """Keys of late customers come close to the largest whole number; no window may pass it."""
    week = 7 * 24 * HOUR
    ids = [0, 34, 9_998, 9_999]
    rows = [(each, event, hour, "x", "y") for each in ids for event, hour in MOVES]
    table = log(*rows, (0, "later", 3_000_000 * 24, "x", "y"))
    flow = Flow(trigger="open", steps=["import"], window="700000w", return_window="999999999d")
    found = trace(table, flow, [Span("1", 0, week)])
    assert (found.entries.after["import"] // HOUR).tolist() == [1] * 4
    assert (found.entries.after["adoption"] // HOUR).tolist() == [3] * 4


def test_a_trigger_named_twice_is_one():
    twice = Flow(trigger=["open", "open"], steps=["import"], window="10h")
    assert twice.trigger == ("open",)


def test_of_triggers_at_one_time_the_smallest_value_counts():
    rows = [(1, "open", 1, variant, country) for variant, country in TIED]
    kinds = {"variant": "segment", "country": "segment"}
    found = trace(log(*rows), FLOW, TWO, groupings=kinds)
    cohorts = found.by(["variant", "country"])
    (label,) = [cohorts.labels[number] for number in cohorts.number]
    assert label == (0, ("a", "NL"))


@pytest.fixture
def entry_paths():
    def traced(rows, **options):
        frame = pd.DataFrame(rows, columns=["customer", "event", "time", "variant"])
        log = EventLog(frame, customer="customer", event="event", time="time", timezone="UTC")
        iterations = [
            Iteration(name="1", start="2026-01-05", end="2026-01-12"),
            Iteration(name="2", start="2026-01-12", end="2026-01-19"),
            Iteration(name="3", start="2026-01-19", end="2026-01-26"),
        ]
        from datetime import UTC

        flow = Flow(trigger="open", steps=["import"], window="2d", **options)
        spans = [each.span(UTC) for each in iterations]
        return trace(log, flow, spans, groupings={"variant": "experiment"})

    return traced


def test_customers_come_in_their_order_of_entry_once_their_window_is_over(entry_paths):
    found = outcomes_in_order(
        entry_paths(
            [
                ("late", "open", "2026-01-07", "blank"),
                ("late", "import", "2026-01-07 05:00", "blank"),
                ("first", "open", "2026-01-05", "blank"),
                ("second", "open", "2026-01-06", "blank"),
                ("second", "import", "2026-01-06 05:00", "blank"),
                ("b", "open", "2026-01-05", "preview"),
                ("b", "import", "2026-01-05 05:00", "preview"),
                ("a", "open", "2026-01-05", "preview"),  # at the same time: by name
                ("open", "open", "2026-01-10", "preview"),
                ("x", "other", "2026-01-11", "preview"),
            ]
        ),
        "import",
        {"control": (BLANK, "1"), "treatment": (PREVIEW, "1")},
    )
    assert found.control.tolist() == [False, True, True]
    assert found.treatment.tolist() == [False, True]


def test_who_entered_before_is_counted_by_iteration(entry_paths):
    rows = [
        (who, "open", f"2026-01-{day:02}", "blank")
        for who, day in (
            ("a", 5),
            ("b", 5),
            ("b", 13),
            ("c", 13),
            ("a", 20),
            ("b", 20),
            ("c", 20),
            ("d", 20),
        )
    ]
    traced = entry_paths(rows)
    assert entered_before(traced, "3") == {"1": 2, "2": 2}
    assert entered_before(traced, "2") == {"1": 1}
    assert entered_before(traced, "1") == {}


def test_customers_of_an_earlier_cohort_are_left_out():
    rows = [(each, "open", 1, "blank", "NL") for each in (1, 2, 3)]
    rows += [(each, "open", 25, "preview", "NL") for each in (2, 4, 5, 6)]
    rows += [(each, "import", 26, "preview", "NL") for each in (2, 4)]
    rows += [(9, "open", 60, "blank", "NL")]
    found = trace(log(*rows), FLOW, TWO, groupings=KINDS)
    cohorts = [(BLANK, "2"), (PREVIEW, "2")]
    earlier = [(BLANK, "1"), (PREVIEW, "1")]
    assert count_apart(found, "import", cohorts, earlier, None) == (
        [Counts(0, 0), Counts(1, 3)],
        1,
    )
    assert count_apart(found, "import", cohorts, [(PREVIEW, "1")], None)[0][1] == Counts(2, 4)
    assert count_apart(found, "import", cohorts, [], 24 * HOUR) == ([Counts(0, 0)] * 2, 0)
