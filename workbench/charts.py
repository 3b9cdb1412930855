"""Figures that carry their words: the drawing that every figure shares."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench import display

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers; shades and hatches for grey print.
INK, QUIET, RULE = "#1a1d21", "#555b64", "#d5d9de"
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
Array = npt.NDArray[Any]
Span = tuple[float, float]


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

        from workbench.display import Sentences

        shown = self.charts or (Sentences((self.empty,)),)
        display(*shown)  # type: ignore[no-untyped-call]


def canvas(lines: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Make a figure of so many lines of text, measured from the top; x runs from 0 to 1.

    `width` is in inches: of a column of a page, unless a figure is to be wider.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, lines * LINE))
        axes = figure.add_axes((0.012, 0.0, 0.976, 1.0))
    axes.set_xlim(0, 1)
    axes.set_ylim(lines, 0)
    axes.axis("off")
    return figure, axes


def write(
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
    longest: int = LONGEST_NAME,
) -> None:
    """Write words into a figure as they are: neither markup nor mathematics."""
    axes.text(
        x,
        y,
        display.shortened(words, longest),
        ha=ha,
        va="center_baseline",
        color=colour,
        weight=weight,
        fontsize=size,
        family="sans-serif",
        parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0} if background else None,
    )


def whisker(
    axes: Axes,
    numbers: tuple[float, float, float],
    span: tuple[float, float],
    y: float,
    colour: str,
    marker: str,
) -> None:
    """Draw a number and its interval."""
    middle, low, high = (place(number, span) for number in numbers)
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


def scale(
    axes: Axes,
    span: tuple[float, float],
    ticks: Sequence[float],
    y: float,
    labels: Sequence[str],
    *,
    grid: bool = True,
) -> None:
    """Draw a scale under the rows."""
    for tick, label in zip(ticks, labels, strict=True):
        x = place(tick, span)
        ha = "left" if x < 0.02 else "right" if x > 0.98 else "center"
        write(axes, x, y + 0.8, label, ha=ha, colour=QUIET)
        top = 0.0 if grid else y
        axes.plot(
            [x, x], [y + 0.25 if not grid else top, y + 0.1], color=RULE, linewidth=0.7, zorder=0
        )
    axes.plot([0, 1], [y + 0.1, y + 0.1], color=RULE, linewidth=0.9, zorder=0)


def place(number: float, span: tuple[float, float]) -> float:
    """Give where on a span from 0 to 1 a number lies."""
    return (number - span[0]) / (span[1] - span[0])


def axis_end(largest: float) -> float:
    """Give the next round number at which an axis can end."""
    rounds = (0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8)
    return next((end for end in rounds if largest <= end), 1.0)


def looks(number: int) -> list[tuple[str, str]]:
    """Give each of so many cohorts its colour and marker."""
    return [SERIES[place % len(SERIES)] for place in range(number)]


@dataclass(frozen=True)
class Pane:
    """A box in a figure made by `charts.canvas`, and the numbers that its edges stand for."""

    axes: Axes
    left: float
    right: float
    top: float
    bottom: float
    across: Span
    up: Span

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give where in the figure a point lies."""
        return (
            self.left + (self.right - self.left) * place(x, self.across),
            self.bottom + (self.top - self.bottom) * place(y, self.up),
        )

    def points(self, xs: Sequence[float] | Array, ys: Sequence[float] | Array) -> tuple[Array, ...]:
        """Give where points lie; NaN stays NaN, which breaks a line."""
        x, y = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
        return tuple(np.asarray(each) for each in self.at(x, y))  # type: ignore[arg-type] # arrays

    def line(self, xs: Sequence[float] | Array, ys: Sequence[float] | Array, **look: Any) -> None:
        """Draw a line through points, broken where one is missing."""
        self.axes.plot(*self.points(xs, ys), clip_on=False, **look)

    def band(self, xs: Sequence[float] | Array, reach: Sequence[float] | Array) -> None:
        """Shade from -reach to reach, with an edge that grey print shows too."""
        x, high = self.points(xs, reach)
        _, low = self.points(xs, -np.asarray(reach, dtype=float))
        self.axes.fill_between(x, low, high, facecolor="#e9ebee", edgecolor="none", zorder=0)
        for edge in (low, high):
            self.axes.plot(x, edge, color="#8b929c", linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)

    def scale_up(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        """Draw the scale at the left, with lines through the pane."""
        for tick, words in zip(ticks, labels, strict=True):
            _, y = self.at(self.across[0], tick)
            self.axes.plot([self.left, self.right], [y, y], color=RULE, linewidth=0.7, zorder=0)
            write(self.axes, self.left - 0.012, y, words, ha="right", colour=QUIET)

    def scale_across(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        """Draw the scale at the bottom."""
        self.axes.plot(
            [self.left, self.right], [self.bottom, self.bottom], color=QUIET, linewidth=0.8
        )
        for tick, words in zip(ticks, labels, strict=True):
            x, _ = self.at(tick, self.up[0])
            self.axes.plot([x, x], [self.bottom, self.bottom + 0.25], color=QUIET, linewidth=0.8)
            write(self.axes, x, self.bottom + 0.85, words, ha="center", colour=QUIET)


def span_of(*values: Sequence[float] | Array, room: float = 0.06) -> Span:
    """Give the span of all values with some room at both ends; (-1, 1) where there are none.

    >>> span_of([0.0, 10.0], room=0.1)
    (-1.0, 11.0)
    """
    every = np.concatenate([np.asarray(each, dtype=float).ravel() for each in values])
    every = every[np.isfinite(every)]
    if not len(every):
        return (-1.0, 1.0)
    low, high = float(every.min()), float(every.max())
    more = room * (high - low) or 0.5
    return (low - more, high + more)


def ticks_of(span: Span, most: int = 5) -> tuple[float, ...]:
    """Give round numbers within a span, at most so many.

    >>> ticks_of((-0.9, 11.0)), ticks_of((0.0, 1.0), most=3)
    ((0.0, 5.0, 10.0), (0.0, 0.5, 1.0))
    """
    width = (span[1] - span[0]) / max(most, 1)
    size = 10.0 ** math.floor(math.log10(width))
    step = next(size * each for each in (1, 2, 5, 10, 20) if size * each >= width * (1 - 1e-9))
    first, last = math.ceil(span[0] / step - 1e-9), math.floor(span[1] / step + 1e-9)
    return tuple(round(each * step, 12) + 0.0 for each in range(first, last + 1))


def written(number: float) -> str:
    """Write a number of a scale.

    >>> written(-0.5), written(1200.0)
    ('−0.5', '1,200')
    """
    return f"{number:,.10g}".replace("-", display.MINUS)
