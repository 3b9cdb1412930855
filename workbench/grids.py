"""Grids of time: days, weeks, months, quarters or numbers in a row, in which no period is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

from workbench.errors import DataError
from workbench.iterations import Span, in_zone, to_instant

PeriodKind = Literal["day", "week", "month", "quarter", "number"]

WRITTEN = {
    "day": "2026-01-31",
    "week": "2026-W05, or any of its days",
    "month": "2026-01, or any of its days",
    "quarter": "2026-Q1, or any of its days",
    "number": "1, 2, 3, ...",
}
EPOCH = date(1970, 1, 1)
MONDAY = timedelta(days=3)  # 1970-01-01 was a Thursday
MOST_PERIODS = 100_000


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
        return EPOCH + timedelta(days=number)
    if kind == "week":
        return EPOCH + timedelta(weeks=number) - MONDAY
    months = number * (3 if kind == "quarter" else 1)
    return date(1970 + months // 12, months % 12 + 1, 1)


def _number(kind: PeriodKind, day: date) -> int:
    if kind == "day":
        return (day - EPOCH).days
    if kind == "week":
        return (day - EPOCH + MONDAY) // timedelta(weeks=1)
    months = 12 * (day.year - EPOCH.year) + day.month - 1
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
