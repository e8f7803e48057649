"""A window of nights against training: four measures of each of the 15 channels."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from drift import measures
from noctis.features import FEATURES
from noctis.histograms import PLACES, Histograms, known, missing

__all__ = ["KINDS", "Scales", "distances", "pooled"]

KINDS: Final = ("psi", "ks", "wasserstein", "missing")
_VALUES: Final = tuple(feature.values(np.arange(feature.missing)) for feature in FEATURES)

Numbers = NDArray[np.float64]


class Scales:
    """What a training set's total, shape (SIZE,), says of each channel: bins and spread.

    ``units``: shape (15,), the interquartile ranges, a code's step at least. ``learnt``: shape
    (15,), of which channels training had any value.
    """

    def __init__(self, total: Histograms) -> None:
        counts = [known(total, channel) for channel in range(len(FEATURES))]
        self.bins = [measures.bins_of(it) for it in counts]
        self.learnt = np.array([it.any() for it in counts])
        self.units = np.array(
            [
                np.fmax(measures.spread(it, values), np.diff(values).min())
                for it, values in zip(counts, _VALUES, strict=True)
            ]
        )


def pooled(histograms: Histograms, weights: Numbers) -> Numbers:
    """Return histograms of groups of sleepers, shape (..., SIZE).

    ``histograms``: shape (s, SIZE), of each sleeper; ``weights``: shape (..., s), 1 of those in
    a group. Each sleeper of a group counts the same, however long they slept: nights of one
    person resemble each other, so it is the people who must be many.
    """
    epochs = histograms[:, PLACES[0]].sum(axis=1)
    shares = histograms / np.maximum(epochs, 1)[:, np.newaxis]
    each = (weights @ epochs) / weights.sum(axis=-1)
    groups: Numbers = (weights @ shares) * each[..., np.newaxis]
    return groups


def distances(reference: Numbers, window: Numbers, scales: Scales) -> Numbers:
    """Return the measures, shape (..., 15, 4), in the order of KINDS.

    ``reference``, ``window``: histograms, shape (..., SIZE). Wasserstein-1 is in the scales'
    units; ``missing`` is the share in the window less that in the reference. NaN where either
    has no value of the channel.
    """
    table = []
    for channel, values in enumerate(_VALUES):
        old, new = known(reference, channel), known(window, channel)
        apart = measures.wasserstein(old, new, values) / scales.units[channel]
        measured = (
            measures.psi(old, new, scales.bins[channel]),
            measures.kolmogorov_smirnov(old, new),
            apart,
            missing(window, channel) - missing(reference, channel),
        )
        table.append(np.stack(np.broadcast_arrays(*measured), axis=-1))
    return np.stack(table, axis=-2)
