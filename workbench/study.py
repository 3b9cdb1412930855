"""Studies: one innovation effort's file and data, and the questions that a notebook asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from workbench.data import study_data
from workbench.data.metrics import learning_table, next_table
from workbench.data.study_data import DataReport, Problem, StudyData
from workbench.errors import StudyError, WorkbenchError, unknown_name
from workbench.experiments import checks, planning, subgroups
from workbench.experiments import evaluate as evaluate_module
from workbench.experiments.evaluate import Evaluator
from workbench.experiments.verdict import Evaluation
from workbench.indicators.sources import StudyIndicators
from workbench.indicators.values import Indicators, indicator_problems
from workbench.innovation import backlog as backlog_module
from workbench.innovation import feedback as feedback_module
from workbench.innovation import strategy as strategy_module
from workbench.innovation import true_innovation
from workbench.innovation.backlog import Backlog, gathered
from workbench.innovation.feedback import Feedback
from workbench.innovation.strategy import Strategy
from workbench.innovation.true_innovation import Innovation
from workbench.schema.study import StudySpec, read_study
from workbench.schema.time import in_zone, moment, select

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.ledger import Ledger
    from workbench.indicators.pairs import Pairs

AsOf = str | date | datetime | None


@dataclass(frozen=True)
class Study:
    """A study: its file, its data, and the verbs that ask them.

    `iteration` in a verb names an iteration; `as_of` is a date (its midnight, in the study's time
    zone), a time or ISO text, and the newest event unless given. Rates and effects are fractions,
    effect = treatment - control. Unknown names raise StudyError, unreadable data DataError.
    """

    spec: StudySpec
    folder: Path

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read a study file; raise StudyError, naming file and line, for what breaks a rule."""
        path = Path(path)
        return cls(read_study(path), path.parent)

    def check(self) -> DataReport:
        """Read the data and name what is wrong with them, each with its count and an example."""
        if self.spec.indicators_only:
            return DataReport(tuple(self._of_indicators()))
        try:
            journeys = self._data.journeys
        except WorkbenchError as error:
            return DataReport((Problem("error", str(error), 1, {}),))
        problems = study_data.log_problems(journeys) if journeys is not None else []
        for each in self.spec.iterations:
            problems += [
                Problem("warning", f"iteration {each.name}: {row['sentence']}", 1, {})
                for row in self.quality(each.name).to_dict("records")
                if row["level"] != "ok"
            ]
        for name in dict.fromkeys(claim.iteration for claim in self.spec.hypotheses):
            try:
                self._evaluator.evaluate(name, None)
            except WorkbenchError as error:
                problems.append(Problem("error", str(error), 1, {"iteration": name}))
        problems += [Problem("error", said, 1, {}) for said in backlog_module.problems(self._data)]
        return DataReport((*problems, *self._of_indicators()))

    def indicators(self, cohort: Mapping[str, str] | None = None, as_of: AsOf = None) -> Indicators:
        """Give the leading and lagging indicators: series per period, panels customers x periods.

        `cohort` keeps the customers with these values of grouping columns of the customers table,
        such as {"company_size": "50+"}; with `as_of`, periods that begin later are left out.
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
        """Return every pair of a leading and a lagging indicator, associated over lags.

        Lags from 0 to `max_lag` periods are searched: unless given, 12, or a quarter of the periods
        where these are few. `permutations` is the number of look-alikes each pair is held against;
        `alpha` is the share of false pairs allowed among those found (Benjamini-Hochberg).
        """
        from workbench.indicators.pairs import Pairs

        return Pairs(self._indicators, self._moment(as_of), max_lag, permutations, alpha)

    def learning_metrics(
        self,
        iteration: str | Sequence[str] | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Count how customers followed the flow: one row an iteration, cohort and step.

        entered = aligned + deviated + pending customers; rate = converted / closed, over the
        flow's entrants whose window is over, with its 95 % Wilson interval (low, high); step_rate
        over those who reached the step before; median_hours from the trigger. After the steps come
        `adoption`, over those who met the trigger again once their need was met, and the outcome,
        over all entrants, where the flow follows them.
        """
        names, columns = self._iterations(iteration), self._columns(by)
        counts = self._data.counts(columns, self._moment(as_of))
        here = [each for each in counts if each.iteration in names]
        return learning_table(here, columns, names, self.spec.metrics)

    def deviations(
        self,
        iteration: str | Sequence[str] | None = None,
        step: str | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Count what customers who deviated did next, for one step or each: next_event, customers.

        share is of those who deviated there; "(nothing)" stands for no later event. Empty for
        studies without an event log, which cannot know.
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
        """Give each hypothesis of an iteration, or of all of them, its verdict.

        Those of an iteration are tested together (Holm), one evaluation for each treatment.
        `record` puts the looks into the study's ledger, and the verdicts that are final; without it
        nothing is recorded, and each evaluation's `look` is None. Raises StudyError for a registered
        version that changed.
        """
        names, at = self._iterations(iteration), self._moment(as_of)
        if not record:
            return [each for name in names for each in self._evaluator.evaluate(name, at)]
        from workbench.experiments import history

        # What was recorded a moment ago is past too, so nothing that was worked out before serves.
        vars(self)["_evaluator"] = evaluator = Evaluator(self._data, history.Past(self.ledger))
        found = [each for name in names for each in evaluator.evaluate(name, at)]
        return history.record(self.ledger, found, self.spec.iterations)

    def history(self) -> pd.DataFrame:
        """Tell from the ledger what became of each version of each hypothesis.

        One row a hypothesis, version, treatment and iteration: looks, estimate with its interval,
        verdict, p-value, its level in the stream of all tests, and whether it still is a discovery.
        """
        from workbench.experiments import history

        return history.history(self.ledger)

    @property
    def ledger(self) -> Ledger:
        """The study's ledger; nothing is made or opened before something is recorded."""
        from workbench.experiments.ledger import Ledger

        return Ledger.at(self.spec.ledger, self.folder, self.spec.name)

    def changes(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Compare each step's rate with the iteration before, where nothing was randomized.

        Empty for the first iteration.
        """
        (name,) = self._iterations(iteration)
        every = self._iterations(None)
        before = [None, *every][every.index(name)]
        counts = self._data.counts((), self._moment(as_of))
        return evaluate_module.changes(counts, before, name, self.spec.steps)

    def effects(self, iteration: str, hypothesis: str, as_of: AsOf = None) -> pd.DataFrame:
        """Give the effect within each level of each other grouping; exploratory, not a verdict.

        A row a treatment, grouping and level; `adjusted` is the p-value after Benjamini-Hochberg.
        """
        (name,) = self._iterations(iteration)
        return subgroups.effects(self._data, name, hypothesis, self._moment(as_of))

    def pooled(self, iteration: str, hypothesis: str, as_of: AsOf = None) -> pd.DataFrame:
        """Pool the effect over the levels of each other grouping, and say whether it differs there.

        A row a treatment and grouping: the Mantel-Haenszel effect with its interval beside the
        crude one, the p-value of equal effects, whether both point in opposite directions, and a
        sentence.
        """
        (name,) = self._iterations(iteration)
        return subgroups.pooled(self._data, name, hypothesis, self._moment(as_of))

    def design(
        self, hypothesis: str, customers: int | None = None, as_of: AsOf = None
    ) -> planning.Plan:
        """Plan a test of a hypothesis: looking once, at planned looks, and at any time.

        `customers` are those that can be had per cohort; as many as entered the newest iteration
        unless given.
        """
        return planning.plan(self._data, hypothesis, customers, self._moment(as_of))

    def plan(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Say what each hypothesis's sample could detect, and how many customers it needs."""
        return evaluate_module.plan(self.evaluate(iteration, as_of))

    def innovation(self, iteration: str, as_of: AsOf = None) -> Innovation:
        """Say whether it is innovation yet: need met, adoption, outcome and both, each to its target.

        A goal's state is "reached" (the interval's low end is above the target, over enough
        customers), "on course", "not yet" or "cannot tell"; `trend` holds those of earlier iterations.
        """
        (name,) = self._iterations(iteration)
        return true_innovation.innovation(self._data, name, self._moment(as_of))

    def retention(
        self,
        iteration: str | Sequence[str] | None = None,
        by: str | Sequence[str] = (),
        as_of: AsOf = None,
    ) -> pd.DataFrame:
        """Give the share of customers who returned, by days since their need was met.

        Kaplan-Meier, customers who have not returned yet censored; one row an iteration, cohort and
        day: at_risk, adopted, share with its 95 % interval (low, high). Raises StudyError for a
        study that follows no return.
        """
        names, columns = self._iterations(iteration), self._columns(by)
        return true_innovation.retention(self._data, names, columns, self._moment(as_of))

    def quality(self, iteration: str, as_of: AsOf = None) -> pd.DataFrame:
        """Say how far an iteration's data can be trusted: check, value, level, sentence."""
        (name,) = self._iterations(iteration)
        return checks.of_iteration(self._data, name, self._moment(as_of))

    def strategy(self, as_of: AsOf = None) -> Strategy:
        """Hold strategic metrics against their courses; does any iteration mark a change?"""
        return strategy_module.strategy(StudyData(self.spec, self.folder), self._moment(as_of))

    def feedback(self, iteration: str | None = None, as_of: AsOf = None) -> Feedback:
        """Weigh what customers said, of an iteration or ever, with what they did."""
        _ = self._iterations(iteration)
        return feedback_module.feedback(self._data, iteration, self._moment(as_of))

    def backlog(self, as_of: AsOf = None) -> Backlog:
        """Rank what to try next: impact x ease, what a test costs, how earlier guesses did."""
        return gathered(self._data, self._evaluator.evaluate, self._moment(as_of))

    def newest(self, as_of: AsOf = None) -> datetime | None:
        """Give the time up to which the data are read; None for data without times."""
        return self._data.newest(self._moment(as_of))

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

    @cached_property
    def _evaluator(self) -> Evaluator:
        if "://" not in self.spec.ledger and not (self.folder / self.spec.ledger).exists():
            return Evaluator(self._data)
        from workbench.experiments.history import Past

        return Evaluator(self._data, Past(self.ledger))
