"""No sentence says what its numbers deny: over tables, analyses, families and alternatives."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from support.results import hypothesis

from workbench.experiments.analysis import Sample, analyse, families
from workbench.experiments.discoveries import Standing
from workbench.experiments.verdict import evaluate
from workbench.stats.anytime import Outcomes
from workbench.stats.proportions import Counts

NUMBER = r"([+−]?[\d.]+)"
EFFECT = re.compile(rf"an effect of {NUMBER} \[{NUMBER}, {NUMBER}\] percentage points")
TABLES = [
    (Counts(control, n), Counts(treated, m))
    for n, m in ((10, 10), (25, 20), (400, 380))
    for control, treated in itertools.product(
        sorted({round(n * rate) for rate in (0.0, 0.3, 0.6)}),
        sorted({round(m * rate) for rate in (0.0, 0.2, 0.35, 0.45, 0.62, 1.0)}),
    )
]
ANALYSES = {
    "fixed": {},
    "sequential": {"analysis": "sequential", "looks": 3, "planned_customers": 30},
    "anytime": {"analysis": "anytime"},
}


def number(written: str) -> float:
    return float(written.replace("−", "-")) / 100


def told(sentence: str) -> tuple[float, float]:
    """Return the interval that a sentence shows."""
    found = EFFECT.search(sentence)
    assert found, sentence
    return number(found[2]), number(found[3])


def in_order(pair: tuple[Counts, Counts]) -> Outcomes:
    """Return outcomes with the converted spread evenly over each cohort."""
    return Outcomes(
        *(
            [bool(each) for each in np.diff(np.arange(one.total + 1) * one.converted // one.total)]
            for one in pair
        )
    )


def sample(pair: tuple[Counts, Counts], analysis: str, *, complete: bool) -> Sample:
    order = in_order(pair) if analysis == "anytime" else None
    return Sample(*pair, complete=complete, in_order=order)


def check(found) -> None:
    """Hold what a sentence says against the interval that it shows, and the numbers behind it."""
    claim, sentence = found.hypothesis, found.sentence
    if np.isnan(found.comparison.estimate) or np.isnan(found.comparison.low):
        return
    low, high = told(sentence)
    assert np.sign(low) == np.sign(found.comparison.low), sentence
    assert np.sign(high) == np.sign(found.comparison.high), sentence
    excluded = low > 0 or high < 0
    worth, compliance = claim.minimum_effect, found.compliance
    if "too large for chance" in sentence:
        assert excluded, sentence
    if "too large for chance alone" in sentence:
        assert found.pvalue <= claim.alpha, sentence
        assert {"greater": low > 0, "less": high < 0, "two-sided": True}[claim.alternative], (
            sentence
        )
    if "if it were the only test" in sentence:
        assert found.comparison.pvalue <= claim.alpha < found.pvalue, sentence
    if said := re.search(rf"rules out a (gain|drop) of {NUMBER} points", sentence):
        assert number(said[2]) == pytest.approx(worth)
        seen = worth * compliance
        assert high < seen if said[1] == "gain" else low > -seen, sentence
    if "rules out a change of" in sentence:
        assert -worth * compliance < low <= high < worth * compliance, sentence
    assert ("allowing for" in sentence) == (compliance < 1 and found.verdict == "refuted")
    if "there is a smaller one" in sentence or "wrong side" in sentence:
        assert excluded, sentence
    if said := re.search(rf"leaves open both no effect and one of {NUMBER} points", sentence):
        assert low <= 0 <= high, sentence
        seen = compliance if "would hide" in sentence else 1.0
        hopeless = "to rule anything out" in sentence
        assert not compliance if hopeless else low <= number(said[1]) * seen <= high, sentence
    if "leaves open whether there is an effect" in sentence:
        assert low <= 0 <= high, sentence
    check_verdict(found)


def check_verdict(found) -> None:
    """Hold what a sentence says against the verdict and the label."""
    sentence = found.sentence
    assert ("wrong side" in sentence) == (found.verdict == "harmful")
    assert ("rules out" in sentence) == (found.verdict == "refuted")
    assert ("leaves open" in sentence or "if it were" in sentence) == (
        found.verdict == "inconclusive"
    )
    assert ("It is a discovery" in sentence) == (found.label == "supported, a discovery")
    assert ("not yet a discovery" in sentence) == (found.kind == "but")


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize("worth", [0.0, 0.05])
def test_sentences_agree_with_their_numbers(analysis, alternative, worth):
    claim = hypothesis(alternative=alternative, minimum_effect=worth, **ANALYSES[analysis])
    kinds = set()
    for pair, complete in itertools.product(TABLES, (True, False)):
        if complete or analysis == "sequential":
            looked = analyse(claim, sample(pair, analysis, complete=complete))
            found = evaluate(claim, control=pair[0], treatment=pair[1], analysed=looked)
            standing = Standing(0.01, 0.004, found=complete, hypotheses=12)
            found = found.placed(standing if found.success else None)
            check(found)
            kinds.add(str(found.verdict))
    assert {"supported", "inconclusive"} <= kinds
    assert ("harmful" in kinds) == (alternative != "two-sided")


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("compliance", [0.9, 0.6, 0.0])
def test_sentences_where_customers_changed_sides_agree_with_their_numbers(alternative, compliance):
    endings = set()
    for control, treatment in TABLES[::4]:
        seen = hypothesis(alternative=alternative).compare(control=control, treatment=treatment)
        for worth in (0.08, 1.05 * max(seen.high, -seen.low)):
            if not 0 < worth < 1:
                continue
            claim = hypothesis(alternative=alternative, minimum_effect=worth)
            found = evaluate(claim, control=control, treatment=treatment, compliance=compliance)
            check(found)
        endings |= {
            each for each in ("would hide", "to rule anything out") if each in found.sentence
        }
    assert endings == ({"would hide"} if compliance else {"to rule anything out"})


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("analysis", ANALYSES)
def test_sentences_of_a_family_agree_with_their_numbers(analysis, alternative):
    claim = hypothesis(alternative=alternative, minimum_effect=0.05, **ANALYSES[analysis])
    alone = {
        pair: analyse(claim, sample(pair, analysis, complete=True), together=3) for pair in TABLES
    }
    only = 0
    for pair, other in zip(TABLES, TABLES[5:] + TABLES[:5], strict=True):
        given = [pair, other, other]
        looked = [alone[each] for each in given]
        for each, family, (one, two) in zip(looked, families(looked), given, strict=True):
            found = evaluate(claim, control=one, treatment=two, analysed=each, family=family)
            check(found)
            only += "if it were the only test" in found.sentence
    assert only or analysis != "fixed"
