"""Independent MQTT clients that write down whatever they hear, for the checker to read."""

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from noctis.topics import ROOT
from tests.integration.broker_fixtures import password_of

__all__ = ["EVERYTHING_OF_APPS", "EVERYTHING_OF_DEVICES", "Watcher", "heard"]

EVERYTHING_OF_APPS: Final = (f"{ROOT}/app/#", f"{ROOT}/down/#", f"{ROOT}/up/#")
EVERYTHING_OF_DEVICES: Final = (f"{ROOT}/up/+/+/+/epochs", f"{ROOT}/up/+/+/+/backlog")
CONNECT_S: Final = 15.0


class Watcher:
    """Hears all that the broker lets an account hear of ``filters``, from entry to exit.

    ``last_at`` is when something came last that was not retained, in unix seconds.
    """

    def __init__(self, port: int, username: str, filters: tuple[str, ...], file: Path) -> None:
        self.username = username
        self.last_at = 0.0
        self._port = port
        self._filters = filters
        self._file = file.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=username)
        self._client.username_pw_set(username, password_of(username))
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect_async("127.0.0.1", self._port, keepalive=10)
        self._client.loop_start()
        assert self._subscribed.wait(CONNECT_S), f"{self.username} cannot subscribe"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        with self._lock:
            self._file.close()

    def flush(self) -> None:
        """Have everything heard so far in the file."""
        with self._lock:
            self._file.flush()

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:  # noqa: ANN401 - paho's own
        client.subscribe([(each, 1) for each in self._filters])

    def _on_subscribe(self, *_: Any) -> None:  # noqa: ANN401 - paho's own
        self._subscribed.set()

    def _on_message(
        self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage
    ) -> None:
        now = time.time()
        if not message.retain:
            self.last_at = now
        entry = [round(now, 3), message.topic, message.retain, message.payload.hex()]
        with self._lock, suppress(ValueError):  # closed: nobody listens any more
            self._file.write(json.dumps(entry) + "\n")


def heard(file: Path) -> list[tuple[float, str, bool, bytes]]:
    """Return when what came on which topic, whether it was retained, and the payload."""
    with file.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return [(at, topic, retained, bytes.fromhex(it)) for at, topic, retained, it in found]
