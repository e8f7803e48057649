"""Firmware over the air, from end to end: devices that boot from slots, and a whole platform.

NOCTIS_UPDATE_CUTS_S=600 cuts devices' power for so long (10 s); NOCTIS_UPDATE_CUTS_SEED draws
other moments.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from random import Random
from typing import Final

import httpx
import pytest

from noctis import firmware_keys
from noctis.storage import commands
from noctis.storage.engine import transaction
from tests import images
from tests.integration.broker_fixtures import eventually
from tests.rig import Rig
from tests.street import BEDS, ENDS_WITHIN_S, TENANT, Street

CUTS_S: Final = float(os.environ.get("NOCTIS_UPDATE_CUTS_S", "10"))
CUTS_SEED: Final = int(os.environ.get("NOCTIS_UPDATE_CUTS_SEED", "1"))
LONGEST_PAUSE_S: Final = 0.4
CRASHES: Final = 0.25
"""The share of cuts that end the image alone, as a fault of its own would."""

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(290 + 2 * CUTS_S)]


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    with tempfile.TemporaryDirectory(prefix="noctis-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with Rig(Path(name), secured=True) as rig, pytest.MonkeyPatch.context() as settings:
            settings.setenv("NOCTIS_VAR", str(rig.folder / "var"))
            settings.setenv("NOCTIS_DATABASE_URL", rig.postgres.url)
            settings.setenv("NOCTIS_API_PORT", str(rig.parts["api"].metrics_port))
            found = Street(rig)
            try:
                yield found
            finally:
                for bed in found.boards:
                    found.cut_power(bed)


def test_a_rollout_brings_every_device_to_the_new_version(street: Street) -> None:
    sha256 = street.release(images.sound(street.folder, 2))
    found = street.roll_out(sha256, "--wave", "2")
    assert found["state"] == "done", street.told()
    assert found["devices"] == {"valid": len(BEDS)}
    assert {it["running"] for it in found["each"]} == {"0.2.0"}
    assert eventually(lambda: street.all_run("0.2.0"), within_s=20)
    street.check_nights()


def test_an_image_is_handed_out_by_its_hash_and_in_ranges(street: Street) -> None:
    image = images.sound(street.folder, 9)
    sha256 = street.noctis("add", str(image))["sha256"]
    base = f"http://127.0.0.1:{street.rig.parts['api'].metrics_port}/v1/firmware/images"
    whole = httpx.get(f"{base}/{sha256}", timeout=10)
    assert whole.content == image.read_bytes()
    rest = httpx.get(f"{base}/{sha256}", headers={"Range": "bytes=65536-"}, timeout=10)
    assert rest.status_code == httpx.codes.PARTIAL_CONTENT
    assert rest.content == whole.content[65536:]
    assert httpx.get(f"{base}/{'0' * 64}", timeout=10).status_code == httpx.codes.NOT_FOUND
    strange = httpx.get(f"{base}/..%2F..%2Fkeys", timeout=10)
    assert strange.status_code in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}


def test_too_many_failures_stop_a_rollout_and_the_old_image_is_back(street: Street) -> None:
    sha256 = street.release(images.mute(street.folder, 3))
    found = street.roll_out(sha256, "--wave", "2", fails=True)
    assert found["state"] == "stopped"
    assert "of" in found["reason"]
    states = [it["state"] for it in found["each"]]
    assert "valid" not in states
    assert "withdrawn" in states
    failed = [it for it in found["each"] if it["state"] == "rolled_back"]
    assert failed
    assert {it["reason"] for it in failed} <= {"no_broker"}
    assert eventually(lambda: street.all_run("0.2.0"), within_s=20), street.told()
    street.check_nights()


def test_what_was_tampered_with_is_refused_with_a_reason(street: Street) -> None:
    bed = f"{TENANT}/{BEDS[0]}"
    sha256 = street.release(images.sound(street.folder, 4))
    stored = street.var / "firmware" / sha256
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)

    def refusal() -> str:
        found = street.roll_out(sha256, "--devices", bed, fails=True)
        [each] = found["each"]
        assert each["state"] == "refused"
        assert each["running"] == "0.2.0"
        return str(each["reason"])

    assert refusal() == "wrong_hash"
    street.rig.sql(
        f"UPDATE firmware SET manifest = replace(manifest, '\"floor\":0', '\"floor\":1')"  # noqa: S608
        f" WHERE sha256 = '{sha256}'"
    )
    assert refusal() == "bad_signature"
    strange = firmware_keys.make(street.folder / "strange")
    key = street.folder / "strange" / f"{strange.id}.pem"
    street.noctis("sign", sha256, "--key", str(key))
    assert refusal() == "unknown_key"
    old = street.release(images.sound(street.folder, 1))
    found = street.roll_out(old, "--devices", bed, fails=True)
    assert found["each"][0]["reason"] == "downgrade"


def test_an_image_that_crashes_is_followed_by_the_one_before_it(street: Street) -> None:
    bed = BEDS[2]
    sha256 = street.release(images.crashing(street.folder, 6))
    found = street.roll_out(sha256, "--devices", f"{TENANT}/{bed}", fails=True)
    [each] = found["each"]
    assert (each["state"], each["reason"]) == ("rolled_back", "did_not_start")
    assert each["running"] == "0.2.0"
    street.check_nights()


def test_a_reboot_by_command_goes_through_the_boot_loader_and_says_so(street: Street) -> None:
    bed = BEDS[3]

    def told(reset: str) -> bool:
        status = street.status(bed)
        return status is not None and status.state == "online" and status.reset == reset

    street.cut_power(bed)
    street.switch_on(bed)
    assert eventually(lambda: told("power_on"), within_s=20), street.told()
    [before] = street.images(bed)
    with transaction(street.rig.engine, 10) as connection:
        commands.order(TENANT, connection, bed, "reboot")
    assert eventually(lambda: told("software"), within_s=20), street.told()
    assert street.images(bed) != [before]
    assert street.crash(bed)
    assert eventually(lambda: told("panic"), within_s=20), street.told()
    assert "restarts" not in street.told()
    street.check_nights()


def test_a_board_boots_only_when_all_that_ran_on_it_before_is_gone(street: Street) -> None:
    bed = BEDS[3]
    assert eventually(lambda: bool(street.images(bed)), within_s=20)
    street.cut_power(bed)
    with (street.folder / bed / "lock").open("w") as lock:
        flock(lock, LOCK_EX)  # as a process does that is not quite dead
        street.switch_on(bed)
        time.sleep(0.5)
        assert not street.images(bed)
    assert eventually(lambda: bool(street.images(bed)), within_s=20), street.told()


class Cuts:
    """Rollouts while devices lose their power, or crash, at random moments."""

    def __init__(self, street: Street, random: Random) -> None:
        self.street = street
        self.random = random
        self.moments: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()

    def round(self, build: int, deadline: float) -> None:
        """Roll an image out, hurt devices until all have ended, and look what they run."""
        street = self.street
        assert eventually(lambda: all(map(street.runs, BEDS)), within_s=20), street.told()
        before = {bed: street.runs(bed) for bed in BEDS}
        make = self.random.choices((images.sound, images.crashing, images.mute), (8, 1, 1))[0]
        sha256 = street.release(make(street.folder, build))
        plan = ("--tenant", TENANT, "--wave", str(len(BEDS)), "--most-failures", "1")
        number = int(street.noctis("rollout", sha256, *plan)["number"])
        while time.monotonic() < deadline and not street.ended(number):
            time.sleep(self.random.uniform(0, LONGEST_PAUSE_S))
            self._hurt(number)
        assert eventually(lambda: street.ended(number), within_s=ENDS_WITHIN_S), street.told()
        for bed, end in street.states(number).items():
            version = {"valid": f"0.{build}.0", "rolled_back": before[bed]}[end.state]
            assert eventually(lambda: street.runs(bed) == version, within_s=20), street.told()  # noqa: B023
            self.ends[end.state] += 1

    def _hurt(self, number: int) -> None:
        bed = self.random.choice(BEDS)
        state = self.street.states(number)[bed].state
        if self.random.random() < CRASHES and self.street.crash(bed):
            self.moments[f"crash, {state}"] += 1
            return
        self.moments[f"power, {state}"] += 1
        self.street.cut_power(bed)
        self.street.switch_on(bed)


def test_devices_cut_at_random_moments_of_updates_come_back_with_their_nights(
    street: Street,
) -> None:
    cuts = Cuts(street, Random(CUTS_SEED))  # noqa: S311 - moments, no secrets
    deadline, build = time.monotonic() + CUTS_S, 100
    while time.monotonic() < deadline:
        cuts.round(build, deadline)
        street.check_nights()
        build += 1
    assert cuts.moments.total()
    sys.stderr.write(f"\n{cuts.moments.total()} cuts {dict(cuts.moments)}: {dict(cuts.ends)}\n")
