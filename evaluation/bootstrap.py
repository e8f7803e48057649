"""Bootstrap over subjects: epochs of a night depend on each other, subjects do not."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONFIDENCE", "RESAMPLES", "draw", "interval"]

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95


def draw(subjects: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each subject is in each sample, shape (RESAMPLES, subjects).

    A sample is as many subjects as there are, drawn with replacement.
    """
    drawn = np.random.default_rng(seed).integers(0, subjects, (RESAMPLES, subjects))
    places = drawn + subjects * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * subjects)
    return counts.reshape(RESAMPLES, subjects)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the two-sided 95 % percentile interval of a bootstrap's values, shape (n,).

    NaN where no sample has a value.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(known, (tail, 100 - tail))
    return float(low), float(high)
