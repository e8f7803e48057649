"""How tracks become a net's inputs: centred, scaled, bounded, unknown = 0."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOUND", "Scaling", "scaling_of"]

BOUND: Final = 4.0
LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Each track's ``centre`` and ``factor``, shape (C,); 0 for one that says nothing."""

    centre: NDArray[np.float32]
    factor: NDArray[np.float32]

    def __call__(self, tracks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return inputs, shape (..., C), without NaN and within +-BOUND."""
        scaled = np.clip((tracks - self.centre) * self.factor, -BOUND, BOUND)
        return np.asarray(np.nan_to_num(scaled, nan=0.0), np.float32)


def scaling_of(tracks: NDArray[np.float32]) -> Scaling:
    """Return the scaling by the median and the spread of ``tracks``, shape (n, C).

    The spread is half of what lies between the 16th and the 84th percentile, or half the
    deviation where that is more: motion is mostly none. A track that is never known, or
    always the same, is left out.
    """
    telling = np.fmax.reduce(tracks) > np.fmin.reduce(tracks) + LEAST
    known = tracks[:, telling].astype(np.float64)
    low, middle, high = np.nanquantile(known, (0.16, 0.5, 0.84), axis=0)
    spread = np.maximum((high - low) / 2, np.nanstd(known, axis=0) / 2)
    centre, factor = np.zeros((2, tracks.shape[1]), np.float32)
    centre[telling], factor[telling] = middle, 1 / spread
    return Scaling(centre, factor)
