"""Errors, each in one sentence: the name, the value, the rule and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMES = 12


class WorkbenchError(Exception):
    """Base of every error that a user can mend.

    Its text is one sentence: the name, the value, the rule and the way out.

    >>> from workbench import Study
    >>> try:
    ...     Study.load("nowhere.yaml")
    ... except WorkbenchError as error:
    ...     print(error)
    nowhere.yaml does not exist; name a study file, or write one with: workbench init FOLDER
    """


class StudyError(WorkbenchError):
    """A study file breaks a rule, or something is asked for that the study does not have.

    >>> from workbench import Study
    >>> Study.load("studies/guided-import/study.yaml").learning_metrics("2027.1")
    Traceback (most recent call last):
    workbench.errors.StudyError: unknown iteration '2027.1'; did you mean '2026.1'? known: 2026.1, ...
    """


class DataError(WorkbenchError):
    """A table cannot be read, or holds values that no analysis can use.

    >>> import pandas as pd
    >>> from workbench import EventLog
    >>> EventLog(pd.DataFrame({"customer": [1], "event": ["opened"]})).newest
    Traceback (most recent call last):
    workbench.errors.DataError: the log: unknown column 'time'; ... known: customer, event
    """


class ReportError(WorkbenchError):
    """A report cannot be run or published.

    >>> from workbench.reports.publish import publish
    >>> publish("studies/guided-import/study.yaml", template="my_report")
    Traceback (most recent call last):
    workbench.errors.ReportError: unknown template 'my_report'; did you mean 'hypothesis_report'? ...
    """


def unknown_name(
    kind: str, name: object, allowed: Iterable[object], *, most: int = MOST_NAMES
) -> str:
    """Return the sentence for a name that is not known, with the closest match.

    Args:
        kind: What the name is of, such as "step".
        name: The unknown name.
        allowed: All known names; the sentence lists the first in order.
        most: How many names it lists.

    >>> unknown_name("step", "imprted", ["previewed", "imported"])
    "unknown step 'imprted'; did you mean 'imported'? known: imported, previewed"
    """
    names = sorted({str(each) for each in allowed})
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" did you mean '{close[0]}'?" if close else ""
    if not names:
        return f"unknown {kind} '{name}'; there are none"
    shown = ", ".join(names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"unknown {kind} '{name}';{hint} known: {shown}{more}"
