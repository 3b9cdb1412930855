"""Findings: how many of those asked or watched said yes to an idea, in interviews, prototypes and user tests."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass
from datetime import date as day
from typing import ClassVar

from workbench.errors import StudyError, unknown_name
from workbench.experiments.seals import digest
from workbench.schema.base import duration
from workbench.schema.learning import METHODS


@dataclass(frozen=True)
class Finding:
    """What a round of interviews, a prototype or a user test found: counts and a note, no customers.

    Args:
        hypothesis: The name of the hypothesis or idea.
        version: Its version, from 1; 1 for an idea.
        method: interview, prototype or user test.
        supports: How many said or did what supports it.
        of: How many were asked or watched.
        date: The day, in ISO format; empty where it is not known.
        cost: What it took, such as 2d; empty where it is not known.
        note: A note for readers.
        weight: How much an answer counts, above 0 and at most 1: less than 1 where answers are not
            independent, such as those to one interviewer.

    Raises:
        StudyError: A value breaks these rules.

    >>> Finding("undo-import", 1, "prototype", 4, 5, cost="2d").supports
    4
    >>> Finding("undo-import", 1, "prototype", 6, 5)
    Traceback (most recent call last):
    workbench.errors.StudyError: supports is 6 of 5; give whole numbers, of those asked at least one, ...
    """

    KIND: ClassVar[str] = "finding"
    iteration: ClassVar[str] = ""  # it belongs to none; the ledger's rows name one

    hypothesis: str
    version: int
    method: str
    supports: int
    of: int
    date: str = ""
    cost: str = ""
    note: str = ""
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise StudyError(unknown_name("method of learning", self.method, METHODS))
        for name in ("version", "supports", "of"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        object.__setattr__(self, "weight", float(self.weight))
        if not 0 <= self.supports <= self.of or self.of < 1:
            raise StudyError(
                f"supports is {self.supports} of {self.of}; give whole numbers, of those asked at "
                "least one, and of those who said yes no more than were asked"
            )
        if not 0 < self.weight <= 1:
            raise StudyError(f"weight is {self.weight:g}; it must lie above 0 and be at most 1")
        try:
            read = self.date and day.fromisoformat(self.date).isoformat()
            object.__setattr__(self, "date", read)
        except ValueError:
            raise StudyError(f"date is {self.date!r}; write it as 2026-01-31") from None
        try:
            _ = self.cost and duration(self.cost)
        except ValueError as error:
            raise StudyError(f"cost: {error}") from None

    @property
    def arm(self) -> str:
        """The method, by which the ledger tells findings of one hypothesis apart."""
        return self.method

    @property
    def fingerprint(self) -> str:
        """A digest of all that it holds."""
        return digest(asdict(self))
