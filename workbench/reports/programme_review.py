"""A programme review: what a year of iterations taught, for those who run the programme."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from workbench import display
from workbench.display import Sentences
from workbench.errors import DataError
from workbench.innovation.programme import Programme
from workbench.innovation.strategy import Strategy
from workbench.reports.report import Report, Result, open_study

if TYPE_CHECKING:
    import pandas as pd

NO_STRATEGY = "The study names no strategic metrics, so nothing tells when the business could move."


@dataclass(frozen=True, kw_only=True, repr=False)
class ProgrammeReview(Report):
    """All iterations of a study, part by part."""

    kind: str = "Programme review"

    @classmethod
    def begin(cls, *, study: str | Path = "", as_of: object = "") -> Self:
        """Open a study for the review.

        Args:
            study: The study file; the bundled study if empty.
            as_of: A date or time; later data are left out. Empty for all data.

        Raises:
            StudyError: The study file breaks a rule, or has indicators only.
        """
        opened = open_study(study)
        opened.spec.require_counts()
        return cls(study=opened, as_of=str(as_of) or None)

    def facts(self) -> tuple[str, ...]:
        """Return how many iterations there are, and the first and last."""
        names = [each.name for each in self.study.spec.iterations]
        newest = self.study.newest(self.as_of)
        until = () if newest is None else (f"Data to {display.moment(newest)}",)
        if len(names) == 1:
            return (f"Iteration {names[0]}", *until)
        return (f"{len(names)} iterations, {names[0]} to {names[-1]}", *until)

    @cached_property
    def programme(self) -> Programme:
        """What all iterations taught."""
        return self.study.programme(self.as_of)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """The learning metrics of all customers, in each iteration."""
        return self.study.learning_metrics(as_of=self.as_of, recorded=True)

    @cached_property
    def strategy(self) -> Strategy | Sentences:
        """The strategic metrics compared with their expected courses."""
        if self.study.spec.strategy is None:
            return Sentences((NO_STRATEGY,))
        try:
            return self.study.strategy(self.as_of)
        except DataError as error:
            return Sentences((f"There are no results on strategic metrics yet: {error}.",))

    def finish(self) -> Result:
        """Return the end of the review; the template's last cell shows it."""
        content = self.programme.rows() | {"learning_metrics": self.metrics.to_dict("records")}
        return self.result({"as_of": self.study.newest(self.as_of)} | content)


begin = ProgrammeReview.begin
