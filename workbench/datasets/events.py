"""Simulated event logs with known true rates, and with the flaws of real logs.

`python -m workbench.datasets.events studies/guided-import` regenerates the bundled study's data.
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
NEVER = np.iinfo(np.int64).max // 2
RETURN_DAYS = 7  # the flow's return window
OUTCOME_DAYS = 56  # and its outcome window
ROOM_DAYS = 9  # before an iteration's end; customers who enter earlier can return within it
TRIGGER = "opened_spreadsheet"
OUTCOME = "subscription_renewed"
STEPS = ("previewed", "mapped", "imported")
STEP_EVENTS = (("opened_preview",), ("mapped_columns", "auto_mapped"), ("import_completed",))
NOISE = ("viewed_dashboard", "invited_colleague", "opened_settings")
DETOURS = ("opened_help", "contacted_support", "closed_import", "pasted_by_hand")
VARIANTS = ("blank", "preview")
SECOND_TRIGGERS = 0.08
SECOND_LATER = 0.83  # share of second triggers that come after the need was met
LEVELS: Mapping[str, Mapping[str, float]] = {
    "company_size": {"1-9": 0.5, "10-49": 0.3, "50+": 0.2},
    "industry": {"retail": 0.4, "logistics": 0.35, "care": 0.25},
    "country": {"NL": 0.5, "DE": 0.3, "BE": 0.2},
}
SEED = 2026


@dataclass(frozen=True)
class SimulatedEntries:
    """One iteration's entrants; times are in microseconds, NEVER for what did not happen.

    `met` is when the need was met, `used` when the first step was last taken, `second` the time of a
    random second trigger, `before` the entry into the iteration before. `reenters` marks customers
    who enter the next iteration too. `end` is the end of the iteration.
    """

    trigger: Array
    met: Array
    used: Array
    second: Array
    reenters: Array
    before: Array
    end: int


@dataclass(frozen=True)
class SimulatedOutcomes:
    """The time of each entrant's next trigger, return and outcome; NEVER without one."""

    again: Array
    returned: Array
    outcome: Array


def draw_outcomes(
    rng: np.random.Generator, entries: SimulatedEntries, rates: Array
) -> SimulatedOutcomes:
    """Draw returns and outcomes of an iteration's entrants.

    Returns happen within the iteration, so that they do not change entries into a later one.
    Customers who met the need and entered more than `ROOM_DAYS` before the end meet the trigger again;
    the others have an opportunity to return only if their `second` trigger came after the need was
    met.

    Args:
        rng: The random numbers.
        entries: The entrants.
        rates: Entrants x 4: the probability of a return, given an opportunity; then of the outcome if
            the need was not met, if it was met, and if the customer returned.
    """
    who = np.arange(len(entries.trigger))
    met = entries.met < NEVER
    room = met & (entries.trigger < entries.end - ROOM_DAYS * DAY)
    chance = met & (entries.second > entries.met) & (entries.second < NEVER)
    earliest = np.where(met, np.maximum(entries.met, entries.used), 0) + HOUR
    latest = np.where(entries.reenters, entries.end - RETURN_DAYS * DAY, entries.end - 2 * DAY)
    latest = np.where(chance, np.minimum(latest, entries.second), latest)
    anew = room & (earliest < latest)
    drawn = earliest + (rng.random(len(who)) * np.maximum(latest - earliest, 0)).astype(np.int64)
    opportunity = np.where(anew, drawn, np.where(chance, entries.second, NEVER))
    returns = (opportunity < NEVER) & (rng.random(len(who)) < rates[:, 0])
    gap = np.clip(rng.lognormal(np.log(15 * HOUR), 1.0, len(who)), 60 * SECOND, 2 * DAY - SECOND)
    returned = np.where(returns, opportunity + gap.astype(np.int64), NEVER)
    kind = np.where(returns, 3, np.where(met, 2, 1))
    happens = rng.random(len(who)) < rates[who, kind]
    outcome = np.where(happens, _outcome_times(rng, entries), NEVER)
    return SimulatedOutcomes(np.where(anew, drawn, NEVER), returned, outcome)


def _outcome_times(rng: np.random.Generator, entries: SimulatedEntries) -> Array:
    """Draw times within the outcome window that count for only one entry of a customer."""
    window = OUTCOME_DAYS * DAY
    low = np.maximum(
        entries.trigger + np.where(entries.reenters, HOUR, 14 * DAY),
        np.where(entries.before < NEVER, entries.before + window, 0),
    )
    high = np.where(entries.reenters, entries.end, entries.trigger + window)
    low = np.where(low < high, low, entries.trigger + HOUR)
    share: Array = rng.random(len(low)) * np.maximum(high - low - SECOND, SECOND)
    return np.asarray(low + SECOND + share, dtype=np.int64)


@dataclass(frozen=True)
class SimulatedRelease:
    """One iteration of a scenario: its entrants, and the true rates of each variant.

    `rates` are step rates within the window, each among those who reached the step before.
    `outcome_rates` are the rates of a return, given an opportunity, and of the outcome: without the
    need met, with the need met, and with a return.
    """

    name: str
    start: date
    days: int
    customers: int
    rates: Mapping[str, tuple[float, ...]]
    outcome_rates: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def truth(self, variant: str) -> dict[str, float]:
        """Return the true share of a variant's entrants that reaches each step in time.

        >>> release = SimulatedRelease("2026.1", date(2026, 1, 5), 28, 100, {"blank": (0.8, 0.5, 0.5)})
        >>> release.truth("blank")
        {'previewed': 0.8, 'mapped': 0.4, 'imported': 0.2}
        """
        return dict(zip(STEPS, accumulate(self.rates[variant], mul), strict=True))

    def outcome_truth(
        self, variant: str, second_triggers: float = SECOND_TRIGGERS
    ) -> dict[str, float]:
        """Return the true rates of adoption (given an opportunity), the outcome, and both.

        >>> release = SimulatedRelease("2026.1", date(2026, 1, 5), 28, 100, {"blank": (1.0, 1.0, 0.5)},
        ...                   {"blank": (0.4, 0.1, 0.2, 0.5)})
        >>> rates = release.outcome_truth("blank", second_triggers=0)
        >>> {name: round(rate, 4) for name, rate in rates.items()}
        {'adoption': 0.4, 'renewed': 0.1907, 'both': 0.0679}
        """
        returns, without, met, adopted = self.outcome_rates[variant]
        need, late = self.truth(variant)[STEPS[-1]], ROOM_DAYS / self.days
        back = need * (1 - late + late * second_triggers * SECOND_LATER) * returns
        renewed = (1 - need) * without + (need - back) * met + back * adopted
        return {"adoption": returns, "renewed": renewed, "both": back * adopted}


@dataclass(frozen=True)
class Scenario:
    """What to simulate; each flaw of the log is an option, and 0 leaves it out.

    No flaw changes the true rates: late steps come after the window, early ones before the trigger,
    and customers who enter a later iteration again follow that iteration's rates.
    """

    releases: tuple[SimulatedRelease, ...]
    window_days: int = 7
    ends_after_days: int = 4  # how long the log goes on after the last iteration
    duplicates: float = 0.01  # share of rows that come twice
    ties: float = 0.05  # share of steps at the very time of the step before
    repeats: float = 0.15  # share of steps taken twice
    late: float = 0.15  # share of the deviated who take the step after the window
    early: float = 0.05  # share of customers who take a step before the trigger
    second_triggers: float = SECOND_TRIGGERS  # share of entrants who meet the trigger again soon
    returning: float = 0.05  # share of early entrants who enter the next iteration too
    crossovers: int = 2  # entrants per iteration with rows of both variants
    unknown: float = 0.01  # share of customers missing from the customers table
    noise: float = 1.0  # events outside the flow, per entrant
    detours: float = 0.6  # share of the deviated whose next event shows where they went
    delayed: float = 0.05  # share of rows that are written out of order


GUIDED_IMPORT = Scenario(
    releases=(
        SimulatedRelease(
            "2026.1",
            date(2026, 1, 5),
            28,
            280,
            {"blank": (0.72, 0.70, 0.72), "preview": (0.86, 0.80, 0.76)},
            {"blank": (0.28, 0.08, 0.22, 0.45), "preview": (0.32, 0.08, 0.22, 0.45)},
        ),
        SimulatedRelease(
            "2026.2",
            date(2026, 2, 2),
            28,
            360,
            {"blank": (0.80, 0.74, 0.74), "preview": (0.80, 0.70, 0.76)},
            {"blank": (0.32, 0.09, 0.25, 0.48), "preview": (0.34, 0.09, 0.25, 0.48)},
        ),
        SimulatedRelease(
            "2026.3",
            date(2026, 3, 2),
            28,
            300,
            {"blank": (0.82, 0.78, 0.76), "preview": (0.84, 0.80, 0.77)},
            {"blank": (0.36, 0.10, 0.32, 0.58), "preview": (0.38, 0.10, 0.32, 0.58)},
        ),
        SimulatedRelease(
            "2026.4",
            date(2026, 3, 30),
            28,
            320,
            {"blank": (0.84, 0.80, 0.78), "preview": (0.85, 0.81, 0.78)},
            {"blank": (0.38, 0.11, 0.36, 0.62), "preview": (0.62, 0.11, 0.36, 0.62)},
        ),
        SimulatedRelease(
            "2026.5",
            date(2026, 4, 27),
            28,
            340,
            {"blank": (0.86, 0.82, 0.80), "preview": (0.87, 0.83, 0.80)},
            {"blank": (0.60, 0.12, 0.40, 0.66), "preview": (0.64, 0.12, 0.40, 0.66)},
        ),
    ),
)
SAMPLE = Scenario(
    releases=(
        SimulatedRelease(
            "2026.1",
            date(2026, 1, 5),
            28,
            160,
            {"blank": (0.70, 0.70, 0.70), "preview": (0.88, 0.84, 0.80)},
        ),
    ),
    crossovers=1,
    ends_after_days=8,  # so that nobody's window is open, and the first report decides
)


@dataclass(frozen=True)
class Tables:
    """Events and customers, as columns: times in microseconds UTC, everything else text."""

    events: Mapping[str, Array]
    customers: Mapping[str, Array]


@dataclass
class _EventRows:
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
    """Simulate the events and customers of a scenario.

    Args:
        seed: The same seed gives the same tables.
        scenario: The iterations with their true rates, and the flaws of the log.

    Returns:
        Events and customers, as columns.

    Example:
        >>> tables = simulate(1, SAMPLE)
        >>> list(tables.events)
        ['customer_id', 'event', 'occurred_at', 'variant']
    """
    rng, later = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    rows, known, back = _EventRows(), 0, (np.empty(0, dtype=np.int64),) * 3
    for release in scenario.releases:
        new = np.arange(known, known + release.customers)
        who = np.concatenate([new, back[0]])
        group = np.concatenate([rng.integers(0, len(VARIANTS), len(new)), back[1]])
        known += release.customers
        trigger = _midnight(release.start) + rng.integers(0, release.days * DAY, len(who))
        met, used, second = _draw_flow(rng, rows, scenario, release, (who, group, trigger))
        first_half = (trigger < _midnight(release.start) + release.days * DAY // 2) & (
            rng.random(len(who)) < 2 * scenario.returning
        )
        if release.outcome_rates:
            before = np.concatenate([np.full(len(new), NEVER), back[2]])
            end = _midnight(release.start) + release.days * DAY
            entries = SimulatedEntries(trigger, met, used, second, first_half, before, end)
            _draw_returns(later, rows, release, (who, group), entries)
        back = who[first_half], group[first_half], trigger[first_half]
    return Tables(
        _events(rng, rows, scenario), _customers(np.random.default_rng((seed, 2)), known, scenario)
    )


def _draw_flow(
    rng: np.random.Generator,
    rows: _EventRows,
    scenario: Scenario,
    release: SimulatedRelease,
    entrants: tuple[Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Draw the flow of one iteration's entrants (customer, index of the variant, trigger).

    Returns:
        When each met the need, last took the first step, and met the trigger again.
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
        _draw_detours(rng, rows, scenario, (who[stays], variant[stays], last))
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


def _draw_returns(
    rng: np.random.Generator,
    rows: _EventRows,
    release: SimulatedRelease,
    entrants: tuple[Array, Array],
    entries: SimulatedEntries,
) -> None:
    """Add the rows of returns and outcomes of entrants (customer, index of the variant)."""
    who, group = entrants
    variant = np.asarray(VARIANTS, dtype=object)[group]
    rates = np.array([release.outcome_rates[name] for name in VARIANTS])[group]
    drawn = draw_outcomes(rng, entries, rates)
    for event, at in (
        (TRIGGER, drawn.again),
        (STEP_EVENTS[0][0], drawn.returned),
        (OUTCOME, drawn.outcome),
    ):
        happened = at < NEVER
        rows.add(who[happened], event, at[happened], variant[happened])


def _draw_detours(
    rng: np.random.Generator,
    rows: _EventRows,
    scenario: Scenario,
    stayed: tuple[Array, Array, Array],
) -> None:
    """Add what some customers did instead of a step."""
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


def _events(rng: np.random.Generator, rows: _EventRows, scenario: Scenario) -> dict[str, Array]:
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
    """Draw a row for each customer, except for a few who are missing."""
    listed = np.flatnonzero(rng.random(known) >= scenario.unknown)
    columns = {
        column: rng.choice(np.asarray(list(shares), dtype=object), known, p=list(shares.values()))
        for column, shares in LEVELS.items()
    }
    return {"customer_id": _ids(listed)} | {name: each[listed] for name, each in columns.items()}


def _ids(numbers: Array) -> Array:
    return np.array([f"c{1001 + number}" for number in numbers], dtype=object)


def events_frame(tables: Tables) -> pd.DataFrame:
    """Return the events as a data frame, with times as timestamps in UTC."""
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
    """Write a new study with simulated data, ready to run.

    Args:
        folder: Where to write; it is made if it does not exist.

    Returns:
        The path of the new `study.yaml`.

    Raises:
        StudyError: If there is a study already, or the folder cannot be written.
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
