"""Batches: many messages, one transaction, and acknowledgements only after its commit.

While a transaction runs, what arrives makes up the next batch: a lone live epoch commits at
once, a flood in batches of thousands of epochs. Nothing is dropped or confirmed while the
database is away; a message that makes the transaction fail is found by halving the batch.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

import structlog

from ingestor import metrics
from ingestor.bridge import Letter
from noctis import faults, pauses
from noctis.errors import NoctisError, StorageUnavailableError
from noctis.identity import DeviceId

__all__ = ["Batcher", "Outcome", "Store"]

_log = structlog.get_logger(__name__)

FRAMES: Final = 2000
EPOCHS: Final = 32_000
"""The most of a transaction; whichever comes first."""

BUSY: Final = 4
"""A batch of more messages than this says that more are coming: worth to wait for them."""

LINGER_S: Final = 0.01
FIRST_PAUSE_S: Final = 0.1
LAST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be told to the device of one letter; None where nothing can be told."""

    device: DeviceId
    stream: int
    first: int
    count: int
    code: int


class Store(Protocol):
    """Where letters end; its methods return after the commit, never before."""

    async def commit(self, letters: Sequence[Letter]) -> Sequence[Outcome | None]:
        """Store letters in one transaction; return what became of each."""

    async def condemn(self, letter: Letter, error: Exception) -> Outcome | None:
        """Put a letter aside that makes the transaction fail."""


@dataclass(slots=True)
class _Waiting:
    letter: Letter
    generation: int
    settled: asyncio.Future[None]
    arrived: float = field(default_factory=monotonic)

    def settle(self) -> None:
        """Let go of whoever waits; it may have been cancelled meanwhile."""
        if not self.settled.done():
            self.settled.set_result(None)


class Batcher:
    """Takes letters and returns from ``submit`` once they are stored (or put aside).

    ``confirm`` is called after each commit with the outcomes, duplicates included. Holds at
    most ``capacity`` letters: those of connections long lost are let go first (the broker or
    the device sends them again), then those with QoS 0.
    """

    def __init__(
        self, store: Store, confirm: Callable[[Sequence[Outcome]], None], *, capacity: int
    ) -> None:
        self._store = store
        self._confirm = confirm
        self._capacity = capacity
        self._pending: deque[_Waiting] = deque()
        self._in_work: Sequence[_Waiting] = ()
        self._arrived = asyncio.Event()
        metrics.WAITING.set_function(lambda: len(self._pending) + len(self._in_work))
        metrics.OLDEST_SECONDS.set_function(self.oldest_s)

    def oldest_s(self) -> float:
        """Return the age in seconds of the oldest letter in hand; 0 when there is none.

        Called from the thread of the metrics while the loop works on.
        """
        for letters in (self._in_work, self._pending):
            with suppress(IndexError):
                return monotonic() - letters[0].arrived
        return 0.0

    async def submit(self, letter: Letter, *, generation: int, qos: int) -> None:
        """Return when the letter is stored or put aside, or let go for want of room."""
        if not self._make_room(generation, qos):
            metrics.DROPPED.inc()
            return
        waiting = _Waiting(letter, generation, asyncio.get_running_loop().create_future())
        self._pending.append(waiting)
        self._arrived.set()
        await waiting.settled

    async def run(self) -> None:
        """Commit batch after batch, for ever."""
        size = 0
        while True:
            await self._arrived.wait()
            if size > BUSY and len(self._pending) < FRAMES:
                await asyncio.sleep(LINGER_S)
            batch = self._take()
            size = len(batch)
            self._in_work = batch
            await self._settle(batch)
            self._in_work = ()

    def _make_room(self, generation: int, qos: int) -> bool:
        """Tell whether a letter may be taken; one of the current connection always may.

        What the current connection delivers with QoS 1 is bounded by its receive maximum, and
        letting go of it would acknowledge what is not stored.
        """
        if len(self._pending) < self._capacity:
            return True
        if self._pending[0].generation < generation:
            self._pending.popleft().settle()
            metrics.DROPPED.inc()
            return True
        return qos > 0

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        epochs = 0
        while self._pending and len(batch) < FRAMES and epochs < EPOCHS:
            batch.append(self._pending.popleft())
            epochs += batch[-1].letter.epochs
        if not self._pending:
            self._arrived.clear()
        return batch

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch; halve it where one of it is poison, or all of it takes too long."""
        for attempt in itertools.count():
            started = monotonic()
            try:
                outcomes = await self._store.commit([it.letter for it in batch])
                await faults.apoint("ingestor.committed")
            except (StorageUnavailableError, TimeoutError, faults.InjectedError) as error:
                await self._pause(attempt, error)
                if isinstance(error, TimeoutError) and attempt and len(batch) > 1:
                    await self._settle_halves(batch)  # too much for a database so slow
                    return
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop us
                if len(batch) > 1:
                    await self._settle_halves(batch)
                    return
                if await self._condemn(batch[0], error):
                    return
                await self._pause(attempt, error)
            else:
                metrics.BATCHES.inc()
                metrics.FRAMES_PER_BATCH.observe(len(batch))
                metrics.COMMIT_SECONDS.observe(monotonic() - started)
                self._finish(batch, outcomes)
                return

    async def _settle_halves(self, batch: Sequence[_Waiting]) -> None:
        half = len(batch) // 2
        await self._settle(batch[:half])
        await self._settle(batch[half:])

    async def _condemn(self, waiting: _Waiting, error: Exception) -> bool:
        """Put a poison letter aside; False when even that fails."""
        _log.error("poison", topic=waiting.letter.topic, error=repr(error), exc_info=error)
        try:
            outcome = await self._store.condemn(waiting.letter, error)
        except (NoctisError, TimeoutError) as second:
            _log.warning("poison_not_put_aside", error=str(second))
            return False
        self._finish([waiting], [outcome])
        return True

    def _finish(self, batch: Sequence[_Waiting], outcomes: Sequence[Outcome | None]) -> None:
        self._confirm([it for it in outcomes if it is not None])
        metrics.LAG_SECONDS.observe(monotonic() - batch[0].arrived)
        for waiting in batch:
            waiting.settle()

    async def _pause(self, attempt: int, error: Exception) -> None:
        metrics.RETRIES.inc()
        _log.warning("not_stored_yet", attempt=attempt + 1, error=str(error))
        await asyncio.sleep(
            pauses.after(error, attempt, first_s=FIRST_PAUSE_S, last_s=LAST_PAUSE_S)
        )
