"""Evaluate hypotheses: gather what a study's data say of two cohorts, and have it judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from workbench import comparisons, quality
from workbench.errors import StudyError
from workbench.hypothesis import Hypothesis
from workbench.study_data import StudyData
from workbench.verdicts import Check, Evaluation, judge


@dataclass(frozen=True)
class Evaluator:
    """Evaluates the hypotheses of a study, each once for each time that it is looked at."""

    data: StudyData
    _known: dict[tuple[Hypothesis, datetime | None], Evaluation] = field(
        default_factory=dict, repr=False
    )

    def evaluate(self, claim: Hypothesis, at: datetime | None) -> Evaluation:
        """Give a hypothesis its verdict, on the data as of a time."""
        if (claim, at) not in self._known:
            self._known[claim, at] = self._anew(claim, at)
        return self._known[claim, at]

    def _anew(self, claim: Hypothesis, at: datetime | None) -> Evaluation:
        data, columns = self.data, claim.columns
        counts = data.counts(columns, at, claim)
        try:
            arms = {
                cohort: comparisons.of_cohort(counts, columns, cohort, claim.iteration_of(cohort))
                for cohort in (claim.control, claim.treatment)
            }
        except StudyError as error:
            raise StudyError(f"hypothesis {claim.name}: {error}") from None
        entered = {
            cohort.label: sum(each.entered for each in rows if each.step == data.spec.steps[0])
            for cohort, rows in arms.items()
        }
        control, treatment = (
            comparisons.total(each for each in rows if each.step == claim.metric)
            for rows in arms.values()
        )
        everybody = sum(entered.values())
        checks = [quality.pending_check(everybody - control.total - treatment.total, everybody)]
        checks += self._design(claim, entered, at)
        seen = data.newest(at)
        return judge(claim, control=control, treatment=treatment, checks=checks, as_of=seen)

    def _design(
        self, claim: Hypothesis, entered: dict[str, int], at: datetime | None
    ) -> list[Check]:
        """Check what makes the two cohorts comparable."""
        flow = self.data.spec.flow
        if claim.before_after:
            endless = flow is not None and not (claim.window or flow.window)
            return [quality.before_after_check(claim, endless=endless)]
        if not any(column in self.data.experiments for column in claim.columns):
            return [quality.groups_check(claim)]
        crossed = quality.crossovers(self.data, claim.iteration, sum(entered.values()), at)
        return [quality.ratio_check(entered), *crossed]
