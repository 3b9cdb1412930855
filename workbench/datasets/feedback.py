"""Simulated feedback of the simulated customers, and strategic metrics with known changes.

`python -m workbench.datasets.feedback studies/guided-import` regenerates both tables of the bundled
study, after `workbench.datasets.events` wrote its events. Each remark is given to a customer who did,
or did not do, what the remark is about.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from workbench.data.engines import collect
from workbench.data.study_data import StudyData
from workbench.errors import StudyError
from workbench.innovation.feedback import COLUMNS, CustomerEntry, read_entries

SEED = 2026
AUTOCORRELATION = 0.3  # of the strategic metrics' errors, from one period to the next
GUESSED = "columns guessed wrong"
TRUST = "seeing columns first gives trust"
UNDO = "no way back"
DATES = "dates in two formats"
SLOW = "import takes long"
WEEKLY = "would use it every week"
PRICE = "price"
COHORTS = {"(focus group)": "industry = retail", "(another team)": "industry = care"}
REPEATED = (
    (0, "2026.1", "user test", "As I said on the phone: it guesses wrong."),
    (13, "2026.2", "social media", "Still waiting for dates that work."),
)  # customers who remark again: position of the first remark, iteration, source and quote
FIRST, LAST = date(2024, 11, 1), date(2026, 5, 28)


class SimulatedRemark(NamedTuple):
    """What some customers of an iteration say, and what they did at the step (or their cohort)."""

    iteration: str
    step: str
    done: str
    sentiment: str
    theme: str
    source: str
    quotes: tuple[str, ...]


REMARKS = (
    SimulatedRemark("2026.1", "mapped", "deviated", "negative", GUESSED, "phone interview", (
        "It put phone numbers into the name column.",
        "I gave up when it mixed up two columns.",
        "It guessed, and it guessed wrong.",
    )),
    SimulatedRemark("2026.1", "previewed", "aligned", "positive", TRUST, "in-app survey", (
        "I saw my columns before anything happened. Good.",
        "The preview made me less afraid.",
        "Nice to look before I leap.",
        "I like that I can check first.",
    )),
    SimulatedRemark("2026.1", "imported", "deviated", "positive", WEEKLY, "e-mail survey", (
        "Great, I will do this every Monday.",
        "Works for me, I would use it each week.",
    )),
    SimulatedRemark("2026.1", "imported", "aligned", "positive", WEEKLY, "personal interview", (
        "This saves me an hour a week.",
    )),
    SimulatedRemark("2026.2", "mapped", "deviated", "negative", GUESSED, "user test", (
        "The hints did not tell me which column it meant.",
        "Too many hints, none about my column.",
        "Again the wrong column.",
    )),
    SimulatedRemark("2026.2", "mapped", "deviated", "negative", DATES, "session replay", (
        "Stops at the date column, goes back twice.",
        "Tries both date formats, then leaves.",
    )),
    SimulatedRemark("2026.2", "mapped", "aligned", "negative", DATES, "phone interview", (
        "Our dates are half German, half American. I had to fix them by hand.",
    )),
    SimulatedRemark("2026.2", "", "(focus group)", "neutral", PRICE, "focus group", (
        "We would pay for this, but not per user.",
    )),
    SimulatedRemark("2026.3", "previewed", "aligned", "positive", TRUST, "in-app survey", (
        "The preview on the first screen is the right place.",
        "I saw at once that it was my file.",
    )),
    SimulatedRemark("2026.3", "imported", "deviated", "negative", UNDO, "phone interview", (
        "What if I import the wrong file? I did not dare.",
        "I wanted to try it on a copy first.",
        "There is no undo, so I asked a colleague.",
    )),
    SimulatedRemark("2026.3", "imported", "aligned", "negative", UNDO, "social media", (
        "Imported the wrong list. Took support a day to take it out again.",
    )),
    SimulatedRemark("2026.3", "imported", "aligned", "negative", SLOW, "third-party site", (
        "Good tool, but I stare at a bar for ten minutes.",
    )),
    SimulatedRemark("2026.4", "mapped", "deviated", "negative", DATES, "user test", (
        "It read the third of April as the fourth of March.",
        "Dates again.",
    )),
    SimulatedRemark("2026.4", "imported", "deviated", "negative", UNDO, "e-mail survey", (
        "I am afraid to overwrite our list.",
    )),
    SimulatedRemark("2026.4", "imported", "deviated", "negative", SLOW, "session replay", (
        "Waits four minutes, closes the window.",
        "Leaves during the import.",
    )),
    SimulatedRemark("2026.4", "imported", "aligned", "positive", WEEKLY, "personal interview", (
        "Our weekly list is in before my coffee is ready.",
        "I do it every week now.",
    )),
    SimulatedRemark("2026.4", "imported", "(another team)", "negative", SLOW, "another team", (
        "Care homes have slow lines; imports time out there.",
    )),
    SimulatedRemark("2026.5", "imported", "deviated", "negative", UNDO, "in-app survey", (
        "I cannot see what will be overwritten.",
    )),
    SimulatedRemark("2026.5", "imported", "aligned", "positive", WEEKLY, "in-app survey", (
        "Second week in a row, no trouble.",
        "It has become a habit.",
    )),
    SimulatedRemark("2026.5", "imported", "deviated", "positive", WEEKLY, "e-mail survey", (
        "All good, thank you.",
    )),
)  # fmt: skip


@dataclass(frozen=True)
class SimulatedMetric:
    """A strategic metric: its level before the first release, and the change that the release makes.

    `step` is added from `release` on, and `slope` once more in each period since. Errors are normal
    with standard deviation `noise` and autocorrelation AUTOCORRELATION.
    """

    name: str
    period: Literal["week", "month"]
    level: float
    noise: float
    release: date
    step: float = 0.0
    slope: float = 0.0
    digits: int = 0


METRICS = (
    SimulatedMetric("renewal_revenue", "month", 120_000, 1_500, date(2026, 4, 27)),
    SimulatedMetric("active_teams", "week", 400, 6, date(2026, 1, 5), step=15, slope=2.2),
    SimulatedMetric("hours_to_first_import", "month", 30, 0.8, date(2026, 2, 2), digits=1),
)


def simulate_strategy(seed: int) -> Iterator[tuple[str, str, str]]:
    """Yield metric, period and value of each strategic metric, for every month or week that is over.

    >>> next(simulate_strategy(1))[:2]
    ('renewal_revenue', '2024-11')
    """
    rng = np.random.default_rng(seed)
    for course in METRICS:
        error = 0.0
        for name, middle in _weeks() if course.period == "week" else _months():
            error = AUTOCORRELATION * error + course.noise * float(rng.standard_normal())
            days = (middle - course.release).days
            since = days // 7 if course.period == "week" else days // 30
            moved = course.step + course.slope * since if days >= 0 else 0.0
            yield course.name, name, f"{course.level + moved + error:.{course.digits}f}"


def _months() -> Iterator[tuple[str, date]]:
    first = FIRST
    while (after := (first.replace(day=28) + timedelta(days=4)).replace(day=1)) <= LAST:
        yield f"{first:%Y-%m}", first + timedelta(days=15)
        first = after


def _weeks() -> Iterator[tuple[str, date]]:
    monday = FIRST + timedelta(days=-FIRST.weekday() % 7)
    while monday + timedelta(days=7) <= LAST:
        year, week, _ = monday.isocalendar()
        yield f"{year}-W{week:02}", monday + timedelta(days=3)
        monday += timedelta(days=7)


def simulate_feedback(
    seed: int, known: Mapping[str, Sequence[CustomerEntry]]
) -> list[dict[str, str]]:
    """Assign each remark to a customer who did what it is about, eight days after the trigger.

    Args:
        seed: The same seed gives the same remarks.
        known: Each customer's entries into the flow.

    Returns:
        The rows of the feedback table.

    Raises:
        StudyError: If no customer fits a remark.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, str]] = []
    spoken: set[str] = set()
    for said in REMARKS:
        for quote in said.quotes:
            row = dict.fromkeys(COLUMNS, "")
            row |= {"step": said.step, "sentiment": said.sentiment, "theme": said.theme}
            row |= {"source": said.source, "quote": quote}
            row["cohort"] = COHORTS.get(said.done, "")
            fitting = [
                own[0]
                for own in known.values()
                if len(own) == 1
                and own[0].iteration == said.iteration
                and own[0].customer not in spoken
                and (row["cohort"] or own[0].done.get(said.step) == said.done)
            ]
            if not fitting:
                raise StudyError(
                    f"no customer of {said.iteration} {said.done} at {said.step}; use another seed"
                )
            entry = fitting[int(rng.integers(len(fitting)))]
            row["date"] = min(entry.entered + timedelta(days=8), LAST).isoformat()
            if not row["cohort"]:
                row["customer"] = entry.customer
                spoken.add(entry.customer)
            rows.append(row)
    for place, _, source, quote in REPEATED:
        first = rows[place]
        later = date.fromisoformat(first["date"]) + timedelta(days=5)
        rows.append(first | {"source": source, "quote": quote, "date": later.isoformat()})
    return [{**row, "id": f"F-{number:02}"} for number, row in enumerate(rows, start=1)]


def write_feedback(study: Path) -> None:
    """Write `data/strategy.csv` and `data/feedback.csv` beside a study file."""
    from workbench.schema.study import read_study

    data = StudyData(read_study(study), study.parent)
    if data.journeys is None:
        raise StudyError(f"{study} has no event log; feedback needs customers' events")

    listed = [
        row["customer"] for row in collect(data.journeys.log.rows().select("customer").unique())
    ]
    known = {name: own for name, own in sorted(read_entries(data, listed).items()) if own}
    folder = study.parent / "data"
    with (folder / "strategy.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("metric", "period", "value"))
        writer.writerows(simulate_strategy(SEED))
    with (folder / "feedback.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, fieldnames=_ordered(), lineterminator="\n")
        table.writeheader()
        table.writerows(simulate_feedback(SEED, known))


def _ordered() -> list[str]:
    first = ["id", "date", "source", "customer", "cohort", "step", "theme", "sentiment", "quote"]
    return sorted(COLUMNS, key=first.index)


if __name__ == "__main__":
    write_feedback(Path(sys.argv[1]) / "study.yaml")
