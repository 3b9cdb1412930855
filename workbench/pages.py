"""An executed notebook as one self-contained HTML page: nothing is loaded, no script runs."""

from __future__ import annotations

import base64
import re
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from nbformat import NotebookNode

NOTEBOOK_ONLY = "notebook-only"


def page(notebook: NotebookNode, *, title: str) -> str:
    """Write an executed notebook as a page: prose and outputs, no code.

    Cells tagged `notebook-only` are left out. Figures are embedded with their alternative text,
    and the page forbids scripts, requests and external styles or fonts, whatever its cells hold.
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
    """Give each section an address, and list the sections under the cover."""
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
