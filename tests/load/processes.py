"""The platform's processes: how large they grow, and how they come back when killed."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cli.local import run_file

__all__ = ["Memory", "pids", "recovery_s"]

EVERY_S: Final = 2.0
GIVEN_UP_S: Final = 90.0
OTHERS: Final = frozenset({"noctis", "postgres", "broker", "fleet"})
"""Processes that are no service of ours."""


def pids(var: Path) -> Mapping[str, int]:
    """Return the platform's processes by name."""
    found: Mapping[str, int] = json.loads(run_file(var).read_text("utf-8"))["processes"]
    return found


class Memory:
    """Notes how much each service holds resident, from entry to exit; in MiB."""

    def __init__(self, var: Path) -> None:
        self.most: dict[str, float] = {}
        self._var = var
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(EVERY_S):
            services = {name: it for name, it in pids(self._var).items() if name not in OTHERS}
            for name, mebibytes in _resident(services).items():
                self.most[name] = max(mebibytes, self.most.get(name, 0.0))


def _resident(services: Mapping[str, int]) -> dict[str, float]:
    asked = ",".join(map(str, services.values()))
    done = subprocess.run(
        ["ps", "-o", "pid=,rss=", "-p", asked],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    sizes = {
        int(pid): int(size) / 1024 for pid, size in map(str.split, done.stdout.splitlines())
    }
    return {name: round(sizes[pid], 1) for name, pid in services.items() if pid in sizes}


def recovery_s(pid: int, stored: Callable[[], int | None]) -> float | None:
    """Kill a process; return the seconds until more is stored than before; None: never.

    ``stored`` counts, or returns None while the database does not answer.
    """
    before = stored()
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    killed = False
    while time.monotonic() < began + GIVEN_UP_S:
        time.sleep(0.1)
        count = stored()
        if before is None:
            before = count
        elif count is not None and count > before:
            if killed:
                return round(time.monotonic() - began, 1)
            before, killed = count, True  # what was committed before the kill took effect
    return None
