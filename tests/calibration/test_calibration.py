"""The error rates that are promised: the benchmark's quick look keeps them, and says when one breaks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return pytest.importorskip("calibration")


def test_every_promise_is_kept(calibration, capsys):
    assert calibration.main(["--quick"]) == 0
    said = capsys.readouterr().out
    assert "BROKEN" not in said
    [(kept, promised)] = re.findall(r"^(\d+) of (\d+) promises kept", said, flags=re.MULTILINE)
    assert kept == promised
    for title in ("Fixed", "Anytime", "Planned looks", "Naive", "12 ideas", "Holm", "Power"):
        assert re.search(rf"^{title}", said, flags=re.MULTILINE), title


def test_a_broken_promise_fails(calibration, capsys, monkeypatch):
    def broken():
        return calibration.Part("Naive", ("share",), [("4 looks", [0.1])], "naive looks")

    monkeypatch.setattr(calibration, "jobs", lambda _: [broken])
    assert calibration.main(["--quick"]) == 1
    assert "naive looks: 10.00: BROKEN" in capsys.readouterr().out


def test_a_simulated_share_has_two_standard_errors(calibration):
    assert calibration.Promise("within", 0.059, 0.005).kept
    assert not calibration.Promise("beyond", 0.061, 0.005).kept


def test_exact_pvalues_of_streams_are_those_of_comparisons(calibration):
    from workbench.stats.proportions import Counts, compare

    for converted in ((1, 6), (7, 7), (0, 0), (10, 22)):
        control, treatment = (Counts(each, 60) for each in converted)
        found = compare(
            control=control, treatment=treatment, alternative="greater", interval="exact"
        )
        assert calibration.streams.pvalue(*converted, 60) == pytest.approx(found.pvalue)


def test_familywise_error_is_that_of_holms_method(calibration):
    """By listing every table of a control and three treatments, two of them without effect."""
    import itertools

    from workbench.stats.exact import binomials
    from workbench.stats.multiplicity import holm

    size, rates = 5, (0.4, 0.4, 0.4, 0.8)
    chances = [binomials(size, calibration.np.array([rate]))[0] for rate in rates]
    error = 0.0
    for control, *treated in itertools.product(range(size + 1), repeat=4):
        adjusted = holm([calibration.streams.pvalue(control, each, size) for each in treated])
        if min(adjusted[:2]) <= 0.05:
            counts = (control, *treated)
            error += calibration.math.prod(
                chance[count] for chance, count in zip(chances, counts, strict=True)
            )
    assert 0.001 < error <= 0.05
    assert calibration.looks.family(size, 0.4, [0, 0, 0.4]) == pytest.approx(error)
