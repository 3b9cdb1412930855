"""A yes/no outcome against a number: AUC and odds ratio, with errors clustered by customer.

Sources: DeLong, DeLong & Clarke-Pearson (1988) Biometrics 44:837-845; Obuchowski (1997) Biometrics
53:567-578 (AUC of clustered data); Liang & Zeger (1986) Biometrika 73:13-22 (odds ratio).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEWEST = 5  # of each answer; with fewer neither is told


@dataclass(frozen=True, slots=True)
class YesNo:
    """How well a number tells yes from no: AUC and the odds ratio of one standard deviation.

    `auc` is the chance that a yes has the higher value than a no, ties counting half: 0.5 says
    nothing. Both have the ends of their interval; `yes`, `pairs` and `customers` are counts.
    """

    yes: int
    pairs: int
    customers: int
    auc: float
    auc_low: float
    auc_high: float
    odds_ratio: float
    odds_low: float
    odds_high: float
    confidence_level: float
    reason: str = ""


def yes_or_no(
    values: Array, answers: Array, customers: Array, *, confidence_level: float = 0.95
) -> YesNo:
    """Say how well values tell answers of 1 from answers of 0; several may be one customer's.

    The AUC's interval is DeLong's on the logit scale, its parts added up by customer (Obuchowski);
    the odds ratio's is that of a logistic regression with errors by customer.

    Raises ValueError for answers other than 0 and 1.

    >>> import numpy as np
    >>> found = yes_or_no(np.arange(20.0), np.repeat([0.0, 1.0], 10), np.arange(20))
    >>> found.auc, found.yes, found.pairs
    (1.0, 10, 20)
    """
    there = np.isfinite(values) & np.isfinite(answers)
    x, y = np.asarray(values, dtype=float)[there], np.asarray(answers, dtype=float)[there]
    if not np.isin(y, (0.0, 1.0)).all():
        odd = y[~np.isin(y, (0.0, 1.0))][0]
        raise ValueError(f"answers holds {odd:g}; a yes is 1 and a no is 0")
    names, cluster = np.unique(np.asarray(customers)[there], return_inverse=True)
    yes, no = int(y.sum()), int(len(y) - y.sum())
    area = odds = (math.nan, math.nan, math.nan)
    reason = f"too few: {yes} yes and {no} no, it takes {FEWEST} of each"
    if min(yes, no) >= FEWEST:
        area, odds = (each(x, y, cluster, confidence_level) for each in (_area, _odds))
        reason = "no odds ratio: values split yes from no, or do not vary"
        reason = reason if math.isnan(odds[0]) else ""
    return YesNo(
        yes=yes,
        pairs=len(y),
        customers=len(names),
        auc=area[0],
        auc_low=area[1],
        auc_high=area[2],
        odds_ratio=odds[0],
        odds_low=odds[1],
        odds_high=odds[2],
        confidence_level=confidence_level,
        reason=reason,
    )


def _area(x: Array, y: Array, cluster: Array, level: float) -> tuple[float, float, float]:
    """Give the AUC and its ends."""
    from scipy.special import expit, logit
    from scipy.stats import rankdata

    is_yes = y == 1.0
    yes, no = int(is_yes.sum()), int((~is_yes).sum())
    ranks = rankdata(x)
    above = np.empty(len(x))  # for a yes the share of no below it, for a no that of yes above it
    above[is_yes] = (ranks[is_yes] - rankdata(x[is_yes])) / no
    above[~is_yes] = 1.0 - (ranks[~is_yes] - rankdata(x[~is_yes])) / yes
    area = float(above[is_yes].mean())
    adds = (above - area) / np.where(is_yes, yes, no)
    error = _clustered(adds[:, None], cluster)[0, 0] ** 0.5
    if not 0.0 < area < 1.0 or not error > 0.0:
        return area, math.nan, math.nan
    reach = _reach(cluster, level) * error / (area * (1.0 - area))
    return area, float(expit(logit(area) - reach)), float(expit(logit(area) + reach))


def _odds(x: Array, y: Array, cluster: Array, level: float) -> tuple[float, float, float]:
    """Give the odds ratio of one standard deviation and its ends, by Newton's steps."""
    nothing = (math.nan, math.nan, math.nan)
    spread = float(x.std())
    if not spread > 0.0:
        return nothing
    design = np.column_stack([np.ones(len(x)), (x - x.mean()) / spread])
    slopes = np.array([math.log(y.mean() / (1.0 - y.mean())), 0.0])
    for _ in range(25):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ slopes, -30.0, 30.0)))
        information = (design * (chance * (1.0 - chance))[:, None]).T @ design
        if np.linalg.cond(information) > 1e10 or np.abs(slopes).max() > 20.0:
            return nothing  # complete separation: no finite maximum
        step = np.linalg.solve(information, design.T @ (y - chance))
        slopes = slopes + step
        if np.abs(step).max() < 1e-9:
            break
    bread = np.linalg.inv(information)
    covariance = bread @ _clustered(design * (y - chance)[:, None], cluster) @ bread
    reach = _reach(cluster, level) * math.sqrt(covariance[1, 1])
    slope = float(slopes[1])
    return math.exp(slope), math.exp(slope - reach), math.exp(slope + reach)


def _clustered(adds: Array, cluster: Array) -> Array:
    """Give the covariance of sums of what each row adds, rows of one customer together."""
    count = int(cluster.max()) + 1
    sums = np.stack([np.bincount(cluster, column, count) for column in adds.T], axis=1)
    found: Array = sums.T @ sums * (count / (count - 1))
    return found


def _reach(cluster: Array, level: float) -> float:
    from scipy.special import stdtrit

    return -float(stdtrit(int(cluster.max()), (1.0 - level) / 2.0))
