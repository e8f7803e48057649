"""Home Assistant at home: what it gets over TLS from a platform with a device, until revoked.

With ``NOCTIS_HOME_ASSISTANT``, the Python of an environment with the package homeassistant, a
real one sets the entities up (docs/home-assistant.md).
"""

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import paho.mqtt.client as paho
import pytest

from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.stages import LABELS
from noctis.storage.engine import create
from tests.acceptance.test_up import platform
from tests.home import HOME, WITHIN_S, Home
from tests.home_assistant import complaints, entities, render
from tests.integration.broker_fixtures import eventually

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(400)]
BED: Final = DeviceId("home", "bedroom")
DISCOVERY: Final = "homeassistant/device/home/bedroom/config"
ORACLE: Final = Path(__file__).parents[1] / "oracle" / "home_assistant.py"
PYTHON: Final = os.environ.get("NOCTIS_HOME_ASSISTANT", "")
WISHES: Final = ("homeassistant/+/+/config", "homeassistant/+/+/+/config")
"""What Home Assistant subscribes to, before it knows any entity."""


class Ear:
    """A client of the listener for apps, which keeps the last message of each topic."""

    def __init__(self, home: Home, account: dict[str, str]) -> None:
        self.last: dict[str, bytes] = {}
        self.count: dict[str, int] = {}
        self._is_in = threading.Event()
        name = account["username"]
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        client.username_pw_set(name, account["password"])
        client.tls_set_context(ssl.create_default_context(cafile=home.outside["ca"]))
        client.on_connect = self._come
        client.on_message = lambda _client, _data, message: self._take(message)
        self._client = client
        client.connect(HOME, home.ports["apps"])
        client.loop_start()

    def __enter__(self) -> Self:
        self.listen(*WISHES)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def listen(self, *topics: str) -> None:
        """Subscribe; a new account may be refused at first, and waits until it is let in."""
        assert self._is_in.wait(WITHIN_S)
        self._client.subscribe([(topic, paho.SubscribeOptions(qos=1)) for topic in topics])

    def _come(
        self, _client: object, _data: object, _flags: object, code: object, *_: object
    ) -> None:
        if code == 0:
            self._is_in.set()

    def _take(self, message: paho.MQTTMessage) -> None:
        self.last[message.topic] = bytes(message.payload)
        self.count[message.topic] = self.count.get(message.topic, 0) + 1

    def state(self, entity: dict[str, Any]) -> str | None:
        """Return an entity's state as Home Assistant has it; None: unavailable, or not told."""
        for there in entity["availability"]:
            told = self.last.get(there["topic"])
            if not told or render(there["value_template"], told) != "online":
                return None
        message = self.last.get(entity["state_topic"])
        return None if not message else render(entity["value_template"], message)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    var, port = folder / "var", free_port(HOME)
    with platform(var, "--listen", HOME, "--listen-port", str(port), "--speed", "60") as run:
        engine = create(run["database_url"], application="noctis-test")
        yield Home(folder, var, run, engine)
        engine.dispose()


@contextmanager
def home_assistant(home: Home, account: dict[str, str]) -> Iterator["Asked"]:
    """Run a real one, without a face, on the listener for apps."""
    folder = home.folder / "home-assistant"
    folder.mkdir()
    where = [HOME, str(home.ports["apps"])]
    who = [account["username"], account["password"], str(home.outside["ca"])]
    process = subprocess.Popen(
        [PYTHON, ORACLE, folder, *where, *who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Asked(process)
        finally:
            process.kill()


class Asked:
    """A running Home Assistant, and what it says when it is asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def entities(self) -> dict[str, dict[str, Any]]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, dict[str, Any]] = json.loads(self._process.stdout.readline())
        return found["entities"]

    def state(self, entity_id: str) -> str:
        return str(self.entities().get(entity_id, {}).get("state"))


def is_stage(state: str | None) -> bool:
    return state in LABELS


@pytest.mark.skipif(not PYTHON, reason="NOCTIS_HOME_ASSISTANT names no Python that has it")
def test_a_real_home_assistant_sets_every_entity_up_and_follows_the_night(home: Home) -> None:
    account = home.ask("app", "add", "real@home")
    with (
        home_assistant(home, account) as asked,
        Ear(home, home.ask("app", "add", "e@home")) as ear,
    ):
        assert eventually(lambda: DISCOVERY in ear.last, within_s=WITHIN_S)
        made = entities(ear.last[DISCOVERY])
        wanted = {it["default_entity_id"] for it in made.values()}
        assert eventually(lambda: asked.entities().keys() >= wanted, within_s=3 * WITHIN_S), (
            wanted - asked.entities().keys()
        )
        known = asked.entities()
        for unique_id, entity in made.items():
            assert known[entity["default_entity_id"]]["unique_id"] == unique_id
        stage = "sensor.noctis_bedroom_stage"
        assert eventually(lambda: is_stage(asked.state(stage)), within_s=WITHIN_S)
        assert asked.state("sensor.noctis_bedroom_firmware").startswith("noctis-device ")
        assert asked.state("binary_sensor.noctis_bedroom_in_bed") == "on"


def test_home_assistant_gets_a_device_and_its_night_until_the_device_is_revoked(
    home: Home,
) -> None:
    with Ear(home, home.ask("app", "add", "assistant@home")) as ear:
        assert eventually(lambda: DISCOVERY in ear.last, within_s=WITHIN_S)
        assert ear.last.keys() == {DISCOVERY}
        body = ear.last[DISCOVERY]
        assert complaints(DISCOVERY, body) == []
        made = entities(body)
        stage = made["noctis_home_bedroom_stage"]
        ear.listen(*{it["state_topic"] for it in made.values()})
        ear.listen(*{there["topic"] for it in made.values() for there in it["availability"]})
        assert eventually(lambda: is_stage(ear.state(stage)), within_s=WITHIN_S), ear.last
        heart = ear.state(made["noctis_home_bedroom_heart_rate"])
        assert heart is not None
        assert 30 < float(heart) < 120
        assert ear.state(made["noctis_home_bedroom_connection"]) == "ON"
        assert int(ear.state(made["noctis_home_bedroom_backlog"]) or -1) >= 0
        home.ask("device", "revoke", str(BED), "--yes")
        assert eventually(lambda: ear.last[DISCOVERY] == b"", within_s=WITHIN_S)
        assert ear.count[DISCOVERY] == 2
        assert eventually(lambda: ear.state(stage) is None, within_s=WITHIN_S)
    with Ear(home, home.ask("app", "add", "later@home")) as later:
        later.listen("noctis/v1/app/home/#", "noctis/v1/service/+/status")
        service = stage["availability"][0]["topic"]
        assert eventually(lambda: service in later.last, within_s=WITHIN_S)
        assert DISCOVERY not in later.last
        assert "noctis/v1/app/home/bedroom/status" not in later.last
