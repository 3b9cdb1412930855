"""Numbering: customers as whole numbers from 0 on, in the order of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import narwhals as nw

from workbench.engines import Frame, collect, distinct, ends, keep

CLOSE = 8  # ids that leave out so many for each row are still their own numbers
FEW = 10_000
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Numbering:
    """Customers by number; `count` is one more than the largest one.

    Ids that are whole numbers and lie close together are their own numbers, less the `lowest`;
    others are numbered by the engine. `customers` is a frame with all of them.
    """

    customers: Frame = field(repr=False)
    count: int
    lowest: int | None

    @classmethod
    def of(cls, rows: Frame, names: Sequence[str], length: int) -> Numbering:
        """Number who has one of these events, at least, in a log of such a length."""
        customers = rows.select("customer")
        if customers.collect_schema()["customer"].is_integer():
            lowest, highest = ends(customers, "customer", "customer")
            count = highest - lowest + 1
            if count <= max(CLOSE * length, FEW) and highest <= LARGEST:
                return cls(customers, count, lowest)
        wanted = distinct(rows.filter(nw.col("event").is_in(names)), "customer")
        ids = keep(wanted.with_row_index("number", order_by="customer"))
        count = collect(ids.select(nw.len().alias("customers")))[0]["customers"]
        return cls(ids.with_columns(nw.col("number").cast(nw.Int64)), max(count, 1), None)

    @cached_property
    def ids(self) -> Frame:
        """Every customer once, with the number."""
        if self.lowest is None:
            return self.customers
        return self.number(distinct(self.customers, "customer"))

    def number(self, rows: Frame) -> Frame:
        """Add `number` to rows of the log; those of customers without one drop out."""
        if self.lowest is not None:
            number = nw.col("customer").cast(nw.Int64) - self.lowest
            return rows.with_columns(number.alias("number"))
        return rows.join(self.ids, on="customer")

    def match(self, table: Frame) -> Frame:
        """Add `number` to a table of customers; those without one drop out.

        Ids of another type than the log's are compared as text.
        """
        kind, own = (each.collect_schema()["customer"] for each in (table, self.customers))
        if self.lowest is not None and kind.is_integer():
            return table.with_columns(self._own).filter(~nw.col("number").is_null())
        if kind == own:
            return table.join(self.ids, on="customer")
        name = nw.col("customer").cast(nw.String).alias("(name)")
        ids = self.ids.select(name, "number")
        return table.with_columns(name).join(ids, on="(name)").drop("(name)")

    def known(self, names: Sequence[str]) -> dict[int, str]:
        """Give the numbers of those of these customers, named by their ids as text, who are known."""
        ids = self.ids.with_columns(nw.col("customer").cast(nw.String))
        found = collect(ids.filter(nw.col("customer").is_in(names)))
        return {int(row["number"]): row["customer"] for row in found}

    @property
    def _own(self) -> nw.Expr:
        """The number of an id that is a whole number; null for ids between which nobody of us lies."""
        customer, lowest = nw.col("customer"), self.lowest or 0
        ours = (customer >= lowest) & (customer <= lowest + self.count - 1)
        return (nw.when(ours).then(customer).cast(nw.Int64) - lowest).alias("number")
