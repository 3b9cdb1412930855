"""Evaluate hypotheses: gather what a study's data and its ledger say, and have it judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from workbench import comparisons, quality
from workbench.analyses import Pair, Progress, Sample, analyse, families
from workbench.entries import in_order
from workbench.errors import StudyError
from workbench.flow import ADOPTION
from workbench.guardrails import GuardrailResult, guardrails
from workbench.hypothesis import Hypothesis
from workbench.iterations import from_instant
from workbench.judge import judge
from workbench.proportions import Comparison
from workbench.steps import StepCounts
from workbench.study_data import StudyData
from workbench.verdicts import Check, Decided, Evaluation

if TYPE_CHECKING:
    from workbench.anytime import Outcomes
    from workbench.recording import Past

Arms = tuple[list[StepCounts], list[StepCounts]]


class _Looked(NamedTuple):
    """One hypothesis, looked at but not yet judged."""

    claim: Hypothesis
    pairs: dict[str, Pair]
    found: tuple[Comparison, Progress]
    guardrails: tuple[GuardrailResult, ...]
    checks: list[Check]
    decided: Decided | None


@dataclass(frozen=True)
class Evaluator:
    """Evaluates the hypotheses of a study, those of an iteration together.

    `past` tells the earlier looks, and what is decided, if there is a ledger already.
    """

    data: StudyData
    past: Past | None = None
    _known: dict[tuple[str, datetime | None], list[Evaluation]] = field(
        default_factory=dict, repr=False
    )

    def evaluate(self, iteration: str, at: datetime | None) -> list[Evaluation]:
        """Give each hypothesis of an iteration its verdict, on the data as of a time."""
        if (iteration, at) not in self._known:
            self._known[iteration, at] = self._anew(iteration, at)
        return self._known[iteration, at]

    def _anew(self, iteration: str, at: datetime | None) -> list[Evaluation]:
        claims = self.data.spec.claims([iteration])
        looked = [self._look(claim, at, len(claims)) for claim in claims]
        sound = [
            each for each in looked if not any(check.level == "invalid" for check in each.checks)
        ]
        adjusted = families([each.claim for each in sound], [_as_decided(each) for each in sound])
        family = {id(each): found for each, found in zip(sound, adjusted, strict=True)}
        seen = self.data.newest(at)
        return [
            judge(
                each.claim,
                control=each.found[0].control,
                treatment=each.found[0].treatment,
                checks=each.checks,
                as_of=seen,
                looked=each.found,
                guardrails=each.guardrails,
                family=family.get(id(each)),
                decided=each.decided,
            )
            for each in looked
        ]

    def _look(self, claim: Hypothesis, at: datetime | None, together: int) -> _Looked:
        arms = self._arms(claim, at)
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
        base = claim.metric if self._is_end(claim) else self._first
        whole = sum(each.entered for rows in arms for each in rows if each.step == base)
        waiting = whole - control.total - treatment.total
        checks = [quality.pending_check(waiting, whole), *self._design(claim, entered, at)]
        sample = self._sample(claim, (control, treatment), entered, at, waiting or pending)
        found = analyse(claim, sample, together=together)
        orders = {each.metric: self._in_order(claim, each.metric, at) for each in claim.guardrails}
        known = {metric: order for metric, order in orders.items() if order is not None}
        kept = guardrails(claim, pairs, sample, known)
        return _Looked(claim, pairs, found, kept, checks, self._decided(claim, sample, found[0]))

    def _arms(self, claim: Hypothesis, at: datetime | None) -> Arms:
        """Give the counts of control and treatment, over all steps."""
        counts = self.data.counts(claim.columns, at, claim)
        try:
            control, treatment = (
                comparisons.of_cohort(counts, claim.columns, cohort, claim.iteration_of(cohort))
                for cohort in (claim.control, claim.treatment)
            )
        except StudyError as error:
            raise StudyError(f"hypothesis {claim.name}: {error}") from None
        return control, treatment

    def _design(
        self, claim: Hypothesis, entered: dict[str, int], at: datetime | None
    ) -> list[Check]:
        """Check what makes the two cohorts comparable."""
        flow, iteration = self.data.spec.flow, claim.iteration
        here = (iteration, self._first)
        everybody = sum(
            each.entered for each in self.data.counts((), at) if (each.iteration, each.step) == here
        )
        again = quality.carry_over(self.data, iteration, everybody, at)
        if claim.before_after:
            endless = flow is not None and not self._window(claim)
            before, now = (claim.iteration_of(each) for each in (claim.control, claim.treatment))
            mixes = quality.mixes(self.data, before, now, at)
            return [quality.before_after_check(claim, endless=endless), *again, *mixes]
        if not self._is_randomized(claim):
            return [quality.groups_check(claim), *again]
        chosen = claim.metric == ADOPTION and self._is_end(claim)
        return [
            *([quality.opportunity_check()] if chosen else []),
            quality.ratio_check(*self._sizes(claim, entered, at)),
            *quality.crossovers(self.data, iteration, everybody, at),
            *again,
        ]

    def _is_randomized(self, claim: Hypothesis) -> bool:
        """Whether nothing but groups of an experiment tells control and treatment apart."""
        apart = {column for column, _ in {*claim.control.values} ^ {*claim.treatment.values}}
        return bool(apart) and apart <= {*self.data.experiments}

    def _sizes(
        self, claim: Hypothesis, entered: dict[str, int], at: datetime | None
    ) -> tuple[dict[str, int], Mapping[str, float]]:
        """Give the sizes to hold against the allocation: of the whole experiment, if it is one."""
        if len(claim.columns) == 1:
            sizes = self.data.entered(claim.columns, at, claim.iteration)
            planned = quality.shares(self.data, claim.iteration, sizes)
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
        pair: Pair,
        entered: dict[str, int],
        at: datetime | None,
        waiting: int,
    ) -> Sample:
        seen = self.data.newest(at)
        span = next(each for each in self.data.spans if each.name == claim.iteration)
        start, end = from_instant(span.start), from_instant(span.end)
        days = math.nan if seen is None else (min(seen, end) - start) / timedelta(days=1)
        growing: list[int] = []
        grown: list[int] = []
        cohorts = (claim.control, claim.treatment)
        for cohort, customers in zip(cohorts, entered.values(), strict=True):
            here = claim.iteration_of(cohort) == claim.iteration
            (growing if here else grown).append(customers)
        smaller = min(growing or grown)
        return Sample(
            *pair,
            complete=not waiting and (seen is None or seen >= end),
            earlier=self.past.earlier(claim, pair) if self.past is not None else (),
            in_order=self._in_order(claim, claim.metric, at),
            usual_rate=self._usual_rate(claim, at),
            entered=smaller,
            per_day=smaller / days if days > 0 else math.nan,
            most=min(grown, default=None),
            seen=seen,
            ends=end,
            window=self._window(claim),
        )

    def _in_order(self, claim: Hypothesis, metric: str, at: datetime | None) -> Outcomes | None:
        if claim.analysis != "anytime" or self.data.journeys is None:
            return None
        cohorts = {
            role: (cohort, claim.iteration_of(cohort))
            for role, cohort in (("control", claim.control), ("treatment", claim.treatment))
        }
        paths = self.data.journeys.paths(at, claim.window, metric)
        return in_order(paths, metric, cohorts)

    def _usual_rate(self, claim: Hypothesis, at: datetime | None) -> float:
        """Give the metric's rate over the iteration before; NaN for the first one."""
        names = [each.name for each in self.data.spec.iterations]
        before = names[: names.index(claim.iteration)][-1:]
        counts = self.data.counts((), at, claim) if before else []
        return comparisons.total(
            each for each in counts if (each.iteration, each.step) == (*before, claim.metric)
        ).rate

    def _decided(self, claim: Hypothesis, sample: Sample, found: Comparison) -> Decided | None:
        if self.past is None:
            return None
        # An analysis at any time counts, and records, the customers of whole blocks only.
        counted = found if claim.analysis == "anytime" else sample
        return self.past.decided(claim, (counted.control, counted.treatment))

    def _window(self, claim: Hypothesis) -> timedelta | None:
        """Give the window that decides on a claim's metric, its own or the flow's."""
        flow = self.data.spec.flow
        return claim.window or (flow.window_of(claim.metric) if flow is not None else None)

    def _is_end(self, claim: Hypothesis) -> bool:
        """Whether a claim is about adoption or the outcome, which have counts of their own."""
        flow = self.data.spec.flow
        return flow is not None and claim.metric in flow.ends

    @property
    def _first(self) -> str:
        return self.data.spec.steps[0]


def _as_decided(looked: _Looked) -> tuple[Comparison, Progress]:
    """Give what was found; of a verdict on record, with the p-value that it rests on."""
    found, progress = looked.found
    if looked.decided is None:
        return found, progress
    return replace(found, pvalue=looked.decided.looked), replace(progress, early=False)


def _pair(arms: Arms, metric: str) -> Pair:
    """Add up control's and treatment's counts of a metric."""
    control, treatment = (
        comparisons.total(each for each in rows if each.step == metric) for rows in arms
    )
    return control, treatment
