"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import postgres

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
]


def pytest_configure() -> None:
    """Keep what a test starts from reading the settings of the person who runs it."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the folder that holds the project."""
    return ROOT


@pytest.fixture(scope="session")
def bundled(root: Path) -> Path:
    """Give the study file of the bundled study."""
    return root / "studies" / "guided-import" / "study.yaml"


@pytest.fixture(scope="session")
def real_data(root: Path) -> Path:
    """Give the folder of real data, or skip on a machine that has none."""
    folder = Path(os.environ.get("WORKBENCH_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; name its folder in WORKBENCH_DATA")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Give the URL of a PostgreSQL server that lasts as long as the tests, or skip and say why."""
    try:
        with postgres.running() as url:
            yield url
    except postgres.CannotStartError as missing:
        pytest.skip(f"no PostgreSQL server: {missing}")


@pytest.fixture(scope="module")
def browser():
    """Give a headless Chromium; without one fail under CI, and skip elsewhere."""
    path = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    if path is None:
        missing = "no Chromium; install it with: apt-get install chromium (or put it on the PATH)"
        pytest.fail(missing) if "CI" in os.environ else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def schema(postgresql: str) -> str:
    """Give a URL of the server at which nothing is yet: a schema of its own."""
    import psycopg

    name = f"s{uuid.uuid4().hex}"
    with psycopg.connect(postgresql) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{postgresql}&options=-csearch_path%3D{name}"
