"""The index of reports: what it lists, that it forgets none, and that names stay text."""

from __future__ import annotations

import json
import re
from concurrent.futures import ProcessPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.reports import html
from workbench.reports.html import NOTEBOOK_ONLY, page

SCRIPT = "<script>alert(1)</script>"
INDEX_SCRIPT = "<script>alert(1)</script>"
VERDICT = {"hypothesis": "preview-helps", "version": 2, "verdict": "supported", "sentence": "Yes."}


def shown(*outputs, prose="## Rates\n\nSome *prose*.", title="A report"):
    cells = [
        new_markdown_cell("# Not for readers", metadata={"tags": [NOTEBOOK_ONLY]}),
        new_markdown_cell(prose),
        new_code_cell("secret = 1", outputs=list(outputs)),
    ]
    return BeautifulSoup(page(new_notebook(cells=cells), title=title), "html.parser")


def output(metadata=None, **data):
    named = {name.replace("_", "/", 1): text for name, text in data.items()}
    return new_output("display_data", data=named, metadata=metadata or {})


def svg(alt=None, drawn="<svg></svg>"):
    metadata = {"image/svg+xml": {"alt": alt}} if alt else {}
    data = {"image/svg+xml": drawn, "text/plain": "Plain words."}
    return new_output("display_data", data=data, metadata=metadata)


def test_the_page_forbids_everything_that_it_does_not_hold():
    soup = shown()
    policy = soup.select_one("meta[http-equiv=Content-Security-Policy]")["content"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert soup.html["lang"] == "en"
    assert soup.title.get_text() == "A report"


def test_nothing_is_loaded():
    soup = shown(svg("Words."))
    assert not soup.find_all("script")
    assert [each["href"] for each in soup.find_all("link")] == ["data:,"]
    assert all(each["src"].startswith("data:") for each in soup.find_all("img"))
    assert not re.search(r"url\(|@import|https?://", str(soup))


def test_prose_is_shown_and_code_is_not():
    text = shown().get_text()
    assert "Some prose." in text
    assert "secret" not in text
    assert "Not for readers" not in text


def test_sections_are_listed_and_have_addresses():
    soup = shown(prose="## Rates & more\n\nx\n\n## <i>Plan</i>")
    links = soup.select("nav a")
    assert [each.get_text() for each in links] == ["Rates & more", "Plan"]
    assert [soup.select_one(each["href"]).name for each in links] == ["h2", "h2"]


def test_a_page_without_sections_has_no_list():
    assert not shown(prose="Only prose.").find_all("nav")


@pytest.mark.parametrize("alt", ["A figure.", f'Of "{SCRIPT}" & more.'])
def test_a_figure_has_its_alternative_text(alt):
    image = shown(svg(alt)).select_one("figure img")
    assert image["alt"] == alt
    assert image["src"].startswith("data:image/svg+xml;base64,")


def test_a_figure_without_alternative_text_has_its_plain_text():
    assert shown(svg()).select_one("img")["alt"] == "Plain words."


def test_a_bitmap_is_shown_at_its_width():
    data = {"image/png": "aGVsbG8=", "text/plain": "Bits."}
    metadata = {"image/png": {"width": 320, "alt": "A bitmap."}}
    image = shown(new_output("display_data", data=data, metadata=metadata)).img
    assert (image["width"], image["alt"]) == ("320", "A bitmap.")


def test_text_is_escaped():
    soup = shown(
        new_output("stream", name="stdout", text=SCRIPT), output(text_plain=SCRIPT), title=SCRIPT
    )
    assert not soup.find_all("script")
    assert str(soup).count("&lt;script&gt;") == 3


def test_warnings_are_for_the_notebook():
    assert "hush" not in shown(new_output("stream", name="stderr", text="hush")).get_text()


class Page(HTMLParser):
    """The links of a page, its elements, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.links += [str(value) for name, value in attrs if tag == "a" and name == "href"]

    def handle_data(self, data):
        self.words += data


def report(folder, iteration, template="hypothesis_report", part=None, **content) -> Path:
    """Lay a page and its twin where a report would be."""
    place = folder / (iteration if part is None else part)
    place.mkdir(parents=True, exist_ok=True)
    whole = {"study": {"name": "s", "title": "A study"}, "iteration": iteration or None}
    whole |= {"as_of": "2026-05-28T23:29:00+00:00", "evaluations": []} | content
    (place / f"{template}.html").write_text("<p>page", encoding="utf-8")
    (place / f"{template}.json").write_text(json.dumps(whole), encoding="utf-8")
    return place / f"{template}.html"


def index_shown(folder, order=()) -> Page:
    return Page(html.rebuild_index(folder, order).read_text("utf-8"))


def test_iterations_by_templates_the_newest_first(tmp_path):
    for name in ("2026.9", "2026.10"):
        report(tmp_path, name, evaluations=[VERDICT])
    report(tmp_path, "2026.10", "release_review", innovation={"state": "not yet"})
    page = index_shown(tmp_path, ["2026.9", "2026.10"])
    assert page.links == [
        "2026.10/release_review.html",
        "2026.10/hypothesis_report.html",
        "2026.9/hypothesis_report.html",
    ]
    assert "2 iterations3 reports" in page.words
    assert page.words.index("Release review") < page.words.index("Hypothesis report")
    assert page.words.count("supported preview-helps 2") == 2
    assert page.words.count("not yet") == 1
    assert "data to 28 May 2026" in page.words


def test_verdicts_are_those_on_the_newest_data(tmp_path):
    old = {**VERDICT, "verdict": "inconclusive", "label": "inconclusive: too early to say"}
    report(tmp_path, "1", evaluations=[old], as_of="2026-02-01T00:00:00+00:00")
    report(tmp_path, "1", "release_review", evaluations=[VERDICT])
    page = index_shown(tmp_path)
    assert "supported" in page.words
    assert "too early" not in page.words


def test_half_a_success_is_told_from_a_whole_one(tmp_path):
    report(tmp_path, "1", evaluations=[{**VERDICT, "label": "supported, but paid is at risk"}])
    assert "wb-but" in html.rebuild_index(tmp_path).read_text("utf-8")


def test_reports_on_the_study_as_a_whole_and_without_times(tmp_path):
    report(tmp_path, "", "indicator_review", as_of=None)
    report(tmp_path, "first", as_of=None)
    page = index_shown(tmp_path)
    assert page.links == ["first/hypothesis_report.html", "indicator_review.html"]
    assert "On the study as a whole: Indicator review" in page.words
    assert "1 iteration2 reports" in page.words


def test_several_studies_in_one_folder_have_a_table_each(tmp_path):
    report(tmp_path, "1")
    report(tmp_path, "2", study={"name": "t", "title": "Another"})
    page = index_shown(tmp_path)
    assert (page.names.count("h1"), page.names.count("h2"), page.names.count("table")) == (1, 1, 2)


@pytest.mark.parametrize("text", ["", "[1]", '{"study": 1}', "{", '{"a": 1}'])
def test_files_that_are_no_twins_are_passed_by(tmp_path, text):
    report(tmp_path, "1").with_suffix(".json").write_text(text, encoding="utf-8")
    assert "Nothing is published yet." in index_shown(tmp_path).words


def test_a_twin_without_its_page_is_passed_by(tmp_path):
    report(tmp_path, "1").unlink()
    assert index_shown(tmp_path).links == []


def test_the_page_loads_nothing_and_names_stay_text(tmp_path):
    part = "Q1-2026-<b>"
    hostile = {
        **VERDICT,
        "hypothesis": INDEX_SCRIPT,
        "verdict": INDEX_SCRIPT,
        "label": INDEX_SCRIPT,
    }
    title = {"name": "s", "title": INDEX_SCRIPT}
    path = report(
        tmp_path,
        f"{INDEX_SCRIPT}&",
        'my "own"',
        part,
        study=title,
        evaluations=[hostile],
        as_of=INDEX_SCRIPT,
    )
    text = html.rebuild_index(tmp_path).read_text("utf-8")
    page = Page(text)
    assert not {"script", "img", "iframe"} & set(page.names)
    assert page.words.count(INDEX_SCRIPT) >= 4
    assert "default-src 'none'" in text
    assert [tmp_path / unquote(each) for each in page.links] == [path]


def test_a_reader_never_meets_half_an_index(tmp_path, monkeypatch):
    report(tmp_path, "1")
    target = html.rebuild_index(tmp_path)
    before = target.read_bytes()

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(html, "_index", fail)
    with pytest.raises(MemoryError):
        html.rebuild_index(tmp_path)
    assert target.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1", "index.html"]


def publish_one(folder: str, number: int) -> None:
    report(Path(folder), f"r{number}")
    html.rebuild_index(Path(folder))


def test_reports_published_at_once_are_all_listed(tmp_path):
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(publish_one, [str(tmp_path)] * 20, range(20)))
    page = Page((tmp_path / "index.html").read_text("utf-8"))
    assert sorted(page.links) == sorted(f"r{number}/hypothesis_report.html" for number in range(20))
    assert not list(tmp_path.glob(".*"))
