"""A stager: read, verified, and proved on its golden vectors before it says anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.architectures import Batch, Sessions, architecture_of, signature
from inference.context import FEATURE_NAMES, night_sessions
from inference.trails import Trails
from noctis import faults
from noctis.errors import ModelError
from noctis.stages import LABELS
from registry.manifest import Golden, Manifest, golden_in, read_version

__all__ = ["DEFAULT_FOLDER", "Model", "check_classes", "check_probabilities"]

DEFAULT_FOLDER: Final = Path(__file__).parent / "default"
_RETRAIN: Final = "train the model with this version of Noctis: noctis model train"
_PROBABILITY_TOLERANCE: Final = 1e-4

AT_ONCE: Final = 32
"""Sessions in one run of a graph: what it needs for them stays in the processor's cache. The
runtime does not give back what it needed once.
"""


class Model:
    """One version of a stager; safe to call from several threads."""

    def __init__(self, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self._architecture = architecture_of(manifest, contents)

    @classmethod
    def load(cls, folder: Path) -> "Model":
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
        """The model's name, such as ``stager``."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.manifest.version

    @property
    def full_name(self) -> str:
        """``name@version``."""
        return self.manifest.full_name

    def predict(self, sessions: Sessions, trails: Trails | None = None) -> NDArray[np.float32]:
        """Return the probabilities, shape (n, 4), of wake, light, deep and REM.

        ``sessions``: n of them from ``Context.session``; the last epoch of each is staged.
        ``trails``: what was made of them before; it spares time and changes nothing.
        """
        slices = (sessions[at : at + AT_ONCE] for at in range(0, len(sessions), AT_ONCE))
        made = [self.judge(Batch(part, trails)) for part in slices]
        return np.concatenate(made or [np.empty((0, len(LABELS)), np.float32)])

    def judge(self, batch: Batch) -> NDArray[np.float32]:
        """Return the probabilities, as ``predict`` does, of sessions read before."""
        return self._architecture.probabilities(batch)


def check_classes(manifest: Manifest) -> None:
    """Raise ModelError where a model tells other stages apart than Noctis."""
    if manifest.classes != LABELS:
        message = f"{manifest.full_name} tells {', '.join(manifest.classes)} apart"
        raise ModelError(message, hint=f"Noctis needs {', '.join(LABELS)} in this order")


def _check_signature(manifest: Manifest) -> None:
    check_classes(manifest)
    if manifest.architecture == "night":
        message = f"{manifest.full_name} stages whole nights that are over, no live epochs"
        raise ModelError(message, hint="name a model of another architecture")
    meant = signature(manifest.parts)
    if manifest.features != meant:
        other = sorted(set(manifest.features) ^ set(meant)) or ["their order"]
        message = f"{manifest.full_name} was trained on other features: {', '.join(other[:5])}"
        raise ModelError(message, hint=_RETRAIN)


def _check_golden(model: Model, golden: Golden) -> None:
    rows = np.column_stack((golden.codes, golden.in_bed)).astype(np.int16)
    batch = Batch(night_sessions(rows, golden.rows))
    if golden.features is not None:
        _check_features(model, batch.features, _table(golden.features))
    check_probabilities(model.full_name, golden, model.judge(batch))


def check_probabilities(model: str, golden: Golden, made: NDArray[np.float32]) -> None:
    """Raise ModelError where the golden rows' probabilities, (k, 4), are not what was made."""
    difference = np.abs(made - _table(golden.probabilities)).max()
    if not difference <= _PROBABILITY_TOLERANCE:
        message = f"{model} misses its golden vectors by {difference:.2g}"
        raise ModelError(message, hint=_RETRAIN)


def _check_features(
    model: Model, made: NDArray[np.float32], known: NDArray[np.float32]
) -> None:
    wrong = ~np.isclose(made, known, rtol=1e-4, atol=1e-4, equal_nan=True)
    if wrong.any():
        name = FEATURE_NAMES[int(wrong.any(axis=0).argmax())]
        message = f"{model.full_name}: {name} is computed in another way than in training"
        raise ModelError(message, hint=_RETRAIN)


def _table(values: object) -> NDArray[np.float32]:
    """Return a table of numbers, None (how JSON says NaN) as NaN."""
    return np.array(values, dtype=np.float32)
