"""Nights to learn from: folders of CSV files, played through the firmware.

A night is any folder at or below the data folder with a ``stages.csv``; beside it lie
``heart_rate.csv`` or ``beats.csv`` and ``motion_counts.csv``. ``noctis-device --to csv`` turns
it into the epochs that a device would have sent, so that training sees what serving sees;
heart rate from before the scored night is played too (``evaluation.evening``).
A subject is what the night's ``subject.txt`` says, else the folder's name: put one there
where a person slept more than one night.
"""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.evening import EVENING, begun_early
from inference.context import Rows
from noctis.errors import NoctisError
from noctis.features import NAMES, quantise
from noctis.stages import Stage
from registry.manifest import NIGHT_FILES, Night, digest_of

__all__ = [
    "DataError",
    "Progress",
    "Recording",
    "find_device",
    "find_nights",
    "keep",
    "load",
    "parse",
    "play",
]

Progress = Callable[[str, int, int], None]

UNSCORED: Final = -1
DEVICE_SECONDS: Final = 120.0
_HEADER: Final = ("t_s", "stage", "in_bed", *NAMES)


class DataError(NoctisError):
    """A night that cannot be used for training or evaluation."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A night: ``rows`` (n, 16) for the context, ``stages`` (n,) with -1 where unscored."""

    night: Night
    rows: Rows
    stages: NDArray[np.int8]


def find_nights(root: Path) -> list[Path]:
    """Return the folders of the nights at or below ``root``; raise DataError when none is."""
    nights = sorted(path.parent for path in root.rglob("stages.csv"))
    if not nights:
        message = f"no night in {root}: no folder at or below it holds a stages.csv"
        raise DataError(message, hint="see docs/model-lab.md for the layout of a night")
    return nights


def find_device() -> Path:
    """Return the program ``noctis-device``, of this environment or of the search path."""
    own = Path(sys.executable).with_name("noctis-device")
    found = str(own) if own.is_file() else shutil.which("noctis-device")
    if found is None:
        message = "noctis-device, the firmware's host build, is not installed"
        raise DataError(message, hint="build it: make firmware")
    return Path(found)


def load(
    root: Path, *, cache: Path, device: Path | None = None, progress: Progress | None = None
) -> list[Recording]:
    """Return the nights at or below ``root`` as the firmware would have sent them.

    What the firmware printed is kept in ``cache`` under a hash of the night's files and of
    the program. Raises DataError for a night that cannot be played or has no stage.
    """
    program = find_device() if device is None else device
    build = f"{digest_of(program)}:{EVENING}"
    cache.mkdir(parents=True, exist_ok=True)
    folders = find_nights(root)
    recordings = []
    for index, folder in enumerate(folders):
        if progress is not None:
            progress("nights through the firmware", index, len(folders))
        night = describe(folder)
        path = cache / f"{_key(night, build)}.csv"
        if not path.exists():
            keep(path, play(folder, program))
        recordings.append(parse(path.read_text("utf-8"), night))
    _refuse_twins(recordings)
    return recordings


def describe(folder: Path) -> Night:
    """Return name, subject and the files' sha256 of the night in ``folder``."""
    note = folder / "subject.txt"
    subject = note.read_text("utf-8").strip() if note.exists() else folder.name
    present = [name for name in NIGHT_FILES if (folder / name).is_file()]
    files = {name: digest_of(folder / name) for name in present}
    return Night(name=folder.name, subject=subject or folder.name, files=files)


def play(folder: Path, program: Path, *, seconds: float = DEVICE_SECONDS) -> str:
    """Return what ``noctis-device --to csv`` prints of the night, within ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="noctis-evening-") as draft:
        night = begun_early(folder, Path(draft))
        done = _run(program, night, seconds)
    if done.returncode != 0:
        said = done.stderr.strip().replace(str(night), str(folder))
        message = f"{folder} cannot be played: {said or done.returncode}"
        raise DataError(message, hint="mend the night's files or take it out of the data")
    return done.stdout


def _run(program: Path, night: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    command = [str(program), "--night", str(night), "--to", "csv"]
    try:
        return subprocess.run(  # noqa: S603 - our own program, no shell
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except OSError as error:
        message = f"cannot start {program}: {error.strerror}"
        raise DataError(message, hint="build it: make firmware") from error
    except subprocess.TimeoutExpired as error:
        message = f"{program} did not play {night} within {seconds:.0f} s"
        raise DataError(message, hint="is the machine busy? Try again") from error


def parse(text: str, night: Night) -> Recording:
    """Return the recording that the firmware's CSV holds; raise DataError when it is none."""
    header, *lines = [*csv.reader(text.splitlines())] or [[]]
    if tuple(header) != _HEADER:
        message = f"{night.name}: the columns are not those of this version's features"
        raise DataError(message, hint="build noctis-device anew: make firmware")
    if not lines or any(len(line) != len(_HEADER) for line in lines):
        message = f"{night.name}: no epoch, or a line of a wrong length"
        raise DataError(message, hint="build noctis-device anew: make firmware")
    values = np.array([[float(cell or "nan") for cell in line[2:]] for line in lines])
    rows = np.column_stack((quantise(values[:, 1:]), values[:, 0] == 1)).astype(np.int16)
    stages = np.array([_stage(line[1]) for line in lines], np.int8)
    if (stages == UNSCORED).all():
        message = f"{night.name}: no epoch has a stage"
        raise DataError(message, hint="fill stages.csv or take the night out of the data")
    return Recording(night, rows, stages)


def _stage(name: str) -> int:
    stage = Stage.from_aasm(name)
    return UNSCORED if stage is None else int(stage)


def _key(night: Night, build: str) -> str:
    parts = [build, *(f"{name}:{digest}" for name, digest in sorted(night.files.items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def keep(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(draft).replace(path)


def _refuse_twins(recordings: Sequence[Recording]) -> None:
    """Refuse the same night of two subjects: it would be learnt from and tested on."""
    seen: dict[str, Night] = {}
    for recording in recordings:
        night = recording.night
        digest = night.files["stages.csv"]
        if digest in seen and seen[digest].subject != night.subject:
            message = f"{night.name} and {seen[digest].name} have the same stages.csv"
            raise DataError(message, hint="take one of the two out of the data")
        seen[digest] = night
