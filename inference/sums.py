"""Running sums over a session: what the features of its last epoch are made of."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.features import FEATURES
from noctis.features import NAMES as CHANNELS

__all__ = [
    "BREATH",
    "FIVE",
    "HEART",
    "HEART_ZERO",
    "LAGGED",
    "LAGS",
    "MOTION",
    "MOVING",
    "QUANTILES",
    "SOURCES",
    "SPANS",
    "TRACKS",
    "TWO",
    "VARIABILITY",
    "WHOLE",
    "Array",
    "Sums",
]

Array = NDArray[np.float64]

SPANS: Final = (2, 5, 10, 20, 40, 80, 160)
LAGS: Final = (10, 20, 40)
QUANTILES: Final = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
HEART_ZERO: Final = 60.0  # near the values, so that squares keep their digits

HEART, WITHIN, BEATS, BETWEEN, MOTION, MOVING, BREATH = range(7)
TRACKS: Final = BREATH + 4
SOURCES: Final = {
    HEART: "hr_mean",
    WITHIN: "hr_sd",
    BEATS: "hr_rmssd",
    MOTION: "act_count",
    MOVING: "move_frac",
    BREATH: "rr_mean",
    BREATH + 1: "rr_sd",
    BREATH + 2: "rr_regularity",
    BREATH + 3: "resp_amp_cv",
}
_LOGARITHMIC: Final = ("hr_sd", "hr_rmssd")
# Columns of the table of trailing means: the spans, the whole session, ten epochs in the past.
TWO, FIVE, TEN = range(3)
WHOLE: Final = len(SPANS)
LAGGED: Final = slice(WHOLE + 1, None)
VARIABILITY: Final = slice(WITHIN, BETWEEN + 1)


def _table(name: str) -> Array:
    """Return the value of each code of a channel on the scale that the features use."""
    feature = FEATURES[CHANNELS.index(name)]
    values = feature.values(np.arange(1 << feature.bits))
    if feature.scale == "log":
        values = np.log1p(values / feature.knee)
    return np.log(values + 0.5) if name in _LOGARITHMIC else values


_TABLES: Final = {
    track: (CHANNELS.index(name), _table(name)) for track, name in SOURCES.items()
}


class Sums:
    """Tracks over a session and their running sums: any trailing mean is two look-ups."""

    def __init__(self, codes: NDArray[np.int16]) -> None:
        self.size = len(codes)
        self.values = values = np.full((TRACKS, self.size), np.nan)
        places = codes.T.astype(np.intp)
        for track, (column, table) in _TABLES.items():
            table.take(places[column], out=values[track], mode="clip")
        np.log(np.abs(np.diff(values[HEART])) + 0.3, out=values[BETWEEN, 1:])
        unknown = np.isnan(values)
        terms = np.empty((2 * TRACKS + 4, self.size))
        known = np.logical_not(unknown, out=terms[:TRACKS])
        terms[TRACKS:-4] = values
        np.putmask(terms[TRACKS:-4], unknown, 0.0)
        heart = terms[TRACKS]
        heart -= HEART_ZERO * known[HEART]
        epoch = np.arange(self.size) * known[HEART]
        np.multiply(heart, heart, out=terms[-4])
        terms[-3] = epoch
        np.multiply(epoch, epoch, out=terms[-2])
        np.multiply(epoch, heart, out=terms[-1])
        self.sums = np.zeros((len(terms), self.size + 1))
        np.cumsum(terms, axis=1, out=self.sums[:, 1:])
        self.counts, self.means = self._trailing()

    def _trailing(self) -> tuple[Array, Array]:
        size = self.size
        ends = np.array([size] * (len(SPANS) + 1) + [max(size - lag, 0) for lag in LAGS])
        spans = np.array([*SPANS, size, *[SPANS[TEN]] * len(LAGS)])
        begins = np.maximum(ends - spans, 0)
        totals = self.sums[:, ends] - self.sums[:, begins]
        counts = totals[:TRACKS]
        # A mean of less than a quarter of its span is none.
        np.putmask(counts, counts * 4 < np.maximum(ends - begins, 1), np.nan)
        totals[TRACKS:] /= np.concatenate((counts, counts[[HEART] * 4]))
        totals[TRACKS] += HEART_ZERO
        return counts, totals[TRACKS:]

    def history(self, rows: int | slice, span: int) -> Array:
        """Return for every epoch the sum over the ``span`` epochs up to it."""
        sums = self.sums[rows]
        total: Array = sums[..., 1:].copy()
        total[..., span:] -= sums[..., 1:-span]
        return total

    def mean_history(self, tracks: slice, span: int) -> Array:
        """Return for every epoch the tracks' means over the ``span`` epochs up to it."""
        counts = self.history(tracks, span)
        np.putmask(counts, counts * 4 < span, np.nan)
        values = slice(tracks.start + TRACKS, tracks.stop + TRACKS)
        return self.history(values, span) / counts

    def heart_deviations(self, span: int) -> Array:
        """Return for every epoch the heart rate's deviation over the ``span`` up to it."""
        counts = self.history(HEART, span)
        np.putmask(counts, counts * 4 < span, np.nan)
        mean = self.history(TRACKS, span) / counts
        return np.sqrt(np.maximum(self.history(-4, span) / counts - mean * mean, 0.0))

    def quantiles(self, track: int) -> Array:
        """Return the track's QUANTILES, each as the nearest value that occurred."""
        last = int(self.sums[track, -1]) - 1
        if last < 0:
            return np.full(len(QUANTILES), np.nan)
        places = (QUANTILES * last + 0.5).astype(np.intp)
        return np.sort(self.values[track])[places]
