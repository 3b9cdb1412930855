"""A team's year, from `init` to the programme page.

A pilot, interviews and two prototypes; four versions in four iterations of some sixty customers, each
drafted by `next` from the one before; a flow that is defined anew on the way; and a log of which only
the last month is left.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from workbench import Study
from workbench.cli import app
from workbench.datasets.events import events_frame, simulate
from workbench.datasets.versions import FOUR_VERSIONS, SEED

STARTS = [str(release.start) for release in FOUR_VERSIONS.releases]
ENDS = [*STARTS[1:], "2026-05-25"]
PILOT = """
  - name: preview-works
    statement: More than four in ten customers with a preview finish an import.
    metric: import_completed
    iteration: "1"
    target: 0.4
    planned_customers: 20
    cohort: {variant: preview}
"""
FIRST = """
  - name: preview-helps
    version: 1
    statement: Who sees a preview finishes the first import more often.
    metric: import_completed
    iteration: "2"
    control: {variant: blank}
    treatment: {variant: preview}
    alternative: greater
    minimum_effect: 0.1
    versions: 4
    pool_versions: true
    impact: 7
    ease: 6
"""


MAPPED = "    - mapped: [mapped_columns, auto_mapped]"


class Team:
    """A team with its study file, its log and the commands."""

    def __init__(self, folder: Path) -> None:
        self.export, self.path = folder / "export.csv", folder / "year" / "study.yaml"
        self.events = events_frame(simulate(SEED, FOUR_VERSIONS))

    def say(self, *words: object) -> str:
        """Run a command; return what it wrote."""
        ran = CliRunner().invoke(app, [str(each) for each in words])
        assert ran.exit_code == 0, ran.output + ran.stderr
        return ran.stdout + ran.stderr

    def keep_log(self, first: str, last: str) -> None:
        """Write the export of a part of the log."""
        at = self.events["occurred_at"]
        begin, end = (pd.Timestamp(each, tz="UTC") for each in (first, last))
        self.events[(at >= begin) & (at < end)].to_csv(self.export, index=False)

    def edit(self, old: str, new: str) -> None:
        """Change the study file."""
        text = self.path.read_text(encoding="utf-8")
        assert text.count(old) == 1, (old, text)
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def closed(self, iteration: int) -> str:
        """Return a day on which an iteration's windows are over, before the next ones are."""
        return str(pd.Timestamp(ENDS[iteration - 1]) + pd.Timedelta(days=8))[:10]


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    return Team(tmp_path_factory.mktemp("team"))


def after_pilot(team):
    """Draft the study on the first export, try the pilot, and ask customers."""
    team.keep_log("2025-12-01", team.closed(1))
    said = team.say("init", team.path.parent, "--events", team.export)
    assert "study.yaml" in said
    text = team.path.read_text(encoding="utf-8")
    head = text[: text.index("iterations:")]
    head = head.replace("  steps:", "  window: 7d\n  steps:")
    team.path.write_text(
        f'{head}iterations:\n  - {{name: "1", start: {STARTS[0]}, end: {ENDS[0]}, solution: pilot}}\n'
        f"hypotheses:{PILOT}",
        encoding="utf-8",
    )
    assert "preview-works: inconclusive" in team.say("report", team.path)


def test_the_year(team):
    after_pilot(team)
    record = ("learn", team.path, "--hypothesis", "preview-works")
    team.say(*record, "--method", "interview", "--supports", 11, "--of", 14, "--cost", "3d")
    for day, yes in (("2026-01-20", 4), ("2026-01-27", 5)):
        chance = team.say(
            *record, "--method", "prototype", "--supports", yes, "--of", 5, "--date", day
        )
    assert "preview-works, version 1: 11 of 14 in interviews and 9 of 10 in prototypes" in chance

    text = team.path.read_text(encoding="utf-8")
    team.path.write_text(
        text.replace(
            "hypotheses:", f'  - {{name: "2", start: {STARTS[1]}, end: {ENDS[1]}}}\nhypotheses:'
        )
        + FIRST.lstrip("\n"),
        encoding="utf-8",
    )
    for number in (2, 3, 4, 5):
        team.keep_log("2025-12-01", team.closed(number))
        if number == 4:  # a step that was left out at first
            team.edit("    - import_completed  ", f"{MAPPED}\n    - import_completed  ")
            told = team.say("check", team.path)
            assert "by another definition of the flow; the flow was changed since" in told
        if number == 5:
            team.edit("  time: occurred_at  ", "  through: 2026-06-02\n  time: occurred_at  ")
        published = team.say("report", team.path, "--iteration", number)
        assert "preview-helps: inconclusive" in published
        if number < 5:
            before = team.path.read_text(encoding="utf-8")
            said = team.say("next", team.path, "--write")
            assert f"Try version {number} of preview-helps next" in said
            after = team.path.read_text(encoding="utf-8")
            kept = iter(after.split("\n"))
            assert all(line in kept for line in before.split("\n"))
            team.edit(
                "FILL IN: what this version changes, and what it should do.",
                f"Who sees preview {number} finishes the first import more often.",
            )
            team.edit(
                f"name: '{number + 1}'   # FILL IN solution and changes", f"name: '{number + 1}'"
            )

    told = team.say("ledger", team.path)
    assert "averaged over its four versions" in told, told
    assert "together they are enough" in told
    assert "its versions together not yet a discovery" in told
    assert "11 of 14 in interviews" in told


def test_the_log_is_lost_and_nothing_else_is(team):
    whole = Study.load(team.path)
    metrics, evidence = whole.learning_metrics(), [each.sentence for each in whole.evidence()]
    history, programme = whole.history(), whole.programme()
    team.keep_log("2026-05-20", "2026-07-01")
    said = team.say("check", team.path)
    assert said.count("the data no longer reach it all") == 5
    told = json.loads(
        team.say("metrics", team.path, "--recorded", "--format", "json").split("\nIter")[0]
    )
    counted = ["iteration", "step", "entered", "aligned", "deviated", "pending"]
    now = pd.DataFrame(told)[counted].to_dict("records")
    assert now == metrics[counted].to_dict("records")
    study = Study.load(team.path)
    assert [each.sentence for each in study.evidence()] == evidence
    pd.testing.assert_frame_equal(study.history(), history)
    assert study.programme().quarters == programme.quarters
    assert [str(each.verdict) for each in study.single_arm()] == ["inconclusive"]


def test_the_programme_page_says_what_the_year_taught(team):
    said = team.say("report", team.path, "--template", "programme_review", "--format", "json")
    files = json.loads(said[: said.rindex("}") + 1])
    content = json.loads(Path(files["result"]).read_text(encoding="utf-8"))
    assert [(each["claims"], each["inconclusive"]) for each in content["quarters"]] == [
        (3, 3),
        (1, 1),
    ]
    assert content["impact"] == []
    assert [each["hypothesis"] for each in content["guesses"]] == ["preview-helps"]
    assert "<h2" in Path(files["html"]).read_text(encoding="utf-8")
    review = team.say("report", team.path, "--template", "release_review", "--iteration", "5")
    assert "release_review.html" in review
