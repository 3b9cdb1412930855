"""Hold the error rates of every analysis against what they promise, and say what each costs.

`python benchmarks/calibration.py` takes about nine minutes on two cores; `--quick` is a look of
seconds at fewer sizes. The exit code is 0 only when every promise is kept. Shares are in percent.
What can be listed table by table is exact; what is simulated shows its standard error, and breaks a
promise only by more than two of them.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import calibration_cohorts as cohorts
import calibration_looks as looks
import calibration_streams as streams
import numpy as np
from calibration_looks import ALPHA

from workbench.schema.hypothesis import DecisionRule
from workbench.stats import sequential
from workbench.stats.anytime import Outcomes, compare_anytime, evalues
from workbench.stats.boundaries import Spending
from workbench.stats.proportions import SMALL, Alternative, Counts

RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SIZES = (10, 20, 40, 80, 150, 300)
LOOKS = (2, 4, 8)
SPENDINGS: dict[Spending, str] = {"obrien-fleming": "O'Brien-Fleming", "pocock": "Pocock"}
WORTH = 0.1  # the effect worth having that is wrongly refuted
MARGINS = (0.02, 0.05, 0.1)
CHUNK = 2_000  # runs that are simulated at a time


@dataclass(frozen=True)
class Options:
    """How much is tried."""

    sizes: tuple[int, ...] = SIZES
    looks: tuple[int, ...] = LOOKS
    runs: int = 40_000
    streams: int = 2_000
    seed: int = 20_260_105

    @property
    def most(self) -> int:
        """The largest cohort."""
        return max(self.sizes)


@dataclass(frozen=True)
class Promise:
    """A share that may not exceed a limit; `error` is the standard error of a simulated one."""

    name: str
    share: float
    error: float = 0.0
    limit: float = ALPHA

    @property
    def kept(self) -> bool:
        """Whether the share is within the limit, as far as the simulation can tell."""
        return self.share - 2.0 * self.error <= self.limit


@dataclass
class Part:
    """One printed table, and what it promises: without `promise` it is shown beside."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, list[float]]]
    promise: str = ""
    error: float = 0.0
    note: str = ""
    more: list[Promise] = field(default_factory=list)

    @property
    def promises(self) -> list[Promise]:
        """What the table promises: its largest share, and what was added to it."""
        if not self.promise:
            return self.more
        largest = max(value for _, row in self.rows for value in row if not math.isnan(value))
        return [Promise(self.promise, largest, self.error), *self.more]

    def show(self) -> None:
        """Print the table."""
        print(f"\n{self.title}")
        print(f"{'':32}" + "".join(f"{each:>11}" for each in self.head))
        for name, row in self.rows:
            cells = ("-" if math.isnan(each) else f"{100 * each:.2f}" for each in row)
            print(f"{name:32}" + "".join(f"{each:>11}" for each in cells))
        if self.note:
            print(f"  {self.note}")


HEAD = tuple(f"{100 * rate:g} %" for rate in RATES)


def by_rate(sizes: tuple[int, ...], share: Callable[[int, float], float]) -> list[Any]:
    """Give a row for each size with the share at each base rate."""
    return [(f"{size} per cohort", [share(size, rate) for rate in RATES]) for size in sizes]


def fixed(options: Options, alternative: str) -> Part:
    """No effect, one look at the planned size: how often the exact test rejects."""

    def share(size: int, rate: float, test: str = "exact") -> float:
        return looks.once(size, looks.rejected(size, alternative, test=test), (rate, rate))

    rows = by_rate(options.sizes, share)
    large = tuple(size for size in options.sizes if 2 * size > SMALL)
    rows += [
        (f"{name}, score test", row) for name, row in by_rate(large, partial(share, test="auto"))
    ]
    part = Part(f"Fixed, {alternative}: rejected with no effect (every table)", HEAD, rows)
    exact = max(value for _, row in rows[: len(options.sizes)] for value in row)
    part.more.append(Promise(f"fixed, {alternative}: exact test", exact))
    if large:
        part.note = f"above {SMALL} customers in all, a verdict takes the score test: no promise"
    return part


def fixed_refuted(options: Options) -> Part:
    """An effect worth having that is there: how often the exact interval rules it out."""

    def share(size: int, rate: float) -> float:
        return looks.once(size, looks.rejected(size, "less", WORTH), (rate, rate + WORTH))

    title = f"Fixed: refuted with an effect of exactly {WORTH:g}, the least worth having"
    return Part(title, HEAD, by_rate(options.sizes, share), "fixed: wrongly refuted")


def fixed_harmful(options: Options) -> Part:
    """No effect: how often a claim of a larger rate is called harmful."""

    def share(size: int, rate: float) -> float:
        return looks.once(size, looks.rejected(size, "less"), (rate, rate))

    return Part(
        "Fixed: harmful with no effect", HEAD, by_rate(options.sizes, share), "fixed: harmful"
    )


def verdicts(options: Options) -> Part:
    """Check that verdicts are those of the tables that are counted here."""
    rows = []
    for size in (each for each in options.sizes if each in (10, 40, 150)):
        rule = DecisionRule(alternative="greater", minimum_effect=WORTH)
        up = looks.rejected(size, "greater").up
        down = looks.greatest(looks.rejected(size, "less", WORTH))
        harm = looks.greatest(looks.rejected(size, "less"))
        tried, wrong = 0, 0
        for x0 in range(0, size + 1, 2 if size == 10 else size // 4):
            near = {up[x0] - 1, up[x0], down[x0], down[x0] + 1}
            for x1 in range(size + 1) if size == 10 else sorted(near & {*range(size + 1)}):
                found = rule.compare(control=Counts(x0, size), treatment=Counts(int(x1), size))
                wanted = "supported" if x1 >= up[x0] else "inconclusive"
                wanted = "refuted" if x1 <= down[x0] else wanted
                tried += 1
                wrong += rule.decide(found) != ("harmful" if x1 <= harm[x0] else wanted)
        rows.append((f"{size} per cohort: {tried} tables", [wrong / tried]))
    part = Part("Verdicts that differ from those counted here", ("share",), rows)
    worst = max(row[0] for _, row in rows)
    part.more.append(Promise("verdicts are those that are counted", worst, limit=0.0))
    return part


def anytime(options: Options, alternative: Alternative, effect: float = 0.0) -> Part:
    """How often evidence ever rejects by each size, with a look after every pair of customers.

    With an effect: against that effect or more, which is what refutes it.
    """
    shares: dict[tuple[int, float], float] = {}
    for rate in RATES:
        random = np.random.default_rng([options.seed, round(1000 * rate)])
        ever = np.zeros(options.most)
        for _ in range(0, options.runs, CHUNK):
            control = random.random((CHUNK, options.most)) < rate
            treatment = random.random((CHUNK, options.most)) < rate + effect
            path = evalues(control, treatment, alternative=alternative, null_effect=effect)
            ever += np.logical_or.accumulate(path >= 1.0 / ALPHA, axis=1).sum(axis=0)
        runs = CHUNK * math.ceil(options.runs / CHUNK)
        shares |= {(size, rate): ever[size - 1] / runs for size in options.sizes}
    error = math.sqrt(max(shares.values()) * (1.0 - max(shares.values())) / runs)
    what = f"refuted with an effect of exactly {effect:g}, at most" if effect else "rejected"
    said = "" if effect else " with no effect"
    name = "anytime: wrongly refuted" if effect else f"anytime, {alternative}: every pair looked at"
    return Part(
        f"Anytime, {alternative}, a look after every pair: {what}{said} ({runs:,} runs)",
        HEAD,
        by_rate(options.sizes, lambda size, rate: shares[size, rate]),
        name,
        error,
        f"standard error {100 * error:.2f} at most",
    )


def anytime_agrees(options: Options) -> Part:
    """Check that the comparison rejects where its e-values, which are simulated, say so."""
    random, wrong, tried = np.random.default_rng(options.seed), 0, 12
    for number in range(tried):
        control, treatment = random.random(40) < 0.2, random.random(40) < 0.2 + 0.05 * number
        found = compare_anytime(Outcomes(control, treatment), alternative="greater")
        path = evalues([control], [treatment], alternative="greater")
        wrong += (found.comparison.pvalue <= ALPHA) != (path.max() >= 1.0 / ALPHA)
    part = Part("Anytime: decisions that differ from the e-values", ("share",), [])
    part.rows.append((f"{tried} runs of 40 pairs", [wrong / tried]))
    part.more.append(
        Promise("anytime: decisions are those of the e-values", wrong / tried, 0.0, 0.0)
    )
    return part


def planned_looks(options: Options, spending: Spending, alternative: str) -> Part:
    """No effect: how often some look crosses."""
    rows = []
    for count, size in itertools.product(options.looks, options.sizes):
        sizes = looks.equally(count, size)
        regions = looks.crossed(sizes, spending, alternative)
        row = [sum(looks.endings(sizes, regions, (rate, rate))) for rate in RATES]
        rows.append((f"{count} looks, {size} per cohort", row))
    name = f"sequential, {SPENDINGS[spending]}, {alternative}"
    title = f"Planned looks, {SPENDINGS[spending]}, {alternative}: rejected with no effect (every table)"
    return Part(title, HEAD, rows, name)


def planned_refuted(options: Options, spending: Spending) -> Part:
    """An effect worth having that is there: how often some look rules it out."""
    rows = []
    for count, size in itertools.product(options.looks, options.sizes):
        sizes = looks.equally(count, size)
        regions = looks.ruled_out(sizes, spending, WORTH)
        row = [sum(looks.endings(sizes, regions, (rate, rate + WORTH))) for rate in RATES]
        rows.append((f"{count} looks, {size} per cohort", row))
    title = f"Planned looks, {SPENDINGS[spending]}: refuted with an effect of exactly {WORTH:g}, at most"
    return Part(title, HEAD, rows, f"sequential, {SPENDINGS[spending]}: wrongly refuted")


def planned_agrees() -> Part:
    """Check that comparisons cross, and rule out, at the tables that are listed here, or fewer."""
    sizes, tried, wrong = (10, 20), 0, 0
    for spending in SPENDINGS:
        up = [each.up for each in looks.crossed(sizes, spending, "greater")]
        down = [looks.greatest(each) for each in looks.ruled_out(sizes, spending, WORTH)]
        for look, size in enumerate(sizes):
            for x0 in range(0, size + 1, 8):
                for x1 in {up[look][x0] - 1, up[look][x0], down[look][x0] + 1} & {*range(size + 1)}:
                    found = sequential.compare_sequential(
                        control=Counts(x0, size),
                        treatment=Counts(int(x1), size),
                        earlier=[(Counts(3, 10), Counts(3, 10))] * look,
                        planned=sizes[-1],
                        alternative="greater",
                        spending=spending,
                    )
                    tried += 1
                    wrong += found.crossed != (x1 >= up[look][x0])
                    wrong += found.comparison.high < WORTH and x1 > down[look][x0]
    part = Part("Planned looks: decisions that differ from those listed", ("share",), [])
    part.rows.append((f"{tried} tables", [wrong / tried]))
    part.more.append(Promise("sequential: decisions are those listed", wrong / tried, 0.0, 0.0))
    return part


def naive(options: Options) -> Part:
    """No effect: how often the fixed test rejects at some look, if it is tried at each."""
    rows = []
    for count, size in itertools.product(options.looks, options.sizes):
        sizes = looks.equally(count, size)
        regions = [looks.rejected(each, "greater") for each in sizes]
        row = [sum(looks.endings(sizes, regions, (rate, rate))) for rate in RATES]
        rows.append((f"{count} looks, {size} per cohort", row))
    every = range(1, options.most + 1)
    regions = [looks.raw_rejected(size) for size in every]
    ends = {rate: list(looks.endings(every, regions, (rate, rate))) for rate in RATES}
    rows += [
        (f"every pair, {size} per cohort", [sum(ends[rate][:size]) for rate in RATES])
        for size in options.sizes
    ]
    return Part("Naive: the fixed test at every look, greater, no effect (every table)", HEAD, rows)


def families(options: Options) -> Part:
    """True nulls among three tests: how often Holm's method rejects one of them."""
    rows = []
    for size in options.sizes:
        alone = [
            looks.once(size, looks.raw_rejected(size, ALPHA / 3), (rate, rate)) for rate in RATES
        ]
        rows += [
            (f"3 metrics, {size}", [1.0 - (1.0 - each) ** 3 for each in alone]),
            (f"3 treatments, {size}", [looks.family(size, rate, [0, 0, 0]) for rate in RATES]),
            (
                f"2 + 1 real, {size}",
                [looks.family(size, rate, [0, 0, 0.3]) for rate in RATES],
            ),
        ]
    return Part(
        "Holm: any true null rejected, of three (every table)",
        HEAD,
        rows,
        "Holm, families of three: any wrong",
        note="metrics are independent; treatments share one control; the real effect is 0.3",
    )


def guardrails(options: Options) -> Part:
    """A guardrail that truly loses its margin: how often it is said to hold."""
    rows = [
        (
            f"margin {margin:g}, {size}",
            [
                looks.once(size, looks.rejected(size, "greater", -margin), (rate, rate - margin))
                if rate >= margin
                else math.nan
                for rate in RATES
            ],
        )
        for margin, size in itertools.product(MARGINS, options.sizes)
    ]
    title = "Guardrail, fixed: holds though the margin is lost (every table)"
    return Part(
        title,
        HEAD,
        rows,
        "guardrail, fixed: wrongly holds",
        note="supported and guardrail holds is no more frequent than that",
    )


def power(options: Options) -> Part:
    """What each analysis finds with the same customers at most, and how many it takes."""
    rows: list[tuple[str, list[float]]] = []
    every = range(1, options.most + 1)
    single = [looks.raw_rejected(size) for size in every]
    for size in options.sizes[1:]:
        rates = (0.2, streams.findable(0.2, size, 0.8))
        random = np.random.default_rng([options.seed, size])
        designs = {
            "fixed": ((size,), [looks.rejected(size, "greater")]),
            **{
                f"4 looks, {name}": (
                    looks.equally(4, size),
                    looks.crossed(looks.equally(4, size), spending, "greater"),
                )
                for spending, name in SPENDINGS.items()
            },
            "naive, 4 looks": (
                looks.equally(4, size),
                [looks.rejected(each, "greater") for each in looks.equally(4, size)],
            ),
            "naive, every pair": (every[:size], single[:size]),
        }
        for name, (sizes, regions) in designs.items():
            row = []
            for pair in (rates, (0.2, 0.2)):
                ends = list(looks.endings(sizes, regions, pair))
                row += [sum(ends), looks.customers(sizes, ends) / size]
            rows.append((f"{size}: {name}", row))
        row = []
        for pair in (rates, (0.2, 0.2)):
            shape = (min(options.runs, 4_000), size)
            drawn = (random.random(shape) < rate for rate in pair)
            over = evalues(*drawn, alternative="greater") >= 1.0 / ALPHA
            ended = np.where(over.any(axis=1), over.argmax(axis=1) + 1, size)
            row += [float(over.any(axis=1).mean()), float(ended.mean()) / size]
        rows.insert(-2, (f"{size}: anytime", row))
    return Part(
        "Power for an effect that the fixed test should find with 80 % (rate 20 %)",
        ("found", "customers", "false", "customers"),
        rows,
        note="rejected with the effect, with none; customers used on average, of the most in percent",
    )


def year(options: Options, kind: str) -> Part:
    """Twelve ideas: false discoveries at the end and at the first review, and what is found."""
    found = streams.simulate(kind, options.streams, options.seed)
    rows = [
        (name, [each.at_end, each.at_first, each.error, each.found]) for name, each in found.items()
    ]
    part = Part(
        f"12 ideas, {kind} ({options.streams} years)",
        ("at the end", "at the first", "std. error", "found"),
        rows,
        note="share of false discoveries at the end of the year, and at the first review that shows one;"
        " share of the real ideas that are discoveries",
    )
    rule = found[streams.RULE]
    part.more = [
        Promise(f"discoveries at the end, {kind}", rule.at_end, rule.error),
        Promise(f"discoveries at the first review, {kind}", rule.at_first, rule.error),
        Promise(f"discoveries withdrawn, {kind}", float(rule.withdrawn), limit=0.0),
    ]
    if not math.isnan(rule.found) and "versions" in kind:
        part.more.append(Promise(f"real ideas missed, {kind}", 1.0 - rule.found, 0.01, limit=0.5))
    return part


def anytime_planned(options: Options) -> Part:
    """At any time, with half of the evidence on the planned effect: false, and found."""
    runs, size, planned = max(options.runs // 10, 400), 150, 0.15
    random = np.random.default_rng([options.seed, 15])

    def found(rates: tuple[Any, Any], sizes: tuple[int, int], bet: float | None) -> float:
        drawn = [
            random.random((runs, size * each)) < np.repeat(np.broadcast_to(rate, size), each)
            for rate, each in zip(rates, sizes, strict=True)
        ]
        path = evalues(*drawn, alternative="greater", allocation=sizes, planned_effect=bet)
        return float((path.max(axis=1) >= 1.0 / ALPHA).mean())

    drift = np.linspace(0.2, 0.6, size)
    cases = {
        "no effect, rate .2": ((0.2, 0.2), (1, 1)),
        "no effect, rate .4": ((0.4, 0.4), (1, 1)),
        "no effect, 3:1, from .2 to .6": ((drift, drift), (3, 1)),
        "+15 points from .4": ((0.4, 0.55), (1, 1)),
    }
    rows = [(name, [found(*case, None), found(*case, planned)]) for name, case in cases.items()]
    false = max(row[1] for _, row in rows[:3])
    error = (false * (1 - false) / runs) ** 0.5
    missed = 1.0 - rows[3][1][1]
    return Part(
        f"Anytime, betting on {planned:g} too: supported by 150 a cohort ({runs} runs)",
        ("by data alone", "and the plan"),
        rows,
        more=[
            Promise("anytime, betting on the plan: no effect", false, error),
            Promise("anytime, betting on the plan: missed", missed, 0.02, limit=0.55),
        ],
    )


def unrecorded_looks(options: Options) -> Part:
    """A fixed claim without effect, looked at again and again: its cut decides once."""
    runs = max(options.runs // 50, 40)
    cases = {
        "1:1": ((1, 1), (0.3, 0.3)),
        "3:1": ((3, 1), (0.3, 0.3)),
        "3:1, base from .2 to .6": ((3, 1), (0.2, 0.6)),
    }
    found = {
        name: streams.fixed_by_its_cut(shares, drift, runs, options.seed)
        for name, (shares, drift) in cases.items()
    }
    most = max(each["by its cut"] for each in found.values())
    return Part(
        f"Fixed, looked at after every 20 entrants: supported with no effect ({runs} runs)",
        tuple(found["1:1"]),
        [(name, list(each.values())) for name, each in found.items()],
        note="40 customers per cohort planned; 20 looks from then on",
        more=[
            Promise(
                "fixed, by its cut, however often looked at",
                most,
                (most * (1 - most) / runs) ** 0.5,
            )
        ],
    )


def winners(options: Options) -> Part:
    """Shrunken effects: how often their intervals hold, and what the winners are worth."""
    runs = max(options.runs // 100, 40)
    found = streams.shrunken_winners(runs, options.seed)
    return Part(
        f"Winners, shrunk: ten effects around 2 points, 100 a cohort ({runs} studies)",
        tuple(found),
        [("shares and effects, in percent", list(found.values()))],
        more=[
            Promise("shrunken 90 % intervals that miss", 1.0 - found["held"], 0.01, limit=0.17),
            Promise("those of winners that miss", 1.0 - found["winners held"], 0.02, limit=0.22),
            Promise(
                "winners beyond the truth, shrunk",
                found["shrunk"] - found["true"],
                0.005,
                limit=0.03,
            ),
        ],
    )


def _promised(name: str, share: float, runs: int, limit: float = ALPHA) -> Promise:
    return Promise(name, share, (limit * (1 - limit) / runs) ** 0.5, limit)


def changed_sides(options: Options) -> Part:
    """Customers who saw both groups, counted in the first: with and without making up for them."""
    runs = max(options.runs // 80, 60)
    found = {share: cohorts.changed_sides(share, runs, options.seed) for share in (0.0, 0.1, 0.2)}
    most = {name: max(each[name] for each in found.values()) for name in found[0.0]}
    kept = ("refuted", "guardrail holds", "supported")
    return Part(
        f"Changed sides: wrongly so, 320 a cohort ({runs} runs)",
        tuple(f"{100 * share:g} %" for share in found),
        [(name, [each[name] for each in found.values()]) for name in most],
        note="share of each cohort that behaves as the other one",
        more=[_promised(f"changed sides, wrongly {name}", most[name], runs) for name in kept],
    )


def adoption(options: Options) -> Part:
    """Adoption over all who entered, and among those with an opportunity."""
    runs = max(options.runs // 100, 40)
    found = {case: cohorts.adoption(case, runs, options.seed) for case in cohorts.ADOPTIONS}
    names = tuple(found["no effect"])
    false = max(found[case][way] for case in ("no effect", "only sooner") for way in names[:2])
    return Part(
        f"Adoption, 150 entrants a cohort, through logs ({runs} runs)",
        ("greater", "less", "gr. of opp.", "less of opp."),
        [(case, list(each.values())) for case, each in found.items()],
        more=[_promised("adoption differs though it does not", false, runs)],
    )


def strata(options: Options) -> Part:
    """Within strata: no effect found, and what is found of one."""
    runs = max(options.runs // 100, 60)
    rows, false = [], 0.0
    for rates in ((0.5, 0.1), (0.6, 0.05)):
        for size in (20, 40, 100):
            row = cohorts.strata(rates, 0.0, size, runs, options.seed)
            false = max(false, row[0])
            rows.append((f"{rates[0]:g} and {rates[1]:g}, {size} a cohort", row))
        row = cohorts.strata(rates, 0.15, 100, runs, options.seed)
        rows.append((f"{rates[0]:g} and {rates[1]:g}, +15 points at 100", row))
    return Part(
        f"Two segments: supported ({runs} runs)",
        ("within", "without"),
        rows,
        note="the score test within strata is not exact: at most 5.6 %",
        more=[_promised("within strata, no effect", false, runs, limit=0.056)],
    )


def over_versions(options: Options, planned: int | None) -> Part:
    """The answer over four versions: no effect, and +20 points from .4."""
    runs = max(options.runs // 20, 200)
    none, some = (cohorts.over_versions(each, planned, runs, options.seed) for each in (0.0, 0.2))
    rows = [(way, [*none[way], *some[way]]) for way in none]
    false = max(together for together, _ in none.values())
    kind = "any number" if planned is None else f"{planned} planned"
    missed = {way: 1.0 - some[way][0] for way in ("always", "while promising")}
    return Part(
        f"Over versions of 23 to 36 a cohort, {kind} ({runs} runs)",
        ("together", "any alone", "+20: tog.", "any alone"),
        rows,
        more=[
            _promised(f"over versions, {kind}: no effect", false, runs),
            _promised(f"over versions, {kind}: missed, always four", missed["always"], runs, 0.3),
            _promised(
                f"over versions, {kind}: missed, promising", missed["while promising"], runs, 0.35
            ),
        ],
    )


def single_arm(_: Options) -> Part:
    """One arm and a target, by enumeration: shown at the target, ruled out at it, and not covered."""
    found = {n: cohorts.single_arm(n, 0.4) for n in (5, 10, 20, 30)}
    return Part(
        "One arm against a target of .4 (exact)",
        ("shown", "ruled out", "missed", "+25: shown"),
        [(f"{n} customers", list(each)) for n, each in found.items()],
        more=[
            Promise(f"one arm, {what}", max(each[place] for each in found.values()), 0.0)
            for place, what in enumerate(("shown at the target", "ruled out at the target"))
        ],
    )


def moved_shares(options: Options) -> Part:
    """Shares that move while the base does: no verdict, instead of a wrong one."""
    runs = max(options.runs // 40, 200)
    found = cohorts.moved_shares(runs, options.seed)
    return Part(
        f"Shares from 10 to 50 %, base from .2 to .6: supported with no effect ({runs} runs)",
        tuple(found),
        [("600 entrants", list(found.values()))],
        more=[_promised("no effect where shares moved", found["with the check"], runs)],
    )


def interviews(options: Options) -> Part:
    """Twenty interviews: they lower a false idea, and raise a true one."""
    runs = max(options.runs // 10, 400)
    found = cohorts.interviews(runs, options.seed)
    false, true = found["independent"]
    return Part(
        f"Interviews, 20 of an idea that is true in 30 %: its chance after ({runs} runs)",
        ("false", "true"),
        [(name, list(each)) for name, each in found.items()],
        more=[
            Promise("interviews lower a false idea", false, 0.15 / runs**0.5, limit=0.2),
            Promise("interviews that fail to raise a true idea", 1 - true, 0.15 / runs**0.5, 0.5),
        ],
    )


def stopped_guardrail(options: Options) -> Part:
    """A guardrail that truly loses its margin, read when the claim is first supported."""
    rows = []
    for effect in (0.1, 0.2, 0.3):
        by_fixed, by_own = streams.guardrail_when_stopped(
            effect, 0.3, 0.05, options.runs, options.seed
        )
        rows += [
            (f"effect {effect:g}, fixed test", by_fixed),
            (f"effect {effect:g}, claim's way", by_own),
        ]
    own = max(value for name, row in rows if name.endswith("claim's way") for value in row)
    error = (max(own, 0.001) * (1 - own) / options.runs) ** 0.5
    return Part(
        "Guardrail when the claim is first supported: holds though the margin, 0.05, is lost",
        ("fixed", "4 looks", "8 looks", "anytime"),
        rows,
        note="80 per cohort; 4 looks of O'Brien and Fleming's type, 8 of Pocock's; the guardrail read"
        " by the fixed test at that look, and by the claim's own analysis",
        more=[Promise("guardrail, read as its claim is", own, error)],
    )


def jobs(options: Options) -> list[Callable[[], Part]]:
    """List what is worked out, in the order in which it is printed."""
    sides: tuple[Alternative, ...] = ("greater", "two-sided")
    return [
        *(partial(fixed, options, side) for side in sides),
        partial(fixed_refuted, options),
        partial(fixed_harmful, options),
        partial(anytime_planned, options),
        partial(unrecorded_looks, options),
        partial(winners, options),
        partial(changed_sides, options),
        partial(adoption, options),
        partial(strata, options),
        partial(moved_shares, options),
        partial(single_arm, options),
        partial(interviews, options),
        *(partial(over_versions, options, planned) for planned in (None, 4)),
        partial(verdicts, options),
        *(partial(anytime, options, side) for side in sides),
        partial(anytime, options, "less", WORTH),
        partial(anytime_agrees, options),
        *(partial(planned_looks, options, each, side) for each in SPENDINGS for side in sides),
        *(partial(planned_refuted, options, each) for each in SPENDINGS),
        planned_agrees,
        partial(naive, options),
        *(partial(year, options, kind) for kind in streams.KINDS),
        partial(families, options),
        partial(guardrails, options),
        partial(stopped_guardrail, options),
        partial(power, options),
    ]


def run(job: Callable[[], Part]) -> Part:
    """Work out one table, in a process of its own kind."""
    return job()


def main(arguments: list[str] | None = None) -> int:
    """Print every table; the exit code is 0 only when every promise is kept."""
    parser = argparse.ArgumentParser(description="Hold error rates against their promises.")
    parser.add_argument("--runs", type=int, default=Options.runs, help="simulated runs (40,000)")
    parser.add_argument(
        "--streams", type=int, default=Options.streams, help="simulated years of ideas (2,000)"
    )
    parser.add_argument("--seed", type=int, default=Options.seed, help="of the simulations")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (all cores)")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, looks and runs")
    given = parser.parse_args(arguments)
    options = Options(runs=given.runs, streams=given.streams, seed=given.seed)
    if given.quick:
        options = Options((10, 40), (2, 4), 2_000, 20, given.seed)
    started = time.perf_counter()
    todo = jobs(options)
    print(f"alpha {ALPHA:g}; shares in percent; seed {options.seed}")
    promises: list[Promise] = []
    if given.quick or given.workers == 1:
        parts = map(run, todo)
        promises = _shown(parts)
    else:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.workers, mp_context=spawn) as pool:
            promises = _shown(pool.map(run, todo))
    print(f"\nPromises, at most {100 * ALPHA:g} % unless said otherwise:")
    for each in promises:
        said = "kept" if each.kept else "BROKEN"
        error = f" ± {100 * each.error:.2f}" if each.error else ""
        limit = "" if each.limit == ALPHA else f" (at most {100 * each.limit:g})"
        print(f"  {each.name}: {100 * each.share:.2f}{error}{limit}: {said}")
    kept = sum(each.kept for each in promises)
    print(f"{kept} of {len(promises)} promises kept, in {time.perf_counter() - started:.0f} s")
    return 0 if kept == len(promises) else 1


def _shown(parts: Any) -> list[Promise]:
    found: list[Promise] = []
    for part in parts:
        part.show()
        found += part.promises
    return found


if __name__ == "__main__":
    sys.exit(main())
