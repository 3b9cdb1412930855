"""The ledger: an append-only record of registrations, looks and verdicts across iterations."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Self, TypeVar

from sqlalchemy import Connection, func, insert, select

from workbench.errors import StudyError
from workbench.experiments.ledger_storage import (
    RECORDS,
    Database,
    database,
    reading,
    use_newest_format,
    writing,
)
from workbench.experiments.qualifier import UNQUALIFIED, Qualifier, read_label

OF_ONE_ARM = frozenset({"treatment"})
AGAIN = "evaluated again on other data"
KEY = ("hypothesis", "version", "arm", "iteration")
Key = tuple[str, int, str, str]


@dataclass(frozen=True)
class Registration:
    """What a version of a hypothesis claims, for one of its arms; fixed once it is on record.

    `arm` is the treatment cohort. `fields` maps the names of the frozen fields to plain values:
    text, numbers, yes or no, lists and mappings of these. One that is None counts as not there,
    so that fields which a later workbench adds do not change what was registered before.

    >>> Registration("Preview", 1, "group=preview", {"metric": "imported", "alpha": 0.05}).digest[:8]
    '78f971f7'
    """

    KIND: ClassVar[str] = "registration"

    hypothesis: str
    version: int
    arm: str
    fields: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", operator.index(self.version))
        object.__setattr__(self, "fields", frozen(self.fields, "fields"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields as the plain mapping that they came as."""
        return Registration, (self.hypothesis, self.version, self.arm, plain(self.fields))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the fields, written in one way: equal fields have equal digests."""
        return hashlib.sha256(written(self.fields).encode()).hexdigest()

    def changes(self, now: Registration) -> tuple[str, ...]:
        """Say which fields another registration of the version changes: `alpha from 0.05 to 0.1`.

        Between arms, the field that tells them apart may differ.

        >>> first = Registration("Preview", 1, "group=preview", {"alpha": 0.05, "looks": None})
        >>> first.changes(Registration("Preview", 1, "group=preview", {"alpha": 0.1}))
        ('alpha from 0.05 to 0.1',)
        """
        apart = OF_ONE_ARM if now.arm != self.arm else frozenset()
        names = [*self.fields, *(name for name in now.fields if name not in self.fields)]
        return tuple(
            f"{name} from {_said(self.fields.get(name))} to {_said(now.fields.get(name))}"
            for name in names
            if name not in apart and self.fields.get(name) != now.fields.get(name)
        )


@dataclass(frozen=True)
class Look:
    """One evaluation of an arm of a version on an iteration's data.

    `fingerprint` tells data apart: the same version on the same data is one look, however often
    it is evaluated. `as_of` is the moment that the data are read as of, in ISO form. Numbers that
    the analysis does not give are NaN.
    """

    KIND: ClassVar[str] = "look"

    hypothesis: str
    version: int
    arm: str
    iteration: str
    as_of: str | None
    analysis: str
    control_converted: int
    control_closed: int
    treatment_converted: int
    treatment_closed: int
    fingerprint: str
    estimate: float
    low: float
    high: float
    confidence_level: float
    pvalue: float = math.nan
    evalue: float = math.nan

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True)
class FinalVerdict:
    """What an iteration says, in the end, about an arm of a version.

    `qualifier` holds what restricts the verdict, such as a guardrail at risk. `pvalue` is what the
    stream of tests across iterations uses; NaN where there is none, as for an invalid comparison.
    `success` says whether the verdict is a win if it also counts as a discovery: supported, and no
    guardrail failed.
    """

    KIND: ClassVar[str] = "verdict"

    hypothesis: str
    version: int
    arm: str
    iteration: str
    verdict: str
    success: bool
    pvalue: float
    fingerprint: str
    sentence: str
    qualifier: Qualifier = UNQUALIFIED

    @property
    def label(self) -> str:
        """The verdict and its qualifier as readers see them."""
        return self.qualifier.label(self.verdict)

    def __post_init__(self) -> None:
        _settle(self)
        if not math.isnan(self.pvalue) and not 0 <= self.pvalue <= 1:
            msg = f"pvalue is {self.pvalue:g}; it must lie between 0 and 1, or be NaN for none"
            raise ValueError(msg)


Record = Registration | Look | FinalVerdict
R = TypeVar("R", bound=Record)
KINDS: Mapping[str, type[Record]] = MappingProxyType(
    {each.KIND: each for each in (Registration, Look, FinalVerdict)}
)


@dataclass(frozen=True)
class Stored(Generic[R]):
    """A record as the ledger holds it: its place in the order of all records, and when it came.

    `corrects` is the id of the record that this one corrects, and `reason` says why.
    """

    id: int
    recorded_at: datetime
    record: R
    corrects: int | None = None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """Give the record as one row of plain values."""
        return {
            "id": self.id,
            "kind": self.record.KIND,
            "recorded_at": self.recorded_at.isoformat(),
            "corrects": self.corrects,
            "reason": self.reason,
            **content(self.record),
        }


def content(record: Record) -> dict[str, Any]:
    """Give a record as plain values: what JSON writes, and `restored` reads.

    NaN becomes None, and what is infinite its name.
    """
    if isinstance(record, Registration):
        return {
            "hypothesis": record.hypothesis,
            "version": record.version,
            "arm": record.arm,
            "digest": record.digest,
            "fields": plain(record.fields),
        }
    return {
        name: _number_out(value) if isinstance(value, float) else plain(value)
        for name, value in asdict(record).items()
    }


def restored(kind: str, values: Mapping[str, Any]) -> Record:
    """Build a record from its plain values, also from those that format 1 wrote."""
    given = {name: value for name, value in values.items() if name != "digest"}
    if kind == FinalVerdict.KIND:
        if "qualifier" in given:
            known = given["qualifier"]
            given["qualifier"] = Qualifier(
                tuple(known["at_risk"]), tuple(known["pending"]), known["early"]
            )
        else:
            given["verdict"], given["qualifier"] = read_label(given["verdict"])
    return KINDS[kind](**given)


def written(value: Any) -> str:
    """Write a plain value as JSON in one way only: keys in order, no spaces."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def frozen(value: Any, name: str) -> Any:
    """Give a plain value that cannot change; numbers that are equal come out the same.

    >>> frozen({"margin": 0.0, "looks": [1.0, 2], "window": None}, "fields")
    mappingproxy({'margin': 0, 'looks': (1, 2)})
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        number = float(value)
        return int(number) if number.is_integer() else number
    if isinstance(value, Mapping):
        kept = {str(key): frozen(each, f"{name}.{key}") for key, each in value.items()}
        return MappingProxyType({key: each for key, each in kept.items() if each is not None})
    if isinstance(value, list | tuple):
        return tuple(frozen(each, f"{name}[{number}]") for number, each in enumerate(value))
    msg = (
        f"{name} is {value!r}; a ledger holds text, finite numbers, yes or no, and lists and "
        "mappings of these"
    )
    raise ValueError(msg)


def plain(value: Any) -> Any:
    """Turn frozen mappings and tuples back into dictionaries and lists."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def chains(records: Iterable[Stored[R]]) -> list[list[Stored[R]]]:
    """Put each record together with what corrects it, in the order of the first of each."""
    found: dict[int, list[Stored[R]]] = {}
    for each in records:
        chain = found[each.id] = [] if each.corrects is None else found[each.corrects]
        chain.append(each)
    return [chain for first, chain in found.items() if chain[0].id == first]


def standing(records: Iterable[Stored[R]]) -> tuple[Stored[R], ...]:
    """Give what stands: each correction in the place of what it corrects."""
    return tuple(chain[-1] for chain in chains(records))


def _settle(record: Look | FinalVerdict) -> None:
    """Make numbers Python's own, whatever library they come from; None becomes NaN."""
    for each in fields(record):
        value = getattr(record, each.name)
        if each.type == "int":
            value = operator.index(value)
        elif each.type == "float":
            value = math.nan if value is None or math.isnan(float(value)) else float(value)
        elif each.type == "bool":
            value = bool(value)
        elif value is not None and each.type != "Qualifier":
            value = str(value)
        object.__setattr__(record, each.name, value)


def _number_out(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def _said(value: Any) -> str:
    if value is None:
        return "nothing"
    return json.dumps(plain(value), ensure_ascii=False) if not isinstance(value, str) else value


Known = TypeVar("Known", Registration, Look, FinalVerdict)


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

    def _of(self, kind: type[Known], key: tuple[Any, ...] = ()) -> tuple[Stored[Known], ...]:
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

    def find(self, kind: type[Known], key: tuple[Any, ...] = ()) -> list[Stored[Known]]:
        """Read the records of a kind: of an iteration, of a version, or all."""
        return self.every(kind=kind.KIND, **dict(zip(KEY, key, strict=False)))

    def append(self, record: Record, *, corrects: int | None = None, reason: str = "") -> int:
        """Write a record, with the number after the last one's."""
        use_newest_format(self.connection)
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
