"""Thousands of real cores whose links drop and whose power is cut, against a whole platform."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from cli.embedded import Platform
from cli.local import run_file
from cli.service import device_program
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.storage import accounts, devices, tenants
from noctis.storage.engine import transaction
from tests.truth import Epoch, differences, read_database, read_logs

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(290)]

TENANT: Final = "fleet"
DEVICES: Final = int(os.environ.get("NOCTIS_FLEET_DEVICES", "500"))
SEED: Final = int(os.environ.get("NOCTIS_FLEET_SEED", "1"))
HOURS: Final = float(os.environ.get("NOCTIS_FLEET_HOURS", "0.125"))
SPEED: Final = 10.0
LINK_LOSSES: Final = 20
POWER_CUTS: Final = 12
PASSWORD: Final = "one for all of them"
END_S: Final = 240.0
HELD_S: Final = 2.0
AWAY_S: Final = 1.0


@contextmanager
def running_fleet(platform: Platform, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the fleet; whatever happens, it ends with this."""
    host, port = platform.broker_address
    names = ["--tenant", TENANT, "--device", "bed", "--devices", str(DEVICES)]
    files = ["--nor", str(folder / "nor"), "--log", str(folder / "log")]
    night = ["--seed", str(SEED), "--hours", str(HOURS), "--speed", str(SPEED), "--once"]
    faults = ["--drop-link", str(LINK_LOSSES), "--power-cuts", str(POWER_CUTS)]
    address = ["--host", host, "--port", str(port)]
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(
            [device_program(), *names, *address, *files, *night, *faults],
            stderr=told,
            env={**os.environ, "NOCTIS_DEVICE_PASSWORD": PASSWORD},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def finish(fleet: subprocess.Popen[bytes], told: Path, within_s: float) -> int:
    """Return the fleet's exit code; fail where it has not got everything acknowledged."""
    try:
        return fleet.wait(within_s)
    except subprocess.TimeoutExpired:
        pytest.fail(f"seed {SEED}: the fleet does not end: {told.read_text()[-4000:]}")


def enrol(platform: Platform) -> None:
    with transaction(platform.engine, seconds=60) as connection:
        tenants.add(connection, TENANT)
        for number in range(1, DEVICES + 1):
            device = DeviceId(TENANT, f"bed-{number:04d}")
            devices.add(TENANT, connection, device.device)
            accounts.add(TENANT, connection, str(device), "device", PASSWORD)
    platform.follow_accounts()


def kill(platform: Platform, part: str) -> None:
    """End a part with SIGKILL; the platform starts it again."""
    pids = json.loads(run_file(platform.var).read_text())["processes"]
    os.kill(pids[part], signal.SIGKILL)


def befall(platform: Platform, night_s: float) -> None:
    """Kill the broker; later hold the database, kill the ingestor, and the broker again.

    What was acknowledged before it was stored, or because a broker took it, is then lost.
    """
    time.sleep(night_s / 3)
    kill(platform, "broker")
    time.sleep(night_s / 3)
    with transaction(platform.engine, seconds=60) as connection:
        connection.execute(text("LOCK TABLE epochs, epochs_untimed"))
        time.sleep(HELD_S)
        kill(platform, "ingestor")
        time.sleep(AWAY_S)
        kill(platform, "broker")


def tell(epochs: dict[str, list[Epoch]]) -> str:
    lines = [f"{kind}: {len(those)}, such as {those[:3]}" for kind, those in epochs.items()]
    return "\n".join([f"seed {SEED}, {DEVICES} devices", *lines])


def test_a_fleet_whose_links_drop_and_power_is_cut_loses_and_doubles_nothing(
    folder: Path,
) -> None:
    logs = folder / "devices"
    logs.mkdir()
    told: list[str] = []
    began = time.monotonic()
    with Platform(
        folder / "var", api_port=free_port(), persistence=False, tell=told.append
    ) as platform:
        enrol(platform)
        with running_fleet(platform, logs) as fleet:
            befall(platform, HOURS * 3600 / SPEED)
            code = finish(fleet, logs / "told", END_S - (time.monotonic() - began))
        assert code == 0, (logs / "told").read_text()[-4000:]
        stored = read_database(platform.engine)
    made = read_logs(logs)
    sys.stderr.write(f"{(logs / 'told').read_text()}{len(made)} epochs in the logs\n")
    assert sum("ended with -9" in line for line in told) == 3, told
    assert len({epoch.device for epoch in made}) == DEVICES
    wrong = differences(made, stored)
    assert not wrong, tell(wrong)


@pytest.mark.parametrize(
    ("kind", "tampered"),
    [
        ("lost", lambda stored: stored[1:]),
        ("never made", lambda stored: [*stored, replace(stored[0], seq=99)]),
        ("stored twice", lambda stored: [*stored, replace(stored[0], began_at=None)]),
        ("of another device", lambda stored: [*stored[1:], replace(stored[0], device="d2")]),
        ("altered", lambda stored: [*stored[1:], replace(stored[0], record="01")]),
        ("at another time", lambda stored: [*stored[1:], replace(stored[0], began_at=31.5)]),
    ],
)
def test_whatever_is_wrong_with_what_is_stored_is_found(
    kind: str, tampered: Callable[[list[Epoch]], list[Epoch]]
) -> None:
    made = [Epoch("d1", 7, seq, "00", 30.0 * seq) for seq in range(1, 5)]
    assert differences(made, made) == {}
    assert kind in differences(made, tampered(made))
    assert "made twice" in differences([*made, made[0]], made)
