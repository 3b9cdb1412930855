"""Weights of a health score: scaling, equal and learned weights, and the cases they are learned from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.errors import unknown_name

Array = npt.NDArray[Any]
TEST_SHARE = 1 / 3
ScalingMethod = Literal["robust z", "rank"]
WeightKind = Literal["equal", "by hand", "learned"]
EVENTS_PER_WEIGHT = 10
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS = 5
MOST_Z = 3.0
NORMAL_MAD = 1.4826  # a normal distribution's standard deviation, in median absolute deviations


@dataclass(frozen=True, eq=False)
class Cases:
    """Cases by row: customer and period (places), indicators (NaN where missing), outcome.

    `outcomes` are oriented so that higher is good (1 is good for yes/no); `periods` are those of
    the indicators, and the outcomes are `horizon` periods later.
    """

    names: tuple[str, ...]
    customers: Array
    periods: Array
    values: Array = field(repr=False)
    outcomes: Array = field(repr=False)
    yes_no: bool
    horizon: int

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def bad(self) -> Array:
        """The outcomes turned around: 1 is bad for yes/no, higher is worse for numbers."""
        return 1 - self.outcomes if self.yes_no else -self.outcomes

    def before(self, period: int) -> Cases:
        """Keep the cases whose outcome was known before a period."""
        return self.where(self.periods + self.horizon < period)

    def since(self, period: int) -> Cases:
        """Keep the cases whose indicators are of a period, or later."""
        return self.where(self.periods >= period)

    def where(self, kept: Array) -> Cases:
        """Keep some cases."""
        return Cases(
            self.names,
            self.customers[kept],
            self.periods[kept],
            self.values[kept],
            self.outcomes[kept],
            yes_no=self.yes_no,
            horizon=self.horizon,
        )


def find_cases(
    panels: Mapping[str, Array],
    outcome: Array,
    *,
    yes_no: bool,
    good_high: bool = True,
    horizon: int = 1,
    carry: int = 0,
) -> Cases:
    """List each customer and period with a known indicator, and a known outcome `horizon` later.

    `panels` and `outcome` are customers x periods; each outcome makes at most one case. A missing
    indicator stands `carry` periods. Raises ValueError for shapes that differ, and for a yes/no
    outcome that is neither 1 nor 0.

    >>> nps = np.array([[8.0, np.nan, 6.0, 7.0]])
    >>> found = find_cases({"nps": nps}, np.array([[1, 1, 0, 1.0]]), yes_no=True, carry=1)
    >>> found.values[:, 0].tolist(), found.outcomes.tolist()
    ([8.0, 8.0, 6.0], [1.0, 0.0, 1.0])
    """
    outcome = np.asarray(outcome, dtype=float)
    if not 0 < horizon < outcome.shape[1]:
        msg = f"horizon is {horizon}; it must lie between 0 and the {outcome.shape[1]} periods"
        raise ValueError(msg)
    if carry < 0:
        raise ValueError(f"carry is {carry}; it must be 0 or more periods")
    for name, each in panels.items():
        if each.shape != outcome.shape:
            msg = f"{name} is {each.shape} and the outcome {outcome.shape}; give both for the same customers and periods"
            raise ValueError(msg)
    if yes_no and not np.isin(outcome[~np.isnan(outcome)], (0, 1)).all():
        raise ValueError("the outcome is no yes/no value everywhere; give 1, 0 or NaN")
    values = stacked(panels, carry)[:, : outcome.shape[1] - horizon]
    later = outcome[:, horizon:]
    who, when = np.nonzero(~np.isnan(later) & ~np.isnan(values).all(axis=2))
    outcomes = later[who, when]
    if not good_high:
        outcomes = 1 - outcomes if yes_no else -outcomes
    return Cases(
        tuple(panels), who, when, values[who, when], outcomes, yes_no=yes_no, horizon=horizon
    )


def stacked(panels: Mapping[str, Array], carry: int) -> Array:
    """Give panels as one array customers x periods x indicators, missing values carried on."""
    return np.stack([_carried(np.asarray(each, float), carry) for each in panels.values()], axis=2)


def start_of_test(cases: Cases) -> int:
    """Give the last period that leaves a third of the cases from it on; 0 without cases."""
    if not len(cases):
        return 0
    since = np.cumsum(np.bincount(cases.periods)[::-1])[::-1]
    return int(np.flatnonzero(since >= TEST_SHARE * len(cases))[-1])


def _carried(values: Array, carry: int) -> Array:
    filled = values.copy()
    for back in range(1, carry + 1):
        open_cells = np.isnan(filled[:, back:])
        filled[:, back:] = np.where(open_cells, values[:, :-back], filled[:, back:])
    return filled


@dataclass(frozen=True)
class Scaling:
    """How values of indicators come to one scale on which higher is healthier.

    "robust z" is (value - median) / (1.4826 x median absolute deviation) of the reference, cut at
    3; the standard deviation serves where more than half of the values are the same. "rank" is the
    share of the reference below the value, from -1 to 1. `reference` says whose values those were.
    """

    method: ScalingMethod
    names: tuple[str, ...]
    better_higher: tuple[bool, ...]
    center: tuple[float, ...]
    spread: tuple[float, ...]
    sorted_values: tuple[tuple[float, ...], ...]
    reference: str

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        values: Array,
        *,
        better_higher: Mapping[str, bool],
        method: ScalingMethod = "robust z",
        reference: str = "",
    ) -> Scaling:
        """Take the scale from reference values, cases x indicators; ValueError if one never changes.

        >>> scaling = Scaling.of(["nps"], np.array([[6.0], [7.0], [9.0]]), better_higher={})
        >>> scaling.apply(np.array([[7.0], [9.0]])).round(3).tolist()
        [[0.0], [1.349]]
        """
        known = [column[~np.isnan(column)] for column in np.asarray(values, dtype=float).T]
        for name, column in zip(names, known, strict=True):
            if not len(column) or np.ptp(column) == 0:
                what = f"is always {column[0]:g}" if len(column) else "has no values"
                msg = f"{name} {what} in {reference or 'the reference'}; leave it out of the score"
                raise ValueError(msg)
        center = tuple(float(np.median(column)) for column in known)
        spread = tuple(
            NORMAL_MAD * float(np.median(np.abs(column - middle))) or float(column.std())
            for column, middle in zip(known, center, strict=True)
        )
        kept = tuple(tuple(np.sort(column).tolist()) for column in known)
        higher = tuple(better_higher.get(name, True) for name in names)
        ranks = kept if method == "rank" else ()
        return cls(method, tuple(names), higher, center, spread, ranks, reference)

    def apply(self, values: Array) -> Array:
        """Scale cases x indicators; NaN stays NaN."""
        values = np.asarray(values, dtype=float)
        if self.method == "rank":
            scaled = np.column_stack(
                [
                    _rank(column, np.array(kept))
                    for column, kept in zip(values.T, self.sorted_values, strict=True)
                ]
            )
        else:
            scaled = (values - np.array(self.center)) / np.array(self.spread)
            scaled = np.clip(scaled, -MOST_Z, MOST_Z)
        return np.asarray(scaled * np.where(self.better_higher, 1.0, -1.0))


@dataclass(frozen=True)
class Weights:
    """A weight for each indicator; their sizes add up to 1. `reason` says why none were learned.

    `events` counts the rarer outcome (for numbers: customers) that learning could rest on, `needed`
    how many it takes; `penalty` is the one that did best within the cases learned from.
    """

    kind: WeightKind
    names: tuple[str, ...]
    values: tuple[float, ...]
    events: int = 0
    needed: int = 0
    penalty: float = math.nan
    reason: str = ""

    @property
    def by_name(self) -> dict[str, float]:
        """The weight of each indicator."""
        return dict(zip(self.names, self.values, strict=True))

    def score(self, scaled: Array) -> tuple[Array, Array]:
        """Give each case's score and confidence, from 0 to 1, by its known indicators.

        The score is their weighted mean: a missing indicator takes its weight from the confidence,
        not from the score. A case with none has the score NaN and the confidence 0.

        >>> weights = by_hand({"nps": 3, "activity": 1}, ["nps", "activity"])
        >>> score, confidence = weights.score(np.array([[1.0, -1.0], [1.0, np.nan]]))
        >>> score.tolist(), confidence.tolist()
        ([0.5, 1.0], [1.0, 0.75])
        """
        weights = np.array(self.values)
        known = ~np.isnan(scaled)
        sizes = known @ np.abs(weights)
        total = np.where(known, scaled, 0.0) @ weights
        nothing = np.full(len(total), np.nan)
        return np.divide(total, sizes, out=nothing, where=sizes > 0), np.asarray(sizes)


def equal(names: Sequence[str]) -> Weights:
    """Give each indicator the same weight."""
    return Weights("equal", tuple(names), (1 / len(names),) * len(names))


def by_hand(given: Mapping[str, float], names: Sequence[str]) -> Weights:
    """Take weights that a person chose; names left out weigh 0. ValueError for an unknown name."""
    for name, weight in given.items():
        if name not in names:
            raise ValueError(unknown_name("indicator", name, names))
        if not math.isfinite(weight):
            raise ValueError(f"the weight of {name} is {weight}; it must be a number")
    total = sum(abs(weight) for weight in given.values())
    if not total:
        raise ValueError("all weights are 0; give at least one indicator a weight")
    return Weights("by hand", tuple(names), tuple(given.get(name, 0) / total for name in names))


def enough(
    outcomes: Array, customers: Array, weights: int, *, yes_no: bool, what: str = "events"
) -> tuple[int, int, str]:
    """Count what weights could be learned from, and what it takes; and say so if it is too little.

    At least 10 of the rarer outcome per weight (Peduzzi et al. 1996), or 10 customers for numbers.
    That many are no guarantee (van Smeden et al. 2016): so weights are penalised all the same.

    >>> enough(np.arange(40) < 14, np.arange(40), 4, yes_no=True, what="renewals")
    (14, 40, 'not enough renewals to learn weights: 14 of 40')
    """
    needed = EVENTS_PER_WEIGHT * weights
    if yes_no:
        yes = int(np.sum(outcomes))
        events = min(yes, len(outcomes) - yes)
    else:
        events = len(np.unique(customers))
    reason = f"not enough {what} to learn weights: {events} of {needed}" if events < needed else ""
    return events, needed, reason


def learn(
    names: Sequence[str],
    scaled: Array,
    outcomes: Array,
    customers: Array,
    *,
    yes_no: bool,
    what: str = "events",
) -> Weights:
    """Learn weights that foretell good outcomes, or give equal ones with the reason.

    A ridge-penalised logistic model for yes/no outcomes (1 is good), ridge regression for numbers
    (higher is good). A missing value stands at the reference's middle, 0. The penalty is the one
    with the lowest loss in cross-validation that keeps each customer's cases together.
    """
    events, needed, reason = enough(outcomes, customers, len(names), yes_no=yes_no, what=what)
    if reason:
        return Weights("equal", tuple(names), equal(names).values, events, needed, reason=reason)
    from sklearn.model_selection import GroupKFold

    filled, outcomes = np.nan_to_num(scaled), np.asarray(outcomes, dtype=float)
    if not yes_no:
        outcomes = (outcomes - outcomes.mean()) / (outcomes.std() or 1.0)
    folds = list(GroupKFold(FOLDS).split(filled, groups=customers))
    if yes_no:
        folds = [(some, rest) for some, rest in folds if np.ptp(outcomes[some])]
    losses = [
        sum(
            _loss(
                filled[rest],
                outcomes[rest],
                _fit(filled[some], outcomes[some], each, yes_no),
                yes_no,
            )
            for some, rest in folds
        )
        for each in PENALTIES
    ]
    penalty = PENALTIES[int(np.argmin(losses))]
    found, _ = _fit(filled, outcomes, penalty, yes_no)
    total = float(np.abs(found).sum())
    if not total:
        said = "no indicator foretells the outcome, so no weights were learned"
        return Weights("equal", tuple(names), equal(names).values, events, needed, penalty, said)
    values = tuple(float(each) / total for each in found)
    return Weights("learned", tuple(names), values, events, needed, penalty)


def _fit(columns: Array, outcomes: Array, penalty: float, yes_no: bool) -> tuple[Array, float]:  # noqa: FBT001
    """Give the coefficients and the intercept."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if yes_no:
        model = LogisticRegression(C=1 / penalty, max_iter=200)
        model.fit(columns, outcomes)
        return model.coef_[0], float(model.intercept_[0])
    model = Ridge(alpha=penalty)
    model.fit(columns, outcomes)
    return model.coef_, float(model.intercept_)


def _loss(columns: Array, outcomes: Array, fitted: tuple[Array, float], yes_no: bool) -> float:  # noqa: FBT001
    foretold = columns @ fitted[0] + fitted[1]
    if yes_no:
        return float(np.logaddexp(0, foretold).sum() - outcomes @ foretold)
    return float(((outcomes - foretold) ** 2).sum())


def _rank(values: Array, reference: Array) -> Array:
    """Give the share of the reference below, ties counting half, from -1 to 1."""
    below = np.searchsorted(reference, values, "left") + np.searchsorted(reference, values, "right")
    return np.where(np.isnan(values), np.nan, below / len(reference) - 1)
