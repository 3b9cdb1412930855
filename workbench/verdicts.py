"""Verdicts: what one look says about a hypothesis, and all that it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from workbench.analyses import Family, Progress
from workbench.guardrails import GuardrailResult
from workbench.hypothesis import Hypothesis, Verdict
from workbench.proportions import Comparison

Level = Literal["ok", "warn", "invalid"]


@dataclass(frozen=True)
class Check:
    """One thing that could break a comparison: how it stands, in a sentence.

    `value` is what was found: a number of customers, or the p-value of a sample ratio.
    """

    name: str
    level: Level
    sentence: str
    value: float = float("nan")


@dataclass(frozen=True)
class Decided:
    """A verdict that the ledger holds already: what was decided, when, and on how many customers.

    `label` is the verdict with what took back half of it. `pvalue` is the verdict's own, `looked` that
    of the look it rests on, before other tests and guardrails were counted in.
    """

    verdict: Verdict
    at: datetime
    customers: int
    label: str = ""
    success: bool = False
    pvalue: float = math.nan
    looked: float = math.nan


@dataclass(frozen=True)
class Evaluation:
    """One look at a hypothesis: its verdict, the sentence that says it, and what it rests on.

    `needed` counts the customers per cohort still missing for the planned power, `detectable` is
    the smallest effect (a fraction, signed) that this sample could have found with that power.
    `family` is there when several hypotheses or treatments were tested together, `decided` when an
    earlier look had the last word. `look` is the number under which the ledger holds this look;
    None means that nobody recorded it.
    """

    hypothesis: Hypothesis
    as_of: datetime | None
    verdict: Verdict
    sentence: str
    comparison: Comparison
    checks: tuple[Check, ...]
    needed: int | None
    detectable: float
    progress: Progress
    guardrails: tuple[GuardrailResult, ...] = ()
    family: Family | None = None
    decided: Decided | None = None
    look: int | None = None

    @property
    def iteration(self) -> str:
        """The iteration that tests the hypothesis."""
        return self.hypothesis.iteration

    @property
    def name(self) -> str:
        """The hypothesis's name, with its treatment where it has several."""
        claim = self.hypothesis
        several = f": {claim.treatment.label}" if claim.other_treatments else ""
        return f"{claim.name}{several}"

    @property
    def label(self) -> str:
        """The verdict as a row gives it: with what takes back half of it."""
        if self._stands is not None:
            return self._stands.label or str(self.verdict)
        if self.verdict is Verdict.INCONCLUSIVE and self.progress.early:
            return f"{self.verdict}: looked early"
        if self.verdict is Verdict.SUPPORTED and not self.success:
            lost = [each.metric for each in self.guardrails if each.known and not each.held]
            open_yet = [each.metric for each in self.guardrails if not each.known]
            verb = "are" if len(lost or open_yet) > 1 else "is"
            state = "at risk" if lost else "pending"
            return f"{self.verdict}, but {' and '.join(lost or open_yet)} {verb} {state}"
        return str(self.verdict)

    @property
    def kind(self) -> str:
        """The verdict as one word, "but" for one with a guardrail that does not hold."""
        half = self.verdict is Verdict.SUPPORTED and not self.success
        return "but" if half else str(self.verdict)

    @property
    def success(self) -> bool:
        """Whether the claim is supported and no guardrail was broken."""
        if self._stands is not None:
            return self._stands.success
        return self.verdict is Verdict.SUPPORTED and all(each.held for each in self.guardrails)

    @property
    def pvalue(self) -> float:
        """The p-value that decides: Holm's where several hypotheses were tested together.

        That of the verdict on record, if there is one. NaN for a broken comparison, and for an early
        look at a fixed analysis, whose p-value is not valid yet.
        """
        if self.progress.early or self.verdict is Verdict.INVALID:
            return math.nan
        if self._stands is not None:
            return self._stands.pvalue
        return self.comparison.pvalue if self.family is None else self.family.pvalue

    @property
    def final(self) -> bool:
        """Whether the verdict stands for its iteration.

        A fixed analysis decides at its end, the others as soon as they can tell. A supported claim
        waits for guardrails of which nobody is through yet; a verdict on record is not given again.
        """
        if self.decided is not None or self.progress.early:
            return False
        if self.verdict is Verdict.SUPPORTED and not all(each.known for each in self.guardrails):
            return False
        told = self.verdict in (Verdict.SUPPORTED, Verdict.REFUTED)
        return self.progress.final or (told and self.progress.analysis != "fixed")

    @property
    def _stands(self) -> Decided | None:
        """The verdict on record, where it is the one that is shown."""
        return None if self.verdict is Verdict.INVALID else self.decided

    def row(self) -> dict[str, Any]:
        """Give the evaluation as one row of plain values."""
        found, claim = self.comparison, self.hypothesis
        return {
            "hypothesis": claim.name,
            "version": claim.version,
            "statement": claim.statement,
            "metric": claim.metric,
            "iteration": claim.iteration,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "verdict": str(self.verdict),
            "label": self.label,
            "sentence": self.sentence,
            "control": str(claim.control),
            "control_converted": found.control.converted,
            "control_closed": found.control.total,
            "treatment": str(claim.treatment),
            "treatment_converted": found.treatment.converted,
            "treatment_closed": found.treatment.total,
            "alternative": claim.alternative,
            "minimum_effect": claim.minimum_effect,
            "alpha": claim.alpha,
            "power": claim.power,
            "estimate": found.estimate,
            "low": found.low,
            "high": found.high,
            "confidence_level": found.confidence_level,
            "pvalue": self.pvalue,
            "test": found.test,
            "interval": found.interval,
            "analysis": claim.analysis,
            "planned": self.progress.planned,
            "look": self.look,
            "detectable": self.detectable,
            "needed": self.needed,
            "guardrails": [
                {
                    "metric": each.metric,
                    "margin": each.margin,
                    "estimate": each.comparison.estimate,
                    "low": each.comparison.low,
                    "high": each.comparison.high,
                    "pvalue": each.comparison.pvalue,
                    "held": each.held,
                }
                for each in self.guardrails
            ],
            "checks": [
                {"check": each.name, "level": each.level, "sentence": each.sentence}
                for each in self.checks
            ],
        }
