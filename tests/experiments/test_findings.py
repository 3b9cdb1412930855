"""Findings: what a record may hold, and that a ledger keeps each once, as corrected."""

from __future__ import annotations

import pytest

from workbench.errors import StudyError
from workbench.experiments.findings import Finding
from workbench.experiments.ledger import Ledger

GOOD = {"hypothesis": "undo", "version": 1, "method": "prototype", "supports": 4, "of": 5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "interveiw"}, "unknown method of learning 'interveiw'; did you mean 'interv"),
        ({"supports": 6}, "supports is 6 of 5; give whole numbers"),
        ({"supports": -1}, "supports is -1 of 5"),
        ({"supports": 0, "of": 0}, "supports is 0 of 0"),
        ({"weight": 0}, "weight is 0; it must lie above 0 and be at most 1"),
        ({"weight": 2}, "weight is 2; it must"),
        ({"date": "3.2.2026"}, "date is '3.2.2026'; write it as 2026-01-31"),
        ({"cost": "2 days"}, "cost: '2 days' is no duration; write a number and a unit"),
    ],
)
def test_a_bad_finding_gets_one_sentence(changed, said):
    with pytest.raises(StudyError) as error:
        Finding(**{**GOOD, **changed})
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_day_is_written_in_one_way():
    assert Finding(**GOOD, date="20260203") == Finding(**GOOD, date="2026-02-03")


def test_a_ledger_keeps_each_finding_once_and_exports_it(tmp_path):
    ledger = Ledger.at("ledger.db", tmp_path, "s")
    one, other = Finding(**GOOD), Finding(**GOOD, note="another round")
    assert ledger.findings() == ()
    assert ledger.learn([one, other, one]) == 2
    assert ledger.learn([other]) == 0
    assert [each.record for each in Ledger.at("ledger.db", tmp_path, "s").findings()] == [
        one,
        other,
    ]
    first = ledger.export()[0]
    assert (first["kind"], first["supports"], first["of"]) == ("finding", 4, 5)
    assert Ledger.at("ledger.db", tmp_path, "another study").findings() == ()


def test_a_finding_is_corrected_by_another_one_of_the_same_method(tmp_path):
    ledger = Ledger.at("ledger.db", tmp_path)
    ledger.learn([Finding(**GOOD)])
    right = Finding(**{**GOOD, "supports": 3})
    ledger.correct(1, right, reason="miscounted")
    assert [(each.record, each.reason) for each in ledger.findings()] == [(right, "miscounted")]
    assert ledger.learn([Finding(**GOOD)]) == 0  # what was corrected does not come back
    with pytest.raises(StudyError, match="record 1 is the finding of"):
        ledger.correct(1, Finding(**{**GOOD, "method": "interview"}), reason="wrong method")
