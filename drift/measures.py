"""How far the histogram of a channel's codes is from another's: PSI, KS, Wasserstein.

All of them come exactly from counts by code, however many epochs these stand for. Counts have
shape (..., c), c codes; leading axes of both sides are broadcast.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["bins_of", "kolmogorov_smirnov", "psi", "spread", "wasserstein"]

Counts = NDArray[np.int64] | NDArray[np.float64]
Numbers = NDArray[np.float64]

MOST_BINS: Final = 10
SMOOTHING: Final = 0.5
"""Epochs added to each bin of either side, so that an empty one has a logarithm."""


def bins_of(reference: Counts) -> NDArray[np.int64]:
    """Return the bin of each code, shape (c,): at most 10 quantile bins of the reference.

    A code belongs to the tenth of the reference in which its middle lies, so no code is split
    and a frequent one may have several tenths to itself: then there are fewer bins.
    """
    middle = np.cumsum(reference) - reference / 2
    tenths = np.floor(MOST_BINS * middle / max(1.0, float(reference.sum())))
    return np.unique(np.minimum(tenths, MOST_BINS - 1), return_inverse=True)[1]


def psi(reference: Counts, counts: Counts, bins: NDArray[np.int64]) -> Numbers:
    """Return the population stability index, shape (...), in nats, over the ``bins`` of codes.

    sum((q - p) * ln(q / p)) over the shares p of the reference and q of ``counts``, half an
    epoch added to each bin. NaN where either is empty. Source: Yurdakul, Statistical
    properties of the population stability index, 2018.
    """
    edges = np.searchsorted(bins, np.arange(bins.max() + 1))
    expected = _shares(np.add.reduceat(reference, edges, axis=-1) + SMOOTHING)
    found = _shares(np.add.reduceat(counts, edges, axis=-1) + SMOOTHING)
    index: Numbers = ((found - expected) * np.log(found / expected)).sum(axis=-1)
    return np.where(_either_empty(reference, counts), np.nan, index)


def kolmogorov_smirnov(reference: Counts, counts: Counts) -> Numbers:
    """Return the two-sample KS statistic, shape (...), 0 to 1; NaN where either is empty."""
    statistic: Numbers = np.abs(_gap(reference, counts)).max(axis=-1)
    return statistic


def wasserstein(reference: Counts, counts: Counts, values: Numbers) -> Numbers:
    """Return the Wasserstein-1 distance, shape (...), in the unit of the codes' ``values``.

    ``values``: shape (c,), rising. NaN where either is empty.
    """
    distance: Numbers = np.abs(_gap(reference, counts))[..., :-1] @ np.diff(values)
    return distance


def spread(reference: Counts, values: Numbers) -> float:
    """Return the reference's interquartile range; where it is 0, the standard deviation.

    NaN of an empty reference; 0 where all epochs have one code.
    """
    total = float(reference.sum())
    if not total:
        return float("nan")
    shares = np.cumsum(reference) / total
    low, high = values[np.searchsorted(shares, (0.25, 0.75))]
    if high > low:
        return float(high - low)
    mean = float(reference @ values) / total
    return float(np.sqrt(reference @ (values - mean) ** 2 / total))


def _gap(reference: Counts, counts: Counts) -> Numbers:
    """Return the difference of the cumulative shares, shape (..., c)."""
    return np.cumsum(_shares(counts), axis=-1) - np.cumsum(_shares(reference), axis=-1)


def _shares(counts: Counts) -> Numbers:
    total = counts.sum(axis=-1, keepdims=True)
    shares: Numbers = counts / np.where(total, total, np.nan)
    return shares


def _either_empty(reference: Counts, counts: Counts) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = (counts.sum(axis=-1) == 0) | (reference.sum(axis=-1) == 0)
    return empty
