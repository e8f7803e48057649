"""From a trained classifier to a model's folder: ONNX, golden vectors, card, manifest."""

import subprocess
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx  # type: ignore[import-untyped]
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]

from evaluation.datasets import Recording
from inference.context import FEATURE_COUNT, FEATURE_NAMES
from inference.graph import Graph
from inference.model import Model
from noctis.errors import ModelError
from noctis.features import COUNT
from noctis.stages import LABELS
from registry.fingerprint import FINGERPRINT, Fingerprint, of_training
from registry.manifest import ARTEFACT, CARD, GOLDEN, MANIFEST, Figures, Manifest, Night
from training.card import write_card
from training.features import Table
from training.golden import golden_of
from training.trees import Parameters

__all__ = ["build", "fingerprint_of", "to_artefact"]

OPSET: Final = 17
TOLERANCE: Final = 1e-4
GIT_SECONDS: Final = 5.0
_LIBRARIES: Final = ("numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime")


def to_artefact(classifier: Pipeline) -> bytes:
    """Return the classifier as ONNX: ``features`` (n, F) in, ``probabilities`` (n, 4) out."""
    trees = classifier.named_steps["trees"]
    with warnings.catch_warnings():
        # skl2onnx 1.20 hands booleans to protobuf where integers are meant.
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = to_onnx(
            classifier,
            initial_types=[("features", FloatTensorType([None, FEATURE_COUNT]))],
            options={id(trees): {"zipmap": False}},
            target_opset=OPSET,
        )
    graph.doc_string = ""
    # They come out of a set, in an order that changes from one process to the next.
    graph.opset_import.sort(key=lambda opset: opset.domain)
    return bytes(graph.SerializeToString(deterministic=True))


def build(
    folder: Path,
    *,
    name: str,
    classifier: Pipeline,
    figures: Figures,
    recordings: Sequence[Recording],
    tables: Sequence[Table],
    parameters: Parameters,
    parent: str | None = None,
    attribution: str = "",
) -> Manifest:
    """Write a whole model into the empty ``folder`` and return its manifest.

    The ONNX model has to give the classifier's probabilities on all ``tables``; ModelError
    otherwise. The version is the day and the artefact's hash.
    """
    artefact = to_artefact(classifier)
    created = datetime.now(UTC).replace(microsecond=0)
    manifest = Manifest(
        name=name,
        version=f"{created:%Y%m%d}-{sha256(artefact).hexdigest()[:8]}",
        created=created,
        parent=parent,
        commit=_commit(),
        files={},
        features=FEATURE_NAMES,
        classes=LABELS,
        seed=parameters.seed,
        parameters=parameters.as_dict(),
        figures=figures,
        nights=tuple(sorted((r.night for r in recordings), key=_by_name)),
        libraries={library: version_of(library) for library in _LIBRARIES},
    )
    graph = Graph(artefact, (FEATURE_COUNT,), where=ARTEFACT)
    for table in tables:
        _check_equal(graph, classifier, table.features)
    model = Model(manifest, {ARTEFACT: artefact})
    contents = {
        ARTEFACT: artefact,
        GOLDEN: golden_of(model).model_dump_json().encode(),
        CARD: write_card(manifest, len(artefact), attribution).encode(),
        FINGERPRINT: fingerprint_of(recordings, figures).as_json(),
    }
    files = {file: sha256(content).hexdigest() for file, content in contents.items()}
    manifest = manifest.model_copy(update={"files": files})
    contents[MANIFEST] = (manifest.model_dump_json(indent=1) + "\n").encode()
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    Model.load(folder)
    return manifest


def fingerprint_of(recordings: Sequence[Recording], figures: Figures) -> Fingerprint:
    """Return the fingerprint of the recordings' epochs in bed, scored or not."""
    codes: dict[str, list[NDArray[np.int16]]] = {}
    for each in recordings:
        in_bed = each.rows[:, COUNT] == 1
        codes.setdefault(each.night.subject, []).append(each.rows[in_bed, :COUNT])
    return of_training({who: np.concatenate(them) for who, them in codes.items()}, figures)


def _check_equal(graph: Graph, classifier: Pipeline, rows: NDArray[np.float32]) -> None:
    difference = np.abs(graph(rows) - classifier.predict_proba(rows)).max()
    if not difference <= TOLERANCE:
        message = f"the ONNX model is {difference:.2g} off the trained classifier"
        raise ModelError(message, hint="are skl2onnx and protobuf of the locked versions?")


def _by_name(night: Night) -> str:
    return night.name


def _commit() -> str | None:
    """Return the commit of the code that trains, None where there is no repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git there is
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
