"""Cover and verdict cards of a report, and tables of guardrails, versions, beliefs and plans."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from workbench import display
from workbench.display import Badge, Column, Sentences, Table
from workbench.stats.bayesian import beliefs as believe

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.analysis import GuardrailResult
    from workbench.experiments.planning import Plan
    from workbench.experiments.single_arm import SingleArmResult
    from workbench.experiments.verdict import Evaluation
    from workbench.stats.proportions import Counts

NO_HYPOTHESIS = "No hypothesis of the study is tested in this iteration."
ALONE = (
    "There is no control: what customers do may come from anything that they met, and no claim here is "
    "a discovery."
)
NOT_RECORDED = (
    "This look is not recorded: evaluate(record=True) and workbench report put it into the ledger."
)
DISCOVERIES = (
    "A discovery is a success that stands among all hypotheses that the study tests or will test. The "
    "p-value of a hypothesis over its versions is compared with the level asked (Benjamini and "
    "Hochberg), so that on average at most 5% of the discoveries are false. The p-value here is the "
    "largest of those of the version and its guardrails."
)
OPINION = (
    "A second opinion that decides nothing. The prior of both rates is Beta(1, 1): every rate is "
    "equally likely. The loss is the average cost of a wrong choice, in percentage points of the rate. "
    "An invalid comparison has none."
)


@dataclass(frozen=True)
class Cover:
    """The title of a report, and facts such as its iteration and the time of its data."""

    title: str
    facts: tuple[str, ...]
    note: str = ""
    kind: str = "Hypothesis report"

    def __repr__(self) -> str:
        """Return the title, then the facts on a line."""
        lines = [self.title, " · ".join(self.facts)]
        return "\n".join([*lines, self.note] if self.note else lines)

    def _repr_html_(self) -> str:
        return display.render("cover", cover=self)


@dataclass(frozen=True)
class VerdictCards:
    """A card for each evaluation: the hypothesis, the verdict, its sentence and its numbers."""

    evaluations: tuple[Evaluation, ...]
    single_arm: tuple[SingleArmResult, ...] = ()

    def __repr__(self) -> str:
        """Return a sentence per hypothesis."""
        lines = [f"{each.name}: {each.label}. {each.sentence}" for each in self.evaluations]
        return "\n".join([*lines, *self._alone]) or NO_HYPOTHESIS

    @property
    def _alone(self) -> list[str]:
        return [f"{each.claim.name}: {each.label}. {each.sentence}" for each in self.single_arm]

    def _repr_html_(self) -> str:
        if not self.evaluations:
            return display.render("empty", sentence=" ".join(self._alone) or NO_HYPOTHESIS)
        unseen = any(each.look is None for each in self.evaluations)
        cards = [_card(each) for each in self.evaluations]
        return display.render("verdict_cards", cards=cards, note=NOT_RECORDED if unseen else "")


def verdicts(
    evaluations: Iterable[Evaluation], single_arm: Iterable[SingleArmResult] = ()
) -> VerdictCards:
    """Return a card per evaluation; in a notebook it is the verdict as a reader sees it.

    Args:
        evaluations: The evaluations.
        single_arm: Claims with a target; where there is nothing else, their sentences stand alone.
    """
    return VerdictCards(tuple(evaluations), tuple(single_arm))


def stylesheet() -> str:
    """Return the CSS of cards and tables, the same in a notebook and in a report."""
    return resources.files("workbench").joinpath("html/displays.css").read_text("utf-8")


def _card(evaluation: Evaluation) -> dict[str, Any]:
    """Return the values that the template of a card names."""
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
    small, shrunk = evaluation.shrunken, {}
    if small is not None:
        shrunk = {"Shrunk by all effects": display.effect(small.estimate, small.low, small.high)}
    if hypothesis.alternative == "two-sided":
        worth = worth.replace("+", "±").replace(display.MINUS, "±")
    return {
        "Effect in percentage points": display.effect(found.estimate, found.low, found.high),
        **shrunk,
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
    alone = display.pvalue(evaluation.comparison.pvalue)
    return f"{shown}, for {evaluation.family.size} tests at once; alone {alone}"


def history(frame: pd.DataFrame) -> Table:
    """Return a table of each hypothesis's versions: what changed, what was found, what counts."""
    since = any(frame.get("since", ()))
    before = any(each != "-" for each in frame.get("counted_when_decided", ()))
    rows: list[tuple[str | Badge, ...]] = [
        (
            f"{each['hypothesis']} {each['version']}{_treatment_if_several(each, frame)}",
            str(each["iteration"]),
            str(each["changed"]),
            f"{each['looks']:.0f}",
            display.effect(each["estimate"], each["low"], each["high"]),
            Badge(each["label"], _kind(each["verdict"], each["label"])),
            display.pvalue(each["pvalue"]),
            display.pvalue(each["level"]),
            *([str(each["since"])] if since else []),
            *([str(each["counted_when_decided"])] if before else []),
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
        Column("level asked", numeric=True),
        *([Column("discovery")] if since else []),
        *([Column("counted when decided")] if before else []),
    )
    empty = "No hypothesis of the study is tested in this iteration."
    note = " ".join([*frame.attrs.get("evidence", ()), DISCOVERIES])
    return Table("Each hypothesis through its versions", columns, tuple(rows), note, empty)


def single_arm(results: Sequence[SingleArmResult]) -> Table | Sentences:
    """Return a table of single-arm claims, each against its target; nothing where there are none."""
    rows = [
        (
            f"{each.claim.name} {each.claim.version}",
            Badge(each.label, str(each.verdict)),
            display.percent(each.found.target),
            display.count(math.nan if each.found.critical is None else each.found.critical),
            f"{each.found.converted:,} of {each.found.customers:,}",
            each.sentence,
        )
        for each in results
    ]
    columns = (
        Column("hypothesis and version"),
        Column("verdict"),
        Column("target", numeric=True),
        Column("needed", numeric=True),
        Column("converted", numeric=True),
        Column("what it means"),
    )
    return Table("Claims with a target", columns, tuple(rows), ALONE) if rows else Sentences(())


def guardrails(evaluations: Iterable[Evaluation]) -> Table:
    """Return a table of guardrails, and whether a loss beyond each margin is ruled out."""
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
    """Return a table of the probability that the treatment is better, and of the expected losses."""
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


def plan(made: Plan) -> Table:
    """Return a table of a plan: customers and weeks per way of looking, and the power at hand."""
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
        for each in made.table.to_dict("records")
    ]
    columns = (
        Column("analysis"),
        Column("customers needed per cohort", numeric=True),
        Column("on average", numeric=True),
        Column("weeks", numeric=True),
        Column("weeks on average", numeric=True),
        Column(f"found with {made.customers:,} (points)", numeric=True),
        Column(f"power with {made.customers:,}", numeric=True),
    )
    note = (
        f"{made.sentence} On average: what the test takes if the effect is there, since looking may "
        "end it sooner. The last two columns are what as many customers per cohort can do."
    )
    return Table(f"Plan of {made.hypothesis.name}", columns, tuple(rows), note)


def _treatment_if_several(row: Mapping[Any, Any], frame: pd.DataFrame) -> str:
    """Return the treatment's name if the version has several."""
    same = (frame["hypothesis"] == row["hypothesis"]) & (frame["version"] == row["version"])
    return f": {row['arm']}" if len({*frame.loc[same, "arm"]}) > 1 else ""


def _state(evaluation: Evaluation, guard: GuardrailResult) -> Badge:
    if evaluation.verdict == "invalid":
        return Badge("no verdict", "invalid")
    if not guard.known:
        return Badge("pending", "warn")
    return Badge("holds" if guard.held else "at risk", "ok" if guard.held else "warn")


def _loss(evaluation: Evaluation, guard: GuardrailResult) -> tuple[str, str, str]:
    """Return effect, margin and p-value; an invalid comparison has no effect."""
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


def _kind(verdict: str, label: str) -> str:
    """Return the word that a verdict's colour goes by."""
    whole = label in (verdict, "supported, a discovery")
    return verdict if verdict != "supported" or whole else "but"


# What templates of 0.1 call them; gone with 0.3.
story, design = history, plan
