"""One study read at one iteration: how a template begins and how it ends."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.display import Column, Table
from workbench.errors import StudyError, unknown_name
from workbench.views.verdicts import Cover

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.planning import Plan
    from workbench.experiments.verdict import Evaluation
    from workbench.study import Study

RESULT = "application/vnd.workbench.result+json"
BUNDLED = "studies/guided-import/study.yaml"
METHODS = {
    "exact": "exact unconditional (Barnard), score statistic",
    "score": "score (Miettinen-Nurminen)",
}
PACKAGES = ("workbench", "numpy", "scipy", "pandas", "narwhals", "duckdb", "matplotlib")


@dataclass(frozen=True)
class Reading:
    """A study, and where a report reads it: the iteration, and the time as of which.

    `record` says whether a look at its hypotheses goes into the study's ledger, `kind` what sort of
    report it is.
    """

    study: Study
    iteration: str
    as_of: str | None = None
    record: bool = False
    kind: str = "Hypothesis report"

    @property
    def at(self) -> dict[str, Any]:
        """The arguments that the verbs of a study take: `study.evaluate(**reading.at)`."""
        return {"iteration": self.iteration, "as_of": self.as_of}

    @property
    def by(self) -> list[str]:
        """The grouping column that tells the compared cohorts apart, if there is one."""
        spec = self.study.spec
        tested = [each for each in spec.hypotheses if each.iteration == self.iteration]
        named = [column for each in tested for column in each.treatment.columns]
        experiments = [column for column, kind in spec.groupings.items() if kind == "experiment"]
        return [*named, *experiments][:1]

    @property
    def seen(self) -> datetime | None:
        """The time up to which the data are read; None for data without times."""
        return self.study.newest(self.as_of)

    def evaluate(self) -> list[Evaluation]:
        """Evaluate the iteration's hypotheses, and put the looks on record if that is wanted."""
        return self.study.evaluate(**self.at, record=self.record)

    def effects(self) -> pd.DataFrame:
        """The effects within the levels of each grouping, of every hypothesis tested here.

        The columns are those of `study.effects`, and the hypothesis, its alternative, and its minimum
        effect with its sign.
        """
        return self._of_hypotheses(self.study.effects)

    def pooled(self) -> pd.DataFrame:
        """The effects pooled over the levels of each grouping, of every hypothesis tested here."""
        return self._of_hypotheses(self.study.pooled)

    def story(self) -> pd.DataFrame:
        """The hypotheses tested here through their versions, up to this iteration."""
        from workbench.experiments.history import chronicle

        spec = self.study.spec
        names = [each.name for each in spec.iterations]
        known = spec.claims(names[: names.index(self.iteration) + 1])
        tested = {each.name for each in known if each.iteration == self.iteration}
        return chronicle([each for each in known if each.name in tested], self.study.history())

    def design(self, hypothesis: str = "", customers: int = 0) -> Plan:
        """Plan a test of a hypothesis, or of the first that the iteration tests.

        `customers` per cohort can be had; 0 takes as many as entered the newest iteration.
        """
        tested = self.study.spec.claims([self.iteration])
        if not hypothesis and not tested:
            said = f"iteration {self.iteration} tests no hypothesis; name the one to plan for"
            raise StudyError(said)
        return self.study.design(hypothesis or tested[0].name, customers or None, self.as_of)

    def planned(self, plan: Plan) -> Result:
        """End a plan, as `finish` ends a report."""
        spec = self.study.spec
        content = {
            "study": {"name": spec.name, "title": spec.title or spec.name},
            "iteration": self.iteration,
            "as_of": self.seen,
            "hypothesis": plan.hypothesis.name,
            "sentence": plan.sentence,
            "plan": plan.table.to_dict("records"),
            "power": plan.curve.to_dict("records"),
            "versions": versions(),
        }
        made = Table("Methods", (), (), "", f"Made with {_made()}.")
        return Result(plain(content), made)

    def _of_hypotheses(self, verb: Callable[..., pd.DataFrame]) -> pd.DataFrame:
        """Ask a verb of a study about every hypothesis tested here, as one table."""
        import pandas as pd

        tested = [each for each in self.study.spec.hypotheses if each.iteration == self.iteration]
        frames = [
            verb(hypothesis=each.name, **self.at).assign(
                hypothesis=each.name, minimum_effect=each.towards(), alternative=each.alternative
            )
            for each in tested
        ]
        found = [each for each in frames if len(each)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def finish(
        self, *, evaluations: Iterable[Evaluation], metrics: pd.DataFrame, quality: pd.DataFrame
    ) -> Result:
        """End a report: its method and versions for a reader, all of its numbers for a machine.

        This is the mark by which `reports.publish` knows that a report is whole, so it belongs
        into the last cell of a template.
        """
        content = {"learning_metrics": metrics.to_dict("records")}
        return self.close(evaluations, content | {"quality": quality.to_dict("records")})

    def close(self, evaluations: Iterable[Evaluation], content: Mapping[str, object]) -> Result:
        """End a report whose numbers are not those of `finish`: its verdicts, and its `content`."""
        found = tuple(evaluations)
        spec = self.study.spec
        whole = {
            "study": {"name": spec.name, "title": spec.title or spec.name},
            "iteration": self.iteration,
            "as_of": self.seen,
            "evaluations": [each.row() for each in found],
            **content,
            "versions": versions(),
        }
        return Result(plain(whole), _methods(found))

    def cover(self) -> Cover:
        """The title of the report, what it reports on, and the note of the study."""
        spec = self.study.spec
        here = next(each for each in spec.iterations if each.name == self.iteration)
        facts = (f"Iteration {here.name}", *_period(here.start, here.end), *_seen(self.seen))
        return Cover(spec.title or spec.name, facts, spec.note, self.kind)

    def __repr__(self) -> str:
        """Write the cover of the report."""
        return repr(self.cover())

    def _repr_html_(self) -> str:
        return self.cover()._repr_html_()


@dataclass(frozen=True)
class Result:
    """The end of a report: its method for a reader, and its numbers as plain values."""

    content: dict[str, Any]
    methods: Table

    def __repr__(self) -> str:
        """Write the methods."""
        return repr(self.methods)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            RESULT: self.content,
            "text/html": self.methods._repr_html_(),
            "text/plain": repr(self),
        }


def begin(
    *,
    study: str | Path = "",
    iteration: object,
    as_of: object = "",
    record: bool = False,
    kind: str = "Hypothesis report",
) -> Reading:
    """Open the study of a template; what papermill's command line made of its values is undone.

    `-p iteration 2026.1` arrives as a number. It is taken for the iteration of that name, unless
    two iterations look alike as numbers (2026.1 and 2026.10). An empty `study` is the one that
    comes with the workbench, an empty `as_of` the newest event.
    """
    from workbench.study import Study

    opened = Study.load(study or bundled_study())
    names = [each.name for each in opened.spec.iterations]
    return Reading(opened, chosen_iteration(iteration, names), str(as_of) or None, record, kind)


def bundled_study() -> Path:
    """Find the study that comes with the workbench."""
    path = Path(__file__).resolve().parents[2] / BUNDLED
    if not path.is_file():
        raise StudyError("no study was named; give the path to a study.yaml")
    return path


def chosen_iteration(iteration: object, names: Iterable[str]) -> str:
    """Give the name of the iteration that is meant.

    >>> chosen_iteration(2026.2, ["2026.1", "2026.2"])
    '2026.2'
    >>> chosen_iteration(2026.1, ["2026.1", "2026.10"])
    Traceback (most recent call last):
    workbench.errors.StudyError: iteration 2026.1 arrived as a number, which may mean '2026.1' \
or '2026.10'; hand it over as text: papermill -r iteration NAME
    """
    names = list(names)
    if isinstance(iteration, int | float):
        alike = [name for name in names if _number(name) == iteration]
        if len(alike) > 1:
            meant = " or ".join(f"'{name}'" for name in alike)
            raise StudyError(
                f"iteration {iteration} arrived as a number, which may mean {meant}; "
                "hand it over as text: papermill -r iteration NAME"
            )
        iteration = alike[0] if alike else iteration
    if iteration not in names:
        raise StudyError(unknown_name("iteration", iteration, names))
    return str(iteration)


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def plain(value: object) -> Any:
    """Turn a value into what JSON can hold; what is undefined becomes null.

    >>> plain({"rate": float("nan"), "window": timedelta(days=7), "at": (date(2026, 1, 5),)})
    {'rate': None, 'window': 604800.0, 'at': ['2026-01-05']}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return _plain_value(value)


def _plain_value(value: object) -> str | float | bool | None:
    if isinstance(value, Enum):
        value = value.value
    item = getattr(value, "item", None)
    if callable(item):
        value = item()
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if value is None or value != value:  # noqa: PLR0124 - so are NaN and NaT
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | bool | int):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def _methods(evaluations: Iterable[Evaluation]) -> Table:
    rows = [
        (
            each.hypothesis.name,
            METHODS.get(each.comparison.test, each.comparison.test),
            METHODS.get(each.comparison.interval, each.comparison.interval),
            each.hypothesis.alternative,
            f"{each.hypothesis.alpha:g}",
        )
        for each in evaluations
    ]
    columns = tuple(map(Column, ("hypothesis", "test", "interval", "alternative", "alpha")))
    note = f"Made with {_made()}."
    return Table("Methods", columns, tuple(rows), note, f"No hypothesis was tested. {note}")


def _made() -> str:
    return ", ".join(f"{name} {number}" for name, number in versions().items())


def _seen(seen: datetime | None) -> tuple[str, ...]:
    return () if seen is None else (f"Data to {_day(seen)}",)


def _period(start: date | None, end: date | None) -> tuple[str, ...]:
    """Name the first and the last day; an iteration's end is not part of it."""
    if start is None or end is None:
        return ()
    if not isinstance(end, datetime):
        end -= timedelta(days=1)
    return (f"{_day(start)} to {_day(end)}",)


def _day(day: date) -> str:
    written = f"{day.day} {day:%B %Y}"
    if isinstance(day, datetime) and day.time() != time():
        written += f", {day:%H:%M %Z}".rstrip()
    return written


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None
