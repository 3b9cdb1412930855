"""Small notebooks to run and to publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = """\
study: str = ""  # path of the study file
iteration: str = ""  # name of the iteration
as_of: str = ""  # as of this time
top: int = 3  # how many
"""
RESULT = "application/vnd.workbench.result+json"
FINISH = f"""\
from IPython.display import display
verdicts = [{{"hypothesis": "h", "verdict": "refuted", "sentence": "No <b>."}}]
content = {{"study": {{"title": "A & B"}}, "iteration": iteration, "evaluations": verdicts,
            "as_of": as_of, "top": top}}
display({{"{RESULT}": content, "text/plain": "the end"}}, raw=True)
"""


def notebook(*sources: str, parameters: str | None = SIGNATURE) -> nbformat.NotebookNode:
    """Make a notebook of code cells; a source that begins with # and a blank is prose."""
    cells = [
        new_markdown_cell(each) if each.startswith(("# ", "## ")) else new_code_cell(each)
        for each in sources
    ]
    if parameters is not None:
        cells.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def write(path: Path, *sources: str, parameters: str | None = SIGNATURE) -> Path:
    nbformat.write(notebook(*sources, parameters=parameters), path)
    return path
