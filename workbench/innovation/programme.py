"""The programme: what a year of iterations taught, over all hypotheses, steps and strategic metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.paths import count_apart
from workbench.data.study_data import StudyData
from workbench.experiments.discoveries import Effect
from workbench.experiments.verdict import Evaluation
from workbench.innovation.backlog import Guessing
from workbench.innovation.strategy import (
    Level,
    Standing,
    amount,
    assess_strategy,
    strategy_levels,
)
from workbench.schema.hypothesis import Verdict
from workbench.schema.strategy import course_start, first_day
from workbench.schema.study import StudySpec
from workbench.schema.time import Period, from_instant
from workbench.stats.multiplicity import holm
from workbench.stats.proportions import Comparison, Counts, compare
from workbench.stats.shrinkage import Shrunken, shrunken_sum
from workbench.stats.stratified import interaction

LEVEL = 0.05
POWER = 0.8
FEWEST = 6  # periods of a strategic metric before its course, for its noise to be known
FARTHEST = 400  # periods after the start of a course that are looked through
UNDATED = "all"
HOURS = 24.0  # of a day


@dataclass(frozen=True)
class Programme:
    """What all iterations of a study taught.

    Attributes:
        quarters: The claims of each quarter and what became of them.
        impacts: What shipped on each metric, shrunken and summed.
        guessing: How well impact was guessed.
        steps: Which metrics improved over the iterations.
        movable: When each strategic metric could move at all.
        levels: The strategic metrics by level of each grouping that their table has.
        novelties: Each claim's effect among its first and its last entrants.
    """

    quarters: tuple[Quarter, ...]
    impacts: tuple[Impact, ...]
    guessing: Guessing
    steps: tuple[StepTrend, ...]
    movable: tuple[Movable, ...]
    levels: tuple[Level, ...]
    novelties: tuple[Novelty, ...]

    def rows(self) -> dict[str, Any]:
        """Return every table as rows of plain values."""
        return {
            "quarters": [asdict(each) for each in self.quarters],
            "impact": [each.row() for each in self.impacts],
            "guesses": [each.row() for each in self.guessing.tests],
            "guessing": self.guessing.sentence,
            "steps": [each.row() for each in self.steps],
            "movable": [asdict(each) for each in self.movable],
            "levels": [each.row() for each in self.levels],
            "novelty": [each.row() for each in self.novelties],
        }


def review_programme(
    data: StudyData,
    evaluations: Sequence[Evaluation],
    guessing: Guessing,
    counts: Sequence[StepCounts],
    at: datetime | None = None,
) -> Programme:
    """Say what all iterations of a study taught, as of a time.

    Args:
        data: The study's data.
        evaluations: Those of all iterations.
        guessing: How well impact was guessed.
        counts: The counts of all customers in each iteration, of lost ones as recorded.
        at: The time; the newest event for None.
    """
    spec = data.spec
    days = {
        step: float(np.median(known)) / HOURS
        for step in spec.metrics
        if (known := [each.median_hours for each in counts if each.step == step and each.converted])
    }
    standings = () if spec.strategy is None else assess_strategy(data, at).standings
    return Programme(
        tuple(quarters(spec, evaluations)),
        tuple(impacts(evaluations)),
        guessing,
        tuple(step_trends(spec, counts)),
        tuple(movable(spec, standings, days)),
        tuple(strategy_levels(data, at)),
        tuple(novelties(data, evaluations, at)),
    )


@dataclass(frozen=True)
class Quarter:
    """The claims of one quarter: how many were tested, and what became of them."""

    quarter: str
    iterations: int
    claims: int
    supported: int
    discoveries: int
    refuted: int
    harmful: int
    inconclusive: int
    invalid: int
    open: int


def quarters(spec: StudySpec, evaluations: Iterable[Evaluation]) -> list[Quarter]:
    """Count the claims of each quarter by their verdicts; a claim is a version with a treatment."""
    names: dict[str, list[str]] = {}
    for each in spec.iterations:
        day = None if each.start is None else first_day(each.start)
        name = UNDATED if day is None else Period.containing(day, "quarter").name
        names.setdefault(name, []).append(each.name)
    every = list(evaluations)
    found = []
    for name, iterations in names.items():
        here = [each for each in every if each.iteration in iterations]
        said = [None if _is_open(each) else each.verdict for each in here]
        count = {verdict: said.count(verdict) for verdict in Verdict}
        found.append(
            Quarter(
                name,
                len(iterations),
                len(here),
                count[Verdict.SUPPORTED],
                sum(
                    each.success and each.standing is not None and each.standing.found
                    for each in here
                ),
                count[Verdict.REFUTED],
                count[Verdict.HARMFUL],
                count[Verdict.INCONCLUSIVE],
                count[Verdict.INVALID],
                said.count(None),
            )
        )
    return found


def _is_open(found: Evaluation) -> bool:
    return found.progress.early and found.recorded is None


@dataclass(frozen=True)
class Impact:
    """What shipped on one metric: the supported claims, and their effects shrunken and summed."""

    metric: str
    claims: tuple[str, ...]
    total: Shrunken

    @property
    def sentence(self) -> str:
        """The sum in words."""
        worth = display.effect(self.total.estimate, self.total.low, self.total.high)
        rests = f"; it {self.total.reason}" if self.total.reason else ""
        return f"{self.metric}: {worth} points from {', '.join(self.claims)} (90% interval){rests}."

    def row(self) -> dict[str, Any]:
        """Return the sum as one row of plain values."""
        return {"metric": self.metric, "claims": list(self.claims), **asdict(self.total)}


def impacts(evaluations: Iterable[Evaluation]) -> list[Impact]:
    """Sum what shipped on each metric: the newest supported version of each hypothesis.

    All final effects tell how large effects are, and each is shrunken by that. A claim whose guardrail
    is at risk did not ship, nor did one of any effect that found less.
    """
    final = [
        each
        for each in evaluations
        if each.verdict is not Verdict.INVALID
        and not _is_open(each)
        and each.comparison.control.total
        and each.comparison.treatment.total
    ]
    effects = [Effect.of(each.comparison.control, each.comparison.treatment) for each in final]
    newest = {
        each.hypothesis.name: place
        for place, each in sorted(enumerate(final), key=lambda one: one[1].hypothesis.version)
        if each.success and not _found_less(each)
    }
    metrics: dict[str, list[int]] = {}
    for place in newest.values():
        metrics.setdefault(final[place].hypothesis.metric, []).append(place)
    return [
        Impact(
            metric,
            tuple(f"{final[place].name} {final[place].hypothesis.version}" for place in places),
            shrunken_sum(
                [each.estimate for each in effects], [each.error for each in effects], places
            ),
        )
        for metric, places in metrics.items()
    ]


def _found_less(found: Evaluation) -> bool:
    return found.hypothesis.alternative == "two-sided" and found.comparison.estimate < 0


@dataclass(frozen=True)
class StepTrend:
    """How a metric's rate moved over the iterations; nothing was randomized between them.

    `change` is the newest rate minus the first one; `pvalue` that of a trend over all iterations
    (Cochran-Armitage), after Holm's method over all metrics.
    """

    step: str
    first: Counts
    newest: Counts
    change: Comparison
    pvalue: float

    @property
    def word(self) -> str:
        """Whether the metric improved, got worse, or neither clearly."""
        if math.isnan(self.pvalue):
            return "cannot tell"
        if self.pvalue > LEVEL:
            return "no clear change"
        return "improved" if self.change.estimate > 0 else "worse"

    def row(self) -> dict[str, Any]:
        """Return the trend as one row of plain values."""
        return {
            "step": self.step,
            "first_rate": self.first.rate,
            "newest_rate": self.newest.rate,
            "estimate": self.change.estimate,
            "low": self.change.low,
            "high": self.change.high,
            "pvalue": self.pvalue,
            "word": self.word,
        }


def step_trends(spec: StudySpec, counts: Sequence[StepCounts]) -> list[StepTrend]:
    """Test each metric for a trend over the iterations in which its window is over for somebody.

    A metric of a flow without a window has no trend: later customers had less time.
    """
    found, raw = [], []
    timed = [each for each in spec.metrics if spec.flow is None or spec.flow.window_of(each)]
    for step in timed:
        rates = []
        for iteration in (each.name for each in spec.iterations):
            here = [each for each in counts if (each.iteration, each.step) == (iteration, step)]
            rate = Counts(sum(each.converted for each in here), sum(each.closed for each in here))
            rates += [rate] if rate.total else []
        if len(rates) < 2:
            continue
        found.append((step, rates[0], rates[-1], compare(control=rates[0], treatment=rates[-1])))
        raw.append(trend_pvalue(rates))
    known = [each for each in raw if not math.isnan(each)]
    adjusted = iter(holm(known))
    pvalues = [each if math.isnan(each) else next(adjusted) for each in raw]
    return [StepTrend(*each, pvalue) for each, pvalue in zip(found, pvalues, strict=True)]


def trend_pvalue(rates: Sequence[Counts]) -> float:
    """Return the two-sided p-value of a linear trend of rates (Cochran-Armitage); NaN without one.

    >>> round(trend_pvalue([Counts(10, 50), Counts(15, 50), Counts(22, 50)]), 4)
    0.0099
    """
    from statsmodels.stats.contingency_tables import Table

    table = np.array([[each.total - each.converted, each.converted] for each in rates], dtype=float)
    if (table.sum(axis=0) == 0).any():
        return math.nan
    return float(Table(table, shift_zeros=False).test_ordinal_association().pvalue)


@dataclass(frozen=True)
class Movable:
    """When a strategic metric could move at all, and when its course could be told from chance.

    Attributes:
        name: The metric.
        moves_from: The first period in which customers may have moved it.
        noise: The standard deviation of its periods before the course; NaN where they are too few.
        earliest: The period in which its course is told from chance with 80 % power; empty if in none
            up to its date.
        smallest: The move by its date that could be told then.
        sentence: That in words.
    """

    name: str
    moves_from: str
    noise: float
    earliest: str
    smallest: float
    sentence: str


def movable(
    spec: StudySpec, standings: Iterable[Standing], days: dict[str, float]
) -> list[Movable]:
    """Say when each strategic metric could move, and when that could be told from its own noise.

    Args:
        spec: The study file.
        standings: The strategic metrics against their courses.
        days: The days after which half of those who reach a metric of the flow have, by metric.
    """
    return [_movable(spec, each, days) for each in standings]


def _movable(spec: StudySpec, standing: Standing, days: dict[str, float]) -> Movable:
    metric, periods = standing.metric, [Period.read(each.period) for each in standing.points]
    begun = course_start(metric, spec.iterations) or periods[0].start
    slowest = max(metric.fed_by, key=lambda each: days.get(each, 0.0), default="")
    lag = days.get(slowest, 0.0)
    moves = begun + timedelta(days=math.ceil(lag))
    first = Period.containing(moves, periods[0].kind)
    values = [
        point.value
        for point, each in zip(standing.points, periods, strict=True)
        if each.end <= moves
    ]
    after = "a day" if round(lag) == 1 else f"{lag:.0f} days"
    fed = f", and {slowest} comes {after} after the trigger at the median," if slowest else ""
    lead = f"{standing.name}: its course begins on {begun}{fed} so it can move from {first.name} on"
    if len(values) < FEWEST:
        said = f"{lead}; {len(values)} periods before that are too few to know its noise ({FEWEST} needed)."
        return Movable(standing.name, first.name, math.nan, "", math.nan, said)
    noise = _noise(values)
    target = abs(metric.target - metric.baseline)
    shares = _course(periods[0], len(values), moves, metric.by)
    places = range(1, len(shares) + 1)
    found = (n for n in places if _smallest(noise, shares[:n], len(values)) <= target)
    told = next((shares[n - 1][0] for n in found), None)
    within = [share for share in shares if share[0].middle <= metric.by]
    smallest = _smallest(noise, within, len(values))
    by = f"{metric.by:%Y-%m-%d}"
    end = (
        f"a move to {amount(metric.target, metric.unit)} could be told from chance in {told.name} "
        "at the earliest (80% power)"
        if told is not None
        else f"not even in {FARTHEST} periods could its course be told from chance"
    )
    if told is None or told.middle > metric.by:
        end += (
            f", not by its date, {by}: by then only a move of {amount(smallest, metric.unit)} could"
        )
    said = f"{lead}; its noise is {amount(noise, metric.unit)} a period, so that {end}."
    return Movable(standing.name, first.name, noise, told.name if told else "", smallest, said)


def _noise(values: Sequence[float]) -> float:
    """Return the spread of values around their line, widened by their autocorrelation."""
    series = np.asarray(values, dtype=float)
    design = np.column_stack([np.ones(len(series)), np.arange(len(series))])
    residuals = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
    spread = math.sqrt(float((residuals**2).sum()) / (len(series) - 2))
    own = float((residuals**2).sum())
    lag = float((residuals[1:] * residuals[:-1]).sum()) / own if own else 0.0
    lag = min(max(lag, 0.0), 0.8)
    return spread * math.sqrt((1 + lag) / (1 - lag))


def _course(first: Period, before: int, moves: date, by: date) -> list[tuple[Period, float]]:
    """Return the periods after a course begins to move, each with its share of the way to the target."""
    found = []
    for place in range(FARTHEST):
        period = Period(first.kind, first.number + before + place)
        share = (period.middle - moves) / max(by - moves, timedelta(days=1))
        found.append((period, min(max(share, 0.0), 1.0)))
    return found


def _smallest(noise: float, course: Sequence[tuple[Period, float]], before: int) -> float:
    """Return the smallest move by the target's date that a regression on its course shows with power."""
    from scipy import stats

    shares = np.array([*([0.0] * before), *(share for _, share in course)])
    spread = float(((shares - shares.mean()) ** 2).sum())
    freedom = len(shares) - 2
    if not spread or freedom < 1:
        return math.inf
    wanted = stats.t.ppf(1 - LEVEL, freedom) + stats.t.ppf(POWER, freedom)
    return float(wanted * noise / math.sqrt(spread))


@dataclass(frozen=True)
class Novelty:
    """An effect among the first and the last half of a version's entrants; exploratory."""

    hypothesis: str
    version: int
    iteration: str
    until: datetime
    early: Comparison
    late: Comparison
    pvalue: float

    def row(self) -> dict[str, Any]:
        """Return the effects as one row of plain values."""
        ends = {
            f"{name}_{end}": getattr(found, end)
            for name, found in (("early", self.early), ("late", self.late))
            for end in ("estimate", "low", "high")
        }
        named = {
            "hypothesis": self.hypothesis,
            "version": self.version,
            "iteration": self.iteration,
        }
        return {**named, "until": self.until.isoformat(), **ends, "pvalue": self.pvalue}


def novelties(
    data: StudyData, evaluations: Iterable[Evaluation], at: datetime | None
) -> Iterator[Novelty]:
    """Yield each valid claim's effect among the first and the last half of its entrants.

    Only an event log tells who came first, so there is none for other data. A claim before and after
    has no halves in common, and without a window the last half had less time.
    """
    for each in evaluations:
        claim = each.hypothesis
        if data.journeys is None or claim.before_after or each.verdict is Verdict.INVALID:
            continue
        if each.window is None:
            continue
        sides = [(cohort, claim.iteration) for cohort in (claim.control, claim.treatment)]
        times = [data.entry_times(cohort, claim.iteration, at) for cohort, _ in sides]
        entered = np.concatenate([arm for arm in times if arm is not None])
        if not len(entered):
            continue
        middle = int(np.median(entered))
        paths = data.journeys.paths(at, data.flow_of(claim))
        first, _ = count_apart(paths, claim.metric, sides, [], middle)
        whole, _ = count_apart(paths, claim.metric, sides, [], None)
        last = [
            Counts(every.converted - half.converted, every.total - half.total)
            for every, half in zip(whole, first, strict=True)
        ]
        if not all(counts.total for counts in (*first, *last)):
            continue
        early, late = (claim.compare(control=pair[0], treatment=pair[1]) for pair in (first, last))
        differ = interaction([(first[0], first[1]), (last[0], last[1])]).pvalue
        yield Novelty(
            each.name, claim.version, claim.iteration, from_instant(middle), early, late, differ
        )
