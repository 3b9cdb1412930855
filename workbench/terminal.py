"""What the command line writes: tables, JSON or CSV, progress, published reports and verdicts.

Data goes to stdout, everything else to stderr. No cell is shortened: in a pipe a column is as wide as
its longest cell, on a terminal it folds.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from workbench.display import UNDEFINED, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workbench.reports.publish import IterationReports, Published, PublishedVerdict

    Row = Mapping[str, Any]

VERDICT = ["hypothesis", "verdict", "sentence"]
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)  # and what turns the direction of text
NUMBER = re.compile(r"-(\d+(\.\d+)?)?")  # no formula, though it begins like one
FORMULA = ("=", "+", "-", "@", "\t", "\r")
FILES = ("html", "notebook", "result", "index")


class Format(StrEnum):
    """The format of data on stdout."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def show(rows: Sequence[Row], columns: Sequence[str], form: Format) -> None:
    """Write rows to stdout, with the columns in this order."""
    if form is Format.JSON:
        write(as_json([{name: row.get(name) for name in columns} for row in rows]))
    elif form is Format.CSV:
        write(as_csv(rows, columns))
    elif sys.stdout.isatty():
        _draw(rows, columns)
    else:
        write(as_text(rows, columns))


def write(text: str) -> None:
    """Write a line of data to stdout."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(f"{visible(text)}\n")


def visible(text: str) -> str:
    r"""Write control characters of data as escapes, so that they command no terminal.

    >>> visible("two\nlines, \x1b[31mred")
    'two\nlines, \\x1b[31mred'
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def as_text(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as aligned text, numbers to the right.

    >>> print(as_text([{"step": "mapped", "rate": 0.5, "closed": 8}], ["step", "rate", "closed"]))
    step      rate  closed
    mapped  0.5000       8
    """
    cells = [list(columns), *([_written(row.get(name), name) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [_numeric(rows, name) for name in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as CSV with all digits; an undefined value is an empty cell.

    >>> print(as_csv([{"step": "mapped, by hand", "rate": float("nan")}], ["step", "rate"]))
    step,rate
    "mapped, by hand",
    """
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [plain(row.get(name)) for name in columns]
        writer.writerow(
            json.dumps(value, ensure_ascii=False)
            if isinstance(value, dict | list)
            else _as_text_cell(value)
            for value in values
        )
    return out.getvalue().rstrip("\n")


def _as_text_cell(value: Any) -> Any:
    """Return a value of which a spreadsheet makes no formula: text that would begin one gets a quote."""
    begins = isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value)
    return f"'{value}" if begins else value


def as_json(value: object) -> str:
    """Return a value as JSON with all digits; an undefined value is null.

    >>> print(as_json({"rate": float("nan")}))
    {
      "rate": null
    }
    """
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


@contextmanager
def working(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield a function that takes the parts done and all parts."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, parts: bar.update(task, completed=done, total=parts)


def _draw(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        right = _numeric(rows, name)
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(Text(_written(row.get(name), name)) for name in columns))
    Console().print(table)


def _numeric(rows: Sequence[Row], name: str) -> bool:
    values = [value for row in rows if (value := plain(row.get(name))) is not None]
    return all(isinstance(value, int | float) for value in values)


def _written(value: object, name: str) -> str:
    value = plain(value)
    if value is None:
        return UNDEFINED
    if isinstance(value, float):
        return f"{value:.1f}" if "hours" in name else f"{value:.4f}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_written(each, key)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(_written(each, name) for each in value)
    return visible(" ".join(str(value).split()))


def write_verdicts(verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Write a sentence per verdict to stdout."""
    for row in verdicts:
        write(visible(f"{row['hypothesis']}: {row['verdict']}. {row['sentence']}"))


def announce(published: Published, form: Format) -> None:
    """Write where a report lies, and its verdicts."""
    content = {**_files(published), "verdicts": _rows(published.verdicts)}
    _write([published], published.verdicts, content, form)
    if published.index is not None:
        tell(f"All reports of the study: {published.index}")


def announce_all(made: IterationReports, form: Format) -> None:
    """Write where all reports lie, the verdicts, and why there is no report from other templates."""
    content = {
        "reports": {name: _files(each) for name, each in made.published.items()},
        "verdicts": _rows(made.verdicts),
        "left_out": made.left_out,
        "failed": made.failed,
    }
    _write(list(made.published.values()), made.verdicts, content, form)
    for template, reason in made.left_out.items():
        tell(f"Left out {template}: {reason}")
    if made.index is not None:
        tell(f"All reports of the study: {made.index}")
    for reason in dict.fromkeys(made.failed.values()):
        tell(f"workbench: {reason}")


def _write(
    published: Sequence[Published],
    verdicts: Sequence[PublishedVerdict],
    content: Mapping[str, Any],
    form: Format,
) -> None:
    if form is Format.JSON:
        write(as_json(content))
    elif form is Format.CSV:
        show(_rows(verdicts), VERDICT, form)
    else:
        for each in published:
            write(str(each.html))
        write_verdicts(_rows(verdicts))


def _rows(verdicts: Sequence[PublishedVerdict]) -> list[dict[str, Any]]:
    return [asdict(each) for each in verdicts]


def _files(published: Published) -> dict[str, str | None]:
    """Return the paths of a report's files and of its index, if it has one."""
    paths = {name: getattr(published, name) for name in FILES}
    return {name: None if path is None else str(path) for name, path in paths.items()}
