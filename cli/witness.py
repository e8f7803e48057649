"""An app of its own on the broker that notes which stage arrived when."""

import json
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from noctis import topics
from noctis.errors import ProcessError
from noctis.identity import app_username

__all__ = ["Witness"]

CONNECT_S: Final = 15.0
Key = tuple[int, int]


class Witness:
    """Subscribes to a tenant's live stages with an app's account, from entry to exit.

    ``arrivals`` maps (stream, seq) to the wall-clock time, in seconds, of the first receipt,
    ``models`` to the model that the stage names.
    """

    def __init__(self, host: str, port: int, *, app: str, tenant: str, password: str) -> None:
        user = app_username(app, tenant)
        self._filter = topics.stages(tenant)
        self._arrivals: dict[Key, float] = {}
        self.models: dict[Key, str] = {}
        self._subscribed = threading.Event()
        self._address = (host, port)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=user)
        self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    @property
    def arrivals(self) -> Mapping[Key, float]:
        """When each live stage arrived first."""
        return self._arrivals

    def __enter__(self) -> Self:
        self._client.connect_async(*self._address)
        self._client.loop_start()
        if not self._subscribed.wait(CONNECT_S):
            self._client.loop_stop()
            message = f"the app cannot subscribe at {self._address[0]}:{self._address[1]}"
            raise ProcessError(message, hint="is its account on the broker?")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:  # noqa: ANN401 - paho's own
        client.subscribe(self._filter, qos=1)

    def _on_subscribe(self, *_: Any) -> None:  # noqa: ANN401 - paho's own
        self._subscribed.set()

    def _on_message(
        self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage
    ) -> None:
        now = time.time()
        if message.retain:
            return
        content = json.loads(message.payload)
        key = int(content["stream"], 16), content["seq"]
        self._arrivals.setdefault(key, now)
        self.models.setdefault(key, content["model"])
