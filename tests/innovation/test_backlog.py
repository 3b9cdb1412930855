"""The backlog: scores, ranks and how stable they are, what a test costs, how well teams guess.

The one next thing: what comes first, and that its sentence says all that it takes.

Strategy, feedback and backlog of a whole study: wired together, and refused in one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError
from support import results

from workbench import Study
from workbench.cli import main
from workbench.errors import DataError, StudyError, WorkbenchError
from workbench.experiments.analysis import Expected, GuardrailResult
from workbench.experiments.verdict import Check, Evaluation
from workbench.innovation.backlog import (
    FEWEST_TESTS,
    LEARNING_RULE,
    Backlog,
    Candidate,
    Cost,
    Tried,
    advise,
    cost,
    guessing,
    problems,
    rank,
    rank_correlation,
)
from workbench.schema.hypothesis import Idea, Rating
from workbench.stats.power import customers_needed
from workbench.stats.proportions import Counts, compare

PLANNED = Cost(customers=200, weeks=4, baseline=0.4, effect=0.1)
FIVE = Rating(low=5, high=5)
SHORT = Cost(260, 7.9, 0.3, 0.15)
STUDY = """\
name: small
events: {source: events.csv, customer: who, event: what, time: at}
customers: {source: customers.csv, customer: who}
groupings: {variant: experiment, size: segment}
flow:
  trigger: opened
  steps: [previewed, imported]
  window: 7d
iterations:
  - {name: "1", start: 2026-01-05, end: 2026-02-02}
  - {name: "2", start: 2026-02-02, end: 2026-03-02}
  - {name: "3", start: 2026-03-02, end: 2026-03-30}
hypotheses:
  - name: preview-helps
    statement: It helps.
    metric: imported
    iteration: "1"
    control: {variant: blank}
    treatment: {variant: preview}
    alternative: greater
    minimum_effect: 0.3
    impact: 8
    ease: 4
    evidence: [F-1, F-2]
  - name: hints-help
    statement: Hints help.
    metric: previewed
    iteration: "3"
    control: {variant: blank}
    treatment: {variant: preview}
    alternative: greater
    minimum_effect: 0.3
    impact: [2, 6]
    ease: 5
    confidence: 5
    evidence: F-3
ideas:
  - {name: undo, statement: An undo button gives courage., impact: 9, ease: [6, 8]}
feedback: {source: feedback.csv}
strategy:
  source: strategy.csv
  metrics:
    revenue:
      area: financial impact
      unit: EUR
      baseline: 100
      target: 200
      by: 2026-12-31
      expect_from: "2"
      fed_by: imported
"""
PEOPLE = range(40)
CUSTOMERS = "who,size\n" + "\n".join(
    f"{who:03},{'small' if who % 2 else 'large'}" for who in PEOPLE
)
FEEDBACK = """\
id,date,source,customer,cohort,step,theme,sentiment,quote
F-1,2026-01-20,user test,000,,imported,wrong columns,positive,All fine.
F-2,2026-01-20,phone interview,003,,imported,wrong columns,negative,"Call me, I am Bo."
F-3,2026-02-20,focus group,,size = small,previewed,speed,negative,
F-4,2026-01-21,user test,001,,imported,price,negative,
F-5,2026-01-21,user test,005,,imported,price,negative,
F-6,2026-01-21,user test,007,,imported,price,positive,
"""
STRATEGY = "metric,period,value\n" + "\n".join(
    f"revenue,{2025 + month // 12}-{month % 12 + 1:02},{100 + month % 3}" for month in range(15)
)


def score(low, high=None):
    return Rating(low=low, high=low if high is None else high)


def candidate(name="a", impact=5, ease=5, confidence=None, **changes):
    scores = [
        None if each is None else score(*each) if isinstance(each, tuple) else score(each)
        for each in (impact, ease, confidence)
    ]
    given = {"evidence": ("F-1",), "cost": PLANNED, **changes}
    return Candidate(name, 1, "It helps.", "idea", *scores, **given)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (11, "is 11; a rating is 1 to 10, or a range such as [4, 8]"),
        (0, "is 0; a rating is 1 to 10"),
        ([4, 11], "is 11; a rating is 1 to 10"),
        ([8, 4], "is [8, 4]; write the lower end first"),
        ([1, 2, 3], "is [1, 2, 3]; a rating is 1 to 10"),
        ("high", "is 'high'; a rating is 1 to 10"),
        (True, "is True; a rating is 1 to 10"),
        (math.nan, "is nan; a rating is 1 to 10"),
    ],
)
def test_a_bad_rating_gets_one_sentence(value, said):
    with pytest.raises(ValidationError) as error:
        Idea.model_validate({"name": "a", "statement": "b", "impact": value})
    (found,) = error.value.errors()
    assert found["loc"] == ("impact",)
    assert said in found["msg"]


def test_scores_are_numbers_or_ranges():
    idea = Idea.model_validate({"name": "a", "statement": "b", "impact": [4, 8], "ease": 7.5})
    assert (idea.impact.low, idea.impact.high, idea.impact.middle) == (4, 8, 6)
    assert (str(idea.impact), str(idea.ease), idea.confidence) == ("4 to 8", "7.5", None)
    assert idea == Idea.model_validate(idea.model_dump())


def test_an_idea_needs_no_iteration_and_has_one_status():
    assert Idea(name="a", statement="b").status == "idea"
    with pytest.raises(ValidationError, match="status"):
        Idea.model_validate({"name": "a", "statement": "b", "status": "tested"})


def test_candidates_are_ranked_by_impact_times_ease():
    found = rank([candidate("a", 3, 4), candidate("b", 9, 5), candidate("c", 6, 2)])
    assert [(each.candidate.name, each.rank, each.score) for each in found] == [
        ("b", 1, 45),
        ("a", 2, 12),
        ("c", 2, 12),
    ]
    assert all(each.low == each.high == each.rank for each in found)


def test_confidence_counts_where_somebody_gives_it():
    sure, unsure = candidate("sure", 5, 5, 9), candidate("unsure", 8, 5, 2)
    assert [each.candidate.name for each in rank([unsure, sure])] == ["sure", "unsure"]
    silent = candidate("silent", 6, 5)
    found = {each.candidate.name: each for each in rank([sure, unsure, silent])}
    assert found["silent"].score == pytest.approx(6 * 5 * 0.55)
    assert (found["silent"].low, found["silent"].high) == (1, 3)


def test_without_impact_or_ease_there_is_no_rank():
    *_, last = rank([candidate("a", None, 9), candidate("b", 1, 1)])
    assert last.candidate.name == "a"
    assert math.isnan(last.rank)
    assert last.row()["rank"] is None
    assert rank([]) == ()


def test_ranges_shake_the_ranks_as_often_as_they_should():
    """Two candidates, 5 against anything from 4 to 8: the wide one wins in three of four draws."""
    narrow, wide = rank([candidate("narrow", 5, 1), candidate("wide", (4, 8), 1)])[::-1]
    assert (narrow.candidate.name, wide.candidate.name) == ("narrow", "wide")
    assert wide.first == pytest.approx(0.75, abs=0.02)
    assert narrow.first == pytest.approx(0.25, abs=0.02)
    assert (wide.low, wide.high, narrow.low, narrow.high) == (1, 2, 1, 2)
    clear = rank([candidate("top", (8, 10), 5), candidate("low", (1, 3), 5)])
    assert [(each.low, each.high, each.first) for each in clear] == [(1, 1, 1), (2, 2, 0)]


def test_ranks_are_drawn_the_same_way_each_time():
    many = [candidate(str(each), (1, 1 + each % 8), (2, 9)) for each in range(12)]
    assert rank(many) == rank(many)


def test_a_test_costs_customers_and_weeks():
    found = cost(
        baseline=0.4,
        minimum_effect=0.2,
        alternative="greater",
        alpha=0.05,
        power=0.8,
        weekly=30,
    )
    each = customers_needed(
        control_rate=0.4, effect=0.2, alternative="greater", alpha=0.05, power=0.8
    )
    assert (found.customers, found.weeks) == (2 * each, 2 * each / 30)
    down = cost(
        baseline=0.4, minimum_effect=0.2, alternative="less", alpha=0.05, power=0.8, weekly=30
    )
    assert down.effect == -0.2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minimum_effect": 0.0}, "it names no minimum effect"),
        ({"baseline": math.nan}, "nobody's window is over for its metric"),
        ({"baseline": 0.95}, "from a rate of 95.0% there is no room for +20 points"),
        ({"weekly": math.nan}, "how many customers enter a week is not known"),
    ],
)
def test_what_a_test_costs_may_not_be_known(changes, said):
    given = {"baseline": 0.4, "minimum_effect": 0.2, "weekly": 30.0, **changes}
    found = cost(alternative="greater", alpha=0.05, power=0.8, **given)
    assert found.reason == said
    assert math.isnan(found.weeks)


@pytest.mark.parametrize(
    ("changes", "way", "why"),
    [
        ({"evidence": ()}, "interview", "no customer's remark is cited"),
        ({"confidence": 2}, "interview", "confidence is 2"),
        (
            {"cost": Cost(reason="it names no metric")},
            "prototype",
            "cannot be planned: it names no",
        ),
        ({"cost": Cost(400, 9.4, 0.4, 0.1)}, "prototype", "an A/B test would take 9 weeks"),
        ({"ease": (1, 4)}, "prototype", "ease is 1 to 4"),
        ({}, "A/B test", "it takes 4.0 weeks"),
        ({"cost": Cost(400, math.nan, 0.4, 0.1, "unknown")}, "A/B test", "unknown"),
    ],
)
def test_the_cheapest_way_to_learn(changes, way, why):
    (found,) = rank([candidate(**changes)])
    assert found.learn_by == way
    assert why in found.why
    assert way in LEARNING_RULE


def some_tests(guessed, realised):
    return [
        Tried(f"h{place}", 1, score(one), other, other - 0.1, other + 0.1, "supported")
        for place, (one, other) in enumerate(zip(guessed, realised, strict=True))
    ]


def test_published_rank_correlation():
    """Bonett's statpsych, ci.spear: its documented example."""
    one = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    other = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    found = rank_correlation(one, other)
    assert found == pytest.approx((0.8699639, 0.5840951, 0.9638297), abs=1e-7)


def test_a_perfect_order_of_five_is_not_yet_proof():
    correlation, low, high = rank_correlation([1, 2, 3, 4, 5], [2, 3, 5, 7, 11])
    assert (correlation, high) == pytest.approx((1, 1))
    assert low < 0
    assert rank_correlation(range(10), range(10))[1] > 0.5


def test_intervals_of_rank_correlations_cover():
    rng, covered, size = np.random.default_rng(4), 0, 10
    for _ in range(400):
        one, other = rng.normal(size=(2, size))
        _, low, high = rank_correlation(one, other)
        covered += low <= 0 <= high
    assert covered / 400 >= 0.93


def test_how_well_a_team_guesses():
    good = guessing(some_tests([2, 4, 5, 7, 8, 9, 10], [0.01, 0.02, 0.03, 0.05, 0.09, 0.1, 0.12]))
    assert good.low > 0
    assert "larger guesses went with larger effects: rank correlation +1.00" in good.sentence
    bad = guessing(some_tests([2, 4, 5, 7, 8, 9, 10], [0.12, 0.1, 0.09, 0.05, 0.03, 0.02, 0.01]))
    assert "larger guesses went with smaller effects" in bad.sentence
    open_ = guessing(some_tests([2, 4, 5, 7, 8], [0.05, 0.01, 0.03, 0.02, 0.04]))
    assert "is open" in open_.sentence


def test_few_tests_tell_nothing():
    found = guessing(some_tests([2, 9], [0.0, 0.2]))
    assert math.isnan(found.correlation)
    said = "Too few tests to say how well impact is guessed: 2 of the 5 needed."
    assert found.sentence == said
    assert FEWEST_TESTS == 5
    assert "is the same" in guessing(some_tests([5] * 6, range(6))).sentence


def backlog(*candidates: Candidate) -> Backlog:
    return Backlog(rank(candidates), guessing(()))


def advised(cost=SHORT, ease=FIVE, evidence=("F-1",)) -> Candidate:
    said = "A reminder brings customers back."
    return Candidate("reminder", 1, said, "idea", FIVE, ease, None, evidence, cost)


def early() -> Evaluation:
    found = results.evaluation("inconclusive")
    expected = Expected(datetime(2026, 3, 9, tzinfo=UTC), 120)
    progress = replace(found.progress, early=True, planned=120, through=10, expected=expected)
    return replace(found, progress=progress)


def at_risk() -> Evaluation:
    lost = compare(control=Counts(40, 80), treatment=Counts(30, 70), alternative="greater")
    guard = GuardrailResult("adoption", 0.05, lost, held=False, needed=400)
    return replace(results.evaluation("supported"), guardrails=(guard,))


def test_a_broken_comparison_is_mended_first():
    found = advise([at_risk(), early(), results.evaluation("invalid")], backlog(advised()))
    assert (found.kind, found.about) == ("mend", "preview-helps")
    assert found.sentence == (
        "First mend preview-helps, version 1 (2026.1), which is invalid: "
        "the cohorts are not as planned."
    )


def test_a_test_that_was_looked_at_early_runs_on():
    found = advise([at_risk(), early()], backlog(advised()))
    assert found.kind == "wait"
    assert "run on, until about 9 March 2026, and decide nothing" in found.sentence
    assert found.sentence.endswith("10 of 120 planned customers per cohort are through.")


def test_time_alone_mends_a_test_in_which_everybody_is_pending():
    broken = results.evaluation("invalid")
    pending = Check("pending", "invalid", "Every customer is still pending; look again later.", 9)
    found = advise([replace(broken, checks=(pending,))], backlog(advised()))
    assert found.kind == "wait"
    assert found.sentence.endswith("run on: every customer is still pending.")
    both = replace(broken, checks=(*broken.checks, pending))
    assert advise([both], backlog()).kind == "mend"


def test_a_guardrail_at_risk_is_decided_on():
    found = advise([results.evaluation("refuted"), at_risk()], backlog(advised()))
    assert found.kind == "decide"
    assert (
        "worth what adoption may lose, or test on with 400 customers per cohort" in found.sentence
    )
    assert found.sentence.endswith("and a loss of 5 is the most allowed.")


def test_settled_tests_leave_the_first_of_the_backlog():
    settled = [results.evaluation(name) for name in ("supported", "refuted", "inconclusive")]
    found = advise(settled, backlog(advised()))
    assert found.row() == {
        "kind": "try",
        "about": "reminder",
        "sentence": 'Try reminder next ("A reminder brings customers back"), by an A/B test with '
        "260 customers and 7.9 weeks.",
    }


def test_the_cheapest_way_to_learn_is_said_with_its_reason():
    def said(**changes):
        return advise([], backlog(advised(**changes))).sentence.partition("), ")[2]

    long = Cost(934, 10.4, 0.5, 0.08)
    assert said(cost=long) == "by a prototype: an A/B test would take 934 customers and 10.4 weeks."
    assert said(cost=Cost(reason="it names no metric")) == (
        "by a prototype: an A/B test cannot be planned: it names no metric."
    )
    assert said(evidence=()) == (
        "by interviews with customers, since no customer's remark is cited: an A/B test would take "
        "260 customers and 7.9 weeks."
    )


def test_nothing_left_to_try_is_a_reason_to_listen():
    found = advise([results.evaluation("refuted")], backlog())
    assert (found.kind, found.about) == ("listen", "")
    assert found.sentence.startswith("Talk to customers")


def events() -> str:
    """Odd customers see the preview and import; even ones see it too, but only some import."""
    rows = ["who,what,at,variant"]
    for who in PEOPLE:
        variant = "preview" if who % 2 else "blank"
        start = 6 if who < 30 else 36
        day = f"2026-{1 + start // 31:02}-{start % 31 + who % 5:02}"
        steps = ["opened", "previewed", *(["imported"] if who % 2 or who % 8 == 2 else [])]
        rows += [
            f"{who:03},{what},{day} 1{hour}:00:00,{variant}" for hour, what in enumerate(steps)
        ]
    return "\n".join([*rows, "000,looked,2026-02-25 10:00:00,blank"])


@pytest.fixture
def study(tmp_path) -> Callable[..., Study]:
    """Load the small study, with texts replaced in one of its files."""

    def write(file: str = "study.yaml", old: str = "", new: str = "") -> Study:
        texts = {
            "study.yaml": STUDY,
            "events.csv": events(),
            "customers.csv": CUSTOMERS,
            "feedback.csv": FEEDBACK,
            "strategy.csv": STRATEGY,
        }
        assert old in texts[file]
        texts[file] = texts[file].replace(old, new, 1) if old else texts[file]
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return Study.load(tmp_path / "study.yaml")

    return write


def test_the_backlog_ranks_what_is_not_tested(study):
    found = study().backlog()
    rows = found.rows()
    assert [(each["hypothesis"], each["status"], each["rank"]) for each in rows] == [
        ("undo", "idea", 1),
        ("hints-help", "planned", 2),
    ]
    undo, hints = rows
    assert undo["score"] == pytest.approx(9 * 7 * 0.55)
    assert (undo["learn_by"], undo["why"]) == ("interview", "no customer's remark is cited")
    assert undo["customers"] is None
    assert hints["learn_by"] == "prototype"
    assert "no room for +30 points" in hints["why"]  # everybody previews already


def test_a_test_is_priced_at_the_newest_rates(study):
    found = study(old="metric: previewed", new="metric: imported").backlog()
    (hints,) = [each for each in found.ranked if each.candidate.name == "hints-help"]
    cost = hints.candidate.cost
    newest = study().learning_metrics("2").set_index("step").loc["imported"]
    assert cost.baseline == newest["rate"]
    assert cost.weeks == pytest.approx(cost.customers / (newest["entered"] * 7 / 23.4167), rel=0.01)


def test_every_test_gains_all_who_enter(bundled):
    bundled_study = Study.load(bundled)
    found = {each.candidate.name: each.candidate.cost for each in bundled_study.backlog().ranked}
    table = bundled_study.learning_metrics("2026.5").set_index("step")
    for name in ("weekly-reminder", "undo-import"):
        cost = found[name]
        assert cost.weeks == pytest.approx(cost.customers / (table.loc["previewed", "entered"] / 4))


def test_what_was_tested_is_held_against_what_was_guessed(study):
    found = study().backlog().guessing
    (tried,) = found.tests
    evaluation = study().evaluate("1")[0]
    assert (tried.name, tried.impact.middle) == ("preview-helps", 8)
    assert tried.realised == evaluation.comparison.estimate
    assert "Too few tests to say how well impact is guessed: 1 of the 5 needed" in found.sentence


def test_an_earlier_backlog_knows_less(study):
    then = study().backlog(as_of="2026-01-20")
    statuses = {each["hypothesis"]: each["status"] for each in then.rows()}
    assert statuses == {"undo": "idea", "preview-helps": "running", "hints-help": "planned"}
    assert not then.guessing.tests


def test_the_study_may_name_the_status(study):
    found = study(old="    ease: 4\n", new="    ease: 4\n    status: planned\n").backlog()
    assert "preview-helps" in {each["hypothesis"] for each in found.rows()}


def test_feedback_is_held_against_the_log(study):
    found = study().feedback()
    assert (found.remarks, found.heard) == (6, 5)
    (row,) = found.agreements
    assert (row.step, row.customers) == ("imported", 5)
    assert (row.success_aligned, row.success_not_aligned) == (1, 1)
    assert (row.trouble_aligned, row.trouble_not_aligned) == (3, 0)
    assert [each.remark for each in found.contradictions] == ["F-1", "F-2", "F-4", "F-5"]
    assert {each.iteration for each in found.contradictions} == {"1"}
    (price,) = found.unaddressed
    assert (price.theme, price.customers) == ("price", 3)
    small = [each for each in found.themes if each.level == "small" and each.theme == "price"]
    assert small[0].customers == 3
    assert "Bo" not in str(found.rows())


def test_feedback_of_an_iteration(study):
    assert study().feedback("2").remarks == 1
    with pytest.raises(StudyError, match="unknown iteration '22'; did you mean '2'"):
        study().feedback("22")


def test_feedback_as_it_was_then(study):
    then = study().feedback(as_of="2026-01-20")
    assert then.remarks == 2
    assert [each.remark for each in then.contradictions] == ["F-1", "F-2"]
    early = study("feedback.csv", "F-1,2026-01-20", "F-1,2026-01-08").feedback(as_of="2026-01-08")
    assert early.remarks == 1
    assert not early.agreements  # the window is still open


def test_strategy_is_held_against_its_course(study):
    found = study().strategy()
    (row,) = found.rows()
    assert (row["state"], row["period"]) == ("behind", "2026-03")
    early = study().strategy(as_of="2026-02-01").rows()[0]
    assert early["state"] == "too early"
    assert early["period"] == "2026-01"
    assert [each.iteration for each in found.changes] == ["1", "2", "3"]


def ask(study, old, new):
    opened = study(old=old, new=new)
    opened.strategy()
    opened.backlog()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("impact: 8", "impact: 11", "line 22: hypotheses.impact is 11; a rating is 1 to 10"),
        ("ease: [6, 8]", "ease: [8, 6]", "ideas.ease is [8, 6]; write the lower end first"),
        ("ease: 4", "ease: 4\n    status: done", "hypotheses.status is 'done'; it must be 'idea'"),
        ("financial impact", "finances", "unknown area 'finances'; did you mean 'financial impact"),
        ('expect_from: "2"', 'expect_from: "9"', "unknown iteration '9'; known: 1, 2, 3"),
        ("fed_by: imported", "fed_by: importd", "unknown flow metric 'importd'; did you mean"),
        ("target: 200", "target: 50", "target is 50; higher is better, so it must lie above"),
        ("by: 2026-12-31", "by: 2026-01-31", "by is 2026-01-31, but the course starts on 2026-02"),
        ("name: undo,", "name: undo, metric: importd,", "unknown metric 'importd'; did you mean"),
        ("name: undo,", "name: hints-help,", "'hints-help' is the name of another idea or hypoth"),
        (
            "feedback: {source: feedback.csv}\n",
            "",
            "evidence names remarks, but the study names no",
        ),
        ("strategy.csv", "strategy.csv\n  metric: metrc", "unknown column 'metrc'; did you mean"),
        ("evidence: F-3", "evidence: F-33", "hypothesis 'hints-help': unknown evidence 'F-33'"),
    ],
)
def test_a_bad_study_gets_one_sentence(study, old, new, said):
    with pytest.raises(WorkbenchError) as error:
        ask(study, old, new)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_checking_names_bad_feedback_and_bad_strategic_metrics(study):
    errors = study("feedback.csv", "000,,imp", "c9,,imp").check().errors
    assert len(errors) == 1
    assert "remark F-1 is of customer 'c9', who is in neither events nor" in errors[0].message
    assert not problems(study()._data)
    (said,) = problems(study("strategy.csv", "2025-02", "2025-2x")._data)
    assert "revenue: '2025-2x' is no period" in said


def test_a_study_without_them_says_what_to_add(tmp_path, study):
    text = STUDY.partition("ideas:")[0]
    plain = "\n".join(line for line in text.splitlines() if "evidence" not in line)
    study()
    (tmp_path / "study.yaml").write_text(plain)
    opened = Study.load(tmp_path / "study.yaml")
    with pytest.raises(StudyError, match="the study names no strategic metrics; add strategy"):
        opened.strategy()
    with pytest.raises(StudyError, match="the study names no feedback; add feedback"):
        opened.feedback()
    assert len(opened.backlog().ranked) == 1


def test_feedback_to_a_study_of_outcomes_and_of_counts(tmp_path):
    (tmp_path / "people.csv").write_text("who,bought\n1,true\n2,false\n3,\n")
    (tmp_path / "counts.csv").write_text("entered,bought\n10,5\n")
    (tmp_path / "f.csv").write_text(
        "id,date,source,customer,step,theme,sentiment\n"
        "F-1,2026-01-09,user test,2,bought,price,positive\n"
        "F-2,2026-01-09,user test,1,bought,price,positive\n"
        "F-3,2026-01-09,user test,3,bought,price,positive\n"
    )
    rest = 'iterations: [{name: "1"}]\nfeedback: {source: f.csv}\n'
    (tmp_path / "study.yaml").write_text(
        "name: a\ncustomers: {source: people.csv, customer: who}\noutcomes: {bought: bought}\n"
        + rest
    )
    found = Study.load(tmp_path / "study.yaml").feedback()
    assert [each.remark for each in found.contradictions] == ["F-1"]
    (tmp_path / "study.yaml").write_text(
        "name: a\ncounts: {source: counts.csv, trigger: entered, steps: {bought: bought}}\n" + rest
    )
    with pytest.raises(StudyError, match="counts know no single customer; give feedback by cohort"):
        Study.load(tmp_path / "study.yaml").feedback()


def test_a_date_that_is_none_is_said_with_its_remark(study):
    with pytest.raises(DataError, match="remark F-2: date 'yesterday' is no time"):
        study("feedback.csv", "F-2,2026-01-20", "F-2,yesterday").feedback()


def test_the_command_line_ranks(study, tmp_path, capsys):
    study()
    with pytest.raises(SystemExit) as ended:
        main(["backlog", str(tmp_path / "study.yaml")])
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split()[:3] == ["rank", "hypothesis", "status"]
    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [
        ["1", "undo"],
        ["2", "hints-help"],
    ]
    assert "Too few tests to say" in shown.err
    with pytest.raises(SystemExit):
        main(["backlog", str(tmp_path / "study.yaml"), "--format", "json"])
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["rank"], first["customers"]) == (1, None)
    assert first["statement"] == "An undo button gives courage."
