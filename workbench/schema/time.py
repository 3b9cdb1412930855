"""Iterations, and the calendar of days, weeks, months and quarters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from workbench.errors import DataError, StudyError, unknown_name
from workbench.schema.base import Name, Spec

# Units of times that are whole numbers since 1970, in microseconds (nanoseconds: so many in one).
UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 1_000}
# What a format of times may hold, and how Spark writes it.
DIRECTIVES = {
    "Y": "yyyy",
    "y": "yy",
    "m": "M",
    "d": "d",
    "H": "H",
    "I": "h",
    "M": "m",
    "S": "s",
    "f": "SSSSSS",
    "p": "a",
    "b": "MMM",
    "B": "MMMM",
    "j": "D",
    "z": "XX",
    "%": "%",
}
Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time_format(value: str) -> str:
    """Hold that a format of times says which year, month and day it is."""
    if value in UNITS:
        return value
    held = re.findall(r"%(.)", value)
    unknown = [each for each in held if each not in DIRECTIVES]
    known = ", ".join(f"%{each}" for each in DIRECTIVES if each != "%")
    if unknown:
        msg = f"time_format {value!r} holds %{unknown[0]}; a format may hold {known}"
        raise ValueError(msg)
    parts = [{"Y", "y"}, {"m", "b", "B", "j"}, {"d", "j"}]
    if not all(part & {*held} for part in parts):
        msg = (
            f"time_format is {value!r}; it must say year, month and day, such as %d/%m/%Y %H:%M, or "
            f"be one of {', '.join(UNITS)}"
        )
        raise ValueError(msg)
    if ("I" in held) != ("p" in held):
        msg = f"time_format is {value!r}; %I (hours to 12) and %p (AM or PM) go together"
        raise ValueError(msg)
    return value


TimeFormat = Annotated[str, AfterValidator(_time_format)]
PeriodKind = Literal["day", "week", "month", "quarter", "number"]
WRITTEN = {
    "day": "2026-01-31",
    "week": "2026-W05, or any of its days",
    "month": "2026-01, or any of its days",
    "quarter": "2026-Q1, or any of its days",
    "number": "1, 2, 3, ...",
}
MOST_PERIODS = 100_000
THURSDAY = 3  # days since Monday; 1970-01-01 was a Thursday
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


class SolutionChange(Spec):
    """A change of the solution, and the step of the flow that it is about."""

    step: Name
    """The step, adoption or outcome that it is meant to move."""
    what: Name
    """What is new, such as hints beside each column."""


class Iteration(Spec):
    """An iteration of the solution: one release or MVP version, from its start to its end.

    Attributes:
        name: The iteration's name.
        start: The first moment; a date is its midnight in the study's time zone.
        end: The moment after the last, which is not part of the iteration. None, as `start`, for
            studies whose data have no times.
        allocation: The planned share of each cohort of an experiment; equal shares without it.
        solution: The version of the solution.
        changes: What is new in it.

    Raises:
        pydantic.ValidationError: Only one of `start` and `end` is given, or one is no date.

    >>> str(Iteration(name="2026.1", start="2026-01-05", end="2026-02-02"))
    '2026.1'
    """

    name: Name
    """The iteration's name, in quotes, such as "2026.1"."""
    start: datetime | date | None = None
    """The first day, such as 2026-01-05, or a moment, such as 2026-01-05T08:00. Data without times
    need none."""
    end: datetime | date | None = None
    """The day or moment after the last; it is not part of the iteration."""
    allocation: Mapping[str, Share] = {}
    """The planned share of each cohort of the experiment, such as `{blank: 0.8, preview: 0.2}`. The
    shares are equal if none are given."""
    solution: str = ""
    """The version of the solution that customers had, such as "import 3.2"."""
    changes: tuple[SolutionChange, ...] = ()
    """What is new in it since the iteration before, each change with its step, such as
    `[{step: mapped, what: hints beside each column}]`."""

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
        """Return the iteration's name."""
        return self.name

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return start and end as moments; dates and times without a zone are `zone`'s.

        Raises StudyError for an iteration without dates.
        """
        if self.start is None or self.end is None:
            msg = f"iteration {self.name!r} has no start and end; events need both"
            raise StudyError(msg)
        return in_zone(self.start, zone), in_zone(self.end, zone)

    def span(self, zone: tzinfo) -> Span:
        """Return the iteration in microseconds since 1970."""
        start, end = self.bounds(zone)
        return Span(self.name, to_instant(start), to_instant(end))


def to_instant(moment: datetime) -> int:
    """Return a moment as microseconds since 1970 in UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_instant(instant: int) -> datetime:
    """Return microseconds since 1970 as a moment in UTC."""
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
    """Return a date (its midnight), or a time without a zone, as a moment of `zone`."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=zone)
    return value.replace(tzinfo=zone) if value.tzinfo is None else value


def check_order(iterations: Sequence[Iteration], zone: tzinfo) -> None:
    """Check the iterations' order.

    Raises StudyError where one ends before it starts, or where two overlap, share a name or are
    listed in the wrong order.
    """
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
    """Return the iterations of these names, or all of them, in the study's order.

    Raises StudyError for an unknown name.
    """
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
class Period:
    """One day, week, month or quarter, or a period that is no more than a number.

    `number` counts days, weeks, months or quarters since 1970; a period that is a number is its own.

    >>> quarter = Period.read("2026-Q4")
    >>> quarter.name, str(quarter.start), str(quarter.end)
    ('2026-Q4', '2026-10-01', '2027-01-01')
    """

    kind: PeriodKind
    number: int

    @classmethod
    def read(cls, written: object, kind: PeriodKind | None = None) -> Period:
        """Read a period as files write it.

        Args:
            written: Text, a date, a time or a number. A day stands for the period it lies in.
            kind: The kind of period; without one the form of the text tells it.

        Raises:
            DataError: `written` is no such period.

        >>> Period.read("17", "number").number, Period.read("2025-12-29", "week").name
        (17, '2026-W01')
        """
        text = str(written).strip()
        read_as: PeriodKind = kind or _kind(text)
        if read_as == "number":
            if re.fullmatch(r"[+-]?\d+(\.0+)?", text):
                return cls("number", int(float(text)))
        elif day := _day(read_as, written, text):
            return cls.containing(day, read_as)
        if kind is None:
            raise DataError(
                f"{text!r} is no period; write a month as 2026-01, a quarter as 2026-Q1, a week as "
                "2026-W05, a day as 2026-01-31"
            )
        raise DataError(f"{text!r} is no {kind}; write it as {WRITTEN[kind]}")

    @classmethod
    def containing(cls, day: date, kind: PeriodKind) -> Period:
        """Return the period of a kind in which a day lies; weeks begin on Monday."""
        days = (day - EPOCH.date()).days
        months = 12 * (day.year - EPOCH.year) + day.month - 1
        numbers = {"day": days, "week": (days + THURSDAY) // 7, "month": months}
        return cls(kind, numbers.get(kind, months // 3))

    @property
    def name(self) -> str:
        """The period as files write it: 2026-01-31, 2026-W05, 2026-01, 2026-Q1 or 17."""
        if self.kind == "number":
            return str(self.number)
        if self.kind == "week":
            year, week, _ = self.start.isocalendar()
            return f"{year}-W{week:02d}"
        if self.kind == "quarter":
            return f"{self.start.year}-Q{(self.start.month + 2) // 3}"
        return self.start.isoformat()[: 7 if self.kind == "month" else 10]

    @property
    def start(self) -> date:
        """The first day. Raises DataError for a number, which has no dates."""
        if self.kind == "number":
            msg = "periods that are numbers have no dates; name a day, week, month or quarter"
            raise DataError(msg)
        if self.kind in ("day", "week"):
            days = self.number if self.kind == "day" else 7 * self.number - THURSDAY
            return EPOCH.date() + timedelta(days=days)
        months = self.number * (3 if self.kind == "quarter" else 1)
        return date(EPOCH.year + months // 12, months % 12 + 1, 1)

    @property
    def end(self) -> date:
        """The day after the last. Raises DataError for a number."""
        return Period(self.kind, self.number + 1).start

    @property
    def middle(self) -> date:
        """The day in the middle. Raises DataError for a number."""
        return self.start + (self.end - self.start) / 2


@dataclass(frozen=True, slots=True)
class Periods:
    """Consecutive periods of one kind, without a gap.

    `first` is the number of the first one (see `Period`), `length` how many there are.

    >>> Periods.spanning("month", ["2026-03", "2025-12-31"]).names
    ('2025-12', '2026-01', '2026-02', '2026-03')
    """

    kind: PeriodKind
    first: int
    length: int

    @classmethod
    def spanning(cls, kind: PeriodKind, written: Iterable[object]) -> Periods:
        """Return all periods from the first to the last of some that are written as in files."""
        return cls.of(kind, (Period.read(each, kind).number for each in written))

    @classmethod
    def of(cls, kind: PeriodKind, numbers: Iterable[int]) -> Periods:
        """Return all periods from the lowest to the highest of some numbers.

        Raises DataError for more than 100,000 of them.
        """
        every = sorted(numbers)
        if not every:
            return cls(kind, 0, 0)
        length = every[-1] - every[0] + 1
        if length > MOST_PERIODS:
            first, last = (Period(kind, each).name for each in (every[0], every[-1]))
            msg = (
                f"the periods run from {first} to {last}, more than {MOST_PERIODS:,} {kind}s; check "
                "the first and the last"
            )
            raise DataError(msg)
        return cls(kind, every[0], length)

    def at(self, place: int) -> Period:
        """Return the period at a place, counted from 0; `length` gives the one after the last."""
        return Period(self.kind, self.first + place)

    @property
    def names(self) -> tuple[str, ...]:
        """The periods as files write them."""
        return tuple(self.at(place).name for place in range(self.length))

    def spans(self, zone: tzinfo) -> tuple[Span, ...]:
        """Return each period's start and end in microseconds since 1970, by a zone's clocks.

        Raises DataError for numbers, which have no dates.
        """
        starts = [
            to_instant(in_zone(self.at(place).start, zone)) for place in range(self.length + 1)
        ]
        return tuple(map(Span, self.names, starts, starts[1:]))


def _kind(text: str) -> PeriodKind:
    """Tell the kind of a period from its form."""
    return next((kind for kind, form in FORMS.items() if re.fullmatch(form, text)), "day")


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
