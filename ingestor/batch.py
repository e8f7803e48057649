"""Batches: many messages, one transaction, and acknowledgements only after its commit.

While a transaction runs, what arrives makes up the next batch, which is decoded and sent while
the first one commits: a lone live epoch commits at once, a steady flow ten times a second, a
flood in batches of thousands of epochs. Nothing is dropped or confirmed while the database is
away; a message that makes the transaction fail is found by halving the batch.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

import structlog

from ingestor import metrics
from ingestor.bridge import epochs_in
from noctis import faults, pauses
from noctis.errors import NoctisError, StorageUnavailableError
from noctis.identity import DeviceId
from noctis.mqtt import Message

__all__ = ["Batcher", "Outcome", "Settled", "Store"]

_log = structlog.get_logger(__name__)

FRAMES: Final = 4000
EPOCHS: Final = 32_000
"""The most of a transaction; whichever comes first."""

IN_FLIGHT: Final = 2
"""Transactions at a time: one is made ready while the other waits for the database."""

PACE_S: Final = 0.1
"""The least time from one batch to the next that is not full: a transaction has its price, and
of a device that sends much the more epochs fit into one acknowledgement."""

FIRST_PAUSE_S: Final = 0.1
LAST_PAUSE_S: Final = 5.0
SLOW_S: Final = 1.0
"""A commit that takes longer is logged: what devices hear of it is late."""


@dataclass(slots=True)
class Outcome:
    """What is to be told to the device of one message; None where nothing can be told."""

    device: DeviceId
    stream: int
    first: int
    count: int
    code: int


Settled = Callable[[Sequence[Message], Sequence[Outcome]], None]
"""Is told the messages that are done with, and what their devices are to hear."""


class Store(Protocol):
    """Where messages end; its methods return after the commit, never before."""

    async def commit(self, messages: Sequence[Message]) -> Sequence[Outcome | None]:
        """Store messages in one transaction; return what became of each."""

    async def condemn(self, message: Message, error: Exception) -> Outcome | None:
        """Put a message aside that makes the transaction fail."""


class Batcher:
    """Takes messages; ``settled`` is called once they are stored, or put aside, or let go.

    Outcomes are told of what was committed, duplicates included. Holds at most ``capacity``
    messages: those of connections long lost are let go first (the broker or the device sends
    them again), then those with QoS 0.
    """

    def __init__(self, store: Store, settled: Settled, *, capacity: int) -> None:
        self._store = store
        self._settled = settled
        self._capacity = capacity
        self._pending: deque[Message] = deque()
        self._in_work: dict[int, Sequence[Message]] = {}
        self._arrived = asyncio.Event()
        self._turn = asyncio.Lock()
        self._due = 0.0
        self._trouble: str | None = None
        metrics.WAITING.set_function(self.waiting)
        metrics.OLDEST_SECONDS.set_function(self.oldest_s)

    @property
    def trouble(self) -> str | None:
        """Why what is in hand is not stored yet; None where nothing stands in the way."""
        return self._trouble

    def waiting(self) -> int:
        """Return the number of messages in hand."""
        return len(self._pending) + sum(len(it) for it in list(self._in_work.values()))

    def oldest_s(self) -> float:
        """Return the age in seconds of the oldest message in hand; 0 when there is none.

        Called from the thread of the metrics while the loop works on.
        """
        for messages in (*list(self._in_work.values()), self._pending):
            with suppress(IndexError):
                return monotonic() - messages[0].at
        return 0.0

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages in hand."""
        if len(self._pending) + len(messages) <= self._capacity:
            self._pending.extend(messages)
        else:
            self._pending.extend([it for it in messages if self._make_room(it)])
        self._arrived.set()

    async def run(self) -> None:
        """Commit batch after batch, for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(IN_FLIGHT):
                group.create_task(self._work(number))

    async def _work(self, number: int) -> None:
        while True:
            async with self._turn:
                await self._arrived.wait()
                pause = self._due - monotonic()
                if pause > 0 and len(self._pending) < FRAMES:
                    await asyncio.sleep(pause)
                self._due = monotonic() + PACE_S
                batch = self._in_work[number] = self._next()
            await self._settle(batch)
            self._in_work[number] = ()

    def _make_room(self, message: Message) -> bool:
        """Tell whether a message may be taken; one of the current connection always may.

        What the current connection delivers with QoS 1 is bounded by its receive maximum, and
        letting go of it would acknowledge what is not stored.
        """
        if len(self._pending) < self._capacity:
            return True
        if self._pending[0].generation < message.generation:
            self._let_go(self._pending.popleft())
            return True
        if message.qos:
            return True
        self._let_go(message)
        return False

    def _let_go(self, message: Message) -> None:
        metrics.DROPPED.inc()
        self._settled([message], [])

    def _next(self) -> list[Message]:
        batch: list[Message] = []
        epochs = 0
        while self._pending and len(batch) < FRAMES and epochs < EPOCHS:
            batch.append(self._pending.popleft())
            epochs += epochs_in(batch[-1].payload)
        if not self._pending:
            self._arrived.clear()
        return batch

    async def _settle(self, batch: Sequence[Message]) -> None:
        """Store a batch; halve it where one of it is poison, or all of it takes too long."""
        for attempt in itertools.count():
            started = monotonic()
            try:
                outcomes = await self._store.commit(batch)
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
                self._trouble = None
                _note(monotonic() - started)
                self._finish(batch, outcomes)
                return

    async def _settle_halves(self, batch: Sequence[Message]) -> None:
        half = len(batch) // 2
        await self._settle(batch[:half])
        await self._settle(batch[half:])

    async def _condemn(self, message: Message, error: Exception) -> bool:
        """Put a poison letter aside; False when even that fails."""
        _log.error("poison", topic=message.topic, error=repr(error), exc_info=error)
        try:
            outcome = await self._store.condemn(message, error)
        except (NoctisError, TimeoutError) as second:
            _log.warning("poison_not_put_aside", error=str(second))
            return False
        self._finish([message], [outcome])
        return True

    def _finish(self, batch: Sequence[Message], outcomes: Sequence[Outcome | None]) -> None:
        metrics.LAG_SECONDS.observe(monotonic() - batch[0].at)
        self._settled(batch, [it for it in outcomes if it is not None])
        metrics.ACKNOWLEDGED_SECONDS.observe(monotonic() - batch[0].at)

    async def _pause(self, attempt: int, error: Exception) -> None:
        metrics.RETRIES.inc()
        self._trouble = f"not stored yet: {str(error) or 'no answer in time'}"
        _log.warning("not_stored_yet", attempt=attempt + 1, error=str(error))
        await asyncio.sleep(
            pauses.after(error, attempt, first_s=FIRST_PAUSE_S, last_s=LAST_PAUSE_S)
        )


def _note(seconds: float) -> None:
    """Tell monitors how long a commit took, and the log where it took too long."""
    metrics.COMMIT_SECONDS.observe(seconds)
    metrics.LAST_COMMIT_SECONDS.set(seconds)
    if seconds > SLOW_S:
        _log.warning("commit_slow", seconds=round(seconds, 3))
