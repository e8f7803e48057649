"""The fingerprint of a model's training data, by which drift of what it is given is told.

``fingerprint.json`` in a version's folder holds the exact histogram of each channel's codes
over the training epochs in bed, of all subjects and of each (64 of them at most), and how
often the cross-validated model told each stage. Of each subject, because people differ: how
much a group of other people differs from these by chance can be told from them alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noctis import faults
from noctis.errors import ModelError
from noctis.features import FEATURES, NAMES, SCHEMA_VERSION
from noctis.histograms import PLACES, SIZE, Histograms, count
from noctis.stages import COUNT as STAGES
from noctis.stages import LABELS
from registry.manifest import Figures

__all__ = ["FINGERPRINT", "Fingerprint", "of_training", "read"]

FINGERPRINT: Final = "fingerprint.json"
MOST_SUBJECTS: Final = 64
_RETRAIN: Final = "train the model with this version of Noctis: noctis model train"

_Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Channel(_Record):
    """The counts of the codes from ``first`` on, zeros at both ends left out."""

    first: _Count
    counts: list[_Count]
    missing: _Count


class _Counts(_Record):
    epochs: Annotated[int, Field(gt=0)]
    channels: dict[str, _Channel]


class _Document(_Record):
    schema_version: int
    feature_version: int
    all: _Counts
    subjects: dict[str, _Counts]
    stages: dict[str, _Count]


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """Histograms of the training epochs in bed, as in ``noctis.histograms``.

    ``total``: shape (SIZE,), all subjects'. ``subjects``: shape (s, SIZE), one row for each
    name of ``names``. ``stages``: shape (4,), how many epochs the cross-validated model judged
    wake, light, deep and REM.
    """

    total: Histograms
    names: tuple[str, ...]
    subjects: Histograms
    stages: NDArray[np.int64]

    @property
    def stage_shares(self) -> NDArray[np.float64]:
        """The stages' shares, shape (4,)."""
        shares: NDArray[np.float64] = self.stages / self.stages.sum()
        return shares

    def as_json(self) -> bytes:
        """Return the document that ``read`` takes; the same fingerprint, the same bytes."""
        named = zip(self.names, self.subjects, strict=True)
        document = _Document(
            schema_version=1,
            feature_version=SCHEMA_VERSION,
            all=_packed(self.total),
            subjects={name: _packed(counts) for name, counts in named},
            stages=dict(zip(LABELS, self.stages.tolist(), strict=True)),
        )
        return (document.model_dump_json() + "\n").encode()


def of_training(codes: Mapping[str, NDArray[np.int16]], figures: Figures) -> Fingerprint:
    """Return the fingerprint of training epochs in bed.

    ``codes``: of each subject, shape (n, 15). Of more than 64 subjects, 64 that lie evenly
    among the sorted names stand for themselves; the total is always of all.
    """
    every = sorted(name for name in codes if len(codes[name]))
    counted = {name: count(codes[name]) for name in every}
    chosen = np.linspace(0, len(every) - 1, min(len(every), MOST_SUBJECTS)).round().astype(int)
    names = tuple(every[place] for place in chosen)
    matrices = np.array(list(figures.subjects.values()), np.int64).reshape(-1, STAGES, STAGES)
    total = np.sum(list(counted.values()), axis=0)
    stages = matrices.sum(axis=(0, 1))
    return Fingerprint(total, names, np.stack([counted[name] for name in names]), stages)


def read(folder: Path) -> Fingerprint:
    """Return the fingerprint of the model in ``folder``.

    Raises ModelError when there is none, it is damaged, or it is of other codes than ours.
    """
    path = folder / FINGERPRINT
    try:
        is_torn = faults.point("registry.read")
        content = path.read_bytes()
        document = _Document.model_validate_json(
            content[: len(content) // 2 if is_torn else None]
        )
    except FileNotFoundError as error:
        message = f"{folder} has no {FINGERPRINT}: drift cannot be told of this version"
        raise ModelError(message, hint=_RETRAIN) from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise ModelError(message, hint="is its disk there, and may we read it?") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _invalid(path, where or "its start", error.errors()[0]["msg"]) from error
    return _checked(path, document)


def _checked(path: Path, document: _Document) -> Fingerprint:
    if (document.schema_version, document.feature_version) != (1, SCHEMA_VERSION):
        found = f"{document.schema_version} of codes {document.feature_version}"
        message = f"{path} is a fingerprint of version {found}, not 1 of {SCHEMA_VERSION}"
        raise ModelError(message, hint=_RETRAIN)
    if set(document.stages) != set(LABELS) or not sum(document.stages.values()):
        raise _invalid(path, "stages", f"not a count of each of {', '.join(LABELS)}")
    names = tuple(document.subjects)
    subjects = [_unpacked(path, name, document.subjects[name]) for name in names]
    return Fingerprint(
        _unpacked(path, "all", document.all),
        names,
        np.stack(subjects) if subjects else np.empty((0, SIZE), np.int64),
        np.array([document.stages[label] for label in LABELS], np.int64),
    )


def _packed(histograms: Histograms) -> _Counts:
    channels = {}
    for name, place in zip(NAMES, PLACES, strict=True):
        counts = histograms[place][:-1]
        taken = np.flatnonzero(counts)
        first, end = (int(taken[0]), int(taken[-1]) + 1) if len(taken) else (0, 0)
        channels[name] = _Channel(
            first=first, counts=counts[first:end].tolist(), missing=int(histograms[place][-1])
        )
    return _Counts(epochs=int(histograms[PLACES[0]].sum()), channels=channels)


def _unpacked(path: Path, whose: str, counts: _Counts) -> Histograms:
    if set(counts.channels) != set(NAMES):
        raise _invalid(path, f"{whose}.channels", f"not the channels {', '.join(NAMES)}")
    histograms = np.zeros(SIZE, np.int64)
    for feature, place in zip(FEATURES, PLACES, strict=True):
        channel = counts.channels[feature.name]
        end = channel.first + len(channel.counts)
        if end > feature.missing:
            raise _invalid(
                path, f"{whose}.{feature.name}", f"codes above {feature.missing - 1}"
            )
        histograms[place][channel.first : end] = channel.counts
        histograms[place][-1] = channel.missing
        if histograms[place].sum() != counts.epochs:
            found = f"{histograms[place].sum()} epochs, not {counts.epochs}"
            raise _invalid(path, f"{whose}.{feature.name}", found)
    return histograms


def _invalid(path: Path, where: str, what: str) -> ModelError:
    message = f"{path} is not valid at {where}: {what}"
    return ModelError(message, hint="publish the model anew or roll back")
