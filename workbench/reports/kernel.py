"""Run a notebook in a kernel of its own, and find out whether it ran to its end."""

from __future__ import annotations

import logging
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from nbformat import NotebookNode

SOURCE_LINES = 4
ERROR_MARKER = "papermill-error-cell-tag"
KINDS = {
    "CellTimeoutError": "it took too long",
    "DeadKernelError": "the kernel died (out of memory, or its process was ended)",
}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Failure:
    """Where and why a notebook stopped.

    Attributes:
        cell: The number of the code cell, counted from 1; 0 if no kernel started.
        source: The source of the cell.
        reason: What went wrong.
        error: The name of the exception that the cell raised; empty if it raised none.
        message: The message of that exception.
    """

    cell: int
    source: str
    reason: str
    error: str = ""
    message: str = ""

    def __str__(self) -> str:
        """Return the cell's number and the reason, then the first lines of the cell."""
        lines = self.source.strip().splitlines()
        shown = "\n".join(f"    {line}" for line in lines[:SOURCE_LINES])
        more = "\n    ..." if len(lines) > SOURCE_LINES else ""
        return f"code cell {self.cell}: {self.reason}\n{shown}{more}"


@dataclass
class Run:
    """An executed notebook as far as it got, and the failure that stopped it."""

    notebook: NotebookNode | None = None
    failure: Failure | None = None
    last_cell: int = -1


def run(
    notebook: NotebookNode,
    values: Mapping[str, Any],
    *,
    cell_timeout: timedelta | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run a notebook with papermill, in a new kernel of this same Python.

    Papermill alone calls a run complete even if the kernel died or a cell called `sys.exit(0)`. Here
    it is a failure unless every code cell ran without an error.

    Args:
        notebook: The notebook; it is not changed.
        values: Values for the cell tagged `parameters`.
        cell_timeout: The longest that one cell may take; no limit unless given.
        progress: Called after each code cell with the number of code cells done, and of all.

    Returns:
        The executed notebook as far as it got, and the failure if there is one.
    """
    import papermill

    # Its log says what is raised here as well.
    logging.getLogger("papermill").addHandler(logging.NullHandler())
    result = Run()
    total = sum(1 for each in notebook.cells if each.cell_type == "code" and each.source.strip())
    total += bool(values)
    done: list[int] = []

    def keep(notebook: NotebookNode) -> None:
        result.notebook = notebook

    def started(cell: NotebookNode, cell_index: int) -> None:  # noqa: ARG001 - nbclient's names
        result.last_cell = cell_index

    def executed(cell_index: int, **_: object) -> None:
        done.append(cell_index)
        if progress is not None:
            progress(len(done), total)

    error: Exception | None = None
    try:
        with tempfile.TemporaryFile() as log:
            papermill.execute_notebook(
                notebook,
                None,
                dict(values),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                request_save_on_cell_execute=False,
                execution_timeout=None
                if cell_timeout is None
                else math.ceil(cell_timeout.total_seconds()),
                kernel_manager_class=_kernel_manager(log),
                on_notebook_start=keep,
                on_cell_execute=started,
                on_cell_executed=executed,
            )
    except Exception as raised:  # noqa: BLE001 - whatever stopped it, the cell is named
        error = raised
    result.failure = _failure(result, error, cell_timeout)
    return result


def _kernel_manager(log: IO[bytes]) -> type:
    """Return a class that starts kernels of this Python, which import this same workbench.

    What a kernel itself prints goes to `log`; what a cell prints is an output of the notebook.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        metadata={"supported_encryption": ["curve"]},
        env={"PYTHONPATH": os.pathsep.join(paths), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    )

    class SamePython(AsyncKernelManager):
        kernel_spec = spec

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            await super().start_kernel(**{**options, "stdout": log, "stderr": log})

    return SamePython


def _failure(run: Run, error: Exception | None, cell_timeout: timedelta | None) -> Failure | None:
    if run.notebook is None:
        return Failure(0, "", f"no kernel started: {error}")
    cells = [
        each
        for each in run.notebook.cells
        if each.cell_type == "code" and ERROR_MARKER not in each.metadata.get("tags", [])
    ]
    named = type(error).__name__ in KINDS
    for number, cell in enumerate(cells, start=1):
        for output in cell.outputs:
            if not named and output.output_type == "error":
                said = f"{output.ename}: {output.evalue}"
                return Failure(number, cell.source, said, output.ename, output.evalue)
    if error is not None:
        until = run.notebook.cells[: run.last_cell + 1]
        number = sum(1 for each in until if each.cell_type == "code")
        source = until[-1].source if until else ""
        return Failure(number, source, _reason(error, cell_timeout))
    for number, cell in enumerate(cells, start=1):
        if cell.source.strip() and cell.execution_count is None:
            return Failure(number, cell.source, "it did not run")
    return None


def _reason(error: Exception, cell_timeout: timedelta | None) -> str:
    name = type(error).__name__
    if name == "CellTimeoutError":
        return f"it took longer than the {cell_timeout} that a cell may take"
    return KINDS.get(name, f"{name}: {error}")
