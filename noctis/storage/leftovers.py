"""End the PostgreSQL that a killed parent left behind, so that its data can be used again."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import structlog

__all__ = ["end_leftover", "send", "workers"]

log = structlog.get_logger(__name__)


def end_leftover(data: Path, *, within_s: float) -> None:
    """End the server that still runs with these ``data``, frozen or not, and only that.

    A pid file that names another program (ids are used again) is removed. One that names
    nobody stays: PostgreSQL itself uses it to see whether workers of the dead server live on.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().partition("\n")[0])
    except (FileNotFoundError, ValueError):
        return
    command = _command(pid)
    if str(data) in command:
        log.warning("database_left_behind", pid=pid, folder=str(data))
        _end(pid, data, within_s)
    elif command:
        pid_file.unlink(missing_ok=True)
    for worker in workers(data):
        send(worker, signal.SIGKILL)  # its server is dead: what it has not committed is lost


def _end(pid: int, data: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    for process in (pid, *workers(data)):
        send(process, signal.SIGCONT)
    send(pid, signal.SIGINT)
    while str(data) in _command(pid):
        if time.monotonic() > deadline:
            send(pid, signal.SIGKILL)
        time.sleep(0.05)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _command(pid: int) -> str:
    """Return the command line of a living process, empty when there is none."""
    done = subprocess.run(  # noqa: S603 - a fixed program
        ["/bin/ps", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return "" if "<defunct>" in done.stdout else done.stdout


def workers(data: Path) -> list[int]:
    """Return a server's processes, which all work in ``data`` (Linux; elsewhere none)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if entry.joinpath("cwd").readlink() == data:
                found.append(int(entry.name))
    return found
