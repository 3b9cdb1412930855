"""Learning metrics and honest verdicts for innovation teams.

>>> from workbench import Counts, compare
>>> result = compare(control=Counts(48, 80), treatment=Counts(56, 70))
>>> f"{result.estimate:.2f} [{result.low:.3f}, {result.high:.3f}], {result.test}"
'0.20 [0.045, 0.340], exact'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

if TYPE_CHECKING:
    from workbench.data.event_log import EventLog
    from workbench.experiments.verdict import Evaluation
    from workbench.schema.cohort import Cohort
    from workbench.schema.flow import Flow
    from workbench.schema.hypothesis import Hypothesis, Verdict
    from workbench.stats.proportions import Comparison, Counts, compare
    from workbench.study import Study

__all__ = [
    "Cohort",
    "Comparison",
    "Counts",
    "Evaluation",
    "EventLog",
    "Flow",
    "Hypothesis",
    "Study",
    "Verdict",
    "compare",
]
HOMES = {
    "Cohort": "schema.cohort",
    "Comparison": "stats.proportions",
    "Counts": "stats.proportions",
    "Evaluation": "experiments.verdict",
    "EventLog": "data.event_log",
    "Flow": "schema.flow",
    "Hypothesis": "schema.hypothesis",
    "Study": "study",
    "Verdict": "schema.hypothesis",
    "compare": "stats.proportions",
}

# Names that templates and notebooks imported from here before the packages; gone with 0.3.
MOVED = {
    "boards": "views.innovation",
    "cards": "views.verdicts",
    "indicator_tables": "views.indicator_tables",
    "look_tables": "views.verdicts",
    "plots": "views.figures",
    "readings": "reports.hypothesis_report",
    "release": "reports.release_review",
    "release_curves": "views.release_figures",
    "release_flow": "views.release_figures",
    "release_tables": "views.release_tables",
    "reviews": "reports.indicator_review",
    "tables": "views.tables",
    "widgets": "views.widgets",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for; `workbench --help` asks for none."""
    if name in MOVED:
        home, _, module = f"workbench.{MOVED[name]}".rpartition(".")
        warn(f"use: from {home} import {module}", DeprecationWarning, stacklevel=2)
        return import_module(f"{home}.{module}")
    if name not in HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"workbench.{HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
