"""Deviations: the next event of those who deviated, whatever its name and whenever it was."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.deviations import count_next, next_table
from workbench.events import EventLog
from workbench.flow import Flow
from workbench.iterations import Span
from workbench.paths import trace

DAY = 86_400_000_000


@pytest.mark.parametrize("begin", [0, -3650 * DAY], ids=["1970", "1960"])
@pytest.mark.parametrize("name", ["help", "(missing)"])
def test_the_next_event_is_of_any_name_and_time(begin, name):
    rows = [(1, "open", 1), (2, "open", 1), (2, name, 4), (3, "open", 2), (3, "import", 4)]
    table = pl.DataFrame(rows, schema=["customer", "event", "time"], orient="row")
    log = EventLog(table.with_columns(pl.col("time") * DAY + begin))
    flow = Flow(trigger="open", steps=["import", "share"], window="1d")
    paths = trace(log, flow, [Span("1", begin, begin + 3 * DAY)])
    found = count_next(paths, log, flow.names)
    table = next_table(found, [], ["1"])
    rows = table[["step", "next_event", "customers"]].values.tolist()
    assert sorted(rows) == sorted(
        [["import", "(nothing)", 1], ["import", name, 1], ["import", "import (too late)", 1]]
    )
