"""Widgets: the indicator workshop, the customer journey, the health score."""

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
from workbench.indicators.health import Given, Health, Scores
from workbench.indicators.pairs import (
    FILE,
    TRANSFORMS,
    Cohort,
    Finding,
    Findings,
    Pairs,
    PairView,
    Setting,
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
ALL = "all customers"
WRAP = {"flex_flow": "row wrap"}


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
        spec = pairs.source.spec
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
        return places_of(self.pairs.source.spec, self.pairs.indicators().definitions, self.moved)

    def redraw(self) -> None:
        """Draw the journey, and write what the study file would say."""
        definitions = self.pairs.indicators().definitions
        chart = journey_figure(self.places, definitions, self.pairs.associations())
        self.map.value = drawn(chart)
        steps = self.pairs.source.spec.steps
        lines = [
            f"{name}: step: {where}" if where in steps else f"{name}: leave step out ({where})"
            for name, where in self.moved.items()
        ]
        said = "In the study file, under indicators, definitions:\n" + "\n".join(lines)
        self.written.value = _html(text=said if lines else "")

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
    return _html(content=what)


def drawn(chart: Chart) -> str:
    """Give a figure as an image with its alternative text; decoded at once, so nothing flickers."""
    data = base64.b64encode(chart.svg().encode()).decode("ascii")
    return _html(image={"alt": chart.alt, "source": f"data:image/svg+xml;base64,{data}"})


def _html(**parts: object) -> str:
    """Return what a widget shows: any of `content`, `note`, `text` and `image`."""
    every = {"content": None, "note": "", "text": "", "image": None}
    return display.render("workshop", **every | parts)


def styles() -> str:
    """Give the styles of what faces show."""
    return f"<style>{stylesheet()}{STYLE}</style>"


def open_workshop(
    study: str | Path, *, as_of: str | None = None, findings: str | Path | None = ""
) -> Workshop:
    """Open a study's indicators with sliders, all answers worked out beforehand.

    Args:
        study: The study file.
        as_of: Leave out periods that begin later; ISO text such as "2026-04-27".
        findings: The CSV file that keeps findings: `findings.csv` beside the study file unless
            given, None for none.

    Returns:
        The workshop; show its `explorer`, `journey` or `health` in a notebook.

    Raises:
        StudyError: The study has no indicators, or ipywidgets is not installed.

    >>> workshop = open_workshop("studies/guided-import/study.yaml", findings=None)
    >>> workshop.pairs.indicators().periods.kind
    'week'
    """
    ipywidgets_or_error()
    path = Path(study)
    where = path.parent / FILE if findings == "" else findings
    kept = Findings(None if where is None else Path(where))
    return Workshop(Study.load(path).pairs(as_of).prepare(), kept)


class Workshop:
    """A study's indicators with sliders; show `explorer`, `journey`, `health` in a notebook."""

    def __init__(self, pairs: Pairs, findings: Findings | None = None) -> None:
        """Take the pairs, all worked out, and where findings are kept."""
        self.pairs = pairs
        self.findings = findings if findings is not None else Findings()

    @cached_property
    def explorer(self) -> Explorer:
        """Pick a pair, drag the lag, switch the view, keep what is found."""
        return Explorer(self.pairs, self.findings)

    @cached_property
    def journey(self) -> Journey:
        """Place indicators on the customer journey, and see which moves before which."""
        return Journey(self.pairs)

    @cached_property
    def health(self) -> HealthBoard:
        """Move the weights of the health score; see ranks and validation change."""
        return HealthBoard(Scores(self.pairs))


class Explorer(Face):
    """One pair under a slider; `view` holds what is shown, for a program."""

    def __init__(self, pairs: Pairs, findings: Findings) -> None:
        """Make the controls, set to the surest pair at its best lag."""
        w = ipywidgets_or_error()
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
        cohorts = [(_cohort_words(each), each) for each in pairs.cohorts]
        self.cohort = w.Dropdown(options=cohorts, value=(), description="cohort")
        self.best = w.Button(description="Go to the best lag")
        self.keep = w.Button(description="Keep this finding", button_style="primary")
        self.propose = w.Button(description="Draft a hypothesis")
        self.series, self.scatter, self.curve = (w.HTML() for _ in range(3))
        self.words, self.kept, self.draft = (w.HTML() for _ in range(3))
        self.view: PairView | None = None
        for each in (self.leading, self.lagging, self.lag, self.transform, self.cohort):
            each.observe(self._changed, names="value")
        self.best.on_click(lambda _: self._to_best())
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
                w.HTML(styles()),
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
        """What the controls say."""
        return Setting(
            self.leading.value,
            self.lagging.value,
            self.lag.value,
            self.transform.value,
            self.cohort.value,
        )

    def redraw(self) -> None:
        """Draw what the controls say."""
        try:
            seen = self.view = self.pairs.view(self.setting)
        except WorkbenchError as error:
            self.view = None
            self.words.value = shown(Sentences((f"{error}",)))
            for each in (self.series, self.scatter, self.curve):
                each.value = ""
            return
        self.series.value = drawn(series_figure(seen, farthest=self.pairs.farthest, width=WIDE))
        self.scatter.value = drawn(scatter_figure(seen))
        self.curve.value = drawn(curve_figure(seen))
        self.words.value = shown(Sentences(seen.sentences))

    def keep_finding(self) -> Finding | None:
        """Keep what is shown, with its settings, as a row; None where nothing is shown."""
        if self.view is None:
            return None
        return self.findings.keep(self.view, self.pairs.source.spec.name)

    def _changed(self, _: object) -> None:
        self.draft.value = ""
        self.redraw()

    def _to_best(self) -> None:
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
            self.kept.value = shown(Sentences((f"{error}",)))
            return
        self._show_kept()

    def _show_kept(self) -> None:
        try:
            self.kept.value = shown(self.findings.table)
        except WorkbenchError as error:
            self.kept.value = shown(Sentences((f"{error}",)))

    def _propose(self) -> None:
        if self.view is None:
            return
        note = "Copy it into the study file; nothing is written there by itself."
        self.draft.value = _html(note=note, text=draft(self.view, self.pairs.source.spec))


def _cohort_words(cohort: Cohort) -> str:
    return ", ".join(f"{name} = {value}" for name, value in cohort) or ALL
