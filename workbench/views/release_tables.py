"""Cards and tables of a release review: goals, rates, retention, strategy, feedback, advice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench import display
from workbench.display import Badge, Column, Sentences, Table
from workbench.innovation.backlog import ADVICE_RULE, Advice
from workbench.innovation.problems import WORTH
from workbench.innovation.true_innovation import BOTH, NEED
from workbench.schema.flow import ADOPTION
from workbench.views import innovation, verdicts
from workbench.views.tables import recorded_note

if TYPE_CHECKING:
    import pandas as pd

    from workbench.charts import Charts
    from workbench.innovation.difference import Difference
    from workbench.innovation.feedback import Feedback
    from workbench.innovation.next_version import NextStep
    from workbench.innovation.problems import ProblemReview
    from workbench.innovation.strategy import Strategy
    from workbench.innovation.true_innovation import Goal, Innovation

Row = Mapping[str, Any]
STATES = (
    "Reached: the interval lies above the target, over enough customers. On course: the rate is at the "
    "target or above it, but the interval includes the target. Not yet: the rate is below. Cannot tell: "
    "there is no target, there are too few customers, or no window is over. True innovation: adoption "
    "and the outcome are both reached."
)
ANSWERS = {
    "reached": "Yes, it is innovation.",
    "on course": "Not yet, and it is on course.",
    "not yet": "Not yet.",
    "cannot tell": "We cannot tell yet.",
}
NOTHING = Sentences(())  # where another part of the review says what is missing
UNRECORDED = (
    "A hypothesis with 0 looks is not on record: its verdict is what the data say now, and "
    "workbench report puts it into the ledger."
)


def row_of_goal(goal: Goal) -> dict[str, Any]:
    """Return a goal in the columns of the learning metrics."""
    return {
        "iteration": goal.iteration,
        "rate": goal.counts.rate,
        "low": goal.low,
        "high": goal.high,
        "converted": goal.counts.converted,
        "closed": goal.counts.total,
        "pending": 0,
        "nobody": "none yet",
    }


def rate_words(row: Row | None) -> str:
    """Write a rate with its counts and its interval, or why there is none.

    >>> rate_words({"rate": 0.8, "low": 0.69, "high": 0.88, "converted": 56, "closed": 70})
    '80.0% (56/70) [69.0%, 88.0%]'
    >>> rate_words({"closed": 0, "pending": 12}), rate_words({"closed": 0, "pending": 0})
    ('12 pending', 'nobody')
    """
    if row is None or not row["closed"]:
        return nobody_words(row)
    of = display.rate(row["rate"], row["converted"], row["closed"])
    return f"{of} {display.interval(row['low'], row['high'])}"


def nobody_words(row: Row | None) -> str:
    """Write why there is no rate: all customers are pending, or there are none."""
    if row is None:
        return "nobody"
    return f"{row['pending']:,} pending" if row["pending"] else str(row.get("nobody", "nobody"))


def is_known(number: float) -> bool:
    """Return whether a number is not NaN."""
    return bool(number == number)  # noqa: PLR0124 - NaN is not equal to itself


@dataclass(frozen=True)
class GoalCards:
    """A card on whether it is innovation yet, and one for each goal on the way."""

    innovation: Innovation

    def __repr__(self) -> str:
        """Return the goals as a table."""
        return repr(self.innovation.shown)

    def _repr_html_(self) -> str:
        both = self.innovation.goal(BOTH)
        return display.render(
            "goal_cards",
            whole=_card(both),
            answer=ANSWERS[str(both.state)],
            goals=[_card(each) for each in self.innovation.goals if each.name != BOTH],
            note=STATES,
        )


@dataclass(frozen=True)
class AdviceCard:
    """A card on the one next thing to do, with the rule that chose it."""

    advice: Advice

    def __repr__(self) -> str:
        """Return the sentence."""
        return self.advice.sentence

    def _repr_html_(self) -> str:
        return display.render("advice_card", sentence=self.advice.sentence, rule=ADVICE_RULE)


def goals(found: Innovation) -> GoalCards:
    """Return cards of the four goals: need validated, adoption, outcome, and the last two together."""
    return GoalCards(found)


def next_step(found: NextStep) -> Table:
    """Return a table of the evidence for what to try next, with the draft in its note."""
    rows = tuple((each.source, each.sentence) for each in found.reasons)
    columns = (Column("evidence"), Column("what it says"))
    note = (
        "`workbench next STUDY` drafts it, and with --write inserts the draft into the study file."
    )
    return Table(
        found.advice.sentence, columns, rows, note if found.draft else "", found.advice.sentence
    )


def advice(found: Advice) -> AdviceCard:
    """Return a card on the one next thing to do."""
    return AdviceCard(found)


def rates(frame: pd.DataFrame) -> Table:
    """Return a table of each learning metric in each iteration, with its interval."""
    rows = tuple(
        (
            str(each["step"]),
            str(each["iteration"]),
            display.count(each["entered"]),
            display.rate(each["rate"], each["converted"], each["closed"]),
            display.interval(each["low"], each["high"]),
            display.count(each["pending"]),
        )
        for step in dict.fromkeys(frame["step"])
        for each in display.records(frame)
        if each["step"] == step
    )
    columns = (
        Column("step"),
        Column("iteration"),
        Column("entered", numeric=True),
        Column("rate", numeric=True),
        Column("95% interval", numeric=True),
        Column("pending", numeric=True),
    )
    note = (
        "Rates of steps are over all who entered the flow, adoption over those who met the trigger "
        "again, an outcome over all who entered; pending customers are not counted. Nothing was "
        "randomized between iterations."
    )
    empty = "No customer met the trigger in these iterations."
    title = "Rates over the iterations, all customers"
    return Table(title, columns, rows, note + recorded_note(frame), empty)


def retention(found: pd.DataFrame | Sentences) -> Table | Sentences:
    """Return a table of the share who adopted, and of the day by which half had (`Study.retention`).

    Empty if there is no retention; `release_figures.retention_figure` then says why.
    """
    if isinstance(found, Sentences):
        return NOTHING
    curves: dict[str, list[dict[str, float]]] = {}
    for each in display.records(found):
        curves.setdefault(str(each["iteration"]), []).append(each)
    rows = tuple(
        (
            name,
            display.count(curve[0]["at_risk"]),
            display.count(sum(each["adopted"] for each in curve)),
            display.percent(curve[-1]["share"]),
            display.interval(curve[-1]["low"], curve[-1]["high"]),
            display.count(curve[-1]["days"]),
            display.count(next((each["days"] for each in curve if each["share"] >= 0.5), math.nan)),
        )
        for name, curve in curves.items()
    )
    columns = (
        Column("iteration"),
        Column("need met", numeric=True),
        Column("adopted", numeric=True),
        Column("share who adopted (Kaplan-Meier)", numeric=True),
        Column("95% interval", numeric=True),
        Column("by day", numeric=True),
        Column("half adopted by day", numeric=True),
    )
    note = (
        "Over all whose need was met, also those who did not meet the trigger again; customers who "
        "are followed for a shorter time count as long as they are followed. So the share is not "
        "the adoption rate above."
    )
    empty = "Nobody's need was met, so nobody can return yet."
    return Table("Share who adopted, of all whose need was met", columns, rows, note, empty)


def history(frame: pd.DataFrame) -> Table:
    """Return a table of each hypothesis's versions; its note names those that are not on record."""
    shown = verdicts.history(frame)
    unseen = bool(len(frame)) and not frame["looks"].all()
    return replace(
        shown,
        note=f"{shown.note} {UNRECORDED}" if unseen else shown.note,
        empty="No hypothesis of the study was tested up to this iteration.",
    )


def difference(found: Difference | Sentences) -> Table | Sentences:
    """Return a table of what changed since the iteration before, rates apart."""
    if isinstance(found, Sentences):
        return found
    rows = tuple(
        (each.what, each.part, each.before, each.after, each.change)
        for each in found.changes
        if each.part != "rate"
    )
    columns = tuple(map(Column, ("what", "part", found.before, found.after, "change")))
    return Table(
        f"What changed since {found.before}", columns, rows, found.sentence, found.sentence
    )


def problems(found: Sequence[ProblemReview] | Sentences) -> Table | Sentences:
    """Return a table of each problem: which solution is best so far, and what is untried."""
    if isinstance(found, Sentences):
        return found
    rows = tuple(
        (
            each.name,
            each.statement or display.UNDEFINED,
            "none yet" if each.best is None else each.best.name,
            each.sentence,
        )
        for each in found
    )
    columns = tuple(map(Column, ("problem", "in a sentence", "best so far", "what it means")))
    return Table("Problems and their solutions", columns, rows, f"Worth: {WORTH}.")


def standings(found: Strategy | Sentences) -> Table | Sentences:
    """Return a table of each strategic metric's state, in a sentence."""
    if isinstance(found, Sentences):
        return found
    rows = tuple(
        (each.name, each.metric.area, Badge(each.state), each.sentence) for each in found.standings
    )
    columns = tuple(map(Column, ("metric", "area", "state", "what it means")))
    return Table(
        "Strategic metrics against their course", columns, rows, empty=innovation.NO_STRATEGY
    )


def themes(found: Feedback | Sentences) -> Table | Sentences:
    """Return a table of what customers spoke of at each step."""
    return found if isinstance(found, Sentences) else innovation.themes(found)


def said_and_done(found: Feedback | Sentences) -> Table | Sentences:
    """Return a table of what customers said beside what they did; empty without feedback."""
    return NOTHING if isinstance(found, Sentences) else innovation.said_and_done(found)


def unaddressed(found: Feedback | Sentences) -> Table | Sentences:
    """Return a table of strong themes that nobody addresses; empty without feedback."""
    return NOTHING if isinstance(found, Sentences) else innovation.unaddressed(found)


def courses(found: Strategy | Sentences) -> Charts | Sentences:
    """Draw each strategic metric with its course; empty without strategic metrics."""
    return NOTHING if isinstance(found, Sentences) else innovation.course_figures(found)


def feeds(found: Strategy | Sentences) -> Charts | Sentences:
    """Draw what feeds the strategic metrics; empty without strategic metrics."""
    return NOTHING if isinstance(found, Sentences) else innovation.feeds_figure(found)


def quality(frame: pd.DataFrame) -> Sentences:
    """Return a sentence for each check of the iteration's data that is not passed."""
    odd = [str(each["sentence"]) for each in display.records(frame) if each["level"] != "ok"]
    return Sentences(tuple(odd) or ("Nothing odd was found in the data of this iteration.",))


def _card(goal: Goal) -> dict[str, Any]:
    """Return the values that the template of a card names."""
    return {
        "state": str(goal.state),
        "badge": Badge(str(goal.state)),
        "name": _named(goal),
        "rate": _gauge(goal) if goal.counts.total else {},
        "sentence": goal.sentence,
    }


def _named(goal: Goal) -> str:
    named = {
        NEED: "Need validated",
        ADOPTION: "Adoption",
        BOTH: "True innovation: adoption and outcome both",
    }
    outcome = "Outcome" if goal.name == "outcome" else f"Outcome: {goal.name}"
    return named.get(goal.name, outcome)


def _gauge(goal: Goal) -> dict[str, str]:
    counts = goal.counts
    rate = display.rate(counts.rate, counts.converted, counts.total)
    share, of = rate.split(" ", 1)
    return {
        "share": share,
        "of": f"{of} {display.interval(goal.low, goal.high)}",
        "width": f"{100 * counts.rate:.2f}",
        "low": f"{100 * goal.low:.2f}",
        "span": f"{100 * (goal.high - goal.low):.2f}",
        "target": "" if math.isnan(goal.target) else f"{100 * goal.target:g}%",
    }


story = history  # what templates of 0.1 call it; gone with 0.3
