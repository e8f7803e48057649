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

from inference.sums import (
    BREATH,
    FIVE,
    HEART,
    HEART_ZERO,
    LAGGED,
    LAGS,
    MOTION,
    MOVING,
    QUANTILES,
    SOURCES,
    SPANS,
    TRACKS,
    TWO,
    VARIABILITY,
    WHOLE,
    Array,
    Sums,
)

__all__ = ["COUNT", "NAMES", "features"]

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


def _heart(session: Sums) -> list[float]:
    values = session.values[HEART]
    means = session.means[HEART]
    short = float(means[TWO])
    now = float(values[-1])
    quantiles = session.quantiles(HEART)
    low, lower, median, upper, high = quantiles.tolist()
    ranks = [float(_ranks(part[None], means[:1])[0]) for part in (values, values[-120:])]
    return [
        now,
        now - float(means[FIVE]),
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


def _spread(session: Sums) -> list[float]:
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


def _variability(session: Sums) -> list[float]:
    means = session.means[VARIABILITY]
    table = np.hstack(
        (
            session.values[VARIABILITY, -1:],
            means[:, : len(SPANS) - 1],
            means[:, 1:5] - means[:, WHOLE, None],
            means[:, LAGGED],
        )
    )
    history = np.empty((len(RANKED), session.size))
    history[0:3] = session.mean_history(VARIABILITY, 10)
    history[3:6] = session.mean_history(VARIABILITY, 40)
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


def _motion(session: Sums) -> list[float]:
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


def _onset(session: Sums) -> list[float]:
    """Time since the sleeper first lay still for ten minutes: about when sleep began."""
    shares = session.mean_history(slice(MOVING, MOVING + 1), STILL_SPAN)[0, STILL_SPAN - 1 :]
    quiet = np.flatnonzero(shares < STILL_SHARE)
    since = float(len(shares) - 1 - quiet[0]) if len(quiet) else np.nan
    angle = 2 * np.pi * since / CYCLE_EPOCHS
    return [since, float(np.sin(angle)), float(np.cos(angle))]


_BREATHING: Final = slice(BREATH, TRACKS)
_BREATHING_NAMES: Final = tuple(
    f"{label}_{SOURCES[track]}"
    for label in ("mean_5", "mean_20", "over_5", "over_20", "rank_5")
    for track in range(BREATH, TRACKS)
)


def _breathing(session: Sums) -> list[float]:
    if not session.sums[_BREATHING, -1].any():
        return [np.nan] * len(_BREATHING_NAMES)
    means = session.means[_BREATHING]
    short = means[:, FIVE]
    ranks = _ranks(session.values[_BREATHING], short)
    recent = means[:, [FIVE, 3]].T
    over = recent - means[:, WHOLE]
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
    tracks = Sums(session)
    groups = (_heart, _spread, _variability, _motion, _breathing)
    values = [float(tracks.size), *chain.from_iterable(group(tracks) for group in groups)]
    return np.array(values, np.float32)
