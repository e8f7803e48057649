"""The platform that a command works on: the one that runs under a folder, or the settings'."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from noctis import settings
from noctis.storage.engine import Connection, Engine, create, transaction

__all__ = ["DEFAULT_VAR", "Var", "connected", "database_url", "opened", "run_file"]

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
    """Return the address of the database: of the platform that runs on ``var``, else as set."""
    try:
        content = json.loads(run_file(var).read_text("utf-8"))
    except (OSError, ValueError):
        return settings.load().database_url.get_secret_value()
    url: str = content["database_url"]
    return url


@contextmanager
def opened(var: Path, *, seconds: float = SECONDS) -> Iterator[Connection]:
    """Yield a connection in a transaction that is committed when the block ends well."""
    with connected(var) as engine, transaction(engine, seconds=seconds) as connection:
        yield connection


@contextmanager
def connected(var: Path) -> Iterator[Engine]:
    """Yield an engine, for work of more than one transaction."""
    engine = create(database_url(var), application="noctis-cli")
    try:
        yield engine
    finally:
        engine.dispose()
