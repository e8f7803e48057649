"""What apps find retained at their broker, kept as it is to be.

The shelf hears what the broker retains, and sends only what is not as it is to be: after a
restart of its own nothing, after a broker that lost its retained messages all of it.
"""

import asyncio
import time
from hashlib import blake2b
from typing import Final

from prometheus_client import Counter

from companion.turns import endlessly
from noctis.mqtt import Message, Session

__all__ = ["Shelf"]

LOOK_S: Final = 0.5
AGAIN_S: Final = 30.0
"""Between two corrections of what others put there: two who disagree do not fight."""

AT_ONCE: Final = 64
FLUSH_S: Final = 3.0

_put = Counter("noctis_shelf_puts_total", "Retained messages for apps, given to the broker.")


class Shelf:
    """Retained messages by topic; empty ones are none.

    ``session`` is subscribed to the topics, and hands what it hears to ``hear``.
    """

    def __init__(self, session: Session, *, again_s: float = AGAIN_S) -> None:
        self._session = session
        self._again_s = again_s
        self._wanted: dict[str, bytes] = {}
        self._there: dict[str, bytes] = {}  # digests, of what was heard
        self._due: set[str] = set()
        self._astray: set[str] = set()
        self._generation = 0
        self._hears_more = False
        self._mended_at = 0.0

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("shelf", self.turn, pause_s=LOOK_S)

    def put(self, topic: str, payload: bytes) -> None:
        """Say what is to be retained on a topic; no bytes: nothing."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self._due.add(topic)

    def hear(self, message: Message) -> None:
        """Take what the broker retained when it was asked, or is told to retain now."""
        if message.generation != self._session.generation:
            return
        self._follow()
        self._hears_more |= message.retain
        self._note(message.topic, message.payload)
        if self._is_wrong(message.topic):
            self._astray.add(message.topic)

    async def turn(self) -> bool:
        """Send some of what is not as it is to be; return whether there is more."""
        if not self._session.ready:
            return False
        self._follow()
        if self._hears_more and not self._mended_at:
            self._hears_more = False  # the broker is still telling what it has
            return False
        if time.monotonic() - self._mended_at >= self._again_s:
            self._mended_at = time.monotonic()
            self._due |= self._astray
            self._astray.clear()
        for topic in list(self._due)[:AT_ONCE]:
            await self._send(topic)
        return bool(self._due)

    async def flush(self) -> None:
        """Send at once what is due; what cannot be sent now is left."""
        if not self._session.ready:
            return
        async with asyncio.timeout(FLUSH_S):
            for topic in list(self._due):
                await self._send(topic)

    async def _send(self, topic: str) -> None:
        payload = self._wanted[topic]
        if self._is_wrong(topic):
            await self._session.publish(topic, payload, retain=True)
            self._note(topic, payload)
            _put.inc()
        if self._wanted[topic] == payload:
            self._due.discard(topic)
            if not payload:
                del self._wanted[topic]

    def _follow(self) -> None:
        """Forget what the broker had, where this is another connection to it."""
        if self._generation == self._session.generation:
            return
        self._generation = self._session.generation
        self._there.clear()
        self._astray.clear()
        self._due = set(self._wanted)
        self._hears_more = True
        self._mended_at = 0.0

    def _note(self, topic: str, payload: bytes) -> None:
        if payload:
            self._there[topic] = _digest(payload)
        else:
            self._there.pop(topic, None)

    def _is_wrong(self, topic: str) -> bool:
        wanted = self._wanted.get(topic)
        if wanted is None:
            return False
        return self._there.get(topic) != (_digest(wanted) if wanted else None)


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).digest()
