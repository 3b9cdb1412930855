"""What the versions of a hypothesis say together: one sentence that single verdicts cannot give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import display
from workbench.experiments.verdict import Evaluation
from workbench.schema.hypothesis import Verdict
from workbench.stats.versions import RunningAnswer, running_answer

DIFFER = 0.05
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class OverVersions:
    """The running answer of a hypothesis and treatment over its versions.

    Args:
        hypothesis: The hypothesis's name.
        treatment: The treatment, as text.
        versions: The numbers of the versions, in order.
        found: The answer.
        newest: The newest version's own evaluation.
        left_out: Why other versions do not count, a clause each.
    """

    hypothesis: str
    treatment: str
    versions: tuple[int, ...]
    found: RunningAnswer
    newest: Evaluation
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The answer in words: the average, whether it is enough, the newest version, and the bias."""
        found, alone = self.found, self.newest.comparison
        effect = display.effect(found.estimate, found.low, found.high)
        differ = found.differ.pvalue
        apart = "its versions do not clearly differ"
        if not math.isnan(differ) and differ <= DIFFER:
            apart = "its versions differ, so the average stands for none of them"
        newest = found.enough == found.versions
        way = (
            "high, since one stops at a good one"
            if newest
            else "low, since one goes on after a poor one"
        )
        said = [
            f"{self.hypothesis}, averaged over its {_word(found.versions)} versions",
            f", {found.treatment:,} against {found.control:,} customers: {effect} points; ",
            f"{self._together}. The newest alone: ",
            f"{display.effect(alone.estimate, alone.low, alone.high)}; {apart} ",
            f"(p = {display.pvalue(differ)}). The average is, if anything, too {way}.",
        ]
        return "".join([*said, *(f" Left out: {each}." for each in self.left_out)])

    @property
    def _together(self) -> str:
        """Say whether the versions together are enough, and since which."""
        found = self.found
        if found.enough is None:
            return "together they are not enough yet"
        if found.enough == found.versions:
            return "together they are enough"
        since = f"after version {self.versions[found.enough - 1]}"
        if found.statistic < found.bound:
            return f"they were enough {since}, and later ones weaken that"
        return f"together they are enough, as they were {since}"

    def row(self) -> dict[str, Any]:
        """Return the answer as one row of plain values."""
        found = self.found
        return {
            "hypothesis": self.hypothesis,
            "treatment": self.treatment,
            "versions": list(self.versions),
            "customers_control": found.control,
            "customers_treatment": found.treatment,
            "estimate": found.estimate,
            "low": found.low,
            "high": found.high,
            "statistic": found.statistic,
            "bound": found.bound,
            "enough": found.enough is not None,
            "differ_pvalue": found.differ.pvalue,
            "sentence": self.sentence,
        }


def over_versions(evaluations: Iterable[Evaluation]) -> list[OverVersions]:
    """Combine the versions of each hypothesis that decided once, on customers of their own.

    Args:
        evaluations: Those of all iterations, in order. A version counts if its fixed analysis may
            decide and is valid; of two in one iteration only the first, since they share customers;
            and none that is about another metric or direction than the first.

    Returns:
        One answer for each hypothesis and treatment with two versions or more.
    """
    known: dict[tuple[str, str], list[Evaluation]] = {}
    for each in evaluations:
        known.setdefault((each.hypothesis.name, str(each.hypothesis.treatment.label)), []).append(
            each
        )
    found = []
    for (name, treatment), tried in known.items():
        counted, left = _counted(sorted(tried, key=lambda each: each.hypothesis.version))
        if len(counted) < 2:
            continue
        first = counted[0].hypothesis
        answer = running_answer(
            [(each.comparison.control, each.comparison.treatment) for each in counted],
            alternative=first.alternative,
            alpha=first.alpha,
            planned=first.versions,
        )
        versions = tuple(each.hypothesis.version for each in counted)
        found.append(OverVersions(name, treatment, versions, answer, counted[-1], tuple(left)))
    return found


def _counted(tried: Sequence[Evaluation]) -> tuple[list[Evaluation], list[str]]:
    """Return the versions that count, and why others that were tested do not."""
    counted: list[Evaluation] = []
    left = []
    for each in tried:
        claim, number = each.hypothesis, f"version {each.hypothesis.version}"
        pair = each.comparison.control, each.comparison.treatment
        if claim.analysis != "fixed":
            left.append(f"{number}, which is looked at more than once")
        elif each.verdict is Verdict.INVALID or not all(counts.total for counts in pair):
            left.append(f"{number}, which has no valid comparison")
        elif each.progress.early:
            left.append(f"{number}, which may not decide yet")
        elif counted and claim.iteration in {one.iteration for one in counted}:
            left.append(f"{number}, whose customers count already")
        elif counted and _about(each) != _about(counted[0]):
            left.append(f"{number}, which is about something else than version 1")
        elif counted and (planned := counted[0].hypothesis.versions) and len(counted) >= planned:
            left.append(f"{number}, beyond the {planned} planned")
        else:
            counted.append(each)
    return counted, left


def _about(found: Evaluation) -> tuple[str, str]:
    return found.hypothesis.metric, found.hypothesis.alternative


def _word(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
