"""One study's indicators read for a review: how its template begins and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.charts import Chart, Charts
from workbench.display import Sentences, Table
from workbench.indicators.health import Scores
from workbench.indicators.pairs import Pairs, PairView, Setting
from workbench.reports.hypothesis_report import Result, bundled_study, plain, versions
from workbench.schema.time import moment
from workbench.views import indicator_figures, indicator_tables
from workbench.views.indicator_tables import (
    Headline,
    ranks_table,
    summary,
    validation_table,
    weights_table,
)
from workbench.views.verdicts import Cover

if TYPE_CHECKING:
    from workbench.indicators.health import Health

STRONGEST = 3
KIND = "Indicator review"


@dataclass(frozen=True)
class Review:
    """The indicators of a study as of some time, and what a review shows of them."""

    pairs: Pairs
    as_of: str | None = None

    @property
    def findings(self) -> Headline:
        """What was found, and what the health score is worth, before anything else."""
        said = indicator_tables.findings(self.pairs.associations()).sentences
        health = () if self._health is None else (self._health.sentence,)
        return Headline((*said, *health))

    @property
    def journey(self) -> Chart:
        """The indicators on the customer journey."""
        definitions = self.pairs.indicators().definitions
        places = indicator_figures.places_of(self.pairs.source.spec, definitions)
        return indicator_figures.journey_figure(places, definitions, self.pairs.associations())

    @property
    def indicators(self) -> Table:
        """Each indicator, and how much there is of it."""
        return indicator_tables.indicators(self.pairs)

    @property
    def heat(self) -> Chart:
        """The heat map of all pairs."""
        names = self.pairs.indicators().names
        return indicator_figures.heat_figure(self.pairs.associations(), names)

    @property
    def table(self) -> Table:
        """The table of all pairs."""
        return indicator_tables.pairs(self.pairs.associations())

    @property
    def illusions(self) -> Sentences:
        """Where the raw levels mislead, and why."""
        return indicator_tables.illusions(self.pairs.associations())

    @cached_property
    def strongest(self) -> tuple[PairView, ...]:
        """The surest pairs that were found, each on differences at its best lag."""
        found = [each for each in self.pairs.associations() if each.found][:STRONGEST]
        return tuple(
            self.pairs.view(Setting(each.leading, each.lagging, each.best_lag or 0, "differences"))
            for each in found
        )

    @property
    def figures(self) -> Charts:
        """Both series and the correlation at every lag, of each of the strongest pairs."""
        return indicator_figures.strongest_figures(self.strongest)

    @property
    def forecasts(self) -> Sentences:
        """Whether the pairs that were found would have predicted anything."""
        return indicator_tables.forecasts(self.pairs)

    @property
    def of_customers(self) -> Table:
        """The same pairs, within customers and between them."""
        return indicator_tables.of_customers(self.pairs)

    @property
    def health(self) -> Sentences:
        """What the health score is worth, how far ahead it looks; or why there is none."""
        if self._health is None:
            return Sentences((f"There is no health score: {self._reason}.",))
        return Sentences((self._health.sentence, self._scores.horizon_words))

    @property
    def validation(self) -> Table:
        """The validation of the health score, out of time, beside equal weights."""
        if self._health is None:
            return _nothing("Validation, out of time")
        return validation_table(self._health)

    @property
    def weights(self) -> Table:
        """The weights of the health score."""
        if self._health is None:
            return _nothing("Weights of the health score")
        return weights_table(self._health)

    @property
    def levels(self) -> Charts:
        """What came of customers by their score."""
        if self._health is None:
            return Charts((), "There are no levels without a health score.")
        return indicator_figures.levels_figure(self._health)

    @property
    def ranks(self) -> Table:
        """The customers with the lowest scores now."""
        if self._health is None:
            return _nothing("Lowest health scores now")
        return ranks_table(self._health)

    @property
    def to_collect(self) -> Table:
        """What to collect next."""
        return indicator_tables.to_collect(self.pairs, self._day, self._health)

    def finish(self) -> Result:
        """End a review: how it was made for a reader, all of its numbers for a machine.

        This is the mark by which `reports.publish` knows that a review is whole, so it belongs into
        the last cell of a template.
        """
        spec = self.pairs.source.spec
        content: dict[str, Any] = {
            "study": {"name": spec.name, "title": spec.title or spec.name},
            "as_of": self.as_of,
            "findings": self.findings.sentences,
            "pairs": [indicator_tables.row(each) for each in self.pairs.associations()],
            "health": None if self._health is None else summary(self._health),
            "to_collect": [str(each[1]) for each in self.to_collect.rows],
            "versions": versions(),
        }
        made = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
        return Result(plain(content), Table("Versions", (), (), "", f"Made with {made}."))

    def cover(self) -> Cover:
        """The title of the review, what it looks at, and the note of the study."""
        spec, found = self.pairs.source.spec, self.pairs.indicators()
        labels = found.periods.names
        span = (f"{self.pairs.period}s {labels[0]} to {labels[-1]}",) if labels else ()
        count = f"Indicators: {len(found.leading)} leading, {len(found.lagging)} lagging"
        people = (f"{len(found.customers):,} customers",) if found.customers else ()
        facts = (count, *people, *(f"{each[:1].upper()}{each[1:]}" for each in span))
        return Cover(spec.title or spec.name, facts, spec.note, KIND)

    def __repr__(self) -> str:
        """Write the cover of the review."""
        return repr(self.cover())

    def _repr_html_(self) -> str:
        return self.cover()._repr_html_()

    @cached_property
    def _scores(self) -> Scores:
        return Scores(self.pairs)

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


def begin(*, study: str | Path = "", as_of: object = "") -> Review:
    """Open the study of a review template; an empty `study` is the one of the workbench.

    Raises StudyError for a study without leading and lagging indicators.
    """
    from workbench.study import Study

    return Review(Study.load(study or bundled_study()).pairs(str(as_of)), str(as_of) or None)


def _nothing(caption: str) -> Table:
    return Table(caption, (), (), empty="There is no health score.")
