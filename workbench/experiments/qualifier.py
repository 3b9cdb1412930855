"""What restricts a verdict, as fields, and the label that readers see."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Ledgers of format 1 hold a verdict and its qualifier as one text, in these words.
LABEL_OF_FORMAT_1 = re.compile(
    r"(?P<verdict>[^,:]+)(?:(?P<early>: looked early)"
    r"|, but (?P<metrics>.+) (?P<verb>is|are) (?P<state>at risk|pending))?"
)


@dataclass(frozen=True)
class Qualifier:
    """What restricts a verdict: guardrails at risk or pending, or a look before the planned end.

    Args:
        at_risk: The metrics of guardrails that may have lost more than their margin.
        pending: The metrics of guardrails for which no customer's window is over yet.
        early: Whether a fixed analysis was looked at before its planned end.

    >>> Qualifier(at_risk=("renewals",)).label("supported")
    'supported, but renewals is at risk'
    >>> Qualifier().label("refuted")
    'refuted'
    """

    at_risk: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    early: bool = False

    def label(self, verdict: str) -> str:
        """Return the verdict together with what restricts it."""
        if self.early:
            return f"{verdict}: looked early"
        metrics, state = (self.at_risk, "at risk") if self.at_risk else (self.pending, "pending")
        if not metrics:
            return str(verdict)
        verb = "is" if len(metrics) == 1 else "are"
        return f"{verdict}, but {' and '.join(metrics)} {verb} {state}"


UNQUALIFIED = Qualifier()


def read_label(label: str) -> tuple[str, Qualifier]:
    """Split the label of a ledger of format 1 into the verdict and its qualifier.

    >>> read_label("supported, but imported and renewals are at risk")
    ('supported', Qualifier(at_risk=('imported', 'renewals'), pending=(), early=False))
    """
    found = LABEL_OF_FORMAT_1.fullmatch(label)
    if found is None:
        return label, UNQUALIFIED
    verdict = found["verdict"]
    if found["early"]:
        return verdict, Qualifier(early=True)
    if not found["metrics"]:
        return verdict, UNQUALIFIED
    # After "is" stands one metric, which may have an "and" in its name.
    one = found["verb"] == "is"
    metrics = (found["metrics"],) if one else tuple(found["metrics"].split(" and "))
    if found["state"] == "at risk":
        return verdict, Qualifier(at_risk=metrics)
    return verdict, Qualifier(pending=metrics)
