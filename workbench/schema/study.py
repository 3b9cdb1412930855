"""The study file: what it may say, and what in it contradicts itself."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from workbench.errors import StudyError, unknown_name
from workbench.schema.base import Name, Spec, read_document
from workbench.schema.cohort import Cohort, GroupingKind
from workbench.schema.flow import Flow
from workbench.schema.hypothesis import Hypothesis, Idea
from workbench.schema.indicators import IndicatorsSource
from workbench.schema.strategy import Scale, StrategySource
from workbench.schema.time import Iteration, in_order

ANYTIME = (
    "an analysis at any time takes customers in their order of entry, and only events tell it; "
    "use analysis: fixed, or sequential with looks"
)
Contradiction = tuple[tuple[str | int, ...], str]


class CountsSource(Spec):
    """A table of counts: one row a cohort (and day), one column a step; empty means pending.

    `time` or `iteration` names the column that tells rows' iterations apart; a study of one
    iteration needs neither. `file_column` makes a grouping column of the files' names.
    """

    source: Name
    trigger: Name
    steps: Mapping[str, Name]
    time: Name | None = None
    timezone: Name = "UTC"
    iteration: Name | None = None
    file_column: Name | None = None


class CustomersSource(Spec):
    """A table with one row a customer."""

    source: Name
    customer: Name


class FeedbackSource(Spec):
    """A table of feedback, one remark a row.

    Its columns are id, date, source, theme and sentiment, and customer or cohort (such as
    `industry = retail`), step and quote. A theme is strong from `strong` customers on. Customers'
    ids and what they said word for word stay out of results unless `quotes` is true.
    """

    source: Name
    strong: int = Field(default=3, ge=1)
    quotes: bool = False


class EventsSource(Spec):
    """Where a study's events are, and which column is what."""

    source: Name
    customer: Name
    event: Name
    time: Name
    timezone: Name = "UTC"
    where: Mapping[str, str | int | bool] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            msg = f"unknown time zone {name!r}; write it as UTC or Europe/Amsterdam"
            raise ValueError(msg) from None
        return name


class StudySpec(Spec):
    """What a study file holds.

    The data are `events` (with a `flow`), `counts` (with steps of their own), or `outcomes`
    (yes/no columns of the `customers` table); a study of `indicators` needs none of them, and no
    iterations. `note` is what every reader of a report must know,
    such as that the data are simulated; the cover says it under the title.
    """

    name: Name
    title: str = ""
    note: str = ""
    events: EventsSource | None = None
    counts: CountsSource | None = None
    customers: CustomersSource | None = None
    outcomes: Mapping[str, Name] = {}
    groupings: Mapping[str, GroupingKind] = {}
    flow: Flow | None = None
    indicators: IndicatorsSource | None = None
    iterations: tuple[Iteration, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    ideas: tuple[Idea, ...] = ()
    feedback: FeedbackSource | None = None
    innovation: Scale | None = None
    strategy: StrategySource | None = None
    ledger: Name = "ledger.db"

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        if self.flow is not None:
            return self.flow.names
        return tuple(self.counts.steps if self.counts is not None else self.outcomes)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all that is counted: the steps, then adoption and the outcome, if followed."""
        return self.steps if self.flow is None else self.flow.metrics

    def claims(self, iterations: Container[str]) -> tuple[Hypothesis, ...]:
        """Give the hypotheses of these iterations, once for each treatment."""
        tested = [each for each in self.hypotheses if each.iteration in iterations]
        return tuple(arm for each in tested for arm in each.arms)

    @property
    def timezone(self) -> str:
        """The zone of dates, and of times that carry none."""
        source = self.events or self.counts
        return "UTC" if source is None else source.timezone

    @property
    def indicators_only(self) -> bool:
        """Whether there are indicators, and nothing that hypotheses could be tested on."""
        others = self.events or self.counts or self.outcomes
        return self.indicators is not None and not others

    def require_counts(self) -> None:
        """Raise StudyError where the study holds nothing that follows customers through a flow."""
        if self.indicators_only:
            msg = (
                f"study {self.name!r} has indicators only; add events with a flow, counts or "
                "outcomes to count steps and test hypotheses"
            )
            raise StudyError(msg)

    def known_step(self, name: str) -> str:
        """Give back the name of a step; raise StudyError for any other."""
        if name not in self.steps:
            raise StudyError(unknown_name("step", name, self.steps))
        return name

    def contradictions(self) -> Iterator[Contradiction]:
        """Name what breaks a rule that more than one part of the file makes, and where."""
        yield from self._of_data()
        yield from self._of_iterations()
        yield from self._of_outlook()
        known = {each.name for each in self.iterations}
        seen = set()
        for place, claim in enumerate(self.hypotheses):
            here = ("hypotheses", place)
            if (claim.name, claim.version) in seen:
                said = f"version {claim.version} of hypothesis {claim.name!r} is there twice"
                yield (*here, "name"), f"{said}; a change makes a new version"
            seen.add((claim.name, claim.version))
            if claim.metric not in self.metrics:
                yield (*here, "metric"), unknown_name("metric", claim.metric, self.metrics)
            if claim.iteration not in known:
                yield (*here, "iteration"), unknown_name("iteration", claim.iteration, known)
            for guard, each in enumerate(claim.guardrails):
                if each.metric not in self.metrics:
                    said = unknown_name("metric", each.metric, self.metrics)
                    yield (*here, "guardrails", guard, "metric"), said
            if claim.analysis == "anytime" and self.events is None:
                yield (*here, "analysis"), ANYTIME
            treatments = (claim.treatment, *claim.other_treatments)
            for role, cohort in (
                ("control", claim.control),
                *(("treatment", each) for each in treatments),
            ):
                yield from self._of_cohort((*here, role), cohort, known)

    def _of_data(self) -> Iterator[Contradiction]:
        given = [name for name in ("events", "counts", "outcomes") if getattr(self, name)]
        if "iteration" in self.groupings:
            yield ("groupings", "iteration"), "iteration is no grouping column; rename the column"
        if self.indicators is not None:
            events = self.events is not None
            yield from self.indicators.contradictions(self.steps, events=events)
        if self.indicators_only:
            return  # a flow there is the journey that indicators have their places on
        if len(given) != 1:
            has = " and ".join(given) if given else "none"
            yield (
                (given or ["name"])[-1:],
                (  # type: ignore[misc]
                    f"the data are events, counts or outcomes, one of them; this study has {has}"
                ),
            )
        elif given == ["events"] and self.flow is None:
            yield ("events",), "events need a flow; add its trigger and steps"
        elif given != ["events"] and self.flow is not None:
            yield (
                ("flow",),
                f"a flow is for events; {given[0]} name their own steps, so leave it out",
            )
        elif given == ["outcomes"] and self.customers is None:
            yield ("outcomes",), "outcomes are columns of the customers table; add customers"
        elif given == ["counts"] and self.customers is not None:
            yield ("customers",), "counts know no single customer; leave customers out"

    def _of_outlook(self) -> Iterator[Contradiction]:
        yield from self._of_innovation()
        if self.strategy is not None:
            yield from self.strategy.contradictions(self.iterations, self.metrics)
        names = [each.name for each in self.ideas] + [each.name for each in self.hypotheses]
        for place, idea in enumerate(self.ideas):
            here = ("ideas", place)
            if names.count(idea.name) > 1 and names.index(idea.name) == place:
                said = f"{idea.name!r} is the name of another idea or hypothesis; give each its own"
                yield (*here, "name"), said
            if idea.metric is not None and idea.metric not in self.metrics:
                yield (*here, "metric"), unknown_name("metric", idea.metric, self.metrics)
        for part in ("hypotheses", "ideas"):
            for place, claim in enumerate(getattr(self, part)):
                if claim.evidence and self.feedback is None:
                    said = "evidence names remarks, but the study names no feedback; add feedback"
                    yield (part, place, "evidence"), said

    def _of_innovation(self) -> Iterator[Contradiction]:
        if self.innovation is None:
            return
        for target, there, missing in (
            ("adoption_rate", self.flow and self.flow.follows_return, "return_window"),
            ("outcome_rate", self.flow and self.flow.outcome, "outcome"),
        ):
            if getattr(self.innovation, target) is not None and not there:
                said = f"{target} is set, but the flow has no {missing}; add it, or leave it out"
                yield ("innovation", target), said

    def _of_iterations(self) -> Iterator[Contradiction]:
        if not self.iterations and not self.indicators_only:
            yield ("iterations",), "there are no iterations; add at least one"
        dated = self.events is not None or (self.counts is not None and self.counts.time)
        for place, each in enumerate(self.iterations):
            if dated and each.start is None:
                said = f"iteration {each.name!r} has no start and end; data with times need both"
                yield ("iterations", place), said
                return
        apart = dated or (self.counts is not None and self.counts.iteration is not None)
        if len(self.iterations) > 1 and not apart:
            what = "counts need a time or iteration column" if self.counts else "outcomes have one"
            yield ("iterations", 1), f"there are several iterations, but {what}"
        for place, each in enumerate(self.iterations):
            if each.allocation and "experiment" not in self.groupings.values():
                said = (
                    f"iteration {each.name!r} has an allocation, but no grouping is an experiment"
                )
                yield ("iterations", place, "allocation"), said
        try:
            in_order(self.iterations, ZoneInfo(self.timezone))
        except StudyError as error:
            yield ("iterations",), str(error)

    def _of_cohort(
        self, place: tuple[str | int, ...], cohort: Cohort, iterations: set[str]
    ) -> Iterator[Contradiction]:
        for column in cohort.columns:
            if column not in self.groupings:
                allowed = [*self.groupings, "iteration"]
                yield (*place, column), unknown_name("grouping", column, allowed)
        if cohort.iteration is not None and cohort.iteration not in iterations:
            said = unknown_name("iteration", cohort.iteration, iterations)
            yield (*place, "iteration"), said


def read_study(path: Path) -> StudySpec:
    """Read a study file, not its data; raise StudyError, with file and line, for a broken rule."""
    spec, document = read_document(path, StudySpec)
    for place, said in spec.contradictions():
        raise StudyError(f"{document.at(*place)}: {said}")
    return spec
