"""Who listens where, as Linux tells it."""

import socket
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path


def family(processes: Mapping[str, int]) -> set[int]:
    """Return the process ids of processes and of their children."""
    pids = set(processes.values())
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda it: int(it.name)):
        with suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) in pids:
                pids.add(int(entry.name))
    return pids


def sockets(pids: AbstractSet[int]) -> set[str]:
    """Return what the processes' open files call their sockets."""
    found = set()
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                found.add(file.readlink().name)
    return found


def listening(pids: AbstractSet[int]) -> set[tuple[str, int]]:
    """Return the addresses and ports that processes listen on."""
    known, found = sockets(pids), set()
    tables = [Path(f"/proc/net/{it}").read_text().splitlines()[1:] for it in ("tcp", "tcp6")]
    for fields in (line.split() for table in tables for line in table):
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in known:
            address, port = fields[1].split(":")
            found.add((_address(address), int(port, 16)))
    return found


def _address(text: str) -> str:
    if len(text) > 8:
        return text
    return socket.inet_ntoa(bytes.fromhex(text)[::-1])
