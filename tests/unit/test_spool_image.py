"""The device's flash chip, read by a stranger who has only firmware/SPOOL.md."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.spool_image import (
    SECTOR,
    SLOT,
    WIDTHS,
    Epoch,
    V,
    owner_of,
    read_spool,
    slot_offset,
)

Damage = Callable[[bytearray, list[Epoch]], None]


BESIDE = Path(sys.executable).with_name("noctis-device")
DEVICE = str(BESIDE) if BESIDE.exists() else shutil.which("noctis-device")
pytestmark = pytest.mark.skipif(DEVICE is None, reason="noctis-device is not built")


def device(*arguments: object) -> str:
    command = [str(argument) for argument in (DEVICE, *arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def play(nor: Path, log: Path, *, name: str = "d", seed: int, hours: float) -> None:
    night = ("--seed", seed, "--hours", hours, "--speed", "max", "--offline")
    device("--tenant", "t", "--device", name, "--nor", nor, "--log", log, *night)


def read_nor(nor: Path, name: str = "d") -> list[Epoch]:
    chip = np.fromfile(nor, dtype=np.uint8) ^ 0xFF
    return read_spool(chip.tobytes(), owner_of(f"t/{name}"))


def as_logged(epochs: list[Epoch]) -> list[tuple[object, ...]]:
    return [
        (f"{e.stream:016x}", e.seq, e.run.boot, e.tick_s, e.utc_s, e.slot.hex()) for e in epochs
    ]


def read_log(log: Path) -> list[tuple[object, ...]]:
    keys = ("stream", "seq", "boot", "ticks", "utc", "record_hex")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [tuple(line[key] for key in keys) for line in lines]


def mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of splitmix64."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def filled(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return what the fill of that number holds: 15 codes and whether in bed."""
    keys = (16 * numbers[:, np.newaxis] + np.arange(16, dtype=np.uint64)).astype(np.uint64)
    return (mix(keys) % np.array([*(1 << w for w in WIDTHS), 2], np.uint64)).astype(np.int64)


def contents(epochs: list[Epoch]) -> NDArray[np.int64]:
    """Return the epochs' codes and whether in bed, shape (n, 16)."""
    slots = np.frombuffer(b"".join(e.slot for e in epochs), np.uint8).reshape(-1, SLOT)
    bits = np.unpackbits(slots[:, :13], axis=1, bitorder="little").astype(np.int64)[:, 1:]
    fields = np.split(bits, np.cumsum(WIDTHS), axis=1)
    return np.stack([field @ (1 << np.arange(field.shape[1])) for field in fields], axis=1)


def test_a_full_chip_holds_what_capacity_says_to_the_last_epoch(tmp_path: Path) -> None:
    said = json.loads(device("capacity", "--json", "--image", tmp_path / "chip"))
    chip = (tmp_path / "chip").read_bytes()
    epochs = read_spool(chip, 0x4E6F6374)
    assert said["readback_ok"] is True
    assert said["epochs"] == len(epochs) == (2048 - 2) * 279
    assert said["days_24h"] == round(len(epochs) / 2880, 2)
    assert said["bytes_per_epoch"] == round(len(chip) / len(epochs), 3)
    held = contents(epochs)
    [first] = np.flatnonzero((filled(np.arange(2_500_000, dtype=np.uint64)) == held[0]).all(1))
    assert (held == filled(np.arange(first, first + len(epochs), dtype=np.uint64))).all()
    starts = [epoch.utc_s or 0 for epoch in epochs]
    assert set(np.diff(starts)) == {30}
    assert read_spool(chip, owner=1) == []


def test_the_codes_of_one_epoch_are_those_of_all(tmp_path: Path) -> None:
    play(tmp_path / "nor", tmp_path / "log", seed=1, hours=0.1)
    epochs = read_nor(tmp_path / "nor")
    assert len(epochs) == 12
    assert [[*e.codes, int(e.in_bed)] for e in epochs] == contents(epochs).tolist()


def test_over_boots_and_sectors_the_chip_holds_what_the_device_logged(tmp_path: Path) -> None:
    nor, log = tmp_path / "nor", tmp_path / "log"
    for seed, hours in ((1, 3.0), (2, 0.1), (3, 2.5)):
        play(nor, log, seed=seed, hours=hours)
    assert len(read_log(log)) == 360 + 12 + 300
    assert as_logged(read_nor(nor)) == read_log(log)


def flip(seq: int, byte: int, bits: int) -> Damage:
    """Rot: some bits of a slot change by themselves."""

    def damage(chip: bytearray, _: list[Epoch]) -> None:
        chip[seq // 280 * SECTOR + slot_offset(seq % 280) + byte] ^= bits

    return damage


def rotten_header(chip: bytearray, _: list[Epoch]) -> None:
    chip[20] ^= 0x08


def torn_slot(chip: bytearray, epochs: list[Epoch]) -> None:
    """Half of a slot behind the last one, its V bit not cleared."""
    at = SECTOR + slot_offset(epochs[-1].seq % 280 + 1)
    chip[at : at + 7] = b"\x12\x34\x56\x78\x9a\xbc\x0e"


def whole_slot_without_v(chip: bytearray, epochs: list[Epoch]) -> None:
    """A slot that passes its CRC-8, but the power failed before its V bit."""
    at = SECTOR + slot_offset(epochs[-1].seq % 280 + 1)
    chip[at : at + SLOT] = epochs[-1].slot


def v_without_a_slot(chip: bytearray, epochs: list[Epoch]) -> None:
    """A V bit that rotted in front of a blank slot."""
    index = epochs[-1].seq % 280 + 1
    chip[SECTOR + V + index // 8] &= ~(1 << index % 8)


def torn_header(chip: bytearray, _: list[Epoch]) -> None:
    """The next sector was just being entered."""
    chip[2 * SECTOR : 2 * SECTOR + 20] = chip[SECTOR : SECTOR + 20]


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        pytest.param(flip(7, 5, 0x10), 1, id="a rotten epoch"),
        pytest.param(flip(7, 0, 0x01), 1, id="an epoch whose kind rotted"),
        pytest.param(flip(222, 9, 0x40), 57, id="a rotten RUN"),
        pytest.param(flip(222, 0, 0x01), 57, id="a RUN whose kind rotted"),
        pytest.param(rotten_header, 220 + 57, id="a rotten header"),
        pytest.param(torn_slot, 0, id="a torn slot"),
        pytest.param(whole_slot_without_v, 0, id="a slot without its V bit"),
        pytest.param(v_without_a_slot, 0, id="a V bit without its slot"),
        pytest.param(torn_header, 0, id="a torn header"),
    ],
)
def test_of_a_damaged_chip_both_read_the_same(
    damage: Damage, lost: int, tmp_path: Path
) -> None:
    nor = tmp_path / "nor"
    play(nor, tmp_path / "made", seed=1, hours=220 / 120)
    play(nor, tmp_path / "made", seed=2, hours=1)
    before = read_nor(nor)
    chip = bytearray(np.fromfile(nor, dtype=np.uint8) ^ 0xFF)
    damage(chip, before)
    with nor.open("r+b") as file:  # the same file: a copy would be another chip
        file.write(bytes(np.frombuffer(chip, dtype=np.uint8) ^ 0xFF))
    assert len(before) - len(read_nor(nor)) == lost
    play(nor, tmp_path / "log", seed=3, hours=0.1)
    assert as_logged(read_nor(nor)) == read_log(tmp_path / "log")
    assert len(read_nor(nor)) == 220 + 120 - lost + 12


def test_a_chip_that_changes_hands_holds_nothing_of_its_first_owner(tmp_path: Path) -> None:
    nor = tmp_path / "nor"
    play(nor, tmp_path / "log", name="d", seed=1, hours=0.2)
    assert len(read_nor(nor, "d")) == 24
    play(nor, tmp_path / "log-2", name="d2", seed=1, hours=0.1)
    assert read_nor(nor, "d") == []
    assert len(read_nor(nor, "d2")) == 12
    assert as_logged(read_nor(nor, "d2")) == read_log(tmp_path / "log-2")


def test_a_copied_chip_begins_its_own_stream_and_keeps_the_old_one(tmp_path: Path) -> None:
    play(tmp_path / "nor", tmp_path / "log", seed=1, hours=0.2)
    (tmp_path / "copy").write_bytes((tmp_path / "nor").read_bytes())
    play(tmp_path / "copy", tmp_path / "log-2", seed=2, hours=0.1)
    epochs = read_nor(tmp_path / "copy")
    assert as_logged(epochs) == read_log(tmp_path / "log-2")
    assert [e.stream == epochs[0].stream for e in epochs] == [True] * 24 + [False] * 12
