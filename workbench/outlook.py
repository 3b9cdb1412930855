"""The outlook of a study: strategy, feedback and backlog, gathered from what its file names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from workbench import backlog, courses, voices
from workbench.engines import Frame, read_table
from workbench.errors import StudyError, WorkbenchError
from workbench.feedback import COLUMNS, read_feedback
from workbench.hypothesis import Hypothesis, Verdict
from workbench.iterations import from_instant
from workbench.listening import entries
from workbench.scores import Idea, Status
from workbench.steps import StepCounts
from workbench.strategy import read_strategy
from workbench.study_data import StudyData
from workbench.verdicts import Evaluation

Evaluate = Callable[[str, datetime | None], list[Evaluation]]


def strategy(data: StudyData, at: datetime | None) -> courses.Strategy:
    """Hold each strategic metric against its course; raise StudyError for a study with none."""
    source = data.spec.strategy
    if source is None:
        raise StudyError("the study names no strategic metrics; add strategy with its metrics")
    series = read_strategy(_table(data, source.source, source.columns), source)
    until = None if at is None else at.astimezone(ZoneInfo(data.spec.timezone)).date()
    return courses.weigh(series, source, data.spec.iterations, until)


def feedback(data: StudyData, iteration: str | None, at: datetime | None = None) -> voices.Feedback:
    """Weigh what customers said by a time with what they did; StudyError if there is no feedback."""
    spec, source = data.spec, data.spec.feedback
    if source is None:
        raise StudyError("the study names no feedback; add feedback: {source: data/feedback.csv}")
    table = _table(data, source.source, COLUMNS)
    remarks = read_feedback(table, source, spec.metrics, tuple(spec.groupings))
    named = [each.customer for each in remarks if each.customer is not None]
    until = None if at is None else at.astimezone(ZoneInfo(spec.timezone)).date()
    return voices.weigh(
        remarks,
        entries(data, named, at),
        source,
        steps=spec.metrics,
        groupings=tuple(spec.groupings),
        iterations=spec.iterations,
        claims=[
            *(voices.Claim(each.name, each.version, each.evidence) for each in spec.hypotheses),
            *(voices.Claim(each.name, 1, each.evidence) for each in spec.ideas),
        ],
        iteration=iteration,
        until=until,
    )


def gathered(data: StudyData, evaluate: Evaluate, at: datetime | None) -> backlog.Backlog:
    """Rank what is not tested yet, with what a test costs, and look back on earlier guesses.

    `evaluate` looks at the hypotheses of an iteration. Of one only the newest version counts. Where it names no status, its iteration tells:
    planned before it starts, running until it ends, tested from then on.
    """
    if data.spec.feedback is not None:
        feedback(data, None)  # so that cited evidence exists
    every = sorted(data.spec.hypotheses, key=lambda each: each.version)
    newest: list[Hypothesis | Idea] = [*{each.name: each for each in every}.values()]
    candidates = [
        backlog.Candidate(
            each.name,
            each.version if isinstance(each, Hypothesis) else 1,
            each.statement,
            status,
            each.impact,
            each.ease,
            each.confidence,
            each.evidence,
            _cost(data, each, at),
        )
        for each in [*newest, *data.spec.ideas]
        if (status := _status(data, each, at)) != "tested"
    ]
    return backlog.Backlog(
        backlog.rank(candidates), backlog.guessing(list(_tried(data, evaluate, at)))
    )


def problems(data: StudyData) -> list[str]:
    """Name what is wrong with strategic metrics, feedback and evidence, one sentence each."""
    found = []
    for there, ask in (
        (data.spec.strategy, lambda: strategy(data, None)),
        (data.spec.feedback, lambda: feedback(data, None)),
    ):
        try:
            _ = ask() if there is not None else None
        except WorkbenchError as error:
            found.append(str(error))
    return found


def _tried(data: StudyData, evaluate: Evaluate, at: datetime | None) -> Iterator[backlog.Tried]:
    """Give each test whose impact was guessed, unless it broke; of several treatments each."""
    claims = [each for each in data.spec.hypotheses if _status(data, each, at) == "tested"]
    for iteration in dict.fromkeys(each.iteration for each in claims):
        known = {(each.name, each.version) for each in claims}
        for each in evaluate(iteration, at):
            claim = each.hypothesis
            sound = each.verdict is not Verdict.INVALID
            if sound and (claim.name, claim.version) in known and claim.impact is not None:
                yield _tried_one(each)


def _tried_one(found: Evaluation) -> backlog.Tried:
    claim, effect = found.hypothesis, found.comparison
    ends = (effect.estimate, effect.low, effect.high)
    if claim.alternative == "less":
        ends = (-effect.estimate, -effect.high, -effect.low)
    impact = claim.impact or backlog.ANY
    return backlog.Tried(claim.name, claim.version, impact, *ends, found.label)


def _status(data: StudyData, claim: Hypothesis | Idea, at: datetime | None) -> Status:
    if claim.status is not None:
        return claim.status
    span = next((each for each in data.spans if each.name == claim.iteration), None)
    seen = data.newest(at)
    if span is None or seen is None:
        return "tested"
    if seen < from_instant(span.start):
        return "planned"
    return "running" if seen < from_instant(span.end) else "tested"


def _cost(data: StudyData, claim: Hypothesis | Idea, at: datetime | None) -> backlog.Cost:
    """Say what a test takes, from the newest rates of its metric and of entry.

    Both are those of the cohort that it is about, if it is about one in particular.
    """
    if claim.metric is None:
        return backlog.Cost(reason="it names no metric")
    fixed = dict(claim.control.values) if isinstance(claim, Hypothesis) else {}
    wanted = {name: value for name, value in fixed.items() if name not in data.experiments}
    counts = [
        each for each in data.counts(list(wanted), at) if each.cohort == tuple(wanted.values())
    ]
    return backlog.cost(
        baseline=_baseline(data, counts, claim.metric),
        minimum_effect=claim.minimum_effect,
        alternative=claim.alternative,
        alpha=claim.alpha,
        power=claim.power,
        weekly=_weekly(data, counts, claim.metric, at),
    )


def _baseline(data: StudyData, counts: Sequence[StepCounts], metric: str) -> float:
    """Give the rate of the newest iteration in which most windows are over, or else any is."""
    for least in (0.5, 0.0):
        for iteration in reversed([each.name for each in data.spec.iterations]):
            here = [each for each in counts if (each.iteration, each.step) == (iteration, metric)]
            closed = sum(each.closed for each in here)
            if closed > least * sum(each.entered for each in here):
                return sum(each.converted for each in here) / closed
    return math.nan


def _weekly(
    data: StudyData, counts: Sequence[StepCounts], metric: str, at: datetime | None
) -> float:
    """Give how many customers a week a test of a metric gains, in the newest iteration of a week.

    They are the flow's entrants; for adoption, those who had an opportunity.
    """
    seen, flow = data.newest(at), data.spec.flow
    if seen is None:
        return math.nan
    gained = metric if flow is not None and metric in flow.ends else data.spec.steps[0]
    for span in sorted(data.spans, key=lambda each: each.start, reverse=True):
        start, end = from_instant(span.start), min(from_instant(span.end), seen)
        weeks = (end - start) / timedelta(weeks=1)
        if weeks >= 1:
            here = [each for each in counts if (each.iteration, each.step) == (span.name, gained)]
            return sum(each.entered for each in here) / weeks
    return math.nan


def _table(data: StudyData, source: str, columns: Sequence[str]) -> Frame:
    return read_table(source, data.folder, duckdb.connect(), as_text=columns)
