"""A running platform's messages, each held against the description of the topics."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from paho.mqtt.client import MQTTMessage  # noqa: TC002 - as the neighbours import it
from sqlalchemy import Connection

from broker import acl
from cli.service import device_program
from noctis.alerts import DEFAULTS, Sight, Watch
from noctis.epoch import decode_frame
from noctis.firmware import Image, Manifest
from noctis.identity import DeviceId
from noctis.storage import (
    accounts,
    alert_watches,
    commands,
    configs,
    devices,
    firmware,
    night_news,
    recordings,
    rollouts,
)
from noctis.storage.alert_watches import Look, Told
from noctis.storage.engine import transaction
from noctis.storage.recordings import Night
from noctis.storage.rollouts import Plan
from tests.described import Topics
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.rig import Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

BED: Final = DeviceId("home", "bed")
SPY: Final = "svc-spy-0"
ALL: Final = ("noctis/#", "homeassistant/#")


class Spy:
    """Keeps the newest message of each topic, and all of them to be checked."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.heard: list[MQTTMessage] = []

    def channels(self, described: Topics) -> set[str]:
        while not self._client.received.empty():
            self.heard.append(self._client.received.get())
        return {described.channel_of(it.topic) for it in self.heard}

    def stream(self, described: Topics) -> int:
        frames = (it for it in self.heard if described.channel_of(it.topic) == "epochs")
        return decode_frame(next(frames).payload).stream


@contextmanager
def spying(rig: Rig) -> Iterator[Spy]:
    """Hear all that is said, as it was sent: QoS 2 takes nothing away."""
    with Client(rig.broker.port, SPY) as client:
        for topic in ALL:
            client.subscribe(topic, qos=2)
        yield Spy(client)


@contextmanager
def sleeping(rig: Rig, *options: str) -> Iterator[None]:
    """A device that knows no time but the platform's, sixty times as fast as a night."""
    program = [device_program(), "--tenant", BED.tenant, "--device", BED.device]
    files = ["--nor", str(rig.folder / "nor"), "--log", str(rig.folder / "log")]
    keys = rig.folder / "update-keys"
    keys.write_text("5a" * 32 + "\n")
    updates = ["--slots", str(rig.folder / "slots"), "--slot", "0", "--update-keys", str(keys)]
    (rig.folder / "slots").mkdir()
    pace = ["--hours", "2", "--speed", "60", "--clock-after", "86400"]
    with (rig.folder / "told").open("w") as told:
        process = subprocess.Popen(
            [*program, *files, *updates, *pace, "--port", str(rig.broker.port), *options],
            stderr=told,
            env={**os.environ, "NOCTIS_DEVICE_PASSWORD": password_of(str(BED))},
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def order(rig: Rig, stream: int) -> None:
    """Have something said on each topic to the device."""
    image = Image("host", "9.9.9", 99, 1000, "ab" * 32)
    tenant, bed = BED.tenant, BED.device
    with transaction(rig.engine, 60) as connection:
        commands.order(tenant, connection, bed, "identify", seconds=1)
        commands.order_resend(tenant, connection, bed, [commands.Range(stream, 1, 5)])
        configs.put(tenant, connection, bed, {"report_s": 60, "led": False})
        firmware.add(connection, image)
        firmware.sign(connection, Manifest(image, 1_900_000_000), "01234567" * 2, "5a" * 64)
        plan = Plan("http://127.0.0.1:9/image", 1, 0.1, patience_s=600)
        rollouts.begin(connection, firmware.find(connection, "9.9.9"), plan, [BED])
        raise_alert(connection)
        end_night(connection)


def end_night(connection: Connection) -> None:
    """Leave a night of the device that has closed."""
    key, end = devices.get(BED.tenant, connection, BED.device).id, datetime.now(UTC)
    night = Night(
        state="closed",
        evening=end.date(),
        time_zone="UTC",
        started_at=end - timedelta(seconds=30 * 60),
        ended_at=end,
        hypnogram=bytes(60),
        model_id=None,
        moved=0,
        closes_at=None,
    )
    recordings.add(connection, key, night)
    night_news.note(connection, key)


def raise_alert(connection: Connection) -> None:
    """Leave an alert of the device to be told."""
    key, now = devices.get(BED.tenant, connection, BED.device).id, datetime.now(UTC)
    look = Look(
        at=now,
        device_id=key,
        device=BED,
        alert_id=None,
        rule=DEFAULTS["silent"],
        watch=Watch(),
        is_kept=False,
        sight=Sight.BAD,
        value=612,
        why="",
    )
    told = [Told(look, "bed is silent", {"value": 612})]
    assert alert_watches.raise_(connection, "silent", now, told) == 1


def test_every_message_is_one_of_its_channel_and_every_channel_is_heard(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(acl._RIGHTS, "spy", tuple(f"read {it}" for it in ALL))
    described = Topics()
    with Rig(folder) as rig:
        with transaction(rig.engine, 60) as connection:
            accounts.set_service(connection, SPY, password_of(SPY))
        rig.enrol(BED)
        with spying(rig) as spy, sleeping(rig):
            assert eventually(
                lambda: {"liveStages", "acknowledgements"} <= spy.channels(described),
                within_s=30,
            )
            order(rig, spy.stream(described))
            wanted = set(described.document["channels"])
            assert eventually(lambda: spy.channels(described) >= wanted, within_s=40), (
                wanted - spy.channels(described),
                (folder / "told").read_text()[-2000:],
            )
        for message in spy.heard:
            channel = described.channel_of(message.topic)
            binding = described.binding(channel)
            described.check(channel, message.payload)
            assert message.qos == binding["qos"], channel
        with spying(rig) as later:
            assert eventually(lambda: "deviceStatus" in later.channels(described), within_s=10)
        kept = {described.channel_of(it.topic) for it in later.heard if it.retain}
    declared = {it for it in wanted if described.binding(it)["retain"]}
    assert kept <= declared
    assert {"deviceStatus", "desiredConfiguration"} <= kept
