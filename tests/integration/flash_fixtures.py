"""Real devices without a network: their own log, and the frames that their flash holds."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from noctis.epoch import MAX_SLOTS, Frame
from noctis.identity import DeviceId
from noctis.slot import Run, decode_slots
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from tests.unit.spool_image import Epoch, owner_of, read_spool

__all__ = ["Played", "play_offline", "store"]


@dataclass(frozen=True)
class Played:
    """What a device made, in its own words, and how it would send it."""

    device: DeviceId
    log: list[dict[str, Any]]
    frames: list[Frame]


def play_offline(device: DeviceId, folder: Path, *options: object) -> Played:
    """Let a device play a night into its flash; again in the same folder, it goes on."""
    program = Path(sys.executable).with_name("noctis-device")
    found = str(program) if program.exists() else shutil.which("noctis-device")
    if found is None:
        pytest.skip("noctis-device is not built")
    stem = folder / device.device
    names = ["--tenant", device.tenant, "--device", device.device]
    files = ["--nor", f"{stem}.nor", "--log", f"{stem}.jsonl", "--speed", "max", "--offline"]
    command = [found, *names, *files, *(str(option) for option in options)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    lines = Path(f"{stem}.jsonl").read_text().splitlines()
    chip = np.fromfile(f"{stem}.nor", dtype=np.uint8) ^ 0xFF
    epochs = read_spool(chip.tobytes(), owner_of(str(device)))
    return Played(device, [json.loads(line) for line in lines], _frames(epochs))


def store(engine: Engine, played: Played, *, at_once: int = 200) -> None:
    """Send all that a device made to the ingest, in batches."""
    for start in range(0, len(played.frames), at_once):
        part = played.frames[start : start + at_once]
        with transaction(engine, 60) as connection:
            ingest(connection, [Received(played.device, one, backlog=True) for one in part])


def _frames(epochs: Sequence[Epoch]) -> list[Frame]:
    frames = []
    for (stream, run), group in groupby(epochs, key=lambda it: (it.stream, it.run)):
        of_run = list(group)
        for start in range(0, len(of_run), MAX_SLOTS):
            part = of_run[start : start + MAX_SLOTS]
            assert part[-1].seq - part[0].seq == len(part) - 1
            slots = np.frombuffer(b"".join(it.slot for it in part), np.uint8).reshape(-1, 14)
            known = Run(run.reason, run.voids, run.boot, run.tick_s, run.utc_s)
            frames.append(Frame(stream, part[0].seq, run.seq, known, *decode_slots(slots)))
    return frames
