"""Listening: fetch from the engine what those customers did who gave feedback, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np

from workbench.aggregates import OutcomesTable
from workbench.cohorts import MISSING
from workbench.engines import Frame, collect
from workbench.errors import StudyError
from workbench.iterations import from_instant
from workbench.journeys import Journeys
from workbench.study_data import StudyData
from workbench.voices import NOT_ENTERED, Entry


def entries(
    data: StudyData, customers: Sequence[str], at: datetime | None = None
) -> dict[str, list[Entry]]:
    """Give each of these customers who is known their entries into the flow by `at`, oldest first.

    Known is who has an event or a row in the customers table; whoever never met the trigger has
    no entry. Raises StudyError for a study of counts, which knows no single customer.
    """
    wanted = sorted(set(customers))
    if not wanted:
        return {}
    opened = data.opened
    if isinstance(opened, Journeys):
        return _of_journeys(opened, wanted, data.spec.timezone, at)
    if isinstance(opened, OutcomesTable):
        return _of_outcomes(opened, wanted)
    raise StudyError("counts know no single customer; give feedback by cohort, not by customer")


def _of_journeys(
    journeys: Journeys, wanted: Sequence[str], timezone: str, at: datetime | None
) -> dict[str, list[Entry]]:
    paths, steps, zone = journeys.paths(at), journeys.flow.names, ZoneInfo(timezone)
    entries, names = paths.entries, paths.numbering.known(wanted)
    metrics = [paths.metric(step) for step in steps]
    found: dict[str, list[Entry]] = {name: [] for name in _known(journeys, wanted)}
    for place in np.flatnonzero(np.isin(entries.customer, list(names))):
        done, there = {}, True
        for step, metric in zip(steps, metrics, strict=True):
            missed = "deviated" if metric.closed[place] else "pending"
            reached = bool(metric.reached[place])
            done[step] = "aligned" if reached else missed if there else NOT_ENTERED
            there = reached
        entry = Entry(
            customer=names[int(entries.customer[place])],
            iteration=paths.spans[entries.span[place]].name,
            entered=from_instant(int(entries.entered[place])).astimezone(zone).date(),
            done=done,
            levels={
                column: paths.levels[column][each[place]] for column, each in entries.values.items()
            },
        )
        found[entry.customer].append(entry)
    return found


def _known(journeys: Journeys, wanted: Sequence[str]) -> set[str]:
    frames = [journeys.log.rows().select("customer")]
    if journeys.customers is not None:
        frames.append(journeys.customers.select("customer"))
    return {row["customer"] for frame in frames for row in _of(frame, wanted, once=True)}


def _of_outcomes(table: OutcomesTable, wanted: Sequence[str]) -> dict[str, list[Entry]]:
    """Take the one row of each customer, as if everybody entered at the beginning of time."""
    named = table.table.with_columns(nw.col(table.source.customer).alias("customer"))
    states = {None: "pending", False: "deviated", True: "aligned"}
    return {
        row["customer"]: [
            Entry(
                customer=row["customer"],
                iteration="",
                entered=date.min,
                done={
                    step: states[None if row[column] is None else bool(row[column])]
                    for step, column in table.outcomes.items()
                },
                levels={column: _text(row[column]) for column in table.groupings},
            )
        ]
        for row in _of(named, wanted)
    }


def _text(value: object) -> str:
    if value is None:
        return MISSING
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of(frame: Frame, wanted: Sequence[str], *, once: bool = False) -> list[dict[str, Any]]:
    """Collect the rows of these customers alone; their ids as text."""
    name = nw.col("customer").cast(nw.String)
    rows = frame.filter(name.is_in(wanted)).with_columns(name)
    return collect(rows.unique(["customer"]) if once else rows)
