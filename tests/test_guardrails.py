"""Guardrails: what must not suffer is tested in the way that its claim is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from small_study import claim

from workbench.analyses import Sample
from workbench.anytime import Outcomes, evalues
from workbench.guardrails import guardrails
from workbench.hypothesis import Hypothesis
from workbench.proportions import Counts, compare
from workbench.stages import EXACT

PAIR = (Counts(60, 150), Counts(66, 150))
MARGIN = 0.1


def hypothesis(**changed) -> Hypothesis:
    guarded = claim(guardrails=[{"metric": "paid", "margin": MARGIN}], **changed)
    return Hypothesis.model_validate(guarded)


def test_a_fixed_claim_tests_a_loss_of_the_margin():
    (found,) = guardrails(hypothesis(), {"paid": PAIR})
    plain = compare(control=PAIR[0], treatment=PAIR[1], alternative="greater", null_effect=-MARGIN)
    assert found.comparison.pvalue == pytest.approx(plain.pvalue)
    assert found.held == (plain.pvalue <= 0.05)
    assert found.held == (found.comparison.low > -MARGIN)


def test_planned_looks_ask_more_of_a_guardrail_while_they_last():
    """At the first of several looks little alpha is spent; at a single last one all of it."""
    tested = hypothesis(analysis="sequential", looks=3, planned_customers=300)
    sample = Sample(*PAIR, complete=False)
    (early,) = guardrails(tested, {"paid": PAIR}, sample)
    (fixed,) = guardrails(hypothesis(), {"paid": PAIR})
    assert fixed.held
    assert not early.held
    (last,) = guardrails(tested, {"paid": PAIR}, Sample(*PAIR, complete=True))
    assert last.held
    assert sum(each.total for each in PAIR) <= EXACT  # both exact: the same numbers
    assert last.comparison.pvalue == pytest.approx(fixed.comparison.pvalue, abs=1e-9)


def test_any_time_takes_the_guardrails_own_order_of_entry():
    rng = np.random.default_rng(1)
    control, treatment = rng.random(200) < 0.5, rng.random(200) < 0.6
    pair = Counts(int(control.sum()), 200), Counts(int(treatment.sum()), 200)
    tested = hypothesis(analysis="anytime")
    orders = {"paid": Outcomes(control, treatment)}
    (found,) = guardrails(tested, {"paid": pair}, Sample(*pair), orders)
    path = evalues(
        control[None, :], treatment[None, :], alternative="greater", null_effect=-MARGIN
    )[0]
    assert found.comparison.pvalue == pytest.approx(min(1.0, 1 / path.max()))
    assert found.held
