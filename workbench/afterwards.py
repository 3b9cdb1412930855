"""What came of it: a study's retention, and whether it is innovation yet, gathered from its data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.errors import StudyError
from workbench.innovation import ADOPTION, BOTH, NEED, Innovation, Tally, assess
from workbench.learning import count_both
from workbench.proportions import Counts
from workbench.retention import count_followed, retention_table
from workbench.study_data import StudyData

if TYPE_CHECKING:
    import pandas as pd

    from workbench.steps import StepCounts

NO_RETURN = "the flow follows no return: it has no return_window"
NO_OUTCOME = "the flow names no outcome"


def innovation(data: StudyData, iteration: str, at: datetime | None) -> Innovation:
    """Hold an iteration, and those before it, against the scale that the study wants."""
    spec = data.spec
    names = [each.name for each in spec.iterations]
    counts = data.counts((), at)
    outcome = spec.flow.outcome.name if spec.flow is not None and spec.flow.outcome else "outcome"
    ends = spec.flow.ends if spec.flow is not None else ()
    both = {} if data.journeys is None else count_both(data.journeys.paths(at))
    tallies = {}
    for name in names[: names.index(iteration) + 1]:
        here = [each for each in counts if each.iteration == name]
        entered = sum(each.entered for each in here if each.step == spec.steps[0])
        without = " and ".join(
            why for end, why in ((ADOPTION, NO_RETURN), (outcome, NO_OUTCOME)) if end not in ends
        )
        found = both.get(name)
        tallies[name] = {
            NEED: _tally(here, spec.steps[-1], entered),
            ADOPTION: _tally(here, ADOPTION) if ADOPTION in ends else Tally(missing=NO_RETURN),
            outcome: _tally(here, outcome) if outcome in ends else Tally(missing=NO_OUTCOME),
            BOTH: Tally(found, entered - found.total) if found else Tally(missing=without),
        }
    return assess(tallies, spec.innovation, outcome)


def retention(
    data: StudyData, iterations: Sequence[str], by: Sequence[str], at: datetime | None
) -> pd.DataFrame:
    """Lay out the share who returned, by days since the need was met; StudyError if none is followed."""
    flow = data.spec.flow
    if data.journeys is None or flow is None or not flow.follows_return:
        msg = f"{NO_RETURN}; add one to the flow of an event log, such as 30d or unlimited"
        raise StudyError(msg)
    return retention_table(count_followed(data.journeys.paths(at), by), by, iterations)


def _tally(counts: Iterable[StepCounts], metric: str, entered: int | None = None) -> Tally:
    """Add up a metric; `entered` is whom it is about, unless its own counts tell."""
    rows = [each for each in counts if each.step == metric]
    whole = sum(each.entered for each in rows) if entered is None else entered
    found = sum(each.converted for each in rows), sum(each.closed for each in rows)
    return Tally(Counts(*found), whole - found[1])
