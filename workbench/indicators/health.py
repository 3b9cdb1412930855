"""The health score: a weighted score per customer, validated on what came later, and its levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.errors import StudyError
from workbench.indicators import health_weights
from workbench.indicators.health_weights import (
    Cases,
    Scaling,
    ScalingMethod,
    Weights,
    find_cases,
    stacked,
    start_of_test,
)
from workbench.indicators.lags import count_of
from workbench.indicators.pairs import Cohort, Pairs
from workbench.indicators.values import Indicators
from workbench.stats import discrimination
from workbench.stats.discrimination import Band, Calibration, Lift, Measure, risk_bands, spearman

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
Level = Literal["healthy", "watch", "at risk", "unknown"]
MOST_BANDS, FEWEST_CASES = 5, 20
OUTSIDE = 0.05
CHANGE, DRAWS = 0.25, 200
Better = Literal["better", "no better", "worse", "unknown"]
Given = Mapping[str, float] | Literal["equal", "learned"]
SAID = {
    "better": "are better than equal weights",
    "no better": "are no better than equal weights",
    "worse": "are worse than equal weights",
    "unknown": "cannot be compared with equal weights",
}


@dataclass(frozen=True)
class Levels:
    """Bands of scores from the lowest on, what came of the cases in each, and its level.

    A band is "at risk" if the interval of its rate of bad outcomes lies above the rate of all cases,
    "healthy" if it lies below, else "watch". The intervals of all bands hold together at 95 %
    (Bonferroni). Levels do not skip: a band is at risk only if every lower one is, and healthy only
    if every higher one is. `cuts` are the highest scores of all bands but the last.
    """

    bands: tuple[Band, ...] = ()
    levels: tuple[Level, ...] = ()
    cuts: tuple[float, ...] = ()
    base: Band | None = None
    reason: str = ""

    def of(self, score: float) -> Level:
        """Give the level of a score; "unknown" for NaN, and where nothing was validated."""
        if math.isnan(score) or not self.levels:
            return "unknown"
        return self.levels[int(np.searchsorted(self.cuts, score, side="left"))]


@dataclass(frozen=True, slots=True)
class Stability:
    """How ranks hold when each weight is changed at random by about a quarter.

    `rank_correlation` with the ranks as they are, in the median; 95 of 100 changes keep more than
    `low`. `kept` of the `worst` tenth stay there, in the median.
    """

    rank_correlation: float
    low: float
    kept: int
    worst: int


def validated_levels(scores: Array, bad: Array, customers: Array, *, yes_no: bool) -> Levels:
    """Cut test cases into bands of equal numbers by score, and give each its level."""
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
    foretold = [
        Band(-each.predicted, each.events, each.cases, each.rate, each.low, each.high)
        for each in worst_first
    ]
    return Levels(tuple(foretold), tuple(levels), cuts, base)


def stability(weights: Weights, scaled: Array, *, seed: int = 0) -> Stability:
    """Change weights by factors with a standard deviation of about a quarter, and rank anew."""
    scores, _ = weights.score(scaled)
    known = scaled[~np.isnan(scores)]
    if len(known) < 2:
        return Stability(math.nan, math.nan, 0, 0)
    scores, _ = weights.score(known)
    count = math.ceil(len(known) / 10)
    worst = set(np.argsort(scores, kind="stable")[:count].tolist())
    rng = np.random.default_rng(seed)
    alike, kept = [], []
    for factors in np.exp(CHANGE * rng.normal(size=(DRAWS, len(weights.values)))):
        changed = np.array(weights.values) * factors
        other = Weights(weights.kind, weights.names, tuple(changed / np.abs(changed).sum()))
        again, _ = other.score(known)
        alike.append(spearman(scores, again))
        kept.append(len(worst & set(np.argsort(again, kind="stable")[:count].tolist())))
    low, middle = np.quantile(alike, [0.05, 0.5])
    return Stability(float(middle), float(low), int(np.median(kept)), count)


@dataclass(frozen=True)
class Validation:
    """How well weights foretold the lagging indicator, on cases later than all that they rest on.

    `discrimination` is the AUC of yes/no outcomes, Spearman's correlation of numbers (`measure`
    says which); `lead` is how much higher it is than with equal weights. `events` of the `cases`
    had the bad outcome (0 for numbers).
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
    def better(self) -> Better:
        """Whether the weights foretell better than equal ones: if the lead's interval says so."""
        if math.isnan(self.lead.low) or math.isnan(self.lead.high):
            return "unknown"
        if self.lead.low > 0:
            return "better"
        return "worse" if self.lead.high < 0 else "no better"


@dataclass(frozen=True, slots=True)
class CustomerHealth:
    """One customer now: rank (1 is the lowest score), score, confidence, risk, level.

    A higher score is healthier. `risk` is the foretold chance of the bad outcome; for numbers the
    foretold outcome, turned so that higher is worse.
    """

    customer: str
    rank: int
    score: float
    confidence: float
    risk: float
    level: Level


@dataclass(frozen=True)
class Health:
    """A health score: how it is made, what it is worth, and each present customer's.

    `validations` holds equal weights first, and the weights in use last. `reason` says why nothing
    was validated. `bad` names the bad outcome, such as "renewal = no".
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
        """The validation of the weights in use; None if there is a reason for it."""
        return self.validations[-1] if self.validations else None

    @property
    def sentence(self) -> str:
        """Say what the weights are worth, or why nothing is known."""
        found = self.validation
        if found is None:
            return f"{_capital(self.reason)}."
        cases = f"{found.cases:,} cases of {found.customers:,} customers"
        if found.measure == "AUC":
            cases += f", {found.events:,} of them with {self.bad}"
        on = f"out of time, from {self.tested_from} on: {cases}"
        worth = f"{found.measure} {_interval(found.discrimination)}"
        if found.weights.kind == "equal":
            why = f"{_capital(self.weights.reason)}; equal" if self.weights.reason else "Equal"
            return f"{why} weights: {worth} ({on})."
        who = "Learned weights" if found.weights.kind == "learned" else "These weights"
        base = self.validations[0].discrimination
        return (
            f"{who} {SAID[found.better]}: {worth} against {_number(base.estimate)}, a lead of "
            f"{_interval(found.lead, sign='+')} ({on})."
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row a customer, the lowest score first."""
        import pandas as pd

        names = list(CustomerHealth.__annotations__)
        rows = [tuple(getattr(each, name) for name in names) for each in self.customers]
        return pd.DataFrame(rows, columns=names)


def customer_health(
    indicators: Indicators,
    lagging: str,
    *,
    leading: Sequence[str] | None = None,
    given: Given = "learned",
    horizon: int = 1,
    carry: int = 0,
    scaling: ScalingMethod = "robust z",
    test_from: int | None = None,
) -> Health:
    """Make a health score of leading indicators, held against a lagging one of the same study.

    `leading` are all that have values per customer unless given; the other arguments are those of
    `health`. Raises StudyError for an indicator without values per customer.
    """
    known = [name for name in indicators.leading if name in indicators.of_customers]
    names = known if leading is None else list(leading)
    if not names:
        msg = "no leading indicator has values per customer; a health score needs one or more"
        raise StudyError(msg)
    panels = indicators.panel([*names, lagging])
    outcome = panels.pop(lagging)
    definitions = indicators.definitions
    return health(
        panels,
        outcome,
        lagging=lagging,
        yes_no=definitions[lagging].yes_no,
        better_higher={each: definitions[each].higher_is_better for each in (*names, lagging)},
        given=given,
        horizon=horizon,
        carry=carry,
        scaling=scaling,
        test_from=test_from,
        customers=indicators.customers,
        labels=indicators.periods.names,
        present=indicators.present[:, -1],
    )


def health(
    panels: Mapping[str, Array],
    outcome: Array,
    *,
    lagging: str = "outcome",
    yes_no: bool = True,
    better_higher: Mapping[str, bool] | None = None,
    given: Given = "learned",
    horizon: int = 1,
    carry: int = 0,
    scaling: ScalingMethod = "robust z",
    test_from: int | None = None,
    customers: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    present: Array | None = None,
) -> Health:
    """Make a health score of panels, customers x periods, and validate it out of time.

    A case is a customer's indicators in a period, and the outcome `horizon` periods later; a missing
    indicator stands `carry` periods. Weights, scaling and risks rest on outcomes before the period
    `test_from` (its place), the validation on indicators from it on; unless given, it is the last
    that leaves a third of the cases for the test. `given` are weights by hand, "equal" or "learned"
    ones. `better_higher` says of indicators and outcome whether more is good, `present` which
    customers are there now. Raises ValueError for an indicator that never changes, for shapes that
    differ, and for arguments out of range.
    """
    higher = dict(better_higher or {})
    good_high = higher.get(lagging, True)
    options = {"yes_no": yes_no, "good_high": good_high, "horizon": horizon, "carry": carry}
    found = find_cases(panels, outcome, **options)  # type: ignore[arg-type] # of several types
    length = outcome.shape[1]
    names = labels or [str(place + 1) for place in range(length)]
    start = max(start_of_test(found), 1) if test_from is None else test_from
    if not 0 < start < length:
        raise ValueError(f"test_from is {start}; it must lie between 0 and the {length} periods")
    train, test = found.before(start), found.since(start)
    bad = f"{lagging} = {'no' if good_high else 'yes'}" if yes_no else lagging
    seen = stacked(panels, carry)
    scale = Scaling.of(
        found.names,
        seen[:, :start].reshape(-1, len(found.names)),
        better_higher=higher,
        method=scaling,
        reference=f"{names[0]} to {names[start - 1]}",
    )
    chosen = _chosen(given, scale, train, bad)
    reason = _too_little(train, test, bad)
    validations: tuple[Validation, ...] = ()
    levels = Levels(reason=reason)
    if not reason:
        tried = [health_weights.equal(found.names), chosen]
        validations = _validate(tried[chosen.kind == "equal" :], scale, train, test)
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
        _now(who, *chosen.score(scaled), _risk_of(chosen, scale, train), levels),
        reason,
    )


def _chosen(given: Given, scale: Scaling, train: Cases, bad: str) -> Weights:
    if given == "equal":
        return health_weights.equal(scale.names)
    if given != "learned":
        return health_weights.by_hand(dict(given), scale.names)
    what = f"cases with {bad}" if train.yes_no else f"customers with {bad}"
    scaled = scale.apply(train.values)
    return health_weights.learn(
        scale.names, scaled, train.outcomes, train.customers, yes_no=train.yes_no, what=what
    )


def _too_little(train: Cases, test: Cases, bad: str) -> str:
    """Say why nothing can be validated, if so."""
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
    """Hold each of several weights against the test cases that all of them give a score."""
    scores = [each.score(scale.apply(test.values))[0] for each in tried]
    known = np.asarray(~np.isnan(scores).any(axis=0))
    test, scores = test.where(known), [each[known] for each in scores]
    bad, who = test.bad, test.customers
    none = Measure(0.0, math.nan, math.nan, "these are the equal weights")
    risks = [_risk_of(each, scale, train)(score) for each, score in zip(tried, scores, strict=True)]
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


def _risk_of(chosen: Weights, scale: Scaling, train: Cases) -> Callable[[Array], Array]:
    """Learn what a score foretells, from the cases before the test: a line, logistic for yes/no."""
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


def _now(
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
            levels.of(float(scores[at])),
        )
        for rank, at in enumerate(np.argsort(scores, kind="stable"), 1)  # NaN comes last
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: float, sign: str = "") -> str:
    if math.isnan(value):
        return display.UNDEFINED
    written = f"{value:{sign}.2f}"
    return written.replace("-", display.MINUS) if float(written) else "0.00"


def _interval(found: Measure, sign: str = "") -> str:
    ends = f"[{_number(found.low, sign)}, {_number(found.high, sign)}]"
    return f"{_number(found.estimate, sign)} {ends}"


@dataclass(frozen=True, eq=False)
class Scores:
    """The health scores of a study's customers, for any weights; each is made once and kept.

    The lagging indicator is the first with values per customer, one of yes/no before the others;
    the horizon is the lag at which it follows the leading indicator that it follows most surely, 1
    where nothing was found. Both may be given.
    """

    pairs: Pairs
    lagging: str = ""
    horizon: int = 0
    _known: dict[Any, Health] = field(default_factory=dict, repr=False)

    @property
    def outcome(self) -> str:
        """The lagging indicator; raises StudyError where none has values per customer."""
        found = self.pairs.indicators()
        known = [name for name in found.lagging if name in found.of_customers]
        if self.lagging:
            return self.lagging
        if not known:
            raise StudyError(
                "no lagging indicator has values per customer; a health score needs one"
            )
        return next((name for name in known if found.definitions[name].yes_no), known[0])

    @property
    def ahead(self) -> int:
        """How many periods before the outcome the indicators are taken."""
        return self.horizon or self._found_lag or 1

    @property
    def leading(self) -> tuple[str, ...]:
        """The leading indicators that have values per customer, and may get a weight."""
        found = self.pairs.indicators()
        return tuple(name for name in found.leading if name in found.of_customers)

    def health(self, given: Given = "learned", cohort: Cohort = ()) -> Health:
        """Score the customers with learned, equal or given weights; StudyError where it cannot be."""
        plain = tuple(given.items()) if isinstance(given, Mapping) else given
        key = plain, cohort
        if key not in self._known:
            try:
                self._known[key] = customer_health(
                    self.pairs.indicators(cohort), self.outcome, given=given, horizon=self.ahead
                )
            except ValueError as error:
                raise StudyError(f"no health score: {error}") from None
        return self._known[key]

    @property
    def reason(self) -> str:
        """Why there is no health score; empty where there is one."""
        try:
            self.health()
        except StudyError as error:
            return f"{error}"
        return ""

    @property
    def horizon_words(self) -> str:
        """Say how long before the outcome the indicators are taken, and why."""
        ahead = count_of(self.ahead, self.pairs.period)
        said = f"The score foretells {self.outcome} {ahead} ahead"
        if self.horizon or not self._found_lag:
            return f"{said}."
        return (
            f"{said}, the lag found above. It was found on all {self.pairs.period}s, those of the "
            "validation among them, so the validation flatters the score a little."
        )

    @property
    def _found_lag(self) -> int:
        every = self.pairs.associations()
        lags = [each.best_lag for each in every if each.found and each.lagging == self.outcome]
        return next((lag for lag in lags if lag), 0)
