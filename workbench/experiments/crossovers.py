"""Customers who saw two groups of an experiment: counted where they were put first.

Leaving them out is a choice by what they did, and biases the effect. Counted in the group that they saw
first they keep the test's level, but dilute the effect: with a share c0 of control and c1 of treatment
that changed sides, what is seen is at least 1 - c0 - c1 of the effect of the treatment itself (Angrist,
Imbens & Rubin 1996, JASA 91:444-455). So whatever is to be ruled out, an effect worth having or a
guardrail's loss, is first made so much smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from workbench import display
from workbench.data.counts import OutcomesTable
from workbench.data.study_data import StudyData
from workbench.experiments.analysis import Pair
from workbench.experiments.verdict import Check, Level
from workbench.schema.hypothesis import Hypothesis
from workbench.stats.proportions import Counts

MOST = 0.2  # of an arm; beyond it nothing is ruled out
FEW = 0.01  # of all customers


@dataclass(frozen=True)
class Crossovers:
    """The customers of a comparison who saw another group than the one that they saw first.

    Args:
        closed: The customers of control and of treatment whose window is over.
        without: The counts of control and of treatment without those who changed sides.
        unknown: Customers of the experiment who saw two groups, nobody knows which one first; they
            are in neither arm.
        entered: The customers of the experiment.
    """

    closed: tuple[int, int]
    without: Pair
    unknown: int = 0
    entered: int = 0

    @property
    def crossed(self) -> tuple[int, int]:
        """How many changed sides in control and in treatment."""
        one, other = (
            closed - left.total for closed, left in zip(self.closed, self.without, strict=True)
        )
        return one, other

    @property
    def compliance(self) -> float:
        """The share of a treatment's effect that is seen, at the least; 0 where nobody can say."""
        shares = [
            crossed / closed if closed else 0.0
            for crossed, closed in zip(self.crossed, self.closed, strict=True)
        ]
        return 1.0 - sum(shares) if max(shares) <= MOST else 0.0

    @property
    def check(self) -> Check:
        """Say how many saw two groups, and what is done about them."""
        return crossover_check(
            sum(self.crossed), sum(self.closed), self.unknown, self.entered, self._description
        )

    @property
    def _description(self) -> str:
        """Say what the effect is without them."""
        control, treatment = self.without
        if not (control.total and treatment.total):
            return ""
        effect = display.points(treatment.rate - control.rate)
        return f"Without them the effect is {effect} points, which describes but tests nothing."


def crossovers_of(
    data: StudyData, claim: Hypothesis, metric: str, at: datetime | None, cut: int | None
) -> Crossovers | None:
    """Return the crossovers of a claim about groups into which customers were put.

    Whoever saw another group after the metric's window dilutes nothing and is none. None where the
    two arms are not such groups, and for counts, which do not tell.
    """
    columns = [column for column in data.participation if column in claim.apart]
    journeys, opened = data.journeys, data.opened
    if claim.before_after or not columns:
        return None
    if isinstance(opened, OutcomesTable):
        nobody = Counts(0, 0)
        return Crossovers((0, 0), (nobody, nobody), opened.crossed, opened.customers)
    if journeys is None:
        return None
    paths = journeys.paths(at, data.flow_of(claim))
    paths = paths if cut is None else paths.up_to(cut)
    found = paths.metric(metric)
    crossed = paths.crossed(columns, paths.flow.decided_within(metric))
    closed, without = [], []
    for cohort in (claim.control, claim.treatment):
        arm = paths.among(cohort.values, claim.iteration) & found.about & found.closed
        closed.append(int(arm.sum()))
        kept = arm & ~crossed
        without.append(Counts(int((kept & found.reached).sum()), int(kept.sum())))
    here = paths.among((), claim.iteration)
    unknown = int((here & paths.unassigned(columns)).sum())
    return Crossovers((closed[0], closed[1]), (without[0], without[1]), unknown, int(here.sum()))


def crossover_check(
    crossed: int, customers: int, unknown: int, entered: int, description: str = ""
) -> Check:
    """Check how many customers saw two groups of an experiment.

    Args:
        crossed: Customers who saw another group than the first.
        customers: The customers among whom they are.
        unknown: Customers who saw two groups, nobody knows which one first.
        entered: The customers among whom those are.
        description: A sentence more, where anybody crossed.
    """
    if entered and unknown / entered > FEW:
        said = (
            f"{_customers(unknown)} ({display.percent(unknown / entered)}) saw two groups of the "
            "experiment, and it is not known which one first; record each customer's first group and "
            "test again."
        )
        return Check("crossovers", "invalid", said, unknown)
    if unknown:
        description += f" Of {_customers(unknown)} the first is not known: they are in neither."
    if not crossed:
        said = "No customer is known to have seen" if unknown else "No customer saw"
        said += " two groups of the experiment."
        return Check("crossovers", "ok", f"{said}{description if unknown else ''}", unknown)
    share = crossed / customers
    level: Level = "warn" if share > FEW else "ok"
    counts = "counts" if crossed == 1 else "count"
    said = f"{_customers(crossed)} ({display.percent(share)}) saw two groups and {counts} in the first."
    return Check("crossovers", level, f"{said} {description}".strip(), crossed)


def _customers(count: int) -> str:
    return "1 customer" if count == 1 else f"{count:,} customers"
