"""The same question, put to each peer: how many customers got how far, per iteration and variant.

Run as `python flow_peers.py PEER FILE`; prints one JSON object. Every function imports its own
library, so that a process pays for nothing but the peer that it times. `Answer` maps
"iteration/variant" to the number of entrants followed by the number aligned at each step.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import flow_data as data

THREADS = 2
Answer = dict[str, list[int]]


def workbench(path: Path) -> Answer:
    """Learning metrics as a study asks for them: every fact, rate and median that they hold."""
    import duckdb

    from workbench.data.event_log import EventLog
    from workbench.data.metrics import learning_metrics
    from workbench.schema.flow import Flow
    from workbench.schema.time import Iteration

    connection = duckdb.connect(config={"threads": THREADS})
    log = EventLog(
        connection.read_parquet(str(path)),
        customer="customer_id",
        event="event",
        time="occurred_at",
    )
    flow = Flow.model_validate(
        {"trigger": data.TRIGGER, "steps": list(data.STEPS), "window": f"{data.WINDOW_DAYS}d"}
    )
    iterations = [
        Iteration.model_validate(
            {"name": name, "start": data.moment(start), "end": data.moment(end)}
        )
        for name, start, end in data.bounds()
    ]
    found = learning_metrics(log, flow, iterations, by={"variant": "experiment"})
    answer: Answer = defaultdict(list)
    for row in found.to_dict("records"):
        counts = answer[f"{row['iteration']}/{row['variant']}"]
        if not counts:
            counts.append(row["entered"])
        counts.append(row["aligned"])
    return dict(answer)


def clickhouse(path: Path) -> Answer:
    """One `windowFunnel` per iteration, all in one pass; crossovers are left out, as ours are."""
    import chdb

    names = ", ".join(f"'{name}'" for name in (data.TRIGGER, *data.STEPS))
    steps = ", ".join(f"event = '{name}'" for name in data.STEPS)
    tuples = []
    for name, start, end in data.bounds():
        inside = f"at >= {start} AND at < {end}"
        tuples.append(
            f"('{name}', argMinIf(variant, at, event = '{data.TRIGGER}' AND {inside}), "
            f"windowFunnelIf({data.WINDOW})(toUInt64(at), event = '{data.TRIGGER}' AND at < {end}, "
            f"{steps}, at >= {start} AND at <= {end + data.WINDOW}), "
            f"minIf(variant, {inside}) = maxIf(variant, {inside}))"
        )
    structure = (
        "customer_id Int64, event String, occurred_at DateTime64(6, \\'UTC\\'), variant String"
    )
    query = f"""
        SELECT entrant.1 AS iteration, entrant.2 AS variant, entrant.3 AS level, count()
        FROM (
            SELECT arrayJoin([{", ".join(tuples)}]) AS entrant
            FROM (
                SELECT customer_id, event, variant, toUnixTimestamp64Micro(occurred_at) AS at
                FROM file('{path}', Parquet, '{structure}')
                WHERE event IN ({names}))
            GROUP BY customer_id)
        WHERE entrant.3 > 0 AND entrant.4
        GROUP BY iteration, variant, level
        SETTINGS max_threads = {THREADS}"""
    rows = [line.split("\t") for line in str(chdb.query(query, "TSV")).splitlines()]
    reached: dict[str, list[int]] = defaultdict(lambda: [0] * (len(data.STEPS) + 1))
    for iteration, variant, level, count in rows:
        for step in range(int(level)):
            reached[f"{iteration}/{variant}"][step] += int(count)
    return dict(reached)


def polars(path: Path) -> Answer:
    """Entrants, then one join and one minimum per step, each run on the streaming engine."""
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars as pl

    start, length = data.START, data.ITERATION_DAYS * data.DAY
    at, event, variant = pl.col("at"), pl.col("event"), pl.col("variant")
    flow = pl.scan_parquet(path).filter(event.is_in([data.TRIGGER, *data.STEPS]))
    log = flow.with_columns(
        at=pl.col("occurred_at").dt.epoch("us"),
        variant=variant.cast(pl.Enum(list(data.VARIANTS))).to_physical(),
    )
    entrants = (
        log.filter(at.is_between(start, start + length * len(data.ITERATIONS), closed="left"))
        .group_by("customer_id", nth=((at - start) // length).cast(pl.Int8))
        .agg(
            now=pl.when(event == data.TRIGGER).then("at").min(),
            variant=variant.min(),
            other=variant.max(),
        )
        .filter(pl.col("now").is_not_null(), variant == pl.col("other"))
        .with_columns(last=pl.col("now") + data.WINDOW)
        .collect(engine="streaming")
        .with_row_index("entrant")
    )
    rows = (
        log.filter(event != data.TRIGGER)
        .select("customer_id", "at", "event")
        .join(entrants.lazy().select("entrant", "customer_id", "now", "last"), on="customer_id")
        .filter(at >= pl.col("now"), at <= pl.col("last"))
        .select("entrant", "at", "event")
        .collect(engine="streaming")
    )
    answer: Answer = defaultdict(list)

    def count(reached: pl.DataFrame) -> None:
        found = entrants.join(reached, on="entrant", how="semi").group_by("nth", "variant").len()
        for nth, group, number in found.iter_rows():
            answer[f"{data.ITERATIONS[nth]}/{data.VARIANTS[group]}"].append(number)

    reached = entrants.select("entrant", "now")
    count(reached)
    for step in data.STEPS:
        reached = (
            rows.lazy()
            .filter(event == step)
            .join(reached.lazy(), on="entrant")
            .filter(at >= pl.col("now"))
            .group_by("entrant")
            .agg(now=at.min())
            .collect(engine="streaming")
        )
        count(reached)
    return dict(answer)


def single_aggregation(path: Path) -> Answer:
    """The least that anything must do: read the file and group it by customer, once."""
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS})
    found = connection.execute(
        """
        SELECT count(*), epoch_us(min(first)), epoch_us(max(last)), sum(events) FROM (
            SELECT customer_id, min(occurred_at) AS first, max(occurred_at) AS last,
                count(*) AS events
            FROM read_parquet($1) GROUP BY customer_id)""",
        [str(path)],
    ).fetchone()
    assert found is not None
    return {"customers": [int(found[0])], "events": [int(found[3])]}


PEERS: dict[str, Callable[[Path], Answer]] = {
    "workbench": workbench,
    "clickhouse": clickhouse,
    "polars": polars,
    "single-aggregation": single_aggregation,
}


def main(peer: str, path: Path) -> None:
    if hasattr(os, "sched_setaffinity"):  # as many processors for each, on any machine
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    started = time.perf_counter()
    answer = PEERS[peer](path)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    print(json.dumps({"answer": answer, "seconds": seconds, "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
