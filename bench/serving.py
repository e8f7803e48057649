"""One epoch's prediction at many devices, each with eight hours behind it, on one core.

Every device has a night and a context of its own, full to the last place, and its former epoch
was staged. In turn each takes its next epoch: push, session, features or tracks, model; nothing
is batched, so this is what a worker spends on an epoch that comes alone. Several models take
turns at each epoch, so that what else the machine does strikes all of them. A blend is measured
whole and part by part.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.context import DEPTH, Context, Moment, Rows
from inference.model import DEFAULT_FOLDER, Model
from inference.trails import Trails
from noctis.epoch import EPOCH_SECONDS
from registry.manifest import ARTEFACT, Manifest, Part, Recipe, verify
from training.golden import made_up_night

__all__ = ["Row", "main", "measure"]

Times = NDArray[np.float64]

CLOCKS: Final = 2  # the wall's and the core's


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds an epoch takes, by the wall's clock and by the core's.

    ``first_*``: the first epoch of a session that was never asked about, as after a restart.
    """

    name: str
    architecture: str
    parts: int
    p50: float
    p95: float
    p99: float
    cpu_p50: float
    cpu_p95: float
    first_cpu_p50: float


@dataclass(slots=True, eq=False)
class _Bed:
    """A device: its night, its context, and the epochs that it has sent."""

    night: Rows
    context: Context
    sent: int = 0

    def send(self) -> None:
        seq = self.sent
        self.context.push(Moment(seq, float(EPOCH_SECONDS * seq)), self.night[seq])
        self.sent += 1


def measure(folders: Sequence[Path], *, devices: int, rounds: int) -> list[Row]:
    """Return a row for the model in each folder and, of several parts, one for each part."""
    models = [named for folder in folders for named in _models(folder)]
    trails = [Trails() for _ in models]
    beds = []
    for seed in range(devices):
        if seed % 250 == 0:
            _say(f"{seed} of {devices} devices have fallen asleep")
        beds.append(_Bed(made_up_night(DEPTH + rounds + 1, seed=seed), Context()))
        for _ in range(DEPTH):
            beds[-1].send()
    asked = list(zip((model for _, model in models), trails, strict=True))
    first = [_turn(asked, bed, 0) for bed in beds]
    turns = [_turn(asked, bed, turn) for turn in range(rounds) for bed in beds]
    return [
        _row(name, model.manifest, times, begins)
        for (name, model), times, begins in zip(
            models,
            np.array(turns).swapaxes(0, 1) * 1e3,
            np.array(first).swapaxes(0, 1) * 1e3,
            strict=True,
        )
    ]


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


def _turn(asked: Sequence[tuple[Model, Trails]], bed: _Bed, turn: int) -> Times:
    """Return what the bed's next epoch takes each model, (model, clock), push and all."""
    begin = _clocks()
    bed.send()
    pushed = _clocks() - begin
    taken = np.empty((len(asked), CLOCKS))
    order = range(len(asked))
    for at in order if (turn + bed.sent) % 2 else reversed(order):
        model, trails = asked[at]
        begin = _clocks()
        model.predict([bed.context.session()], trails)
        taken[at] = pushed + _clocks() - begin
    return taken


def _clocks() -> Times:
    return np.array((time.perf_counter(), time.thread_time()))


def _row(name: str, manifest: Manifest, turns: Times, first: Times) -> Row:
    wall = np.quantile(turns[:, 0], (0.5, 0.95, 0.99))
    core = np.quantile(turns[:, 1], (0.5, 0.95))
    start = np.quantile(first[:, 1], (0.5,))
    figures = [round(float(value), 3) for value in (*wall, *core, *start)]
    return Row(name, manifest.architecture, len(manifest.parts), *figures)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Measure and print a table, or one JSON value."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each device")
    parser.add_argument(
        "--folder", type=Path, action="append", help="a model's folder; several take turns"
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    folders = asked.folder or [DEFAULT_FOLDER]
    rows = measure(folders, devices=asked.devices, rounds=asked.rounds)
    if asked.json:
        print(json.dumps({"devices": asked.devices, "rows": [asdict(row) for row in rows]}))
        return
    columns = ("p50", "p95", "p99", "cpu p50", "cpu p95", "first")
    print(f"{'milliseconds an epoch':<32}" + "".join(f"{it:>9}" for it in columns))
    for row in rows:
        times = (row.p50, row.p95, row.p99, row.cpu_p50, row.cpu_p95, row.first_cpu_p50)
        print(f"{row.name:<32}" + "".join(f"{it:>9}" for it in times))


if __name__ == "__main__":
    main()
