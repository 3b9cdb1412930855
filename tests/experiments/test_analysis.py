"""Ways to look: planned sizes, what may decide when, guardrails, and tests at once.

Published: R's `power.prop.test` for planned sizes is in tests/stats/test_power.py; rpact's boundaries in tests/stats/test_sequential.py; Holm's method as SAS's PROC
MULTTEST has it in tests/stats/test_multiplicity.py. The free trial's margin is that of its authors
(tests/integration/test_real_data.py).


Guardrails: what must not suffer is tested in the way that its claim is looked at."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import test_proportions_2indep as score_test
from support.results import hypothesis
from support.small_study import claim

from workbench.errors import StudyError
from workbench.experiments.analysis import Sample, analyse, families, guardrails, planned_size
from workbench.schema.hypothesis import Hypothesis
from workbench.stats.anytime import Outcomes, evalues
from workbench.stats.proportions import Counts, compare
from workbench.stats.sequential import EXACT

SMALL = (Counts(30, 100), Counts(48, 100))
START = datetime(2026, 1, 5, tzinfo=UTC)
PAIR = (Counts(60, 150), Counts(66, 150))
MARGIN = 0.1


def test_the_planned_size_is_given_or_worked_out():
    sample = Sample(*SMALL, usual_rate=0.4)
    assert planned_size(hypothesis(planned_customers=70), sample) == 70
    of_baseline = planned_size(hypothesis(baseline=0.2), sample)
    assert of_baseline == hypothesis().customers_needed(0.2, 0.05)
    assert planned_size(hypothesis(), sample) == hypothesis().customers_needed(0.4, 0.05)
    assert planned_size(hypothesis(), Sample(*SMALL)) == hypothesis().customers_needed(0.3, 0.05)
    assert planned_size(hypothesis(minimum_effect=0), sample) is None
    assert planned_size(hypothesis(baseline=0.97), sample) is None
    assert planned_size(hypothesis(), Sample(Counts(0, 0), Counts(0, 0))) is None


@pytest.mark.parametrize("baseline", [0.2, 0.8])
def test_either_way_takes_the_larger_size(baseline):
    claim = hypothesis(alternative="two-sided", minimum_effect=0.2, baseline=baseline)
    sizes = [claim.customers_needed(baseline, effect) for effect in (0.2, -0.2)]
    known = [each for each in sizes if each is not None]
    assert planned_size(claim, Sample(*SMALL)) == max(known)
    assert None in sizes or min(known) < max(known)


def test_the_planned_size_is_that_of_the_textbooks():
    """Fleiss, Tytun & Ury (1980), Biometrics 36:343-346, without their continuity correction."""
    wanted = 1.6448536 * math.sqrt(2 * 0.325 * 0.675)
    wanted += 0.8416212 * math.sqrt(0.3 * 0.7 + 0.35 * 0.65)
    assert planned_size(hypothesis(baseline=0.3), Sample(*SMALL)) == math.ceil((wanted / 0.05) ** 2)


def test_a_fixed_analysis_decides_at_its_size_or_its_end():
    claim = hypothesis(planned_customers=100)
    for complete, planned, early in ((True, 100, False), (False, 101, True), (True, 101, False)):
        claim = hypothesis(planned_customers=planned)
        _, progress = analyse(claim, Sample(*SMALL, complete=complete))
        assert (progress.early, progress.final) == (early, not early)


def expected(**changes):
    given = {
        "entered": 40,
        "per_day": 2.0,
        "seen": START + timedelta(days=10),
        "ends": START + timedelta(days=20),
        "window": timedelta(days=3),
        "complete": False,
    }
    sample = Sample(Counts(5, 20), Counts(8, 20), **{**given, **changes})
    _, progress = analyse(hypothesis(planned_customers=50), sample)
    return progress.expected


def test_when_an_analysis_will_decide():
    found = expected()
    assert (found.customers, found.at) == (50, START + timedelta(days=18))
    over = expected(per_day=0.5)  # 45 by the end of the iteration
    assert (over.customers, over.at) == (45, START + timedelta(days=23))
    capped = expected(most=30)
    assert (capped.customers, capped.at) == (30, START + timedelta(days=23))
    assert expected(per_day=math.nan) is None
    assert expected(seen=None) is None


def test_planned_looks_need_a_size_that_their_data_leave_alone():
    claim = hypothesis(analysis="sequential", looks=2)
    with pytest.raises(
        StudyError, match="give planned_customers, or a minimum_effect and a baseline"
    ):
        analyse(claim, Sample(*SMALL))
    _, progress = analyse(claim, Sample(*SMALL, usual_rate=0.4))
    assert progress.planned == hypothesis().customers_needed(0.4, 0.05)
    with pytest.raises(StudyError, match="no planned size"):
        analyse(
            hypothesis(analysis="sequential", looks=2, minimum_effect=0, baseline=0.3),
            Sample(*SMALL),
        )


def test_an_analysis_at_any_time_needs_the_order():
    with pytest.raises(
        StudyError, match="needs customers in their order of entry, and only events"
    ):
        analyse(hypothesis(analysis="anytime"), Sample(*SMALL))


def test_a_guardrail_is_a_test_of_non_inferiority():
    """As statsmodels' score test, whose p-value differs in the third decimal (docs/statistics.md)."""
    claim = hypothesis(guardrails=[{"metric": "paid", "margin": 0.05}], alternative="less")
    control, treatment = Counts(300, 1000), Counts(310, 1000)
    (found,) = guardrails(claim, {"paid": (control, treatment)})
    theirs = score_test(310, 1000, 300, 1000, value=-0.05, method="score", alternative="larger")
    assert found.comparison.pvalue == pytest.approx(theirs.pvalue, abs=2e-4)
    assert (found.held, found.known, found.needed) == (True, True, None)
    assert found.comparison.confidence_level == pytest.approx(0.9)


def test_a_guardrail_that_is_not_shown_to_hold_says_how_many_would():
    claim = hypothesis(guardrails=[{"metric": "paid", "margin": 0.05}])
    (found,) = guardrails(claim, {"paid": (Counts(20, 100), Counts(20, 100))})
    assert not found.held
    # Farrington & Manning: 2 (z.95 + z.80)^2 p (1 - p) / margin^2, near enough.
    assert found.needed == pytest.approx(2 * 2.486**2 * 0.2 * 0.8 / 0.05**2, rel=0.03)
    tiny = hypothesis(guardrails=[{"metric": "paid", "margin": 1e-6}])
    (found,) = guardrails(tiny, {"paid": (Counts(20, 100), Counts(20, 100))})
    assert found.needed is None


def together(*pairs, **changes):
    claims = [hypothesis(**changes) for _ in pairs]
    looked = [analyse(each, Sample(*pair)) for each, pair in zip(claims, pairs, strict=True)]
    return looked, families(looked)


def test_tests_at_once_are_adjusted_as_statsmodels_does():
    pairs = [(Counts(30, 100), Counts(treated, 100)) for treated in (48, 41, 33)]
    looked, found = together(*pairs)
    theirs = multipletests([each.pvalue for each, _ in looked], method="holm")[1]
    assert [each.pvalue for each in found] == pytest.approx(list(theirs))
    assert {each.size for each in found} == {3}


def test_one_test_is_no_family():
    assert together(SMALL)[1] == [None]


def test_an_early_look_is_still_in_the_race():
    claims = [hypothesis(planned_customers=size) for size in (100, 500)]
    looked = [
        analyse(each, Sample(*SMALL, complete=complete))
        for each, complete in zip(claims, (True, False), strict=True)
    ]
    whole, early = families(looked)
    assert early is None
    assert whole.pvalue == pytest.approx(2 * looked[0][0].pvalue)


def test_a_test_of_nobody_yet_is_still_in_the_race():
    _, (first, nobody) = together(SMALL, (Counts(0, 0), Counts(0, 0)))
    assert nobody is None
    assert first.size == 2


def test_each_is_held_to_its_own_alpha():
    claims = [hypothesis(alpha=alpha) for alpha in (0.1, 0.01)]
    pair = (Counts(30, 100), Counts(42, 100))
    looked = [analyse(each, Sample(*pair)) for each in claims]
    loose, strict = families(looked)
    assert 0.01 < loose.pvalue <= 0.1
    assert strict.pvalue > 0.01


def test_planned_looks_at_once_spend_their_part_of_alpha():
    claim = hypothesis(analysis="sequential", looks=2, planned_customers=200)
    sample = Sample(*SMALL, complete=False)
    alone, _ = analyse(claim, sample)
    part, progress = analyse(claim, sample, together=2)
    assert part.confidence_level == pytest.approx(0.95)
    assert part.low < alone.low
    assert families([(part, progress)] * 2)[0].pvalue == pytest.approx(2 * part.pvalue)


def test_a_whole_sample_is_compared_as_before():
    comparison, progress = analyse(hypothesis(), Sample(*SMALL))
    assert comparison == compare(
        control=SMALL[0], treatment=SMALL[1], alternative="greater", confidence_level=0.9
    )
    assert (progress.final, progress.early) == (True, False)


def guarded(**changed) -> Hypothesis:
    guarded = claim(guardrails=[{"metric": "paid", "margin": MARGIN}], **changed)
    return Hypothesis.model_validate(guarded)


def test_a_fixed_claim_tests_a_loss_of_the_margin():
    (found,) = guardrails(guarded(), {"paid": PAIR})
    plain = compare(control=PAIR[0], treatment=PAIR[1], alternative="greater", null_effect=-MARGIN)
    assert found.comparison.pvalue == pytest.approx(plain.pvalue)
    assert found.held == (plain.pvalue <= 0.05)
    assert found.held == (found.comparison.low > -MARGIN)


def test_planned_looks_ask_more_of_a_guardrail_while_they_last():
    """At the first of several looks little alpha is spent; at a single last one all of it."""
    tested = guarded(analysis="sequential", looks=3, planned_customers=300)
    sample = Sample(*PAIR, complete=False)
    (early,) = guardrails(tested, {"paid": PAIR}, sample)
    (fixed,) = guardrails(guarded(), {"paid": PAIR})
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
    tested = guarded(analysis="anytime")
    orders = {"paid": Outcomes(control, treatment)}
    (found,) = guardrails(tested, {"paid": pair}, Sample(*pair), orders)
    path = evalues(
        control[None, :],
        treatment[None, :],
        alternative="greater",
        null_effect=-MARGIN,
        planned_effect=0.0,  # a guardrail hopes for no loss
    )[0]
    assert found.comparison.pvalue == pytest.approx(min(1.0, 1 / path.max()))
    assert found.held
