"""The customer flow as one picture: from trigger to outcome, iteration by iteration; no arithmetic."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from workbench import formats
from workbench.charts import INK, QUIET, RULE, SERIES, Chart, Charts, canvas, write
from workbench.flow import ADOPTION
from workbench.innovation import BOTH, Innovation
from workbench.release_rows import is_known, nobody_words, rate_words, row_of_goal, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from workbench.release_rows import Row

NOBODY = "No customer met the trigger in these iterations."
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


def flow_figure(frame: pd.DataFrame, innovation: Innovation, trigger: str) -> Charts:
    """Draw the customer flow from the trigger to the outcome, in this iteration and those before.

    `frame` is the learning metrics of all customers. A row is a stage of the flow, a column an
    iteration, the newest at the right; the line in a column is its 95 % interval.
    """
    rows = rows_of(frame)
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
        _column(axes, 0, x, numbers, (formats.count(entered[name]), "customers"), name == here[-1])
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
        return nothing, (formats.UNDEFINED, nobody_words(record))
    numbers = (record["rate"], record["low"], record["high"])
    of = f"{formats.count(record['converted'])}/{formats.count(record['closed'])}"
    return numbers, (formats.percent(record["rate"]), of)


def _entered(record: Row | None) -> int:
    return 0 if record is None else int(record["entered"])
