"""What a model says about itself: files, features, classes, figures, and what it learnt from.

A model's folder holds ``manifest.json`` and the files that it lists with their sha256:
``model.onnx``, ``golden.json``, ``card.md`` and ``fingerprint.json``.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from noctis import faults
from noctis.errors import ModelError

__all__ = [
    "ARTEFACT",
    "CARD",
    "GOLDEN",
    "MANIFEST",
    "NIGHT_FILES",
    "Figures",
    "Golden",
    "Manifest",
    "Night",
    "Part",
    "Recipe",
    "digest_of",
    "golden_in",
    "night_in_training",
    "read_golden",
    "read_manifest",
    "read_version",
    "verify",
]

MANIFEST: Final = "manifest.json"
ARTEFACT: Final = "model.onnx"
GOLDEN: Final = "golden.json"
CARD: Final = "card.md"
NIGHT_FILES: Final = ("stages.csv", "heart_rate.csv", "beats.csv", "motion_counts.csv")

_ANEW: Final = "publish the model anew or roll back"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]


Kind = TypeVar("Kind", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Night(_Record):
    """A night of the training data: who it came from, and the sha256 of each of its files."""

    name: str
    subject: str
    files: dict[str, Sha256]


class Figures(_Record):
    """Cross-validated figures: pooled over epochs, with a bootstrap over subjects."""

    kappa: float
    kappa_interval: tuple[float, float]
    accuracy: float
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    stage_f1: dict[str, float]
    epochs: int
    subjects: dict[str, list[list[int]]] = Field(
        description="per subject the confusion matrix, rows: reference, columns: predicted"
    )


class Part(_Record):
    """One graph of a model: what it reads (by its kind), its file, its weight in a blend."""

    kind: Literal["trees", "net", "night"]
    file: str
    weight: float = Field(1.0, gt=0)


class Recipe(_Record):
    """How a model's parts come together; see ``inference.architectures.Blend``.

    ``prior``: the stages' shares that the probabilities are divided by, to ``prior_power``.
    """

    parts: tuple[Part, ...] = ()
    prior: tuple[Share, Share, Share, Share] | None = None
    prior_power: float = 0.0
    temperature: float = Field(1.0, gt=0)

    @property
    def is_plain(self) -> bool:
        """Whether a single part's probabilities are left as they are."""
        weights = {part.weight for part in self.parts} or {1.0}
        lifted = self.prior is not None and self.prior_power != 0
        return weights == {1.0} and not lifted and self.temperature == 1


class Manifest(_Record):
    """The identity card of one version of a model.

    ``architecture`` is ``blend`` for several parts, which the recipe lists; ``night`` for a
    model of whole nights (``inference.night``), of one part or several; else the kind of the
    only part, in ``model.onnx`` where the recipe lists none.
    """

    schema_version: int = 1
    name: Name
    version: Name
    created: datetime
    parent: str | None = None
    approver: str | None = None
    commit: str | None = None
    files: dict[str, Sha256]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    seed: int
    parameters: dict[str, float | int | str]
    figures: Figures
    nights: tuple[Night, ...]
    libraries: dict[str, str]
    architecture: Literal["trees", "net", "blend", "night"] = "trees"
    recipe: Recipe = Recipe()

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        kinds = [part.kind for part in self.parts]
        is_one = len(kinds) == 1 or self.architecture == "night"
        is_right = is_one and set(kinds) == {self.architecture}
        if self.architecture == "blend":
            is_right = bool(kinds) and "night" not in kinds
        if not is_right:
            message = f"the recipe of a {self.architecture} lists the parts {kinds}"
            raise ValueError(message)
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The graphs that the model is made of."""
        if self.recipe.parts or self.architecture == "blend":
            return self.recipe.parts
        return (Part(kind=self.architecture, file=ARTEFACT),)

    @property
    def has_trees(self) -> bool:
        """Whether a part reads the features, which golden vectors hold then."""
        return any(part.kind == "trees" for part in self.parts)

    @property
    def full_name(self) -> str:
        """``name@version``, as stored predictions and live stages name the model."""
        return f"{self.name}@{self.version}"


class Golden(_Record):
    """Vectors that a loaded model has to reproduce: a made-up night and what comes of it.

    ``codes`` (n, 15) and ``in_bed`` (n,) are a night on the grid; ``rows`` names k of its
    epochs, ``features`` (k, F) and ``probabilities`` (k, 4) belong to those; None is NaN.
    A model without trees has no ``features``.
    """

    codes: list[list[int]]
    in_bed: list[bool]
    rows: list[int]
    features: list[list[float | None]] | None = None
    probabilities: list[list[float]]


def digest_of(path: Path) -> str:
    """Return the sha256 of a file's bytes in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a model's folder; raise ModelError when it is none."""
    return _read(folder / MANIFEST, Manifest)


def read_golden(folder: Path) -> Golden:
    """Return the golden vectors of a model's folder; raise ModelError when there are none."""
    return _read(folder / GOLDEN, Golden)


def golden_in(contents: Mapping[str, bytes], folder: Path) -> Golden:
    """Return the golden vectors among a folder's contents, as ``read_golden`` does."""
    if GOLDEN not in contents:
        message = f"{folder} has no {GOLDEN}: nothing proves that the model computes right"
        raise ModelError(message, hint=_ANEW)
    return _parsed(folder / GOLDEN, contents[GOLDEN], Golden)


def verify(folder: Path) -> Manifest:
    """Return the manifest of ``folder`` after the sha256 of every file has been checked.

    Raises ModelError when a file is missing, was changed, or is not listed.
    """
    return read_version(folder)[0]


def read_version(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest of ``folder`` and all its files: the very bytes that were checked.

    Raises ModelError as ``verify`` does.
    """
    raw = _bytes(folder / MANIFEST)
    manifest = _parsed(folder / MANIFEST, raw, Manifest)
    listed = manifest.files.keys()
    _refuse(manifest, folder, _names(folder) - listed, "is not in its manifest")
    _refuse(manifest, folder, listed - _names(folder), "is missing")
    _refuse(manifest, folder, {it.file for it in manifest.parts} - listed, "is not listed")
    contents = {name: _bytes(folder / name) for name in manifest.files}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    changed = {name for name, digest in digests.items() if digest != manifest.files[name]}
    _refuse(manifest, folder, changed, "was changed after publication")
    return manifest, {**contents, MANIFEST: raw}


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} - {MANIFEST}


def _refuse(manifest: Manifest, folder: Path, names: AbstractSet[str], state: str) -> None:
    """Raise ModelError where there is a file of this state."""
    for name in sorted(names):
        message = f"{manifest.full_name}: {folder / name} {state}"
        raise ModelError(message, hint=_ANEW)


def night_in_training(folder: Path, manifest: Manifest) -> bool:
    """Tell whether the night in ``folder`` was among those that the model learnt from.

    One file in common is enough: the bytes count, whatever the folder is called.
    """
    learnt = {digest for night in manifest.nights for digest in night.files.values()}
    return any(digest_of(path) in learnt for path in _present(folder, NIGHT_FILES))


def _present(folder: Path, names: Sequence[str]) -> Iterable[Path]:
    return (folder / name for name in names if (folder / name).is_file())


def _read(path: Path, kind: type[Kind]) -> Kind:
    return _parsed(path, _bytes(path), kind)


def _bytes(path: Path) -> bytes:
    try:
        is_torn = faults.point("registry.read")
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise ModelError(message, hint="is this the folder of a model?") from error
    return content[: len(content) // 2] if is_torn else content


def _parsed(path: Path, content: bytes, kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        message = f"{path} is not valid at {where or 'its start'}: {error.errors()[0]['msg']}"
        raise ModelError(message, hint=_ANEW) from error
