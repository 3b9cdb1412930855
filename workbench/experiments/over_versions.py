"""What the versions of a hypothesis say together: one sentence that single verdicts cannot give."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workbench import display
from workbench.experiments.pooling import counted, pooled
from workbench.experiments.verdict import Evaluation
from workbench.stats.proportions import Comparison
from workbench.stats.versions import RunningAnswer

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
        again: How many customers were left out of later versions, since an earlier one counts them.
        effects: Each version's number and its own effect, on the customers that count.
    """

    hypothesis: str
    treatment: str
    versions: tuple[int, ...]
    found: RunningAnswer
    newest: Evaluation
    left_out: tuple[str, ...] = ()
    again: int = 0
    effects: tuple[tuple[int, Comparison], ...] = ()

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
        if self.again:
            customers = f"{self.again:,} customers, who" if self.again > 1 else "one customer, who"
            verb = "count" if self.again > 1 else "counts"
            said.append(f" Left out of later versions: {customers} {verb} in an earlier one.")
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
    """Combine the versions of each hypothesis, on customers of their own.

    Args:
        evaluations: Those of all iterations, in order; `pooling.counted` says which versions count.

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
        counts, left = counted([each.tried for each in tried])
        if len(counts) < 2:
            continue
        newest = next(each for each in tried if each.hypothesis.version == counts[-1].version)
        versions = tuple(each.version for each in counts)
        again = sum(each.again for each in counts)
        rule = newest.hypothesis
        effects = tuple(
            (each.version, rule.compare(control=each.pair[0], treatment=each.pair[1]))
            for each in counts
        )
        answer = pooled(counts)
        found.append(
            OverVersions(name, treatment, versions, answer, newest, tuple(left), again, effects)
        )
    return found


def _word(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
