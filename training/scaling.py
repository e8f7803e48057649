"""The scaling of a net's inputs, from the tracks that it is to learn from."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.scaling import Scaling

__all__ = ["scaling_of"]

LEAST: Final = 1e-6


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
