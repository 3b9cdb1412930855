"""The index of reports: what it lists, that it forgets none, and that names stay text."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from workbench import index

SCRIPT = "<script>alert(1)</script>"
VERDICT = {"hypothesis": "preview-helps", "version": 2, "verdict": "supported", "sentence": "Yes."}


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


def shown(folder, order=()) -> Page:
    return Page(index.rebuild(folder, order).read_text("utf-8"))


def test_iterations_by_templates_the_newest_first(tmp_path):
    for name in ("2026.9", "2026.10"):
        report(tmp_path, name, evaluations=[VERDICT])
    report(tmp_path, "2026.10", "release_review", innovation={"state": "not yet"})
    page = shown(tmp_path, ["2026.9", "2026.10"])
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
    old = {**VERDICT, "verdict": "inconclusive", "label": "inconclusive: looked early"}
    report(tmp_path, "1", evaluations=[old], as_of="2026-02-01T00:00:00+00:00")
    report(tmp_path, "1", "release_review", evaluations=[VERDICT])
    page = shown(tmp_path)
    assert "supported" in page.words
    assert "looked early" not in page.words


def test_half_a_success_is_told_from_a_whole_one(tmp_path):
    report(tmp_path, "1", evaluations=[{**VERDICT, "label": "supported, but paid is at risk"}])
    assert "wb-but" in index.rebuild(tmp_path).read_text("utf-8")


def test_reports_on_the_study_as_a_whole_and_without_times(tmp_path):
    report(tmp_path, "", "indicator_review", as_of=None)
    report(tmp_path, "first", as_of=None)
    page = shown(tmp_path)
    assert page.links == ["first/hypothesis_report.html", "indicator_review.html"]
    assert "On the study as a whole: Indicator review" in page.words
    assert "1 iteration2 reports" in page.words


def test_several_studies_in_one_folder_have_a_table_each(tmp_path):
    report(tmp_path, "1")
    report(tmp_path, "2", study={"name": "t", "title": "Another"})
    page = shown(tmp_path)
    assert (page.names.count("h1"), page.names.count("h2"), page.names.count("table")) == (1, 1, 2)


@pytest.mark.parametrize("text", ["", "[1]", '{"study": 1}', "{", '{"a": 1}'])
def test_files_that_are_no_twins_are_passed_by(tmp_path, text):
    report(tmp_path, "1").with_suffix(".json").write_text(text, encoding="utf-8")
    assert "Nothing is published yet." in shown(tmp_path).words


def test_a_twin_without_its_page_is_passed_by(tmp_path):
    report(tmp_path, "1").unlink()
    assert shown(tmp_path).links == []


def test_the_page_loads_nothing_and_names_stay_text(tmp_path):
    part = "Q1-2026-<b>"
    hostile = {**VERDICT, "hypothesis": SCRIPT, "verdict": SCRIPT, "label": SCRIPT}
    title = {"name": "s", "title": SCRIPT}
    path = report(
        tmp_path, f"{SCRIPT}&", 'my "own"', part, study=title, evaluations=[hostile], as_of=SCRIPT
    )
    text = index.rebuild(tmp_path).read_text("utf-8")
    page = Page(text)
    assert not {"script", "img", "iframe"} & set(page.names)
    assert page.words.count(SCRIPT) >= 4
    assert "default-src 'none'" in text
    assert [tmp_path / unquote(each) for each in page.links] == [path]


def test_a_reader_never_meets_half_an_index(tmp_path, monkeypatch):
    report(tmp_path, "1")
    target = index.rebuild(tmp_path)
    before = target.read_bytes()

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(index, "page", fail)
    with pytest.raises(MemoryError):
        index.rebuild(tmp_path)
    assert target.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1", "index.html"]


def publish_one(folder: str, number: int) -> None:
    report(Path(folder), f"r{number}")
    index.rebuild(Path(folder))


def test_reports_published_at_once_are_all_listed(tmp_path):
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(publish_one, [str(tmp_path)] * 20, range(20)))
    page = Page((tmp_path / "index.html").read_text("utf-8"))
    assert sorted(page.links) == sorted(f"r{number}/hypothesis_report.html" for number in range(20))
    assert not list(tmp_path.glob(".*"))
