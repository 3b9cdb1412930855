"""What to try next, from evidence and not from the list's order, and its draft in the study file."""

from __future__ import annotations

import shutil

import pytest
from support.results import hypothesis

from workbench import Study
from workbench.experiments.over_versions import over_versions
from workbench.experiments.verdict import evaluate
from workbench.innovation.backlog import Backlog, Guessing, advise
from workbench.reports import release_review
from workbench.schema.insertion import insert
from workbench.stats.proportions import Counts
from workbench.views import release_tables

NOTHING = Backlog((), Guessing(()))


def once(name, treatment, version=1, **more):
    return evaluate(
        hypothesis(
            name=name, version=version, iteration=f"2026.{version}", alternative="greater", **more
        ),
        control=Counts(10, 30),
        treatment=Counts(treatment, 30),
    )


def advised(*evaluations):
    newest = {each.name: each for each in evaluations}
    return advise([*newest.values()], NOTHING, over_versions(evaluations))


def test_the_promising_one_nearest_to_enough_gets_a_new_version():
    low, high = once("low", 12), once("high", 15)
    found = advised(low, high)
    assert (found.kind, found.about) == ("version", "high")
    assert found.sentence.startswith("Try version 2 of high next: +16.7 [")
    assert "point the right way, and one version is not enough yet." in found.sentence


def test_what_versions_say_together_decides():
    weak = [once("weak", 14, version) for version in (1, 2)]
    single = once("single", 15)
    found = advised(*weak, single)
    assert found.about == "weak"
    assert "Try version 3 of weak next" in found.sentence
    assert "2 versions are not enough yet" in found.sentence


@pytest.mark.parametrize(
    "tried",
    [
        [once("wrong", 8)],
        [once("done", 25)],
        [once("enough", 17, 1), once("enough", 16, 2), once("enough", 13, 3)],
        [once("spent", 14, number, versions=2) for number in (1, 2)],
    ],
)
def test_nothing_is_tried_again_that_points_wrong_or_is_settled(tried):
    assert advised(*tried).kind == "listen"


@pytest.fixture
def copied(bundled, tmp_path):
    shutil.copytree(bundled.parent, tmp_path / "study")
    return tmp_path / "study" / "study.yaml"


def sources(step):
    return {each.source: each.sentence for each in step.reasons}


def test_reasons_are_those_of_the_data(copied):
    study = Study.load(copied)
    told = sources(study.next_step())
    counted = study.learning_metrics("2026.5").query("step == 'mapped'").iloc[0]
    left = f"({counted['deviated']}/{counted['entered']})"
    assert told["the flow"].startswith("mapped loses most in 2026.5: 18.0% ")
    assert left in told["the flow"]
    first = study.deviations("2026.5", "mapped").iloc[0]
    assert told["where they went"].startswith(
        f"Next, {first['customers']} took {first['next_event']}"
    )
    assert "No cohort clearly differs (p 0.232 after Holm over 3 groupings)." in told["cohorts"]
    assert "'dates in two formats' at mapped" in told["what customers said"]
    assert "936 customers in both cohorts and 10.4 weeks" in told["a test"]


def test_a_cohort_that_differs_is_named(copied):
    import polars as pl

    log = copied.parent / "data" / "events.parquet"
    customers = pl.read_csv(copied.parent / "data" / "customers.csv")
    retail = customers.filter(pl.col("industry") == "retail")["customer_id"]
    mapped = pl.col("event").is_in(["mapped_columns", "auto_mapped"])
    events = pl.read_parquet(log)
    events.filter(~(mapped & pl.col("customer_id").is_in(retail.to_list()))).write_parquet(log)
    told = sources(Study.load(copied).next_step())["cohorts"]
    assert told.startswith("industry = retail loses most there: 100.0%")


def test_an_idea_becomes_a_hypothesis_of_the_next_iteration(copied):
    before = copied.read_text(encoding="utf-8")
    study = Study.load(copied)
    step = study.next_step()
    insert(copied, step.draft)
    now = Study.load(copied)
    new = now.spec.hypotheses[-1]
    assert (new.name, new.iteration, new.metric) == ("undo-import-works", "2026.6", "imported")
    assert (new.minimum_effect, new.problem) == (0.08, "import-is-a-leap")
    here = now.spec.iterations[-1]
    assert (str(here.start), str(here.end)) == ("2026-05-25", "2026-06-22")
    text = copied.read_text(encoding="utf-8")
    assert text.count("FILL IN") == 3
    kept = iter(text.split("\n"))
    assert all(line in kept for line in before.split("\n"))  # in their order, each whole


PROMISING = """
name: tries
counts: {source: counts.csv, trigger: came, steps: {seen: seen, done: done}, iteration: iteration}
groupings: {variant: experiment}
iterations:
  - {name: "1"}
  - name: "2"
hypotheses:
  - name: helps
    statement: It helps.
    metric: done
    iteration: "1"
    control: {variant: old}
    treatment: {variant: new}
    alternative: greater
    minimum_effect: 0.15   # no less
    impact: 7
  - name: helps
    version: 2
    statement: It helps more.
    metric: done
    iteration: "2"
    control: {variant: old}
    treatment: {variant: new}
    alternative: greater
    minimum_effect: 0.15   # no less
"""


def test_a_next_version_is_written_as_the_newest_is(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(PROMISING, encoding="utf-8")
    rows = ["1,old,30,20,10", "1,new,30,22,14", "2,old,30,21,9", "2,new,30,20,13"]
    (tmp_path / "counts.csv").write_text("\n".join(["iteration,variant,came,seen,done", *rows]))
    study = Study.load(path)
    step = study.next_step()
    assert (step.advice.kind, step.advice.about) == ("version", "helps")
    told = sources(step)
    assert told["its versions"] == study.evidence()[0].sentence
    assert told["the flow"].startswith("seen loses most in 2: ")
    assert "customers per cohort; the 30 per cohort of the newest" in told["a test"]
    insert(path, step.draft)
    new, old = Study.load(path).spec.hypotheses[-1], study.spec.hypotheses[-1]
    assert (new.version, new.iteration, new.impact) == (3, "3", None)
    assert new.model_dump(exclude={"version", "iteration", "statement"}) == old.model_dump(
        exclude={"version", "iteration", "statement"}
    )
    assert new.statement.startswith("FILL IN: what this version changes")


def test_an_unaddressed_theme_becomes_an_idea_where_nothing_else_is_open(copied):
    text = copied.read_text(encoding="utf-8")
    start, end = text.index("ideas:  "), text.index("feedback:\n")
    copied.write_text(text[:start] + text[end:], encoding="utf-8")
    step = Study.load(copied).next_step()
    assert step.advice.kind == "listen"
    insert(copied, step.draft)
    (idea,) = Study.load(copied).spec.ideas
    assert idea.metric is not None
    assert set(idea.evidence) <= {f"F-{number:02d}" for number in range(1, 60)}


def test_the_review_begins_with_it(bundled):
    review = release_review.begin(study=bundled, iteration="2026.5")
    table = release_tables.next_step(review.next_step)
    assert table.caption.endswith(review.next.sentence)
    assert [row[0] for row in table.rows][:2] == ["the flow", "where they went"]
    assert review.finish().content["next"]["draft"].startswith("iterations:\n  - name: ")
