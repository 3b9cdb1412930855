"""Entries: the order in which customers came, and who came before."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.cohorts import Cohort
from workbench.entries import again, in_order
from workbench.events import EventLog
from workbench.flow import Flow
from workbench.iterations import Iteration
from workbench.paths import trace

BLANK, PREVIEW = (Cohort.model_validate({"variant": each}) for each in ("blank", "preview"))


@pytest.fixture
def paths():
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


def test_customers_come_in_their_order_of_entry_once_their_window_is_over(paths):
    found = in_order(
        paths(
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


def test_who_entered_before_is_counted_by_iteration(paths):
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
    traced = paths(rows)
    assert again(traced, "3") == {"1": 2, "2": 2}
    assert again(traced, "2") == {"1": 1}
    assert again(traced, "1") == {}
