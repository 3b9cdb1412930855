"""The customer flow: a trigger, the solution's steps in order, the customer's need met."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from workbench.errors import StudyError, unknown_name
from workbench.specs import Duration, Name, Names, Spec


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
    """A customer flow: who enters it, which steps lead to the need met, and how soon.

    `window` is the elapsed time that a customer has from the trigger; None means until the end
    of the log.

    >>> flow = Flow(trigger="opened", steps=["previewed", {"imported": ["done", "auto"]}])
    >>> flow.step("imported").events, flow.need_met
    (('done', 'auto'), 'imported')
    """

    trigger: Names
    steps: tuple[Step, ...]
    need_met: Name = Field(default_factory=_last_step)
    window: Duration | None = None

    @field_validator("steps", mode="before")
    @classmethod
    def _in_order(cls, steps: Any) -> Any:
        if isinstance(steps, dict):
            return [{name: events} for name, events in steps.items()]
        return steps

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
    def events(self) -> tuple[str, ...]:
        """Every event name of the flow, the trigger's first, each once."""
        every = (*self.trigger, *(name for step in self.steps for name in step.events))
        return tuple(dict.fromkeys(every))

    @property
    def shares_events(self) -> bool:
        """Whether one event name counts for two places of the flow."""
        places = [self.trigger, *(step.events for step in self.steps)]
        return sum(len(set(place)) for place in places) > len(self.events)
