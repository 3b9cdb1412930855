"""Figures of a release review: goals, the customer flow, rates over iterations, retention."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import charts, display
from workbench.charts import INK, LINE, QUIET, RULE, SERIES, Chart, Charts, Estimate
from workbench.data.metrics import LEARNING_COLUMNS, groupings_of
from workbench.display import Sentences
from workbench.innovation.true_innovation import BOTH, Innovation
from workbench.schema.flow import ADOPTION
from workbench.views.figures import effects_chart
from workbench.views.release_tables import NOTHING, is_known, nobody_words, rate_words, row_of_goal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

    from workbench.experiments.over_versions import OverVersions
    from workbench.innovation.difference import Difference
    from workbench.innovation.problems import ProblemReview
    from workbench.views.release_tables import Row

NOBODY = "No customer met the trigger in these iterations."
OPEN = "Nobody's window is over yet, so there is no rate to draw."
LONGEST = 14  # letters of an iteration's name below a figure
LETTERS = 56  # that have room beside each other there
CURVES: tuple[tuple[str, Any], ...] = (
    (SERIES[0][0], "solid"),
    (SERIES[1][0], (0, (6, 2))),
    (SERIES[2][0], (0, (2, 2))),
    (SERIES[3][0], (0, (6, 2, 1, 2))),
)
WIDE = 5.6  # inches: the whole flow with five iterations beside each other
NAMES = 0.335  # share of that width for the names of the stages
DIGIT = 0.055  # inches of a letter of a small number
SMALL = 7.0
STAGE, COLUMN = 1.08, 0.52  # inches: height of a stage, and of its highest column
DOT = (0.018, 0.95)  # of a stage, in shares of the figure across and of its columns upwards
BEFORE = "#a9cbe3"
ROLES = {
    ADOPTION: "came back, of those who\nmet the trigger again",
    BOTH: "adopted, and the outcome\ncame: true innovation",
}


def goals_figures(innovation: Innovation) -> Charts:
    """Draw each goal over the iterations, with its interval and its target."""
    iterations = list(dict.fromkeys(each.iteration for each in innovation.trend))
    drawn = []
    for goal in innovation.goals:
        rows = [row_of_goal(each) for each in innovation.trend if each.name == goal.name]
        if any(each["closed"] for each in rows):
            state = str(goal.state)
            drawn.append(_rates(goal.name, {"": rows}, iterations, 1.0, goal.target, state))
    return Charts(tuple(drawn), "No goal can be counted yet.")


def learning_figures(frame: pd.DataFrame) -> Charts:
    """Draw each learning metric over the iterations, with intervals; a mark per cohort.

    Args:
        frame: The learning metrics of several iterations.

    Returns:
        A figure per step, all on one scale; none for a step where no customer's window is over.
    """
    rows = display.records(frame)
    iterations = list(dict.fromkeys(str(each["iteration"]) for each in rows))
    by = groupings_of(frame, LEARNING_COLUMNS)
    largest = max((each["high"] for each in rows if is_known(each["high"])), default=1.0)
    drawn = []
    for step in dict.fromkeys(str(each["step"]) for each in rows):
        cohorts: dict[str, list[Row]] = {}
        for each in rows:
            if each["step"] == step:
                cohort = ", ".join(str(each[column]) for column in by)
                cohorts.setdefault(cohort, []).append(each)
        if any(each["closed"] for shown in cohorts.values() for each in shown):
            drawn.append(_rates(step, cohorts, iterations, largest))
    return Charts(tuple(drawn), OPEN if rows else NOBODY)


def evidence_figures(found: Sequence[OverVersions]) -> Charts | Sentences:
    """Draw the effect of each version of a hypothesis, and their average, a figure each.

    Args:
        found: The answers over versions.

    Returns:
        Forest plots in percentage points; nothing where no hypothesis has two versions.
    """
    return Charts(tuple(_forest(each) for each in found)) if found else NOTHING


@charts.styled
def difference_figure(found: Difference | Sentences) -> Charts | Sentences:
    """Draw by how much each rate changed since the iteration before, with intervals."""
    rates = [] if isinstance(found, Sentences) else [e for e in found.changes if e.part == "rate"]
    known = [each for each in rates if is_known(each.low)]
    if isinstance(found, Sentences) or not known:
        return NOTHING
    title = f"Change of each rate, {found.after} minus {found.before}"
    estimates = [
        _estimate(each.what, (each.estimate, each.low, each.high), SERIES[0], "") for each in known
    ]
    said = " ".join(f"{each.what}: {each.before} to {each.after}, {each.change}." for each in known)
    return Charts((effects_chart(title, estimates, (), f"{title}. {said}"),))


@charts.styled
def problems_figure(found: Sequence[ProblemReview] | Sentences) -> Charts | Sentences:
    """Draw what each solution of a problem is worth to customers, the best one first."""
    tried = [] if isinstance(found, Sentences) else [each for each in found if each.solutions]
    if not tried:
        return NOTHING
    estimates = [
        _estimate(
            f"{each.name} {each.version}, {each.metric}",
            (each.worth.estimate, each.worth.low, each.worth.high),
            SERIES[0],
            problem.name,
        )
        for problem in tried
        for each in problem.solutions
    ]
    title = "What each solution is worth"
    said = " ".join(f"{each.name}: {each.sentence}" for each in tried)
    return Charts((effects_chart(title, estimates, (), f"{title}. {said}"),))


@charts.styled
def _forest(found: OverVersions) -> Chart:
    claim, answer = found.newest.hypothesis, found.found
    rows = [
        (f"version {number}, {each.control.total:,} : {each.treatment.total:,} customers", each)
        for number, each in found.effects
    ]
    estimates = [
        _estimate(name, (each.estimate, each.low, each.high), charts.SERIES[0])
        for name, each in rows
    ]
    average = (answer.estimate, answer.low, answer.high)
    customers = f"{answer.control:,} : {answer.treatment:,} customers"
    estimates.append(_estimate(f"average, {customers}", average, charts.SERIES[1], "together"))
    worth = sorted({claim.towards(1), claim.towards(-1)} - {0.0})
    title = f"{found.hypothesis}: {found.treatment}, by version"
    return effects_chart(title, estimates, worth, f"{title}. {found.sentence}")


def _estimate(
    name: str, ends: tuple[float, float, float], look: tuple[str, str], group: str = "each alone"
) -> Estimate:
    value, low, high = (100 * each for each in ends)
    return Estimate(name, display.effect(*ends), value, low, high, look, group)


@charts.styled
def retention_figure(found: pd.DataFrame | Sentences) -> Charts:
    """Draw the share who adopted by days since their need was met, a curve per iteration.

    Args:
        found: The retention of several iterations, or the sentences that say why there is none.

    Returns:
        One figure of the newest four iterations; the newest of them has its interval.
    """
    if isinstance(found, Sentences):
        return Charts((), " ".join(found.sentences))
    rows = display.records(found)
    if not rows:
        return Charts((), "Nobody's need was met, so nobody can return yet.")
    names = list(dict.fromkeys(str(each["iteration"]) for each in rows))[-len(CURVES) :]
    curves = {name: [each for each in rows if each["iteration"] == name] for name in names}
    figure = charts.new_figure(3.9, title="Share who adopted")
    axes = figure.subplots()
    lines: list[Any] = []
    for (name, curve), (colour, dashes) in zip(reversed(curves.items()), CURVES, strict=False):
        days, shares = ([each[column] for each in curve] for column in ("days", "share"))
        look: dict[str, Any] = {"color": colour, "linestyle": dashes, "clip_on": False}
        lines += axes.step(days, shares, where="post", lw=1.5 if lines else 2.3, **look)
        if name == names[-1]:
            low, high = ([each[end] for each in curve] for end in ("low", "high"))
            axes.fill_between(days, low, high, step="post", color=colour, alpha=0.16, lw=0)
    drawn = [each for curve in curves.values() for each in curve]
    last = max(*(int(each["days"]) for each in drawn), 1)
    axes.set_xlim(0, last)
    axes.set_xticks(range(0, last + 1, 7 * math.ceil(last / 35) if last > 5 else 1))
    axes.xaxis.set_major_formatter(charts.NUMBERS)
    axes.set_xlabel("days since the need was met")
    highs = [each["high"] for each in drawn if is_known(each["high"])]
    charts.scale_shares(axes, "y", max(highs, default=1.0))
    charts.add_key(axes, lines, names[::-1], longest=LONGEST)
    said = " ".join(_told(name, curve) for name, curve in curves.items())
    return Charts((Chart(figure, f"Share who adopted, by days since their need was met. {said}"),))


@charts.styled
def flow_figure(frame: pd.DataFrame, innovation: Innovation, trigger: str) -> Charts:
    """Draw the customer flow from the trigger to the outcome, in this iteration and earlier ones.

    Args:
        frame: The learning metrics of all customers.
        innovation: The goals, for the stage where adoption and the outcome both came.
        trigger: What starts the flow.

    Returns:
        One figure: a row per stage of the flow, a column per iteration, the newest at the right,
        with 95 % intervals.
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
    first = next(name for name in stages if name not in (ADOPTION, BOTH))
    entered = [_entered(rates.get((first, name))) for name in here]
    figure, (start, *others) = _stages(here, len(stages) + 1)
    _name_stage(start, trigger, "the trigger: entered the flow")
    shares = [(each / (max(entered) or 1), math.nan, math.nan) for each in entered]
    _draw_stage(start, shares, [(display.count(each), "customers") for each in entered])
    for stage, each in zip(stages, others, strict=True):
        _name_stage(each, stage, _role(stage, stages, innovation))
        shown = [_shown(rates.get((stage, name))) for name in here]
        _draw_stage(each, [numbers for numbers, _ in shown], [words for _, words in shown])
    said = [f"{name}: {count:,} entered." for name, count in zip(here, entered, strict=True)]
    said += [
        f"{stage}: {', '.join(f'{name} {rate_words(rates.get((stage, name)))}' for name in here)}."
        for stage in stages
    ]
    alt = f"The customer flow from {trigger} on. {' '.join(said)}"
    return Charts((Chart(figure, alt),))


@charts.styled
def _rates(
    title: str,
    cohorts: Mapping[str, Sequence[Row]],
    iterations: Sequence[str],
    largest: float,
    target: float = math.nan,
    state: str = "",
) -> Chart:
    """Draw one rate over the iterations, cohort beside cohort."""
    named = [name for name in cohorts if name]
    wanted = ""
    if is_known(target):
        wanted = f" The target is {100 * target:g}%."
        state = f"target {100 * target:g}%: {state}"
    height = 2.6 + LINE * math.ceil(len(named) / 2)
    figure = charts.new_figure(height, title=title, beside=state)
    axes = figure.subplots()
    apart = 0.5 / max(len(cohorts), 1)
    marks = []
    for place, (rows, look) in enumerate(
        zip(cohorts.values(), charts.looks(len(cohorts)), strict=True)
    ):
        known = {str(each["iteration"]): each for each in rows if each["closed"]}
        aside = (place - (len(cohorts) - 1) / 2) * apart
        xs = [x + aside for x, name in enumerate(iterations) if name in known]
        shown = [known[name] for name in iterations if name in known]
        rate, low, high = ([each[name] for each in shown] for name in ("rate", "low", "high"))
        axes.plot(xs, rate, color=look[0], linewidth=0.9, alpha=0.6)
        marks.append(charts.add_intervals(axes, xs, rate, (low, high), look=look)[0])
    charts.scale_shares(axes, "y", largest)
    _name_iterations(axes, iterations, [row for rows in cohorts.values() for row in rows])
    if is_known(target):
        axes.axhline(target, color=INK, linewidth=1.0, linestyle=charts.DASHED)
    if named:
        charts.add_key(axes, marks, list(cohorts))
    said = " ".join(
        f"{each['iteration']}{f', {name}' if name else ''}: {rate_words(each)}."
        for name, rows in cohorts.items()
        for each in rows
    )
    return Chart(figure, f"{title} over the iterations.{wanted} {said}")


def _name_iterations(axes: Axes, iterations: Sequence[str], rows: Iterable[Row]) -> None:
    """Name as many iterations as have room, the newest among them; say which have no rate yet."""
    number, longest = len(iterations), max(map(len, iterations))
    every = math.ceil(number * (min(longest, LONGEST) + 1) / LETTERS)
    places = range((number - 1) % every, number, every)
    axes.set_xticks(places, [display.shortened(iterations[each], LONGEST) for each in places])
    axes.set_xlim(-0.5, number - 0.5)
    closed = {str(row["iteration"]) for row in rows if row["closed"]}
    for place, name in enumerate(iterations):
        if name not in closed and number <= LETTERS / 7:
            look: dict[str, Any] = {"ha": "center", "color": QUIET, "size": charts.SMALL}
            axes.annotate("none yet", (place, 0), (0, 5), textcoords="offset points", **look)


def _told(name: str, curve: Sequence[Row]) -> str:
    end = curve[-1]
    share = f"{display.percent(end['share'])} {display.interval(end['low'], end['high'])}"
    return f"{name}: {share} by day {end['days']:,}, of {curve[0]['at_risk']:,} whose need was met."


def _fitting(iterations: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """Return the newest iterations, as many as have room for their numbers beside each other."""
    longest = max(len(_shown(each)[1][1]) for each in rows)
    room = WIDE * (1 - NAMES) / (DIGIT * max(longest, 8) + 0.03)
    return list(iterations)[-max(2, math.floor(room)) :]


def _stages(iterations: Sequence[str], number: int) -> tuple[Figure, Sequence[Axes]]:
    """Return axes below one another, one per stage, with the iterations named above the first."""
    from matplotlib.figure import Figure

    top = 0.72  # inches above the columns of the first stage
    high = top + STAGE * number - 0.2
    figure = Figure(figsize=(WIDE, high))
    grid = {
        "left": NAMES,
        "right": 1.0,
        "top": 1 - top / high,
        "bottom": 1 - (top + COLUMN + STAGE * (number - 1)) / high,
        "hspace": STAGE / COLUMN - 1,
    }
    stages = figure.subplots(number, gridspec_kw=grid)
    for place, name in enumerate(iterations):
        weight = "bold" if place == len(iterations) - 1 else "normal"
        x = NAMES + (1 - NAMES) * (place + 0.5) / len(iterations)
        shown = display.shortened(name, LONGEST)
        figure.text(x, 1 - 0.17 / high, shown, weight=weight, ha="center", va="center_baseline")
    arrow = {"arrowstyle": "-|>", "color": QUIET, "linewidth": 1.2, "shrinkA": 7, "shrinkB": 6}
    for axes, after in pairwise(stages):
        ends: dict[str, Any] = {"xycoords": _beside(after), "textcoords": _beside(axes)}
        axes.annotate("", DOT, DOT, arrowprops=arrow, annotation_clip=False, **ends)
    return figure, stages


def _beside(axes: Axes) -> Transform:
    """Return the transform of words beside axes: x in shares of the figure, y of the axes."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.figure.transFigure, axes.transAxes)


def _name_stage(axes: Axes, name: str, role: str) -> None:
    """Write what a stage is at the left of its columns."""
    place = _beside(axes)
    axes.plot(*DOT, "o", color=SERIES[0][0], markersize=7, clip_on=False, transform=place)
    shown = display.shortened(name, 24)
    axes.text(0.055, DOT[1], shown, weight="bold", va="center_baseline", transform=place)
    look: dict[str, Any] = {"color": QUIET, "size": charts.SMALL, "linespacing": 1.5}
    axes.text(0.055, DOT[1] - 0.25, role, va="top", transform=place, **look)


def _draw_stage(
    axes: Axes,
    numbers: Sequence[tuple[float, float, float]],
    words: Sequence[tuple[str, str]],
) -> None:
    """Draw the rate of a stage in each iteration as a column, with its interval and its numbers."""
    places = range(len(numbers))
    shares, low, high = np.array(numbers).T
    colours = [BEFORE] * (len(numbers) - 1) + [SERIES[0][0]]
    wide = 0.095 * len(numbers)  # as wide however many there are
    axes.bar(places, shares, width=wide, color=colours, edgecolor=SERIES[0][0], linewidth=0.7)
    axes.vlines(places, low, high, color="white", linewidth=3.0)
    axes.vlines(places, low, high, color=INK, linewidth=1.2)
    tops = np.nanmax([np.zeros(len(numbers)), shares, high], axis=0)
    for place, top, (above, _) in zip(places, tops, words, strict=True):
        weight = "bold" if place == places[-1] else "normal"
        look: dict[str, Any] = {"ha": "center", "weight": weight, "annotation_clip": False}
        axes.annotate(above, (place, top), (0, 4), textcoords="offset points", **look)
    axes.set(xlim=(-0.5, len(numbers) - 0.5), ylim=(0, 1))
    axes.set_xticks(places, [below for _, below in words], size=SMALL)
    axes.tick_params(length=0)
    axes.yaxis.set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def _role(stage: str, stages: Sequence[str], innovation: Innovation) -> str:
    """Return what a stage of the flow is, in words."""
    if stage in ROLES:
        return ROLES[stage]
    if stage == innovation.goals[2].name:
        return "the outcome, of all\nwho entered"
    after = stages[stages.index(stage) + 1 :]
    ends = {ADOPTION, BOTH, innovation.goals[2].name}
    return "a step" if [each for each in after if each not in ends] else "the last step: need met"


def _shown(record: Row | None) -> tuple[tuple[float, float, float], tuple[str, str]]:
    """Return a rate with its interval, and the words above and below its column."""
    if record is None or not record["closed"]:
        return (math.nan, math.nan, math.nan), (display.UNDEFINED, nobody_words(record))
    numbers = (record["rate"], record["low"], record["high"])
    of = f"{display.count(record['converted'])}/{display.count(record['closed'])}"
    return numbers, (display.percent(record["rate"]), of)


def _entered(record: Row | None) -> int:
    return 0 if record is None else int(record["entered"])
