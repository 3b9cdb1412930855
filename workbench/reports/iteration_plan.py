"""An iteration plan: what a test takes, before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import StudyError
from workbench.reports.report import IterationReport, Result

if TYPE_CHECKING:
    from workbench.experiments.planning import Plan


@dataclass(frozen=True, kw_only=True, repr=False)
class IterationPlan(IterationReport):
    """The test of one hypothesis, planned for the iteration that is to test it."""

    kind: str = "Iteration plan"

    def plan(self, hypothesis: str = "", customers: int = 0) -> Plan:
        """Plan a test of a hypothesis.

        Args:
            hypothesis: Its name; the first that the iteration tests if empty.
            customers: Customers available per cohort; 0 for as many as entered the newest iteration.

        Raises:
            StudyError: There is no such hypothesis, or none is named and the iteration tests none.
        """
        tested = self.study.spec.claims([self.iteration])
        if not hypothesis and not tested:
            said = f"iteration {self.iteration} tests no hypothesis; name the one to plan for"
            raise StudyError(said)
        return self.study.plan(hypothesis or tested[0].name, customers or None, self.as_of)

    def finish(self, plan: Plan) -> Result:
        """Return the end of the report; a template's last cell shows it."""
        content = {
            "hypothesis": plan.hypothesis.name,
            "sentence": plan.sentence,
            "plan": plan.table.to_dict("records"),
            "power": plan.curve.to_dict("records"),
        }
        return self.result(content)


begin = IterationPlan.begin
