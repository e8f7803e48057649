"""One MQTT connection, from CONNECT to its end.

Each has a client of its own, which dies with it: an acknowledgement that comes late meets a
closed socket and is dropped, as it must be.
"""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from gmqtt import Subscription  # type: ignore[import-untyped]
from gmqtt.mqtt.handler import MQTTConnectError  # type: ignore[import-untyped]

from noctis import faults
from noctis.mqtt_client import Client, Unconfirmed
from noctis.mqtt_link import BrokerError, ConnectionLostError, Link, Message, Receiver
from noctis.mqtt_packets import pubacks, publishes

__all__ = ["Connection"]

_log = structlog.get_logger(__name__)

_FAILURE: Final = 0x80
_PORTION: Final = 32
_SESSION_TAKEN_OVER: Final = 0x8E


class Connection:
    """One connection; after ``lost`` is set it is of no more use."""

    def __init__(self, link: Link, receive: Receiver, *, generation: int) -> None:
        self.lost = asyncio.Event()
        self.generation = generation
        self.session_present = False
        self._link = link
        self._receive = receive
        self._unconfirmed = Unconfirmed()
        self._asking: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._passing: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Timeout | None = None
        self._client = Client(link, self._unconfirmed, generation, self._take)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_answer
        self._client.on_unsubscribe = self._on_answer
        self._client.on_disconnect = self._on_disconnect

    @property
    def in_hand(self) -> int:
        """The number of messages that arrived and are not yet acknowledged."""
        return self._in_hand

    async def open(self, *, within_s: float) -> None:
        """Connect; raises BrokerError when the broker refuses or does not answer in time."""
        link = self._link
        context = None if link.ca is None else ssl.create_default_context(cafile=link.ca)
        try:
            async with asyncio.timeout(within_s) as self._opening:
                await faults.apoint("mqtt.connect")
                await self._client.connect(
                    link.host,
                    link.port,
                    ssl=context,
                    keepalive=link.keepalive_s,
                    version=link.version,
                )
        except MQTTConnectError as error:
            message = f"broker {link.host}:{link.port} refuses {link.username}: {error}"
            hint = "check the account and its password"
            raise BrokerError(message, hint=hint) from error
        except TimeoutError as error:
            message = f"broker {link.host}:{link.port} hung up or gave no answer"
            raise BrokerError(message) from error
        except OSError as error:
            message = f"broker {link.host}:{link.port} cannot be reached: {error}"
            raise BrokerError(message, hint="is it running?") from error
        finally:
            self._opening = None

    async def subscribe(self, filters: Sequence[str], *, within_s: float) -> None:
        """Subscribe; raises BrokerError when the broker refuses one of the filters.

        ``within_s`` is the deadline of each portion: a RabbitMQ cluster takes its time.
        """
        qos = self._link.subscribed_qos
        for part in _portions(filters):
            await self._pass("mqtt.subscribe")
            mid = self._client.subscribe([Subscription(it, qos=qos) for it in part])
            codes = await self._answer(mid, "SUBSCRIBE", within_s=within_s)
            refused = [it for it, code in zip(part, codes, strict=True) if code >= _FAILURE]
            if refused:
                message = f"the broker refuses {self._link.username} the topics {refused}"
                raise BrokerError(message, hint="check the ACL")

    async def unsubscribe(self, filters: Sequence[str], *, within_s: float) -> None:
        """End subscriptions that the session may have kept from earlier connections."""
        if self._link.version == 4:  # noqa: PLR2004 - MQTT's own name
            # RabbitMQ 3.x ends only what this connection itself subscribed.
            await self.subscribe(filters, within_s=within_s)
        for part in _portions(filters):
            mid = self._client.unsubscribe(part)
            await self._answer(mid, "UNSUBSCRIBE", within_s=within_s)

    async def _answer(self, mid: int, request: str, *, within_s: float) -> Sequence[int]:
        """Return the broker's answer to a request; raises BrokerError where none comes."""
        answer: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        self._asking[mid] = answer
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError as error:
            message = f"the broker did not answer {request} in time"
            raise BrokerError(message) from error

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker, in one write, that messages of this connection are done with."""
        self._pass_each("mqtt.acknowledge", messages, self._let_go)

    def send(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        """Publish with QoS 0, in one write; False when the connection is gone."""
        if self.lost.is_set() or not self._client.is_connected:
            return False
        try:
            sent = [it for it in messages if not faults.point("mqtt.send")]
        except faults.InjectedError:
            self.abort()
            return False
        self._client.write(publishes(sent, version=self._link.version))
        return True

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: int | None = None
    ) -> None:
        """Publish with QoS 1 and await the broker's confirmation, or ConnectionLostError."""
        dropped = await self._pass("mqtt.publish")
        if self.lost.is_set() or not self._client.is_connected:
            message = f"not connected; cannot publish to {topic}"
            raise ConnectionLostError(message)
        if dropped:
            await self.lost.wait()
            message = f"connection lost before PUBACK of {topic}"
            raise ConnectionLostError(message)
        properties = {} if expires_s is None else {"message_expiry_interval": expires_s}
        self._client.publish(topic, payload, qos=1, retain=retain, **properties)
        await self._unconfirmed.latest

    async def wait_lost(self) -> None:
        """Return when the connection has ended, or the broker is silent for too long."""
        while not self.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.lost.wait()
            if not self._client.is_connected:
                # gmqtt's keep-alive has closed it, which hangs while bytes wait to be sent.
                self.abort()

    async def drain(self) -> None:
        """Take nothing more and wait until what is in hand is acknowledged.

        What still arrives stays unacknowledged: the broker delivers it again.
        """
        self._draining = True
        await self._idle.wait()

    async def close(self) -> None:
        """Say farewell (the will is not published) and close."""
        if not self.lost.is_set():
            await self._client.disconnect()
        self._end()

    def abort(self) -> None:
        """Cut the connection at once; nothing more is sent on it."""
        self._client.abort()
        self._end()

    def _end(self) -> None:
        self.lost.set()
        self._unconfirmed.fail()
        if self._opening is not None:
            self._opening.reschedule(0)  # gmqtt would wait for CONNACK until the deadline
        for waiting in self._asking.values():
            if not waiting.done():
                waiting.set_exception(ConnectionLostError("connection lost before its answer"))

    async def _pass(self, name: faults.Name) -> bool:
        """Pass a fault point; an error there is a connection that breaks."""
        try:
            return await faults.apoint(name)
        except faults.InjectedError as error:
            self.abort()
            raise ConnectionLostError(str(error)) from error

    def _on_connect(self, _client: object, flags: int, _code: int, _properties: object) -> None:
        self.session_present = bool(flags & 1)

    def _on_answer(
        self, _client: object, mid: int, codes: Sequence[int], _properties: object = None
    ) -> None:
        waiting = self._asking.pop(mid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(codes)

    def _on_disconnect(self, _client: object, packet: object, _error: object = None) -> None:
        if isinstance(packet, bytes) and packet[:1] == bytes([_SESSION_TAKEN_OVER]):
            _log.warning("account_used_twice", username=self._link.username)
        self.abort()

    def _take(self, messages: Sequence[Message]) -> None:
        if self._draining:
            return
        self._in_hand += len(messages)
        self._idle.clear()
        self._pass_each("mqtt.deliver", messages, self._receive)

    def _let_go(self, messages: Sequence[Message], *, done: bool = True) -> None:
        mids = [it.mid for it in messages if it.qos] if done else []
        if mids and not self.lost.is_set() and self._client.is_connected:
            self._client.write(pubacks(mids))
        self._in_hand -= len(messages)
        if not self._in_hand:
            self._idle.set()

    def _pass_each(
        self, name: faults.Name, messages: Sequence[Message], then: Receiver
    ) -> None:
        """Pass a fault point with each message: all at once where no fault is asked for."""
        if not faults.active():
            then(messages)
            return
        loop = asyncio.get_running_loop()
        for message in messages:
            task = loop.create_task(self._pass_alone(name, message, then))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass_alone(self, name: faults.Name, message: Message, then: Receiver) -> None:
        with suppress(ConnectionLostError):
            if await self._pass(name):
                self._let_go([message], done=False)
            else:
                then([message])


def _portions(filters: Sequence[str]) -> list[list[str]]:
    starts = range(0, len(filters), _PORTION)
    return [list(filters[start : start + _PORTION]) for start in starts]
