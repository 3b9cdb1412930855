"""Iterations: one MVP version or release each, with its start and end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from workbench.errors import StudyError, unknown_name
from workbench.specs import Name, Spec

Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
