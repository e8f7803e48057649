"""Looks into the database for epochs that a context misses: few at once, none for long."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from inference.contexts import Known, Past
from noctis.errors import StorageError
from noctis.identity import DeviceId

__all__ = ["Read", "Recall"]

LOOK_S: Final = 1.0
LOOKS_AT_ONCE: Final = 4
REST_S: Final = 5.0

Read = Callable[[DeviceId, int, int, int], Awaitable[Sequence[Past]]]
"""Returns the stored epochs of (device, stream) behind a sequence number, up to another."""

_log = structlog.get_logger(__name__)
_recalled = Counter("noctis_live_recalled_total", "Epochs that contexts got from the database.")


class Recall:
    """Fills holes of contexts while the database is there; rests after it was not."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._slots = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._rests_until = 0.0

    def is_due(self, known: Known) -> bool:
        """Tell whether to look for a stream's missing epochs now; to be asked once an epoch."""
        if known.hole is None or known.looking or not known.hole.is_due():
            return False
        return time.monotonic() >= self._rests_until

    async def look(self, known: Known) -> None:
        """Look for the missing epochs of a stream, for LOOK_S seconds at most."""
        hole = known.hole
        if hole is None:
            return
        known.looking = True
        try:
            async with asyncio.timeout(LOOK_S), self._slots:
                past = await self._read(known.device, known.stream, hole.after, hole.last)
            known.recall(past)
            _recalled.inc(len(past))
        except (StorageError, TimeoutError) as error:
            self._rests_until = time.monotonic() + REST_S
            _log.warning("context_not_recalled", error=str(error) or "no answer in time")
        finally:
            known.looking = False
            if known.hole is hole and not hole.looked():
                known.hole = None
