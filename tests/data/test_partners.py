"""Partners beside all customers: counted by hand, odd tables, and for whom a result speaks."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from workbench import Study
from workbench.data.engines import FILE, lazy
from workbench.data.partners import Difference, differences, read_partners
from workbench.errors import DataError, StudyError
from workbench.schema.study import PartnersSource

EVENTS = """\
name: small
events: {source: log.csv, customer: who, event: what, time: at}
groupings: {arm: experiment, size: segment, industry: vertical, country: demographic}
customers: {source: customers.csv, customer: id}
partners: {source: partners.csv}
flow: {trigger: opened, steps: [done], window: 7d}
iterations: [{name: one, start: 2026-01-05, end: 2026-02-02}]
"""
OUTCOMES = """\
name: outcomes
customers: {source: customers.csv, customer: id}
outcomes: {stayed: back}
groupings: {size: segment}
partners: {source: partners.csv}
iterations: [{name: one}]
"""
# 40 customers: 5 large ones, 34 small ones, and one whose size nobody knows; every other is in retail.
CUSTOMERS = "id,size,industry,country\n" + "".join(
    f"{who},{'large' if who <= 5 else 'small' if who < 40 else ''},{('retail', 'food')[who % 2]},NO\n"
    for who in range(1, 41)
)
# Customers 1 to 8 enter the flow.
LOG = "who,what,at,arm\n" + "".join(f"{who},opened,2026-01-06 08:00,a\n" for who in range(1, 9))
# Ten are invited: 1 to 10; eight agree; six take part, of whom five are large.
PARTNERS = "customer,invited,agreed,took_part\n" + "".join(
    f"{who},yes,{'yes' if who <= 8 else 'no'},{'yes' if who <= 6 else ''}\n" for who in range(1, 11)
)


@pytest.fixture
def study(tmp_path):
    """Give a function that writes a study and opens it."""

    def opened(text=EVENTS, partners=PARTNERS, customers=CUSTOMERS, log=LOG):
        (tmp_path / "study.yaml").write_text(text)
        for name, content in (("partners", partners), ("customers", customers), ("log", log)):
            (tmp_path / f"{name}.csv").write_text(content)
        return Study.load(tmp_path / "study.yaml")

    return opened


def said(study, words):
    found = study.check().problems
    return [(each.level, each.count, each.example) for each in found if words in each.message]


def read(rows, **columns):
    source = PartnersSource(source="p.csv", **columns)
    return read_partners(lazy(pd.DataFrame(rows).assign(**{FILE: "p"})), source)


def counted(table, *columns):
    names = ["grouping", "level", *columns]
    return [tuple(row) for row in table[names].itertuples(index=False)]


def test_partners_stand_beside_all_customers(study):
    table = study().partners().table
    assert counted(table, "customers", "invited", "agreed", "took_part") == [
        ("all", "all", 40, 10, 8, 6),
        ("size", "large", 5, 5, 5, 5),
        ("size", "small", 34, 5, 3, 1),
        ("size", "(missing)", 1, 0, 0, 0),
        ("industry", "food", 20, 5, 4, 3),
        ("industry", "retail", 20, 5, 4, 3),
    ]
    shares = ["share", "invited_share", "agreed_share", "took_part_share"]
    assert table.loc[1, shares].tolist() == [5 / 40, 5 / 10, 5 / 8, 5 / 6]


def test_the_sentence_names_the_level_that_differs_most(study):
    assert study().partners().sentence == (
        "8 of 10 invited customers agreed and 6 took part, of 40 in all; customers with size = large "
        "are 83.3% (5/6) of those who took part but 12.8% (5/39) of all; the result counts 2 other "
        "customers too."
    )
    alone = LOG.splitlines(keepends=True)[:7]
    assert (
        study(log="".join(alone))
        .partners()
        .sentence.endswith("but 12.8% (5/39) of all: the result speaks for them first.")
    )


def test_so_few_may_look_like_all_customers(study):
    few = "customer,agreed,took_part\n6,y,y\n7,y,y\n8,y,y\n"
    assert study(partners=few).partners().sentence == (
        "3 of 3 invited customers agreed and 3 took part, of 40 in all; those who took part look like "
        "all customers, as far as 3 can tell; the result counts 5 other customers too."
    )
    nobody = "customer,agreed,took_part\n1,y,n\n2,n,n\n"
    assert "; nobody took part yet; the" in study(partners=nobody).partners().sentence
    alone = EVENTS.replace("size: segment, industry: vertical, ", "")
    assert "no segment or vertical tells which" in study(alone).partners().sentence


def test_a_level_that_hardly_takes_part_is_named_too():
    rows = pd.DataFrame({"took_part": True, "known": True, "by size": ["mid"] * 15 + ["big"] * 15})
    found = differences(rows, {"size": {"big": 200, "mid": 200, "small": 600, "(missing)": 9}})
    assert [each.level for each, pvalue in found if pvalue < 1e-6] == ["small"]
    (small,) = [each for each, _ in found if each.level == "small"]
    assert small.share == pytest.approx(-0.6)


def test_the_tail_is_fishers_exact_one_doubled():
    from scipy.stats import fisher_exact

    one = Difference("size", "large", 5, 6, 5, 39)
    tail = fisher_exact([[5, 1], [0, 33]], alternative="greater").pvalue
    assert one.pvalue == pytest.approx(2 * tail)
    assert one.pvalue == pytest.approx(2 * 34 / math.comb(39, 6))
    assert Difference("size", "large", 1, 4, 10, 40).pvalue == 1


def test_two_levels_are_one_test_and_more_are_held_to_holm():
    rows = pd.DataFrame({"took_part": True, "known": True, "by size": ["a", "a", "a"]})
    (two,) = differences(rows, {"size": {"a": 10, "b": 30}})
    assert (two[0].level, two[1]) == ("a", pytest.approx(2 * 120 / 9880))
    three = {each.level: p for each, p in differences(rows, {"size": {"a": 10, "b": 15, "c": 15}})}
    assert three["a"] == pytest.approx(3 * two[1])


def test_who_entered_the_flow_took_part_where_no_column_tells(study):
    table = study(partners="customer,agreed\n1,1\n2,0\n9,1\n").partners().table
    assert counted(table, "invited", "agreed", "took_part")[0] == ("all", "all", 3, 2, 2)
    alone = study(partners="customer\n1\n2\n9\n").partners()
    assert counted(alone.table, "invited", "took_part")[0] == ("all", "all", 3, 2)
    assert math.isnan(alone.table["agreed"][0])
    assert alone.sentence.startswith("2 of 3 invited customers took part, of 40 in all")


def test_as_of_tells_who_has_entered(study):
    late = LOG + "9,opened,2026-01-20 08:00,a\n"
    opened = study(partners="customer\n1\n9\n", log=late)
    assert opened.partners().table["took_part"][0] == 2
    assert opened.partners(as_of="2026-01-10").table["took_part"][0] == 1


def test_an_iteration_counts_who_entered_it(study):
    two = EVENTS.replace("02}]", "02}, {name: two, start: 2026-02-02, end: 2026-03-02}]")
    late = LOG + "9,opened,2026-02-03 08:00,a\n1,opened,2026-02-03 08:00,a\n"
    opened = study(two, "customer\n1\n2\n9\n", log=late)
    counts = {each: opened.partners(each).table["took_part"][0] for each in (None, "one", "two")}
    assert counts == {None: 3, "one": 2, "two": 2}
    assert "; the result counts 6 other customers too" in opened.partners("one").sentence
    assert "counts" not in opened.partners("two").sentence
    told = study(two, "customer,took_part\n1,y\n9,y\n", log=late).partners("one")
    (found,) = told.problems
    assert found.message == (
        "1 customer of partners.csv, such as '9', took part but did not enter the flow in one, or saw two "
        "groups; the result does not count them"
    )
    with pytest.raises(StudyError, match="unknown iteration 'three'"):
        opened.partners("three")


def test_without_a_customers_table_all_are_those_of_the_log(study):
    text = EVENTS.replace("customers: {source: customers.csv, customer: id}\n", "").replace(
        "industry: vertical, country: demographic", "industry: vertical"
    )
    log = (
        "who,what,at,arm,size,industry\n"
        "u1,opened,2026-01-06,a,,food\n"
        "u1,done,2026-01-07,a,large,food\n"
        "u1,done,2026-01-08,a,small,food\n"
        "u2,opened,2026-01-06,a,small,\n"
        "u3,other,2026-01-06,a,small,food\n"
    )
    found = study(text, partners="customer\nu1\nu9\n", log=log).partners()
    assert counted(found.table, "customers", "invited", "took_part") == [
        ("all", "all", 3, 2, 1),
        ("size", "large", 1, 1, 1),
        ("size", "small", 2, 0, 0),
        ("size", "(missing)", 0, 1, 0),
        ("industry", "food", 2, 1, 1),
        ("industry", "(missing)", 1, 1, 0),
    ]


def test_a_grouping_of_the_log_stands_beside_one_of_the_table(study):
    customers = "id,size\n1,large\n2,small\n3,small\n"
    log = "who,what,at,arm,industry\n1,opened,2026-01-06,a,food\n2,opened,2026-01-06,a,retail\n"
    text = EVENTS.replace(", country: demographic", "")
    found = study(text, "customer\n1\n", customers, log).partners()
    assert counted(found.table, "customers", "took_part")[1:] == [
        ("size", "large", 1, 1),
        ("size", "small", 2, 0),
        ("industry", "food", 1, 1),
        ("industry", "retail", 1, 0),
        ("industry", "(missing)", 1, 0),
    ]


def test_outcomes_have_partners_too(study):
    customers = "id,size,back\n" + "1.0,large,yes\n2.0,large,\n3.0,small,no\n4.0,,\n4.0,,\n"
    opened = study(OUTCOMES, "customer,agreed,took_part\n1,y,y\n2,y,y\n4,n,n\n", customers)
    found = opened.partners()
    assert counted(found.table, "customers", "invited", "took_part") == [
        ("all", "all", 4, 3, 2),
        ("size", "large", 2, 2, 2),
        ("size", "small", 1, 0, 0),
        ("size", "(missing)", 1, 1, 0),
    ]
    assert "as far as 2 can tell; the result counts 1 other customer too." in found.sentence
    assert said(opened, "took part but no outcome of theirs is known") == [
        ("warning", 1, {"customer": "2"})
    ]
    with pytest.raises(StudyError, match="outcomes have no times; leave as_of out"):
        opened.partners(as_of="2026-01-10")
    with pytest.raises(DataError, match="no column 'took_part', and outcomes do not tell"):
        study(OUTCOMES, "customer,agreed\n1,y\n", customers).partners()


def test_ids_meet_whatever_their_type(study):
    floats = PARTNERS.replace(",yes,", ".0,yes,")
    assert study(partners=floats).partners().table.equals(study().partners().table)
    rows, _ = read({"customer": [1.0, 2.0]})
    assert rows.index.tolist() == ["1", "2"]


def test_many_partners_are_matched(study):
    customers = "id,size,industry,country\n" + "".join(f"c{who},s,food,NO\n" for who in range(5000))
    log = "who,what,at,arm\n" + "".join(f"c{who},opened,2026-01-06,a\n" for who in range(5000))
    every = "customer\n" + "".join(f"c{who}\n" for who in range(5000))
    found = study(partners=every, customers=customers, log=log).partners()
    assert counted(found.table, "customers", "took_part")[0] == ("all", "all", 5000, 5000)
    assert not found.problems


def test_rows_that_repeat_count_once_and_others_contradict(study):
    twice = PARTNERS + "1,yes,yes,yes\n"
    assert study(partners=twice).partners().table.equals(study().partners().table)
    assert said(study(partners=twice), "repeat another one exactly") == [("note", 1, {})]
    with pytest.raises(DataError, match="customer 1 has rows that say different things"):
        study(partners=PARTNERS + "1,yes,no,yes\n").partners()
    errors = study(partners=PARTNERS + "1,yes,no,yes\n").check().errors
    assert [each.message for each in errors] == [
        "partners.csv: customer 1 has rows that say different things; keep one row a customer"
    ]


def test_nan_is_a_no_and_no_customer():
    rows, _ = read({"customer": ["a", "b"], "agreed": [1.0, math.nan]})
    assert rows["agreed"].tolist() == [True, False]
    assert rows["invited"].tolist() == [True, True]
    assert "took_part" not in rows
    with pytest.raises(DataError, match="1 rows have no customer"):
        read({"customer": [1.0, math.nan]})


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ({"who": ["a"]}, {}, "unknown column 'customer'"),
        ({"customer": ["a"]}, {"agreed": "joined"}, "unknown column 'joined'"),
        (
            {"customer": ["a"], "agreed": ["maybe"]},
            {},
            "'maybe'; it takes true or false, yes or no",
        ),
        ({"customer": pd.Series([], dtype=str)}, {}, "has no rows; add those who were invited"),
    ],
)
def test_tables_that_cannot_be_read(rows, columns, words):
    with pytest.raises(DataError, match=words):
        read(rows, **columns)


def test_columns_may_be_called_otherwise(study):
    text = EVENTS.replace("partners.csv}", "partners.csv, customer: id, agreed: yes_to_us}")
    other = PARTNERS.replace("customer,invited,agreed", "id,invited,yes_to_us")
    assert study(text, other).partners().table.equals(study().partners().table)


def test_check_names_steps_out_of_order(study):
    assert not said(study(), "partners.csv")
    odd = study(
        partners="customer,invited,agreed,took_part\n1,no,yes,yes\n2,1,0,1\n3,1,0,1\n9,1,1,1\n"
    )
    assert said(odd, "agreed without being invited") == [("warning", 1, {"customer": "1"})]
    assert said(odd, "took part without having agreed") == [("warning", 2, {"customer": "2"})]
    assert said(odd, "did not enter the flow") == [("warning", 1, {"customer": "9"})]
    uninvited = study(partners="customer,invited,took_part\n1,no,yes\n2,yes,yes\n")
    assert said(uninvited, "took part without being invited") == [("warning", 1, {"customer": "1"})]


def test_check_names_partners_who_are_no_customers(study):
    some = study(partners=PARTNERS + "u77,yes,no,no\n")
    assert said(
        some, "1 of 11 customers of partners.csv is not in customers.csv, such as 'u77'"
    ) == [("warning", 1, {"customer": "u77"})]
    none = study(partners="customer\nu1\nu2\n")
    (error,) = none.check().errors
    assert error.message == (
        "none of the 2 customers of partners.csv is in customers.csv: there it says '1', here 'u1'; "
        "write ids one way"
    )


def test_a_study_without_partners_says_so(study):
    opened = study(EVENTS.replace("partners: {source: partners.csv}\n", ""))
    assert not said(opened, "partners")
    with pytest.raises(StudyError, match="the study names no partners; add partners"):
        opened.partners()


def test_ids_that_stand_for_others_and_bins_are_those_of_the_study(study, tmp_path):
    (tmp_path / "ids.csv").write_text("from,to\nanna,1\n")
    text = EVENTS.replace("size: segment", "size: {kind: segment, bins: [10, 50]}")
    text += "identities: {source: ids.csv}\n"
    customers = "id,size,industry,country\n1,9,food,NO\n2,60,food,NO\n3,12,food,NO\n"
    found = study(text, "customer\nanna\n2\n", customers).partners()
    assert counted(found.table, "customers", "invited", "took_part")[1:4] == [
        ("size", "<10", 1, 1, 1),
        ("size", "10 to <50", 1, 0, 0),
        ("size", "50+", 1, 1, 1),
    ]


def test_a_customer_in_two_groups_is_a_customer_and_not_in_the_result(study):
    text = OUTCOMES.replace("size: segment", "arm: experiment, size: segment")
    customers = "id,arm,size,back\n1,a,large,yes\n1,b,large,yes\n2,a,small,no\n"
    opened = study(text, "customer,took_part\n1,y\n2,y\n", customers)
    assert counted(opened.partners().table, "customers", "took_part")[0] == ("all", "all", 2, 2)
    assert said(opened, "or saw two groups") == [("warning", 1, {"customer": "1"})]
    assert not said(opened, "is not in customers.csv")
