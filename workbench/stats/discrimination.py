"""How well a number tells yes from no: AUC, odds ratio, calibration, lift.

Sources: DeLong, DeLong & Clarke-Pearson (1988) Biometrics 44:837-845; Obuchowski (1997) Biometrics
53:567-578 (AUC of clustered data); Liang & Zeger (1986) Biometrika 73:13-22 (odds ratio).

Every interval allows for cases of one customer being alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.stats.score import wilson_interval

Array = npt.NDArray[Any]
FEWEST = 5  # of each answer; with fewer neither is told
DRAWS = 500
MOST_STEPS, CLOSE = 50, 1e-10


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


@dataclass(frozen=True, slots=True)
class Measure:
    """An estimate with its interval; what is undefined is NaN, and `reason` says why."""

    estimate: float
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """Cases of similar risk: how many, the risk foretold, and what happened, with its interval.

    `rate` is `events` / `cases`, or for numbers the mean of the outcome (`events` is then NaN).
    """

    foretold: float
    events: float
    cases: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Whether risks mean what they say: intercept 0 and slope 1 where they do; and by bands."""

    intercept: Measure
    slope: Measure
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Lift:
    """What happened among the cases of highest risk, and among all: `ratio` is of their rates."""

    worst: Band
    everybody: Band
    ratio: float
    low: float
    high: float


def auc(
    risks: Array, events: Array, customers: Array | None = None, confidence_level: float = 0.95
) -> Measure:
    """Give the chance that a case with the event had the higher risk, ties counting half.

    The standard error is that of DeLong, DeLong & Clarke-Pearson (1988), for several cases a
    customer that of Obuchowski (1997), which is the same for one. The interval is symmetric on the
    logit scale, so that it stays between 0 and 1.

    >>> found = auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    >>> found.estimate
    0.75
    """
    events = np.asarray(events, dtype=bool)
    if reason := _one_kind(events):
        return Measure(math.nan, math.nan, math.nan, reason)
    area, error = auc_error([np.asarray(risks, dtype=float)], events, customers)
    estimate, spread = float(area[0]), math.sqrt(float(error[0, 0]))
    if not 0 < estimate < 1:
        said = "the risks tell every case apart; an interval needs some that they do not"
        return Measure(estimate, math.nan, math.nan, said)
    middle = math.log(estimate / (1 - estimate))
    reach = _z(confidence_level) * spread / (estimate * (1 - estimate))
    return Measure(estimate, _expit(middle - reach), _expit(middle + reach))


def auc_difference(
    risks: Array,
    others: Array,
    events: Array,
    customers: Array | None = None,
    confidence_level: float = 0.95,
) -> Measure:
    """Give how much higher the AUC of `risks` is than that of `others` on the same cases.

    Sources as for `auc`; the interval is the estimate and its standard error's multiple.
    """
    events = np.asarray(events, dtype=bool)
    if reason := _one_kind(events):
        return Measure(math.nan, math.nan, math.nan, reason)
    both = [np.asarray(each, dtype=float) for each in (risks, others)]
    area, error = auc_error(both, events, customers)
    estimate = float(area[0] - area[1])
    variance = float(error[0, 0] + error[1, 1] - 2 * error[0, 1])
    reach = _z(confidence_level) * math.sqrt(max(variance, 0.0))
    return Measure(estimate, estimate - reach, estimate + reach)


def auc_error(
    risks: list[Array], events: Array, customers: Array | None = None
) -> tuple[Array, Array]:
    """Give the AUC of each of several risks for the same cases, and the covariance of these."""
    who = (
        np.arange(len(events))
        if customers is None
        else np.unique(customers, return_inverse=True)[1]
    )
    total = int(who.max()) + 1
    ill, well = np.flatnonzero(events), np.flatnonzero(~events)
    areas, of_ill, of_well = [], [], []
    for risk in risks:
        above = (_midranks(risk)[ill] - _midranks(risk[ill])) / len(well)
        below = 1 - (_midranks(risk)[well] - _midranks(risk[well])) / len(ill)
        area = above.mean()
        areas.append(area)
        of_ill.append(np.bincount(who[ill], above - area, minlength=total))
        of_well.append(np.bincount(who[well], below - area, minlength=total))
    first, second = np.array(of_ill), np.array(of_well)
    clusters = [len(np.unique(who[each])) for each in (ill, well)]
    one, two = (_correction(each) for each in clusters)
    both = _correction(total)
    cross = first @ second.T
    covariance = (
        one * (first @ first.T) / len(ill) ** 2
        + two * (second @ second.T) / len(well) ** 2
        + both * (cross + cross.T) / (len(ill) * len(well))
    )
    return np.array(areas), covariance


def rank_correlation(
    risks: list[Array], values: Array, customers: Array, *, seed: int = 0
) -> tuple[list[Measure], list[Measure]]:
    """Give Spearman's correlation of each risk with a number, and each one's lead over the last.

    95 % intervals are percentiles of a bootstrap that draws customers, the same ones for all.
    """
    who = np.unique(customers, return_inverse=True)[1]
    order = np.argsort(who, kind="stable")
    ends = np.cumsum(np.bincount(who))
    starts = ends - np.bincount(who)
    rng = np.random.default_rng(seed)
    estimates = np.array([spearman(each, values) for each in risks])
    drawn = np.empty((DRAWS, len(risks)))
    for draw in range(DRAWS):
        picked = rng.integers(0, len(ends), len(ends))
        rows = np.concatenate([order[starts[each] : ends[each]] for each in picked])
        drawn[draw] = [spearman(each[rows], values[rows]) for each in risks]
    leads = drawn - drawn[:, -1:]
    return (
        [_percentiles(*pair) for pair in zip(estimates, drawn.T, strict=True)],
        [_percentiles(*pair) for pair in zip(estimates - estimates[-1], leads.T, strict=True)],
    )


def calibration(risks: Array, events: Array, customers: Array, *, bands: int = 5) -> Calibration:
    """Hold foretold risks against events (Cox 1958; Van Calster et al. 2016).

    The intercept is that of a logistic model with the risk's logit as offset, the slope that of the
    logit; standard errors are those of clusters of customers.
    """
    if np.isnan(risks).any():
        unknown = Measure(math.nan, math.nan, math.nan, "no risk could be learned from the score")
        return Calibration(unknown, unknown, ())
    risks = np.clip(np.asarray(risks, dtype=float), 1e-6, 1 - 1e-6)
    events = np.asarray(events, dtype=float)
    logit = np.log(risks / (1 - risks))
    reason = _one_kind(events > 0)
    ones = np.ones((len(events), 1))
    intercept = slope = Measure(math.nan, math.nan, math.nan, reason)
    if not reason:
        intercept = _coefficient(ones, events, logit, customers)
        slope = Measure(math.nan, math.nan, math.nan, "all cases have the same risk")
        if np.ptp(logit) > CLOSE:
            both = np.column_stack([logit, ones[:, 0]])
            slope = _coefficient(both, events, np.zeros(len(events)), customers)
    return Calibration(intercept, slope, tuple(by_risk(risks, events, customers, bands)))


def linear_calibration(
    foretold: Array, values: Array, customers: Array, *, bands: int = 5
) -> Calibration:
    """Hold foretold numbers against what came: mean difference, slope, and means by bands."""
    values, foretold = np.asarray(values, dtype=float), np.asarray(foretold, dtype=float)
    ones = np.ones((len(values), 1))
    intercept = _line(ones, values - foretold, customers)
    slope = Measure(math.nan, math.nan, math.nan, "all cases have the same risk")
    if np.ptp(foretold) > CLOSE:
        slope = _line(np.column_stack([foretold, ones[:, 0]]), values, customers)
    return Calibration(
        intercept, slope, tuple(by_risk(foretold, values, customers, bands, yes_no=False))
    )


def by_risk(
    risks: Array,
    outcomes: Array,
    customers: Array,
    bands: int,
    *,
    yes_no: bool = True,
    confidence_level: float = 0.95,
) -> list[Band]:
    """Cut cases into bands of equal numbers by their risk; equal risks stay together.

    Rates have Wilson's interval, for as many cases as they are worth: the variance between
    customers, where it is larger than a binomial one, takes some away (Kish's design effect).
    """
    order = np.argsort(risks, kind="stable")
    cuts = np.linspace(0, len(order), bands + 1).round().astype(int)[1:-1]
    edges: Array = np.unique(np.searchsorted(risks[order], risks[order][cuts]))
    parts = [each for each in np.split(order, edges) if len(each)]
    return [
        _band(risks[each], outcomes[each], customers[each], yes_no, confidence_level)
        for each in parts
    ]


def lift(
    risks: Array, outcomes: Array, customers: Array, *, share: float = 0.1, yes_no: bool = True
) -> Lift:
    """Compare the share of cases with the highest risk (and those equal to its last) with all.

    The ends of `ratio` are those of the worst cases' rate, over the rate of all.
    """
    risks, outcomes = np.asarray(risks, dtype=float), np.asarray(outcomes, dtype=float)
    last = np.sort(risks)[::-1][max(math.ceil(share * len(risks)), 1) - 1]
    among = risks >= last
    worst = _band(risks[among], outcomes[among], customers[among], yes_no, 0.95)
    everybody = _band(risks, outcomes, customers, yes_no, 0.95)
    base = everybody.rate or math.nan
    return Lift(worst, everybody, worst.rate / base, worst.low / base, worst.high / base)


def logistic(
    columns: Array, events: Array, offset: Array, customers: Array
) -> tuple[Array, Array] | None:
    """Fit a logistic model: coefficients and their covariance by clusters; None if it has no fit.

    Newton's steps; the covariance is the sandwich of Liang & Zeger (1986), with the factors
    g / (g - 1) and (n - 1) / (n - k).
    """
    found = np.zeros(columns.shape[1])
    for _ in range(MOST_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(columns @ found + offset, -30, 30)))
        bread = columns.T @ (columns * (chance * (1 - chance))[:, None])
        if np.linalg.cond(bread) > 1 / CLOSE:
            return None
        step = np.linalg.solve(bread, columns.T @ (events - chance))
        found = found + step
        if np.abs(step).max() < CLOSE:
            return found, _sandwich(columns * (events - chance)[:, None], bread, customers)
    return None


def _coefficient(columns: Array, events: Array, offset: Array, customers: Array) -> Measure:
    fitted = logistic(columns, events, offset, customers)
    if fitted is None:
        said = "the risks tell every case apart, so no slope can be fitted"
        return Measure(math.nan, math.nan, math.nan, said)
    return _around(fitted[0][0], fitted[1][0, 0])


def _line(columns: Array, values: Array, customers: Array) -> Measure:
    bread = columns.T @ columns
    found = np.linalg.solve(bread, columns.T @ values)
    scores = columns * (values - columns @ found)[:, None]
    return _around(found[0], _sandwich(scores, bread, customers)[0, 0])


def _sandwich(scores: Array, bread: Array, customers: Array) -> Array:
    who = np.unique(customers, return_inverse=True)[1]
    total = int(who.max()) + 1
    sums = np.column_stack([np.bincount(who, each, minlength=total) for each in scores.T])
    cases, columns = scores.shape
    factor = _correction(total) * (cases - 1) / max(cases - columns, 1)
    inverse = np.linalg.inv(bread)
    return np.asarray(factor * inverse @ (sums.T @ sums) @ inverse)


def _band(
    risks: Array,
    outcomes: Array,
    customers: Array,
    yes_no: bool,  # noqa: FBT001 - handed on
    confidence_level: float,
) -> Band:
    cases, foretold = len(outcomes), float(risks.mean())
    rate = float(outcomes.mean())
    who = np.unique(customers, return_inverse=True)[1]
    sums = np.bincount(who, outcomes - rate)
    variance = _correction(len(sums)) * float(sums @ sums) / cases**2
    if yes_no:
        plain = _correction(cases) * rate * (1 - rate) / cases
        worth = cases * min(plain / variance, 1.0) if variance > 0 and plain > 0 else cases
        low, high = wilson_interval(rate * worth, worth, confidence_level)
        return Band(foretold, float(outcomes.sum()), cases, rate, float(low), float(high))
    reach = _t(confidence_level, len(sums) - 1) * math.sqrt(variance)
    return Band(foretold, math.nan, cases, rate, rate - reach, rate + reach)


def _around(estimate: float, variance: float) -> Measure:
    reach = _z(0.95) * math.sqrt(variance)
    return Measure(float(estimate), float(estimate - reach), float(estimate + reach))


def _percentiles(estimate: float, drawn: Array) -> Measure:
    if np.isnan(estimate) or np.isnan(drawn).mean() > 0.05:
        return Measure(math.nan, math.nan, math.nan, "the risks or the outcomes are all the same")
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measure(float(estimate), float(low), float(high))


def spearman(one: Array, other: Array) -> float:
    """Give Spearman's rank correlation; NaN where one of both never changes."""
    first, second = _midranks(one), _midranks(other)
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size else math.nan


def _midranks(values: Array) -> Array:
    """Rank values from 1, equal ones by the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _one_kind(events: Array) -> str:
    if not len(events):
        return "there are no cases"
    if events.all() or not events.any():
        return f"of {len(events)} cases {'all' if events.all() else 'none'} had the event"
    return ""


def _correction(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else math.nan


def _z(confidence_level: float) -> float:
    return NormalDist().inv_cdf((1 + confidence_level) / 2)


def _t(confidence_level: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence_level) / 2)) if freedom > 0 else math.nan


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value))
