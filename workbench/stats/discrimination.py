"""How well a number separates two outcomes: AUC, odds ratio, calibration, lift.

Several cases may belong to one customer. All intervals account for this: variances are clustered by
customer, and their multiple is Student's t with one degree of freedom fewer than there are customers
(Cameron & Miller 2015, Journal of Human Resources 50:317-372). The normal quantile covers too rarely
with few customers.

Sources: DeLong, DeLong & Clarke-Pearson (1988) Biometrics 44:837-845; Obuchowski (1997) Biometrics
53:567-578 (AUC of clustered data); Liang & Zeger (1986) Biometrika 73:13-22 (clustered covariance);
Cox (1958) Biometrika 45:562-565 and Van Calster et al. (2016) Journal of Clinical Epidemiology
74:167-176 (calibration).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.stats.score import wilson_interval

Array = npt.NDArray[Any]
FEWEST = 5  # of each outcome; an association needs as many
DRAWS = 500
SAME = 1e-10  # values that differ by less are equal


@dataclass(frozen=True, slots=True)
class Measure:
    """An estimate with its interval. What is undefined is NaN, and `reason` says why."""

    estimate: float
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BinaryAssociation:
    """How well a number separates a yes from a no.

    Attributes:
        yes: Cases whose outcome is yes.
        pairs: Cases in which both the value and the outcome are known.
        customers: Customers that these cases belong to.
        auc: The probability that a yes has a higher value than a no, ties counting half; 0.5 means
            that the value says nothing.
        odds_ratio: The factor by which the odds of a yes change per standard deviation.
    """

    yes: int
    pairs: int
    customers: int
    auc: Measure
    odds_ratio: Measure


@dataclass(frozen=True, slots=True)
class Band:
    """Cases of similar risk: their number, mean predicted risk, and observed rate with its interval.

    `rate` is `events` / `cases`. For numeric outcomes it is their mean, and `events` is NaN.
    """

    predicted: float
    events: float
    cases: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Whether predicted risks match observed rates: then the intercept is 0 and the slope is 1."""

    intercept: Measure
    slope: Measure
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Lift:
    """The rate among the cases of highest risk, the rate among all cases, and their ratio."""

    worst: Band
    overall: Band
    ratio: float
    low: float
    high: float


def binary_association(
    values: Array, outcomes: Array, customers: Array, *, confidence_level: float = 0.95
) -> BinaryAssociation:
    """Return the AUC and the odds ratio of a number for a yes/no outcome.

    Args:
        values: One number per case; NaN where it is unknown.
        outcomes: 1 for yes and 0 for no; NaN where it is unknown.
        customers: The customer of each case; several cases may share one.
        confidence_level: Level of both intervals.

    Returns:
        Both measures. They are NaN with a reason for fewer than 5 cases of either outcome.

    Raises:
        ValueError: An outcome is neither 0 nor 1.

    Example:
        >>> import numpy as np
        >>> found = binary_association(np.arange(20.0), np.repeat([0.0, 1.0], 10), np.arange(20))
        >>> found.auc.estimate, found.yes, found.pairs
        (1.0, 10, 20)
    """
    known = np.isfinite(values) & np.isfinite(outcomes)
    x, y = np.asarray(values, dtype=float)[known], np.asarray(outcomes, dtype=float)[known]
    who = np.asarray(customers)[known]
    if not np.isin(y, (0.0, 1.0)).all():
        odd = y[~np.isin(y, (0.0, 1.0))][0]
        raise ValueError(f"outcomes holds {odd:g}; a yes is 1 and a no is 0")
    yes, no = int(y.sum()), int(len(y) - y.sum())
    area = odds = _undefined(f"too few: {yes} yes and {no} no, it takes {FEWEST} of each")
    if min(yes, no) >= FEWEST:
        area = auc(x, y, who, confidence_level=confidence_level)
        odds = _odds_ratio(x, y, who, confidence_level)
    return BinaryAssociation(yes, len(y), len(np.unique(who)), area, odds)


def auc(
    risks: Array,
    events: Array,
    customers: Array | None = None,
    *,
    confidence_level: float = 0.95,
) -> Measure:
    """Return the probability that a case with the event has a higher risk, ties counting half.

    The standard error is that of DeLong, DeLong & Clarke-Pearson (1988), with several cases per
    customer that of Obuchowski (1997). The interval is symmetric on the logit scale, so it stays
    between 0 and 1.

    Args:
        risks: One number per case.
        events: Whether each case had the event.
        customers: The customer of each case; by default every case is its own.
        confidence_level: Level of the interval.

    Returns:
        The AUC. It is NaN with a reason where all cases or none had the event.

    Example:
        >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])).estimate
        0.75
    """
    events = np.asarray(events, dtype=bool)
    if reason := _one_outcome(events):
        return _undefined(reason)
    who = _clusters(events, customers)
    areas, covariance = auc_covariance([np.asarray(risks, dtype=float)], events, who)
    estimate, variance = float(areas[0]), float(covariance[0, 0])
    if not 0 < estimate < 1:
        reason = "the risks tell every case apart; an interval needs some that they do not"
    elif not variance > 0:
        reason = _one_customer(who) or "the customers' cases cancel out, so there is no interval"
    if reason:
        return Measure(estimate, math.nan, math.nan, reason)
    middle = math.log(estimate / (1 - estimate))
    margin = _quantile(who, confidence_level) * math.sqrt(variance)
    margin /= estimate * (1 - estimate)
    return Measure(estimate, _expit(middle - margin), _expit(middle + margin))


def auc_difference(
    risks: Array,
    others: Array,
    events: Array,
    customers: Array | None = None,
    *,
    confidence_level: float = 0.95,
) -> Measure:
    """Return by how much the AUC of `risks` exceeds that of `others` on the same cases.

    Arguments and sources are those of `auc`; the interval is symmetric.
    """
    events = np.asarray(events, dtype=bool)
    if reason := _one_outcome(events):
        return _undefined(reason)
    who = _clusters(events, customers)
    both = [np.asarray(each, dtype=float) for each in (risks, others)]
    areas, covariance = auc_covariance(both, events, who)
    estimate = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    margin = _quantile(who, confidence_level) * math.sqrt(max(variance, 0.0))
    return Measure(estimate, estimate - margin, estimate + margin, _one_customer(who))


def auc_covariance(risks: list[Array], events: Array, customers: Array) -> tuple[Array, Array]:
    """Return the AUC of each of several risks for the same cases, and their covariance matrix."""
    who = _clusters(events, customers)
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
    one, two = (_correction(len(np.unique(who[each]))) for each in (ill, well))
    cross = first @ second.T
    covariance = (
        one * (first @ first.T) / len(ill) ** 2
        + two * (second @ second.T) / len(well) ** 2
        + _correction(total) * (cross + cross.T) / (len(ill) * len(well))
    )
    return np.array(areas), covariance


def rank_correlation(
    risks: list[Array], values: Array, customers: Array, *, seed: int = 0
) -> tuple[list[Measure], list[Measure]]:
    """Return Spearman's correlation of each risk with a number, and each one's lead over the last.

    95 % intervals are percentiles of a bootstrap of customers, with the same draws for all risks.
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
    """Compare predicted risks with observed events.

    Args:
        risks: Predicted probability of the event, per case.
        events: Whether each case had the event.
        customers: The customer of each case.
        bands: Number of groups of similar risk.

    Returns:
        The intercept of a logistic model with the risk's logit as offset, the slope of a logistic
        model of the logit, and the rates by bands. Intervals are at 95 %.
    """
    if np.isnan(risks).any():
        unknown = _undefined("no risk could be learned from the score")
        return Calibration(unknown, unknown, ())
    risks = np.clip(np.asarray(risks, dtype=float), 1e-6, 1 - 1e-6)
    events = np.asarray(events, dtype=float)
    logit = np.log(risks / (1 - risks))
    ones = np.ones((len(events), 1))
    if reason := _one_outcome(events > 0) or _one_customer(customers):
        intercept = slope = _undefined(reason)
    else:
        intercept = _coefficient(logistic(ones, events, customers, offset=logit))
        slope = _undefined("all cases have the same risk")
        if np.ptp(logit) > SAME:
            both = np.column_stack([logit, ones])
            slope = _coefficient(logistic(both, events, customers))
    return Calibration(intercept, slope, tuple(risk_bands(risks, events, customers, bands)))


def linear_calibration(
    predicted: Array, values: Array, customers: Array, *, bands: int = 5
) -> Calibration:
    """Compare predicted numbers with observed ones: mean difference, slope, and means by bands."""
    values, predicted = np.asarray(values, dtype=float), np.asarray(predicted, dtype=float)
    ones = np.ones((len(values), 1))
    if reason := _one_customer(customers):
        intercept = slope = _undefined(reason)
    else:
        intercept = _coefficient(_linear(ones, values - predicted, customers))
        slope = _undefined("all cases have the same risk")
        if np.ptp(predicted) > SAME:
            both = np.column_stack([predicted, ones])
            slope = _coefficient(_linear(both, values, customers))
    found = risk_bands(predicted, values, customers, bands, yes_no=False)
    return Calibration(intercept, slope, tuple(found))


def risk_bands(
    risks: Array,
    outcomes: Array,
    customers: Array,
    bands: int,
    *,
    yes_no: bool = True,
    confidence_level: float = 0.95,
) -> list[Band]:
    """Cut cases into bands of equal size by their risk; equal risks stay together.

    Rates have Wilson's interval for the effective number of cases: the number divided by Kish's
    design effect, which is above 1 where customers differ more than a binomial variance allows.
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
    """Compare the cases of highest risk with all cases.

    Args:
        risks: One number per case.
        outcomes: Whether each case had the event, or a number where `yes_no` is false.
        customers: The customer of each case.
        share: Share of the cases that counts as of highest risk; ties with the last are included.
        yes_no: Whether outcomes are events.

    Returns:
        Both rates and their ratio. The ends of the ratio's 95 % interval are those of the first
        rate, divided by the rate of all.
    """
    risks, outcomes = np.asarray(risks, dtype=float), np.asarray(outcomes, dtype=float)
    last = np.sort(risks)[::-1][max(math.ceil(share * len(risks)), 1) - 1]
    among = risks >= last
    worst = _band(risks[among], outcomes[among], customers[among], yes_no, 0.95)
    overall = _band(risks, outcomes, customers, yes_no, 0.95)
    base = overall.rate or math.nan
    return Lift(worst, overall, worst.rate / base, worst.low / base, worst.high / base)


def logistic(
    columns: Array, events: Array, customers: Array, *, offset: Array | None = None
) -> Any | None:
    """Fit a logistic model with a covariance matrix clustered by customer.

    Args:
        columns: Cases x coefficients.
        events: 1 where a case had the event, else 0.
        customers: The customer of each case.
        offset: A term whose coefficient is 1.

    Returns:
        The results of `statsmodels.discrete.discrete_model.Logit`; None where the likelihood has no
        maximum (separated cases) and for cases of one customer alone.
    """
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

    if len(np.unique(customers)) < 2:
        return None
    no_maximum = (ConvergenceWarning, PerfectSeparationWarning)
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            for each in no_maximum:
                warnings.simplefilter("error", each)
            model = Logit(events, columns, offset=offset)
            return model.fit(disp=0, tol=SAME, **_clustered(customers))
    except (np.linalg.LinAlgError, *no_maximum):
        return None


def _linear(columns: Array, values: Array, customers: Array) -> Any:
    from statsmodels.regression.linear_model import OLS

    return OLS(values, columns).fit(**_clustered(customers))


def _clustered(customers: Array) -> dict[str, Any]:
    """Options of statsmodels for errors by customer, with the factors g/(g-1) and (n-1)/(n-k)."""
    groups = np.unique(customers, return_inverse=True)[1]
    return {"cov_type": "cluster", "cov_kwds": {"groups": groups}, "use_t": True}


def _coefficient(fitted: Any | None, confidence_level: float = 0.95) -> Measure:
    """Return the first coefficient of a fitted model."""
    if fitted is None:
        return _undefined("the risks tell every case apart, so no slope can be fitted")
    low, high = fitted.conf_int(1 - confidence_level)[0]
    return Measure(float(fitted.params[0]), float(low), float(high))


def _odds_ratio(values: Array, outcomes: Array, customers: Array, level: float) -> Measure:
    fitted, spread = None, float(values.std())
    if spread > 0:
        columns = np.column_stack([(values - values.mean()) / spread, np.ones(len(values))])
        fitted = logistic(columns, outcomes, customers)
    if fitted is None:
        return _undefined("no odds ratio: values split yes from no, or do not vary")
    slope = _coefficient(fitted, level)
    return Measure(math.exp(slope.estimate), math.exp(slope.low), math.exp(slope.high))


def _band(
    risks: Array,
    outcomes: Array,
    customers: Array,
    yes_no: bool,  # noqa: FBT001 - handed on
    confidence_level: float,
) -> Band:
    cases, predicted = len(outcomes), float(risks.mean())
    rate = float(outcomes.mean())
    who = np.unique(customers, return_inverse=True)[1]
    sums = np.bincount(who, outcomes - rate)
    variance = _correction(len(sums)) * float(sums @ sums) / cases**2
    if yes_no:
        plain = _correction(cases) * rate * (1 - rate) / cases
        worth = cases * min(plain / variance, 1.0) if variance > 0 and plain > 0 else cases
        low, high = wilson_interval(rate * worth, worth, confidence_level)
        return Band(predicted, float(outcomes.sum()), cases, rate, float(low), float(high))
    margin = _quantile(who, confidence_level) * math.sqrt(variance)
    return Band(predicted, math.nan, cases, rate, rate - margin, rate + margin)


def _percentiles(estimate: float, drawn: Array) -> Measure:
    if np.isnan(estimate) or np.isnan(drawn).mean() > 0.05:
        return _undefined("the risks or the outcomes are all the same")
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measure(float(estimate), float(low), float(high))


def spearman(one: Array, other: Array) -> float:
    """Return Spearman's rank correlation; NaN where one of both never changes."""
    first, second = _midranks(one), _midranks(other)
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / size if size else math.nan


def _midranks(values: Array) -> Array:
    """Rank values from 1, ties by their mean rank; the bootstrap needs it faster than scipy's."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _undefined(reason: str) -> Measure:
    return Measure(math.nan, math.nan, math.nan, reason)


def _one_outcome(events: Array) -> str:
    """Say why nothing can be separated; empty if both outcomes occur."""
    if not len(events):
        return "there are no cases"
    if events.all() or not events.any():
        return f"of {len(events)} cases {'all' if events.all() else 'none'} had the event"
    return ""


def _one_customer(customers: Array) -> str:
    """Say why there is no interval; empty for cases of two or more customers."""
    return "all cases are one customer's" if len(np.unique(customers)) < 2 else ""


def _clusters(cases: Array, customers: Array | None) -> Array:
    """Number the customers from 0, per case."""
    if customers is None:
        return np.arange(len(cases))
    return np.asarray(np.unique(customers, return_inverse=True)[1])


def _correction(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else math.nan


def _quantile(customers: Array, confidence_level: float) -> float:
    """Return Student's t quantile for as many clusters as there are customers."""
    from scipy.special import stdtrit

    freedom = len(np.unique(customers)) - 1
    return float(stdtrit(freedom, (1 + confidence_level) / 2)) if freedom else math.nan


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value))
