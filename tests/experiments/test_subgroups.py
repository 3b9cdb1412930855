"""Effects by levels: each with its counts, pooled, and what may be said of them.

The kidney stones of Charig et al. (1986), British Medical Journal 292:879-882: open surgery against
percutaneous nephrolithotomy, successes by size of stone (Simpson's paradox). Published rates: 93 and
73 % against 87 and 69 %, and 78 against 83 % in all.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from support.small_study import claim, write_study

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments.subgroups import SMALLEST_CELL
from workbench.stats.multiplicity import benjamini_hochberg, holm

STONES = {
    ("small", "blank"): (234, 270),
    ("large", "blank"): (55, 80),
    ("small", "preview"): (81, 87),
    ("large", "preview"): (192, 263),
}


def outcomes(
    folder: Path, cells: dict[tuple[str, str], tuple[int, int]], **changes: object
) -> Study:
    """Write a study of outcomes with these converted and closed customers by size and variant."""
    rows: list[tuple[object, ...]] = []
    for (size, variant), (converted, closed) in cells.items():
        rows += [
            (len(rows) + place, int(place < converted), size, variant) for place in range(closed)
        ]
    with (folder / "customers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("who", "healed", "size", "variant"), *rows])
    given = {**claim(metric="healed", minimum_effect=0), **changes}
    (folder / "study.yaml").write_text(
        "name: stones\n"
        "customers: {source: customers.csv, customer: who}\n"
        "outcomes: {healed: healed}\n"
        "groupings: {variant: experiment, size: segment}\n"
        'iterations: [{name: "1"}]\n'
        f"hypotheses:\n  - {json.dumps(given)}\n"
    )
    return Study.load(folder / "study.yaml")


def test_levels_have_their_counts_and_the_claims_interval(tmp_path):
    table = outcomes(tmp_path, STONES).effects("1", "preview-helps").set_index("level")
    counts = ["control_converted", "control_closed", "treatment_converted", "treatment_closed"]
    assert table.loc["small", counts].tolist() == [234, 270, 81, 87]
    assert table.loc["large", counts].tolist() == [55, 80, 192, 263]
    assert table.loc["small", "estimate"] == pytest.approx(0.931 - 0.867, abs=1e-3)
    assert (table["low"] < table["estimate"]).all()
    assert table["adjusted"].tolist() == pytest.approx(
        list(benjamini_hochberg(table["pvalue"].tolist()))
    )
    assert set(table["treatment"]) == {"preview"}


def test_pooling_turns_an_effect_round_and_says_so(tmp_path):
    (row,) = outcomes(tmp_path, STONES).pooled("1", "preview-helps").to_dict("records")
    assert row["reversed"]
    assert row["crude"] == pytest.approx(273 / 350 - 289 / 350)
    assert row["estimate"] > 0 > row["crude"]
    assert row["odds_ratio"] > 1
    assert row["sentence"].startswith(
        "Careful: within the levels of size the effect points the other way (+5.4 points) than "
        "without them (−4.6), since the cohorts hold different mixes of size."
    )
    assert "do not take it as working for one level and not for another" in row["sentence"]


def test_a_difference_between_levels_is_a_new_hypothesis(tmp_path):
    cells = {**STONES, ("large", "preview"): (30, 263)}
    (row,) = outcomes(tmp_path, cells).pooled("1", "preview-helps").to_dict("records")
    assert row["interaction_pvalue"] < 0.001
    assert (
        "The effect differs by size (p < 0.001): from −57.3 points for large to +6.4 for small"
        in (row["sentence"])
    )
    assert row["sentence"].endswith("so make it the next hypothesis.")


def test_a_small_level_is_shown_as_counts_only(tmp_path):
    cells = {**STONES, ("huge", "blank"): (0, SMALLEST_CELL - 1), ("huge", "preview"): (40, 40)}
    study = outcomes(tmp_path, cells)
    huge = study.effects("1", "preview-helps").set_index("level").loc["huge"]
    assert (huge["control_closed"], huge["treatment_closed"]) == (SMALLEST_CELL - 1, 40)
    assert huge[["estimate", "low", "high", "pvalue", "adjusted"]].isna().all()
    (row,) = study.pooled("1", "preview-helps").to_dict("records")
    assert "huge" not in row["sentence"]


def test_levels_too_small_to_be_named(tmp_path):
    cells = {
        (size, variant): (hit if variant == "preview" else 4 - hit, 4)
        for size, hit in (("a", 4), ("b", 0), ("c", 4), ("d", 0))
        for variant in ("blank", "preview")
    }
    (row,) = outcomes(tmp_path, cells).pooled("1", "preview-helps").to_dict("records")
    assert row["interaction_pvalue"] < 0.05
    assert row["sentence"].endswith("in levels of few customers.")


def test_one_level_cannot_tell(tmp_path):
    cells = {("small", variant): (10, 20) for variant in ("blank", "preview")}
    (row,) = outcomes(tmp_path, cells).pooled("1", "preview-helps").to_dict("records")
    assert "Cannot tell whether the effect differs by size" in row["sentence"]
    assert "nan" not in row["sentence"]


def test_customers_without_a_value_are_left_out_of_pooling(tmp_path):
    cells = {("", variant): (10, 20) for variant in ("blank", "preview")}
    study = outcomes(tmp_path, cells)
    assert study.effects("1", "preview-helps")["level"].tolist() == ["(missing)"]
    (row,) = study.pooled("1", "preview-helps").to_dict("records")
    assert math.isnan(row["estimate"])
    assert math.isnan(row["interaction_pvalue"])


def test_each_treatment_and_each_grouping(tmp_path):
    claims = [claim(treatment=[{"variant": "preview"}, {"variant": "hints"}])]
    path = write_study(
        tmp_path,
        claims,
        rates={"blank": 0.3, "preview": 0.6, "hints": 0.3},
        replaced=[("size: segment", "size: segment, region: demographic")],
    )
    events = tmp_path / "events.csv"
    lines = events.read_text().splitlines()
    text = [
        f"{lines[0]},region",
        *(f"{each},{'north' if i % 2 else 'south'}" for i, each in enumerate(lines[1:])),
    ]
    events.write_text("\n".join(text))
    study = Study.load(path)
    table = study.pooled("1", "preview-helps")
    assert table[["treatment", "grouping"]].values.tolist() == [
        ["preview", "size"],
        ["preview", "region"],
        ["hints", "size"],
        ["hints", "region"],
    ]
    assert set(study.effects("1", "preview-helps")["treatment"]) == {"preview", "hints"}
    assert holm([0.01, 0.04]) == (0.02, 0.04)


def test_an_unknown_hypothesis(tmp_path):
    with pytest.raises(
        StudyError, match="unknown hypothesis of iteration 1 'preview'; did you mean"
    ):
        outcomes(tmp_path, STONES).effects("1", "preview")


def test_groups_of_another_experiment_are_no_subgroups(tmp_path):
    study = outcomes(tmp_path, STONES)
    path = tmp_path / "study.yaml"
    path.write_text(path.read_text().replace("size: segment", "size: experiment"))
    assert set(study.effects("1", "preview-helps")["grouping"]) == {"size"}
    assert Study.load(path).effects("1", "preview-helps").empty
