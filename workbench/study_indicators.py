"""A study's indicators: those of its file and those of its event log on one grid, of a cohort or all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import duckdb
import narwhals as nw
import numpy as np

from workbench.aggregates import customers_table
from workbench.cohorts import MISSING
from workbench.engines import Frame, collect, read_table
from workbench.errors import StudyError, unknown_name
from workbench.flow_indicators import FlowIndicators, count_indicators
from workbench.grids import Grid, starting
from workbench.indicator_files import others, read_indicators
from workbench.indicators import Indicators, IndicatorsSource
from workbench.journeys import Journeys
from workbench.specification import StudySpec


@dataclass(frozen=True)
class StudyIndicators:
    """The indicators that a study's file names, opened when they are first asked for.

    Raises DataError for a file that cannot be read, StudyError for a cohort that does not exist.
    """

    spec: StudySpec
    folder: Path
    journeys: Journeys | None = None
    _read: dict[object, Indicators] = field(default_factory=dict, repr=False)

    def read(
        self, cohort: Mapping[str, str] | None = None, moment: datetime | None = None
    ) -> Indicators:
        """Give the indicators of all customers, or of those with these values of groupings.

        With `moment`, periods that begin later are left out. What was read once is kept.
        """
        key = (tuple(sorted((cohort or {}).items())), moment)
        if key not in self._read:
            self._read[key] = self._read_anew(cohort, moment)
        return self._read[key]

    def _read_anew(self, cohort: Mapping[str, str] | None, moment: datetime | None) -> Indicators:
        source, found = self.source, self._of_file
        if cohort:
            kept = self._customers_of(cohort)
            found = None if found is None else found.of(kept)
            if found is not None and found.of_customers and not found.customers:
                said = ", ".join(f"{column} = {value}" for column, value in cohort.items())
                raise StudyError(f"no customer of {source.source} has {said}; name another cohort")
        counted = None
        if source.of_flow and self.journeys is not None:
            counted = count_indicators(self.journeys, source, cohort, moment)
        return _until(together(source, found, counted), moment)

    @property
    def source(self) -> IndicatorsSource:
        """The study file's part on indicators; raises StudyError where it has none."""
        if self.spec.indicators is None:
            msg = f"study {self.spec.name!r} has no indicators; add an indicators part to its file"
            raise StudyError(msg)
        return self.spec.indicators

    @cached_property
    def unnamed(self) -> list[str]:
        """List the indicators of a long file that no definition names."""
        return [] if self.source.source is None else others(self._table, self.source)

    @cached_property
    def _table(self) -> Frame:
        role = self.source.columns
        as_text = [role.customer, role.period, role.value]
        return read_table(self.source.source or "", self.folder, duckdb.connect(), as_text)

    @cached_property
    def _of_file(self) -> Indicators | None:
        return None if self.source.source is None else read_indicators(self._table, self.source)

    def _customers_of(self, cohort: Mapping[str, str]) -> set[str]:
        """List the customers with these values of columns of the customers table."""
        part = self.spec.customers
        if part is None:
            msg = "indicators of a cohort need a customers table with its groupings; add customers"
            raise StudyError(msg)
        table = customers_table(
            read_table(part.source, self.folder, duckdb.connect(), [part.customer]), part
        )
        known = [each for each in self.spec.groupings if each in table.collect_schema().names()]
        for column in cohort:
            if column not in known:
                said = unknown_name("grouping of customers", column, known)
                raise StudyError(f"{said}; indicators go by columns of the customers table")
        alike = [
            nw.col(column).cast(nw.String).fill_null(MISSING) == value
            for column, value in cohort.items()
        ]
        rows = table.filter(*alike).select(nw.col("customer").cast(nw.String))
        return {each["customer"] for each in collect(rows)}


def together(
    source: IndicatorsSource, of_file: Indicators | None, of_flow: FlowIndicators | None
) -> Indicators:
    """Put the indicators of the file and of the event log on one grid of periods."""
    grids = [each for each in (of_file and of_file.periods, of_flow and of_flow.grid) if each]
    ends = [end for each in grids for end in (each.first, each.first + each.length - 1)]
    grid = Grid.of(source.period, ends)
    values, n, reasons = {}, {}, {}
    customers: tuple[str, ...] = ()
    present = np.zeros((0, grid.length), dtype=bool)
    if of_file is not None:
        more = _padding(of_file.periods, grid)
        customers, present = of_file.customers, np.pad(of_file.present, ((0, 0), more))
        for name, each in of_file.values.items():
            width = ((0, 0), more) if each.ndim == 2 else more
            values[name] = np.pad(each, width, constant_values=np.nan)
        n = {name: np.pad(each, more) for name, each in of_file.n.items()}
    if of_flow is not None:
        more = _padding(of_flow.grid, grid)
        for name, each in of_flow.values.items():
            values[name] = np.pad(each, more, constant_values=np.nan)
            n[name] = np.pad(of_flow.n[name], more)
        reasons = {name: said for name, said in of_flow.reasons.items() if said}
    return Indicators(
        source.definitions,
        grid,
        customers,
        present,
        {name: values[name] for name in source.definitions},
        n,
        {} if of_file is None else of_file.repeated,
        reasons,
    )


def _padding(part: Grid, whole: Grid) -> tuple[int, int]:
    before = part.first - whole.first
    return before, whole.length - before - part.length


def _until(found: Indicators, moment: datetime | None) -> Indicators:
    """Leave out the periods that begin after a moment."""
    grid = found.periods
    if moment is None or grid.kind == "number":
        if moment is not None:
            raise StudyError("periods that are numbers have no dates; leave as_of out")
        return found
    kept = sum(
        starting(grid.kind, grid.first + each) <= moment.date() for each in range(grid.length)
    )
    if not kept:
        msg = f"as_of is {moment:%Y-%m-%d}, before the first period ({grid.labels[0]}); give a later one"
        raise StudyError(msg)
    return Indicators(
        found.definitions,
        Grid(grid.kind, grid.first, kept),
        found.customers,
        found.present[:, :kept].copy(),
        {name: each[..., :kept].copy() for name, each in found.values.items()},
        {name: each[:kept].copy() for name, each in found.n.items()},
        found.repeated,
        found.reasons,
    )
