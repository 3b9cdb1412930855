"""A study's data as a whole: where they end, which tables meet, and what is odd about them."""

from __future__ import annotations

import pytest

from workbench import Study
from workbench.errors import DataError, StudyError

STUDY = """\
name: small
events: {source: log.csv, customer: who, event: what, time: at}
groupings: {arm: experiment}
flow: {trigger: opened, steps: [done], window: 7d}
iterations: [{name: one, start: 2026-01-05, end: 2026-02-02}]
"""
HEAD = "who,what,at,arm"
LOG = [
    "1,opened,2026-01-06 08:00,a",
    "1,done,2026-01-07 08:00,a",
    *(f"{who},opened,2026-01-{5 + who:02} 08:00,b" for who in range(2, 12)),
]


@pytest.fixture
def study(tmp_path):
    """Give a function that writes a study and opens it."""

    def opened(text=STUDY, rows=LOG, **files):
        (tmp_path / "study.yaml").write_text(text)
        (tmp_path / "log.csv").write_text("\n".join([HEAD, *rows]) + "\n")
        for name, content in files.items():
            (tmp_path / f"{name}.csv").write_text(content)
        return Study.load(tmp_path / "study.yaml")

    return opened


def counted(study, as_of=None):
    row = study.learning_metrics(as_of=as_of).iloc[0]
    return [int(row[name]) for name in ("entered", "aligned", "deviated", "pending")]


def problems(study):
    return {each.message: (each.level, each.count) for each in study.check().problems}


def said(study, words):
    return [found for message, found in problems(study).items() if words in message]


def test_an_as_of_after_the_last_event_closes_windows(study):
    assert counted(study()) == [11, 1, 3, 7]
    assert counted(study(), "2026-03-01") == [11, 1, 10, 0]


def test_through_is_where_the_log_ends(study):
    text = STUDY.replace("time: at", "time: at, through: 2026-01-25")
    assert counted(study(text)) == [11, 1, 10, 0]
    with pytest.raises(DataError, match="is complete through 2026-01-25 00:00 UTC only"):
        counted(study(text), "2026-02-01")


def test_a_row_far_behind_all_others_is_named_until_through_leaves_it_out(study):
    stray = [*LOG, "12,other,2037-01-01 08:00,a"]
    words = "1 row lies far behind all others (2037-01-01 after 2026-01-16)"
    assert said(study(rows=stray), words) == [("warning", 1)]
    assert words in " ".join(study(rows=stray).quality("one")["sentence"])
    text = STUDY.replace("time: at", "time: at, through: 2026-01-17")
    assert not said(study(text, stray), "far behind")
    assert not said(study(), "far behind")


def test_iterations_that_nobody_enters_are_named(study):
    late = STUDY.replace("2026-01-05, end: 2026-02-02", "2027-01-05, end: 2027-02-02")
    assert said(study(late), "no customer enters any iteration") == [("error", 1)]
    two = STUDY.replace("02}]", "02}, {name: two, start: 2026-02-02, end: 2026-03-02}]")
    assert said(study(two), "no customer enters iteration two") == [("warning", 1)]


def test_names_that_differ_by_case_or_spaces_alone_are_named(study):
    rows = [*LOG, "13, Opened ,2026-01-08 08:00,a", "14,OPENED,2026-01-08 08:00,a"]
    found = said(study(rows=rows), "by case or spaces alone")
    assert found == [("warning", 1), ("warning", 1)]


def test_tables_that_do_not_meet(study):
    text = STUDY.replace(
        "groupings: {arm: experiment}",
        "customers: {source: c.csv, customer: id}\ngroupings: {size: segment}",
    )
    some = "id,size\n" + "".join(f"{who},big\n" for who in range(1, 9))
    assert said(
        study(text, c=some),
        "3 of 11 customers who met the trigger are not in the customers table, such as '10'",
    ) == [("warning", 3)]
    none = "id,size\nu1,big\nu2,small\n"
    with pytest.raises(
        DataError, match=r"none of the 11 customers of log\.csv is in the customers"
    ):
        study(text, c=none).learning_metrics()
    floats = "id,size\n" + "".join(f"{who}.0,big\n" for who in range(1, 12))
    assert set(study(text, c=floats).learning_metrics(by=["size"])["size"]) == {"big"}


def test_hours_of_changing_clocks_are_counted(study):
    text = STUDY.replace("time: at", "time: at, timezone: Europe/Oslo")
    rows = [*LOG, "9,other,2026-03-29 02:30,b", "9,other,2026-10-25 02:30,b"]
    assert said(study(text, rows), "clocks of Europe/Oslo skip") == [("note", 1)]
    assert said(study(text, rows), "clocks of Europe/Oslo pass twice") == [("note", 1)]


def test_numbers_as_times_say_their_unit(study):
    rows = [f"{who},opened,{1767686400 + 86400 * who},a" for who in range(5)]
    assert said(study(rows=rows), "read as seconds since 1970") == [("note", 5)]


OUTCOMES = """\
name: outcomes
customers: {source: c.csv, customer: id}
outcomes: {stayed: back}
groupings: {arm: experiment}
iterations: [{name: one}]
"""


def test_outcome_rows_are_customers_once(study):
    rows = "id,arm,back\n" + "1,a,yes\n" * 8 + "2,b,no\n" * 8 + "3,a,1\n3,b,1\n4,b,\n"
    opened = study(OUTCOMES, c=rows)
    table = opened.learning_metrics(by=["arm"]).set_index("arm")
    assert table["entered"].to_dict() == {"a": 1, "b": 2}
    assert said(opened, "rows repeat another one exactly") == [("note", 14)]
    assert said(opened, "in two groups of an experiment") == [("warning", 1)]


def test_outcome_rows_that_differ_are_refused(study):
    with pytest.raises((DataError, StudyError), match="customer 1 has 2 rows that say different"):
        study(OUTCOMES, c="id,arm,back\n1,a,yes\n1,a,no\n").learning_metrics()
