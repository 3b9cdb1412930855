"""Tables and figures of strategic metrics, feedback and the backlog."""

from __future__ import annotations

from typing import Any

from workbench import charts, display
from workbench.charts import QUIET, SERIES, Chart, Charts, canvas, write
from workbench.display import Badge, Cell, Column, Table
from workbench.innovation.backlog import LEARNING_RULE, Backlog, Ranked
from workbench.innovation.feedback import EVERYBODY, OBSERVED, Feedback
from workbench.innovation.strategy import NOT_RANDOMIZED, Standing, Strategy, amount, signed
from workbench.stats.trend import Coefficient

NO_STRATEGY = "The study names no strategic metrics."
SAID = "Counted are customers, each once; remarks of whole cohorts count nobody."
OBSERVATIONS = " Observations, which are nobody's, count as remarks alone."
LEARNED = ("chance", "said yes", "chance if all of five more say no, or yes")


def standings(found: Strategy) -> Table:
    """Return a table of strategic metrics: baseline, newest and expected value, trend and state."""
    rows = tuple(
        (
            each.name,
            each.metric.area,
            Badge(each.state),
            amount(each.metric.baseline, each.metric.unit),
            f"{amount(each.points[-1].value, each.metric.unit)} ({each.points[-1].period})",
            amount(each.points[-1].expected, each.metric.unit),
            _with_interval(each.trend.slope),
            f"{amount(each.metric.target, each.metric.unit)} by {each.metric.by}",
        )
        for each in found.standings
    )
    columns = (
        Column("metric"),
        Column("area"),
        Column("state"),
        Column("baseline", numeric=True),
        Column("now", numeric=True),
        Column("course expects", numeric=True),
        Column("trend a period, 95% interval", numeric=True),
        Column("target", numeric=True),
    )
    return Table("Strategic metrics against their course", columns, rows, empty=NO_STRATEGY)


def releases(found: Strategy) -> Table:
    """Return a table of each strategic metric's change at the start of each iteration."""
    rows = tuple(
        (
            each.name,
            each.iteration,
            each.marks,
            _with_interval(each.change.level),
            _with_interval(each.change.slope),
            f"{each.change.periods_before} / {each.change.periods_after}",
            ", ".join(each.near) or "none",
        )
        for each in found.changes
    )
    columns = (
        Column("metric"),
        Column("iteration"),
        Column("marks a change of"),
        Column("level, 97.5% interval", numeric=True),
        Column("slope a period, 97.5% interval", numeric=True),
        Column("periods before / after", numeric=True),
        Column("cannot be told from"),
    )
    return Table(
        "Changes at the start of each iteration", columns, rows, NOT_RANDOMIZED, NO_STRATEGY
    )


def feeds(found: Strategy) -> Table:
    """Return a table of which flow metric is supposed to feed which strategic metric."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            each["flow_metric"],
            each["metric"],
            each["area"],
            each["expect_from"] or "the start",
            Badge(each["state"]),
        )
        for each in found.feeds()
    )
    headings = ("flow metric", "is supposed to feed", "area", "expected from", "state")
    columns = tuple(map(Column, headings))
    return Table("What feeds the strategic metrics", columns, rows, empty="Nothing is said to.")


def themes(found: Feedback) -> Table:
    """Return a table of the themes of feedback at each step, the most frequent first."""
    rows = tuple(
        (
            each.theme,
            each.step,
            *map(display.count, (each.customers, each.positive, each.negative, each.remarks)),
        )
        for each in found.themes
        if each.grouping == EVERYBODY
    )
    columns = (
        Column("theme"),
        Column("step"),
        Column("customers", numeric=True),
        Column("of them positive", numeric=True),
        Column("of them negative", numeric=True),
        Column("remarks", numeric=True),
    )
    observed = any(name in OBSERVED for name, _ in found.sources)
    note = f"{SAID}{OBSERVATIONS if observed else ''}"
    return Table("What customers said", columns, rows, note, "Nobody said anything.")


def said_and_done(found: Feedback) -> Table:
    """Return a table of customers by what they reported of a step and whether they took it."""
    rows = tuple((each.step, *map(display.count, each[1:])) for each in found.agreements)
    columns = (
        Column("step"),
        Column("customers", numeric=True),
        Column("success, and took it", numeric=True),
        Column("success, but did not", numeric=True),
        Column("trouble, but took it", numeric=True),
        Column("trouble, and did not", numeric=True),
    )
    note = "By each customer's newest remark on the step; whose window is open is left out."
    return Table("Said and done", columns, rows, note, "No remark is about a step that is over.")


def unaddressed(found: Feedback) -> Table:
    """Return a table of strong themes that no hypothesis or idea cites as evidence."""
    rows = tuple(
        (
            each.theme,
            ", ".join(each.steps),
            display.count(each.customers),
            display.count(each.negative),
            ", ".join(each.remarks),
        )
        for each in found.unaddressed
    )
    columns = (
        Column("theme"),
        Column("step"),
        Column("customers", numeric=True),
        Column("of them negative", numeric=True),
        Column("remarks"),
    )
    empty = "Every strong theme is the evidence of a hypothesis or an idea."
    return Table("Strong themes that nobody addresses", columns, rows, empty=empty)


def backlog(found: Backlog) -> Table:
    """Return a table of what to try next: rank, its interval, cheapest way to learn, cost of a test."""
    rows = tuple(
        (
            f"{each.candidate.name}: {each.candidate.statement}",
            display.count(each.rank),
            f"{display.count(each.low)} to {display.count(each.high)}",
            " x ".join(
                str(score)
                for score in (
                    each.candidate.impact,
                    each.candidate.ease,
                    each.candidate.confidence,
                )
                if score is not None
            )
            or display.UNDEFINED,
            f"{each.learn_by} ({each.why})",
            display.count(each.candidate.cost.customers),
            display.weeks(each.candidate.cost.weeks),
            *(_learned(found, each) if found.learned.findings else ()),
        )
        for each in found.ranked
    )
    columns = (
        Column("hypothesis or idea"),
        Column("rank", numeric=True),
        Column("in 9 of 10 draws", numeric=True),
        Column("impact x ease (x confidence)", numeric=True),
        Column("cheapest way to learn"),
        Column("customers of a test", numeric=True),
        Column("weeks", numeric=True),
        *(map(Column, LEARNED) if found.learned.findings else ()),
    )
    empty = "Nothing is left to try; add ideas to the study."
    note = " ".join([LEARNING_RULE, *(each.sentence for each in found.methods)])
    return Table("Backlog", columns, rows, note, empty)


def _learned(found: Backlog, each: Ranked) -> tuple[Cell, ...]:
    """Return a candidate's chance, what it rests on, and what five more answers could change."""
    name, version = each.candidate.name, each.candidate.version
    chance = display.percent(found.learned.chance(name, version))
    said = found.learned.said(name, version) or "no finding"
    return chance, said, "; ".join(str(way) for way in found.ways(each))


@charts.styled
def feeds_figure(found: Strategy) -> Charts:
    """Draw which flow metric is supposed to feed which strategic metric, as `feeds` lists them."""
    links = found.feeds()
    if not links:
        return Charts((), "No flow metric is said to feed a strategic one.")
    left = list(dict.fromkeys(each["flow_metric"] for each in links))
    right = list(dict.fromkeys(each["metric"] for each in links))
    areas = {each["metric"]: f"{each['area']}, {each['state']}" for each in links}
    lines = 1.6 + 2.6 * max(len(left), len(right))
    figure, axes = canvas(lines)
    write(axes, 0, 0.6, "flow metric", color=QUIET)
    write(axes, 0.52, 0.6, "strategic metric", color=QUIET)
    at = {
        side: {
            name: 2.0 + (lines - 2.2) * (row + 0.5) / len(names) for row, name in enumerate(names)
        }
        for side, names in (("left", left), ("right", right))
    }
    for each in links:
        start, end = at["left"][each["flow_metric"]], at["right"][each["metric"]]
        early = each["state"] == "too early"
        axes.annotate(
            "",
            xy=(0.51, end),
            xytext=(0.26, start),
            arrowprops={
                "arrowstyle": "-|>",
                "color": QUIET if early else SERIES[0][0],
                "linestyle": (0, (4, 3)) if early else "solid",
                "linewidth": 1.2,
            },
        )
    for name, y in at["left"].items():
        write(axes, 0, y, name, weight="bold", background=True)
    for name, y in at["right"].items():
        write(axes, 0.52, y - 0.45, name, weight="bold", background=True)
        write(axes, 0.52, y + 0.55, areas[name], color=QUIET, background=True)
    said = " ".join(
        f"{each['flow_metric']} is supposed to feed {each['metric']} ({areas[each['metric']]})."
        for each in links
    )
    return Charts((Chart(figure, f"What feeds the strategic metrics. {said}"),))


def course_figures(found: Strategy) -> Charts:
    """Draw each strategic metric by period, with the course that was expected of it."""
    return Charts(tuple(_course(each) for each in found.standings), NO_STRATEGY)


@charts.styled
def _course(standing: Standing) -> Chart:
    points = standing.points
    figure = charts.new_figure(2.9, title=standing.name, beside=standing.state)
    axes = figure.subplots()
    course: dict[str, Any] = {"color": QUIET, "linewidth": 1.3, "linestyle": charts.DASHED}
    (expected,) = axes.plot([each.expected for each in points], **course)
    (values,) = axes.plot([each.value for each in points], color=SERIES[0][0], linewidth=1.7)
    axes.yaxis.set_major_locator(charts.round_ticks(5))
    axes.yaxis.set_major_formatter(lambda value, _: amount(value).replace("-", display.MINUS))
    charts.name_periods(axes, [each.period for each in points], 5)
    unit = f"{standing.metric.unit or 'value'} per period"
    charts.add_key(axes, [values, expected], [unit, "the course expected"], below=True)
    return Chart(figure, f"Dashed is the course. {standing.sentence}")


def _with_interval(found: Coefficient) -> str:
    if found.low != found.low:
        return display.UNDEFINED
    return f"{signed(found.estimate)} [{signed(found.low)}, {signed(found.high)}]"
