"""Keys: customers and times in order, and the first row that may still serve.

Adoption and outcome, on small logs whose answer can be read off, and on purchases alone.

Rows: a log's rows in memory, coded, divided by customer, on keys that fit."""

from __future__ import annotations

import io
from datetime import UTC, timedelta
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
import pytest
from ruamel.yaml import YAML

from workbench import Study
from workbench.data import walk
from workbench.data.engines import collect, lazy
from workbench.data.event_log import EventLog
from workbench.data.metrics import count_both, count_followed, learning_metrics, retention_table
from workbench.data.paths import trace
from workbench.data.walk import NEVER, Chunk, Coding, KeyScale, Taken, chunks, coded
from workbench.errors import StudyError
from workbench.schema.flow import Flow
from workbench.schema.time import Iteration

SCALE = KeyScale(customers=3, lowest=10, start=1000, width=50)
FACTS = ["entered", "aligned", "deviated", "pending", "converted", "closed"]
JANUARY = [Iteration(name="2026.1", start="2026-01-01", end="2026-02-01")]
FLOW = Flow(
    trigger="open",
    steps=["look", "done"],
    return_window="5d",
    outcome={"paid": "pay"},
    outcome_window="20d",
)
CLAIMS = """\
hypotheses:
  - name: saved-mappings
    statement: Customers who find their mapping again come back more often.
    metric: adoption
    iteration: "2026.4"
    control: {variant: blank}
    treatment: {variant: preview}
    alternative: greater
    guardrails: [{metric: imported, margin: 0.1}]
  - name: renews-sooner
    statement: More customers renew within six weeks.
    metric: renewed
    window: 6w
    iteration: "2026.3"
    control: {iteration: "2026.2"}
    treatment: {iteration: "2026.3"}
  - name: at-any-time
    statement: More customers come back.
    metric: adoption
    iteration: "2026.4"
    control: {variant: blank}
    treatment: {variant: preview}
    analysis: anytime
    minimum_effect: 0.1
"""


@pytest.fixture
def chunk():
    """Rows of customers 10 and 11: of event 0 at 1000, 1005 twice and 1007, of event 1 at 1005."""
    customer = np.array([11, 10, 10, 10, 10])
    at = np.array([1007, 1005, 1000, 1005, 1005])
    code = np.array([0, 0, 0, 0, 1])
    ends = np.array([0, 4, 5])
    return Chunk(SCALE, SCALE.keys(customer, at), np.argsort(code, kind="stable"), ends)


def test_keys_are_in_order_of_the_customer_and_then_of_the_time():
    customer, at = np.array([10, 10, 11, 12]), np.array([1000, 1049, 1000, 1049])
    keys = SCALE.keys(customer, at)
    assert keys.tolist() == [0, 49, 50, 149]
    assert SCALE.places(keys).tolist() == [0, 0, 1, 2]
    assert SCALE.ends(customer).tolist() == [49, 49, 99, 149]
    assert SCALE.holds(np.array([9, 10, 12, 13])).tolist() == [False, True, True, False]


def test_rows_of_an_event_are_sorted_once(chunk):
    assert chunk.of(0).tolist() == [0, 5, 5, 57, NEVER]
    assert chunk.of(0) is chunk.of(0)
    assert chunk.of(1).tolist() == [5, NEVER]
    assert sorted(chunk.rows(1)[0].tolist()) == [0, 5, 5, 57]


def test_the_first_row_in_time_serves(chunk):
    entered, until = np.array([0, 1, 57, 58]), np.array([49, 4, 99, 99])
    found = chunk.first([0], entered, until)
    assert found.key.tolist() == [0, NEVER, 57, NEVER]
    assert found.serves(0).tolist() == [True, False, True, False]


def test_of_two_at_one_time_the_event_named_first_serves(chunk):
    since, until = np.array([1]), np.array([49])
    assert chunk.first([0, 1], since, until).code.tolist() == [0]
    assert chunk.first([1, 0], since, until).code.tolist() == [1]
    assert chunk.first([0, 1], since, until).key.tolist() == [5]


def test_used_rows_do_not_serve_again(chunk):
    since, until = np.array([5]), np.array([49])
    found = chunk.first([0], since, until, {0: np.array([2])})
    assert (found.key.tolist(), found.row.tolist()) == ([5], [2])
    assert chunk.first([0], since, until, {0: np.array([3])}).key.tolist() == [NEVER]


def test_who_never_came_stays_away(chunk):
    never = np.array([NEVER])
    assert chunk.first([0], never, np.array([49])).key.tolist() == [NEVER]
    assert not Taken.at(never).serves(0).any()


def log_of(*rows: tuple[int, str, str]) -> EventLog:
    table = pd.DataFrame(rows, columns=["customer", "event", "time"])
    return EventLog(table.assign(row=range(len(rows))))


def counted(log: EventLog, flow: Flow, iterations=JANUARY, as_of=None) -> dict[str, list[int]]:
    table = learning_metrics(log, flow, iterations, as_of=as_of)
    return {row["step"]: [row[name] for name in FACTS] for row in table.to_dict("records")}


def test_each_way_that_adoption_can_go():
    log = log_of(
        *[
            (who, name, f"2026-01-0{day}")
            for who in range(1, 6)
            for name, day in (("open", 1), ("look", 2), ("done", 3))
        ],
        (1, "open", "2026-01-04"),
        (1, "look", "2026-01-09"),  # on the last moment
        (2, "open", "2026-01-04"),
        (2, "look", "2026-01-09 00:00:01"),  # a second late
        (3, "open", "2026-01-08"),  # still has time
        (4, "look", "2026-01-08"),  # no trigger: no opportunity
        (5, "open", "2026-01-03"),
        (5, "look", "2026-01-04"),  # no later than the need was met
        (6, "open", "2026-01-01"),
        (6, "open", "2026-01-02"),
        (6, "look", "2026-01-03"),  # not met
        (7, "other", "2026-01-10"),
    )
    assert counted(log, FLOW)["adoption"] == [3, 1, 1, 1, 1, 2]
    assert counted(log, FLOW.model_copy(update={"return_window": "unlimited"}))["adoption"] == (
        [3, 2, 1, 0, 2, 3]
    )


def test_a_return_in_a_later_iteration_counts_for_the_earlier_entry():
    log = log_of(
        (1, "open", "2026-01-01"),
        (1, "look", "2026-01-02"),
        (1, "done", "2026-01-03"),
        (1, "open", "2026-02-10"),
        (1, "look", "2026-02-11"),
        (1, "done", "2026-02-12"),
        (1, "open", "2026-02-20"),
        (1, "other", "2026-03-20"),
    )
    both = [*JANUARY, Iteration(name="2026.2", start="2026-02-01", end="2026-03-01")]
    table = learning_metrics(log, FLOW, both).query("step == 'adoption'")
    assert table[["entered", "aligned", "deviated"]].values.tolist() == [[1, 1, 0], [1, 0, 1]]


def test_outcomes_need_no_need_met_and_end_with_their_window():
    log = log_of(
        (1, "open", "2026-01-01"),
        (1, "pay", "2026-01-01"),  # at the very time of the trigger
        (2, "open", "2026-01-01"),
        (2, "pay", "2026-01-21"),  # on the last moment
        (3, "pay", "2025-12-31"),
        (3, "open", "2026-01-01"),
        (3, "pay", "2026-01-21 00:00:01"),
        (4, "open", "2026-01-10"),
        (5, "open", "2026-01-11"),
        (5, "pay", "2026-01-12"),  # early, but still open
        (6, "other", "2026-01-30"),
    )
    assert counted(log, FLOW)["paid"] == [5, 3, 2, 0, 2, 4]


def test_trigger_step_and_outcome_may_share_an_event_name():
    """One row serves one place: trigger, step and outcome take three rows; a fourth is the return."""
    flow = Flow(
        trigger="visit",
        steps=["look", {"again": "visit"}],
        return_window="unlimited",
        outcome={"often": "visit"},
        outcome_window="9d",
    )
    log = log_of(
        *[(1, "visit", f"2026-01-0{day}") for day in (1, 3)],
        (1, "look", "2026-01-02"),
        *[(2, "visit", f"2026-01-0{day}") for day in (1, 3, 4)],
        (2, "look", "2026-01-02"),
        (2, "look", "2026-01-05"),
        (3, "visit", "2026-01-01"),
        (3, "visit", "2026-01-01"),
        (3, "look", "2026-01-01"),
        (3, "visit", "2026-01-01"),  # three rows at one moment: trigger, step, outcome
        (4, "visit", "2026-01-01"),
        (4, "visit", "2026-01-09"),  # no step: the second is the outcome
        (5, "other", "2026-01-30"),
    )
    found = counted(log, flow)
    assert found["again"][:2] == [3, 3]
    assert found["adoption"][:2] == [1, 1]  # only customer 2 came once more, and looked
    assert found["often"][:2] == [4, 3]  # 2, 3 and 4, but not 1, whose rows are all used


def test_one_event_for_everything():
    flow = Flow(
        trigger="buy", steps=["buy"], return_window="30d", outcome={"bought": "buy"},
        outcome_window="30d",
    )  # fmt: skip
    log = log_of(
        (1, "buy", "2026-01-01"),
        (2, "buy", "2026-01-01"),
        (2, "buy", "2026-01-05"),
        (3, "buy", "2026-01-01"),
        (3, "buy", "2026-01-01"),  # twice at one moment: not later
        (4, "buy", "2026-01-01"),
        (4, "buy", "2026-02-20"),
        (5, "buy", "2026-01-31"),
        (6, "other", "2026-03-01"),
    )
    found = counted(log, flow)
    assert found["buy"] == [5, 5, 0, 0, 5, 5]
    assert found["adoption"] == [5, 1, 3, 1, 1, 4]
    assert found["bought"] == [5, 2, 2, 1, 2, 4]
    spans = [each.span(UTC) for each in JANUARY]
    both = count_both(trace(log, flow, spans))["2026.1"]
    assert (both.converted, both.total) == (1, 4)


@pytest.fixture(scope="module")
def claims(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims")
    keys = YAML().load(bundled.read_text(encoding="utf-8"))
    kept = ("name", "events", "customers", "groupings", "flow", "iterations")
    written = io.StringIO()
    YAML().dump({key: keys[key] for key in kept}, written)
    (folder / "study.yaml").write_text(written.getvalue() + CLAIMS, encoding="utf-8")
    (folder / "data").symlink_to(bundled.parent / "data")
    return Study.load(folder / "study.yaml")


@pytest.fixture
def claims_without_a_window(claims, tmp_path):
    text = (claims.folder / "study.yaml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "adoption_window" not in line]
    (tmp_path / "study.yaml").write_text("\n".join(kept), encoding="utf-8")
    (tmp_path / "data").symlink_to(claims.folder / "data")
    return Study.load(tmp_path / "study.yaml")


def test_a_hypothesis_may_name_adoption(claims):
    first, anytime = claims.evaluate("2026.4")
    table = claims.learning_metrics("2026.4", by="variant").query("step == 'previewed'")
    pair = (first.comparison.control, first.comparison.treatment)
    assert [each.total for each in pair] == table["entered"].tolist()
    assert anytime.comparison.control.total <= pair[0].total
    assert anytime.comparison.treatment.total >= min(each.total for each in pair)
    assert "adopted within 28 days" in first.sentence


def test_without_an_adoption_window_earlier_iterations_tell_it(claims_without_a_window):
    (first, _) = claims_without_a_window.evaluate("2026.4")
    assert first.window == timedelta(days=7 + 12 + 7)
    earlier = first.hypothesis.model_copy(update={"iteration": "2026.1"})
    with pytest.raises(StudyError, match="give the flow an adoption_window, such as 60d"):
        claims_without_a_window._data.flow_of(earlier)


def test_a_hypothesis_may_name_the_outcome_with_a_window_of_its_own(claims):
    (found,) = claims.evaluate("2026.3")
    assert str(found.verdict) != "invalid"
    whole = claims.learning_metrics("2026.3").query("step == 'renewed'").iloc[0]
    treatment = found.comparison.treatment
    assert treatment.total == whole["entered"]
    assert 0 < treatment.converted < whole["aligned"]


@pytest.fixture(scope="module")
def purchases() -> tuple[pd.DataFrame, np.ndarray]:
    """Draw purchases as CDNOW's are known: a quarter's new buyers, followed for one and a half years.

    Each buys at a gamma rate, near those that Fader, Hardie & Lee (2005) fit to that cohort (r 0.243,
    alpha 4.414 weeks), and nobody drops out. Times are days, so that purchases of a day are alike.
    Give also who bought again on a later day.
    """
    rng, rows = np.random.default_rng(1997), []
    repeats = np.zeros(600, dtype=bool)
    for customer in range(600):
        first, day = int(rng.integers(0, 90)), 0.0
        rate = rng.gamma(0.25, 1 / 28)
        days = [first]
        while (day := day + rng.exponential(1 / rate)) < 545 - first:
            days.append(first + int(day))
        repeats[customer] = any(each > first for each in days)
        rows += [(customer, "purchase", each) for each in days]
    table = pd.DataFrame(rows, columns=["customer", "event", "day"])
    table["time"] = pd.Timestamp("1997-01-01") + pd.to_timedelta(table.pop("day"), unit="D")
    end = pd.DataFrame([(-1, "end", pd.Timestamp("1998-06-30"))], columns=table.columns)
    return pd.concat([table, end]), repeats


def test_a_log_of_purchases_first_is_trigger_and_need_repeat_is_adoption(purchases):
    table, repeats = purchases
    quarter = [Iteration(name="1997.1", start="1997-01-01", end="1997-04-01")]
    flow = Flow(trigger="purchase", steps=[{"bought": "purchase"}], return_window="unlimited")
    found = counted(EventLog(table), flow, quarter)
    again = int(repeats.sum())
    assert found["bought"] == [600, 600, 0, 0, 600, 600]
    assert found["adoption"] == [600, again, 600 - again, 0, again, 600]
    assert 0.3 < again / 600 < 0.7


def test_the_curve_of_purchases_is_the_share_who_bought_again(purchases):
    table, _ = purchases
    flow = Flow(trigger="purchase", steps=[{"bought": "purchase"}], return_window="unlimited")
    span = Iteration(name="1997.1", start="1997-01-01", end="1997-04-01").span(UTC)
    curve = retention_table(count_followed(trace(EventLog(table), flow, [span])), [], ["1997.1"])
    days = table[table["customer"] >= 0].sort_values("time").groupby("customer")["time"]
    waited = days.agg(lambda times: (times - times.min()).dt.days.replace(0, np.nan).min())
    for day in (30, 180, 400):  # nobody is censored so early
        share = curve[curve["days"] <= day]["share"].iloc[-1]
        assert share == pytest.approx((waited <= day).mean())


def frame(**columns):
    return lazy(pl.DataFrame({name.replace("_", " "): each for name, each in columns.items()}))


def test_events_become_their_places_and_others_drop_out():
    table = frame(event=["b", "noise", "a", None, "b"], at=[1, 2, 3, 4, 5])
    found = sorted(collect(coded(table, ["a", "b", "c"])), key=lambda row: row["at"])
    assert found == [{"at": 1, "code": 1}, {"at": 3, "code": 0}, {"at": 5, "code": 1}]


def test_values_become_the_places_of_their_levels_and_the_last_is_missing():
    table = frame(by_size=["small", None, "large", "(missing)", "small"], at=[1, 2, 3, 4, 5])
    coding = Coding.of(table, ["size"])
    assert coding.levels == {"size": ("large", "small", "(missing)")}
    found = sorted(collect(coding.code(table)), key=lambda row: row["at"])
    assert [row["by size"] for row in found] == [1, 2, 0, 2, 1]


def divided(numbers, *, customers, rows=10, start=0, until=9, at=None):
    table = frame(
        number=numbers,
        at=[start] * len(numbers) if at is None else at,
        code=[place % 2 for place, _ in enumerate(numbers)],
        by_size=[0] * len(numbers),
    )
    return list(chunks(table, customers=customers, rows=rows, codes=2, start=start, until=until))


@pytest.mark.parametrize(("size", "at_once", "batches"), [(1, 2, 4), (2, 2, 2), (100, 25, 1)])
def test_every_row_is_in_the_share_of_its_customer(size, at_once, batches):
    with patch.object(walk, "CHUNK", size), patch.object(walk, "BATCH", size * at_once):
        found = divided([0, 6, 3, 3, 5], customers=7, rows=7)
    assert len(found) == batches
    customers = []
    for chunk in (each for batch in found for each in batch):
        keys, values = chunk.rows(2)
        assert values.keys() == {"size"}
        assert chunk.scale.holds(chunk.scale.places(keys) + chunk.scale.lowest).all()
        customers += (chunk.scale.places(keys) + chunk.scale.lowest).tolist()
    assert sorted(customers) == [0, 3, 3, 5, 6]


def test_keys_fit_however_long_the_log_and_far_the_customers():
    day, last = 86_400_000_000, 9_999
    until = 3_000_000 * day  # more than eight thousand years
    (found,) = divided([0, last], customers=last + 1, until=until, at=[0, until])
    ends = [chunk.scale.ends(np.array([chunk.scale.lowest])) for chunk in found]
    assert len(found) > 1
    assert all(0 < chunk.scale.customers * chunk.scale.width <= NEVER for chunk in found)
    assert all((end > 0).all() for end in ends)
    keys = [chunk.rows(2)[0].tolist() for chunk in found]
    assert keys[0] == [0]
    assert keys[-1] == [(last - found[-1].scale.lowest) * found[0].scale.width + until]
