"""Scenarios of simulated studies: what each release does, by its true rates, and how ugly logs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from operator import mul

from workbench.sequels import ROOM_DAYS

TRIGGER = "opened_spreadsheet"
OUTCOME = "subscription_renewed"
STEPS = ("previewed", "mapped", "imported")
STEP_EVENTS = (("opened_preview",), ("mapped_columns", "auto_mapped"), ("import_completed",))
NOISE = ("viewed_dashboard", "invited_colleague", "opened_settings")
DETOURS = ("opened_help", "contacted_support", "closed_import", "pasted_by_hand")
VARIANTS = ("blank", "preview")
SECOND_TRIGGERS = 0.08
SECOND_LATER = 0.83  # of second triggers after which the need is met: how many come later than that
LEVELS: Mapping[str, Mapping[str, float]] = {
    "company_size": {"1-9": 0.5, "10-49": 0.3, "50+": 0.2},
    "industry": {"retail": 0.4, "logistics": 0.35, "care": 0.25},
    "country": {"NL": 0.5, "DE": 0.3, "BE": 0.2},
}


@dataclass(frozen=True)
class Release:
    """One iteration of a scenario: who enters it, and how likely each variant takes each step.

    `rates` are the true step rates, each among those who reached the step before, within the
    window. `sequels` are the true rates of what comes of it: of a return, given an opportunity;
    then of the outcome without the need met, with it, and with a return.
    """

    name: str
    start: date
    days: int
    customers: int
    rates: Mapping[str, tuple[float, ...]]
    sequels: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def truth(self, variant: str) -> dict[str, float]:
        """Give the true share of a variant's entrants that reaches each step in time.

        >>> release = Release("2026.1", date(2026, 1, 5), 28, 100, {"blank": (0.8, 0.5, 0.5)})
        >>> release.truth("blank")
        {'previewed': 0.8, 'mapped': 0.4, 'imported': 0.2}
        """
        return dict(zip(STEPS, accumulate(self.rates[variant], mul), strict=True))

    def sequel_truth(
        self, variant: str, second_triggers: float = SECOND_TRIGGERS
    ) -> dict[str, float]:
        """Give the true rates of adoption (given an opportunity), the outcome, and both, of entrants.

        >>> release = Release("2026.1", date(2026, 1, 5), 28, 100, {"blank": (1.0, 1.0, 0.5)},
        ...                   {"blank": (0.4, 0.1, 0.2, 0.5)})
        >>> rates = release.sequel_truth("blank", second_triggers=0)
        >>> {name: round(rate, 4) for name, rate in rates.items()}
        {'adoption': 0.4, 'renewed': 0.1907, 'both': 0.0679}
        """
        returns, without, met, adopted = self.sequels[variant]
        need, late = self.truth(variant)[STEPS[-1]], ROOM_DAYS / self.days
        back = need * (1 - late + late * second_triggers * SECOND_LATER) * returns
        renewed = (1 - need) * without + (need - back) * met + back * adopted
        return {"adoption": returns, "renewed": renewed, "both": back * adopted}


@dataclass(frozen=True)
class Scenario:
    """What to simulate. Every ugly thing is an option of its own, and 0 leaves it out.

    None of them changes the true rates: late steps come after the window, early ones before the
    trigger, and who returns in a later iteration does so with that iteration's rates.
    """

    releases: tuple[Release, ...]
    window_days: int = 7
    ends_after_days: int = 4  # how long the log goes on after the last iteration
    duplicates: float = 0.01  # share of rows that come twice
    ties: float = 0.05  # share of steps at the very time of the step before
    repeats: float = 0.15  # share of steps taken twice
    late: float = 0.15  # share of the deviated who take the step after the window
    early: float = 0.05  # share of customers who take a step before the trigger
    second_triggers: float = SECOND_TRIGGERS  # share of entrants who meet the trigger again soon
    returning: float = 0.05  # share of early entrants who enter the next iteration too
    crossovers: int = 2  # entrants per iteration with rows of both variants
    unknown: float = 0.01  # share of customers missing from the customers table
    noise: float = 1.0  # events outside the flow, per entrant
    detours: float = 0.6  # share of the deviated whose next event shows where they went
    delayed: float = 0.05  # share of rows that are written out of order


GUIDED_IMPORT = Scenario(
    releases=(
        Release(
            "2026.1",
            date(2026, 1, 5),
            28,
            280,
            {"blank": (0.72, 0.70, 0.72), "preview": (0.86, 0.80, 0.76)},
            {"blank": (0.28, 0.08, 0.22, 0.45), "preview": (0.32, 0.08, 0.22, 0.45)},
        ),
        Release(
            "2026.2",
            date(2026, 2, 2),
            28,
            360,
            {"blank": (0.80, 0.74, 0.74), "preview": (0.80, 0.70, 0.76)},
            {"blank": (0.32, 0.09, 0.25, 0.48), "preview": (0.34, 0.09, 0.25, 0.48)},
        ),
        Release(
            "2026.3",
            date(2026, 3, 2),
            28,
            300,
            {"blank": (0.82, 0.78, 0.76), "preview": (0.84, 0.80, 0.77)},
            {"blank": (0.36, 0.10, 0.32, 0.58), "preview": (0.38, 0.10, 0.32, 0.58)},
        ),
        Release(
            "2026.4",
            date(2026, 3, 30),
            28,
            320,
            {"blank": (0.84, 0.80, 0.78), "preview": (0.85, 0.81, 0.78)},
            {"blank": (0.38, 0.11, 0.36, 0.62), "preview": (0.62, 0.11, 0.36, 0.62)},
        ),
        Release(
            "2026.5",
            date(2026, 4, 27),
            28,
            340,
            {"blank": (0.86, 0.82, 0.80), "preview": (0.87, 0.83, 0.80)},
            {"blank": (0.60, 0.12, 0.40, 0.66), "preview": (0.64, 0.12, 0.40, 0.66)},
        ),
    ),
)
SAMPLE = Scenario(
    releases=(
        Release(
            "2026.1",
            date(2026, 1, 5),
            28,
            160,
            {"blank": (0.70, 0.70, 0.70), "preview": (0.88, 0.84, 0.80)},
        ),
    ),
    crossovers=1,
    ends_after_days=8,  # so that nobody's window is open, and the first report decides
)
SEED = 2026
