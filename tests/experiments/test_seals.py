"""Learning metrics on record: sealed by reports, read where the log is lost, never overwritten."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

from workbench import Study
from workbench.experiments.seals import Seal, SealedSeries, news
from workbench.reports import release_review
from workbench.views import release_tables

COUNTED = ["step", "entered", "aligned", "deviated", "pending", "converted", "closed"]


@pytest.fixture(scope="module")
def once(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("once") / "study"
    shutil.copytree(bundled.parent, folder, ignore=shutil.ignore_patterns("ledger.db"))
    Study.load(folder / "study.yaml").evaluate(record=True)
    return folder


@pytest.fixture
def reported(once, tmp_path):
    """A copy of the bundled study of which every iteration is on record."""
    shutil.copytree(once, tmp_path / "study")
    return tmp_path / "study" / "study.yaml"


def keep(path, condition):
    """Keep only some rows of a study's log."""
    log = path.parent / "data" / "events.parquet"
    pl.read_parquet(log).filter(condition).write_parquet(log)
    return Study.load(path)


def test_a_log_cut_to_its_last_month_still_has_its_learning_metrics(reported):
    before = Study.load(reported)
    wanted = {by: before.learning_metrics(by=by) for by in ("variant", "company_size", ())}
    verdicts, evidence, programme = before.evaluate(), before.evidence(), before.programme()
    trend_before = before.innovation("2026.5").trend
    study = keep(reported, pl.col("occurred_at") >= pl.datetime(2026, 4, 28, time_zone="UTC"))
    assert set(study.learning_metrics()["iteration"]) == {"2026.5"}
    for by, table in wanted.items():
        found = study.learning_metrics(by=by, recorded=True)
        assert [*found.attrs["recorded"]] == [each.name for each in study.spec.iterations]
        columns = ["iteration", *([by] if by else []), *COUNTED]
        assert found[columns].values.tolist() == table[columns].values.tolist()
    for now, then in zip(study.evaluate(), verdicts, strict=True):
        assert (now.label, now.pvalue, now.tried.pair) == (then.label, then.pvalue, then.tried.pair)
        assert now.comparison.control == then.comparison.control
        assert "The data no longer reach all of " in now.checks[0].sentence
    assert [each.sentence for each in study.evidence()] == [each.sentence for each in evidence]
    (earlier,) = study.evaluate("2026.4", "2026-05-01")  # before the look on record
    assert earlier.recorded is None
    assert study.programme().quarters == programme.quarters
    assert study.programme().impacts == programme.impacts
    assert study.programme().steps == programme.steps
    review = release_review.begin(study=reported, iteration="2026.5")
    note = release_tables.rates(review.metrics).note
    assert "Iteration 2026.1 is as recorded on" in note
    trend = {(each.iteration, each.name): each for each in study.innovation("2026.5").trend}
    then = {(each.iteration, each.name): each for each in trend_before}
    for (iteration, goal), each in then.items():
        now = trend[iteration, goal]
        if goal == "both":
            assert now.counts.total == 0
            assert now.state in (each.state, "cannot tell")
        else:
            assert (now.counts, now.state) == (each.counts, each.state)
    assert "a ledger keeps no times of return" in review.retention.sentences[0]
    assert study.changes("2026.5")["previous_converted"].tolist() == [273, 231, 167]
    lost = [each.message for each in study.check().problems if "no longer reach" in each.message]
    assert len(lost) == 5
    assert lost[0].startswith("iteration 2026.1: the data no longer reach it all; 280 entered when")


def test_a_restatement_is_named_and_is_a_record_of_its_own(reported):
    study = keep(reported, pl.col("customer_id") != "c1001")
    (told,) = [each.message for each in study.check().problems if "now give" in each.message]
    assert told.startswith("iteration 2026.1: 280 entered when reported on ")
    assert told.endswith("; the data now give 279; find out which rows came or went")
    known = study.ledger.seals()
    study.evaluate("2026.1", record=True)
    later = study.ledger.seals()
    assert later[: len(known)] == known
    assert {each.record.iteration for each in later[len(known) :]} == {"2026.1"}
    assert [each.record.entered for each in later if not each.record.cohort][-1] == 279
    assert not [each for each in Study.load(reported).check().problems if "now" in each.message]


def test_a_changed_flow_is_told_from_a_changed_log(reported):
    text = reported.read_text(encoding="utf-8")
    reported.write_text(text.replace("  window: 7d\n", "  window: 7d\n  entrants: new\n"))
    told = [each.message for each in Study.load(reported).check().problems]
    assert any(
        "the data now give" in each and "the flow was changed since" in each for each in told
    )


def test_a_revised_figure_is_named(reported):
    table = reported.parent / "data" / "strategy.csv"
    text = table.read_text(encoding="utf-8")
    line = next(each for each in text.splitlines() if each.startswith("renewal_revenue,2026-01,"))
    table.write_text(text.replace(line, "renewal_revenue,2026-01,99999"), encoding="utf-8")
    study = Study.load(reported)
    (told,) = [
        each.message for each in study.check().problems if "the data now say" in each.message
    ]
    assert told.startswith("renewal_revenue was ")
    assert " in 2026-01 when reported on " in told
    assert told.endswith("; the data now say 99,999; find out why")
    known = {each.record.name for each in study.ledger.series()}
    assert {"renewal_revenue", "nps", "renewal"} <= known
    assert "time_to_value" not in known
    study.evaluate("2026.1", record=True)
    assert not [each for each in Study.load(reported).check().problems if "now say" in each.message]


def test_the_last_period_of_a_seal_is_open():
    before = SealedSeries("nps", {"1": 5.0, "2": None, "3": 6.0, "4": 7.0})
    now = SealedSeries("nps", {"1": 5.0, "2": 4.0, "4": 9.0, "5": 1.0})
    assert before.revised(now) == {"3": (6.0, None)}


def test_what_says_nothing_new_is_not_sealed_again(reported):
    study = Study.load(reported)
    known = study.ledger.seals()
    study.evaluate("2026.2", record=True)
    assert study.ledger.seals() == known
    assert {tuple(each.record.cohort) for each in known} == {
        (),
        *((name,) for name in study.spec.groupings),
    }
    assert "c1001" not in str([each.row() for each in known])


def test_the_same_counts_again_after_others_are_news():
    def seal(entered):
        steps = [{"step": "paid", "entered": entered}]
        return Seal("1", {}, "2026-05-03", "2026-01-01", "flow", steps)

    assert news([], [seal(70)]) == [seal(70)]
    assert news([seal(70)], [seal(70)]) == []
    (again,) = news([seal(70), *news([seal(70)], [seal(66)])], [seal(70)])
    assert (again.number, again.entered) == (2, 70)
    assert again.fingerprint != seal(70).fingerprint


def test_without_a_ledger_nothing_is_on_record(bundled, tmp_path):
    shutil.copytree(bundled.parent, tmp_path / "s", ignore=shutil.ignore_patterns("ledger.db"))
    study = Study.load(tmp_path / "s" / "study.yaml")
    table = study.learning_metrics(recorded=True)
    assert "recorded" not in table.attrs
    assert not (tmp_path / "s" / "ledger.db").exists()


def test_a_ledger_that_cannot_be_read_is_a_problem_and_nothing_is_raised(reported):
    (reported.parent / "ledger.db").write_bytes(b"no database")
    assert Study.load(reported).check().errors
