"""The tracks of a whole night: what a model looks at that may look both ways.

An epoch's row holds its tracks as they were known then (``inference.tracks``), the same of the
night turned round, and where the epoch stands in the whole night: ranks and deviations of
centred means. The companion, training and evaluation call this one function.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference import tracks
from noctis.features import FEATURES
from noctis.features import NAMES as CHANNELS

__all__ = ["COUNT", "NAMES", "night_tracks"]

Array = NDArray[np.float64]

SPANS: Final = (3, 11, 41)
_SOURCES: Final = {
    "heart": "hr_mean",
    "within": "hr_sd",
    "beats": "hr_rmssd",
    "range": "hr_range",
    "motion": "act_count",
    "moving": "move_frac",
}
_LOGARITHMIC: Final = ("within", "beats", "range")
_BASES: Final = (*_SOURCES, "between")

NAMES: Final = (
    *tracks.NAMES,
    *(f"{name}_behind" for name in tracks.NAMES),
    *(f"{base}_{kind}_{span}" for base in _BASES for span in SPANS for kind in ("rank", "of")),
    "share_of_night",
)
COUNT: Final = len(NAMES)


def night_tracks(codes: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the tracks, shape (n, COUNT), of a night's codes, shape (n, 15).

    One row for each place of the 30 s grid, from the first epoch in bed to the last; a place
    without an epoch or without the sleeper holds missing codes. Unknown values are NaN.
    """
    count = len(codes)
    if not count:
        return np.empty((0, COUNT), np.float32)
    ahead = tracks.tracks(codes, count)
    behind = tracks.tracks(codes[::-1], count)[::-1]
    columns = [column for values in _bases(codes) for column in _places(values)]
    whole = np.array([*columns, np.arange(count) / count], np.float32).T
    return np.concatenate((ahead, behind, whole), axis=1)


def _bases(codes: NDArray[np.int16]) -> list[Array]:
    """Return the values, each (n,), whose place in the night is told; NaN where unknown."""
    bases = []
    for name, channel in _SOURCES.items():
        column = CHANNELS.index(channel)
        values = FEATURES[column].values(codes[:, column].astype(np.intp))
        bases.append(np.log(values + 0.5) if name in _LOGARITHMIC else values)
    between = np.full(len(codes), np.nan)
    between[1:] = np.log(np.abs(np.diff(bases[0])) + 0.3)
    return [*bases, between]


def _places(values: Array) -> list[Array]:
    """Return rank and deviation in the night of the values' means over each span."""
    known = values[~np.isnan(values)]
    middle, spread = (known.mean(), known.std() + 0.1) if len(known) else (np.nan, np.nan)
    columns = []
    for span in SPANS:
        mean = _centred_mean(values, span)
        columns += [_rank(mean), (mean - middle) / spread]
    return columns


def _centred_mean(values: Array, span: int) -> Array:
    """Return the mean of the known ones of ``span`` values around each.

    None where less than a quarter of them is known.
    """
    unknown = np.isnan(values)
    terms = np.array([~unknown, np.where(unknown, 0.0, values)])
    sums = np.zeros((2, len(values) + 1))
    np.cumsum(terms, axis=1, out=sums[:, 1:])
    places = np.arange(len(values))
    begin = np.maximum(places - span // 2, 0)
    end = np.minimum(places + span // 2 + 1, len(values))
    counts, totals = sums[:, end] - sums[:, begin]
    counts[counts * 4 < min(span, len(values))] = np.nan
    mean: Array = totals / counts
    return mean


def _rank(values: Array) -> Array:
    """Return the share of the known values below each, half of its equals counted."""
    rounded = np.round(values, 6)  # running sums differ in their last digits
    ordered = np.sort(rounded[~np.isnan(rounded)])
    if not len(ordered):
        return rounded
    below, upto = (ordered.searchsorted(rounded, side) for side in ("left", "right"))
    return np.where(np.isnan(rounded), np.nan, (below + upto) / (2 * len(ordered)))
