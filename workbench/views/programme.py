"""Tables and figures of a programme review: claims, impact, guesses, steps, strategic metrics, novelty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench import charts, display
from workbench.charts import Chart, Charts, Estimate
from workbench.display import Badge, Column, Sentences, Table
from workbench.innovation.strategy import Strategy, amount
from workbench.views.figures import effects_chart
from workbench.views.innovation import course_figures

if TYPE_CHECKING:
    from workbench.innovation.backlog import Guessing
    from workbench.innovation.programme import Impact, Movable, Novelty, Quarter, StepTrend
    from workbench.innovation.strategy import Level

VERDICTS = ("supported", "refuted", "harmful", "inconclusive", "invalid", "open")
LOOKS: dict[str, dict[str, Any]] = {
    "supported": {"facecolor": "#009e73", "edgecolor": "#009e73"},
    "refuted": {"facecolor": "#f3c876", "edgecolor": "#8a5a00", "hatch": "////"},
    "harmful": {"facecolor": "#d55e00", "edgecolor": "#d55e00"},
    "inconclusive": {"facecolor": "#c9ced6", "edgecolor": "#6b7280"},
    "invalid": {"facecolor": "white", "edgecolor": "#d55e00", "hatch": "xxxx"},
    "open": {"facecolor": "white", "edgecolor": "#6b7280"},
}
SHRUNKEN = (
    "Effects are shrunken by all effects of the study (90% interval), and summed over the hypotheses "
    "whose claim is supported with its guardrails held: independent, given how large effects are."
)
HALVES = (
    "Exploratory: an effect that is larger among the first may be novelty. The p-value is that of equal "
    "effects, for each claim alone."
)
TRENDS = (
    "Nothing was randomized between iterations. The p-value is that of a trend over all of them "
    "(Cochran-Armitage), after Holm's method over all metrics."
)


def quarters(found: Sequence[Quarter]) -> Table:
    """Return a table of each quarter's claims by their verdicts."""
    others = [name for name in VERDICTS[1:] if any(getattr(each, name) for each in found)]
    rows = tuple(
        (
            each.quarter,
            f"{each.iterations}",
            f"{each.claims}",
            _share(each.supported, each.claims),
            f"{each.discoveries}",
            *(f"{getattr(each, name)}" for name in others),
        )
        for each in found
    )
    heads = ("iterations", "claims", "supported", "discoveries", *others)
    columns = (Column("quarter"), *(Column(name, numeric=True) for name in heads))
    return Table("Claims by quarter", columns, rows)


def _share(part: int, whole: int) -> str:
    return display.rate(part / whole, part, whole) if whole else "0"


@charts.styled
def quarters_figure(found: Sequence[Quarter]) -> Charts:
    """Draw each quarter's claims as a bar, divided by their verdicts."""
    tested = [each for each in found if each.claims]
    if not tested:
        return Charts((), "No claim was tested yet.")
    figure = charts.new_figure(1.4 + 0.42 * len(tested), title="Claims by quarter and verdict")
    axes = figure.subplots()
    handles: dict[str, Any] = {}
    for place, each in enumerate(tested):
        left = 0
        for name in VERDICTS:
            number = getattr(each, name)
            if number:
                bar = axes.barh(place, number, left=left, height=0.5, linewidth=0.8, **LOOKS[name])
                handles.setdefault(name, bar)
                left += number
    axes.set_yticks(range(len(tested)), [each.quarter for each in tested])
    axes.set_ylim(len(tested) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(charts.NUMBERS)
    axes.xaxis.set_major_locator(charts.round_ticks(5))
    charts.add_key(axes, list(handles.values()), list(handles), below=True)
    said = " ".join(
        f"{each.quarter}: "
        + ", ".join(f"{getattr(each, name)} {name}" for name in VERDICTS if getattr(each, name))
        + "."
        for each in tested
    )
    return Charts((Chart(figure, f"Claims by quarter and verdict. {said}"),))


def impact(found: Sequence[Impact]) -> Table:
    """Return a table of what shipped on each metric."""
    rows = tuple(
        (
            each.metric,
            ", ".join(each.claims),
            display.effect(each.total.estimate, each.total.low, each.total.high),
        )
        for each in found
    )
    columns = (
        Column("metric"),
        Column("what shipped"),
        Column("impact (percentage points)", numeric=True),
    )
    reasons = {f" It {each.total.reason}." for each in found if each.total.reason}
    note = SHRUNKEN + "".join(sorted(reasons))
    return Table("Impact of what shipped", columns, rows, note, "Nothing shipped yet.")


@charts.styled
def impact_figure(found: Sequence[Impact]) -> Charts:
    """Draw what shipped on each metric, with its interval."""
    if not found:
        return Charts((), "Nothing shipped yet.")
    estimates = [
        _estimate(each.metric, (each.total.estimate, each.total.low, each.total.high))
        for each in found
    ]
    said = " ".join(each.sentence for each in found)
    return Charts((effects_chart("Impact of what shipped", estimates, (), said),))


def guesses(found: Guessing) -> Table:
    """Return a table of the impact that was guessed beside the effect that was found."""
    rows = tuple(
        (
            f"{each.name} {each.version}",
            str(each.impact),
            display.effect(each.realised, each.low, each.high),
            Badge(each.verdict, each.verdict.split(",")[0]),
        )
        for each in found.tests
    )
    columns = (
        Column("hypothesis and version"),
        Column("impact guessed", numeric=True),
        Column("effect found (percentage points)", numeric=True),
        Column("verdict"),
    )
    return Table("How well impact was guessed", columns, rows, found.sentence, found.sentence)


def steps(found: Sequence[StepTrend]) -> Table:
    """Return a table of how each metric moved over the iterations."""
    rows = tuple(
        (
            each.step,
            display.rate(each.first.rate, each.first.converted, each.first.total),
            display.rate(each.newest.rate, each.newest.converted, each.newest.total),
            display.effect(each.change.estimate, each.change.low, each.change.high),
            display.pvalue(each.pvalue),
            each.word,
        )
        for each in found
    )
    columns = (
        Column("metric"),
        Column("first rate", numeric=True),
        Column("newest rate", numeric=True),
        Column("change (percentage points)", numeric=True),
        Column("p-value", numeric=True),
        Column("over the iterations"),
    )
    empty = "No two iterations have rates to compare yet."
    return Table("Which steps improved", columns, rows, TRENDS, empty)


def movable(found: Sequence[Movable]) -> Table:
    """Return a table of when each strategic metric could move at all."""
    rows = tuple(
        (each.name, each.moves_from, each.earliest or "not in sight", each.sentence)
        for each in found
    )
    heads = ("metric", "can move from", "told from chance in", "what it means")
    empty = "The study names no strategic metrics."
    return Table("When the business could move", tuple(map(Column, heads)), rows, empty=empty)


def courses(found: Strategy | Sentences) -> Charts | Sentences:
    """Draw each strategic metric with its course; a sentence where there are none."""
    return found if isinstance(found, Sentences) else course_figures(found)


def levels(found: Sequence[Level]) -> Table | Sentences:
    """Return a table of strategic metrics by level of a grouping; nothing where none is known."""
    rows = tuple(
        (
            each.metric,
            f"{each.grouping} = {each.level}",
            f"{amount(each.first.value)} ({each.first.period})",
            f"{amount(each.newest.value)} ({each.newest.period})",
            amount(each.whole),
        )
        for each in found
    )
    columns = (
        Column("metric"),
        Column("cohort"),
        Column("first", numeric=True),
        Column("newest", numeric=True),
        Column("everybody, newest", numeric=True),
    )
    return Table("Strategic metrics by cohort", columns, rows) if rows else Sentences(())


def novelty(found: Sequence[Novelty]) -> Table:
    """Return a table of each claim's effect among its first and its last entrants."""
    rows = tuple(
        (
            f"{each.hypothesis} {each.version}",
            display.effect(each.early.estimate, each.early.low, each.early.high),
            display.effect(each.late.estimate, each.late.low, each.late.high),
            display.pvalue(each.pvalue),
        )
        for each in found
    )
    columns = (
        Column("hypothesis and version"),
        Column("first half of entrants", numeric=True),
        Column("last half", numeric=True),
        Column("p-value", numeric=True),
    )
    empty = "No claim has two halves to compare: only an event log tells who came first."
    return Table("Effect over time (percentage points)", columns, rows, HALVES, empty)


@charts.styled
def novelty_figure(found: Sequence[Novelty]) -> Charts:
    """Draw each claim's effect among its first and its last entrants, one above the other."""
    estimates, said = [], []
    for each in found:
        group = f"{each.hypothesis} {each.version}"
        for name, half, look in (
            ("first half", each.early, charts.SERIES[0]),
            ("last half", each.late, charts.SERIES[1]),
        ):
            ends = (half.estimate, half.low, half.high)
            estimates.append(_estimate(name, ends, look, group))
            said.append(f"{group}, {name}: {display.effect(*ends)}.")
    if not estimates:
        return Charts((), "No claim has two halves to compare.")
    title = "Effect over time, exploratory"
    return Charts((effects_chart(title, estimates, (), f"{title}. {' '.join(said)}"),))


def _estimate(
    name: str,
    ends: tuple[float, float, float],
    look: tuple[str, str] = charts.SERIES[0],
    group: str = "",
) -> Estimate:
    value, low, high = (100 * each for each in ends)
    return Estimate(name, display.effect(*ends), value, low, high, look, group)
