"""The customer flow: trigger, the solution's steps in order, need met, adoption, outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from workbench.errors import StudyError, unknown_name
from workbench.schema.base import Duration, Name, Names, Spec, duration

ADOPTION = "adoption"
UNLIMITED = "unlimited"
RESERVED = (ADOPTION, "both", "need met")  # what is counted beside steps and outcome


def _limit(value: object) -> object:
    """Read a duration, or the word for none."""
    return value if value == UNLIMITED else duration(value)


ReturnWindow = Annotated[timedelta | Literal["unlimited"], BeforeValidator(_limit)]


class Step(Spec):
    """A solution step: its name, and the events of which any one counts as taking it."""

    name: Name
    events: Names

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        """Accept `imported`, `{imported: import_completed}` and `{imported: [a, b]}`."""
        if isinstance(value, str):
            return {"name": value, "events": value}
        if isinstance(value, dict) and len(value) == 1:
            ((name, events),) = value.items()
            return {"name": name, "events": events}
        return value

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
    """A customer flow: who enters it, which steps lead to the need met, and what comes of it.

    `window` is the elapsed time that a customer has from the trigger; None means until the end
    of the log. `return_window` is the time to return to the solution from the next trigger after
    the need was met, "unlimited" for until the end of the log; without it adoption is not
    followed. `outcome_window` is the time for the outcome, from the trigger as `window` is.

    >>> flow = Flow(trigger="opened", steps=["previewed", {"imported": ["done", "auto"]}],
    ...             return_window="30d", outcome={"renewed": "subscription_renewed"})
    >>> flow.step("imported").events, flow.need_met
    (('done', 'auto'), 'imported')
    >>> flow.metrics
    ('previewed', 'imported', 'adoption', 'renewed')
    """

    trigger: Names
    steps: tuple[Step, ...]
    need_met: Name = Field(default_factory=_last_step)
    window: Duration | None = None
    return_window: ReturnWindow | None = None
    outcome: Step | None = None
    outcome_window: Duration | None = None

    @field_validator("steps", mode="before")
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
            isinstance(outcome, dict) and {*outcome} != {"name", "events"}
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
        """Give the step of that name."""
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
        """The names of all that is counted: the steps, then adoption and the outcome, if followed."""
        return (*self.names, *self.ends)

    @property
    def ends(self) -> tuple[str, ...]:
        """The metrics beyond the need met: adoption, and the outcome's name, if followed."""
        adoption = (ADOPTION,) if self.follows_return else ()
        return adoption if self.outcome is None else (*adoption, self.outcome.name)

    @property
    def follows_return(self) -> bool:
        """Whether customers are followed beyond the need met, for their adoption."""
        return self.return_window is not None

    @property
    def return_limit(self) -> timedelta | None:
        """The time for a return; None is until the end of the log."""
        return self.return_window if isinstance(self.return_window, timedelta) else None

    @property
    def trigger_meets_need(self) -> bool:
        """Whether the trigger is the need met too: the only step is the trigger, and a return follows.

        So it is with purchases: the first one is both, and the next one is the return.
        """
        alone = len(self.steps) == 1 and {*self.steps[0].events} == {*self.trigger}
        return alone and self.follows_return

    def window_of(self, metric: str) -> timedelta | None:
        """Give the window that decides on a metric; None is until the end of the log."""
        if metric == ADOPTION and self.follows_return:
            return self.return_limit
        if self.outcome is not None and metric == self.outcome.name:
            return self.outcome_window
        return self.window

    def within(self, window: timedelta, metric: str = "") -> Flow:
        """Give the flow with another window for a metric, which for all steps is the same one."""
        name = "window"
        if metric in self.ends:
            name = "return_window" if metric == ADOPTION else "outcome_window"
        return self.model_copy(update={name: window})

    @property
    def events(self) -> tuple[str, ...]:
        """Every event name of the trigger and the steps, the trigger's first, each once."""
        every = (*self.trigger, *(name for step in self.steps for name in step.events))
        return tuple(dict.fromkeys(every))

    @property
    def every_event(self) -> tuple[str, ...]:
        """Every event name of the flow, the outcome's too, each once."""
        return tuple(dict.fromkeys((*self.events, *(self.outcome.events if self.outcome else ()))))

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
