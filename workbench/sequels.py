"""Simulated sequels: who comes back after the need was met, and whose outcome comes, by true rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NEVER = np.iinfo(np.int64).max // 2
RETURN_DAYS = 7  # the return window that the sequels are drawn for
OUTCOME_DAYS = 56  # and the outcome window
ROOM_DAYS = 9  # who enters earlier than that before the end has time to come back within it


@dataclass(frozen=True)
class Entries:
    """One iteration's entrants, all times in microseconds, NEVER for what did not happen.

    `met` is when the need was met, `used` when the first step was last taken, `second` when the
    trigger came again by chance; `reenters` says who enters the next iteration too, `before` when
    they entered the one before. `end` is the iteration's.
    """

    trigger: Array
    met: Array
    used: Array
    second: Array
    reenters: Array
    before: Array
    end: int


@dataclass(frozen=True)
class Sequels:
    """When each entrant met the trigger anew, returned, and had the outcome; NEVER if not."""

    again: Array
    returned: Array
    outcome: Array


def draw_sequels(rng: np.random.Generator, entries: Entries, rates: Array) -> Sequels:
    """Draw the sequels of an iteration's entrants.

    `rates` has a row an entrant: the chance to return, given an opportunity, then of the outcome
    if the need was not met, if it was, and if the customer returned. All of it happens within the
    iteration but the outcome, so that no entry in a later iteration is touched: who met the need
    and entered `ROOM_DAYS` before the end comes with the trigger once more. Of the others only they
    have an opportunity whose `second` trigger came after the need was met.
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
    return Sequels(np.where(anew, drawn, NEVER), returned, outcome)


def _outcome_times(rng: np.random.Generator, entries: Entries) -> Array:
    """Draw times within the outcome window that count for one entry of a customer only."""
    window = OUTCOME_DAYS * DAY
    low = np.maximum(
        entries.trigger + np.where(entries.reenters, HOUR, 14 * DAY),
        np.where(entries.before < NEVER, entries.before + window, 0),
    )
    high = np.where(entries.reenters, entries.end, entries.trigger + window)
    low = np.where(low < high, low, entries.trigger + HOUR)
    share: Array = rng.random(len(low)) * np.maximum(high - low - SECOND, SECOND)
    return np.asarray(low + SECOND + share, dtype=np.int64)
