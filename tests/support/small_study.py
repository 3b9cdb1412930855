"""A small study for tests: its events are drawn with a seed, its hypotheses are what a test says."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench import Study
from workbench.experiments.verdict import Evaluation

START, DAYS = datetime(2026, 1, 5, tzinfo=UTC), 28
LATEST = "2026-05-30 00:00:00+00:00"
STUDY = """\
name: small
events: {source: events.csv, customer: who, event: what, time: at}
groupings: {variant: experiment, size: segment}
flow: {trigger: opened, steps: [imported: import, bought: paid], window: 3d}
iterations:
  - {name: "1", start: 2026-01-05, end: 2026-02-02}
  - {name: "2", start: 2026-02-02, end: 2026-03-02}
"""
CLAIM = {
    "name": "preview-helps",
    "statement": "It helps.",
    "metric": "imported",
    "iteration": "1",
    "control": {"variant": "blank"},
    "treatment": {"variant": "preview"},
    "alternative": "greater",
    "minimum_effect": 0.05,
}


def claim(**changes: Any) -> dict[str, Any]:
    """Give a hypothesis as a study file has it."""
    return {**CLAIM, **changes}


def write_events(
    path: Path,
    rates: dict[str, float],
    *,
    customers: int = 240,
    start: datetime = START,
    sizes: Sequence[str] = ("small", "large"),
    seed: int = 1,
    more: bool = False,
) -> None:
    """Let customers enter evenly over four weeks, each cohort in turn, and import by its rate.

    Four of five who import also buy. `more` adds to the file what is there already.
    """
    chance = random.Random(seed)  # noqa: S311 -- customers, not secrets
    rows: list[tuple[object, ...]] = []
    for number in range(customers):
        arm = list(rates)[number % len(rates)]
        who = f"{start:%m%d}-{number}"
        at = start + timedelta(days=number * DAYS / customers)
        size = sizes[chance.random() > 0.6]
        rows.append((who, "opened", at, arm, size))
        if chance.random() < rates[arm]:
            rows.append((who, "import", at + timedelta(hours=3), arm, size))
            if chance.random() < 0.8:
                rows.append((who, "paid", at + timedelta(hours=30), arm, size))
    with path.open("a" if more else "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if not more:
            writer.writerow(("who", "what", "at", "variant", "size"))
            writer.writerow(("nobody", "other", LATEST, "", ""))
        writer.writerows(rows)


def write_study(
    folder: Path,
    claims: Iterable[dict[str, Any]],
    *,
    rates: dict[str, float] | None = None,
    replaced: Sequence[tuple[str, str]] = (),
    **events: Any,
) -> Path:
    """Write a study with these hypotheses, and its events; give its file."""
    write_events(folder / "events.csv", rates or {"blank": 0.3, "preview": 0.5}, **events)
    text = STUDY
    for old, new in replaced:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "study.yaml"
    path.write_text(f"{text}hypotheses:\n{hypotheses(claims)}", encoding="utf-8")
    return path


def hypotheses(claims: Iterable[dict[str, Any]]) -> str:
    """Write hypotheses as YAML; what JSON writes is YAML too."""
    import json

    return "".join(f"  - {json.dumps(each)}\n" for each in claims)


def looking_at(path: Path) -> Callable[..., Evaluation]:
    """Give a function that looks at the only hypothesis of iteration 1 as a new process would."""

    def look(as_of: str | None = None, *, record: bool = True) -> Evaluation:
        (found,) = Study.load(path).evaluate("1", as_of, record=record)
        return found

    return look
