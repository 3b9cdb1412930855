"""A study as reports see one, without a file or data."""

from __future__ import annotations

from datetime import date, datetime
from types import SimpleNamespace

from support import results

from workbench.schema.time import Iteration


class StudyWithoutData:
    def __init__(self, *, hypotheses=(), groupings=None, newest=None, note=""):
        self.latest = newest
        self.spec = SimpleNamespace(
            name="guided-import",
            title="Guided import",
            note=note,
            iterations=[
                Iteration(name="2026.1", start=date(2026, 1, 5), end=date(2026, 2, 2)),
                Iteration(name="2026.2"),
                Iteration(name="2026.3", start="2026-03-02T08:00", end="2026-03-09T08:00"),
            ],
            hypotheses=hypotheses,
            kinds=groupings or {},
            partners=None,
        )

    def newest(self, as_of):
        return self.latest if as_of is None else datetime.fromisoformat(as_of)

    def effects(self, *, iteration, hypothesis, as_of):
        assert (iteration, as_of) == ("2026.1", None)
        frame = results.effects().drop(columns=["hypothesis", "minimum_effect", "alternative"])
        return frame if hypothesis != "empty" else frame.head(0)
