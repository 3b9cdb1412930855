"""Tables of a hypothesis report: verdicts, rates, effects, checks of the data, sample sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench import display
from workbench.data.metrics import LEARNING_COLUMNS, NEXT_COLUMNS, groupings_of
from workbench.display import Badge, Column, Sentences, Table
from workbench.schema.flow import ADOPTION

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.partners import Partners
    from workbench.experiments.single_arm import SingleArmResult
    from workbench.experiments.verdict import Evaluation
    from workbench.stats.proportions import Comparison, Counts

MOST_EVENTS = 5
PARTNERS = {
    "customers": ("all customers", "share"),
    "invited": ("invited", "invited_share"),
    "agreed": ("agreed", "agreed_share"),
    "took_part": ("took part", "took_part_share"),
}
UNDECIDED = (display.UNDEFINED, display.UNDEFINED)
EXPLORATORY = (
    "Exploratory: nobody planned these comparisons before the iteration, and among many of them "
    "some stand out by chance. Take them as ideas for the next hypothesis. p-values are adjusted "
    "(Benjamini-Hochberg); levels with fewer than 5 customers in a cohort give their counts only."
)
POOLED = (
    "Effects are pooled over the levels (Mantel-Haenszel), so that different mixes of customers in "
    "the cohorts count for nothing; the test asks whether the effect is the same in every level."
)
NOT_RANDOMIZED = (
    "Nothing was randomized between iterations: a change may come from anything else "
    "that changed at the same time."
)


def verdicts(
    evaluations: Iterable[Evaluation], single_arm: Iterable[SingleArmResult] = ()
) -> Table | Sentences:
    """Return a table of verdicts: each hypothesis with both rates, the effect and the p-value.

    Nothing where there are only claims with a target, which have a table of their own.
    """
    rows = [
        (
            each.name,
            Badge(each.label, each.kind),
            _counts(each.comparison.control),
            _counts(each.comparison.treatment),
            *(UNDECIDED if each.verdict == "invalid" else _tested(each)),
        )
        for each in evaluations
    ]
    columns = (
        Column("hypothesis"),
        Column("verdict"),
        Column("control", numeric=True),
        Column("treatment", numeric=True),
        Column("effect (percentage points)", numeric=True),
        Column("p-value", numeric=True),
    )
    if not rows and [*single_arm]:
        return Sentences(())
    empty = "No hypothesis of the study is tested in this iteration."
    return Table("Verdict of each hypothesis", columns, tuple(rows), empty=empty)


def comparison(found: Comparison) -> Table:
    """Return a table of one comparison: both rates, the effect, and the names of test and interval.

    >>> from workbench import Counts, compare
    >>> comparison(compare(control=Counts(48, 80), treatment=Counts(56, 70)))
    Treatment minus control
    control            treatment  effect (percentage points)  p-value  interval   test
    60.0% (48/80)  80.0% (56/70)         +20.0 [+4.5, +34.0]  0.00887  95% exact  exact
    """
    row = (
        _counts(found.control),
        _counts(found.treatment),
        *_effect(found),
        f"{100 * found.confidence_level:g}% {found.interval}",
        found.test,
    )
    columns = (
        Column("control"),
        Column("treatment", numeric=True),
        Column("effect (percentage points)", numeric=True),
        Column("p-value", numeric=True),
        Column("interval"),
        Column("test"),
    )
    return Table("Treatment minus control", columns, (row,), found.reason)


def changes(frame: pd.DataFrame) -> Table:
    """Return a table of each step's rate and that of the previous iteration (`Study.changes`)."""
    records = display.records(frame)
    before = str(records[0]["previous_iteration"]) if records else "before"
    rows = [
        (
            str(each["step"]),
            display.rate(
                each["previous_rate"], each["previous_converted"], each["previous_closed"]
            ),
            display.rate(each["rate"], each["converted"], each["closed"]),
            display.effect(each["estimate"], each["low"], each["high"]),
        )
        for each in records
    ]
    columns = (
        Column("step"),
        Column(f"rate in {before}", numeric=True),
        Column("rate in this iteration", numeric=True),
        Column("change (percentage points)", numeric=True),
    )
    empty = "This is the first iteration of the study: there is nothing to compare it with."
    caption = f"Rate of each step, this iteration minus {before}"
    return Table(caption, columns, tuple(rows), NOT_RANDOMIZED, empty)


def quality(frame: pd.DataFrame) -> Table:
    """Return a table of the checks of an iteration's data (`Study.quality`)."""
    rows = [
        (
            str(each["check"]),
            Badge(str(each["level"])),
            _value(each["value"]),
            str(each["sentence"]),
        )
        for each in display.records(frame)
    ]
    columns = (
        Column("check"),
        Column("level"),
        Column("value", numeric=True),
        Column("what it means"),
    )
    return Table("Checks of the data", columns, tuple(rows), empty="No check was made.")


def speaks_for(found: Partners | None) -> Sentences | None:
    """Return for whom a result speaks (`Study.partners`); None without partners."""
    return None if found is None else Sentences((found.sentence,))


def partners(found: Partners | None) -> Table | None:
    """Return a table of partners beside all customers (`Study.partners`); None without partners."""
    if found is None:
        return None
    records = display.records(found.table)
    whole, *levels = records
    roles = [each for each in PARTNERS if math.isfinite(whole[each])]
    rows = [
        (
            str(each["level"]),
            str(each["grouping"]),
            *(display.rate(each[PARTNERS[role][1]], each[role], whole[role]) for role in roles),
        )
        for each in levels
    ]
    rows.append(("all", "", *(display.count(whole[role]) for role in roles)))
    columns = (
        Column("level"),
        Column("grouping"),
        *(Column(PARTNERS[role][0], numeric=True) for role in roles),
    )
    odd = [each.message for each in found.problems if each.level == "warning"]
    note = " ".join(f"{display.capital(each)}." for each in odd)
    return Table("Partners beside all customers", columns, tuple(rows), note)


def flow(frame: pd.DataFrame) -> Table:
    """Return a table of customers entered, aligned, deviated and pending (`Study.learning_metrics`)."""
    by = groupings_of(frame, LEARNING_COLUMNS)
    names = ("entered", "aligned", "deviated", "pending")
    timed = "median_hours" in frame and frame["median_hours"].notna().any()
    rows = [
        (
            str(each["step"]),
            *(str(each[column]) for column in by),
            *(display.count(each[name]) for name in names),
            *((display.hours(each["median_hours"]),) if timed else ()),
        )
        for each in display.records(frame)
    ]
    columns = (
        Column("step"),
        *(Column(column) for column in by),
        *(Column(name, numeric=True) for name in names),
        *((Column("median time from the trigger", numeric=True),) if timed else ()),
    )
    note = "Entered = aligned + deviated + pending. Pending: the window was still open."
    empty = "No customer met the trigger in this iteration."
    return Table(
        "Customers at each step",
        columns,
        tuple(rows),
        note + _of_ends(frame) + recorded_note(frame),
        empty,
    )


def rates(frame: pd.DataFrame) -> Table:
    """Return a table of each step's rate with its interval (`Study.learning_metrics`)."""
    by = groupings_of(frame, LEARNING_COLUMNS)
    records = display.records(frame)
    steps = list(dict.fromkeys(each["step"] for each in records))
    rows = [
        (
            str(each["step"]),
            *(str(each[column]) for column in by),
            display.rate(each["rate"], each["converted"], each["closed"]),
            display.interval(each["low"], each["high"]),
            display.percent(each["step_rate"]),
        )
        for each in sorted(records, key=lambda record: steps.index(record["step"]))
    ]
    columns = (
        Column("step"),
        *(Column(column) for column in by),
        Column("rate (converted / closed)", numeric=True),
        Column("95% interval", numeric=True),
        Column("step rate (description only)", numeric=True),
    )
    note = (
        "Rates count customers whose window is over (closed) and those of them who took the step in "
        "time (converted); customers who are aligned already but still open count later. The step rate "
        "is taken over those who reached the step before; these groups differ, so it describes and does "
        "not compare."
    )
    empty = "No customer met the trigger in this iteration."
    return Table(
        "Rates of each cohort",
        columns,
        tuple(rows),
        note + _of_ends(frame) + recorded_note(frame),
        empty,
    )


def effects(frame: pd.DataFrame) -> Table:
    """Return a table of the effect within each level of each grouping (`Study.effects`)."""
    rows = [
        (
            str(each["level"]),
            f"{each['grouping']} ({each['kind']})",
            *((str(each["hypothesis"]),) if "hypothesis" in frame else ()),
            f"{display.count(each['control_converted'])}/{display.count(each['control_closed'])}",
            (
                f"{display.count(each['treatment_converted'])}"
                f"/{display.count(each['treatment_closed'])}"
            ),
            display.effect(each["estimate"], each["low"], each["high"]),
            display.pvalue(each["adjusted"]),
        )
        for each in display.records(frame)
    ]
    columns = (
        Column("level"),
        Column("grouping"),
        *((Column("hypothesis"),) if "hypothesis" in frame else ()),
        Column("control", numeric=True),
        Column("treatment", numeric=True),
        Column("effect (percentage points)", numeric=True),
        Column("p-value, adjusted", numeric=True),
    )
    empty = "There is no grouping beside the compared cohorts, or no hypothesis to look at."
    caption = "Effect within each level (exploratory)"
    return Table(caption, columns, tuple(rows), EXPLORATORY, empty)


def pooled(frame: pd.DataFrame) -> Table:
    """Return a table of the effect pooled over each grouping's levels (`Study.pooled`)."""
    rows = [
        (
            str(each["grouping"]),
            *((str(each["hypothesis"]),) if "hypothesis" in frame else ()),
            display.effect(each["estimate"], each["low"], each["high"]),
            display.points(each["crude"]),
            display.pvalue(each["interaction_pvalue"]),
            str(each["sentence"]),
        )
        for each in display.records(frame)
    ]
    columns = (
        Column("grouping"),
        *((Column("hypothesis"),) if "hypothesis" in frame else ()),
        Column("pooled effect (percentage points)", numeric=True),
        Column("crude effect", numeric=True),
        Column("p-value of differing", numeric=True),
        Column("what it means"),
    )
    empty = "There is no grouping beside the compared cohorts, or no hypothesis to look at."
    return Table("Does the effect differ between groups?", columns, tuple(rows), POOLED, empty)


def deviations(frame: pd.DataFrame, most: int = MOST_EVENTS) -> Table:
    """Return a table of what customers who missed a step did next (`Study.deviations`).

    Args:
        frame: The deviations.
        most: Next events listed per cohort and step; the others are summed up in one row.
    """
    by = groupings_of(frame, NEXT_COLUMNS)
    rows: list[tuple[str, ...]] = []
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for each in display.records(frame):
        names = (str(each["step"]), *(str(each[column]) for column in by))
        groups.setdefault(names, []).append(each)
    for names, events in groups.items():
        shown, rest = (events, []) if len(events) <= most + 1 else (events[:most], events[most:])
        rows += [
            (
                *names,
                str(each["next_event"]),
                display.count(each["customers"]),
                display.percent(each["share"]),
            )
            for each in shown
        ]
        if rest:
            customers = display.count(sum(each["customers"] for each in rest))
            share = display.percent(sum(each["share"] for each in rest))
            rows.append((*names, f"({len(rest)} other events)", customers, share))
    columns = (
        Column("step not taken"),
        *(Column(column) for column in by),
        Column("next event"),
        Column("customers", numeric=True),
        Column("share of the deviated", numeric=True),
    )
    empty = "Nobody deviated in this iteration, or what customers did next is not in the data."
    return Table("Next event of the deviated", columns, tuple(rows), empty=empty)


def sample_sizes(frame: pd.DataFrame) -> Table:
    """Return a table of the detectable effect and the customers needed (`Study.sample_sizes`)."""
    rows = [
        (
            str(each["hypothesis"]),
            display.percent(each["control_rate"]),
            display.count(each["customers_control"]),
            display.count(each["customers_treatment"]),
            display.points(each["detectable_effect"]),
            display.worth(each["minimum_effect"]),
            display.count(each["customers_needed"]),
        )
        for each in display.records(frame)
    ]
    columns = (
        Column("hypothesis"),
        Column("control rate", numeric=True),
        Column("customers, control", numeric=True),
        Column("customers, treatment", numeric=True),
        Column("detectable effect (percentage points)", numeric=True),
        Column("minimum effect (percentage points)", numeric=True),
        Column("customers needed per cohort", numeric=True),
    )
    powers = sorted({f"{100 * each['power']:g}%" for each in display.records(frame)})
    note = (
        f"Detectable: the smallest effect that a sample of this size finds with a power of "
        f"{', '.join(powers)}. Needed: for the next iteration to find the minimum effect."
    )
    empty = "There is no hypothesis to plan for."
    return Table("Sample size of each hypothesis", columns, tuple(rows), note, empty)


def problems(frame: pd.DataFrame) -> Table:
    """Return a table of the problems in a study's data (`Study.check`)."""
    rows = [
        (
            str(each["problem"]),
            Badge(str(each["level"])),
            display.count(each["count"]),
            _example(each["example"]),
        )
        for each in display.records(frame)
    ]
    columns = (
        Column("problem"),
        Column("level"),
        Column("rows", numeric=True),
        Column("for example"),
    )
    empty = "The data hold no problem that the check knows of."
    return Table("Problems of the data", columns, tuple(rows), empty=empty)


def _counts(counts: Counts) -> str:
    return display.rate(counts.rate, counts.converted, counts.total)


def _effect(found: Comparison) -> tuple[str, str]:
    return display.effect(found.estimate, found.low, found.high), display.pvalue(found.pvalue)


def _tested(each: Evaluation) -> tuple[str, str]:
    return _effect(each.comparison)[0], display.pvalue(each.pvalue)


def recorded_note(frame: pd.DataFrame) -> str:
    """Return a sentence on iterations that come from the record, since the log has lost them."""
    return "".join(
        f" Iteration {name} is as recorded on {day}: the data no longer reach it all."
        for name, day in frame.attrs.get("recorded", {}).items()
    )


def _of_ends(frame: pd.DataFrame) -> str:
    """Return a sentence on the denominators of adoption and outcome, if the flow has them."""
    if "step" not in frame or ADOPTION not in set(frame["step"]):
        return ""
    return (
        " Adoption is counted among those who met the trigger again after their need was met, an "
        "outcome among all who entered the flow, and a hypothesis about adoption among these too."
    )


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]  # numbers of any kind out of a frame
    return display.count(number) if number.is_integer() else display.pvalue(number)


def _example(example: object) -> str:
    if not isinstance(example, Mapping):
        return str(example)
    return ", ".join(f"{name} = {value}" for name, value in example.items())


plan = sample_sizes  # what templates of 0.1 call it; gone with 0.3
