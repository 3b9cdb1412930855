"""Single-arm claims: the first customers of one cohort against a target, as of a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.study_data import StudyData
from workbench.errors import StudyError
from workbench.experiments.discoveries import HORIZON, Key
from workbench.experiments.evaluate import cohort_counts
from workbench.schema.hypothesis import UNQUALIFIED, Qualifier, Verdict
from workbench.schema.single_arm import SINGLE_ARM, SingleArmClaim
from workbench.schema.time import Iteration, from_instant
from workbench.stats.single_arm import (
    SingleArm,
    compare_with_target,
    customers_for_power,
    detectable_rate,
    single_arm_power,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.ledger import Ledger


@dataclass(frozen=True)
class SingleArmResult:
    """One look at a single-arm claim: its verdict, the sentence that says it, and its counts.

    Args:
        claim: The claim.
        as_of: The time as of which the data were read; None for data without times.
        found: The first customers, compared with the target.
        planned: How many customers were planned; fewer may have come by the iteration's end.
        look: The look's number in the ledger; None if it was not recorded.
    """

    claim: SingleArmClaim
    as_of: datetime | None
    found: SingleArm
    planned: int
    look: int | None = None

    @property
    def key(self) -> Key:
        """Hypothesis, version, cohort and iteration, which tell records of the ledger apart."""
        claim = self.claim
        return claim.name, claim.version, claim.treatment, claim.iteration

    @property
    def verdict(self) -> Verdict:
        """Supported above the target, refuted below it, or else inconclusive."""
        if self.found.shown:
            return Verdict.SUPPORTED
        return Verdict.REFUTED if self.found.ruled_out else Verdict.INCONCLUSIVE

    @property
    def final(self) -> bool:
        """Whether nothing that comes can change the verdict."""
        return bool(self.found.customers) and (
            self.verdict is not Verdict.INCONCLUSIVE or not self.found.open
        )

    @property
    def qualifier(self) -> Qualifier:
        """What restricts the verdict: customers who are undecided."""
        return UNQUALIFIED if self.final else Qualifier(early=True)

    @property
    def label(self) -> str:
        """The verdict and what restricts it, as readers see it."""
        return self.qualifier.label(self.verdict)

    @property
    def ends(self) -> tuple[float, float, float]:
        """The rate's distance from the target and its interval, as fractions."""
        found = self.found
        return found.rate - found.target, found.low - found.target, found.high - found.target

    @property
    def sentence(self) -> str:
        """The verdict and its reasons in plain words."""
        claim, found = self.claim, self.found
        target = f"{100 * found.target:g}%"
        if not found.customers:
            return f"Nobody of {claim.label} entered in this iteration."
        who = _who(claim, found.customers)
        level = f"{100 * (1 - 2 * claim.alpha):g}% interval, exact"
        ends = f"{display.interval(found.low, found.high)} ({level})"
        said = f"{found.converted:,} of {who} reached {claim.metric}"
        if self.verdict is Verdict.SUPPORTED:
            why = f", and {found.critical:,} were needed to show more than {target}: {ends}."
        elif self.verdict is Verdict.REFUTED:
            why = f": fewer than {target} do, {ends}."
        elif not found.open:
            needed = "no number of so few" if found.critical is None else f"{found.critical:,}"
            why = f"; {needed} would have shown more than {target}, and {ends} leaves both open."
        else:
            lost = found.closed - found.converted
            why = f" so far and {lost:,} did not; {found.critical or 0:,} are needed to show more than {target}."
            if found.out_of_reach:
                why += " So many can no longer come."
        waiting = f" {found.open:,} are undecided or to come." if found.open else ""
        fewer = ""
        if found.customers < self.planned:
            fewer = f" {self.planned:,} were planned; fewer entered by the end of the iteration."
        return f"{said}{why}{waiting}{fewer}"

    def row(self) -> dict[str, Any]:
        """Return the look as one row of plain values."""
        claim, found = self.claim, self.found
        return {
            "hypothesis": claim.name,
            "version": claim.version,
            "statement": claim.statement,
            "metric": claim.metric,
            "iteration": claim.iteration,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "verdict": str(self.verdict),
            "label": self.label,
            "kind": str(self.verdict),
            "sentence": self.sentence,
            "cohort": claim.treatment,
            "target": found.target,
            "customers": found.customers,
            "planned": self.planned,
            "critical": found.critical,
            "converted": found.converted,
            "closed": found.closed,
            "low": found.low,
            "high": found.high,
            "confidence_level": 1 - 2 * claim.alpha,
            "pvalue": found.pvalue,
            "final": self.final,
            "analysis": SINGLE_ARM,
            "look": self.look,
        }


def evaluate_single_arm(
    data: StudyData, claim: SingleArmClaim, at: datetime | None
) -> SingleArmResult:
    """Compare the first planned customers of a claim with its target.

    Raises:
        StudyError: The cohort has a value that nobody has, or more customers than planned are in
            data that do not tell who came first.
    """
    planned, seen = claim.planned_customers, data.newest(at)
    span = data.span(claim.iteration)
    if data.journeys is None:
        rows = [each for each in _counts(data, claim, at) if each.step == claim.metric]
        entered, closed = (
            sum(getattr(each, name) for each in rows) for name in ("entered", "closed")
        )
        converted = sum(each.converted for each in rows)
        if entered > planned:
            msg = (
                f"hypothesis {claim.name!r} counts the first {planned:,} customers, and only events tell "
                f"which of the {entered:,} they are; plan {entered:,}, or add events"
            )
            raise StudyError(msg)
        over = seen is None or seen >= from_instant(span.end)
    else:
        paths = data.journeys.paths(at, data.flow_of(claim))
        _ = _counts(data, claim, at)  # which refuses a value that nobody has
        values = () if claim.cohort is None else claim.cohort.values
        those = np.flatnonzero(paths.among(values, claim.iteration))
        order = np.lexsort((paths.entries.customer[those], paths.entries.entered[those]))
        first, metric = those[order][:planned], paths.metric(claim.metric)
        entered, converted = len(first), int(metric.reached[first].sum())
        closed = converted + int(metric.missed[first].sum())
        over = seen is not None and seen >= from_instant(span.end)
    customers = min(planned, entered) if over else planned
    found = compare_with_target(
        customers, converted, closed, target=claim.target, alpha=claim.alpha
    )
    return SingleArmResult(claim, seen, found, planned)


def _counts(data: StudyData, claim: SingleArmClaim, at: datetime | None) -> list[StepCounts]:
    """Return the counts of the claim's cohort in its iteration."""
    columns = () if claim.cohort is None else claim.cohort.columns
    counts = data.counts(columns, at)
    if claim.cohort is None:
        return [each for each in counts if each.iteration == claim.iteration]
    try:
        return cohort_counts(counts, columns, claim.cohort, claim.iteration)
    except StudyError as error:
        raise StudyError(f"hypothesis {claim.name}: {error}") from None


def _who(claim: SingleArmClaim, customers: int) -> str:
    """Name the customers who count."""
    of = "customers" if claim.cohort is None else f"of {claim.label}"
    return f"the first {customers:,} {of}"


@dataclass(frozen=True)
class SingleArmPlan:
    """What so many customers would show of a single-arm claim; `table` has one row a number."""

    claim: SingleArmClaim
    table: pd.DataFrame
    needed: int | None

    @property
    def sentence(self) -> str:
        """Whether the planned customers can decide, and how many would."""
        claim, rows = self.claim, self.table
        row = rows[rows["customers"] == claim.planned_customers].iloc[0]
        said = (
            f"Of {_who(claim, claim.planned_customers)}, {row['critical']:.0f} must reach "
            f"{claim.metric} to show more than {100 * claim.target:g}%"
        )
        if not claim.minimum_effect:
            found = display.percent(row["detectable_rate"])
            return f"{said}; a rate of {found} is shown with a power of {100 * claim.power:g}%."
        rate = f"{100 * (claim.target + claim.minimum_effect):g}%"
        more = "no number that can be had" if self.needed is None else f"{self.needed:,} customers"
        power = display.percent(row["power"])
        return f"{said}; if the rate is {rate}, that happens in {power}. For {100 * claim.power:g}%: {more}."


def plan_single_arm(claim: SingleArmClaim, customers: int | None = None) -> SingleArmPlan:
    """Say what the planned customers would show, and other numbers beside it.

    Args:
        claim: The claim.
        customers: Another number of customers to plan for.
    """
    import pandas as pd

    planned = claim.planned_customers
    rate = claim.target + claim.minimum_effect
    rule = {"alpha": claim.alpha, "power": claim.power}
    needed = customers_for_power(claim.target, rate, **rule) if claim.minimum_effect else None
    numbers = {5, 10, 20, 30, planned, *(each for each in (customers, needed) if each)}
    rows = [
        (
            number,
            compare_with_target(number, 0, 0, target=claim.target, alpha=claim.alpha).critical,
            single_arm_power(number, claim.target, rate, claim.alpha)
            if claim.minimum_effect
            else math.nan,
            detectable_rate(number, claim.target, **rule),
        )
        for number in sorted(numbers)
    ]
    columns = ["customers", "critical", "power", "detectable_rate"]
    return SingleArmPlan(claim, pd.DataFrame(rows, columns=columns), needed)


def on_record(ledger: Ledger, result: SingleArmResult) -> SingleArmResult:
    """Return a result as it was when its verdict became final, for data that no longer reach it."""
    from workbench.experiments.ledger import key

    if not any(key(each.record) == result.key for each in ledger.verdicts()):
        return result
    looks = [each.record for each in ledger.looks(*result.key)]
    last = max(looks, key=lambda each: each.treatment_closed)
    converted, closed = last.treatment_converted, last.treatment_closed
    rule = {"target": result.claim.target, "alpha": result.claim.alpha}
    found = compare_with_target(result.planned, converted, closed, **rule)
    if not (found.shown or found.ruled_out):  # then fewer came than were planned
        found = compare_with_target(closed, converted, closed, **rule)
    return replace(result, found=found)


def record_single_arm(
    ledger: Ledger,
    results: Iterable[SingleArmResult],
    iterations: Iterable[Iteration],
    horizon: int = HORIZON,
) -> list[SingleArmResult]:
    """Record looks at single-arm claims, and their final verdicts, as `record` does.

    Their effects are distances from the target, and they have no place in the list of discoveries.
    """
    spans = {each.name: [str(each.start), str(each.end)] for each in iterations if each.start}
    return [
        _recorded_single_arm(ledger, each, spans.get(each.claim.iteration), horizon)
        for each in results
    ]


def _recorded_single_arm(
    ledger: Ledger, result: SingleArmResult, span: list[str] | None, horizon: int
) -> SingleArmResult:
    from workbench.experiments.history import later_data_seen
    from workbench.experiments.ledger import HORIZON_FIELD, FinalVerdict, Look, Registration

    claim, found = result.claim, result.found
    digest = sha256(json.dumps([found.customers, found.converted, found.closed]).encode())
    as_of = None if result.as_of is None else result.as_of.isoformat()
    look = Look(
        *result.key,
        as_of,
        SINGLE_ARM,
        0,
        0,
        found.converted,
        found.closed,
        digest.hexdigest(),
        *result.ends,
        1 - 2 * claim.alpha,
        found.pvalue,
    )
    verdict = None
    if result.final and not later_data_seen(ledger, look):
        supported = result.verdict is Verdict.SUPPORTED
        verdict = FinalVerdict(
            *result.key,
            str(result.verdict),
            supported,
            math.nan,
            look.fingerprint,
            result.sentence,
        )
    frozen = {**claim.frozen(), "start and end": span, HORIZON_FIELD: horizon}
    done = ledger.record(Registration(*result.key[:3], frozen), look, verdict)
    return replace(result, look=done.look_number)
