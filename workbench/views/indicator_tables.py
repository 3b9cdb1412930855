"""Tables and sentences of indicators, their pairs, and the health score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from workbench import display
from workbench.display import Badge, Cell, Column, Sentences, Table, signed, with_interval
from workbench.indicators.health import Health, measure_text
from workbench.indicators.lags import Association, count_of, order_words, pvalue_text
from workbench.indicators.pairs import Pairs
from workbench.indicators.panels import PanelCurve
from workbench.indicators.values import Series, indicator_problems
from workbench.views.indicator_figures import places_of

BADGES = {"healthy": "ok", "watch": "warn", "at risk": "error", "unknown": "note"}
BADGES |= {"found": "ok", "no sign": "note", "too short": "warn", "nothing": "warn"}
MOST_CUSTOMERS = 10


def weights_table(health: Health) -> Table:
    """Return the weights of a health score, with direction and scale of each indicator."""
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
    note = f"{how}{why}. Values are scaled by {scaling.method} of {scaling.reference}."
    return Table("Weights of the health score", columns, tuple(rows), note)


def validation_table(health: Health) -> Table:
    """Return the validation of a health score out of time, beside that of equal weights."""
    yes_no = _predicts_yes_no(health)
    rows = [
        (
            each.weights.kind,
            measure_text(each.discrimination, sign=False),
            "" if each.weights.kind == "equal" else measure_text(each.lead),
            f"{each.lift.ratio:.1f} [{each.lift.low:.1f}, {each.lift.high:.1f}]" if yes_no else "",
            measure_text(each.calibration.slope, sign=False),
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
        f"Cases from {health.tested_from} on, later than the data behind the weights. An AUC of 0.5 "
        "is chance; a calibration slope of 1 means that predicted risks are right. 95% intervals, "
        "clustered by customer."
    )
    empty = f"{display.capital(health.reason)}."
    return Table("Validation, out of time", columns, tuple(rows), note, empty)


def ranks_table(health: Health, before: Health | None = None, most: int = MOST_CUSTOMERS) -> Table:
    """Return the customers with the lowest scores.

    Args:
        health: The health score.
        before: A score with other weights, whose ranks are shown beside.
        most: How many customers to show.
    """
    earlier = {} if before is None else {each.customer: each.rank for each in before.customers}
    write_risk = display.percent if _predicts_yes_no(health) else _three_digits
    rows: list[tuple[Cell, ...]] = [
        (
            each.customer,
            str(each.rank),
            *(() if before is None else (_moved(each.rank, earlier.get(each.customer)),)),
            _badge(each.level),
            signed(each.score),
            display.percent(each.confidence),
            write_risk(each.risk),
        )
        for each in health.customers[:most]
    ]
    columns = (
        Column("customer"),
        Column("rank", numeric=True),
        *(() if before is None else (Column(f"with {before.weights.kind} weights", numeric=True),)),
        Column("level"),
        Column("score", numeric=True),
        Column("confidence", numeric=True),
        Column(f"risk of {health.bad}", numeric=True),
    )
    held = health.stability
    note = f"Rank 1 is the lowest score of {len(health.customers):,} customers."
    if held.worst:
        note += (
            f" If each weight changes by about a quarter, ranks correlate "
            f"{held.rank_correlation:.2f} with these, and {held.kept} of the lowest {held.worst} stay "
            "among them."
        )
    return Table(
        "Lowest health scores now", columns, tuple(rows), note, "No customer is there now."
    )


def summary(health: Health) -> dict[str, Any]:
    """Return the health score as plain data: weights, validation, and each customer's score."""
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
        return display.UNDEFINED
    if earlier == rank:
        return f"{earlier} ="
    return f"{earlier} {'▲' if rank < earlier else '▼'}"


def _predicts_yes_no(health: Health) -> bool:
    return any(each.measure == "AUC" for each in health.validations)


def _three_digits(number: float) -> str:
    return display.UNDEFINED if math.isnan(number) else f"{number:.3g}".replace("-", display.MINUS)


def indicators(pairs: Pairs) -> Table:
    """Return each indicator with its kind, place, unit, direction, source and amount of data."""
    found = pairs.indicators()
    at = {
        name: each.name
        for each in places_of(pairs.source.spec, found.definitions)
        for name in each.indicators
    }
    rows = []
    for name in found.names:
        series, definition = found.series(name), found.definitions[name]
        rows.append(
            (
                name,
                definition.kind,
                at[name],
                definition.unit or "",
                "higher" if definition.higher_is_better else "lower",
                definition.owner
                or definition.source
                or ("event log" if definition.from_flow else ""),
                *_values(series),
            )
        )
    columns = (
        *map(Column, ("indicator", "kind", "place", "unit", "better", "from")),
        Column(f"{pairs.period}s", numeric=True),
        Column("newest"),
        Column("customers with a value", numeric=True),
    )
    return Table("Indicators", columns, tuple(rows))


def pairs(associations: Sequence[Association]) -> Table:
    """Return each pair with its lag, correlations, p-value and number of periods."""
    rows = tuple(_pair(each) for each in associations)
    columns = (
        Column("leading"),
        Column("lagging"),
        Column("says"),
        Column("lag", numeric=True),
        Column("correlation, prewhitened", numeric=True),
        Column("on differences", numeric=True),
        Column("p, all pairs", numeric=True),
        Column("periods", numeric=True),
    )
    note = (
        "Found: differences and prewhitened values both exceed what unrelated series reach at the "
        "best of all lags, with the Benjamini-Hochberg correction for all pairs. Intervals of lag "
        "and correlation are 95% block bootstrap intervals. An association is not a cause."
    )
    return Table("Pairs, the surest first", columns, rows, note)


def of_customers(known: Pairs) -> Table:
    """Return each pair that is known by customer, within customers and between them."""
    found = (known.panel_association(each.leading, each.lagging) for each in known.associations())
    rows = [
        (
            each.leading,
            each.lagging,
            _badge("found" if each.found else "no sign"),
            display.UNDEFINED if each.best_lag is None else count_of(each.best_lag, known.period),
            _best_correlation(each.within),
            _best_correlation(each.between),
            pvalue_text(each.within.pvalue),
            f"{max(each.within.customers, default=0):,}",
        )
        for each in found
        if each is not None
    ]
    columns = (
        Column("leading"),
        Column("lagging"),
        Column("within customers"),
        Column("lag", numeric=True),
        Column("correlation within", numeric=True),
        Column("correlation between", numeric=True),
        Column("p, all lags", numeric=True),
        Column("customers", numeric=True),
    )
    note = (
        "Within customers: do a customer's periods of high leading values come before the same "
        "customer's periods of high lagging values? Effects that all customers share in a period are "
        "removed. Between customers: do customers with a higher average of one have a higher average "
        "of the other? 95% intervals, clustered by customer."
    )
    empty = "No pair has values per customer."
    return Table("The same pairs, customer by customer", columns, tuple(rows), note, empty)


def forecasts(known: Pairs) -> Sentences:
    """Say for each pair that was found whether it would have predicted the lagging indicator."""
    said = [known.forecast(each.leading, each.lagging) for each in known.associations()]
    found = tuple(each.sentence for each in said if each)
    return Sentences(found or ("No pair was found, so there is nothing to predict with.",))


@dataclass(frozen=True, repr=False)
class Headline(Sentences):
    """Sentences whose first is the main message."""

    def _repr_html_(self) -> str:
        first, *rest = self.sentences
        return display.render("headline", first=first, rest=rest)


def findings(associations: Iterable[Association]) -> Headline:
    """Say which pairs were found, of how many; or that none was."""
    every = tuple(associations)
    found = [each for each in every if each.found]
    known = sum(not each.reason for each in every)
    short = f"; {len(every) - known} more are too short to say" if known < len(every) else ""
    pairs_of = f"{known} pair{'' if known == 1 else 's'}"
    if not found:
        nobody = "the only pair does not move" if known == 1 else f"none of {pairs_of} moves"
        said = f"Nothing was found: {nobody} together more than unrelated series do{short}."
        return Headline((said,))
    orders = "; ".join(
        order_words(each.leading, each.lagging, each.best_lag or 0, each.period) for each in found
    )
    first = f"Found in {len(found)} of {pairs_of}: {orders}{short}."
    return Headline((first, *(each.sentence for each in found)))


def illusions(associations: Iterable[Association]) -> Sentences:
    """Say for which pairs the raw levels mislead, and why."""
    said = tuple(
        f"{each.leading} and {each.lagging}. {each.warning}"
        for each in associations
        if each.warning
    )
    return Sentences(said or ("The raw levels do not mislead for any pair.",))


def row(found: Association) -> dict[str, Any]:
    """Return one association as plain data, with its sentence."""
    curve = found.prewhitened
    return {
        "leading": found.leading,
        "lagging": found.lagging,
        "found": found.found,
        "lag": found.best_lag,
        "lag_low": curve.lag_low,
        "lag_high": curve.lag_high,
        "correlation": found.correlation,
        "low": found.low,
        "high": found.high,
        "lag_of_differences": found.differences.best_lag,
        "correlation_of_differences": found.differences.correlation,
        "lag_of_levels": found.levels.best_lag,
        "correlation_of_levels": found.levels.correlation,
        "pvalue": found.pvalue,
        "adjusted": found.adjusted,
        "periods": found.periods,
        "needed": found.needed,
        "sentence": found.sentence,
        "warning": found.warning,
    }


def to_collect(known: Pairs, as_of: date | None = None, health: Health | None = None) -> Table:
    """Return what to collect next: gaps, falling response rates, short series, outdated values."""
    problems = indicator_problems(known.indicators(), (), as_of)
    rows: list[tuple[Cell, ...]] = [(Badge(each.level), each.message) for each in problems]
    rows += [
        (Badge("note"), f"{pair.leading} and {pair.lagging}: collect {_more(pair, known)}")
        for pair in known.associations()
        if pair.needed
    ]
    if health is not None and health.weights.events < health.weights.needed:
        said = f"{health.weights.reason}; equal weights are used until then"
        rows.append((Badge("note"), said))
    columns = (Column("level"), Column("what is missing"))
    empty = "Nothing is missing: no gaps, nothing too short, nothing stale."
    return Table("What is missing", columns, tuple(rows), empty=empty)


def _more(pair: Association, known: Pairs) -> str:
    needed, farthest = (count_of(each, known.period) for each in (pair.needed, known.farthest))
    return f"{needed} more, to search lags up to {farthest}"


def _values(series: Series) -> tuple[str, str, str]:
    """Return how many periods have a value, the newest, and the share of customers who answered."""
    last = series.known[1]
    newest = series.periods[last - 1] if last else "none"
    asked, answered = int(series.asked.sum()), int(series.n.sum())
    share = display.percent(answered / asked) if asked else ""
    return f"{np.isfinite(series.values).sum()}", newest, share


def _badge(word: str) -> Badge:
    return Badge(word, BADGES[word])


def _pair(found: Association) -> tuple[Cell, ...]:
    word = "found" if found.found else "no sign"
    if found.reason:
        word = "too short" if found.needed else "nothing"
    lag = display.UNDEFINED if found.best_lag is None else str(found.best_lag)
    if found.found and found.prewhitened.lag_low is not None:
        lag += f" [{found.prewhitened.lag_low}, {found.prewhitened.lag_high}]"
    return (
        found.leading,
        found.lagging,
        _badge(word),
        lag,
        display.UNDEFINED
        if found.reason
        else with_interval(found.correlation, found.low, found.high),
        signed(found.differences.correlation)
        if found.agreed or found.differences.best_lag is None
        else f"{signed(found.differences.correlation)} at lag {found.differences.best_lag}",
        pvalue_text(found.adjusted),
        f"{found.prewhitened.periods if found.best_lag is not None else found.periods:,}",
    )


def _best_correlation(curve: PanelCurve) -> str:
    if curve.best_lag is None:
        return display.UNDEFINED
    return with_interval(*curve.at(curve.best_lag))
