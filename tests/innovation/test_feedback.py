"""Feedback: what a table may hold, customers counted once, said beside done, evidence."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from workbench.data.readers import read_table
from workbench.errors import DataError, StudyError
from workbench.innovation.feedback import (
    ANYWHERE,
    EVERYBODY,
    NOT_ENTERED,
    OBSERVED,
    SOURCES,
    Claim,
    CustomerEntry,
    Remark,
    Unaddressed,
    read_feedback,
    summarize,
)
from workbench.schema.cohort import Cohort
from workbench.schema.study import FeedbackSource
from workbench.schema.time import Iteration
from workbench.views import innovation

STEPS = ("previewed", "imported")
ITERATIONS = [
    Iteration(name="1", start="2026-01-05", end="2026-02-02"),
    Iteration(name="2", start="2026-02-02", end="2026-03-02"),
]
HEAD = "id,date,source,customer,cohort,step,theme,sentiment,quote"
ROW = (
    "F-1,2026-01-09,phone interview,007,,imported,columns guessed wrong,negative,It guessed wrong."
)


def read(tmp_path, *rows, head=HEAD, own=()):
    (tmp_path / "f.csv").write_text("\n".join([head, *rows]))
    spec = FeedbackSource(source="f.csv", sources=own)
    return read_feedback(
        read_table(spec, tmp_path, duckdb.connect()), spec, STEPS, ("industry", "country")
    )


def test_a_remark_is_read_as_it_was_written(tmp_path):
    (remark,) = read(tmp_path, ROW)
    assert remark == Remark(
        id="F-1",
        date=date(2026, 1, 9),
        source="phone interview",
        theme="columns guessed wrong",
        sentiment="negative",
        customer="007",
        step="imported",
        quote="It guessed wrong.",
    )


def test_a_remark_may_be_of_a_cohort(tmp_path):
    row = 'F-2,2026-01-09 10:30,focus group,,"industry = retail, country=NL",,price,neutral,'
    (remark,) = read(tmp_path, row)
    assert remark.customer is None
    assert dict(remark.cohort.values) == {"industry": "retail", "country": "NL"}
    assert (remark.step, remark.quote) == (None, "")


def test_columns_may_be_left_out(tmp_path):
    row = "F-1,2026-01-09,user test,c1,price,positive"
    (remark,) = read(tmp_path, row, head="id,date,source,customer,theme,sentiment")
    assert (remark.customer, remark.cohort, remark.step) == ("c1", None, None)


def test_remarks_come_from_twelve_sources_and_a_studys_own(tmp_path):
    assert len(SOURCES) == 12
    names = (*SOURCES, "community forum")
    rows = [ROW.replace("F-1", f"F-{n}").replace("phone interview", s) for n, s in enumerate(names)]
    assert [each.source for each in read(tmp_path, *rows, own=["community forum"])] == list(names)
    with pytest.raises(DataError) as error:
        read(tmp_path, *rows)
    said = str(error.value)
    assert all(name in said for name in (*SOURCES, *OBSERVED))
    assert said.endswith("or add it to the study: feedback: sources: [community forum]")


def test_an_observation_may_be_nobodys_and_counts_as_remarks_alone(tmp_path):
    rows = [
        "F-1,2026-01-09,search question,,,,undo,,,340",
        "F-2,2026-01-09,call to action,,,previewed,undo,positive,,",
        "F-3,2026-01-09,user test,a,,,undo,negative,,",
    ]
    remarks = read(tmp_path, *rows, head=f"{HEAD},count")
    assert [(each.sentiment, each.count) for each in remarks] == [
        ("neutral", 340), ("positive", 1), ("negative", 1)
    ]  # fmt: skip
    found = weighed(*remarks)
    assert (found.heard, found.remarks) == (1, 342)
    assert dict(found.sources) == {"search question": 340, "call to action": 1, "user test": 1}
    of_all = {row.step: row for row in found.themes if row.grouping == EVERYBODY}
    anywhere = of_all[ANYWHERE]
    assert (anywhere.customers, anywhere.remarks, anywhere.unnamed) == (1, 341, 340)
    assert (of_all["previewed"].customers, of_all["previewed"].remarks) == (0, 1)
    observed = [row for row in found.themes if row.grouping != EVERYBODY and not row.customers]
    assert not observed  # nobody's observation is of no level of a grouping
    assert not found.unaddressed
    note = innovation.themes(found).note
    assert note.endswith("Observations, which are nobody's, count as remarks alone.")
    assert "Observations" not in innovation.themes(weighed(remarks[2])).note


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "F-1,2026-01-09,user test,,,,undo,negative,,",
            "only observations may be nobody's: search",
        ),
        ("F-1,2026-01-09,user test,a,,,undo,negative,,3", "count is '3'; it must be a whole"),
        ("F-1,2026-01-09,other product,,,,undo,,,0", "count is '0'; it must be a whole number"),
    ],
)
def test_only_an_observation_may_be_nobodys_or_have_a_count(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, row, head=f"{HEAD},count")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("phone interview", "phone", "remark F-1: unknown source 'phone'; did you mean 'phone int"),
        (
            "imported",
            "importd",
            "remark F-1: unknown step 'importd'; did you mean 'imported'? known",
        ),
        ("negative", "bad", "remark F-1: unknown sentiment 'bad'; known: negative, neutral, posit"),
        ("2026-01-09", "9 Jan", "remark F-1: date '9 Jan' is no time; write them as 2026-01-31"),
        ("2026-01-09", "2026-02-30", "date '2026-02-30' is no time"),
        ("2026-01-09", "", "remark F-1 has no date; fill it in"),
        ("F-1", "", "remark in row 1 has no id"),
        (",007,,", ",,,", "remark F-1 has no customer and no cohort; say whose it is"),
        (",007,,", ",007,industry=retail,", "has both a customer and a cohort; say whose it is"),
        (",007,,", ",,industri=retail,", "unknown grouping 'industri'; did you mean 'industry'?"),
        (",007,,", ",,industry,", "cohort 'industry' has no value; write industry = VALUE"),
    ],
)
def test_a_bad_remark_gets_one_sentence(tmp_path, old, new, said):
    assert old in ROW
    with pytest.raises(DataError) as error:
        read(tmp_path, ROW.replace(old, new, 1))
    assert str(error.value).startswith("f.csv: remark")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_column_and_an_id_twice(tmp_path):
    with pytest.raises(DataError, match="unknown column 'theme'; did you mean 'themes'"):
        read(tmp_path, ROW, head=HEAD.replace("theme", "themes"))
    with pytest.raises(DataError, match="remark F-1 is there twice; give each remark an id"):
        read(tmp_path, ROW, ROW)


def entry(customer, iteration="1", entered=date(2026, 1, 6), imported="aligned", **levels):
    done = {"previewed": "aligned", "imported": imported}
    return CustomerEntry(customer, iteration, entered, done, {"industry": "retail", **levels})


ENTRIES = {
    "a": [entry("a")],
    "b": [entry("b", imported="deviated", industry="care")],
    "c": [entry("c"), entry("c", "2", date(2026, 2, 9), imported="deviated")],
    "d": [entry("d", imported="pending")],
    "e": [],
}


def remark(number, customer="a", **changes):
    given = {
        "id": f"F-{number}",
        "date": date(2026, 1, 20),
        "source": "user test",
        "theme": "speed",
        "sentiment": "positive",
        "step": "imported",
        "customer": customer,
    }
    return Remark(**{**given, **changes})


def weighed(*remarks, claims=(), iteration=None, **source):
    return summarize(
        remarks,
        ENTRIES,
        FeedbackSource(source="f.csv", **source),
        steps=STEPS,
        groupings=("industry",),
        iterations=ITERATIONS,
        claims=claims,
        iteration=iteration,
    )


def test_themes_count_customers_and_not_remarks():
    found = weighed(
        remark(1), remark(2), remark(3, "b", sentiment="negative"), remark(4, "c", step=None)
    )
    assert (found.remarks, found.heard) == (4, 3)
    rows = {(each.step, each.grouping, each.level): each for each in found.themes}
    everybody = rows["imported", EVERYBODY, EVERYBODY]
    assert (everybody.customers, everybody.remarks) == (2, 3)
    assert (everybody.positive, everybody.negative) == (1, 1)
    assert rows["imported", "industry", "retail"].customers == 1
    assert rows["imported", "industry", "care"].negative == 1
    assert rows[ANYWHERE, EVERYBODY, EVERYBODY].customers == 1


def test_a_cohorts_remark_has_nobody_to_count():
    cohort = Cohort.model_validate({"industry": "care"})
    found = weighed(remark(1, None, cohort=cohort), remark(2, "b"))
    row = next(each for each in found.themes if each.level == "care")
    assert (row.customers, row.remarks, row.unnamed) == (1, 2, 1)
    assert found.heard == 1


def test_said_and_done():
    found = weighed(
        remark(1, "a", sentiment="negative"),  # trouble, but took the step
        remark(2, "b"),  # success, but did not
        remark(3, "c"),  # agrees
        remark(4, "d"),  # pending: nobody can tell
        remark(5, "a", sentiment="neutral"),
    )
    (row,) = found.agreements
    assert (row.step, row.customers) == ("imported", 3)
    assert (row.success_aligned, row.success_not_aligned) == (1, 1)
    assert (row.trouble_aligned, row.trouble_not_aligned) == (1, 0)
    told = [(each.remark, each.said, each.done) for each in found.contradictions]
    assert told == [("F-1", "trouble", "aligned"), ("F-2", "success", "deviated")]


def test_the_newest_remark_of_a_customer_counts():
    early = remark(1, "b", date=date(2026, 1, 10))
    late = remark(2, "b", date=date(2026, 1, 30), sentiment="negative")
    (row,) = weighed(late, early).agreements
    assert (row.success_not_aligned, row.trouble_not_aligned) == (0, 1)


def test_a_remark_is_held_against_the_entry_before_it():
    before, after = remark(1, "c"), remark(2, "c", date=date(2026, 2, 20))
    assert not weighed(before).contradictions
    (found,) = weighed(after).contradictions
    assert (found.iteration, found.done) == ("2", "deviated")
    assert not weighed(remark(3, "c", date=date(2026, 1, 1))).agreements


def test_success_at_a_step_that_was_never_entered_disagrees():
    ENTRIES["f"] = [CustomerEntry("f", "1", date(2026, 1, 6), {"imported": NOT_ENTERED}, {})]
    (found,) = weighed(remark(1, "f")).contradictions
    assert found.done == NOT_ENTERED
    del ENTRIES["f"]


def test_an_iteration_has_the_remarks_of_those_who_entered_it_last():
    old, late = remark(1, "c"), remark(2, "c", date=date(2026, 3, 20))
    still = remark(3, "a", date=date(2026, 3, 20))  # entered the first iteration only
    assert weighed(old, late, still, iteration="1").remarks == 2
    assert weighed(old, late, still, iteration="2").remarks == 1
    assert weighed(old, late, still).remarks == 3


def test_an_iteration_has_the_cohorts_remarks_of_its_time():
    cohort = Cohort.model_validate({"industry": "care"})
    days = [date(2025, 1, 1), date(2026, 1, 20), date(2026, 2, 2), date(2026, 4, 1)]
    told = [remark(number, None, cohort=cohort, date=day) for number, day in enumerate(days)]
    assert weighed(*told, iteration="1").remarks == 1
    assert weighed(*told, iteration="2").remarks == 2


def test_who_cites_what_and_what_nobody_addresses():
    remarks = [
        *(remark(number, who) for number, who in enumerate("abc")),
        *(remark(10 + number, who, theme="price") for number, who in enumerate("abca")),
        remark(20, theme="colour"),
    ]
    found = weighed(*remarks, claims=[Claim("faster", 2, ("F-0", "F-2")), Claim("other", 1, ())])
    (cited,) = found.cited
    assert (cited.hypothesis, cited.customers, cited.themes) == ("faster", 2, ("speed",))
    assert found.unaddressed == (
        Unaddressed("price", 3, 0, ("imported",), ("F-10", "F-11", "F-12", "F-13")),
    )
    assert not weighed(*remarks, strong=4).unaddressed


def test_evidence_must_exist():
    with pytest.raises(StudyError) as error:
        weighed(remark(12), claims=[Claim("faster", 1, ("F-99",))])
    assert str(error.value) == (
        "hypothesis 'faster': unknown evidence 'F-99'; did you mean 'F-12'? known: F-12 "
        "(remarks of f.csv)"
    )


def test_a_customer_must_exist():
    with pytest.raises(DataError, match="remark F-1 is of customer 'nobody', who is in neither"):
        weighed(remark(1, "nobody"))


def test_ids_and_quotes_stay_inside_unless_the_study_lets_them_out():
    said = remark(1, "b", quote="My name is Bo and it was great.")
    closed = weighed(said)
    assert "Bo" not in repr(closed.rows())
    assert not closed.quotes
    assert {each.customer for each in closed.contradictions} == {""}
    opened = weighed(said, quotes=True)
    assert opened.quotes[0].quote.startswith("My name is Bo")
    assert (opened.contradictions[0].customer, opened.quotes[0].customer) == ("b", "b")


def test_sources_are_counted():
    found = weighed(remark(1), remark(2, source="social media"), remark(3))
    assert found.sources == (("user test", 2), ("social media", 1))
    assert found.rows()["sources"] == {"user test": 2, "social media": 1}
