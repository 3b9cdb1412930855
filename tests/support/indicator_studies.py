"""Small studies of indicators only, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
