"""History: what looks leave in the ledger, and what the ledger says of each hypothesis."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol

import pandas as pd

from workbench.experiments.analysis import Pair
from workbench.experiments.ledger import FinalVerdict, Ledger, Look, Registration, Stored, standing
from workbench.experiments.verdict import Decided, Evaluation
from workbench.schema.hypothesis import Hypothesis, Verdict
from workbench.schema.time import Iteration
from workbench.stats.multiplicity import saffron
from workbench.stats.proportions import Counts

OPEN = "open"
NONE = "-"
Key = tuple[str, int, str, str]
UNRECORDED = "not recorded"
COLUMNS = (
    "hypothesis",
    "version",
    "arm",
    "iteration",
    "changed",
    "looks",
    "estimate",
    "low",
    "high",
    "verdict",
    "label",
    "pvalue",
    "level",
    "discovery",
)
ONLINE = saffron  # its first levels are the largest: a study has few verdicts, not hundreds


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

    `verdict` is "open" while there is no final one; `label` also says what restricts it. `level` is what the p-value was held to at its
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
    label: str
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
        label=OPEN if final is None else final.record.label,
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


def chronicle(claims: Sequence[Hypothesis], history: pd.DataFrame) -> pd.DataFrame:
    """Tell hypotheses through their versions: a row a version and treatment, in order.

    `claims` are versions as the study file has them, one for each treatment; `history` is that of
    the ledger. A version that nobody put on record has no numbers.
    """
    recorded = {
        (row["hypothesis"], row["version"], row["arm"], row["iteration"]): row
        for row in history.to_dict("records")
    }
    rows = []
    for claim in sorted(claims, key=lambda each: (each.name, each.version)):
        key = (claim.name, claim.version, str(claim.treatment), claim.iteration)
        row = dict(zip(COLUMNS, (*key, changed(claim, _earlier(claim, claims))), strict=False))
        row |= {"looks": 0, "verdict": UNRECORDED, "label": UNRECORDED, "discovery": "-"}
        row |= dict.fromkeys(("estimate", "low", "high", "pvalue", "level"), math.nan)
        found = recorded.get(key, {})
        row |= {str(name): value for name, value in found.items() if name in COLUMNS}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def changed(claim: Hypothesis, earlier: Hypothesis | None) -> str:
    """Say what a version changed: its frozen fields, or its statement alone.

    >>> first = Hypothesis.model_validate({
    ...     "name": "a", "statement": "It helps.", "metric": "imported", "iteration": "1",
    ...     "control": {"variant": "blank"}, "treatment": {"variant": "preview"}})
    >>> changed(first.model_copy(update={"version": 2, "minimum_effect": 0.1}), first)
    'minimum effect from 0 to 0.1'
    """
    if earlier is None:
        return "first version"
    old, new = ({**each.frozen(), "window": each.window} for each in (earlier, claim))
    parts = [
        f"{name.replace('_', ' ')} from {_said(old[name])} to {_said(new[name])}"
        for name in new
        if old[name] != new[name] and name not in ("iteration", "treatments")
    ]
    if claim.statement != earlier.statement:
        parts.append("what it does (its statement)")
    return "; ".join(parts) or "tested again, unchanged"


def _earlier(claim: Hypothesis, claims: Sequence[Hypothesis]) -> Hypothesis | None:
    """Give the version before, with the same treatment if that had several."""
    before = [each for each in claims if each.name == claim.name and each.version < claim.version]
    return max(
        before,
        key=lambda each: (each.version, str(each.treatment) == str(claim.treatment)),
        default=None,
    )


def _said(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, timedelta):
        return str(value).removesuffix(", 0:00:00")
    if isinstance(value, list):
        return " and ".join(f"{each['metric']} by {each['margin']:g}" for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Past:
    """What a ledger holds of the looks before."""

    ledger: Ledger

    def earlier(self, claim: Hypothesis, pair: Pair) -> tuple[Pair, ...]:
        """Give the counts of the recorded looks that saw fewer customers than this one."""
        seen = [_pair(each.record) for each in self.ledger.looks(*_claim_key(claim))]
        now = _customers(pair)
        return tuple(each for each in dict.fromkeys(seen) if _customers(each) < now)

    def decided(self, claim: Hypothesis, pair: Pair) -> Decided | None:
        """Give the final verdict, if one was made on fewer customers than there are now.

        That a comparison was broken decides nothing: once mended, it is tested.
        """
        of_claim = [
            each
            for each in self._verdicts
            if _key_of(each.record) == _claim_key(claim) and each.record.verdict != Verdict.INVALID
        ]
        if not of_claim:
            return None
        stands = of_claim[-1]
        looks = self.ledger.looks(*_claim_key(claim))
        seen = [each.record for each in looks if _same_data(each.record, stands.record)]
        if not seen or _customers(_pair(seen[-1])) >= _customers(pair):
            return None
        return Decided(
            Verdict(stands.record.verdict),
            stands.recorded_at,
            _customers(_pair(seen[-1])),
            stands.record.qualifier,
            stands.record.success,
            stands.record.pvalue,
            seen[-1].pvalue,
        )

    @property
    def _verdicts(self) -> tuple[Stored[FinalVerdict], ...]:
        return standing(self.ledger.verdicts())


def record(
    ledger: Ledger, evaluations: Iterable[Evaluation], iterations: Iterable[Iteration]
) -> list[Evaluation]:
    """Put looks on record, and the verdicts that are final for their iteration.

    Gives the evaluations with the number of their look. `iterations` are the study's: when one
    starts and ends is part of what a version may not change. The same look at the same data is recorded
    once. Raises StudyError for a frozen field that changed without a new version; what was recorded
    before stays.
    """
    spans = {each.name: [str(each.start), str(each.end)] for each in iterations if each.start}
    return [_recorded(ledger, each, spans.get(each.iteration)) for each in evaluations]


def history(ledger: Ledger) -> pd.DataFrame:
    """Tell what became of each version of each hypothesis, in the order of the records.

    Final verdicts are one stream of tests, in which `ONLINE` keeps the false discovery rate at 5 %.
    """
    import pandas as pd

    chapters = story(ledger.verdicts(), ledger.all_looks(), ledger.registrations(), online=ONLINE)
    columns = [each.name for each in fields(Chapter)]
    return pd.DataFrame([each.row() for each in chapters], columns=columns)


def fingerprint(evaluation: Evaluation) -> str:
    """Tell the data that a look rests on from others: equal data have equal fingerprints."""
    found, progress = evaluation.comparison, evaluation.progress
    pairs = [(found.control, found.treatment)]
    pairs += [
        (each.comparison.control, each.comparison.treatment) for each in evaluation.guardrails
    ]
    counts = [[each.converted, each.total] for pair in pairs for each in pair]
    order = repr(progress.evalue) if progress.analysis == "anytime" else ""
    return sha256(json.dumps([counts, order]).encode()).hexdigest()


def _recorded(ledger: Ledger, evaluation: Evaluation, span: list[str] | None) -> Evaluation:
    claim, found = evaluation.hypothesis, evaluation.comparison
    name, version, arm, iteration = _claim_key(claim)
    look = Look(
        name,
        version,
        arm,
        iteration,
        None if evaluation.as_of is None else evaluation.as_of.isoformat(),
        claim.analysis,
        found.control.converted,
        found.control.total,
        found.treatment.converted,
        found.treatment.total,
        fingerprint(evaluation),
        found.estimate,
        found.low,
        found.high,
        found.confidence_level,
        found.pvalue,
        evaluation.progress.evalue,
    )
    verdict = None
    if evaluation.final and not _looks_back(ledger, look):
        verdict = FinalVerdict(
            name,
            version,
            arm,
            iteration,
            str(evaluation.verdict),
            evaluation.success,
            _stream_pvalue(evaluation),
            look.fingerprint,
            evaluation.sentence,
            evaluation.qualifier,
        )
    registration = Registration(name, version, arm, {**claim.frozen(), "start and end": span})
    done = ledger.record(registration, look, verdict)
    return replace(evaluation, look=done.look_number)


def _stream_pvalue(evaluation: Evaluation) -> float:
    """Give the p-value of the claim that everything holds, its guardrails included.

    That is the largest of theirs (intersection-union test: Berger 1982), 1 for a guardrail of which
    nobody is through. A claim that is refuted though its test rejects, since its effect is too small
    to be worth having, is no rejection either: 1. NaN for no valid test.
    """
    if evaluation.verdict is Verdict.INVALID or math.isnan(evaluation.pvalue):
        return math.nan
    if evaluation.verdict is Verdict.REFUTED and evaluation.pvalue <= evaluation.hypothesis.alpha:
        return 1.0
    kept = [each.comparison.pvalue if each.known else 1.0 for each in evaluation.guardrails]
    return max([evaluation.pvalue, *kept])


def _looks_back(ledger: Ledger, look: Look) -> bool:
    """Whether a later state of the data was looked at before: it has, or will have, the last word."""
    key = (look.hypothesis, look.version, look.arm, look.iteration)
    others = [each.record.as_of for each in ledger.looks(*key)]
    return look.as_of is not None and any(each is not None and each > look.as_of for each in others)


def _claim_key(claim: Hypothesis) -> tuple[str, int, str, str]:
    return claim.name, claim.version, str(claim.treatment), claim.iteration


def _key_of(verdict: FinalVerdict) -> tuple[str, int, str, str]:
    return verdict.hypothesis, verdict.version, verdict.arm, verdict.iteration


def _pair(look: Look) -> Pair:
    control = Counts(look.control_converted, look.control_closed)
    return control, Counts(look.treatment_converted, look.treatment_closed)


def _customers(pair: Pair) -> int:
    return sum(each.total for each in pair)


def _same_data(look: Look, verdict: FinalVerdict) -> bool:
    return look.fingerprint == verdict.fingerprint
