"""Figures of indicators: the journey map, all pairs, one pair, levels of health."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import charts, display
from workbench.charts import (
    INK,
    QUIET,
    RULE,
    SERIES,
    WIDTH,
    WORDS,
    Chart,
    Charts,
    Estimate,
    canvas,
    write,
)
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
    from matplotlib.figure import Figure, SubFigure

ANYWHERE, OUTCOME, INNOVATION = "whole journey", "business outcome", "true innovation"
LOOKS = {"leading": SERIES[0], "lagging": SERIES[1]}
LEADING_AT, LAGGING_AT, CHIP = 0.36, 0.985, 0.235
DEEPEST, PALE = 0.75, 0.4  # dark words stay readable; a pair without a sign is paler
UP, DOWN = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion
LEVEL_LOOKS: Mapping[str, tuple[str, str]] = {
    "healthy": ("#009e73", "^"),
    "watch": ("#8a6d00", "s"),
    "at risk": ("#d55e00", "o"),
    "unknown": (QUIET, "D"),
}
WIDE = 7.2  # inches: a series in the workshop
EARLY, LATE = SERIES[0], SERIES[1]
HERE = SERIES[1][0]
CHANCE: Any = {"color": "#8b929c", "linewidth": 0.9, "linestyle": (0, (4, 2))}


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the customer journey, its role, and the names of the indicators that lie on it."""

    name: str
    role: str
    indicators: tuple[str, ...]


def places_of(
    spec: StudySpec,
    definitions: Mapping[str, IndicatorDefinition],
    moved: Mapping[str, str] | None = None,
) -> tuple[Place, ...]:
    """Return the places of the customer journey, in order, with the indicators on each.

    An indicator lies at its `step`. Without one, the adoption rate lies at adoption, another
    leading indicator along the whole journey, and a lagging one at the business outcome.

    Args:
        spec: The study.
        definitions: The study's indicators by name.
        moved: Names of places by names of indicators, for those that are to lie elsewhere.

    Raises:
        StudyError: For an unknown indicator or place.
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
    """Return the names of the places of the journey, in order."""
    return tuple(_journey(spec))


@charts.styled
def journey_figure(
    places: Sequence[Place],
    definitions: Mapping[str, IndicatorDefinition],
    associations: Sequence[Association] = (),
) -> Chart:
    """Draw the journey downwards, with each indicator at its place and an arrow per pair found."""
    shown = [each for each in places if each.indicators or each.name != ANYWHERE]
    rows = [max(1, *_sides(each, definitions)) for each in shown]
    top, each_row, between = 4.0, 1.75, 0.75
    figure, axes = canvas(top + sum(rows) * each_row + between * len(rows) + 0.5, 6.6)
    title: dict[str, Any] = {"weight": "bold", "size": WORDS + 1.5}
    write(axes, 0, 0.6, "Indicators on the customer journey", **title)
    for kind, x, ha in (("leading", LEADING_AT, "left"), ("lagging", LAGGING_AT, "right")):
        write(axes, x, 2.3, kind, ha=ha, color=LOOKS[kind][0], weight="bold")
    at, where, spine = top, {}, []
    for place, high in zip(shown, rows, strict=True):
        middle = at + 0.5 * high * each_row
        spine.append(middle)
        axes.plot([0.0, 1.0], [at - between / 2] * 2, color=RULE, linewidth=0.7, zorder=0)
        y = middle - (0.5 if place.role else 0)
        write(axes, 0.045, y, place.name, weight="bold", longest=22)
        if place.role:
            write(axes, 0.045, middle + 0.65, place.role, color=QUIET, size=WORDS - 0.5)
        for kind in LOOKS:
            names = [each for each in place.indicators if definitions[each].kind == kind]
            for number, name in enumerate(names):
                y = middle + (number - (len(names) - 1) / 2) * each_row
                where[name] = y
        at += high * each_row + between
    axes.plot([0.015, 0.015], [spine[0], spine[-1]], color=QUIET, linewidth=1.4, zorder=1)
    axes.plot([0.015] * len(spine), spine, "o", color=QUIET, markersize=6, markeredgecolor="white")
    found = [each for each in associations if each.found]
    drawn = [each for each in found if each.leading in where and each.lagging in where]
    _add_arrows(axes, drawn, where)
    for name, y in where.items():
        _chip(axes, name, definitions[name].kind, y)
    said = [f"{each.name}: {', '.join(each.indicators)}." for each in shown if each.indicators]
    said += [each.sentence for each in found] or ["No pair was found to move together."]
    return Chart(figure, " ".join(["Indicators on the customer journey.", *said]))


@charts.styled
def heat_figure(associations: Sequence[Association], order: Sequence[str] = ()) -> Chart:
    """Draw a field per pair: its colour is direction and strength, its frame that it was found.

    Args:
        associations: The pairs; at least one.
        order: Names of indicators, in the order of rows and columns; the pairs' own unless given.
    """
    from matplotlib.patches import Patch

    names = order or [name for each in associations for name in (each.leading, each.lagging)]
    leading, lagging = (
        [name for name in dict.fromkeys(names) if name in {*known}]
        for known in zip(*((each.leading, each.lagging) for each in associations), strict=True)
    )
    title = "Lag and strength of each pair"
    figure = charts.new_figure(1.6 + 0.7 * len(leading), 6.6, title=title)
    axes = figure.subplots()
    for pair in associations:
        _add_field(axes, pair, lagging.index(pair.lagging), leading.index(pair.leading))
    axes.set(xlim=(-0.5, len(lagging) - 0.5), ylim=(len(leading) - 0.5, -0.5))
    longest = max(8, int(46 / len(lagging)))
    look: dict[str, Any] = {"color": INK, "weight": "bold"}
    shown = [display.shortened(each, longest) for each in lagging]
    axes.set_xticks(range(len(lagging)), shown, **look)
    axes.set_yticks(range(len(leading)), [display.shortened(each, 18) for each in leading], **look)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    sizes = (-0.8, -0.4, 0.0, 0.4, 0.8)
    key = [Patch(facecolor=_colour(each), edgecolor=RULE) for each in sizes]
    words = [f"{each:+.1f}".replace("-", display.MINUS) if each else "0" for each in sizes]
    axes.set_xlabel("correlation and lag, prewhitened; framed: found; pale: no sign", color=QUIET)
    charts.add_key(axes, key, words, below=True)
    said = [f"{each.leading} and {each.lagging}: {_field_words(each)}." for each in associations]
    return Chart(figure, " ".join(["Strength and lag of each pair.", *said]))


def _journey(spec: StudySpec) -> dict[str, str]:
    """Return the places of the journey, with the role of each."""
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
    write(axes, left + CHIP / 2, y, name, longest=19, ha="center", zorder=5)


def _add_arrows(axes: Axes, pairs: Sequence[Association], where: Mapping[str, float]) -> None:
    """Draw an arrow per pair between its indicators' heights, and name each; no two names meet."""
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.6}
    names = []
    for pair in pairs:
        start = (LEADING_AT + CHIP, where[pair.leading])
        end = (LAGGING_AT - CHIP, where[pair.lagging])
        words = f"{count_of(pair.best_lag or 0, pair.period)}, {signed(pair.correlation)}"
        names.append(((start[1] + end[1]) / 2, words))
        if (pair.best_lag or 0) < 0:
            start, end = end, start
        axes.annotate("", end, start, arrowprops=arrow | {"shrinkA": 1, "shrinkB": 1}, zorder=2)
    y = 0.0
    for middle, words in sorted(names):
        y = max(middle, y + 1.2)
        x = (LEADING_AT + LAGGING_AT) / 2
        write(axes, x, y, words, ha="center", background=True, size=charts.SMALL)


def _add_field(axes: Axes, pair: Association, column: int, row: int) -> None:
    from matplotlib.patches import Rectangle

    size, found = pair.correlation, pair.found
    look: dict[str, Any] = {"facecolor": "white", "hatch": "///"}
    if math.isfinite(size):
        look = {"facecolor": _colour(size if found else size * PALE)}
    look |= {"edgecolor": INK, "linewidth": 2.2} if found else {"edgecolor": RULE, "linewidth": 0.8}
    axes.add_patch(Rectangle((column - 0.48, row - 0.45), 0.96, 0.9, zorder=1 + found, **look))
    words = _field_words(pair).replace(", ", "\n", 1)
    look = {"color": INK, "weight": "bold"} if found else {"color": QUIET}
    axes.text(column, row, words, ha="center", va="center", linespacing=1.5, zorder=3, **look)


def _field_words(pair: Association) -> str:
    if pair.best_lag is None:
        return f"too short, {pair.needed} more" if pair.needed else "nothing to say"
    lag = count_of(pair.best_lag, pair.period)
    return f"{signed(pair.correlation)}, {lag if pair.found else 'no sign'}"


def _colour(size: float) -> str:
    """Return white, blended with blue for a positive correlation, vermilion for a negative one."""
    full = UP if size > 0 else DOWN
    share = DEEPEST * min(abs(size), 1.0)
    parts = (round(255 + (each - 255) * share) for each in full)
    return "#" + "".join(f"{each:02x}" for each in parts)


@charts.styled
def levels_figure(health: Health) -> Charts:
    """Draw what came of customers in each band of the health score, against all customers."""
    levels = health.levels
    if not levels.levels or levels.base is None:
        return Charts((), f"There are no levels: {levels.reason}.")
    yes_no = levels.base.events == levels.base.events
    name = "fifth" if len(levels.levels) == 5 else "band"
    rows = []
    for number, (band, level) in enumerate(zip(levels.bands, levels.levels, strict=True), 1):
        numbers = (band.rate, band.low, band.high)
        shown = _rate(band, yes_no=yes_no)
        rows.append(Estimate(f"{name} {number}: {level}", shown, *numbers, LEVEL_LOOKS[level]))
    title = f"What came of customers: {health.bad}"
    figure, axes = charts.draw_estimates(rows, title=title, lines=2.4)
    axes.set_title("by health score, the lowest fifth first", color=QUIET, fontweight="normal")
    if yes_no:
        charts.scale_shares(axes, "x", max(each.high for each in rows))
    else:
        axes.xaxis.set_major_locator(charts.round_ticks(4))
        axes.xaxis.set_major_formatter(charts.NUMBERS)
    base = f"dashed: all customers, {_rate(levels.base, yes_no=yes_no)}"
    axes.axvline(levels.base.rate, color=INK, lw=1.0, linestyle=charts.DASHED, zorder=0)
    axes.set_xlabel(base, color=QUIET, loc="left")
    said = [f"{each.name.replace(':', ',')}: {each.words}." for each in rows]
    alt = f"Share of {health.bad} by health score, from {health.tested_from} on."
    return Charts((Chart(figure, " ".join([alt, *said])),))


def _rate(band: Any, *, yes_no: bool) -> str:
    if yes_no:
        return display.rate(band.rate, band.events, band.cases)
    return f"{band.rate:.3g} on {band.cases:,} cases".replace("-", display.MINUS)


@charts.styled
def series_figure(seen: PairView, *, farthest: int | None = None, width: float = WIDTH) -> Chart:
    """Draw the leading series, moved later by the lag, and the lagging one, on one scale.

    Args:
        seen: The pair at one setting.
        farthest: Periods to leave room for, so that the axis stays while the lag changes; the
            lag's own unless given.
        width: Width in inches.
    """
    figure = charts.new_figure(3.7, width, margins=(0.5, 0.1, 0.3, 0.8))
    said = _draw_series(figure, seen, farthest, 5 if width > WIDTH else 4)
    return Chart(figure, f"{said} {seen.sentence}")


@charts.styled
def scatter_figure(seen: PairView) -> Chart:
    """Draw the lagging value of each period over the leading one of `lag` periods before."""
    figure = charts.new_figure(3.7, margins=(0.8, 0.1, 0.5, 0.35))
    return Chart(figure, f"{_draw_scatter(figure, seen)} {seen.sentence}")


@charts.styled
def pair_figure(seen: PairView) -> Chart:
    """Draw both series at a lag, and below them the scatter at that lag."""
    figure = charts.new_figure(6.9)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1.0))[:, 0]
    said = _draw_series(above, seen), _draw_scatter(below, seen)
    return Chart(figure, " ".join([*said, seen.sentence]))


@charts.styled
def curve_figure(seen: PairView) -> Chart:
    """Draw the correlation of a view at every lag, the band of chance, and the lag looked at."""
    setting, curve = seen.setting, seen.curve
    title = "Correlation at every lag"
    figure = charts.new_figure(3.7, title=title, margins=(0.45, 0.1, 0.5, 0.6))
    axes = figure.subplots()
    _draw_curve(axes, curve, setting.lag)
    axes.set_title("dashed: chance, for the best of all lags", color=QUIET, fontweight="normal")
    axes.set_xlabel(f"lag, {seen.association.period}s ({setting.leading} first)")
    return Chart(figure, f"{title}, {VIEWS[curve.transform]}. {seen.sentence} {_in_words(curve)}")


@charts.styled
def views_figure(found: Association) -> Chart:
    """Draw the correlation at every lag in all three views of a pair, with the band of chance."""
    figure = charts.new_figure(6.4, title=f"{found.leading} before {found.lagging}")
    stacked = figure.subplots(3)
    said = [
        f"Correlation of {found.leading} and {found.lagging} at every lag, with the band of chance."
    ]
    for axes, transform in zip(stacked, TRANSFORMS, strict=True):
        curve: LagCurve = getattr(found, transform)
        _draw_curve(axes, curve, curve.best_lag)
        axes.set_title(VIEWS[transform])
        said.append(f"{VIEWS[transform].capitalize()}: {_in_words(curve)}")
    stacked[-1].set_xlabel(f"lag, {found.period}s ({found.leading} first)")
    words = "correlation; dashed: chance, for the best of all lags"
    figure.supxlabel(words, x=0.012, ha="left", color=QUIET, size=WORDS)
    return Chart(figure, " ".join(said))


def strongest_figures(views: Sequence[PairView]) -> Charts:
    """Draw, for each pair, its series and scatter at the lag, and the correlation at every lag."""
    drawn = []
    for seen in views:
        drawn += [pair_figure(seen), views_figure(seen.association)]
    return Charts(tuple(drawn), "No pair was found.")


def _draw_series(
    figure: Figure | SubFigure, seen: PairView, farthest: int | None = None, most: int = 4
) -> str:
    """Draw both series, with the names of so many periods at most, and return what was drawn."""
    setting, frame = seen.setting, seen.frame
    known = len(frame) - setting.lag
    early, late = (frame[name].to_numpy() for name in ("leading_scaled", "lagging_scaled"))
    moved = f"{count_of(setting.lag, seen.association.period)} later" if setting.lag else "as it is"
    upside = "upside down, " if seen.upside_down else ""
    names = [f"{setting.leading}, {upside}drawn {moved}", setting.lagging]
    title = VIEWS[setting.transform].capitalize()
    charts.add_title(figure, title)
    axes = figure.subplots()
    lines: list[Any] = []
    for values, (colour, marker), dashes in (
        (-early if seen.upside_down else early, EARLY, "-"),
        (late, LATE, (0, (5, 1.5))),
    ):
        size = 3.6 if len(frame) < 60 else 0.0
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": size}
        lines += axes.plot(values, linestyle=dashes, linewidth=1.7, **look)
    charts.name_periods(axes, list(frame["period"])[:known], most)
    last = known + (setting.lag if farthest is None else farthest) - 1
    axes.set_xlim(-0.02 * last, 1.02 * max(last, 1))
    axes.set_ylabel("in standard deviations", color=QUIET)
    charts.add_key(axes, lines, names, longest=50)
    return f"{title} of {names[0]}, over {setting.lagging}, both in standard deviations."


def _draw_scatter(figure: Figure | SubFigure, seen: PairView) -> str:
    """Draw the points of a lag, and return what was drawn."""
    setting, frame = seen.setting, seen.frame.dropna(subset=["leading", "lagging"])
    xs, ys = frame["leading"].to_numpy(), frame["lagging"].to_numpy()
    period = seen.association.period
    known = f"{signed(seen.correlation)} on {count_of(len(xs), period)}"
    charts.add_title(figure, f"At a lag of {count_of(setting.lag, period)}", known)
    axes = figure.subplots()
    axes.plot(xs, ys, "o", ms=6, mew=0.6, color=EARLY[0], alpha=0.75, mec="white")
    if len(xs) > 2 and np.ptp(xs) > 0:
        slope, middle = np.polyfit(xs, ys, 1)
        ends = np.array([xs.min(), xs.max()])
        axes.plot(ends, slope * ends + middle, color=INK, linewidth=1.4)
    before = f", {count_of(setting.lag, period)} before" if setting.lag else ""
    axes.set_xlabel(display.shortened(f"{setting.leading}{before}", 50))
    axes.set_ylabel(display.shortened(setting.lagging, 26))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(charts.NUMBERS)
        axis.set_major_locator(charts.round_ticks(5))
    said = f"{setting.lagging} over {setting.leading}{before}"
    return f"{said}: {VIEWS[setting.transform]}, {known}."


def _draw_curve(axes: Axes, curve: LagCurve, here: int | None) -> None:
    """Draw the correlation at each lag, the band of chance, and the lag looked at."""
    band = np.array(curve.band)
    axes.fill_between(curve.lags, -band, band, facecolor="#e9ebee", linewidth=0)
    for edge in (-band, band):
        axes.plot(curve.lags, edge, **CHANCE)
    axes.axhline(0, color=INK, linewidth=0.9)
    lags, sizes = np.array(curve.lags), np.array(curve.correlations)
    chosen = lags == here
    for which, colour, width, dot in (
        (~chosen, EARLY[0], 2.0, {"marker": "o", "ms": 5.5}),
        (chosen, HERE, 3.2, {"marker": "D", "ms": 8.5}),
    ):
        look: dict[str, Any] = {"linestyle": "none", "mec": "white", "clip_on": False, **dot}
        axes.vlines(lags[which], 0, sizes[which], color=colour, linewidth=width, zorder=3)
        axes.plot(lags[which], sizes[which], color=colour, zorder=4, **look)
    for lag, size in zip(lags[chosen], sizes[chosen], strict=True):
        away = {"xytext": (0, -4), "va": "top"} if size > 0 else {"xytext": (0, 4)}
        look = {"textcoords": "offset points", "ha": "center", "weight": "bold", **away}
        if math.isfinite(size):  # the number stands where its own stem does not
            axes.annotate(signed(size), (lag, 0), **look)
    axes.set(xlim=(curve.lags[0] - 0.6, curve.lags[-1] + 0.6), ylim=(-1, 1))
    axes.xaxis.set_major_locator(charts.round_ticks(12, integer=True))
    axes.set_yticks((-1.0, -0.5, 0.0, 0.5, 1.0))
    axes.yaxis.set_major_formatter(charts.signed)


def _in_words(curve: LagCurve) -> str:
    if curve.best_lag is None:
        return f"No best lag: {curve.reason}."
    every = ", ".join(
        f"{lag}: {signed(size)}" for lag, size in zip(curve.lags, curve.correlations, strict=True)
    )
    return f"best at lag {curve.best_lag}, {signed(curve.correlation)} (by lag {every})."
