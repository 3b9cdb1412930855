"""Checks of arguments that several statistics share; each raises ValueError with one sentence."""

from __future__ import annotations

from collections.abc import Collection

from workbench.errors import unknown_name


def check_known(kind: str, value: str, known: Collection[str]) -> None:
    """Refuse a name that is not among the known ones.

    >>> check_known("test", "exakt", ("exact", "score"))
    Traceback (most recent call last):
    ValueError: unknown test 'exakt'; did you mean 'exact'? known: exact, score
    """
    if value not in known:
        raise ValueError(unknown_name(kind, value, known))


def check_between(kind: str, value: float, low: float = 0, high: float = 1) -> None:
    """Refuse a number that does not lie strictly between two others.

    >>> check_between("alpha", 5)
    Traceback (most recent call last):
    ValueError: alpha is 5; it must lie between 0 and 1
    """
    if not low < value < high:
        raise ValueError(f"{kind} is {value}; it must lie between {low} and {high}")


def check_rates(control_rate: float, effect: float) -> None:
    """Refuse a control rate and an effect that do not make two rates."""
    if not 0.0 <= control_rate <= 1.0:
        raise ValueError(f"control_rate is {control_rate}; it must lie between 0 and 1")
    if not -1e-12 <= control_rate + effect <= 1.0 + 1e-12:
        raise ValueError(
            f"control_rate is {control_rate} and effect {effect};"
            " their sum, the treatment rate, must lie between 0 and 1"
        )
