"""Write the study file for what files seem to hold: each guess with its reason beside it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from workbench.data.inspect import Group, Inspection

PLAIN = r"(?:\.\./)*[^\W\d][\w./-]*"  # what YAML reads as this text, but for the words below
SPECIAL = ("y", "n", "yes", "no", "true", "false", "on", "off", "null", "none")
WIDTH, SHOWN = 44, 30
Line = tuple[str, str]  # what is written, and the comment beside it
KINDS = {
    "events": "an event log",
    "counts": "counts per row and step",
    "outcomes": "a row a customer",
    "indicators": "indicators",
}


def scalar(value: str) -> str:
    r"""Write text so that YAML reads just this text.

    Args:
        value: Any text.

    Returns:
        The text as it is, where that is safe, or else in double quotes.

    >>> print(scalar("A_SENT"), scalar("yes"), scalar("1.10"), scalar("a: b"), scalar('"#x"'))
    A_SENT "yes" "1.10" "a: b" "\"#x\""
    """
    if re.fullmatch(PLAIN, value) and value.lower() not in SPECIAL:
        return value
    signs = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in signs)


def _escaped(sign: str) -> str:
    return f"\\U{ord(sign):08x}"


def study_text(found: Inspection, name: str, source: str) -> str:
    """Return the text of a study file.

    Args:
        found: What the data seem to hold.
        name: The study's name.
        source: The file, or the pattern of files, relative to the study file.

    >>> from workbench.data.inspect import inspect
    >>> found, path = inspect("events", ["studies/guided-import/data/events.parquet"])
    >>> print(study_text(found, "mine", path.name).splitlines()[5])
      source: events.parquet                      # relative to this file
    """
    parts = {
        "events": (_events, _groupings, _flow, _iterations, _hypothesis),
        "counts": (_counts, _groupings, _iterations, _hypothesis),
        "outcomes": (_outcomes, _groupings, _iterations, _hypothesis),
        "indicators": (_indicators,),
    }[found.kind]
    begun: list[Line] = [
        (
            f"# This study runs as it is. What was guessed from {scalar(source)} says why beside it;",
            "",
        ),
        ("# correct what is wrong: workbench check tells what does not fit.", ""),
        (f"name: {scalar(name)}", ""),
        (f"title: {scalar(name)}", "the title of reports"),
    ]
    where: list[Line] = [(f"  source: {scalar(source)}", "relative to this file")]
    if found.table.file_column:
        where.append(
            (f"  file_column: {scalar(found.table.file_column)}", "the name of a row's file")
        )
    return "".join(_aligned([*begun, *(line for part in parts for line in part(found, where))]))


def _aligned(lines: Iterable[Line]) -> Iterator[str]:
    for text, note in lines:
        said = " ".join(note.split())  # a column's name may hold the end of a line
        yield f"{text:<{WIDTH}}  # {said}\n" if said else f"{text}\n"


def _role(found: Inspection, key: str, indent: str = "  ", role: str = "") -> list[Line]:
    """Write a guessed key, if there is one."""
    guess = found.roles.get(role or key)
    return [(f"{indent}{key}: {scalar(guess.value)}", f"guessed: {guess.why}")] if guess else []


def _times(found: Inspection) -> list[Line]:
    return [line for key in ("time", "time_format", "timezone") for line in _role(found, key)]


def _events(found: Inspection, where: Sequence[Line]) -> Iterator[Line]:
    yield "events:", ""
    yield from where
    for key in ("customer", "event", "event_name"):
        yield from _role(found, key)
    yield from _times(found)
    if guess := found.roles.get("where"):
        column = scalar(found.roles["lifecycle"].value)
        yield f"  where: {{{column}: {scalar(guess.value)}}}", f"guessed: {guess.why}"


def _counts(found: Inspection, where: Sequence[Line]) -> Iterator[Line]:
    yield "counts:", ""
    yield from where
    yield from _times(found)
    for said in found.left_out:
        yield "  # time:", said
    trigger = f"guessed: the largest count, {found.totals[found.trigger]:,} in all"
    yield f"  trigger: {scalar(found.trigger)}", trigger
    yield "  steps:", "guessed: counts that are never larger than the one before"
    for step in found.steps:
        yield f"    {scalar(step)}: {scalar(step)}", f"{found.totals[step]:,} in all"


def _outcomes(found: Inspection, where: Sequence[Line]) -> Iterator[Line]:
    yield "customers:", ""
    yield from where
    yield from _role(found, "customer")
    yield from _role(found, "per")
    yield "outcomes:", "guessed: the columns of yes and no"
    for step in found.steps:
        yield f"  {scalar(step)}: {scalar(step)}", ""


def _indicators(found: Inspection, where: Sequence[Line]) -> Iterator[Line]:
    yield "indicators:", ""
    yield from where
    yield from _role(found, "period", role="kind")
    yield from _role(found, "time_format")
    yield from _role(found, "decimal")
    yield "  columns:", ""
    for key in ("customer", "period", "indicator", "value"):
        yield from _role(found, key, "    ")
    yield "  definitions:", "guessed by their names: leading or lagging, and which way is good"
    for each in found.indicators:
        unit = ", unit: yes/no" if each.yes_no else ""
        yield f"    {scalar(each.name)}: {{kind: {each.kind}{unit}, better: {each.better}}}", ""


def _groupings(found: Inspection, _: Sequence[Line]) -> Iterator[Line]:
    once = "one value a customer" if found.kind == "events" else "few values"
    given = [each for each in found.groups if not each.bins]
    if found.groups:
        yield ("groupings:" if given else "# groupings:"), ""
    for each in given:
        levels = ", ".join(map(scalar, each.levels))
        yield f"  {scalar(each.column)}: {each.kind}", f"guessed: {once}: {levels}"
    for each in found.groups:
        if each.bins:
            yield f"  # {_binned(each)}", "many numbers; cut them where you like"


def _binned(group: Group) -> str:
    bins = ", ".join(f"{cut:.15g}" for cut in group.bins)
    return f"{scalar(group.column)}: {{kind: segment, bins: [{bins}]}}"


def _flow(found: Inspection, _: Sequence[Line]) -> Iterator[Line]:
    customers = {each.name: each.customers for each in found.events}
    yield "flow:", ""
    nearly = f"guessed: the first event of nearly everybody, {customers[found.trigger]:,} customers"
    yield f"  trigger: {scalar(found.trigger)}", nearly
    yield (
        "  steps:",
        "guessed: each has fewer customers than the one before; the last is the need met",
    )
    for step in found.steps:
        yield f"    - {scalar(step)}", f"{customers[step]:,} customers"
    if found.steps == (found.trigger,):
        yield "  return_window: 30d", "guessed: one event, so its repeat is what counts"
    if found.hours is not None:
        need = scalar(found.steps[-1])
        nine = f"90 % of those who got to {need} did so in this time; until the log ends without it"
        yield f"  # window: {duration(found.hours)}", nine
    yield "  # Every event, by its first occurrence, with its customers:", ""
    for each in found.events[:SHOWN]:
        yield f"    # - {scalar(each.name)}", f"{each.customers:,}"
    if len(found.events) > SHOWN:
        yield f"    # and {len(found.events) - SHOWN} more", ""


def duration(hours: float) -> str:
    """Return a time as study files write it, rounded up.

    >>> duration(0.4), duration(30), duration(620.3)
    ('24m', '30h', '26d')
    """
    if hours < 2:
        return f"{max(1, math.ceil(60 * hours))}m"
    return f"{math.ceil(hours)}h" if hours < 72 else f"{math.ceil(hours / 24)}d"


def _iterations(found: Inspection, _: Sequence[Line]) -> Iterator[Line]:
    dated = found.iterations[0].start is not None
    why = "guessed from the times of those who enter; write yours, the end is not part of it"
    yield "iterations:", why if dated else "there are no times"
    for each in found.iterations:
        dates = f", start: {each.start}, end: {each.end}" if dated else ""
        yield f"  - {{name: {json.dumps(each.name)}{dates}}}", ""


def _hypothesis(found: Inspection, _: Sequence[Line]) -> Iterator[Line]:
    claim, metric = found.claim, scalar(found.steps[-1])
    mark, newest, before = "", found.iterations[-1].name, found.iterations[0].name
    if claim is not None:
        newest, column = claim.iteration, scalar(claim.column)
        cohorts = [f"{{{column}: {scalar(each)}}}" for each in (claim.control, claim.treatment)]
        said = f"The {claim.treatment} cohort and the {claim.control} cohort reach {found.steps[-1]} at different rates."
    else:
        mark, said = "# ", f"Customers now reach {found.steps[-1]} more often than before."
        before = found.iterations[-2].name if len(found.iterations) > 1 else before
        cohorts = [f"{{iteration: {json.dumps(each)}}}" for each in (before, newest)]
        yield "# An example, since no two groups of an experiment were found:", ""
    record = "guessed; the first report records it, so choose metric and effect before"
    yield f"{mark}hypotheses:", "" if mark else record
    yield f"{mark}  - name: first", ""
    yield f"{mark}    statement: {scalar(said)}", ""
    yield f"{mark}    metric: {metric}", ""
    yield f"{mark}    iteration: {json.dumps(newest)}", ""
    yield f"{mark}    control: {cohorts[0]}", ""
    yield f"{mark}    treatment: {cohorts[1]}", ""
    yield f"{mark}    alternative: two-sided", "greater or less, if you claim a direction"
    yield f"{mark}    minimum_effect: 0.01", "the smallest effect worth having: 1 percentage point"
    if mark and found.hours is not None:
        yield f"{mark}    window: {duration(found.hours)}", "both iterations need equal time"


def sentences(found: Inspection) -> tuple[str, ...]:
    """Return what was guessed, in a few sentences.

    Args:
        found: What the data seem to hold.

    >>> from workbench.data.inspect import inspect
    >>> print(sentences(inspect("events", ["studies/guided-import/data/events.parquet"])[0])[0])
    Guessed from events.parquet, an event log of ... rows: customer_id holds customers, ...
    """
    names = {"customer": "customers", "event": "events", "time": "times", "period": "periods"}
    held = [
        f"{found.roles[key].value} holds {what}"
        for key, what in names.items()
        if key in found.roles and found.roles[key].value != "none"
    ]
    rows = f"{KINDS[found.kind]} of {found.table.rows:,} rows"
    said = [f"Guessed from {found.table.name}, {rows}: {', '.join(held) or 'no times, no ids'}."]
    if "where" in found.roles:
        said.append(
            f"Rows count where {found.roles['lifecycle'].value} is {found.roles['where'].value}."
        )
    if found.kind == "outcomes":
        said.append(f"Outcomes: {', '.join(found.steps)}.")
    elif found.steps:
        said.append(
            f"From the trigger to the need met: {' -> '.join((found.trigger, *found.steps))}."
        )
    if found.indicators:
        kinds = (f"{each.name} ({each.kind})" for each in found.indicators)
        said.append(f"Indicators: {', '.join(kinds)}.")
    if len(found.iterations) > 1:
        first, last = found.iterations[0].name, found.iterations[-1].name
        said.append(f"Iterations: {len(found.iterations)}, from {first} to {last}.")
    if groups := [f"{each.column} ({each.kind})" for each in found.groups if not each.bins]:
        said.append(f"Groupings: {', '.join(groups)}.")
    if claim := found.claim:
        pair = f"{claim.treatment} against {claim.control} in {claim.iteration}"
        said.append(f"Hypothesis: {pair}; correct it before the first report, which records it.")
    return (*said, *(f"{each[:1].upper()}{each[1:]}." for each in found.left_out))
