"""Deviations: the next event of those who deviated, whatever its name and whenever it was.

Retention curves: published Kaplan-Meier estimates, an independent implementation, the reference."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from support.counted_logs import few_random_logs, followed, in_pandas, in_polars, traced
from support.logs import cases

from workbench import Study
from workbench.data.event_log import EventLog
from workbench.data.metrics import (
    DAY,
    LEARNING_COLUMNS,
    NEXT_COLUMNS,
    RETENTION_COLUMNS,
    count_followed,
    count_next,
    curve,
    groupings_of,
    next_table,
    retention_table,
)
from workbench.data.paths import trace
from workbench.errors import StudyError
from workbench.schema.flow import Flow
from workbench.schema.time import Span

# Freireich et al. (1963): weeks of remission under 6-MP, 21 patients.
RELAPSED = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1, 22: 1, 23: 1}
CENSORED = {6: 1, 9: 1, 10: 1, 11: 1, 17: 1, 19: 1, 20: 1, 25: 1, 32: 2, 34: 1, 35: 1}
# As Stata's `sts list` prints them for these data: at risk, survivor function, 95% log(-log) interval.
PUBLISHED = {
    6: (21, 0.8571, 0.6197, 0.9516),
    7: (17, 0.8067, 0.5631, 0.9228),
    10: (15, 0.7529, 0.5032, 0.8894),
    13: (12, 0.6902, 0.4316, 0.8491),
    16: (11, 0.6275, 0.3675, 0.8049),
    22: (7, 0.5378, 0.2678, 0.7468),
    23: (6, 0.4482, 0.1881, 0.6801),
}


@pytest.mark.parametrize("begin", [0, -3650 * DAY], ids=["1970", "1960"])
@pytest.mark.parametrize("name", ["help", "(missing)"])
def test_the_next_event_is_of_any_name_and_time(begin, name):
    rows = [(1, "open", 1), (2, "open", 1), (2, name, 4), (3, "open", 2), (3, "import", 4)]
    table = pl.DataFrame(rows, schema=["customer", "event", "time"], orient="row")
    log = EventLog(table.with_columns(pl.col("time") * DAY + begin), time_format="epoch_us")
    flow = Flow(trigger="open", steps=["import", "share"], window="1d")
    paths = trace(log, flow, [Span("1", begin, begin + 3 * DAY)])
    found = count_next(paths, log, flow.names)
    table = next_table(found, [], ["1"])
    rows = table[["step", "next_event", "customers"]].values.tolist()
    assert sorted(rows) == sorted(
        [["import", "(nothing)", 1], ["import", name, 1], ["import", "import (too late)", 1]]
    )


def test_the_remission_times_of_freireich():
    points = {each.days: each for each in curve(RELAPSED, CENSORED)}
    assert list(points) == [0, *PUBLISHED, 35]
    for week, (at_risk, staying, low, high) in PUBLISHED.items():
        point = points[week]
        assert point.at_risk == at_risk
        assert 1 - point.share == pytest.approx(staying, abs=5e-5)
        assert (1 - point.high, 1 - point.low) == pytest.approx((low, high), abs=5e-5)


def test_the_control_arm_where_nobody_is_censored():
    """Rodriguez, pop509 notes at Princeton, from Stata: 0.9048 [0.6700, 0.9753] after a week."""
    weeks = Counter([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23])
    first, second = curve(weeks, {})[1:3]
    assert (1 - first.share, 1 - first.high, 1 - first.low) == pytest.approx(
        (0.9048, 0.6700, 0.9753), abs=5e-5
    )
    assert (1 - second.share, 1 - second.high, 1 - second.low) == pytest.approx(
        (0.8095, 0.5689, 0.9239), abs=5e-5
    )


def test_statsmodels_gives_the_same_shares():
    from statsmodels.duration.survfunc import SurvfuncRight

    rng = np.random.default_rng(3)
    days, adopted = rng.integers(1, 40, 200), rng.integers(0, 2, 200)
    took = Counter(days[adopted == 1].tolist())
    found = [each for each in curve(took, Counter(days[adopted == 0].tolist())) if each.adopted]
    theirs = SurvfuncRight(days, adopted)
    assert [each.days for each in found] == theirs.surv_times.tolist()
    assert [1 - each.share for each in found] == pytest.approx(theirs.surv_prob.tolist())
    assert [each.at_risk for each in found] == theirs.n_risk.tolist()


def test_ends_of_a_curve():
    assert curve({}, {}) == []
    nobody = curve({}, {0: 3})
    assert [(each.days, each.at_risk, each.share) for each in nobody] == [(0, 3, 0.0)]
    everybody = curve({1: 2}, {})[-1]
    assert everybody.share == 1.0
    assert everybody.low != everybody.low  # no interval at 0 and 1


def test_intervals_cover_the_true_share():
    """Half of the customers never return, the others after some days; 300 curves of 60 customers."""
    rng, covered = np.random.default_rng(11), []
    for _ in range(300):
        returns = np.where(rng.random(60) < 0.5, rng.integers(1, 31, 60), 1000)
        until = rng.integers(5, 61, 60)
        took = Counter(returns[returns <= until].tolist())
        points = curve(took, Counter(until[returns > until].tolist()))
        last = [each for each in points if each.days <= 15][-1]
        covered.append(last.low <= 0.5 * 15 / 30 <= last.high)
    assert 0.92 < np.mean(covered) < 0.98


@pytest.mark.parametrize("make", [in_polars, in_pandas])
@few_random_logs
@given(case=cases().filter(lambda case: case.plan.returns and case.customers is None))
def test_customers_are_followed_as_in_the_reference(make, case):
    wanted: dict[str, tuple[Counter[int], Counter[int]]] = {}
    for each in followed(case):
        met = each.times[-1]
        if met is None:
            continue
        days = (case.until - met) // DAY
        waited = None if each.returned is None else -((met - each.returned) // DAY)
        adopted = waited is not None and waited <= days
        counts = wanted.setdefault(each.period.name, (Counter(), Counter()))
        counts[0 if adopted else 1][waited if adopted else days] += 1
    found = {
        each.iteration: (each.adopted, each.censored)
        for each in count_followed(traced(case, make)[0])
    }
    assert found == wanted


def test_the_bundled_curve_ends_at_the_share_who_adopted(bundled):
    """All of 2026.1 were followed to the end, so nobody is censored before the last return."""
    study = Study.load(bundled)
    counts = study.learning_metrics("2026.1").set_index("step")
    table = study.retention("2026.1")
    assert table["at_risk"].iloc[0] == counts.loc["imported", "aligned"]
    assert table["adopted"].sum() == counts.loc["adoption", "aligned"]
    share = counts.loc["adoption", "aligned"] / counts.loc["imported", "aligned"]
    assert table["share"].iloc[-1] == pytest.approx(share)
    by = study.retention("2026.1", by="variant")
    assert list(by.columns) == ["iteration", "variant", *table.columns[1:]]
    assert by.groupby("variant")["adopted"].sum().sum() == table["adopted"].sum()


def test_a_flow_without_a_return_has_no_curve(bundled, tmp_path):
    text = bundled.read_text(encoding="utf-8").partition("indicators:")[0]
    kept = [line for line in text.splitlines() if "return_window" not in line]
    kept = [line for line in kept if "adoption_window" not in line]
    kept = [line for line in kept if "adoption_rate" not in line]
    (tmp_path / "study.yaml").write_text("\n".join(kept), encoding="utf-8")
    (tmp_path / "data").symlink_to(bundled.parent / "data")
    with pytest.raises(StudyError, match="no return_window; add one to the flow"):
        Study.load(tmp_path / "study.yaml").retention()


def test_nobody_gives_an_empty_table():
    assert retention_table([], [], ["2026.1"]).empty


def test_tables_carry_their_groupings_through_what_pandas_does(bundled):
    study, by = Study.load(bundled), ["variant", "country"]
    table = study.learning_metrics("2026.1", by=by)
    for changed in (
        table.query("step == 'imported'"),
        table[["step", "rate", "country", "variant", "iteration"]],
        table.assign(kept=table["rate"] > 0.5),
        pd.concat([table.head(3), table.tail(3)]),
        pd.DataFrame(table.to_dict("records")),
    ):
        assert set(groupings_of(changed, LEARNING_COLUMNS)) == set(by)
    assert groupings_of(table.drop(columns="country"), LEARNING_COLUMNS) == ["variant"]
    assert groupings_of(study.deviations("2026.1", by=by), NEXT_COLUMNS) == by
    assert groupings_of(study.retention("2026.1", by=by), RETENTION_COLUMNS) == by
    assert groupings_of(pd.DataFrame(), LEARNING_COLUMNS) == []


def test_a_grouping_may_not_be_called_as_a_column_of_the_result():
    with pytest.raises(StudyError, match="grouping 'share' has the name of a column of the result"):
        next_table({}, ["share"], ["1"])
