"""Bad input gets one sentence that names the file, the place and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import Study
from workbench.errors import WorkbenchError

STUDY = """\
name: small
events:
  source: events.csv
  customer: who
  event: what
  time: at
customers:
  source: customers.csv
  customer: who
groupings:
  variant: experiment
  size: segment
flow:
  trigger: opened
  steps:
    - previewed: preview
    - imported: import
  window: 7d
iterations:
  - {name: "1", start: 2026-01-05, end: 2026-02-02}
  - {name: "2", start: 2026-02-02, end: 2026-03-02}
hypotheses:
  - name: preview-helps
    statement: It helps.
    metric: imported
    iteration: "1"
    control: {variant: blank}
    treatment: {variant: preview}
    alternative: greater
    minimum_effect: 0.05
"""
EVENTS = """\
who,what,at,variant
1,opened,2026-01-06 08:00:00,blank
1,preview,2026-01-06 09:00:00,blank
2,opened,2026-01-06 08:00:00,preview
2,preview,2026-01-06 08:30:00,preview
2,import,2026-01-07 08:00:00,preview
3,opened,2026-02-20 08:00:00,blank
"""
CUSTOMERS = "who,size\n1,small\n2,large\n3,small\n"
FILE = [
    ("name: small", "name: small\nwidow: 7d", "line 2: unknown key 'widow'"),
    ("window: 7d", "widow: 7d", "line 18: unknown key 'widow'; did you mean 'window'?"),
    (
        "  customer: who\n  event",
        "  custmer: who\n  event",
        "line 4: unknown key 'custmer'; did you mean 'customer'",
    ),
    ("window: 7d", "window: 0d", "line 18: flow.window: 0d is no time at all"),
    ("window: 7d", "window: 7", "7 is no duration; write a number and a unit, such as 7d"),
    ("window: 7d", "window: 7d\n  need_met: [a, b, imported]", "3 end points are named"),
    ("window: 7d", "window: 7d\n  need_met: previewed", "it must be the last step, 'imported'"),
    ("  trigger: opened\n", "", "flow.trigger is missing; add it"),
    (
        "variant: experiment",
        "variant: experimental",
        "must be 'experiment', 'focus group', 'segment'",
    ),
    ('iteration: "1"', 'iteration: "3"', "line 26: unknown iteration '3'; known: 1, 2"),
    ('iteration: "1"', "iteration: 1.10", '1.10 is read as a number; put it in quotes: "1.10"'),
    ("metric: imported", "metric: import", "unknown metric 'import'; did you mean 'imported'"),
    (
        "control: {variant: blank}",
        "control: {varant: blank}",
        "unknown grouping 'varant'; did you mean 'variant'",
    ),
    (
        "control: {variant: blank}",
        "control: {variant: preview}",
        "control and treatment are the same cohort",
    ),
    ("minimum_effect: 0.05", "alpha: 2", "hypotheses.alpha is 2; it must lie between 0 and 0.5"),
    ("minimum_effect: 0.05", "power: 0", "hypotheses.power is 0; it must lie between 0 and 1"),
    (
        "minimum_effect: 0.05",
        "minimum_effect: -1",
        "minimum_effect is -1; it must be greater than or equal to 0",
    ),
    ("start: 2026-02-02", "start: 2026-01-20", "iterations '1' and '2' overlap"),
    (
        "start: 2026-01-05, end: 2026-02-02",
        "start: 2026-04-05, end: 2026-05-02",
        "iteration '1' is listed before '2', which is earlier; list them in order",
    ),
    ("end: 2026-02-02", "end: 2026-01-02", "ends (2026-01-02) no later than it starts"),
    ('name: "2"', 'name: "1"', "two iterations are called '1'"),
    ("start: 2026-01-05", "start: soon", "'soon' is no date; write it as 2026-01-31"),
    ("flow:\n", "flow:\n\t", "this is no YAML"),
    ("source: events.csv", "source: event.csv", "event.csv does not exist in"),
    ("source: events.csv", "source: study.yaml", "the ending of study.yaml is not known"),
    ("event: what", "event: wat", "unknown column 'wat'; did you mean 'what'"),
    ("customer: who\ngroup", "customer: whom\ngroup", "unknown column 'whom'; did you mean 'who'"),
    ("size: segment", "siz: segment", "unknown grouping 'siz'; did you mean 'size'"),
    (
        "trigger: opened",
        "trigger: open",
        "the trigger never occurs: unknown event 'open'; did you mean 'opened'",
    ),
    ("time: at", "time: at\n  timezone: Mars", "unknown time zone 'Mars'"),
    ("time: at", "time: at\n  where: {what: nothing}", "has no rows where what is 'nothing'"),
    (
        "control: {variant: blank}",
        "control: {variant: blnk}",
        "hypothesis preview-helps: unknown cohort variant = 'blnk'; did you mean 'blank'",
    ),
    (
        'iteration: "1"\n    control',
        'window: 0d\n    iteration: "1"\n    control',
        "a duration must be longer than zero",
    ),
]
LOOKS = [
    ("looks: 3", "looks is for analysis: sequential; this one is fixed, so leave it out"),
    ("spending: pocock", "spending is for analysis: sequential; this one is fixed, so leave it"),
    ("analysis: sequential", "is sequential; say how many looks it may take: looks: 4"),
    (
        "{analysis: sequential, looks: 1, baseline: 0.3}",
        "hypotheses.looks is 1; it must be greater than or equal to 2",
    ),
    (
        "{analysis: sequential, looks: 3}",
        "has no planned size that its own data leave alone; give planned_customers, or a",
    ),
    ("analysis: whenever", "must be 'fixed', 'sequential' or 'anytime'"),
    ("planned_customers: 0", "planned_customers is 0; it must be greater than or equal to 1"),
    ("baseline: 1", "hypotheses.baseline is 1; it must lie between 0 and 1"),
    ("alpha: 0.5", "hypotheses.alpha is 0.5; it must lie between 0 and 0.5"),
    (
        "guardrails: [{metric: preview, margin: 0.1}]",
        "unknown metric 'preview'; did you mean 'previewed'",
    ),
    (
        "guardrails: [{metric: imported, margin: 0.1}]",
        "guardrail 'imported' is the metric of the hypothesis; name another step",
    ),
    (
        "guardrails: [{metric: previewed, margin: 0}]",
        "margin is 0; it must lie between 0 and 1",
    ),
    (
        "guardrails: [{metric: previewed, margin: 0.1}, {metric: previewed, margin: 0.2}]",
        "guardrail 'previewed' is there twice; keep one",
    ),
]
OTHERS = [
    (
        "treatment: {variant: preview}",
        "treatment: [{variant: preview}, {variant: preview}]",
        "two treatments are the same cohort (variant = preview); name two",
    ),
    (
        "treatment: {variant: preview}",
        "treatment: [{variant: preview}, {variant: blank}]",
        "control and treatment are the same cohort (variant = blank); name two",
    ),
    (
        "treatment: {variant: preview}",
        "treatment: []",
        "treatment is an empty list; name the cohorts",
    ),
    (
        "end: 2026-02-02}",
        "end: 2026-02-02, allocation: {blank: 0, preview: 1}}",
        "allocation.blank is 0; it must be greater than 0",
    ),
    (
        "end: 2026-02-02}",
        "end: 2026-02-02, allocation: {blank: -1, preview: 1}}",
        "allocation.blank is -1; it must be greater than 0",
    ),
    (
        "variant: experiment",
        "variant: segment",
        "",
    ),
    (
        "name: small",
        "name: small\nledger: postgresql://anna:secret@db.example.org/learning",
        "WORKBENCH_LEDGER_PASSWORD",
    ),
    ("name: small", "name: small\nledger: mysql://db.example.org/learning", "mysql"),
]
DATA = [
    (
        "events.csv",
        "2026-01-07 08:00:00",
        "yesterday",
        "'yesterday'; write them as 2026-01-31 08:00:00",
    ),
    (
        "events.csv",
        "2026-01-07 08:00:00",
        "2026-01-07 08:00:00+01:00",
        "mixes zones: 1 times carry one",
    ),
    ("events.csv", "3,opened", ",opened", "1 of 6 rows have no who; fill it in"),
    ("events.csv", EVENTS.partition("\n")[2], "", "has no rows"),
    ("customers.csv", "3,small", ",small", "1 rows have no who"),
    ("customers.csv", "3,small", "1,large", "customer 1 has two values of size"),
]


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Path]:
    """Write the small study, with one text replaced in one of its files."""

    def write(file: str = "study.yaml", old: str = "", new: str = "") -> Path:
        texts = {"study.yaml": STUDY, "events.csv": EVENTS, "customers.csv": CUSTOMERS}
        if old:
            assert old in texts[file]
            texts[file] = texts[file].replace(old, new, 1)
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return tmp_path / "study.yaml"

    return write


def use(path: Path) -> None:
    """Ask a study everything a report asks."""
    opened = Study.load(path)
    opened.learning_metrics()
    opened.learning_metrics(by=["variant", "size"])
    opened.evaluate()


def test_the_small_study_is_good(study):
    use(study())


@pytest.mark.parametrize(("old", "new", "said"), FILE, ids=[said for *_, said in FILE])
def test_a_study_file_that_is_wrong(study, old, new, said):
    with pytest.raises(WorkbenchError) as caught:
        use(study("study.yaml", old, new))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("more", "said"), LOOKS, ids=[said for _, said in LOOKS])
def test_ways_to_look_that_are_wrong(study, more, said):
    lines = (
        "".join(f"    {each}\n" for each in more.strip("{}").split(", "))
        if more[0] == "{"
        else (f"    {more}\n")
    )
    old = "    minimum_effect: 0.05\n"
    with pytest.raises(WorkbenchError) as caught:
        use(study(old=old, new=old + lines))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"), OTHERS, ids=[said or "fine" for *_, said in OTHERS]
)
def test_cohorts_shares_and_ledgers_that_are_wrong(study, old, new, said):
    path = study(old=old, new=new)
    if not said:
        path.write_text(
            path.read_text().replace("end: 2026-02-02}", "end: 2026-02-02, allocation: {a: 1}}")
        )
        said = "iteration '1' has an allocation, but no grouping is an experiment"
    with pytest.raises(WorkbenchError) as caught:
        Study.load(path).evaluate(record=True)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_anytime_needs_events(tmp_path):
    (tmp_path / "counts.csv").write_text("arm,came,bought\na,10,2\nb,10,3\n")
    (tmp_path / "study.yaml").write_text(
        "name: counted\ncounts: {source: counts.csv, trigger: came, steps: {bought: bought}}\n"
        'groupings: {arm: experiment}\niterations: [{name: "1"}]\n'
        "hypotheses:\n  - {name: more, statement: More., metric: bought, iteration: '1', "
        "control: {arm: a}, treatment: {arm: b}, analysis: anytime}\n"
    )
    with pytest.raises(WorkbenchError) as caught:
        Study.load(tmp_path / "study.yaml")
    assert "order of entry, and only events tell it; use analysis: fixed, or sequential" in (
        str(caught.value)
    )


def test_a_plan_of_what_is_not_there(study):
    opened = Study.load(study())
    with pytest.raises(WorkbenchError, match="unknown hypothesis 'preview-help'; did you mean"):
        opened.plan("preview-help")
    with pytest.raises(WorkbenchError, match="customers is 1; a plan needs 2 or more per cohort"):
        opened.plan("preview-helps", 1)


@pytest.mark.parametrize(("file", "old", "new", "said"), DATA, ids=[said for *_, said in DATA])
def test_data_that_are_wrong(study, file, old, new, said):
    with pytest.raises(WorkbenchError) as caught:
        use(study(file, old, new))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_study_file(tmp_path):
    with pytest.raises(WorkbenchError, match=r"is a folder; name the study file in it, such as"):
        Study.load(tmp_path)


def test_a_missing_study_file(tmp_path):
    with pytest.raises(WorkbenchError, match=r"does not exist; name a study file, or write one"):
        Study.load(tmp_path / "study.yaml")


def test_names_asked_for(study):
    opened = Study.load(study())
    with pytest.raises(WorkbenchError, match="unknown iteration '9'; known: 1, 2"):
        opened.evaluate("9")
    with pytest.raises(WorkbenchError, match="unknown grouping 'sizes'; did you mean 'size'"):
        opened.learning_metrics(by=["sizes"])
    with pytest.raises(WorkbenchError, match="unknown step 'import'; did you mean 'imported'"):
        opened.deviations(step="import")
    with pytest.raises(WorkbenchError, match="unknown hypothesis of iteration 1 'previews'"):
        opened.effects("1", "previews")
    with pytest.raises(WorkbenchError, match="as_of: 'now' is no date"):
        opened.evaluate(as_of="now")
    with pytest.raises(WorkbenchError, match="as_of is 2025-01-01 00:00, before the first event"):
        opened.evaluate(as_of="2025-01-01")


def test_a_later_step_that_never_occurs_is_a_warning(study):
    report = Study.load(study("study.yaml", "imported: import", "imported: imprt")).check()
    (warning,) = [each for each in report.problems if "imprt" in each.message]
    assert warning.level == "warning"
    assert not report.errors
