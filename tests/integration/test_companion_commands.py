"""Commands on their way through a real broker and a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from broker.server import MosquittoServer
from companion import commands as companion_commands
from companion.service import Companion
from noctis import topics
from noctis.identity import DeviceId
from noctis.settings import Settings
from noctis.storage import commands, configs, devices, reports, tenants
from noctis.storage.commands import Command, Range
from noctis.storage.database import Database
from noctis.storage.engine import create, transaction
from tests.integration.broker_fixtures import Client, link, on_loop, until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

D1, D2 = DeviceId("t1", "d1"), DeviceId("t1", "d2")
STATUS = {
    "state": "online",
    "stream": "0" * 15 + "7",
    "oldest_seq": 0,
    "next_seq": 9,
    "backlog": 0,
}


class Device(Client):
    """A device that reads its commands and answers as the test says."""

    def __init__(self, port: int, device: DeviceId = D1) -> None:
        super().__init__(port, str(device))
        self.device = device

    def come(self) -> None:
        self.subscribe(topics.command(self.device))
        self.say("status", STATUS, retain=True)

    def say(self, channel: str, document: object, *, retain: bool = False) -> None:
        body = json.dumps(document).encode()
        self.publish(topics.up(self.device, channel), body, retain=retain)

    def answer(self, key: object, state: str = "done", **detail: object) -> None:
        self.say("result", {"id": str(key), "state": state, "detail": detail})

    async def command(self) -> dict[str, Any]:
        message = await asyncio.to_thread(self.next, 10.0)
        body: dict[str, Any] = json.loads(message.payload)
        return body


class Desk:
    """The database, as an admin's commands see it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def order(self, *ranges: Range, device: DeviceId = D1) -> list[UUID]:
        with transaction(self._engine) as connection:
            return commands.order_resend(device.tenant, connection, device.device, ranges)

    def told(self, device: DeviceId = D1) -> list[Command]:
        with transaction(self._engine) as connection:
            return commands.list_of(device.tenant, connection, device.device)

    def next_seq(self, device: DeviceId = D1) -> int:
        with transaction(self._engine) as connection:
            last = reports.last(device.tenant, connection, device.device)
        return -1 if last is None else last[0].next_seq


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    engine = create(database_url, application="noctis-test")
    with transaction(engine) as connection:
        tenants.add(connection, "t1")
        for device in (D1, D2):
            devices.add("t1", connection, device.device)
    yield Desk(engine)
    engine.dispose()


@asynccontextmanager
async def companion(broker: MosquittoServer, url: str) -> AsyncIterator[None]:
    database = Database(Settings(database_url=url), application="test", connections=2)
    made = Companion(
        link(broker, "svc-companion-0"),
        database,
        frozenset(range(64)),
        models=Path("var/models"),
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await until(lambda: made.ready)
        try:
            yield
        finally:
            await made.drain()
            running.cancel()
    database.close()


def test_a_device_that_was_away_gets_its_command_when_it_comes_and_is_answered_for(
    broker: MosquittoServer, database_url: str, desk: Desk
) -> None:
    async def main() -> None:
        [key] = desk.order(Range(0xAB, 3, 17))
        async with companion(broker, database_url):
            await until(lambda: desk.told()[0].sent_at is not None)  # nobody was there
            with Device(broker.port) as device:
                device.come()
                told = await device.command()
                assert told == {
                    "id": str(key),
                    "command": "resend",
                    "stream": "00000000000000ab",
                    "from": 3,
                    "to": 17,
                }
                device.answer(key, stored=15)
                await until(lambda: desk.told()[0].state == "done")
                assert desk.told()[0].detail == {"stored": 15}
                await until(lambda: desk.next_seq() == STATUS["next_seq"])

    on_loop(main)


def test_a_command_is_repeated_until_it_is_answered_and_the_next_one_waits_for_that(
    broker: MosquittoServer,
    database_url: str,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(companion_commands, "FIRST_PAUSE", companion_commands.FIRST_PAUSE / 30)

    async def main() -> None:
        keys = desk.order(Range(1, 0, 9), Range(1, 20, 29))
        async with companion(broker, database_url):
            with Device(broker.port) as device:
                device.come()
                for _ in range(3):
                    assert (await device.command())["id"] == str(keys[0])
                device.answer(keys[0], "refused", reason="overwritten")
                await until(lambda: desk.told()[0].state == "refused")
                while (told := await device.command())["id"] == str(keys[0]):
                    pass  # it was on its way
                assert told["id"] == str(keys[1])

    on_loop(main)


def test_answers_of_others_and_nonsense_change_nothing_and_break_nothing(
    broker: MosquittoServer, database_url: str, desk: Desk
) -> None:
    async def main() -> None:
        [key] = desk.order(Range(1, 0, 9))
        async with companion(broker, database_url):
            with Device(broker.port) as device, Device(broker.port, D2) as other:
                other.answer(key, stored=10)
                device.answer(uuid4(), stored=10)
                device.say("result", {"id": str(key), "state": "perhaps"})
                device.publish(topics.up(D1, "result"), b"\xff{")
                device.publish(topics.up(D1, "status"), b"")
                device.say("status", STATUS | {"next_seq": -3})
                other.come()
                await until(lambda: desk.next_seq(D2) >= 0)  # all before it was heard
                assert desk.told()[0].state == "pending"
                assert desk.next_seq() != -3
                device.answer(key, stored=10)
                await until(lambda: desk.told()[0].state == "done")

    on_loop(main)


def test_an_answer_that_the_database_did_not_take_is_asked_for_again(
    broker: MosquittoServer, database_url: str, desk: Desk, engine: Engine
) -> None:
    async def main() -> None:
        [key] = desk.order(Range(1, 0, 9))
        async with companion(broker, database_url):
            with Device(broker.port) as device:
                device.come()
                await device.command()
                with transaction(engine, 30) as connection:
                    connection.execute(text("ALTER TABLE commands RENAME TO away"))
                device.answer(key, stored=1)
                await asyncio.sleep(0.5)
                with transaction(engine, 30) as connection:
                    connection.execute(text("ALTER TABLE away RENAME TO commands"))
                assert desk.told()[0].state == "pending"
                device.come()
                assert (await device.command())["id"] == str(key)
                device.answer(key, stored=1)
                await until(lambda: desk.told()[0].state == "done")

    on_loop(main)


def test_the_pause_before_a_repeat_doubles_from_half_a_minute_to_a_quarter_of_an_hour() -> None:
    seconds = [companion_commands.pause_after(n).total_seconds() for n in range(8)]
    assert seconds == [30, 30, 60, 120, 240, 480, 900, 900]
    assert companion_commands.pause_after(10_000).total_seconds() == 900


def test_a_configuration_waits_at_the_broker_and_is_told_again_to_who_comes(
    broker: MosquittoServer, database_url: str, desk: Desk, engine: Engine
) -> None:
    def desire(**values: int) -> None:
        with transaction(engine) as connection:
            configs.put("t1", connection, D1.device, values)

    async def main() -> None:
        desire(report_s=300)
        async with companion(broker, database_url):
            with Device(broker.port) as device:
                device.subscribe(topics.config(D1))
                assert await device.command() == {"version": 1, "report_s": 300}
                desire(report_s=60)
                assert await device.command() == {"version": 2, "report_s": 60}
            with Device(broker.port) as device:
                device.subscribe(topics.config(D1))
                assert await device.command() == {"version": 2, "report_s": 60}
                device.say("status", STATUS, retain=True)
                assert await device.command() == {"version": 2, "report_s": 60}
                await until(lambda: desk.next_seq() == STATUS["next_seq"])

    on_loop(main)
