"""Displays: escaped HTML for a reader, short fixed plain text for a terminal and a test."""

from __future__ import annotations

import html
from dataclasses import dataclass

from workbench import formats

LONGEST_CELL = 60
SYMBOLS = {"supported": "✓", "refuted": "✕", "inconclusive": "?", "invalid": "!", "but": "!"}
SYMBOLS |= {"reached": "✓", "on-course": "→", "not-yet": "…", "cannot-tell": "?", "too-early": "…"}
SYMBOLS |= {"target-reached": "✓", "ahead": "↑", "behind": "!"}
SYMBOLS |= {"ok": "✓", "note": "i", "warn": "!", "warning": "!", "error": "✕"}


@dataclass(frozen=True)
class Badge:
    """One word out of a few, told by symbol, word and colour; `kind` if it is not the word."""

    word: str
    kind: str = ""

    def __str__(self) -> str:
        """Write the word."""
        return self.word

    def to_html(self) -> str:
        """Write the word, its symbol hidden from screen readers."""
        name = (self.kind or self.word).replace(" ", "-")
        kind, symbol = html.escape(name, quote=True), SYMBOLS.get(name, "")
        shown = f'<span aria-hidden="true">{symbol}</span> ' if symbol else ""
        return f'<span class="wb-badge wb-{kind}">{shown}{html.escape(self.word)}</span>'


@dataclass(frozen=True)
class Column:
    """The heading of a column, and whether it holds numbers."""

    heading: str
    numeric: bool = False


Cell = str | Badge


@dataclass(frozen=True)
class Table:
    """Rows of formatted cells under a caption; the first cell names its row.

    >>> Table("Sizes", (Column("step"), Column("entered", numeric=True)), (("mapped", "56"),))
    Sizes
    step    entered
    mapped       56
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    empty: str = "Nothing to show."

    def __repr__(self) -> str:
        """Write the table as plain text."""
        if not self.rows:
            return f"{self.caption}\n{self.empty}"
        texts = [
            [formats.shortened(cell, LONGEST_CELL) for cell in row]
            for row in ([each.heading for each in self.columns], *self.rows)
        ]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        lines = [
            "  ".join(
                text.rjust(width) if column.numeric else text.ljust(width)
                for text, width, column in zip(row, widths, self.columns, strict=True)
            ).rstrip()
            for row in texts
        ]
        return "\n".join([self.caption, *lines])

    def _repr_html_(self) -> str:
        if not self.rows:
            return f'<p class="wb-empty">{html.escape(self.empty)}</p>'
        head = "".join(
            f'<th scope="col"{_numeric(each)}>{html.escape(each.heading)}</th>'
            for each in self.columns
        )
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.rows)
        note = f'<p class="wb-note">{html.escape(self.note)}</p>' if self.note else ""
        return (
            f'<div class="wb-table"><table><caption>{html.escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
        )

    def _row(self, row: tuple[Cell, ...]) -> str:
        first = f'<th scope="row">{_cell(row[0])}</th>'
        rest = (
            f'<td data-label="{html.escape(column.heading, quote=True)}"{_numeric(column)}>'
            f"{_cell(cell)}</td>"
            for cell, column in zip(row[1:], self.columns[1:], strict=True)
        )
        return first + "".join(rest)


@dataclass(frozen=True)
class Sentences:
    """Sentences for a reader, one paragraph each."""

    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        """Write one sentence a line."""
        return "\n".join(self.sentences)

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(each)}</p>" for each in self.sentences)


def _cell(cell: Cell) -> str:
    return cell.to_html() if isinstance(cell, Badge) else html.escape(cell)


def _numeric(column: Column) -> str:
    return ' class="wb-number"' if column.numeric else ""
