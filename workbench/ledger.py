"""The ledger: an append-only record of registrations, looks and verdicts across iterations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, func, insert, select

from workbench.databases import RECORDS, Database, database, reading, writing
from workbench.errors import StudyError
from workbench.records import (
    FinalVerdict,
    Look,
    Record,
    Registration,
    Stored,
    chains,
    content,
    restored,
    standing,
    written,
)

AGAIN = "evaluated again on other data"
KEY = ("hypothesis", "version", "arm", "iteration")
Key = tuple[str, int, str, str]
R = TypeVar("R", Registration, Look, FinalVerdict)


@dataclass(frozen=True)
class Recorded:
    """What a call of `record` did.

    `look_number` is the look's place among those of its version, arm and iteration, from 1.
    `new` says whether the look was not on record before, `verdict_new` the same of the verdict.
    `verdict` is the final one that stands now, if any: another one than was given where its data
    were seen before and other data came since.
    """

    look_number: int
    new: bool
    verdict_new: bool = False
    verdict: Stored[FinalVerdict] | None = None


@dataclass(frozen=True)
class Ledger:
    """The append-only record of one study's registrations, looks and verdicts.

    Nothing in it is ever changed or taken out, also not by other programs: the database refuses.
    Any number of processes may record at once. Reading a ledger that does not exist yet finds
    nothing and makes nothing.

    >>> ledger = Ledger.at("ledger.db", Path("a-new-study"))
    >>> ledger, ledger.export()
    (<Ledger a-new-study/ledger.db>, [])
    """

    place: Database
    study: str = ""

    @classmethod
    def at(cls, location: str, folder: Path, study: str = "") -> Self:
        """Give the ledger at a path, seen from the study's folder, or at a PostgreSQL URL.

        A URL holds no password: it comes from the environment variable
        `WORKBENCH_LEDGER_PASSWORD` or `PGPASSWORD`, or from `~/.pgpass`. Studies that share a
        database are told apart by `study`. Nothing is opened yet.

        Raises:
            StudyError: for a password in the URL, another scheme, or a driver that is missing.
        """
        return cls(database(location, folder), study)

    def __repr__(self) -> str:
        """Name where the ledger lies."""
        return f"<Ledger {self.place}>"

    def record(
        self, registration: Registration, look: Look, verdict: FinalVerdict | None = None
    ) -> Recorded:
        """Put a look on record, with the registration of its version, and its final verdict.

        All of it is on record when this returns, and nothing if it raises. What is on record
        already is not added again: a registration with the same fields, a look or a final verdict
        on the same data. A final verdict on other data is a correction of the one before.

        Raises:
            StudyError: if the version is registered with other fields, or the ledger cannot be
                written.
        """
        _belong_together(registration, look, verdict)
        with writing(self.place) as connection:
            session = _Session(connection, self.study)
            session.register(registration)
            looks = chains(session.find(Look, _key(look)))
            number, new = _place(looks, look.fingerprint)
            if new:
                session.append(look)
            concluded = False if verdict is None else session.conclude(verdict)
            final = session.find(FinalVerdict, _key(look))
        return Recorded(number, new, concluded, final[-1] if final else None)

    def correct(self, record_id: int, record: Look | FinalVerdict, *, reason: str) -> int:
        """Append a record that takes the place of another one, and say why; give its id.

        Raises:
            StudyError: if there is no such record, it is of another kind, version, arm or
                iteration, it is corrected already, or no reason is given.
        """
        if not reason.strip():
            msg = f"the correction of record {record_id} gives no reason; say why it is made"
            raise StudyError(msg)
        with writing(self.place) as connection:
            session = _Session(connection, self.study)
            found = session.every(id=record_id)
            if not found:
                msg = f"the ledger {self.place} holds no record {record_id} of this study"
                raise StudyError(msg)
            was = found[0].record
            if isinstance(was, Registration):
                msg = (
                    f"record {record_id} is a registration, which nothing corrects; raise the "
                    f"version of {was.hypothesis!r} above {was.version}"
                )
                raise StudyError(msg)
            if (was.KIND, _key(was)) != (record.KIND, _key(record)):
                msg = (
                    f"record {record_id} is the {was.KIND} of {_named(was)}; a correction is of "
                    f"the same, and this is the {record.KIND} of {_named(record)}"
                )
                raise StudyError(msg)
            if later := session.every(corrects=record_id):
                msg = f"record {record_id} is corrected by record {later[0].id}; correct that one"
                raise StudyError(msg)
            return session.append(record, corrects=record_id, reason=reason.strip())

    def registration(self, hypothesis: str, version: int, arm: str) -> Registration | None:
        """Give what is registered of an arm of a version."""
        found = self._of(Registration, (hypothesis, version, arm))
        return found[0].record if found else None

    def looks(
        self, hypothesis: str, version: int, arm: str, iteration: str
    ) -> tuple[Stored[Look], ...]:
        """Give the looks at an arm of a version in an iteration, in order; corrections in place."""
        return standing(self._of(Look, (hypothesis, version, arm, iteration)))

    def all_looks(self) -> tuple[Stored[Look], ...]:
        """Give all looks in order; corrections in the place of what they correct."""
        return standing(self._of(Look))

    def registrations(self) -> tuple[Stored[Registration], ...]:
        """Give all registrations in order."""
        return self._of(Registration)

    def verdicts(self) -> tuple[Stored[FinalVerdict], ...]:
        """Give all final verdicts in order; a correction stands at its own place, after its cause."""
        return self._of(FinalVerdict)

    def export(self) -> list[dict[str, Any]]:
        """Give every record of the study in order, as rows of plain values.

        NaN is None in them, and each kind has its own keys after the first five.
        """
        with reading(self.place) as connection:
            if connection is None:
                return []
            return [each.row() for each in _Session(connection, self.study).every()]

    def _of(self, kind: type[R], key: tuple[Any, ...] = ()) -> tuple[Stored[R], ...]:
        with reading(self.place) as connection:
            if connection is None:
                return ()
            return tuple(_Session(connection, self.study).find(kind, key))


@dataclass(frozen=True)
class _Session:
    """One study's records over one connection."""

    connection: Connection
    study: str

    def every(self, **where: Any) -> list[Stored[Any]]:
        """Read the records with these values in their columns, in order."""
        wanted = [
            RECORDS.c[name] == value for name, value in (("study", self.study), *where.items())
        ]
        return [
            Stored(
                row.id,
                datetime.fromisoformat(row.recorded_at),
                restored(row.kind, json.loads(row.content)),
                row.corrects,
                row.reason,
            )
            for row in self.connection.execute(
                select(RECORDS).where(*wanted).order_by(RECORDS.c.id)
            )
        ]

    def find(self, kind: type[R], key: tuple[Any, ...] = ()) -> list[Stored[R]]:
        """Read the records of a kind: of an iteration, of a version, or all."""
        return self.every(kind=kind.KIND, **dict(zip(KEY, key, strict=False)))

    def append(self, record: Record, *, corrects: int | None = None, reason: str = "") -> int:
        """Write a record, with the number after the last one's."""
        last = self.connection.execute(select(func.max(RECORDS.c.id))).scalar_one() or 0
        values = {
            "id": last + 1,
            "kind": record.KIND,
            "study": self.study,
            **dict(zip(KEY, _key(record), strict=True)),
            "fingerprint": getattr(record, "fingerprint", ""),
            "content": written(content(record)),
            "recorded_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "corrects": corrects,
            "reason": reason,
        }
        self.connection.execute(insert(RECORDS).values(values))
        return last + 1

    def register(self, registration: Registration) -> None:
        """Write a registration that is new; refuse one that changes what is registered."""
        claim = registration.hypothesis, registration.version
        arms = {each.record.arm: each.record for each in self.find(Registration, claim)}
        for each in (arms.get(registration.arm), *arms.values()):
            if each is not None and (changes := each.changes(registration)):
                raise StudyError(_changed(registration, changes))
        if registration.arm not in arms:
            self.append(registration)

    def conclude(self, verdict: FinalVerdict) -> bool:
        """Write a final verdict, unless there is one on the same data."""
        earlier = self.find(FinalVerdict, _key(verdict))
        if any(each.record.fingerprint == verdict.fingerprint for each in earlier):
            return False
        if earlier:
            self.append(verdict, corrects=earlier[-1].id, reason=AGAIN)
        else:
            self.append(verdict)
        return True


def _place(looks: list[list[Stored[Look]]], fingerprint: str) -> tuple[int, bool]:
    """Give the number of the look at these data, and whether it is a new one."""
    for number, chain in enumerate(looks, 1):
        if any(each.record.fingerprint == fingerprint for each in chain):
            return number, False
    return len(looks) + 1, True


def _key(record: Record) -> Key:
    return record.hypothesis, record.version, record.arm, getattr(record, "iteration", "")


def _named(record: Record) -> str:
    hypothesis, version, arm, iteration = _key(record)
    return f"{hypothesis!r}, version {version}, {arm}, {iteration}"


def _changed(registration: Registration, changes: tuple[str, ...]) -> str:
    name, version = registration.hypothesis, registration.version
    return (
        f"hypothesis {name!r} is registered as version {version}, and the study file has changed "
        f"{' and '.join(changes)}; raise its version to {version + 1}, or change that back"
    )


def _belong_together(registration: Registration, look: Look, verdict: FinalVerdict | None) -> None:
    if _key(registration)[:3] != _key(look)[:3]:
        msg = f"the look is at {_named(look)}, the registration is of {_named(registration)}"
        raise ValueError(msg)
    if verdict is not None and (_key(verdict), verdict.fingerprint) != (
        _key(look),
        look.fingerprint,
    ):
        msg = f"the verdict on {_named(verdict)} does not rest on the look at {_named(look)}"
        raise ValueError(msg)
