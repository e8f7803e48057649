"""Programs as child processes: how they are started, watched and ended."""

import shutil
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from broker.server import MosquittoServer
from cli.ports import LOOPBACK
from noctis.childproc import Child, end_leftover
from noctis.errors import ProcessError
from noctis.storage.server import PostgresServer

__all__ = [
    "Service",
    "Watched",
    "device_program",
    "end_leftovers",
    "is_ready",
]


class Service:
    """A program of ours as a child process, with a log and a file that keeps its id."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        finite: bool = False,
    ) -> None:
        self._arguments = arguments
        self._environment = environment
        self._log = log
        self._pid_file = log.with_suffix(".pid")
        self._child: Child | None = None
        self.finite = finite

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return 0 if self._child is None else self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._child is None else self._child.exit_code

    @property
    def done(self) -> bool:
        """Whether a program with an end has come to it."""
        return self.finite and self.exit_code == 0

    def restart(self) -> None:
        """Start it, or start it again."""
        self.stop()
        end_leftover(self._pid_file, argument=self._arguments[0])
        self._child = Child(self._arguments, log=self._log, environment=self._environment)
        self._pid_file.write_text(f"{self._child.pid}\n")

    def stop(self) -> None:
        """End it, if it runs; it drains what it has in hand."""
        if self._child is not None and self._child.exit_code is None:
            self._child.stop(within_s=15.0)
        self._pid_file.unlink(missing_ok=True)

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "" if self._child is None else self._child.tail()


@dataclass(frozen=True, slots=True)
class Watched:
    """A child process and how to start it again after its death."""

    server: PostgresServer | MosquittoServer | Service
    restart: Callable[[], object]

    @property
    def pid(self) -> int | None:
        """The process id, None while it does not run."""
        try:
            return self.server.pid
        except ProcessError:
            return None

    @property
    def died(self) -> bool:
        """Whether it ended although it should not have."""
        finished = isinstance(self.server, Service) and self.server.done
        return self.server.exit_code is not None and not finished


def end_leftovers(logs: Path) -> None:
    """End the programs of ours that a killed parent left behind; their ids are in ``logs``."""
    programs = [sys.executable, str(Path(sys.executable).with_name("noctis-device"))]
    for pid_file in logs.glob("*.pid"):
        for program in programs:
            end_leftover(pid_file, argument=program)
        pid_file.unlink()


def device_program() -> str:
    """Return the path of ``noctis-device``; raise ProcessError where it was not built."""
    beside = Path(sys.executable).with_name("noctis-device")
    found = str(beside) if beside.exists() else shutil.which("noctis-device")
    if found is None:
        message = "noctis-device, the firmware's host build, is not there"
        raise ProcessError(message, hint="build it with: make firmware")
    return found


def is_ready(port: int) -> bool:
    """Tell whether the service that answers probes on a port says it is ready."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as reply:
            return bool(reply.status == HTTPStatus.OK)
    except OSError:  # URLError is one
        return False
