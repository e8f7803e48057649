"""What Mosquitto tells of itself: its clients, what it keeps for them, what it dropped.

It says so in its ``$SYS`` topics, which one account may read: the server makes it anew at each
start, and nobody but its own process knows the password.
"""

from typing import Final

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from prometheus_client import Counter, Gauge

from broker.evictions import Guest

__all__ = ["Census"]

TOPICS: Final = "$SYS/broker/#"
LAST_PAUSE_S: Final = 30

_log = structlog.get_logger(__name__)
_clients = Gauge("noctis_broker_clients", "Clients that are connected.")
_sessions = Gauge("noctis_broker_sessions", "Sessions, of clients that are away too.")
_messages = Gauge(
    "noctis_broker_queued_messages", "Messages that are kept for somebody, retained ones too."
)
_bytes = Gauge("noctis_broker_queued_bytes", "Bytes of these messages.")
_dropped = Counter(
    "noctis_broker_dropped_total", "Messages that were dropped as a queue was full."
)
_GAUGES: Final = {
    "$SYS/broker/clients/connected": _clients,
    "$SYS/broker/clients/total": _sessions,
    "$SYS/broker/store/messages/count": _messages,
    "$SYS/broker/store/messages/bytes": _bytes,
}
_DROPPED: Final = "$SYS/broker/publish/messages/dropped"


class Census:
    """Listens to a broker on loopback in a thread of its own, from ``start`` to ``stop``."""

    def __init__(self, guest: Guest) -> None:
        self._known = 0
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=guest.username)
        client.username_pw_set(guest.username, guest.password)
        client.reconnect_delay_set(1, LAST_PAUSE_S)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        self._client = client

    def start(self, port: int) -> None:
        """Listen to the broker on a port, and again whenever it has been away."""
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def stop(self) -> None:
        """Listen no more."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self,
        client: paho.Client,
        _data: object,
        _flags: object,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        if code.is_failure:
            _log.warning("census_refused", reason=str(code))
            return
        self._known = 0  # a broker that was started anew counts from 0
        client.subscribe(TOPICS)

    def _on_message(
        self, _client: paho.Client, _data: object, message: paho.MQTTMessage
    ) -> None:
        text = message.payload.decode(errors="replace")
        if not text.isdecimal():
            return
        if message.topic in _GAUGES:
            _GAUGES[message.topic].set(int(text))
        elif message.topic == _DROPPED:
            _dropped.inc(max(0, int(text) - self._known))
            self._known = int(text)
