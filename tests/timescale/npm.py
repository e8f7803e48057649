"""A real TimescaleDB out of the npm registry, one session at a time; for tests alone."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from noctis.childproc import Child
from noctis.storage import migrate
from tests import npm_packages

__all__ = ["NAME", "emptied", "running"]

NAME: Final = "npm"
"""What stands for it in NOCTIS_TEST_TIMESCALE_URL."""

START_S: Final = 60.0


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """An empty database with TimescaleDB for as long as the block runs; its URL."""
    log = folder / f"timescale-{time.monotonic_ns()}.log"
    child = Child(["node", str(_program())], log=log, environment=dict(os.environ))
    try:
        yield f"postgresql://postgres:any@{_address(child, log)}/postgres?sslmode=disable"
    finally:
        child.kill()


@contextmanager
def emptied(url: str) -> Iterator[str]:
    """The database without any table of ours, when the block begins and when it has ended."""
    migrate.downgrade(url, "base")
    try:
        yield url
    finally:
        migrate.downgrade(url, "base")


def _program() -> Path:
    """Return the server's program, installed beside what it needs."""
    return npm_packages.installed(Path(__file__).parent, "server.mjs") / "server.mjs"


def _address(child: Child, log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        told = log.read_text() if log.exists() else ""
        if told.endswith("\n"):
            return told.split()[-1]
        assert child.exit_code is None, child.tail()
        time.sleep(0.05)
    raise AssertionError(child.tail())
