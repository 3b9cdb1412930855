"""Where ledgers lie: paths and URLs, passwords, and what is wrong with a file or a server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from support.ledger_writers import connected, look, refused, registration
from support.postgres import GUEST, GUEST_PASSWORD, UNPRIVILEGED

from workbench.errors import StudyError
from workbench.experiments import ledger_storage
from workbench.experiments.ledger import Ledger


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("mysql://me@host/db", "the ledger's URL begins with 'mysql'; a ledger is a file, such as"),
        ("sqlite:///ledger.db", "begins with 'sqlite'; a ledger is a file, such as ledger.db, or"),
        ("postgresql:host/db", "the ledger's URL cannot be read; write it as postgresql://user@h"),
        ("postgresql://me@host:port/db", "the ledger's URL cannot be read"),
    ],
)
def test_locations_that_are_none(location, said, tmp_path):
    with pytest.raises(StudyError) as caught:
        Ledger.at(location, tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://me:5ecret@host/db",
        "postgresql+psycopg://me:5ecret@host/db",
        "postgres://me:5ecret/x@host/db",
        "postgresql://host/db?user=me&password=5ecret",
        "postgresql://host/db?sslpassword=5ecret",
        "host=here password=5ecret",
        "postgresql://me:5ecret",
        "mysql://me:5ecret@host/db",
    ],
)
def test_a_password_in_the_study_file_is_refused_and_never_repeated(location, tmp_path):
    with pytest.raises(StudyError) as caught:
        Ledger.at(location, tmp_path)
    assert "5ecret" not in str(caught.value)
    if "@" in location and "mysql" not in location:
        assert "take it out: it comes from the environment variable WORKB" in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_urls_of_postgresql_name_the_same_place(scheme, tmp_path):
    ledger = Ledger.at(f"{scheme}://me@db.example/shared", tmp_path)
    assert repr(ledger) == "<Ledger shared at db.example>"
    assert ledger == Ledger.at("postgresql://me@db.example/shared", tmp_path)


def test_paths_are_seen_from_the_study(tmp_path):
    assert repr(Ledger.at("ledger.db", tmp_path)) == f"<Ledger {tmp_path / 'ledger.db'}>"
    assert Ledger.at(str(tmp_path / "a.db"), Path("/elsewhere")).place.path == tmp_path / "a.db"


@pytest.mark.parametrize("name", ["a b.db", "50%41?mode=ro#x&y.db", "größer.db", "it's.db"])
def test_files_may_have_any_name(tmp_path, name):
    ledger = Ledger.at(name, tmp_path)
    ledger.record(registration(), look("a"))
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert len(ledger.all_looks()) == 1


def test_a_missing_driver_says_which_extra_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(ledger_storage, "find_spec", lambda _: None)
    with pytest.raises(StudyError, match=r'install it: pip install "workbench\[postgres\]"'):
        Ledger.at("postgresql://me@host/db", tmp_path)


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_ledger(tmp_path, write):
    (tmp_path / "ledger.db").write_text("hypothesis,version\n" * 100, encoding="utf-8")
    refused(Ledger.at("ledger.db", tmp_path), "it is no SQLite database; name another", write=write)
    assert (tmp_path / "ledger.db").stat().st_size == 1900


@pytest.mark.parametrize("write", [True, False])
def test_a_folder_is_no_ledger(tmp_path, write):
    refused(Ledger.at(".", tmp_path), "is a folder; name a file, such as ledger.db", write=write)


def test_a_folder_that_is_missing(tmp_path):
    ledger = Ledger.at("no/ledger.db", tmp_path)
    assert ledger.export() == []
    refused(ledger, f"the ledger's folder {tmp_path / 'no'} does not exist; make it, or name")


def test_an_empty_file_is_an_empty_ledger(tmp_path):
    (tmp_path / "ledger.db").touch()
    ledger = Ledger.at("ledger.db", tmp_path)
    assert ledger.export() == []
    assert ledger.record(registration(), look("a")).look_number == 1


def test_a_ledger_that_is_broken_says_so(tmp_path):
    ledger = Ledger.at("ledger.db", tmp_path)
    ledger.record(registration(), look("a"))
    whole = ledger.place.path.read_bytes()
    ledger.place.path.write_bytes(whole[:4096] + b"\0" * (len(whole) - 4096))
    refused(ledger, "cannot be used (", write=False)


@pytest.fixture
def shared() -> Iterator[Path]:
    """Give a folder that other users may enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as a user whom rights of files bind."""
    if os.geteuid():
        yield
        return
    import pwd

    os.seteuid(pwd.getpwnam(UNPRIVILEGED).pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files are those of POSIX here")
def test_a_ledger_that_may_only_be_read(shared):
    ledger = Ledger.at("ledger.db", shared)
    ledger.record(registration(), look("a"))
    ledger.place.path.chmod(0o444)
    shared.chmod(0o555)
    try:
        with unprivileged():
            assert len(ledger.all_looks()) == 1
            seen = ledger.record(registration(), look("a"))
            assert (seen.look_number, seen.new) == (1, False)
            refused(ledger, "is read-only; recording needs the right to write it", look("b"))
            refused(Ledger.at("new.db", shared), "new.db cannot be opened; it and its folder")
    finally:
        shared.chmod(0o755)


@pytest.fixture
def interrupted(shared) -> Ledger:
    """Give a ledger whose writer was killed when a part of a record was in the file."""
    ledger = Ledger.at("ledger.db", shared)
    ledger.record(registration(), look("a"))
    with connected(ledger) as connection:
        connection.exec_driver_sql("PRAGMA cache_size = 1")
        ledger.place.lock(connection)
        for number in range(3, 30):
            connection.exec_driver_sql(
                "INSERT INTO workbench_ledger SELECT ?, kind, study, hypothesis, version, arm, "
                "iteration, ?, hex(zeroblob(4000)), recorded_at, corrects, reason "
                "FROM workbench_ledger WHERE id = 2",
                (number, str(number)),
            )
        for each in ("ledger.db", "ledger.db-journal"):
            (shared / f"cut-{each}").write_bytes((shared / each).read_bytes())
    return Ledger.at("cut-ledger.db", shared)


def test_what_a_killed_writer_left_half_done_is_taken_back(interrupted):
    path = interrupted.place.path
    held, journal = path.stat().st_size, path.with_name("cut-ledger.db-journal")
    assert held > 100_000
    assert [row["id"] for row in interrupted.export()] == [1, 2]
    assert path.stat().st_size < held
    assert not journal.exists()
    assert interrupted.record(registration(), look("b")).look_number == 2


def test_a_reader_who_may_not_take_it_back_says_who_must(interrupted):
    interrupted.place.path.chmod(0o444)
    with unprivileged():
        refused(interrupted, "has to be opened once by someone who may write it", write=False)


def test_a_server_that_cannot_be_reached(tmp_path):
    ledger = Ledger.at("postgresql://me@127.0.0.1:1/db", tmp_path)
    refused(ledger, "the ledger db at 127.0.0.1 cannot be reached (", write=False)


def test_a_user_who_may_only_read(postgresql, schema, tmp_path):
    ledger = Ledger.at(schema, tmp_path)
    ledger.record(registration(), look("a"))
    name = schema.partition("%3D")[2]
    reader = f"r{name}"
    with connected(ledger) as connection:
        connection.execute(text(f"CREATE ROLE {reader} LOGIN"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {name} TO {reader}"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {reader}"))
        connection.commit()
    other = Ledger.at(schema.replace("//workbench@", f"//{reader}@"), tmp_path)
    assert other.export() == ledger.export()
    refused(
        other,
        "is read-only for this user (permission denied for table workbench_ledger)",
        look("b"),
    )


def test_a_password_comes_from_the_environment_and_goes_nowhere(
    postgresql, schema, tmp_path, monkeypatch
):
    name = schema.partition("%3D")[2]
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with connected(Ledger.at(schema, tmp_path)) as connection:
        connection.execute(text(f"DROP ROLE IF EXISTS {GUEST}"))
        connection.execute(text(f"CREATE ROLE {GUEST} LOGIN PASSWORD '{GUEST_PASSWORD}'"))
        connection.execute(text(f"GRANT ALL ON SCHEMA {name} TO {GUEST}"))
        connection.commit()
    ledger = Ledger.at(schema.replace("//workbench@", f"//{GUEST}@"), tmp_path)
    refused(ledger, "the password comes from the environment variable WORKBENCH_LEDGER_PASSWORD")
    monkeypatch.setenv("WORKBENCH_LEDGER_PASSWORD", "wrong password")
    refused(ledger, "does not let this user in (")
    monkeypatch.setenv("WORKBENCH_LEDGER_PASSWORD", GUEST_PASSWORD)
    ledger.record(registration(), look("a"))
    monkeypatch.delenv("WORKBENCH_LEDGER_PASSWORD")
    monkeypatch.setenv("PGPASSWORD", GUEST_PASSWORD)
    assert GUEST_PASSWORD not in f"{ledger!r} {ledger.place!r} {ledger.export()}"
    assert len(ledger.all_looks()) == 1
    with connected(ledger) as connection:
        connection.execute(text(f"DROP OWNED BY {GUEST} CASCADE"))
        connection.commit()
