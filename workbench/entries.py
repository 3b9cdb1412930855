"""Entries: who entered the flow in which order, and who did so in an earlier iteration too."""

from __future__ import annotations

from collections.abc import Mapping

import narwhals as nw

from workbench.anytime import Outcomes
from workbench.cohorts import Cohort
from workbench.engines import collect
from workbench.paths import Paths


def again(paths: Paths, iteration: str) -> dict[str, int]:
    """Count the entrants of an iteration who entered each of those before it too."""
    names = [span.name for span in paths.spans]
    here = names.index(iteration)
    entrants = paths.stage(0).select("customer", "span")
    now = entrants.filter(nw.col("span") == here).select("customer")
    both = entrants.filter(nw.col("span") < here).join(now, on="customer", how="semi")
    counted = {
        row["span"]: row["customers"]
        for row in collect(both.group_by("span").agg(nw.len().alias("customers")))
    }
    return {name: counted.get(place, 0) for place, name in enumerate(names[:here])}


def in_order(paths: Paths, step: str, cohorts: Mapping[str, tuple[Cohort, str]]) -> Outcomes:
    """Give who reached a metric, of those whose window is over, in their order of entry.

    `cohorts` gives control and treatment, each with its iteration. One yes or no a customer leaves
    the engine. Entries at one time are ordered by customer.
    """
    found = {}
    for role, (cohort, iteration) in cohorts.items():
        span = [each.name for each in paths.spans].index(iteration)
        is_of = [nw.col(f"by {column}") == value for column, value in cohort.values]
        base, got_there = paths.of_metric(step, cohort.columns)
        reached = got_there.select("customer", "entered", nw.lit(1).alias("reached"))
        closed = base.filter(nw.col("closed"), nw.col("span") == span, *is_of)
        joined = closed.join(reached, on=["customer", "entered"], how="left")
        ordered = joined.select("entered", "customer", nw.col("reached").fill_null(0)).sort(
            "entered", "customer"
        )
        found[role] = [row["reached"] for row in collect(ordered)]
    return Outcomes(found["control"], found["treatment"])
