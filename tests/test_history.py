"""The story that a ledger tells: one chapter for each arm, version and iteration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from itertools import count

from ledger_writers import CLAIM, look, registration, verdict

from workbench.history import Chapter, story
from workbench.records import Look, Registration, Stored

WHEN = datetime(2026, 2, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Held:
    """A p-value held to alpha / 2 ** place: each test costs, whoever comes later."""

    level: float
    rejected: bool


def halving(pvalues: Sequence[float]) -> list[Held]:
    levels = [0.05 / 2 ** (place + 1) for place in range(len(pvalues))]
    return [Held(level, p <= level) for p, level in zip(pvalues, levels, strict=True)]


def told(*entries: object) -> tuple[Chapter, ...]:
    """Tell the story of records in this order; one beside an id corrects that one."""
    numbers = count(1)
    held = [
        Stored(next(numbers), WHEN, *(each if isinstance(each, tuple) else (each,)))
        for each in entries
    ]
    kinds: dict[str, list[Stored]] = {"registration": [], "look": [], "verdict": []}
    for each in held:
        kinds[each.record.KIND].append(each)
    return story(kinds["verdict"], kinds["look"], kinds["registration"], online=halving)


def test_nothing_recorded_is_no_story():
    assert told() == ()


def test_two_versions_over_three_iterations():
    chapters = told(
        registration(),
        look("a", "2026.1"),
        look("b", "2026.1", estimate=0.1, low=-0.05, high=0.25),
        verdict("b", "2026.1", verdict="inconclusive", success=False, pvalue=0.1),
        look("c", "2026.2"),
        verdict("c", "2026.2", pvalue=0.012),
        registration(2),
        look("d", "2026.3", version=2, estimate=0.3),
        verdict("d", "2026.3", version=2, pvalue=0.01),
    )
    assert [
        (each.version, each.iteration, each.looks, each.estimate, each.verdict, each.discovery)
        for each in chapters
    ] == [
        (1, "2026.1", 2, 0.1, "inconclusive", "no"),
        (1, "2026.2", 1, 0.2, "supported", "yes"),
        (2, "2026.3", 1, 0.3, "supported", "no"),
    ]
    assert [each.level for each in chapters] == [0.025, 0.0125, 0.00625]
    assert [each.pvalue for each in chapters] == [0.1, 0.012, 0.01]


def test_what_has_no_final_verdict_is_open():
    (chapter,) = told(registration(), look("a", pvalue=0.001), look("b", estimate=0.25))
    assert (chapter.verdict, chapter.looks, chapter.estimate) == ("open", 2, 0.25)
    assert math.isnan(chapter.pvalue)
    assert math.isnan(chapter.level)
    assert chapter.discovery == "-"


def test_what_was_registered_and_never_looked_at_is_open_too():
    (chapter,) = told(registration())
    assert (chapter.iteration, chapter.looks, chapter.verdict) == ("", 0, "open")
    assert math.isnan(chapter.estimate)


def test_an_invalid_comparison_is_no_test_of_the_stream():
    invalid = verdict("a", "2026.1", verdict="invalid", success=False, pvalue=None)
    chapters = told(look("a", "2026.1"), invalid, look("b", "2026.2"), verdict("b", "2026.2"))
    assert [each.discovery for each in chapters] == ["-", "yes"]
    assert chapters[1].level == 0.025


def test_a_discovery_is_a_success_too():
    (chapter,) = told(look("a"), verdict("a", success=False, pvalue=0.0001))
    assert chapter.discovery == "no"


def test_a_corrected_verdict_keeps_its_place_in_the_stream():
    first = [look("a", "2026.1"), verdict("a", "2026.1", pvalue=0.03)]
    second = [look("b", "2026.2"), verdict("b", "2026.2", pvalue=0.012)]
    before = told(*first, *second)
    chapters = told(
        *first,
        *second,
        look("z", "2026.1", estimate=0.4),
        (verdict("z", "2026.1", pvalue=0.001), 2, "other data"),
    )
    assert chapters[1] == before[1]
    assert (before[0].level, before[0].discovery) == (0.025, "no")
    assert (chapters[0].level, chapters[0].discovery) == (0.00625, "yes")
    assert (chapters[0].corrected, chapters[1].corrected) == (True, False)
    assert (chapters[0].estimate, chapters[0].looks) == (0.4, 2)


def test_the_estimate_is_of_the_look_that_the_verdict_rests_on():
    (chapter,) = told(look("a", estimate=0.1), look("b"), verdict("a"))
    assert chapter.estimate == 0.1
    (alone,) = told(verdict("a"))
    assert math.isnan(alone.estimate)


def test_arms_and_hypotheses_tell_their_own_chapters():
    arms = [look("a", arm=arm) for arm in ("group=guide", CLAIM[2])]
    chapters = told(*arms, look("a", hypothesis="Another"))
    assert [(each.hypothesis, each.arm) for each in chapters] == [
        (CLAIM[0], "group=guide"),
        (CLAIM[0], CLAIM[2]),
        ("Another", CLAIM[2]),
    ]


def test_adding_later_records_changes_no_earlier_chapter():
    records: list[Registration | Look | object] = []
    last: tuple[Chapter, ...] = ()
    for number in range(6):
        name = f"2026.{number}"
        records += [look("a", name), verdict("a", name, pvalue=0.02 / (number + 1))]
        now = told(*records)
        assert now[:-1] == last
        last = now


def test_a_chapter_is_a_row_of_plain_values():
    (chapter,) = told(look("a"), verdict("a"))
    assert tuple(chapter.row().values()) == astuple(chapter)
    assert list(chapter.row())[:4] == ["hypothesis", "version", "arm", "iteration"]
