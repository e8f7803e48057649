"""The ingestor put together: a session, a batcher and a store."""

import asyncio
from collections.abc import Sequence
from typing import Final

from ingestor import clock, metrics
from ingestor.acks import acknowledgements
from ingestor.batch import Batcher, Outcome, Store
from ingestor.bridge import read
from noctis.mqtt import Link, Message, Session
from noctis.replica import device_link, other_shards
from noctis.settings import Settings
from noctis.topics import ups

__all__ = ["Ingestor", "filters", "link_of"]

RECEIVE_MAXIMUM: Final = 5000
SESSION_EXPIRY_S: Final = 24 * 3600
"""How long the broker queues for an ingestor that is away; then the devices send again."""

CHANNELS: Final = ("epochs", "backlog", clock.CHANNEL)
DRAIN_S: Final = 8.0


def link_of(settings: Settings) -> Link:
    """Return how an ingestor with these settings reaches the broker."""
    return device_link(
        settings,
        "ingestor",
        receive_maximum=RECEIVE_MAXIMUM,
        session_expiry_s=SESSION_EXPIRY_S,
    )


def filters(shards: frozenset[int]) -> list[str]:
    """Return the topic filters of the shards."""
    return [ups(shard, channel) for shard in sorted(shards) for channel in CHANNELS]


class Ingestor:
    """Takes what the session receives and confirms it once the store has committed."""

    def __init__(self, link: Link, store: Store, *, shards: frozenset[int]) -> None:
        self._batcher = Batcher(store, self._confirm, capacity=4 * link.receive_maximum)
        self.session = Session(
            link,
            subscriptions=filters(shards),
            given_up=filters(other_shards(shards)),
            handler=self._receive,
        )

    @property
    def ready(self) -> bool:
        """True while messages can arrive."""
        return self.session.ready

    async def run(self) -> None:
        """Receive and store, until cancelled or drained."""
        async with asyncio.TaskGroup() as group:
            batching = group.create_task(self._batcher.run())
            await self.session.run()
            batching.cancel()

    async def drain(self) -> None:
        """Store and acknowledge what is in hand, and leave the broker."""
        await self.session.stop(within_s=DRAIN_S)

    async def _receive(self, message: Message) -> None:
        if clock.asks(message.topic):
            self._tell_time(message)
            return
        letter = read(message.topic, message.payload)
        await self._batcher.submit(letter, generation=message.generation, qos=message.qos)

    def _tell_time(self, message: Message) -> None:
        """Answer at once or never: a late reply is worth nothing."""
        reply = clock.answer(message.topic, message.payload)
        if reply is not None:
            self.session.send(*reply)

    def _confirm(self, outcomes: Sequence[Outcome]) -> None:
        for topic, payload in acknowledgements(outcomes):
            if not self.session.send(topic, payload):
                metrics.ACKS_UNSENT.inc()
