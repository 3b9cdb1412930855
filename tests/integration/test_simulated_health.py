"""Simulated customers: the truth shows, leavers leave, and the bundled file is what is simulated."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from workbench.datasets.indicators import RENEWAL_STRENGTHS, simulate_health, write_indicators
from workbench.study import Study


def test_strengths_show_at_their_lag():
    made = simulate_health(
        seed=3, strengths={"a": 0.8, "b": 0.0}, customers=4000, periods=20, common=0.0
    )
    who, when = np.nonzero(~np.isnan(made.renewal[:, 4:]))
    before = np.stack([made.leading[name][who, when] for name in "ab"], axis=1)
    known = ~np.isnan(before).any(axis=1)
    renewed = made.renewal[:, 4:][who, when]
    model = sm.Logit(renewed[known], sm.add_constant(before[known])).fit(disp=0)
    assert model.params == pytest.approx([2.5, 0.8, 0.0], abs=3.5 * model.bse.max())
    assert np.nanstd(made.leading["a"]) == pytest.approx(1, abs=0.02)
    tickets = made.tickets[:, 2:][made.present[:, 2:] & made.present[:, :-2]]
    active = made.leading["b"][:, :-2][made.present[:, 2:] & made.present[:, :-2]]
    poisson = sm.GLM(tickets, sm.add_constant(active), family=sm.families.Poisson()).fit()
    assert poisson.params == pytest.approx([-0.3, -0.5], abs=0.02)


def test_who_does_not_renew_is_there_no_more():
    made = simulate_health(seed=1, strengths={"a": 1.0}, customers=300, missing=0.2)
    left = 0
    for renewal, present in zip(made.renewal, made.present, strict=True):
        lost = np.flatnonzero(renewal == 0)
        assert len(lost) <= 1
        if len(lost):
            left += 1
            assert present[lost[0]]
            assert not present[lost[0] + 1 :].any()
        assert np.isnan(renewal[~present]).all()
    assert 30 < left < 270
    answered = np.isnan(made.leading["a"][made.present]).mean()
    assert answered == pytest.approx(0.2, abs=0.02)


def test_the_bundled_indicators_are_what_is_simulated(bundled, tmp_path):
    written = write_indicators(tmp_path).read_bytes()
    assert written == (bundled.parent / "data" / "indicators.csv").read_bytes()
    assert len(written) < 200_000


def test_the_bundled_study_tells_its_truth(bundled):
    told = bundled.with_name("README.md").read_text(encoding="utf-8")
    terms = " + ".join(f"{strength} x {name}" for name, strength in RENEWAL_STRENGTHS.items())
    assert f"3.0 + {terms}" in told
    found = Study.load(bundled).indicators()
    assert (len(found.customers), found.periods.length) == (160, 32)
    assert set(found.by_customer) == {*RENEWAL_STRENGTHS, "renewal", "tickets"}
    nps = found.series("nps")
    assert np.mean(nps.n[4:] / nps.asked[4:]) == pytest.approx(0.55, abs=0.03)
    some = Study.load(bundled).indicators({"company_size": "50+"})
    assert 0 < len(some.customers) < 160
