"""What all iterations taught: counted, summed, tested and told from noise as it should be."""

from __future__ import annotations

import math
import re
from datetime import date

import numpy as np
import pytest
from scipy import stats
from support.results import evaluation, hypothesis

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments.discoveries import Effect
from workbench.experiments.verdict import evaluate
from workbench.innovation.programme import impacts, movable, quarters, trend_pvalue
from workbench.innovation.strategy import CoursePoint, Standing
from workbench.schema.strategy import StrategicMetric
from workbench.schema.time import Iteration, Period
from workbench.stats.proportions import Counts
from workbench.stats.shrinkage import shrink, shrunken_sum
from workbench.stats.trend import UNKNOWN, Trend

FIRST = Period.containing(date(2024, 1, 15), "month")


class Spec:
    def __init__(self, *iterations):
        self.iterations = iterations


@pytest.fixture(scope="module")
def study(bundled):
    return Study.load(bundled)


@pytest.fixture(scope="module")
def found(study):
    return study.programme()


def test_claims_are_counted_by_quarter_and_verdict():
    spec = Spec(
        Iteration(name="2026.1", start="2026-01-05", end="2026-02-02"),
        Iteration(name="2026.2", start="2026-03-30", end="2026-04-05"),
        Iteration(name="2026.3", start="2026-04-06", end="2026-05-04"),
    )
    said = ("supported", "refuted", "harmful", "inconclusive", "invalid")
    tested = [evaluation(each) for each in said]
    tested.append(evaluation("refuted", iteration="2026.3"))
    first, second = quarters(spec, tested)
    assert (first.quarter, first.iterations, first.claims) == ("2026-Q1", 2, 5)
    assert [getattr(first, each) for each in said] == [1] * 5
    assert (first.discoveries, first.open) == (0, 0)
    assert (second.quarter, second.claims, second.refuted) == ("2026-Q2", 1, 1)


def tested(name, version, control, treatment, **more):
    claim = hypothesis(name=name, version=version, **{"alternative": "greater", **more})
    return evaluate(claim, control=Counts(control, 100), treatment=Counts(treatment, 100))


tested.__test__ = False


def test_the_newest_supported_version_of_each_hypothesis_is_summed_by_metric():
    every = [
        tested("a", 1, 30, 60),
        tested("a", 2, 30, 52, iteration="2"),
        tested("a", 3, 30, 33, iteration="3"),
        tested("b", 1, 40, 60),
        tested("c", 1, 40, 60, metric="mapped"),
        tested("d", 1, 40, 20),
    ]
    one, other = impacts(every)
    assert (one.metric, one.claims) == ("imported", ("a 2", "b 1"))
    effects = [Effect.of(each.comparison.control, each.comparison.treatment) for each in every]
    numbers = [each.estimate for each in effects], [each.error for each in effects]
    assert one.total == shrunken_sum(*numbers, [1, 3])
    assert other.total.estimate == pytest.approx(shrink(*numbers)[4].estimate)
    assert one.total.estimate < 0.22 + 0.20


def test_a_claim_of_any_effect_that_found_less_did_not_ship():
    found = tested("a", 1, 60, 30, alternative="two-sided", minimum_effect=0)
    assert found.success
    assert impacts([found]) == []


def test_without_a_window_nothing_is_compared_over_time(bundled, tmp_path):
    text = bundled.read_text(encoding="utf-8").replace("data/", f"{bundled.parent}/data/")
    path = tmp_path / "study.yaml"
    text = re.sub(r"\n  (window|adoption_window|return_window): \w+.*", "", text)
    text = re.sub(r"\n  adoption_rate: .*", "", text)
    text = text[: text.index("  # The fourth release")] + text[text.index("problems:") :]
    text = text.replace("metric: adoption", "metric: imported").replace("[adoption, ", "[")
    text = text.replace(", adoption]", "]").replace("step: adoption", "step: imported")
    text = re.sub(r"\n    adoption_rate: .*", "", text)
    path.write_text(text, encoding="utf-8")
    found = Study.load(path).programme()
    assert [each.step for each in found.steps] == ["renewed"]
    assert found.novelties == ()


def test_a_sum_of_effects_has_the_interval_of_its_draws():
    random = np.random.default_rng(3)
    estimates, errors = [0.15, 0.10, -0.02, 0.04], [0.05, 0.06, 0.05, 0.06]
    taus = np.abs(random.normal(0, 0.1, 400_000))
    variance = taus[:, None] ** 2 + np.square(errors)
    weights = np.exp(-0.5 * (np.log(variance) + np.square(estimates) / variance).sum(axis=1))
    kept = random.choice(len(taus), 200_000, p=weights / weights.sum())
    spread = taus[kept, None] ** 2
    middle = spread / (spread + np.square(errors)) * estimates
    width = np.sqrt(spread * np.square(errors) / (spread + np.square(errors)))
    drawn = random.normal(middle, width)[:, :2].sum(axis=1)
    total = shrunken_sum(estimates, errors, [0, 1])
    assert total.estimate == pytest.approx(drawn.mean(), abs=0.002)
    assert (total.low, total.high) == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=0.003)


def test_a_trend_of_rates_is_cochran_and_armitages():
    rates = [Counts(12, 60), Counts(17, 55), Counts(25, 58), Counts(30, 61)]
    total = sum(each.total for each in rates)
    share = sum(each.converted for each in rates) / total
    scores = np.arange(4)
    sizes = np.array([each.total for each in rates])
    told = sum(
        score * (each.converted - each.total * share)
        for score, each in zip(scores, rates, strict=True)
    )
    spread = share * (1 - share) * ((sizes * scores**2).sum() - (sizes * scores).sum() ** 2 / total)
    z = told / math.sqrt(spread * total / (total - 1))
    assert trend_pvalue(rates) == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert math.isnan(trend_pvalue([Counts(0, 5), Counts(0, 9)]))


def test_the_bundled_study_improves_and_says_so_of_each_metric(study, found):
    table = study.learning_metrics().set_index(["iteration", "step"])
    for each in found.steps:
        first = table.loc[("2026.1", each.step)]
        assert (each.first.converted, each.first.total) == (first["converted"], first["closed"])
        assert each.word == "improved"
    assert [each.step for each in found.steps] == list(study.spec.metrics)


def test_halves_of_entrants_make_the_whole(study, found):
    first = found.novelties[0]
    (whole,) = study.evaluate("2026.1")
    for arm in ("control", "treatment"):
        halves = [getattr(each, arm) for each in (first.early, first.late)]
        assert sum(each.converted for each in halves) == getattr(whole.comparison, arm).converted
        assert sum(each.total for each in halves) == getattr(whole.comparison, arm).total
    sizes = [each.control.total + each.treatment.total for each in (first.early, first.late)]
    assert abs(sizes[0] - sizes[1]) <= 1
    assert 0 <= first.pvalue <= 1


def standing(values, **changes):
    metric = StrategicMetric.model_validate(
        {
            "area": "financial impact",
            "unit": "EUR",
            "baseline": 100,
            "target": 130,
            "by": "2026-12-31",
            "expect_from": "1",
            "fed_by": ["renewed"],
            **changes,
        }
    )
    points = tuple(
        CoursePoint(Period("month", FIRST.number + place).name, value, 100.0)
        for place, value in enumerate(values)
    )
    return Standing("revenue", metric, points, Trend(UNKNOWN, UNKNOWN, 0), "", "too early", "")


def review(values, days=60.0, **changes):
    spec = Spec(Iteration(name="1", start="2026-01-05", end="2026-02-02"))
    (told,) = movable(spec, [standing(values, **changes)], {"renewed": days})
    return told


def test_the_month_in_which_a_course_is_told_from_chance_has_the_power_promised():
    random, hits, runs = np.random.default_rng(8), 0, 200
    before = 24
    noise = 6.0
    told = []
    for _ in range(runs):
        values = 100 + random.normal(0, noise, before)
        each = review(values)
        told.append(each)
        place = Period.read(each.earliest).number - FIRST.number if each.earliest else 40
        months = [Period("month", FIRST.number + number) for number in range(place + 1)]
        start, by = date(2026, 3, 6), date(2026, 12, 31)
        shares = np.clip([(month.middle - start) / (by - start) for month in months], 0, 1)
        truth = 100 + 30 * shares[before:] + random.normal(0, noise, place + 1 - before)
        series = np.concatenate([values, truth])
        fit = stats.linregress(shares, series, alternative="greater")
        hits += fit.pvalue <= 0.05
    assert 0.7 <= hits / runs <= 0.9
    assert all(each.moves_from == "2026-03" for each in told)


def test_a_quiet_metric_is_told_sooner_and_a_noisy_one_not_by_its_date():
    random = np.random.default_rng(2)
    wobble = random.normal(0, 1, 24)
    quiet, noisy = review(100 + wobble), review(100 + 40 * wobble)
    assert Period.read(quiet.earliest).number < Period.read(noisy.earliest).number
    assert "not by its date, 2026-12-31: by then only a move of" in noisy.sentence
    assert noisy.smallest > 30 > quiet.smallest
    few = review(wobble[:4])
    assert (few.earliest, "too few to know its noise" in few.sentence) == ("", True)
    assert review(100 + wobble, days=1.0).moves_from == "2026-01"


def test_strategic_metrics_by_the_groupings_of_their_table(bundled, tmp_path):
    text = bundled.read_text(encoding="utf-8").replace("data/", f"{bundled.parent}/data/")
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(f"{bundled.parent}/data/strategy.csv", "strategy.csv"))
    lines = (bundled.parent / "data" / "strategy.csv").read_text().splitlines()
    rows = [f"{lines[0]},country", *(f"{line}," for line in lines[1:])]
    rows += [f"active_teams,2026-W{week:02d},{week},NL" for week in range(1, 13)]
    (tmp_path / "strategy.csv").write_text("\n".join(rows) + "\n")
    study = Study.load(path)
    everybody = Study.load(bundled).strategy()
    assert study.strategy().rows() == everybody.rows()
    (level,) = study.programme().levels
    assert level.row() == {
        "metric": "active_teams",
        "grouping": "country",
        "level": "NL",
        "since": "2026-W01",
        "first": 1.0,
        "period": "2026-W12",
        "newest": 12.0,
        "whole": next(
            each.points[-1].value for each in everybody.standings if each.name == "active_teams"
        ),
    }
    rows = [f"{lines[0]},country", *(f"{line},NL" for line in lines[1:])]
    (tmp_path / "strategy.csv").write_text("\n".join(rows) + "\n")
    assert Study.load(path).strategy().rows() == everybody.rows()  # it tells nobody apart
    with pytest.raises(StudyError, match="unknown grouping 'industry'"):
        study.strategy(cohort={"industry": "retail"})
