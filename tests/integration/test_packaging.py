"""What is installed: conda's list, the locks, and the wheel in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"matplotlib-base": "matplotlib", "python-build": "build", "python-duckdb": "duckdb"}
LOCKS = (
    "requirements.lock",
    "requirements-test.lock",
    "requirements-spark.lock",
    "requirements-bench.lock",
)
PIPS = ("pip==23.0", "pip")  # the oldest that is promised, and the newest
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def bounds(requirements: list[str]) -> dict[str, str]:
    """Split `name>=bound` into names and lower bounds."""
    pairs = [re.fullmatch(r"([\w.-]+)(?:\[\w+\])? ?(>=[\d.]+)", each) for each in requirements]
    assert all(pairs), requirements
    return {canonicalize_name(pair[1]): pair[2] for pair in pairs if pair}


def wanted(*, spark: bool = True, bench: bool = False) -> dict[str, str]:
    extras = PROJECT["project"]["optional-dependencies"]
    groups = PROJECT["dependency-groups"]
    return bounds(
        PROJECT["project"]["dependencies"]
        + extras["lab"]
        + extras["postgres"]
        + groups["build"]
        + groups["test"]
        + (extras["spark"] if spark else [])
        + (groups["bench"] if bench else [])
    )


def pinned(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): pin for name, pin in pins}


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_conda_installs_the_same():
    listed = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [each for each in listed["dependencies"] if isinstance(each, str)]
    pip = next(each["pip"] for each in listed["dependencies"] if isinstance(each, dict))
    assert conda[:2] == [f"python {PROJECT['project']['requires-python']}", "pip"]
    assert pip[-1] == "--editable ."
    found = {CONDA_NAMES.get(k, k): v for k, v in bounds(conda[2:] + pip[:-1]).items()}
    assert found == wanted()


def test_lock_pins_all_that_is_wanted():
    pins = {name: pin for lock in LOCKS for name, pin in pinned(lock).items()}
    for name, bound in wanted(bench=True).items():
        assert as_numbers(pins[name]) >= as_numbers(bound), name


def test_locks_agree():
    pins: dict[str, str] = {}
    for lock in LOCKS:
        both = pinned(lock).keys() & pins.keys()
        assert {name: pinned(lock)[name] for name in both} == {name: pins[name] for name in both}
        pins |= pinned(lock)


def pins_for_this_python() -> dict[str, str]:
    pins = {}
    for lock in LOCKS:
        for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
            if "==" in line and not line.startswith(" "):
                one = Requirement(line.rstrip(" \\"))
                if one.marker is None or one.marker.evaluate():
                    pins[canonicalize_name(one.name)] = str(one.specifier).removeprefix("==")
    return pins


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment in which nothing is installed, and return its Python."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=False, symlinks=True)
    return home / "bin" / "python"


@pytest.mark.slow
@pytest.mark.parametrize("pip", PIPS)
def test_what_is_locked_is_what_pip_installs(pip, empty, tmp_path):
    """The words of the Makefile, in an empty environment: nothing is resolved anew."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    install = re.search(r"^INSTALL := (.*)$", makefile, flags=re.MULTILINE)
    used = re.findall(r"\$\(PIP\) \$\(INSTALL\) (.*)$", makefile, flags=re.MULTILINE)
    locks = [each for line in used for each in line.split()]
    assert install
    assert sorted(set(locks) - {"-r"}) == sorted(LOCKS)
    pins = pins_for_this_python()
    builds = f"setuptools=={pins.pop('setuptools')}"  # builds Spark, which comes as source
    own = tmp_path / "pip"
    get = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(own), pip, builds]
    got = subprocess.run(get, capture_output=True, text=True, check=False)
    if got.returncode and "CI" not in os.environ:
        pytest.skip(f"{pip} cannot be fetched: {got.stderr.splitlines()[-1]}")
    assert got.returncode == 0, got.stderr
    command = [str(empty), "-m", "pip", *install[1].split(), "--dry-run", *locks]
    environment = {**os.environ, "PYTHONPATH": str(own)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    would = re.search(r"^Would install (.*)$", done.stdout, flags=re.MULTILINE)
    assert would
    pairs = [each.rpartition("-") for each in would[1].split()]
    assert {canonicalize_name(name): pin for name, _, pin in pairs} == pins


def test_nothing_that_is_installed_misses_a_requirement():
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_names_versions_and_hashes_only(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    pin = r"[\w.-]+==[\w.!+]+(?: ; [^\\\n]+)? \\\n"
    hashes = r"    --hash=sha256:[0-9a-f]{64}(?: \\)?\n"
    assert re.fullmatch(rf"(?:{pin}(?:{hashes})+)+", text)
    assert not re.search(r"://|file:|--index|--find-links| @ |\+cpu|\.whl", text)


def test_version_is_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {PROJECT['project']['version']}" in text


def test_help_names_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert phony
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"^make (\w+)", said.stdout, flags=re.MULTILINE) == phony[1].split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


def required(names: list[str]) -> set[str]:
    """Follow what packages require, as pip would, to the names of all that it would install."""
    found: set[str] = set()
    waiting = [Requirement(each) for each in names]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop()
        if str(one) in seen:
            continue
        seen.add(str(one))
        found.add(canonicalize_name(one.name))
        for line in distribution(one.name).requires or ():
            inner = Requirement(line)
            extras = one.extras or {""}
            if not inner.marker or any(inner.marker.evaluate({"extra": each}) for each in extras):
                waiting.append(inner)
    return found


def lend(name: str, target: Path) -> None:
    """Link an installed package's files into another environment, but for its commands."""
    package = distribution(name)
    here = Path(str(package.locate_file(".")))
    for first in {each.parts[0] for each in package.files or ()} - {".."}:
        link = target / first
        if (here / first).exists() and not link.exists():
            link.symlink_to(here / first)
    for each in package.files or ():
        link = Path(os.path.normpath(target / each))
        if each.parts[0] == ".." and "share" in each.parts and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(each.locate())).resolve())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a new environment, and give the folder of its commands.

    It gets what the wheel requires and nothing else, linked from here so that no network is
    needed: a requirement that is not declared is missing.
    """
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=True)
    target = next(home.glob("lib/python*/site-packages"))
    for name in required(PROJECT["project"]["dependencies"]):
        lend(name, target)
    python = str(home / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-index", str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return home / "bin"


def run(installed: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {"HOME", "LANG", "TMPDIR"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment["PATH"] = f"{installed}:/usr/bin:/bin"
    return subprocess.run(
        [installed / command[0], *command[1:]],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_holds_the_package_and_its_templates(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "workbench").rglob("*") if path.is_file()]
    here = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    shipped = {f"workbench/templates/{path.name}" for path in (ROOT / "templates").glob("*.ipynb")}
    assert here | shipped <= names
    assert {name.split("/")[0] for name in names} == {
        "workbench",
        f"workbench-{PROJECT['project']['version']}.dist-info",
    }


def test_wheel_requires_what_is_declared(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    text = archive.read(metadata).decode()
    required = re.findall(r"^Requires-Dist: ([^;\n]+)$", text, flags=re.MULTILINE)
    assert bounds(required) == bounds(PROJECT["project"]["dependencies"])


def test_installed_wheel_is_what_runs(installed, tmp_path):
    where = run(
        installed, "python", "-c", "import workbench; print(workbench.__file__)", cwd=tmp_path
    )
    assert where.stdout.startswith(str(installed.parent)), where.stderr
    version = run(installed, "workbench", "--version", cwd=tmp_path)
    assert version.stdout == f"workbench {PROJECT['project']['version']}\n"


@pytest.mark.slow
def test_installed_wheel_publishes_a_report(installed, tmp_path):
    begun = run(installed, "workbench", "init", "new", cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    done = run(installed, "workbench", "report", "new/study.yaml", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [
        ".html",
        ".ipynb",
        ".json",
    ]
