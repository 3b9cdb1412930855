"""Customer problems: which of the solutions that were tried is best so far, and what is untried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import display
from workbench.experiments.discoveries import Effect, Key, shrunken
from workbench.experiments.verdict import Evaluation
from workbench.schema.hypothesis import Hypothesis, Idea, Problem, Verdict
from workbench.schema.study import StudySpec
from workbench.stats.shrinkage import Shrunken

WORTH = "worth for customers, in percentage points of those who enter, shrunk by all of the study's effects"


@dataclass(frozen=True)
class Solution:
    """A tested hypothesis as a solution of a problem.

    Args:
        name: The hypothesis's name, with its treatment where it has several.
        version: The newest version that has a valid answer.
        metric: The metric that it moves.
        worth: Its effect in the direction that it claims, shrunk by all effects of the study.
        verdict: Its verdict as readers see it.
    """

    name: str
    version: int
    metric: str
    worth: Shrunken
    verdict: str

    @property
    def words(self) -> str:
        """The solution with what it is worth."""
        worth = display.effect(self.worth.estimate, self.worth.low, self.worth.high)
        return f"{self.name} {self.version} ({worth} points of {self.metric}; {self.verdict})"


@dataclass(frozen=True)
class ProblemReview:
    """A problem with its solutions, the best one first, and what is not tried yet."""

    name: str
    statement: str
    solutions: tuple[Solution, ...]
    untried: tuple[str, ...]

    @property
    def best(self) -> Solution | None:
        """The solution that is worth most, if any is worth something."""
        return next((each for each in self.solutions if each.worth.estimate > 0), None)

    @property
    def sentence(self) -> str:
        """What is best so far, how sure that is, and what is untried."""
        best, others = self.best, [each for each in self.solutions if each is not self.best]
        if not self.solutions:
            said = "Nothing was tried yet."
        elif best is None:
            said = f"Nothing that was tried is worth something to customers: {_listed(others)}."
        else:
            sure = "" if best.worth.low > 0 else ", which may still be nothing"
            said = f"Best so far: {best.words}{sure}."
            rival = next((each for each in others if each.metric == best.metric), None)
            if rival is not None and rival.worth.high > best.worth.low:
                said += f" It may be no better than {rival.name}."
            said += f" Also tried: {_listed(others)}." if others else ""
        return f"{said} Untried: {', '.join(self.untried)}." if self.untried else said

    def row(self) -> dict[str, Any]:
        """Return the problem as one row of plain values."""
        best = self.best
        return {
            "problem": self.name,
            "statement": self.statement,
            "tried": [f"{each.name} {each.version}" for each in self.solutions],
            "best": "" if best is None else f"{best.name} {best.version}",
            "worth": math.nan if best is None else best.worth.estimate,
            "worth_low": math.nan if best is None else best.worth.low,
            "worth_high": math.nan if best is None else best.worth.high,
            "untried": list(self.untried),
            "sentence": self.sentence,
        }


def review_problems(spec: StudySpec, evaluations: Iterable[Evaluation]) -> list[ProblemReview]:
    """Say of each problem which solution is worth most to customers so far, and what is untried.

    Args:
        spec: The study file.
        evaluations: Those of all iterations so far. What may not decide yet, or is invalid, is
            neither a solution nor untried.

    Returns:
        The problems in the study's order, each with the newest answer of each hypothesis.
    """
    every = list(evaluations)
    final = [
        each
        for each in every
        if each.verdict is not Verdict.INVALID
        and not each.progress.early
        and not math.isnan(each.comparison.estimate)
    ]
    worth = shrunken(
        {each.key: Effect.of(each.comparison.control, each.comparison.treatment) for each in final}
    )
    newest = {each.name: each for each in sorted(final, key=lambda one: one.hypothesis.version)}
    return [_reviewed(problem, spec, every, newest, worth) for problem in spec.problems]


def _reviewed(
    problem: Problem,
    spec: StudySpec,
    every: Sequence[Evaluation],
    newest: Mapping[str, Evaluation],
    worth: Mapping[Key, Shrunken],
) -> ProblemReview:
    solutions = [
        Solution(
            name,
            each.hypothesis.version,
            each.hypothesis.metric,
            _towards(worth[each.key], each.hypothesis.alternative),
            each.label,
        )
        for name, each in newest.items()
        if each.hypothesis.problem == problem.name
    ]
    solutions.sort(key=lambda each: -each.worth.estimate)
    begun = {each.hypothesis.name for each in every}
    claims: list[Hypothesis | Idea] = [*spec.hypotheses, *spec.ideas]
    names = dict.fromkeys(each.name for each in claims if each.problem == problem.name)
    untried = [name for name in names if name not in begun]
    return ProblemReview(problem.name, problem.statement, tuple(solutions), tuple(untried))


def _towards(found: Shrunken, alternative: str) -> Shrunken:
    """Return an effect in the direction that is claimed."""
    if alternative != "less":
        return found
    return Shrunken(-found.estimate, -found.high, -found.low, found.reason)


def _listed(solutions: Iterable[Solution]) -> str:
    return "; ".join(each.words for each in solutions)
