"""Checks of what could break a comparison, and of how far an iteration's data can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench import display
from workbench.data.counts import CountsTable, OutcomesTable
from workbench.data.paths import entered_before
from workbench.data.study_data import ODD_LOGS, Journeys, StudyData
from workbench.experiments.crossovers import crossover_check
from workbench.experiments.verdict import Check, Level
from workbench.schema.hypothesis import Hypothesis
from workbench.stats.sample_ratio import homogeneity, sample_ratio

WARN, INVALID = 0.01, 0.001
MOST_PENDING = 0.5
MOST_CARRIED = 0.1
PARTS = 4  # of the customers, in order of entry
MOST_UNEVEN = 10  # customers in each of them at the least
Times = npt.NDArray[np.int64]
Fact = tuple[str, float, Level, str]


def log_facts(data: Journeys) -> list[Fact]:
    """Return the rows of a log, its duplicates and its ties, each with a sentence."""
    until = f"{data.as_of(None):%Y-%m-%d %H:%M} UTC"
    return [
        ("rows", data.log.facts.rows, "ok", f"Rows of the log, up to {until}."),
        ("duplicates", data.duplicates[0], "ok", "Rows that repeat another exactly; counted once."),
        ("ties", data.ties[0], "ok", "Moments with several events; the flow's order decides."),
        *(
            (name, each.count, "warn", f"{display.capital(each.message)}.")
            for name, find in ODD_LOGS.items()
            for each in find(data)
        ),
    ]


def quality(data: StudyData, iteration: str, at: datetime | None) -> pd.DataFrame:
    """Return how far an iteration's data can be trusted: check, value, level, sentence."""
    facts = [] if data.journeys is None else log_facts(data.journeys)
    counts = [each for each in data.counts((), at) if each.iteration == iteration]
    entered = sum(each.entered for each in counts if each.step == data.spec.steps[0])
    closed = min((each.closed for each in counts if each.step in data.spec.steps), default=0)
    facts.append(("customers", entered, "ok", f"Customers who entered the flow in {iteration}."))
    checks = [
        pending_check(entered - closed, entered),
        *crossover_checks(data, iteration, entered, at),
        *(
            ratio_check(sizes, planned_shares(data, iteration, sizes))
            for sizes in (data.entered([column], at, iteration) for column in data.experiments)
        ),
        *carry_over_checks(data, iteration, entered, at),
    ]
    names = [each.name for each in data.spec.iterations]
    for before in names[: names.index(iteration)][-1:]:
        checks += mix_checks(data, before, iteration, at)
    return quality_table(facts, checks)


def mix_checks(data: StudyData, before: str, now: str, at: datetime | None) -> list[Check]:
    """Check whether two iterations have the same mix of customers, for each grouping but experiments."""
    others = [each for each in data.spec.groupings if each not in data.participation]
    return [
        mix_check(column, *(data.entered([column], at, name) for name in (before, now)))
        for column in others
    ]


def planned_shares(data: StudyData, iteration: str, cohorts: Iterable[str]) -> Mapping[str, float]:
    """Return the planned shares of these cohorts in an iteration; empty for equal shares.

    Where a study has several experiments, an allocation belongs to the one whose cohorts it names.
    """
    planned = data.allocation(iteration)
    ours = len(data.experiments) < 2 or not planned.keys().isdisjoint(cohorts)
    return planned if ours else {}


def carry_over_checks(
    data: StudyData, iteration: str, entered: int, at: datetime | None
) -> list[Check]:
    """Check how many customers of an iteration entered an earlier one too; empty without events."""
    names = [each.name for each in data.spec.iterations]
    if data.journeys is None or not names.index(iteration):
        return []
    return [carry_over_check(entered_before(data.journeys.paths(at), iteration), entered)]


def crossover_checks(
    data: StudyData, iteration: str, entered: int, at: datetime | None
) -> list[Check]:
    """Check how many customers of an iteration saw two groups; empty for data that do not tell."""
    opened = data.opened
    if not data.participation or isinstance(opened, CountsTable):
        return []
    if isinstance(opened, OutcomesTable):
        return [crossover_check(0, entered, opened.crossed, opened.customers)]
    crossed, unknown = opened.crossovers(iteration, at)
    return [crossover_check(crossed, entered, unknown, entered)]


def quality_table(facts: Sequence[Fact], checks: Iterable[Check]) -> pd.DataFrame:
    """Return facts and checks as one table: check, value, level, sentence."""
    rows = [*facts, *((each.name, each.value, each.level, each.sentence) for each in checks)]
    return pd.DataFrame(rows, columns=["check", "value", "level", "sentence"])


def before_after_check(claim: Hypothesis, *, endless: bool) -> Check:
    """Return the check of a before-after comparison: not randomized, and invalid without a window."""
    before, after = claim.iteration_of(claim.control), claim.iteration_of(claim.treatment)
    if endless:
        said = (
            f"The flow has no window, so customers of {before} and {after} had unequal time to get "
            "there; give the hypothesis a window, such as 14d."
        )
        return Check("equal time", "invalid", said)
    said = (
        f"Nothing was randomized: customers of {before} and {after} may differ in more than the "
        "release."
    )
    return Check("randomization", "warn", said)


def groups_check(claim: Hypothesis) -> Check:
    """Return the warning that the cohorts of a segment were not randomized."""
    said = (
        f"Nothing was randomized: {claim.control.label} and {claim.treatment.label} are groups that customers "
        "belong to, and may differ in more than one way."
    )
    return Check("randomization", "warn", said)


def ratio_check(counts: Mapping[str, int], allocation: Mapping[str, float] | None = None) -> Check:
    """Check an experiment's sample ratio: whether its cohorts have the sizes that were planned.

    Args:
        counts: The customers of each cohort.
        allocation: The planned share of each cohort; equal shares unless given.

    Returns:
        A check that warns below a p-value of 0.01 and is invalid below 0.001.
    """
    planned = allocation or {}
    unplanned = [
        name for name, count in counts.items() if count and planned and name not in planned
    ]
    if unplanned:
        said = (
            f"{counts[unplanned[0]]:,} customers are in {unplanned[0]}, for which the allocation "
            f"plans nobody ({_shares(planned)}); correct the allocation, or find out why."
        )
        return Check("sample ratio", "invalid", said, 0.0)
    sizes = {name: counts.get(name, 0) for name in planned} or dict(counts)
    if len(sizes) < 2 or not sum(sizes.values()):
        said = "There are too few customers or cohorts to check the cohorts' sizes."
        return Check("sample ratio", "ok", said)
    found = sample_ratio(list(sizes.values()), list(planned.values()) or None)
    shown = " : ".join(f"{count:,}" for count in sizes.values())
    names = " : ".join(sizes)
    shares = f"shares of {_shares(planned)}" if planned else "equal shares"
    level: Level = "invalid" if found.pvalue < INVALID else "warn" if found.pvalue < WARN else "ok"
    tested = f"{display.pvalue(found.pvalue)}, {found.method}"
    often = f"{1000 * found.pvalue:.0f} in 1,000" if found.pvalue >= INVALID else "under 1 in 1,000"
    said = {
        "ok": f"{shown} customers ({names}) are what {shares} would give (p {tested}).",
        "warn": (
            f"Check how customers were allocated: {shares} give {shown} ({names}) or worse in "
            f"only {often} cases (sample ratio p {tested}), and a fault there shifts the effect."
        ),
        "invalid": (
            f"The cohorts' sizes, {shown} ({names}), do not fit {shares} (sample ratio "
            f"p {tested}), so customers were not allocated as planned; find out why and test again."
        ),
    }[level]
    return Check("sample ratio", level, said, found.pvalue)


def steadiness_check(control: Times, treatment: Times) -> Check:
    """Check whether the arms' shares stayed the same while customers entered.

    Args:
        control: When the customers of control entered, in any unit.
        treatment: When those of treatment did.

    Returns:
        A check that warns below a p-value of 0.01 and is invalid below 0.001: with shares that move, a
        base that moves too makes an effect of nothing.
    """
    name = "allocation over time"
    times = np.sort(np.concatenate([control, treatment]))
    if len(times) < PARTS * MOST_UNEVEN:
        return Check(name, "ok", "There are too few customers to check shares over time.")
    edges = times[[len(times) * part // PARTS for part in range(1, PARTS)]]
    counts = [
        np.bincount(np.searchsorted(edges, each, side="right"), minlength=PARTS).tolist()
        for each in (control, treatment)
    ]
    pvalue = homogeneity(*counts)
    shares = [other / (one + other) for one, other in zip(*counts, strict=True) if one + other]
    moved = f"{display.percent(shares[0])} of the first quarter, {display.percent(shares[-1])} of the last"
    level: Level = "invalid" if pvalue < INVALID else "warn" if pvalue < WARN else "ok"
    said = {
        "ok": "The treatment's share stayed the same while customers entered.",
        "warn": f"The treatment's share may have moved while customers entered: {moved}; find out "
        "whether the allocation was changed.",
        "invalid": (
            f"The treatment's share moved while customers entered: {moved} (p "
            f"{display.pvalue(pvalue)}); who came early and late is compared then, so begin a new "
            "iteration where shares change."
        ),
    }[level]
    return Check(name, level, said, pvalue)


def carry_over_check(known: Mapping[str, int], entered: int) -> Check:
    """Check how many customers entered an earlier iteration; `known` counts them for each one."""
    if not (entered and any(known.values())):
        return Check("carry-over", "ok", "No customer entered an earlier iteration too.", 0)
    name, most = max(known.items(), key=lambda each: each[1])
    share = most / entered
    said = (
        f"{most:,} of {entered:,} customers ({display.percent(share)}) entered iteration {name} "
        "too, and may act on what they saw there."
    )
    return Check("carry-over", "warn" if share > MOST_CARRIED else "ok", said, most)


def mix_check(grouping: str, before: Mapping[str, int], now: Mapping[str, int]) -> Check:
    """Check whether the mix of a grouping changed since the iteration before."""
    name = f"mix of {grouping}"
    levels = [level for level in {**before, **now} if before.get(level) or now.get(level)]
    old, new = ([each.get(level, 0) for level in levels] for each in (before, now))
    if len(levels) < 2 or not (sum(old) and sum(new)):
        return Check(name, "ok", f"There is no other mix of {grouping} to compare with.")
    pvalue = homogeneity(old, new)
    tested = display.pvalue(pvalue)
    if math.isnan(pvalue):
        said = f"There are too few customers to tell whether the mix of {grouping} changed."
        return Check(name, "ok", said)
    if not pvalue < WARN:
        said = f"The mix of {grouping} is that of the iteration before (p {tested})."
        return Check(name, "ok", said, pvalue)
    moved = max(levels, key=lambda level: abs(_part(now, level) - _part(before, level)))
    shares = " to ".join(
        display.rate(_part(each, moved), each.get(moved, 0), sum(each.values()))
        for each in (before, now)
    )
    said = (
        f"The mix of {grouping} changed since the iteration before: {moved} went from {shares} "
        f"(p {tested}), so the two iterations differ in their customers too."
    )
    return Check(name, "warn", said, pvalue)


def _part(counts: Mapping[str, int], level: str) -> float:
    return counts.get(level, 0) / sum(counts.values())


def _shares(allocation: Mapping[str, float]) -> str:
    return " : ".join(f"{name} {share:g}" for name, share in allocation.items())


def pending_check(open_customers: int, entered: int) -> Check:
    """Check how many customers' windows are still open."""
    share = open_customers / entered if entered else 0.0
    if entered and open_customers == entered:
        said = "Every customer is still pending; look again later."
        return Check("pending", "invalid", said, open_customers)
    if not open_customers:
        return Check("pending", "ok", "Every customer's window is over.", 0)
    said = (
        f"{open_customers:,} of {entered:,} customers ({display.percent(share)}) are still "
        "pending and not counted."
    )
    return Check("pending", "warn" if share > MOST_PENDING else "ok", said, open_customers)
