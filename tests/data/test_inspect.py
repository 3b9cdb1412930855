"""What is guessed from a file: small tables whose answer is known, and odd ones."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import duckdb
import pytest

from workbench import Study
from workbench.data.draft import study_text
from workbench.data.inspect import (
    EventName,
    Indicator,
    control_of,
    inspect,
    iterations_of,
    usual_path,
)
from workbench.data.profile import one_source, words
from workbench.errors import DataError

VISITS = """visitor,action,when,checkout,seats
u1,visited shop,2026-04-06T09:00,long,3
u1,filled basket,2026-04-06T09:20,long,3
u2,visited shop,2026-04-07T10:00,short,41
u2,filled basket,2026-04-07T10:05,short,41
u2,paid,2026-04-08T18:30,short,41
u3,visited shop,2026-05-05T11:00,long,7
u3,filled basket,2026-05-05T11:15,long,7
u3,paid,2026-05-05T11:40,long,7
u4,visited shop,2026-05-06T12:00,short,9
u4,newsletter,2026-05-30T08:00,short,9
"""
DAILY = """day,page,clicks,enrolled,paid
2026-04-06,plain,120,31,14
2026-04-06,question,118,25,13
2026-04-07,plain,131,,
2026-04-07,question,127,,
"""
PLAYERS = """,userid,version,rounds,kept_1,kept_7
0,7,gate_30,3,yes,no
1,8,gate_30,38,no,
2,9,gate_40,5,no,yes
3,10,gate_40,4,yes,yes
"""


@pytest.fixture
def guessed(tmp_path, monkeypatch):
    """Give a function that writes a file, and returns what is guessed and the study on it."""
    monkeypatch.chdir(tmp_path)

    def guess(kind, content, name="data.csv"):
        write = (tmp_path / name).write_bytes if isinstance(content, bytes) else None
        (write or (tmp_path / name).write_text)(content)
        found, path = inspect(kind, [name])
        study = tmp_path / "study.yaml"
        study.write_text(study_text(found, "mine", path.name), encoding="utf-8")
        return found, Study.load(study)

    return guess


def log_of(paths, header="user_id,event,time"):
    """Write a log in which each customer has these events, one an hour."""
    rows = [
        f"{number},{event},2026-01-{1 + number:02d} {8 + hour:02d}:00"
        for number, path in enumerate(paths)
        for hour, event in enumerate(path)
    ]
    return "\n".join([header, *rows, ""])


# Events
def test_events(guessed):
    found, study = guessed("events", VISITS)
    assert {key: each.value for key, each in found.roles.items()} == {
        "customer": "visitor",
        "event": "action",
        "time": "when",
        "timezone": "UTC",
    }
    assert found.roles["customer"].why == "4 different values, 2.5 rows each"
    assert (found.trigger, found.steps) == ("visited shop", ("filled basket", "paid"))
    assert [(each.name, each.customers) for each in found.events] == [
        ("visited shop", 4),
        ("filled basket", 3),
        ("newsletter", 1),
        ("paid", 2),
    ]
    assert [str(each) for each in found.iterations] == ["first half", "second half"]
    assert [(each.column, each.kind) for each in found.groups] == [
        ("checkout", "segment"),
        ("seats", "segment"),
    ]
    rows = study.learning_metrics()
    assert rows[rows["step"] == "paid"]["aligned"].sum() == 2
    assert not study.check().errors


def test_steps_are_those_that_customers_take_one_after_the_other():
    names = [
        EventName("open", 100, 1),
        EventName("help", 20, 2),
        EventName("map", 60, 3),
        EventName("import", 60, 4),
        EventName("cancelled", 30, 5),
        EventName("pay", 10, 6),
    ]
    order = [each.name for each in names]
    before = {(one, other): 1.0 for one in order for other in order[order.index(one) + 1 :]}
    before |= {("help", each): 0.2 for each in ("map", "import", "pay")}
    # Who gets help need not go on; of two with as many customers the later one is the step.
    assert [each.name for each in usual_path(names, before)] == ["open", "import", "pay"]


def test_no_more_than_six_steps_the_need_met_among_them(guessed):
    letters = "abcdefghij"
    found, _ = guessed("events", log_of([letters[: 10 - each] for each in range(9)]))
    assert len(found.steps) == 6
    assert (found.trigger, found.steps[-1]) == ("a", "i")


def test_trigger_is_what_nearly_everybody_does_first(guessed):
    paths = [["ad", "open", "pay"], *[["open", "look", "pay"]] * 5, *[["open", "look"]] * 4]
    found, _ = guessed("events", log_of(paths))
    assert (found.trigger, found.steps) == ("open", ("look", "pay"))


def test_experiment_is_compared_in_the_newest_iteration_with_both_arms(guessed):
    rows = [
        f"{number},{event},2026-0{month}-05 0{hour}:00,{'new' if number % 2 else 'old'}"
        for month in (1, 2, 3)
        for number in range(10 * month, 10 * month + (1 if month == 3 else 8))
        for hour, event in enumerate(["open", "pay"][: 1 + number % 3])
    ]
    found, study = guessed("events", "\n".join(["uid,event,ts,variant", *rows]))
    claim = found.claim
    assert (claim.column, claim.control, claim.treatment) == ("variant", "old", "new")
    assert claim.iteration == "2026-02"
    (evaluation,) = study.evaluate("2026-02")
    assert evaluation.comparison.control.total == 4


def test_only_complete_activities_count(guessed):
    paths = [["A", "B"], ["A", "B"], ["A", "B"], ["A"]]
    rows = log_of(paths, "case:concept:name,concept:name,time:timestamp").splitlines()
    rows = [f"{rows[0]},lifecycle:transition", *[f"{row},complete" for row in rows[1:]]]
    rows.append("0,Z,2026-01-01 07:00,start")
    found, study = guessed("events", "\n".join(rows))
    assert found.roles["lifecycle"].value == "lifecycle:transition"
    assert (found.trigger, found.steps) == ("A", ("B",))
    assert study.learning_metrics()["entered"].sum() == 4


def test_purchases_alone_are_trigger_and_need_met(guessed):
    rows = ["customer,date,amount", *[f"{n % 5},2026-01-{n + 1:02d},{n * 7}" for n in range(20)]]
    found, study = guessed("events", "\n".join(rows), "purchases.csv")
    assert found.roles["event_name"].value == "purchases"
    assert found.steps == ("purchases",)
    assert "adoption" in set(study.learning_metrics()["step"])


def test_names_that_yaml_reads_otherwise(guessed):
    paths = (
        [["yes", "a: b", "1.10", "#é"]] * 3 + [["yes", "a: b", "1.10"]] * 3 + [["yes", "a: b"]] * 3
    )
    found, study = guessed("events", log_of([["yes"], *paths], "user id,event: 'x',created at"))
    assert found.steps == ("a: b", "1.10", "#é")
    assert list(dict.fromkeys(study.learning_metrics()["step"])) == ["a: b", "1.10", "#é"]


def test_columns_that_cannot_be_groupings_or_have_odd_names(guessed):
    rows = log_of(
        [["open", "pay"]] * 24, 'user_id,event,time,customer,iteration,"a ""b"": c",pl.an'
    )
    rows = "\n".join(
        row
        if not place
        else f"{row},{'xy'[place % 4 // 2]},1,{'no' if place < 9 else 'on'},{place // 25}"
        for place, row in enumerate(rows.splitlines())
    )
    found, study = guessed("events", rows)
    assert found.roles["customer"].value == "user_id"
    assert [each.column for each in found.groups] == ['a "b": c', "pl.an"]
    assert not study.check().errors
    assert set(study.learning_metrics(by='a "b": c')['a "b": c']) == {"no", "on"}


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_delimiters(guessed, separator):
    found, _ = guessed("events", VISITS.replace(",", separator))
    assert found.roles["time"].value == "when"


def test_json_lines(guessed):
    lines = [
        f'{{"user": {{"id": "u{n}"}}, "event": "{event}", "ts": {1_775_556_000 + 60 * at}}}'
        for n in range(6)
        for at, event in enumerate(["open", "pay"][: 1 + n % 2])
    ]
    found, study = guessed("events", "\n".join(lines), "log.jsonl")
    assert found.roles["customer"].value == "user.id"
    assert "timezone" not in found.roles
    assert study.learning_metrics()["entered"].sum() == 6


def test_parquet_with_its_own_types(guessed, tmp_path):
    sql = (
        "select (i // 2)::double as user_id, case i % 2 when 0 then 'open' else 'pay' end as event, "
        "timestamptz '2026-01-05 08:00+00' + i * interval 1 hour as at, i < 10 as trained "
        "from range(39) t(i)"
    )
    duckdb.sql(sql).write_parquet(str(tmp_path / "made.parquet"))
    found, study = guessed("events", (tmp_path / "made.parquet").read_bytes(), "log.parquet")
    assert [each.levels for each in found.groups] == [("false", "true")]
    assert study.learning_metrics(by="trained")["entered"].sum() == 20


def test_the_only_form_of_times_that_fits(guessed):
    paths = log_of([["open", "pay"]] * 15 + [["open"]] * 3)
    day_first = paths.replace("2026-01-", "").replace(" ", "/01/2026 ")
    found, study = guessed("events", day_first)
    assert found.roles["time_format"].value == "%d/%m/%Y %H:%M"
    assert study.learning_metrics()["entered"].sum() == 18


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("events", "", "data.csv is empty; its first line must name its columns"),
        ("events", "user,event,time\n", "data.csv has no rows"),
        (
            "events",
            "user,event\n1,a\n1,b\n",
            "no column of data.csv holds times; its columns are user, event; write them as",
        ),
        (
            "events",
            'user,event,day\n1,a,"Sat, Oct 11"\n1,b,"Sun, Oct 12"\n',
            "day holds 'Sat, Oct 11'; write all of them as 2026-01-31 08:00",
        ),
        ("events", "user,event,time\n1,a,02/03/2026\n1,b,03/03/2026\n", "%d/%m/%Y or %m/%d/%Y"),
        (
            "events",
            "id,event,time\n1,a,2026-01-01\n2,a,2026-01-02\n3,b,2026-01-03\n",
            "no two rows of data.csv have the same id, so nobody takes a second step",
        ),
        ("events", "user,event,time\n1,a,2026-01-05\n1,b,\xe9\n".encode("latin-1"), "windows-1252"),
        ("counts", "day,clicks\n2026-01-05,4\n", "holds the counts of a step after a trigger"),
        ("counts", "a,b\n3,4\n4,3\n", "no count is at most a in every row"),
        ("outcomes", "player,score\n1,17\n2,18\n", "no column of data.csv holds yes or no"),
        ("indicators", "nps,tickets\n1,2\n", "no column of data.csv holds periods"),
        ("indicators", "month,who\n2026-01,ann\n", "holds numbers beside the periods"),
    ],
)
def test_what_cannot_be_guessed_is_one_sentence(guessed, kind, content, said):
    with pytest.raises(DataError) as raised:
        guessed(kind, content)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


# Counts
def test_counts_by_day(guessed):
    found, study = guessed("counts", DAILY)
    assert (found.trigger, found.steps) == ("clicks", ("enrolled", "paid"))
    assert found.totals == {"clicks": 496, "enrolled": 56, "paid": 27}
    assert found.roles["time"].value == "day"
    assert [(each.column, each.kind) for each in found.groups] == [("page", "segment")]
    rows = study.learning_metrics().query("step == 'enrolled'")
    assert (rows["entered"].sum(), rows["pending"].sum()) == (496, 258)


def test_days_without_a_year_are_left_out_and_said(guessed):
    content = 'Date,arm,a,b\n"Sat, Oct 11",control,9,8\n"Sat, Oct 11",test,7,6\n'
    found, study = guessed("counts", content)
    assert "time" not in found.roles
    assert found.left_out == (
        "column Date is left out: 'Sat, Oct 11' is no time with a year, month and day",
    )
    (evaluation,) = study.evaluate("all")
    assert (evaluation.comparison.control.converted, evaluation.comparison.treatment.total) == (
        8,
        7,
    )


def test_a_file_per_arm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("old", 3), ("new", 4)):
        (tmp_path / f"{name}.csv").write_text(f"came,paid\n9,{count}\n")
    for written in (["old.csv", "new.csv"], ["*.csv"]):
        found, path = inspect("counts", written)
        assert path.name == "*.csv"
        assert [(each.column, each.levels) for each in found.groups] == [("arm", ("new", "old"))]
        assert (found.claim.control, found.claim.treatment) == ("old", "new")
    (tmp_path / "other.csv").write_text("came,paid\n1,1\n")
    with pytest.raises(
        DataError, match=r"no pattern stands for new\.csv, old\.csv and nothing else"
    ):
        one_source(["old.csv", "new.csv"])


# Outcomes
def test_outcomes(guessed):
    found, study = guessed("outcomes", PLAYERS)
    assert found.roles["customer"].value == "userid"
    assert found.steps == ("kept_1", "kept_7")
    assert (found.claim.control, found.claim.treatment) == ("gate_30", "gate_40")
    (evaluation,) = study.evaluate("all")
    counts = evaluation.comparison.control, evaluation.comparison.treatment
    assert [(each.converted, each.total) for each in counts] == [(0, 1), (2, 2)]


def test_outcomes_without_ids_and_of_visits(guessed):
    found, study = guessed("outcomes", "colour,bought\nred,1\nblue,0\nred,1\n")
    assert found.roles["customer"].value == "none"
    assert study.learning_metrics()["entered"].tolist() == [3]
    found, study = guessed("outcomes", "user_id,bought\n1,no\n1,yes\n2,no\n")
    assert found.roles["per"].value == "visit"
    assert study.learning_metrics()["aligned"].tolist() == [1]


# Indicators
def test_indicators_wide_and_long(guessed):
    wide = "month,nps,revenue,open tickets\n2026-01,7.5,100,3\n2026-02,7.1,,4\n"
    found, study = guessed("indicators", wide)
    assert found.roles["kind"].value == "month"
    assert found.indicators == (
        Indicator("nps", "leading", "higher", yes_no=False),
        Indicator("revenue", "lagging", "higher", yes_no=False),
        Indicator("open tickets", "leading", "lower", yes_no=False),
    )
    assert study.indicators().series("nps").values.tolist() == [7.5, 7.1]
    long = "customer,date,indicator,value\n1,2026-01-05,nps,7\n1,2026-01-12,renewal,yes\n2,2026-01-12,renewal,no\n"
    found, study = guessed("indicators", long)
    assert found.roles["kind"].value == "week"
    assert [(each.name, each.kind, each.yes_no) for each in found.indicators] == [
        ("nps", "leading", False),
        ("renewal", "lagging", True),
    ]
    assert study.indicators().series("renewal").values.tolist()[-1] == 0.5


def test_indicators_with_decimal_commas(guessed):
    found, study = guessed("indicators", "week;score;sales\n1;7,5;10\n2;7,25;11\n")
    assert (found.roles["kind"].value, found.roles["decimal"].value) == ("number", ",")
    assert study.indicators().series("score").values.tolist() == [7.5, 7.25]


# Parts
@pytest.mark.parametrize(
    ("first", "last", "names"),
    [
        ("2026-01-08T09:00", "2026-01-08T10:00", ["first"]),
        ("2026-01-08", "2026-03-01", ["first half", "second half"]),
        ("2025-12-31", "2026-02-28", ["2025-12", "2026-01", "2026-02"]),
        ("2023-11-01", "2026-01-02", [*(f"{y}-Q{q}" for y, q in [(2023, 4)]), "..."]),
        ("2011-11-01", "2026-01-02", ["2011", "..."]),
    ],
)
def test_iterations(first, last, names):
    found = iterations_of(*map(datetime.fromisoformat, (first, last)))
    written = [each.name for each in found]
    assert written[: len(names) - names.count("...")] == [each for each in names if each != "..."]
    assert len(written) == len(names) or "..." in names
    assert all(each.end == later.start for each, later in pairwise(found))
    assert str(found[0].start) <= first[:10]
    assert str(found[-1].end) > last[:10]


@pytest.mark.parametrize(
    ("levels", "control"),
    [
        (["treatment", "control"], "control"),
        (["B", "A"], "A"),
        (["on", "off"], "off"),
        (["preview", "blank"], "blank"),
        (["true", "false"], "false"),
        (["zeta", "beta"], "beta"),
    ],
)
def test_control(levels, control):
    assert control_of(levels) == control


def test_words():
    assert words("distinctId") == words("distinct-id") == words("DISTINCT_ID") == "distinct id"
