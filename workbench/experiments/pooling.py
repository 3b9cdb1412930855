"""Which versions of a hypothesis count together, and what they say: one rule for studies and ledgers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.stats.proportions import Counts
from workbench.stats.versions import (
    RunningAnswer,
    running_answer,
    running_evidence,
    running_pvalue,
)

Pair = tuple[Counts, Counts]  # control, treatment


@dataclass(frozen=True)
class Tried:
    """A version of a hypothesis that was tested, as it counts beside the others.

    Args:
        version: Its number.
        iteration: The iteration that tested it.
        terms: Its frozen fields, as they are registered.
        pair: The counts of control and treatment, without customers of earlier versions.
        evalue: The e-value at its end, for an analysis at any time.
        again: How many customers were left out of `pair`, since an earlier version counts them.
        fault: Why it has no valid answer of its own; empty if it has one.
    """

    version: int
    iteration: str
    terms: Mapping[str, Any]
    pair: Pair
    evalue: float = 1.0
    again: int = 0
    fault: str = ""

    @property
    def about(self) -> tuple[str, str]:
        """What the claim is about: metric and direction."""
        return self.terms["metric"], self.terms["alternative"]

    @property
    def at_any_time(self) -> bool:
        """Whether it was looked at at any time, and has an e-value."""
        return bool(self.terms["analysis"] == "anytime")


def counted(tried: Sequence[Tried]) -> tuple[list[Tried], list[str]]:
    """Return the versions that count together, and why others do not, a clause each.

    A version counts if it has a valid answer, on customers of its own, to the question of the first
    one that counts, and was looked at as that one was: once, or at any time.
    """
    found: list[Tried] = []
    left = []
    for each in sorted(tried, key=lambda one: one.version):
        reason = each.fault or _apart(found, each)
        if reason:
            left.append(f"version {each.version}, {reason}")
        else:
            found.append(each)
    return found, left


def _apart(found: Sequence[Tried], each: Tried) -> str:
    """Return why a version does not count with those before it; empty if it does."""
    first, before = next(iter(found), each), {one.iteration for one in found}
    planned = first.terms.get("versions") or math.inf
    empty = not all(counts.total for counts in each.pair)
    rules = {
        "which has planned looks": each.terms["analysis"] == "sequential",
        "whose customers count already": each.iteration in before or (empty and each.again),
        "which has no valid comparison": empty,
        f"which is about something else than version {first.version}": each.about != first.about,
        f"which is not looked at as version {first.version} is": (
            each.at_any_time != first.at_any_time
        ),
        "some of whose customers count already": each.at_any_time and each.again,
        f"beyond the {planned} planned": len(found) >= planned,
    }
    return next((said for said, broken in rules.items() if broken), "")


def pooled(found: Sequence[Tried]) -> RunningAnswer:
    """Return what versions that count say together, by the rule of the first one."""
    first, pairs = found[0], [each.pair for each in found]
    alpha = float(first.terms["alpha"])
    if first.at_any_time:
        return running_evidence(pairs, [each.evalue for each in found], alpha=alpha)
    return running_answer(
        pairs,
        alternative=first.terms["alternative"],
        alpha=alpha,
        planned=first.terms.get("versions"),
    )


def pooled_pvalue(found: Sequence[Tried]) -> float:
    """Return the p-value of versions that count, valid however many follow."""
    first = found[0]
    if first.at_any_time:
        product, largest = 1.0, 1.0
        for each in found:
            product *= each.evalue
            largest = max(largest, product)
        return 1.0 / largest
    pairs = tuple(each.pair for each in found)
    return running_pvalue(pairs, first.terms["alternative"], first.terms.get("versions"))
