"""What looks add to a ledger, and the history that a ledger gives of each hypothesis."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pandas as pd

from workbench.errors import StudyError
from workbench.experiments.analysis import Pair
from workbench.experiments.discoveries import (
    HORIZON,
    Effect,
    Standing,
    Trial,
    hypotheses_of,
    label,
    standings,
    updated,
)
from workbench.experiments.ledger import (
    HORIZON_FIELD,
    FinalVerdict,
    Key,
    Ledger,
    Look,
    Registration,
    Stored,
    key,
    standing,
)
from workbench.experiments.pooling import Tried
from workbench.experiments.verdict import Evaluation, RecordedVerdict
from workbench.schema.hypothesis import Hypothesis, Verdict
from workbench.schema.single_arm import SINGLE_ARM, SingleArmClaim
from workbench.schema.time import Iteration
from workbench.stats.multiplicity import saffron
from workbench.stats.proportions import Counts

Stated = Hypothesis | SingleArmClaim
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
    "since",
    "counted_when_decided",
)


@dataclass(frozen=True)
class HypothesisHistory:
    """One row of the history: an arm of a version in one iteration.

    `looks` counts the recorded looks. `estimate`, `low` and `high` are those of the look that the
    final verdict rests on, or else of the newest one. `verdict` is "open" while there is no final
    one; `label` also says what restricts it, and whether it is a discovery. `pvalue` is that of the
    verdict, `level` what the list of discoveries asks of its hypothesis, and `discovery` is "yes" or
    "no", or "-" for a verdict that is no success. `since` says when it became a discovery, or ceased
    to be one. `counted_when_decided` is what ledgers of before had for it, "-" in others.
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
    since: str = ""
    counted_when_decided: str = NO_TEST
    corrected: bool = False


def trials(
    verdicts: Iterable[Stored[FinalVerdict]],
    looks: Iterable[Stored[Look]],
    registrations: Iterable[Stored[Registration]],
) -> list[Trial]:
    """Return the final verdicts that stand, in order; evidence at any time goes on after them.

    So do planned looks that are registered to run on, and no others.
    """
    run_on = {
        (each.record.hypothesis, each.record.version)
        for each in registrations
        if each.record.fields.get("run_on")
    }
    terms = {key(each.record)[:3]: each.record.fields for each in registrations}
    alone = {name for name, each in terms.items() if each.get("analysis") == SINGLE_ARM}
    seen = [each.record for each in standing(looks)]
    found = [
        Trial(key(each), each.pvalue, each.success, _tried(each, seen, terms.get(key(each)[:3])))
        for each in (stored.record for stored in standing(verdicts))
        if key(each)[:3] not in alone
    ]
    known = {each.key for each in found}
    later = [
        Trial(key(each.record), each.record.discovery_pvalue, success=False)
        for each in standing(looks)
        if (each.record.analysis == "anytime" or key(each.record)[:2] in run_on)
        and key(each.record) in known
        and not math.isnan(each.record.discovery_pvalue)
    ]
    return updated(found, later)


def summarize(
    verdicts: Iterable[Stored[FinalVerdict]],
    looks: Iterable[Stored[Look]],
    registrations: Iterable[Stored[Registration]],
    *,
    horizon: int = HORIZON,
) -> tuple[HypothesisHistory, ...]:
    """Summarize a ledger's records, one row for each arm of a version and iteration.

    Args:
        verdicts: All final verdicts, corrected ones and corrections included.
        looks: All looks; a correction takes the place of what it corrects.
        registrations: All registrations.
        horizon: How many hypotheses the list of discoveries counts.

    Returns:
        The rows, in the order in which they first came on record. A corrected verdict is shown as
        its correction says.

    >>> summarize([], [], [])
    ()
    """
    verdicts, looks, registrations = tuple(verdicts), tuple(looks), tuple(registrations)
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
    hypotheses = hypotheses_of(horizon, _compared(registrations))
    stands = standings(trials(verdicts, looks, registrations), hypotheses)
    since = _changes(verdicts, looks, registrations, hypotheses)
    began_before = registrations and HORIZON_FIELD not in registrations[0].record.fields
    decided = _when_decided(verdicts) if began_before else {}
    return tuple(
        _row(
            each,
            looks_by_key.get(each, []),
            final.get(each),
            stands.get(each),
            since.get(each, ""),
            decided.get(each, NO_TEST),
        )
        for each in sorted(first, key=first.__getitem__)
    )


def _compared(registrations: Iterable[Stored[Registration]]) -> list[str]:
    """Return the names of hypotheses with a control: others have no place in the list."""
    return [
        each.record.hypothesis
        for each in registrations
        if each.record.fields.get("analysis") != SINGLE_ARM
    ]


def _changes(
    verdicts: Sequence[Stored[FinalVerdict]],
    looks: Sequence[Stored[Look]],
    registrations: Sequence[Stored[Registration]],
    hypotheses: int,
) -> dict[Key, str]:
    """Say when each arm became a discovery, or ceased to be one, by replaying the records."""
    said: dict[Key, str] = {}
    there: set[Key] = set()
    records: list[Stored[Any]] = [*verdicts, *looks]
    for record in sorted(records, key=lambda each: each.id):
        known = trials(
            [each for each in verdicts if each.id <= record.id],
            [each for each in looks if each.id <= record.id],
            registrations,
        )
        now = {name for name, each in standings(known, hypotheses).items() if each.found}
        day = f"{record.recorded_at:%Y-%m-%d}"
        said |= dict.fromkeys(now - there, f"gained {day}")
        said |= dict.fromkeys(there - now, f"lost {day}")
        there = now
    return said


def _when_decided(verdicts: Sequence[Stored[FinalVerdict]]) -> dict[Key, str]:
    """Return what counted by the rule of ledgers of before: each p-value by those before it."""
    tests = [each for each in verdicts if not math.isnan(each.record.pvalue)]
    tested = saffron([each.record.pvalue for each in tests])
    return {
        key(each.record): "yes" if test.rejected and each.record.success else "no"
        for each, test in zip(tests, tested, strict=True)
    }


def _row(
    identity: Key,
    looks: Sequence[Look],
    final: Stored[FinalVerdict] | None,
    stands: Standing | None,
    since: str,
    decided: str,
) -> HypothesisHistory:
    shown = looks[-1] if looks else None
    said, discovery = OPEN, NO_TEST
    if final is not None:
        verdict = final.record
        shown = next((each for each in reversed(looks) if _same_data(each, verdict)), shown)
        said = label(verdict.verdict, verdict.qualifier, stands, success=verdict.success)
        if stands is not None and (verdict.success or stands.together > 1):
            discovery = "yes" if stands.found else "no"
    return HypothesisHistory(
        *identity,
        looks=len(looks),
        estimate=math.nan if shown is None else shown.estimate,
        low=math.nan if shown is None else shown.low,
        high=math.nan if shown is None else shown.high,
        verdict=OPEN if final is None else final.record.verdict,
        label=said,
        pvalue=math.nan if final is None else final.record.pvalue,
        level=math.nan if stands is None else stands.level,
        discovery=discovery,
        since=since,
        counted_when_decided=decided,
        corrected=final is not None and final.corrects is not None,
    )


def history(ledger: Ledger, horizon: int = HORIZON) -> pd.DataFrame:
    """Return a ledger's history: one row for each arm of a version and iteration.

    The columns are the fields of `HypothesisHistory`. The list of discoveries counts `horizon`
    hypotheses, unless the ledger says how many.
    """
    known = ledger.horizon
    rows = summarize(
        ledger.verdicts(),
        ledger.all_looks(),
        ledger.registrations(),
        horizon=horizon if known is None else known,
    )
    return pd.DataFrame(list(rows), columns=[each.name for each in fields(HypothesisHistory)])


def version_history(versions: Sequence[Stated], recorded: pd.DataFrame) -> pd.DataFrame:
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
        **dict.fromkeys(("discovery", "counted_when_decided"), NO_TEST),
        "looks": 0,
        "since": "",
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


def describe_change(version: Stated, before: Stated | None) -> str:
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
    if isinstance(version, SingleArmClaim) != isinstance(before, SingleArmClaim):
        return (
            "a control in place of a target"
            if "target" in old
            else "a target in place of a control"
        )
    parts = [
        f"{name.replace('_', ' ')} from {_written(old[name])} to {_written(new[name])}"
        for name in new
        if old[name] != new[name] and name not in ("iteration", "treatments")
    ]
    if version.statement != before.statement:
        parts.append("what it does (its statement)")
    return "; ".join(parts) or "tested again, unchanged"


def _version_before(version: Stated, versions: Sequence[Stated]) -> Stated | None:
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

    @property
    def horizon(self) -> int | None:
        """How many hypotheses the list of discoveries counts, as the first record says."""
        return self.ledger.horizon

    @property
    def names(self) -> list[str]:
        """The names of the hypotheses that are registered, but of single-arm claims."""
        return _compared(self.ledger.registrations())

    def trials(self) -> list[Trial]:
        """Return the final verdicts as the list of discoveries takes them."""
        return trials(self.ledger.verdicts(), self.ledger.all_looks(), self.ledger.registrations())

    def effects(self) -> dict[Key, Effect]:
        """Return the effects that final verdicts rest on; broken comparisons have none."""
        looks = [each.record for each in self.ledger.all_looks()]
        found = {}
        for each in standing(self.ledger.verdicts()):
            if each.record.verdict != Verdict.INVALID:
                seen = [look for look in looks if _same_data(look, each.record)]
                pairs = [_pair(look) for look in seen if key(look) == key(each.record)]
                if pairs and all(counts.total for counts in pairs[-1]):
                    found[key(each.record)] = Effect.of(*pairs[-1])
        return found

    def earlier(self, hypothesis: Hypothesis, pair: Pair) -> tuple[Pair, ...]:
        """Return the counts of the recorded looks that saw fewer customers than `pair`."""
        seen = [_pair(each.record) for each in self.ledger.looks(*_key(hypothesis))]
        now = _customers(pair)
        return tuple(each for each in dict.fromkeys(seen) if _customers(each) < now)

    def verdict(
        self,
        hypothesis: Hypothesis,
        pair: Pair,
        at: datetime | None = None,
        *,
        always: bool = False,
    ) -> RecordedVerdict | None:
        """Return the final verdict, if it rests on fewer customers than `pair`, or `always`.

        An invalid comparison is no verdict: once its fault is corrected, it is tested. A verdict of a
        ledger of before, whose looks took other customers, stands from its time on.
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
        if not seen:
            return None
        before = _pair(seen[-1])
        made = seen[-1].as_of
        known = made is None or at is None or datetime.fromisoformat(made) <= at
        old = self.horizon is None and known and before != pair
        if not (always or old or _customers(before) < _customers(pair)):
            return None
        return RecordedVerdict(
            Verdict(newest.record.verdict),
            newest.recorded_at,
            _customers(_pair(seen[-1])),
            newest.record.qualifier,
            newest.record.success,
            newest.record.pvalue,
            seen[-1].pvalue,
            before,
            _without_earlier(seen[-1]),
            None if made is None else datetime.fromisoformat(made),
        )


def record(
    ledger: Ledger,
    evaluations: Iterable[Evaluation],
    iterations: Iterable[Iteration],
    horizon: int = HORIZON,
) -> list[Evaluation]:
    """Record looks, and the verdicts that are final for their iteration.

    Args:
        ledger: The study's ledger. The same look at the same data is recorded once.
        evaluations: The looks.
        iterations: Those of the study; a version may not change when its iteration starts and ends.
        horizon: How many hypotheses the study's list of discoveries counts; frozen with the first
            record.

    Returns:
        The evaluations with the numbers of their looks.

    Raises:
        StudyError: For a frozen field that changed without a new version. What was recorded before
            stays.
    """
    spans = {each.name: [str(each.start), str(each.end)] for each in iterations if each.start}
    frozen = ledger.horizon
    if frozen is not None and frozen != horizon:
        msg = (
            f"discovery_horizon is {horizon}, but {frozen} since the ledger was opened; it cannot change, "
            "since what counts as a discovery rests on it"
        )
        raise StudyError(msg)
    return [_recorded(ledger, each, spans.get(each.iteration), horizon) for each in evaluations]


def fingerprint(evaluation: Evaluation) -> str:
    """Return a digest of the data that a look rests on: equal data have equal fingerprints."""
    found, progress = evaluation.comparison, evaluation.progress
    pairs = [(found.control, found.treatment)]
    pairs += [
        (each.comparison.control, each.comparison.treatment) for each in evaluation.guardrails
    ]
    counts = [[each.converted, each.total] for pair in pairs for each in pair]
    order = repr(progress.evalue) if progress.analysis == "anytime" else ""
    order = repr(found.pvalue) if evaluation.hypothesis.stratify else order
    return sha256(json.dumps([counts, order]).encode()).hexdigest()


def _recorded(
    ledger: Ledger, evaluation: Evaluation, span: list[str] | None, horizon: int
) -> Evaluation:
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
        evaluation.discovery_pvalue if evaluation.goes_on else math.nan,
        evaluation.progress.last_evalue,
        _apart(evaluation),
    )
    verdict = None
    if evaluation.final and not later_data_seen(ledger, look):
        verdict = FinalVerdict(
            name,
            version,
            arm,
            iteration,
            str(evaluation.verdict),
            evaluation.success,
            evaluation.discovery_pvalue,
            look.fingerprint,
            evaluation.sentence,
            evaluation.qualifier,
        )
    frozen = {**hypothesis.frozen(), "start and end": span, HORIZON_FIELD: horizon}
    registration = Registration(name, version, arm, frozen)
    done = ledger.record(registration, look, verdict)
    return replace(evaluation, look=done.look_number)


def later_data_seen(ledger: Ledger, look: Look) -> bool:
    """Whether a recorded look saw the data of a later time: the final verdict is left to that one."""
    others = [each.record.as_of for each in ledger.looks(*key(look))]
    return look.as_of is not None and any(each is not None and each > look.as_of for each in others)


def _key(hypothesis: Stated) -> Key:
    return hypothesis.name, hypothesis.version, str(hypothesis.treatment), hypothesis.iteration


def _pair(look: Look) -> Pair:
    control = Counts(look.control_converted, look.control_closed)
    return control, Counts(look.treatment_converted, look.treatment_closed)


def _apart(evaluation: Evaluation) -> tuple[int, ...]:
    if evaluation.apart is None:
        return ()
    pair, again = evaluation.apart
    return (*(number for each in pair for number in (each.converted, each.total)), again)


def _without_earlier(look: Look) -> tuple[Pair, int] | None:
    """Return a look's counts without customers of earlier versions, and these; None if there are none."""
    if not look.apart:
        return None
    *counts, again = look.apart
    return (Counts(*counts[:2]), Counts(*counts[2:])), again


def _tried(
    verdict: FinalVerdict, looks: Sequence[Look], terms: Mapping[str, Any] | None
) -> Tried | None:
    """Return a version as it counts beside others; None where the ledger does not tell its look."""
    seen = [look for look in looks if _same_data(look, verdict) and key(look) == key(verdict)]
    if not seen or terms is None:
        return None
    look = seen[-1]
    pair, again = _without_earlier(look) or (_pair(look), 0)
    fault = "which has no valid comparison" if verdict.verdict == Verdict.INVALID else ""
    evalue = look.last_evalue
    return Tried(verdict.version, verdict.iteration, terms, pair, evalue, again, fault)


def _customers(pair: Pair) -> int:
    return sum(each.total for each in pair)


def _same_data(look: Look, verdict: FinalVerdict) -> bool:
    return look.fingerprint == verdict.fingerprint
