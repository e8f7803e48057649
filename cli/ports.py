"""Ports of the embedded platform: free ones, and the same ones at the next start."""

import json
import socket
from pathlib import Path
from typing import Final

from noctis.childproc import free_port
from noctis.errors import ProcessError

__all__ = ["LOOPBACK", "Ports", "check_free", "is_free"]

LOOPBACK: Final = "127.0.0.1"


class Ports:
    """Ports by name, remembered in a file so that addresses stay from start to start."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, name: str) -> int:
        """Return the port of the last start while it is free, else another free one."""
        known = self._read()
        port = known.get(name, 0)
        if not port or not is_free(port):
            port = free_port()
        self._file.write_text(json.dumps({**known, name: port}) + "\n")
        return port

    def _read(self) -> dict[str, int]:
        try:
            known: dict[str, int] = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return known


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a TCP port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def check_free(port: int, option: str) -> None:
    """Raise ProcessError where somebody listens on a port; ``option`` chooses another."""
    if not is_free(port):
        message = f"port {port} of {LOOPBACK} is in use"
        raise ProcessError(message, hint=f"stop who has it, or choose another: {option} PORT")
