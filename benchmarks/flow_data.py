"""The benchmark's event log: seeded, shuffled, with what real logs hold, as one Parquet file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

DAY = 86_400_000_000  # microseconds, the unit of every time here
START = int(np.datetime64("2026-01-05", "us").astype(np.int64))
ITERATION_DAYS = 28
ITERATIONS = ("2026.1", "2026.2", "2026.3")
WINDOW_DAYS = 7
WINDOW = WINDOW_DAYS * DAY
LEAD_IN = 7 * DAY  # the log starts before the first iteration
END = START + (3 * ITERATION_DAYS + 3) * DAY  # and ends while the last customers are pending
TRIGGER = "opened_spreadsheet"
STEPS = ("opened_preview", "mapped_columns", "validated_rows", "import_completed", "shared_import")
NOISE = ("viewed_dashboard", "opened_help", "edited_profile", "exported_report", "invited_user")
EVENTS = (TRIGGER, *STEPS, *NOISE)
VARIANTS = ("blank", "preview")
STEP_RATES = (0.80, 0.75, 0.70, 0.65, 0.60)  # chance of going on, per step, for "blank"
EFFECT = 0.06  # what "preview" adds to each of them

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """How many rows and customers a log has; the rest follows from the seed."""

    rows: int = 10_000_000
    customers: int = 1_300_000
    seed: int = 20260105

    def path(self, folder: Path) -> Path:
        return folder / f"events-{self.rows}-{self.customers}-{self.seed}.parquet"


def bounds() -> list[tuple[str, int, int]]:
    """Name, start and end of each iteration; ends are exclusive."""
    length = ITERATION_DAYS * DAY
    return [
        (name, START + i * length, START + (i + 1) * length) for i, name in enumerate(ITERATIONS)
    ]


def moment(at: int) -> datetime:
    """Give a time of this log as a moment in UTC."""
    return datetime.fromtimestamp(at // 1_000_000, UTC)


def columns(size: Size) -> dict[str, Ints]:
    """Customer, event (index into EVENTS), time and variant (index into VARIANTS) of every row."""
    rng = np.random.default_rng(size.seed)
    everyone = np.arange(size.customers)
    ids = rng.permutation(3 * size.customers)[: size.customers] + 1_000_000
    group = rng.integers(0, 2, size.customers)
    customers: list[Ints] = []
    events: list[Ints] = []
    times: list[Ints] = []

    def add(who: Ints, event: Ints | int, when: Ints) -> None:
        customers.append(who)
        events.append(np.broadcast_to(np.asarray(event, dtype=np.int64), who.shape))
        times.append(when)

    entry = rng.integers(0, len(ITERATIONS), size.customers)
    again = rng.random(size.customers) < 0.15  # meets the trigger in another iteration too
    who = np.concatenate([everyone, everyone[again]])
    which = np.concatenate([entry, (entry[again] + 1) % len(ITERATIONS)])
    trigger = (
        START + (which * ITERATION_DAYS * DAY) + rng.integers(0, ITERATION_DAYS * DAY, len(who))
    )
    add(who, 0, trigger)
    twice = rng.random(len(who)) < 0.20  # meets the trigger again soon after
    add(who[twice], 0, trigger[twice] + _gap(rng, int(twice.sum()), hours=30))

    going, now = who, trigger
    for number, rate in enumerate(STEP_RATES, start=1):
        goes = rng.random(len(going)) < rate + EFFECT * group[going]
        going, now = going[goes], now[goes]
        gap = _gap(rng, len(going), hours=6)
        gap[rng.random(len(going)) < 0.02] = 0  # a tie with the step before
        now = now + gap
        add(going, number, now)
        repeats = rng.random(len(going)) < 0.25
        add(going[repeats], number, now[repeats] + _gap(rng, int(repeats.sum()), hours=12))
    early = everyone[rng.random(size.customers) < 0.08]  # a step before the trigger
    add(
        early,
        rng.integers(1, len(STEPS) + 1, len(early)),
        trigger[early] - _gap(rng, len(early), hours=48),
    )

    flow_times = np.concatenate(times)
    seen = (flow_times >= START - LEAD_IN) & (flow_times < END)
    missing = size.rows - int(seen.sum())
    if missing < 0:
        raise ValueError(f"{size.rows} rows are too few for {size.customers} customers")
    add(
        rng.integers(0, size.customers, missing),
        rng.integers(len(STEPS) + 1, len(EVENTS), missing),
        rng.integers(START - LEAD_IN, END, missing),
    )
    kept = np.concatenate([np.flatnonzero(seen), np.arange(len(seen), len(seen) + missing)])

    order = rng.permutation(kept)
    row_customer = np.concatenate(customers)[order]
    event = np.concatenate(events)[order]
    variant = group[row_customer]
    crossed = (event > 0) & (rng.random(size.rows) < 0.0002)  # rows of the other experiment group
    variant = np.where(crossed, 1 - variant, variant)
    return {
        "customer_id": ids[row_customer],
        "event": event,
        "occurred_at": np.concatenate(times)[order],
        "variant": variant,
    }


def _gap(rng: np.random.Generator, count: int, *, hours: float) -> Ints:
    """Waiting times around a median of `hours`, with the long tail that real ones have."""
    drawn = rng.lognormal(np.log(hours * 3_600_000_000), 1.2, count)
    return np.minimum(drawn, 60 * DAY).astype(np.int64) + 1


def write(size: Size, folder: Path) -> Path:
    """Make the file unless it is there already, and return where it lies."""
    import polars as pl

    path = size.path(folder)
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    data = columns(size)
    frame = pl.DataFrame(
        {
            "customer_id": data["customer_id"],
            "event": pl.Series(list(EVENTS)).gather(data["event"]),
            "occurred_at": pl.Series(data["occurred_at"]).cast(pl.Datetime("us", "UTC")),
            "variant": pl.Series(list(VARIANTS)).gather(data["variant"]),
        }
    )
    part = path.with_suffix(".part")
    frame.write_parquet(part, compression="zstd", row_group_size=122_880)
    part.rename(path)
    return path


def write_plain(size: Size, folder: Path) -> Path:
    """The same log without what every peer reads in its own way, to check that counts agree.

    Left out are an iteration's later triggers (`windowFunnel` starts again at each of them) and
    its rows before the first trigger (whose variant counts for the peers' crossovers).
    """
    import duckdb

    source = write(size, folder)
    path = source.with_suffix(".plain.parquet")
    if path.exists():
        return path
    part = path.with_suffix(".part")
    duckdb.sql(f"""
        COPY (
            SELECT * EXCLUDE (first) FROM (
                SELECT *, min(occurred_at) FILTER (event = '{TRIGGER}') OVER (
                    PARTITION BY customer_id,
                        (epoch_us(occurred_at) - {START}) // {ITERATION_DAYS * DAY}) AS first
                FROM read_parquet('{source}'))
            WHERE first IS NULL OR occurred_at >= first
                AND (event <> '{TRIGGER}' OR occurred_at = first)
        ) TO '{part}' (FORMAT parquet, COMPRESSION zstd)""")
    part.rename(path)
    return path
