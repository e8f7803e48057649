"""From the box to the first epoch in the database: claimed over the cable, then on its own.

The device gets no name, address or credential but by its claim; its broker is the real one.
"""

import contextlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine

from cli.improv import Improv
from cli.serial_line import LineError
from noctis.childproc import free_port
from noctis.device_identity import Credential, DeviceIdentity, wifi_settings
from noctis.identity import DeviceId
from noctis.storage.engine import create
from tests.acceptance.test_up import NOCTIS, noctis, platform
from tests.boxes import NETWORK, WIFI_PASSWORD, Box, box
from tests.integration.broker_fixtures import eventually
from tests.truth import differences, read_database, read_logs
from tests.unit.spool_image import owner_of, read_spool

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(400)]

HOME: Final = "127.0.0.2"
WITHIN_S: Final = 40.0
A_NIGHT: Final = ("--hours", "0.25", "--speed", "60")
THE_REST: Final = ("--hours", "0.25", "--speed", "max", "--once")
CUTS: Final = 6


@dataclass(frozen=True)
class Home:
    """A platform on a home network."""

    folder: Path
    var: Path
    outside: Mapping[str, Any]
    engine: Engine

    def claim(
        self, device: Box, name: str, *more: str, password: str = WIFI_PASSWORD
    ) -> "subprocess.CompletedProcess[str]":
        """Have the command claim a device, and return what it said."""
        line = ("--line", str(device.cable.near), "--wifi", NETWORK, "--json")
        return subprocess.run(
            [NOCTIS, "device", "claim", name, *line, "--var", self.var, *more],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={**os.environ, "NOCTIS_WIFI_PASSWORD": password},
        )

    def wrong(self, device: Box, tenant: str) -> dict[str, Any]:
        """Return how what is stored of a tenant's device differs from what it made."""
        made = [it for it in read_logs(device.folder) if it.device == device.folder.name]
        stored = [
            it for it in read_database(self.engine, tenant) if it.device == device.folder.name
        ]
        return differences(made, stored) if made else {"nothing was made": []}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("claims")
    var, port = folder / "var", free_port(HOME)
    with platform(var, "--no-device", "--listen", HOME, "--listen-port", str(port)) as run:
        engine = create(run["database_url"], application="noctis-test")
        yield Home(folder, var, run["outside"], engine)
        engine.dispose()


def delivered(home: Home, device: Box) -> None:
    """Have a claimed device make its night, losing power within it, and hold it to its log."""
    assert eventually(lambda: len(device.made()) > 2, within_s=WITHIN_S), device.said
    device.power_off()
    device.more = ()
    device.finish(*THE_REST)  # it leaves when all that it made is acknowledged
    assert len(device.made()) == 30
    assert not home.wrong(device, "home")


def test_a_device_out_of_its_box_is_claimed_and_its_epochs_are_stored(home: Home) -> None:
    with box(home.folder / "certified", *A_NIGHT) as device:
        device.power_on()
        done = home.claim(device, "home/certified")
        assert done.returncode == 0, done.stderr + device.said
        told = json.loads(done.stdout)
        assert (told["before"], told["link"]) == ("unclaimed", "up")
        delivered(home, device)


def test_a_device_is_claimed_on_its_own_page_with_a_password_and_its_epochs_are_stored(
    home: Home,
) -> None:
    printed = noctis(
        *("device", "provision", "home/paged", "--portal", "--password"),
        *("--var", str(home.var), "--json"),
    )
    port, names = free_port(), free_port()
    portal = ("--portal", str(port), "--portal-dns", str(names))
    page = f"http://127.0.0.1:{port}/"
    with box(home.folder / "paged", *portal, *A_NIGHT) as device, httpx.Client() as browser:
        device.power_on()
        assert eventually(lambda: "network Noctis-" in device.said)
        assert asked_for("captive.apple.com", names) == "127.0.0.1"
        probe = {"Host": "captive.apple.com"}
        found = browser.get(f"{page}hotspot-detect.html", headers=probe)
        assert (found.status_code, found.headers["location"]) == (302, page)
        assert "Nobody claimed this device yet" in browser.get(page).text
        wrong = {"wifi": NETWORK, "wifi_password": "not the one", "claim": printed["claim"]}
        assert browser.post(f"{page}save", data=wrong).status_code == 303
        assert eventually(lambda: "could not join" in browser.get(page).text)
        assert not device.kept or b"paged" not in device.kept
        right = {"wifi": NETWORK, "wifi_password": WIFI_PASSWORD, "claim": ""}
        assert browser.post(f"{page}save", data=right).status_code == 303
        assert eventually(lambda: b"paged" in device.kept)
        assert eventually(lambda: not is_open(port)), "it is claimed, and has no page any more"
        assert process_of(device).poll() is None, device.said
        process_of(device).send_signal(signal.SIGUSR1)
        assert eventually(lambda: is_open(port)), "its button was held"
        assert "This device is claimed" in browser.get(page).text
        delivered(home, device)


def asked_for(name: str, port: int) -> str:
    """Return the address that a name server has for a name."""
    labels = b"".join(bytes([len(it)]) + it.encode() for it in name.split("."))
    query = (
        struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(10)
        asker.sendto(query, ("127.0.0.1", port))
        answer = asker.recv(512)
    assert answer[:2] == query[:2]
    assert answer[12 : len(query)] == query[12:]
    return socket.inet_ntoa(answer[-4:])


def is_open(port: int) -> bool:
    with socket.socket() as visitor:
        visitor.settimeout(5)
        return visitor.connect_ex(("127.0.0.1", port)) == 0


def process_of(device: Box) -> "subprocess.Popen[bytes]":
    assert device.process is not None
    return device.process


def test_a_device_of_another_owner_sends_nothing_of_the_first_and_erases_it(home: Home) -> None:
    noctis("tenant", "add", "other", "--var", str(home.var), "--json")
    with box(home.folder / "cot", *A_NIGHT) as device:
        device.power_on()
        nowhere = ("--host", HOME, "--port", str(free_port(HOME)), "--wait", "0")
        assert home.claim(device, "home/cot", *nowhere).returncode == 0
        assert eventually(lambda: len(device.made()) > 0, within_s=WITHIN_S), device.said
        done = home.claim(device, "other/cot")
        assert done.returncode == 0, done.stderr + device.said
        assert json.loads(done.stdout)["before"] == "home/cot"
        device.stop()
        device.more = ()
        device.finish(*THE_REST)
        streams = {line["stream"]: line["tenant"] for line in device.made()}
        assert sorted(streams.values()) == ["home", "other"]
        chip = (~np.fromfile(device.folder / "nor", np.uint8)).tobytes()
        assert not read_spool(chip, owner_of("home/cot"))
        assert read_spool(chip, owner_of("other/cot"))
    assert not [it for it in read_database(home.engine, "home") if it.device == "cot"]
    stored = [it for it in read_database(home.engine, "other") if it.device == "cot"]
    theirs = {int(stream, 16) for stream, tenant in streams.items() if tenant == "other"}
    assert {it.stream for it in stored} == theirs
    mine = [it for it in read_logs(device.folder) if it.stream in theirs]
    assert not differences(mine, stored)


def test_a_network_that_cannot_be_joined_leaves_the_device_nobodys(home: Home) -> None:
    with box(home.folder / "deaf") as device:
        device.power_on()
        done = home.claim(device, "home/deaf", password="not the one")
        assert done.returncode != 0
        assert "cannot join the Wi-Fi network" in done.stderr
        device.power_off()
        device.power_on()
        with device.line() as line:
            assert line.ask(Improv.LINK)[:2] == ["unclaimed", "unclaimed"]
        assert not device.made()


def test_a_device_that_loses_power_within_a_claim_is_claimed_or_not_and_never_half(
    home: Home,
) -> None:
    random_points = random.Random(7)  # noqa: S311 - the same points each time
    who = DeviceIdentity(DeviceId("home", "torn"), HOME, 1, Credential(password="a password"))
    network = wifi_settings(NETWORK, WIFI_PASSWORD)
    packets = 11 + len(network) + 13 + len(who.encode()) + 11  # wifi, one part, end
    states = set()
    with box(home.folder / "torn") as device:
        for _ in range(CUTS):
            device.store.unlink(missing_ok=True)
            device.cable.empty()
            device.power_on()
            at = random_points.randint(1, packets)
            device.cable.after(at, device.power_off)
            with device.line() as line, contextlib.suppress(LineError):
                line.ask(Improv.WIFI, network, seconds=1)
                line.ask(Improv.IDENTITY_PART, b"\0\0" + who.encode(), seconds=1)
                line.ask(Improv.IDENTITY_END, seconds=1)
            device.power_off()
            device.cable.empty()
            device.power_on()
            with device.line() as line:
                told = line.ask(Improv.INFO, seconds=10)[3]
            is_whole = who.encode() in device.kept
            assert told == ("home/torn" if is_whole else "unclaimed")
            assert network in device.kept or not device.kept
            states.add((told, network in device.kept))
            device.power_off()
        device.cable.empty()
        device.power_on("--hours", "8")
        assert home.claim(device, "home/torn").returncode == 0, device.said
    assert states >= {("unclaimed", False), ("unclaimed", True)}
