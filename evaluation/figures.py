"""Figures of a stager: how its stages agree with the reference, and how well it knows that.

Everything is computed from a ``Tally``, counts that add up: a subject's, all subjects', or a
bootstrap's draw of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.stages import COUNT

__all__ = [
    "BINS",
    "NO_STAGE",
    "Tally",
    "accuracy",
    "calibration_error",
    "confusion",
    "kappa",
    "macro_f1",
    "stage_f1",
    "tally",
    "total",
]

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]

NO_STAGE: Final = -1
BINS: Final = 15
"""Of the calibration error: equal steps of confidence, as Guo et al. 2017 have them."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts of scored epochs; ``...`` is nothing, or one axis of several tallies.

    ``matrix``, shape (..., 4, 4): confusion of the staged epochs, rows: reference.
    ``unstaged``, (..., 4): those that got no stage, by their reference. ``bins``, shape
    (..., BINS, 3): of the staged epochs by the probability of the told stage: how many, how
    many of them right, and the sum of that probability.
    """

    matrix: Counts
    unstaged: Counts
    bins: Shares

    def pooled(self) -> "Tally":
        """Return the sum over the axis of several tallies."""
        return Tally(self.matrix.sum(axis=0), self.unstaged.sum(axis=0), self.bins.sum(axis=0))

    def weighted(self, weights: Counts) -> "Tally":
        """Return sums of tallies, shape (S, ...), each so often: ``weights``, shape (n, S)."""
        return Tally(
            np.tensordot(weights, self.matrix, 1),
            np.tensordot(weights, self.unstaged, 1),
            np.tensordot(weights, self.bins, 1),
        )


def tally(
    reference: NDArray[np.int8], stages: NDArray[np.int8], probabilities: NDArray[np.floating]
) -> Tally:
    """Return the counts of a night's epochs, n of them.

    ``reference``, ``stages``: shape (n,), NO_STAGE where unscored or unstaged; unscored epochs
    are left out. ``probabilities``: shape (n, 4), of no meaning where unstaged.
    """
    scored = reference != NO_STAGE
    staged = scored & (stages != NO_STAGE)
    told = stages[staged]
    confidence = np.asarray(probabilities, np.float64)[staged, told]
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    right = told == reference[staged]
    weights = (np.ones(len(told)), right, confidence)
    return Tally(
        confusion(reference[staged], told),
        np.bincount(reference[scored & ~staged], minlength=COUNT),
        np.stack([np.bincount(place, weight, minlength=BINS) for weight in weights], axis=1),
    )


def total(tallies: Sequence[Tally]) -> Tally:
    """Return tallies as one of shape (S, ...)."""
    return Tally(
        np.stack([one.matrix for one in tallies]),
        np.stack([one.unstaged for one in tallies]),
        np.stack([one.bins for one in tallies]),
    )


def confusion(reference: NDArray[np.integer], predicted: NDArray[np.integer]) -> Counts:
    """Return the confusion matrix, rows: reference; NO_STAGE on either side is left out."""
    known = (reference != NO_STAGE) & (predicted != NO_STAGE)
    pairs = reference[known].astype(np.int64) * COUNT + predicted[known]
    return np.bincount(pairs, minlength=COUNT * COUNT).reshape(COUNT, COUNT)


def accuracy(matrix: Counts) -> Shares:
    """Return the share of epochs on which both agree, shape (...); NaN without an epoch."""
    return _ratio(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def kappa(matrix: Counts) -> Shares:
    """Return Cohen's kappa, shape (...): agreement beyond chance; Cohen 1960.

    0 where there is nothing to tell apart: reference and predictions are one and the same
    stage. ``matrix``: shape (..., k, k).
    """
    all_epochs = matrix.sum(axis=(-2, -1))
    met = (matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1)
    chance = _ratio(met, all_epochs.astype(np.float64) ** 2)
    beyond = accuracy(matrix) - chance
    return np.where(chance == 1, 0.0, _ratio(beyond, 1 - chance))


def stage_f1(matrix: Counts) -> Shares:
    """Return each stage's F1, shape (..., 4); NaN for a stage that neither side names."""
    both = matrix.sum(axis=-2) + matrix.sum(axis=-1)
    return _ratio(2 * np.diagonal(matrix, axis1=-2, axis2=-1), both)


def macro_f1(matrix: Counts) -> Shares:
    """Return the mean of the F1 of the stages that either side names, shape (...)."""
    shares = stage_f1(matrix)
    return _ratio(np.nansum(shares, axis=-1), (~np.isnan(shares)).sum(axis=-1))


def calibration_error(bins: Shares) -> Shares:
    """Return the expected calibration error, shape (...), of ``Tally.bins``.

    The mean over all staged epochs of the gap, within a bin of confidence, between how often
    the told stage was right and how probable it was said to be; Guo et al. 2017.
    """
    epochs, right, confidence = np.moveaxis(bins, -1, 0)
    return _ratio(np.abs(right - confidence).sum(axis=-1), epochs.sum(axis=-1))


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Shares:
    """Return part / whole, NaN where whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Shares = np.true_divide(part, np.where(whole == 0, np.nan, whole))
    return shares
