"""Which processes serve a model, and which version: each says so in a small file of its own.

::

    var/models/<name>/serving/<service>-<host>-<pid>.json

A file counts while it is fresh: a process that has died says nothing any more. Nothing rests on
it: who may not write there serves all the same, and is not told of.
"""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

__all__ = ["Holder", "Presence", "holders"]

FOLDER: Final = "serving"
EVERY_S: Final = 2.0
FRESH_S: Final = 15.0
FORGOTTEN_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, ``service host/pid``; the model that it serves, ``name@version``, None: none.

    ``refusal``: why it does not serve the champion, None where it does.
    """

    process: str
    model: str | None
    refusal: str | None


class Presence:
    """Says of this process what it serves; ``folder``: the model's, in the registry."""

    def __init__(self, folder: Path, service: str) -> None:
        host, pid = socket.gethostname(), os.getpid()
        self._path = folder / FOLDER / f"{service}-{host}-{pid}.json"
        self._process = f"{service} {host}/{pid}"
        self._told: Holder | None = None
        self._due_at = 0.0

    def tell(self, model: str | None, refusal: str | None) -> None:
        """Say what is served now; cheap where nothing changed and it was said just before."""
        told = Holder(self._process, model, refusal)
        if told == self._told and time.monotonic() < self._due_at:
            return
        with suppress(OSError):
            if told != self._told or not self._touch():
                self._write(told)
        self._told, self._due_at = told, time.monotonic() + EVERY_S

    def _touch(self) -> bool:
        try:
            os.utime(self._path)
        except FileNotFoundError:
            return False
        return True

    def _write(self, told: Holder) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _forget(self._path.parent)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(told)), encoding="utf-8")
        draft.replace(self._path)


def holders(folder: Path) -> list[Holder]:
    """Return the processes that serve a model, by name; ``folder``: the model's."""
    oldest = time.time() - FRESH_S
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError):  # it has ended, or is no such file
            if path.stat().st_mtime >= oldest:
                found.append(Holder(**json.loads(path.read_text("utf-8"))))
    return found


def _forget(folder: Path) -> None:
    """Delete what processes said that ended long ago."""
    for path in folder.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - FORGOTTEN_S:
                path.unlink()
