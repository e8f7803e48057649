"""The platform that a command works on: the one that runs under a folder, or the settings'."""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.profiles import check_local
from noctis import settings
from noctis.storage.engine import Connection, Engine, create, transaction

__all__ = [
    "DEFAULT_VAR",
    "Var",
    "connected",
    "database_url",
    "engine_of",
    "opened",
    "operator",
    "run_file",
]

Var = Annotated[
    Path, typer.Option("--var", envvar="NOCTIS_VAR", help="Folder of the platform's files.")
]
"""The option ``--var``."""
DEFAULT_VAR: Final = Path("var")

SECONDS: Final = 30.0


def run_file(var: Path) -> Path:
    """Return where a running platform tells its addresses and process ids."""
    return var / "run.json"


def database_url(var: Path) -> str:
    """Return the address of the database: of the platform that runs on ``var``, else as set.

    Raise ConfigurationError where commands are to ask a facade.
    """
    check_local()
    return _address(var)


def _address(var: Path) -> str:
    try:
        content = json.loads(run_file(var).read_text("utf-8"))
    except (OSError, ValueError):
        return settings.load().database_url.get_secret_value()
    url: str = content["database_url"]
    return url


def operator() -> str:
    """Return who works at the command line, as the audit names him: ``cli:ann``."""
    try:
        return f"cli:{os.environ.get('SUDO_USER') or getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"cli:{os.getuid()}"


@contextmanager
def opened(var: Path, *, seconds: float = SECONDS) -> Iterator[Connection]:
    """Yield a connection in a transaction that is committed when the block ends well."""
    with connected(var) as engine, transaction(engine, seconds=seconds) as connection:
        yield connection


@contextmanager
def connected(var: Path) -> Iterator[Engine]:
    """Yield an engine, for work of more than one transaction."""
    check_local()
    with engine_of(var) as engine:
        yield engine


@contextmanager
def engine_of(var: Path) -> Iterator[Engine]:
    """Yield an engine of this machine's own platform, whatever the profile."""
    engine = create(_address(var), application="noctis-cli")
    try:
        yield engine
    finally:
        engine.dispose()
