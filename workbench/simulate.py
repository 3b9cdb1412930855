"""Simulated studies with known true rates, and with the ugly things that real logs hold.

`python -m workbench.simulate studies/guided-import` writes the data of the bundled study anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.errors import StudyError
from workbench.scenarios import (
    DETOURS,
    GUIDED_IMPORT,
    LEVELS,
    NOISE,
    OUTCOME,
    SAMPLE,
    SEED,
    STEP_EVENTS,
    TRIGGER,
    VARIANTS,
    Release,
    Scenario,
)
from workbench.sequels import (
    DAY,
    HOUR,
    NEVER,
    SECOND,
    Array,
    Entries,
    draw_sequels,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tables:
    """Events and customers, as columns: times in microseconds UTC, everything else text."""

    events: Mapping[str, Array]
    customers: Mapping[str, Array]


@dataclass
class _Rows:
    """Rows as they are drawn."""

    customer: list[Array] = field(default_factory=list)
    event: list[Array] = field(default_factory=list)
    at: list[Array] = field(default_factory=list)
    variant: list[Array] = field(default_factory=list)

    def add(self, customer: Array, event: str | Array, at: Array, variant: Array) -> None:
        """Add one row per customer."""
        self.customer.append(customer)
        self.event.append(np.broadcast_to(np.asarray(event, dtype=object), customer.shape))
        self.at.append(at // SECOND * SECOND)
        self.variant.append(variant)


def simulate(seed: int, scenario: Scenario) -> Tables:
    """Draw the events and customers of a scenario; the same seed gives the same tables.

    >>> tables = simulate(1, SAMPLE)
    >>> list(tables.events)
    ['customer_id', 'event', 'occurred_at', 'variant']
    """
    rng, later = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    rows, known, back = _Rows(), 0, (np.empty(0, dtype=np.int64),) * 3
    for release in scenario.releases:
        new = np.arange(known, known + release.customers)
        who = np.concatenate([new, back[0]])
        group = np.concatenate([rng.integers(0, len(VARIANTS), len(new)), back[1]])
        known += release.customers
        trigger = _midnight(release.start) + rng.integers(0, release.days * DAY, len(who))
        met, used, second = _enter(rng, rows, scenario, release, (who, group, trigger))
        first_half = (trigger < _midnight(release.start) + release.days * DAY // 2) & (
            rng.random(len(who)) < 2 * scenario.returning
        )
        if release.sequels:
            before = np.concatenate([np.full(len(new), NEVER), back[2]])
            end = _midnight(release.start) + release.days * DAY
            entries = Entries(trigger, met, used, second, first_half, before, end)
            _come_back(later, rows, release, (who, group), entries)
        back = who[first_half], group[first_half], trigger[first_half]
    return Tables(
        _events(rng, rows, scenario), _customers(np.random.default_rng((seed, 2)), known, scenario)
    )


def _enter(
    rng: np.random.Generator,
    rows: _Rows,
    scenario: Scenario,
    release: Release,
    entrants: tuple[Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Draw all rows of one iteration's entrants: customer, variant (its index), trigger.

    Give when each met the need, last took the first step, and met the trigger again.
    """
    who, group, trigger = entrants
    variant = np.asarray(VARIANTS, dtype=object)[group]
    window = scenario.window_days * DAY
    end = _midnight(release.start) + release.days * DAY
    rows.add(who, TRIGGER, trigger, variant)

    def some(share: float) -> Array:
        return np.flatnonzero(rng.random(len(who)) < share)

    met, used, second = (np.full(len(who), NEVER) for _ in range(3))
    going, now = np.arange(len(who)), trigger
    for place, names in enumerate(STEP_EVENTS):
        rate = np.array([release.rates[name][place] for name in VARIANTS])[group[going]]
        goes = rng.random(len(going)) < rate
        stays, last = going[~goes], now[~goes]
        _detour(rng, rows, scenario, (who[stays], variant[stays], last))
        late = rng.random(len(stays)) < scenario.late
        after = trigger[stays[late]] + window + rng.integers(HOUR, 3 * DAY, int(late.sum()))
        rows.add(who[stays[late]], _one_of(rng, names, len(after)), after, variant[stays[late]])
        going = going[goes]
        gap = _waits(rng, len(going), median_hours=5.0, most=window // (len(STEP_EVENTS) + 1))
        gap[rng.random(len(going)) < scenario.ties] = 0
        now = now[goes] + gap
        rows.add(who[going], _one_of(rng, names, len(going)), now, variant[going])
        again = rng.random(len(going)) < scenario.repeats
        more = now[again] + rng.integers(HOUR, DAY, int(again.sum()))
        if not place:
            used[going] = now
            used[going[again]] = more
        rows.add(who[going[again]], _one_of(rng, names, len(more)), more, variant[going[again]])

    met[going] = now
    early = some(scenario.early)
    names = tuple(name for step in STEP_EVENTS for name in step)
    before = trigger[early] - rng.integers(HOUR, 2 * DAY, len(early))
    rows.add(who[early], _one_of(rng, names, len(early)), before, variant[early])
    twice = some(scenario.second_triggers)
    second[twice] = trigger[twice] + rng.integers(HOUR, 5 * DAY, len(twice))
    rows.add(who[twice], TRIGGER, second[twice], variant[twice])
    noisy = np.repeat(np.arange(len(who)), rng.poisson(scenario.noise, len(who)))
    when = trigger[noisy] + rng.integers(-3 * DAY, 10 * DAY, len(noisy))
    rows.add(who[noisy], _one_of(rng, NOISE, len(noisy)), when, variant[noisy])
    crossed = rng.permutation(np.flatnonzero(trigger < end - DAY))[: scenario.crossovers]
    other = np.asarray(VARIANTS, dtype=object)[1 - group[crossed]]
    rows.add(who[crossed], TRIGGER, trigger[crossed] + HOUR, other)
    return met, used, second


def _come_back(
    rng: np.random.Generator,
    rows: _Rows,
    release: Release,
    entrants: tuple[Array, Array],
    entries: Entries,
) -> None:
    """Add the rows of returns and outcomes: of customers, and the variant (its index) of each."""
    who, group = entrants
    variant = np.asarray(VARIANTS, dtype=object)[group]
    rates = np.array([release.sequels[name] for name in VARIANTS])[group]
    drawn = draw_sequels(rng, entries, rates)
    for event, at in (
        (TRIGGER, drawn.again),
        (STEP_EVENTS[0][0], drawn.returned),
        (OUTCOME, drawn.outcome),
    ):
        happened = at < NEVER
        rows.add(who[happened], event, at[happened], variant[happened])


def _detour(
    rng: np.random.Generator,
    rows: _Rows,
    scenario: Scenario,
    stayed: tuple[Array, Array, Array],
) -> None:
    """Show where some of those went who did not take a step."""
    who, variant, last = stayed
    went = rng.random(len(who)) < scenario.detours
    after = last[went] + rng.integers(60 * SECOND, 4 * HOUR, int(went.sum()))
    rows.add(who[went], _one_of(rng, DETOURS, len(after)), after, variant[went])


def _waits(rng: np.random.Generator, count: int, *, median_hours: float, most: int) -> Array:
    """Draw waiting times with a long tail that ends before `most`."""
    drawn = rng.lognormal(np.log(median_hours * HOUR), 1.2, count)
    return np.asarray(np.clip(drawn, 60 * SECOND, most - 1), dtype=np.int64)


def _one_of(rng: np.random.Generator, names: tuple[str, ...], count: int) -> Array:
    return np.asarray(names, dtype=object)[rng.integers(0, len(names), count)]


def _midnight(day: date) -> int:
    return int(np.datetime64(day, "us").astype(np.int64))


def _events(rng: np.random.Generator, rows: _Rows, scenario: Scenario) -> dict[str, Array]:
    """Cut the log at its end, repeat some rows exactly, write some late."""
    last = scenario.releases[-1]
    end = _midnight(last.start) + (last.days + scenario.ends_after_days) * DAY
    at = np.concatenate(rows.at)
    kept = np.flatnonzero(at < end)
    copies = kept[rng.random(len(kept)) < scenario.duplicates]
    kept = np.concatenate([kept, copies])
    delay = np.where(rng.random(len(kept)) < scenario.delayed, rng.integers(0, DAY, len(kept)), 0)
    order = kept[np.argsort(at[kept] + delay, kind="stable")]
    return {
        "customer_id": _ids(np.concatenate(rows.customer)[order]),
        "event": np.concatenate(rows.event)[order],
        "occurred_at": at[order],
        "variant": np.concatenate(rows.variant)[order],
    }


def _customers(rng: np.random.Generator, known: int, scenario: Scenario) -> dict[str, Array]:
    """Draw a row for each customer, but for a few that nobody wrote down."""
    listed = np.flatnonzero(rng.random(known) >= scenario.unknown)
    columns = {
        column: rng.choice(np.asarray(list(shares), dtype=object), known, p=list(shares.values()))
        for column, shares in LEVELS.items()
    }
    return {"customer_id": _ids(listed)} | {name: each[listed] for name, each in columns.items()}


def _ids(numbers: Array) -> Array:
    return np.array([f"c{1001 + number}" for number in numbers], dtype=object)


def simulate_counts(
    seed: int,
    *,
    control_rate: float,
    treatment_rate: float,
    control_total: int,
    treatment_total: int,
    size: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw `size` comparisons at once: the converted of control and of treatment in each.

    >>> control, treatment = simulate_counts(
    ...     1, control_rate=0.5, treatment_rate=0.6, control_total=80, treatment_total=70, size=3)
    >>> control.shape, bool((treatment <= 70).all())
    ((3,), True)
    """
    rng = np.random.default_rng(seed)
    control = rng.binomial(control_total, control_rate, size)
    return control, rng.binomial(treatment_total, treatment_rate, size)


def events_frame(tables: Tables) -> pd.DataFrame:
    """Give the events with times as moments."""
    import pandas as pd

    frame = pd.DataFrame(dict(tables.events))
    at = pd.to_datetime(frame["occurred_at"], unit="us", utc=True)
    return frame.assign(occurred_at=at.astype("datetime64[us, UTC]"))


def write_tables(tables: Tables, folder: Path) -> None:
    """Write `data/events.parquet` and `data/customers.csv`, the same bytes for the same tables."""
    import duckdb
    import pandas as pd

    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(dict(tables.customers)).to_csv(
        data / "customers.csv", index=False, lineterminator="\n"
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("events", events_frame(tables))
        target = str(data / "events.parquet").replace("'", "''")
        connection.execute(f"COPY events TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def write_study(folder: Path) -> Path:
    """Write a new study, with data that run as they are; give the path of its `study.yaml`.

    Raises StudyError when there is a study already, or when the folder cannot be written.
    """
    study = folder / "study.yaml"
    if study.exists():
        msg = f"{study} exists already; name a folder without a study, or remove that one"
        raise StudyError(msg)
    try:
        write_tables(simulate(SEED, SAMPLE), folder)
        study.write_bytes((files("workbench") / "sample" / "study.yaml").read_bytes())
    except OSError as error:
        msg = f"{folder} cannot be written ({error.strerror}); name a folder of your own"
        raise StudyError(msg) from None
    return study


if __name__ == "__main__":
    write_tables(simulate(SEED, GUIDED_IMPORT), Path(sys.argv[1]))
