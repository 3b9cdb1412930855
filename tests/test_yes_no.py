"""AUC and odds ratios: DeLong's own variance, statsmodels' regression, errors by customer."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from workbench.yes_no import yes_or_no


def cases(count=300, seed=1):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=count).round(1)
    answers = (rng.random(count) < 1.0 / (1.0 + np.exp(1.0 - values))).astype(float)
    return values, answers


def test_auc_is_that_of_scikit_learn_and_its_error_delongs():
    values, answers = cases()
    found = yes_or_no(values, answers, np.arange(300))
    assert found.auc == pytest.approx(roc_auc_score(answers, values))
    yes, no = values[answers == 1], values[answers == 0]
    wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    variance = wins.mean(axis=1).var(ddof=1) / len(yes) + wins.mean(axis=0).var(ddof=1) / len(no)
    width = logit(found.auc_high) - logit(found.auc_low)
    error = width / 2 / 1.968 * found.auc * (1 - found.auc)
    assert error == pytest.approx(variance**0.5, rel=0.01)


def test_odds_ratio_is_that_of_statsmodels_with_errors_by_customer():
    values, answers = cases()
    customers = np.repeat(np.arange(60), 5)
    found = yes_or_no(values, answers, customers)
    design = sm.add_constant((values - values.mean()) / values.std())
    fitted = sm.Logit(answers, design).fit(
        disp=0,
        cov_type="cluster",
        cov_kwds={"groups": customers, "use_correction": False},
    )
    assert np.log(found.odds_ratio) == pytest.approx(fitted.params[1], abs=1e-6)
    error = np.log(found.odds_high / found.odds_low) / 2 / 2.00100
    assert error == pytest.approx(fitted.bse[1] * (60 / 59) ** 0.5, rel=1e-4)


def test_repeated_rows_of_a_customer_add_no_certainty():
    values, answers = cases(100)
    once = yes_or_no(values, answers, np.arange(100))
    again = yes_or_no(np.tile(values, 5), np.tile(answers, 5), np.tile(np.arange(100), 5))
    assert (again.auc_low, again.odds_low) == pytest.approx((once.auc_low, once.odds_low), abs=1e-6)
    assert (again.pairs, again.customers) == (500, 100)


def test_what_cannot_be_told_has_a_reason():
    values, answers = cases(40)
    few = yes_or_no(values, np.r_[np.ones(3), np.zeros(37)], np.arange(40))
    assert np.isnan(few.auc)
    assert few.reason == "too few: 3 yes and 37 no, it takes 5 of each"
    split = yes_or_no(np.arange(20.0), np.repeat([0.0, 1.0], 10), np.arange(20))
    assert split.auc == 1.0
    assert np.isnan(split.odds_ratio)
    assert split.reason.startswith("no odds ratio")
    with pytest.raises(ValueError, match="answers holds 2; a yes is 1 and a no is 0"):
        yes_or_no(values, answers + 1, np.arange(40))
