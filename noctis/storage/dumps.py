"""A database as one file and back: pg_dump and pg_restore, of the server's own version."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, make_url, text

from noctis.errors import ConfigurationError, ProcessError
from noctis.storage.binaries import find
from noctis.storage.engine import create, transaction
from noctis.storage.timescale import Edition, edition

__all__ = ["dump", "load", "server_major"]

LONGEST_S: Final = 12 * 3600.0
SECONDS: Final = 30.0


def server_major(connection: Connection) -> int:
    """Return the server's major version."""
    number: str = connection.execute(text("SHOW server_version_num")).scalar_one()
    return int(number) // 10_000


def dump(url: str, target: Path, *, copies: Path) -> int:
    """Write the database at ``url`` into a file, as of one moment; return its major version.

    The format is pg_dump's own, compressed. ``copies`` is where PostgreSQL's programs from
    the wheel may be put. Raise ConfigurationError where there is no pg_dump of that version,
    ProcessError where it fails.
    """
    engine = create(url, application="noctis-backup", connections=1)
    try:
        with transaction(engine, SECONDS) as connection:
            major = server_major(connection)
    finally:
        engine.dispose()
    arguments = ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"]
    _run(_program("pg_dump", major, copies), url, arguments)
    return major


def load(url: str, source: Path, *, copies: Path) -> None:
    """Fill the empty database at ``url`` from a file of ``dump``; all of it or nothing.

    Raise ConfigurationError where there is no pg_restore of that version, ProcessError where
    it fails.
    """
    engine = create(url, application="noctis-restore", connections=1)
    try:
        with transaction(engine, SECONDS) as connection:
            major = server_major(connection)
            is_plain = edition(connection) is Edition.NONE
    finally:
        engine.dispose()
    if not is_plain:
        message = "a database with TimescaleDB is not restored by this command"
        raise ConfigurationError(message, hint="docs/data-care.md says how it is done")
    arguments = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
    _run(_program("pg_restore", major, copies), url, [*arguments, str(source)])


def _program(name: str, major: int, copies: Path) -> str:
    beside = Path(find(major=major, copies=copies, user=None).program(name))
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        message = f"{name} of PostgreSQL {major} is not installed"
        hint = "install PostgreSQL's client programs, or set NOCTIS_POSTGRES_BIN"
        raise ConfigurationError(message, hint=hint)
    return found


def _run(program: str, url: str, arguments: Sequence[str]) -> None:
    """Run a program on the database; the password goes through its environment alone."""
    parsed = make_url(url)
    shown = parsed.set(drivername="postgresql", password=None)
    dbname = f"--dbname={shown.render_as_string(hide_password=False)}"
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
        [program, dbname, *arguments],
        env={**os.environ, "PGPASSWORD": str(parsed.password or "")},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode:
        message = f"{Path(program).name} failed: {done.stderr.strip()[-500:]}"
        raise ProcessError(message, hint="is there space, and is the version the server's?")
