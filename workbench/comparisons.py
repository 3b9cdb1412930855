"""Comparisons beside the verdict: with the iteration before, and for planning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from workbench.cohorts import Cohort
from workbench.errors import StudyError, unknown_name
from workbench.hypothesis import Hypothesis
from workbench.proportions import Counts, compare
from workbench.steps import StepCounts
from workbench.verdicts import Evaluation

CHANGES = (
    "step",
    "previous_iteration",
    "previous_converted",
    "previous_closed",
    "previous_rate",
    "converted",
    "closed",
    "rate",
    "estimate",
    "low",
    "high",
)
PLAN = (
    "hypothesis",
    "control_rate",
    "customers_control",
    "customers_treatment",
    "detectable_effect",
    "minimum_effect",
    "customers_needed",
    "power",
)


def of_cohort(
    counts: Iterable[StepCounts], columns: Sequence[str], cohort: Cohort, iteration: str
) -> list[StepCounts]:
    """Pick a cohort's counts out of those made by `columns`.

    Raises StudyError for a value that no customer of the iteration has.
    """
    here = [each for each in counts if each.iteration == iteration]
    for column, value in cohort.values:
        place = columns.index(column)
        known = {each.cohort[place] for each in here}
        if known and value not in known:
            said = unknown_name(f"cohort {column} =", value, known)
            raise StudyError(f"{said} (in iteration {iteration})")
        here = [each for each in here if each.cohort[place] == value]
    return here


def by_level(
    counts: Iterable[StepCounts], columns: Sequence[str], claim: Hypothesis
) -> tuple[dict[str, Counts], dict[str, Counts]]:
    """Give control's and treatment's counts for each value of the last column."""
    of_metric = [each for each in counts if each.step == claim.metric]
    control, treatment = (
        {
            level: total(each for each in rows if each.cohort[-1] == level)
            for level in {each.cohort[-1] for each in rows}
        }
        for rows in (
            of_cohort(of_metric, columns, cohort, claim.iteration_of(cohort))
            for cohort in (claim.control, claim.treatment)
        )
    )
    return control, treatment


def total(counts: Iterable[StepCounts]) -> Counts:
    """Add counts of one step up over cohorts."""
    rows = list(counts)
    return Counts(sum(each.converted for each in rows), sum(each.closed for each in rows))


def changes(
    counts: Sequence[StepCounts], before: str | None, now: str, steps: Sequence[str]
) -> pd.DataFrame:
    """Compare each step's rate in two iterations, now minus before."""
    rows = []
    for step in steps if before is not None else ():
        old, new = (
            total(each for each in counts if (each.iteration, each.step) == (name, step))
            for name in (before, now)
        )
        found = compare(control=old, treatment=new)
        numbers = (old.converted, old.total, old.rate, new.converted, new.total, new.rate)
        rows.append((step, before, *numbers, found.estimate, found.low, found.high))
    return pd.DataFrame(rows, columns=list(CHANGES))


def plan(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Say what each sample could detect, and what a new one would need for the effect wanted."""
    rows = []
    for each in evaluations:
        rule, found = each.hypothesis, each.comparison
        effect = rule.towards(found.estimate)
        rate = found.control.rate
        needed = rule.customers_needed(rate, effect)
        numbers = (rate, found.control.total, found.treatment.total, each.detectable, effect)
        rows.append((rule.name, *numbers, math.nan if needed is None else needed, rule.power))
    return pd.DataFrame(rows, columns=list(PLAN))
