"""Recording: what a look leaves in the ledger, and what the ledger says before the next one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from workbench.analyses import Pair
from workbench.history import Chapter, story
from workbench.hypothesis import Hypothesis, Verdict
from workbench.iterations import Iteration
from workbench.ledger import Ledger
from workbench.multiplicity import saffron
from workbench.proportions import Counts
from workbench.records import FinalVerdict, Look, Registration, Stored, standing
from workbench.verdicts import Decided, Evaluation

if TYPE_CHECKING:
    import pandas as pd

ONLINE = saffron  # its first levels are the largest: a study has few verdicts, not hundreds


@dataclass(frozen=True)
class Past:
    """What a ledger holds of the looks before."""

    ledger: Ledger

    def earlier(self, claim: Hypothesis, pair: Pair) -> tuple[Pair, ...]:
        """Give the counts of the recorded looks that saw fewer customers than this one."""
        seen = [_pair(each.record) for each in self.ledger.looks(*_key(claim))]
        now = _customers(pair)
        return tuple(each for each in dict.fromkeys(seen) if _customers(each) < now)

    def decided(self, claim: Hypothesis, pair: Pair) -> Decided | None:
        """Give the final verdict, if one was made on fewer customers than there are now.

        That a comparison was broken decides nothing: once mended, it is tested.
        """
        of_claim = [
            each
            for each in self._verdicts
            if _key_of(each.record) == _key(claim) and each.record.verdict != Verdict.INVALID
        ]
        if not of_claim:
            return None
        stands = of_claim[-1]
        looks = self.ledger.looks(*_key(claim))
        seen = [each.record for each in looks if _same_data(each.record, stands.record)]
        if not seen or _customers(_pair(seen[-1])) >= _customers(pair):
            return None
        label = stands.record.verdict
        return Decided(
            Verdict(label.partition(",")[0]),
            stands.recorded_at,
            _customers(_pair(seen[-1])),
            label,
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
    name, version, arm, iteration = _key(claim)
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
            evaluation.label,
            evaluation.success,
            _stream_pvalue(evaluation),
            look.fingerprint,
            evaluation.sentence,
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


def _key(claim: Hypothesis) -> tuple[str, int, str, str]:
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
