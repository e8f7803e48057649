"""What devices say of their updates, through a real broker and into a real database."""

import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from broker.server import MosquittoServer
from noctis.firmware import Image, Manifest
from noctis.status import UpdateReport
from noctis.storage import devices, firmware, rollout_turns, rollouts, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.rollouts import Plan
from tests.integration.broker_fixtures import on_loop, until
from tests.integration.test_companion_commands import D1, Device, companion

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

IMAGE = Image("host", "0.2.0", 2, 1000, "ab" * 32)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create(database_url, application="noctis-test")
    yield engine
    engine.dispose()


@pytest.fixture
def rollout(engine: Engine) -> UUID:
    with transaction(engine) as connection:
        tenants.add(connection, "t1")
        devices.add("t1", connection, D1.device)
        firmware.add(connection, IMAGE)
        firmware.sign(connection, Manifest(IMAGE, 1_900_000_000), "0123456789abcdef", "5a" * 64)
        plan = Plan("http://noctis.example/image", 1, 0.1, patience_s=600)
        number = rollouts.begin(connection, firmware.find(connection, "0.2.0"), plan, [D1])
        return rollouts.list_all(connection, number)[0].id


def far(engine: Engine) -> tuple[str, str | None]:
    with transaction(engine) as connection:
        [found] = rollouts.devices_of(connection, 1)
    return found.state, found.reason


def test_of_two_reports_of_an_update_the_later_one_stands_however_slow_the_first_is_stored(
    broker: MosquittoServer,
    database_url: str,
    engine: Engine,
    rollout: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = rollout_turns.report
    stored: list[str] = []

    def slow_at_first(
        tenant: str, connection: Connection, device: str, said: UpdateReport
    ) -> bool:
        if not said.reason:
            time.sleep(0.5)
        is_known = store(tenant, connection, device, said)
        stored.append(said.reason)
        return is_known

    monkeypatch.setattr(rollout_turns, "report", slow_at_first)

    async def main() -> None:
        async with companion(broker, database_url):
            await until(lambda: far(engine)[0] == "offered")
            report = {"rollout": str(rollout), "state": "downloading", "version": "0.1.0"}
            with Device(broker.port) as device:
                device.say("ota", report | {"build": 1})
                device.say("ota", report | {"build": 1, "reason": "no_server"})
                await until(lambda: len(stored) == 2)
        assert far(engine) == ("downloading", "no_server")

    on_loop(main)
