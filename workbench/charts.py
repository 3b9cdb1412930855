"""Figures with the text that stands for them, in one style, on matplotlib's own axes."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np

from workbench import display

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.ticker import MaxNLocator
    from numpy.typing import ArrayLike

Drawn = TypeVar("Drawn")
Given = ParamSpec("Given")

# Okabe and Ito's colours, which colour-blind readers can tell apart; markers for grey print.
INK, QUIET, RULE = "#1a1d21", "#555b64", "#d5d9de"
SERIES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#8a4a78", "D"),
    ("#8a6d00", "v"),
    ("#1a1d21", "P"),
)
WIDTH = 4.9  # inches: a column of a page
LINE = 0.235  # inches: a line of text
PAD = 0.06  # inches: around the words of a figure
LONGEST_NAME = 34  # letters
WORDS, SMALL = 9.0, 8.0  # points
DASHED: Any = (0, (4, 3))
NUMBERS = "{x:,.6g}"  # eight letters at most
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.labelsize": WORDS,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": WORDS,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "figure.titlesize": WORDS + 1.5,
    "figure.titleweight": "bold",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": WORDS,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.borderaxespad": 0.4,
    "legend.borderpad": 0.2,
    "legend.columnspacing": 1.6,
    "legend.fontsize": WORDS,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "workbench",
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "ytick.major.size": 0,
}
DRAWN_FONT = "'DejaVu Sans', sans-serif"
READER_FONT = (
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Noto Sans', "
    "'Liberation Sans', 'Helvetica Neue', Arial, sans-serif"
)


@dataclass(frozen=True)
class Chart:
    """A figure and its alternative text, which says what the figure shows."""

    figure: Figure
    alt: str

    def __repr__(self) -> str:
        """Return the alternative text."""
        return self.alt

    def svg(self) -> str:
        """Return the figure as SVG; its words stay text, in the reader's own font."""
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        target = io.StringIO()
        with mpl.rc_context(STYLE):  # the canvas itself: savefig would draw twice, for the layout
            canvas: Any = FigureCanvasSVG(self.figure)
            canvas.print_svg(target, metadata={"Date": None})
        drawn = target.getvalue()
        return drawn[drawn.index("<svg") :].replace(DRAWN_FONT, READER_FONT)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        svg = {"image/svg+xml": self.svg(), "text/plain": self.alt}
        return svg, {"image/svg+xml": {"alt": self.alt}}


@dataclass(frozen=True)
class Charts:
    """Charts that belong together; a notebook shows one after the other, or why there are none."""

    charts: tuple[Chart, ...]
    empty: str = "There is nothing to draw."

    def __iter__(self) -> Iterator[Chart]:
        """Iterate over the charts."""
        return iter(self.charts)

    def __len__(self) -> int:
        """Return the number of charts."""
        return len(self.charts)

    def __repr__(self) -> str:
        """Return the alternative texts, or the sentence that says why nothing is drawn."""
        return "\n\n".join(map(repr, self.charts)) or self.empty

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from workbench.display import Sentences

        shown = self.charts or (Sentences((self.empty,)),)
        display(*shown)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Estimate:
    """A row of `draw_estimates`: an estimate, its interval (NaN where unknown), and its words."""

    name: str
    words: str
    value: float
    low: float
    high: float
    look: tuple[str, str] = SERIES[0]
    group: str = ""


def styled(draw: Callable[Given, Drawn]) -> Callable[Given, Drawn]:
    """Decorate a function that draws, so that it draws in the style of all figures.

    In this style, names from data are text: a dollar sign starts no mathematics.
    """

    @functools.wraps(draw)
    def drawn(*args: Given.args, **options: Given.kwargs) -> Drawn:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **options)

    return drawn


def new_figure(
    height: float,
    width: float = WIDTH,
    *,
    title: str = "",
    beside: str = "",
    margins: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Return an empty figure, ready for axes.

    Args:
        height: Height in inches.
        width: Width in inches.
        title: Words at the left of the first line.
        beside: Words at the right of that line.
        margins: Inches at the left, at the right, below and above the axes. Axes keep their
            place while a slider moves, and are drawn in half the time; unless given, the words
            around the axes get the room that they need.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = None if margins else ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD)
    figure = Figure(figsize=(width, height), layout=layout)
    if margins:
        left, right, bottom, top = margins
        ends = {"left": left / width, "right": 1 - right / width}
        figure.subplots_adjust(**ends, bottom=bottom / height, top=1 - top / height)
    if title:
        add_title(figure, title, beside)
    return figure


def add_title(figure: Figure | SubFigure, words: str, beside: str = "") -> None:
    """Write the title of a figure, or of a part of one, and words at the right of its line."""
    figure.suptitle(display.shortened(words, 44), x=0.012, ha="left")
    if beside:
        y = 1 - 1.3 * PAD * figure.dpi / figure.bbox.height
        figure.text(0.988, y, beside, ha="right", va="top")


def add_key(
    axes: Axes,
    handles: Sequence[Any],
    names: Sequence[str],
    *,
    longest: int = 20,
    below: bool = False,
) -> None:
    """Name what is drawn, in as many columns as have room.

    Args:
        axes: Where it is drawn.
        handles: The lines, marks or fields that are named.
        names: Their names, in the same order.
        longest: Letters after which a name is cut.
        below: Whether the key stands below the figure rather than above the axes.
    """
    shown = [display.shortened(name, longest) for name in names]
    inches = axes.figure.bbox.width / axes.figure.dpi - 0.5
    columns = max(1, int(inches / (0.6 + 0.08 * max(map(len, shown)))))
    if below:
        axes.figure.legend(handles, shown, loc="outside lower left", ncols=columns)
    else:
        axes.legend(handles, shown, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)


def mark_value(axes: Axes, x: float, words: str, *, ha: str = "center", **look: Any) -> None:
    """Draw an upright line, dashed unless `look` says otherwise, and its words above the axes."""
    line = {"color": QUIET, "linewidth": 0.9, "linestyle": DASHED, "zorder": 1, **look}
    axes.axvline(x, **line)
    beside = ({"right": -4, "center": 0, "left": 4}[ha], 2)
    place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
    axes.annotate(words, (x, 1.0), beside, ha=ha, va="bottom", color=line["color"], **place)


def add_intervals(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    ends: tuple[ArrayLike, ArrayLike],
    *,
    look: tuple[str, str],
    upright: bool = True,
) -> ErrorbarContainer:
    """Draw estimates with their intervals.

    Args:
        axes: Where to draw.
        x: Places of the estimates across.
        y: Places of the estimates upwards.
        ends: Low and high ends of the intervals. What is NaN is not drawn.
        look: Colour and marker.
        upright: Whether `y` holds the estimates; otherwise `x` does.
    """
    middle = np.asarray(y if upright else x, dtype=float)
    lengths = np.clip([middle - np.asarray(ends[0]), np.asarray(ends[1]) - middle], 0.0, None)
    colour, marker = look
    found = axes.errorbar(
        x,
        y,
        **{"yerr" if upright else "xerr": lengths},
        fmt=marker,
        color=colour,
        markersize=6.5,
        markeredgecolor="white",
        elinewidth=1.8,
        capsize=0 if upright else 3.0,
        capthick=1.2,
    )
    for part in found.get_children():
        part.set_clip_on(False)
    return found


def draw_estimates(
    rows: Sequence[Estimate], *, title: str = "", lines: float = 0
) -> tuple[Figure, Axes]:
    """Draw estimates with their intervals below one another, in a new figure (a forest plot).

    Args:
        rows: The estimates, from the top. Name and words stand above the interval, and a heading
            where a group begins.
        title: The title of the figure.
        lines: Lines of text to leave room for, above the axes and below them.
    """
    groups = len(dict.fromkeys(row.group for row in rows if row.group))
    height = len(rows) + 0.65 * groups
    figure = new_figure(LINE * (2.0 * height + lines + (3.0 if title else 1.4)), title=title)
    axes = figure.subplots()
    across = axes.get_yaxis_transform()
    look: dict[str, Any] = {"va": "center_baseline", "transform": across}
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    at, group = 0.0, ""
    for row in rows:
        if row.group != group:
            group = row.group
            heading = display.shortened(group, LONGEST_NAME)
            axes.text(0, at + 0.35, heading, weight="bold", **look)
            at += 0.65
        axes.text(0, at + 0.25, display.shortened(row.name, LONGEST_NAME), **look)
        axes.text(1, at + 0.25, row.words, ha="right", **look)
        ends = ([row.low], [row.high])
        add_intervals(axes, [row.value], [at + 0.65], ends, look=row.look, upright=False)
        at += 1.0
    axes.set_ylim(at, 0)
    axes.yaxis.set_visible(False)
    axes.grid(axis="x")
    axes.tick_params(axis="x", length=0)
    return figure, axes


def scale_shares(axes: Axes, axis: Literal["x", "y"], largest: float) -> None:
    """Scale an axis in percent, from 0 to the round number at or above the largest share."""
    ticks = round_ticks(4)
    end = min(float(ticks.tick_values(0.0, largest)[-1]), 1.0)
    scaled = axes.xaxis if axis == "x" else axes.yaxis
    scaled.set_major_locator(ticks)
    scaled.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.set(**{f"{axis}lim": (0.0, end)})


def round_ticks(most: int, **options: Any) -> MaxNLocator:
    """Return a locator of ticks at round numbers, with so many steps between them at most."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], **options)


def signed(number: float, _: object = None) -> str:
    """Write the number of a tick with its sign.

    >>> signed(-20.0), signed(0.0), signed(2.5)
    ('−20', '0', '+2.5')
    """
    return f"{number:+.10g}".replace("-", display.MINUS) if number else "0"


def name_periods(axes: Axes, names: Sequence[str], most: int) -> None:
    """Name at most so many periods below axes whose x counts the periods from 0."""
    every = -(-len(names) // most)
    places = range((every - 1) // 2, len(names), every)
    axes.set_xticks(places, [names[place] for place in places])


def looks(number: int) -> list[tuple[str, str]]:
    """Return a colour and a marker for each of so many series."""
    return [SERIES[place % len(SERIES)] for place in range(number)]


def canvas(lines: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a figure for a drawing that is no chart: axes without ticks, as wide as the figure.

    Args:
        lines: Height of the figure in lines of text; y is measured in them from the top.
        width: Width in inches; x runs from 0 to 1.
    """
    from matplotlib.figure import Figure

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
    longest: int = LONGEST_NAME,
    background: bool = False,
    **look: Any,
) -> None:
    """Write words into a drawing as they are, shortened to so many letters."""
    if background:
        look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.text(x, y, display.shortened(words, longest), va="center_baseline", **look)
