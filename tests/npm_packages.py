"""Packages of the npm registry that tests need: installed under ``build/``, by their lock."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock

__all__ = ["installed"]

FILES: Final = ("package.json", "package-lock.json", ".npmrc")
BUILD: Final = Path(__file__).parents[1] / "build"
INSTALL_S: Final = 120


def installed(source: Path, *programs: str) -> Path:
    """Return the folder with the packages that ``source`` locks, and its programs beside.

    Where npm is missing, or out of reach, the test is skipped; in CI that is a failure.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("this needs node (20 or newer) and npm")
    target = BUILD / source.name
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / ".lock"):
        lock = (source / "package-lock.json").read_bytes()
        done = target / "installed-lock.json"
        for name in (*FILES, *programs):
            shutil.copyfile(source / name, target / name)
        if not done.exists() or done.read_bytes() != lock:
            _install(target)
            done.write_bytes(lock)
    return target


def _install(target: Path) -> None:
    done = subprocess.run(
        ["npm", "ci", "--no-progress"],
        cwd=target,
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
