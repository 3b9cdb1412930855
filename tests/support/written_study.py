"""A study written as text with its files, and opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workbench import Study


def study_of_text(folder: Path, text: str, files: Mapping[str, str]) -> Study:
    """Write a study file and the files beside it, and open the study."""
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return Study.load(folder / "study.yaml")
