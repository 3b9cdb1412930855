"""The customer flow: trigger, the solution's steps in order, need met, adoption, outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from workbench.errors import StudyError, unknown_name
from workbench.schema.base import DURATION, Duration, Name, Names, Spec, duration
from workbench.schema.conditions import Condition

ADOPTION = "adoption"
UNLIMITED = "unlimited"
MARK, NOWHERE = "\x1f", "(nowhere)"
RESERVED = (ADOPTION, "both", "need met")  # what is counted beside steps and outcome


def _limit(value: object) -> object:
    """Read a duration, or the word for none."""
    return value if value == UNLIMITED else duration(value)


ReturnWindow = Annotated[
    timedelta | Literal["unlimited"],
    BeforeValidator(_limit),
    WithJsonSchema({"type": "string", "pattern": f"^({DURATION}|{UNLIMITED})$"}),
]


class Step(Spec):
    """A step of the solution: its name, and the events of which any one counts as taking it.

    A study file writes `imported`, `imported: import_completed`, `imported: [done, auto]` or
    `imported: {event: import_completed, where: {status: ok}}`.
    """

    name: Name
    """The step's name, which tables and hypotheses use."""
    events: Names
    """One event name, or several of which any one counts as taking the step."""
    where: Mapping[str, Condition] = {}
    """What rows of these events must hold to count, such as `{status: ok}`. All count without it."""

    def __hash__(self) -> int:
        """Return what equal steps share, so that paths can be kept by their flow."""
        return hash((self.name, self.events))

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "events": value}
        if isinstance(value, dict) and len(value) == 1:
            ((name, events),) = value.items()
            if isinstance(events, dict):
                own = {"events" if key == "event" else key: each for key, each in events.items()}
                return {"name": name, **own}
            return {"name": name, "events": events}
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        events, where = (schema["properties"][name] for name in ("events", "where"))
        conditional = {
            "type": "object",
            "properties": {"event": events, "where": where},
            "additionalProperties": False,
        }
        named = {
            "type": "object",
            "additionalProperties": {"title": "Events", "anyOf": [events, conditional]},
            "minProperties": 1,
            "maxProperties": 1,
        }
        given = {key: schema.pop(key) for key in ("title", "description")}
        return {**given, "anyOf": [{"type": "string", "minLength": 1}, named, schema]}

    @field_validator("events")
    @classmethod
    def _some_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        if not events:
            msg = "the step names no event; give one name, or several of which any counts"
            raise ValueError(msg)
        return tuple(dict.fromkeys(events))


def _last_step(flow: dict[str, Any]) -> str:
    steps = flow.get("steps") or ()
    return steps[-1].name if steps else ""


class Flow(Spec):
    """A customer flow: the trigger, the steps to the need met, and what is followed after it.

    Attributes:
        trigger: The events of which any one makes a customer enter the flow.
        steps: The steps in order, each with its events; text or a mapping makes a `Step`.
        need_met: The name of the last step.
        window: The time from the trigger to take the steps; None is until the end of the log.
        return_window: The time from the next trigger after the need was met to the return to the
            first step, or "unlimited"; None does not follow adoption.
        adoption_window: The time from the first trigger within which a customer adopts, for
            hypotheses about adoption.
        outcome: The business outcome and its events, if it is followed.
        outcome_window: The time from the trigger to the outcome; None is until the end of the log.
        exits: Events by which a customer visibly leaves; who has one before the need is met has
            deviated then.
        entrants: "all", or "new" to leave out customers who entered an earlier iteration.

    Raises:
        pydantic.ValidationError: The parts contradict each other; the error says how.

    >>> flow = Flow(trigger="opened", steps=["previewed", {"imported": ["done", "auto"]}],
    ...             return_window="30d", outcome={"renewed": "subscription_renewed"})
    >>> flow.step("imported").events, flow.need_met
    (('done', 'auto'), 'imported')
    >>> flow.metrics
    ('previewed', 'imported', 'adoption', 'renewed')
    """

    trigger: Names
    """The event by which a customer enters the flow; one name, or several of which any counts."""
    steps: tuple[Step, ...]
    """The steps of the solution in their order, each with its events."""
    need_met: Name = Field(default_factory=_last_step)
    """The step that meets the customer's need. It is the last step, so it need not be given."""
    window: Duration | None = None
    """The time that a customer has from the trigger for all steps, such as 7d, 36h, 90m or
    90s. Without it, customers have until the end of the log."""
    return_window: ReturnWindow | None = None
    """The time that a customer has, from the next trigger after the need was met, to take the first
    step again, such as 30d, or `unlimited`. Without it, adoption is not counted."""
    adoption_window: Duration | None = None
    """The time from the first trigger within which a customer must adopt, such as 60d: hypotheses
    about adoption count all who entered, those without an opportunity too. Without it, it is the
    `window`, the `return_window` and the time in which four in five opportunities came in earlier
    iterations."""
    outcome: Step | None = None
    """The business outcome: a name and its event, such as `renewed: subscription_renewed`. Without
    it, none is counted."""
    outcome_window: Duration | None = None
    """The time that a customer has from the trigger to the outcome, such as 8w. Without it, until
    the end of the log."""
    exits: Names = ()
    """Events by which a customer visibly leaves, such as `cancelled_import`: who has one before the
    need is met deviates then, not only when the window is over. Without any, nobody does."""
    entrants: Literal["all", "new"] = "all"
    """Who enters an iteration: `all` who meet the trigger in it, or the `new` ones alone, who
    entered no earlier iteration of the study."""

    @field_validator(
        "steps", mode="before", json_schema_input_type=tuple[Step, ...] | dict[str, Names]
    )
    @classmethod
    def _in_order(cls, steps: Any) -> Any:
        if isinstance(steps, dict):
            return [{name: events} for name, events in steps.items()]
        return steps

    @field_validator("trigger")
    @classmethod
    def _each_once(cls, trigger: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(trigger))

    @field_validator("need_met", mode="before")
    @classmethod
    def _one_need(cls, need_met: Any) -> Any:
        if isinstance(need_met, list | tuple | dict):
            msg = (
                f"{len(need_met)} end points are named; a flow has one need met, its last step, "
                "and at most one outcome besides"
            )
            raise ValueError(msg)  # noqa: TRY004 - pydantic turns ValueError into its own error
        return need_met

    @field_validator("outcome", mode="before")
    @classmethod
    def _one_outcome(cls, outcome: Any) -> Any:
        several = isinstance(outcome, list | tuple) or (
            isinstance(outcome, dict) and not {"name", "events"} <= {*outcome}
        )
        if several and len(outcome) > 1:
            names = [next(iter(each)) if isinstance(each, dict) else each for each in outcome]
            msg = (
                f"{len(names)} outcomes are named ({', '.join(map(str, names))}); a flow has at "
                "most two end points, its need met and one outcome, so keep one"
            )
            raise ValueError(msg)
        return outcome[0] if isinstance(outcome, list | tuple) and outcome else outcome

    @model_validator(mode="after")
    def _ends_agree(self) -> Self:
        if self.outcome is None and self.outcome_window is not None:
            msg = (
                "outcome_window is given but no outcome; name the outcome's event, or leave it out"
            )
            raise ValueError(msg)
        taken = [*self.names, *RESERVED]
        if self.outcome is not None and self.outcome.name in taken:
            msg = f"the outcome is called {self.outcome.name!r}, as something else is; rename it"
            raise ValueError(msg)
        if both := [name for name in self.exits if name in self.events]:
            msg = f"{both[0]!r} is an exit and an event of the path; an exit must be another event"
            raise ValueError(msg)
        if self.exits and self.trigger_meets_need:
            msg = "exits are given, but the trigger meets the need, so nobody can leave; leave them out"
            raise ValueError(msg)
        if self.follows_return and ADOPTION in self.names:
            msg = f"a step is called {ADOPTION!r}, the name of what return_window counts; rename it"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if not self.steps:
            msg = "the flow has no step; name at least one after the trigger"
            raise ValueError(msg)
        known = [step.name for step in self.steps]
        for name in known:
            if known.count(name) > 1:
                msg = f"two steps are called {name!r}; give each step a name of its own"
                raise ValueError(msg)
        if self.need_met not in known:
            raise ValueError(unknown_name("need_met", self.need_met, known))
        if self.need_met != known[-1]:
            msg = f"need_met is {self.need_met!r}; it must be the last step, {known[-1]!r}"
            raise ValueError(msg)
        return self

    def step(self, name: str) -> Step:
        """Return the step of that name; raise StudyError for an unknown one."""
        for step in self.steps:
            if step.name == name:
                return step
        raise StudyError(unknown_name("step", name, self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """The steps' names, in the flow's order."""
        return tuple(step.name for step in self.steps)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what is counted: the steps, then adoption and the outcome, if followed."""
        return (*self.names, *self.ends)

    @property
    def ends(self) -> tuple[str, ...]:
        """The metrics beyond the need met: adoption, and the outcome's name, if followed."""
        adoption = (ADOPTION,) if self.follows_return else ()
        return adoption if self.outcome is None else (*adoption, self.outcome.name)

    @property
    def follows_return(self) -> bool:
        """Whether adoption is followed: the return of customers whose need was met."""
        return self.return_window is not None

    @property
    def return_limit(self) -> timedelta | None:
        """The time for a return; None is until the end of the log."""
        return self.return_window if isinstance(self.return_window, timedelta) else None

    @property
    def trigger_meets_need(self) -> bool:
        """Whether the only step has the trigger's events, and a return is followed.

        Purchases are an example: the first one is trigger and need met, the next one the return.
        """
        step, alone = self.steps[0], len(self.steps) == 1
        same = {*step.events} == {*self.trigger} and not step.where
        return alone and same and self.follows_return

    def window_of(self, metric: str) -> timedelta | None:
        """Return the window of a metric; None is until the end of the log."""
        if metric == ADOPTION and self.follows_return:
            return self.return_limit
        if self.outcome is not None and metric == self.outcome.name:
            return self.outcome_window
        return self.window

    def decided_within(self, metric: str) -> timedelta | None:
        """Return the time from the first trigger by which a hypothesis's metric is decided."""
        return self.adoption_window if metric == ADOPTION else self.window_of(metric)

    def within(self, window: timedelta, metric: str = "") -> Flow:
        """Return the flow with another window for a metric; all steps share one window."""
        name = "window"
        if metric in self.ends:
            name = "adoption_window" if metric == ADOPTION else "outcome_window"
        return self.model_copy(update={name: window})

    @property
    def events(self) -> tuple[str, ...]:
        """Every event name of the trigger and the steps, the trigger's first, each once."""
        every = (*self.trigger, *(name for step in self.steps for name in step.events))
        return tuple(dict.fromkeys(every))

    @property
    def every_event(self) -> tuple[str, ...]:
        """Every event name of the flow, the outcome's and the exits too, each once."""
        outcome = self.outcome.events if self.outcome else ()
        return tuple(dict.fromkeys((*self.events, *outcome, *self.exits)))

    @property
    def conditional(self) -> tuple[Step, ...]:
        """The steps, and the outcome, that take some rows of their events only."""
        every = (*self.steps, self.outcome) if self.outcome else self.steps
        return tuple(each for each in every if each.where)

    def marked(self, names: Collection[str]) -> Flow:
        """Return the flow over event names that carry the marks of the steps whose rows they are.

        A row that meets the conditions of the steps a and b has the name `event MARK a MARK b`; each
        place of the flow takes the names among `names` that are for it.
        """
        marks = {name: (name.split(MARK)[0], {*name.split(MARK)[1:]}) for name in sorted(names)}

        def taken(events: Sequence[str], step: Step | None = None) -> tuple[str, ...]:
            wanted = step.name if step is not None and step.where else None
            found = [
                name
                for event in events
                for name, (plain, met) in marks.items()
                if plain == event and (wanted is None or wanted in met)
            ]
            return tuple(found) or (MARK.join([events[0], NOWHERE]),)

        def over(step: Step) -> Step:
            return step.model_copy(update={"events": taken(step.events, step)})

        return self.model_copy(
            update={
                "trigger": taken(self.trigger),
                "steps": tuple(over(step) for step in self.steps),
                "outcome": None if self.outcome is None else over(self.outcome),
                "exits": taken(self.exits) if self.exits else (),
            }
        )

    @property
    def shared_events(self) -> tuple[str, ...]:
        """The event names that count for several places of the flow, which may not share a row."""
        steps = () if self.trigger_meets_need else self.steps
        places = [self.trigger, *(step.events for step in steps)]
        if self.outcome is not None:
            places.append(self.outcome.events)
        return tuple(
            name for name in self.every_event if sum(name in place for place in places) > 1
        )
