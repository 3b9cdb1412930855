"""Tables of indicators, of their pairs, and of the health score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from workbench import display
from workbench.display import Badge, Cell, Column, Sentences, Table
from workbench.indicators.health import Health
from workbench.indicators.lags import Association, count_of, order_words, signed
from workbench.indicators.pairs import Pairs, strength
from workbench.indicators.values import Series, indicator_problems
from workbench.stats.discrimination import Measure
from workbench.views.indicator_figures import places_of

KINDS = {"healthy": "ok", "watch": "warn", "at risk": "error", "unknown": "note"}
MOST = 10
SAYS = {"found": "ok", "no sign": "note", "too short": "warn", "nothing": "warn"}


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
            display.percent(each.confidence),
            display.percent(each.risk)
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
        return display.UNDEFINED
    if earlier == rank:
        return f"{earlier} ="
    return f"{earlier} {'▲' if rank < earlier else '▼'}"


def _yes_no(health: Health) -> bool:
    return health.validations[0].measure == "AUC"


def _plain(number: float) -> str:
    return display.UNDEFINED if math.isnan(number) else f"{number:.3g}".replace("-", display.MINUS)


def _measure(found: Measure, *, sign: bool = False) -> str:
    if math.isnan(found.estimate):
        return display.UNDEFINED
    if sign:
        return f"{signed(found.estimate)} [{signed(found.low)}, {signed(found.high)}]"
    text = f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return text.replace("-", display.MINUS)


def indicators(pairs: Pairs) -> Table:
    """Each indicator: its kind and place, its unit and direction, who keeps it, how much there is."""
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
    """Each pair, the surest first: what it says, the lag, the strength, how sure, on how much."""
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
        "best of all lags, after Benjamini and Hochberg's correction for all pairs. Intervals of lag "
        "and correlation are at 95%, by a block bootstrap. Moving before is not causing."
    )
    return Table("Pairs, the surest first", columns, rows, note)


def of_customers(known: Pairs) -> Table:
    """Each pair within customers and between customers, where both are known by customer."""
    rows = []
    for each in known.associations():
        found = known.of_customers(each.leading, each.lagging)
        if found is None:
            continue
        inside, across = found.within, found.between
        sure = inside.pvalue <= found.alpha
        rows.append(
            (
                each.leading,
                each.lagging,
                Badge("found" if sure else "no sign", SAYS["found" if sure else "no sign"]),
                display.UNDEFINED
                if inside.best_lag is None
                else count_of(inside.best_lag, known.period),
                _with_ends(inside.at(inside.best_lag)) if inside.best_lag is not None else "n/a",
                _with_ends(across.at(across.best_lag)) if across.best_lag is not None else "n/a",
                _pvalue(inside.pvalue),
                f"{max(inside.customers, default=0):,}",
            )
        )
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
        "Within: a customer's own better period comes before that customer's own better period, what "
        "all share in a period taken off. Between: customers who are higher on the whole. Intervals "
        "at 95%, clustered by customer."
    )
    empty = "No pair is known customer by customer."
    return Table("The same pairs, customer by customer", columns, tuple(rows), note, empty)


def forecasts(known: Pairs) -> Sentences:
    """Say of each pair that was found whether it would have predicted anything."""
    said = [known.forecast(each.leading, each.lagging) for each in known.associations()]
    found = tuple(each.sentence for each in said if each)
    return Sentences(found or ("No pair was found, so there is nothing to predict with.",))


@dataclass(frozen=True, repr=False)
class Headline(Sentences):
    """Sentences of which the first says it all."""

    def _repr_html_(self) -> str:
        first, *rest = self.sentences
        return display.render("headline", first=first, rest=rest)


def findings(associations: Iterable[Association]) -> Headline:
    """Say what was found; or that nothing was, and of how many pairs."""
    every = tuple(associations)
    found = [each for each in every if each.found]
    known = sum(not each.reason for each in every)
    short = f"; {len(every) - known} more are too short to say" if known < len(every) else ""
    pairs_of = f"{known} pair{'' if known == 1 else 's'}"
    if not found:
        chance = "than unrelated series do"
        if known == 1:
            nothing = f"the pair moves together no more {chance}"
        else:
            nothing = f"none of {pairs_of} moves together more {chance}"
        return Headline((f"Nothing was found: {nothing}{short}.",))
    orders = "; ".join(
        order_words(each.leading, each.lagging, each.best_lag or 0, each.period) for each in found
    )
    first = f"Found in {len(found)} of {pairs_of}: {orders}{short}."
    return Headline((first, *(each.sentence for each in found)))


def illusions(associations: Iterable[Association]) -> Sentences:
    """Say of which pairs the raw levels mislead, and why."""
    said = tuple(
        f"{each.leading} and {each.lagging}. {each.warning}"
        for each in associations
        if each.warning
    )
    return Sentences(said or ("The raw levels mislead in no pair.",))


def row(found: Association) -> dict[str, Any]:
    """Give one association for a machine: one flat row, with the sentence."""
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
    """Say what to collect next: gaps, fewer answers, too few periods, values grown old."""
    problems = indicator_problems(known.indicators(), (), as_of)
    rows: list[tuple[Cell, ...]] = [(Badge(each.level), each.message) for each in problems]
    rows += [
        (Badge("note"), f"{pair.leading} and {pair.lagging}: collect {_more(pair, known)}")
        for pair in known.associations()
        if pair.needed
    ]
    if health is not None and health.weights.events < health.weights.needed:
        rows.append((Badge("note"), f"{health.weights.reason}; equal weights serve until then"))
    columns = (Column("level"), Column("what is missing"))
    empty = "Nothing is missing: no gaps, nothing too short, nothing stale."
    return Table("What is missing", columns, tuple(rows), empty=empty)


def _more(pair: Association, known: Pairs) -> str:
    needed, farthest = (count_of(each, known.period) for each in (pair.needed, known.farthest))
    return f"{needed} more, to search lags up to {farthest}"


def _values(series: Series) -> tuple[str, str, str]:
    """Give how many periods have a value, the newest, and the share of customers who answered."""
    there = [place for place, value in enumerate(series.values) if not math.isnan(value)]
    newest = series.periods[there[-1]] if there else "none"
    asked, answered = int(series.asked.sum()), int(series.n.sum())
    return f"{len(there)}", newest, display.percent(answered / asked) if asked else ""


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
        Badge(word, SAYS[word]),
        lag,
        strength(found),
        signed(found.differences.correlation)
        if found.agreed or found.differences.best_lag is None
        else f"{signed(found.differences.correlation)} at lag {found.differences.best_lag}",
        _pvalue(found.adjusted),
        f"{found.prewhitened.periods if found.best_lag is not None else found.periods:,}",
    )


def _with_ends(numbers: tuple[float, float, float]) -> str:
    middle, low, high = numbers
    return f"{signed(middle)} [{signed(low)}, {signed(high)}]"


def _pvalue(probability: float) -> str:
    if math.isnan(probability) or probability < display.SMALLEST_PVALUE:
        return display.pvalue(probability)
    return f"{probability:.3f}"
