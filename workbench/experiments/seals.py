"""Learning metrics on record: counted when a report was recorded, and read where the log is lost.

A log keeps its events for a while only; a ledger keeps what they said. Every recorded report seals the
counts of each iteration, of all customers and of each grouping: no customer's data, and a new record
where they have changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, TypeVar


@dataclass(frozen=True)
class Seal:
    """The counts of an iteration's cohort at every step, as a report found them.

    Args:
        iteration: The iteration's name.
        cohort: The cohort's value of each grouping; empty for all customers.
        as_of: The time as of which the data were read, in ISO format; None for data without times.
        oldest: The log's first event, in ISO format; None for data without times.
        flow: A digest of the flow's definition.
        steps: For each step the fields of its `StepCounts`, in order.
        number: How many seals of this cohort the ledger holds already.
    """

    KIND: ClassVar[str] = "seal"
    hypothesis: ClassVar[str] = ""  # a seal belongs to none; the ledger's rows name one
    version: ClassVar[int] = 0

    iteration: str
    cohort: Mapping[str, str]
    as_of: str | None
    oldest: str | None
    flow: str
    steps: Sequence[Mapping[str, Any]]
    number: int = 0

    @property
    def arm(self) -> str:
        """The cohort as text."""
        return ", ".join(f"{name} = {value}" for name, value in self.cohort.items())

    @property
    def fingerprint(self) -> str:
        """A digest of all that it holds."""
        return digest(asdict(self))

    @property
    def said(self) -> tuple[Any, ...]:
        """What would make another seal of the same cohort a new one."""
        return self.oldest, self.flow, [dict(each) for each in self.steps]

    @property
    def entered(self) -> int:
        """How many customers entered the flow."""
        return int(self.steps[0]["entered"]) if self.steps else 0


@dataclass(frozen=True)
class SealedSeries:
    """A strategic metric or an indicator, one value a period, as a report found it.

    Args:
        name: The metric's or indicator's name.
        values: The value of each period, in order; None where there was none.
        number: How many seals of this series the ledger holds already.
    """

    KIND: ClassVar[str] = "series"
    hypothesis: ClassVar[str] = ""
    version: ClassVar[int] = 0
    iteration: ClassVar[str] = ""

    name: str
    values: Mapping[str, float | None]
    number: int = 0

    @property
    def arm(self) -> str:
        """The name of the series."""
        return self.name

    @property
    def fingerprint(self) -> str:
        """A digest of all that it holds."""
        return digest(asdict(self))

    @property
    def said(self) -> tuple[Any, ...]:
        """What would make another seal of the same series a new one."""
        return tuple(self.values.items())

    def revised(self, now: SealedSeries) -> dict[str, tuple[float, float | None]]:
        """Return by period what was said and what is said now, where they differ.

        The last period of a seal may not have been over, so it is left out.
        """
        found: dict[str, tuple[float, float | None]] = {}
        for period, value in [*self.values.items()][:-1]:
            new = now.values.get(period)
            if value is None or (new is not None and math.isclose(value, new, rel_tol=1e-9)):
                continue
            found[period] = (value, new)
        return found


Sealed = TypeVar("Sealed", Seal, SealedSeries)


def news(known: Iterable[Sealed], now: Iterable[Sealed]) -> list[Sealed]:
    """Return the seals that say something else than the last known one of the same thing."""
    last: dict[tuple[str, str], Sealed] = {(each.iteration, each.arm): each for each in known}
    found = []
    for each in now:
        before = last.get((each.iteration, each.arm))
        if before is None:
            found.append(each)
        elif before.said != each.said:
            found.append(replace(each, number=before.number + 1))
    return found


def digest(value: Any) -> str:
    """Return a digest of a plain value.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
