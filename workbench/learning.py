"""Learning metrics: how many customers of each cohort followed each step of the flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from workbench.cohorts import GroupingKind
from workbench.endpoints import MICROSECOND
from workbench.events import EventLog
from workbench.flow import ADOPTION, Flow
from workbench.iterations import Iteration, to_instant
from workbench.keys import NEVER, Array, Ints, at_once
from workbench.paths import Cohorts, Metric, Paths, trace
from workbench.proportions import Counts, wilson
from workbench.steps import StepCounts

if TYPE_CHECKING:
    import pandas as pd

HOUR = 3_600_000_000
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

    >>> import pandas as pd
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
    """Count the paths of every iteration and cohort; crossovers are left out.

    The steps come first, then adoption and the outcome, where the flow follows them.
    """
    flow, cohorts = paths.flow, paths.by(by)
    # A step's rate is about the entrants, those of adoption and the outcome about their own.
    bases = {name: _Base.of(cohorts, paths.metric(name)) for name in (flow.names[0], *flow.ends)}
    base = {name: bases.get(name, bases[flow.names[0]]) for name in flow.metrics}
    reached = at_once(lambda name: base[name].reach(paths.metric(name)), flow.metrics)
    before = [bases[flow.names[0]].counts, *(counts for counts, _ in reached)]
    return [
        StepCounts(
            iteration=paths.spans[span].name,
            cohort=cohort,
            step=name,
            entered=int(entered[place].sum()),
            aligned=int(now[place].sum()),
            pending=int(entered[place, 0] - now[place, 0]),
            converted=int(now[place, 1]),
            closed=int(base[name].counts[place, 1]),
            before=int(entered[place, 1]),
            median_hours=float(medians[place]) / HOUR,
        )
        for name, last, (now, medians) in zip(flow.metrics, before, reached, strict=False)
        for entered in [base[name].counts if name in flow.ends else last]
        for place, (span, cohort) in enumerate(cohorts.labels)
        if before[0][place].any()
    ]


@dataclass(frozen=True)
class _Base:
    """Whom a rate is about: `kind` is twice the cohort's number, and one more for the closed.

    `counts` has for each cohort those still open and those closed.
    """

    kind: Ints
    counts: Ints

    @classmethod
    def of(cls, cohorts: Cohorts, metric: Metric) -> _Base:
        kind = cohorts.number * 2 + metric.closed
        return cls(kind, _pairs(kind[metric.about], len(cohorts.labels)))

    def reach(self, metric: Metric) -> tuple[Ints, Array]:
        """Count who reached a metric in each cohort, open and closed, and give their median time."""
        those = np.flatnonzero(metric.reached)
        kind, took = self.kind.take(those), metric.took.take(those)
        counts = _pairs(kind, len(self.counts))
        width = int(took.max(initial=0)) + 1
        if len(counts) * width < NEVER:  # sorting whole numbers beats sorting by two columns
            ordered = (kind >> 1) * width + took
            ordered.sort()
        else:
            width, ordered = 0, took[np.lexsort((took, kind >> 1))]
        customers = counts.sum(axis=1)
        some, begin = np.flatnonzero(customers), np.cumsum(customers) - customers
        middle = [(begin + (customers - 1) // 2)[some], (begin + customers // 2)[some]]
        medians = np.full(len(counts), np.nan)
        medians[some] = np.mean([ordered[each] - some * width for each in middle], axis=0)
        return counts, medians


def _pairs(kind: Ints, cohorts: int) -> Ints:
    return np.bincount(kind, minlength=2 * cohorts).reshape(-1, 2)


def count_both(paths: Paths) -> dict[str, Counts]:
    """Count for each iteration who returned and had the outcome within the outcome's window.

    Of the entrants whose outcome window is over; empty where the flow does not follow both.
    """
    flow = paths.flow
    if not flow.follows_return or flow.outcome is None:
        return {}
    cohorts, outcome = paths.by(()), paths.metric(flow.outcome.name)
    returned = paths.entries.after[ADOPTION]
    in_time = returned >= 0
    if flow.outcome_window is not None:
        in_time &= returned <= flow.outcome_window // MICROSECOND
    closed = cohorts.count(outcome.closed)
    both = cohorts.count(outcome.closed & outcome.reached & in_time)
    return {
        paths.spans[span].name: Counts(int(both[place]), int(closed[place]))
        for place, (span, _) in enumerate(cohorts.labels)
        if closed[place]
    }


def learning_table(
    counts: Iterable[StepCounts], by: Sequence[str], iterations: Sequence[str], steps: Sequence[str]
) -> pd.DataFrame:
    """Lay counts out as the table of learning metrics, one row an iteration, cohort and step."""
    import pandas as pd

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
