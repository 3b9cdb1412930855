"""Databases that hold a ledger: a SQLite file or PostgreSQL, both append-only."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    DDL,
    URL,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from workbench.errors import StudyError

FORMAT = 2  # 1 held a verdict and what restricts it as one text
PATIENCE = 60
PASSWORD = "WORKBENCH_LEDGER_PASSWORD"  # noqa: S105 -- the name of a variable
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
WAYS = f"the environment variable {PASSWORD} or PGPASSWORD, or from ~/.pgpass"
PLPGSQL = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a ledger only grows'; END $$"
LOCK = int.from_bytes(b"ledger", "big")
TABLES = MetaData()
RECORDS = Table(
    "workbench_ledger",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("hypothesis", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("arm", Text, nullable=False),
    Column("iteration", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("corrects", Integer, unique=True),
    Column("reason", Text, nullable=False),
)
FORMATS = Table(
    "workbench_ledger_format",
    TABLES,
    Column("format", Integer, primary_key=True, autoincrement=False),
)
_KEY = ("study", "hypothesis", "version", "arm", "iteration")
# The same as the indexes.
_SAME = " AND ".join(f"{name} = NEW.{name}" for name in (*_KEY, "kind"))
Index(
    "workbench_ledger_once",
    *(RECORDS.c[name] for name in (*_KEY, "kind", "fingerprint")),
    unique=True,
    sqlite_where=RECORDS.c.corrects.is_(None),
    postgresql_where=RECORDS.c.corrects.is_(None),
)
Index(
    "workbench_ledger_one_verdict",
    *(RECORDS.c[name] for name in _KEY),
    unique=True,
    sqlite_where=text("kind = 'verdict' AND corrects IS NULL"),
    postgresql_where=text("kind = 'verdict' AND corrects IS NULL"),
)


def _keep(table: Table, taken: str) -> None:
    """Add triggers by which the database refuses to change or delete rows of a table.

    SQLite's INSERT OR REPLACE deletes rows without firing triggers on DELETE, so a trigger on INSERT
    refuses a row whose place is taken.
    """
    name, refuse = table.name, "BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END"
    there = f"EXISTS (SELECT 1 FROM {name} WHERE {taken})"  # noqa: S608 -- our own names
    for statement in (
        f"CREATE TRIGGER {name}_no_update BEFORE UPDATE ON {name} {refuse}",
        f"CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name} {refuse}",
        f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} WHEN {there} {refuse}",
    ):
        _after(table, "sqlite", statement)
    change = "BEFORE UPDATE OR DELETE OR TRUNCATE"
    for statement in (
        f"CREATE OR REPLACE FUNCTION workbench_ledger_keep() RETURNS trigger {PLPGSQL}",
        f"CREATE TRIGGER {name}_no_change {change} ON {name} EXECUTE FUNCTION workbench_ledger_keep()",
    ):
        _after(table, "postgresql", statement)


def _after(table: Table, dialect: str, statement: str) -> None:
    made = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(table, "after_create", made.execute_if(dialect=dialect))


_keep(FORMATS, "format = NEW.format")
_keep(
    RECORDS,
    f"id = NEW.id OR corrects = NEW.corrects OR (corrects IS NULL AND NEW.corrects IS NULL "
    f"AND {_SAME} AND (kind = 'verdict' OR fingerprint = NEW.fingerprint))",
)


class Database(Protocol):
    """A database that holds a ledger; `str` names it in sentences, without a password."""

    def exists(self) -> bool:
        """Return whether there may be a ledger to read."""

    def engine(self, *, write: bool) -> Engine:
        """Return an engine that keeps no connection open, so that processes may fork."""

    def lock(self, connection: Connection) -> None:
        """Begin a transaction that no other writer shares."""

    def explain(self, error: DBAPIError) -> str:
        """Return what an error of the database means, and the way out, in one sentence."""


@dataclass(frozen=True)
class SQLite:
    """A ledger in a file.

    It uses SQLite's rollback journal. The write-ahead log would leave two files beside the ledger
    and does not work on network drives, and a ledger has few writers, each for a moment.
    `synchronous=EXTRA` also syncs the folder, so that a committed record survives a power cut.
    """

    path: Path

    def __str__(self) -> str:
        """Return the file's path."""
        return str(self.path)

    def exists(self) -> bool:
        """Return whether the file exists."""
        return self.path.exists()

    def engine(self, *, write: bool) -> Engine:
        """Return an engine that opens the file anew for each connection; only a writer creates it."""
        if write and not self.path.parent.is_dir():
            msg = f"the ledger's folder {self.path.parent} does not exist; make it, or name another"
            raise StudyError(msg)
        if self.path.is_dir():
            msg = f"the ledger {self.path} is a folder; name a file, such as ledger.db"
            raise StudyError(msg)
        return create_engine("sqlite://", creator=lambda: self._open(write), poolclass=NullPool)

    def _open(self, write: bool) -> sqlite3.Connection:  # noqa: FBT001
        # A reader may have to roll back what a killed writer began, and so may write too.
        address = f"{self.path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
        # Without an isolation level, transactions begin where `lock` begins them.
        opened = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        opened.execute("PRAGMA synchronous = EXTRA")
        return opened

    def lock(self, connection: Connection) -> None:
        """Wait for other writers, and begin as the only one."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def explain(self, error: DBAPIError) -> str:
        """Return what an error of SQLite means, and the way out."""
        code = str(getattr(error.orig, "sqlite_errorname", ""))
        if code == "SQLITE_NOTADB":
            return f"{self} is no ledger: it is no SQLite database; name another file as `ledger`"
        if code == "SQLITE_READONLY_ROLLBACK":
            return (
                f"the ledger {self} has to be opened once by someone who may write it: a process "
                "was killed in the middle of a record, which has to be taken back"
            )
        if code.startswith("SQLITE_READONLY"):
            return f"the ledger {self} is read-only; recording needs the right to write it"
        if code.startswith("SQLITE_CANTOPEN"):
            return (
                f"the ledger {self} cannot be opened; it and its folder {self.path.parent} must be "
                "there for this user to read and, to record, to write"
            )
        if code.startswith("SQLITE_BUSY"):
            return _kept(self)
        return f"the ledger {self} cannot be used ({error.orig}); restore it from a backup"


@dataclass(frozen=True)
class PostgreSQL:
    """A ledger in a schema of a PostgreSQL database: the first one on the search path."""

    url: URL

    def __str__(self) -> str:
        """Return the names of the database and its host."""
        host = self.url.host or self.url.query.get("host") or "this machine"
        return f"{self.url.database or self.url.username} at {host}"

    def exists(self) -> bool:
        """Return True: only the server knows."""
        return True

    def engine(self, *, write: bool) -> Engine:
        """Return an engine that connects anew each time; the server decides who may write."""
        del write
        made = create_engine(self.url, poolclass=NullPool)

        @event.listens_for(made, "do_connect")
        def settle(_dialect: Any, _record: Any, _args: Any, settings: dict[str, Any]) -> None:
            settings.setdefault("connect_timeout", 10)
            settings.setdefault("application_name", "workbench")
            if password := os.environ.get(PASSWORD):
                settings["password"] = password

        return made

    def lock(self, connection: Connection) -> None:
        """Begin as the only writer, by a lock that lasts as long as the transaction."""
        connection.execute(select(func.set_config("lock_timeout", f"{PATIENCE}s", True)))  # noqa: FBT003
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))

    def explain(self, error: DBAPIError) -> str:
        """Return what an error of PostgreSQL means, and the way out."""
        reason = str(error.orig).strip().splitlines()[0].strip() if str(error.orig).strip() else ""
        for name in (PASSWORD, "PGPASSWORD"):
            if secret := os.environ.get(name):
                reason = reason.replace(secret, "***")
        state = getattr(error.orig, "sqlstate", None)
        if state in {"42501", "25006"}:
            return f"the ledger {self} is read-only for this user ({reason}); ask for the right"
        if state == "55P03":
            return _kept(self)
        if "password" in reason:
            return f"the ledger {self} does not let this user in ({reason}); the password comes from {WAYS}"
        if error.statement is None:
            return f"the ledger {self} cannot be reached ({reason}); check the server and the URL"
        return f"the ledger {self} cannot be used ({reason})"


def database(location: str, folder: Path) -> Database:
    """Return the database at a location: a path relative to the study's folder, or a PostgreSQL URL.

    Raises:
        StudyError: For a password in it, another scheme, or a driver that is not installed.
    """
    if "password=" in location.lower():
        raise StudyError(_no_password())
    scheme, colon, _ = location.partition(":")
    if not colon or len(scheme) == 1 or "/" in scheme:
        return SQLite(folder / location)
    if scheme not in SCHEMES:
        msg = (
            f"the ledger's URL begins with {scheme!r}; a ledger is a file, such as ledger.db, or "
            "PostgreSQL at postgresql://user@host/database"
        )
        raise StudyError(msg)
    try:
        url = make_url(location).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        # Its text may hold a password.
        msg = "the ledger's URL cannot be read; write it as postgresql://user@host/database"
        raise StudyError(msg) from None
    if url.password:
        raise StudyError(_no_password())
    if find_spec("psycopg") is None:
        msg = (
            'a ledger in PostgreSQL needs its driver; install it: pip install "workbench[postgres]"'
        )
        raise StudyError(msg)
    return PostgreSQL(url)


@contextmanager
def reading(place: Database) -> Iterator[Connection | None]:
    """Connect to read; None where there is no ledger yet. Nothing is created."""
    if not place.exists():
        yield None
        return
    with _in_words(place), place.engine(write=False).connect() as connection:
        yield connection if _is_there(connection, place) else None


@contextmanager
def writing(place: Database) -> Iterator[Connection]:
    """Connect as the only writer; everything is committed at the end, or nothing."""
    with _in_words(place), place.engine(write=True).connect() as connection:
        place.lock(connection)
        if not _is_there(connection, place):
            TABLES.create_all(connection, checkfirst=False)
            use_newest_format(connection)
        yield connection
        connection.commit()


def use_newest_format(connection: Connection) -> None:
    """Mark the ledger as one of this format, so that older workbenches do not read it."""
    if _format(connection) != FORMAT:
        connection.execute(insert(FORMATS).values(format=FORMAT))


def _format(connection: Connection) -> int | None:
    found: int | None = connection.execute(select(func.max(FORMATS.c.format))).scalar_one()
    return found


def _is_there(connection: Connection, place: Database) -> bool:
    if not inspect(connection).has_table(FORMATS.name):
        return False
    found = _format(connection)
    if found is not None and found > FORMAT:
        msg = (
            f"the ledger {place} was written by a newer workbench (its format is {found}, this one "
            f"knows {FORMAT}); update: pip install --upgrade workbench"
        )
        raise StudyError(msg)
    return True


@contextmanager
def _in_words(place: Database) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StudyError(place.explain(error)) from None


def _kept(place: Database) -> str:
    return f"another process has kept the ledger {place} for {PATIENCE} seconds; try again later"


def _no_password() -> str:
    return f"the ledger's URL holds a password; take it out: it comes from {WAYS}"
