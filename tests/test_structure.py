"""The shape of the package: floors, exports, module lengths, and what an import may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workbench"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.name not in {"__init__.py", "__main__.py"}
)
HEAVY = ("IPython", "ipykernel", "matplotlib", "nbconvert", "papermill", "pyspark", "statsmodels")
MOST_LINES = 400


def map_of_modules() -> dict[str, int]:
    """Read the floors from the picture that people read."""
    picture = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *(\d+) *\| *`([\w/]+)\.py` *\|", picture, flags=re.MULTILINE)
    return {name.replace("/", "."): int(floor) for floor, name in rows}


FLOORS = map_of_modules()


def imports(module: str) -> set[str]:
    """List the package's modules that one of them names, also those for types or in functions."""
    source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path"
            names = {f"{node.module}.{each.name}" for each in node.names}
            inside = {name for name in names if name.removeprefix("workbench.") in MODULES}
            found |= inside or {str(node.module)}
    return {name for name in found if name.split(".")[0] == "workbench"}


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a new interpreter and list the modules that it leaves behind."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_map_names_every_module():
    assert sorted(FLOORS) == MODULES


def test_every_module_has_a_theme():
    picture = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    themes = picture.partition("## By theme")[2].partition("## By floor")[0]
    named = re.findall(r"`(\w+)`", themes)
    assert sorted(set(named)) == sorted({*MODULES} - {"errors"})


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_lower_floors(module):
    named = {name.removeprefix("workbench.") for name in imports(module)}
    not_lower = {name for name in named if FLOORS.get(name, 99) >= FLOORS[module]}
    assert not not_lower, f"{module} (floor {FLOORS[module]}) imports {not_lower}"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_the_package_root(module):
    assert "workbench" not in imports(module) or module == "cli"


@pytest.mark.parametrize("module", MODULES)
def test_module_is_short_enough_to_read_at_once(module):
    lines = (PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES


@pytest.mark.parametrize("module", MODULES)
def test_module_says_what_it_holds(module):
    source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))


def test_library_never_prints():
    for module in MODULES:
        source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "print" not in calls, module


def test_public_names_are_sorted_and_lie_where_they_are_said_to():
    import workbench

    assert workbench.__all__ == sorted(workbench.__all__) == list(workbench.HOMES) == dir(workbench)
    for name, home in workbench.HOMES.items():
        assert getattr(workbench, name).__module__ == f"workbench.{home}"
        assert getattr(workbench, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'study_of'"):
        _ = workbench.study_of


def test_public_names_are_those_that_type_checkers_see():
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    found = {
        each.name: str(node.module)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("workbench.")
        for each in node.names
    }
    import workbench

    assert found == {name: f"workbench.{home}" for name, home in workbench.HOMES.items()}


def test_import_is_light():
    names = "from workbench import *"
    assert not set(HEAVY) & loaded_by(names)


def test_command_line_is_light():
    heavy = {*HEAVY, "duckdb", "narwhals", "pandas", "scipy"}
    assert not heavy & loaded_by("import workbench.cli")
