"""Devices that send nonsense, that are copies of others, that never stop."""

import random
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from noctis import topics
from noctis.ack import REFUSED, STORED
from noctis.epoch import encode_frame
from noctis.identity import DeviceId
from noctis.storage import dead_letters
from noctis.storage.engine import transaction
from tests.integration.test_ingestor import Device, frame
from tests.rig import FLEET_PASSWORD, Fleet, Rig, waiting
from tests.truth import differences, read_logs

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(120)]
SEEN = 24


def nonsense(device: DeviceId, random_: random.Random) -> tuple[str, bytes]:
    """Return topic and payload of a message that no device of ours would send."""
    sound = bytearray(encode_frame(frame(1 + random_.randrange(1000), 2)))
    torn = bytes(sound[: random_.randrange(len(sound))])
    sound[random_.randrange(len(sound))] ^= 1 << random_.randrange(8)
    payload = random_.choice([bytes(sound), torn, random_.randbytes(60), bytes(3000), b""])
    shard = random_.choice([topics.shard_of(device), random_.randrange(64), 99])
    channel = random_.choice(["epochs", "backlog", "epochs/more", "nothing"])
    return f"noctis/v1/up/{shard}/{device}/{channel}", payload


def letters(rig: Rig, tenant: str) -> list[dead_letters.DeadLetter]:
    with transaction(rig.engine) as connection:
        return dead_letters.list_of(tenant, connection, limit=1000)


def test_poison_among_the_messages_of_others_is_put_aside(rig: Rig) -> None:
    evil = DeviceId("poison", "evil")
    with rig.fleet("poison") as fleet:
        rig.enrol(evil)
        with Device(rig.broker.port, evil) as device:
            for seed in range(400):
                device._client.publish(*nonsense(evil, random.Random(seed)), qos=1)  # noqa: S311
            device.send(frame(1, stream=0xE))  # behind all of these
            assert device.ack(30).ranges[0].code == STORED
        fleet.process.wait(60)
        made = fleet.made()
    stored = rig.stored("poison")
    assert not differences(made, [it for it in stored if it.device != evil.device])
    assert [it.seq for it in stored if it.device == evil.device] == [1]
    kept = letters(rig, "poison")
    assert {it.device for it in kept} == {evil.device}
    assert len(kept) <= dead_letters.KEPT_PER_DEVICE + 1
    assert {"crc", "length", "shard"} <= {it.reason for it in kept}
    assert waiting(rig) == 0


def test_a_clone_that_forges_another_devices_stream_is_refused_and_harms_nobody(
    rig: Rig,
) -> None:
    thief = DeviceId("clones", "thief")
    with rig.fleet("clones") as fleet:
        rig.enrol(thief)
        fleet.wait_until_stored(SEEN)
        streams = {epoch.stream for epoch in fleet.stored()}
        with Device(rig.broker.port, thief) as device:
            for stream in streams:
                for seq in (1, 2, 10_000):
                    device.send(frame(seq, stream=stream))
            assert {it.code for it in device.acked(3 * len(streams))} == {REFUSED}
        fleet.finish()
    assert {it.reason for it in letters(rig, "clones")} == {"foreign_stream"}


def test_a_copied_chip_adds_nothing_to_the_original_and_takes_nothing_from_it(
    rig: Rig,
) -> None:
    """A copy in a device of another name, then one that says it is the original."""
    with rig.fleet("chips", count=1, hours=0.2) as original:
        original.finish()
        image = original.folder / "image"
        shutil.copy(original.folder / "nor", image)
        original.start("--hours", "0.2", "--seed", "2")
        original.finish()
    made = original.made()
    rig.enrol(DeviceId("chips", "other"), password=FLEET_PASSWORD)
    with copied(rig, original, image, "other") as other:
        assert other.process.wait(60) == 0
    with copied(rig, original, image, "bed") as twin:
        _wait(twin, seconds=4.0)
    truth = made + read_logs(other.folder)
    stored = rig.stored("chips")
    known = {epoch.key for epoch in truth}
    assert not differences(truth, [it for it in stored if it.key in known])
    assert {it.stream for it in made}.isdisjoint(it.stream for it in read_logs(other.folder))
    rest = [it for it in stored if it.key not in known]
    assert not {"never made", "altered"} & differences(read_logs(twin.folder), rest).keys()


def _wait(fleet: Fleet, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while fleet.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def copied(rig: Rig, original: Fleet, image: Path, stem: str) -> Iterator[Fleet]:
    """Run a device whose chip holds the bytes of an image."""
    folder = original.folder / f"copy-{stem}"
    folder.mkdir()
    shutil.copy(image, folder / "nor")
    fleet = Fleet(rig, original.tenant, folder)
    fleet.start("--hours", "0.2", "--seed", "3", stem=stem)
    try:
        yield fleet
    finally:
        fleet.end()


def test_a_device_that_resends_for_ever_costs_the_others_nothing(rig: Rig) -> None:
    endless, honest = DeviceId("endless", "endless"), DeviceId("endless", "honest")
    rig.enrol(endless, honest)
    stop = threading.Event()
    sent = 0
    rng = np.random.default_rng(1)
    with Device(rig.broker.port, endless) as noisy, Device(rig.broker.port, honest) as device:
        device.send(frame(1, stream=0xB))
        device.acked(1)

        def resend() -> None:
            nonlocal sent
            same, foreign = (
                encode_frame(frame(1, 8, stream=0xC)),
                encode_frame(frame(2, stream=0xB)),
            )
            while not stop.is_set():
                for payload in (same, foreign, rng.bytes(50)):
                    noisy._client.publish(topics.up(endless, "backlog"), payload, qos=1)
                    sent += 1
                stop.wait(0.003)

        thread = threading.Thread(target=resend)
        thread.start()
        try:
            waits = [_one_acknowledged(device, seq) for seq in range(2, 42)]
        finally:
            stop.set()
            thread.join()
    assert sent > 200
    assert statistics.median(waits) < 2.0  # some ms where the machine is idle
    assert len(letters(rig, "endless")) <= dead_letters.KEPT_PER_DEVICE + 1
    by_device = {(it.device, it.seq) for it in rig.stored("endless")}
    expected = {("endless", seq) for seq in range(1, 9)}
    assert by_device == expected | {("honest", seq) for seq in range(1, 42)}


def _one_acknowledged(device: Device, seq: int) -> float:
    began = time.monotonic()
    device.send(frame(seq, stream=0xB))
    device.acked(1)
    return time.monotonic() - began
