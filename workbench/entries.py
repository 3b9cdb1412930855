"""Entries: who entered the flow in which order, and who did so in an earlier iteration too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench.anytime import Outcomes
from workbench.cohorts import Cohort
from workbench.paths import Paths


def again(paths: Paths, iteration: str) -> dict[str, int]:
    """Count the entrants of an iteration who entered each of those before it too."""
    names, entries = [span.name for span in paths.spans], paths.entries
    here = names.index(iteration)
    now = entries.customer[entries.span == here]
    return {
        name: int(np.isin(entries.customer[entries.span == place], now).sum())
        for place, name in enumerate(names[:here])
    }


def in_order(paths: Paths, step: str, cohorts: Mapping[str, tuple[Cohort, str]]) -> Outcomes:
    """Give who reached a metric, of those whose window is over, in their order of entry.

    `cohorts` gives control and treatment, each with its iteration. Entries at one time are ordered
    by customer.
    """
    metric, found = paths.metric(step), {}
    for role, (cohort, iteration) in cohorts.items():
        those = paths.among(cohort.values, iteration) & metric.about & metric.closed
        order = np.argsort(paths.entries.entered[those], kind="stable")
        found[role] = metric.reached[those][order].tolist()
    return Outcomes(found["control"], found["treatment"])
