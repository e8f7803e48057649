"""Ports: whether each is free where it is to be listened on, and if not, who has it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site
from cli.ports import LOOPBACK, is_free

__all__ = ["look", "owner"]

_topic: Final = Topic("ports")
API_PORT: Final = 8000
_STATE, _LOCAL, _INODE = 3, 1, 9
_LISTENING: Final = "0A"


def look(site: Site) -> Iterator[Finding]:
    """Try to listen where a platform that does not run would; else there is nothing to try."""
    if site.run:
        count = len(site.services) + 2
        yield _topic.ok("in-use", f"the platform runs, and listens on {count} ports of its own")
        return
    if not site.is_embedded:
        return
    for name, port in {"the facade": API_PORT, **_remembered(site.var)}.items():
        if is_free(port):
            yield _topic.ok("free", f"{LOOPBACK}:{port} is free for {name}", of=name)
            continue
        option = "noctis up --api-port PORT" if port == API_PORT else "noctis up takes another"
        yield _topic.warning(
            "taken",
            f"{owner(port)} listens on {LOOPBACK}:{port}, which {name} would have",
            means="noctis up does not start there, or at another address",
            cure=f"end it, or {option}",
            of=name,
        )


def _remembered(var: Path) -> Mapping[str, int]:
    with suppress(OSError, ValueError):
        known: dict[str, int] = json.loads((var / "ports.json").read_text("utf-8"))
        return known
    return {}


def owner(port: int) -> str:
    """Return who listens on a port of this machine, as far as this user may know (Linux)."""
    inodes = set(_inodes(port))
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(it.readlink().name in inodes for it in (folder / "fd").iterdir()):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                return f"{words[0].decode(errors='replace')} (pid {folder.name})"
    return "somebody"


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
                fields = line.split()
                is_it = int(fields[_LOCAL].rpartition(":")[2], 16) == port
                if is_it and fields[_STATE] == _LISTENING:
                    yield f"socket:[{fields[_INODE]}]"
