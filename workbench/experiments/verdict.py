"""The verdict on a hypothesis, made here only, and the sentence that says it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from workbench import display
from workbench.experiments.analysis import Family, GuardrailResult, Progress, Sample, analyse
from workbench.experiments.discoveries import Key, Standing, Trial, label
from workbench.experiments.pooling import Tried
from workbench.schema.flow import ADOPTION
from workbench.schema.hypothesis import UNQUALIFIED, DecisionRule, Hypothesis, Qualifier, Verdict
from workbench.stats.power import detectable_effect
from workbench.stats.proportions import Comparison, Counts
from workbench.stats.shrinkage import Shrunken

Level = Literal["ok", "warn", "invalid"]


@dataclass(frozen=True)
class Check:
    """A check of something that could break a comparison: its level, and a sentence.

    `level` is "ok", "warn" or "invalid"; an invalid check leaves no verdict. `value` is what was
    found: a number of customers, or a p-value.
    """

    name: str
    level: Level
    sentence: str
    value: float = float("nan")


@dataclass(frozen=True)
class RecordedVerdict:
    """A final verdict that the ledger holds already.

    It was recorded at `at`, on so many `customers`. `pvalue` is the verdict's own; `look_pvalue` is
    that of its look alone, before other tests and guardrails were counted in. `pair` has the look's
    counts of control and treatment, `apart` those without customers of earlier versions, and `seen` is
    the time as of which it read the data.
    """

    verdict: Verdict
    at: datetime
    customers: int
    qualifier: Qualifier = UNQUALIFIED
    success: bool = False
    pvalue: float = math.nan
    look_pvalue: float = math.nan
    pair: tuple[Counts, Counts] | None = None
    apart: tuple[tuple[Counts, Counts], int] | None = None
    seen: datetime | None = None

    @property
    def label(self) -> str:
        """The verdict and its restriction as readers see them."""
        return self.qualifier.label(self.verdict)


@dataclass(frozen=True)
class Evaluation:
    """One look at a hypothesis: its verdict, the sentence that says it, and what it rests on.

    Attributes:
        hypothesis: The hypothesis, with one treatment.
        as_of: The time as of which the data were read; None for data without times.
        verdict: The verdict.
        sentence: The verdict and its reasons in plain words.
        comparison: The two cohorts compared.
        checks: What could break the comparison, and how each stands.
        needed: The customers per cohort that a new iteration needs for the planned power.
        detectable: The smallest effect (a fraction, signed) that this sample could have found with
            that power.
        progress: How far the planned analysis is.
        guardrails: The metrics that must not suffer, each compared.
        family: The adjustment, where several hypotheses or treatments were tested together.
        recorded: The verdict on record, where an earlier look had the last word.
        look: The look's number in the ledger; None if it was not recorded.
        standing: Where the verdict stands in the study's list of discoveries, once it is final.
        shrunken: A supported effect, shrunk by all final effects of the study.
        compliance: The share of an effect that is seen at the least, where customers changed sides.
        window: The time that a customer has to reach the metric; None is until the end of the data.
        apart: The counts of control and treatment without customers whom earlier versions of the
            hypothesis count, and how many these are; None if there are none.

    >>> from workbench import Study
    >>> (found,) = Study.load("studies/guided-import/study.yaml").evaluate("2026.1")
    >>> str(found.verdict), found.name, f"{found.comparison.estimate:.2f}"
    ('supported', 'preview-helps', '0.17')
    """

    hypothesis: Hypothesis
    as_of: datetime | None
    verdict: Verdict
    sentence: str
    comparison: Comparison
    checks: tuple[Check, ...]
    needed: int | None
    detectable: float
    progress: Progress
    guardrails: tuple[GuardrailResult, ...] = ()
    family: Family | None = None
    recorded: RecordedVerdict | None = None
    look: int | None = None
    standing: Standing | None = None
    shrunken: Shrunken | None = None
    compliance: float = 1.0
    window: timedelta | None = None
    apart: tuple[tuple[Counts, Counts], int] | None = None

    @property
    def tried(self) -> Tried:
        """The version as it counts beside the hypothesis's other versions."""
        claim, found = self.hypothesis, self.comparison
        fault = "which may not decide yet" if self.progress.early else ""
        if self.verdict is Verdict.INVALID:
            fault = "which has no valid comparison"
        pair, again = self.apart or ((found.control, found.treatment), 0)
        terms, evalue = claim.frozen(), self.progress.last_evalue
        return Tried(claim.version, claim.iteration, terms, pair, evalue, again, fault)

    @property
    def trial(self) -> Trial:
        """The final verdict as the list of discoveries takes it."""
        return Trial(self.key, self.discovery_pvalue, self.success, self.tried)

    @property
    def key(self) -> Key:
        """Hypothesis, version, treatment and iteration, which tell records of the ledger apart."""
        claim = self.hypothesis
        return claim.name, claim.version, str(claim.treatment), claim.iteration

    @property
    def iteration(self) -> str:
        """The iteration that tests the hypothesis."""
        return self.hypothesis.iteration

    @property
    def name(self) -> str:
        """The hypothesis's name, with its treatment where it has several."""
        claim = self.hypothesis
        several = f": {claim.treatment.label}" if claim.other_treatments else ""
        return f"{claim.name}{several}"

    @property
    def qualifier(self) -> Qualifier:
        """What restricts the verdict, if anything does."""
        if self._stands is not None:
            return self._stands.qualifier
        if self.verdict is Verdict.INCONCLUSIVE and self.progress.early:
            return Qualifier(early=True)
        if self.verdict is not Verdict.SUPPORTED or self.success:
            return UNQUALIFIED
        return Qualifier(
            tuple(each.metric for each in self.guardrails if each.known and not each.held),
            tuple(each.metric for each in self.guardrails if not each.known),
        )

    @property
    def label(self) -> str:
        """The verdict, what restricts it and whether it is a discovery, as readers see it."""
        return label(self.verdict, self.qualifier, self.standing, success=self.success)

    @property
    def kind(self) -> str:
        """The verdict as one word; "but" for a supported one with a guardrail at risk, or no discovery."""
        whole = self.success and (self.standing is None or self.standing.found)
        return "but" if self.verdict is Verdict.SUPPORTED and not whole else str(self.verdict)

    @property
    def success(self) -> bool:
        """Whether the claim is supported and no guardrail was broken."""
        if self._stands is not None:
            return self._stands.success
        return self.verdict is Verdict.SUPPORTED and all(each.held for each in self.guardrails)

    @property
    def pvalue(self) -> float:
        """The p-value that decides: adjusted by Holm's method where several were tested together.

        It is that of the verdict on record, if there is one. NaN for an invalid comparison, and for
        an early look at a fixed analysis, whose p-value is not valid yet.
        """
        if self.progress.early or self.verdict is Verdict.INVALID:
            return math.nan
        if self._stands is not None:
            return self._stands.pvalue
        return self.comparison.pvalue if self.family is None else self.family.pvalue

    @property
    def goes_on(self) -> bool:
        """Whether evidence that comes after the verdict counts for the list of discoveries."""
        return self.progress.analysis == "anytime" or self.hypothesis.run_on

    @property
    def discovery_pvalue(self) -> float:
        """The p-value for the list of discoveries: that of the claim with all of its guardrails.

        It is the largest of theirs (intersection-union test: Berger 1982), with 1 for a guardrail
        without customers. A refuted claim whose test rejects, because the effect is smaller than the
        minimum effect, is no rejection: 1. NaN without a valid test.
        """
        found, together = self.comparison, 1 if self.family is None else self.family.size
        pvalue = self.pvalue
        if self.progress.analysis == "anytime" and self.verdict is not Verdict.INVALID:
            pvalue = min(1.0, together * found.pvalue)  # evidence goes on after the verdict
        if self.hypothesis.run_on and self.verdict is not Verdict.INVALID:
            full = self.progress.full_pvalue  # nothing counts before it
            pvalue = 1.0 if math.isnan(full) else min(1.0, together * full)
        if math.isnan(pvalue):
            return math.nan
        if self.verdict is Verdict.REFUTED and pvalue <= self.hypothesis.alpha:
            return 1.0
        kept = [each.comparison.pvalue if each.known else 1.0 for each in self.guardrails]
        return max([pvalue, *kept])

    def placed(self, standing: Standing | None, shrunken: Shrunken | None = None) -> Evaluation:
        """Return the evaluation with its place among all hypotheses, and a sentence that says it."""
        kept = shrunken if self.verdict is Verdict.SUPPORTED else None
        evaluation = replace(self, standing=standing, shrunken=kept)
        return replace(evaluation, sentence=_sentence(evaluation))

    @property
    def final(self) -> bool:
        """Whether this is the final verdict of the iteration.

        A fixed analysis decides at its end, the others as soon as they reach a verdict. A supported
        hypothesis waits for guardrails without customers. A verdict on record is not made again.
        """
        if self.recorded is not None or self.progress.early:
            return False
        if self.verdict is Verdict.SUPPORTED and not all(each.known for each in self.guardrails):
            return False
        told = self.verdict is not Verdict.INCONCLUSIVE and self.verdict is not Verdict.INVALID
        return self.progress.final or (told and self.progress.analysis != "fixed")

    @property
    def _stands(self) -> RecordedVerdict | None:
        """The verdict on record, where it is the one that is shown."""
        return None if self.verdict is Verdict.INVALID else self.recorded

    def row(self) -> dict[str, Any]:
        """Return the evaluation as one row of plain values."""
        found, claim = self.comparison, self.hypothesis
        return {
            "hypothesis": claim.name,
            "version": claim.version,
            "statement": claim.statement,
            "metric": claim.metric,
            "iteration": claim.iteration,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "verdict": str(self.verdict),
            "label": self.label,
            "kind": self.kind,
            "sentence": self.sentence,
            "control": str(claim.control),
            "control_converted": found.control.converted,
            "control_closed": found.control.total,
            "treatment": str(claim.treatment),
            "treatment_converted": found.treatment.converted,
            "treatment_closed": found.treatment.total,
            "alternative": claim.alternative,
            "minimum_effect": claim.minimum_effect,
            "alpha": claim.alpha,
            "power": claim.power,
            "estimate": found.estimate,
            "low": found.low,
            "high": found.high,
            "confidence_level": found.confidence_level,
            "pvalue_alone": math.nan if math.isnan(self.pvalue) else found.pvalue,
            "pvalue": self.pvalue,
            "test": found.test,
            "interval": found.interval,
            "analysis": claim.analysis,
            "planned": self.progress.planned,
            "look": self.look,
            "discovery": None if self.standing is None else self.standing.row(),
            "shrunken": None if self.shrunken is None else asdict(self.shrunken),
            "compliance": self.compliance,
            "window_days": None if self.window is None else self.window / timedelta(days=1),
            "detectable": self.detectable,
            "needed": self.needed,
            "guardrails": [
                {
                    "metric": each.metric,
                    "margin": each.margin,
                    "estimate": each.comparison.estimate,
                    "low": each.comparison.low,
                    "high": each.comparison.high,
                    "pvalue": each.comparison.pvalue,
                    "held": each.held,
                }
                for each in self.guardrails
            ],
            "checks": [
                {"check": each.name, "level": each.level, "sentence": each.sentence}
                for each in self.checks
            ],
        }


def evaluate(
    hypothesis: Hypothesis,
    *,
    control: Counts,
    treatment: Counts,
    checks: Sequence[Check] = (),
    as_of: datetime | None = None,
    analysed: tuple[Comparison, Progress] | None = None,
    guardrails: Sequence[GuardrailResult] = (),
    family: Family | None = None,
    recorded: RecordedVerdict | None = None,
    compliance: float = 1.0,
    window: timedelta | None = None,
) -> Evaluation:
    """Evaluate a hypothesis on counts: make the verdict and its sentence.

    Args:
        hypothesis: The hypothesis, with its decision rule.
        control: Control's counts.
        treatment: Treatment's counts.
        checks: Checks of the comparison; an invalid one leaves no verdict.
        as_of: The time as of which the data were read.
        analysed: What `analyse` returned. Without it, the counts are taken as the whole sample.
        guardrails: The results of the hypothesis's guardrails.
        family: The adjustment for hypotheses that were tested together, if any were.
        recorded: The final verdict that the ledger already holds, if it does.
        compliance: The share of an effect that is seen at the least, where customers changed sides.
        window: The time that a customer has to reach the metric.

    >>> rule = Hypothesis.model_validate({
    ...     "name": "preview", "statement": "It helps.", "metric": "imported", "iteration": "1",
    ...     "control": {"group": "blank"}, "treatment": {"group": "preview"}})
    >>> found = evaluate(rule, control=Counts(48, 80), treatment=Counts(56, 70))
    >>> print(found.label, found.sentence, sep=": ")
    supported: 80.0% (56/70) of the preview cohort reached imported, 60.0% (48/80) of the blank \
cohort: an effect of +20.0 [+4.5, +34.0] percentage points (95% interval), too large for chance \
alone (p = 0.00887).
    """
    comparison, progress = analysed or analyse(hypothesis, Sample(control, treatment))
    if any(check.level == "invalid" for check in checks):
        verdict, progress = Verdict.INVALID, replace(progress, early=False)
    elif recorded is not None:
        verdict, progress = recorded.verdict, replace(progress, early=False)
    elif progress.early:
        verdict = Verdict.INCONCLUSIVE
    else:
        pvalue = None if family is None else family.pvalue
        verdict = hypothesis.decide(comparison, pvalue, compliance)
    needed, detectable = _plan(hypothesis, comparison)
    evaluation = Evaluation(
        hypothesis,
        as_of,
        verdict,
        "",
        comparison,
        tuple(checks),
        needed,
        detectable,
        progress,
        tuple(guardrails),
        family,
        recorded,
        compliance=compliance,
        window=window,
    )
    return replace(evaluation, sentence=_sentence(evaluation))


def _plan(rule: DecisionRule, found: Comparison) -> tuple[int | None, float]:
    """Return the customers per cohort that a new iteration needs, and the effect detectable now."""
    if not (found.control.total and found.treatment.total):
        return None, math.nan
    rate = found.control.rate
    detectable = detectable_effect(
        control_rate=rate,
        control_total=found.control.total,
        treatment_total=found.treatment.total,
        alternative=rule.alternative,
        alpha=rule.alpha,
        power=rule.power,
    )
    return rule.customers_needed(rate, rule.towards(found.estimate)), detectable


def _sentence(evaluation: Evaluation) -> str:
    claim, found = evaluation.hypothesis, evaluation.comparison
    if evaluation.verdict is Verdict.INVALID:
        said = [each.sentence for each in evaluation.checks if each.level == "invalid"]
        if (before := evaluation.recorded) is not None:
            said.append(
                f"The ledger holds another verdict since {display.day(before.at)}: {before.label}; if this "
                "fault was there then, correct that verdict."
            )
        return " ".join([f"No verdict on {claim.metric}.", *said])
    rates = _rates(claim, found, evaluation.window)
    effect = (
        f"an effect of {display.effect(found.estimate, found.low, found.high)} percentage points "
        f"({_level(evaluation)})"
    )
    if math.isnan(found.estimate):
        effect = "no effect can be estimated yet"
    parts = [f"{rates}: {effect}{_middle(evaluation)}", _looks(evaluation), _outlook(evaluation)]
    but = evaluation.verdict is Verdict.SUPPORTED
    later = evaluation.recorded is not None
    parts += [_guardrail(each, but=but, later=later) for each in evaluation.guardrails]
    if evaluation.success and evaluation.standing is not None:
        parts.append(evaluation.standing.sentence)
    parts.append(_shrunken(evaluation.shrunken))
    parts += [each.sentence for each in evaluation.checks if each.level == "warn"]
    return " ".join(part for part in parts if part)


def _rates(claim: Hypothesis, found: Comparison, window: timedelta | None) -> str:
    """Say how many of each cohort reached the metric."""
    reached = f"reached {claim.metric}"
    if claim.metric == ADOPTION and window is not None:
        reached = f"adopted within {display.within(window)}"
    cohorts = ((found.treatment, claim.treatment.label), (found.control, claim.control.label))
    if not all(counts.total for counts, _ in cohorts):
        said = [
            f"{counts.converted:,} of {counts.total:,} customers of the {name} cohort"
            for counts, name in cohorts
        ]
        return f"Of those whose window is over, {' and '.join(said)} {reached}"
    (treatment, one), (control, other) = ((_share(counts), name) for counts, name in cohorts)
    return f"{treatment} of the {one} cohort {reached}, {control} of the {other} cohort"


def _middle(evaluation: Evaluation) -> str:
    """Say what the effect means."""
    claim, found, recorded = evaluation.hypothesis, evaluation.comparison, evaluation.recorded
    if recorded is not None:
        return (
            f". The final verdict on {claim.name} version {claim.version} stands since "
            f"{display.day(recorded.at)}, on {recorded.customers:,} customers: {recorded.label}."
        )
    if evaluation.progress.early:
        return f". {_early(evaluation.progress)}"
    family = evaluation.family
    several = "" if family is None else f", adjusted for {family.size} tests at once"
    alone = f" (p {_pvalue(evaluation.pvalue)}{several})."
    if evaluation.verdict is Verdict.SUPPORTED and math.isnan(found.low):
        return f", too large for chance alone{alone} It has no interval: {found.reason}."
    if evaluation.verdict is Verdict.INCONCLUSIVE and family is not None and _excludes_none(found):
        return (
            f", too large for chance if it were the only test (p {_pvalue(found.pvalue)}), but not "
            f"among {family.size} tests at once (p {_pvalue(family.pvalue)})."
        )
    return {
        Verdict.SUPPORTED: f", too large for chance alone{alone}",
        Verdict.REFUTED: f", which rules out {_worth(claim)}{_smaller(evaluation)}.",
        Verdict.HARMFUL: f", which lies wholly on the wrong side: {claim.metric} suffers.",
        Verdict.INCONCLUSIVE: f", which leaves open {_open(evaluation)}.",
    }[evaluation.verdict]


def _early(progress: Progress) -> str:
    """Say why a fixed analysis may not decide yet, and when it will."""
    through = f"{progress.through:,} customers of the smaller cohort are through"
    if progress.planned is not None:
        through = f"{progress.through:,} of {progress.planned:,} planned customers per cohort are"
        through += " through"
    expected = progress.expected
    if expected is None:
        wait = "wait until no more of them are pending"
    elif progress.planned is None or expected.customers < progress.planned:
        wait = (
            f"the iteration and its last window will be over on {_by(expected.at)}, with about "
            f"{expected.customers:,} at the present rate of entry; decide then"
        )
    elif expected.certain:
        wait = f"the last of their windows will be over on {_by(expected.at)}; decide then"
    else:
        wait = f"at the present rate of entry all of them will be about {_by(expected.at)}; decide then"
    return f"Too early to say, whatever it shows: {through}; {wait}."


def _by(moment: datetime) -> str:
    """Write the first day that begins at a moment or later."""
    whole = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return display.day(whole if whole == moment else whole + timedelta(days=1))


def _looks(evaluation: Evaluation) -> str:
    """Say where planned looks, or an analysis at any time, stand."""
    progress = evaluation.progress
    if evaluation.recorded is not None:
        return ""
    if progress.analysis == "sequential":
        return _planned_look(evaluation)
    if progress.analysis == "anytime":
        if not progress.blocks:
            return "No block of customers is through yet; look as often as you like."
        together = 1 if evaluation.family is None else evaluation.family.size
        enough = _evalue(together / evaluation.hypothesis.alpha)
        return (
            f"The largest e-value is {_evalue(progress.evalue)}, in {progress.blocks:,} blocks of "
            f"customers ({enough} would settle it); look as often as you like."
        )
    return ""


def _planned_look(evaluation: Evaluation) -> str:
    """Say which planned look this is, and whether its boundary is crossed."""
    progress = evaluation.progress
    if not progress.look:
        return f"None of the {progress.looks} planned looks has taken place yet: nobody is through."
    of = f"look {progress.look} of {progress.looks}, at {100 * progress.fraction:.0f}% of the"
    said = f"This is {of} {progress.planned:,} planned customers per cohort"
    if progress.crossed:
        said += ", and its boundary is crossed"
    elif progress.final:
        said += ", and the last one"
    elif evaluation.verdict is Verdict.INCONCLUSIVE and math.isinf(progress.boundary):
        said += "; no alpha may be spent this early"
    elif evaluation.verdict is Verdict.INCONCLUSIVE:
        said += f"; its boundary (z {progress.boundary:.2f}) is not crossed"
    if evaluation.hypothesis.run_on and math.isnan(progress.full_pvalue):
        said += "; the list of discoveries waits for the test at the full size"
    return f"{said}."


def _guardrail(result: GuardrailResult, *, but: bool, later: bool) -> str:
    """Say whether a guardrail held, by what may be lost."""
    found = result.comparison
    effect = display.effect(found.estimate, found.low, found.high)
    margin = f"{100 * result.margin:g}"
    name = f"uardrail {result.metric}"
    if not result.known:
        return f"G{name}: too early to say ({found.reason})."
    start = "With today's customers, g" if later else "But g" if but and not result.held else "G"
    if result.held:
        return f"{start}{name} holds: a loss of {margin} points or more is ruled out ({effect})."
    settled = ""
    if result.needed is not None and found.high > -result.margin * result.compliance:
        settled = (
            f" {result.needed:,} customers per cohort would settle that, if nothing is lost at all."
        )
    if not result.compliance:
        said = "too many customers saw both groups to rule a loss out"
        return f"{start}{name} does not hold: {said} ({effect})."
    worst = display.points(max(-found.low, 0.0) / result.compliance, 2).lstrip("+")
    hidden = (
        ", of which customers who saw both groups hide a part," if result.compliance < 1 else ""
    )
    return (
        f"{start}{name} does not hold: it may lose {worst} points{hidden} ({effect}), and {margin} is "
        f"the most allowed.{settled}"
    )


def _excludes_none(found: Comparison) -> bool:
    """Whether the interval leaves no effect out."""
    return found.low > 0 or found.high < 0


def _smaller(evaluation: Evaluation) -> str:
    """Say of a refuted claim what its interval was held against, and that there is an effect, if so."""
    claim, found = evaluation.hypothesis, evaluation.comparison
    diluted = ", allowing for customers who saw both groups"
    said = diluted if evaluation.compliance < 1 else ""
    return (
        f"{said}; there is a smaller one"
        if claim.minimum_effect and _excludes_none(found)
        else said
    )


def _worth(claim: Hypothesis) -> str:
    least = f"{100 * claim.minimum_effect:g}"
    if not claim.minimum_effect:
        return "any effect in the hoped-for direction"
    if claim.alternative == "two-sided":
        return f"a change of {least} points either way, the least worth having"
    way = "gain" if claim.alternative == "greater" else "drop"
    return f"a {way} of {least} points, the least worth having"


def _open(evaluation: Evaluation) -> str:
    """Say what an inconclusive verdict leaves open."""
    claim, found = evaluation.hypothesis, evaluation.comparison
    if math.isnan(found.estimate):
        return f"everything ({found.reason})"
    if not claim.minimum_effect:
        return "whether there is an effect"
    sought = _sought(evaluation)
    said = f"both no effect and one of {display.worth(sought)} points, the least worth having"
    if found.low <= sought <= found.high:
        return said
    if not evaluation.compliance:
        return f"{said}: too many customers saw both groups to rule anything out"
    return f"{said}, a part of which customers who saw both groups would hide"


def _sought(evaluation: Evaluation) -> float:
    """Return the effect worth having on the side of the estimate, if the interval holds it, or else the other."""
    claim, found = evaluation.hypothesis, evaluation.comparison
    effect = claim.towards(found.estimate)
    inside = found.low <= effect * evaluation.compliance <= found.high
    return effect if inside or claim.alternative != "two-sided" else -effect


def _outlook(evaluation: Evaluation) -> str:
    """Say, for an inconclusive verdict, what could have been shown and how many are needed."""
    claim, found = evaluation.hypothesis, evaluation.comparison
    progress = evaluation.progress
    open_end = evaluation.verdict is Verdict.INCONCLUSIVE and evaluation.recorded is None
    if not open_end or progress.early or progress.analysis != "fixed" or math.isnan(found.estimate):
        return ""
    power = f"a power of {100 * claim.power:g}%"
    parts = []
    if not math.isnan(evaluation.detectable):
        parts.append(
            f"With {power} these customers could have shown {display.points(evaluation.detectable)} points"
        )
    had = min(found.control.total, found.treatment.total)
    if evaluation.needed is not None and evaluation.needed > had:
        worth = display.worth(_sought(evaluation))
        parts.append(
            f"a new iteration needs {evaluation.needed:,} customers per cohort to show {worth} points"
        )
    elif evaluation.needed is not None:
        parts.append(
            "that is enough for the effect worth having, and chance or a smaller effect hid it"
        )
    return "; ".join(parts) + "." if parts else ""


def _shrunken(found: Shrunken | None) -> str:
    """Say what a supported effect is worth once the study's effects are known to be small."""
    if found is None:
        return ""
    few = f" (this {found.reason})" if found.reason else ""
    effect = display.effect(found.estimate, found.low, found.high)
    return f"Winners look larger than they are: shrunk by the study's effects it is {effect}{few}."


def _level(evaluation: Evaluation) -> str:
    """Name the interval: its level, and whether it accounts for several tests."""
    said = f"{100 * evaluation.comparison.confidence_level:.3g}% interval"
    if evaluation.hypothesis.stratify:
        said += f" within {' and '.join(evaluation.hypothesis.stratify)}"
    if evaluation.family is None or math.isnan(evaluation.comparison.low):
        return said
    if evaluation.progress.analysis == "sequential":
        return f"{said}, which holds for all {evaluation.family.size} comparisons together"
    return f"{said} of this comparison alone"


def _share(counts: Counts) -> str:
    return display.rate(counts.rate, counts.converted, counts.total)


def _pvalue(pvalue: float) -> str:
    written = display.pvalue(pvalue)
    return written if written.startswith("<") else f"= {written}"


def _evalue(evalue: float) -> str:
    return f"{evalue:,.0f}" if evalue >= 100 else f"{evalue:.3g}"
