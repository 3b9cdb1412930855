"""A release review and the index in headless Chromium: as those who decide meet them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

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
WHOLE = f"""\
innovation: {{adoption_rate: 0.4, outcome_rate: 0.25, customers: 20}}
ideas:
  - name: "{SCRIPT}"
    statement: "Who can take {SCRIPT} back dares to finish it."
    metric: imported
    minimum_effect: 0.1
    impact: [4, 8]
    ease: 5
    evidence: [F-1]
feedback: {{source: feedback.csv}}
strategy:
  source: strategy.csv
  metrics:
    "{SCRIPT}": {{area: financial impact, unit: EUR, baseline: 100, target: 160, by: 2027-12-31,
                 fed_by: [imported, "renewed {SCRIPT}"]}}
"""
FLOW = f"""\
  window: 7d
  return_window: 7d
  outcome: {{"renewed {SCRIPT}": renewed}}
  outcome_window: 14d
"""


def write_study(folder):
    """Write a study with every part, whose names try to be markup."""
    text = STUDY.replace("  window: 7d\n", FLOW)
    (folder / "study.yaml").write_text(text + WHOLE, encoding="utf-8")
    write_events(folder / "events.csv")
    start = datetime(2026, 1, 5, 9, tzinfo=UTC)
    with (folder / "events.csv").open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        for number in range(4, 160, 5):
            entered = start + timedelta(hours=8 * number)
            who = SCRIPT if number % 2 else "blank"
            for days, name in ((2, "opened"), (3, "previewed"), (5, "renewed")):
                at = (entered + timedelta(days=days)).isoformat()
                rows.writerow([f"c{number}", name, at, who, DOLLARS])
    remarks = [
        f'F-{number},2026-02-20,user test,c{100 + number},imported,"{SCRIPT}",negative,"{SCRIPT}"'
        for number in range(1, 6)
    ]
    head = "id,date,source,customer,step,theme,sentiment,quote"
    (folder / "feedback.csv").write_text("\n".join([head, *remarks]) + "\n", encoding="utf-8")
    months = [f'"{SCRIPT}",2025-{month:02},{100 + month % 5}' for month in range(1, 13)]
    (folder / "strategy.csv").write_text("\n".join(["metric,period,value", *months]) + "\n")
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    study = write_study(tmp_path_factory.mktemp("hostile"))
    return publish(study, iteration="2026.2", template="release_review")


@pytest.fixture(params=["html", "index"])
def page(request, browser, published):
    """Open the review, or the index that lists it; what it asks for and what it says is kept."""
    page = browser.new_page(viewport={"width": 1100, "height": 1400})
    page.asked, page.said, page.path = [], [], getattr(published, request.param)
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
    page.goto(page.path.as_uri())
    yield page
    page.close()


def test_no_request_leaves_the_pages_and_nothing_goes_wrong(page):
    assert [url for url in page.asked if not url.startswith("data:")] == [page.path.as_uri()]
    assert page.said == []


def test_names_from_data_stay_text(page):
    assert page.locator("script").count() == 0
    assert SCRIPT in page.locator("main").inner_text()
    assert SCRIPT in page.locator("h1").inner_text()


def test_the_pages_can_be_read_by_everybody(page):
    for figure in page.locator("img").all():
        assert len(figure.get_attribute("alt")) > 40
        assert figure.evaluate("each => each.complete && each.naturalWidth > 0")
    check_tables(page)
    check_headings(page)
    check_contrast(page)
    for width in (360, 768, 1100):
        check_width(page, width)


def test_links_lead_somewhere(page):
    for link in page.locator("main a").all():
        page_of, _, section = link.get_attribute("href").partition("#")
        if section:
            assert page.locator(f"[id='{section}']").count() == 1
        else:
            assert (page.path.parent / page_of).is_file()


@pytest.mark.parametrize("page", ["html"], indirect=True)
def test_the_review_answers_in_its_order(page):
    sections = page.locator("main h2").all_inner_texts()
    assert sections[0] == "Is it innovation yet?"
    assert sections[-2] == "The one next thing"
    badges = page.locator("article .wb-badge").all_inner_texts()
    assert len(badges) == 4
    assert page.locator("img").count() >= 10


@pytest.mark.parametrize("page", ["index"], indirect=True)
def test_the_index_leads_to_the_review(page, published):
    page.locator("main a").first.press("Enter")
    page.wait_for_url(published.html.as_uri())
    assert page.locator("main h2").first.inner_text() == "Is it innovation yet?"
