"""What is wrong with indicators: gaps, constant values, too few periods, fewer answers, old values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np

from workbench import formats
from workbench.grids import label, starting
from workbench.indicators import Indicators, Series
from workbench.proportions import Counts, compare
from workbench.quality import Problem

FEWEST_PERIODS = 12
FALL, SURE = 0.1, 0.01  # a response rate fell if by so much, with so small a p-value


def indicator_problems(
    found: Indicators, unnamed: Sequence[str] = (), as_of: date | None = None
) -> list[Problem]:
    """Name what is wrong with each indicator; `as_of` is the last period's end unless given.

    `unnamed` lists indicators of the file that no definition names.
    """
    problems = [
        Problem("note", f"the file holds {name}, which no definition names; it is not read", 1, {})
        for name in unnamed
    ]
    for name in found.names:
        series = found.series(name)
        if series.reason:
            problems.append(Problem("warning", series.reason, 0, {}))
            continue
        for each in (_gaps, _constant, _short, _answers):
            problems += each(series)
        problems += _stale(found, series, as_of)
        if repeats := found.repeated.get(name):
            combine = series.definition.combine
            said = f"values of {name} share a period with another; their {combine} counts"
            problems.append(Problem("note", said, repeats, {}))
    return problems


def _gaps(series: Series) -> Iterator[Problem]:
    first, end = series.known
    missing = [series.periods[each] for each in range(first, end) if np.isnan(series.values[each])]
    if missing:
        said = (
            f"{series.name} has no value in {len(missing)} of {end - first} periods between its "
            f"first and its last, such as {missing[0]}"
        )
        yield Problem("warning", said, len(missing), {"period": missing[0]})


def _constant(series: Series) -> Iterator[Problem]:
    known = series.values[~np.isnan(series.values)]
    if len(known) > 1 and np.ptp(known) == 0:
        said = (
            f"{series.name} is {known[0]:g} in every period; what never changes moves with nothing"
        )
        yield Problem("warning", said, len(known), {})


def _short(series: Series) -> Iterator[Problem]:
    known = int((~np.isnan(series.values)).sum())
    if known < FEWEST_PERIODS:
        said = (
            f"{series.name} has values in {known} periods; collect {FEWEST_PERIODS - known} more "
            f"before looking for lags (at least {FEWEST_PERIODS})"
        )
        yield Problem("warning", said, known, {})


def _answers(series: Series) -> Iterator[Problem]:
    """Compare the response rate of the first third of the periods with that of the last third."""
    first, end = series.known
    third = (end - first) // 3
    if not third or not series.asked.any():
        return
    early, late = slice(first, first + third), slice(end - third, end)
    before, now = (
        Counts(int(series.n[each].sum()), int(series.asked[each].sum())) for each in (early, late)
    )
    if not (before.total and now.total):
        return
    change = compare(control=before, treatment=now, test="score", interval="score")
    if change.estimate <= -FALL and change.pvalue < SURE:
        said = (
            f"the response rate of {series.name} fell from "
            f"{formats.rate(before.rate, before.converted, before.total)} in "
            f"{series.periods[first]} to {series.periods[first + third - 1]} to "
            f"{formats.rate(now.rate, now.converted, now.total)} in "
            f"{series.periods[end - third]} to {series.periods[end - 1]}; who still answers may differ"
        )
        yield Problem("warning", said, now.total - now.converted, {})


def _stale(found: Indicators, series: Series, as_of: date | None) -> Iterator[Problem]:
    """Hold the age of the newest value against the indicator's freshness."""
    grid, freshness = found.periods, series.definition.freshness
    if freshness is None or grid.kind == "number":
        return
    last = series.known[1]
    ended = starting(grid.kind, grid.first + last)
    until = as_of or starting(grid.kind, grid.first + grid.length)
    if until - ended > freshness:
        newest = label(grid.kind, grid.first + last - 1)
        said = (
            f"{series.name} is stale: its newest value is of {newest}, {(until - ended).days} days "
            f"before {until}, and it should be at most {freshness.days} days old"
        )
        yield Problem("warning", said, 1, {"period": newest})
