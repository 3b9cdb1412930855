"""How numbers, days, badges and tables are written, as text and as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

MINUS = "\N{MINUS SIGN}"
UNDEFINED = "n/a"
MISSING = {"NAType", "NaTType"}  # of pandas, which this module does not import
SMALLEST_PVALUE = 0.001
NARROW = 0.02
TINY = 0.001  # a fraction below is written with two significant digits
DAY_HOURS = 48.0
LONGEST_CELL = 60
SYMBOLS = {
    # verdicts
    "supported": "✓",
    "refuted": "✕",
    "harmful": "✕",
    "inconclusive": "?",
    "invalid": "!",
    "but": "!",
    # goals and strategic metrics
    "reached": "✓",
    "on-course": "→",
    "not-yet": "…",
    "cannot-tell": "?",
    "too-early": "…",
    "target-reached": "✓",
    "ahead": "↑",
    "behind": "!",
    # checks of the data
    "ok": "✓",
    "note": "i",
    "warn": "!",
    "warning": "!",
    "error": "✕",
}


def count(number: float) -> str:
    """Write a number of customers or rows.

    >>> count(13087), count(float("nan"))
    ('13,087', 'n/a')
    """
    return f"{round(number):,}" if _defined(number) else UNDEFINED


def percent(fraction: float) -> str:
    """Write a fraction as percent; one near none or all keeps two significant digits.

    >>> percent(0.8), percent(0.000045), percent(0.99999), percent(float("nan"))
    ('80.0%', '0.0045%', '99.9990%', 'n/a')
    """
    if not _defined(fraction):
        return UNDEFINED
    return f"{100 * fraction:.{_digits(min(abs(fraction), abs(1 - fraction)), TINY, 1)}f}%"


def rate(fraction: float, converted: float, closed: float) -> str:
    """Write a rate with its counts.

    >>> rate(0.8, 56, 70), rate(float("nan"), 0, 0)
    ('80.0% (56/70)', 'n/a (0/0)')
    """
    return f"{percent(fraction)} ({count(converted)}/{count(closed)})"


def interval(low: float, high: float) -> str:
    """Write the interval of a rate.

    >>> interval(0.692, 0.877)
    '[69.2%, 87.7%]'
    """
    if not (_defined(low) and _defined(high)):
        return UNDEFINED
    return f"[{percent(low)}, {percent(high)}]"


def number(value: float, digits: int = 2) -> str:
    """Write a number with so many decimals.

    >>> number(0.7204), number(-0.03), number(-0.001), number(float("nan"))
    ('0.72', '−0.03', '0.00', 'n/a')
    """
    return signed(value, digits).removeprefix("+")


def signed(value: float, digits: int = 2) -> str:
    """Write a number with its sign.

    >>> signed(0.7204), signed(-0.03), signed(0.001), signed(float("nan"))
    ('+0.72', '−0.03', '0.00', 'n/a')
    """
    if not _defined(value):
        return UNDEFINED
    written = f"{abs(value):.{digits}f}"
    if not float(written):
        return written
    return f"{'+' if value > 0 else MINUS}{written}"


def with_interval(value: float, low: float, high: float, *, sign: bool = True) -> str:
    """Write a number with its interval, if it has one.

    >>> with_interval(-0.2, -0.31, 0.02), with_interval(0.75, 0.66, 0.81, sign=False)
    ('−0.20 [−0.31, +0.02]', '0.75 [0.66, 0.81]')
    """
    write = signed if sign else number
    if not (_defined(low) and _defined(high)):
        return write(value)
    return f"{write(value)} [{write(low)}, {write(high)}]"


def points(effect: float, digits: int = 1) -> str:
    """Write a difference of two rates in percentage points, with its sign.

    >>> points(0.2), points(-0.0205, digits=2), points(0.0001)
    ('+20.0', '−2.05', '0.0')
    """
    if not _defined(effect):
        return UNDEFINED
    written = f"{100 * abs(effect):.{digits}f}"
    if not float(written):
        return written
    return f"{'+' if effect > 0 else MINUS}{written}"


def worth(effect: float) -> str:
    """Write an effect that a person chose, in percentage points, with the digits it was given.

    >>> worth(0.05), worth(-0.0075), worth(0)
    ('+5', '−0.75', 'any')
    """
    if not effect:
        return "any"
    return f"{MINUS if effect < 0 else '+'}{100 * abs(effect):g}"


def effect(estimate: float, low: float, high: float) -> str:
    """Write an effect with its interval; a narrow interval gets more decimals.

    >>> effect(0.2, 0.0511, 0.3372), effect(-0.0205, -0.0291, -0.0120)
    ('+20.0 [+5.1, +33.7]', '−2.05 [−2.91, −1.20]')
    >>> effect(0.1, 0.0004, 0.2)
    '+10.00 [+0.04, +20.00]'
    >>> effect(0.000033, 0.000018, 0.000049)
    '+0.0033 [+0.0018, +0.0049]'
    """
    if not _defined(estimate):
        return UNDEFINED
    if not (_defined(low) and _defined(high)):
        return points(estimate)
    digits = _digits(high - low, TINY, 2) if high - low < NARROW else 1
    if any(end and not round(100 * end, digits) for end in (low, high)):
        digits += 1  # an end close to no effect is not no effect
    return f"{points(estimate, digits)} [{points(low, digits)}, {points(high, digits)}]"


def pvalue(probability: float) -> str:
    """Write a p-value to three significant digits.

    >>> pvalue(0.01234), pvalue(0.0004), pvalue(1.0), pvalue(float("nan"))
    ('0.0123', '< 0.001', '1.00', 'n/a')
    """
    if not _defined(probability):
        return UNDEFINED
    if probability < SMALLEST_PVALUE:
        return f"< {SMALLEST_PVALUE}"
    digits = 2 - math.floor(math.log10(probability))
    return f"{probability:.{max(digits, 2)}f}"


def within(window: timedelta) -> str:
    """Write a window in whole days, or else in hours.

    >>> within(timedelta(days=28)), within(timedelta(days=1)), within(timedelta(hours=36))
    ('28 days', '1 day', '36 hours')
    """
    whole, unit = window / timedelta(days=1), "day"
    if not whole.is_integer():
        whole, unit = window / timedelta(hours=1), "hour"
    return f"{whole:g} {unit}{'' if whole == 1 else 's'}"


def hours(duration: float) -> str:
    """Write a duration that is given in hours.

    >>> hours(0.5), hours(30), hours(60), hours(float("nan"))
    ('30 min', '30.0 h', '2.5 d', 'n/a')
    """
    if not _defined(duration):
        return UNDEFINED
    if duration < 1:
        return f"{60 * duration:.0f} min"
    if duration < DAY_HOURS:
        return f"{duration:.1f} h"
    return f"{duration / 24:.1f} d"


def capital(text: str) -> str:
    """Write a sentence's first letter as a capital.

    >>> capital("too few cases of NPS")
    'Too few cases of NPS'
    """
    return text[:1].upper() + text[1:]


def shortened(text: object, width: int) -> str:
    """Shorten a text to `width` characters, with an ellipsis if it is cut.

    >>> shortened("a name that goes on and on", 12)
    'a name that…'
    """
    written = " ".join(str(text).split())
    return written if len(written) <= width else f"{written[: width - 1].rstrip()}…"


def weeks(number: float) -> str:
    """Write a number of weeks.

    >>> weeks(5.25), weeks(float("nan"))
    ('5.2', 'n/a')
    """
    return f"{number:.1f}" if _defined(number) else UNDEFINED


def day(when: date) -> str:
    """Write a day.

    >>> day(date(2026, 1, 5))
    '5 January 2026'
    """
    return f"{when.day} {when:%B %Y}"


def moment(when: date) -> str:
    """Write a day, and the time where it is not midnight.

    >>> moment(date(2026, 1, 5)), moment(datetime(2026, 1, 5, 8, 30))
    ('5 January 2026', '5 January 2026, 08:30')
    """
    if not isinstance(when, datetime) or when.time() == time():
        return day(when)
    return f"{day(when)}, {when:%H:%M %Z}".rstrip()


def plain(value: object) -> Any:
    """Turn a value into what JSON can hold; what is undefined becomes None.

    Args:
        value: A value of Python, numpy or pandas, or mappings and sequences of them. A duration
            becomes seconds, a date or time its ISO text.

    >>> plain({"rate": float("nan"), "window": timedelta(days=7), "at": (date(2026, 1, 5),)})
    {'rate': None, 'window': 604800.0, 'at': ['2026-01-05']}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, Enum):
        value = value.value
    item = getattr(value, "item", None)
    if callable(item):
        value = item()
    if value is None or type(value).__name__ in MISSING:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | bool | int):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each row of a frame as a dictionary by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _digits(fraction: float, tiny: float, usual: int) -> int:
    """Return the decimals that a fraction takes in percent: two significant ones if it is tiny."""
    if not 0 < fraction < tiny:
        return usual
    return min(1 - math.floor(math.log10(100 * fraction) + 1e-9), 12)


def _defined(number: float) -> bool:
    return math.isfinite(number)


@dataclass(frozen=True)
class Badge:
    """A state, shown as word, symbol and colour.

    Attributes:
        word: The word.
        kind: What symbol and colour go by; the word itself if empty.
    """

    word: str
    kind: str = ""

    def __str__(self) -> str:
        """Return the word."""
        return self.word

    def __html__(self) -> str:
        """Return the badge as HTML, which a template then does not escape."""
        name = (self.kind or self.word).replace(" ", "-")
        return render("badge", name=name, symbol=SYMBOLS.get(name, ""), word=self.word)


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether it holds numbers."""

    heading: str
    numeric: bool = False


Cell = str | Badge


@dataclass(frozen=True)
class Table:
    """Rows of formatted cells under a caption; a row's first cell names it.

    Attributes:
        caption: What the table shows.
        columns: A column per cell.
        rows: The cells, as text or badges.
        note: A sentence under the table.
        empty: A sentence that stands for a table without rows.

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
        """Return the table as text."""
        if not self.rows:
            return f"{self.caption}\n{self.empty}"
        texts = [
            [shortened(cell, LONGEST_CELL) for cell in row]
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
            return render("empty", sentence=self.empty)
        return render("table", table=self)

    def __html__(self) -> str:
        """Return the table as HTML, which a template then does not escape."""
        return self._repr_html_()


@dataclass(frozen=True)
class Sentences:
    """Sentences for a reader, one paragraph each."""

    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        """Return a sentence per line."""
        return "\n".join(self.sentences)

    def _repr_html_(self) -> str:
        return render("sentences", sentences=self.sentences)

    def __html__(self) -> str:
        """Return the sentences as HTML, which a template then does not escape."""
        return self._repr_html_()


def render(template: str, **values: object) -> str:
    """Fill a template of `workbench/html`; text is escaped, what has `__html__` is not.

    Args:
        template: Its name, without `.html.j2`.
        values: What the template names.

    >>> render("sentences", sentences=["Fewer than <5>."])
    '<p>Fewer than &lt;5&gt;.</p>'
    """
    return _templates().get_template(f"{template}.html.j2").render(values)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("workbench", "html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
