"""What a watch has seen of a device: epochs of the last hours, each told by two ways.

A stage is told live or, later, as it was stored; what was measured is there once stored.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.errors import FacadeError, UnreachableError
from cli.nouns.documents import Document
from cli.nouns.nights import Nights
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import StorageUnavailableError
from noctis.identity import DeviceId

__all__ = ["BACK", "Watched", "forgiving"]

BACK: Final = timedelta(hours=8)
"""Fewer epochs than a page holds; a virtual device that runs fast begins that far back."""
AHEAD: Final = timedelta(days=2)
STORED_S: Final = 20.0
"""What was measured is looked for so long after its stage was told."""
_GRID: Final = timedelta(seconds=EPOCH_SECONDS)
_NOTHING_MEASURED: Final = dict.fromkeys(("in_bed", "heart_rate", "breathing", "movement"))
_SERVER_FAULT: Final = 500


class Watched:
    """The epochs of a device since BACK, in the order of their start."""

    def __init__(self, nights: Nights, who: DeviceId) -> None:
        self.who = who
        self._nights = nights
        self._known: dict[datetime, Document] = {}
        self._waiting: dict[datetime, float] = {}
        self._fresh: list[Document] = []
        self.now: Document | None = None
        """The epoch that was told last; its ``t`` is null while the device has no clock."""

    @property
    def epochs(self) -> Sequence[Document]:
        """All of them, each with a stage; null where it is not known what was measured."""
        return [self._known[at] for at in sorted(self._known)]

    @property
    def waits(self) -> bool:
        """Whether something that was measured may still come to a stage that was told."""
        return bool(self._waiting)

    def take(self) -> list[Document]:
        """Return the epochs that were not taken yet."""
        taken, self._fresh = self._fresh, []
        return taken

    def look(self) -> bool:
        """Learn what was stored and staged since the last epoch; tell whether that was any."""
        last = max(self._known, default=None)
        begin = datetime.now(UTC) - BACK
        since = begin if last is None else max(begin, last + timedelta(milliseconds=1))
        return self._learn(self._settled(since))

    def hear(self, told: Iterable[Document]) -> bool:
        """Learn stages that were told live; tell whether there was one that was not known."""
        return any([self._hear(stage) for stage in told])  # noqa: C419 - each is heard

    def _hear(self, stage: Document) -> bool:
        epoch = {"t": stage["t"], **_NOTHING_MEASURED, "stage": stage["stage"]}
        if stage["t"] is None:
            self._fresh.append(epoch)
            self.now = epoch
            return True
        at = datetime.fromisoformat(stage["t"])
        if self._known and at - max(self._known) > _GRID:
            with forgiving():
                self.look()
        if not self._learn([epoch]):
            return False
        self._waiting[at] = time.monotonic() + STORED_S
        return True

    def measure(self) -> bool:
        """Learn what was measured of epochs whose stage was told before they were stored."""
        now = time.monotonic()
        self._waiting = {at: until for at, until in self._waiting.items() if until > now}
        if not self._waiting:
            return False
        end = max(self._waiting) + timedelta(milliseconds=1)
        found = {
            datetime.fromisoformat(it["t"]): it
            for it in self._nights.measured(self.who, min(self._waiting), end)
        }
        here = self._waiting.keys() & found.keys()
        for at in here:
            self._known[at] |= {name: found[at][name] for name in _NOTHING_MEASURED}
            del self._waiting[at]
        return bool(here)

    def _learn(self, epochs: Iterable[Document]) -> bool:
        begin, before = datetime.now(UTC) - BACK, len(self._fresh)
        self._known = {at: it for at, it in self._known.items() if at >= begin}
        for epoch in epochs:
            at = datetime.fromisoformat(epoch["t"])
            if at >= begin and at not in self._known:
                self._known[at] = self.now = epoch
                self._fresh.append(epoch)
        return len(self._fresh) > before

    def _settled(self, since: datetime) -> list[Document]:
        """Return the epochs since then with their stages, up to the first that has none yet."""
        until = datetime.now(UTC) + AHEAD
        measured = self._nights.measured(self.who, since, until)
        if not measured:
            return []
        stages = self._nights.stages(self.who, since, until)
        staged = {it["t"]: it["stage"] for it in stages}
        whole = []
        for epoch in measured:
            if epoch["t"] not in staged:
                break
            whole.append(epoch | {"stage": staged[epoch["t"]]})
        return whole


@contextmanager
def forgiving() -> Iterator[None]:
    """Let a look fail while the database or the facade is away: a watch goes on."""
    try:
        yield
    except (UnreachableError, StorageUnavailableError):
        pass
    except FacadeError as error:
        if error.status < _SERVER_FAULT:
            raise
