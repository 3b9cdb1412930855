"""Quality: what is said of the data before any number, and its published values."""

from __future__ import annotations

import math

import pytest
from scipy.stats import chi2_contingency
from support.small_study import claim, write_study

from workbench import Study
from workbench.experiments import checks
from workbench.stats.sample_ratio import homogeneity


def test_the_sample_ratio_of_two_real_experiments():
    """A game's gate (p 0.0086) and a free trial's screener (28,378 and 28,325: p 0.82)."""
    gate = checks.ratio_check({"gate 30": 44_700, "gate 40": 45_489})
    assert (gate.level, round(gate.value, 4)) == ("warn", 0.0086)
    assert "in only 9 in 1,000 cases (sample ratio p 0.00861, chi-square)" in gate.sentence
    trial = checks.ratio_check({"control": 28_378, "experiment": 28_325})
    assert (trial.level, round(trial.value, 2)) == ("ok", 0.82)


@pytest.mark.parametrize(
    ("sizes", "level"),
    [
        ({"a": 60, "b": 40}, "ok"),  # exact binomial: p 0.0569
        ({"a": 64, "b": 36}, "warn"),  # p 0.0066
        ({"a": 67, "b": 33}, "invalid"),  # p 0.0009
    ],
)
def test_thresholds(sizes, level):
    found = checks.ratio_check(sizes)
    assert found.level == level
    assert "exact multinomial" in found.sentence


def test_shares_that_are_planned():
    sizes = {"blank": 150, "preview": 75}
    assert checks.ratio_check(sizes).level == "invalid"
    found = checks.ratio_check(sizes, {"blank": 2, "preview": 1})
    assert (found.level, found.value) == ("ok", 1.0)
    assert "are what shares of blank 2 : preview 1 would give" in found.sentence


def test_shares_of_a_cohort_that_nobody_is_in():
    found = checks.ratio_check(
        {"blank": 150, "preview": 150}, {"blank": 1, "preview": 1, "third": 1}
    )
    assert found.level == "invalid"
    assert "150 : 150 : 0 (blank : preview : third)" in found.sentence


def test_a_cohort_that_is_not_planned():
    found = checks.ratio_check({"blank": 150, "other": 3}, {"blank": 1, "preview": 1})
    assert (found.level, found.value) == ("invalid", 0.0)
    assert "3 customers are in other, for which the allocation plans nobody" in found.sentence


@pytest.mark.parametrize("sizes", [{}, {"a": 5}, {"a": 0, "b": 0}])
def test_too_few_for_a_ratio(sizes):
    found = checks.ratio_check(sizes)
    assert (found.level, found.sentence) == (
        "ok",
        "There are too few customers or cohorts to check the cohorts' sizes.",
    )
    assert math.isnan(found.value)


@pytest.mark.parametrize(
    ("known", "entered", "level", "said"),
    [
        ({}, 10, "ok", "No customer entered an earlier iteration too."),
        ({"1": 0}, 10, "ok", "No customer entered an earlier iteration too."),
        ({"1": 1, "2": 0}, 100, "ok", "1 of 100 customers (1.0%) entered iteration 1 too"),
        ({"1": 5, "2": 20}, 100, "warn", "20 of 100 customers (20.0%) entered iteration 2 too"),
        ({"1": 3}, 0, "ok", "No customer entered an earlier iteration too."),
    ],
)
def test_customers_of_earlier_iterations(known, entered, level, said):
    found = checks.carry_over_check(known, entered)
    assert found.level == level
    assert said in found.sentence


def test_a_mix_that_changed_names_what_moved():
    before, now = {"small": 60, "large": 40}, {"small": 30, "large": 70}
    found = checks.mix_check("size", before, now)
    assert found.level == "warn"
    assert "small went from 60.0% (60/100) to 30.0% (30/100) (p < 0.001)" in found.sentence
    assert found.value == pytest.approx(
        chi2_contingency([[60, 40], [30, 70]], correction=False).pvalue
    )


def test_a_mix_that_did_not_change():
    same = {"small": 60, "large": 40}
    assert checks.mix_check("size", same, same).sentence == (
        "The mix of size is that of the iteration before (p 1.00)."
    )
    for before, now in (({}, same), ({"small": 9}, {"small": 8})):
        assert "no other mix" in checks.mix_check("size", before, now).sentence
    few = checks.mix_check("size", {"small": 2, "large": 1}, {"small": 1, "large": 2})
    assert few.sentence == "There are too few customers to tell whether the mix of size changed."
    assert math.isnan(few.value)


def test_homogeneity_is_pearsons_test():
    one, other = [30, 60, 10, 0], [50, 40, 10, 0]
    theirs = chi2_contingency([one[:3], other[:3]], correction=False).pvalue
    assert homogeneity(one, other) == pytest.approx(theirs)
    # Levels expected fewer than five times are taken together.
    assert homogeneity([90, 4, 3, 3], [92, 2, 3, 3]) == pytest.approx(
        chi2_contingency([[90, 10], [92, 8]], correction=False).pvalue
    )


def test_the_table_of_an_iteration(tmp_path):
    table = Study.load(write_study(tmp_path, [claim()])).quality("1")
    assert table["check"].tolist() == [
        "rows",
        "duplicates",
        "ties",
        "stray times",
        "customers",
        "pending",
        "crossovers",
        "sample ratio",
    ]
    second = Study.load(tmp_path / "study.yaml").quality("2")
    assert second["check"].tolist()[-2:] == ["carry-over", "mix of size"]


def test_crossovers_and_pending():
    assert checks.crossover_check(0, 100, 0, 100).level == "ok"
    assert checks.crossover_check(1, 200, 0, 200).sentence == (
        "1 customer (0.5%) saw two groups and counts in the first."
    )
    assert checks.crossover_check(50, 100, 0, 100).level == "warn"
    few = checks.crossover_check(0, 100, 1, 100)
    assert few.level == "ok"
    assert few.sentence == (
        "No customer is known to have seen two groups of the experiment. Of 1 customer the first is "
        "not known: they are in neither."
    )
    assert "record each customer's first group" in checks.crossover_check(0, 98, 2, 98).sentence
    assert checks.crossover_check(0, 98, 2, 98).level == "invalid"
    assert checks.pending_check(10, 10).level == "invalid"
    assert checks.pending_check(6, 10).level == "warn"
    assert checks.pending_check(0, 0).level == "ok"
