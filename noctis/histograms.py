"""Exact histograms of epochs' codes: the 15 channels behind each other in one array.

A channel of ``bits`` bits has 2^bits places, the last of which counts what is missing; all of
them together have SIZE. Histograms of several nights are added as arrays are.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.features import COUNT, FEATURES

__all__ = ["PLACES", "SIZE", "Histograms", "count", "known", "missing"]

Histograms = NDArray[np.int64]
"""Shape (..., SIZE): how many epochs have each code of each channel."""

_SIZES: Final = np.array([feature.missing + 1 for feature in FEATURES])
_BEGINS: Final = np.cumsum(_SIZES) - _SIZES

SIZE: Final = int(_SIZES.sum())
PLACES: Final = tuple(
    slice(int(begin), int(begin + size)) for begin, size in zip(_BEGINS, _SIZES, strict=True)
)
"""Where each channel stands; the codes of ``noctis.features.FEATURES`` in their order."""


def count(codes: NDArray[np.int16]) -> Histograms:
    """Return the histograms, shape (SIZE,), of epochs' codes, shape (n, 15)."""
    places = codes.reshape(-1, COUNT).astype(np.int64) + _BEGINS
    return np.bincount(places.ravel(), minlength=SIZE).astype(np.int64)


def known(histograms: Histograms, channel: int) -> Histograms:
    """Return a channel's counts without the missing ones, shape (..., 2^bits - 1)."""
    return histograms[..., PLACES[channel]][..., :-1]


def missing(histograms: Histograms, channel: int) -> NDArray[np.float64]:
    """Return the share of epochs, shape (...), in which a channel has no value; NaN of none."""
    counts = histograms[..., PLACES[channel]]
    total = counts.sum(axis=-1)
    shares: NDArray[np.float64] = counts[..., -1] / np.where(total, total, np.nan)
    return shares
