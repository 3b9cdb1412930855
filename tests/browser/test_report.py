"""A published report in headless Chromium: as a reader meets it."""

from __future__ import annotations

import pytest
from support.pages import (
    DOLLARS,
    SCRIPT,
    STUDY,
    check_contrast,
    check_headings,
    check_tables,
    check_width,
    write_events,
)

from workbench.reports.publish import publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    write_events(folder / "events.csv")
    return publish(folder / "study.yaml", iteration="2026.2")


@pytest.fixture
def page(browser, published):
    """Open the report; what it asks for and what it says is kept."""
    page = browser.new_page(viewport={"width": 1100, "height": 1400})
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
    page.goto(published.html.as_uri())
    yield page
    page.close()


def test_no_request_leaves_the_page_and_nothing_goes_wrong(page, published):
    outside = [url for url in page.asked if not url.startswith("data:")]
    assert outside == [published.html.as_uri()]
    assert page.said == []


def test_every_figure_has_alternative_text_and_is_drawn(page):
    figures = page.locator("img").all()
    assert len(figures) >= 4
    for figure in figures:
        assert len(figure.get_attribute("alt")) > 40
        assert figure.evaluate("each => each.complete && each.naturalWidth > 0")


def test_names_from_data_stay_text(page):
    assert page.locator("script").count() == 0
    words = page.locator("main").inner_text()
    assert words.count(SCRIPT) >= 6
    assert DOLLARS in words
    assert SCRIPT in page.locator("h1").inner_text()
    assert any(SCRIPT in each.get_attribute("alt") for each in page.locator("img").all())


def test_the_verdict_is_met_first(page):
    first = page.locator("main h2").first
    assert first.inner_text() == "Verdict"
    badge = page.locator("article .wb-badge").first
    words = badge.inner_text().lower().replace(":", "").replace(",", "").split()
    assert {"supported", "refuted", "inconclusive", "invalid"} & {*words[:2]}
    assert badge.bounding_box()["y"] < 500


def test_the_sections_are_reached_by_their_links(page):
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1


def test_headings_are_in_order(page):
    check_headings(page)


def test_tables_have_scopes_and_captions(page):
    check_tables(page)


@pytest.mark.parametrize("width", [360, 768, 1100])
def test_the_page_fits_a_phone_and_a_desk(page, width):
    check_width(page, width)


def test_words_stand_out_from_their_background(page):
    check_contrast(page)
