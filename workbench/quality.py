"""What is wrong with the data, and what that does to a comparison; said before any number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd

from workbench import formats
from workbench.hypothesis import Hypothesis
from workbench.journeys import Journeys, Odd
from workbench.planning import sample_ratio
from workbench.study_data import StudyData
from workbench.verdicts import Check, Level

WARN, INVALID = 0.01, 0.001
MOST_CROSSOVERS = {"warn": 0.01, "invalid": 0.1}
MOST_PENDING = 0.5
ProblemLevel = Literal["error", "warning", "note"]
Fact = tuple[str, float, Level, str]
COLUMNS = ("level", "problem", "count", "example")


@dataclass(frozen=True)
class Problem:
    """One problem of the data: how bad, what, how often, and a row that shows it."""

    level: ProblemLevel
    message: str
    count: int
    example: Mapping[str, Any]


@dataclass(frozen=True)
class DataReport:
    """All problems found in a study's data."""

    problems: tuple[Problem, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row a problem."""
        rows = [
            (each.level, each.message, each.count, dict(each.example)) for each in self.problems
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that leave nothing to conclude."""
        return tuple(each for each in self.problems if each.level == "error")


def log_problems(data: Journeys) -> list[Problem]:
    """Name what is odd about a log's rows."""
    known, flow = data.log.names, data.flow
    found = []
    for step in flow.steps:
        for name in step.events:
            if name not in known:
                near = ", ".join(each for each in known if each not in flow.events) or "none"
                message = (
                    f"event {name!r} of step {step.name!r} does not occur: nobody got there yet, or "
                    f"it is called otherwise; names outside the flow: {near}"
                )
                found.append(Problem("warning", message, 0, {}))
    odd: tuple[tuple[Odd, ProblemLevel, str], ...] = (
        (data.duplicates, "note", "rows repeat another one exactly; they count once"),
        (data.ties, "note", "moments hold several events of the flow; its order decides"),
        (data.nameless, "warning", "rows have no event name; they change nothing"),
    )
    for (count, example), level, message in odd:
        if count:
            found.append(Problem(level, message, count, example))
    return found


def log_facts(data: Journeys) -> list[Fact]:
    """Count a log's rows, and those that need a word."""
    until = f"{data.as_of(None):%Y-%m-%d %H:%M} UTC"
    return [
        ("rows", data.log.facts.rows, "ok", f"Rows of the log, up to {until}."),
        ("duplicates", data.duplicates[0], "ok", "Rows that repeat another exactly; counted once."),
        ("ties", data.ties[0], "ok", "Moments with several events; the flow's order decides."),
    ]


def of_iteration(data: StudyData, iteration: str, at: datetime | None) -> pd.DataFrame:
    """Say how far an iteration's data can be trusted: check, value, level, sentence."""
    facts = [] if data.journeys is None else log_facts(data.journeys)
    counts = [each for each in data.counts((), at) if each.iteration == iteration]
    entered = sum(each.entered for each in counts if each.step == data.spec.steps[0])
    closed = min((each.closed for each in counts), default=0)
    facts.append(("customers", entered, "ok", f"Customers who entered the flow in {iteration}."))
    checks = [
        pending_check(entered - closed, entered),
        *crossovers(data, iteration, entered, at),
        *(ratio_check(data.entered([column], at, iteration)) for column in data.experiments),
    ]
    return quality_table(facts, checks)


def crossovers(data: StudyData, iteration: str, entered: int, at: datetime | None) -> list[Check]:
    """Check how many customers of an iteration saw two groups, if the data can tell."""
    if data.journeys is None or not data.experiments:
        return []
    return [crossover_check(data.journeys.crossovers(iteration, at), entered)]


def quality_table(facts: Sequence[Fact], checks: Iterable[Check]) -> pd.DataFrame:
    """Lay facts and checks out as one table: check, value, level, sentence."""
    rows = [*facts, *((each.name, each.value, each.level, each.sentence) for each in checks)]
    return pd.DataFrame(rows, columns=["check", "value", "level", "sentence"])


def before_after_check(claim: Hypothesis, *, endless: bool) -> Check:
    """Say that two iterations were not randomized, and that they need equal time."""
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
    """Say that cohorts which nobody was put into by chance were not randomized."""
    said = (
        f"Nothing was randomized: {claim.control.label} and {claim.treatment.label} are groups that customers "
        "belong to, and may differ in more than one way."
    )
    return Check("randomization", "warn", said)


def ratio_check(
    counts: Mapping[str, int], allocation: Sequence[float] | None = None, what: str = "cohorts"
) -> Check:
    """Check that an experiment's cohorts have the sizes that its allocation would give."""
    if len(counts) < 2 or not sum(counts.values()):
        return Check("sample ratio", "ok", f"The {what} hold too few cohorts to check their ratio.")
    found = sample_ratio(list(counts.values()), allocation)
    sizes = " : ".join(f"{count:,}" for count in counts.values())
    names = " : ".join(counts)
    level: Level = "invalid" if found.pvalue < INVALID else "warn" if found.pvalue < WARN else "ok"
    shown = f"{formats.pvalue(found.pvalue)}, {found.method}"
    often = f"{1000 * found.pvalue:.0f} in 1,000" if found.pvalue >= INVALID else "under 1 in 1,000"
    said = {
        "ok": f"{sizes} customers ({names}) are what equal shares would give (p {shown}).",
        "warn": (
            f"Check how customers were allocated: equal shares give {sizes} ({names}) or worse in "
            f"only {often} cases (sample ratio p {shown}), and a fault there shifts the effect."
        ),
        "invalid": (
            f"The cohorts' sizes, {sizes} ({names}), do not fit equal shares (sample ratio "
            f"p {shown}), so customers were not allocated as planned; find out why and test again."
        ),
    }
    return Check("sample ratio", level, said[level], found.pvalue)


def crossover_check(crossovers: int, entered: int) -> Check:
    """Check how many customers saw two groups of an experiment."""
    share = crossovers / (crossovers + entered) if crossovers + entered else 0.0
    if share > MOST_CROSSOVERS["invalid"]:
        said = (
            f"{crossovers:,} customers ({formats.percent(share)}) saw two groups of the "
            "experiment, too many to leave out; keep each customer in one group and test again."
        )
        return Check("crossovers", "invalid", said, crossovers)
    if not crossovers:
        return Check("crossovers", "ok", "No customer saw two groups of the experiment.", 0)
    verb = (
        "customer who saw two groups was"
        if crossovers == 1
        else "customers who saw two groups were"
    )
    said = f"{crossovers:,} {verb} left out ({formats.percent(share)} of those who entered)."
    level: Level = "warn" if share > MOST_CROSSOVERS["warn"] else "ok"
    return Check("crossovers", level, said, crossovers)


def pending_check(open_customers: int, entered: int) -> Check:
    """Check how many customers' windows are still open."""
    share = open_customers / entered if entered else 0.0
    if entered and open_customers == entered:
        said = "Every customer is still pending; look again later."
        return Check("pending", "invalid", said, open_customers)
    if not open_customers:
        return Check("pending", "ok", "Every customer's window is over.", 0)
    said = (
        f"{open_customers:,} of {entered:,} customers ({formats.percent(share)}) are still "
        "pending and not counted."
    )
    return Check("pending", "warn" if share > MOST_PENDING else "ok", said, open_customers)
