from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from support.notebooks_for_tests import FINISH, notebook

from workbench.reports.kernel import run

VALUES = {"iteration": "2026.1"}


def test_a_whole_run_has_no_failure():
    seen = []
    done = run(
        notebook("# Prose", "", "iteration", FINISH), VALUES, progress=lambda *n: seen.append(n)
    )
    assert done.failure is None
    assert "'2026.1'" in str(done.notebook.cells[4].outputs)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_kernel_is_this_python_and_finds_this_workbench(root):
    source = "import sys, workbench.errors as e; print(sys.executable, e.__file__, sep='\\n')"
    done = run(notebook(source), {})
    assert done.failure is None
    assert done.notebook.cells[1].outputs[0].text.split() == [
        sys.executable,
        str(root / "workbench" / "errors.py"),
    ]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("import os; os._exit(0)", "the kernel died"),
        ("1 +", "SyntaxError"),
    ],
)
def test_the_cell_that_stopped_it_is_named(cell, reason):
    done = run(notebook("x = 1", cell, "y = 1"), VALUES)
    assert reason in done.failure.reason
    assert (done.failure.cell, done.failure.source) == (4, cell)


def test_a_cell_that_takes_too_long_is_named():
    done = run(notebook("import time; time.sleep(60)"), VALUES, cell_timeout=timedelta(seconds=1))
    assert "took longer than the 0:00:01" in done.failure.reason
    assert done.failure.cell == 3


def test_a_failure_shows_the_first_lines_of_the_cell():
    lines = [f"x{number} = {number}" for number in range(8)]
    done = run(notebook("\n".join([*lines, "1 / 0"])), {})
    assert str(done.failure).splitlines() == [
        "code cell 2: ZeroDivisionError: division by zero",
        "    x0 = 0",
        "    x1 = 1",
        "    x2 = 2",
        "    x3 = 3",
        "    ...",
    ]


def test_nothing_is_said_by_the_kernel_or_papermill(capfd):
    run(notebook("import os, sys; os.write(2, b'noise'); sys.exit(0)"), {})
    assert capfd.readouterr() == ("", "")
