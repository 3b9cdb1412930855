"""Many processes that look at one study at the same moment."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from support.ledger_writers import fork

from workbench import Study

WRITERS = 20


MOMENTS = ("2026-01-14", "2026-01-21", "2026-01-28", None)


def looks_at_once(path: Path) -> None:
    """Let every writer look at the same iteration as of one of a few moments."""
    for heavy in ("duckdb", "pandas", "psycopg", "scipy.optimize", "scipy.special", "sqlalchemy"):
        import_module(heavy)  # once for all of them, and nothing that has threads is open yet
    started = Study.load(path)

    def work(writer: int) -> None:
        started.evaluate("1", MOMENTS[writer % len(MOMENTS)], record=True)

    children = [fork(lambda writer=writer: work(writer)) for writer in range(WRITERS)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * WRITERS
