"""Exact histograms of epochs' codes: the 15 channels behind each other in one array.

A channel of ``bits`` bits has 2^bits places, the last of which counts what is missing; all of
them together have SIZE. Histograms of several nights are added as arrays are.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from noctis.features import COUNT, FEATURES

__all__ = ["PLACES", "SIZE", "Histograms", "NightSummary", "count", "known", "missing"]

Number = TypeVar("Number", np.int64, np.float64)
Histograms = NDArray[np.int64]
"""Shape (..., SIZE): how many epochs have each code of each channel."""

_SIZES: Final = np.array([feature.missing + 1 for feature in FEATURES])
_BEGINS: Final = np.cumsum(_SIZES) - _SIZES

SIZE: Final = int(_SIZES.sum())
PLACES: Final = tuple(
    slice(int(begin), int(begin + size)) for begin, size in zip(_BEGINS, _SIZES, strict=True)
)
"""Where each channel stands; the codes of ``noctis.features.FEATURES`` in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class NightSummary:
    """A night of a device: histograms (SIZE,) of its epochs in bed, and what was told of it.

    ``stages``: how many epochs were told to be wake, light, deep and REM, shape (4,).
    ``confidence``: the mean probability of the stage that was told, None without any.
    """

    device: str
    evening: date
    histograms: Histograms
    stages: NDArray[np.int64]
    confidence: float | None


def count(codes: NDArray[np.int16]) -> Histograms:
    """Return the histograms, shape (SIZE,), of epochs' codes, shape (n, 15)."""
    places = codes.reshape(-1, COUNT).astype(np.int64) + _BEGINS
    return np.bincount(places.ravel(), minlength=SIZE).astype(np.int64)


def known(histograms: NDArray[Number], channel: int) -> NDArray[Number]:
    """Return a channel's counts without the missing ones, shape (..., 2^bits - 1)."""
    counts: NDArray[Number] = histograms[..., PLACES[channel]][..., :-1]
    return counts


def missing(histograms: NDArray[Number], channel: int) -> NDArray[np.float64]:
    """Return the share of epochs, shape (...), in which a channel has no value; NaN of none."""
    counts = histograms[..., PLACES[channel]]
    total = counts.sum(axis=-1)
    shares: NDArray[np.float64] = counts[..., -1] / np.where(total, total, np.nan)
    return shares
