"""The disks: whether each folder has room, and whether we may write there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site

__all__ = ["look"]

_topic: Final = Topic("disk")
LEAST: Final = 512 << 20
LITTLE: Final = 2 << 30
LITTLE_SHARE: Final = 0.05
FEW_INODES: Final = 1000


def look(site: Site) -> Iterator[Finding]:
    """Ask the file systems of every folder of the platform, each one once."""
    seen: set[int] = set()
    for name, folder in _folders(site):
        if not folder.exists():
            continue
        device = folder.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield _room(name, folder)
        if not os.access(folder, os.R_OK | os.X_OK):
            yield _topic.warning(
                "no-access",
                f"this user may not look into {folder}",
                means="the doctor sees less than the platform does",
                cure="run it as the user that the platform runs as",
                of=name,
            )


def _folders(site: Site) -> Iterator[tuple[str, Path]]:
    yield "var", site.var
    server = None if site.is_at_rest else site.server().state
    if server is not None and server.folder and site.run:
        yield "database", Path(server.folder)
    for name in ("models", "log", "firmware", "postgres", "broker"):
        yield name, site.var / name


def _room(name: str, folder: Path) -> Finding:
    usage, inodes = shutil.disk_usage(folder), os.statvfs(folder)
    free = f"{usage.free >> 20:,} MiB of {usage.total >> 20:,} are free for {name} ({folder})"
    few = inodes.f_files > 0 and inodes.f_favail < FEW_INODES
    if usage.free < LEAST or few:
        return _topic.fault(
            "full",
            f"no more files fit on the disk of {name} ({folder})" if few else f"only {free}",
            means="the database stops to take writes, and then ends; nothing is stored",
            cure="make room; noctis storage show and noctis tenant retention say what takes it",
            of=name,
        )
    if usage.free < min(LITTLE, LITTLE_SHARE * usage.total):
        return _topic.warning(
            "little",
            f"only {free}",
            means="at the pace of its devices it will be full in days (docs/storage.md)",
            cure="make room, or a larger disk; shorten retention: noctis tenant retention",
            of=name,
        )
    return _topic.ok("room", free, of=name)
