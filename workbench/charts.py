"""Charts: figures that carry their words, and the strokes that they are drawn with."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import formats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        formats.shortened(words, longest),
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
