"""Servers that run as child processes: their user, their files, their start and their end.

A server such as Mosquitto or PostgreSQL must not run as root. Where we are root, it runs under
an unprivileged user, and its files lie where that user can reach them.
"""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from noctis import faults
from noctis.errors import ProcessError

__all__ = ["Child", "User", "child_user", "end_leftover", "free_port", "reachable_folder"]

NOBODY: Final = 65534
SYSTEM_STATE: Final = Path("/var/lib/noctis")
TRIES: Final = 100
_PORTS: Final = range(15_000, 32_000)
_handed_out: Final[set[int]] = set()


@dataclass(frozen=True, slots=True)
class User:
    """The user and group that a child runs as."""

    uid: int
    gid: int

    def may_enter(self, folder: Path) -> bool:
        """Tell whether this user can traverse ``folder`` itself (its parents aside)."""
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)


def child_user(name: str) -> User | None:
    """Return the unprivileged user for a server, or None where we are not root ourselves.

    The distribution's own user ``name`` (``mosquitto``, ``postgres``) where there is one, so
    that servers cannot read each other's files; ``nobody`` otherwise.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return User(NOBODY, NOBODY)
    return User(entry.pw_uid, entry.pw_gid)


def reachable_folder(folder: Path, user: User | None) -> Path:
    """Make a folder, mode 0700, that ``user`` owns and can reach; return where it is.

    It is ``folder`` wherever ``user`` can traverse to it, else ``/var/lib/noctis/<id>`` with
    an id that depends on ``folder`` alone, so that the next start finds the same data. No
    parent's mode is ever changed.
    """
    folder = folder.absolute()
    if user is not None:
        known = [parent for parent in folder.parents if parent.exists()]
        if not all(user.may_enter(parent.resolve()) for parent in known):
            digest = sha256(str(folder).encode()).hexdigest()[:16]
            folder = SYSTEM_STATE / digest / folder.name
    missing = [parent for parent in folder.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(folder, user.uid, user.gid)
    return folder


def free_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port of ``address`` that nobody listens on, another one at each call.

    It lies below those that systems give to outgoing connections: one of them, or a second
    program that asks in the same moment, would else have it before it is listened on.
    """
    for port in secrets.SystemRandom().sample(_PORTS, TRIES):
        if port not in _handed_out and _can_bind(address, port):
            _handed_out.add(port)
            return port
    message = f"{TRIES} ports of {address} that were tried are all in use"
    raise ProcessError(message, hint="is it an address of this machine?")


def _can_bind(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


class Child:
    """One child process whose output goes to a log file; ended by its own process id."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        user: User | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = Path(arguments[0]).name
        self.log = log
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(log, flags, 0o600)
        try:
            faults.point("process.start")
            self._process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd="/",
                env=None if environment is None else dict(environment),
                user=None if user is None else user.uid,
                group=None if user is None else user.gid,
                extra_groups=None if user is None else [],
                process_group=0,  # Ctrl-C reaches our parent alone, which ends us in order
            )
        except OSError as error:
            message = f"cannot start {arguments[0]}: {error.strerror or error}"
            raise ProcessError(message) from error
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the child runs; its exit code, or minus a signal's number, afterwards."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the child still runs."""
        self._process.send_signal(number)

    def stop(self, *, within_s: float = 10.0) -> int:
        """Ask the child to end, kill it when it has not done so in time; return its code."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # a frozen child must wake up to end
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self, *, within_s: float = 10.0) -> int:
        """End the child at once (SIGKILL) and return its exit code.

        Raises ProcessError for one that even so does not end: it waits for a dead disk.
        """
        self.send(signal.SIGKILL)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired as error:
            message = f"{self.name} ({self.pid}) does not end within {within_s:g} s of SIGKILL"
            raise ProcessError(message, hint="is its disk still there?") from error

    def tail(self, lines: int = 8) -> str:
        """Return the last lines of the child's log."""
        with suppress(OSError), self.log.open(errors="replace") as file:
            return "".join(deque(file, maxlen=lines)).strip()
        return ""


def end_leftover(pid_file: Path, *, argument: str, within_s: float = 10.0) -> None:
    """End the server that a killed parent left behind, and only that.

    It must be the process that ``pid_file`` names, and have ``argument`` (the path of its own
    config) on its command line: process ids are used again.
    """
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + within_s
    for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGKILL):
        if not _runs(pid, argument):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        while number == signal.SIGCONT and _runs(pid, argument) and time.monotonic() < deadline:
            time.sleep(0.02)


def _runs(pid: int, argument: str) -> bool:
    """Tell whether a process has ``argument`` on its command line; a zombie has none."""
    with suppress(OSError):
        return argument.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False
