"""Years in which customers change sides, come back, differ by segment, or are shared out anew."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from workbench.data.event_log import EventLog
from workbench.data.paths import trace
from workbench.experiments.checks import steadiness_check
from workbench.experiments.crossovers import Crossovers
from workbench.schema.cohort import Cohort
from workbench.schema.flow import Flow
from workbench.schema.hypothesis import Hypothesis, Verdict
from workbench.schema.learning import STATED
from workbench.schema.time import Span
from workbench.stats.odds import Answers, YesRates, chance_after, log_evidence
from workbench.stats.proportions import Counts, compare
from workbench.stats.single_arm import compare_with_target
from workbench.stats.strata import compare_strata
from workbench.stats.versions import running_bounds, version_z

WORTH, MARGIN = 0.1, 0.1
HOUR = 3_600_000_000
DAY = 24 * HOUR


def claim_of(**fields: Any) -> Hypothesis:
    """Return a one-sided claim."""
    written = {
        "name": "a",
        "statement": "It helps.",
        "metric": "done",
        "iteration": "1",
        "control": {"arm": "old"},
        "treatment": {"arm": "new"},
        "alternative": "greater",
        "minimum_effect": WORTH,
    }
    return Hypothesis.model_validate(written | fields)


def changed_sides(share: float, runs: int, seed: int) -> dict[str, float]:
    """Let a share of each arm behave as the other arm does; return how often each rule is wrong.

    The effect is the least worth having when refutations are counted, none when supports are, and
    the guardrail loses its margin.
    """
    random, claim, size, base = np.random.default_rng([seed, 21]), claim_of(), 320, 0.4
    names = ("refuted", "refuted, not made up for", "guardrail holds", "guardrail, not made up for")
    wrong = dict.fromkeys((*names, "supported", "supported, failures left out"), 0)

    def arm(own: float, other: float) -> tuple[Counts, Counts]:
        """Draw an arm's counts, and those without the ones who changed sides."""
        crossed = random.random(size) < share
        done = random.random(size) < np.where(crossed, other, own)
        return Counts(int(done.sum()), size), Counts(
            int((done & ~crossed).sum()), int((~crossed).sum())
        )

    for _ in range(runs):
        pair, without = zip(arm(base, base + WORTH), arm(base + WORTH, base), strict=True)
        seen = Crossovers((size, size), without).compliance
        found = claim.compare(control=pair[0], treatment=pair[1])
        wrong["refuted"] += claim.decide(found, compliance=seen) is Verdict.REFUTED
        wrong["refuted, not made up for"] += claim.decide(found) is Verdict.REFUTED
        pair, without = zip(arm(base, base - MARGIN), arm(base - MARGIN, base), strict=True)
        seen = Crossovers((size, size), without).compliance
        wrong["guardrail holds"] += _holds(pair, MARGIN * seen)
        wrong["guardrail, not made up for"] += _holds(pair, MARGIN)
        done = random.random((2, size)) < base
        left = random.random(size) < 2 * share  # of those who fail with the new, who go back
        counts = [Counts(int(each.sum()), size) for each in done]
        fewer = Counts(int(done[1].sum()), size - int((left & ~done[1]).sum()))
        wrong["supported"] += claim.compare(control=counts[0], treatment=counts[1]).pvalue <= 0.05
        wrong["supported, failures left out"] += (
            claim.compare(control=counts[0], treatment=fewer).pvalue <= 0.05
        )
    return {name: count / runs for name, count in wrong.items()}


def _holds(pair: tuple[Counts, Counts], lost: float) -> bool:
    """Whether a loss is ruled out, as a guardrail's is."""
    options: dict[str, Any] = {"alternative": "greater", "null_effect": -lost, "test": "score"}
    return compare(control=pair[0], treatment=pair[1], **options).pvalue <= 0.05


FLOW = Flow(trigger="open", steps=["done"], window="5d", return_window="5d", adoption_window="40d")
ADOPTIONS = {  # by arm: the need met, an opportunity, its days, and the return
    "no effect": ((0.7, 0.8, (2, 20), 0.75), (0.7, 0.8, (2, 20), 0.75)),
    "only sooner": ((0.7, 0.8, (10, 28), 0.75), (0.7, 0.8, (2, 8), 0.75)),
    "both rise": ((0.7, 0.7, (2, 20), 0.75), (0.75, 0.85, (2, 20), 0.85)),
}


def adoption(case: str, runs: int, seed: int) -> dict[str, float]:
    """Follow 150 entrants of each arm through logs; return how often adoption is said to differ."""
    random, size = np.random.default_rng([seed, 22]), 150
    found = dict.fromkeys(
        ("greater", "less", "greater, of opportunities", "less, of opportunities"), 0
    )
    for _ in range(runs):
        rows: list[tuple[int, str, int, str]] = []
        for number, (arm, chances) in enumerate(zip(("old", "new"), ADOPTIONS[case], strict=True)):
            met, again, days, back = chances
            for who in range(size):
                customer, start = number * size + who, int(random.integers(0, 20 * DAY))
                rows.append((customer, "open", start, arm))
                if random.random() >= met:
                    continue
                rows.append((customer, "done", start + DAY, arm))
                if random.random() < again:
                    later = start + DAY + int(random.uniform(*days) * DAY)
                    rows.append((customer, "open", later, arm))
                    if random.random() < back:
                        rows.append((customer, "done", later + DAY, arm))
        log = pd.DataFrame(rows, columns=["customer", "event", "time", "arm"])
        paths = trace(
            EventLog(log, time_format="epoch_us"),
            FLOW,
            [Span("1", 0, 20 * DAY)],
            as_of=61 * DAY,
            groupings={"arm": "experiment"},
        )
        for claimed, name in ((True, ""), (False, ", of opportunities")):
            metric = replace(paths, claimed=claimed).metric("adoption")
            pair = []
            for arm in ("old", "new"):
                those = paths.among(Cohort.model_validate({"arm": arm}).values, "1")
                those &= metric.about & metric.closed
                pair.append(Counts(int((those & metric.reached).sum()), int(those.sum())))
            for way in ("greater", "less"):
                tested = compare(control=pair[0], treatment=pair[1], alternative=way, test="score")
                found[f"{way}{name}"] += tested.pvalue <= 0.05
    return {name: count / runs for name, count in found.items()}


def strata(
    rates: tuple[float, float], effect: float, size: int, runs: int, seed: int
) -> list[float]:
    """Compare arms of two segments; return how often they differ within strata, and without them."""
    random, found = np.random.default_rng([seed, 23]), [0, 0]
    for _ in range(runs):
        levels = [
            tuple(
                Counts(int(random.binomial(size // 2, rate + up)), size // 2)
                for up in (0.0, effect)
            )
            for rate in rates
        ]
        whole = [Counts(sum(level[arm].converted for level in levels), size) for arm in range(2)]
        options: dict[str, Any] = {"alternative": "greater", "confidence_level": 0.9}
        found[0] += compare_strata(levels, **options).pvalue <= 0.05
        found[1] += compare(control=whole[0], treatment=whole[1], **options).pvalue <= 0.05
    return [each / runs for each in found]


@cache
def _z_of(control: Counts, treatment: Counts) -> float:
    return version_z((control, treatment))


def over_versions(
    effect: float, planned: int | None, runs: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Try four versions of 23 to 36 an arm at .4; return how often they are enough, and any alone.

    A team tries all four always, goes on while the newest points up, or until it is enough.
    """
    random = np.random.default_rng([seed, 25])
    bounds = running_bounds(4, 0.05, planned)
    ways = ("always", "while promising", "until supported")
    found = {way: [0, 0] for way in ways}
    for _ in range(runs):
        zs, up = [], []
        for _ in range(4):
            n, m = (int(each) for each in random.integers(23, 37, 2))
            pair = (
                Counts(int(random.binomial(n, 0.4)), n),
                Counts(int(random.binomial(m, 0.4 + effect)), m),
            )
            zs.append(_z_of(*pair))
            up.append(pair[1].rate > pair[0].rate)
        for way in ways:
            tried = 4
            if way == "while promising":
                tried = next((number for number, each in enumerate(up, 1) if not each), 4)
            if way == "until supported":
                tried = next((number for number, z in enumerate(zs, 1) if z >= 1.645), 4)
            reached = np.cumsum(zs[:tried]) / np.sqrt(np.arange(1, tried + 1)) >= bounds[:tried]
            found[way][0] += bool(reached.any())
            found[way][1] += max(zs[:tried]) >= 1.645
    return {way: (one / runs, other / runs) for way, (one, other) in found.items()}


def single_arm(customers: int, target: float) -> tuple[float, float, float, float]:
    """Return how often one arm is shown, ruled out and not covered at the target, and shown above it.

    All outcomes are gone through, with their probabilities. The interval shrinks as customers close, so
    its last state tells whether it ever missed.
    """
    numbers = range(customers + 1)
    found = [compare_with_target(customers, each, customers, target=target) for each in numbers]
    at, above = (binom.pmf(numbers, customers, rate) for rate in (target, target + 0.25))
    shown = np.array([each.shown for each in found])
    out = np.array([each.ruled_out for each in found])
    missed = np.array([not each.low <= target <= each.high for each in found])
    return float(at @ shown), float(at @ out), float(at @ missed), float(above @ shown)


def moved_shares(runs: int, seed: int) -> dict[str, float]:
    """Move the treatment's share from 10 to 50 % while the base goes from .2 to .6; no effect."""
    random, size = np.random.default_rng([seed, 24]), 600
    found = dict.fromkeys(("with the check", "without"), 0)
    for _ in range(runs):
        new = random.random(size) < np.linspace(0.1, 0.5, size)
        done = random.random(size) < np.linspace(0.2, 0.6, size)
        pair = [Counts(int(done[arm].sum()), int(arm.sum())) for arm in (~new, new)]
        options: dict[str, Any] = {"alternative": "greater", "test": "score"}
        tested = compare(control=pair[0], treatment=pair[1], **options).pvalue <= 0.05
        times = np.arange(size)
        check = steadiness_check(times[~new], times[new])
        found["without"] += tested
        found["with the check"] += tested and check.level != "invalid"
    return {name: count / runs for name, count in found.items()}


def interviews(runs: int, seed: int) -> dict[str, tuple[float, float]]:
    """Ask 20 people of ideas that are true in 30 of 100 cases; return the chance after, on average.

    By how people answer: at the stated rates, and each person like the one before in half of the
    answers, as with one interviewer, with a weight of 1 and of one half.
    """
    random, stated = np.random.default_rng([seed, 26]), STATED["interview"]
    rates = YesRates(stated["yes_if_true"], stated["yes_if_false"])
    found = {}
    for name, alike, weight in (
        ("independent", 0.0, 1.0),
        ("half alike", 0.5, 1.0),
        ("half alike, weight 1/2", 0.5, 0.5),
    ):
        means = []
        for rate in (rates.if_false, rates.if_true):
            said = random.random((runs, 20)) < rate
            for place in range(1, 20):
                same = random.random(runs) < alike
                said[same, place] = said[same, place - 1]
            after = [
                chance_after(0.3, log_evidence([Answers(int(each), 20, weight)], rates))
                for each in said.sum(axis=1)
            ]
            means.append(float(np.mean(after)))
        found[name] = (means[0], means[1])
    return found
