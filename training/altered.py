"""Altered copies of nights, played through the firmware as the nights were.

A copy runs faster or slower, its heart beats higher or lower and varies more or less, it moves
more or less, sometimes not at all, and sometimes it begins later. Its stages go with it.
"""

import csv
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import Recording, find_device, keep, parse, play
from evaluation.evening import EVENING, begun_early
from noctis.epoch import EPOCH_SECONDS
from registry.manifest import digest_of

__all__ = ["alter", "altered_copies"]

PACE: Final = (0.92, 1.08)
VARIATION: Final = (0.8, 1.25)
LEVEL_BPM: Final = 5.0
LOUDNESS: Final = 0.6
WITHOUT_MOTION: Final = 0.15
LATE: Final = 0.3
LATEST_EPOCHS: Final = 180
LEAST_EPOCHS: Final = 250
HEART_BPM: Final = (30.0, 200.0)
BEAT_S: Final = (0.3, 2.2)

Table = NDArray[np.float64]


def altered_copies(
    folders: Sequence[Path],
    recordings: Sequence[Recording],
    copies: int,
    *,
    cache: Path,
    device: Path | None = None,
    jobs: int = 1,
) -> list[list[Recording]]:
    """Return ``copies`` altered copies of each night, always the same ones.

    What the firmware printed is kept in ``cache``, so that an interrupted run goes on where it
    was. Raises DataError for a copy that cannot be played.
    """
    program = find_device() if device is None else device
    build = f"{digest_of(program)}{digest_of(Path(__file__))}:{EVENING}"
    cache.mkdir(parents=True, exist_ok=True)
    work = joblib.Parallel(n_jobs=jobs)
    source = _Source(cache, program, build)
    made = work(
        joblib.delayed(_copy)(source, folder, recording, number)
        for folder, recording in zip(folders, recordings, strict=True)
        for number in range(copies)
    )
    return [made[i * copies : (i + 1) * copies] for i in range(len(folders))]


@dataclass(frozen=True, slots=True)
class _Source:
    cache: Path
    program: Path
    build: str


def _copy(source: _Source, folder: Path, recording: Recording, number: int) -> Recording:
    night = recording.night
    parts = [str(number), *(f"{name}:{digest}" for name, digest in sorted(night.files.items()))]
    seed = hashlib.sha256("\n".join(parts).encode()).digest()
    name = hashlib.sha256(seed + source.build.encode()).hexdigest()[:32]
    path = source.cache / f"{name}.csv"
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix="noctis-night-") as draft:
            place, copy = (Path(draft) / it for it in ("night", "copy"))
            place.mkdir()
            copy.mkdir()
            alter(begun_early(folder, place), copy, np.random.default_rng(list(seed)))
            keep(path, play(copy, source.program))
    return parse(path.read_text("utf-8"), night)


def alter(folder: Path, copy: Path, random: np.random.Generator) -> None:
    """Write an altered copy of the night in ``folder`` to the empty folder ``copy``."""
    pace, variation = random.uniform(*PACE), random.uniform(*VARIATION)
    level, loudness = random.normal(0, LEVEL_BPM), np.exp(random.normal(0, LOUDNESS))
    moves = random.random() >= WITHOUT_MOTION
    late = int(random.uniform(0, LATEST_EPOCHS)) if random.random() < LATE else 0
    stages = _read(folder / "stages.csv")
    count = max(round(float(time) / EPOCH_SECONDS) for time, _ in stages) + 1
    late = late if count - late >= LEAST_EPOCHS else 0
    begins = np.arange(int((count - late) * pace))
    source = np.minimum(((begins + 0.5) / pace).astype(int) + late, count - 1)

    def warped(time_s: str) -> float:
        return (float(time_s) - EPOCH_SECONDS * late) * pace

    def changed(bpm: Table) -> Table:
        middle = np.median(bpm)
        return np.clip((bpm - middle) * variation + middle + level, *HEART_BPM)

    _by_epoch(copy / "stages.csv", "stage", source, dict(_places(stages)))
    _hearts(folder, copy, warped, changed)
    counts = folder / "motion_counts.csv"
    if moves and counts.is_file():
        louder = {place: f"{float(it) * loudness:.4f}" for place, it in _places(_read(counts))}
        _by_epoch(copy / counts.name, "count", source, louder)


def _hearts(
    folder: Path,
    copy: Path,
    warped: Callable[[str], float],
    changed: Callable[[Table], Table],
) -> None:
    """Alter heart rates (whole bpm, as recorded) or, where there are those, beats."""
    if (folder / "heart_rate.csv").is_file():
        times, values = zip(*_read(folder / "heart_rate.csv"), strict=True)
        rates = changed(np.array(values, np.float64))
        _save(copy / "heart_rate.csv", "bpm", map(warped, times), [f"{it:.0f}" for it in rates])
        return
    times, values = zip(*_read(folder / "beats.csv"), strict=True)
    gaps = np.array(values, np.float64)
    real = (gaps > BEAT_S[0]) & (gaps < BEAT_S[1])
    gaps[real] = 60 / changed(60 / gaps[real])
    _save(copy / "beats.csv", "rr_s", map(warped, times), [f"{it:.3f}" for it in gaps])


def _by_epoch(path: Path, name: str, source: NDArray[np.intp], values: dict[int, str]) -> None:
    """Write for each epoch of the copy what its source had."""
    known = [(at, values[place]) for at, place in enumerate(source.tolist()) if place in values]
    _save(path, name, (at * EPOCH_SECONDS for at, _ in known), [value for _, value in known])


def _save(path: Path, name: str, times: Iterable[float], values: Sequence[str]) -> None:
    lines = [
        f"{time:.2f},{value}" for time, value in zip(times, values, strict=True) if time >= 0
    ]
    path.write_text("\n".join((f"t_s,{name}", *lines)) + "\n", "utf-8")


def _places(rows: Sequence[tuple[str, str]]) -> list[tuple[int, str]]:
    return [(round(float(time) / EPOCH_SECONDS), value) for time, value in rows]


def _read(path: Path) -> list[tuple[str, str]]:
    """Return the first two columns of a CSV file without its header."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1]) for row in list(csv.reader(file))[1:] if len(row) > 1]
