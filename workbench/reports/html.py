"""Pages: an executed notebook as one self-contained file, and the index of a study's reports."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import display
from workbench.display import Badge

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from nbformat import NotebookNode

NOTEBOOK_ONLY = "notebook-only"
NAME = "index"
FIRST = (
    "release_review",
    "hypothesis_report",
    "iteration_plan",
    "indicator_review",
    "programme_review",
)
NOTHING = "–"
STATE, VERDICTS = "Is it innovation yet?", "Verdicts"


def page(notebook: NotebookNode, *, title: str) -> str:
    """Return an executed notebook as one self-contained page: prose and outputs, no code.

    Cells tagged `notebook-only` are left out. Figures are embedded with their alternative text. The
    page's policy forbids scripts, requests, and styles or fonts from elsewhere.

    Args:
        notebook: The notebook, with its outputs.
        title: The title of the page.
    """
    from bs4 import BeautifulSoup
    from nbconvert.exporters.html import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.TagRemovePreprocessor.remove_cell_tags = {NOTEBOOK_ONLY}
    config.HTMLExporter.exclude_anchor_links = True
    templates = resources.files("workbench").joinpath("html")
    with resources.as_file(templates) as folder:
        exporter = HTMLExporter(  # type: ignore[no-untyped-call]
            config=config,
            template_name="report",
            template_file="index.html.j2",
            extra_template_basedirs=[str(folder)],
            extra_template_paths=[str(folder)],
            filters={"base64_of_text": _base64},
        )
        written, _ = exporter.from_notebook_node(notebook, {"page_title": title})
    soup = BeautifulSoup(written, "html.parser")
    _add_contents(soup)
    return f"{soup}\n"


def _add_contents(soup: BeautifulSoup) -> None:
    """Return each section an id, and list links to the sections under the cover."""
    sections = soup.select("main h2")
    if not sections:
        return
    contents = soup.new_tag("nav", attrs={"aria-label": "Sections"})
    listed = soup.new_tag("ul")
    contents.append(listed)
    for number, section in enumerate(sections, start=1):
        words = section.get_text(" ", strip=True)
        slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
        section["id"] = f"section-{number}-{slug}".rstrip("-")
        item = soup.new_tag("li")
        link = soup.new_tag("a", href=f"#{section['id']}")
        link.string = words
        item.append(link)
        listed.append(item)
    cover = soup.select_one("main header, main h1")
    if cover is None:
        sections[0].insert_before(contents)
    else:
        cover.insert_after(contents)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def write_beside(target: Path, text: str) -> Path:
    """Write a text to a temporary file beside `target`; return its path."""
    source = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    with source.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return source


@contextmanager
def cleaned_up() -> Iterator[dict[Path, Path]]:
    """Collect temporary files by their targets; delete those that were not moved there."""
    written: dict[Path, Path] = {}
    try:
        yield written
    finally:
        for source in written.values():
            source.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock a folder against other writers, on systems that have file locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@dataclass(frozen=True)
class IndexEntry:
    """A published report, as its JSON file describes it."""

    page: str
    template: str
    content: Mapping[str, Any]

    @property
    def study(self) -> tuple[str, str]:
        """The study's name and title."""
        study = self.content["study"]
        return str(study.get("name", "")), str(study.get("title") or study.get("name", ""))

    @property
    def iteration(self) -> str:
        """The iteration's name; empty for a report on the study as a whole."""
        return str(self.content.get("iteration") or "")

    @property
    def seen(self) -> str:
        """The time of the newest data, as ISO text; empty for data without times."""
        return str(self.content.get("as_of") or "")

    @property
    def name(self) -> str:
        """The template's name as a reader sees it."""
        return _title(self.template)

    @property
    def until(self) -> str:
        """How far the data go, in words."""
        try:
            return f"data to {display.day(date.fromisoformat(self.seen[:10]))}"
        except ValueError:
            return "open"


def rebuild_index(folder: Path, order: Sequence[str] = ()) -> Path:
    """Write `index.html` for all reports in a folder, and return its path.

    The index is read from the JSON files beside the pages, under a lock, and put in place at once: it
    lists every report, also of several that are published at the same time.

    Args:
        folder: The folder; reports lie in it and in the folders in it.
        order: The names of the study's iterations, the oldest first.
    """
    target = folder / f"{NAME}.html"
    with alone_in(folder), cleaned_up() as written:
        written[target] = write_beside(target, _index(read_entries(folder), order))
        written[target].replace(target)
    return target


def read_entries(folder: Path) -> list[IndexEntry]:
    """Read the JSON file of each report in a folder and in the folders in it; skip other files."""
    found = []
    for path in sorted([*folder.glob("*.json"), *folder.glob("*/*.json")]):
        shown = path.with_suffix(".html")
        content = _read(path)
        if content is not None and shown.is_file():
            found.append(IndexEntry(shown.relative_to(folder).as_posix(), path.stem, content))
    return found


def _index(found: Iterable[IndexEntry], order: Sequence[str]) -> str:
    studies: dict[str, list[IndexEntry]] = {}
    for each in found:
        studies.setdefault(each.study[0], []).append(each)
    shown = [_study(reports, order) for reports in studies.values()]
    titles = ", ".join(each["title"] for each in shown)
    names = {"STATE": STATE, "VERDICTS": VERDICTS, "NOTHING": NOTHING}
    title = f"Reports: {titles}" if titles else "Reports"
    return display.render("reports_index", title=title, studies=shown, **names)


def _study(reports: Sequence[IndexEntry], order: Sequence[str]) -> dict[str, Any]:
    """Return what the index shows of a study: a row per iteration, a column per template."""
    rows: dict[str, list[IndexEntry]] = {}
    for each in reports:
        rows.setdefault(each.iteration, []).append(each)
    whole = rows.pop("", [])
    templates = list(dict.fromkeys(each.template for each in reports if each.iteration))
    templates.sort(key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    places = {name: place for place, name in enumerate(order)}
    names = sorted(rows, key=lambda name: (places.get(name, -1), name), reverse=True)
    listed = [
        {
            "iteration": name,
            "state": _state(rows[name]),
            "verdicts": _verdicts(rows[name]),
            "reports": [
                (_title(one), [each for each in rows[name] if each.template == one])
                for one in templates
            ],
        }
        for name in names
    ]
    states = any(each["state"] for each in listed)
    verdicts = any(each["verdicts"] for each in listed)
    headings = ["Iteration", *[STATE] * states, *[VERDICTS] * verdicts, *map(_title, templates)]
    return {
        "title": reports[-1].study[1],
        "facts": [_many(len(names), "iteration"), _many(len(reports), "report")],
        "headings": headings,
        "has_states": states,
        "has_verdicts": verdicts,
        "rows": listed,
        "whole": whole,
    }


def _verdicts(reports: Sequence[IndexEntry]) -> list[tuple[Badge, str]]:
    """Return the verdicts of the report with the newest data, and what each is about."""
    judged = [each for each in reports if each.content.get("evaluations")]
    if not judged:
        return []
    newest = max(judged, key=lambda each: each.seen)
    found = []
    for each in _mappings(newest.content["evaluations"]):
        verdict, label = str(each.get("verdict", "")), str(each.get("label") or each.get("verdict"))
        kind = str(each.get("kind") or ("but" if label != verdict == "supported" else verdict))
        about = f"{each.get('hypothesis', '')} {each.get('version', '')}".strip()
        found.append((Badge(label, kind), about))
    return found


def _state(reports: Sequence[IndexEntry]) -> Badge | None:
    """Return whether it is innovation, according to the report with the newest data."""
    told = [each for each in reports if isinstance(each.content.get("innovation"), Mapping)]
    if not told:
        return None
    newest = max(told, key=lambda each: each.seen)
    return Badge(str(newest.content["innovation"].get("state", "")))


def _title(template: str) -> str:
    return display.capital(" ".join(template.replace("_", " ").split()))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _read(path: Path) -> dict[str, Any] | None:
    """Read the JSON file of a report; None for any other file."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("study"), dict):
        return None
    return content


def _mappings(found: object) -> list[Mapping[str, Any]]:
    every = found if isinstance(found, list) else []
    return [each for each in every if isinstance(each, Mapping)]
