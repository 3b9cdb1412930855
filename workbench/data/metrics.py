"""Learning metrics, the next events of those who deviated, and retention."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from statistics import NormalDist
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import pandas as pd

from workbench.data.counts import StepCounts
from workbench.data.event_log import EventLog
from workbench.data.paths import Cohorts, Metric, Paths, trace
from workbench.data.walk import MICROSECOND, NEVER, Array, Coding, Ints, at_once, chunks
from workbench.errors import StudyError
from workbench.schema.cohort import GroupingKind, in_order
from workbench.schema.flow import ADOPTION, Flow
from workbench.schema.time import Iteration, to_instant
from workbench.stats.proportions import Counts, wilson

NOTHING = "(nothing)"
HOUR = 3_600_000_000
FACTS = ("entered", "aligned", "deviated", "pending")
RATES = ("converted", "closed", "rate", "low", "high", "step_rate", "median_hours")
DAY = 86_400_000_000
# The columns of each table of results beside its grouping columns.
LEARNING_COLUMNS = ("iteration", "step", *FACTS, *RATES)
NEXT_COLUMNS = ("iteration", "step", "next_event", "customers", "share")
RETENTION_COLUMNS = ("iteration", "days", "at_risk", "adopted", "share", "low", "high")


def groupings_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the grouping columns of a table of results.

    The table carries their names; where pandas lost them, they are all but the table's own
    `columns`.
    """
    carried = frame.attrs.get("groupings", [each for each in frame if each not in columns])
    return [str(each) for each in carried if each in frame]


def _table(rows: Sequence[Any], by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Lay rows out with grouping columns behind the first column; the table carries their names."""
    if taken := [each for each in by if each in columns]:
        msg = f"grouping {taken[0]!r} has the name of a column of the result; rename it in the data"
        raise StudyError(msg)
    first, *others = columns
    table = pd.DataFrame(rows, columns=[first, *by, *others])
    table.attrs["groupings"] = list(by)
    return table


def count_next(
    paths: Paths, log: EventLog, steps: Sequence[str], by: Sequence[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Count by step what customers who deviated there did next.

    The next event is the first one, of any name, strictly later than the last step they reached. A
    step taken after the window is named with "(too late)".

    Returns:
        By step, rows of iteration, cohort, event and customers; the event is None for customers who
        did nothing more by `as_of`.
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
    """Return the places of the entries that deviated at a step, and when each reached the one before."""
    place = paths.flow.names.index(step)
    entries, missed = paths.entries, paths.metric(step)
    before = entries.after[paths.flow.names[place - 1]] if place else np.zeros_like(missed.took)
    deviated = np.flatnonzero((before >= 0) & missed.missed)
    return deviated, (entries.entered + before)[deviated]


def _next(
    paths: Paths, log: EventLog, coding: Coding, left: Mapping[str, tuple[Ints, Ints]]
) -> dict[str, Ints]:
    """Return by step the place of each one's next event; for none, the place after the last."""
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
    for chunk in chain.from_iterable(
        chunks(
            numbering.number(rows),
            customers=numbering.count,
            rows=log.facts.rows,
            codes=nothing,
            start=min(begin),
            until=paths.as_of,
        )
    ):
        scale = chunk.scale
        keys, _ = chunk.rows(nothing)
        code = np.repeat(np.arange(nothing), np.diff(chunk.ends))
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
    """Return the table of what deviated customers did next, the most frequent event first."""
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
            in_order(row["cohort"]),
            steps.index(row["step"]),
            -row["customers"],
            row["event"],
        )
    )
    shown = [
        (
            row["iteration"],
            *row["cohort"],
            row["step"],
            row["event"],
            row["customers"],
            row["customers"] / totals[row["iteration"], row["cohort"], row["step"]],
        )
        for row in rows
    ]
    return _table(shown, by, NEXT_COLUMNS)


def learning_metrics(
    log: EventLog,
    flow: Flow,
    iterations: Sequence[Iteration],
    by: Mapping[str, GroupingKind] | None = None,
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Count how the customers of every iteration and cohort followed the flow.

    Args:
        log: The event log.
        flow: The customer flow.
        iterations: The iterations to count.
        by: Grouping columns of the log that divide customers into cohorts, with their kinds.
        as_of: The time as of which the log is read; the newest event unless given.

    Returns:
        One row an iteration, cohort and step: entered = aligned + deviated + pending customers;
        rate = converted / closed with its Wilson interval at 95 %; step_rate, a fraction;
        median_hours from the trigger to the step.

    Raises:
        DataError: The log cannot be read, or `by` names no column of it.

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
    """Count the paths of every iteration and cohort.

    The steps come first, then adoption and the outcome, where the flow follows them.
    """
    flow, cohorts = paths.flow, paths.by(by)
    # A step's rate is about the entrants, those of adoption and the outcome about their own.
    bases = {name: _Base.of(cohorts, paths.metric(name)) for name in (flow.names[0], *flow.ends)}
    base = {name: bases.get(name, bases[flow.names[0]]) for name in flow.metrics}
    reached = at_once(lambda name: base[name].reach(paths.metric(name)), flow.metrics)
    before = [bases[flow.names[0]].counts, *(counts for counts, _ in reached)]
    gone = _gone(paths, cohorts)
    return [
        StepCounts(
            iteration=paths.spans[span].name,
            cohort=cohort,
            step=name,
            entered=int(entered[place].sum()),
            aligned=int(now[place].sum()),
            pending=int(entered[place, 0] - now[place, 0] - gone[name][place]),
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


def _gone(paths: Paths, cohorts: Cohorts) -> dict[str, Ints]:
    """Count by metric the customers of each cohort who left there while they still had time."""
    flow, gone = paths.flow, {}
    if not flow.exits:
        return dict.fromkeys(flow.metrics, np.zeros(len(cohorts.labels), dtype=np.int64))
    there = np.ones(len(cohorts.number), dtype=bool)
    for name in flow.metrics:
        metric = paths.metric(name)
        gone[name] = cohorts.count(there & metric.missed & ~metric.closed)
        there = metric.reached if name in flow.names else there
    return gone


@dataclass(frozen=True)
class _Base:
    """The customers in a rate's denominator.

    `kind` is for each entry twice its cohort's number, and one more if it is closed; `counts` is for
    each cohort the open and the closed entries.
    """

    kind: Ints
    counts: Ints

    @classmethod
    def of(cls, cohorts: Cohorts, metric: Metric) -> _Base:
        kind = cohorts.number * 2 + metric.closed
        return cls(kind, _pairs(kind[metric.about], len(cohorts.labels)))

    def reach(self, metric: Metric) -> tuple[Ints, Array]:
        """Count the open and closed entries of each cohort that reached a metric; add their median time."""
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
    """Count by iteration the customers who returned and had the outcome, both in the outcome's window.

    The total is of the entrants whose outcome window is over. Empty for a flow that does not follow
    both.
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
    """Return the table of learning metrics: one row an iteration, cohort and step."""
    order = {name: place for place, name in enumerate(iterations)}
    places = {name: place for place, name in enumerate(steps)}
    rows = sorted(
        (each for each in counts if each.iteration in order),
        key=lambda row: (order[row.iteration], in_order(row.cohort), places[row.step]),
    )
    return _table([_row(each) for each in rows], by, LEARNING_COLUMNS)


def _row(counts: StepCounts) -> tuple[Any, ...]:
    return (
        counts.iteration,
        *counts.cohort,
        counts.step,
        *(getattr(counts, name) for name in (*FACTS, "converted", "closed")),
        counts.of_entrants.rate,
        *wilson(counts.of_entrants),
        counts.converted / counts.before if counts.before else math.nan,
        counts.median_hours,
    )


class RetentionPoint(NamedTuple):
    """One day of a retention curve: customers at risk, customers who adopted, and the share by its end."""

    days: int
    at_risk: int
    adopted: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Followed:
    """Customers of an iteration and cohort by days: those who adopted, and those censored."""

    iteration: str
    cohort: tuple[str, ...]
    adopted: Mapping[int, int]
    censored: Mapping[int, int]


def curve(
    adopted: Mapping[int, int], censored: Mapping[int, int], confidence_level: float = 0.95
) -> list[RetentionPoint]:
    """Estimate the share who adopted by each day: 1 - Kaplan-Meier (1958).

    The interval takes Greenwood's variance (1926) to the scale of log(-log), which keeps it between
    0 and 1 (Kalbfleisch & Prentice 1980).

    Args:
        adopted: Customers by the day on which they adopted.
        censored: Customers by the last day on which they were followed without adopting; they are
            at risk on that day.
        confidence_level: The interval's level.

    Returns:
        A point for day 0, for each day on which somebody adopted, and for the last day on which
        anybody was followed. The interval is NaN at a share of 0 or 1.

    >>> [(each.days, each.at_risk, round(each.share, 3)) for each in curve({1: 2, 3: 1}, {2: 1, 5: 4})]
    [(0, 8, 0.0), (1, 8, 0.25), (3, 5, 0.4), (5, 4, 0.4)]
    """
    at_risk = sum(adopted.values()) + sum(censored.values())
    ends = sorted({*adopted, *censored})
    z = NormalDist().inv_cdf(0.5 + confidence_level / 2)
    points, staying, variance = [], 1.0, 0.0
    if at_risk and 0 not in adopted:
        points.append(RetentionPoint(0, at_risk, 0, 0.0, math.nan, math.nan))
    for day in ends:
        took = adopted.get(day, 0)
        if took:
            staying *= 1 - took / at_risk
            left = at_risk - took
            variance += took / (at_risk * left) if left else math.inf
        if took or (day == ends[-1] and day):
            points.append(
                RetentionPoint(day, at_risk, took, 1 - staying, *_interval(staying, variance, z))
            )
        at_risk -= took + censored.get(day, 0)
    return points


def _interval(staying: float, variance: float, z: float) -> tuple[float, float]:
    if not 0 < staying < 1:
        return math.nan, math.nan
    spread = math.exp(z * math.sqrt(variance) / -math.log(staying))
    return 1 - staying ** (1 / spread), 1 - staying**spread


def count_followed(paths: Paths, by: Sequence[str] = ()) -> list[Followed]:
    """Count on which day customers adopted, or until which day they were followed.

    Days are whole: a return within d days, of a customer followed for d days, is on day d.
    """
    flow, entries = paths.flow, paths.entries
    if not flow.follows_return:
        return []
    need, returned = entries.after[flow.need_met], entries.after[ADOPTION]
    followed = (paths.as_of - entries.entered - need) // DAY
    waited = (returned - need + DAY - 1) // DAY
    adopted = (returned >= 0) & (waited <= followed)
    days, cohorts = np.where(adopted, waited, followed), paths.by(by)
    met = np.flatnonzero(need >= 0)
    met = met[np.argsort(cohorts.number[met], kind="stable")]
    found = []
    for those in np.split(met, np.flatnonzero(np.diff(cohorts.number[met])) + 1):
        if len(those):
            span, cohort = cohorts.labels[cohorts.number[those[0]]]
            took = Counter(days[those[adopted[those]]].tolist())
            left = Counter(days[those[~adopted[those]]].tolist())
            found.append(Followed(paths.spans[span].name, cohort, took, left))
    return found


def retention_table(
    counted: Sequence[Followed], by: Sequence[str], iterations: Sequence[str]
) -> pd.DataFrame:
    """Return the table of retention curves: one row an iteration, cohort and day."""
    here = sorted(
        (each for each in counted if each.iteration in iterations),
        key=lambda each: (iterations.index(each.iteration), in_order(each.cohort)),
    )
    rows = [
        (each.iteration, *each.cohort, *point)
        for each in here
        for point in curve(each.adopted, each.censored)
    ]
    return _table(rows, by, RETENTION_COLUMNS)
