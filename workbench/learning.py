"""Learning metrics: how many customers of each cohort followed each step of the flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import pandas as pd

from workbench.cohorts import GroupingKind
from workbench.engines import collect
from workbench.events import EventLog, to_instant
from workbench.flow import Flow
from workbench.iterations import Iteration
from workbench.paths import Paths, Span, trace
from workbench.proportions import Counts, wilson

HOUR = 3_600_000_000
FACTS = ("entered", "aligned", "deviated", "pending")
RATES = ("converted", "closed", "rate", "low", "high", "step_rate", "median_hours")


@dataclass(frozen=True)
class StepCounts:
    """How customers of one iteration and cohort followed one step.

    `closed` counts entrants of the flow whose window is over, `converted` those of them who
    reached this step, and `before` those of them who reached the step before.
    """

    iteration: str
    cohort: tuple[str, ...]
    step: str
    entered: int
    aligned: int
    pending: int
    converted: int
    closed: int
    before: int
    median_hours: float = float("nan")

    @property
    def deviated(self) -> int:
        """How many customers did not take the step in time."""
        return self.entered - self.aligned - self.pending


def learning_metrics(
    log: EventLog,
    flow: Flow,
    iterations: Sequence[Iteration],
    by: Mapping[str, GroupingKind] | None = None,
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Count how the customers of every iteration and cohort followed the flow.

    `by` maps grouping columns of the log to their kinds; `as_of` is the newest event unless
    given. One row an iteration, cohort and step: entered = aligned + deviated + pending
    customers; rate = converted / closed with its Wilson interval at 95 %; step_rate a fraction;
    median_hours from the trigger to the step. Raises DataError as `EventLog` does.

    >>> log = EventLog(pd.DataFrame({
    ...     "customer": [1, 1, 2], "event": ["open", "import", "open"],
    ...     "time": ["2026-01-05", "2026-01-06", "2026-01-08"]}))
    >>> table = learning_metrics(
    ...     log, Flow(trigger="open", steps=["import"], window="2d"),
    ...     [Iteration(name="2026.1", start="2026-01-05", end="2026-02-02")])
    >>> table[["step", "entered", "aligned", "deviated", "pending", "rate"]].to_dict("records")
    [{'step': 'import', 'entered': 2, 'aligned': 1, 'deviated': 0, 'pending': 1, 'rate': 1.0}]
    """
    by = by or {}
    at = None if as_of is None else to_instant(as_of)
    paths = trace(log, flow, spans(iterations, log.timezone), as_of=at, groupings=by)
    names = [each.name for each in iterations]
    return learning_table(count_steps(paths, list(by)), list(by), names, flow.names)


def spans(iterations: Iterable[Iteration], timezone: str) -> list[Span]:
    """Give iterations their starts and ends in microseconds since 1970."""
    zone = ZoneInfo(timezone)
    return [
        Span(each.name, *(to_instant(moment) for moment in each.bounds(zone)))
        for each in iterations
    ]


def count_steps(paths: Paths, by: Sequence[str] = ()) -> list[StepCounts]:
    """Count, on the engine, the paths of every iteration and cohort; crossovers are left out."""
    steps = paths.flow.names
    closed = paths.closed
    frame = paths.frame.filter(~nw.col("crossover")).with_columns(closed.alias("closed"))
    groups = ["span", *(f"by {column}" for column in by)]
    table = collect(
        frame.group_by(*groups).agg(
            nw.len().alias("aligned 0"),
            nw.col("closed").cast(nw.Int64).sum().alias("converted 0"),
            *(each for place in range(1, len(steps) + 1) for each in _of_place(str(place))),
        )
    )
    return [
        StepCounts(
            iteration=paths.spans[row["span"]].name,
            cohort=tuple(row[group] for group in groups[1:]),
            step=step,
            entered=row[f"aligned {place}"],
            aligned=row[f"aligned {place + 1}"],
            pending=(row[f"aligned {place}"] - row[f"converted {place}"])
            - (row[f"aligned {place + 1}"] - row[f"converted {place + 1}"]),
            converted=row[f"converted {place + 1}"],
            closed=row["converted 0"],
            before=row[f"converted {place}"],
            median_hours=_hours(row[f"median {place + 1}"]),
        )
        for row in table
        for place, step in enumerate(steps)
    ]


def _of_place(place: str) -> Iterable[nw.Expr]:
    reached = ~nw.col(place).is_null()
    yield reached.cast(nw.Int64).sum().alias(f"aligned {place}")
    yield (reached & nw.col("closed")).cast(nw.Int64).sum().alias(f"converted {place}")
    yield (nw.col(place) - nw.col("0")).median().alias(f"median {place}")


def _hours(microseconds: float | None) -> float:
    return float("nan") if microseconds is None else float(microseconds) / HOUR


def learning_table(
    counts: Iterable[StepCounts], by: Sequence[str], iterations: Sequence[str], steps: Sequence[str]
) -> pd.DataFrame:
    """Lay counts out as the table of learning metrics, one row an iteration, cohort and step."""
    order = {name: place for place, name in enumerate(iterations)}
    places = {name: place for place, name in enumerate(steps)}
    rows = sorted(counts, key=lambda row: (order[row.iteration], row.cohort, places[row.step]))
    return pd.DataFrame(
        [_row(each, by) for each in rows], columns=["iteration", *by, "step", *FACTS, *RATES]
    )


def _row(counts: StepCounts, by: Sequence[str]) -> dict[str, Any]:
    nan = float("nan")
    of_entrants = Counts(counts.converted, counts.closed)
    low, high = wilson(of_entrants)
    return {
        "iteration": counts.iteration,
        **dict(zip(by, counts.cohort, strict=True)),
        "step": counts.step,
        **{name: getattr(counts, name) for name in (*FACTS, "converted", "closed")},
        "rate": of_entrants.rate,
        "low": low,
        "high": high,
        "step_rate": counts.converted / counts.before if counts.before else nan,
        "median_hours": counts.median_hours,
    }
