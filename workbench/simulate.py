"""Simulated studies with known true rates, and with the ugly things that real logs hold.

`python -m workbench.simulate studies/guided-import` writes the data of the bundled study anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.errors import StudyError

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
TRIGGER = "opened_spreadsheet"
STEPS = ("previewed", "mapped", "imported")
STEP_EVENTS = (("opened_preview",), ("mapped_columns", "auto_mapped"), ("import_completed",))
NOISE = ("viewed_dashboard", "invited_colleague", "opened_settings")
DETOURS = ("opened_help", "contacted_support", "closed_import", "pasted_by_hand")
VARIANTS = ("blank", "preview")
LEVELS: Mapping[str, Mapping[str, float]] = {
    "company_size": {"1-9": 0.5, "10-49": 0.3, "50+": 0.2},
    "industry": {"retail": 0.4, "logistics": 0.35, "care": 0.25},
    "country": {"NL": 0.5, "DE": 0.3, "BE": 0.2},
}


@dataclass(frozen=True)
class Release:
    """One iteration of a scenario: who enters it, and how likely each variant takes each step.

    `rates` are the true step rates, each among those who reached the step before, within the
    window.
    """

    name: str
    start: date
    days: int
    customers: int
    rates: Mapping[str, tuple[float, ...]]

    def truth(self, variant: str) -> dict[str, float]:
        """Give the true share of a variant's entrants that reaches each step in time.

        >>> release = Release("2026.1", date(2026, 1, 5), 28, 100, {"blank": (0.8, 0.5, 0.5)})
        >>> release.truth("blank")
        {'previewed': 0.8, 'mapped': 0.4, 'imported': 0.2}
        """
        return dict(zip(STEPS, accumulate(self.rates[variant], mul), strict=True))


@dataclass(frozen=True)
class Scenario:
    """What to simulate. Every ugly thing is an option of its own, and 0 leaves it out.

    None of them changes the true rates: late steps come after the window, early ones before the
    trigger, and who returns in a later iteration does so with that iteration's rates.
    """

    releases: tuple[Release, ...]
    window_days: int = 7
    ends_after_days: int = 4  # how long the log goes on after the last iteration
    duplicates: float = 0.01  # share of rows that come twice
    ties: float = 0.05  # share of steps at the very time of the step before
    repeats: float = 0.15  # share of steps taken twice
    late: float = 0.15  # share of the deviated who take the step after the window
    early: float = 0.05  # share of customers who take a step before the trigger
    second_triggers: float = 0.08  # share of entrants who meet the trigger again soon
    returning: float = 0.05  # share of early entrants who enter the next iteration too
    crossovers: int = 2  # entrants per iteration with rows of both variants
    unknown: float = 0.01  # share of customers missing from the customers table
    noise: float = 1.0  # events outside the flow, per entrant
    detours: float = 0.6  # share of the deviated whose next event shows where they went
    delayed: float = 0.05  # share of rows that are written out of order


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
    rng = np.random.default_rng(seed)
    rows, known, back = _Rows(), 0, (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    for release in scenario.releases:
        new = np.arange(known, known + release.customers)
        who = np.concatenate([new, back[0]])
        group = np.concatenate([rng.integers(0, len(VARIANTS), len(new)), back[1]])
        known += release.customers
        trigger = _midnight(release.start) + rng.integers(0, release.days * DAY, len(who))
        _enter(rng, rows, scenario, release, (who, group, trigger))
        first_half = (trigger < _midnight(release.start) + release.days * DAY // 2) & (
            rng.random(len(who)) < 2 * scenario.returning
        )
        back = who[first_half], group[first_half]
    return Tables(_events(rng, rows, scenario), _customers(rng, known, scenario))


def _enter(
    rng: np.random.Generator,
    rows: _Rows,
    scenario: Scenario,
    release: Release,
    entrants: tuple[Array, Array, Array],
) -> None:
    """Draw all rows of one iteration's entrants: customer, variant (its index), trigger."""
    who, group, trigger = entrants
    variant = np.asarray(VARIANTS, dtype=object)[group]
    window = scenario.window_days * DAY
    end = _midnight(release.start) + release.days * DAY
    rows.add(who, TRIGGER, trigger, variant)

    def some(share: float) -> Array:
        return np.flatnonzero(rng.random(len(who)) < share)

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
        rows.add(who[going[again]], _one_of(rng, names, len(more)), more, variant[going[again]])

    early = some(scenario.early)
    names = tuple(name for step in STEP_EVENTS for name in step)
    before = trigger[early] - rng.integers(HOUR, 2 * DAY, len(early))
    rows.add(who[early], _one_of(rng, names, len(early)), before, variant[early])
    twice = some(scenario.second_triggers)
    rows.add(
        who[twice],
        TRIGGER,
        trigger[twice] + rng.integers(HOUR, 5 * DAY, len(twice)),
        variant[twice],
    )
    noisy = np.repeat(np.arange(len(who)), rng.poisson(scenario.noise, len(who)))
    when = trigger[noisy] + rng.integers(-3 * DAY, 10 * DAY, len(noisy))
    rows.add(who[noisy], _one_of(rng, NOISE, len(noisy)), when, variant[noisy])
    crossed = rng.permutation(np.flatnonzero(trigger < end - DAY))[: scenario.crossovers]
    other = np.asarray(VARIANTS, dtype=object)[1 - group[crossed]]
    rows.add(who[crossed], TRIGGER, trigger[crossed] + HOUR, other)


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


GUIDED_IMPORT = Scenario(
    releases=(
        Release(
            "2026.1",
            date(2026, 1, 5),
            28,
            280,
            {"blank": (0.72, 0.70, 0.72), "preview": (0.86, 0.80, 0.76)},
        ),
        Release(
            "2026.2",
            date(2026, 2, 2),
            28,
            360,
            {"blank": (0.80, 0.74, 0.74), "preview": (0.80, 0.70, 0.76)},
        ),
        Release(
            "2026.3",
            date(2026, 3, 2),
            28,
            300,
            {"blank": (0.82, 0.78, 0.76), "preview": (0.84, 0.80, 0.77)},
        ),
    ),
)
SAMPLE = Scenario(
    releases=(
        Release(
            "2026.1",
            date(2026, 1, 5),
            28,
            160,
            {"blank": (0.70, 0.70, 0.70), "preview": (0.88, 0.84, 0.80)},
        ),
    ),
    crossovers=1,
)
SEED = 2026


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
