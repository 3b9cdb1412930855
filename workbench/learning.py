"""Learning metrics: how many customers of each cohort followed each step of the flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import narwhals as nw
import pandas as pd

from workbench.cohorts import GroupingKind
from workbench.engines import Frame, collect
from workbench.events import EventLog
from workbench.flow import ADOPTION, Flow
from workbench.iterations import Iteration, to_instant
from workbench.paths import Paths, trace
from workbench.proportions import Counts, wilson
from workbench.rows import no_later
from workbench.steps import StepCounts

HOUR = 3_600_000_000
NOTHING = "(nothing)"
FACTS = ("entered", "aligned", "deviated", "pending")
RATES = ("converted", "closed", "rate", "low", "high", "step_rate", "median_hours")


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
    zone = ZoneInfo(log.timezone)
    spans = [iteration.span(zone) for iteration in iterations]
    at = None if as_of is None else to_instant(as_of)
    paths = trace(log, flow, spans, as_of=at, groupings=by)
    names = [each.name for each in iterations]
    return learning_table(count_steps(paths, list(by)), list(by), names, flow.metrics)


def count_steps(paths: Paths, by: Sequence[str] = ()) -> list[StepCounts]:
    """Count, on the engine, the paths of every iteration and cohort; crossovers are left out.

    The steps come first, then adoption and the outcome, where the flow follows them.
    """
    groups = ["span", *(f"by {column}" for column in by)]
    counted = [_count(paths.stage(place, by), groups) for place in range(len(paths.stages))]
    steps = [
        StepCounts(
            iteration=paths.spans[span].name,
            cohort=tuple(cohort),
            step=step,
            entered=before.customers,
            aligned=now.customers,
            pending=(before.customers - before.closed) - (now.customers - now.closed),
            converted=now.closed,
            closed=entrants.closed,
            before=before.closed,
            median_hours=now.median / HOUR,
        )
        for (span, *cohort), entrants in counted[0].items()
        for place, step in enumerate(paths.flow.names)
        for before, now in [
            [counted[each].get((span, *cohort), NOBODY) for each in (place, place + 1)]
        ]
    ]
    return [*steps, *_count_ends(paths, by, groups, list(counted[0]))]


def _count_ends(
    paths: Paths, by: Sequence[str], groups: Sequence[str], cohorts: Sequence[tuple[Any, ...]]
) -> list[StepCounts]:
    """Count who adopted, of those with an opportunity, and whose outcome came, of all entrants."""
    ends: list[tuple[str, dict[tuple[Any, ...], _Count], dict[tuple[Any, ...], _Count]]] = []
    if paths.adoption is not None:
        limit = paths.flow.return_limit
        entered, aligned = (
            _count(paths.grouped(frame, by, "before", limit), groups, "before")
            for frame in (
                paths.adoption.opportunities.with_columns(nw.col("before").alias("at")),
                paths.adoption.returns,
            )
        )
        ends.append((ADOPTION, entered, aligned))
    if paths.outcome is not None and paths.flow.outcome is not None:
        limit = paths.flow.outcome_window
        entered, aligned = (
            _count(paths.grouped(frame, by, "entered", limit), groups)
            for frame in (paths.stages[0], paths.outcome)
        )
        ends.append((paths.flow.outcome.name, entered, aligned))
    return [
        StepCounts(
            iteration=paths.spans[cohort[0]].name,
            cohort=tuple(cohort[1:]),
            step=name,
            entered=before.customers,
            aligned=now.customers,
            pending=(before.customers - before.closed) - (now.customers - now.closed),
            converted=now.closed,
            closed=before.closed,
            before=before.closed,
            median_hours=now.median / HOUR,
        )
        for name, entered, aligned in ends
        for cohort in cohorts
        for before, now in [[counted.get(cohort, NOBODY) for counted in (entered, aligned)]]
    ]


def count_both(paths: Paths) -> dict[str, Counts]:
    """Count for each iteration who returned and had the outcome within the outcome's window.

    Of the entrants whose outcome window is over; empty where the flow does not follow both.
    """
    flow, found = paths.flow, paths.outcome
    if paths.adoption is None or found is None or flow.outcome is None:
        return {}
    entrants, _ = paths.of_metric(flow.outcome.name)
    keys = ["customer", "entered"]
    returned = paths.adoption.returns.filter(no_later(nw.col("at"), "entered", flow.outcome_window))
    both = returned.select(*keys).join(found.select(*keys), on=keys)
    both = both.with_columns(nw.lit(1).alias("both"))
    counted = (
        entrants.filter(nw.col("closed"))
        .join(both, on=keys, how="left")
        .group_by("span")
        .agg(nw.len().alias("customers"), nw.col("both").fill_null(0).sum().alias("both"))
    )
    return {
        paths.spans[row["span"]].name: Counts(int(row["both"]), row["customers"])
        for row in collect(counted)
    }


class _Count(NamedTuple):
    """Customers at a stage, those of them whose window is over, their median time to it."""

    customers: int
    closed: int
    median: float


NOBODY = _Count(0, 0, float("nan"))


def _count(
    stage: Frame, groups: Sequence[str], since: str = "entered"
) -> dict[tuple[Any, ...], _Count]:
    table = stage.group_by(*groups).agg(
        nw.len().alias("customers"),
        nw.col("closed").cast(nw.Int64).sum(),
        (nw.col("at") - nw.col(since)).median().alias("median"),
    )
    return {
        tuple(row[group] for group in groups): _Count(
            row["customers"], row["closed"], float(row["median"])
        )
        for row in collect(table)
    }


def count_next(
    paths: Paths, log: EventLog, step: str, by: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Count what customers who deviated at `step` did next: iteration, cohort, event, customers.

    The next event is the first one, of any name, strictly later than the last step they reached;
    None if they did nothing more by `as_of`. The step itself, taken after the window, is named so.
    """
    late = {name: f"{name} (too late)" for name in paths.flow.step(step).events}
    place = paths.flow.names.index(step) + 1
    groups = ["span", *(f"by {column}" for column in by)]
    reached = paths.stages[place].select("customer", "entered")
    deviated = (
        paths.stage(place - 1, by)
        .filter(nw.col("closed"))
        .join(reached, on=["customer", "entered"], how="anti")
        .select("customer", *groups, nw.col("at").alias("left"))
    )
    rows = log.rows().filter(nw.col("at") <= paths.as_of)
    later = rows.join(deviated, on="customer").filter(nw.col("at") > nw.col("left"))
    first = later.group_by("customer", "span").agg(nw.col("at").min().alias("first"))
    event = (
        later.join(first, on=["customer", "span"])
        .filter(nw.col("at") == nw.col("first"))
        .group_by("customer", "span")
        .agg(nw.col("event").min())
    )
    counted = (
        deviated.join(event, on=["customer", "span"], how="left")
        .group_by(*groups, "event")
        .agg(nw.len().alias("customers"))
    )
    return [
        {
            "iteration": paths.spans[row["span"]].name,
            "cohort": tuple(row[group] for group in groups[1:]),
            "event": late.get(row["event"], row["event"]),
            "customers": row["customers"],
        }
        for row in collect(counted)
    ]


def next_table(
    counted: Mapping[str, Iterable[Mapping[str, Any]]], by: Sequence[str], iterations: Sequence[str]
) -> pd.DataFrame:
    """Lay out what deviated customers did next, by step; the most frequent first."""
    rows = [
        {**row, "step": step, "event": row["event"] or NOTHING}
        for step, found in counted.items()
        for row in found
        if row["iteration"] in iterations
    ]
    totals: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        totals[row["iteration"], row["cohort"], row["step"]] += row["customers"]
    steps = list(counted)
    rows.sort(
        key=lambda row: (
            iterations.index(row["iteration"]),
            row["cohort"],
            steps.index(row["step"]),
            -row["customers"],
            row["event"],
        )
    )
    return pd.DataFrame(
        [
            {
                "iteration": row["iteration"],
                **dict(zip(by, row["cohort"], strict=True)),
                "step": row["step"],
                "next_event": row["event"],
                "customers": row["customers"],
                "share": row["customers"] / totals[row["iteration"], row["cohort"], row["step"]],
            }
            for row in rows
        ],
        columns=["iteration", *by, "step", "next_event", "customers", "share"],
    )


def learning_table(
    counts: Iterable[StepCounts], by: Sequence[str], iterations: Sequence[str], steps: Sequence[str]
) -> pd.DataFrame:
    """Lay counts out as the table of learning metrics, one row an iteration, cohort and step."""
    order = {name: place for place, name in enumerate(iterations)}
    places = {name: place for place, name in enumerate(steps)}
    rows = sorted(
        (each for each in counts if each.iteration in order),
        key=lambda row: (order[row.iteration], row.cohort, places[row.step]),
    )
    return pd.DataFrame(
        [_row(each, by) for each in rows], columns=["iteration", *by, "step", *FACTS, *RATES]
    )


def _row(counts: StepCounts, by: Sequence[str]) -> dict[str, Any]:
    nan = float("nan")
    low, high = wilson(counts.of_entrants)
    return {
        "iteration": counts.iteration,
        **dict(zip(by, counts.cohort, strict=True)),
        "step": counts.step,
        **{name: getattr(counts, name) for name in (*FACTS, "converted", "closed")},
        "rate": counts.of_entrants.rate,
        "low": low,
        "high": high,
        "step_rate": counts.converted / counts.before if counts.before else nan,
        "median_hours": counts.median_hours,
    }
