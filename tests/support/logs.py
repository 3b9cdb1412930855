"""Small random logs that hold what real ones do: ties, repeats, shared events, duplicates."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from math import nan

from hypothesis import strategies as st
from support.reference import HOUR, Period, Plan, Row, Stage, default_as_of

BASE = 1_767_571_200_000_000  # 2026-01-05 00:00 UTC
NAMES = ("a", "b", "c", "d")
OUTCOMES = ("o",)
EXITS = ("q",)
NOISE = ("x", "y")
VARIANTS = ("blank", "preview")


@dataclass(frozen=True)
class Case:
    """A log and what to ask of it; `as_of` None leaves the default."""

    rows: list[Row]
    plan: Plan
    periods: list[Period]
    groupings: dict[str, str] = field(default_factory=dict)
    by: list[str] = field(default_factory=list)
    customers: list[Row] | None = None
    as_of: int | None = None
    identities: list[tuple[str, str]] | None = None

    @property
    def until(self) -> int:
        return default_as_of(self.rows) if self.as_of is None else self.as_of


def places(shared: bool) -> st.SearchStrategy[list[tuple[str, ...]]]:
    """Draw the events of the trigger and of one to three steps; `shared` lets them overlap."""
    if shared:
        place = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
        return st.lists(place.map(tuple), min_size=2, max_size=4)
    order = st.permutations(NAMES)
    return st.tuples(order, st.integers(2, 4)).map(_dealt)


def _dealt(drawn: tuple[list[str], int]) -> list[tuple[str, ...]]:
    """Deal the names out to so many places, one each and what is left to the last."""
    names, number = drawn
    return [(name,) for name in names[: number - 1]] + [tuple(names[number - 1 :])]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    trigger, *steps = draw(st.booleans().flatmap(places))
    if draw(st.integers(0, 5)) == 0:
        steps = [trigger[::-1]]  # the trigger itself meets the need
    windows = st.none() | st.integers(1, 12).map(lambda hours: hours * HOUR)
    plan = Plan(
        trigger=trigger,
        steps=tuple(Stage(f"step {number}", events) for number, events in enumerate(steps, 1)),
        window=draw(windows),
    )
    if draw(st.booleans()):
        plan = replace(plan, returns=True, return_window=draw(windows))
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from((*NAMES, *OUTCOMES)), min_size=1, max_size=2))
        outcome = Stage("outcome", tuple(dict.fromkeys(names)))
        plan = replace(plan, outcome=outcome, outcome_window=draw(windows))
    if draw(st.integers(0, 2)) == 0:
        plan = replace(plan, steps=tuple(draw(conditional(each)) for each in plan.steps))
    if draw(st.booleans()) and not plan.trigger_meets_need:
        plan = replace(plan, exits=EXITS)
    return replace(plan, entrants=draw(st.sampled_from(("all", "all", "new"))))


@st.composite
def conditional(draw: st.DrawFn, stage: Stage) -> Stage:
    """Draw what rows of a step must hold, if anything."""
    return replace(stage, where=draw(st.sampled_from(((), (("note", 0),), (("note", 1),)))))


@st.composite
def chains(draw: st.DrawFn, customers: int) -> list[tuple[str, str]]:
    """Draw which ids stand for which: from lower to higher ones, so never in a circle."""
    ids = st.integers(1, customers + 2)
    pairs = st.tuples(ids, ids).filter(lambda pair: pair[0] < pair[1])
    return [(str(old), str(new)) for old, new in draw(st.lists(pairs, min_size=1, max_size=3))]


@st.composite
def periods(draw: st.DrawFn) -> list[Period]:
    """Draw one to three iterations in order, with or without gaps between them."""
    bounds = sorted(draw(st.lists(st.integers(0, 20), min_size=2, max_size=6, unique=True)))
    pairs = list(itertools.pairwise(bounds))
    kept = pairs if draw(st.booleans()) else pairs[::2]
    return [
        Period(f"2026.{number}", BASE + start * HOUR, BASE + end * HOUR)
        for number, (start, end) in enumerate(kept[:3], 1)
    ]


@st.composite
def events(draw: st.DrawFn, customers: int, name: str | None = None, hour: int = 0) -> Row:
    """Draw one row; `note` keeps rows apart that are alike otherwise."""
    return {
        "customer": draw(st.integers(1, customers)),
        "event": draw(st.sampled_from(NAMES * 3 + OUTCOMES * 2 + EXITS * 2 + NOISE))
        if name is None
        else name,
        "at": BASE + (hour or draw(st.integers(0, 24))) * HOUR,
        "variant": draw(st.sampled_from(("blank", *VARIANTS, None))),
        "note": draw(st.sampled_from((0, 0, 0, 1))),
    }


@st.composite
def stories(draw: st.DrawFn, plan: Plan, periods: list[Period]) -> list[Row]:
    """Draw one customer's way through some of the flow, from a trigger within an iteration."""
    period = draw(st.sampled_from(periods))
    first, last = ((moment - BASE) // HOUR for moment in (period.start, period.end))
    hour = draw(st.integers(first, last - 1))
    customer = draw(st.integers(1, 4))
    stages = [plan.trigger, *(step.events for step in plan.steps)]
    stages += [plan.trigger, plan.steps[0].events] if plan.returns else []
    stages += [plan.outcome.events] if plan.outcome is not None else []
    rows = []
    for names in stages[: draw(st.integers(1, len(stages)))]:
        row = draw(events(1, draw(st.sampled_from(names)), hour))
        rows.append({**row, "customer": customer, "at": BASE + hour * HOUR})
        hour += draw(st.sampled_from((0, 0, 1, 1, 2, 5)))
    return rows


@st.composite
def tables(draw: st.DrawFn, customers: int) -> list[Row]:
    """Draw a customers table that misses some and, now and then, lists one twice."""
    ids = draw(st.lists(st.integers(1, customers + 1), min_size=1, max_size=customers + 1))
    size = st.sampled_from(("small", "large", None))
    return [{"customer": each, "size": draw(size)} for each in ids]


HUGE = 2**60
IDS = {
    "whole": lambda number: number,
    "text": lambda number: f"0{number}",
    "float": float,
    "huge": lambda number: HUGE + number,
}


def with_ids(case: Case, kind: str) -> Case:
    """Return a case whose customers have ids of another kind, and groups are numbers or NaN.

    Whole floats are names of whole numbers, so that identities and tables may be of other types.
    """
    of = IDS[kind]
    named = {str(number): str(number if kind == "float" else of(number)) for number in range(1, 8)}
    table = case.customers
    if table is not None:
        sizes = {"small": 1.0, "large": 2.5, None: nan}
        table = [{"customer": of(row["customer"]), "size": sizes[row["size"]]} for row in table]
    ids = case.identities
    return replace(
        case,
        rows=[{**row, "customer": of(row["customer"])} for row in case.rows],
        customers=table,
        identities=None if ids is None else [(named[old], named[new]) for old, new in ids],
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    plan, spans = draw(plans()), draw(periods())
    told = draw(st.lists(stories(plan, spans), min_size=1, max_size=5))
    rows = [row for story in told for row in story]
    rows += draw(st.lists(events(4), max_size=20))
    again = draw(st.lists(st.sampled_from(rows), max_size=3))
    table = draw(st.none() | tables(4))
    kinds = st.sampled_from(("experiment", "segment"))
    groupings: dict[str, str] = {}
    if draw(st.booleans()):
        groupings["variant"] = draw(kinds)
    if table is not None:
        groupings["size"] = draw(kinds)
    return Case(
        rows=draw(st.permutations(rows + [dict(row) for row in again])),
        plan=plan,
        periods=spans,
        groupings=groupings,
        by=[column for column in groupings if draw(st.booleans())],
        customers=table,
        as_of=draw(st.none() | st.integers(4, 26).map(lambda hour: BASE + hour * HOUR)),
        identities=draw(st.none() | st.none() | chains(4)) if table is None else None,
    )
