"""Announcing: what the command line says of published reports, and of verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.terminal import Format, as_json, show, tell, write

if TYPE_CHECKING:
    from workbench.editions import Edition
    from workbench.reports import Published, PublishedVerdict

VERDICT = ["hypothesis", "verdict", "sentence"]
FILES = ("html", "notebook", "result", "index")


def say(verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Write each verdict in a sentence."""
    for row in verdicts:
        write(f"{row['hypothesis']}: {row['verdict']}. {row['sentence']}")


def announce(published: Published, form: Format) -> None:
    """Say where a report lies, and its verdicts."""
    content = {**_files(published), "verdicts": _rows(published.verdicts)}
    _write([published], published.verdicts, content, form)
    if published.index is not None:
        tell(f"All reports of the study: {published.index}")


def announce_all(made: Edition, form: Format) -> None:
    """Say where all reports lie, the verdicts, and what there is no report of, and why."""
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
        say(_rows(verdicts))


def _rows(verdicts: Sequence[PublishedVerdict]) -> list[dict[str, Any]]:
    return [asdict(each) for each in verdicts]


def _files(published: Published) -> dict[str, str | None]:
    """Name the files of a report, and the index that lists it, if one does."""
    paths = {name: getattr(published, name) for name in FILES}
    return {name: None if path is None else str(path) for name, path in paths.items()}
