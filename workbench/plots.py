"""Results as figures, each with a text that says in words what it shows; no arithmetic."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import formats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers; shades and hatches for grey print.
INK, QUIET, RULE = "#1a1d21", "#555b64", "#d5d9de"
PARTS: dict[str, dict[str, Any]] = {
    "aligned": {"facecolor": "#0072b2", "edgecolor": "#0072b2"},
    "deviated": {"facecolor": "#f3c876", "edgecolor": "#8a5a00", "hatch": "////"},
    "pending": {"facecolor": "white", "edgecolor": "#6b7280"},
}
SERIES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#8a4a78", "D"),
    ("#8a6d00", "v"),
    ("#1a1d21", "P"),
)
WIDTH = 4.9
LINE = 0.235
LONGEST_NAME = 34
WORDS = 9.0
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": WORDS,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "workbench",
    "text.parse_math": False,
    "text.usetex": False,
}
DRAWN_FONT = "'DejaVu Sans', sans-serif"
READER_FONT = (
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Noto Sans', "
    "'Liberation Sans', 'Helvetica Neue', Arial, sans-serif"
)


@dataclass(frozen=True)
class Chart:
    """A figure and the text that stands for it: `alt` says what the figure shows."""

    figure: Figure
    alt: str

    def __repr__(self) -> str:
        """Write what the figure shows."""
        return self.alt

    def svg(self) -> str:
        """Draw the figure; its words stay words, in the reader's own font."""
        import matplotlib as mpl

        target = io.StringIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(target, format="svg", metadata={"Date": None}, transparent=True)
        drawn = target.getvalue()
        return drawn[drawn.index("<svg") :].replace(DRAWN_FONT, READER_FONT)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        svg = {"image/svg+xml": self.svg(), "text/plain": self.alt}
        return svg, {"image/svg+xml": {"alt": self.alt}}


@dataclass(frozen=True)
class Charts:
    """Charts that belong together; a notebook shows them one after the other."""

    charts: tuple[Chart, ...]
    empty: str = "There is nothing to draw."

    def __iter__(self) -> Iterator[Chart]:
        """Give each chart."""
        return iter(self.charts)

    def __len__(self) -> int:
        """Count the charts."""
        return len(self.charts)

    def __repr__(self) -> str:
        """Write what each of the figures shows."""
        return "\n\n".join(map(repr, self.charts)) or self.empty

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from workbench.displays import Sentences

        shown = self.charts or (Sentences((self.empty,)),)
        display(*shown)  # type: ignore[no-untyped-call]


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
        (step, cohort, record, series)
        for step in _steps(frame)
        for (cohort, records), series in zip(cohorts, _series(len(cohorts)), strict=True)
        for record in records
        if record["step"] == step
    ]
    empty = "No customer met the trigger in this iteration."
    if not rows:
        return Charts((), empty)
    top = max((row["high"] for _, _, row, _ in rows if row["high"] == row["high"]), default=1.0)
    lines = 2.0 * len(rows) + 1.25 * len(_steps(frame)) + 1.6
    figure, axes = _canvas(lines)
    end = _axis_end(top)
    ticks = [end * part / 4 for part in range(5)]
    at = 0.0
    drawn: list[str] = []
    for step, cohort, row, (colour, marker) in rows:
        if step not in drawn:
            drawn.append(step)
            _text(axes, 0, at + 0.6, step, weight="bold", background=True)
            at += 1.25
        value = formats.rate(row["rate"], row["converted"], row["closed"])
        shown = f"{value} {formats.interval(row['low'], row['high'])}"
        axes.plot([0.014], [at + 0.5], color=colour, marker=marker, markersize=6)
        _text(axes, 0.036, at + 0.5, cohort, background=True)
        _text(axes, 1, at + 0.5, shown, ha="right", background=True)
        _whisker(axes, (row["rate"], row["low"], row["high"]), (0.0, end), at + 1.3, colour, marker)
        at += 2.0
    _scale(axes, (0.0, end), ticks, at, [f"{100 * tick:g}%" for tick in ticks])
    sentences = [
        f"At {step}, {cohort}: {formats.rate(row['rate'], row['converted'], row['closed'])}, "
        f"interval {formats.interval(row['low'], row['high'])}."
        for step, cohort, row, _ in rows
    ]
    return Charts((Chart(figure, " ".join(["Rate of each cohort and step.", *sentences])),), empty)


def effects_figures(frame: pd.DataFrame) -> Charts:
    """Draw, for each hypothesis, the effect within each level of each grouping: exploratory.

    `frame` holds the effects of one or several hypotheses; the columns `hypothesis`,
    `minimum_effect` and `alternative` say of which, and what effect would be worth having.
    """
    records = _records(frame)
    names = dict.fromkeys(str(each.get("hypothesis", "")) for each in records)
    charts = tuple(
        _effects(name, [each for each in records if str(each.get("hypothesis", "")) == name])
        for name in names
    )
    empty = "There is no grouping beside the compared cohorts, or no hypothesis to look at."
    return Charts(charts, empty)


def _flow(cohort: str, rows: Sequence[dict[str, Any]]) -> Chart:
    figure, axes = _canvas(1.5 + 3.7 * len(rows))
    _text(axes, 0, 0.6, cohort, weight="bold", size=WORDS + 1.5)
    entrants = max(rows[0]["entered"], 1)
    for place, row in enumerate(rows):
        at = 1.5 + 3.7 * place
        _text(axes, 0, at + 0.5, str(row["step"]), weight="bold")
        _text(axes, 1, at + 0.5, f"{formats.count(row['entered'])} entered", ha="right")
        axes.barh(at + 1.45, 1, height=0.9, facecolor="#eef0f2", edgecolor="none")
        start = 0.0
        for column, (part, look) in enumerate(PARTS.items()):
            length = row[part] / entrants
            axes.barh(at + 1.45, length, left=start, height=0.9, linewidth=0.6, **look)
            start += length
            left = 0.34 * column
            axes.barh(at + 2.5, 0.024, left=left, height=0.5, linewidth=0.6, **look)
            _text(axes, left + 0.036, at + 2.5, f"{formats.count(row[part])} {part}")
    steps = " ".join(
        f"At {row['step']}: {formats.count(row['entered'])} entered, "
        f"{formats.count(row['aligned'])} aligned, {formats.count(row['deviated'])} deviated, "
        f"{formats.count(row['pending'])} pending."
        for row in rows
    )
    return Chart(figure, f"Customer flow of {cohort}. {steps}")


def _effects(name: str, rows: Sequence[dict[str, Any]]) -> Chart:
    groupings = dict.fromkeys(f"{row['grouping']} ({row['kind']})" for row in rows)
    lines = 2.0 * len(rows) + 1.25 * len(groupings) + 3.6
    figure, axes = _canvas(lines)
    worth = _worth_having(rows[0])
    ends = [row[end] for row in rows for end in ("low", "high") if row[end] == row[end]]
    reach = _axis_end(max(map(abs, [*ends, *worth, 0.05])))
    span = (-reach, reach)
    _text(axes, 0, 0.6, name, weight="bold", size=WORDS + 1.5)
    bottom = lines - 1.6
    if len(worth) < 2:
        _text(axes, 0.5, 1.75, "no effect", ha="left" if min(worth, default=0) < 0 else "right")
    axes.plot([0.5, 0.5], [2.2, bottom], color=INK, linewidth=0.9)
    for effect in worth:
        place, right = _place(effect, span), effect > 0
        label = f"worth having: {formats.points(effect)}"
        _text(axes, place, 1.75, label, ha="left" if right else "right", colour=QUIET)
        axes.plot([place, place], [2.2, bottom], color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)))
    at = 2.0
    drawn: list[str] = []
    for row in rows:
        grouping = f"{row['grouping']} ({row['kind']})"
        if grouping not in drawn:
            drawn.append(grouping)
            _text(axes, 0, at + 0.6, grouping, weight="bold", background=True)
            at += 1.25
        shown = formats.effect(row["estimate"], row["low"], row["high"])
        _text(axes, 0, at + 0.5, str(row["level"]), background=True)
        _text(axes, 1, at + 0.5, shown, ha="right", background=True)
        whisker = (row["estimate"], row["low"], row["high"])
        _whisker(axes, whisker, span, at + 1.3, *SERIES[0])
        at += 2.0
    ticks = [-reach, -reach / 2, 0.0, reach / 2, reach]
    _scale(
        axes,
        span,
        ticks,
        at,
        ["0" if not tick else formats.points(tick, 0) for tick in ticks],
        grid=False,
    )
    sentences = [
        f"{row['grouping']} = {row['level']}: "
        f"{formats.effect(row['estimate'], row['low'], row['high'])}."
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


def _canvas(lines: float) -> tuple[Figure, Axes]:
    """Make a figure of so many lines of text, measured from the top; x runs from 0 to 1."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, lines * LINE))
        axes = figure.add_axes((0.012, 0.0, 0.976, 1.0))
    axes.set_xlim(0, 1)
    axes.set_ylim(lines, 0)
    axes.axis("off")
    return figure, axes


def _text(
    axes: Axes,
    x: float,
    y: float,
    words: str,
    *,
    ha: str = "left",
    colour: str = INK,
    weight: str = "normal",
    size: float = WORDS,
    background: bool = False,
) -> None:
    axes.text(
        x,
        y,
        formats.shortened(words, LONGEST_NAME),
        ha=ha,
        va="center_baseline",
        color=colour,
        weight=weight,
        fontsize=size,
        family="sans-serif",
        parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0} if background else None,
    )


def _whisker(
    axes: Axes,
    numbers: tuple[float, float, float],
    span: tuple[float, float],
    y: float,
    colour: str,
    marker: str,
) -> None:
    middle, low, high = (_place(number, span) for number in numbers)
    axes.plot([low, high], [y, y], color=colour, linewidth=1.8, clip_on=False)
    for end in (low, high):
        axes.plot([end, end], [y - 0.22, y + 0.22], color=colour, linewidth=1.2, clip_on=False)
    look: dict[str, Any] = {
        "marker": marker,
        "markersize": 6.5,
        "markeredgecolor": "white",
        "clip_on": False,
    }
    axes.plot([middle], [y], color=colour, **look)


def _scale(
    axes: Axes,
    span: tuple[float, float],
    ticks: Sequence[float],
    y: float,
    labels: Sequence[str],
    *,
    grid: bool = True,
) -> None:
    for tick, label in zip(ticks, labels, strict=True):
        x = _place(tick, span)
        ha = "left" if x < 0.02 else "right" if x > 0.98 else "center"
        _text(axes, x, y + 0.8, label, ha=ha, colour=QUIET)
        top = 0.0 if grid else y
        axes.plot(
            [x, x], [y + 0.25 if not grid else top, y + 0.1], color=RULE, linewidth=0.7, zorder=0
        )
    axes.plot([0, 1], [y + 0.1, y + 0.1], color=RULE, linewidth=0.9, zorder=0)


def _place(number: float, span: tuple[float, float]) -> float:
    return (number - span[0]) / (span[1] - span[0])


def _axis_end(largest: float) -> float:
    """Give the next round number at which an axis can end."""
    rounds = (0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8)
    return next((end for end in rounds if largest <= end), 1.0)


def _series(number: int) -> list[tuple[str, str]]:
    return [SERIES[place % len(SERIES)] for place in range(number)]


def _steps(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(str(step) for step in frame["step"]))


def _cohorts(frame: pd.DataFrame) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give each cohort's name and its rows, one for each step."""
    names = [str(name) for name in frame.columns]
    by = names[names.index("iteration") + 1 : names.index("step")]
    cohorts: dict[str, list[dict[str, Any]]] = {}
    for record in _records(frame):
        name = ", ".join(f"{column} = {record[column]}" for column in by) or "all customers"
        cohorts.setdefault(name, []).append(record)
    yield from cohorts.items()


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
