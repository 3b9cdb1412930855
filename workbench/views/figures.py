"""Figures of a hypothesis report and an iteration plan: flow, rates, effects and power."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench import charts, display
from workbench.charts import INK, LINE, QUIET, Chart, Charts, Estimate
from workbench.data.metrics import LEARNING_COLUMNS, groupings_of
from workbench.display import Sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from workbench.experiments.planning import Plan
    from workbench.experiments.single_arm import SingleArmResult

# Shades and hatches tell them apart in grey print too.
PARTS: dict[str, dict[str, Any]] = {
    "aligned": {"facecolor": "#0072b2", "edgecolor": "#0072b2"},
    "deviated": {"facecolor": "#f3c876", "edgecolor": "#8a5a00", "hatch": "////"},
    "pending": {"facecolor": "white", "edgecolor": "#6b7280"},
}
NOBODY = "No customer met the trigger in this iteration."


def flow_figures(frame: pd.DataFrame) -> Charts:
    """Draw how many customers of each cohort were aligned, deviated or pending at each step.

    Args:
        frame: The learning metrics of one iteration.

    Returns:
        A figure per cohort. A bar is as long as the number of customers who entered the step.
    """
    return Charts(tuple(_flow(cohort, rows) for cohort, rows in _cohorts(frame)), NOBODY)


@charts.styled
def rates_figure(frame: pd.DataFrame) -> Charts:
    """Draw each cohort's rate at each step, with its interval.

    Args:
        frame: The learning metrics of one iteration.

    Returns:
        One figure; the rates are those of customers who entered the flow and whose window is over.
    """
    cohorts = list(_cohorts(frame))
    rows = [
        (step, cohort, record, look)
        for step in dict.fromkeys(str(each) for each in frame["step"])
        for (cohort, records), look in zip(cohorts, charts.looks(len(cohorts)), strict=True)
        for record in records
        if record["step"] == step
    ]
    if not rows:
        return Charts((), NOBODY)
    estimates, said = [], ["Rate of each cohort and step."]
    for step, cohort, row, look in rows:
        rate = display.rate(row["rate"], row["converted"], row["closed"])
        interval = display.interval(row["low"], row["high"])
        numbers = (row["rate"], row["low"], row["high"])
        estimates.append(Estimate(cohort, f"{rate} {interval}", *numbers, look, step))
        said.append(f"At {step}, {cohort}: {rate}, interval {interval}.")
    figure, axes = charts.draw_estimates(estimates)
    highs = [each.high for each in estimates if math.isfinite(each.high)]
    charts.scale_shares(axes, "x", max(highs, default=1.0))
    return Charts((Chart(figure, " ".join(said)),))


def effects_figures(frame: pd.DataFrame) -> Charts:
    """Draw the exploratory effect of each hypothesis within each level of each grouping.

    Args:
        frame: The effects of one or several hypotheses. The columns `hypothesis`,
            `minimum_effect` and `alternative` name each and the effect that is worth having.

    Returns:
        A figure per hypothesis.
    """
    hypotheses: dict[str, list[dict[str, Any]]] = {}
    for record in display.records(frame):
        hypotheses.setdefault(str(record.get("hypothesis", "")), []).append(record)
    empty = "There is no grouping beside the compared cohorts, or no hypothesis to look at."
    return Charts(tuple(_effects(name, rows) for name, rows in hypotheses.items()), empty)


@charts.styled
def single_arm_figure(found: Sequence[SingleArmResult]) -> Charts | Sentences:
    """Draw the rate of each claim with a target, with its exact interval; nothing where there are none."""
    counted = [each for each in found if each.found.closed]
    drawn = []
    for each in counted:
        one = each.found
        words = f"{one.converted:,} of {one.customers:,} {display.interval(one.low, one.high)}"
        name = f"{each.claim.name} {each.claim.version}"
        estimate = Estimate(each.claim.label, words, one.rate, one.low, one.high)
        figure, axes = charts.draw_estimates([estimate], title=name, lines=1.0)
        charts.scale_shares(axes, "x", 1.0)
        charts.mark_value(axes, one.target, f"target {100 * one.target:g}%")
        drawn.append(Chart(figure, f"{name}: {words}; the target is {100 * one.target:g}%."))
    return Charts(tuple(drawn)) if drawn else Sentences(())


@charts.styled
def power_figure(plan: Plan) -> Chart:
    """Draw the power of each analysis of a plan over the true effect."""
    title = f"Power, {plan.customers:,} customers per cohort"
    figure = charts.new_figure(4.3, title=title)
    axes = figure.subplots()
    lines, said = [], [f"{title}, by the true effect."]
    names = list(dict.fromkeys(plan.curve["analysis"]))
    for name, (colour, marker) in zip(names, charts.looks(len(names)), strict=True):
        rows = plan.curve[plan.curve["analysis"] == name]
        look: dict[str, Any] = {"color": colour, "marker": marker, "clip_on": False, "zorder": 3}
        lines += axes.plot(100 * rows["effect"], rows["power"], lw=1.6, ms=5, **look)
        row = plan.table[plan.table["analysis"] == name].iloc[0]
        power = display.percent(row["power"])
        said.append(f"{name}: {power} for {display.worth(plan.effect)} points.")
    charts.mark_value(axes, 100 * plan.effect, f"worth having: {display.worth(plan.effect)}")
    axes.axhline(plan.hypothesis.power, color=QUIET, linewidth=0.9, linestyle=charts.DASHED)
    wanted = f"power wanted: {100 * plan.hypothesis.power:g}%"
    at = (0, plan.hypothesis.power)
    axes.annotate(wanted, at, (4, 3), textcoords="offset points", color=QUIET, size=charts.SMALL)
    axes.set_xlabel("true effect, percentage points")
    axes.xaxis.set_major_formatter(charts.signed)
    axes.margins(x=0)
    if plan.effect < 0:
        axes.invert_xaxis()  # from no effect on the left
    charts.scale_shares(axes, "y", 1.0)
    charts.add_key(axes, lines, names, below=True)
    return Chart(figure, " ".join(said))


@charts.styled
def _flow(cohort: str, rows: Sequence[dict[str, Any]]) -> Chart:
    figure = charts.new_figure(LINE * (3.4 + 3.6 * len(rows)), title=cohort)
    axes = figure.subplots()
    across: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center_baseline"}
    entrants = max(rows[0]["entered"], 1)
    said = [f"Customer flow of {cohort}."]
    for at, row in enumerate(rows):
        entered = f"{display.count(row['entered'])} entered"
        axes.text(0, at - 0.32, str(row["step"]), weight="bold", **across)
        axes.text(1, at - 0.32, entered, ha="right", **across)
        axes.barh(at, entrants, height=0.32, facecolor="#eef0f2")
        start, counts = 0, []
        for column, (part, look) in enumerate(PARTS.items()):
            label = part if at == 0 else None
            axes.barh(at, row[part], left=start, height=0.32, linewidth=0.6, label=label, **look)
            start += row[part]
            counts.append(f"{display.count(row[part])} {part}")
            axes.text(0.34 * column, at + 0.33, counts[-1], **across)
        said.append(f"At {row['step']}: {', '.join([entered, *counts])}.")
    axes.set_xlim(0, entrants)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_axis_off()
    handles, labels = axes.get_legend_handles_labels()
    charts.add_key(axes, handles, labels)
    return Chart(figure, " ".join(said))


@charts.styled
def _effects(name: str, rows: Sequence[dict[str, Any]]) -> Chart:
    estimates, said = [], [f"Exploratory effects of {name} in percentage points, with intervals."]
    for row in rows:
        numbers = (row["estimate"], row["low"], row["high"])
        shown = display.effect(*numbers)
        points = (100 * row["estimate"], 100 * row["low"], 100 * row["high"])
        group = f"{row['grouping']} ({row['kind']})"
        estimates.append(Estimate(str(row["level"]), shown, *points, charts.SERIES[0], group))
        said.append(f"{row['grouping']} = {row['level']}: {shown}.")
    return effects_chart(name, estimates, _worth_having(rows[0]), " ".join(said))


def effects_chart(
    name: str, estimates: Sequence[Estimate], worth_having: Sequence[float], said: str
) -> Chart:
    """Draw effects in percentage points around no effect, with those worth having, as fractions."""
    figure, axes = charts.draw_estimates(estimates, title=name, lines=1.0)
    worth = [100 * each for each in worth_having]
    ends = [end for each in estimates for end in (each.low, each.high) if math.isfinite(end)]
    ticks = charts.round_ticks(4, symmetric=True)
    reach = float(ticks.tick_values(0, max(map(abs, [*ends, *worth, 5.0])))[-1])
    axes.set_xlim(-reach, reach)
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(charts.signed)
    axes.grid(visible=False)
    axes.tick_params(axis="x", length=3)
    side = "left" if min(worth, default=0) < 0 else "right"
    none = "no effect" if len(worth) < 2 else ""
    charts.mark_value(axes, 0, none, ha=side, color=INK, linestyle="solid")
    for effect in worth:
        side = "left" if effect > 0 else "right"
        charts.mark_value(axes, effect, f"worth having: {display.worth(effect / 100)}", ha=side)
    return Chart(figure, said)


def _worth_having(row: dict[str, Any]) -> list[float]:
    """Return the smallest effects worth having: one, or both of a two-sided hypothesis."""
    effect = row.get("minimum_effect")
    if not effect:
        return []
    return [effect, -effect] if row.get("alternative") == "two-sided" else [effect]


def _cohorts(frame: pd.DataFrame) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each cohort's name and its rows, one per step."""
    by = groupings_of(frame, LEARNING_COLUMNS)
    cohorts: dict[str, list[dict[str, Any]]] = {}
    for record in display.records(frame):
        name = ", ".join(f"{column} = {record[column]}" for column in by) or "All customers"
        cohorts.setdefault(name, []).append(record)
    yield from cohorts.items()
