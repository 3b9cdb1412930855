"""Results as figures, each with a text that says in words what it shows; no arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench import display
from workbench.charts import (
    INK,
    QUIET,
    RULE,
    SERIES,
    WORDS,
    Chart,
    Charts,
    axis_end,
    canvas,
    looks,
    place,
    scale,
    whisker,
    write,
)
from workbench.data.metrics import LEARNING_COLUMNS, groupings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from workbench.experiments.planning import Plan

# Told apart without colour too: by their shade in grey print, and by hatches.
PARTS: dict[str, dict[str, Any]] = {
    "aligned": {"facecolor": "#0072b2", "edgecolor": "#0072b2"},
    "deviated": {"facecolor": "#f3c876", "edgecolor": "#8a5a00", "hatch": "////"},
    "pending": {"facecolor": "white", "edgecolor": "#6b7280"},
}


def flow_figures(frame: pd.DataFrame) -> Charts:
    """Draw, for each cohort, how many customers were aligned, deviated or pending at each step.

    `frame` is the learning metrics of one iteration. A bar is as long as the customers who
    entered the step, out of those who entered the flow.
    """
    charts = tuple(_flow(cohort, rows) for cohort, rows in _cohorts(frame))
    return Charts(charts, "No customer met the trigger in this iteration.")


def rates_figure(frame: pd.DataFrame) -> Charts:
    """Draw each cohort's rate and its interval at each step.

    `frame` is the learning metrics of one iteration; the rates are over the customers who
    entered the flow and whose window is over.
    """
    cohorts = list(_cohorts(frame))
    rows = [
        (step, cohort, record, look)
        for step in _steps(frame)
        for (cohort, records), look in zip(cohorts, looks(len(cohorts)), strict=True)
        for record in records
        if record["step"] == step
    ]
    empty = "No customer met the trigger in this iteration."
    if not rows:
        return Charts((), empty)
    top = max((row["high"] for _, _, row, _ in rows if row["high"] == row["high"]), default=1.0)
    lines = 2.0 * len(rows) + 1.25 * len(_steps(frame)) + 1.6
    figure, axes = canvas(lines)
    end = axis_end(top)
    ticks = [end * part / 4 for part in range(5)]
    at = 0.0
    drawn: list[str] = []
    for step, cohort, row, (colour, marker) in rows:
        if step not in drawn:
            drawn.append(step)
            write(axes, 0, at + 0.6, step, weight="bold", background=True)
            at += 1.25
        value = display.rate(row["rate"], row["converted"], row["closed"])
        shown = f"{value} {display.interval(row['low'], row['high'])}"
        axes.plot([0.014], [at + 0.5], color=colour, marker=marker, markersize=6)
        write(axes, 0.036, at + 0.5, cohort, background=True)
        write(axes, 1, at + 0.5, shown, ha="right", background=True)
        whisker(axes, (row["rate"], row["low"], row["high"]), (0.0, end), at + 1.3, colour, marker)
        at += 2.0
    scale(axes, (0.0, end), ticks, at, [f"{100 * tick:g}%" for tick in ticks])
    sentences = [
        f"At {step}, {cohort}: {display.rate(row['rate'], row['converted'], row['closed'])}, "
        f"interval {display.interval(row['low'], row['high'])}."
        for step, cohort, row, _ in rows
    ]
    return Charts((Chart(figure, " ".join(["Rate of each cohort and step.", *sentences])),), empty)


def effects_figures(frame: pd.DataFrame) -> Charts:
    """Draw, for each hypothesis, the effect within each level of each grouping: exploratory.

    `frame` holds the effects of one or several hypotheses; the columns `hypothesis`,
    `minimum_effect` and `alternative` say of which, and what effect would be worth having.
    """
    records = display.records(frame)
    names = dict.fromkeys(str(each.get("hypothesis", "")) for each in records)
    charts = tuple(
        _effects(name, [each for each in records if str(each.get("hypothesis", "")) == name])
        for name in names
    )
    empty = "There is no grouping beside the compared cohorts, or no hypothesis to look at."
    return Charts(charts, empty)


def power_figure(plan: Plan) -> Chart:
    """Draw how likely each way to look finds an effect, over the effects that there could be."""
    top, bottom = 2.6, 14.6
    figure, axes = canvas(18.4)
    title = f"Power, {plan.customers:,} customers per cohort"
    write(axes, 0, 0.6, title, weight="bold", size=WORDS + 1.5)
    left, right = 0.09, 0.97
    most = max(plan.curve["effect"].abs()) or 1.0
    across = (0.0, most)

    def at(effect: float, power: float) -> tuple[float, float]:
        return left + (right - left) * place(abs(effect), across), bottom - (bottom - top) * power

    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        _, y = at(0.0, share)
        axes.plot([left, right], [y, y], color=RULE, linewidth=0.7, zorder=0)
        write(axes, left - 0.015, y, f"{100 * share:.0f}%", ha="right", colour=QUIET)
    sign = -1.0 if plan.effect < 0 else 1.0
    for part in range(6):
        effect = most * part / 5
        write(
            axes,
            at(effect, 0.0)[0],
            bottom + 0.8,
            _points(sign * effect),
            ha="center",
            colour=QUIET,
        )
    write(axes, (left + right) / 2, bottom + 1.9, "true effect, percentage points", ha="center")
    worth, wanted = at(plan.effect, 0.0)[0], at(0.0, plan.hypothesis.power)[1]
    dashes: dict[str, Any] = {"color": QUIET, "linewidth": 0.9, "linestyle": (0, (4, 3))}
    axes.plot([worth, worth], [top, bottom], **dashes)
    axes.plot([left, right], [wanted, wanted], **dashes)
    write(
        axes,
        worth,
        top - 0.6,
        f"worth having: {display.worth(plan.effect)}",
        ha="center",
        colour=QUIET,
    )
    names = list(dict.fromkeys(plan.curve["analysis"]))
    sentences = []
    for place_of, (name, (colour, marker)) in enumerate(zip(names, looks(len(names)), strict=True)):
        rows = plan.curve[plan.curve["analysis"] == name]
        xs, ys = zip(
            *(at(*each) for each in zip(rows["effect"], rows["power"], strict=True)), strict=True
        )
        axes.plot(xs, ys, color=colour, marker=marker, markersize=4.5, linewidth=1.6)
        start = 0.01 + 0.36 * place_of
        axes.plot([start], [bottom + 3.1], color=colour, marker=marker, markersize=6)
        write(axes, start + 0.025, bottom + 3.1, name)
        row = plan.table[plan.table["analysis"] == name].iloc[0]
        sentences.append(
            f"{name}: {display.percent(row['power'])} for {display.worth(plan.effect)} points."
        )
    return Chart(figure, " ".join([f"{title}, by the true effect.", *sentences]))


def _points(effect: float) -> str:
    return display.points(effect, 0 if abs(effect * 100 - round(effect * 100)) < 1e-9 else 1)


def _flow(cohort: str, rows: Sequence[dict[str, Any]]) -> Chart:
    figure, axes = canvas(1.5 + 3.7 * len(rows))
    write(axes, 0, 0.6, cohort, weight="bold", size=WORDS + 1.5)
    entrants = max(rows[0]["entered"], 1)
    for number, row in enumerate(rows):
        at = 1.5 + 3.7 * number
        write(axes, 0, at + 0.5, str(row["step"]), weight="bold")
        write(axes, 1, at + 0.5, f"{display.count(row['entered'])} entered", ha="right")
        axes.barh(at + 1.45, 1, height=0.9, facecolor="#eef0f2", edgecolor="none")
        start = 0.0
        for column, (part, look) in enumerate(PARTS.items()):
            length = row[part] / entrants
            axes.barh(at + 1.45, length, left=start, height=0.9, linewidth=0.6, **look)
            start += length
            left = 0.34 * column
            axes.barh(at + 2.5, 0.024, left=left, height=0.5, linewidth=0.6, **look)
            write(axes, left + 0.036, at + 2.5, f"{display.count(row[part])} {part}")
    steps = " ".join(
        f"At {row['step']}: {display.count(row['entered'])} entered, "
        f"{display.count(row['aligned'])} aligned, {display.count(row['deviated'])} deviated, "
        f"{display.count(row['pending'])} pending."
        for row in rows
    )
    return Chart(figure, f"Customer flow of {cohort}. {steps}")


def _effects(name: str, rows: Sequence[dict[str, Any]]) -> Chart:
    groupings = dict.fromkeys(f"{row['grouping']} ({row['kind']})" for row in rows)
    lines = 2.0 * len(rows) + 1.25 * len(groupings) + 3.6
    figure, axes = canvas(lines)
    worth = _worth_having(rows[0])
    ends = [row[end] for row in rows for end in ("low", "high") if row[end] == row[end]]
    reach = axis_end(max(map(abs, [*ends, *worth, 0.05])))
    span = (-reach, reach)
    write(axes, 0, 0.6, name, weight="bold", size=WORDS + 1.5)
    bottom = lines - 1.6
    if len(worth) < 2:
        write(axes, 0.5, 1.75, "no effect", ha="left" if min(worth, default=0) < 0 else "right")
    axes.plot([0.5, 0.5], [2.2, bottom], color=INK, linewidth=0.9)
    for effect in worth:
        x, right = place(effect, span), effect > 0
        label = f"worth having: {display.worth(effect)}"
        write(axes, x, 1.75, label, ha="left" if right else "right", colour=QUIET)
        axes.plot([x, x], [2.2, bottom], color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)))
    at = 2.0
    drawn: list[str] = []
    for row in rows:
        grouping = f"{row['grouping']} ({row['kind']})"
        if grouping not in drawn:
            drawn.append(grouping)
            write(axes, 0, at + 0.6, grouping, weight="bold", background=True)
            at += 1.25
        shown = display.effect(row["estimate"], row["low"], row["high"])
        write(axes, 0, at + 0.5, str(row["level"]), background=True)
        write(axes, 1, at + 0.5, shown, ha="right", background=True)
        numbers = (row["estimate"], row["low"], row["high"])
        whisker(axes, numbers, span, at + 1.3, *SERIES[0])
        at += 2.0
    ticks = [-reach, -reach / 2, 0.0, reach / 2, reach]
    scale(
        axes,
        span,
        ticks,
        at,
        ["0" if not tick else display.points(tick, 0) for tick in ticks],
        grid=False,
    )
    sentences = [
        f"{row['grouping']} = {row['level']}: "
        f"{display.effect(row['estimate'], row['low'], row['high'])}."
        for row in rows
    ]
    lead = f"Exploratory effects of {name} in percentage points, with intervals."
    return Chart(figure, " ".join([lead, *sentences]))


def _worth_having(row: dict[str, Any]) -> list[float]:
    """Give the least effects worth having: one, or for a two-sided hypothesis both."""
    effect = row.get("minimum_effect")
    if not effect:
        return []
    return [effect, -effect] if row.get("alternative") == "two-sided" else [effect]


def _steps(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(str(step) for step in frame["step"]))


def _cohorts(frame: pd.DataFrame) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give each cohort's name and its rows, one for each step."""
    by = groupings_of(frame, LEARNING_COLUMNS)
    cohorts: dict[str, list[dict[str, Any]]] = {}
    for record in display.records(frame):
        name = ", ".join(f"{column} = {record[column]}" for column in by) or "All customers"
        cohorts.setdefault(name, []).append(record)
    yield from cohorts.items()
