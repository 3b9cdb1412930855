"""Look into a file and guess what its columns are, so that a study can be written on it.

Names of columns make a guess and their values decide: a time is what the reader of times understands,
a yes/no what outcomes may hold, a count a whole number. Each guess carries its reason. What cannot be
guessed is said in one sentence with the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import narwhals as nw

from workbench.data.counts import NO, YES
from workbench.data.engines import Frame, keep, quoted
from workbench.data.profile import (
    MOST_LEVELS,
    TIME,
    UNNAMED,
    Column,
    Look,
    ask,
    by_name,
    in_list,
    look,
    no_time,
    one_source,
    sample,
    text,
    time_column,
    time_formats,
    understood,
    words,
)
from workbench.data.times import AT, instants, read_time
from workbench.errors import DataError
from workbench.schema.cohort import GroupingKind
from workbench.schema.study import NO_IDS
from workbench.schema.time import FORMS, Iteration, Period, PeriodKind, from_instant, to_instant

Data = Literal["events", "counts", "outcomes", "indicators"]
MOST_ARMS, MOST_EVENTS, MOST_STEPS, MOST_SPANS = 4, 500, 6, 24
MOST_PAIRED, SAMPLE = 40, 500_000  # events that are compared, and first occurrences of them
NEARLY, RARE = 0.8, 0.005  # of the customers of the most frequent event, or of the trigger
FALL = 0.985  # a step has so many of the customers of the one before it, at most
CONSTANT = 0.95  # of the customers with a value of a grouping have only one
NO_GROUP = (*TIME, "id", "iteration", "customer", "event")
EVENT_NAME = "(event)"
TWO_MONTHS = timedelta(days=59)
BAD = "cancel|declin|reject|fail|error|refus|abandon|unsubscri|churn|delet|exit"
CUSTOMER = (
    *("customer id", "customer", "customerid", "user id", "userid", "user", "uid", "visitor id"),
    *("visitor", "visitorid", "distinct id", "account id", "account", "case id", "caseid"),
    *("case concept name", "case", "client", "member", "player", "person", "patient", "student"),
    *("subscriber", "contact", "company", "tenant", "device", "session", "id"),
)
EVENT = (
    *("event", "event name", "eventname", "activity", "activity name", "concept name", "action"),
    *("event type", "step", "stage", "type", "page", "status"),
)
EXPERIMENT = (
    *("variant", "arm", "group", "version", "test group", "ab", "ab group", "experiment", "bucket"),
    *("treatment", "condition"),
)
CONTROLS = ("control", "blank", "old", "off", "a", "baseline", "current", "no", "false", "0")
NAMING, VALUES = ("indicator", "metric", "kpi", "measure", "variable", "name"), ("value", "values")
LAGGING = (
    *(
        "sales",
        "revenue",
        "renewal",
        "renewals",
        "renewed",
        "churn",
        "profit",
        "orders",
        "retention",
    ),
    *("turnover", "income", "margin", "outcome", "purchases"),
)
LOWER = (
    *("churn", "tickets", "complaints", "errors", "hours", "minutes", "days", "cost", "costs"),
    *("cancellations", "bugs", "defects", "returns"),
)


@dataclass(frozen=True)
class Guess:
    """What was guessed, and why."""

    value: str
    why: str


@dataclass(frozen=True)
class Group:
    """A grouping: its kind and levels; one that is only proposed has `bins` instead."""

    column: str
    kind: GroupingKind
    levels: tuple[str, ...] = ()
    bins: tuple[float, ...] = ()


@dataclass(frozen=True)
class Claim:
    """The two cohorts of an experiment to compare, and the iteration to compare them in."""

    column: str
    control: str
    treatment: str
    iteration: str


@dataclass(frozen=True)
class Indicator:
    """An indicator, whether it leads or lags, which way is good, and whether it is yes or no."""

    name: str
    kind: Literal["leading", "lagging"]
    better: Literal["higher", "lower"]
    yes_no: bool


@dataclass(frozen=True)
class EventName:
    """An event: how many customers have it, and at which place in their order, by the median."""

    name: str
    customers: int
    position: float


@dataclass(frozen=True)
class Inspection:
    """What files seem to hold.

    `roles` names columns by the keys of a study file. `steps` are event names for events, otherwise
    columns. `hours` is the time from the trigger in which 90 % of those who met their need did so.
    `left_out` says what could not be used.
    """

    kind: Data
    table: Look
    roles: Mapping[str, Guess]
    trigger: str = ""
    steps: tuple[str, ...] = ()
    events: tuple[EventName, ...] = ()
    totals: Mapping[str, int] = field(default_factory=dict)
    hours: float | None = None
    iterations: tuple[Iteration, ...] = ()
    groups: tuple[Group, ...] = ()
    claim: Claim | None = None
    indicators: tuple[Indicator, ...] = ()
    left_out: tuple[str, ...] = ()


def inspect(kind: Data, written: Sequence[str]) -> tuple[Inspection, Path]:
    """Look into files and guess what they hold.

    Args:
        kind: What they are: events, counts, outcomes or indicators.
        written: Files and globs, relative to the working directory. Several files have the same
            columns, and one folder.

    Returns:
        The guesses, and the path of the file, or of the pattern that stands for the files.

    Raises:
        DataError: The files cannot be read, or lack a column that such data need.

    >>> found, path = inspect("events", ["studies/guided-import/data/events.parquet"])
    >>> found.roles["customer"].value, found.steps[0], path.name
    ('customer_id', 'opened_preview', 'events.parquet')
    """
    path, several = one_source(written)
    table = look(path, several=several)
    guess = {"events": _events, "counts": _counts, "outcomes": _outcomes}.get(kind, _indicators)
    return guess(table), path


def iterations_of(first: datetime, last: datetime) -> tuple[Iteration, ...]:
    """Cut a time into calendar months, or into two halves if it is shorter than two of them.

    More than 24 months are cut into quarters, and more than 24 of these into years.

    Args:
        first: The first moment at which a customer enters.
        last: The last one.

    >>> [str(each) for each in iterations_of(datetime(2026, 1, 8), datetime(2026, 3, 9))]
    ['2026-01', '2026-02', '2026-03']
    >>> iterations_of(datetime(2026, 1, 8), datetime(2026, 1, 11))[1].start
    datetime.date(2026, 1, 10)
    """
    begin, end = first.date(), last.date() + timedelta(days=1)
    if end - begin >= TWO_MONTHS:
        kinds: tuple[PeriodKind, ...] = ("month", "quarter")
        for kind in kinds:
            low, high = (Period.containing(day.date(), kind).number for day in (first, last))
            if high - low < MOST_SPANS:
                spans = [Period(kind, number) for number in range(low, high + 1)]
                return tuple(Iteration(name=p.name, start=p.start, end=p.end) for p in spans)
        years = range(begin.year, end.year + 1)
        return tuple(
            Iteration(name=str(year), start=date(year, 1, 1), end=date(year + 1, 1, 1))
            for year in years
            if date(year, 1, 1) < end
        )
    middle = begin + timedelta(days=(end - begin).days // 2)
    if middle == begin:
        return (Iteration(name="first", start=begin, end=end),)
    return (
        Iteration(name="first half", start=begin, end=middle),
        Iteration(name="second half", start=middle, end=end),
    )


# Groupings and what to compare
def _kind_of(column: Column, file_column: str | None) -> GroupingKind:
    """Tell an experiment from a segment by the column's name and values."""
    held = {word for level in column.levels for word in words(level).split()}
    named = words(column.name) in EXPERIMENT or bool(held & {"control", "treatment"})
    dated = column.name == file_column and all(re.search(r"\d{4}", each) for each in column.levels)
    drawn = named and column.distinct <= MOST_ARMS and not dated
    return "experiment" if drawn else "segment"


def _groups(
    table: Look, taken: Iterable[str], steady: Mapping[str, bool] | None = None
) -> tuple[Group, ...]:
    """Return the groupings, and where columns of many numbers could be cut into groups.

    `steady` says of each column whether it has one value a customer; all have without it.
    """
    found = []
    for each in table.columns:
        once = steady is None or steady.get(each.name, False)
        if each.name in taken or not once or words(each.name) in NO_GROUP:
            continue
        if each.several:
            found.append(Group(each.name, _kind_of(each, table.file_column), each.levels))
        elif each.number and each.distinct < each.known and not each.name.startswith(UNNAMED):
            value = f"try_cast({quoted(each.name)} as double)"
            cuts = table.ask(f"select quantile_cont({value}, [0.25, 0.5, 0.75]) from log")[0][0]
            bins = tuple(sorted({float(f"{cut:.1g}") for cut in cuts or ()}))
            found.append(Group(each.name, "segment", bins=bins))
    return tuple(found)


def control_of(levels: Sequence[str]) -> str:
    """Return the level that a control would be called, or else the first by name.

    >>> control_of(["new page", "old page"]), control_of(["gate_30", "gate_40"])
    ('old page', 'gate_30')
    """
    whole = [each for name in CONTROLS for each in levels if words(each) == name]
    part = [each for name in CONTROLS for each in levels if name in words(each).split()]
    return (*whole, *part, *sorted(levels))[0]


def _claim(
    rows: Frame, groups: Sequence[Group], iterations: Sequence[Iteration], who: str
) -> Claim | None:
    """Compare an experiment's two levels in the newest iteration that has entrants of both."""
    for group in groups:
        if group.kind == "experiment" and len(group.levels) == 2:
            control = control_of(group.levels)
            (treatment,) = (each for each in group.levels if each != control)
            for span in reversed(iterations):
                when = ""
                if span.start is not None:
                    begin, end = (to_instant(each) for each in span.bounds(UTC))
                    when = f"and {quoted(AT)} >= {begin} and {quoted(AT)} < {end}"
                level = f"cast({quoted(group.column)} as varchar)"
                here = {
                    row[0]
                    for row in ask(rows, f"select distinct {level} from log where {who} {when}")
                }
                if {control, treatment} <= here:
                    return Claim(group.column, control, treatment, span.name)
    return None


# Events
def event_names(rows: Frame) -> tuple[EventName, ...]:
    """List the events of a log in the order of their usual first occurrence.

    Args:
        rows: The columns customer, event and AT, on DuckDB.
    """
    found = ask(
        rows,
        f"with r as (select customer, event, dense_rank() over (partition by customer order by "
        f"{quoted(AT)}) p from log where event is not null), "
        "f as (select customer, event, min(p) p from r group by all) "
        "select event, count(*) n, median(p) m from f group by 1 order by m, avg(p), n desc, 1",
    )
    # A study file trims names, so that one with spaces around it cannot be written there.
    return tuple(EventName(*row) for row in found if row[0] == row[0].strip() != "")


def followed_by(rows: Frame, names: Sequence[EventName]) -> dict[tuple[str, str], float]:
    """Return which share of the customers of an event had another one before, by both names.

    Args:
        rows: The columns customer, event and AT, on DuckDB.
        names: The log's events; the 40 with most customers count.
    """
    most = sorted(names, key=lambda each: -each.customers)[:MOST_PAIRED]
    wanted = ", ".join(text(each.name) for each in most)
    every = max(1, sum(each.customers for each in most) // SAMPLE)
    found = ask(
        rows,
        f"with f as (select customer, event, min({quoted(AT)}) t from log where event in ({wanted}) "
        f"and hash(customer) % {every} = 0 group by all) select a.event, b.event, count(*) "
        "from f a join f b using (customer) where a.t <= b.t group by all",
    )
    both = {(first, then): count for first, then, count in found}
    return {pair: count / both[pair[1], pair[1]] for pair, count in both.items()}


def usual_path(
    names: Sequence[EventName], before: Mapping[tuple[str, str], float]
) -> tuple[EventName, ...]:
    """Return the trigger and the steps that most customers seem to take, at most six of them.

    The trigger is the first event of those that nearly every customer has. From there on each step has
    fewer customers than the one before, and nearly all of them had that one before it.

    Args:
        names: The events in the order of their first occurrence.
        before: Which share of the customers of an event had another one before it, by both names.

    >>> names = [EventName("visit", 9, 1), EventName("help", 2, 2), EventName("pay", 3, 3)]
    >>> before = {("visit", "help"): 1, ("visit", "pay"): 1, ("help", "pay"): 0.3}
    >>> [each.name for each in usual_path(names, before)]
    ['visit', 'pay']
    """
    most = max(each.customers for each in names)
    trigger = next(each for each in names if each.customers >= NEARLY * most)
    for least, fall, bad in ((0.8, FALL, False), (0.5, FALL, False), (0.0, 1.0, True)):
        best: dict[str, tuple[int, int, int, tuple[EventName, ...]]] = {
            trigger.name: (0, 0, 0, (trigger,))
        }
        for place, each in enumerate(names):
            rare = each.customers < max(2, RARE * trigger.customers)
            if each == trigger or (not bad and (rare or re.search(BAD, each.name.lower()))):
                continue
            chains = [
                (length + 1, total + each.customers, places + place, (*chain, each))
                for length, total, places, chain in best.values()
                if each.customers <= fall * chain[-1].customers
                and before.get((chain[-1].name, each.name), 0) >= max(least, 1e-9)
            ]
            if chains:
                best[each.name] = max(chains, key=lambda chain: chain[:3])
        path = list(max(best.values(), key=lambda chain: chain[:3])[3])
        if len(path) > 1:
            while len(path) > MOST_STEPS + 1:
                falls = [
                    (path[at].customers / path[at - 1].customers, at)
                    for at in range(1, len(path) - 1)
                ]
                del path[max(falls)[1]]
            return tuple(path)
    return (trigger,)


def _steady(table: Look, customer: str) -> dict[str, bool]:
    """Say of columns whether nearly every customer has one value only."""
    found = {}
    for each in table.columns:
        if each.name != customer and each.known:
            one = (
                f"select count(distinct {quoted(each.name)}) n from log where {quoted(each.name)} "
                f"is not null group by {quoted(customer)}"
            )
            share = table.ask(f"select avg(cast(n <= 1 as int)) from ({one})")[0][0]
            found[each.name] = share is not None and share >= CONSTANT
    return found


def _customer(table: Look, taken: Sequence[str]) -> Column:
    """Return the column of customers of a log."""
    free = [each for each in table.columns if each.distinct < each.known and each.name not in taken]
    many = [
        each for each in free if each.distinct > MOST_LEVELS and (each.whole or not each.number)
    ]
    named = sorted(by_name(free, CUSTOMER), key=lambda each: each.distinct <= MOST_LEVELS)
    if found := (*named, *sorted(many, key=lambda each: -each.distinct)):
        return found[0]
    if unique := by_name(table.columns, CUSTOMER):
        msg = (
            f"no two rows of {table.name} have the same {unique[0].name}, so nobody takes a second "
            "step; name a log with several events a customer, or use --outcomes for a row a customer"
        )
        raise DataError(msg)
    raise table.missing("holds customers", "call theirs customer, with an id in each row")


def _event(table: Look, taken: Sequence[str], steady: Mapping[str, bool]) -> Column | None:
    """Return the column of event names; None for a log of one event."""
    free = [each for each in table.columns if each.name not in taken and not each.number]
    free = [each for each in free if 0 < each.distinct <= MOST_EVENTS]
    exact = [each for each in free if words(each.name) in EVENT]
    free = [each for each in free if each.distinct < each.known and not each.yes_no]
    varied = [each for each in free if not steady.get(each.name)]
    named = [*by_name(exact, EVENT), *by_name(varied, EVENT)]
    return named[0] if named else max(varied, key=lambda each: each.distinct, default=None)


def _complete(table: Look) -> tuple[Column, str] | None:
    """Return the column and value of complete activities, where a log has other rows too."""
    for each in table.columns:
        if {*words(each.name).split()} & {"lifecycle", "transition"} and each.distinct > 1:
            top = f"select {quoted(each.name)} from log group by 1 order by count(*) desc limit 1"
            value = str(table.ask(top)[0][0])
            if value.lower() == "complete":
                return each, value
    return None


def _events(table: Look) -> Inspection:
    found = time_column(table)
    if found is None:
        raise table.missing("holds times", no_time(table))
    time, form = found
    complete = _complete(table)
    taken = [time.name, *([complete[0].name] if complete else [])]
    likely = [each.name for each in table.columns if words(each.name) in EVENT]
    customer = _customer(table, [*taken, *likely, table.file_column or ""])
    steady, taken = _steady(table, customer.name), [*taken, customer.name]
    event = _event(table, [*taken, table.file_column or ""], steady)
    each_has = f"{customer.distinct:,} different values, {customer.known / customer.distinct:.3g} rows each"
    roles = {"customer": Guess(customer.name, each_has)}
    if event is None:
        name = re.sub(r"\W+", " ", table.name.partition(".")[0]).strip() or "event"
        roles["event_name"] = Guess(name, "no column names events, so every row is the same one")
    else:
        roles["event"] = Guess(event.name, f"{event.distinct} different values")
    roles |= _time_roles(table, time, form)
    log = instants(table.frame, time.name, "UTC", table.name, form)
    if complete:
        column, value = complete
        roles["where"] = Guess(value, f"most rows; the others of {column.name} only begin or plan")
        roles["lifecycle"] = Guess(column.name, "")
        log = log.filter(nw.col(column.name) == value)
    groups = _groups(table, [*taken, *([event.name] if event else [])], steady)
    what = nw.lit(roles["event_name"].value) if event is None else nw.col(event.name)
    log = log.with_columns(what.cast(nw.String).alias(EVENT_NAME))
    roles_of = [nw.col(customer.name).alias("customer"), nw.col(EVENT_NAME).alias("event")]
    rows = keep(log.select(AT, *roles_of))
    names = event_names(rows)
    if not names:
        raise table.missing("names events", "call theirs event")
    trigger, *steps = usual_path(names, followed_by(rows, names))
    name = text(trigger.name)
    low, high = ask(
        rows, f"select min({quoted(AT)}), max({quoted(AT)}) from log where event = {name}"
    )[0]
    iterations = iterations_of(from_instant(low), from_instant(high))
    entrants = log.filter(nw.col(EVENT_NAME) == trigger.name)
    return Inspection(
        kind="events",
        table=table,
        roles=roles,
        trigger=trigger.name,
        steps=tuple(each.name for each in steps) or (trigger.name,),
        events=names,
        hours=_hours(rows, name, text(steps[-1].name)) if steps else None,
        iterations=iterations,
        groups=groups,
        claim=_claim(entrants, groups, iterations, "true"),
    )


def _time_roles(table: Look, time: Column, form: str | None) -> dict[str, Guess]:
    """Name the column of times, how they are written, and their zone if they carry none."""
    roles = {"time": Guess(time.name, "every value is read as a time")}
    if form:
        roles["time_format"] = Guess(form, "of the usual forms, the only one that fits every value")
    first = sample(table, time.name)[0]
    if form or read_time(first, "UTC") != read_time(first, "Asia/Tokyo"):
        roles["timezone"] = Guess("UTC", "times carry no zone; write yours, such as Europe/Oslo")
    return roles


def _hours(rows: Frame, trigger: str, need: str) -> float | None:
    """Return the hours in which 90 % of those who met their need did so, from the trigger."""
    at = quoted(AT)
    found = ask(
        rows,
        f"with t as (select customer, min({at}) t from log where event = {trigger} group by 1), "
        f"n as (select customer, min({at}) n from log join t using (customer) "
        f"where event = {need} and {at} >= t group by 1) "
        "select quantile_cont(n - t, 0.9) / 3.6e9 from n join t using (customer)",
    )
    return None if found[0][0] is None else float(found[0][0])


# Counts
def _counts(table: Look) -> Inspection:
    named = [each.name for each in by_name(table.columns, TIME)]
    counts = [
        each.name
        for each in table.columns
        if each.whole and each.name not in named and not each.name.startswith(UNNAMED)
    ]
    if len(counts) < 2:
        way_out = "a row holds whole numbers of customers, those who entered and those of each step"
        raise table.missing("holds the counts of a step after a trigger", way_out)
    totals = {name: table.ask(f"select sum({_number(name)}) from log")[0][0] for name in counts}
    trigger = max(counts, key=lambda name: totals[name])
    after = (
        counts[counts.index(trigger) + 1 :] or sorted(counts, key=lambda name: -totals[name])[1:]
    )
    chain = [trigger]
    for name in after:
        before, here = _number(chain[-1]), _number(name)
        odd = f"{here} > {before} or ({before} is null and {here} is not null)"
        if not table.ask(f"select count(*) from log where {odd}")[0][0]:
            chain.append(name)
    if len(chain) < 2:
        raise table.missing("holds a step", f"no count is at most {trigger} in every row")
    roles, left_out, frame = {}, [], table.frame
    iterations: tuple[Iteration, ...] = (Iteration(name="all"),)
    if found := time_column(table):
        roles = _time_roles(table, *found)
        frame = keep(instants(frame, found[0].name, "UTC", table.name, found[1]))
        low, high = ask(frame, f"select min({quoted(AT)}), max({quoted(AT)}) from log")[0]
        iterations = iterations_of(from_instant(low), from_instant(high))
    elif named:
        value = sample(table, named[0])[0]
        left_out.append(
            f"column {named[0]} is left out: {value!r} is no time with a year, month and day"
        )
    number = [each.name for each in table.columns if each.number]
    groups = _groups(table, [*named, *number, *(each.value for each in roles.values())])
    return Inspection(
        kind="counts",
        table=table,
        roles=roles,
        trigger=trigger,
        steps=tuple(chain[1:]),
        totals={name: int(totals[name] or 0) for name in chain},
        iterations=iterations,
        groups=groups,
        claim=_claim(frame, groups, iterations, f"{_number(trigger)} > 0"),
        left_out=tuple(left_out),
    )


# Outcomes
def _outcomes(table: Look) -> Inspection:
    usable = [each for each in table.columns if not each.name.startswith(UNNAMED) and each.known]
    outcomes = [each.name for each in usable if each.yes_no and words(each.name) not in EXPERIMENT]
    if not outcomes:
        raise table.missing("holds yes or no", "an outcome is true or false, yes or no, 1 or 0")
    ids = [each for each in usable if each.name not in outcomes and (each.whole or not each.number)]
    whole = [each for each in ids if each.known == table.rows]
    unique = [each for each in whole if each.distinct == table.rows]
    named = [each for each in whole if words(each.name) in CUSTOMER]
    found = (*by_name(unique, CUSTOMER), *by_name(named, CUSTOMER), *unique)
    customer, roles = found[0] if found else None, {}
    if customer is None:
        roles["customer"] = Guess(NO_IDS, "no column holds ids, so each row is a customer")
    else:
        roles["customer"] = Guess(customer.name, f"{customer.distinct:,} different values")
        if customer.distinct < table.rows:
            roles["per"] = Guess("visit", f"{table.rows:,} rows, so a customer has several")
    groups = _groups(table, [*outcomes, *([customer.name] if customer else [])])
    iterations = (Iteration(name="all"),)
    return Inspection(
        kind="outcomes",
        table=table,
        roles=roles,
        steps=tuple(outcomes),
        iterations=iterations,
        groups=groups,
        claim=_claim(table.frame, groups, iterations, "true"),
    )


# Indicators
def _indicators(table: Look) -> Inspection:
    usable = [each for each in table.columns if not each.name.startswith(UNNAMED) and each.known]
    found = next(
        ((each, *read) for each in by_name(usable, TIME) if (read := _period(table, each))), None
    )
    if found is None:
        raise table.missing(
            "holds periods", "write them as 2026-01-31, 2026-W05, 2026-01, or 1, 2, 3"
        )
    period, kind, form = found
    roles = {"period": Guess(period.name, f"{period.distinct} different values")}
    roles["kind"] = Guess(kind, "as its values are written and how far they lie apart")
    if form:
        roles["time_format"] = Guess(form, "of the usual forms, the only one that fits every value")
    for each in usable:
        if words(each.name) in CUSTOMER and each.distinct < each.known:
            roles["customer"] = Guess(each.name, f"{each.distinct:,} different values")
            break
    taken = [each.value for each in roles.values()]
    free = [each for each in usable if each.name not in taken]
    long = next((each for each in free if words(each.name) in NAMING and not each.number), None)
    value = next((each for each in free if words(each.name) in VALUES), None)
    if long is not None and value is not None:
        roles["indicator"] = Guess(long.name, f"{long.distinct} different values")
        roles["value"] = Guess(value.name, "a number in each row")
        yes = f"bool_and(lower(trim(cast({quoted(value.name)} as varchar))) in {in_list((*YES, *NO))})"
        column = quoted(long.name)
        names = table.ask(
            f"select {column}, {yes} from log where {column} is not null group by 1 order by 1"
        )
    else:
        names = [(each.name, each.yes_no) for each in free if each.number or each.yes_no]
    if not names:
        raise table.missing(
            "holds numbers beside the periods", "an indicator is a column of numbers"
        )
    numbers = [value.name] if long and value else [name for name, _ in names]
    cells = ", ".join(f"cast({quoted(name)} as varchar)" for name in numbers)
    if table.ask(f"select bool_or(contains(concat({cells}), ',')) from log")[0][0]:
        roles["decimal"] = Guess(",", "some values have a comma")
    return Inspection(
        kind="indicators", table=table, roles=roles, indicators=_leading_and_lagging(names)
    )


def _leading_and_lagging(names: Sequence[tuple[str, bool]]) -> tuple[Indicator, ...]:
    """Tell lagging indicators by their names; one leads at least, and the last lags if none does."""
    late = [bool({*words(name).split()} & {*LAGGING}) for name, _ in names]
    if not any(late[1:]) and not late[0]:
        late[-1] = len(names) > 1
    elif all(late):
        late[0] = False
    return tuple(
        Indicator(
            name,
            "lagging" if lags else "leading",
            "lower" if {*words(name).split()} & {*LOWER} else "higher",
            bool(yes_no),
        )
        for (name, yes_no), lags in zip(names, late, strict=True)
    )


def _period(table: Look, column: Column) -> tuple[PeriodKind, str | None] | None:
    """Tell the kind of the periods of a column, and their format if they need one."""
    name = quoted(column.name)
    written = [
        row[0].strip()
        for row in table.ask(
            f"select distinct cast({name} as varchar) from log where {name} is not null"
        )
    ]
    for kind, form in FORMS.items():
        if all(re.fullmatch(form, each) for each in written):
            return kind, None
    if column.whole and not understood(table, column.name):
        return "number", None
    formats = [None] if understood(table, column.name) else time_formats(table, column.name)
    if len(formats) != 1:
        return None
    days = sorted({read_time(each, "UTC", formats[0]).date() for each in written})
    gap = min(((later - day).days for day, later in pairwise(days)), default=1)
    kinds: tuple[tuple[int, PeriodKind], ...] = ((88, "quarter"), (28, "month"), (7, "week"))
    return next((kind for least, kind in kinds if gap >= least), "day"), formats[0]


def _number(name: str) -> str:
    return f"try_cast({quoted(name)} as bigint)"
