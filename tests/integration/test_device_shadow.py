"""A device's configuration, commands and log, end to end: firmware, broker, database."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from cli.service import device_program
from noctis import topics
from noctis.identity import DeviceId
from noctis.status import ConfigReport, Status
from noctis.storage import commands, config_reports, configs, devices, logs, reports
from noctis.storage.commands import Command
from noctis.storage.engine import transaction
from tests.integration.broker_fixtures import Client, on_loop, password_of, until
from tests.integration.test_companion_commands import companion, desk

__all__ = ["desk"]

pytestmark = [
    pytest.mark.usefixtures("desk"),
    pytest.mark.broker,
    pytest.mark.postgres,
    pytest.mark.timeout(120),
]

D1 = DeviceId("t1", "d1")
WITHIN_S = 30.0


class Bedside:
    """A virtual device at real time, and what the platform knows of it."""

    def __init__(self, engine: Engine, folder: Path, port: int) -> None:
        self._engine = engine
        self._folder = folder
        self._port = port

    @contextmanager
    def power(self) -> Iterator["Bedside"]:
        """Let it run; the power fails at the end."""
        names = ["--tenant", "t1", "--device", "d1", "--port", str(self._port)]
        files = ["--nor", str(self._folder / "nor"), "--log", str(self._folder / "log")]
        night = ["--hours", "1", "--speed", "20"]
        with (self._folder / "said").open("a") as said:
            process = subprocess.Popen(
                [device_program(), *names, *files, *night],
                env={**os.environ, "NOCTIS_DEVICE_PASSWORD": password_of("t1/d1")},
                stderr=said,
            )
            try:
                yield self
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(10)

    @property
    def said(self) -> str:
        return (self._folder / "said").read_text("utf-8")

    def desire(self, **values: int | bool | str) -> int:
        with transaction(self._engine) as connection:
            return configs.put("t1", connection, "d1", values).version

    @property
    def settings(self) -> ConfigReport:
        with transaction(self._engine) as connection:
            found = config_reports.last("t1", connection, "d1")
        return ConfigReport(version=0) if found is None else found[0]

    @property
    def status(self) -> Status | None:
        with transaction(self._engine) as connection:
            found = reports.last("t1", connection, "d1")
        return None if found is None else found[0]

    def order(self, what: commands.Nudge, seconds: int | None = None) -> UUID:
        with transaction(self._engine) as connection:
            return commands.order("t1", connection, "d1", what, seconds=seconds)

    def erase(self, stream: int) -> None:
        with transaction(self._engine) as connection:
            key = devices.get("t1", connection, "d1").id
            commands.order_erase(connection, key, [stream])

    def told(self) -> list[Command]:
        with transaction(self._engine) as connection:
            return commands.list_of("t1", connection, "d1")

    def lines(self) -> list[str]:
        with transaction(self._engine) as connection:
            return [line.text for line in logs.list_of("t1", connection, "d1")][::-1]


@asynccontextmanager
async def bedside(
    broker: MosquittoServer, url: str, engine: Engine, folder: Path
) -> AsyncIterator[Bedside]:
    for name, topic in (
        ("svc-companion-1", topics.config(D1)),
        ("t1/d1", topics.up(D1, "status")),
    ):
        with Client(broker.port, name) as other:
            other.publish(topic, b"", retain=True)
    async with companion(broker, url):
        yield Bedside(engine, folder, broker.port)


def play(main: Callable[[], Awaitable[None]]) -> None:
    on_loop(main, within_s=100)


async def soon(condition: Callable[[], bool]) -> None:
    await until(condition, within_s=WITHIN_S)


def test_a_configuration_is_in_force_and_stays_so_when_the_power_fails(
    broker: MosquittoServer, database_url: str, engine: Engine, tmp_path: Path
) -> None:
    async def main() -> None:
        async with bedside(broker, database_url, engine, tmp_path) as device:
            device.desire(report_s=60)
            with device.power():
                await soon(lambda: device.settings.version == 1)
                assert device.settings.settings["report_s"] == 60
                device.desire(report_s=30, led=False, volume=7)
                await soon(lambda: device.settings.version == 2)
                assert device.settings.settings["report_s"] == 30
                assert device.settings.refused == {"volume": "unknown"}
                assert "its light stays off" in device.said
            # The platform has forgotten what it knew, as one put back to its backup has.
            with transaction(engine) as connection:
                connection.exec_driver_sql("DELETE FROM config_reports")
                connection.exec_driver_sql("UPDATE device_configs SET version = 1")
            with device.power():
                await soon(lambda: device.settings.version == 3)
                assert device.settings.settings["report_s"] == 30
                await soon(lambda: device.status is not None and device.status.config == 3)
                assert device.status is not None
                assert device.status.boots == 2
                assert device.status.reset == "power_on"

    play(main)


def test_a_reboot_is_done_once_however_often_it_comes(
    broker: MosquittoServer, database_url: str, engine: Engine, tmp_path: Path
) -> None:
    async def main() -> None:
        async with bedside(broker, database_url, engine, tmp_path) as device:
            with device.power(), Client(broker.port, "svc-companion-1") as other:
                await soon(lambda: device.status is not None)
                key = device.order("reboot")
                body = json.dumps({"id": str(key), "command": "reboot"}).encode()
                await soon(lambda: device.told()[0].state == "done")
                for _ in range(3):
                    other.publish(topics.command(D1), body)
                    await asyncio.sleep(0.3)
                shown = device.order("identify", 7)
                await soon(lambda: [it.state for it in device.told()] == ["done", "done"])
                assert device.told()[1].id == shown
                assert device.said.count("restarts") == 1
                assert device.said.count("shows itself for 7 s") == 1
                await soon(lambda: any("after software" in line for line in device.lines()))
                assert sum("boot 2 of" in line for line in device.lines()) == 1

    play(main)


def test_an_erase_leaves_nothing_of_the_stream_it_names_and_does_nothing_to_another(
    broker: MosquittoServer, database_url: str, engine: Engine, tmp_path: Path
) -> None:
    async def main() -> None:
        async with bedside(broker, database_url, engine, tmp_path) as device:
            device.desire(report_s=10)
            with device.power():
                await soon(lambda: device.settings.version == 1)
                await soon(lambda: device.status is not None and device.status.next_seq > 0)
                assert device.status is not None
                old = device.status.stream
                device.erase(int(old, 16) ^ 1)
                await soon(lambda: device.told()[0].state == "refused")
                assert device.told()[0].detail == {"reason": "foreign_stream"}
                device.erase(int(old, 16))
                await soon(lambda: device.told()[1].state == "done")
                await soon(lambda: device.status is not None and device.status.stream != old)
                # What the platform still desires it follows again.
                await soon(lambda: device.settings.version == 1)

    play(main)


def test_a_device_that_lies_or_talks_too_much_is_refused_and_bounded(
    broker: MosquittoServer, database_url: str, engine: Engine, tmp_path: Path
) -> None:
    lies: tuple[object, ...] = (
        {"version": 1 << 32},
        {"version": -1},
        {"version": "3"},
        {"version": 3, "settings": {"a": [1]}},
        {"version": 3, "settings": {f"a{n}": n for n in range(17)}},
        {"version": 3, "refused": {"a" * 33: "range"}},
        [],
    )

    async def main() -> None:
        async with bedside(broker, database_url, engine, tmp_path) as device:
            with Client(broker.port, "t1/d1") as liar:
                for lie in lies:
                    liar.publish(topics.up(D1, "config"), json.dumps(lie).encode())
                liar.publish(topics.up(D1, "log"), b"\xff" * 900)
                line = {"n": 1, "at_ms": 1 << 62, "level": "error", "text": "x"}
                for number in range(1, 60):
                    body = {"boot": 1, "now_ms": 5, "lines": [line | {"n": number}]}
                    liar.publish(topics.up(D1, "log"), json.dumps(body).encode())
                huge = {"version": (1 << 32) - 1}
                liar.publish(topics.up(D1, "config"), json.dumps(huge).encode())
                await soon(lambda: device.settings.version == (1 << 32) - 1)
                assert 0 < len(device.lines()) < 20
                assert device.desire(led=True) == 1

    play(main)
