"""The chronicle: what each version changed, and what came of it."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from results import hypothesis

from workbench.chronicle import UNRECORDED, changed, chronicle
from workbench.history import Chapter

FIRST = hypothesis()
EMPTY = pd.DataFrame(columns=["hypothesis", "version", "arm", "iteration"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 0.01}, "alpha from 0.05 to 0.01"),
        ({"metric": "mapped"}, "metric from imported to mapped"),
        (
            {"treatment": {"variant": "hints"}},
            "treatment from variant = preview to variant = hints",
        ),
        ({"window": "14d"}, "window from none to 14 days"),
        ({"planned_customers": 90}, "planned customers from none to 90"),
        (
            {"analysis": "sequential", "looks": 3},
            "analysis from fixed to sequential; looks from none to 3",
        ),
        (
            {"guardrails": [{"metric": "paid", "margin": 0.0075}]},
            "guardrails from none to paid by 0.0075",
        ),
        ({"statement": "It helps more."}, "what it does (its statement)"),
        ({"iteration": "2026.2"}, "tested again, unchanged"),
        ({}, "tested again, unchanged"),
    ],
)
def test_what_a_version_changed(changes, said):
    assert changed(hypothesis(version=2, **changes), FIRST) == said


def chapter(**changes) -> dict:
    given = {
        "hypothesis": "preview-helps",
        "version": 1,
        "arm": "variant = preview",
        "iteration": "2026.1",
        "looks": 2,
        "estimate": 0.2,
        "low": 0.05,
        "high": 0.3,
        "verdict": "supported",
        "pvalue": 0.003,
        "level": 0.0055,
        "discovery": "yes",
    }
    return Chapter(**{**given, **changes}).row()


def test_versions_in_order_with_what_the_ledger_says():
    second = hypothesis(version=2, iteration="2026.2", alpha=0.01)
    table = chronicle([second, FIRST], pd.DataFrame([chapter()]))
    assert table["version"].tolist() == [1, 2]
    assert table["verdict"].tolist() == ["supported", UNRECORDED]
    assert table["looks"].tolist() == [2, 0]
    assert math.isnan(table.loc[1, "pvalue"])
    assert table["changed"].tolist() == ["first version", "alpha from 0.05 to 0.01"]


def test_nothing_recorded():
    (row,) = chronicle([FIRST], EMPTY).to_dict("records")
    assert (row["verdict"], row["discovery"], row["looks"]) == (UNRECORDED, "-", 0)


def test_another_treatment_is_a_change_and_no_first_version():
    second = hypothesis(version=2, treatment={"variant": "hints"})
    table = chronicle([FIRST, second], EMPTY)
    assert table["changed"].tolist() == [
        "first version",
        "treatment from variant = preview to variant = hints",
    ]


def test_each_treatment_is_held_against_itself():
    both = [{"variant": "preview"}, {"variant": "hints"}]
    first, second = (
        hypothesis(version=version, treatment=both, alpha=alpha)
        for version, alpha in ((1, 0.05), (2, 0.01))
    )
    table = chronicle([*first.arms, *second.arms], EMPTY)
    assert table["changed"].tolist() == ["first version"] * 2 + ["alpha from 0.05 to 0.01"] * 2
