"""What stands around a verdict, as tables: its versions, its guardrails, a second opinion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench import formats
from workbench.beliefs import beliefs as believe
from workbench.displays import Badge, Column, Table

if TYPE_CHECKING:
    import pandas as pd

    from workbench.guardrails import GuardrailResult
    from workbench.planner import Plan
    from workbench.verdicts import Evaluation

STREAM = (
    "A discovery is a success that still counts among all final verdicts of the study: each p-value is "
    "held against a level that the verdicts before it leave, so that at most 5% of the discoveries "
    "are false on average (online false discovery rate). Later verdicts never change earlier ones. "
    "The p-value here is that of the claim and its guardrails together, the largest of theirs."
)
OPINION = (
    "A second opinion, which decides nothing: both rates start from a prior that takes every rate for "
    "equally likely, Beta(1, 1). The loss is what a wrong choice would cost on average, in percentage "
    "points of the rate. A broken comparison has none."
)


def story(frame: pd.DataFrame) -> Table:
    """Each hypothesis through its versions: what changed, what was found, what still counts."""
    rows = [
        (
            f"{each['hypothesis']} {each['version']}{_arm(each, frame)}",
            str(each["iteration"]),
            str(each["changed"]),
            f"{each['looks']:.0f}",
            formats.effect(each["estimate"], each["low"], each["high"]),
            Badge(each["verdict"], _kind(each["verdict"])),
            formats.pvalue(each["pvalue"]),
            formats.pvalue(each["level"]),
            str(each["discovery"]),
        )
        for each in frame.to_dict("records")
    ]
    columns = (
        Column("hypothesis and version"),
        Column("iteration"),
        Column("what changed"),
        Column("looks", numeric=True),
        Column("effect (percentage points)", numeric=True),
        Column("verdict"),
        Column("p-value", numeric=True),
        Column("its level", numeric=True),
        Column("discovery"),
    )
    empty = "No hypothesis of the study is tested in this iteration."
    return Table("Each hypothesis through its versions", columns, tuple(rows), STREAM, empty)


def guardrails(evaluations: Iterable[Evaluation]) -> Table:
    """What must not suffer, and whether a loss of more than its margin is ruled out."""
    rows = [
        (
            each.name,
            guard.metric,
            _state(each, guard),
            formats.rate(*_rate(guard.comparison.control)),
            formats.rate(*_rate(guard.comparison.treatment)),
            *_loss(each, guard),
        )
        for each in evaluations
        for guard in each.guardrails
    ]
    columns = (
        Column("hypothesis"),
        Column("guardrail"),
        Column("state"),
        Column("control", numeric=True),
        Column("treatment", numeric=True),
        Column("effect (percentage points)", numeric=True),
        Column("most allowed", numeric=True),
        Column("p-value", numeric=True),
    )
    note = "The p-value is that of losing the most allowed, or more (non-inferiority, one-sided)."
    return Table("Guardrails", columns, tuple(rows), note, "No hypothesis here names a guardrail.")


def beliefs(evaluations: Iterable[Evaluation]) -> Table:
    """How likely the treatment is better, and what choosing wrongly would cost."""
    rows = []
    for each in evaluations:
        if each.verdict == "invalid":
            rows.append((each.name, *[formats.UNDEFINED] * 3))
            continue
        found = believe(
            control=each.comparison.control,
            treatment=each.comparison.treatment,
            alternative="less" if each.hypothesis.alternative == "less" else "greater",
        )
        better = "n/a" if math.isnan(found.probability_better) else _sure(found.probability_better)
        rows.append(
            (
                each.name,
                better,
                formats.points(found.expected_loss_treatment, 2).lstrip("+"),
                formats.points(found.expected_loss_control, 2).lstrip("+"),
            )
        )
    columns = (
        Column("hypothesis"),
        Column("treatment is better", numeric=True),
        Column("loss if treatment is chosen", numeric=True),
        Column("loss if control is kept", numeric=True),
    )
    empty = "No hypothesis of the study is tested in this iteration."
    return Table("A second opinion", columns, tuple(rows), OPINION, empty)


def design(plan: Plan) -> Table:
    """What a test takes for each way to look at it, and what the customers at hand can do."""
    rows = [
        (
            str(each["analysis"]),
            formats.count(each["customers_needed"]),
            formats.count(each["expected_customers"]),
            _weeks(each["weeks"]),
            _weeks(each["expected_weeks"]),
            formats.points(each["detectable_effect"]),
            formats.percent(each["power"]),
        )
        for each in plan.table.to_dict("records")
    ]
    columns = (
        Column("analysis"),
        Column("customers needed per cohort", numeric=True),
        Column("on average", numeric=True),
        Column("weeks", numeric=True),
        Column("weeks on average", numeric=True),
        Column(f"found with {plan.customers:,} (points)", numeric=True),
        Column(f"power with {plan.customers:,}", numeric=True),
    )
    note = (
        f"{plan.sentence} On average: what the test takes if the effect is there, since looking may "
        "end it sooner. The last two columns are what as many customers per cohort can do."
    )
    return Table(f"Plan of {plan.hypothesis.name}", columns, tuple(rows), note)


def _arm(row: Mapping[Any, Any], frame: pd.DataFrame) -> str:
    """Name the treatment where a version has several."""
    same = (frame["hypothesis"] == row["hypothesis"]) & (frame["version"] == row["version"])
    return f": {row['arm']}" if len({*frame.loc[same, "arm"]}) > 1 else ""


def _state(evaluation: Evaluation, guard: GuardrailResult) -> Badge:
    if evaluation.verdict == "invalid":
        return Badge("no verdict", "invalid")
    if not guard.known:
        return Badge("pending", "warn")
    return Badge("holds" if guard.held else "at risk", "ok" if guard.held else "warn")


def _loss(evaluation: Evaluation, guard: GuardrailResult) -> tuple[str, str, str]:
    """Give effect, margin and p-value; a broken comparison has no effect."""
    found, margin = guard.comparison, f"{formats.MINUS}{100 * guard.margin:g}"
    if evaluation.verdict == "invalid":
        return formats.UNDEFINED, margin, formats.UNDEFINED
    effect = formats.effect(found.estimate, found.low, found.high)
    return effect, margin, formats.pvalue(found.pvalue)


def _weeks(weeks: float) -> str:
    return formats.UNDEFINED if math.isnan(weeks) else f"{weeks:.1f}"


def _sure(probability: float) -> str:
    if probability > 0.999:
        return "more than 99.9%"
    return "less than 0.1%" if probability < 0.001 else formats.percent(probability)


def _rate(counts: object) -> tuple[float, float, float]:
    return counts.rate, counts.converted, counts.total  # type: ignore[attr-defined]


def _kind(verdict: str) -> str:
    """Give the word that tells a verdict's colour."""
    first = verdict.partition(":")[0].partition(",")[0]
    return "but" if first == "supported" and first != verdict else first
