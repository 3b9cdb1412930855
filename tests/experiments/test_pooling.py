"""Which versions count together, in a study, in its ledger and in the list of discoveries."""

from __future__ import annotations

from itertools import accumulate
from operator import mul

import pytest
from support.results import hypothesis

from workbench import Study
from workbench.errors import StudyError
from workbench.experiments.discoveries import Trial, label, standings
from workbench.experiments.pooling import Tried, counted, pooled, pooled_pvalue
from workbench.schema.hypothesis import Qualifier
from workbench.stats.proportions import Counts

PAIRS = [
    (Counts(9, 28), Counts(14, 29)),
    (Counts(11, 27), Counts(19, 29)),
    (Counts(10, 30), Counts(17, 31)),
    (Counts(9, 27), Counts(16, 29)),
]
STUDY = """
name: tries
counts: {source: counts.csv, trigger: came, steps: {done: done}, iteration: iteration}
groupings: {variant: experiment}
discovery_horizon: 2
iterations: [{name: "1"}, {name: "2"}, {name: "3"}, {name: "4"}]
hypotheses:
"""
VERSION = """
  - {{name: helps, version: {0}, statement: It helps., metric: done, iteration: "{0}",
     control: {{variant: old}}, treatment: {{variant: new}}, alternative: greater{1}}}
"""


def tried(number, pair, evalue=1.0, again=0, **terms):
    claim = hypothesis(version=number, iteration=str(number), alternative="greater", **terms)
    return Tried(number, str(number), claim.frozen(), pair, evalue, again)


def trials(pairs, pvalues, **terms):
    return [
        Trial(("helps", number, "new", str(number)), pvalue, pvalue <= 0.05, found)
        for number, (pair, pvalue) in enumerate(zip(pairs, pvalues, strict=True), 1)
        for found in [tried(number, pair, **terms)]
    ]


def test_evalues_of_versions_are_multiplied_and_the_largest_product_counts():
    evalues = [4.0, 6.0, 0.5]
    found = [
        tried(number, PAIRS[number - 1], evalue, analysis="anytime")
        for number, evalue in enumerate(evalues, 1)
    ]
    answer = pooled(found)
    assert (answer.statistic, answer.bound, answer.enough) == (12.0, 20.0, 2)
    assert pooled_pvalue(found) == 1 / max(accumulate(evalues, mul))
    assert answer.low != answer.low


def test_versions_that_are_looked_at_otherwise_or_share_customers_are_left_out():
    once, at_any_time = tried(1, PAIRS[0]), tried(2, PAIRS[1], analysis="anytime")
    planned = tried(3, PAIRS[2], analysis="sequential", looks=2)
    nobody = tried(4, (Counts(0, 0), Counts(3, 9)), again=20)
    assert counted([planned, nobody, at_any_time, once]) == (
        [once],
        [
            "version 2, which is not looked at as version 1 is",
            "version 3, which has planned looks",
            "version 4, whose customers count already",
        ],
    )
    again = tried(2, PAIRS[1], again=3, analysis="anytime")
    first = tried(1, PAIRS[0], analysis="anytime")
    assert counted([first, again])[1] == ["version 2, some of whose customers count already"]


@pytest.mark.parametrize("pool", [False, True])
def test_what_no_version_shows_alone_their_list_finds_together(pool):
    found = standings(trials(PAIRS, [0.17, 0.06, 0.08, 0.07], pool_versions=pool), 2)
    if not pool:
        assert not any(each.found for each in found.values())
        return
    ((name, stands),) = found.items()  # one row a hypothesis, at its newest version
    assert (name[1], stands.found, stands.together) == (4, True, 4)
    assert stands.pvalue == pooled_pvalue([tried(n, pair) for n, pair in enumerate(PAIRS, 1)])
    assert "Together its 4 versions are a discovery among the study's 2" in stands.sentence
    said = label("inconclusive", Qualifier(), stands, success=False)
    assert said == "inconclusive, its versions together a discovery"


def test_a_single_version_pays_for_those_to_come():
    (stands,) = standings(trials(PAIRS[:1], [0.01], pool_versions=True), 1).values()
    assert stands.pvalue == pooled_pvalue([tried(1, PAIRS[0])])
    assert not stands.found
    assert stands.together == 1


def test_two_arms_pay_for_each_other():
    one = trials(PAIRS, [0.2] * 4, pool_versions=True)
    other = [
        Trial((*each.key[:2], "newer", each.key[3]), each.pvalue, each.success, each.tried)
        for each in one
    ]
    (alone,) = standings(one, 1).values()
    for each in standings([*one, *other], 1).values():
        assert each.pvalue == pytest.approx(2 * alone.pvalue)


def write(folder, versions, *, first=", pool_versions: true", later=""):
    rows = [
        f"{number},{name},{counts.total},{counts.converted}"
        for number, pair in enumerate(PAIRS, 1)
        for name, counts in zip(("old", "new"), pair, strict=True)
    ]
    (folder / "counts.csv").write_text("\n".join(["iteration,variant,came,done", *rows]))
    claims = [VERSION.format(n, first if n == 1 else later) for n in range(1, versions + 1)]
    (folder / "study.yaml").write_text(STUDY + "".join(claims))
    return Study.load(folder / "study.yaml")


def test_a_ledger_tells_the_list_what_the_data_tell_it(tmp_path):
    study = write(tmp_path, 4)
    for name in "1234":
        (now,) = study.evaluate(name, record=True)
    assert now.label == "inconclusive, its versions together a discovery"
    assert now.row()["discovery"]["together"] == 4
    history = Study.load(tmp_path / "study.yaml").history()
    assert history["discovery"].tolist() == ["-", "-", "-", "yes"]
    assert history["label"].iloc[-1] == now.label
    assert history["since"].iloc[-1].startswith("gained ")
    (again,) = Study.load(tmp_path / "study.yaml").evaluate("4")
    assert again.standing == now.standing


def test_the_word_of_version_1_holds(tmp_path):
    with pytest.raises(StudyError, match="version 1 of 'helps' does not say so, and its word hold"):
        write(tmp_path, 2, first="", later=", pool_versions: true")
    write(tmp_path, 1).evaluate(record=True)
    with pytest.raises(StudyError, match="has changed pool_versions from true to nothing"):
        write(tmp_path, 1, first="").evaluate(record=True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"analysis": "sequential", "looks": 3}, "does not go with planned looks"),
        ({"guardrails": [{"metric": "mapped", "margin": 0.1}]}, "does not go with guardrails"),
    ],
)
def test_what_pooling_does_not_go_with(more, said):
    with pytest.raises(ValueError, match=said):
        hypothesis(pool_versions=True, **more)
