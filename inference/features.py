"""The features of one epoch in its session: a pure function of the last epochs' codes.

Live worker, settler, training and evaluation all call ``features``; there is no second
version that could drift from it. Only the past is used. Heart rate and motion are set against
the session itself, because sleepers, beds and sensors differ more than stages do. A missing
value is NaN, and so is whatever rests on missing values alone.
"""

from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.features import FEATURES
from noctis.features import NAMES as CHANNELS

__all__ = ["COUNT", "NAMES", "features"]

Array = NDArray[np.float64]

SPANS: Final = (2, 5, 10, 20, 40, 80, 160)
LAGS: Final = (10, 20, 40)
QUANTILES: Final = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
EXTREMES: Final = (20, 40, 80)
MOTION_EXTREMES: Final = (3, 10, 40)
MOTION_SHARES: Final = (0.1, 0.25, 0.5, 0.75)
RANKED: Final = (
    *((name, span) for span in (10, 40) for name in ("within", "beats", "between")),
    *(("heart_sd", span) for span in (10, 20)),
)
STILL_SPAN: Final = 20  # ten minutes of rest count as the onset of sleep
STILL_SHARE: Final = 0.15
CYCLE_EPOCHS: Final = 186  # 93 minutes: a sleep cycle
HEART_ZERO: Final = 60.0  # near the values, so that squares keep their digits

HEART, WITHIN, BEATS, BETWEEN, MOTION, MOVING, BREATH = range(7)
TRACKS: Final = BREATH + 4
_SOURCES: Final = {
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
_TWO, _FIVE, _TEN = range(3)
_WHOLE: Final = len(SPANS)
_LAGGED: Final = slice(_WHOLE + 1, None)


def _table(name: str) -> Array:
    """Return the value of each code of a channel on the scale that the features use."""
    feature = FEATURES[CHANNELS.index(name)]
    values = feature.values(np.arange(1 << feature.bits))
    if feature.scale == "log":
        values = np.log1p(values / feature.knee)
    return np.log(values + 0.5) if name in _LOGARITHMIC else values


_TABLES: Final = {
    track: (CHANNELS.index(name), _table(name)) for track, name in _SOURCES.items()
}


class _Session:
    """Tracks over the epochs and their running sums: any trailing mean is two look-ups."""

    def __init__(self, codes: NDArray[np.int16]) -> None:
        self.size = len(codes)
        self.values = values = np.full((TRACKS, self.size), np.nan)
        places = codes.T.astype(np.intp)
        for track, (column, table) in _TABLES.items():
            table.take(places[column], out=values[track], mode="clip")
        np.log(np.abs(np.diff(values[HEART])) + 0.3, out=values[BETWEEN, 1:])
        known = values == values  # noqa: PLR0124 - NaN differs from itself
        terms = np.empty((2 * TRACKS + 4, self.size))
        terms[:TRACKS] = known
        terms[TRACKS:-4] = np.where(known, values, 0.0)
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
        spans = np.array([*SPANS, size, *[SPANS[_TEN]] * len(LAGS)])
        begins = np.maximum(ends - spans, 0)
        totals = self.sums[:, ends] - self.sums[:, begins]
        counts = totals[:TRACKS]
        # A mean of less than a quarter of its span is none.
        counts[counts * 4 < np.maximum(ends - begins, 1)] = np.nan
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
        counts[counts * 4 < span] = np.nan
        values = slice(tracks.start + TRACKS, tracks.stop + TRACKS)
        return self.history(values, span) / counts

    def heart_deviations(self, span: int) -> Array:
        """Return for every epoch the heart rate's deviation over the ``span`` up to it."""
        counts = self.history(HEART, span)
        counts[counts * 4 < span] = np.nan
        mean = self.history(TRACKS, span) / counts
        return np.sqrt(np.maximum(self.history(-4, span) / counts - mean * mean, 0.0))

    def quantiles(self, track: int) -> Array:
        """Return the track's QUANTILES, each as the nearest value that occurred."""
        last = int(self.sums[track, -1]) - 1
        if last < 0:
            return np.full(len(QUANTILES), np.nan)
        places = (QUANTILES * last + 0.5).astype(np.intp)
        return np.sort(self.values[track])[places]


def _ranks(history: Array, values: Array) -> Array:
    """Return the share of each row of ``history`` below its value, ties counted half."""
    known = _counts(history == history)  # noqa: PLR0124 - NaN differs from itself
    below = _counts(history < values[:, None]) + _counts(history <= values[:, None])
    return np.where(np.isnan(values), np.nan, below / (2.0 * np.maximum(known, 1)))


def _counts(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    # Row by row is several times as fast as numpy's sum along an axis of flags.
    return np.array([np.count_nonzero(row) for row in flags])


_HEART_NAMES: Final = (
    *("heart", "heart_step", "heart_z", "heart_height", "heart_spread"),
    *("heart_rank", "heart_rank_120"),
    *(f"heart_over_mean_{span}" for span in SPANS[1:]),
    *(f"heart_over_q{quantile}" for quantile in QUANTILES),
    *(f"heart_below_top_{span}" for span in EXTREMES),
    *(f"heart_over_bottom_{span}" for span in EXTREMES),
)


def _heart(session: _Session) -> list[float]:
    values = session.values[HEART]
    means = session.means[HEART]
    short = float(means[_TWO])
    now = float(values[-1])
    quantiles = session.quantiles(HEART)
    low, lower, median, upper, high = quantiles.tolist()
    ranks = [float(_ranks(part[None], means[:1])[0]) for part in (values, values[-120:])]
    return [
        now,
        now - float(means[_FIVE]),
        (short - median) / (upper - lower + 1.5),
        (short - low) / (high - low + 3.0),
        upper - lower,
        *ranks,
        *(short - means[1 : len(SPANS)]).tolist(),
        *(short - quantiles).tolist(),
        *(float(np.fmax.reduce(values[-span:])) - short for span in EXTREMES),
        *(short - float(np.fmin.reduce(values[-span:])) for span in EXTREMES),
    ]


_SPREAD_NAMES: Final = (
    *(f"heart_sd_{span}" for span in SPANS[1:]),
    *(f"heart_slope_{span}" for span in SPANS[2:5]),
    *(f"heart_residual_{span}" for span in SPANS[2:5]),
)


def _spread(session: _Session) -> list[float]:
    """Deviation, least-squares slope per epoch, and what the slope leaves of the deviation."""
    part = slice(1, len(SPANS))
    mean = session.means[HEART, part] - HEART_ZERO
    square, epoch, epoch_square, product = session.means[-4:, part]
    variance = square - mean * mean
    place = np.maximum(epoch_square - epoch * epoch, 0.25)
    slope = (product - epoch * mean) / place
    rest = variance - slope * slope * place
    deviation = np.log(np.sqrt(np.maximum((variance, rest), 0.0)) + 0.2)
    return [*deviation[0].tolist(), *slope[1:4].tolist(), *deviation[1, 1:4].tolist()]


_VARIABILITY: Final = slice(WITHIN, BETWEEN + 1)
_VARIABILITY_NAMES: Final = tuple(
    chain.from_iterable(
        (
            name,
            *(f"{name}_{span}" for span in SPANS[:-1]),
            *(f"{name}_over_{span}" for span in SPANS[1:5]),
            *(f"{name}_ago_{lag}" for lag in LAGS),
        )
        for name in ("within", "beats", "between")
    )
) + tuple(f"{name}_rank_{span}" for name, span in RANKED)


def _variability(session: _Session) -> list[float]:
    means = session.means[_VARIABILITY]
    table = np.hstack(
        (
            session.values[_VARIABILITY, -1:],
            means[:, : len(SPANS) - 1],
            means[:, 1:5] - means[:, _WHOLE, None],
            means[:, _LAGGED],
        )
    )
    history = np.empty((len(RANKED), session.size))
    history[0:3] = session.mean_history(_VARIABILITY, 10)
    history[3:6] = session.mean_history(_VARIABILITY, 40)
    history[6] = session.heart_deviations(10)
    history[7] = session.heart_deviations(20)
    return [*table.ravel().tolist(), *_ranks(history, history[:, -1]).tolist()]


_MOTION_NAMES: Final = (
    "motion",
    *(f"motion_{span}" for span in SPANS[:-1]),
    *(f"motion_top_{span}" for span in MOTION_EXTREMES),
    *(f"since_motion_{share}" for share in MOTION_SHARES),
    *("moving_20", "moving_80", "onset", "cycle_sin", "cycle_cos"),
)


def _motion(session: _Session) -> list[float]:
    """Motion as a share of the session's own high: a wrist moves more than a mattress."""
    values = session.values[MOTION]
    high = max(float(session.quantiles(MOTION)[-1]), 0.5)
    return [
        float(values[-1]) / high,
        *(session.means[MOTION, : len(SPANS) - 1] / high).tolist(),
        *(float(np.fmax.reduce(values[-span:])) / high for span in MOTION_EXTREMES),
        *(_since(values > share * high) for share in MOTION_SHARES),
        *session.means[MOVING, [3, 5]].tolist(),
        *_onset(session),
    ]


def _since(happened: NDArray[np.bool_]) -> float:
    """Return the epochs since something last happened; NaN when it never did."""
    ago = int(happened[::-1].argmax())
    return float(ago) if happened[-1 - ago] else np.nan


def _onset(session: _Session) -> list[float]:
    """Time since the sleeper first lay still for ten minutes: about when sleep began."""
    shares = session.mean_history(slice(MOVING, MOVING + 1), STILL_SPAN)[0, STILL_SPAN - 1 :]
    quiet = np.flatnonzero(shares < STILL_SHARE)
    since = float(len(shares) - 1 - quiet[0]) if len(quiet) else np.nan
    angle = 2 * np.pi * since / CYCLE_EPOCHS
    return [since, float(np.sin(angle)), float(np.cos(angle))]


_BREATHING: Final = slice(BREATH, TRACKS)
_BREATHING_NAMES: Final = tuple(
    f"{label}_{_SOURCES[track]}"
    for label in ("mean_5", "mean_20", "over_5", "over_20", "rank_5")
    for track in range(BREATH, TRACKS)
)


def _breathing(session: _Session) -> list[float]:
    if not session.sums[_BREATHING, -1].any():
        return [np.nan] * len(_BREATHING_NAMES)
    means = session.means[_BREATHING]
    short = means[:, _FIVE]
    ranks = _ranks(session.values[_BREATHING], short)
    recent = means[:, [_FIVE, 3]].T
    over = recent - means[:, _WHOLE]
    return [*recent.ravel().tolist(), *over.ravel().tolist(), *ranks.tolist()]


NAMES: Final = (
    "session",
    *_HEART_NAMES,
    *_SPREAD_NAMES,
    *_VARIABILITY_NAMES,
    *_MOTION_NAMES,
    *_BREATHING_NAMES,
)
COUNT: Final = len(NAMES)


def features(session: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the features, shape (COUNT,), of a session's last epoch, named by NAMES.

    ``session``: codes, shape (n, 15), oldest first, of the epochs since the sleeper came to
    bed, one row for each 30 s, absent epochs as rows of missing codes. An empty session has
    features of NaN alone.
    """
    if not len(session):
        return np.full(COUNT, np.nan, np.float32)
    tracks = _Session(session)
    groups = (_heart, _spread, _variability, _motion, _breathing)
    values = [float(tracks.size), *chain.from_iterable(group(tracks) for group in groups)]
    return np.array(values, np.float32)
