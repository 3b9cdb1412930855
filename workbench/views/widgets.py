"""Widgets of the indicator workshop: a pair, the customer journey, the health score.

Each widget has a twin without controls: `Pairs.view`, `places_of` and `HealthScores.health`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from workbench import display
from workbench.charts import Chart
from workbench.display import Sentences, Table
from workbench.errors import StudyError, WorkbenchError
from workbench.indicators.health import ChosenWeights, Health, HealthScores
from workbench.indicators.lag_curves import TRANSFORMS
from workbench.indicators.pairs import (
    FINDINGS_FILE,
    Finding,
    Findings,
    Pairs,
    PairView,
    Setting,
    cohort_name,
    draft,
)
from workbench.study import Study
from workbench.views.indicator_figures import (
    WIDE,
    Place,
    curve_figure,
    heat_figure,
    journey_figure,
    journey_names,
    levels_figure,
    places_of,
    scatter_figure,
    series_figure,
)
from workbench.views.indicator_tables import ranks_table
from workbench.views.verdicts import stylesheet

MISSING = "the workshop needs ipywidgets, which is not installed; pip install 'workbench[lab]'"
STEP = 0.01
STYLE = (
    ".wb-shop p { font-size: 1.15em; line-height: 1.45; margin: 0.35em 0; max-width: 62em; }"
    ".wb-shop p:first-child { font-weight: 650; }"
    ".wb-shop img { display: block; height: auto; max-width: 100%; width: 100%; }"
    ".wb-shop pre { line-height: 1.45; white-space: pre-wrap; }"
)
WRAP = {"flex_flow": "row wrap"}


class Widget:
    """Controls and what they show; a notebook shows `box`."""

    box: Any

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)


class JourneyMap(Widget):
    """Indicators on the customer journey, which can be moved; `places` has the result."""

    def __init__(self, pairs: Pairs) -> None:
        """Make the controls."""
        w = import_ipywidgets()
        self.pairs = pairs
        self.moved: dict[str, str] = {}
        spec = pairs.source.spec
        self.indicator = w.Dropdown(options=pairs.indicators().names, description="indicator")
        self.place = w.Dropdown(options=journey_names(spec), description="lies at")
        self.map, self.heat, self.written = (w.HTML() for _ in range(3))
        self.map.layout, self.heat.layout = w.Layout(width="50%"), w.Layout(width="50%")
        self._show_place()
        self.indicator.observe(lambda _: self._show_place(), names="value")
        self.place.observe(lambda _: self._move(), names="value")
        self.heat.value = image_html(heat_figure(pairs.associations(), pairs.indicators().names))
        self.redraw()
        self.box = w.VBox(
            [
                w.HTML(style_html()),
                w.HBox([self.indicator, self.place]),
                w.HBox([self.map, self.heat]),
                self.written,
            ]
        )

    @property
    def places(self) -> tuple[Place, ...]:
        """The places of the journey with their indicators, as they are now."""
        return places_of(self.pairs.source.spec, self.pairs.indicators().definitions, self.moved)

    def redraw(self) -> None:
        """Draw the journey, and show the lines for the study file."""
        definitions = self.pairs.indicators().definitions
        chart = journey_figure(self.places, definitions, self.pairs.associations())
        self.map.value = image_html(chart)
        steps = self.pairs.source.spec.steps
        lines = [
            f"{name}: step: {where}" if where in steps else f"{name}: leave step out ({where})"
            for name, where in self.moved.items()
        ]
        said = "In the study file, under indicators, definitions:\n" + "\n".join(lines)
        self.written.value = _html(text=said if lines else "")

    def _show_place(self) -> None:
        """Show the place of the chosen indicator."""
        name = self.indicator.value
        self.place.value = next(each.name for each in self.places if name in each.indicators)

    def _move(self) -> None:
        name, where = self.indicator.value, self.place.value
        if name not in next(each for each in self.places if each.name == where).indicators:
            self.moved[name] = where
            self.redraw()


class HealthBoard(Widget):
    """A health score with a slider per weight; `result` is the score, `reason` why there is none."""

    def __init__(self, scores: HealthScores) -> None:
        """Make the sliders, set to the learned weights."""
        w = import_ipywidgets()
        self.scores, self.reason = scores, scores.reason
        self.result: Health | None = None
        self.words, self.levels, self.ranks = (w.HTML() for _ in range(3))
        self.sliders: Mapping[str, Any] = {}
        self.learned = w.Button(description="Learned weights")
        self.equal = w.Button(description="Equal weights")
        if self.reason:
            self.words.value = widget_html(Sentences((self.reason,)))
            self.box = w.VBox([self.words])
            return
        self.base = scores.health()
        self.sliders = {
            name: w.FloatSlider(
                value=0.0,
                min=-1.0,
                max=1.0,
                step=STEP,
                description=name,
                style={"description_width": "10em"},
                layout={"width": "40em"},
            )
            for name in scores.leading
        }
        for each in self.sliders.values():
            each.observe(self._changed, names="value")
        self._set_to: dict[str, float] = {}
        self.learned.on_click(lambda _: self._set_weights("learned"))
        self.equal.on_click(lambda _: self._set_weights("equal"))
        self._set_weights("learned")
        self.levels.layout, self.ranks.layout = w.Layout(width="42%"), w.Layout(width="58%")
        self.box = w.VBox(
            [
                w.HTML(style_html()),
                w.HBox([self.learned, self.equal]),
                *self.sliders.values(),
                self.words,
                w.HBox([self.levels, self.ranks]),
            ]
        )

    @property
    def slider_weights(self) -> dict[str, float]:
        """The weights on the sliders."""
        return {name: each.value for name, each in self.sliders.items()}

    def redraw(self, weights: ChosenWeights | None = None) -> None:
        """Score the customers with the weights on the sliders, or with given ones."""
        try:
            self.result = self.scores.health(self.slider_weights if weights is None else weights)
        except StudyError as error:
            self.result = None
            self.words.value = widget_html(Sentences((f"{error}",)))
            self.levels.value = self.ranks.value = ""
            return
        found = self.result
        self.words.value = widget_html(Sentences((found.sentence, self.scores.horizon_words)))
        charts = levels_figure(found)
        self.levels.value = "".join(map(image_html, charts)) or widget_html(
            Sentences((charts.empty,))
        )
        self.ranks.value = widget_html(ranks_table(found, self.base))

    def _changed(self, _: object) -> None:
        """Redraw, unless the sliders are where they were set: browsers send that value back."""
        weights = self.slider_weights
        if self._set_to and all(
            abs(weights[name] - self._set_to[name]) < STEP / 2 for name in weights
        ):
            return
        self._set_to = {}
        self.redraw()

    def _set_weights(self, weights: Literal["learned", "equal"]) -> None:
        """Use learned or equal weights; the sliders show them rounded."""
        chosen = self.scores.health(weights).weights.by_name
        for each in self.sliders.values():
            each.unobserve(self._changed, names="value")
        for name, each in self.sliders.items():
            each.value = round(chosen[name], 2)
            each.observe(self._changed, names="value")
        self._set_to = self.slider_weights
        self.redraw(weights)


def import_ipywidgets() -> Any:
    """Import ipywidgets; raise StudyError, which says what to install, if it is missing."""
    try:
        import ipywidgets
    except ImportError:
        raise StudyError(MISSING) from None
    return ipywidgets


def widget_html(what: Sentences | Table) -> str:
    """Return sentences or a table as a widget shows them."""
    return f'<div class="wb-shop">{what._repr_html_()}</div>'


def image_html(chart: Chart) -> str:
    """Return a figure as an image with alternative text, decoded synchronously against flicker."""
    data = base64.b64encode(chart.svg().encode()).decode("ascii")
    return _html(image={"alt": chart.alt, "source": f"data:image/svg+xml;base64,{data}"})


def _html(**parts: object) -> str:
    """Return what a widget shows: any of `content`, `note`, `text` and `image`."""
    every = {"content": None, "note": "", "text": "", "image": None}
    return display.render("workshop", **every | parts)


def style_html() -> str:
    """Return the styles of the widgets."""
    return f"<style>{stylesheet()}{STYLE}</style>"


def open_workshop(
    study: str | Path, *, as_of: str | None = None, findings: str | Path | None = ""
) -> Workshop:
    """Open a study for a workshop, and compute all that its sliders show.

    Args:
        study: The study file.
        as_of: Periods that begin later are left out, such as "2026-06-30".
        findings: The CSV file that keeps findings; `findings.csv` beside the study file unless given,
            None for none.

    Returns:
        The workshop: show `explorer`, `journey` and `health` in cells of their own.

    Raises:
        StudyError: If the study has no leading or no lagging indicators, or ipywidgets is missing.

    Example:
        >>> workshop = open_workshop("studies/guided-import/study.yaml", findings=None)
        >>> workshop.explorer.view.setting.leading, workshop.explorer.lag.value
        ('activity', 2)
    """
    import_ipywidgets()
    path = Path(study)
    where = path.parent / FINDINGS_FILE if findings == "" else findings
    kept = Findings(None if where is None else Path(where))
    return Workshop(Study.load(path).pairs(as_of).prepare(), kept)


class Workshop:
    """The widgets of one study: `explorer`, `journey` and `health`."""

    def __init__(self, pairs: Pairs, findings: Findings | None = None) -> None:
        """Take a study's pairs, and where findings are kept; in memory unless given."""
        self.pairs = pairs
        self.findings = findings if findings is not None else Findings()

    @cached_property
    def explorer(self) -> Explorer:
        """Choose a pair, drag the lag, switch the view, keep findings."""
        return Explorer(self.pairs, self.findings)

    @cached_property
    def journey(self) -> JourneyMap:
        """Place indicators on the customer journey, with arrows for the pairs found."""
        return JourneyMap(self.pairs)

    @cached_property
    def health(self) -> HealthBoard:
        """Move the weights of the health score, and see ranks and validation change."""
        return HealthBoard(HealthScores(self.pairs))


class Explorer(Widget):
    """One pair with a slider for the lag; `view` has what is shown."""

    def __init__(self, pairs: Pairs, findings: Findings) -> None:
        """Make the controls, set to the surest pair at its best lag."""
        w = import_ipywidgets()
        self.pairs, self.findings = pairs, findings
        found = pairs.indicators()
        first = pairs.associations()[0]
        self.leading = w.Dropdown(options=found.leading, value=first.leading, description="leading")
        self.lagging = w.Dropdown(options=found.lagging, value=first.lagging, description="lagging")
        self.lag = w.IntSlider(
            value=first.best_lag or 0,
            min=0,
            max=pairs.farthest,
            description=f"lag, {pairs.period}s",
            layout={"width": "32em"},
        )
        self.transform = w.ToggleButtons(
            options=TRANSFORMS, value="levels", style={"button_width": "8em"}
        )
        cohorts = [(cohort_name(each), each) for each in pairs.cohorts]
        self.cohort = w.Dropdown(options=cohorts, value=(), description="cohort")
        self.best = w.Button(description="Go to the best lag")
        self.keep = w.Button(description="Keep this finding", button_style="primary")
        self.propose = w.Button(description="Draft a hypothesis")
        self.series, self.scatter, self.curve = (w.HTML() for _ in range(3))
        self.words, self.kept, self.draft = (w.HTML() for _ in range(3))
        self.view: PairView | None = None
        for each in (self.leading, self.lagging, self.lag, self.transform, self.cohort):
            each.observe(self._changed, names="value")
        self.best.on_click(lambda _: self._go_to_best_lag())
        self.keep.on_click(lambda _: self._keep())
        self.propose.on_click(lambda _: self._propose())
        self.redraw()
        self._show_kept()
        left = [
            w.HBox([self.leading, self.lagging], layout=WRAP),
            w.HBox([self.cohort, self.transform], layout=WRAP),
            w.HBox([self.lag, self.best], layout=WRAP),
            self.series,
            self.words,
            w.HBox([self.keep, self.propose], layout=WRAP),
            self.kept,
        ]
        self.box = w.VBox(
            [
                w.HTML(style_html()),
                w.HBox(
                    [
                        w.VBox(left, layout={"width": "60%"}),
                        w.VBox([self.curve, self.scatter], layout={"width": "40%"}),
                    ]
                ),
                self.draft,
            ]
        )

    @property
    def setting(self) -> Setting:
        """The setting of the controls."""
        return Setting(
            self.leading.value,
            self.lagging.value,
            self.lag.value,
            self.transform.value,
            self.cohort.value,
        )

    def redraw(self) -> None:
        """Draw the pair at the setting of the controls."""
        try:
            seen = self.view = self.pairs.view(self.setting)
        except WorkbenchError as error:
            self.view = None
            self.words.value = widget_html(Sentences((f"{error}",)))
            for each in (self.series, self.scatter, self.curve):
                each.value = ""
            return
        self.series.value = image_html(
            series_figure(seen, farthest=self.pairs.farthest, width=WIDE)
        )
        self.scatter.value = image_html(scatter_figure(seen))
        self.curve.value = image_html(curve_figure(seen))
        self.words.value = widget_html(Sentences(seen.sentences))

    def keep_finding(self) -> Finding | None:
        """Keep what is shown as a finding; None if nothing is shown."""
        if self.view is None:
            return None
        return self.findings.keep(self.view, self.pairs.source.spec.name)

    def _changed(self, _: object) -> None:
        self.draft.value = ""
        self.redraw()

    def _go_to_best_lag(self) -> None:
        setting = self.setting
        try:
            best = self.pairs.best(setting.leading, setting.lagging, setting.cohort)
        except WorkbenchError:
            return
        self.lag.value = best.lag

    def _keep(self) -> None:
        try:
            self.keep_finding()
        except WorkbenchError as error:
            self.kept.value = widget_html(Sentences((f"{error}",)))
            return
        self._show_kept()

    def _show_kept(self) -> None:
        try:
            self.kept.value = widget_html(self.findings.table)
        except WorkbenchError as error:
            self.kept.value = widget_html(Sentences((f"{error}",)))

    def _propose(self) -> None:
        if self.view is None:
            return
        note = "Copy it into the study file; nothing is written to it automatically."
        self.draft.value = _html(note=note, text=draft(self.view, self.pairs.source.spec))
