"""What to try next and why, from the evidence, with a draft of it for the study file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench import display
from workbench.data.counts import StepCounts
from workbench.data.study_data import StudyData
from workbench.errors import StudyError
from workbench.experiments import planning
from workbench.experiments.over_versions import OverVersions
from workbench.innovation.backlog import Advice, Backlog, Candidate
from workbench.innovation.feedback import Feedback
from workbench.schema.hypothesis import Hypothesis, Idea
from workbench.schema.insertion import entry
from workbench.schema.time import Iteration, from_instant
from workbench.stats.multiplicity import holm
from workbench.stats.sample_ratio import homogeneity

if TYPE_CHECKING:
    from workbench.indicators.values import Indicators

FILL_IN = "FILL IN"
NOTHING_MORE = "(nothing)"
DIFFERS = 0.05
LATELY = 4  # periods of an indicator at the least that are its newest ones
WORSE = -0.5  # standard deviations by which an indicator is called worse than before
AGAIN = frozenset(
    {"version", "status", "impact", "ease", "confidence", "evidence"}
)  # of each version
SETTINGS = ("metric", "minimum_effect", "alternative", "alpha", "power")


class Reason(NamedTuple):
    """One piece of evidence for what to try next: where it is from, and what it says."""

    source: str
    sentence: str


@dataclass(frozen=True)
class NextStep:
    """What to try next.

    Attributes:
        advice: What it is, in a sentence.
        reasons: The evidence.
        draft: Entries for lists of the study file by the list's name, as YAML; what must be filled in
            is marked. Empty where there is nothing to write.
    """

    advice: Advice
    reasons: tuple[Reason, ...]
    draft: Mapping[str, str]

    @property
    def text(self) -> str:
        """The draft as a piece of a study file."""
        parts = []
        for part, written in self.draft.items():
            parts += [f"{part}:", *(f"  {line}" for line in written.split("\n"))]
        return "\n".join(parts)

    def row(self) -> dict[str, Any]:
        """Return the step as plain values."""
        reasons = [each._asdict() for each in self.reasons]
        return {**asdict(self.advice), "reasons": reasons, "draft": self.text}


class _Lost(NamedTuple):
    """The step at which most customers deviated, in one iteration."""

    iteration: str
    step: str
    deviated: int
    entered: int


def next_step(
    data: StudyData,
    advice: Advice,
    backlog: Backlog,
    evidence: Sequence[OverVersions],
    *,
    at: datetime | None = None,
    feedback: Feedback | None = None,
    indicators: Indicators | None = None,
    written: Mapping[str, Any] | None = None,
) -> NextStep:
    """Gather the evidence for what to try next, and draft it.

    Args:
        data: The study's data.
        advice: The one next thing.
        backlog: What there is to try.
        evidence: What the versions of each hypothesis say together.
        at: The time as of which the data are read.
        feedback: What customers said, if the study has it.
        indicators: Leading indicators, if the study has them.
        written: The newest version that the advice is about, as the study file writes it.
    """
    lost = _loses_most(data, at)
    candidate = next(
        (each.candidate for each in backlog.ranked if each.candidate.name == advice.about), None
    )
    reasons = [
        *(
            Reason("its versions", each.sentence)
            for each in evidence
            if each.hypothesis == advice.about
        ),
        *_of_flow(data, at, lost),
        *_of_indicators(indicators),
        *_of_themes(feedback),
        *_of_cost(data, advice, candidate, at),
    ]
    return NextStep(advice, tuple(reasons), _draft(data, advice, feedback, at, written, lost))


def _loses_most(data: StudyData, at: datetime | None) -> _Lost | None:
    """Return the step that most customers left in the newest iteration in which most are decided."""
    counts = data.counts((), at)
    for iteration in reversed([each.name for each in data.spec.iterations]):
        here = {each.step: each for each in counts if each.iteration == iteration}
        first = here.get(data.spec.steps[0])
        if first is None or 2 * first.closed < first.entered or not first.entered:
            continue
        steps = [here[name] for name in data.spec.steps if name in here]
        most = max(steps, key=lambda each: each.deviated)
        return _Lost(iteration, most.step, most.deviated, most.entered) if most.deviated else None
    return None


def _of_flow(data: StudyData, at: datetime | None, lost: _Lost | None) -> Iterator[Reason]:
    """Say which step loses most, where the deviated went, and which cohort differs there."""
    if lost is None:
        return
    share = display.rate(lost.deviated / lost.entered, lost.deviated, lost.entered)
    yield Reason(
        "the flow",
        f"{lost.step} loses most in {lost.iteration}: {share} of those who came so far left there.",
    )
    if data.journeys is not None:
        counted = data.journeys.count_next((lost.step,), (), at)
        events = _next_events(counted, lost)
        if events:
            yield Reason("where they went", f"Next, {events}.")
    found = list(_by_level(data, at, lost))
    known = [(pvalue, said) for pvalue, said in found if not math.isnan(pvalue)]
    if known:
        adjusted = holm([pvalue for pvalue, _ in known])
        least, said = min(zip(adjusted, (said for _, said in known), strict=True))
        tested = f"p {display.pvalue(least)} after Holm over {len(known)} groupings"
        clear = (
            f"{said} ({tested})." if least <= DIFFERS else f"No cohort clearly differs ({tested})."
        )
        yield Reason("cohorts", clear)


def _next_events(counted: Mapping[Any, Any], lost: _Lost) -> str:
    """Name what most of those who left a step did next."""
    from workbench.data.metrics import next_table

    table = next_table(counted, [], [lost.iteration])
    rows = table[table["step"] == lost.step].head(3).to_dict("records")
    said = [
        f"{each['customers']:,} did nothing more"
        if each["next_event"] == NOTHING_MORE
        else f"{each['customers']:,} took {each['next_event']}"
        for each in rows
    ]
    return ", ".join(said)


def _by_level(data: StudyData, at: datetime | None, lost: _Lost) -> Iterator[tuple[float, str]]:
    """Yield of each grouping the p-value of equal shares lost at a step, and its worst level."""
    for column in data.spec.groupings:
        if column in data.participation:
            continue
        rows = [
            each
            for each in data.counts([column], at)
            if (each.iteration, each.step) == (lost.iteration, lost.step) and _decided(each)
        ]
        if len(rows) < 2:
            continue
        pvalue = homogeneity([each.aligned for each in rows], [each.deviated for each in rows])
        worst = max(rows, key=lambda each: each.deviated / _decided(each))
        share = display.rate(worst.deviated / _decided(worst), worst.deviated, _decided(worst))
        yield pvalue, f"{column} = {worst.cohort[0]} loses most there: {share}"


def _decided(counts: StepCounts) -> int:
    return counts.aligned + counts.deviated


def _of_indicators(indicators: Indicators | None) -> Iterator[Reason]:
    """Say which leading indicator is worst lately, against its own course before."""
    found = []
    for name, definition in ({} if indicators is None else indicators.definitions).items():
        if definition.kind != "leading" or definition.better is None or indicators is None:
            continue
        values = np.asarray(indicators.series(name).values, dtype=float)
        values = values[np.isfinite(values)]
        late = max(LATELY, len(values) // 8)
        before, now = values[:-late], values[-late:]
        if len(before) < late or not before.std(ddof=1):
            continue
        sign = 1 if definition.better == "higher" else -1
        moved = sign * (now.mean() - before.mean()) / before.std(ddof=1)
        step = "" if definition.step is None else f", at {definition.step},"
        said = f"{name}{step} is worst: {now.mean():.3g} over its last {late} periods, {before.mean():.3g} before"
        found.append((float(moved), said))
    if found and min(found)[0] < WORSE:
        yield Reason("indicators", f"{min(found)[1]}.")


def _of_themes(feedback: Feedback | None) -> Iterator[Reason]:
    """Say which strong theme no hypothesis or idea cites."""
    for each in () if feedback is None else feedback.unaddressed[:1]:
        where = f" at {' and '.join(each.steps)}" if each.steps else ""
        yield Reason(
            "what customers said",
            f"{each.customers:,} customers speak of {each.theme!r}{where}, and no hypothesis or idea "
            f"cites them ({', '.join(each.remarks)}).",
        )


def _of_cost(
    data: StudyData, advice: Advice, candidate: Candidate | None, at: datetime | None
) -> Iterator[Reason]:
    """Say what a test takes, and whether it could decide."""
    if candidate is not None:
        cost = candidate.cost
        said = f"it cannot be planned: {cost.reason}"
        if not math.isnan(cost.customers):
            weeks = "" if math.isnan(cost.weeks) else f" and {cost.weeks:.1f} weeks"
            said = f"it takes {cost.customers:,.0f} customers in both cohorts{weeks}"
        yield Reason("a test", f"As an A/B test {said}.")
    if advice.kind != "version":
        return
    try:
        plan = planning.plan(data, advice.about, None, at)
    except StudyError as error:
        yield Reason("a test", f"It cannot be planned: {error}.")
        return
    row = plan.table[plan.table["analysis"] == "fixed"].iloc[0]
    needed = "more customers than can be planned"
    if not math.isnan(row["customers_needed"]):
        weeks = "" if math.isnan(row["weeks"]) else f" and {row['weeks']:.1f} weeks"
        needed = f"{row['customers_needed']:,.0f} customers per cohort{weeks}"
    worth = display.worth(plan.effect)
    yield Reason(
        "a test",
        f"To show {worth} points alone takes {needed}; the {plan.customers:,} per cohort of the newest "
        f"iteration would show them with a power of {display.percent(row['power'])}.",
    )


def _draft(
    data: StudyData,
    advice: Advice,
    feedback: Feedback | None,
    at: datetime | None,
    written: Mapping[str, Any] | None,
    lost: _Lost | None,
) -> dict[str, str]:
    """Draft the next version, a hypothesis for an idea, or an idea for what nobody addresses."""
    spec = data.spec
    if advice.kind == "version" and written is not None:
        return _with_iteration(data, at, _next_version(spec.hypotheses, advice.about, written))
    idea = next((each for each in spec.ideas if each.name == advice.about), None)
    if advice.kind == "try" and idea is not None:
        pattern = next((each for each in reversed(spec.hypotheses) if each.apart), None)
        if pattern is None or idea.metric is None:
            return {}
        return _with_iteration(data, at, _hypothesis_of(idea, pattern))
    theme = next(iter(() if feedback is None else feedback.unaddressed), None)
    if advice.kind != "listen" or (theme is None and lost is None):
        return {}
    step = theme.steps[0] if theme is not None and theme.steps else (lost and lost.step)
    about = theme.theme if theme is not None else f"why {step} loses most"
    new: dict[str, Any] = {
        "name": _slug(about),
        "statement": f"{FILL_IN}: what would help with {about}.",
    }
    new |= {} if step is None else {"metric": step}
    new |= {} if theme is None else {"evidence": list(theme.remarks)}
    return {"ideas": entry(new, {"name": f"{FILL_IN} impact and ease, from 1 to 10"})}


def _next_version(
    claims: Sequence[Hypothesis], name: str, written: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the next version of a hypothesis, as its newest one is written."""
    newest = max(each.version for each in claims if each.name == name)
    kept = {key: value for key, value in written.items() if key not in AGAIN}
    said = f"{FILL_IN}: what this version changes, and what it should do."
    first = {"name": name, "version": newest + 1, "statement": said}
    return {**first, **{key: value for key, value in kept.items() if key not in first}}


def _hypothesis_of(idea: Idea, pattern: Hypothesis) -> dict[str, Any]:
    """Return a hypothesis that tests an idea, between the cohorts of another one."""
    given = idea.model_dump(mode="json", exclude_unset=True)
    new = {
        "name": f"{idea.name}-works",
        "version": 1,
        "statement": idea.statement,
        "metric": idea.metric,
        "iteration": pattern.iteration,
        "control": dict(pattern.control.values),
        "treatment": dict(pattern.treatment.values),
    }
    new |= {key: given[key] for key in SETTINGS if key in given}
    new |= {key: given[key] for key in ("problem", "evidence") if key in given}
    return new


def _with_iteration(data: StudyData, at: datetime | None, claim: dict[str, Any]) -> dict[str, str]:
    """Return a claim's entry with the iteration that tests it, which may be a new one."""
    name, new = _next_iteration(data, at)
    control = claim.get("control")
    if isinstance(control, Mapping) and "iteration" in control:
        claim = {**claim, "control": {**control, "iteration": data.spec.iterations[-1].name}}
    treatment = claim.get("treatment")
    if isinstance(treatment, Mapping) and "iteration" in treatment:
        claim = {**claim, "treatment": {**treatment, "iteration": name}}
    written = entry(
        {**claim, "iteration": name},
        {
            "name": f"{FILL_IN} impact and ease, from 1 to 10, before the test",
            "iteration": "the next one",
            "treatment": f"{FILL_IN} if the cohorts are others",
        },
    )
    return {**new, "hypotheses": written}


def _next_iteration(data: StudyData, at: datetime | None) -> tuple[str, dict[str, str]]:
    """Return the name of the iteration to come, and its entry if the study file has none."""
    seen, spec = data.newest(at), data.spec
    for span in data.spans:
        if seen is not None and from_instant(span.start) > seen:
            return span.name, {}
    last = spec.iterations[-1]
    name = _following(last.name, {each.name for each in spec.iterations})
    return name, {
        "iterations": entry(_after(last, name), {"name": f"{FILL_IN} solution and changes"})
    }


def _after(last: Iteration, name: str) -> dict[str, Any]:
    """Return an iteration that follows another one, and takes as long."""
    if last.start is None or last.end is None:
        return {"name": name}
    end: date | datetime = last.end + (last.end - last.start)
    return {"name": name, "start": last.end, "end": end}


def _following(name: str, known: set[str]) -> str:
    """Return the next name of a series.

    >>> _following("2026.5", {"2026.5"}), _following("spring", {"spring"})
    ('2026.6', 'spring-2')
    """
    found = re.search(r"(\d+)$", name)
    stem, number = (name[: found.start()], int(found[1])) if found else (f"{name}-", 1)
    while f"{stem}{number}" in known or not (found or number > 1):
        number += 1
    return f"{stem}{number}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "new-idea"
