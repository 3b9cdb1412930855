"""Records: plain, frozen, equal where they say the same."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import pickle
from datetime import UTC, datetime

import numpy as np
import pytest
from ledger_writers import look, registration, verdict

from workbench.hypothesis import Verdict
from workbench.records import KINDS, Registration, Stored, chains, content, restored, standing

WHEN = datetime(2026, 2, 2, tzinfo=UTC)


def stored(number: int, corrects: int | None = None) -> Stored:
    return Stored(number, WHEN, look(f"data {number}"), corrects, "why" if corrects else "")


def test_a_digest_is_of_the_fields_in_one_way_of_writing():
    fields = {"metric": "imported", "alpha": 0.05, "looks": [1, 2]}
    backwards = {"looks": (1.0, 2.0), "alpha": np.float64(0.05), "metric": "imported", "end": None}
    one, other = (Registration("h", 1, "a=b", each) for each in (fields, backwards))
    assert one == other
    assert one.digest == other.digest
    text = b'{"alpha":0.05,"looks":[1,2],"metric":"imported"}'
    assert one.digest == hashlib.sha256(text).hexdigest()
    assert one.changes(other) == ()


def test_a_digest_changes_with_any_field():
    digests = {
        registration(**each).digest
        for each in ({}, {"alpha": 0.1}, {"power": 0.8}, {"alpha": None}, {"ends": "2026-02-02"})
    }
    assert len(digests) == 5


def test_fields_cannot_change():
    entry = registration(guardrails=[{"metric": "paid", "margin": 0.01}])
    with pytest.raises(TypeError):
        entry.fields["alpha"] = 0.1
    with pytest.raises(TypeError):
        entry.fields["guardrails"][0]["margin"] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.version = 2


def test_a_registration_travels_between_processes():
    entry = registration(guardrails=[{"metric": "paid"}])
    assert pickle.loads(pickle.dumps(entry)) == entry  # noqa: S301 -- our own


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            math.nan,
            "fields.alpha is nan; a ledger holds text, finite numbers, yes or no, and lists",
        ),
        (WHEN, "fields.alpha is datetime.datetime(2026"),
        ([1, {"x": {1}}], r"fields.alpha[1].x is {1}; a ledger holds"),
    ],
)
def test_only_plain_values_are_registered(value, said):
    with pytest.raises(ValueError) as caught:
        registration(alpha=value)
    assert said in str(caught.value)


def test_numbers_of_other_libraries_become_plain():
    made = look("a", control_closed=np.int64(80), estimate=np.float64(0.2), pvalue=None)
    assert made == look("a", pvalue=math.nan)
    assert type(made.control_closed) is int
    assert type(made.estimate) is float
    assert type(verdict("a", verdict=Verdict.SUPPORTED).verdict) is str
    with pytest.raises(TypeError):
        look("a", control_closed=80.5)


@pytest.mark.parametrize("pvalue", [-0.1, 1.1, math.inf])
def test_a_pvalue_is_one_or_there_is_none(pvalue):
    with pytest.raises(ValueError, match="it must lie between 0 and 1, or be NaN for none"):
        verdict("a", pvalue=pvalue)


@pytest.mark.parametrize(
    "record",
    [registration(looks=[0.5, 1]), look("a", low=-math.inf, evalue=math.nan), verdict("a")],
    ids=KINDS,
)
def test_content_restores_its_record(record):
    assert restored(record.KIND, content(record)) == record


def test_corrections_stand_in_the_place_of_what_they_correct():
    records = [stored(1), stored(2), stored(3, corrects=1), stored(5), stored(6, corrects=3)]
    assert [each.id for each in standing(records)] == [6, 2, 5]
    assert [[each.id for each in chain] for chain in chains(records)] == [[1, 3, 6], [2], [5]]
