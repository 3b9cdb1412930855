"""True innovation: need met, adoption and business outcome, each against its target."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from workbench import display
from workbench.data.metrics import count_both, count_followed, retention_table
from workbench.data.study_data import StudyData
from workbench.display import Badge, Column, Table
from workbench.errors import StudyError
from workbench.schema.flow import ADOPTION
from workbench.schema.strategy import Targets
from workbench.stats.proportions import Comparison, Counts, compare, wilson

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.counts import StepCounts

NEED, BOTH = "need met", "both"
LEVEL = 0.95
NO_COUNTS = Counts(0, 0)
NOT_RANDOMIZED = "nothing was randomized between iterations"
NO_RETURN = "the flow follows no return: it has no return_window"
LOST = "the data no longer reach it all, and the ledger keeps each count alone"
NO_OUTCOME = "the flow names no outcome"


class State(StrEnum):
    """How far a goal is from its target."""

    REACHED = "reached"
    ON_COURSE = "on course"
    NOT_YET = "not yet"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Tally:
    """A goal's counts in one iteration: customers who reached it, of those whose window is over.

    `waiting` counts the customers whose window is still open. `missing` says why a study cannot
    count the goal at all.
    """

    counts: Counts = NO_COUNTS
    waiting: int = 0
    missing: str = ""


@dataclass(frozen=True)
class Goal:
    """One goal in one iteration: its counts, interval, target and state, and a sentence.

    `target` is NaN where none is set. `change` is the difference to the iteration before, and None
    where either is not known; only the newest iteration has it.
    """

    name: str
    iteration: str
    counts: Counts
    low: float
    high: float
    target: float
    state: State
    sentence: str
    change: Comparison | None = None


@dataclass(frozen=True)
class Innovation:
    """Whether an iteration is true innovation: its goals, and those of the iterations before.

    `trend` holds the goals of this iteration and of all before it, the oldest first.
    """

    iteration: str
    goals: tuple[Goal, ...]
    trend: tuple[Goal, ...]

    def goal(self, name: str) -> Goal:
        """Return the goal of that name."""
        return next(each for each in self.goals if each.name == name)

    @property
    def state(self) -> State:
        """The state of true innovation: adoption and outcome both at their targets."""
        return self.goal(BOTH).state

    @property
    def table(self) -> pd.DataFrame:
        """One row for each goal of this iteration."""
        return _frame(self.goals)

    @property
    def trend_table(self) -> pd.DataFrame:
        """One row for each goal and iteration, up to this one."""
        return _frame(self.trend)

    @property
    def shown(self) -> Table:
        """The goals as a table for a reader."""
        rows = tuple(
            (
                each.name,
                Badge(str(each.state)),
                display.rate(each.counts.rate, each.counts.converted, each.counts.total),
                display.interval(each.low, each.high),
                display.percent(each.target),
                each.sentence,
            )
            for each in self.goals
        )
        columns = (
            Column("goal"),
            Column("state"),
            Column("rate", numeric=True),
            Column("95% interval", numeric=True),
            Column("target", numeric=True),
            Column("what it means"),
        )
        return Table(f"Is it innovation yet? Iteration {self.iteration}", columns, rows)

    def __repr__(self) -> str:
        """Write the table."""
        return repr(self.shown)

    def _repr_html_(self) -> str:
        return self.shown._repr_html_()


def assess(
    tallies: Mapping[str, Mapping[str, Tally]], targets: Targets | None, outcome: str = "outcome"
) -> Innovation:
    """Compare what each iteration counted with the targets.

    A target is reached if the low end of the rate's 95 % Wilson interval lies above it, over enough
    customers.

    Args:
        tallies: For each iteration, the oldest first, a tally for "need met", "adoption", the
            outcome's name and "both". The last iteration is the one that is assessed.
        targets: The target rates, and the customers that each rate must rest on; None for no targets.
        outcome: The name of the outcome.

    >>> tallies = {"need met": Tally(Counts(60, 90)), "adoption": Tally(Counts(30, 50)),
    ...            "renewed": Tally(Counts(20, 90)), "both": Tally(Counts(14, 90))}
    >>> targets = Targets(need_rate=0.5, adoption_rate=0.4, outcome_rate=0.25, customers=50)
    >>> found = assess({"2026.1": tallies}, targets, "renewed")
    >>> [(each.name, str(each.state)) for each in found.goals]
    [('need met', 'reached'), ('adoption', 'reached'), ('renewed', 'not yet'), ('both', 'not yet')]
    >>> print(found.goal("adoption").sentence)
    60.0% (30/50) of the customers with an opportunity adopted [46.2%, 72.4%]: the target of 40% is \
reached.
    """
    targets = targets or Targets()
    rates = {
        NEED: targets.need_rate,
        ADOPTION: targets.adoption_rate,
        outcome: targets.outcome_rate,
    }
    trend: list[Goal] = []
    *_, last = tallies
    for iteration, counted in tallies.items():
        before = _before(tallies, last) if iteration == last else {}
        goals = [
            _goal(name, iteration, counted[name], target, targets.customers, before.get(name))
            for name, target in rates.items()
        ]
        both = _both(iteration, counted[BOTH], goals[1], goals[2], targets, before.get(BOTH))
        trend += [*goals, both]
    return Innovation(last, tuple(each for each in trend if each.iteration == last), tuple(trend))


def _before(tallies: Mapping[str, Mapping[str, Tally]], iteration: str) -> Mapping[str, Tally]:
    """Return the tallies of the iteration before; nothing for the first."""
    names = list(tallies)
    earlier = names[: names.index(iteration)]
    return tallies[earlier[-1]] if earlier else {}


def _goal(
    name: str,
    iteration: str,
    tally: Tally,
    target: float | None,
    customers: int,
    before: Tally | None,
) -> Goal:
    counts = tally.counts
    low, high = wilson(counts, LEVEL)
    wanted = math.nan if target is None else target
    state, why = _state(tally, (low, high), target, customers, name)
    change = _change(before, tally)
    sentence = f"{_said(name, counts, low, high)}: {why}" if counts.total else display.capital(why)
    return Goal(
        name, iteration, counts, low, high, wanted, state, sentence + _moved(change), change
    )


def _state(
    tally: Tally, ends: tuple[float, float], target: float | None, customers: int, name: str
) -> tuple[State, str]:
    """Return a rate's state, and the reason that ends its sentence."""
    if tally.missing or not tally.counts.total or target is None:
        return State.CANNOT_TELL, _unknown(tally, name)
    counts, (low, high) = tally.counts, ends
    aim, few = f"the target of {100 * target:g}%", counts.total < customers
    fewer = f"{counts.total:,} customers are fewer than the {customers:,} wanted"
    if high < target:
        state = State.NOT_YET
        said = f"{aim} is not reached yet; even the interval's high end is below it."
    elif low > target:
        state = State.ON_COURSE if few else State.REACHED
        said = f"above {aim}, but {fewer}." if few else f"{aim} is reached."
    elif few:
        state = State.CANNOT_TELL
        said = f"the interval holds {aim}, and {fewer}: too early to say."
    else:
        state = State.NOT_YET if counts.rate < target else State.ON_COURSE
        said = f"on course, but the interval reaches down to {aim} or below."
        if state is State.NOT_YET:
            said = f"{aim} is not reached yet."
    return state, said


def _unknown(tally: Tally, name: str) -> str:
    if tally.missing:
        return f"{tally.missing}."
    if tally.counts.total:
        return "the study sets no target for it."
    if tally.waiting:
        return f"nobody's window is over yet, {tally.waiting:,} customers are pending."
    if name == ADOPTION:
        return "no opportunity: nobody met the trigger again after the need was met."
    return "nobody entered the flow."


def _both(
    iteration: str,
    tally: Tally,
    adoption: Goal,
    outcome: Goal,
    targets: Targets,
    before: Tally | None,
) -> Goal:
    """Return the goal of true innovation: adoption and outcome both reached, over enough customers."""
    counts, parts = tally.counts, (adoption, outcome)
    low, high = wilson(counts, LEVEL)

    def of(state: State) -> str:
        return " and ".join(each.name for each in parts if each.state is state)

    if late := of(State.NOT_YET):
        state, why = State.NOT_YET, f"not innovation yet, since {late} fell short."
    elif tally.missing:
        state, why = State.CANNOT_TELL, f"{tally.missing}."
    elif unknown := of(State.CANNOT_TELL):
        state, why = State.CANNOT_TELL, f"cannot tell yet, because {unknown} cannot be assessed."
    elif coming := of(State.ON_COURSE):
        state, why = State.ON_COURSE, f"on course: {coming} may still fall short."
    elif counts.total < targets.customers:
        few = f"{counts.total:,} customers are fewer than the {targets.customers:,} wanted"
        state, why = State.ON_COURSE, f"adoption and {outcome.name} are reached, but {few}."
    else:
        why = f"adoption and {outcome.name} are both reached: it is innovation."
        state = State.REACHED
    change = _change(before, tally)
    sentence = f"{_said(BOTH, counts, low, high)}: {why}" if counts.total else display.capital(why)
    return Goal(
        BOTH, iteration, counts, low, high, math.nan, state, sentence + _moved(change), change
    )


def _said(name: str, counts: Counts, low: float, high: float) -> str:
    rate, ends = (
        display.rate(counts.rate, counts.converted, counts.total),
        display.interval(low, high),
    )
    done = {
        NEED: "of the customers had their need met",
        ADOPTION: "of the customers with an opportunity adopted",
        BOTH: "of the customers adopted and had the outcome",
    }
    return f"{rate} {done.get(name, f'of the customers reached {name}')} {ends}"


def _change(before: Tally | None, now: Tally) -> Comparison | None:
    if before is None or not before.counts.total or not now.counts.total:
        return None
    return compare(control=before.counts, treatment=now.counts)


def _moved(change: Comparison | None) -> str:
    if change is None:
        return ""
    points = display.effect(change.estimate, change.low, change.high)
    if change.low > 0 or change.high < 0:
        way = "more" if change.low > 0 else "less"
        return f" That is {way} than in the iteration before ({points} points; {NOT_RANDOMIZED})."
    return f" No clear change since the iteration before ({points} points)."


def _frame(goals: Sequence[Goal]) -> pd.DataFrame:
    import pandas as pd

    columns = ["iteration", "goal", "count", "closed", "rate", "low", "high", "target", "state"]
    rows = [
        (
            each.iteration,
            each.name,
            each.counts.converted,
            each.counts.total,
            each.counts.rate,
            each.low,
            each.high,
            each.target,
            str(each.state),
            each.sentence,
        )
        for each in goals
    ]
    return pd.DataFrame(rows, columns=[*columns, "sentence"])


def assess_innovation(
    data: StudyData,
    iteration: str,
    at: datetime | None,
    counts: Sequence[StepCounts],
    lost: Container[str] = (),
) -> Innovation:
    """Assess an iteration and those before it as of a time, as `assess` does.

    Args:
        data: The study's data.
        iteration: The iteration's name.
        at: The time; the newest event for None.
        counts: The counts of all customers in each iteration.
        lost: The iterations of which only the counts are left.
    """
    spec = data.spec
    names = [each.name for each in spec.iterations]
    outcome = spec.flow.outcome.name if spec.flow is not None and spec.flow.outcome else "outcome"
    ends = spec.flow.ends if spec.flow is not None else ()
    both = {} if data.journeys is None else count_both(data.journeys.paths(at))
    tallies = {}
    for name in names[: names.index(iteration) + 1]:
        here = [each for each in counts if each.iteration == name]
        entered = sum(each.entered for each in here if each.step == spec.steps[0])
        without = " and ".join(
            why for end, why in ((ADOPTION, NO_RETURN), (outcome, NO_OUTCOME)) if end not in ends
        )
        found = None if name in lost else both.get(name)
        without = LOST if name in lost else without
        tallies[name] = {
            NEED: _tally(here, spec.steps[-1], entered),
            ADOPTION: _tally(here, ADOPTION) if ADOPTION in ends else Tally(missing=NO_RETURN),
            outcome: _tally(here, outcome) if outcome in ends else Tally(missing=NO_OUTCOME),
            BOTH: Tally(found, entered - found.total) if found else Tally(missing=without),
        }
    return assess(tallies, spec.innovation, outcome)


def retention(
    data: StudyData, iterations: Sequence[str], by: Sequence[str], at: datetime | None
) -> pd.DataFrame:
    """Return the share of customers who returned, by days since their need was met.

    Raises:
        StudyError: For a study without a return window, or without an event log.
    """
    flow = data.spec.flow
    if data.journeys is None or flow is None or not flow.follows_return:
        msg = f"{NO_RETURN}; add one to the flow of an event log, such as 30d or unlimited"
        raise StudyError(msg)
    return retention_table(count_followed(data.journeys.paths(at), by), by, iterations)


def _tally(counts: Iterable[StepCounts], metric: str, entered: int | None = None) -> Tally:
    """Return the tally of a metric; `entered` are its customers, unless its own counts say so."""
    rows = [each for each in counts if each.step == metric]
    whole = sum(each.entered for each in rows) if entered is None else entered
    found = sum(each.converted for each in rows), sum(each.closed for each in rows)
    return Tally(Counts(*found), whole - found[1])
