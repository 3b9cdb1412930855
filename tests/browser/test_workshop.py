"""The workshop as a room meets it: the notebook under Voila, in headless Chromium."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STARTS_WITHIN = 60.0  # seconds, on a busy machine
OURS = ("workbench", "wb-", "Traceback", "SyntaxError", "TypeError", "ReferenceError")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(address):
    try:
        urllib.request.urlopen(address, timeout=1)  # noqa: S310 - our own server
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def served(root, tmp_path_factory):
    """Serve a copy of the notebook, since findings are written beside its study."""
    pytest.importorskip("voila", reason="no Voila; install it with: pip install 'workbench[lab]'")
    folder = tmp_path_factory.mktemp("workshop")
    shutil.copytree(root / "notebooks", folder / "notebooks")
    shutil.copytree(
        root / "studies" / "guided-import",
        folder / "studies" / "guided-import",
        ignore=shutil.ignore_patterns("reports", "ledger*", "findings.csv"),
    )
    port = free_port()
    command = [
        *(sys.executable, "-m", "voila", "--no-browser", f"--port={port}"),
        *("--Voila.ip=127.0.0.1", "--template=workshop"),
        str(folder / "notebooks" / "indicator_workshop.ipynb"),
    ]
    environment = {**os.environ, "JUPYTER_PATH": str(folder / "notebooks")}
    log = (folder / "voila.log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    address = f"http://127.0.0.1:{port}/"
    try:
        until = time.monotonic() + STARTS_WITHIN
        while not answers(f"{address}voila/static/"):
            said = (folder / "voila.log").read_text(encoding="utf-8")
            assert server.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.2)
        yield address, folder
    finally:
        server.terminate()
        server.wait(timeout=10)
        log.close()


@pytest.fixture(scope="module")
def page(served, browser):
    """Open the workshop once; what it asks for and what it says is kept."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("websocket", lambda socket: page.asked.append(socket.url))
    page.on("console", lambda message: page.said.append((message.type, message.text)))
    page.on("pageerror", lambda error: page.said.append(("error", str(error))))
    page.goto(served[0], wait_until="commit", timeout=STARTS_WITHIN * 1000)
    page.get_by_role("button", name="Keep this finding").wait_for(timeout=STARTS_WITHIN * 1000)
    page.get_by_role("button", name="Learned weights").wait_for(timeout=STARTS_WITHIN * 1000)
    return page


def sentence(page):
    return page.locator(".wb-shop p").first.inner_text()


def figures(page):
    """Give the figures of the explorer by what stands for them."""
    every = page.locator(".wb-shop img")
    return [every.nth(place).get_attribute("alt") for place in range(3)]


def changed(page, before):
    """Wait for another sentence, and give it."""
    page.wait_for_function(
        "before => document.querySelector('.wb-shop p').innerText !== before", arg=before
    )
    return sentence(page)


def test_dragging_the_lag_moves_the_figures_and_the_sentence(page):
    said, drawn = sentence(page), figures(page)
    assert "Levels are shown but never decide." in said
    handle = page.get_by_role("slider").first
    handle.focus()
    handle.press("ArrowRight")
    now = changed(page, said)
    assert "at a lag of 3 weeks" in now
    assert all(one != other for one, other in zip(drawn, figures(page), strict=True))
    first = page.locator(".wb-shop img").first
    assert first.evaluate("each => each.complete && each.naturalWidth > 0")


def test_another_view_and_another_pair_change_the_sentence(page):
    said = sentence(page)
    page.get_by_role("button", name="prewhitened").click()
    said = changed(page, said)
    assert said.startswith("The prewhitened values of activity and tickets")
    page.get_by_label("leading", exact=True).select_option("nps")
    said = changed(page, said)
    page.get_by_label("lagging", exact=True).select_option("renewal")
    said = changed(page, said)
    assert said.startswith("The prewhitened values of nps and renewal")
    page.get_by_role("button", name="Go to the best lag").click()
    assert "at a lag of 4 weeks, outside the band" in changed(page, said)


def test_a_finding_is_kept_beside_the_study(page, served):
    page.get_by_role("button", name="Keep this finding").click()
    page.get_by_role("rowheader", name="nps before renewal").wait_for()
    path = served[1] / "studies" / "guided-import" / "findings.csv"
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["leading"], row["lagging"], row["lag"]) == ("nps", "renewal", "4")
    page.get_by_role("button", name="Draft a hypothesis").click()
    assert "minimum_effect" in page.locator(".wb-shop pre").last.inner_text()


def test_a_weight_that_moves_changes_what_the_score_is_worth(page):
    board = page.locator(".wb-shop p", has_text="out of time, from")
    assert board.inner_text().startswith("Learned weights")
    handle = page.get_by_role("slider").nth(1)
    handle.focus()
    handle.press("ArrowLeft")
    page.locator(".wb-shop p", has_text="These weights").wait_for()


def test_nothing_is_fetched_from_outside_and_nothing_of_ours_goes_wrong(page):
    outside = [
        url
        for url in page.asked
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
    ]
    assert outside == []
    errors = [text for kind, text in page.said if kind == "error"]
    assert [text for text in errors if any(each in text for each in OURS)] == []
    assert not [text for text in errors if "Failed to load" in text]
