"""Editions: every report of an iteration at once, by the templates that fit the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import reports
from workbench.errors import ReportError, StudyError, WorkbenchError
from workbench.parameters import find_template, templates_folder
from workbench.readings import chosen_iteration
from workbench.reports import Published, PublishedVerdict
from workbench.specification import StudySpec, read_study

OPTIONAL = ("iteration_plan", "indicator_review")  # what they ask may have no answer in the data
Begun = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Edition:
    """The reports of one iteration: those published, and why others were left out or failed.

    `left_out` and `failed` give for the name of a template the reason in a sentence.
    """

    published: Mapping[str, Published] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> tuple[PublishedVerdict, ...]:
        """The verdicts of the iteration, as the first report with any gives them."""
        return next((each.verdicts for each in self.published.values() if each.verdicts), ())

    @property
    def index(self) -> Path | None:
        """The index of all reports of the study; None for reports that lie elsewhere."""
        return next((each.index for each in self.published.values()), None)


def publish_all(
    study_path: str | Path,
    *,
    iteration: str = "",
    output: str | Path | None = None,
    as_of: str = "",
    record: bool = True,
    begun: Begun | None = None,
) -> Edition:
    """Publish a report from each template of the workbench that fits the study, one after another.

    `iteration` is the one to report on; `output`, `as_of` and `record` are those of
    `reports.publish`; `begun` is called with the template's name, and how many of all are done. A
    template that fails leaves the others alone; a plan or a review of indicators that the data cannot
    answer is left out. Raises StudyError for a wrong study or iteration.
    """
    spec = read_study(Path(study_path))
    if iteration:
        chosen_iteration(iteration, [each.name for each in spec.iterations])
    fitting, left_out = choose(spec, iteration)
    published: dict[str, Published] = {}
    failed: dict[str, str] = {}
    for done, (name, parameters) in enumerate(fitting.items()):
        if begun is not None:
            begun(name, done, len(fitting))
        takes = find_template(name).takes("iteration")
        try:
            published[name] = reports.publish(
                study_path,
                iteration=iteration if takes else "",
                template=name,
                output=output,
                as_of=as_of,
                record=record,
                parameters=parameters,
            )
        except WorkbenchError as error:
            asks_too_much = isinstance(error, StudyError) and name in OPTIONAL
            (left_out if asks_too_much else failed)[name] = str(error)
    return Edition(published, left_out, failed)


def choose(spec: StudySpec, iteration: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Give the templates that fit a study, with their parameters, and why the others do not."""
    fitting: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for name in sorted(each.stem for each in templates_folder().glob("*.ipynb")):
        try:
            fitting[name] = _fitted(name, spec, iteration)
        except ReportError as error:
            left_out[name] = str(error)
    return fitting, left_out


def _fitted(name: str, spec: StudySpec, iteration: str) -> dict[str, Any]:
    """Give the parameters that a template takes beside the usual; ReportError if it does not fit."""
    if find_template(name).takes("iteration"):
        if spec.indicators_only:
            raise ReportError("the study has indicators only, and no iteration to report on")
        if not iteration:
            raise ReportError("it reports on one iteration, and none was named")
    if name == "iteration_plan":
        planned = [
            each for each in spec.hypotheses if each.iteration == iteration and each.minimum_effect
        ]
        if not planned:
            raise ReportError(
                f"no hypothesis of iteration {iteration} has a minimum effect to plan for"
            )
        return {"hypothesis": planned[0].name}
    if name == "indicator_review":
        kinds = set()
        if spec.indicators is not None:
            kinds = {each.kind for each in spec.indicators.definitions.values()}
        if kinds != {"leading", "lagging"}:
            raise ReportError("the study has no indicators, leading and lagging, to review")
    return {}
