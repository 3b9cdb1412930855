"""What changed between two iterations: hypotheses, the solution, the mix of customers, rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.study_data import StudyData
from workbench.experiments.evaluate import total
from workbench.experiments.verdict import Evaluation
from workbench.schema.hypothesis import Hypothesis
from workbench.schema.time import Iteration
from workbench.stats.proportions import Comparison, compare
from workbench.stats.sample_ratio import homogeneity

NOT_RANDOMIZED = "not randomized"
MOVED = {
    (True, True): "The solution and a hypothesis both moved.",
    (True, False): (
        "The solution moved, and no new version of a hypothesis was tested: nothing tells what it did."
    ),
    (False, True): "A new version of a hypothesis was tested on the same solution.",
    (False, False): "Neither the solution nor a hypothesis moved.",
}
UNNAMED = (
    "The iterations do not say which solution customers had; give each its solution and changes."
)


@dataclass(frozen=True)
class Changed:
    """One thing that changed, or a rate beside another.

    `part` is "hypothesis", "study", "solution", "mix" or "rate", and `before`, `after` and `change`
    are words. `estimate`, `low`, `high` and `pvalue` are numbers where there are any, else NaN.
    """

    part: str
    what: str
    before: str
    after: str
    change: str = ""
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    pvalue: float = math.nan

    def row(self) -> dict[str, Any]:
        """Return it as one row of plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Difference:
    """All that changed from one iteration to a later one, with a sentence on what moved together."""

    before: str
    after: str
    sentence: str
    changes: tuple[Changed, ...] = field(repr=False)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row of plain values for each change."""
        return [each.row() for each in self.changes]


def difference(
    data: StudyData,
    before: str,
    after: str,
    at: datetime | None,
    counts: Sequence[StepCounts],
    tested: Sequence[Evaluation],
) -> Difference:
    """Compare two iterations: what the study says of them, their customers and their rates.

    Args:
        data: The study's data.
        before: The earlier iteration's name.
        after: The later one's.
        at: The time as of which the data are read.
        counts: The counts of all customers in each iteration.
        tested: The evaluations of the iterations after the earlier one, up to the later one, which say
            what of their changes was tested.
    """
    spec = data.spec
    names = [each.name for each in spec.iterations]
    old, new = spec.iterations[names.index(before)], spec.iterations[names.index(after)]
    between = spec.iterations[names.index(before) + 1 : names.index(after) + 1]
    claims = tuple(_hypotheses(spec.hypotheses, old, between))
    rates = {step: _compared(counts, step, before, after) for step in spec.metrics}
    solution = tuple(_solution(old, new, between, rates, tested))
    named = bool(old.solution or solution)
    moved = bool(solution), any(each.after for each in claims)
    return Difference(
        before,
        after,
        MOVED[moved] if named else UNNAMED,
        (
            *claims,
            *_allocations(old, new),
            *solution,
            *_mixes(data, before, after, at),
            *(_rate(step, found) for step, found in rates.items()),
        ),
    )


def _hypotheses(
    claims: Sequence[Hypothesis], first: Iteration, between: Sequence[Iteration]
) -> Iterator[Changed]:
    """Yield the versions that were tested since an iteration, and what was tested in it alone."""
    from workbench.experiments.history import describe_change

    since, after = [each.name for each in between], between[-1].name
    claims = sorted(claims, key=lambda each: each.version)
    old = {each.name: each for each in claims if each.iteration == first.name}
    new = {each.name: each for each in claims if each.iteration in since}
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name), new.get(name)
        if one is None and other is not None:
            earlier = [
                each for each in claims if each.name == name and each.version < other.version
            ]
            one = max(earlier, key=lambda each: each.version, default=None)
        was = "" if one is None else f"version {one.version}"
        now = "" if other is None else f"version {other.version}"
        if was != now:
            said = "no longer tested" if other is None else describe_change(other, one)
            if other is not None and other.iteration != after:
                now += f" in {other.iteration}"
            yield Changed("hypothesis", name, was, now, said)


def _allocations(old: Iteration, new: Iteration) -> Iterator[Changed]:
    one, other = (
        ", ".join(f"{name} {share:.0%}" for name, share in each.allocation.items())
        or "equal shares"
        for each in (old, new)
    )
    if one != other:
        yield Changed("study", "allocation", one, other)


def _solution(
    old: Iteration,
    new: Iteration,
    between: Sequence[Iteration],
    rates: Mapping[str, Comparison],
    tested: Sequence[Evaluation],
) -> Iterator[Changed]:
    """Yield the solution's name if it changed, and each change with the rate of its step."""
    if old.solution != new.solution:
        yield Changed("solution", "version", old.solution or "not named", new.solution)
    for each in between:
        for change in each.changes:
            found = rates[change.step]
            trials = [
                f"tested by {one.name} {one.hypothesis.version}: {one.label}"
                for one in tested
                if (one.hypothesis.metric, one.iteration) == (change.step, each.name)
            ]
            moved = display.effect(found.estimate, found.low, found.high)
            said = f"{change.step} {moved} points, {NOT_RANDOMIZED}"
            said = "; ".join([said, *trials])
            numbers = (found.estimate, found.low, found.high)
            yield Changed("solution", change.what, "", f"new in {each.name}", said, *numbers)


def _mixes(data: StudyData, before: str, after: str, at: datetime | None) -> Iterator[Changed]:
    """Yield of each grouping but experiments the level whose share moved most, with a test of all."""
    for column in data.spec.groupings:
        if column in data.participation:
            continue
        old, new = (data.entered([column], at, name) for name in (before, after))
        levels = list(dict.fromkeys([*old, *new]))
        sizes = sum(old.values()), sum(new.values())
        if len(levels) < 2 or not all(sizes):
            continue
        shares = {
            each: (old.get(each, 0) / sizes[0], new.get(each, 0) / sizes[1]) for each in levels
        }
        most = max(levels, key=lambda each: abs(shares[each][1] - shares[each][0]))
        pvalue = homogeneity(
            [old.get(each, 0) for each in levels], [new.get(each, 0) for each in levels]
        )
        one, other = (f"{most} {display.percent(share)}" for share in shares[most])
        yield Changed("mix", column, one, other, f"p {display.pvalue(pvalue)}", pvalue=pvalue)


def _compared(counts: Sequence[StepCounts], step: str, before: str, after: str) -> Comparison:
    old, new = (
        total(each for each in counts if (each.iteration, each.step) == (name, step))
        for name in (before, after)
    )
    return compare(control=old, treatment=new)


def _rate(step: str, found: Comparison) -> Changed:
    one, other = (
        display.rate(each.rate, each.converted, each.total)
        for each in (found.control, found.treatment)
    )
    moved = display.effect(found.estimate, found.low, found.high)
    said = f"{moved} points" if found.control.total and found.treatment.total else display.UNDEFINED
    return Changed("rate", step, one, other, said, found.estimate, found.low, found.high)
