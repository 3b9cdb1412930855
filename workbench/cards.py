"""What a reader of a report sees first: its cover, and a card for each verdict."""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from workbench import formats
from workbench.displays import Badge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.proportions import Counts
    from workbench.verdicts import Evaluation

NO_HYPOTHESIS = "No hypothesis of the study is tested in this iteration."

NOT_RECORDED = (
    "This look is not recorded: evaluate(record=True) and workbench report put it into the ledger."
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
        facts = "".join(f"<li>{html.escape(each)}</li>" for each in self.facts)
        note = f'<p class="wb-note">{html.escape(self.note)}</p>' if self.note else ""
        return (
            f"<style>{stylesheet()}</style>"
            f'<header class="wb-cover"><p class="wb-kicker">{html.escape(self.kind)}</p>'
            f"<h1>{html.escape(self.title)}</h1>"
            f'<ul class="wb-facts">{facts}</ul>{note}</header>'
        )


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
            return f'<p class="wb-empty">{NO_HYPOTHESIS}</p>'
        unseen = any(each.look is None for each in self.evaluations)
        note = f'<p class="wb-note">{NOT_RECORDED}</p>' if unseen else ""
        return "".join(map(_card, self.evaluations)) + note


def verdicts(evaluations: Iterable[Evaluation]) -> VerdictCards:
    """Show the verdict of each hypothesis, made to be read without help."""
    return VerdictCards(tuple(evaluations))


def stylesheet() -> str:
    """The style of cards and tables, the same in a notebook and in a report."""
    return resources.files("workbench").joinpath("html/displays.css").read_text("utf-8")


def _card(evaluation: Evaluation) -> str:
    hypothesis, kind = evaluation.hypothesis, html.escape(evaluation.kind, quote=True)
    name = html.escape(evaluation.name)
    return (
        f'<article class="wb-card wb-{kind}">'
        f'<p class="wb-verdict">{Badge(evaluation.label, evaluation.kind).to_html()} '
        f'<span class="wb-kicker">{name}, version {hypothesis.version}{_look(evaluation)}</span></p>'
        f"<h3>{html.escape(hypothesis.statement)}</h3>"
        f'<p class="wb-sentence">{html.escape(evaluation.sentence)}</p>'
        f"{_numbers(evaluation)}{_checks(evaluation)}</article>"
    )


def _numbers(evaluation: Evaluation) -> str:
    hypothesis, found = evaluation.hypothesis, evaluation.comparison
    arms = _arm("Control", str(hypothesis.control), found.control) + _arm(
        "Treatment", str(hypothesis.treatment), found.treatment
    )
    shown = _broken() if evaluation.verdict == "invalid" else _effect(evaluation)
    reason = f'<p class="wb-note">{html.escape(found.reason)}</p>' if found.reason else ""
    metric = html.escape(hypothesis.metric)
    return (
        f'<p class="wb-metric">Customers who reached <b>{metric}</b></p>'
        f'<dl class="wb-arms">{arms}</dl>{shown}{reason}'
    )


def _effect(evaluation: Evaluation) -> str:
    hypothesis, found = evaluation.hypothesis, evaluation.comparison
    worth = formats.worth(hypothesis.towards(found.estimate))
    if hypothesis.alternative == "two-sided":
        worth = worth.replace("+", "±").replace(formats.MINUS, "±")
    pairs = {
        "Effect in percentage points": formats.effect(found.estimate, found.low, found.high),
        "Interval": f"{100 * found.confidence_level:g}%, {found.interval}",
        "p-value": _pvalue(evaluation),
        "Effect worth having": (
            f"{worth} percentage points" if hypothesis.minimum_effect else "any"
        ),
    }
    facts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in pairs.items()
    )
    return f'<dl class="wb-facts-list">{facts}</dl>'


def _look(evaluation: Evaluation) -> str:
    return "" if evaluation.look is None else f", look {evaluation.look}"


def _pvalue(evaluation: Evaluation) -> str:
    shown = f"{formats.pvalue(evaluation.pvalue)}, {evaluation.comparison.test}"
    if evaluation.family is None:
        return shown
    return f"{shown}, Holm-adjusted for {evaluation.family.size} tests; {evaluation.family.note}"


def _broken() -> str:
    return '<p class="wb-note">No effect is given: the comparison is broken.</p>'


def _checks(evaluation: Evaluation) -> str:
    """List what the checks found, unless the sentence of the verdict says it already."""
    items = "".join(
        f"<li>{Badge(each.level).to_html()} {html.escape(each.sentence)}</li>"
        for each in evaluation.checks
        if each.level != "ok" and each.sentence not in evaluation.sentence
    )
    return f'<ul class="wb-checks">{items}</ul>' if items else ""


def _arm(role: str, cohort: str, counts: Counts) -> str:
    length = 100 * counts.rate if counts.total else 0.0
    shown = formats.rate(counts.rate, counts.converted, counts.total)
    return (
        f'<div class="wb-arm wb-{role.lower()}"><dt>{role} <span>{html.escape(cohort)}</span></dt>'
        f"<dd><b>{html.escape(shown)}</b>"
        f'<span class="wb-bar" aria-hidden="true"><i style="width:{length:.2f}%"></i></span>'
        "</dd></div>"
    )
