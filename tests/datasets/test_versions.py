"""The year of small cohorts: its data are what its seed draws, and tell the story that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import Study
from workbench.datasets.events import simulate, write_tables
from workbench.datasets.versions import FOUR_VERSIONS, SEED

STUDY = Path(__file__).parents[2] / "studies" / "four-versions" / "study.yaml"


@pytest.fixture(scope="module")
def study():
    return Study.load(STUDY)


def test_the_data_are_those_of_the_seed(tmp_path):
    write_tables(simulate(SEED, FOUR_VERSIONS), tmp_path)
    for name in ("events.parquet", "customers.csv"):
        assert (tmp_path / "data" / name).read_bytes() == (
            STUDY.parent / "data" / name
        ).read_bytes()


def test_the_truth_is_what_its_readme_says():
    for release in FOUR_VERSIONS.releases:
        assert release.truth("blank")["imported"] == pytest.approx(0.4)
        assert release.truth("preview")["imported"] == pytest.approx(0.6)


def test_together_the_versions_show_what_none_shows_alone(study):
    found = study.evaluate()
    assert [str(each.verdict) for each in found] == ["inconclusive"] * 4
    assert all(
        min(each.comparison.control.total, each.comparison.treatment.total) >= 23 for each in found
    )
    (together,) = study.evidence()
    assert together.found.enough == 4
    assert together.found.low <= 0.2 <= together.found.high
    assert (
        "averaged over its four versions, 120 against 122 customers: +16.9 [" in together.sentence
    )
    assert study.evidence("2026.2") == []
    (pilot,) = study.single_arm()
    assert pilot.label == "inconclusive"


def test_nothing_odd_is_in_it(study):
    assert not study.check().errors
