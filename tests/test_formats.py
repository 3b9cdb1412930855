from __future__ import annotations

import pytest

from workbench import formats

NAN = float("nan")


def test_a_rate_never_stands_alone():
    assert formats.rate(0.21888, 3785, 17293) == "21.9% (3,785/17,293)"


def test_undefined_is_never_zero():
    assert formats.rate(NAN, 0, 0) == "n/a (0/0)"
    assert formats.effect(NAN, NAN, NAN) == "n/a"
    assert formats.interval(NAN, NAN) == "n/a"
    assert formats.pvalue(NAN) == "n/a"
    assert formats.hours(NAN) == "n/a"
    assert formats.points(NAN) == "n/a"
    assert formats.count(NAN) == "n/a"


def test_an_effect_without_interval_is_still_shown():
    assert formats.effect(0.2, NAN, NAN) == "+20.0"


@pytest.mark.parametrize(
    ("probability", "written"),
    [
        (1.0, "1.00"),
        (0.5014, "0.501"),
        (0.0412, "0.0412"),
        (0.00155425, "0.00155"),
        (0.001, "0.00100"),
        (0.0009999, "< 0.001"),
        (0.0, "< 0.001"),
    ],
)
def test_pvalue_has_three_significant_digits(probability, written):
    assert formats.pvalue(probability) == written


@pytest.mark.parametrize(
    ("effect", "written"), [(0.0004, "0.0"), (-0.0004, "0.0"), (0.0005001, "+0.1"), (-0.2, "−20.0")]
)
def test_points_have_a_sign_unless_they_round_to_zero(effect, written):
    assert formats.points(effect) == written
