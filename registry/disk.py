"""Writes that outlive a power cut, one step at a time; before each lies a fault point.

A file counts once its bytes are flushed, a name once its folder is: whoever writes a draft,
flushes it, renames it and flushes the folder has the whole thing or nothing.
"""

import os
from contextlib import suppress
from pathlib import Path

from noctis import faults

__all__ = ["append", "make", "remove", "rename", "sync", "write"]


def make(folder: Path) -> None:
    """Make a folder, and those above it, where there is none."""
    if folder.is_dir():
        return
    make(folder.parent)
    faults.point("registry.write")
    with suppress(FileExistsError):  # another was faster
        os.mkdir(folder)  # noqa: PTH102 - see rename
    sync(folder.parent)


def write(path: Path, content: bytes) -> None:
    """Make or replace a file's bytes, not its name: for drafts, that nobody reads yet."""
    _fill(path, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, on a line of its own even where a cut has torn the last."""
    torn = path.exists() and path.read_bytes()[-1:] not in {b"", b"\n"}
    content = b"\n" * torn + line + b"\n"
    _fill(path, content, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def rename(source: Path, target: Path) -> None:
    """Give a draft its name, in one step for whoever reads, and for good."""
    faults.point("registry.write")
    os.replace(source, target)  # noqa: PTH105 - the call that the tests cut the power at
    sync(target.parent)


def remove(path: Path) -> None:
    """Take a file's name away for good."""
    faults.point("registry.write")
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - see rename
    sync(path.parent)


def sync(folder: Path) -> None:
    """Flush the names in a folder."""
    faults.point("registry.write")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(path: Path, content: bytes, flags: int) -> None:
    faults.point("registry.write")
    descriptor = os.open(path, flags, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        faults.point("registry.write")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
