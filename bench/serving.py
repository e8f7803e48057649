"""One epoch's prediction at many devices, each with eight hours behind it, on one core.

Every device has a context of its own, full to the last place. In turn each takes its next
epoch: push, session, features or tracks, model; nothing is batched, so this is what a worker
spends on an epoch that comes alone. A blend is measured whole and part by part.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from inference.context import DEPTH, Context, Moment, Rows
from inference.model import DEFAULT_FOLDER, Model
from noctis.epoch import EPOCH_SECONDS
from registry.manifest import ARTEFACT, Manifest, Part, Recipe, verify
from training.golden import made_up_night

__all__ = ["Row", "main", "measure"]

NIGHTS: Final = 50  # made-up nights; each device sleeps one of them
WARM: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds an epoch takes, by the wall's clock and by the core's."""

    name: str
    architecture: str
    parts: int
    p50: float
    p95: float
    p99: float
    cpu_p50: float
    cpu_p95: float


def measure(folder: Path, *, devices: int, rounds: int) -> list[Row]:
    """Return a row for the model in ``folder`` and, of several parts, one for each part."""
    nights = [made_up_night(DEPTH + rounds, seed=seed) for seed in range(min(NIGHTS, devices))]
    rows = []
    for name, model in _models(folder):
        _say(f"{name}: {devices} devices fall asleep")
        beds = [_filled(nights[bed % len(nights)]) for bed in range(devices)]
        model.predict([bed.session() for bed in beds[:WARM]])
        turns = [
            _turn(model, beds[bed], nights[bed % len(nights)], DEPTH + turn)
            for turn in range(rounds)
            for bed in range(devices)
        ]
        rows.append(_row(name, model.manifest, np.array(turns) * 1e3))
    return rows


def _models(folder: Path) -> Iterator[tuple[str, Model]]:
    manifest = verify(folder)
    contents = {part.file: (folder / part.file).read_bytes() for part in manifest.parts}
    yield manifest.full_name, Model(manifest, contents)
    if len(manifest.parts) == 1:
        return
    for part in manifest.parts:
        yield part.file, _alone(manifest, part, contents[part.file])


def _alone(manifest: Manifest, part: Part, artefact: bytes) -> Model:
    update: dict[str, Any] = {"architecture": part.kind, "recipe": Recipe()}
    return Model(manifest.model_copy(update=update), {ARTEFACT: artefact})


def _filled(night: Rows) -> Context:
    context = Context()
    for epoch in range(DEPTH):
        context.push(_moment(epoch), night[epoch])
    return context


def _turn(model: Model, bed: Context, night: Rows, epoch: int) -> tuple[float, float]:
    wall, core = time.perf_counter(), time.thread_time()
    bed.push(_moment(epoch), night[epoch])
    model.predict([bed.session()])
    return time.perf_counter() - wall, time.thread_time() - core


def _moment(epoch: int) -> Moment:
    return Moment(epoch + 1, float(EPOCH_SECONDS * epoch))


def _row(name: str, manifest: Manifest, turns: np.ndarray[Any, Any]) -> Row:
    wall = np.quantile(turns[:, 0], (0.5, 0.95, 0.99))
    core = np.quantile(turns[:, 1], (0.5, 0.95))
    figures = [round(float(value), 3) for value in (*wall, *core)]
    return Row(name, manifest.architecture, len(manifest.parts), *figures)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Measure and print a table, or one JSON value."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each device")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="a model's folder")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = measure(asked.folder, devices=asked.devices, rounds=asked.rounds)
    if asked.json:
        print(json.dumps({"devices": asked.devices, "rows": [asdict(row) for row in rows]}))
        return
    print(f"{'milliseconds an epoch':<32}{'p50':>8}{'p95':>8}{'p99':>8}{'cpu p95':>9}")
    for row in rows:
        print(f"{row.name:<32}{row.p50:>8}{row.p95:>8}{row.p99:>8}{row.cpu_p95:>9}")


if __name__ == "__main__":
    main()
