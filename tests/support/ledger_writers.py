"""Records for tests, and many processes that write them, all at once or until they are killed.

The processes are a script, so that they fork from a process that has no threads:
`ledger_writers.py together|killed LOCATION FOLDER ...`. It prints, as JSON, what the calls of
`record` that returned have said.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from workbench.errors import StudyError
from workbench.experiments.ledger import FinalVerdict, Ledger, Look, Registration

WRITERS = 20
OWN = 2
ROUNDS = 6
CLAIM = ("Preview helps", 1, "group=preview")


def registration(version: int = 1, arm: str = CLAIM[2], **fields: object) -> Registration:
    every = {"metric": "imported", "alternative": "greater", "alpha": 0.05, **fields}
    return Registration(CLAIM[0], version, arm, every)


def look(fingerprint: str, iteration: str = "2026.1", **values: object) -> Look:
    numbers = {"estimate": 0.2, "low": 0.05, "high": 0.34, "confidence_level": 0.9, "pvalue": 0.01}
    known = {"hypothesis": CLAIM[0], "version": CLAIM[1], "arm": CLAIM[2]}
    return Look(
        **{
            **known,
            "iteration": iteration,
            "as_of": "2026-02-02T00:00:00+00:00",
            "analysis": "fixed",
            "control_converted": 48,
            "control_closed": 80,
            "treatment_converted": 56,
            "treatment_closed": 70,
            "fingerprint": fingerprint,
            **numbers,
            **values,
        }
    )


def verdict(fingerprint: str, iteration: str = "2026.1", **values: object) -> FinalVerdict:
    known = {"hypothesis": CLAIM[0], "version": CLAIM[1], "arm": CLAIM[2]}
    said = {"verdict": "supported", "success": True, "pvalue": 0.01, "sentence": "It helps."}
    return FinalVerdict(
        **{**known, "iteration": iteration, "fingerprint": fingerprint, **said, **values}
    )


@contextmanager
def connected(ledger: Ledger) -> Iterator[Connection]:
    """Reach a ledger's database as another program would."""
    with ledger.place.engine(write=True).connect() as connection:
        yield connection


def refused(ledger: Ledger, said: str, new: Look | None = None, *, write: bool = True) -> None:
    """Hold the one sentence of an error to its words."""
    use = partial(ledger.record, registration(), new or look("a")) if write else ledger.export
    with pytest.raises(StudyError) as caught:
        use()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def fork(work: Callable[[], None]) -> int:
    """Run some work in a process of its own, and give its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def together(location: str, folder: Path) -> Iterator[list[object]]:
    """Let every writer record the same looks as the others and looks of its own, at one moment."""
    heard, told = os.pipe()
    wait, go = os.pipe()

    def write(writer: int) -> None:
        os.close(go)
        os.read(wait, 1)
        ledger = Ledger.at(location, folder)
        for name in ("same", *(f"own-{writer}-{number}" for number in range(OWN)), "same"):
            done = ledger.record(
                registration(), look(name), verdict("same") if name == "same" else None
            )
            said = [name, done.look_number, done.new, done.verdict_new]
            os.write(told, f"{json.dumps(said)}\n".encode())

    children = [fork(lambda writer=writer: write(writer)) for writer in range(WRITERS)]
    os.close(go)
    os.close(told)
    with os.fdopen(heard) as lines:
        yield from map(json.loads, lines)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * WRITERS


def killed(location: str, folder: Path, seed: int) -> Iterator[list[object]]:
    """Kill writers at random moments, again and again, and give what they had been told."""
    chance = random.Random(seed)  # noqa: S311 -- moments, not secrets
    for attempt in range(ROUNDS):
        heard, told = os.pipe()

        def write(writer: int, attempt: int = attempt, told: int = told) -> None:
            ledger = Ledger.at(location, folder)
            for number in range(100_000):
                name = f"{attempt}-{writer}-{number}"
                done = ledger.record(registration(), look(name))
                os.write(told, f"{json.dumps([name, done.look_number])}\n".encode())

        children = [fork(lambda writer=writer, write=write: write(writer)) for writer in range(4)]
        os.close(told)
        with os.fdopen(heard) as lines:
            if attempt:  # in the first round, some die before there is a table
                yield json.loads(lines.readline())
            for child in children:
                time.sleep(chance.random() * 0.03)
                os.kill(child, signal.SIGKILL)
            for child in children:
                os.waitpid(child, 0)
            yield from map(json.loads, lines)


if __name__ == "__main__":
    mode, where, beside, *more = sys.argv[1:]
    Ledger.at(where, Path(beside)).export()  # loads the driver once, for all of them
    results = {"together": together, "killed": killed}[mode](where, Path(beside), *map(int, more))
    sys.stdout.write(json.dumps(list(results)))
