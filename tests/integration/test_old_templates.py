"""Templates as they were written for 0.1.0 still publish, and say what to import now."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import workbench
from workbench.reports.publish import publish

OLD = sorted((Path(__file__).parent / "templates_of_0_1").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("template", OLD, ids=lambda path: path.stem)
def test_an_old_template_gives_what_the_new_one_gives(template, bundled, tmp_path, root):
    told = []
    asked = {} if template.stem == "indicator_review" else {"iteration": "2026.1"}
    for path in (template, root / "templates" / template.name):
        out = publish(
            bundled, template=path, output=tmp_path / path.parent.name, record=False, **asked
        )
        told.append(json.loads(out.result.read_text(encoding="utf-8")))
        assert "DeprecationWarning" not in out.html.read_text(encoding="utf-8")
    old, new = ({**each, "parameters": None, "template": None} for each in told)
    assert old == new


@pytest.mark.parametrize("name", workbench.MOVED)
def test_an_old_name_says_what_to_import(name):
    line = f"from workbench import {name}"
    told = subprocess.run(
        [sys.executable, "-W", "always", "-c", line], capture_output=True, text=True, check=True
    )
    home, _, module = workbench.MOVED[name].rpartition(".")
    assert f"DeprecationWarning: use: from workbench.{home} import {module}" in told.stderr


def test_old_templates_import_names_that_moved():
    for path in OLD:
        code = "\n".join(each.source for each in nbformat.read(path, 4).cells)
        (line,) = [each for each in code.splitlines() if each.startswith("from workbench import")]
        assert {each.strip() for each in line.partition("import")[2].split(",")} <= {
            *workbench.MOVED
        }
