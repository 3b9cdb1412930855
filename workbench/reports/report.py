"""What every kind of report has: how it begins, its cover, and the result it ends with."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from workbench import display
from workbench.display import Column, Table
from workbench.errors import StudyError, unknown_name
from workbench.schema.cohort import PARTICIPATION
from workbench.views.verdicts import Cover

if TYPE_CHECKING:
    from workbench.experiments.single_arm import SingleArmResult
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
class Result:
    """The end of a report: its methods for a reader, its numbers for a machine.

    `content` holds plain values only. The last cell of a template shows a result; by its media type
    `publish` knows that the report is complete.
    """

    content: dict[str, Any]
    methods: Table

    def __repr__(self) -> str:
        """Return the methods as text."""
        return repr(self.methods)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            RESULT: self.content,
            "text/html": self.methods._repr_html_(),
            "text/plain": repr(self),
        }


@dataclass(frozen=True, kw_only=True)
class Report(ABC):
    """A report on a study.

    Attributes:
        study: The study.
        as_of: The time up to which the data are read, as ISO text; None for all data.
        kind: What the cover calls the report.
    """

    study: Study
    as_of: str | None = None
    kind: str = "Report"

    @abstractmethod
    def facts(self) -> tuple[str, ...]:
        """Return what the cover says under the title: what is reported on, and over which time."""

    def cover(self) -> Cover:
        """Return the title of the report, its facts, and the study's note."""
        spec = self.study.spec
        return Cover(spec.title or spec.name, self.facts(), spec.note, self.kind)

    def result(self, content: Mapping[str, object], methods: Table | None = None) -> Result:
        """Return the end of the report: `content` together with the study's name and the versions.

        Args:
            content: The numbers, by name. NaN becomes null.
            methods: What a reader sees; only the versions unless given.
        """
        spec = self.study.spec
        whole = {
            "study": {"name": spec.name, "title": spec.title or spec.name},
            **content,
            "versions": versions(),
        }
        made = Table("Methods", (), (), empty=f"Made with {_made_with()}.")
        return Result(display.plain(whole), methods or made)

    def __repr__(self) -> str:
        """Return the cover as text."""
        return repr(self.cover())

    def _repr_html_(self) -> str:
        return self.cover()._repr_html_()


@dataclass(frozen=True, kw_only=True, repr=False)
class IterationReport(Report):
    """A report on one iteration of a study.

    Attributes:
        iteration: The name of the iteration.
        record: Whether `evaluate` records its looks in the study's ledger.
    """

    iteration: str
    record: bool = False

    @classmethod
    def begin(
        cls,
        *,
        study: str | Path = "",
        iteration: object,
        as_of: object = "",
        record: bool = False,
        kind: str = "",
    ) -> Self:
        """Open a study for the report.

        Args:
            study: The study file; the bundled study if empty.
            iteration: The name of the iteration. A number, which papermill makes of
                `-p iteration 2026.1`, stands for the iteration with that name.
            as_of: A date or time; later data are left out. Empty for all data.
            record: Whether to record looks in the study's ledger.
            kind: What the cover calls the report; the template's own name unless given.

        Raises:
            StudyError: The study file breaks a rule, there is no such iteration, or a number may
                stand for two iterations (2026.1 for "2026.1" and for "2026.10").
        """
        opened = open_study(study)
        names = [each.name for each in opened.spec.iterations]
        return cls(
            study=opened,
            iteration=chosen_iteration(iteration, names),
            as_of=str(as_of) or None,
            record=record,
            kind=kind or cls.kind,
        )

    @property
    def at(self) -> dict[str, Any]:
        """The arguments that a study's methods take: `study.evaluate(**report.at)`."""
        return {"iteration": self.iteration, "as_of": self.as_of}

    @property
    def by(self) -> list[str]:
        """The grouping column whose cohorts the hypotheses compare; empty if there is none."""
        spec = self.study.spec
        tested = [each for each in spec.hypotheses if each.iteration == self.iteration]
        named = [column for each in tested for column in each.treatment.columns]
        experiments = [column for column, kind in spec.kinds.items() if kind in PARTICIPATION]
        return [*named, *experiments][:1]

    @property
    def iterations(self) -> list[str]:
        """The names of the iterations up to this one, the oldest first."""
        names = [each.name for each in self.study.spec.iterations]
        return names[: names.index(self.iteration) + 1]

    @property
    def newest(self) -> datetime | None:
        """The time up to which the data are read; None for data without times."""
        return self.study.newest(self.as_of)

    def evaluate(self) -> list[Evaluation]:
        """Evaluate the iteration's hypotheses; record the looks if the report is to do so."""
        return self.study.evaluate(**self.at, record=self.record)

    @cached_property
    def single_arm(self) -> list[SingleArmResult]:
        """The iteration's single-arm claims, recorded if the report is to do so."""
        return self.study.single_arm(**self.at, record=self.record)

    def facts(self) -> tuple[str, ...]:
        """Return the iteration, its first and last day, and the time of the newest data."""
        here = next(each for each in self.study.spec.iterations if each.name == self.iteration)
        newest = self.newest
        until = () if newest is None else (f"Data to {display.moment(newest)}",)
        return (f"Iteration {here.name}", *_period(here.start, here.end), *until)

    def result(self, content: Mapping[str, object], methods: Table | None = None) -> Result:
        """Return the end of the report, with the iteration and the time of the newest data."""
        when = {"iteration": self.iteration, "as_of": self.newest}
        return super().result(when | dict(content), methods)

    def result_with_verdicts(
        self,
        evaluations: Iterable[Evaluation],
        content: Mapping[str, object],
        single_arm: Iterable[SingleArmResult] = (),
    ) -> Result:
        """Return the end of the report, with its verdicts and how each was reached."""
        found = tuple(evaluations)
        rows = [*(each.row() for each in found), *(each.row() for each in single_arm)]
        verdicts = {"evaluations": rows}
        return self.result(verdicts | dict(content), _methods(found))


def open_study(study: str | Path = "") -> Study:
    """Open a study file; the bundled study unless one is given."""
    from workbench.study import Study

    return Study.load(study or bundled_study())


def bundled_study() -> Path:
    """Return the path of the study that comes with the workbench.

    Raises:
        StudyError: The workbench was installed without it.
    """
    path = Path(__file__).resolve().parents[2] / BUNDLED
    if not path.is_file():
        raise StudyError("no study was named; give the path to a study.yaml")
    return path


def chosen_iteration(iteration: object, names: Iterable[str]) -> str:
    """Return the name of the iteration that is meant.

    Raises:
        StudyError: No iteration has that name, or a number may stand for two.

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
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


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
    note = f"Made with {_made_with()}."
    return Table("Methods", columns, tuple(rows), note, f"No hypothesis was tested. {note}")


def _made_with() -> str:
    return ", ".join(f"{name} {number}" for name, number in versions().items())


def _period(start: date | None, end: date | None) -> tuple[str, ...]:
    """Name the first and the last day; an iteration's end is not part of it."""
    if start is None or end is None:
        return ()
    if not isinstance(end, datetime):
        end -= timedelta(days=1)
    return (f"{display.moment(start)} to {display.moment(end)}",)


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None
