"""From trained graphs to a model's folder: golden vectors, card, report, manifest."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from evaluation.datasets import Recording
from inference import versions
from inference.architectures import signature
from inference.model import Model
from inference.night import NightModel
from noctis.features import COUNT
from noctis.stages import LABELS
from registry.fingerprint import FINGERPRINT, Fingerprint, of_training
from registry.manifest import (
    ARTEFACT,
    CARD,
    GOLDEN,
    MANIFEST,
    Figures,
    Golden,
    Manifest,
    Night,
    Part,
    Recipe,
)
from training.card import write_card
from training.golden import golden_of, night_golden_of

__all__ = ["REPORT", "Product", "build", "fingerprint_of"]

REPORT: Final = "report.json"
GIT_SECONDS: Final = 5.0
_LIBRARIES: Final = ("numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """What a training comes to: ``graphs`` by file, how they go together, and how well.

    ``report``: figures by condition and part, as JSON; None where there are none.
    """

    graphs: Mapping[str, bytes]
    figures: Figures
    seed: int
    parameters: Mapping[str, float | int | str]
    architecture: Literal["trees", "net", "blend", "night"] = "trees"
    recipe: Recipe = field(default_factory=Recipe)
    report: Mapping[str, Any] | None = None
    libraries: tuple[str, ...] = ()


def build(
    folder: Path,
    product: Product,
    *,
    name: str,
    recordings: Sequence[Recording],
    parent: str | None = None,
    attribution: str = "",
) -> Manifest:
    """Write a whole model into the empty ``folder`` and return its manifest.

    The version is the day and the hash of the graphs and their recipe.
    """
    manifest = _manifest(product, name, recordings, parent)
    size = sum(map(len, product.graphs.values()))
    contents = {
        **product.graphs,
        GOLDEN: _golden(manifest, product.graphs).model_dump_json().encode(),
        CARD: write_card(manifest, size, attribution, product.report).encode(),
        FINGERPRINT: fingerprint_of(recordings, product.figures).as_json(),
    }
    if product.report is not None:
        contents[REPORT] = (json.dumps(product.report, indent=1) + "\n").encode()
    files = {file: sha256(content).hexdigest() for file, content in contents.items()}
    manifest = manifest.model_copy(update={"files": files})
    contents[MANIFEST] = (manifest.model_dump_json(indent=1) + "\n").encode()
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    versions.load(folder)
    return manifest


def _golden(manifest: Manifest, graphs: Mapping[str, bytes]) -> Golden:
    if manifest.architecture == "night":
        return night_golden_of(NightModel(manifest, graphs))
    return golden_of(Model(manifest, graphs))


def _manifest(
    product: Product, name: str, recordings: Sequence[Recording], parent: str | None
) -> Manifest:
    created = datetime.now(UTC).replace(microsecond=0)
    parts = product.recipe.parts or (Part(kind="trees", file=ARTEFACT),)
    return Manifest(
        name=name,
        version=f"{created:%Y%m%d}-{_digest(product)[:8]}",
        created=created,
        parent=parent,
        commit=_commit(),
        files={},
        features=signature(parts),
        classes=LABELS,
        seed=product.seed,
        parameters=dict(product.parameters),
        figures=product.figures,
        nights=tuple(sorted((r.night for r in recordings), key=_by_name)),
        libraries={it: version_of(it) for it in (*_LIBRARIES, *product.libraries)},
        architecture=product.architecture,
        recipe=product.recipe,
    )


def _digest(product: Product) -> str:
    if not product.recipe.parts:
        return sha256(product.graphs[ARTEFACT]).hexdigest()
    graphs = [product.graphs[part.file] for part in product.recipe.parts]
    return sha256(b"".join((*graphs, product.recipe.model_dump_json().encode()))).hexdigest()


def fingerprint_of(recordings: Sequence[Recording], figures: Figures) -> Fingerprint:
    """Return the fingerprint of the recordings' epochs in bed, scored or not."""
    rows = {
        who: np.concatenate([it.rows for it in recordings if it.night.subject == who])
        for who in dict.fromkeys(it.night.subject for it in recordings)
    }
    codes = {who: them[them[:, COUNT] == 1, :COUNT] for who, them in rows.items()}
    return of_training(codes, figures)


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
