"""Real data give the figures that others published or counted.

The data are not part of the project: WORKBENCH_DATA names their folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from workbench import Study, Verdict, compare
from workbench.cli import app

STUDIES = Path(__file__).parent / "real"
DEFAULT = "../../../shared/data"
BANDS = """
customers:
  source: amounts.csv
  customer: case_id
groupings:
  amount_band: segment
"""


@pytest.fixture
def study_file(real_data, tmp_path):
    """Give a function that copies a study, to read the data where they are."""

    def copied(name: str, more: str = "") -> Path:
        text = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8")
        assert DEFAULT in text
        study = tmp_path / f"{name}.yaml"
        study.write_text(
            text.replace(DEFAULT, os.path.relpath(real_data, tmp_path)) + more, encoding="utf-8"
        )
        return study

    return copied


def test_loan_log_counts(study_file):
    """Counted independently, over all months: 13,087 applications and how far they got."""
    table = Study.load(study_file("loan_log")).learning_metrics()
    steps = table[table["step"] != "adoption"]
    by_step = steps.groupby("step", sort=False)[["entered", "aligned", "pending"]].sum()
    assert by_step["entered"].tolist() == [13_087, 7_367, 5_113, 5_015, 3_254]
    assert by_step["aligned"].tolist() == [7_367, 5_113, 5_015, 3_254, 2_246]
    assert by_step["pending"].tolist() == [0] * 5
    assert table["iteration"].nunique() == 5


def test_loan_log_has_no_opportunity_to_adopt(study_file):
    """Every case is submitted once: 2,246 are activated, and none of them meets the trigger again."""
    study = Study.load(study_file("loan_log"))
    table = study.learning_metrics().query("step == 'adoption'")
    facts = ["entered", "aligned", "deviated", "pending", "converted", "closed"]
    assert table[facts].to_numpy().sum() == 0
    assert table["rate"].isna().all()
    found = study.innovation("2012.02")
    assert found.goal("adoption").sentence.startswith(
        "No opportunity: nobody met the trigger again"
    )
    assert str(found.goal("adoption").state) == "cannot tell"
    need = found.goal("need met").counts
    assert (need.converted, need.total) == (423, 2_885)
    curve = study.retention("2012.01")
    assert curve["at_risk"].tolist()[0] == 487
    assert curve["adopted"].sum() == 0


@pytest.mark.slow
def test_loan_log_release_review(study_file, tmp_path):
    """Counted independently: 13,087 applications, of which 2,246 were activated, by month."""
    options = ["--template", "release_review", "--iteration", "2012.02", "--format", "json"]
    ran = CliRunner().invoke(app, ["report", str(study_file("loan_log")), *options])
    assert ran.exit_code == 0, ran.output
    content = json.loads(Path(json.loads(ran.stdout)["result"]).read_text("utf-8"))
    rows = content["learning_metrics"]
    entered = [each["entered"] for each in rows if each["step"] == "preaccepted"]
    activated = [each["aligned"] for each in rows if each["step"] == "activated"]
    assert entered == [2_393, 2_940, 2_122, 2_747, 2_885]
    assert activated == [500, 460, 376, 487, 423]
    assert (sum(entered), sum(activated)) == (13_087, 2_246)
    assert content["innovation"]["state"] == "cannot tell"
    need, adoption, *_ = content["innovation"]["goals"]
    assert (need["count"], need["closed"]) == (423, 2_885)
    assert adoption["sentence"].startswith("No opportunity: nobody met the trigger again")
    assert (content["retention"], content["strategy"], content["backlog"]) == ([], [], [])
    assert content["next"]["kind"] == "listen"
    page = Path(json.loads(ran.stdout)["html"]).read_text("utf-8")
    assert "so nobody could come back" in page
    index = Path(json.loads(ran.stdout)["index"]).read_text("utf-8")
    assert 'href="2012.02/release_review.html"' in index
    assert "refuted" in index


def test_loan_log_before_and_after(study_file):
    """January and February, each application with the same seven days."""
    (found,) = Study.load(study_file("loan_log")).evaluate("2012.02")
    assert found.verdict is Verdict.REFUTED
    assert "Nothing was randomized" in found.sentence
    assert found.comparison.control.total == 2_747
    assert found.comparison.treatment.total == 2_885


def test_loan_log_does_not_compare_unequal_time(study_file):
    study = study_file("loan_log")
    kept = [line for line in study.read_text().splitlines() if "window: 7d" not in line]
    study.write_text("\n".join(kept))
    (found,) = Study.load(study).evaluate("2012.02")
    assert found.verdict is Verdict.INVALID
    assert "unequal time" in found.sentence


def test_loan_log_amount_bands_are_segments(study_file, real_data, tmp_path):
    log = str(real_data / "loan_log" / "events.csv.gz")
    band = "CASE WHEN amount_req < 10000 THEN 'below 10k' ELSE '10k and more' END AS amount_band"
    duckdb.read_csv(log).project(f"case_id, {band}").distinct().write_csv(
        str(tmp_path / "amounts.csv")
    )
    table = Study.load(study_file("loan_log", BANDS)).learning_metrics(by="amount_band")
    assert set(table["amount_band"]) == {"below 10k", "10k and more"}
    assert table.groupby("step")["aligned"].sum()["activated"] == 2_246


def test_free_trial_gross_conversion(study_file):
    """Published: 3,785/17,293 against 3,423/17,260 over the 23 days that were followed."""
    study = Study.load(study_file("free_trial"))
    (enrolled,) = study.evaluate("2014.10")
    assert (enrolled.comparison.control.converted, enrolled.comparison.control.total) == (
        3785,
        17293,
    )
    assert (enrolled.comparison.treatment.converted, enrolled.comparison.treatment.total) == (
        3423,
        17260,
    )
    assert enrolled.comparison.estimate == pytest.approx(-0.0205548746, abs=5e-11)
    assert enrolled.comparison.low < -0.0205548746 < enrolled.comparison.high
    assert enrolled.verdict is Verdict.SUPPORTED


def test_free_trial_guardrail_tells_a_product_manager_what_to_do(study_file):
    """Published: net conversion -0.0048737, Wald [-0.0116046, 0.0018572], margin 0.0075."""
    (found,) = Study.load(study_file("free_trial")).evaluate("2014.10")
    (paid,) = found.guardrails
    assert paid.comparison.estimate == pytest.approx(-0.0048737, abs=5e-8)
    both = compare(control=paid.comparison.control, treatment=paid.comparison.treatment)
    assert (both.low, both.high) == pytest.approx(
        (-0.0116046, 0.0018572),
        abs=3e-6,  # score here, Wald there
    )
    assert (paid.held, found.success, found.label) == (
        False,
        False,
        "supported, but paid is at risk",
    )
    assert "look 1 of 2, at 87% of the 19,876 planned customers" in found.sentence
    assert "guardrail paid does not hold: it may lose 1.11 points" in found.sentence
    assert "0.75 is the most allowed" in found.sentence


def test_free_trial_days_without_follow_up_are_pending(study_file):
    study = Study.load(study_file("free_trial"))
    first, second = study.learning_metrics(by="arm").query("step == 'enrolled'").to_dict("records")
    assert (first["arm"], second["arm"]) == ("control", "experiment")
    assert first["entered"] + second["entered"] == 56_703
    assert first["entered"] == 28_378  # published for the check of the shares
    assert first["pending"] == 28_378 - 17_293
    assert second["pending"] == 28_325 - 17_260


def test_gate_test_after_seven_days(study_file):
    """Published: z 3.16436, p 0.001554250, Wald interval [-0.013282, -0.003121]."""
    (found,) = Study.load(study_file("gate_test")).evaluate("gate")
    counts = {"control": found.comparison.control, "treatment": found.comparison.treatment}
    assert counts["control"].rate == pytest.approx(0.190201, abs=5e-7)
    assert counts["treatment"].rate == pytest.approx(0.182000, abs=5e-7)
    published = compare(**counts, test="pooled-z", interval="wald")
    assert abs(published.statistic) == pytest.approx(3.16436, abs=5e-6)
    assert published.pvalue == pytest.approx(0.001554250, abs=5e-10)
    assert (published.low, published.high) == pytest.approx((-0.013282, -0.003121), abs=5e-7)
    assert found.comparison.pvalue == pytest.approx(published.pvalue, rel=1e-3)


def test_gate_test_verdict_says_what_the_sample_ratio_means(study_file):
    (found,) = Study.load(study_file("gate_test")).evaluate("gate")
    (ratio,) = [check for check in found.checks if check.name == "sample ratio"]
    assert ratio.value == pytest.approx(0.0086, abs=5e-5)
    assert "Check how customers were allocated" in found.sentence
    assert "44,700 : 45,489" in found.sentence
    assert "9 in 1,000" in found.sentence


def test_sales_lead_is_a_study_of_two_series(study_file):
    """Box & Jenkins, Series M: raw levels correlate 0.951, differences 0.720 at lag 3."""
    study = Study.load(study_file("sales_lead"))
    assert study.check().problems == ()
    found = study.indicators()
    lead, sales = found.series("lead").values, found.series("sales").values
    assert (found.leading, found.lagging) == (("lead",), ("sales",))
    assert np.corrcoef(lead, sales)[0, 1] == pytest.approx(0.951, abs=5e-4)
    moved = np.corrcoef(np.diff(lead)[:-3], np.diff(sales)[3:])[0, 1]
    assert moved == pytest.approx(0.720, abs=2e-2)  # one mean for both ends, there


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "iteration", "verdicts"),
    [
        ("loan_log", "2012.02", ["refuted"]),
        ("free_trial", "2014.10", ["supported, but paid is at risk"]),
        ("gate_test", "gate", ["supported, a discovery"]),
    ],
)
def test_reports_are_published(study_file, tmp_path, name, iteration, verdicts):
    options = ["--iteration", iteration, "--output", str(tmp_path / "out"), "--format", "json"]
    ran = CliRunner().invoke(app, ["report", str(study_file(name)), *options])
    assert ran.exit_code == 0, ran.output
    assert sorted(each.suffix for each in (tmp_path / "out").iterdir()) == [
        ".html",
        ".ipynb",
        ".json",
    ]
    assert [json.dumps(f"{each}") in ran.stdout for each in verdicts] == [True] * len(verdicts)


DRAFTS = {
    "loan_log": (["--events", "loan_log/events.csv.gz"], {}),
    "free_trial": (
        ["--counts", "free_trial/control.csv", "--counts", "free_trial/experiment.csv"],
        {"  trigger: Pageviews": "  trigger: Clicks", "    Clicks: Clicks": None},
    ),
    "gate_test": (["--outcomes", "gate_test/players.csv.gz"], {}),
    "sales_lead": (["--indicators", "sales_lead/series.csv"], {}),
}  # what init is told, and the lines that are then edited, or deleted


@pytest.fixture
def drafted(real_data, tmp_path):
    """Give a function that writes a study on real data by init, and makes the edits it needs."""

    def draft(name: str) -> Study:
        given, edits = DRAFTS[name]
        files = [each if each.startswith("--") else str(real_data / each) for each in given]
        ran = CliRunner().invoke(app, ["init", str(tmp_path / name), *files])
        assert ran.exit_code == 0, ran.output
        path = Path(ran.stdout.strip())
        Study.load(path).check()  # it runs before any edit
        lines = path.read_text(encoding="utf-8").splitlines()
        for old, new in edits.items():
            (place,) = (at for at, line in enumerate(lines) if line.split(" #")[0].rstrip() == old)
            lines[place : place + 1] = [] if new is None else [new]
        path.write_text("\n".join(lines), encoding="utf-8")
        return Study.load(path)

    return draft


def test_loan_log_from_init(drafted):
    """Counted independently: 13,087 applications and how far they got."""
    table = drafted("loan_log").learning_metrics().groupby("step", sort=False)
    assert table["entered"].sum().tolist() == [13_087, 7_367, 5_113, 5_015, 3_254]
    assert table["aligned"].sum().tolist() == [7_367, 5_113, 5_015, 3_254, 2_246]


def test_free_trial_from_init(drafted):
    """Published: gross conversion -0.0205548746, net -0.0048737, 28,378 of 56,703 clicks."""
    study = drafted("free_trial")
    table = study.learning_metrics(by="arm").set_index(["step", "arm"])
    gross = table.loc["Enrollments"][["converted", "closed"]]
    assert gross.loc["control"].tolist() == [3_785, 17_293]
    assert gross.loc["experiment"].tolist() == [3_423, 17_260]
    assert table.loc["Enrollments"]["entered"].tolist() == [28_378, 56_703 - 28_378]
    (net,) = study.evaluate("all")
    assert net.comparison.estimate == pytest.approx(-0.0048737, abs=5e-8)
    assert (net.comparison.low, net.comparison.high) == pytest.approx(
        (-0.0116046, 0.0018572), abs=3e-6
    )


def test_gate_test_from_init(drafted):
    """Published: 0.190201 and 0.182000 after seven days, z 3.16436."""
    (found,) = drafted("gate_test").evaluate("all")
    counts = {"control": found.comparison.control, "treatment": found.comparison.treatment}
    assert [each.rate for each in counts.values()] == pytest.approx([0.190201, 0.182], abs=5e-7)
    published = compare(**counts, test="pooled-z", interval="wald")
    assert abs(published.statistic) == pytest.approx(3.16436, abs=5e-6)
    assert (counts["control"].total, counts["treatment"].total) == (44_700, 45_489)


def test_sales_lead_from_init(drafted):
    """Box & Jenkins, Series M: the lead is three periods ahead."""
    found = drafted("sales_lead").indicators()
    assert (found.leading, found.lagging) == (("lead",), ("sales",))
    lead, sales = found.series("lead").values, found.series("sales").values
    moved = [
        np.corrcoef(np.diff(lead)[: 149 - lag], np.diff(sales)[lag:])[0, 1] for lag in range(8)
    ]
    assert int(np.argmax(moved)) == 3
    assert moved[3] == pytest.approx(0.720, abs=2e-2)
