"""Clocks that are wrong for a while: each process has an offset of its own (libfaketime)."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__all__ = ["Clocks", "library"]


@cache
def library() -> Path | None:
    """Return libfaketime; None where it is not installed."""
    done = subprocess.run(
        ["ldconfig", "-p"], capture_output=True, text=True, check=False, timeout=10
    )
    known = [line.split()[-1] for line in done.stdout.splitlines() if "libfaketime.so" in line]
    places = [*map(Path, known), *Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    return next((path for path in places if path.exists()), None)


class Clocks:
    """The offset of each process's clock, in a file of its own below ``folder``.

    The time since boot is left as it is: so it is where somebody sets a machine's clock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir()

    def set(self, name: str, shift_s: int) -> None:
        """Set a clock ahead, or back; processes follow within a second."""
        self._file(name).write_text(f"{shift_s:+d}\n")

    def environment(self, name: str) -> Mapping[str, str]:
        """Return the variables of a process that goes by that clock."""
        if library() is None:
            return {}
        if not self._file(name).exists():
            self.set(name, 0)
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    @contextmanager
    def worn(self, name: str) -> Iterator[None]:
        """Let what is started meanwhile go by that clock."""
        before = dict(os.environ)
        os.environ.update(self.environment(name))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _file(self, name: str) -> Path:
        return self._folder / name
