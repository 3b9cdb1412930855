"""Panes: parts of a figure with scales of their own, for series, points and curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench import formats
from workbench.charts import QUIET, RULE, place, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]
Span = tuple[float, float]


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
    return f"{number:,.10g}".replace("-", formats.MINUS)
