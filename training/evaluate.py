"""Figures of a stager: agreement with the reference, by stage and by subject."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.stages import COUNT, LABELS
from registry.manifest import Figures
from training.datasets import UNSCORED

__all__ = ["accuracy", "confusion", "figures", "kappa", "macro_f1", "stage_f1"]

Matrix = NDArray[np.int64]
RESAMPLES: Final = 2000
INTERVAL: Final = (2.5, 97.5)


def confusion(reference: NDArray[np.int8], predicted: NDArray[np.int64]) -> Matrix:
    """Return the confusion matrix, rows: reference, columns: predicted; -1 is left out."""
    scored = reference != UNSCORED
    pairs = reference[scored].astype(np.int64) * COUNT + predicted[scored]
    return np.bincount(pairs, minlength=COUNT * COUNT).reshape(COUNT, COUNT)


def accuracy(matrix: Matrix) -> float:
    """Return the share of epochs on which both agree."""
    return float(np.trace(matrix) / matrix.sum())


def kappa(matrix: Matrix) -> float:
    """Return Cohen's kappa: agreement beyond chance; 0 where there is nothing to tell apart."""
    total = matrix.sum()
    chance = float(matrix.sum(axis=0) @ matrix.sum(axis=1)) / float(total) ** 2
    return (accuracy(matrix) - chance) / (1 - chance) if chance < 1 else 0.0


def stage_f1(matrix: Matrix) -> NDArray[np.float64]:
    """Return each stage's F1, shape (4,); NaN for a stage that neither side names."""
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    shares: NDArray[np.float64] = 2 * np.diag(matrix) / np.where(both == 0, np.nan, both)
    return shares


def macro_f1(matrix: Matrix) -> float:
    """Return the mean of the stages' F1."""
    return float(np.nanmean(stage_f1(matrix)))


def figures(matrices: Mapping[str, Matrix], *, seed: int) -> Figures:
    """Return the figures of all subjects' matrices, with intervals by resampled subjects.

    Epochs of a night depend on each other, subjects do not: so subjects are drawn.
    """
    stacked = np.stack(list(matrices.values()))
    total = stacked.sum(axis=0)
    draws = np.random.default_rng(seed).integers(0, len(stacked), (RESAMPLES, len(stacked)))
    samples = [stacked[draw].sum(axis=0) for draw in draws]
    return Figures(
        kappa=_round(kappa(total)),
        kappa_interval=_interval([kappa(sample) for sample in samples]),
        accuracy=_round(accuracy(total)),
        macro_f1=_round(macro_f1(total)),
        macro_f1_interval=_interval([macro_f1(sample) for sample in samples]),
        stage_f1=dict(zip(LABELS, map(_round, stage_f1(total)), strict=True)),
        epochs=int(total.sum()),
        subjects={name: matrix.tolist() for name, matrix in sorted(matrices.items())},
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, INTERVAL)
    return _round(low), _round(high)


def _round(value: float) -> float:
    return round(float(value), 4)
