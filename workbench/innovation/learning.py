"""Learning without an A/B test: findings of interviews, prototypes and user tests, and what they tell.

They change how likely an idea is, as `workbench.stats.odds` says, and never make a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import display
from workbench.errors import DataError, StudyError, WorkbenchError, unknown_name
from workbench.experiments.findings import Finding
from workbench.schema.base import TableSource, duration
from workbench.schema.hypothesis import Verdict
from workbench.schema.learning import LearningMethod
from workbench.schema.strategy import first_day
from workbench.schema.study import StudySpec
from workbench.stats.odds import (
    FEWEST_TRIED,
    Answers,
    YesRates,
    chance_after,
    estimated_rate,
    in_words,
    log_evidence,
    prior_chance,
)

if TYPE_CHECKING:
    from workbench.experiments.ledger import Ledger

ROUND = 5  # people of whom it is said what their answers could change
AB_TEST = "A/B test"
REQUIRED = ("hypothesis", "method", "supports", "of")
COLUMNS = (*REQUIRED, "version", "date", "cost", "note", "weight")
DECIDED = frozenset({Verdict.SUPPORTED, Verdict.REFUTED, Verdict.HARMFUL})
NUMBERS = ("supports", "of", "version", "weight")
Name = tuple[str, int]


class WayToLearn(NamedTuple):
    """A way to learn about an idea: its cost, and the chance after five answers that all agree.

    An A/B test gives a verdict, so its chances are NaN; so are `days` where they are not known.
    """

    method: str
    days: float
    if_all_yes: float
    if_all_no: float

    def __str__(self) -> str:
        """Return it in words, such as "interview (1 day): 15% to 67%"."""
        days = "time not known" if math.isnan(self.days) else f"{round(self.days, 1):g} days"
        days = "1 day" if days == "1 days" else days
        if math.isnan(self.if_all_yes):
            return f"{self.method} ({days}): a verdict"
        return f"{self.method} ({days}): {_percent(self.if_all_no)} to {_percent(self.if_all_yes)}"


class MethodRecord(NamedTuple):
    """What a method said of tried ideas, beside what their A/B tests found."""

    method: str
    ideas: int
    yes_if_supported: int
    asked_if_supported: int
    yes_if_refuted: int
    asked_if_refuted: int

    @property
    def sentence(self) -> str:
        """The record in a sentence."""
        ideas = "a tried idea" if self.ideas == 1 else f"{self.ideas} tried ideas"
        parts = [
            f"{yes:,} of {asked:,} said yes where the A/B test {found} the idea"
            for found, yes, asked in (
                ("supported", self.yes_if_supported, self.asked_if_supported),
                ("refuted", self.yes_if_refuted, self.asked_if_refuted),
            )
            if asked
        ]
        return f"{display.capital(self.method)}s on {ideas}: {'; '.join(parts)}."


@dataclass(frozen=True)
class Learned:
    """The findings on a study's ideas, and how likely they make each.

    Attributes:
        findings: All findings.
        tried: Whether an A/B test supported an idea, by name and version: False if it was refuted or
            harmful. Ideas without such a verdict are not in it.
        stated: What an answer of each method tells, as the study file says.
    """

    findings: Sequence[Finding] = ()
    tried: Mapping[Name, bool] = field(default_factory=dict)
    stated: Mapping[str, LearningMethod] = field(default_factory=dict)

    def prior(self, name: str, version: int = 1) -> float:
        """Return how likely an idea is before any finding, by what came of the other tried ideas."""
        others = [found for each, found in self.tried.items() if each != (name, version)]
        return prior_chance(sum(others), len(others))

    @cached_property
    def methods(self) -> tuple[MethodRecord, ...]:
        """What each method said of tried ideas, beside what their A/B tests found."""
        found = []
        for method in self.stated:
            here = [
                each
                for each in self.findings
                if each.method == method and (each.hypothesis, each.version) in self.tried
            ]
            counts = []
            for supported in (True, False):
                those = [
                    each for each in here if self.tried[each.hypothesis, each.version] is supported
                ]
                counts += [sum(each.supports for each in those), sum(each.of for each in those)]
            ideas = len({(each.hypothesis, each.version) for each in here})
            found.append(MethodRecord(method, ideas, *counts))
        return tuple(each for each in found if each.ideas)

    @cached_property
    def rates(self) -> Mapping[str, YesRates]:
        """How often people say yes, by method: as stated, or estimated from ten tried ideas on."""
        rates = {
            name: YesRates(each.yes_if_true, each.yes_if_false)
            for name, each in self.stated.items()
        }
        if len(self.tried) < FEWEST_TRIED:
            return rates
        for each in self.methods:
            was = rates[each.method]
            rates[each.method] = YesRates(
                estimated_rate(was.if_true, each.yes_if_supported, each.asked_if_supported),
                estimated_rate(was.if_false, each.yes_if_refuted, each.asked_if_refuted),
            )
        return rates

    def answers(self, name: str, version: int) -> dict[str, list[Answers]]:
        """Return the answers on a version of an idea, by method."""
        found: dict[str, list[Answers]] = {}
        for each in self.findings:
            if (each.hypothesis, each.version) == (name, version):
                found.setdefault(each.method, []).append(
                    Answers(each.supports, each.of, each.weight)
                )
        return found

    def chance(
        self, name: str, version: int = 1, more: Mapping[str, Answers] | None = None
    ) -> float:
        """Return how likely a version of an idea is true after its findings, and `more` answers."""
        answers = self.answers(name, version)
        for method, each in (more or {}).items():
            answers.setdefault(method, []).append(each)
        told = sum(log_evidence(each, self.rates[method]) for method, each in answers.items())
        return chance_after(self.prior(name, version), told)

    def ways(self, name: str, version: int = 1, weeks: float = math.nan) -> tuple[WayToLearn, ...]:
        """Return the ways to learn about an idea, the cheapest first.

        Args:
            name: The name of the hypothesis or idea.
            version: Its version.
            weeks: How long an A/B test takes; NaN if it is not known.
        """
        found = [WayToLearn(AB_TEST, 7 * weeks, math.nan, math.nan)]
        for method in self.stated:
            after = (
                self.chance(name, version, {method: Answers(yes, ROUND)}) for yes in (ROUND, 0)
            )
            found.append(WayToLearn(method, self._days(method), *after))
        return tuple(sorted(found, key=lambda each: (math.isnan(each.days), each.days)))

    def _days(self, method: str) -> float:
        """Return what a method costs: the median on record, or else as stated."""
        known = [each.cost for each in self.findings if each.method == method and each.cost]
        costs = [duration(each) for each in known] or [self.stated[method].cost]
        return median(each / timedelta(days=1) for each in costs if isinstance(each, timedelta))

    def said(self, name: str, version: int = 1) -> str:
        """Return the findings on a version of an idea in words; empty where there are none.

        >>> Learned([Finding("undo", 1, "prototype", 4, 5)]).said("undo")
        '4 of 5 in prototypes'
        """
        parts = [
            f"{sum(each.supports for each in given):,} of {sum(each.of for each in given):,} in {method}s"
            for method, given in self.answers(name, version).items()
        ]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)

    def row(self, name: str, version: int, weeks: float) -> dict[str, Any]:
        """Return what is known of a version of an idea as plain values."""
        if not self.stated:
            return {}
        return {
            "chance": self.chance(name, version),
            "findings": self.said(name, version),
            "ways": [each._asdict() for each in self.ways(name, version, weeks)],
        }

    def findings_sentence(self, name: str) -> str:
        """Return what the findings on each version of an idea said; empty where there are none."""
        versions = sorted({each.version for each in self.findings if each.hypothesis == name})
        return " ".join(self._sentence(name, version) for version in versions)

    def _sentence(self, name: str, version: int) -> str:
        outcomes = {True: "; the A/B test supported it", False: "; the A/B test refuted it"}
        then = outcomes[self.tried[name, version]] if (name, version) in self.tried else ""
        before, after = map(in_words, (self.prior(name, version), self.chance(name, version)))
        moved = "stays at" if before == after else f"goes from {before} to"
        return (
            f"{name}, version {version}: {self.said(name, version)} said yes, by which its chance "
            f"{moved} {after}{then}."
        )


def read_learned(ledger: Ledger, spec: StudySpec, at: datetime | None = None) -> Learned:
    """Return what a study's ledger holds of findings, and of the A/B tests that followed.

    Args:
        ledger: The study's ledger.
        spec: The study file.
        at: Leave out later findings, and verdicts of iterations that end later.
    """
    from workbench.experiments.ledger import standing

    until = date.max if at is None else at.date()
    findings = [
        each.record
        for each in ledger.findings()
        if (date.fromisoformat(each.record.date) if each.record.date else each.recorded_at.date())
        <= until
    ]
    over = {
        each.name for each in spec.iterations if each.end is None or first_day(each.end) <= until
    }
    tried: dict[Name, bool] = {}
    for each in standing(ledger.verdicts()):
        found = each.record
        compared = not math.isnan(found.pvalue)  # a single-arm claim has no p-value on record
        if compared and found.iteration in over and found.verdict in DECIDED:
            name = (found.hypothesis, found.version)
            tried[name] = tried.get(name, False) or found.verdict == Verdict.SUPPORTED
    return Learned(findings, tried, spec.learning)


def make_finding(spec: StudySpec, values: Mapping[str, Any]) -> Finding:
    """Make a finding on a hypothesis or an idea of a study.

    Args:
        spec: The study file.
        values: The fields of a `Finding`; the newest version without `version`.

    Raises:
        StudyError: The study has no such hypothesis, idea or version, or a value breaks a rule.
    """
    known = {each.name: [1] for each in spec.ideas}
    for claim in spec.stated:
        known.setdefault(claim.name, []).append(claim.version)
    name = str(values["hypothesis"])
    if name not in known:
        raise StudyError(unknown_name("hypothesis or idea", name, known))
    version = values.get("version") or max(known[name])
    if version not in known[name]:
        raise StudyError(unknown_name(f"version of {name}", version, known[name]))
    given = {key: value for key, value in values.items() if value is not None}
    return Finding(**{**given, "version": version})


def read_findings(path: Path, spec: StudySpec) -> list[Finding]:
    """Read a table of findings, a row each.

    Raises:
        DataError: The table cannot be read, a column is missing or unknown, or a row breaks a rule.
    """
    import duckdb

    from workbench.data.engines import FILE, collect
    from workbench.data.readers import name as name_of
    from workbench.data.readers import read_table
    from workbench.schema.cohort import MISSING

    table = read_table(TableSource(source=path.name), path.absolute().parent, duckdb.connect())
    columns = [each for each in table.collect_schema().names() if each != FILE]
    for column in (*REQUIRED, *columns):
        if column not in columns or column not in COLUMNS:
            known = columns if column not in columns else COLUMNS
            raise DataError(f"{path}: {unknown_name('column', column, known)}")
    found = []
    for number, row in enumerate(collect(table), start=1):
        texts = {column: name_of(row[column]).strip() for column in columns}
        given = {column: text for column, text in texts.items() if text not in ("", MISSING)}
        try:
            if missing := [column for column in REQUIRED if column not in given]:
                raise StudyError(f"there is no {missing[0]}; fill it in, or leave the row out")
            numbers = {name: _number(name, given[name]) for name in NUMBERS if name in given}
            found.append(make_finding(spec, {**given, **numbers}))
        except WorkbenchError as error:
            raise DataError(f"{path}, row {number}: {error}") from None
    return found


def _number(name: str, written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if name == "weight" and math.isfinite(value):
        return value
    if not value.is_integer():
        raise StudyError(f"{name} is {written!r}; write a whole number")
    return int(value)


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f}%"
