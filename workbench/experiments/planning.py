"""Plan a test: customers, power and weeks for looking once, at planned looks, and at any time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import display
from workbench.data.study_data import StudyData
from workbench.errors import StudyError, unknown_name
from workbench.experiments import evaluate
from workbench.schema.hypothesis import Hypothesis
from workbench.schema.time import from_instant
from workbench.stats import anytime_power, sequential
from workbench.stats import power as power_module
from workbench.stats.power import customers_needed, detectable_effect

if TYPE_CHECKING:
    import pandas as pd

ANALYSES = ("fixed", "sequential", "anytime")
LOOKS = 4  # of the sequential plan, where the hypothesis does not name its own
CURVE_POINTS = 11
CURVE_END = 2.5  # times the minimum effect
WEEK = 7.0
ROWS = (
    "analysis",
    "customers_needed",
    "expected_customers",
    "weeks",
    "expected_weeks",
    "detectable_effect",
    "power",
)


@dataclass(frozen=True)
class Plan:
    """What a test of a hypothesis takes, for each way to look at it, side by side.

    `table` has a row an analysis: customers per cohort needed for the power wanted, those expected
    on average (it may end sooner), the weeks both take (NaN for more than can be planned), and what `customers` per cohort can do: the
    smallest effect found with that power, and the power for the minimum effect. `curve` holds the
    power at `customers` for each analysis and effect. Effects are signed fractions.
    """

    hypothesis: Hypothesis
    control_rate: float
    basis: str
    effect: float
    customers: int
    per_week: float
    table: pd.DataFrame
    curve: pd.DataFrame

    @property
    def sentence(self) -> str:
        """What the plan rests on, for a reader."""
        pace = "the rate of entry is not known"
        if not math.isnan(self.per_week):
            pace = f"{self.per_week:,.1f} customers enter each cohort a week"
        return (
            f"To show {display.worth(self.effect)} percentage points on {self.hypothesis.metric}, from "
            f"{display.percent(self.control_rate)} ({self.basis}), with a power of "
            f"{100 * self.hypothesis.power:g}%; {pace}."
        )


class _Pace(NamedTuple):
    """What an iteration in the data shows: entrants per cohort, and how many of them a week."""

    customers: int
    per_week: float


def plan(
    data: StudyData, hypothesis: str, customers: int | None = None, at: datetime | None = None
) -> Plan:
    """Plan a test of the newest version of a hypothesis.

    `customers` per cohort are those that can be had; without it, as many as entered each cohort in
    the newest iteration with data. The control's rate is the hypothesis's baseline, or else that of
    the iteration before its own, or else what its own control shows.

    Raises StudyError for an unknown hypothesis, one without a minimum effect, one whose effect the
    rate leaves no room for, and where no rate is known.
    """
    versions = [each for each in data.spec.hypotheses if each.name == hypothesis]
    if not versions:
        known = dict.fromkeys(each.name for each in data.spec.hypotheses)
        raise StudyError(unknown_name("hypothesis", hypothesis, known))
    claim = max(versions, key=lambda each: each.version)
    if not claim.minimum_effect:
        said = f"hypothesis {claim.name!r} has no minimum_effect; a plan needs the smallest worth having"
        raise StudyError(said)
    if customers is not None and customers < 2:
        raise StudyError(f"customers is {customers}; a plan needs 2 or more per cohort")
    rate, basis = _control_rate(data, claim, at)
    effect = claim.towards(0.5 - rate)
    if not 0 <= rate + effect <= 1:
        said = f"an effect of {display.worth(effect)} points leaves no room at a rate of {display.percent(rate)}"
        raise StudyError(f"hypothesis {claim.name!r}: {said}; correct minimum_effect or baseline")
    pace = _pace(data, claim, at)
    had = customers or pace.customers
    if had < 2:
        said = "nobody has entered yet, so how many customers can be had is not known"
        raise StudyError(f"hypothesis {claim.name!r}: {said}; say so with customers")
    return _planned(claim, rate, basis, effect, _Pace(had, pace.per_week))


def _planned(claim: Hypothesis, rate: float, basis: str, effect: float, pace: _Pace) -> Plan:
    import numpy as np
    import pandas as pd

    rows, curve = [], []
    sign = -1.0 if effect < 0 else 1.0
    room = rate if effect < 0 else 1 - rate
    end = min(abs(effect) * CURVE_END, room)
    for analysis in ANALYSES:
        design = _Design(analysis, claim, rate)
        needed = _known(design.needed, effect)
        expected = _known(design.expected, effect, needed)
        found = (
            _known(design.detectable, pace.customers),
            _known(design.power, effect, pace.customers),
        )
        weeks = (needed / pace.per_week, expected / pace.per_week)
        rows.append((design.name, needed, np.ceil(expected), *weeks, *found))
        for point in range(CURVE_POINTS):
            at = sign * end * point / (CURVE_POINTS - 1)
            curve.append((design.name, at, _known(design.power, at, pace.customers)))
    if all(math.isnan(row[1]) for row in rows):
        said = (
            f"an effect of {display.worth(effect)} points takes more customers than a plan can hold"
        )
        raise StudyError(f"hypothesis {claim.name!r}: {said}; raise minimum_effect")
    table = pd.DataFrame(rows, columns=list(ROWS))
    powers = pd.DataFrame(curve, columns=["analysis", "effect", "power"])
    return Plan(claim, rate, basis, effect, pace.customers, pace.per_week, table, powers)


@dataclass(frozen=True)
class _Design:
    """One way to look at a hypothesis: its power, and the customers per cohort that it takes."""

    analysis: str
    claim: Hypothesis
    rate: float

    @property
    def looks(self) -> int:
        return self.claim.looks or LOOKS

    @property
    def name(self) -> str:
        return f"sequential, {self.looks} looks" if self.analysis == "sequential" else self.analysis

    def needed(self, effect: float) -> int:
        options = {**self._options, "effect": effect, "power": self.claim.power}
        if self.analysis == "fixed":
            return customers_needed(**options)
        if self.analysis == "sequential":
            return sequential.customers_needed(looks=self.looks, **self._spending, **options)
        return anytime_power.customers_needed(**options)

    def expected(self, effect: float, customers: int) -> float:
        options = {**self._options, "effect": effect}
        if self.analysis == "fixed":
            return float(customers)
        if self.analysis == "sequential":
            both = sequential.expected_customers(
                looks=self.looks, **_both(customers), **self._spending, **options
            )
            return both.with_effect / 2
        return anytime_power.expected_customers(customers=customers, **options)

    def detectable(self, customers: int) -> float:
        options = {**self._options, "power": self.claim.power}
        if self.analysis == "fixed":
            return detectable_effect(**_both(customers), **options)
        if self.analysis == "sequential":
            return sequential.detectable_effect(
                looks=self.looks, **_both(customers), **self._spending, **options
            )
        return anytime_power.detectable_effect(customers=customers, **options)

    def power(self, effect: float, customers: int) -> float:
        options = {**self._options, "effect": effect}
        if self.analysis == "fixed":
            return power_module.power(**_both(customers), **options)
        if self.analysis == "sequential":
            return sequential.power(
                looks=self.looks, **_both(customers), **self._spending, **options
            )
        return anytime_power.power(customers=customers, **options)

    @property
    def _options(self) -> dict[str, Any]:
        claim = self.claim
        return {
            "control_rate": self.rate,
            "alternative": claim.alternative,
            "alpha": claim.alpha,
        }

    @property
    def _spending(self) -> dict[str, Any]:
        return {"spending": self.claim.spending or "obrien-fleming"}


def _known(work_out: Callable[..., float], *arguments: float) -> float:
    """Work a number out; NaN for more customers than that way to look can be planned for."""
    if any(math.isnan(each) for each in arguments):
        return math.nan
    try:
        return work_out(*arguments)
    except ValueError:
        return math.nan


def _both(customers: int) -> dict[str, Any]:
    return {"control_total": customers, "treatment_total": customers}


def _control_rate(data: StudyData, claim: Hypothesis, at: datetime | None) -> tuple[float, str]:
    """Give the control's rate to plan with, and where it comes from."""
    if claim.baseline is not None:
        return claim.baseline, "the hypothesis's baseline"
    names = [each.name for each in data.spec.iterations]
    counts = data.counts((), at, claim)
    before = names[: names.index(claim.iteration)][-1:]
    for name in before:
        found = evaluate.total(
            each for each in counts if (each.iteration, each.step) == (name, claim.metric)
        )
        if found.total:
            return found.rate, f"{found.converted:,}/{found.total:,} in iteration {name}"
    by_cohort = data.counts(claim.columns, at, claim)
    iteration = claim.iteration_of(claim.control)
    rows = evaluate.of_cohort(by_cohort, claim.columns, claim.control, iteration)
    found = evaluate.total(each for each in rows if each.step == claim.metric)
    if not found.total:
        said = f"no rate of {claim.metric} is known yet; give the hypothesis a baseline"
        raise StudyError(f"hypothesis {claim.name!r}: {said}")
    return found.rate, f"{found.converted:,}/{found.total:,} of its control so far"


def _pace(data: StudyData, claim: Hypothesis, at: datetime | None) -> _Pace:
    """See how many customers entered each cohort in the newest iteration with data, and how fast."""
    first, seen = data.spec.metrics[0], data.newest(at)
    cohorts = 1 if claim.before_after else 2 + len(claim.other_treatments)
    for span in reversed(data.spans):
        entered = sum(
            each.entered
            for each in data.counts((), at, claim)
            if (each.iteration, each.step) == (span.name, first)
        )
        if not entered:
            continue
        per_week = math.nan
        if span.end > span.start:
            start, end = from_instant(span.start), from_instant(span.end)
            end = end if seen is None else min(seen, end)
            days = (end - start).total_seconds() / 86_400
            per_week = entered / cohorts / days * WEEK if days > 0 else math.nan
        return _Pace(entered // cohorts, per_week)
    return _Pace(0, math.nan)
