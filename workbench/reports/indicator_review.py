"""An indicator review: which leading indicators of a study move before which lagging ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from workbench import display
from workbench.charts import Chart, Charts
from workbench.display import Sentences, Table
from workbench.indicators.health import HealthScores
from workbench.indicators.pairs import Pairs, PairView, Setting
from workbench.reports.report import Report, Result, open_study
from workbench.schema.time import moment
from workbench.views import indicator_figures, indicator_tables
from workbench.views.indicator_tables import (
    Headline,
    ranks_table,
    summary,
    validation_table,
    weights_table,
)

if TYPE_CHECKING:
    from workbench.indicators.health import Health

STRONGEST = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class IndicatorReview(Report):
    """A study's leading and lagging indicators, part by part.

    `pairs` are those of the study as of the same time.
    """

    pairs: Pairs
    kind: str = "Indicator review"

    @classmethod
    def begin(cls, *, study: str | Path = "", as_of: object = "") -> Self:
        """Open a study for the review.

        Args:
            study: The study file; the bundled study if empty.
            as_of: A date; periods that begin after it are left out. Empty for all periods.

        Raises:
            StudyError: The study file breaks a rule, or lacks leading or lagging indicators.
        """
        opened = open_study(study)
        return cls(study=opened, as_of=str(as_of) or None, pairs=opened.pairs(str(as_of)))

    @property
    def findings(self) -> Headline:
        """Which pairs were found, and how well the health score predicts, in sentences."""
        said = indicator_tables.findings(self.pairs.associations()).sentences
        health = () if self._health is None else (self._health.sentence,)
        return Headline((*said, *health))

    @property
    def journey(self) -> Chart:
        """A figure of the indicators on the customer journey."""
        definitions = self.pairs.indicators().definitions
        places = indicator_figures.places_of(self.pairs.source.spec, definitions)
        return indicator_figures.journey_figure(places, definitions, self.pairs.associations())

    @property
    def indicators(self) -> Table:
        """A table of the indicators and the amount of their data."""
        return indicator_tables.indicators(self.pairs)

    @property
    def heat(self) -> Chart:
        """A heat map of all pairs."""
        names = self.pairs.indicators().names
        return indicator_figures.heat_figure(self.pairs.associations(), names)

    @property
    def table(self) -> Table:
        """A table of all pairs."""
        return indicator_tables.pairs(self.pairs.associations())

    @property
    def illusions(self) -> Sentences:
        """Where raw levels mislead and why, in sentences."""
        return indicator_tables.illusions(self.pairs.associations())

    @cached_property
    def strongest(self) -> tuple[PairView, ...]:
        """The pairs found with the smallest p-values, as differences at their best lag."""
        found = [each for each in self.pairs.associations() if each.found][:STRONGEST]
        return tuple(
            self.pairs.view(Setting(each.leading, each.lagging, each.best_lag or 0, "differences"))
            for each in found
        )

    @property
    def figures(self) -> Charts:
        """Figures of the strongest pairs: both series, and the correlation at every lag."""
        return indicator_figures.strongest_figures(self.strongest)

    @property
    def forecasts(self) -> Sentences:
        """Whether each pair found would have predicted the lagging indicator, in sentences."""
        return indicator_tables.forecasts(self.pairs)

    @property
    def of_customers(self) -> Table:
        """A table of the same pairs within customers and between customers."""
        return indicator_tables.of_customers(self.pairs)

    @property
    def health(self) -> Sentences:
        """How well the health score predicts and how far ahead, or why there is none."""
        if self._health is None:
            return Sentences((f"There is no health score: {self._reason}.",))
        return Sentences((self._health.sentence, self._scores.horizon_words))

    @property
    def validation(self) -> Table:
        """A table of the health score's validation on later periods, beside equal weights."""
        if self._health is None:
            return _nothing("Validation, out of time")
        return validation_table(self._health)

    @property
    def weights(self) -> Table:
        """A table of the health score's weights."""
        if self._health is None:
            return _nothing("Weights of the health score")
        return weights_table(self._health)

    @property
    def levels(self) -> Charts:
        """Figures of what came of customers, by their score."""
        if self._health is None:
            return Charts((), "There are no levels without a health score.")
        return indicator_figures.levels_figure(self._health)

    @property
    def ranks(self) -> Table:
        """A table of the customers with the lowest scores now."""
        if self._health is None:
            return _nothing("Lowest health scores now")
        return ranks_table(self._health)

    @property
    def to_collect(self) -> Table:
        """A table of the data to collect next."""
        return indicator_tables.to_collect(self.pairs, self._day, self._health)

    def finish(self) -> Result:
        """Return the end of the review; a template's last cell shows it."""
        return self.result(
            {
                "as_of": self.as_of,
                "findings": self.findings.sentences,
                "pairs": [indicator_tables.row(each) for each in self.pairs.associations()],
                "health": None if self._health is None else summary(self._health),
                "to_collect": [str(each[1]) for each in self.to_collect.rows],
            }
        )

    def facts(self) -> tuple[str, ...]:
        """Return how many indicators and customers there are, and over which periods."""
        found = self.pairs.indicators()
        labels = found.periods.names
        count = f"Indicators: {len(found.leading)} leading, {len(found.lagging)} lagging"
        people = (f"{len(found.customers):,} customers",) if found.customers else ()
        period = display.capital(self.pairs.period)
        span = (f"{period}s {labels[0]} to {labels[-1]}",) if labels else ()
        return (count, *people, *span)

    @cached_property
    def _scores(self) -> HealthScores:
        return HealthScores(self.pairs)

    @cached_property
    def _reason(self) -> str:
        return self._scores.reason.removeprefix("no health score: ")

    @cached_property
    def _health(self) -> Health | None:
        return None if self._reason else self._scores.health()

    @property
    def _day(self) -> date | None:
        if self.as_of is None:
            return None
        day = moment(self.as_of)
        return day.date() if isinstance(day, datetime) else day


def _nothing(caption: str) -> Table:
    return Table(caption, (), (), empty="There is no health score.")


begin = IndicatorReview.begin
