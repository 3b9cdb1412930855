"""Pairs of a study's indicators, and the findings that a workshop keeps.

Models, permutations and bootstrap run once per pair and cohort. Showing a pair at another lag or in
another view then takes milliseconds.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import numpy.typing as npt

from workbench import display
from workbench.data.engines import collect
from workbench.display import Column, Table, signed
from workbench.errors import DataError, StudyError, unknown_name
from workbench.indicators.forecasts import Forecast, would_have_predicted
from workbench.indicators.lag_curves import (
    TRANSFORMS,
    LagCurve,
    Transform,
    pair_filter,
    reason_unusable,
    transform_pair,
)
from workbench.indicators.lags import Association, associate_all, count_of
from workbench.indicators.panels import PanelAssociation, associate_panel
from workbench.indicators.series import standardize
from workbench.indicators.sources import StudyIndicators
from workbench.indicators.values import Indicators
from workbench.schema.cohort import MISSING, PARTICIPATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from workbench.schema.hypothesis import Hypothesis
    from workbench.schema.study import StudySpec

Array = npt.NDArray[Any]
Cohort = tuple[tuple[str, str], ...]
EVERYBODY = "all customers"
FARTHEST = 12
VIEWS = {"levels": "raw levels", "differences": "differences", "prewhitened": "prewhitened values"}
FINDINGS_FILE = "findings.csv"
NOTHING_TO_TEST = (
    "# This study follows no customers through iterations, so no hypothesis can be tested yet: add\n"
    "# events with a flow, counts or outcomes, and iterations.\n"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What to show: a pair at a lag, in a view, for a cohort.

    Args:
        leading: The leading indicator.
        lagging: The lagging indicator.
        lag: Periods by which the leading indicator comes first.
        transform: The view: "levels", "differences" or "prewhitened".
        cohort: Pairs of grouping column and value; empty for all customers.
    """

    leading: str
    lagging: str
    lag: int = 0
    transform: Transform = "prewhitened"
    cohort: Cohort = ()

    @property
    def cohort_words(self) -> str:
        """The name of the cohort."""
        return cohort_name(self.cohort)


def cohort_name(cohort: Cohort) -> str:
    """Write a cohort by its groupings.

    >>> cohort_name((("company_size", "50+"), ("country", "NL"))), cohort_name(())
    ('company_size = 50+, country = NL', 'all customers')
    """
    return ", ".join(f"{name} = {value}" for name, value in cohort) or EVERYBODY


@dataclass(frozen=True, eq=False)
class PairView:
    """A pair at one setting: its numbers, rows and sentences.

    `frame` has one row per period of the lagging indicator, and `lag` more: the lagging value, the
    leading value of `lag` periods before, and both scaled to mean 0 and standard deviation 1. In 95
    of 100 unrelated pairs, the correlations at all lags stay within `band`.
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
        """Whether the correlation at this lag lies outside the band of chance."""
        return abs(self.correlation) > self.band

    @property
    def upside_down(self) -> bool:
        """Whether the pair was found, and its two indicators move in opposite directions."""
        return self.association.found and self.association.correlation < 0

    @property
    def sentence(self) -> str:
        """What this setting shows, in a sentence."""
        return _view_sentence(self)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What this setting shows, what holds for the pair, and warnings."""
        said = [self.sentence, self.association.sentence]
        if self.setting.transform == "levels" and self.association.warning:
            said.append(self.association.warning)
        if self.setting.cohort:
            said.append(
                f"This is {self.setting.cohort_words} only. Among several cohorts one shows "
                "something by chance: treat it as an idea, not as a result."
            )
        return tuple(said)


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of a leading and a lagging indicator of a study; answers are cached.

    Args:
        source: The study's indicators.
        moment: Periods that begin later are left out.
        max_lag: The largest lag searched; unless given, 12, or a quarter of the periods if that is
            less.
        permutations: Surrogates per pair, at least 19.
        alpha: The expected share of false pairs among those found (Benjamini & Hochberg 1995).

    Raises:
        StudyError: If the study has no leading or no lagging indicator.

    Example:
        >>> from workbench.study import Study
        >>> pairs = Study.load("studies/guided-import/study.yaml").pairs()
        >>> [(each.leading, each.lagging, each.best_lag) for each in pairs.associations()[:2]]
        [('activity', 'tickets', 2), ('nps', 'renewal', 4)]
    """

    source: StudyIndicators
    moment: datetime | None = None
    max_lag: int | None = None
    permutations: int = 999
    alpha: float = 0.05
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check that there are leading and lagging indicators."""
        found = self.indicators()
        for kind in ("leading", "lagging"):
            if not getattr(found, kind):
                msg = f"study {self.source.spec.name!r} has no {kind} indicator; define one or more"
                raise StudyError(msg)

    def indicators(self, cohort: Cohort = ()) -> Indicators:
        """Return the indicators of a cohort, or of all customers."""
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
        """The word for a period, such as "week"."""
        kind = self.indicators().periods.kind
        return "period" if kind == "number" else kind

    @property
    def cohorts(self) -> tuple[Cohort, ...]:
        """All customers, then each value of each grouping of the customers table."""
        if "cohorts" not in self._known:
            self._known["cohorts"] = ((), *_cohorts_of(self.source))
        known: tuple[Cohort, ...] = self._known["cohorts"]
        return known

    def associations(self, cohort: Cohort = ()) -> tuple[Association, ...]:
        """Return the associations of all pairs, the surest first."""
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
        return tuple(sorted(every, key=_sort_key))

    def association(self, leading: str, lagging: str, cohort: Cohort = ()) -> Association:
        """Return the association of one pair; raise StudyError for an unknown indicator."""
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
        """Return the setting at a pair's best lag, prewhitened; lag 0 if none is known."""
        lag = self.association(leading, lagging, cohort).best_lag
        return Setting(leading, lagging, lag or 0, cohort=cohort)

    def view(self, setting: Setting) -> PairView:
        """Return a pair at a setting; raise StudyError for a lag that was not searched."""
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

    def panel_association(self, leading: str, lagging: str) -> PanelAssociation | None:
        """Associate a pair within and between customers; None without values per customer."""
        found = self.indicators()
        if not {leading, lagging} <= {*found.by_customer}:
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
        """Test a pair that was found out of sample; None for other pairs and for lag 0."""
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
        """Compute everything that the settings of a cohort need, so that each is shown at once."""
        for each in self.associations(cohort):
            for transform in TRANSFORMS:
                self._transformed(each.leading, each.lagging, transform, cohort)
        return self

    def _transformed(
        self, leading: str, lagging: str, transform: Transform, cohort: Cohort
    ) -> tuple[Array, Array]:
        """Return both series in a view, cached; NaN where it has no values."""
        key = "transformed", leading, lagging, transform, cohort
        if key not in self._known:
            found = self.indicators(cohort)
            x, y = (found.series(name).values for name in (leading, lagging))
            model = None
            if transform == "prewhitened":
                lags = np.arange(self.farthest + 1)
                if reason_unusable(x, y, lags, (leading, lagging)):
                    x, y = np.full(len(x), np.nan), np.full(len(y), np.nan)
                    transform = "levels"
                else:
                    filters = self._known.setdefault(("filters", leading, cohort), {})
                    model = pair_filter(x, y, filters)
            self._known[key] = transform_pair(x, y, transform, model)
        both: tuple[Array, Array] = self._known[key]
        return both

    def _frame(self, setting: Setting) -> pd.DataFrame:
        """Pair each lagging value with the leading one of `lag` periods before."""
        import pandas as pd

        x, y = self._transformed(
            setting.leading, setting.lagging, setting.transform, setting.cohort
        )
        periods, lag = self.indicators(setting.cohort).periods, setting.lag
        place = np.arange(len(x) + lag)
        late, early = _values_at(y, place), _values_at(x, place - lag)
        return pd.DataFrame(
            {
                "period": [periods.at(each).name for each in place.tolist()],
                "leading_period": [periods.at(each - lag).name for each in place.tolist()],
                "leading": early,
                "lagging": late,
                "leading_scaled": _values_at(standardize(x), place - lag),
                "lagging_scaled": _values_at(standardize(y), place),
            }
        )


def _cohorts_of(source: StudyIndicators) -> list[Cohort]:
    """List the cohorts of the customers table; none without indicators by customer."""
    table = source.tables.customers
    if table is None or not source.read().by_customer:
        return []
    columns = [name for name in source.spec.groupings if name in table.collect_schema().names()]
    found: list[Cohort] = []
    for name in columns:
        value = nw.col(name).cast(nw.String).fill_null(MISSING).alias("value")
        values = {str(row["value"]) for row in collect(table.select(value).unique())}
        found += [((name, each),) for each in sorted(values)]
    return found


def _values_at(values: Array, place: Array) -> Array:
    inside = (place >= 0) & (place < len(values))
    return np.where(inside, values[np.clip(place, 0, len(values) - 1)], np.nan)


def _sort_key(found: Association) -> tuple[bool, bool, float, float]:
    """Sort found pairs first, then others, then unknown ones; each by p-value."""
    known = not math.isnan(found.pvalue)
    size = abs(found.correlation) if known else 0.0
    return not known, not found.found, found.pvalue if known else 0.0, -size


def _view_sentence(seen: PairView) -> str:
    setting, association = seen.setting, seen.association
    period = association.period
    what = f"{VIEWS[setting.transform]} of {setting.leading} and {setting.lagging}"
    at = f"at a lag of {count_of(setting.lag, period)}"
    if not math.isfinite(seen.correlation):
        reason = seen.curve.reason or "too few periods have both values"
        return f"The {what} have no correlation {at}: {reason}."
    size = f"correlate {signed(seen.correlation)} on {count_of(seen.periods, period)}"
    if not math.isfinite(seen.band):
        reason = seen.curve.reason
        return f"The {what} {size} {at}; whether that is chance is unknown: {reason}."
    place = "outside the band" if seen.outside else "within the band"
    chance = (
        f"in {100 * (1 - seen.curve.confidence_level):.0f} of 100 unrelated pairs the best of "
        f"{len(seen.curve.lags)} lags lies beyond ±{seen.band:.2f}"
    )
    never = " Levels are shown but never decide." if setting.transform == "levels" else ""
    return f"The {what} {size} {at}, {place}: {chance}.{never}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding that somebody kept: the setting, its numbers, and the result of the pair."""

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
        """Make a finding of what a setting shows; `now` is the time it is kept."""
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


FINDING_COLUMNS = tuple(each.name for each in fields(Finding))


@dataclass(frozen=True)
class Findings:
    """The findings of a study: rows of a CSV file, or kept in memory without a path.

    Rows are only appended, so several workshops can share a file. The file is made with the first
    finding; the study file is never changed.
    """

    path: Path | None = None
    _kept: list[Finding] = field(default_factory=list, repr=False)

    def keep(self, seen: PairView, study: str, now: datetime | None = None) -> Finding:
        """Keep what a setting shows; raise DataError if the file cannot be written."""
        finding = Finding.of(seen, study, now)
        if self.path is not None:
            _append(self.path, finding)
        self._kept.append(finding)
        return finding

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """All findings, also those that others kept in the file; the newest last."""
        if self.path is None or not self.path.exists():
            return [asdict(each) for each in self._kept]
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} cannot be read ({error}); repair or move it") from None

    @property
    def table(self) -> Table:
        """The findings as a table, the newest first."""
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
        where = f"Kept in {self.path.name}." if self.path else "Kept in memory only."
        return Table("Findings", columns, rows, where, "Nothing is kept yet.")


def draft(seen: PairView, spec: StudySpec) -> str:
    """Draft a hypothesis that a finding suggests, as YAML for the study file.

    An association does not show a cause, so the draft tests a change to the product. Nothing is
    written.
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
        "# What moves first need not be the cause: test a change.",
        f"- name: {_quoted(f'{pair.leading}-before-{pair.lagging}')}",
        "  version: 1",
        f"  statement: {_quoted(statement)}",
        f"  metric: {_quoted(metric)}",
        f"  iteration: {_quoted(spec.iterations[-1].name)}  # the one that tests it",
        *(f"  {role}: {cohort}" for role, cohort in _cohort_lines(known, spec).items()),
        "  alternative: greater",
        "  minimum_effect: 0.05  # the least worth having; choose it before you see the data",
    ]
    return "\n".join(lines) + "\n"


def _cohort_lines(known: Hypothesis | None, spec: StudySpec) -> dict[str, str]:
    """Return control and treatment of an earlier hypothesis, or placeholders, as YAML."""
    if known is not None:
        return {
            role: _inline_mapping(
                {**dict(each.values), **({"iteration": each.iteration} if each.iteration else {})}
            )
            for role, each in (("control", known.control), ("treatment", known.treatment))
        }
    column = next((name for name, kind in spec.kinds.items() if kind in PARTICIPATION), "GROUPING")
    return {
        role: f"{{{_quoted(column)}: {role.upper()}}}  # name it"
        for role in ("control", "treatment")
    }


def _inline_mapping(values: dict[str, str]) -> str:
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
            rows = csv.DictWriter(file, FINDING_COLUMNS)
            if new:
                rows.writeheader()
            rows.writerow(asdict(finding))
    except OSError as error:
        said = f"{path} cannot be written ({error.strerror}); keep findings elsewhere"
        raise DataError(f"{said}: open_workshop(study, findings=PATH)") from None
