"""Views of a health score: its weights, its validation, its levels, and ranks when weights move."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench import formats
from workbench.charts import (
    INK,
    QUIET,
    WORDS,
    Chart,
    Charts,
    axis_end,
    canvas,
    scale,
    whisker,
    write,
)
from workbench.charts import place as placed
from workbench.displays import Badge, Cell, Column, Table
from workbench.errors import StudyError
from workbench.health import Given, Health, customer_health
from workbench.lags import count_of, signed
from workbench.pairs import Cohort, Pairs
from workbench.validation import Measure

LOOKS: Mapping[str, tuple[str, str]] = {
    "healthy": ("#009e73", "^"),
    "watch": ("#8a6d00", "s"),
    "at risk": ("#d55e00", "o"),
    "unknown": (QUIET, "D"),
}
KINDS = {"healthy": "ok", "watch": "warn", "at risk": "error", "unknown": "note"}
MOST = 10


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


def weights_table(health: Health) -> Table:
    """The weights in use, which way each indicator counts, and its scale."""
    scaling = health.scaling
    rows = [
        (
            name,
            signed(weight),
            "higher" if higher else "lower",
            f"{center:.3g}",
            f"{spread:.3g}",
        )
        for name, weight, higher, center, spread in zip(
            health.weights.names,
            health.weights.values,
            scaling.better_higher,
            scaling.center,
            scaling.spread,
            strict=True,
        )
    ]
    columns = (
        Column("indicator"),
        Column("weight", numeric=True),
        Column("healthier if"),
        Column("middle", numeric=True),
        Column("spread", numeric=True),
    )
    how = {"learned": "Learned", "equal": "Equal", "by hand": "Chosen by hand"}[health.weights.kind]
    why = f" ({health.weights.reason})" if health.weights.reason else ""
    note = f"{how}{why}. Values count by {scaling.method}, over {scaling.reference}."
    return Table("Weights of the health score", columns, tuple(rows), note)


def validation_table(health: Health) -> Table:
    """What the weights foretold out of time, beside equal weights."""
    yes_no = any(each.measure == "AUC" for each in health.validations)
    rows = [
        (
            each.weights.kind,
            _measure(each.discrimination),
            "" if each.weights.kind == "equal" else _measure(each.lead, sign=True),
            f"{each.lift.ratio:.1f} [{each.lift.low:.1f}, {each.lift.high:.1f}]" if yes_no else "",
            _measure(each.calibration.slope),
            f"{each.cases:,}",
            f"{each.customers:,}",
        )
        for each in health.validations
    ]
    measure = health.validations[0].measure if health.validations else "AUC"
    columns = (
        Column("weights"),
        Column(measure, numeric=True),
        Column("lead", numeric=True),
        Column("lift, worst tenth", numeric=True),
        Column("calibration slope", numeric=True),
        Column("cases", numeric=True),
        Column("customers", numeric=True),
    )
    note = (
        f"On cases from {health.tested_from} on, later than all that the weights rest on. An AUC of "
        "0.5 tells nobody apart, a slope of 1 means that risks are as they say; 95% intervals, "
        "clustered by customer."
    )
    empty = f"{health.reason[:1].upper()}{health.reason[1:]}."
    return Table("Validation, out of time", columns, tuple(rows), note, empty)


def levels_figure(health: Health) -> Charts:
    """Draw what came of customers by their score, from the lowest on, against all customers."""
    levels = health.levels
    if not levels.levels or levels.base is None:
        return Charts((), f"There are no levels: {levels.reason}.")
    yes_no = levels.base.events == levels.base.events
    figure, axes = canvas(3.4 + 2.0 * len(levels.levels) + 3.6)
    write(
        axes,
        0,
        0.6,
        f"What came of customers: {health.bad}",
        weight="bold",
        size=WORDS + 1.5,
        longest=60,
    )
    write(axes, 0, 2.0, "by health score, the lowest fifth first", colour=QUIET, longest=60)
    ends = [each.high for each in levels.bands] + [each.low for each in levels.bands]
    span = (0.0, axis_end(max(ends))) if yes_no else (min(ends), max(ends))
    at, said = 3.0, []
    for number, (band, level) in enumerate(zip(levels.bands, levels.levels, strict=True), 1):
        colour, marker = LOOKS[level]
        shown = _rate(band, yes_no=yes_no)
        axes.plot([0.014], [at + 0.5], color=colour, marker=marker, markersize=6)
        name = f"fifth {number}" if len(levels.levels) == 5 else f"band {number}"
        write(axes, 0.036, at + 0.5, f"{name}: {level}", background=True)
        write(axes, 1, at + 0.5, shown, ha="right", background=True)
        whisker(axes, (band.rate, band.low, band.high), span, at + 1.3, colour, marker)
        said.append(f"{name}, {level}: {shown}.")
        at += 2.0
    base = placed(levels.base.rate, span)
    axes.plot(
        [base, base], [3.0, at + 0.1], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0
    )
    ticks = [span[0] + (span[1] - span[0]) * part / 4 for part in range(5)]
    words = [f"{100 * each:g}%" if yes_no else f"{each:.3g}" for each in ticks]
    scale(axes, span, ticks, at, words, grid=False)
    write(
        axes,
        0,
        at + 2.0,
        f"dashed: all customers, {_rate(levels.base, yes_no=yes_no)}",
        colour=QUIET,
        longest=60,
    )
    alt = f"Share of {health.bad} by health score, from {health.tested_from} on."
    return Charts((Chart(figure, " ".join([alt, *said])),))


def ranks_table(health: Health, before: Health | None = None, most: int = MOST) -> Table:
    """The customers with the lowest scores; where each ranked with other weights, if these are given."""
    earlier = {} if before is None else {each.customer: each.rank for each in before.customers}
    rows: list[tuple[Cell, ...]] = [
        (
            each.customer,
            str(each.rank),
            *([_moved(each.rank, earlier.get(each.customer))] if before is not None else []),
            Badge(each.level, KINDS[each.level]),
            signed(each.score),
            formats.percent(each.confidence),
            formats.percent(each.risk)
            if health.validations and _yes_no(health)
            else _plain(each.risk),
        )
        for each in health.customers[:most]
    ]
    columns = (
        Column("customer"),
        Column("rank", numeric=True),
        *(
            [Column(f"with {before.weights.kind} weights", numeric=True)]
            if before is not None
            else []
        ),
        Column("level"),
        Column("score", numeric=True),
        Column("confidence", numeric=True),
        Column(f"risk of {health.bad}", numeric=True),
    )
    held = health.stability
    note = f"Rank 1 is the lowest score of {len(health.customers):,} customers. "
    if held.worst:
        note += (
            f"When each weight is changed by about a quarter, ranks correlate {held.rank_correlation:.2f} "
            f"with these, and {held.kept} of the lowest {held.worst} stay among them."
        )
    return Table(
        "Lowest health scores now", columns, tuple(rows), note.strip(), "Nobody is there now."
    )


def summary(health: Health) -> dict[str, Any]:
    """Give the health score for a machine: weights, validation, and each customer's score."""
    found = health.validation
    return {
        "lagging": health.lagging,
        "bad": health.bad,
        "horizon": health.horizon,
        "tested_from": health.tested_from,
        "sentence": health.sentence,
        "weights": {"kind": health.weights.kind, **health.weights.by_name},
        "measure": None if found is None else found.measure,
        "validations": [
            {
                "weights": each.weights.kind,
                "cases": each.cases,
                "events": each.events,
                "customers": each.customers,
                "discrimination": asdict(each.discrimination),
                "lead": asdict(each.lead),
            }
            for each in health.validations
        ],
        "customers": health.table.to_dict("records"),
    }


def _moved(rank: int, earlier: int | None) -> str:
    if earlier is None:
        return formats.UNDEFINED
    if earlier == rank:
        return f"{earlier} ="
    return f"{earlier} {'▲' if rank < earlier else '▼'}"


def _yes_no(health: Health) -> bool:
    return health.validations[0].measure == "AUC"


def _rate(band: Any, *, yes_no: bool) -> str:
    if yes_no:
        return formats.rate(band.rate, band.events, band.cases)
    return f"{band.rate:.3g} on {band.cases:,} cases".replace("-", formats.MINUS)


def _plain(number: float) -> str:
    return formats.UNDEFINED if math.isnan(number) else f"{number:.3g}".replace("-", formats.MINUS)


def _measure(found: Measure, *, sign: bool = False) -> str:
    if math.isnan(found.estimate):
        return formats.UNDEFINED
    if sign:
        return f"{signed(found.estimate)} [{signed(found.low)}, {signed(found.high)}]"
    text = f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return text.replace("-", formats.MINUS)
