from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.pages import NOTEBOOK_ONLY, page

SCRIPT = "<script>alert(1)</script>"


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
