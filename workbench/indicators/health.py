"""The health score: a weighted score per customer, validated on later outcomes, and its levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.display import capital, number, with_interval
from workbench.errors import StudyError
from workbench.indicators.health_weights import (
    Cases,
    Scaling,
    ScalingMethod,
    Weights,
    equal_weights,
    find_cases,
    first_test_period,
    learn_weights,
    stack_panels,
    weights_by_hand,
)
from workbench.indicators.lags import count_of
from workbench.indicators.pairs import Cohort, Pairs
from workbench.indicators.values import Indicators
from workbench.stats import discrimination
from workbench.stats.discrimination import Band, Calibration, Lift, Measure, risk_bands

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
Level = Literal["healthy", "watch", "at risk", "unknown"]
Comparison = Literal["better", "no better", "worse", "unknown"]
ChosenWeights = Mapping[str, float] | Literal["equal", "learned"]
MOST_BANDS, FEWEST_CASES = 5, 20
OUTSIDE = 0.05  # probability that some band's interval misses its rate
CHANGE, DRAWS = 0.25, 200  # standard deviation of the changes of weights, and how many
COMPARED = {
    "better": "are better than equal weights",
    "no better": "are no better than equal weights",
    "worse": "are worse than equal weights",
    "unknown": "cannot be compared with equal weights",
}


@dataclass(frozen=True)
class Levels:
    """Bands of scores, the lowest first, with the outcomes of their cases and their levels.

    A band is "at risk" if the interval of its rate of bad outcomes lies above the rate of all cases,
    "healthy" if it lies below, else "watch". The intervals hold simultaneously at 95% (Bonferroni).
    A band is at risk only if every lower one is, and healthy only if every higher one is. `cuts` are
    the highest scores of all bands but the last.
    """

    bands: tuple[Band, ...] = ()
    levels: tuple[Level, ...] = ()
    cuts: tuple[float, ...] = ()
    base: Band | None = None
    reason: str = ""

    def level(self, score: float) -> Level:
        """Return the level of a score; "unknown" for NaN, and if nothing was validated."""
        if math.isnan(score) or not self.levels:
            return "unknown"
        return self.levels[int(np.searchsorted(self.cuts, score, side="left"))]


@dataclass(frozen=True, slots=True)
class Stability:
    """How much ranks change if each weight changes at random by about a quarter.

    `rank_correlation` is the median correlation with the original ranks; 95 of 100 changes have more
    than `low`. In the median, `kept` of the `worst` tenth stay in it.
    """

    rank_correlation: float
    low: float
    kept: int
    worst: int


def validated_levels(scores: Array, bad: Array, customers: Array, *, yes_no: bool) -> Levels:
    """Divide test cases into bands of equal size by score, and assign their levels."""
    known = ~np.isnan(scores)
    scores, bad, customers = scores[known], bad[known], customers[known]
    bands = min(MOST_BANDS, len(scores) // FEWEST_CASES)
    if bands < 2:
        said = f"too few cases to validate levels: {len(scores)} of {2 * FEWEST_CASES}"
        return Levels(reason=said)
    (base,) = risk_bands(-scores, bad, customers, 1, yes_no=yes_no)
    level = 1 - OUTSIDE / bands
    cut = risk_bands(-scores, bad, customers, bands, yes_no=yes_no, confidence_level=level)
    ordered = np.sort(scores)
    worst_first = cut[::-1]  # the lowest scores are the highest risks
    ends = np.cumsum([each.cases for each in worst_first])[:-1]
    cuts = tuple(float(ordered[end - 1]) for end in ends)
    at_risk = np.logical_and.accumulate([each.low > base.rate for each in worst_first])
    healthy = np.logical_and.accumulate([each.high < base.rate for each in cut])[::-1]
    levels: list[Level] = [
        "at risk" if risky else "healthy" if well else "watch"
        for risky, well in zip(at_risk, healthy, strict=True)
    ]
    bands_of_scores = tuple(replace(each, predicted=-each.predicted) for each in worst_first)
    return Levels(bands_of_scores, tuple(levels), cuts, base)


def stability(weights: Weights, scaled: Array, *, seed: int = 0) -> Stability:
    """Rank again with weights changed by random factors (standard deviation about a quarter)."""
    from scipy.stats import rankdata

    scores, _ = weights.score(scaled)
    known = scaled[~np.isnan(scores)]
    if len(known) < 2:
        return Stability(math.nan, math.nan, 0, 0)
    scores, _ = weights.score(known)
    count = math.ceil(len(known) / 10)
    worst = set(np.argsort(scores, kind="stable")[:count].tolist())
    rng = np.random.default_rng(seed)
    rows, kept = [scores], []
    for factors in np.exp(CHANGE * rng.normal(size=(DRAWS, len(weights.values)))):
        changed = np.array(weights.values) * factors
        other = Weights(weights.kind, weights.names, tuple(changed / np.abs(changed).sum()))
        rows.append(other.score(known)[0])
        kept.append(len(worst & set(np.argsort(rows[-1], kind="stable")[:count].tolist())))
    with np.errstate(invalid="ignore"):
        alike = np.asarray(np.corrcoef(rankdata(rows, axis=1)))[0, 1:]  # Spearman's
    low, middle = np.quantile(alike, [0.05, 0.5])
    return Stability(float(middle), float(low), int(np.median(kept)), count)


@dataclass(frozen=True)
class Validation:
    """How well weights predicted the lagging indicator, on cases after those they were learned from.

    `discrimination` is the AUC for yes/no outcomes and Spearman's correlation for numbers; `measure`
    names it. `lead` is its difference from that of equal weights. `events` of the `cases` had the bad
    outcome (0 for numbers).
    """

    weights: Weights
    measure: str
    cases: int
    events: int
    customers: int
    discrimination: Measure
    calibration: Calibration
    lift: Lift
    lead: Measure

    @property
    def better(self) -> Comparison:
        """Whether the weights predict better than equal ones, by the interval of the lead."""
        if math.isnan(self.lead.low) or math.isnan(self.lead.high):
            return "unknown"
        if self.lead.low > 0:
            return "better"
        return "worse" if self.lead.high < 0 else "no better"


@dataclass(frozen=True, slots=True)
class CustomerHealth:
    """One customer's health now; rank 1 is the lowest score, and a higher score is healthier.

    `risk` is the predicted probability of the bad outcome; for numbers the predicted outcome, turned
    so that higher is worse.
    """

    customer: str
    rank: int
    score: float
    confidence: float
    risk: float
    level: Level


@dataclass(frozen=True)
class Health:
    """A health score: its weights, its validation, and the score of each present customer.

    `validations` has equal weights first and the weights in use last; if it is empty, `reason` says
    why. `bad` names the bad outcome, such as "renewal = no". `tested_from` is the first period of the
    validation.
    """

    lagging: str
    bad: str
    horizon: int
    tested_from: str
    scaling: Scaling
    weights: Weights
    validations: tuple[Validation, ...]
    levels: Levels
    stability: Stability
    customers: tuple[CustomerHealth, ...]
    reason: str = ""

    @property
    def validation(self) -> Validation | None:
        """The validation of the weights in use; None without a validation."""
        return self.validations[-1] if self.validations else None

    @property
    def sentence(self) -> str:
        """What the weights are worth, or why that is unknown."""
        found = self.validation
        if found is None:
            return f"{capital(self.reason)}."
        cases = f"{found.cases:,} cases of {found.customers:,} customers"
        if found.measure == "AUC":
            cases += f", {found.events:,} of them with {self.bad}"
        on = f"out of time, from {self.tested_from} on: {cases}"
        worth = f"{found.measure} {measure_text(found.discrimination, sign=False)}"
        if found.weights.kind == "equal":
            why = f"{capital(self.weights.reason)}; equal" if self.weights.reason else "Equal"
            return f"{why} weights: {worth} ({on})."
        who = "Learned weights" if found.weights.kind == "learned" else "These weights"
        base = self.validations[0].discrimination
        return (
            f"{who} {COMPARED[found.better]}: {worth} against {number(base.estimate)}, a lead of "
            f"{measure_text(found.lead)} ({on})."
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row per customer, the lowest score first."""
        import pandas as pd

        return pd.DataFrame(self.customers, columns=list(CustomerHealth.__annotations__))


def measure_text(found: Measure, *, sign: bool = True) -> str:
    """Write a measure with its interval."""
    return with_interval(found.estimate, found.low, found.high, sign=sign)


def customer_health(
    indicators: Indicators,
    lagging: str,
    *,
    leading: Sequence[str] | None = None,
    weights: ChosenWeights = "learned",
    horizon: int = 1,
    carry: int = 0,
    scaling: ScalingMethod = "robust z",
    test_from: int | None = None,
) -> Health:
    """Score customers by leading indicators, and validate the score on a lagging one.

    Args:
        indicators: The indicators of a study (`Study.indicators`).
        lagging: The lagging indicator that the score should predict.
        leading: Leading indicators in the score; unless given, all with values per customer.
        weights: "learned", "equal", or weights by indicator; their sizes are scaled to add up to 1.
        horizon: Periods between the indicators and the outcome.
        carry: Periods for which a missing indicator keeps its last value.
        scaling: "robust z" or "rank"; see `Scaling`.
        test_from: Position of the first period of the validation. Weights, scale and risks are
            learned from outcomes before. Unless given, the last period that leaves a third of the
            cases to the validation.

    Returns:
        The score, with its sentence. Without enough data weights are equal, and the reason is given.

    Raises:
        StudyError: For an indicator that is unknown, or has no values per customer.
        ValueError: For an indicator that never changes, or an argument out of range.

    Example:
        >>> from workbench.study import Study
        >>> found = Study.load("studies/guided-import/study.yaml").indicators()
        >>> health = customer_health(found, "renewal", horizon=4, carry=3)
        >>> health.validation.better, health.customers[0].level
        ('no better', 'at risk')
    """
    names = list(indicators.leading_by_customer if leading is None else leading)
    if not names:
        msg = "no leading indicator has values per customer; a health score needs one or more"
        raise StudyError(msg)
    panels = indicators.panel([*names, lagging])
    outcome = panels.pop(lagging)
    definitions = indicators.definitions
    return health_from_panels(
        panels,
        outcome,
        lagging=lagging,
        yes_no=definitions[lagging].yes_no,
        better_higher={each: definitions[each].higher_is_better for each in (*names, lagging)},
        weights=weights,
        horizon=horizon,
        carry=carry,
        scaling=scaling,
        test_from=test_from,
        customers=indicators.customers,
        labels=indicators.periods.names,
        present=indicators.present[:, -1],
    )


def health_from_panels(
    panels: Mapping[str, Array],
    outcome: Array,
    *,
    lagging: str = "outcome",
    yes_no: bool = True,
    better_higher: Mapping[str, bool] | None = None,
    weights: ChosenWeights = "learned",
    horizon: int = 1,
    carry: int = 0,
    scaling: ScalingMethod = "robust z",
    test_from: int | None = None,
    customers: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    present: Array | None = None,
) -> Health:
    """Score customers from arrays, and validate the score; see `customer_health` for the rest.

    Args:
        panels: Leading indicators by name, each customers x periods, NaN where missing.
        outcome: The lagging indicator, customers x periods.
        lagging: What messages call the outcome.
        yes_no: Whether the outcome is yes (1) or no (0).
        better_higher: Whether higher is good, by indicator and for the outcome; True unless given.
        weights: As for `customer_health`.
        horizon: As for `customer_health`.
        carry: As for `customer_health`.
        scaling: As for `customer_health`.
        test_from: As for `customer_health`.
        customers: Names of the customers; numbers from 1 unless given.
        labels: Names of the periods; numbers from 1 unless given.
        present: Which customers are there now; all unless given.

    Raises:
        ValueError: For an indicator that never changes, shapes that differ, or an argument out of
            range.
    """
    higher = dict(better_higher or {})
    good_high = higher.get(lagging, True)
    options = {"yes_no": yes_no, "good_high": good_high, "horizon": horizon, "carry": carry}
    found = find_cases(panels, outcome, **options)  # type: ignore[arg-type] # of several types
    length = outcome.shape[1]
    names = labels or [str(place + 1) for place in range(length)]
    start = max(first_test_period(found), 1) if test_from is None else test_from
    if not 0 < start < length:
        raise ValueError(f"test_from is {start}; it must lie between 0 and the {length} periods")
    train, test = found.before(start), found.since(start)
    bad = f"{lagging} = {'no' if good_high else 'yes'}" if yes_no else lagging
    seen = stack_panels(panels, carry)
    scale = Scaling.fit(
        found.names,
        seen[:, :start].reshape(-1, len(found.names)),
        better_higher=higher,
        method=scaling,
        reference=f"{names[0]} to {names[start - 1]}",
    )
    chosen = _make_weights(weights, scale, train, bad)
    reason = _reason_not_validated(train, test, bad)
    validations: tuple[Validation, ...] = ()
    levels = Levels(reason=reason)
    if not reason:
        tried = [chosen] if chosen.kind == "equal" else [equal_weights(found.names), chosen]
        validations = _validate(tried, scale, train, test)
        scores, _ = chosen.score(scale.apply(test.values))
        levels = validated_levels(scores, test.bad, test.customers, yes_no=yes_no)
    here = np.ones(len(seen), dtype=bool) if present is None else np.asarray(present)
    scaled = scale.apply(seen[here, -1])
    who = np.array(customers or [str(place + 1) for place in range(len(seen))], dtype=object)[here]
    return Health(
        lagging,
        bad,
        horizon,
        names[start],
        scale,
        chosen,
        validations,
        levels,
        stability(chosen, scaled),
        _rank_customers(who, *chosen.score(scaled), _risk_model(chosen, scale, train), levels),
        reason,
    )


def _make_weights(chosen: ChosenWeights, scale: Scaling, train: Cases, bad: str) -> Weights:
    if chosen == "equal":
        return equal_weights(scale.names)
    if chosen != "learned":
        return weights_by_hand(dict(chosen), scale.names)
    what = f"cases with {bad}" if train.yes_no else f"customers with {bad}"
    scaled = scale.apply(train.values)
    return learn_weights(
        scale.names, scaled, train.outcomes, train.customers, yes_no=train.yes_no, what=what
    )


def _reason_not_validated(train: Cases, test: Cases, bad: str) -> str:
    """Say why the score cannot be validated; empty if it can."""
    for cases, when in ((train, "before"), (test, "in")):
        if len(cases) < 2:
            return f"there are {len(cases)} cases {when} the test, too few to validate the score"
        if np.ptp(cases.outcomes) == 0:
            if cases.yes_no:
                said = "all" if cases.bad.all() else "none"
                return f"{said} of the {len(cases)} cases {when} the test had {bad}, so the score cannot be validated"
            return f"{bad} is the same in all {len(cases)} cases {when} the test, so the score cannot be validated"
    return ""


def _validate(
    tried: Sequence[Weights], scale: Scaling, train: Cases, test: Cases
) -> tuple[Validation, ...]:
    """Validate each of several weights on the test cases that all of them can score."""
    scores = [each.score(scale.apply(test.values))[0] for each in tried]
    known = np.asarray(~np.isnan(scores).any(axis=0))
    test, scores = test.where(known), [each[known] for each in scores]
    bad, who = test.bad, test.customers
    none = Measure(0.0, math.nan, math.nan, "these are the equal weights")
    risks = [
        _risk_model(each, scale, train)(score) for each, score in zip(tried, scores, strict=True)
    ]
    if test.yes_no:
        areas = [discrimination.auc(-each, bad, who) for each in scores]
        leads = [
            none,
            *(discrimination.auc_difference(-each, -scores[0], bad, who) for each in scores[1:]),
        ]
        held = [discrimination.calibration(each, bad, who) for each in risks]
    else:
        areas, after = discrimination.rank_correlation([-each for each in scores[::-1]], bad, who)
        areas, leads = areas[::-1], [none, *after[::-1][1:]]
        held = [discrimination.linear_calibration(each, bad, who) for each in risks]
    return tuple(
        Validation(
            weights=each,
            measure="AUC" if test.yes_no else "rank correlation",
            cases=len(test),
            events=int(bad.sum()) if test.yes_no else 0,
            customers=len(np.unique(who)),
            discrimination=areas[place],
            calibration=held[place],
            lift=discrimination.lift(-scores[place], bad, who, yes_no=test.yes_no),
            lead=leads[place],
        )
        for place, each in enumerate(tried)
    )


def _risk_model(chosen: Weights, scale: Scaling, train: Cases) -> Callable[[Array], Array]:
    """Fit the risk of a score on the cases before the test: logistic for yes/no, else linear."""
    scores, _ = chosen.score(scale.apply(train.values))
    known = ~np.isnan(scores)
    train, scores = train.where(known), scores[known]
    columns = np.column_stack([scores, np.ones(len(scores))])
    if len(train) < 3 or np.ptp(scores) == 0 or np.ptp(train.bad) == 0:
        return lambda score: np.full(len(score), np.nan)
    if train.yes_no:
        fitted = discrimination.logistic(columns, train.bad, train.customers)
        if fitted is None:
            return lambda score: np.full(len(score), np.nan)
        slope, level = fitted.params
        return lambda score: 1 / (1 + np.exp(-(slope * score + level)))
    slope, level = np.linalg.lstsq(columns, train.bad, rcond=None)[0]
    return lambda score: slope * score + level


def _rank_customers(
    who: Array,
    scores: Array,
    confidence: Array,
    risk_of: Callable[[Array], Array],
    levels: Levels,
) -> tuple[CustomerHealth, ...]:
    risks = risk_of(scores)
    return tuple(
        CustomerHealth(
            str(who[at]),
            rank,
            float(scores[at]),
            float(confidence[at]),
            float(risks[at]),
            levels.level(float(scores[at])),
        )
        for rank, at in enumerate(np.argsort(scores, kind="stable"), 1)  # NaN comes last
    )


@dataclass(frozen=True, eq=False)
class HealthScores:
    """The health scores of a study's customers under any weights; each score is computed once.

    Unless given, `lagging` is the first lagging indicator with values per customer, yes/no before
    others, and `horizon` the best lag of the surest pair found with it, or 1 without one.
    """

    pairs: Pairs
    lagging: str = ""
    horizon: int = 0
    _known: dict[Any, Health] = field(default_factory=dict, repr=False)

    @property
    def outcome(self) -> str:
        """The lagging indicator; raises StudyError if none has values per customer."""
        found = self.pairs.indicators()
        known = [name for name in found.lagging if name in found.by_customer]
        if self.lagging:
            return self.lagging
        if not known:
            raise StudyError(
                "no lagging indicator has values per customer; a health score needs one"
            )
        return next((name for name in known if found.definitions[name].yes_no), known[0])

    @property
    def periods_ahead(self) -> int:
        """The periods between the indicators and the outcome."""
        return self.horizon or self._found_lag or 1

    @property
    def leading(self) -> tuple[str, ...]:
        """The leading indicators that can have a weight."""
        return self.pairs.indicators().leading_by_customer

    def health(self, weights: ChosenWeights = "learned", cohort: Cohort = ()) -> Health:
        """Score the customers of a cohort; raise StudyError if there is no score."""
        key = tuple(weights.items()) if isinstance(weights, Mapping) else weights, cohort
        if key not in self._known:
            try:
                self._known[key] = customer_health(
                    self.pairs.indicators(cohort),
                    self.outcome,
                    weights=weights,
                    horizon=self.periods_ahead,
                )
            except ValueError as error:
                raise StudyError(f"no health score: {error}") from None
        return self._known[key]

    @property
    def reason(self) -> str:
        """Why there is no health score; empty if there is one."""
        try:
            self.health()
        except StudyError as error:
            return f"{error}"
        return ""

    @property
    def horizon_words(self) -> str:
        """How far ahead the score predicts, and why, in a sentence."""
        ahead = count_of(self.periods_ahead, self.pairs.period)
        said = f"The score predicts {self.outcome} {ahead} ahead"
        if self.horizon or not self._found_lag:
            return f"{said}."
        return (
            f"{said}, the lag found above. That lag was chosen with all {self.pairs.period}s, also "
            "those of the validation, so the validation is slightly optimistic."
        )

    @property
    def _found_lag(self) -> int:
        every = self.pairs.associations()
        lags = [each.best_lag for each in every if each.found and each.lagging == self.outcome]
        return next((lag for lag in lags if lag), 0)
