"""Publish reports: run a template strictly, then put all of its files in place at once."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, ReportError, StudyError, WorkbenchError
from workbench.reports import html
from workbench.reports.html import alone_in, cleaned_up, write_beside
from workbench.reports.kernel import Progress, Run, Spare, run, spare_kernel
from workbench.reports.report import RESULT, chosen_iteration
from workbench.reports.template import find_template, templates_folder
from workbench.schema.study import StudySpec, read_study
from workbench.schema.time import moment

if TYPE_CHECKING:
    from datetime import timedelta

    from nbformat import NotebookNode

BAD_INPUT: dict[str, type[WorkbenchError]] = {"DataError": DataError, "StudyError": StudyError}
OPTIONAL = ("iteration_plan", "indicator_review")  # what they ask may have no answer in the data
Begun = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PublishedVerdict:
    """The verdict of one hypothesis, with what takes back half of it, as the report gives it."""

    hypothesis: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Published:
    """Where a report lies: the page, the executed notebook and their machine-readable twin.

    `index` lists all reports of the study; None for a report that lies elsewhere.
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
    """Run a template on a study and publish what it shows.

    Args:
        study_path: The study file.
        iteration: The name of the iteration to report on; none for a template that takes none.
        template: The name of a template that comes with the workbench, or a path to your own.
        output: The folder for the report; `reports/ITERATION` beside the study file if not given
            (`reports` where there is no iteration).
        as_of: The time as of which customers are aligned, deviated or pending; empty for the
            newest event.
        record: Whether looks at hypotheses go into the study's ledger.
        parameters: Values for further parameters of the template.
        cell_timeout: The longest that one cell may take.
        progress: Called with the number of code cells done, and of all.

    Everything that can be known to be wrong is said before a kernel starts. The files appear
    together once every cell ran and the last one ended the report (`HypothesisReport.finish`);
    what was published before stays until then, whatever happens. The index of the study's reports
    follows, unless `output` lies elsewhere.

    Raises:
        StudyError: The study or the iteration is wrong. Nothing is written.
        DataError: The data are. Nothing is written.
        ReportError: The template or a parameter is wrong, the folder cannot be written, or the
            template failed: then the half-run notebook lies there as `NAME.failed.ipynb`.
    """
    given = dict(parameters or {})
    for name in {"study", "iteration", "as_of", "record"} & given.keys():
        raise ReportError(
            f"parameter {name} has an argument of its own; leave it out of parameters"
        )
    with spare_kernel() as spare:
        chosen = find_template(template)
        given |= {"study": str(study_path)}
        given |= {"iteration": iteration} if iteration or chosen.takes("iteration") else {}
        given |= {"as_of": as_of} if as_of else {}
        given |= {"record": record} if chosen.takes("record") else {}
        values = chosen.values(given)
        known = _iterations(study_path)
        folder = _folder(study_path, given.get("iteration"), known, output)
        if chosen.name == html.NAME:
            raise ReportError("a template called index would overwrite the index; rename it")
        _check_as_of(as_of)
        made = _check_writable(folder)
        ran = _run(chosen.notebook, values, spare, cell_timeout=cell_timeout, progress=progress)
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
    published = _place(folder, chosen.name, ran.notebook, content)
    return replace(published, index=_indexed(study_path, folder, known))


def result_of(notebook: NotebookNode) -> dict[str, Any] | None:
    """Give the result that the last code cell of an executed notebook holds, if it does."""
    last = next((each for each in reversed(notebook.cells) if each.cell_type == "code"), None)
    if last is None:
        return None
    found = [output.data[RESULT] for output in last.outputs if RESULT in output.get("data", {})]
    return found[-1] if found else None


def safe_name(name: str) -> str:
    """Make a name one part of a path, still to be recognized.

    A name that had to be changed ends in a few letters of its hash, so that no two names meet.

    >>> safe_name("2026.1"), safe_name("Q1/2026: pilot")
    ('2026.1', 'Q1-2026-pilot-ea4a3e')
    """
    safe = re.sub(r"[^\w.+-]+", "-", name).strip("-. ")[:80]
    if safe == name:
        return name
    return f"{safe}-{sha256(name.encode()).hexdigest()[:6]}".lstrip("-")


def reports_folder(study_path: str | Path) -> Path:
    """Give the folder of a study's reports: beside its file."""
    return Path(study_path).parent / "reports"


def _iterations(study_path: str | Path) -> list[str]:
    """Look the study over, and name its iterations."""
    return [each.name for each in read_study(Path(study_path)).iterations]


def _folder(
    study_path: str | Path, iteration: object, known: Sequence[str], output: str | Path | None
) -> Path:
    """Look the iteration over, and give the folder of the report."""
    part = "" if iteration is None else safe_name(chosen_iteration(iteration, known))
    return Path(output) if output else reports_folder(study_path) / part


def _indexed(study_path: str | Path, folder: Path, known: Sequence[str]) -> Path | None:
    """List the report in the index of the study's reports, if it lies there."""
    every = reports_folder(study_path)
    if every.resolve() not in (folder.resolve(), folder.resolve().parent):
        return None
    try:
        return html.rebuild(every, known)
    except OSError as error:
        said = f"the report lies in {folder}, but the index in {every} cannot be written"
        raise ReportError(f"{said}: {error.strerror}; mend that, and publish again") from None


def _run(
    notebook: NotebookNode,
    values: Mapping[str, Any],
    spare: Spare | None,
    *,
    cell_timeout: timedelta | None,
    progress: Progress | None,
) -> Run:
    """Run the template, and load what makes the page while the kernel is at work."""
    import papermill  # noqa: F401 - before the thread, since two threads may not load the same

    warm = Thread(target=_import_exporter, daemon=True)
    warm.start()
    ran = run(notebook, values, spare=spare, cell_timeout=cell_timeout, progress=progress)
    warm.join()
    if ran.notebook is not None:
        _forget_folders(ran.notebook)
    return ran


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
    """Remove folders that were made for nothing, unless somebody else wrote into them."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _import_exporter() -> None:
    """Load what makes the page, while the kernel is at work."""
    import bs4  # noqa: F401 - only to have it loaded
    import nbconvert.exporters.html  # noqa: F401 - only to have it loaded


def _forget_folders(notebook: NotebookNode) -> None:
    """Leave out where papermill read and wrote: a report is read elsewhere."""
    for name in ("input_path", "output_path"):
        notebook.metadata.get("papermill", {}).pop(name, None)


def _place(
    folder: Path, name: str, notebook: NotebookNode, content: Mapping[str, Any]
) -> Published:
    """Write all files under names of their own, then put them in place, the page last."""
    from workbench.reports.html import page

    title = content["study"]["title"]
    if content.get("iteration"):
        title = f"{title}: iteration {content['iteration']}"
    texts = {
        folder / f"{name}.ipynb": _text(notebook),
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
    """Keep a half-run notebook under a name that says so."""
    if notebook is None:
        return ""
    target = _failed(folder, name)
    write_beside(target, _text(notebook)).replace(target)
    return f"the half-run notebook is {target}"


def _failed(folder: Path, name: str) -> Path:
    return folder / f"{name}.failed.ipynb"


def _said(name: str, failure: str, aside: str) -> str:
    first, _, rest = failure.partition("\n")
    said = "; ".join(
        filter(None, [f"template {name} failed in {first}", "no report was published", aside])
    )
    return f"{said}\n{rest}" if rest else said


def _text(notebook: NotebookNode) -> str:
    import nbformat

    written: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return f"{written}\n"


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
