"""Retention: the share of customers who returned to the solution, by days since their need was met."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from workbench.flow import ADOPTION
from workbench.paths import Paths

DAY = 86_400_000_000
COLUMNS = ("days", "at_risk", "adopted", "share", "low", "high")


class Point(NamedTuple):
    """One day of a curve: who could still adopt, who did on it, and the share who had by its end."""

    days: int
    at_risk: int
    adopted: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Followed:
    """How many customers of an iteration and cohort adopted after, or were followed for, so many days."""

    iteration: str
    cohort: tuple[str, ...]
    adopted: Mapping[int, int]
    censored: Mapping[int, int]


def curve(
    adopted: Mapping[int, int], censored: Mapping[int, int], confidence_level: float = 0.95
) -> list[Point]:
    """Estimate the share who adopted by each day: 1 - Kaplan-Meier (1958).

    `adopted` and `censored` count customers by the day of it; who is censored on a day could still
    adopt on it. The interval takes Greenwood's variance (1926) to the scale of log(-log), which keeps
    it between 0 and 1 (Kalbfleisch & Prentice 1980); at a share of 0 or 1 it is NaN. One point for
    day 0, each day on which somebody adopted, and the last one on which anybody was followed.

    >>> [(each.days, each.at_risk, round(each.share, 3)) for each in curve({1: 2, 3: 1}, {2: 1, 5: 4})]
    [(0, 8, 0.0), (1, 8, 0.25), (3, 5, 0.4), (5, 4, 0.4)]
    """
    at_risk = sum(adopted.values()) + sum(censored.values())
    ends = sorted({*adopted, *censored})
    z = NormalDist().inv_cdf(0.5 + confidence_level / 2)
    points, staying, variance = [], 1.0, 0.0
    if at_risk and 0 not in adopted:
        points.append(Point(0, at_risk, 0, 0.0, math.nan, math.nan))
    for day in ends:
        took = adopted.get(day, 0)
        if took:
            staying *= 1 - took / at_risk
            left = at_risk - took
            variance += took / (at_risk * left) if left else math.inf
        if took or (day == ends[-1] and day):
            points.append(Point(day, at_risk, took, 1 - staying, *_interval(staying, variance, z)))
        at_risk -= took + censored.get(day, 0)
    return points


def _interval(staying: float, variance: float, z: float) -> tuple[float, float]:
    if not 0 < staying < 1:
        return math.nan, math.nan
    spread = math.exp(z * math.sqrt(variance) / -math.log(staying))
    return 1 - staying ** (1 / spread), 1 - staying**spread


def count_followed(paths: Paths, by: Sequence[str] = ()) -> list[Followed]:
    """Count on which day customers adopted, or how long they were followed.

    Both in whole days: who returned within d days and was followed for d days adopted on day d.
    """
    flow, entries = paths.flow, paths.entries
    if not flow.follows_return:
        return []
    need, returned = entries.after[flow.need_met], entries.after[ADOPTION]
    followed = (paths.as_of - entries.entered - need) // DAY
    waited = (returned - need + DAY - 1) // DAY
    adopted = (returned >= 0) & (waited <= followed)
    days, cohorts = np.where(adopted, waited, followed), paths.by(by)
    met = np.flatnonzero(need >= 0)
    met = met[np.argsort(cohorts.number[met], kind="stable")]
    found = []
    for those in np.split(met, np.flatnonzero(np.diff(cohorts.number[met])) + 1):
        if len(those):
            span, cohort = cohorts.labels[cohorts.number[those[0]]]
            took = Counter(days[those[adopted[those]]].tolist())
            left = Counter(days[those[~adopted[those]]].tolist())
            found.append(Followed(paths.spans[span].name, cohort, took, left))
    return found


def retention_table(
    counted: Sequence[Followed], by: Sequence[str], iterations: Sequence[str]
) -> pd.DataFrame:
    """Lay curves out as one table: iteration, grouping values, and a row for each point."""
    here = sorted(
        (each for each in counted if each.iteration in iterations),
        key=lambda each: (iterations.index(each.iteration), each.cohort),
    )
    rows = [
        (each.iteration, *each.cohort, *point)
        for each in here
        for point in curve(each.adopted, each.censored)
    ]
    return pd.DataFrame(rows, columns=["iteration", *by, *COLUMNS])
