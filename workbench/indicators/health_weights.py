"""Weights of a health score: the cases they are learned from, scaling, equal and learned weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """Cases, one per row: a customer's indicators in a period, and the outcome `horizon` periods later.

    `customers` and `periods` are positions; `periods` are those of the indicators. `values` is cases
    x indicators, NaN where missing. `outcomes` are oriented so that higher is good (yes/no: 1).
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
        """The outcomes turned around: higher is bad (yes/no: 1)."""
        return 1 - self.outcomes if self.yes_no else -self.outcomes

    def before(self, period: int) -> Cases:
        """Return the cases whose outcome was known before a period."""
        return self.where(self.periods + self.horizon < period)

    def since(self, period: int) -> Cases:
        """Return the cases whose indicators are of this period or later."""
        return self.where(self.periods >= period)

    def where(self, kept: Array) -> Cases:
        """Return the cases selected by a mask."""
        return replace(
            self,
            customers=self.customers[kept],
            periods=self.periods[kept],
            values=self.values[kept],
            outcomes=self.outcomes[kept],
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
    """Return all cases with at least one known indicator, and a known outcome `horizon` later.

    Args:
        panels: Indicators by name, each customers x periods, NaN where missing.
        outcome: The lagging indicator, customers x periods; each value makes at most one case.
        yes_no: Whether the outcome is yes (1) or no (0).
        good_high: Whether a high outcome is good.
        horizon: Periods between the indicators and the outcome.
        carry: Periods for which a missing indicator keeps its last value.

    Raises:
        ValueError: If shapes differ, an argument is out of range, or a yes/no outcome is not 1 or 0.

    Example:
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
    values = stack_panels(panels, carry)[:, : outcome.shape[1] - horizon]
    later = outcome[:, horizon:]
    who, when = np.nonzero(~np.isnan(later) & ~np.isnan(values).all(axis=2))
    outcomes = later[who, when]
    if not good_high:
        outcomes = 1 - outcomes if yes_no else -outcomes
    return Cases(
        tuple(panels), who, when, values[who, when], outcomes, yes_no=yes_no, horizon=horizon
    )


def stack_panels(panels: Mapping[str, Array], carry: int) -> Array:
    """Stack panels as customers x periods x indicators; missing values keep the last for `carry` periods."""
    import pandas as pd

    filled = (np.asarray(each, dtype=float) for each in panels.values())
    if carry:
        filled = (pd.DataFrame(each.T).ffill(limit=carry).to_numpy().T for each in filled)
    return np.stack(list(filled), axis=2)


def first_test_period(cases: Cases) -> int:
    """Return the last period that leaves a third of the cases to the test; 0 without cases."""
    if not len(cases):
        return 0
    since = np.cumsum(np.bincount(cases.periods)[::-1])[::-1]
    return int(np.flatnonzero(since >= TEST_SHARE * len(cases))[-1])


@dataclass(frozen=True)
class Scaling:
    """A common scale for indicators, on which higher is healthier.

    "robust z" is (value - median) / (1.4826 x median absolute deviation) of the reference values,
    clipped at 3; it uses the standard deviation if more than half of the values are the same. "rank"
    is the value's rank among the reference values, from -1 to 1. `reference` names those values.
    """

    method: ScalingMethod
    names: tuple[str, ...]
    better_higher: tuple[bool, ...]
    center: tuple[float, ...]
    spread: tuple[float, ...]
    sorted_values: tuple[tuple[float, ...], ...]
    reference: str

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        values: Array,
        *,
        better_higher: Mapping[str, bool],
        method: ScalingMethod = "robust z",
        reference: str = "",
    ) -> Scaling:
        """Return the scale of reference values.

        Args:
            names: The indicators.
            values: Reference values, cases x indicators.
            better_higher: Whether higher is healthier, by indicator; True unless given.
            method: "robust z" or "rank".
            reference: What messages call the reference values.

        Raises:
            ValueError: If an indicator has no values, or always the same.

        Example:
            >>> scaling = Scaling.fit(["nps"], np.array([[6.0], [7.0], [9.0]]), better_higher={})
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
            ranked = map(_rank_share, values.T, self.sorted_values)
            scaled = np.column_stack(list(ranked))
        else:
            scaled = (values - np.array(self.center)) / np.array(self.spread)
            scaled = np.clip(scaled, -MOST_Z, MOST_Z)
        return np.asarray(scaled * np.where(self.better_higher, 1.0, -1.0))


@dataclass(frozen=True)
class Weights:
    """A weight for each indicator; their absolute values add up to 1.

    `events` counts the cases of the rarer outcome (for numbers: the customers) available for
    learning, `needed` the number required. `penalty` is the one chosen by cross-validation. `reason`
    says why no weights were learned.
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
        """Return each case's score and its confidence, from 0 to 1.

        The score is the weighted mean of the known indicators, the confidence the share of the
        weights that they have. A case without a known indicator has the score NaN.

        >>> weights = weights_by_hand({"nps": 3, "activity": 1}, ["nps", "activity"])
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


def equal_weights(names: Sequence[str]) -> Weights:
    """Return the same weight for each indicator."""
    return Weights("equal", tuple(names), (1 / len(names),) * len(names))


def weights_by_hand(given: Mapping[str, float], names: Sequence[str]) -> Weights:
    """Return weights chosen by a person, scaled; indicators that are not named weigh 0.

    Raises:
        ValueError: For an unknown indicator, a weight that is no number, or only zeros.
    """
    for name, weight in given.items():
        if name not in names:
            raise ValueError(unknown_name("indicator", name, names))
        if not math.isfinite(weight):
            raise ValueError(f"the weight of {name} is {weight}; it must be a number")
    total = sum(abs(weight) for weight in given.values())
    if not total:
        raise ValueError("all weights are 0; give at least one indicator a weight")
    return Weights("by hand", tuple(names), tuple(given.get(name, 0) / total for name in names))


def events_for_learning(
    outcomes: Array, customers: Array, weights: int, *, yes_no: bool, what: str = "events"
) -> tuple[int, int, str]:
    """Count the events for learning weights: how many there are, how many it takes, why it fails.

    It takes ten of the rarer outcome per weight (Peduzzi et al. 1996), or ten customers for numbers.
    That is no guarantee (van Smeden et al. 2016), so weights are penalized as well.

    >>> events_for_learning(np.arange(40) < 14, np.arange(40), 4, yes_no=True, what="renewals")
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


def learn_weights(
    names: Sequence[str],
    scaled: Array,
    outcomes: Array,
    customers: Array,
    *,
    yes_no: bool,
    what: str = "events",
) -> Weights:
    """Learn weights that predict good outcomes; return equal weights with a reason if that fails.

    Yes/no outcomes have a ridge-penalized logistic regression, numbers a ridge regression. The
    penalty has the lowest loss in a cross-validation that keeps each customer's cases together.

    Args:
        names: The indicators.
        scaled: Cases x indicators on one scale; a missing value counts as 0, the middle.
        outcomes: One per case; higher is good (yes/no: 1).
        customers: The customer of each case.
        yes_no: Whether outcomes are yes or no.
        what: What messages call the rarer outcome.
    """
    events, needed, reason = events_for_learning(
        outcomes, customers, len(names), yes_no=yes_no, what=what
    )
    if reason:
        return Weights(
            "equal", tuple(names), equal_weights(names).values, events, needed, reason=reason
        )
    from sklearn.model_selection import GroupKFold

    filled, outcomes = np.nan_to_num(scaled), np.asarray(outcomes, dtype=float)
    if not yes_no:
        outcomes = (outcomes - outcomes.mean()) / (outcomes.std() or 1.0)
    folds = list(GroupKFold(FOLDS).split(filled, groups=customers))
    if yes_no:
        folds = [(some, rest) for some, rest in folds if np.ptp(outcomes[some])]

    def loss(penalty: float) -> float:
        """Add up the losses of all folds."""
        fits = (_fit(filled[some], outcomes[some], penalty, yes_no) for some, _ in folds)
        return sum(
            _loss(filled[rest], outcomes[rest], fitted, yes_no)
            for (_, rest), fitted in zip(folds, fits, strict=True)
        )

    penalty = min(PENALTIES, key=loss)
    found, _ = _fit(filled, outcomes, penalty, yes_no)
    total = float(np.abs(found).sum())
    if not total:
        said = "no indicator predicts the outcome, so no weights were learned"
        return Weights(
            "equal", tuple(names), equal_weights(names).values, events, needed, penalty, said
        )
    values = tuple(float(each) / total for each in found)
    return Weights("learned", tuple(names), values, events, needed, penalty)


def _fit(columns: Array, outcomes: Array, penalty: float, yes_no: bool) -> tuple[Array, float]:  # noqa: FBT001
    """Return the coefficients and the intercept."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if yes_no:
        model = LogisticRegression(C=1 / penalty, max_iter=200)
        model.fit(columns, outcomes)
        return model.coef_[0], float(model.intercept_[0])
    model = Ridge(alpha=penalty)
    model.fit(columns, outcomes)
    return model.coef_, float(model.intercept_)


def _loss(columns: Array, outcomes: Array, fitted: tuple[Array, float], yes_no: bool) -> float:  # noqa: FBT001
    predicted = columns @ fitted[0] + fitted[1]
    if yes_no:
        return float(np.logaddexp(0, predicted).sum() - outcomes @ predicted)
    return float(((outcomes - predicted) ** 2).sum())


def _rank_share(values: Array, reference: Sequence[float]) -> Array:
    """Return the share of the reference below each value, ties counting half, from -1 to 1."""
    from scipy.stats import percentileofscore

    return np.asarray(percentileofscore(reference, values, kind="mean") / 50 - 1)
