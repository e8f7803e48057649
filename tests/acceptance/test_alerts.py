"""A device that goes wrong on a whole platform, and what its sleeper's app hears of it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from cli.service import device_program
from companion.alerts import evaluate
from noctis.alerts import Name, Rule
from noctis.identity import DeviceId
from noctis.storage import accounts, alert_rules
from noctis.storage.engine import transaction
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.rig import Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(240)]

BED: Final = DeviceId("home", "bed")
PHONE: Final = "phone@home"
ALL: Final = frozenset(range(64))
SPEED: Final = 15
RULES: Final[dict[Name, Rule]] = {
    "no_breathing": Rule(threshold=60),
    "silent": Rule(threshold=2),
}


class App:
    """The sleeper's telephone: it passes over what it heard before, by its id."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.heard: dict[int, dict[str, Any]] = {}

    def told(self) -> list[tuple[str, str]]:
        """Return each transition once, in order."""
        while not self._client.received.empty():
            message = self._client.received.get()
            body = json.loads(message.payload)
            assert message.topic == "noctis/v1/app/home/bed/alert"
            assert not message.retain
            assert self.heard.setdefault(body["id"], body) == body
        return [(it["rule"], it["state"]) for _, it in sorted(self.heard.items())]


def enrol(rig: Rig) -> None:
    rig.enrol(BED)
    with transaction(rig.engine, 60) as connection:
        accounts.add(BED.tenant, connection, PHONE, "app", password_of(PHONE))
        for name, rule in RULES.items():
            alert_rules.put(BED.tenant, connection, name, rule)
        known = accounts.active(connection)
    rig.broker.reload(known)


@contextmanager
def lying_in(
    rig: Rig, night: str, ago_s: int, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A device, its night begun so long ago; it is killed in the end, as by a power cut."""
    program = [device_program(), "--tenant", BED.tenant, "--device", BED.device]
    files = [
        "--nor",
        str(rig.folder / f"{night}.nor"),
        "--log",
        str(rig.folder / f"{night}.log"),
    ]
    pace = ["--seed", "5", "--speed", str(SPEED), "--start", str(int(time.time()) - ago_s)]
    with (rig.folder / "told").open("a") as told:
        process = subprocess.Popen(
            [*program, *files, *pace, "--port", str(rig.broker.port), *options],
            stderr=told,
            env={**os.environ, "NOCTIS_DEVICE_PASSWORD": password_of(str(BED))},
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)


def look(rig: Rig) -> None:
    """Look by each rule, as the companion does in its own time, too."""
    for name in RULES:
        with transaction(rig.engine, 30) as connection:
            evaluate(connection, name, ALL, listening_s=60.0)


def hears(rig: Rig, app: App, *wanted: tuple[str, str]) -> bool:
    def heard() -> bool:
        look(rig)
        return set(wanted) <= set(app.told())

    return eventually(heard, within_s=60)


def test_an_app_hears_of_each_trouble_of_a_device_once_and_of_its_end_once(
    folder: Path,
) -> None:
    with Rig(folder) as rig:
        enrol(rig)
        with Client(rig.broker.port, PHONE) as client:
            client.subscribe("noctis/v1/app/home/+/alert")
            app = App(client)
            with lying_in(
                rig,
                "breathless",
                285,
                "--hours",
                "0.08",
                "--sensor-fault",
                "no-breathing@0-999",
            ):
                assert hears(rig, app, ("no_breathing", "raised")), app.told()
            # The broker tells of the device's end; whoever is to tell the app ends, too.
            companion = rig.parts["companion"]
            companion.kill()
            assert eventually(lambda: companion.child.exit_code is not None)
            companion.start()
            assert hears(rig, app, ("silent", "raised")), app.told()
            with lying_in(rig, "well", 60, "--hours", "0.1"):
                cleared = (("silent", "cleared"), ("no_breathing", "cleared"))
                assert hears(rig, app, *cleared), app.told()
                told = app.told()
        assert sorted(told) == sorted((it, s) for it in RULES for s in ("raised", "cleared"))
        [breathless] = [it for it in app.heard.values() if it["event_type"] == "no_breathing"]
        assert "not a medical device" in breathless["message"]
        assert breathless["details"]["value"] >= RULES["no_breathing"].threshold
