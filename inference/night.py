"""The stager of whole nights: a night that is over, staged with all of it in sight.

Live stages rest on the past alone. When a night has closed, this second model looks both ways
and tells the night's revised hypnogram. It is a model of its own, ``night-stager``, in the same
registry, under the same checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.architectures import mixed
from inference.context import IN_BED, Rows
from inference.graph import Graph
from inference.model import check_classes, check_probabilities
from inference.night_tracks import NAMES, night_tracks
from inference.stage import is_stageable
from noctis import faults
from noctis.errors import ModelError
from noctis.features import FEATURES
from noctis.stages import COUNT
from registry.manifest import Golden, Manifest, golden_in, read_version

__all__ = [
    "NIGHT_FOLDER",
    "NIGHT_NAME",
    "NO_STAGE",
    "NightModel",
    "Staging",
    "codes_of",
    "stage_whole_night",
]

NIGHT_NAME: Final = "night-stager"
NIGHT_FOLDER: Final = Path(__file__).parent / "night_default"
NO_STAGE: Final = -1
_MISSING: Final = np.array([feature.missing for feature in FEATURES], np.int16)
_RETRAIN: Final = (
    "train it with this version of Noctis: noctis model train --architecture night"
)


@dataclass(frozen=True, slots=True, eq=False)
class Staging:
    """What a model says of a night's n epochs.

    ``stages``: int8 (n,), NO_STAGE where it says null. ``probabilities``: float32 (n, 4), NaN
    there.
    """

    stages: NDArray[np.int8]
    probabilities: NDArray[np.float32]

    @classmethod
    def blank(cls, count: int) -> "Staging":
        """Return a night of ``count`` epochs of which nothing is said."""
        return cls(
            np.full(count, NO_STAGE, np.int8), np.full((count, COUNT), np.nan, np.float32)
        )


class NightModel:
    """One version of a stager of whole nights; safe to call from several threads."""

    def __init__(self, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self._columns = [NAMES.index(name) for name in manifest.features]
        self._graphs = [
            Graph(
                contents[part.file],
                (len(self._columns),),
                where=f"{manifest.full_name}: {part.file}",
            )
            for part in manifest.parts
        ]

    @classmethod
    def load(cls, folder: Path) -> "NightModel":
        """Return the model in ``folder`` once files, signature and golden vectors are right.

        Raises ModelError that says what is not.
        """
        faults.point("model.load")
        manifest, contents = read_version(folder)
        _check_signature(manifest)
        model = cls(manifest, contents)
        _check_golden(model, golden_in(contents, folder))
        return model

    @property
    def name(self) -> str:
        """The model's name, such as ``night-stager``."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.manifest.version

    @property
    def full_name(self) -> str:
        """``name@version``."""
        return self.manifest.full_name

    def predict(self, codes: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return the probabilities, shape (n, 4), of wake, light, deep and REM.

        ``codes``: of every place of the night, shape (n, 15), as ``night_tracks`` takes them.
        """
        table = np.ascontiguousarray(night_tracks(codes)[:, self._columns])
        return mixed([graph(table) for graph in self._graphs], self.manifest.recipe)


def codes_of(rows: Rows) -> tuple[slice, NDArray[np.int16]]:
    """Return where a night of rows, shape (n, 16), lies in them, and its codes, (m, 15).

    From the first epoch in bed to the last; who is up in between is missing there.
    """
    occupied = np.flatnonzero(rows[:, IN_BED])
    if not len(occupied):
        return slice(0, 0), rows[:0, :IN_BED]
    part = slice(int(occupied[0]), int(occupied[-1]) + 1)
    codes = rows[part, :IN_BED].copy()
    codes[rows[part, IN_BED] == 0] = _MISSING
    return part, codes


def stage_whole_night(model: NightModel, rows: Rows) -> Staging:
    """Return the stages of a night's rows, shape (n, 16), one for each place of the grid.

    Empty bed, missing epochs and poor quality get no stage, as live.
    """
    staging = Staging.blank(len(rows))
    part, codes = codes_of(rows)
    known = np.array([is_stageable(row) for row in rows], bool)
    if known.any():
        staging.probabilities[part] = model.predict(codes)
        staging.probabilities[~known] = np.nan
        staging.stages[known] = staging.probabilities[known].argmax(axis=1)
    return staging


def _check_signature(manifest: Manifest) -> None:
    check_classes(manifest)
    if manifest.architecture != "night":
        message = f"{manifest.full_name} stages live epochs, no whole nights"
        raise ModelError(message, hint="name a model of the architecture night")
    unknown = sorted(set(manifest.features) - set(NAMES))
    if unknown:
        message = f"{manifest.full_name} was trained on other tracks: {', '.join(unknown[:5])}"
        raise ModelError(message, hint=_RETRAIN)


def _check_golden(model: NightModel, golden: Golden) -> None:
    rows = np.column_stack((golden.codes, golden.in_bed)).astype(np.int16)
    made = np.full((len(rows), COUNT), np.nan, np.float32)
    part, codes = codes_of(rows)
    made[part] = model.predict(codes)
    check_probabilities(model.full_name, golden, made[golden.rows])
