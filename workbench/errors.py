"""What goes wrong, said in one sentence: the name, the value, the rule, the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMES = 12


class WorkbenchError(Exception):
    """Base of every error that a user can mend."""


class StudyError(WorkbenchError):
    """The study file, or a table that it names, breaks a rule."""


class DataError(WorkbenchError):
    """A table cannot be read, or holds values that no analysis could use."""


class ReportError(WorkbenchError):
    """A report could not be run or published."""


def unknown_name(kind: str, name: object, allowed: Iterable[object]) -> str:
    """Say that `name` is not a known `kind`, with the closest match and all that is allowed.

    >>> unknown_name("step", "imprted", ["previewed", "imported"])
    "unknown step 'imprted'; did you mean 'imported'? known: imported, previewed"
    """
    names = sorted({str(each) for each in allowed})
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" did you mean '{close[0]}'?" if close else ""
    if not names:
        return f"unknown {kind} '{name}'; there are none"
    shown = ", ".join(names[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"unknown {kind} '{name}';{hint} known: {shown}{more}"
