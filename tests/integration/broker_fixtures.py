"""A real broker on a free port, accounts for it, and an independent client (paho)."""

import asyncio
import base64
import hashlib
import os
import queue
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
import uvloop
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.config import Limits
from broker.server import MosquittoServer
from noctis.childproc import free_port
from noctis.mqtt import Link

USERS = (
    "t1/d1",
    "t1/d2",
    "t2/d1",
    "phone@t1",
    "phone@t2",
    "svc-ingestor-0",
    "svc-live-0",
    "svc-companion-0",
    "svc-companion-1",
    "svc-api-0",
)
WAIT_S = 5.0
QUIET_S = 0.3


@dataclass(frozen=True)
class Account:
    username: str
    password_hash: str


def password_of(username: str) -> str:
    return f"password of {username}"


def account(username: str) -> Account:
    salt, rounds = os.urandom(12), 101
    key = hashlib.pbkdf2_hmac("sha512", password_of(username).encode(), salt, rounds)
    salt_text, key_text = base64.b64encode(salt).decode(), base64.b64encode(key).decode()
    return Account(username, f"$7${rounds}${salt_text}${key_text}")


def accounts(*extra: str) -> list[Account]:
    return [account(username) for username in (*USERS, *extra)]


@contextmanager
def running_broker(
    folder: Path, *, persistence: bool = True, limits: Limits | None = None
) -> Iterator[MosquittoServer]:
    server = MosquittoServer(folder, persistence=persistence, limits=limits)
    try:
        server.start(free_port(), accounts())
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)
        if server.folder != folder:
            server.folder.parent.rmdir()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoServer]:
    with running_broker(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def forgetful_broker(tmp_path: Path) -> Iterator[MosquittoServer]:
    """A broker without persistence: a kill takes every session and queue."""
    with running_broker(tmp_path / "broker", persistence=False) as server:
        yield server


def link(server: MosquittoServer, username: str, **options: Any) -> Link:  # noqa: ANN401
    return Link("127.0.0.1", server.port, username, password_of(username), **options)


def on_loop(main: Callable[[], Awaitable[None]], *, within_s: float = 60.0) -> None:
    """Run a test's coroutine on the loop that the services use."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await main()

    uvloop.run(bounded())


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what we wait for has no event
            await asyncio.sleep(0.01)


class Client:
    """An independent MQTT client that remembers what it received."""

    def __init__(
        self, port: int, username: str, *, client_id: str = "", version: int = paho.MQTTv5
    ) -> None:
        self.received: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        self.refused: paho.ReasonCode | None = None
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=client_id or username,
            protocol=version,
            reconnect_on_failure=False,
        )
        if username:
            self._client.username_pw_set(username, password_of(username))
        self._client.on_connect = lambda *arguments: self._done.put(arguments[3])
        self._client.on_subscribe = lambda *arguments: self._done.put(arguments[3])
        self._client.on_message = lambda _client, _data, message: self.received.put(message)
        self._port = port

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port, keepalive=10)
        self._client.loop_start()
        code = self._done.get(timeout=WAIT_S)
        if code.is_failure:
            self.refused = code
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic: str, qos: int = 1, *, within_s: float = WAIT_S) -> None:
        self._client.subscribe(topic, qos)
        self._done.get(timeout=within_s)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        sent = self._client.publish(topic, payload, qos=qos, retain=retain)
        try:
            sent.wait_for_publish(WAIT_S)
        except RuntimeError:
            pass  # the broker has cut us off: what is delivered is what counts

    def is_connected(self) -> bool:
        return self._client.is_connected()

    def next(self, timeout: float = WAIT_S) -> paho.MQTTMessage:
        return self.received.get(timeout=timeout)

    def topics(self, quiet_s: float = QUIET_S) -> list[str]:
        """Return the topics received, once nothing has come for a while."""
        topics = []
        while True:
            try:
                topics.append(self.next(quiet_s).topic)
            except queue.Empty:
                return topics


def session_properties(expiry_s: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = expiry_s
    return properties


def eventually(condition: Callable[[], bool], *, within_s: float = WAIT_S) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
