"""What a ledger holds: registrations, looks and verdicts as frozen values."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cached_property
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

OF_ONE_ARM = frozenset({"treatment"})


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

    `pvalue` is what the stream of tests across iterations uses; NaN where there is none, as for an
    invalid comparison. `success` says whether the verdict is a win if it also counts as a discovery:
    supported, and no guardrail failed.
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
        name: _number_out(value) if isinstance(value, float) else value
        for name, value in asdict(record).items()
    }


def restored(kind: str, values: Mapping[str, Any]) -> Record:
    """Build a record from its plain values."""
    return KINDS[kind](**{name: value for name, value in values.items() if name != "digest"})


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
        elif value is not None:
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
