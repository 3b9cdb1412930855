"""Files put in place whole: written beside their place, then moved there; one writer at a time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_beside(target: Path, text: str) -> Path:
    """Write a text beside the file that it is to become, and give where."""
    source = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    with source.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return source


@contextmanager
def cleaned_up() -> Iterator[dict[Path, Path]]:
    """Collect files to be moved, by their targets; those that were not moved go in the end."""
    written: dict[Path, Path] = {}
    try:
        yield written
    finally:
        for source in written.values():
            source.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep others who write into the folder waiting, where the system knows how."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
