"""Figures of one pair of indicators: both series at a lag, their scatter, correlation over lags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.charts import INK, QUIET, SERIES, WIDTH, WORDS, Chart, Charts, canvas, write
from workbench.lag_curves import LagCurve
from workbench.lags import Association, count_of, signed
from workbench.pairs import TRANSFORMS, VIEWS, PairView
from workbench.panes import Pane, span_of, ticks_of, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 7.2
LINES = 15.6  # of text that a scatter or a curve is high
EARLY, LATE = SERIES[0], SERIES[1]
HERE = SERIES[1][0]
CORRELATIONS = ((-1.0, -0.5, 0.0, 0.5, 1.0), ("−1", "−0.5", "0", "+0.5", "+1"))


def series_figure(seen: PairView, *, farthest: int | None = None, width: float = WIDTH) -> Chart:
    """Draw the leading series, moved later by the lag, over the lagging one, on one scale.

    `farthest` keeps the axis as it is while the lag changes: room for so many periods.
    """
    figure, axes = canvas(15.2 if width > WIDTH else 16.4, width)
    return Chart(figure, f"{_series(axes, seen, farthest, WIDTH / width)} {seen.sentence}")


def scatter_figure(seen: PairView) -> Chart:
    """Draw the lagging value of each period over the leading one of `lag` periods before."""
    figure, axes = canvas(LINES)
    return Chart(figure, f"{_scatter(axes, seen, 0.0, LINES)} {seen.sentence}")


def pair_figure(seen: PairView) -> Chart:
    """Draw both series at a lag, and under them the scatter at that lag."""
    figure, axes = canvas(16.6 + 12.0)
    said = _series(axes, seen, None, 1.0), _scatter(axes, seen, 16.6, 16.6 + 12.0)
    return Chart(figure, " ".join([*said, seen.sentence]))


def curve_figure(seen: PairView) -> Chart:
    """Draw the correlation of a view at every lag, the band of chance, and the lag looked at."""
    setting, curve = seen.setting, seen.curve
    figure, axes = canvas(LINES)
    title = "Correlation at every lag"
    write(axes, 0, 0.6, title, weight="bold", size=WORDS + 1.5)
    axes.plot([0.0, 0.05], [2.1, 2.1], color="#8b929c", linewidth=0.9, linestyle=(0, (4, 2)))
    write(axes, 0.062, 2.1, "chance, for the best of all lags", colour=QUIET)
    pane = _curve(axes, curve, 3.4, LINES - 3.4, setting.lag)
    pane.scale_across(curve.lags, [str(each) for each in curve.lags])
    write(
        axes,
        (pane.left + pane.right) / 2,
        LINES - 0.9,
        f"lag, {seen.association.period}s ({setting.leading} first)",
        ha="center",
    )
    return Chart(figure, f"{title}, {VIEWS[curve.transform]}. {seen.sentence} {_in_words(curve)}")


def views_figure(found: Association) -> Chart:
    """Draw the correlation at every lag in all three views of a pair, with the band of chance."""
    each, first = 8.0, 2.9
    figure, axes = canvas(first + 3 * each + 1.6)
    write(axes, 0, 0.6, f"{found.leading} before {found.lagging}", weight="bold", size=WORDS + 1.5)
    axes.plot([0.0, 0.05], [2.0, 2.0], color="#8b929c", linewidth=0.9, linestyle=(0, (4, 2)))
    write(
        axes,
        0.062,
        2.0,
        "correlation; dashed: chance, for the best of all lags",
        colour=QUIET,
        longest=60,
    )
    said = []
    for number, transform in enumerate(TRANSFORMS):
        curve: LagCurve = getattr(found, transform)
        top = first + number * each
        write(axes, 0, top + 0.6, VIEWS[transform], weight="bold", background=True)
        pane = _curve(axes, curve, top + 1.5, top + each - 1.6, curve.best_lag)
        pane.scale_across(curve.lags, [str(lag) for lag in curve.lags])
        said.append(f"{VIEWS[transform].capitalize()}: {_in_words(curve)}")
    write(
        axes,
        0.55,
        first + 3 * each + 0.5,
        f"lag, {found.period}s ({found.leading} first)",
        ha="center",
    )
    alt = (
        f"Correlation of {found.leading} and {found.lagging} at every lag, with the band of chance."
    )
    return Chart(figure, " ".join([alt, *said]))


def strongest_figures(views: Sequence[PairView]) -> Charts:
    """Draw, for each pair, its series and scatter at the lag, and the correlation at every lag."""
    charts = []
    for seen in views:
        charts += [pair_figure(seen), views_figure(seen.association)]
    return Charts(tuple(charts), "No pair was found.")


def _series(axes: Axes, seen: PairView, farthest: int | None, unit: float) -> str:
    """Draw both series from the top of a figure, and say what was drawn."""
    setting, frame = seen.setting, seen.frame
    length = len(frame) - setting.lag + (setting.lag if farthest is None else farthest)
    wide = unit < 1.0
    top = 3.0 if wide else 4.2
    turned = seen.upside_down
    early, late = (frame[name].to_numpy() for name in ("leading_scaled", "lagging_scaled"))
    early = -early if turned else early
    size = max(map(abs, span_of(early, late, room=0.04)))
    across = (0.0, float(max(length - 1, 1)))
    pane = Pane(axes, 0.055 * unit, 1 - 0.01 * unit, top, top + 10.2, across, (-size, size))
    moved = f"{count_of(setting.lag, seen.association.period)} later" if setting.lag else "as it is"
    upside = "upside down, " if turned else ""
    lines = (
        (early, EARLY, "-", f"{setting.leading}, {upside}drawn {moved}"),
        (late, LATE, (0, (5, 1.5)), setting.lagging),
    )
    title = VIEWS[setting.transform].capitalize()
    write(axes, 0, 0.6, title, weight="bold", size=WORDS + 1.5)
    write(axes, 1, 0.6, "in standard deviations", ha="right", colour=QUIET)
    ticks = ticks_of(pane.up, 5)
    pane.scale_up(ticks, [written(each) for each in ticks])
    for number, (values, (colour, marker), dashes, words) in enumerate(lines):
        small = 3.6 if len(frame) < 60 else 0.0
        look: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.7}
        pane.line(range(len(values)), values, marker=marker, markersize=small, **look)
        x, y = (0.5 * number, 2.0) if wide else (0.0, 2.0 + 1.2 * number)
        axes.plot([x, x + 0.05 * unit], [y, y], **look)
        axes.plot([x + 0.025 * unit], [y], color=colour, marker=marker, markersize=4.5)
        write(axes, x + 0.062 * unit, y, words, longest=60)
    _periods(pane, list(frame["period"])[: len(frame) - setting.lag], 7 if wide else 4)
    return (
        f"{title} of {setting.leading}, {upside}drawn {moved}, over {setting.lagging}, both in "
        "standard deviations."
    )


def _scatter(axes: Axes, seen: PairView, top: float, bottom: float) -> str:
    """Draw the points of a lag between two lines of a figure, and say what was drawn."""
    setting, frame = seen.setting, seen.frame.dropna(subset=["leading", "lagging"])
    xs, ys = frame["leading"].to_numpy(), frame["lagging"].to_numpy()
    period, title = (
        seen.association.period,
        f"At a lag of {count_of(setting.lag, seen.association.period)}",
    )
    pane = Pane(axes, 0.13, 0.985, top + 3.4, bottom - 3.4, span_of(xs), span_of(ys))
    at = f", {count_of(setting.lag, period)} before" if setting.lag else ""
    write(axes, 0, top + 0.6, title, weight="bold", size=WORDS + 1.5)
    write(axes, 0, top + 2.1, f"up: {setting.lagging}", colour=QUIET)
    known = f"{signed(seen.correlation)} on {count_of(len(xs), period)}"
    write(axes, 1, top + 2.1, known, ha="right")
    for ticks, draw in (
        (ticks_of(pane.up, 4), pane.scale_up),
        (ticks_of(pane.across, 5), pane.scale_across),
    ):
        draw(ticks, [written(each) for each in ticks])
    write(axes, (pane.left + pane.right) / 2, bottom - 0.9, f"{setting.leading}{at}", ha="center")
    dots: dict[str, Any] = {"marker": "o", "markersize": 5.5, "markeredgewidth": 0.6}
    dots |= {"color": EARLY[0], "alpha": 0.75, "markeredgecolor": "white"}
    pane.line(xs, ys, linestyle="none", **dots)
    if len(xs) > 2 and np.ptp(xs) > 0:
        slope, middle = np.polyfit(xs, ys, 1)
        ends = np.array([xs.min(), xs.max()])
        pane.line(ends, slope * ends + middle, color=INK, linewidth=1.4)
    return f"{setting.lagging} over {setting.leading}{at}: {VIEWS[setting.transform]}, {known}."


def _curve(axes: Axes, curve: LagCurve, top: float, bottom: float, here: int | None) -> Pane:
    lags = np.array(curve.lags, dtype=float)
    room = 0.6
    pane = Pane(axes, 0.11, 0.985, top, bottom, (lags[0] - room, lags[-1] + room), (-1.0, 1.0))
    pane.scale_up(*CORRELATIONS)
    known = np.isfinite(curve.band)
    if known.any():
        pane.band(lags[known], np.array(curve.band)[known])
    for lag, size in zip(curve.lags, curve.correlations, strict=True):
        if not math.isfinite(size):
            continue
        chosen = lag == here
        colour, marker = (HERE, "D") if chosen else (EARLY[0], "o")
        pane.line([lag, lag], [0.0, size], color=colour, linewidth=3.2 if chosen else 2.0)
        pane.line(
            [lag],
            [size],
            color=colour,
            marker=marker,
            markersize=8.5 if chosen else 5.5,
            markeredgecolor="white",
        )
        if chosen:  # its number stands where its own stem does not
            x, y = pane.at(lag, 0.0)
            away = y + 0.75 if size > 0 else y - 0.75
            write(pane.axes, x, away, signed(size), ha="center", weight="bold")
    pane.line(pane.across, (0.0, 0.0), color=INK, linewidth=0.9)
    return pane


def _periods(pane: Pane, names: list[str], most: int) -> None:
    """Name some periods under a series: none beyond its ends, and no two that meet."""
    step = max(1, math.ceil(len(names) / most))
    ticks = range(step // 2, len(names), step)
    pane.scale_across(ticks, [names[tick] for tick in ticks])


def _in_words(curve: LagCurve) -> str:
    if curve.best_lag is None:
        return f"No best lag: {curve.reason}."
    every = ", ".join(
        f"{lag}: {signed(size)}" for lag, size in zip(curve.lags, curve.correlations, strict=True)
    )
    return f"best at lag {curve.best_lag}, {signed(curve.correlation)} (by lag {every})."
