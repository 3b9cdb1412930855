"""Evaluate hypotheses: gather what a study's data and its ledger say, and have it judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from workbench import comparisons, quality
from workbench.analyses import (
    GuardrailResult,
    Pair,
    Progress,
    Sample,
    analyse,
    families,
    guardrails,
)
from workbench.entries import in_order
from workbench.errors import StudyError
from workbench.flow import ADOPTION
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
        looked = [self._look(claim, at) for claim in self.data.spec.claims([iteration])]
        sound = [
            each for each in looked if not any(check.level == "invalid" for check in each.checks)
        ]
        adjusted = families([each.claim for each in sound], [each.found for each in sound])
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
                decided=self._decided(each),
            )
            for each in looked
        ]

    def _look(self, claim: Hypothesis, at: datetime | None) -> _Looked:
        arms = self._arms(claim, at)
        metrics = [claim.metric, *(each.metric for each in claim.guardrails)]
        pairs = {metric: _pair(arms, metric) for metric in metrics}
        entered = {
            cohort.label: sum(each.entered for each in rows if each.step == self._first)
            for cohort, rows in zip((claim.control, claim.treatment), arms, strict=True)
        }
        control, treatment = pairs[claim.metric]
        pending = sum(each.pending for rows in arms for each in rows if each.step == claim.metric)
        base = claim.metric if self._is_end(claim) else self._first
        whole = sum(each.entered for rows in arms for each in rows if each.step == base)
        waiting = whole - control.total - treatment.total
        checks = [quality.pending_check(waiting, whole), *self._design(claim, entered, at)]
        sample = self._sample(claim, (control, treatment), entered, at, waiting or pending)
        return _Looked(claim, pairs, analyse(claim, sample), guardrails(claim, pairs), checks)

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
        flow, everybody = self.data.spec.flow, sum(entered.values())
        if claim.before_after:
            endless = flow is not None and not self._window(claim)
            return [quality.before_after_check(claim, endless=endless)]
        if not any(column in self.data.experiments for column in claim.columns):
            return [quality.groups_check(claim)]
        sizes, planned = self._sizes(claim, entered, at)
        chosen = claim.metric == ADOPTION and self._is_end(claim)
        return [
            *([quality.opportunity_check()] if chosen else []),
            quality.ratio_check(sizes, planned),
            *quality.crossovers(self.data, claim.iteration, everybody, at),
            *quality.carry_over(self.data, claim.iteration, everybody, at),
        ]

    def _sizes(
        self, claim: Hypothesis, entered: dict[str, int], at: datetime | None
    ) -> tuple[dict[str, int], dict[str, float]]:
        """Give the sizes to hold against the allocation: of the whole experiment, if it is one."""
        planned = dict(self.data.allocation(claim.iteration))
        if len(claim.columns) == 1 and (planned or claim.other_treatments):
            return self.data.entered(claim.columns, at, claim.iteration), planned
        return entered, {}

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
        smaller = min(entered.values())
        return Sample(
            *pair,
            complete=not waiting and (seen is None or seen >= end),
            earlier=self.past.earlier(claim, pair) if self.past is not None else (),
            in_order=self._in_order(claim, at),
            usual_rate=self._usual_rate(claim, at),
            entered=smaller,
            per_day=smaller / days if days > 0 else math.nan,
            seen=seen,
            ends=end,
            window=self._window(claim),
        )

    def _in_order(self, claim: Hypothesis, at: datetime | None) -> Outcomes | None:
        if claim.analysis != "anytime" or self.data.journeys is None:
            return None
        cohorts = {
            role: (cohort, claim.iteration_of(cohort))
            for role, cohort in (("control", claim.control), ("treatment", claim.treatment))
        }
        paths = self.data.journeys.paths(at, claim.window, claim.metric)
        return in_order(paths, claim.metric, cohorts)

    def _usual_rate(self, claim: Hypothesis, at: datetime | None) -> float:
        """Give the metric's rate over the iteration before; NaN for the first one."""
        names = [each.name for each in self.data.spec.iterations]
        before = names[: names.index(claim.iteration)][-1:]
        counts = self.data.counts((), at, claim) if before else []
        return comparisons.total(
            each for each in counts if (each.iteration, each.step) == (*before, claim.metric)
        ).rate

    def _decided(self, looked: _Looked) -> Decided | None:
        if self.past is None:
            return None
        return self.past.decided(looked.claim, looked.pairs[looked.claim.metric])

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


def _pair(arms: Arms, metric: str) -> Pair:
    """Add up control's and treatment's counts of a metric."""
    control, treatment = (
        comparisons.total(each for each in rows if each.step == metric) for rows in arms
    )
    return control, treatment
