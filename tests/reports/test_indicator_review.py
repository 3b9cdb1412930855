"""Reviews of indicators: what they say first, their tables, and what they leave for a machine."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from support.indicator_studies import study_of

from workbench.datasets.indicators import simulate_series
from workbench.errors import StudyError
from workbench.reports import indicator_review
from workbench.reports.indicator_review import IndicatorReview
from workbench.reports.publish import publish
from workbench.reports.report import RESULT
from workbench.study import Study
from workbench.views import indicator_tables


@pytest.fixture(scope="module")
def review(bundled):
    return review_of(Study.load(bundled), permutations=199)


def review_of(study, permutations):
    return IndicatorReview(study=study, pairs=study.pairs(permutations=permutations))


def random_walks(tmp_path, seed=7):
    made = simulate_series(periods=60, strength=0.0, seed=seed)
    series = {"visits": made.leading, "sales": made.lagging}
    return review_of(study_of(tmp_path, series, ["sales"]), permutations=199)


def test_the_cover_says_what_is_reviewed(review):
    assert "160 customers · Weeks 2026-W02 to 2026-W33" in repr(review)
    assert "Indicator review" in review._repr_html_()


def test_what_was_found_comes_first(review):
    first, *rest = review.findings.sentences
    assert first.startswith("Found in 2 of 7 pairs: activity moves before tickets, by 2 weeks; ")
    assert "3 more are too short to say" in first
    assert any("nps moves before renewal, by 4 weeks" in each for each in rest)
    assert "weights" in rest[-1]
    assert f"<strong>{first}</strong>" in review.findings._repr_html_()
    assert repr(review.findings).startswith(first)


def test_the_true_lags_of_the_bundled_study_are_found(review):
    """As its README tells: renewals follow nps after 4 weeks, tickets activity after 2."""
    found = {(each.leading, each.lagging): each for each in review.pairs.associations()}
    assert found["nps", "renewal"].best_lag == 4
    assert found["activity", "tickets"].best_lag == 2
    assert not found["satisfaction", "tickets"].found


def test_walks_of_their_own_are_reported_as_nothing(tmp_path):
    review = random_walks(tmp_path)
    assert review.findings.sentences[0].startswith(
        "Nothing was found: the only pair does not move together more"
    )
    assert repr(review.figures) == "No pair was found."
    assert "nothing to predict with" in repr(review.forecasts)
    assert "no sign" in repr(review.table)


def test_without_customers_there_is_no_health_score_and_it_says_why(tmp_path):
    review = random_walks(tmp_path)
    assert "no lagging indicator has values per customer" in repr(review.health)
    for part in (review.validation, review.weights, review.ranks):
        assert repr(part).endswith("There is no health score.")
    assert repr(review.levels) == "There are no levels without a health score."
    assert review.finish().content["health"] is None


def test_the_health_score_stands_beside_equal_weights(review):
    assert [row[0] for row in review.validation.rows] == ["equal", "learned"]
    assert "the lag found above" in repr(review.health)
    assert len(review.ranks.rows) == 10
    assert [row[0] for row in review.weights.rows] == ["nps", "satisfaction", "activity"]
    (levels,) = review.levels
    assert "fifth 1, at risk" in levels.alt


def test_pairs_are_told_within_customers_and_between_them(review):
    rows = {row[:2]: row for row in review.of_customers.rows}
    assert str(rows["nps", "renewal"][2]) == "found"
    assert rows["nps", "renewal"][3] == "4 weeks"
    assert ("time_to_value", "renewal") not in rows


def test_what_is_missing_is_listed(review):
    missing = [row[1] for row in review.to_collect.rows]
    assert any("adoption_rate has no value in 1 of 18 periods" in each for each in missing)
    assert any("adoption_rate and renewal: collect 5 weeks more" in each for each in missing)


def test_gaps_and_constants_are_listed(tmp_path):
    made = simulate_series(periods=60, seed=3)
    visits = made.leading.copy()
    visits[20:23] = np.nan
    series = {"visits": visits, "logins": np.ones(60), "sales": made.lagging}
    review = review_of(study_of(tmp_path, series, ["sales"]), permutations=99)
    missing = " ".join(row[1] for row in review.to_collect.rows)
    assert "visits has no value in 3 of 60 periods" in missing
    assert "logins is 1 in every period" in missing
    assert "nothing" in repr(review.table)


def test_a_table_row_is_a_flat_row_for_a_machine(review):
    row = indicator_tables.row(review.pairs.associations()[0])
    assert (row["leading"], row["lag"], row["found"]) == ("activity", 2, True)
    assert row["low"] < row["correlation"] < row["high"]


def test_the_result_holds_the_numbers_for_a_machine(review):
    content = review.finish()._repr_mimebundle_()[RESULT]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["study"]["name"] == "guided-import"
    assert len(content["pairs"]) == 10
    assert content["health"]["weights"]["kind"] == "learned"
    assert len(content["health"]["customers"]) > 50
    assert {"workbench", "python", "scipy"} <= set(content["versions"])


def test_a_review_as_of_earlier_leaves_later_weeks_out(bundled):
    earlier = indicator_review.begin(study=bundled, as_of="2026-05-01")
    assert earlier.pairs.indicators().periods.names[-1] == "2026-W18"
    assert "2026-W18" in repr(earlier)


def test_a_study_without_indicators_has_no_review(bundled, tmp_path):
    text = bundled.read_text(encoding="utf-8")
    start, end = text.index("\nindicators:"), text.index("\nhypotheses:")
    (tmp_path / "study.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    shutil.copytree(bundled.parent / "data", tmp_path / "data")
    with pytest.raises(StudyError, match="has no indicators"):
        indicator_review.begin(study=tmp_path / "study.yaml")


@pytest.mark.slow
def test_a_review_is_published_beside_the_study(tmp_path):
    made = simulate_series(periods=60, lag=3, strength=0.9, seed=4)
    study_of(tmp_path, {"nps": made.leading, "sales": made.lagging}, lagging=["sales"])
    published = publish(tmp_path / "study.yaml", template="indicator_review")
    assert published.html == tmp_path / "reports" / "indicator_review.html"
    page = published.html.read_text(encoding="utf-8")
    assert "<what>" not in page
    assert "nps moves before sales, by 3 periods" in page
    content = json.loads(published.result.read_text(encoding="utf-8"))
    assert content["pairs"][0]["lag"] == 3
