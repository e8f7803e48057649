"""One MQTT connection, from CONNECT to its end; what is particular to gmqtt stays in here.

gmqtt reconnects on its own, but with a fixed pause, never after a refusal, and its late
acknowledgements go out on whatever connection is current. So each connection here has a
client of its own, which dies with it: an acknowledgement that comes late meets a closed
socket and is dropped, as it must be.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import gmqtt  # type: ignore[import-untyped]
import structlog
from gmqtt.mqtt.handler import MQTTConnectError  # type: ignore[import-untyped]
from gmqtt.storage import PersistentStorage  # type: ignore[import-untyped]
from typing_extensions import override

from noctis import faults
from noctis.mqtt_link import BrokerError, ConnectionLostError, Handler, Link, Message

__all__ = ["Connection"]

_log = structlog.get_logger(__name__)
logging.getLogger("gmqtt").setLevel(logging.ERROR)  # it warns at each late acknowledgement

_FAILURE: Final = 0x80
_HANDLER_FAILED: Final = 131
_SESSION_TAKEN_OVER: Final = 0x8E


class Connection:
    """One connection; after ``lost`` is set it is of no more use."""

    def __init__(self, link: Link, handler: Handler, *, generation: int) -> None:
        self.lost = asyncio.Event()
        self.generation = generation
        self.session_present = False
        self._link = link
        self._handler = handler
        self._unconfirmed = _Unconfirmed()
        self._subscribing: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._opening: asyncio.Timeout | None = None
        self._client = _client(link, self._unconfirmed)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
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
        """Subscribe with QoS 1; raises BrokerError when the broker refuses one of them."""
        if not filters:
            return
        await self._pass("mqtt.subscribe")
        mid = self._client.subscribe([gmqtt.Subscription(it, qos=1) for it in filters])
        self._subscribing[mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                codes = await self._subscribing[mid]
        except TimeoutError as error:
            message = "the broker did not answer SUBSCRIBE in time"
            raise BrokerError(message) from error
        refused = [it for it, code in zip(filters, codes, strict=True) if code >= _FAILURE]
        if refused:
            message = f"the broker refuses {self._link.username} the topics {refused}"
            raise BrokerError(message, hint="check the ACL")

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 0; False when the connection is gone and nothing was sent."""
        if self.lost.is_set() or not self._client.is_connected:
            return False
        try:
            if not faults.point("mqtt.send"):
                self._client.publish(topic, payload)
        except faults.InjectedError:
            self.abort()
            return False
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
        for waiting in self._subscribing.values():
            if not waiting.done():
                waiting.set_exception(ConnectionLostError("connection lost before SUBACK"))

    async def _pass(self, name: faults.Name) -> bool:
        """Pass a fault point; an error there is a connection that breaks."""
        try:
            return await faults.apoint(name)
        except faults.InjectedError as error:
            self.abort()
            raise ConnectionLostError(str(error)) from error

    def _on_connect(self, _client: object, flags: int, _code: int, _properties: object) -> None:
        self.session_present = bool(flags & 1)

    def _on_subscribe(
        self, _client: object, mid: int, codes: Sequence[int], _properties: object
    ) -> None:
        waiting = self._subscribing.pop(mid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(codes)

    def _on_disconnect(self, _client: object, packet: object, _error: object = None) -> None:
        if isinstance(packet, bytes) and packet[:1] == bytes([_SESSION_TAKEN_OVER]):
            _log.warning("account_used_twice", username=self._link.username)
        self.abort()

    async def _on_message(
        self,
        _client: object,
        topic: str | bytes,  # bytes where it is no UTF-8, which a broker should refuse
        payload: bytes,
        qos: int,
        properties: dict[str, Any],
    ) -> int:
        if self._draining:
            await self.lost.wait()
            return 0
        name = topic if isinstance(topic, str) else topic.decode(errors="replace")
        message = Message(name, payload, qos, bool(properties["retain"]), self.generation)
        self._in_hand += 1
        self._idle.clear()
        dropped = False
        try:
            dropped = await faults.apoint("mqtt.deliver")
            if not dropped:
                await self._handler(message)
                dropped = await faults.apoint("mqtt.acknowledge")
        except asyncio.CancelledError:
            self.abort()  # the program ends: what is not handled must not be acknowledged
        except Exception:  # noqa: BLE001 - whatever it was, the window must not stall
            _log.exception("message_handler_failed", topic=name)
            return _HANDLER_FAILED
        finally:
            # gmqtt sends PUBACK in the loop's next round; whoever drains must come after it.
            asyncio.get_running_loop().call_soon(self._let_go)
        if dropped:
            await self.lost.wait()
        return 0

    def _let_go(self) -> None:
        self._in_hand -= 1
        if not self._in_hand:
            self._idle.set()


class _Unconfirmed(PersistentStorage):  # type: ignore[misc]
    """Publishes that wait for PUBACK; bounded by the publisher, never sent again by gmqtt."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: asyncio.Future[None]
        self._waiting: dict[int, asyncio.Future[None]] = {}

    @override
    def push_message(self, mid: int, raw_package: bytes) -> None:
        self.latest = self._waiting[mid] = asyncio.get_running_loop().create_future()

    @override
    def remove_message_by_mid(self, mid: int) -> None:
        waiting = self._waiting.pop(mid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def fail(self) -> None:
        """Tell all who wait that the connection is gone."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionLostError("connection lost before PUBACK"))
        self._waiting.clear()


class _Client(gmqtt.Client):  # type: ignore[misc]
    """A client for one connection."""

    @override
    async def reconnect(self, delay: bool = False) -> None:
        """Stay down: the session makes a new client."""

    def abort(self) -> None:
        """Close the socket without waiting for what is still to be sent."""
        self._is_active = False
        if self._connection is not None:
            self._connection._transport.abort()  # noqa: SLF001 - close() waits for a dead peer


def _client(link: Link, unconfirmed: _Unconfirmed) -> _Client:
    properties: dict[str, int] = {}
    if link.version == 5:  # noqa: PLR2004 - MQTT's own name
        properties["receive_maximum"] = link.receive_maximum
        properties["session_expiry_interval"] = link.session_expiry_s
    will = link.will
    client = _Client(
        link.username,
        clean_session=link.session_expiry_s == 0,
        optimistic_acknowledgement=False,
        persistent_storage=unconfirmed,
        will_message=None
        if will is None
        else gmqtt.Message(will.topic, will.payload, qos=1, retain=will.retain),
        **properties,
    )
    client.set_auth_credentials(link.username, link.password)
    return client
