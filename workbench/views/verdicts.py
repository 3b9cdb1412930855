"""A verdict as a reader sees it: cover, card, and the tables that stand around it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from workbench import display
from workbench.display import Badge, Column, Table
from workbench.stats.bayesian import beliefs as believe

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.analysis import GuardrailResult
    from workbench.experiments.planning import Plan
    from workbench.experiments.verdict import Evaluation
    from workbench.stats.proportions import Counts

NO_HYPOTHESIS = "No hypothesis of the study is tested in this iteration."
NOT_RECORDED = (
    "This look is not recorded: evaluate(record=True) and workbench report put it into the ledger."
)
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


@dataclass(frozen=True)
class Cover:
    """The title of a report, and what it reports on."""

    title: str
    facts: tuple[str, ...]
    note: str = ""
    kind: str = "Hypothesis report"

    def __repr__(self) -> str:
        """Write the title, and the facts under it."""
        lines = [self.title, " · ".join(self.facts)]
        return "\n".join([*lines, self.note] if self.note else lines)

    def _repr_html_(self) -> str:
        return display.render("cover", cover=self)


@dataclass(frozen=True)
class VerdictCards:
    """A card for each evaluation: the claim, the verdict, its sentence and its numbers."""

    evaluations: tuple[Evaluation, ...]

    def __repr__(self) -> str:
        """Write one sentence for each hypothesis."""
        lines = [f"{each.name}: {each.label}. {each.sentence}" for each in self.evaluations]
        return "\n".join(lines) or NO_HYPOTHESIS

    def _repr_html_(self) -> str:
        if not self.evaluations:
            return display.render("empty", sentence=NO_HYPOTHESIS)
        unseen = any(each.look is None for each in self.evaluations)
        cards = [_card(each) for each in self.evaluations]
        return display.render("verdict_cards", cards=cards, note=NOT_RECORDED if unseen else "")


def verdicts(evaluations: Iterable[Evaluation]) -> VerdictCards:
    """Show the verdict of each hypothesis, made to be read without help."""
    return VerdictCards(tuple(evaluations))


def stylesheet() -> str:
    """The style of cards and tables, the same in a notebook and in a report."""
    return resources.files("workbench").joinpath("html/displays.css").read_text("utf-8")


def _card(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the template of a card names."""
    hypothesis, found = evaluation.hypothesis, evaluation.comparison
    look = "" if evaluation.look is None else f", look {evaluation.look}"
    return {
        "kind": evaluation.kind,
        "badge": Badge(evaluation.label, evaluation.kind),
        "name": f"{evaluation.name}, version {hypothesis.version}{look}",
        "statement": hypothesis.statement,
        "sentence": evaluation.sentence,
        "metric": hypothesis.metric,
        "control": (str(hypothesis.control), _bar(found.control)),
        "treatment": (str(hypothesis.treatment), _bar(found.treatment)),
        "facts": {} if evaluation.verdict == "invalid" else _facts(evaluation),
        "reason": found.reason,
        "checks": [
            (Badge(each.level), each.sentence)
            for each in evaluation.checks
            if each.level != "ok" and each.sentence not in evaluation.sentence
        ],
    }


def _bar(counts: Counts) -> dict[str, str]:
    width = 100 * counts.rate if counts.total else 0.0
    return {"text": display.rate(*_rate(counts)), "width": f"{width:.2f}"}


def _facts(evaluation: Evaluation) -> dict[str, str]:
    hypothesis, found = evaluation.hypothesis, evaluation.comparison
    worth = display.worth(hypothesis.towards(found.estimate))
    if hypothesis.alternative == "two-sided":
        worth = worth.replace("+", "±").replace(display.MINUS, "±")
    return {
        "Effect in percentage points": display.effect(found.estimate, found.low, found.high),
        "Interval": f"{100 * found.confidence_level:g}%, {found.interval}",
        "p-value": _pvalue(evaluation),
        "Effect worth having": (
            f"{worth} percentage points" if hypothesis.minimum_effect else "any"
        ),
    }


def _pvalue(evaluation: Evaluation) -> str:
    shown = f"{display.pvalue(evaluation.pvalue)}, {evaluation.comparison.test}"
    if evaluation.family is None:
        return shown
    return f"{shown}, Holm-adjusted for {evaluation.family.size} tests; {evaluation.family.note}"


def story(frame: pd.DataFrame) -> Table:
    """Each hypothesis through its versions: what changed, what was found, what still counts."""
    rows = [
        (
            f"{each['hypothesis']} {each['version']}{_arm_suffix(each, frame)}",
            str(each["iteration"]),
            str(each["changed"]),
            f"{each['looks']:.0f}",
            display.effect(each["estimate"], each["low"], each["high"]),
            Badge(each["verdict"], _kind(each["verdict"])),
            display.pvalue(each["pvalue"]),
            display.pvalue(each["level"]),
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
            display.rate(*_rate(guard.comparison.control)),
            display.rate(*_rate(guard.comparison.treatment)),
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
            rows.append((each.name, *[display.UNDEFINED] * 3))
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
                display.points(found.expected_loss_treatment, 2).lstrip("+"),
                display.points(found.expected_loss_control, 2).lstrip("+"),
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
            display.count(each["customers_needed"]),
            display.count(each["expected_customers"]),
            display.weeks(each["weeks"]),
            display.weeks(each["expected_weeks"]),
            display.points(each["detectable_effect"]),
            display.percent(each["power"]),
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


def _arm_suffix(row: Mapping[Any, Any], frame: pd.DataFrame) -> str:
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
    found, margin = guard.comparison, f"{display.MINUS}{100 * guard.margin:g}"
    if evaluation.verdict == "invalid":
        return display.UNDEFINED, margin, display.UNDEFINED
    effect = display.effect(found.estimate, found.low, found.high)
    return effect, margin, display.pvalue(found.pvalue)


def _sure(probability: float) -> str:
    if probability > 0.999:
        return "more than 99.9%"
    return "less than 0.1%" if probability < 0.001 else display.percent(probability)


def _rate(counts: Counts) -> tuple[float, float, float]:
    return counts.rate, counts.converted, counts.total


def _kind(verdict: str) -> str:
    """Give the word that tells a verdict's colour."""
    first = verdict.partition(":")[0].partition(",")[0]
    return "but" if first == "supported" and first != verdict else first
