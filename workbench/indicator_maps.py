"""Maps of indicators: where each lies on the customer journey, and which moves before which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import formats
from workbench.charts import INK, QUIET, RULE, SERIES, WORDS, Chart, canvas, write
from workbench.errors import StudyError, unknown_name
from workbench.flow import ADOPTION
from workbench.indicators import IndicatorDefinition
from workbench.lags import Association, count_of, signed
from workbench.specification import StudySpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANYWHERE, OUTCOME, INNOVATION = "whole journey", "business outcome", "true innovation"
LOOKS = {"leading": SERIES[0], "lagging": SERIES[1]}
LEADING_AT, LAGGING_AT, CHIP = 0.36, 0.985, 0.235
DEEPEST, PALE = 0.75, 0.4  # dark words stay readable; what was not found is paler
UP, DOWN = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion


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
            f"{size:+.1f}".replace("-", formats.MINUS) if size else "0",
            colour=QUIET,
        )
    said = [f"{each.leading} and {each.lagging}: {_field_words(each)}." for each in associations]
    return Chart(figure, " ".join(["Strength and lag of each pair.", *said]))


def _journey(spec: StudySpec) -> dict[str, str]:
    """Give the places of the journey, and what each is."""
    steps = spec.steps
    found = {ANYWHERE: ""}
    if spec.flow is not None:
        found["trigger"] = formats.shortened(" or ".join(spec.flow.trigger), 26)
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
        formats.shortened(name, 19),
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
