"""Figures of a release review: the flow, rates over iterations, retention."""

from __future__ import annotations

import math
from itertools import pairwise
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
    Pane,
    axis_end,
    canvas,
    looks,
    write,
)
from workbench.data.metrics import LEARNING_COLUMNS, groupings_of
from workbench.display import Sentences
from workbench.innovation.true_innovation import BOTH, Innovation
from workbench.schema.flow import ADOPTION
from workbench.views.release_tables import is_known, nobody_words, rate_words, row_of_goal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from workbench.views.release_tables import Row

NOBODY = "No customer met the trigger in these iterations."
OPEN = "Nobody's window is over yet, so there is no rate to draw."
LONGEST = 14  # letters of an iteration's name under a figure
LETTERS = 56  # that have room beside each other there
CURVES: tuple[tuple[str, Any], ...] = (
    (SERIES[0][0], "solid"),
    (SERIES[1][0], (0, (6, 2))),
    (SERIES[2][0], (0, (2, 2))),
    (SERIES[3][0], (0, (6, 2, 1, 2))),
)
WIDE = 5.6  # inches: the whole flow with five iterations beside each other
NAMES = 0.335  # where the columns of the whole flow begin
DIGIT = 0.055  # inches that a letter of a small number takes
SMALL = 7.0
ROW, HEIGHT = 4.6, 2.2  # lines that a stage takes, and that its longest column is high
BEFORE = "#a9cbe3"
ROLES = {
    ADOPTION: "came back, of those who|met the trigger again",
    BOTH: "adopted, and the outcome|came: true innovation",
}


def goals_figures(innovation: Innovation) -> Charts:
    """Draw each goal over the iterations, with its interval and its target."""
    iterations = list(dict.fromkeys(each.iteration for each in innovation.trend))
    charts = []
    for goal in innovation.goals:
        rows = [row_of_goal(each) for each in innovation.trend if each.name == goal.name]
        if any(each["closed"] for each in rows):
            pane = _Rates(goal.name, {"": rows}, iterations, 1.0, goal.target, str(goal.state))
            charts.append(pane.chart())
    return Charts(tuple(charts), "No goal can be counted yet.")


def learning_figures(frame: pd.DataFrame) -> Charts:
    """Draw each learning metric over the iterations, with intervals; a mark for each cohort.

    `frame` is the learning metrics of several iterations. All figures have one scale; a step that
    nobody's window is over for has none.
    """
    rows = display.records(frame)
    iterations = list(dict.fromkeys(str(each["iteration"]) for each in rows))
    by = groupings_of(frame, LEARNING_COLUMNS)
    end = axis_end(max((each["high"] for each in rows if is_known(each["high"])), default=1.0))
    charts = []
    for step in dict.fromkeys(str(each["step"]) for each in rows):
        cohorts: dict[str, list[Row]] = {}
        for each in rows:
            if each["step"] == step:
                cohort = ", ".join(str(each[column]) for column in by)
                cohorts.setdefault(cohort, []).append(each)
        if any(each["closed"] for shown in cohorts.values() for each in shown):
            charts.append(_Rates(step, cohorts, iterations, end).chart())
    return Charts(tuple(charts), OPEN if rows else NOBODY)


def retention_figure(found: pd.DataFrame | Sentences) -> Charts:
    """Draw the share who adopted by days since their need was met, a curve an iteration.

    `found` is the retention of several iterations, of which the newest four are drawn; the newest
    of them has its interval. `release_tables.retention` is its table.
    """
    if isinstance(found, Sentences):
        return Charts((), " ".join(found.sentences))
    rows = display.records(found)
    if not rows:
        return Charts((), "Nobody's need was met, so nobody can return yet.")
    names = list(dict.fromkeys(str(each["iteration"]) for each in rows))[-len(CURVES) :]
    curves = {name: [each for each in rows if each["iteration"] == name] for name in names}
    drawn = [each for curve in curves.values() for each in curve]
    last = max(*(int(each["days"]) for each in drawn), 1)
    end = axis_end(max((each["high"] for each in drawn if is_known(each["high"])), default=1.0))
    figure, axes = canvas(16.4)
    write(axes, 0, 0.6, "Share who adopted", weight="bold", size=WORDS + 1.0)
    pane = Pane(axes, 0.1, 0.97, 3.4, 13.6, (0, last), (0.0, end))
    pane.scale_up(*_shares(end))
    days = range(0, last + 1, 7 * math.ceil(last / 35) if last > 5 else 1)
    pane.scale_across(days, [f"{day:,}" for day in days])
    write(axes, 0.535, 15.6, "days since the need was met", ha="center", colour=QUIET)
    newest = list(reversed(curves.items()))
    for place, ((name, curve), (colour, dashes)) in enumerate(zip(newest, CURVES, strict=False)):
        look: dict[str, Any] = {"color": colour, "linestyle": dashes}
        look["linewidth"] = 1.5 if place else 2.3
        pane.line(*_corners(curve, "share"), **look)
        if not place:
            _band(pane, curve, colour)
        start = 0.26 * place
        axes.plot([start, start + 0.055], [2.0, 2.0], **look)
        write(axes, start + 0.067, 2.0, name, longest=LONGEST)
    said = " ".join(_told(name, curve) for name, curve in curves.items())
    return Charts((Chart(figure, f"Share who adopted, by days since their need was met. {said}"),))


class _Rates:
    """One rate over the iterations, cohort beside cohort."""

    def __init__(
        self,
        title: str,
        cohorts: Mapping[str, Sequence[Row]],
        iterations: Sequence[str],
        end: float,
        target: float = math.nan,
        state: str = "",
    ) -> None:
        self.title, self.cohorts, self.iterations = title, cohorts, iterations
        self.target = target
        top = 1.9 + 1.1 * -(-sum(map(bool, cohorts)) // 3)
        self.figure, self.axes = canvas(top + 9.6)
        write(self.axes, 0, 0.6, title, weight="bold", size=WORDS + 1.0)
        aim = f"target {100 * target:g}%: {state}" if is_known(target) else state
        write(self.axes, 1, 0.6, aim, ha="right")
        across = (-0.5, len(iterations) - 0.5)
        self.pane = Pane(self.axes, 0.1, 0.985, top, top + 7.6, across, (0.0, end))
        self.pane.scale_up(*_shares(end))

    def chart(self) -> Chart:
        """Draw everything, and say it."""
        self._name_iterations()
        if is_known(self.target):
            self._draw_target()
        apart = 0.5 / max(len(self.cohorts), 1)
        styles = zip(self.cohorts, looks(len(self.cohorts)), strict=True)
        for place, (name, (colour, marker)) in enumerate(styles):
            self._draw(name, (place - (len(self.cohorts) - 1) / 2) * apart, colour, marker)
            if name:
                row, column = divmod(place, 3)
                start, level = column / 3, 1.75 + 1.1 * row
                self.axes.plot([start + 0.012], [level], color=colour, marker=marker, ms=6)
                write(self.axes, start + 0.036, level, name, longest=20)
        wanted = f" The target is {100 * self.target:g}%." if is_known(self.target) else ""
        said = " ".join(
            f"{each['iteration']}{f', {name}' if name else ''}: {rate_words(each)}."
            for name, rows in self.cohorts.items()
            for each in rows
        )
        return Chart(self.figure, f"{self.title} over the iterations.{wanted} {said}")

    def _draw(self, name: str, aside: float, colour: str, marker: str) -> None:
        rows = {str(each["iteration"]): each for each in self.cohorts[name] if each["closed"]}
        xs = [place + aside for place, each in enumerate(self.iterations) if each in rows]
        shown = [rows[each] for each in self.iterations if each in rows]
        self.pane.line(xs, [each["rate"] for each in shown], color=colour, lw=0.9, alpha=0.6)
        for x, each in zip(xs, shown, strict=True):
            self.pane.line([x, x], [each["low"], each["high"]], color=colour, linewidth=1.8)
            self.pane.line([x], [each["rate"]], color=colour, marker=marker, ms=6, mec="white")

    def _name_iterations(self) -> None:
        """Name as many iterations as there is room for, the newest among them; say who is pending."""
        number, longest = len(self.iterations), max(map(len, self.iterations))
        each = math.ceil(number * (min(longest, LONGEST) + 1) / LETTERS)
        places = [place for place in range(number) if (number - 1 - place) % each == 0]
        names = [display.shortened(self.iterations[place], LONGEST) for place in places]
        self.pane.scale_across(places, names)
        closed = {
            str(row["iteration"]) for rows in self.cohorts.values() for row in rows if row["closed"]
        }
        for place, name in enumerate(self.iterations):
            if name not in closed and number <= LETTERS / 7:
                x, y = self.pane.at(place, 0.0)
                write(self.axes, x, y - 0.6, "none yet", ha="center", colour=QUIET, size=8)

    def _draw_target(self) -> None:
        pane, (_, level) = self.pane, self.pane.at(0, self.target)
        dashes: Any = (0, (4, 3))
        self.axes.plot([pane.left, pane.right], [level] * 2, color=INK, lw=1.0, linestyle=dashes)


def _shares(end: float) -> tuple[list[float], list[str]]:
    """Give the marks of a scale of shares, and their words."""
    ticks = [end * part / 4 for part in range(5)]
    return ticks, [f"{100 * tick:g}%" for tick in ticks]


def _corners(curve: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    """Give the corners of a curve that stays where it is from one of its days to the next."""
    xs: list[float] = []
    ys: list[float] = []
    for each in curve:
        xs += [float(each["days"])] * (2 if ys else 1)
        ys += [*ys[-1:], float(each[name])]
    return xs, ys


def _band(pane: Pane, curve: Sequence[Row], colour: str) -> None:
    bounded = [each for each in curve if is_known(each["low"])]
    xs, lows = _corners(bounded, "low")
    x, low = pane.points(xs, lows)
    _, high = pane.points(xs, _corners(bounded, "high")[1])
    pane.axes.fill_between(x, low, high, facecolor=colour, alpha=0.16, edgecolor="none", zorder=0)


def _told(name: str, curve: Sequence[Row]) -> str:
    end = curve[-1]
    share = f"{display.percent(end['share'])} {display.interval(end['low'], end['high'])}"
    return f"{name}: {share} by day {end['days']:,}, of {curve[0]['at_risk']:,} whose need was met."


def flow_figure(frame: pd.DataFrame, innovation: Innovation, trigger: str) -> Charts:
    """Draw the customer flow from the trigger to the outcome, in this iteration and those before.

    `frame` is the learning metrics of all customers. A row is a stage of the flow, a column an
    iteration, the newest at the right; the line in a column is its 95 % interval.
    """
    rows = display.records(frame)
    if not rows:
        return Charts((), NOBODY)
    stages = list(dict.fromkeys(str(each["step"]) for each in rows))
    rates: dict[tuple[str, str], dict[str, Any]] = {
        (str(each["step"]), str(each["iteration"])): each for each in rows
    }
    rates |= {
        (BOTH, each.iteration): row_of_goal(each) for each in innovation.trend if each.name == BOTH
    }
    every = list(dict.fromkeys(each.iteration for each in innovation.trend))
    here = _fitting(every, rates.values())
    if any(rates[BOTH, name]["closed"] for name in here):
        stages.append(BOTH)
    steps = [name for name in stages if name not in (ADOPTION, BOTH)]
    entered = {name: _entered(rates.get((steps[0], name))) for name in here}
    figure, axes = canvas(2.0 + ROW * (len(stages) + 1), WIDE)
    middles = _columns(here)
    for name, x in middles.items():
        weight = "bold" if name == here[-1] else "normal"
        write(axes, x, 0.7, name, ha="center", weight=weight, longest=14)
    _spine(axes, len(stages) + 1)
    _named(axes, 0, trigger, "the trigger: entered the flow")
    most = max(entered.values()) or 1
    for name, x in middles.items():
        numbers = (entered[name] / most, math.nan, math.nan)
        _column(axes, 0, x, numbers, (display.count(entered[name]), "customers"), name == here[-1])
    for row, stage in enumerate(stages, start=1):
        role = _role(stage, stages, innovation)
        _named(axes, row, stage, role)
        for name, x in middles.items():
            record = rates.get((stage, name))
            numbers, words = _shown(record)
            _column(axes, row, x, numbers, words, name == here[-1])
    said = [f"{name}: {entered[name]:,} entered." for name in here]
    said += [
        f"{stage}: {', '.join(f'{name} {rate_words(rates.get((stage, name)))}' for name in here)}."
        for stage in stages
    ]
    return Charts(
        (Chart(figure, f"The customer flow from {trigger} on. {' '.join(said)}"),), NOBODY
    )


def _columns(iterations: Sequence[str]) -> dict[str, float]:
    """Give the middle of each iteration's column."""
    width = (1 - NAMES) / len(iterations)
    return {name: NAMES + width * (place + 0.5) for place, name in enumerate(iterations)}


def _fitting(iterations: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """Give the newest iterations, as many as have room for their numbers beside each other."""
    longest = max(len(_shown(each)[1][1]) for each in rows)
    room = WIDE * (1 - NAMES) / (DIGIT * max(longest, 8) + 0.03)
    return list(iterations)[-max(2, math.floor(room)) :]


def _column(
    axes: Axes,
    row: int,
    x: float,
    numbers: tuple[float, float, float],
    words: tuple[str, str],
    newest: bool,  # noqa: FBT001 - a column is the newest or it is not
) -> None:
    """Draw the rate of a stage in one iteration as a column, with its interval and its numbers."""
    bottom = 1.3 + ROW * row + 1.25 + HEIGHT
    share, low, high = numbers
    axes.plot([x - 0.042, x + 0.042], [bottom, bottom], color=RULE, linewidth=0.9)
    if is_known(share):
        look: dict[str, Any] = {"facecolor": SERIES[0][0] if newest else BEFORE}
        axes.bar(
            x, -HEIGHT * share, bottom=bottom, width=0.062, edgecolor=SERIES[0][0], lw=0.7, **look
        )
    if is_known(low):
        ends = [bottom - HEIGHT * low, bottom - HEIGHT * high]
        axes.plot([x, x], ends, color="white", linewidth=3.0)
        axes.plot([x, x], ends, color=INK, linewidth=1.2)
    weight = "bold" if newest else "normal"
    top = bottom - HEIGHT * max(each for each in (share, high, 0.0) if is_known(each))
    write(axes, x, top - 0.5, words[0], ha="center", weight=weight)
    write(axes, x, bottom + 0.5, words[1], ha="center", size=SMALL, colour=QUIET)


def _spine(axes: Axes, stages: int) -> None:
    """Draw the way from one stage to the next."""
    middles = [1.3 + ROW * row + 1.4 for row in range(stages)]
    for start, end in pairwise(middles):
        axes.annotate(
            "",
            xy=(0.016, end - 0.4),
            xytext=(0.016, start + 0.35),
            arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1.2},
        )
    for middle in middles:
        axes.plot([0.016], [middle], color=SERIES[0][0], marker="o", markersize=7)


def _named(axes: Axes, row: int, name: str, role: str) -> None:
    top = 1.3 + ROW * row + 1.4
    write(axes, 0.045, top, name, weight="bold", longest=24)
    for place, line in enumerate(role.split("|")):
        write(axes, 0.045, top + 1.0 + 0.85 * place, line, colour=QUIET, size=8)


def _role(stage: str, stages: Sequence[str], innovation: Innovation) -> str:
    """Say what a stage of the flow is; a bar breaks the line."""
    if stage in ROLES:
        return ROLES[stage]
    if stage == innovation.goals[2].name:
        return "the outcome, of all|who entered"
    after = stages[stages.index(stage) + 1 :]
    ends = {ADOPTION, BOTH, innovation.goals[2].name}
    return "a step" if [each for each in after if each not in ends] else "the last step: need met"


def _shown(record: Row | None) -> tuple[tuple[float, float, float], tuple[str, str]]:
    """Give a rate with its interval, and the words above and below its column."""
    nothing = (math.nan, math.nan, math.nan)
    if record is None or not record["closed"]:
        return nothing, (display.UNDEFINED, nobody_words(record))
    numbers = (record["rate"], record["low"], record["high"])
    of = f"{display.count(record['converted'])}/{display.count(record['closed'])}"
    return numbers, (display.percent(record["rate"]), of)


def _entered(record: Row | None) -> int:
    return 0 if record is None else int(record["entered"])
