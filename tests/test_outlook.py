"""Strategy, feedback and backlog of a whole study: wired together, and refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from workbench import Study, outlook
from workbench.cli import main
from workbench.errors import DataError, StudyError, WorkbenchError

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


def test_a_test_of_adoption_gains_only_those_who_come_again(bundled):
    bundled_study = Study.load(bundled)
    found = {each.candidate.name: each.candidate.cost for each in bundled_study.backlog().ranked}
    table = bundled_study.learning_metrics("2026.5").set_index("step")
    for name, gained in (("weekly-reminder", "adoption"), ("undo-import", "previewed")):
        cost = found[name]
        assert cost.weeks == pytest.approx(cost.customers / (table.loc[gained, "entered"] / 4))


def test_what_was_tested_is_held_against_what_was_guessed(study):
    found = study().backlog().guessing
    (tried,) = found.tests
    evaluation = study().evaluate("1")[0]
    assert (tried.name, tried.impact.middle) == ("preview-helps", 8)
    assert tried.realised == evaluation.comparison.estimate
    assert "Too few tests to tell how well impact is guessed: 1, and 5 needed" in found.sentence


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
    assert [each["iteration"] for each in found.change_rows()] == ["1", "2", "3"]


def ask(study, old, new):
    opened = study(old=old, new=new)
    opened.strategy()
    opened.backlog()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("impact: 8", "impact: 11", "line 22: hypotheses.impact is 11; a score is 1 to 10"),
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
    assert not outlook.problems(study()._data)
    (said,) = outlook.problems(study("strategy.csv", "2025-02", "2025-2x")._data)
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
    with pytest.raises(DataError, match="remark F-2: date 'yesterday' is none"):
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
    assert "Too few tests to tell" in shown.err
    with pytest.raises(SystemExit):
        main(["backlog", str(tmp_path / "study.yaml"), "--format", "json"])
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["rank"], first["customers"]) == (1, None)
    assert first["statement"] == "An undo button gives courage."
