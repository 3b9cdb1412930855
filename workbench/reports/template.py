"""Templates and their parameters: the parameters cell is a signature that values must match."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError, unknown_name

if TYPE_CHECKING:
    from nbformat import NotebookNode

TAG = "parameters"
SUFFIX = ".ipynb"
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
LISTS = {"list", *(f"list[{name}]" for name in TYPES)}
RULE = 'write it as `name: type = default  # help`, for example `iteration: str = "2026.1"  # ...`'


@dataclass(frozen=True)
class Parameter:
    """A parameter of a template: one line of its parameters cell."""

    name: str
    kind: str
    default: object
    help: str


@dataclass(frozen=True)
class Template:
    """A notebook that reports are made from, and its parameters."""

    name: str
    notebook: NotebookNode
    parameters: tuple[Parameter, ...]

    def takes(self, name: str) -> bool:
        """Return whether the template has a parameter of this name."""
        return any(each.name == name for each in self.parameters)

    def values(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Check values against the signature, and return them as plain values for papermill.

        Raises:
            ReportError: The template has no such parameter, or a value is of another type.
        """
        known = {each.name: each for each in self.parameters}
        for name in given:
            if name not in known:
                said = unknown_name("parameter", name, known)
                raise ReportError(f"template {self.name}: {said}")
        return {name: self._plain(known[name], value) for name, value in given.items()}

    def _plain(self, parameter: Parameter, value: object) -> object:
        try:
            return _cast(value, parameter.kind)
        except TypeError:
            found = type(value).__name__
            raise ReportError(
                f"template {self.name}: parameter {parameter.name} is {value!r}, of type {found}; "
                f"it must be of type {parameter.kind}"
            ) from None


def templates_folder() -> Path:
    """Return the folder of the workbench's templates: in the wheel, or beside the package."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "templates"
    return shipped if shipped.is_dir() else package.parent / "templates"


def find_template(template: str | Path) -> Template:
    """Read a template.

    Args:
        template: The name of a template that comes with the workbench, or the path of your own.

    Raises:
        ReportError: There is none, or its parameters cell breaks the rules.
    """
    path = Path(template)
    if path.suffix != SUFFIX:
        folder = templates_folder()
        names = [each.stem for each in folder.glob(f"*{SUFFIX}")]
        if str(template) not in names:
            said = unknown_name("template", template, names)
            raise ReportError(
                f"{said}; a template of your own is given as a path to an .ipynb file"
            )
        path = folder / f"{template}{SUFFIX}"
    import nbformat

    try:
        content = path.read_text("utf-8")
        notebook = nbformat.reads(content, as_version=4)  # type: ignore[no-untyped-call]
    except OSError as error:
        said = f"template {path} cannot be read: {error.strerror}; give the path to an .ipynb file"
        raise ReportError(said) from None
    except Exception:  # noqa: BLE001 - nbformat raises whatever its reading stumbles over
        raise ReportError(
            f"template {path} is not a notebook; save it again from JupyterLab"
        ) from None
    return Template(path.stem, notebook, parse(notebook, path.stem))


def parse(notebook: NotebookNode, name: str) -> tuple[Parameter, ...]:
    """Return the parameters in a notebook's cell tagged `parameters`.

    Raises:
        ReportError: A line lacks its type, its default or its help comment.
    """
    cells = [each for each in notebook.cells if TAG in each.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ReportError(
            f"template {name} has {len(cells)} cells tagged '{TAG}'; it must have one"
        )
    source = cells[0].source
    try:
        tree, comments = ast.parse(source), _comments(source)
    except (SyntaxError, tokenize.TokenError) as error:
        said = f"template {name}: its parameters cell does not parse: {error}"
        raise ReportError(said) from None
    return tuple(_parameter(line, comments, name) for line in tree.body)


def _parameter(line: ast.stmt, comments: Mapping[int, str], template: str) -> Parameter:
    said = f"template {template}: line {line.lineno} of its parameters cell breaks the rule; {RULE}"
    if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
        raise ReportError(said)
    kind = ast.unparse(line.annotation)
    explained = comments.get(line.end_lineno or line.lineno, "")
    if line.value is None or not explained or kind not in {*TYPES, *LISTS}:
        raise ReportError(said)
    try:
        default = _cast(ast.literal_eval(line.value), kind)
    except (TypeError, ValueError):
        raise ReportError(said) from None
    return Parameter(line.target.id, kind, default, explained)


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        each.start[0]: each.string.lstrip("# ") for each in tokens if each.type == tokenize.COMMENT
    }


def _cast(value: object, kind: str) -> object:
    """Return a value as a plain one of this kind, or raise TypeError.

    Papermill would write dates, paths and numpy's numbers into the notebook as their repr.
    """
    if kind in LISTS:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TypeError
        inner = kind.removeprefix("list").strip("[]")
        return [_cast(each, inner or type(_scalar(each)).__name__) for each in value]
    plain = _scalar(value)
    if kind == "float" and type(plain) is int:
        return float(plain)
    if kind not in TYPES or type(plain) is not TYPES[kind]:
        raise TypeError
    return plain


def _scalar(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    item = getattr(value, "item", None)
    return item() if callable(item) else value
