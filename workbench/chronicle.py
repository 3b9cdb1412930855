"""The chronicle of hypotheses: what each version changed, and what the ledger says came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import pandas as pd

from workbench.hypothesis import Hypothesis

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
    "pvalue",
    "level",
    "discovery",
)


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
        row |= {"looks": 0, "verdict": UNRECORDED, "discovery": "-"}
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
