"""Evaluate the hypotheses of a study on its data, with what its ledger already holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.paths import count_apart, outcomes_in_order
from workbench.data.study_data import StudyData
from workbench.errors import StudyError, unknown_name
from workbench.experiments.analysis import (
    GuardrailResult,
    Pair,
    Progress,
    Sample,
    analyse,
    families,
    frozen_size,
    guardrails,
    planned_size,
)
from workbench.experiments.checks import (
    before_after_check,
    carry_over_checks,
    groups_check,
    mix_checks,
    pending_check,
    planned_shares,
    ratio_check,
    steadiness_check,
)
from workbench.experiments.crossovers import Crossovers, crossovers_of
from workbench.experiments.discoveries import (
    Effect,
    hypotheses_of,
    shrunken,
    standings,
    updated,
)
from workbench.experiments.looks import cuts
from workbench.experiments.verdict import Check, Evaluation, RecordedVerdict, evaluate
from workbench.schema.cohort import Cohort
from workbench.schema.hypothesis import Hypothesis, Verdict
from workbench.schema.time import from_instant
from workbench.stats.proportions import Comparison, Counts, compare

if TYPE_CHECKING:
    from workbench.experiments.history import PastLooks
    from workbench.stats.anytime import Outcomes

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
SAMPLE_SIZES = (
    "hypothesis",
    "control_rate",
    "customers_control",
    "customers_treatment",
    "detectable_effect",
    "minimum_effect",
    "customers_needed",
    "power",
)
Arms = tuple[list[StepCounts], list[StepCounts]]
NOBODY, NEVER = -(2**62), 2**62  # a cut before everybody, and one after


def cohort_counts(
    counts: Iterable[StepCounts], columns: Sequence[str], cohort: Cohort, iteration: str
) -> list[StepCounts]:
    """Return a cohort's counts in an iteration, out of counts grouped by `columns`.

    Raises:
        StudyError: For a value that no customer of the iteration has.
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


def level_counts(
    counts: Iterable[StepCounts], columns: Sequence[str], claim: Hypothesis
) -> tuple[dict[str, Counts], dict[str, Counts]]:
    """Return the counts of control and of treatment for each value of the last column."""
    of_metric = [each for each in counts if each.step == claim.metric]
    control, treatment = (
        {
            level: total(each for each in rows if each.cohort[-1] == level)
            for level in {each.cohort[-1] for each in rows}
        }
        for rows in (
            cohort_counts(of_metric, columns, cohort, claim.iteration_of(cohort))
            for cohort in (claim.control, claim.treatment)
        )
    )
    return control, treatment


def total(counts: Iterable[StepCounts]) -> Counts:
    """Return the sum of one step's counts over cohorts."""
    rows = list(counts)
    return Counts(sum(each.converted for each in rows), sum(each.closed for each in rows))


def changes(
    counts: Sequence[StepCounts], before: str | None, now: str, steps: Sequence[str]
) -> pd.DataFrame:
    """Compare each step's rate in two iterations: now minus before."""
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


def sample_sizes(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Return what each sample could detect, and how many customers the minimum effect needs."""
    rows = []
    for each in evaluations:
        rule, found = each.hypothesis, each.comparison
        effect = rule.towards(found.estimate)
        rate = found.control.rate
        needed = rule.customers_needed(rate, effect)
        numbers = (rate, found.control.total, found.treatment.total, each.detectable, effect)
        rows.append((rule.name, *numbers, math.nan if needed is None else needed, rule.power))
    return pd.DataFrame(rows, columns=list(SAMPLE_SIZES))


class _Seen(NamedTuple):
    """The customers who entered up to a cut: counts by metric, entrants, and those still waiting."""

    cut: int | None
    pairs: dict[str, Pair]
    entered: dict[str, int]
    entrants: int
    waiting: int


class _Analysed(NamedTuple):
    """A hypothesis that is analysed and has no verdict yet."""

    claim: Hypothesis
    found: tuple[Comparison, Progress]
    guardrails: tuple[GuardrailResult, ...]
    checks: list[Check]
    recorded: RecordedVerdict | None
    compliance: float
    apart: tuple[Pair, int] | None


@dataclass(frozen=True)
class Evaluator:
    """Evaluates the hypotheses of a study, those of an iteration together.

    `past` holds the earlier looks and verdicts, if there is a ledger, and `lost` the iterations that the
    data no longer reach: their verdicts are those on record. What was evaluated once is kept.
    """

    data: StudyData
    past: PastLooks | None = None
    lost: frozenset[str] = frozenset()
    _cache: dict[tuple[str, datetime | None], list[Evaluation]] = field(
        default_factory=dict, repr=False
    )

    def evaluate(self, iteration: str, at: datetime | None) -> list[Evaluation]:
        """Return an evaluation of each hypothesis and treatment of an iteration, as of a time."""
        if (iteration, at) not in self._cache:
            self._cache[iteration, at] = self._evaluate(iteration, at)
        return self._cache[iteration, at]

    def _evaluate(self, iteration: str, at: datetime | None) -> list[Evaluation]:
        claims = self.data.spec.claims([iteration])
        analysed = [self._analyse(claim, at, len(claims)) for claim in claims]
        sound = [
            each for each in analysed if not any(check.level == "invalid" for check in each.checks)
        ]
        adjusted = families([_for_family(each) for each in sound])
        family = {id(each): found for each, found in zip(sound, adjusted, strict=True)}
        seen = self.data.newest(at)
        return self._placed(
            [
                replace(
                    evaluate(
                        each.claim,
                        control=each.found[0].control,
                        treatment=each.found[0].treatment,
                        checks=each.checks,
                        as_of=seen,
                        analysed=each.found,
                        guardrails=each.guardrails,
                        family=family.get(id(each)),
                        recorded=each.recorded,
                        compliance=each.compliance,
                        window=self._window(each.claim),
                    ),
                    apart=each.apart,
                )
                for each in analysed
            ]
        )

    def _placed(self, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
        """Tell of each final verdict, on record or not, where it stands among all hypotheses."""
        final = [each for each in evaluations if each.final or each.recorded is not None]
        known = () if self.past is None else self.past.trials()
        found = standings(updated(known, [each.trial for each in final]), self._hypotheses)
        there = {each.key for each in final}
        effects = {} if self.past is None else self.past.effects()
        effects |= {
            each.key: Effect.of(each.comparison.control, each.comparison.treatment)
            for each in final
            if each.verdict is not Verdict.INVALID and not math.isnan(each.comparison.estimate)
        }
        shrunk = shrunken(effects)
        return [
            each.placed(found.get(each.key), shrunk.get(each.key)) if each.key in there else each
            for each in evaluations
        ]

    @property
    def _hypotheses(self) -> int:
        """How many hypotheses the study's list of discoveries counts."""
        spec = self.data.spec
        horizon = None if self.past is None else self.past.horizon
        names = [each.name for each in spec.hypotheses]
        names += [] if self.past is None else self.past.names
        return hypotheses_of(spec.discovery_horizon if horizon is None else horizon, names)

    def _analyse(self, claim: Hypothesis, at: datetime | None, together: int) -> _Analysed:
        on_record = self._on_record(claim, at)
        if on_record is not None:
            return on_record
        at = self._moment(claim, at)
        whole = self._seen(claim, at, None)
        passed, waits = self._passed(claim, at)
        over = self._is_over(claim, at) and not whole.waiting
        seen = passed[-1] if passed else whole if waits is None else self._seen(claim, at, waits)
        planned = len(passed) == (claim.looks or 1)
        if claim.analysis == "sequential" and not planned and self._has_times:
            # What lies beyond the last look that was passed is a look only once nobody is to come.
            seen = whole if over else passed[-1] if passed else self._seen(claim, at, NOBODY)
        sample = self._sample(claim, seen, passed, at, waits, complete=planned or over)
        found = analyse(claim, sample, together=together)
        orders = {each.metric: self._in_order(claim, each.metric, at) for each in claim.guardrails}
        known = {metric: order for metric, order in orders.items() if order is not None}
        crossed = {
            metric: crossovers_of(self.data, claim, metric, at, seen.cut) for metric in seen.pairs
        }
        compliance = {name: each.compliance for name, each in crossed.items() if each is not None}
        kept = guardrails(claim, seen.pairs, sample, known, compliance)
        checks = [
            pending_check(seen.waiting, seen.entrants),
            *self._comparability(claim, seen.entered, at, seen.cut, crossed[claim.metric]),
        ]
        broken = any(each.level == "invalid" for each in checks)
        recorded = self._recorded(claim, found[0], at, always=broken)
        seen_share = compliance.get(claim.metric, 1.0)
        apart = self._apart(claim, at, seen.cut)
        return _Analysed(claim, found, kept, checks, recorded, seen_share, apart)

    def _on_record(self, claim: Hypothesis, at: datetime | None) -> _Analysed | None:
        """Return the final verdict on record of a claim that the data no longer reach, if there is one."""
        sides = (claim.control, claim.treatment)
        gone = self.lost & {claim.iteration_of(each) for each in sides}
        if self.past is None or not gone:
            return None
        nobody = Counts(0, 0)
        recorded = self.past.verdict(claim, (nobody, nobody), self.data.newest(at), always=True)
        if recorded is None or recorded.pair is None:
            return None
        if at is not None and recorded.seen is not None and recorded.seen > at:
            return None  # it was not there yet
        control, treatment = recorded.pair
        found = replace(
            claim.compare(control=control, treatment=treatment), pvalue=recorded.look_pvalue
        )
        smaller = min(control.total, treatment.total)
        progress = Progress(claim.analysis, frozen_size(claim), smaller)
        said = (
            f"The data no longer reach all of {' and '.join(sorted(gone))}: verdict and counts are those on "
            f"record since {display.day(recorded.at)}."
        )
        check = Check("record", "warn", said)
        return _Analysed(claim, (found, progress), (), [check], recorded, 1.0, recorded.apart)

    def _apart(
        self, claim: Hypothesis, at: datetime | None, cut: int | None
    ) -> tuple[Pair, int] | None:
        """Count a version's customers without those of earlier ones, and those; None if it has none."""
        earlier = [
            each
            for each in self.data.spec.hypotheses
            if (each.name, each.version < claim.version) == (claim.name, True)
            and each.iteration != claim.iteration
        ]
        if not earlier or self.data.journeys is None:
            return None
        paths = self.data.journeys.paths(at, self.data.flow_of(claim))
        sides = [(each, claim.iteration_of(each)) for each in (claim.control, claim.treatment)]
        before = [
            (cohort, each.iteration_of(cohort))
            for each in earlier
            for cohort in (each.control, each.treatment, *each.other_treatments)
        ]
        (control, treatment), again = count_apart(paths, claim.metric, sides, before, cut)
        return ((control, treatment), again) if again else None

    def _moment(self, claim: Hypothesis, at: datetime | None) -> datetime | None:
        """Return the time as of which a claim is read: without a window never after its iteration.

        Without a window rates grow for ever, so the end of the iteration is the one moment that
        counts.
        """
        journeys = self.data.journeys
        if (
            journeys is None
            or claim.analysis != "fixed"
            or self._window(claim)
            or claim.before_after
        ):
            return at
        end = next(each.end for each in self.data.spans if each.name == claim.iteration)
        begun = end > journeys.log.facts.oldest
        return min(journeys.as_of(at), from_instant(end)) if begun else at

    @property
    def _has_times(self) -> bool:
        """Whether the data tell when customers entered."""
        return self.data.newest(None) is not None or bool(self.data.spec.events)

    def _is_over(self, claim: Hypothesis, at: datetime | None) -> bool:
        """Whether nobody will enter the claim's iteration any more."""
        seen = self.data.newest(at)
        end = next(each.end for each in self.data.spans if each.name == claim.iteration)
        return seen is None or seen >= from_instant(end)

    def _passed(self, claim: Hypothesis, at: datetime | None) -> tuple[list[_Seen], int | None]:
        """Return the looks that are passed, in order, and the cut whose windows are still open."""
        planned = frozen_size(claim)
        if claim.analysis == "sequential" and planned is None:
            usual = Sample(Counts(0, 0), Counts(0, 0), usual_rate=self._usual_rate(claim, at))
            planned = None if math.isnan(usual.usual_rate) else planned_size(claim, usual)
        cohorts = (claim.control, claim.treatment, *claim.other_treatments)
        arms = [self.data.entry_times(each, claim.iteration_of(each), at) for each in cohorts]
        passed: list[_Seen] = []
        for cut in cuts(claim, planned, arms):
            if cut.until is None:
                break
            seen = self._seen(claim, at, cut.until)
            if seen.waiting:
                return passed, cut.until
            passed.append(seen)
        return passed, None

    def _seen(self, claim: Hypothesis, at: datetime | None, cut: int | None) -> _Seen:
        """Count the customers of both arms who entered up to a cut."""
        arms = self._arms(claim, at, cut)
        metrics = [claim.metric, *(each.metric for each in claim.guardrails)]
        pairs = {metric: _pair(arms, metric) for metric in metrics}
        alike = claim.control.label == claim.treatment.label
        entered = {
            str(cohort) if alike else cohort.label: sum(
                each.entered for each in rows if each.step == self._first
            )
            for cohort, rows in zip((claim.control, claim.treatment), arms, strict=True)
        }
        control, treatment = pairs[claim.metric]
        pending = sum(each.pending for rows in arms for each in rows if each.step == claim.metric)
        entrants = sum(entered.values())
        waiting = entrants - control.total - treatment.total
        return _Seen(cut, pairs, entered, entrants, waiting or pending)

    def _arms(self, claim: Hypothesis, at: datetime | None, cut: int | None) -> Arms:
        """Return the counts of control and treatment, over all steps."""
        counts = self.data.counts(claim.columns, at, claim, cut)
        try:
            control, treatment = (
                cohort_counts(counts, claim.columns, cohort, claim.iteration_of(cohort))
                for cohort in (claim.control, claim.treatment)
            )
        except StudyError as error:
            raise StudyError(f"hypothesis {claim.name}: {error}") from None
        return control, treatment

    def _comparability(
        self,
        claim: Hypothesis,
        entered: dict[str, int],
        at: datetime | None,
        cut: int | None,
        crossed: Crossovers | None,
    ) -> list[Check]:
        """Return the checks of whether the two cohorts are comparable."""
        flow, iteration = self.data.spec.flow, claim.iteration
        here = (iteration, self._first)
        everybody = sum(
            each.entered for each in self.data.counts((), at) if (each.iteration, each.step) == here
        )
        again = carry_over_checks(self.data, iteration, everybody, at)
        if claim.before_after:
            endless = flow is not None and not self._window(claim)
            before, now = (claim.iteration_of(each) for each in (claim.control, claim.treatment))
            mixes = mix_checks(self.data, before, now, at)
            return [before_after_check(claim, endless=endless), *again, *mixes]
        sides = [] if crossed is None else [crossed.check]
        if not self._is_randomized(claim):
            return [groups_check(claim), *sides, *again]
        return [
            ratio_check(*self._sizes(claim, entered, at, cut)),
            *self._steadiness(claim, at, cut),
            *sides,
            *again,
        ]

    def _is_randomized(self, claim: Hypothesis) -> bool:
        """Whether control and treatment differ in groups of an experiment only."""
        return bool(claim.apart) and claim.apart <= {*self.data.experiments}

    def _steadiness(self, claim: Hypothesis, at: datetime | None, cut: int | None) -> list[Check]:
        """Check whether the arms' shares moved; empty for data without times."""
        arms = [
            self.data.entry_times(each, claim.iteration, at)
            for each in (claim.control, claim.treatment)
        ]
        last = NEVER if cut is None else cut
        known = [each[each <= last] for each in arms if each is not None]
        return [steadiness_check(*known)] if len(known) == 2 else []

    def _sizes(
        self, claim: Hypothesis, entered: dict[str, int], at: datetime | None, cut: int | None
    ) -> tuple[dict[str, int], Mapping[str, float]]:
        """Return cohorts' sizes and planned shares, of the whole experiment where that is possible."""
        if len(claim.columns) == 1:
            sizes = self.data.entered(claim.columns, at, claim.iteration, cut)
            planned = planned_shares(self.data, claim.iteration, sizes)
            return (sizes if planned or claim.other_treatments else entered), planned
        # Part of an experiment's customers: by the shares of the groups that tell them apart.
        groups = [
            [value for column, value in cohort.values if (column, value) not in other.values]
            for cohort, other in (
                (claim.control, claim.treatment),
                (claim.treatment, claim.control),
            )
        ]
        planned = self.data.allocation(claim.iteration)
        if any(len(each) != 1 or each[0] not in planned for each in groups):
            return entered, {}
        pairs = zip(entered, groups, strict=True)
        return entered, {name: planned[group] for name, (group,) in pairs}

    def _sample(
        self,
        claim: Hypothesis,
        found: _Seen,
        passed: Sequence[_Seen],
        at: datetime | None,
        waits: int | None,
        *,
        complete: bool,
    ) -> Sample:
        seen = self.data.newest(at)
        span = self.data.span(claim.iteration)
        start, end = from_instant(span.start), from_instant(span.end)
        days = math.nan if seen is None else (min(seen, end) - start) / timedelta(days=1)
        growing: list[int] = []
        grown: list[int] = []
        cohorts = (claim.control, claim.treatment)
        for cohort, customers in zip(
            cohorts, self._seen(claim, at, None).entered.values(), strict=True
        ):
            here = claim.iteration_of(cohort) == claim.iteration
            (growing if here else grown).append(customers)
        smaller = min(growing or grown)
        pair = found.pairs[claim.metric]
        looked = tuple(each.pairs[claim.metric] for each in passed if each is not found)
        if not looked and self.past is not None and not self._has_times:
            looked = self.past.earlier(claim, pair)
        return Sample(
            *pair,
            complete=complete,
            earlier=looked,
            in_order=self._in_order(claim, claim.metric, at),
            usual_rate=self._usual_rate(claim, at),
            entered=smaller,
            per_day=smaller / days if days > 0 else math.nan,
            most=min(grown, default=None),
            seen=seen,
            ends=end,
            window=self._window(claim),
            cut=None if waits is None else from_instant(waits),
            strata=self._strata(claim, at, found.cut),
        )

    def _strata(self, claim: Hypothesis, at: datetime | None, cut: int | None) -> tuple[Pair, ...]:
        """Return the counts of control and treatment in each stratum; none without strata."""
        if not claim.stratify:
            return ()
        columns = tuple(dict.fromkeys((*claim.columns, *claim.stratify)))
        places = [columns.index(name) for name in claim.stratify]
        counts = self.data.counts(columns, at, claim, cut)
        found: dict[tuple[str, ...], list[list[StepCounts]]] = {}
        for arm, cohort in enumerate((claim.control, claim.treatment)):
            for each in cohort_counts(counts, columns, cohort, claim.iteration_of(cohort)):
                if each.step == claim.metric:
                    stratum = tuple(each.cohort[place] for place in places)
                    found.setdefault(stratum, [[], []])[arm].append(each)
        return tuple((total(one), total(other)) for _, (one, other) in sorted(found.items()))

    def _in_order(self, claim: Hypothesis, metric: str, at: datetime | None) -> Outcomes | None:
        if claim.analysis != "anytime" or self.data.journeys is None:
            return None
        cohorts = {
            role: (cohort, claim.iteration_of(cohort))
            for role, cohort in (("control", claim.control), ("treatment", claim.treatment))
        }
        paths = self.data.journeys.paths(at, self.data.flow_of(claim))
        return outcomes_in_order(paths, metric, cohorts)

    def _usual_rate(self, claim: Hypothesis, at: datetime | None) -> float:
        """Return the metric's rate in the iteration before; NaN in the first one."""
        names = [each.name for each in self.data.spec.iterations]
        before = names[: names.index(claim.iteration)][-1:]
        counts = self.data.counts((), at, claim) if before else []
        return total(
            each for each in counts if (each.iteration, each.step) == (*before, claim.metric)
        ).rate

    def _recorded(
        self,
        claim: Hypothesis,
        found: Comparison,
        at: datetime | None,
        *,
        always: bool,
    ) -> RecordedVerdict | None:
        if self.past is None:
            return None
        pair = (found.control, found.treatment)
        return self.past.verdict(claim, pair, self.data.newest(at), always=always)

    def _window(self, claim: Hypothesis) -> timedelta | None:
        """Return the window of a hypothesis's metric: its own, or else the flow's."""
        flow = self.data.flow_of(claim)
        return None if flow is None else flow.decided_within(claim.metric)

    @property
    def _first(self) -> str:
        return self.data.spec.steps[0]


def _for_family(analysed: _Analysed) -> tuple[Comparison, Progress]:
    """Return comparison and progress; of a verdict on record, with the p-value that it rests on."""
    found, progress = analysed.found
    if analysed.recorded is None:
        return found, progress
    return replace(found, pvalue=analysed.recorded.look_pvalue), replace(progress, early=False)


def _pair(arms: Arms, metric: str) -> Pair:
    """Return the counts of control and treatment for a metric."""
    control, treatment = (total(each for each in rows if each.step == metric) for rows in arms)
    return control, treatment
