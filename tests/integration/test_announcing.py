"""What apps find retained: discovery, statuses, and that the platform is there."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from companion import discovery
from companion.announcing import OFFLINE, ONLINE
from companion.service import Companion
from noctis import topics
from noctis.identity import DeviceId
from noctis.settings import Settings
from noctis.storage import devices, tenants
from noctis.storage.database import Database
from noctis.storage.engine import create, transaction
from tests.integration.broker_fixtures import (
    Client,
    broker,
    forgetful_broker,
    link,
    on_loop,
    until,
)

__all__ = ["broker", "forgetful_broker"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

D1, D2 = DeviceId("t1", "d1"), DeviceId("t1", "d2")
STATUS: Final = {
    "state": "online",
    "stream": "9f0c1d2e3a4b5c6d",
    "oldest_seq": 0,
    "next_seq": 41,
    "backlog": 3,
    "firmware": "noctis-device 0.1.0",
    "certificate": "0badcafe",
}
SERVICE: Final = "noctis/v1/service/svc-companion-0/status"
CONFIG: Final = "homeassistant/device/t1/d1/config"
MIRROR: Final = "noctis/v1/app/t1/d1/status"
TENANT: Final = "noctis/v1/app/t1/status"


@pytest.fixture
def desk(database_url: str) -> Iterator[Engine]:
    engine = create(database_url, application="noctis-test")
    with transaction(engine) as connection:
        for device in (D1, DeviceId("t2", "d1")):
            tenants.add(connection, device.tenant)
            devices.add(device.tenant, connection, device.device)
    yield engine
    engine.dispose()


@asynccontextmanager
async def companion(
    broker: MosquittoServer, url: str, *, farewell: bool = True
) -> AsyncIterator[Companion]:
    database = Database(Settings(database_url=url), application="test", connections=2)
    made = Companion(
        link(broker, "svc-companion-0"),
        database,
        frozenset(range(64)),
        models=Path("var/models"),
        night_stager=False,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await until(lambda: made.ready)
        try:
            yield made
        finally:
            if farewell:
                await made.drain()
            running.cancel()
    database.close()


class Hall:
    """What an app hears, message by message."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.heard: list[tuple[str, bytes]] = []

    def look(self) -> dict[str, bytes]:
        while not self._client.received.empty():
            message = self._client.received.get()
            self.heard.append((message.topic, bytes(message.payload)))
        return {topic: payload for topic, payload in dict(self.heard).items() if payload}

    def count(self, topic: str) -> int:
        self.look()
        return sum(1 for it, _ in self.heard if it == topic)

    def last(self, topic: str) -> bytes | None:
        self.look()
        return next((payload for it, payload in reversed(self.heard) if it == topic), None)


@asynccontextmanager
async def app(broker: MosquittoServer, name: str = "phone@t1") -> AsyncIterator[Hall]:
    """An app that asks for all that there is, as Home Assistant does."""
    with Client(broker.port, name) as client:
        client.subscribe("noctis/#")
        client.subscribe("homeassistant/#")
        yield Hall(client)


def tell(broker: MosquittoServer, device: DeviceId = D1, **changes: object) -> None:
    with Client(broker.port, str(device)) as client:
        payload = json.dumps({**STATUS, **changes}).encode()
        client.publish(topics.up(device, "status"), payload, retain=True)


def revoke(engine: Engine, device: DeviceId) -> None:
    with transaction(engine) as connection:
        devices.revoke(device.tenant, connection, device.device)


@pytest.mark.usefixtures("desk")
def test_an_app_finds_its_own_tenants_devices_and_their_status_and_no_others(
    broker: MosquittoServer, database_url: str
) -> None:
    async def main() -> None:
        async with companion(broker, database_url), app(broker) as hall:
            tell(broker)
            await until(lambda: {CONFIG, MIRROR, TENANT, SERVICE} <= hall.look().keys())
            assert hall.last(CONFIG) == discovery.payload(D1, SERVICE)
            told = json.loads(hall.last(MIRROR) or b"")
            assert told["state"] == "online"
            assert "certificate" not in told
            assert hall.last(TENANT) == hall.last(SERVICE) == ONLINE
            async with app(broker, "phone@t2") as other:
                await until(lambda: len(other.look()) == 3)
                assert other.look().keys() == {
                    "homeassistant/device/t2/d1/config",
                    "noctis/v1/app/t2/status",
                    SERVICE,
                }

    on_loop(main)


@pytest.mark.usefixtures("desk")
def test_a_restarted_companion_sends_nothing_that_the_broker_still_has(
    broker: MosquittoServer, database_url: str
) -> None:
    async def main() -> None:
        async with companion(broker, database_url):
            tell(broker)
            async with app(broker) as hall:
                await until(lambda: {CONFIG, MIRROR, TENANT} <= hall.look().keys())
        async with app(broker) as hall:
            await until(lambda: hall.last(TENANT) == OFFLINE)
            async with companion(broker, database_url):
                await until(lambda: hall.last(TENANT) == hall.last(SERVICE) == ONLINE)
                tell(broker, backlog=4)
                await until(lambda: b'"backlog":4' in (hall.last(MIRROR) or b""))
            assert hall.count(CONFIG) == 1
            assert hall.count(MIRROR) == 2

    on_loop(main)


@pytest.mark.usefixtures("desk")
def test_a_broker_that_lost_what_it_retained_is_told_all_of_it_again(
    forgetful_broker: MosquittoServer, database_url: str
) -> None:
    async def main() -> None:
        async with companion(forgetful_broker, database_url):
            tell(forgetful_broker)
            async with app(forgetful_broker) as hall:
                await until(lambda: {CONFIG, MIRROR, TENANT} <= hall.look().keys())
            forgetful_broker.restart()
            async with app(forgetful_broker) as hall:
                await until(
                    lambda: {CONFIG, MIRROR, TENANT, SERVICE} <= hall.look().keys(),
                    within_s=30,
                )
                assert hall.count(CONFIG) == 1

    on_loop(main)


def test_a_revoked_device_goes_even_where_it_was_revoked_while_nobody_looked(
    broker: MosquittoServer, database_url: str, desk: Engine
) -> None:
    async def main() -> None:
        with transaction(desk) as connection:
            devices.add("t1", connection, D2.device)
        other = topics.discovery(D2)
        async with companion(broker, database_url), app(broker) as hall:
            tell(broker)
            await until(lambda: {CONFIG, MIRROR, other} <= hall.look().keys())
            revoke(desk, D1)
            await until(lambda: hall.last(CONFIG) == hall.last(MIRROR) == b"")
        revoke(desk, D2)
        async with companion(broker, database_url), app(broker) as hall:
            await until(lambda: not hall.last(TENANT) and not hall.last(other))
        async with app(broker) as hall:
            await until(lambda: SERVICE in hall.look())
            assert hall.look().keys() == {SERVICE}

    on_loop(main)


@pytest.mark.usefixtures("desk")
def test_the_broker_says_of_a_companion_that_died_that_it_is_gone(
    broker: MosquittoServer, database_url: str
) -> None:
    async def main() -> None:
        async with app(broker) as hall:
            async with companion(broker, database_url, farewell=False) as made:
                await until(lambda: hall.last(SERVICE) == ONLINE)
                connection = made.app_session._connection
                assert connection is not None
                connection.abort()
                await until(lambda: hall.count(SERVICE) == 3)
            assert [it for topic, it in hall.heard if topic == SERVICE] == [
                ONLINE,
                OFFLINE,
                ONLINE,
            ]

    on_loop(main)
