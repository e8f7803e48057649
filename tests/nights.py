"""Made-up nights as folders and as rows, and copies of the shipped model that know them."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from evaluation.datasets import DataError, Recording, find_device
from inference.context import Rows
from inference.model import DEFAULT_FOLDER
from noctis.features import COUNT, NAMES, quantise
from registry.manifest import MANIFEST, Night
from registry.store import DEFAULT_NAME, Registry


def device_is_there() -> bool:
    try:
        find_device()
    except DataError:
        return False
    return True


def write_night(folder: Path, *, seed: int, epochs: int = 160) -> Path:
    """A folder of a night whose stages differ in heart rate and its spread."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    names = np.array(["W", "N2", "N3", "R"])
    stages = np.repeat(random.permutation(np.arange(16) % 4), epochs // 16)
    lines = [f"{30 * k},{names[stage]}" for k, stage in enumerate(stages)]
    (folder / "stages.csv").write_text("t_s,stage\n" + "\n".join(lines) + "\n")
    rates = np.array([75, 60, 55, 64])[stages].repeat(6)
    rates = rates + np.array([4, 1.5, 0.5, 3])[stages].repeat(6) * random.normal(
        size=len(rates)
    )
    beats = [f"{5 * k + 2.5:.2f},{rate:.0f}" for k, rate in enumerate(rates)]
    (folder / "heart_rate.csv").write_text("t_s,bpm\n" + "\n".join(beats) + "\n")
    return folder


def made_up_rows(epochs: int, *, seed: int) -> Rows:
    """Rows (epochs, 16) of a sleeper who comes, stirs, walks off and returns."""
    random = np.random.default_rng(seed)
    depth = np.sin(np.arange(epochs) / 25.0)
    values = np.full((epochs, COUNT), np.nan)
    for name, column in {
        "hr_mean": 60 - 6 * depth + random.normal(size=epochs),
        "hr_sd": 2 - depth,
        "hr_rmssd": 2 - depth + 0.2 * random.normal(size=epochs),
        "act_count": np.where(random.random(epochs) < 0.1, 40.0, 0.0),
        "move_frac": random.random(epochs) * 0.2,
        "quality": np.where(random.random(epochs) < 0.1, 0.1, 0.9),
    }.items():
        values[:, NAMES.index(name)] = column
    in_bed = np.ones(epochs, bool)
    in_bed[: epochs // 20] = in_bed[epochs // 2 : epochs // 2 + 3] = False
    return np.column_stack((quantise(values), in_bed)).astype(np.int16)


def publish_copy(var: Path, version: str = "copy", **fields: object) -> str:
    """Publish a copy of the shipped model with other fields in its manifest."""
    manifest = json.loads((DEFAULT_FOLDER / MANIFEST).read_text())
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft"
        shutil.copytree(DEFAULT_FOLDER, draft)
        content = {**manifest, "version": version, **fields}
        (draft / MANIFEST).write_text(json.dumps(content))
        Registry(var / "models", DEFAULT_NAME).publish(draft)
    return version


def made_up(subject: str, *, seed: int, epochs: int = 160) -> Recording:
    """A night whose stages differ in heart rate, its spread, and motion."""
    random = np.random.default_rng(seed)
    stages = np.repeat(random.permutation(np.arange(16) % 4), epochs // 16).astype(np.int8)
    count = len(stages)
    values = np.full((count, COUNT), np.nan)
    spread = np.array([4.0, 1.5, 0.5, 3.0])[stages]
    values[:, 0] = np.array([75, 60, 55, 64])[stages] + spread * random.normal(size=count)
    values[:, 1] = values[:, 3] = spread * (0.5 + random.random(count))
    values[:, 9] = np.where(stages == 0, 60 * random.random(count), 0)
    values[:, 11] = np.where(stages == 0, random.random(count), 0)
    rows = np.column_stack((quantise(values), np.ones(count))).astype(np.int16)
    files = {"stages.csv": f"{seed:064x}"}
    return Recording(
        Night(name=f"{subject}-{seed}", subject=subject, files=files), rows, stages
    )
