"""Small studies of indicators only, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.indicators.values import Indicators, presence
from workbench.schema.indicators import IndicatorDefinition
from workbench.schema.time import PeriodKind, Periods
from workbench.study import Study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike


def study_of(folder: Path, series: Mapping[str, ArrayLike], lagging: Sequence[str]) -> Study:
    """Write series of one value a period as a study, and load it."""
    names = list(series)
    columns = np.column_stack([np.asarray(series[name], dtype=float) for name in names])
    lines = [",".join(["period", *names])]
    for number, row in enumerate(columns, 1):
        values = ["" if np.isnan(each) else repr(float(each)) for each in row]
        lines.append(",".join([str(number), *values]))
    (folder / "series.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = [
        f"    {name}: {{kind: {'lagging' if name in lagging else 'leading'}, better: higher}}"
        for name in names
    ]
    text = [
        "name: series",
        'title: "Series & <what> leads them"',
        "indicators:",
        "  source: series.csv",
        "  period: number",
        "  definitions:",
        *said,
    ]
    (folder / "study.yaml").write_text("\n".join(text) + "\n", encoding="utf-8")
    return Study.load(folder / "study.yaml")


def indicators_of(
    values: Mapping[str, ArrayLike],
    definitions: Mapping[str, IndicatorDefinition] | None = None,
    customers: Sequence[str] | None = None,
    kind: PeriodKind = "number",
    first: int = 1,
) -> Indicators:
    """Make indicators of arrays: customers x periods, or one value a period; all leading."""
    arrays = {name: np.array(each, dtype=float) for name, each in values.items()}
    panels = [~np.isnan(each) for each in arrays.values() if each.ndim == 2]
    (length,) = {each.shape[-1] for each in arrays.values()}
    seen = np.any(panels, axis=0) if panels else np.zeros((0, length), dtype=bool)
    return Indicators(
        definitions or {name: IndicatorDefinition(kind="leading") for name in arrays},
        Periods(kind, first, length),
        tuple(customers or map(str, range(1, len(seen) + 1))),
        presence(seen),
        arrays,
        {},
    )
