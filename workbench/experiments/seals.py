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
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.study_data import Problem, StudyData
from workbench.errors import DataError
from workbench.schema.time import from_instant

if TYPE_CHECKING:
    from workbench.experiments.ledger import Stored


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
        return _digest(asdict(self))

    @property
    def said(self) -> tuple[Any, ...]:
        """What would make another seal of the same cohort a new one."""
        return self.oldest, self.flow, [dict(each) for each in self.steps]

    @property
    def entered(self) -> int:
        """How many customers entered the flow."""
        return int(self.steps[0]["entered"]) if self.steps else 0

    @property
    def counts(self) -> list[StepCounts]:
        """The counts of each step."""
        found = []
        for each in self.steps:
            values: dict[str, Any] = {**each, "cohort": tuple(self.cohort.values())}
            values["median_hours"] = (
                math.nan if each["median_hours"] is None else each["median_hours"]
            )
            found.append(StepCounts(iteration=self.iteration, **values))
        return found


def seals_of(data: StudyData, at: datetime | None) -> list[Seal]:
    """Return the counts of every iteration, of all customers and of each grouping."""
    seen, journeys = data.newest(at), data.journeys
    oldest = None if journeys is None else from_instant(journeys.log.facts.oldest).isoformat()
    flow = None if data.spec.flow is None else data.spec.flow.model_dump(mode="json")
    defined = _digest([flow, data.spec.timezone])
    as_of = None if seen is None else seen.isoformat()
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[dict[str, Any]]] = {}
    for by in ((), *((name,) for name in data.spec.groupings)):
        for each in data.counts(by, at):
            values = asdict(each)
            del values["iteration"], values["cohort"]
            values["median_hours"] = None if math.isnan(each.median_hours) else each.median_hours
            cohort = tuple(zip(by, each.cohort, strict=True))
            found.setdefault((each.iteration, cohort), []).append(values)
    return [
        Seal(iteration, dict(cohort), as_of, oldest, defined, tuple(steps))
        for (iteration, cohort), steps in found.items()
    ]


def news(known: Iterable[Seal], now: Iterable[Seal]) -> list[Seal]:
    """Return the seals that say something else than the last known one of the same cohort."""
    last: dict[tuple[str, str], Seal] = {(each.iteration, each.arm): each for each in known}
    found = []
    for each in now:
        before = last.get((each.iteration, each.arm))
        if before is None:
            found.append(each)
        elif before.said != each.said:
            found.append(replace(each, number=before.number + 1))
    return found


@dataclass(frozen=True)
class Record:
    """What a ledger's seals say beside what the data still do."""

    data: StudyData
    seals: Sequence[Stored[Seal]]

    def lost(self) -> dict[str, Stored[Seal]]:
        """Return by iteration, where the data no longer reach it, what they held when they did."""
        journeys = self.data.journeys
        oldest = None if journeys is None else from_instant(journeys.log.facts.oldest)
        there = {each.iteration for each in self.data.counts((), None)}
        found = {}
        for name in (each.name for each in self.data.spec.iterations):
            best = self._best(name, "")
            if best is None or not best.record.entered:
                continue
            reached = best.record.oldest
            begun = from_instant(self.data.span(name).start)
            cut = oldest is not None and reached is not None and begun < oldest
            if name not in there or (cut and datetime.fromisoformat(str(reached)) < oldest):  # type: ignore[operator]
                found[name] = best
        return found

    def counts(self, by: Sequence[str], at: datetime | None) -> list[StepCounts]:
        """Count every iteration's steps for each cohort, with those on record where the log is lost."""
        lost, steps = self.lost(), {*self.data.spec.metrics}
        kept = [each for each in self.data.counts(by, at) if each.iteration not in lost]
        for name, whole in lost.items():
            cohorts = {each.record.arm for each in self.seals if [*each.record.cohort] == [*by]}
            for cohort in cohorts:
                best = self._best(name, cohort)
                if best is not None and best.record.oldest == whole.record.oldest:
                    kept += [each for each in best.record.counts if each.step in steps]
        return kept

    def problems(self) -> list[Problem]:
        """Name the iterations that the log has lost, and those of which it says something else now."""
        lost, found = self.lost(), []
        for name, stored in lost.items():
            message = (
                f"iteration {name}: the data no longer reach it all; {_held(stored)}. `workbench metrics "
                "--recorded` and release reviews read that record"
            )
            found.append(Problem("warning", message, stored.record.entered, {}))
        for name in (each.name for each in self.data.spec.iterations):
            best = self._best(name, "")
            if best is None or name in lost:
                continue
            now, then = self._entered(name, best.record.as_of), best.record.entered
            if now is not None and now != then:
                message = f"iteration {name}: {_held(best)}; the log now gives {now:,}"
                found.append(Problem("warning", message, abs(now - then), {}))
        return found

    def _best(self, iteration: str, cohort: str) -> Stored[Seal] | None:
        """Return the newest seal of a cohort among those that reached back furthest."""
        own = [
            each
            for each in self.seals
            if (each.record.iteration, each.record.arm) == (iteration, cohort)
        ]
        furthest = min((each.record.oldest or "" for each in own), default="")
        return next(
            (each for each in reversed(own) if (each.record.oldest or "") == furthest), None
        )

    def _entered(self, iteration: str, as_of: str | None) -> int | None:
        """Count an iteration's customers as of the time of a seal; None where that cannot be read."""
        try:
            at = None if as_of is None else datetime.fromisoformat(as_of)
            counts = self.data.counts((), at)
        except DataError:
            return None
        first = self.data.spec.steps[0]
        return sum(
            each.entered for each in counts if (each.iteration, each.step) == (iteration, first)
        )


def _held(stored: Stored[Seal]) -> str:
    return f"{stored.record.entered:,} entered when reported on {display.day(stored.recorded_at)}"


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
