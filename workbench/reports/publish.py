"""Publish reports: run a template, and put all of its files in place at once."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, ReportError, StudyError, WorkbenchError
from workbench.reports import html
from workbench.reports.html import alone_in, cleaned_up, write_beside
from workbench.reports.kernel import Progress, run
from workbench.reports.report import RESULT, chosen_iteration
from workbench.reports.template import find_template, templates_folder
from workbench.schema.study import StudySpec, read_study
from workbench.schema.time import moment

if TYPE_CHECKING:
    from datetime import timedelta

    from nbformat import NotebookNode

BAD_INPUT: dict[str, type[WorkbenchError]] = {"DataError": DataError, "StudyError": StudyError}
OPTIONAL = (
    "iteration_plan",
    "indicator_review",
    "programme_review",
)  # what they ask may have no answer in the data
Begun = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PublishedVerdict:
    """The verdict of one hypothesis.

    Attributes:
        hypothesis: Its name.
        verdict: The verdict, with its qualification if it has one: "supported, but ...".
        sentence: What the verdict rests on.
    """

    hypothesis: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Published:
    """A published report.

    Attributes:
        html: The page.
        notebook: The executed notebook.
        result: The numbers of both, as JSON.
        verdicts: The verdicts, in the report's order.
        index: The page that lists all reports of the study; None if the report lies elsewhere.
    """

    html: Path
    notebook: Path
    result: Path
    verdicts: tuple[PublishedVerdict, ...]
    index: Path | None = None


def publish(
    study_path: str | Path,
    *,
    iteration: str = "",
    template: str | Path = "hypothesis_report",
    output: str | Path | None = None,
    as_of: str = "",
    record: bool = True,
    parameters: Mapping[str, object] | None = None,
    cell_timeout: timedelta | None = None,
    progress: Progress | None = None,
) -> Published:
    """Run a template on a study, and publish the page, the notebook and the numbers.

    Arguments are checked before a kernel starts. The files appear together once every cell ran and
    the last one returned the report's result (`HypothesisReport.finish`); until then an earlier
    report stays in place. The index of the study's reports is rebuilt, unless `output` lies elsewhere.

    Args:
        study_path: The study file.
        iteration: The name of the iteration to report on; empty for a template that takes none.
        template: The name of a template that comes with the workbench, or the path of your own.
        output: The folder for the report; `reports/ITERATION` beside the study file unless given,
            `reports` if there is no iteration.
        as_of: A date or time; later data are left out. Empty for all data.
        record: Whether to record looks at hypotheses in the study's ledger.
        parameters: Values for further parameters of the template.
        cell_timeout: The longest that one cell may take; no limit unless given.
        progress: Called after each code cell with the number of code cells done, and of all.

    Returns:
        Where the files lie, and the verdicts.

    Raises:
        StudyError: The study file breaks a rule, or has no such iteration. Nothing is written.
        DataError: The data cannot be analysed. Nothing is written.
        ReportError: The template or a parameter is wrong, or the folder cannot be written; or a cell
            failed: then the half-run notebook is kept as `TEMPLATE.failed.ipynb`.
    """
    given = dict(parameters or {})
    for name in {"study", "iteration", "as_of", "record"} & given.keys():
        raise ReportError(
            f"parameter {name} has an argument of its own; leave it out of parameters"
        )
    chosen = find_template(template)
    given |= {"study": str(study_path)}
    given |= {"iteration": iteration} if iteration or chosen.takes("iteration") else {}
    given |= {"as_of": as_of} if as_of else {}
    given |= {"record": record} if chosen.takes("record") else {}
    values = chosen.values(given)
    known = [each.name for each in read_study(Path(study_path)).iterations]
    folder = _folder(study_path, given.get("iteration"), known, output)
    if chosen.name == html.NAME:
        raise ReportError("a template called index would overwrite the index; rename it")
    _check_as_of(as_of)
    made = _check_writable(folder)
    ran = run(chosen.notebook, values, cell_timeout=cell_timeout, progress=progress)
    failure = ran.failure
    if failure is not None and failure.error in BAD_INPUT:
        _remove(made)
        raise BAD_INPUT[failure.error](failure.message)
    if failure is not None or ran.notebook is None:
        aside = _set_aside(ran.notebook, folder, chosen.name)
        raise ReportError(_said(chosen.name, str(failure), aside))
    content = result_of(ran.notebook)
    if content is None:
        said = "its last cell: it left no result; end the template with `report.finish(...)`"
        raise ReportError(_said(chosen.name, said, _set_aside(ran.notebook, folder, chosen.name)))
    _forget_folders(ran.notebook)
    published = _place(folder, chosen.name, ran.notebook, content)
    return replace(published, index=_indexed(study_path, folder, known))


def result_of(notebook: NotebookNode) -> dict[str, Any] | None:
    """Return the result in the last code cell of an executed notebook; None if there is none."""
    last = next((each for each in reversed(notebook.cells) if each.cell_type == "code"), None)
    if last is None:
        return None
    found = [output.data[RESULT] for output in last.outputs if RESULT in output.get("data", {})]
    return found[-1] if found else None


def safe_name(name: str) -> str:
    """Turn a name into a valid part of a path.

    A name that changes gets a few letters of its hash, so that different names stay different.

    >>> safe_name("2026.1"), safe_name("Q1/2026: pilot")
    ('2026.1', 'Q1-2026-pilot-ea4a3e')
    """
    safe = re.sub(r"[^\w.+-]+", "-", name).strip("-. ")[:80]
    if safe == name:
        return name
    return f"{safe}-{sha256(name.encode()).hexdigest()[:6]}".lstrip("-")


def reports_folder(study_path: str | Path) -> Path:
    """Return the folder of a study's reports, which lies beside the study file."""
    return Path(study_path).parent / "reports"


def _folder(
    study_path: str | Path, iteration: object, known: Sequence[str], output: str | Path | None
) -> Path:
    """Return the folder of the report; StudyError for an unknown iteration."""
    part = "" if iteration is None else safe_name(chosen_iteration(iteration, known))
    return Path(output) if output else reports_folder(study_path) / part


def _indexed(study_path: str | Path, folder: Path, known: Sequence[str]) -> Path | None:
    """Rebuild the index of the study's reports if the report lies among them."""
    every = reports_folder(study_path)
    if every.resolve() not in (folder.resolve(), folder.resolve().parent):
        return None
    try:
        return html.rebuild_index(every, known)
    except OSError as error:
        said = f"the report lies in {folder}, but the index in {every} cannot be written"
        raise ReportError(f"{said}: {error.strerror}; mend that, and publish again") from None


def _check_as_of(as_of: str) -> None:
    if not as_of:
        return
    try:
        moment(as_of)
    except ValueError as error:
        raise ReportError(f"as_of: {error}") from None


def _check_writable(folder: Path) -> list[Path]:
    """Make the folder, and try to write there; give the folders that were not there before."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    trial = folder / f".{secrets.token_hex(8)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        said = f"cannot write into {folder}: {error.strerror}; name another folder for the report"
        raise ReportError(said) from None
    return new


def _remove(folders: list[Path]) -> None:
    """Remove folders that were made for the report, unless they hold other files."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _forget_folders(notebook: NotebookNode) -> None:
    """Remove the paths that papermill read and wrote; a report is read elsewhere."""
    for name in ("input_path", "output_path"):
        notebook.metadata.get("papermill", {}).pop(name, None)


def _place(
    folder: Path, name: str, notebook: NotebookNode, content: Mapping[str, Any]
) -> Published:
    """Write all files under temporary names, then put them in place, the page last."""
    from workbench.reports.html import page

    title = content["study"]["title"]
    if content.get("iteration"):
        title = f"{title}: iteration {content['iteration']}"
    texts = {
        folder / f"{name}.ipynb": _as_text(notebook),
        folder / f"{name}.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        folder / f"{name}.html": page(notebook, title=title),
    }
    with cleaned_up() as written:
        for target, text in texts.items():
            written[target] = write_beside(target, text)
        with alone_in(folder):
            for target, source in written.items():
                source.replace(target)
            _failed(folder, name).unlink(missing_ok=True)
    ipynb, result, html = texts
    verdicts = tuple(
        PublishedVerdict(each["hypothesis"], each.get("label", each["verdict"]), each["sentence"])
        for each in content.get("evaluations", ())
    )
    return Published(html, ipynb, result, verdicts)


def _set_aside(notebook: NotebookNode | None, folder: Path, name: str) -> str:
    """Keep a half-run notebook as `TEMPLATE.failed.ipynb`; return a sentence that says so."""
    if notebook is None:
        return ""
    target = _failed(folder, name)
    write_beside(target, _as_text(notebook)).replace(target)
    return f"the half-run notebook is {target}"


def _failed(folder: Path, name: str) -> Path:
    return folder / f"{name}.failed.ipynb"


def _said(name: str, failure: str, aside: str) -> str:
    first, _, rest = failure.partition("\n")
    said = "; ".join(
        filter(None, [f"template {name} failed in {first}", "no report was published", aside])
    )
    return f"{said}\n{rest}" if rest else said


def _as_text(notebook: NotebookNode) -> str:
    import nbformat

    written: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return f"{written}\n"


@dataclass(frozen=True)
class IterationReports:
    """The reports on one iteration.

    Attributes:
        published: The published reports by template.
        left_out: Why a template does not fit the study, in a sentence, by template.
        failed: Why a report failed, in a sentence, by template.
    """

    published: Mapping[str, Published] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> tuple[PublishedVerdict, ...]:
        """The verdicts of the iteration, from the first report that has any."""
        return next((each.verdicts for each in self.published.values() if each.verdicts), ())

    @property
    def index(self) -> Path | None:
        """The page that lists all reports of the study; None if the reports lie elsewhere."""
        return next((each.index for each in self.published.values()), None)


def publish_all(
    study_path: str | Path,
    *,
    iteration: str = "",
    output: str | Path | None = None,
    as_of: str = "",
    record: bool = True,
    begun: Begun | None = None,
) -> IterationReports:
    """Publish a report from every template of the workbench that fits the study.

    Args:
        study_path: The study file.
        iteration: The name of the iteration to report on; empty for a study of indicators only.
        output: The folder for the reports; as for `publish` unless given.
        as_of: A date or time; later data are left out. Empty for all data.
        record: Whether to record looks at hypotheses in the study's ledger.
        begun: Called before each report with the template's name, the number of reports done, and of
            all.

    Returns:
        The published reports, and why others were left out or failed. A failure of one does not
        stop the others. A plan or an indicator review that the data cannot answer is left out.

    Raises:
        StudyError: The study file breaks a rule, or has no such iteration.
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
            published[name] = publish(
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
    return IterationReports(published, left_out, failed)


def choose(spec: StudySpec, iteration: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the templates that fit a study with their parameters, and why the others do not fit."""
    fitting: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for name in sorted(each.stem for each in templates_folder().glob("*.ipynb")):
        try:
            fitting[name] = _fitted(name, spec, iteration)
        except ReportError as error:
            left_out[name] = str(error)
    return fitting, left_out


def _fitted(name: str, spec: StudySpec, iteration: str) -> dict[str, Any]:
    """Return the parameters that a template needs; ReportError if it does not fit the study."""
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
    if name == "programme_review" and len({each.iteration for each in spec.hypotheses}) < 2:
        raise ReportError(
            "a programme is of several iterations with hypotheses, and there are not two"
        )
    if name == "indicator_review":
        kinds = set()
        if spec.indicators is not None:
            kinds = {each.kind for each in spec.indicators.definitions.values()}
        if kinds != {"leading", "lagging"}:
            raise ReportError("the study has no indicators, leading and lagging, to review")
    return {}
