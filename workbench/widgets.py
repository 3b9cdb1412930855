"""The workshop: open a study, pick a pair, drag the lag, switch the view, keep what is found."""

from __future__ import annotations

import html
from functools import cached_property
from pathlib import Path

from workbench.displays import Sentences
from workbench.errors import WorkbenchError
from workbench.faces import Face, HealthBoard, Journey, drawn, ipywidgets_or_error, shown, styles
from workbench.findings import FILE, Finding, Findings, draft
from workbench.health_views import Scores
from workbench.pair_figures import WIDE, curve_figure, scatter_figure, series_figure
from workbench.pairs import TRANSFORMS, Cohort, Pairs, PairView, Setting
from workbench.study import Study

ALL = "all customers"
WRAP = {"flex_flow": "row wrap"}


def open_workshop(
    study: str | Path, *, as_of: str | None = None, findings: str | Path | None = ""
) -> Workshop:
    """Open a study for a workshop, and work out all that its sliders will ask for.

    `findings` is the CSV file that keeps them: `findings.csv` beside the study file unless given,
    None for none. Raises StudyError for a study without indicators, or where ipywidgets is missing.
    """
    ipywidgets_or_error()
    path = Path(study)
    where = path.parent / FILE if findings == "" else findings
    kept = Findings(None if where is None else Path(where))
    return Workshop(Pairs(Study.load(path), as_of).prepare(), kept)


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
        return self.findings.keep(self.view, self.pairs.study.spec.name)

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
        written = html.escape(draft(self.view, self.pairs.study.spec))
        note = "Copy it into the study file; nothing is written there by itself."
        self.draft.value = f'<div class="wb-shop"><p>{note}</p><pre>{written}</pre></div>'


def _cohort_words(cohort: Cohort) -> str:
    return ", ".join(f"{name} = {value}" for name, value in cohort) or ALL
