"""Which supported hypotheses are discoveries: those that stand among all of a study's hypotheses.

A verdict is about one test. A team that tests hypothesis after hypothesis, and version after version,
will find some supported by chance; a discovery is one that stands all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench import display
from workbench.experiments.pooling import Tried, counted, pooled_pvalue
from workbench.schema.hypothesis import Qualifier
from workbench.stats.multiplicity import discoveries, version_share
from workbench.stats.proportions import Counts
from workbench.stats.shrinkage import Shrunken, shrink

HORIZON = 12
Key = tuple[str, int, str, str]


@dataclass(frozen=True)
class Trial:
    """A final verdict as the list of discoveries takes it: its key, its p-value, whether it is a success.

    The key is hypothesis, version, arm and iteration. `tried` is how the version counts beside others.
    """

    key: Key
    pvalue: float
    success: bool
    tried: Tried | None = None


@dataclass(frozen=True)
class Standing:
    """Where an arm of a version stands in the list of discoveries.

    `pvalue` is that of the hypothesis over all its versions, `level` what the list asks for among
    `hypotheses`, and `found` says whether this arm's verdict is a discovery. Where the versions count
    together, `together` says how many do; the newest of them has the standing.
    """

    pvalue: float
    level: float
    found: bool
    hypotheses: int
    together: int = 0

    def row(self) -> dict[str, Any]:
        """Return the standing as plain values; `together` only where versions count together."""
        return {name: value for name, value in asdict(self).items() if name != "together" or value}

    @property
    def sentence(self) -> str:
        """What the list says, for a reader."""
        numbers = (
            f"p {_said(self.pvalue)} over its versions, where {display.pvalue(self.level)} is asked"
        )
        among = f"among the study's {self.hypotheses} hypotheses"
        if self.together > 1:
            verb = "are a discovery" if self.found else "are not yet a discovery"
            return f"Together its {self.together} versions {verb} {among} ({numbers})."
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
    together = [_together(versions) for versions in hypotheses_by_name.values()]
    pvalues = [
        [_least(versions.get(number, {})) for number in range(1, max(versions) + 1)]
        if pool is None
        else pool.pvalue
        for versions, pool in zip(hypotheses_by_name.values(), together, strict=True)
    ]
    listed = discoveries(pvalues, hypotheses=hypotheses)
    count, found = max(hypotheses, len(listed)), {}
    for versions, pool, place in zip(hypotheses_by_name.values(), together, listed, strict=True):
        if pool is not None:
            for arm, arm_pvalue in pool.newest.items():
                counts = arm_pvalue <= place.level and (pool.versions > 1 or pool.success)
                found[arm] = Standing(place.pvalue, place.level, counts, count, pool.versions)
            continue
        for version, tried in versions.items():
            share = version_share(version - 1) / len(tried)
            for each in (trial for arms in tried.values() for trial in arms):
                counts = each.success and each.pvalue / share <= place.level
                found[each.key] = Standing(place.pvalue, place.level, counts, count)
    return found


@dataclass(frozen=True)
class _Pool:
    """A hypothesis whose versions count together.

    `newest` has the newest version that counts of each arm, with the arm's p-value for all arms.
    """

    pvalue: float
    versions: int
    success: bool
    newest: Mapping[Key, float]


def _together(versions: Mapping[int, Mapping[str, Sequence[Trial]]]) -> _Pool | None:
    """Return how the versions of a hypothesis count together; None where each counts for itself.

    They do if the first one is registered so. Several arms pay for each other (Bonferroni).
    """
    arms: dict[str, list[Trial]] = {}
    for _, tried in sorted(versions.items()):
        for each in (trial for those in tried.values() for trial in those):
            if each.tried is None or (not arms and not each.tried.terms.get("pool_versions")):
                return None
            arms.setdefault(each.key[2], []).append(each)
    pvalue, most, success = 1.0, 0, False
    newest: dict[Key, float] = {}
    for trials in arms.values():
        counts, _ = counted([each.tried for each in trials if each.tried is not None])
        if counts:
            last = next(each for each in reversed(trials) if each.tried is counts[-1])
            newest[last.key] = min(1.0, len(arms) * pooled_pvalue(counts))
            pvalue, most = min(pvalue, newest[last.key]), max(most, len(counts))
            success = success or last.success
    return _Pool(pvalue, most, success, newest)


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
    if standing is not None and standing.together > 1:
        found = "a" if standing.found else "not yet a"
        return f"{said}, its versions together {found} discovery"
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
