"""The history of a ledger as rows: what each iteration found, and what is still a discovery."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from workbench.records import FinalVerdict, Look, Registration, Stored, standing

OPEN = "open"
NONE = "-"
Key = tuple[str, int, str, str]


class Decision(Protocol):
    """What an online test says about one p-value of a stream, at its place."""

    @property
    def level(self) -> float:
        """The level that the p-value is held to."""

    @property
    def rejected(self) -> bool:
        """Whether the p-value is at or below it."""


Online = Callable[[Sequence[float]], Sequence[Decision]]


@dataclass(frozen=True)
class Chapter:
    """One arm of a version in one iteration: how often it was looked at, and what came of it.

    `verdict` is "open" while there is no final one. `level` is what the p-value was held to at its
    place in the stream of tests, and `discovery` whether the verdict is a success that counts
    among all of them: "yes", "no", or "-" where there is no p-value to count.
    """

    hypothesis: str
    version: int
    arm: str
    iteration: str
    looks: int
    estimate: float
    low: float
    high: float
    verdict: str
    pvalue: float
    level: float
    discovery: str
    corrected: bool = False

    def row(self) -> dict[str, Any]:
        """Give the chapter as one row of plain values."""
        return asdict(self)


def story(
    verdicts: Iterable[Stored[FinalVerdict]],
    looks: Iterable[Stored[Look]],
    registrations: Iterable[Stored[Registration]],
    *,
    online: Online,
) -> tuple[Chapter, ...]:
    """Tell what each iteration found, in the order in which iterations came on record.

    `online` takes the p-values of all final verdicts, in their order, and decides on each by
    those before it. A corrected verdict keeps its place among them, and its correction has one of
    its own: what was decided since it came rests on it, and no later record may change that. The
    chapter shows the correction.

    >>> story([], [], [], online=lambda pvalues: [])
    ()
    """
    verdicts, looks = tuple(verdicts), tuple(looks)
    tests = [each for each in verdicts if not math.isnan(each.record.pvalue)]
    decisions = dict(
        zip(
            (each.id for each in tests),
            online([each.record.pvalue for each in tests]) if tests else (),
            strict=True,
        )
    )
    seen: dict[Key, list[Stored[Look]]] = {}
    for each in standing(looks):
        seen.setdefault(_key(each.record), []).append(each)
    final = {_key(each.record): each for each in standing(verdicts)}
    first: dict[Key, int] = {}
    for number, key in sorted(
        [(each.id, _key(each.record)) for each in looks]
        + [(each.id, _key(each.record)) for each in verdicts]
    ):
        first.setdefault(key, number)
    begun = {key[:3] for key in first}
    for entry in registrations:
        claim = entry.record.hypothesis, entry.record.version, entry.record.arm
        if claim not in begun:
            first[(*claim, "")] = entry.id
    return tuple(
        _chapter(key, seen.get(key, []), final.get(key), decisions)
        for key in sorted(first, key=first.__getitem__)
    )


def _chapter(
    key: Key,
    looks: Sequence[Stored[Look]],
    final: Stored[FinalVerdict] | None,
    decisions: dict[int, Decision],
) -> Chapter:
    shown = looks[-1].record if looks else None
    if final is not None:
        meant = [
            each.record for each in looks if each.record.fingerprint == final.record.fingerprint
        ]
        shown = meant[-1] if meant else shown
    decision = None if final is None else decisions.get(final.id)
    return Chapter(
        *key,
        looks=len(looks),
        estimate=math.nan if shown is None else shown.estimate,
        low=math.nan if shown is None else shown.low,
        high=math.nan if shown is None else shown.high,
        verdict=OPEN if final is None else final.record.verdict,
        pvalue=math.nan if final is None else final.record.pvalue,
        level=math.nan if decision is None else decision.level,
        discovery=_discovery(final, decision),
        corrected=final is not None and final.corrects is not None,
    )


def _discovery(final: Stored[FinalVerdict] | None, decision: Decision | None) -> str:
    if final is None or decision is None:
        return NONE
    return "yes" if decision.rejected and final.record.success else "no"


def _key(record: Look | FinalVerdict) -> Key:
    return record.hypothesis, record.version, record.arm, record.iteration
