"""Partners: the customers who agreed to take part in the MVP, beside all customers.

What a result says holds first for those who took part. Their segments and verticals, beside those of
all customers, tell a reader for whom that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from workbench import display
from workbench.data.counts import OutcomesTable, customers_table, yes_or_no
from workbench.data.engines import Frame, collect, keep
from workbench.data.study_data import Journeys, Problem, StudyData
from workbench.errors import DataError, StudyError, WorkbenchError, unknown_name
from workbench.schema.cohort import MISSING, in_order
from workbench.schema.study import PartnersSource
from workbench.stats.multiplicity import holm

ROLES = ("invited", "agreed", "took_part")
ALPHA = 0.05
ALL = "all"
YES_NO = "it takes true or false, yes or no, 1 or 0, and empty for no"
DID = {"agreed": "agreed", "took_part": "took part"}
WITHOUT = {"invited": "being invited", "agreed": "having agreed"}


@dataclass(frozen=True)
class Partners:
    """Partners beside all customers, by segment and vertical.

    Attributes:
        table: One row for all customers (grouping and level are "all"), then one for each level of each
            segment and vertical: customers, invited, agreed and took_part, and the share of each in its
            column's total (`share`, `invited_share`, ...). `agreed` is NaN where no column tells it.
        sentence: For whom the result speaks.
        problems: What is odd about the partners.
    """

    table: pd.DataFrame
    sentence: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Difference:
    """How often a level occurs among those who took part, and among all, where the level is known."""

    grouping: str
    level: str
    took_part: int
    of_took_part: int
    customers: int
    of_customers: int

    @property
    def share(self) -> float:
        """The level's share of those who took part, less that of all."""
        return self.took_part / self.of_took_part - self.customers / self.of_customers

    @property
    def pvalue(self) -> float:
        """Twice the smaller hypergeometric tail: those who took part are drawn from all by chance."""
        from scipy.stats import hypergeom

        chance = hypergeom(self.of_customers, self.customers, self.of_took_part)
        tails = chance.cdf(self.took_part), chance.sf(self.took_part - 1)
        return min(1.0, 2 * float(min(tails)))


def study_partners(
    data: StudyData, iteration: str | None = None, at: datetime | None = None
) -> Partners:
    """Count a study's partners beside all its customers.

    Args:
        data: The study's data.
        iteration: The iteration whose flow they entered; any unless given.
        at: The time as of which the log is read; its end unless given.

    Returns:
        The counts, a sentence, and what is odd about the partners.

    Raises:
        StudyError: The study names no partners, or outcomes are asked for a time.
        DataError: The table cannot be read, contradicts itself, or meets no customer of the study.
    """
    source, kinds = data.spec.partners, data.spec.kinds
    if source is None:
        raise StudyError("the study names no partners; add partners: {source: partners.csv}")
    columns = [each for each, kind in kinds.items() if kind in ("segment", "vertical")]
    rows, repeated = read_partners(data.tables.read(source, source.customer), source)
    names, everyone = list(rows.index), _everyone(data, columns)
    here, in_result = _in_result(data, names, iteration, at)
    rows["in_result"] = rows.index.isin(list(here))
    if "took_part" not in rows and data.journeys is None:
        msg = f"{source.source} has no column {source.took_part!r}, and outcomes do not tell it; add it"
        raise DataError(msg)
    rows["took_part"] = rows.get("took_part", rows["in_result"])
    found = collect(everyone.filter(nw.col("customer").is_in(names)))
    by = [f"by {each}" for each in columns]
    levels = pd.DataFrame(found, columns=["customer", *by]).set_index("customer")
    rows["known"] = rows.index.isin(levels.index)
    rows = rows.join(levels)
    rows[by] = rows[by].fillna(MISSING)
    sizes = {column: _sizes(everyone, f"by {column}") for column in columns}
    total = int(collect(everyone.select(nw.len().alias("rows")))[0]["rows"])
    others = in_result - int((rows["took_part"] & rows["in_result"]).sum())
    problems = _problems(data, rows, repeated, everyone, iteration)
    sentence = _sentence(rows, total, others, differences(rows, sizes))
    return Partners(_table(rows, sizes, total), sentence, problems)


def partner_problems(data: StudyData) -> list[Problem]:
    """Name what is odd about a study's partners; nothing if it names none."""
    if data.spec.partners is None:
        return []
    try:
        return list(study_partners(data).problems)
    except WorkbenchError as error:
        return [Problem("error", str(error), 1, {})]


def read_partners(table: Frame, source: PartnersSource) -> tuple[pd.DataFrame, int]:
    """Read a table of partners.

    Args:
        table: The table, on any engine.
        source: Which column is what. One that the study file does not name may be absent.

    Returns:
        One row a customer, by id as text, with a truth value for `invited` and for those of `agreed`
        and `took_part` that are columns; and how many rows repeat another one.

    Raises:
        DataError: For a column that is missing or not yes/no, a row without customer, a customer whose
            rows contradict each other, and a table without rows.
    """
    table = customers_table(table, source)
    known, roles = table.collect_schema().names(), {}
    for role in ROLES:
        column = getattr(source, role)
        if column in known:
            roles[role] = column
            table = yes_or_no(table, column, source.source, YES_NO)
        elif role in source.model_fields_set:
            raise DataError(f"{source.source}: {unknown_name('column', column, known)}")
    picked = [nw.col(column).alias(role) for role, column in roles.items()]
    found = collect(table.select(nw.col("customer").cast(nw.String), *picked))
    if not found:
        raise DataError(f"{source.source} has no rows; add those who were invited")
    said = [
        {"customer": row["customer"], **{role: bool(row[role]) for role in roles}} for row in found
    ]
    once = pd.DataFrame(said).drop_duplicates().sort_values("customer")
    if odd := once["customer"][once["customer"].duplicated()].head(1).tolist():
        msg = (
            f"{source.source}: customer {odd[0]} has rows that say different things; keep one row a "
            "customer"
        )
        raise DataError(msg)
    if "invited" not in roles:
        once.insert(1, "invited", value=True)
    return once.set_index("customer"), len(said) - len(once)


def differences(
    rows: pd.DataFrame, sizes: Mapping[str, Mapping[str, int]]
) -> list[tuple[Difference, float]]:
    """Compare the levels of those who took part with those of all customers.

    Args:
        rows: One row a partner: `took_part`, `known` (is among all customers), and `by GROUPING`.
        sizes: The customers of each level of each grouping. Who has none is left out.

    Returns:
        The levels, each with its p-value after Holm; of two levels, which mirror each other, the one
        that is more frequent among those who took part.
    """
    found: list[Difference] = []
    for grouping, counts in sizes.items():
        levels = {level: count for level, count in counts.items() if level != MISSING}
        those = rows.loc[rows["took_part"] & rows["known"], f"by {grouping}"]
        took_part = those[those != MISSING].value_counts()
        if not len(took_part):
            continue
        all_took_part, customers = int(took_part.sum()), sum(levels.values())
        here = [
            Difference(
                grouping, level, int(took_part.get(level, 0)), all_took_part, count, customers
            )
            for level, count in levels.items()
        ]
        found += [max(here, key=lambda each: each.share)] if len(here) == 2 else here
    return list(zip(found, holm([each.pvalue for each in found]), strict=True))


def _everyone(data: StudyData, columns: Sequence[str]) -> Frame:
    """Return the customers of the customers table, or else of the log, with their levels.

    A row each: `customer` as text, and `by GROUPING` columns.
    """
    customers, log = data.tables.customers, data.tables.log
    known = [] if customers is None else customers.collect_schema().names()
    of_log = [column for column in columns if column not in known]
    frames = []
    if customers is not None:
        of_table = {column: f"by {column}" for column in columns if column in known}
        frames.append(_by_customer(customers, "customer", of_table))
    if log is not None and (of_log or not frames):
        seen = {f"by {column}": f"by {column}" for column in of_log}
        frames.append(_by_customer(log.rows(*of_log), "customer", seen))
    whole, *more = frames
    return keep(whole.join(more[0], on="customer", how="left") if more else whole)


def _in_result(
    data: StudyData, names: Sequence[str], iteration: str | None, at: datetime | None
) -> tuple[set[str], int]:
    """Return who of those named is in the result, and how many customers are in all.

    They entered the flow, or have an outcome that is known.
    """
    opened = data.opened
    if isinstance(opened, Journeys):
        paths = opened.paths(at)
        spans = [place for place, each in enumerate(paths.spans) if iteration in (None, each.name)]
        entered = np.unique(paths.entries.customer[np.isin(paths.entries.span, spans)])
        ids = paths.numbering.known(names)
        here = entered[np.isin(entered, [*ids])].tolist()
        return {ids[number] for number in here}, len(entered)
    if not isinstance(opened, OutcomesTable):
        raise StudyError("counts know no single customer; leave partners out")
    if at is not None:
        raise StudyError("outcomes have no times; leave as_of out")
    known = [~nw.col(column).is_null() for column in opened.outcomes.values()]
    decided = opened.table.filter(nw.any_horizontal(*known, ignore_nulls=True))
    done = {row["customer"] for row in collect(_by_customer(decided, opened.source.customer, {}))}
    return done.intersection(names), len(done)


def _by_customer(rows: Frame, customer: str, columns: Mapping[str, str]) -> Frame:
    """Return a row for each customer, with the smallest value of each column, all as text."""
    texts = [nw.col(each).cast(nw.String).alias(name) for each, name in columns.items()]
    rows = rows.select(nw.col(customer).cast(nw.String).alias("customer"), *texts)
    known = rows.filter(~nw.col("customer").is_null()).group_by("customer")
    smallest = [nw.col(name).min() for name in columns.values()]
    return known.agg(nw.len().alias("(rows)"), *smallest).select("customer", *columns.values())


def _sizes(everyone: Frame, column: str) -> dict[str, int]:
    """Count the customers of each level, in their order; those without one come last."""
    counted = collect(everyone.group_by(column).agg(nw.len().alias("rows")))
    sizes = {row[column]: int(row["rows"]) for row in counted}
    order = sorted(sizes.keys() - {None}, key=lambda each: in_order([each]))
    missing = {MISSING: sizes[None]} if None in sizes else {}
    return {level: sizes[level] for level in order} | missing


def _table(rows: pd.DataFrame, sizes: Mapping[str, Mapping[str, int]], total: int) -> pd.DataFrame:
    groups = [(ALL, ALL, total, pd.Series(data=True, index=rows.index))]
    for grouping, counts in sizes.items():
        of_rows = rows[f"by {grouping}"]
        groups += [
            (grouping, level, counts.get(level, 0), of_rows == level)
            for level in dict.fromkeys([*counts, *of_rows.sort_values()])
        ]
    found = []
    for grouping, level, customers, those in groups:
        row: dict[str, Any] = {"grouping": grouping, "level": level}
        row |= {"customers": customers, "share": customers / total}
        for role in ROLES:
            every = rows[role].sum() if role in rows else math.nan
            row[role] = (rows[role] & those).sum() if role in rows else math.nan
            row[f"{role}_share"] = row[role] / every if every else math.nan
        found.append(row)
    return pd.DataFrame(found)


def _sentence(
    rows: pd.DataFrame, total: int, others: int, found: Sequence[tuple[Difference, float]]
) -> str:
    """Say how many took part, and which level differs most where chance alone does not explain it."""
    roles = [each for each in ROLES if each in rows]
    invited, *agreed, took_part = (f"{int(rows[each].sum()):,}" for each in roles)
    then = f"agreed and {took_part} took part" if agreed else "took part"
    said = (
        f"{(agreed or [took_part])[0]} of {invited} invited customers {then}, of {total:,} in all"
    )
    noun = "customer" if others == 1 else "customers"
    beside = f"; the result counts {others:,} other {noun} too" if others else ""
    clear = [each for each, pvalue in found if pvalue <= ALPHA]
    if not rows["took_part"].any():
        said += "; nobody took part yet"
    elif not found:
        said += "; no segment or vertical tells which customers they are"
    elif not clear:
        said += f"; those who took part look like all customers, as far as {took_part} can tell"
    else:
        most = max(clear, key=lambda each: (abs(each.share), each.share))
        ours, every = most.of_took_part, most.of_customers
        said += (
            f"; customers with {most.grouping} = {most.level} are "
            f"{display.rate(most.took_part / ours, most.took_part, ours)} of those who took part but "
            f"{display.rate(most.customers / every, most.customers, every)} of all"
        )
        first = "speaks for them first" if most.share > 0 else "says least about them"
        beside = beside or f": the result {first}"
    return f"{said}{beside}."


def _problems(
    data: StudyData, rows: pd.DataFrame, repeated: int, everyone: Frame, iteration: str | None
) -> tuple[Problem, ...]:
    """Name what is odd about partners; raise DataError when none of them is a customer."""
    spec, journeys, found = data.spec, data.journeys, []
    name = "" if spec.partners is None else spec.partners.source
    whole = "" if journeys is None else journeys.log.name
    if spec.customers is not None:
        whole = spec.customers.source
    if repeated:
        said = f"rows of {name} repeat another one exactly; they count once"
        found.append(Problem("note", said, repeated, {}))
    strangers = rows.index[~rows["known"]]
    if len(strangers):
        theirs = collect(everyone.select(nw.col("customer").min()))[0]["customer"]
        if len(strangers) == len(rows):
            msg = (
                f"none of the {len(rows):,} customers of {name} is in {whole}: there it says "
                f"{theirs!r}, here {strangers[0]!r}; write ids one way"
            )
            raise DataError(msg)
        verb = "is" if len(strangers) == 1 else "are"
        said = (
            f"{len(strangers):,} of {len(rows):,} customers of {name} {verb} not in {whole}, such "
            f"as {strangers[0]!r} (there are ids such as {theirs!r}); their groups are missing"
        )
        found.append(Problem("warning", said, len(strangers), {"customer": strangers[0]}))
    odd = {
        f"{DID[later]} without {WITHOUT[before]}; correct {name}": rows[later] & ~rows[before]
        for before, later in pairwise([each for each in ROLES if each in rows])
    }
    where = f" in {iteration}" if iteration else ""
    why = "no outcome of theirs is known" if journeys is None else f"did not enter the flow{where}"
    odd[f"took part but {why}, or saw two groups; the result does not count them"] = (
        rows["took_part"] & ~rows["in_result"]
    )
    for said, those in odd.items():
        if count := int(those.sum()):
            example = rows.index[those][0]
            noun = "customer" if count == 1 else "customers"
            message = f"{count:,} {noun} of {name}, such as {example!r}, {said}"
            found.append(Problem("warning", message, count, {"customer": example}))
    return tuple(found)
