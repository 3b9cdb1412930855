"""Advice: the one next thing, by a rule that anybody can check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench import formats
from workbench.hypothesis import Verdict

if TYPE_CHECKING:
    from workbench.backlog import Backlog, Ranked
    from workbench.verdicts import Evaluation

RULE = (
    "The rule: first mend a comparison that is invalid, then let a test run on that was looked at "
    "before its end, then decide on a guardrail at risk, the newest iteration first; nothing of that "
    "open, take the first of the backlog, in the cheapest way to learn."
)
NOTHING = (
    "Talk to customers: every test is settled, and the backlog holds nothing to try; write down as "
    "ideas what they say."
)
Kind = Literal["mend", "wait", "decide", "try", "listen"]


@dataclass(frozen=True)
class Advice:
    """The one next thing in a sentence; `about` names the hypothesis or idea, if it is about one."""

    kind: Kind
    about: str
    sentence: str

    def row(self) -> dict[str, Any]:
        """Give the advice as plain values."""
        return asdict(self)


def advise(evaluations: Sequence[Evaluation], backlog: Backlog) -> Advice:
    """Say what to do next: settle a test that is open, or else try the first of the backlog.

    `evaluations` are those of the newest version of each hypothesis, the newest iteration first;
    RULE says in a sentence what comes first.
    """
    for settle in (_mend, _wait, _decide):
        for each in evaluations:
            said = settle(each)
            if said is not None:
                return said
    first = next(iter(backlog.ranked), None)
    return Advice("listen", "", NOTHING) if first is None else _try(first)


def _mend(found: Evaluation) -> Advice | None:
    broken = [each for each in found.checks if each.level == "invalid"]
    if found.verdict is not Verdict.INVALID or _only_pending(found):
        return None
    reason = next((each.sentence for each in broken), "")
    said = f"First mend {_test(found)}, which is invalid: {_inside(reason)}"
    return Advice("mend", found.hypothesis.name, said)


def _wait(found: Evaluation) -> Advice | None:
    progress = found.progress
    if _only_pending(found):
        said = f"First let {_test(found)} run on: every customer is still pending."
        return Advice("wait", found.hypothesis.name, said)
    open_end = found.verdict is Verdict.INCONCLUSIVE and found.decided is None
    if not open_end or not (progress.early or not progress.final):
        return None
    through = f"{progress.through:,}"
    if progress.planned is not None:
        through += f" of {progress.planned:,} planned"
    until = "" if progress.expected is None else f", until about {_day(progress.expected.at)}"
    said = (
        f"First let {_test(found)} run on{until}, and decide nothing on it before: {through} "
        "customers per cohort are through."
    )
    return Advice("wait", found.hypothesis.name, said)


def _only_pending(found: Evaluation) -> bool:
    """Say whether time alone is what the comparison lacks."""
    broken = [each.name for each in found.checks if each.level == "invalid"]
    return found.verdict is Verdict.INVALID and broken == ["pending"]


def _decide(found: Evaluation) -> Advice | None:
    lost = [each for each in found.guardrails if not each.held]
    if found.verdict is not Verdict.SUPPORTED or not lost:
        return None
    guards = " and ".join(each.metric for each in lost)
    needed = max((each.needed or 0 for each in lost), default=0)
    settle = f", or test on with {needed:,} customers per cohort" if needed else ""
    said = (
        f"First decide whether the gain of {_test(found)} is worth what {guards} may lose{settle}: "
        f"{lost[0].metric} changes by {_points(found, 0)} points, and a loss of "
        f"{100 * lost[0].margin:g} is the most allowed."
    )
    return Advice("decide", found.hypothesis.name, said)


def _try(first: Ranked) -> Advice:
    each, cost = first.candidate, first.candidate.cost
    ways = {
        "interview": "by interviews with customers",
        "prototype": "by a prototype",
        "A/B test": "by an A/B test",
    }
    weeks = "" if math.isnan(cost.weeks) else f" and {cost.weeks:.1f} weeks"
    takes = f"{formats.count(cost.customers)} customers{weeks}"
    said = f'Try {each.name} next ("{each.statement.rstrip(".")}"), {ways[first.learn_by]}'
    if first.learn_by == "A/B test":
        return Advice("try", each.name, f"{said} with {takes}.")
    if math.isnan(cost.customers):
        return Advice("try", each.name, f"{said}: {first.why}.")
    why = "" if first.why.startswith("an A/B test would take") else f", since {first.why}"
    return Advice("try", each.name, f"{said}{why}: an A/B test would take {takes}.")


def _test(found: Evaluation) -> str:
    return f"{found.name}, version {found.hypothesis.version} ({found.iteration})"


def _points(found: Evaluation, place: int) -> str:
    effect = [each for each in found.guardrails if not each.held][place].comparison
    return formats.effect(effect.estimate, effect.low, effect.high)


def _inside(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _day(moment: Any) -> str:
    return f"{moment.day} {moment:%B %Y}"
