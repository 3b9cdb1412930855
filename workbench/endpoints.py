"""End points of a flow: who returned once the need was met, and whose outcome came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import narwhals as nw

from workbench.engines import Frame, keep
from workbench.flow import Flow, Step
from workbench.rows import ENTRANT, ahead, among, no_later, shared, take, unused


@dataclass(frozen=True)
class Adoption:
    """Who met the trigger again after the need was met, and who of them returned to the solution.

    `opportunities` has customer, entered, cohort, and before: when the trigger was met again;
    `returns` has these and at: when the first step was taken after it.
    """

    opportunities: Frame
    returns: Frame


def follow_return(met: Frame, units: Frame, flow: Flow) -> Adoption:
    """Follow those whose need was met to the next trigger, and from there to the first step.

    Where the trigger itself meets the need, an opportunity cannot be told from its being taken:
    everybody has one from then on, and the next trigger takes it.
    """
    at, before = nw.col("at"), nw.col("before")
    later = units.filter(among(flow, flow.trigger)).join(unused(met, flow), on="customer")
    later = later.filter(at > before)
    limit = flow.return_limit
    if flow.trigger_meets_need:
        opportunities = unused(met, flow).select(*ENTRANT, "before")
        rows = later.filter(no_later(at, "before", limit))
    else:
        state = keep(take(later, flow, flow.trigger).rename({"at": "before"}))
        opportunities = state.select(*ENTRANT, "before")
        state = state.select(*ENTRANT, "before", *shared(flow).values())
        rows = ahead(units, state, flow, flow.steps[0].events)
        rows = rows.filter(no_later(at, "before", limit))
    returns = rows.group_by(*ENTRANT, "before").agg(at.min())
    return Adoption(opportunities, keep(returns))


def follow_outcome(
    start: Frame, units: Frame, taken: Sequence[Frame], flow: Flow, outcome: Step
) -> Frame:
    """Give the entrants whose outcome came in time, with `at`: when its first row came.

    A row that served the trigger or a step, of which `taken` tells customer, entered, at and code,
    is no outcome.
    """
    at = nw.col("at")
    entrants = start.select(*ENTRANT)
    rows = (
        units.filter(among(flow, outcome.events))
        .join(entrants, on="customer")
        .filter(at >= nw.col("entered"), no_later(at, "entered", flow.outcome_window))
    )
    if taken:
        keys = ["customer", "entered", "at", "code"]
        frames = [frame.select(*keys) for frame in taken]
        served = nw.concat(frames).group_by(*keys).agg(nw.len().alias("served"))
        rows = rows.join(served, on=keys, how="left").filter(
            nw.col("spare") > nw.col("served").fill_null(0)
        )
    return keep(rows.group_by(*ENTRANT).agg(at.min()))
