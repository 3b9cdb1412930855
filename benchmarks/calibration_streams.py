"""Simulated runs: streams of iterations, and guardrails that are read when a claim is supported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import calibration_looks as looks
import numpy as np
from calibration_looks import ALPHA, Marks

from workbench.experiments.history import ONLINE
from workbench.stats.anytime import evalues
from workbench.stats.boundaries import NORMAL, Spending
from workbench.stats.exact import Edge
from workbench.stats.multiplicity import addis, lord_plus_plus, saffron
from workbench.stats.score import Integers

ITERATIONS = 50
NULLS = 0.8
POWER = 0.8
SMALLEST, LARGEST = 20, 150
KINDS = ("one version each", "a version 2 after every one that fails")
PLAIN = "plain alpha"
ONLINES = {"LORD++": lord_plus_plus, "SAFFRON": saffron, "ADDIS": addis}


@dataclass(frozen=True)
class Kept:
    """What a way to decide makes of streams: its false discoveries, and the real ones it finds.

    `tests` is the share of true nulls among all tests.
    """

    false_share: float
    error: float
    found: float
    tests: float


def findable(rate: float, size: int, power: float) -> float:
    """Give the treatment rate that a one-sided test finds with about this power (arcsine)."""
    reach = (NORMAL.inv_cdf(1.0 - ALPHA) + NORMAL.inv_cdf(power)) / math.sqrt(2.0 * size)
    return math.sin(min(math.asin(math.sqrt(rate)) + reach, math.pi / 2.0)) ** 2


@lru_cache(maxsize=200_000)
def pvalue(control: int, treatment: int, size: int) -> float:
    """Give the exact p-value for a larger treatment rate, as `compare` does."""
    return min(Edge(control, size, treatment, size, two_sided=False).bound(0.0, 0.0), 1.0)


def simulate(kind: str, number: int, seed: int) -> dict[str, Kept]:
    """Decide on streams of 50 tests in which 80 % of the hypotheses have no effect.

    Sizes are 20 to 150 per cohort, base rates 2 to 50 %, real effects such that each test alone finds
    them with power .8. A version 2 tests the same truth on new customers. A discovery is supported
    at alpha, and what the online method still counts.
    """
    ways = {PLAIN: None, **ONLINES}
    used = next(name for name, each in ONLINES.items() if each is ONLINE)
    random = np.random.default_rng([seed, KINDS.index(kind)])
    shares: dict[str, list[float]] = {name: [] for name in ways}
    found = dict.fromkeys(ways, 0)
    real, nulls = 0, 0
    for _ in range(number):
        drawn = list(_tests(kind, random))
        null = np.array([each for each, _ in drawn])
        pvalues = [each for _, each in drawn]
        real, nulls = real + int((~null).sum()), nulls + int(null.sum())
        for name, online in ways.items():
            discovered = np.array(pvalues) <= ALPHA
            if online is not None:
                discovered &= np.array([each.rejected for each in online(pvalues)])
            shares[name].append((discovered & null).sum() / max(discovered.sum(), 1))
            found[name] += int((discovered & ~null).sum())
    return {
        f"{name} (the ledger's)" if name == used else name: Kept(
            float(np.mean(each)),
            float(np.std(each)) / math.sqrt(number),
            found[name] / real,
            nulls / (nulls + real),
        )
        for name, each in shares.items()
    }


def _tests(kind: str, random: np.random.Generator) -> Iterator[tuple[bool, float]]:
    """Give for each iteration whether its null is true, and its p-value."""
    again, null, rate, size = False, True, 0.0, 0
    for _ in range(ITERATIONS):
        if not again:
            null = bool(random.random() < NULLS)
            rate = float(random.uniform(0.02, 0.5))
            size = int(random.integers(SMALLEST, LARGEST + 1))
        treatment = rate if null else findable(rate, size, POWER)
        counts = random.binomial(size, [rate, treatment])
        value = pvalue(int(counts[0]), int(counts[1]), size)
        again = kind == KINDS[1] and not again and value > ALPHA
        yield null, value


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
