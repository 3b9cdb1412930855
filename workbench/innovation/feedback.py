"""Feedback: themes of what customers said, and where it contradicts what they did."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
from pydantic import ValidationError

from workbench.data.counts import OutcomesTable
from workbench.data.engines import Frame, collect
from workbench.data.readers import name as name_of
from workbench.data.study_data import Journeys, StudyData
from workbench.data.times import read_time
from workbench.errors import DataError, StudyError, unknown_name
from workbench.schema.cohort import MISSING, Cohort
from workbench.schema.study import FeedbackSource
from workbench.schema.time import Iteration, from_instant

SOURCES = (
    "phone interview",
    "personal interview",
    "focus group",
    "in-app survey",
    "e-mail survey",
    "third-party site",
    "social media",
    "user test",
    "session replay",
    "another team",
    "support ticket",
    "sales call",
)
OBSERVED = ("search question", "other product", "call to action", "value proposition")
SENTIMENTS = ("positive", "neutral", "negative")
REQUIRED = ("id", "date", "source", "theme", "sentiment")
COLUMNS = (*REQUIRED, "customer", "cohort", "step", "quote")
EVERYBODY = "(all)"
ANYWHERE = "(no step)"
NOT_ENTERED = "did not enter"


@dataclass(frozen=True)
class Remark:
    """One piece of feedback, of a `customer` by id or of a whole `cohort`.

    An observation, such as what people search for, may be nobody's, and was made `count` times.
    """

    id: str
    date: date
    source: str
    theme: str
    sentiment: str
    customer: str | None = None
    cohort: Cohort | None = None
    step: str | None = None
    quote: str = ""
    count: int = 1


def read_feedback(
    table: Frame,
    source: FeedbackSource,
    steps: Sequence[str],
    groupings: Sequence[str],
    zone: str = "UTC",
) -> tuple[Remark, ...]:
    """Return the remarks of a table, in its order; a date with a time is the day of `zone`.

    Raises:
        DataError: For a missing column, a repeated id, an unreadable date, an unknown source,
            sentiment, step or grouping, and a remark that is no observation, without a customer or
            cohort.
    """
    columns = table.collect_schema().names()
    for column in REQUIRED:
        if column not in columns:
            raise DataError(f"{source.source}: {unknown_name('column', column, columns)}")
    remarks: dict[str, Remark] = {}
    for number, row in enumerate(collect(table), start=1):
        texts = {column: _text(row.get(column)) for column in (*COLUMNS, "count")}
        where = f"{source.source}: remark {texts['id'] or f'in row {number}'}"
        if texts["date"]:
            try:
                day = read_time(texts["date"], zone, source.time_format).date()
            except ValueError as error:
                raise DataError(f"{where}: date {error}") from None
            texts["date"] = day.isoformat()
        remark = _remark(texts, where, source.sources, steps, groupings)
        if remark.id in remarks:
            raise DataError(f"{where} is there twice; give each remark an id of its own")
        remarks[remark.id] = remark
    return tuple(remarks.values())


def _remark(
    texts: dict[str, str],
    where: str,
    own: Sequence[str],
    steps: Sequence[str],
    groupings: Sequence[str],
) -> Remark:
    observed = texts["source"] in OBSERVED
    if observed:
        texts["sentiment"] = texts["sentiment"] or "neutral"
    for column in REQUIRED:
        if not texts[column]:
            raise DataError(f"{where} has no {column}; fill it in, or leave the row out")
    sources = (*SOURCES, *OBSERVED, *own)
    if texts["source"] not in sources:
        said = unknown_name("source", texts["source"], sources, most=len(sources))
        more = f"; or add it to the study: feedback: sources: [{texts['source']}]"
        raise DataError(f"{where}: {said}{more}")
    for column, allowed in (("sentiment", SENTIMENTS), ("step", steps)):
        if texts[column] and texts[column] not in allowed:
            raise DataError(f"{where}: {unknown_name(column, texts[column], allowed)}")
    if texts["customer"] and texts["cohort"]:
        raise DataError(f"{where} has both a customer and a cohort; say whose it is by one of them")
    if not (observed or texts["customer"] or texts["cohort"]):
        said = "say whose it is by one of the two; only observations may be nobody's: "
        raise DataError(f"{where} has no customer and no cohort; {said}{', '.join(OBSERVED)}")
    if texts["count"] and not (observed and re.fullmatch(r"[1-9]\d*", texts["count"])):
        rule = "a whole number from 1, for observations only: " + ", ".join(OBSERVED)
        raise DataError(f"{where}: count is {texts['count']!r}; it must be {rule}")
    return Remark(
        id=texts["id"],
        date=date.fromisoformat(texts["date"]),
        source=texts["source"],
        theme=texts["theme"],
        sentiment=texts["sentiment"],
        customer=texts["customer"] or None,
        cohort=_cohort(texts["cohort"], where, groupings) if texts["cohort"] else None,
        step=texts["step"] or None,
        quote=texts["quote"],
        count=int(texts["count"] or 1),
    )


def _cohort(written: str, where: str, groupings: Sequence[str]) -> Cohort:
    """Return the cohort of a text such as `industry = retail, country = NL`."""
    pairs = [part.partition("=")[::2] for part in written.split(",")]
    values = {column.strip(): value.strip() for column, value in pairs}
    for column, value in values.items():
        if column not in groupings:
            raise DataError(f"{where}: {unknown_name('grouping', column, groupings)}")
        if not value:
            raise DataError(f"{where}: cohort {written!r} has no value; write {column} = VALUE")
    try:
        return Cohort.model_validate(values)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise DataError(f"{where}: {written!r} is not a cohort: {said}") from None


def _text(value: Any) -> str:
    written = name_of(value)
    return "" if written == MISSING else written.strip()


@dataclass(frozen=True)
class CustomerEntry:
    """One customer's entry into the flow: what they did at each step, and their groupings' values."""

    customer: str
    iteration: str
    entered: date
    done: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)


class Theme(NamedTuple):
    """Counts of a theme at a step, for the customers with one value of a grouping.

    `customers`, `positive` and `negative` count customers, each once. `remarks` counts remarks and
    observations; `unnamed` those among them that name no customer.
    """

    theme: str
    step: str
    grouping: str
    level: str
    customers: int
    positive: int
    negative: int
    remarks: int
    unnamed: int


class Agreement(NamedTuple):
    """Customers by what their newest remark about a step says, and by whether they are aligned."""

    step: str
    customers: int
    success_aligned: int
    success_not_aligned: int
    trouble_aligned: int
    trouble_not_aligned: int


class Contradiction(NamedTuple):
    """A remark that contradicts what its customer did; id and quote only if the study allows them."""

    remark: str
    iteration: str
    step: str
    theme: str
    source: str
    said: str
    done: str
    customer: str
    quote: str


class Cited(NamedTuple):
    """The evidence of a hypothesis or idea: its remarks, their customers and their themes."""

    hypothesis: str
    version: int
    remarks: tuple[str, ...]
    customers: int
    themes: tuple[str, ...]


class Unaddressed(NamedTuple):
    """A strong theme of which no hypothesis or idea cites a remark."""

    theme: str
    customers: int
    negative: int
    steps: tuple[str, ...]
    remarks: tuple[str, ...]


class Quote(NamedTuple):
    """A remark word for word; only if the study allows quotes."""

    remark: str
    theme: str
    customer: str
    quote: str


class Claim(NamedTuple):
    """The evidence that a hypothesis or an idea cites."""

    name: str
    version: int
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Feedback:
    """Summary of what customers said, compared with what they did.

    `heard` counts the customers with a remark, `remarks` all remarks, those of cohorts and
    observations included.
    """

    iteration: str | None
    remarks: int
    heard: int
    sources: tuple[tuple[str, int], ...]
    themes: tuple[Theme, ...]
    agreements: tuple[Agreement, ...]
    contradictions: tuple[Contradiction, ...]
    cited: tuple[Cited, ...]
    unaddressed: tuple[Unaddressed, ...]
    quotes: tuple[Quote, ...]

    def rows(self) -> dict[str, Any]:
        """Return every table as rows of plain values."""
        tables = ("themes", "agreements", "contradictions", "cited", "unaddressed", "quotes")
        return {
            "iteration": self.iteration,
            "remarks": self.remarks,
            "customers": self.heard,
            "sources": dict(self.sources),
            **{name: [each._asdict() for each in getattr(self, name)] for name in tables},
        }


def summarize(
    remarks: Sequence[Remark],
    entries: Mapping[str, Sequence[CustomerEntry]],
    source: FeedbackSource,
    *,
    steps: Sequence[str],
    groupings: Sequence[str],
    iterations: Sequence[Iteration],
    claims: Sequence[Claim] = (),
    iteration: str | None = None,
    until: date | None = None,
) -> Feedback:
    """Summarize remarks: count themes by customers, and compare what they said with what they did.

    Args:
        remarks: All remarks.
        entries: The entries of each known customer, in order of time.
        source: The study's settings for feedback: what makes a theme strong, and whether quotes
            may be shown.
        steps: The metrics that a remark may be about, in order.
        groupings: The grouping columns.
        iterations: The study's iterations.
        claims: The evidence that hypotheses and ideas cite.
        iteration: Keep the remarks of this iteration only: those of customers who had entered it
            last, and for cohorts those from its start to the start of the next one.
        until: Leave out later remarks.

    Raises:
        DataError: For a remark of an unknown customer.
        StudyError: For evidence that does not exist.
    """
    for each in remarks:
        if each.customer is not None and each.customer not in entries:
            raise DataError(
                f"{source.source}: remark {each.id} is of customer {each.customer!r}, who is in "
                "neither events nor customers; correct the id, or name a cohort instead"
            )
    cited = tuple(_cited(each, remarks, source) for each in claims if each.evidence)
    here = [
        each
        for each in remarks
        if iteration in (None, _iteration(each, entries, iterations))
        and (until is None or each.date <= until)
    ]
    said = [each for each in here if each.quote] if source.quotes else []
    return Feedback(
        iteration=iteration,
        remarks=sum(each.count for each in here),
        heard=_customers(here),
        sources=_sources(here),
        themes=tuple(_themes(here, entries, steps, groupings)),
        agreements=tuple(_agreements(here, entries, steps)),
        contradictions=tuple(_contradictions(here, entries, quotes=source.quotes)),
        cited=cited,
        unaddressed=tuple(_unaddressed(here, cited, remarks, source.strong)),
        quotes=tuple(Quote(each.id, each.theme, each.customer or "", each.quote) for each in said),
    )


def _cited(claim: Claim, remarks: Sequence[Remark], source: FeedbackSource) -> Cited:
    known = {each.id: each for each in remarks}
    for name in claim.evidence:
        if name not in known:
            said = unknown_name("evidence", name, known)
            raise StudyError(f"hypothesis {claim.name!r}: {said} (remarks of {source.source})")
    rests_on = [known[name] for name in claim.evidence]
    themes = tuple(dict.fromkeys(each.theme for each in rests_on))
    return Cited(claim.name, claim.version, claim.evidence, _customers(rests_on), themes)


def _unaddressed(
    here: Sequence[Remark], cited: Sequence[Cited], remarks: Sequence[Remark], strong: int
) -> Iterable[Unaddressed]:
    ids = {name for each in cited for name in each.remarks}
    addressed = {each.theme for each in remarks if each.id in ids}
    found = []
    for theme in dict.fromkeys(each.theme for each in here):
        of_theme = [each for each in here if each.theme == theme]
        customers = _customers(of_theme)
        if customers >= strong and theme not in addressed:
            unhappy = _customers(each for each in of_theme if each.sentiment == "negative")
            steps = tuple(dict.fromkeys(each.step or ANYWHERE for each in of_theme))
            names = tuple(each.id for each in of_theme)
            found.append(Unaddressed(theme, customers, unhappy, steps, names))
    return sorted(found, key=lambda each: (-each.customers, each.theme))


def _themes(
    here: Sequence[Remark],
    entries: Mapping[str, Sequence[CustomerEntry]],
    steps: Sequence[str],
    groupings: Sequence[str],
) -> Iterable[Theme]:
    found: dict[tuple[str, str, str, str], list[Remark]] = {}
    for each in here:
        levels = {EVERYBODY: EVERYBODY, **_levels(each, entries, groupings)}
        for grouping, level in levels.items():
            found.setdefault((each.theme, each.step or ANYWHERE, grouping, level), []).append(each)
    order = {name: place for place, name in enumerate([*steps, ANYWHERE])}
    places = {name: place for place, name in enumerate([EVERYBODY, *groupings])}
    rows = [
        Theme(
            *key,
            customers=_customers(rows),
            positive=_customers(each for each in rows if each.sentiment == "positive"),
            negative=_customers(each for each in rows if each.sentiment == "negative"),
            remarks=sum(each.count for each in rows),
            unnamed=sum(each.count for each in rows if each.customer is None),
        )
        for key, rows in found.items()
    ]
    return sorted(
        rows,
        key=lambda row: (
            places[row.grouping],
            order[row.step],
            -row.customers,
            row.theme,
            row.level,
        ),
    )


def _levels(
    remark: Remark, entries: Mapping[str, Sequence[CustomerEntry]], groupings: Sequence[str]
) -> dict[str, str]:
    if remark.cohort is not None:
        return dict(remark.cohort.values)
    if remark.customer is None:
        return {}
    entry = _entry(remark, entries)
    return {each: entry.levels.get(each, MISSING) if entry else MISSING for each in groupings}


def _agreements(
    here: Sequence[Remark], entries: Mapping[str, Sequence[CustomerEntry]], steps: Sequence[str]
) -> Iterable[Agreement]:
    for step in steps:
        newest: dict[str, Remark] = {}
        for each in sorted(here, key=lambda remark: remark.date):
            if each.customer is not None and each.step == step and each.sentiment != "neutral":
                newest[each.customer] = each
        told = [
            (each.sentiment, done)
            for each in newest.values()
            if (done := _done(each, entries)) not in ("pending", "")
        ]
        if told:
            numbers = (
                sum((said, done == "aligned") == (sentiment, aligned) for said, done in told)
                for sentiment in ("positive", "negative")
                for aligned in (True, False)
            )
            yield Agreement(step, len(told), *numbers)


def _contradictions(
    here: Sequence[Remark], entries: Mapping[str, Sequence[CustomerEntry]], *, quotes: bool
) -> Iterable[Contradiction]:
    for each in here:
        done = _done(each, entries)
        opposite = {"positive": ("deviated", NOT_ENTERED), "negative": ("aligned",)}
        if done in opposite.get(each.sentiment, ()):
            entry, said = (
                _entry(each, entries),
                "success" if each.sentiment == "positive" else "trouble",
            )
            yield Contradiction(
                each.id,
                entry.iteration if entry else "",
                each.step or "",
                each.theme,
                each.source,
                said,
                done,
                (each.customer or "") if quotes else "",
                each.quote if quotes else "",
            )


def _done(remark: Remark, entries: Mapping[str, Sequence[CustomerEntry]]) -> str:
    """Return what the customer did at the step of a remark, as far as the data go."""
    entry = _entry(remark, entries)
    return "" if entry is None or remark.step is None else entry.done.get(remark.step, "")


def _entry(remark: Remark, entries: Mapping[str, Sequence[CustomerEntry]]) -> CustomerEntry | None:
    """Return the customer's newest entry by the day of a remark."""
    if remark.customer is None:
        return None
    known = entries[remark.customer]
    place = bisect_right([each.entered for each in known], remark.date)
    return known[place - 1] if place else None


def _iteration(
    remark: Remark, entries: Mapping[str, Sequence[CustomerEntry]], iterations: Sequence[Iteration]
) -> str | None:
    """Return the iteration that the customer had entered, or that had begun, by a remark's day."""
    entry, day = _entry(remark, entries), remark.date
    if entry is not None and entry.iteration:
        return entry.iteration
    begun = [
        (each.start.date() if isinstance(each.start, datetime) else each.start, each.name)
        for each in iterations
        if each.start is not None
    ]
    if not begun:
        return iterations[0].name if iterations else None
    return max(((start, name) for start, name in begun if start <= day), default=(None, None))[1]


def _sources(remarks: Sequence[Remark]) -> tuple[tuple[str, int], ...]:
    names = dict.fromkeys(each.source for each in remarks)
    counted = [(name, sum(each.count for each in remarks if each.source == name)) for name in names]
    return tuple(sorted(counted, key=lambda each: (-each[1], each[0])))


def _customers(remarks: Iterable[Remark]) -> int:
    return len({each.customer for each in remarks if each.customer is not None})


def read_entries(
    data: StudyData, customers: Sequence[str], at: datetime | None = None
) -> dict[str, list[CustomerEntry]]:
    """Return the entries into the flow of each of these customers by `at`, oldest first.

    Customers without an event and without a row in the customers table are left out; those who never
    met the trigger have no entry.

    Raises:
        StudyError: For a study of counts, which knows no single customer.
    """
    wanted = sorted(set(customers))
    if not wanted:
        return {}
    opened = data.opened
    if isinstance(opened, Journeys):
        return _entries_of_journeys(opened, wanted, data.spec.timezone, at)
    if isinstance(opened, OutcomesTable):
        return _entries_of_outcomes(opened, wanted)
    raise StudyError("counts know no single customer; give feedback by cohort, not by customer")


def _entries_of_journeys(
    journeys: Journeys, wanted: Sequence[str], timezone: str, at: datetime | None
) -> dict[str, list[CustomerEntry]]:
    paths, steps, zone = journeys.paths(at), journeys.flow.names, ZoneInfo(timezone)
    entries, names = paths.entries, paths.numbering.known(wanted)
    metrics = [paths.metric(step) for step in steps]
    found: dict[str, list[CustomerEntry]] = {name: [] for name in _known(journeys, wanted)}
    for place in np.flatnonzero(np.isin(entries.customer, list(names))):
        done, there = {}, True
        for step, metric in zip(steps, metrics, strict=True):
            missed = "deviated" if metric.missed[place] else "pending"
            reached = bool(metric.reached[place])
            done[step] = "aligned" if reached else missed if there else NOT_ENTERED
            there = reached
        entry = CustomerEntry(
            customer=names[int(entries.customer[place])],
            iteration=paths.spans[entries.span[place]].name,
            entered=from_instant(int(entries.entered[place])).astimezone(zone).date(),
            done=done,
            levels={
                column: paths.levels[column][each[place]] for column, each in entries.values.items()
            },
        )
        found[entry.customer].append(entry)
    return found


def _known(journeys: Journeys, wanted: Sequence[str]) -> set[str]:
    frames = [journeys.log.rows().select("customer")]
    if journeys.customers is not None:
        frames.append(journeys.customers.select("customer"))
    return {row["customer"] for frame in frames for row in _rows(frame, wanted, once=True)}


def _entries_of_outcomes(
    table: OutcomesTable, wanted: Sequence[str]
) -> dict[str, list[CustomerEntry]]:
    """Return one entry for each customer, at the earliest date: outcomes have no times."""
    named = table.table.with_columns(nw.col(table.source.customer).alias("customer"))
    states = {None: "pending", False: "deviated", True: "aligned"}
    return {
        row["customer"]: [
            CustomerEntry(
                customer=row["customer"],
                iteration="",
                entered=date.min,
                done={
                    step: states[None if row[column] is None else bool(row[column])]
                    for step, column in table.outcomes.items()
                },
                levels={column: name_of(row[column]) for column in table.groupings},
            )
        ]
        for row in _rows(named, wanted)
    }


def _rows(frame: Frame, wanted: Sequence[str], *, once: bool = False) -> list[dict[str, Any]]:
    """Return the rows of these customers, with their ids as text."""
    name = nw.col("customer").cast(nw.String)
    rows = frame.filter(name.is_in(wanted)).with_columns(name)
    return collect(rows.unique(["customer"]) if once else rows)


def summarize_feedback(
    data: StudyData, iteration: str | None, at: datetime | None = None
) -> Feedback:
    """Summarize a study's feedback as of a time, as `summarize` does.

    Raises:
        StudyError: For a study without feedback, and for evidence that does not exist.
        DataError: For remarks that `read_feedback` or `summarize` cannot use.
    """
    spec, source = data.spec, data.spec.feedback
    if source is None:
        raise StudyError("the study names no feedback; add feedback: {source: data/feedback.csv}")
    table = data.tables.read(source, "customer")
    remarks = read_feedback(table, source, spec.metrics, tuple(spec.groupings), spec.timezone)
    named = [each.customer for each in remarks if each.customer is not None]
    zone = ZoneInfo(spec.timezone)
    until = None if at is None else at.astimezone(zone).date()
    entries = dict(read_entries(data, named, at))
    if data.journeys is not None:  # whoever spoke before the log begins may have left it
        oldest = from_instant(data.journeys.log.facts.oldest).astimezone(zone).date()
        for each in remarks:
            if each.customer is not None and each.date < oldest:
                entries.setdefault(each.customer, [])
    return summarize(
        remarks,
        entries,
        source,
        steps=spec.metrics,
        groupings=tuple(spec.groupings),
        iterations=spec.iterations,
        claims=[
            *(Claim(each.name, each.version, each.evidence) for each in spec.hypotheses),
            *(Claim(each.name, 1, each.evidence) for each in spec.ideas),
        ],
        iteration=iteration,
        until=until,
    )
