"""Findings that a workshop keeps: a row each with all of its settings, in a file beside the study."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import formats
from workbench.displays import Column, Table
from workbench.errors import DataError
from workbench.lags import count_of, signed
from workbench.pairs import PairView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.hypothesis import Hypothesis
    from workbench.specification import StudySpec

FILE = "findings.csv"
NOTHING_TO_TEST = (
    "# This study follows no customers through iterations, so no hypothesis can be tested yet: add\n"
    "# events with a flow, counts or outcomes, and iterations.\n"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What somebody saw and kept: the setting, the numbers there, and what held of the pair."""

    kept: str
    study: str
    leading: str
    lagging: str
    lag: int
    period: str
    transform: str
    cohort: str
    correlation: float
    band: float
    periods: int
    found: bool
    best_lag: int | None
    pvalue: float
    sentence: str

    @classmethod
    def of(cls, seen: PairView, study: str, now: datetime | None = None) -> Finding:
        """Take down what is seen at a setting; `now` is the time that is written beside it."""
        setting, association = seen.setting, seen.association
        return cls(
            kept=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
            study=study,
            leading=setting.leading,
            lagging=setting.lagging,
            lag=setting.lag,
            period=association.period,
            transform=setting.transform,
            cohort=setting.cohort_words,
            correlation=round(seen.correlation, 6),
            band=round(seen.band, 6),
            periods=seen.periods,
            found=association.found,
            best_lag=association.best_lag,
            pvalue=round(association.adjusted, 6),
            sentence=" ".join(seen.sentences),
        )


COLUMNS = tuple(each.name for each in fields(Finding))


@dataclass(frozen=True)
class Findings:
    """The findings of a study: rows of a CSV file that only grows, or of memory without a path.

    A file beside the study outlives the kernel, and several workshops add to the same one; nothing
    is written before something is kept, and the study file is never touched.
    """

    path: Path | None = None
    _kept: list[Finding] = field(default_factory=list, repr=False)

    def keep(self, seen: PairView, study: str, now: datetime | None = None) -> Finding:
        """Add a row; raise DataError where the file cannot be written."""
        finding = Finding.of(seen, study, now)
        if self.path is not None:
            _append(self.path, finding)
        self._kept.append(finding)
        return finding

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """All findings, also those that others kept in the file, the newest last."""
        if self.path is None or not self.path.exists():
            return [asdict(each) for each in self._kept]
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} cannot be read ({error}); mend or move it") from None

    @property
    def table(self) -> Table:
        """The findings for a reader, the newest first."""
        rows = tuple(
            (
                f"{each['leading']} before {each['lagging']}",
                count_of(int(each["lag"]), str(each["period"])),
                str(each["transform"]),
                str(each["cohort"]),
                signed(float(each["correlation"])),
                "yes" if str(each["found"]) == "True" else "no",
                formats.pvalue(float(each["pvalue"])),
                str(each["kept"])[:16].replace("T", " "),
            )
            for each in reversed(self.rows)
        )
        columns = (
            Column("finding"),
            Column("lag", numeric=True),
            Column("view"),
            Column("cohort"),
            Column("correlation", numeric=True),
            Column("pair found"),
            Column("p, all pairs", numeric=True),
            Column("kept"),
        )
        where = f"In {self.path.name}, beside the study." if self.path else "Kept in memory only."
        return Table("Findings", columns, rows, where, "Nothing is kept yet.")


def draft(seen: PairView, spec: StudySpec) -> str:
    """Write a hypothesis that a finding suggests, as YAML to put into the study file by hand.

    What moves before something else need not move it: the draft is of a change that would show.
    """
    pair, association = seen.setting, seen.association
    if not spec.iterations or not spec.steps or spec.indicators is None:
        return NOTHING_TO_TEST
    definition = spec.indicators.definitions[pair.leading]
    metric = definition.step or spec.steps[-1]
    known = next((each for each in reversed(spec.hypotheses) if each.metric == metric), None)
    known = known or (spec.hypotheses[-1] if spec.hypotheses else None)
    lag = association.best_lag if association.best_lag is not None else pair.lag
    statement = (
        f"With the change more customers reach {metric}; {pair.leading} improves with it, and "
        f"{pair.lagging} {count_of(lag, association.period)} later."
    )
    lines = [
        *_comment(association.sentence),
        "# What moves before need not be what moves it: so test a change.",
        f"- name: {_quoted(f'{pair.leading}-before-{pair.lagging}')}",
        "  version: 1",
        f"  statement: {_quoted(statement)}",
        f"  metric: {_quoted(metric)}",
        f"  iteration: {_quoted(spec.iterations[-1].name)}  # the one that tests it",
        *(f"  {role}: {cohort}" for role, cohort in _cohorts(known, spec).items()),
        "  alternative: greater",
        "  minimum_effect: 0.05  # the least worth having; choose it before you see the data",
    ]
    return "\n".join(lines) + "\n"


def _cohorts(known: Hypothesis | None, spec: StudySpec) -> dict[str, str]:
    """Give control and treatment as an earlier hypothesis has them, or to be filled in."""
    if known is not None:
        both = {"control": known.control, "treatment": known.treatment}
        more = {role: each.iteration for role, each in both.items() if each.iteration}
        return {
            role: _flow_style(
                dict(each.values) | ({"iteration": more[role]} if role in more else {})
            )
            for role, each in both.items()
        }
    column = next(
        (name for name, kind in spec.groupings.items() if kind == "experiment"), "GROUPING"
    )
    return {
        role: f"{{{_quoted(column)}: {role.upper()}}}  # name it"
        for role in ("control", "treatment")
    }


def _flow_style(values: dict[str, str]) -> str:
    written = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in values.items())
    return f"{{{written}}}"


def _comment(words: str, width: int = 96) -> list[str]:
    from textwrap import wrap

    return [f"# {line}" for line in wrap(words, width)]


def _quoted(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)


def _append(path: Path, finding: Finding) -> None:
    try:
        new = not path.exists() or not path.stat().st_size
        with path.open("a", encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, COLUMNS)
            if new:
                rows.writeheader()
            rows.writerow(asdict(finding))
    except OSError as error:
        said = f"{path} cannot be written ({error.strerror}); keep findings elsewhere"
        raise DataError(f"{said}: open_workshop(study, findings=PATH)") from None
