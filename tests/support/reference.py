"""docs/flow-semantics.md in plain Python: slow, obvious, and sharing no code with the engine.

A log is a list of rows, dicts with `customer`, `event`, `at` (microseconds) and further columns.
The customers table, if there is one, is a list of dicts with `customer`. Every function reads the
specification top to bottom; the numbers in brackets are its paragraphs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt
from statistics import NormalDist, median
from typing import Any

Row = dict[str, Any]
MISSING = "(missing)"
NOTHING = "(nothing)"
HOUR = 3_600_000_000


@dataclass(frozen=True)
class Stage:
    """A step: its name, the events that count for it, and what their rows must hold."""

    name: str
    events: tuple[str, ...]
    where: tuple[tuple[str, Any], ...] = ()

    def takes(self, row: Row) -> bool:
        """Say whether a row is of the step's events, and holds what it must [22]."""
        return row["event"] in self.events and all(row[name] == value for name, value in self.where)


@dataclass(frozen=True)
class Plan:
    """The flow to follow: its trigger, its steps in order, its windows in microseconds.

    `returns` says whether adoption is followed; a window of None is none.
    """

    trigger: tuple[str, ...]
    steps: tuple[Stage, ...]
    window: int | None
    returns: bool = False
    return_window: int | None = None
    outcome: Stage | None = None
    outcome_window: int | None = None
    exits: tuple[str, ...] = ()
    entrants: str = "all"

    @property
    def events(self) -> set[str]:
        return {*self.trigger, *(event for step in self.steps for event in step.events)}

    def takes(self, row: Row) -> bool:
        """Say whether a row is one of the path: the trigger's, or a step's that meets its terms."""
        return row["event"] in self.trigger or any(step.takes(row) for step in self.steps)

    def terms(self, row: Row) -> tuple[str, ...]:
        """Name the steps, and the outcome, whose terms a row meets, in the flow's order [22]."""
        every = [*self.steps, *([self.outcome] if self.outcome is not None else [])]
        return tuple(each.name for each in every if each.where and each.takes(row))

    @property
    def trigger_meets_need(self) -> bool:
        """Say whether the only step is the trigger itself, and a return is followed [4]."""
        alone = len(self.steps) == 1 and set(self.steps[0].events) == set(self.trigger)
        return alone and self.returns and not self.steps[0].where


@dataclass(frozen=True)
class Period:
    """An iteration; its end is not part of it."""

    name: str
    start: int
    end: int


@dataclass
class Entrant:
    """One customer in one iteration: the time of the trigger and of each step, None if not reached.

    `crossed` has for an experiment how long after the trigger another group than the first was seen.
    `opportunity`, `returned` and `outcome` are times too, as is `left`, when the customer visibly
    left without the need met. `rows` are all of the customer's rows that count.
    """

    customer: Any
    period: Period
    times: list[int | None]
    cohort: dict[str, str]
    crossed: dict[str, int]
    rows: list[Row]
    opportunity: int | None = None
    returned: int | None = None
    outcome: int | None = None
    left: int | None = None

    @property
    def start(self) -> int:
        assert self.times[0] is not None
        return self.times[0]

    def closed(self, plan: Plan, as_of: int) -> bool:
        """Say whether the window is over by `as_of` [6]."""
        return plan.window is None or self.start + plan.window <= as_of

    def decided(self, plan: Plan, as_of: int) -> bool:
        """Say whether the window is over, or the customer left before [19]."""
        return self.left is not None or self.closed(plan, as_of)


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Leave out exact duplicates: rows that are equal in every column [4]."""
    kept: dict[tuple[tuple[str, Any], ...], Row] = {}
    for row in rows:
        kept.setdefault(tuple(sorted(row.items())), row)
    return list(kept.values())


def default_as_of(rows: Sequence[Row]) -> int:
    """Take the newest row, whatever its name [6]."""
    return max(row["at"] for row in rows)


def entrants(
    rows: Sequence[Row],
    plan: Plan,
    periods: Sequence[Period],
    *,
    as_of: int,
    groupings: Mapping[str, str] | None = None,
    customers: Sequence[Row] | None = None,
) -> list[Entrant]:
    """Follow everybody who entered, in every iteration [1]."""
    seen = [row for row in distinct(rows) if row["at"] <= as_of]  # [6]
    by_customer: dict[Any, list[Row]] = {}
    for row in seen:
        by_customer.setdefault(row["customer"], []).append(row)
    found = []
    for customer, own in by_customer.items():
        for period in periods:
            entrant = _follow(
                customer, own, plan, period, groupings=groupings or {}, customers=customers
            )
            if entrant is not None:
                found.append(entrant)
    if plan.entrants == "new":  # [20]
        first = {each.customer: each for each in sorted(found, key=lambda each: -each.start)}
        found = [each for each in found if each is first[each.customer]]
    return found


def resolved(rows: Sequence[Row], pairs: Sequence[tuple[str, str]]) -> list[Row]:
    """Replace ids by the customers for whom they stand; chains are followed [21]."""

    def ends(old: str) -> set[str]:
        return {end for one, new in pairs if one == old for end in (ends(new) or {new})}

    found = []
    for row in rows:
        last = ends(str(row["customer"]))
        found.append({**row, "customer": last.pop() if len(last) == 1 else str(row["customer"])})
    return found


def _follow(
    customer: Any,
    own: list[Row],
    plan: Plan,
    period: Period,
    *,
    groupings: Mapping[str, str],
    customers: Sequence[Row] | None,
) -> Entrant | None:
    inside = [row for row in own if period.start <= row["at"] < period.end]
    trigger = _earliest(plan, inside, Stage("trigger", plan.trigger))  # [1]
    if trigger is None:
        return None
    start = trigger["at"]
    used = [trigger]
    times: list[int | None] = [start]
    exits = [
        row["at"]
        for row in own
        if row["event"] in plan.exits
        and row["at"] >= start
        and (plan.window is None or row["at"] <= start + plan.window)
    ]
    left = min(exits, default=None)  # [19]
    if plan.trigger_meets_need:
        times = [start, start]
    for step in () if plan.trigger_meets_need else plan.steps:
        ahead = [
            row
            for row in own
            if row["at"] >= used[-1]["at"]  # [2, 3, 5]
            and (plan.window is None or row["at"] <= start + plan.window)
            and (left is None or row["at"] <= left)  # [19]
            and all(row is not taken for taken in used)  # [4]
        ]
        taken = _earliest(plan, ahead, step)
        if taken is None:
            break
        used.append(taken)
        times.append(taken["at"])
    times += [None] * (1 + len(plan.steps) - len(times))
    cohort, crossed = {}, {}
    for column, kind in groupings.items():
        put = kind in {"experiment", "focus group"}
        if customers is not None and any(column in row for row in customers):
            values = _values(customers, column, customer)
            if put and len(values) > 1:  # nobody knows which one first [9]
                values, crossed[column] = set(), 0
            cohort[column] = min(values, default=MISSING)
            continue
        cohort[column], later = _group(plan, inside, start, column, put=put)
        if later is not None:
            crossed[column] = later
    entrant = Entrant(customer, period, times, cohort, crossed, own)
    entrant.left = left if times[-1] is None else None
    _follow_return(entrant, plan)
    _follow_outcome(entrant, plan, used)
    return entrant


def _group(
    plan: Plan, inside: list[Row], start: int, column: str, *, put: bool
) -> tuple[str, int | None]:
    """Give the value of a grouping, and how long after the trigger another group was seen [1, 9]."""
    triggers = [row for row in inside if row["at"] == start and row["event"] in plan.trigger]
    values = _values(triggers, column)
    known = [row for row in inside if plan.takes(row) and row[column] is not None]
    if put and not values:
        last = max((row["at"] for row in known if row["at"] <= start), default=None)
        values = _values([row for row in known if row["at"] == last], column)
    value = min(values, default=MISSING)
    first = {}
    for row in sorted(known, key=lambda row: -row["at"]):
        if row["at"] >= start:
            first[str(row[column])] = row["at"] - start
    other = sorted(after for each, after in first.items() if each != value)
    seen = other if value != MISSING else other[1:]
    return value, seen[0] if put and seen else None


def _follow_return(entrant: Entrant, plan: Plan) -> None:
    """Find the opportunity after the need was met, and the return [11]."""
    met = entrant.times[-1]
    if met is None or not plan.returns:
        return
    later = [row for row in entrant.rows if row["at"] > met]
    if plan.trigger_meets_need:
        entrant.opportunity, ahead = met, later
        place = Stage("trigger", plan.trigger)
    else:
        again = _earliest(plan, later, Stage("trigger", plan.trigger))
        if again is None:
            return
        entrant.opportunity = again["at"]
        ahead = [row for row in later if row["at"] >= again["at"] and row is not again]
        place = plan.steps[0]
    limit = plan.return_window
    ahead = [row for row in ahead if limit is None or row["at"] <= entrant.opportunity + limit]
    taken = _earliest(plan, ahead, place)
    entrant.returned = None if taken is None else taken["at"]


def _follow_outcome(entrant: Entrant, plan: Plan, used: list[Row]) -> None:
    """Find the outcome's first row that served neither the trigger nor a step [12]."""
    if plan.outcome is None:
        return
    limit = plan.outcome_window
    rows = [
        row
        for row in entrant.rows
        if row["at"] >= entrant.start
        and (limit is None or row["at"] <= entrant.start + limit)
        and all(row is not taken for taken in used)
    ]
    first = _earliest(plan, rows, plan.outcome)
    entrant.outcome = None if first is None else first["at"]


def _earliest(plan: Plan, rows: Sequence[Row], place: Stage) -> Row | None:
    """Give the first row for a place; of one time, by the event listed first, then by terms [4, 22]."""
    return min(
        (row for row in rows if place.takes(row)),
        key=lambda row: (row["at"], place.events.index(row["event"]), plan.terms(row)),
        default=None,
    )


def _values(rows: Sequence[Row], column: str, customer: Any = None) -> set[str]:
    """Give the different values of a column as text; nulls are none."""
    return {
        str(row[column])
        for row in rows
        if row[column] is not None and (customer is None or row["customer"] == customer)
    }


def metrics(
    everyone: Sequence[Entrant],
    plan: Plan,
    periods: Sequence[Period],
    by: Sequence[str],
    as_of: int,
) -> list[Row]:
    """Count each step of each iteration and cohort [7, 8]."""
    table = []
    for period in periods:
        here = [each for each in everyone if each.period == period]
        for cohort in sorted({tuple(each.cohort[column] for column in by) for each in here}):
            members = [
                each for each in here if tuple(each.cohort[column] for column in by) == cohort
            ]
            closed = [each for each in members if each.closed(plan, as_of)]
            names = {"iteration": period.name, **dict(zip(by, cohort, strict=True))}
            for place, step in enumerate(plan.steps, start=1):
                entered = [each for each in members if each.times[place - 1] is not None]
                aligned = [each for each in entered if each.times[place] is not None]
                others = [each for each in entered if each.times[place] is None]
                deviated = [each for each in others if each.decided(plan, as_of)]
                pending = [each for each in others if not each.decided(plan, as_of)]
                converted = [each for each in closed if each.times[place] is not None]
                before = [each for each in closed if each.times[place - 1] is not None]
                hours = [(each.times[place] - each.start) / HOUR for each in aligned]
                facts = (len(entered), len(aligned), len(deviated), len(pending))
                rates = (len(converted), len(closed), len(before))
                table.append(_line(names, step.name, facts, rates, hours))
            for name, facts, rates, hours in _ends(members, plan, as_of):
                table.append(_line(names, name, facts, rates, hours))
    return table


def _ends(
    members: Sequence[Entrant], plan: Plan, as_of: int
) -> list[tuple[str, tuple[int, ...], tuple[int, int, int], list[float]]]:
    """Count adoption, of those with an opportunity, and the outcome, of all entrants [11, 12]."""
    ends: list[tuple[str, int | None, list[tuple[int, int | None]]]] = []
    if plan.returns:
        pairs = [(each.opportunity, each.returned) for each in members]
        known = [(since, at) for since, at in pairs if since is not None]
        ends.append(("adoption", plan.return_window, known))
    if plan.outcome is not None:
        known = [(each.start, each.outcome) for each in members]
        ends.append((plan.outcome.name, plan.outcome_window, known))
    found = []
    for name, limit, known in ends:
        closed = [(since, at) for since, at in known if limit is None or since + limit <= as_of]
        aligned = [(since, at) for since, at in known if at is not None]
        converted = sum(at is not None for _, at in closed)
        deviated = len(closed) - converted
        pending = len(known) - len(aligned) - deviated
        facts = (len(known), len(aligned), deviated, pending)
        hours = [(at - since) / HOUR for since, at in aligned]
        found.append((name, facts, (converted, len(closed), len(closed)), hours))
    return found


def both(
    everyone: Sequence[Entrant], plan: Plan, periods: Sequence[Period], as_of: int
) -> dict[str, tuple[int, int]]:
    """Count who returned and had the outcome by the end of its window, of whom it is over [14]."""
    found, limit = {}, plan.outcome_window
    for period in periods:
        here = [each for each in everyone if each.period == period]
        closed = [each for each in here if limit is None or each.start + limit <= as_of]
        did = [
            each
            for each in closed
            if each.outcome is not None
            and each.returned is not None
            and (limit is None or each.returned <= each.start + limit)
        ]
        if closed:
            found[period.name] = (len(did), len(closed))
    return found


def _line(
    names: Row,
    step: str,
    facts: tuple[int, ...],
    rates: tuple[int, int, int],
    hours: list[float],
) -> Row:
    converted, closed, before = rates
    low, high = _wilson(converted, closed)
    return {
        **names,
        "step": step,
        **dict(zip(("entered", "aligned", "deviated", "pending"), facts, strict=True)),
        "converted": converted,
        "closed": closed,
        "rate": converted / closed if closed else nan,
        "low": low,
        "high": high,
        "step_rate": converted / before if before else nan,
        "median_hours": median(hours) if hours else nan,
    }


def _wilson(converted: int, total: int, confidence_level: float = 0.95) -> tuple[float, float]:
    """Wilson (1927), solved for the rate."""
    if total == 0:
        return nan, nan
    z = NormalDist().inv_cdf(0.5 + confidence_level / 2)
    rate = converted / total
    middle = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def deviations(
    everyone: Sequence[Entrant], plan: Plan, periods: Sequence[Period], step: str, as_of: int
) -> dict[tuple[str, str], int]:
    """Count, per iteration, the next event of those who deviated at a step [10]."""
    place = 1 + [each.name for each in plan.steps].index(step)
    late = {name: f"{name} (too late)" for name in plan.steps[place - 1].events}
    found: Counter[tuple[str, str]] = Counter()
    for period in periods:
        for each in everyone:
            last = each.times[place - 1]
            deviated = each.times[place] is None and each.decided(plan, as_of)
            if each.period != period or last is None or not deviated:
                continue
            later = [row for row in each.rows if row["at"] > last]
            first = min(later, key=lambda row: (row["at"], row["event"]), default=None)
            event = NOTHING if first is None else first["event"]
            found[period.name, late.get(event, event)] += 1
    return dict(found)


def crossovers(everyone: Sequence[Entrant]) -> dict[tuple[str, str], list[int]]:
    """List by iteration and experiment how long after the trigger crossovers saw another group [9]."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in everyone:
        for column, after in each.crossed.items():
            found.setdefault((each.period.name, column), []).append(after)
    return {key: sorted(after) for key, after in found.items()}


def duplicates(rows: Sequence[Row]) -> int:
    """Count the rows that repeat another one exactly [4]."""
    return len(rows) - len(distinct(rows))


def ties(rows: Sequence[Row], plan: Plan) -> int:
    """Count the moments at which one customer has several different events of the flow [3]."""
    names: dict[tuple[Any, int], set[str]] = {}
    for row in rows:
        if row["event"] in plan.events:
            names.setdefault((row["customer"], row["at"]), set()).add(row["event"])
    return sum(len(each) > 1 for each in names.values())


def same(left: Row, right: Row) -> bool:
    """Compare two rows of metrics: undefined equals undefined, numbers to nine decimals."""
    return left.keys() == right.keys() and all(
        (isnan(value) and isnan(right[name])) or abs(value - right[name]) < 1e-9
        if isinstance(value, float)
        else value == right[name]
        for name, value in left.items()
    )


def outcomes(
    rows: Sequence[Row], by: str, experiment: str, per: str
) -> dict[str, tuple[int, int, int, int]] | None:
    """Count a table's outcome `done` by a grouping: entered, aligned, deviated, pending [17].

    None where two rows of a customer contradict each other.
    """
    kept = list(rows) if per == "none" else distinct(rows)
    everybody: dict[Any, list[Row]] = {}
    for place, row in enumerate(kept):
        everybody.setdefault(place if per == "none" else row["customer"], []).append(row)
    found: dict[str, list[bool | None]] = {}
    for own in everybody.values():
        if len({row[experiment] for row in own}) > 1:
            continue  # a crossover
        if per == "customer" and len(own) > 1:
            return None
        values = {row[by] for row in own}
        value = "(several)" if len(values) > 1 else values.pop()
        done = {row["done"] for row in own}
        state = True if True in done else None if None in done else False
        found.setdefault(MISSING if value is None else value, []).append(state)
    return {
        value: (len(each), each.count(True), each.count(False), each.count(None))
        for value, each in found.items()
    }
