"""One person before and after they log in: ids that stand for others, on any engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn

import narwhals as nw

from workbench.data.engines import Frame, collect, keep, lazy
from workbench.data.readers import named
from workbench.errors import DataError, unknown_name

LONGEST = 16  # rounds; each doubles the length of the chains that are followed


@dataclass(frozen=True)
class Identities:
    """Which id stands for which other one, such as an anonymous one for a customer's.

    Chains are followed to their end. An id that stands for two customers is left as it is, and
    counted: nobody can tell whose rows those are.

    Attributes:
        table: Any table that the engines read, on the engine of what it is used for.
        old: The column with the ids that stand for others.
        new: The column with the ids that they stand for.
        name: What errors call the table.

    Raises:
        DataError: A column is missing, or ids stand for each other in a circle; raised when the
            table is first read.

    >>> import pandas as pd
    >>> ids = Identities(pd.DataFrame({"from": ["a", "b"], "to": ["b", "anna"]}), "from", "to")
    >>> sorted((row["old"], row["new"]) for row in collect(ids.last))
    [('a', 'anna'), ('b', 'anna')]
    """

    table: Any = field(repr=False)
    old: str = "from"
    new: str = "to"
    name: str = "the identities"

    @cached_property
    def _pairs(self) -> Frame:
        """The pairs of an id and the last one of its chain; several for an id of several customers."""
        frame = lazy(self.table)
        columns = frame.collect_schema().names()
        for column in (self.old, self.new):
            if column not in columns:
                raise DataError(f"{self.name}: {unknown_name('column', column, columns)}")
        for column in (self.old, self.new):
            frame = named(frame, [column], self.name, ids=True)
        pairs = frame.select(
            nw.col(self.old).cast(nw.String).alias("old"),
            nw.col(self.new).cast(nw.String).alias("new"),
        )
        pairs = pairs.filter(~nw.col("old").is_null(), ~nw.col("new").is_null())
        pairs = keep(pairs.filter(nw.col("old") != nw.col("new")).unique(["old", "new"]))
        for _ in range(LONGEST):
            single = _single(pairs).rename({"old": "new", "new": "last"})
            joined = keep(pairs.join(single, on="new", how="left"))
            if not collect(joined.filter(~nw.col("last").is_null()).head(1)):
                return pairs
            last = nw.coalesce("last", "new").alias("new")
            pairs = keep(joined.select("old", last).unique(["old", "new"]))
            if circle := collect(pairs.filter(nw.col("old") == nw.col("new")).sort("old").head(1)):
                return self._refuse(circle)
        return self._refuse(collect(joined.filter(~nw.col("last").is_null()).sort("old").head(1)))

    def _refuse(self, circle: list[dict[str, Any]]) -> NoReturn:
        msg = (
            f"{self.name}: ids stand for each other in a circle, {circle[0]['old']!r} among them; "
            "correct it"
        )
        raise DataError(msg)

    @cached_property
    def last(self) -> Frame:
        """Each id that stands for one customer, as `old`, and that customer's, as `new`."""
        return keep(_single(self._pairs))

    @cached_property
    def unclear(self) -> tuple[int, str, str, str]:
        """How many ids stand for several customers, one of them, and two of its customers."""
        several = _grouped(self._pairs).filter(nw.col("new") != nw.col("other"))
        count = collect(several.select(nw.len().alias("ids")))[0]["ids"]
        if not count:
            return 0, "", "", ""
        row = collect(several.sort("old").head(1))[0]
        return int(count), row["old"], row["new"], row["other"]

    def beside(self, frame: Frame) -> Identities:
        """Return the same for use with a frame that DuckDB made of a table in memory."""
        if isinstance(self.table, nw.LazyFrame) or not frame.implementation.is_duckdb():
            return self
        return replace(self, table=lazy(self.table, frame))

    def resolve(self, frame: Frame, column: str) -> Frame:
        """Replace the ids of a column by the customers for whom they stand; ids become text."""
        ids = self.last.rename({"old": column, "new": "(last)"})
        text = frame.with_columns(nw.col(column).cast(nw.String))
        joined = text.join(ids, on=column, how="left")
        return joined.with_columns(nw.coalesce("(last)", column).alias(column)).drop("(last)")


def _grouped(pairs: Frame) -> Frame:
    new = nw.col("new")
    return pairs.group_by("old").agg(new.min().alias("new"), new.max().alias("other"))


def _single(pairs: Frame) -> Frame:
    """Keep the ids that stand for one other alone."""
    return _grouped(pairs).filter(nw.col("new") == nw.col("other")).select("old", "new")
