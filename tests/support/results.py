"""Small results of every kind, as a study would give them, with names that try to be markup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from workbench.experiments.verdict import Check, Evaluation, evaluate
from workbench.schema.hypothesis import Hypothesis
from workbench.stats.proportions import Counts

NAN = float("nan")
SCRIPT = "<script>alert(1)</script>"
DOLLARS = "$x_1$ *and* _more_"
CLAIM = {
    "name": "preview-helps",
    "statement": "New customers who see a preview finish their first import more often.",
    "metric": "imported",
    "iteration": "2026.1",
    "control": {"variant": "blank"},
    "treatment": {"variant": "preview"},
    "alternative": "greater",
    "minimum_effect": 0.05,
}


def hypothesis(**changes: Any) -> Hypothesis:
    return Hypothesis.model_validate({**CLAIM, **changes})


def evaluation(
    verdict: str = "supported", *, checks: Sequence[Check] = (), **changes: Any
) -> Evaluation:
    """Give an evaluation with this verdict."""
    counts = {
        "supported": (Counts(48, 80), Counts(56, 70)),
        "refuted": (Counts(48, 80), Counts(35, 70)),
        "harmful": (Counts(48, 80), Counts(28, 70)),
        "inconclusive": (Counts(5, 10), Counts(6, 10)),
        "invalid": (Counts(48, 80), Counts(56, 70)),
    }
    if verdict == "invalid":
        checks = (*checks, Check("sample ratio", "invalid", "The cohorts are not as planned."))
    control, treatment = counts[verdict]
    found = evaluate(
        hypothesis(**changes),
        control=control,
        treatment=treatment,
        checks=checks,
        as_of=datetime(2026, 2, 10, 11, tzinfo=UTC),
    )
    assert found.verdict == verdict
    return found


def metrics(*cohorts: str, column: str = "variant") -> pd.DataFrame:
    """Learning metrics of three steps for each cohort, pending customers among them."""
    rows = []
    for cohort in cohorts or ("blank", "preview"):
        entered = 82
        for step, aligned, deviated, pending in [
            ("previewed", 70, 8, 4),
            ("mapped", 58, 10, 2),
            ("imported", 48, 9, 1),
        ]:
            rate = (aligned - 1) / 78
            rows.append(
                {
                    "iteration": "2026.1",
                    column: cohort,
                    "step": step,
                    "entered": entered,
                    "aligned": aligned,
                    "deviated": deviated,
                    "pending": pending,
                    "converted": aligned - 1,
                    "closed": 78,
                    "rate": rate,
                    "low": rate - 0.1,
                    "high": rate + 0.1,
                    "step_rate": aligned / (aligned + deviated),
                    "median_hours": 2.25,
                }
            )
            entered = aligned
    return pd.DataFrame(rows)


def nobody() -> pd.DataFrame:
    """Learning metrics of a cohort that nobody entered."""
    undefined = dict.fromkeys(("rate", "low", "high", "step_rate", "median_hours"), NAN)
    counts = dict.fromkeys(("entered", "aligned", "deviated", "pending", "converted", "closed"), 0)
    row = {"iteration": "2026.1", "step": "imported", **counts, **undefined}
    return pd.DataFrame([row])


def effects() -> pd.DataFrame:
    levels = [
        ("company_size", "segment", "small", 0.12),
        ("company_size", "segment", SCRIPT, -0.03),
        ("country", "demographic", DOLLARS, NAN),
    ]
    rows = [
        {
            "hypothesis": "preview-helps",
            "minimum_effect": 0.05,
            "alternative": "greater",
            "grouping": grouping,
            "kind": kind,
            "level": level,
            "control_converted": 10,
            "control_closed": 20,
            "treatment_converted": 12,
            "treatment_closed": 19,
            "estimate": effect,
            "low": effect - 0.2,
            "high": effect + 0.2,
            "pvalue": 0.2,
            "adjusted": 0.3,
        }
        for grouping, kind, level, effect in levels
    ]
    return pd.DataFrame(rows)


def changes() -> pd.DataFrame:
    row = {
        "step": "imported",
        "previous_iteration": "2025.4",
        "previous_converted": 40,
        "previous_closed": 120,
        "previous_rate": 1 / 3,
        "converted": 60,
        "closed": 150,
        "rate": 0.4,
        "estimate": 1 / 15,
        "low": -0.05,
        "high": 0.18,
    }
    return pd.DataFrame([row])


def quality() -> pd.DataFrame:
    rows = [
        ("rows", 1234, "ok", "1,234 rows."),
        ("crossovers", 3, "warn", "3 customers saw both; they are left out."),
        ("sample ratio", 0.0086, "invalid", "The cohorts are not as large as planned."),
    ]
    return pd.DataFrame(rows, columns=["check", "value", "level", "sentence"])


def deviations() -> pd.DataFrame:
    rows = [("2026.1", "mapped", "(nothing)", 8, 0.8), ("2026.1", "mapped", SCRIPT, 2, 0.2)]
    return pd.DataFrame(rows, columns=["iteration", "step", "next_event", "customers", "share"])


def sample_sizes() -> pd.DataFrame:
    row = {
        "hypothesis": "preview-helps",
        "control_rate": 0.6,
        "customers_control": 80,
        "customers_treatment": 70,
        "detectable_effect": 0.18,
        "minimum_effect": 0.05,
        "customers_needed": 1166,
        "power": 0.8,
    }
    return pd.DataFrame([row])


def problems() -> pd.DataFrame:
    rows = [("warning", "exact duplicates", 5, {"customer_id": "c1", "event": "opened"})]
    return pd.DataFrame(rows, columns=["level", "problem", "count", "example"])
