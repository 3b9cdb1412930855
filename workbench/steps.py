"""Counts of one step: how many customers of a cohort entered, aligned, deviated, are pending."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.proportions import Counts


@dataclass(frozen=True)
class StepCounts:
    """How the customers of one iteration and cohort followed one step.

    `closed` counts entrants of the flow whose window is over, `converted` those of them who
    reached this step, and `before` those of them who reached the step before.
    """

    iteration: str
    cohort: tuple[str, ...]
    step: str
    entered: int
    aligned: int
    pending: int
    converted: int
    closed: int
    before: int
    median_hours: float = float("nan")

    @property
    def deviated(self) -> int:
        """How many customers did not take the step in time."""
        return self.entered - self.aligned - self.pending

    @property
    def of_entrants(self) -> Counts:
        """Those who reached the step, of the flow's entrants whose window is over."""
        return Counts(self.converted, self.closed)
