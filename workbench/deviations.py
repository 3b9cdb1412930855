"""Deviations: where customers went instead of the next step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from workbench.events import EventLog
from workbench.keys import Ints
from workbench.paths import Paths
from workbench.rows import Coding, shares

NOTHING = "(nothing)"


def count_next(
    paths: Paths, log: EventLog, steps: Sequence[str], by: Sequence[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Count by step what customers who deviated there did next: iteration, cohort, event, customers.

    The next event is the first one, of any name, strictly later than the last step they reached;
    None if they did nothing more by `as_of`. The step itself, taken after the window, is named so.
    """
    left = {step: _left(paths, step) for step in steps}
    coding = Coding.of(log.rows(log.event), [log.event], absent=())
    *names, _ = coding.levels[log.event]
    found, cohorts = _next(paths, log, coding, left), paths.by(by)
    counted = {}
    for step, (deviated, _) in left.items():
        late = {name: f"{name} (too late)" for name in paths.flow.step(step).events}
        kinds = cohorts.number[deviated] * (len(names) + 1) + found[step]
        counted[step] = [
            {
                "iteration": paths.spans[span].name,
                "cohort": cohort,
                "event": late.get(name, name),
                "customers": int(customers),
            }
            for kind, customers in zip(*np.unique(kinds, return_counts=True), strict=True)
            for span, cohort in [cohorts.labels[kind // (len(names) + 1)]]
            for name in [(*names, None)[kind % (len(names) + 1)]]
        ]
    return counted


def _left(paths: Paths, step: str) -> tuple[Ints, Ints]:
    """Give the places of the entries that deviated at a step, and when they reached the one before."""
    place = paths.flow.names.index(step)
    entries, missed = paths.entries, paths.metric(step)
    before = entries.after[paths.flow.names[place - 1]] if place else np.zeros_like(missed.took)
    deviated = np.flatnonzero((before >= 0) & ~missed.reached & missed.closed)
    return deviated, (entries.entered + before)[deviated]


def _next(
    paths: Paths, log: EventLog, coding: Coding, left: Mapping[str, tuple[Ints, Ints]]
) -> dict[str, Ints]:
    """Give by step the place of each one's next event, or the one after the last for nothing."""
    everybody, numbering = paths.entries.customer, paths.numbering
    nothing = len(coding.levels[log.event]) - 1
    found = {step: np.full(len(deviated), nothing) for step, (deviated, _) in left.items()}
    begin = [int(times.min()) for _, times in left.values() if len(times)]
    if not begin:
        return found
    followed = np.zeros(numbering.count, dtype=bool)
    for deviated, _ in left.values():
        followed[everybody[deviated]] = True
    rows = coding.code(log.rows(log.event).drop("event")).rename({f"by {log.event}": "code"})
    rows = rows.filter(
        nw.col("at") > min(begin), nw.col("at") <= paths.as_of, nw.col("code") < nothing
    )
    for share in chain.from_iterable(
        shares(
            numbering.number(rows),
            customers=numbering.count,
            rows=log.facts.rows,
            codes=nothing,
            start=min(begin),
            until=paths.as_of,
        )
    ):
        scale = share.scale
        keys, _ = share.rows(nothing)
        code = np.repeat(np.arange(nothing), np.diff(share.ends))
        those = np.flatnonzero(followed[scale.places(keys) + scale.lowest])
        those = those[np.lexsort((code[those], keys[those]))]
        keys, code = keys[those], code[those]
        for step, (deviated, times) in left.items():
            who = np.flatnonzero(scale.holds(everybody[deviated]))
            customer = everybody[deviated[who]]
            place = np.searchsorted(keys, scale.keys(customer, times[who]), side="right")
            some = np.flatnonzero(place < len(keys))
            some = some[keys[place[some]] <= scale.ends(customer[some])]
            found[step][who[some]] = code[place[some]]
    return found


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
