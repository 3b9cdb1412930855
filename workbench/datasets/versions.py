"""A simulated year of small cohorts: a pilot, and four versions of one idea whose truth is known.

`python -m workbench.datasets.versions studies/four-versions` regenerates that study's data.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

from workbench.datasets.events import Scenario, SimulatedRelease, simulate, write_tables

FIRST = date(2026, 1, 5)
DAYS = 28
RATES = {"blank": (0.80, 0.75, 2 / 3), "preview": (0.90, 0.80, 5 / 6)}  # imported: .4 and .6
RETURNS = {"blank": (0.3, 0.1, 0.25, 0.5), "preview": (0.5, 0.1, 0.25, 0.5)}
FOUR_VERSIONS = Scenario(
    releases=tuple(
        SimulatedRelease(
            f"2026.{number + 1}", FIRST + timedelta(days=DAYS * number), DAYS, 60, RATES, RETURNS
        )
        for number in range(5)
    ),
    ends_after_days=8,  # so that nobody's window is open
    crossovers=0,
    unknown=0.0,
)
# The first seed from 1 with which each version alone is inconclusive, and all together are enough.
SEED = 10


if __name__ == "__main__":
    write_tables(simulate(SEED, FOUR_VERSIONS), Path(sys.argv[1]))
