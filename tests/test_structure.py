"""The shape of the package: exports, sizes, tests that mirror it, and what an import may load.

Which package may import which is import-linter's to hold: its contract is in pyproject.toml.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import workbench

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workbench"
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name not in {"__init__.py", "__main__.py"}
)
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
HEAVY = ("IPython", "ipykernel", "matplotlib", "nbconvert", "papermill", "pyspark", "statsmodels")
MOST_LINES, LONGEST_FUNCTION = 600, 80
# Folders of tests that are about the whole, and not about one module.
WHOLE = {"browser", "calibration", "integration", "support"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def lines_of_code(path: Path, node: ast.AST | None = None) -> int:
    """Count lines that are neither blank nor a comment nor part of a docstring."""
    lines = path.read_text(encoding="utf-8").splitlines()
    whole = tree_of(path) if node is None else node
    first, last = (1, len(lines)) if node is None else (node.lineno, node.end_lineno)
    left_out: set[int] = set()
    for each in ast.walk(whole):
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            left_out |= set(range(each.lineno, each.end_lineno + 1))
    return sum(
        number not in left_out and bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(lines, start=1)
        if first <= number <= last
    )


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a new interpreter and list the modules that it leaves behind."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_is_short_enough_to_read_at_once(path):
    assert lines_of_code(path) <= MOST_LINES
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            assert lines_of_code(path, node) <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_says_what_it_holds(path):
    assert ast.get_docstring(tree_of(path))


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_nothing_imports_the_package_root_for_its_public_names(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module == "workbench":
            names = {each.name for each in node.names}
            assert not names & {*workbench.__all__} or path.name == "cli.py"


def test_library_never_prints():
    for path in MODULES:
        calls = {
            node.func.id
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "print" not in calls, path


def test_tests_mirror_the_package():
    tests = ROOT / "tests"
    for path in tests.rglob("test_*.py"):
        where = path.relative_to(tests)
        if where.parts[0] in WHOLE or where.name == "test_structure.py":
            continue
        module = PACKAGE / where.parent / f"{where.name.removeprefix('test_')}"
        assert module.exists(), f"{where} is the test of no module"


def test_public_names_are_sorted_and_lie_where_they_are_said_to():
    assert workbench.__all__ == sorted(workbench.__all__) == list(workbench.HOMES)
    assert dir(workbench) == sorted([*workbench.__all__, "__version__"])
    for name, home in workbench.HOMES.items():
        assert getattr(workbench, name).__module__ == f"workbench.{home}"
    with pytest.raises(AttributeError, match="no attribute 'study_of'"):
        _ = workbench.study_of


@pytest.mark.parametrize("name", workbench.__all__)
def test_public_name_has_the_sections_of_its_docstring_and_an_example(name):
    public = getattr(workbench, name)
    said = inspect.getdoc(public)
    assert re.search(r"^ *>>> ", said, re.MULTILINE)
    if inspect.isfunction(public):
        assert {"Args:", "Returns:", "Raises:"} <= set(said.splitlines())
        named = set(re.findall(r"^    (\w+): ", said, re.MULTILINE))
        assert set(inspect.signature(public).parameters) <= named
    elif not issubclass(public, Exception):
        assert {"Args:", "Attributes:"} & set(said.splitlines())


@pytest.mark.parametrize("package", ["datasets", "reports", "stats", "views"])
def test_public_package_says_what_it_holds_and_where_to_begin(package):
    said = import_module(f"workbench.{package}").__doc__
    module, name = re.search(r"^Begin with `(\w+)\.(\w+)`", said, re.MULTILINE).groups()
    assert hasattr(import_module(f"workbench.{package}.{module}"), name)
    for path in (PACKAGE / package).glob("[a-z]*.py"):
        assert f"`{path.stem}" in said, path.name


def test_version_is_that_of_the_installed_package():
    assert workbench.__version__ == version("workbench")


def test_public_names_are_those_that_type_checkers_see():
    found = {
        each.name: str(node.module)
        for node in ast.walk(tree_of(PACKAGE / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("workbench.")
        for each in node.names
    }
    assert found == {name: f"workbench.{home}" for name, home in workbench.HOMES.items()}


def test_import_is_light():
    names = "from workbench import *"
    assert not set(HEAVY) & loaded_by(names)


def test_command_line_is_light():
    heavy = {*HEAVY, "duckdb", "narwhals", "pandas", "scipy"}
    assert not heavy & loaded_by("import workbench.cli")
