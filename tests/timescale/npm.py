"""A real TimescaleDB out of the npm registry, one session at a time; for tests alone."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

from noctis.childproc import Child
from noctis.storage import migrate

__all__ = ["NAME", "emptied", "running"]

NAME: Final = "npm"
"""What stands for it in NOCTIS_TEST_TIMESCALE_URL."""

HERE: Final = Path(__file__).parent
FILES: Final = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
TARGET: Final = HERE.parents[1] / "build" / "timescale"
INSTALL_S: Final = 120
START_S: Final = 60.0


def _installed() -> Path:
    """Return the server's program, installed under ``build/`` when it is not yet."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("TimescaleDB of the npm registry needs node (20 or newer) and npm")
    TARGET.mkdir(parents=True, exist_ok=True)
    with FileLock(TARGET / ".lock"):
        lock = (HERE / "package-lock.json").read_bytes()
        done = TARGET / "installed-lock.json"
        for name in FILES:
            shutil.copyfile(HERE / name, TARGET / name)
        if not done.exists() or done.read_bytes() != lock:
            _install()
            done.write_bytes(lock)
    return TARGET / "server.mjs"


def _install() -> None:
    done = subprocess.run(
        ["npm", "ci", "--no-progress"],
        cwd=TARGET,
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    if done.returncode:
        told = f"npm ci failed: {done.stderr[-500:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """An empty database with TimescaleDB for as long as the block runs; its URL."""
    log = folder / f"timescale-{time.monotonic_ns()}.log"
    child = Child(["node", str(_installed())], log=log, environment=dict(os.environ))
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


def _address(child: Child, log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        told = log.read_text() if log.exists() else ""
        if told.endswith("\n"):
            return told.split()[-1]
        assert child.exit_code is None, child.tail()
        time.sleep(0.05)
    raise AssertionError(child.tail())
