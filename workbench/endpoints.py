"""End points of a flow: who returned once the need was met, and whose outcome came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from workbench.flow import Flow
from workbench.keys import NEVER, Ints, Share, Taken

MICROSECOND = timedelta(microseconds=1)


def codes_of(flow: Flow, names: Sequence[str]) -> list[int]:
    """Give the codes of events: their places among the flow's events."""
    return [flow.every_event.index(name) for name in names]


def within(since: Ints, limit: timedelta | None, last: Ints) -> Ints:
    """Give the last key within a limit, inclusive, and never after a customer's last one."""
    if limit is None:
        return last
    since = np.minimum(since, last)
    until: Ints = since + np.minimum(last - since, min(limit // MICROSECOND, NEVER))
    return until


def follow_return(met: Ints, share: Share, flow: Flow, last: Ints) -> tuple[Ints, Ints]:
    """Give when those whose need was met met the trigger again, and when they then took the first step.

    Where the trigger itself meets the need, an opportunity cannot be told from its being taken:
    everybody has one from then on, and the next trigger takes it.
    """
    triggers, later = codes_of(flow, flow.trigger), np.minimum(met, last) + 1
    if flow.trigger_meets_need:
        return met, share.first(triggers, later, within(met, flow.return_limit, last)).key
    again = share.first(triggers, later, last)
    used = {code: np.where(again.serves(code), again.row + 1, 0) for code in triggers}
    steps = codes_of(flow, flow.steps[0].events)
    until = within(again.key, flow.return_limit, last)
    return again.key, share.first(steps, again.key, until, used).key


def follow_outcome(
    entered: Ints, share: Share, served: Sequence[tuple[Ints, Taken]], flow: Flow, last: Ints
) -> Ints:
    """Give the key of each entry's outcome, the first in time that is not among `served`.

    `served` are the rows of the trigger and the steps, in the flow's order, each with the places of
    the entries that they served.
    """
    codes = codes_of(flow, flow.outcome.events if flow.outcome else ())
    used = {}
    for code in codes:
        row = np.searchsorted(share.of(code), entered)
        for those, taken in served:
            row[those] += taken.serves(code) & (taken.row == row[those])
        used[code] = row
    return share.first(codes, entered, within(entered, flow.outcome_window, last), used).key
