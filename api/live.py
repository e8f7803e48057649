"""Live stages from the broker to whoever listens: one session, and a bounded queue for each.

The session hears the stages of all tenants; what a listener gets is chosen here, by the tenant
and the device that the topic names and by nothing that a message says.
"""

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import structlog
from filelock import FileLock, Timeout
from prometheus_client import Counter as Count
from prometheus_client import Gauge

from noctis import topics
from noctis.errors import NoctisError, TopicError
from noctis.identity import DeviceId
from noctis.mqtt import Message, Session
from noctis.replica import app_link, device_link
from noctis.settings import Settings

__all__ = ["MOST_OF_TENANT", "Event", "Listener", "Live", "TooManyError", "dropped"]

MOST_OF_TENANT: Final = 20
"""Streams of a tenant in each process of the facade."""

MOST_WAITING: Final = 256
RECENT: Final = 4  # two minutes: what came before that is stored
FRESH_S: Final = 120.0
CONNECT_S: Final = 5.0
MOST_PROCESSES: Final = 16

_log = structlog.get_logger(__name__)
_streams = Gauge("noctis_api_streams", "Open streams of stages.", multiprocess_mode="livesum")
dropped = Count("noctis_api_streams_dropped_total", "Streams whose reader was too slow.")


class TooManyError(NoctisError):
    """The tenant has as many streams as it may have."""


@dataclass(frozen=True, slots=True)
class Event:
    """A device's live stage as it was published; ``at``: when it came, monotonic seconds."""

    device: str
    stream: str
    seq: int
    payload: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def document(self) -> dict[str, Any]:
        """What was published, with the device's name."""
        document: dict[str, Any] = json.loads(self.payload)
        return document | {"device": self.device}

    @property
    def key(self) -> tuple[str, int]:
        """The epoch's identity within its device."""
        return self.stream, self.seq


class Listener:
    """One stream: what waits for it, and why it ends, if it has to."""

    def __init__(self, tenant: str, device: str | None) -> None:
        self.tenant = tenant
        self.device = device
        self.is_slow = False
        self._waiting: deque[Event] = deque()
        self._news = anyio.Event()

    def tell(self, event: Event) -> None:
        """Put an event into the queue; a queue that is full is given up."""
        if self.device not in {None, event.device} or self.is_slow:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.is_slow = True
            self._waiting.clear()
            dropped.inc()
            _log.warning("stream_dropped", tenant=self.tenant, reason="slow reader")
        else:
            self._waiting.append(event)
        self._news.set()

    async def take(self, *, within_s: float) -> list[Event]:
        """Return what has come, waiting for it; an empty list when nothing has in time."""
        if not self._waiting and not self.is_slow:
            with anyio.move_on_after(within_s):
                await self._news.wait()
        self._news = anyio.Event()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Live:
    """Hears the broker from the first listener on, and tells each what is its tenant's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listeners: dict[str, set[Listener]] = {}
        self._recent: dict[DeviceId, deque[Event]] = {}
        self._wanted, self._begun = anyio.Event(), anyio.Event()
        self._session: Session | None = None

    async def run(self) -> None:
        """Wait for the first listener, then hear the broker until cancelled."""
        await self._wanted.wait()
        try:
            with _account(self._settings) as settings:
                link = app_link(settings, "api") or device_link(settings, "api")
                self._session = Session(
                    link, subscriptions=[topics.all_stages()], receiver=self._hear
                )
                self._begun.set()
                await self._session.run()
        except (NoctisError, OSError) as error:
            _log.error("stages_not_heard", error=str(error))

    async def wait_ready(self) -> bool:
        """Tell whether the broker is heard; wait a few seconds for it."""
        self._wanted.set()
        with anyio.move_on_after(CONNECT_S):
            await self._begun.wait()
            if self._session is not None:
                await self._session.wait_ready()
                return True
        return False

    @contextmanager
    def listening(
        self, tenant: str, device: str | None, *, is_resumed: bool
    ) -> Iterator[Listener]:
        """Yield a listener to a tenant's stages, or to those of one device.

        It begins with the newest stage of each device, and where it is resumed with all that
        are remembered. Raises TooManyError where the tenant has too many already.
        """
        mine = self._listeners.setdefault(tenant, set())
        if len(mine) >= MOST_OF_TENANT:
            message = f"{MOST_OF_TENANT} streams are open"
            raise TooManyError(message)
        listener = Listener(tenant, device)
        for event in self._remembered(tenant, is_resumed=is_resumed):
            listener.tell(event)
        mine.add(listener)
        _streams.inc()
        try:
            yield listener
        finally:
            mine.discard(listener)
            _streams.dec()

    def _remembered(self, tenant: str, *, is_resumed: bool) -> list[Event]:
        oldest = time.monotonic() - FRESH_S
        found = [
            event
            for device, events in self._recent.items()
            if device.tenant == tenant
            for event in (events if is_resumed else [events[-1]])
            if is_resumed or event.at > oldest
        ]
        return sorted(found, key=lambda event: event.at)[-MOST_WAITING // 2 :]

    def _hear(self, messages: Sequence[Message]) -> None:
        for message in messages:
            event = _event(message)
            if event is not None:
                self._tell(*event)
            elif not message.payload:
                self._forget(message.topic)
        if self._session is not None:
            self._session.acknowledge(messages)

    def _forget(self, topic: str) -> None:
        """Forget a device whose retained stage was cleared: it is erased."""
        with suppress(TopicError):
            self._recent.pop(topics.parse_stage(topic), None)

    def _tell(self, device: DeviceId, event: Event) -> None:
        recent = self._recent.setdefault(device, deque(maxlen=RECENT))
        if any(event.key == known.key for known in recent):
            return  # retained, or delivered again
        recent.append(event)
        for listener in self._listeners.get(device.tenant, ()):
            listener.tell(event)


def _event(message: Message) -> tuple[DeviceId, Event] | None:
    """Return what a message tells, None where it is no stage."""
    try:
        device = topics.parse_stage(message.topic)
        document = json.loads(message.payload)
        stream, seq = str(document["stream"]), int(document["seq"])
    except (TopicError, ValueError, TypeError, KeyError):
        return None
    return device, Event(device.device, stream, seq, message.payload)


@contextmanager
def _account(settings: Settings) -> Iterator[Settings]:
    """Yield settings with the number of an account that no other process here uses.

    Two connections on one account would end each other for ever: each process of a facade has
    one of its own, svc-api-0, svc-api-1, and so on from ``NOCTIS_INSTANCE``.
    """
    folder = settings.var / "api"
    folder.mkdir(parents=True, exist_ok=True)
    first = settings.instance
    for number in range(first, first + MOST_PROCESSES):
        lock = FileLock(folder / f"svc-api-{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _log.info("broker_account", account=f"svc-api-{number}", pid=os.getpid())
        try:
            yield settings.model_copy(update={"instance": number})
        finally:
            lock.release()
        return
    message = f"all accounts from svc-api-{first} on are in use"
    raise NoctisError(message, hint="set another NOCTIS_INSTANCE for this facade")
