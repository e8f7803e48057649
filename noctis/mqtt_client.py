"""What is particular to gmqtt: a client for one connection, and what is many led past it.

gmqtt reconnects on its own, but with a fixed pause, never after a refusal, and its late
acknowledgements go out on whatever connection is current: so it never reconnects here. Of each
message it makes a task, a future and a write, some 0.2 ms: here a read of the socket becomes
one list of messages.
"""

import asyncio
import logging
from functools import partial
from ssl import SSLContext
from time import monotonic

import gmqtt  # type: ignore[import-untyped]
import structlog
from gmqtt.mqtt.connection import MQTTConnection  # type: ignore[import-untyped]
from gmqtt.mqtt.package import Package  # type: ignore[import-untyped]
from gmqtt.mqtt.protocol import MQTTProtocol  # type: ignore[import-untyped]
from gmqtt.storage import PersistentStorage  # type: ignore[import-untyped]
from typing_extensions import override

from noctis.mqtt_link import ConnectionLostError, Link, Receiver
from noctis.mqtt_packets import PacketError, Reader

__all__ = ["Client", "Unconfirmed"]

_log = structlog.get_logger(__name__)
logging.getLogger("gmqtt").setLevel(logging.ERROR)


class Unconfirmed(PersistentStorage):  # type: ignore[misc]
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


class Client(gmqtt.Client):  # type: ignore[misc]
    """A client for one connection; ``take`` gets the messages of each read of the socket."""

    def __init__(
        self, link: Link, unconfirmed: Unconfirmed, generation: int, take: Receiver
    ) -> None:
        properties: dict[str, int] = {}
        if link.version == 5:  # noqa: PLR2004 - MQTT's own name
            properties["receive_maximum"] = link.receive_maximum
            properties["session_expiry_interval"] = link.session_expiry_s
        will = link.will
        super().__init__(
            link.username,
            clean_session=link.session_expiry_s == 0,
            persistent_storage=unconfirmed,
            will_message=None
            if will is None
            else gmqtt.Message(will.topic, will.payload, qos=1, retain=will.retain),
            **properties,
        )
        self.set_auth_credentials(link.username, link.password)
        self._reader = Reader(version=link.version, generation=generation)
        self._take = take

    def write(self, packets: bytes) -> None:
        """Write packets that are ready."""
        self._connection.send_package(packets)

    def abort(self) -> None:
        """Close the socket without waiting for what is still to be sent."""
        self._is_active = False
        if self._connection is not None:
            self._connection._transport.abort()  # noqa: SLF001 - close() waits for a dead peer

    @override
    async def reconnect(self, delay: bool = False) -> None:
        """Stay down: the session makes a new client."""

    @override
    async def _create_connection(
        self, host: str, port: int, ssl: SSLContext | None, clean_session: bool, keepalive: int
    ) -> MQTTConnection:
        """Connect with a protocol of ours."""
        handler = self._package_handler
        protocol = partial(
            _Protocol,
            self._reader,
            self._take,
            connection_state=self._connection_state,
            id_generator=handler.id_generator,
        )
        loop = asyncio.get_running_loop()
        transport, made = await loop.create_connection(protocol, host, port, ssl=ssl)
        return MQTTConnection(transport, made, clean_session, keepalive, handler)


class _Protocol(MQTTProtocol):  # type: ignore[misc]
    """Takes each read of the socket apart at once, and hands its messages over in one list."""

    def __init__(self, reader: Reader, take: Receiver, **options: object) -> None:
        super().__init__(**options)
        self._reader = reader
        self._take = take

    @override
    def data_received(self, data: bytes) -> None:
        now = monotonic()
        try:
            messages, others = self._reader.read(data, now)
        except (PacketError, IndexError) as error:
            _log.warning("broker_sent_no_mqtt", error=str(error))
            self._transport.abort()
            return
        self._connection._last_data_in = now  # noqa: SLF001 - for gmqtt's keep-alive
        for head, body in others:
            self._connection.put_package(Package(head, body))
        if messages:
            self._take(messages)
