"""Effects within the levels of a grouping, pooled over them, and whether they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from workbench import display
from workbench.data.study_data import StudyData
from workbench.errors import StudyError, unknown_name
from workbench.experiments.evaluate import level_counts
from workbench.schema.cohort import MISSING
from workbench.schema.hypothesis import Hypothesis
from workbench.stats.multiplicity import benjamini_hochberg, holm
from workbench.stats.proportions import Comparison, Counts
from workbench.stats.stratified import (
    Interaction,
    Stratified,
    breslow_day,
    interaction,
    mantel_haenszel,
)

Levels = tuple[Mapping[str, Counts], Mapping[str, Counts]]  # control's and treatment's, by level
SMALLEST_CELL = 5  # customers of a cohort in a level; fewer are shown as counts only
DIFFERS = 0.05
EFFECTS = (
    "grouping",
    "kind",
    "level",
    "control_converted",
    "control_closed",
    "treatment_converted",
    "treatment_closed",
    "estimate",
    "low",
    "high",
    "pvalue",
    "adjusted",
)
POOLED = (
    "grouping",
    "kind",
    "estimate",
    "low",
    "high",
    "pvalue",
    "crude",
    "odds_ratio",
    "odds_ratio_low",
    "odds_ratio_high",
    "breslow_day_pvalue",
    "interaction_pvalue",
    "reversed",
    "sentence",
)


def effects(data: StudyData, iteration: str, hypothesis: str, at: datetime | None) -> pd.DataFrame:
    """Compare control and treatment within each level of each grouping; exploratory.

    Returns:
        One row for each treatment, grouping and level. `adjusted` is the p-value after Benjamini
        and Hochberg, over all levels of all groupings. A level with fewer than 5 customers in a
        cohort has counts only.

    Raises:
        StudyError: For a hypothesis that the iteration does not test.
    """
    return _by_treatment(_effects, data, iteration, hypothesis, at)


def pooled(data: StudyData, iteration: str, hypothesis: str, at: datetime | None) -> pd.DataFrame:
    """Pool the effect over the levels of each grouping, and test whether it differs between them.

    Returns:
        One row for each treatment and grouping: the Mantel-Haenszel difference of rates and odds
        ratio with their intervals, the crude difference, the tests of equal differences
        (Holm-adjusted over the groupings) and of equal odds ratios (Breslow-Day), and a sentence.
        Customers without a value are left out.

    Raises:
        StudyError: For a hypothesis that the iteration does not test.
    """
    return _by_treatment(_pooled, data, iteration, hypothesis, at)


def _by_treatment(
    work_out: Callable[[Mapping[str, Levels], Mapping[str, str], Hypothesis], pd.DataFrame],
    data: StudyData,
    iteration: str,
    hypothesis: str,
    at: datetime | None,
) -> pd.DataFrame:
    kinds, claims = data.spec.kinds, data.spec.claims([iteration])
    known = dict.fromkeys(claim.name for claim in claims)
    if hypothesis not in known:
        raise StudyError(unknown_name(f"hypothesis of iteration {iteration}", hypothesis, known))
    frames = []
    for claim in (each for each in claims if each.name == hypothesis):
        levels = {}
        # Groups of another experiment were drawn apart from these, and are no subgroups of them.
        others = [each for each, kind in kinds.items() if kind != "experiment"]
        for column in (each for each in others if each not in claim.columns):
            columns = (*claim.columns, column)
            levels[column] = level_counts(data.counts(columns, at, claim), columns, claim)
        frame = work_out(levels, kinds, claim)
        frame.insert(0, "treatment", claim.treatment.label)
        frames.append(frame)
    return pd.concat([each for each in frames if len(each)] or frames[:1], ignore_index=True)


def _effects(
    levels: Mapping[str, Levels], kinds: Mapping[str, str], claim: Hypothesis
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    compared: dict[tuple[Counts, Counts], Comparison] = {}  # some levels hold the same customers
    for grouping, (control, treatment) in levels.items():
        for level in _ordered(control, treatment):
            one, other = control.get(level, Counts(0, 0)), treatment.get(level, Counts(0, 0))
            row: dict[str, Any] = {"grouping": grouping, "kind": kinds[grouping], "level": level}
            row |= {"control_converted": one.converted, "control_closed": one.total}
            row |= {"treatment_converted": other.converted, "treatment_closed": other.total}
            row |= dict.fromkeys(("estimate", "low", "high", "pvalue"), math.nan)
            if min(one.total, other.total) >= SMALLEST_CELL:
                if (one, other) not in compared:
                    compared[one, other] = claim.compare(control=one, treatment=other)
                found = compared[one, other]
                row |= {"estimate": found.estimate, "low": found.low, "high": found.high}
                row["pvalue"] = found.pvalue
            rows.append(row)
    adjusted = benjamini_hochberg([row["pvalue"] for row in rows])
    for row, pvalue in zip(rows, adjusted, strict=True):
        row["adjusted"] = pvalue
    return pd.DataFrame(rows, columns=list(EFFECTS))


def _pooled(
    levels: Mapping[str, Levels], kinds: Mapping[str, str], claim: Hypothesis
) -> pd.DataFrame:
    found = []
    for grouping, (control, treatment) in levels.items():
        names = [name for name in _ordered(control, treatment) if name != MISSING]
        nobody = Counts(0, 0)
        strata = [(control.get(name, nobody), treatment.get(name, nobody)) for name in names]
        total = mantel_haenszel(strata, claim.confidence_level)
        found.append((grouping, names, strata, total, interaction(strata)))
    adjusted = holm([differs.pvalue for *_, differs in found])
    rows = [
        {
            "grouping": grouping,
            "kind": kinds[grouping],
            "estimate": total.estimate,
            "low": total.low,
            "high": total.high,
            "pvalue": total.pvalue,
            "crude": total.crude,
            "odds_ratio": total.odds_ratio.estimate,
            "odds_ratio_low": total.odds_ratio.low,
            "odds_ratio_high": total.odds_ratio.high,
            "breslow_day_pvalue": breslow_day(strata).pvalue,
            "interaction_pvalue": pvalue,
            "reversed": total.reversed,
            "sentence": _sentence(
                grouping, dict(zip(names, strata, strict=True)), total, differs, pvalue
            ),
        }
        for (grouping, names, strata, total, differs), pvalue in zip(found, adjusted, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(POOLED))


def _sentence(
    grouping: str,
    levels: Mapping[str, tuple[Counts, Counts]],
    total: Stratified,
    differs: Interaction,
    pvalue: float,
) -> str:
    """Say whether the effect differs between levels, and whether pooling reverses it."""
    turned = ""
    if total.reversed:
        turned = (
            f"Careful: within the levels of {grouping} the effect points the other way "
            f"({display.points(total.estimate)} points) than without them "
            f"({display.points(total.crude)}), since the cohorts hold different mixes of {grouping}. "
        )
    if math.isnan(pvalue):
        return f"{turned}Cannot tell whether the effect differs by {grouping}: {differs.reason}."
    if pvalue > DIFFERS:
        return (
            f"{turned}No sign that the effect differs by {grouping} (p = {display.pvalue(pvalue)}): "
            "do not take it as working for one level and not for another."
        )
    sizes = {
        name: treatment.rate - control.rate
        for name, (control, treatment) in levels.items()
        if min(control.total, treatment.total) >= SMALLEST_CELL
    }
    if len(sizes) < 2:
        return f"{turned}The effect differs by {grouping} (p {_is(pvalue)}), in levels of few customers."
    best, worst = max(sizes, key=lambda name: sizes[name]), min(sizes, key=lambda name: sizes[name])
    return (
        f"{turned}The effect differs by {grouping} (p {_is(pvalue)}): from "
        f"{display.points(sizes[worst])} points for {worst} to {display.points(sizes[best])} for "
        f"{best}. Nobody planned that comparison, so make it the next hypothesis."
    )


def _is(pvalue: float) -> str:
    written = display.pvalue(pvalue)
    return written if written.startswith("<") else f"= {written}"


def _ordered(control: Mapping[str, Counts], treatment: Mapping[str, Counts]) -> list[str]:
    return sorted({*control, *treatment}, key=lambda name: (name == MISSING, name))
