"""Pairs of a study's indicators, and the findings that a workshop keeps of them.

What takes long (models, permutations, bootstrap) is done once for each pair and cohort and kept;
looking at a pair at another lag or in another view is then a matter of milliseconds.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import duckdb
import narwhals as nw
import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.data.counts import customers_table
from workbench.data.engines import collect, read_table
from workbench.display import Column, Table
from workbench.errors import DataError, StudyError, unknown_name
from workbench.indicators.forecasts import Forecast, would_have_predicted
from workbench.indicators.lag_curves import LagCurve, Transform, filter_of, unfit, view
from workbench.indicators.lags import Association, associate_all, count_of, signed
from workbench.indicators.panels import PanelAssociation, associate_panel
from workbench.indicators.series import standard
from workbench.indicators.sources import StudyIndicators
from workbench.indicators.values import Indicators
from workbench.schema.cohort import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from workbench.schema.hypothesis import Hypothesis
    from workbench.schema.study import StudySpec

Array = npt.NDArray[Any]
Cohort = tuple[tuple[str, str], ...]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
FARTHEST = 12
VIEWS = {"levels": "raw levels", "differences": "differences", "prewhitened": "prewhitened values"}
FILE = "findings.csv"
NOTHING_TO_TEST = (
    "# This study follows no customers through iterations, so no hypothesis can be tested yet: add\n"
    "# events with a flow, counts or outcomes, and iterations.\n"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is looked at: a pair, at a lag, in a view, of a cohort (empty: all customers)."""

    leading: str
    lagging: str
    lag: int = 0
    transform: Transform = "prewhitened"
    cohort: Cohort = ()

    @property
    def cohort_words(self) -> str:
        """Name the cohort."""
        return ", ".join(f"{name} = {value}" for name, value in self.cohort) or "all customers"


@dataclass(frozen=True, eq=False)
class PairView:
    """A pair at one setting: its numbers, its rows, and what they say.

    `frame` has a row a period of the lagging indicator, and of the `lag` periods after the last:
    its value, the leading value of `lag` periods before, and both on one scale (mean 0, standard
    deviation 1). `band` is what the best of all lags stays within in 95 of 100 unrelated pairs.
    """

    setting: Setting
    association: Association
    curve: LagCurve
    frame: pd.DataFrame = field(repr=False)
    correlation: float
    band: float
    periods: int

    @property
    def outside(self) -> bool:
        """Whether the correlation at this lag is larger than chance makes the best of all lags."""
        return abs(self.correlation) > self.band

    @property
    def upside_down(self) -> bool:
        """Whether the two move in opposite directions, where they move together at all."""
        return self.association.found and self.association.correlation < 0

    @property
    def sentence(self) -> str:
        """What is seen at this setting."""
        return _sentence(self)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is seen at this setting, what holds of the pair, and where levels mislead, why."""
        said = [self.sentence, self.association.sentence]
        if self.setting.transform == "levels" and self.association.warning:
            said.append(self.association.warning)
        if self.setting.cohort:
            said.append(
                f"This is {self.setting.cohort_words} only. Whoever looks at several cohorts finds "
                "something in one of them by chance: take it for an idea."
            )
        return tuple(said)


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of a study's indicators as of a moment; remembers every answer.

    Lags from 0 to `max_lag` are searched: unless given, 12, or a quarter of the periods where these
    are few. `alpha` is the share of the pairs found that may be nothing (Benjamini & Hochberg).
    """

    source: StudyIndicators
    moment: datetime | None = None
    max_lag: int | None = None
    permutations: int = 999
    alpha: float = 0.05
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Hold that there are leading and lagging indicators."""
        found = self.indicators()
        for kind in ("leading", "lagging"):
            if not getattr(found, kind):
                msg = f"study {self.source.spec.name!r} has no {kind} indicator; define one or more"
                raise StudyError(msg)

    def indicators(self, cohort: Cohort = ()) -> Indicators:
        """Give the indicators of a cohort, or of all customers."""
        key = "indicators", cohort
        if key not in self._known:
            self._known[key] = self.source.read(dict(cohort) or None, self.moment)
        found: Indicators = self._known[key]
        return found

    @property
    def farthest(self) -> int:
        """The farthest lag that is searched."""
        length = self.indicators().periods.length
        return max(1, min(FARTHEST, length // 4)) if self.max_lag is None else self.max_lag

    @property
    def period(self) -> str:
        """What a period is called."""
        kind = self.indicators().periods.kind
        return "period" if kind == "number" else kind

    @property
    def cohorts(self) -> tuple[Cohort, ...]:
        """List all customers, then each value of each grouping of the customers table."""
        if "cohorts" not in self._known:
            self._known["cohorts"] = ((), *_cohorts(self.source))
        known: tuple[Cohort, ...] = self._known["cohorts"]
        return known

    def associations(self, cohort: Cohort = ()) -> tuple[Association, ...]:
        """Associate every leading indicator with every lagging one: the surest first."""
        key = "associations", cohort
        if key not in self._known:
            found = self.indicators(cohort)
            self._known[key] = associate_all(
                {name: found.series(name).values for name in found.leading},
                {name: found.series(name).values for name in found.lagging},
                max_lag=self.farthest,
                period=self.period,
                permutations=self.permutations,
                alpha=self.alpha,
            )
        every: tuple[Association, ...] = self._known[key]
        return tuple(sorted(every, key=_surest))

    def association(self, leading: str, lagging: str, cohort: Cohort = ()) -> Association:
        """Give one of the associations; raise StudyError for an unknown name."""
        found = self.indicators()
        for kind, name, names in (
            ("leading indicator", leading, found.leading),
            ("lagging indicator", lagging, found.lagging),
        ):
            if name not in names:
                raise StudyError(unknown_name(kind, name, names))
        every = self.associations(cohort)
        return next(each for each in every if (each.leading, each.lagging) == (leading, lagging))

    def best(self, leading: str, lagging: str, cohort: Cohort = ()) -> Setting:
        """Give the setting at which a pair is strongest, prewhitened; lag 0 where none is known."""
        lag = self.association(leading, lagging, cohort).best_lag
        return Setting(leading, lagging, lag or 0, cohort=cohort)

    def view(self, setting: Setting) -> PairView:
        """Look at a pair at a setting; raise StudyError for a lag that is not searched."""
        association = self.association(setting.leading, setting.lagging, setting.cohort)
        if setting.transform not in TRANSFORMS:
            raise StudyError(unknown_name("transform", setting.transform, TRANSFORMS))
        curve: LagCurve = getattr(association, setting.transform)
        if setting.lag not in curve.lags:
            ends = f"{curve.lags[0]} to {curve.lags[-1]}"
            raise StudyError(f"lag is {setting.lag}; the lags searched are {ends}")
        place = curve.lags.index(setting.lag)
        return PairView(
            setting,
            association,
            curve,
            self._frame(setting),
            curve.correlations[place],
            curve.band[place],
            curve.pairs[place],
        )

    def of_customers(self, leading: str, lagging: str) -> PanelAssociation | None:
        """Associate a pair within customers and between them; None if it is not known by customer."""
        found = self.indicators()
        if not {leading, lagging} <= {*found.of_customers}:
            return None
        key = "panel", leading, lagging
        if key not in self._known:
            panel = found.panel([leading, lagging])
            self._known[key] = associate_panel(
                panel[leading],
                panel[lagging],
                max_lag=self.farthest,
                names=(leading, lagging),
                period=self.period,
                alpha=self.alpha,
            )
        known: PanelAssociation = self._known[key]
        return known

    def forecast(self, leading: str, lagging: str) -> Forecast | None:
        """Say whether a pair that was found would have predicted; None for others and for lag 0."""
        association = self.association(leading, lagging)
        if not association.found or not association.best_lag:
            return None
        found = self.indicators()
        return would_have_predicted(
            found.series(leading).values,
            found.series(lagging).values,
            lag=association.best_lag,
            names=(leading, lagging),
            period=self.period,
        )

    def prepare(self, cohort: Cohort = ()) -> Pairs:
        """Work out all that any setting of a cohort needs, so that looking at it is quick."""
        for each in self.associations(cohort):
            for transform in TRANSFORMS:
                self._seen(each.leading, each.lagging, transform, cohort)
        return self

    def _seen(
        self, leading: str, lagging: str, transform: Transform, cohort: Cohort
    ) -> tuple[Array, Array]:
        """Give both series as a view shows them; NaN where the view has nothing to show."""
        key = "seen", leading, lagging, transform, cohort
        if key not in self._known:
            found = self.indicators(cohort)
            x, y = (found.series(name).values for name in (leading, lagging))
            model = None
            if transform == "prewhitened":
                lags = np.arange(self.farthest + 1)
                if unfit(x, y, lags, (leading, lagging)):
                    x, y = np.full(len(x), np.nan), np.full(len(y), np.nan)
                    transform = "levels"
                else:
                    filters = self._known.setdefault(("filters", leading, cohort), {})
                    model = filter_of(x, y, filters)
            self._known[key] = view(x, y, transform, model)
        both: tuple[Array, Array] = self._known[key]
        return both

    def _frame(self, setting: Setting) -> pd.DataFrame:
        """Set the lagging values beside the leading ones of so many periods before."""
        import pandas as pd

        x, y = self._seen(setting.leading, setting.lagging, setting.transform, setting.cohort)
        periods, lag = self.indicators(setting.cohort).periods, setting.lag
        place = np.arange(len(x) + lag)
        late, early = _at(y, place), _at(x, place - lag)
        return pd.DataFrame(
            {
                "period": [periods.at(each).name for each in place.tolist()],
                "leading_period": [periods.at(each - lag).name for each in place.tolist()],
                "leading": early,
                "lagging": late,
                "leading_scaled": _at(standard(x), place - lag),
                "lagging_scaled": _at(standard(y), place),
            }
        )


def _cohorts(source: StudyIndicators) -> list[Cohort]:
    """List the cohorts of the customers table, if indicators are known by customer at all."""
    part = source.spec.customers
    if part is None or not source.read().of_customers:
        return []
    read = read_table(part.source, source.folder, duckdb.connect(), [part.customer])
    table = customers_table(read, part)
    columns = [name for name in source.spec.groupings if name in table.collect_schema().names()]
    found: list[Cohort] = []
    for name in columns:
        value = nw.col(name).cast(nw.String).fill_null(MISSING).alias("value")
        values = {str(row["value"]) for row in collect(table.select(value).unique())}
        found += [((name, each),) for each in sorted(values)]
    return found


def _at(values: Array, place: Array) -> Array:
    inside = (place >= 0) & (place < len(values))
    return np.where(inside, values[np.clip(place, 0, len(values) - 1)], np.nan)


def _surest(found: Association) -> tuple[bool, bool, float, float]:
    """Order: found pairs, then others, then those of which nothing can be said; by p-value."""
    known = not math.isnan(found.pvalue)
    size = abs(found.correlation) if known else 0.0
    return not known, not found.found, found.pvalue if known else 0.0, -size


def _sentence(seen: PairView) -> str:
    setting, association = seen.setting, seen.association
    period = association.period
    what = f"{VIEWS[setting.transform]} of {setting.leading} and {setting.lagging}"
    at = f"at a lag of {count_of(setting.lag, period)}"
    if not math.isfinite(seen.correlation):
        reason = seen.curve.reason or "too few periods have both values"
        return f"The {what} say nothing {at}: {reason}."
    size = f"correlate {signed(seen.correlation)} on {count_of(seen.periods, period)}"
    if not math.isfinite(seen.band):
        reason = seen.curve.reason
        return f"The {what} {size} {at}; how much of it is chance is not known: {reason}."
    place = "outside the band" if seen.outside else "within the band"
    chance = (
        f"the best of {len(seen.curve.lags)} lags leaves ±{seen.band:.2f} in "
        f"{100 * (1 - seen.curve.confidence_level):.0f} of 100 unrelated pairs"
    )
    never = " Levels are shown, and never decide." if setting.transform == "levels" else ""
    return f"The {what} {size} {at}, {place}: {chance}.{never}"


def strength(found: Association) -> str:
    """Write the correlation with its interval, or that there is none."""
    if found.reason:
        return display.UNDEFINED
    return f"{signed(found.correlation)} [{signed(found.low)}, {signed(found.high)}]"


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
                display.pvalue(float(each["pvalue"])),
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
        *(f"  {role}: {cohort}" for role, cohort in _compared(known, spec).items()),
        "  alternative: greater",
        "  minimum_effect: 0.05  # the least worth having; choose it before you see the data",
    ]
    return "\n".join(lines) + "\n"


def _compared(known: Hypothesis | None, spec: StudySpec) -> dict[str, str]:
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
