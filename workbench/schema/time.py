"""Iterations, and periods: days, weeks, months, quarters or numbers in a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from workbench.errors import DataError, StudyError, unknown_name
from workbench.schema.base import Name, Spec

Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PeriodKind = Literal["day", "week", "month", "quarter", "number"]
WRITTEN = {
    "day": "2026-01-31",
    "week": "2026-W05, or any of its days",
    "month": "2026-01, or any of its days",
    "quarter": "2026-Q1, or any of its days",
    "number": "1, 2, 3, ...",
}
EPOCH_DAY = date(1970, 1, 1)
MONDAY = timedelta(days=3)  # 1970-01-01 was a Thursday
MOST_PERIODS = 100_000
FORMS: dict[PeriodKind, str] = {
    "quarter": r"\d{4}-?Q[1-4]",
    "week": r"\d{4}-?W\d{2}",
    "month": r"\d{4}-\d{2}",
}  # whatever has none of them is a day


@dataclass(frozen=True)
class Span:
    """An iteration's name, start and end, in microseconds since 1970; the end is not part of it."""

    name: str
    start: int
    end: int


class Iteration(Spec):
    """One iteration, `[start, end)`.

    Dates begin at midnight of the study's time zone. Studies without times have no dates.
    `allocation` gives the planned shares of an experiment's cohorts; they are equal without it.

    >>> str(Iteration(name="2026.1", start="2026-01-05", end="2026-02-02"))
    '2026.1'
    """

    name: Name
    start: datetime | date | None = None
    end: datetime | date | None = None
    allocation: Mapping[str, Share] = {}

    @field_validator("start", "end", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        if isinstance(value, str):
            return moment(value)
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.start is None) != (self.end is None):
            msg = f"iteration {self.name!r} has only one of start and end; give both"
            raise ValueError(msg)
        return self

    def __str__(self) -> str:
        """Give the iteration's name."""
        return self.name

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Give start and end as moments; dates and times without a zone are `zone`'s."""
        if self.start is None or self.end is None:
            msg = f"iteration {self.name!r} has no start and end; events need both"
            raise StudyError(msg)
        return in_zone(self.start, zone), in_zone(self.end, zone)

    def span(self, zone: tzinfo) -> Span:
        """Give the iteration in microseconds since 1970."""
        start, end = self.bounds(zone)
        return Span(self.name, to_instant(start), to_instant(end))


def to_instant(moment: datetime) -> int:
    """Give a moment as microseconds since 1970 in UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_instant(instant: int) -> datetime:
    """Give microseconds since 1970 as a moment in UTC."""
    return EPOCH + timedelta(microseconds=instant)


def moment(value: str) -> datetime | date:
    """Read an ISO date or time.

    >>> moment("2026-01-05"), moment("2026-01-05T08:00")
    (datetime.date(2026, 1, 5), datetime.datetime(2026, 1, 5, 8, 0))
    """
    try:
        return date.fromisoformat(value)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        msg = f"{value!r} is no date; write it as 2026-01-31 or 2026-01-31T08:00"
        raise ValueError(msg) from None


def in_zone(value: date, zone: tzinfo) -> datetime:
    """Make a date (its midnight) or a time without zone a moment of `zone`."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=zone)
    return value.replace(tzinfo=zone) if value.tzinfo is None else value


def in_order(iterations: Sequence[Iteration], zone: tzinfo) -> None:
    """Refuse iterations that end before they start, overlap, share a name or are out of order."""
    names = [each.name for each in iterations]
    for name in names:
        if names.count(name) > 1:
            msg = f"two iterations are called {name!r}; give each a name of its own"
            raise StudyError(msg)
    dated = sorted(
        ((*each.bounds(zone), each.name) for each in iterations if each.start is not None),
    )
    for start, end, name in dated:
        if end <= start:
            msg = f"iteration {name!r} ends ({end:%Y-%m-%d}) no later than it starts; swap them"
            raise StudyError(msg)
    for (_, end, name), (start, _, later) in pairwise(dated):
        if start < end:
            msg = (
                f"iterations {name!r} and {later!r} overlap ({later!r} starts {start:%Y-%m-%d}, "
                f"{name!r} ends {end:%Y-%m-%d}); an end is not part of its iteration"
            )
            raise StudyError(msg)
    listed = [each.name for each in iterations if each.start is not None]
    for name, (*_, first) in zip(listed, dated, strict=True):
        if name != first:
            msg = f"iteration {name!r} is listed before {first!r}, which is earlier; list them in order"
            raise StudyError(msg)


def select(iterations: Iterable[Iteration], wanted: str | Sequence[str] | None) -> list[Iteration]:
    """Give the iterations of these names, or all of them, in the study's order."""
    every = list(iterations)
    if wanted is None:
        return every
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    known = {each.name: each for each in every}
    for name in names:
        if name not in known:
            raise StudyError(unknown_name("iteration", name, known))
    return [each for each in every if each.name in names]


@dataclass(frozen=True, slots=True)
class Grid:
    """Consecutive periods of one kind, from the one with the number `first`.

    A period's number counts days, weeks, months or quarters since 1970, or is its own number.

    >>> Grid.over("month", ["2026-03", "2025-12-31"]).labels
    ('2025-12', '2026-01', '2026-02', '2026-03')
    """

    kind: PeriodKind
    first: int
    length: int

    @classmethod
    def over(cls, kind: PeriodKind, written: Iterable[object]) -> Grid:
        """Give the grid from the first to the last of some periods as files write them."""
        return cls.of(kind, (number(kind, each) for each in written))

    @classmethod
    def of(cls, kind: PeriodKind, numbers: Iterable[int]) -> Grid:
        """Give the grid from the lowest to the highest of some periods' numbers."""
        every = list(numbers)
        if not every:
            return cls(kind, 0, 0)
        first, length = min(every), max(every) - min(every) + 1
        if length > MOST_PERIODS:
            msg = (
                f"the periods run from {label(kind, first)} to {label(kind, max(every))}, more than "
                f"{MOST_PERIODS:,} {kind}s; check the first and the last"
            )
            raise DataError(msg)
        return cls(kind, first, length)

    @property
    def labels(self) -> tuple[str, ...]:
        """Write each period as files write it."""
        return tuple(label(self.kind, self.first + place) for place in range(self.length))

    def spans(self, zone: tzinfo) -> tuple[Span, ...]:
        """Give each period's start and end in microseconds, by the clocks of a zone.

        Raises DataError for numbers, which say no time.
        """
        starts = [
            to_instant(in_zone(starting(self.kind, self.first + place), zone))
            for place in range(self.length + 1)
        ]
        return tuple(
            Span(name, starts[place], starts[place + 1]) for place, name in enumerate(self.labels)
        )


def number(kind: PeriodKind, written: object) -> int:
    """Read which period a value means; raise DataError for one that is no such period.

    >>> number("number", "17"), number("month", "2026-01") - number("month", date(2025, 12, 31))
    (17, 1)
    >>> number("week", "2026-W01") == number("week", "2025-12-29")
    True
    """
    text = str(written).strip()
    if kind == "number":
        if re.fullmatch(r"[+-]?\d+(\.0+)?", text):
            return int(float(text))
    elif day := _day(kind, written, text):
        return _number(kind, day)
    raise DataError(f"{text!r} is no {kind}; write it as {WRITTEN[kind]}")


def label(kind: PeriodKind, number: int) -> str:
    """Write a period: 2026-01-31, 2026-W05, 2026-01, 2026-Q1 or 17.

    >>> label("quarter", 4 * 56), label("day", 0), label("week", 0)
    ('2026-Q1', '1970-01-01', '1970-W01')
    """
    if kind == "number":
        return str(number)
    day = starting(kind, number)
    if kind == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
    if kind == "quarter":
        return f"{day.year}-Q{(day.month + 2) // 3}"
    return day.isoformat()[: 7 if kind == "month" else 10]


def starting(kind: PeriodKind, number: int) -> date:
    """Give the first day of a period; weeks begin on Monday. Raises DataError for numbers."""
    if kind == "number":
        msg = "periods that are numbers have no dates; name a day, week, month or quarter"
        raise DataError(msg)
    if kind == "day":
        return EPOCH_DAY + timedelta(days=number)
    if kind == "week":
        return EPOCH_DAY + timedelta(weeks=number) - MONDAY
    months = number * (3 if kind == "quarter" else 1)
    return date(1970 + months // 12, months % 12 + 1, 1)


def _number(kind: PeriodKind, day: date) -> int:
    if kind == "day":
        return (day - EPOCH_DAY).days
    if kind == "week":
        return (day - EPOCH_DAY + MONDAY) // timedelta(weeks=1)
    months = 12 * (day.year - EPOCH_DAY.year) + day.month - 1
    return months // 3 if kind == "quarter" else months


def _day(kind: PeriodKind, written: object, text: str) -> date | None:
    """Read a day, or the first day of a month, quarter or week that is written as such."""
    if isinstance(written, date):
        return written.date() if isinstance(written, datetime) else written
    try:
        if kind == "week" and (match := re.fullmatch(r"(\d{4})-?W(\d{2})", text)):
            return date.fromisocalendar(int(match[1]), int(match[2]), 1)
        if kind == "month" and re.fullmatch(r"\d{4}-\d{2}", text):
            text = f"{text}-01"
        if kind == "quarter" and (match := re.fullmatch(r"(\d{4})-?Q([1-4])", text)):
            return date(int(match[1]), 3 * int(match[2]) - 2, 1)
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None


@dataclass(frozen=True)
class Period:
    """A day, week, month or quarter: its name, its first day, and the day after its last."""

    name: str
    kind: PeriodKind
    start: date
    end: date

    @property
    def middle(self) -> date:
        """The day in the middle."""
        return self.start + (self.end - self.start) / 2


def read_period(written: object, where: str) -> Period:
    """Read a period as it is written; `where` begins the DataError for what is none.

    >>> read_period("2026-Q4", "a table")
    Period(name='2026-Q4', kind='quarter', start=datetime.date(2026, 10, 1), end=datetime.date(2027, 1, 1))
    """
    text = written.isoformat()[:10] if isinstance(written, date) else str(written or "").strip()
    forms: Iterator[PeriodKind] = (each for each in FORMS if re.fullmatch(FORMS[each], text))
    kind: PeriodKind = next(forms, "day")
    try:
        place = number(kind, text)
    except DataError:
        raise DataError(
            f"{where}: {text!r} is no period; write a month as 2026-01, a quarter as 2026-Q1, a "
            "week as 2026-W05, a day as 2026-01-31"
        ) from None
    return Period(text, kind, starting(kind, place), starting(kind, place + 1))
