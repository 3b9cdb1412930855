"""Figures of indicators: the journey map, all pairs, one pair, levels of health."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import display
from workbench.charts import (
    INK,
    QUIET,
    RULE,
    SERIES,
    WIDTH,
    WORDS,
    Chart,
    Charts,
    Pane,
    axis_end,
    canvas,
    scale,
    span_of,
    ticks_of,
    whisker,
    write,
    written,
)
from workbench.charts import place as placed
from workbench.display import signed
from workbench.errors import StudyError, unknown_name
from workbench.indicators.health import Health
from workbench.indicators.lag_curves import TRANSFORMS, LagCurve
from workbench.indicators.lags import Association, count_of
from workbench.indicators.pairs import VIEWS, PairView
from workbench.schema.flow import ADOPTION
from workbench.schema.indicators import IndicatorDefinition
from workbench.schema.study import StudySpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANYWHERE, OUTCOME, INNOVATION = "whole journey", "business outcome", "true innovation"
LOOKS = {"leading": SERIES[0], "lagging": SERIES[1]}
LEADING_AT, LAGGING_AT, CHIP = 0.36, 0.985, 0.235
DEEPEST, PALE = 0.75, 0.4  # dark words stay readable; what was not found is paler
UP, DOWN = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion
LEVEL_LOOKS: Mapping[str, tuple[str, str]] = {
    "healthy": ("#009e73", "^"),
    "watch": ("#8a6d00", "s"),
    "at risk": ("#d55e00", "o"),
    "unknown": (QUIET, "D"),
}
WIDE = 7.2
LINES = 15.6  # of text that a scatter or a curve is high
EARLY, LATE = SERIES[0], SERIES[1]
HERE = SERIES[1][0]
CORRELATIONS = ((-1.0, -0.5, 0.0, 0.5, 1.0), ("−1", "−0.5", "0", "+0.5", "+1"))


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the customer journey, what it is there, and the indicators that lie on it."""

    name: str
    role: str
    indicators: tuple[str, ...]


def places_of(
    spec: StudySpec,
    definitions: Mapping[str, IndicatorDefinition],
    moved: Mapping[str, str] | None = None,
) -> tuple[Place, ...]:
    """Place indicators on the journey: trigger, steps, need met, adoption, business outcome.

    An indicator lies at its `step`; without one, adoption lies at adoption, a leading indicator
    along the whole journey, and a lagging one at the business outcome. `moved` places some of them
    elsewhere. Raises StudyError for an unknown indicator or place.
    """
    known = _journey(spec)
    at = {name: _place_of(each) for name, each in definitions.items()}
    for name, place in (moved or {}).items():
        if name not in at:
            raise StudyError(unknown_name("indicator", name, at))
        if place not in known:
            raise StudyError(unknown_name("place", place, known))
        at[name] = place
    return tuple(
        Place(name, role, tuple(each for each, where in at.items() if where == name))
        for name, role in known.items()
    )


def journey_names(spec: StudySpec) -> tuple[str, ...]:
    """List the places of the journey, in order."""
    return tuple(_journey(spec))


def journey_figure(
    places: Sequence[Place],
    definitions: Mapping[str, IndicatorDefinition],
    associations: Sequence[Association] = (),
) -> Chart:
    """Draw the journey from the top, the indicators at their places, and arrows of pairs found."""
    shown = [each for each in places if each.indicators or each.name != ANYWHERE]
    rows = [max(1, *_sides(each, definitions)) for each in shown]
    top, each_row, between = 4.0, 1.75, 0.75
    figure, axes = canvas(top + sum(rows) * each_row + between * len(rows) + 0.5, 6.6)
    write(axes, 0, 0.6, "Indicators on the customer journey", weight="bold", size=WORDS + 1.5)
    for x, words, kind in ((LEADING_AT, "leading", "leading"), (LAGGING_AT, "lagging", "lagging")):
        ha = "right" if kind == "lagging" else "left"
        write(axes, x, 2.3, words, ha=ha, colour=LOOKS[kind][0], weight="bold")
    at, where, spine = top, {}, []
    for place, high in zip(shown, rows, strict=True):
        middle = at + 0.5 * high * each_row
        spine.append(middle)
        axes.plot([0.0, 1.0], [at - between / 2] * 2, color=RULE, linewidth=0.7, zorder=0)
        write(
            axes, 0.045, middle - (0.5 if place.role else 0), place.name, weight="bold", longest=22
        )
        if place.role:
            write(axes, 0.045, middle + 0.65, place.role, colour=QUIET, size=WORDS - 0.5)
        for kind in LOOKS:
            names = [each for each in place.indicators if definitions[each].kind == kind]
            for number, name in enumerate(names):
                y = middle + (number - (len(names) - 1) / 2) * each_row
                where[name] = y
        at += high * each_row + between
    axes.plot([0.015, 0.015], [spine[0], spine[-1]], color=QUIET, linewidth=1.4, zorder=1)
    axes.plot([0.015] * len(spine), spine, "o", color=QUIET, markersize=6, markeredgecolor="white")
    found = [each for each in associations if each.found]
    for pair in found:
        if pair.leading in where and pair.lagging in where:
            _arrow(axes, pair, where)
    for name, y in where.items():
        _chip(axes, name, definitions[name].kind, y)
    said = [f"{each.name}: {', '.join(each.indicators)}." for each in shown if each.indicators]
    said += [each.sentence for each in found] or ["No pair was found to move together."]
    return Chart(figure, " ".join(["Indicators on the customer journey.", *said]))


def heat_figure(associations: Sequence[Association], order: Sequence[str] = ()) -> Chart:
    """Draw a field for each pair: colour for direction and strength, a frame where it was found.

    `order` is that of the indicators; otherwise that of the pairs.
    """
    names = order or [name for each in associations for name in (each.leading, each.lagging)]
    leading, lagging = (
        [name for name in dict.fromkeys(names) if name in {*known}]
        for known in zip(*((each.leading, each.lagging) for each in associations), strict=True)
    )
    by_pair = {(each.leading, each.lagging): each for each in associations}
    first, high, left = 4.3, 3.0, 0.25
    figure, axes = canvas(first + high * len(leading) + 2.4, 6.6)
    write(axes, 0, 0.6, "Lag and strength of each pair", weight="bold", size=WORDS + 1.5)
    write(
        axes,
        0,
        2.0,
        "correlation and lag, prewhitened; framed: found; pale: no sign",
        colour=QUIET,
        longest=80,
    )
    width = (1.0 - left) / max(len(lagging), 1)
    longest = max(8, int(62 * width))
    for column, name in enumerate(lagging):
        x = left + (column + 0.5) * width
        write(axes, x, first - 0.75, name, ha="center", weight="bold", longest=longest)
    for row, name in enumerate(leading):
        y = first + (row + 0.5) * high
        write(axes, 0, y, name, weight="bold", longest=18)
        for column, other in enumerate(lagging):
            pair = by_pair.get((name, other))
            if pair is not None:
                _field(axes, pair, left + column * width, y - high / 2, width, high)
    at = first + high * len(leading) + 1.3
    for number, size in enumerate((-0.8, -0.4, 0.0, 0.4, 0.8)):
        x = left + 0.13 * number
        axes.barh(at, 0.028, left=x, height=0.9, facecolor=_colour(size), edgecolor=RULE)
        write(
            axes,
            x + 0.038,
            at,
            f"{size:+.1f}".replace("-", display.MINUS) if size else "0",
            colour=QUIET,
        )
    said = [f"{each.leading} and {each.lagging}: {_field_words(each)}." for each in associations]
    return Chart(figure, " ".join(["Strength and lag of each pair.", *said]))


def _journey(spec: StudySpec) -> dict[str, str]:
    """Give the places of the journey, and what each is."""
    steps = spec.steps
    found = {ANYWHERE: ""}
    if spec.flow is not None:
        found["trigger"] = display.shortened(" or ".join(spec.flow.trigger), 26)
    for number, name in enumerate(steps, 1):
        need = spec.flow is not None and name == spec.flow.need_met
        found[name] = f"step {number}, need met" if need else f"step {number}"
    if steps:
        found[ADOPTION] = "comes back to the solution"
    outcome = spec.flow.outcome if spec.flow is not None else None
    found[OUTCOME] = outcome.name if outcome is not None else ""
    if steps:
        found[INNOVATION] = "adoption and outcome, at scale"
    return found


def _place_of(definition: IndicatorDefinition) -> str:
    if definition.step is not None:
        return definition.step
    if definition.from_flow == "adoption":
        return ADOPTION
    return ANYWHERE if definition.kind == "leading" else OUTCOME


def _sides(place: Place, definitions: Mapping[str, IndicatorDefinition]) -> tuple[int, int]:
    kinds = [definitions[each].kind for each in place.indicators]
    return kinds.count("leading"), kinds.count("lagging")


def _chip(axes: Axes, name: str, kind: str, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    left = LEADING_AT if kind == "leading" else LAGGING_AT - CHIP
    colour = LOOKS[kind][0]
    box = FancyBboxPatch(
        (left, y - 0.62),
        CHIP,
        1.24,
        boxstyle="round,pad=0,rounding_size=0.012",
        mutation_aspect=24.0,
        facecolor="white",
        edgecolor=colour,
        linewidth=1.6,
        zorder=4,
    )
    axes.add_patch(box)
    axes.text(
        left + CHIP / 2,
        y,
        display.shortened(name, 19),
        ha="center",
        va="center_baseline",
        color=INK,
        fontsize=WORDS,
        parse_math=False,
        zorder=5,
    )


def _arrow(axes: Axes, pair: Association, where: Mapping[str, float]) -> None:
    start = (LEADING_AT + CHIP, where[pair.leading])
    end = (LAGGING_AT - CHIP, where[pair.lagging])
    backwards = (pair.best_lag or 0) < 0
    axes.annotate(
        "",
        xy=start if backwards else end,
        xytext=end if backwards else start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": INK,
            "linewidth": 1.6,
            "shrinkA": 1,
            "shrinkB": 1,
        },
        zorder=2,
    )
    x, y = ((one + other) / 2 for one, other in zip(start, end, strict=True))
    words = f"{count_of(pair.best_lag or 0, pair.period)}, {signed(pair.correlation)}"
    write(axes, x, y, words, ha="center", background=True, size=WORDS - 0.5)


def _field(
    axes: Axes, pair: Association, left: float, top: float, width: float, high: float
) -> None:
    from matplotlib.patches import Rectangle

    size = pair.correlation
    known = math.isfinite(size)
    field = Rectangle(
        (left + 0.006, top + 0.12),
        width - 0.012,
        high - 0.24,
        facecolor=_colour(size if pair.found else size * PALE) if known else "white",
        edgecolor=INK if pair.found else RULE,
        linewidth=2.2 if pair.found else 0.8,
        hatch=None if known else "///",
        zorder=2 if pair.found else 1,
    )
    axes.add_patch(field)
    x, y = left + width / 2, top + high / 2
    first, _, second = _field_words(pair).partition(", ")
    colour = INK if pair.found else QUIET
    weight = "bold" if pair.found else "normal"
    write(axes, x, y - (0.55 if second else 0), first, ha="center", weight=weight, colour=colour)
    if second:
        write(axes, x, y + 0.65, second, ha="center", weight=weight, colour=colour)


def _field_words(pair: Association) -> str:
    if pair.best_lag is None:
        return f"too short, {pair.needed} more" if pair.needed else "nothing to say"
    lag = count_of(pair.best_lag, pair.period)
    return f"{signed(pair.correlation)}, {lag if pair.found else 'no sign'}"


def _colour(size: float) -> str:
    """Blend white with blue for the same direction, with vermilion for the opposite one."""
    full = UP if size > 0 else DOWN
    share = DEEPEST * min(abs(size), 1.0)
    parts = (round(255 + (each - 255) * share) for each in full)
    return "#" + "".join(f"{each:02x}" for each in parts)


def levels_figure(health: Health) -> Charts:
    """Draw what came of customers by their score, from the lowest on, against all customers."""
    levels = health.levels
    if not levels.levels or levels.base is None:
        return Charts((), f"There are no levels: {levels.reason}.")
    yes_no = levels.base.events == levels.base.events
    figure, axes = canvas(3.4 + 2.0 * len(levels.levels) + 3.6)
    write(
        axes,
        0,
        0.6,
        f"What came of customers: {health.bad}",
        weight="bold",
        size=WORDS + 1.5,
        longest=60,
    )
    write(axes, 0, 2.0, "by health score, the lowest fifth first", colour=QUIET, longest=60)
    ends = [each.high for each in levels.bands] + [each.low for each in levels.bands]
    span = (0.0, axis_end(max(ends))) if yes_no else (min(ends), max(ends))
    at, said = 3.0, []
    for number, (band, level) in enumerate(zip(levels.bands, levels.levels, strict=True), 1):
        colour, marker = LEVEL_LOOKS[level]
        shown = _rate(band, yes_no=yes_no)
        axes.plot([0.014], [at + 0.5], color=colour, marker=marker, markersize=6)
        name = f"fifth {number}" if len(levels.levels) == 5 else f"band {number}"
        write(axes, 0.036, at + 0.5, f"{name}: {level}", background=True)
        write(axes, 1, at + 0.5, shown, ha="right", background=True)
        whisker(axes, (band.rate, band.low, band.high), span, at + 1.3, colour, marker)
        said.append(f"{name}, {level}: {shown}.")
        at += 2.0
    base = placed(levels.base.rate, span)
    axes.plot(
        [base, base], [3.0, at + 0.1], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0
    )
    ticks = [span[0] + (span[1] - span[0]) * part / 4 for part in range(5)]
    words = [f"{100 * each:g}%" if yes_no else f"{each:.3g}" for each in ticks]
    scale(axes, span, ticks, at, words, grid=False)
    write(
        axes,
        0,
        at + 2.0,
        f"dashed: all customers, {_rate(levels.base, yes_no=yes_no)}",
        colour=QUIET,
        longest=60,
    )
    alt = f"Share of {health.bad} by health score, from {health.tested_from} on."
    return Charts((Chart(figure, " ".join([alt, *said])),))


def _rate(band: Any, *, yes_no: bool) -> str:
    if yes_no:
        return display.rate(band.rate, band.events, band.cases)
    return f"{band.rate:.3g} on {band.cases:,} cases".replace("-", display.MINUS)


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
