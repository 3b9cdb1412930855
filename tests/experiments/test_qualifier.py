"""What restricts a verdict: its label, and the labels that ledgers of format 1 hold."""

from __future__ import annotations

import pytest

from workbench.experiments.qualifier import Qualifier, read_label


@pytest.mark.parametrize(
    ("verdict", "qualifier", "label"),
    [
        ("supported", Qualifier(), "supported"),
        ("inconclusive", Qualifier(early=True), "inconclusive: looked early"),
        ("supported", Qualifier(at_risk=("paid",)), "supported, but paid is at risk"),
        (
            "supported",
            Qualifier(at_risk=("paid and kept",)),
            "supported, but paid and kept is at risk",
        ),
        (
            "supported",
            Qualifier(at_risk=("paid", "kept")),
            "supported, but paid and kept are at risk",
        ),
        ("supported", Qualifier(pending=("a, b",)), "supported, but a, b is pending"),
    ],
)
def test_a_label_of_format_1_is_read_as_it_was_meant(verdict, qualifier, label):
    assert qualifier.label(verdict) == label
    assert read_label(label) == (verdict, qualifier)


def test_what_is_at_risk_is_said_before_what_is_pending():
    both = Qualifier(at_risk=("paid",), pending=("kept",))
    assert both.label("supported") == "supported, but paid is at risk"


def test_a_label_in_other_words_is_left_as_it_is():
    assert read_label("supported, with luck") == ("supported, with luck", Qualifier())
