"""Feedback: what customers said, where, and with which sentiment; one remark a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import Field, ValidationError

from workbench.cohorts import Cohort
from workbench.engines import Frame, collect
from workbench.errors import DataError, unknown_name
from workbench.specs import Name, Spec

SOURCES = (
    "phone interview",
    "personal interview",
    "focus group",
    "in-app survey",
    "e-mail survey",
    "third-party site",
    "social media",
    "user test",
    "session replay",
    "another team",
)
SENTIMENTS = ("positive", "neutral", "negative")
REQUIRED = ("id", "date", "source", "theme", "sentiment")
COLUMNS = (*REQUIRED, "customer", "cohort", "step", "quote")


class FeedbackSource(Spec):
    """A table of feedback, one remark a row.

    Its columns are id, date, source, theme and sentiment, and customer or cohort (such as
    `industry = retail`), step and quote. A theme is strong from `strong` customers on. Customers'
    ids and what they said word for word stay out of results unless `quotes` is true.
    """

    source: Name
    strong: int = Field(default=3, ge=1)
    quotes: bool = False


@dataclass(frozen=True)
class Remark:
    """One piece of feedback. `customer` or `cohort` says whose; a cohort's customers have no id."""

    id: str
    date: date
    source: str
    theme: str
    sentiment: str
    customer: str | None = None
    cohort: Cohort | None = None
    step: str | None = None
    quote: str = ""


def read_feedback(
    table: Frame, source: FeedbackSource, steps: Sequence[str], groupings: Sequence[str]
) -> tuple[Remark, ...]:
    """Read remarks, in the order of the table.

    Raises DataError for a missing column, an id twice, a date that is none, a source, sentiment,
    step or grouping that is not known, and a remark of nobody.
    """
    columns = table.collect_schema().names()
    for column in (*REQUIRED, *(() if "customer" in columns else ("cohort",))):
        if column not in columns:
            raise DataError(f"{source.source}: {unknown_name('column', column, columns)}")
    remarks: dict[str, Remark] = {}
    for number, row in enumerate(collect(table), start=1):
        texts = {column: _text(row.get(column)) for column in COLUMNS}
        where = f"{source.source}: remark {texts['id'] or f'in row {number}'}"
        remark = _remark(texts, where, steps, groupings)
        if remark.id in remarks:
            raise DataError(f"{where} is there twice; give each remark an id of its own")
        remarks[remark.id] = remark
    return tuple(remarks.values())


def _remark(
    texts: dict[str, str], where: str, steps: Sequence[str], groupings: Sequence[str]
) -> Remark:
    for column in REQUIRED:
        if not texts[column]:
            raise DataError(f"{where} has no {column}; fill it in, or leave the row out")
    for column, allowed in (("source", SOURCES), ("sentiment", SENTIMENTS), ("step", steps)):
        if texts[column] and texts[column] not in allowed:
            raise DataError(f"{where}: {unknown_name(column, texts[column], allowed)}")
    if bool(texts["customer"]) == bool(texts["cohort"]):
        has = "both a customer and a cohort" if texts["customer"] else "no customer and no cohort"
        raise DataError(f"{where} has {has}; say whose it is by one of the two")
    return Remark(
        id=texts["id"],
        date=_date(texts["date"], where),
        source=texts["source"],
        theme=texts["theme"],
        sentiment=texts["sentiment"],
        customer=texts["customer"] or None,
        cohort=_cohort(texts["cohort"], where, groupings) if texts["cohort"] else None,
        step=texts["step"] or None,
        quote=texts["quote"],
    )


def _cohort(written: str, where: str, groupings: Sequence[str]) -> Cohort:
    """Read a cohort as it is written: `industry = retail, country = NL`."""
    pairs = [part.partition("=")[::2] for part in written.split(",")]
    values = {column.strip(): value.strip() for column, value in pairs}
    for column, value in values.items():
        if column not in groupings:
            raise DataError(f"{where}: {unknown_name('grouping', column, groupings)}")
        if not value:
            raise DataError(f"{where}: cohort {written!r} has no value; write {column} = VALUE")
    try:
        return Cohort.model_validate(values)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise DataError(f"{where}: cohort {written!r} is none: {said}") from None


def _date(written: str, where: str) -> date:
    try:
        return datetime.fromisoformat(written).date()
    except ValueError:
        raise DataError(f"{where}: date {written!r} is none; write it as 2026-01-31") from None


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
