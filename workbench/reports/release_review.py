"""A release review: what came of an iteration and those before it, for the people who decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from workbench.display import Sentences
from workbench.errors import DataError
from workbench.experiments.history import Stated, version_history
from workbench.experiments.over_versions import OverVersions
from workbench.experiments.single_arm import SingleArmResult
from workbench.innovation.backlog import Advice, Backlog
from workbench.innovation.difference import Difference
from workbench.innovation.feedback import Feedback
from workbench.innovation.next_version import NextStep
from workbench.innovation.problems import ProblemReview
from workbench.innovation.strategy import Strategy
from workbench.innovation.true_innovation import Innovation
from workbench.reports.report import IterationReport, Result
from workbench.schema.flow import ADOPTION
from workbench.schema.hypothesis import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.verdict import Evaluation

NO_STRATEGY = (
    "The study names no strategic metrics, so this review cannot say what the business got."
)
NO_FEEDBACK = "The study names no feedback, so this review holds nothing of what customers said."
NO_PROBLEMS = (
    "The study names no problems, so this review cannot say which solution is best; list them as "
    "problems, and name the problem of each hypothesis and idea."
)
FIRST = "This is the first iteration of the study: there is none to compare it with."
NO_RETURN = "The flow follows nobody beyond the need met; with a return_window it would count who comes back."
NO_OPPORTUNITY = "No opportunity: nobody met the trigger again after the need was met, so nobody could come back."
LOST_RETURN = "The data no longer reach these iterations, and a ledger keeps no times of return."
NO_EVENTS = "Only an event log tells who came back after the need was met."


@dataclass(frozen=True, kw_only=True, repr=False)
class ReleaseReview(IterationReport):
    """One iteration and those before it, part by part.

    Where the study has no strategic metrics, feedback or returns, that part is a sentence saying so.
    """

    kind: str = "Release review"

    @property
    def trigger(self) -> str:
        """What customers do to enter the flow, in the words of the data."""
        spec = self.study.spec
        if spec.flow is not None:
            return " or ".join(spec.flow.trigger)
        return "customers" if spec.counts is None else spec.counts.trigger

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The hypotheses of this iteration; recorded if the review is to do so."""
        _ = self.feedback, self.strategy  # bad ones raise before anything is recorded
        return self.evaluate()

    @cached_property
    def innovation(self) -> Innovation:
        """Whether it is innovation yet, in this iteration and in those before."""
        return self.study.innovation(**self.at)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """The learning metrics of all customers, in each iteration."""
        return self.study.learning_metrics(self.iterations, as_of=self.as_of, recorded=True)

    @cached_property
    def cohorts(self) -> pd.DataFrame:
        """The learning metrics of each cohort, in each iteration."""
        by, at = self.by, self.as_of
        return self.study.learning_metrics(self.iterations, by=by, as_of=at, recorded=True)

    @cached_property
    def retention(self) -> pd.DataFrame | Sentences:
        """The share of customers who adopted, by days since their need was met, in each iteration."""
        study = self.study
        if ADOPTION not in study.spec.metrics:
            return Sentences((NO_EVENTS if study.spec.flow is None else NO_RETURN,))
        again = self.metrics[self.metrics["step"] == ADOPTION]
        if not again["entered"].sum():
            return Sentences((NO_OPPORTUNITY,))
        lost = self.metrics.attrs.get("recorded", {})
        here = [name for name in self.iterations if name not in lost]
        if not here:
            return Sentences((LOST_RETURN,))
        return study.retention(here, as_of=self.as_of)

    @cached_property
    def looks(self) -> list[Evaluation]:
        """An evaluation on present data of every hypothesis up to this iteration, the newest first."""
        study, here = self.study, self.iteration
        return [
            each
            for name in reversed(self.iterations)
            for each in (self.evaluations if name == here else study.evaluate(name, self.as_of))
        ]

    @cached_property
    def history(self) -> pd.DataFrame:
        """The versions of each hypothesis up to this iteration, as recorded in the ledger.

        Where the ledger has none (0 looks), the verdict is what the data say now.
        """
        study, alone = self.study, list(self.single_arm)
        for name in self.iterations[:-1]:
            alone += study.single_arm(name, self.as_of)
        every: list[Evaluation | SingleArmResult] = [*self.looks, *alone]
        now = {each.key[:3]: each for each in every}  # some were just put on record
        claims: list[Stated] = [*study.spec.claims(self.iterations)]
        claims += [each.claim for each in alone]
        frame = version_history(claims, study.history())
        for place in frame.index[frame["looks"] == 0]:
            found = now[tuple(frame.loc[place, ["hypothesis", "version", "arm"]])]
            frame.loc[place, ["estimate", "low", "high", "pvalue"]] = _numbers(found)
            frame.loc[place, ["verdict", "label"]] = [str(found.verdict), found.label]
        learned = study.learned(self.as_of)
        said = [learned.findings_sentence(name) for name in dict.fromkeys(frame["hypothesis"])]
        frame.attrs["evidence"] = [*filter(None, said), *(each.sentence for each in self.evidence)]
        return frame

    @cached_property
    def evidence(self) -> list[OverVersions]:
        """What the versions of each hypothesis say together."""
        return self.study.evidence(**self.at)

    @cached_property
    def difference(self) -> Difference | Sentences:
        """What changed since the iteration before."""
        before = self.iterations[:-1]
        if not before:
            return Sentences((FIRST,))
        return self.study.difference(before[-1], self.iteration, self.as_of)

    @cached_property
    def problems(self) -> list[ProblemReview] | Sentences:
        """Which solution of each problem is best so far."""
        if not self.study.spec.problems:
            return Sentences((NO_PROBLEMS,))
        return self.study.problems(**self.at)

    @property
    def story(self) -> pd.DataFrame:
        """What templates of 0.1 call the history; gone with 0.3."""
        return self.history

    @cached_property
    def strategy(self) -> Strategy | Sentences:
        """The strategic metrics compared with their expected courses."""
        study, at = self.study, self.as_of
        if study.spec.strategy is None:
            return Sentences((NO_STRATEGY,))
        try:
            return study.strategy(at)
        except DataError as error:
            if at is None:
                raise
            study.strategy()  # which raises again if the data are broken, not only young
            return Sentences((f"There are no results on strategic metrics yet: {error}.",))

    @cached_property
    def feedback(self) -> Feedback | Sentences:
        """What the customers of this iteration said, beside what they did."""
        study = self.study
        if study.spec.feedback is None:
            return Sentences((NO_FEEDBACK,))
        return study.feedback(**self.at)

    @cached_property
    def backlog(self) -> Backlog:
        """What to try next, ranked."""
        return self.study.backlog(self.as_of)

    @cached_property
    def quality(self) -> pd.DataFrame:
        """How far the data of this iteration can be trusted."""
        return self.study.quality(**self.at)

    @cached_property
    def next_step(self) -> NextStep:
        """What to try next and why, with a draft of it."""
        return self.study.next_step(**self.at)

    @property
    def next(self) -> Advice:
        """The one next thing."""
        return self.next_step.advice

    def finish(self) -> Result:
        """Return the end of the review; a template's last cell shows it."""
        retention, strategy, feedback = self.retention, self.strategy, self.feedback
        changed, solved = self.difference, self.problems
        goals = self.innovation.table.to_dict("records")
        content = {
            "innovation": {"state": self.innovation.state, "goals": goals},
            "trend": self.innovation.trend_table.to_dict("records"),
            "learning_metrics": self.cohorts.to_dict("records"),
            "retention": [] if isinstance(retention, Sentences) else retention.to_dict("records"),
            "hypotheses": self.history.to_dict("records"),
            "difference": [] if isinstance(changed, Sentences) else changed.rows(),
            "problems": [] if isinstance(solved, Sentences) else [each.row() for each in solved],
            "evidence": [each.row() for each in self.evidence],
            "strategy": strategy.rows() if isinstance(strategy, Strategy) else [],
            "feedback": feedback.rows() if isinstance(feedback, Feedback) else {},
            "backlog": self.backlog.rows(),
            "quality": self.quality.to_dict("records"),
            "next": self.next_step.row(),
        }
        return self.result_with_verdicts(self.evaluations, content, self.single_arm)


def _numbers(found: Evaluation | SingleArmResult) -> list[float]:
    """Return effect, interval and p-value; NaN for an invalid comparison."""
    if isinstance(found, SingleArmResult):
        return [*found.ends, math.nan]
    if found.verdict is Verdict.INVALID:
        return [math.nan] * 4
    effect = found.comparison
    return [effect.estimate, effect.low, effect.high, found.pvalue]


begin = ReleaseReview.begin
