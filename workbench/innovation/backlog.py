"""The backlog: what to try next, what a test costs, and the one next thing to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.study_data import StudyData
from workbench.errors import StudyError, WorkbenchError
from workbench.experiments.over_versions import OverVersions
from workbench.experiments.verdict import Evaluation
from workbench.innovation.feedback import summarize_feedback
from workbench.innovation.learning import Learned, MethodRecord, WayToLearn
from workbench.innovation.strategy import assess_strategy
from workbench.schema.hypothesis import HIGHEST, LOWEST, Hypothesis, Idea, Rating, Status, Verdict
from workbench.schema.time import from_instant
from workbench.stats.power import customers_needed
from workbench.stats.proportions import Alternative
from workbench.stats.versions import running_answer

DRAWS = 4_000
SEED = 1_905
LEVEL = 0.9
FEWEST_TESTS = 5
MOST_WEEKS = 8  # a test that takes longer is begun with a prototype
PROMISING = 0.84  # z of versions that are worth another one
UNSURE = 3.0  # scores up to here call for an interview, or for a prototype
ANY = Rating(low=LOWEST, high=HIGHEST)
LEARNING_RULE = (
    "Cheapest way to learn: an interview while no remark is cited or confidence is 3 or less; a "
    "prototype if an A/B test cannot be planned, would take more than 8 weeks, or ease is 3 or "
    "less; else an A/B test."
)
UNRANKED = (math.nan, math.nan, math.nan, math.nan, math.nan)
Way = Literal["interview", "prototype", "A/B test"]
ADVICE_RULE = (
    "The rule: first mend an invalid comparison, then let a test run on that was looked at before "
    "its end, then decide on a guardrail at risk, each in the newest iteration first. If nothing of "
    "that is open, try a new version of the hypothesis whose versions point the right way (z of 0.84 or "
    "more, p of 0.2 or less) and come nearest to being enough; or else the first of the backlog, in the cheapest way to learn."
)
NOTHING = (
    "Talk to customers: every test is settled, and the backlog holds nothing to try; write down what "
    "they say as ideas."
)
Kind = Literal["mend", "wait", "decide", "version", "try", "listen"]
Evaluate = Callable[[str, datetime | None], list[Evaluation]]


@dataclass(frozen=True)
class Cost:
    """What a test takes: customers in both cohorts together, and weeks until they have entered.

    `effect` is the change of the rate `baseline` to show, a signed fraction. Numbers that are not
    known are NaN, and `reason` says why.
    """

    customers: float = math.nan
    weeks: float = math.nan
    baseline: float = math.nan
    effect: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class Candidate:
    """Something to try: an untested hypothesis, or an idea."""

    name: str
    version: int
    statement: str
    status: Status
    impact: Rating | None
    ease: Rating | None
    confidence: Rating | None
    evidence: tuple[str, ...] = ()
    cost: Cost = Cost()


@dataclass(frozen=True)
class Ranked:
    """A candidate with its rank, and the cheapest way to learn about it.

    `low` and `high` are the 5th and 95th percentile of its rank over the draws, `first` is the share
    of draws in which nothing ranked before it. Without impact or ease they are NaN.
    """

    candidate: Candidate
    rank: float
    score: float
    low: float
    high: float
    first: float
    learn_by: Way
    why: str

    def row(self) -> dict[str, Any]:
        """Return the candidate as one row of plain values."""
        each, cost = self.candidate, self.candidate.cost
        scores = {name: getattr(each, name) for name in ("impact", "ease", "confidence")}
        return {
            "rank": _count(self.rank),
            "hypothesis": each.name,
            "version": each.version,
            "status": each.status,
            **{name: "" if score is None else str(score) for name, score in scores.items()},
            "score": self.score,
            "rank_low": _count(self.low),
            "rank_high": _count(self.high),
            "first": self.first,
            "learn_by": self.learn_by,
            "customers": _count(cost.customers),
            "weeks": cost.weeks,
            "evidence": len(each.evidence),
            "why": self.why,
            "statement": each.statement,
        }


@dataclass(frozen=True)
class Tried:
    """A tested hypothesis: the impact that was guessed, and the effect that was found.

    `realised`, with its interval, is the effect in the direction of the hypothesis: below zero, it
    went the other way.
    """

    name: str
    version: int
    impact: Rating
    realised: float
    low: float
    high: float
    verdict: str

    def row(self) -> dict[str, Any]:
        """Return the test as one row of plain values."""
        return {
            "hypothesis": self.name,
            "version": self.version,
            "impact": str(self.impact),
            "realised": self.realised,
            "low": self.low,
            "high": self.high,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Guessing:
    """How well impact is guessed: Spearman's correlation of guessed impacts and realised effects."""

    tests: tuple[Tried, ...]
    correlation: float = math.nan
    low: float = math.nan
    high: float = math.nan
    sentence: str = ""


@dataclass(frozen=True)
class Backlog:
    """What to try, ranked, how well impact was guessed before, and what findings tell."""

    ranked: tuple[Ranked, ...]
    guessing: Guessing
    learned: Learned = field(default_factory=Learned)

    @property
    def methods(self) -> tuple[MethodRecord, ...]:
        """What each method of learning said of tried ideas, beside what A/B tests found."""
        return self.learned.methods

    def ways(self, each: Ranked) -> tuple[WayToLearn, ...]:
        """Return the ways to learn about a candidate, the cheapest first."""
        known = each.candidate
        return self.learned.ways(known.name, known.version, known.cost.weeks)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each candidate, by rank, with its chance and its ways to learn."""
        found = []
        for each in self.ranked:
            known = each.candidate
            learned = self.learned.row(known.name, known.version, known.cost.weeks)
            found.append({**each.row(), **learned})
        return found


def rank(candidates: Sequence[Candidate]) -> tuple[Ranked, ...]:
    """Rank candidates by impact x ease, and x confidence / 10 where any of them has one.

    The score takes the middle of each range. To say how sure a rank is, 4,000 seeded draws take each
    value uniformly from its range and rank anew. Where some candidates have a confidence, those
    without one take any from 1 to 10. Equal scores share a rank.

    Returns:
        The candidates by rank; then those without impact or ease, which have no rank.

    >>> one = Candidate("a", 1, "", "idea", Rating(low=8, high=8), Rating(low=5, high=5), None)
    >>> two = Candidate("b", 1, "", "idea", Rating(low=4, high=10), Rating(low=5, high=5), None)
    >>> [(each.candidate.name, each.score, each.low, each.high) for each in rank([two, one])]
    [('a', 40.0, 1.0, 2.0), ('b', 35.0, 1.0, 2.0)]
    """
    from scipy.stats import rankdata

    scored = [each for each in candidates if each.impact and each.ease]
    others = [each for each in candidates if not (each.impact and each.ease)]
    sure = any(each.confidence is not None for each in scored)
    ranges = np.array([_ranges(each, sure=sure) for each in scored]).reshape(len(scored), 3, 2)
    scores = ranges.mean(axis=2).prod(axis=1)
    ranks: npt.NDArray[np.float64] = rankdata(-scores, method="min") if scored else np.empty(0)
    spread = np.random.default_rng(SEED).random((DRAWS, len(scored), 3))
    drawn = (ranges[..., 0] + spread * (ranges[..., 1] - ranges[..., 0])).prod(axis=2)
    placed = rankdata(-drawn, method="min", axis=1) if scored else drawn
    beyond = (1 - LEVEL) / 2
    found = []
    for place, each in enumerate(scored):
        own = placed[:, place]
        low, high = np.quantile(own, [beyond, 1 - beyond], method="nearest")
        first = float((own == 1).mean())
        numbers = (float(ranks[place]), float(scores[place]), float(low), float(high), first)
        way, why = _way(each)
        found.append(Ranked(each, *numbers, learn_by=way, why=why))
    found.sort(key=lambda each: each.rank)
    for each in others:
        way, why = _way(each)
        found.append(Ranked(each, *UNRANKED, learn_by=way, why=why))
    return tuple(found)


def _ranges(candidate: Candidate, *, sure: bool) -> list[tuple[float, float]]:
    confidence = (1.0, 1.0)
    if sure:
        given = candidate.confidence or ANY
        confidence = (given.low / HIGHEST, given.high / HIGHEST)
    scores = (candidate.impact or ANY, candidate.ease or ANY)
    return [*((each.low, each.high) for each in scores), confidence]


def _way(candidate: Candidate) -> tuple[Way, str]:
    """Return the cheapest way to learn by LEARNING_RULE, and why."""
    confidence, ease, cost = candidate.confidence, candidate.ease, candidate.cost
    if not candidate.evidence:
        return "interview", "no customer's remark is cited"
    if confidence is not None and confidence.middle <= UNSURE:
        return "interview", f"confidence is {confidence}"
    if math.isnan(cost.customers):
        against = f"an A/B test cannot be planned: {cost.reason}"
    elif cost.weeks > MOST_WEEKS:
        against = f"an A/B test would take {cost.weeks:.0f} weeks"
    else:
        against = f"ease is {ease}" if ease is not None and ease.middle <= UNSURE else ""
    if against:
        return "prototype", against
    return "A/B test", cost.reason or f"it takes {cost.weeks:.1f} weeks"


def cost(
    *,
    baseline: float,
    minimum_effect: float,
    alternative: Alternative,
    alpha: float,
    power: float,
    weekly: float,
) -> Cost:
    """Return what a test of two equal cohorts takes.

    Args:
        baseline: Control's rate, a fraction; NaN if it is not known.
        minimum_effect: The smallest effect worth having, a fraction; 0 for none.
        alternative: The direction of the hypothesis.
        alpha: The significance level.
        power: The probability to find the minimum effect.
        weekly: The customers who enter each week; NaN if that is not known.

    >>> found = cost(baseline=0.3, minimum_effect=0.25, alternative="greater", alpha=0.05,
    ...              power=0.8, weekly=20)
    >>> found.customers, found.weeks
    (100, 5.0)
    """
    if not minimum_effect:
        return Cost(baseline=baseline, reason="it names no minimum effect")
    if math.isnan(baseline):
        return Cost(effect=minimum_effect, reason="nobody's window is over for its metric")
    effect = -minimum_effect if alternative == "less" else minimum_effect
    if alternative == "two-sided" and baseline + effect > 1:
        effect = -effect
    if not 0 <= baseline + effect <= 1:
        points = f"{100 * effect:+.3g} points"
        reason = f"from a rate of {100 * baseline:.1f}% there is no room for {points}"
        return Cost(baseline=baseline, effect=effect, reason=reason)
    needed = customers_needed(
        control_rate=baseline, effect=effect, alternative=alternative, alpha=alpha, power=power
    )
    unknown = math.isnan(weekly) or weekly <= 0
    reason = "how many customers enter a week is not known" if unknown else ""
    weeks = math.nan if unknown else 2 * needed / weekly
    return Cost(2 * needed, weeks, baseline, effect, reason)


def guessing(tests: Sequence[Tried]) -> Guessing:
    """Correlate guessed impacts with realised effects, if there are five tests or more.

    It is Spearman's rank correlation. Its 95 % interval is by Fisher's z with the standard error of
    Bonett & Wright (2000), sqrt((1 + r^2 / 2) / (n - 3)).
    """
    tests = tuple(tests)
    if len(tests) < FEWEST_TESTS:
        said = f"Too few tests to say how well impact is guessed: {len(tests)} of the {FEWEST_TESTS} needed."
        return Guessing(tests, sentence=said)
    guessed = [each.impact.middle for each in tests]
    found = [each.realised for each in tests]
    if len(set(guessed)) == 1 or len(set(found)) == 1:
        said = "Every guess, or every effect, is the same: there is no order to compare."
        return Guessing(tests, sentence=said)
    correlation, low, high = rank_correlation(guessed, found)
    way = (
        "larger guesses went with larger effects"
        if low > 0
        else "larger guesses went with smaller effects"
        if high < 0
        else "whether larger guesses go with larger effects is open"
    )
    said = (
        f"Over {len(tests)} tests {way}: rank correlation {correlation:+.2f} "
        f"[{low:+.2f}, {high:+.2f}]."
    )
    return Guessing(tests, correlation, low, high, said)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Return Spearman's rank correlation of two lists, and the ends of its 95 % interval.

    For a correlation of 1 or -1 the interval is that of the nearest other correlation.

    >>> iq, tv = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    >>> [round(each, 3) for each in rank_correlation(iq, tv)]
    [-0.176, -0.728, 0.515]
    """
    from scipy.stats import norm, spearmanr

    size = len(one)
    correlation = float(spearmanr(one, other).statistic)
    nearest = 1 - 12 / (size * (size * size - 1))  # two neighbours exchanged
    bounded = min(max(correlation, -nearest), nearest)
    margin = float(norm.ppf(0.975)) * math.sqrt((1 + bounded * bounded / 2) / (size - 3))
    middle = math.atanh(bounded)
    low, high = math.tanh(middle - margin), math.tanh(middle + margin)
    return correlation, min(low, correlation), max(high, correlation)


def _count(number: float) -> int | None:
    return None if math.isnan(number) else round(number)


@dataclass(frozen=True)
class Advice:
    """The one next thing to do, in a sentence; `about` names its hypothesis or idea, if it has one."""

    kind: Kind
    about: str
    sentence: str

    def row(self) -> dict[str, Any]:
        """Return the advice as plain values."""
        return asdict(self)


def advise(
    evaluations: Sequence[Evaluation], backlog: Backlog, evidence: Sequence[OverVersions] = ()
) -> Advice:
    """Return what to do next by ADVICE_RULE: settle an open test, try a new version, or something new.

    Args:
        evaluations: Those of the newest version of each hypothesis, the newest iteration first.
        backlog: What there is to try.
        evidence: What the versions of each hypothesis say together.
    """
    for settle in (_mend, _wait, _decide):
        for each in evaluations:
            said = settle(each)
            if said is not None:
                return said
    again = _again(evaluations, evidence)
    if again is not None:
        return again
    first = next(iter(backlog.ranked), None)
    return Advice("listen", "", NOTHING) if first is None else _try(first)


def _mend(found: Evaluation) -> Advice | None:
    broken = [each for each in found.checks if each.level == "invalid"]
    if found.verdict is not Verdict.INVALID or _only_pending(found):
        return None
    reason = next((each.sentence for each in broken), "")
    said = f"First mend {_test(found)}, which is invalid: {_inside(reason)}"
    return Advice("mend", found.hypothesis.name, said)


def _wait(found: Evaluation) -> Advice | None:
    progress = found.progress
    if _only_pending(found):
        said = f"First let {_test(found)} run on: every customer is still pending."
        return Advice("wait", found.hypothesis.name, said)
    open_end = found.verdict is Verdict.INCONCLUSIVE and found.recorded is None
    if not open_end or not (progress.early or not progress.final):
        return None
    through = f"{progress.through:,}"
    if progress.planned is not None:
        through += f" of {progress.planned:,} planned"
    until = (
        "" if progress.expected is None else f", until about {display.day(progress.expected.at)}"
    )
    said = (
        f"First let {_test(found)} run on{until}, and decide nothing on it before: {through} "
        "customers per cohort are through."
    )
    return Advice("wait", found.hypothesis.name, said)


def _only_pending(found: Evaluation) -> bool:
    """Whether the comparison lacks nothing but time."""
    broken = [each.name for each in found.checks if each.level == "invalid"]
    return found.verdict is Verdict.INVALID and broken == ["pending"]


def _decide(found: Evaluation) -> Advice | None:
    lost = [each for each in found.guardrails if not each.held]
    if found.verdict is not Verdict.SUPPORTED or not lost:
        return None
    guards = " and ".join(each.metric for each in lost)
    needed = max((each.needed or 0 for each in lost), default=0)
    settle = f", or test on with {needed:,} customers per cohort" if needed else ""
    said = (
        f"First decide whether the gain of {_test(found)} is worth what {guards} may lose{settle}: "
        f"{lost[0].metric} changes by {_points(found, 0)} points, and a loss of "
        f"{100 * lost[0].margin:g} is the most allowed."
    )
    return Advice("decide", found.hypothesis.name, said)


def _again(evaluations: Sequence[Evaluation], evidence: Sequence[OverVersions]) -> Advice | None:
    """Return a new version of the promising hypothesis that is nearest to enough; None without one."""
    together = {(each.hypothesis, each.treatment): each for each in evidence}
    found: list[tuple[float, Advice]] = []
    for each in evaluations:
        claim, pair = each.hypothesis, (each.comparison.control, each.comparison.treatment)
        if each.verdict is not Verdict.INCONCLUSIVE or claim.analysis != "fixed":
            continue
        over = together.get((claim.name, str(claim.treatment.label)))
        answer = running_answer(
            [pair], alternative=claim.alternative, alpha=claim.alpha, planned=claim.versions
        )
        answer = answer if over is None else over.found
        tried = "one version is" if over is None else f"{answer.versions} versions are"
        effect = display.effect(answer.estimate, answer.low, answer.high)
        spent = claim.versions is not None and answer.versions >= claim.versions
        if answer.enough is None and answer.statistic >= PROMISING and not spent:
            way = "one way" if claim.alternative == "two-sided" else "the right way"
            said = (
                f"Try version {claim.version + 1} of {each.name} next: {effect} points of {claim.metric} "
                f"point {way}, and {tried} not enough yet."
            )
            advice = Advice("version", claim.name, said)
            found.append((answer.statistic / answer.bound, advice))
    return max(found, key=lambda one: one[0])[1] if found else None


def _try(first: Ranked) -> Advice:
    each, cost = first.candidate, first.candidate.cost
    ways = {
        "interview": "by interviews with customers",
        "prototype": "by a prototype",
        "A/B test": "by an A/B test",
    }
    weeks = "" if math.isnan(cost.weeks) else f" and {cost.weeks:.1f} weeks"
    takes = f"{display.count(cost.customers)} customers{weeks}"
    said = f'Try {each.name} next ("{each.statement.rstrip(".")}"), {ways[first.learn_by]}'
    if first.learn_by == "A/B test":
        return Advice("try", each.name, f"{said} with {takes}.")
    if math.isnan(cost.customers):
        return Advice("try", each.name, f"{said}: {first.why}.")
    why = "" if first.why.startswith("an A/B test would take") else f", since {first.why}"
    return Advice("try", each.name, f"{said}{why}: an A/B test would take {takes}.")


def _test(found: Evaluation) -> str:
    return f"{found.name}, version {found.hypothesis.version} ({found.iteration})"


def _points(found: Evaluation, place: int) -> str:
    effect = [each for each in found.guardrails if not each.held][place].comparison
    return display.effect(effect.estimate, effect.low, effect.high)


def _inside(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def rank_backlog(
    data: StudyData, evaluate: Evaluate, at: datetime | None, learned: Learned
) -> Backlog:
    """Return a study's backlog as of a time: ideas and untested hypotheses, ranked with their costs.

    Only the newest version of a hypothesis counts. Without a status, a hypothesis is planned before
    its iteration starts, running until it ends, and tested from then on.

    Args:
        data: The study's data.
        evaluate: Evaluates the hypotheses of an iteration as of a time.
        at: The time; the newest event for None.
        learned: What findings tell of each.
    """
    if data.spec.feedback is not None:
        summarize_feedback(data, None)  # so that cited evidence exists
    every = sorted(data.spec.hypotheses, key=lambda each: each.version)
    newest: list[Hypothesis | Idea] = [*{each.name: each for each in every}.values()]
    candidates = [
        Candidate(
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
    return Backlog(rank(candidates), guessing(list(_tried(data, evaluate, at))), learned)


def problems(data: StudyData) -> list[str]:
    """Return what is wrong with strategic metrics, feedback and evidence, a sentence each."""
    found = []
    for there, ask in (
        (data.spec.strategy, lambda: assess_strategy(data, None)),
        (data.spec.feedback, lambda: summarize_feedback(data, None)),
    ):
        try:
            _ = ask() if there is not None else None
        except WorkbenchError as error:
            found.append(str(error))
    return found


def _tried(data: StudyData, evaluate: Evaluate, at: datetime | None) -> Iterator[Tried]:
    """Return each valid test whose impact was guessed, one for each treatment."""
    claims = [each for each in data.spec.hypotheses if _status(data, each, at) == "tested"]
    for iteration in dict.fromkeys(each.iteration for each in claims):
        known = {(each.name, each.version) for each in claims}
        for each in evaluate(iteration, at):
            claim = each.hypothesis
            sound = each.verdict is not Verdict.INVALID
            if sound and (claim.name, claim.version) in known and claim.impact is not None:
                yield _tried_one(each)


def _tried_one(found: Evaluation) -> Tried:
    claim, effect = found.hypothesis, found.comparison
    ends = (effect.estimate, effect.low, effect.high)
    if claim.alternative == "less":
        ends = (-effect.estimate, -effect.high, -effect.low)
    impact = claim.impact or ANY
    return Tried(claim.name, claim.version, impact, *ends, found.label)


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


def _cost(data: StudyData, claim: Hypothesis | Idea, at: datetime | None) -> Cost:
    """Return what a test takes, from the newest rates of its metric and of entry.

    Both are those of the cohort that the hypothesis is about, if it names one.
    """
    if claim.metric is None:
        return Cost(reason="it names no metric")
    fixed = dict(claim.control.values) if isinstance(claim, Hypothesis) else {}
    wanted = {name: value for name, value in fixed.items() if name not in data.participation}
    try:
        every = data.counts(list(wanted), at, claim)
    except StudyError as error:
        return Cost(reason=str(error))
    counts = [each for each in every if each.cohort == tuple(wanted.values())]
    return cost(
        baseline=_baseline(data, counts, claim.metric),
        minimum_effect=claim.minimum_effect,
        alternative=claim.alternative,
        alpha=claim.alpha,
        power=claim.power,
        weekly=_weekly(data, counts, at),
    )


def _baseline(data: StudyData, counts: Sequence[StepCounts], metric: str) -> float:
    """Return the rate in the newest iteration where most windows are over, or else any."""
    for least in (0.5, 0.0):
        for iteration in reversed([each.name for each in data.spec.iterations]):
            here = [each for each in counts if (each.iteration, each.step) == (iteration, metric)]
            closed = sum(each.closed for each in here)
            if closed > least * sum(each.entered for each in here):
                return sum(each.converted for each in here) / closed
    return math.nan


def _weekly(data: StudyData, counts: Sequence[StepCounts], at: datetime | None) -> float:
    """Return how many customers a test gains a week, by the newest iteration of a week or more."""
    seen, gained = data.newest(at), data.spec.steps[0]
    if seen is None:
        return math.nan
    for span in sorted(data.spans, key=lambda each: each.start, reverse=True):
        start, end = from_instant(span.start), min(from_instant(span.end), seen)
        weeks = (end - start) / timedelta(weeks=1)
        if weeks >= 1:
            here = [each for each in counts if (each.iteration, each.step) == (span.name, gained)]
            return sum(each.entered for each in here) / weeks
    return math.nan
