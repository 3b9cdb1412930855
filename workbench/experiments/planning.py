"""Plan a test: customers, weeks and power of a fixed, sequential and anytime analysis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import display
from workbench.data.study_data import StudyData
from workbench.errors import StudyError, unknown_name
from workbench.experiments.evaluate import cohort_counts, total
from workbench.schema.cohort import MISSING
from workbench.schema.hypothesis import Hypothesis
from workbench.schema.time import from_instant
from workbench.stats import anytime_power, power, sequential

if TYPE_CHECKING:
    import pandas as pd

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
    """What a test of a hypothesis takes, for each analysis.

    `table` has one row for each analysis: the customers per cohort needed for the power wanted, the
    customers expected on average (looking may end the test sooner), the weeks that both take until the
    last of their windows is over, and what `customers` per cohort can do: the smallest effect they show with that power, and their
    power for the minimum effect. Numbers beyond what can be planned are NaN. `curve` holds the power
    of `customers` for each analysis and effect. `guardrails` has the metric, the margin and the
    customers per cohort that rule out its loss if nothing is lost, in the fixed analysis. Effects are
    signed fractions.
    """

    hypothesis: Hypothesis
    control_rate: float
    basis: str
    effect: float
    customers: int
    per_week: float
    window: float
    tests: int
    table: pd.DataFrame
    curve: pd.DataFrame
    guardrails: tuple[tuple[str, float, float], ...] = ()

    @property
    def sentence(self) -> str:
        """The assumptions of the plan, for a reader."""
        pace = "the rate of entry is not known"
        if not math.isnan(self.per_week):
            pace = f"{self.per_week:,.1f} customers enter the smaller cohort a week"
            if self.window:
                pace += f", and each is followed for {self.window:.1f} weeks"
        several = ""
        if self.tests > 1:
            several = (
                f" It is one of {self.tests} tests at once, so alpha is divided by {self.tests}."
            )
        return (
            f"To show {display.worth(self.effect)} percentage points on {self.hypothesis.metric}, from "
            f"{display.percent(self.control_rate)} ({self.basis}), with a power of "
            f"{100 * self.hypothesis.power:g}%; {pace}.{several}{self._others}"
        )

    @property
    def _others(self) -> str:
        """Say what guardrails need, and that strata need less."""
        said = ""
        for metric, margin, needed in self.guardrails:
            need = "cannot be planned" if math.isnan(needed) else f"takes {needed:,.0f} per cohort"
            said += f" To rule out that {metric} loses {100 * margin:g} points {need}, if nothing is lost."
        if self.hypothesis.stratify:
            within = " and ".join(self.hypothesis.stratify)
            said += f" Compared within {within} it may take fewer; the plan counts on none."
        return said


class _Pace(NamedTuple):
    """Customers of the smaller cohort in an iteration, how many a week, and the weeks each is followed."""

    customers: int
    per_week: float
    window: float = 0.0


def plan(
    data: StudyData, hypothesis: str, customers: int | None = None, at: datetime | None = None
) -> Plan:
    """Plan a test of the newest version of a hypothesis.

    Control's rate is the hypothesis's baseline, or else that of the iteration before its own, or
    else what its own control shows.

    Args:
        data: The study's data.
        hypothesis: The name of the hypothesis.
        customers: The customers available per cohort; unless given, as many as entered each cohort
            in the newest iteration with data.
        at: The time as of which the data are read; the newest event unless given.

    Raises:
        StudyError: For an unknown hypothesis, one without a minimum effect, one whose effect the
            rate leaves no room for, and where no rate is known.
    """
    versions = [each for each in data.spec.hypotheses if each.name == hypothesis]
    if not versions:
        known = dict.fromkeys(each.name for each in data.spec.hypotheses)
        raise StudyError(unknown_name("hypothesis", hypothesis, known))
    claim = max(versions, key=lambda each: each.version)
    if not claim.minimum_effect:
        said = f"hypothesis {claim.name!r} has no minimum_effect; a plan needs the smallest effect worth having"
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
        said = "nobody has entered yet, so the number of customers available is not known"
        raise StudyError(f"hypothesis {claim.name!r}: {said}; give customers")
    tests = sum(
        len(each.arms) for each in data.spec.hypotheses if each.iteration == claim.iteration
    )
    made = _planned(claim, rate, basis, effect, pace._replace(customers=had), tests)
    return replace(made, guardrails=tuple(_guardrails(data, claim, at)))


def _guardrails(
    data: StudyData, claim: Hypothesis, at: datetime | None
) -> Iterator[tuple[str, float, float]]:
    """Yield for each guardrail the customers per cohort that rule out its loss if nothing is lost."""
    for each in claim.guardrails:
        rule = claim.model_copy(
            update={"metric": each.metric, "alternative": "greater", "baseline": None}
        )
        rate, _ = _control_rate(data, rule, at)
        needed = (
            rule.customers_needed(rate, 0.0, null_effect=-each.margin) if 0 < rate < 1 else None
        )
        yield each.metric, each.margin, math.nan if needed is None else float(needed)


def _planned(
    claim: Hypothesis, rate: float, basis: str, effect: float, pace: _Pace, tests: int
) -> Plan:
    import numpy as np
    import pandas as pd

    rows, curve = [], []
    sign = -1.0 if effect < 0 else 1.0
    room = rate if effect < 0 else 1 - rate
    end = min(abs(effect) * CURVE_END, room)
    for method in _methods(claim, rate, claim.alpha / tests):
        needed = _known(method.needed, effect, claim.power)
        expected = _known(method.expected, effect, needed)
        found = (
            _known(method.detectable, pace.customers, claim.power, effect),
            _known(method.power, effect, pace.customers),
        )
        weeks = tuple(each / pace.per_week + pace.window for each in (needed, expected))
        rows.append((method.name, needed, np.ceil(expected), *weeks, *found))
        for point in range(CURVE_POINTS):
            at = sign * end * point / (CURVE_POINTS - 1)
            curve.append((method.name, at, _known(method.power, at, pace.customers)))
    if all(math.isnan(row[1]) for row in rows):
        said = (
            f"an effect of {display.worth(effect)} points takes more customers than a plan can hold"
        )
        raise StudyError(f"hypothesis {claim.name!r}: {said}; raise minimum_effect")
    table = pd.DataFrame(rows, columns=list(ROWS))
    powers = pd.DataFrame(curve, columns=["analysis", "effect", "power"])
    return Plan(
        claim, rate, basis, effect, pace.customers, pace.per_week, pace.window, tests, table, powers
    )


@dataclass(frozen=True)
class _Method:
    """One analysis: the module of `workbench.stats` that plans it, and the options it takes."""

    name: str
    module: Any
    options: dict[str, Any]

    def needed(self, effect: float, wanted: float) -> int:
        return int(self.module.customers_needed(effect=effect, power=wanted, **self.options))

    def detectable(self, customers: int, wanted: float, effect: float) -> float:
        """Return the smallest effect that is found, on the side of the one planned."""
        options = dict(self.options)
        if options["alternative"] == "two-sided":
            options["alternative"] = "less" if effect < 0 else "greater"
            options["alpha"] /= 2
            if "planned_effect" in options:
                options["planned_effect"] = math.copysign(options["planned_effect"], effect)
        sizes = self._sizes(customers)
        return float(self.module.detectable_effect(**sizes, power=wanted, **options))

    def power(self, effect: float, customers: int) -> float:
        return float(self.module.power(effect=effect, **self._sizes(customers), **self.options))

    def expected(self, effect: float, customers: int) -> float:
        """Return the customers per cohort at which the test ends on average."""
        if self.module is power:
            return float(customers)
        found = self.module.expected_customers(
            effect=effect, **self._sizes(customers), **self.options
        )
        return float(found.with_effect / 2 if self.module is sequential else found)

    def _sizes(self, customers: int) -> dict[str, int]:
        if self.module is anytime_power:
            return {"customers": customers}
        return {"control_total": customers, "treatment_total": customers}


def _methods(claim: Hypothesis, rate: float, alpha: float) -> tuple[_Method, ...]:
    options = {"control_rate": rate, "alternative": claim.alternative, "alpha": alpha}
    looks = claim.looks or LOOKS
    planned = {**options, "looks": looks, "spending": claim.spending or "obrien-fleming"}
    return (
        _Method("fixed", power, options),
        _Method(f"sequential, {looks} looks", sequential, planned),
        _Method("anytime", anytime_power, {**options, "planned_effect": claim.towards()}),
    )


def _known(work_out: Callable[..., float], *arguments: float) -> float:
    """Return a number; NaN where it takes more customers than can be planned for."""
    if any(math.isnan(each) for each in arguments):
        return math.nan
    try:
        return work_out(*arguments)
    except ValueError:
        return math.nan


def _control_rate(data: StudyData, claim: Hypothesis, at: datetime | None) -> tuple[float, str]:
    """Return control's rate to plan with, and its source."""
    if claim.baseline is not None:
        return claim.baseline, "the hypothesis's baseline"
    names = [each.name for each in data.spec.iterations]
    counts = data.counts((), at, claim)
    before = names[: names.index(claim.iteration)][-1:]
    for name in before:
        found = total(
            each for each in counts if (each.iteration, each.step) == (name, claim.metric)
        )
        if found.total:
            return found.rate, f"{found.converted:,}/{found.total:,} in iteration {name}"
    by_cohort = data.counts(claim.columns, at, claim)
    iteration = claim.iteration_of(claim.control)
    rows = cohort_counts(by_cohort, claim.columns, claim.control, iteration)
    found = total(each for each in rows if each.step == claim.metric)
    if not found.total:
        said = f"no rate of {claim.metric} is known yet; give the hypothesis a baseline"
        raise StudyError(f"hypothesis {claim.name!r}: {said}")
    return found.rate, f"{found.converted:,}/{found.total:,} of its control so far"


def _pace(data: StudyData, claim: Hypothesis, at: datetime | None) -> _Pace:
    """Return how many customers the smaller cohort gained in the newest iteration with data, and how fast.

    Where the claim's cohorts were not there yet, an iteration's customers are shared out among its
    arms.
    """
    flow, seen, step = data.flow_of(claim), data.newest(at), data.spec.metrics[0]
    window = None if flow is None else flow.decided_within(claim.metric)
    weeks = 0.0 if window is None else window / timedelta(weeks=1)
    counts = data.counts(claim.columns, at, claim)
    for span in reversed(data.spans):
        here = {
            each.cohort: each.entered
            for each in counts
            if (each.iteration, each.step) == (span.name, step) and MISSING not in each.cohort
        }
        if not sum(here.values()):
            continue
        smaller = _smaller(here, data, claim, span.name)
        per_week = math.nan
        if span.end > span.start:
            start, end = from_instant(span.start), from_instant(span.end)
            end = end if seen is None else min(seen, end)
            days = (end - start).total_seconds() / 86_400
            per_week = smaller / days * WEEK if days > 0 else math.nan
        return _Pace(int(smaller), per_week, weeks)
    return _Pace(0, math.nan, weeks)


def _smaller(
    here: Mapping[tuple[str, ...], int], data: StudyData, claim: Hypothesis, iteration: str
) -> float:
    """Return the size of the smaller of the claim's cohorts, or the share that it will have."""
    everybody = sum(here.values())
    if claim.before_after:
        return everybody
    planned = data.allocation(claim.iteration)
    if planned and iteration != claim.iteration:
        return everybody * min(planned.values()) / sum(planned.values())
    sizes = [
        sum(
            entered
            for cohort, entered in here.items()
            if all(cohort[claim.columns.index(column)] == value for column, value in each.values)
        )
        for each in (claim.control, claim.treatment)
    ]
    arms = max(len(here), 2 + len(claim.other_treatments))
    return min(sizes) if all(sizes) else everybody // arms
