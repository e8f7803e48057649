"""Small disks that fill up."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest

FILLER = "filler"
TRIES = 20


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a disk of that size on a new ``folder``; only root may."""
    folder.mkdir()
    options = f"size={mebibytes}m,mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "noctis-test", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@cache
def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as name:
        try:
            with small_disk(Path(name) / "disk", 1):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


needs_small_disk = pytest.mark.skipif(
    os.geteuid() != 0 or not can_mount(),
    reason="only root, where it may mount, can make a small disk",
)


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Fill the small disk of ``folder`` but for ``leave`` bytes; return the file that does.

    Space is taken, not written: whoever takes some meanwhile makes it fail, and then less is.
    """
    filler = folder / FILLER
    with filler.open("wb") as file:
        for _ in range(TRIES):
            state, size = os.statvfs(folder), os.fstat(file.fileno()).st_size
            free = state.f_bavail * state.f_frsize - leave
            if free <= 0:
                break
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, size + free)
    return filler
