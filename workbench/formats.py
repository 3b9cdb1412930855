"""How numbers read, in tables and in figures: counts, rates, effects, p-values."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"
UNDEFINED = "n/a"
SMALLEST_PVALUE = 0.001
NARROW = 0.02
DAY_HOURS = 48.0


def count(number: float) -> str:
    """Write a number of customers or rows.

    >>> count(13087), count(float("nan"))
    ('13,087', 'n/a')
    """
    return f"{round(number):,}" if _defined(number) else UNDEFINED


def percent(fraction: float) -> str:
    """Write a fraction as percent.

    >>> percent(0.8), percent(float("nan"))
    ('80.0%', 'n/a')
    """
    return f"{100 * fraction:.1f}%" if _defined(fraction) else UNDEFINED


def rate(fraction: float, converted: float, closed: float) -> str:
    """Write a rate with its counts: no rate stands alone.

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
    """Write an effect that a person chose, as it was chosen.

    >>> worth(0.05), worth(-0.0075), worth(0)
    ('+5', '−0.75', 'any')
    """
    if not effect:
        return "any"
    return f"{MINUS if effect < 0 else '+'}{100 * abs(effect):g}"


def effect(estimate: float, low: float, high: float) -> str:
    """Write an effect with its interval; a narrow interval gets a second decimal.

    >>> effect(0.2, 0.0511, 0.3372), effect(-0.0205, -0.0291, -0.0120)
    ('+20.0 [+5.1, +33.7]', '−2.05 [−2.91, −1.20]')
    """
    if not _defined(estimate):
        return UNDEFINED
    if not (_defined(low) and _defined(high)):
        return points(estimate)
    digits = 2 if high - low < NARROW else 1
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


def hours(duration: float) -> str:
    """Write a time that customers took, given in hours.

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


def shortened(text: object, width: int) -> str:
    """Cut a long name to `width` characters, and show that it was cut.

    >>> shortened("a name that goes on and on", 12)
    'a name that…'
    """
    written = " ".join(str(text).split())
    return written if len(written) <= width else f"{written[: width - 1].rstrip()}…"


def _defined(number: float) -> bool:
    return math.isfinite(number)
