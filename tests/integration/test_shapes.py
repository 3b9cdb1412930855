"""Data in the shapes that people have: several tables, visits, no ids, two ids, bins, exits."""

from __future__ import annotations

import json

import pytest
from support.written_study import study_of_text

from workbench.errors import DataError, StudyError

FLOW = "flow: {trigger: opened, steps: [done], window: 7d}\n"
ONE = "iterations: [{name: one, start: 2026-01-05, end: 2026-02-02}]\n"
LOG = "who,what,at,arm\n1,opened,2026-01-06,a\n1,done,2026-01-07,a\n2,opened,2026-01-06,b\n"


@pytest.fixture
def study(tmp_path):
    """Give a function that writes a study with its files, and opens it."""

    def opened(text, **files):
        written = {name.replace("_", "."): content for name, content in files.items()}
        return study_of_text(tmp_path, f"name: small\n{text}", written)

    return opened


def counted(study, by=(), step=None, as_of=None):
    table = study.learning_metrics(by=by, as_of=as_of)
    table = table[table["step"] == (step or study.spec.steps[0])]
    names = [*([by] if by else []), "entered", "aligned", "deviated", "pending"]
    return [tuple(row) for row in table[names].itertuples(index=False)]


def said(study, words):
    return [each for each in study.check().problems if words in each.message]


def test_a_log_of_several_tables_each_with_its_own_columns(study):
    found = study(
        "events:\n"
        "  - {source: opened.csv, customer: user, event_name: opened, time: created, through: 2026-01-20}\n"
        "  - {source: done.jsonl, customer: id, event: name, time: ts, time_format: epoch_s,\n"
        "     where: {ok: true}, through: 2026-02-01}\n"
        "groupings: {plan: segment}\n" + FLOW + ONE,
        opened_csv="user,created,plan\n1,2026-01-06 08:00,pro\n2,2026-01-06 09:00,free\n3,2026-01-19,\n",
        done_jsonl='{"id": 1, "name": "done", "ts": 1767776400, "ok": true}\n'
        '{"id": 2, "name": "done", "ts": 1767776400, "ok": false}\n',
    )
    assert counted(found) == [(3, 1, 1, 1)]  # complete through the 20th
    assert counted(found, "plan") == [
        ("(missing)", 1, 0, 0, 1),
        ("free", 1, 0, 1, 0),
        ("pro", 1, 1, 0, 0),
    ]
    assert not found.check().errors


def test_an_arm_per_file_of_events(study):
    found = study(
        'events: {source: "*.csv", customer: who, event: what, time: at, file_column: group}\n'
        "groupings: {group: experiment}\n" + FLOW + ONE,
        old_csv=LOG,
        new_csv=LOG.replace("\n1,", "\n3,").replace("\n2,", "\n4,"),
    )
    assert counted(found, "group", as_of="2026-02-01") == [("new", 2, 1, 1, 0), ("old", 2, 1, 1, 0)]


@pytest.mark.parametrize("event", ["", "event: what, event_name: opened, "])
def test_a_table_of_events_needs_one_of_event_and_event_name(study, event):
    with pytest.raises(
        StudyError, match=r"line 2: .*needs event, the column with the event's name"
    ):
        study(f"events: {{source: log.csv, customer: who, {event}time: at}}\n" + FLOW + ONE)


def test_errors_name_the_table_of_several_and_its_line(study):
    text = (
        "events:\n  - {source: a.csv, customer: who, event: what, time: at}\n"
        "  - {source: b.csv, customer: who, event: what, tme: at}\n"
    )
    with pytest.raises(StudyError, match="line 4: unknown key 'tme'"):
        study(text + FLOW + ONE)
    empty = study(text.replace("tme", "time") + FLOW + ONE, a_csv=LOG, b_csv="who,what,at\n")
    with pytest.raises(DataError, match=r"^b\.csv has no rows"):
        counted(empty)


OUTCOMES = """\
customers: {source: t.csv, customer: id, per: visit}
outcomes: {bought: buy}
groupings: {arm: experiment, device: segment}
iterations: [{name: one}]
"""
VISITS = """\
id,arm,device,buy
1,a,web,0
1,a,web,1
1,a,app,0
2,a,web,0
2,a,web,0
3,b,web,0
3,b,web,
4,b,app,1
4,b,app,
5,a,web,1
5,b,web,1
"""


def test_visits_become_customers(study):
    found = study(OUTCOMES, t_csv=VISITS)
    assert counted(found, "arm") == [("a", 2, 1, 1, 0), ("b", 2, 1, 0, 1)]
    assert counted(found, "device") == [
        ("(several)", 1, 1, 0, 0),
        ("app", 1, 1, 0, 0),
        ("web", 2, 0, 1, 1),
    ]
    assert [each.count for each in said(found, "in two groups of an experiment")] == [1]


def test_rows_without_ids_are_customers(study):
    rows = "arm,buy\n" + "a,1\n" * 3 + "a,0\n" + "b,0\n" * 2
    text = OUTCOMES.replace("customer: id, per: visit", "customer: none").replace(
        ", device: segment", ""
    )
    assert counted(study(text, t_csv=rows), "arm") == [("a", 4, 3, 1, 0), ("b", 2, 0, 2, 0)]


@pytest.mark.parametrize("per", ["customer", "visit"])
def test_outcomes_need_an_id_in_every_row(study, per):
    found = study(OUTCOMES.replace("visit", per), t_csv="id,arm,device,buy\n1,a,x,1\n,a,x,0\n")
    with pytest.raises(DataError, match=r"1 rows have no id; fill it in.*or say customer: none"):
        counted(found)


@pytest.mark.parametrize("said", ["customer: none", "customer: who, per: visit"])
def test_beside_events_a_customers_table_has_ids(study, said):
    events = "events: {source: log.csv, customer: who, event: what, time: at}\n"
    with pytest.raises(StudyError, match=r"line 3: .*for outcomes"):
        study(events + f"customers: {{source: c.csv, {said}}}\n" + FLOW + ONE)


EVENTS = "events: {source: log.csv, customer: who, event: what, time: at}\n"


@pytest.mark.parametrize(
    ("where", "entered"),
    [
        ("{arm: b}", 1),
        ("{arm: [a, b]}", 2),
        ("{arm: {not: a}}", 1),
        ("{arm: {not: [a, b]}}", 0),
        ("{who: {from: 2}}", 1),
        ("{who: {from: 1, to: 1}}", 1),
        ("{at: {to: 2026-01-06}}", 2),
        ("{at: {from: 2026-01-07}}", 0),
    ],
)
def test_conditions_on_rows(study, where, entered):
    text = EVENTS.replace("time: at", f"time: at, where: {where}") + FLOW + ONE
    found = study(text, log_csv=LOG)
    if entered:
        assert counted(found)[0][0] == entered
    else:
        with pytest.raises(DataError, match=r"has no rows where|the trigger never occurs"):
            counted(found)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("{plan: 1.10}", 'put it in quotes: "1.10"'),
        ("{plan: {from: 1, to: 2026-01-05}}", "give two numbers or two times"),
        ("{plan: {nto: a}}", "unknown key 'nto'; did you mean 'to'? known: from, not, to"),
        ("{plan: {}}", "it names no value"),
        ("{plan: {from: soon}}", "soon"),
    ],
)
def test_conditions_that_say_nothing(study, where, said):
    with pytest.raises(StudyError) as error:
        study(EVENTS.replace("time: at", f"time: at, where: {where}") + FLOW + ONE, log_csv=LOG)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("{amr: a}", "unknown column 'amr'; did you mean 'arm'"),
        ("{arm: {from: 1}}", "column 'arm' holds 'a'; from and to are numbers"),
    ],
)
def test_conditions_that_the_table_cannot_answer(study, where, said):
    found = study(EVENTS.replace("time: at", f"time: at, where: {where}") + FLOW + ONE, log_csv=LOG)
    with pytest.raises(DataError) as error:
        counted(found)
    assert said in str(error.value)


def test_a_step_may_take_some_rows_of_its_event(study):
    flow = (
        "flow:\n  trigger: opened\n  window: 7d\n"
        "  steps: {tried: import, done: {event: import, where: {ok: yes}}}\n"
        "  outcome: {paid: {event: [pay], where: {sum: {from: 10}}}}\n"
    )
    rows = [
        "1,opened,2026-01-06,,",
        "1,import,2026-01-07,no,",
        "1,import,2026-01-08,yes,",
        "2,opened,2026-01-06,,",
        "2,import,2026-01-07,yes,",  # serves `tried`, so `done` needs another row
        "2,pay,2026-01-08,,9.5",
        "3,opened,2026-01-06,,",
        "3,pay,2026-01-08,,10",
    ]
    found = study(EVENTS + flow + ONE, log_csv="\n".join(["who,what,at,ok,sum", *rows]))
    table = found.learning_metrics(as_of="2026-02-01")
    assert table[["step", "entered", "aligned"]].to_numpy().tolist() == [
        ["tried", 3, 2],
        ["done", 2, 1],
        ["paid", 3, 1],
    ]
    later = found.deviations(step="done", as_of="2026-02-01")
    assert later[["next_event", "customers"]].to_numpy().tolist() == [["pay", 1]]


def test_exits_are_deviations_before_the_window_ends(study):
    rows = [
        "1,opened,2026-01-06",
        "1,cancelled,2026-01-07",
        "1,done,2026-01-08",  # after the exit: no longer this path
        "2,opened,2026-01-06",
        "2,done,2026-01-07",
        "2,cancelled,2026-01-08",  # the need was met before
        "3,opened,2026-01-06",
        "3,paused,2026-01-07",
    ]
    log = "\n".join(["who,what,at", *rows])
    plain = study(EVENTS + FLOW + ONE, log_csv=log)
    assert counted(plain) == [(3, 2, 0, 1)]
    exits = FLOW.replace("window: 7d", "window: 7d, exits: [cancelled]")
    left = study(EVENTS + exits + ONE, log_csv=log)
    assert counted(left) == [(3, 1, 1, 1)]
    assert counted(left, as_of="2026-01-20") == [(3, 1, 2, 0)]
    # The rate waits for all windows: those who leave are known sooner than those who take long.
    assert left.learning_metrics()["closed"].tolist() == [0]
    later = left.deviations()
    assert later["next_event"].tolist() == ["cancelled"]


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (
            "trigger: opened, steps: [done], exits: [done]",
            "'done' is an exit and an event of the path",
        ),
        (
            "trigger: buy, steps: [buy], return_window: 7d, exits: [left]",
            "the trigger meets the need, so nobody can leave",
        ),
    ],
)
def test_exits_that_are_none(study, flow, said):
    with pytest.raises(StudyError) as error:
        study(EVENTS + f"flow: {{{flow}}}\n" + ONE)
    assert said in str(error.value)


def test_entrants_may_be_new_ones_alone(study):
    two = (
        "iterations: [{name: one, start: 2026-01-05, end: 2026-01-12},"
        " {name: two, start: 2026-01-12, end: 2026-01-19}]\n"
    )
    rows = [
        "1,opened,2026-01-06",
        "1,opened,2026-01-13",
        "2,opened,2026-01-14",
        "2,done,2026-01-15",
    ]
    log = "\n".join(["who,what,at", *rows])
    everybody = study(EVENTS + FLOW + two, log_csv=log)
    assert [row[0] for row in counted(everybody)] == [1, 2]
    new = FLOW.replace("window: 7d", "window: 7d, entrants: new")
    found = study(EVENTS + new + two, log_csv=log)
    assert [row[0] for row in counted(found)] == [1, 1]
    quality = found.quality("two").set_index("check")
    assert quality.loc["carry-over", "level"] == "ok"


IDS = "identities: {source: ids.csv, from: anonymous, to: customer}\n"


def test_one_person_before_and_after_they_log_in(study):
    rows = [
        "a1,opened,2026-01-06",
        "anna,done,2026-01-07",
        "b1,opened,2026-01-06",
        "b2,done,2026-01-07",
        "kiosk,opened,2026-01-08",
    ]
    found = study(
        EVENTS
        + IDS
        + "customers: {source: c.csv, customer: id}\ngroupings: {size: segment}\n"
        + FLOW
        + ONE,
        log_csv="\n".join(["who,what,at", *rows]),
        ids_csv="anonymous,customer\na1,anna\nb1,b2\nb2,bo\nkiosk,anna\nkiosk,bo\n",
        c_csv="id,size\nanna,small\nb2,large\nkiosk,large\n",
    )
    assert counted(found, "size", as_of="2026-02-01") == [
        ("large", 2, 1, 1, 0),
        ("small", 1, 1, 0, 0),
    ]
    (problem,) = said(found, "stand for two customers")
    assert problem.count == 1
    assert "such as 'kiosk' for 'anna' and 'bo'" in problem.message
    quality = found.quality("one").set_index("check")
    assert quality.loc["identities", "level"] == "warn"


def test_ids_in_a_circle_are_refused(study):
    text = EVENTS + IDS + FLOW + ONE
    for ids in ("a,b\nb,a\n", "a,b\nb,c\nc,a\n"):
        found = study(text, log_csv=LOG, ids_csv=f"anonymous,customer\n{ids}")
        with pytest.raises(DataError, match="ids stand for each other in a circle, 'a' among them"):
            counted(found)


def test_outcomes_and_feedback_know_both_ids(study):
    found = study(
        IDS + "customers: {source: t.csv, customer: id}\noutcomes: {bought: buy}\n"
        "feedback: {source: said.csv}\niterations: [{name: one}]\n",
        ids_csv="anonymous,customer\n1,anna\n",
        t_csv="id,buy\n1,1\nanna,1\nbo,0\n",
        said_csv="id,date,source,theme,sentiment,customer\nf1,2026-01-06,phone interview,price,negative,1\n",
    )
    assert counted(found) == [(2, 1, 1, 0)]
    assert not found.check().errors


def test_numbers_are_cut_into_bins(study):
    rows = [
        f"{who},opened,2026-01-06,{size}" for who, size in enumerate(["9", "10.5", "250", "", "49"])
    ]
    text = EVENTS + "groupings: {size: {kind: segment, bins: [10, 50, 250]}}\n" + FLOW + ONE
    log = "\n".join(["who,what,at,size", *rows])
    assert [row[:2] for row in counted(study(text, log_csv=log), "size")] == [
        ("<10", 1),
        ("10 to <50", 2),
        ("250+", 1),
        ("(missing)", 1),
    ]
    with pytest.raises(DataError, match="column 'size' holds 'big', which is no number"):
        counted(study(text, log_csv=log.replace("250", "big")))
    with pytest.raises(StudyError, match="50, 10 do not rise; write the cuts in order"):
        study(text.replace("[10, 50, 250]", "[50, 10]"))


def test_many_numbers_as_groups_are_named_with_the_way_out(study):
    rows = [f"{who},opened,2026-01-06,{who}" for who in range(21)]
    text = EVENTS + "groupings: {size: segment}\n" + FLOW + ONE
    (problem,) = said(study(text, log_csv="\n".join(["who,what,at,size", *rows])), "numbers as its")
    assert "size: {kind: segment, bins: [10, 50]}" in problem.message


def test_a_focus_group_is_participation_but_no_lot(study):
    rows = [f"{who},opened,2026-01-06,{'in' if who < 2 else 'out'}" for who in range(12)]
    claim = (
        "hypotheses: [{name: helps, statement: It helps., metric: done, iteration: one,"
        " control: {arm: out}, treatment: {arm: in}}]\n"
    )
    log = "\n".join(["who,what,at,arm", *rows, "1,done,2026-01-07,out"])
    found = study(EVENTS + "groupings: {arm: focus group}\n" + FLOW + ONE + claim, log_csv=log)
    quality = found.quality("one").set_index("check")
    assert quality.loc["crossovers", "value"] == 1
    assert "sample ratio" not in quality.index
    (row,) = found.evaluate("one", "2026-02-01")
    assert "Nothing was randomized" in " ".join(each.sentence for each in row.checks)


def test_columns_may_have_names_that_sql_would_take_apart(study):
    """As nested JSON gives them, with an id of plan.id and a group of "odd (col)"."""
    rows = [
        {"u.id": "1", "odd (col)": "x", "plan.name": "pro", "d.one": 1},
        {"u.id": "2", "odd (col)": "y", "plan.name": "free", "d.one": 0},
        {"u.id": "3", "odd (col)": "y", "plan.name": "free", "d.one": 1},
        {"u.id": "3", "odd (col)": "y", "plan.name": "pro", "d.one": 1},
    ]
    text = (
        "customers: {source: t.jsonl, customer: u.id}\noutcomes: {done: d.one}\n"
        'groupings: {plan.name: experiment, "odd (col)": segment}\niterations: [{name: one}]\n'
    )
    written = "".join(f"{json.dumps(each)}\n" for each in rows)
    for changed in (text, text.replace("u.id}", "u.id, per: visit}")):
        found = study(changed, t_jsonl=written)
        assert counted(found, "plan.name") == [("free", 1, 0, 1, 0), ("pro", 1, 1, 0, 0)]
        assert counted(found, "odd (col)") == [("x", 1, 1, 0, 0), ("y", 1, 0, 1, 0)]
        assert not found.check().errors
