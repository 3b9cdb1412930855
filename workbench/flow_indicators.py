"""Indicators that the event log gives: what those who entered the flow in each period went on to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from workbench.flow import ADOPTION
from workbench.grids import Grid, number
from workbench.indicators import IndicatorDefinition, IndicatorsSource
from workbench.iterations import from_instant
from workbench.journeys import Journeys
from workbench.steps import StepCounts

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class FlowIndicators:
    """Values per period, how many customers each rests on, and why an indicator has none."""

    grid: Grid
    values: Mapping[str, Array] = field(repr=False)
    n: Mapping[str, Array] = field(repr=False)
    reasons: Mapping[str, str] = field(default_factory=dict)


def count_indicators(
    data: Journeys,
    spec: IndicatorsSource,
    cohort: Mapping[str, str] | None = None,
    moment: datetime | None = None,
) -> FlowIndicators:
    """Count the indicators that are `from_flow`, for customers who entered in each period.

    The first trigger in a period enters, as in an iteration. A period has a value once the window
    of everybody who entered in it is over: median_hours from the trigger to the step, or the rate
    converted / closed. `cohort` keeps the customers with these values of grouping columns.
    """
    zone, until = ZoneInfo(data.log.timezone), data.as_of(moment)
    ends = (from_instant(data.log.facts.oldest), until)
    numbers = [number(spec.period, each.astimezone(zone).date()) for each in ends]
    grid = Grid.of(spec.period, numbers)
    spans = grid.spans(zone)
    wanted = cohort or {}
    counted = Journeys(data.log, data.flow, spans, data.groupings, data.customers)
    rows = {
        (each.iteration, each.step): each
        for each in counted.count_steps(list(wanted), moment)
        if each.cohort == tuple(wanted.values())
    }
    begun = [place for place, span in enumerate(spans) if (span.name, data.flow.names[0]) in rows]
    empty = begun[0] if begun else 0
    spans, grid = spans[empty:], Grid(grid.kind, grid.first + empty, grid.length - empty)
    values, n, reasons = {}, {}, {}
    for name in spec.of_flow:
        definition = spec.definitions[name]
        found = []
        for span in spans:
            entered = rows.get((span.name, data.flow.names[0]))
            step = rows.get((span.name, definition.step or ADOPTION))
            over = from_instant(span.end) <= until and _over(entered) and _returned(step)
            found.append(_value(definition, step) if over and step else (np.nan, 0))
        values[name] = np.array([value for value, _ in found], dtype=float)
        n[name] = np.array([count for _, count in found], dtype=np.int64)
        if definition.from_flow == "adoption" and data.flow.return_window is None:
            reasons[name] = (
                f"{name} is from_flow: adoption, but the flow has no return_window; add one, such "
                "as return_window: 30d"
            )
    return FlowIndicators(grid, values, n, reasons)


def _over(entered: StepCounts | None) -> bool:
    """Whether the window of everybody who entered is over."""
    return entered is not None and entered.closed == entered.entered


def _returned(step: StepCounts | None) -> bool:
    """Whether nobody has time left to return, if the step is adoption."""
    return step is not None and (step.step != ADOPTION or not step.pending)


def _value(definition: IndicatorDefinition, step: StepCounts) -> tuple[float, int]:
    if definition.from_flow == "median_hours":
        return step.median_hours, step.aligned
    return step.of_entrants.rate, step.closed
