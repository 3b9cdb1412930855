"""What looks add to a ledger, and the history that a ledger gives of each hypothesis."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd

from workbench.experiments.analysis import Pair
from workbench.experiments.ledger import (
    FinalVerdict,
    Key,
    Ledger,
    Look,
    Registration,
    Stored,
    key,
    standing,
)
from workbench.experiments.verdict import Evaluation, RecordedVerdict
from workbench.schema.hypothesis import Hypothesis, Verdict
from workbench.schema.time import Iteration
from workbench.stats.multiplicity import saffron
from workbench.stats.proportions import Counts

if TYPE_CHECKING:
    from workbench.stats.multiplicity import StreamTest

OPEN = "open"
UNRECORDED = "not recorded"
NO_TEST = "-"
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
OnlineTest = Callable[[Sequence[float]], "Sequence[StreamTest]"]


@dataclass(frozen=True)
class HypothesisHistory:
    """One row of the history: an arm of a version in one iteration.

    `looks` counts the recorded looks. `estimate`, `low` and `high` are those of the look that the
    final verdict rests on, or else of the newest one. `verdict` is "open" while there is no final
    one; `label` also says what restricts it. `pvalue` is that of the verdict, `level` the threshold
    at its place in the stream of all final verdicts, and `discovery` says whether the verdict is a
    success that counts among all of them: "yes", "no", or "-" without a p-value.
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


def summarize(
    verdicts: Iterable[Stored[FinalVerdict]],
    looks: Iterable[Stored[Look]],
    registrations: Iterable[Stored[Registration]],
    *,
    online: OnlineTest = ONLINE,
) -> tuple[HypothesisHistory, ...]:
    """Summarize a ledger's records, one row for each arm of a version and iteration.

    Args:
        verdicts: All final verdicts, corrected ones and corrections included.
        looks: All looks; a correction takes the place of what it corrects.
        registrations: All registrations.
        online: Tests the p-values of all final verdicts in their order, each by those before it.
            A corrected verdict keeps its place, and its correction gets one of its own, so no later
            record changes what an earlier one decided.

    Returns:
        The rows, in the order in which they first came on record. A corrected verdict is shown as
        its correction says.

    >>> summarize([], [], [])
    ()
    """
    verdicts, looks = tuple(verdicts), tuple(looks)
    tests = [each for each in verdicts if not math.isnan(each.record.pvalue)]
    tested = online([each.record.pvalue for each in tests])
    tested_by_id = dict(zip((each.id for each in tests), tested, strict=True))
    final = {key(each.record): each for each in standing(verdicts)}
    looks_by_key: dict[Key, list[Look]] = {}
    for each in standing(looks):
        looks_by_key.setdefault(key(each.record), []).append(each.record)
    first: dict[Key, int] = {}
    found = [(each.id, key(each.record)) for each in looks]
    found += [(each.id, key(each.record)) for each in verdicts]
    for number, of_record in sorted(found):
        first.setdefault(of_record, number)
    seen = {each[:3] for each in first}
    for entry in registrations:
        if (registered := key(entry.record))[:3] not in seen:
            first[registered] = entry.id
    return tuple(
        _row(each, looks_by_key.get(each, []), final.get(each), tested_by_id)
        for each in sorted(first, key=first.__getitem__)
    )


def _row(
    identity: Key,
    looks: Sequence[Look],
    final: Stored[FinalVerdict] | None,
    tested: dict[int, StreamTest],
) -> HypothesisHistory:
    shown = looks[-1] if looks else None
    test = None
    if final is not None:
        shown = next((each for each in reversed(looks) if _same_data(each, final.record)), shown)
        test = tested.get(final.id)
    discovery = NO_TEST
    if final is not None and test is not None:
        discovery = "yes" if test.rejected and final.record.success else "no"
    return HypothesisHistory(
        *identity,
        looks=len(looks),
        estimate=math.nan if shown is None else shown.estimate,
        low=math.nan if shown is None else shown.low,
        high=math.nan if shown is None else shown.high,
        verdict=OPEN if final is None else final.record.verdict,
        label=OPEN if final is None else final.record.label,
        pvalue=math.nan if final is None else final.record.pvalue,
        level=math.nan if test is None else test.level,
        discovery=discovery,
        corrected=final is not None and final.corrects is not None,
    )


def history(ledger: Ledger) -> pd.DataFrame:
    """Return a ledger's history: one row for each arm of a version and iteration.

    The columns are the fields of `HypothesisHistory`. The final verdicts are one stream of tests,
    in which `ONLINE` keeps the false discovery rate at 5 %.
    """
    rows = summarize(ledger.verdicts(), ledger.all_looks(), ledger.registrations())
    return pd.DataFrame(list(rows), columns=[each.name for each in fields(HypothesisHistory)])


def version_history(versions: Sequence[Hypothesis], recorded: pd.DataFrame) -> pd.DataFrame:
    """Return the history of hypotheses as a study file has them, with what each version changed.

    Args:
        versions: Versions of hypotheses, one for each treatment.
        recorded: The ledger's history, as `history` returns it.

    Returns:
        One row for each version and treatment, ordered by name and version. The verdict of a version
        without a record is "not recorded", and its numbers are NaN.
    """
    known = {
        (row["hypothesis"], row["version"], row["arm"], row["iteration"]): row
        for row in recorded.to_dict("records")
    }
    unknown = {
        **dict.fromkeys(COLUMNS, math.nan),
        **dict.fromkeys(("verdict", "label"), UNRECORDED),
        "looks": 0,
        "discovery": NO_TEST,
    }
    rows = [
        {
            **unknown,
            **dict(zip(("hypothesis", "version", "arm", "iteration"), _key(each), strict=True)),
            "changed": describe_change(each, _version_before(each, versions)),
            **known.get(_key(each), {}),
        }
        for each in sorted(versions, key=lambda each: (each.name, each.version))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def describe_change(version: Hypothesis, before: Hypothesis | None) -> str:
    """Say in which fields a version of a hypothesis differs from the one before.

    >>> first = Hypothesis.model_validate({
    ...     "name": "a", "statement": "It helps.", "metric": "imported", "iteration": "1",
    ...     "control": {"variant": "blank"}, "treatment": {"variant": "preview"}})
    >>> describe_change(first.model_copy(update={"version": 2, "minimum_effect": 0.1}), first)
    'minimum effect from 0 to 0.1'
    """
    if before is None:
        return "first version"
    old, new = ({**each.frozen(), "window": each.window} for each in (before, version))
    parts = [
        f"{name.replace('_', ' ')} from {_written(old[name])} to {_written(new[name])}"
        for name in new
        if old[name] != new[name] and name not in ("iteration", "treatments")
    ]
    if version.statement != before.statement:
        parts.append("what it does (its statement)")
    return "; ".join(parts) or "tested again, unchanged"


def _version_before(version: Hypothesis, versions: Sequence[Hypothesis]) -> Hypothesis | None:
    """Return the version before, with the same treatment if that one had several."""
    return max(
        (each for each in versions if each.name == version.name and each.version < version.version),
        key=lambda each: (each.version, str(each.treatment) == str(version.treatment)),
        default=None,
    )


def _written(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, timedelta):
        return str(value).removesuffix(", 0:00:00")
    if isinstance(value, list):
        return " and ".join(f"{each['metric']} by {each['margin']:g}" for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class PastLooks:
    """The looks and verdicts that a ledger already holds of a hypothesis."""

    ledger: Ledger

    def earlier(self, hypothesis: Hypothesis, pair: Pair) -> tuple[Pair, ...]:
        """Return the counts of the recorded looks that saw fewer customers than `pair`."""
        seen = [_pair(each.record) for each in self.ledger.looks(*_key(hypothesis))]
        now = _customers(pair)
        return tuple(each for each in dict.fromkeys(seen) if _customers(each) < now)

    def verdict(self, hypothesis: Hypothesis, pair: Pair) -> RecordedVerdict | None:
        """Return the final verdict, if it rests on fewer customers than `pair`.

        An invalid comparison is no verdict: once its fault is corrected, it is tested.
        """
        wanted = _key(hypothesis)
        final = [
            each
            for each in standing(self.ledger.verdicts())
            if key(each.record) == wanted and each.record.verdict != Verdict.INVALID
        ]
        if not final:
            return None
        newest = final[-1]
        looks = [each.record for each in self.ledger.looks(*wanted)]
        seen = [each for each in looks if _same_data(each, newest.record)]
        if not seen or _customers(_pair(seen[-1])) >= _customers(pair):
            return None
        return RecordedVerdict(
            Verdict(newest.record.verdict),
            newest.recorded_at,
            _customers(_pair(seen[-1])),
            newest.record.qualifier,
            newest.record.success,
            newest.record.pvalue,
            seen[-1].pvalue,
        )


def record(
    ledger: Ledger, evaluations: Iterable[Evaluation], iterations: Iterable[Iteration]
) -> list[Evaluation]:
    """Record looks, and the verdicts that are final for their iteration.

    Args:
        ledger: The study's ledger. The same look at the same data is recorded once.
        evaluations: The looks.
        iterations: Those of the study; a version may not change when its iteration starts and ends.

    Returns:
        The evaluations with the numbers of their looks.

    Raises:
        StudyError: For a frozen field that changed without a new version. What was recorded before
            stays.
    """
    spans = {each.name: [str(each.start), str(each.end)] for each in iterations if each.start}
    return [_recorded(ledger, each, spans.get(each.iteration)) for each in evaluations]


def fingerprint(evaluation: Evaluation) -> str:
    """Return a digest of the data that a look rests on: equal data have equal fingerprints."""
    found, progress = evaluation.comparison, evaluation.progress
    pairs = [(found.control, found.treatment)]
    pairs += [
        (each.comparison.control, each.comparison.treatment) for each in evaluation.guardrails
    ]
    counts = [[each.converted, each.total] for pair in pairs for each in pair]
    order = repr(progress.evalue) if progress.analysis == "anytime" else ""
    return sha256(json.dumps([counts, order]).encode()).hexdigest()


def _recorded(ledger: Ledger, evaluation: Evaluation, span: list[str] | None) -> Evaluation:
    hypothesis, found = evaluation.hypothesis, evaluation.comparison
    name, version, arm, iteration = _key(hypothesis)
    look = Look(
        name,
        version,
        arm,
        iteration,
        None if evaluation.as_of is None else evaluation.as_of.isoformat(),
        hypothesis.analysis,
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
    if evaluation.final and not _later_data_seen(ledger, look):
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
    registration = Registration(name, version, arm, {**hypothesis.frozen(), "start and end": span})
    done = ledger.record(registration, look, verdict)
    return replace(evaluation, look=done.look_number)


def _stream_pvalue(evaluation: Evaluation) -> float:
    """Return the p-value for the stream of tests: that of the claim with all of its guardrails.

    It is the largest of theirs (intersection-union test: Berger 1982), with 1 for a guardrail
    without customers. A refuted claim whose test rejects, because the effect is smaller than the
    minimum effect, is no rejection: 1. NaN without a valid test.
    """
    if evaluation.verdict is Verdict.INVALID or math.isnan(evaluation.pvalue):
        return math.nan
    if evaluation.verdict is Verdict.REFUTED and evaluation.pvalue <= evaluation.hypothesis.alpha:
        return 1.0
    kept = [each.comparison.pvalue if each.known else 1.0 for each in evaluation.guardrails]
    return max([evaluation.pvalue, *kept])


def _later_data_seen(ledger: Ledger, look: Look) -> bool:
    """Whether a recorded look saw the data of a later time: the final verdict is left to that one."""
    others = [each.record.as_of for each in ledger.looks(*key(look))]
    return look.as_of is not None and any(each is not None and each > look.as_of for each in others)


def _key(hypothesis: Hypothesis) -> Key:
    return hypothesis.name, hypothesis.version, str(hypothesis.treatment), hypothesis.iteration


def _pair(look: Look) -> Pair:
    control = Counts(look.control_converted, look.control_closed)
    return control, Counts(look.treatment_converted, look.treatment_closed)


def _customers(pair: Pair) -> int:
    return sum(each.total for each in pair)


def _same_data(look: Look, verdict: FinalVerdict) -> bool:
    return look.fingerprint == verdict.fingerprint
