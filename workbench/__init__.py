"""Learning metrics and honest verdicts for innovation teams.

Begin with `Study`, which reads a study file and answers questions about it, or with `compare`, which
needs no more than four counts. The sub-packages `stats`, `views`, `reports` and `datasets` are public
too; all others may change.

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
    from workbench.errors import DataError, ReportError, StudyError, WorkbenchError
    from workbench.experiments.verdict import Evaluation
    from workbench.indicators.lags import associate
    from workbench.schema.cohort import Cohort
    from workbench.schema.flow import Flow
    from workbench.schema.hypothesis import Hypothesis, Verdict
    from workbench.schema.time import Iteration
    from workbench.stats.anytime import compare_anytime
    from workbench.stats.proportions import Comparison, Counts, compare
    from workbench.stats.sequential import compare_sequential
    from workbench.study import Study
    from workbench.views.widgets import open_workshop

    __version__: str

__all__ = [
    "Cohort",
    "Comparison",
    "Counts",
    "DataError",
    "Evaluation",
    "EventLog",
    "Flow",
    "Hypothesis",
    "Iteration",
    "ReportError",
    "Study",
    "StudyError",
    "Verdict",
    "WorkbenchError",
    "associate",
    "compare",
    "compare_anytime",
    "compare_sequential",
    "open_workshop",
]
HOMES = {
    "Cohort": "schema.cohort",
    "Comparison": "stats.proportions",
    "Counts": "stats.proportions",
    "DataError": "errors",
    "Evaluation": "experiments.verdict",
    "EventLog": "data.event_log",
    "Flow": "schema.flow",
    "Hypothesis": "schema.hypothesis",
    "Iteration": "schema.time",
    "ReportError": "errors",
    "Study": "study",
    "StudyError": "errors",
    "Verdict": "schema.hypothesis",
    "WorkbenchError": "errors",
    "associate": "indicators.lags",
    "compare": "stats.proportions",
    "compare_anytime": "stats.anytime",
    "compare_sequential": "stats.sequential",
    "open_workshop": "views.widgets",
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
    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("workbench")
    elif name in HOMES:
        value = getattr(import_module(f"workbench.{HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return ["__version__", *__all__]
