"""Time learning metrics against their peers on one log, and say which targets are reached.

`python benchmarks/flow.py` runs all of it on 10 million events; `--million 1 --runs 1` is a quick
look.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flow_data

HERE = Path(__file__).resolve().parent
GIB = 2**30
HEAVY = ("matplotlib", "statsmodels", "papermill", "IPython")


@dataclass(frozen=True)
class Run:
    """One process: its wall time, the part spent on the question, its peak memory, its answer."""

    wall: float
    inside: float
    peak: int
    answer: dict[str, list[int]]


def run(peer: str, path: Path) -> Run:
    """Put the question to a peer in a process of its own."""
    found, wall, peak = process([str(HERE / "flow_peers.py"), peer, str(path)])
    return Run(wall=wall, inside=found["seconds"], peak=peak, answer=found["answer"])


def process(arguments: list[str]) -> tuple[dict[str, Any], float, int]:
    """Run Python; give the JSON of its last line, its wall time and its peak memory in bytes."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{arguments} ended with exit code {child.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return json.loads(output.splitlines()[-1]), wall, usage.ru_maxrss * scale


def alternate(peers: list[str], path: Path, runs: int) -> dict[str, list[Run]]:
    """Run each peer `runs` times, in turn and every other time backwards."""
    found: dict[str, list[Run]] = {peer: [] for peer in peers}
    run(peers[0], path)  # fills the file cache, for all of them
    for number in range(runs):
        for peer in peers if number % 2 == 0 else peers[::-1]:
            found[peer].append(run(peer, path))
    return found


def target(name: str, value: float, limit: float, unit: str = "") -> bool:
    """Print whether a target is reached."""
    good = value <= limit
    said = "reached" if good else f"not reached: {value:.2f} instead of {limit:g}{unit}"
    print(f"  {name}: {value:.2f}{unit} (at most {limit:g}{unit}): {said}")
    return good


def compare_counts(path: Path) -> bool:
    """Check that all peers give the same counts where they read the log the same way."""
    answers = {peer: run(peer, path).answer for peer in ("workbench", "clickhouse", "polars")}
    same = all(answer == answers["workbench"] for answer in answers.values())
    said = "all equal" if same else "NOT EQUAL"
    print(f"Counts of {', '.join(answers)} on the plain log: {said}")
    if not same:
        for peer, answer in answers.items():
            print(f"  {peer}: {dict(sorted(answer.items()))}")
    return same


def flow_targets(path: Path, runs: int) -> list[bool]:
    """Time the question on `path`."""
    found = alternate(["workbench", "clickhouse", "polars", "single-aggregation"], path, runs)
    print(f"\n{'':20}{'whole process':>14}{'the question':>14}{'peak memory':>14}{'ours is':>10}")
    wall = {
        peer: statistics.median(each.wall for each in each_run) for peer, each_run in found.items()
    }
    inside = {
        peer: statistics.median(each.inside for each in each_run)
        for peer, each_run in found.items()
    }
    peak = {peer: max(each.peak for each in each_run) for peer, each_run in found.items()}
    for peer in found:
        ratio = wall["workbench"] / wall[peer]
        print(
            f"{peer:20}{wall[peer]:12.2f} s{inside[peer]:12.2f} s{peak[peer] / GIB:10.2f} GiB"
            f"{ratio:9.2f}x"
        )
    print()
    return [
        target("against ClickHouse", wall["workbench"] / wall["clickhouse"], 0.8, "x"),
        target(
            "against a single aggregation", wall["workbench"] / wall["single-aggregation"], 3, "x"
        ),
        target("peak memory", peak["workbench"] / GIB, 4, " GiB"),
    ]


def linearity(folder: Path, million: float, runs: int) -> bool:
    """Time the question, without start-up, from a tenth of the log to all of it."""
    print("\nGrowth (the question alone):")
    cost = {}
    for share in (0.1, 0.3, 1.0):
        path = flow_data.write(sized(million * share), folder)
        seconds = statistics.median(run("workbench", path).inside for _ in range(runs))
        cost[share] = seconds / (million * share)
        print(
            f"  {million * share:5.1f} million events: {seconds:6.2f} s, "
            f"{cost[share]:.3f} s a million"
        )
    return target("cost of an event in all, to that in a tenth", cost[1.0] / cost[0.1], 1.1, "x")


INFERENCE = """
import json, time
from workbench import Counts, compare
started = time.perf_counter()
found = compare(control=Counts(96, 200), treatment=Counts(117, 200), test="exact",
                interval="exact")
print(json.dumps({"seconds": time.perf_counter() - started, "test": found.test,
                  "low": found.low, "high": found.high, "pvalue": found.pvalue}))
"""

IMPORT = f"""
import json, sys, time
started = time.perf_counter()
import workbench
seconds = time.perf_counter() - started
print(json.dumps({{"seconds": seconds, "heavy": [m for m in {HEAVY!r} if m in sys.modules]}}))
"""


def single_targets(runs: int) -> list[bool]:
    """Time exact inference (the first call of a process) and the import."""
    print("\nStart-up and inference:")
    inference = [process(["-c", INFERENCE])[0]["seconds"] for _ in range(runs)]
    imports = [process(["-c", IMPORT])[0] for _ in range(runs)]
    seconds = statistics.median(each["seconds"] for each in imports)
    heavy = sorted({name for each in imports for name in each["heavy"]})
    light = not heavy
    print(
        f"  import workbench: {seconds:.2f} s; without {', '.join(HEAVY)}: "
        + ("reached" if light else f"not reached: loads {', '.join(heavy)}")
    )
    return [
        target("exact test and interval, 200 + 200", statistics.median(inference), 0.5, " s"),
        light,
    ]


FRAMES = """
import sys
from workbench.reports import hypothesis_report
report = hypothesis_report.begin(study=sys.argv[1], iteration=sys.argv[2], as_of="")
report.study.learning_metrics(by=report.by, **report.at).to_pickle(sys.argv[3] + "/metrics.pkl")
report.effects().to_pickle(sys.argv[3] + "/effects.pkl")
print("{}")
"""

YARDSTICK = (
    "import pandas as pd\nimport workbench.study\nfrom workbench import cards, plots, readings, tables",
    "plots.flow_figures(pd.read_pickle('metrics.pkl'))",
    "plots.rates_figure(pd.read_pickle('metrics.pkl'))",
    "plots.effects_figures(pd.read_pickle('effects.pkl'))",
)


def report_target(runs: int) -> bool:
    """Time a report against papermill on a notebook with the report's imports and figures."""
    import nbformat

    study, iteration = HERE.parent / "studies" / "guided-import" / "study.yaml", "2026.3"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process(["-c", FRAMES, str(study), iteration, name])
        cells = [nbformat.v4.new_code_cell(source) for source in YARDSTICK]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "yardstick.ipynb")
        papermill = ["papermill", "--no-progress-bar", "yardstick.ipynb", "out.ipynb"]
        report = ["workbench", "report", str(study), "--iteration", iteration, "--output", "out"]
        seconds: dict[str, list[float]] = {"papermill": [], "report": []}
        for number in range(runs):
            pair = [("papermill", papermill), ("report", report)]
            for what, command in pair if number % 2 == 0 else pair[::-1]:
                started = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-m", *command], cwd=folder, check=True, capture_output=True
                )
                seconds[what].append(time.perf_counter() - started)
    middle = {what: statistics.median(each) for what, each in seconds.items()}
    print(
        f"\nReport: {middle['report']:.2f} s; papermill, same imports and figures: "
        f"{middle['papermill']:.2f} s"
    )
    return target("report against papermill", middle["report"] / middle["papermill"], 1.3, "x")


def sized(million: float) -> flow_data.Size:
    """A log of so many million events, with 130,000 customers a million."""
    return flow_data.Size(rows=round(million * 1e6), customers=round(million * 130_000))


def main() -> int:
    """Run what is asked for; the exit code is 0 only when every target is reached."""
    parser = argparse.ArgumentParser(description="Time learning metrics against their peers.")
    parser.add_argument("--million", type=float, default=10.0, help="million events (10)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each peer (5)")
    parser.add_argument("--folder", type=Path, default=HERE / "data", help="where logs are kept")
    parser.add_argument("--only", choices=("flow", "growth", "single", "report"), default=None)
    options = parser.parse_args()
    wanted = (options.only,) if options.only else ("flow", "growth", "single", "report")
    reached: list[bool] = []
    print(f"{options.million:g} million events, {options.runs} runs each, {os.cpu_count()} cores")
    if "flow" in wanted:
        plain = flow_data.write_plain(sized(options.million / 10), options.folder)
        path = flow_data.write(sized(options.million), options.folder)
        reached.append(compare_counts(plain))
        reached += flow_targets(path, options.runs)
    if "growth" in wanted:
        reached.append(linearity(options.folder, options.million, options.runs))
    if "single" in wanted:
        reached += single_targets(options.runs)
    if "report" in wanted:
        reached.append(report_target(options.runs))
    print(f"\n{sum(reached)} of {len(reached)} targets reached")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
