"""Run a notebook in a kernel of its own, and tell a whole run from a broken one."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from nbformat import NotebookNode

SOURCE_LINES = 4
SOON = 0.01  # seconds between looks whether a kernel has ended
ERROR_MARKER = "papermill-error-cell-tag"
KINDS = {
    "CellTimeoutError": "it took too long",
    "DeadKernelError": "the kernel died (out of memory, or its process was ended)",
}
INLINE = "module://matplotlib_inline.backend_inline"  # what a kernel sets before anything loads
LAUNCHER = "ipykernel_launcher"
# While modules load nothing becomes garbage, and what is loaded stays: to look for garbage there
# takes a fifth of the time, and again when the kernel ends.
SPARE = f"""
import contextlib, gc, importlib, json, runpy, sys
gc.disable()
here = [sys.path.pop(0)] if sys.path[0] == "" else []
for name in sys.argv[1:]:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
sys.path[:0] = here
gc.freeze()
gc.enable()
if arguments := sys.stdin.readline():
    sys.argv = json.loads(arguments)
    runpy.run_module("{LAUNCHER}", run_name="__main__", alter_sys=True)
"""
LOADED_BY_SPARE = (
    "workbench.study",
    "workbench.reports.hypothesis_report",
    "workbench.views.figures",
    "workbench.views.tables",
    "workbench.views.verdicts",
    "ipykernel.kernelapp",
    "scipy.special",
    "matplotlib.backends.backend_svg",
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Failure:
    """Where a notebook stopped: the number of the code cell, its source, and what went wrong.

    `error` and `message` are those of the exception that a cell raised; empty if none did.
    """

    cell: int
    source: str
    reason: str
    error: str = ""
    message: str = ""

    def __str__(self) -> str:
        """Write the cell and the reason, with the first lines of the cell."""
        lines = self.source.strip().splitlines()
        shown = "\n".join(f"    {line}" for line in lines[:SOURCE_LINES])
        more = "\n    ..." if len(lines) > SOURCE_LINES else ""
        return f"code cell {self.cell}: {self.reason}\n{shown}{more}"


@dataclass
class Run:
    """A run of a notebook, as far as it got."""

    notebook: NotebookNode | None = None
    failure: Failure | None = None
    last_cell: int = -1


@dataclass(frozen=True)
class Spare:
    """An interpreter that is no kernel yet: it loads what templates use, and waits to become one."""

    process: subprocess.Popen[str]
    log: IO[bytes]

    def become_kernel(self, arguments: Sequence[str]) -> bool:
        """Have it start a kernel with the launcher's arguments; say whether it could be told."""
        stdin = self.process.stdin
        if stdin is None or self.process.poll() is not None:
            return False
        try:
            stdin.write(json.dumps([LAUNCHER, *arguments]) + "\n")
            stdin.flush()
        except OSError:
            return False
        return True


@contextmanager
def spare_kernel() -> Iterator[Spare | None]:
    """Start an interpreter for a kernel that may be wanted soon; it runs nothing until it is.

    So it loads its packages while this process loads papermill and looks through the input. None on
    Windows, where a kernel is interrupted by what it is started with.
    """
    if sys.platform == "win32":
        yield None
        return
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 - this same Python, with our own words
            [sys.executable, "-c", SPARE, *LOADED_BY_SPARE],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
            env={
                **os.environ,
                **_environment(),
                "JPY_PARENT_PID": str(os.getpid()),
                "MPLBACKEND": os.environ.get("MPLBACKEND") or INLINE,
            },
        )
        try:
            yield Spare(process, log)
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()


def run(
    notebook: NotebookNode,
    values: Mapping[str, Any],
    *,
    spare: Spare | None = None,
    cell_timeout: timedelta | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run a notebook with papermill, in one new kernel of this same Python.

    The kernel is what `spare` becomes, if there is one. Papermill alone takes a notebook for completed whose kernel died, or in which a cell called
    `sys.exit(0)`. Here each code cell must have run, without an error.
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
        with nullcontext(spare.log) if spare is not None else tempfile.TemporaryFile() as log:
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
                kernel_manager_class=_kernel_manager(log, spare),
                on_notebook_start=keep,
                on_cell_execute=started,
                on_cell_executed=executed,
            )
    except Exception as raised:  # noqa: BLE001 - whatever stopped it, the cell is named
        error = raised
    result.failure = _failure(result, error, cell_timeout)
    return result


def _environment() -> dict[str, str]:
    """Let a kernel find this same workbench."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _kernel_manager(log: IO[bytes], spare: Spare | None) -> type:
    """Make kernels of this interpreter, which find the same packages as this process.

    What a kernel says about itself goes to `log`: what a cell writes is an output of the notebook.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning.local_provisioner import LocalProvisioner

    launcher = [sys.executable, "-m", LAUNCHER]
    spec = KernelSpec(
        argv=[*launcher, "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        metadata={"supported_encryption": ["curve"]},
        env=_environment(),
    )

    class SamePython(AsyncKernelManager):
        kernel_spec = spec

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            await self._async_start_kernel(**{**options, "stdout": log, "stderr": log})

        async def _async_wait(self, pollinterval: float = SOON) -> None:
            await super()._async_wait(min(pollinterval, SOON))

        async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
            local = self.provisioner
            if (
                spare is None
                or not isinstance(local, LocalProvisioner)
                or not spare.become_kernel(kernel_cmd[len(launcher) :])
            ):
                await super()._async_launch_kernel(kernel_cmd, **options)
                return
            local.process, local.pid, local.pgid = spare.process, *[spare.process.pid] * 2
            self._reconcile_connection_info(local.connection_info)

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
