"""Faces: widgets that show what is worked out elsewhere; the customer journey, the health score."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any, Literal

from workbench.cards import stylesheet
from workbench.charts import Chart
from workbench.displays import Sentences, Table
from workbench.errors import StudyError
from workbench.health import Given, Health
from workbench.health_views import Scores, levels_figure, ranks_table
from workbench.indicator_maps import Place, heat_figure, journey_figure, journey_names, places_of
from workbench.pairs import Pairs

MISSING = "the workshop needs ipywidgets, which is not installed; pip install 'workbench[lab]'"
STEP = 0.01
STYLE = (
    ".wb-shop p { font-size: 1.15em; line-height: 1.45; margin: 0.35em 0; max-width: 62em; }"
    ".wb-shop p:first-child { font-weight: 650; }"
    ".wb-shop img { display: block; height: auto; max-width: 100%; width: 100%; }"
    ".wb-shop pre { line-height: 1.45; white-space: pre-wrap; }"
)


class Face:
    """Something with controls: `box` is what a notebook shows."""

    box: Any

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)


class Journey(Face):
    """Indicators on the customer journey; `places` holds where each lies."""

    def __init__(self, pairs: Pairs) -> None:
        """Make the controls."""
        w = ipywidgets_or_error()
        self.pairs = pairs
        self.moved: dict[str, str] = {}
        spec = pairs.study.spec
        self.indicator = w.Dropdown(options=pairs.indicators().names, description="indicator")
        self.place = w.Dropdown(options=journey_names(spec), description="lies at")
        self.map, self.heat, self.written = (w.HTML() for _ in range(3))
        self.map.layout, self.heat.layout = w.Layout(width="50%"), w.Layout(width="50%")
        self._here()
        self.indicator.observe(lambda _: self._here(), names="value")
        self.place.observe(lambda _: self._move(), names="value")
        self.heat.value = drawn(heat_figure(pairs.associations(), pairs.indicators().names))
        self.redraw()
        self.box = w.VBox(
            [
                w.HTML(styles()),
                w.HBox([self.indicator, self.place]),
                w.HBox([self.map, self.heat]),
                self.written,
            ]
        )

    @property
    def places(self) -> tuple[Place, ...]:
        """Where each indicator lies now."""
        return places_of(self.pairs.study.spec, self.pairs.indicators().definitions, self.moved)

    def redraw(self) -> None:
        """Draw the journey, and write what the study file would say."""
        definitions = self.pairs.indicators().definitions
        chart = journey_figure(self.places, definitions, self.pairs.associations())
        self.map.value = drawn(chart)
        steps = self.pairs.study.spec.steps
        lines = [
            f"{name}: step: {where}" if where in steps else f"{name}: leave step out ({where})"
            for name, where in self.moved.items()
        ]
        said = "In the study file, under indicators, definitions:\n" + "\n".join(lines)
        shown = f"<pre>{html.escape(said)}</pre>" if lines else ""
        self.written.value = f'<div class="wb-shop">{shown}</div>'

    def _here(self) -> None:
        """Show where the chosen indicator lies."""
        name = self.indicator.value
        self.place.value = next(each.name for each in self.places if name in each.indicators)

    def _move(self) -> None:
        name, where = self.indicator.value, self.place.value
        if name not in next(each for each in self.places if each.name == where).indicators:
            self.moved[name] = where
            self.redraw()


class HealthBoard(Face):
    """A health score whose weights move; `result` holds it, `reason` why there is none."""

    def __init__(self, scores: Scores) -> None:
        """Make a slider for each weight, set to the weights that were learned."""
        w = ipywidgets_or_error()
        self.scores, self.reason = scores, scores.reason
        self.result: Health | None = None
        self.words, self.levels, self.ranks = (w.HTML() for _ in range(3))
        self.sliders: Mapping[str, Any] = {}
        self.learned = w.Button(description="Learned weights")
        self.equal = w.Button(description="Equal weights")
        if self.reason:
            self.words.value = shown(Sentences((self.reason,)))
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
        self._put: dict[str, float] = {}
        self.learned.on_click(lambda _: self._set("learned"))
        self.equal.on_click(lambda _: self._set("equal"))
        self._set("learned")
        self.levels.layout, self.ranks.layout = w.Layout(width="42%"), w.Layout(width="58%")
        self.box = w.VBox(
            [
                w.HTML(styles()),
                w.HBox([self.learned, self.equal]),
                *self.sliders.values(),
                self.words,
                w.HBox([self.levels, self.ranks]),
            ]
        )

    @property
    def given(self) -> dict[str, float]:
        """The weights that the sliders say."""
        return {name: each.value for name, each in self.sliders.items()}

    def redraw(self, given: Given | None = None) -> None:
        """Score the customers with the weights of the sliders, or with those that are given."""
        try:
            self.result = self.scores.health(self.given if given is None else given)
        except StudyError as error:
            self.result = None
            self.words.value = shown(Sentences((f"{error}",)))
            self.levels.value = self.ranks.value = ""
            return
        found = self.result
        self.words.value = shown(Sentences((found.sentence, self.scores.horizon_words)))
        charts = levels_figure(found)
        self.levels.value = "".join(map(drawn, charts)) or shown(Sentences((charts.empty,)))
        self.ranks.value = shown(ranks_table(found, self.base))

    def _changed(self, _: object) -> None:
        """Draw anew, unless the sliders are where they were put: browsers send that back."""
        given = self.given
        if self._put and all(abs(given[name] - self._put[name]) < STEP / 2 for name in given):
            return
        self._put = {}
        self.redraw()

    def _set(self, given: Literal["learned", "equal"]) -> None:
        """Use weights as they were learned, or equal ones; the sliders show them rounded."""
        weights = self.scores.health(given).weights.by_name
        for each in self.sliders.values():
            each.unobserve(self._changed, names="value")
        for name, each in self.sliders.items():
            each.value = round(weights[name], 2)
            each.observe(self._changed, names="value")
        self._put = self.given
        self.redraw(given)


def ipywidgets_or_error() -> Any:
    """Give ipywidgets; raise StudyError, with what to install, where it is missing."""
    try:
        import ipywidgets
    except ImportError:
        raise StudyError(MISSING) from None
    return ipywidgets


def shown(what: Sentences | Table) -> str:
    """Give sentences or a table as a widget shows them."""
    return f'<div class="wb-shop">{what._repr_html_()}</div>'


def drawn(chart: Chart) -> str:
    """Give a figure as an image with its alternative text; decoded at once, so nothing flickers."""
    data = base64.b64encode(chart.svg().encode()).decode("ascii")
    alt = html.escape(chart.alt, quote=True)
    source = f"data:image/svg+xml;base64,{data}"
    return f'<div class="wb-shop"><img decoding="sync" alt="{alt}" src="{source}"></div>'


def styles() -> str:
    """Give the styles of what faces show."""
    return f"<style>{stylesheet()}{STYLE}</style>"
