from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from support import reference
from support.reference import Period, Plan, Row, Stage

from workbench.data.event_log import EventLog
from workbench.data.metrics import count_steps
from workbench.data.paths import trace
from workbench.datasets import events
from workbench.datasets.events import DAY, GUIDED_IMPORT, SEED, Scenario, SimulatedRelease, Tables
from workbench.errors import StudyError
from workbench.schema.study import read_study
from workbench.schema.time import Span
from workbench.stats.proportions import wilson

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "studies" / "guided-import"
PLAN = Plan(
    trigger=(events.TRIGGER,),
    steps=tuple(
        Stage(name, names) for name, names in zip(events.STEPS, events.STEP_EVENTS, strict=True)
    ),
    window=7 * DAY,
)
CLEAN = Scenario(
    releases=GUIDED_IMPORT.releases,
    duplicates=0,
    ties=0,
    repeats=0,
    late=0,
    early=0,
    second_triggers=0,
    returning=0,
    crossovers=0,
    unknown=0,
    noise=0,
    detours=0,
    delayed=0,
    ends_after_days=40,
)


def rows_of(tables: Tables) -> list[Row]:
    names = {"customer_id": "customer", "occurred_at": "at"}
    columns = {names.get(name, name): each.tolist() for name, each in tables.events.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def periods_of(scenario: Scenario) -> list[Period]:
    starts = [
        (each.name, int(np.datetime64(each.start, "us").astype(int)), each.days)
        for each in scenario.releases
    ]
    return [Period(name, start, start + days * DAY) for name, start, days in starts]


def entrants_of(seed: int, scenario: Scenario) -> tuple[list[reference.Entrant], int]:
    rows = rows_of(events.simulate(seed, scenario))
    until = reference.default_as_of(rows)
    kinds = {"variant": "experiment"}
    found = reference.entrants(rows, PLAN, periods_of(scenario), as_of=until, groupings=kinds)
    return found, until


def test_the_bundled_data_are_what_the_generator_draws():
    tables = events.simulate(SEED, GUIDED_IMPORT)
    kept = duckdb.read_parquet(str(BUNDLED / "data" / "events.parquet")).project(
        "* REPLACE (epoch_us(occurred_at) AS occurred_at)"
    )
    pd.testing.assert_frame_equal(
        kept.df(), pd.DataFrame(dict(tables.events)), check_dtype=False, check_exact=True
    )
    customers = pd.read_csv(BUNDLED / "data" / "customers.csv", dtype=str)
    assert customers.to_dict("list") == {
        name: each.tolist() for name, each in tables.customers.items()
    }


def test_the_command_writes_the_same_bytes_each_time(tmp_path):
    for name in ("one", "two"):
        subprocess.run(
            [sys.executable, "-m", "workbench.datasets.events", str(tmp_path / name)],
            check=True,
            cwd=ROOT,
        )
    for file in ("events.parquet", "customers.csv"):
        one, two = (tmp_path / name / "data" / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("scenario", [CLEAN, replace(GUIDED_IMPORT, ends_after_days=40)])
def test_observed_rates_are_the_true_ones(scenario):
    many = tuple(replace(each, customers=4000) for each in scenario.releases)
    everyone, until = entrants_of(7, replace(scenario, releases=many))
    table = reference.metrics(everyone, PLAN, periods_of(scenario), ["variant"], until)
    truth = {each.name: each for each in many}
    assert len(table) == len(many) * 2 * 3
    for row in table:
        true = truth[row["iteration"]].truth(row["variant"])[row["step"]]
        error = np.sqrt(true * (1 - true) / row["closed"])
        assert abs(row["rate"] - true) < 4 * error, row


def test_a_clean_scenario_holds_nothing_ugly():
    rows = rows_of(events.simulate(3, CLEAN))
    everyone, _ = entrants_of(3, CLEAN)
    assert reference.duplicates(rows) == 0
    assert reference.crossovers(everyone) == {}
    assert {row["event"] for row in rows} == {*PLAN.events, events.OUTCOME}
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert len(everyone) == sum(each.customers for each in CLEAN.releases)


def test_the_bundled_study_holds_every_ugly_thing():
    tables = events.simulate(SEED, GUIDED_IMPORT)
    rows = rows_of(tables)
    everyone, until = entrants_of(SEED, GUIDED_IMPORT)
    assert reference.duplicates(rows) > 10
    crossed = reference.crossovers(everyone)
    assert {name: len(after) for (name, _), after in crossed.items()} == {
        each.name: 2 for each in GUIDED_IMPORT.releases
    }
    assert [row["at"] for row in rows] != sorted(row["at"] for row in rows)
    table = reference.metrics(everyone, PLAN, periods_of(GUIDED_IMPORT), [], until)
    assert [row["pending"] > 0 for row in table] == [False] * 12 + [True] * 3
    ties = [each for each in everyone if each.times[0] == each.times[1]]
    assert ties
    customers = [each.customer for each in everyone]
    assert len(set(customers)) < len(customers)  # some enter two iterations
    triggers = [
        (row["customer"], row["at"])
        for row in reference.distinct(rows)
        if row["event"] == events.TRIGGER
    ]
    assert len(triggers) > len(everyone) + 6  # some meet the trigger twice within one
    assert {row["event"] for row in rows} >= PLAN.events | {*events.NOISE, *events.DETOURS}
    assert len(set(customers) - set(tables.customers["customer_id"].tolist())) > 2


def test_seeds_decide():
    one, same, other = (events.simulate(seed, GUIDED_IMPORT) for seed in (1, 1, 2))
    assert all((one.events[name] == same.events[name]).all() for name in one.events)
    assert len(one.events["event"]) != len(other.events["event"])


def test_truth_multiplies_step_rates():
    release = SimulatedRelease("r", date(2026, 1, 5), 7, 10, {"blank": (0.5, 0.5, 0.4)})
    assert release.truth("blank") == pytest.approx(
        {"previewed": 0.5, "mapped": 0.25, "imported": 0.1}
    )


def test_the_readme_tells_the_true_rates():
    said = (BUNDLED / "README.md").read_text(encoding="utf-8")
    for release in GUIDED_IMPORT.releases:
        for variant in events.VARIANTS:
            for truth in (release.truth(variant), release.outcome_truth(variant)):
                rates = " | ".join(f"{rate:.3f}" for rate in truth.values())
                assert f"| {variant} | {rates} |" in said


def paths_of(seed: int, scenario: Scenario):
    """Let the engine follow a simulated study, as the bundled file says."""
    tables = events.simulate(seed, scenario)
    flow = read_study(BUNDLED / "study.yaml").flow
    log = EventLog(
        pl.from_pandas(pd.DataFrame(dict(tables.events))),
        customer="customer_id",
        time="occurred_at",
    )
    spans = [Span(each.name, each.start, each.end) for each in periods_of(scenario)]
    return trace(log, flow, spans, groupings={"variant": "experiment"})


def test_intervals_of_every_rate_cover_the_true_one():
    """Over 25 seeds, each with the five iterations and both variants: 95% intervals, each metric."""
    truth = {
        (each.name, (variant,)): each.truth(variant) | each.outcome_truth(variant)
        for each in GUIDED_IMPORT.releases
        for variant in events.VARIANTS
    }
    covered: dict[str, list[bool]] = {}
    errors: dict[str, list[float]] = {}
    for seed in range(25):
        for each in count_steps(paths_of(seed, GUIDED_IMPORT), ["variant"]):
            if each.closed:
                rate = truth[each.iteration, each.cohort][each.step]
                low, high = wilson(each.of_entrants)
                covered.setdefault(each.step, []).append(low <= rate <= high)
                error = (each.of_entrants.rate - rate) * np.sqrt(each.closed / rate / (1 - rate))
                errors.setdefault(each.step, []).append(error)
    assert set(covered) == {*events.STEPS, "adoption", "renewed"}
    for step, found in covered.items():
        assert len(found) >= 180, step
        assert 0.91 < np.mean(found) < 0.99, step
        assert abs(np.mean(errors[step])) < 4 / np.sqrt(len(found)), step


def test_a_new_study_is_written_once(tmp_path):
    study = events.write_study(tmp_path / "new" / "study")
    assert study.name == "study.yaml"
    assert sorted(each.name for each in (study.parent / "data").iterdir()) == [
        "customers.csv",
        "events.parquet",
    ]
    with pytest.raises(StudyError, match="exists already; name a folder without a study"):
        events.write_study(study.parent)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        events.write_study(tmp_path / "file" / "study")
