"""A hypothesis report: what one iteration taught about its hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.reports.iteration_plan import IterationPlan
from workbench.reports.report import IterationReport, Result

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.partners import Partners
    from workbench.experiments.planning import Plan
    from workbench.experiments.single_arm import SingleArmResult
    from workbench.experiments.verdict import Evaluation


@dataclass(frozen=True, kw_only=True, repr=False)
class HypothesisReport(IterationReport):
    """The hypotheses tested in one iteration, and the tables they stand on."""

    kind: str = "Hypothesis report"

    def effects(self) -> pd.DataFrame:
        """Return the effects within the levels of each grouping, for every hypothesis tested here.

        The columns are those of `Study.effects`, then `hypothesis`, `minimum_effect` (signed) and
        `alternative`.
        """
        return self._of_hypotheses(self.study.effects)

    def pooled(self) -> pd.DataFrame:
        """Return the effects pooled over each grouping's levels, for every hypothesis tested here."""
        return self._of_hypotheses(self.study.pooled)

    def history(self) -> pd.DataFrame:
        """Return the versions, up to this iteration, of the hypotheses tested here."""
        from workbench.experiments.history import Stated, version_history

        spec = self.study.spec
        alone = [each for each in spec.single_arm_claims if each.iteration in self.iterations]
        known: list[Stated] = [*spec.claims(self.iterations), *alone]
        tested = {each.name for each in known if each.iteration == self.iteration}
        frame = version_history(
            [each for each in known if each.name in tested], self.study.history()
        )
        together = self.study.evidence(**self.at)
        frame.attrs["evidence"] = [each.sentence for each in together if each.hypothesis in tested]
        return frame

    def partners(self) -> Partners | None:
        """Return the partners beside all customers; None if the study names none."""
        if self.study.spec.partners is None:
            return None
        return self.study.partners(**self.at)

    def finish(
        self,
        *,
        evaluations: Iterable[Evaluation],
        metrics: pd.DataFrame,
        quality: pd.DataFrame,
        partners: Partners | None = None,
        single_arm: Iterable[SingleArmResult] = (),
    ) -> Result:
        """Return the end of the report; a template's last cell shows it.

        Args:
            evaluations: The verdicts, as `evaluate` returns them.
            metrics: The learning metrics, as `Study.learning_metrics` returns them.
            quality: The checks of the data, as `Study.quality` returns them.
            partners: The partners, as `partners` returns them.
            single_arm: The claims with a target.
        """
        content: dict[str, object] = {
            "learning_metrics": metrics.to_dict("records"),
            "quality": quality.to_dict("records"),
        }
        if partners is not None:
            rows = partners.table.to_dict("records")
            content["partners"] = {"sentence": partners.sentence, "table": rows}
        return self.result_with_verdicts(evaluations, content, single_arm)

    # What templates of 0.1 call: the history, and a plan, which is now `iteration_plan`'s. Gone with 0.3.
    story = history

    def design(self, hypothesis: str = "", customers: int = 0) -> Plan:
        """Plan a test, as `IterationPlan.plan` does."""
        return self._as_plan().plan(hypothesis, customers)

    def planned(self, plan: Plan) -> Result:
        """Return the end of a plan, as `IterationPlan.finish` does."""
        return self._as_plan().finish(plan)

    def _as_plan(self) -> IterationPlan:
        return IterationPlan(study=self.study, iteration=self.iteration, as_of=self.as_of)

    def _of_hypotheses(self, table_of: Callable[..., pd.DataFrame]) -> pd.DataFrame:
        """Join the tables that a method of the study returns for each hypothesis tested here."""
        import pandas as pd

        tested = [each for each in self.study.spec.hypotheses if each.iteration == self.iteration]
        frames = [
            table_of(hypothesis=each.name, **self.at).assign(
                hypothesis=each.name, minimum_effect=each.towards(), alternative=each.alternative
            )
            for each in tested
        ]
        found = [each for each in frames if len(each)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


begin = HypothesisReport.begin
