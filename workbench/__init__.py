"""Learning metrics and honest verdicts for innovation teams.

>>> from workbench import Counts, compare
>>> result = compare(control=Counts(48, 80), treatment=Counts(56, 70))
>>> f"{result.estimate:.2f} [{result.low:.3f}, {result.high:.3f}], {result.test}"
'0.20 [0.045, 0.340], exact'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.cohorts import Cohort
    from workbench.events import EventLog
    from workbench.flow import Flow
    from workbench.hypothesis import Hypothesis, Verdict
    from workbench.proportions import Comparison, Counts, compare
    from workbench.study import Study
    from workbench.verdicts import Evaluation

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
    "Cohort": "cohorts",
    "Comparison": "proportions",
    "Counts": "proportions",
    "Evaluation": "verdicts",
    "EventLog": "events",
    "Flow": "flow",
    "Hypothesis": "hypothesis",
    "Study": "study",
    "Verdict": "hypothesis",
    "compare": "proportions",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for; `workbench --help` asks for none."""
    if name not in HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"workbench.{HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
