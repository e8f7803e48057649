"""The ingestor put together: a session, a batcher and a store."""

import asyncio
from collections.abc import Sequence
from typing import Final

from ingestor import clock, metrics
from ingestor.acks import acknowledgements
from ingestor.batch import Batcher, Outcome, Store
from ingestor.bridge import shortened
from noctis.mqtt import Link, Message, Session
from noctis.replica import device_link, other_shards
from noctis.settings import Settings
from noctis.topics import ups

__all__ = ["Ingestor", "filters", "link_of"]

RECEIVE_MAXIMUM: Final = 10000
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
        self._batcher = Batcher(store, self._settled, capacity=2 * link.receive_maximum)
        self.session = Session(
            link,
            subscriptions=filters(shards),
            given_up=filters(other_shards(shards)),
            receiver=self._receive,
        )

    @property
    def ready(self) -> bool:
        """True while messages can arrive."""
        return self.session.ready

    @property
    def trouble(self) -> str | None:
        """Why what has arrived is not stored; None where nothing stands in the way."""
        return self._batcher.trouble

    async def run(self) -> None:
        """Receive and store, until cancelled or drained."""
        async with asyncio.TaskGroup() as group:
            batching = group.create_task(self._batcher.run())
            await self.session.run()
            batching.cancel()

    async def drain(self) -> None:
        """Store and acknowledge what is in hand, and leave the broker."""
        await self.session.stop(within_s=DRAIN_S)

    def _receive(self, messages: Sequence[Message]) -> None:
        """Tell the time at once or never, a late reply is worth nothing; the rest waits."""
        asking = [it for it in messages if clock.asks(it.topic)]
        if asking:
            replies = [clock.answer(it.topic, it.payload) for it in asking]
            self.session.send_all([it for it in replies if it is not None])
            self.session.acknowledge(asking)
            messages = [it for it in messages if not clock.asks(it.topic)]
        if messages:
            self._batcher.take([shortened(it) for it in messages])

    def _settled(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """Tell the devices what was committed, then the broker that it is done with."""
        told = list(acknowledgements(outcomes))
        if told and not self.session.send_all(told):
            metrics.ACKS_UNSENT.inc(len(told))
        self.session.acknowledge(messages)
