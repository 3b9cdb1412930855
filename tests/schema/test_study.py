"""The study file's JSON schema: a description for every property, and files that fit it."""

from __future__ import annotations

import copy
from datetime import date
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from workbench.errors import StudyError
from workbench.schema.flow import Flow
from workbench.schema.study import StudySpec, read_study

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted(
    path for folder in ("studies", "workbench", "tests") for path in (ROOT / folder).rglob("*.yaml")
)
SCHEMA = StudySpec.model_json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def plain(part):
    """Write dates as text, as JSON does."""
    if isinstance(part, dict):
        return {key: plain(value) for key, value in part.items()}
    if isinstance(part, list):
        return [plain(value) for value in part]
    return part.isoformat() if isinstance(part, date) else part


def read(path):
    return plain(YAML(typ="safe").load(path))


def properties_of(part, name="study"):
    """List every property of a schema, however deep it lies, with its name."""
    if isinstance(part, dict):
        for key, each in part.get("properties", {}).items():
            yield f"{name}.{key}", each
        for key, each in part.items():
            yield from properties_of(each, f"{name}.{key}")
    elif isinstance(part, list):
        for each in part:
            yield from properties_of(each, name)


def test_every_property_has_a_description():
    found = dict(properties_of(SCHEMA))
    assert {"study.ledger", "study.$defs.Flow.window"} <= found.keys()
    without = [name for name, each in found.items() if not each.get("description")]
    assert not without
    unfinished = [name for name, each in found.items() if not each["description"].endswith(".")]
    assert not unfinished


@pytest.mark.parametrize("path", STUDIES, ids=[str(each.relative_to(ROOT)) for each in STUDIES])
def test_studies_fit_the_schema(path):
    assert not [error.message for error in VALIDATOR.iter_errors(read(path))]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("titel",), "Guided import"),
        (("flow", "window"), "7 days"),
        (("flow", "steps"), "imported"),
        (("hypotheses", 0, "alpha"), 0.5),
        (("hypotheses", 0, "treatment"), []),
        (("hypotheses", 0, "other_treatments"), [{"variant": "hints"}]),
        (("hypotheses", 0, "impact"), [8]),
        (("hypotheses", 0, "control"), {}),
        (("groupings", "variant"), "test"),
    ],
)
def test_what_no_study_says_does_not_fit(bundled, place, value):
    content = copy.deepcopy(read(bundled))
    part = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    assert list(VALIDATOR.iter_errors(content))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("flow", "steps"), {"previewed": "opened_preview", "imported": ["done", "auto"]}),
        (("flow", "steps"), ["previewed", {"imported": "done"}]),
        (("flow", "return_window"), "unlimited"),
        (("hypotheses", 0, "treatment"), [{"variant": "preview"}, {"variant": "hints"}]),
        (("hypotheses", 0, "control"), {"trained": True, "iteration": "2026.1"}),
        (("hypotheses", 0, "evidence"), "F-01"),
    ],
)
def test_each_way_to_write_a_part_fits(bundled, place, value):
    content = copy.deepcopy(read(bundled))
    part = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    assert not [error.message for error in VALIDATOR.iter_errors(content)]


COUNTS = """\
counts: {source: c.csv, trigger: clicks, steps: {paid: paid}}
iterations: [{name: april}]
"""
NO_IDS = """\
customers: {source: c.csv, customer: none}
outcomes: {stayed: back}
iterations: [{name: april}]
"""
INDICATORS = "indicators: {source: i.csv, period: week, definitions: {nps: {kind: leading}}}\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (COUNTS, "line 2: counts know no single customer; leave partners out"),
        (NO_IDS, "line 2: rows without ids know no single customer; leave partners out"),
        (INDICATORS, "line 2: partners need events or outcomes beside them"),
    ],
)
def test_partners_stand_beside_single_customers(tmp_path, data, words):
    path = tmp_path / "study.yaml"
    path.write_text(f"name: trial\npartners: {{source: p.csv}}\n{data}")
    with pytest.raises(StudyError, match=words):
        read_study(path)


def test_partners_need_a_source_alone(bundled):
    content = read(bundled) | {"partners": {"source": "p.csv"}}
    assert not [error.message for error in VALIDATOR.iter_errors(content)]
    partners = StudySpec.model_validate(content).partners
    assert (partners.customer, partners.agreed) == ("customer", "agreed")
    content["partners"] = {"source": "p.csv", "took_parts": "x"}
    assert list(VALIDATOR.iter_errors(content))


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("90m", 5_400), ("36h", 129_600)])
def test_durations_have_a_unit(written, seconds):
    flow = Flow(trigger="a", steps=["b"], window=written)
    assert flow.window.total_seconds() == seconds


def test_a_day_that_no_calendar_has_is_named_with_its_line(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text('name: s\niterations:\n  - {name: "1", start: 2026-02-01, end: 2026-02-30}\n')
    with pytest.raises(StudyError, match=r"study\.yaml, line 3: 2026-02-30 is no day; correct it"):
        read_study(path)
