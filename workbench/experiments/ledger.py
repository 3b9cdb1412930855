"""The ledger: an append-only record of registrations, looks and final verdicts."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Self, TypeVar

from sqlalchemy import Connection, func, insert, select

from workbench.errors import StudyError
from workbench.experiments.findings import Finding
from workbench.experiments.ledger_storage import (
    RECORDS,
    Database,
    database,
    reading,
    use_newest_format,
    writing,
)
from workbench.experiments.seals import Seal, SealedSeries, news
from workbench.schema.hypothesis import UNQUALIFIED, Qualifier

OF_ONE_ARM = frozenset({"treatment"})
HORIZON_FIELD = "discovery_horizon"  # of the study; what the first record says stands for all
AGAIN = "evaluated again on other data"
KEY = ("hypothesis", "version", "arm", "iteration")
Key = tuple[str, int, str, str]
# Ledgers of format 1 hold a verdict and its qualifier as one text, in these words.
LABEL_OF_FORMAT_1 = re.compile(
    r"(?P<verdict>[^,:]+)(?:(?P<early>: looked early)"
    r"|, but (?P<metrics>.+) (?P<verb>is|are) (?P<state>at risk|pending))?"
)


@dataclass(frozen=True)
class Registration:
    """The frozen fields of a version of a hypothesis, for one of its arms; they never change again.

    Args:
        hypothesis: The name of the hypothesis.
        version: Its version, from 1.
        arm: The treatment cohort.
        fields: The frozen fields by name: text, numbers, yes or no, and lists and mappings of these.
            A field that is None counts as absent, so fields that a later workbench adds do not
            change what was registered before.

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
        """Pickle the fields as a plain mapping."""
        return Registration, (self.hypothesis, self.version, self.arm, plain(self.fields))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the fields as canonical JSON: equal fields have equal digests."""
        return hashlib.sha256(written(self.fields).encode()).hexdigest()

    def changes(self, now: Registration) -> tuple[str, ...]:
        """Return the fields that another registration of the version changes, in words.

        Arms of one version may differ in their treatment.

        >>> first = Registration("Preview", 1, "group=preview", {"alpha": 0.05, "looks": None})
        >>> first.changes(Registration("Preview", 1, "group=preview", {"alpha": 0.1}))
        ('alpha from 0.05 to 0.1',)
        """
        apart = {HORIZON_FIELD, *(OF_ONE_ARM if now.arm != self.arm else ())}
        names = [*self.fields, *(name for name in now.fields if name not in self.fields)]
        return tuple(
            f"{name} from {_said(self.fields.get(name))} to {_said(now.fields.get(name))}"
            for name in names
            if name not in apart and self.fields.get(name) != now.fields.get(name)
        )


@dataclass(frozen=True)
class Look:
    """One look: an arm of a version, evaluated on an iteration's data.

    `fingerprint` identifies the data: evaluating the same version on the same data again is no new
    look. `as_of` is the time as of which the data were read, in ISO format. Effect and interval are
    fractions. `discovery_pvalue` is for the list of discoveries. `apart` has the four counts without
    customers of earlier versions, where there are any, and how many these are. Numbers that the
    analysis does not have are NaN.
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
    discovery_pvalue: float = math.nan
    last_evalue: float = math.nan
    apart: Sequence[int] = ()

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True)
class FinalVerdict:
    """The final verdict of an iteration on an arm of a version.

    `verdict` is one word, such as "supported", and `qualifier` holds what restricts it, such as a
    guardrail at risk. `success` is true for a supported hypothesis whose guardrails all hold.
    `pvalue` is the one that the stream of all final verdicts takes; NaN where there is none, as for
    an invalid comparison. `sentence` is what the reader was told.
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


Record = Registration | Look | FinalVerdict | Seal | SealedSeries | Finding
R = TypeVar("R", bound=Record)
KINDS: Mapping[str, type[Record]] = MappingProxyType(
    {each.KIND: each for each in (Registration, Look, FinalVerdict, Seal, SealedSeries, Finding)}
)


@dataclass(frozen=True)
class Stored(Generic[R]):
    """A record as the ledger holds it: its id, which is its place among all records, and its time.

    `corrects` is the id of the record that this one corrects, and `reason` says why.
    """

    id: int
    recorded_at: datetime
    record: R
    corrects: int | None = None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """Return the record as one row of plain values."""
        return {
            "id": self.id,
            "kind": self.record.KIND,
            "recorded_at": self.recorded_at.isoformat(),
            "corrects": self.corrects,
            "reason": self.reason,
            **content(self.record),
        }


def content(record: Record) -> dict[str, Any]:
    """Return a record as plain values for JSON; `restored` reads them back.

    NaN becomes None, and an infinite number its name.
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
    """Return canonical JSON of a plain value: sorted keys, no spaces."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def frozen(value: Any, name: str) -> Any:
    """Return an immutable copy of a plain value, in which equal numbers are the same.

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
    """Return a copy of a frozen value that is made of dictionaries and lists."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def chains(records: Iterable[Stored[R]]) -> list[list[Stored[R]]]:
    """Group each record with its corrections, in the order of the first of each group."""
    found: dict[int, list[Stored[R]]] = {}
    for each in records:
        chain = found[each.id] = [] if each.corrects is None else found[each.corrects]
        chain.append(each)
    return [chain for first, chain in found.items() if chain[0].id == first]


def standing(records: Iterable[Stored[R]]) -> tuple[Stored[R], ...]:
    """Return the records that stand: each correction replaces what it corrects."""
    return tuple(chain[-1] for chain in chains(records))


def _settle(record: Look | FinalVerdict) -> None:
    """Convert numbers of other libraries to Python's own, and None to NaN."""
    for each in fields(record):
        value = getattr(record, each.name)
        if each.type == "int":
            value = operator.index(value)
        elif each.type == "float":
            value = math.nan if value is None or math.isnan(float(value)) else float(value)
        elif each.type == "bool":
            value = bool(value)
        elif each.type == "Sequence[int]":
            value = tuple(map(operator.index, value))
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


Known = TypeVar("Known", Registration, Look, FinalVerdict, Seal, SealedSeries, Finding)


@dataclass(frozen=True)
class Recorded:
    """The result of `Ledger.record`.

    `look_number` counts the looks of the version, arm and iteration from 1. `new` and `verdict_new`
    say whether the look and the verdict were added. `verdict` is the final verdict that stands now,
    if any: not the one passed in where its data are on record already and other data came later.
    """

    look_number: int
    new: bool
    verdict_new: bool = False
    verdict: Stored[FinalVerdict] | None = None


@dataclass(frozen=True)
class Ledger:
    """The append-only record of one study's registrations, looks, final verdicts and findings.

    The database refuses to change or delete records, whatever program asks for it. Any number of
    processes may record at once. Reading a ledger that does not exist finds nothing and creates
    nothing.

    >>> ledger = Ledger.at("ledger.db", Path("a-new-study"))
    >>> ledger, ledger.export()
    (<Ledger a-new-study/ledger.db>, [])
    """

    place: Database
    study: str = ""

    @classmethod
    def at(cls, location: str, folder: Path, study: str = "") -> Self:
        """Return the ledger at a location; nothing is opened yet.

        Args:
            location: A path relative to `folder`, or a PostgreSQL URL without a password. The
                password comes from the environment variable `WORKBENCH_LEDGER_PASSWORD` or
                `PGPASSWORD`, or from `~/.pgpass`.
            folder: The study's folder.
            study: The name of the study, which separates studies that share a database.

        Raises:
            StudyError: For a password in the URL, another scheme, or a driver that is missing.
        """
        return cls(database(location, folder), study)

    def __repr__(self) -> str:
        """Name the location."""
        return f"<Ledger {self.place}>"

    def record(
        self, registration: Registration, look: Look, verdict: FinalVerdict | None = None
    ) -> Recorded:
        """Record a look together with its version's registration and its final verdict, if any.

        This is one transaction: all of it is recorded, or nothing. What is on record already is not
        added again: a registration with the same fields, a look or a final verdict on the same data.
        A final verdict on other data corrects the one before.

        Raises:
            StudyError: If the version is registered with other fields, or the ledger cannot be
                written.
            ValueError: If registration, look and verdict do not belong together.
        """
        _belong_together(registration, look, verdict)
        with writing(self.place) as connection:
            session = _Session(connection, self.study)
            session.register(registration)
            looks = chains(session.find(Look, key(look)))
            number, new = _place(looks, look.fingerprint)
            if new:
                session.append(look)
            concluded = False if verdict is None else session.conclude(verdict)
            final = session.find(FinalVerdict, key(look))
        return Recorded(number, new, concluded, final[-1] if final else None)

    def seal(self, seals: Iterable[Seal], series: Iterable[SealedSeries] = ()) -> int:
        """Record the counts and series that say something new, and return how many there were."""
        with writing(self.place) as connection:
            session = _Session(connection, self.study)
            added: list[Seal | SealedSeries] = [
                *news((each.record for each in session.find(Seal)), seals),
                *news((each.record for each in session.find(SealedSeries)), series),
            ]
            for each in added:
                session.append(each)
        return len(added)

    def learn(self, findings: Iterable[Finding]) -> int:
        """Record the findings that are not on record yet, all or none, and return how many."""
        with writing(self.place) as connection:
            session = _Session(connection, self.study)
            known = {each.record.fingerprint for each in session.find(Finding)}
            added = {each.fingerprint: each for each in findings if each.fingerprint not in known}
            for each in added.values():
                session.append(each)
        return len(added)

    def findings(self) -> tuple[Stored[Finding], ...]:
        """Return all findings in order, as corrected."""
        return standing(self._of(Finding))

    def seals(self) -> tuple[Stored[Seal], ...]:
        """Return all counts on record, in order."""
        return self._of(Seal)

    def series(self) -> tuple[Stored[SealedSeries], ...]:
        """Return all series on record, in order."""
        return self._of(SealedSeries)

    def correct(self, record_id: int, record: Look | FinalVerdict | Finding, *, reason: str) -> int:
        """Append a correction of a look, final verdict or finding, and return its id.

        Args:
            record_id: The id of the record to correct, as `export` shows it.
            record: The record that takes its place.
            reason: Why it is corrected, for readers.

        Raises:
            StudyError: If there is no such record, it is of another kind, version, arm or
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
            if (was.KIND, key(was)) != (record.KIND, key(record)):
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
        """Return the registration of an arm of a version, if there is one."""
        found = self._of(Registration, (hypothesis, version, arm))
        return found[0].record if found else None

    def looks(
        self, hypothesis: str, version: int, arm: str, iteration: str
    ) -> tuple[Stored[Look], ...]:
        """Return the looks at an arm of a version in an iteration, in order, as corrected."""
        return standing(self._of(Look, (hypothesis, version, arm, iteration)))

    def all_looks(self) -> tuple[Stored[Look], ...]:
        """Return all looks in order, as corrected."""
        return standing(self._of(Look))

    def registrations(self) -> tuple[Stored[Registration], ...]:
        """Return all registrations in order."""
        return self._of(Registration)

    @property
    def horizon(self) -> int | None:
        """How many hypotheses the list of discoveries counts, as the first record says.

        None for an empty ledger, and for one that began before there was a horizon.
        """
        known = self.registrations()
        found = known[0].record.fields.get(HORIZON_FIELD) if known else None
        return None if found is None else int(found)

    def verdicts(self) -> tuple[Stored[FinalVerdict], ...]:
        """Return all final verdicts and their corrections, each at its own place."""
        return self._of(FinalVerdict)

    def export(self) -> list[dict[str, Any]]:
        """Return every record of the study in order, as rows of plain values.

        The first five keys are common to all kinds of record; the others differ. NaN is None.
        """
        with reading(self.place) as connection:
            if connection is None:
                return []
            return [each.row() for each in _Session(connection, self.study).every()]

    def _of(self, kind: type[Known], where: tuple[Any, ...] = ()) -> tuple[Stored[Known], ...]:
        with reading(self.place) as connection:
            if connection is None:
                return ()
            return tuple(_Session(connection, self.study).find(kind, where))


@dataclass(frozen=True)
class _Session:
    """One study's records over one connection."""

    connection: Connection
    study: str

    def every(self, **where: Any) -> list[Stored[Any]]:
        """Read the records with these values in these columns, in order."""
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

    def find(self, kind: type[Known], where: tuple[Any, ...] = ()) -> list[Stored[Known]]:
        """Read the records of a kind whose key begins with these values."""
        return self.every(kind=kind.KIND, **dict(zip(KEY, where, strict=False)))

    def append(self, record: Record, *, corrects: int | None = None, reason: str = "") -> int:
        """Write a record under the next id, and return the id."""
        use_newest_format(self.connection)
        last = self.connection.execute(select(func.max(RECORDS.c.id))).scalar_one() or 0
        values = {
            "id": last + 1,
            "kind": record.KIND,
            "study": self.study,
            **dict(zip(KEY, key(record), strict=True)),
            "fingerprint": getattr(record, "fingerprint", ""),
            "content": written(content(record)),
            "recorded_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "corrects": corrects,
            "reason": reason,
        }
        self.connection.execute(insert(RECORDS).values(values))
        return last + 1

    def register(self, registration: Registration) -> None:
        """Write a new registration; raise StudyError if it changes what is registered."""
        claim = registration.hypothesis, registration.version
        arms = {each.record.arm: each.record for each in self.find(Registration, claim)}
        for each in (arms.get(registration.arm), *arms.values()):
            if each is not None and (changes := each.changes(registration)):
                raise StudyError(_changed(registration, changes))
        if registration.arm not in arms:
            self.append(registration)

    def conclude(self, verdict: FinalVerdict) -> bool:
        """Write a final verdict unless there is one on the same data, and say whether it was written."""
        earlier = self.find(FinalVerdict, key(verdict))
        if any(each.record.fingerprint == verdict.fingerprint for each in earlier):
            return False
        if earlier:
            self.append(verdict, corrects=earlier[-1].id, reason=AGAIN)
        else:
            self.append(verdict)
        return True


def _place(looks: list[list[Stored[Look]]], fingerprint: str) -> tuple[int, bool]:
    """Return the number of the look at these data, and whether it is new."""
    for number, chain in enumerate(looks, 1):
        if any(each.record.fingerprint == fingerprint for each in chain):
            return number, False
    return len(looks) + 1, True


def key(record: Record) -> Key:
    """Return hypothesis, version, arm and iteration of a record; a registration has no iteration."""
    return record.hypothesis, record.version, record.arm, getattr(record, "iteration", "")


def _named(record: Record) -> str:
    hypothesis, version, arm, iteration = key(record)
    return f"{hypothesis!r}, version {version}, {arm}, {iteration}"


def _changed(registration: Registration, changes: tuple[str, ...]) -> str:
    name, version = registration.hypothesis, registration.version
    return (
        f"hypothesis {name!r} is registered as version {version}, and the study file has changed "
        f"{' and '.join(changes)}; raise its version to {version + 1}, or change that back"
    )


def _belong_together(registration: Registration, look: Look, verdict: FinalVerdict | None) -> None:
    if key(registration)[:3] != key(look)[:3]:
        msg = f"the look is at {_named(look)}, the registration is of {_named(registration)}"
        raise ValueError(msg)
    if verdict is not None and (key(verdict), verdict.fingerprint) != (
        key(look),
        look.fingerprint,
    ):
        msg = f"the verdict on {_named(verdict)} does not rest on the look at {_named(look)}"
        raise ValueError(msg)


def read_label(label: str) -> tuple[str, Qualifier]:
    """Split the label of a ledger of format 1 into the verdict and its qualifier.

    >>> read_label("supported, but imported and renewals are at risk")
    ('supported', Qualifier(at_risk=('imported', 'renewals'), pending=(), early=False))
    """
    found = LABEL_OF_FORMAT_1.fullmatch(label)
    if found is None:
        return label, UNQUALIFIED
    verdict = found["verdict"]
    if found["early"]:
        return verdict, Qualifier(early=True)
    if not found["metrics"]:
        return verdict, UNQUALIFIED
    # After "is" stands one metric, which may have an "and" in its name.
    one = found["verb"] == "is"
    metrics = (found["metrics"],) if one else tuple(found["metrics"].split(" and "))
    if found["state"] == "at risk":
        return verdict, Qualifier(at_risk=metrics)
    return verdict, Qualifier(pending=metrics)
