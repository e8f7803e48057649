"""How far devices, database and apps are, sampled beside a run; and when it works again."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from tests.chaos.site import Site
from tests.chaos.watchers import Watcher

__all__ = ["Progress", "Sample"]

EVERY_S: Final = 1.0
GIVEN_UP_S: Final = 90.0
COUNT: Final = "SELECT (SELECT count(*) FROM epochs) + (SELECT count(*) FROM epochs_untimed)"


@dataclass(frozen=True, slots=True)
class Sample:
    """Epochs made and stored so far; None while the database gives no answer."""

    at: float
    made: int
    stored: int | None


@dataclass
class Progress:
    """Samples of a site, from entry to exit; ``most_mib`` is the most a service held."""

    site: Site
    watchers: list[Watcher]
    samples: list[Sample] = field(default_factory=list)
    most_mib: dict[str, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _read: dict[Path, int] = field(default_factory=dict)
    _made: int = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def recovered_s(self, since: float) -> float | None:
        """Wait until the platform works again after ``since``; return how long that took.

        It does where more is stored than before, an app has heard a stage, and every service
        says that it is ready. None: not within ``GIVEN_UP_S``.
        """
        deadline = time.monotonic() + GIVEN_UP_S
        before: int | None = None
        while time.monotonic() < deadline:
            began = time.monotonic()
            count = self.stored()
            before = count if before is None else before
            grows = before is not None and count is not None and count > before
            if grows and self._is_heard(since) and self.site.is_ready():
                return time.time() - since
            time.sleep(max(0.1, 5 * (time.monotonic() - began)))
        return None

    def stored(self) -> int | None:
        """Return how many epochs are stored; None where nobody answers within 3 s."""
        with suppress(psycopg.Error):
            options = "-c statement_timeout=3000"
            with psycopg.connect(
                self.site.postgres.url, connect_timeout=3, options=options
            ) as connection:
                row = connection.execute(COUNT).fetchone()
                return None if row is None else int(row[0])
        return None

    def made(self) -> int:
        """Return how many lines the devices' logs have."""
        for fleet in self.site.fleets:
            for log in fleet.folder.glob("log*"):
                with log.open("rb") as file:
                    file.seek(self._read.get(log, 0))
                    new = file.read()
                self._read[log] = self._read.get(log, 0) + len(new)
                self._made += new.count(b"\n")
        return self._made

    def _is_heard(self, since: float) -> bool:
        return any(it.last_at > since for it in self.watchers)

    def _sample(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self.samples.append(Sample(time.time(), self.made(), self.stored()))
            for name, mebibytes in self.site.resident_mib().items():
                self.most_mib[name] = max(mebibytes, self.most_mib.get(name, 0.0))
            self._stop.wait(max(EVERY_S, 20 * (time.monotonic() - began)))
