"""Simulated runs: years of ideas, and guardrails that are read when a claim is supported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import calibration_looks as looks
import numpy as np
from calibration_looks import ALPHA, Marks

from workbench.experiments.discoveries import Effect
from workbench.experiments.looks import cuts
from workbench.schema.hypothesis import Hypothesis
from workbench.stats.anytime import evalues
from workbench.stats.boundaries import NORMAL, Spending
from workbench.stats.exact import Edge
from workbench.stats.multiplicity import discoveries
from workbench.stats.proportions import Counts
from workbench.stats.score import Integers
from workbench.stats.shrinkage import shrink

IDEAS = 12
VERSIONS = 6
POWER = 0.8
SMALLEST, LARGEST = 20, 150
KINDS: dict[str, tuple[float, int]] = {
    "30% real, up to 6 versions": (0.3, VERSIONS),
    "none real, up to 6 versions": (0.0, VERSIONS),
    "30% real, one version": (0.3, 1),
}
RULE, PLAIN = "discoveries", "plain alpha"
CLAIM = {
    "name": "claim",
    "statement": "It helps.",
    "metric": "done",
    "iteration": "1",
    "control": {"arm": "control"},
    "treatment": {"arm": "treatment"},
    "alternative": "greater",
}


@dataclass(frozen=True)
class Kept:
    """What a rule makes of a year: false among its discoveries, then at the first review with one.

    `found` is the share of real ideas that are discoveries at the end, and `withdrawn` how many of all
    were one before and no longer are.
    """

    at_end: float
    at_first: float
    error: float
    found: float
    withdrawn: int


def findable(rate: float, size: int, power: float) -> float:
    """Give the treatment rate that a one-sided test finds with about this power (arcsine)."""
    reach = (NORMAL.inv_cdf(1.0 - ALPHA) + NORMAL.inv_cdf(power)) / math.sqrt(2.0 * size)
    return math.sin(min(math.asin(math.sqrt(rate)) + reach, math.pi / 2.0)) ** 2


@lru_cache(maxsize=200_000)
def pvalue(control: int, treatment: int, size: int) -> float:
    """Give the exact p-value for a larger treatment rate, as `compare` does."""
    return min(Edge(control, size, treatment, size, two_sided=False).bound(0.0, 0.0), 1.0)


def simulate(kind: str, number: int, seed: int) -> dict[str, Kept]:
    """Test twelve ideas a year, each in new versions until it is supported, and review after each test.

    Sizes are 20 to 150 per cohort, base rates 2 to 50 %, real effects such that each test alone finds
    them with power .8. Versions test the same truth on new customers.
    """
    real, versions = KINDS[kind]
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    ends: dict[str, list[float]] = {RULE: [], PLAIN: []}
    firsts: dict[str, list[float]] = {RULE: [], PLAIN: []}
    found, withdrawn, truly = dict.fromkeys(ends, 0), dict.fromkeys(ends, 0), 0
    for _ in range(number):
        null = random.random(IDEAS) >= real
        truly += int((~null).sum())
        tried: list[list[float]] = []
        shown = {name: np.zeros(IDEAS, dtype=bool) for name in ends}
        first = dict.fromkeys(ends, math.nan)
        for each in null:
            tried.append([])
            while len(tried[-1]) < versions and min(tried[-1], default=1.0) > ALPHA:
                tried[-1].append(_test(null=bool(each), random=random))
                now = {
                    RULE: [
                        each.found and min(of) <= ALPHA
                        for each, of in zip(
                            discoveries(tried, hypotheses=IDEAS), tried, strict=True
                        )
                    ],
                    PLAIN: [min(of) <= ALPHA for of in tried],
                }
                for name, listed in now.items():
                    there = np.zeros(IDEAS, dtype=bool)
                    there[: len(listed)] = listed
                    withdrawn[name] += int((shown[name] & ~there).sum())
                    shown[name] = there
                    if there.any() and math.isnan(first[name]):
                        first[name] = float(there[null].sum() / there.sum())
        for name, there in shown.items():
            ends[name].append(float((there & null).sum() / max(there.sum(), 1)))
            firsts[name].append(0.0 if math.isnan(first[name]) else first[name])
            found[name] += int((there & ~null).sum())
    return {
        name: Kept(
            float(np.mean(ends[name])),
            float(np.mean(firsts[name])),
            float(max(np.std(ends[name]), np.std(firsts[name]))) / math.sqrt(number),
            found[name] / truly if truly else math.nan,
            withdrawn[name],
        )
        for name in ends
    }


def _test(*, null: bool, random: np.random.Generator) -> float:
    """Give the p-value of one test, whose null is true or not."""
    rate = float(random.uniform(0.02, 0.5))
    size = int(random.integers(SMALLEST, LARGEST + 1))
    treatment = rate if null else findable(rate, size, POWER)
    counts = random.binomial(size, [rate, treatment])
    return pvalue(int(counts[0]), int(counts[1]), size)


def fixed_by_its_cut(
    shares: tuple[int, int], drift: tuple[float, float], runs: int, seed: int, size: int = 40
) -> dict[str, float]:
    """Give how often a fixed claim without effect is supported, looked at after every 20 entrants.

    By the cut, which decides once, and by everybody present once the size is passed, at any look. The
    base rate drifts over the entrants, as does that of both arms.
    """
    claim = Hypothesis.model_validate(CLAIM)
    random = np.random.default_rng([seed, *shares, round(100 * drift[1])])
    found = {"by its cut": 0, "everybody present": 0}
    for _ in range(runs):
        entrants = 8 * size * sum(shares) // min(shares)
        arm = random.random(entrants) < shares[1] / sum(shares)
        converted = random.random(entrants) < np.linspace(*drift, entrants)
        times = np.arange(entrants)
        (cut,) = cuts(claim, size, [times[~arm], times[arm]])
        if cut.until is None:
            continue
        looks_at = [cut.until + 1, *range(cut.until + 20, entrants, 20)]
        over = [_rejects(arm[:until], converted[:until]) for until in looks_at[:20]]
        found["by its cut"] += over[0]
        found["everybody present"] += any(over)
    return {name: count / runs for name, count in found.items()}


def shrunken_winners(runs: int, seed: int) -> dict[str, float]:
    """Give how often 90 % intervals of shrunken effects hold, and what winners are said to be worth.

    Ten effects a study, around 2 points with a spread of 4, 100 customers a cohort, a base of 40 %.
    """
    random = np.random.default_rng([seed, 8])
    held, won, shown, small, true = [], [], [], [], []
    for _ in range(runs):
        effects = random.normal(0.02, 0.04, 10)
        control = random.binomial(100, 0.4, 10)
        treatment = random.binomial(100, 0.4 + effects)
        known = [
            Effect.of(Counts(int(one), 100), Counts(int(other), 100))
            for one, other in zip(control, treatment, strict=True)
        ]
        shrunk = shrink([each.estimate for each in known], [each.error for each in known])
        for each, found, effect in zip(known, shrunk, effects, strict=True):
            held.append(found.low <= effect <= found.high)
            if each.estimate > NORMAL.inv_cdf(1.0 - ALPHA) * each.error:
                won.append(held[-1])
                shown.append(each.estimate)
                small.append(found.estimate)
                true.append(effect)
    return {
        "held": float(np.mean(held)),
        "winners held": float(np.mean(won)),
        "winners shown": float(np.mean(shown)),
        "shrunk": float(np.mean(small)),
        "true": float(np.mean(true)),
    }


def _rejects(arm: Marks, converted: Marks) -> bool:
    """Say whether the exact test finds a larger rate in the arm."""
    counts = (
        int(converted[~arm].sum()),
        int((~arm).sum()),
        int(converted[arm].sum()),
        int(arm.sum()),
    )
    return _larger(*counts) <= ALPHA


@lru_cache(maxsize=200_000)
def _larger(control: int, of: int, treatment: int, total: int) -> float:
    """Give the exact p-value for a larger treatment rate in cohorts of any sizes."""
    if treatment * of <= control * total:
        return 1.0
    return min(Edge(control, of, treatment, total, two_sided=False).bound(0.0, 0.0), 1.0)


def guardrail_when_stopped(
    effect: float, rate: float, margin: float, runs: int, seed: int, size: int = 80
) -> tuple[list[float], list[float]]:
    """Give how often a claim is supported and its guardrail holds, though it loses the margin.

    The guardrail is a later step of the same customers, as closely tied to the claim's as can be.
    Read by the fixed test, and by the claim's own analysis: fixed, 4 looks of O'Brien and Fleming's
    type, 8 of Pocock's, and after every pair.
    """
    random = np.random.default_rng([seed, round(100 * effect)])
    control, treatment = (random.random((runs, size)) for _ in range(2))
    claim, guard = (
        (control < rate, treatment < rate + effect),
        (control < rate, treatment < rate - margin),
    )
    counts, guarded = (
        [np.cumsum(each, axis=1, dtype=np.int64) for each in both] for both in (claim, guard)
    )
    alone = looks.rejected(size, "greater").up, looks.rejected(size, "greater", -margin).up
    once = float(
        (_reached(counts, (size,), [alone[0]]) & _reached(guarded, (size,), [alone[1]])).mean()
    )
    by_fixed, by_own = [once], [once]
    designs: tuple[tuple[int, Spending], ...] = ((4, "obrien-fleming"), (8, "pocock"))
    for count, spending in designs:
        sizes = looks.equally(count, size)
        ups, own = (
            [each.up for each in looks.crossed(sizes, spending, "greater", null)]
            for null in (0.0, -margin)
        )
        over = _reached(counts, sizes, ups)
        fixed = [looks.raw_rejected(each, ALPHA, -margin).up for each in sizes]
        by_fixed.append(_together(over, _reached(guarded, sizes, fixed)))
        by_own.append(_together(over, _reached(guarded, sizes, own)))
    every = range(1, size + 1)
    over = evalues(*claim, alternative="greater") >= 1.0 / ALPHA
    fixed = [looks.raw_rejected(each, ALPHA, -margin).up for each in every]
    by_fixed.append(_together(over, _reached(guarded, every, fixed)))
    own_path = evalues(*guard, alternative="greater", null_effect=-margin)
    by_own.append(_together(over, np.logical_or.accumulate(own_path >= 1.0 / ALPHA, axis=1)))
    return by_fixed, by_own


def _reached(counts: Sequence[Integers], sizes: Sequence[int], ups: Sequence[Integers]) -> Marks:
    """Say for each run and look whether the treatment's count reaches its threshold."""
    at = [(counts[0][:, size - 1], counts[1][:, size - 1]) for size in sizes]
    return np.stack([one >= up[zero] for (zero, one), up in zip(at, ups, strict=True)], axis=1)


def _together(crossed: Marks, held: Marks) -> float:
    """Give how often the first look that crosses finds the guardrail held."""
    at = held[np.arange(len(held)), crossed.argmax(axis=1)]
    return float((crossed.any(axis=1) & at).mean())
