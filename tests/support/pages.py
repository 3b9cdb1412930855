"""A study whose names are hostile, and what every published page must do in a browser."""

from __future__ import annotations

import csv
import itertools
from datetime import UTC, datetime, timedelta

SCRIPT = "<script>alert(1)</script>"


DOLLARS = "$x_1$ *a* _b_"


STUDY = f"""\
name: hostile
title: "Imports & '{SCRIPT}'"
events:
  source: events.csv
  customer: customer_id
  event: event
  time: occurred_at
  timezone: UTC
groupings:
  variant: experiment
  company_size: segment
flow:
  trigger: opened
  steps:
    - previewed: previewed
    - imported: imported
  window: 7d
iterations:
  - {{name: "2026.1", start: 2026-01-05, end: 2026-02-02}}
  - {{name: "2026.2", start: 2026-02-02, end: 2026-03-02}}
hypotheses:
  - name: preview-helps
    version: 1
    statement: "Customers who see {SCRIPT} import & stay."
    metric: imported
    iteration: "2026.2"
    control: {{variant: blank}}
    treatment: {{variant: "{SCRIPT}"}}
    alternative: greater
    minimum_effect: 0.05
    alpha: 0.05
    power: 0.8
"""


def write_events(path):
    """Write customers who differ in nothing but names that try to be markup."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["customer_id", "event", "occurred_at", "variant", "company_size"])
        for number in range(160):
            start = datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(hours=8 * number)
            who = [SCRIPT if number % 2 else "blank", SCRIPT if number % 3 else DOLLARS]
            names = ["opened", *["previewed", "imported"][: number % 5], SCRIPT]
            for hours, name in enumerate(names):
                at = (start + timedelta(hours=hours)).isoformat()
                rows.writerow([f"c{number}", name, at, *who])


def check_headings(page):
    levels = page.eval_on_selector_all(
        "h1, h2, h3, h4, h5, h6", "all => all.map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def check_tables(page):
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("html").get_attribute("lang") == "en"


def check_width(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def check_contrast(page):
    """WCAG 2.1, 1.4.3: at least 4.5 to 1."""
    faint = page.evaluate(
        """() => {
          const light = ([r, g, b]) => {
            const part = each => (each /= 255) <= 0.04045 ? each / 12.92
              : ((each + 0.055) / 1.055) ** 2.4;
            return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
          };
          const numbers = text => text.match(/[\\d.]+/g).map(Number);
          const ground = each => {
            for (; each; each = each.parentElement) {
              const found = numbers(getComputedStyle(each).backgroundColor);
              if (found.length < 4 || found[3] > 0) return found;
            }
            return [255, 255, 255];
          };
          return [...document.querySelectorAll("main *")]
            .filter(each => [...each.childNodes].some(node => node.nodeType === 3
              && node.textContent.trim()))
            .filter(each => !each.closest("style"))
            .map(each => {
              const [one, two] = [light(numbers(getComputedStyle(each).color)),
                light(ground(each))].sort((a, b) => b - a);
              return [(one + 0.05) / (two + 0.05), each.outerHTML.slice(0, 120)];
            })
            .filter(([ratio]) => ratio < 4.5);
        }"""
    )
    assert faint == []
