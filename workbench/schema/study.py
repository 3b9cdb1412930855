"""The study file as a whole, and the rules that more than one part of it makes."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from workbench.errors import StudyError, unknown_name
from workbench.schema.base import (
    TAGS,
    Name,
    Names,
    Spec,
    TableSource,
    one_or_more,
    read_document,
)
from workbench.schema.cohort import Cohort, Grouping, GroupingKind
from workbench.schema.conditions import Condition
from workbench.schema.flow import Flow
from workbench.schema.hypothesis import Hypothesis, Idea, Problem
from workbench.schema.indicators import IndicatorsSource
from workbench.schema.learning import Learning
from workbench.schema.single_arm import SingleArmClaim
from workbench.schema.strategy import StrategySource, Targets
from workbench.schema.time import Iteration, TimeFormat, check_order, moment

NO_IDS = "none"
ANYTIME = (
    "an analysis at any time takes customers in their order of entry, and only events tell it; "
    "use analysis: fixed, or sequential with looks"
)
Contradiction = tuple[tuple[str | int, ...], str]


class CountsSource(TableSource):
    """A table of counts: one row a cohort (and day), one column a step."""

    trigger: Name
    """The column with the number of customers who entered."""
    steps: Mapping[str, Name]
    """The steps in order: each one's name, and the column with the customers who reached it. An
    empty cell says that they are not known yet."""
    time: Name | None = None
    """The column with the day or time of a row, which tells its iteration. Several iterations need
    it or `iteration`."""
    timezone: Name = "UTC"
    """The time zone of times that carry none, such as Europe/Amsterdam."""
    time_format: TimeFormat | None = None
    """How times are written, where that is not year first, as 2026-01-31 08:00: a format such as
    "%d/%m/%Y %H:%M", or epoch_s, epoch_ms, epoch_us or epoch_ns for numbers since 1970."""
    iteration: Name | None = None
    """The column with the iteration's name, where rows have no time."""


class CustomersSource(TableSource):
    """A table with one row a customer, or a visit."""

    customer: Name
    """The column with the customer's id, as in the events. Write `none` for a table of outcomes
    without ids, in which each row is a customer."""
    per: Literal["customer", "visit"] = "customer"
    """What a row of a table of outcomes is. Of a customer's visits, each outcome is yes if it is in
    any of them; a grouping with several values, unless it is an experiment, has the value
    `(several)`."""

    @property
    def plain(self) -> bool:
        """Whether the table has ids, and one row a customer."""
        return self.customer != NO_IDS and self.per == "customer"


class IdentitiesSource(TableSource):
    """A table of ids that stand for others, such as one before and one after a customer logs in."""

    old: Name = Field(default="from", alias="from")
    """The column with the ids that stand for others, such as anonymous_id."""
    new: Name = Field(default="to", alias="to")
    """The column with the ids that they stand for, such as customer_id."""


class PartnersSource(TableSource):
    """The customers who were asked to take part in the MVP, such as lead or design partners.

    A row is an invited customer, and only the column `customer` must be there: the others may be absent
    unless the study file names them. They hold yes or no; an empty cell is a no.
    """

    customer: Name = "customer"
    """The column with the customer's id, as in the events or the customers table."""
    invited: Name = "invited"
    """The yes/no column of who was invited. Without such a column everybody in the table was."""
    agreed: Name = "agreed"
    """The yes/no column of who agreed. Without such a column it is not known who did."""
    took_part: Name = "took_part"
    """The yes/no column of who took part. Without such a column, those who entered the flow
    did; outcomes need it."""


class FeedbackSource(TableSource):
    """A table of feedback, one remark a row.

    Its columns are id, date, source, theme and sentiment, and, where they are known, customer or
    cohort (such as `industry = retail`), step and quote. An observation, such as what people search
    for, may be nobody's, and have a `count`.
    """

    sources: Names = ()
    """Sources of your own, such as `[community forum]`, beside those that the workbench knows."""
    strong: int = Field(default=3, ge=1)
    """How many customers make a theme a strong one."""
    quotes: bool = False
    """Whether results show customers' ids and what they said word for word."""
    time_format: TimeFormat | None = None
    """How dates are written, where that is not year first, as 2026-01-31 08:00: a format such as
    "%d/%m/%Y %H:%M", or epoch_s, epoch_ms, epoch_us or epoch_ns for numbers since 1970."""


class EventsSource(TableSource):
    """An event log, one event a row, and which column is what."""

    customer: Name
    """The column with the customer's id."""
    event: Name | None = None
    """The column with the event's name. A table of one event has `event_name` in its place."""
    event_name: Name | None = None
    """The event that every row of the table is, where no column tells."""
    time: Name
    """The column with the event's time."""
    timezone: Name = "UTC"
    """The time zone of times that carry none, and of dates in this file: Europe/Amsterdam, say."""
    time_format: TimeFormat | None = None
    """How times are written, where that is not year first, as 2026-01-31 08:00: a format such as
    "%d/%m/%Y %H:%M", or epoch_s, epoch_ms, epoch_us or epoch_ns for numbers since 1970."""
    through: datetime | date | None = None
    """Up to when the log is complete; its newest event without it. Windows that end later are open."""
    where: Mapping[str, Condition] = {}
    """What rows must hold to be read, by column: a value, a list, `{not: [test, bot]}`, or
    `{from: 10, to: 50}`, such as `{platform: web}`. All rows are read without it."""

    @field_validator("through", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        return moment(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if (self.event is None) == (self.event_name is None):
            msg = (
                f"{self.source} needs event, the column with the event's name, or event_name, the "
                "event that every row is; give one of them"
            )
            raise ValueError(msg)
        return self

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            msg = f"unknown time zone {name!r}; write it as UTC or Europe/Amsterdam"
            raise ValueError(msg) from None
        return name


def _kind(value: Any) -> str:
    """Tell a single-arm claim from a hypothesis with a control."""
    single = "target" in value if isinstance(value, Mapping) else isinstance(value, SingleArmClaim)
    return TAGS[single]


Stated = Annotated[
    Annotated[Hypothesis, Tag(TAGS[0])] | Annotated[SingleArmClaim, Tag(TAGS[1])],
    Discriminator(_kind),
]


class StudySpec(Spec):
    """A study file: one innovation effort's data, flow, iterations and hypotheses.

    The data are `events`, `counts` or `outcomes`, one of them. A study of indicators alone needs
    none, and no iterations.
    """

    name: Name
    """The study's short name, which the ledger keeps its records under."""
    title: str = ""
    """The title of reports. If not given, the name."""
    note: str = ""
    """What every reader of a report must know, such as that the data are simulated. Reports show it
    below the title."""
    events: Annotated[
        tuple[EventsSource, ...],
        BeforeValidator(
            one_or_more, json_schema_input_type=EventsSource | tuple[EventsSource, ...]
        ),
    ] = ()
    """The event log, or a list of several tables that make it up, each with its own columns. It
    needs a `flow`."""
    counts: CountsSource | None = None
    """Customers who are already counted per cohort and step, in place of events."""
    customers: CustomersSource | None = None
    """A table with one row a customer, for groupings and outcomes."""
    identities: IdentitiesSource | None = None
    """Ids that stand for others, wherever customers are named: one person before and after they log
    in. Chains are followed; an id that stands for two customers is left alone, and named."""
    partners: PartnersSource | None = None
    """The customers who were invited to take part and those who did, to see for whom results
    speak."""
    outcomes: Mapping[str, Name] = {}
    """Yes/no columns of the customers table, in place of events: each outcome's name and its
    column."""
    groupings: Mapping[str, Grouping] = {}
    """The columns, of customers or of events, that tell cohorts apart, each with its kind:
    `experiment`, `focus group`, `segment`, `vertical` or `demographic`."""
    flow: Flow | None = None
    """The customer flow, from the trigger through the steps to the need met. It is for events."""
    indicators: IndicatorsSource | None = None
    """Leading and lagging indicators."""
    iterations: tuple[Iteration, ...] = ()
    """The iterations in their order, at least one unless the study has indicators alone."""
    stated: tuple[Stated, ...] = Field(default=(), alias="hypotheses")
    """The hypotheses, each version of one apart. One with a `target` in place of a control is a
    single-arm claim."""
    problems: tuple[Problem, ...] = ()
    """The customer problems that hypotheses and ideas try to solve; each of those names its
    `problem`."""
    ideas: tuple[Idea, ...] = ()
    """Ideas for the backlog that are not hypotheses yet."""
    learning: Learning = Field(default={}, validate_default=True)
    """What an answer tells, by method of learning, such as `{interview: {yes_if_true: 0.8}}`."""
    feedback: FeedbackSource | None = None
    """What customers said."""
    innovation: Targets | None = None
    """The scale at which the team calls it innovation. Without it, nothing has a target."""
    strategy: StrategySource | None = None
    """Strategic metrics of the business."""
    discovery_horizon: int = Field(default=12, ge=1)
    """How many hypotheses the study will test in a year or so. A discovery stands among so many; the
    ledger freezes the number with its first record."""
    ledger: Name = "ledger.db"
    """Where looks and verdicts are recorded: a file, relative to the study file, or the URL of a
    database that a team shares."""

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The hypotheses that compare two cohorts."""
        return tuple(each for each in self.stated if isinstance(each, Hypothesis))

    @property
    def single_arm_claims(self) -> tuple[SingleArmClaim, ...]:
        """The hypotheses that have a target in place of a control."""
        return tuple(each for each in self.stated if isinstance(each, SingleArmClaim))

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        if self.flow is not None:
            return self.flow.names
        return tuple(self.counts.steps if self.counts is not None else self.outcomes)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what is counted: the steps, then adoption and the outcome, if followed."""
        return self.steps if self.flow is None else self.flow.metrics

    def claims(self, iterations: Container[str]) -> tuple[Hypothesis, ...]:
        """Return the hypotheses of these iterations, once for each treatment."""
        tested = [each for each in self.hypotheses if each.iteration in iterations]
        return tuple(arm for each in tested for arm in each.arms)

    @property
    def timezone(self) -> str:
        """The zone of dates, and of times that carry none."""
        source = self.events[0] if self.events else self.counts
        return "UTC" if source is None else source.timezone

    @property
    def kinds(self) -> Mapping[str, GroupingKind]:
        """The kind of each grouping."""
        return {column: each.kind for column, each in self.groupings.items()}

    @property
    def indicators_only(self) -> bool:
        """Whether the study has indicators and no data to test hypotheses on."""
        others = self.events or self.counts or self.outcomes
        return self.indicators is not None and not others

    def require_counts(self) -> None:
        """Raise StudyError for a study of indicators alone, which counts no steps."""
        if self.indicators_only:
            msg = (
                f"study {self.name!r} has indicators only; add events with a flow, counts or "
                "outcomes to count steps and test hypotheses"
            )
            raise StudyError(msg)

    def known_step(self, name: str) -> str:
        """Return the name if it is a step's; raise StudyError for any other."""
        if name not in self.steps:
            raise StudyError(unknown_name("step", name, self.steps))
        return name

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield each broken rule that more than one part of the file makes: place and sentence."""
        yield from self._check_data()
        yield from self._check_partners()
        yield from self._check_iterations()
        yield from self._check_targets()
        if self.strategy is not None:
            yield from self.strategy.contradictions(self.iterations, self.metrics)
        yield from self._check_ideas()
        yield from self._check_hypotheses()
        yield from self._check_changes()

    def _check_hypotheses(self) -> Iterator[Contradiction]:
        known = {each.name for each in self.iterations}
        seen = set()
        for place, claim in enumerate(self.stated):
            here = ("hypotheses", place)
            if (claim.name, claim.version) in seen:
                said = f"version {claim.version} of hypothesis {claim.name!r} is there twice"
                yield (*here, "name"), f"{said}; a change makes a new version"
            seen.add((claim.name, claim.version))
            if claim.metric not in self.metrics:
                yield (*here, "metric"), unknown_name("metric", claim.metric, self.metrics)
            if claim.iteration not in known:
                yield (*here, "iteration"), unknown_name("iteration", claim.iteration, known)
            if isinstance(claim, SingleArmClaim):
                if claim.cohort is not None:
                    yield from self._check_cohort((*here, "cohort"), claim.cohort, known)
                continue
            if claim.analysis == "anytime" and not self.events:
                yield (*here, "analysis"), ANYTIME
            first = min(
                (each for each in self.hypotheses if each.name == claim.name),
                key=lambda each: each.version,
            )
            if claim.pool_versions and not first.pool_versions:
                said = (
                    f"version {first.version} of {claim.name!r} does not say so, and its word holds"
                )
                yield (*here, "pool_versions"), f"{said}; leave pool_versions out"
            yield from self._check_names(here, claim)
            yield from self._check_cohort((*here, "control"), claim.control, known)
            for treatment in (claim.treatment, *claim.other_treatments):
                yield from self._check_cohort((*here, "treatment"), treatment, known)

    def _check_names(
        self, here: tuple[str | int, ...], claim: Hypothesis
    ) -> Iterator[Contradiction]:
        for guard, each in enumerate(claim.guardrails):
            if each.metric not in self.metrics:
                said = unknown_name("metric", each.metric, self.metrics)
                yield (*here, "guardrails", guard, "metric"), said
        for name in claim.stratify:
            if name not in self.groupings:
                yield (*here, "stratify"), unknown_name("grouping", name, self.groupings)

    def _check_data(self) -> Iterator[Contradiction]:
        given = [name for name in ("events", "counts", "outcomes") if getattr(self, name)]
        if "iteration" in self.groupings:
            yield ("groupings", "iteration"), "iteration is no grouping column; rename the column"
        if self.indicators is not None:
            yield from self.indicators.contradictions(self.steps, events=bool(self.events))
        if self.indicators_only:
            return  # a flow there is the journey that indicators have their places on
        if len(given) != 1:
            has = " and ".join(given) if given else "none"
            said = f"the data are events, counts or outcomes, one of them; this study has {has}"
            yield (given[-1] if given else "name",), said
        elif given == ["events"] and self.flow is None:
            yield ("events",), "events need a flow; add its trigger and steps"
        elif given != ["events"] and self.flow is not None:
            said = f"a flow is for events; {given[0]} name their own steps, so leave it out"
            yield ("flow",), said
        elif given == ["outcomes"] and self.customers is None:
            yield ("outcomes",), "outcomes are columns of the customers table; add customers"
        elif given == ["counts"] and (self.customers or self.identities):
            part = "customers" if self.customers else "identities"
            yield (part,), f"counts know no single customer; leave {part} out"
        elif given == ["events"] and self.customers is not None and not self.customers.plain:
            said = (
                "rows without ids, and visits, are for outcomes; beside events, a customers table"
            )
            yield ("customers",), f"{said} has ids, and one row a customer"

    def _check_partners(self) -> Iterator[Contradiction]:
        if self.partners is None:
            return
        if self.counts or (self.customers and self.customers.customer == NO_IDS):
            rows = "counts" if self.counts else "rows without ids"
            yield ("partners",), f"{rows} know no single customer; leave partners out"
        elif not (self.events or self.outcomes):
            said = "partners need events or outcomes beside them; add those, or leave partners out"
            yield ("partners",), said

    def _check_ideas(self) -> Iterator[Contradiction]:
        names = [each.name for each in self.ideas] + [each.name for each in self.stated]
        for place, idea in enumerate(self.ideas):
            here = ("ideas", place)
            if names.count(idea.name) > 1 and names.index(idea.name) == place:
                said = f"{idea.name!r} is the name of another idea or hypothesis; give each its own"
                yield (*here, "name"), said
            if idea.metric is not None and idea.metric not in self.metrics:
                yield (*here, "metric"), unknown_name("metric", idea.metric, self.metrics)
        known = [each.name for each in self.problems]
        if twice := [name for name in known if known.count(name) > 1]:
            yield ("problems",), f"problem {twice[0]!r} is there twice; give each its own name"
        for part, claims in (("hypotheses", self.stated), ("ideas", self.ideas)):
            for place, claim in enumerate(claims):
                if claim.problem is not None and claim.problem not in known:
                    yield (part, place, "problem"), unknown_name("problem", claim.problem, known)
                if claim.evidence and self.feedback is None:
                    said = "evidence names remarks, but the study names no feedback; add feedback"
                    yield (part, place, "evidence"), said

    def _check_targets(self) -> Iterator[Contradiction]:
        yield from self._check_goals()
        if self.flow is not None and self.flow.adoption_window and not self.flow.follows_return:
            said = "adoption_window is given, but no return_window; give one, or leave it out"
            yield ("flow", "adoption_window"), said

    def _check_goals(self) -> Iterator[Contradiction]:
        if self.innovation is None:
            return
        for target, there, missing in (
            ("adoption_rate", self.flow and self.flow.follows_return, "return_window"),
            ("outcome_rate", self.flow and self.flow.outcome, "outcome"),
        ):
            if getattr(self.innovation, target) is not None and not there:
                said = f"{target} is set, but the flow has no {missing}; add it, or leave it out"
                yield ("innovation", target), said

    def _check_iterations(self) -> Iterator[Contradiction]:
        if not self.iterations and not self.indicators_only:
            yield ("iterations",), "there are no iterations; add at least one"
        dated = self.events or (self.counts is not None and self.counts.time)
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
            if each.allocation and "experiment" not in self.kinds.values():
                said = (
                    f"iteration {each.name!r} has an allocation, but no grouping is an experiment"
                )
                yield ("iterations", place, "allocation"), said
        try:
            check_order(self.iterations, ZoneInfo(self.timezone))
        except StudyError as error:
            yield ("iterations",), str(error)

    def _check_changes(self) -> Iterator[Contradiction]:
        for place, each in enumerate(self.iterations):
            for number, change in enumerate(each.changes):
                if change.step not in self.metrics:
                    here = ("iterations", place, "changes", number, "step")
                    yield here, unknown_name("step", change.step, self.metrics)

    def _check_cohort(
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
    """Read a study file, without its data.

    Raises StudyError, with file and line, for what breaks a rule.
    """
    spec, document = read_document(path, StudySpec)
    for place, said in spec.contradictions():
        raise StudyError(f"{document.at(*place)}: {said}")
    return spec
