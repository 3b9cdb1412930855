"""Learning metrics and honest verdicts for innovation teams.

>>> result = compare(control=Counts(48, 80), treatment=Counts(56, 70))
>>> f"{result.estimate:.2f} [{result.low:.3f}, {result.high:.3f}], {result.test}"
'0.20 [0.051, 0.340], exact'
"""

from workbench.cohorts import Cohort
from workbench.events import EventLog
from workbench.flow import Flow
from workbench.hypothesis import Evaluation, Hypothesis, Verdict
from workbench.proportions import Comparison, Counts, compare
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
