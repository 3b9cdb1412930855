"""The command line: `workbench check|metrics|test|report|plan|diff|ledger|learn|backlog|next|init`.

Data goes to stdout, everything else to stderr. Exit codes: 0 is success, 1 a check that found errors,
2 bad input, with a sentence on what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import codecs
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from workbench.errors import StudyError, WorkbenchError, unknown_name
from workbench.terminal import (
    VERDICT,
    Format,
    announce,
    announce_all,
    as_json,
    show,
    tell,
    visible,
    working,
    write,
    write_verdicts,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbench.experiments.planning import Plan
    from workbench.experiments.single_arm import SingleArmPlan
    from workbench.schema.time import Iteration
    from workbench.study import Study

COUNTS = ["control_converted", "control_closed", "treatment_converted", "treatment_closed"]
ROW = ["hypothesis", "treatment", "verdict", *COUNTS, "estimate", "low", "high"]
ROW += ["pvalue_alone", "pvalue", "test"]
SINGLE = ["hypothesis", "cohort", "verdict", "target", "customers", "critical", "converted"]
SINGLE += ["closed", "low", "high"]
TEMPLATE = "hypothesis_report"
SCORES = ["impact", "ease", "confidence", "score", "rank_low", "rank_high"]
WAYS_TOLD = 3
BACKLOG = ["rank", "hypothesis", "status", *SCORES, "learn_by", "customers", "weeks", "why"]
DIFFERENCE = ["part", "what", "before", "after", "change"]
HISTORY = ["hypothesis", "version", "iteration", "looks", "estimate", "low", "high"]
UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])
app = typer.Typer(
    name="workbench",
    help="Learning metrics and honest verdicts: from an event log to a published report.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file, a study.yaml.")]
AsOf = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Look at the data as it was then; otherwise at its newest event."
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How data is written to stdout.")]
IterationName = Annotated[
    str, typer.Option(metavar="NAME", help="The iteration; otherwise the newest with a hypothesis.")
]
PLAIN = {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{RIGHT SINGLE QUOTATION MARK}": "'"}
HISTORY += ["verdict", "pvalue", "level", "since"]


def _number(what: str) -> Any:
    return typer.Option(metavar="N", help=what)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in plain signs, a minus as a hyphen, or else as an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = "".join(PLAIN.get(each, each) for each in error.object[error.start : error.end])
    return written.encode("ascii", "backslashreplace").decode("ascii"), error.end


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process with its exit code."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")
    try:
        code = app(arguments, prog_name="workbench", standalone_mode=False)
        sys.stdout.flush()
    except WorkbenchError as error:
        tell(f"workbench: {error}")
        code = 2
    except UsageError as error:
        tell(f"workbench: {_usage(error)}")
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        tell("workbench: stopped; nothing was published")
        code = 130
    except BrokenPipeError:
        # Whoever read the data has seen enough; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code or 0)


@app.callback(invoke_without_command=True)
def _workbench(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        write(f"workbench {installed('workbench')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        tell(context.get_help())
        raise typer.Exit(2)


@app.command(epilog="Example: workbench check studies/guided-import/study.yaml")
def check(study: StudyPath, form: FormatOption = Format.TABLE) -> None:
    """Say what is wrong with a study.

    Each problem comes with its count and an example.

    The exit code is 1 if a problem is an error, 0 if there are only warnings and notes.
    """
    with working("Checking"):
        report = _load(study).check()
    _show(report.table, form)
    if report.table.empty:
        tell("Nothing odd was found.")
    if found := len(report.errors):
        errors = f"{found} errors" if found > 1 else "an error"
        tell(f"workbench: {study} has {errors}; nothing can be concluded until that is mended")
        raise typer.Exit(1)


@app.command(
    epilog='Example: workbench metrics study.yaml --iteration "2026.1" --by variant --format csv'
)
def metrics(
    study: StudyPath,
    iteration: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An iteration, again for more; otherwise all of them."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A grouping to split by; again for more."),
    ] = None,
    as_of: AsOf = "",
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="Take what the data have lost from the ledger."),
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Count customers, step by step.

    Entered, aligned, deviated and pending, per iteration, cohort and step, and the rates.
    """
    with working("Counting"):
        frame = _load(study).learning_metrics(
            iteration=iteration or None, by=by or [], as_of=as_of or None, recorded=recorded
        )
    for name, day in frame.attrs.get("recorded", {}).items():
        tell(f"Iteration {name} as recorded on {day}: the data no longer reach it all.")
    _show(frame, form)


@app.command("test", epilog='Example: workbench test study.yaml --iteration "2026.1" --format json')
def evaluate(
    study: StudyPath,
    iteration: IterationName = "",
    as_of: AsOf = "",
    form: FormatOption = Format.TABLE,
) -> None:
    """Test the hypotheses of an iteration.

    The verdict of each in a sentence, and its numbers.
    """
    with working("Testing"):
        loaded = _load(study)
        name = iteration or _newest(loaded, as_of)
        rows = [each.row() for each in loaded.evaluate(iteration=name, as_of=as_of or None)]
        alone = [each.row() for each in loaded.single_arm(iteration=name, as_of=as_of or None)]
    every = [*rows, *alone]
    if form is not Format.TABLE:
        show(every, [*dict.fromkeys(name for row in every for name in row)] or VERDICT, form)
        return
    write_verdicts([{**row, "verdict": row["label"]} for row in every])
    if every:
        tell("Not recorded: workbench report puts a look into the ledger.")
        for table, columns in ((rows, ROW), (alone, SINGLE)):
            if table:
                write("")
                show(table, columns, form)
    else:
        tell(f"{study}: no hypothesis is about iteration '{name}'")


@app.command(epilog='Example: workbench report study.yaml --iteration "2026.1" --output reports')
def report(
    study: StudyPath,
    iteration: IterationName = "",
    template: Annotated[
        str, typer.Option(metavar="NAME", help="A template of the workbench, or an .ipynb file.")
    ] = TEMPLATE,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="From every template that fits the study.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder; otherwise 'reports' beside the study file."),
    ] = None,
    as_of: AsOf = "",
    form: FormatOption = Format.TABLE,
) -> None:
    """Publish the report of an iteration.

    A page, the notebook behind it, and the same numbers as JSON. Says where the report lies, and each verdict in a sentence.
    """
    if every:
        _report_all(study, iteration, output, as_of, form)
        return
    name = _reported(study, iteration, template, as_of)
    from workbench.reports.publish import publish

    what = f"Report of iteration {name}" if name else "Report"
    with working(what) as progress:
        published = publish(
            study, iteration=name, template=template, output=output, as_of=as_of, progress=progress
        )
    if name and not iteration:
        tell(f"Iteration {name}, the newest to report on; --iteration NAME takes another")
    announce(published, form)


def _reported(study: Path, iteration: str, template: str, as_of: str) -> str:
    """Return the iteration to report on; empty for a template that reports on the whole study."""
    if template != TEMPLATE and not iteration:
        from workbench.reports.template import find_template

        if not find_template(template).takes("iteration"):
            return ""
    return iteration or _newest(_load(study), as_of)


def _report_all(study: Path, iteration: str, output: Path | None, as_of: str, form: Format) -> None:
    """Publish every report that fits the study; end with code 2 if one of them failed."""
    loaded = _load(study)
    name = "" if loaded.spec.indicators_only else iteration or _newest(loaded, as_of)
    from workbench.reports.publish import publish_all

    with working("Reports") as progress:
        made = publish_all(
            study,
            iteration=name,
            output=output,
            as_of=as_of,
            begun=lambda _, done, parts: progress(done, parts),
        )
    announce_all(made, form)
    if made.failed:
        raise typer.Exit(2)


@app.command(epilog="Example: workbench backlog study.yaml --format csv")
def backlog(study: StudyPath, as_of: AsOf = "", form: FormatOption = Format.TABLE) -> None:
    """Rank what to try next.

    Impact x ease (x confidence), how sure each rank is, what a test would cost in customers and weeks, and the cheapest way to learn. Says also how well impact was guessed so far.
    """
    with working("Ranking"):
        found = _load(study).backlog(as_of=as_of or None)
    rows = found.rows()
    columns = [*BACKLOG, "chance", "findings"] if found.learned.findings else BACKLOG
    show(rows, columns if form is Format.TABLE else list(rows[0]) if rows else BACKLOG, form)
    if not rows:
        tell(f"{study}: nothing is left to try; add ideas with impact and ease")
    tell(found.guessing.sentence)
    for each in found.methods:
        tell(each.sentence)
    for first in found.ranked[:WAYS_TOLD] if form is Format.TABLE else ():
        ways = "; ".join(str(each) for each in found.ways(first))
        tell(
            f"Ways to learn about {first.candidate.name}, with its chance after 5 no or 5 yes: {ways}"
        )


@app.command(epilog="Example: workbench plan study.yaml --hypothesis preview-helps --customers 150")
def plan(
    study: StudyPath,
    hypothesis: Annotated[str, typer.Option(metavar="NAME", help="The hypothesis to test.")],
    customers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Customers per cohort to be had; otherwise those of the newest iteration.",
        ),
    ] = None,
    as_of: AsOf = "",
    form: FormatOption = Format.TABLE,
) -> None:
    """Plan a test before its iteration.

    Customers and weeks for looking once, at planned looks and at any time, and what the customers that can be had will show.
    """
    with working("Planning"):
        loaded = _load(study)
        found: Plan | SingleArmPlan
        if hypothesis in {each.name for each in loaded.spec.single_arm_claims}:
            found = loaded.plan_single_arm(hypothesis, customers)
        else:
            found = loaded.plan(hypothesis, customers, as_of or None)
    _show(found.table, form)
    tell(found.sentence)


@app.command(epilog="Example: workbench ledger study.yaml --format json")
def ledger(study: StudyPath, form: FormatOption = Format.TABLE) -> None:
    """Tell the history of a study's hypotheses.

    Each version and iteration: looks, effect, verdict, and whether it is a discovery among all hypotheses of the study. JSON and CSV hold every record of the ledger.
    """
    with working("Reading the ledger"):
        loaded = _load(study)
        history, records = loaded.history(), loaded.ledger.export()
    if form is Format.TABLE:
        several = any(each.other_treatments for each in loaded.spec.hypotheses)
        shown = history.assign(verdict=history["label"])
        _show(shown[[*HISTORY[:2], "arm", *HISTORY[2:]] if several else HISTORY], form)
        for each in loaded.evidence() if records else ():
            tell(each.sentence)
        learned = loaded.learned()
        for name in dict.fromkeys(each.hypothesis for each in learned.findings):
            tell(learned.findings_sentence(name))
    else:
        show(records, list(dict.fromkeys(name for each in records for name in each)), form)
    if not records:
        tell("Nothing is on record yet; workbench report records a look at each hypothesis")


@app.command("next", epilog="Example: workbench next study.yaml --write")
def next_version(
    study: StudyPath,
    as_of: AsOf = "",
    *,
    into_file: Annotated[
        bool, typer.Option("--write", help="Insert the draft into the study file.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Say what to try next and why, and draft it.

    The evidence: what versions say together, the step that loses most, where customers went, which cohort differs, indicators, themes that nobody addresses, and what a test takes.

    With --write the draft is inserted, and every other byte of the file stays; what must be filled in is marked.
    """
    with working("Looking"):
        found = _load(study).next_step(as_of=as_of or None)
    if form is Format.JSON:
        write(as_json(found.row()))
    else:
        show([each._asdict() for each in found.reasons], ["source", "sentence"], form)
        write(f"\n{found.text}" if found.text and form is Format.TABLE else "")
    tell(found.advice.sentence)
    if into_file and not found.draft:
        tell("There is nothing to write: the next thing is no new entry of the study file.")
    elif into_file:
        from workbench.schema.insertion import insert

        insert(study, found.draft)
        tell(f"Written into {study}; fill in what is marked FILL IN, and keep the rest if it fits.")


@app.command(epilog='Example: workbench diff study.yaml "2026.2" "2026.3"')
def diff(
    study: StudyPath,
    before: Annotated[str, typer.Argument(metavar="A", help="The earlier iteration.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The later one.")],
    as_of: AsOf = "",
    form: FormatOption = Format.TABLE,
) -> None:
    """Say what changed between two iterations.

    Versions of hypotheses, the solution with its changes, the mix of customers, and each rate beside the other.
    """
    with working("Comparing"):
        found = _load(study).difference(before, after, as_of or None)
    rows = found.rows()
    show(rows, DIFFERENCE if form is Format.TABLE else list(rows[0]), form)
    tell(found.sentence)


@app.command(
    epilog="Example: workbench learn study.yaml --hypothesis undo-import --method prototype --supports 4 --of 5"
)
def learn(
    study: StudyPath,
    hypothesis: Annotated[
        str | None, typer.Option(metavar="NAME", help="The hypothesis or idea it is about.")
    ] = None,
    *,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="interview, prototype or user test.")
    ] = None,
    supports: Annotated[int | None, _number("How many said or did what supports it.")] = None,
    of: Annotated[int | None, _number("How many were asked or watched.")] = None,
    version: Annotated[int | None, _number("Its version; otherwise the newest.")] = None,
    date: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day, such as 2026-02-03.")
    ] = None,
    cost: Annotated[
        str | None, typer.Option(metavar="TIME", help="What it took, such as 2d.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A note; no customer's data.")
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            metavar="W",
            help="How much an answer counts, 1 at most: less for answers to one interviewer.",
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A table of findings instead, a row each.")
    ] = None,
) -> None:
    """Record what interviews, a prototype or a user test found.

    Counts and a note go into the ledger, all rows of a table or none. Says how likely the idea is now; that is no verdict.
    """
    required = {"hypothesis": hypothesis, "method": method, "supports": supports, "of": of}
    more = {"version": version, "date": date, "cost": cost, "note": note, "weight": weight}
    given = [name for name, value in {**required, **more}.items() if value is not None]
    missing = [name for name in required if name not in given]
    loaded = _load(study)
    if table is not None:
        if given:
            raise StudyError(f"--{given[0]} and --table are given; a row of the table says it")
        recorded = loaded.learn_table(table)
        tell(f"Recorded {recorded} new finding{'' if recorded == 1 else 's'}.")
        return
    if missing:
        raise StudyError(f"--{missing[0]} is missing; give it, or a file as --table")
    values: dict[str, Any] = {**required, **{name: more[name] for name in given if name in more}}
    if not loaded.learn(**values):
        tell("The same finding is on record already; another one needs its own --date or --note.")
    write(visible(loaded.learned().findings_sentence(str(hypothesis))))


def _files(what: str) -> Any:
    return typer.Option(metavar="FILE", help=what)


@app.command(epilog="Example: workbench init my-study --events visits.csv")
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is empty, or not there yet.")
    ],
    events: Annotated[list[str] | None, _files("An event log: a row an event.")] = None,
    counts: Annotated[
        list[str] | None, _files("Counts: a row a cohort or day, a column a step.")
    ] = None,
    outcomes: Annotated[
        list[str] | None, _files("A row a customer, with columns of yes or no.")
    ] = None,
    indicators: Annotated[list[str] | None, _files("Numbers over time, a row a period.")] = None,
) -> None:
    """Write a new study that runs as it is.

    On a file of yours, whose columns, steps and groups are guessed; or else on simulated data. Several files, by the option again or by a pattern in quotes, are an arm each.
    """
    from workbench.datasets.events import write_study

    files = {"events": events, "counts": counts, "outcomes": outcomes, "indicators": indicators}
    given = {kind: written for kind, written in files.items() if written}
    if len(given) > 1:
        raise StudyError(f"--{' and --'.join(given)} are given; a study takes one of them")
    said: tuple[str, ...] = ()
    with working("Looking into it" if given else "Simulating"), _new_folder(folder) as half:
        for kind, written in given.items():
            said = _write_on_files(half, folder.absolute().name, kind, written)
        name = "study.yaml" if given else write_study(half).name
    path = folder / name
    write(str(path))
    for each in said:
        tell(each)
    tell(f"Next: workbench report {path}{' --all' if indicators else ''}")


def _write_on_files(folder: Path, name: str, kind: Any, written: Sequence[str]) -> tuple[str, ...]:
    """Write a study on files into a folder; return what was guessed, and what its check finds."""
    from workbench.data.draft import sentences, study_text
    from workbench.data.inspect import inspect

    found, path = inspect(kind, written)
    source = Path(os.path.relpath(path.parent.resolve() / path.name, folder.resolve())).as_posix()
    study = folder / "study.yaml"
    study.write_text(study_text(found, name, source), encoding="utf-8")
    loaded = _load(study)
    _ = loaded.indicators() if kind == "indicators" else loaded.learning_metrics()  # or it says why
    odd = [
        f"check: {each.level}: {each.message} ({each.count:,})" for each in loaded.check().problems
    ]
    return (*sentences(found), *(odd or ["check: nothing odd was found."]))


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `folder` at the end, or deleted after an error."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(f"{folder} is there and not empty; name a folder that is new or empty")
    half = folder.absolute().with_name(f".{folder.absolute().name}.{os.getpid()}")
    try:
        half.parent.mkdir(parents=True, exist_ok=True)
        half.mkdir()
        yield half
        if folder.is_dir():
            folder.rmdir()
        half.rename(folder)
    except OSError as error:
        raise StudyError(
            f"{folder} cannot be written ({error.strerror}); name a folder of your own"
        ) from None
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _load(path: Path) -> Study:
    from workbench.study import Study

    return Study.load(path)


def _newest(study: Study, as_of: str) -> str:
    """Return the newest iteration with a hypothesis that has begun by `as_of`, or else the newest."""
    study.spec.require_counts()
    begun = [each for each in study.spec.iterations if not as_of or _begun(each, as_of)]
    if not begun:
        raise StudyError(f"no iteration has begun by {as_of}; give a later --as-of, or none")
    begun.sort(key=lambda each: str(each.start or ""))
    tested = {each.iteration for each in study.spec.stated}
    return next((each.name for each in reversed(begun) if each.name in tested), begun[-1].name)


def _begun(iteration: Iteration, as_of: str) -> bool:
    from workbench.schema.time import moment

    try:
        day = moment(as_of)
    except ValueError as error:
        raise StudyError(f"--as-of: {error}") from None
    return iteration.start is None or iteration.start.isoformat()[:10] <= day.isoformat()[:10]


def _show(frame: pd.DataFrame, form: Format) -> None:
    rows: list[Mapping[str, Any]] = [
        dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)
    ]
    show(rows, [str(name) for name in frame.columns], form)


def _usage(error: Any) -> str:
    """Return an error of usage as one sentence."""
    command = error.ctx.command_path if error.ctx else "workbench"
    said = error.format_message().rstrip(".").replace("Value error, ", "")
    if "No such command" in said and error.ctx:
        name = said.split("'")[1]
        said = unknown_name("command", name, error.ctx.command.list_commands(error.ctx))
    return f"{said[:1].lower()}{said[1:]}; see {command} --help"
