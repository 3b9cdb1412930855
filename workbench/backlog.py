"""The backlog: what to try next, how sure its order is, what a test costs, how well teams guess."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.planning import Alternative, customers_needed
from workbench.scores import HIGHEST, LOWEST, Range, Status

DRAWS = 4_000
SEED = 1_905
LEVEL = 0.9
FEWEST_TESTS = 5
MOST_WEEKS = 8  # a test that takes longer is begun with a prototype
UNSURE = 3.0  # scores up to here call for an interview, or for a prototype
ANY = Range(low=LOWEST, high=HIGHEST)
RULE = (
    "Cheapest way to learn: an interview while no remark is cited or confidence is 3 or less; a "
    "prototype if an A/B test cannot be planned, would take more than 8 weeks, or ease is 3 or "
    "less; else an A/B test."
)
UNRANKED = (math.nan, math.nan, math.nan, math.nan, math.nan)
Way = Literal["interview", "prototype", "A/B test"]


@dataclass(frozen=True)
class Cost:
    """What a test would take: customers in both cohorts together, and weeks until they entered.

    `baseline` is the rate that `effect` would change; NaN, and a `reason`, where it cannot be told.
    """

    customers: float = math.nan
    weeks: float = math.nan
    baseline: float = math.nan
    effect: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class Candidate:
    """Something to try: a hypothesis that is not tested yet, or an idea."""

    name: str
    version: int
    statement: str
    status: Status
    impact: Range | None
    ease: Range | None
    confidence: Range | None
    evidence: tuple[str, ...] = ()
    cost: Cost = Cost()


@dataclass(frozen=True)
class Ranked:
    """A candidate and its place: `low` and `high` bound its rank in nine of ten draws.

    `first` is the share of draws in which nothing ranked before it. Without impact or ease it has
    no rank: NaN.
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
        """Give the candidate as one row of plain values."""
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
    """A hypothesis that was tested: the impact that was guessed, the effect that was found.

    `realised` points in the direction of the claim: below zero, things went the other way.
    """

    name: str
    version: int
    impact: Range
    realised: float
    low: float
    high: float
    verdict: str

    def row(self) -> dict[str, Any]:
        """Give the test as one row of plain values."""
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
    """How guessed impacts and realised effects go together: Spearman's rank correlation."""

    tests: tuple[Tried, ...]
    correlation: float = math.nan
    low: float = math.nan
    high: float = math.nan
    sentence: str = ""


@dataclass(frozen=True)
class Backlog:
    """What is to be tried, ranked, and how well earlier guesses did."""

    ranked: tuple[Ranked, ...]
    guessing: Guessing

    def rows(self) -> list[dict[str, Any]]:
        """Give one row a candidate, the first to try first."""
        return [each.row() for each in self.ranked]


def rank(candidates: Sequence[Candidate]) -> tuple[Ranked, ...]:
    """Rank by impact x ease, and x confidence / 10 where any candidate has one.

    The score takes the middle of each range. Ranks are drawn again with every score anywhere in
    its range, evenly (4,000 draws, seeded): their 5th and 95th percentile bound the rank. Once any
    confidence is given, whoever has none may have any from 1 to 10. Equal scores share a rank.

    >>> one = Candidate("a", 1, "", "idea", Range(low=8, high=8), Range(low=5, high=5), None)
    >>> two = Candidate("b", 1, "", "idea", Range(low=4, high=10), Range(low=5, high=5), None)
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
    """Give the cheapest way to learn, and why; RULE says it in a sentence."""
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
    """Say what a test of two equal cohorts takes, at the rate `weekly` of customers who enter.

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
    """Hold guessed impacts against realised effects, from five tests on.

    Spearman's rank correlation; its 95 % interval by Fisher's z with the error of Bonett & Wright
    (2000), sqrt((1 + r^2 / 2) / (n - 3)).
    """
    tests = tuple(tests)
    if len(tests) < FEWEST_TESTS:
        said = f"Too few tests to tell how well impact is guessed: {len(tests)}, and {FEWEST_TESTS} needed."
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
    """Give Spearman's rank correlation of two lists, and its 95 % interval.

    At a correlation of 1 or -1 the interval is worked out from the nearest other order.

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
