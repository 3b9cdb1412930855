"""What findings tell of an idea: chances by hand, rates from tried ideas, ways to learn, tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from support.small_study import claim, write_study

from workbench import Study
from workbench.errors import DataError, StudyError
from workbench.experiments.findings import Finding
from workbench.experiments.ledger import FinalVerdict, Look, Registration
from workbench.innovation.learning import Learned, MethodRecord
from workbench.reports import release_review
from workbench.views import verdicts

IDEAS = """\
ideas:
  - {name: undo, statement: Undo gives courage., metric: bought, minimum_effect: 0.2, impact: 9, ease: 6}
  - {name: dark, statement: Dark looks better., impact: 2, ease: 6}
"""


@pytest.fixture
def study(tmp_path):
    path = write_study(tmp_path, [claim(), claim(version=2, iteration="2", alpha=0.01)])
    path.write_text(path.read_text() + IDEAS)
    return Study.load(path)


def told(*findings, tried=None, stated=None, study):
    return Learned(findings, tried or {}, stated or study.spec.learning)


def test_a_chance_by_hand(study):
    """Prior odds 1/2; a prototype (1.875^3 x (.6 / .25 is .4167)), and interviews 1.4^3 x .6^5."""
    learned = told(
        Finding("undo", 1, "prototype", 3, 4),
        Finding("undo", 1, "interview", 1, 4),
        Finding("undo", 1, "interview", 2, 4),
        study=study,
    )
    prototype = (0.75 / 0.4) ** 3 * (0.25 / 0.6)
    interviews = 1.4**3 * 0.6**5
    interviews = max(interviews, 1 / 4)  # no method tells more than odds of four
    odds = 0.5 * prototype * interviews
    assert learned.chance("undo") == pytest.approx(odds / (1 + odds))
    assert learned.chance("dark") == pytest.approx(1 / 3)
    assert learned.said("undo") == "3 of 4 in prototypes and 3 of 8 in interviews"


def test_a_finding_is_of_one_version(study):
    learned = told(Finding("preview-helps", 1, "interview", 5, 5), study=study)
    assert learned.chance("preview-helps", 2) == pytest.approx(1 / 3)
    assert learned.chance("preview-helps", 1) > 0.5


def test_the_prior_is_of_the_other_ideas(study):
    learned = told(tried={("a", 1): True, ("b", 1): True, ("c", 1): False}, study=study)
    assert learned.prior("undo") == pytest.approx(3 / 6)
    assert learned.prior("a", 1) == pytest.approx(2 / 5)


@pytest.mark.parametrize("ideas", [9, 10])
def test_rates_are_estimated_from_ten_tried_ideas_on(study, ideas):
    """Five of each kind: 1 of 4 said yes where it was true, 3 of 4 where it was false."""
    tried = {(f"i{number}", 1): number < 5 for number in range(ideas)}
    findings = [
        Finding(name, 1, "prototype", 1 if good else 3, 4) for (name, _), good in tried.items()
    ]
    learned = told(*findings, Finding("undo", 1, "prototype", 4, 4), tried=tried, study=study)
    if ideas == 10:
        expected = ((5 + 7.5) / 30, (15 + 4.0) / 30)
        assert learned.chance("undo") == learned.prior("undo")  # it turned around
    else:
        expected = (0.75, 0.4)
        assert learned.chance("undo") > learned.prior("undo")
    assert learned.rates["prototype"] == pytest.approx(expected)
    assert learned.rates["interview"] == (0.7, 0.5)


def test_what_methods_said_of_tried_ideas(study):
    findings = [
        Finding("a", 1, "prototype", 4, 5),
        Finding("b", 1, "prototype", 1, 6),
        Finding("b", 1, "prototype", 1, 4),
        Finding("undo", 1, "interview", 1, 4),
    ]
    learned = told(*findings, tried={("a", 1): True, ("b", 1): False}, study=study)
    assert learned.methods == (MethodRecord("prototype", 2, 4, 5, 2, 10),)
    assert learned.methods[0].sentence == (
        "Prototypes on 2 tried ideas: 4 of 5 said yes where the A/B test supported the idea; "
        "2 of 10 said yes where the A/B test refuted the idea."
    )


def test_ways_to_learn_are_ordered_by_cost(study):
    learned = told(Finding("dark", 1, "user test", 1, 5, cost="12h"), study=study)
    ways = learned.ways("undo", 1, weeks=0.3)
    assert [(each.method, each.days) for each in ways] == [
        ("user test", 0.5),
        ("interview", 1.0),
        ("A/B test", pytest.approx(2.1)),
        ("prototype", 3.0),
    ]
    assert str(ways[1]) == "interview (1 day): 11% to 67%"
    assert str(ways[2]) == "A/B test (2.1 days): a verdict"
    assert math.isnan(learned.ways("undo", 1)[-1].days)
    all_yes = 0.5 * 4  # 1.4^5 is more than 4
    assert ways[1].if_all_yes == pytest.approx(all_yes / (1 + all_yes))


def test_learning_goes_into_the_ledger_and_the_backlog(study):
    assert study.findings().empty
    assert not (study.folder / "ledger.db").exists()
    assert study.learn("undo", "prototype", 4, 5, cost="2d", date="2026-02-03")
    assert not study.learn("undo", "prototype", 4, 5, cost="2d", date="2026-02-03")
    assert study.learn("preview-helps", "interview", 2, 9)
    found = study.findings()
    assert found[["hypothesis", "version", "method", "supports", "of"]].values.tolist() == [
        ["undo", 1, "prototype", 4, 5],
        ["preview-helps", 2, "interview", 2, 9],
    ]
    first, second = study.backlog().rows()
    assert (first["hypothesis"], first["findings"]) == ("undo", "4 of 5 in prototypes")
    assert first["chance"] == pytest.approx(2 / 3)
    assert (second["findings"], second["chance"]) == ("", pytest.approx(1 / 3))
    assert [each["method"] for each in first["ways"]][:2] == ["interview", "prototype"]
    assert study.backlog("2026-02-02").rows()[0]["findings"] == ""
    assert study.learned("2026-02-03").findings == [Finding(**found.iloc[0][2:].to_dict())]


def test_no_verdict_moves_with_findings(study):
    before = [each.sentence for each in study.evaluate("1")]
    study.learn("preview-helps", "interview", 0, 20, version=1)
    assert [each.sentence for each in study.evaluate("1")] == before


def test_a_tried_idea_has_the_verdict_of_its_test(study):
    study.learn("preview-helps", "interview", 4, 5, version=1)
    study.evaluate("1", record=True)
    learned = study.learned()
    assert learned.tried == {("preview-helps", 1): True}
    assert study.learned("2026-01-19").tried == {}
    said = learned.findings_sentence("preview-helps")
    assert said == (
        "preview-helps, version 1: 4 of 5 in interviews said yes, by which its chance goes from 1 in "
        "3 to 1 in 2; the A/B test supported it."
    )
    review = release_review.begin(study=study.folder / "study.yaml", iteration="1")
    assert said in review.history.attrs["evidence"]
    assert said in verdicts.history(review.history).note


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        (["harmful"], {("h", 1): False}),
        (["inconclusive"], {}),
        (["refuted", "supported"], {("h", 1): True}),
    ],
)
def test_what_counts_as_tried(study, words, tried):
    for number, word in enumerate(words):
        arm = f"variant={number}"
        numbers = (1, 2, 1, 2, "f", 0.0, -0.1, 0.1, 0.9)
        study.ledger.record(
            Registration("h", 1, arm, {"metric": "imported"}),
            Look("h", 1, arm, "1", None, "fixed", *numbers),
            FinalVerdict("h", 1, arm, "1", word, word == "supported", 0.5, "f", "So it is."),
        )
    assert study.learned().tried == tried


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hypothesis": "udno"}, "unknown hypothesis or idea 'udno'; did you mean 'undo'?"),
        ({"version": 2}, "unknown version of undo '2'; known: 1"),
        ({"method": "survey"}, "unknown method of learning 'survey'"),
    ],
)
def test_what_cannot_be_learned(study, values, said):
    given = {"hypothesis": "undo", "method": "interview", "supports": 1, "of": 2}
    with pytest.raises(StudyError, match=said):
        study.learn(**{**given, **values})
    assert not (study.folder / "ledger.db").exists()


def test_a_table_is_recorded_whole_and_once(study, tmp_path):
    table = tmp_path / "f.csv"
    rows = [
        "hypothesis;method;supports;of;version;weight;note",
        "undo;interview;3;8;;0,5;",
        "preview-helps;user test;4;5;1;;with Bo",
        "preview-helps;user test;4;5;1;;with Bo",
    ]
    table.write_text("\n".join(rows).replace("0,5", "0.5"))
    assert study.learn_table(table) == 2
    assert study.learn_table(table) == 0
    assert study.findings()[["version", "weight", "note"]].values.tolist() == [
        [1, 0.5, ""],
        [1, 1.0, "with Bo"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hypothesis,method,supports\nundo,interview,1", "unknown column 'of'"),
        ("hypothesis,method,supports,of,when\nundo,interview,1,2,x", "unknown column 'when'; known"),
        ("hypothesis,method,supports,of\nundo,interview,1,2\nundo,interview,1.5,2", "row 2: supports"),
        ("hypothesis,method,supports,of\nundo,interview,1,2\nundo,,1,2", "row 2: there is no method"),
        ("hypothesis,method,supports,of\nundo,interview,1,2\nundo,interview,3,2", "row 2: supports is"),
    ],
)  # fmt: skip
def test_a_bad_table_leaves_nothing(study, tmp_path, text, said):
    table = tmp_path / "f.csv"
    table.write_text(text)
    with pytest.raises(DataError) as error:
        study.learn_table(table)
    assert str(error.value).startswith(f"{table}")
    assert said in str(error.value)
    assert study.findings().empty


def test_a_finding_without_a_date_is_of_the_day_it_was_recorded(study):
    study.learn("undo", "interview", 1, 2)
    today = datetime.now(UTC).date()
    assert study.learned(today).findings
    assert not study.learned("2026-01-06").findings
