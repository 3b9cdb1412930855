"""What the ledger's seals say beside what the data still do: lost iterations, restatements, revisions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.study_data import Problem, StudyData
from workbench.errors import DataError
from workbench.experiments.ledger import Stored
from workbench.experiments.seals import Seal, SealedSeries, digest
from workbench.schema.time import from_instant


def seals_of(data: StudyData, at: datetime | None) -> list[Seal]:
    """Return the counts of every iteration, of all customers and of each grouping."""
    seen, journeys = data.newest(at), data.journeys
    oldest = None if journeys is None else from_instant(journeys.log.facts.oldest).isoformat()
    defined = _defined(data)
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


def _defined(data: StudyData) -> str:
    """Return a digest of the flow's definition."""
    flow = None if data.spec.flow is None else data.spec.flow.model_dump(mode="json")
    return digest([flow, data.spec.timezone])


def counts_of(seal: Seal) -> list[StepCounts]:
    """Return the counts of each step that a seal holds."""
    found = []
    for each in seal.steps:
        values: dict[str, Any] = {**each, "cohort": tuple(seal.cohort.values())}
        values["median_hours"] = math.nan if each["median_hours"] is None else each["median_hours"]
        found.append(StepCounts(iteration=seal.iteration, **values))
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
                    kept += [each for each in counts_of(best.record) if each.step in steps]
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
            found += self._restated(name, best)
        return found

    def _restated(self, name: str, best: Stored[Seal]) -> list[Problem]:
        """Name what the data now say of an iteration, as of the time of its seal, if that is something else."""
        counts = self._then(name, best.record.as_of)
        if not counts:
            return []
        entered, then = counts[self.data.spec.steps[0]].entered, best.record.entered
        changed = best.record.flow != _defined(self.data)
        why = "the flow was changed since" if changed else "find out which rows came or went"
        if entered != then:
            message = f"iteration {name}: {_held(best)}; the data now give {entered:,}; {why}"
            return [Problem("warning", message, abs(entered - then), {})]
        moved = [
            (each.step, each.converted, each.closed, counts.get(each.step))
            for each in counts_of(best.record)
            if _rate(each) != _rate(counts.get(each.step))
        ]
        sealed = {each.step for each in counts_of(best.record)}
        moved += [(step, 0, 0, each) for step, each in counts.items() if step not in sealed]
        if not moved:
            return []
        step, converted, closed, now = moved[0]
        on = display.day(best.recorded_at)
        if changed:
            message = f"iteration {name}: reported on {on} by another definition of the flow; {why}"
            return [Problem("warning", message, len(moved), {})]
        said = "nothing" if now is None else f"{now.converted:,} of {now.closed:,}"
        message = f"iteration {name}: {step} was {converted:,} of {closed:,} when reported on {on}"
        message += f"; the data now give {said}; {why}"
        return [Problem("warning", message, len(moved), {})]

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

    def _then(self, iteration: str, as_of: str | None) -> dict[str, StepCounts]:
        """Count an iteration's customers as of the time of a seal; nothing where that cannot be read."""
        try:
            at = None if as_of is None else datetime.fromisoformat(as_of)
            counts = self.data.counts((), at)
        except DataError:
            return {}
        return {each.step: each for each in counts if each.iteration == iteration}


def revisions(known: Iterable[Stored[SealedSeries]], now: Iterable[SealedSeries]) -> list[Problem]:
    """Name the series of which earlier periods say something else than when they were reported."""
    last, found = {each.record.name: each for each in known}, []
    for each in now:
        if (before := last.get(each.name)) is None:
            continue
        changed = before.record.revised(each)
        if changed:
            period, (old, new) = next(iter(changed.items()))
            others = f", and {len(changed) - 1} other periods" if len(changed) > 1 else ""
            message = (
                f"{each.name} was {_number(old)} in {period} when reported on "
                f"{display.day(before.recorded_at)}; the data now say {_number(new)}{others}; find out why"
            )
            found.append(Problem("warning", message, len(changed), {}))
    return found


def _rate(counts: StepCounts | None) -> tuple[int, int] | None:
    return None if counts is None else (counts.converted, counts.closed)


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:,.6g}"


def _held(stored: Stored[Seal]) -> str:
    return f"{stored.record.entered:,} entered when reported on {display.day(stored.recorded_at)}"
