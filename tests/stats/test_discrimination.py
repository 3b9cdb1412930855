"""AUC, odds ratios, calibration and lift against published and independent values.

Published: Hanley & McNeil (1982), ratings of 109 CT images, 58 normal and 51 abnormal; area 0.893.
DeLong's standard error for them is 0.0307, with the interval 0.83295 to 0.95339 (Stata, [R] roctab).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from workbench.stats.discrimination import (
    auc,
    auc_covariance,
    auc_difference,
    binary_association,
    calibration,
    lift,
    linear_calibration,
    rank_correlation,
    risk_bands,
)
from workbench.stats.proportions import Counts, wilson

NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


def cases(count=300, seed=1):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=count).round(1)
    answers = (rng.random(count) < 1.0 / (1.0 + np.exp(1.0 - values))).astype(float)
    return values, answers


def test_auc_is_that_of_scikit_learn_and_its_error_delongs():
    values, answers = cases()
    found = binary_association(values, answers, np.arange(300))
    assert found.auc.estimate == pytest.approx(roc_auc_score(answers, values))
    yes, no = values[answers == 1], values[answers == 0]
    wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    variance = wins.mean(axis=1).var(ddof=1) / len(yes) + wins.mean(axis=0).var(ddof=1) / len(no)
    width = logit(found.auc.high) - logit(found.auc.low)
    error = width / 2 / stats.t.ppf(0.975, 299) * found.auc.estimate * (1 - found.auc.estimate)
    assert error == pytest.approx(variance**0.5)


def sandwich(columns, events, who, offset=0.0):
    """Maximize the likelihood by scipy, and add up Liang and Zeger's covariance row by row."""
    signs = np.where(events, 1.0, -1.0)

    def loss(slopes):
        return np.logaddexp(0.0, -signs * (columns @ slopes + offset)).sum()

    found = optimize.minimize(loss, np.zeros(columns.shape[1]), method="BFGS", tol=1e-9).x
    chance = 1 / (1 + np.exp(-(columns @ found + offset)))
    bread = np.linalg.inv((columns.T * (chance * (1 - chance))) @ columns)
    parts = [columns[who == each].T @ (events - chance)[who == each] for each in np.unique(who)]
    meat = sum(np.outer(part, part) for part in parts)
    (cases, width), count = columns.shape, len(parts)
    factor = count / (count - 1) * (cases - 1) / (cases - width)
    error = math.sqrt(factor * (bread @ meat @ bread)[0, 0])
    margin = stats.t.ppf(0.975, count - 1) * error
    return found[0], found[0] - margin, found[0] + margin


def test_odds_ratio_has_errors_by_customer():
    values, answers = cases()
    customers = np.repeat(np.arange(60), 5)
    found = binary_association(values, answers, customers).odds_ratio
    columns = np.column_stack([(values - values.mean()) / values.std(), np.ones(300)])
    expected = np.exp(sandwich(columns, answers, customers))
    assert (found.estimate, found.low, found.high) == pytest.approx(tuple(expected), rel=1e-5)


def test_odds_ratio_covers_with_few_customers():
    """Twelve customers with ten cases each; the normal quantile covers 92.6 % of the time."""
    held = runs = 0
    for seed in range(300):
        values, events, who = clustered(seed, customers=12, each=10, shared=0.0)
        found = binary_association(values / values.std(), events, who).odds_ratio
        if not math.isnan(found.low):
            held += found.low <= math.exp(values.std()) <= found.high
            runs += 1
    assert 0.93 <= held / runs <= 0.99
    assert runs > 290


def test_repeated_rows_of_a_customer_add_no_certainty():
    values, answers = cases(100)
    once = binary_association(values, answers, np.arange(100))
    again = binary_association(np.tile(values, 5), np.tile(answers, 5), np.tile(np.arange(100), 5))
    assert again.auc.low == pytest.approx(once.auc.low, abs=2e-3)
    assert again.odds_ratio.low == pytest.approx(once.odds_ratio.low, rel=1e-2)
    assert (again.pairs, again.customers) == (500, 100)


def test_what_cannot_be_told_has_a_reason():
    values, answers = cases(40)
    few = binary_association(values, np.r_[np.ones(3), np.zeros(37)], np.arange(40))
    assert np.isnan(few.auc.estimate)
    assert few.auc.reason == "too few: 3 yes and 37 no, it takes 5 of each"
    split = binary_association(np.arange(20.0), np.repeat([0.0, 1.0], 10), np.arange(20))
    assert split.auc.estimate == 1.0
    assert np.isnan(split.odds_ratio.estimate)
    assert split.odds_ratio.reason.startswith("no odds ratio")
    with pytest.raises(ValueError, match="outcomes holds 2; a yes is 1 and a no is 0"):
        binary_association(values, answers + 1, np.arange(40))


def images():
    risks = np.repeat([*range(1, 6), *range(1, 6)], [*NORMAL, *ABNORMAL]).astype(float)
    return risks, np.repeat([0, 1], [58, 51])


def clustered(seed, customers=80, each=4, strength=1.0, shared=1.0):
    """Cases whose customers differ, in risk and in events."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(customers), each)
    own = rng.normal(0, shared, customers)[who]
    risk = rng.normal(size=len(who)) + rng.normal(0, shared, customers)[who]
    chance = 1 / (1 + np.exp(1 - strength * risk - own))
    return risk, rng.random(len(who)) < chance, who


def test_published_images():
    risks, ill = images()
    found = auc(risks, ill)
    _, error = auc_covariance([risks], ill.astype(bool), np.arange(109))
    spread = math.sqrt(error[0, 0])
    assert found.estimate == pytest.approx(0.8932, abs=5e-5)
    assert spread == pytest.approx(0.0307, abs=5e-5)
    ends = [found.estimate - 1.959964 * spread, found.estimate + 1.959964 * spread]
    assert ends == pytest.approx([0.83295, 0.95339], abs=5e-6)
    assert 0.81 < found.low < found.estimate < found.high < 0.95  # on the logit scale


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_that_of_scikit_learn_and_of_all_pairs(seed):
    risk, event, who = clustered(seed)
    risk = risk.round(1)
    found = auc(risk, event, who)
    assert found.estimate == pytest.approx(roc_auc_score(event, risk))
    pairs = np.sign(risk[event][:, None] - risk[~event][None, :])
    assert found.estimate == pytest.approx((pairs.mean() + 1) / 2)


def test_several_cases_of_one_customer_widen_the_interval_as_resampling_does():
    risk, event, who = clustered(3, customers=120)
    other = risk + np.random.default_rng(0).normal(0, 1.5, len(risk))
    rng, drawn = np.random.default_rng(1), []
    for _ in range(200):
        picked = rng.integers(0, 120, 120)
        rows = (4 * picked[:, None] + np.arange(4)).ravel()
        drawn.append([roc_auc_score(event[rows], each[rows]) for each in (risk, other)])
    areas, covariance = auc_covariance([risk, other], event, who)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), np.std(drawn, axis=0), rtol=0.2)
    np.testing.assert_allclose(covariance[0, 1], np.cov(np.transpose(drawn))[0, 1], rtol=0.35)
    alone = auc(risk, event)
    together = auc(risk, event, who)
    assert together.high - together.low > 1.1 * (alone.high - alone.low)
    found = auc_difference(risk, other, event, who)
    assert found.estimate == pytest.approx(areas[0] - areas[1])
    assert found.high - found.low == pytest.approx(
        2 * 1.96 * np.diff(drawn, axis=1).std(), rel=0.15
    )


def test_auc_interval_covers():
    """True AUC of two normals one standard deviation apart: Phi(1 / sqrt(2)) = 0.7602."""
    rng, inside = np.random.default_rng(11), 0
    for _ in range(400):
        risk = np.concatenate([rng.normal(0, 1, 60), rng.normal(1, 1, 25)])
        found = auc(risk, np.repeat([0, 1], [60, 25]))
        inside += found.low <= stats.norm.cdf(1 / math.sqrt(2)) <= found.high
    assert 0.925 <= inside / 400 <= 0.985


def test_intervals_by_customer_cover():
    """The truth is that of 40,000 customers."""
    risk, event, who = clustered(999, customers=40_000)
    other = risk + np.random.default_rng(0).normal(size=len(risk))
    truth, lead = auc(risk, event, who), auc_difference(risk, other, event, who)
    inside = np.zeros(2)
    for seed in range(200):
        risk, event, who = clustered(seed)
        other = risk + np.random.default_rng(5000 + seed).normal(size=len(risk))
        one, two = auc(risk, event, who), auc_difference(risk, other, event, who)
        inside += [one.low <= truth.estimate <= one.high, two.low <= lead.estimate <= two.high]
    assert (inside / 200 >= 0.91).all()
    assert (inside / 200 <= 0.99).all()


def test_undefined_is_nan_with_a_reason():
    none = auc(np.arange(3.0), np.zeros(3))
    assert math.isnan(none.estimate)
    assert none.reason == "of 3 cases none had the event"
    apart = auc(np.arange(4.0), np.array([0, 0, 1, 1]))
    assert (apart.estimate, math.isnan(apart.low)) == (1.0, True)
    assert apart.reason.startswith("the risks tell every case apart")
    assert auc_difference(np.empty(0), np.empty(0), np.empty(0)).reason == "there are no cases"
    flat = calibration(np.full(20, 0.3), np.arange(20) < 6, np.arange(20))
    assert flat.slope.reason == "all cases have the same risk"
    assert flat.intercept.estimate == pytest.approx(0, abs=1e-9)
    perfect = calibration(np.linspace(0.1, 0.9, 20), np.arange(20) > 9, np.arange(20))
    assert perfect.slope.reason.startswith("the risks tell every case apart")


@pytest.mark.parametrize("seed", range(3))
def test_calibration_has_errors_by_customer(seed):
    score, event, who = clustered(seed, shared=0.5)
    risk = 1 / (1 + np.exp(0.5 - 0.7 * score))
    logit = np.log(risk / (1 - risk))
    found = calibration(risk, event, who)
    ones = np.ones(len(event))
    for got, expected in (
        (found.slope, sandwich(np.column_stack([logit, ones]), event, who)),
        (found.intercept, sandwich(ones[:, None], event, who, offset=logit)),
    ):
        assert (got.estimate, got.low, got.high) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert sum(band.cases for band in found.bands) == len(event)
    assert sum(band.events for band in found.bands) == event.sum()
    assert len(found.bands) == 5


def test_linear_calibration():
    rng = np.random.default_rng(4)
    who = np.repeat(np.arange(50), 3)
    predicted = rng.normal(size=150)
    values = 0.3 + 0.8 * predicted + rng.normal(size=50)[who] + rng.normal(size=150)
    found = linear_calibration(predicted, values, who)
    line = stats.linregress(predicted, values)
    assert found.slope.estimate == pytest.approx(line.slope)
    assert found.intercept.estimate == pytest.approx((values - predicted).mean())
    sums = np.bincount(who, values - predicted - found.intercept.estimate)
    margin = stats.t.ppf(0.975, 49) * math.sqrt(50 / 49 * sums @ sums) / 150
    assert found.intercept.high - found.intercept.estimate == pytest.approx(margin)
    alone = linear_calibration(predicted, values, np.arange(150)).bands[0]
    part = values[np.argsort(predicted)[:30]]
    ends = stats.t.interval(0.95, 29, part.mean(), stats.sem(part))
    assert (alone.low, alone.high) == pytest.approx(ends)


def test_cases_of_one_customer_have_no_interval():
    risk, event, _ = clustered(1, customers=20)
    one = np.zeros(len(risk))
    assert auc(risk, event, one).reason == "all cases are one customer's"
    assert auc_difference(risk, -risk, event, one).reason == "all cases are one customer's"
    assert math.isnan(auc(risk, event, one).low)
    chance = 1 / (1 + np.exp(-risk))
    assert calibration(chance, event, one).slope.reason == "all cases are one customer's"
    assert linear_calibration(risk, risk, one).slope.reason == "all cases are one customer's"


def test_lift_in_the_worst_tenth():
    risks = np.arange(200.0)
    events = np.zeros(200)
    events[[199, 198, 197, 196, 100, 50]] = 1
    found = lift(risks, events, np.arange(200))
    assert (found.worst.events, found.worst.cases) == (4, 20)
    assert (found.overall.events, found.overall.cases) == (6, 200)
    assert found.ratio == pytest.approx((4 / 20) / (6 / 200))
    assert found.low < found.ratio < found.high
    tied = lift(np.repeat([0.0, 1.0], [150, 50]), events, np.arange(200))
    assert tied.worst.cases == 50


def test_rank_correlation_is_that_of_scipy_and_covers_by_customer():
    rng = np.random.default_rng(2)
    who = np.repeat(np.arange(60), 3)
    risk = rng.normal(size=180).round(1)
    values = risk + rng.normal(size=60)[who] + rng.normal(size=180)
    noise = rng.normal(size=180)
    (one, other), (lead, none) = rank_correlation([risk, noise], values, who)
    assert one.estimate == pytest.approx(stats.spearmanr(risk, values).statistic)
    assert other.estimate == pytest.approx(stats.spearmanr(noise, values).statistic)
    assert lead.estimate == pytest.approx(one.estimate - other.estimate)
    assert lead.low > 0
    assert (none.estimate, none.low, none.high) == (0, 0, 0)


def test_bands_are_worth_fewer_cases_where_customers_are_alike():
    events = np.repeat(np.arange(20) < 5, 10)
    risks = np.full(200, 0.25)
    (alike,) = risk_bands(risks, events, np.repeat(np.arange(20), 10), 1)
    (single,) = risk_bands(risks, events, np.arange(200), 1)
    assert (alike.events, alike.cases, alike.rate) == (50, 200, 0.25)
    assert (single.low, single.high) == pytest.approx(wilson(Counts(50, 200)), rel=1e-9)
    low, high = wilson(Counts(5, 20))
    assert (alike.low, alike.high) == pytest.approx((low, high), abs=0.01)
