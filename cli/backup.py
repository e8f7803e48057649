"""``noctis backup`` and ``noctis restore``: the embedded platform as one file, and back."""

import json as json_format
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from filelock import FileLock, Timeout

from cli.auditing import record
from cli.local import DEFAULT_VAR, Var, database_url, run_file
from cli.output import Json, out, print_json, progress
from noctis.errors import ConfigurationError, NoctisError
from noctis.storage import dumps
from noctis.storage.engine import create, transaction
from noctis.storage.migrate import upgrade
from noctis.storage.server import PostgresServer

__all__ = ["backup", "restore"]

FORMAT: Final = 1
NOTE_S: Final = 5.0
MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
KEPT: Final = ("models", "keys", "credentials.json")
"""What of the platform's folder goes along with its database."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is: its format, when it was begun (UTC), and by which PostgreSQL."""

    format: int
    begun_at: str
    postgres: int


def backup(
    target: Annotated[Path, typer.Argument(help="the file to write")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Write the platform into one file: database, models, keys, credentials.

    It may run meanwhile: the database is taken as of one moment. Only its owner may read the
    file, which holds every secret of the platform. It appears under its name once it is whole.
    """
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".backup-") as name:
        folder = Path(name)
        with _running(var) as url:
            progress("writing the database")
            major = dumps.dump(url, folder / DUMP, copies=folder)
            _note(url, "backup_made", target.name)
        manifest = Manifest(FORMAT, begun, major)
        (folder / MANIFEST).write_text(json_format.dumps(asdict(manifest)) + "\n")
        _pack(folder, var, target)
    size = target.stat().st_size
    if json:
        print_json({"backup": str(target), "bytes": size, **asdict(manifest)})
    else:
        out.print(f"{target}: {size / 2**20:.1f} MiB, as of {begun}")


def restore(
    source: Annotated[Path, typer.Argument(help="a file of noctis backup")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Make the platform of a backup below an empty --var; then start it with 'noctis up'.

    What devices had acknowledged since the backup is missing then: 'noctis device resend
    TENANT/DEVICE --missing' brings it back from their flash, 198 days of it.
    """
    with _locked(var), tempfile.TemporaryDirectory(dir=var, prefix=".restore-") as name:
        manifest = _unpack(source, Path(name))
        unfinished = [entry for entry in (*KEPT, "postgres") if (var / entry).exists()]
        if unfinished:
            message = f"{var} has a platform already: {', '.join(unfinished)}"
            raise ConfigurationError(message, hint="name another folder with --var, or move it")
        progress("filling the database")
        with PostgresServer(var / "postgres") as server:
            dumps.load(server.url, Path(name) / DUMP, copies=Path(name))
            upgrade(server.url)
            _note(server.url, "restored", manifest.begun_at)
        for entry in KEPT:
            if (Path(name) / entry).exists():
                (Path(name) / entry).rename(var / entry)
    if json:
        print_json({"restored": str(var), **asdict(manifest)})
    else:
        out.print(f"{var} is as of {manifest.begun_at}; start it with: noctis up --var {var}")


def _note(url: str, action: str, target: str) -> None:
    """Write it into the audit of that database; a backup is good without, and says so."""
    engine = create(url, application="noctis-cli", connections=1)
    try:
        with transaction(engine, NOTE_S) as connection:
            record("", connection, action, target)
    except NoctisError as error:
        progress(f"the audit lacks this: {error.message}")
    finally:
        engine.dispose()


@contextmanager
def _running(var: Path) -> Iterator[str]:
    """Yield the address of the platform's database, which is started where none runs."""
    is_embedded = any((var / name).exists() for name in ("ports.json", "postgres"))
    if run_file(var).exists() or not is_embedded:
        yield database_url(var)
        return
    with _locked(var), PostgresServer(var / "postgres") as server:
        yield server.url


@contextmanager
def _locked(var: Path) -> Iterator[None]:
    """Keep ``noctis up`` from the folder."""
    var.mkdir(parents=True, exist_ok=True)
    lock = FileLock(var / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = f"a platform runs on {var}"
        raise ConfigurationError(message, hint="stop it first, or name another --var") from None
    try:
        yield
    finally:
        lock.release()


def _pack(folder: Path, var: Path, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w") as archive:
                for entry in (MANIFEST, DUMP):
                    archive.add(folder / entry, entry)
                for entry in KEPT:
                    if (var / entry).exists():
                        archive.add(var / entry, entry)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _unpack(source: Path, folder: Path) -> Manifest:
    """Unpack a backup; the filter lets no entry out of the folder, none be a device."""
    try:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        manifest = Manifest(**json_format.loads((folder / MANIFEST).read_text()))
    except (OSError, tarfile.TarError, ValueError, TypeError) as error:
        message = f"{source} is no backup of Noctis: {error}"
        raise ConfigurationError(
            message, hint="name a file that noctis backup wrote"
        ) from error
    if manifest.format != FORMAT:
        message = f"{source} has the format {manifest.format}; this Noctis reads {FORMAT}"
        raise ConfigurationError(message, hint="restore it with the Noctis that wrote it")
    return manifest
