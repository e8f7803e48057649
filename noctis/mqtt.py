"""An MQTT session: stays connected for ever, subscribes on every connect, acknowledges late.

A message is acknowledged to the broker on the connection it came by or not at all: when its
handler returns, or when a receiver, who takes messages by the hundred, says so. Handlers run
concurrently. The broker sends no more than the link's ``receive_maximum`` ahead of the
acknowledgements, which is the back-pressure.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from weakref import WeakValueDictionary

import structlog

from noctis.mqtt_connection import Connection
from noctis.mqtt_link import (
    Address,
    BrokerError,
    ConnectionLostError,
    Handler,
    Link,
    Message,
    Receiver,
    Will,
)
from noctis.pauses import jittered

__all__ = [
    "Address",
    "BrokerError",
    "Handler",
    "Link",
    "Message",
    "Receiver",
    "Session",
    "Will",
    "drop_session",
]

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_S: Final = 0.2
_LAST_PAUSE_S: Final = 15.0
_STABLE_S: Final = 5.0


async def _ignore(message: Message) -> None:
    _log.debug("message_ignored", topic=message.topic)


class Session:
    """One account's session with the broker; ``run`` keeps it alive.

    ``receiver`` takes the messages of each read of the socket and has them acknowledged by
    ``acknowledge``; without one ``handler`` takes each by itself. ``given_up`` are filters
    that the broker may have kept of an earlier life of the session: they are ended at each
    connect. ``publish_window`` bounds the QoS 1 publishes that wait for the broker; it must
    stay below the broker's receive maximum.
    """

    def __init__(
        self,
        link: Link,
        *,
        subscriptions: Sequence[str] = (),
        given_up: Sequence[str] = (),
        handler: Handler = _ignore,
        receiver: Receiver | None = None,
        publish_window: int = 16,
        deadline_s: float = 10.0,
    ) -> None:
        self._link = link
        self._subscriptions = tuple(subscriptions)
        self._given_up = tuple(given_up)
        self._handler = handler
        self._handling: set[asyncio.Task[None]] = set()
        self._receive = receiver or self._handle_each
        self._window = asyncio.Semaphore(publish_window)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._deadline_s = deadline_s
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._stopping = asyncio.Event()
        self._generation = 0
        self._trouble = "no connection yet"

    @property
    def trouble(self) -> str:
        """Why the last connection ended or did not come up; empty while connected."""
        return "" if self.ready else self._trouble

    @property
    def ready(self) -> bool:
        """True while connected and subscribed."""
        return self._up.is_set()

    @property
    def generation(self) -> int:
        """The number of connections so far."""
        return self._generation

    @property
    def in_hand(self) -> int:
        """The number of messages that wait for their handler on the current connection."""
        return 0 if self._connection is None else self._connection.in_hand

    async def wait_ready(self) -> None:
        """Return as soon as the session is connected and subscribed."""
        await self._up.wait()

    async def run(self) -> None:
        """Connect, and connect again whenever the connection is lost, until ``stop``."""
        failures = 0
        loop = asyncio.get_running_loop()
        try:
            while not self._stopping.is_set():
                started = loop.time()
                await self._live()
                failures = 0 if loop.time() - started > _STABLE_S else failures + 1
                pause = jittered(failures, first_s=_FIRST_PAUSE_S, last_s=_LAST_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
        finally:
            for task in self._handling:
                task.cancel()  # what is not handled is not acknowledged

    async def stop(self, *, within_s: float = 10.0) -> None:
        """Take nothing more, finish what is in hand, say farewell; ``run`` then returns.

        The broker keeps the session as the link says, and what was not acknowledged in time.
        """
        self._stopping.set()
        connection = self._connection
        if connection is None:
            return
        if not self.ready:
            connection.abort()
            return
        try:
            async with asyncio.timeout(within_s):
                await connection.drain()
                await connection.close()
        except TimeoutError:
            _log.warning("drain_incomplete", in_hand=connection.in_hand, within_s=within_s)
            connection.abort()

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tell the broker that a receiver is done with messages.

        Those of an earlier connection are left alone: the broker delivers them again.
        """
        if self._connection is not None:
            mine = [it for it in messages if it.generation == self._generation]
            self._connection.acknowledge(mine)

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 0, now or never; False when there is no connection."""
        return self.send_all([(topic, payload)])

    def send_all(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        """Publish (topic, payload) with QoS 0, all or none; False: there is no connection."""
        return self._connection is not None and self._connection.send(messages)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expires_s: int | None = None,
        within_s: float = 10.0,
    ) -> None:
        """Publish with QoS 1 and await the broker's confirmation.

        Waits for a connection and repeats after a loss, so the message may arrive twice; what
        is published on one topic arrives in its order nevertheless, the newest as the last.
        ``expires_s`` is left out where MQTT is 3.1.1. Raises BrokerError after ``within_s``.
        """
        turn = self._turns.setdefault(topic, asyncio.Lock())
        try:
            async with asyncio.timeout(within_s), turn, self._window:
                confirmed = False
                while not confirmed:
                    await self._up.wait()
                    confirmed = await self._try_publish(
                        topic, payload, retain=retain, expires_s=expires_s
                    )
        except TimeoutError as error:
            message = f"the broker did not confirm {topic} within {within_s:g} s"
            raise BrokerError(message) from error

    async def _try_publish(
        self, topic: str, payload: bytes, *, retain: bool, expires_s: int | None
    ) -> bool:
        connection = self._connection
        try:
            if connection is not None:
                await connection.publish(topic, payload, retain=retain, expires_s=expires_s)
                return True
        except ConnectionLostError:
            pass
        # Its end may not have been noticed yet: without a pause nobody else would get to it.
        await asyncio.sleep(_FIRST_PAUSE_S)
        return False

    async def _live(self) -> None:
        """Live through one connection, from CONNECT to its end."""
        self._generation += 1
        link = self._link.at(self._generation)
        connection = Connection(link, self._receive, generation=self._generation)
        self._connection = connection
        try:
            await connection.open(within_s=self._deadline_s)
            await connection.subscribe(self._subscriptions, within_s=self._deadline_s)
            if connection.session_present:
                await connection.unsubscribe(self._given_up, within_s=self._deadline_s)
            self._up.set()
            _log.info("broker_connected", session_present=connection.session_present)
            await connection.wait_lost()
            self._trouble = "the connection was lost"
            if not self._stopping.is_set():
                _log.warning("broker_connection_lost")
        except BrokerError as error:
            self._trouble = str(error)
            if not self._stopping.is_set():
                _log.warning("broker_not_connected", error=str(error))
        finally:
            self._up.clear()
            connection.abort()

    def _handle_each(self, messages: Sequence[Message]) -> None:
        loop = asyncio.get_running_loop()
        for message in messages:
            task = loop.create_task(self._handle(message))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    async def _handle(self, message: Message) -> None:
        try:
            await self._handler(message)
        except Exception:  # noqa: BLE001 - whatever it was, the window must not stall
            _log.exception("message_handler_failed", topic=message.topic)
        self.acknowledge([message])


async def drop_session(link: Link, *, within_s: float = 10.0) -> None:
    """Delete what the broker keeps of an account's session: subscriptions and its queue.

    Whoever is connected on that account is cut off. Raises BrokerError.
    """
    for number in range(1, len(link.others) + 2):
        clean = replace(link.at(number), session_expiry_s=0)
        connection = Connection(clean, lambda _: None, generation=number)
        try:
            await connection.open(within_s=within_s)
            await connection.close()
        except BrokerError:
            if number > len(link.others):
                raise
        else:
            return
        finally:
            connection.abort()
