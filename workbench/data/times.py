"""One reader of times for every table: a time is read whole, or refused in a sentence.

Text is read where it is written year first, as 2026-01-31, 2026-01-31 08:00 or
2026-01-31T08:00:00.5, with or without a zone behind it: an offset (+01:00), a zone's name
(Europe/Oslo), or an abbreviation that names one zone only (UTC, CET). Whole numbers are counts of a
unit since 1970, read where exactly one unit puts all of them between 1990 and 2100. Whatever else a
table holds is read by the format that its source names as `time_format`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import narwhals as nw

from workbench.data.engines import Frame, collect, keep, native_frame, quoted, quotient
from workbench.errors import DataError
from workbench.schema.time import DIRECTIVES, EPOCH, UNITS, to_instant

AT = "(at)"
CLOCK, SUFFIX = "_workbench_clock", "_workbench_suffix"
WRITTEN = (
    r"^\s*(\d{4}[-/]\d{1,2}[-/]\d{1,2})(?:[Tt ]\s*(\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?))?"
    r"\s*(\S.*?)?\s*$"
)
WHOLE = r"^\s*[+-]?\d+(?:\.\d+)?\s*$"
OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
EARLIEST, LATEST = (to_instant(datetime(year, 1, 1, tzinfo=UTC)) for year in (1990, 2100))
NANOSECOND = 1_000  # of them make a microsecond
HOURS = {
    "Z": 0.0,
    "UTC": 0.0,
    "GMT": 0.0,
    "WET": 0.0,
    "WEST": 1.0,
    "CET": 1.0,
    "CEST": 2.0,
    "EET": 2.0,
    "EEST": 3.0,
    "MSK": 3.0,
    "SAST": 2.0,
    "JST": 9.0,
    "KST": 9.0,
    "EST": -5.0,
    "EDT": -4.0,
    "MDT": -6.0,
    "PDT": -7.0,
    "AKST": -9.0,
    "AKDT": -8.0,
    "HST": -10.0,
    "AWST": 8.0,
    "ACST": 9.5,
    "ACDT": 10.5,
    "AEST": 10.0,
    "AEDT": 11.0,
    "NZST": 12.0,
    "NZDT": 13.0,
}  # abbreviations that name one zone only
SEVERAL = {
    "IST": "India, Israel and Ireland",
    "CST": "China, Cuba and the middle of North America",
    "CDT": "Cuba and the middle of North America",
    "BST": "Britain and Bangladesh",
    "MST": "Malaysia and the mountains of North America",
    "PST": "the Philippines and the Pacific coast of North America",
    "AST": "Arabia and the Atlantic coast of North America",
    "SST": "Singapore and Samoa",
    "AMT": "Armenia and the Amazon",
    "GST": "the Gulf and South Georgia",
    "ECT": "Ecuador and the Eastern Caribbean",
}
WAY_OUT = (
    "write them as 2026-01-31 08:00:00, or say how they are written by time_format, such as "
    '"%d/%m/%Y %H:%M" for 31/01/2026 08:00 or epoch_ms for milliseconds since 1970'
)


class Clock(NamedTuple):
    """A span of clock times that a zone skips, or passes twice; microseconds, end not included."""

    kind: str
    start: int
    end: int


def instants(
    frame: Frame, column: str, zone: str, table: str, time_format: str | None = None
) -> Frame:
    """Add the column AT: microseconds since 1970 in UTC, read from `column`.

    Args:
        frame: Any table on any engine.
        column: The column of times: moments, dates, text or numbers.
        zone: The zone of times that carry none. Of the hour that its clocks pass twice the first
            is meant, and a time that they skip counts on from before.
        table: What the table is called in errors.
        time_format: How times are written: a format of `strptime`, or epoch_s, epoch_ms, epoch_us
            or epoch_ns.

    Returns:
        The frame with AT, null where `column` is null.

    Raises:
        DataError: For what is not understood as a whole, and text with a zone in some rows only.
    """
    kind = frame.collect_schema()[column]
    if kind.is_float():
        value = nw.col(column)
        frame = frame.with_columns(nw.when(~value.is_nan()).then(value).alias(column))
    numbers = kind.is_integer() or kind.is_float()
    if numbers or kind == nw.String:
        if time_format is None and (numbers or _only_numbers(frame, column)):
            time_format = _unit(frame, column, table)
        if time_format in UNITS:
            return _epochs(frame, column, table, str(time_format))
        if time_format is None:
            return keep(_written(frame, column, zone, table))
        frame = frame.with_columns(nw.col(column).cast(nw.String)) if numbers else frame
        return keep(_formatted(frame, column, zone, table, time_format))
    if time_format is not None:
        msg = f"{table}: column {column!r} holds {kind}, which needs no time_format; leave it out"
        raise DataError(msg)
    if kind == nw.Date:
        frame = _micros(frame.with_columns(nw.col(column).cast(nw.Datetime("us")).alias(AT)))
        return _from_zone(frame, zone)
    if isinstance(kind, nw.Datetime):
        frame = _micros(frame.with_columns(nw.col(column).alias(AT)))
        return frame if kind.time_zone is not None else _from_zone(frame, zone)
    msg = f"{table}: column {column!r} holds {kind}, no times; name the column that does"
    raise DataError(msg)


def unit_of(frame: Frame, column: str, table: str) -> str | None:
    """Name the unit in which whole numbers are read as times; None where a column holds others."""
    kind = frame.collect_schema()[column]
    if kind.is_integer() or kind.is_float() or (kind == nw.String and _only_numbers(frame, column)):
        return _unit(frame, column, table)
    return None


def in_order(kind: Any, zone: str) -> bool:
    """Whether times of this type have the order of the moments that they are read as."""
    local = isinstance(kind, nw.Datetime) and kind.time_zone is None and zone != "UTC"
    return kind != nw.String and not kind.is_float() and not local


def read_time(written: object, zone: str, time_format: str | None = None) -> datetime:
    """Read one time, as `instants` does; dates begin at midnight of `zone`.

    Raises:
        ValueError: For what is not understood as a whole; it says why.

    >>> read_time("2026-01-31 23:30 UTC", "Europe/Oslo").isoformat()
    '2026-02-01T00:30:00+01:00'
    """
    clock = ZoneInfo(zone)
    if isinstance(written, date):
        moment = (
            written
            if isinstance(written, datetime)
            else datetime.combine(written, datetime.min.time())
        )
    else:
        text = str(written).strip()
        moment = _one(text, time_format)
    return moment.replace(tzinfo=clock) if moment.tzinfo is None else moment.astimezone(clock)


def read_day(written: object, time_format: str | None = None) -> object:
    """Read the day of a time, by the clock that it is written in; what is no time stays as it is.

    Raises:
        ValueError: For a time that is not understood as a whole.

    >>> read_day("2026/1/31 23:30 +02:00"), read_day("2026-W05")
    (datetime.date(2026, 1, 31), '2026-W05')
    """
    if written is None or isinstance(written, date):
        return written
    text = str(written).strip()
    match = re.match(WRITTEN, text) if time_format is None else None
    if time_format is None and match is None:
        return written
    moment = _one(text, time_format)
    return moment.date() if match is None else date(*map(int, re.split("[-/]", match[1])))


def _one(text: str, time_format: str | None) -> datetime:
    if time_format in UNITS or (time_format is None and re.match(WHOLE, text)):
        units = [time_format] if time_format in UNITS else list(UNITS)
        found = [_scaled(float(text), unit) for unit in units if unit and re.match(WHOLE, text)]
        fitting = [each for each in found if time_format or EARLIEST <= each < LATEST]
        if len(fitting) == 1:
            return EPOCH + timedelta(microseconds=fitting[0])
    elif time_format is not None:
        try:
            return datetime.strptime(text, time_format)  # noqa: DTZ007 - the caller knows the zone
        except ValueError:
            pass
    elif match := re.match(WRITTEN, text):
        day, clock, suffix = match.groups()
        try:
            written = f"{day.replace('/', '-')} {(clock or '00:00').replace(',', '.')}"
            moment = datetime.fromisoformat(_padded(written))
        except ValueError:
            pass
        else:
            try:
                ahead = zone_of(suffix or "", clock is not None)
            except ValueError as error:
                raise ValueError(f"{text!r}: {error}") from None
            if isinstance(ahead, ZoneInfo):
                return moment.replace(tzinfo=ahead)
            return moment if ahead is None else (moment - ahead).replace(tzinfo=UTC)
    raise ValueError(f"{text!r} is no time; {WAY_OUT}")


def _padded(written: str) -> str:
    """Write day and time with two digits each, and no more than microseconds."""
    date_part, time_part = written.split(" ")
    year, month, day = date_part.split("-")
    hour, *rest = time_part.split(":")
    seconds = ":".join(rest)
    whole, dot, fraction = seconds.partition(".")
    digits = f".{fraction[:6]:0<6}" if dot else ""
    return f"{year}-{month:0>2}-{day:0>2} {hour:0>2}:{whole}{digits}"


def _scaled(number: float, unit: str) -> int:
    return round(number / UNITS[unit]) if unit == "epoch_ns" else round(number * UNITS[unit])


def zone_of(suffix: str, has_time: bool = True) -> timedelta | ZoneInfo | None:  # noqa: FBT001, FBT002
    """Read what stands behind a time: how far its clock is ahead of UTC, its zone, or nothing.

    Raises:
        ValueError: For what names no zone, or several.

    >>> zone_of("+01:00"), zone_of("CET"), zone_of("Europe/Oslo"), zone_of("")
    (datetime.timedelta(seconds=3600), datetime.timedelta(seconds=3600), zoneinfo.ZoneInfo(key='Europe/Oslo'), None)
    """
    name = suffix.strip().strip("[]")
    if not name:
        return None
    if not has_time:
        raise ValueError(f"{suffix!r} stands behind a date without a time")
    if match := OFFSET.fullmatch(name):
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours <= 15 and minutes < 60:
            ahead = timedelta(hours=hours, minutes=minutes)
            return -ahead if match[1] == "-" else ahead
    if name.upper() in HOURS:
        return timedelta(hours=HOURS[name.upper()])
    if name.upper() in SEVERAL:
        raise ValueError(
            f"{name} is the time of {SEVERAL[name.upper()]}; write an offset, such as +01:00, or a "
            "zone's name, such as Europe/Oslo"
        )
    if "/" in name:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    raise ValueError(f"{name!r} behind a time is no zone; {WAY_OUT}")


def odd_clocks(
    frame: Frame, column: str, zone: str, time_format: str | None = None
) -> Mapping[str, int]:
    """Count the times without a zone in an hour that the zone's clocks skip, or pass twice."""
    local = instants(frame, column, "UTC", "", time_format)
    if zone == "UTC" or _carries_zone(frame, column, time_format):
        return {}
    ends = collect(local.select(nw.col(AT).min().alias("low"), nw.col(AT).max().alias("high")))[0]
    if ends["low"] is None:
        return {}
    counts: dict[str, int] = {}
    for span in changes(zone, int(ends["low"]), int(ends["high"])):
        inside = local.filter(nw.col(AT) >= span.start, nw.col(AT) < span.end)
        found = int(collect(inside.select(nw.len().alias("rows")))[0]["rows"])
        counts[span.kind] = counts.get(span.kind, 0) + found
    return {kind: count for kind, count in counts.items() if count}


def _carries_zone(frame: Frame, column: str, time_format: str | None) -> bool:
    kind = frame.collect_schema()[column]
    if isinstance(kind, nw.Datetime):
        return kind.time_zone is not None
    if kind.is_integer() or kind.is_float() or time_format in UNITS:
        return True
    if kind == nw.String and time_format is None:
        if _only_numbers(frame, column):
            return True
        first = collect(frame.filter(~nw.col(column).is_null()).select(column).head(1))
        match = re.match(WRITTEN, first[0][column]) if first else None
        return bool(match and match[3])
    return "%z" in (time_format or "")


def _only_numbers(frame: Frame, column: str) -> bool:
    value = nw.col(column)
    known = frame.filter(~value.is_null())
    found = collect(
        known.select(
            nw.len().alias("rows"), value.str.contains(WHOLE).cast(nw.Int64).sum().alias("whole")
        )
    )[0]
    return bool(found["rows"]) and found["rows"] == found["whole"]


def _unit(frame: Frame, column: str, table: str) -> str:
    """Name the one unit that puts every number between 1990 and 2100."""
    value = nw.col(column).cast(nw.Float64)
    ends = collect(frame.select(value.min().alias("low"), value.max().alias("high")))[0]
    if ends["low"] is None:
        return "epoch_us"
    low, high = float(ends["low"]), float(ends["high"])
    fitting = [
        unit for unit in UNITS if _scaled(low, unit) >= EARLIEST and _scaled(high, unit) < LATEST
    ]
    if len(fitting) != 1:
        msg = (
            f"{table}: column {column!r} holds numbers from {low:.15g} to {high:.15g}, and no unit "
            f"puts all of them between 1990 and 2100; {WAY_OUT}"
        )
        raise DataError(msg)
    return fitting[0]


def _epochs(frame: Frame, column: str, table: str, unit: str) -> Frame:
    kind = frame.collect_schema()[column]
    value = nw.col(column)
    if kind == nw.String:
        odd = frame.filter(~value.is_null(), ~value.str.contains(WHOLE))
        if rows := collect(odd.select(column).head(1)):
            msg = f"{table}: column {column!r} holds {rows[0][column]!r}, no {unit}; correct it"
            raise DataError(msg)
        fractions = collect(frame.select(value.str.contains(r"\.").any().alias("any")))[0]["any"]
        number = value.str.strip_chars().cast(nw.Float64 if fractions else nw.Int64)
        frame = frame.with_columns(number.alias(AT))
        kind = nw.Float64() if fractions else nw.Int64()
    elif kind.is_integer() or kind.is_float():
        frame = frame.with_columns(value.alias(AT))
    else:
        msg = f"{table}: column {column!r} holds {kind}, which needs no time_format; leave it out"
        raise DataError(msg)
    at = nw.col(AT)
    if kind.is_float():
        scale = 1 / NANOSECOND if unit == "epoch_ns" else UNITS[unit]
        return frame.with_columns((at * scale).round().cast(nw.Int64).alias(AT))
    frame = frame.with_columns(at.cast(nw.Int64))
    if unit == "epoch_ns":
        return quotient(frame, AT, NANOSECOND, CLOCK).drop(AT).rename({CLOCK: AT})
    return frame if UNITS[unit] == 1 else frame.with_columns((at * UNITS[unit]).alias(AT))


def _written(frame: Frame, column: str, zone: str, table: str) -> Frame:
    """Read text by WRITTEN: the clock's time, then what its zone is ahead."""
    frame = _parsed(frame, column)
    clock, suffix = nw.col(CLOCK), nw.col(SUFFIX)
    known = frame.filter(~nw.col(column).is_null())
    _all_read(known.filter(clock.is_null()), column, table)
    rows = nw.len().alias("rows")
    grouped = known.group_by(SUFFIX).agg(rows, nw.col(column).min().alias("example"))
    shown = sorted(collect(grouped), key=lambda row: (-row["rows"], row["example"]))
    zones = {}
    for row in shown:
        try:
            match = re.match(WRITTEN, row["example"])
            zones[row[SUFFIX]] = zone_of(row[SUFFIX], bool(match and match[2]))
        except ValueError as error:
            msg = f"{table}: column {column!r} holds {row['example']!r}: {error}"
            raise DataError(msg) from None
    if len({ahead is None for ahead in zones.values()}) > 1:
        rest = next(row for row in shown if zones[row[SUFFIX]] is None)
        some = next(row for row in shown if zones[row[SUFFIX]] is not None)
        carry = sum(row["rows"] for row in shown) - rest["rows"]
        msg = (
            f"{table}: column {column!r} mixes zones: {carry} times carry one "
            f"(such as {some['example']}), {rest['rows']} do not (such as {rest['example']}); "
            "write all of them one way"
        )
        raise DataError(msg)
    at: Any = clock
    for name, ahead in zones.items():
        if isinstance(ahead, timedelta):
            moved: Any = clock - ahead // timedelta(microseconds=1)
        elif isinstance(ahead, ZoneInfo):
            moved = clock - _ahead(frame, CLOCK, ahead.key)
        else:
            moved = clock - _ahead(frame, CLOCK, zone)
        at = nw.when(suffix == name).then(moved).otherwise(at) if len(zones) > 1 else moved
    return frame.with_columns(at.alias(AT)).drop(CLOCK, SUFFIX)


def _parsed(frame: Frame, column: str) -> Frame:
    """Add CLOCK, microseconds of what a time's clock shows, and SUFFIX, what stands behind it."""
    native: Any = frame.to_native()
    if frame.implementation.is_duckdb():
        begun = f"regexp_extract({quoted(column)}, '{WRITTEN}',"
        day, time, rest = (f"nullif({begun} {place}), '')" for place in (1, 2, 3))
        written = (
            f"replace({day}, '/', '-') || ' ' || replace(coalesce({time}, '00:00:00'), ',', '.')"
        )
        clock = f'epoch_us(try_cast({written} as timestamp)) as "{CLOCK}"'
        return native_frame(native.project(f"*, {clock}, coalesce({rest}, '') as \"{SUFFIX}\""))
    if frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        def swapped(part: Any, old: str, new: str) -> Any:
            return spark.replace(part, spark.lit(old), spark.lit(new))

        found = [spark.regexp_extract(column, WRITTEN, place) for place in (1, 2, 3)]
        whole = spark.when(found[1] == "", "00:00:00").otherwise(swapped(found[1], ",", "."))
        moment = spark.concat(swapped(found[0], "/", "-"), spark.lit(" "), whole, spark.lit(" UTC"))
        at = spark.unix_micros(spark.try_to_timestamp(moment))
        return native_frame(native.withColumn(CLOCK, at).withColumn(SUFFIX, found[2]))
    import polars as pl

    parts = [pl.col(column).str.extract(WRITTEN, place) for place in (1, 2, 3)]
    seconds = parts[1].str.replace(",", ".", literal=True)
    seconds = pl.when(seconds.str.count_matches(":") == 1).then(seconds + ":00").otherwise(seconds)
    days = parts[0].str.replace_all("/", "-", literal=True)
    read = (days + " " + seconds.fill_null("00:00:00")).str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False
    )
    added = [read.dt.timestamp("us").alias(CLOCK), parts[2].fill_null("").alias(SUFFIX)]
    return native_frame(native.with_columns(added).lazy())


def _formatted(frame: Frame, column: str, zone: str, table: str, form: str) -> Frame:
    """Read text by a format of `strptime`."""
    if frame.implementation.is_duckdb():
        value = f"trim({quoted(column)})"
        read = f"epoch_us(try_strptime({value}, '{form.replace(chr(39), chr(39) * 2)}'))"
        frame = native_frame(frame.to_native().project(f'*, {read} as "{AT}"'))
    elif frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        java = _java(form) if "%z" in form else f"{_java(form)} XX"
        trimmed = spark.trim(spark.col(column))
        whole = trimmed if "%z" in form else spark.concat(trimmed, spark.lit(" Z"))
        at = spark.unix_micros(spark.try_to_timestamp(whole, spark.lit(java)))
        frame = native_frame(frame.to_native().withColumn(AT, at))
    else:
        import polars as pl

        zoned = "UTC" if "%z" in form else None
        text, written = pl.col(column).str.strip_chars(), form.replace(".%f", "%.f")
        moment = text.str.to_datetime(written, time_unit="us", time_zone=zoned, strict=False)
        added = moment.dt.timestamp("us").alias(AT)
        frame = native_frame(frame.to_native().with_columns(added).lazy())
    odd = frame.filter(nw.col(AT).is_null(), ~nw.col(column).is_null())
    _all_read(odd, column, table, form)
    return frame if "%z" in form else _from_zone(frame, zone)


def _java(form: str) -> str:
    """Write a format of `strptime` as Spark does."""
    parts = re.split(r"%(.)", form)
    letters = [re.sub(r"[A-Za-z]+", lambda word: f"'{word[0]}'", each) for each in parts[::2]]
    codes = [DIRECTIVES[each] for each in parts[1::2]]
    return "".join(itertools.chain(*itertools.zip_longest(letters, codes, fillvalue="")))


def _all_read(odd: Frame, column: str, table: str, form: str | None = None) -> None:
    bad = collect(odd.select(nw.len().alias("rows"), nw.col(column).min().alias("example")))[0]
    if bad["rows"]:
        values = "1 value" if bad["rows"] == 1 else f"{bad['rows']} values"
        are = "is no time" if bad["rows"] == 1 else "are no times"
        way_out = (
            WAY_OUT if form is None else f"they are not written as {form}; correct time_format"
        )
        msg = f"{table}: {values} of column {column!r} {are}, such as {bad['example']!r}; {way_out}"
        raise DataError(msg)


def _micros(frame: Frame) -> Frame:
    """Turn the moments of AT into microseconds since 1970."""
    if frame.implementation.is_duckdb():
        native = frame.to_native()
        kept = ", ".join(quoted(name) for name in native.columns if name != AT)
        return native_frame(native.project(f'{kept}, epoch_us("{AT}") as "{AT}"'))
    if frame.implementation.is_pyspark():
        from pyspark.sql import functions as spark

        moment = spark.col(AT).cast("timestamp")
        return native_frame(frame.to_native().withColumn(AT, spark.unix_micros(moment)))
    return frame.with_columns(nw.col(AT).dt.timestamp("us"))


def _from_zone(frame: Frame, zone: str) -> Frame:
    """Shift AT, read as if it were UTC, by what the zone's clocks were ahead at that time."""
    if zone == "UTC":
        return frame
    return frame.with_columns((nw.col(AT) - _ahead(frame, AT, zone)).alias(AT))


def _ahead(frame: Frame, column: str, zone: str) -> Any:
    """Say as an expression how far a zone's clocks are ahead of UTC at the times of a column."""
    if zone == "UTC":
        return nw.lit(0)
    at = nw.col(column)
    ends = collect(frame.select(at.min().alias("low"), at.max().alias("high")))
    if ends[0]["low"] is None:
        return nw.lit(0)
    shifts = zone_shifts(zone, int(ends[0]["low"]), int(ends[0]["high"]))
    shift: Any = nw.lit(shifts[-1][1])
    for (_, ahead), (until, _) in reversed(list(itertools.pairwise(shifts))):
        shift = nw.when(at < until).then(nw.lit(ahead)).otherwise(shift)
    return shift


def zone_shifts(zone: str, low: int, high: int) -> list[tuple[int, int]]:
    """Return how far a zone's clocks run ahead of UTC, and from which clock time on.

    Times and shifts are microseconds; `low` and `high` are clock times.

    >>> [ahead // 3_600_000_000 for _, ahead in zone_shifts("Europe/Amsterdam", 0, 10**13)]
    [1]
    """
    clock = ZoneInfo(zone)

    def ahead(at: int) -> int:
        moment = (EPOCH + timedelta(microseconds=at)).replace(tzinfo=clock)
        return (moment.utcoffset() or timedelta(0)) // timedelta(microseconds=1)

    day = 86_400_000_000
    shifts = [(low, ahead(low))]
    for start in range(low, high, day):
        if ahead(start) != ahead(start + day):
            before, after = start, start + day
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (
                    (middle, after) if ahead(middle) == ahead(start) else (before, middle)
                )
            shifts.append((after, ahead(after)))
    return shifts


def changes(zone: str, low: int, high: int) -> list[Clock]:
    """List the clock times from `low` to `high` that a zone's clocks skip, or pass twice."""
    found = []
    for (_, before), (at, after) in itertools.pairwise(zone_shifts(zone, low, high)):
        kind = "skips" if after > before else "passes twice"
        found.append(Clock(kind, at - abs(after - before), at))
    return found
