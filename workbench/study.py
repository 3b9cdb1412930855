"""Studies: the file and data of one innovation effort, and the questions that a notebook asks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload
from warnings import warn
from zoneinfo import ZoneInfo

from workbench import display
from workbench.data import study_data
from workbench.data.counts import StepCounts
from workbench.data.metrics import learning_table, next_table
from workbench.data.partners import Partners, partner_problems, study_partners
from workbench.data.study_data import DataReport, Problem, StudyData
from workbench.errors import StudyError, WorkbenchError, unknown_name
from workbench.experiments import checks, planning, subgroups
from workbench.experiments.evaluate import Evaluator, changes, sample_sizes
from workbench.experiments.over_versions import OverVersions, over_versions
from workbench.experiments.seals import SealedSeries
from workbench.experiments.single_arm import (
    SingleArmPlan,
    SingleArmResult,
    evaluate_single_arm,
    on_record,
    plan_single_arm,
)
from workbench.experiments.verdict import Evaluation
from workbench.indicators.sources import StudyIndicators
from workbench.indicators.values import Indicators, indicator_problems
from workbench.innovation.backlog import Advice, Backlog, advise, problems, rank_backlog
from workbench.innovation.difference import Difference, difference
from workbench.innovation.feedback import Feedback, summarize_feedback
from workbench.innovation.learning import Learned, make_finding, read_findings, read_learned
from workbench.innovation.next_version import NextStep, next_step
from workbench.innovation.problems import ProblemReview, review_problems
from workbench.innovation.programme import Programme, review_programme
from workbench.innovation.strategy import Strategy, assess_strategy
from workbench.innovation.true_innovation import Innovation, assess_innovation, retention
from workbench.schema.insertion import raw_entry
from workbench.schema.study import StudySpec, read_study
from workbench.schema.time import in_zone, moment, select

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.ledger import Ledger
    from workbench.experiments.recorded import Record
    from workbench.indicators.pairs import Pairs

AsOf = str | date | datetime | None


@dataclass(frozen=True)
class Study:
    """A study: its file, its data, and a method for each question about them.

    Make one with `Study.load`. Rates and effects are fractions, effect = treatment - control.
    Wherever a method takes `as_of`, it is the time as of which the data are read: a date (its
    midnight in the study's time zone), a time or ISO text; the newest event unless given. Wherever a
    method reads data, it raises DataError for data that cannot be read.

    Attributes:
        spec: What the study file says.
        folder: The folder of the study file, which its paths are relative to.
        path: The study file; None for a study that was not read from one.

    >>> study = Study.load("studies/guided-import/study.yaml")
    >>> study.spec.steps
    ('previewed', 'mapped', 'imported')
    >>> table = study.learning_metrics("2026.1")
    >>> table[["step", "converted", "closed"]].values.tolist()[2]
    ['imported', 132, 280]
    """

    spec: StudySpec
    folder: Path
    path: Path | None = None

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read a study file; the data are read when they are first asked for.

        Args:
            path: The study file.

        Returns:
            The study.

        Raises:
            StudyError: The file breaks a rule; the sentence names file and line.
        """
        path = Path(path)
        return cls(read_study(path), path.parent, path)

    def check(self) -> DataReport:
        """Read all data and list what is wrong with them.

        Returns:
            The problems, each an error, a warning or a note with its count and an example. A file that
            cannot be read is an error in the list; nothing is raised.
        """
        if self.spec.indicators_only:
            return DataReport(tuple(self._of_indicators()))
        try:
            journeys = self._data.journeys
        except WorkbenchError as error:
            return DataReport((Problem("error", str(error), 1, {}),))
        found = (
            study_data.outcome_problems(self._data.opened)
            if journeys is None
            else study_data.log_problems(journeys)
        )
        for each in self.spec.iterations:
            found += [
                Problem("warning", f"iteration {each.name}: {row['sentence']}", 1, {})
                for row in self.quality(each.name).to_dict("records")
                if row["level"] != "ok" and row["check"] not in study_data.ODD_LOGS
            ]
        for name in dict.fromkeys(claim.iteration for claim in self.spec.stated):
            try:
                self._evaluator.evaluate(name, None)
                self.single_arm(name)
            except WorkbenchError as error:
                found.append(Problem("error", str(error), 1, {"iteration": name}))
        found += [Problem("error", said, 1, {}) for said in problems(self._data)]
        found += partner_problems(self._data)
        found += self._of_record()
        return DataReport((*found, *self._of_indicators()))

    def indicators(self, cohort: Mapping[str, str] | None = None, as_of: AsOf = None) -> Indicators:
        """Return the leading and lagging indicators: a series each, or a panel customers x periods.

        Args:
            cohort: Keep the customers with these values of grouping columns of the customers table,
                such as {"company_size": "50+"}; all customers unless given.
            as_of: Leave out periods that begin later.

        Raises:
            StudyError: The study has no indicators, or `cohort` names an unknown grouping.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.indicators().series("nps").periods[:2]
        ('2026-W02', '2026-W03')
        """
        return self._indicators.read(cohort, self._moment(as_of))

    def pairs(
        self,
        as_of: AsOf = None,
        *,
        max_lag: int | None = None,
        permutations: int = 999,
        alpha: float = 0.05,
    ) -> Pairs:
        """Associate each leading indicator with each lagging one, over lags.

        Args:
            as_of: Leave out periods that begin later.
            max_lag: The longest lag that is searched, in periods. Unless given, 12, or a quarter of the
                periods where these are few.
            permutations: The number of random series that each pair is compared with.
            alpha: The share of false pairs allowed among those found (Benjamini-Hochberg).

        Returns:
            All pairs; each is worked out when it is first asked for.

        Raises:
            StudyError: The study has no indicators.
        """
        from workbench.indicators.pairs import Pairs

        return Pairs(self._indicators, self._moment(as_of), max_lag, permutations, alpha)

    def learning_metrics(
        self,
        iteration: str | Sequence[str] | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
        *,
        recorded: bool = False,
    ) -> pd.DataFrame:
        """Count how customers followed the flow.

        Args:
            iteration: The names of one or more iterations; all unless given.
            by: Grouping columns that divide customers into cohorts.
            as_of: The time as of which the data are read.
            recorded: Whether to take the iterations that the data no longer reach from the ledger,
                as reports recorded them, for all customers and for single groupings. The table's
                `attrs["recorded"]` says on which day, by iteration.

        Returns:
            One row an iteration, cohort and step: entered = aligned + deviated + pending customers;
            rate = converted / closed, over the flow's entrants whose window is over, with its 95 %
            Wilson interval (low, high); step_rate, over those who reached the step before;
            median_hours from the trigger. After the steps come `adoption`, over those who met the
            trigger again once their need was met, and the outcome, over all entrants, if the flow
            follows them.

        Raises:
            StudyError: An iteration or grouping is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> table = study.learning_metrics("2026.1", by="variant").query("step == 'imported'")
        >>> table[["variant", "converted", "closed"]].values.tolist()
        [['blank', 54, 140], ['preview', 78, 140]]
        """
        names, columns = self._iterations(iteration), self._columns(by)
        at, record = self._moment(as_of), self._record if recorded else None
        counts = self._data.counts(columns, at) if record is None else record.counts(columns, at)
        here = [each for each in counts if each.iteration in names]
        table = learning_table(here, columns, names, self.spec.metrics)
        days = (
            {}
            if record is None
            else {
                name: display.day(each.recorded_at)
                for name, each in record.lost().items()
                if name in names
            }
        )
        table.attrs |= {"recorded": days} if days else {}
        return table

    def deviations(
        self,
        iteration: str | Sequence[str] | None = None,
        step: str | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Count what customers who deviated did next.

        Args:
            iteration: The names of one or more iterations; all unless given.
            step: The step at which they deviated; all steps unless given.
            by: Grouping columns that divide customers into cohorts.
            as_of: The time as of which the data are read.

        Returns:
            One row an iteration, cohort, step and next event, the most frequent first: customers, and
            their share of those who deviated there. "(nothing)" stands for no later event. Empty for
            studies without an event log.

        Raises:
            StudyError: An iteration, step or grouping is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.deviations("2026.1", "mapped")[["next_event", "customers"]].values.tolist()[0]
        ['contacted_support', 9]
        """
        names, columns = self._iterations(iteration), self._columns(by)
        steps = self.spec.steps if step is None else (self.spec.known_step(step),)
        journeys, at = self._data.journeys, self._moment(as_of)
        counted = {}
        if journeys is not None:
            counted = journeys.count_next(steps, columns, at)
        return next_table(counted, columns, names)

    def evaluate(
        self, iteration: str | None = None, as_of: AsOf = None, *, record: bool = False
    ) -> list[Evaluation]:
        """Evaluate the hypotheses of an iteration, or of all iterations.

        The hypotheses of one iteration are tested together (Holm).

        Args:
            iteration: The name of an iteration; all unless given.
            as_of: The time as of which the data are read.
            record: Whether to put the looks, and the verdicts that are final, into the study's ledger.
                Without it nothing is recorded, and each evaluation's `look` is None.

        Returns:
            One evaluation a hypothesis and treatment.

        Raises:
            StudyError: The iteration is unknown, or a registered version changed.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> [(each.name, str(each.verdict)) for each in study.evaluate("2026.1")]
        [('preview-helps', 'supported')]
        """
        names, at = self._iterations(iteration), self._moment(as_of)
        if not record:
            return [each for name in names for each in self._evaluator.evaluate(name, at)]
        from workbench.experiments import history
        from workbench.experiments.recorded import seals_of

        # What was recorded a moment ago is past too, so nothing that was worked out before serves.
        vars(self)["_evaluator"] = evaluator = self._new_evaluator()
        found = [each for name in names for each in evaluator.evaluate(name, at)]
        recorded = history.record(
            self.ledger, found, self.spec.iterations, self.spec.discovery_horizon
        )
        self.ledger.seal(seals_of(self._data, at), self._series(at))
        return recorded

    def single_arm(
        self, iteration: str | None = None, as_of: AsOf = None, *, record: bool = False
    ) -> list[SingleArmResult]:
        """Compare the cohort of each single-arm claim with its target.

        Args:
            iteration: The name of an iteration; all unless given.
            as_of: The time as of which the data are read.
            record: Whether to put the looks, and the verdicts that are final, into the ledger.

        Returns:
            One result for each claim of the study file that has a `target`.

        Raises:
            StudyError: The iteration is unknown, or a registered version changed.
        """
        names, at = self._iterations(iteration), self._moment(as_of)
        claims = [each for each in self.spec.single_arm_claims if each.iteration in names]
        found = [evaluate_single_arm(self._data, each, at) for each in claims]
        kept = self._record
        lost = {} if kept is None or not found else kept.lost()
        found = [
            on_record(self.ledger, each) if each.claim.iteration in lost else each for each in found
        ]
        if not record or not found:
            return found
        from workbench.experiments.single_arm import record_single_arm

        return record_single_arm(
            self.ledger, found, self.spec.iterations, self.spec.discovery_horizon
        )

    def evidence(self, iteration: str | None = None, as_of: AsOf = None) -> list[OverVersions]:
        """Combine the versions of each hypothesis that was tested in more than one.

        Args:
            iteration: The name of the last iteration to count; all unless given.
            as_of: The time as of which the data are read.

        Returns:
            One answer for each hypothesis and treatment with two versions or more, with its sentence.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> [(each.hypothesis, each.versions, each.found.enough) for each in study.evidence()]
        [('preview-helps', (1, 2), 1)]
        """
        return over_versions(self._up_to(iteration, as_of))

    def history(self) -> pd.DataFrame:
        """Return from the ledger what became of each version of each hypothesis.

        Returns:
            One row a hypothesis, version, treatment and iteration: looks, estimate with its interval,
            verdict and its label, p-value, and where it stands in the list of discoveries. Empty if
            nothing was recorded.
        """
        from workbench.experiments import history

        return history.history(self.ledger, self.spec.discovery_horizon)

    @property
    def ledger(self) -> Ledger:
        """The study's ledger; its file is made when something is first recorded."""
        from workbench.experiments.ledger import Ledger

        return Ledger.at(self.spec.ledger, self.folder, self.spec.name)

    def changes(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Compare each step's rate with that of the iteration before; nothing was randomized.

        Args:
            iteration: The name of an iteration.
            as_of: The time as of which the data are read.

        Returns:
            One row a step: both rates with their counts, and the change with its interval. Empty for
            the first iteration.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.changes("2026.2")[["step", "previous_rate", "rate"]].round(2).values.tolist()[2]
        ['imported', 0.47, 0.43]
        """
        (name,) = self._iterations(iteration)
        every = self._iterations(None)
        before = [None, *every][every.index(name)]
        return changes(self._counts(self._moment(as_of)), before, name, self.spec.steps)

    def difference(self, before: str, after: str, as_of: AsOf = None) -> Difference:
        """Say what changed from one iteration to a later one.

        Args:
            before: The name of the earlier iteration.
            after: The name of the later one.
            as_of: The time as of which the data are read.

        Returns:
            The versions of hypotheses, the solution with its changes, the mix of customers, and each
            rate beside the other; and a sentence on what moved together.

        Raises:
            StudyError: An iteration is unknown, or they are not in order.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> found = study.difference("2026.2", "2026.3")
        >>> [(each.what, each.before, each.after) for each in found.changes][:2]
        [('hints-map-more', 'version 1', ''), ('preview-helps', 'version 1', 'version 2')]
        """
        (one,), (other,) = self._iterations(before), self._iterations(after)
        names = self._iterations(None)
        if names.index(one) >= names.index(other):
            raise StudyError(
                f"iteration {one!r} is not before {other!r}; name the earlier one first"
            )
        at = self._moment(as_of)
        since = names[names.index(one) + 1 : names.index(other) + 1]
        tested = [each for name in since for each in self._evaluator.evaluate(name, at)]
        return difference(self._data, one, other, at, self._counts(at), tested)

    def problems(self, iteration: str | None = None, as_of: AsOf = None) -> list[ProblemReview]:
        """Say of each customer problem which solution is best so far, and what is untried.

        Args:
            iteration: The name of the last iteration to count; all unless given.
            as_of: The time as of which the data are read.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> [(each.name, each.best.name, each.untried) for each in study.problems("2026.3")]
        [('import-is-a-leap', 'preview-helps', ('undo-import',))]
        """
        return review_problems(self.spec, self._up_to(iteration, as_of))

    def effects(self, iteration: str, hypothesis: str, as_of: AsOf = None) -> pd.DataFrame:
        """Estimate the effect within each level of each other grouping; exploratory, no verdict.

        Args:
            iteration: The name of the iteration that tests the hypothesis.
            hypothesis: The hypothesis's name.
            as_of: The time as of which the data are read.

        Returns:
            One row a treatment, grouping and level; `adjusted` is the p-value after Benjamini-Hochberg.

        Raises:
            StudyError: The iteration is unknown, or does not test the hypothesis.
        """
        (name,) = self._iterations(iteration)
        return subgroups.effects(self._data, name, hypothesis, self._moment(as_of))

    def pooled(self, iteration: str, hypothesis: str, as_of: AsOf = None) -> pd.DataFrame:
        """Pool the effect over the levels of each other grouping, and test whether it differs there.

        Args:
            iteration: The name of the iteration that tests the hypothesis.
            hypothesis: The hypothesis's name.
            as_of: The time as of which the data are read.

        Returns:
            One row a treatment and grouping: the Mantel-Haenszel effect with its interval, the crude
            effect, the p-value of equal effects, whether the two effects point in opposite directions,
            and a sentence.

        Raises:
            StudyError: The iteration is unknown, or does not test the hypothesis.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> found = study.pooled("2026.1", "preview-helps").round(2)
        >>> found[["grouping", "estimate", "crude"]].values.tolist()[0]
        ['company_size', 0.16, 0.16]
        """
        (name,) = self._iterations(iteration)
        return subgroups.pooled(self._data, name, hypothesis, self._moment(as_of))

    @overload
    def plan(
        self, hypothesis: str, customers: int | None = None, as_of: AsOf = None
    ) -> planning.Plan: ...
    @overload
    def plan(self, *, iteration: str, as_of: AsOf = None) -> pd.DataFrame: ...
    def plan(
        self,
        hypothesis: str = "",
        customers: int | None = None,
        as_of: AsOf = None,
        *,
        iteration: str = "",
    ) -> planning.Plan | pd.DataFrame:
        """Plan a test of a hypothesis: with one look, at planned looks, and at any time.

        Args:
            hypothesis: The hypothesis's name; its newest version is planned.
            customers: The customers that can be had per cohort; as many as entered the newest
                iteration unless given.
            as_of: The time as of which the data are read.
            iteration: What `sample_sizes` was called before; gone with 0.3.

        Returns:
            The plan: customers needed, weeks, detectable effect and power of each way to test.

        Raises:
            StudyError: The hypothesis is unknown, or nothing tells its rate, effect or customers.
        """
        if iteration:
            warn("use: study.sample_sizes(iteration)", DeprecationWarning, stacklevel=2)
            return self.sample_sizes(iteration, as_of)
        return planning.plan(self._data, hypothesis, customers, self._moment(as_of))

    def plan_single_arm(self, hypothesis: str, customers: int | None = None) -> SingleArmPlan:
        """Say what the planned customers would show of the newest version of a single-arm claim.

        Args:
            hypothesis: The claim's name.
            customers: Another number of customers to plan for.

        Raises:
            StudyError: No single-arm claim has that name.
        """
        claims = {each.name: each for each in self.spec.single_arm_claims}
        if hypothesis not in claims:
            raise StudyError(unknown_name("hypothesis", hypothesis, claims))
        return plan_single_arm(claims[hypothesis], customers)

    def sample_sizes(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Return what each hypothesis's sample can detect, and how many customers it needs.

        Args:
            iteration: The name of an iteration.
            as_of: The time as of which the data are read.

        Returns:
            One row a hypothesis and treatment: the customers of both cohorts, the detectable effect, and
            the customers per cohort that are needed for the smallest effect worth having.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.sample_sizes("2026.3")[["customers_control", "customers_needed"]].values.tolist()
        [[154, 1229]]
        """
        return sample_sizes(self.evaluate(iteration, as_of))

    def innovation(self, iteration: str, as_of: AsOf = None) -> Innovation:
        """Compare need met, adoption, outcome and both with the targets of true innovation.

        Args:
            iteration: The name of an iteration.
            as_of: The time as of which the data are read.

        Returns:
            The goals, each "reached" (the interval's low end is above the target, over enough
            customers), "on course", "not yet" or "cannot tell"; `trend` holds those of earlier
            iterations, as the ledger has them where the data no longer reach.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> {each.name: str(each.state) for each in study.innovation("2026.3").goals}
        {'need met': 'reached', 'adoption': 'not yet', 'renewed': 'not yet', 'both': 'not yet'}
        """
        (name,) = self._iterations(iteration)
        at, record = self._moment(as_of), self._record
        if record is None:
            return assess_innovation(self._data, name, at, self._data.counts((), at))
        return assess_innovation(self._data, name, at, record.counts((), at), record.lost())

    def retention(
        self,
        iteration: str | Sequence[str] | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Estimate the share of customers who returned, by days since their need was met.

        The estimate is Kaplan-Meier's; customers who have not returned yet are censored.

        Args:
            iteration: The names of one or more iterations; all unless given.
            by: Grouping columns that divide customers into cohorts.
            as_of: The time as of which the data are read.

        Returns:
            One row an iteration, cohort and day: at_risk, adopted, and the share with its 95 % interval
            (low, high).

        Raises:
            StudyError: The study follows no return, or an iteration or grouping is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.retention("2026.3")[["days", "at_risk", "adopted"]].values.tolist()[1]
        [1, 173, 2]
        """
        names, columns = self._iterations(iteration), self._columns(by)
        return retention(self._data, names, columns, self._moment(as_of))

    def quality(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Check how far an iteration's data can be trusted.

        Args:
            iteration: The name of an iteration.
            as_of: The time as of which the data are read.

        Returns:
            One row a check: its value, its level ("ok", "warn" or "invalid") and a sentence.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.quality("2026.1")[["check", "value"]].values.tolist()[1]
        ['duplicates', 91.0]
        """
        (name,) = self._iterations(iteration)
        return checks.quality(self._data, name, self._moment(as_of))

    def partners(self, iteration: str | None = None, as_of: AsOf = None) -> Partners:
        """Compare the customers who were invited, agreed and took part with all customers.

        Args:
            iteration: The name of an iteration, to compare its result with; all unless given.
            as_of: The time as of which the data are read.

        Returns:
            The counts by segment and vertical (`table`), and a sentence that says for whom the result
            speaks.

        Raises:
            StudyError: The study names no partners, or the iteration is unknown.
        """
        _ = self._iterations(iteration)
        return study_partners(self._data, iteration, self._moment(as_of))

    def strategy(self, as_of: AsOf = None, cohort: Mapping[str, str] | None = None) -> Strategy:
        """Compare strategic metrics with their courses, before and after each iteration.

        Args:
            as_of: Leave out periods that are not over by then; none are left out unless given.
            cohort: Take the rows of the table with these values of grouping columns, such as
                {"country": "NL"}; those of everybody, where such columns are empty, unless given.

        Returns:
            Where each metric stands, and which iteration marks a change of which metric.

        Raises:
            StudyError: The study names no strategic metrics.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> {each.name: each.state for each in study.strategy().standings}["active_teams"]
        'on course'
        """
        return assess_strategy(StudyData(self.spec, self.folder), self._moment(as_of), cohort)

    def feedback(self, iteration: str | None = None, as_of: AsOf = None) -> Feedback:
        """Summarize what customers said, beside what they did.

        Args:
            iteration: The name of an iteration; all feedback unless given.
            as_of: The time as of which the data are read.

        Returns:
            The themes with their customers, and what those customers did.

        Raises:
            StudyError: The study names no feedback, or the iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> theme = study.feedback().themes[0]
        >>> theme.theme, theme.customers
        ('seeing columns first gives trust', 6)
        """
        _ = self._iterations(iteration)
        return summarize_feedback(self._data, iteration, self._moment(as_of))

    def backlog(self, as_of: AsOf = None) -> Backlog:
        """Rank what to try next.

        Args:
            as_of: The time as of which the data are read.

        Returns:
            Hypotheses and ideas by impact x ease, what a test of each costs, and how earlier ratings
            compare with measured effects.

        Raises:
            StudyError: A hypothesis or an idea names evidence that is no remark of the feedback.
        """
        at = self._moment(as_of)
        return rank_backlog(self._data, self._evaluator.evaluate, at, self.learned(as_of))

    def learn(
        self,
        hypothesis: str,
        method: str,
        supports: int,
        of: int,
        *,
        version: int | None = None,
        date: str | None = None,
        cost: str | None = None,
        note: str | None = None,
        weight: float = 1.0,
    ) -> bool:
        """Record what interviews, a prototype or a user test found, in the study's ledger.

        Args:
            hypothesis: The name of a hypothesis or an idea.
            method: "interview", "prototype" or "user test".
            supports: How many said or did what supports it.
            of: How many were asked or watched.
            version: The hypothesis's version; the newest unless given.
            date: The day, such as "2026-02-03".
            cost: What it took, such as "2d".
            note: A note for readers; no customer's data.
            weight: How much an answer counts, at most 1: less where answers are not independent,
                such as those to one interviewer.

        Returns:
            Whether it was recorded; False if the same finding is on record already.

        Raises:
            StudyError: The study has no such hypothesis, idea or version, or a value breaks a rule.
        """
        asked = {"method": method, "supports": supports, "of": of, "weight": weight}
        known = {"version": version, "date": date, "cost": cost, "note": note}
        found = make_finding(self.spec, {"hypothesis": hypothesis, **asked, **known})
        return bool(self.ledger.learn([found]))

    def learn_table(self, path: str | Path) -> int:
        """Record a table of findings, a row each, all of them or none.

        Args:
            path: A file with the columns hypothesis, method, supports and of, and, where they are
                known, version, date, cost, note and weight.

        Returns:
            How many were recorded; those that are on record already are left out.

        Raises:
            DataError: A row breaks a rule of `learn`, or the table cannot be read.
        """
        return self.ledger.learn(read_findings(Path(path), self.spec))

    def findings(self) -> pd.DataFrame:
        """Return the findings on record, a row each, as corrected.

        Returns:
            The columns id and recorded_at, and the fields of each finding.
        """
        import pandas as pd

        from workbench.experiments.findings import Finding

        fields = [each.name for each in dataclasses.fields(Finding)]
        rows = [
            (each.id, each.recorded_at, *(getattr(each.record, name) for name in fields))
            for each in (self.ledger.findings() if self._is_recorded else ())
        ]
        return pd.DataFrame(rows, columns=["id", "recorded_at", *fields])

    def learned(self, as_of: AsOf = None) -> Learned:
        """Return what findings tell of each hypothesis and idea; they never make a verdict.

        Args:
            as_of: Leave out later findings, and verdicts of iterations that end later.

        Returns:
            The findings, how likely they make an idea (`chance`), in a sentence
            (`findings_sentence`), and what each method said of tried ideas (`methods`).

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> round(study.learned().chance("undo-import"), 3)
        0.333
        """
        if not self._is_recorded:
            return Learned(stated=self.spec.learning)
        return read_learned(self.ledger, self.spec, self._moment(as_of))

    def advise(self, iteration: str | None = None, as_of: AsOf = None) -> Advice:
        """Return the one next thing to do.

        Args:
            iteration: The name of the last iteration to count; all unless given.
            as_of: The time as of which the data are read.

        Raises:
            StudyError: The iteration is unknown.
        """
        every = self._up_to(iteration, as_of)
        newest = {each.hypothesis.name: each.hypothesis.version for each in every}
        for each in every:
            claim = each.hypothesis
            newest[claim.name] = max(newest[claim.name], claim.version)
        shown = [
            each
            for each in reversed(every)
            if each.hypothesis.version == newest[each.hypothesis.name]
        ]
        return advise(shown, self.backlog(as_of), over_versions(every))

    def next_step(self, iteration: str | None = None, as_of: AsOf = None) -> NextStep:
        """Say what to try next and why, and draft it for the study file.

        Args:
            iteration: The name of the last iteration to count; all unless given.
            as_of: The time as of which the data are read.

        Returns:
            The one next thing, the evidence for it, and the draft, in which what must be filled in is
            marked.

        Raises:
            StudyError: The iteration is unknown.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.next_step("2026.1").advice.about
        'undo-import'
        """
        at, advice = self._moment(as_of), self.advise(iteration, as_of)
        written = None
        places = [
            (each.version, place)
            for place, each in enumerate(self.spec.stated)
            if each.name == advice.about
        ]
        if places and self.path is not None:
            written = raw_entry(self.path, "hypotheses", max(places)[1])
        return next_step(
            self._data,
            advice,
            self.backlog(as_of),
            over_versions(self._up_to(iteration, as_of)),
            at=at,
            feedback=None if self.spec.feedback is None else self.feedback(as_of=as_of),
            indicators=None if self.spec.indicators is None else self.indicators(as_of=as_of),
            written=written,
        )

    def programme(self, as_of: AsOf = None) -> Programme:
        """Say what all iterations taught: claims, impact, guesses, steps, strategic metrics, novelty.

        Args:
            as_of: The time as of which the data are read.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> [(each.metric, each.claims) for each in study.programme().impacts]
        [('imported', ('preview-helps 1',)), ('adoption', ('memory-brings-back 1',))]
        """
        found, at = self._up_to(None, as_of), self._moment(as_of)
        guessing = self.backlog(as_of).guessing
        return review_programme(self._data, found, guessing, self._counts(at), at)

    def newest(self, as_of: AsOf = None) -> datetime | None:
        """Return the time up to which the data are read; None for data without times.

        >>> study = Study.load("studies/guided-import/study.yaml")
        >>> study.newest().isoformat()
        '2026-05-28T23:29:...+00:00'
        """
        return self._data.newest(self._moment(as_of))

    def _counts(self, at: datetime | None) -> list[StepCounts]:
        """Count all customers in each iteration, as recorded where the data no longer reach."""
        record = self._record
        return self._data.counts((), at) if record is None else record.counts((), at)

    def _up_to(self, iteration: str | None, as_of: AsOf) -> list[Evaluation]:
        """Evaluate the hypotheses of every iteration up to one."""
        names, at = self._iterations(None), self._moment(as_of)
        last = len(names) if iteration is None else names.index(self._iterations(iteration)[0]) + 1
        return [each for name in names[:last] for each in self._evaluator.evaluate(name, at)]

    def _of_record(self) -> list[Problem]:
        """Name what the ledger holds and the data no longer say; an unreadable ledger is a problem."""
        if not self._is_recorded:
            return []
        from workbench.experiments.recorded import Record, revisions

        try:
            record = Record(self._data, self.ledger.seals())
            return [*record.problems(), *revisions(self.ledger.series(), self._series(None))]
        except WorkbenchError as error:
            return [Problem("error", str(error), 1, {})]

    def _of_indicators(self) -> list[Problem]:
        if self.spec.indicators is None:
            return []
        try:
            return indicator_problems(self.indicators(), self._indicators.unnamed)
        except WorkbenchError as error:
            return [Problem("error", str(error), 1, {})]

    def _iterations(self, wanted: str | Sequence[str] | None) -> list[str]:
        self.spec.require_counts()
        return [each.name for each in select(self.spec.iterations, wanted)]

    def _columns(self, by: str | Sequence[str]) -> list[str]:
        columns = [by] if isinstance(by, str) else list(dict.fromkeys(by))
        for column in columns:
            if column not in self.spec.groupings:
                raise StudyError(unknown_name("grouping", column, self.spec.groupings))
        return columns

    def _moment(self, as_of: AsOf) -> datetime | None:
        if as_of is None or as_of == "":
            return None
        try:
            read = moment(as_of) if isinstance(as_of, str) else as_of
        except ValueError as error:
            raise StudyError(f"as_of: {error}") from None
        return in_zone(read, ZoneInfo(self.spec.timezone))

    @cached_property
    def _data(self) -> StudyData:
        self.spec.require_counts()
        return StudyData(self.spec, self.folder)

    @cached_property
    def _indicators(self) -> StudyIndicators:
        journeys = None if self.spec.indicators_only else self._data.journeys
        return StudyIndicators(self.spec, self.folder, journeys)

    def _series(self, at: datetime | None) -> list[SealedSeries]:
        """Return strategic metrics and indicators by period; none that cannot be read.

        Those that the flow gives change as windows close, and are sealed as learning metrics.
        """
        found: dict[str, dict[str, float | None]] = {}
        with suppress(WorkbenchError):
            if self.spec.strategy is not None:
                for each in assess_strategy(self._data, at).standings:
                    found[each.name] = {point.period: point.value for point in each.points}
        with suppress(WorkbenchError):
            if self.spec.indicators is not None:
                known = self.indicators(as_of=at)
                for name, definition in known.definitions.items():
                    if definition.from_flow is None:
                        one = known.series(name)
                        pairs = zip(one.periods, one.values.tolist(), strict=True)
                        found[name] = {each: None if math.isnan(to) else to for each, to in pairs}
        return [SealedSeries(name, values) for name, values in found.items()]

    @property
    def _is_recorded(self) -> bool:
        """Whether there may be a ledger to read."""
        return "://" in self.spec.ledger or (self.folder / self.spec.ledger).exists()

    @property
    def _record(self) -> Record | None:
        """What reports have put on record of the learning metrics; None for a study without a ledger."""
        if not self._is_recorded:
            return None
        from workbench.experiments.recorded import Record

        return Record(self._data, self.ledger.seals())

    @cached_property
    def _evaluator(self) -> Evaluator:
        if not self._is_recorded:
            return Evaluator(self._data)
        return self._new_evaluator()

    def _new_evaluator(self) -> Evaluator:
        """Return an evaluator that knows the ledger as it is now."""
        from workbench.experiments.history import PastLooks

        record = self._record
        lost = frozenset() if record is None else frozenset(record.lost())
        return Evaluator(self._data, PastLooks(self.ledger), lost)
