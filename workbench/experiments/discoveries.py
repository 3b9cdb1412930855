"""Which supported hypotheses are discoveries: those that stand among all of a study's hypotheses.

A verdict is about one test. A team that tests hypothesis after hypothesis, and version after version,
will find some supported by chance; a discovery is one that stands all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from workbench import display
from workbench.schema.hypothesis import Qualifier
from workbench.stats.multiplicity import discoveries, version_share
from workbench.stats.proportions import Counts
from workbench.stats.shrinkage import Shrunken, shrink

HORIZON = 12
Key = tuple[str, int, str, str]


@dataclass(frozen=True)
class Trial:
    """A final verdict as the list of discoveries takes it: its key, its p-value, whether it is a success.

    The key is hypothesis, version, arm and iteration.
    """

    key: Key
    pvalue: float
    success: bool


@dataclass(frozen=True)
class Standing:
    """Where an arm of a version stands in the list of discoveries.

    `pvalue` is that of the hypothesis over all its versions, `level` what the list asks for among
    `hypotheses`, and `found` says whether this arm's verdict is a discovery.
    """

    pvalue: float
    level: float
    found: bool
    hypotheses: int

    @property
    def sentence(self) -> str:
        """What the list says, for a reader."""
        numbers = (
            f"p {_said(self.pvalue)} over its versions, where {display.pvalue(self.level)} is asked"
        )
        among = f"among the study's {self.hypotheses} hypotheses"
        if self.found:
            return f"It is a discovery {among} ({numbers})."
        return (
            f"It is not yet a discovery {among} ({numbers}): chance alone supports some of so many."
        )


@dataclass(frozen=True)
class Effect:
    """A final effect: the difference of rates, and its standard error (Agresti & Caffo 2000)."""

    estimate: float
    error: float

    @classmethod
    def of(cls, control: Counts, treatment: Counts) -> Effect:
        """Return the effect of two cohorts' counts, neither of them empty."""
        spread = 0.0
        for each in (control, treatment):
            rate = (each.converted + 1) / (each.total + 2)
            spread += rate * (1 - rate) / (each.total + 2)
        return cls(treatment.rate - control.rate, math.sqrt(spread))


def shrunken(effects: Mapping[Key, Effect]) -> dict[Key, Shrunken]:
    """Shrink a study's final effects by what all of them say of their size."""
    found = shrink(
        [each.estimate for each in effects.values()], [each.error for each in effects.values()]
    )
    return dict(zip(effects, found, strict=True))


def standings(trials: Sequence[Trial], hypotheses: int) -> dict[Key, Standing]:
    """Tell where each trial stands among all of a study's hypotheses.

    Args:
        trials: The final verdicts. A version's arms were tested together; one that was tried in several
            iterations pays for each.
        hypotheses: How many hypotheses the study has, or will have.

    >>> first = Trial(("a", 1, "arm", "1"), 0.001, success=True)
    >>> standings([first], 12)[first.key].found
    True
    """
    hypotheses_by_name: dict[str, dict[int, dict[str, list[Trial]]]] = {}
    for each in trials:
        name, version, _, iteration = each.key
        versions = hypotheses_by_name.setdefault(name, {})
        versions.setdefault(version, {}).setdefault(iteration, []).append(each)
    pvalues = [
        [_least(versions.get(number, {})) for number in range(1, max(versions) + 1)]
        for versions in hypotheses_by_name.values()
    ]
    listed = discoveries(pvalues, hypotheses=hypotheses)
    count, found = max(hypotheses, len(listed)), {}
    for versions, place in zip(hypotheses_by_name.values(), listed, strict=True):
        for version, tried in versions.items():
            share = version_share(version - 1) / len(tried)
            for each in (trial for arms in tried.values() for trial in arms):
                counts = each.success and each.pvalue / share <= place.level
                found[each.key] = Standing(place.pvalue, place.level, counts, count)
    return found


def _least(tried: Mapping[str, Sequence[Trial]]) -> float:
    """Return a version's p-value: the least of its arms', for each iteration in which it was tried."""
    known = [each.pvalue for arms in tried.values() for each in arms if not math.isnan(each.pvalue)]
    return min(1.0, len(tried) * min(known)) if known else math.nan


def label(verdict: str, qualifier: Qualifier, standing: Standing | None, *, success: bool) -> str:
    """Return a verdict as readers see it everywhere: with what restricts it, and whether it counts.

    >>> label("supported", Qualifier(), Standing(0.001, 0.004, True, 12), success=True)
    'supported, a discovery'
    """
    said = qualifier.label(verdict)
    if not success or standing is None:
        return said
    return f"{said}, {'a' if standing.found else 'not yet a'} discovery"


def updated(trials: Iterable[Trial], now: Iterable[Trial]) -> list[Trial]:
    """Return trials with those of today: new ones at the end, known ones with their best p-value."""
    known: dict[Key, Trial] = {each.key: each for each in trials}
    for each in now:
        before = known.get(each.key)
        better = each if before is None or each.pvalue < before.pvalue else before
        known[each.key] = better if before is None else replace(better, success=before.success)
    return list(known.values())


def hypotheses_of(horizon: int, names: Iterable[str]) -> int:
    """Return how many hypotheses a study's list counts: its horizon, or more if it has more."""
    return max(horizon, len({*names}))


def _said(pvalue: float) -> str:
    written = display.pvalue(pvalue)
    return written if written.startswith("<") else f"= {written}"
